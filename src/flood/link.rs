//! The links: what carries requests and replies over each transport.
//!
//! - [`udp`]: the B interface. Few sockets, many peers, datagrams in batches.
//! - [`tcp`]: the vendor's frame alone. Connections, requests pipelined.
//! - [`broadcast`]: exchanges of several frames over few sockets.
//! - [`frames`]: `--xdp`, for udp.
//!
//! What the first and the last have in common is in `datagram`; what devices say unasked is in `unasked`.

pub mod broadcast;
mod datagram;
pub mod frames;
pub mod tcp;
pub mod udp;
pub(crate) mod unasked;

pub use datagram::bind;

/// Of `count` targets or connections, those of thread `number`: every `threads`-th.
fn share(count: usize, number: usize, threads: usize) -> impl Iterator<Item = usize> {
    (number..count).step_by(threads.max(1))
}
