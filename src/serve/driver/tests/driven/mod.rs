//! The drivers themselves, over a simulated kernel on virtual time: one seed is one run of each, with the same script.
//!
//! Of every run: what the shard received is answered once or counted with a reason; replies are those of the responder alone, due
//! when they leave; the bytes of a stream are whole and in order; losses in the kernel are counted; neighbours wait a bounded time; the
//! end comes in time and leaves nothing open. Where nothing is lost, both drivers say the same.

mod check;
mod dial;
mod fair;
mod muted;
mod often;
mod script;

use super::kernel::{Installed, Kernel};
use crate::driver::DriverKind;
use crate::driver::base::{Base, wake_up};
use crate::driver::command::ShardFigures;
use crate::driver::epoll::Epoll;
use crate::driver::epoll::sockets::PollIo;
use crate::driver::ring::Uring;
use crate::driver::ring::sockets::RingIo;
use crate::driver::tests::kernel;
use crate::driver::turn::Turn;
use crate::shard::protocol::Responder;
use crate::shard::serve::{Portion, Serve};
use crate::shard::tests::{NETWORK_DROPS, Records, add_drops};
use fastrand::Rng;
use fsu_core::moment::RunContext;
use fsu_plan::model::fleet::Fleet;
use fsu_plan::wire::reason::Reason;
use kernel::START_NS;
use script::{DATAGRAM_FSUS, FSUS, Script, served};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Troubles that some run has.
const TROUBLES: [&str; 12] = [
    "interrupted",
    "full",
    "refused",
    "long",
    "partial",
    "no_descriptors",
    "aborted",
    "joined",
    "ended",
    "left_over",
    "completions_max",
    "queue_max",
];
const SEEDS: u64 = 1_000;
/// The variables for one seed only, and for the number of seeds.
const SEED_VARIABLE: &str = "FSU_MOCK_SEED";
const SEEDS_VARIABLE: &str = "FSU_MOCK_SEEDS";

/// What came of a run.
struct Run {
    script: Script,
    driver: DriverKind,
    kernel: Rc<RefCell<Kernel>>,
    ended: ShardFigures,
}

fn run(seed: u64, driver: DriverKind) -> Run {
    run_script(Script::new(seed), seed, driver)
}

fn run_script(mut script: Script, seed: u64, driver: DriverKind) -> Run {
    let mut kernel = Kernel::new(Rng::with_seed(!seed), script.weather);
    script.plan(&mut kernel);
    let installed = Installed::new(kernel);
    let sockets = {
        let kernel = &mut *installed.0.borrow_mut();
        let datagrams: Vec<_> = (0..DATAGRAM_FSUS).map(|_| kernel.udp_socket()).collect();
        datagrams.into_iter().chain((DATAGRAM_FSUS..FSUS).map(|_| kernel.listener().1)).collect()
    };
    let ended = drive(&installed, script.limits, sockets, driver);
    installed.0.borrow_mut().end();
    Run { script, driver, kernel: Rc::clone(&installed.0), ended }
}

/// Serves until it is asked to end.
fn drive(
    installed: &Installed,
    limits: fsu_plan::model::fleet::Limits,
    sockets: Vec<fsu_net::bind::Bound>,
    driver: DriverKind,
) -> ShardFigures {
    drive_fleet(installed, served(limits), sockets, driver)
}

/// The same with a fleet that has these sockets.
fn drive_fleet(
    installed: &Installed,
    fleet: Arc<Fleet>,
    sockets: Vec<fsu_net::bind::Bound>,
    driver: DriverKind,
) -> ShardFigures {
    let many = sockets.len();
    let wake = wake_up().expect("an eventfd");
    let (commands, receiver) = flume::bounded(16);
    installed.0.borrow_mut().wakes(&wake, commands);
    let mut base = Base::new(sockets, wake, true);
    let now = base.clocks.now();
    let numbers: Vec<usize> = (0..many).collect();
    let run = RunContext { seed: 1, skip_delay: false, start_mono_ms: START_NS / 1_000_000 };
    let serve = Serve::new(Portion { fleet, fsus: &numbers }, run, Responder, Records::default(), now);
    let gather = Duration::from_micros(50);
    let turn = Turn::new(serve, many, receiver, base.clocks.now(), gather);
    let ended = match driver {
        DriverKind::Ring => {
            let mut parts = RingIo::new(base).expect("a ring");
            // As with many sockets.
            parts.0.sends = true;
            crate::driver::run::run(Uring::new(turn, parts))
        }
        DriverKind::Poll | DriverKind::Xdp => {
            crate::driver::run::run(Epoll::new(turn, PollIo::new(base).expect("a set"), many))
        }
    };
    ended.expect("a driver that ends well")
}

fn number_of(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Seeds after this many failures are not tried.
const FAILURES_MAX: usize = 10;

/// Runs the seeds. Prints each that fails, and how to repeat it.
fn for_seeds(one: impl Fn(u64) + std::panic::RefUnwindSafe) {
    let seeds = match number_of(SEED_VARIABLE) {
        Some(seed) => seed..seed + 1,
        None => 0..number_of(SEEDS_VARIABLE).unwrap_or(SEEDS),
    };
    let failed = seeds.filter(|&seed| {
        let is_failed = std::panic::catch_unwind(|| one(seed)).is_err();
        if is_failed {
            eprintln!("seed {seed}: again with {SEED_VARIABLE}={seed} cargo test --lib driven");
            eprintln!("{:?}", Script::new(seed));
        }
        is_failed
    });
    assert_eq!(failed.take(FAILURES_MAX).collect::<Vec<_>>(), [0; 0], "seeds that fail");
}

#[test]
fn with_any_weather_both_drivers_answer_or_count_every_request() {
    for_seeds(|seed| {
        let both = [DriverKind::Poll, DriverKind::Ring].map(|driver| run(seed, driver));
        both.iter().for_each(Run::check);
        Run::check_same(&both[0], &both[1]);
        if seed % 16 == 0 {
            for first in &both {
                first.check_repeats(&run(seed, first.driver));
            }
        }
    });
}

/// The runs have in them what they are for.
#[test]
fn the_weather_below_the_drivers_is_bad_enough() {
    let mut seen = BTreeMap::<&str, u64>::new();
    for run in (0..60).flat_map(|seed| [DriverKind::Poll, DriverKind::Ring].map(|driver| run(seed, driver))) {
        for (&name, count) in &run.kernel.borrow().troubles {
            *seen.entry(name).or_default() += count;
        }
        add_drops(&mut seen, &NETWORK_DROPS, &run.ended.counters);
        add_drops(&mut seen, &[Reason::SocketError], &run.ended.counters);
    }
    let expected = TROUBLES.into_iter().chain(NETWORK_DROPS.map(Reason::reason)).chain([Reason::SocketError.reason()]);
    let missing: Vec<&str> = expected.filter(|name| seen.get(name).is_none_or(|&count| count == 0)).collect();
    assert_eq!(missing, [""; 0], "{seen:?}");
}
