//! BroadCast FSUs: whole exchanges ([`Exchange`]: a command, its answer, all data frames), many at once.
//!
//! - [`choice`]: what can be asked at once, and what follows each command; checked before the run.
//! - `frames`: what a received frame does to an exchange, and how one ends.
//! - `post`: a socket, and what waits to leave by it.
//!
//! An FSU has one exchange at a time with each client address and device id (DID). So the exchanges under way on one port go over
//! the thread's sockets in turn, and those that share a socket have the request's DID and the ones after it.

pub mod choice;
mod frames;
mod post;

pub use choice::{check, notes};

use super::datagram::{self, Arrived, Datagrams, GATHERED_MAX, receive};
use super::share;
use crate::book::{NOBODY, Seen};
use crate::engine::Link;
use crate::engine::worker::Worker;
use crate::expect::Wrong;
use crate::lane::Flight;
use crate::workload::options::{OPEN_MAX, Options};
use crate::workload::turns::Turns;
use choice::{plans, put_did, slots_max};
use fastrand::Rng;
use fsu_core::client::exchange::{Exchange, Follows, Patience, Terms};
use fsu_core::client::request::finish;
use fsu_core::client::verify::{Expected, expected};
use fsu_net::message::canonical;
use fsu_net::sender::UdpSender;
use fsu_net::sys::{Receiver, refused};
use post::Post;
use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// Nanoseconds of a millisecond: exchanges count in these.
const MS_NS: u64 = 1_000_000;

/// A seat, for one exchange at a time: an address, a socket, a distance from the request's DID.
#[derive(Debug)]
struct Seat<'a> {
    port: u32,
    socket: u32,
    /// Added to the request's DID.
    further: u64,
    /// The exchange; one that has ended keeps its buffers and its number for the next.
    exchange: Option<Exchange<'a>>,
    /// The command under way; `None`: the seat is free.
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
    /// Its seats; number n of them goes by socket n + the port's own number, in turn.
    seats: Vec<u32>,
    seats_max: usize,
    turns: Turns,
    plans: Arc<[Expected]>,
}

/// A thread's sockets, ports and exchanges.
pub struct Broadcast<'a> {
    options: &'a Options,
    ports: Vec<Port>,
    by_address: HashMap<SocketAddr, u32>,
    seats: Vec<Seat<'a>>,
    posts: Vec<Post>,
    receive_buffer_bytes: u64,
    epoll: OwnedFd,
    receiver: Option<Receiver>,
    sender: UdpSender,
    drops: Rng,
    raw: Vec<u8>,
    plain: Vec<u8>,
}

impl<'a> Link<'a> for Broadcast<'a> {
    type Sockets = Vec<UdpSocket>;

    const CLOSED_TURN_MAX: usize = GATHERED_MAX;
    const OPEN_TURN_MAX: usize = GATHERED_MAX;

    fn new(options: &'a Options, worker: &mut Worker, sockets: Vec<UdpSocket>) -> io::Result<Self> {
        let epoll = datagram::watch(&sockets, None)?;
        let ports = ports(options, worker, sockets.len());
        let address = |port: &Port| canonical(options.targets[port.target].address);
        Ok(Self {
            options,
            drops: Rng::with_seed(options.seed ^ (worker.number as u64).wrapping_add(0x6C6F_7373)),
            by_address: ports.iter().map(address).zip(0..).collect(),
            ports,
            seats: Vec::new(),
            receive_buffer_bytes: datagram::receive_buffer_bytes(sockets.first()),
            posts: sockets.into_iter().map(Post::new).collect(),
            epoll,
            receiver: Some(Receiver::new()),
            sender: UdpSender::new(options.gso),
            raw: Vec::new(),
            plain: Vec::new(),
        })
    }

    fn targets(&self) -> Vec<usize> {
        self.ports.iter().map(|port| port.target).collect()
    }

    fn open_windows(&mut self, worker: &mut Worker, window: usize) {
        for _ in 0..window {
            for port in 0..self.ports.len() {
                let seat = self.add_seat(port);
                worker.ready.push_back(seat);
            }
        }
    }

    /// A free seat, or a new one where the protocol lets the port have one more.
    fn seat(&mut self, worker: &Worker, turn: usize) -> Option<u32> {
        let port = self.ports.get(turn)?;
        let free = port.seats.iter().copied().find(|&seat| self.seats[seat as usize].flight.is_none());
        if free.is_some() {
            return free;
        }
        let has_room = port.seats.len() < port.seats_max && worker.open < OPEN_MAX;
        has_room.then(|| self.add_seat(turn))
    }

    fn ask(&mut self, worker: &mut Worker, seat_number: u32, planned_ns: u64, now: u64) {
        let seat = &mut self.seats[seat_number as usize];
        let port = &mut self.ports[seat.port as usize];
        let target = &self.options.targets[port.target];
        let (request, turn) = port.turns.next(&target.profile);
        let prepared = &target.profile.requests[request as usize];
        let raw = &mut self.raw;
        let mut own = Vec::new();
        if prepared.is_own() {
            worker.renew(target, prepared, turn, (&mut *raw, &mut self.plain));
            own = worker.spent.pop().unwrap_or_default();
            own.clear();
            own.extend_from_slice(raw);
            seat.should = Some(expected(&prepared.device, prepared.command, raw));
        } else {
            raw.clear();
            raw.extend_from_slice(&prepared.raw);
        }
        let flight = prepared.flight(request, own, planned_ns, now);
        put_did(prepared.template(), seat.further, raw);
        let follows = match &seat.should {
            _ if self.options.echo => Follows::Nothing,
            Some(own) => own.follows(),
            None => port.plans[request as usize].follows(),
        };
        // A request that gets no reply is not repeated.
        let retries = if flight.silent { 0 } else { self.options.retries };
        let patience = Patience { timeout_ms: (worker.timeout_ns / MS_NS).max(1), retries };
        let template = prepared.template();
        match &mut seat.exchange {
            Some(exchange) => exchange.again(template, raw, Terms { follows, patience }, now / MS_NS),
            None => seat.exchange = Some(Exchange::new(template, raw.clone(), follows, patience, now / MS_NS)),
        }
        seat.answer = Ok(());
        seat.until_ns = 0;
        // Its bytes are counted when they are posted.
        worker.sent(prepared, seat.port, &flight, 0);
        seat.flight = Some(flight);
        self.post(worker, seat_number);
    }

    fn flush(&mut self, worker: &mut Worker) -> io::Result<()> {
        for socket in 0..self.posts.len() {
            self.flush_socket(worker, socket);
            if self.posts[socket].is_refused {
                self.on_refused(worker, socket);
            }
        }
        Ok(())
    }

    fn receive(&mut self, worker: &mut Worker) -> io::Result<usize> {
        let Some(mut receiver) = self.receiver.take() else { return Ok(0) };
        let received = receive(self, worker, &mut receiver);
        self.receiver = Some(receiver);
        received
    }

    fn wait(&mut self, _worker: &mut Worker, at_most: Duration) -> io::Result<()> {
        datagram::wait(&self.epoll, at_most)
    }

    fn is_blocked(&self) -> bool {
        self.posts.iter().any(Post::is_blocked)
    }

    fn has_queued(&self) -> bool {
        // A command counts as under way as soon as it is queued.
        false
    }

    /// Requests frames again that did not come in time; gives up after too many tries.
    fn sweep(&mut self, worker: &mut Worker, now: u64) -> io::Result<()> {
        let is_stopped = worker.is_stopped();
        for index in 0..self.seats.len() as u32 {
            let seat = &mut self.seats[index as usize];
            let (Some(exchange), Some(flight)) = (&mut seat.exchange, &seat.flight) else { continue };
            if is_stopped {
                // A transfer may take long, and the run was stopped.
                let prepared = &self.options.targets[self.ports[seat.port as usize].target].profile;
                let label = prepared.requests[flight.request as usize].label;
                worker.book.abandon(label, seat.port, flight);
                seat.flight = None;
                worker.open -= 1;
                continue;
            }
            if exchange.outcome().is_some() && now < seat.until_ns {
                // More of its burst is to come.
                continue;
            }
            exchange.on_time(now / MS_NS);
            if exchange.outcome().is_some() {
                self.finish(worker, index, &[], now);
            } else {
                self.post(worker, index);
            }
        }
        Ok(())
    }

    fn close(&mut self, worker: &mut Worker) {
        worker.book.tally.other.own_drops = datagram::drops(self.posts.iter().map(|post| &post.socket));
    }

    fn receive_buffer_bytes(&self) -> u64 {
        self.receive_buffer_bytes
    }
}

/// The ports of a thread, without seats yet.
fn ports(options: &Options, worker: &Worker, sockets: usize) -> Vec<Port> {
    let mut made = HashMap::new();
    let port = |index: usize| {
        let target = &options.targets[index];
        let plans = made.entry(Arc::as_ptr(&target.profile)).or_insert_with(|| plans(&target.profile));
        Port {
            target: index,
            seats: Vec::new(),
            seats_max: slots_max(&target.profile, sockets),
            turns: Turns::new((index % target.profile.sequence.len()) as u32),
            plans: Arc::clone(plans),
        }
    };
    share(options.targets.len(), worker.number, options.threads).map(port).collect()
}

impl Broadcast<'_> {
    /// One more seat for a port.
    fn add_seat(&mut self, port_number: usize) -> u32 {
        let seat = self.seats.len() as u32;
        let sockets = self.posts.len();
        let port = &mut self.ports[port_number];
        let number = port.seats.len();
        port.seats.push(seat);
        self.seats.push(Seat {
            port: port_number as u32,
            socket: ((port_number + number) % sockets) as u32,
            further: (number / sockets) as u64,
            exchange: None,
            flight: None,
            should: None,
            answer: Ok(()),
            until_ns: 0,
        });
        seat
    }

    /// What an exchange wants to send, unless it is to be lost.
    fn post(&mut self, worker: &mut Worker, seat_number: u32) {
        let seat = &mut self.seats[seat_number as usize];
        let Some(bytes) = seat.exchange.as_mut().and_then(Exchange::to_send) else { return };
        let tally = &mut worker.book.tally;
        if self.options.drop > 0.0 && self.drops.f64() < self.options.drop {
            tally.transfers.dropped += 1;
            return;
        }
        let peer = self.options.targets[self.ports[seat.port as usize].target].address;
        let socket = seat.socket as usize;
        if self.posts[socket].push(peer, bytes) {
            tally.other.bytes_out += bytes.len() as u64;
        } else {
            // The socket takes no more: as if it were lost on its way.
            tally.other.send_errors += 1;
        }
        if self.posts[socket].is_filling() {
            self.flush_socket(worker, socket);
        }
    }

    fn flush_socket(&mut self, worker: &mut Worker, socket: usize) {
        worker.book.tally.other.send_errors += self.posts[socket].flush(&mut self.sender);
    }
}

impl Datagrams for Broadcast<'_> {
    fn sockets(&self) -> usize {
        self.posts.len()
    }

    fn socket(&self, number: usize) -> &UdpSocket {
        &self.posts[number].socket
    }

    fn on_datagram(&mut self, worker: &mut Worker, arrived: Arrived<'_>) {
        worker.heard(arrived.bytes.len());
        if let Some(&port) = self.by_address.get(&arrived.from) {
            self.on_frame(worker, port, arrived);
        } else {
            let seen = Seen { fsu: "", account: NOBODY, bytes: arrived.bytes, now_ns: arrived.now_ns };
            worker.book.unexpected(seen, "from an address that was not asked");
        }
    }

    /// Reads the errors that hosts reported about a socket's datagrams. Until something was received, an exchange is given up if
    /// nobody listens; later its frames are requested again.
    #[cold]
    fn on_refused(&mut self, worker: &mut Worker, socket: usize) {
        self.posts[socket].is_refused = false;
        while let Some((at, nobody_listens)) = refused(self.posts[socket].socket.as_fd()) {
            let Some(&port) = self.by_address.get(&at).filter(|_| nobody_listens) else { continue };
            let port = &self.ports[port as usize];
            let target = &self.options.targets[port.target];
            worker.refused(&target.name, target.address);
            if worker.has_heard() {
                continue;
            }
            let is_there = |&&seat: &&u32| {
                let seat = &self.seats[seat as usize];
                seat.socket as usize == socket && seat.flight.is_some()
            };
            if let Some(&seat_number) = port.seats.iter().find(is_there) {
                self.give_up(worker, seat_number);
                worker.open -= 1;
                worker.put_off(seat_number);
            }
        }
    }

    fn on_batch(&mut self, worker: &mut Worker, socket: usize) {
        self.flush_socket(worker, socket);
    }
}

/// The command of an exchange as it was sent last.
#[cold]
fn exchange_wire(exchange: &Exchange<'_>) -> Vec<u8> {
    let (mut raw, mut wire) = (exchange.request().to_vec(), Vec::new());
    finish(exchange.template(), &mut raw, &mut wire);
    wire
}
