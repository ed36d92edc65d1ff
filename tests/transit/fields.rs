//! Fields whose bytes are changed by themselves.

use super::*;

/// `68 01 data sum 16`, the sum over what travels.
fn with_lists(request: Value, response: Value) -> Value {
    let mut template = template(json!([{"name": "check", "length": 1}]), json!({"algorithm": "sum", "over": "wire"}));
    template["protocol"]["data_frame"][0]["req_data_list"] = request;
    template["protocol"]["data_frame"][0]["resp_data_list"] = response;
    template
}

#[test]
fn fields_are_changed_by_themselves() {
    let check = |template: &Value, rule: Value, request: &str, expected: &str| {
        let got = Product::strict(template, json!({"01": rule})).respond(&bytes(request), now());
        let got = if let Outcome::Reply(got, _) = got { hex(&got) } else { format!("{got:?}") };
        assert_eq!(got, expected.replace(' ', ""), "{request}");
    };
    let pin = json!({"name": "pin", "length": 2, "type": "bcd", "transform": {"xor": "55"}});
    let n = json!({"name": "n", "length": 1, "type": "uint"});
    let text = json!({"name": "text", "length": 5, "type": "str", "transform": {"add": "01"}});
    let plain = json!({"name": "pin", "length": 2, "type": "bcd"});
    // Copied as it is, read in a text, selected by its plain value, given by a rule.
    let template = with_lists(json!([pin, n]), json!([pin, text]));
    let rule = json!([{"when": {"pin": "1234"}, "data": {"text": "A#{pin}#"}}, {"data": {"pin": "0099", "text": "x"}}]);
    check(&template, rule.clone(), "68 01 4761 05 AE 16", "68 01 4761 4232333435 B9 16");
    check(&template, rule, "68 01 5555 05 B0 16", "68 01 55CC 7901010101 9F 16");
    // To a field that is not changed, and from one.
    let template = with_lists(json!([pin]), json!([plain]));
    check(&template, json!({}), "68 01 4761 A9 16", "68 01 1234 47 16");
    let template = with_lists(json!([plain]), json!([pin]));
    check(&template, json!({}), "68 01 1234 47 16", "68 01 4761 A9 16");
    // A function, and a text of variable size.
    let year = json!({"name": "year", "length": 2, "type": "hex", "transform": {"add": "33"}});
    let template = with_lists(json!([n]), json!([year]));
    check(&template, json!({"data": {"year": "${year(yyyy)}$"}}), "68 01 05 06 16", "68 01 5359 AD 16");
    let text = json!({"name": "text", "length": {"field": "n"}, "type": "str", "transform": {"add": "01"}});
    let template = with_lists(json!([n, text]), json!([n, text]));
    check(&template, json!({"data": {"text": "<#{text}#>"}}), "68 01 02 4243 88 16", "68 01 04 3D42433F 06 16");
}

#[test]
fn limit_changed_bytes_max_and_fields_that_cannot_be_changed() {
    let check = |field: Value, checksum: Value, expected: &str| {
        let mut template = with_lists(json!([field]), json!([]));
        template["protocol"]["checksum"] = checksum;
        let told = told(&template);
        let found = told.iter().any(|line| line.contains(expected));
        assert!(if expected.is_empty() { told.is_empty() } else { found }, "{expected}: {told:#?}");
    };
    let wire = json!({"algorithm": "sum", "over": "wire"});
    let of = |more: Value| {
        let mut field = json!({"name": "x", "length": 2, "transform": {"add": "33"}});
        field.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        field
    };
    check(of(json!({"length": 1024})), wire.clone(), "");
    check(
        of(json!({"length": 1025})),
        wire.clone(),
        "`transform` at a field of 1025 bytes (at most 1024; `data_transform` has no limit)",
    );
    check(of(json!({"type": "bit"})), wire.clone(), "`transform` at a field of type bit (another type)");
    check(of(json!({"transform": {}})), wire.clone(), "a transform without `add` or `xor`");
    check(of(json!({"transform": {"add": "3333"}})), wire.clone(), "`3333` has 2 bytes (one byte)");
    check(of(json!({"value": "{{data_frame_length}}"})), wire, "changed by `transform`");
    check(of(json!({})), json!({"algorithm": "sum"}), "the checksum counts `x`, which `transform` changes");
}
