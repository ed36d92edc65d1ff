//! Expressions, evaluated: a text in, a value out.

use crate::answer::build::{Inputs, text};
use crate::answer::random::Dice;
use crate::moment::Moment;
use crate::state::kept::DeviceKept;
use crate::state::{DeviceState, FsuState};
use fsu_plan::compile::expr::{ExprError, Scope, parse};
use fsu_plan::compile::kept::{Kept, Params};
use fsu_plan::model::field::{BitRange, Bits, Kind, Offset, Slot};
use fsu_plan::model::fleet::Device;
use fsu_plan::model::fleet::FsuId;
use fsu_plan::model::kept::Area;
use fsu_plan::model::reply::{Expr, Part};
use fsu_plan::wire::civil::{Calendar, Now};
use std::sync::Arc;

/// Monday 2026-01-12 15:30:03.456, in UTC+8.
const DUE: Now = Now { unix_ms: 1_768_203_003_456, utc_offset_s: 28_800 };

/// `u` 258, `h` 8B10, `l` 8B10 (low byte first), `b` 0012, `s` AB1, `i` -2, `f` bits 0-3 are 5 and bit 7 is 1, `x` 1.5.
const REQUEST: &str = "7E 0102 8B10 108B 0012 41423100 FE 51 3FC00000 0D";

fn slot(kind: Kind, len: usize, little: bool) -> Slot {
    Slot { right: kind == Kind::Bcd, kind, len, little, padding: 0 }
}

/// What expressions may refer to: the fields of [`REQUEST`], registers, an area of 8 bytes, a keyed register.
struct All {
    kept: Kept,
}

impl Scope for All {
    fn field(&self, name: &str) -> Result<Option<(Offset, Slot)>, ExprError> {
        let range = |name: &str, from, to| BitRange { name: name.into(), from, to };
        let bits = Bits::new(vec![range("door", 0, 3), range("lock", 7, 7)]);
        let (at, slot) = match name {
            "u" => (1, slot(Kind::Uint, 2, false)),
            "h" => (3, slot(Kind::Hex, 2, false)),
            "l" => (5, slot(Kind::Hex, 2, true)),
            "b" => (7, slot(Kind::Bcd, 2, false)),
            "s" => (9, slot(Kind::Str, 4, false)),
            "i" => (13, slot(Kind::Int, 1, false)),
            "f" => (14, slot(Kind::Bit(bits), 1, false)),
            "x" => (15, slot(Kind::F32, 4, false)),
            "gone" => (90, slot(Kind::Uint, 2, false)),
            "other" => return Ok(None),
            _ => return Err(ExprError::UnknownField { name: name.into(), near: String::new() }),
        };
        Ok(Some((Offset(at), slot)))
    }

    fn register(&self, name: &str) -> Result<u32, ExprError> {
        let names = ["mode", "empty", "digits"];
        let number = names.iter().position(|known| *known == name);
        number.map(|number| number as u32).ok_or_else(|| ExprError::RegisterOfNoDevice(name.into()))
    }

    fn register_bytes_max(&self, _number: u32) -> usize {
        8
    }

    fn id_digits(&self) -> usize {
        4
    }

    fn index(&self) -> Option<usize> {
        Some(3)
    }

    fn kept(&self) -> Option<&Kept> {
        Some(&self.kept)
    }

    fn register_is_bytes(&self, number: u32) -> bool {
        number == 2
    }
}

fn all() -> All {
    let mut kept = Kept::new(Params::default());
    kept.params.number("imei");
    let digits = |text: &str| Expr { parts: Box::new([Part::Literal(text.into())]), bytes_max: 0 };
    kept.areas.push(Area { name: "holding".into(), bytes: 8, init: [(0, digits("0001")), (6, digits("A5FF"))].into() });
    kept.declare("cards");
    All { kept }
}

/// The text of a value, and how many expressions had none.
fn value(written: &str, request: &[u8]) -> (String, u64) {
    let scope = all();
    let expr = parse(written, &scope).unwrap_or_else(|wrong| panic!("{written}: {wrong}"));
    let keeps = Arc::new(scope.kept.keeps());
    let mut device = Arc::into_inner(crate::fixtures::device(fsu_plan::wire::fixtures::fixed(), 1, 1, false)).unwrap();
    device.keeps = Arc::clone(&keeps);
    let mut kept = DeviceKept::new(&Device { ..device }, &["860001".into()].into());
    if let Some(kept) = &mut kept
        && !keeps.keyed.is_empty()
    {
        kept.make(|_, bytes| bytes.copy_from_slice(&[0, 1, 0, 0, 0, 0, 0xA5, 0xFF]));
        let cards = kept.entries_mut(0).unwrap();
        cards.set(b"0012", b"first");
        cards.set(b"7", b"");
    }
    let registers = [b"2".to_vec(), vec![], b"0A10".to_vec()].into();
    let device = DeviceState { registers, kept, ..DeviceState::default() };
    let mut state = FsuState { devices: [device].into_iter().collect(), ..FsuState::default() };
    let (mut calendar, mut dice, mut out) = (Calendar::default(), Dice::new(1, 2, 3), Vec::new());
    let moment = Moment::at(DUE, 15_000);
    let mut id = FsuId { len: 2, ..FsuId::default() };
    id.bytes[..2].copy_from_slice(b"01");
    let mut inputs = Inputs {
        request,
        trace: None,
        state: Some(&mut state),
        device: 0,
        id_hex: &id,
        seq: 41,
        due: DUE,
        moment: Some(&moment),
        calendar: &mut calendar,
        dice: &mut dice,
        item: None,
    };
    text(&expr, &mut inputs, &mut out);
    (String::from_utf8(out).expect("text"), state.counters.expression_failures)
}

fn request() -> Vec<u8> {
    hex::decode(REQUEST.replace(' ', "")).expect("hex")
}

fn check(expression: &str, expected: &str) {
    let written = format!("${{{expression}}}$");
    assert_eq!(value(&written, &request()), (expected.to_owned(), 0), "{expression}");
}

#[test]
fn operators_in_cs_order() {
    check("1 + 2 * 3", "7");
    check("(1 + 2) * 3", "9");
    check("-7 / 2", "-3");
    check("-7 % 2", "-1");
    check("7 / 2.0", "3.5");
    check("0x80 | 3 ^ 1 & 1", "130");
    check("1 << 4 >> 2", "4");
    check("~0 & 0xFF", "255");
    check("!0 + !5", "1");
    check("1 < 2 == 1", "1");
    check("3 & 2 == 2", "1");
    check("(3 & 2) == 2", "1");
    check("0 || 0 && 1", "0");
    check("1 ? 2 : 0 ? 3 : 4", "2");
    check("0 ? 2 : 0 ? 3 : 4", "4");
    check("#{u}# > 5 ? 'far' : 'near'", "far");
    check("- - 5", "5");
    check("2 - -1", "3");
}

#[test]
fn fields_are_numbers_or_texts_by_their_type() {
    check("u * 2", "516");
    check("#{u}# + 0", "258");
    check("h", "8B10");
    check("h + 0", "35600");
    check("h | 0", "35600");
    // In the notation's order, whatever travels first.
    check("l == h", "1");
    check("b + 1", "13");
    check("cat(b, '')", "0012");
    check("s", "AB1");
    check("i - 1", "-3");
    check("f.door + f.lock * 10", "15");
    check("f & 0x10", "16");
    check("x * 2", "3");
    check("h & 0x10 ? 1 : 0", "1");
    check("other", "");
}

#[test]
fn comparisons() {
    check("s == 'AB1'", "1");
    check("s == 'AB'", "0");
    check("h == '8b10'", "1");
    check("h == 0x8B10", "1");
    check("'8B10' != h", "0");
    check("h > '0FFF'", "1");
    check("b == '12'", "1");
    check("b == 12", "1");
    check("u == '258'", "1");
    check("u >= 258 && u <= 258", "1");
    check("i < 0", "1");
    check("x > 1", "1");
    check("s < 'B'", "1");
    check("mem(holding, 0, 2) == 1", "1");
    check("mem(holding, 0, 2) == '0001'", "1");
    check("mem(holding, 6, 2) > h", "1");
}

#[test]
fn registers_and_parameters_are_numbers_where_one_is_needed() {
    check("reg(mode) + 1", "3");
    check("reg(mode) != 2", "0");
    check("reg(mode) == '2'", "1");
    check("reg(empty) + 1", "1");
    check("reg(empty) == 0", "1");
    check("reg(empty, 7) + 1", "8");
    check("reg(mode, 7)", "2");
    // One that keeps hex digits is bytes.
    check("reg(digits) == 0x0A10", "1");
    check("reg(digits) + 0", "2576");
    check("param(imei)", "860001");
    check("param(imei) % 1000", "1");
    check("substr(param(imei), 2)", "0001");
}

#[test]
fn keyed_registers() {
    check("reg(cards[#{b}#])", "first");
    check("reg(cards[b], 'none')", "first");
    check("reg(cards['x'], 'none')", "none");
    check("reg(cards[7])", "");
    check("has(cards[7]) + has(cards[8]) * 10", "1");
    check("entries(cards)", "2");
    check("key(cards, 0)", "0012");
    check("reg(cards[key(cards, 0)])", "first");
    check("key(cards, 2)", "");
}

#[test]
fn memory_areas() {
    check("mem(holding, 0, 2)", "0001");
    check("mem(holding, b / 2, 2)", "A5FF");
    check("mem(holding, 0, 2) + 1", "2");
    check("mem(holding, 8, 0)", "");
    check("in_area(holding, 6, 2)", "1");
    check("in_area(holding, 7, 2)", "0");
    check("in_area(holding, -1, 2)", "0");
    check("in_area(holding, 9223372036854775807, 9223372036854775807)", "0");
    check("in_bits(holding, 63, 1)", "1");
    check("in_bits(holding, 63, 2)", "0");
    // A5FF: the low bit of a byte comes first.
    check("bits(holding, 48, 4)", "05");
    check("bits(holding, 50, 12)", "E90F");
    check("bits(holding, 55, 1) + 0", "1");
}

#[test]
fn functions() {
    check("min(3, u, -1)", "-1");
    check("max(3, 2.5)", "3");
    check("max(1, 2.5)", "2.5");
    check("abs(i)", "2");
    check("round(2.5) + round(-2.5)", "0");
    check("round(x / 7, 3)", "0.214");
    check("hex(255)", "FF");
    check("hex(u, 4)", "0102");
    check("dec(b, 6)", "000012");
    check("dec(h)", "35600");
    check("int('1F', 16)", "31");
    check("int(substr(s, 2))", "1");
    check("len(s) + len(h) * 10", "23");
    check("substr(s, 1, 1)", "B");
    check("substr(h, 2)", "10");
    check("substr(s, 9)", "");
    check("substr('海能达', 1, 1)", "能");
    check("cat('a', 1 + 1, h, s)", "a28B10AB1");
    check("be(u, 4)", "00000102");
    check("le(u, 3)", "020100");
    check("be(-2, 2)", "FFFE");
    check("hex(crc(CRC-16/MODBUS, h), 4)", "8C66");
    check("crc('CRC-16/MODBUS', '123456789')", "19255");
    check("index() * 2", "6");
    check("hour() * 100 + minute()", "1530");
    check("year(yyyy) - 2000", "26");
    check("datetime('%H:%M')", "15:30");
    check("cat(datetime(yyyy-MM-dd), fsuid())", "2026-01-123031");
    check("seq() + 0", "41");
    check("rand(7, 7) + 0", "7");
    check("choice('x') == 'x'", "1");
    check("choice(5) * 2", "10");
}

#[test]
fn values_that_follow_the_runs_clock() {
    // 15 seconds after the start.
    check("ramp(0, 100, 60)", "25");
    check("ramp(100, 0, 60)", "75");
    check("sine(0, 10, 60)", "10");
    check("round(sine(-1, 1, 30))", "0");
    check("round(walk(5, 5, 1))", "5");
}

#[test]
fn counters() {
    let twice = |text: &str, expected: &str| assert_eq!(value(text, &request()), (expected.to_owned(), 0), "{text}");
    twice("${count(n)}$${count(n)}$${count(m, 7)}$${count(n)}$", "0172");
    twice("${count(n, 5) + count(n, 5)}$", "11");
}

#[test]
fn a_value_without_a_result_is_counted_and_writes_nothing() {
    let fails = |text: &str| assert_eq!(value(text, &request()), (String::new(), 1), "{text}");
    fails("a${u / (u - 258)}$b");
    fails("${h * 0x7FFFFFFFFFFFFFFF}$");
    fails("${reg(mode) << u}$");
    fails("${int(s)}$");
    fails("${mem(holding, u, 2)}$");
    fails("${mem(holding, 0, -1)}$");
    fails("${bits(holding, 60, 8)}$");
    fails("${be(u, 1)}$");
    fails("${ramp(0, 1, u - 258)}$");
    // A field that the request does not have is no failure.
    assert_eq!(value("a${gone + 1}$b", &request()), (String::new(), 0));
    // The other side of a condition is not looked at.
    check("u == 258 || 1 / (u - 258)", "1");
    check("u != 258 && 1 / (u - 258)", "0");
    check("u == 258 ? 1 : 1 / (u - 258)", "1");
}

#[test]
fn the_memory_of_a_device_begins_with_what_init_says() {
    let scope = all();
    let expr = parse("${mem(holding, 0, 8)}$", &scope).unwrap();
    let mut kept = scope.kept;
    kept.areas[0].init = [(1, parse("${rand(7,7)}$", &fsu_plan::compile::sample::NoRequest).unwrap())].into();
    let keeps = Arc::new(kept.keeps());
    let mut device = Arc::into_inner(crate::fixtures::device(fsu_plan::wire::fixtures::fixed(), 1, 1, false)).unwrap();
    device.keeps = keeps;
    let device = DeviceState { kept: DeviceKept::new(&device, &Arc::default()), ..DeviceState::default() };
    let mut state = FsuState { devices: [device].into_iter().collect(), ..FsuState::default() };
    let (mut calendar, mut dice, mut out) = (Calendar::default(), Dice::new(1, 2, 3), Vec::new());
    let mut inputs = Inputs {
        request: &[],
        trace: None,
        state: Some(&mut state),
        device: 0,
        id_hex: &FsuId::default(),
        seq: 1,
        due: DUE,
        moment: None,
        calendar: &mut calendar,
        dice: &mut dice,
        item: None,
    };
    text(&expr, &mut inputs, &mut out);
    assert_eq!(String::from_utf8_lossy(&out), "0007000000000000");
}

#[test]
fn what_is_wrong_is_told_with_its_column() {
    let check = |text: &str, expected: &str| {
        let wrong = parse(text, &all()).err().map(|wrong| wrong.to_string());
        assert_eq!(wrong.as_deref(), Some(expected), "{text}");
    };
    check("${1 + }$", "column 7: the expression ends here (a value is missing)");
    check("${1 + 2", "`${1 + 2` is not closed (would be `${name()}$`)");
    check("${1 + 2 #{u}#", "column 9: `#{u}#` where an operator or the end is expected");
    check("${u ++ 2 3}$", "column 10: `3` where an operator or the end is expected");
    check("海${u = 2}$", "column 6: `=` compares nothing (`==` does)");
    check("${u + §}$", "column 7: `§` is no part of an expression (texts are in quotes)");
    check("${u + 'a}$", "column 7: the text has no closing '");
    check("${nope + 1}$", "column 3: no field `nope` in the request");
    check("${u + 12abc}$", "column 7: `12abc` is no number (whole numbers have 64 bits: 12, 0x1F, 1.5)");
    check(
        "${9223372036854775808 + 0}$",
        "column 3: `9223372036854775808` is no number (whole numbers have 64 bits: 12, 0x1F, 1.5)",
    );
    check("${9223372036854775807 + 1}$", "column 23: the result does not fit 64 bits");
    check("${u + 1 / 0}$", "column 9: division by zero");
    check("${1 << 64}$", "column 5: a shift by less than 0 or more than 63 bits");
    check("${s + 1}$", "column 3: a text where `+` takes a number (`int(text)` makes one)");
    check("${u == 'x'}$", "column 8: `x` is never equal to `u`: it is not a whole number (decimal or 0x…)");
    check("${'x' < 1}$", "column 3: a text where a comparison with a number takes a number (`int(text)` makes one)");
    check("${mem(coils, 0, 2)}$", "column 7: the device has no memory area `coils`");
    check(
        "${mem(holding, 0)}$",
        "column 3: mem() takes an area, the first byte and the number of bytes (`mem(area, from, bytes)`), found 2",
    );
    check("${reg(card[1])}$", "column 7: the device has no keyed register `card` (did you mean `cards`?)");
    check("${rmap(0, 1, 2) + 1}$", "column 3: unknown function `rmap` (did you mean `ramp`?)");
    check("${crc(CRC-16, h)}$", "column 7: unknown CRC `CRC-16` may mean several (CRC-16/ARC or CRC-16/MODBUS)");
    check(
        &format!("${{{}1{}}}$", "(".repeat(40), ")".repeat(40)),
        "column 35: the expression is nested too deep, or too large (several rules or registers)",
    );
}

/// Whether this is an expression.
fn is_right(text: &str) -> bool {
    match parse(&format!("${{{text}}}$"), &all()) {
        Ok(_) => true,
        Err(wrong) => {
            let text = wrong.to_string();
            assert!(text.contains("too large") || text.contains("the expression has"), "{text}");
            false
        }
    }
}

#[test]
fn limit_calc_bytes_max_and_calc_ops_max_and_calc_depth_max_and_calc_stack_max() {
    let long = |blanks: usize| format!("u{}+1", " ".repeat(blanks));
    assert_eq!([is_right(&long(8_189)), is_right(&long(8_190))], [true, false]);
    let wide = |fields: usize| format!("u{}", "+u".repeat(fields - 1));
    assert_eq!([is_right(&wide(512)), is_right(&wide(513))], [true, false]);
    let chain = |fields: usize| format!("u{}", "&&u".repeat(fields - 1));
    assert_eq!([is_right(&chain(257)), is_right(&chain(513))], [true, false]);
    let deep = |depth: usize| format!("{}u{}+1", "(".repeat(depth), ")".repeat(depth));
    assert_eq!([is_right(&deep(31)), is_right(&deep(32))], [true, false]);
    let tall = |values: usize| format!("{}u{}", "u+(".repeat(values - 1), ")".repeat(values - 1));
    assert_eq!([is_right(&tall(24)), is_right(&tall(25))], [true, false]);
}
