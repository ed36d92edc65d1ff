//! Twice the configuration takes twice the time: steps are counted, not seconds.

use super::super::compile;
use crate::config::load::Loader;
use crate::config::source::Source;
use crate::config::steps::steps_of;
use std::path::Path;

/// Most of what twice as much may take.
const RATIO_MAX: f64 = 2.3;

/// One configuration: its files, by path.
type Files = Vec<(String, String)>;

/// What a configuration is made of; everything that is not given is small.
#[derive(Default)]
struct Parts {
    left: Option<String>,
    commands: Option<String>,
    protocol: String,
    rules: Option<String>,
    rule_files: String,
    top: String,
    fsus: Option<String>,
    vendors: Option<String>,
    more: Files,
}

fn files(parts: Parts) -> Files {
    let left = parts.left.unwrap_or_else(|| {
        r#"{"name":"start","length":1,"value":"7E"},{"name":"command","length":2},
            {"name":"size","length":2,"type":"length","of":["data_frame"]}"#
            .into()
    });
    let commands = parts.commands.unwrap_or_else(|| command(1, "", r#"{"name":"v","length":2,"type":"uint"}"#));
    let fsus = parts.fsus.unwrap_or_else(|| fsu("a", "./site", ""));
    let mut files = vec![
        (
            "v/protocol.json".into(),
            format!(
                r#"{{"rule_file_list":["./default.json"{}],"protocol":{{"dynamic_length":true,"data_frame_type_flag":"command",
                    {}"pdu_left":[{left}],"pdu_tailer":[{{"name":"end","length":1,"value":"0D"}}],"data_frame":[{commands}]}}}}"#,
                parts.rule_files, parts.protocol
            ),
        ),
        ("v/default.json".into(), parts.rules.unwrap_or_else(|| r#"{"0001":{"data":{"v":1}}}"#.into())),
        ("site/fsu_devices.json".into(), DEVICES.into()),
        ("sys_config.json".into(), format!(r#"{{{}"fsu_list":[{fsus}]}}"#, parts.top)),
    ];
    files.extend(parts.vendors.map(|vendors| ("vendor.json".into(), vendors)));
    files.extend(parts.more);
    files
}

const DEVICES: &str = r#"{"device_list":[{"sub_dev_type":"01","sub_dev_addr":"01","vendor":"x",
    "protocol_template":"../v/protocol.json"}]}"#;

fn fsu(name: &str, dir: &str, more: &str) -> String {
    format!(
        r#"{{"fsuname":"{name}","fsuid":"32303236303030303031","port":0,"protocol_type":"udp","config_dir":"{dir}"{more}}}"#
    )
}

fn command(key: usize, request: &str, response: &str) -> String {
    format!(r#"{{"data_frame_type":"{key:04X}","req_data_list":[{request}],"resp_data_list":[{response}]}}"#)
}

fn list(n: usize, each: impl Fn(usize) -> String) -> String {
    (0..n).map(each).collect::<Vec<_>>().join(",")
}

fn fields(n: usize, name: &str) -> String {
    list(n, |i| format!(r#"{{"name":"{name}{i}","length":1}}"#))
}

fn write(dir: &Path, files: &Files) {
    for (path, text) in files {
        let path = dir.join(path);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("made");
        std::fs::write(path, text).expect("written");
    }
}

fn steps(files: &Files) -> u64 {
    let dir = tempfile::tempdir().expect("a directory");
    write(dir.path(), files);
    let mut loader = Loader::new(Source::Directory);
    let (_, steps) = steps_of(|| {
        compile(&mut loader, &dir.path().join("sys_config.json"));
        loader.diags.all_lines().count()
    });
    steps
}

fn check(what: &str, n: usize, parts: impl Fn(usize) -> Parts) {
    let [once, twice] = [n, 2 * n].map(|n| steps(&files(parts(n))));
    let ratio = twice as f64 / once as f64;
    assert!(ratio <= RATIO_MAX, "{what}: {once} steps, twice as much: {twice}, {ratio:.2} times");
    assert!(once as usize >= n, "{what}: {once} steps of {n} are not counted");
}

#[test]
fn h10_files_of_one_line_are_linear() {
    check("duplicate keys", 400, |n| Parts {
        rules: Some(format!("{{{}}}", list(n, |i| format!(r#""k{}":{{}}"#, i % (n / 2))))),
        ..Parts::default()
    });
    check("unknown keys", 1_500, |n| Parts { top: list(n, |i| format!(r#""kk{i}":1"#)) + ",", ..Parts::default() });
    let nested = |lists: usize, depth: usize| {
        let list = list(lists, |_| "[".repeat(depth) + &"]".repeat(depth));
        Some(format!(r#"{{"_":[{list}],"0001":{{"data":{{"v":1}}}}}}"#))
    };
    check("nested lists", 200, |n| Parts { rules: nested(n, 40), ..Parts::default() });
    check("depth of lists", 25, |n| Parts { rules: nested(200, n), ..Parts::default() });
    check("wrong rules", 400, |n| Parts {
        rules: Some(format!(r#"{{"0001":[{}]}}"#, list(n, |i| format!(r#"{{"data":{{"w{i}":1}}}}"#)))),
        ..Parts::default()
    });
}

#[test]
fn h10_commands_are_linear() {
    let rules = |n: usize, flip: usize| {
        Some(format!("{{{}}}", list(n, |i| format!(r#""{:04X}":{{"data":{{"v":1}}}}"#, i ^ flip))))
    };
    let commands = |n: usize| Some(list(n, |i| command(i, "", r#"{"name":"v","length":2,"type":"uint"}"#)));
    check("commands", 300, |n| Parts { commands: commands(n), rules: rules(n, 0), ..Parts::default() });
    // Names like each are looked for among 1,000, and 200,000 times.
    check("commands that no rule names", 1_000, |n| Parts {
        commands: commands(n),
        rules: rules(n, 0x8000),
        ..Parts::default()
    });
    let same = |n: usize| {
        Some(list(n, |i| {
            command(
                1,
                &format!(r#"{{"name":"m","length":2,"value":"{i:04X}","match":true}}"#),
                r#"{"name":"v","length":2}"#,
            )
        }))
    };
    check("commands of one key", 300, |n| Parts { commands: same(n), ..Parts::default() });
}

#[test]
fn h10_fields_are_linear() {
    let values = |n: usize, name: &str| list(n, |i| format!(r#""{name}{i}":"01""#));
    let with = |request: String, response: String| Some(command(1, &request, &response));
    check("values of fields", 300, |n| Parts {
        commands: with(fields(n, "f"), fields(n, "f")),
        rules: Some(format!(r#"{{"0001":{{"data":{{{}}},"when":{{{}}}}}}}"#, values(n, "f"), values(n, "f"))),
        ..Parts::default()
    });
    check("references", 300, |n| Parts {
        commands: with(fields(n, "f"), fields(n, "g")),
        rules: Some(format!(r#"{{"0001":{{"data":{{{}}}}}}}"#, list(n, |i| format!(r##""g{i}":"#{{f{i}}}#""##)))),
        ..Parts::default()
    });
    check("lengths of fields", 300, |n| Parts {
        commands: with(
            String::new(),
            fields(n, "f")
                + ","
                + &list(n, |i| format!(r#"{{"name":"l{i}","length":2,"type":"length","of":["f{i}"]}}"#)),
        ),
        ..Parts::default()
    });
    check("names of bits", 1_000, |n| Parts {
        commands: with(
            String::new(),
            format!(
                r#"{{"name":"b","length":{},"type":"bit","bits":{{{}}}}}"#,
                n / 8 + 1,
                list(n, |i| format!(r#""b{i}":[{i},{i}]"#))
            ),
        ),
        rules: Some(format!(r#"{{"0001":{{"data":{{"b":{{{}}}}}}}}}"#, list(n, |i| format!(r#""b{i}":1"#)))),
        ..Parts::default()
    });
    check("one text of many values", 2_000, |n| Parts {
        commands: with(
            r#"{"name":"f","length":1}"#.into(),
            format!(r#"{{"name":"v","length":{},"type":"str"}}"#, 2 * n),
        ),
        rules: Some(format!(r#"{{"0001":{{"data":{{"v":"{}"}}}}}}"#, "#{f}#".repeat(n))),
        ..Parts::default()
    });
}

#[test]
fn h10_rules_and_registers_are_linear() {
    check("rules", 300, |n| Parts {
        rules: Some(format!(
            r#"{{"0001":[{}]}}"#,
            list(n, |i| format!(r#"{{"when":{{"command":"0001"}},"data":{{"v":{i}}}}}"#))
        )),
        ..Parts::default()
    });
    check("registers one from another", 200, |n| Parts {
        rules: Some(format!(
            r#"{{"0001":{{"set":{{{}}}}}}}"#,
            list(n, |i| format!(r#""r{i}":"${{reg(r{})}}$x""#, i + 1))
        )),
        ..Parts::default()
    });
    check("registers that nothing sets", 1_500, |n| Parts {
        rules: Some(format!(
            r#"{{"0001":[{}]}}"#,
            list(n, |i| format!(
                r#"{{"when":{{"command":"0001"}},"set":{{"s{i}":1}},"data":{{"v":"${{reg(r{i})}}$"}}}}"#
            ))
        )),
        ..Parts::default()
    });
}

#[test]
fn h10_fsus_and_their_files_are_linear() {
    check("rule files", 150, |n| {
        let id = |i: usize| hex::encode(format!("2026{:06}", i + 1));
        Parts {
            fsus: Some(fsu("a", "./site", &format!(r#","count":{n}"#)).replace("32303236303030303031", &id(0))),
            rule_files: ",".to_owned() + &list(n, |i| format!(r#""./r/{}.json""#, id(i))),
            more: (0..n).map(|i| (format!("v/r/{}.json", id(i)), r#"{"0001":{"data":{"v":2}}}"#.into())).collect(),
            ..Parts::default()
        }
    });
    check("FSUs on one port", 300, |n| Parts {
        fsus: Some(list(n, |i| {
            fsu(&format!("a{i}"), "./site", &format!(r#","host":"127.0.{}.{}""#, i / 250, i % 250 + 1))
                .replace(r#""port":0"#, r#""port":9"#)
        })),
        ..Parts::default()
    });
    check("device lists with faults", 100, |n| Parts {
        fsus: Some(list(n, |i| fsu(&format!("a{i}"), &format!("./s{i}"), ""))),
        more: (0..n)
            .map(|i| {
                (
                    format!("s{i}/fsu_devices.json"),
                    DEVICES.replace(r#""vendor""#, r#""faults":{"bad_verify":0.1},"vendor""#),
                )
            })
            .collect(),
        ..Parts::default()
    });
    check("vendors", 500, |n| Parts {
        vendors: Some(format!("[{}]", list(n, |i| format!(r#"{{"vendor":"x{i}","encoding":"binary"}}"#)))),
        ..Parts::default()
    });
}
