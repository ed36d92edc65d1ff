//! Why a frame was not answered, or a reply not sent: one flat set, so that counting is an index.

use crate::words;

words! {
    /// A reason. Bad input is counted by it, never returned as an error with a message.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[repr(u8)]
    pub enum Reason {
        OuterBadHeader = "outer_bad_header": "outer: bytes before P_header (FF)",
        OuterBadTailer = "outer_bad_tailer": "outer: no P_tailer (FE) after P_header",
        OuterBadEscape = "outer_bad_escape": "outer: FD not followed by 00, 01 or 02, or an FF inside",
        OuterShort = "outer_short": "outer: fewer bytes than a heartbeat has",
        OuterBadVerify = "outer_bad_verify": "outer: P_verify is wrong",
        OuterBadPLen = "outer_bad_p_len": "outer: P_pLen contradicts the frame",
        OuterBadDataLen = "outer_bad_data_len": "outer: the through-data length contradicts the frame",
        OuterBadRtnFlag = "outer_bad_rtn_flag": "outer: RtnFlag is not EE or another that accept_rtn_flags names (nor ED in a heartbeat), or it is a reply",
        OuterBadCommType = "outer_bad_comm_type": "outer: CommType is neither 0001 nor 0002",
        WrongFsu = "wrong_fsu": "outer: addressed to another FSU",
        UnknownDevice = "unknown_device": "outer: no device with that P_subDevType and P_subDev_addr",
        Short = "short": "inner: fewer bytes than the smallest frame",
        BadStart = "bad_start": "inner: does not begin with the start field",
        BadEnd = "bad_end": "inner: does not end with the end field",
        BadHex = "bad_hex": "inner: a character that is no hex digit",
        BadEscape = "bad_escape": "inner: an escape that the envelope does not have",
        BadLengthChecksum = "bad_length_checksum": "inner: the length field's own check is wrong",
        BadLength = "bad_length": "inner: the length contradicts the frame",
        BadChecksum = "bad_checksum": "inner: the checksum is wrong (not answered: verify_checksum strict)",
        BadVersion = "bad_version": "inner: a header constant differs",
        UnknownCommand = "unknown_command": "inner: no command has that key, size and constants",
        Unmatched = "unmatched": "no rule for the command",
        TooLong = "too_long": "a reply that would be too long for its frame or datagram",
        PendingFull = "pending_full": "udp: too many delayed replies waiting, of all FSUs of the shard together",
        PendingShare = "pending_share": "udp: the FSU has more delayed replies waiting than its share",
        PendingPeerShare = "pending_peer_share": "udp: the peer has more delayed replies waiting than its share",
        PeerGone = "peer_gone": "the peer of a delayed reply is gone",
        SendFailed = "send_failed": "the system refused to send it",
        DrainEnded = "drain_ended": "still waiting when the drain time ended",
        Garbage = "garbage_bytes": "tcp: bytes that start no frame",
        FrameDeadline = "frame_deadline": "tcp: a started frame was not whole in time",
        ConnectionLimit = "connection_limit": "tcp: a connection past the limit",
        IdleTimeout = "idle_timeout": "tcp: closed, no whole frame for too long",
        WriteDeadline = "write_deadline": "tcp: closed, replies left unread for too long",
        AcceptFailed = "accept_failed": "tcp: accept failed for want of file descriptors",
        SocketError = "socket_error": "the kernel reported an error on a socket",
        NotAllowed = "not_allowed": "from a centre that allow does not name",
        Amplification = "amplification": "udp: a reply of more than three times its request to another host (allow_amplification lets it pass)",
        OwnPort = "own_port": "udp: from one of this fleet's own sockets, or so it says",
        NotUnicast = "not_unicast": "udp: from an address that is no single host's, or so it says",
        MockReply = "mock_reply": "broadcast: a reply, of this program or another that serves FSUs",
        PeerConnectionLimit = "connection_peer_limit": "tcp: a connection past the limit for one peer",
        TlsPlain = "tls_plain": "tls: what the peer sends is no TLS",
        TlsHandshake = "tls_handshake": "tls: no handshake: no version or cipher in common, or a wrong message",
        TlsCertificate = "tls_certificate": "tls: a certificate was not accepted, on this side or on the other",
        TlsTimeout = "tls_timeout": "tls: the handshake was not done in time",
        TlsClosed = "tls_closed": "tls: the peer left before the handshake was done",
        TlsRecord = "tls_record": "tls: a record after the handshake is wrong",
        NoMemory = "no_memory": "there was no memory to hold a connection, a started frame or a reply",
    }
}

impl Reason {
    /// As counters, logs and the JSON statistics spell it.
    #[inline]
    pub fn reason(self) -> &'static str {
        self.name()
    }

    /// Replies that were not to leave yet and got no place to wait: there was none left, the FSU or the peer had more than its share, or there
    /// was no memory.
    pub const NO_ROOM: [Self; 4] = [Self::PendingFull, Self::PendingShare, Self::PendingPeerShare, Self::NoMemory];
}
