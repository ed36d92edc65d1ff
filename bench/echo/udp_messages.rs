//! What it costs to send the same bytes: a loop of `sendmmsg` over as many sockets as there are FSUs, which does nothing else.
//!
//! `udp_messages PORT SOCKETS HEX SECONDS`; sends to a port of this machine, and prints datagrams sent for each second of processor
//! time. With one socket a call takes 64 datagrams, with more each is due by itself, as messages of different FSUs are.

#![allow(unsafe_code, reason = "sendmmsg")]

use socket2::SockAddr;
use std::io;
use std::mem;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::ptr;
use std::time::{Duration, Instant};

const BATCH: usize = 64;

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [port, sockets, hex, seconds] = args.as_slice() else {
        return Err(io::Error::other("arguments: PORT SOCKETS HEX SECONDS"));
    };
    let wrong = |_| io::Error::other("no number");
    let (port, sockets): (u16, usize) = (port.parse().map_err(wrong)?, sockets.parse().map_err(wrong)?);
    let seconds = seconds.parse().map_err(|_| io::Error::other("no number"))?;
    let mut bytes = hex::decode(hex).map_err(io::Error::other)?;
    let all: Vec<UdpSocket> = (0..sockets).map(|_| UdpSocket::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    let to = SockAddr::from(SocketAddr::from(([127, 0, 0, 1], port)));
    let mut iov = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    // SAFETY: integers and pointers, for all of which zero is a value.
    let mut headers: [libc::mmsghdr; BATCH] = unsafe { mem::zeroed() };
    for header in &mut headers {
        header.msg_hdr.msg_name = to.as_ptr().cast_mut().cast();
        header.msg_hdr.msg_namelen = to.len();
        header.msg_hdr.msg_iov = ptr::from_mut(&mut iov);
        header.msg_hdr.msg_iovlen = 1;
    }
    let each = if sockets == 1 { BATCH } else { 1 };
    let (begun, before) = (Instant::now(), rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime));
    let (end, mut sent) = (Duration::from_secs_f64(seconds), 0_u64);
    while begun.elapsed() < end {
        for socket in &all {
            // SAFETY: as many headers, each with a name, an iovec and bytes that outlive the call; the kernel only reads them.
            let took = unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), each as u32, 0) };
            sent += u64::try_from(took).unwrap_or(0);
        }
    }
    let after = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let busy_s = (after.tv_sec - before.tv_sec) as f64 + (after.tv_nsec - before.tv_nsec) as f64 / 1e9;
    println!("{:.0}", sent as f64 / busy_s);
    Ok(())
}
