//! Limits that only the program as a whole reaches: `limit_NAME`. docs/internals/limits.md has their list.

use crate::harness::{Ended, PATIENCE, PROGRAM, Run, Tree, fsu, run_to_end, until};
use crate::wire::{meter, request};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::process::Command;

const ID: &str = "20250125";

#[test]
fn limit_errors_logged_max_stderr_has_all() {
    let tree = Tree::new(&[fsu("site", ID, "udp", &json!({}))], &json!({}));
    let run = Run::start(&tree, &[]);
    let wrong =
        |count: usize| -> Vec<Value> { (0..count).map(|n| fsu(&format!("f{n}"), ID, "smoke", &json!({}))).collect() };
    tree.set_fsus(&wrong(130), &json!({}));
    run.signal(rustix::process::Signal::HUP);
    tree.until_logged("reload failed");
    let ended = run.stop();
    let logged = tree.system_log().lines().filter(|line| line.contains("reload: ") && line.contains("`smoke`")).count();
    let told = ended.stderr.lines().filter(|line| line.contains("`smoke`")).count();
    assert_eq!((logged, told), (100, 130), "{}", ended.stderr);
}

/// A sparse file of this many zeros.
fn zeros(tree: &Tree, bytes: u64) -> String {
    let path = tree.path("zeros");
    std::fs::File::create(&path).expect("a file").set_len(bytes).expect("a sparse file");
    path.display().to_string()
}

/// What `flood` with these arguments complains of.
fn complaint(args: &[&str]) -> String {
    let ended: Ended = run_to_end(Command::new(PROGRAM).arg("flood").args(args));
    assert_eq!(ended.code, Some(2), "{ended:?}");
    ended.stderr
}

#[test]
fn limit_ports_bytes_max_and_report_bytes_max_and_stats_bytes_max() {
    let tree = Tree::new(&[fsu("site", ID, "udp", &json!({}))], &json!({}));
    // A report that can be read, so that what is wrong is the other file.
    let config = tree.path("sys_config.json").display().to_string();
    let report = tree.path("report.json").display().to_string();
    let nobody =
        ["flood", "--config", &config, "--seconds", "0.1", "--requests", "1", "--timeout-ms", "1", "--json", &report];
    tree.set_fsus(&[fsu("site", ID, "udp", &json!({"port": 9}))], &json!({}));
    run_to_end(Command::new(PROGRAM).args(nobody));
    let check = |most: u64, args: fn(&str, &str) -> Vec<String>, at_most: &str| {
        for (bytes, expected) in [(most, at_most), (most + 1, &*format!("zeros is longer than {most} bytes"))] {
            let args = args(&zeros(&tree, bytes), &report);
            let told = complaint(&args.iter().map(String::as_str).collect::<Vec<_>>());
            assert!(told.contains(expected), "{bytes} bytes: {told}");
        }
    };
    check(256 << 20, |zeros, _| ["--from", zeros].map(str::to_owned).to_vec(), "is no report of flood");
    check(
        256 << 20,
        |zeros, report| ["--from", report, "--mock-stats", zeros].map(str::to_owned).to_vec(),
        "holds no statistics of run",
    );
    check(64 << 20, |zeros, _| ["--ports", zeros, "--timeout-ms", "0"].map(str::to_owned).to_vec(), "--timeout-ms 0");
}

/// A server that accepts a connection and dies: retries are bounded, and the run ends early.
#[test]
fn limit_failures_max_connections_that_cannot_be_made_anew() {
    let tree = Tree::new(&[fsu("site", ID, "tcp", &json!({}))], &json!({}));
    let server = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let at = server.local_addr().expect("bound");
    tree.write("ports.txt", &format!("listening site tcp {at}\n"));
    let gone = std::thread::spawn(move || drop(server.accept()));
    let mut command = Command::new(PROGRAM);
    command.args(["flood", "--tcp", "--quiet", "--seconds", "600", "--timeout-ms", "200", "--connections", "1"]);
    command.arg("--config").arg(tree.path("sys_config.json")).arg("--ports").arg(tree.path("ports.txt"));
    let ended = run_to_end(&mut command);
    gone.join().expect("it accepted");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let told = format!("ended early: site at {at}: Connection refused");
    assert!(ended.stdout.iter().any(|line| line.contains(&told)), "{ended:?}");
}

#[test]
fn limit_parallel_max_sockets_of_ask() {
    let tree = Tree::new(&[fsu("site", ID, "udp", &json!({"limits": {"clients_max": 1000}}))], &json!({}));
    let run = Run::start(&tree, &[]);
    let mut command = Command::new(PROGRAM);
    command.args([
        "ask",
        "--fsu",
        "site",
        "--cmd",
        "03",
        "--repeat",
        "300",
        "--parallel",
        "300",
        "--timeout-ms",
        "20000",
    ]);
    command.arg("--config").arg(tree.path("sys_config.json")).args(["--to", &run.address("site").to_string()]);
    let ended = run_to_end(&mut command);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let ended = run.stop();
    assert_eq!((ended.count("/totals/answered"), ended.count("/totals/centres_online")), (300, 256));
}

/// Device logs of more FSUs than may be open at a time; the others' are opened again when they have something to write.
#[test]
fn limit_open_files_max_of_device_logs() {
    const FSUS: usize = 1_100;
    let of = |n: usize| fsu(&format!("site{n}"), ID, "udp", &json!({}));
    let tree = Tree::new(&(0..FSUS).map(of).collect::<Vec<_>>(), &json!({"log": {"on_full": "block"}}));
    let run = Run::start(&tree, &[]);
    let centre = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
    centre.set_read_timeout(Some(PATIENCE)).expect("not zero");
    let asked = request(ID, [1, 1], &meter(1, 1, &[0, 1]));
    for n in 0..FSUS {
        centre.send_to(&asked, run.address(&format!("site{n}"))).expect("sent");
        centre.recv(&mut [0; 128]).expect("answered");
    }
    let open = || {
        let fds = std::fs::read_dir(format!("/proc/{}/fd", run.pid().as_raw_nonzero())).expect("it runs");
        let paths = fds.flatten().filter_map(|fd| std::fs::read_link(fd.path()).ok());
        paths.filter(|path| path.parent().is_some_and(|dir| dir.ends_with("logs/devices"))).count()
    };
    let written = || std::fs::read_dir(tree.path("logs/devices")).map_or(0, Iterator::count);
    until("all device logs are there", || written() == FSUS);
    let (_, most) = getrlimit();
    // Half of the descriptors to spare, where that is less.
    let expected = if most.is_none_or(|most| most >= 8_192) { 1_024 } else { open().min(1_024) };
    assert_eq!(open(), expected, "descriptors: at most {most:?}");
    let ended = run.stop();
    assert_eq!(ended.count("/log/device_records_written"), 2 * FSUS as u64);
}

/// Descriptors that a process may have, and that it may ask for.
fn getrlimit() -> (Option<u64>, Option<u64>) {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    (limit.current, limit.maximum)
}
