//! What a stage knows about a frame. The logs print this and decide nothing themselves.

use fsu_plan::model::fault::{FaultKind, Kinds};
use fsu_plan::wire::reason::Reason;
use fsu_plan::words;

/// Stands for no number, and for a number too large for 16 bits.
pub const NONE: u16 = u16::MAX;

/// Stands for a reply that is none of a rule's `replies`, or one behind the first 255.
pub const NO_REPLY: u8 = u8::MAX;

/// A number as [`About`] stores it.
#[inline]
pub fn told(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(NONE)
}

/// Nanoseconds as [`About`] stores them.
#[inline]
pub fn us(ns: i64) -> u32 {
    u32::try_from(ns.max(0) / 1_000).unwrap_or(u32::MAX)
}

words! {
    /// What became of a received frame, or what kind of frame is sent.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    #[repr(u8)]
    pub enum What {
        /// Unknown.
        #[default]
        Unknown = "unknown",
        /// A rule's reply.
        Answered = "answered",
        /// The template's reply to a wrong request; [`About::why`] says what is wrong.
        ErrorReply = "error_reply",
        /// The template's refusal of a transfer.
        Refused = "refused",
        /// A rule leaves it unanswered.
        Silent = "silent",
        /// A heartbeat.
        Heartbeat = "heartbeat",
        /// Not answered; [`About::why`] is the reason.
        Dropped = "dropped",
        /// A data frame of a transfer.
        Data = "data",
        /// A message that the device says unasked; [`About::rule`] is its number.
        Message = "message",
        /// It acknowledges a message, or nothing that waits.
        Acknowledgement = "acknowledgement",
    }
}

/// What is known about one frame. It travels with a reply until the reply has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// Index of the device in the FSU, or [`NONE`].
    pub device: u16,
    /// Index of the command in the device's template, or [`NONE`].
    pub command: u16,
    /// Index of the rule among the command's rules, or [`NONE`].
    pub rule: u16,
    /// What became of it.
    pub what: What,
    /// Why it was not answered, or what is wrong with it.
    pub why: Option<Reason>,
    /// Request: the faults that left it unanswered. Reply: the faults in it.
    pub faults: Kinds,
    /// The delay that the rule gave, in microseconds; saturates at 71 minutes.
    pub delay_us: u32,
    /// Reply: time from its request until it is due, in microseconds, whatever the cause.
    pub held_us: u32,
    /// Request: its sender gets a reply or a heartbeat.
    pub is_met: bool,
    /// Reply: its number among the rule's `replies`, from 0, or [`NO_REPLY`].
    pub reply: u8,
}

impl Default for About {
    fn default() -> Self {
        Self::UNKNOWN
    }
}

impl About {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self {
        device: NONE,
        command: NONE,
        rule: NONE,
        what: What::Unknown,
        why: None,
        faults: Kinds::NONE,
        delay_us: 0,
        held_us: 0,
        is_met: false,
        reply: NO_REPLY,
    };
    /// A heartbeat.
    pub const HEARTBEAT: Self = Self { what: What::Heartbeat, ..Self::UNKNOWN };
    /// Size of [`About::encode`]'s result.
    pub const BYTES: usize = 20;

    /// Bytes that no device took.
    #[inline]
    pub fn dropped(why: Reason) -> Self {
        Self { what: What::Dropped, why: Some(why), ..Self::UNKNOWN }
    }

    /// A frame for that device; nothing else is known yet.
    #[inline]
    pub fn of(device: usize) -> Self {
        Self { device: told(device), ..Self::UNKNOWN }
    }

    /// Index of the device that took the frame; `device` if that is unknown.
    #[inline]
    pub(crate) fn asked(&self, device: usize) -> usize {
        if self.device == NONE { device } else { usize::from(self.device) }
    }

    /// The same, dropped.
    #[inline]
    #[must_use]
    pub fn drop(self, why: Reason) -> Self {
        Self { what: What::Dropped, why: Some(why), ..self }
    }

    /// The same, lost to a fault.
    #[must_use]
    pub fn lost(mut self, kind: FaultKind) -> Self {
        self.faults.add(kind);
        self
    }

    /// As bytes: device, command, rule, faults (2 each), what, why (FF: none), delay, held (4 each), whether it was met, the reply's number; little endian.
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        for (place, number) in
            bytes[..8].chunks_exact_mut(2).zip([self.device, self.command, self.rule, self.faults.bits()])
        {
            place.copy_from_slice(&number.to_le_bytes());
        }
        bytes[8] = self.what as u8;
        bytes[9] = self.why.map_or(NO_REASON, |why| why as u8);
        bytes[10..14].copy_from_slice(&self.delay_us.to_le_bytes());
        bytes[14..18].copy_from_slice(&self.held_us.to_le_bytes());
        bytes[18] = u8::from(self.is_met);
        bytes[19] = self.reply;
        bytes
    }

    /// The reverse of [`About::encode`]; `None` if the bytes are invalid.
    pub fn decode(bytes: &[u8; Self::BYTES]) -> Option<Self> {
        let two = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let four = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        Some(Self {
            device: two(0),
            command: two(2),
            rule: two(4),
            faults: Kinds::from_bits(two(6))?,
            what: *What::ALL.get(usize::from(bytes[8]))?,
            why: match bytes[9] {
                NO_REASON => None,
                number => Some(*Reason::ALL.get(usize::from(number))?),
            },
            delay_us: four(10),
            held_us: four(14),
            is_met: match bytes[18] {
                0 => false,
                1 => true,
                _ => return None,
            },
            reply: bytes[19],
        })
    }
}

/// Collects what happens to the replies of one request.
///
/// A [`Sink`](crate::sink::Sink) that feeds a log holds one.
#[derive(Clone, Copy, Debug)]
pub struct Telling {
    /// The reply that is sent next.
    pub reply: About,
    /// Why the last of the request's replies was refused.
    why: Option<Reason>,
    /// Faults that left replies unsent.
    lost: Kinds,
    /// Something was sent, or is queued.
    is_met: bool,
}

impl Default for Telling {
    fn default() -> Self {
        Self { reply: About::UNKNOWN, why: None, lost: Kinds::NONE, is_met: false }
    }
}

impl Telling {
    /// A reply is sent, due `held_ns` after its request.
    #[inline]
    pub fn sent(&mut self, held_ns: i64) -> About {
        self.is_met = true;
        About { held_us: us(held_ns), ..self.reply }
    }

    /// A reply was not taken.
    #[inline]
    pub fn refused(&mut self, why: Reason) {
        self.why = Some(why);
    }

    /// A fault was made.
    #[inline]
    pub fn fault(&mut self, kind: FaultKind) {
        if matches!(
            kind,
            FaultKind::Drop | FaultKind::Reset | FaultKind::Stall | FaultKind::HalfClose | FaultKind::Offline
        ) {
            self.lost.add(kind);
        }
    }

    /// Finishes the request. Later calls belong to the next one.
    #[inline]
    pub fn settle(&mut self, request: About) -> About {
        let Self { why, lost, is_met, .. } = std::mem::take(self);
        About { why: request.why.or(why), faults: lost, is_met, ..request }
    }
}

const NO_REASON: u8 = 0xFF;

// Every reason fits in a byte, and none of them is the byte for "none".
const _: () = assert!(Reason::COUNT < NO_REASON as usize);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn it_is_laid_out_as_documented() {
        let mut faults = Kinds::NONE;
        faults.add(FaultKind::Reset);
        let about = About {
            device: 1,
            command: 2,
            rule: NONE,
            what: What::Dropped,
            why: Some(Reason::WrongFsu),
            faults,
            delay_us: 3,
            held_us: 4,
            is_met: true,
            reply: 7,
        };
        assert_eq!(hex::encode(about.encode()), "01000200ffff0200060903000000040000000107");
        assert_eq!(hex::encode(About::UNKNOWN.encode()), "ffffffffffff000000ff000000000000000000ff");
        assert!(size_of::<About>() <= 20, "{}", size_of::<About>());
    }

    #[test]
    fn a_request_ends_with_what_became_of_its_replies() {
        let mut telling = Telling { reply: About::of(1), ..Telling::default() };
        assert_eq!(telling.sent(-1).held_us, 0);
        assert_eq!(telling.sent(i64::MAX), About { held_us: u32::MAX, ..About::of(1) });
        telling.refused(Reason::PendingFull);
        telling.fault(FaultKind::Corrupt);
        telling.fault(FaultKind::Drop);
        let request = telling.settle(About::of(1));
        let lost: Vec<FaultKind> = request.faults.iter().collect();
        assert_eq!((request.why, lost, request.is_met), (Some(Reason::PendingFull), vec![FaultKind::Drop], true));
        assert_eq!(telling.settle(About::of(1)), About::of(1));
    }

    proptest! {
        #[test]
        fn any_bytes_come_back_or_are_none(bytes: [u8; About::BYTES]) {
            if let Some(about) = About::decode(&bytes) {
                prop_assert_eq!(about.encode(), bytes);
            }
        }
    }
}
