//! Compares whole explanations with the files of `tests/golden`; `UPDATE_GOLDEN=1 cargo test` rewrites them.

mod ways;

use super::*;
use crate::args::Which;
use crate::columns::hex;
use crate::golden;
use fsu_core::answer::turn::{Scratch, Turn};
use fsu_core::replies::Replies;
use fsu_core::stage;
use fsu_core::state::FsuState;
use fsu_plan::model::fleet::Language;
use fsu_plan::texts::{Texts, chinese};
use fsu_plan::wire::envelope::{Head, escape};
use fsu_serve::fleet::read::Origin;
use std::path::Path;

const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/explain");
/// The files of the embedded configuration.
const EMBEDDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config");

/// The reference exchange (spec b-interface.md): its inner checksum was not computed.
const SEED: &str = "FF3230323530313235000000000000000000000000000000000000000001012700EE010022007E01008B1026011201173003\
                    0000000000000000000000000000000000000000000D10FE";
const SEED_REPLY: &str = "FF000000000000000032303235303132350000000000000000000000000101270000010022007E01008B1026011201\
                          1730030000000000000000000000000000000000000020010DDFFE";

fn args(fsu: &str, words: &str, json: bool) -> ExplainArgs {
    ExplainArgs {
        which: Which { config: Some(CONFIG.into()), gallery: false },
        fsu: fsu.into(),
        now: Some(jiff::civil::date(2026, 1, 12).at(17, 30, 3, 0)),
        seed: 0,
        json,
        take_as: Vec::new(),
        device: None,
        cmd: None,
        hex: vec![words.into()],
    }
}

fn text(fsu: &str, words: &str) -> String {
    text_in(Texts::ENGLISH, fsu, words)
}

fn text_in(say: Texts, fsu: &str, words: &str) -> String {
    let mut out = Vec::new();
    assert_eq!(explain(&args(fsu, words, false), say, &mut out).unwrap(), Exit::Ok);
    String::from_utf8(out).unwrap()
}

/// The text of an explanation in this language.
fn written(all: &Explanation, say: Texts) -> String {
    let mut out = Vec::new();
    text::write(all, &mut TextOut::new(&mut out, say)).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn an_id_is_shown_where_there_is_one() {
    let check = |fsu: &str, expected: &str| assert_eq!(text(fsu, "7E").lines().next(), Some(expected));
    check("gate", "fsu gate: tcp 127.0.0.1:40102, id 3230323530313236 (\"20250126\")");
    check("nameless", "fsu nameless: tcp 127.0.0.1:40104");
}

/// The text equals the file. JSON has the same replies, and they are what the FSU sends when it serves.
fn check(file: &str, fsu: &str, words: &str) {
    let text = text(fsu, words);
    golden::check(file, &text);
    chinese::check(&text_in(Texts::of(Language::Zh), fsu, words), Some(Path::new(CONFIG)));
    let mut out = Vec::new();
    explain(&args(fsu, words, true), Texts::ENGLISH, &mut out).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
    let replies: Vec<String> =
        json["replies"].as_array().unwrap().iter().map(|reply| format!("reply: {}", reply.as_str().unwrap())).collect();
    let printed: Vec<&str> = text.lines().filter(|line| line.starts_with("reply: ")).collect();
    if replies.is_empty() {
        assert!(matches!(*printed, [line] if line.starts_with("reply: none (")), "{printed:?}");
    } else {
        assert_eq!(printed, replies);
    }
    let served: Vec<String> = served(fsu, words).iter().map(|reply| format!("reply: {reply}")).collect();
    assert_eq!(replies, served);
}

/// What the stage sends when it gets all bytes at once.
fn served(fsu: &str, words: &str) -> Vec<String> {
    let args = args(fsu, words, false);
    let fleet = load(&Origin::Path(CONFIG.into()), Texts::ENGLISH).unwrap();
    served_bytes(find(&fleet, fsu).unwrap(), clock(args.now).unwrap(), &input::read(&args.hex).unwrap().bytes)
}

fn served_bytes(fsu: &Fsu, now: Now, bytes: &[u8]) -> Vec<String> {
    let (run, moment) = (RunContext { seed: 0, skip_delay: false, start_mono_ms: 0 }, Moment::at(now, 0));
    let (mut state, mut scratch, mut replies) = (FsuState::new(fsu), Scratch::default(), Replies::default());
    let (run, state, scratch) = (&run, &mut state, &mut scratch);
    stage::on_request(&mut Turn { run, fsu, state, scratch, moment }, bytes.into(), &mut replies);
    replies.frames().into_iter().map(hex).collect()
}

/// An outer frame to "20250125" around an inner frame with this command and data and a valid checksum.
fn request(command: u16, data: &[u8]) -> String {
    let mut inner = vec![0x7E, 0x01, 0x00];
    inner.extend_from_slice(&command.to_le_bytes());
    inner.extend_from_slice(data);
    inner.resize(31, 0);
    let sum: u16 = inner[1..].iter().map(|&byte| u16::from(byte)).sum();
    inner.extend_from_slice(&sum.to_le_bytes());
    inner.push(0x0D);
    let mut dest = [0; 20];
    dest[..8].copy_from_slice(b"20250125");
    let (mut plain, mut escaped) = (Vec::new(), Vec::new());
    Head::request(&dest, &[0; 8], 1, 1).build(Some(&inner), &mut plain).unwrap();
    hex(escape(&plain, &mut escaped))
}

#[test]
fn the_reference_exchange() {
    check("explain_seed.txt", "hall", SEED);
    assert_eq!(served("hall", SEED), [SEED_REPLY]);
}

#[test]
fn rules_and_escapes() {
    check("explain_rules.txt", "hall", &request(0x1081, &[0x02, 0xFF, 0xFE]));
    check("explain_unmatched.txt", "hall", &request(0x1081, &[0x03]));
    check("explain_timeout.txt", "hall", &request(0x1081, &[0x01]));
    check("explain_unknown_command.txt", "hall", &request(0x1082, &[]));
}

#[test]
fn several_frames_share_a_memory() {
    let all =
        [request(0x108B, &[0x26, 0x01, 0x12, 0x01, 0x17, 0x30, 0x03]), request(0x1081, &[2]), request(0x1081, &[2])];
    check("explain_several.txt", "hall", &format!("{} 00 {} {}", all[0], all[1], all[2]));
}

#[test]
fn outer_frames_that_are_wrong() {
    let good = request(0x1081, &[2]);
    let changed = |from: &str, to: &str| {
        assert!(good.contains(from));
        good.replacen(from, to, 1)
    };
    check("explain_bad_verify.txt", "hall", &changed("0D9CFE", "0D00FE"));
    check("explain_bad_escape.txt", "hall", &changed("8110", "FD03"));
    check("explain_wrong_fsu.txt", "many_00002", &good);
    check("explain_no_frame.txt", "hall", "00 FF FF FE FD");
    check(
        "explain_bad_p_len.txt",
        "hall",
        "FF3230323530313235000000000000000000000000000000000000000001010500EE02000000EAFE",
    );
    check(
        "explain_heartbeat.txt",
        "hall",
        "FF3230323530313235000000000000000000000000000000000000000001000300EE0200EDFE",
    );
}

#[test]
fn streams() {
    check("explain_tcp.txt", "gate", "7E3130344141303036453130313035464431370D");
    check("explain_refusal.txt", "gate", "7E3130344141303036453130313039464431330D");
    check("explain_strict_checksum.txt", "gate", "7E313034414330303445313030303030310D");
    check("explain_length_check.txt", "gate", "7E313034414430303445313030464437430D");
    // It would be valid as a reply.
    check("explain_shared_key.txt", "gate", "request: 7E313034414330303445313031464437430D");
    check("explain_bad_hex.txt", "gate", "7E313034414330303447313030464437440D");
    let two = "7E3130344141303036453130313035464431370D 7E3130344141303036453130313039464431330D";
    check("explain_stream.txt", "gate", &format!("4142 {two} 7E31 30"));
}

#[test]
fn the_seed_decides_random_values() {
    let fleet = load(&Origin::Path(CONFIG.into()), Texts::ENGLISH).unwrap();
    let fsu = find(&fleet, "hall").unwrap();
    let frame = hex::decode([request(0x1081, &[2]), request(0x1081, &[2])].concat()).unwrap();
    let now = clock(args("hall", "00", false).now).unwrap();
    let replies = |seed| {
        explanation(fsu, About::default(), RunContext { seed, skip_delay: false, start_mono_ms: 0 }, now, &frame)
            .replies
    };
    assert_eq!(replies(1), replies(1));
    assert_ne!(replies(1), replies(2));
}

#[test]
fn an_unknown_fsu_is_told_with_the_nearest() {
    let error = explain(&args("hal", "FF", false), Texts::ENGLISH, &mut Vec::new()).unwrap_err();
    let CliError::Failed { exit, text } = error else { panic!("{error}") };
    assert_eq!((exit, &*text), (Exit::Usage, "--fsu: no FSU `hal` (nearest of 6: `hall`)"));
}

fn check_drops_have_faults(all: &Explanation) {
    for item in all.items.iter().filter(|item| item.verdict.what == "dropped") {
        assert!(!item.faults.is_empty(), "{}: {:?}", item.hex, item.verdict);
    }
}

/// Any input has an explanation.
#[test]
fn any_bytes_are_explained() {
    let fleet = load(&Origin::Path(CONFIG.into()), Texts::ENGLISH).unwrap();
    let mut rng = fastrand::Rng::with_seed(5);
    let seeds = [SEED.to_owned(), request(0x1081, &[2]), "7E3130344141303036453130313035464431370D".to_owned()];
    let now = Now { unix_ms: 0, utc_offset_s: 0 };
    for _ in 0..1_000 {
        let mut bytes = hex::decode(&seeds[rng.usize(..seeds.len())]).unwrap();
        for _ in 0..rng.usize(..4) {
            let at = rng.usize(..bytes.len());
            match rng.u8(..4) {
                0 => bytes[at] = rng.choice([0xFF, 0xFE, 0xFD, 0x7E, 0x0D, 0]).unwrap(),
                1 => bytes[at] = rng.u8(..),
                2 => bytes.truncate(at + 1),
                _ => bytes.extend_from_within(at..),
            }
        }
        for name in ["hall", "gate", "many_00001"] {
            let fsu = find(&fleet, name).unwrap();
            let run = RunContext { seed: 0, skip_delay: false, start_mono_ms: 0 };
            let said =
                Said { way: Some(Way::Down), is_outer: Some(fsu.transport == Transport::Udp), ..Said::default() };
            let all = explanation(fsu, About { said, ..About::default() }, run, now, &bytes);
            let told: usize = all.items.iter().map(|item| item.hex.len() / 2).sum();
            assert_eq!(told, bytes.len(), "{}", hex(&bytes));
            assert_eq!(served_bytes(fsu, now, &bytes), all.replies, "{}", hex(&bytes));
            written(&all, Texts::ENGLISH);
            chinese::check(&written(&all, Texts::of(Language::Zh)), Some(Path::new(CONFIG)));
            check_drops_have_faults(&all);
            // Whatever they are taken for.
            let all = explanation(fsu, About::default(), run, now, &bytes);
            written(&all, Texts::ENGLISH);
            chinese::check(&written(&all, Texts::of(Language::Zh)), Some(Path::new(CONFIG)));
            check_drops_have_faults(&all);
        }
    }
}
