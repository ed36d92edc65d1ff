//! FSUs that dial out, by both drivers over the simulated kernel.

use super::drive_fleet;
use super::script::{AT_ONCE, DATAGRAM_FSUS, replies_to, request, served};
use crate::driver::DriverKind;
use crate::driver::command::{ShardCommand, ShardFigures};
use crate::driver::tests::kernel::weather::Weather;
use crate::driver::tests::kernel::{Act, Event, Installed, Kernel, START_NS};
use fastrand::Rng;
use fsu_core::state::Counters;
use fsu_net::bind::Bound;
use fsu_plan::model::connect::{Connect, DialFailure};
use fsu_plan::model::fleet::{Fleet, Limits};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

const FSUS: usize = 40;
const MS: u64 = 1_000_000;
const RECONNECT_MS: (u64, u64) = (50, 200);

fn fleet(per_second: u32) -> Arc<Fleet> {
    let to: SocketAddr = ([192, 0, 2, 1], 9000).into();
    let per_second = NonZeroU32::new(per_second);
    let connect = Connect {
        to,
        from: Box::default(),
        first: 0,
        reconnect_ms: RECONNECT_MS,
        per_second,
        tls: None,
        listens: false,
    };
    let (connect, like) = (Arc::new(connect), served(Limits::default()));
    let one = |number: usize| {
        like.fsus[DATAGRAM_FSUS].clone().with(|fsu| {
            fsu.name = format!("dials {number}").as_str().into();
            fsu.connect = Some(Arc::clone(&connect));
        })
    };
    Arc::new(fsu_core::fixtures::fleet((0..FSUS).map(one).collect()))
}

/// Serves for `end_ms`, with all that `plan` adds. Returns the kernel and the counters of all FSUs together.
fn run(
    (seed, driver): (u64, DriverKind),
    per_second: u32,
    end_ms: u64,
    plan: impl Fn(&mut Kernel),
) -> (Installed, Counters) {
    let rng = &mut Rng::with_seed(seed);
    let any = Weather::of(rng);
    // What loses nothing.
    let weather = Weather {
        interrupted: any.interrupted,
        partial: any.partial,
        any_order: any.any_order,
        left_over: any.left_over,
        late_wakeup_ns: any.late_wakeup_ns,
        ..Weather::fine()
    };
    let mut kernel = Kernel::new(Rng::with_seed(!seed), weather);
    kernel.greeting = request(DATAGRAM_FSUS, AT_ONCE, 7);
    plan(&mut kernel);
    kernel.plan(end_ms * MS, Event::ShardCommand(ShardCommand::Drain));
    let installed = Installed::new(kernel);
    let nowhere: SocketAddr = ([0, 0, 0, 0], 0).into();
    let sockets = (0..FSUS).map(|_| Bound::Dials(Box::new(nowhere))).collect();
    let ShardFigures { counters, .. } = drive_fleet(&installed, fleet(per_second), sockets, driver);
    installed.0.borrow_mut().end();
    let mut all = Counters::default();
    for (_, counters) in &counters {
        all.add(counters);
    }
    (installed, all)
}

fn for_runs(one: impl Fn(u64, DriverKind)) {
    for seed in 0..30 {
        for driver in [DriverKind::Poll, DriverKind::Ring] {
            one(seed, driver);
        }
    }
}

/// All are reset at once: all are back within the bound, none before, and each is answered on both connections.
#[test]
fn a_storm_over_a_bad_kernel() {
    const RESET_MS: u64 = 300;
    for_runs(|seed, driver| {
        let (installed, counters) = run((seed, driver), 0, 600, |kernel| {
            (0..FSUS).for_each(|stream| kernel.plan(RESET_MS * MS, Event::Peer(stream, Act::Reset)));
        });
        let kernel = installed.0.borrow();
        let reply = replies_to(&fleet(0).fsus[0], &kernel.greeting).concat();
        assert_eq!(kernel.streams.len(), 2 * FSUS, "seed {seed}");
        for (number, stream) in kernel.streams.iter().enumerate() {
            assert_eq!(stream.written, reply, "seed {seed}");
            let ms = (stream.dialled_ns - START_NS) / MS;
            let expected = if number < FSUS { 0..=20 } else { RESET_MS..=RESET_MS + RECONNECT_MS.0 + 20 };
            assert!(expected.contains(&ms), "seed {seed}: dialled after {ms} ms");
        }
        assert_eq!((counters.connections, counters.answered), (2 * FSUS as u64, 2 * FSUS as u64));
        assert_eq!(counters.dial_failures, [0; DialFailure::COUNT]);
    });
}

/// Refused dials are tried again until all are up, and each is counted.
#[test]
fn refused_dials_over_a_bad_kernel() {
    for_runs(|seed, driver| {
        let (installed, counters) = run((seed, driver), 0, 3_000, |kernel| kernel.dials_refused = 0.5);
        let kernel = installed.0.borrow();
        let refused = kernel.streams.len() - FSUS;
        assert_eq!((counters.connections, counters.answered), (FSUS as u64, FSUS as u64), "seed {seed}");
        assert_eq!(counters.dial_failures[DialFailure::Refused as usize], refused as u64, "seed {seed}");
        assert_eq!(counters.dial_failures.iter().sum::<u64>(), refused as u64);
    });
}

/// The pace holds, however late the shard wakes up.
#[test]
fn a_pace_over_a_bad_kernel() {
    for_runs(|seed, driver| {
        let (installed, counters) = run((seed, driver), 200, 400, |_| {});
        let kernel = installed.0.borrow();
        let dialled_ns: Vec<u64> = kernel.streams.iter().map(|stream| stream.dialled_ns).collect();
        assert_eq!((dialled_ns.len(), counters.connections), (FSUS, FSUS as u64), "seed {seed}");
        // 5 ms apart, but for the 2 ms that a shard may be late.
        assert!(dialled_ns.windows(2).all(|two| two[1] - two[0] >= 2_900_000), "seed {seed}: {dialled_ns:?}");
    });
}
