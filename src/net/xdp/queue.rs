//! The AF_XDP socket of one queue. [`Receiving`] and [`Sending`] share its memory; each has its own frames.

#![allow(unsafe_code)]

use super::device::Device;
use super::ring::{self, FRAME_STRIDE, Frames, Kind, Ring};
use rustix::net::sockopt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// Number of frames for receiving, and the same number for sending. 8 MiB in total.
pub const FRAMES: u32 = 2_048;
/// Frames that one look takes at most.
pub const FRAMES_A_LOOK: u32 = 128;
/// Frames to queue before waking the kernel: what one call sends by default.
const FRAMES_A_WAKE: u32 = 32;
/// The same where the kernel sends [`SEND_BUDGET_ASKED`] per call. A virtual device holds 256 frames, and drops more.
const FRAMES_A_LONG_WAKE: u32 = 64;
/// Requested number of frames that the kernel sends per call ([`SEND_BUDGET`]).
const SEND_BUDGET_ASKED: u32 = 256;
/// The option `XDP_MAX_TX_SKB_BUDGET` (Linux 6.17).
const SEND_BUDGET: i32 = 9;
/// Requested send buffer, for frames that the kernel has copied but not sent yet.
const SEND_BUFFER_BYTES: usize = 8 << 20;

/// The kernel's counters for a queue's socket, since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Received frames dropped for a reason not listed below.
    pub dropped: u64,
    /// Received frames dropped because the receive ring was full.
    pub ring_full: u64,
    /// Times that the fill ring was empty.
    pub fill_empty: u64,
    /// Invalid fill or send descriptors, which the kernel rejected.
    pub invalid: u64,
}

/// The socket and its frames.
#[derive(Debug)]
struct Shared {
    socket: OwnedFd,
    frames: Frames,
}

/// The receiving end.
#[derive(Debug)]
pub struct Receiving {
    shared: Arc<Shared>,
    fill: Ring<u64>,
    ring: Ring<libc::xdp_desc>,
    /// How many ready frames the last look found.
    seen: u32,
}

/// The sending end.
#[derive(Debug)]
pub struct Sending {
    shared: Arc<Shared>,
    ring: Ring<libc::xdp_desc>,
    completed: Ring<u64>,
    /// Frames that the kernel does not own.
    free: Vec<u64>,
    /// Frames written but not published.
    written: u32,
    /// How many are written before the kernel is woken.
    frames_a_wake: u32,
}

/// Opens the socket of a queue. It receives nothing until a program redirects frames to it.
///
/// # Errors
/// The step that failed, and why: EPERM without CAP_NET_RAW, EBUSY if another socket has the queue, EINVAL if there is no such queue,
/// ENOBUFS if the locked-memory limit is too low.
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
    // Ignore failure: a kernel that grants less, or lacks the option, works too.
    let has_budget = ring::set(made.as_fd(), SEND_BUDGET, &SEND_BUDGET_ASKED).is_ok();
    let frames_a_wake = if has_budget { FRAMES_A_LONG_WAKE } else { FRAMES_A_WAKE };
    let _ = sockopt::set_socket_send_buffer_size_force(&made, SEND_BUFFER_BYTES)
        .or_else(|_| sockopt::set_socket_send_buffer_size(&made, SEND_BUFFER_BYTES));
    ring::bind(made.as_fd(), device.index, queue).map_err(|error| ("binding it to the queue", error))?;
    let shared = Arc::new(Shared { socket: made, frames });
    let free = (FRAMES..2 * FRAMES).map(place).collect();
    let sending = Sending { shared: Arc::clone(&shared), ring: sent, completed, free, written: 0, frames_a_wake };
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

    /// Whether the driver transmits from this memory without copying.
    pub fn is_zero_copy(&self) -> bool {
        const ZERO_COPY: u32 = 1;
        ring::get(self.socket(), libc::XDP_OPTIONS, 0_u32).is_ok_and(|options| options & ZERO_COPY != 0)
    }

    /// How many frames are ready, at most [`FRAMES_A_LOOK`].
    #[inline]
    pub fn look(&mut self) -> u32 {
        self.seen = self.ring.ready().min(FRAMES_A_LOOK);
        self.seen
    }

    /// A frame that the last look found.
    #[inline]
    pub fn frame(&self, number: u32) -> Option<&[u8]> {
        if number >= self.seen {
            return None;
        }
        let entry = self.ring.peek(number);
        // SAFETY: the frame is in the receive ring, so the kernel does not own it until `done` returns it, and `done` takes `self`
        // exclusively. The sending end uses other frames.
        unsafe { self.shared.frames.get(entry.addr, entry.len as usize) }
    }

    /// Returns the first `count` frames of the last look to the kernel.
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

    /// Wakes the driver if it stopped because it had no frames to receive into.
    #[inline]
    pub fn wake_if_needed(&self) {
        if self.fill.needs_wake() {
            // Nothing is read; the call itself wakes the driver.
            let mut none = [rustix::event::PollFd::from_borrowed_fd(self.socket(), rustix::event::PollFlags::IN)];
            let _ = rustix::event::poll(&mut none, Some(&rustix::event::Timespec::default()));
        }
    }

    /// The kernel's counters.
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

    /// The kernel's counters.
    pub fn statistics(&self) -> Option<Statistics> {
        self.shared.statistics()
    }

    /// Writes a frame with `write`, which returns its length, and queues it. `Some(false)`: no frame is free now, and nothing was written.
    /// `None`: there is nothing to send.
    #[inline]
    pub fn send(&mut self, write: impl FnOnce(&mut [u8]) -> Option<usize>) -> Option<bool> {
        if self.written >= self.frames_a_wake {
            self.flush();
        }
        if self.free.is_empty() || self.ring.room() <= self.written {
            self.flush();
        }
        let Some(&at) = self.free.last().filter(|_| self.ring.room() > self.written) else { return Some(false) };
        // SAFETY: a free frame is in no ring and the kernel does not own it, and `self` is borrowed exclusively. The receiving end uses
        // other frames.
        let bytes = unsafe { self.shared.frames.get_mut(at) }?;
        let len = write(bytes)?.min(FRAME_STRIDE);
        self.free.pop();
        self.ring.write(self.written, libc::xdp_desc { addr: at, len: len as u32, options: 0 });
        self.written += 1;
        Some(true)
    }

    /// Hands queued frames to the kernel and reclaims those that it has sent.
    #[inline]
    pub fn flush(&mut self) {
        self.ring.publish(std::mem::take(&mut self.written));
        self.wake();
        let count = self.completed.ready();
        self.free.extend((0..count).map(|number| self.completed.peek(number)));
        self.completed.consume(count);
    }

    /// Whether published frames need another [`Sending::flush`].
    #[inline]
    pub fn is_waiting(&self) -> bool {
        self.ring.waiting() > 0 && self.ring.needs_wake()
    }

    /// Whether all frames have been sent.
    pub fn is_idle(&self) -> bool {
        self.written == 0 && self.free.len() == FRAMES as usize
    }

    /// One call sends only part of the ring; repeat it while it makes progress.
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
