//! Optimisations that `bench/ab.sh` compares by switching them on and off while a shard serves. In the product all are constants and on.

/// One optimisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "ab"), allow(dead_code, reason = "only the comparison takes them all"))]
pub(crate) enum Way {
    /// Datagrams are sent through the io_uring ring.
    Sends,
    /// Sockets are registered with the kernel for sending.
    Files,
    /// Sockets do not fragment.
    Whole,
    /// A centre that asks often gets a connected socket.
    Connected,
}

/// Whether it is on.
#[cfg(not(feature = "ab"))]
#[inline]
pub(crate) const fn takes(_: Way) -> bool {
    true
}

#[cfg(feature = "ab")]
pub(crate) use super::ab::takes;
