//! Transfers of random templates: the program against the judge of `tests/naive`, datagram by datagram.
//! `PROPTEST_CASES` raises the number of cases.
#![allow(clippy::pedantic, clippy::unwrap_used)]

mod naive;
mod product;

use naive::clock::Clock;
use naive::exchanges::{Served, Step, served, step};
use naive::fields::hex;
use naive::tape::Tape;
use naive::text::World;
use naive::transfer::{Said, Transfers};
use product::{Product, Setup};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use std::collections::BTreeMap;

fn tapes() -> impl Strategy<Value = Vec<u32>> {
    proptest::collection::vec(any::<u32>(), 0..2000)
}

/// The judge's side.
struct Judge {
    served: Served,
    world: World,
    transfers: Transfers,
    files: Vec<serde_json::Value>,
}

impl Judge {
    fn new(served: Served) -> Self {
        let files = served.files.iter().map(|(_, file)| file.clone()).collect();
        Self { world: World::new(served.now, served.fsuid), transfers: Transfers::default(), files, served }
    }

    fn judge(&mut self, step: &Step) -> Said {
        self.world.now = Clock::from_seconds(self.world.now.seconds() + step.after_s);
        let (protocol, now_ms) = (&self.served.template["protocol"], 1000 * self.world.now.seconds());
        let frame = (step.client, &*step.wire);
        self.transfers.receive(protocol, &self.files, frame, self.served.verify, now_ms, &mut self.world)
    }
}

fn play(numbers: Vec<u32>) -> Result<BTreeMap<&'static str, usize>, TestCaseError> {
    let mut t = Tape::new(numbers);
    let served = served(&mut t);
    let story = format!("template: {}\nrules: {}\nverify {:?}", served.template, served.files[0].1, served.verify);
    let setup = Setup {
        template: &served.template,
        files: &served.files,
        verify: served.verify,
        fsuid: served.fsuid,
        device: (1, 1),
    };
    let mut product =
        Product::over("broadcast", &setup).map_err(|e| TestCaseError::fail(format!("{story}\nrefused: {e}")))?;
    let mut judge = Judge::new(served.clone());
    let mut before = vec![];
    for _ in 0..1 + t.pick(40) {
        let step = step(&mut t, &served, &judge.transfers);
        let now = Clock::from_seconds(judge.world.now.seconds() + step.after_s);
        let got = product.datagram_from(step.client, &step.wire, now);
        let said = judge.judge(&step);
        if said == Said::Dropped("value_misfit") {
            // What then becomes of the reply is the program's to say.
            return Ok(judge.transfers.seen);
        }
        let frames = match &said {
            Said::Frames(frames) => frames.clone(),
            Said::Dropped(_) => vec![],
        };
        before.push(format!("after {} s client {}: {}", step.after_s, step.client, hex(&step.wire)));
        if frames != got {
            let shown = |all: &[(i64, Vec<u8>)]| {
                all.iter().map(|(due_ms, bytes)| format!("\n  {due_ms} ms {}", hex(bytes))).collect::<String>()
            };
            let text = format!(
                "{story}\n{}\nprogram:{}\njudge ({said:.60?}):{}",
                before.join("\n"),
                shown(&got),
                shown(&frames)
            );
            return Err(TestCaseError::fail(text));
        }
    }
    let counters = &product.state.counters;
    let seen = |what: &str| judge.transfers.seen.get(what).copied().unwrap_or(0) as u64;
    prop_assert_eq!(counters.transfers_opened, seen("one_frame") + seen("several_frames"));
    prop_assert_eq!(counters.data_frames_resent, seen("again"));
    prop_assert_eq!(counters.transfers_refused, seen("no_place") + seen("other_frame") + seen("no_transfer"));
    prop_assert_eq!(counters.transfers_completed, seen("one_frame") + seen("last_frame"));
    Ok(judge.transfers.seen)
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// The same frames, at the same moments, for every datagram of every client; and the same counts.
    #[test]
    fn program_transfers_as_the_judge_does(tape in tapes()) {
        play(tape)?;
    }
}

/// The generator reaches everything that the specification names.
#[test]
fn cases_are_wide() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut seen = BTreeMap::<&str, usize>::new();
    for _ in 0..200 {
        for (what, count) in play(tapes().new_tree(&mut runner).unwrap().current()).unwrap() {
            *seen.entry(what).or_default() += count;
        }
    }
    println!("{seen:?}");
    for what in [
        "again",
        "demand_silent",
        "ended_by_command",
        "idle",
        "last_frame",
        "next_frame",
        "no_data",
        "no_place",
        "no_transfer",
        "not_kept",
        "one_frame",
        "other_frame",
        "own_words",
        "place_of_client",
        "place_of_host",
        "place_taken",
        "several_frames",
    ] {
        assert!(seen.contains_key(what), "{what} never came: {seen:?}");
    }
}
