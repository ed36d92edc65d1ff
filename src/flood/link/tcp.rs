//! A thread that asks TCP FSUs: connections spread over them, requests pipelined.
//!
//! Replies come in the order of the requests, so the requests under way say how long the next reply may be; that, and
//! not the template's framing (which is that of requests), cuts the stream. After a wrong reply the connection is made anew:
//! where the next reply begins cannot be known. What was under way there is lost.

use crate::book::account::Account;
use crate::book::live::Live;
use crate::book::thread::ThreadReport;
use crate::book::{Book, Seen};
use crate::clock::{timespec, wait_for};
use crate::engine::reply::Reply;
use crate::engine::worker::{Gate, Place, Worker};
use crate::lane::{COMPARED_MAX, Flight, Gone, Judge, Lane, Settled, recycle};
use crate::pace::Due;
use crate::workload::options::{OPEN_MAX, Options, Pace, Target};
use crate::workload::profile::Prepared;
use rustix::event::epoll::{self, EventData, EventFlags};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

/// A connection is made within this long.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Read from one connection at a time.
const READ_BYTES: usize = 64 << 10;
/// Requests written before replies are looked at again, per connection: bounds what a slow mock makes wait here.
const UNWRITTEN_BYTES_MAX: usize = 1 << 20;
/// Connections made anew in a row, per thread, that fail before the run is ended.
const FAILURES_MAX: u32 = 100;

/// A connection.
struct Conn {
    target: usize,
    stream: TcpStream,
    lane: Lane,
    place: Place,
    /// Not yet written.
    out: Vec<u8>,
    /// Received and not yet a whole reply.
    partial: Vec<u8>,
    /// Waits for the stream to take more.
    blocked: bool,
    /// Not there; tried again at the next sweep.
    broken: bool,
}

struct Tcp<'a> {
    options: &'a Options,
    worker: Worker,
    conns: Vec<Conn>,
    epoll: OwnedFd,
    /// Closed pace: connections with room for one more.
    ready: VecDeque<u32>,
    /// Connections with something to write.
    dirty: Vec<u32>,
    turn: usize,
    failures: u32,
    read: Vec<u8>,
    wire: Vec<u8>,
    inner: Vec<u8>,
}

fn connect(target: &Target) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&target.address, CONNECT_TIMEOUT)?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// The connections of thread `number`, each with its target.
pub fn open(options: &Options, number: usize) -> io::Result<Vec<(usize, TcpStream)>> {
    let mine = crate::link::udp::share(options.connections, number, options.threads);
    mine.map(|connection| {
        let index = connection % options.targets.len().max(1);
        let target = &options.targets[index];
        let stream = connect(target)
            .map_err(|error| io::Error::new(error.kind(), format!("{} at {}: {error}", target.name, target.address)))?;
        Ok((index, stream))
    })
    .collect()
}

/// Runs thread `number` to its end.
pub fn run(
    options: &Options,
    number: usize,
    cpu: Option<usize>,
    streams: Vec<(usize, TcpStream)>,
    gate: &Gate,
    live: Arc<Live>,
) -> io::Result<ThreadReport> {
    let made = Tcp::new(options, Worker::new(options, number, live), streams);
    let clock = gate.open();
    let mut tcp = made?;
    tcp.worker.clock = clock;
    tcp.run()?;
    for index in 0..tcp.conns.len() {
        tcp.give_all_up(index);
    }
    let targets: Vec<usize> = tcp.conns.iter().map(|conn| conn.target).collect();
    Ok(tcp.worker.close(cpu, 0, &targets))
}

impl<'a> Tcp<'a> {
    fn new(options: &'a Options, mut worker: Worker, streams: Vec<(usize, TcpStream)>) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut conns = Vec::new();
        let lanes = streams.len();
        for (index, (target, stream)) in streams.into_iter().enumerate() {
            epoll::add(&epoll, &stream, EventData::new_u64(index as u64), EventFlags::IN)?;
            let sequence = options.targets[target].profile.sequence.len();
            conns.push(Conn {
                target,
                stream,
                lane: Lane::new(lanes, worker.timeout_ns).in_order(),
                place: Place::new(((target + index) % sequence) as u32),
                out: Vec::new(),
                partial: Vec::new(),
                blocked: false,
                broken: false,
            });
        }
        worker.book.accounts = vec![Account::default(); conns.len()];
        let mut tcp = Self {
            options,
            worker,
            conns,
            epoll,
            ready: VecDeque::new(),
            dirty: Vec::new(),
            turn: 0,
            failures: 0,
            read: vec![0; READ_BYTES],
            wire: Vec::new(),
            inner: Vec::new(),
        };
        if let Pace::Closed { window } = options.pace {
            // All of a connection's first requests together, so that they leave in one segment.
            for index in 0..tcp.conns.len() as u32 {
                tcp.ready.extend(std::iter::repeat_n(index, window));
            }
        }
        Ok(tcp)
    }

    fn run(&mut self) -> io::Result<()> {
        let mut events: Vec<epoll::Event> = Vec::with_capacity(256);
        if self.conns.is_empty() {
            self.worker.pacer.stop();
        }
        loop {
            let now = self.worker.clock.now_ns();
            if self.worker.tick(now) {
                self.sweep(now)?;
            }
            let next = self.gather(now);
            self.flush()?;
            if self.worker.is_done() {
                return Ok(());
            }
            let now = self.worker.clock.now_ns();
            let more = !self.ready.is_empty() && !self.worker.has_ended();
            let mut wait = if more { Duration::ZERO } else { self.worker.wait(now, next) };
            // Else epoll's own milliseconds will do.
            if !wait.is_zero() && wait < Duration::from_millis(1) {
                wait_for(&self.epoll, wait)?;
                wait = Duration::ZERO;
            }
            events.clear();
            let room = rustix::buffer::spare_capacity(&mut events);
            match epoll::wait(&self.epoll, room, Some(&timespec(wait))) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in &events {
                let (index, flags) = (event.data.u64() as usize, event.flags);
                if flags.contains(EventFlags::OUT)
                    && let Some(conn) = self.conns.get_mut(index)
                {
                    conn.blocked = false;
                    epoll::modify(&self.epoll, &conn.stream, EventData::new_u64(index as u64), EventFlags::IN)?;
                    self.dirty.push(index as u32);
                }
                if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
                    self.receive(index)?;
                }
            }
        }
    }

    /// Makes ready what is due; when the next one is, where that is known.
    fn gather(&mut self, now: u64) -> Option<u64> {
        if !self.worker.pacer.is_open() {
            while let Some(conn) = self.ready.pop_front() {
                if !self.worker.pacer.take(now) {
                    self.ready.clear();
                    return None;
                }
                self.prepare(conn as usize, now, now);
            }
            return None;
        }
        for _ in 0..1024 {
            match self.worker.pacer.due(now) {
                Due::Now(planned) => {
                    let conn = self.turn;
                    self.turn = (self.turn + 1) % self.conns.len().max(1);
                    if !self.has_room(conn) || self.worker.open >= OPEN_MAX {
                        self.worker.book.tally.other.not_sent += 1;
                    } else {
                        self.prepare(conn, planned, now);
                    }
                }
                Due::At(at) => return Some(at),
                Due::Never => return None,
            }
        }
        Some(now)
    }

    /// Whether a connection takes one more request.
    fn has_room(&self, conn: usize) -> bool {
        self.conns.get(conn).is_some_and(|conn| !conn.broken && conn.out.len() <= UNWRITTEN_BYTES_MAX)
    }

    /// The next request of a connection, into what it has to write.
    fn prepare(&mut self, index: usize, planned_ns: u64, sent_ns: u64) {
        let Some(conn) = self.conns.get_mut(index) else { return };
        let target = &self.options.targets[conn.target];
        let (request, turn) = conn.place.next(&target.profile);
        let prepared = &target.profile.requests[request as usize];
        let mut raw = Vec::new();
        let len = if prepared.is_own() {
            raw = self.worker.spent.pop().unwrap_or_default();
            self.worker.renew(target, prepared, turn, (&mut raw, &mut self.wire));
            conn.out.extend_from_slice(&self.wire);
            self.wire.len()
        } else {
            conn.out.extend_from_slice(&prepared.wire);
            prepared.wire.len()
        };
        let flight = prepared.flight(request, raw, planned_ns, sent_ns);
        self.worker.sent(prepared, index as u32, &flight, len);
        conn.lane.push(flight);
        if self.dirty.last() != Some(&(index as u32)) {
            self.dirty.push(index as u32);
        }
    }

    /// Writes what the streams take.
    fn flush(&mut self) -> io::Result<()> {
        while let Some(index) = self.dirty.pop() {
            let Some(conn) = self.conns.get_mut(index as usize) else { continue };
            if conn.blocked || conn.broken || conn.out.is_empty() {
                continue;
            }
            match conn.stream.write(&conn.out) {
                Ok(written) if written == conn.out.len() => conn.out.clear(),
                Ok(written) => {
                    conn.out.drain(..written);
                    Self::block(&self.epoll, conn, index)?;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Self::block(&self.epoll, conn, index)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => self.dirty.push(index),
                Err(_) => {
                    self.worker.book.tally.other.send_errors += 1;
                    conn.broken = true;
                }
            }
        }
        Ok(())
    }

    fn block(epoll: &OwnedFd, conn: &mut Conn, index: u32) -> io::Result<()> {
        conn.blocked = true;
        epoll::modify(epoll, &conn.stream, EventData::new_u64(u64::from(index)), EventFlags::IN | EventFlags::OUT)?;
        Ok(())
    }

    fn receive(&mut self, index: usize) -> io::Result<()> {
        let Some(conn) = self.conns.get_mut(index) else { return Ok(()) };
        if conn.broken {
            return Ok(());
        }
        let count = match conn.stream.read(&mut self.read) {
            Ok(0) => return self.break_off(index),
            Ok(count) => count,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                return Ok(());
            }
            Err(_) => return self.break_off(index),
        };
        let now = self.worker.clock.now_ns();
        self.worker.heard(count);
        self.failures = 0;
        // The usual case reads whole replies: no copy.
        let read = std::mem::take(&mut self.read);
        let mut partial = std::mem::take(&mut conn.partial);
        let fine = if partial.is_empty() {
            let (used, fine) = self.replies(index, &read[..count], now);
            partial.extend_from_slice(&read[used..count]);
            fine
        } else {
            partial.extend_from_slice(&read[..count]);
            let (used, fine) = self.replies(index, &partial, now);
            partial.drain(..used);
            fine
        };
        self.read = read;
        if let Some(conn) = self.conns.get_mut(index) {
            conn.partial = partial;
        }
        if fine { Ok(()) } else { self.break_off(index) }
    }

    /// Settles every whole reply; how many bytes they were, and whether the rest can still be cut.
    fn replies(&mut self, index: usize, bytes: &[u8], now: u64) -> (usize, bool) {
        let Some(conn) = self.conns.get_mut(index) else { return (bytes.len(), true) };
        let target = &self.options.targets[conn.target];
        let requests = &target.profile.requests;
        let mut used = 0;
        while used < bytes.len() {
            let rest = &bytes[used..];
            let len = match next_len(&mut conn.lane, requests, rest, now, &mut self.inner) {
                Next::Reply(len) => len,
                Next::More => return (used, true),
                Next::Wrong => rest.len().min(prepared_max(&conn.lane, requests)),
            };
            let seen = Seen { fsu: &target.name, account: index as u32, bytes: &rest[..len], now_ns: now };
            self.worker.book.received(index as u32);
            let reply = Reply::new(requests, |_| Ok(&rest[..len]), false, &mut self.inner);
            let settled = self.worker.settle(&mut conn.lane, requests, &seen, reply);
            let label = |flight: &Flight| requests[flight.request as usize].label;
            let wire = |flight: &Flight| requests[flight.request as usize].wire_of(flight);
            let good = matches!(
                settled,
                Settled::Good(..)
                    | Settled::Late(..)
                    | Settled::Spoilt(_)
                    | Settled::Part { wrong: None, .. }
                    | Settled::Duplicate
            );
            if let Some(flight) = self.worker.book.settled(settled, seen, label, wire) {
                recycle(flight.raw, &mut self.worker.spent);
                self.worker.open -= 1;
                if !self.worker.pacer.is_open() {
                    self.ready.push_back(index as u32);
                }
            }
            used += len;
            if !good {
                return (used, false);
            }
        }
        (used, true)
    }

    /// A connection that is of no use any more: what was under way there is lost, and a new one takes its place.
    fn break_off(&mut self, index: usize) -> io::Result<()> {
        // Late replies can no longer come.
        self.give_all_up(index);
        let Some(conn) = self.conns.get_mut(index) else { return Ok(()) };
        let target = &self.options.targets[conn.target];
        conn.out.clear();
        conn.partial.clear();
        conn.blocked = false;
        if self.worker.has_ended() {
            let _ = epoll::delete(&self.epoll, &conn.stream);
            conn.broken = true;
            return Ok(());
        }
        match connect(target) {
            Ok(stream) => {
                conn.stream = stream;
                conn.broken = false;
                self.worker.book.tally.other.reconnects += 1;
                epoll::add(&self.epoll, &conn.stream, EventData::new_u64(index as u64), EventFlags::IN)?;
                Ok(())
            }
            Err(error) => {
                conn.broken = true;
                self.failures += 1;
                if self.failures == FAILURES_MAX {
                    self.worker.end_run(format!("{} at {}: {error}", target.name, target.address));
                }
                Ok(())
            }
        }
    }

    /// What is under way on a connection is lost.
    fn give_all_up(&mut self, index: usize) {
        let Some(conn) = self.conns.get_mut(index) else { return };
        let target = &self.options.targets[conn.target];
        let closed = !self.worker.pacer.is_open();
        let (book, open, ready) = (&mut self.worker.book, &mut self.worker.open, &mut self.ready);
        conn.lane.close(&mut self.worker.spent, |gone| {
            if told(book, target, index as u32, &gone) {
                *open -= 1;
                if closed {
                    ready.push_back(index as u32);
                }
            }
        });
    }

    /// Gives up what is past its time-out, and makes broken connections anew.
    fn sweep(&mut self, now: u64) -> io::Result<()> {
        let closed = !self.worker.pacer.is_open();
        for (index, conn) in self.conns.iter_mut().enumerate() {
            let target = &self.options.targets[conn.target];
            let (book, open, ready) = (&mut self.worker.book, &mut self.worker.open, &mut self.ready);
            let forgotten = conn.lane.expire(now, &mut self.worker.spent, |gone| {
                if told(book, target, index as u32, &gone) {
                    *open -= 1;
                    if closed {
                        ready.push_back(index as u32);
                    }
                }
            });
            book.tally.other.forgotten += forgotten;
        }
        let broken: Vec<usize> = (0..self.conns.len()).filter(|&index| self.conns[index].broken).collect();
        for index in broken {
            if !self.worker.has_ended() {
                self.break_off(index)?;
            }
        }
        Ok(())
    }
}

/// What the beginning of received bytes is.
enum Next {
    /// A reply of that many bytes.
    Reply(usize),
    /// The beginning of one, maybe.
    More,
    /// No reply to anything under way.
    Wrong,
}

/// How long the next reply is: the size at which it is right for a request that is known, the oldest under way first.
fn next_len(lane: &mut Lane, requests: &[Prepared], bytes: &[u8], now: u64, inner: &mut Vec<u8>) -> Next {
    let mut more = false;
    for flight in lane.flights().take(COMPARED_MAX) {
        let prepared = &requests[flight.request as usize];
        for &len in prepared.expect.wire_lens() {
            match bytes.get(..len) {
                None => more = true,
                Some(reply) if Reply::new(requests, |_| Ok(reply), false, inner).check(flight).is_ok() => {
                    return Next::Reply(len);
                }
                Some(_) => {}
            }
        }
        // Mostly it is the first one's, unless that is not answered at all, or its burst lacks replies.
        if !flight.silent && !flight.burst.as_ref().is_some_and(|burst| burst.has_begun()) {
            break;
        }
    }
    let of = |request: u32| requests[request as usize].expect.wire_lens().iter().copied();
    let mut lens: Vec<usize> = lane.requests().flat_map(of).collect();
    lens.sort_unstable();
    lens.dedup();
    for len in lens {
        let Some(reply) = bytes.get(..len) else { break };
        if lane.knows(now, &mut Reply::new(requests, |_| Ok(reply), false, inner)) {
            return Next::Reply(len);
        }
    }
    // One of a later request, where the first one's is lost.
    more |= lane.waiting().flat_map(of).any(|len| len > bytes.len());
    if more { Next::More } else { Next::Wrong }
}

/// Books what time made of a request of a target. Is one no longer under way?
fn told(book: &mut Book, target: &Target, account: u32, gone: &Gone<'_>) -> bool {
    let seen = Seen { fsu: &target.name, account, bytes: &[], now_ns: 0 };
    let prepared = |flight: &Flight| &target.profile.requests[flight.request as usize];
    book.gone(gone, seen, |flight| prepared(flight).label, |flight| prepared(flight).wire_of(flight))
}

/// What of wrong bytes is shown: as much as the reply that should have come is long at most.
fn prepared_max(lane: &Lane, requests: &[Prepared]) -> usize {
    let first = lane.flights().next().and_then(|flight| requests[flight.request as usize].expect.wire_lens().last());
    first.copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod limits;
