//! Ways to save processor time that `bench/ab.sh` compares: it switches them while a shard serves. In the product all are on, as constants.

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "ab"), allow(dead_code, reason = "only the comparison takes them all"))]
pub(crate) enum Way {
    /// Datagrams leave through the ring.
    Sends,
    /// The kernel knows the sockets that they leave by.
    Files,
    /// Sockets do not fragment.
    Whole,
    /// A centre that asks often has a socket that is connected to it.
    Connected,
}

/// Whether it is taken.
#[cfg(not(feature = "ab"))]
#[inline]
pub(crate) const fn takes(_: Way) -> bool {
    true
}

#[cfg(feature = "ab")]
pub(crate) use super::ab::takes;
