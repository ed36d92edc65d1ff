//! The ring driver's descriptors: what is asked of the kernel for each of a shard's sockets.
//!
//! A receive of datagrams or an accept goes on until it ends: no buffer was left, an error occurred, or it was cancelled. Its last
//! completion says so, and then it is started again if it is still wanted. A receive from a connection ends with the first bytes.
//! Connections have their turns in rounds ([`RingIo::begin_reads`]), so that no connection gets more than another, however much it sends.

use super::leaving::Leaving;
use crate::driver::base::{Base, DriverIo, Fate, Which};
use crate::driver::clocks;
use crate::driver::kernel::{self, Pool, Ring};
use crate::driver::streams::{Stream, Streams};
use crate::driver::ways::{Way, takes};
use crate::shard::io::{ConnId, Datagram, Interest, Io, Written};
use crate::shard::reload::Sockets;
use fsu_net::bind::Bound;
use fsu_net::sys::{Done, Op, READ_BYTES};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// Buffers of a shard for all that it receives: as many receives as fit between two turns, beyond which the kernel keeps what came
/// and is asked again. 64 KiB of addresses each; memory for as much as was ever received into one: 1 MiB with short
/// datagrams, 16 MiB at most.
pub(crate) const BUFFERS: u16 = 256;
/// Bytes that are received from connections between two looks at what came: the kernel has them copied at once then, for a quarter of a
/// millisecond.
const TURN_BYTES: usize = 1 << 20;
/// Bytes of a receive that are few: those connections come to their turns first.
const FEW_BYTES: usize = 1 << 10;
/// Buffers of a shard for bytes of connections, of `READ_BYTES` each: four times as many as may be filled in a turn. One that finds none is
/// the first to be tried again. Memory for as much as was ever received into one: 4 MiB at most.
const STREAM_BUFFERS: u16 = 256;
const _: () = assert!(STREAM_BUFFERS as usize * READ_BYTES >= 4 * TURN_BYTES);
/// Sockets of a shard from which on datagrams leave through the ring.
const SENDS_MIN: usize = 512;
const INDEX_BITS: u32 = 32;
const GENERATION_MASK: u64 = 0x00FF_FFFF;

/// The state of a lasting operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Running {
    /// Not started.
    #[default]
    No,
    /// Running.
    Yes,
    /// Cancelled, and not ended yet.
    Ending,
}

/// What goes on with a connection.
#[derive(Debug)]
struct Receiving {
    interest: Interest,
    reading: Running,
    /// It waits for its turn to be received from.
    is_queued: bool,
    /// Bytes that its last receive brought: as many are expected of the next.
    last_bytes: usize,
    /// It is waited for room.
    is_awaited: bool,
}

/// All descriptors of a shard.
pub(crate) struct RingIo {
    // Dropped first: it ends all operations on the sockets below.
    pub(crate) ring: Ring,
    base: Base,
    /// By place: of its own socket, and of the one that is connected to a centre.
    receiving: Vec<[Running; 2]>,
    /// By socket: it is to be received from, or accepted on.
    wanted: Vec<bool>,
    streams: Streams<Receiving>,
    /// Connections to be received from: those that found no buffer or had little, then those that had more.
    first: VecDeque<ConnId>,
    served: VecDeque<ConnId>,
    /// Sockets whose receives found no buffer, to be begun again.
    pub(crate) starved: Vec<u32>,
    /// To be closed when the operations on them have gone to the kernel.
    closing: Vec<OwnedFd>,
    /// Nothing is received any more.
    pub(crate) has_stopped: bool,
    /// Datagrams that leave through the ring.
    leaving: Leaving,
    /// They do: with fewer sockets there are more of one in a row, and calls cost less.
    pub(crate) sends: bool,
    /// Completions that were taken to see which sends failed, before their turn.
    early: Vec<Done>,
}

impl RingIo {
    /// Receives from these sockets, and watches the descriptor for commands.
    pub(crate) fn new(base: Base) -> io::Result<(Self, Pool, Pool)> {
        let (ring, datagrams, bytes) = Ring::new(BUFFERS, STREAM_BUFFERS)?;
        let sockets = base.sockets().count();
        let (receiving, wanted) = (vec![[Running::No; 2]; sockets], vec![true; sockets]);
        let (streams, closing) = (Streams::default(), Vec::new());
        let mut io = Self {
            ring,
            base,
            receiving,
            wanted,
            streams,
            first: VecDeque::new(),
            served: VecDeque::new(),
            starved: Vec::new(),
            closing,
            has_stopped: false,
            leaving: Leaving::default(),
            sends: sockets >= SENDS_MIN,
            early: Vec::new(),
        };
        io.keep_sockets();
        io.watch_wake();
        (0..sockets as u32).for_each(|index| io.receive(index));
        Ok((io, datagrams, bytes))
    }

    /// Lets the kernel know the sockets that datagrams leave by. If it does not, they are looked up with each send.
    fn keep_sockets(&mut self) {
        let Self { ring, base, .. } = self;
        let count = base.sockets().map(|(index, _)| index + 1).last().unwrap_or(0);
        if !base.sockets().any(|(_, socket)| is_udp(socket)) || ring.keep_files(2 * count).is_err() {
            return;
        }
        base.set_files(count);
        for (index, socket) in base.sockets().filter(|(_, socket)| is_udp(socket)) {
            ring.set_file(index, socket.descriptor());
        }
    }

    /// Lets the kernel know one of an FSU's sockets, or no longer.
    fn keep(&mut self, index: u32, which: Which, on: bool) {
        if let Some(file) = self.base.file(index, which) {
            let fd = self.base.udp(index, which).filter(|_| on).map(AsFd::as_fd);
            self.ring.set_file(file, fd);
        }
    }

    /// Watches the descriptor for commands.
    pub(crate) fn watch_wake(&mut self) {
        self.ring.begin(Op::Readable, 0, self.base.wake());
    }

    /// Receives from an FSU's sockets, or accepts, where that is wanted and not running.
    fn receive(&mut self, index: u32) {
        let place = index as usize;
        if self.wanted.get(place) != Some(&true) {
            return;
        }
        let Self { receiving, base, ring, .. } = self;
        let Some([own, centre]) = receiving.get_mut(place) else { return };
        if *own == Running::No
            && let Some(socket) = base.socket(index)
            && let Some(descriptor) = socket.descriptor()
        {
            *own = Running::Yes;
            ring.begin(operation(socket), datagrams(index, Which::Own), descriptor);
        }
        if *centre == Running::No
            && let Some(socket) = base.udp(index, Which::Centre)
        {
            *centre = Running::Yes;
            ring.begin(Op::Datagrams, datagrams(index, Which::Centre), socket.as_fd());
        }
    }

    fn stop_receiving_from(&mut self, index: u32) {
        if let Some(wanted) = self.wanted.get_mut(index as usize) {
            *wanted = false;
        }
        self.cancel(index, Which::Own);
        self.cancel(index, Which::Centre);
    }

    fn cancel(&mut self, index: u32, which: Which) {
        let Some(running) = self.receiving.get_mut(index as usize).map(|both| &mut both[which as usize]) else {
            return;
        };
        let Some(socket) = self.base.socket(index) else { return };
        if *running == Running::Yes {
            *running = Running::Ending;
            self.ring.cancel(operation(socket), datagrams(index, which));
        }
    }

    /// A socket's operation has ended. It is started again if wanted; later, if it found no buffer.
    pub(crate) fn on_receive_ended(&mut self, index: u32, which: Which, is_starved: bool) {
        if let Some(both) = self.receiving.get_mut(index as usize) {
            both[which as usize] = Running::No;
        }
        if is_starved {
            self.starved.push(index);
        } else {
            self.receive(index);
        }
    }

    /// Starts the receives of the first `count` sockets again that found no buffer.
    pub(crate) fn begin_starved(&mut self, count: usize) {
        for at in 0..count {
            self.receive(self.starved[at]);
        }
        self.starved.drain(..count);
    }

    /// Takes over an accepted connection.
    pub(crate) fn add(&mut self, id: ConnId, fd: OwnedFd) {
        let interest = Interest { read: true, write: false };
        let (reading, is_queued, last_bytes, is_awaited) = (Running::No, false, 0, false);
        self.streams.put(id, fd, Receiving { interest, reading, is_queued, last_bytes, is_awaited });
        self.follow(id);
    }

    /// What has become of a connection that was being opened; `None`: it was not.
    pub(crate) fn dialled(&mut self, id: ConnId) -> Option<Result<(), Errno>> {
        self.streams.dialled(id)
    }

    #[inline]
    fn stream(&mut self, id: ConnId) -> Option<&mut Receiving> {
        self.streams.get_mut(id).map(|stream| &mut stream.state)
    }

    /// Begins or ends operations on a connection, as its interest says.
    fn follow(&mut self, id: ConnId) {
        let Self { streams, ring, .. } = self;
        let Some(Stream { fd, state, .. }) = streams.get_mut(id) else { return };
        match (state.interest.read, state.reading) {
            (true, Running::No) if !state.is_queued => {
                state.reading = Running::Yes;
                ring.begin(Op::Bytes, data(id), fd.as_fd());
            }
            (false, Running::Yes) => {
                state.reading = Running::Ending;
                ring.cancel(Op::Bytes, data(id));
            }
            _ => {}
        }
        if state.interest.write && !state.is_awaited {
            state.is_awaited = true;
            ring.begin(Op::Writable, data(id), fd.as_fd());
        }
    }

    /// A connection's receive has ended. It queues for the next one.
    pub(crate) fn on_read(&mut self, id: ConnId, result: Result<u32, Errno>) {
        let Some(stream) = self.stream(id) else { return };
        (stream.reading, stream.is_queued) = (Running::No, true);
        match result {
            Ok(bytes) => {
                stream.last_bytes = bytes as usize;
                let queue = if stream.last_bytes <= FEW_BYTES { &mut self.first } else { &mut self.served };
                queue.push_back(id);
            }
            Err(Errno::NOBUFS) => self.first.push_back(id),
            Err(_) => self.served.push_back(id),
        }
    }

    /// How many bytes of a connection wait to be read.
    pub(crate) fn unread(&mut self, id: ConnId) -> usize {
        self.streams.unread(id)
    }

    /// Whether there may be more than the last wait brought: connections that wait for their turn, completions not taken.
    pub(crate) fn has_left(&mut self) -> bool {
        !(self.first.is_empty() && self.served.is_empty()) || self.ready() > 0
    }

    /// Completions that can be taken.
    pub(crate) fn ready(&mut self) -> usize {
        self.early.len() + self.ring.ready()
    }

    /// Starts the next receives once all completions are taken: of as many bytes as are copied at once.
    fn begin_reads(&mut self) {
        if (self.first.is_empty() && self.served.is_empty()) || self.ready() > 0 {
            return;
        }
        // Both queues get the same, so that neither starves the other.
        for number in 0..2 {
            let mut bytes = 0;
            while bytes < TURN_BYTES
                && let Some(id) = if number == 0 { self.first.pop_front() } else { self.served.pop_front() }
            {
                if let Some(stream) = self.stream(id) {
                    stream.is_queued = false;
                    bytes += stream.last_bytes;
                    self.follow(id);
                }
            }
        }
    }

    /// A connection has room. It is polled again if that was not enough.
    pub(crate) fn on_awaited(&mut self, id: ConnId) {
        if let Some(stream) = self.stream(id) {
            stream.is_awaited = false;
            self.follow(id);
        }
    }

    /// The peer will send no more: no further receive.
    pub(crate) fn on_eof(&mut self, id: ConnId) {
        if let Some(stream) = self.stream(id) {
            stream.interest.read = false;
        }
    }

    /// Submits what was started, and waits for a completion.
    pub(crate) fn wait(&mut self, at_most: Duration) -> io::Result<()> {
        self.begin_reads();
        let more = !(self.first.is_empty() && self.served.is_empty());
        let result = self.ring.wait(if more { Duration::ZERO } else { at_most });
        // A submission that the kernel has not taken yet names its descriptor by number.
        if self.ring.is_submitted() {
            self.closing.clear();
        }
        result
    }
}

impl RingIo {
    /// Closes the socket that is connected to that centre (`None`: to any).
    fn part(&mut self, index: u32, peer: Option<SocketAddr>) {
        if let Some((socket, lost)) = self.base.part(index, peer) {
            self.cancel(index, Which::Centre);
            if let Some(file) = self.base.file(index, Which::Centre) {
                self.ring.set_file(file, None);
            }
            self.base.parted.extend((lost > 0).then_some((index, lost)));
            self.closing.push(socket.into());
        }
    }

    /// Takes completions, up to `max`, in their order. While sends are under way it looks at all that there are: one may tell of a send.
    #[inline]
    pub(crate) fn take(&mut self, done: &mut Vec<Done>, max: usize) -> io::Result<()> {
        if !self.early.is_empty() {
            done.extend(self.early.drain(..max.min(self.early.len())));
        }
        let max = if self.early.is_empty() { max.saturating_sub(done.len()) } else { 0 };
        self.ring.take(done, max);
        if self.leaving.is_empty() { Ok(()) } else { self.look_at_all() }
    }

    /// Submits, and hands what has ended to where it belongs; what was received is forgotten.
    #[cfg(test)]
    pub(crate) fn turn_for_tests(&mut self) {
        let mut done = Vec::new();
        self.wait(Duration::from_millis(1)).unwrap();
        self.take(&mut done, 256).unwrap();
        for done in done.iter().filter(|done| done.op == Op::Datagrams && !done.more) {
            self.on_receive_ended(done.data as u32, which(done.data), false);
        }
    }

    #[inline]
    fn look_at_all(&mut self) -> io::Result<()> {
        loop {
            if self.ring.ready() > 0 {
                self.ring.take(&mut self.early, usize::MAX);
            }
            if !self.ring.is_overflowing() {
                return Ok(());
            }
            self.ring.wait(Duration::ZERO)?;
        }
    }
}

fn is_udp(socket: &Bound) -> bool {
    matches!(socket, Bound::Udp(_))
}

fn operation(socket: &Bound) -> Op {
    match socket {
        Bound::Udp(_) | Bound::Lent(_) | Bound::Dials(_) => Op::Datagrams,
        Bound::Tcp(_) => Op::Accept,
    }
}

/// One of an FSU's sockets as the user data of its receive.
#[inline]
fn datagrams(index: u32, which: Which) -> u64 {
    (which as u64) << INDEX_BITS | u64::from(index)
}

/// Which of its sockets that was.
#[inline]
pub(crate) fn which(data: u64) -> Which {
    if data >> INDEX_BITS == 0 { Which::Own } else { Which::Centre }
}

/// A connection as the user data of its operations.
fn data(id: ConnId) -> u64 {
    u64::from(id.generation) << INDEX_BITS | u64::from(id.index)
}

/// The reverse of [`data`].
#[inline]
pub(crate) fn conn(data: u64) -> ConnId {
    ConnId { index: data as u32, generation: (data >> INDEX_BITS & GENERATION_MASK) as u32 }
}

impl DriverIo for RingIo {
    #[inline]
    fn base(&mut self) -> &mut Base {
        &mut self.base
    }

    #[inline]
    fn flush(&mut self, fate: &mut impl Fate) {
        if self.base.outbox.is_empty() {
            return;
        }
        if !self.sends || !takes(Way::Sends) {
            return self.base.send_all(fate);
        }
        if !self.leaving.is_empty() {
            self.depart(fate);
        }
        let Self { leaving, base, ring, .. } = self;
        leaving.begin(&mut base.outbox);
        leaving.push_all(base, ring, fate);
    }

    #[inline]
    fn settle(&mut self, fate: &mut impl Fate) {
        // What the kernel has not taken yet has no fate.
        if !self.leaving.is_empty() && self.ring.is_submitted() {
            self.leaving.settle(&mut self.base, &mut self.ring, fate);
        }
    }

    fn depart(&mut self, fate: &mut impl Fate) {
        if self.leaving.is_empty() {
            return;
        }
        // What is not taken even so leaves with a later wait, and counts as sent: the kernel is short of memory.
        let _ = self.ring.submit();
        // An error is met again by the next wait.
        let _ = self.look_at_all();
        self.leaving.settle(&mut self.base, &mut self.ring, fate);
    }

    fn stage(&mut self, socket: Bound) -> io::Result<u32> {
        // Completions of the socket before must not be taken for those of this one.
        let index = self.base.vacant(|index| self.receiving.get(index as usize) == Some(&[Running::No; 2]));
        self.base.put(index, socket);
        self.keep(index, Which::Own, true);
        let places = self.receiving.len().max(index as usize + 1);
        self.receiving.resize(places, [Running::No; 2]);
        self.wanted.resize(places, false);
        self.wanted[index as usize] = false;
        Ok(index)
    }
}

impl Sockets for RingIo {
    fn close_socket(&mut self, socket: u32) {
        self.stop_receiving_from(socket);
        self.keep(socket, Which::Own, false);
        self.part(socket, None);
        // The kernel keeps it open for as long as its operation goes on.
        self.closing.extend(self.base.take(socket).and_then(Bound::into_descriptor));
    }
}

impl Io for RingIo {
    #[inline]
    fn send_datagram(&mut self, datagram: Datagram, bytes: &[u8]) -> bool {
        self.base.outbox.push(datagram, bytes)
    }

    fn has_room(&self) -> bool {
        !self.base.outbox.is_filling()
    }

    fn set_frequent(&mut self, socket: u32, peer: SocketAddr, on: bool) {
        if !on {
            self.part(socket, Some(peer));
        } else if self.receiving.get(socket as usize).is_some_and(|both| both[Which::Centre as usize] == Running::No)
            && self.base.connect(socket, peer)
        {
            self.keep(socket, Which::Centre, true);
            // In its turn: many at once would find no buffer.
            self.starved.push(socket);
        }
    }

    fn write(&mut self, conn: ConnId, bytes: &[u8]) -> Written {
        self.streams.write(conn, bytes)
    }

    fn dial(&mut self, conn: ConnId, to: SocketAddr, from: Option<IpAddr>) -> Result<(), i32> {
        let fd = kernel::dial(to, from).map_err(Errno::raw_os_error)?;
        let interest = Interest { read: false, write: true };
        let (reading, is_queued, last_bytes, is_awaited) = (Running::No, false, 0, false);
        self.streams.put_dialling(conn, fd, Receiving { interest, reading, is_queued, last_bytes, is_awaited });
        self.follow(conn);
        Ok(())
    }

    fn set_interest(&mut self, conn: ConnId, interest: Interest) {
        if let Some(stream) = self.stream(conn) {
            stream.interest = interest;
            self.follow(conn);
        }
    }

    fn close(&mut self, conn: ConnId) {
        if self.base.is_ending {
            self.streams.finish(conn);
        }
        let Some(Stream { fd, state, .. }) = self.streams.remove(conn) else { return };
        // The kernel keeps the connection open for as long as an operation goes on.
        if state.reading == Running::Yes {
            self.ring.cancel(Op::Bytes, data(conn));
        }
        if state.is_awaited {
            self.ring.cancel(Op::Writable, data(conn));
        }
        self.closing.push(fd);
    }

    fn reset(&mut self, conn: ConnId) {
        self.streams.reset_when_closed(conn);
        self.close(conn);
    }

    fn shut_write(&mut self, conn: ConnId) {
        self.streams.shut_write(conn);
    }

    fn set_accepting(&mut self, socket: u32, on: bool) {
        if !on {
            return self.stop_receiving_from(socket);
        }
        if let Some(wanted) = self.wanted.get_mut(socket as usize) {
            *wanted = true;
            self.receive(socket);
        }
    }

    fn stop_receiving(&mut self) {
        self.has_stopped = true;
        (0..self.wanted.len() as u32).for_each(|index| self.stop_receiving_from(index));
    }

    fn unix_ns(&mut self) -> i64 {
        clocks::unix_ns()
    }

    fn mono_ns(&mut self) -> u64 {
        clocks::mono_ns()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::base::wake_up;
    use fsu_net::bind::bind_udp;
    use fsu_net::probe::ring_missing;
    use std::io::Write;
    use std::net::UdpSocket;
    use std::os::unix::net::UnixStream;

    /// Connections and a socket in a ring, what there is to be had from each; what one turn after the other brings.
    struct Turns {
        io: RingIo,
        datagrams: Pool,
        bytes: Pool,
        ids: Vec<ConnId>,
        peers: Vec<UnixStream>,
    }

    impl Turns {
        fn new(connections: u32, sockets: Vec<Bound>) -> Self {
            let base = Base::new(sockets, wake_up().unwrap(), true);
            let (io, datagrams, bytes) = RingIo::new(base).unwrap();
            let mut turns = Self { io, datagrams, bytes, ids: Vec::new(), peers: Vec::new() };
            for index in 0..connections {
                let (ours, theirs) = UnixStream::pair().unwrap();
                ours.set_nonblocking(true).unwrap();
                theirs.set_nonblocking(true).unwrap();
                let id = ConnId { index, generation: 0 };
                turns.io.add(id, ours.into());
                turns.ids.push(id);
                turns.peers.push(theirs);
            }
            turns
        }

        /// The peers send all that there is room for.
        fn fill(&mut self) {
            for peer in &mut self.peers {
                while peer.write(&[b'x'; READ_BYTES]).is_ok() {}
            }
        }

        /// Bytes of each connection, by its place, and how many datagrams.
        fn turn(&mut self) -> (Vec<(u32, usize)>, usize) {
            let (mut done, mut read, mut datagrams) = (Vec::new(), Vec::new(), 0);
            self.io.wait(Duration::ZERO).unwrap();
            self.io.ring.take(&mut done, 256);
            for done in done {
                match done.op {
                    Op::Bytes => {
                        let id = conn(done.data);
                        self.io.on_read(id, done.result.map_err(Errno::from_raw_os_error));
                        if let Ok(count) = done.result {
                            read.push((id.index, count as usize));
                        }
                        done.filled.into_iter().for_each(|filled| self.bytes.give(filled));
                    }
                    Op::Datagrams => {
                        datagrams += 1;
                        done.filled.into_iter().for_each(|filled| self.datagrams.give(filled));
                    }
                    _ => {}
                }
            }
            (read, datagrams)
        }
    }

    /// Counted in receives and bytes: with more connections than buffers, all of which have something at any time.
    #[test]
    fn limit_read_bytes_and_turn_bytes_and_stream_buffers() {
        if ring_missing().is_some() {
            return;
        }
        let connections = u32::from(STREAM_BUFFERS) + 100;
        let socket = bind_udp(([127, 0, 0, 1], 0).into()).unwrap();
        let to = socket.local_addr().unwrap();
        let mut turns = Turns::new(connections, vec![Bound::Udp(socket)]);
        let client = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        let mut had = vec![0; connections as usize];
        while had.iter().any(|&count| count < 5) {
            turns.fill();
            client.send_to(b"a", to).unwrap();
            let (read, mut datagrams) = turns.turn();
            assert!(read.iter().all(|&(_, bytes)| bytes <= READ_BYTES));
            for (index, _) in read {
                had[index as usize] += 1;
            }
            // Those at the very beginning may come in any order; then all have their turns in rounds.
            let [least, most] = [had.iter().min(), had.iter().max()].map(|count| *count.unwrap());
            assert!(most - least <= 2, "{had:?}");
            // A neighbour's datagram waits for what was begun before it, not for rounds.
            for _ in 0..3 {
                let (read, more) = if datagrams == 0 { turns.turn() } else { (Vec::new(), 1) };
                datagrams += more;
                assert!(least == 0 || read.iter().map(|&(_, bytes)| bytes).sum::<usize>() <= TURN_BYTES + READ_BYTES);
                for (index, _) in read {
                    had[index as usize] += 1;
                }
            }
            assert!(datagrams > 0);
        }
    }

    #[test]
    fn limit_few_bytes_who_brought_more_comes_after_the_others() {
        if ring_missing().is_some() {
            return;
        }
        let mut turns = Turns::new(2, Vec::new());
        let [few, more] = [turns.ids[0], turns.ids[1]];
        turns.io.on_read(more, Ok(1_025));
        turns.io.on_read(few, Ok(1_024));
        assert_eq!((&turns.io.first, &turns.io.served), (&[few].into(), &[more].into()));
    }

    #[test]
    fn connections_come_back() {
        for (index, generation) in [(0, 0), (7, 1), (u32::MAX, 0x00FF_FFFF)] {
            let id = ConnId { index, generation };
            assert_eq!(conn(data(id)), id);
            assert!(data(id) < 1 << 56);
        }
    }
}
