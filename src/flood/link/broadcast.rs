//! A thread that asks BroadCast FSUs: whole exchanges ([`Exchange`]: a command, its answer, all data frames), many at once.
//!
//! - [`choice`]: what can be asked at once, and what follows each command; checked before the run.
//! - [`post`]: a socket, and what waits to leave by it.
//!
//! An FSU has one exchange at a time with each client address and device id (DID). So the exchanges under way on one port go over
//! the thread's sockets in turn, and those that share a socket have the request's DID and the ones after it.

pub mod choice;
mod post;

pub use choice::{check, notes};

use crate::book::account::Account;
use crate::book::live::Live;
use crate::book::thread::ThreadReport;
use crate::book::{NOBODY, Seen};
use crate::clock::wait_for;
use crate::engine::worker::{Gate, Place, Worker};
use crate::expect::Wrong;
use crate::lane::{Flight, Settled, recycle};
use crate::link::udp::{BATCHES_MAX, BLOCKED_NS, GATHERED_MAX, is_passing, share};
use crate::pace::Due;
use crate::workload::options::{OPEN_MAX, Options, Pace};
use choice::{plans, put_did, slots_max};
use fastrand::Rng;
use fsu_core::client::exchange::{Exchange, Follows, Outcome, Patience, Terms, did};
use fsu_core::client::request::finish;
use fsu_core::client::verify::{Expected, expected};
use fsu_net::message::canonical;
use fsu_net::sender::UdpSender;
use fsu_net::sys::{BATCH, Receiver, lost, refused};
use fsu_plan::model::template::Template;
use fsu_plan::wire::inner;
use fsu_plan::wire::reason::Reason;
use post::Post;
use rustix::event::epoll;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// Nanoseconds of a millisecond: exchanges count in these.
const MS_NS: u64 = 1_000_000;

/// A place for one exchange at a time: an address, a socket, a distance from the request's DID.
#[derive(Debug)]
struct Slot<'a> {
    port: u32,
    socket: u32,
    /// Added to the request's DID.
    further: u64,
    /// The exchange; one that has ended keeps its buffers and its number for the next.
    exchange: Option<Exchange<'a>>,
    /// The command under way; `None`: the slot is free.
    flight: Option<Flight>,
    /// What should follow where the request is of its own.
    should: Option<Expected>,
    /// What is wrong with the answer.
    answer: Result<(), Wrong>,
    /// A burst that has begun goes on until then, at most.
    until_ns: u64,
}

/// An FSU's port.
#[derive(Debug)]
struct Port {
    target: usize,
    /// Its slots; number n of them goes by socket n + the port's own number, in turn.
    slots: Vec<u32>,
    slots_max: usize,
    place: Place,
    plans: Arc<[Expected]>,
}

/// The thread's state.
struct Broadcast<'a> {
    options: &'a Options,
    worker: Worker,
    ports: Vec<Port>,
    by_address: HashMap<SocketAddr, u32>,
    slots: Vec<Slot<'a>>,
    posts: Vec<Post>,
    epoll: OwnedFd,
    sender: UdpSender,
    /// Closed pace: free slots.
    ready: VecDeque<u32>,
    /// Closed pace: slots whose last command found nobody listening; tried again at the next sweep.
    refused: Vec<u32>,
    turn: usize,
    drops: Rng,
    raw: Vec<u8>,
    plain: Vec<u8>,
}

/// Runs thread `number` to its end.
pub fn run(
    options: &Options,
    number: usize,
    cpu: Option<usize>,
    sockets: Vec<UdpSocket>,
    gate: &Gate,
    live: Arc<Live>,
) -> io::Result<ThreadReport> {
    let receive_buffer = sockets.first().map(|socket| socket2::SockRef::from(socket).recv_buffer_size());
    let receive_buffer_bytes = receive_buffer.and_then(Result::ok).unwrap_or(0) as u64;
    let made = Broadcast::new(options, Worker::new(options, number, live), sockets);
    let clock = gate.open();
    let mut all = made?;
    all.worker.clock = clock;
    all.open_windows();
    all.run(&mut Receiver::new())?;
    let drops = all.posts.iter().filter_map(|post| lost(post.socket.as_fd()));
    all.worker.book.tally.other.own_drops = drops.map(u64::from).sum();
    let targets: Vec<usize> = all.ports.iter().map(|port| port.target).collect();
    Ok(all.worker.close(cpu, receive_buffer_bytes, &targets))
}

impl<'a> Broadcast<'a> {
    fn new(options: &'a Options, worker: Worker, sockets: Vec<UdpSocket>) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        for (index, socket) in sockets.iter().enumerate() {
            epoll::add(&epoll, socket, epoll::EventData::new_u64(index as u64), epoll::EventFlags::IN)?;
        }
        let (mut ports, mut by_address) = (Vec::new(), HashMap::new());
        let mut made = HashMap::new();
        for target_index in share(options.targets.len(), worker.number, options.threads) {
            let target = &options.targets[target_index];
            let plans = made.entry(Arc::as_ptr(&target.profile)).or_insert_with(|| plans(&target.profile));
            by_address.insert(canonical(target.address), ports.len() as u32);
            ports.push(Port {
                target: target_index,
                slots: Vec::new(),
                slots_max: slots_max(&target.profile, sockets.len()),
                place: Place::new((target_index % target.profile.sequence.len()) as u32),
                plans: Arc::clone(plans),
            });
        }
        let mut worker = worker;
        worker.book.accounts = vec![Account::default(); ports.len()];
        Ok(Self {
            options,
            drops: Rng::with_seed(options.seed ^ (worker.number as u64).wrapping_add(0x6C6F_7373)),
            worker,
            ports,
            by_address,
            slots: Vec::new(),
            posts: sockets.into_iter().map(Post::new).collect(),
            epoll,
            sender: UdpSender::new(options.gso),
            ready: VecDeque::new(),
            refused: Vec::new(),
            turn: 0,
            raw: Vec::new(),
            plain: Vec::new(),
        })
    }

    fn open_windows(&mut self) {
        if let Pace::Closed { window } = self.options.pace {
            for _ in 0..window {
                for port in 0..self.ports.len() {
                    let slot = self.add_slot(port);
                    self.ready.push_back(slot);
                }
            }
        }
    }

    /// One more slot for a port.
    fn add_slot(&mut self, port_index: usize) -> u32 {
        let slot = self.slots.len() as u32;
        let sockets = self.posts.len();
        let port = &mut self.ports[port_index];
        let number = port.slots.len();
        port.slots.push(slot);
        self.slots.push(Slot {
            port: port_index as u32,
            socket: ((port_index + number) % sockets) as u32,
            further: (number / sockets) as u64,
            exchange: None,
            flight: None,
            should: None,
            answer: Ok(()),
            until_ns: 0,
        });
        slot
    }

    fn run(&mut self, receiver: &mut Receiver) -> io::Result<()> {
        if self.ports.is_empty() {
            self.worker.pacer.stop();
        }
        loop {
            let now = self.worker.clock.now_ns();
            if self.worker.tick(now) {
                self.sweep(now);
            }
            let next = self.gather(now);
            for socket in 0..self.posts.len() {
                self.flush(socket);
                if self.posts[socket].is_refused {
                    self.on_refused(socket);
                }
            }
            let received = self.receive(receiver)?;
            if self.worker.is_done() {
                return Ok(());
            }
            if received > 0 || (!self.ready.is_empty() && !self.worker.has_ended()) {
                continue;
            }
            let now = self.worker.clock.now_ns();
            let next = if self.posts.iter().any(Post::is_blocked) { Some(now + BLOCKED_NS) } else { next };
            let wait = self.worker.wait(now, next);
            if wait.is_zero() {
                continue;
            }
            wait_for(&self.epoll, wait)?;
        }
    }

    /// Begins what is due; when the next one is, where that is known.
    fn gather(&mut self, now: u64) -> Option<u64> {
        let mut room = GATHERED_MAX;
        if !self.worker.pacer.is_open() {
            while room > 0
                && let Some(slot) = self.ready.pop_front()
            {
                if !self.worker.pacer.take(now) {
                    self.ready.clear();
                    return None;
                }
                self.begin(slot, now, now);
                room -= 1;
            }
            return None;
        }
        while room > 0 {
            match self.worker.pacer.due(now) {
                Due::Now(planned) => {
                    let port = self.turn;
                    self.turn = (self.turn + 1) % self.ports.len().max(1);
                    match self.free_slot(port) {
                        Some(slot) => self.begin(slot, planned, now),
                        None => self.worker.book.tally.other.not_sent += 1,
                    }
                    room -= 1;
                }
                Due::At(at) => return Some(at),
                Due::Never => return None,
            }
        }
        Some(now)
    }

    /// Open pace: a free slot of a port, a new one where the protocol lets it have one more.
    fn free_slot(&mut self, port_index: usize) -> Option<u32> {
        let port = self.ports.get(port_index)?;
        let free = port.slots.iter().copied().find(|&slot| self.slots[slot as usize].flight.is_none());
        if free.is_some() {
            return free;
        }
        let has_room = port.slots.len() < port.slots_max && self.worker.open < OPEN_MAX;
        has_room.then(|| self.add_slot(port_index))
    }

    /// The next command of a slot's port.
    fn begin(&mut self, slot_index: u32, planned_ns: u64, now: u64) {
        let slot = &mut self.slots[slot_index as usize];
        let port = &mut self.ports[slot.port as usize];
        let target = &self.options.targets[port.target];
        let (request, turn) = port.place.next(&target.profile);
        let prepared = &target.profile.requests[request as usize];
        let raw = &mut self.raw;
        let mut own = Vec::new();
        if prepared.is_own() {
            self.worker.renew(target, prepared, turn, (&mut *raw, &mut self.plain));
            own = self.worker.spent.pop().unwrap_or_default();
            own.clear();
            own.extend_from_slice(raw);
            slot.should = Some(expected(&prepared.device, prepared.command, raw));
        } else {
            raw.clear();
            raw.extend_from_slice(&prepared.raw);
        }
        let flight = prepared.flight(request, own, planned_ns, now);
        put_did(prepared.template(), slot.further, raw);
        let follows = match &slot.should {
            _ if self.options.echo => Follows::Nothing,
            Some(own) => own.follows(),
            None => port.plans[request as usize].follows(),
        };
        // What should not be answered is not asked for again.
        let retries = if flight.silent { 0 } else { self.options.retries };
        let patience = Patience { timeout_ms: (self.worker.timeout_ns / MS_NS).max(1), retries };
        let template = prepared.template();
        match &mut slot.exchange {
            Some(exchange) => exchange.again(template, raw, Terms { follows, patience }, now / MS_NS),
            None => slot.exchange = Some(Exchange::new(template, raw.clone(), follows, patience, now / MS_NS)),
        }
        slot.answer = Ok(());
        slot.until_ns = 0;
        // Its bytes are counted when they are posted.
        self.worker.sent(prepared, slot.port, &flight, 0);
        slot.flight = Some(flight);
        self.post(slot_index);
    }

    /// What an exchange wants to send, unless it is to be lost.
    fn post(&mut self, slot_index: u32) {
        let slot = &mut self.slots[slot_index as usize];
        let Some(bytes) = slot.exchange.as_mut().and_then(Exchange::to_send) else { return };
        let tally = &mut self.worker.book.tally;
        if self.options.drop > 0.0 && self.drops.f64() < self.options.drop {
            tally.transfers.dropped += 1;
            return;
        }
        let peer = self.options.targets[self.ports[slot.port as usize].target].address;
        let socket = slot.socket as usize;
        if self.posts[socket].push(peer, bytes) {
            tally.other.bytes_out += bytes.len() as u64;
        } else {
            // The socket takes no more: as if it were lost on its way.
            tally.other.send_errors += 1;
        }
        if self.posts[socket].is_filling() {
            self.flush(socket);
        }
    }

    fn flush(&mut self, socket: usize) {
        self.worker.book.tally.other.send_errors += self.posts[socket].flush(&mut self.sender);
    }

    fn receive(&mut self, receiver: &mut Receiver) -> io::Result<usize> {
        let mut total = 0;
        for index in 0..self.posts.len() {
            for _ in 0..BATCHES_MAX {
                let count = match receiver.receive(self.posts[index].socket.as_fd(), BATCH) {
                    Ok(count) => count,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) if is_passing(&error) => {
                        self.on_refused(index);
                        continue;
                    }
                    Err(error) => return Err(error),
                };
                let now = self.worker.clock.now_ns();
                for at in 0..count {
                    if let Some(received) = receiver.get(at) {
                        received.datagrams().for_each(|bytes| self.on_datagram(bytes, received.peer, index, now));
                    }
                }
                self.flush(index);
                total += count;
                if count < BATCH {
                    break;
                }
            }
        }
        Ok(total)
    }

    fn on_datagram(&mut self, bytes: &[u8], from: SocketAddr, socket: usize, now: u64) {
        self.worker.heard(bytes.len());
        let Some(&port_index) = self.by_address.get(&from) else {
            let seen = Seen { fsu: "", account: NOBODY, bytes, now_ns: now };
            self.worker.book.unexpected(seen, "from an address that was not asked");
            return;
        };
        let target = &self.options.targets[self.ports[port_index as usize].target];
        let seen = Seen { fsu: &target.name, account: port_index, bytes, now_ns: now };
        let slot_index = match self.whose(port_index, socket, bytes) {
            Ok(slot) => slot,
            Err(why) => {
                self.worker.book.unexpected(seen, why.map_or("nothing under way", Reason::reason));
                return;
            }
        };
        let slot = &mut self.slots[slot_index as usize];
        let (Some(exchange), Some(flight)) = (&mut slot.exchange, &slot.flight) else {
            // Asked for again before it came, and then not needed any more.
            self.worker.book.tally.transfers.passed_over += u64::from(now >= self.worker.book.measure_from_ns);
            return;
        };
        if flight.burst.is_some() {
            self.on_burst(slot_index, bytes, seen);
            return;
        }
        let waited = exchange.answer().is_empty();
        if !exchange.on_frame(bytes, now / MS_NS)
            && let Err(reason) = whole(exchange.template(), bytes, &mut self.plain)
        {
            self.worker.book.unexpected(seen, reason.reason());
            return;
        }
        if waited && !exchange.answer().is_empty() {
            let prepared = &target.profile.requests[flight.request as usize];
            slot.answer = prepared.expect.check(prepared.template(), exchange.request(), bytes, &mut self.plain);
        }
        if exchange.outcome().is_some() {
            self.finish(slot_index, bytes, now);
        } else {
            self.post(slot_index);
        }
    }

    /// A frame for an exchange that several replies answer.
    #[cold]
    fn on_burst(&mut self, slot_index: u32, bytes: &[u8], seen: Seen<'_>) {
        let slot = &mut self.slots[slot_index as usize];
        let (Some(exchange), Some(flight)) = (&mut slot.exchange, &mut slot.flight) else { return };
        let Some(burst) = &mut flight.burst else { return };
        let template = exchange.template();
        if let Err(reason) = whole(template, bytes, &mut self.plain) {
            self.worker.book.unexpected(seen, reason.reason());
            return;
        }
        // The first one ends the exchange, as far as that is concerned.
        exchange.on_frame(bytes, seen.now_ns / MS_NS);
        let profile = &self.options.targets[self.ports[slot.port as usize].target].profile;
        let prepared = &profile.requests[flight.request as usize];
        let raw = exchange.request();
        let right = prepared.expect.check(template, raw, bytes, &mut self.plain).and_then(|()| {
            let looks_like = prepared.expect.looks_like(template, raw, bytes, &mut self.plain);
            burst.after(true, &looks_like).ok_or(Wrong::Turn)
        });
        slot.answer = right.as_ref().map(drop).map_err(|wrong| *wrong);
        slot.until_ns = seen.now_ns.saturating_add(self.worker.timeout_ns);
        match right {
            Ok(after) => **burst = after,
            Err(_) => burst.spoil(),
        }
        if burst.left() == 0 {
            self.finish(slot_index, bytes, seen.now_ns);
            return;
        }
        let part = Settled::Part { flight: flight.clone(), wrong: slot.answer.err(), overdue: false };
        let sent = |_: &Flight| exchange_wire(exchange);
        self.worker.book.settled(part, seen, |_| prepared.label, sent);
    }

    /// Takes what hosts told of a socket's datagrams. While nobody has answered yet, an exchange is given up where nobody
    /// listens; later its frames are asked for again.
    #[cold]
    fn on_refused(&mut self, socket: usize) {
        self.posts[socket].is_refused = false;
        while let Some((at, nobody_listens)) = refused(self.posts[socket].socket.as_fd()) {
            let Some(&port_index) = self.by_address.get(&at).filter(|_| nobody_listens) else { continue };
            let port = &self.ports[port_index as usize];
            let target = &self.options.targets[port.target];
            self.worker.refused(&target.name, target.address);
            if self.worker.has_heard() {
                continue;
            }
            let is_there = |&&slot: &&u32| {
                let slot = &self.slots[slot as usize];
                slot.socket as usize == socket && slot.flight.is_some()
            };
            if let Some(&slot_index) = port.slots.iter().find(is_there) {
                self.give_up(slot_index);
                self.worker.open -= 1;
                if !self.worker.pacer.is_open() {
                    self.refused.push(slot_index);
                }
            }
        }
    }

    /// An exchange is not answered.
    fn give_up(&mut self, slot_index: u32) {
        let slot = &mut self.slots[slot_index as usize];
        let (Some(exchange), Some(flight)) = (&slot.exchange, slot.flight.take()) else { return };
        slot.should = None;
        let target = &self.options.targets[self.ports[slot.port as usize].target];
        let prepared = &target.profile.requests[flight.request as usize];
        let seen = Seen { fsu: &target.name, account: slot.port, bytes: &[], now_ns: 0 };
        self.worker.book.gave_up(prepared.label, seen, &flight, || exchange_wire(exchange));
        recycle(flight.raw, &mut self.worker.spent);
    }

    /// The slot that a frame is for, by its DID. The error says what keeps it from being read, if anything does.
    fn whose(&mut self, port_index: u32, socket: usize, bytes: &[u8]) -> Result<u32, Option<Reason>> {
        let port = &self.ports[port_index as usize];
        let sockets = self.posts.len();
        let first = (socket + sockets - port_index as usize % sockets) % sockets;
        let mut read: Option<(*const Template, Result<Option<u64>, Reason>)> = None;
        for &slot in port.slots.iter().skip(first).step_by(sockets) {
            let Some(exchange) = &self.slots[slot as usize].exchange else { continue };
            let template = exchange.template();
            let carried = match read {
                Some((by, carried)) if std::ptr::eq(by, template) => carried,
                _ => inner::parse(template, bytes, &mut self.plain).map(|frame| did(template, frame.raw)),
            };
            read = Some((template, carried));
            if carried == Ok(exchange.did()) {
                return Ok(slot);
            }
        }
        Err(read.and_then(|(_, carried)| carried.err()))
    }

    /// An exchange has ended.
    fn finish(&mut self, slot_index: u32, bytes: &[u8], now: u64) {
        let slot = &mut self.slots[slot_index as usize];
        let (Some(exchange), Some(flight)) = (&slot.exchange, slot.flight.take()) else { return };
        let Some(outcome) = exchange.outcome() else { return };
        let port = &self.ports[slot.port as usize];
        let target = &self.options.targets[port.target];
        let requests = &target.profile.requests;
        let prepared = &requests[flight.request as usize];
        let own = slot.should.take();
        let should = own.as_ref().unwrap_or(&port.plans[flight.request as usize]);
        let book = &mut self.worker.book;
        let counts = book.counts(&flight);
        let payload = exchange.payload();
        let has_data = !self.options.echo && !matches!(should, Expected::Nothing);
        let right = match outcome {
            Outcome::Done if !self.options.echo && should.holds(payload) == Some(false) => {
                slot.answer.and(Err(Wrong::Payload))
            }
            Outcome::TooLong => slot.answer.and(Err(Wrong::Payload)),
            _ => slot.answer,
        };
        if counts {
            let (took, transfers) = (exchange.tally(), &mut book.tally.transfers);
            transfers.retries += took.retries;
            transfers.restarts += took.restarts;
            transfers.passed_over += took.passed_over;
            match outcome {
                Outcome::Done if right.is_ok() && !payload.is_empty() => {
                    transfers.whole += 1;
                    transfers.ended_ns = transfers.ended_ns.max(now);
                    transfers.bytes += payload.len() as u64;
                    transfers.latency.saturating_record(now.saturating_sub(flight.planned_ns));
                }
                Outcome::TimedOut | Outcome::Lost => transfers.failed += u64::from(has_data),
                Outcome::Refused if right.is_err() => transfers.refused += 1,
                _ => {}
            }
        }
        let burst = flight.burst.as_ref();
        let (is_short, is_spoilt) = burst.map_or((false, false), |burst| (burst.left() > 0, burst.is_spoilt()));
        let flight = if is_short || matches!(outcome, Outcome::TimedOut | Outcome::Lost) {
            let seen = Seen { fsu: &target.name, account: slot.port, bytes: &[], now_ns: 0 };
            book.gave_up(prepared.label, seen, &flight, || exchange_wire(exchange));
            Some(flight)
        } else {
            let settled = match right {
                Ok(()) if is_spoilt => Settled::Spoilt(flight),
                Ok(()) => Settled::Good(flight, false),
                Err(wrong) => Settled::Wrong { flight, wrong, overdue: false },
            };
            let seen = Seen { fsu: &target.name, account: slot.port, bytes, now_ns: now };
            let label = |flight: &Flight| requests[flight.request as usize].label;
            book.settled(settled, seen, label, |_: &Flight| exchange_wire(exchange))
        };
        if let Some(flight) = flight {
            recycle(flight.raw, &mut self.worker.spent);
        }
        self.worker.open -= 1;
        if !self.worker.pacer.is_open() {
            self.ready.push_back(slot_index);
        }
    }

    /// Asks again for what did not come in time; gives up what was asked for too often.
    fn sweep(&mut self, now: u64) {
        let is_stopped = self.worker.is_stopped();
        self.ready.extend(self.refused.drain(..));
        for index in 0..self.slots.len() as u32 {
            let slot = &mut self.slots[index as usize];
            let (Some(exchange), Some(flight)) = (&mut slot.exchange, &slot.flight) else { continue };
            if is_stopped {
                // A transfer may take long, and nobody waits for it any more.
                let prepared = &self.options.targets[self.ports[slot.port as usize].target].profile;
                let label = prepared.requests[flight.request as usize].label;
                self.worker.book.abandon(label, slot.port, flight);
                slot.flight = None;
                self.worker.open -= 1;
                continue;
            }
            if exchange.outcome().is_some() && now < slot.until_ns {
                // More of its burst is to come.
                continue;
            }
            exchange.on_time(now / MS_NS);
            if exchange.outcome().is_some() {
                self.finish(index, &[], now);
            } else {
                self.post(index);
            }
        }
    }
}

/// The command of an exchange as it was sent last.
#[cold]
fn exchange_wire(exchange: &Exchange<'_>) -> Vec<u8> {
    let (mut raw, mut wire) = (exchange.request().to_vec(), Vec::new());
    finish(exchange.template(), &mut raw, &mut wire);
    wire
}

/// What is wrong with a frame that was passed over; nothing, where it only came at the wrong time.
#[cold]
fn whole(template: &Template, wire: &[u8], scratch: &mut Vec<u8>) -> Result<(), Reason> {
    let frame = inner::parse(template, wire, scratch)?;
    inner::reply_lengths_ok(template, &frame)?;
    if inner::checksum_ok(template, &frame) { Ok(()) } else { Err(Reason::BadChecksum) }
}
