//! Numbers in expressions by the type of their field: decimals, digits that are none, named bits, signs (expressions.md, Values).
#![allow(clippy::pedantic, clippy::unwrap_used)]

mod naive;
mod product;

use naive::clock::Clock;
use naive::fields::{hex, unhex};
use product::{Outcome, Product};
use serde_json::{Value, json};

/// `f` (f64), `t` (uint x 0.5 - 40), `w` (uint x 10), `k` (dec) and `g` (bits), and the reply's field `out`.
fn template(out: Value) -> Value {
    json!({"vendor": "v", "rule_file_list": ["default.json"], "protocol": {
        "pdu_left": [{"name": "data_frame_type", "length": 1}],
        "data_frame": [{"data_frame_type": "01",
            "req_data_list": [
                {"name": "f", "type": "f64", "length": 8},
                {"name": "t", "type": "uint", "length": 1, "scale": 0.5, "offset": -40},
                {"name": "w", "type": "uint", "length": 1, "scale": 10},
                {"name": "k", "type": "dec", "length": 2},
                {"name": "g", "type": "bit", "length": 1, "bits": {"low": [0, 2], "one": [7, 7]}}],
            "resp_data_list": [out]}]
    }})
}

/// What the reply to `f`, then `t w k g` in hex, has in a field of text, and how many expressions had no value.
fn check(expression: &str, f: f64, rest: &str, expected: &str, failures: u64) {
    let out = json!({"name": "out", "type": "str", "length": "rest", "value": "own"});
    let rules = json!({"01": {"data": {"out": format!("${{{expression}}}$")}}});
    let mut product = Product::strict(&template(out), rules);
    let request = format!("01{}{}", hex(&f.to_be_bytes()), rest.replace(' ', ""));
    let got = product.respond(&unhex(&request).unwrap(), Clock::parse("2026-01-12T17:30:03"));
    let wanted = [&[1], expected.as_bytes()].concat();
    assert_eq!(got, Outcome::Reply(wanted, 0), "{expression} of {f} {rest}");
    assert_eq!(product.state.counters.expression_failures, failures, "{expression}");
}

const REST: &str = "82 03 3132 B1";

#[test]
fn a_float_is_a_decimal_number_whatever_its_value() {
    check("f / 2", 7.0, REST, "3.5", 0);
    check("f / 2", 7.5, REST, "3.75", 0);
    check("f % 2", -7.0, REST, "-1", 0);
    check("f > 5 ? 'large' : 'small'", 1e300, REST, "large", 0);
    check("min(f, 5) + 0", 1e19, REST, "5", 0);
    check("hex(f)", 255.0, REST, "FF", 0);
    check("hex(f)", 255.5, REST, "own", 1);
    check("f + 1", f64::NAN, REST, "own", 1);
}

#[test]
fn a_scale_with_a_fraction_gives_decimal_numbers() {
    check("t / 2", 0.0, "82 03 3132 00", "12.5", 0);
    check("t / 2", 0.0, "81 03 3132 00", "12.25", 0);
    check("w / 4", 0.0, "82 03 3132 00", "7", 0);
}

#[test]
fn digits_that_are_none_have_no_value() {
    check("k + 1", 0.0, "82 03 3132 00", "13", 0);
    check("k + 1", 0.0, "82 03 2032 00", "own", 1);
    check("k < 5 ? 'yes' : 'no'", 0.0, "82 03 2D41 00", "own", 1);
}

#[test]
fn named_bits_alone_are_a_value() {
    check("g.low", 0.0, "82 03 3132 A1", "5", 0);
    check("g.one", 0.0, "82 03 3132 A1", "1", 0);
    check("#{ g.low }#", 0.0, "82 03 3132 A1", "5", 0);
}

#[test]
fn a_sign_is_one_of_a_number() {
    check("+k * 2", 0.0, "82 03 3132 00", "24", 0);
    let refused = |expression: &str| {
        let out = json!({"name": "out", "length": 1});
        let rules = json!({"01": {"data": {"out": format!("${{{expression}}}$")}}});
        let files = [("default.json".to_owned(), rules)];
        let template = template(out);
        let setup = product::Setup {
            template: &template,
            files: &files,
            verify: naive::frame::Verify::Strict,
            fsuid: "3031",
            device: (1, 1),
        };
        Product::over("broadcast", &setup).err().unwrap()
    };
    for (expression, column) in [("+'A' == k", 4), ("-'A' == k", 4), ("k + +datetime('%H')", 8)] {
        let told = refused(expression);
        assert!(told.contains(&format!("column {column}: ")) && told.contains("a text"), "{expression}: {told}");
    }
    let told = refused("#{k}# == k + min('A', 0)");
    assert!(told.contains("column 20: ") && told.contains("a text"), "{told}");
}
