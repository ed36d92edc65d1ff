//! What a thread has on every transport: clock, pace, book, seats, values made for each request, CPU time.

use crate::book::live::Live;
use crate::book::thread::ThreadReport;
use crate::book::{Book, Seen};
use crate::clock::{Clock, cpu_ns};
use crate::engine::owner::Owner;
use crate::engine::reply::ReplyMatcher;
use crate::expect::Wrong;
use crate::lane::{Flight, Lane, Settled, recycle};
use crate::pace::Pacer;
use crate::workload::options::{AskedFsu, Options};
use crate::workload::profile::Prepared;
use crate::workload::turns::RequestTurn;
use fastrand::Rng;
use fsu_core::answer::build::Inputs;
use fsu_core::answer::random::Dice;
use fsu_plan::wire::civil::{Calendar, Now};

use std::net::SocketAddr;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often figures are published.
const PUBLISH_NS: u64 = 100_000_000;
/// Sweeps for time-outs within one time-out.
const SWEEPS_PER_TIMEOUT: u64 = 20;
/// Refused datagrams after which a thread that has received nothing ends the run.
const REFUSED_MAX: u64 = 10;
/// Longest wait without a look at the clock.
const WAIT_NS_MAX: u64 = 50_000_000;

/// The end of sending.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_field_names, reason = "units")]
struct End {
    /// When it was found.
    at_ns: u64,
    /// Up to when rates count.
    measured_to_ns: u64,
    /// CPU time of the thread at that time.
    cpu_ns: u64,
}

/// What every thread has.
#[derive(Debug)]
pub struct Worker {
    /// Number of the thread.
    pub number: usize,
    /// The run's clock.
    pub clock: Clock,
    /// Its share of the pace.
    pub pacer: Pacer,
    /// What it counts.
    pub book: Book,
    /// A reply after this is late.
    pub timeout_ns: u64,
    /// Buffers of answered requests.
    pub spent: Vec<Vec<u8>>,
    /// Requests under way.
    pub open: usize,
    /// Closed pace: seats that may send one more request.
    pub ready: VecDeque<u32>,
    /// Closed pace: seats whose last request was refused; they ask again at the next sweep.
    refused: Vec<u32>,
    /// Replies come before their rules' delays are over.
    skips_delays: bool,
    live: Arc<Live>,
    dice: Dice,
    calendar: Calendar,
    utc_offset_s: i32,
    text: Vec<u8>,
    next_publish_ns: u64,
    next_sweep_ns: u64,
    measure_from_ns: u64,
    cpu_at_start_ns: Option<u64>,
    end: Option<End>,
    given_up: Option<String>,
}

impl Worker {
    /// Thread number `number` of the run.
    pub fn new(options: &Options, number: usize, live: Arc<Live>) -> Self {
        let nanos = |time: Duration| time.as_nanos() as u64;
        let measure_from_ns = nanos(options.warmup);
        let end_ns = measure_from_ns.saturating_add(nanos(options.send_for));
        Self {
            number,
            // Set when the run starts.
            clock: Clock(Instant::now()),
            pacer: Pacer::new(options.pace, (number, options.threads), end_ns, options.requests, options.seed),
            book: Book::new(options.labels.len(), measure_from_ns),
            timeout_ns: nanos(options.timeout),
            spent: Vec::new(),
            open: 0,
            ready: VecDeque::new(),
            refused: Vec::new(),
            skips_delays: false,
            live,
            dice: Rng::with_seed(options.seed ^ (number as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)).into(),
            calendar: Calendar::default(),
            utc_offset_s: jiff::Zoned::now().offset().seconds(),
            text: Vec::new(),
            next_publish_ns: 0,
            next_sweep_ns: 0,
            measure_from_ns,
            cpu_at_start_ns: None,
            end: None,
            given_up: None,
        }
    }

    /// Makes the values of a request: raw bytes into the first buffer, wire bytes into the second.
    pub fn renew(
        &mut self,
        target: &AskedFsu,
        prepared: &Prepared,
        turn: RequestTurn,
        bytes: (&mut Vec<u8>, &mut Vec<u8>),
    ) {
        // Marks need no clock.
        let time = if prepared.dynamic.is_empty() { None } else { SystemTime::now().duration_since(UNIX_EPOCH).ok() };
        let unix_ms = time.map_or(0, |time| time.as_millis() as i64);
        let mut inputs = Inputs {
            request: &[],
            trace: None,
            state: None,
            device: 0,
            id_hex: &target.id,
            seq: turn.seq,
            due: Now { unix_ms, utc_offset_s: self.utc_offset_s },
            moment: None,
            calendar: &mut self.calendar,
            dice: &mut self.dice,
            item: None,
        };
        self.book.tally.other.misfits += prepared.renew(turn.number, &mut inputs, bytes, &mut self.text);
    }

    /// A frame came from the owner of a lane: settles and books it; see [`Lane::settle`]. Returns whether it is a right reply to a
    /// known request, in time or not.
    #[inline]
    pub fn settle<'a, F>(
        &mut self,
        lane: &mut Lane,
        owner: &Owner<'_>,
        seen: &Seen<'_>,
        reply: ReplyMatcher<'a, F>,
    ) -> bool
    where
        F: FnMut(&Prepared) -> Result<&'a [u8], Wrong>,
    {
        self.book.received(owner.seat);
        let settled = self.settled(lane, owner, seen, reply);
        let is_good = match &settled {
            Settled::Good(..) | Settled::Late(..) | Settled::Spoilt(_) | Settled::Duplicate => true,
            Settled::Part { wrong, .. } => wrong.is_none(),
            Settled::Wrong { .. } | Settled::Held(_) | Settled::Unexpected(_) => false,
        };
        let wire = |flight: &Flight| owner.wire(flight);
        if let Some(flight) = self.book.settled(settled, *seen, |flight| owner.label(flight), wire) {
            recycle(flight.raw, &mut self.spent);
            self.ended(owner.seat);
        }
        is_good
    }

    /// A server that skips delays gives itself away by a reply that comes too early.
    #[inline]
    fn settled<'a, F>(
        &mut self,
        lane: &mut Lane,
        owner: &Owner<'_>,
        seen: &Seen<'_>,
        reply: ReplyMatcher<'a, F>,
    ) -> Settled
    where
        F: FnMut(&Prepared) -> Result<&'a [u8], Wrong>,
    {
        let settled = lane.settle(seen.now_ns, &mut reply.skipping(self.skips_delays));
        match &settled {
            Settled::Good(flight, false)
                if seen.now_ns.saturating_sub(flight.sent_ns) < owner.prepared(flight).timing.least_ns =>
            {
                self.skips_delays = true;
            }
            Settled::Held(wrong) if !lane.hold(seen.now_ns, *wrong, seen.bytes) => {
                return Settled::Unexpected(Some(*wrong));
            }
            _ => {}
        }
        settled
    }

    /// A request is no longer under way: its seat may ask again.
    #[inline]
    pub fn ended(&mut self, seat: u32) {
        self.open -= 1;
        if !self.pacer.is_open() {
            self.ready.push_back(seat);
        }
    }

    /// A request was refused, and does not count as under way (any more): its seat asks again, but not at once.
    #[cold]
    pub fn put_off(&mut self, seat: u32) {
        if !self.pacer.is_open() {
            self.refused.push(seat);
        }
    }

    /// Seats that were refused ask again.
    pub fn retry(&mut self) {
        self.ready.extend(self.refused.drain(..));
    }

    /// Gives up the requests of a lane that are past their time-out.
    pub fn expire(&mut self, lane: &mut Lane, owner: &Owner<'_>, now_ns: u64) {
        let (mut ended, book) = (0, &mut self.book);
        let forgotten = lane.expire(now_ns, &mut self.spent, |gone| ended += usize::from(owner.gone(book, &gone)));
        self.book.tally.other.forgotten += forgotten;
        (0..ended).for_each(|_| self.ended(owner.seat));
    }

    /// Gives up all requests of a lane, and forgets them: no reply to them can come any more.
    pub fn give_up(&mut self, lane: &mut Lane, owner: &Owner<'_>) {
        let (mut ended, book) = (0, &mut self.book);
        lane.close(&mut self.spent, |gone| ended += usize::from(owner.gone(book, &gone)));
        (0..ended).for_each(|_| self.ended(owner.seat));
    }

    /// A request has left.
    #[inline]
    pub fn sent(&mut self, prepared: &Prepared, account: u32, flight: &Flight, bytes: usize) {
        self.open += 1;
        self.book.sent(prepared.label, account, flight);
        self.book.tally.other.bytes_out += bytes as u64;
    }

    /// Housekeeping. Returns whether it is time for a sweep.
    pub fn tick(&mut self, now_ns: u64) -> bool {
        if self.cpu_at_start_ns.is_none() && now_ns >= self.measure_from_ns {
            self.cpu_at_start_ns = Some(cpu_ns());
        }
        if self.live.is_stopped() {
            self.pacer.stop();
        }
        if self.end.is_none() && self.pacer.is_over(now_ns) {
            let measured_to_ns = if self.live.is_stopped() { now_ns } else { self.pacer.ended_ns(now_ns) };
            self.end = Some(End { at_ns: now_ns, measured_to_ns, cpu_ns: cpu_ns() });
            self.book.tally.other.not_sent += self.pacer.give_up();
            self.live.publish(self.number, &mut self.book, (cpu_ns(), self.open as u64));
            self.live.sent_all(self.clock.0 + Duration::from_nanos(measured_to_ns));
            self.next_publish_ns = now_ns + PUBLISH_NS;
        }
        if now_ns >= self.next_publish_ns {
            self.next_publish_ns = now_ns + PUBLISH_NS;
            self.live.publish(self.number, &mut self.book, (cpu_ns(), self.open as u64));
        }
        let sweep = now_ns >= self.next_sweep_ns;
        if sweep {
            self.next_sweep_ns = now_ns + (self.timeout_ns / SWEEPS_PER_TIMEOUT).clamp(1_000_000, WAIT_NS_MAX);
        }
        sweep
    }

    /// How long to wait if nothing is received.
    pub fn wait(&self, now_ns: u64, next_send_ns: Option<u64>) -> Duration {
        let until = self.next_sweep_ns.min(next_send_ns.unwrap_or(u64::MAX));
        Duration::from_nanos(until.saturating_sub(now_ns).min(WAIT_NS_MAX))
    }

    /// Counts received bytes.
    #[inline]
    pub fn heard(&mut self, bytes: usize) {
        self.book.tally.other.bytes_in += bytes as u64;
    }

    /// Has anything been received?
    pub fn has_heard(&self) -> bool {
        self.book.tally.other.bytes_in > 0
    }

    /// A host reported that nobody listens there. A server may come back; if there never was one, the run ends.
    #[cold]
    pub fn refused(&mut self, fsu: &str, at: SocketAddr) {
        self.book.refused(at);
        if !self.has_heard() && self.book.tally.other.refused == REFUSED_MAX {
            self.end_run(format!("{fsu} at {at}: refused, nobody listens there"));
        }
    }

    /// Ends the run early, with a reason for the report.
    pub fn end_run(&mut self, why: String) {
        self.live.stop();
        self.given_up = Some(why);
    }

    /// Was the run stopped?
    pub fn is_stopped(&self) -> bool {
        self.live.is_stopped()
    }

    /// Whether sending has ended and nothing is under way.
    pub fn is_done(&self) -> bool {
        self.end.is_some() && self.open == 0
    }

    /// Has sending ended?
    pub fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// Did it end more than a time-out ago?
    pub fn is_past_end(&self, now_ns: u64) -> bool {
        self.end.is_some_and(|end| now_ns.saturating_sub(end.at_ns) > self.timeout_ns)
    }

    /// Closes the book; its accounts are those of these targets.
    pub fn close(mut self, cpu: Option<usize>, receive_buffer_bytes: u64, targets: &[usize]) -> ThreadReport {
        self.live.publish(self.number, &mut self.book, (cpu_ns(), self.open as u64));
        self.live.end();
        let now_ns = self.clock.now_ns();
        let end = self.end.unwrap_or_else(|| End { at_ns: now_ns, measured_to_ns: now_ns, cpu_ns: cpu_ns() });
        ThreadReport {
            measured_ns: end.measured_to_ns.saturating_sub(self.measure_from_ns),
            busy_ns: end.at_ns.saturating_sub(self.measure_from_ns),
            replies_ns: self.book.replies_ns,
            tally: self.book.tally,
            accounts: targets.iter().copied().zip(self.book.accounts).collect(),
            spreads: targets.iter().copied().zip(self.book.spreads).collect(),
            cpu_ns: end.cpu_ns.saturating_sub(self.cpu_at_start_ns.unwrap_or(end.cpu_ns)),
            cpu,
            receive_buffer_bytes,
            given_up: self.given_up,
        }
    }
}
