//! How bad it is on the machine and the network.

use fastrand::Rng;

/// Half of the troubles are absent from a run. Shares are of 1.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::driver) struct Weather {
    /// A call is interrupted, or there is nothing now although there should be.
    pub(in crate::driver) interrupted: f64,
    /// The kernel has no room for a datagram, or memory for what is sent to a stream.
    pub(in crate::driver) full: f64,
    /// It refuses a datagram.
    pub(in crate::driver) refused: f64,
    /// A datagram does not fit into a packet of its way.
    pub(in crate::driver) long: f64,
    /// Fewer bytes or datagrams than there are, or than there is room for.
    pub(in crate::driver) partial: f64,
    /// No descriptor for a connection.
    pub(in crate::driver) no_descriptors: f64,
    /// A connection that is gone when it is accepted.
    pub(in crate::driver) aborted: f64,
    /// Datagrams of one peer in a row come as one.
    pub(in crate::driver) joined: f64,
    /// The kernel does not cut one buffer into datagrams.
    pub(in crate::driver) no_segmentation: bool,
    /// What is ready is told in any order.
    pub(in crate::driver) any_order: bool,
    /// An operation of the ring ends although it goes on for good, or finds no buffer.
    pub(in crate::driver) ended: f64,
    /// Not all that was begun is taken with a wait.
    pub(in crate::driver) left_over: f64,
    /// Completions that fit into their queue; the rest is kept elsewhere.
    pub(in crate::driver) completions_max: usize,
    /// Receive buffers of a ring, for datagrams and for bytes: a power of 2.
    pub(in crate::driver) buffers_max: u16,
    /// A wait may end so much later than it should, in nanoseconds.
    pub(in crate::driver) late_wakeup_ns: u64,
    /// Datagrams that a socket has room for.
    pub(in crate::driver) queue_max: usize,
    /// Bytes that the kernels keep of a stream, each way.
    pub(in crate::driver) inbound_max: usize,
    pub(in crate::driver) outbound_max: usize,
}

impl Weather {
    /// A fine day.
    pub(in crate::driver) fn fine() -> Self {
        Self {
            completions_max: 4_096,
            buffers_max: 256,
            queue_max: 4_096,
            inbound_max: 256 << 10,
            outbound_max: 128 << 10,
            ..Self::default()
        }
    }

    /// Any.
    pub(in crate::driver) fn of(rng: &mut Rng) -> Self {
        let mut p = |max: f64| if rng.bool() { 0.0 } else { rng.f64() * max };
        let (interrupted, full, refused, partial) = (p(0.3), p(0.5), p(0.2), p(0.8));
        let (no_descriptors, aborted, joined, ended, left_over) = (p(0.5), p(0.3), p(0.8), p(0.3), p(0.5));
        let long = p(0.2);
        Self {
            interrupted,
            full,
            long,
            refused,
            partial,
            no_descriptors,
            aborted,
            joined,
            no_segmentation: rng.u8(..4) == 0,
            any_order: rng.bool(),
            ended,
            left_over,
            completions_max: if rng.bool() { 4_096 } else { rng.usize(2..32) },
            buffers_max: 1 << rng.u16(1..6),
            late_wakeup_ns: if rng.bool() { 0 } else { rng.u64(..5_000_000) },
            queue_max: if rng.bool() { 4_096 } else { rng.usize(4..40) },
            inbound_max: if rng.bool() { 256 << 10 } else { rng.usize(20..2_000) },
            outbound_max: if rng.bool() { 128 << 10 } else { rng.usize(20..2_000) },
        }
    }
}
