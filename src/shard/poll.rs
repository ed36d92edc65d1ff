//! The poll driver: level-triggered epoll, one task of the executor for all of a shard's sockets.
//!
//! While there was traffic just now it waits in epoll itself, for at most 10 ms; else it parks the
//! executor until the epoll set is readable. In either case a short timer is pending, without which the executor may stop for good when
//! it is preempted before it ran anything. On a plain thread it waits for the epoll set itself, to the microsecond.

use super::base::DriverIo;
use super::bind::Bound;
use super::executor::{Executor, wait_readable};
use super::handle::{Command, Ended};
use super::io::ConnId;
use super::kernel;
use super::poll_io::{PollIo, Token};
use super::protocol::Protocol;
use super::serve::Serve;
use super::sys::{BATCH, READ_BYTES, Readiness, Receiver};
use super::tap::Tap;
use super::turn::{TURN_BYTES, Turn, park, yield_if_due};
use crossbeam_channel::Receiver as Commands;
use rustix::event::epoll::{Event, EventData, EventFlags};
use rustix::io::Errno;
use std::io;
use std::os::fd::AsFd;
use std::task::Poll;
use std::time::Duration;

/// Events taken with one call.
const EVENTS: usize = 128;
/// Connections accepted from one listener in a turn.
const ACCEPTS_MAX: usize = 64;
/// A socket that had one datagram only is not asked for several at once the next so many times.
const COLD_EVENTS: u8 = 7;

/// The driver.
pub(super) struct Driver<P, T> {
    turn: Turn<P, T>,
    io: PollIo,
    receiver: Receiver,
    /// By socket: how many more events are answered with a single receive.
    cold: Vec<u8>,
    read_buffer: Vec<u8>,
    /// Bytes read from each connection in this turn.
    read_max: usize,
}

impl<P: Protocol, T: Tap> Driver<P, T> {
    /// A driver for a shard whose sockets are in `io`.
    pub(super) fn new(
        serve: Serve<P, T>,
        mut io: PollIo,
        sockets: usize,
        commands: Commands<Command>,
        gather: Duration,
    ) -> Self {
        let now = io.base().watch.now();
        Self {
            turn: Turn::new(serve, sockets, commands, now, gather),
            io,
            receiver: Receiver::new(),
            cold: vec![0; sockets],
            read_buffer: vec![0; READ_BYTES],
            read_max: READ_BYTES,
        }
    }

    /// Serves until it is told to stop, and drained; the counters by the FSUs' numbers in the fleet.
    pub(super) async fn run(mut self, executor: Executor) -> io::Result<Ended> {
        let mut events = events();
        let mut readiness = Readiness::new();
        loop {
            self.turn.read_clock_if_due(&mut self.io);
            let wait = self.turn.tick(&mut self.io);
            if self.turn.is_over() {
                break;
            }
            let wait = self.turn.bounded(wait, &mut self.io);
            let mut epoll_wait = wait;
            if !wait.is_zero() && self.turn.is_calm() {
                match executor {
                    Executor::Thread => wait_readable(self.io.epoll(), wait)?,
                    Executor::Glommio => {
                        park(wait, |cx| match readiness.poll(self.io.epoll(), cx) {
                            Poll::Ready(Ok(())) => Poll::Ready(()),
                            // Without a descriptor to spare the timer has to do.
                            Poll::Ready(Err(_)) | Poll::Pending => Poll::Pending,
                        })
                        .await;
                    }
                }
                epoll_wait = Duration::ZERO;
            }
            // A wait takes all that is there, up to far more than a turn after which it would gather.
            self.turn.let_gather(epoll_wait, &mut self.io, |_| Ok(0))?;
            let count = self.wait(&mut events, epoll_wait)?;
            self.read_max = READ_BYTES.min(TURN_BYTES / count.max(1));
            let full = (count == EVENTS).then_some(EVENTS);
            self.turn.begin(&mut self.io, full, |at| Token::of(events[..count].get(at)?.data).subject());
            for (at, event) in events[..count].iter().enumerate() {
                let ahead = |more: usize| Token::of(events[..count].get(at + more)?.data).subject();
                self.turn.expect(self.io.base(), ahead);
                self.on_event(Token::of(event.data), event.flags);
                self.turn.had_traffic();
            }
            yield_if_due(executor).await;
        }
        Ok(self.turn.finish(&mut self.io))
    }

    fn wait(&mut self, events: &mut [Event], wait: Duration) -> io::Result<usize> {
        match kernel::epoll_wait(self.io.epoll(), events, wait) {
            Ok(count) => Ok(count),
            Err(Errno::INTR) => Ok(0),
            Err(errno) => Err(errno.into()),
        }
    }

    #[inline]
    fn on_event(&mut self, token: Token, flags: EventFlags) {
        match token {
            Token::Socket(index) => match self.io.base().socket(index) {
                Some(Bound::Udp(_)) => self.on_datagrams(index, flags),
                Some(Bound::Tcp(_)) => self.on_connections(index),
                None => {}
            },
            Token::Conn(id) => self.on_connection(id, flags),
            Token::Wake => self.turn.on_commands(&mut self.io),
        }
    }

    /// A datagram socket has something: one datagram, or a batch where more than one is likely.
    fn on_datagrams(&mut self, index: u32, flags: EventFlags) {
        let Some(Bound::Udp(socket)) = self.io.base().socket(index) else { return };
        if self.cold.len() <= index as usize {
            // It came with a reload.
            self.cold.resize(index as usize + 1, 0);
        }
        let Some(cold) = self.cold.get_mut(index as usize) else { return };
        let max = if *cold > 0 { 1 } else { BATCH };
        let received = kernel::receive(&mut self.receiver, socket.as_fd(), max);
        match &received {
            _ if max == 1 => *cold -= 1,
            Ok(count) if *count > 1 => {}
            _ => *cold = COLD_EVENTS,
        }
        let mut datagrams = 0;
        for at in 0..*received.as_ref().unwrap_or(&0) {
            if let Some(received) = self.receiver.get(at) {
                datagrams += self.turn.on_received(index, &received, &mut self.io);
            }
        }
        self.turn.flush(&mut self.io);
        match received {
            Ok(_) => self.turn.worked(datagrams, &mut self.io),
            Err(error) if is_later(&error) => {
                // An error without a datagram is taken off the socket, or it would be told of for ever.
                if flags.contains(EventFlags::ERR)
                    && let Some(Bound::Udp(socket)) = self.io.base().socket(index)
                    && let Some(error) = kernel::take_error(socket.as_fd())
                {
                    self.on_socket_error(index, &error.into());
                }
            }
            Err(error) => self.on_socket_error(index, &error),
        }
    }

    fn on_socket_error(&mut self, index: u32, error: &io::Error) {
        self.turn.serve.on_socket_error(index, error.raw_os_error().unwrap_or(0), self.turn.now);
    }

    /// A listener has connections.
    fn on_connections(&mut self, index: u32) {
        for _ in 0..ACCEPTS_MAX {
            let Some(Bound::Tcp(listener)) = self.io.base().socket(index) else { return };
            match kernel::accept(listener) {
                Ok((fd, peer)) => {
                    let Some(peer) = peer else { continue };
                    let Some((id, fd)) = self.turn.on_accepted(index, fd, peer) else { continue };
                    if let Err(error) = self.io.add(id, fd) {
                        self.turn.serve.on_closed(id, error.raw_os_error(), self.turn.now, &mut self.io);
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
    }

    /// A connection has bytes, room, or an end.
    fn on_connection(&mut self, id: ConnId, flags: EventFlags) {
        let Self { turn, io, read_max, .. } = self;
        if flags.contains(EventFlags::OUT) {
            turn.serve.on_writable(id, turn.now, io);
        }
        let broken = flags.intersects(EventFlags::ERR | EventFlags::HUP);
        if !broken && !flags.contains(EventFlags::IN) {
            return;
        }
        match io.read(id, &mut self.read_buffer[..*read_max]) {
            Some(Ok(0)) => turn.on_eof(id, io),
            Some(Ok(count)) => {
                let left = if count == *read_max { io.unread(id) } else { 0 };
                turn.on_bytes(id, &self.read_buffer[..count], left, io);
                turn.worked(1, io);
            }
            Some(Err(Errno::AGAIN | Errno::INTR)) => {}
            Some(Err(errno)) => turn.on_broken(id, errno, io),
            None if broken => {
                if let Some(errno) = io.take_error(id) {
                    turn.on_broken(id, errno, io);
                }
            }
            None => {}
        }
    }
}

/// Room for what one call takes.
fn events() -> Vec<Event> {
    vec![Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; EVENTS]
}

/// Nothing is there now.
fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

#[cfg(test)]
mod limits;
