//! Operation without permission, descriptors, disk space or io_uring.

use crate::harness::{Ended, PROGRAM, Run, Tcp, Tree, fsu, run_to_end};
use crate::wire::{heartbeat, meter, reply, request};
use rustix::process::{Resource, Rlimit, getrlimit, prlimit};
use seccompiler::{SeccompAction, SeccompFilter};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::Command;

const ID: &str = "20250125";

fn asked(tag: u8) -> Vec<u8> {
    meter(1, 1, &[0, tag])
}

fn answer(tag: u8) -> Vec<u8> {
    meter(1, 1, &[0, tag, 2, 1])
}

/// A TCP connection from another address of this machine.
fn tcp_from(host: &str, to: SocketAddr) -> Tcp {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let from: SocketAddr = format!("{host}:0").parse().expect("an address");
    socket.bind(&from.into()).expect("an address of this machine");
    socket.connect(&to.into()).expect("it listens");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(crate::harness::PATIENCE)).expect("not zero");
    Tcp(stream)
}

#[test]
fn centres_that_may_not_ask_are_not_answered() {
    let fsus = [
        fsu("udp", ID, "udp", &json!({})),
        fsu("tcp", "2", "tcp", &json!({})),
        fsu("open", "3", "tcp", &json!({"allow": ["127.0.0.1/32"]})),
    ];
    let tree = Tree::new(&fsus, &json!({"allow": ["127.0.0.9/32"]}));
    let run = Run::start(&tree, &[]);
    let good = request(ID, [1, 1], &asked(1));
    run.udp("udp").send(&good);
    let centre = UdpSocket::bind(("127.0.0.9", 0)).unwrap();
    centre.set_read_timeout(Some(crate::harness::PATIENCE)).unwrap();
    centre.send_to(&good, run.address("udp")).unwrap();
    let mut buffer = [0; 100];
    let size = centre.recv(&mut buffer).unwrap();
    assert_eq!(buffer[..size], reply(ID, [1, 1], &answer(1)));
    run.tcp("tcp").expect_end();
    for mut centre in [tcp_from("127.0.0.9", run.address("tcp")), run.tcp("open")] {
        centre.send(&asked(1));
        centre.expect(&answer(1));
    }
    let ended = run.stop();
    assert_eq!(ended.count("/totals/dropped/not_allowed"), 2);
    assert_eq!(ended.count("/totals/answered"), 3);
}

#[test]
fn one_address_does_not_get_all_connections() {
    let limits = json!({"limits": {"connections_per_peer_max": 2}});
    let tree = Tree::new(&[fsu("site", "1", "tcp", &limits)], &json!({}));
    let run = Run::start(&tree, &[]);
    let mut centres = [run.tcp("site"), run.tcp("site")];
    for centre in &mut centres {
        centre.send(&asked(1));
        centre.expect(&answer(1));
    }
    run.tcp("site").expect_end();
    let mut other = tcp_from("127.0.0.2", run.address("site"));
    other.send(&asked(1));
    other.expect(&answer(1));
    assert_eq!(run.stop().count("/totals/dropped/connection_peer_limit"), 1);
}

/// `run` with these arguments, after this shell command.
fn after(tree: &Tree, script: &str, args: &[&str]) -> Command {
    let script = format!("{script} && exec \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script, "sh", PROGRAM, "run", "--config"]).arg(tree.path("sys_config.json"));
    command.arg("--stats").arg(tree.path("stats.json")).args(args).current_dir(tree.path(""));
    command
}

fn check_without_descriptors(driver: &str) {
    let tree = Tree::new(&[fsu("site", "1", "tcp", &json!({}))], &json!({}));
    // One more than it asks for with one shard, one socket and no device log.
    let mut command = after(&tree, "ulimit -n 51", &["--performance", "--shards", "1", "--driver", driver]);
    let run = Run::ready(&mut command, tree.path("stats.json"));
    // The log has its file before the last descriptor is gone.
    tree.until_logged("ready");
    let mut centres: Vec<Tcp> = (0..100).map(|_| run.tcp("site")).collect();
    tree.until_logged("accept_failed");
    for (tag, centre) in (0..).zip(&mut centres) {
        centre.send(&asked(tag));
    }
    // They are accepted in their order: each that goes makes room for one that waits.
    for (tag, mut centre) in (0..).zip(centres) {
        centre.expect(&answer(tag));
    }
    let ended = run.stop();
    assert!(ended.count("/totals/dropped/accept_failed") >= 1);
    assert_eq!(ended.count("/totals/answered"), 100);
}

#[test]
fn without_descriptors_to_spare_accepting_waits_and_goes_on() {
    ["poll", "auto"].into_iter().for_each(check_without_descriptors);
}

#[test]
fn h14_a_full_disk_costs_records_and_nothing_else() {
    let tree = Tree::new(&[fsu("site", "1", "tcp", &json!({}))], &json!({"log": {"level": "info"}}));
    // Files of 8 blocks of 512 bytes at most; what is past that is an error, as of a full disk, and no signal ends it.
    let mut command = after(&tree, "ulimit -S -f 8", &[]);
    let run = Run::ready(&mut command, tree.path("stats.json"));
    let mut centre = run.tcp("site");
    let mut ask = |times: u8| {
        for tag in 0..times {
            centre.send(&asked(tag));
            centre.expect(&answer(tag));
        }
    };
    ask(100);
    tree.until_logged("device log: write errors: ");
    let limit = getrlimit(Resource::Fsize);
    prlimit(Some(run.pid()), Resource::Fsize, Rlimit { current: limit.maximum, maximum: limit.maximum })
        .expect("raised");
    ask(100);
    let ended = run.stop();
    let (written, unwritten) =
        (ended.count("/log/device_records_written"), ended.count("/log/device_records_unwritten"));
    assert_eq!(ended.count("/totals/answered"), 200);
    assert_eq!(written + unwritten, 400);
    assert!(unwritten > 0 && written >= 200, "{written} {unwritten}");
    let log = std::fs::read_dir(tree.path("logs/devices")).unwrap().next().unwrap().unwrap().path();
    let text = std::fs::read_to_string(log).unwrap();
    let told = text.lines().filter_map(|line| line.strip_prefix("... ")?.strip_suffix(" records lost here"));
    assert_eq!(told.map(|lost| lost.parse::<u64>().unwrap()).sum::<u64>(), unwritten);
    let told = tree.system_log().matches("device log: write errors: ").count();
    assert!((1..=2).contains(&told), "at once, and at the end what came since: {told}");
}

/// Runs something with system calls refused with this error, as a container's seccomp profile does.
fn without<T: Send>(calls: &[i64], errno: i32, what: impl FnOnce() -> T + Send) -> T {
    // The filter is this thread's, and of what it starts.
    let filtered = move || {
        let rules: BTreeMap<_, _> = calls.iter().map(|&call| (call, vec![])).collect();
        let arch = std::env::consts::ARCH.try_into().expect("a known processor");
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(errno as u32), arch);
        let program: seccompiler::BpfProgram = filter.expect("a filter").try_into().expect("a program");
        seccompiler::apply_filter(&program).expect("a thread may give up what it wants");
        what()
    };
    std::thread::scope(|scope| scope.spawn(filtered).join().expect("it ended"))
}

pub(crate) fn without_io_uring<T: Send>(errno: i32, what: impl FnOnce() -> T + Send) -> T {
    without(&[libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register], errno, what)
}

#[test]
fn where_io_uring_is_forbidden_it_says_what_to_change() {
    let tree = Tree::new(&[fsu("site", "1", "tcp", &json!({}))], &json!({}));
    for (errno, said) in [(libc::EPERM, "seccomp=unconfined"), (libc::ENOSYS, "or later is needed")] {
        let mut command = after(&tree, "true", &["--driver", "ring"]);
        let ended = without_io_uring(errno, || run_to_end(&mut command));
        assert_eq!(ended.code, Some(4), "{ended:?}");
        assert!(ended.stderr.contains("io_uring: ") && ended.stderr.contains(said), "{}", ended.stderr);
    }
}

/// All three transports, a delayed reply, a heartbeat, a reload and the drain.
fn serve_all(tree: &Tree, args: &[&str]) -> (Vec<String>, Ended) {
    let mut run = Run::start(tree, args);
    let said = run.said.clone();
    let (udp, broadcast, mut tcp) = (run.udp("udp"), run.udp("broadcast"), run.tcp("tcp"));
    for tag in 0..20 {
        udp.send(&request(ID, [1, 1], &asked(tag)));
        broadcast.send(&asked(tag));
        tcp.send(&asked(tag));
    }
    for tag in 0..20 {
        assert_eq!(udp.receive(), reply(ID, [1, 1], &answer(tag)));
        assert_eq!(broadcast.receive(), answer(tag));
        tcp.expect(&answer(tag));
    }
    let delayed = meter(1, 3, &[0, 7]);
    assert_eq!(broadcast.ask(&delayed), delayed);
    tcp.send(&delayed);
    tcp.expect(&delayed);
    let beats = run.udp("beats");
    assert_eq!(beats.ask(&request("4", [1, 1], &asked(1))), reply("4", [1, 1], &answer(1)));
    assert_eq!(beats.receive(), heartbeat("4", 1));
    run.reload();
    tcp.send(&asked(1));
    tcp.expect(&answer(1));
    // Due within the drain.
    broadcast.send(&delayed);
    broadcast.send(&asked(1));
    assert_eq!(broadcast.receive(), answer(1));
    let ended = run.stop();
    assert_eq!(broadcast.receive(), delayed);
    (said, ended)
}

fn all_kinds() -> Tree {
    let beats = json!({"heartbeat_enable": true, "heartbeat_interval": 0.05});
    let fsus = [
        fsu("udp", ID, "udp", &json!({})),
        fsu("tcp", "2", "tcp", &json!({})),
        fsu("broadcast", "3", "broadcast", &json!({})),
        fsu("beats", "4", "udp", &beats),
    ];
    Tree::new(&fsus, &json!({}))
}

fn executor_line(said: &[String]) -> Option<&str> {
    said.iter().map(|line| line.trim()).find(|line| line.starts_with("executor"))
}

#[test]
fn h16_without_io_uring_everything_is_served_on_plain_threads() {
    let tree = all_kinds();
    for (errno, why) in [(libc::EPERM, "refused here"), (libc::ENOSYS, "there is none")] {
        for driver in ["poll", "auto"] {
            let (said, ended) = without_io_uring(errno, || serve_all(&tree, &["--driver", driver, "--shards", "2"]));
            let line = executor_line(&said).expect("a line");
            assert!(line.contains("thread (not glommio: io_uring: ") && line.contains(why), "{line}");
            assert_eq!(
                (&ended.stats["run"]["executor"], &ended.stats["run"]["driver"]),
                (&json!("thread"), &json!("poll"))
            );
            assert_eq!(ended.count("/totals/dropped_total"), 0);
        }
    }
}

#[test]
fn h16_with_too_little_locked_memory_everything_is_served_on_plain_threads() {
    let tree = all_kinds();
    let mut command = after(&tree, "ulimit -l 64", &[]);
    let run = Run::ready(&mut command, tree.path("stats.json"));
    let line = executor_line(&run.said).expect("a line");
    assert!(
        line.contains("not glommio: locked memory: 512 KiB are needed, the limit is 64 KiB (ulimit -l 512;"),
        "{line}"
    );
    assert_eq!(run.udp("broadcast").ask(&asked(1)), answer(1));
    run.stop();
}

#[test]
fn h16_glommio_stays_where_it_can_run() {
    let (said, ended) = serve_all(&all_kinds(), &["--driver", "poll"]);
    // Where this machine itself forbids io_uring, a line says so.
    let expected = if executor_line(&said).is_some() { "thread" } else { "glommio" };
    assert_eq!(ended.stats["run"]["executor"], expected);
}

/// It ends with exit code 4 and these words, without a panic.
#[track_caller]
fn assert_lacks(ended: &Ended, said: &[&str]) {
    assert_eq!(ended.code, Some(4), "{ended:?}");
    let is_told = said.iter().all(|text| ended.stderr.contains(text)) && !ended.stderr.contains("panicked");
    assert!(is_told, "{said:?} in:\n{}", ended.stderr);
}

#[test]
fn h14_where_threads_may_not_be_pinned_it_says_so() {
    let tree = Tree::new(&[fsu("site", "1", "tcp", &json!({}))], &json!({}));
    let mut command = after(&tree, "true", &[]);
    let ended = without(&[libc::SYS_sched_setaffinity], libc::EPERM, || run_to_end(&mut command));
    assert_lacks(&ended, &["processors: a thread cannot be pinned to processor ", "sched_setaffinity"]);
}

#[test]
fn h14_without_sys_it_says_so() {
    let tree = Tree::new(&[fsu("site", "1", "tcp", &json!({}))], &json!({}));
    let here = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["-r", "-m", "sh", "-c", script, PROGRAM]).arg(tree.path("sys_config.json"));
        command.current_dir(tree.path(""));
        command
    };
    // Where a process may not have a mount of its own, nothing can be tried.
    if !here("mount -t tmpfs none /sys").status().is_ok_and(|status| status.success()) {
        return eprintln!("not tried: unshare -r -m");
    }
    let ended = run_to_end(&mut here("mount -t tmpfs none /sys && exec \"$0\" run --config \"$1\""));
    assert_lacks(&ended, &["processors: /sys/devices/system/cpu", "-v /sys:/sys:ro"]);
}

#[test]
fn h14_with_too_little_address_space_it_says_so() {
    let tree = Tree::new(&[fsu("site", "1", "tcp", &json!({}))], &json!({}));
    for kib in (60..300).step_by(20).map(|mib| mib * 1_024) {
        let ended = run_to_end(&mut after(&tree, &format!("ulimit -v {kib}"), &["--shards", "1"]));
        assert_lacks(&ended, &["address space: ", "ulimit -v unlimited"]);
    }
    let mut command = after(&tree, "ulimit -v 1000000", &["--shards", "1"]);
    Run::ready(&mut command, tree.path("stats.json")).stop();
}

#[test]
fn the_start_tells_how_much_a_forged_request_could_bring_about() {
    let site: [Value; 1] = [fsu("site", ID, "udp", &json!({}))];
    let tree = Tree::new(&site, &json!({}));
    let run = Run::start(&tree, &[]);
    let line = run.said.iter().find(|line| line.contains("worst factor")).expect("a line");
    assert!(line.contains("times the request at most") && line.contains("of site"), "{line}");
    run.stop();
}

#[test]
fn n16_the_start_counts_all_replies_of_a_burst() {
    let tree = Tree::new(&[fsu("site", ID, "udp", &json!({}))], &json!({}));
    tree.write("lamp/rules/default.json", r#"{"01": {"burst": 20, "cycle": [{"state": "80"}, {"state": "81"}]}}"#);
    let run = Run::start(&tree, &[]);
    let line = run.said.iter().find(|line| line.contains("worst factor")).expect("a line");
    let expected = "20.0 times the request at most (01 of site, the 20 replies of its burst together)";
    assert!(line.contains(expected), "{line}");
    run.stop();
}
