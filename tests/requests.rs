//! What clients send where a request's fields vary in size: values that are made for each request (templates.md). And what they know
//! of replies whose values are made.
#![allow(clippy::pedantic, clippy::unwrap_used)]

mod naive;
mod product;

use fsu_core::answer::build::Inputs;
use fsu_core::client::request::{build, fill};
use fsu_core::predict::{Origin, forms_to};
use fsu_plan::wire::civil::{Calendar, Now};
use naive::clock::Clock;
use naive::fields::{hex, unhex};
use product::{Outcome, Product, compiled};
use serde_json::{Value, json};

/// `7E cmd data.. 0D`; the request has this list.
fn template(request: Value) -> Value {
    json!({"vendor": "v", "rule_file_list": ["default.json"], "protocol": {
        "dynamic_length": true,
        "data_frame_type_flag": "cmd",
        "pdu_left": [{"name": "start", "length": 1, "value": "7E"}, {"name": "cmd", "length": 1}],
        "pdu_tailer": [{"name": "end", "length": 1, "value": "0D"}],
        "data_frame": [{"data_frame_type": "01", "req_data_list": request, "resp_data_list": []}]
    }})
}

/// The data frame that a client sends at 2026-01-12 17:30:03 if these elements are given.
fn check(request: &Value, given: &[(&str, &str)], expected: &str) {
    let product = Product::strict(&template(request.clone()), json!({"01": {}}));
    let device = product.fleet.fsus[0].devices[0].clone();
    let (template, command) = (&*device.template, &device.template.commands[0]);
    let given: Vec<(String, String)> = given.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect();
    let mut raw = build(template, command, &given).unwrap();
    let mut inputs = Inputs {
        request: &[],
        trace: None,
        state: None,
        device: 0,
        id_hex: &product.fleet.fsus[0].id,
        seq: 1,
        due: Now { unix_ms: 1_768_239_003_000, utc_offset_s: 0 },
        moment: None,
        calendar: &mut Calendar::default(),
        dice: &mut fastrand::Rng::with_seed(1).into(),
        item: None,
    };
    fill(template, command, &given, &mut inputs, &mut raw);
    let expected = expected
        .split_once('|')
        .map_or_else(|| expected.replace(' ', ""), |(text, rest)| hex(text.as_bytes()) + &rest.replace(' ', ""));
    assert_eq!(hex(&raw[2..raw.len() - 1]), expected, "{given:?}");
    assert!(unhex(&expected).is_some());
}

/// What the configuration says about such a request.
fn told(request: Value) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let files = [
        (
            "sys_config.json",
            json!({"fsu_list": [{"fsuname": "a", "port": 0, "protocol_type": "tcp", "config_dir": "."}]}),
        ),
        (
            "fsu_devices.json",
            json!({"device_list": [
            {"sub_dev_type": "01", "sub_dev_addr": "01", "protocol_template": "t.json"}]}),
        ),
        ("t.json", template(request)),
        ("default.json", json!({"01": {}})),
    ];
    for (name, content) in files {
        std::fs::write(dir.path().join(name), content.to_string()).unwrap();
    }
    let (_, lines) = compiled(&dir.path().join("sys_config.json"));
    lines.iter().map(|line| line.rsplit_once("error: ").unwrap().1.to_owned()).collect()
}

fn text(value: &str) -> Value {
    json!({"name": "qn", "type": "str", "until": "3B", "value": value})
}

#[test]
fn functions_in_what_varies_are_made_for_each_request() {
    let number = |value: &str| json!({"name": "t", "length": 2, "type": "uint", "value": value});
    let list = json!([text("QN=${datetime(%Y%m%d%H%M%S)}$"), number("${hour() * 100 + minute()}$"),
        {"name": "n", "length": 1, "type": "uint"},
        {"name": "items", "type": "list", "count": {"field": "n"}, "items": [{"name": "day", "length": 1, "value": "${day()}$"}]},
        {"name": "rest", "type": "str", "length": "rest", "value": "${choice(ab,ab)}$"}]);
    check(&list, &[], "QN=20260112173003;|06C2 00 6162");
    // What is given stays, and moves what follows it.
    check(&list, &[("qn", "QN=1"), ("rest", "xyz")], "QN=1;|06C2 00 78797A");
    check(&list, &[("t", "7")], "QN=20260112173003;|0007 00 6162");
    check(&list, &[("items", "[{\"day\": \"31\"}]")], "QN=20260112173003;|06C2 01 31 6162");
    let fixed = json!([{"name": "n", "length": 1, "type": "uint"},
        {"name": "days", "type": "list", "count": 2, "items": [{"name": "day", "length": 1, "value": "${day()}$"}]}]);
    check(&fixed, &[], "00 1212");
    check(&fixed, &[("days.1.day", "09")], "00 1209");
}

#[test]
fn functions_that_do_not_combine_are_told() {
    let one = |value: &str| told(json!([text(value)]));
    let sizes = "the size of `qn` differs from request to request (a function whose texts all have one length, as \
        `datetime`, or a field of fixed size)";
    for value in ["${rand(1,100)}$", "${choice(a,bb)}$", "${seq()}$", "${fsuid()}$"] {
        assert_eq!(one(value), [sizes], "{value}");
    }
    for value in ["${rand(10,99)}$", "${choice(a,b)}$", "${datetime(%H:%M)}$"] {
        assert!(one(value).is_empty(), "{value}: {:?}", one(value));
    }
    assert!(one("${reg(x)}$")[0].contains("reg"), "{:?}", one("${reg(x)}$"));
    let by = json!([text("a"), {"name": "tag", "length": 1, "value": "${day()}$"},
        {"name": "body", "type": "choice", "by": "tag", "cases": {"01": [{"name": "a", "length": 1}]}}]);
    assert_eq!(told(by), ["`tag` selects a case, and its value is a function (a constant)"]);
    // A function that gives the end of its field.
    assert_eq!(one("${datetime(%H;%M)}$"), ["the value has 3B, which ends its field"]);
}

#[test]
fn the_size_of_a_reply_with_texts_of_one_length_is_known() {
    let mut template = template(json!([]));
    template["protocol"]["data_frame"][0]["resp_data_list"] =
        json!([{"name": "qn", "type": "str", "until": "3B"}, {"name": "n", "length": 1, "value": "07"}]);
    let request = unhex("7E010D").unwrap();
    let check = |value: &str, is_known: bool| {
        let mut product = Product::strict(&template, json!({"01": {"data": {"qn": value}}}));
        let device = product.fleet.fsus[0].devices[0].clone();
        let forms = forms_to(&device.template, &device.rules[0][0].replies[0], &request);
        assert_eq!(forms.is_ok(), is_known, "{value}");
        let Ok(forms) = forms else { return };
        let Outcome::Reply(got, _) = product.respond(&request, Clock::parse("2026-01-12T17:30:03")) else {
            panic!("no reply: {value}")
        };
        let form = &forms[0];
        assert_eq!(form.frame.len(), got.len(), "{value}");
        let same = |at: usize| match form.origins[at] {
            Origin::Constant => form.frame[at] == got[at],
            Origin::Request(_) | Origin::Unknown => true,
        };
        assert!((0..got.len()).all(same) && form.origins.contains(&Origin::Unknown), "{value}: {}", hex(&got));
    };
    for value in
        ["QN=${datetime(%Y%m%d%H%M%S%3f)}$", "${rand(100,999)}$", "${choice(ab,cd)}$", "${year(yyyy)}$-${hour()}$"]
    {
        check(value, true);
    }
    for value in ["${rand(1,100)}$", "${choice(a,bcd)}$", "${seq()}$"] {
        check(value, false);
    }
}
