//! Listeners, connections, and the peers at their other ends.

use crate::driver::tests::kernel::{Act, BYTE_NS, CALL_NS, Event, Kernel, MESSAGE_NS, REPLY_BYTE_NS, What};
use fsu_net::bind::Bound;
use rustix::io::Errno;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

/// How a peer takes what it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::driver) enum Reads {
    /// All of it, when it has come.
    Soon,
    /// Most bytes at a time.
    Some(usize),
    Never,
}

/// How a connection ended for the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::driver) enum End {
    Closed,
    Reset,
}

/// A connection.
#[derive(Debug)]
pub(in crate::driver) struct Stream {
    pub(in crate::driver) listener: usize,
    peer: SocketAddr,
    reads: Reads,
    is_open: bool,
    /// The shard opens it, since then; it is not answered yet.
    is_dialling: bool,
    pub(in crate::driver) dialled_ns: u64,
    /// Sent by the peer, where the shard's kernel has no room for it yet.
    unsent: VecDeque<u8>,
    pours: Option<Rc<[u8]>>,
    half_closed: bool,
    inbound: VecDeque<u8>,
    /// What came into the shard's kernel: until when how much.
    pub(in crate::driver) came_until: Vec<(usize, u64)>,
    came: usize,
    /// The peer is gone; what the shard has not heard of that yet.
    pub(in crate::driver) is_reset: bool,
    error: Option<Errno>,
    outbound: VecDeque<u8>,
    has_shut: bool,
    lingers_none: bool,
    pub(in crate::driver) is_accepted: bool,
    /// The shard has closed it.
    pub(in crate::driver) is_closed: bool,
    /// What the shard has read.
    pub(in crate::driver) read: Vec<u8>,
    /// What the shard has written, and until when how much of it.
    pub(in crate::driver) written: Vec<u8>,
    pub(in crate::driver) written_until: Vec<(usize, u64)>,
    /// What the peer has of it, and how it ended for it.
    pub(in crate::driver) taken: Vec<u8>,
    pub(in crate::driver) end: Option<End>,
}

/// A peer that reads has what was sent so much later.
const WAY_NS: u64 = 100_000;

impl Stream {
    fn has_end(&self) -> bool {
        self.half_closed && self.unsent.is_empty()
    }

    pub(crate) fn is_readable(&self) -> bool {
        !self.inbound.is_empty() || self.is_reset || self.has_end()
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.is_reset
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_reset || (self.has_end() && self.has_shut)
    }
}

impl Kernel {
    /// A listener for the shard, and its number.
    pub(in crate::driver) fn listener(&mut self) -> (usize, Bound) {
        let listener = self.backlogs.len();
        let fd = self.hand_out(What::Listener(listener)).expect("a pipe");
        self.backlogs.push(VecDeque::new());
        (listener, Bound::Tcp(TcpListener::from(fd)))
    }

    /// A peer that will connect when it is told to.
    pub(in crate::driver) fn stream(&mut self, listener: usize, peer: SocketAddr, reads: Reads) -> usize {
        self.streams.push(Stream {
            listener,
            peer,
            reads,
            is_open: false,
            is_dialling: false,
            dialled_ns: 0,
            unsent: VecDeque::new(),
            pours: None,
            half_closed: false,
            inbound: VecDeque::new(),
            came_until: Vec::new(),
            came: 0,
            is_reset: false,
            error: None,
            outbound: VecDeque::new(),
            has_shut: false,
            lingers_none: false,
            is_accepted: false,
            is_closed: false,
            read: Vec::new(),
            written: Vec::new(),
            written_until: Vec::new(),
            taken: Vec::new(),
            end: None,
        });
        self.streams.len() - 1
    }

    /// A peer does something.
    pub(crate) fn act(&mut self, number: usize, act: Act) {
        if let Act::Answer = act {
            return self.answer(number);
        }
        let stream = &mut self.streams[number];
        match act {
            Act::Answer => {}
            Act::Connect => {
                stream.is_open = true;
                self.backlogs[stream.listener].push_back(number);
            }
            _ if !stream.is_open || stream.is_reset => {}
            Act::Read => {
                self.peer_reads(number);
            }
            // The shard has closed it: what is sent is answered with a reset.
            Act::Send(_) if stream.is_closed => self.ends(number, End::Reset),
            _ if stream.is_closed => {}
            Act::Send(bytes) => {
                stream.unsent.extend(bytes);
                self.carry(number);
            }
            Act::Pour(pour) => {
                stream.pours = Some(pour);
                self.carry(number);
            }
            Act::HalfClose => stream.half_closed = true,
            Act::Reset => {
                (stream.is_reset, stream.error) = (true, Some(Errno::CONNRESET));
                stream.inbound.clear();
                stream.unsent.clear();
                stream.outbound.clear();
            }
        }
    }

    fn ends(&mut self, number: usize, end: End) {
        let stream = &mut self.streams[number];
        if end == End::Reset {
            stream.outbound.clear();
        }
        stream.end.get_or_insert(end);
    }

    /// What the peer has sent comes into the shard's kernel, as far as there is room.
    fn carry(&mut self, number: usize) {
        let (ns, inbound_max) = (self.ns, self.weather.inbound_max);
        let stream = &mut self.streams[number];
        if let Some(pour) = &stream.pours {
            while stream.inbound.len() + pour.len() <= inbound_max {
                stream.inbound.extend(pour.iter());
            }
            return;
        }
        let count = stream.unsent.len().min(inbound_max.saturating_sub(stream.inbound.len()));
        if count > 0 {
            stream.inbound.extend(stream.unsent.drain(..count));
            stream.came += count;
            stream.came_until.push((stream.came, ns));
        }
    }

    /// A peer takes what it likes. Whether there may be more.
    pub(crate) fn peer_reads(&mut self, number: usize) -> bool {
        let stream = &mut self.streams[number];
        let most = match stream.reads {
            Reads::Soon => usize::MAX,
            Reads::Some(most) => most,
            Reads::Never => return false,
        };
        let count = stream.outbound.len().min(most);
        stream.taken.extend(stream.outbound.drain(..count));
        if stream.outbound.is_empty() && (stream.has_shut || stream.is_closed) {
            self.ends(number, End::Closed);
        }
        count > 0
    }

    /// There is something for the peer.
    fn tell_peer(&mut self, number: usize) {
        if self.streams[number].reads == Reads::Soon {
            self.plan_at(self.ns + WAY_NS, Event::Peer(number, Act::Read));
        }
    }

    /// The shard has closed it, and no operation goes on.
    pub(crate) fn close_stream(&mut self, number: usize) {
        let stream = &mut self.streams[number];
        assert!(!std::mem::replace(&mut stream.is_closed, true), "closed twice");
        if stream.is_reset {
            return;
        }
        // Requests that were not read are answered with a reset (RFC 2525, 2.17).
        if stream.lingers_none || !stream.inbound.is_empty() || !stream.unsent.is_empty() {
            return self.ends(number, End::Reset);
        }
        self.tell_peer(number);
    }

    pub(crate) fn has_connection(&self, listener: usize) -> bool {
        !self.backlogs[listener].is_empty()
    }

    /// Connections that nobody has accepted.
    pub(in crate::driver) fn unaccepted(&self) -> usize {
        self.backlogs.iter().map(VecDeque::len).sum()
    }

    /// The next connection of a listener.
    pub(crate) fn accept_one(&mut self, listener: usize) -> Result<(OwnedFd, usize), Errno> {
        if self.backlogs[listener].is_empty() {
            return Err(Errno::AGAIN);
        }
        if self.chance("no_descriptors", self.weather.no_descriptors) {
            return Err([Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM][self.rng.usize(..4)]);
        }
        let number = self.backlogs[listener].pop_front().ok_or(Errno::AGAIN)?;
        if self.chance("aborted", self.weather.aborted) {
            let stream = &mut self.streams[number];
            (stream.is_reset, stream.is_closed) = (true, true);
            return Err(Errno::CONNABORTED);
        }
        let fd = self.hand_out(What::Stream(number)).map_err(|_| Errno::MFILE)?;
        self.streams[number].is_accepted = true;
        Ok((fd, number))
    }

    pub(in crate::driver) fn dial(&mut self, to: SocketAddr, _: Option<IpAddr>) -> Result<OwnedFd, Errno> {
        self.enter(CALL_NS);
        let number = self.stream(0, to, Reads::Soon);
        let fd = self.hand_out(What::Stream(number)).map_err(|_| Errno::MFILE)?;
        (self.streams[number].dialled_ns, self.streams[number].is_dialling) = (self.ns, true);
        let way_ns = WAY_NS * self.rng.u64(1..=10);
        self.plan_at(self.ns + way_ns, Event::Peer(number, Act::Answer));
        Ok(fd)
    }

    /// The peer takes a connection that the shard opens, or refuses it. One that takes it speaks first.
    fn answer(&mut self, number: usize) {
        let is_refused = self.chance("not dialled", self.dials_refused);
        let stream = &mut self.streams[number];
        stream.is_dialling = false;
        if is_refused {
            (stream.is_reset, stream.error) = (true, Some(Errno::CONNREFUSED));
            return;
        }
        (stream.is_open, stream.is_accepted) = (true, true);
        let greeting = self.greeting.clone();
        self.act(number, Act::Send(greeting));
    }

    pub(in crate::driver) fn accept(&mut self, listener: &TcpListener) -> Result<(OwnedFd, Option<SocketAddr>), Errno> {
        self.enter(CALL_NS);
        let What::Listener(listener) = self.what(listener) else { panic!("no listener") };
        if self.chance("interrupted", self.weather.interrupted) {
            return Err(Errno::INTR);
        }
        let (fd, number) = self.accept_one(listener)?;
        Ok((fd, Some(self.streams[number].peer)))
    }

    pub(crate) fn stream_of(&self, fd: impl AsFd) -> usize {
        match self.what(fd) {
            What::Stream(stream) => stream,
            other => panic!("bytes of {other:?}"),
        }
    }

    pub(in crate::driver) fn peer(&mut self, fd: BorrowedFd<'_>) -> Option<SocketAddr> {
        self.enter(CALL_NS);
        let stream = &self.streams[self.stream_of(fd)];
        (!stream.is_reset).then_some(stream.peer)
    }

    pub(in crate::driver) fn take_error(&mut self, fd: BorrowedFd<'_>) -> Option<Errno> {
        self.enter(CALL_NS);
        match self.what(fd) {
            What::Udp(_) | What::Centre(_) => self.error_of(self.half(self.file(fd))).take(),
            What::Stream(stream) => self.streams[stream].error.take(),
            other => panic!("an error of {other:?}"),
        }
    }

    /// What a read of this size returns.
    pub(crate) fn read_some(&mut self, number: usize, most: usize) -> Result<Vec<u8>, Errno> {
        let most = if self.chance("partial", self.weather.partial) { self.rng.usize(1..=most) } else { most };
        let stream = &mut self.streams[number];
        if let Some(errno) = stream.error.take() {
            return Err(errno);
        }
        if stream.inbound.is_empty() && !stream.has_end() && !stream.is_reset {
            return Err(Errno::AGAIN);
        }
        let count = stream.inbound.len().min(most);
        let bytes: Vec<u8> = stream.inbound.drain(..count).collect();
        if stream.pours.is_none() {
            stream.read.extend_from_slice(&bytes);
        }
        self.carry(number);
        Ok(bytes)
    }

    pub(in crate::driver) fn recv(&mut self, fd: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<usize, Errno> {
        self.enter(CALL_NS);
        let number = self.stream_of(fd);
        if self.chance("interrupted", self.weather.interrupted) {
            return Err(if self.rng.bool() { Errno::INTR } else { Errno::AGAIN });
        }
        let bytes = self.read_some(number, buffer.len())?;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        self.owed_ns += Self::work_ns(bytes.len());
        Ok(bytes.len())
    }

    pub(in crate::driver) fn unread(&mut self, fd: BorrowedFd<'_>) -> usize {
        self.enter(CALL_NS);
        match self.what(fd) {
            What::Udp(_) | What::Centre(_) => self.next_bytes(self.half(self.file(fd))),
            What::Stream(number) => self.streams[number].inbound.len(),
            other => panic!("bytes of {other:?}"),
        }
    }

    /// What a driver does with this many bytes of a stream.
    pub(crate) fn work_ns(bytes: usize) -> u64 {
        MESSAGE_NS + BYTE_NS * bytes as u64
    }

    pub(in crate::driver) fn send(&mut self, fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize, Errno> {
        self.enter(CALL_NS);
        if let What::Centre(socket) = self.what(fd) {
            return self.send_connected(socket, bytes);
        }
        let number = self.stream_of(fd);
        if self.chance("full", self.weather.full / 4.0) {
            return Err([Errno::AGAIN, Errno::NOBUFS, Errno::INTR][self.rng.usize(..3)]);
        }
        let is_partial = self.chance("partial", self.weather.partial);
        let (ns, outbound_max) = (self.ns, self.weather.outbound_max);
        let stream = &mut self.streams[number];
        assert!(!stream.has_shut, "written to after its end was sent");
        if let Some(errno) = stream.error.take() {
            return Err(errno);
        }
        if stream.is_reset {
            return Err(Errno::PIPE);
        }
        let room = outbound_max.saturating_sub(stream.outbound.len()).min(bytes.len());
        if room == 0 {
            return Err(Errno::AGAIN);
        }
        let count = if is_partial { self.rng.usize(1..=room) } else { room };
        stream.outbound.extend(&bytes[..count]);
        stream.written.extend_from_slice(&bytes[..count]);
        stream.written_until.push((stream.written.len(), ns));
        self.owed_ns += REPLY_BYTE_NS * count as u64;
        self.tell_peer(number);
        Ok(count)
    }

    pub(crate) fn is_writable(&self, number: usize) -> bool {
        let stream = &self.streams[number];
        !stream.is_dialling && (stream.is_reset || stream.outbound.len() < self.weather.outbound_max)
    }

    pub(in crate::driver) fn shutdown_write(&mut self, fd: BorrowedFd<'_>) -> Result<(), Errno> {
        self.enter(CALL_NS);
        let number = self.stream_of(fd);
        let stream = &mut self.streams[number];
        if stream.is_reset {
            return Err(Errno::NOTCONN);
        }
        stream.has_shut = true;
        self.tell_peer(number);
        Ok(())
    }

    pub(in crate::driver) fn linger_none(&mut self, fd: BorrowedFd<'_>) -> Result<(), Errno> {
        self.enter(CALL_NS);
        let number = self.stream_of(fd);
        self.streams[number].lingers_none = true;
        Ok(())
    }
}
