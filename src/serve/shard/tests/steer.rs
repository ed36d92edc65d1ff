//! A shard that is watched and steered, on virtual time: real plans, real replies.

mod faults;
mod heard;
mod journal;
mod world;

use super::*;
use crate::shard::steer::ask::{NoAnswer, PAGE_MAX};
use crate::shard::steer::change::{Change, NotChanged};
use world::{Steered, alarm, register, tracker};

/// A trigger of alarms is said by every FSU at once, or spread as asked; in between the shard answers.
#[test]
fn a_trigger_is_said_by_all_and_may_be_spread() {
    for (over_ms, from_ms, to_ms) in [(0, 0, 3), (1_000, 0, 990)] {
        let mut world = Steered::new(&tracker(100));
        for fsu in 0..100 {
            world.ask(fsu, 7);
        }
        world.sent();
        let changed = world.change_all(&alarm("0A", over_ms)).expect("taken");
        assert!(changed.len() == 100 && changed.iter().all(|changed| changed.done.is_ok() && changed.at == 2));
        world.run_to(2_000);
        let sent = world.sent();
        let mut fsus: Vec<u32> = sent.iter().map(|sent| sent.1).collect();
        fsus.sort_unstable();
        assert_eq!(fsus, (0..100).collect::<Vec<_>>());
        let (first, last) = (sent.iter().map(|sent| sent.0).min(), sent.iter().map(|sent| sent.0).max());
        assert!(first == Some(from_ms) && last <= Some(to_ms) && last >= Some(to_ms / 2), "{first:?} {last:?}");
        assert!(sent.iter().all(|(_, _, hex)| hex.starts_with("7E0200") && hex.contains("0A")), "{sent:?}");
    }
}

#[test]
fn why_a_trigger_does_nothing() {
    let check = |change: &Change, is_asked: bool, expected: &str| {
        let mut world = Steered::new(&tracker(1));
        if is_asked {
            world.ask(0, 7);
        }
        let changed = world.change_all(change).expect("taken");
        let why = changed[0].done.clone().expect_err("refused");
        assert_eq!(why.to_string(), expected);
        world.sent();
        world.run_to(100);
        assert!(world.sent().is_empty());
    };
    let trigger = |message: &str, args: &[(&str, &str)]| Change::Trigger {
        message: message.into(),
        args: args.iter().map(|&(name, value)| (name.into(), value.into())).collect(),
        over_ms: 0,
    };
    check(&alarm("0A", 0), false, "it has no centre and no connection");
    check(&trigger("no", &[]), true, "none of its devices has such a message");
    check(&trigger("alarm", &[("knd", "1")]), true, "the message has no argument `knd`");
    check(&trigger("late", &[]), true, "its device is not in the state `online`");
}

#[test]
fn registers_and_memory_are_set_as_rules_set_them() {
    let mut world = Steered::new(&tracker(2));
    let mut check = |change: &Change, expected: Result<(), NotChanged>| {
        let changed = world.change_all(change).expect("taken");
        assert!(changed.iter().all(|changed| changed.done == expected), "{change:?}: {changed:?}");
    };
    let memory = |at, bytes: &[u8]| Change::Memory { device: None, area: "map".into(), at, bytes: bytes.into() };
    check(&register("mode", None, "07"), Ok(()));
    check(&register("mode", Some("a"), "07"), Err(NotChanged::NotKeyed));
    check(&register("mode", None, "longer than any rule sets"), Err(NotChanged::TooLong(2)));
    check(&register("cards", Some("a"), "1"), Ok(()));
    check(&register("cards", None, "1"), Err(NotChanged::NoKey));
    check(&register("cards", Some(&"k".repeat(256)), "1"), Err(NotChanged::KeyTooLong(255)));
    check(&register("none", None, "1"), Err(NotChanged::NotThere));
    check(&memory(2, &[0xAA, 0xBB]), Ok(()));
    check(&memory(3, &[0xAA, 0xBB]), Err(NotChanged::Outside(4)));
    let area = |device| Change::Memory { device: Some(device), area: "map".into(), at: 0, bytes: [1].into() };
    check(&area(0), Ok(()));
    check(&area(1), Err(NotChanged::NotThere));
    // The register and the last two bytes are in the reply.
    world.ask(1, 7);
    assert_eq!(world.sent().pop().expect("a reply").2, world::answer("07AABB"));
}

#[test]
fn limit_page_max_and_what_a_page_tells() {
    let mut world = Steered::new(&tracker(300));
    world.ask(2, 7);
    world.run_to(50);
    world.ask(2, 8);
    let all: Vec<u32> = (0..300).collect();
    let page = world.page(0, &all).expect("an answer");
    assert_eq!(page.len(), PAGE_MAX);
    let (two, three) = (&page[2], &page[3]);
    assert_eq!((two.number, two.counters.received, two.centres, two.last_ms), (2, 2, 2, Some(50)));
    assert_eq!((three.number, three.counters.received, three.centres, three.last_ms), (3, 0, 0, None));
    assert_eq!(world.page(1, &all).map(|page| page.len()), Err(NoAnswer::Reloaded));
}

#[test]
fn limit_tasks_max_more_changes_are_refused() {
    let mut world = Steered::new(&tracker(1));
    world.ask(0, 7);
    let answers: Vec<_> = (0..65).map(|_| world.begin(&[0], &alarm("01", 3_600_000))).collect();
    let busy = answers.iter().filter(|answer| answer.try_recv() == Ok(Err(NoAnswer::Busy))).count();
    assert_eq!(busy, 1);
}

/// Before a frame of that number, for each FSU by itself.
#[test]
fn a_change_tells_before_which_frame_it_took_effect() {
    let mut world = Steered::new(&tracker(2));
    for _ in 0..3 {
        world.ask(1, 7);
    }
    let changed = world.change_all(&register("mode", None, "01")).expect("taken");
    assert_eq!(changed.iter().map(|changed| (changed.fsu, changed.at)).collect::<Vec<_>>(), [(0, 1), (1, 4)]);
}
