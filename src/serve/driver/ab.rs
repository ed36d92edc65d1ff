//! Compares two ways of serving within one run (`bench/ab.sh`). Every few milliseconds a shard switches between them and adds up processor
//! time and requests for each, so both see the same machine and the same load.
//!
//! `FSU_MOCK_AB` names the [`Way`]s to compare, separated by commas. Mode A turns them off, mode B turns them on. The control repeats A;
//! its ratio to A shows the noise. The order changes with each round of three.

use super::base::DriverIo;
use super::kernel::clock_ns;
use super::turn::Turn;
use super::ways::Way;
use crate::shard::protocol::Protocol;
use crate::shard::recorder::Recorder;
use rustix::time::ClockId;
use std::cell::Cell;
use std::net::SocketAddr;

/// Names the ways to compare.
const VARIABLE: &str = "FSU_MOCK_AB";
/// Default length of a mode's window, in milliseconds; a second variable overrides it.
const WINDOW_MS: u64 = 15;
const WINDOW_VARIABLE: &str = "FSU_MOCK_AB_MS";
/// Warm-up before the first window.
const WARMUP_NS: u64 = 2_000_000_000;
/// Windows with fewer requests are ignored.
const REQUESTS_MIN: u64 = 20;
const NAMES: [(&str, Way); 4] =
    [("sends", Way::Sends), ("files", Way::Files), ("whole", Way::Whole), ("connected", Way::Connected)];
const MODES: [&str; 3] = ["A", "B", "control"];
const B: usize = 1;

thread_local! {
    /// Bit mask of the ways that are off on this shard.
    static OFF: Cell<u8> = const { Cell::new(0) };
}

/// Whether a way is on now.
#[inline]
pub(crate) fn takes(way: Way) -> bool {
    OFF.get() & bit(way) == 0
}

fn bit(way: Way) -> u8 {
    1 << way as u8
}

/// A running comparison.
pub(crate) struct Trial {
    compared: u8,
    window_ns: u64,
    /// Modes left in this round; the last one is current.
    order: Vec<usize>,
    rng: fastrand::Rng,
    began_ns: u64,
    cpu_ns: i64,
    served: u64,
    /// Connected sockets.
    centres: Vec<(u32, SocketAddr)>,
    /// Per mode: requests and processor time of each round.
    rounds: [Vec<(u64, i64)>; 3],
}

impl Trial {
    /// Reads the environment; `None` if it names nothing to compare.
    pub(crate) fn from_env() -> Option<Self> {
        let names = std::env::var(VARIABLE).ok()?;
        let ways = names.split(',').filter_map(|name| NAMES.iter().find(|(known, _)| *known == name));
        let compared = ways.fold(0, |all, &(_, way)| all | bit(way));
        let window_ms = std::env::var(WINDOW_VARIABLE).ok().and_then(|ms| ms.parse().ok()).unwrap_or(WINDOW_MS);
        Some(Self {
            compared,
            window_ns: window_ms * 1_000_000,
            order: vec![0],
            rng: fastrand::Rng::with_seed(1),
            began_ns: 0,
            cpu_ns: 0,
            served: 0,
            centres: Vec::new(),
            rounds: Default::default(),
        })
    }

    /// Between two turns: switches to the next mode when its window is over.
    pub(crate) fn turn<P: Protocol, T: Recorder>(&mut self, turn: &mut Turn<P, T>, io: &mut impl DriverIo) {
        if self.began_ns == 0 {
            // During warm-up, centres are collected and all ways are on.
            self.began_ns = turn.now.mono_ns + WARMUP_NS;
        }
        if turn.now.mono_ns < self.began_ns + self.window_ns {
            return;
        }
        // Send everything first, so that it counts for the mode that produced it.
        turn.depart(io);
        if let Some(mode) = self.order.pop() {
            let cpu_ns = clock_ns(ClockId::ThreadCPUTime) - self.cpu_ns;
            self.rounds[mode].push((turn.served - self.served, cpu_ns));
        }
        if self.order.is_empty() {
            self.order = vec![0, 1, 2];
            self.rng.shuffle(&mut self.order);
        }
        OFF.set(if self.order.last() == Some(&B) { 0 } else { self.compared });
        if self.compared & bit(Way::Whole) != 0 {
            io.base().set_fragments(!takes(Way::Whole));
        }
        if self.compared & bit(Way::Connected) != 0 {
            self.connect(io);
        }
        self.served = turn.served;
        self.began_ns = io.base().clocks.now().mono_ns;
        self.cpu_ns = clock_ns(ClockId::ThreadCPUTime);
    }

    /// Connects to all centres seen so far, or to none.
    fn connect(&mut self, io: &mut impl DriverIo) {
        if self.centres.is_empty() {
            self.centres = io.base().centres();
        }
        let on = takes(Way::Connected);
        for &(socket, peer) in &self.centres {
            io.set_frequent(socket, peer, on);
        }
    }

    /// Prints the result to standard error, one line per mode.
    pub(crate) fn tell(&self) {
        // The first window of mode A is the warm-up.
        let rounds = self.rounds.iter().map(Vec::len).min().unwrap_or(0);
        let whole: Vec<[(u64, i64); 3]> = (1..rounds)
            .map(|at| std::array::from_fn(|mode| self.rounds[mode][if mode == 0 { at } else { at - 1 }]))
            .filter(|round: &[(u64, i64); 3]| round.iter().all(|&(requests, _)| requests >= REQUESTS_MIN))
            .collect();
        let us = |(requests, cpu_ns): (u64, i64)| cpu_ns as f64 / 1e3 / requests as f64;
        for (mode, name) in MODES.iter().enumerate() {
            let sum = whole.iter().fold((0, 0), |sum, round| (sum.0 + round[mode].0, sum.1 + round[mode].1));
            let mut ratios: Vec<f64> = whole.iter().map(|round| us(round[mode]) / us(round[0])).collect();
            ratios.sort_by(f64::total_cmp);
            let median = ratios.get(ratios.len() / 2).copied().unwrap_or(f64::NAN);
            eprintln!("ab: {name} {} {} {:.3} {median:.4}", whole.len(), sum.0, us(sum));
        }
    }
}
