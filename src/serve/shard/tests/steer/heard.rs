//! What a shard hears of its FSUs: exchanges, requests without a reply, counts by command.

use super::super::*;
use super::world::{Steered, alarm, answer, frame, register, tracker};
use crate::shard::steer::ask::{Ask, Of};
use crate::shard::steer::detail::{ENTRIES_TOLD_MAX, FsuDetail, MEMORY_TOLD_MAX, UnansweredNow};
use crate::shard::steer::listen::{EXCHANGES_MAX, UNANSWERED_MAX};
use crate::shard::steer::{Happening, SteerSpec};

fn detail(world: &mut Steered, fsu: u32) -> FsuDetail {
    let (answer, receiver) = flume::bounded(1);
    world.serve.on_ask(Ask::Detail(Of { epoch: 0, what: fsu }, answer), world.now(), 0);
    *receiver.try_recv().expect("at once").expect("the same plan").expect("an FSU")
}

fn unanswered(world: &mut Steered, n: usize) -> UnansweredNow {
    let (answer, receiver) = flume::bounded(1);
    world.serve.on_ask(Ask::Unanswered(Of { epoch: 0, what: n }, answer), world.now(), 0);
    receiver.try_recv().expect("at once").expect("the same plan")
}

/// The kinds and bytes of exchanges, the newest first.
fn exchanges(detail: &FsuDetail) -> Vec<(RecordKind, String)> {
    detail.exchanges.iter().map(|one| (one.kind, hex::encode_upper(&one.bytes))).collect()
}

#[test]
fn the_exchanges_of_an_fsu_are_its_own_the_newest_first() {
    let mut world = Steered::new(&tracker(3));
    for _ in 0..3 {
        (0..3).for_each(|fsu| world.ask(fsu, 7));
    }
    world.change(&[1], &alarm("0A", 0)).expect("said");
    world.run_to(10);
    let (asked, replied) = (hex::encode_upper(frame("9000", "")), answer("000000"));
    let message = hex::encode_upper(frame("0200", "0A"));
    let pair = [(RecordKind::Reply, replied), (RecordKind::Received, asked)];
    let expected: Vec<_> =
        [(RecordKind::Message, message)].into_iter().chain([pair.clone(), pair.clone(), pair].concat()).collect();
    assert_eq!(exchanges(&detail(&mut world, 1)), expected);
    // Looked at once more, from its own buffer.
    assert_eq!(exchanges(&detail(&mut world, 1)), expected);
    assert_eq!(detail(&mut world, 2).exchanges.len(), 6);
}

#[test]
fn limit_exchanges_max_and_a_flood_does_not_hide_who_is_looked_at() {
    let mut world = Steered::new(&tracker(2));
    detail(&mut world, 1);
    for _ in 0..200 {
        world.ask(0, 7);
    }
    (0..40).for_each(|_| world.ask(1, 7));
    let looked_at = detail(&mut world, 1);
    assert_eq!(looked_at.exchanges.len(), EXCHANGES_MAX);
    assert!(looked_at.exchanges.iter().any(|one| one.kind == RecordKind::Reply));
    // Of the other FSU no more is kept than of a millisecond's beginning.
    assert!(detail(&mut world, 0).exchanges.len() <= EXCHANGES_MAX);
}

#[test]
fn limit_looked_at_max_the_one_looked_at_longest_ago_has_no_buffer_any_more() {
    let mut world = Steered::new(&tracker(66));
    for fsu in 0..66 {
        detail(&mut world, fsu);
        let ms = world.io.ms;
        world.run_to(ms + 1);
    }
    // More than a millisecond's records, of another.
    (0..200).for_each(|_| world.ask(65, 7));
    world.ask(0, 7);
    world.ask(9, 7);
    assert_eq!(detail(&mut world, 0).exchanges.len(), 0);
    assert_eq!(detail(&mut world, 9).exchanges.len(), 2);
}

#[test]
fn limit_unanswered_max_and_why() {
    let mut world = Steered::new(&tracker(2));
    world.ask(0, 7);
    world.datagram(1, 7, &[0x7E, 1, 2]);
    let one = unanswered(&mut world, 10);
    assert_eq!((one.total, one.last.len(), one.last[0].fsu, one.last[0].reason()), (1, 1, 1, "short"));
    for number in 0..300_u32 {
        let ms = world.io.ms;
        world.run_to(ms + 1);
        world.datagram(0, 7, &[0x7E, number as u8]);
    }
    let all = unanswered(&mut world, 1_000);
    assert_eq!((all.total, all.last.len()), (301, UNANSWERED_MAX));
    assert_eq!(all.last[0].exchange.bytes, [0x7E, 43]);
    assert_eq!(unanswered(&mut world, 5).last.len(), 5);
}

/// A request that is dropped is told even if a flood has taken the millisecond's records.
#[test]
fn a_flood_does_not_hide_what_is_dropped() {
    let mut world = Steered::new(&tracker(2));
    (0..200).for_each(|_| world.ask(0, 7));
    world.datagram(1, 7, &[0x7E, 1, 2]);
    assert_eq!(unanswered(&mut world, 10).last.first().map(|one| one.fsu), Some(1));
}

#[test]
fn limit_memory_told_max_and_entries_told_max_what_a_device_remembers() {
    let mut world = Steered::new(&tracker(1));
    assert!(detail(&mut world, 0).devices[0].memory.is_empty());
    world.datagram(0, 7, &frame("9001", "07"));
    world.ask(0, 7);
    for number in 0..300 {
        world.change_all(&register("cards", Some(&number.to_string()), "1")).expect("set");
    }
    let detail = detail(&mut world, 0);
    let device = &detail.devices[0];
    assert_eq!(device.registers, [("mode".into(), b"07".to_vec())]);
    assert_eq!((device.keyed[0].0.as_ref(), device.keyed[0].1.len()), ("cards", ENTRIES_TOLD_MAX));
    assert!(device.memory.iter().all(|(name, bytes)| **name == *"map" && bytes.len() == 4.min(MEMORY_TOLD_MAX)));
    let counts: Vec<_> = detail.commands.iter().map(|one| (one.counts.received, one.counts.answered)).collect();
    assert_eq!(counts, [(0, 0), (1, 1), (1, 1)]);
    assert_eq!(detail.next_frame, 3);
    assert_eq!(
        device.messages.iter().map(|one| one.message.to_string()).collect::<Vec<_>>(),
        ["alarm", "late", "login"]
    );
}

#[test]
fn centres_come_and_go() {
    let (sender, happened) = flume::unbounded();
    let mut world = Steered::with(&tracker(1), &SteerSpec { happenings: Some(sender), ..SteerSpec::default() });
    world.ask(0, 7);
    world.ask(0, 7);
    world.run_to(3_600_000);
    let told: Vec<_> = happened
        .try_iter()
        .filter_map(|one| if let Happening::Centre { peer, came, .. } = one { Some((peer.port(), came)) } else { None })
        .collect();
    assert_eq!(told, [(7, true), (7, false)]);
}
