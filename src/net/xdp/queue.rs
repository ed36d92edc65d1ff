//! An AF_XDP socket of one queue of a device: [`Receiving`] and [`Sending`] share its memory, each with frames of its own.

#![allow(unsafe_code)]

use super::device::Device;
use super::ring::{self, FRAME_STRIDE, Frames, Kind, Ring};
use rustix::net::sockopt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// Frames to receive into, and as many to send from. 8 MiB in all.
pub const FRAMES: u32 = 2_048;
/// Frames taken with one look.
pub const FRAMES_A_LOOK: u32 = 128;
/// Frames queued before the kernel is woken to send them: what it sends with one call without [`FRAMES_A_WAKE_ASKED`].
const FRAMES_A_WAKE: u32 = 32;
/// Asked for, as what the kernel sends with one call ([`SEND_BUDGET`]).
const FRAMES_A_WAKE_ASKED: u32 = 256;
/// The option `XDP_MAX_TX_SKB_BUDGET` (Linux 6.17).
const SEND_BUDGET: i32 = 9;
/// Asked for frames that the kernel has copied and not sent yet.
const SEND_BUFFER_BYTES: usize = 8 << 20;

/// What the kernel counts of a queue's socket, from its beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Frames dropped on receiving, for another reason than those below.
    pub dropped: u64,
    /// Frames dropped because the ring of received frames was full.
    pub ring_full: u64,
    /// Times that there was no frame to receive into.
    pub fill_empty: u64,
    /// Descriptors to receive into, or to send, that the kernel refused.
    pub invalid: u64,
}

/// The socket and its frames.
#[derive(Debug)]
struct Shared {
    socket: OwnedFd,
    frames: Frames,
}

/// The end that receives.
#[derive(Debug)]
pub struct Receiving {
    shared: Arc<Shared>,
    fill: Ring<u64>,
    ring: Ring<libc::xdp_desc>,
    /// How many of those that are ready were looked at.
    seen: u32,
}

/// The end that sends.
#[derive(Debug)]
pub struct Sending {
    shared: Arc<Shared>,
    ring: Ring<libc::xdp_desc>,
    completed: Ring<u64>,
    /// Frames that are not the kernel's.
    free: Vec<u64>,
    /// Frames written and not published.
    written: u32,
}

/// Opens the socket of a queue. It receives nothing before a program sends it frames.
///
/// # Errors
/// What was refused, and why: EPERM without CAP_NET_RAW, EBUSY where another socket has the queue, EINVAL where there is no such queue,
/// ENOBUFS where the limit of locked memory is too low.
pub fn open(device: &Device, queue: u32) -> Result<(Receiving, Sending), (&'static str, io::Error)> {
    let made = ring::socket().map_err(|error| ("an AF_XDP socket", error))?;
    let memory = |error| ("memory for its frames", error);
    let frames = Frames::new(2 * FRAMES as usize).map_err(memory)?;
    frames.register(made.as_fd()).map_err(memory)?;
    let rings = |error| ("its rings", error);
    let fill = Ring::new(made.as_fd(), Kind::Fill, FRAMES).map_err(rings)?;
    let completed = Ring::new(made.as_fd(), Kind::Completion, FRAMES).map_err(rings)?;
    let received = Ring::new(made.as_fd(), Kind::Receive, FRAMES).map_err(rings)?;
    let sent = Ring::new(made.as_fd(), Kind::Send, FRAMES).map_err(rings)?;
    for number in 0..FRAMES {
        fill.write(number, place(number));
    }
    fill.publish(FRAMES);
    // A kernel that gives less, or does not know it, works as well.
    let _ = ring::set(made.as_fd(), SEND_BUDGET, &FRAMES_A_WAKE_ASKED);
    let _ = sockopt::set_socket_send_buffer_size_force(&made, SEND_BUFFER_BYTES)
        .or_else(|_| sockopt::set_socket_send_buffer_size(&made, SEND_BUFFER_BYTES));
    ring::bind(made.as_fd(), device.index, queue).map_err(|error| ("binding it to the queue", error))?;
    let shared = Arc::new(Shared { socket: made, frames });
    let free = (FRAMES..2 * FRAMES).map(place).collect();
    let sending = Sending { shared: Arc::clone(&shared), ring: sent, completed, free, written: 0 };
    Ok((Receiving { shared, fill, ring: received, seen: 0 }, sending))
}

fn place(number: u32) -> u64 {
    u64::from(number) * FRAME_STRIDE as u64
}

impl Receiving {
    /// The socket: readable when frames have come.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.shared.socket.as_fd()
    }

    /// The driver takes frames from here and puts them on the wire without a copy.
    pub fn is_zero_copy(&self) -> bool {
        const ZERO_COPY: u32 = 1;
        ring::get(self.socket(), libc::XDP_OPTIONS, 0_u32).is_ok_and(|options| options & ZERO_COPY != 0)
    }

    /// How many frames are there, at most [`FRAMES_A_LOOK`].
    #[inline]
    pub fn look(&mut self) -> u32 {
        self.seen = self.ring.ready().min(FRAMES_A_LOOK);
        self.seen
    }

    /// One of those that the last look found.
    #[inline]
    pub fn frame(&self, number: u32) -> Option<&[u8]> {
        if number >= self.seen {
            return None;
        }
        let entry = self.ring.peek(number);
        // SAFETY: the frame is in the ring of received frames, so it is not the kernel's before `done` gives it back, which takes `self`
        // exclusively. Frames that are sent are others.
        unsafe { self.shared.frames.get(entry.addr, entry.len as usize) }
    }

    /// The first so many of those that the last look found are done with: the kernel may receive into them.
    #[inline]
    pub fn done(&mut self, count: u32) {
        let count = count.min(self.seen).min(self.fill.room());
        for number in 0..count {
            let at = self.ring.peek(number).addr;
            self.fill.write(number, at - at % FRAME_STRIDE as u64);
        }
        self.ring.consume(count);
        self.fill.publish(count);
        self.seen = 0;
    }

    /// The driver has stopped for want of frames to receive into: a system call makes it go on.
    #[inline]
    pub fn wake_if_needed(&self) {
        if self.fill.needs_wake() {
            // Nothing is read: the call alone wakes the driver.
            let mut none = [rustix::event::PollFd::from_borrowed_fd(self.socket(), rustix::event::PollFlags::IN)];
            let _ = rustix::event::poll(&mut none, Some(&rustix::event::Timespec::default()));
        }
    }

    /// What the kernel has counted.
    pub fn statistics(&self) -> Option<Statistics> {
        self.shared.statistics()
    }
}

impl Shared {
    fn statistics(&self) -> Option<Statistics> {
        let none = libc::xdp_statistics {
            rx_dropped: 0,
            rx_invalid_descs: 0,
            tx_invalid_descs: 0,
            rx_ring_full: 0,
            rx_fill_ring_empty_descs: 0,
            tx_ring_empty_descs: 0,
        };
        let all = ring::get(self.socket.as_fd(), libc::XDP_STATISTICS, none).ok()?;
        Some(Statistics {
            dropped: all.rx_dropped,
            ring_full: all.rx_ring_full,
            fill_empty: all.rx_fill_ring_empty_descs,
            invalid: all.rx_invalid_descs + all.tx_invalid_descs,
        })
    }
}

impl Sending {
    /// The socket: that of [`Receiving::socket`].
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.shared.socket.as_fd()
    }

    /// What the kernel has counted.
    pub fn statistics(&self) -> Option<Statistics> {
        self.shared.statistics()
    }

    /// Writes a frame with `write`, which returns its length, and queues it. `Some(false)`: no frame is free at the moment, and nothing was
    /// written; `None`: there is nothing to send after all.
    #[inline]
    pub fn send(&mut self, write: impl FnOnce(&mut [u8]) -> Option<usize>) -> Option<bool> {
        if self.written >= FRAMES_A_WAKE {
            self.flush();
        }
        if self.free.is_empty() || self.ring.room() <= self.written {
            self.flush();
        }
        let Some(&at) = self.free.last().filter(|_| self.ring.room() > self.written) else { return Some(false) };
        // SAFETY: a free frame is neither the kernel's nor in a ring, and `self` is borrowed exclusively. Frames that are received into are
        // others.
        let bytes = unsafe { self.shared.frames.get_mut(at) }?;
        let len = write(bytes)?.min(FRAME_STRIDE);
        self.free.pop();
        self.ring.write(self.written, libc::xdp_desc { addr: at, len: len as u32, options: 0 });
        self.written += 1;
        Some(true)
    }

    /// Hands queued frames to the kernel, and takes back those that it has sent.
    #[inline]
    pub fn flush(&mut self) {
        self.ring.publish(std::mem::take(&mut self.written));
        self.wake();
        let count = self.completed.ready();
        self.free.extend((0..count).map(|number| self.completed.peek(number)));
        self.completed.consume(count);
    }

    /// Frames that were handed to the kernel wait for another [`Sending::flush`].
    #[inline]
    pub fn is_waiting(&self) -> bool {
        self.ring.waiting() > 0 && self.ring.needs_wake()
    }

    /// All frames have left.
    pub fn is_idle(&self) -> bool {
        self.written == 0 && self.free.len() == FRAMES as usize
    }

    /// One call sends some of the ring; more calls while that makes a difference.
    fn wake(&self) {
        let mut waiting = self.ring.waiting();
        while waiting > 0 && self.ring.needs_wake() {
            let _ = ring::wake(self.shared.socket.as_fd());
            let left = self.ring.waiting();
            if left >= waiting {
                return;
            }
            waiting = left;
        }
    }
}
