//! Faults made on purpose (spec templates.md, Faults): which, how likely, and when. Nothing is drawn here.

use super::message::Transport;
use crate::words;

words! {
    /// A kind of fault. The order is that of the draws of a message: a new kind goes behind the others, before `Offline`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
    #[repr(u8)]
    pub enum FaultKind {
        /// The reply is not sent.
        ///
        Drop = "drop": "reply not sent",
        /// tcp: the connection is reset in the reply's place.
        ///
        Reset = "reset": "request left unanswered by a reset connection",
        /// tcp: from this reply on the connection is never answered.
        ///
        Stall = "stall": "request left unanswered by a stalled connection",
        /// tcp: the FSU's half of the connection is closed in the reply's place.
        ///
        HalfClose = "half_close": "request left unanswered by a half-closed connection",
        /// Random bytes of the reply's size.
        ///
        Garbage = "garbage": "random bytes of the reply's size",
        /// Another command's key.
        ///
        WrongType = "wrong_type": "another command's key",
        /// A wrong inner checksum.
        ///
        BadChecksum = "bad_checksum": "wrong inner checksum",
        /// A wrong P_verify (udp).
        ///
        BadVerify = "bad_verify": "wrong P_verify",
        /// One bit flipped after the checksums, before escaping.
        ///
        Corrupt = "corrupt": "one bit flipped",
        /// Cut at a random byte.
        ///
        Truncate = "truncate": "cut at a random byte",
        /// Sent twice.
        ///
        Duplicate = "duplicate": "sent twice",
        /// Held back while later ones pass.
        ///
        Reorder = "reorder": "held back while later ones passed",
        /// Sent later; on a connection those after it are later too.
        ///
        ExtraDelay = "extra_delay": "sent later",
        /// tcp: sent in pieces.
        ///
        Split = "split": "sent in pieces",
        /// An outage: nothing is received or sent, connections are refused. Never drawn.
        ///
        Offline = "offline": "FSU offline: not heard, not sent or refused",
    }
}

impl FaultKind {
    /// How many of them are drawn: the first ones.
    pub const DRAWN: usize = Self::Offline as usize;

    /// As the configuration calls it.
    pub fn key(self) -> &'static str {
        match self {
            Self::Reorder => "reorder_ms",
            Self::ExtraDelay => "extra_delay_ms",
            other => other.name(),
        }
    }

    /// The kind with that number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Whether an FSU of that transport can have it.
    #[inline]
    pub fn is_for(self, transport: Transport) -> bool {
        self.only().is_none_or(|only| only == transport)
    }

    /// The only transport that can have it; `None`: any.
    pub fn only(self) -> Option<Transport> {
        match self {
            Self::Reset | Self::Stall | Self::HalfClose | Self::Split => Some(Transport::Tcp),
            Self::BadVerify => Some(Transport::Udp),
            _ => None,
        }
    }
}

words! {
    /// What a fault was applied to.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    #[repr(u8)]
    pub enum Struck {
        /// A rule's reply; with `burst` one of several.
        #[default]
        Reply = "reply",
        /// The answer to a command of a template with transfers: a header, which data may follow.
        Answer = "answer",
        /// A data frame of a transfer.
        Data = "data",
        /// A template's reply to a wrong request, or its refusal of a transfer: in an outage only.
        Error = "error",
        /// A heartbeat: in an outage only.
        Heartbeat = "heartbeat",
        /// A request to an FSU in an outage.
        Request = "request",
        /// A connection that was reset, or not accepted.
        Connection = "connection",
        /// A message that the device says unasked.
        Message = "message",
    }
}

/// The frame that a fault was applied to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Number of the message among the FSU's good requests; 0: unknown, or none.
    pub message: u64,
    /// Number of the frame among those that answer the message, from 1; 0: unknown.
    pub reply: u16,
    /// How many frames answer the message at once; 0: unknown.
    pub of: u16,
    /// What it is.
    pub frame: Struck,
    /// SN of a data frame, without its last bit.
    pub sn: Option<u32>,
}

impl Place {
    /// A frame of no message, or of one that is no longer known.
    pub fn apart(frame: Struck) -> Self {
        Self { frame, ..Self::default() }
    }
}

/// A set of kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds(u16);

impl Kinds {
    /// None.
    pub const NONE: Self = Self(0);

    /// Whether it has that kind.
    #[inline]
    pub fn has(self, kind: FaultKind) -> bool {
        self.0 & (1 << kind as u8) != 0
    }

    /// Puts a kind in.
    #[inline]
    pub fn add(&mut self, kind: FaultKind) {
        self.0 |= 1 << kind as u8;
    }

    /// Takes a kind out.
    #[inline]
    pub fn remove(&mut self, kind: FaultKind) {
        self.0 &= !(1 << kind as u8);
    }

    /// Whether it is empty.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// As a number, a bit each.
    #[inline]
    pub fn bits(self) -> u16 {
        self.0
    }

    /// The reverse; `None`: a bit of no kind.
    pub fn from_bits(bits: u16) -> Option<Self> {
        (u32::from(bits) < 1 << FaultKind::COUNT).then_some(Self(bits))
    }

    /// Its kinds, in order.
    pub fn iter(self) -> impl Iterator<Item = FaultKind> {
        FaultKind::ALL.into_iter().filter(move |&kind| self.has(kind))
    }
}

/// Most pieces of a split reply: each is a write and a timer of its own.
pub const PIECES_MAX: u32 = 64;
/// Most replies to one request (`burst`): bounds what a request can set off.
pub const BURST_MAX: u32 = 1_000;

/// The `faults` of one level. An absent key leaves the value of the level above.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FaultSet {
    /// Probability by kind, 0 to 1; `None`: not given.
    pub p: [Option<f64>; FaultKind::DRAWN],
    /// How long a reply is held back.
    pub reorder_ms: u64,
    /// How much later a reply is sent.
    pub extra_delay_ms: u64,
    /// Pieces of a split reply.
    pub split_pieces: u32,
    /// Time between two of them.
    pub split_gap_ms: u64,
    /// The FSU is silent.
    pub offline: Option<bool>,
}

impl FaultSet {
    /// The probability of that kind; `None`: not given.
    #[inline]
    pub fn p(&self, kind: FaultKind) -> Option<f64> {
        self.p.get(kind as usize).copied().flatten()
    }

    /// Sets the probability of a kind. An outage has none.
    pub fn set_p(&mut self, kind: FaultKind, p: f64) {
        if let Some(place) = self.p.get_mut(kind as usize) {
            *place = Some(p);
        }
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.offline.is_none() && self.p.iter().all(Option::is_none)
    }

    /// Overrides this with a closer level, key by key.
    #[inline]
    pub fn overlay(&mut self, closer: &Self) {
        for (own, closer) in self.p.iter_mut().zip(&closer.p) {
            *own = closer.or(*own);
        }
        if closer.p(FaultKind::Reorder).is_some() {
            self.reorder_ms = closer.reorder_ms;
        }
        if closer.p(FaultKind::ExtraDelay).is_some() {
            self.extra_delay_ms = closer.extra_delay_ms;
        }
        if closer.p(FaultKind::Split).is_some() {
            (self.split_pieces, self.split_gap_ms) = (closer.split_pieces, closer.split_gap_ms);
        }
        self.offline = closer.offline.or(self.offline);
    }

    /// `drop 0.1`, `extra_delay_ms 0.5 (200 ms)` ...: what could happen on that transport, for people.
    pub fn texts(&self, transport: Transport) -> Vec<String> {
        let possible = |kind: &FaultKind| kind.is_for(transport) && self.p(*kind).is_some_and(|p| p > 0.0);
        FaultKind::ALL
            .into_iter()
            .filter(possible)
            .map(|kind| {
                let p = self.p(kind).unwrap_or(0.0);
                let key = kind.key();
                match kind {
                    FaultKind::Reorder => format!("{key} {p} ({} ms)", self.reorder_ms),
                    FaultKind::ExtraDelay => format!("{key} {p} ({} ms)", self.extra_delay_ms),
                    FaultKind::Split => format!("{key} {p} ({} pieces, {} ms)", self.split_pieces, self.split_gap_ms),
                    _ => format!("{key} {p}"),
                }
            })
            .chain((self.offline == Some(true)).then(|| "offline".to_owned()))
            .collect()
    }
}

/// One entry of `faults_at` that an FSU's name fits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scheduled {
    /// Start, after the start of the run.
    pub from_ms: u64,
    /// End, likewise; `u64::MAX`: never.
    pub to_ms: u64,
    /// The faults. While in force they override every other level.
    pub faults: FaultSet,
}

impl Scheduled {
    /// Whether it is in force.
    #[inline]
    pub fn is_in_force(&self, since_start_ms: u64) -> bool {
        (self.from_ms..self.to_ms).contains(&since_start_ms)
    }
}

/// All faults of one FSU except those of its rules.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FsuFaults {
    /// Of the fleet and the FSU.
    pub base: FaultSet,
    /// By time, in file order: a later entry wins.
    pub schedule: Box<[Scheduled]>,
}

impl FsuFaults {
    /// The faults for the replies of a rule; `rule` already includes those of its device.
    #[inline]
    pub fn at(&self, rule: Option<&FaultSet>, since_start_ms: u64) -> FaultSet {
        let mut set = self.base;
        if let Some(rule) = rule {
            set.overlay(rule);
        }
        for entry in self.schedule.iter().filter(|entry| entry.is_in_force(since_start_ms)) {
            set.overlay(&entry.faults);
        }
        set
    }

    /// Whether the FSU is silent.
    #[inline]
    pub fn is_offline(&self, since_start_ms: u64) -> bool {
        let in_force = self.schedule.iter().filter(|entry| entry.is_in_force(since_start_ms));
        in_force.fold(self.base.offline, |said, entry| entry.faults.offline.or(said)) == Some(true)
    }

    /// Whether the FSU is silent at any time.
    pub fn is_offline_ever(&self) -> bool {
        self.base.offline.is_some() || self.schedule.iter().any(|entry| entry.faults.offline.is_some())
    }

    /// When an outage may begin or end, after the start.
    pub fn outage_edges(&self) -> impl Iterator<Item = u64> {
        let outages = self.schedule.iter().filter(|entry| entry.faults.offline.is_some());
        outages.flat_map(|entry| [entry.from_ms, entry.to_ms]).filter(|&ms| ms != u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(list: &[(FaultKind, f64)]) -> FaultSet {
        let mut set = FaultSet::default();
        for &(kind, p) in list {
            set.set_p(kind, p);
        }
        set
    }

    #[test]
    fn numbers_and_names_come_back() {
        for (number, kind) in (0u8..).zip(FaultKind::ALL) {
            assert_eq!((kind as u8, FaultKind::from_number(number)), (number, Some(kind)));
        }
        assert_eq!(FaultKind::from_number(FaultKind::COUNT as u8), None);
        let mut kinds = Kinds::NONE;
        kinds.add(FaultKind::Split);
        kinds.add(FaultKind::Drop);
        assert_eq!(kinds.iter().collect::<Vec<_>>(), [FaultKind::Drop, FaultKind::Split]);
    }

    #[test]
    fn a_set_of_kinds() {
        let mut kinds = Kinds::NONE;
        assert!(kinds.is_empty() && kinds.bits() == 0);
        kinds.add(FaultKind::Drop);
        kinds.add(FaultKind::Offline);
        kinds.add(FaultKind::Drop);
        assert_eq!((kinds.is_empty(), kinds.bits()), (false, 1 | 1 << 14));
        assert!(kinds.has(FaultKind::Drop) && kinds.has(FaultKind::Offline) && !kinds.has(FaultKind::Reset));
        kinds.remove(FaultKind::Drop);
        kinds.remove(FaultKind::Reset);
        assert_eq!(kinds.iter().collect::<Vec<_>>(), [FaultKind::Offline]);
        let all = (1 << 15) - 1;
        assert_eq!([0, 5, all].map(|bits| Kinds::from_bits(bits).map(Kinds::bits)), [Some(0), Some(5), Some(all)]);
        assert_eq!([all + 1, u16::MAX].map(Kinds::from_bits), [None, None]);
    }

    #[test]
    fn what_only_one_transport_can_do() {
        use FaultKind::{BadVerify, HalfClose, Reset, Split, Stall};
        for kind in FaultKind::ALL {
            let only = match kind {
                Reset | Stall | HalfClose | Split => Some(Transport::Tcp),
                BadVerify => Some(Transport::Udp),
                _ => None,
            };
            assert_eq!(kind.only(), only, "{kind:?}");
            for transport in [Transport::Udp, Transport::Tcp, Transport::Broadcast] {
                assert_eq!(kind.is_for(transport), only.is_none_or(|only| only == transport), "{kind:?} {transport:?}");
            }
        }
    }

    #[test]
    fn what_could_happen_is_told_with_its_times() {
        let mut all = FaultSet { reorder_ms: 5, extra_delay_ms: 7, split_pieces: 3, split_gap_ms: 20, ..set(&[]) };
        assert!(all.is_empty() && all.texts(Transport::Udp).is_empty());
        for kind in FaultKind::ALL {
            all.set_p(kind, 0.5);
        }
        all.set_p(FaultKind::Drop, 0.0);
        assert!(!all.is_empty() && all.p(FaultKind::Offline).is_none());
        let plain = ["garbage", "wrong_type", "bad_checksum", "corrupt", "truncate", "duplicate"];
        let mut expected: Vec<String> = plain.iter().map(|key| format!("{key} 0.5")).collect();
        expected.extend(["reorder_ms 0.5 (5 ms)".to_owned(), "extra_delay_ms 0.5 (7 ms)".to_owned()]);
        assert_eq!(all.texts(Transport::Broadcast), expected);
        let mut of_udp = expected.clone();
        of_udp.insert(3, "bad_verify 0.5".into());
        assert_eq!(all.texts(Transport::Udp), of_udp);
        let mut of_tcp: Vec<String> = ["reset", "stall", "half_close"].iter().map(|key| format!("{key} 0.5")).collect();
        of_tcp.extend(expected);
        of_tcp.push("split 0.5 (3 pieces, 20 ms)".into());
        assert_eq!(all.texts(Transport::Tcp), of_tcp);
        let offline = |offline| FaultSet { offline, ..FaultSet::default() };
        assert_eq!(offline(Some(true)).texts(Transport::Udp), ["offline"]);
        assert!(offline(Some(false)).texts(Transport::Udp).is_empty() && !offline(Some(false)).is_empty());
    }

    /// What is laid over another place says all that goes with a kind, or nothing of it.
    #[test]
    fn times_come_with_their_kind() {
        let with = |kinds: &[FaultKind], ms: u64| {
            let kinds: Vec<_> = kinds.iter().map(|&kind| (kind, 0.5)).collect();
            FaultSet { reorder_ms: ms, extra_delay_ms: ms, split_pieces: ms as u32, split_gap_ms: ms, ..set(&kinds) }
        };
        let times = |closer: &FaultSet| {
            let mut all = FaultSet { offline: Some(false), ..with(&[FaultKind::Reorder], 1) };
            all.overlay(closer);
            (all.reorder_ms, all.extra_delay_ms, all.split_pieces, all.split_gap_ms, all.offline)
        };
        assert_eq!(times(&with(&[], 9)), (1, 1, 1, 1, Some(false)));
        assert_eq!(times(&with(&[FaultKind::Reorder], 9)), (9, 1, 1, 1, Some(false)));
        assert_eq!(times(&with(&[FaultKind::ExtraDelay], 9)), (1, 9, 1, 1, Some(false)));
        assert_eq!(times(&with(&[FaultKind::Split], 9)), (1, 1, 9, 9, Some(false)));
        assert_eq!(times(&FaultSet { offline: Some(true), ..with(&[], 9) }), (1, 1, 1, 1, Some(true)));
    }

    #[test]
    fn the_closest_wins_key_by_key_and_a_schedule_over_all() {
        let rule = FaultSet { extra_delay_ms: 7, ..set(&[(FaultKind::Corrupt, 0.5), (FaultKind::ExtraDelay, 1.0)]) };
        let timed = FaultSet { offline: Some(true), ..set(&[(FaultKind::Drop, 1.0)]) };
        let faults = FsuFaults {
            base: set(&[(FaultKind::Drop, 0.1), (FaultKind::Corrupt, 0.2)]),
            schedule: [Scheduled { from_ms: 10, to_ms: 20, faults: timed }].into(),
        };
        let check = |rule: Option<&FaultSet>, ms, expected: &[&str], offline| {
            assert_eq!(faults.at(rule, ms).texts(Transport::Udp), expected);
            assert_eq!(faults.is_offline(ms), offline);
        };
        check(None, 9, &["drop 0.1", "corrupt 0.2"], false);
        check(Some(&rule), 9, &["drop 0.1", "corrupt 0.5", "extra_delay_ms 1 (7 ms)"], false);
        check(None, 10, &["drop 1", "corrupt 0.2", "offline"], true);
        check(None, 20, &["drop 0.1", "corrupt 0.2"], false);
        assert_eq!(faults.outage_edges().collect::<Vec<_>>(), [10, 20]);
    }

    /// Of several outages the last that is in force says; what never ends has no end.
    #[test]
    fn outages_by_time() {
        let entry = |from_ms, to_ms, offline| Scheduled {
            from_ms,
            to_ms,
            faults: FaultSet { offline, ..set(&[(FaultKind::Drop, 1.0)]) },
        };
        let schedule = [
            entry(10, 40, Some(true)),
            entry(20, 30, Some(false)),
            entry(25, 26, None),
            entry(50, u64::MAX, Some(true)),
        ];
        let faults = FsuFaults { base: FaultSet::default(), schedule: schedule.into() };
        let offline = [9, 10, 19, 20, 25, 29, 30, 39, 40, 49, 50, u64::MAX - 1].map(|ms| faults.is_offline(ms));
        let expected = [false, true, true, false, false, false, true, true, false, false, true, true];
        assert_eq!(offline, expected);
        assert_eq!(faults.outage_edges().collect::<Vec<_>>(), [10, 40, 20, 30, 50]);
        let always =
            FsuFaults { base: FaultSet { offline: Some(true), ..FaultSet::default() }, schedule: Box::default() };
        assert!(always.is_offline(0) && always.at(None, 0).offline == Some(true));
    }
}
