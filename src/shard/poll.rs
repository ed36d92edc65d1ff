//! The poll driver: level-triggered epoll, one task of the executor for all of a shard's sockets.
//!
//! While there was traffic just now it waits in epoll itself, for at most [`WAIT_MS_MAX`]; else it parks the
//! executor until the epoll set is readable. In either case a short timer is pending, without which the executor may stop for good when
//! it is preempted before it ran anything.

use super::bind::Bound;
use super::clock::Clock;
use super::handle::Command;
use super::io::{ConnId, Outcome};
use super::poll_io::{PollIo, Token, is_peer_gone};
use super::protocol::Protocol;
use super::serve::Serve;
use super::sys::{BATCH, Readiness, Receiver, Sender};
use super::tap::Tap;
use crate::responder::state::Counters;
use crossbeam_channel::Receiver as Commands;
use rustix::event::Timespec;
use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::SocketFlags;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

/// The longest wait of either kind.
const WAIT_MS_MAX: u64 = 10;
/// Traffic within this time: more is expected at once.
const TRAFFIC_MS: u64 = 5;
/// Events taken with one call.
const EVENTS: usize = 128;
/// Turns of the timing wheel before sockets are looked at again.
const TICKS_MAX: usize = 8;
/// Connections accepted from one listener in a turn.
const ACCEPTS_MAX: usize = 64;
/// Bytes read from one connection in a turn.
const READ_BYTES: usize = 64 << 10;
/// The clocks are read again after so many messages within a turn: about every quarter of a millisecond.
const MESSAGES_A_CLOCK: usize = 64;
/// A socket that had one datagram only is not asked for several at once the next so many times.
const COLD_EVENTS: u8 = 7;

/// The driver.
pub(super) struct Driver<P, T> {
    serve: Serve<P, T>,
    io: PollIo,
    commands: Commands<Command>,
    receiver: Receiver,
    sender: Sender,
    /// By socket: how many more events are answered with a single receive.
    cold: Vec<u8>,
    read_buffer: Vec<u8>,
    now: Clock,
    messages: usize,
    is_stopped: bool,
}

impl<P: Protocol, T: Tap> Driver<P, T> {
    /// A driver for a shard whose sockets are in `io`.
    pub(super) fn new(serve: Serve<P, T>, mut io: PollIo, sockets: usize, commands: Commands<Command>) -> Self {
        let now = io.watch.now();
        Self {
            serve,
            io,
            commands,
            receiver: Receiver::new(),
            sender: Sender::new(),
            cold: vec![0; sockets],
            read_buffer: vec![0; READ_BYTES],
            now,
            messages: 0,
            is_stopped: false,
        }
    }

    /// Serves until it is told to stop, and drained; the counters by the FSUs' numbers in the fleet.
    pub(super) async fn run(mut self) -> io::Result<Vec<(usize, Counters)>> {
        let mut events = vec![Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; EVENTS];
        let mut readiness = Readiness::new();
        let mut traffic_ms = self.now.mono_ms;
        loop {
            self.read_clock();
            let wait_ms = self.tick();
            if self.is_stopped || self.serve.is_drained(self.now) {
                break;
            }
            let mut epoll_ms = wait_ms;
            if wait_ms > 0 && self.now.mono_ms.saturating_sub(traffic_ms) > TRAFFIC_MS {
                self.park(&mut readiness, wait_ms).await;
                epoll_ms = 0;
            }
            let count = self.wait(&mut events, epoll_ms)?;
            self.read_clock();
            for event in &events[..count] {
                self.on_event(Token::of(event.data), event.flags);
                traffic_ms = self.now.mono_ms;
            }
            if glommio::executor().need_preempt() {
                let mut timer = glommio::timer::Timer::new(Duration::from_millis(WAIT_MS_MAX));
                poll_fn(|cx| {
                    let _ = Pin::new(&mut timer).poll(cx);
                    Poll::Ready(())
                })
                .await;
                glommio::executor().yield_if_needed().await;
            }
        }
        self.io.is_ending = true;
        self.serve.finish(&mut self.io);
        Ok(self.serve.counters())
    }

    fn read_clock(&mut self) {
        self.now = self.io.watch.now();
        self.messages = 0;
    }

    /// Counts messages of this turn, and reads the clocks when there were many.
    #[inline]
    fn worked(&mut self, messages: usize) {
        self.messages += messages;
        if self.messages >= MESSAGES_A_CLOCK {
            self.read_clock();
        }
    }

    /// Does what is due; how long to wait for events then.
    fn tick(&mut self) -> u64 {
        for _ in 0..TICKS_MAX {
            let more = self.serve.on_tick(self.now, &mut self.io);
            self.flush();
            if !more {
                let next_ms = self.serve.next_deadline().unwrap_or(u64::MAX);
                return next_ms.saturating_sub(self.now.mono_ms).min(WAIT_MS_MAX);
            }
        }
        0
    }

    /// Parks the executor until an event or the end of the time.
    async fn park(&mut self, readiness: &mut Readiness, wait_ms: u64) {
        let mut timer = glommio::timer::Timer::new(Duration::from_millis(wait_ms));
        poll_fn(|cx| {
            if Pin::new(&mut timer).poll(cx).is_ready() {
                return Poll::Ready(());
            }
            match readiness.poll(self.io.epoll(), cx) {
                Poll::Ready(Ok(())) => Poll::Ready(()),
                // Without a descriptor to spare the timer has to do.
                Poll::Ready(Err(_)) | Poll::Pending => Poll::Pending,
            }
        })
        .await;
    }

    fn wait(&mut self, events: &mut Vec<Event>, wait_ms: u64) -> io::Result<usize> {
        let timeout = Timespec { tv_sec: 0, tv_nsec: (wait_ms.min(WAIT_MS_MAX) * 1_000_000) as _ };
        match epoll::wait(self.io.epoll(), events, Some(&timeout)) {
            Ok(count) => Ok(count),
            Err(Errno::INTR) => Ok(0),
            Err(errno) => Err(errno.into()),
        }
    }

    #[inline]
    fn on_event(&mut self, token: Token, flags: EventFlags) {
        match token {
            Token::Socket(index) => match self.io.socket(index) {
                Some(Bound::Udp(_)) => self.on_datagrams(index, flags),
                Some(Bound::Tcp(_)) => self.on_connections(index),
                None => {}
            },
            Token::Conn(id) => self.on_connection(id, flags),
            Token::Wake => self.on_commands(),
        }
    }

    /// A datagram socket has something: one datagram, or a batch where more than one is likely.
    fn on_datagrams(&mut self, index: u32, flags: EventFlags) {
        let Some(Bound::Udp(socket)) = self.io.socket(index) else { return };
        let Some(cold) = self.cold.get_mut(index as usize) else { return };
        let received = if *cold > 0 {
            *cold -= 1;
            match socket.recv_from(self.receiver.single()) {
                Ok((len, peer)) => {
                    let bytes = &self.receiver.single()[..len];
                    self.serve.on_datagram(index, peer, bytes, self.now, &mut self.io);
                    Ok(1)
                }
                Err(error) => Err(error),
            }
        } else {
            let received = self.receiver.receive(socket.as_fd());
            if !received.as_ref().is_ok_and(|&count| count > 1) {
                *cold = COLD_EVENTS;
            }
            for at in 0..*received.as_ref().unwrap_or(&0) {
                if let Some((bytes, peer)) = self.receiver.get(at) {
                    self.serve.on_datagram(index, peer, bytes, self.now, &mut self.io);
                }
                if self.io.outbox.is_filling() {
                    self.flush();
                }
            }
            received
        };
        self.flush();
        match received {
            Ok(count) => self.worked(count),
            Err(error) if is_later(&error) => {
                // An error without a datagram is taken off the socket, or it would be told of for ever.
                if flags.contains(EventFlags::ERR)
                    && let Some(Bound::Udp(socket)) = self.io.socket(index)
                    && let Ok(Some(error)) = socket.take_error()
                {
                    self.serve.on_socket_error(index, error.raw_os_error().unwrap_or(0), self.now);
                }
            }
            Err(error) => self.serve.on_socket_error(index, error.raw_os_error().unwrap_or(0), self.now),
        }
    }

    /// Sends what is queued, runs of one socket with one call.
    #[inline]
    fn flush(&mut self) {
        if self.io.outbox.is_empty() {
            return;
        }
        let mut outbox = std::mem::take(&mut self.io.outbox);
        let unix_ms = if self.serve.is_logged() { self.io.watch.unix_ms() } else { 0 };
        let mut at = 0;
        while let Some((first, bytes)) = outbox.get(at) {
            let run = outbox.run(at, BATCH);
            let (count, outcome) = match self.io.socket(first.socket) {
                Some(Bound::Udp(socket)) if run == 1 => match socket.send_to(bytes, first.peer) {
                    Ok(_) => (1, Outcome::Sent),
                    Err(error) => (1, refused(&error)),
                },
                Some(Bound::Udp(socket)) => {
                    let datagrams = (at..at + run).filter_map(|at| outbox.get(at));
                    match self.sender.send(socket.as_fd(), datagrams.map(|(datagram, bytes)| (datagram.peer, bytes))) {
                        Ok(count) => (count, Outcome::Sent),
                        // No room for the first is no room for any; another error is the first one's own.
                        Err(error) => match refused(&error) {
                            Outcome::Full => (run, Outcome::Full),
                            outcome => (1, outcome),
                        },
                    }
                }
                _ => (run, Outcome::Failed(Errno::BADF.raw_os_error())),
            };
            let end = at + count.max(1);
            for (datagram, bytes) in (at..end).filter_map(|at| outbox.get(at)) {
                self.serve.on_sent(datagram, bytes, outcome, self.now, unix_ms);
            }
            at = end;
        }
        outbox.clear();
        self.io.outbox = outbox;
    }

    /// A listener has connections.
    fn on_connections(&mut self, index: u32) {
        for _ in 0..ACCEPTS_MAX {
            let Some(Bound::Tcp(listener)) = self.io.socket(index) else { return };
            match rustix::net::acceptfrom_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok((fd, peer)) => {
                    let Some(peer) = peer.and_then(|peer| SocketAddr::try_from(peer).ok()) else { continue };
                    // Replies leave when they are due, one by one.
                    let _ = rustix::net::sockopt::set_tcp_nodelay(&fd, true);
                    let Some(id) = self.serve.on_accept(index, peer, self.now) else { continue };
                    if let Err(error) = self.io.add(id, fd) {
                        self.serve.on_closed(id, error.raw_os_error(), self.now, &mut self.io);
                    }
                    self.worked(1);
                }
                Err(Errno::AGAIN) => return,
                Err(errno @ (Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)) => {
                    return self.serve.on_accept_failed(index, errno.raw_os_error(), self.now, &mut self.io);
                }
                // The peer's own trouble (accept(2)): the next one may be well.
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(errno) => return self.serve.on_socket_error(index, errno.raw_os_error(), self.now),
            }
        }
    }

    /// A connection has bytes, room, or an end.
    fn on_connection(&mut self, id: ConnId, flags: EventFlags) {
        if flags.contains(EventFlags::OUT) {
            self.serve.on_writable(id, self.now, &mut self.io);
        }
        let broken = flags.intersects(EventFlags::ERR | EventFlags::HUP);
        if !broken && !flags.contains(EventFlags::IN) {
            return;
        }
        match self.io.read(id, &mut self.read_buffer) {
            Some(Ok(0)) => self.serve.on_eof(id, self.now, &mut self.io),
            Some(Ok(count)) => {
                self.serve.on_bytes(id, &self.read_buffer[..count], self.now, &mut self.io);
                self.worked(1);
            }
            Some(Err(Errno::AGAIN | Errno::INTR)) => {}
            Some(Err(errno)) => self.on_broken(id, errno),
            None if broken => {
                if let Some(errno) = self.io.take_error(id) {
                    self.on_broken(id, errno);
                }
            }
            None => {}
        }
    }

    fn on_broken(&mut self, id: ConnId, errno: Errno) {
        let errno = (!is_peer_gone(errno)).then(|| errno.raw_os_error());
        self.serve.on_closed(id, errno, self.now, &mut self.io);
    }

    /// The handle wants something.
    fn on_commands(&mut self) {
        // Level-triggered: taken off before the commands are, so that none is left without a wake.
        let _ = rustix::io::read(&*self.io.wake(), &mut [0; 8]);
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Drain => self.serve.begin_drain(self.now, &mut self.io),
                Command::Stop => self.is_stopped = true,
                // Whoever asked may be gone.
                Command::Counters(answer) => drop(answer.send(self.serve.counters())),
            }
        }
    }
}

/// Nothing is there now.
fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// Why a datagram was not taken.
fn refused(error: &io::Error) -> Outcome {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::AGAIN | Errno::INTR | Errno::NOBUFS | Errno::NOMEM) => Outcome::Full,
        errno => Outcome::Failed(errno.map_or(0, Errno::raw_os_error)),
    }
}
