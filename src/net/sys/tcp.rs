//! Connections: their options, and how one is opened.

use super::turn_on;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};

/// Asked for each connection, for replies that the peer has not acknowledged. The kernel gives twice that, for its own overhead; by default
/// it gives up to `net.ipv4.tcp_wmem`, 4 MiB. Kernel memory, taken only while there are any.
pub const SEND_BUFFER_BYTES: usize = 64 << 10;
/// The same for its requests that are not read yet, which is also what the peer may send before it is read; up to `net.ipv4.tcp_rmem`,
/// 6 MiB, else.
pub const STREAM_RECEIVE_BUFFER_BYTES: usize = 128 << 10;

/// Begins to open a connection, from that address if one is given: non-blocking, with the options of an accepted one. It is writable once
/// that has succeeded or failed (`SO_ERROR`).
///
/// # Errors
/// It cannot even begin.
pub(crate) fn dial(to: SocketAddr, from: Option<IpAddr>) -> io::Result<OwnedFd> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    let _ = socket.set_send_buffer_size(SEND_BUFFER_BYTES);
    let _ = socket.set_recv_buffer_size(STREAM_RECEIVE_BUFFER_BYTES);
    if let Some(ip) = from {
        // The port is chosen with `to` in mind: each source address has all ports for each centre.
        let _ = turn_on(socket.as_fd(), libc::SOL_IP, libc::IP_BIND_ADDRESS_NO_PORT);
        socket.bind(&SocketAddr::new(ip, 0).into())?;
    }
    match socket.connect(&to.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        _ => Ok(socket.into()),
    }
}
