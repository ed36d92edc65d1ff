//! Sends every datagram back: level-triggered epoll, several datagrams a call where a socket is hot. Does no work.
//!
//! `udp_epoll ADDR FIRST_PORT COUNT`, until it is killed.

#![allow(unsafe_code, reason = "recvmmsg and sendmmsg")]

#[path = "shared/batch.rs"]
mod batch;
#[path = "shared/sockets.rs"]
mod sockets;

use batch::{Batch, DATAGRAM_BYTES_MAX};
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use socket2::{Socket, Type};
use std::io;
use std::os::fd::AsRawFd;

const EVENTS: usize = 128;
/// After a batch receive that returned one datagram, a socket is read singly this many times.
const COLD_EVENTS: u8 = 7;

fn main() -> io::Result<()> {
    let (addresses, _) = sockets::arguments()?;
    let all = sockets::bind(&addresses, Type::DGRAM)?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    for (index, socket) in all.iter().enumerate() {
        epoll::add(&epoll, socket, EventData::new_u64(index as u64), EventFlags::IN)?;
    }
    sockets::ready(all.len())?;
    let mut cold = vec![0; all.len()];
    let mut batch = Batch::new();
    let mut buffer = [0; DATAGRAM_BYTES_MAX];
    let mut events = [Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; EVENTS];
    loop {
        let count = match epoll::wait(&epoll, &mut events[..], None) {
            Err(Errno::INTR) => continue,
            count => count?,
        };
        for event in &events[..count] {
            let index = event.data.u64() as usize;
            let (socket, cold) = (&all[index], &mut cold[index]);
            if *cold > 0 {
                *cold -= 1;
                one(socket, &mut buffer);
            } else if several(socket, &mut batch) < 2 {
                *cold = COLD_EVENTS;
            }
        }
    }
}

/// Errors are those of a peer that has gone, or of nothing there: the next event tells.
fn one(socket: &Socket, buffer: &mut [u8]) {
    if let Ok((_, count, Some(peer))) = rustix::net::recvfrom(socket, &mut *buffer, RecvFlags::DONTWAIT) {
        let _ = rustix::net::sendto(socket, &buffer[..count], SendFlags::DONTWAIT, &peer);
    }
}

/// How many there were.
fn several(socket: &Socket, batch: &mut Batch) -> usize {
    let count = batch.receive(socket.as_raw_fd()).unwrap_or(0);
    if count > 0 {
        let _ = batch.send(socket.as_raw_fd(), count);
    }
    count
}
