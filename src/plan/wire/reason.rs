//! Why a frame was not answered, or a reply not sent: one flat set, so that counting is an index.

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal,)+) => {
        /// A reason. Bad input is counted by it, never returned as an error with a message.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Reason { $($(#[doc = $doc])+ $name,)+ }

        impl Reason {
            /// Every reason, in counting order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// As counters, logs and the JSON statistics spell it.
            pub fn reason(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// What it means, for people.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+),)+ }
            }
        }
    };
}

reasons! {
    /// outer: bytes before P_header (FF)
    OuterBadHeader = "outer_bad_header",
    /// outer: no P_tailer (FE) after P_header
    OuterBadTailer = "outer_bad_tailer",
    /// outer: FD not followed by 00, 01 or 02, or an FF inside
    OuterBadEscape = "outer_bad_escape",
    /// outer: fewer bytes than a heartbeat has
    OuterShort = "outer_short",
    /// outer: P_verify is wrong
    OuterBadVerify = "outer_bad_verify",
    /// outer: P_pLen contradicts the frame
    OuterBadPLen = "outer_bad_p_len",
    /// outer: the through-data length contradicts the frame
    OuterBadDataLen = "outer_bad_data_len",
    /// outer: RtnFlag is not EE or another that accept_rtn_flags names (nor ED in a heartbeat), or it is a reply
    OuterBadRtnFlag = "outer_bad_rtn_flag",
    /// outer: CommType is neither 0001 nor 0002
    OuterBadCommType = "outer_bad_comm_type",
    /// outer: addressed to another FSU
    WrongFsu = "wrong_fsu",
    /// outer: no device with that P_subDevType and P_subDev_addr
    UnknownDevice = "unknown_device",
    /// inner: fewer bytes than the smallest frame
    Short = "short",
    /// inner: does not begin with the start field
    BadStart = "bad_start",
    /// inner: does not end with the end field
    BadEnd = "bad_end",
    /// inner: a character that is no hex digit
    BadHex = "bad_hex",
    /// inner: the length field's own check is wrong
    BadLengthChecksum = "bad_length_checksum",
    /// inner: the length contradicts the frame
    BadLength = "bad_length",
    /// inner: the checksum is wrong (not answered: verify_checksum strict)
    BadChecksum = "bad_checksum",
    /// inner: a header constant differs
    BadVersion = "bad_version",
    /// inner: no command has that key, size and constants
    UnknownCommand = "unknown_command",
    /// no rule for the command
    Unmatched = "unmatched",
    /// a reply that would be too long for its frame or datagram
    TooLong = "too_long",
    /// udp: too many delayed replies waiting, of all FSUs of the shard together
    PendingFull = "pending_full",
    /// udp: the FSU has more delayed replies waiting than its share
    PendingShare = "pending_share",
    /// udp: the peer has more delayed replies waiting than its share
    PendingPeerShare = "pending_peer_share",
    /// the peer of a delayed reply is gone
    PeerGone = "peer_gone",
    /// the system refused to send it
    SendFailed = "send_failed",
    /// still waiting when the drain time ended
    DrainEnded = "drain_ended",
    /// tcp: bytes that start no frame
    Garbage = "garbage_bytes",
    /// tcp: a started frame was not whole in time
    FrameDeadline = "frame_deadline",
    /// tcp: a connection past the limit
    ConnectionLimit = "connection_limit",
    /// tcp: closed, no whole frame for too long
    IdleTimeout = "idle_timeout",
    /// tcp: closed, replies left unread for too long
    WriteDeadline = "write_deadline",
    /// tcp: accept failed for want of file descriptors
    AcceptFailed = "accept_failed",
    /// the kernel reported an error on a socket
    SocketError = "socket_error",
    /// from a centre that allow does not name
    NotAllowed = "not_allowed",
    /// udp: a reply of more than three times its request to another host (allow_amplification lets it pass)
    Amplification = "amplification",
    /// udp: from one of this fleet's own sockets, or so it says
    OwnPort = "own_port",
    /// udp: from an address that is no single host's, or so it says
    NotUnicast = "not_unicast",
    /// broadcast: a reply, of this program or another that serves FSUs
    MockReply = "mock_reply",
    /// tcp: a connection past the limit for one peer
    PeerConnectionLimit = "connection_peer_limit",
    /// there was no memory to hold a connection, a started frame or a reply
    NoMemory = "no_memory",
}

impl Reason {
    /// Replies that were not to leave yet and got no place to wait: there was none left, the FSU or the peer had more than its share, or there
    /// was no memory.
    pub const NO_ROOM: [Self; 4] = [Self::PendingFull, Self::PendingShare, Self::PendingPeerShare, Self::NoMemory];
}
