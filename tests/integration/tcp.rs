//! Vendors' frames over TCP.

use crate::harness::{Run, Tree, fsu};
use crate::wire::{lamp, meter};
use serde_json::{Value, json};
use std::net::Shutdown;
use std::time::Duration;

fn one(more: &Value) -> Tree {
    Tree::new(&[fsu("site", "20250125", "tcp", more)], &json!({}))
}

fn asked(tag: u8) -> Vec<u8> {
    meter(1, 1, &[0, tag])
}

fn answer(tag: u8) -> Vec<u8> {
    meter(1, 1, &[0, tag, 2, 1])
}

#[test]
fn a_frame_may_be_split_anywhere() {
    let tree = one(&json!({}));
    let run = Run::start(&tree, &[]);
    let mut centre = run.tcp("site");
    let frame = asked(1);
    for at in 1..frame.len() {
        let (first, second) = frame.split_at(at);
        centre.send(first);
        // Long enough to travel alone, as a rule; the answer is the same if it does not.
        std::thread::sleep(Duration::from_millis(3));
        centre.send(second);
        centre.expect(&answer(1));
    }
    for byte in &frame {
        centre.send(&[*byte]);
    }
    centre.expect(&answer(1));
    let ended = run.stop();
    assert_eq!(ended.count("/totals/answered"), frame.len() as u64);
    assert_eq!(ended.count("/totals/dropped_total"), 0);
}

#[test]
fn coalesced_frames_are_answered_in_order() {
    let tree = one(&json!({}));
    let run = Run::start(&tree, &[]);
    let mut centre = run.tcp("site");
    centre.send(&(0..200).flat_map(asked).collect::<Vec<u8>>());
    centre.expect(&(0..200).flat_map(answer).collect::<Vec<u8>>());
    assert_eq!(run.stop().count("/transports/0/answered"), 200);
}

#[test]
fn garbage_is_skipped_and_counted() {
    let tree = one(&json!({}));
    let run = Run::start(&tree, &[]);
    let mut centre = run.tcp("site");
    // 68 begins no frame here: what follows it has no end where its size says.
    let garbage = [0x00, 0x99, 0x68, 0x01, 0x01, 0x02, 0x00, 0x00, 0x00];
    centre.send(&[&garbage[..], &asked(1), &[0x16, 0x16], &asked(2)].concat());
    centre.expect(&answer(1));
    centre.expect(&answer(2));
    assert_eq!(run.stop().count("/totals/dropped/garbage_bytes"), garbage.len() as u64 + 2);
}

#[test]
fn two_devices_answer_behind_one_port() {
    let tree = one(&json!({}));
    let run = Run::start(&tree, &[]);
    let mut centre = run.tcp("site");
    centre.send(&[lamp(1, 0), asked(1), lamp(1, 9), asked(2)].concat());
    centre.expect(&[lamp(1, 0x80), answer(1), lamp(1, 0x80), answer(2)].concat());
    run.stop();
}

#[test]
fn a_connection_past_the_limit_is_closed() {
    let tree = one(&json!({"limits": {"connections_max": 2}}));
    let run = Run::start(&tree, &[]);
    let mut first = run.tcp("site");
    let mut second = run.tcp("site");
    for centre in [&mut first, &mut second] {
        centre.send(&asked(1));
        centre.expect(&answer(1));
    }
    run.tcp("site").expect_end();
    for centre in [&mut first, &mut second] {
        centre.send(&asked(2));
        centre.expect(&answer(2));
    }
    let ended = run.stop();
    assert_eq!(ended.count("/totals/connections"), 2);
    assert_eq!(ended.count("/totals/dropped/connection_limit"), 1);
}

#[test]
fn replies_come_after_a_half_close() {
    let tree = one(&json!({}));
    let run = Run::start(&tree, &[]);
    let mut centre = run.tcp("site");
    centre.send(&[asked(1), meter(1, 3, &[0, 1])].concat());
    centre.0.shutdown(Shutdown::Write).expect("connected");
    centre.expect(&answer(1));
    centre.expect(&meter(1, 3, &[0, 1]));
    centre.expect_end();
    run.stop();
}

#[test]
fn a_delayed_reply_is_not_overtaken() {
    let tree = one(&json!({}));
    let run = Run::start(&tree, &[]);
    let mut centre = run.tcp("site");
    centre.send(&[meter(1, 3, &[0, 1]), asked(2)].concat());
    centre.expect(&meter(1, 3, &[0, 1]));
    centre.expect(&answer(2));
    run.stop();
}

#[test]
fn performance_mode_answers_at_once() {
    let tree = one(&json!({}));
    let run = Run::start(&tree, &["--performance"]);
    let mut centre = run.tcp("site");
    // Its delay of 4 s would be longer than this.
    centre.0.set_read_timeout(Some(Duration::from_millis(3_500))).expect("not zero");
    centre.send(&meter(1, 4, &[]));
    centre.expect(&meter(1, 4, &[]));
    let ended = run.stop();
    assert_eq!(ended.stats["run"]["performance"], true);
    assert_eq!(ended.stats["run"]["device_log"], false);
}
