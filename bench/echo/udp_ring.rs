//! Sends every datagram back: io_uring itself, multishot receives into provided buffers, sends batched. Does no work.
//!
//! `udp_ring ADDR FIRST_PORT COUNT [tuned]`, until it is killed. Tuned: its sockets do not fragment, and each has a second one that is
//! connected to whoever asks.

#![allow(unsafe_code, reason = "what is submitted to a ring points to memory")]

#[path = "shared/buffers.rs"]
mod buffers;
#[path = "shared/sockets.rs"]
mod sockets;

use buffers::{Buffers, GROUP};
use io_uring::types::{Fixed, RecvMsgOut};
use io_uring::{IoUring, cqueue, opcode, squeue};
use socket2::{Socket, Type};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::{io, mem};

const ENTRIES: u32 = 1_024;
const COMPLETIONS: u32 = 16_384;
const BUFFERS: u16 = 2_048;
/// With 16 bytes of header and 16 of address; longer datagrams are dropped.
const BUFFER_BYTES: usize = 1_024;
/// Marks the completion of a send; below it is the number of its buffer.
const SEND: u64 = 1 << 32;

struct Echo {
    ring: IoUring,
    buffers: Buffers,
    /// What every receive asks for: an address, no control data.
    header: Box<libc::msghdr>,
    all: Vec<Socket>,
    /// Where it is tuned: by socket, who asked last, how often in a row, and the socket that is connected to it.
    peers: Vec<Peer>,
}

#[derive(Default)]
struct Peer {
    name: [u8; NAME_BYTES],
    count: u8,
    connected: Option<Socket>,
}

const NAME_BYTES: usize = size_of::<libc::sockaddr_in>();

fn main() -> io::Result<()> {
    let (addresses, rest) = sockets::arguments()?;
    let is_tuned = sockets::is_tuned(&rest);
    let all = sockets::bind(&addresses, Type::DGRAM)?;
    if is_tuned {
        all.iter().try_for_each(sockets::keep_whole)?;
    }
    let ring =
        IoUring::builder().setup_single_issuer().setup_defer_taskrun().setup_cqsize(COMPLETIONS).build(ENTRIES)?;
    let fds: Vec<RawFd> = all.iter().map(AsRawFd::as_raw_fd).collect();
    ring.submitter().register_files_sparse(2 * fds.len() as u32)?;
    ring.submitter().register_files_update(0, &fds)?;
    let buffers = Buffers::register(&ring, BUFFERS, BUFFER_BYTES)?;
    // SAFETY: integers and pointers, for all of which zero is a value.
    let mut header: Box<libc::msghdr> = Box::new(unsafe { mem::zeroed() });
    header.msg_namelen = size_of::<libc::sockaddr_in>() as u32;
    let count = all.len();
    let mut peers = Vec::new();
    if is_tuned {
        peers.resize_with(count, Peer::default);
    }
    let mut echo = Echo { ring, buffers, header, all, peers };
    for index in 0..count as u32 {
        echo.receive(index)?;
    }
    echo.ring.submit()?;
    sockets::ready(count)?;
    echo.run()
}

impl Echo {
    fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        // SAFETY: what entries point to (the header, the buffers) lives as long as the ring and is not written meanwhile.
        while unsafe { self.ring.submission().push(entry) }.is_err() {
            self.ring.submit()?;
        }
        Ok(())
    }

    /// Receives from a socket until the kernel says that it no longer does.
    fn receive(&mut self, index: u32) -> io::Result<()> {
        let entry = opcode::RecvMsgMulti::new(Fixed(index), &raw const *self.header, GROUP);
        self.push(&entry.build().user_data(u64::from(index)))
    }

    fn run(mut self) -> io::Result<()> {
        let mut done = Vec::with_capacity(COMPLETIONS as usize);
        loop {
            match self.ring.submit_and_wait(1) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                waited => waited?,
            };
            done.extend(self.ring.completion());
            for entry in done.drain(..) {
                self.on_completion(&entry)?;
            }
            self.buffers.publish();
        }
    }

    fn on_completion(&mut self, entry: &cqueue::Entry) -> io::Result<()> {
        if entry.user_data() >= SEND {
            self.buffers.give_back(entry.user_data() as u16);
            return Ok(());
        }
        let index = entry.user_data() as u32;
        if let Some(buffer) = cqueue::buffer_select(entry.flags()) {
            self.send_back(index, buffer)?;
        }
        // Buffers ran out, or a peer has gone.
        if !cqueue::more(entry.flags()) {
            self.buffers.publish();
            self.receive(index)?;
        }
        Ok(())
    }

    /// The address and the bytes stay in the buffer until the send is done.
    fn send_back(&mut self, index: u32, buffer: u16) -> io::Result<()> {
        let received = RecvMsgOut::parse(self.buffers.get(buffer), &self.header);
        let Some(received) = received.ok().filter(|received| !received.is_payload_truncated()) else {
            self.buffers.give_back(buffer);
            return Ok(());
        };
        let (name, bytes) = (received.name_data(), received.payload_data());
        let (at, len) = (bytes.as_ptr(), bytes.len() as u32);
        let (to, to_len) = (name.as_ptr().cast(), name.len() as u32);
        let first = index % self.all.len() as u32;
        let name = name.try_into().unwrap_or_default();
        let connected = self.connected(first, name)?;
        let entry = match connected {
            Some(second) => opcode::Send::new(Fixed(second), at, len),
            None => opcode::Send::new(Fixed(first), at, len).dest_addr(to).dest_addr_len(to_len),
        };
        let entry = entry.build().user_data(SEND | u64::from(buffer));
        self.push(&entry)
    }

    /// The place of the socket that is connected to whoever asked, if there is one; it is made when somebody has asked often enough.
    fn connected(&mut self, index: u32, name: [u8; NAME_BYTES]) -> io::Result<Option<u32>> {
        let second = index + self.all.len() as u32;
        let Some(peer) = self.peers.get_mut(index as usize) else { return Ok(None) };
        if peer.connected.is_some() {
            return Ok((peer.name == name).then_some(second));
        }
        if peer.name != name {
            (peer.name, peer.count) = (name, 0);
        }
        peer.count += 1;
        if peer.count == sockets::CONNECT_AFTER {
            let port = u16::from_be_bytes([name[2], name[3]]);
            let address = SocketAddr::from(([name[4], name[5], name[6], name[7]], port));
            let socket = sockets::connect(&self.all[index as usize], address)?;
            self.ring.submitter().register_files_update(second, &[socket.as_raw_fd()])?;
            peer.connected = Some(socket);
            self.receive(second)?;
        }
        Ok(None)
    }
}
