//! What the echo programs have in common: their arguments, and sockets that are set as the mock sets its own.

use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;

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

/// Whether `tuned` stands behind the addresses: with what one socket option or one more socket saves.
#[allow(dead_code, reason = "datagrams alone")]
pub(crate) fn is_tuned(rest: &[String]) -> bool {
    rest.iter().any(|word| word == "tuned")
}

/// The kernel need not number the packets of a socket that does not fragment.
#[allow(dead_code, unsafe_code, reason = "datagrams alone; one socket option")]
pub(crate) fn keep_whole(socket: &Socket) -> io::Result<()> {
    let value: libc::c_int = libc::IP_PMTUDISC_DO;
    // SAFETY: the option's value is one `int`, which outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_MTU_DISCOVER,
            std::ptr::from_ref(&value).cast(),
            size_of_val(&value) as u32,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Datagrams of one peer in a row before a socket of its own is connected to it.
#[allow(dead_code, reason = "datagrams alone")]
pub(crate) const CONNECT_AFTER: u8 = 64;

/// A second socket at the same address, connected to a peer: the kernel prefers it for what that peer sends.
#[allow(dead_code, reason = "datagrams alone")]
pub(crate) fn connect(first: &Socket, peer: SocketAddr) -> io::Result<Socket> {
    let address = first.local_addr()?;
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
    keep_whole(&socket)?;
    first.set_reuse_address(true)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address)?;
    socket.connect(&peer.into())?;
    Ok(socket)
}

/// Says that all sockets are there, as the mock does.
pub(crate) fn ready(sockets: usize) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "ready: {sockets} sockets")?;
    out.flush()
}
