//! Faults that are armed while a shard serves.

use super::world::{Steered, answer, fleet_of, register, tracker};
use crate::shard::steer::change::{Change, NotChanged};
use fsu_plan::model::fault::{FaultKind, FaultSet};
use fsu_plan::model::reload::Fate;
use serde_json::json;
use std::sync::Arc;

fn armed(kind: FaultKind, ttl_ms: Option<u64>) -> Change {
    let mut set = FaultSet::default();
    set.set_p(kind, 1.0);
    Change::Faults { set: Arc::new(set), ttl_ms }
}

fn offline(ttl_ms: Option<u64>) -> Change {
    Change::Faults { set: Arc::new(FaultSet { offline: Some(true), ..FaultSet::default() }), ttl_ms }
}

/// Whether each of the first three FSUs answers.
fn answers(world: &mut Steered) -> [bool; 3] {
    world.sent();
    [0, 1, 2].map(|fsu| {
        world.ask(fsu, 7);
        !world.sent().is_empty()
    })
}

#[test]
fn they_are_of_the_fsus_that_were_named_until_they_end_or_are_cleared() {
    let mut world = Steered::new(&tracker(3));
    assert_eq!(answers(&mut world), [true; 3]);
    world.change(&[0, 2], &armed(FaultKind::Drop, None)).expect("armed");
    world.change(&[1], &armed(FaultKind::Drop, Some(500))).expect("armed");
    assert_eq!(answers(&mut world), [false; 3]);
    world.run_to(499);
    assert_eq!(answers(&mut world), [false; 3]);
    world.run_to(600);
    assert_eq!(answers(&mut world), [false, true, false]);
    let cleared = world.change(&[1, 2], &Change::ClearFaults).expect("cleared");
    assert_eq!(cleared.iter().map(|one| one.done.clone()).collect::<Vec<_>>(), [Err(NotChanged::NotArmed), Ok(())]);
    assert_eq!(answers(&mut world), [false, true, true]);
    let page = world.page(0, &[0, 1]).expect("an answer");
    assert!(page[0].armed.as_ref().is_some_and(|armed| armed.until_ms.is_none()) && page[1].armed.is_none());
}

#[test]
fn those_armed_last_are_in_force_and_those_of_the_configuration_come_back() {
    let mut world = Steered::new(&fleet_of(3, "datagram", &json!({"faults": {"drop": 1.0}})));
    assert_eq!(answers(&mut world), [false; 3]);
    let mut none = FaultSet::default();
    none.set_p(FaultKind::Drop, 0.0);
    world.change_all(&Change::Faults { set: Arc::new(none), ttl_ms: Some(1_000) }).expect("armed");
    assert_eq!(answers(&mut world), [true; 3]);
    // In place of those: the first time-to-live is void.
    world.change(&[0], &Change::Faults { set: Arc::new(none), ttl_ms: Some(5_000) }).expect("armed");
    world.run_to(2_000);
    assert_eq!(answers(&mut world), [true, false, false]);
    world.run_to(6_000);
    assert_eq!(answers(&mut world), [false; 3]);
}

#[test]
fn an_outage_begins_and_ends() {
    let mut world = Steered::new(&tracker(3));
    world.change(&[1], &offline(Some(500))).expect("armed");
    assert_eq!(answers(&mut world), [true, false, true]);
    assert!(world.page(0, &[1]).expect("an answer")[0].is_offline);
    world.run_to(600);
    assert_eq!(answers(&mut world), [true; 3]);
    assert!(!world.page(0, &[1]).expect("an answer")[0].is_offline);
    // What came in the outage has a number, too.
    let changed = world.change_all(&register("mode", None, "01")).expect("set");
    assert_eq!(changed.iter().map(|one| one.at).collect::<Vec<_>>(), [3, 3, 3]);
}

#[test]
fn an_outage_resets_connections() {
    let mut world = Steered::new(&fleet_of(2, "tcp", &json!({})));
    let now = world.now();
    let ids = [0, 1].map(|socket| world.serve.on_accept(socket, super::address(7), now).expect("accepted"));
    for id in ids {
        world.serve.on_up(id, now, &mut world.io);
    }
    world.change(&[1], &offline(Some(500))).expect("armed");
    world.run_to(100);
    assert_eq!(world.io.closed, [ids[1]]);
    assert!(world.serve.on_accept(0, super::address(8), world.now()).is_some());
}

#[test]
fn a_key_of_another_transport_is_refused() {
    let mut world = Steered::new(&tracker(1));
    let done = world.change_all(&armed(FaultKind::Reset, None)).expect("an answer");
    assert_eq!(done[0].done.clone().map_err(|why| why.to_string()), Err("`reset` is for tcp FSUs only".to_owned()));
    world.ask(0, 7);
    assert_eq!(world.sent().len(), 1);
}

#[test]
fn a_reload_keeps_what_is_armed_for_those_that_stay() {
    let mut world = Steered::new(&tracker(3));
    world.change(&[0, 1], &armed(FaultKind::Drop, Some(1_000))).expect("armed");
    // The first goes, the others change places.
    world.swap(&tracker(2), &[Fate::Gone, Fate::Stays(1), Fate::Stays(0)]);
    world.sent();
    let answers = |world: &mut Steered| {
        [1, 2].map(|socket| {
            world.ask(socket, 7);
            !world.sent().is_empty()
        })
    };
    assert_eq!(answers(&mut world), [false, true]);
    let page = world.page(1, &[0, 1]).expect("an answer");
    assert_eq!(page.iter().map(|now| (now.number, now.armed.is_some())).collect::<Vec<_>>(), [(0, false), (1, true)]);
    world.run_to(1_100);
    assert_eq!(answers(&mut world), [true, true]);
    world.change_all(&register("mode", None, "07")).expect("set");
    world.ask(1, 7);
    assert_eq!(world.sent().pop().expect("a reply").2, answer("070000"));
}
