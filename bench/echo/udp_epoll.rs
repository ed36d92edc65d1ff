//! Sends every datagram back: level-triggered epoll, several datagrams a call where a socket is hot. Does no work.
//!
//! `udp_epoll ADDR FIRST_PORT COUNT [tuned]`, until it is killed. Tuned: its sockets do not fragment, and each has a second one that is
//! connected to whoever asks.

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
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

const EVENTS: usize = 128;
/// After a batch receive that returned one datagram, a socket is read singly this many times.
const COLD_EVENTS: u8 = 7;

fn main() -> io::Result<()> {
    let (addresses, rest) = sockets::arguments()?;
    let all = sockets::bind(&addresses, Type::DGRAM)?;
    let mut peers = Vec::new();
    if sockets::is_tuned(&rest) {
        all.iter().try_for_each(sockets::keep_whole)?;
        peers.resize_with(all.len(), Peer::default);
    }
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    for (index, socket) in all.iter().enumerate() {
        epoll::add(&epoll, socket, EventData::new_u64(index as u64), EventFlags::IN)?;
    }
    sockets::ready(all.len())?;
    let mut cold = vec![0; 2 * all.len()];
    let count_bound = all.len();
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
            // Connected sockets are behind the others.
            let peer = peers.get_mut(index % count_bound);
            let cold = &mut cold[index];
            if index >= count_bound
                && let Some(Peer { connected: Some(socket), .. }) = &peer
            {
                connected(socket, &mut buffer);
                continue;
            }
            let from = if *cold > 0 {
                *cold -= 1;
                one(&all[index], &mut buffer)
            } else {
                let count = several(&all[index], &mut batch);
                if count < 2 {
                    *cold = COLD_EVENTS;
                }
                (count > 0).then(|| batch.peer())
            };
            let Some(peer) = peer.filter(|peer| peer.connected.is_none()) else { continue };
            if peer.asked(from) == sockets::CONNECT_AFTER
                && let Some(from) = from
            {
                let socket = sockets::connect(&all[index], from)?;
                epoll::add(&epoll, &socket, EventData::new_u64((count_bound + index) as u64), EventFlags::IN)?;
                peer.connected = Some(socket);
            }
        }
    }
}

/// Whoever asked a socket last, how often in a row, and the socket that is connected to it.
#[derive(Default)]
struct Peer {
    address: Option<SocketAddr>,
    count: u8,
    connected: Option<Socket>,
}

impl Peer {
    fn asked(&mut self, from: Option<SocketAddr>) -> u8 {
        if self.address != from {
            (self.address, self.count) = (from, 0);
        }
        self.count = self.count.saturating_add(1);
        self.count
    }
}

/// What the peer of a connected socket sends goes back without an address.
fn connected(socket: &Socket, buffer: &mut [u8]) {
    for _ in 0..batch::BATCH {
        let Ok((count, _)) = rustix::net::recv(socket, &mut *buffer, RecvFlags::DONTWAIT) else { return };
        let _ = rustix::net::send(socket, &buffer[..count], SendFlags::DONTWAIT);
    }
}

/// Errors are those of a peer that has gone, or of nothing there: the next event tells.
/// Whose it was.
fn one(socket: &Socket, buffer: &mut [u8]) -> Option<SocketAddr> {
    let (_, count, peer) = rustix::net::recvfrom(socket, &mut *buffer, RecvFlags::DONTWAIT).ok()?;
    let peer = peer?;
    let _ = rustix::net::sendto(socket, &buffer[..count], SendFlags::DONTWAIT, &peer);
    SocketAddr::try_from(peer).ok()
}

/// How many there were.
fn several(socket: &Socket, batch: &mut Batch) -> usize {
    let count = batch.receive(socket.as_raw_fd()).unwrap_or(0);
    if count > 0 {
        let _ = batch.send(socket.as_raw_fd(), count);
    }
    count
}
