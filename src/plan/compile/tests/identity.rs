//! FSU ids that were written as text.

use super::{check, check_all, told_by};
use serde_json::{Value, json};

fn fsu(id: &str, count: u32) -> Value {
    json!({"sys_config.json": {"fsu_list": [
        {"fsuname": "a", "fsuid": id, "count": count, "port": 0, "protocol_type": "udp", "config_dir": "."}
    ]}})
}

#[test]
fn n06_an_id_in_text_gets_the_right_hex() {
    let count = |id: &str, count: u32, line: &str| check_all(&fsu(id, count), &[line], id);
    count(
        "20260001",
        20,
        "/fsu_list/0/count: error: fsuid `20260001` ends in no decimal digit that could count up to 20 \
        FSUs (as a text it is \"3230323630303031\")",
    );
    count(
        "20260039",
        2,
        "/fsu_list/0/count: error: the trailing digits of fsuid `20260039` run out before 2 FSUs (as a \
        text it is \"3230323630303339\")",
    );
    // It counts up, by luck.
    count(
        "20260030",
        5,
        "/fsu_list/0/fsuid: warning: fsuid `20260030` is 4 bytes of hex; as a text it is \
        \"3230323630303330\"",
    );
    count("3939", 2, "/fsu_list/0/count: error: the trailing digits of fsuid `3939` run out before 2 FSUs");
    check_all(&fsu("3230323630303031", 20), &[], "right");
    // Without `count` it may well be meant.
    check_all(&fsu("20260001", 1), &[], "alone");
    let info = "/fsu_list/0/fsuid: info: fsuid `20260001` is 4 bytes of hex; as a text it is \"3230323630303031\"";
    assert_eq!(told_by(&fsu("20260001", 1), |diags| diags.all_lines().collect()), [info]);
}

#[test]
fn n06_an_id_that_is_no_hex_gets_the_right_hex() {
    let id = |id: &str, what: &str| {
        let line = format!("/fsu_list/0/fsuid: error: fsuid `{id}` {what}");
        check("/sys_config.json/fsu_list/0/fsuid", json!(id), &[&line]);
    };
    id("FSU01", "is no FSU id (hex, 1 to 20 bytes; as a text it is \"4653553031\")");
    id("2026001", "has an odd number of hex digits (an FSU id has 1 to 20 bytes; as a text it is \"32303236303031\")");
    let line = format!("/fsu_list/0/fsuid: error: fsuid `{}...` has 21 bytes (an FSU id has 1 to 20)", "30".repeat(20));
    check("/sys_config.json/fsu_list/0/fsuid", json!("30".repeat(21)), &[&line]);
    id("no id", "is no FSU id (hex, 1 to 20 bytes; \"3230323530313235\" is 20250125)");
    id("", "is no FSU id (hex, 1 to 20 bytes; \"3230323530313235\" is 20250125)");
    id("海", "is no FSU id (hex, 1 to 20 bytes; \"3230323530313235\" is 20250125)");
    check("/sys_config.json/fsu_list/0/fsuid", json!("30".repeat(20)), &[]);
    check("/sys_config.json/fsu_list/0/fsuid", json!("0x30 31"), &[]);
}
