//! Sends every datagram back: io_uring itself, multishot receives into provided buffers, sends batched. Does no work.
//!
//! `udp_ring ADDR FIRST_PORT COUNT`, until it is killed.

#![allow(unsafe_code, reason = "what is submitted to a ring points to memory")]

#[path = "shared/buffers.rs"]
mod buffers;
#[path = "shared/sockets.rs"]
mod sockets;

use buffers::{Buffers, GROUP};
use io_uring::types::{Fixed, RecvMsgOut};
use io_uring::{IoUring, cqueue, opcode, squeue};
use socket2::Type;
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
}

fn main() -> io::Result<()> {
    let (addresses, _) = sockets::arguments()?;
    let all = sockets::bind(&addresses, Type::DGRAM)?;
    let ring =
        IoUring::builder().setup_single_issuer().setup_defer_taskrun().setup_cqsize(COMPLETIONS).build(ENTRIES)?;
    let fds: Vec<RawFd> = all.iter().map(AsRawFd::as_raw_fd).collect();
    ring.submitter().register_files(&fds)?;
    let buffers = Buffers::register(&ring, BUFFERS, BUFFER_BYTES)?;
    // SAFETY: integers and pointers, for all of which zero is a value.
    let mut header: Box<libc::msghdr> = Box::new(unsafe { mem::zeroed() });
    header.msg_namelen = size_of::<libc::sockaddr_in>() as u32;
    let mut echo = Echo { ring, buffers, header };
    for index in 0..all.len() as u32 {
        echo.receive(index)?;
    }
    echo.ring.submit()?;
    sockets::ready(all.len())?;
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
        let entry = opcode::Send::new(Fixed(index), bytes.as_ptr(), bytes.len() as u32)
            .dest_addr(name.as_ptr().cast())
            .dest_addr_len(name.len() as u32)
            .build()
            .user_data(SEND | u64::from(buffer));
        self.push(&entry)
    }
}
