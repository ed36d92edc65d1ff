//! The ring driver: io_uring itself.
//!
//! Each socket has one multishot receive (or accept), into buffers that all of them share. A connection has single receives: the next one
//! is submitted when the connections before it had their turn. Submissions go to the kernel with the wait, which is in the ring itself,
//! for at most 10 ms.
//!
//! Whose turn it is: [`super::fair`]. A completion that is not light waits in line with its buffer.

mod leaving;
pub(crate) mod sockets;

use super::base::{DriverIo, Which};
use super::fair::Line;
use super::kernel::{self, Pool};
use super::run::{Driver, Parts};
use super::turn::{Turn, Work};
use crate::shard::io::Subject;
use crate::shard::protocol::Protocol;
use crate::shard::recorder::Recorder;
use fsu_net::sys::{BESIDE_BYTES, Done, Op, READ_BYTES, Receiver};
use rustix::io::Errno;
use sockets::{BUFFERS, RingIo, conn, which};
use std::io;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::time::Duration;

/// A wait completes at most this many operations (the kernel's IO_LOCAL_TW_DEFAULT_MAX): there may be more.
const COMPLETED_A_WAIT: usize = 20;
/// Completions taken at once. Those left when a turn is over count for the next.
const COMPLETIONS_MAX: usize = 256;
/// Connections accepted as light work in a turn, and how many may wait in line: beyond that they do not wait.
const ACCEPTS_LIGHT: usize = 4;
const ACCEPTS_HELD_MAX: usize = 256;
/// A socket whose receive found no buffer gets direct receives of light datagrams: this many in a turn, of this many sockets. Its multishot
/// receive starts again when fewer buffers than this wait in line. So a sender that fills the buffers takes them from nobody.
const HELD_BUFFERS_MAX: usize = BUFFERS as usize / 2;
const STARVED_RECEIVES_MAX: usize = 8;
const STARVED_SOCKETS_MAX: usize = 32;

/// The driver.
pub(crate) struct Uring<P, T> {
    turn: Turn<P, T>,
    io: RingIo,
    line: Line<Work<Done>>,
    /// Completions of the last wait, and those that the last turn did not handle.
    done: Vec<Done>,
    left: Vec<Done>,
    datagrams: Pool,
    bytes: Pool,
    /// Connections accepted in this turn, and those waiting to be served.
    accepts: usize,
    accepts_held: usize,
    /// Buffers of datagrams in line.
    buffers_held: usize,
    /// For sockets that found no buffer; none before the first.
    receiver: Option<Box<Receiver>>,
}

impl<P: Protocol, T: Recorder> Driver<P, T> for Uring<P, T> {
    type Io = RingIo;
    type Event = Done;

    #[inline]
    fn parts(&mut self) -> Parts<'_, P, T, RingIo, Done> {
        Parts { turn: &mut self.turn, io: &mut self.io, line: &mut self.line }
    }

    #[inline]
    fn left(&self) -> usize {
        self.left.len()
    }

    fn wait(&mut self, at_most: Duration) -> io::Result<()> {
        // Beyond [`COMPLETED_A_WAIT`] there may be more, so this asks the kernel.
        let ready = |io: &mut RingIo| io.wait(Duration::ZERO).map(|()| io.ready());
        self.turn.let_gather(at_most, &mut self.io, ready)?;
        self.io.wait(at_most)?;
        self.take()?;
        let done = &self.done;
        let is_full = done.len() >= COMPLETED_A_WAIT || self.io.has_left();
        self.turn.begin(&mut self.io, is_full.then_some(COMPLETED_A_WAIT), |at| subject(done.get(at)?));
        self.turn.open(done.len());
        self.turn.settle(&mut self.io);
        self.accepts = 0;
        Ok(())
    }

    fn serve_light(&mut self) -> io::Result<()> {
        let mut done = std::mem::take(&mut self.done);
        done.append(&mut self.left);
        let mut rest = done.drain(..);
        while !self.turn.is_spent()
            && let Some(done) = rest.next()
        {
            self.turn.expect(self.io.base(), |ahead| subject(rest.as_slice().get(ahead - 1)?));
            self.on_done(done);
        }
        self.left.extend(rest);
        self.done = done;
        if self.left.is_empty() {
            self.serve_starved();
        }
        Ok(())
    }

    fn serve_held(&mut self, _: Subject, done: Done) {
        self.accepts_held -= usize::from(done.op == Op::Accept);
        self.buffers_held -= usize::from(done.op == Op::Datagrams && done.filled.is_some());
        self.look_at(done);
    }

    fn end(&mut self) -> io::Result<()> {
        // Submits the cancellations of what was closed.
        self.io.wait(Duration::ZERO)
    }
}

impl<P: Protocol, T: Recorder> Uring<P, T> {
    /// Drives `turn`, with the sockets in `io`, which receives into these buffers.
    pub(crate) fn new(turn: Turn<P, T>, (io, datagrams, bytes): (RingIo, Pool, Pool)) -> Self {
        Self {
            turn,
            io,
            line: Line::new(),
            done: Vec::with_capacity(COMPLETIONS_MAX),
            left: Vec::new(),
            datagrams,
            bytes,
            accepts: 0,
            accepts_held: 0,
            buffers_held: 0,
            receiver: None,
        }
    }

    /// Takes what has completed, as far as a turn goes.
    #[inline]
    fn take(&mut self) -> io::Result<()> {
        self.io.take(&mut self.done, COMPLETIONS_MAX)
    }

    /// Serves sockets whose receives found no buffer.
    fn serve_starved(&mut self) {
        let count = self.io.starved.len().min(STARVED_SOCKETS_MAX);
        for at in 0..count {
            let subject = Subject::Socket(self.io.starved[at]);
            let began = self.turn.begin_light();
            self.receive_light(self.io.starved[at]);
            if let Some(effort) = self.turn.end_light(began) {
                self.line.charge(subject, effort);
            }
        }
        if self.buffers_held < HELD_BUFFERS_MAX {
            // They have little left. If all began at once, most would find no buffer again.
            self.io.begin_starved(count);
        } else {
            // The others have their turn next.
            self.io.starved.rotate_left(count);
        }
    }

    /// Receives light datagrams from a socket, without a buffer of the ring.
    #[cold]
    fn receive_light(&mut self, index: u32) {
        let light_bytes = self.turn.share.light_bytes;
        for _ in 0..STARVED_RECEIVES_MAX {
            let base = &*self.io.base();
            let sockets = [Which::Own, Which::Centre].map(|which| base.udp(index, which));
            let is_light = |socket: &UdpSocket| (1..=light_bytes).contains(&kernel::unread(socket.as_fd()));
            let (socket, which) = match sockets {
                [Some(own), _] if is_light(own) => (own, Which::Own),
                [_, Some(centre)] if is_light(centre) => (centre, Which::Centre),
                _ => return,
            };
            let receiver = self.receiver.get_or_insert_with(|| Box::new(Receiver::new()));
            let is_received = kernel::receive(receiver, socket.as_fd(), 1).is_ok();
            let Some(received) = receiver.get(0).filter(|_| is_received && !self.io.has_stopped) else { return };
            let count = self.turn.on_received_by(index, which, received, &mut self.io);
            self.turn.worked(count, &mut self.io);
        }
    }

    #[inline]
    fn on_done(&mut self, done: Done) {
        if done.op != Op::Readable {
            self.turn.had_traffic();
        }
        let subject = match done.op {
            Op::Accept => Some(Subject::Socket(done.data as u32)),
            _ => subject(&done),
        };
        let Some(subject) = subject else {
            self.turn.begin_light();
            return self.look_at(done);
        };
        let waits = done.op != Op::Accept || self.accepts_held < ACCEPTS_HELD_MAX;
        if waits && (self.line.has(subject) || !self.is_light(&done)) {
            self.accepts_held += usize::from(done.op == Op::Accept);
            self.buffers_held += usize::from(done.op == Op::Datagrams && done.filled.is_some());
            let arrived_ns = self.turn.now.arrived_ns;
            return if done.op == Op::Bytes && done.result.is_ok() {
                self.turn.hold(&mut self.line, subject, done, arrived_ns);
            } else {
                self.line.push(subject, Work::Event(done), arrived_ns);
            };
        }
        let began = self.turn.begin_light();
        self.look_at(done);
        if let Some(effort) = self.turn.end_light(began) {
            self.line.charge(subject, effort);
        }
    }

    /// Whether it is handled soon. The end of a connection is not: it waits for its turn.
    #[inline]
    fn is_light(&mut self, done: &Done) -> bool {
        match (done.op, done.result) {
            (Op::Datagrams, Ok(bytes)) => bytes as usize <= self.turn.share.light_bytes + BESIDE_BYTES,
            (Op::Bytes, Ok(bytes)) => bytes > 0 && bytes as usize <= self.turn.share.light_bytes,
            (Op::Bytes, Err(errno)) => is_harmless(Errno::from_raw_os_error(errno)),
            (Op::Accept, Ok(_)) => {
                self.accepts += 1;
                self.accepts <= ACCEPTS_LIGHT
            }
            _ => true,
        }
    }

    /// Handles a completion.
    #[inline]
    fn look_at(&mut self, done: Done) {
        match done.op {
            Op::Datagrams => self.on_datagrams(done),
            Op::Bytes => self.on_bytes(done),
            Op::Accept => self.on_connection(done),
            Op::Writable => {
                let id = conn(done.data);
                match self.io.dialled(id) {
                    Some(result) => self.turn.on_dialled(id, result, &mut self.io),
                    None => self.turn.serve.on_writable(id, self.turn.now, &mut self.io),
                }
                self.io.on_awaited(id);
            }
            Op::Readable => {
                self.turn.on_commands(&mut self.io);
                if !done.more {
                    self.io.watch_wake();
                }
            }
            // Those that failed are told by [`RingIo::settle`].
            Op::Cancel | Op::Send => {}
        }
    }

    fn on_datagrams(&mut self, done: Done) {
        let Self { turn, io, datagrams: pool, .. } = self;
        let (index, which) = (done.data as u32, which(done.data));
        if let Some(filled) = done.filled {
            let received = pool.datagram(&filled).filter(|_| !io.has_stopped && done.result.is_ok());
            let count = received.map_or(1, |received| turn.on_received_by(index, which, received, io));
            pool.give(filled);
            turn.worked(count, io);
        }
        if let Err(errno) = done.result
            && !is_harmless(Errno::from_raw_os_error(errno))
            && which == Which::Own
        {
            turn.serve.on_socket_error(index, errno, turn.now);
        }
        if !done.more {
            io.on_receive_ended(index, which, done.result == Err(Errno::NOBUFS.raw_os_error()));
        }
    }

    fn on_bytes(&mut self, done: Done) {
        let Self { turn, io, bytes: pool, .. } = self;
        let id = conn(done.data);
        io.on_read(id, done.result.map_err(Errno::from_raw_os_error));
        match done.result {
            Ok(0) => {
                io.on_eof(id);
                turn.on_eof(id, io);
                turn.worked(0, io);
            }
            Ok(_) => {
                // Bytes received before reading was cancelled still count, unless the run is ending.
                if let Some(filled) = done.filled.as_ref().filter(|_| !io.has_stopped) {
                    let bytes = pool.bytes(filled);
                    let left = if bytes.len() < READ_BYTES {
                        0
                    } else {
                        turn.known_left(id, bytes.len()).unwrap_or_else(|| io.unread(id))
                    };
                    turn.on_bytes(id, bytes, left, io);
                }
                turn.worked(1, io);
            }
            Err(errno) => {
                let errno = Errno::from_raw_os_error(errno);
                if is_harmless(errno) {
                    turn.on_unread(id);
                } else {
                    turn.on_broken(id, errno, io);
                }
            }
        }
        if let Some(filled) = done.filled {
            pool.give(filled);
        }
    }

    /// A listener has a connection.
    fn on_connection(&mut self, done: Done) {
        let Self { turn, io, .. } = self;
        let index = done.data as u32;
        // If the peer has gone already, it has no address.
        if let Some(fd) = done.accepted
            && let Some(peer) = kernel::peer(fd.as_fd()).filter(|_| !io.has_stopped)
            && let Some((id, fd)) = turn.on_accepted(index, fd, peer)
        {
            io.add(id, fd);
            turn.on_up(id, io);
        }
        if let Err(errno) = done.result {
            let errno = Errno::from_raw_os_error(errno);
            if errno != Errno::CANCELED {
                turn.on_accept_error(index, errno, io);
            }
        }
        turn.worked(1, io);
        if !done.more {
            io.on_receive_ended(index, Which::Own, false);
        }
    }
}

/// What a completion refers to.
#[inline]
fn subject(done: &Done) -> Option<Subject> {
    match done.op {
        Op::Datagrams => Some(Subject::Socket(done.data as u32)),
        Op::Bytes => Some(Subject::Conn(conn(done.data))),
        _ => None,
    }
}

/// The operation ended and nothing happened to its socket: it was cancelled, or no buffer was left. What came since is still in the
/// socket.
fn is_harmless(errno: Errno) -> bool {
    matches!(errno, Errno::CANCELED | Errno::NOBUFS | Errno::AGAIN | Errno::INTR)
}

#[cfg(test)]
mod limits;
