//! How messages travel.

use crate::words;

words! {
    /// How an FSU is reached: `protocol_type`; part of the device log's file name.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum Transport {
        /// B interface: outer frames in datagrams.
        Udp = "udp",
        /// The vendor's frames in a stream.
        Tcp = "tcp",
        /// BroadCast: one inner frame a datagram.
        Broadcast = "broadcast",
    }
}
