//! Dissected frames: each piece as `offset name = value`, with the expected bytes if they differ.

use super::inner::{Content, Inner, Piece, Reading, fields_of};
use super::outer::{Outer, OuterValue, Way};
use super::right::Right;
use crate::about::{About, What};
use fsu_plan::compile::compile;
use fsu_plan::compile::fixtures::files;
use fsu_plan::config::load::Loader;
use fsu_plan::config::source::Source;
use fsu_plan::model::field::{Constant, Offset};
use fsu_plan::model::fleet::{Fleet, Fsu};
use fsu_plan::model::template::Template;
use fsu_plan::wire::envelope::HEARTBEAT_BYTES;
use fsu_plan::wire::inner;
use serde_json::{Value, json};

fn compiled(files: &Value) -> Fleet {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files.as_object().unwrap() {
        std::fs::write(dir.path().join(name), content.to_string()).unwrap();
    }
    let mut loader = Loader::new(Source::Directory);
    let fleet = compile(&mut loader, &dir.path().join("sys_config.json"));
    fleet.unwrap_or_else(|| panic!("{:?}", loader.diags.lines().collect::<Vec<_>>()))
}

/// `7E address=01 length command=01 [phase power=f32] checksum 0D`: a length in the header, and a constant that is checked.
fn fleet(more: impl FnOnce(&mut Value)) -> Fleet {
    let mut files = files();
    let protocol = &mut files["t.json"]["protocol"];
    let mut left = protocol["pdu_left"].as_array().unwrap().clone();
    left[1]["match"] = json!(true);
    left.insert(2, json!({"name": "size", "type": "length", "length": 1, "value": "{{data_frame_length}}"}));
    protocol["pdu_left"] = left.into();
    more(&mut files);
    compiled(&files)
}

fn template(fleet: &Fleet) -> &Template {
    &fleet.fsus[0].devices[0].template
}

/// `5 power = 1.5`, followed by `!` and the expected bytes if they differ.
fn told(read: &Inner<'_>, piece: &Piece<'_>) -> String {
    let mut text = String::new();
    piece.text(&mut text);
    let shown = if piece.field().is_some() { text } else { hex::encode_upper(piece.bytes) };
    let right = read.right(piece);
    let there = read.frame.raw.get(piece.at..).unwrap_or_default();
    let wrong = match right.holds(piece.bytes) {
        None => String::new(),
        Some(true) => " ok".into(),
        Some(false) => format!(" !{}", hex::encode_upper(right.to_vec(there))),
    };
    let past = if piece.is_past_end { " past" } else { "" };
    format!("{} {} = {shown}{wrong}{past}", piece.at, piece.name())
}

fn check_in(template: &Template, (command, content): (Option<usize>, Content), wire_hex: &str, expected: &[&str]) {
    let (wire, mut raw) = (hex::decode(wire_hex).unwrap(), Vec::new());
    let frame = inner::parse(template, &wire, &mut raw).unwrap();
    let reading = Reading { command: command.map(|number| &template.commands[number]), content };
    let read = Inner::new(template, frame, reading);
    let pieces: Vec<String> = read.pieces().map(|piece| told(&read, &piece)).collect();
    assert_eq!(pieces, expected, "{wire_hex}");
}

fn check(reading: (Option<usize>, Content), wire_hex: &str, expected: &[&str]) {
    check_in(template(&fleet(|_| {})), reading, wire_hex, expected);
}

const HEADER: [&str; 4] = ["0 start = 7E ok", "1 address = 01 ok", "2 size = 6 ok", "3 command = 01"];

#[test]
fn a_request_and_what_it_should_be() {
    let request = (Some(0), Content::Request);
    let data = ["4 phase = 2", "5 power = 1.5"];
    let tail = |checksum| [checksum, "10 end = 0D ok"];
    let right = [&HEADER[..], &data, &tail("9 checksum = 09 ok")].concat();
    check(request, "7E 01 06 01 02 3FC00000 09 0D".replace(' ', "").as_str(), &right);
    // A wrong constant, length and checksum.
    let header = ["0 start = 7E ok", "1 address = 05 !01", "2 size = 7 !06", "3 command = 01"];
    let wrong = [&header[..], &data, &tail("9 checksum = 08 !0E")].concat();
    check(request, "7E0507010 23FC00000080D".replace(' ', "").as_str(), &wrong);
    // Bytes behind its fields.
    let header = ["0 start = 7E ok", "1 address = 01 ok", "2 size = 8 ok", "3 command = 01"];
    let fill = ["9 (fill) = AABB", "11 checksum = 70 ok", "12 end = 0D ok"];
    check(request, "7E010801023FC00000AABB700D", &[&header[..], &data, &fill].concat());
}

#[test]
fn a_reply_and_bytes_without_fields() {
    // A reply may have any address; only computed fields are checked.
    let header = ["0 start = 7E ok", "1 address = 05", "2 size = 5 ok", "3 command = 01"];
    let data = ["4 power = 1.5", "8 shown =  past"];
    let tail = ["8 checksum = 0A ok", "9 end = 0D ok"];
    let wire = "7E0505013FC000000A0D";
    check((Some(0), Content::Reply), wire, &[&header[..], &data, &tail].concat());
    check((Some(0), Content::Bytes), wire, &[&header[..], &["4 (data) = 3FC00000"], &tail].concat());
    check((None, Content::Reply), wire, &[&header[..], &["4 (data) = 3FC00000"], &tail].concat());
    let empty = ["0 start = 7E ok", "1 address = 01", "2 size = 1 ok", "3 command = 01"];
    check((None, Content::Bytes), "7E010101030D", &[&empty[..], &["4 checksum = 03 ok", "5 end = 0D ok"]].concat());
}

/// Elements behind a field of variable size follow the fields with fixed places; the rest of the data frame comes last.
#[test]
fn elements_of_variable_size() {
    let fleet = fleet(|files| {
        files["t.json"]["protocol"]["data_frame"][0]["req_data_list"] = json!([
            {"name": "phase", "type": "uint", "length": 1},
            {"name": "n", "type": "uint", "length": 1},
            {"name": "name", "type": "str", "length": {"field": "n"}},
        ]);
    });
    let template = template(&fleet);
    let check = |content: Content, data: &str, expected: &str| {
        let (wire, mut raw) = (hex::decode(format!("7E010501{data}000D")).unwrap(), Vec::new());
        let frame = inner::parse(template, &wire, &mut raw).unwrap();
        let read = Inner::new(template, frame, Reading { command: Some(&template.commands[0]), content });
        let (elements, wrong) = read.walked();
        let mut told: Vec<String> = read.fields().map(|piece| told(&read, &piece)).collect();
        told.extend(elements.iter().map(|one| format!("{}..{} {} = {}", one.from, one.to, one.path, one.value)));
        told.extend(wrong.map(|wrong| format!("{wrong:?}")));
        told.extend(read.rest().map(|piece| self::told(&read, &piece)));
        assert_eq!(told.join(", "), expected, "{data}");
    };
    check(Content::Request, "02024142", "4 phase = 2, 5 n = 2, 6..8 name = AB");
    check(Content::Request, "02014142", "4 phase = 2, 5 n = 1, 6..7 name = A, 7 (fill) = 42");
    check(Content::Request, "02094142", "4 phase = 2, 5 n = 9, Short, 6 (fill) = 4142");
    check(Content::Bytes, "02024142", "4 (data) = 02024142");
}

#[test]
fn places_count_the_raw_frame() {
    let fleet = fleet(|files| files["t.json"]["protocol"]["encoding"] = json!("ascii_hex"));
    let expected = [&HEADER[..], &["4 phase = 2", "5 power = 1.5", "9 checksum = 09 ok", "10 end = 0D ok"]].concat();
    check_in(template(&fleet), (Some(0), Content::Request), &hex::encode("~010601023FC0000009\r"), &expected);
}

#[test]
fn what_the_responder_knew_says_how_a_frame_is_read() {
    let fleet = fleet(|_| {});
    let template = template(&fleet);
    let check = |is_request: bool, command: u16, what: What, expected: (bool, Content)| {
        let reading = Reading::of(template, is_request, About { command, what, ..About::UNKNOWN });
        assert_eq!((reading.command.is_some(), reading.content), expected, "{is_request} {command} {what:?}");
    };
    check(true, 0, What::Answered, (true, Content::Request));
    check(true, 0, What::Dropped, (true, Content::Request));
    check(true, 7, What::Dropped, (false, Content::Request));
    check(false, 0, What::Answered, (true, Content::Reply));
    for what in What::ALL.into_iter().filter(|what| *what != What::Answered) {
        check(false, 0, what, (true, Content::Bytes));
    }
}

#[test]
fn data_by_itself_has_the_places_of_its_frame() {
    let fleet = fleet(|_| {});
    let template = template(&fleet);
    let check = |data: &str, expected: &[(usize, &str, bool)]| {
        let data = hex::decode(data).unwrap();
        let fields = template.commands[0].request.as_deref().unwrap();
        let pieces = fields_of(template, fields, &data);
        let got: Vec<_> = pieces.map(|piece| (piece.at, hex::encode(piece.bytes), piece.is_past_end)).collect();
        let expected: Vec<_> =
            expected.iter().map(|(at, bytes, is_past)| (*at, (*bytes).to_owned(), *is_past)).collect();
        assert_eq!(got, expected);
    };
    check("023fc00000", &[(4, "02", false), (5, "3fc00000", false)]);
    check("023fc0", &[(4, "02", false), (5, "", true)]);
    check("", &[(4, "", true), (5, "", true)]);
}

#[test]
fn a_mask_leaves_bits_open() {
    let constant =
        |mask: &[u8]| Constant { name: "c".into(), at: Offset(0), bytes: [0x50, 2].into(), mask: mask.into() };
    let check = |mask: &[u8], there: &[u8], expected: (bool, &[u8])| {
        let constant = constant(mask);
        let right = Right::Constant(&constant);
        assert_eq!((right.holds(there), &*right.to_vec(there)), (Some(expected.0), expected.1));
    };
    check(&[], &[0x50, 2], (true, &[0x50, 2]));
    check(&[], &[0x51, 2], (false, &[0x50, 2]));
    check(&[0xF0, 0xFF], &[0x5A, 2], (true, &[0x5A, 2]));
    check(&[0xF0, 0xFF], &[0x6A, 2], (false, &[0x5A, 2]));
    check(&[], &[0x50], (false, &[0x50, 2]));
    assert_eq!(Right::Any.holds(&[1]), None);
}

/// The spec's request (b-interface.md, The reference exchange), unescaped.
const OUTER: &str = "FF3230323530313235000000000000000000000000000000000000000001012700EE010022007E01008B10260112011730030000\
    000000000000000000000000000000000000000D10FE";

fn outer(way: Way, plain: &[u8], fsu: &Fsu) -> Vec<String> {
    let value = |value| match value {
        OuterValue::Byte { right } => format!("{right:02X}"),
        OuterValue::Address(party) => format!("{party:?}"),
        OuterValue::Device => String::new(),
        OuterValue::Length { value, high_first, right } => format!("{value} {high_first} {right:?}"),
        OuterValue::Rtn { says, is_right } => format!("{says:?} {is_right}"),
        OuterValue::Comm(comm_type) => format!("{comm_type:04X}"),
        OuterValue::Data => "data".into(),
    };
    let mut seen = Vec::new();
    Outer { plain, way, fsu }.visit(|piece| {
        let (name, at, len) = (piece.field.name(), piece.at, piece.bytes.len());
        seen.push(format!("{name} {at}+{len} {}", value(piece.value)));
    });
    seen
}

fn check_outer(way: Way, edit: impl FnOnce(&mut Vec<u8>), expected: &[(usize, &str)]) {
    let fsu = crate::fixtures::fsu(vec![]);
    let mut plain = hex::decode(OUTER).unwrap();
    let whole = outer(Way::Down, &plain, &fsu);
    edit(&mut plain);
    let got = outer(way, &plain, &fsu);
    let changed = got.iter().enumerate().filter(|(at, text)| whole.get(*at) != Some(text));
    let changed: Vec<_> = changed.map(|(at, text)| (at, text.as_str())).collect();
    assert_eq!(changed, expected);
}

#[test]
fn every_field_of_an_outer_frame() {
    let plain = hex::decode(OUTER).unwrap();
    let expected = [
        "P_header 0+1 FF",
        "P_dest_addr 1+20 This",
        "P_src_addr 21+8 Centre",
        "P_subDevType 29+1 ",
        "P_subDev_addr 30+1 ",
        "P_pLen 31+2 39 false Some(39)",
        "RtnFlag 33+1 Request true",
        "CommType 34+2 0001",
        "through-data length 36+2 34 false Some(34)",
        "through data 38+34 data",
        "P_verify 72+1 10",
        "P_tailer 73+1 FE",
    ];
    assert_eq!(outer(Way::Down, &plain, &crate::fixtures::fsu(vec![])), expected);
}

#[test]
fn an_outer_frame_that_is_wrong() {
    use fsu_plan::wire::envelope::at;
    check_outer(Way::Down, |_| {}, &[]);
    // Read as a frame from the FSU.
    let up = [(1, "P_dest_addr 1+8 Centre"), (2, "P_src_addr 9+20 Other"), (6, "RtnFlag 33+1 Request false")];
    check_outer(Way::Up, |_| {}, &up);
    check_outer(Way::Down, |plain| plain[at::DEST] = 0x33, &[(1, "P_dest_addr 1+20 Other"), (10, "P_verify 72+1 11")]);
    let high_first = [(5, "P_pLen 31+2 39 true Some(39)")];
    check_outer(Way::Down, |plain| plain.swap(at::P_LEN, at::P_LEN + 1), &high_first);
    let wrong = [(5, "P_pLen 31+2 40 false Some(39)"), (10, "P_verify 72+1 1F")];
    check_outer(Way::Down, |plain| plain[at::P_LEN] = 40, &wrong);
    let heartbeat = [(7, "CommType 34+2 0002"), (8, "P_verify 72+1 13"), (9, "P_tailer 73+1 FE")];
    check_outer(Way::Down, |plain| plain[at::COMM_TYPE] = 2, &heartbeat);
    check_outer(
        Way::Down,
        |plain| plain[at::RTN_FLAG] = 0xED,
        &[(6, "RtnFlag 33+1 Heartbeat false"), (10, "P_verify 72+1 13")],
    );
    check_outer(
        Way::Down,
        |plain| plain[at::RTN_FLAG] = 7,
        &[(6, "RtnFlag 33+1 Unknown false"), (10, "P_verify 72+1 F9")],
    );
}

#[test]
fn an_outer_frame_that_is_cut_off_has_the_fields_before_that() {
    let fsu = crate::fixtures::fsu(vec![]);
    let plain = hex::decode(OUTER).unwrap();
    let check = |len: usize, expected: (usize, bool)| {
        let outer = Outer { plain: &plain[..len], way: Way::Down, fsu: &fsu };
        let mut count = 0;
        outer.visit(|_| count += 1);
        assert_eq!((count, outer.is_whole()), expected, "{len} bytes");
        assert_eq!(outer.through().is_some(), len >= 40, "{len} bytes");
    };
    check(0, (0, false));
    check(1, (1, false));
    check(20, (1, false));
    check(21, (2, false));
    check(35, (7, false));
    check(36, (8, false));
    check(HEARTBEAT_BYTES - 1, (8, false));
    check(HEARTBEAT_BYTES, (10, true));
    check(39, (10, true));
    check(40, (12, true));
    let mut last = None;
    Outer { plain: &plain[..33], way: Way::Down, fsu: &fsu }.visit(|piece| last = Some(piece.value));
    assert_eq!(last, Some(OuterValue::Length { value: 39, high_first: false, right: None }));
}
