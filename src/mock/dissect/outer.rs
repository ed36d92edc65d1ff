//! Splits the outer frame of the B interface into fields (spec b-interface.md).

use fsu_plan::model::fleet::{Fsu, FsuId};
use fsu_plan::wire::envelope::{
    CENTER_BYTES, COMM_HEARTBEAT, HEADER, HEARTBEAT_BYTES, OVERHEAD_BYTES, RTN_HEARTBEAT, RTN_REPLY, RTN_REQUEST,
    TAILER, UNCOUNTED_BYTES, at, xor,
};
use fsu_plan::words;
use std::ops::Range;

words! {
    /// A field of the outer frame, in the order of the wire.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum OuterField {
        /// FF.
        Header = "P_header",
        /// Who gets it.
        Dest = "P_dest_addr",
        /// Who sent it.
        Src = "P_src_addr",
        /// The device's type.
        SubDevType = "P_subDevType",
        /// The device's address.
        SubDevAddr = "P_subDev_addr",
        /// The length of the frame.
        PLen = "P_pLen",
        /// Request, reply or heartbeat.
        RtnFlag = "RtnFlag",
        /// Through data or heartbeat.
        CommType = "CommType",
        /// The length of the through data.
        DataLen = "through-data length",
        /// The vendor's frame.
        Data = "through data",
        /// XOR of all bytes before it but P_header.
        Verify = "P_verify",
        /// FE.
        Tailer = "P_tailer",
    }
}

/// Who sends a frame, which determines the widths of the addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The centre.
    Down,
    /// The FSU.
    Up,
}

/// Whose address a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// A centre's; any bytes are valid.
    Centre,
    /// This FSU's.
    This,
    /// Another FSU's.
    Other,
}

/// The meaning of an RtnFlag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rtn {
    /// A request.
    Request,
    /// A reply.
    Reply,
    /// A heartbeat.
    Heartbeat,
    /// None of them.
    Unknown,
}

/// A field's value, and the expected value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OuterValue {
    /// A byte with one valid value.
    Byte {
        /// That value.
        right: u8,
    },
    /// An address.
    Address(Party),
    /// The device's type or address.
    Device,
    /// A length. It is sent low byte first. High byte first is accepted if only that order gives the expected value.
    Length {
        /// Its value, in the accepted byte order.
        value: u16,
        /// High byte first.
        high_first: bool,
        /// The expected value; `None` if the frame is too short to tell. It may exceed 16 bits.
        right: Option<usize>,
    },
    /// RtnFlag.
    Rtn {
        /// Its meaning.
        says: Rtn,
        /// Whether it is valid in this direction.
        is_right: bool,
    },
    /// CommType.
    Comm(u16),
    /// The vendor's frame.
    Data,
}

/// A field of an outer frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OuterPiece<'a> {
    /// Which.
    pub field: OuterField,
    /// Offset of its first byte in the unescaped frame.
    pub at: usize,
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Their meaning.
    pub value: OuterValue,
}

/// An unescaped outer frame, complete or not, valid or not.
#[derive(Clone, Copy, Debug)]
pub struct Outer<'a> {
    /// Its bytes, from P_header to P_tailer.
    pub plain: &'a [u8],
    /// Who sent it.
    pub way: Way,
    /// The FSU that it belongs to.
    pub fsu: &'a Fsu,
}

impl<'a> Outer<'a> {
    /// Whether it has all fields up to CommType, P_verify and P_tailer.
    pub fn is_whole(&self) -> bool {
        self.plain.len() >= HEARTBEAT_BYTES
    }

    /// CommType, if the frame is long enough for it.
    pub fn comm_type(&self) -> Option<u16> {
        self.plain.get(at::COMM_TYPE..).and_then(<[u8]>::first_chunk).map(|bytes| u16::from_le_bytes(*bytes))
    }

    /// The through data, which every frame except a heartbeat carries.
    pub fn through(&self) -> Option<&'a [u8]> {
        let has_data = self.plain.len() >= OVERHEAD_BYTES && self.comm_type() != Some(COMM_HEARTBEAT);
        if has_data { self.plain.get(at::DATA..self.plain.len() - 2) } else { None }
    }

    /// Passes each field that the frame is long enough for to `see`, in wire order.
    #[inline]
    pub fn visit(&self, see: impl FnMut(OuterPiece<'a>)) {
        let len = self.plain.len();
        let src = match self.way {
            Way::Down => at::SRC_DOWN,
            Way::Up => at::SRC_UP,
        };
        let mut show = Show { plain: self.plain, see };
        show.field(OuterField::Header, 0..at::DEST, |_| OuterValue::Byte { right: HEADER });
        show.field(OuterField::Dest, at::DEST..src, |bytes| self.address(bytes));
        show.field(OuterField::Src, src..at::SUB_DEV_TYPE, |bytes| self.address(bytes));
        show.field(OuterField::SubDevType, at::SUB_DEV_TYPE..at::SUB_DEV_ADDR, |_| OuterValue::Device);
        show.field(OuterField::SubDevAddr, at::SUB_DEV_ADDR..at::P_LEN, |_| OuterValue::Device);
        let p_len = len.checked_sub(UNCOUNTED_BYTES);
        show.field(OuterField::PLen, at::P_LEN..at::RTN_FLAG, |bytes| length(bytes, p_len));
        show.field(OuterField::RtnFlag, at::RTN_FLAG..at::COMM_TYPE, |bytes| self.rtn(bytes[0]));
        show.field(OuterField::CommType, at::COMM_TYPE..at::DATA_LEN, |bytes| {
            OuterValue::Comm(u16::from_le_bytes([bytes[0], bytes[1]]))
        });
        if let Some(data) = self.through() {
            show.field(OuterField::DataLen, at::DATA_LEN..at::DATA, |bytes| length(bytes, Some(data.len())));
            show.field(OuterField::Data, at::DATA..len - 2, |_| OuterValue::Data);
        }
        if self.is_whole() {
            show.field(OuterField::Verify, len - 2..len - 1, |_| OuterValue::Byte { right: self.verify() });
            show.field(OuterField::Tailer, len - 1..len, |_| OuterValue::Byte { right: TAILER });
        }
    }

    /// The expected P_verify: the XOR of the bytes between P_header and P_verify.
    pub fn verify(&self) -> u8 {
        xor(self.plain.get(1..self.plain.len().saturating_sub(2)).unwrap_or_default())
    }

    fn address(&self, bytes: &[u8]) -> OuterValue {
        OuterValue::Address(match bytes.len() {
            FsuId::BYTES if *bytes == self.fsu.id.bytes => Party::This,
            FsuId::BYTES => Party::Other,
            _ => Party::Centre,
        })
    }

    fn rtn(&self, flag: u8) -> OuterValue {
        let is_heartbeat = self.comm_type() == Some(COMM_HEARTBEAT);
        let (says, is_right) = match flag {
            flag if self.way == Way::Down && self.is_accepted(flag) => (Rtn::Request, true),
            RTN_REQUEST => (Rtn::Request, self.way == Way::Down && is_heartbeat),
            RTN_REPLY => (Rtn::Reply, self.way == Way::Up),
            RTN_HEARTBEAT => (Rtn::Heartbeat, is_heartbeat),
            _ => (Rtn::Unknown, false),
        };
        OuterValue::Rtn { says, is_right }
    }

    /// Whether a request with this RtnFlag is accepted. If the flag is not EE, the frame must not have the layout of a reply.
    fn is_accepted(&self, flag: u8) -> bool {
        let is_reply = || self.plain[at::DEST..].starts_with(&[0; CENTER_BYTES]);
        self.fsu.accept_rtn_flags.has(flag) && (flag == RTN_REQUEST || !is_reply())
    }
}

/// Calls `see` with each field that is present.
struct Show<'a, S> {
    plain: &'a [u8],
    see: S,
}

impl<'a, S: FnMut(OuterPiece<'a>)> Show<'a, S> {
    #[inline]
    fn field(&mut self, field: OuterField, range: Range<usize>, value: impl FnOnce(&'a [u8]) -> OuterValue) {
        let at = range.start;
        if let Some(bytes) = self.plain.get(range) {
            (self.see)(OuterPiece { field, at, bytes, value: value(bytes) });
        }
    }
}

#[inline]
fn length(bytes: &[u8], right: Option<usize>) -> OuterValue {
    let bytes = [bytes[0], bytes[1]];
    let (low_first, high_first) = (u16::from_le_bytes(bytes), u16::from_be_bytes(bytes));
    let is_high = right.is_some_and(|right| usize::from(low_first) != right && usize::from(high_first) == right);
    OuterValue::Length { value: if is_high { high_first } else { low_first }, high_first: is_high, right }
}
