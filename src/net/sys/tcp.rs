//! Connections: their options, and how one is opened.

use super::ports::{OFFERS_MAX, Ports};
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
    dial_by(Ports::of_program(), to, from)
}

fn dial_by(ports: Option<&Ports>, to: SocketAddr, from: Option<IpAddr>) -> io::Result<OwnedFd> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    let _ = socket.set_send_buffer_size(SEND_BUFFER_BYTES);
    let _ = socket.set_recv_buffer_size(STREAM_RECEIVE_BUFFER_BYTES);
    if let Some(ip) = from {
        // The port is chosen with `to` in mind: each source address has all ports for each centre.
        let _ = turn_on(socket.as_fd(), libc::SOL_IP, libc::IP_BIND_ADDRESS_NO_PORT);
        socket.bind(&SocketAddr::new(ip, 0).into())?;
    }
    let begun = |error: &io::Error| error.raw_os_error() == Some(libc::EINPROGRESS);
    let mut offers = ports.into_iter().flat_map(|ports| std::iter::repeat_n(ports, OFFERS_MAX));
    loop {
        let is_offered = offers.next().is_some_and(|ports| ports.offer_to(socket.as_fd()));
        if !is_offered && ports.is_some() {
            Ports::offer_all(socket.as_fd());
        }
        match socket.connect(&to.into()) {
            Err(error) if is_offered && error.raw_os_error() == Some(libc::EADDRNOTAVAIL) => {}
            Err(error) if !begun(&error) => return Err(error),
            _ => return Ok(socket.into()),
        }
    }
}

#[cfg(all(test, feature = "simulated"))]
mod tests {
    use super::*;
    use crate::sys::narrow::narrow_network;
    use std::collections::BTreeSet;
    use std::net::TcpListener;

    /// Every port of the range is found, and that there is no more; in a network whose range is short.
    #[test]
    fn limit_offers_max_and_every_port_is_had() {
        let in_network_of_its_own = || {
            if narrow_network(65_535).is_err() {
                return;
            }
            std::fs::write("/proc/sys/net/ipv4/ip_local_port_range", "40000 40104").unwrap();
            let ports = Ports::new("40000 40104", 3);
            let listeners =
                [0, 1].map(|_| TcpListener::bind("127.0.0.1:39999").or(TcpListener::bind("127.0.0.1:39998")));
            let mut kept = Vec::new();
            for (listener, from) in listeners.iter().zip([None, Some([127, 0, 0, 9].into())]) {
                let to = listener.as_ref().unwrap().local_addr().unwrap();
                let mut had = BTreeSet::new();
                loop {
                    match dial_by(ports.as_ref(), to, from) {
                        Ok(fd) => {
                            let socket = Socket::from(fd);
                            had.insert(socket.local_addr().unwrap().as_socket().unwrap());
                            kept.push(socket);
                        }
                        Err(error) => break assert_eq!(error.raw_os_error(), Some(libc::EADDRNOTAVAIL)),
                    }
                }
                assert_eq!(had.len(), 105, "from {from:?}");
                assert!(
                    had.iter().all(|at| (40_000..=40_104).contains(&at.port()) && from.is_none_or(|ip| at.ip() == ip))
                );
            }
            assert_eq!(kept.len(), 210);
        };
        std::thread::spawn(in_network_of_its_own).join().unwrap();
    }
}
