//! A TCP connection with or without TLS, for tools: it reads and writes plain bytes.

use crate::make::{Client, Server};
use crate::session::Session;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};

/// Read from the socket at once.
const READ_BYTES: usize = 16 << 10;

/// A connection.
#[derive(Debug)]
pub struct Stream {
    socket: TcpStream,
    tls: Option<Box<Tls>>,
}

#[derive(Debug)]
struct Tls {
    session: Session,
    /// Plain bytes that were not asked for yet.
    plain: Vec<u8>,
    given: usize,
    has_ended: bool,
}

impl From<TcpStream> for Stream {
    fn from(socket: TcpStream) -> Self {
        Self { socket, tls: None }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Stream {
    /// One that this side opened. It returns when the handshake is done: the socket blocks, and has a time limit for reads.
    ///
    /// # Errors
    /// Those of the socket; [`ErrorKind::InvalidData`]: no handshake, and why.
    pub fn open(socket: TcpStream, client: Option<&Client>) -> io::Result<Self> {
        let Some(client) = client else { return Ok(socket.into()) };
        let session = Session::client(client).ok_or(ErrorKind::OutOfMemory)?;
        let mut stream = Self::with(socket, session);
        while !stream.is_up() {
            stream.flush()?;
            if stream.fill()? == 0 {
                return Err(io::Error::new(ErrorKind::UnexpectedEof, "TLS: closed before the handshake was done"));
            }
        }
        stream.flush()?;
        Ok(stream)
    }

    /// One that was accepted. Its handshake is done while it is read.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn accept(socket: TcpStream, server: Option<&Server>) -> io::Result<Self> {
        let Some(server) = server else { return Ok(socket.into()) };
        Ok(Self::with(socket, Session::server(server).ok_or(ErrorKind::OutOfMemory)?))
    }

    fn with(socket: TcpStream, session: Session) -> Self {
        Self { socket, tls: Some(Box::new(Tls { session, plain: Vec::new(), given: 0, has_ended: false })) }
    }

    /// The socket.
    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Whether it can be written to: it is without TLS, or its handshake is done.
    pub fn is_up(&self) -> bool {
        self.tls.as_ref().is_none_or(|tls| tls.session.is_up())
    }

    /// Whether something waits to be sent that no write is to be called for.
    pub fn wants_write(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.session.wants_write())
    }

    /// Says that this side sends no more, where the connection has a way to say so.
    pub fn end(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.session.end();
            // The peer may have gone.
            let _ = self.flush();
        }
    }

    /// Reads from the socket once, and returns how many bytes: what is plain of them waits in `plain`.
    fn fill(&mut self) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return Ok(0) };
        let mut bytes = [0; READ_BYTES];
        let count = self.socket.read(&mut bytes)?;
        let took = tls.session.read(&bytes[..count], &mut tls.plain);
        let socket = &mut self.socket;
        // What the peer has to know of a failure, if it still listens.
        let sent = tls.session.flush(|bytes| send(socket, bytes));
        match took {
            Ok(took) => tls.has_ended |= took.has_ended,
            Err(failure) => return Err(io::Error::new(ErrorKind::InvalidData, format!("TLS: {}", failure.why))),
        }
        sent.map(|_| count)
    }
}

/// Bytes that the socket takes; none where it has no room.
fn send(socket: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut taken = 0;
    while taken < bytes.len() {
        match socket.write(&bytes[taken..]) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => taken += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(taken)
}

impl Read for Stream {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some(tls) = &mut self.tls else { return self.socket.read(out) };
            let waiting = &tls.plain[tls.given..];
            if !waiting.is_empty() {
                let count = waiting.len().min(out.len());
                out[..count].copy_from_slice(&waiting[..count]);
                tls.given += count;
                return Ok(count);
            }
            tls.plain.clear();
            tls.given = 0;
            if tls.has_ended || self.fill()? == 0 {
                return Ok(0);
            }
        }
    }
}

impl Write for Stream {
    /// Over TLS bytes that are not taken are to be given again, as a socket that does not block wants it.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.socket.write(bytes) };
        let socket = &mut self.socket;
        match tls.session.write(bytes, |bytes| send(socket, bytes))? {
            0 if !bytes.is_empty() => Err(ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let Some(tls) = &mut self.tls else { return Ok(()) };
        let socket = &mut self.socket;
        tls.session.flush(|bytes| send(socket, bytes)).map(drop)
    }
}
