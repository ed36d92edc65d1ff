//! Twice the input takes twice the work, in what people read: explanations, the device log, the report of a load. Instructions are
//! counted, not seconds, by valgrind's cachegrind; those of a start fall out, as three sizes are compared. What reading a configuration takes
//! is counted in steps, in `src/plan/compile/tests/complexity.rs`.

// A test that cannot go on says so with a panic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::pedantic)]

use fsu_flood::account::{Account, Requests};
use fsu_flood::book::thread::ThreadReport as Thread;
use fsu_flood::fixtures;
use fsu_flood::options::{AskedFsu, Options};
use fsu_flood::profile::Profile;
use fsu_flood::report::FloodReport;
use fsu_flood::sum;
use fsu_plan::compile::compile;
use fsu_plan::config::load::Loader;
use fsu_plan::config::source::Source;
use fsu_plan::model::fault::{FaultKind, Place, Struck};
use fsu_plan::model::fleet::{Fleet, FsuId, Language};
use fsu_plan::model::message::Transport;
use fsu_plan::texts::Texts;
use fsu_serve::devlog::record::Record;
use fsu_serve::devlog::{Logger, LoggerConfig, RecordKind, RecordText, Told};
use serde_json::Value;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

/// Most of what twice as much may take.
const RATIO_MAX: f64 = 2.3;

/// Fewest instructions that the smallest size may take.
const WORK_MIN: f64 = 100_000.0;

/// Whether everything is to be tried, and nothing left out where it cannot be.
fn is_thorough() -> bool {
    std::env::var_os("FSU_MOCK_THOROUGH").is_some()
}

fn meter() -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("docs/examples/meter")
}

/// Instructions of a command, which has to end well; `None`: this machine cannot count them.
fn instructions(of: &Command) -> Option<u64> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]).arg(of.get_program());
    command.args(of.get_args()).envs(of.get_envs().filter_map(|(key, value)| Some((key, value?))));
    let ended = command.stdin(Stdio::null()).output().ok()?;
    let told = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(ended.status.success(), "{told}");
    let line = told.lines().find_map(|line| line.split_once("refs:")).expect("a count");
    Some(line.1.trim().replace(',', "").parse().expect("a number"))
}

/// The work of `n`, `2n` and `4n`: what the second doubling adds is at most [`RATIO_MAX`] times what the first adds.
fn check(what: &str, n: usize, command: impl Fn(usize) -> Command) {
    let counts = [n, 2 * n, 4 * n].map(|n| instructions(&command(n)));
    let [Some(once), Some(twice), Some(four)] = counts else {
        assert!(!is_thorough(), "valgrind is missing");
        // Not `eprintln`, which only a failed test shows.
        let _ = writeln!(std::io::stderr(), "NOT RUN: {what}: no instructions are counted without valgrind");
        return;
    };
    let [first, second] = [twice - once, four - twice].map(|more| more as f64);
    assert!(second <= RATIO_MAX * first, "{what}: {first} more for twice as much, {second} more for twice that");
    // What a start takes differs by some thousand instructions from one process to the next.
    assert!(first >= WORK_MIN, "{what}: {n} are too little work to tell: {first}");
}

fn explain(fsu: &str, hex: String) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fsu-mock"));
    command.arg("explain").arg("--config").arg(meter()).args(["--fsu", fsu]).arg(hex);
    command
}

/// A request of the example's meter over TCP.
const REQUEST: &str = "A5070002000101C04416";

#[test]
fn h10_explanations_are_linear() {
    check("frames of a stream", 10, |n| explain("hall_tcp", REQUEST.repeat(n)));
    check("bytes that each may start a frame", 500, |n| explain("hall_tcp", "A5".repeat(n)));
    if is_thorough() {
        check("bytes that start no frame", 1_000, |n| explain("hall_tcp", "00".repeat(n)));
    }
}

#[test]
fn h10_records_of_the_device_log_are_linear() {
    let all = [("frames", 1_000), ("starts", 1_000), ("records", 50), ("bytes", 2_000)];
    for &(work, n) in &all[..if is_thorough() { 4 } else { 2 }] {
        check(work, n, |n| this(work, n, ""));
    }
}

#[test]
fn h10_reports_of_a_load_are_linear() {
    let dir = tempfile::tempdir().unwrap();
    let report = report(dir.path());
    let check = |work: &str| check(work, 50, |n| this(work, n, report.to_str().unwrap()));
    // All lists together.
    check("all");
    if is_thorough() {
        LISTS.into_iter().for_each(check);
    }
}

#[test]
fn h10_reconciling_a_load_is_linear() {
    let all = [("fsus", 100), ("connections", 250), ("transfer", 100), ("right", 250)];
    for &(work, n) in &all[..if is_thorough() { 4 } else { 3 }] {
        check(work, n, |n| this(work, n, "reconciled"));
    }
}

/// The example with ports that the kernel chooses.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            let text = std::fs::read_to_string(entry.path()).unwrap();
            std::fs::write(to, text.replace("25001", "0")).unwrap();
        }
    }
}

/// The report of a short load of the example.
fn report(dir: &Path) -> PathBuf {
    let path = |name: &str| dir.join(name).display().to_string();
    let program = || Command::new(env!("CARGO_BIN_EXE_fsu-mock"));
    copy(&meter(), &dir.join("meter"));
    let config = path("meter");
    let mut mock = program()
        .args([
            "run",
            "--config",
            &config,
            "--bind",
            "127.0.0.1",
            "--shards",
            "1",
            "--performance",
            "--log-dir",
            &path("logs"),
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufRead::lines(std::io::BufReader::new(mock.stdout.take().unwrap()));
    let said: Vec<String> = lines.map_while(Result::ok).take_while(|line| !line.starts_with("ready")).collect();
    std::fs::write(path("ports"), said.join("\n")).unwrap();
    let load = program()
        .args(["flood", "--config", &config, "--ports", &path("ports"), "--seconds", "1", "--quiet", "--json"])
        .arg(path("report.json"))
        .output()
        .unwrap();
    mock.kill().unwrap();
    mock.wait().unwrap();
    assert!(Path::new(&path("report.json")).exists(), "{}", String::from_utf8_lossy(&load.stderr));
    dir.join("report.json")
}

/// Lists of a report, of which each may be long.
const LISTS: [&str; 6] = ["commands", "vendors", "seconds", "samples", "left_out", "notes"];

const WORK: &str = "FSU_MOCK_COMPLEXITY_WORK";

/// Work of this binary, in a process of its own.
fn this(work: &str, n: usize, more: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "the_work", "--nocapture", "--test-threads=1"]);
    command.env(WORK, format!("{work} {n} {more}"));
    command
}

/// In a process that was started for that, so much work. Else nothing: it is no test.
#[test]
fn the_work() {
    let Ok(work) = std::env::var(WORK) else { return };
    let [work, n, more] = work.splitn(3, ' ').collect::<Vec<_>>()[..] else { return };
    let n: usize = n.parse().unwrap();
    match more {
        "" => records(work, n),
        "reconciled" if work == "transfer" => ledger(n),
        "reconciled" => reconcile(work, n),
        path => of_a_report(work, n, path),
    }
}

/// The fault ledger of a transfer with this many data frames, one line each.
fn ledger(n: usize) {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet: Fleet = compile(&mut Loader::new(Source::Directory), &meter().join("sys_config.json")).unwrap();
    fleet.log.dir = dir.path().to_path_buf();
    let ledger = Some(dir.path().join("ledger.jsonl"));
    let config = LoggerConfig {
        device_log: false,
        queue_bytes: 4 << 20,
        stderr: false,
        open_files_max: 16,
        ledger,
        message_ledger: None,
    };
    let logger = Logger::start(config, Arc::new(fleet), 0).unwrap();
    let mut tap = logger.tap(0, 1);
    for number in 1..=n as u16 {
        let (reply, of, sn) = (number, n as u16, Some(u32::from(number)));
        let place = Place { message: 1, reply, of, frame: Struck::Data, sn };
        assert!(tap.fault(0, i64::from(number), FaultKind::Drop, place));
    }
    drop(tap);
    assert_eq!(logger.stop().ledger_lines_written, n as u64);
}

/// What was sent over BroadCast and what came: of `n` FSUs with which nothing is right, of `n` connections to one, or of `n` FSUs
/// with which all is.
fn reconcile(work: &str, n: usize) {
    let of = |fsus: usize, connections: usize, lost: u64| {
        let profile = Arc::new(Profile::new(Vec::new(), Vec::new()));
        let target = |number: usize| AskedFsu {
            tls: None,
            name: format!("site_{number}").into(),
            id: FsuId::default(),
            rtn_flag: 0,
            is_bare: false,
            address: ([127, 0, 0, 1], 9).into(),
            profile: profile.clone(),
        };
        let requests = Requests { sent: 3, good: 3 - lost, lost, ..Requests::default() };
        let account = |number: usize| {
            // In no order, as they end.
            let lost = Requests { lost: lost * (number as u64 * 7_919 % 101), ..requests };
            (number % fsus, Account { requests: lost, ..Account::default() })
        };
        let accounts = (0..connections).map(account).collect();
        let options = Options { targets: (0..fsus).map(target).collect(), ..fixtures::options(Transport::Broadcast) };
        let thread = Thread { accounts, ..fixtures::thread() };
        sum::report(&options, &[thread], sum::Course::default())
    };
    let report = match work {
        "fsus" => of(n, n, 1),
        "connections" => of(1, n, 1),
        _ => of(n, n, 0),
    };
    assert!(!report.verdict.passed);
}

fn records(work: &str, n: usize) {
    let mut loader = Loader::new(Source::Directory);
    let fleet: Fleet = compile(&mut loader, &meter().join("sys_config.json")).unwrap();
    let fsu = fleet.fsus.iter().find(|fsu| &*fsu.name == "hall_tcp").unwrap();
    let request = hex::decode(REQUEST).unwrap();
    let (times, bytes) = match work {
        "records" => (n, request),
        "frames" => (1, request.repeat(n)),
        "starts" => (1, vec![0xA5; n]),
        _ => (1, vec![0; n]),
    };
    let (mut text, mut out) = (RecordText::new(Language::En, 0), Vec::new());
    for unix_ms in 0..times as i64 {
        let (kind, peer) = (RecordKind::Received, "127.0.0.1:1".parse().unwrap());
        let record = Record { kind, fsu: 0, peer, unix_ms, told: Told::default(), lost_before: 0, bytes: &bytes };
        text.append(fsu, &record, &mut out);
    }
    assert!(!out.is_empty());
}

fn of_a_report(work: &str, n: usize, path: &str) {
    let mut report: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    for list in LISTS.into_iter().filter(|&list| work == "all" || work == list) {
        lengthen(report[list].as_array_mut().unwrap(), list, n);
    }
    let report: FloodReport = serde_json::from_value(report).unwrap();
    assert!(!fsu_flood::text::text(&report, Texts::ENGLISH).is_empty());
    assert!(!fsu_flood::html::html(&report, None, Texts::ENGLISH).is_empty());
}

/// Adds `n` entries like the first, or these words where there is none.
fn lengthen(list: &mut Vec<Value>, name: &str, n: usize) {
    let one = list.first().cloned().unwrap_or_else(|| match name {
        "samples" => serde_json::json!({
            "kind": "lost", "why": "why", "fsu": "hall", "command": "01", "request": REQUEST, "reply": REQUEST,
        }),
        "left_out" => serde_json::json!({
            "vendor": "meter", "command": "01", "why": "why", "remedy": "what", "fsu": "hall", "fsus": 1,
        }),
        _ => Value::String("a note of some words".to_owned()),
    });
    list.extend((0..n).map(|_| one.clone()));
}
