//! AF_XDP: sends and receives whole frames on a queue of a network device, bypassing the kernel's network stack.
//!
//! - [`device`]: a device's queues, addresses, hardware address and MTU.
//! - [`program`]: the XDP program. It redirects datagrams for known addresses to our socket and passes everything else to the kernel.
//!   `bpf` wraps the calls that load it; `writer` assembles its instructions.
//! - [`queue`]: the socket of one queue: frames received, frames sent. `ring`: the memory that it shares with the kernel.
//! - [`lookup`]: many addresses on one socket (`sk_lookup`). It does not use AF_XDP; it is here because it also loads a BPF program.
//!   [`addresses`]: the map that both programs use.
//! - [`frame`]: converts frames to datagrams and back. Pure.

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
