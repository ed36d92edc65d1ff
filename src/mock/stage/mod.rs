//! From bytes as they travel to answers, by transport. The stages have one shape: bytes in, [`Sink`](crate::sink::Sink) calls out.
//!
//! - [`b_interface`]: one datagram of the B interface: outer frames, devices, heartbeats.
//! - [`stream`]: the bytes of a TCP connection: frames, devices.
//! - [`datagram`]: one datagram that is one inner frame.
//! - [`transfer`]: data that follows an answer in frames of its own.

pub mod b_interface;
pub mod datagram;
pub mod stream;
pub mod transfer;

/// What a datagram showed of its sender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// At least one frame was valid and meant for this FSU: the sender is a centre.
    pub valid: bool,
}
