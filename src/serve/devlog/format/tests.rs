use super::*;
use crate::devlog::record::Told;
use crate::testing::{chars_template, device, field, fixed_template, fsu_with, stamp};
use fsu_core::about::{About, What};
use fsu_core::answer::turn::{Scratch, Turn};
use fsu_core::moment::{Moment, RunContext};
use fsu_core::replies::Replies;
use fsu_core::stage;
use fsu_core::state::FsuState;
use fsu_plan::model::fault::{FaultKind, Kinds};
use fsu_plan::model::field::{Computed, Kind as SlotKind};
use fsu_plan::model::reply::Payload;
use fsu_plan::model::reply::Reply;
use fsu_plan::model::rule::{Delay, Rule};
use fsu_plan::model::template::Command;
use fsu_plan::wire::civil::Now;
use fsu_plan::wire::envelope::{Head, escape, xor};
use fsu_plan::wire::reason::Reason;
use proptest::prelude::*;

/// The spec's example (b-interface.md, The reference exchange).
const REQUEST: &str = "FF32303235303132350000000000000000000000000000000000000000010127 00EE01002200\
    7E01008B10260112011730030000000000000000000000000000000000000000000D10FE";

fn bytes(hex_digits: &str) -> Vec<u8> {
    hex::decode(hex_digits.replace(char::is_whitespace, "")).unwrap()
}

fn record<'a>(kind: RecordKind, told: &'a [u8], bytes: &'a [u8]) -> Record<'a> {
    let (peer, told) = ("127.0.0.1:40212".parse().unwrap(), Told::new(told).unwrap());
    Record { kind, fsu: 0, peer, unix_ms: 1_768_306_323_184, told, lost_before: 0, bytes }
}

/// Adds a rule to each command; the log shows only its position.
fn ruled(mut fsu: Fsu) -> Fsu {
    let rule = |command: &Command| {
        let reply = Reply {
            frame: vec![0; 8 + command.response_len].into(),
            patches: Box::new([]),
            data_len: command.response_len,
            less: 0,
            refusal: None,
            payload: Payload::None,
        };
        let rule = Rule {
            walked: Box::default(),
            test: None,
            asks_more: false,
            effects: Box::default(),
            gaps_ms: Box::default(),
            frames: Box::default(),
            when: Box::new([]),
            timeout: false,
            delay: Delay::Fixed(60.0),
            cycle: None,
            burst: 1,
            faults: None,
            replies: Box::new([reply.into()]),
            sets: Box::new([]),
            origin: "rules.json:3:5: /0".into(),
        };
        Box::from([rule])
    };
    let devices = fsu.devices.iter().map(|device| {
        let mut ruled = self::device(device.sub_dev_addr, fixed_template());
        ruled.template = device.template.clone();
        ruled.rules = device.template.commands.iter().map(rule).collect();
        ruled.into()
    });
    fsu.devices = devices.collect();
    fsu
}

/// The log text of a datagram.
fn told(fsu: &Fsu, wire: &[u8]) -> Vec<u8> {
    let run = RunContext { seed: 1, skip_delay: true, start_mono_ms: 0 };
    let now = Now { unix_ms: 0, utc_offset_s: 0 };
    let moment = Moment::at(now, 0);
    let (mut state, mut scratch, mut replies) = (FsuState::new(fsu), Scratch::default(), Replies::default());
    let (run, state, scratch) = (&run, &mut state, &mut scratch);
    let mut turn = Turn { run, fsu, state, scratch, moment };
    // Each input is one frame here, even if a tcp stream would not be cut there.
    match fsu.transport {
        Transport::Udp => stage::on_datagram(&mut turn, wire.into(), &mut replies),
        _ => stage::datagram::on_datagram(&mut turn, wire.into(), &mut replies),
    };
    replies.understood().flat_map(|about| about.encode()).collect()
}

/// Checks what follows the HEX line of a request.
fn check_request(fsu: Fsu, wire: &[u8], expected: &str) {
    let fsu = ruled(fsu);
    check_in(&fsu, &record(RecordKind::Received, &told(&fsu, wire), wire), expected);
}

fn text(fsu: &Fsu, language: Language, record: &Record<'_>) -> String {
    let mut out = Vec::new();
    Formatter::new(language, stamp()).record(fsu, record, &mut out);
    String::from_utf8(out).unwrap()
}

/// Checks what follows the HEX line.
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
    check_request(udp(), wire, expected);
}

/// The reference request with other bytes at an offset before escaping. P_verify is recomputed unless it is the changed field.
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
fn n07_the_example_of_the_spec() {
    let expected = "\
[2026-01-13 20:12:03.184] [RECV] fsu[conghua_qinyun_01:3230323530313235] 接收到SC数据 127.0.0.1:40212
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
      数据帧：
          data_year: 26
          data_month: 01
          data_day: 12
          data_week: 01
          data_hour: 17
          data_minute: 30
          data_second: 03
          rest: 00000000000000000000000000000000000000
";
    let fsu = ruled(udp());
    let (wire, told) = (bytes(REQUEST), told(&fsu, &bytes(REQUEST)));
    assert_eq!(text(&fsu, Language::Zh, &record(RecordKind::Received, &told, &wire)), expected);
}

#[test]
fn the_first_line_of_each_kind_in_both_languages() {
    for (kind, language, expected) in [
        (RecordKind::Received, Language::Zh, "[RECV] fsu[n:3230323530313235] 接收到SC数据 127.0.0.1:40212"),
        (RecordKind::Reply, Language::Zh, "[SEND] fsu[n:3230323530313235] 应答SC数据 127.0.0.1:40212"),
        (RecordKind::Heartbeat, Language::Zh, "[SEND] fsu[n:3230323530313235] 发送心跳 127.0.0.1:40212"),
        (RecordKind::Unsent, Language::Zh, "[LOST] fsu[n:3230323530313235] 应答未发出 127.0.0.1:40212"),
        (RecordKind::Unsent, Language::En, "[LOST] fsu[n:3230323530313235] reply not sent to SC 127.0.0.1:40212"),
        (RecordKind::Received, Language::En, "[RECV] fsu[n:3230323530313235] received from SC 127.0.0.1:40212"),
        (RecordKind::Reply, Language::En, "[SEND] fsu[n:3230323530313235] reply to SC 127.0.0.1:40212"),
        (RecordKind::Heartbeat, Language::En, "[SEND] fsu[n:3230323530313235] heartbeat sent 127.0.0.1:40212"),
    ] {
        let fsu = fsu_with("n", Transport::Tcp, vec![device(1, fixed_template())]);
        let text = text(&fsu, language, &record(kind, &[], &[0xFE, 0x0A]));
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

/// The outer part of a request that no device accepted, with some lines replaced, and a reason.
fn refused(replaced: &[(&str, &str)], reason: &str) -> String {
    let text = outer(replaced);
    let (text, _) = text.split_once("    through data:\n").unwrap();
    format!("{text}{reason}")
}

/// A request, with some lines of the outer part replaced.
fn outer(replaced: &[(&str, &str)]) -> String {
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
    format!("{text}    through data:\n{INNER}")
}

#[test]
fn a_wrong_outer_value_has_the_right_one_beside_it() {
    check(
        &changed(72, &[0x11]),
        &refused(
            &[("P_verify: 0x10", "P_verify: 0x11 (computed 0x10)")],
            "  reason: outer_bad_verify (outer: P_verify is wrong)\n",
        ),
    );
    check(
        &changed(31, &[0x26, 0x00]),
        &refused(
            &[("0x0027", "0x0026 (computed 0x0027)"), ("P_verify: 0x10", "P_verify: 0x11")],
            "  reason: outer_bad_p_len (outer: P_pLen contradicts the frame)\n",
        ),
    );
    check(
        &changed(36, &[0x21, 0x00]),
        &refused(
            &[("length: 0x0022", "length: 0x0021 (computed 0x0022)"), ("P_verify: 0x10", "P_verify: 0x13")],
            "  reason: outer_bad_data_len (outer: the through-data length contradicts the frame)\n",
        ),
    );
}

#[test]
fn lengths_high_byte_first_are_taken() {
    check(&changed(36, &[0x00, 0x22]), &outer(&[("length: 0x0022", "length: 0x0022 (high byte first)")]));
    check(&changed(31, &[0x00, 0x27]), &outer(&[("P_pLen: 0x0027", "P_pLen: 0x0027 (high byte first)")]));
}

#[test]
fn frames_for_nobody_here() {
    check(
        &changed(8, &[0x36]),
        &refused(
            &[("3230323530313235000", "3230323530313236000"), ("P_verify: 0x10", "P_verify: 0x13")],
            "  reason: wrong_fsu (outer: addressed to another FSU)\n",
        ),
    );
    check(
        &changed(33, &[0x00]),
        &refused(
            &[("RtnFlag: 0xEE", "RtnFlag: 0x00"), ("P_verify: 0x10", "P_verify: 0xFE")],
            "  reason: outer_bad_rtn_flag (outer: RtnFlag is not EE or another that accept_rtn_flags names (nor ED in a heartbeat), or it is a reply)\n",
        ),
    );
}

#[test]
fn escapes_are_in_the_hex_and_not_in_the_values() {
    let wire = changed(21, &[0xFF, 0xFE, 0xFD]);
    assert_eq!(wire.len(), bytes(REQUEST).len() + 3);
    let fsu = ruled(udp());
    let text = text(&fsu, Language::En, &record(RecordKind::Received, &told(&fsu, &wire), &wire));
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
        &record(RecordKind::Heartbeat, &About::HEARTBEAT.encode(), &wire),
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
    check(b"", "  reason: outer_short (outer: fewer bytes than a heartbeat has)\n");
    let mut wire = bytes(REQUEST);
    wire[12] = 0xFD;
    wire[13] = 0x07;
    check(&wire, "  reason: outer_bad_escape (outer: FD not followed by 00, 01 or 02, or an FF inside)\n");
    for cut in 1..wire.len() {
        let told = told(&udp(), &wire[..cut]);
        text(&udp(), Language::Zh, &record(RecordKind::Received, &told, &wire[..cut]));
    }
}

#[test]
fn several_frames_are_numbered() {
    let one = bytes(REQUEST);
    let wire = [&one[..], b"\x05", &one].concat();
    let frame = |number: u8| outer(&[("Parsed:", &format!("Parsed {number}:"))]);
    let gap = "  Parsed 2:\n    HEX: 05\n    reason: outer_bad_header (outer: bytes before P_header (FF))\n";
    check(&wire, &format!("{}{gap}{}", frame(1), frame(3)));
}

#[test]
fn n12_each_frame_of_a_datagram_has_its_device_and_its_reason() {
    let (one, nobody, other) = (bytes(REQUEST), changed(8, &[0x36]), changed(30, &[0x07]));
    let fsu = fsu_with("n", Transport::Udp, vec![device(7, chars_template()), device(1, fixed_template())]);
    let fsu = ruled(fsu);
    let wire = [&one[..], &nobody, &other].concat();
    let text = text(&fsu, Language::En, &record(RecordKind::Received, &told(&fsu, &wire), &wire));
    let [_, first, second, third] = text.split("  Parsed ").collect::<Vec<_>>()[..] else { panic!("{text}") };
    assert!(first.ends_with(INNER), "{text}");
    assert!(second.ends_with("\n    reason: wrong_fsu (outer: addressed to another FSU)\n"), "{text}");
    assert!(!second.contains("    through data:\n"), "{text}");
    // The named device is used, although the other one's template fits.
    assert!(third.ends_with("\n    reason: bad_hex (inner: a character that is no hex digit)\n"), "{text}");
}

#[test]
fn the_device_is_the_one_named_or_the_only_one() {
    let two = || vec![device(7, chars_template()), device(1, fixed_template())];
    let wire = bytes(REQUEST);
    check_request(fsu_with("n", Transport::Udp, two()), &wire, &outer(&[]));
    check_request(fsu_with("n", Transport::Udp, vec![device(9, fixed_template())]), &wire, &outer(&[]));
    let none = fsu_with("n", Transport::Udp, vec![device(7, chars_template()), device(8, fixed_template())]);
    let reason = "  reason: unknown_device (outer: no device with that P_subDevType and P_subDev_addr)\n";
    check_request(none, &wire, &refused(&[], reason));
}

fn tcp(template: fsu_plan::model::template::Template) -> Fsu {
    fsu_with("n", Transport::Tcp, vec![device(1, template)])
}

#[test]
fn a_record_allocates_nothing_once_the_buffers_have_grown() {
    let check = |fsu: Fsu, kind: RecordKind, wire: &[u8]| {
        let about = About { what: What::Answered, device: 0, command: 0, ..About::UNKNOWN };
        let (fsu, told) = (ruled(fsu), about.encode());
        let record = record(kind, &told, wire);
        let (mut formatter, mut out) = (Formatter::new(Language::Zh, stamp()), Vec::new());
        let mut write = || {
            out.clear();
            formatter.record(&fsu, &record, &mut out);
        };
        write();
        let counted = allocation_counter::measure(write);
        assert_eq!(counted.count_total, 0, "{}", String::from_utf8_lossy(&out));
    };
    check(udp(), RecordKind::Received, &bytes(REQUEST));
    // A text, a number, and a checksum that is wrong.
    check(tcp(chars_template()), RecordKind::Reply, b"~48010641420000010200\r");
}

#[test]
fn a_stream_has_no_outer_part() {
    check_request(
        tcp(chars_template()),
        b"~480201A5EE\r",
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
    check_request(
        tcp(chars_template()),
        b"~480209A500\r",
        "  Parsed:
    start: 7E
    cid: 4802
    length: 9 (computed 1)
    data: A5
    check: 00 (computed E6)
    end: 0D
  reason: bad_length (inner: the length contradicts the frame)
",
    );
    check_request(
        tcp(chars_template()),
        b"~99990000\r",
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

/// A reply of the given sort to that command.
fn answered(command: u16, what: What) -> About {
    About { command, what, rule: 0, ..About::of(0) }
}

#[test]
fn n12_a_reply_is_read_with_the_fields_of_the_command_that_it_answers() {
    // Two commands whose replies have the same size; a reply carries neither key.
    let mut template = chars_template();
    let mut commands: Vec<_> = template.commands.into_iter().collect();
    commands[1].response_len = 6;
    commands[1].response = Box::new([field("other", (4, 6), SlotKind::Hex, false, Computed::No)]);
    template.commands = commands.into();
    let fsu = tcp(template);
    let reply = b"~480006610A6220FFFE60\r";
    let text_of = |about: About| text(&fsu, Language::En, &record(RecordKind::Reply, &about.encode(), reply));
    // Line ends in a text are escaped.
    let first = text_of(answered(0, What::Answered));
    assert!(first.ends_with("    data frame:\n        name: a\\nb \n        level: -2\n"), "{first}");
    let second = text_of(answered(1, What::Answered));
    assert!(second.ends_with("    data frame:\n        other: 610A6220FFFE\n"), "{second}");
    // No fields if it is not one of the command's replies, or if nothing is known.
    for about in [answered(0, What::ErrorReply), answered(0, What::Data), About::of(0)] {
        let text = text_of(about);
        assert!(text.contains("    data: 610A6220FFFE\n") && !text.contains("data frame:"), "{text}");
    }
}

#[test]
fn n07_what_held_a_reply_back_and_what_was_done_to_it() {
    let fsu = ruled(tcp(chars_template()));
    let faults = |kinds: &[FaultKind]| {
        let mut set = Kinds::NONE;
        for &kind in kinds {
            set.add(kind);
        }
        set
    };
    let check = |language, kind, about: About, expected: &str| {
        let text = text(&fsu, language, &record(kind, &about.encode(), b"~"));
        assert_eq!(text.split_once("  HEX: 7E\n").unwrap().1, expected);
    };
    let answered = answered(0, What::Answered);
    let (en, zh, reply) = (Language::En, Language::Zh, RecordKind::Reply);
    check(en, reply, answered, "");
    let held = About { delay_us: 60_000, held_us: 60_000, ..answered };
    check(en, reply, held, "  due: after 60 ms (delay 60 ms, fixed 60, rules.json:3:5: /0)\n");
    check(zh, reply, held, "  延迟: 请求之后 60 ms (延时 60 ms, fixed 60, rules.json:3:5: /0)\n");
    let in_turn = About { held_us: 70_500, ..answered };
    check(en, reply, in_turn, "  due: after 70.5 ms (behind the replies before it)\n");
    let late = About { held_us: 260_000, faults: faults(&[FaultKind::Corrupt, FaultKind::ExtraDelay]), ..held };
    check(
        en,
        reply,
        late,
        "  due: after 260 ms (delay 60 ms, fixed 60, rules.json:3:5: /0, fault extra_delay)\n  \
         fault: corrupt (one bit flipped)\n  fault: extra_delay (sent later)\n",
    );
    let unsent = held.drop(Reason::PeerGone);
    check(
        en,
        RecordKind::Unsent,
        unsent,
        "  due: after 60 ms (delay 60 ms, fixed 60, rules.json:3:5: /0)\n  \
         reason: peer_gone (the peer of a delayed reply is gone)\n",
    );
}

#[test]
fn n07_every_request_without_a_reply_has_its_reason() {
    let fsu = ruled(tcp(chars_template()));
    let check = |language, about: About, expected: &str| {
        let text = text(&fsu, language, &record(RecordKind::Received, &about.encode(), b"~"));
        assert_eq!(text.split_once("  HEX: 7E\n").unwrap().1, expected);
    };
    let (en, zh) = (Language::En, Language::Zh);
    check(en, About::dropped(Reason::Unmatched), "  reason: unmatched (no rule for the command)\n");
    check(en, answered(0, What::Silent), "  reason: silent (timeout rule rules.json:3:5: /0)\n");
    check(zh, answered(0, What::Silent), "  原因: silent (timeout 规则不应答 rules.json:3:5: /0)\n");
    check(en, answered(9, What::Silent), "  reason: silent (timeout rule)\n");
    check(en, answered(0, What::Answered).lost(FaultKind::Drop), "  reason: fault drop (reply not sent)\n");
    check(
        en,
        About::UNKNOWN.lost(FaultKind::Offline),
        "  reason: fault offline (FSU offline: not heard, not sent or refused)\n",
    );
    check(en, About::HEARTBEAT, "  reason: heartbeat (a heartbeat is answered with heartbeat_reply only)\n");
    check(en, About { is_met: true, ..About::HEARTBEAT }, "");
}

#[test]
fn what_is_no_inner_frame() {
    let check = |wire: &[u8], expected: &str| check_request(tcp(chars_template()), wire, expected);
    check(b"~48\r", "  reason: short (inner: fewer bytes than the smallest frame)\n");
    check(b"!99990000\r", "  reason: bad_start (inner: does not begin with the start field)\n");
    check(b"~9999000g\r", "  reason: bad_hex (inner: a character that is no hex digit)\n");
    let garbage = About::dropped(Reason::Garbage).encode();
    check_in(
        &tcp(chars_template()),
        &record(RecordKind::Received, &garbage, b"xyz"),
        "  reason: garbage_bytes (tcp: bytes that start no frame)\n",
    );
}

#[test]
fn n12_of_several_devices_the_one_that_the_responder_chose() {
    let fsu = fsu_with("n", Transport::Tcp, vec![device(1, chars_template()), device(2, fixed_template())]);
    let wire = &bytes(REQUEST)[38..72];
    let about = |device| About { device, ..answered(0, What::Answered) }.encode();
    let second = text(&fsu, Language::En, &record(RecordKind::Received, &about(1), wire));
    assert!(second.contains("    data_frame_type: 108B\n") && second.ends_with("\n  device: 2 ()\n"), "{second}");
    let first = text(&fsu, Language::En, &record(RecordKind::Received, &about(0), wire));
    assert!(!first.contains("data_frame_type") && first.ends_with("\n  device: 1 ()\n"), "{first}");
}

#[test]
fn losses_stand_before_the_record() {
    let record = Record { lost_before: 12, ..record(RecordKind::Reply, &[], b"") };
    assert!(text(&udp(), Language::Zh, &record).starts_with("... 12 records lost here\n[2026-01-13 "));
}

#[test]
fn a_datagram_of_garbage_makes_bounded_text() {
    for wire in [vec![0xFF; 65_507], [0xFF, 0x00, 0xFE].repeat(21_000), [0xFE, 0xFF].repeat(32_000)] {
        let text = text(&udp(), Language::Zh, &record(RecordKind::Received, &told(&udp(), &wire), &wire));
        assert!(text.len() < 600_000, "{}", text.len());
    }
}

proptest! {
    #[test]
    fn any_bytes_make_whole_lines(
        noise in proptest::collection::vec(any::<u8>(), 0..200), kind in 0..3usize, tcp_too: bool, at in 0..80usize,
    ) {
        let kind = [RecordKind::Received, RecordKind::Reply, RecordKind::Heartbeat][kind];
        let mut near = bytes(REQUEST);
        near.truncate(at);
        near.extend(&noise);
        for template in [fixed_template(), chars_template()] {
            let transport = if tcp_too { Transport::Tcp } else { Transport::Udp };
            let fsu = fsu_with("n", transport, vec![device(1, template)]);
            for wire in [&noise, &near] {
                let text = text(&fsu, Language::Zh, &record(kind, &told(&fsu, wire), wire));
                prop_assert!(text.ends_with('\n'));
                prop_assert!(text.lines().skip(1).all(|line| line.starts_with("  ")));
            }
        }
    }
}

#[test]
fn limit_frames_told_max() {
    let shown = |frames: usize| {
        let wire = [0xFF, 0x00, 0xFE].repeat(frames);
        let text = text(&udp(), Language::En, &record(RecordKind::Received, &told(&udp(), &wire), &wire));
        (text.matches("  Parsed ").count(), text.contains("  ...\n"))
    };
    assert_eq!(shown(1_724), (1_724, false));
    assert_eq!(shown(1_725), (1_724, true));
}
