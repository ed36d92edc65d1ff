//! The one way in which datagrams leave: as few system calls as possible, and what to do where the kernel refuses segments.

use super::outbox::{Addressed, Outbox, Parcels};
use super::sys;
use rustix::io::Errno;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};

/// Sends what an outbox holds. Equally long datagrams to one peer go to the kernel as one buffer, which it cuts (`UDP_SEGMENT`), until a
/// kernel or an interface refuses that: from then on each goes alone.
pub struct UdpSender {
    headers: sys::Sender,
    segments: bool,
    refusal: Option<io::Error>,
}

/// Datagrams of an outbox that leave by one socket.
#[derive(Clone, Debug)]
pub struct Departing<'a, D> {
    /// The outbox.
    pub outbox: &'a Outbox<D>,
    /// Which of its datagrams.
    pub range: Range<usize>,
    /// The socket is one of IPv6, which takes IPv4 addresses mapped.
    pub six: bool,
    /// It is connected to the receiver of all.
    pub is_connected: bool,
}

impl<'a, D: Addressed> Departing<'a, D> {
    fn parcels(&self, segments: bool) -> Parcels<'a, D> {
        let parcels = self.outbox.parcels(self.range.start, self.range.len(), segments);
        let parcels = if self.is_connected { parcels.connected() } else { parcels };
        if self.six { parcels.mapped() } else { parcels }
    }
}

impl UdpSender {
    /// One that sends segments, or never does.
    pub fn new(segments: bool) -> Self {
        Self { headers: sys::Sender::new(), segments, refusal: None }
    }

    /// Sends what one call takes; how many datagrams were taken.
    ///
    /// # Errors
    /// That of the first datagram. It concerns the whole batch where the socket has no room ([`is_full`]).
    pub fn send<D: Addressed>(&mut self, socket: BorrowedFd<'_>, departing: &Departing<'_, D>) -> io::Result<usize> {
        self.send_by(departing, |headers, parcels| headers.send(socket.as_fd(), parcels))
    }

    /// The same, with the system call made by `call`: a driver's may go to a simulated kernel.
    ///
    /// # Errors
    /// As [`UdpSender::send`].
    pub fn send_by<'a, D: Addressed>(
        &mut self,
        departing: &Departing<'a, D>,
        mut call: impl FnMut(&mut sys::Sender, Parcels<'a, D>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let error = match call(&mut self.headers, departing.parcels(self.segments)) {
            Err(error) if self.segments && !is_passing(&error) => error,
            sent => return sent,
        };
        let Some(first) = departing.parcels(true).next().filter(|first| first.segment_bytes > 0) else {
            return Err(error);
        };
        let sent = call(&mut self.headers, departing.parcels(false));
        // An address that this machine no longer has ends in the same errors, also without segments.
        if is_no_segmentation(&error) && (first.local.is_any() || sent.is_ok()) {
            self.segments = false;
            self.refusal = Some(error);
        }
        sent
    }

    /// Why segments were given up, the first time that this is asked after it.
    #[inline]
    pub fn take_refusal(&mut self) -> Option<io::Error> {
        self.refusal.take()
    }

    /// Whether datagrams still go as segments.
    pub fn sends_segments(&self) -> bool {
        self.segments
    }
}

/// Whether a socket, or the system, has no room for a datagram at the moment.
pub fn is_full(error: &io::Error) -> bool {
    matches!(errno(error), Some(Errno::AGAIN | Errno::INTR | Errno::NOBUFS | Errno::NOMEM))
}

/// Whether an error says nothing about this call: no room at the moment, or what an earlier datagram met.
fn is_passing(error: &io::Error) -> bool {
    is_full(error) || errno(error) == Some(Errno::CONNREFUSED)
}

/// Whether the kernel, or the interface, does not cut one buffer into datagrams (udp(7), `UDP_SEGMENT`).
fn is_no_segmentation(error: &io::Error) -> bool {
    matches!(errno(error), Some(Errno::INVAL | Errno::MSGSIZE | Errno::IO | Errno::OPNOTSUPP | Errno::NOPROTOOPT))
}

fn errno(error: &io::Error) -> Option<Errno> {
    error.raw_os_error().map(Errno::from_raw_os_error)
}

#[cfg(test)]
mod tests {
    use super::super::outbox::To;
    use super::*;

    /// Three datagrams that go as one, to a kernel that answers each call in turn; what comes of it, how many parcels each call had,
    /// whether segments are sent from then on.
    fn check(answers: &[Result<usize, Errno>], expected: Result<usize, Errno>, calls: &[usize], segments: bool) {
        let mut outbox = Outbox::default();
        (0..3).for_each(|_| assert!(outbox.push(To(([127, 0, 0, 1], 9).into()), b"abc")));
        let mut sender = UdpSender::new(true);
        let mut seen = Vec::new();
        let sent = sender.send_by(
            &Departing { outbox: &outbox, range: 0..3, six: false, is_connected: false },
            |_, parcels| {
                seen.push(parcels.count());
                answers[seen.len() - 1].map_err(io::Error::from)
            },
        );
        assert_eq!(sent.map_err(|error| errno(&error).unwrap()), expected, "{answers:?}");
        assert_eq!((seen.as_slice(), sender.sends_segments()), (calls, segments), "{answers:?}");
        assert_eq!(sender.take_refusal().is_some(), !segments);
    }

    #[test]
    fn refused_segments_are_sent_one_by_one() {
        check(&[Ok(3)], Ok(3), &[1], true);
        for none in [Errno::INVAL, Errno::MSGSIZE, Errno::IO, Errno::OPNOTSUPP, Errno::NOPROTOOPT] {
            check(&[Err(none), Ok(3)], Ok(3), &[1, 3], false);
            check(&[Err(none), Err(none)], Err(none), &[1, 3], false);
        }
        // The peer's network is the reason: segments go on.
        check(&[Err(Errno::NETUNREACH), Ok(3)], Ok(3), &[1, 3], true);
        check(&[Err(Errno::PERM), Err(Errno::PERM)], Err(Errno::PERM), &[1, 3], true);
        // The call is worth nothing at the moment.
        for full in [Errno::AGAIN, Errno::INTR, Errno::NOBUFS, Errno::NOMEM, Errno::CONNREFUSED] {
            check(&[Err(full)], Err(full), &[1], true);
        }
    }

    #[test]
    fn a_datagram_alone_is_sent_once() {
        let mut outbox = Outbox::default();
        assert!(outbox.push(To(([127, 0, 0, 1], 9).into()), b"abc"));
        let mut sender = UdpSender::new(true);
        let departing = Departing { outbox: &outbox, range: 0..1, six: true, is_connected: false };
        let sent = sender.send_by(&departing, |_, mut parcels| {
            assert_eq!(parcels.next().map(|parcel| parcel.peer), Some("[::ffff:127.0.0.1]:9".parse().unwrap()));
            Err(Errno::INVAL.into())
        });
        assert!(sent.is_err() && sender.sends_segments());
    }
}
