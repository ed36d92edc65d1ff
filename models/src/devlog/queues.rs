//! The log's queue: a shard's tap in one thread, what the logger does in the other.

use super::queue::rest;
use super::record::{FAULT_BYTES, HEAD_BYTES, RecordKind, Traffic, Record, EpochMark};
use super::tap::{TapReader, Tap, Wanted, pair};
use fsu_plan::model::fault::{FaultKind, Place};
use fsu_plan::model::fleet::OnFull;
use fsu_plan::model::reload::Fate;
use loom::sync::{Arc, Condvar, Mutex};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Bytes of a record that has one byte of the wire.
const ONE: usize = HEAD_BYTES + 1;

/// What a log says, or was given to say: by FSU, and faults apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Story {
    /// The record's byte, or that it was lost.
    records: [Vec<Option<u8>>; 2],
    faults: Vec<bool>,
    epoch: u32,
}

impl Story {
    fn record(&mut self, fsu: u32, lost: u32, byte: u8) {
        self.lost(fsu, lost);
        self.records[fsu as usize].push(Some(byte));
    }

    fn lost(&mut self, fsu: u32, lost: u32) {
        self.records[fsu as usize].extend((0..lost).map(|_| None));
    }
}

/// The queue's two ends. This thread is the logger.
fn queue(bytes: usize, on_full: OnFull) -> (Tap, TapReader) {
    let wanted = Wanted { device_log: true, ledger: true, messages: false, codec: false };
    pair(wanted, bytes, 2, on_full, crate::sync::current())
}

fn put(tap: &mut Tap, story: &mut Story, fsu: u32, byte: u8) -> bool {
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let accepted = tap.record(Traffic { kind: RecordKind::Received, fsu, peer, unix_ms: 0, abouts: &[], bytes: &[byte] });
    story.records[fsu as usize].push(accepted.then_some(byte));
    accepted
}

fn fault(tap: &mut Tap, story: &mut Story) {
    story.faults.push(tap.fault(0, 0, FaultKind::Drop, Place::default()));
}

/// Takes the whole records of what was taken.
fn read(bytes: &mut Vec<u8>, story: &mut Story) {
    let mut rest = &bytes[..];
    while let Some(record) = Record::take(&mut rest).expect("records only") {
        if let Some(turn) = EpochMark::of(&record) {
            assert!(turn.epoch > story.epoch, "once, and in its order");
            story.epoch = turn.epoch;
            turn.lost.iter().for_each(|&(fsu, lost)| story.lost(fsu, lost));
        } else if record.kind == RecordKind::Fault {
            story.faults.extend((0..record.lost_before).map(|_| false));
            story.faults.push(true);
        } else {
            story.record(record.fsu, record.lost_before, record.bytes[0]);
        }
    }
    *bytes = rest.to_vec();
}

/// What the logger thread does, to the end of the queue. `told` is called with how many bytes each look has brought.
fn log(mut source: TapReader, mut told: impl FnMut(usize)) -> Story {
    let (mut bytes, mut story) = (Vec::new(), Story::default());
    loop {
        let before = bytes.len();
        let taken = source.take(usize::MAX, &mut bytes);
        told(bytes.len() - before);
        read(&mut bytes, &mut story);
        if taken.ended {
            assert!(bytes.is_empty(), "whole records only");
            let left = source.left().expect("left before the end");
            story.faults.extend((0..left.faults).map(|_| false));
            if let Some(turn) = left.turn {
                story.epoch = turn.epoch;
                turn.lost.iter().for_each(|&(fsu, lost)| story.lost(fsu, lost));
            }
            left.lost.iter().for_each(|&(fsu, lost)| story.lost(fsu, lost));
            return story;
        }
        if !taken.any {
            rest([&source], Duration::ZERO);
        }
    }
}

/// A shard that puts `records` of two FSUs and a fault into a queue with room for `room` records: what was put is what is read, each
/// once, in order, lost ones counted in their places; and the logger, which is woken by nothing but the shard, comes to the end.
pub fn all_is_there_or_told_lost(room: usize, records: u8, waits: bool) {
    let on_full = if waits { OnFull::Block } else { OnFull::Drop };
    let (mut tap, source) = queue(room * ONE, on_full);
    let shard = loom::thread::spawn(move || {
        let mut story = Story::default();
        for byte in 0..records {
            let accepted = put(&mut tap, &mut story, u32::from(byte % 2), byte);
            assert!(accepted || !waits);
        }
        story
    });
    assert_eq!(log(source, |_| {}), shard.join().unwrap());
}

/// The same with a fault and a reload among the records.
pub fn faults_and_a_reload_keep_their_places(room: usize) {
    let (mut tap, source) = queue(room * (HEAD_BYTES + FAULT_BYTES), OnFull::Drop);
    let shard = loom::thread::spawn(move || {
        let mut story = Story::default();
        put(&mut tap, &mut story, 0, 1);
        fault(&mut tap, &mut story);
        tap.reload(1, &[Fate::Stays(0), Fate::Stays(1)], 2);
        story.epoch = 1;
        put(&mut tap, &mut story, 0, 2);
        story
    });
    assert_eq!(log(source, |_| {}), shard.join().unwrap());
}

/// A shard that fills the queue past half and then does nothing until it is not: the logger was woken, whatever it was about.
pub fn past_half_the_logger_is_awake(rounds: usize) {
    const BYTES: usize = 2 * ONE + ONE / 2;
    let (mut tap, source) = queue(BYTES, OnFull::Drop);
    let taken = Arc::new((Mutex::new(0), Condvar::new()));
    let told = taken.clone();
    let shard = loom::thread::spawn(move || {
        let (mut story, mut given) = (Story::default(), 0);
        for _ in 0..rounds {
            for byte in 0..2 {
                // A loss is told in the next record, which is no longer for it.
                given += if put(&mut tap, &mut story, 0, byte) { ONE } else { 0 };
            }
            let mut taken = told.0.lock().unwrap();
            while given - *taken > BYTES / 2 {
                taken = told.1.wait(taken).unwrap();
            }
        }
        story
    });
    let story = log(source, |more| {
        if more > 0 {
            *taken.0.lock().unwrap() += more;
            taken.1.notify_all();
        }
    });
    assert_eq!(story, shard.join().unwrap());
}

/// A logger that ends while a shard waits for room: the shard goes on, and all is refused from then on.
pub fn a_shard_outlives_the_logger(records: u8) {
    let (mut tap, mut source) = queue(ONE, OnFull::Block);
    let shard = loom::thread::spawn(move || {
        let mut story = Story::default();
        (0..records).map(|byte| put(&mut tap, &mut story, 0, byte)).collect::<Vec<bool>>()
    });
    let mut bytes = Vec::new();
    source.take(usize::MAX, &mut bytes);
    drop(source);
    let accepted = shard.join().unwrap();
    assert!(accepted.is_sorted_by(|before, after| before >= after), "{accepted:?}");
    assert!(accepted.iter().filter(|accepted| **accepted).count() * ONE >= bytes.len());
}
