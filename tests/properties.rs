//! Random templates, rules and requests: the program against the judge of `tests/naive`, and the judge against itself.
//! `PROPTEST_CASES` is the number of cases of each property, where it is given.
#![allow(clippy::pedantic, clippy::unwrap_used, clippy::too_many_arguments, clippy::too_many_lines)]

mod fuzzing;
mod naive;
mod product;

use fuzzing::shipped::{DEVICES, STREAMS, mended};
use naive::clock::Clock;
use naive::fields::{Fill, encode, hex, name};
use naive::frame::{Protocol, Verify, key_text, wire};
use naive::generate::Case;
use naive::outer;
use naive::reply::{Answer, answer, answer_after};
use naive::rules::case;
use naive::tape::Tape;
use naive::text::{PICKS_MAX, World};
use naive::vectors::{bytes, template, vectors};
use product::{Outcome, Product, Setup};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use serde_json::Value;

/// Cases of a property of the codec or the framer.
const CODEC_CASES: u32 = 100_000;
/// Cases of a property that makes a template, or compiles one, for each.
const TEMPLATE_CASES: u32 = 1_000;
/// Steps to a smaller case that fails too.
const SHRINK_STEPS_MAX: u32 = 20_000;

/// The number of cases; the environment may give another.
fn cases(cases: u32) -> ProptestConfig {
    let given = std::env::var_os("PROPTEST_CASES").is_some();
    let config =
        ProptestConfig { max_shrink_iters: SHRINK_STEPS_MAX, failure_persistence: None, ..ProptestConfig::default() };
    if given { config } else { ProptestConfig { cases, ..config } }
}

fn tapes() -> impl Strategy<Value = Vec<u32>> {
    proptest::collection::vec(any::<u32>(), 0..1200)
}

proptest! {
    #![proptest_config(cases(TEMPLATE_CASES))]

    /// Encode, decode, encode: the same values and the same bytes.
    #[test]
    fn judge_reads_what_it_writes(tape in tapes()) {
        let case = case(tape);
        let p = Protocol(&case.template["protocol"]);
        for request in &case.requests {
            let Some((made_for, values)) = &request.good else { continue };
            let frame = p.cut(&request.wire).unwrap();
            prop_assert_eq!(p.faults(&frame), Vec::<&str>::new());
            let found = p.command(&frame).unwrap();
            let command = &p.commands()[found];
            let decoded = p.decode(&frame, command, "req_data_list");
            // Its bytes may be another command's as well, to whose fields they may be no values.
            if found != *made_for {
                continue;
            }
            for (field, value) in values {
                let spec = p.request_field(&frame, Some(command), field).unwrap().0;
                let fill = Fill::of(command);
                prop_assert_eq!(encode(spec, value, fill), encode(spec, &decoded[field], fill), "{}", name(spec));
            }
            let mut again = decoded.clone();
            for computed in ["start", "end", "length", "count", "checksum", "check", "cs"] {
                again.remove(computed);
            }
            if p.fixed().is_some() || frame[p.left().len()].raw.len() == p.room(command["req_data_list"].as_array().unwrap_or(&vec![])) {
                prop_assert_eq!(wire(&p.request(command, &again, &[]).unwrap()), request.wire.clone());
            }
        }
    }

    /// A reply is itself a good frame of the template.
    #[test]
    fn judge_answers_with_good_frames(tape in tapes()) {
        let case = case(tape);
        let protocol = &case.template["protocol"];
        let p = Protocol(protocol);
        let files: Vec<_> = case.files.iter().map(|(_, file)| file.clone()).collect();
        let mut world = World::new(case.now, case.fsuid);
        for request in &case.requests {
            if let Answer::Reply(bytes) = answer(protocol, &files, &request.wire, case.verify, &mut world) {
                let frame = p.cut(&bytes).unwrap();
                let mut faults = p.faults_of_reply(&frame);
                faults.retain(|fault| *fault != "bad_version");
                prop_assert_eq!(faults, Vec::<&str>::new());
                prop_assert_eq!(wire(&frame), bytes);
            }
        }
    }
}

/// The generator reaches every outcome that the specification names.
#[test]
fn cases_are_wide() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut seen = std::collections::BTreeMap::<String, usize>::new();
    for _ in 0..1_000 {
        let case = case(tapes().new_tree(&mut runner).unwrap().current());
        let protocol = &case.template["protocol"];
        let files: Vec<_> = case.files.iter().map(|(_, file)| file.clone()).collect();
        let mut world = World::new(case.now, case.fsuid);
        for request in &case.requests {
            let outcome = match answer(protocol, &files, &request.wire, case.verify, &mut world) {
                Answer::Reply(_) => "reply",
                Answer::Silent => "silent",
                Answer::Refused(reason) => reason,
            };
            *seen.entry(outcome.to_owned()).or_default() += 1;
        }
    }
    println!("{seen:?}");
    for outcome in [
        "reply",
        "silent",
        "short",
        "bad_start",
        "bad_end",
        "bad_hex",
        "bad_length_checksum",
        "bad_length",
        "bad_checksum",
        "bad_version",
        "unknown_command",
        "unmatched",
    ] {
        assert!(seen.contains_key(outcome), "{outcome} never came: {seen:?}");
    }
}

/// The judge's answer that equals the program's, `rand` and `choice` taken as the program took them; else its first.
fn judged(protocol: &Value, files: &[Value], wire: &[u8], verify: Verify, world: &mut World, got: &Outcome) -> Outcome {
    let mut first = None;
    for pick in 0..PICKS_MAX {
        let mut tried = World { pick, ..world.clone() };
        let (answer, delay_ms) = answer_after(protocol, files, wire, verify, &mut tried);
        let said = match answer {
            Answer::Reply(bytes) => Outcome::Reply(bytes, delay_ms),
            Answer::Silent => Outcome::Silent,
            Answer::Refused(reason) => Outcome::Dropped(reason),
        };
        if said == *got {
            *world = tried;
            return said;
        }
        first.get_or_insert(said);
    }
    first.unwrap()
}

fn shown(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Reply(bytes, delay_ms) => format!("reply {} after {delay_ms} ms", hex(bytes)),
        other => format!("{other:?}"),
    }
}

fn check_case(case: &Case) -> Result<(), TestCaseError> {
    let setup =
        Setup { template: &case.template, files: &case.files, verify: case.verify, fsuid: case.fsuid, device: (1, 1) };
    let story = || {
        let mut out = format!("template: {}\nverify {:?}, now {:?}\n", case.template, case.verify, case.now);
        for (name, file) in &case.files {
            out += &format!("{name}: {file}\n");
        }
        out
    };
    let mut product = Product::new(&setup).map_err(|e| TestCaseError::fail(format!("{}\nrefused: {e}", story())))?;
    let protocol = &case.template["protocol"];
    let files: Vec<_> = case.files.iter().map(|(_, file)| file.clone()).collect();
    let mut world = World::new(case.now, case.fsuid);
    for (i, request) in case.requests.iter().enumerate() {
        let got = product.respond(&request.wire, case.now);
        let expected = judged(protocol, &files, &request.wire, case.verify, &mut world, &got);
        if expected == Outcome::Dropped("value_misfit") {
            // What then becomes of the reply is the program's to say.
            break;
        }
        if got != expected {
            let sent = hex(&request.wire);
            let (got, expected) = (shown(&got), shown(&expected));
            let before: Vec<String> = case.requests[..i].iter().map(|r| hex(&r.wire)).collect();
            let text = format!("{}after {before:?}\nrequest {i}: {sent}\nprogram: {got}\njudge:   {expected}", story());
            return Err(TestCaseError::fail(text));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(TEMPLATE_CASES))]

    /// The program and the judge give the same replies, byte for byte, and the same reasons.
    #[test]
    fn program_answers_as_the_judge_does(tape in tapes()) {
        check_case(&case(tape))?;
    }
}

/// RtnFlags that an FSU takes: those of the protocol, or a list of its own.
fn rtn_flags(t: &mut Tape) -> Vec<u8> {
    if !t.chance(60) {
        return vec![0xEE];
    }
    let any = t.byte();
    (0..1 + t.pick(8)).map(|_| t.one(&[0xEE, 0x00, 0xED, 0xAA, any])).collect()
}

/// Pieces of a datagram: frames good and bad, and bytes that are none. Requests have mostly one of these RtnFlags.
fn datagram(t: &mut Tape, good: &[Vec<u8>], flags: &[u8]) -> Vec<u8> {
    let mut out = vec![];
    for _ in 0..1 + t.pick(4) {
        let any = t.byte();
        let mut o = outer::Outer {
            dest: b"20250125\0\0\0\0\0\0\0\0\0\0\0\0".to_vec(),
            src: if t.chance(30) { (0..8).map(|_| t.byte() | 0xFC).collect() } else { vec![0; 8] },
            sub_dev_type: 1 + t.pick(2) as u8,
            sub_dev_addr: t.one(&[1, 0x28, 0xFF]),
            rtn_flag: if t.chance(12) { t.one(&[0xEE, 0x00, 0xED, any]) } else { t.one(flags) },
            comm_type: t.one(&[1, 1, 1, 1, 1, 1, 2, 3]),
            data: Some(t.one(good)),
            big: (t.chance(15), t.chance(15)),
        };
        if t.chance(8) {
            o.dest[t.pick(20)] ^= 1;
        }
        if t.chance(8) {
            // Laid out as a reply: of this FSU, or of another one.
            let id = [b"20250125", b"20250126"][t.pick(2)];
            (o.dest, o.src) = ([&[0; 8], &id[..], &[0; 4]].concat(), vec![0; 8]);
        }
        if o.comm_type == 2 {
            o.data = None;
        }
        let mut raw = outer::unescaped(&o);
        if t.chance(15) {
            let at = 1 + t.pick(raw.len() - 2);
            raw[at] ^= 1 << t.pick(8);
            if t.chance(50) {
                let verify = raw.len() - 2;
                raw[verify] = raw[1..verify].iter().fold(0, |n, b| n ^ b);
            }
        }
        let mut wire = outer::escape(&raw);
        match t.pick(12) {
            1 => {
                let at = t.pick(wire.len());
                wire[at] = t.one(&[0xFF, 0xFE, 0xFD, 0x00, 0x7E]);
            }
            2 => wire.truncate(t.pick(wire.len())),
            3 => wire = (0..t.pick(50)).map(|_| t.one(&[0xFF, 0xFE, 0xFD, 0, 1, 0xEE])).collect(),
            _ => {}
        }
        out.extend(wire);
    }
    out
}

proptest! {
    #![proptest_config(cases(TEMPLATE_CASES))]

    /// Datagrams of good frames, bad frames and noise get the judge's replies, in order.
    #[test]
    fn n08_program_reads_datagrams_as_the_judge_does(tape in tapes()) {
        let mut t = Tape::new(tape);
        let template = template("haineng");
        let requests = vectors("haineng").iter().filter(|v| v.get("rule").is_some()).map(|v| bytes(v, "request")).collect::<Vec<_>>();
        let commands = template["protocol"]["data_frame"].as_array().unwrap();
        let file: Value = commands.iter().map(|c| (key_text(&c["data_frame_type"]), serde_json::json!({}))).collect();
        let files = [("default.json".to_owned(), file.clone())];
        let setup = Setup { template: &template, files: &files, verify: Verify::Warn, fsuid: "3230323530313235", device: (1, 1) };
        let (flags, any) = (rtn_flags(&mut t), t.chance(30));
        let mut more = serde_json::json!({"accept_any_id": any});
        if flags != [0xEE] {
            more["accept_rtn_flags"] = flags.iter().map(|flag| hex(&[*flag])).collect();
        }
        let mut product = Product::with("udp", &setup, &more).map_err(TestCaseError::fail)?;
        let now = Clock::parse("2026-01-12T17:30:03");
        let mut world = World::new(now, setup.fsuid);
        for _ in 0..4 {
            let sent = datagram(&mut t, &requests, &flags);
            let mut expected = vec![];
            for candidate in outer::candidates(&sent) {
                let Ok(request) = outer::receive(candidate, b"20250125", &flags, any) else { continue };
                let Some(data) = &request.data else { continue };
                if let Answer::Reply(reply) = answer(&template["protocol"], std::slice::from_ref(&file), data, setup.verify, &mut world) {
                    expected.push(hex(&outer::build(&outer::reply(&request, b"20250125", reply))));
                }
            }
            let got: Vec<String> = product.datagram(&sent, now).iter().map(|b| hex(b)).collect();
            prop_assert_eq!(got, expected, "{} datagram {}", more, hex(&sent));
        }
    }
}

/// A frame of a shipped plan, often with something wrong: bytes changed before or after lengths and checksum were written,
/// bytes put in, taken out, or cut off.
fn frame(t: &mut Tape, shipped: &fuzzing::shipped::Shipped) -> Vec<u8> {
    let template = shipped.template();
    let mut raw = template.commands[t.pick(template.commands.len())].sample.to_vec();
    for _ in 0..t.pick(4) {
        let at = t.pick(raw.len());
        raw[at] = t.byte();
    }
    match t.pick(8) {
        1 => drop(raw.splice(template.left_len..template.left_len, [0; 3])),
        2 => drop(raw.drain(template.left_len..raw.len().saturating_sub(template.tail_len).max(template.left_len))),
        _ => {}
    }
    let mut wire = mended(template, &raw);
    match t.pick(8) {
        1 | 2 => {
            let at = t.pick(wire.len());
            wire[at] ^= 1 << t.pick(8);
        }
        3 => wire.truncate(t.pick(wire.len())),
        4 => wire.insert(t.pick(wire.len()), t.one(b"0\xFF\x7E\x0D")),
        _ => {}
    }
    wire
}

proptest! {
    #![proptest_config(cases(4 * TEMPLATE_CASES))]

    /// Expressions of every type: the program has the judge's value, or says that there is none.
    #[test]
    fn program_computes_as_the_judge_does(input in proptest::collection::vec(any::<u8>(), 0..160)) {
        fuzzing::expressions::run(&input);
    }
}

proptest! {
    #![proptest_config(cases(2 * TEMPLATE_CASES))]

    /// Frames of any shape: the program's replies are the judge's, and a stream gives the same however it is split.
    #[test]
    fn program_answers_frames_of_any_shape(input in proptest::collection::vec(any::<u8>(), 0..450)) {
        fuzzing::shapes::run(&input);
    }
}

proptest! {
    #![proptest_config(cases(CODEC_CASES / 8))]

    /// Frames in envelopes, garbage between them, every split point: the good ones are answered, each byte is counted once.
    #[test]
    fn frames_in_envelopes_are_found(input in proptest::collection::vec(enveloped(), 0..80)) {
        fuzzing::envelopes::run(&input);
    }
}

/// Often a frame, a mark, or half an escape.
fn enveloped() -> impl Strategy<Value = u8> {
    let special =
        proptest::sample::select(&[0x7E, 0x7D, 0x10, 2, 3, 0x5A, 0x5B, 0x5D, 0x5E, 0xFE, 0xAA, 0x68, 0x16, 0, 1][..]);
    prop_oneof![0xF0..0xFBu8, special, any::<u8>(), 0..12u8]
}

fn short_tapes() -> impl Strategy<Value = Vec<u32>> {
    proptest::collection::vec(any::<u32>(), 0..80)
}

proptest! {
    #![proptest_config(cases(CODEC_CASES))]

    /// Outer frames, good, bad and noise, in both directions: the program and the judge read and build the same.
    #[test]
    fn program_reads_outer_frames_as_the_judge_does(tape in short_tapes()) {
        let mut t = Tape::new(tape);
        let good = [vec![], vec![0xFD], vec![0x7E, 0xFF, 0xFE, 0x0D], vec![1; 30]];
        let flags = rtn_flags(&mut t);
        fuzzing::outer::run(&datagram(&mut t, &good, &flags));
    }

    /// Inner frames of every shipped plan: the program and the judge find the same in them.
    #[test]
    fn program_reads_inner_frames_as_the_judge_does(tape in short_tapes()) {
        let mut t = Tape::new(tape);
        let shipped = &DEVICES[t.pick(DEVICES.len())];
        fuzzing::inner::check_frame(shipped, &frame(&mut t, shipped));
    }

    /// A stream of frames and noise gives the same frames, garbage and replies however it is split.
    #[test]
    fn splits_of_a_stream_do_not_matter(tape in short_tapes(), pieces in proptest::collection::vec(0..40u8, 1..6)) {
        let mut t = Tape::new(tape);
        let fsu = t.pick(STREAMS.len());
        let mut stream = vec![];
        for _ in 0..1 + t.pick(3) {
            match t.pick(4) {
                1 => stream.extend((0..t.pick(6)).map(|_| t.byte())),
                _ => stream.extend(frame(&mut t, &DEVICES[fsu % DEVICES.len()])),
            }
        }
        fuzzing::framer::check(&STREAMS[fsu], &stream, &pieces);
    }
}
