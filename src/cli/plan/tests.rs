//! Whole plans, against the files of `tests/golden`; `UPDATE_GOLDEN=1 cargo test` rewrites them.

use super::*;
use crate::args::Which;
use crate::golden;
use fsu_plan::model::fleet::Language;
use fsu_plan::texts::chinese;
use fsu_serve::fleet::read::Origin;
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/explain");
const EMBEDDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config");

fn print(config: Option<&str>, fsu: &str, json: bool) -> String {
    let args = PlanArgs {
        which: Which { config: config.map(Into::into), gallery: false },
        fsu: Some(fsu.into()),
        cmd: None,
        list: false,
        json,
    };
    let mut out = Vec::new();
    assert_eq!(plan(&args, Texts::ENGLISH, &mut out).unwrap(), Exit::Ok);
    if !json {
        let mut out = Vec::new();
        plan(&args, Texts::of(Language::Zh), &mut out).unwrap();
        chinese::check(&String::from_utf8(out).unwrap(), config.map(Path::new));
    }
    String::from_utf8(out).unwrap()
}

fn check(file: &str, fsu: &str) {
    golden::check(file, &print(Some(CONFIG), fsu, false));
}

#[test]
fn plans() {
    check("plan_fixed.txt", "hall");
    check("plan_ascii_hex.txt", "gate");
}

/// Fields behind one of variable size are told below the others, in both languages.
#[test]
fn fields_of_variable_size() {
    let dir = tempfile::tempdir().unwrap();
    let mut files = fsu_plan::compile::fixtures::files();
    files["t.json"]["protocol"]["data_frame"][0]["req_data_list"] = serde_json::json!([
        {"name": "n", "type": "uint", "length": 1},
        {"name": "tag", "length": 1},
        {"name": "names", "type": "list", "count": {"field": "n"}, "max": 5, "items": [
            {"name": "id", "type": "uint", "length": 2}, {"name": "one", "type": "str", "until": "00", "max": 9}
        ]},
        {"name": "body", "type": "choice", "by": "tag", "cases": {
            "01": [{"name": "short", "length": 1}], "else": [{"name": "raw", "length": "rest"}]
        }}
    ]);
    for (name, content) in files.as_object().unwrap() {
        std::fs::write(dir.path().join(name), content.to_string()).unwrap();
    }
    let text = print(dir.path().to_str(), "a", false);
    let lines: Vec<&str> = text.lines().skip_while(|line| !line.contains("walked:")).take(7).map(str::trim).collect();
    let expected = [
        "then, walked:",
        "names  list, up to 5 items",
        "id  uint, 2 bytes",
        "one  str, up to 9 bytes",
        "body  choice of 2 cases",
        "[01] short  hex, 1 byte",
        "[else] raw  hex, up to 65000 bytes",
    ];
    assert_eq!(lines, expected, "{text}");
    assert!(text.contains("request, data frame of at least 2 bytes, walked"), "{text}");
}

/// `plan` of the golden configuration; what it writes, or why it does not.
fn told(fsu: Option<&str>, cmd: Option<&str>, list: bool, json: bool) -> Result<String, String> {
    let [fsu, cmd] = [fsu, cmd].map(|text| text.map(str::to_owned));
    let args = PlanArgs { which: Which { config: Some(CONFIG.into()), gallery: false }, fsu, cmd, list, json };
    let mut out = Vec::new();
    plan(&args, Texts::ENGLISH, &mut out).map_err(|error| error.to_string())?;
    Ok(String::from_utf8(out).unwrap())
}

#[test]
fn n19_one_command_is_shown_alone() {
    golden::check("plan_command.txt", &told(Some("gate"), Some("4AE1"), false, false).unwrap());
    for spelling in ["4ae1", "4A_E1", "4A E1"] {
        assert_eq!(told(Some("gate"), Some(spelling), false, false), told(Some("gate"), Some("4AE1"), false, false));
    }
    let json: serde_json::Value =
        serde_json::from_str(&told(Some("gate"), Some("4AE1"), false, true).unwrap()).unwrap();
    let keys: Vec<&str> = json["devices"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|d| d["commands"].as_array().unwrap())
        .map(|c| c["key"].as_str().unwrap())
        .collect();
    assert_eq!(keys, ["4AE1", "4AE1"]);
    let unknown = told(Some("gate"), Some("4AE2"), false, false).unwrap_err();
    assert_eq!(unknown, "--cmd: gate has no command `4AE2` (did you mean `4AE1`?)");
}

#[test]
fn n19_a_command_of_another_layout() {
    let told = |cmd: &str| {
        let which = Which { config: None, gallery: true };
        let (fsu, cmd) = (Some("iec104".to_owned()), Some(cmd.to_owned()));
        let mut out = Vec::new();
        let args = PlanArgs { which, fsu, cmd, list: false, json: false };
        plan(&args, Texts::ENGLISH, &mut out).map_err(|error| error.to_string())?;
        Ok::<_, String>(String::from_utf8(out).unwrap())
    };
    let start = told("U/07000000").unwrap();
    assert!(start.contains("iec104/U") && start.contains("07000000"), "{start}");
    assert_eq!(told("07000000"), Ok(start));
    assert!(told("other/other").unwrap().contains("iec104/other"));
    assert!(told("protocol/64").unwrap().contains("64"));
    let wrong = told("U/64").unwrap_err();
    assert!(wrong.starts_with("--cmd: iec104 has no command `U/64`"), "{wrong}");
}

#[test]
fn n19_a_list_of_what_there_is() {
    golden::check("plan_list.txt", &told(None, None, true, false).unwrap());
    let one = told(Some("gate"), None, true, false).unwrap();
    assert!(one.contains("gate") && !one.contains("hall"), "{one}");
    let json: serde_json::Value = serde_json::from_str(&told(None, None, true, true).unwrap()).unwrap();
    assert_eq!(json["fsus"][0]["name"], "hall");
    assert!(json["templates"][0]["commands"][0]["key"].is_string());
    // An entry with a count is one line for people, and all of them for programs.
    let fleet = load(&Origin::Embedded, Texts::ENGLISH).unwrap();
    let listed = |say: Texts| {
        let mut text = Vec::new();
        list::of(&fleet).write(&mut TextOut::new(&mut text, say)).unwrap();
        String::from_utf8(text).unwrap()
    };
    chinese::check(&listed(Texts::of(Language::Zh)), Some(Path::new(EMBEDDED)));
    let text = listed(Texts::ENGLISH);
    assert!(text.contains("fleet_00001 … fleet_00100") && text.contains("127.0.0.1:22001-22100"), "{text}");
    assert_eq!(serde_json::to_value(list::of(&fleet)).unwrap()["fsus"].as_array().unwrap().len(), fleet.fsus.len());
}

#[test]
fn an_id_is_shown_where_there_is_one() {
    let first = |fsu: &str| print(Some(CONFIG), fsu, false).lines().take(3).map(str::to_owned).collect();
    let check = |fsu: &str, expected: [&str; 3]| assert_eq!(Vec::<String>::as_slice(&first(fsu)), expected);
    check("gate", ["fsu gate", "  listens         tcp 127.0.0.1:40102", "  id              3230323530313236"]);
    check("nameless", ["fsu nameless", "  listens         tcp 127.0.0.1:40104", "  connections     at most 1024"]);
}

#[test]
fn where_it_dials_out_to_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let template = std::fs::canonicalize(Path::new(CONFIG)).unwrap();
    let connect = serde_json::json!({"to": "192.0.2.1:9000", "from": ["192.0.2.128/25"], "per_second": 500});
    let entry = |name: &str, transport: &str, connect: &serde_json::Value| serde_json::json!({"fsuname": name, "fsuid": "3031", "protocol_type": transport, "config_dir": template.join("plain"), "connect": connect, "count": 2});
    let plain = serde_json::json!({"to": "192.0.2.1:9000"});
    let main = serde_json::json!({"fsu_list": [entry("out", "tcp", &connect), entry("beats", "udp", &plain)]});
    std::fs::write(dir.path().join("sys_config.json"), main.to_string()).unwrap();
    let fleet = load(&Origin::Path(dir.path().to_owned()), Texts::ENGLISH).unwrap();
    let printed = |number: usize| {
        let mut out = Vec::new();
        text::write(&FsuPlan::new(&fleet.fsus[number]), &mut TextOut::new(&mut out, Texts::ENGLISH)).unwrap();
        String::from_utf8(out).unwrap().lines().skip(1).take(2).map(str::to_owned).collect::<Vec<_>>()
    };
    let dials =
        "  dials           tcp 192.0.2.1:9000 from 192.0.2.128/25; again within 1000 to 60000 ms; at most 500 a second";
    assert_eq!(printed(0)[0], dials);
    assert_eq!(printed(2), ["  listens         udp 0.0.0.0:0", "  sends to        udp 192.0.2.1:9000"]);
    let list = serde_json::to_value(list::of(&fleet)).unwrap();
    assert_eq!((&list["fsus"][0]["bind"], &list["fsus"][0]["connect"]), (&"".into(), &"192.0.2.1:9000".into()));
    let mut text = Vec::new();
    list::of(&fleet).write(&mut TextOut::new(&mut text, Texts::ENGLISH)).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("out_00001 … out_00002") && text.contains("to 192.0.2.1:9000"), "{text}");
}

#[test]
fn json_has_the_same_facts() {
    let json: serde_json::Value = serde_json::from_str(&print(Some(CONFIG), "gate", true)).unwrap();
    let device = &json["devices"][0];
    assert_eq!(device["framing"], "by the length at [3..5]");
    assert_eq!(device["checksum"]["at"], -3);
    assert_eq!(device["keys"][0]["table"], serde_json::json!([["4AE1", [1, 2]]]));
    assert_eq!(device["commands"][1]["constants"][0]["bytes"], "01");
    assert_eq!(
        device["commands"][1]["rules"][1]["replies"][0]["patches"][0],
        "copy request[1..2] (ver) -> reply[1..2]"
    );
}

#[test]
fn every_embedded_fsu_has_one() {
    let mut seen = HashSet::new();
    for fsu in &load(&Origin::Embedded, Texts::ENGLISH).unwrap().fsus {
        let printed = |say: Texts| {
            let mut out = Vec::new();
            text::write(&FsuPlan::new(fsu), &mut TextOut::new(&mut out, say)).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert!(printed(Texts::ENGLISH).starts_with(&format!("fsu {}\n", fsu.name)));
        // FSUs of one entry share their devices.
        if seen.insert(fsu.devices.iter().map(Arc::as_ptr).collect::<Vec<_>>()) {
            chinese::check(&printed(Texts::of(Language::Zh)), Some(Path::new(EMBEDDED)));
        }
    }
}

/// The files of a device that speaks first.
fn speaking() -> serde_json::Value {
    let mut files = fsu_plan::compile::fixtures::files();
    let protocol = &mut files["t.json"]["protocol"];
    let byte = |name: &str| serde_json::json!({"name": name, "type": "uint", "length": 1});
    for entry in [
        serde_json::json!({"data_frame_type": "10", "direction": "up", "resp_data_list": [byte("serial"), byte("kind")]}),
        serde_json::json!({"data_frame_type": "90", "req_data_list": [byte("re"), byte("result")]}),
    ] {
        protocol["data_frame"].as_array_mut().unwrap().push(entry);
    }
    files["default.json"]["messages"] = serde_json::json!({
        "login": {"frame": "10", "on": ["start", "connect"], "data": {"serial": "${seq()}$"}, "enters": ["online", "fresh"],
            "ack": {"frame": "90", "match": {"re": "serial"}, "when": "result == 0", "within_ms": 100, "retries": 2,
                "backoff": 1.5, "else": "leave:online", "data": {"re": "#{serial}#", "result": 0}}},
        "report": {"frame": "10", "every_ms": 30_000, "jitter": 0.5, "while": "online", "leaves": "fresh", "to": "latest",
            "cycle": [{"kind": 1}, {"kind": 2}], "at_s": [1.5, 20], "cron": "0 12 * * *", "set": {"n": "5"}},
        "alarm": {"raw": "FF", "on": ["trigger", "ack:login", "after:01"], "when": "arg(kind) == 2 && reg(n) > 1",
            "every_ms": 5, "aligned": true, "delay": {"fixed": 3}, "ack": {"frame": "90", "else": "reconnect"}},
    });
    files
}

#[test]
fn messages_are_shown() {
    let dir = tempfile::tempdir().unwrap();
    let files = speaking();
    for (name, content) in files.as_object().unwrap() {
        std::fs::write(dir.path().join(name), content.to_string()).unwrap();
    }
    let text = print(dir.path().to_str(), "a", false);
    let shown =
        text.lines().skip_while(|line| !line.starts_with("  message")).take_while(|line| !line.starts_with("  key"));
    let shown: Vec<&str> = shown.map(|line| line.split(", /").next().unwrap().trim_end()).collect();
    let expected = "  message login
    sent at the start
    sent when a centre connects
    the frame 10
    7 bytes, 2 of data, before patches and checksum:
        0  7E011000 00000D
      reply[3..4] (serial) = ${seq()}$ as binary, high byte first
    acknowledged by 90 within 100 ms
      re equals serial of the message
      when result == 0
      else sent again, 2 times, each wait 1.5 times the one before
      else leaves the state online
      a centre writes re = #{serial}#
      a centre writes result = 0
    then enters online, fresh

  message report
    sent every 30000 ms, spread evenly over the fleet, each up to 15000 ms late
    sent 1.5, 20 s after the start of the run
    sent by the calendar: 0 12 * * *
    only in the state online
    to the centre heard last, the newest connection
    set n := 5
    turn 1 of 2
    the frame 10
    7 bytes, 2 of data, before patches and checksum:
        0  7E011000 01000D
    turn 2 of 2
    the frame 10
    7 bytes, 2 of data, before patches and checksum:
        0  7E011000 02000D
    then leaves fresh

  message alarm
    sent when it is triggered
    sent once the message login is acknowledged
    sent once 01 was answered
    sent every 5 ms, all FSUs at the same moment
    when arg(kind) == 2 && reg(n) > 1
    arguments: kind
    after 3 ms
    1 byte, 0 of data, before patches and checksum:
        0  FF
    acknowledged by 90 within 5000 ms
      else the connection is closed
";
    assert_eq!(shown.join("\n"), expected, "{text}");
    assert!(text.contains("\n  only the device sends it\n"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&print(dir.path().to_str(), "a", true)).unwrap();
    let login = &json["devices"][0]["messages"][0];
    assert_eq!(login["ack"]["match"], serde_json::json!([["re", "serial"]]));
    assert_eq!(
        (&login["frames"][0]["command"], &login["enters"]),
        (&"10".into(), &serde_json::json!(["online", "fresh"]))
    );
    assert_eq!(json["devices"][0]["commands"][1]["up"], true);
}

#[test]
fn messages_of_one_command() {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in speaking().as_object().unwrap() {
        std::fs::write(dir.path().join(name), content.to_string()).unwrap();
    }
    let which = Which { config: Some(dir.path().into()), gallery: false };
    let fleet = load(&which.origin(), Texts::ENGLISH).unwrap();
    let check = |key: &str, expected: &[&str]| {
        let mut plan = FsuPlan::new(&fleet.fsus[0]);
        plan.only(key).unwrap();
        let names: Vec<&str> = plan.devices[0].messages.iter().map(|message| &*message.name).collect();
        assert_eq!(names, expected, "{key}");
    };
    check("10", &["login", "report"]);
    check("90", &["login", "alarm"]);
    check("01", &[]);
}
