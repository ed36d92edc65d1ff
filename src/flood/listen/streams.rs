//! Connections that devices open.

use super::Options;
use super::ask::Way;
use super::centre::Centre;
use super::resets::Resets;
use super::thread::{LISTENER, STREAM, Shared};
use crate::hear::count::Closed;
use crate::hear::desk::{Answer, Came, Path, Pending};
use crate::hear::owed::Owed;
use crate::link::tcp::Next as Reply;
use crate::link::unasked::is_taken;
use crate::talk::Talk;
use crate::talk::forms::Said;
use crate::talk::recent::Recent;
use crate::talk::stream::{Next, next};
use fsu_plan::model::message::Transport;
use fsu_tls::Server;
use fsu_tls::stream::Stream;
use rustix::event::epoll::{self, EventData, EventFlags};
use socket2::SockRef;
use std::io::{self, Read as _, Write as _};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Read from one connection at a time.
const READ_BYTES: usize = 64 << 10;
/// Connections accepted before others are looked at again.
const ACCEPTS_A_TURN: usize = 256;
/// A frame that is begun is whole after this long, or its connection is closed.
pub const HALF_FRAME_MS: u64 = 10_000;
/// Bytes in a row that are no frame; past it the connection is closed.
pub const NO_FRAME_BYTES_MAX: usize = 65_536;
/// Acknowledgements that a device leaves unread; past it the connection is closed.
pub const UNREAD_BYTES_MAX: usize = 65_536;
/// Bytes of a stream that may be looked at: for each byte received, and at the start.
pub const EFFORT_PER_BYTE: u64 = 64;
/// The same at the start.
pub const EFFORT_MIN: u64 = 1 << 20;

/// A connection: some 200 bytes, and what is half there.
#[derive(Debug)]
pub struct Conn {
    stream: Stream,
    /// Which one in its place.
    turn: u32,
    /// The FSU, once it is known.
    speaker: Option<u32>,
    /// Whose requests it gets, where it is asked.
    seat: Option<u32>,
    /// Received and not yet a whole frame.
    begun: Vec<u8>,
    begun_ns: u64,
    /// Not yet written.
    out: Vec<u8>,
    /// Acknowledgements in that.
    owed: Owed,
    recent: Recent,
    received: u64,
    effort: u64,
    /// Bytes in a row that are no frame.
    garbage: usize,
}

/// A thread's connections.
pub struct Streams<'a> {
    listeners: Vec<TcpListener>,
    /// Those that the system refused an accept on: they are looked at again with the next sweep.
    paused: Vec<usize>,
    epoll: Arc<OwnedFd>,
    conns: Vec<Option<Box<Conn>>>,
    free: Vec<u32>,
    /// What may be said over connections: the numbers of the talks, and the talks.
    numbers: Vec<u32>,
    talks: Vec<&'a Talk>,
    connections_max: usize,
    resets: Resets,
    tls: Option<Server>,
    turns: u32,
    read: Vec<u8>,
    /// Acknowledgements of a turn, and of what each is with its bytes.
    answers: Vec<u8>,
    answered: Vec<(Answer, usize)>,
    request: Vec<u8>,
}

impl<'a> Streams<'a> {
    /// On these listeners.
    pub fn new(options: &'a Options, listeners: Vec<TcpListener>, epoll: Arc<OwnedFd>) -> Self {
        let numbers = options.hearing.cast.talks_over(Transport::Tcp);
        Self {
            listeners,
            paused: Vec::new(),
            epoll,
            conns: Vec::new(),
            free: Vec::new(),
            talks: numbers.iter().map(|&number| &*options.hearing.cast.talks[number as usize]).collect(),
            numbers,
            connections_max: options.connections_max,
            resets: Resets::new(&options.resets_ns),
            tls: options.tls.clone(),
            turns: 0,
            read: vec![0; READ_BYTES],
            answers: Vec::new(),
            answered: Vec::new(),
            request: Vec::new(),
        }
    }

    /// Accepts what waits.
    ///
    /// # Errors
    /// What epoll refuses.
    pub fn accept(&mut self, desk: &mut Centre<'_>, listener: usize, shared: &Shared) -> io::Result<()> {
        for _ in 0..ACCEPTS_A_TURN {
            let accepted = self.listeners.get(listener).map(TcpListener::accept);
            let stream = match accepted {
                Some(Ok((stream, _))) => stream,
                Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Some(Err(error)) if is_passing(&error) => continue,
                // No descriptor is free, say. The listener stays readable, so it is not waited for until the next sweep.
                Some(Err(_)) => {
                    desk.count.accept_errors += 1;
                    epoll::delete(&self.epoll, &self.listeners[listener])?;
                    self.paused.push(listener);
                    return Ok(());
                }
                None => return Ok(()),
            };
            if shared.open.fetch_add(1, Ordering::Relaxed) >= self.connections_max {
                shared.open.fetch_sub(1, Ordering::Relaxed);
                *desk.count.closed.entry(Closed::TooMany).or_default() += 1;
                continue;
            }
            if stream.set_nonblocking(true).and_then(|()| stream.set_nodelay(true)).is_err() {
                shared.open.fetch_sub(1, Ordering::Relaxed);
                *desk.count.closed.entry(Closed::Reset).or_default() += 1;
                continue;
            }
            let Ok(stream) = Stream::accept(stream, self.tls.as_ref()) else {
                shared.open.fetch_sub(1, Ordering::Relaxed);
                *desk.count.closed.entry(Closed::Tls).or_default() += 1;
                continue;
            };
            self.add(desk, stream)?;
        }
        Ok(())
    }

    fn add(&mut self, desk: &mut Centre<'_>, stream: Stream) -> io::Result<()> {
        let at = self.free.pop().unwrap_or_else(|| {
            self.conns.push(None);
            self.conns.len() as u32 - 1
        });
        epoll::add(&self.epoll, &stream, EventData::new_u64(STREAM | u64::from(at)), EventFlags::IN)?;
        self.turns = self.turns.wrapping_add(1);
        // A handshake has the time of a frame.
        let (is_up, now_ns) = (stream.is_up(), desk.now_ns);
        let begun_ns = if is_up { 0 } else { now_ns };
        self.conns[at as usize] = Some(Box::new(Conn {
            stream,
            turn: self.turns,
            speaker: None,
            seat: desk.asking.as_mut().filter(|_| is_up).and_then(|asking| asking.unnamed(None, Way::Stream(at))),
            begun: Vec::new(),
            begun_ns,
            out: Vec::new(),
            owed: Owed::default(),
            recent: Recent::default(),
            received: 0,
            effort: 0,
            garbage: 0,
        }));
        if let Some(reset) = desk.count.resets.last_mut() {
            reset.back.saturating_record(now_ns.saturating_sub(reset.at_ns).max(1));
        }
        desk.count.accepted += 1;
        desk.count.open += 1;
        desk.count.most = desk.count.most.max(desk.count.open);
        Ok(())
    }

    /// A connection is readable, or takes more.
    ///
    /// # Errors
    /// What epoll refuses.
    pub fn on_event(&mut self, desk: &mut Centre<'_>, at: u32, flags: EventFlags, shared: &Shared) -> io::Result<()> {
        let Some(mut conn) = self.conns.get_mut(at as usize).and_then(Option::take) else { return Ok(()) };
        let mut ended = None;
        if flags.contains(EventFlags::OUT) {
            ended = self.flush(desk, &mut conn, at)?;
        }
        if ended.is_none() && flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            ended = self.read_from(desk, &mut conn, at)?;
        }
        match ended {
            None => self.conns[at as usize] = Some(conn),
            Some(why) => self.end(desk, (at, &mut conn), why, shared),
        }
        Ok(())
    }

    /// Reads once. Returns why the connection ends, if it does.
    fn read_from(&mut self, desk: &mut Centre<'_>, conn: &mut Conn, at: u32) -> io::Result<Option<Closed>> {
        let was_up = conn.stream.is_up();
        let read = conn.stream.read(&mut self.read);
        if !was_up && conn.stream.is_up() {
            // Its handshake is done: from now on it is asked.
            conn.begun_ns = 0;
            conn.seat = desk.asking.as_mut().and_then(|asking| asking.unnamed(None, Way::Stream(at)));
        }
        let count = match read {
            Ok(0) => return Ok(Some(if conn.stream.is_up() { Closed::Peer } else { Closed::Tls })),
            Ok(count) => count,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                return Ok(None);
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return Ok(Some(Closed::Tls)),
            Err(_) if !conn.stream.is_up() => return Ok(Some(Closed::Tls)),
            Err(_) => return Ok(Some(Closed::Reset)),
        };
        desk.count.bytes_in += count as u64;
        conn.received += count as u64;
        let read = std::mem::take(&mut self.read);
        let ended = if conn.begun.is_empty() {
            let (used, ended) = self.frames(desk, conn, at, &read[..count]);
            conn.begun.reserve_exact(count - used);
            conn.begun.extend_from_slice(&read[used..count]);
            ended
        } else {
            let mut begun = std::mem::take(&mut conn.begun);
            begun.reserve_exact(count);
            begun.extend_from_slice(&read[..count]);
            let (used, ended) = self.frames(desk, conn, at, &begun);
            begun.drain(..used);
            if begun.is_empty() {
                begun = Vec::new();
            }
            conn.begun = begun;
            ended
        };
        self.read = read;
        if !self.answers.is_empty() {
            let answers = std::mem::take(&mut self.answers);
            let mut waiting = conn.out.len();
            for (answer, bytes) in self.answered.drain(..) {
                waiting += bytes;
                conn.owed.push(answer, bytes, waiting);
            }
            let slow = self.write(desk, conn, at, &answers)?;
            self.answers = answers;
            self.answers.clear();
            return Ok(ended.or(slow));
        }
        Ok(ended)
    }

    /// Takes every whole frame. Returns how many bytes they were, and why the connection ends, if it does.
    fn frames(&mut self, desk: &mut Centre<'_>, conn: &mut Conn, at: u32, bytes: &[u8]) -> (usize, Option<Closed>) {
        let mut used = 0;
        while used < bytes.len() {
            let rest = &bytes[used..];
            if let Some(len) = Self::reply(desk, conn, rest) {
                used += len;
                conn.garbage = 0;
                continue;
            }
            let found = next(&self.talks, rest, &mut desk.raw);
            conn.effort += found.effort as u64;
            if conn.effort > EFFORT_MIN + EFFORT_PER_BYTE * conn.received {
                return (used, Some(Closed::Garbage));
            }
            let found = match self.unasked(desk, conn, rest, found.next) {
                Ok(next) => next,
                Err((len, ended)) if ended.is_some() || len == 0 => {
                    if used > 0 || conn.begun_ns == 0 {
                        conn.begun_ns = desk.now_ns.max(1);
                    }
                    return (used + len, ended);
                }
                Err((len, _)) => {
                    used += len;
                    conn.garbage = 0;
                    continue;
                }
            };
            match found {
                Next::More => {
                    if used > 0 || conn.begun_ns == 0 {
                        conn.begun_ns = desk.now_ns.max(1);
                    }
                    return (used, None);
                }
                Next::Skip(skipped) => {
                    used += skipped;
                    desk.count.garbage_bytes += skipped as u64;
                    conn.garbage += skipped;
                    if conn.garbage > NO_FRAME_BYTES_MAX {
                        return (used, Some(Closed::Garbage));
                    }
                }
                Next::Frame { len, talk, said } => {
                    used += len;
                    conn.garbage = 0;
                    let (talk, wire) = (self.numbers[talk], &rest[..len]);
                    let came = Came { talk, said, wire, known: conn.speaker, is_stream: true };
                    let (speaker, answer) = desk.take(came, &mut conn.recent);
                    conn.speaker = conn.speaker.or(speaker);
                    Self::seat(desk, conn, at, (talk, said));
                    match answer {
                        Some((answer, 0)) => {
                            self.answers.extend_from_slice(&desk.wire);
                            self.answered.push((answer, desk.wire.len()));
                        }
                        Some((answer, after_ms)) => desk.put_off(answer, after_ms, Path::Stream(at, conn.turn)),
                        None => {}
                    }
                }
            }
        }
        conn.begun_ns = 0;
        (used, None)
    }

    /// What a connection begins with, if that is a right reply: its size.
    #[inline]
    fn reply(desk: &mut Centre<'_>, conn: &Conn, bytes: &[u8]) -> Option<usize> {
        let (asking, seat) = desk.asking.as_mut().zip(conn.seat)?;
        if !asking.is_reply(seat, bytes, true) {
            return None;
        }
        let Reply::Reply(len) = asking.reply_len(seat, bytes) else { return None };
        asking.settle(seat, bytes.get(..len)?);
        Some(len)
    }

    /// What a connection begins with that is no right reply, where it is asked: what it is besides, or how many bytes of it were taken for
    /// a wrong reply or one too many, and why the connection ends, if it does. Of none, more has to come.
    fn unasked(
        &self,
        desk: &mut Centre<'_>,
        conn: &Conn,
        bytes: &[u8],
        found: Next,
    ) -> Result<Next, (usize, Option<Closed>)> {
        let Some((asking, seat)) = desk.asking.as_mut().zip(conn.seat) else { return Ok(found) };
        let len = match found {
            Next::Frame { talk, said, .. } if is_taken(self.talks[talk], said) => return Ok(found),
            Next::Frame { len, .. } => len,
            Next::More | Next::Skip(_) => match (asking.reply_len(seat, bytes), found) {
                (Reply::Reply(len), _) => len,
                (Reply::More, _) => return Err((0, None)),
                (Reply::Wrong, Next::More) => return Ok(found),
                // Nobody knows where the next one begins.
                (Reply::Wrong, _) => match asking.wrong_len(seat, bytes) {
                    Some(len) => {
                        asking.settle(seat, &bytes[..len]);
                        return Err((bytes.len(), Some(Closed::Reply)));
                    }
                    None => return Ok(found),
                },
            },
        };
        asking.settle(seat, &bytes[..len]);
        Err((len, None))
    }

    /// A connection has said something: it may be asked now.
    fn seat(desk: &mut Centre<'_>, conn: &mut Conn, at: u32, (talk, said): (u32, Said)) {
        let Some(asking) = desk.asking.as_mut().filter(|_| conn.seat.is_none()) else { return };
        conn.seat = match conn.speaker {
            Some(speaker) => asking.heard(speaker, Way::Stream(at)),
            None if matches!(said, Said::Right(_)) => asking.unnamed(Some(talk), Way::Stream(at)),
            None => None,
        };
    }

    /// Sends a request to a seat.
    ///
    /// # Errors
    /// What epoll refuses.
    pub fn ask(&mut self, desk: &mut Centre<'_>, (seat, at, planned_ns): (u32, u32, u64)) -> io::Result<()> {
        let Some(asking) = &mut desk.asking else { return Ok(()) };
        let conn = self.conns.get_mut(at as usize).and_then(Option::take);
        let Some(mut conn) = conn else {
            asking.refused(seat);
            return Ok(());
        };
        if conn.out.is_empty() {
            let mut request = std::mem::take(&mut self.request);
            asking.ask(seat, planned_ns, &mut request);
            // What is wrong with the connection is found at the next look.
            let written = self.write(desk, &mut conn, at, &request)?;
            self.request = request;
            if written.is_some()
                && let Some(asking) = &mut desk.asking
            {
                asking.failed();
            }
        } else {
            asking.refused(seat);
        }
        self.conns[at as usize] = Some(conn);
        Ok(())
    }

    /// Writes, or keeps what the connection does not take. Returns why it ends, if it does.
    fn write(&self, desk: &mut Centre<'_>, conn: &mut Conn, at: u32, bytes: &[u8]) -> io::Result<Option<Closed>> {
        let mut written = 0;
        if conn.out.is_empty() {
            written = match conn.stream.write(bytes) {
                Ok(written) => written,
                Err(error) if is_passing(&error) || error.kind() == io::ErrorKind::WouldBlock => 0,
                Err(_) => return Ok(Some(Closed::Reset)),
            };
            Self::wrote(desk, conn, written);
            if written == bytes.len() {
                return Ok(None);
            }
            self.watch(conn, at, EventFlags::IN | EventFlags::OUT)?;
        }
        conn.out.extend_from_slice(&bytes[written..]);
        Ok((conn.out.len() > UNREAD_BYTES_MAX).then_some(Closed::Slow))
    }

    /// Writes what was kept.
    fn flush(&self, desk: &mut Centre<'_>, conn: &mut Conn, at: u32) -> io::Result<Option<Closed>> {
        match conn.stream.write(&conn.out) {
            Ok(written) => {
                drop(conn.out.drain(..written));
                Self::wrote(desk, conn, written);
            }
            Err(error) if is_passing(&error) || error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return Ok(Some(Closed::Reset)),
        }
        if conn.out.is_empty() {
            conn.out = Vec::new();
            self.watch(conn, at, EventFlags::IN)?;
        }
        Ok(None)
    }

    /// A connection has taken that many bytes: the acknowledgements that are out are sent.
    fn wrote(desk: &mut Centre<'_>, conn: &mut Conn, count: usize) {
        conn.owed.wrote(count);
        while let Some((answer, bytes)) = conn.owed.next_out() {
            desk.sent(&answer, bytes, &mut conn.recent);
        }
    }

    fn watch(&self, conn: &Conn, at: u32, flags: EventFlags) -> io::Result<()> {
        epoll::modify(&self.epoll, &conn.stream, EventData::new_u64(STREAM | u64::from(at)), flags)?;
        Ok(())
    }

    /// An acknowledgement that was put off is due.
    pub fn send_later(&mut self, desk: &mut Centre<'_>, pending: Pending) {
        let Path::Stream(at, turn) = pending.path else { return };
        let there = self.conns.get_mut(at as usize).and_then(|conn| conn.take_if(|conn| conn.turn == turn));
        let Some(mut conn) = there else { return desk.failed(&pending.answer) };
        let bytes = pending.wire.len();
        conn.owed.push(pending.answer, bytes, conn.out.len() + bytes);
        // What is wrong with the connection is found at the next look.
        let _ = self.write(desk, &mut conn, at, &pending.wire);
        self.conns[at as usize] = Some(conn);
    }

    /// Waits again for the listeners that the system refused an accept on.
    ///
    /// # Errors
    /// What epoll refuses.
    pub fn accept_again(&mut self) -> io::Result<()> {
        for at in self.paused.drain(..) {
            watch_listener(&self.epoll, at, &self.listeners[at])?;
        }
        Ok(())
    }

    /// Closes connections whose frame does not come, and those that do not take what they are sent.
    pub fn sweep(&mut self, desk: &mut Centre<'_>, shared: &Shared) {
        for at in 0..self.conns.len() as u32 {
            let why = self.conns[at as usize].as_ref().and_then(|conn| {
                let is_half =
                    conn.begun_ns > 0 && desk.now_ns.saturating_sub(conn.begun_ns) > HALF_FRAME_MS * 1_000_000;
                let is_slow = conn.out.len() > UNREAD_BYTES_MAX;
                let half = if conn.stream.is_up() { Closed::Half } else { Closed::Tls };
                if is_half { Some(half) } else { is_slow.then_some(Closed::Slow) }
            });
            if let Some(why) = why
                && let Some(mut conn) = self.conns[at as usize].take()
            {
                self.end(desk, (at, &mut conn), why, shared);
            }
        }
    }

    /// Resets all connections if that is due. The devices that come back are counted with it.
    pub fn reset(&mut self, desk: &mut Centre<'_>, shared: &Shared) {
        let Some(mut reset) = self.resets.take(desk.now_ns) else { return };
        for at in 0..self.conns.len() as u32 {
            if let Some(mut conn) = self.conns[at as usize].take() {
                // Fails for no open socket; then the device sees a plain end.
                let _ = SockRef::from(&conn.stream).set_linger(Some(Duration::ZERO));
                self.end(desk, (at, &mut conn), Closed::Purpose, shared);
                reset.reset += 1;
            }
        }
        reset.took_ns = desk.clock().now_ns().saturating_sub(reset.at_ns);
        desk.count.resets.push(reset);
    }

    /// When connections are reset next.
    #[inline]
    pub fn next_reset_ns(&self) -> u64 {
        self.resets.next_ns()
    }

    /// A connection ends. What was begun of a frame is no frame.
    fn end(&mut self, desk: &mut Centre<'_>, (at, conn): (u32, &mut Conn), why: Closed, shared: &Shared) {
        desk.count.garbage_bytes += conn.begun.len() as u64;
        conn.owed.lost().for_each(|answer| desk.failed(&answer));
        if let Some(speaker) = conn.speaker {
            desk.options.past.keep(speaker, std::mem::take(&mut conn.recent), desk.now_ns / 1_000_000);
        }
        Self::leave(desk, (at, conn));
        *desk.count.closed.entry(why).or_default() += 1;
        desk.count.open -= 1;
        shared.open.fetch_sub(1, Ordering::Relaxed);
        self.free.push(at);
    }

    /// A connection is asked no more.
    fn leave(desk: &mut Centre<'_>, (at, conn): (u32, &Conn)) {
        match (&mut desk.asking, conn.seat) {
            (Some(asking), Some(seat)) => asking.lose(seat, at),
            (Some(asking), None) => asking.untold += u64::from(conn.speaker.is_none()),
            (None, _) => {}
        }
    }

    /// The end: what is open stays counted as open.
    pub fn close(&mut self, desk: &mut Centre<'_>, shared: &Shared) {
        for (at, conn) in self.conns.iter_mut().enumerate() {
            if let Some(conn) = conn {
                conn.owed.lost().for_each(|answer| desk.failed(&answer));
                Self::leave(desk, (at as u32, conn));
            }
        }
        shared.open.fetch_sub(desk.count.open as usize, Ordering::Relaxed);
        self.conns.clear();
    }
}

/// Waits for connections of a listener; only one thread wakes for a new one.
///
/// # Errors
/// What epoll refuses.
pub(super) fn watch_listener(epoll: &OwnedFd, at: usize, listener: &TcpListener) -> io::Result<()> {
    let flags = EventFlags::IN | EventFlags::EXCLUSIVE;
    Ok(epoll::add(epoll, listener, EventData::new_u64(LISTENER | at as u64), flags)?)
}

/// Errors that say nothing about the socket itself.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted)
}

#[cfg(test)]
mod tests;
