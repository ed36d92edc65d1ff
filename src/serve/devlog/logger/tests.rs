use super::*;
use crate::devlog::record::{RecordKind, Traffic};
use crate::testing::{device, fixed_template, fleet, fsu_with};
use fsu_plan::model::fleet::{LogPlan, OnFull};
use fsu_plan::model::message::Transport;
use fsu_plan::model::reload::Fate;
use log::{Level, Log};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

const START: i64 = 1_768_306_323_184;

fn start(dir: &Path, fsu_count: usize, queue_bytes: usize, change: impl FnOnce(&mut LogPlan)) -> LoggerHandle {
    let fsus = (0..fsu_count).map(|n| fsu_with(&format!("f{n}"), Transport::Tcp, vec![])).map(|mut fsu| {
        fsu.devices = Arc::new([Arc::new(device(1, fixed_template()))]);
        fsu
    });
    let mut fleet = fleet(dir, fsus.collect());
    change(&mut fleet.log);
    let config = LoggerConfig {
        device_log: true,
        queue_bytes,
        stderr: false,
        open_files_max: 64,
        ledger: None,
        message_ledger: None,
    };
    Logger::start_in(TimeZone::fixed(jiff::tz::offset(8)), config, Arc::new(fleet), START).unwrap()
}

fn peer() -> SocketAddr {
    "127.0.0.1:40212".parse().unwrap()
}

fn device_file(dir: &Path, fsu: usize) -> String {
    std::fs::read_to_string(dir.join(format!("devices/f{fsu}_tcp_20260113_201203.log"))).unwrap_or_default()
}

fn system_text(dir: &Path) -> String {
    let files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.is_file()).map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

/// The numbers that [`number`] put into the records of a file, and one `None` for each loss that the file states.
fn read_back(text: &str) -> Vec<Option<u32>> {
    let mut read = Vec::new();
    for line in text.lines() {
        if let Some(hex_digits) = line.strip_prefix("  HEX: ") {
            let bytes = hex::decode(hex_digits.replace(' ', "")).unwrap();
            read.push(Some(u32::from_be_bytes(bytes[..4].try_into().unwrap())));
        } else if let Some(lost) = line.strip_prefix("... ") {
            let lost = lost.strip_suffix(" records lost here").unwrap().parse().unwrap();
            read.extend(vec![None; lost]);
        }
    }
    read
}

/// Two shards of two FSUs each put numbered records; returns what was accepted, by FSU.
fn put_from_two_shards(handle: &LoggerHandle, records: u32, lens: &[usize]) -> BTreeMap<u32, Vec<Option<u32>>> {
    std::thread::scope(|scope| {
        let shards: Vec<_> = (0..2)
            .map(|shard| {
                let mut tap = handle.tap(shard, 4);
                scope.spawn(move || {
                    let mut put: BTreeMap<u32, Vec<Option<u32>>> = BTreeMap::new();
                    for n in 0..records {
                        let fsu = shard as u32 * 2 + n % 3 % 2;
                        let mut bytes = vec![0xA5; lens[n as usize % lens.len()]];
                        bytes[..4].copy_from_slice(&n.to_be_bytes());
                        let accepted = tap.record(Traffic {
                            kind: RecordKind::Reply,
                            fsu,
                            peer: peer(),
                            unix_ms: START,
                            abouts: &[],
                            bytes: &bytes,
                        });
                        put.entry(fsu).or_default().push(accepted.then_some(n));
                    }
                    tap.close();
                    put
                })
            })
            .collect();
        shards.into_iter().flat_map(|shard| shard.join().unwrap()).collect()
    })
}

fn check_accounts(dir: &Path, put: &BTreeMap<u32, Vec<Option<u32>>>, totals: LogTotals) {
    for (&fsu, put) in put {
        assert_eq!(&read_back(&device_file(dir, fsu as usize)), put, "FSU {fsu}");
    }
    let accepted = put.values().flatten().filter(|record| record.is_some()).count() as u64;
    let refused = put.values().flatten().count() as u64 - accepted;
    let expected = LogTotals { device_records_written: accepted, device_records_lost: refused, ..LogTotals::default() };
    assert_eq!(totals, expected);
}

#[test]
fn blocking_loses_nothing_and_keeps_the_order() {
    let dir = tempfile::tempdir().unwrap();
    let handle = start(dir.path(), 4, 4096, |log| log.on_full = OnFull::Block);
    let put = put_from_two_shards(&handle, 2_000, &[4, 60, 34, 1_000]);
    check_accounts(dir.path(), &put, handle.stop());
    assert!(put.values().flatten().all(Option::is_some));
}

#[test]
fn dropping_tells_of_every_loss_at_its_place() {
    for queue_bytes in [120, 1_000, 100_000] {
        let dir = tempfile::tempdir().unwrap();
        let handle = start(dir.path(), 4, queue_bytes, |_| {});
        let put = put_from_two_shards(&handle, 3_000, &[4, 60, 34, 90]);
        check_accounts(dir.path(), &put, handle.stop());
    }
}

#[test]
fn a_record_larger_than_a_turn_is_written_whole() {
    let dir = tempfile::tempdir().unwrap();
    let handle = start(dir.path(), 4, 4 * TURN_BYTES, |log| log.on_full = OnFull::Block);
    let put = put_from_two_shards(&handle, 6, &[3 * TURN_BYTES, 4]);
    check_accounts(dir.path(), &put, handle.stop());
}

#[test]
fn limit_stop_wait_max_what_an_open_tap_accepted_is_written_too() {
    let dir = tempfile::tempdir().unwrap();
    let handle = start(dir.path(), 1, LOG_QUEUE_BYTES, |_| {});
    let mut tap = handle.tap(0, 1);
    for n in 0..100u32 {
        assert!(tap.record(Traffic {
            kind: RecordKind::Reply,
            fsu: 0,
            peer: peer(),
            unix_ms: START,
            abouts: &[],
            bytes: &n.to_be_bytes()
        }));
    }
    let totals = handle.stop();
    assert_eq!(totals.device_records_written, 100);
    assert_eq!(read_back(&device_file(dir.path(), 0)), (0..100).map(Some).collect::<Vec<_>>());
    assert!(
        system_text(dir.path())
            .contains("[WARN] fsu_mock::syslog: device log: shards that have not closed their queue: 1")
    );
    assert!(
        !tap.record(Traffic {
            kind: RecordKind::Reply,
            fsu: 0,
            peer: peer(),
            unix_ms: START,
            abouts: &[],
            bytes: &[0; 4]
        }),
        "nobody would write it"
    );
}

#[test]
fn an_fsu_that_is_none_of_the_fleets_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let handle = start(dir.path(), 1, 1_000, |_| {});
    let mut tap = handle.tap(0, 7);
    assert!(!tap.record(Traffic {
        kind: RecordKind::Reply,
        fsu: 1,
        peer: peer(),
        unix_ms: START,
        abouts: &[],
        bytes: b"x"
    }));
    tap.close();
    assert_eq!(handle.stop(), LogTotals::default());
}

#[test]
fn without_a_device_log_only_the_system_log_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = Arc::new(fleet(dir.path(), vec![fsu_with("f0", Transport::Udp, vec![])]));
    let config = LoggerConfig {
        device_log: false,
        queue_bytes: 1_000,
        stderr: false,
        open_files_max: 64,
        ledger: None,
        message_ledger: None,
    };
    let handle = Logger::start(config, fleet, START).unwrap();
    let mut tap = handle.tap(0, 1);
    assert!(
        !tap.is_on()
            && tap.record(Traffic {
                kind: RecordKind::Reply,
                fsu: 0,
                peer: peer(),
                unix_ms: START,
                abouts: &[],
                bytes: b"x"
            })
    );
    let record = log::RecordBuilder::new().level(Level::Info).target("t").args(format_args!("ready")).build();
    handle.system_log().log(&record);
    assert_eq!(handle.stop(), LogTotals { system_lines_written: 1, ..LogTotals::default() });
    assert!(system_text(dir.path()).ends_with("] [INFO] t: ready\n"));
    assert!(!dir.path().join("devices").exists());
}

#[test]
fn performance_mode_decides_on_the_device_log() {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet = fleet(dir.path(), vec![]);
    assert!(LoggerConfig::of(&fleet).device_log);
    fleet.performance.skip_device_log = true;
    assert!(!LoggerConfig::of(&fleet).device_log);
}

#[test]
fn a_directory_that_cannot_be_written_is_counted_and_told() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("devices"), "in the way").unwrap();
    let handle = start(dir.path(), 4, 100_000, |_| {});
    let mut tap = handle.tap(0, 4);
    for _ in 0..10 {
        assert!(tap.record(Traffic {
            kind: RecordKind::Reply,
            fsu: 0,
            peer: peer(),
            unix_ms: START,
            abouts: &[],
            bytes: b"x"
        }));
    }
    tap.close();
    let totals = handle.stop();
    assert_eq!((totals.device_records_written, totals.device_records_unwritten), (0, 10));
    assert!(totals.device_write_errors >= 1);
    assert!(system_text(dir.path()).contains("[ERROR] fsu_mock::syslog: device log: write errors: "));
}

#[test]
fn a_burst_with_closed_taps_is_on_disk_after_stop() {
    let dir = tempfile::tempdir().unwrap();
    let handle = start(dir.path(), 50, LOG_QUEUE_BYTES, |_| {});
    let mut tap = handle.tap(0, 50);
    for n in 0..20_000u32 {
        let mut bytes = [0; 34];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        assert!(tap.record(Traffic {
            kind: RecordKind::Reply,
            fsu: n % 50,
            peer: peer(),
            unix_ms: START,
            abouts: &[],
            bytes: &bytes
        }));
    }
    tap.close();
    assert_eq!(handle.stop(), LogTotals { device_records_written: 20_000, ..LogTotals::default() });
    for fsu in 0..50 {
        let expected: Vec<_> = (0..400).map(|n| Some(n * 50 + fsu)).collect();
        assert_eq!(read_back(&device_file(dir.path(), fsu as usize)), expected);
    }
}

#[test]
fn records_are_formatted_by_the_plan_they_were_made_under() {
    let dir = tempfile::tempdir().unwrap();
    let mut handle = start(dir.path(), 2, LOG_QUEUE_BYTES, |_| {});
    let (mut first, mut second) = (handle.tap(0, 2), handle.tap(1, 2));
    let put = |tap: &mut Tap, fsu, text: &[u8]| {
        assert!(tap.record(Traffic {
            kind: RecordKind::Received,
            fsu,
            peer: peer(),
            unix_ms: START,
            abouts: &[],
            bytes: text
        }));
    };
    put(&mut first, 0, b"0 of f0");
    put(&mut second, 1, b"0 of f1");
    // f0 goes, f1 becomes number 0, f9 is new.
    let next = |names: &[&str]| {
        let fsus = names.iter().map(|name| fsu_with(name, Transport::Tcp, vec![device(1, fixed_template())]));
        Arc::new(fleet(dir.path(), fsus.collect()))
    };
    let fates = [Fate::Gone, Fate::Stays(0)];
    let epoch = handle.reload(next(&["f1", "f9"])).unwrap();
    first.reload(epoch, &fates, 2);
    put(&mut first, 1, b"1 of f9");
    // The other shard is still at the fleet before.
    put(&mut second, 1, b"1 of f1");
    second.reload(epoch, &fates, 2);
    put(&mut second, 0, b"2 of f1");
    first.close();
    second.close();
    let totals = handle.stop();
    assert_eq!((totals.device_records_written, totals.device_records_lost), (5, 0));
    for (fsu, expected) in [(0, vec!["0 of f0"]), (1, vec!["0 of f1", "1 of f1", "2 of f1"]), (9, vec!["1 of f9"])] {
        let text = device_file(dir.path(), fsu);
        let shown: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("  HEX: ")).collect();
        let expected: Vec<_> = expected.iter().map(hex::encode_upper).collect();
        let shown: Vec<_> = shown.iter().map(|hex| hex.replace(' ', "")).collect();
        assert_eq!(shown, expected, "f{fsu}");
        assert_eq!(text.matches(&format!("fsu[f{fsu}:")).count(), expected.len());
    }
}

#[test]
fn limit_epochs_max_and_catch_up_max_a_logger_that_is_far_behind_takes_no_more_fleets() {
    let dir = tempfile::tempdir().unwrap();
    let mut handle = start(dir.path(), 1, LOG_QUEUE_BYTES, |_| {});
    let tap = handle.tap(0, 1);
    let next = || Arc::new(fleet(dir.path(), vec![fsu_with("f0", Transport::Tcp, vec![])]));
    // The tap does not turn: none of these can be let go.
    for epoch in 1..=EPOCHS_MAX {
        assert_eq!(handle.reload(next()), Ok(epoch));
    }
    assert!(handle.reload(next()).unwrap_err().to_string().contains("reloads behind"));
    drop(tap);
    handle.stop();
}

#[test]
fn a_reload_changes_the_level() {
    let dir = tempfile::tempdir().unwrap();
    let mut handle = start(dir.path(), 1, LOG_QUEUE_BYTES, |_| {});
    let log = handle.system_log();
    let say = |text: &str| log.log(&log::Record::builder().level(Level::Debug).args(format_args!("{text}")).build());
    say("before");
    let mut next = fleet(dir.path(), vec![]);
    next.log.level = log::LevelFilter::Debug;
    handle.reload(Arc::new(next)).unwrap();
    say("after");
    handle.stop();
    assert!(!system_text(dir.path()).contains("before") && system_text(dir.path()).contains("after"));
}

#[test]
fn limit_commands_max_of_the_logger() {
    let (sender, _receiver) = commands();
    let taken = (0..2_000).filter(|_| sender.try_send(LoggerCommand::Stop).is_ok()).count();
    assert_eq!(taken, 1_024);
}
