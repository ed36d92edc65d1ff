//! A thread that asks UDP FSUs: few sockets, many peers, datagrams in batches.
//!
//! A reply's FSU is told by the address it comes from, its request by [`crate::lane`].

use crate::book::account::Account;
use crate::book::live::Live;
use crate::book::thread::ThreadReport;
use crate::book::{Book, NOBODY, Seen};
use crate::clock::wait_for;
use crate::engine::reply::Reply;
use crate::engine::worker::{Gate, Place, Worker};
use crate::expect::Wrong;
use crate::lane::{Flight, Gone, Lane, recycle};
use crate::pace::Due;
use crate::workload::options::{OPEN_MAX, Options, Pace, Target};
use crate::workload::profile::Prepared;
use fsu_net::message::canonical;
use fsu_net::outbox::{Outbox, To};
use fsu_net::sender::{Departing, UdpSender};
use fsu_net::sys::{BATCH, Receiver, keep_errors, lost, refused, turn_on};
use fsu_plan::wire::outer::{CENTER_BYTES, Comm, Down, Frames, Head, Up, escape_in_place};
use fsu_plan::wire::reason::Reason;
use rustix::event::epoll;
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// Asked for each socket; holds some ten thousand replies. Kernel memory, taken only while datagrams wait.
const RECEIVE_BUFFER_BYTES: usize = 16 << 20;
/// Batches received from one socket before requests are sent again.
pub(super) const BATCHES_MAX: usize = 4;
/// Requests gathered before they are sent.
pub(super) const GATHERED_MAX: usize = 4 * BATCH;
/// Requests made ready before the start in all threads together, in bytes; what is beyond is made when it is sent.
const PREBUILT_BYTES_MAX: usize = 256 << 20;
/// Waiting for a socket to take more.
pub(super) const BLOCKED_NS: u64 = 100_000;
/// A centre's address: 00, as the spec has it.
const CENTER: [u8; CENTER_BYTES] = [0; CENTER_BYTES];

/// A request to be sent.
#[derive(Debug)]
struct Outgoing {
    target: u32,
    request: u32,
    planned_ns: u64,
    /// Raw request and datagram where they are its own.
    own: Option<(Vec<u8>, Vec<u8>)>,
}

/// An FSU, and how far it is.
#[derive(Debug)]
struct Peer {
    target: usize,
    lane: Lane,
    place: Place,
    /// Datagrams by request; none, or an empty one: made when sent.
    datagrams: Box<[Box<[u8]>]>,
}

/// The thread's state.
struct Udp<'a> {
    options: &'a Options,
    worker: Worker,
    peers: Vec<Peer>,
    by_address: HashMap<SocketAddr, u32>,
    sockets: Vec<UdpSocket>,
    epoll: OwnedFd,
    /// By socket.
    gathered: Vec<VecDeque<Outgoing>>,
    /// Closed pace: peers with room for one more.
    ready: VecDeque<u32>,
    /// Closed pace: peers whose last request could not be sent, or was refused; tried again at the next sweep.
    refused: Vec<u32>,
    turn: usize,
    sender: UdpSender,
    outbox: Outbox<To>,
    plain: Vec<u8>,
    inner: Vec<u8>,
}

/// The targets of thread `number`: every so-manyth.
pub fn share(targets: usize, number: usize, threads: usize) -> impl Iterator<Item = usize> {
    (number..targets).step_by(threads.max(1))
}

/// Datagram of a request, into `out`.
fn datagram(target: &Target, prepared: &Prepared, wire: &[u8], out: &mut Vec<u8>) {
    let device = &prepared.device;
    let request = Head::request(&target.id.bytes, &CENTER, device.sub_dev_type, device.sub_dev_addr);
    let head = Head { rtn_flag: target.rtn_flag, ..request };
    // The compiler keeps frames below what P_pLen can tell; one that is not would come out empty and is never answered.
    match head.build(Some(wire), out) {
        Ok(()) => escape_in_place(out),
        Err(_) => out.clear(),
    }
}

/// The datagram of a request that has left.
#[cold]
fn sent(target: &Target, flight: &Flight) -> Vec<u8> {
    let prepared = &target.profile.requests[flight.request as usize];
    let mut out = Vec::new();
    datagram(target, prepared, &prepared.wire_of(flight), &mut out);
    out
}

/// Sockets of a thread, bound to any free port: for IPv4 peers, or for IPv6 ones if any is.
pub fn bind(options: &Options) -> io::Result<Vec<UdpSocket>> {
    let six = options.targets.iter().any(|target| target.address.is_ipv6());
    let open = || -> io::Result<UdpSocket> {
        let (domain, any): (_, SocketAddr) = if six {
            (Domain::IPV6, (Ipv6Addr::UNSPECIFIED, 0).into())
        } else {
            (Domain::IPV4, (Ipv4Addr::UNSPECIFIED, 0).into())
        };
        let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        // Less is given without an error.
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
        let _ = socket.set_send_buffer_size(RECEIVE_BUFFER_BYTES);
        if options.gso {
            // Where it is unknown, datagrams come one by one.
            let _ = turn_on(socket.as_fd(), libc::SOL_UDP, libc::UDP_GRO);
        }
        if six {
            socket.set_only_v6(false)?;
        }
        // Where it is unknown, nobody tells that nobody listens: such requests are lost.
        let _ = keep_errors(socket.as_fd(), six);
        socket.bind(&any.into())?;
        Ok(socket.into())
    };
    (0..options.sockets.max(1)).map(|_| open()).collect()
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
    let made = Udp::new(options, Worker::new(options, number, live), sockets);
    let clock = gate.open();
    let mut udp = made?;
    udp.worker.clock = clock;
    let mut receiver = Receiver::new();
    udp.open_windows();
    udp.run(&mut receiver)?;
    udp.settle_held();
    let drops = udp.sockets.iter().filter_map(|socket| lost(socket.as_fd()));
    udp.worker.book.tally.other.own_drops = drops.map(u64::from).sum();
    let targets: Vec<usize> = udp.peers.iter().map(|peer| peer.target).collect();
    Ok(udp.worker.close(cpu, receive_buffer_bytes, &targets))
}

impl<'a> Udp<'a> {
    fn new(options: &'a Options, mut worker: Worker, sockets: Vec<UdpSocket>) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        for (index, socket) in sockets.iter().enumerate() {
            epoll::add(&epoll, socket, epoll::EventData::new_u64(index as u64), epoll::EventFlags::IN)?;
        }
        let mut bytes = 0;
        let mut peers = Vec::new();
        let mut by_address = HashMap::new();
        let mine = || share(options.targets.len(), worker.number, options.threads);
        let lanes = mine().count();
        for target_index in mine() {
            let target = &options.targets[target_index];
            let mut datagrams = Vec::new();
            if bytes < PREBUILT_BYTES_MAX / options.threads {
                for prepared in &target.profile.requests {
                    let mut out = Vec::new();
                    if !prepared.is_own() {
                        datagram(target, prepared, &prepared.wire, &mut out);
                    }
                    datagrams.push(out.into_boxed_slice());
                }
                bytes += datagrams.iter().map(|one| one.len()).sum::<usize>();
            }
            by_address.insert(canonical(target.address), peers.len() as u32);
            peers.push(Peer {
                target: target_index,
                lane: Lane::new(lanes, worker.timeout_ns),
                // FSUs begin at different places, so that commands mix over the fleet too.
                place: Place::new((target_index % target.profile.sequence.len()) as u32),
                datagrams: datagrams.into(),
            });
        }
        worker.book.accounts = vec![Account::default(); peers.len()];
        let gathered = sockets.iter().map(|_| VecDeque::with_capacity(GATHERED_MAX)).collect();
        Ok(Self {
            options,
            worker,
            peers,
            by_address,
            sockets,
            epoll,
            gathered,
            ready: VecDeque::new(),
            refused: Vec::new(),
            turn: 0,
            sender: UdpSender::new(options.gso),
            outbox: Outbox::default(),
            plain: Vec::new(),
            inner: Vec::new(),
        })
    }

    fn open_windows(&mut self) {
        if let Pace::Closed { window } = self.options.pace {
            for peer in 0..self.peers.len() as u32 {
                self.ready.extend(std::iter::repeat_n(peer, window));
            }
        }
    }

    fn run(&mut self, receiver: &mut Receiver) -> io::Result<()> {
        if self.peers.is_empty() {
            self.worker.pacer.stop();
        }
        loop {
            let now = self.worker.clock.now_ns();
            if self.worker.tick(now) {
                self.sweep(now);
            }
            let next = self.gather(now);
            self.flush();
            let received = self.receive(receiver)?;
            let blocked = self.gathered.iter().any(|gathered| !gathered.is_empty());
            if self.worker.is_done() && !blocked {
                return Ok(());
            }
            if received > 0 || (!self.ready.is_empty() && !self.worker.has_ended()) {
                continue;
            }
            let now = self.worker.clock.now_ns();
            let next = if blocked { Some(now + BLOCKED_NS) } else { next };
            let wait = self.worker.wait(now, next);
            if wait.is_zero() {
                continue;
            }
            wait_for(&self.epoll, wait)?;
        }
    }

    /// Makes ready what is due; when the next one is, where that is known.
    fn gather(&mut self, now: u64) -> Option<u64> {
        let mut room = GATHERED_MAX;
        if !self.worker.pacer.is_open() {
            while room > 0
                && let Some(peer) = self.ready.pop_front()
            {
                if !self.worker.pacer.take(now) {
                    self.ready.clear();
                    return None;
                }
                self.prepare(peer as usize, now);
                room -= 1;
            }
            return None;
        }
        while room > 0 {
            match self.worker.pacer.due(now) {
                Due::Now(planned) => {
                    let peer = self.turn;
                    self.turn = (self.turn + 1) % self.peers.len().max(1);
                    let waiting: usize = self.gathered.iter().map(VecDeque::len).sum();
                    if self.worker.open + waiting >= OPEN_MAX {
                        self.worker.book.tally.other.not_sent += 1;
                    } else {
                        self.prepare(peer, planned);
                    }
                    room -= 1;
                }
                Due::At(at) => return Some(at),
                Due::Never => return None,
            }
        }
        Some(now)
    }

    /// The next request of a peer.
    fn prepare(&mut self, peer_index: usize, planned_ns: u64) {
        let Some(peer) = self.peers.get_mut(peer_index) else { return };
        let target = &self.options.targets[peer.target];
        let (request, turn) = peer.place.next(&target.profile);
        let prepared = &target.profile.requests[request as usize];
        let is_ready = peer.datagrams.get(request as usize).is_some_and(|datagram| !datagram.is_empty());
        let mut bytes = if is_ready { Vec::new() } else { self.worker.spent.pop().unwrap_or_default() };
        let own = if prepared.is_own() {
            let (mut raw, mut wire) = (self.worker.spent.pop().unwrap_or_default(), std::mem::take(&mut self.plain));
            self.worker.renew(target, prepared, turn, (&mut raw, &mut wire));
            datagram(target, prepared, &wire, &mut bytes);
            self.plain = wire;
            Some((raw, bytes))
        } else if is_ready {
            None
        } else {
            datagram(target, prepared, &prepared.wire, &mut bytes);
            Some((Vec::new(), bytes))
        };
        let socket = peer_index % self.gathered.len();
        self.gathered[socket].push_back(Outgoing { target: peer_index as u32, request, planned_ns, own });
    }

    /// Sends what is gathered, as far as the sockets take it.
    fn flush(&mut self) {
        for socket in 0..self.sockets.len() {
            while !self.gathered[socket].is_empty() {
                self.fill(socket);
                let sent_ns = self.worker.clock.now_ns();
                let departing = Departing { outbox: &self.outbox, range: 0..self.outbox.len(), six: false };
                match self.sender.send(self.sockets[socket].as_fd(), &departing) {
                    Ok(sent) => self.left(socket, sent, sent_ns),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    // What an earlier datagram met; this one has not left yet.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => self.on_refused(socket),
                    Err(_) => {
                        // That of the first one.
                        self.worker.book.tally.other.send_errors += 1;
                        self.refused.extend(self.gathered[socket].pop_front().map(|out| out.target));
                    }
                }
            }
        }
    }

    /// The bytes of what is gathered for a socket, one after another.
    fn fill(&mut self, socket: usize) {
        self.outbox.clear();
        for out in &self.gathered[socket] {
            let peer = &self.peers[out.target as usize];
            let bytes = match &out.own {
                Some((_, bytes)) => bytes.as_slice(),
                None => &peer.datagrams[out.request as usize],
            };
            let address = self.options.targets[peer.target].address;
            if !self.outbox.push(To(address), bytes) {
                break;
            }
        }
    }

    /// The first of what was gathered have left.
    fn left(&mut self, socket: usize, datagrams: usize, sent_ns: u64) {
        let gathered = &mut self.gathered[socket];
        let count = datagrams.min(gathered.len());
        for out in gathered.drain(..count) {
            let peer = &mut self.peers[out.target as usize];
            let prepared = &self.options.targets[peer.target].profile.requests[out.request as usize];
            let (raw, bytes) = match out.own {
                Some((raw, datagram)) => {
                    let bytes = datagram.len();
                    recycle(datagram, &mut self.worker.spent);
                    (raw, bytes)
                }
                None => (Vec::new(), peer.datagrams[out.request as usize].len()),
            };
            // In a closed loop there is no plan but to send.
            let planned_ns = if self.worker.pacer.is_open() { out.planned_ns } else { sent_ns };
            let flight = prepared.flight(out.request, raw, planned_ns, sent_ns);
            self.worker.sent(prepared, out.target, &flight, bytes);
            peer.lane.push(flight);
        }
    }

    fn receive(&mut self, receiver: &mut Receiver) -> io::Result<usize> {
        let mut total = 0;
        for index in 0..self.sockets.len() {
            for _ in 0..BATCHES_MAX {
                let count = match receiver.receive(self.sockets[index].as_fd(), BATCH) {
                    Ok(count) => count,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    // What an earlier datagram met (port unreachable, say); told once, then gone.
                    Err(error) if is_passing(&error) => {
                        self.on_refused(index);
                        continue;
                    }
                    Err(error) => return Err(error),
                };
                let now = self.worker.clock.now_ns();
                for at in 0..count {
                    if let Some(received) = receiver.get(at) {
                        received.datagrams().for_each(|bytes| self.on_datagram(bytes, received.peer, now));
                    }
                }
                total += count;
                if count < BATCH {
                    break;
                }
            }
        }
        Ok(total)
    }

    fn on_datagram(&mut self, bytes: &[u8], from: SocketAddr, now: u64) {
        self.worker.heard(bytes.len());
        let Some(&peer_index) = self.by_address.get(&from) else {
            let seen = Seen { fsu: "", account: NOBODY, bytes, now_ns: now };
            self.worker.book.unexpected(seen, "from an address that was not asked");
            return;
        };
        let peer = &mut self.peers[peer_index as usize];
        let target = &self.options.targets[peer.target];
        let requests = &target.profile.requests;
        for item in Frames::new(bytes) {
            let (wire, parsed) = match item {
                Ok(frame) => {
                    (frame.bytes, frame.plain(&mut self.plain).and_then(|plain| view(plain, self.options.echo)))
                }
                Err(bad) => (bad.bytes, Err(bad.reason)),
            };
            if let Ok(Up { comm: Comm::Heartbeat, src, .. }) = &parsed
                && **src == target.id.bytes
            {
                self.worker.book.tally.other.heartbeats += u64::from(now >= self.worker.book.measure_from_ns);
                continue;
            }
            let inner = |prepared: &Prepared| {
                let up = parsed.map_err(Wrong::Outer)?;
                let Comm::Through(data) = up.comm else { return Err(Wrong::Address) };
                if *up.src != target.id.bytes || *up.dest != CENTER || up.p_len_big || up.data_len_big {
                    return Err(Wrong::Address);
                }
                let device = &prepared.device;
                let is_its = (up.sub_dev_type, up.sub_dev_addr) == (device.sub_dev_type, device.sub_dev_addr);
                if is_its { Ok(data) } else { Err(Wrong::Device) }
            };
            let seen = Seen { fsu: &target.name, account: peer_index, bytes: wire, now_ns: now };
            self.worker.book.received(peer_index);
            let reply = Reply::new(requests, inner, true, &mut self.inner);
            let settled = self.worker.settle(&mut peer.lane, requests, &seen, reply);
            let label = |flight: &Flight| requests[flight.request as usize].label;
            let wire = |flight: &Flight| sent(target, flight);
            if let Some(flight) = self.worker.book.settled(settled, seen, label, wire) {
                recycle(flight.raw, &mut self.worker.spent);
                self.worker.open -= 1;
                if !self.worker.pacer.is_open() {
                    self.ready.push_back(peer_index);
                }
            }
        }
    }

    /// Takes what hosts told of a socket's datagrams: where nobody listens, the oldest request is given up.
    #[cold]
    fn on_refused(&mut self, socket: usize) {
        while let Some((at, nobody_listens)) = refused(self.sockets[socket].as_fd()) {
            let Some(&peer_index) = self.by_address.get(&at).filter(|_| nobody_listens) else { continue };
            let peer = &mut self.peers[peer_index as usize];
            let target = &self.options.targets[peer.target];
            self.worker.refused(&target.name, target.address);
            let book = &mut self.worker.book;
            let seen = Seen { fsu: &target.name, account: peer_index, bytes: &[], now_ns: 0 };
            let was_open = peer.lane.refuse(|flight| {
                let label = target.profile.requests[flight.request as usize].label;
                book.gave_up(label, seen, flight, || sent(target, flight));
            });
            if was_open {
                self.worker.open -= 1;
                if !self.worker.pacer.is_open() {
                    // Not at once: there may be somebody again in a while.
                    self.refused.push(peer_index);
                }
            }
        }
    }

    /// Gives up what is past its time-out.
    fn sweep(&mut self, now: u64) {
        let closed = !self.worker.pacer.is_open();
        if closed {
            self.ready.extend(self.refused.drain(..));
        }
        if self.worker.is_past_end(now) {
            // The socket took none for a whole time-out.
            let gathered = self.gathered.iter_mut().map(|gathered| gathered.drain(..).count() as u64);
            self.worker.book.tally.other.not_sent += gathered.sum::<u64>();
        }
        for (index, peer) in self.peers.iter_mut().enumerate() {
            let target = &self.options.targets[peer.target];
            let (book, open, ready) = (&mut self.worker.book, &mut self.worker.open, &mut self.ready);
            let forgotten = peer.lane.expire(now, &mut self.worker.spent, |gone| {
                if told(book, target, index as u32, &gone) {
                    *open -= 1;
                    if closed {
                        ready.push_back(index as u32);
                    }
                }
            });
            book.tally.other.forgotten += forgotten;
        }
    }

    /// At the end: no request is left that a reply which is held could answer.
    fn settle_held(&mut self) {
        for (index, peer) in self.peers.iter_mut().enumerate() {
            let target = &self.options.targets[peer.target];
            let book = &mut self.worker.book;
            peer.lane.close(&mut self.worker.spent, |gone| {
                told(book, target, index as u32, &gone);
            });
        }
    }
}

/// Books what time made of a request of a target. Is one no longer under way?
fn told(book: &mut Book, target: &Target, account: u32, gone: &Gone<'_>) -> bool {
    let seen = Seen { fsu: &target.name, account, bytes: &[], now_ns: 0 };
    let label = |flight: &Flight| target.profile.requests[flight.request as usize].label;
    book.gone(gone, seen, label, |flight| sent(target, flight))
}

/// A reply, or from an echo a request that came back: its FSU is where it went to.
#[inline]
fn view(plain: &[u8], echo: bool) -> Result<Up<'_>, Reason> {
    if !echo {
        return Up::new_checked(plain);
    }
    let Down { dest, src, sub_dev_type, sub_dev_addr, comm, p_len_big, data_len_big, .. } = Down::new_checked(plain)?;
    Ok(Up { dest: src, src: dest, sub_dev_type, sub_dev_addr, comm, p_len_big, data_len_big })
}

/// Errors that say nothing about the socket itself.
pub(super) fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, HostUnreachable, Interrupted, NetworkUnreachable};
    matches!(error.kind(), ConnectionRefused | HostUnreachable | NetworkUnreachable | Interrupted)
}

#[cfg(test)]
mod limits;
