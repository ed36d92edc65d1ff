//! TLS between a connection's bytes and its frames: everything else of a connection sees plain bytes alone, and only once the handshake is
//! done. A connection without TLS has none of this.

use super::conn::{Conn, Way};
use super::end::By;
use crate::shard::clock::Clock;
use crate::shard::effort::CONN_EFFORT;
use crate::shard::io::{ConnId, Io, Written};
use crate::shard::notes::Input;
use crate::shard::protocol::Protocol;
use crate::shard::recorder::Recorder;
use crate::shard::serve::Serve;
use fsu_plan::model::fleet::Fsu;
use fsu_plan::wire::reason::Reason;
use fsu_tls::{Client, Failure, FailureKind, Server, Session};
use std::fmt::Display;

/// A TLS handshake is done within this time after the connection came, in milliseconds, or the connection is closed.
pub(crate) const TLS_HANDSHAKE_MS: u64 = 10_000;

/// What a handshake costs, beside the connection: about half a millisecond.
const HANDSHAKE_EFFORT: usize = 64 * CONN_EFFORT;

/// The session of a connection that an FSU accepts.
///
/// # Errors
/// There is no memory for it.
pub(super) fn accepted(fsu: &Fsu) -> Result<Option<Box<Session>>, Reason> {
    let Some(tls) = &fsu.tls else { return Ok(None) };
    let session = tls.made::<Server>().and_then(Session::server);
    session.map(|session| Some(Box::new(session))).ok_or(Reason::NoMemory)
}

/// The same for one that it opened.
fn dialled(fsu: &Fsu) -> Result<Option<Box<Session>>, Reason> {
    let Some(tls) = fsu.dials().and_then(|connect| connect.tls.as_ref()) else { return Ok(None) };
    let session = tls.made::<Client>().and_then(Session::client);
    session.map(|session| Some(Box::new(session))).ok_or(Reason::NoMemory)
}

/// Writes plain bytes of a connection: as they are, or encrypted. What is not taken is to be given again.
#[inline]
pub(super) fn write(conn: &mut Conn, id: ConnId, bytes: &[u8], io: &mut impl Io) -> Written {
    match &mut conn.tls {
        None => io.write(id, bytes),
        Some(session) => seal(session, id, bytes, io),
    }
}

/// The same for the session of one.
pub(super) fn seal(session: &mut Session, id: ConnId, bytes: &[u8], io: &mut impl Io) -> Written {
    session.write(bytes, |bytes| sent(io.write(id, bytes))).map_or_else(Into::into, Written::Bytes)
}

/// A write of encrypted bytes, whose failure is that of all.
struct Failed(Written);

impl From<Failed> for Written {
    fn from(failed: Failed) -> Self {
        failed.0
    }
}

fn sent(written: Written) -> Result<usize, Failed> {
    match written {
        Written::Bytes(count) => Ok(count),
        failed => Err(Failed(failed)),
    }
}

/// Sends what the session has to say by itself. A connection that is gone is found by the driver.
pub(super) fn flush(session: &mut Session, id: ConnId, io: &mut impl Io) -> bool {
    session.flush(|bytes| sent(io.write(id, bytes))).unwrap_or(true)
}

impl Conn {
    /// Its handshake is not done.
    #[inline]
    pub(crate) fn is_shaking_hands(&self) -> bool {
        self.tls.as_ref().is_some_and(|session| !session.is_up())
    }

    /// Whether it waits for room in the kernel.
    #[inline]
    pub(super) fn wants_write(&self) -> bool {
        match &self.tls {
            None => !self.unsent.is_empty(),
            Some(session) => session.wants_write() || (session.is_up() && !self.unsent.is_empty()),
        }
    }

    /// Nothing more is to be said on it: its half may be closed. Over TLS that is said first; `false`: it is not sent yet.
    pub(super) fn may_end(&mut self, id: ConnId, io: &mut impl Io) -> bool {
        let Some(session) = &mut self.tls else { return true };
        session.end();
        flush(session, id, io)
    }
}

/// Says the end of a session, as far as the kernel has room for it.
pub(super) fn say_goodbye(conn: &mut Conn, id: ConnId, io: &mut impl Io) {
    if let Some(session) = conn.tls.as_mut().filter(|session| session.is_up()) {
        // Behind half a record it would be none.
        session.end();
        flush(session, id, io);
    }
}

/// As it is counted.
fn reason(kind: FailureKind) -> Reason {
    match kind {
        FailureKind::Plain => Reason::TlsPlain,
        FailureKind::Handshake => Reason::TlsHandshake,
        FailureKind::Certificate => Reason::TlsCertificate,
        FailureKind::Record => Reason::TlsRecord,
    }
}

impl<P: Protocol, T: Recorder> Serve<P, T> {
    /// A connection of an FSU is there and speaks TLS: the FSU that opened it begins. False: it has none, or is closed.
    pub(super) fn begins_tls(&mut self, id: ConnId, io: &mut impl Io) -> bool {
        let Some(conn) = self.conns.get_mut(id) else { return false };
        let Some(slot) = self.slots.get(conn.socket as usize) else { return false };
        match dialled(&self.fleet.fsus[slot.fsu as usize]) {
            Ok(None) => return false,
            Ok(Some(mut session)) => {
                flush(&mut session, id, io);
                conn.tls = Some(session);
            }
            Err(reason) => self.fail_tls(id, reason, "no memory", io),
        }
        true
    }

    /// Encrypted bytes came.
    pub(super) fn on_cipher(&mut self, id: ConnId, bytes: &[u8], now: Clock, io: &mut impl Io) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let Some(session) = &mut conn.tls else { return };
        let mut plain = std::mem::take(&mut self.buffers.plain);
        plain.clear();
        let took = session.read(bytes, &mut plain);
        flush(session, id, io);
        self.effort.add(bytes.len());
        if took.as_ref().is_ok_and(|took| took.is_up) {
            self.effort.add(HANDSHAKE_EFFORT);
            self.on_secured(id, now, io);
        }
        if !plain.is_empty() {
            self.on_plain(id, &plain, now, io);
        }
        self.buffers.plain = plain;
        self.later.now_ms = now.mono_ms;
        match took {
            Err(Failure { kind, why }) => self.fail_tls(id, reason(kind), why, io),
            Ok(took) if took.has_ended => self.on_plain_eof(id, now, io),
            Ok(_) => self.settle(id, io),
        }
    }

    /// The handshake of a connection is done.
    fn on_secured(&mut self, id: ConnId, now: Clock, io: &mut impl Io) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.active_ms = now.mono_ms;
        if conn.way == Way::Dialled {
            self.on_dial_done(id, now, io);
        } else {
            self.settle(id, io);
            self.on_up(id, now, io);
        }
    }

    /// The peer is gone before the handshake was done.
    pub(super) fn on_tls_gone(&mut self, id: ConnId, io: &mut impl Io) {
        self.fail_tls(id, Reason::TlsClosed, "closed before the handshake was done", io);
    }

    /// The handshake took too long.
    pub(super) fn on_tls_late(&mut self, id: ConnId, io: &mut impl Io) {
        self.fail_tls(id, Reason::TlsTimeout, "no handshake in time", io);
    }

    /// The session of a connection failed: counts that, and closes the connection.
    #[cold]
    fn fail_tls(&mut self, id: ConnId, reason: Reason, why: impl Display, io: &mut impl Io) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let (peer, is_shaking_hands) = (conn.peer, conn.is_shaking_hands());
        let Some(slot) = self.slots.get_mut(conn.socket as usize) else { return };
        slot.state.counters.drop(reason);
        let name = &self.fleet.fsus[slot.fsu as usize].name;
        let input = Input { fsu: name, peer: format_args!("{peer}: {why}"), bytes: &[] };
        self.notes.note(reason, self.later.now_ms, &input);
        let by = if is_shaking_hands { By::Handshake(reason) } else { By::Reason(reason) };
        self.shut(id, Reason::PeerGone, by, io);
    }
}
