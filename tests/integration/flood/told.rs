//! What a run reports: refusals, rates, verdicts, samples; and a centre.

use super::{METER, counts, fleet, flood, peer, right, total};
use crate::harness::{Ended, PROGRAM, Run, Tree, fsu, run_to_end};
use crate::wire::{meter, reply};
use serde_json::{Value, json};
use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;

/// A server that stops and starts again: unanswered requests are lost, and the run continues.
#[test]
fn n15_a_refusal_in_the_midst_ends_nothing() {
    let tree = fleet();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let at = socket.local_addr().expect("bound");
    let peer = std::thread::spawn(move || {
        let mut buffer = [0; 2048];
        let answer = |socket: &UdpSocket, buffer: &mut [u8]| {
            let Ok((size, from)) = socket.recv_from(buffer) else { return false };
            socket.send_to(&right(&buffer[..size]), from).is_ok()
        };
        (0..10).for_each(|_| assert!(answer(&socket, &mut buffer)));
        drop(socket);
        std::thread::sleep(Duration::from_millis(300));
        let socket = UdpSocket::bind(at).expect("the port is still free");
        socket.set_read_timeout(Some(Duration::from_secs(2))).expect("not zero");
        while answer(&socket, &mut buffer) {}
    });
    let said = [format!("listening one udp {at}")];
    let args = ["--mix", "05", "--fsu", "one", "--rate", "100", "--seconds", "1", "--timeout-ms", "500"];
    let (ended, report) = flood(&tree, &said, &args);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let [sent, good, _, wrong, lost, _] = counts(&report);
    assert_eq!((sent, wrong), (100, 0), "{report:#}");
    assert!(good > 10 && lost > 0 && total(&report, "refused") > 0, "{report:#}");
    assert!(!report["verdict"]["failures"].to_string().contains("ended early"), "{report:#}");
    peer.join().expect("the peer");
}

/// 50 requests within half a second, each answered 300 ms later: replies after the end of sending are a separate part.
#[test]
fn n15_rates_are_those_of_the_time_of_sending() {
    let tree = fleet();
    let run = Run::start(&tree, &[]);
    let args = ["--tcp", "--connections", "50", "--mix", "03", "--rate", "100", "--seconds", "0.5"];
    let (ended, report) = flood(&tree, &run.said, &args);
    assert_eq!((ended.code, counts(&report)[1]), (Some(0), 50), "{ended:?}");
    let seconds = report["seconds"].as_array().expect("a list");
    let sent: u64 =
        seconds.iter().filter(|second| second["is_rest"] == false).filter_map(|one| one["sent"].as_u64()).sum();
    assert_eq!(sent, 50, "{report:#}");
    assert!(seconds.iter().any(|second| second["is_rest"] == true), "{report:#}");
    run.stop();
}

#[test]
fn n15_a_centre_refuses_what_it_cannot_do_and_fails_when_nobody_is_heard() {
    let beats =
        |id: &str, name: &str| fsu(name, id, "udp", &json!({"heartbeat_enable": true, "heartbeat_interval": 1}));
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let at = socket.local_addr().expect("bound").to_string();
    drop(socket);
    let centre = json!({"sc_iot_center": {"host": "127.0.0.1", "port": at.rsplit(':').next().and_then(|port| port.parse::<u16>().ok())}});
    let tree = Tree::new(&[beats("20250125", "one"), beats("20250126", "two")], &centre);
    let listen = |args: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command.args(["flood", "--centre", &at, "--config"]).arg(tree.path("sys_config.json"));
        run_to_end(command.args(args))
    };
    for refused in [&["--broadcast"][..], &["--tcp"], &["--warmup", "1"], &["--max-loss", "1"], &["--echo"]] {
        let ended = listen(&[refused, &["--seconds", "0.1"]].concat());
        assert!(ended.code == Some(2) && ended.stderr.contains(refused[0]), "{refused:?}: {ended:?}");
    }
    let report = |ended: &Ended| -> Value { serde_json::from_str(&ended.stdout.join("\n")).expect("JSON") };
    let ended = listen(&["--seconds", "0.1", "--json", "-"]);
    assert_eq!((ended.code, &report(&ended)["failures"][0]), (Some(1), &json!("no heartbeat was heard")));
    let run = Run::start(&tree, &[]);
    let ended = listen(&["--seconds", "3", "--json", "-", "--quiet"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("  passed"), "{ended:?}");
    assert_eq!(report(&ended)["fsus"].as_array().map(Vec::len), Some(2));
    run.stop();
}

#[test]
fn n15_a_closed_loop_saturates_and_says_where_to_judge() {
    let tree = fleet();
    let (printed, thread) = peer(|asked| vec![right(asked)]);
    let report = tree.path("report.json").display().to_string();
    let late = r#"{"lateness": {"replies": 1000, "p50_us": 1, "p99_us": 9000, "p999_us": 9000, "max_us": 9000, "limit_us": 5000, "over_limit": 50}}"#;
    tree.write("stats.json", late);
    let stats = tree.path("stats.json").display().to_string();
    let check = |pace: &[&str], state: &str, said: &str| {
        let args = ["--mix", "05", "--fsu", "one", "--requests", "50", "--mock-stats", &stats];
        let (ended, told) = flood(&tree, &printed, &[&args[..], pace].concat());
        assert_eq!((ended.code, &told["mock_verdict"]["state"]), (Some(0), &json!(state)), "{ended:?}");
        assert!(ended.stdout.join("\n").contains(said), "{ended:?}");
        let again = run_to_end(Command::new(PROGRAM).args(["flood", "--from", &report]));
        assert_eq!(again.stdout, ended.stdout);
        told
    };
    check(&["--rate", "100"], "not_valid", "not valid at 100 requests/s and above");
    let told = check(&["--window", "1"], "saturated", "a closed loop drives the mock to its limit");
    let [rate, judge] =
        ["saturated_per_s", "judge_per_s"].map(|name| told["mock_verdict"][name].as_f64().expect("a rate"));
    assert!((judge - rate / 2.0).abs() <= 0.5, "{rate} {judge}");
    thread.join().expect("the peer");
}

/// A second run judges the mock that the first one saturated; what fails there fails the report.
#[test]
fn n15_a_saturated_mock_is_judged_by_a_second_run() {
    let tree = fleet();
    let late = |us: u64, over: u64| json!({"lateness": {"replies": 1000, "p50_us": 1, "p99_us": us, "p999_us": us, "max_us": us, "limit_us": 5000, "over_limit": over}});
    let run = |name: &str, stats: &Value, answers: fn(&[u8]) -> Vec<Vec<u8>>, pace: [&str; 2]| {
        tree.write("stats.json", &stats.to_string());
        let stats = tree.path("stats.json").display().to_string();
        let (printed, thread) = peer(answers);
        let args = ["--mix", "05", "--fsu", "one", "--requests", "20", "--timeout-ms", "300", "--mock-stats", &stats];
        let (_, report) = flood(&tree, &printed, &[&args[..], &pace].concat());
        tree.write(name, &report.to_string());
        thread.join().expect("the peer");
    };
    let good = |asked: &[u8]| vec![right(asked)];
    run("closed.json", &late(9_000, 50), good, ["--window", "1"]);
    run("valid.json", &late(912, 0), good, ["--rate", "500"]);
    run("late.json", &late(7_000, 10), good, ["--rate", "500"]);
    run("lost.json", &late(912, 0), |_| vec![], ["--rate", "500"]);
    let judged = |first: &str, second: &str| {
        let mut command = Command::new(PROGRAM);
        command.args(["flood", "--json"]).arg(tree.path("judged.json")).arg("--from").arg(tree.path(first));
        let ended = run_to_end(command.arg("--judged").arg(tree.path(second)));
        let report = std::fs::read(tree.path("judged.json")).expect("written");
        (ended, serde_json::from_slice::<Value>(&report).unwrap_or_default())
    };
    let check = |first: &str, second: &str, code: i32, state: &str, said: &[&str]| {
        let (ended, report) = judged(first, second);
        assert_eq!(ended.code, Some(code), "{second}: {ended:?}");
        assert_eq!(report["mock_verdict"]["state"], "saturated");
        assert_eq!(report["mock_verdict"]["judged"]["state"], state, "{second}: {report:#}");
        let text = ended.stdout.join("\n");
        assert!(said.iter().all(|said| text.contains(said)), "{second}: {text}");
        // Read again it says the same.
        let again = run_to_end(Command::new(PROGRAM).args(["flood", "--from"]).arg(tree.path("judged.json")));
        assert_eq!((again.code, again.stdout), (Some(code), ended.stdout), "{second}");
        tree.write("again.json", &report.to_string());
    };
    let own = "requests/s, in a run of its own: ";
    check("closed.json", "valid.json", 0, "valid", &[own, "own: valid: the mock was at most 0.912 ms late at p99.9"]);
    check("closed.json", "late.json", 0, "not_valid", &["own: not valid: the mock was 7.000 ms late at p99.9"]);
    check(
        "closed.json",
        "lost.json",
        1,
        "valid",
        &["at 500 requests/s, in a run of its own: valid", "FAILED: at 500 requests/s: 20 lost, 100.0000 %"],
    );
    // Another second run takes the place of that one, with what failed in it.
    check("again.json", "valid.json", 0, "valid", &["passed"]);
    let refused = |first: &str, second: &str, why: &str| {
        let (ended, _) = judged(first, second);
        assert!(ended.code == Some(2) && ended.stderr.contains(why), "{ended:?}");
    };
    refused("valid.json", "late.json", "this run did not saturate the mock");
    refused("closed.json", "closed.json", "its run was a closed loop");
    run("plain.json", &json!({}), good, ["--rate", "500"]);
    refused("closed.json", "plain.json", "it does not have the mock's own lateness");
}

/// The script, from the fleet to the last word. With a limit of 0 every reply is late, so the first run saturates the mock.
#[test]
fn n15_the_script_judges_a_saturated_mock() {
    let out = Tree::new(&[], &json!({}));
    let script = [concat!(env!("CARGO_MANIFEST_DIR"), "/../.."), "/scripts/flood.sh"].concat();
    let check = |more: &[&str], files: &[&str], said: &[&str], unsaid: &str| {
        let port = UdpSocket::bind("127.0.0.1:0").expect("a free port").local_addr().expect("bound").port().to_string();
        let mut command = Command::new("bash");
        command.args([&script, "--bin", PROGRAM, "--fsus", "1", "--port", &port, "--late-limit-ms", "0", "--out"]);
        command.arg(out.path("out")).args(more).args(["--", "--requests", "50", "--quiet", "--window=2"]);
        let ended = run_to_end(&mut command);
        let text = ended.stdout.join("\n");
        assert_eq!(ended.code, Some(0), "{more:?}: {ended:?}");
        assert!(said.iter().all(|said| text.contains(said)) && !text.contains(unsaid), "{more:?}: {text}");
        for file in files {
            assert!(out.path("out").join(file).is_file(), "{more:?}: {file}");
        }
    };
    let (of_each, of_second) = (["report.json", "report.html", "stats.json", "mock.log"], "judged/report.json");
    let second = ["== saturated: judging the mock at ", "0.5 of the rate found", "in a run of its own: not valid: "];
    check(&["--warmup", "0"], &[&of_each[..], &[of_second]].concat(), &second, "to judge the mock, start it again");
    let hint = ["saturated at ", "to judge the mock, start it again and flood with --rate "];
    check(&["--warmup", "0", "--judge-at", "off"], &of_each, &hint, "in a run of its own");
    let mut command = Command::new("bash");
    let ended = run_to_end(command.args([&script, "--judge-at", "1.5"]));
    assert!(ended.code == Some(1) && ended.stderr.contains("--judge-at 1.5: above 0 and at most 1"), "{ended:?}");
}

/// `flood` and `ask` send EE where the FSU takes that, else the first flag of its list.
#[test]
fn n08_generators_ask_with_a_flag_that_is_accepted() {
    let check = |flags: Value, sent: u8| {
        let more = if flags.is_null() { json!({}) } else { json!({"accept_rtn_flags": flags}) };
        let tree = Tree::new(&[fsu("one", "20250125", "udp", &more)], &json!({}));
        let run = Run::start(&tree, &[]);
        let (ended, report) = flood(&tree, &run.said, &["--mix", "01,05", "--requests", "20"]);
        assert_eq!((ended.code, counts(&report)), (Some(0), [20, 20, 0, 0, 0, 0]), "{flags}: {ended:?}");
        let ask = |to: &str| {
            let mut command = Command::new(PROGRAM);
            command.args(["ask", "--fsu", "one", "--cmd", "05", "--timeout-ms", "5000", "--json", "--to", to]);
            run_to_end(command.arg("--config").arg(tree.path("sys_config.json")))
        };
        let ended = ask(&run.address("one").to_string());
        let told: Value = serde_json::from_str(&ended.stdout.join("\n")).expect("JSON");
        let request = crate::wire::request_with(sent, "20250125", METER, &meter(0, 5, &[0; 4]));
        assert_eq!(
            (ended.code, &told["request"]),
            (Some(0), &json!(hex::encode_upper(&request))),
            "{flags}: {ended:?}"
        );
        run.stop();
        // What flood sent, as it came.
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let printed = [format!("listening one udp {}", socket.local_addr().expect("bound"))];
        let args = ["--mix", "05", "--requests", "1", "--timeout-ms", "50", "--max-loss", "100"];
        let (ended, _) = flood(&tree, &printed, &args);
        let mut buffer = [0; 2048];
        let size = socket.recv(&mut buffer).expect("a request");
        assert_eq!((ended.code, &buffer[..size]), (Some(0), &request[..]), "{flags}: {ended:?}");
    };
    check(Value::Null, 0xEE);
    check(json!(["00", "EE"]), 0xEE);
    check(json!(["AA", "00"]), 0xAA);
    check(json!(["00"]), 0x00);
    check(json!(["FD"]), 0xFD);
}

#[test]
fn n17_samples_are_the_frames_as_they_travel() {
    let tree = fleet();
    let wrong = |_: &[u8]| vec![reply("20250125", METER, &meter(0, 5, &[0, 0, 1, 0]))];
    for (answers, kind) in [(wrong as fn(&[u8]) -> Vec<Vec<u8>>, "wrong"), (|_| Vec::new(), "lost")] {
        let (printed, thread) = peer(answers);
        let args = ["--mix", "05", "--fsu", "one", "--requests", "1", "--timeout-ms", "200"];
        let (_, report) = flood(&tree, &printed, &args);
        let sample = &report["samples"][0];
        assert_eq!(sample["kind"], kind);
        let request = crate::wire::request("20250125", METER, &meter(0, 5, &[0; 4]));
        assert_eq!(sample["request"], hex::encode_upper(request), "{kind}");
        let came = answers(&[]).concat();
        assert_eq!(sample["reply"], hex::encode_upper(came), "{kind}");
        thread.join().expect("the peer");
    }
}

#[test]
fn n18_a_dash_is_standard_output_and_nothing_has_no_time() {
    let tree = fleet();
    let (printed, thread) = peer(|_| vec![]);
    tree.write("ports.txt", &printed.join("\n"));
    let mut command = Command::new(PROGRAM);
    command.args([
        "flood",
        "--fsu",
        "one",
        "--mix",
        "05",
        "--requests",
        "1",
        "--timeout-ms",
        "100",
        "--quiet",
        "--json",
        "-",
    ]);
    command.arg("--config").arg(tree.path("sys_config.json")).arg("--ports").arg(tree.path("ports.txt"));
    let ended = run_to_end(command.current_dir(tree.path("")));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let report: Value = serde_json::from_str(&ended.stdout.join("\n")).expect("JSON");
    assert_eq!(report["version"], 2);
    assert!(ended.stderr.contains("1 FSU over udp") && !ended.stderr.contains("0.0 us"), "{ended:?}");
    assert!(!tree.path("-").exists());
    thread.join().expect("the peer");
}
