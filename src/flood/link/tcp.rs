//! TCP FSUs: connections spread over them, requests pipelined.
//!
//! Replies come in the order of the requests. So the requests under way tell how long the next reply may be, and that cuts the
//! stream, not the template's framing, which is that of requests. After a wrong reply nobody knows where the next one begins: the
//! connection is made again, and what was under way there is lost.

use super::share;
use super::unasked::{Begun, Unasked, is_reply};
use crate::clock::{timespec, wait_for};
use crate::engine::Link;
use crate::engine::owner::Owner;
use crate::engine::reply::ReplyMatcher;
use crate::engine::worker::Worker;
use crate::hear::count::Count;
use crate::lane::{COMPARED_MAX, Flight, Lane, Matcher};
use crate::workload::options::{AskedFsu, OPEN_MAX, Options};
use crate::workload::profile::Prepared;
use crate::workload::turns::Turns;
use fsu_plan::wire::framer::{self, Cut};
use fsu_tls::stream::Stream;
use rustix::event::epoll::{self, EventData, EventFlags};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// A connection is made within this long.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Read from one connection at a time.
const READ_BYTES: usize = 64 << 10;
/// Requests written before replies are looked at again, per connection: bounds what a slow mock makes wait here.
const UNWRITTEN_BYTES_MAX: usize = 1 << 20;
/// Failed reconnections in a row, per thread, after which the run ends.
const FAILURES_MAX: u32 = 100;

/// Requests of one turn at an open pace.
const DUE_A_TURN: usize = 1024;
/// Events taken from the system at once.
const EVENTS: usize = 256;

/// A connection.
struct Conn {
    target: usize,
    stream: Stream,
    lane: Lane,
    turns: Turns,
    /// Not yet written.
    out: Vec<u8>,
    /// Received and not yet a whole reply.
    partial: Vec<u8>,
    /// Waits for the stream to take more.
    blocked: bool,
    /// Not there; tried again at the next sweep.
    broken: bool,
}

/// A thread's connections.
pub struct Tcp<'a> {
    options: &'a Options,
    conns: Vec<Conn>,
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    /// Connections with something to write.
    dirty: Vec<u32>,
    failures: u32,
    /// Connections that may have brought something with their handshake.
    primed: Vec<usize>,
    read: Vec<u8>,
    wire: Vec<u8>,
    inner: Vec<u8>,
    unasked: Unasked<'a>,
}

/// Over TLS the handshake is done when it returns.
fn connect(target: &AskedFsu) -> io::Result<Stream> {
    let socket = TcpStream::connect_timeout(&target.address, CONNECT_TIMEOUT)?;
    socket.set_nodelay(true)?;
    if target.tls.is_some() {
        socket.set_read_timeout(Some(CONNECT_TIMEOUT))?;
    }
    let stream = Stream::open(socket, target.tls.as_ref())?;
    stream.socket().set_nonblocking(true)?;
    Ok(stream)
}

/// The connections of thread `number`, each with its target.
///
/// # Errors
/// The first one that cannot be made.
pub fn open(options: &Options, number: usize) -> io::Result<Vec<(usize, Stream)>> {
    let mine = share(options.connections, number, options.threads);
    mine.map(|connection| {
        let index = connection % options.targets.len().max(1);
        let target = &options.targets[index];
        let stream = connect(target)
            .map_err(|error| io::Error::new(error.kind(), format!("{} at {}: {error}", target.name, target.address)))?;
        Ok((index, stream))
    })
    .collect()
}

/// A request as it was sent, without what is around it.
#[cold]
fn sent(target: &AskedFsu, flight: &Flight) -> Vec<u8> {
    target.profile.requests[flight.request as usize].wire_of(flight)
}

impl<'a> Link<'a> for Tcp<'a> {
    type Sockets = Vec<(usize, Stream)>;

    const CLOSED_TURN_MAX: usize = usize::MAX;
    const OPEN_TURN_MAX: usize = DUE_A_TURN;

    fn new(options: &'a Options, worker: &mut Worker, streams: Vec<(usize, Stream)>) -> io::Result<Self> {
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
                turns: Turns::new(((target + index) % sequence) as u32),
                out: Vec::new(),
                partial: Vec::new(),
                blocked: false,
                broken: false,
            });
        }
        Ok(Self {
            options,
            conns,
            epoll,
            events: Vec::with_capacity(EVENTS),
            dirty: Vec::new(),
            failures: 0,
            primed: if options.targets.iter().any(|target| target.tls.is_some()) {
                (0..lanes).collect()
            } else {
                Vec::new()
            },
            read: vec![0; READ_BYTES],
            wire: Vec::new(),
            inner: Vec::new(),
            unasked: Unasked::new(options, worker.number, worker.clock),
        })
    }

    fn targets(&self) -> Vec<usize> {
        self.conns.iter().map(|conn| conn.target).collect()
    }

    /// All of a connection's first requests together, so that they leave in one segment.
    fn open_windows(&mut self, worker: &mut Worker, window: usize) {
        for conn in 0..self.conns.len() as u32 {
            worker.ready.extend(std::iter::repeat_n(conn, window));
        }
    }

    #[inline]
    fn seat(&mut self, worker: &Worker, turn: usize) -> Option<u32> {
        (self.has_room(turn) && worker.open < OPEN_MAX).then_some(turn as u32)
    }

    /// Into what the connection has to write.
    fn ask(&mut self, worker: &mut Worker, seat: u32, planned_ns: u64, sent_ns: u64) {
        let Some(conn) = self.conns.get_mut(seat as usize) else { return };
        let target = &self.options.targets[conn.target];
        let (request, turn) = conn.turns.next(&target.profile);
        let prepared = &target.profile.requests[request as usize];
        let mut raw = Vec::new();
        let len = if prepared.is_own() {
            raw = worker.spent.pop().unwrap_or_default();
            worker.renew(target, prepared, turn, (&mut raw, &mut self.wire));
            conn.out.extend_from_slice(&self.wire);
            self.wire.len()
        } else {
            conn.out.extend_from_slice(&prepared.wire);
            prepared.wire.len()
        };
        let flight = prepared.flight(request, raw, planned_ns, sent_ns);
        worker.sent(prepared, seat, &flight, len);
        conn.lane.push(flight);
        if self.dirty.last() != Some(&seat) {
            self.dirty.push(seat);
        }
    }

    fn flush(&mut self, worker: &mut Worker) -> io::Result<()> {
        while let Some(index) = self.dirty.pop() {
            let Some(conn) = self.conns.get_mut(index as usize) else { continue };
            if conn.blocked || conn.broken || conn.out.is_empty() {
                continue;
            }
            match conn.stream.write(&conn.out) {
                Ok(written) if written == conn.out.len() => {
                    conn.out.clear();
                    self.unasked.wrote(index, written, worker.clock);
                }
                Ok(written) => {
                    conn.out.drain(..written);
                    self.unasked.wrote(index, written, worker.clock);
                    Self::block(&self.epoll, conn, index)?;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Self::block(&self.epoll, conn, index)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => self.dirty.push(index),
                Err(_) => {
                    worker.book.tally.other.send_errors += 1;
                    conn.broken = true;
                    self.unasked.lost(index);
                }
            }
        }
        Ok(())
    }

    /// Everything is received in [`Self::wait`], where epoll names the connections that have something.
    fn receive(&mut self, _worker: &mut Worker) -> io::Result<usize> {
        Ok(0)
    }

    fn wait(&mut self, worker: &mut Worker, mut at_most: Duration) -> io::Result<()> {
        while let Some(index) = self.primed.pop() {
            self.read_from(worker, index)?;
        }
        // epoll's own timer is coarse.
        if at_most > Duration::from_millis(1) {
            wait_for(&self.epoll, at_most)?;
            at_most = Duration::ZERO;
        }
        let mut events = std::mem::take(&mut self.events);
        events.clear();
        let waited = epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&timespec(at_most)));
        let handled = match waited {
            Ok(_) | Err(rustix::io::Errno::INTR) => events.iter().try_for_each(|event| self.on_event(worker, event)),
            Err(error) => Err(error.into()),
        };
        self.events = events;
        handled
    }

    fn is_blocked(&self) -> bool {
        // epoll says when a stream takes more.
        false
    }

    fn has_queued(&self) -> bool {
        false
    }

    /// Also makes broken connections again.
    fn sweep(&mut self, worker: &mut Worker, now_ns: u64) -> io::Result<()> {
        worker.book.heard = self.unasked.so_far();
        for (conn, seat) in self.conns.iter_mut().zip(0..) {
            let owner = Owner { target: &self.options.targets[conn.target], seat, wire: sent };
            worker.expire(&mut conn.lane, &owner, now_ns);
        }
        let broken: Vec<usize> = (0..self.conns.len()).filter(|&index| self.conns[index].broken).collect();
        for index in broken {
            if !worker.has_ended() {
                self.break_off(worker, index)?;
            }
        }
        Ok(())
    }

    fn close(&mut self, worker: &mut Worker) {
        for index in 0..self.conns.len() {
            self.give_up(worker, index);
        }
    }

    fn heard(&mut self) -> Option<Count> {
        self.unasked.close()
    }

    fn receive_buffer_bytes(&self) -> u64 {
        0
    }
}

impl Tcp<'_> {
    /// Whether a connection has room for one more request.
    fn has_room(&self, conn: usize) -> bool {
        self.conns.get(conn).is_some_and(|conn| !conn.broken && conn.out.len() <= UNWRITTEN_BYTES_MAX)
    }

    fn block(epoll: &OwnedFd, conn: &mut Conn, index: u32) -> io::Result<()> {
        conn.blocked = true;
        epoll::modify(epoll, &conn.stream, EventData::new_u64(u64::from(index)), EventFlags::IN | EventFlags::OUT)?;
        Ok(())
    }

    fn on_event(&mut self, worker: &mut Worker, event: &epoll::Event) -> io::Result<()> {
        let (index, flags) = (event.data.u64() as usize, event.flags);
        if flags.contains(EventFlags::OUT)
            && let Some(conn) = self.conns.get_mut(index)
        {
            conn.blocked = false;
            epoll::modify(&self.epoll, &conn.stream, EventData::new_u64(index as u64), EventFlags::IN)?;
            self.dirty.push(index as u32);
        }
        if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            self.read_from(worker, index)?;
        }
        Ok(())
    }

    fn read_from(&mut self, worker: &mut Worker, index: usize) -> io::Result<()> {
        let Some(conn) = self.conns.get_mut(index) else { return Ok(()) };
        if conn.broken {
            return Ok(());
        }
        let count = match conn.stream.read(&mut self.read) {
            Ok(0) => return self.break_off(worker, index),
            Ok(count) => count,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                return Ok(());
            }
            Err(_) => return self.break_off(worker, index),
        };
        let now = worker.clock.now_ns();
        worker.heard(count);
        self.failures = 0;
        // The usual case reads whole replies: no copy.
        let read = std::mem::take(&mut self.read);
        let mut partial = std::mem::take(&mut conn.partial);
        let fine = if partial.is_empty() {
            let (used, fine) = self.replies(worker, index, &read[..count], now);
            partial.extend_from_slice(&read[used..count]);
            fine
        } else {
            partial.extend_from_slice(&read[..count]);
            let (used, fine) = self.replies(worker, index, &partial, now);
            partial.drain(..used);
            fine
        };
        self.read = read;
        if let Some(conn) = self.conns.get_mut(index) {
            conn.partial = partial;
        }
        if fine { Ok(()) } else { self.break_off(worker, index) }
    }

    /// Settles every whole reply. Returns how many bytes they were, and whether the rest can still be cut.
    fn replies(&mut self, worker: &mut Worker, index: usize, bytes: &[u8], now: u64) -> (usize, bool) {
        let Some(conn) = self.conns.get_mut(index) else { return (bytes.len(), true) };
        let owner = Owner { target: &self.options.targets[conn.target], seat: index as u32, wire: sent };
        let requests = &owner.target.profile.requests;
        let mut used = 0;
        while used < bytes.len() {
            let rest = &bytes[used..];
            let mut begun = Begun::Nothing;
            if self.unasked.speaks(conn.target) && !is_reply(&conn.lane, requests, rest, true, &mut self.inner) {
                begun = self.unasked.begins((index as u32, conn.target), rest, worker.clock, &mut conn.out);
            }
            if let Begun::Message(len) = begun {
                used += len;
                self.dirty.push(index as u32);
                continue;
            }
            let len = match next_len(&mut conn.lane, requests, rest, now, &mut self.inner) {
                Next::Reply(len) => len,
                Next::More => return (used, true),
                Next::Wrong if begun == Begun::Perhaps => return (used, true),
                Next::Wrong => rest.len().min(prepared_max(&conn.lane, requests)),
            };
            let reply = ReplyMatcher::new(requests, |_| Ok(&rest[..len]), false, &mut self.inner);
            let is_good = worker.settle(&mut conn.lane, &owner, &owner.seen(&rest[..len], now), reply);
            used += len;
            if !is_good {
                return (used, false);
            }
        }
        (used, true)
    }

    /// A connection has failed: what was under way there is lost, and a new one takes its place.
    fn break_off(&mut self, worker: &mut Worker, index: usize) -> io::Result<()> {
        // Late replies can no longer come.
        self.give_up(worker, index);
        self.unasked.lost(index as u32);
        let Some(conn) = self.conns.get_mut(index) else { return Ok(()) };
        let target = &self.options.targets[conn.target];
        conn.out.clear();
        conn.partial.clear();
        conn.blocked = false;
        if worker.has_ended() {
            let _ = epoll::delete(&self.epoll, &conn.stream);
            conn.broken = true;
            return Ok(());
        }
        match connect(target) {
            Ok(stream) => {
                conn.stream = stream;
                conn.broken = false;
                worker.book.tally.other.reconnects += 1;
                if target.tls.is_some() {
                    self.primed.push(index);
                }
                epoll::add(&self.epoll, &conn.stream, EventData::new_u64(index as u64), EventFlags::IN)?;
                Ok(())
            }
            Err(error) => {
                conn.broken = true;
                self.failures += 1;
                if self.failures == FAILURES_MAX {
                    worker.end_run(format!("{} at {}: {error}", target.name, target.address));
                }
                Ok(())
            }
        }
    }

    /// What is under way on a connection is lost.
    fn give_up(&mut self, worker: &mut Worker, index: usize) {
        let Some(conn) = self.conns.get_mut(index) else { return };
        let owner = Owner { target: &self.options.targets[conn.target], seat: index as u32, wire: sent };
        worker.give_up(&mut conn.lane, &owner);
    }
}

/// What the beginning of received bytes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// A reply of that many bytes.
    Reply(usize),
    /// The beginning of one, maybe.
    More,
    /// No reply to anything under way.
    Wrong,
}

/// The length of the next reply: the size at which it is right for a known request, the oldest under way first.
pub(crate) fn next_len(lane: &mut Lane, requests: &[Prepared], bytes: &[u8], now: u64, inner: &mut Vec<u8>) -> Next {
    // An envelope shows where a reply ends, right or wrong.
    let marked = requests.first().and_then(|prepared| framer::cut_sent(&prepared.device.template, bytes));
    match marked {
        Some(Cut::Frame(len)) => return Next::Reply(len),
        Some(Cut::More) => return Next::More,
        _ => {}
    }
    let mut more = false;
    for flight in lane.flights().take(COMPARED_MAX) {
        let prepared = &requests[flight.request as usize];
        for &len in prepared.expect.wire_lens() {
            match bytes.get(..len) {
                None => more = true,
                Some(reply) if ReplyMatcher::new(requests, |_| Ok(reply), false, inner).check(flight).is_ok() => {
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
        if lane.knows(now, &mut ReplyMatcher::new(requests, |_| Ok(reply), false, inner)) {
            return Next::Reply(len);
        }
    }
    // One of a later request, where the first one's is lost.
    more |= lane.waiting().flat_map(of).any(|len| len > bytes.len());
    if more { Next::More } else { Next::Wrong }
}

/// How many of the wrong bytes are shown: at most as many as the expected reply has.
pub(crate) fn prepared_max(lane: &Lane, requests: &[Prepared]) -> usize {
    let first = lane.flights().next().and_then(|flight| requests[flight.request as usize].expect.wire_lens().last());
    first.copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod limits;
