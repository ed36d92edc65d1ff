//! Datagram sockets: their options, and a second one at the address of the first.

use super::{set_fragments, turn_on};
use crate::message::REPLY_CLASS;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;

/// Asked for each UDP socket; the kernel gives up to `net.core.rmem_max`. Its default loses datagrams from 256
/// outstanding requests on; this holds 2,048. Kernel memory, taken only while datagrams wait.
pub const RECEIVE_BUFFER_BYTES: usize = 4 << 20;
/// The options of each, where the kernel has them.
pub(crate) fn set_options(socket: &Socket, address: SocketAddr) {
    // The kernel may give less without an error; a socket with the default works, too.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
    // The next datagram reports lost ones, and bursts of one peer come as one. A kernel without these options works, too.
    let _ = turn_on(socket.as_fd(), libc::SOL_SOCKET, libc::SO_RXQ_OVFL);
    let _ = turn_on(socket.as_fd(), libc::SOL_SOCKET, libc::SO_TIMESTAMPNS);
    let _ = turn_on(socket.as_fd(), libc::SOL_UDP, libc::UDP_GRO);
    // Whoever sends lets it fragment once a datagram does not fit (`set_fragments`).
    let _ = set_fragments(socket.as_fd(), address.is_ipv6(), false);
    if address.ip().is_unspecified() {
        // Replies leave from the address that was asked at. One of IPv6 is asked over IPv4 as well. It fails on no Linux.
        if address.is_ipv6() {
            let _ = turn_on(socket.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO);
        }
        let _ = turn_on(socket.as_fd(), libc::IPPROTO_IP, libc::IP_PKTINFO);
    }
}

/// A second socket at the address of the first, connected to a peer: the kernel prefers it for what that peer sends, finds it sooner, and
/// looks up no way to the peer. It has the first one's options. Another program is refused that address before, during and after, as
/// `SO_REUSEADDR` is on only here and only meanwhile. Before it is connected it may get what others send.
///
/// # Errors
/// There is no descriptor left, or no way to the peer. Then everything is as before.
pub fn connect_udp(first: &UdpSocket, peer: SocketAddr) -> io::Result<UdpSocket> {
    let (address, own) = (first.local_addr()?, SockRef::from(first));
    let second = socket(address, Type::DGRAM, Protocol::UDP)?;
    set_options(&second, address);
    let is_marked = own.tos_v4().is_ok_and(|class| class == u32::from(REPLY_CLASS));
    if is_marked {
        mark(&second, address);
    }
    own.set_reuse_address(true)?;
    let connected = second
        .set_reuse_address(true)
        .and_then(|()| second.bind(&address.into()))
        .and_then(|()| second.connect(&peer.into()));
    let cleared = own.set_reuse_address(false).and_then(|()| second.set_reuse_address(false));
    connected.and(cleared)?;
    Ok(second.into())
}

/// What it sends is known as a reply, and what it receives is told to be one or not.
pub(crate) fn mark(options: &Socket, address: SocketAddr) {
    // An IPv6 socket may have both kinds of traffic.
    let _ = options.set_tos_v4(REPLY_CLASS.into());
    let _ = options.set_recv_tos_v4(true);
    if address.is_ipv6() {
        let _ = options.set_tclass_v6(REPLY_CLASS.into());
        let _ = options.set_recv_tclass_v6(true);
    }
}

/// A non-blocking one, not bound yet.
pub(crate) fn socket(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        // [::] is every address of this machine, also the IPv4 ones, whatever net.ipv6.bindv6only says.
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}
