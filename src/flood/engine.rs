//! One thread of a run: it asks its share of the FSUs, over any transport.
//!
//! - [`worker`]: what every thread has: clock, pace, book, the seats that may ask.
//! - [`reply`]: a received frame, compared with the requests of a profile.
//! - [`pin`]: the processor of a thread.
//!
//! The engine decides when a request is due, when time-outs are looked for, how long to wait, and when the thread is done.
//! A [`Link`] has the sockets and knows the framing. There is one engine per link type, so no request is sent through a
//! `dyn` call.
//!
//! A *seat* is what sends one request after another: an FSU's port (udp), a connection (tcp), one exchange at a time (broadcast).

pub mod gate;
pub mod owner;
pub mod pin;
pub mod reply;
pub mod worker;

use crate::book::live::Live;
use crate::book::spread::Spread;
use crate::book::thread::ThreadReport;
use crate::hear::count::Count;
use crate::pace::Due;
use crate::workload::options::{Options, Pace};
use gate::Gate;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use worker::Worker;

/// How long to wait for a socket that takes no more.
const BLOCKED_NS: u64 = 100_000;

/// What carries requests and replies.
pub trait Link<'a>: Sized {
    /// What is opened before the threads start.
    type Sockets: Send + 'static;

    /// Requests sent in one turn before replies are received again, at a closed pace.
    const CLOSED_TURN_MAX: usize;
    /// The same at an open pace.
    const OPEN_TURN_MAX: usize;

    /// Prepares all requests of a thread's share.
    ///
    /// # Errors
    /// What the system refuses.
    fn new(options: &'a Options, worker: &mut Worker, sockets: Self::Sockets) -> io::Result<Self>;

    /// The targets, one per account.
    fn targets(&self) -> Vec<usize>;

    /// Closed pace: lets every port or connection have that many requests under way ([`Worker::ready`]).
    fn open_windows(&mut self, worker: &mut Worker, window: usize);

    /// The seat of port or connection number `turn`, if one more request may be under way there.
    fn seat(&mut self, worker: &Worker, turn: usize) -> Option<u32>;

    /// Sends the next request of a seat, or queues it for [`Self::flush`].
    fn ask(&mut self, worker: &mut Worker, seat: u32, planned_ns: u64, now_ns: u64);

    /// Writes what is queued, as far as the sockets take it.
    ///
    /// # Errors
    /// Those after which the socket cannot be used.
    fn flush(&mut self, worker: &mut Worker) -> io::Result<()>;

    /// Receives without waiting. Returns how many datagrams came; 0 from a link that receives in [`Self::wait`].
    ///
    /// # Errors
    /// Those after which the socket cannot be used.
    fn receive(&mut self, worker: &mut Worker) -> io::Result<usize>;

    /// Waits until something comes, at most that long. A zero time only lets a link receive that does so here.
    ///
    /// # Errors
    /// What waiting meets.
    fn wait(&mut self, worker: &mut Worker, at_most: Duration) -> io::Result<()>;

    /// Whether a socket takes no more at the moment, and does not say when it does.
    fn is_blocked(&self) -> bool;

    /// Whether requests are queued that do not count as under way yet.
    fn has_queued(&self) -> bool;

    /// Handles time-outs.
    ///
    /// # Errors
    /// What making a connection again meets.
    fn sweep(&mut self, worker: &mut Worker, now_ns: u64) -> io::Result<()>;

    /// The end: settles what is left, and counts the sockets' own drops.
    fn close(&mut self, worker: &mut Worker);

    /// The end: what devices said unasked.
    fn heard(&mut self) -> Option<Count> {
        None
    }

    /// Bytes of the first socket's receive buffer, as the kernel gave it; 0 for connections.
    fn receive_buffer_bytes(&self) -> u64;
}

/// What a thread counted, and what devices said to it unasked.
pub type Ended = (ThreadReport, Option<Count>);

/// Where a thread starts.
#[derive(Debug)]
pub struct Start<'s> {
    /// Number of the thread.
    pub number: usize,
    /// The processor that it is pinned to.
    pub cpu: Option<usize>,
    /// All threads start here together.
    pub gate: &'s Gate,
    /// What is shown of the run.
    pub live: Arc<Live>,
}

/// Runs a thread to its end.
///
/// # Errors
/// What its sockets meet.
pub fn run<'a, L: Link<'a>>(options: &'a Options, start: Start<'_>, sockets: L::Sockets) -> io::Result<Ended> {
    let made = Engine::<L>::new(options, Worker::new(options, start.number, start.live), sockets);
    // Every thread comes to the gate, also one that failed.
    let clock = start.gate.open();
    let mut engine = made?;
    engine.worker.clock = clock;
    if let Pace::Closed { window } = options.pace {
        engine.link.open_windows(&mut engine.worker, window);
    }
    engine.run()?;
    engine.link.close(&mut engine.worker);
    let heard = engine.link.heard();
    let closed = engine.worker.close(start.cpu, engine.link.receive_buffer_bytes(), &engine.link.targets());
    Ok((closed, heard))
}

/// A thread's state.
#[derive(Debug)]
pub(crate) struct Engine<L> {
    pub(crate) worker: Worker,
    pub(crate) link: L,
    /// Open pace: whose turn it is.
    turn: usize,
    /// Ports or connections that take turns.
    turns: usize,
}

impl<'a, L: Link<'a>> Engine<L> {
    pub(crate) fn new(options: &'a Options, mut worker: Worker, sockets: L::Sockets) -> io::Result<Self> {
        let link = L::new(options, &mut worker, sockets)?;
        let turns = link.targets().len();
        worker.book.accounts = vec![crate::book::account::Account::default(); turns];
        worker.book.spreads = Spread::of_each(turns);
        Ok(Self { worker, link, turn: 0, turns })
    }

    fn run(&mut self) -> io::Result<()> {
        if self.turns == 0 {
            self.worker.pacer.stop();
        }
        loop {
            let now = self.worker.clock.now_ns();
            if self.worker.tick(now) {
                self.worker.retry();
                self.link.sweep(&mut self.worker, now)?;
            }
            let next = self.gather(now);
            self.link.flush(&mut self.worker)?;
            let received = self.link.receive(&mut self.worker)?;
            if self.worker.is_done() && !self.link.has_queued() {
                return Ok(());
            }
            let has_more = received > 0 || (!self.worker.ready.is_empty() && !self.worker.has_ended());
            let at_most = if has_more { Duration::ZERO } else { self.time_to_wait(next) };
            self.link.wait(&mut self.worker, at_most)?;
        }
    }

    fn time_to_wait(&self, next_ns: Option<u64>) -> Duration {
        let now = self.worker.clock.now_ns();
        let next_ns = if self.link.is_blocked() { Some(now + BLOCKED_NS) } else { next_ns };
        self.worker.wait(now, next_ns)
    }

    /// Sends what is due. Returns when the next request is due, where that is known.
    pub(crate) fn gather(&mut self, now: u64) -> Option<u64> {
        let Self { worker, link, .. } = self;
        if !worker.pacer.is_open() {
            for _ in 0..L::CLOSED_TURN_MAX {
                let Some(seat) = worker.ready.pop_front() else { break };
                if !worker.pacer.take(now) {
                    worker.ready.clear();
                    break;
                }
                link.ask(worker, seat, now, now);
            }
            return None;
        }
        for _ in 0..L::OPEN_TURN_MAX {
            match worker.pacer.due(now) {
                Due::Now(planned) => {
                    let turn = self.turn;
                    self.turn = (turn + 1) % self.turns.max(1);
                    match link.seat(worker, turn) {
                        Some(seat) => link.ask(worker, seat, planned, now),
                        None => worker.book.tally.other.not_sent += 1,
                    }
                }
                Due::At(at) => return Some(at),
                Due::Never => return None,
            }
        }
        Some(now)
    }
}
