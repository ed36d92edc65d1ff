//! The header of an outer frame: addresses, device, lengths, direction. Layout, checked views, builder.
//!
//! Direction decides the address widths: 20 + 8 bytes from a centre, 8 + 20 from an FSU. It is
//! never guessed from the content.

use super::{HEADER, TAILER, xor};
use crate::model::fleet::{FsuId, RtnFlags};
use crate::model::message::Envelope;
use crate::wire::reason::Reason;

/// Offsets of the fields before escaping.
pub mod at {
    /// P_dest_addr, both directions; the FSU's 20 bytes or the centre's 8.
    pub const DEST: usize = 1;
    /// P_src_addr in a frame from a centre.
    pub const SRC_DOWN: usize = 21;
    /// P_src_addr in a frame from an FSU.
    pub const SRC_UP: usize = 9;
    /// P_subDevType.
    pub const SUB_DEV_TYPE: usize = 29;
    /// P_subDev_addr.
    pub const SUB_DEV_ADDR: usize = 30;
    /// P_pLen.
    pub const P_LEN: usize = 31;
    /// RtnFlag.
    pub const RTN_FLAG: usize = 33;
    /// CommType.
    pub const COMM_TYPE: usize = 34;
    /// Through-data length; absent in heartbeats.
    pub const DATA_LEN: usize = 36;
    /// Through data.
    pub const DATA: usize = 38;
}

/// Bytes of a centre's address.
pub const CENTER_BYTES: usize = 8;
/// Bytes of a heartbeat, the shortest frame, before escaping.
pub const HEARTBEAT_BYTES: usize = 38;
/// Bytes around the through data: a frame with N bytes of it has 40 + N before escaping.
pub const OVERHEAD_BYTES: usize = Envelope::BInterface.overhead_bytes();
/// Bytes that P_pLen does not count: up to itself, P_verify and P_tailer.
pub const UNCOUNTED_BYTES: usize = 35;
/// Bytes of both addresses, in either direction.
const ADDRESSES_BYTES: usize = FsuId::BYTES + CENTER_BYTES;
/// Most through data that P_pLen (5 + N in 16 bits) can express.
pub const DATA_BYTES_MAX: usize = 0xFFFF - 5;
/// Most bytes of a UDP datagram's payload over IPv4; a longer frame cannot be sent.
pub const DATAGRAM_BYTES_MAX: usize = 65_507;

/// RtnFlag of a request.
pub const RTN_REQUEST: u8 = RtnFlags::REQUEST;
/// RtnFlag of a reply.
pub const RTN_REPLY: u8 = 0x00;
/// RtnFlag of a heartbeat.
pub const RTN_HEARTBEAT: u8 = 0xED;
/// CommType of through data.
pub const COMM_THROUGH: u16 = 1;
/// CommType of a heartbeat.
pub const COMM_HEARTBEAT: u16 = 2;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comm<'a> {
    /// CommType 0001: a device's frame.
    Through(&'a [u8]),
    /// CommType 0002.
    Heartbeat,
}

/// A checked frame from a centre.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Down<'a> {
    /// P_dest_addr: the FSU's id, left aligned, filled with 00.
    pub dest: &'a [u8; FsuId::BYTES],
    /// P_src_addr: the centre's; any value.
    pub src: &'a [u8; CENTER_BYTES],
    /// P_subDevType.
    pub sub_dev_type: u8,
    /// P_subDev_addr.
    pub sub_dev_addr: u8,
    /// What it carries.
    pub comm: Comm<'a>,
    /// It has the layout of an FSU's heartbeat: RtnFlag ED, and the first eight bytes of P_dest_addr are 00.
    pub is_fsu_beat: bool,
    /// P_pLen came high byte first.
    pub p_len_big: bool,
    /// The through-data length came high byte first.
    pub data_len_big: bool,
}

impl<'a> Down<'a> {
    /// Checks `plain`, an unescaped frame from P_header to P_tailer. The order of the checks: start, end, size,
    /// P_verify, P_pLen, through-data length, CommType, RtnFlag.
    #[inline]
    pub fn new_checked(plain: &'a [u8]) -> Result<Self, Reason> {
        Self::new_accepted(plain, RtnFlags::default())
    }

    /// The same with other RtnFlags than EE alone. A heartbeat may always have EE and ED. A frame with another flag
    /// and the layout of an FSU's (the first eight bytes of P_dest_addr are 00: the centre's address in a reply) is rejected: a reply
    /// is never answered.
    #[inline]
    pub fn new_accepted(plain: &'a [u8], flags: RtnFlags) -> Result<Self, Reason> {
        let body = Body::new_checked(plain)?;
        let is_usual = match body.comm {
            Comm::Through(_) => body.rtn_flag == RTN_REQUEST && flags.has(RTN_REQUEST),
            Comm::Heartbeat => matches!(body.rtn_flag, RTN_REQUEST | RTN_HEARTBEAT),
        };
        let is_up = body.rtn_flag != RTN_REQUEST && body.addresses.starts_with(&[0; CENTER_BYTES]);
        if !is_usual && (is_up || !flags.has(body.rtn_flag)) {
            return Err(Reason::OuterBadRtnFlag);
        }
        let is_fsu_beat = is_up && body.comm == Comm::Heartbeat;
        let (dest, src) = body.addresses.split_first_chunk().ok_or(Reason::OuterShort)?;
        let src = src.first_chunk().ok_or(Reason::OuterShort)?;
        let Body { sub_dev_type, sub_dev_addr, comm, p_len_big, data_len_big, .. } = body;
        Ok(Self { dest, src, sub_dev_type, sub_dev_addr, comm, is_fsu_beat, p_len_big, data_len_big })
    }
}

/// A checked frame from an FSU: a reply or a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Up<'a> {
    /// P_dest_addr: the centre's.
    pub dest: &'a [u8; CENTER_BYTES],
    /// P_src_addr: the FSU's id, left aligned, filled with 00.
    pub src: &'a [u8; FsuId::BYTES],
    /// P_subDevType.
    pub sub_dev_type: u8,
    /// P_subDev_addr.
    pub sub_dev_addr: u8,
    /// What it carries.
    pub comm: Comm<'a>,
    /// P_pLen came high byte first.
    pub p_len_big: bool,
    /// The through-data length came high byte first.
    pub data_len_big: bool,
}

impl<'a> Up<'a> {
    /// As [`Down::new_checked`], in the other direction: RtnFlag is 00 in a reply and ED in a heartbeat.
    #[inline]
    pub fn new_checked(plain: &'a [u8]) -> Result<Self, Reason> {
        let body = Body::new_checked(plain)?;
        match (body.rtn_flag, body.comm) {
            (RTN_REPLY, Comm::Through(_)) | (RTN_HEARTBEAT, Comm::Heartbeat) => {}
            _ => return Err(Reason::OuterBadRtnFlag),
        }
        let (dest, src) = body.addresses.split_first_chunk().ok_or(Reason::OuterShort)?;
        let src = src.first_chunk().ok_or(Reason::OuterShort)?;
        let Body { sub_dev_type, sub_dev_addr, comm, p_len_big, data_len_big, .. } = body;
        Ok(Self { dest, src, sub_dev_type, sub_dev_addr, comm, p_len_big, data_len_big })
    }
}

/// What does not depend on the direction.
struct Body<'a> {
    addresses: &'a [u8; ADDRESSES_BYTES],
    sub_dev_type: u8,
    sub_dev_addr: u8,
    rtn_flag: u8,
    comm: Comm<'a>,
    p_len_big: bool,
    data_len_big: bool,
}

impl<'a> Body<'a> {
    #[inline]
    fn new_checked(plain: &'a [u8]) -> Result<Self, Reason> {
        if plain.first() != Some(&HEADER) {
            return Err(Reason::OuterBadHeader);
        }
        if plain.last() != Some(&TAILER) {
            return Err(Reason::OuterBadTailer);
        }
        // A heartbeat is as long as the fields before the through data, so one array serves both.
        let Some(head) = plain.first_chunk::<HEARTBEAT_BYTES>() else { return Err(Reason::OuterShort) };
        // The XOR of all bytes after P_header, P_verify included, is zero.
        if xor(&plain[1..plain.len() - 1]) != 0 {
            return Err(Reason::OuterBadVerify);
        }
        let p_len_big = is_big_endian(head, at::P_LEN, plain.len() - UNCOUNTED_BYTES).ok_or(Reason::OuterBadPLen)?;
        let (comm, data_len_big) = match u16::from_le_bytes([head[at::COMM_TYPE], head[at::COMM_TYPE + 1]]) {
            COMM_THROUGH => {
                let data_len = plain.len().checked_sub(OVERHEAD_BYTES).ok_or(Reason::OuterBadDataLen)?;
                let big = is_big_endian(head, at::DATA_LEN, data_len).ok_or(Reason::OuterBadDataLen)?;
                (Comm::Through(&plain[at::DATA..at::DATA + data_len]), big)
            }
            COMM_HEARTBEAT if plain.len() == HEARTBEAT_BYTES => (Comm::Heartbeat, false),
            COMM_HEARTBEAT => return Err(Reason::OuterBadPLen),
            _ => return Err(Reason::OuterBadCommType),
        };
        let addresses = plain[at::DEST..].first_chunk().ok_or(Reason::OuterShort)?;
        let [sub_dev_type, sub_dev_addr] = [head[at::SUB_DEV_TYPE], head[at::SUB_DEV_ADDR]];
        Ok(Self { addresses, sub_dev_type, sub_dev_addr, rtn_flag: head[at::RTN_FLAG], comm, p_len_big, data_len_big })
    }
}

/// The order of a two-byte length: high byte first only if low byte first does not fit. `None`: neither fits.
#[inline]
fn is_big_endian(head: &[u8; HEARTBEAT_BYTES], at: usize, expected: usize) -> Option<bool> {
    let bytes = [head[at], head[at + 1]];
    if usize::from(u16::from_le_bytes(bytes)) == expected {
        Some(false)
    } else {
        (usize::from(u16::from_be_bytes(bytes)) == expected).then_some(true)
    }
}

/// Everything of a frame but its data: what [`Head::build`] needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// P_dest_addr and P_src_addr, in the widths of the direction.
    pub addresses: [u8; ADDRESSES_BYTES],
    /// P_subDevType.
    pub sub_dev_type: u8,
    /// P_subDev_addr.
    pub sub_dev_addr: u8,
    /// RtnFlag.
    pub rtn_flag: u8,
    /// Write P_pLen high byte first.
    pub p_len_big: bool,
    /// Write the through-data length high byte first.
    pub data_len_big: bool,
}

impl Head {
    /// A request of a centre whose address is `src`.
    pub fn request(dest: &[u8; FsuId::BYTES], src: &[u8; CENTER_BYTES], sub_dev_type: u8, sub_dev_addr: u8) -> Self {
        let mut addresses = [0; ADDRESSES_BYTES];
        addresses[..FsuId::BYTES].copy_from_slice(dest);
        addresses[FsuId::BYTES..].copy_from_slice(src);
        Self { addresses, sub_dev_type, sub_dev_addr, rtn_flag: RTN_REQUEST, p_len_big: false, data_len_big: false }
    }

    /// A centre's heartbeat, to be built without data.
    pub fn center_heartbeat(dest: &[u8; FsuId::BYTES], src: &[u8; CENTER_BYTES]) -> Self {
        Self { rtn_flag: RTN_HEARTBEAT, ..Self::request(dest, src, 1, 0) }
    }

    /// The reply of FSU `src` to `request`: its device, its byte orders. P_dest_addr is 00.
    #[inline]
    pub fn reply(src: &[u8; FsuId::BYTES], request: &Down<'_>) -> Self {
        let &Down { sub_dev_type, sub_dev_addr, p_len_big, data_len_big, .. } = request;
        Self { rtn_flag: RTN_REPLY, p_len_big, data_len_big, ..Self::heartbeat(src, sub_dev_type, sub_dev_addr) }
    }

    /// What FSU `src` says unasked, of one of its devices. P_dest_addr is 00.
    pub fn unasked(src: &[u8; FsuId::BYTES], sub_dev_type: u8, sub_dev_addr: u8) -> Self {
        Self { rtn_flag: RTN_REPLY, ..Self::heartbeat(src, sub_dev_type, sub_dev_addr) }
    }

    /// A heartbeat of FSU `src`, to be built without data.
    #[inline]
    pub fn heartbeat(src: &[u8; FsuId::BYTES], sub_dev_type: u8, sub_dev_addr: u8) -> Self {
        let mut addresses = [0; ADDRESSES_BYTES];
        addresses[CENTER_BYTES..].copy_from_slice(src);
        Self { addresses, sub_dev_type, sub_dev_addr, rtn_flag: RTN_HEARTBEAT, p_len_big: false, data_len_big: false }
    }

    /// Writes the frame, before escaping, to `out`, which is overwritten. Without data it is a heartbeat (CommType 0002).
    /// The error is [`Reason::TooLong`]: more data than P_pLen can express.
    #[inline]
    pub fn build(&self, data: Option<&[u8]>, out: &mut Vec<u8>) -> Result<(), Reason> {
        let data_len = data.map_or(0, <[u8]>::len);
        if data_len > DATA_BYTES_MAX {
            return Err(Reason::TooLong);
        }
        let order = |value: usize, big: bool| {
            let value = value as u16;
            (if big { value.swap_bytes() } else { value }).to_le_bytes()
        };
        let plain_len = if data.is_some() { OVERHEAD_BYTES + data_len } else { HEARTBEAT_BYTES };
        let comm_type = if data.is_some() { COMM_THROUGH } else { COMM_HEARTBEAT };
        // Most replies are as long as the one before: nothing is filled then.
        out.resize(plain_len, 0);
        let (head, rest) = out.split_at_mut(at::DATA_LEN);
        head[0] = HEADER;
        head[at::DEST..at::SUB_DEV_TYPE].copy_from_slice(&self.addresses);
        head[at::SUB_DEV_TYPE] = self.sub_dev_type;
        head[at::SUB_DEV_ADDR] = self.sub_dev_addr;
        head[at::P_LEN..at::RTN_FLAG].copy_from_slice(&order(plain_len - UNCOUNTED_BYTES, self.p_len_big));
        head[at::RTN_FLAG] = self.rtn_flag;
        head[at::COMM_TYPE..at::DATA_LEN].copy_from_slice(&comm_type.to_le_bytes());
        if let Some(data) = data {
            let (len, rest) = rest.split_at_mut(at::DATA - at::DATA_LEN);
            len.copy_from_slice(&order(data_len, self.data_len_big));
            rest[..data_len].copy_from_slice(data);
        }
        let verify = xor(&out[1..plain_len - 2]);
        out[plain_len - 2..].copy_from_slice(&[verify, TAILER]);
        Ok(())
    }
}
