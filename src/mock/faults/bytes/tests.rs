//! Which bytes a fault changes, and how.

use super::*;
use fsu_plan::model::field::{Computed, Field, Kind, Offset, Slot};
use fsu_plan::model::template::Command;
use fsu_plan::wire::fixtures::{delimited, raw_frame};

/// What makes these kinds, each with this number to choose by.
fn drawn(kinds: &[FaultKind], how: u64) -> Drawn {
    let mut drawn = Drawn { how: [how; FaultKind::DRAWN], ..Drawn::default() };
    for &kind in kinds {
        drawn.made.add(kind);
    }
    drawn
}

#[test]
fn one_bit_is_flipped() {
    let check = |bytes: [u8; 2], how: u64, expected: [u8; 2]| {
        let mut got = bytes;
        assert!(flip(&mut got, how));
        assert_eq!(got, expected, "{how}");
    };
    check([0, 0], 0, [0x80, 0]);
    check([0, 0], 7, [0x01, 0]);
    check([0, 0], 8, [0, 0x80]);
    check([0xFF, 0xFF], 15, [0xFF, 0xFE]);
    check([0, 0], 16, [0x80, 0]);
    check([0, 0], u64::MAX, [0, 0x01]);
    assert!(!flip(&mut [], 3));
}

#[test]
fn at_least_a_byte_is_left_and_at_least_one_is_cut() {
    let cut = |len: usize, how: u64| {
        let (mut bytes, mut drawn) = (vec![7; len], drawn(&[FaultKind::Truncate], how));
        last(&mut drawn, &mut bytes);
        (bytes.len(), drawn.done.has(FaultKind::Truncate))
    };
    assert_eq!([0, 1, 2, 3].map(|how| cut(4, how)), [(1, true), (2, true), (3, true), (1, true)]);
    assert_eq!(cut(2, 5), (1, true));
    assert_eq!([cut(1, 5), cut(0, 5)], [(1, false), (0, false)]);
}

#[test]
fn an_outer_frame_keeps_its_ends() {
    let check = |kinds: &[FaultKind], how: u64, framed: &[u8], expected: &[u8]| {
        let (mut got, mut drawn) = (framed.to_vec(), drawn(kinds, how));
        outer(&mut drawn, &mut got);
        assert_eq!((got.as_slice(), drawn.done.is_empty()), (expected, framed == expected), "{kinds:?} {how}");
    };
    let framed = [0xFF, 1, 2, 3, 0xFE];
    check(&[FaultKind::BadVerify], 0, &framed, &[0xFF, 1, 2, !3, 0xFE]);
    check(&[FaultKind::Corrupt], 0, &framed, &[0xFF, 0x81, 2, 3, 0xFE]);
    check(&[FaultKind::Corrupt], 23, &framed, &[0xFF, 1, 2, 2, 0xFE]);
    check(&[FaultKind::Corrupt, FaultKind::Garbage], 0, &framed, &framed);
    check(&[FaultKind::BadVerify], 0, &[0xFF, 1, !2, 0xFE], &[0xFF, 1, 2, 0xFE]);
    check(&[FaultKind::BadVerify, FaultKind::Corrupt], 0, &[0xFF, 1, 0xFE], &[0xFF, 1, 0xFE]);
}

/// `7E address command data(3) sum 0D`, whose commands have a key of these parts, and these keys.
fn keyed(parts: &[(i32, usize, bool)], keys: &[u128]) -> Template {
    let parts = parts.iter().map(|&(at, len, little)| KeyPart { at: Offset(at), len, little }).collect();
    let table = keys.iter().zip(0..).map(|(&key, number)| (key, Box::from([number]))).collect();
    let plain = delimited();
    let command = |key: u128| {
        let slot = |len| Slot { kind: Kind::Hex, len, little: false, right: true, padding: 0 };
        let field =
            |name: &str, at, len| Field { name: name.into(), at: Offset(at), slot: slot(len), computed: Computed::No };
        Command {
            key,
            key_text: format!("{key:02X}").into(),
            // "kind" is at another offset in the reply, "other" is longer there.
            request: Some([field("kind", 3, 1), field("other", 4, 1)].into()),
            response: [field("pad", 3, 1), field("kind", 4, 1), field("other", 4, 2)].into(),
            request_len: 2,
            request_len_padded: 2,
            exact: false,
            constants: Box::default(),
            lengths: Box::default(),
            counts: Box::default(),
            less: 0,
            response_len: 3,
            sample: fsu_plan::model::prebuilt::Prebuilt::default(),
            made: Box::default(),
            up: false,
            walk: None,
        }
    };
    Template {
        keys: [KeyShape { parts, data_len_min: 0, table }].into(),
        commands: keys.iter().map(|&key| command(key)).collect(),
        ..plain
    }
}

#[test]
fn another_key_is_written_where_the_reply_carries_it() {
    let check = |parts: &[(i32, usize, bool)], keys: &[u128], how: u64, expected: Option<&str>| {
        let template = keyed(parts, keys);
        let mut raw = raw_frame(&template, 0x01, 0x02, &[0xD0, 0xD1, 0xD2]);
        let before = raw.clone();
        let changed = wrong_type(&template, &drawn(&[FaultKind::WrongType], how), &mut raw);
        assert_eq!(changed, expected.is_some(), "{parts:?}");
        assert_eq!(hex::encode(&raw[1..6]), expected.unwrap_or(&hex::encode(&before[1..6])), "{parts:?}");
    };
    // The command alone; of several others the one that was drawn, never its own.
    let command = [(2, 1, false)];
    check(&command, &[0x02, 0x77], 0, Some("0177d0d1d2"));
    check(&command, &[0x02, 0x77], 1, Some("0177d0d1d2"));
    check(&command, &[0x02, 0x77, 0x88], 1, Some("0177d0d1d2"));
    check(&command, &[0x02, 0x77, 0x88], 2, Some("0188d0d1d2"));
    check(&command, &[0x02, 0x77, 0x88], 5, Some("0188d0d1d2"));
    check(&command, &[0x02], 0, None);
    // Two bytes, in either order, and two parts.
    check(&[(1, 2, false)], &[0x0102, 0x5566], 0, Some("5566d0d1d2"));
    check(&[(1, 2, true)], &[0x0201, 0x5566], 0, Some("6655d0d1d2"));
    check(&[(1, 1, false), (2, 1, false)], &[0x0102, 0x5566], 0, Some("5566d0d1d2"));
    check(&[(2, 1, false), (1, 1, false)], &[0x0201, 0x5566], 0, Some("6655d0d1d2"));
    check(&[(1, 1, false), (-5, 2, false)], &[0x01_D0D1, 0x55_6677], 0, Some("55026677d2"));
    // A request field that is at another offset in the reply, or of another type.
    check(&[(2, 1, false), (3, 1, false)], &[0x02D1, 0x5566], 0, Some("0155d066d2"));
    check(&[(2, 1, false), (4, 1, false)], &[0x02D1, 0x5566], 0, Some("0155d0d1d2"));
    check(&[(4, 1, false)], &[0xD1, 0x66], 0, None);
    // Keys that differ only in what the reply does not carry: the next one is taken.
    check(&[(2, 1, false), (4, 1, false)], &[0x0201, 0x0202, 0x0303], 1, Some("0103d0d1d2"));
}
