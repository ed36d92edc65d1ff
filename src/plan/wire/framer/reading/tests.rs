//! A length that counts one header byte more in some commands than in others.

use super::super::cut as cut_stream;
use super::Cut;
use crate::model::field::{Constant, KeyPart, LengthField, Offset};
use crate::model::prebuilt::Prebuilt;
use crate::model::template::{Command, Encoding, KeyShape, Template};
use crate::wire::fixtures;

/// `68 address command length data.. sum 16`: the length is that of the data, and in command 10 one more. Command 10 asks 2 bytes
/// that begin with AA, 11 and 12 at least 1.
fn template() -> Template {
    let plain = fixtures::length();
    let field = LengthField { base: 1, configured: true, ..plain.lengths[0].clone() };
    let [first, second] = [&plain.commands[0], &plain.commands[1]];
    let same = |command: &Command| Command {
        key: command.key,
        key_text: command.key_text.clone(),
        request: None,
        response: Box::default(),
        request_len: 1,
        request_len_padded: 1,
        exact: false,
        constants: Box::default(),
        lengths: Box::default(),
        counts: Box::default(),
        less: 1,
        response_len: 0,
        sample: Prebuilt::default(),
        made: Box::default(),
        up: false,
        walk: None,
    };
    let constant = Constant { name: "kind".into(), at: Offset(4), bytes: [0xAA].into(), mask: Box::default() };
    let asks = Command {
        request_len: 2,
        request_len_padded: 3,
        exact: true,
        constants: [constant].into(),
        less: 0,
        ..same(first)
    };
    let parts = [KeyPart { at: Offset(2), len: 1, little: false }].into();
    let table = [(0x10, Box::from([0])), (0x11, Box::from([1]))].into();
    Template {
        lengths: [field].into(),
        readings: [0, 1].into(),
        less: 1,
        keys: [KeyShape { parts, data_len_min: 0, table }].into(),
        commands: [asks, same(second)].into(),
        ..plain
    }
}

fn check(template: &Template, bytes: &str, expected: Cut) {
    assert_eq!(cut_stream(template, &hex::decode(bytes).expect("hex")), expected, "{bytes}");
}

#[test]
fn the_commands_own_reading_tells_the_size() {
    let template = template();
    // 3 and 2 both stand for 2 bytes of data.
    check(&template, "68011003AABB0016", Cut::Frame(8));
    check(&template, "68011102AABB0016", Cut::Frame(8));
    check(&template, "68011103AABBCC0016", Cut::Frame(9));
    // The other reading would end one byte before, or behind.
    check(&template, "68011103AABB0016", Cut::More);
    check(&template, "68011003AABBCCDD0016", Cut::No);
    // Of an exact command its own sizes.
    check(&template, "68011004AABBCC0016", Cut::Frame(9));
    // No byte of the rest is needed to know that it is not whole.
    check(&template, "6801", Cut::More);
    check(&template, "680110", Cut::More);
    check(&template, "68011003", Cut::More);
    check(&template, "68011003AABB00", Cut::More);
}

#[test]
fn of_no_command_the_templates_reading_does() {
    let template = template();
    check(&template, "68017702AABB0016", Cut::Frame(8));
    check(&template, "68017703AABB0016", Cut::More);
    check(&template, "68017703AABBCC0016", Cut::Frame(9));
    check(&template, "680177FF", Cut::No);
    // Where its own does not end, either.
    check(&template, "68011003AABBCC0016", Cut::Frame(9));
}

#[test]
fn a_constant_may_decide() {
    let template = template();
    // Another constant, another size: the key is known all the same.
    check(&template, "68011003BBBB0016", Cut::Frame(8));
    check(&template, "68011006BBBBBBBBBB0016", Cut::Frame(11));
}

#[test]
fn in_hex_characters() {
    let template = Template { encoding: Encoding::AsciiHex, start: [b'~'].into(), end: [0x0D].into(), ..template() };
    let text = |text: &str, expected| check(&template, &hex::encode(text), expected);
    text("~011003AABB00\r", Cut::Frame(14));
    text("~011102AABB00\r", Cut::Frame(14));
    text("~011103AABB00\r", Cut::More);
    text("~017702AABB00\r", Cut::Frame(14));
    // A key that is no digits is of no command.
    text("~01G002AABB00\r", Cut::Frame(14));
}

/// Parts in either order, and behind the data.
#[test]
fn keys_of_several_bytes() {
    let plain = template();
    let with = |parts: Vec<KeyPart>, key: u128| {
        let table = [(key, Box::from([0]))].into();
        let keys = [KeyShape { parts: parts.into(), data_len_min: 0, table }].into();
        Template { keys, ..template() }
    };
    let part = |at, len, little| KeyPart { at: Offset(at), len, little };
    let known = |template: &Template| {
        // Only the reading of a known command takes this as a whole.
        cut_stream(template, &hex::decode("68051003AABB0916").expect("hex")) == Cut::Frame(8)
    };
    assert!(known(&with(vec![part(1, 2, false)], 0x0510)));
    assert!(known(&with(vec![part(1, 2, true)], 0x1005)));
    assert!(known(&with(vec![part(2, 1, false), part(-2, 1, false)], 0x1009)));
    assert!(!known(&with(vec![part(1, 2, false)], 0x1005)));
    assert!(!known(&with(vec![part(1, 2, true)], 0x0510)));
    assert_eq!(plain.readings.len(), 2);
}
