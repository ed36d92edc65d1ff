//! Every order of steps. `MODELS_LARGE=1`: with larger bounds (scripts/nightly.sh).
#![allow(clippy::pedantic)]

use fsu_mock_models::devlog::queues::*;
use fsu_mock_models::driver::mails::*;

/// `preemptions`: how often a thread may be interrupted where it did not wait; `None`: as often as can be.
fn check(preemptions: Option<usize>, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.max_branches = 100_000;
    builder.log = false;
    builder.check(model);
}

fn is_large() -> bool {
    std::env::var_os("MODELS_LARGE").is_some()
}

/// The bound of the quick run, or of the large one.
fn bound(quick: usize, large: usize) -> Option<usize> {
    Some(if is_large() { large } else { quick })
}

#[test]
fn the_log_queue_loses_nothing_untold() {
    for (room, records) in [(1, 3), (2, 3)] {
        check(bound(2, 4), move || all_is_there_or_told_lost(room, records, false));
    }
}

#[test]
fn the_log_queue_loses_nothing_while_a_shard_waits() {
    for (room, records) in [(1, 2), (2, 3)] {
        check(bound(2, 3), move || all_is_there_or_told_lost(room, records, true));
    }
}

#[test]
fn a_reload_keeps_its_place_in_the_log_queue() {
    for room in [1, 2] {
        check(bound(2, 4), move || faults_and_a_reload_keep_their_places(room));
    }
}

#[test]
fn the_logger_is_woken_past_half() {
    let rounds = if is_large() { 3 } else { 2 };
    check(bound(2, 4), move || past_half_the_logger_is_awake(rounds));
}

#[test]
fn a_shard_goes_on_without_the_logger() {
    check(bound(3, 5), || a_shard_outlives_the_logger(3));
}

#[test]
fn commands_wake_the_shard_and_are_answered() {
    for wait in [Wait::Level, Wait::Edge] {
        for (room, asked) in [(1, 2), (2, 2), (2, 3)] {
            check(bound(2, 4), move || every_command_is_seen(wait, room, asked));
        }
    }
}

#[test]
fn a_command_near_the_end_is_answered_or_refused() {
    for wait in [Wait::Level, Wait::Edge] {
        for room in [1, 2] {
            check(bound(2, 4), move || a_question_near_the_stop_has_an_end(wait, room));
            for wakes in [0, 1, 2] {
                check(bound(2, 4), move || a_shard_that_ends_leaves_nobody_waiting(wait, room, wakes));
            }
        }
    }
}
