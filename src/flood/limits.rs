//! Limits of the load generator, each reached and passed by one: `limit_NAME`. docs/internals/limits.md has their list.

use crate::book::account::{Account, Requests};
use crate::book::live::Live;
use crate::book::tally::Tally;
use crate::book::thread::ThreadReport;
use crate::engine::worker::Worker;
use crate::fixtures;
use crate::pace::{Due, Pacer};
use crate::report::FloodReport;
use crate::report::sum;
use crate::report::text::text;
use crate::workload::left_out::{LeftOut, Why};
use crate::workload::options::{AskedFsu, Options, Pace};
use crate::workload::profile::{Label, Profile};
use fsu_plan::model::fleet::FsuId;
use fsu_plan::model::message::Transport;
use fsu_plan::texts::Texts;
use std::sync::Arc;
use std::time::Duration;

const SECOND: u64 = 1_000_000_000;

/// A run over one TCP connection that asks nobody anything yet.
pub(super) fn options() -> Options {
    Options { timeout: Duration::from_secs(100), ..fixtures::options(Transport::Tcp) }
}

/// The figures of a thread with that CPU time in one second.
fn thread(tally: Tally, cpu_ns: u64) -> ThreadReport {
    ThreadReport { tally, measured_ns: SECOND, busy_ns: SECOND, cpu_ns, ..fixtures::thread() }
}

fn report(options: &Options, threads: &[ThreadReport]) -> FloodReport {
    sum::report(options, threads, sum::Course::default())
}

#[test]
fn limit_cpu_share_max_a_thread_above_it_limits_the_run() {
    let check = |cpu_ns: u64, limited: bool| {
        let report = report(&options(), &[thread(Tally::new(0), 0), thread(Tally::new(0), cpu_ns)]);
        let is_told = report.notes.iter().any(|note| note.contains("more than 90 % of its processor"));
        assert_eq!((report.verdict.generator_limited, is_told), (limited, limited), "{cpu_ns} ns of a second");
    };
    check(900_000_000, false);
    check(910_000_000, true);
}

#[test]
fn limit_lag_us_max_a_longer_lag_is_noted() {
    let check = |lag_ns: u64, expected: bool| {
        let mut tally = Tally::new(0);
        tally.lag.record(lag_ns).unwrap();
        let notes = report(&options(), &[thread(tally, 0)]).notes;
        assert_eq!(notes.iter().any(|note| note.contains("behind its plan")), expected, "{lag_ns} ns: {notes:?}");
    };
    // A histogram of three digits: what is a little less.
    check(9_980_000, false);
    check(10_100_000, true);
}

fn labels(count: usize) -> Vec<Label> {
    (0..count).map(|number| Label { vendor: "v".into(), key: format!("{number:04}").into() }).collect()
}

#[test]
fn limit_commands_printed_max_more_are_a_line_for_each_vendor() {
    let check = |commands: usize, lines: usize, sums: usize| {
        let options = Options { labels: labels(commands), ..options() };
        let mut tally = Tally::new(commands);
        tally.rows.iter_mut().for_each(|row| row.requests.sent = 1);
        let text = text(&report(&options, &[thread(tally, 0)]), Texts::ENGLISH);
        let beginning = |words: &str| {
            let words: Vec<&str> = words.split(' ').collect();
            text.lines().filter(|line| line.split_whitespace().take(words.len()).eq(words.iter().copied())).count()
        };
        let own = (0..commands).map(|number| beginning(&format!("v {number:04}"))).sum::<usize>();
        assert_eq!((own, beginning(&format!("v {commands} commands"))), (lines, sums), "{text}");
    };
    check(24, 24, 0);
    check(25, 0, 1);
}

#[test]
fn limit_left_out_printed_max_more_are_counted() {
    let check = |count: usize, lines: usize, more: Option<&str>| {
        let left = |label| LeftOut { label, why: Why::NoRule, fsu: "f".into(), fsus: 1 };
        let options = Options { labels: labels(count), left_out: (0..count).map(left).collect(), ..options() };
        let report = report(&options, &[thread(Tally::new(count), 0)]);
        assert_eq!(report.left_out.len(), count);
        let text = text(&report, Texts::ENGLISH);
        let told: Vec<&str> = text.lines().filter_map(|line| line.trim().strip_prefix("left out")).collect();
        assert_eq!(told.iter().filter(|line| line.contains(" of v (f)")).count(), lines, "{text}");
        assert_eq!(told.get(lines).map(|line| line.trim()), more, "{text}");
    };
    check(12, 12, None);
    check(13, 12, Some("and 1 more (--json has all)"));
}

#[test]
fn limit_fsus_told_max_and_fsus_lines_max_of_those_with_which_not_all_was_right() {
    let profile = Arc::new(Profile::new(Vec::new(), Vec::new()));
    let target = |number: usize| AskedFsu {
        tls: None,
        name: format!("f{number}").into(),
        id: FsuId::default(),
        rtn_flag: 0,
        is_bare: false,
        address: ([127, 0, 0, 1], 9).into(),
        profile: profile.clone(),
    };
    let check = |count: usize, rows: usize, lines: usize, more: Option<&str>| {
        let options = Options { targets: (0..count).map(target).collect(), ..options() };
        let lost = Account { requests: Requests { sent: 1, lost: 1, ..Requests::default() }, ..Account::default() };
        let accounts = (0..count).map(|number| (number, lost)).collect();
        let report = report(&options, &[ThreadReport { accounts, ..thread(Tally::new(0), 0) }]);
        assert_eq!((report.fsus.len(), report.fsus_not_right), (rows, count));
        let text = text(&report, Texts::ENGLISH);
        let told: Vec<&str> = text.lines().filter_map(|line| line.trim().strip_prefix("FSU ")).map(str::trim).collect();
        assert_eq!(told.iter().filter(|line| line.ends_with(": 1 sent = 0 good + 1 lost")).count(), lines, "{text}");
        assert_eq!(told.get(lines).copied(), more, "{text}");
    };
    check(8, 8, 8, None);
    check(9, 9, 8, Some("and 1 more (--json)"));
    check(100, 100, 8, Some("and 92 more (--json)"));
    check(101, 100, 8, Some("and 93 more (--json)"));
}

/// A thread of a run.
pub(super) fn worker(options: &Options) -> (Worker, Arc<Live>) {
    let live = Arc::new(Live::new(1, 0, false));
    (Worker::new(options, 0, live.clone()), live)
}

#[test]
fn limit_refused_max_the_run_ends_where_nobody_listens() {
    let at = ([127, 0, 0, 1], 9).into();
    let (mut worker, live) = worker(&options());
    for number in 1..=10 {
        assert!(!live.is_stopped(), "before refusal {number}");
        worker.refused("f", at);
    }
    assert!(live.is_stopped());
    let report = worker.close(None, 0, &[]);
    assert_eq!(report.given_up.as_deref(), Some("f at 127.0.0.1:9: refused, nobody listens there"));
    // A server that has answered may come back.
    let (mut worker, live) = self::worker(&options());
    worker.heard(1);
    (0..100).for_each(|_| worker.refused("f", at));
    assert!(!live.is_stopped());
}

#[test]
fn limit_wait_ns_max_of_a_thread() {
    let (mut worker, _live) = worker(&options());
    // Looks for time-outs, the first at once; nothing is to be sent.
    assert!(worker.tick(0));
    assert_eq!(worker.wait(0, None), Duration::from_millis(50));
    assert_eq!(worker.wait(0, Some(3_000_000)), Duration::from_millis(3));
    assert!(!worker.tick(49_999_999) && worker.tick(50_000_000));
}

#[test]
fn limit_behind_ns_max_what_is_later_is_given_up() {
    let pace = Pace::Open { per_s: 1000.0, ramp_s: 0.0, poisson: false };
    let mut pacer = Pacer::new(pace, (0, 1), SECOND, None, 0);
    assert_eq!(pacer.due(SECOND), Due::Now(0));
    assert!(!pacer.is_over(2 * SECOND - 1) && pacer.is_over(2 * SECOND));
    assert_eq!(pacer.give_up(), 999);
}

#[test]
fn limit_open_max_windows_of_a_closed_loop() {
    let check = |window: usize, connections: usize, expected: Result<(), &str>| {
        let options = Options { pace: Pace::Closed { window }, connections, ..options() };
        assert_eq!(options.check().map_err(|error| error.to_string()), expected.map_err(str::to_owned));
    };
    check(1 << 20, 1, Ok(()));
    check((1 << 20) + 1, 1, Err("--pipelining 1048577 for 1 connection: at most 1048576 in total"));
    check(1 << 17, 8, Ok(()));
    check(1 << 17, 9, Err("--pipelining 131072 for 9 connections: at most 1048576 in total"));
}
