//! The floor: one thread sends to itself and receives, without waiting, waking or another processor. No server that
//! receives and sends with the same calls can be faster.
//!
//! `udp_floor ADDR FIRST_PORT COUNT SECONDS`; prints how many datagrams a second were sent and received.

#![allow(unsafe_code, reason = "recvmmsg and sendmmsg")]

#[path = "shared/batch.rs"]
mod batch;
#[path = "shared/sockets.rs"]
mod sockets;

use batch::{BATCH, Batch};
use socket2::{SockAddr, Type};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// The length of a request in its outer frame.
const DATAGRAM_BYTES: usize = 74;

fn main() -> io::Result<()> {
    let (addresses, rest) = sockets::arguments()?;
    let seconds: f64 = rest.first().and_then(|text| text.parse().ok()).unwrap_or(1.0);
    let all = sockets::bind(&addresses, Type::DGRAM)?;
    sockets::ready(all.len())?;
    let mut batch = Batch::new();
    let end = Duration::from_secs_f64(seconds);
    let begun = Instant::now();
    let mut received = 0_u64;
    let mut next = 0;
    while begun.elapsed() < end {
        let (socket, address) = (&all[next], addresses[next]);
        batch.fill(&[0x55; DATAGRAM_BYTES], name(address));
        let mut sent = batch.send(socket.as_raw_fd(), BATCH)?;
        while sent > 0 {
            let count = batch.receive(socket.as_raw_fd())?;
            received += count as u64;
            sent -= count.min(sent);
        }
        next = (next + 1) % all.len();
    }
    println!("{:.0}", received as f64 / begun.elapsed().as_secs_f64());
    Ok(())
}

fn name(address: SocketAddr) -> libc::sockaddr_in {
    let address = SockAddr::from(address);
    // SAFETY: the addresses that were typed in are IPv4, so what is pointed to is a sockaddr_in.
    unsafe { address.as_ptr().cast::<libc::sockaddr_in>().read() }
}
