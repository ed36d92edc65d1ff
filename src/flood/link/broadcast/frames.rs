//! What a received frame does to an exchange, and how an exchange ends.

use super::{Broadcast, MS_NS, exchange_wire};
use crate::book::Seen;
use crate::book::tally::Transfers;
use crate::engine::worker::Worker;
use crate::expect::Wrong;
use crate::lane::{Flight, Settled, recycle};
use crate::link::datagram::Arrived;
use fsu_core::client::exchange::{Exchange, Outcome, did};
use fsu_core::client::verify::Expected;
use fsu_plan::model::template::Template;
use fsu_plan::wire::inner;
use fsu_plan::wire::reason::Reason;

impl Broadcast<'_> {
    /// A frame came from a port.
    pub(super) fn on_frame(&mut self, worker: &mut Worker, port: u32, arrived: Arrived<'_>) {
        let Arrived { bytes, socket, now_ns, .. } = arrived;
        let target = &self.options.targets[self.ports[port as usize].target];
        let seen = Seen { fsu: &target.name, account: port, bytes, now_ns };
        let number = match self.whose(port, socket, bytes) {
            Ok(seat) => seat,
            Err(why) => {
                worker.book.unexpected(seen, why.map_or("nothing under way", Reason::reason));
                return;
            }
        };
        let seat = &mut self.seats[number as usize];
        let (Some(exchange), Some(flight)) = (&mut seat.exchange, &seat.flight) else {
            // Asked for again before it came, and then not needed any more.
            worker.book.tally.transfers.passed_over += u64::from(now_ns >= worker.book.measure_from_ns);
            return;
        };
        if flight.burst.is_some() {
            self.on_burst(worker, number, seen);
            return;
        }
        let waited = exchange.answer().is_empty();
        if !exchange.on_frame(bytes, now_ns / MS_NS)
            && let Err(reason) = whole(exchange.template(), bytes, &mut self.plain)
        {
            worker.book.unexpected(seen, reason.reason());
            return;
        }
        if waited && !exchange.answer().is_empty() {
            let prepared = &target.profile.requests[flight.request as usize];
            seat.answer = prepared.expect.check(prepared.template(), exchange.request(), bytes, &mut self.plain);
        }
        if exchange.outcome().is_some() {
            self.finish(worker, number, bytes, now_ns);
        } else {
            self.post(worker, number);
        }
    }

    /// A frame for an exchange that several replies answer.
    #[cold]
    fn on_burst(&mut self, worker: &mut Worker, number: u32, seen: Seen<'_>) {
        let seat = &mut self.seats[number as usize];
        let (Some(exchange), Some(flight)) = (&mut seat.exchange, &mut seat.flight) else { return };
        let Some(burst) = &mut flight.burst else { return };
        let template = exchange.template();
        if let Err(reason) = whole(template, seen.bytes, &mut self.plain) {
            worker.book.unexpected(seen, reason.reason());
            return;
        }
        // The first one ends the exchange, as far as that is concerned.
        exchange.on_frame(seen.bytes, seen.now_ns / MS_NS);
        let profile = &self.options.targets[self.ports[seat.port as usize].target].profile;
        let prepared = &profile.requests[flight.request as usize];
        let raw = exchange.request();
        let right = prepared.expect.check(template, raw, seen.bytes, &mut self.plain).and_then(|()| {
            let came = crate::expect::raw(template, seen.bytes, &self.plain);
            let looks_like = prepared.expect.looks_like(raw, came);
            burst.after(true, &looks_like).ok_or(Wrong::Turn)
        });
        seat.answer = right.as_ref().map(drop).map_err(|wrong| *wrong);
        seat.until_ns = seen.now_ns.saturating_add(worker.timeout_ns);
        match right {
            Ok(after) => **burst = after,
            Err(_) => burst.spoil(),
        }
        if burst.left() == 0 {
            self.finish(worker, number, seen.bytes, seen.now_ns);
            return;
        }
        let part = Settled::Part { flight: flight.clone(), wrong: seat.answer.err(), overdue: false };
        worker.book.settled(part, seen, |_| prepared.label, |_: &Flight| exchange_wire(exchange));
    }

    /// The seat that a frame is for, by its DID. The error says what keeps the frame from being read, if anything does.
    fn whose(&mut self, port_number: u32, socket: usize, bytes: &[u8]) -> Result<u32, Option<Reason>> {
        let port = &self.ports[port_number as usize];
        let sockets = self.posts.len();
        let first = (socket + sockets - port_number as usize % sockets) % sockets;
        let mut read: Option<(*const Template, Result<Option<u64>, Reason>)> = None;
        for &seat in port.seats.iter().skip(first).step_by(sockets) {
            let Some(exchange) = &self.seats[seat as usize].exchange else { continue };
            let template = exchange.template();
            let carried = match read {
                Some((by, carried)) if std::ptr::eq(by, template) => carried,
                _ => inner::parse(template, bytes, &mut self.plain).map(|frame| did(template, frame.raw)),
            };
            read = Some((template, carried));
            if carried == Ok(exchange.did()) {
                return Ok(seat);
            }
        }
        Err(read.and_then(|(_, carried)| carried.err()))
    }

    /// An exchange is not answered.
    pub(super) fn give_up(&mut self, worker: &mut Worker, number: u32) {
        let seat = &mut self.seats[number as usize];
        let (Some(exchange), Some(flight)) = (&seat.exchange, seat.flight.take()) else { return };
        seat.should = None;
        let target = &self.options.targets[self.ports[seat.port as usize].target];
        let prepared = &target.profile.requests[flight.request as usize];
        let seen = Seen { fsu: &target.name, account: seat.port, bytes: &[], now_ns: 0 };
        worker.book.gave_up(prepared.label, seen, &flight, || exchange_wire(exchange));
        recycle(flight.raw, &mut worker.spent);
    }

    /// An exchange has ended.
    pub(super) fn finish(&mut self, worker: &mut Worker, number: u32, bytes: &[u8], now_ns: u64) {
        let seat = &mut self.seats[number as usize];
        let (Some(exchange), Some(flight)) = (&seat.exchange, seat.flight.take()) else { return };
        let Some(outcome) = exchange.outcome() else { return };
        let port = &self.ports[seat.port as usize];
        let target = &self.options.targets[port.target];
        let requests = &target.profile.requests;
        let prepared = &requests[flight.request as usize];
        let own = seat.should.take();
        let should = Some(own.as_ref().unwrap_or(&port.plans[flight.request as usize])).filter(|_| !self.options.echo);
        let right = match outcome {
            Outcome::Done if should.is_some_and(|should| should.holds(exchange.payload()) == Some(false)) => {
                seat.answer.and(Err(Wrong::Payload))
            }
            Outcome::TooLong => seat.answer.and(Err(Wrong::Payload)),
            _ => seat.answer,
        };
        if worker.book.counts(&flight) {
            let has_data = should.is_some_and(|should| !matches!(should, Expected::Nothing));
            let ended = Ended { exchange, outcome, is_right: right.is_ok(), has_data };
            ended.count(&flight, now_ns, &mut worker.book.tally.transfers);
        }
        let burst = flight.burst.as_ref();
        let (is_short, is_spoilt) = burst.map_or((false, false), |burst| (burst.left() > 0, burst.is_spoilt()));
        let flight = if is_short || matches!(outcome, Outcome::TimedOut | Outcome::Lost) {
            let seen = Seen { fsu: &target.name, account: seat.port, bytes: &[], now_ns: 0 };
            worker.book.gave_up(prepared.label, seen, &flight, || exchange_wire(exchange));
            Some(flight)
        } else {
            let settled = match right {
                Ok(()) if is_spoilt => Settled::Spoilt(flight),
                Ok(()) => Settled::Good(flight, false),
                Err(wrong) => Settled::Wrong { flight, wrong, overdue: false },
            };
            let seen = Seen { fsu: &target.name, account: seat.port, bytes, now_ns };
            let label = |flight: &Flight| requests[flight.request as usize].label;
            worker.book.settled(settled, seen, label, |_: &Flight| exchange_wire(exchange))
        };
        if let Some(flight) = flight {
            recycle(flight.raw, &mut worker.spent);
        }
        worker.ended(number);
    }
}

/// An exchange that has ended.
struct Ended<'e> {
    exchange: &'e Exchange<'e>,
    outcome: Outcome,
    is_right: bool,
    /// The rules let data follow.
    has_data: bool,
}

impl Ended<'_> {
    /// Counts what it took.
    fn count(&self, flight: &Flight, now_ns: u64, transfers: &mut Transfers) {
        let took = self.exchange.tally();
        transfers.retries += took.retries;
        transfers.restarts += took.restarts;
        transfers.passed_over += took.passed_over;
        let payload = self.exchange.payload();
        match self.outcome {
            Outcome::Done if self.is_right && !payload.is_empty() => {
                transfers.whole += 1;
                transfers.ended_ns = transfers.ended_ns.max(now_ns);
                transfers.bytes += payload.len() as u64;
                transfers.latency.saturating_record(now_ns.saturating_sub(flight.planned_ns));
            }
            Outcome::TimedOut | Outcome::Lost => transfers.failed += u64::from(self.has_data),
            Outcome::Refused if !self.is_right => transfers.refused += 1,
            _ => {}
        }
    }
}

/// What is wrong with a frame that was passed over; nothing, where it only came at the wrong time.
#[cold]
fn whole(template: &Template, wire: &[u8], scratch: &mut Vec<u8>) -> Result<(), Reason> {
    let frame = inner::parse(template, wire, scratch)?;
    inner::reply_lengths_ok(template, &frame)?;
    if inner::checksum_ok(template, &frame) { Ok(()) } else { Err(Reason::BadChecksum) }
}
