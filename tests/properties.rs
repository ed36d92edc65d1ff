//! Random templates, rules and requests: the program against the judge of `tests/naive`, and the judge against itself.
//! `PROPTEST_CASES` raises the number of cases.
#![allow(clippy::unwrap_used)]

mod naive;

use naive::fields::{Fill, encode, name};
use naive::frame::{Protocol, wire};
use naive::reply::{Answer, answer};
use naive::rules::case;
use naive::text::World;
use proptest::prelude::*;
use proptest::strategy::ValueTree;

fn tapes() -> impl Strategy<Value = Vec<u32>> {
    proptest::collection::vec(any::<u32>(), 0..700)
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 20_000, ..ProptestConfig::default() })]

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
            if found == *made_for {
                for (field, value) in values {
                    let spec = p.request_field(&frame, Some(command), field).unwrap().0;
                    let fill = Fill::of(command);
                    prop_assert_eq!(encode(spec, value, fill), encode(spec, &decoded[field], fill), "{}", name(spec));
                }
            }
            let mut again = decoded.clone();
            for computed in ["start", "end", "length", "checksum", "check", "cs"] {
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
                let mut faults = p.faults(&frame);
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
