//! Sockets, bound before the shards start, so that an error can name the FSU and its address.

use super::message::REPLY_CLASS;
pub use super::sys::tcp::{SEND_BUFFER_BYTES, STREAM_RECEIVE_BUFFER_BYTES};
pub use super::sys::udp::{RECEIVE_BUFFER_BYTES, connect_udp};
use super::sys::udp::{mark, set_options, socket};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Connections that may wait to be accepted; the kernel gives up to `net.core.somaxconn`.
const BACKLOG: i32 = 4_096;

/// A socket of one FSU.
#[derive(Debug)]
pub enum Bound {
    /// Datagrams.
    Udp(UdpSocket),
    /// Connections.
    Tcp(TcpListener),
    /// Datagrams that another socket takes for this address ([`crate::xdp::lookup`]). It is boxed: a place of the drivers is a line of memory.
    Lent(Box<SocketAddr>),
    /// Nothing: an FSU that only opens connections. The address is what it was to be bound to, with port 0.
    Dials(Box<SocketAddr>),
}

impl Bound {
    /// Its descriptor alone; none of an address that has none.
    pub fn into_descriptor(self) -> Option<OwnedFd> {
        match self {
            Self::Udp(socket) => Some(socket.into()),
            Self::Tcp(listener) => Some(listener.into()),
            Self::Lent(_) | Self::Dials(_) => None,
        }
    }

    /// Its descriptor; none of an address that has none.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Udp(socket) => Some(socket.as_fd()),
            Self::Tcp(listener) => Some(listener.as_fd()),
            Self::Lent(_) | Self::Dials(_) => None,
        }
    }

    /// The address it is bound to, with the port that was chosen where 0 was asked for.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Udp(socket) => socket.local_addr(),
            Self::Tcp(listener) => listener.local_addr(),
            Self::Lent(address) | Self::Dials(address) => Ok(**address),
        }
    }

    /// What the kernel gave it for waiting datagrams. The kernel reports twice that; the other half is its own overhead (socket(7)).
    pub fn receive_buffer_bytes(&self) -> Option<usize> {
        match self {
            Self::Udp(socket) => Some(SockRef::from(socket).recv_buffer_size().ok()? / 2),
            Self::Tcp(_) | Self::Lent(_) | Self::Dials(_) => None,
        }
    }
}

/// A non-blocking datagram socket. A second one at the same address is an error, not half of the traffic.
pub fn bind_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = socket(address, Type::DGRAM, Protocol::UDP)?;
    set_options(&socket, address);
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// The same for frames that do not tell a request from a reply: what it sends is marked, and what comes marked is known
/// ([`REPLY_CLASS`]). A system without these serves as well.
pub fn bind_broadcast(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = bind_udp(address)?;
    mark(&SockRef::from(&socket), address);
    Ok(socket)
}

/// Whether a socket is one of [`bind_broadcast`].
pub fn is_broadcast(socket: &UdpSocket) -> bool {
    let options = SockRef::from(socket);
    options.tos_v4().is_ok_and(|class| class == u32::from(REPLY_CLASS))
}

/// A non-blocking listener. An address whose connections of an earlier run still linger can be had at once.
pub fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(address, Type::STREAM, Protocol::TCP)?;
    socket.set_reuse_address(true)?;
    // Connections inherit it. Else a reply waits for the acknowledgement of the one before it, up to 40 ms.
    socket.set_tcp_nodelay(true)?;
    // Connections inherit these, too. Set before `listen`, so that the peer learns the window; a socket with the default works, too.
    let _ = socket.set_send_buffer_size(SEND_BUFFER_BYTES);
    let _ = socket.set_recv_buffer_size(STREAM_RECEIVE_BUFFER_BYTES);
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Whether this machine has an address, so that it can be a source address.
///
/// # Errors
/// Why not.
pub fn try_source(ip: IpAddr) -> io::Result<()> {
    let address = SocketAddr::new(ip, 0);
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.bind(&address.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::mapped;
    use crate::sys::Receiver;
    use std::os::fd::AsFd;

    #[test]
    fn an_address_is_had_once() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let udp = bind_udp(any).unwrap();
        let tcp = bind_tcp(any).unwrap();
        let again = bind_udp(udp.local_addr().unwrap()).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AddrInUse);
        let again = bind_tcp(tcp.local_addr().unwrap()).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn h04_what_broadcast_sockets_send_each_other_is_known() {
        let mut receiver = Receiver::new();
        let mut check = |from: &str, to: &str, shown: &str| {
            let bound = |text: &str| bind_broadcast(text.parse().unwrap());
            // Where the machine has no IPv6 there is nothing to see.
            let (Ok(from), Ok(to)) = (bound(from), bound(to)) else { return };
            let mut at: SocketAddr = shown.parse().unwrap();
            at.set_port(to.local_addr().unwrap().port());
            let centre = bind_udp(SocketAddr::new(at.ip(), 0)).unwrap();
            for (sender, expected) in [(&from, true), (&centre, false)] {
                let sent_to = if sender.local_addr().unwrap().is_ipv6() { mapped(at) } else { at };
                sender.send_to(b"x", sent_to).unwrap();
                rustix::event::poll(&mut [rustix::event::PollFd::new(&to, rustix::event::PollFlags::IN)], None)
                    .unwrap();
                assert_eq!(receiver.receive(to.as_fd(), 1).unwrap(), 1);
                let control = receiver.get(0).unwrap().control;
                assert_eq!((control.is_reply, control.arrived_ns.is_some()), (expected, true), "{to:?}");
            }
        };
        check("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0");
        check("[::1]:0", "[::1]:0", "[::1]:0");
        check("[::]:0", "[::]:0", "[::1]:0");
        check("[::]:0", "[::]:0", "127.0.0.1:0");
        check("127.0.0.1:0", "[::]:0", "127.0.0.1:0");
        check("[::]:0", "127.0.0.1:0", "127.0.0.1:0");
    }

    #[test]
    fn replies_do_not_wait_for_acknowledgements() {
        let listener = bind_tcp(([127, 0, 0, 1], 0).into()).unwrap();
        let _peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        rustix::event::poll(&mut [rustix::event::PollFd::new(&listener, rustix::event::PollFlags::IN)], None).unwrap();
        assert!(listener.accept().unwrap().0.nodelay().unwrap());
    }

    /// A limit of the kernel's, by its name below /proc/sys.
    fn kernel_limit(name: &str) -> usize {
        std::fs::read_to_string(format!("/proc/sys/{name}")).unwrap().trim().parse().unwrap()
    }

    /// The kernel gives twice what is asked for, for its own overhead.
    #[test]
    fn limit_receive_buffer_bytes_as_far_as_the_kernel_lets_it() {
        let socket = bind_udp(([127, 0, 0, 1], 0).into()).unwrap();
        let expected = RECEIVE_BUFFER_BYTES.min(kernel_limit("net/core/rmem_max"));
        assert_eq!(SockRef::from(&socket).recv_buffer_size().unwrap(), 2 * expected);
    }

    /// Connections whose peers have closed them wait as well; the kernel takes one more than the limit.
    #[test]
    fn limit_backlog_of_a_listener() {
        const BEYOND: usize = 20;
        let listener = bind_tcp(([127, 0, 0, 1], 0).into()).unwrap();
        let at = listener.local_addr().unwrap().into();
        let expected = 1 + usize::try_from(BACKLOG).unwrap().min(kernel_limit("net/core/somaxconn"));
        let mut open = std::collections::VecDeque::new();
        for _ in 0..expected + BEYOND {
            let peer = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            peer.set_nonblocking(true).unwrap();
            let _ = peer.connect(&at);
            open.push_back(peer);
            // Those that are beyond have not got through, and are given up in the end.
            if open.len() > BEYOND {
                let done = open.pop_front().unwrap();
                let polled = rustix::event::PollFd::new(&done, rustix::event::PollFlags::OUT);
                rustix::event::poll(&mut [polled], None).unwrap();
            }
        }
        drop(open);
        let accepted = std::iter::from_fn(|| listener.accept().ok()).count();
        assert_eq!(accepted, expected);
    }

    #[test]
    fn limit_send_buffer_bytes_and_stream_receive_buffer_bytes() {
        let listener = bind_tcp(([127, 0, 0, 1], 0).into()).unwrap();
        let _peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        rustix::event::poll(&mut [rustix::event::PollFd::new(&listener, rustix::event::PollFlags::IN)], None).unwrap();
        let connection = listener.accept().unwrap().0;
        let socket = SockRef::from(&connection);
        assert_eq!(socket.send_buffer_size().unwrap(), 2 * SEND_BUFFER_BYTES);
        assert_eq!(socket.recv_buffer_size().unwrap(), 2 * STREAM_RECEIVE_BUFFER_BYTES);
    }

    #[test]
    fn n20_all_addresses_are_those_of_both_families() {
        // Where the machine has no IPv6 there is nothing to see.
        let Ok(udp) = bind_udp("[::]:0".parse().unwrap()) else { return };
        let tcp = bind_tcp("[::]:0".parse().unwrap()).unwrap();
        let port = udp.local_addr().unwrap().port();
        let again = bind_udp(([127, 0, 0, 1], port).into()).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AddrInUse);
        let port = tcp.local_addr().unwrap().port();
        std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        std::net::TcpStream::connect(("::1", port)).unwrap();
    }

    #[test]
    fn n20_one_address_of_ipv6_leaves_the_port_of_ipv4() {
        let Ok(six) = bind_udp("[::1]:0".parse().unwrap()) else { return };
        bind_udp(([127, 0, 0, 1], six.local_addr().unwrap().port()).into()).unwrap();
    }
}
