//! One TLS session without its socket: bytes from the peer to plain bytes, plain bytes to bytes for the peer.

use crate::make::{Client, Server};
use rustls::{AlertDescription, ClientConnection, Connection, Error, InvalidMessage, ServerConnection};
use std::fmt;
use std::io::{Read, Write};

/// Plain bytes that are encrypted ahead of what the kernel takes: one record.
pub const SEALED_BYTES_MAX: usize = 16 << 10;

/// What became of bytes from the peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Took {
    /// The handshake is done, since these bytes.
    pub is_up: bool,
    /// The peer said that it sends no more.
    pub has_ended: bool,
}

/// Why a session failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// As it is counted.
    pub kind: FailureKind,
    /// In the words of rustls.
    pub why: String,
}

/// What failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// What the peer sends is no TLS.
    Plain,
    /// No handshake came of it.
    Handshake,
    /// A certificate was not accepted, on this side or on the other.
    Certificate,
    /// A record after the handshake is wrong.
    Record,
}

/// A session.
pub struct Session {
    inner: Connection,
    /// Encrypted bytes that the kernel had no room for, and how many of them it has taken since.
    out: Vec<u8>,
    taken: usize,
    /// Plain bytes that were encrypted and are not reported as written: not all that they became was taken.
    sealed: usize,
    is_up: bool,
    has_said_end: bool,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("is_up", &self.is_up)
            .field("waiting", &(self.out.len() - self.taken))
            .finish_non_exhaustive()
    }
}

impl Session {
    /// One that the peer opened. `None`: there is no memory or no randomness for it.
    pub fn server(server: &Server) -> Option<Self> {
        ServerConnection::new(server.0.clone()).ok().map(|inner| Self::new(inner.into()))
    }

    /// One that this side opens: its first bytes wait to be sent.
    pub fn client(client: &Client) -> Option<Self> {
        let inner = ClientConnection::new(client.config.clone(), client.name.clone());
        inner.ok().map(|inner| Self::new(inner.into()))
    }

    fn new(inner: Connection) -> Self {
        Self { inner, out: Vec::new(), taken: 0, sealed: 0, is_up: false, has_said_end: false }
    }

    /// Whether the handshake is done.
    pub fn is_up(&self) -> bool {
        self.is_up
    }

    /// Whether encrypted bytes wait for room in the kernel.
    pub fn wants_write(&self) -> bool {
        !self.out.is_empty() || self.inner.wants_write()
    }

    /// Takes bytes of the peer; what is plain now is put behind `plain`, also where it fails. What is to be answered waits for
    /// [`Session::flush`], as does the alert about a failure.
    ///
    /// # Errors
    /// Why the session failed.
    pub fn read(&mut self, mut bytes: &[u8], plain: &mut Vec<u8>) -> Result<Took, Failure> {
        let mut took = Took::default();
        while !bytes.is_empty() {
            // An error of this reader is one of its bounds.
            let count =
                self.inner.read_tls(&mut bytes).map_err(|error| self.failure(&Error::General(error.to_string())))?;
            let state = self.inner.process_new_packets();
            self.take_plain(plain);
            let state = state.map_err(|error| self.failure(&error))?;
            took.has_ended |= state.peer_has_closed();
            if !self.is_up && !self.inner.is_handshaking() {
                (self.is_up, took.is_up) = (true, true);
            }
            if count == 0 {
                // Nothing is read behind the end.
                break;
            }
        }
        Ok(took)
    }

    fn take_plain(&mut self, plain: &mut Vec<u8>) {
        let mut reader = self.inner.reader();
        let mut part = [0; 4096];
        // The end of a stream is an error, or nothing: both are known elsewhere.
        while let Ok(count @ 1..) = reader.read(&mut part) {
            plain.extend_from_slice(&part[..count]);
        }
    }

    fn failure(&self, error: &Error) -> Failure {
        Failure { kind: kind(error, self.is_up), why: error.to_string() }
    }

    /// Sends what waits. True: nothing waits any more. `send` returns how many bytes were taken; fewer than it got: there is no room now.
    ///
    /// # Errors
    /// Those of `send`.
    pub fn flush<E>(&mut self, mut send: impl FnMut(&[u8]) -> Result<usize, E>) -> Result<bool, E> {
        self.flush_by(&mut send)
    }

    fn flush_by<E>(&mut self, send: &mut impl FnMut(&[u8]) -> Result<usize, E>) -> Result<bool, E> {
        if self.out.is_empty() && self.inner.wants_write() {
            while self.inner.wants_write() && matches!(self.inner.write_tls(&mut self.out), Ok(1..)) {}
        }
        if self.out.is_empty() {
            return Ok(true);
        }
        let waiting = self.out.get(self.taken..).unwrap_or_default();
        self.taken += send(waiting)?.min(waiting.len());
        if self.taken < self.out.len() {
            return Ok(false);
        }
        // An idle session holds no buffer.
        (self.out, self.taken) = (Vec::new(), 0);
        self.flush_by(send)
    }

    /// Writes plain bytes, and returns how many are sent as a whole: encrypted, and taken by `send`. Those that are not are given again
    /// with the next call, at the beginning of `plain`. Before the handshake is done it takes none.
    ///
    /// # Errors
    /// Those of `send`.
    pub fn write<E>(&mut self, plain: &[u8], mut send: impl FnMut(&[u8]) -> Result<usize, E>) -> Result<usize, E> {
        let mut done = 0;
        loop {
            if !self.flush_by(&mut send)? {
                return Ok(done);
            }
            done = plain.len().min(done + std::mem::take(&mut self.sealed));
            let part = &plain[done..];
            let part = &part[..part.len().min(SEALED_BYTES_MAX)];
            if part.is_empty() || !self.is_up {
                return Ok(done);
            }
            match self.inner.writer().write(part) {
                Ok(count @ 1..) => self.sealed = count,
                _ => return Ok(done),
            }
        }
    }

    /// Says that this side sends no more; it waits for [`Session::flush`].
    pub fn end(&mut self) {
        if !std::mem::replace(&mut self.has_said_end, true) {
            self.inner.send_close_notify();
        }
    }
}

/// As it is counted.
fn kind(error: &Error, is_up: bool) -> FailureKind {
    match error {
        Error::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion)
            if !is_up =>
        {
            FailureKind::Plain
        }
        Error::InvalidCertificate(_) | Error::NoCertificatesPresented => FailureKind::Certificate,
        Error::AlertReceived(alert) if is_about_certificates(*alert) => FailureKind::Certificate,
        _ if is_up => FailureKind::Record,
        _ => FailureKind::Handshake,
    }
}

fn is_about_certificates(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::CertificateRequired
            | AlertDescription::NoCertificate
    )
}

#[cfg(test)]
mod tests;
