//! What a simulated kernel does with memory that the drivers gave it: it fills receive buffers.

use super::super::{BATCH, DATAGRAM_BYTES_MAX, Receiver, STRIDE};
use super::{Buffers, Filled, Memory, OUT_BYTES, Pool};
use crate::message::{CONTROL_BYTES, NAME_BYTES};
use io_uring::types::BufRingEntry;
use std::ptr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, Ordering};

/// A datagram, or several that came as one, as a receive gives it: the sender's address and control messages as the kernel writes
/// them, and the bytes.
#[derive(Debug, Default)]
pub struct Told {
    /// As in `msg_name`.
    pub name: Vec<u8>,
    /// As in `msg_control`.
    pub control: Vec<u8>,
    /// The datagrams.
    pub bytes: Vec<u8>,
}

impl Told {
    /// The same in one piece, as a ring tells it (`io_uring_recvmsg_out`).
    pub fn joined(&self) -> Vec<u8> {
        let mut all = Vec::with_capacity(OUT_BYTES + NAME_BYTES + CONTROL_BYTES + self.bytes.len());
        for len in [self.name.len(), self.control.len(), self.bytes.len(), 0] {
            all.extend_from_slice(&(len as u32).to_ne_bytes());
        }
        all.extend_from_slice(&self.name);
        all.resize(OUT_BYTES + NAME_BYTES, 0);
        all.extend_from_slice(&self.control);
        all.resize(OUT_BYTES + NAME_BYTES + CONTROL_BYTES, 0);
        all.extend_from_slice(&self.bytes);
        all
    }
}

impl Receiver {
    /// As if these had been received.
    ///
    /// # Panics
    ///
    /// If there are more, or longer ones, than a receive takes.
    pub fn fill(&mut self, all: &[Told]) {
        assert!(all.len() <= BATCH, "more than was asked for");
        for (at, told) in all.iter().enumerate() {
            assert!(told.bytes.len() <= DATAGRAM_BYTES_MAX);
            self.buffers[at * STRIDE..][..told.bytes.len()].copy_from_slice(&told.bytes);
            self.names[at][..told.name.len()].copy_from_slice(&told.name);
            self.controls[at][..told.control.len()].copy_from_slice(&told.control);
            self.headers[at].msg_len = told.bytes.len() as u32;
            self.headers[at].msg_hdr.msg_controllen = told.control.len() as _;
        }
        self.received = all.len();
    }
}

/// The kernel's end of a [`Pool`].
#[derive(Debug)]
pub struct Provided {
    memory: Rc<Memory>,
    head: u16,
}

/// Pools with this many buffers for datagrams and for bytes of connections, each with the kernel's end.
///
/// # Panics
///
/// If there is no memory.
#[expect(clippy::expect_used, reason = "for tests alone")]
pub fn pools(datagrams: u16, bytes: u16) -> [(Pool, Provided); 2] {
    [(datagrams, Buffers::Datagrams), (bytes, Buffers::Bytes)].map(|(count, kind)| {
        let memory = Rc::new(Memory::new(count, kind).expect("memory"));
        (Pool::new(&memory), Provided { memory, head: 0 })
    })
}

impl Provided {
    /// How many buffers were given to the kernel so far, wrapping around.
    pub fn given(&self) -> u16 {
        // SAFETY: the tail is a u16 within the memory, aligned, and written by the pool of the same thread.
        unsafe { AtomicU16::from_ptr(BufRingEntry::tail(self.memory.entry(0)).cast_mut()) }.load(Ordering::Acquire)
    }

    /// The kernel has none.
    pub fn is_empty(&self) -> bool {
        self.head == self.given()
    }

    /// Fills the next buffer; `None`: there is none. Bytes that find no room are cut off.
    pub fn fill(&mut self, bytes: &[u8]) -> Option<Filled> {
        if self.is_empty() {
            return None;
        }
        // SAFETY: the entry is within the memory, and was written before the tail was moved past it.
        let id = unsafe { (*self.memory.entry(self.head)).bid() };
        self.head = self.head.wrapping_add(1);
        let len = bytes.len().min(self.memory.kind.size().0);
        // SAFETY: the buffer is the kernel's, which this stands for: nobody has a reference to it. `len` is within it.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.memory.buffer(id), len) };
        Some(Filled { id, len })
    }
}
