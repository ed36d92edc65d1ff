//! The shard's end of device log and fault ledger: copies a record into a bounded queue and returns.
//!
//! The queue ([`super::queue`]) is a ring of bytes with one writer (the shard) and one reader (the logger thread), so
//! neither locks. [`Tap::record`] does not format, allocate or call the system; once the queue is
//! half full it wakes the logger, which otherwise polls every few milliseconds.

use super::queue::{Reader, Writer, queue};
use super::record::{EpochMark, HEAD_BYTES, Record, RecordKind, Told, Traffic, fault_bytes, happened_bytes};
use crate::sync::Thread;
use fsu_core::about::About;
use fsu_core::answer::talk::Happened;
use fsu_plan::model::fault::{FaultKind, Place};
use fsu_plan::model::fleet::OnFull;
use fsu_plan::model::reload::Fate;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of one shard's queue, by default.
///
/// 32 MiB hold about 300,000 records of the usual 60 wire bytes: at 50,000 requests a second the logger may lose its processor,
/// or wait for the disk, for three seconds. Allocated in full at the start, once per shard, and only if the device log is on, so
/// that a shard never waits for a page.
pub const LOG_QUEUE_BYTES: usize = 32 << 20;

/// The same with only a ledger: about 70,000 faults.
pub const LEDGER_QUEUE_BYTES: usize = 4 << 20;

/// FSUs removed by one reload whose losses go into their own files. Losses of further FSUs are reported as a sum.
const GONE_TOLD_MAX: usize = 1_024;

/// What a closed tap leaves behind.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// By FSU: lost records that no later record has reported.
    pub(super) lost: Vec<(u32, u32)>,
    /// Lost faults that no later fault has reported.
    pub(super) faults: u32,
    /// The same of what has become of messages.
    pub(super) happened: u32,
    /// A change of fleet that no longer reached the queue; it precedes those losses.
    pub(super) turn: Option<EpochMark>,
}

/// What a tap records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Records of the traffic.
    pub(super) device_log: bool,
    /// Faults.
    pub(super) ledger: bool,
    /// What becomes of messages.
    pub(super) messages: bool,
    /// Records of the traffic, for lines of the system log.
    pub(super) codec: bool,
}

impl Wanted {
    /// Whether anything is.
    pub(super) fn is_any(self) -> bool {
        self.records() || self.ledger || self.messages
    }

    /// Whether records of the traffic are wanted.
    fn records(self) -> bool {
        self.device_log || self.codec
    }
}

/// The logger's end of a tap.
pub(super) type TapReader = Reader<Left>;

/// Makes both ends of a queue.
pub(super) fn pair(
    wanted: Wanted,
    queue_bytes: usize,
    fsu_count: usize,
    on_full: OnFull,
    logger: Thread,
) -> (Tap, TapReader) {
    let (queue, source) = queue(queue_bytes, logger);
    let open = Open {
        queue,
        wanted,
        lost: vec![0; fsu_count],
        faults_lost: 0,
        happened_lost: 0,
        turn: None,
        on_full,
        level: None,
    };
    (Tap { open: Some(open) }, source)
}

/// Where a shard puts its device-log records. Owned by its executor.
///
/// Dropping it closes it. Losses that it has not reported yet then go to the logger.
#[derive(Debug)]
pub struct Tap {
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    queue: Writer<Left>,
    /// By FSU: records lost since the last one that was accepted. 4 bytes per FSU.
    lost: Vec<u32>,
    wanted: Wanted,
    /// Faults lost since the last one that was accepted.
    faults_lost: u32,
    /// The same of what has become of messages.
    happened_lost: u32,
    /// A change of fleet for which the queue has no room yet.
    turn: Option<EpochMark>,
    on_full: OnFull,
    /// The system log's level, a number; a reload may change it.
    level: Option<Arc<AtomicUsize>>,
}

impl Tap {
    /// A tap that discards everything: device log and ledger are off.
    pub fn off() -> Self {
        Self { open: None }
    }

    /// The same, but reads this system-log level when the fleet changes.
    pub(super) fn with_level(mut self, level: Arc<AtomicUsize>) -> Self {
        if let Some(open) = &mut self.open {
            open.level = Some(level);
        }
        self
    }

    /// Whether records are wanted: the device log is on, or the system log has a line for each frame.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.wanted.records())
    }

    /// How many bytes wait for the logger, and for how many there is room; `None`: nothing is recorded.
    pub fn filled(&self) -> Option<(usize, usize)> {
        self.open.as_ref().map(|open| open.queue.filled())
    }

    /// Whether what becomes of messages is recorded.
    pub fn has_message_ledger(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.wanted.messages)
    }

    /// Passes one fault to the logger thread, for the ledger. Returns false as [`Tap::record`] does; true if there is no ledger.
    pub fn fault(&mut self, fsu: u32, unix_ms: i64, kind: FaultKind, place: Place) -> bool {
        let Some(open) = self.open.as_mut().filter(|open| open.wanted.ledger) else { return true };
        let (lost_before, bytes) = (open.faults_lost, fault_bytes(kind, place));
        let accepted = open.note((RecordKind::Fault, fsu), unix_ms, lost_before, &bytes);
        open.faults_lost = if accepted { 0 } else { lost_before.saturating_add(1) };
        accepted
    }

    /// The same of what has become of a message, for its ledger.
    pub fn message(&mut self, fsu: u32, unix_ms: i64, happened: &Happened) -> bool {
        let Some(open) = self.open.as_mut().filter(|open| open.wanted.messages) else { return true };
        let (lost_before, bytes) = (open.happened_lost, happened_bytes(happened));
        let accepted = open.note((RecordKind::Happened, fsu), unix_ms, lost_before, &bytes);
        open.happened_lost = if accepted { 0 } else { lost_before.saturating_add(1) };
        accepted
    }

    /// Passes one record to the logger thread: the bytes on the wire, when they were there, and what is known about their frames.
    ///
    /// False: the queue was full ([`OnFull::Drop`]), the record is larger than the queue, the logger has ended, or
    /// `fsu` does not belong to this tap. The FSU's next record, or the close, reports the loss. With
    /// [`OnFull::Block`] it waits for room instead, as long as the logger runs.
    #[inline]
    pub fn record(&mut self, traffic: Traffic<'_>) -> bool {
        let Traffic { kind, fsu, peer, unix_ms, abouts, bytes } = traffic;
        let Some(open) = self.open.as_mut().filter(|open| open.wanted.records()) else { return true };
        let Some(&lost_before) = open.lost.get(fsu as usize) else { return false };
        let accepted = (open.turn.is_none() || open.push_turn())
            && open.push(&Record { kind, fsu, peer, unix_ms, told: Told::default(), lost_before, bytes }, abouts);
        open.lost[fsu as usize] = if accepted { 0 } else { lost_before.saturating_add(1) };
        accepted
    }

    /// Switches to the FSU numbers of the next fleet, which has `fsu_count` FSUs and is the logger's `epoch`. `fates` says what
    /// became of the old FSUs, by their old numbers.
    pub fn reload(&mut self, epoch: u32, fates: &[Fate], fsu_count: usize) {
        let Some(open) = &mut self.open else { return };
        if let Some(level) = &open.level {
            open.wanted.codec = level.load(Ordering::Relaxed) >= log::Level::Debug as usize;
        }
        let before = std::mem::replace(&mut open.lost, vec![0; fsu_count]);
        let mut gone = Vec::new();
        for ((number, lost), fate) in (0u32..).zip(before).zip(fates).filter(|((_, lost), _)| *lost > 0) {
            match fate.stays().and_then(|number| open.lost.get_mut(number as usize)) {
                Some(place) => *place = lost,
                None => gone.push((number, lost)),
            }
        }
        let sum = |lost: &[(u32, u32)]| lost.iter().fold(0u32, |sum, (_, lost)| sum.saturating_add(*lost));
        open.turn = Some(match open.turn.take() {
            None => {
                let more = gone.split_off(gone.len().min(GONE_TOLD_MAX));
                EpochMark { epoch, lost: gone, lost_more: sum(&more) }
            }
            // Their numbers belong to a fleet that never reached the queue.
            Some(turn) => {
                let lost_more = turn.lost_more.saturating_add(sum(&gone));
                EpochMark { epoch, lost: turn.lost, lost_more }
            }
        });
        open.push_turn();
    }

    /// Closes the tap: accepted records and the number of lost ones reach the log. Dropping it does the same.
    pub fn close(self) {}
}

impl Open {
    /// Passes something that is no traffic.
    fn note(&mut self, (kind, fsu): (RecordKind, u32), unix_ms: i64, lost_before: u32, bytes: &[u8]) -> bool {
        let peer = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let record = Record { kind, fsu, peer, unix_ms, told: Told::default(), lost_before, bytes };
        (self.turn.is_none() || self.push_turn()) && self.push(&record, &[])
    }

    /// Reports a pending change of fleet, if there is room.
    #[cold]
    fn push_turn(&mut self) -> bool {
        let Some(turn) = self.turn.take() else { return true };
        let bytes = turn.bytes();
        let pushed = self.push(&turn.record(&bytes), &[]);
        if !pushed {
            self.turn = Some(turn);
        }
        pushed
    }

    fn push(&mut self, record: &Record<'_>, abouts: &[About]) -> bool {
        let Some(head) = record.head(abouts.len()) else { return false };
        let len = HEAD_BYTES + abouts.len() * About::BYTES + record.bytes.len();
        // There is room for all of it, so nothing fails; the reader waits until the record is complete.
        self.queue.push(len, self.on_full == OnFull::Block, |ring| {
            ring.push_entire_slice(&head).is_ok()
                && abouts.iter().all(|about| ring.push_entire_slice(&about.encode()).is_ok())
                && ring.push_entire_slice(record.bytes).is_ok()
        })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let numbered = (0u32..).zip(&self.lost);
        let lost = numbered.filter(|&(_, &lost)| lost > 0).map(|(fsu, &lost)| (fsu, lost)).collect();
        // This happens before the queue is closed: a reader that sees the close also sees this.
        self.queue.leave(Left { lost, faults: self.faults_lost, happened: self.happened_lost, turn: self.turn.take() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BOTH: Wanted = Wanted { device_log: true, ledger: true, messages: false, codec: false };

    fn peer() -> SocketAddr {
        "127.0.0.1:1".parse().unwrap()
    }

    fn put(tap: &mut Tap, fsu: u32, bytes: &[u8]) -> bool {
        tap.record(Traffic { kind: RecordKind::Received, fsu, peer: peer(), unix_ms: 0, abouts: &[], bytes })
    }

    fn taken(source: &mut TapReader) -> Vec<u8> {
        let mut bytes = Vec::new();
        source.take(usize::MAX, &mut bytes);
        bytes
    }

    /// Takes all whole records: (fsu, lost before, first byte).
    fn drain(source: &mut TapReader) -> Vec<(u32, u32, u8)> {
        let bytes = taken(source);
        let mut queue = &bytes[..];
        let mut records = Vec::new();
        while let Some(record) = Record::take(&mut queue).unwrap() {
            records.push((record.fsu, record.lost_before, record.bytes[0]));
        }
        assert!(queue.is_empty(), "only whole records");
        records
    }

    #[test]
    fn a_record_larger_than_the_queue_is_lost_and_never_waited_for() {
        for on_full in [OnFull::Drop, OnFull::Block] {
            let (mut tap, mut source) = pair(BOTH, 100, 1, on_full, std::thread::current());
            assert!(!put(&mut tap, 0, &[7; 60]));
            assert!(put(&mut tap, 0, &[8; 59]));
            assert_eq!(drain(&mut source), [(0, 1, 8)]);
        }
    }

    #[test]
    fn losses_after_the_last_record_are_left_at_close() {
        let (mut tap, source) = pair(BOTH, 100, 3, OnFull::Drop, std::thread::current());
        for _ in 0..4 {
            put(&mut tap, 1, &[0; 50]);
        }
        put(&mut tap, 2, &[0; 50]);
        tap.close();
        assert!(source.is_closed());
        assert_eq!(source.left().unwrap().lost, [(1, 3), (2, 1)]);
    }

    /// Contents of a 100-byte queue after a reload that found this much free space.
    #[test]
    fn a_reload_takes_losses_along_and_is_never_lost() {
        let fates = [Fate::Stays(1), Fate::Gone, Fate::Stays(0)];
        let (mut tap, mut source) = pair(BOTH, 100, 3, OnFull::Drop, std::thread::current());
        assert!(put(&mut tap, 0, &[1; 50]));
        for fsu in [0, 0, 1, 2] {
            assert!(!put(&mut tap, fsu, &[2; 50]));
        }
        // No room for the turn either: records are refused until there is.
        tap.reload(1, &fates, 2);
        assert!(!put(&mut tap, 1, &[3]));
        assert!(!put(&mut tap, 2, &[3]), "none of this fleet");
        assert_eq!(drain(&mut source), [(0, 0, 1)]);
        tap.reload(2, &[Fate::Stays(0), Fate::Stays(1)], 2);
        let bytes = taken(&mut source);
        let turn = Record::take(&mut &bytes[..]).unwrap().and_then(|record| EpochMark::of(&record));
        assert_eq!(turn, Some(EpochMark { epoch: 2, lost: vec![(1, 1)], lost_more: 0 }));
        assert!(put(&mut tap, 1, &[4]));
        assert_eq!(drain(&mut source), [(1, 3, 4)]);
        // The queue is full again at the end: what could not be told is left.
        assert!(put(&mut tap, 0, &[5; 50]));
        tap.reload(3, &[Fate::Gone, Fate::Gone], 0);
        tap.close();
        assert_eq!(source.left().unwrap().turn, Some(EpochMark { epoch: 3, lost: vec![], lost_more: 0 }));
    }

    #[test]
    fn a_blocked_shard_goes_on_when_the_logger_is_gone() {
        let (mut tap, source) = pair(BOTH, 100, 1, OnFull::Block, std::thread::current());
        assert!(put(&mut tap, 0, &[0; 50]));
        drop(source);
        assert!(!put(&mut tap, 0, &[0; 50]));
    }

    #[test]
    fn a_blocked_shard_waits_for_room_and_loses_nothing() {
        let (mut tap, mut source) = pair(BOTH, 200, 1, OnFull::Block, std::thread::current());
        let shard = std::thread::spawn(move || (0..100).all(|n| put(&mut tap, 0, &[n; 50])));
        let mut records: Vec<(u32, u32, u8)> = Vec::new();
        let mut bytes = Vec::new();
        while records.len() < 100 {
            source.take(usize::MAX, &mut bytes);
            let mut queue = &bytes[..];
            while let Some(record) = Record::take(&mut queue).unwrap() {
                records.push((record.fsu, record.lost_before, record.bytes[0]));
            }
            bytes = queue.to_vec();
        }
        assert!(shard.join().unwrap());
        assert_eq!(records, (0..100).map(|n| (0, 0, n)).collect::<Vec<_>>());
    }

    #[test]
    fn faults_are_told_lost_apart_from_records() {
        let fault = |tap: &mut Tap| tap.fault(1, 5, FaultKind::Drop, Place::default());
        let (mut tap, mut source) = pair(BOTH, 118, 3, OnFull::Drop, std::thread::current());
        assert!(fault(&mut tap) && fault(&mut tap) && !fault(&mut tap) && !put(&mut tap, 1, &[0; 50]));
        assert_eq!(drain(&mut source), [(1, 0, FaultKind::Drop as u8); 2]);
        assert!(put(&mut tap, 1, &[9; 1]) && fault(&mut tap));
        assert_eq!(drain(&mut source), [(1, 1, 9), (1, 1, FaultKind::Drop as u8)]);
        // Each is on or off by itself.
        let only = |device_log, ledger| {
            pair(
                Wanted { device_log, ledger, messages: false, codec: false },
                10,
                3,
                OnFull::Drop,
                std::thread::current(),
            )
        };
        let (mut tap, _source) = only(false, true);
        assert!(!tap.is_on() && put(&mut tap, 1, &[0]) && !fault(&mut tap));
        let (mut tap, _source) = only(true, false);
        assert!(tap.is_on() && !put(&mut tap, 1, &[0]) && fault(&mut tap));
    }

    #[test]
    fn without_a_device_log_nothing_is_lost() {
        assert!(!Tap::off().is_on());
        assert!(put(&mut Tap::off(), 9, b"x"));
    }

    proptest! {
        /// Whatever is put and whenever it is drained: per FSU, records and told losses stand in the
        /// order of the calls, and together they are as many.
        #[test]
        fn every_record_is_there_or_told_lost(
            steps in proptest::collection::vec((0u32..3, 1usize..120, proptest::bool::weighted(0.2)), 1..200),
        ) {
            let (mut tap, mut source) = pair(BOTH, 300, 3, OnFull::Drop, std::thread::current());
            let mut put_in: [Vec<Option<u8>>; 3] = Default::default();
            let mut taken = Vec::new();
            for (n, &(fsu, len, drained)) in steps.iter().enumerate() {
                let accepted = put(&mut tap, fsu, &vec![n as u8; len]);
                put_in[fsu as usize].push(accepted.then_some(n as u8));
                if drained {
                    taken.extend(drain(&mut source));
                }
            }
            tap.close();
            taken.extend(drain(&mut source));
            let mut read: [Vec<Option<u8>>; 3] = Default::default();
            for (fsu, lost, first) in taken {
                read[fsu as usize].extend(vec![None; lost as usize]);
                read[fsu as usize].push(Some(first));
            }
            for (fsu, lost) in source.left().unwrap().lost {
                read[fsu as usize].extend(vec![None; lost as usize]);
            }
            prop_assert_eq!(read, put_in);
        }
    }

    #[test]
    fn limit_ledger_queue_bytes_and_log_queue_bytes_are_full_of_so_many() {
        let full_of = |skip_device_log: bool, put: fn(&mut Tap) -> bool| {
            let mut fleet = crate::testing::fleet(std::path::Path::new("unused"), vec![]);
            fleet.performance.skip_device_log = skip_device_log;
            let config = crate::devlog::LoggerConfig::of(&fleet);
            let wanted = Wanted { device_log: config.device_log, ledger: true, messages: false, codec: false };
            let (mut tap, _source) = pair(wanted, config.queue_bytes, 1, OnFull::Drop, std::thread::current());
            std::iter::from_fn(|| put(&mut tap).then_some(())).count()
        };
        // A fault is 59 bytes there.
        assert_eq!(full_of(true, |tap| tap.fault(0, 5, FaultKind::Drop, Place::default())), (4 << 20) / 59);
        let record = |tap: &mut Tap| {
            let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
            tap.record(Traffic {
                kind: RecordKind::Reply,
                fsu: 0,
                peer,
                unix_ms: 5,
                abouts: &[About::UNKNOWN],
                bytes: &[0; 60],
            })
        };
        assert_eq!(full_of(false, record), (32 << 20) / (41 + 20 + 60));
    }

    #[test]
    fn limit_gone_told_max() {
        let told = |gone: usize| {
            let (mut tap, _source) = pair(BOTH, 100, gone, OnFull::Drop, std::thread::current());
            // The queue holds one record, so its mark waits, too.
            put(&mut tap, 0, &[0; 50]);
            (0..gone as u32).for_each(|fsu| assert!(!put(&mut tap, fsu, &[0; 50])));
            tap.reload(1, &vec![Fate::Gone; gone], 1);
            let turn =
                tap.open.as_ref().and_then(|open| open.turn.as_ref()).map(|turn| (turn.lost.len(), turn.lost_more));
            turn.unwrap()
        };
        assert_eq!(told(GONE_TOLD_MAX), (GONE_TOLD_MAX, 0));
        assert_eq!(told(GONE_TOLD_MAX + 5), (GONE_TOLD_MAX, 5));
    }
}
