//! What both drivers have: sockets, the queue of datagrams to send, clocks.

use super::clocks::Clocks;
use super::kernel;
use super::port::{Frames, Port, PortCounts, Queue};
use crate::shard::io::{Datagram, Outcome};
use crate::shard::reload::Sockets;
use fsu_net::bind::Bound;
use fsu_net::message::mapped;
use fsu_net::outbox::Outbox;
use fsu_net::sender::{Departing, UdpSender, is_full};
use fsu_net::sys::prefetch;
use rustix::io::Errno;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// A shard's own sockets, by number, and what sends by them.
pub(crate) struct Base {
    /// `None` where a reload removed the FSU.
    sockets: Vec<Option<Bound>>,
    /// By socket: whether it is an IPv6 socket, which takes IPv4 addresses mapped.
    six: Vec<bool>,
    wake: Arc<OwnedFd>,
    pub(crate) outbox: Outbox<Datagram>,
    pub(crate) clocks: Clocks,
    /// Connections are being closed with requests unread.
    pub(crate) is_ending: bool,
    /// A queue of a network device, which the datagrams of some sockets come and go by.
    pub(crate) port: Option<Box<Port>>,
    sender: UdpSender,
}

/// The sockets of a driver.
pub(crate) trait DriverIo: Sockets {
    /// What is common to all drivers.
    fn base(&mut self) -> &mut Base;
    /// Takes over a socket, and returns its place. Nothing is received from it before [`crate::shard::io::Io::set_accepting`] says so.
    fn stage(&mut self, socket: Bound) -> io::Result<u32>;
}

/// A descriptor that wakes a shard when it is written to.
pub(crate) fn wake_up() -> io::Result<Arc<OwnedFd>> {
    Ok(Arc::new(kernel::eventfd()?))
}

impl Base {
    /// These sockets; `wake` is written to when a command comes. `gso`: see [`super::handle::Tuning`].
    pub(crate) fn new(sockets: Vec<Bound>, wake: Arc<OwnedFd>, gso: bool) -> Self {
        Self {
            six: sockets.iter().map(is_six).collect(),
            sockets: sockets.into_iter().map(Some).collect(),
            wake,
            outbox: Outbox::default(),
            clocks: Clocks::new(),
            is_ending: false,
            port: None,
            sender: UdpSender::new(gso),
        }
    }

    /// An FSU's socket.
    #[inline]
    pub(crate) fn socket(&self, index: u32) -> Option<&Bound> {
        self.sockets.get(index as usize)?.as_ref()
    }

    /// Prefetches the entry of a socket that is needed soon.
    #[inline]
    pub(crate) fn prefetch(&self, index: u32) {
        prefetch(self.sockets.as_ptr().wrapping_add(index as usize), 1);
    }

    /// Puts a socket at a place; the table grows if needed.
    pub(crate) fn put(&mut self, index: u32, socket: Bound) {
        let place = index as usize;
        if self.sockets.len() <= place {
            self.sockets.resize_with(place + 1, || None);
            self.six.resize(place + 1, false);
        }
        self.six[place] = is_six(&socket);
        self.sockets[place] = Some(socket);
    }

    /// Takes a socket out.
    pub(crate) fn take(&mut self, index: u32) -> Option<Bound> {
        if let Some(port) = &mut self.port {
            port.close(index);
        }
        self.sockets.get_mut(index as usize)?.take()
    }

    /// The first free place that `suits`; past the last one if there is none.
    pub(crate) fn vacant(&self, suits: impl Fn(u32) -> bool) -> u32 {
        let free = (0..).zip(&self.sockets).find(|&(index, socket)| socket.is_none() && suits(index));
        free.map_or(self.sockets.len() as u32, |(index, _)| index)
    }

    /// Datagrams to a socket come by the device's queue from now on, if its address is one of the device's.
    pub(crate) fn open_port(&mut self, index: u32) {
        if let Self { port: Some(port), sockets, .. } = self
            && let Some(Some(socket)) = sockets.get(index as usize)
        {
            port.open(&[(index, socket)]);
        }
    }

    /// What was counted of the queue so far.
    pub(crate) fn port_counts(&self) -> Option<PortCounts> {
        self.port.as_deref().map(Port::counts)
    }

    /// The same for all sockets, and what the queue receives.
    pub(crate) fn plug(&mut self, queue: Queue) -> Frames {
        let (mut port, frames) = Port::new(queue);
        let all: Vec<(u32, &Bound)> = self.sockets().collect();
        port.open(&all);
        self.port = Some(Box::new(port));
        frames
    }

    /// All of them, with their numbers.
    pub(crate) fn sockets(&self) -> impl Iterator<Item = (u32, &Bound)> {
        (0..).zip(&self.sockets).filter_map(|(index, socket)| Some((index, socket.as_ref()?)))
    }

    /// Readable when a command has come.
    pub(crate) fn wake(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// Makes it unreadable until the next command.
    pub(crate) fn clear_wake(&self) {
        kernel::clear_eventfd(self.wake.as_fd());
    }

    /// Datagrams that a socket has dropped because it was full, wrapping around.
    pub(crate) fn lost(&self, index: u32) -> Option<u32> {
        match self.socket(index)? {
            Bound::Udp(socket) => kernel::lost(socket.as_fd()),
            Bound::Tcp(_) => None,
        }
    }

    /// Sends datagrams from `at` on with one call; returns how many it decided on, and their outcome.
    pub(crate) fn send(&mut self, outbox: &Outbox<Datagram>, at: usize) -> (usize, Outcome) {
        if let Some(decided) = self.port.as_deref_mut().and_then(|port| port.send(outbox, at)) {
            return decided;
        }
        let Some((first, bytes)) = outbox.get(at) else { return (1, Outcome::Failed(0)) };
        // What follows a datagram that has to leave by the kernel may leave as a frame.
        let is_alone = self.port.as_ref().is_some_and(|port| port.reaches(first.socket));
        let run = if is_alone { 1 } else { outbox.run(at) };
        let Some(Some(Bound::Udp(socket))) = self.sockets.get(first.socket as usize) else {
            return (run, Outcome::Failed(Errno::BADF.raw_os_error()));
        };
        let six = self.six[first.socket as usize];
        let peer = if six { mapped(first.peer) } else { first.peer };
        if run == 1 && first.local.is_any() {
            return (1, send_routed(socket.as_fd(), bytes, &peer));
        }
        let departing = Departing { outbox, range: at..at + run, six };
        let sent =
            self.sender.send_by(&departing, |headers, parcels| kernel::send_parcels(headers, socket.as_fd(), parcels));
        if let Some(error) = self.sender.take_refusal() {
            log::info!("the kernel does not take several datagrams as one ({error}): they are sent one by one");
        }
        if let Err(error) = &sent
            && !first.local.is_any()
            && is_no_address(error)
        {
            return (1, send_routed(socket.as_fd(), bytes, &peer));
        }
        match sent {
            Ok(count) => (count, Outcome::Sent),
            // No room concerns the whole batch; any other error only the first datagram.
            Err(error) => match refused(&error) {
                Outcome::Full => (run, Outcome::Full),
                outcome => (1, outcome),
            },
        }
    }
}

/// Sends one datagram; routing chooses its source address.
#[inline]
fn send_routed(socket: BorrowedFd<'_>, bytes: &[u8], peer: &SocketAddr) -> Outcome {
    kernel::send_to(socket, bytes, peer).map_or_else(|errno| refused(&errno.into()), |_| Outcome::Sent)
}

/// Whether it was bound to an address of IPv6.
fn is_six(socket: &Bound) -> bool {
    socket.local_addr().is_ok_and(|address| address.is_ipv6())
}

/// A descriptor of a socket, of either kind.
pub(crate) fn descriptor(socket: &Bound) -> BorrowedFd<'_> {
    match socket {
        Bound::Udp(socket) => socket.as_fd(),
        Bound::Tcp(listener) => listener.as_fd(),
    }
}

/// Why a datagram was not taken.
fn refused(error: &io::Error) -> Outcome {
    if is_full(error) { Outcome::Full } else { Outcome::Failed(error.raw_os_error().unwrap_or(0)) }
}

/// Whether this machine does not have the source address of a datagram, or no longer. For IPv4 Linux reports an unreachable network, for
/// IPv6 an invalid address or a missing interface.
fn is_no_address(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(errno, Some(Errno::NETUNREACH | Errno::INVAL | Errno::NODEV | Errno::ADDRNOTAVAIL))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::io::Datagram;
    use fsu_core::about::About;
    use fsu_core::sink::Outgoing;
    use fsu_net::bind::bind_udp;
    use fsu_net::local::Local;
    use std::net::UdpSocket;

    /// Equal datagrams from an address that this machine does not have, and how they arrive.
    fn check(host: &str, peer: &str, gone: &str) {
        let (Ok(ours), Ok(theirs)) = (bind_udp(host.parse().unwrap()), UdpSocket::bind(peer)) else { return };
        let mut base = Base::new(vec![Bound::Udp(ours)], wake_up().unwrap(), true);
        let datagram = Datagram {
            socket: 0,
            peer: theirs.local_addr().unwrap(),
            local: Local::new(gone.parse().unwrap(), 0),
            what: Outgoing::Reply,
            tries: 0,
            due_ns: 0,
            about: About::UNKNOWN,
        };
        let mut outbox = Outbox::default();
        (0..3).for_each(|_| assert!(outbox.push(datagram, b"abc")));
        for at in 0..3 {
            assert_eq!(base.send(&outbox, at), (1, Outcome::Sent), "{host} {gone}");
            let mut bytes = [0; 8];
            assert_eq!(theirs.recv(&mut bytes).unwrap(), 3);
        }
        assert!(base.sender.sends_segments(), "segments are not at fault");
    }

    #[test]
    fn h05_from_an_address_that_is_gone_datagrams_leave_as_routed() {
        check("0.0.0.0:0", "127.0.0.1:0", "192.0.2.77");
        check("[::]:0", "127.0.0.1:0", "192.0.2.77");
        check("[::]:0", "[::1]:0", "2001:db8::77");
        check("[::]:0", "[::1]:0", "fe80::77");
    }
}
