//! A centre that asks often gets a socket that is connected to it, while strangers ask as well and it does not always listen: nothing is
//! lost, and nothing is counted otherwise than without.

use super::script::{AT_ONCE, DATAGRAM_FSUS, Script, Stop, reply_to, request, served};
use super::{Run, run_script};
use crate::driver::DriverKind;
use crate::driver::tests::kernel::Event;
use crate::driver::tests::kernel::weather::Weather;
use fastrand::Rng;
use fsu_plan::model::fleet::Limits;
use std::collections::BTreeMap;
use std::net::SocketAddr;

const SEEDS: u64 = 64;
const US: u64 = 1_000;
const CENTRE: u16 = 40_000;

/// Several times as many requests as it takes, one by one or in bursts, and now and then one of somebody else.
fn talk(seed: u64, weather: Weather) -> Script {
    let rng = &mut Rng::with_seed(seed);
    let mut script = Script::empty(weather, Limits::default(), Stop::AtRest, 0);
    let spacing_ns = if rng.bool() { 300 * US } else { US };
    for fsu in 0..DATAGRAM_FSUS {
        for number in 0..rng.u32(200..400) {
            let port = if rng.u8(..8) == 0 { CENTRE + rng.u16(1..4) } else { CENTRE };
            let peer = SocketAddr::from(([127, 0, 0, 1], port));
            script.at(u64::from(number) * spacing_ns, Event::Datagram(fsu, peer, request(fsu, AT_ONCE, number)));
        }
    }
    script
}

/// How many left by connected sockets.
fn connected(run: &Run) -> usize {
    run.kernel.borrow().left.iter().filter(|left| left.is_centre).count()
}

#[test]
fn a_centre_that_asks_often_is_served_by_its_own_socket_in_any_weather() {
    let mut seen = BTreeMap::<_, u64>::new();
    for seed in 0..SEEDS {
        let weather = Weather { queue_max: 4_096, ..Weather::of(&mut Rng::with_seed(seed)) };
        let both = [DriverKind::Poll, DriverKind::Ring].map(|driver| run_script(talk(seed, weather), seed, driver));
        both.iter().for_each(Run::check);
        Run::check_same(&both[0], &both[1]);
        for run in &both {
            for (&name, count) in &run.kernel.borrow().troubles {
                *seen.entry(name).or_default() += count;
            }
            *seen.entry("connected").or_default() += connected(run) as u64;
        }
    }
    for name in ["connected", "strangers", "deaf", "unconnected", "long"] {
        assert!(seen.get(name).is_some_and(|&count| count > 0), "{name}: {seen:?}");
    }
}

/// Replies leave in the order in which requests were received, also where some go together and one by one, and by either socket.
#[test]
fn no_reply_overtakes_another_to_the_same_centre() {
    let mut by_its_own = 0;
    for (seed, driver) in (0..SEEDS).flat_map(|seed| [(seed, DriverKind::Poll), (seed, DriverKind::Ring)]) {
        let weather =
            Weather { joined: (seed % 3) as f64 / 3.0, left_over: (seed % 2) as f64 / 2.0, ..Weather::fine() };
        let run = run_script(talk(seed, weather), seed, driver);
        run.check();
        let (kernel, fleet) = (run.kernel.borrow(), served(run.script.limits));
        for (number, socket) in kernel.udp.iter().enumerate() {
            for peer in (0..4).map(|more| SocketAddr::from(([127, 0, 0, 1], CENTRE + more))) {
                let asked = socket.taken.iter().filter(|taken| taken.peer == peer);
                // Also where the second socket came in the middle.
                assert!(
                    asked.clone().is_sorted_by_key(|taken| taken.ns),
                    "{driver:?}, seed {seed}: taken in another order"
                );
                let expected: Vec<_> =
                    asked.filter_map(|taken| Some(reply_to(&fleet.fsus[number], taken).0?.0)).collect();
                let left = kernel.left.iter().filter(|left| (left.socket, left.peer) == (number, peer));
                assert!(left.map(|left| &left.bytes).eq(&expected), "{driver:?}, seed {seed}: in another order");
            }
        }
        drop(kernel);
        by_its_own += connected(&run);
    }
    assert!(by_its_own > 1_000, "{by_its_own}");
}
