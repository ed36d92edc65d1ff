//! One reply from one request: patches in, bytes out.

use super::*;
use fsu_plan::model::field::Offset;
use fsu_plan::model::fleet::FsuId;
use fsu_plan::model::reply::Refusal;
use fsu_plan::wire::fixtures::{delimited, fixed, length, raw_frame};

/// Monday 2026-01-12 15:30:03.456, in UTC+8.
const DUE: Now = Now { unix_ms: 1_768_203_003_456, utc_offset_s: 28_800 };

fn slot(kind: Kind, len: usize) -> Slot {
    Slot { kind, len, little: false, right: true, padding: 0 }
}

/// Calls `ask` with what a reply to this request may read: registers "ab" and "", `seq` 41, an id of 4 digits.
fn with_inputs<T>(request: &[u8], due: Now, ask: impl FnOnce(&mut Inputs<'_>) -> T) -> T {
    let mut id = FsuId { len: 2, ..FsuId::default() };
    id.bytes[..2].copy_from_slice(b"01");
    let device = DeviceState { registers: [b"ab".to_vec(), vec![]].into(), ..DeviceState::default() };
    let mut state = FsuState { devices: [device].into_iter().collect(), ..FsuState::default() };
    let (mut calendar, mut dice) = (Calendar::default(), Dice::new(1, 2, 3));
    ask(&mut Inputs {
        request,
        trace: None,
        state: Some(&mut state),
        device: 0,
        id_hex: &id,
        seq: 41,
        due,
        moment: None,
        calendar: &mut calendar,
        dice: &mut dice,
        item: None,
    })
}

fn shown(parts: Vec<Part>, request: &[u8], due: Now) -> String {
    let mut out = Vec::new();
    with_inputs(request, due, |inputs| text(&Expr { parts: parts.into(), bytes_max: 99 }, inputs, &mut out));
    String::from_utf8(out).expect("text")
}

#[test]
fn each_part_of_a_text() {
    let check = |part: Part, expected: &str| assert_eq!(shown(vec![part], &[0x7E, 0x12, 0x34, 9], DUE), expected);
    let number = |number, digits| Part::Number { number, digits };
    let field = |at, kind, len| Part::Field { at: Offset(at), slot: slot(kind, len) };
    check(Part::Literal("x y".into()), "x y");
    check(field(1, Kind::Hex, 2), "1234");
    check(field(-1, Kind::Uint, 1), "9");
    check(number(Number::Year2, 2), "26");
    check(number(Number::Year4, 4), "2026");
    check(number(Number::Month, 2), "01");
    check(number(Number::Day, 2), "12");
    check(number(Number::Week1, 2), "01");
    check(number(Number::Week0, 2), "01");
    check(number(Number::Hour, 2), "15");
    check(number(Number::Minute, 2), "30");
    check(number(Number::Second, 2), "03");
    check(number(Number::Seq, 1), "41");
    check(number(Number::Rand(7, 7), 1), "7");
    check(number(Number::Rand(-5, -5), 3), "-005");
    // (2026 - 2000) * 512 + 1 * 32 + 12, 15 * 2048 + 30 * 32 + 1, low byte first.
    check(Part::Packed(Number::PackedDate), "2C34");
    check(Part::Packed(Number::PackedTime), "C17B");
    check(Part::FsuId, "3031");
    check(Part::Choice([Box::from("only")].into()), "only");
    check(Part::Register(0), "ab");
    check(Part::Register(1), "");
    check(Part::Register(2), "");
    let items = [
        TimeItem::Number(Number::Year4, 4),
        TimeItem::Literal("-".into()),
        TimeItem::DayOfYear,
        TimeItem::Literal(".".into()),
        TimeItem::Millis,
    ];
    check(Part::Datetime(items.into()), "2026-012.456");
}

/// Sunday is the last day of a week, or the first.
#[test]
fn sundays() {
    let week = |number, days: i64| {
        let due = Now { unix_ms: DUE.unix_ms + days * 86_400_000, ..DUE };
        shown(vec![Part::Number { number, digits: 1 }], &[], due)
    };
    assert_eq!((-1..=6).map(|days| week(Number::Week1, days)).collect::<String>(), "71234567");
    assert_eq!((-1..=6).map(|days| week(Number::Week0, days)).collect::<String>(), "01234560");
}

#[test]
fn decimal_digits() {
    let check = |value: i64, digits: u8, expected: &str| {
        let mut out = Vec::new();
        push_decimal(value, digits, &mut out);
        assert_eq!(String::from_utf8(out).expect("text"), expected);
    };
    check(0, 0, "0");
    check(0, 1, "0");
    check(7, 3, "007");
    check(1_234, 2, "1234");
    check(-7, 2, "-07");
    check(i64::MIN, 1, "-9223372036854775808");
    check(i64::MAX, 20, "09223372036854775807");
    check(1, 255, "00000000000000000001");
}

/// A reply that is this raw frame with these patches.
fn reply(template: &Template, data: &[u8], patches: Vec<Patch>) -> Reply {
    let frame = raw_frame(template, 1, 0x10, data);
    Reply {
        data_len: frame.len() - template.left_len - template.tail_len,
        frame: frame.into(),
        patches: patches.into(),
        less: 0,
        refusal: None,
        payload: Payload::None,
    }
}

/// Data of the reply that is built for a request with the data `01 02 03 04`, what did not fit, and what is left of a text.
fn built(template: &Template, reply: &Reply) -> (String, u64, Vec<u8>) {
    let request = raw_frame(template, 1, 0x10, &[1, 2, 3, 4]);
    let stale = || vec![0xA5; 3];
    let mut built = Built { raw: stale(), wire: stale(), text: stale() };
    let misfits = with_inputs(&request, DUE, |inputs| build(template, reply, inputs, &mut built));
    let Built { raw: frame, text, .. } = built;
    let data = frame[template.left_len..frame.len() - template.tail_len].to_vec();
    // Lengths and checksum are those of this data.
    assert_eq!(hex::encode(&frame), hex::encode(raw_frame(template, 1, frame[2], &data)));
    (hex::encode(data), misfits, text)
}

#[test]
fn each_patch_of_a_reply() {
    let check = |patches: Vec<Patch>, expected: (&str, u64)| {
        let reply = reply(&delimited(), &[0xEE; 4], patches);
        let (data, misfits, _) = built(&delimited(), &reply);
        assert_eq!((&*data, misfits), expected);
    };
    let number = |number, len, form| Patch::Number { number, to: 4, len, form };
    let value = |text: &str, kind, len| Patch::Text {
        value: Expr { parts: [Part::Literal(text.into())].into(), bytes_max: text.len() },
        to: 4,
        slot: slot(kind, len),
    };
    check(vec![], ("eeeeeeee", 0));
    for (len, expected) in [(1, "ee02eeee"), (2, "ee0203ee"), (3, "ee020304")] {
        check(vec![Patch::Copy { from: Offset(4), to: 4, len }], (expected, 0));
    }
    // From the end of the request: its last byte of data.
    check(vec![Patch::Copy { from: Offset(-3), to: 3, len: 1 }], ("04eeeeee", 0));
    check(vec![Patch::CopyReversed { from: Offset(3), to: 4, len: 3 }], ("ee030201", 0));
    check(vec![number(Number::Seq, 2, Form::Big)], ("ee0029ee", 0));
    check(vec![number(Number::Seq, 2, Form::Little)], ("ee2900ee", 0));
    check(vec![number(Number::Seq, 2, Form::Bcd)], ("ee0041ee", 0));
    check(vec![number(Number::Seq, 2, Form::BcdLittle)], ("ee4100ee", 0));
    let padded = |little, right| Form::BcdPadded { little, right, padding: 0xFF };
    check(vec![number(Number::Seq, 2, padded(false, true))], ("eeff41ee", 0));
    check(vec![number(Number::Seq, 2, padded(false, false))], ("ee41ffee", 0));
    check(vec![number(Number::Rand(-2, -2), 2, Form::Big)], ("eefffeee", 0));
    check(vec![value("0A0B", Kind::Hex, 2)], ("ee0a0bee", 0));
    check(vec![value("7", Kind::Uint, 2)], ("ee0007ee", 0));
    // What does not fit leaves the template's value, and each is counted.
    check(vec![value("300", Kind::Uint, 1)], ("eeeeeeee", 1));
    check(vec![value("x", Kind::Uint, 2), value("300", Kind::Uint, 1), value("7", Kind::Uint, 1)], ("ee07eeee", 2));
    // An empty text is no value.
    check(vec![value("", Kind::Uint, 1)], ("eeeeeeee", 0));
}

/// A reply whose command 11 in the header says that it carries no data.
fn refusing(template: &Template, ok: &[u8]) -> Reply {
    let ok: Vec<Box<[u8]>> = ok.iter().map(|&byte| Box::from([byte])).collect();
    let refusal = Refusal { at: 2, len: 1, ok: ok.into(), padding: 0x20 };
    Reply { refusal: Some(refusal), ..reply(template, &[0xEE; 4], vec![]) }
}

#[test]
fn a_refusal_carries_no_data() {
    for template in [delimited(), length()] {
        assert_eq!(built(&template, &refusing(&template, &[0x10])).0, "eeeeeeee");
        assert_eq!(built(&template, &refusing(&template, &[0x33, 0x10])).0, "eeeeeeee");
        assert_eq!(built(&template, &refusing(&template, &[0x33])).0, "");
    }
    // Where all frames have one size the data is the padding.
    assert_eq!(built(&fixed(), &refusing(&fixed(), &[0x33])).0, "20202020");
    assert_eq!(built(&fixed(), &refusing(&fixed(), &[0x10])).0, "eeeeeeee");
}

/// The field that marks a refusal may be behind the data, and then moves with its length.
#[test]
fn a_refusal_behind_the_data() {
    let template = delimited();
    let at = raw_frame(&template, 1, 0x10, &[0xEE; 4]).len() - 1;
    let with = |ok: u8| Reply {
        refusal: Some(Refusal { at, len: 1, ok: [Box::from([ok])].into(), padding: 0 }),
        ..reply(&template, &[0xEE; 4], vec![])
    };
    let whole = raw_frame(&template, 1, 0x10, &[0xEE; 4]);
    let empty = raw_frame(&template, 1, 0x10, &[]);
    for (ok, refused) in [(0x0D, false), (0x55, true)] {
        let tells = [&whole, &empty].map(|frame| is_refusal(&template, &with(ok), frame));
        assert_eq!(tells, [refused; 2], "{ok:02X}");
    }
    assert!(!is_refusal(&template, &reply(&template, &[], vec![]), &empty));
}

#[test]
fn data_that_travels_by_itself_is_left_aside() {
    for (template, left) in [(delimited(), ""), (length(), ""), (fixed(), "00000000")] {
        let reply = Reply { payload: Payload::Built, ..reply(&template, &[1, 2, 3, 4], vec![]) };
        assert_eq!(built(&template, &reply), (left.to_owned(), 0, vec![1, 2, 3, 4]));
    }
}

#[test]
fn registers_hold_the_last_text() {
    let mut device = DeviceState { registers: [b"old".to_vec(), vec![]].into(), ..DeviceState::default() };
    set_register(&mut device, 0, b"new");
    set_register(&mut device, 1, b"x");
    set_register(&mut device, 2, b"none has this number");
    assert_eq!(*device.registers, [b"new".to_vec(), b"x".to_vec()]);
}
