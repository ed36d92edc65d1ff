use super::super::testing::{chars_template, device, field, fixed_template, fsu_with, stamp};
use super::*;
use crate::codec::outer::{Head, escape, xor};
use crate::codec::reason::Reason;
use crate::plan::template::{Computed, Kind as SlotKind};
use proptest::prelude::*;

/// The spec's example (b-interface.md, The reference exchange).
const REQUEST: &str = "FF32303235303132350000000000000000000000000000000000000000010127 00EE01002200\
    7E01008B10260112011730030000000000000000000000000000000000000000000D10FE";

fn bytes(hex_digits: &str) -> Vec<u8> {
    hex::decode(hex_digits.replace(char::is_whitespace, "")).unwrap()
}

fn record(kind: Kind, dropped: Option<Reason>, bytes: &[u8]) -> Record<'_> {
    let peer = "127.0.0.1:40212".parse().unwrap();
    Record { kind, fsu: 0, peer, unix_ms: 1_768_306_323_184, dropped, lost_before: 0, bytes }
}

fn text(fsu: &Fsu, language: Language, record: &Record<'_>) -> String {
    let mut out = Vec::new();
    Formatter::new(language, stamp()).record(fsu, record, &mut out);
    String::from_utf8(out).unwrap()
}

/// What stands after the HEX line.
fn check_in(fsu: &Fsu, record: &Record<'_>, expected: &str) {
    let text = text(fsu, Language::En, record);
    let (_, rest) = text.split_once("  HEX:").unwrap();
    let (_, rest) = rest.split_once('\n').unwrap();
    assert_eq!(rest, expected);
}

fn udp() -> Fsu {
    fsu_with("conghua_qinyun_01", Transport::Udp, vec![device(1, fixed_template())])
}

fn check(wire: &[u8], expected: &str) {
    check_in(&udp(), &record(Kind::Received, None, wire), expected);
}

/// The reference request with other bytes at a place before escaping; P_verify made right unless it is that.
fn changed(at: usize, new: &[u8]) -> Vec<u8> {
    let mut plain = bytes(REQUEST);
    plain[at..at + new.len()].copy_from_slice(new);
    let verify = plain.len() - 2;
    if at != verify {
        plain[verify] = xor(&plain[1..verify]);
    }
    let mut out = Vec::new();
    escape(&plain, &mut out).to_vec()
}

#[test]
fn the_example_of_the_spec() {
    let expected = "\
[2026-01-13 20:12:03.184] [RECV] fsu[conghua_qinyun_01:3230323530313235] 127.0.0.1:40212 接收到SC数据
  HEX: FF 32 30 32 35 30 31 32 35 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01 01 27 00 EE 01 00 22 00 \
7E 01 00 8B 10 26 01 12 01 17 30 03 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 0D 10 FE
  Parsed:
    P_header: 0xFF
    P_dest_addr: 3230323530313235000000000000000000000000
    P_src_addr: 0000000000000000
    P_subDevType: 0x01
    P_subDev_addr: 0x01
    P_pLen: 0x0027
    RtnFlag: 0xEE
    CommType: 0x0001
    透传数据长度: 0x0022
    透传数据: 7e01008b10260112011730030000000000000000000000000000000000000000000d
    P_verify: 0x10
    P_tailer: 0xFE
    透传数据:
      start: 7E
      address: 0001
      data_frame_type: 108B
      data: 2601120117300300000000000000000000000000000000000000
      checksum: 0000 (算得 0120)
      end: 0D
      数据帧:
        data_year: 26
        data_month: 01
        data_day: 12
        data_week: 01
        data_hour: 17
        data_minute: 30
        data_second: 03
        rest: 00000000000000000000000000000000000000
";
    assert_eq!(text(&udp(), Language::Zh, &record(Kind::Received, None, &bytes(REQUEST))), expected);
}

#[test]
fn the_first_line_of_each_kind_in_both_languages() {
    for (kind, language, expected) in [
        (Kind::Received, Language::Zh, "[RECV] fsu[n:3230323530313235] 127.0.0.1:40212 接收到SC数据"),
        (Kind::Reply, Language::Zh, "[SEND] fsu[n:3230323530313235] 127.0.0.1:40212 应答SC数据"),
        (Kind::Heartbeat, Language::Zh, "[SEND] fsu[n:3230323530313235] 127.0.0.1:40212 发送心跳"),
        (Kind::Received, Language::En, "[RECV] fsu[n:3230323530313235] 127.0.0.1:40212 received from SC"),
        (Kind::Reply, Language::En, "[SEND] fsu[n:3230323530313235] 127.0.0.1:40212 reply to SC"),
        (Kind::Heartbeat, Language::En, "[SEND] fsu[n:3230323530313235] 127.0.0.1:40212 heartbeat sent"),
    ] {
        let fsu = fsu_with("n", Transport::Tcp, vec![device(1, fixed_template())]);
        let text = text(&fsu, language, &record(kind, None, &[0xFE, 0x0A]));
        let mut lines = text.lines();
        assert_eq!(lines.next().unwrap(), format!("[2026-01-13 20:12:03.184] {expected}"));
        assert_eq!(lines.next().unwrap(), "  HEX: FE 0A");
    }
}

const INNER: &str = "      start: 7E
      address: 0001
      data_frame_type: 108B
      data: 2601120117300300000000000000000000000000000000000000
      checksum: 0000 (computed 0120)
      end: 0D
      data frame:
        data_year: 26
        data_month: 01
        data_day: 12
        data_week: 01
        data_hour: 17
        data_minute: 30
        data_second: 03
        rest: 00000000000000000000000000000000000000
";

/// The outer part of a request, with some lines replaced, a reason and what follows.
fn outer(replaced: &[(&str, &str)], reason: &str) -> String {
    let mut text = "  Parsed:
    P_header: 0xFF
    P_dest_addr: 3230323530313235000000000000000000000000
    P_src_addr: 0000000000000000
    P_subDevType: 0x01
    P_subDev_addr: 0x01
    P_pLen: 0x0027
    RtnFlag: 0xEE
    CommType: 0x0001
    through data length: 0x0022
    through data: 7e01008b10260112011730030000000000000000000000000000000000000000000d
    P_verify: 0x10
    P_tailer: 0xFE
"
    .to_owned();
    for (old, new) in replaced {
        assert!(text.contains(old), "{old}");
        text = text.replace(old, new);
    }
    format!("{text}{reason}    through data:\n{INNER}")
}

#[test]
fn a_wrong_outer_value_has_the_right_one_beside_it() {
    check(
        &changed(72, &[0x11]),
        &outer(
            &[("P_verify: 0x10", "P_verify: 0x11 (computed 0x10)")],
            "    reason: outer_bad_verify (outer: P_verify is wrong)\n",
        ),
    );
    check(
        &changed(31, &[0x26, 0x00]),
        &outer(
            &[("0x0027", "0x0026 (computed 0x0027)"), ("P_verify: 0x10", "P_verify: 0x11")],
            "    reason: outer_bad_p_len (outer: P_pLen contradicts the frame)\n",
        ),
    );
    check(
        &changed(36, &[0x21, 0x00]),
        &outer(
            &[("length: 0x0022", "length: 0x0021 (computed 0x0022)"), ("P_verify: 0x10", "P_verify: 0x13")],
            "    reason: outer_bad_data_len (outer: the through-data length contradicts the frame)\n",
        ),
    );
}

#[test]
fn lengths_high_byte_first_are_taken() {
    check(&changed(36, &[0x00, 0x22]), &outer(&[("length: 0x0022", "length: 0x0022 (high byte first)")], ""));
    check(&changed(31, &[0x00, 0x27]), &outer(&[("P_pLen: 0x0027", "P_pLen: 0x0027 (high byte first)")], ""));
}

#[test]
fn frames_for_nobody_here() {
    check(
        &changed(8, &[0x36]),
        &outer(
            &[("3230323530313235000", "3230323530313236000"), ("P_verify: 0x10", "P_verify: 0x13")],
            "    reason: wrong_fsu (outer: addressed to another FSU)\n",
        ),
    );
    check(
        &changed(33, &[0x00]),
        &outer(
            &[("RtnFlag: 0xEE", "RtnFlag: 0x00"), ("P_verify: 0x10", "P_verify: 0xFE")],
            "    reason: outer_bad_rtn_flag (outer: RtnFlag is not EE (nor ED in a heartbeat))\n",
        ),
    );
}

#[test]
fn escapes_are_in_the_hex_and_not_in_the_values() {
    let wire = changed(21, &[0xFF, 0xFE, 0xFD]);
    assert_eq!(wire.len(), bytes(REQUEST).len() + 3);
    let text = text(&udp(), Language::En, &record(Kind::Received, None, &wire));
    assert!(text.lines().nth(1).unwrap().contains(" 00 FD 00 FD 01 FD 02 00 "), "{text}");
    assert!(text.contains("    P_src_addr: FFFEFD0000000000\n"), "{text}");
    assert!(text.ends_with(INNER), "{text}");
}

#[test]
fn heartbeats_have_no_through_data() {
    let mut wire = Vec::new();
    Head::heartbeat(&udp().id.bytes, 1, 2).build(None, &mut wire).unwrap();
    check_in(
        &udp(),
        &record(Kind::Heartbeat, None, &wire),
        "  Parsed:
    P_header: 0xFF
    P_dest_addr: 0000000000000000
    P_src_addr: 3230323530313235000000000000000000000000
    P_subDevType: 0x01
    P_subDev_addr: 0x02
    P_pLen: 0x0003
    RtnFlag: 0xED
    CommType: 0x0002
    P_verify: 0xFF
    P_tailer: 0xFE
"
        .replace("0xFF\n    P_tailer", &format!("0x{:02X}\n    P_tailer", xor(&wire[1..wire.len() - 2])))
        .as_str(),
    );
}

#[test]
fn what_is_no_outer_frame() {
    check(b"\x01\x02", "  reason: outer_bad_header (outer: bytes before P_header (FF))\n");
    check(b"\xFF\x02", "  reason: outer_bad_tailer (outer: no P_tailer (FE) after P_header)\n");
    check(b"\xFF\x02\xFE", "  reason: outer_short (outer: fewer bytes than a heartbeat has)\n");
    check(b"", "");
    let mut wire = bytes(REQUEST);
    wire[12] = 0xFD;
    wire[13] = 0x07;
    check(&wire, "  reason: outer_bad_escape (outer: FD not followed by 00, 01 or 02, or an FF inside)\n");
    for cut in 1..wire.len() {
        text(&udp(), Language::Zh, &record(Kind::Received, None, &wire[..cut]));
    }
}

#[test]
fn several_frames_are_numbered() {
    let one = bytes(REQUEST);
    let wire = [&one[..], b"\x05", &one].concat();
    let frame = |number: u8| outer(&[("Parsed:", &format!("Parsed {number}:"))], "");
    let gap = "  Parsed 2:\n    HEX: 05\n    reason: outer_bad_header (outer: bytes before P_header (FF))\n";
    check(&wire, &format!("{}{gap}{}", frame(1), frame(3)));
}

#[test]
fn what_the_shard_knows_is_told_once() {
    let wrong = changed(72, &[0x11]);
    let text = text(&udp(), Language::En, &record(Kind::Received, Some(Reason::OuterBadVerify), &wrong));
    assert_eq!(text.matches("outer_bad_verify").count(), 1);
    check_in(
        &udp(),
        &record(Kind::Received, Some(Reason::Unmatched), &bytes(REQUEST)),
        &(outer(&[], "") + "  reason: unmatched (no rule for the command)\n"),
    );
}

#[test]
fn the_device_is_the_one_named_or_the_only_one() {
    let two = || vec![device(7, chars_template()), device(1, fixed_template())];
    let wire = bytes(REQUEST);
    let record = record(Kind::Received, None, &wire);
    check_in(&fsu_with("n", Transport::Udp, two()), &record, &outer(&[], ""));
    check_in(&fsu_with("n", Transport::Udp, vec![device(9, fixed_template())]), &record, &outer(&[], ""));
    let none = fsu_with("n", Transport::Udp, vec![device(7, chars_template()), device(8, fixed_template())]);
    let expected = outer(&[], "")
        .replace(INNER, "      reason: unknown_device (outer: no device with that P_subDevType and P_subDev_addr)\n");
    check_in(&none, &record, &expected);
}

fn tcp(template: crate::plan::template::Template) -> Fsu {
    fsu_with("n", Transport::Tcp, vec![device(1, template)])
}

#[test]
fn a_stream_has_no_outer_part() {
    check_in(
        &tcp(chars_template()),
        &record(Kind::Received, None, b"~480201A5EE\r"),
        "  Parsed:
    start: 7E
    cid: 4802
    length: 1
    data: A5
    check: EE
    end: 0D
    data frame:
      flags: [1,0,1,0,0,1,0,1]
",
    );
}

#[test]
fn wrong_inner_values_have_the_right_ones_beside_them() {
    check_in(
        &tcp(chars_template()),
        &record(Kind::Received, None, b"~480209A500\r"),
        "  Parsed:
    start: 7E
    cid: 4802
    length: 9 (computed 1)
    data: A5
    check: 00 (computed E6)
    end: 0D
    reason: bad_length (inner: the length contradicts the frame)
    data frame:
      flags: [1,0,1,0,0,1,0,1]
",
    );
    check_in(
        &tcp(chars_template()),
        &record(Kind::Received, None, b"~99990000\r"),
        "  Parsed:
    start: 7E
    cid: 9999
    length: 0
    check: 00
    end: 0D
    reason: unknown_command (inner: no command has that key, size and constants)
",
    );
}

#[test]
fn a_reply_is_read_with_the_fields_of_the_reply() {
    let text_of = |raw: &str| {
        let mut raw = bytes(raw);
        raw.push(xor(&raw));
        let wire = format!("~{}\r", hex::encode_upper(raw));
        text(&tcp(chars_template()), Language::En, &record(Kind::Reply, None, wire.as_bytes()))
    };
    // By its key; by its size where a return code stands in the key's place. Line ends in a text are escaped.
    for cid in ["4801", "4800"] {
        let text = text_of(&format!("{cid}06610A6220FFFE"));
        assert!(text.ends_with("    data frame:\n      name: a\\nb \n      level: -2\n"), "{text}");
        assert!(!text.contains("reason") && !text.contains("computed"), "{text}");
    }
    // Nothing of that size: what it carries is shown as it is.
    let text = text_of("480103010203");
    assert!(text.contains("    data: 010203\n") && !text.contains("data frame:"), "{text}");
}

#[test]
fn a_reply_without_a_key_is_read_as_the_answer_to_what_was_asked() {
    // Two commands with replies of one size; the reply shows neither's key.
    let mut template = chars_template();
    let mut commands: Vec<_> = template.commands.into_iter().collect();
    commands[1].response_len = 6;
    commands[1].response = Box::new([field("other", 4, 6, SlotKind::Hex, false, Computed::No)]);
    template.commands = commands.into();
    let fsu = tcp(template);
    let mut formatter = Formatter::new(Language::En, stamp());
    let mut text_of = |kind, wire: &[u8]| {
        let mut out = Vec::new();
        formatter.record(&fsu, &record(kind, None, wire), &mut out);
        String::from_utf8(out).unwrap()
    };
    let (ask_1, ask_2, reply) = (b"~48010049\r", b"~480201A5EE\r", b"~480006610A6220FFFE60\r");
    assert!(!text_of(Kind::Reply, reply).contains("data frame:"));
    text_of(Kind::Received, ask_2);
    assert!(text_of(Kind::Reply, reply).ends_with("      other: 610A6220FFFE\n"));
    text_of(Kind::Received, ask_1);
    assert!(text_of(Kind::Reply, reply).contains("      level: -2\n"));
    text_of(Kind::Received, ask_1);
    text_of(Kind::Received, ask_2);
    assert!(!text_of(Kind::Reply, reply).contains("data frame:"), "either may be meant");
}

#[test]
fn what_is_no_inner_frame() {
    let check_dropped = |dropped, wire: &[u8], expected: &str| {
        check_in(&tcp(chars_template()), &record(Kind::Received, dropped, wire), expected);
    };
    check_dropped(None, b"~48\r", "  reason: short (inner: fewer bytes than the smallest frame)\n");
    check_dropped(None, b"!99990000\r", "  reason: bad_start (inner: does not begin with the start field)\n");
    check_dropped(None, b"~9999000g\r", "  reason: bad_hex (inner: a character that is no hex digit)\n");
    check_dropped(Some(Reason::Garbage), b"xyz", "  reason: garbage_bytes (tcp: bytes that start no frame)\n");
}

#[test]
fn of_several_devices_on_a_stream_the_one_that_fits() {
    let fsu = fsu_with("n", Transport::Tcp, vec![device(1, chars_template()), device(2, fixed_template())]);
    let wire = &bytes(REQUEST)[38..72];
    let text = text(&fsu, Language::En, &record(Kind::Received, None, wire));
    assert!(text.contains("    data_frame_type: 108B\n"), "{text}");
    let none = fsu_with("n", Transport::Tcp, vec![]);
    check_in(
        &none,
        &record(Kind::Received, None, wire),
        "  reason: unknown_device (outer: no device with that P_subDevType and P_subDev_addr)\n",
    );
}

#[test]
fn losses_stand_before_the_record() {
    let record = Record { lost_before: 12, ..record(Kind::Reply, None, b"") };
    assert!(text(&udp(), Language::Zh, &record).starts_with("... 12 records lost here\n[2026-01-13 "));
}

#[test]
fn a_datagram_of_garbage_makes_bounded_text() {
    for wire in [vec![0xFF; 65_507], [0xFF, 0x00, 0xFE].repeat(21_000), [0xFE, 0xFF].repeat(32_000)] {
        let text = text(&udp(), Language::Zh, &record(Kind::Received, None, &wire));
        assert!(text.len() < 600_000, "{}", text.len());
    }
}

proptest! {
    #[test]
    fn any_bytes_make_whole_lines(
        noise in proptest::collection::vec(any::<u8>(), 0..200), kind in 0..3usize, tcp_too: bool, at in 0..80usize,
    ) {
        let kind = [Kind::Received, Kind::Reply, Kind::Heartbeat][kind];
        let mut near = bytes(REQUEST);
        near.truncate(at);
        near.extend(&noise);
        for template in [fixed_template(), chars_template()] {
            let transport = if tcp_too { Transport::Tcp } else { Transport::Udp };
            let fsu = fsu_with("n", transport, vec![device(1, template)]);
            for wire in [&noise, &near] {
                let text = text(&fsu, Language::Zh, &record(kind, None, wire));
                prop_assert!(text.ends_with('\n'));
                prop_assert!(text.lines().skip(1).all(|line| line.starts_with("  ")));
            }
        }
    }
}
