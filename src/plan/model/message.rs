//! How messages travel.

/// How an FSU is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// B interface: outer frames in datagrams.
    Udp,
    /// The vendor's frames in a stream.
    Tcp,
    /// BroadCast: one inner frame a datagram.
    Broadcast,
}

impl Transport {
    /// As `protocol_type` spells it; part of the device log's file name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Broadcast => "broadcast",
        }
    }
}
