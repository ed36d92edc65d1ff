//! UDP FSUs: few sockets, many peers, datagrams in batches.
//!
//! A reply's FSU is known by its address, and its request by [`crate::lane`].

use super::datagram::{self, Arrived, Datagrams, GATHERED_MAX, Sent, receive, send};
use super::frames::{Came, Frames as Queue};
use super::share;
use super::unasked::{Unasked, is_reply};
use crate::book::{NOBODY, Seen};
use crate::engine::Link;
use crate::engine::owner::Owner;
use crate::engine::reply::ReplyMatcher;
use crate::engine::worker::Worker;
use crate::expect::Wrong;
use crate::hear::count::Count;
use crate::lane::{Flight, Lane, recycle};
use crate::workload::options::{AskedFsu, OPEN_MAX, Options};
use crate::workload::profile::Prepared;
use crate::workload::turns::Turns;
use foldhash::HashMap;
use fsu_net::message::canonical;
use fsu_net::outbox::{Outbox, To};
use fsu_net::sender::UdpSender;
use fsu_net::sys::{Receiver, prefetch, refused};
use fsu_plan::wire::envelope::{CENTER_BYTES, Comm, Down, Frames, Head, Up, escape_in_place};
use fsu_plan::wire::reason::Reason;
use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// Requests made ready before the start in all threads together, in bytes; what is beyond is made when it is sent.
const PREBUILT_BYTES_MAX: usize = 256 << 20;
/// A centre's address: 00, as the spec has it.
const CENTER: [u8; CENTER_BYTES] = [0; CENTER_BYTES];

/// Where replies come as frames, sockets are looked at when none has come, or after this long.
const SOCKETS_LOOK_NS: u64 = 1_000_000;
/// How far ahead a frame's lane is prefetched, and before that the FSU that has it.
const LANES_AHEAD: usize = 4;
const PEERS_AHEAD: usize = 12;

/// A request to be sent.
#[derive(Debug)]
struct Outgoing {
    peer: u32,
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
    turns: Turns,
    /// Datagrams by request; none, or an empty one: made when sent.
    datagrams: Box<[Box<[u8]>]>,
}

/// A thread's UDP sockets and peers.
pub struct Udp<'a> {
    options: &'a Options,
    peers: Vec<Peer>,
    by_address: HashMap<SocketAddr, u32>,
    sockets: Vec<UdpSocket>,
    /// A queue of a network device beside them.
    frames: Option<Box<Queue>>,
    /// The last look's datagrams, each with its FSU.
    came: Vec<(Came, Option<u32>)>,
    /// When the sockets were last looked at.
    looked_ns: u64,
    receive_buffer_bytes: u64,
    epoll: OwnedFd,
    /// By socket.
    gathered: Vec<VecDeque<Outgoing>>,
    receiver: Option<Receiver>,
    sender: UdpSender,
    outbox: Outbox<To>,
    plain: Vec<u8>,
    inner: Vec<u8>,
    unasked: Unasked<'a>,
}

/// Datagram of a request, into `out`.
pub(crate) fn datagram(target: &AskedFsu, prepared: &Prepared, wire: &[u8], out: &mut Vec<u8>) {
    if target.is_bare {
        out.clear();
        return out.extend_from_slice(wire);
    }
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
fn sent(target: &AskedFsu, flight: &Flight) -> Vec<u8> {
    let prepared = &target.profile.requests[flight.request as usize];
    let mut out = Vec::new();
    datagram(target, prepared, &prepared.wire_of(flight), &mut out);
    out
}

impl<'a> Link<'a> for Udp<'a> {
    type Sockets = (Vec<UdpSocket>, Option<Box<Queue>>);

    const CLOSED_TURN_MAX: usize = GATHERED_MAX;
    const OPEN_TURN_MAX: usize = GATHERED_MAX;

    fn new(options: &'a Options, worker: &mut Worker, (sockets, frames): Self::Sockets) -> io::Result<Self> {
        let epoll = datagram::watch(&sockets, frames.as_deref().map(Queue::socket))?;
        let peers = peers(options, worker);
        let address = |peer: &Peer| canonical(options.targets[peer.target].address);
        Ok(Self {
            options,
            by_address: peers.iter().map(address).zip(0..).collect(),
            peers,
            receive_buffer_bytes: datagram::receive_buffer_bytes(sockets.first()),
            gathered: sockets.iter().map(|_| VecDeque::with_capacity(GATHERED_MAX)).collect(),
            sockets,
            frames,
            came: Vec::new(),
            looked_ns: 0,
            epoll,
            receiver: Some(Receiver::new()),
            sender: UdpSender::new(options.gso),
            outbox: Outbox::default(),
            plain: Vec::new(),
            inner: Vec::new(),
            unasked: Unasked::new(options, worker.number, worker.clock),
        })
    }

    fn targets(&self) -> Vec<usize> {
        self.peers.iter().map(|peer| peer.target).collect()
    }

    fn open_windows(&mut self, worker: &mut Worker, window: usize) {
        for peer in 0..self.peers.len() as u32 {
            worker.ready.extend(std::iter::repeat_n(peer, window));
        }
    }

    #[inline]
    fn seat(&mut self, worker: &Worker, turn: usize) -> Option<u32> {
        let waiting: usize = self.gathered.iter().map(VecDeque::len).sum();
        (worker.open + waiting < OPEN_MAX).then_some(turn as u32)
    }

    fn ask(&mut self, worker: &mut Worker, seat: u32, planned_ns: u64, _now_ns: u64) {
        let Some(peer) = self.peers.get_mut(seat as usize) else { return };
        let target = &self.options.targets[peer.target];
        let (request, turn) = peer.turns.next(&target.profile);
        let prepared = &target.profile.requests[request as usize];
        let is_ready = peer.datagrams.get(request as usize).is_some_and(|datagram| !datagram.is_empty());
        let mut bytes = if is_ready { Vec::new() } else { worker.spent.pop().unwrap_or_default() };
        let own = if prepared.is_own() {
            let (mut raw, mut wire) = (worker.spent.pop().unwrap_or_default(), std::mem::take(&mut self.plain));
            worker.renew(target, prepared, turn, (&mut raw, &mut wire));
            datagram(target, prepared, &wire, &mut bytes);
            self.plain = wire;
            Some((raw, bytes))
        } else if is_ready {
            None
        } else {
            datagram(target, prepared, &prepared.wire, &mut bytes);
            Some((Vec::new(), bytes))
        };
        let socket = seat as usize % self.gathered.len();
        self.gathered[socket].push_back(Outgoing { peer: seat, request, planned_ns, own });
    }

    fn flush(&mut self, worker: &mut Worker) -> io::Result<()> {
        for socket in 0..self.sockets.len() {
            while !self.gathered[socket].is_empty() {
                self.fill(socket);
                let sent_ns = worker.clock.now_ns();
                match self.frames.as_mut().map(|frames| frames.send(socket, &self.outbox)) {
                    Some(Some(sent @ 1..)) => {
                        self.left(worker, socket, sent, sent_ns);
                        continue;
                    }
                    Some(None) => break,
                    Some(Some(0)) | None => {}
                }
                match send(&mut self.sender, &self.sockets[socket], &self.outbox, 0) {
                    Sent::Left(sent) => self.left(worker, socket, sent, sent_ns),
                    Sent::Full => break,
                    Sent::Again => {}
                    Sent::Refused => self.on_refused(worker, socket),
                    Sent::Failed => {
                        worker.book.tally.other.send_errors += 1;
                        self.gathered[socket].pop_front().into_iter().for_each(|out| worker.put_off(out.peer));
                    }
                }
            }
        }
        if let Some(frames) = &mut self.frames {
            frames.flush();
        }
        Ok(())
    }

    fn receive(&mut self, worker: &mut Worker) -> io::Result<usize> {
        let (frames, now_ns) = (self.receive_frames(worker), worker.clock.now_ns());
        if frames > 0 && now_ns.saturating_sub(self.looked_ns) < SOCKETS_LOOK_NS {
            return Ok(frames);
        }
        self.looked_ns = now_ns;
        let Some(mut receiver) = self.receiver.take() else { return Ok(frames) };
        let received = receive(self, worker, &mut receiver);
        self.receiver = Some(receiver);
        Ok(received? + frames)
    }

    fn wait(&mut self, _worker: &mut Worker, at_most: Duration) -> io::Result<()> {
        datagram::wait(&self.epoll, at_most)
    }

    fn is_blocked(&self) -> bool {
        self.has_queued()
    }

    fn has_queued(&self) -> bool {
        self.gathered.iter().any(|gathered| !gathered.is_empty())
    }

    fn sweep(&mut self, worker: &mut Worker, now_ns: u64) -> io::Result<()> {
        worker.book.heard = self.unasked.so_far();
        if worker.is_past_end(now_ns) {
            // The socket took none for a whole time-out.
            let gathered = self.gathered.iter_mut().map(|gathered| gathered.drain(..).count() as u64);
            worker.book.tally.other.not_sent += gathered.sum::<u64>();
        }
        for (peer, seat) in self.peers.iter_mut().zip(0..) {
            let owner = Owner { target: &self.options.targets[peer.target], seat, wire: sent };
            worker.expire(&mut peer.lane, &owner, now_ns);
        }
        Ok(())
    }

    fn close(&mut self, worker: &mut Worker) {
        // No request is left that a held reply could answer.
        for (peer, seat) in self.peers.iter_mut().zip(0..) {
            let owner = Owner { target: &self.options.targets[peer.target], seat, wire: sent };
            worker.give_up(&mut peer.lane, &owner);
        }
        let frames = self.frames.as_deref().map_or(0, Queue::drops);
        worker.book.tally.other.own_drops = datagram::drops(self.sockets.iter()) + frames;
    }

    fn heard(&mut self) -> Option<Count> {
        self.unasked.close()
    }

    fn receive_buffer_bytes(&self) -> u64 {
        self.receive_buffer_bytes
    }
}

/// The peers of a thread, with as many prepared datagrams as its share of the memory holds.
fn peers(options: &Options, worker: &Worker) -> Vec<Peer> {
    let mine = || share(options.targets.len(), worker.number, options.threads);
    let lanes = mine().count();
    let mut bytes = 0;
    let peer = |index: usize| {
        let target = &options.targets[index];
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
        Peer {
            target: index,
            lane: Lane::new(lanes, worker.timeout_ns),
            // FSUs begin at different places, so that commands mix over the fleet too.
            turns: Turns::new((index % target.profile.sequence.len()) as u32),
            datagrams: datagrams.into(),
        }
    };
    mine().map(peer).collect()
}

impl Udp<'_> {
    /// Receives what came as frames, one look; how many.
    fn receive_frames(&mut self, worker: &mut Worker) -> usize {
        let Some(mut frames) = self.frames.take() else { return 0 };
        let (count, now_ns) = (frames.look(), worker.clock.now_ns());
        let mut all = std::mem::take(&mut self.came);
        let came = (0..count).filter_map(|number| frames.came(number));
        all.extend(came.map(|came| (came, self.by_address.get(&came.from).copied())));
        let ahead = |more: usize| all.get(more).and_then(|&(_, seat)| seat);
        for (at, (came, seat)) in all.iter().enumerate() {
            if let Some(seat) = ahead(at + PEERS_AHEAD) {
                prefetch(self.peers.as_ptr().wrapping_add(seat as usize), size_of::<Peer>().div_ceil(64));
            }
            if let Some(peer) = ahead(at + LANES_AHEAD).and_then(|seat| self.peers.get(seat as usize)) {
                peer.lane.prefetch();
            }
            let arrived = Arrived { bytes: frames.bytes(came), from: came.from, socket: came.socket, now_ns };
            self.on_reply(worker, *seat, arrived);
        }
        all.clear();
        self.came = all;
        frames.done(count);
        self.frames = Some(frames);
        count as usize
    }

    /// A datagram came from an FSU, or from another address.
    fn on_reply(&mut self, worker: &mut Worker, seat: Option<u32>, Arrived { bytes, now_ns, socket, .. }: Arrived<'_>) {
        worker.heard(bytes.len());
        let Some(seat) = seat else {
            let seen = Seen { fsu: "", account: NOBODY, bytes, now_ns };
            worker.book.unexpected(seen, "from an address that was not asked");
            return;
        };
        let peer = &mut self.peers[seat as usize];
        let target = &self.options.targets[peer.target];
        let owner = Owner { target, seat, wire: sent };
        let speaks = self.unasked.speaks(peer.target);
        if target.is_bare {
            if speaks
                && !is_reply(&peer.lane, &target.profile.requests, bytes, false, &mut self.inner)
                && self.unasked.datagram(
                    (seat, peer.target, target),
                    None,
                    (bytes, worker.clock),
                    &self.sockets[socket],
                )
            {
                return;
            }
            let reply = ReplyMatcher::new(&target.profile.requests, |_: &Prepared| Ok(bytes), true, &mut self.inner);
            worker.settle(&mut peer.lane, &owner, &owner.seen(bytes, now_ns), reply);
            return;
        }
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
                worker.book.tally.other.heartbeats += u64::from(now_ns >= worker.book.measure_from_ns);
                continue;
            }
            if speaks
                && let Ok(Up { comm: Comm::Through(data), src, sub_dev_type, sub_dev_addr, .. }) = &parsed
                && **src == target.id.bytes
                && !is_reply(&peer.lane, &target.profile.requests, data, false, &mut self.inner)
                && self.unasked.datagram(
                    (seat, peer.target, target),
                    Some([*sub_dev_type, *sub_dev_addr]),
                    (data, worker.clock),
                    &self.sockets[socket],
                )
            {
                continue;
            }
            let inner = |prepared: &Prepared| inner_frame(parsed.map_err(Wrong::Outer)?, target, prepared);
            let reply = ReplyMatcher::new(&target.profile.requests, inner, true, &mut self.inner);
            worker.settle(&mut peer.lane, &owner, &owner.seen(wire, now_ns), reply);
        }
    }

    /// The bytes of what is gathered for a socket, one after another.
    fn fill(&mut self, socket: usize) {
        self.outbox.clear();
        for out in &self.gathered[socket] {
            let peer = &self.peers[out.peer as usize];
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
    fn left(&mut self, worker: &mut Worker, socket: usize, datagrams: usize, sent_ns: u64) {
        let gathered = &mut self.gathered[socket];
        let count = datagrams.min(gathered.len());
        for out in gathered.drain(..count) {
            let peer = &mut self.peers[out.peer as usize];
            let prepared = &self.options.targets[peer.target].profile.requests[out.request as usize];
            let (raw, bytes) = match out.own {
                Some((raw, datagram)) => {
                    let bytes = datagram.len();
                    recycle(datagram, &mut worker.spent);
                    (raw, bytes)
                }
                None => (Vec::new(), peer.datagrams[out.request as usize].len()),
            };
            // In a closed loop there is no plan but to send.
            let planned_ns = if worker.pacer.is_open() { out.planned_ns } else { sent_ns };
            let flight = prepared.flight(out.request, raw, planned_ns, sent_ns);
            worker.sent(prepared, out.peer, &flight, bytes);
            peer.lane.push(flight);
        }
    }
}

impl Datagrams for Udp<'_> {
    fn sockets(&self) -> usize {
        self.sockets.len()
    }

    fn socket(&self, number: usize) -> &UdpSocket {
        &self.sockets[number]
    }

    fn on_datagram(&mut self, worker: &mut Worker, arrived: Arrived<'_>) {
        self.on_reply(worker, self.by_address.get(&arrived.from).copied(), arrived);
    }

    /// Where nobody listens, the oldest request is given up.
    #[cold]
    fn on_refused(&mut self, worker: &mut Worker, socket: usize) {
        while let Some((at, nobody_listens)) = refused(self.sockets[socket].as_fd()) {
            let Some(&seat) = self.by_address.get(&at).filter(|_| nobody_listens) else { continue };
            let peer = &mut self.peers[seat as usize];
            let target = &self.options.targets[peer.target];
            worker.refused(&target.name, target.address);
            let owner = Owner { target, seat, wire: sent };
            let book = &mut worker.book;
            let was_open = peer.lane.refuse(|flight| {
                book.gave_up(owner.label(flight), owner.seen(&[], 0), flight, || owner.wire(flight));
            });
            if was_open {
                worker.open -= 1;
                // Not at once: somebody may listen again in a while.
                worker.put_off(seat);
            }
        }
    }

    fn on_batch(&mut self, _worker: &mut Worker, _socket: usize) {}
}

/// The inner frame of an outer one, if that is the target's reply to its centre and from the device that was asked.
#[inline]
pub(crate) fn inner_frame<'b>(up: Up<'b>, target: &AskedFsu, prepared: &Prepared) -> Result<&'b [u8], Wrong> {
    let Comm::Through(data) = up.comm else { return Err(Wrong::Address) };
    if *up.src != target.id.bytes || *up.dest != CENTER || up.p_len_big || up.data_len_big {
        return Err(Wrong::Address);
    }
    let device = &prepared.device;
    let is_its = (up.sub_dev_type, up.sub_dev_addr) == (device.sub_dev_type, device.sub_dev_addr);
    if is_its { Ok(data) } else { Err(Wrong::Device) }
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

#[cfg(test)]
mod limits;
