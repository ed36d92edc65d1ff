use super::*;
use crate::model::field::BitRange;

fn slot(kind: Kind, len: usize, little: bool) -> Slot {
    Slot { right: kind == Kind::Bcd && !little, kind, len, little, padding: 0 }
}

fn check(slot: &Slot, text: &str, expected: Result<&str, Misfit>) {
    let mut out = vec![0xA5; slot.len];
    let got = encode(slot, text.as_bytes(), &mut out).map(|()| hex::encode_upper(&out));
    assert_eq!(got, expected.map(str::to_owned), "{text:?} in {slot:?}");
}

fn check_decode(slot: &Slot, bytes: &str, expected: &str) {
    let mut out = String::new();
    decode(slot, &hex::decode(bytes).unwrap(), &mut out);
    assert_eq!(out, expected);
}

#[test]
fn hex() {
    check(&slot(Kind::Hex, 2, false), "1234", Ok("1234"));
    check(&slot(Kind::Hex, 2, true), "0x1234", Ok("3412"));
    check(&slot(Kind::Hex, 2, false), "1", Ok("0100"));
    check(&slot(Kind::Hex, 2, true), "123", Ok("2301"));
    check(&Slot { right: true, padding: 0xFF, ..slot(Kind::Hex, 3, false) }, "1 2 3", Ok("FF0123"));
    check(&slot(Kind::Hex, 2, false), "", Ok("0000"));
    check(&slot(Kind::Hex, 1, false), "123", Err(Misfit::TooLong));
    check(&slot(Kind::Hex, 1, false), "G1", Err(Misfit::Digit));
    check_decode(&slot(Kind::Hex, 2, true), "8B10", "108B");
}

#[test]
fn integers() {
    check(&slot(Kind::Uint, 2, false), "258", Ok("0102"));
    check(&slot(Kind::Uint, 2, true), "0x0102", Ok("0201"));
    check(&slot(Kind::Int, 2, false), "-2", Ok("FFFE"));
    check(&slot(Kind::Int, 4, true), "4294967295", Ok("FFFFFFFF"));
    check(&slot(Kind::Uint, 1, false), "256", Err(Misfit::Range));
    check(&slot(Kind::Uint, 1, false), "-1", Err(Misfit::Range));
    check(&slot(Kind::Int, 1, false), "-129", Err(Misfit::Range));
    check(&slot(Kind::Uint, 8, false), "18446744073709551615", Ok("FFFFFFFFFFFFFFFF"));
    check(&slot(Kind::Uint, 8, false), "18446744073709551616", Err(Misfit::Range));
    check(&slot(Kind::Int, 8, true), "-9223372036854775808", Ok("0000000000000080"));
    check(&slot(Kind::Uint, 1, false), "", Err(Misfit::Empty));
    check_decode(&slot(Kind::Int, 2, false), "FFFE", "-2");
    check_decode(&slot(Kind::Uint, 3, true), "0102FF", "16712193");
}

#[test]
fn whole_numbers_in_every_spelling() {
    let check = |text: &str, expected: Result<i128, Misfit>| assert_eq!(parse_int(text.as_bytes()), expected, "{text}");
    check("+5", Ok(5));
    check("-5", Ok(-5));
    check(" 5 ", Ok(5));
    check("0x1f", Ok(31));
    check("0XFF", Ok(255));
    check("-0x10", Ok(-16));
    check("+0x10", Ok(16));
    check("-18446744073709551615", Ok(-i128::from(u64::MAX)));
    check("18446744073709551615", Ok(i128::from(u64::MAX)));
    check("0xFFFFFFFFFFFFFFFF", Ok(i128::from(u64::MAX)));
    check("18446744073709551616", Err(Misfit::Range));
    check("0x10000000000000000", Err(Misfit::Range));
    for text in ["", " ", "+", "-", "0x", "-0x"] {
        check(text, Err(Misfit::Empty));
    }
    for text in ["--5", "+-5", "5-", "1f", "0xg", "1 2"] {
        check(text, Err(Misfit::Digit));
    }
}

#[test]
fn ranges_of_integers() {
    assert_eq!((range(&Kind::Uint, 1), range(&Kind::Int, 1)), ((0, 255), (-128, 255)));
    assert_eq!((range(&Kind::Length, 2), range(&Kind::Int, 3)), ((0, 65_535), (-8_388_608, 16_777_215)));
    let most = i128::from(u64::MAX);
    assert_eq!((range(&Kind::Uint, 8), range(&Kind::Int, 8)), ((0, most), (i128::from(i64::MIN), most)));
    check(&slot(Kind::Int, 1, false), "-128", Ok("80"));
    check(&slot(Kind::Int, 1, false), "255", Ok("FF"));
    check(&slot(Kind::Uint, 1, false), "255", Ok("FF"));
    check(&slot(Kind::Uint, 1, false), "0", Ok("00"));
}

#[test]
fn what_is_wrong_and_what_would_be_right() {
    let check = |misfit: Misfit, kind: Kind, len: usize, expected: &str| {
        assert_eq!(misfit.explain(&slot(kind, len, false)), expected);
    };
    let bits = || Kind::Bit(crate::model::field::Bits::default());
    check(Misfit::Digit, Kind::Hex, 2, "not hex (digits 0-9 and A-F, an optional 0x, spaces)");
    check(Misfit::Digit, Kind::Bcd, 2, "not decimal digits only (bcd has no sign and no point)");
    check(Misfit::Digit, bits(), 2, "not a list of 16 zeros and ones");
    check(Misfit::Digit, Kind::F32, 4, "not a number");
    check(Misfit::Digit, Kind::Uint, 4, "not a whole number (decimal or 0x…)");
    check(Misfit::TooLong, Kind::Hex, 1, "longer than the field (1 byte holds 2 hex digits)");
    check(Misfit::TooLong, Kind::Bcd, 3, "longer than the field (3 bytes hold 6 digits)");
    check(Misfit::TooLong, bits(), 3, "longer than the field (3 bytes hold 24 bits)");
    check(Misfit::TooLong, Kind::Str, 3, "longer than the field (3 bytes)");
    check(Misfit::Range, Kind::Uint, 1, "out of range (0 to 255 in 1 byte)");
    check(Misfit::Range, Kind::F32, 4, "out of range (-3.4028235e38 to 3.4028235e38 in 4 bytes)");
    check(Misfit::Empty, Kind::Uint, 1, "empty where a number is needed");
    let all = [Misfit::Digit, Misfit::TooLong, Misfit::Range, Misfit::Empty].map(|misfit| misfit.to_string());
    assert_eq!(all, ["a character that the type does not know", "too long", "out of range", "empty"]);
}

#[test]
fn bits_across_bytes() {
    let plain = |little| slot(Kind::Bit(crate::model::field::Bits::default()), 2, little);
    let check = |little: bool, from: u32, to: u32, value: u64, expected: [u8; 2]| {
        let mut out = [0; 2];
        set_bits(&plain(little), from, to, value, &mut out);
        assert_eq!((out, get_bits(&plain(little), from, to, &out)), (expected, value), "{from} to {to}");
        // The others stay as they are.
        let mut out = [0xFF; 2];
        set_bits(&plain(little), from, to, 0, &mut out);
        assert_eq!(get_bits(&plain(little), from, to, &out), 0);
        assert_eq!(out.iter().map(|byte| byte.count_zeros()).sum::<u32>(), to - from + 1);
    };
    check(false, 0, 0, 1, [0x80, 0]);
    check(false, 15, 15, 1, [0, 0x01]);
    check(false, 4, 11, 0xA5, [0x0A, 0x50]);
    check(true, 4, 11, 0xA5, [0x50, 0x0A]);
    check(true, 0, 7, 0x12, [0, 0x12]);
    check(false, 0, 15, 0x1234, [0x12, 0x34]);
    // Past the field there is nothing.
    let mut out = [0; 2];
    set_bits(&plain(false), 12, 19, 0xFF, &mut out);
    assert_eq!((out, get_bits(&plain(false), 12, 19, &out)), ([0, 0x0F], 0xF0));
    assert_eq!(get_bits(&plain(true), 12, 19, &[0x0F, 0]), 0xF0);
    // More bits than a number has.
    let (long, mut out) = (slot(Kind::Bit(crate::model::field::Bits::default()), 9, false), [0xFF; 9]);
    set_bits(&long, 0, 71, u64::MAX, &mut out);
    assert_eq!(hex::encode(out), "00ffffffffffffffff");
}

#[test]
fn bcd() {
    check(&slot(Kind::Bcd, 2, false), "123", Ok("0123"));
    check(&slot(Kind::Bcd, 2, true), "2034", Ok("3420"));
    check(&slot(Kind::Bcd, 1, false), "1.2", Err(Misfit::Digit));
    check(&slot(Kind::Bcd, 1, false), "-1", Err(Misfit::Digit));
    check(&slot(Kind::Bcd, 1, false), "123", Err(Misfit::TooLong));
    check_decode(&slot(Kind::Bcd, 2, true), "3420", "2034");
    let mut out = [0; 2];
    assert!(!write_bcd(2034, true, &mut out));
    assert_eq!(out, [0x34, 0x20]);
    assert!(write_bcd(12345, false, &mut out));
}

#[test]
fn n05_short_bcd_is_padded() {
    let padded = |right, padding, little| Slot { right, padding, ..slot(Kind::Bcd, 3, little) };
    let check_all = |slot: &Slot, text: &str, bytes: &str, decoded: &str| {
        check(slot, text, Ok(bytes));
        check_decode(slot, bytes, decoded);
        let mut out = [0xA5; 3];
        assert!(!write_bcd_padded(text.parse().unwrap_or(0), slot, &mut out));
        assert_eq!(hex::encode_upper(out), bytes, "{text:?} as a number in {slot:?}");
    };
    check_all(&padded(false, 0xEE, false), "12", "12EEEE", "12");
    check_all(&padded(true, 0xEE, false), "123", "EE0123", "0123");
    check_all(&padded(false, 0xEE, true), "123", "2301EE", "0123");
    check_all(&padded(true, 0xEE, true), "1234", "EE3412", "1234");
    // Padding of digits can't be told from the value.
    check_all(&padded(false, 0x00, false), "12", "120000", "120000");
    check_all(&padded(true, 0x00, false), "12", "000012", "000012");
    check_all(&padded(true, 0x99, false), "0", "999900", "999900");
    check_all(&padded(false, 0xEE, false), "123456", "123456", "123456");
    check(&padded(false, 0xEE, false), "", Ok("EEEEEE"));
    check_decode(&padded(false, 0xEE, false), "EEEEEE", "");
    check_decode(&padded(false, 0xEE, false), "1AEEEE", "1A");
    let mut out = [0; 3];
    assert!(write_bcd_padded(1_234_567, &padded(false, 0xEE, false), &mut out));
}

#[test]
fn bits() {
    check(&slot(Kind::Bit(crate::model::field::Bits::default()), 1, false), "[1,0,0,0,0,0,0,1]", Ok("81"));
    check(&slot(Kind::Bit(crate::model::field::Bits::default()), 2, true), "1000000000000001", Ok("0180"));
    check(&slot(Kind::Bit(crate::model::field::Bits::default()), 1, false), "111111111", Err(Misfit::TooLong));
    let ranges =
        Vec::from([BitRange { name: "a".into(), from: 0, to: 3 }, BitRange { name: "b".into(), from: 7, to: 7 }]);
    check_decode(&slot(Kind::Bit(crate::model::field::Bits::new(ranges)), 1, false), "51", "{\"a\":5,\"b\":1}");
    let plain = slot(Kind::Bit(crate::model::field::Bits::default()), 1, false);
    check_decode(&plain, "81", "[1,0,0,0,0,0,0,1]");
    let mut out = [0xFF];
    set_bits(&plain, 4, 6, 2, &mut out);
    assert_eq!(out, [0xF5]);
}

#[test]
fn text_and_floats() {
    check(&slot(Kind::Str, 4, false), "AB", Ok("41420000"));
    check(&Slot { right: true, padding: 0x20, ..slot(Kind::Str, 4, false) }, "AB", Ok("20204142"));
    check(&slot(Kind::Str, 1, false), "AB", Err(Misfit::TooLong));
    check(&slot(Kind::F32, 4, true), "1.5", Ok("0000C03F"));
    check(&slot(Kind::F64, 8, false), "-2", Ok("C000000000000000"));
    check(&slot(Kind::F32, 4, false), "x", Err(Misfit::Digit));
    check(&slot(Kind::F32, 4, false), "3.5e38", Err(Misfit::Range));
    check(&slot(Kind::F32, 4, false), "-inf", Ok("FF800000"));
    check(&slot(Kind::F64, 8, false), "-1e309", Err(Misfit::Range));
    check_decode(&slot(Kind::Str, 4, false), "41FF0000", "A\\xFF");
    check_decode(&slot(Kind::F32, 4, true), "0000C03F", "1.5");
}

#[test]
fn the_longest_notation_of_each_kind() {
    let ranges = |names: &[&str]| {
        let ranges = names.iter().map(|&name| BitRange { name: name.into(), from: 0, to: 0 });
        Kind::Bit(crate::model::field::Bits::new(ranges.collect()))
    };
    for (kind, len, expected) in [
        (Kind::Hex, 3, "010203".len()),
        (Kind::Bcd, 3, "010203".len()),
        (Kind::Uint, 1, "255".len()),
        (Kind::Length, 2, "65535".len()),
        (Kind::Int, 1, "-128".len()),
        (Kind::Int, 3, "-8388608".len() + 1),
        (Kind::Uint, 7, "72057594037927935".len()),
        (Kind::Uint, 8, "18446744073709551615".len()),
        (Kind::Int, 8, "-9223372036854775808".len()),
        (Kind::Str, 5, 5),
        (ranges(&[]), 1, "[1,0,0,0,0,0,0,1]".len()),
        (ranges(&["ab", "c"]), 1, "{}".len() + 2 + 24 + 1 + 24),
        (Kind::F32, 4, 60),
        (Kind::F64, 8, 340),
    ] {
        let slot = slot(kind, len, false);
        assert_eq!(notation_bytes_max(&slot), expected, "{slot:?}");
    }
}

proptest::proptest! {
    /// What is read of any bytes is written as these bytes again.
    #[test]
    fn values_are_found_again(bytes: [u8; 8], len in 1_usize..=8, little: bool, which in 0_usize..6) {
        let scale = |base: Kind| {
            let decimal = |text: &str| crate::model::decimal::Decimal::parse(text.as_bytes()).unwrap();
            let scale = crate::model::shown::Scale { scale: decimal("0.025"), offset: decimal("-40.5") };
            let shown = crate::model::shown::Shown { base, scale: Some(scale), unit: "V".into(), names: Box::default() };
            Kind::Shown(std::sync::Arc::new(shown))
        };
        let kind = match which {
            0 => Kind::Dec,
            1 => Kind::HexDigits { low: little && len % 2 == 0 },
            2 => Kind::Sbcd,
            3 => Kind::Epoch(crate::model::field::Epoch { ms: little, offset_s: 0 }),
            4 => scale(Kind::Int),
            _ => scale(Kind::Uint),
        };
        // Characters that are digits more often than chance has them.
        let text = matches!(which, 0 | 1);
        let bytes: Vec<u8> = bytes[..len].iter().map(|byte| if text { b"0123456789ABCDEFabcdef "[usize::from(*byte) % 23] } else { *byte }).collect();
        let slot = Slot { kind, len, little: little && !text, right: false, padding: 0 };
        let (mut value, mut again) = (Vec::new(), vec![0xA5; len]);
        decode_into(&slot, &bytes, &mut value);
        assert!(value.len() <= notation_bytes_max(&slot), "{slot:?} {value:?}");
        if !value.is_empty() {
            let zero = which == 2 && value == b"0";
            assert_eq!(encode(&slot, &value, &mut again), Ok(()), "{slot:?} {}", String::from_utf8_lossy(&value));
            // The sign of zero is not kept.
            assert!(zero || again.eq_ignore_ascii_case(&bytes), "{slot:?} {bytes:?} {again:?}");
        }
    }
}
