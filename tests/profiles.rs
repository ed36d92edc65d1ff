//! Requests of known length: what profiles do is what the general code does, and the shipped requests are theirs.
//! `PROPTEST_CASES` is the number of cases of each property, where it is given.
#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::too_many_arguments,
    clippy::too_many_lines
)]

mod fuzzing;
mod naive;
mod product;

use fsu_core::answer::turn::{Scratch, Turn};
use fsu_core::moment::{Moment, RunContext};
use fsu_core::replies::Replies;
use fsu_core::stage;
use fsu_core::state::FsuState;
use fsu_plan::compile::{compile, compile_plain};
use fsu_plan::config::load::Loader;
use fsu_plan::config::source::Source;
use fsu_plan::model::fleet::{Device, Fleet, Fsu};
use fsu_plan::model::message::Transport;
use fsu_plan::model::profile::Profiled;
use fsu_plan::wire::civil::Now;
use fsu_plan::wire::envelope::{Head, escape};
use fuzzing::shipped::mended;
use naive::rules::case;
use naive::tape::Tape;
use naive::vectors::{bytes, path, vectors};
use product::{Product, Setup};
use proptest::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

/// Cases with requests of the shipped templates.
const SHIPPED_CASES: u32 = 10_000;
/// Cases that compile a template each, twice.
const TEMPLATE_CASES: u32 = 300;

fn cases(cases: u32) -> ProptestConfig {
    let given = std::env::var_os("PROPTEST_CASES").is_some();
    let config = ProptestConfig { max_shrink_iters: 20_000, failure_persistence: None, ..ProptestConfig::default() };
    if given { config } else { ProptestConfig { cases, ..config } }
}

/// Every shipped vendor over UDP and over TCP, with profiles and without.
static FLEETS: LazyLock<(Fleet, Fleet)> = LazyLock::new(|| {
    let fleet = |compile: fn(&mut Loader, &std::path::Path) -> Option<Fleet>| {
        let mut loader = Loader::new(Source::Directory);
        let main = loader.main_file(&path("bench/vendors"));
        compile(&mut loader, &main).expect("bench/vendors is a good configuration")
    };
    (fleet(compile), fleet(compile_plain))
});

/// One FSU that is served twice: with profiles and without.
struct Twins<'a> {
    fsus: [&'a Fsu; 2],
    states: [FsuState; 2],
    scratches: [Scratch; 2],
    replies: [Replies; 2],
}

impl<'a> Twins<'a> {
    fn new(fsus: [&'a Fsu; 2]) -> Self {
        let has = |fsu: &Fsu| fsu.devices.iter().any(|device| device.profiles.get().is_some());
        assert_eq!(fsus.map(has), [true, false]);
        let states = fsus.map(FsuState::new);
        Self { fsus, states, scratches: Default::default(), replies: Default::default() }
    }

    /// Serves a datagram, or what came on a connection, and compares everything that both do.
    fn serve(&mut self, wire: &[u8], run: &RunContext, moment: Moment) -> Result<(), TestCaseError> {
        let mut ends = vec![];
        let Self { fsus, states, scratches, replies } = self;
        for (((fsu, state), scratch), replies) in fsus.iter().zip(states).zip(scratches).zip(&mut *replies) {
            replies.reset();
            scratch.progress = Default::default();
            let mut turn = Turn { run, fsu, state, scratch, moment };
            ends.push(if fsu.transport == Transport::Tcp {
                let step = stage::on_bytes(&mut turn, wire, replies);
                format!("{step:?} {:?} {:?}", turn.moment, turn.scratch.progress)
            } else {
                format!("{:?}", stage::on_datagram(&mut turn, wire.into(), replies))
            });
        }
        let story =
            || format!("{} {} asked {}", self.fsus[0].name, self.fsus[0].transport.name(), hex::encode_upper(wire));
        let [by_profile, general] = &self.replies;
        prop_assert!(by_profile.said().eq(general.said()), "{}\nprofile {by_profile:?}\ngeneral {general:?}", story());
        prop_assert_eq!(&ends[0], &ends[1], "{}", story());
        let [by_profile, general] = self.states.each_ref().map(|state| format!("{state:?}"));
        prop_assert_eq!(by_profile, general, "{}", story());
        Ok(())
    }

    /// Requests that profiles answered.
    fn taken(&self) -> u64 {
        self.scratches[0].profile.taken()
    }
}

/// A request of a device, mostly good.
fn frame(t: &mut Tape, device: &Device, good: &[Vec<u8>]) -> Vec<u8> {
    let template = &*device.template;
    if t.chance(30) {
        return t.one(good);
    }
    let mut raw = template.commands[t.pick(template.commands.len())].sample.to_vec();
    for _ in 0..t.pick(4) {
        let at = t.pick(raw.len());
        raw[at] = t.byte();
    }
    if t.chance(8) {
        let at = template.left_len;
        match t.pick(2) {
            0 => drop(raw.splice(at..at, [0; 3])),
            _ => drop(raw.drain(at..raw.len().saturating_sub(template.tail_len).max(at))),
        }
    }
    let mut wire = mended(template, &raw);
    match t.pick(16) {
        1 => {
            let at = t.pick(wire.len());
            wire[at] ^= 1 << t.pick(8);
        }
        2 => wire.truncate(t.pick(wire.len())),
        3 => wire.insert(t.pick(wire.len()), t.one(b"0\xFF\x7E\x0D")),
        4 => wire.make_ascii_lowercase(),
        _ => {}
    }
    wire
}

/// A datagram or what comes on a connection: some frames of a device, with or without outer frames.
fn message(t: &mut Tape, fsu: &Fsu, good: &[Vec<u8>]) -> Vec<u8> {
    let mut out = vec![];
    for _ in 0..t.one(&[1, 1, 1, 1, 2, 3]) {
        let device = &fsu.devices[t.pick(fsu.devices.len())];
        let inner = frame(t, device, good);
        if fsu.transport != Transport::Udp {
            out.extend(inner);
            if t.chance(10) {
                out.push(t.byte());
            }
            continue;
        }
        let src = if t.chance(20) { [t.byte() | 0xF8; 8] } else { [0; 8] };
        let mut id = fsu.id.bytes;
        if t.chance(4) {
            id[t.pick(20)] ^= 1;
        }
        let mut head = Head::request(&id, &src, device.sub_dev_type, device.sub_dev_addr);
        if t.chance(4) {
            head.sub_dev_addr = t.byte();
        }
        (head.p_len_big, head.data_len_big) = (t.chance(4), t.chance(4));
        if t.chance(4) {
            head.rtn_flag = t.one(&[0x00, 0xED, 0xAA]);
        }
        let (mut plain, mut escaped) = (vec![], vec![]);
        head.build(Some(&inner), &mut plain).unwrap();
        let mut wire = escape(&plain, &mut escaped).to_vec();
        if t.chance(8) {
            let at = t.pick(wire.len());
            wire[at] ^= 1 << t.pick(8);
        }
        out.extend(wire);
    }
    out
}

fn run(t: &mut Tape) -> RunContext {
    RunContext { seed: 7, skip_delay: !t.chance(50), start_mono_ms: 0 }
}

/// A moment around the end of a second, a day and a year.
fn moment(t: &mut Tape) -> Moment {
    let unix_ms = t.one(&[1_768_239_003_000, 1_767_225_599_990]) + t.pick(3_000) as i64;
    Moment::at(Now { unix_ms, utc_offset_s: t.one(&[0, 28_800]) }, 0)
}

fn tapes(longest: usize) -> impl Strategy<Value = Vec<u32>> {
    proptest::collection::vec(any::<u32>(), 0..longest)
}

/// The requests of a vendor's golden vectors.
fn requests(fsu: &Fsu) -> Vec<(String, Vec<u8>)> {
    let vendor = fsu.name.rsplit_once('_').unwrap().0;
    let inner = vectors(vendor).into_iter().filter(|vector| vector["kind"] == "inner" && vector["request"].is_string());
    inner.map(|vector| (vector["command"].as_str().unwrap_or("").to_owned(), bytes(&vector, "request"))).collect()
}

/// The same for each FSU of [`FLEETS`].
static GOOD: LazyLock<Vec<Vec<Vec<u8>>>> = LazyLock::new(|| {
    FLEETS.0.fsus.iter().map(|fsu| requests(fsu).into_iter().map(|(_, wire)| wire).collect()).collect()
});

/// Messages of the property, and requests that a profile answered.
static SERVED: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];

proptest! {
    #![proptest_config(cases(SHIPPED_CASES))]

    /// Requests of every shipped template, good and bad: bytes, due times, notes, counters, registers, cycles.
    fn shipped_requests_by_profile_and_without(tape in tapes(160)) {
        let mut t = Tape::new(tape);
        let number = t.pick(FLEETS.0.fsus.len());
        let mut twins = Twins::new([&FLEETS.0.fsus[number], &FLEETS.1.fsus[number]]);
        let run = run(&mut t);
        for _ in 0..1 + t.pick(4) {
            let wire = message(&mut t, twins.fsus[0], &GOOD[number]);
            twins.serve(&wire, &run, moment(&mut t))?;
            SERVED[0].fetch_add(1, Ordering::Relaxed);
        }
        SERVED[1].fetch_add(twins.taken() as usize, Ordering::Relaxed);
    }
}

/// The property, and that it is about profiles: they answer a good part of what it asks.
#[test]
fn profiles_answer_shipped_requests_as_the_general_code_does() {
    shipped_requests_by_profile_and_without();
    let [messages, taken] = SERVED.each_ref().map(|count| count.load(Ordering::Relaxed));
    println!("{taken} requests by profile in {messages} messages");
    assert!(2 * taken > messages, "{taken} of {messages}");
}

/// The same configuration without profiles. Nothing else holds its devices.
fn without(mut product: Product) -> Product {
    for fsu in &mut product.fleet.fsus {
        for device in Arc::get_mut(&mut fsu.devices).expect("one owner") {
            Arc::get_mut(device).expect("one owner").profiles = Profiled::new();
        }
    }
    product
}

proptest! {
    #![proptest_config(cases(TEMPLATE_CASES))]

    /// Random templates and rules, over each transport.
    #[test]
    fn profiles_answer_random_templates_as_the_general_code_does(tape in tapes(1200), more in tapes(80)) {
        let (case, mut t) = (case(tape), Tape::new(more));
        let setup =
            Setup { template: &case.template, files: &case.files, verify: case.verify, fsuid: case.fsuid, device: (1, 1) };
        let transport = t.one(&["udp", "tcp"]);
        let more = serde_json::json!({"accept_any_id": t.chance(30)});
        let made = || Product::with(transport, &setup, &more);
        // Not every template can be cut from a stream.
        let Ok(product) = made() else { return Ok(()) };
        let plain = without(made().unwrap());
        let mut twins = Twins::new([&product.fleet.fsus[0], &plain.fleet.fsus[0]]);
        let run = run(&mut t);
        let good: Vec<Vec<u8>> = case.requests.iter().map(|request| request.wire.clone()).collect();
        for _ in 0..12 {
            let wire = message(&mut t, twins.fsus[0], &good);
            twins.serve(&wire, &run, moment(&mut t)).map_err(|wrong| {
                TestCaseError::fail(format!("{wrong}\n{}\n{:?}\n{:?}", case.template, case.files, case.verify))
            })?;
        }
    }
}

/// Every command of the golden vectors that is answered is answered by a profile, over UDP and TCP.
#[test]
fn shipped_commands_that_profiles_answer() {
    let (mut taken, mut others) = (0, vec![]);
    for (number, fsu) in FLEETS.0.fsus.iter().enumerate() {
        let mut seen = std::collections::BTreeSet::new();
        for (command, inner) in requests(fsu) {
            let mut twins = Twins::new([fsu, &FLEETS.1.fsus[number]]);
            let mut wire = inner;
            if fsu.transport == Transport::Udp {
                let device = &fsu.devices[0];
                let head = Head::request(&fsu.id.bytes, &[0; 8], device.sub_dev_type, device.sub_dev_addr);
                let (mut plain, mut escaped) = (vec![], vec![]);
                head.build(Some(&wire), &mut plain).unwrap();
                wire = escape(&plain, &mut escaped).to_vec();
            }
            let run = RunContext { seed: 1, skip_delay: true, start_mono_ms: 0 };
            let now = Moment::at(Now { unix_ms: 1_768_239_003_000, utc_offset_s: 0 }, 0);
            twins.serve(&wire, &run, now).unwrap();
            if twins.states[1].replies == 0 || !seen.insert(command.clone()) {
                continue;
            }
            taken += twins.taken();
            if twins.taken() == 0 {
                others.push(format!("{} {command}", fsu.name));
            }
        }
    }
    assert_eq!((taken, others.join(", ").as_str()), (318, ""));
}
