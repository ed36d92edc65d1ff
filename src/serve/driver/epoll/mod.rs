//! The poll driver: level-triggered epoll.
//!
//! Shortly after traffic it waits in `epoll_wait`, for at most 10 ms; otherwise it polls the epoll set, to the microsecond.
//!
//! Whose turn it is: [`super::fair`]. From a connection only as many bytes are read as are light; with more, it waits in line. A subject in
//! line that the set reports again is muted until it has no work.

mod frames;
pub(crate) mod sockets;

use super::base::{DriverIo, Which};
use super::fair::Line;
use super::kernel;
use super::one::Sharing;
use super::port::{Batch as _, Frames};
use super::run::{Driver, Parts};
use super::turn::{Turn, Work};
use crate::shard::io::{ConnId, Subject};
use crate::shard::protocol::Protocol;
use crate::shard::recorder::Recorder;
use bytes::Bytes;
use fsu_net::bind::Bound;
use fsu_net::message::{Control, Received};
use fsu_net::sys::{BATCH, READ_BYTES, Receiver};
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use sockets::{PollIo, Token};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// Events taken with one call.
const EVENTS: usize = 128;
/// Connections accepted from one listener: as light work, and in its turn in line.
const ACCEPTS_LIGHT: usize = 4;
const ACCEPTS_MAX: usize = 64;
/// Bytes of received datagrams that wait in line. Past that, a socket gets one receive at a time, and only light ones before its turn.
const HELD_BYTES_MAX: usize = 16 << 20;
/// After a socket had only one datagram, this many events are answered with a single receive.
const COLD_EVENTS: u8 = 7;

/// What waits in line.
#[derive(Debug)]
pub(crate) enum Event {
    /// A socket or connection is readable: received from when its turn comes.
    Ready(EventFlags),
    /// One receive of a batch that was taken from a socket.
    Received { bytes: Bytes, peer: SocketAddr, control: Control },
}

/// The events of one `epoll_wait`.
struct Told {
    events: Vec<epoll::Event>,
    count: usize,
    /// Those before it are handled.
    at: usize,
    /// They came with the wait that began this turn.
    is_new: bool,
}

/// The driver.
pub(crate) struct Epoll<P, T> {
    turn: Turn<P, T>,
    io: PollIo,
    line: Line<Work<Event>>,
    told: Told,
    receiver: Receiver,
    /// By socket: how many more events are answered with a single receive.
    cold: Vec<u8>,
    read_buffer: Vec<u8>,
    /// Bytes of datagrams in line.
    held_bytes: usize,
    /// What the device's queue receives, if the shard has one.
    frames: Option<Frames>,
    /// What the one socket of many FSUs receives, if the shard has one.
    sharing: Option<Sharing>,
}

impl<P: Protocol, T: Recorder> Driver<P, T> for Epoll<P, T> {
    type Io = PollIo;
    type Event = Event;

    #[inline]
    fn parts(&mut self) -> Parts<'_, P, T, PollIo, Event> {
        Parts { turn: &mut self.turn, io: &mut self.io, line: &mut self.line }
    }

    #[inline]
    fn left(&self) -> usize {
        self.told.count - self.told.at
    }

    fn wait(&mut self, at_most: Duration) -> io::Result<()> {
        let at_most = self.io.base().port.as_deref_mut().map_or(at_most, |port| port.before_wait(at_most));
        let mut epoll_wait = at_most;
        if !at_most.is_zero() && self.turn.is_calm() {
            wait_readable(self.io.epoll(), at_most)?;
            epoll_wait = Duration::ZERO;
        }
        // No look at what is ready: a wait takes far more events than the limit for a pause.
        self.turn.let_gather(epoll_wait, &mut self.io, |_| Ok(0))?;
        self.look(epoll_wait)?;
        let Told { events, count, .. } = &self.told;
        let ahead = |at: usize| Token::of(events[..*count].get(at)?.data).subject();
        self.turn.begin(&mut self.io, full(*count), ahead);
        self.turn.open(*count);
        Ok(())
    }

    fn serve_light(&mut self) -> io::Result<()> {
        let looks_again = std::mem::take(&mut self.told.is_new);
        self.serve_events();
        // The set reports a subject with more to do once more, and a broken connection with each wait. Others come behind all of those, so
        // poll until something new is reported. A turn that began with events left over goes on to the line.
        let mut told = self.told.count;
        while looks_again
            && self.told.count == EVENTS
            && self.left() == 0
            && told <= self.line.len()
            && !self.turn.is_spent()
        {
            self.turn.bounded(Duration::ZERO);
            self.look(Duration::ZERO)?;
            self.told.is_new = false;
            self.turn.look_again(&mut self.io, full(self.told.count));
            told += self.told.count;
            self.serve_events();
        }
        Ok(())
    }

    fn serve_held(&mut self, subject: Subject, event: Event) {
        match (subject, event) {
            (Subject::Socket(index), Event::Ready(flags)) => match self.io.base().socket(index) {
                Some(Bound::Udp(_)) => {
                    // Which of its sockets has something is not kept: both are asked.
                    self.on_datagrams((index, Which::Own), flags, false);
                    if self.io.base().udp(index, Which::Centre).is_some() {
                        self.on_datagrams((index, Which::Centre), flags, false);
                    }
                }
                Some(Bound::Tcp(_)) => self.on_connections(index, ACCEPTS_MAX),
                Some(Bound::Lent(_) | Bound::Dials(_)) | None => {}
            },
            (Subject::Socket(index), Event::Received { bytes, peer, control }) => {
                self.held_bytes -= bytes.len();
                self.frames.iter_mut().for_each(|frames| frames.held().let_go(index, bytes.len()));
                self.sharing.iter_mut().for_each(|sharing| sharing.held().let_go(index, bytes.len()));
                let received = Received { bytes: &bytes, peer, control };
                let datagrams = self.turn.on_received(index, &received, &mut self.io);
                self.turn.flush(&mut self.io);
                self.turn.worked(datagrams, &mut self.io);
            }
            (Subject::Conn(id), Event::Ready(flags)) => self.on_readable(id, flags, false),
            (Subject::Conn(_), Event::Received { .. }) => {}
        }
    }

    fn end(&mut self) -> io::Result<()> {
        if let Some(port) = &mut self.io.base().port {
            port.finish();
        }
        Ok(())
    }

    fn after_held(&mut self, subject: Subject) {
        // Only a subject with work in line is muted, so none is forgotten.
        if !self.line.is_held(subject) {
            self.io.mute(subject, false);
        }
    }
}

impl<P: Protocol, T: Recorder> Epoll<P, T> {
    /// Drives `turn`, with the sockets in `io`.
    pub(crate) fn new(turn: Turn<P, T>, io: PollIo, sockets: usize) -> Self {
        Self {
            turn,
            io,
            line: Line::new(),
            told: Told { events: events(), count: 0, at: 0, is_new: false },
            receiver: Receiver::new(),
            cold: vec![0; sockets],
            read_buffer: vec![0; READ_BYTES],
            held_bytes: 0,
            frames: None,
            sharing: None,
        }
    }

    /// The same with a queue of a network device, or one socket for many FSUs.
    pub(crate) fn with(self, frames: Option<Frames>, sharing: Option<Sharing>) -> Self {
        Self { frames, sharing, ..self }
    }

    /// Handles the events, while there is time.
    fn serve_events(&mut self) {
        let events = std::mem::take(&mut self.told.events);
        let told = &events[..self.told.count];
        while let Some(event) = told.get(self.told.at) {
            if self.turn.is_spent() {
                break;
            }
            let at = self.told.at;
            let ahead = |more: usize| Token::of(told.get(at + more)?.data).subject();
            self.turn.expect(self.io.base(), ahead);
            self.on_event(Token::of(event.data), event.flags);
            self.turn.had_traffic();
            self.told.at += 1;
        }
        self.told.events = events;
    }

    /// Polls the set, for at most `wait`.
    fn look(&mut self, wait: Duration) -> io::Result<()> {
        let count = match kernel::epoll_wait(self.io.epoll(), &mut self.told.events, wait) {
            Ok(count) => count,
            Err(Errno::INTR) => 0,
            Err(errno) => return Err(errno.into()),
        };
        (self.told.count, self.told.at, self.told.is_new) = (count, 0, true);
        Ok(())
    }

    #[inline]
    fn on_event(&mut self, token: Token, flags: EventFlags) {
        let Some(subject) = token.subject() else {
            return match token {
                Token::Frames => self.on_frames(),
                Token::Shared => self.on_shared(),
                _ => self.turn.on_commands(&mut self.io),
            };
        };
        if let Token::Conn(id) = token
            && flags.contains(EventFlags::OUT)
        {
            self.turn.begin_light();
            if let Some(result) = self.io.dialled(id) {
                return self.turn.on_dialled(id, result, &mut self.io);
            }
            self.turn.serve.on_writable(id, self.turn.now, &mut self.io);
        }
        if self.line.has(subject) {
            return self.on_event_in_line(subject, flags);
        }
        let began = self.turn.begin_light();
        match token {
            Token::Socket(index) => match self.io.base().socket(index) {
                Some(Bound::Udp(_)) => self.on_datagrams((index, Which::Own), flags, true),
                Some(Bound::Tcp(_)) => self.on_connections(index, ACCEPTS_LIGHT),
                Some(Bound::Lent(_) | Bound::Dials(_)) | None => {}
            },
            Token::Centre(index) => self.on_datagrams((index, Which::Centre), flags, true),
            Token::Conn(id) => self.on_readable(id, flags, true),
            Token::Wake | Token::Frames | Token::Shared => {}
        }
        if let Some(effort) = self.turn.end_light(began) {
            self.line.charge(subject, effort);
        }
    }

    /// A subject in line is readable. If it has work there, it is muted: the set would report it with each wait, and others only behind
    /// it.
    fn on_event_in_line(&mut self, subject: Subject, flags: EventFlags) {
        if !self.line.is_held(subject) {
            return self.hold(subject, flags, true);
        }
        if flags.contains(EventFlags::IN) {
            self.turn.unwatched(subject);
            self.io.mute(subject, true);
        }
    }

    /// A subject has more to receive in its turn. In line, that came after the receive before.
    fn hold(&mut self, subject: Subject, flags: EventFlags, is_light: bool) {
        let arrived_ns = if is_light { self.turn.now.arrived_ns } else { self.turn.now.unix_ns };
        self.turn.hold(&mut self.line, subject, Event::Ready(flags), arrived_ns);
    }

    /// Receives from a datagram socket: one datagram, or a batch if more are likely. Those that are not light wait in line.
    fn on_datagrams(&mut self, (index, which): (u32, Which), flags: EventFlags, is_light: bool) {
        let Some(socket) = self.io.base().udp(index, which) else { return };
        if self.cold.len() <= index as usize {
            // It came with a reload.
            self.cold.resize(index as usize + 1, 0);
        }
        let Some(cold) = self.cold.get_mut(index as usize) else { return };
        let is_full = self.held_bytes >= HELD_BYTES_MAX;
        let max = if *cold > 0 || is_full { 1 } else { BATCH };
        let light_bytes = if is_light { self.turn.share.light_bytes } else { usize::MAX };
        if is_full && kernel::unread(socket.as_fd()) > light_bytes {
            return self.hold(Subject::Socket(index), flags, is_light);
        }
        let received = kernel::receive(&mut self.receiver, socket.as_fd(), max);
        match &received {
            _ if max == 1 => *cold = cold.saturating_sub(1),
            Ok(count) if *count > 1 => {}
            _ => *cold = COLD_EVENTS,
        }
        let (mut datagrams, mut is_held) = (0, false);
        for at in 0..*received.as_ref().unwrap_or(&0) {
            let Some(mut received) = self.receiver.get(at) else { continue };
            if which == Which::Centre {
                // Its counts are its own.
                self.turn.take_centre_lost(index, &mut received.control, &mut self.io);
            }
            is_held |= received.bytes.len() > light_bytes || self.turn.serve.effort.is_over();
            if is_held {
                let Received { bytes, peer, control } = received;
                self.held_bytes += bytes.len();
                let event = Event::Received { bytes: Bytes::copy_from_slice(bytes), peer, control };
                self.line.push(Subject::Socket(index), Work::Event(event), self.turn.now.arrived_ns);
            } else {
                datagrams += self.turn.on_received(index, &received, &mut self.io);
            }
        }
        self.turn.flush(&mut self.io);
        match received {
            Ok(_) => self.turn.worked(datagrams, &mut self.io),
            Err(error) if is_later(&error) => {
                // An error without a datagram has to be taken off the socket, or the set would report it for ever.
                if flags.contains(EventFlags::ERR)
                    && let Some(socket) = self.io.base().udp(index, which)
                    && let Some(error) = kernel::take_error(socket.as_fd())
                {
                    self.on_socket_error((index, which), &error.into());
                }
            }
            Err(error) => self.on_socket_error((index, which), &error),
        }
    }

    /// An error of a connected socket says that the centre does not listen now: nothing that concerns the FSU.
    fn on_socket_error(&mut self, (index, which): (u32, Which), error: &io::Error) {
        if which == Which::Centre {
            return;
        }
        self.turn.serve.on_socket_error(index, error.raw_os_error().unwrap_or(0), self.turn.now);
    }

    /// Accepts up to `max` connections of a listener. With more, it waits in line.
    fn on_connections(&mut self, index: u32, max: usize) {
        for _ in 0..max {
            let Some(Bound::Tcp(listener)) = self.io.base().socket(index) else { return };
            match kernel::accept(listener) {
                Ok((fd, peer)) => {
                    let Some(peer) = peer else { continue };
                    let Some((id, fd)) = self.turn.on_accepted(index, fd, peer) else { continue };
                    match self.io.add(id, fd) {
                        Ok(()) => self.turn.on_up(id, &mut self.io),
                        Err(error) => {
                            self.turn.serve.on_closed(id, error.raw_os_error(), self.turn.now, &mut self.io);
                        }
                    }
                    self.turn.worked(1, &mut self.io);
                }
                Err(Errno::AGAIN) => return,
                Err(errno) => {
                    if !self.turn.on_accept_error(index, errno, &mut self.io) {
                        return;
                    }
                }
            }
        }
        self.hold(Subject::Socket(index), EventFlags::IN, max == ACCEPTS_LIGHT);
    }

    /// A connection has bytes, or has ended. An end is not light.
    fn on_readable(&mut self, id: ConnId, flags: EventFlags, is_light: bool) {
        let broken = flags.intersects(EventFlags::ERR | EventFlags::HUP);
        if !broken && !flags.contains(EventFlags::IN) {
            return;
        }
        if broken && is_light {
            return self.hold(Subject::Conn(id), flags, true);
        }
        let Self { turn, io, .. } = self;
        let max = if is_light { turn.share.light_bytes } else { READ_BYTES };
        match io.read(id, &mut self.read_buffer[..max]) {
            Some(Ok(0)) if is_light => self.hold(Subject::Conn(id), flags, true),
            Some(Ok(0)) => {
                turn.on_eof(id, io);
                turn.worked(0, io);
            }
            Some(Ok(count)) => {
                let left = if count < max { 0 } else { turn.known_left(id, count).unwrap_or_else(|| io.unread(id)) };
                turn.on_bytes(id, &self.read_buffer[..count], left, io);
                turn.worked(1, io);
                if count == max {
                    self.hold(Subject::Conn(id), EventFlags::IN, is_light);
                }
            }
            Some(Err(Errno::AGAIN | Errno::INTR)) => {}
            Some(Err(errno)) => turn.on_broken(id, errno, io),
            None if broken => {
                if let Some(errno) = io.take_error(id) {
                    turn.on_broken(id, errno, io);
                }
            }
            None => io.mute(Subject::Conn(id), true),
        }
    }
}

/// Waits until a descriptor is readable, but not longer than `at_most`, to the microsecond.
fn wait_readable(fd: BorrowedFd<'_>, at_most: Duration) -> io::Result<()> {
    match kernel::poll_readable(fd, at_most) {
        Ok(()) | Err(Errno::INTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Room for the events of one call.
fn events() -> Vec<epoll::Event> {
    vec![epoll::Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; EVENTS]
}

/// `Some` if the call was full: there may be more.
fn full(count: usize) -> Option<usize> {
    (count == EVENTS).then_some(EVENTS)
}

/// Nothing to receive at the moment.
fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

#[cfg(test)]
mod limits;
