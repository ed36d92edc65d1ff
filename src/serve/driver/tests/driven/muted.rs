//! A queued socket of the epoll driver reports no events meanwhile, and is never forgotten: everything is received in the end.

use super::run_script;
use super::script::{AT_ONCE, DATAGRAM_FSUS, FSUS, Script, Stop, request};
use crate::driver::DriverKind;
use crate::driver::tests::kernel::streams::Reads;
use crate::driver::tests::kernel::weather::Weather;
use crate::driver::tests::kernel::{Act, Event};
use fastrand::Rng;
use fsu_plan::model::fleet::Limits;
use std::collections::BTreeMap;

const SEEDS: u64 = 16;
const MS: u64 = 1_000_000;
/// Longer than what is light in any case.
const HEAVY_BYTES: usize = 20_000;
/// What each run hides, once or more often.
const HIDDEN: [&str; 3] = ["hidden bytes", "hidden connections", "hidden datagrams"];

/// More of everything than a turn does: connections in a burst, which send much at once and then now and then, and long datagrams.
fn crowd(seed: u64) -> Script {
    let rng = &mut Rng::with_seed(seed);
    // What may go wrong for a while, and loses nothing.
    let any = Weather::of(rng);
    let weather = Weather {
        interrupted: any.interrupted,
        partial: any.partial,
        any_order: any.any_order,
        late_wakeup_ns: any.late_wakeup_ns,
        outbound_max: any.outbound_max.max(200),
        ..Weather::fine()
    };
    let limits = Limits { write_buffer_bytes_max: if rng.bool() { 65_536 } else { 400 }, ..Limits::default() };
    let mut script = Script::empty(weather, limits, Stop::AtRest, 0);
    let bytes = vec![b'x'; HEAVY_BYTES];
    for number in 0..rng.u64(150..300) {
        let from = ([127, 0, 0, 1], 40_000).into();
        script.at(number * MS / 10, Event::Datagram(rng.usize(..DATAGRAM_FSUS), from, bytes.clone()));
    }
    for stream in 0..rng.usize(100..180) {
        let fsu = rng.usize(DATAGRAM_FSUS..FSUS);
        let mut sent = Vec::new();
        // The others come while these are busy.
        let mut ns = if rng.bool() { 0 } else { 5 * MS };
        script.at(ns + rng.u64(..MS / 10), Event::Peer(stream, Act::Connect));
        for number in 0..rng.u32(1..4) {
            let mut piece = request(fsu, AT_ONCE, number);
            if number == 0 {
                piece.extend(vec![b'x'; rng.usize(..4 * HEAVY_BYTES)]);
                piece.extend(request(fsu, AT_ONCE, 99));
            }
            sent.extend_from_slice(&piece);
            script.at(ns + MS, Event::Peer(stream, Act::Send(piece)));
            ns += rng.u64(..20 * MS);
        }
        if rng.bool() {
            script.at(ns + 2 * MS, Event::Peer(stream, Act::HalfClose));
        }
        script.add_peer(stream, fsu, Reads::Soon, sent);
    }
    script
}

/// Events that the set has reported, and those it withheld.
fn check(script: Script, seed: u64) -> (u64, BTreeMap<&'static str, u64>) {
    let run = run_script(script, seed, DriverKind::Poll);
    run.check();
    let kernel = run.kernel.borrow();
    assert_eq!((kernel.waiting(), kernel.unaccepted()), (0, 0), "seed {seed}");
    assert!(kernel.streams.iter().all(|stream| stream.is_accepted), "seed {seed}");
    (kernel.told, kernel.troubles.clone())
}

#[test]
fn h02_whoever_is_hidden_while_it_waits_in_line_is_never_forgotten() {
    let mut hidden = BTreeMap::<_, u64>::new();
    for seed in 0..SEEDS {
        let (_, troubles) = check(crowd(seed), seed);
        for name in HIDDEN {
            *hidden.entry(name).or_default() += troubles.get(name).copied().unwrap_or_default();
        }
    }
    assert!(hidden.values().all(|&count| count >= 5), "{hidden:?}");
}
