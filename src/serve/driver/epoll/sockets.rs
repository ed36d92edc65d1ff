//! The poll driver's descriptors: one level-triggered epoll set with all of a shard's sockets.

use crate::driver::base::{Base, DriverIo, Which};
use crate::driver::clocks;
use crate::driver::kernel::{self, epoll_add, epoll_delete, epoll_modify};
use crate::driver::streams::{Stream, Streams};
use crate::shard::io::Subject;
use crate::shard::io::{ConnId, Datagram, Interest, Io, Written};
use crate::shard::reload::Sockets;
use fsu_net::bind::Bound;
use rustix::event::epoll::{EventData, EventFlags};
use rustix::io::Errno;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What an event refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// A command came.
    Wake,
    /// Frames came by the device's queue.
    Frames,
    /// Datagrams came by the one socket.
    Shared,
    /// An FSU's own socket.
    Socket(u32),
    /// The one that is connected to a centre.
    Centre(u32),
    /// A connection.
    Conn(ConnId),
}

const KIND_SHIFT: u32 = 56;
const GENERATION_SHIFT: u32 = 32;
const KIND_SOCKET: u64 = 1;
const KIND_CONN: u64 = 2;
const KIND_FRAMES: u64 = 3;
const KIND_CENTRE: u64 = 4;
const KIND_SHARED: u64 = 5;

impl Token {
    /// As the epoll set holds it.
    fn data(self) -> EventData {
        EventData::new_u64(match self {
            Self::Wake => 0,
            Self::Frames => KIND_FRAMES << KIND_SHIFT,
            Self::Shared => KIND_SHARED << KIND_SHIFT,
            Self::Socket(index) => KIND_SOCKET << KIND_SHIFT | u64::from(index),
            Self::Centre(index) => KIND_CENTRE << KIND_SHIFT | u64::from(index),
            Self::Conn(id) => {
                KIND_CONN << KIND_SHIFT | u64::from(id.generation) << GENERATION_SHIFT | u64::from(id.index)
            }
        })
    }

    /// The socket or connection; `None` for a command, and for what is many FSUs'.
    #[inline]
    pub(crate) fn subject(self) -> Option<Subject> {
        match self {
            Self::Wake | Self::Frames | Self::Shared => None,
            Self::Socket(socket) | Self::Centre(socket) => Some(Subject::Socket(socket)),
            Self::Conn(id) => Some(Subject::Conn(id)),
        }
    }

    /// The reverse of [`Token::data`].
    #[inline]
    pub(crate) fn of(data: EventData) -> Self {
        let data = data.u64();
        match data >> KIND_SHIFT {
            KIND_SOCKET => Self::Socket(data as u32),
            KIND_CENTRE => Self::Centre(data as u32),
            KIND_CONN => {
                Self::Conn(ConnId { index: data as u32, generation: (data >> GENERATION_SHIFT) as u32 & 0x00FF_FFFF })
            }
            KIND_FRAMES => Self::Frames,
            KIND_SHARED => Self::Shared,
            _ => Self::Wake,
        }
    }
}

/// What is wanted of one descriptor, and whether the set reports it as readable. An interest that goes for a moment stays in the set until
/// it is reported in vain, so it costs no call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Registration {
    wanted: Interest,
    is_heard: bool,
}

impl Registration {
    fn new(read: bool) -> Self {
        Self { wanted: Interest { read, write: false }, is_heard: read }
    }

    /// Muted, or reported again if that is wanted.
    fn muted(self, on: bool) -> Self {
        Self { is_heard: !on && (self.is_heard || self.wanted.read), ..self }
    }

    fn wanting(self, wanted: Interest) -> Self {
        Self { wanted, is_heard: self.is_heard || wanted.read }
    }

    fn flags(self) -> EventFlags {
        let mut flags = EventFlags::empty();
        flags.set(EventFlags::IN, self.is_heard);
        flags.set(EventFlags::OUT, self.wanted.write);
        flags
    }

    /// The change that this makes to the set; `None`: none.
    fn change_to(&mut self, after: Self) -> Option<EventFlags> {
        let before = std::mem::replace(self, after).flags();
        (before != after.flags()).then(|| after.flags())
    }
}

/// All descriptors of a shard.
pub(crate) struct PollIo {
    epoll: OwnedFd,
    base: Base,
    /// By socket.
    watches: Vec<Registration>,
    /// How each connection is watched.
    streams: Streams<Registration>,
}

impl PollIo {
    /// Watches these sockets, and the descriptor for commands.
    pub(crate) fn new(base: Base) -> io::Result<Self> {
        let epoll = kernel::epoll_create()?;
        epoll_add(epoll.as_fd(), base.wake(), Token::Wake.data(), EventFlags::IN)?;
        for (index, socket) in base.sockets() {
            if let Some(descriptor) = socket.descriptor() {
                epoll_add(epoll.as_fd(), descriptor, Token::Socket(index).data(), EventFlags::IN)?;
            }
        }
        if let Some(port) = &base.port {
            epoll_add(epoll.as_fd(), port.socket(), Token::Frames.data(), EventFlags::IN)?;
        }
        if let Some(one) = &base.one {
            epoll_add(epoll.as_fd(), one.socket(), Token::Shared.data(), EventFlags::IN)?;
        }
        let watches = vec![Registration::new(true); base.count() as usize];
        Ok(Self { epoll, base, watches, streams: Streams::default() })
    }

    /// The whole set: readable when anything in it is.
    pub(crate) fn epoll(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    /// Takes over an accepted connection.
    pub(crate) fn add(&mut self, id: ConnId, fd: OwnedFd) -> io::Result<()> {
        epoll_add(self.epoll.as_fd(), fd.as_fd(), Token::Conn(id).data(), EventFlags::IN)?;
        self.streams.put(id, fd, Registration::new(true));
        Ok(())
    }

    /// Mutes a subject, or reports it again if that is wanted, with what has come since. Errors are always reported.
    pub(crate) fn mute(&mut self, subject: Subject, on: bool) {
        match subject {
            Subject::Socket(socket) => {
                let Some(&watch) = self.watches.get(socket as usize) else { return };
                self.watch_socket(socket, watch.muted(on));
            }
            Subject::Conn(id) => {
                let Some(&mut Stream { state: watch, .. }) = self.streams.get_mut(id) else { return };
                self.watch_stream(id, watch.muted(on));
            }
        }
    }

    /// The socket is in the set, or the run is ending: so this does not fail.
    fn watch_socket(&mut self, socket: u32, watch: Registration) {
        let Self { epoll, base, watches, .. } = self;
        if let Some(descriptor) = base.socket(socket).and_then(Bound::descriptor)
            && let Some(flags) = watches.get_mut(socket as usize).and_then(|before| before.change_to(watch))
        {
            let _ = epoll_modify(epoll.as_fd(), descriptor, Token::Socket(socket).data(), flags);
            if let Some(centre) = base.udp(socket, Which::Centre) {
                let _ = epoll_modify(epoll.as_fd(), centre.as_fd(), Token::Centre(socket).data(), flags);
            }
        }
    }

    fn watch_stream(&mut self, id: ConnId, watch: Registration) {
        let Self { epoll, streams, .. } = self;
        if let Some(stream) = streams.get_mut(id)
            && let Some(flags) = stream.state.change_to(watch)
        {
            // It is in the set, so this fails only if the kernel has no memory. Then the deadlines end the connection.
            let _ = epoll_modify(epoll.as_fd(), stream.fd.as_fd(), Token::Conn(id).data(), flags);
        }
    }

    /// Reads from a connection; `None`: it is closed, or must not be read now.
    #[inline]
    pub(crate) fn read(&mut self, id: ConnId, buffer: &mut [u8]) -> Option<Result<usize, Errno>> {
        let stream = self.streams.get_mut(id).filter(|stream| stream.state.wanted.read)?;
        Some(kernel::recv(stream.fd.as_fd(), buffer))
    }

    /// What has become of a connection that was being opened; `None`: it was not.
    #[inline]
    pub(crate) fn dialled(&mut self, id: ConnId) -> Option<Result<(), Errno>> {
        self.streams.dialled(id)
    }

    /// How many bytes of a connection wait to be read.
    pub(crate) fn unread(&mut self, id: ConnId) -> usize {
        self.streams.unread(id)
    }

    /// The error that a connection's descriptor was marked with; `None`: it is closed already.
    pub(crate) fn take_error(&mut self, id: ConnId) -> Option<Errno> {
        let stream = self.streams.get_mut(id)?;
        Some(kernel::take_error(stream.fd.as_fd()).unwrap_or(Errno::CONNRESET))
    }
}

impl DriverIo for PollIo {
    #[inline]
    fn base(&mut self) -> &mut Base {
        &mut self.base
    }

    fn stage(&mut self, socket: Bound) -> io::Result<u32> {
        let index = self.base.vacant(|_| true);
        if let Some(descriptor) = socket.descriptor() {
            epoll_add(self.epoll.as_fd(), descriptor, Token::Socket(index).data(), EventFlags::empty())?;
        }
        self.base.put(index, socket);
        let place = index as usize;
        self.watches.resize(self.watches.len().max(place + 1), Registration::new(false));
        self.watches[place] = Registration::new(false);
        Ok(index)
    }
}

impl PollIo {
    /// Closes the socket that is connected to that centre (`None`: to any).
    fn part(&mut self, index: u32, peer: Option<SocketAddr>) {
        if let Some((_, lost)) = self.base.part(index, peer) {
            self.base.parted.extend((lost > 0).then_some((index, lost)));
        }
    }
}

impl Sockets for PollIo {
    fn close_socket(&mut self, socket: u32) {
        self.part(socket, None);
        // The set forgets a descriptor that is closed.
        drop(self.base.take(socket));
    }
}

impl Io for PollIo {
    #[inline]
    fn send_datagram(&mut self, datagram: Datagram, bytes: &[u8]) -> bool {
        self.base.outbox.push(datagram, bytes)
    }

    fn has_room(&self) -> bool {
        !self.base.outbox.is_filling()
    }

    fn set_frequent(&mut self, socket: u32, peer: SocketAddr, on: bool) {
        if !on {
            return self.part(socket, Some(peer));
        }
        let Some(watch) = self.watches.get(socket as usize).map(|watch| watch.flags()) else { return };
        if !self.base.connect(socket, peer) {
            return;
        }
        let Self { epoll, base, .. } = self;
        let added = base
            .udp(socket, Which::Centre)
            .map(|centre| epoll_add(epoll.as_fd(), centre.as_fd(), Token::Centre(socket).data(), watch));
        if added != Some(Ok(())) {
            self.part(socket, None);
        }
    }

    fn write(&mut self, conn: ConnId, bytes: &[u8]) -> Written {
        self.streams.write(conn, bytes)
    }

    fn dial(&mut self, conn: ConnId, to: SocketAddr, from: Option<IpAddr>) -> Result<(), i32> {
        let dialled = kernel::dial(to, from).and_then(|fd| {
            epoll_add(self.epoll.as_fd(), fd.as_fd(), Token::Conn(conn).data(), EventFlags::OUT)?;
            Ok(fd)
        });
        let fd = dialled.map_err(Errno::raw_os_error)?;
        let wanted = Interest { read: false, write: true };
        self.streams.put_dialling(conn, fd, Registration { wanted, is_heard: false });
        Ok(())
    }

    fn set_interest(&mut self, conn: ConnId, interest: Interest) {
        let Some(&mut Stream { state: watch, .. }) = self.streams.get_mut(conn) else { return };
        self.watch_stream(conn, watch.wanting(interest));
    }

    fn close(&mut self, conn: ConnId) {
        if self.base.is_ending {
            self.streams.finish(conn);
        }
        self.streams.remove(conn);
    }

    fn reset(&mut self, conn: ConnId) {
        self.streams.reset_when_closed(conn);
        self.streams.remove(conn);
    }

    fn shut_write(&mut self, conn: ConnId) {
        self.streams.shut_write(conn);
    }

    fn set_accepting(&mut self, socket: u32, on: bool) {
        self.watch_socket(socket, Registration::new(on));
        if on {
            self.base.open_port(socket);
        }
    }

    fn stop_receiving(&mut self) {
        for (index, socket) in self.base.sockets() {
            if let Some(descriptor) = socket.descriptor() {
                let _ = epoll_delete(self.epoll.as_fd(), descriptor);
            }
            if let Some(centre) = self.base.udp(index, Which::Centre) {
                let _ = epoll_delete(self.epoll.as_fd(), centre.as_fd());
            }
        }
        if let Some(one) = &self.base.one {
            let _ = epoll_delete(self.epoll.as_fd(), one.socket());
        }
        if let Some(port) = &self.base.port {
            let _ = epoll_delete(self.epoll.as_fd(), port.socket());
        }
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

    #[test]
    fn h02_what_is_not_wanted_is_heard_until_that_was_in_vain() {
        const WANTED: Interest = Interest { read: true, write: false };
        const RESTS: Interest = Interest { read: false, write: false };
        const OWES: Interest = Interest { read: false, write: true };
        let (none, both) = (EventFlags::empty(), EventFlags::IN | EventFlags::OUT);
        let mut watch = Registration::new(true);
        let mut check = |next: fn(Registration) -> Registration, expected: Option<EventFlags>| {
            let after = next(watch);
            assert_eq!(watch.change_to(after), expected, "{after:?}");
        };
        // It rests, and goes on.
        check(|watch| watch.wanting(RESTS), None);
        check(|watch| watch.wanting(WANTED), None);
        // It is owed something and sends more.
        check(|watch| watch.wanting(OWES), Some(both));
        check(|watch| watch.muted(true), Some(EventFlags::OUT));
        check(|watch| watch.muted(false), None);
        check(|watch| watch.wanting(RESTS), Some(none));
        check(|watch| watch.wanting(WANTED), Some(EventFlags::IN));
        // It waits in line.
        check(|watch| watch.muted(true), Some(none));
        check(|watch| watch.muted(true), None);
        check(|watch| watch.muted(false), Some(EventFlags::IN));
    }

    #[test]
    fn tokens_come_back() {
        let conn = |index, generation| Token::Conn(ConnId { index, generation });
        for token in [
            Token::Wake,
            Token::Frames,
            Token::Shared,
            Token::Socket(0),
            Token::Socket(9_999),
            Token::Centre(7),
            conn(0, 0),
            conn(u32::MAX, 0x00FF_FFFF),
        ] {
            assert_eq!(Token::of(token.data()), token);
        }
    }
}
