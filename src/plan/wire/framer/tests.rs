use super::*;
use crate::model::digits::Digits;
use crate::wire::fixtures::{self, frame};
use proptest::prelude::*;

fn check(template: &Template, bytes: &str, expected: Cut) {
    assert_eq!(cut(template, &hex::decode(bytes).unwrap()), expected, "{bytes}");
}

#[test]
fn fixed() {
    let template = fixtures::fixed();
    assert_eq!(longest(&template), 9);
    check(&template, "", Cut::More);
    check(&template, "7D", Cut::No);
    check(&template, "7E01", Cut::More);
    check(&template, "7E0110AABBCCDD000D", Cut::Frame(9));
    check(&template, "7E0110AABBCCDD000D7E", Cut::Frame(9));
    check(&template, "7E0110AABBCCDD000E", Cut::No);
}

#[test]
fn length() {
    let template = fixtures::length();
    assert_eq!(longest(&template), 22);
    check(&template, "680110", Cut::More);
    check(&template, "68011001", Cut::More);
    check(&template, "680110011116", Cut::Frame(6));
    check(&template, "680110011117", Cut::No);
    check(&template, "68011003AABB7616", Cut::Frame(8));
    check(&template, "68011011", Cut::More);
    // One more than the largest; negative; both known before any data is there.
    check(&template, "68011012", Cut::No);
    check(&template, "68011000", Cut::No);
    check(&template, "680110FF", Cut::No);
}

#[test]
fn length_in_hex_characters() {
    let template = fixtures::ascii_length();
    assert_eq!(longest(&template), 44);
    let text = |text: &str, expected| check(&template, &hex::encode(text), expected);
    text("~0110", Cut::More);
    text("~01100000", Cut::More);
    text("~0110000011\r", Cut::Frame(12));
    text("~0110000011\n", Cut::No);
    text("~0110E002AABB\r", Cut::Frame(14));
    text("~0110e002aabb\r", Cut::Frame(14));
    // Its own check, an odd number of characters, no hex digit, longer than the largest.
    text("~0110F002", Cut::No);
    text("~0110F001", Cut::No);
    text("~0110G002", Cut::No);
    text("~0110C022", Cut::No);
    text("~0110E020", Cut::More);
}

#[test]
fn delimited() {
    let template = fixtures::delimited();
    assert_eq!(longest(&template), 21);
    check(&template, "7E0110", Cut::More);
    check(&template, "7E0110110D", Cut::Frame(5));
    check(&template, "7E01100D110D", Cut::Frame(6));
    check(&template, "7E010D0D0D0D", Cut::Frame(5));
    check(&template, "7E01101100", Cut::More);
    check(&template, &format!("7E{}", "00".repeat(19)), Cut::More);
    check(&template, &format!("7E{}", "00".repeat(20)), Cut::No);
    check(&template, &format!("7E{}0D", "00".repeat(19)), Cut::Frame(21));
    check(&template, &format!("7E{}0D", "00".repeat(20)), Cut::No);
}

#[test]
fn delimited_prefers_the_sizes_of_commands() {
    let template = fixtures::delimited_sizes();
    check(&template, "7E0110110D", Cut::Frame(5));
    // An end at a size that no command has: only once no such size is possible any more.
    check(&template, "7E0110AA0DBBCCDD0D", Cut::Frame(5));
    check(&template, "7E0110AABB0DCCDD", Cut::More);
    check(&template, "7E0110AABB0DCCDD0D", Cut::Frame(9));
    check(&template, "7E0110AABB0DCCDDEE", Cut::More);
    check(&template, &format!("7E0110AABB0D{}", "00".repeat(14)), Cut::More);
    check(&template, &format!("7E0110AABB0D{}", "00".repeat(15)), Cut::Frame(6));
    check(&template, &format!("7E0110AABB0D{}0D", "00".repeat(14)), Cut::Frame(21));
}

#[test]
fn delimited_knows_the_sizes_of_the_command_in_the_header() {
    let template = fixtures::delimited_sizes();
    // Ends at the sizes of other commands are data.
    check(&template, "7E01110D0D", Cut::More);
    check(&template, "7E01110D0DBBCC000D", Cut::Frame(9));
    // Without an end there, the first one is it.
    check(&template, "7E01110D0DBBCC0000", Cut::Frame(5));
    // A key that no command has: every size is as good.
    check(&template, "7E01120D0DBBCC000D", Cut::Frame(5));
}

#[test]
fn delimited_in_hex_characters() {
    fn text(template: &Template, text: &str, expected: Cut) {
        check(template, &hex::encode(text), expected);
    }
    let template = fixtures::ascii_delimited();
    assert_eq!(longest(&template), 40);
    text(&template, "~01", Cut::More);
    text(&template, "~011011\r", Cut::Frame(8));
    text(&template, "~011011\r~011011\r", Cut::Frame(8));
    text(&template, "~01101\r", Cut::No);
    text(&template, "~01~", Cut::No);
    text(&template, "~0110\r", Cut::No);
    text(&template, &format!("~{}", "0".repeat(38)), Cut::More);
    text(&template, &format!("~{}", "0".repeat(39)), Cut::No);
    text(&template, &format!("~{}\r", "0".repeat(38)), Cut::Frame(40));

    let template = fixtures::ascii_two_byte_end();
    text(&template, ":011011\r", Cut::More);
    text(&template, ":011011\r\n", Cut::Frame(9));
    text(&template, ":011011\r:", Cut::No);
    text(&template, ":01101\r", Cut::No);
    text(&template, &format!(":{}\r", "0".repeat(38)), Cut::More);
    text(&template, &format!(":{}\r", "0".repeat(39)), Cut::No);

    let template = fixtures::ascii_hex_ends();
    text(&template, "AAB10BCB", Cut::Frame(8));
    text(&template, "AAB10BC", Cut::More);
    text(&template, "AAB10BC\r", Cut::No);
}

#[test]
fn no_start() {
    let template = fixtures::without_start();
    check(&template, "", Cut::More);
    check(&template, "00", Cut::More);
    check(&template, "000000000000000D0D", Cut::Frame(9));
    check(&template, "000000000000000D0E", Cut::No);
}

#[test]
fn keyed() {
    let template = fixtures::keyed();
    assert_eq!(longest(&template), 6);
    check(&template, "", Cut::More);
    check(&template, "0001", Cut::More);
    check(&template, "000111", Cut::More);
    check(&template, "00011112", Cut::Frame(4));
    check(&template, "0001111200", Cut::Frame(4));
    check(&template, "000110AABB", Cut::More);
    check(&template, "000110AABB76", Cut::Frame(6));
    // A key that no command has.
    check(&template, "000112", Cut::No);
}

#[test]
fn hostile_length_fields() {
    let field = |per_data, base, at| LengthField {
        at,
        len: 8,
        little: false,
        base,
        per_data,
        lchksum: false,
        configured: false,
        digits: Digits::Binary,
    };
    let at = crate::model::field::Offset;
    let mut buf = vec![0x68, 0, 0];
    buf.extend([0xFF; 40]);
    for field in [field(1, i64::MIN, at(3)), field(0, 0, at(3)), field(-1, 0, at(3)), field(1, 0, at(-3))] {
        let template = Template { lengths: [field].into(), left_len: 11, ..fixtures::length() };
        assert_eq!(cut(&template, &buf), Cut::No);
    }
    let template = Template { framing: Framing::Length(7), ..fixtures::length() };
    assert_eq!(cut(&template, &buf), Cut::No);
}

/// Frames of a template, garbage made of the bytes that frames are made of, and pieces of frames.
fn stream(template: &Template) -> impl Strategy<Value = Vec<u8>> + use<> {
    let marks: Vec<u8> = [&template.start[..], &template.end[..], b"0Fb\x01\x03"].concat();
    let garbage = proptest::collection::vec(proptest::sample::select(marks), 0..60);
    let frames: Vec<_> = (0..=16).map(|len| frame(template, 1, 0x10, &[0x0D; 16][..len])).collect();
    let whole = proptest::sample::select(frames);
    let piece = (whole.clone(), any::<proptest::sample::Index>()).prop_map(|(frame, at)| {
        let at = at.index(frame.len() + 1);
        frame[..at].to_vec()
    });
    proptest::collection::vec(prop_oneof![3 => whole, 1 => garbage, 1 => piece], 0..8).prop_map(|parts| parts.concat())
}

fn templates() -> Vec<Template> {
    fixtures::all().into_iter().chain([fixtures::keyed()]).collect()
}

fn any_template_and_stream() -> impl Strategy<Value = (usize, Vec<u8>)> {
    (0..templates().len()).prop_flat_map(|number| (Just(number), stream(&templates()[number])))
}

proptest! {
    #[test]
    fn a_search_sees_what_cut_sees((number, bytes) in any_template_and_stream(), step in 1..4usize) {
        let template = &templates()[number];
        let mut search = Search::default();
        for at in (0..=bytes.len()).step_by(step) {
            prop_assert_eq!(search.cut(template, &bytes, at), cut(template, &bytes[at..]), "at {}", at);
        }
    }

    #[test]
    fn more_bytes_change_no_decision((number, bytes) in any_template_and_stream()) {
        let template = &templates()[number];
        let longest = longest(template);
        let mut decided = Cut::More;
        for len in 0..=bytes.len().min(longest + 5) {
            let now = cut(template, &bytes[..len]);
            if decided != Cut::More {
                prop_assert_eq!(now, decided, "{} bytes", len);
            }
            prop_assert!(now != Cut::More || len < longest, "{} bytes", len);
            if let Cut::Frame(size) = now {
                prop_assert!(size <= longest && size <= len);
            }
            decided = now;
        }
    }

    #[test]
    fn a_frame_is_cut_at_its_size(number in 0..fixtures::all().len(), data in proptest::collection::vec(any::<u8>(), 0..=16)) {
        let template = &fixtures::all()[number];
        let wire = frame(template, 1, 0x10, &data);
        // An end byte in the data may end a delimited frame; a size that no command has waits for those.
        let clean = template.framing != Framing::Delimited
            || !wire[4..wire.len() - 1].contains(&template.end[0])
                && (template.data_lens.is_empty() || template.data_lens.contains(&data.len()));
        if clean {
            prop_assert_eq!(cut(template, &wire), Cut::Frame(wire.len()));
        }
    }
}

/// An end that a checksum follows: the frame is whole when that is there.
#[test]
fn an_end_before_the_checksum() {
    let template = Template { end: Box::default(), closing: [0x03].into(), behind: 1, ..fixtures::delimited() };
    check(&template, "7E0110", Cut::More);
    check(&template, "7E011003", Cut::More);
    check(&template, "7E01100303", Cut::Frame(5));
    check(&template, "7E0110AABBCC03", Cut::More);
    check(&template, "7E0110AABBCC03AA7E", Cut::Frame(8));
}
