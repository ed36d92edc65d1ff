//! What a stage knew of a frame: what the logs say of it, so that they decide nothing by themselves.

use fsu_plan::model::fault::{FaultKind, Kinds};
use fsu_plan::wire::reason::Reason;

/// The number of none; also that of one too large to be told.
pub const NONE: u16 = u16::MAX;

/// A number as [`About`] tells it.
#[inline]
pub fn told(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(NONE)
}

/// Nanoseconds as [`About`] tells them.
#[inline]
pub fn us(ns: i64) -> u32 {
    u32::try_from(ns.max(0) / 1_000).unwrap_or(u32::MAX)
}

/// What became of a frame, or what a frame is that is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum What {
    /// Nothing is known of it.
    #[default]
    Unknown,
    /// A rule's reply.
    Answered,
    /// The template's reply to a wrong request; [`About::why`] is what is wrong.
    ErrorReply,
    /// The template's refusal of a transfer.
    Refused,
    /// A rule leaves it unanswered.
    Silent,
    /// A heartbeat.
    Heartbeat,
    /// Not answered; [`About::why`] is the reason.
    Dropped,
    /// A data frame of a transfer.
    Data,
}

impl What {
    /// All of them, by number.
    pub const ALL: [Self; 8] = [
        Self::Unknown,
        Self::Answered,
        Self::ErrorReply,
        Self::Refused,
        Self::Silent,
        Self::Heartbeat,
        Self::Dropped,
        Self::Data,
    ];
}

/// What is known of one frame. Copied with a reply until it has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// The device, by its place among the FSU's; [`NONE`].
    pub device: u16,
    /// The command, by its number in the device's template; [`NONE`].
    pub command: u16,
    /// The rule, by its place among the command's; [`NONE`].
    pub rule: u16,
    /// What became of it.
    pub what: What,
    /// Why it was not answered, or what is wrong with it.
    pub why: Option<Reason>,
    /// A request: the faults that left it unanswered. A reply: the faults that were made.
    pub faults: Kinds,
    /// What the rule's delay came to, in microseconds; at most 71 minutes are told.
    pub delay_us: u32,
    /// A reply: due so long after its request, in microseconds; for whatever cause.
    pub held_us: u32,
    /// A request whose sender got something: a reply, or a heartbeat.
    pub is_met: bool,
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
    };
    /// A heartbeat.
    pub const HEARTBEAT: Self = Self { what: What::Heartbeat, ..Self::UNKNOWN };
    /// Bytes that [`About::encode`] makes.
    pub const BYTES: usize = 19;

    /// Bytes that no device has taken.
    #[inline]
    pub fn dropped(why: Reason) -> Self {
        Self { what: What::Dropped, why: Some(why), ..Self::UNKNOWN }
    }

    /// Something for a device, of which no more is known yet.
    #[inline]
    pub fn of(device: usize) -> Self {
        Self { device: told(device), ..Self::UNKNOWN }
    }

    /// The same, dropped.
    #[inline]
    #[must_use]
    pub fn drop(self, why: Reason) -> Self {
        Self { what: What::Dropped, why: Some(why), ..self }
    }

    /// A reply that a fault cost.
    #[must_use]
    pub fn lost(mut self, kind: FaultKind) -> Self {
        self.faults.add(kind);
        self
    }

    /// As bytes: device, command, rule, faults (2 each), what, why (FF: none), delay, held (4 each), whether it was met; little endian.
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
        bytes
    }

    /// The reverse; `None`: these are no such bytes.
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
        })
    }
}

/// What is said of the replies to a request, until all is known of it.
///
/// A [`Sink`](crate::sink::Sink) that tells a log has one.
#[derive(Clone, Copy, Debug)]
pub struct Telling {
    /// What is sent next.
    pub reply: About,
    /// Why the last of the request's replies was refused.
    why: Option<Reason>,
    /// What left replies unsent.
    lost: Kinds,
    /// Something was sent, or waits to be.
    is_met: bool,
}

impl Default for Telling {
    fn default() -> Self {
        Self { reply: About::UNKNOWN, why: None, lost: Kinds::NONE, is_met: false }
    }
}

impl Telling {
    /// What a reply is that is due so long after its request.
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

    /// All is known of a request; what is told from now on is of the next.
    #[inline]
    pub fn settle(&mut self, request: About) -> About {
        let Self { why, lost, is_met, .. } = std::mem::take(self);
        About { why: request.why.or(why), faults: lost, is_met, ..request }
    }
}

const NO_REASON: u8 = 0xFF;

// Every reason has a byte of its own, and none has that of "none".
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
        };
        assert_eq!(hex::encode(about.encode()), "01000200ffff02000609030000000400000001");
        assert_eq!(hex::encode(About::UNKNOWN.encode()), "ffffffffffff000000ff000000000000000000");
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
