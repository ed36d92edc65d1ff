//! The B interface's envelope, the outer frame around a device's frame (spec b-interface.md).
//!
//! Three steps, each of its own: [`Frames`] finds frames in a datagram, [`Escaped::plain`] takes
//! the escapes out, [`Down::new_checked`] is the gate from bytes to a view. Towards the wire:
//! [`Head::build`], then [`mod@escape`].

mod escape;
mod header;
mod search;
#[cfg(test)]
mod tests;

pub use escape::{escape, escape_in_place, unescape, xor};
pub use header::{
    CENTER_BYTES, COMM_HEARTBEAT, COMM_THROUGH, Comm, DATA_BYTES_MAX, DATAGRAM_BYTES_MAX, Down, HEARTBEAT_BYTES, Head,
    OVERHEAD_BYTES, RTN_HEARTBEAT, RTN_REPLY, RTN_REQUEST, UNCOUNTED_BYTES, Up, at,
};
pub use search::{Bad, Escaped, Frames};

/// P_header.
pub const HEADER: u8 = 0xFF;
/// P_tailer.
pub const TAILER: u8 = 0xFE;
/// The byte that begins an escape pair.
pub const ESCAPE: u8 = 0xFD;
