//! The connections of a driver, by their places: one table for both drivers, each with what it knows of a connection.

use super::kernel;
use crate::shard::io::{ConnId, Written};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};

/// A connection's descriptor, and what the driver knows of it.
#[derive(Debug)]
pub(crate) struct Stream<S> {
    generation: u32,
    pub(crate) fd: OwnedFd,
    pub(crate) state: S,
    /// It is being opened.
    is_dialling: bool,
}

/// The table. A place is reused with another generation.
#[derive(Debug)]
pub(crate) struct Streams<S>(Vec<Option<Stream<S>>>);

impl<S> Default for Streams<S> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<S> Streams<S> {
    /// Puts an accepted connection at its place.
    pub(crate) fn put(&mut self, id: ConnId, fd: OwnedFd, state: S) {
        let place = id.index as usize;
        if self.0.len() <= place {
            self.0.resize_with(place + 1, || None);
        }
        self.0[place] = Some(Stream { generation: id.generation, fd, state, is_dialling: false });
    }

    /// The same for one that is being opened.
    pub(crate) fn put_dialling(&mut self, id: ConnId, fd: OwnedFd, state: S) {
        self.put(id, fd, state);
        if let Some(stream) = self.get_mut(id) {
            stream.is_dialling = true;
        }
    }

    /// What has become of one that was being opened, now that it is writable; `None`: it was not.
    #[inline]
    pub(crate) fn dialled(&mut self, id: ConnId) -> Option<Result<(), Errno>> {
        let stream = self.get_mut(id).filter(|stream| stream.is_dialling)?;
        stream.is_dialling = false;
        Some(kernel::take_error(stream.fd.as_fd()).map_or(Ok(()), Err))
    }

    /// One of them; `None`: it is closed.
    #[inline]
    pub(crate) fn get_mut(&mut self, id: ConnId) -> Option<&mut Stream<S>> {
        self.0.get_mut(id.index as usize)?.as_mut().filter(|stream| stream.generation == id.generation)
    }

    /// Takes one out of the table.
    pub(crate) fn remove(&mut self, id: ConnId) -> Option<Stream<S>> {
        self.get_mut(id)?;
        self.0[id.index as usize].take()
    }

    /// Writes what one takes at once.
    pub(crate) fn write(&mut self, id: ConnId, bytes: &[u8]) -> Written {
        let Some(stream) = self.get_mut(id) else { return Written::Gone };
        match kernel::send(stream.fd.as_fd(), bytes) {
            Ok(count) => Written::Bytes(count),
            Err(Errno::AGAIN | Errno::INTR | Errno::NOBUFS) => Written::Bytes(0),
            Err(errno) if is_peer_gone(errno) => Written::Gone,
            Err(errno) => Written::Failed(errno.raw_os_error()),
        }
    }

    /// How many bytes of one wait to be read.
    pub(crate) fn unread(&mut self, id: ConnId) -> usize {
        self.get_mut(id).map_or(0, |stream| kernel::unread(stream.fd.as_fd()))
    }

    /// Closing this one will reset it. The call fails for no open socket; then the peer sees a plain end.
    pub(crate) fn reset_when_closed(&mut self, id: ConnId) {
        if let Some(stream) = self.get_mut(id) {
            let _ = kernel::linger_none(stream.fd.as_fd());
        }
    }

    /// Closes the sending half of one. If the peer is gone, the next event says so.
    pub(crate) fn shut_write(&mut self, id: ConnId) {
        if let Some(stream) = self.get_mut(id) {
            let _ = kernel::shutdown_write(stream.fd.as_fd());
        }
    }

    /// Before one is closed at the end of the run: unread requests would make the kernel reset the connection, and lose replies that are
    /// on their way.
    pub(crate) fn finish(&mut self, id: ConnId) {
        if let Some(stream) = self.get_mut(id) {
            let _ = kernel::shutdown_write(stream.fd.as_fd());
            let mut unread = [0; 16 << 10];
            let _ = kernel::recv(stream.fd.as_fd(), &mut unread);
        }
    }
}

/// Whether the error says only that the peer is gone: nothing to report.
pub(crate) fn is_peer_gone(errno: Errno) -> bool {
    matches!(errno, Errno::CONNRESET | Errno::PIPE | Errno::CONNABORTED | Errno::NOTCONN | Errno::SHUTDOWN)
}
