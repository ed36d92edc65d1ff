//! What the echo programs have in common: their arguments, and sockets that are set as the mock sets its own.

use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};

/// As the mock asks for; the kernel gives up to `net.core.rmem_max`.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;
const BACKLOG: i32 = 4_096;

/// Socket addresses from the command line: `ADDR PORT COUNT`, and the remaining arguments.
pub(crate) fn arguments() -> io::Result<(Vec<SocketAddr>, Vec<String>)> {
    let mut args = std::env::args().skip(1);
    let parsed = (|| {
        let addr: Ipv4Addr = args.next()?.parse().ok()?;
        let first: u16 = args.next()?.parse().ok()?;
        let count: u16 = args.next()?.parse().ok()?;
        let last = first.checked_add(count.checked_sub(1)?)?;
        Some((first..=last).map(|port| SocketAddr::from((addr, port))).collect())
    })();
    let addresses = parsed.ok_or_else(|| io::Error::other("arguments: ADDR FIRST_PORT COUNT"))?;
    Ok((addresses, args.collect()))
}

/// A bound, non-blocking socket for each address; listening, if for streams.
pub(crate) fn bind(addresses: &[SocketAddr], kind: Type) -> io::Result<Vec<Socket>> {
    let bind = |&address: &SocketAddr| {
        let protocol = if kind == Type::DGRAM { Protocol::UDP } else { Protocol::TCP };
        let socket = Socket::new(Domain::IPV4, kind, Some(protocol))?;
        socket.set_nonblocking(true)?;
        if kind == Type::DGRAM {
            // Less is given without an error.
            let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
        } else {
            socket.set_reuse_address(true)?;
        }
        socket.bind(&address.into())?;
        if kind == Type::STREAM {
            socket.listen(BACKLOG)?;
        }
        Ok(socket)
    };
    addresses.iter().map(bind).collect()
}

/// Says that all sockets are there, as the mock does.
pub(crate) fn ready(sockets: usize) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "ready: {sockets} sockets")?;
    out.flush()
}
