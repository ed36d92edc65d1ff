//! Spellings of functions, the places where values are allowed, and what is a name and not a value.

use super::{check, check_all, files};
use serde_json::{Value, json};

/// The messages about a rule's value for the reply's field `shown`, places left out.
fn shown(value: &str, expected: &[&str]) {
    let expected: Vec<String> = expected.iter().map(|text| format!("/01/data/shown: error: {text}")).collect();
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    check("/default.json/01/data/shown", json!(value), &expected);
}

#[test]
fn n05_functions_are_known_in_every_spelling() {
    for value in [
        "${year}$",
        "${year}",
        "${ year ( \"yy\" ) }$",
        "${year('yyyy')}$",
        "${year(YYYY)}$",
        "${month(MM)}${day(dd)}$",
        "${hour(hh)}$:${minute(mm)}:${second( ss )}$",
        "${datetime}$",
        "${datetime( )}$",
        "${datetime(\"%Y-%m-%d, %H\")}$",
        "${datetime(yyyy-MM-dd HH:mm:ss)}$",
        "${choice(\"a, b\", 'c' ,d)}$",
        "${seq}${fsuid}${packed_date()}$",
        "${rand(\"1\", 2)}$",
    ] {
        shown(value, &[]);
    }
    shown("${hour(mm)}$", &["hour() takes nothing or HH, found `mm`"]);
    shown("${year(y)}$", &["year() takes yy or yyyy, found `y`"]);
    shown("${seq(1)}$", &["seq() takes no argument, found `1`"]);
    shown("${rand}$", &["rand() takes two whole numbers, the smaller first (rand(a,b)), found ``"]);
    shown("${choice()}$", &["choice() needs at least one value (choice(a,b,c))"]);
    shown("${reg}$", &["reg() needs a register's name (reg(name))"]);
    shown("${choice(\"a)}$", &["`\"a` has no closing \""]);
    shown("${choice(\"a\"b)}$", &["`\"a\"b` goes on behind its closing \" (a comma, or the end)"]);
    shown("${choice(:),:()}$", &[]);
    shown("${year(", &["`${year(` is not closed (would be `${name()}$`)"]);
    shown("${year()$", &["`${year()$` is not closed (would be `${name()}$`)"]);
}

#[test]
fn n05_functions_in_header_values() {
    let at = "/t.json/protocol/pdu_left/1/value";
    let told =
        |value: &str, text: &str| check(at, json!(value), &[&format!("/protocol/pdu_left/1/value: error: {text}")]);
    check(at, json!("${year(yy)}$"), &[]);
    check(at, json!("${choice(01,0A)}"), &[]);
    told("${year(yyyy)}$", "`${year(yyyy)}$` may be 4 digits long, and the field holds 2");
    told("${yaer()}$", "unknown function `yaer` (did you mean `year`?)");
    told("#{phase}#", "`#{phase}#` needs a request, and this is one");
    told("${reg(a)}$", "register `a` belongs to a device and cannot be read here");
    let with = |files: &mut Value, value: &str| files["t.json"]["protocol"]["pdu_left"][1]["value"] = json!(value);
    let mut files = files();
    with(&mut files, "${hour}$");
    files["t.json"]["protocol"]["pdu_left"][1]["match"] = json!(true);
    let wrong = "a field that is marked match needs a constant or a parameter (`param`), and this is another function";
    check_all(&files, &[&format!("/protocol/pdu_left/1/value: error: {wrong}")], "match");
}

#[test]
fn n05_values_of_requests_are_checked() {
    let at = "/t.json/protocol/data_frame/0/req_data_list/0/value";
    let told = |value: Value, text: &str| {
        check(at, value, &[&format!("/protocol/data_frame/0/req_data_list/0/value: error: {text}")]);
    };
    check(at, json!("${hour()}$"), &[]);
    check(at, json!(""), &[]);
    told(json!("${year(yyyy)}$"), "`${year(yyyy)}$` may be 1970 to 9999, and the field holds 0 to 255");
    told(json!("#{power}#"), "`#{power}#` needs a request, and this is one");
    told(json!("x"), "`x` is not a whole number (decimal or 0x…)");
}

#[test]
fn n13_a_registers_name_is_a_constant() {
    let what = "is a register's name, where nothing is filled in (it has to be a constant)";
    let keyed = "`name[#{field}#]` is an entry of a keyed register";
    let told = |set: &str, shown: &str, expected: &[String]| {
        let mut files = files();
        files["default.json"] = json!({"01": {"set": {set: "#{phase}#"}, "data": {"shown": shown}}});
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        check_all(&files, &expected, set);
    };
    told("r", "${reg( \"r\" )}$", &[]);
    told("r#{phase}#", "x", &[format!("/01/set/r#{{phase}}#: error: `r#{{phase}}#` {what}; {keyed}")]);
    told("r${hour()}$", "x", &[format!("/01/set/r${{hour()}}$: error: `r${{hour()}}$` {what}; {keyed}")]);
    told("r", "${reg(r#{phase}#)}$", &[format!("/01/data/shown: error: `r#{{phase}}#` {what}; {keyed}")]);
    let no_such = "the device has no keyed register `r` (a rule that sets it: \"set\": {\"name[#{key}#]\": ...})";
    told("r", "${reg(r[#{phase}#])}$", &[format!("/01/data/shown: error: column 7: {no_such}")]);
    told("r[#{phase}#]", "${reg(r[#{phase}#])}$", &[]);
    // Two calls are an expression: no name has a parenthesis.
    let takes = "column 13: len() takes one value, found 2";
    told("r", "${reg(r) << len(1, 2)}$", &[format!("/01/data/shown: error: {takes}")]);
}

#[test]
fn n13_values_are_not_taken_for_names_or_arguments() {
    let inside = |what: &str, name: &str| {
        format!("`{what}` is inside {name}(), where nothing is filled in (it has to be a constant)")
    };
    shown("${choice(#{phase}#,b)}$", &[&inside("#{phase}#,b", "choice")]);
    shown("${choice(${year()}$,b)}$", &[&inside("${year(", "choice")]);
    // An expression computes with fields.
    shown("${rand(1,#{phase}#)}$", &[]);
    shown("${datetime(%Y#{phase}#)}$", &[&inside("%Y#{phase}#", "datetime")]);
    shown("${year(#{phase}#)}$", &[&inside("#{phase}#", "year")]);
    shown("${#{phase}#}$", &[]);
    check(
        "/default.json/01/data/#{phase}#",
        json!("1"),
        &["/01/data/#{phase}#: error: the reply to 01 has no field `#{phase}#`"],
    );
    check(
        "/default.json/01/when",
        json!({"#{phase}#": "1"}),
        &["/01/when/#{phase}#: error: no field `#{phase}#` in the request"],
    );
    let name = "`a#{b}#` as a name (`#{` and `${` begin a value)";
    check(
        "/t.json/protocol/data_frame/0/resp_data_list/1/name",
        json!("a#{b}#"),
        &[&format!("/protocol/data_frame/0/resp_data_list/1/name: error: {name}")],
    );
    let constant = "where a constant is needed (no function and no `#{field}#`)";
    let mut files = files();
    let text = json!({"name": "mode", "type": "str", "length": 20});
    files["t.json"]["protocol"]["pdu_left"][1] = text;
    files["t.json"]["protocol"]["refusal"] = json!({"field": "mode", "ok": ["${hour()}$"]});
    check_all(&files, &[&format!("/protocol/refusal/ok/0: error: `${{hour()}}$` {constant}")], "refusal");
}
