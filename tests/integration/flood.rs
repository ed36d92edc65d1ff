//! The load generator against the program, and against peers that answer wrongly.

mod asking;
mod between;
mod bursts;
mod compare;
mod dialled;
mod find_max;
mod listen;
mod lossy;
mod thresholds;
mod told;

use crate::harness::{Ended, PATIENCE, PROGRAM, Run, Tree, fsu, run_to_end};
use crate::wire::{meter, reply};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::process::Command;
use std::time::Duration;

const METER: [u8; 2] = [1, 1];

fn fleet() -> Tree {
    Tree::new(
        &[
            fsu("one", "20250125", "udp", &json!({})),
            fsu("two", "20250126", "udp", &json!({})),
            fsu("stream", "20250127", "tcp", &json!({})),
        ],
        &json!({}),
    )
}

/// Floods the FSUs in `printed` with the configuration of `tree`. Returns the exit and the JSON report.
fn flood(tree: &Tree, printed: &[String], args: &[&str]) -> (Ended, Value) {
    tree.write("ports.txt", &printed.join("\n"));
    let report = tree.path("report.json");
    let _ = std::fs::remove_file(&report);
    let mut command = Command::new(PROGRAM);
    command.arg("flood").arg("--config").arg(tree.path("sys_config.json")).arg("--ports").arg(tree.path("ports.txt"));
    command.arg("--json").arg(&report).arg("--quiet").args(args);
    if !args.contains(&"--seconds") {
        command.args(["--seconds", "20"]);
    }
    if !args.contains(&"--timeout-ms") {
        command.args(["--timeout-ms", "5000"]);
    }
    let ended = run_to_end(&mut command);
    let report = std::fs::read(&report).map_or(Value::Null, |bytes| serde_json::from_slice(&bytes).expect("JSON"));
    (ended, report)
}

/// sent, good, late, wrong, lost, silent
fn counts(report: &Value) -> [u64; 6] {
    let count = |name: &str| report["totals"]["counts"][name].as_u64().unwrap_or(u64::MAX);
    ["sent", "good", "late", "wrong", "lost", "silent"].map(count)
}

fn total(report: &Value, name: &str) -> u64 {
    report["totals"][name].as_u64().unwrap_or(u64::MAX)
}

#[test]
fn reports_are_chinese_where_it_is_asked_for() {
    let tree = fleet();
    let run = Run::start(&tree, &[]);
    let page = tree.path("page.html");
    let of = |lang: &str| {
        let html = page.to_str().expect("UTF-8");
        flood(&tree, &run.said, &["--lang", lang, "--requests", "20", "--fsu", "one", "--mix", "05", "--html", html])
    };
    let ((english, report), told) = (of("en"), std::fs::read_to_string(&page).expect("a page"));
    let ((chinese, again), said) = (of("zh"), std::fs::read_to_string(&page).expect("a page"));
    let keys = |report: &Value| report.as_object().expect("a report").keys().cloned().collect::<Vec<_>>();
    assert_eq!((keys(&report), &report["verdict"]), (keys(&again), &again["verdict"]));
    let (english, chinese) = (english.stdout.join("\n"), chinese.stdout.join("\n"));
    assert!(english.ends_with("\n  passed"), "{english}");
    assert!(chinese.ends_with("\n  通过"), "{chinese}");
    for text in ["厂家", "发出", "1 个 FSU，udp，闭环，每个端口 1 个未应答请求", "丢失率", "从发送时刻算起；平均 "]
    {
        assert!(chinese.contains(text), "{text} is not in\n{chinese}");
    }
    assert!(told.contains("<html lang=\"en\">") && told.contains("<h2>By command</h2>"));
    assert!(said.contains("<html lang=\"zh-CN\">") && said.contains("<h2>按命令</h2>"));
    assert!(said.contains("<title>fsu-mock flood：1 个 FSU，udp</title>") && !said.contains("<h2>By"), "{said}");
}

#[test]
fn every_reply_is_verified() {
    let tree = fleet();
    let run = Run::start(&tree, &[]);
    let said = run.said.clone();
    let check = |args: &[&str], sent: u64| {
        let (ended, report) = flood(&tree, &said, args);
        assert_eq!(ended.code, Some(0), "{args:?}: {ended:?}");
        assert_eq!(counts(&report), [sent, sent, 0, 0, 0, 0], "{args:?}");
        assert_eq!(report["latency"]["count"], sent);
    };
    check(&["--mix", "01=3,05", "--requests", "400"], 400);
    check(&["--mix", "01", "--requests", "400", "--window", "16", "--threads", "2"], 400);
    check(&["--mix", "01", "--requests", "100", "--window", "16", "--no-gso", "--sockets", "3"], 100);
    check(&["--mix", "05", "--requests", "300", "--rate", "3000", "--poisson"], 300);
    check(&["--mix", "01,05", "--requests", "300", "--rate", "3000", "--tcp"], 300);
    check(&["--mix", "01,05", "--requests", "400", "--tcp", "--connections", "4", "--pipelining", "16"], 400);
    check(&["--mix", "03", "--requests", "4", "--fsu", "t*"], 4);
    let ended = run.stop();
    assert_eq!(ended.count("/totals/received"), 1904);
    assert_eq!(ended.count("/totals/dropped_total"), 0);
}

#[test]
fn values_are_made_anew() {
    let tree = fleet();
    tree.write(
        "values.json",
        r#"{"01": {"tag": "${rand(10,99)}$AB"}, "05": {"tag": "${choice(01020304,FDFEFF00)}$", "address": "FF"}}"#,
    );
    let run = Run::start(&tree, &[]);
    let values = tree.path("values.json").display().to_string();
    for more in [&["--window", "8"][..], &["--tcp", "--pipelining", "8"]] {
        let args = [&["--mix", "05", "--requests", "100", "--values", &values], more].concat();
        let (ended, report) = flood(&tree, &run.said, &args);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(counts(&report), [100, 100, 0, 0, 0, 0]);
        assert_eq!(total(&report, "value_misfits"), 0);
    }
    run.stop();
}

#[test]
fn an_echo_is_verified_as_what_it_is() {
    let tree = fleet();
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let said = [
        format!("listening one udp {}", udp.local_addr().expect("bound")),
        format!("listening stream tcp {}", tcp.local_addr().expect("bound")),
    ];
    udp.set_read_timeout(Some(PATIENCE)).expect("not zero");
    std::thread::spawn(move || {
        let mut bytes = [0; 512];
        while let Ok((count, from)) = udp.recv_from(&mut bytes) {
            let _ = udp.send_to(&bytes[..count], from);
        }
    });
    std::thread::spawn(move || {
        let Ok((mut stream, _)) = tcp.accept() else { return };
        let mut bytes = [0; 512];
        while let Ok(count @ 1..) = stream.read(&mut bytes) {
            let _ = stream.write_all(&bytes[..count]);
        }
    });
    // One plain answer, one that the rule would change, one that it would leave unanswered.
    for more in [&["--fsu", "one", "--window", "8", "--no-gso"][..], &["--tcp", "--pipelining", "8"]] {
        let args = [&["--echo", "--mix", "01,02,05", "--requests", "300"], more].concat();
        let (ended, report) = flood(&tree, &said, &args);
        assert_eq!(ended.code, Some(0), "{more:?}: {ended:?}");
        assert_eq!(counts(&report), [300, 300, 0, 0, 0, 0], "{more:?}");
    }
    // To a request of the mock an echo is no reply.
    let (ended, report) =
        flood(&tree, &said, &["--fsu", "one", "--mix", "01", "--requests", "5", "--timeout-ms", "200"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(counts(&report)[1], 0);
}

#[test]
fn silence_is_right_where_it_is_configured() {
    let tree = fleet();
    let run = Run::start(&tree, &[]);
    let (ended, report) = flood(&tree, &run.said, &["--mix", "02", "--requests", "6", "--timeout-ms", "200"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(counts(&report), [6, 0, 0, 0, 0, 6]);
    run.stop();
}

#[test]
fn late_replies_are_no_lost_ones() {
    let tree = fleet();
    let run = Run::start(&tree, &[]);
    // Answered after 300 ms; the tag tells which request a reply belongs to.
    tree.write("values.json", r#"{"03": {"tag": "${rand(1000,9999)}$"}}"#);
    let values = tree.path("values.json").display().to_string();
    let args = ["--mix", "03", "--fsu", "one", "--requests", "3", "--timeout-ms", "200", "--values", &values];
    let (ended, report) = flood(&tree, &run.said, &args);
    let [sent, good, late, wrong, lost, _] = counts(&report);
    assert_eq!((sent, good, wrong, late + lost), (3, 0, 0, 3), "{ended:?}");
    assert!(late >= 2, "{report:#}");
    run.stop();
}

#[test]
fn a_reply_that_is_not_the_rules_is_wrong() {
    let tree = fleet();
    let run = Run::start(&tree, &[]);
    let other = fleet();
    other.write("meter/rules/default.json", r#"{"01": {"data": {"level": 514}}, "05": {}}"#);
    for more in [&[][..], &["--tcp"]] {
        let (ended, report) = flood(&other, &run.said, &[&["--mix", "01,05", "--requests", "20"], more].concat());
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let [sent, good, late, wrong, lost, _] = counts(&report);
        assert_eq!((sent, good > 0, late, lost), (20, true, 0, 0), "{report:#}");
        assert_eq!(wrong, report["wrong_by"]["static_value"]);
        assert_eq!(report["samples"][0]["kind"], "wrong");
        assert_eq!(report["verdict"]["passed"], false);
    }
    run.stop();
}

/// If rules require request values, the rule that applies decides what is right, not just any rule of the command.
#[test]
fn the_rule_that_applies_decides() {
    let tree = fleet();
    let run = Run::start(&tree, &[]);
    let check = |rules: Value, values: Value, good: u64, why: Value| {
        let other = fleet();
        other.write("meter/rules/default.json", &json!({"05": rules}).to_string());
        other.write("values.json", &json!({"05": values}).to_string());
        let values = other.path("values.json").display().to_string();
        for more in [&["--fsu", "one"][..], &["--tcp"]] {
            let args = ["--mix", "05", "--requests", "10", "--timeout-ms", "500", "--values", &values];
            let (ended, report) = flood(&other, &run.said, &[&args[..], more].concat());
            assert!(ended.code != Some(2), "{ended:?}");
            assert_eq!(counts(&report), [10, good, 0, 10 - good, 0, 0], "{report:#}");
            assert_eq!(report["wrong_by"], why);
        }
    };
    let rules = |first: Value| json!([first, {}]);
    let other = json!({"tag": "FFFFFFFF"});
    let zero = json!({"tag": "00000000"});
    check(rules(json!({"when": zero, "data": other})), zero.clone(), 0, json!({"static_value": 10}));
    check(rules(json!({"when": zero, "timeout": true})), zero.clone(), 0, json!({"not_silent": 10}));
    check(rules(json!({"when": {"tag": "00000001"}, "timeout": true})), zero.clone(), 10, json!({}));
    // A generated value decides which one applies: any of them may.
    let any = json!({"tag": "${rand(10000000,99999999)}$"});
    check(rules(json!({"when": zero, "data": other})), any.clone(), 10, json!({}));
    // Generated, but not compared.
    check(json!([{"data": other}]), any, 0, json!({"static_value": 10}));
    run.stop();
}

/// The rule's delay is longer than the time-out: each reply arrives while a later, equal request is in flight, and belongs to the one
/// that timed out.
#[test]
fn replies_that_are_always_late_are_never_good() {
    let tree = fleet();
    let run = Run::start(&tree, &[]);
    for more in [&["--fsu", "one"][..], &["--tcp"]] {
        let args = ["--mix", "03", "--rate", "10", "--requests", "10", "--timeout-ms", "200"];
        let (_, report) = flood(&tree, &run.said, &[&args[..], more].concat());
        let [sent, good, late, wrong, lost, _] = counts(&report);
        // The run ends when nothing is under way: the last replies are not waited for.
        assert_eq!((sent, good, wrong, late + lost), (10, 0, 0, 10), "{report:#}");
        assert!(late > 5, "{report:#}");
        assert_eq!(total(&report, "doubtful"), 0);
    }
    run.stop();
}

/// The mock dies during the run: the report has the measurements until then, and the reason.
#[test]
fn a_server_that_goes_leaves_a_report() {
    let tree = fleet();
    let run = Run::start(&tree, &[]);
    let said = run.said.clone();
    let (ended, report) = std::thread::scope(|scope| {
        let gone = scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(500));
            run.stop()
        });
        let flooded = flood(&tree, &said, &["--mix", "05", "--tcp", "--connections", "4", "--timeout-ms", "200"]);
        gone.join().expect("stopped");
        flooded
    });
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(counts(&report)[1] > 0, "{report:#}");
    let failures = report["verdict"]["failures"].to_string();
    assert!(failures.contains("ended early: stream at 127.0.0.1:"), "{failures}");
}

/// A rate that no generator reaches: requests after the end are bounded, and unsent ones are reported.
#[test]
fn a_plan_that_cannot_be_kept_is_told() {
    let tree = fleet();
    let run = Run::start(&tree, &[]);
    let args = ["--mix", "05", "--fsu", "one", "--rate", "4e7", "--seconds", "0.1", "--max-loss", "100"];
    let (ended, report) = flood(&tree, &run.said, &args);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let [sent, good, late, _, lost, _] = counts(&report);
    // 4,000,000 were planned; a thread's share is rounded.
    let planned = sent + total(&report, "not_sent");
    assert!((3_999_900..=4_000_100).contains(&planned), "{planned}: {report:#}");
    assert!(total(&report, "not_sent") > 0 && sent == good + late + lost, "{report:#}");
    let per_s = report["totals"]["sent_per_s"].as_f64().expect("a number");
    let measured_s = report["run"]["measured_s"].as_f64().expect("a number");
    assert!((per_s * measured_s / sent as f64 - 1.0).abs() < 0.01, "{report:#}");
    let notes = report["notes"].to_string();
    assert!(notes.contains("of the plan were not sent"), "{notes}");
    run.stop();
}

/// A peer that answers command 05 as `answers` says; it ends after a while without requests.
fn peer(answers: fn(&[u8]) -> Vec<Vec<u8>>) -> (Vec<String>, std::thread::JoinHandle<()>) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.set_read_timeout(Some(Duration::from_secs(3))).expect("not zero");
    let printed = vec![format!("listening one udp {}", socket.local_addr().expect("bound"))];
    let thread = std::thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((size, from)) = socket.recv_from(&mut buffer) {
            for answer in answers(&buffer[..size]) {
                socket.send_to(&answer, from).expect("sent");
            }
        }
    });
    (printed, thread)
}

/// What an FSU would answer to command 05.
fn right(asked: &[u8]) -> Vec<u8> {
    reply("20250125", METER, &meter(0, 5, &tag(asked)))
}

/// The tag of a request of command 05.
fn tag(asked: &[u8]) -> Vec<u8> {
    let frame = crate::wire::through(asked);
    frame[4..frame.len() - 2].to_vec()
}

#[test]
fn what_is_not_right_is_told_apart() {
    let tree = fleet();
    let check = |answers, code: i32, expected: [u64; 6], others: &[(&str, u64)]| {
        let (printed, thread) = peer(answers);
        let args = ["--mix", "05", "--fsu", "one", "--requests", "10", "--timeout-ms", "300"];
        let (ended, report) = flood(&tree, &printed, &args);
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert_eq!(counts(&report), expected, "{report:#}");
        for (name, count) in others {
            assert_eq!(total(&report, name), *count, "{name} {report:#}");
        }
        thread.join().expect("the peer");
    };
    check(|asked| vec![right(asked)], 0, [10, 10, 0, 0, 0, 0], &[]);
    check(|_| vec![], 1, [10, 0, 0, 0, 10, 0], &[]);
    // Another FSU's id; a broken P_verify; another tag; another device.
    check(|_| vec![reply("20250199", METER, &meter(0, 5, &[0; 4]))], 1, [10, 0, 0, 10, 0, 0], &[]);
    check(
        |asked| {
            let mut answer = right(asked);
            answer[9] ^= 1;
            vec![answer]
        },
        1,
        [10, 0, 0, 10, 0, 0],
        &[],
    );
    check(|_| vec![reply("20250125", METER, &meter(0, 5, &[0, 0, 1, 0]))], 1, [10, 0, 0, 10, 0, 0], &[]);
    check(|_| vec![reply("20250125", [1, 2], &meter(0, 5, &[0; 4]))], 1, [10, 0, 0, 10, 0, 0], &[]);
    // Another command's reply, which nothing asked for.
    check(
        |asked| vec![reply("20250125", METER, &meter(0, 4, &[])), right(asked)],
        1,
        [10, 10, 0, 0, 0, 0],
        &[("unexpected", 10)],
    );
}

#[test]
fn a_second_reply_is_a_duplicate() {
    let tree = fleet();
    let (printed, thread) = peer(|asked| vec![right(asked), right(asked)]);
    let args = ["--mix", "05", "--fsu", "one", "--rate", "20", "--requests", "10", "--timeout-ms", "300"];
    let (ended, report) = flood(&tree, &printed, &args);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(counts(&report), [10, 10, 0, 0, 0, 0]);
    // The last one may come after the end.
    assert!((9..=10).contains(&total(&report, "duplicate")), "{report:#}");
    thread.join().expect("the peer");
}

#[test]
fn loss_may_be_allowed_and_the_report_read_again() {
    let tree = fleet();
    let (printed, thread) = peer(|_| vec![]);
    let args = ["--mix", "05", "--fsu", "one", "--requests", "3", "--timeout-ms", "100", "--max-loss", "100"];
    let (ended, report) = flood(&tree, &printed, &args);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(report["totals"]["loss"], 1.0);
    let mut command = Command::new(PROGRAM);
    command.arg("flood").arg("--from").arg(tree.path("report.json")).arg("--html").arg(tree.path("report.html"));
    let again = run_to_end(&mut command);
    assert_eq!((again.code, again.stdout), (Some(0), ended.stdout));
    let page = std::fs::read_to_string(tree.path("report.html")).expect("written");
    assert!(page.starts_with("<!doctype html>") && page.contains("prefers-color-scheme"));
    for outside in ["http:", "https:", "src=", "@import", "<script", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    thread.join().expect("the peer");
}

#[test]
fn wrong_arguments_are_usage() {
    let tree = fleet();
    let printed = ["one", "two"].map(|name| format!("listening {name} udp 127.0.0.1:9"));
    let check = |args: &[&str], expected: &str| {
        let (ended, _) = flood(&tree, &printed, args);
        assert_eq!(ended.code, Some(2), "{args:?}: {ended:?}");
        assert!(ended.stderr.contains(expected), "{args:?}: {}", ended.stderr);
    };
    check(&["--tcp"], "stream has port 0: --ports FILE");
    check(&["--fsu", "none"], "no FSU has such a name");
    check(&["--fsu", "stream"], "none of the 1 FSUs is a udp one (try --tcp)");
    check(&["--mix", "77"], "no device of these FSUs has the command 77");
    check(&["--mix", "01=x"], "a weight is a whole number");
    check(&["--rate", "0"], "--rate 0: a number above 0, at most 100000000\n");
    check(&["--rate", "1e9"], "--rate 1000000000: a number above 0, at most 100000000\n");
    check(&["--timeout-ms", "99999999999"], "--timeout-ms 99999999999: 1 to 2592000000\n");
    check(&["--rate", "5", "--window", "2"], "cannot be used with");
    check(
        &["--fsu", "one", "--window", "18446744073709551615"],
        "--window 18446744073709551615 for 1 FSU: at most 1048576",
    );
    check(&["--window", "600000"], "--window 600000 for 2 FSUs: at most 1048576 in total");
    check(&["--html", "/no/such/report.html"], "--html /no/such/report.html: No such file");
    let report = tree.path("report.json").display().to_string();
    check(&["--html", &report], "--json and --html name the same file");
    check(&["--max-loss", "101"], "0 to 100 percent");
    check(&["--cpus", "99999"], "--cpus");
    check(&["--values", "/nowhere"], "cannot be read");
    tree.write("wrong.json", "{\"01\": {\"tga\": \"01\"},\n \"7\": {}}");
    let wrong = tree.path("wrong.json").display().to_string();
    check(
        &["--values", &wrong],
        &format!(
            "{wrong}:1:9: /01/tga: error: no field `tga` in the request of 01 (did you mean `tag`?)\n\
             {wrong}:2:2: /7: error: no FSU that is asked has a command `7`\n\
             fsu-mock: --values: 2 errors, 0 warnings; nobody is asked\n"
        ),
    );
}
