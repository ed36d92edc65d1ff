//! AF_XDP: whole frames of a network device's queue, past the kernel's own network code.
//!
//! - [`device`]: what a device is: queues, addresses, its own address, its MTU.
//! - [`program`]: which frames come here. A program in the kernel sends the datagrams of known addresses to a socket of this program, and
//!   leaves everything else to the kernel. `bpf`, `writer`: the calls that load it, its
//!   instructions.
//! - [`queue`]: the socket of one queue: frames received, frames sent. `ring`: the memory that it shares with the kernel.
//! - [`lookup`]: many addresses on one socket (`sk_lookup`), which has to do with AF_XDP only that a program in the kernel does it.
//!   [`addresses`]: the map of both programs.
//! - [`frame`]: a frame to a datagram, and back. Pure.

pub mod addresses;
mod bpf;
pub mod device;
pub mod frame;
pub mod lookup;
pub mod program;
pub mod queue;
mod ring;
#[cfg(test)]
mod tests;
mod writer;
