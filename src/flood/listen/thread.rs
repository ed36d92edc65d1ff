//! A thread of a centre: what comes, and what leaves later.

use super::Options;
use super::datagrams::Datagrams;
use super::streams::Streams;
use crate::clock::{Clock, timespec};
use crate::hear::count::Count;
use crate::hear::desk::{Desk, Path};
use rustix::event::epoll::{self, EventData, EventFlags};
use std::io;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How often figures are shown, lines written and connections swept.
const TICK_NS: u64 = 100_000_000;
/// Events taken from the system at once.
const EVENTS: usize = 256;
/// What a thread shows while it runs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Glance {
    /// Messages.
    pub messages: u64,
    /// Acknowledgements.
    pub acked: u64,
    /// Wrong frames.
    pub wrong: u64,
    /// Heartbeats.
    pub heartbeats: u64,
    /// FSUs that sent heartbeats.
    pub fsus: u64,
    /// What is no good frame.
    pub bad: u64,
    /// Connections.
    pub open: u64,
}

/// What all threads share.
#[derive(Debug)]
pub struct Shared {
    /// The end.
    pub stop: AtomicBool,
    /// By thread.
    pub glances: Vec<Mutex<Glance>>,
    /// Connections of all threads.
    pub open: std::sync::atomic::AtomicUsize,
}

/// What a thread listens on.
#[derive(Debug)]
pub struct Sockets {
    /// Shared by all threads.
    pub listeners: Vec<TcpListener>,
    /// Of this thread alone.
    pub datagrams: Vec<UdpSocket>,
}

/// What epoll reports: the kind in the upper half, a number in the lower.
pub(super) const LISTENER: u64 = 1 << 32;
pub(super) const DATAGRAMS: u64 = 2 << 32;
pub(super) const STREAM: u64 = 3 << 32;

/// Listens until the end. Returns what was counted.
///
/// # Errors
/// What waiting meets.
pub fn listen(
    options: &Options,
    number: usize,
    sockets: Sockets,
    shared: &Shared,
    start: Instant,
) -> io::Result<Count> {
    let epoll = Arc::new(epoll::create(epoll::CreateFlags::CLOEXEC)?);
    for (at, listener) in sockets.listeners.iter().enumerate() {
        // Only one thread wakes for a new connection.
        let flags = EventFlags::IN | EventFlags::EXCLUSIVE;
        epoll::add(&epoll, listener, EventData::new_u64(LISTENER | at as u64), flags)?;
    }
    for (at, socket) in sockets.datagrams.iter().enumerate() {
        epoll::add(&epoll, socket, EventData::new_u64(DATAGRAMS | at as u64), EventFlags::IN)?;
    }
    let clock = Clock(start);
    let mut desk = Desk::new(&options.hearing, number, clock);
    let mut streams = Streams::new(options, sockets.listeners, Arc::clone(&epoll));
    let mut datagrams = Datagrams::new(options, sockets.datagrams);
    let (mut events, mut next_tick_ns) = (Vec::with_capacity(EVENTS), 0);
    loop {
        desk.now_ns = clock.now_ns();
        while let Some(pending) = desk.later.pop(desk.now_ns) {
            match pending.path {
                Path::Stream(..) => streams.send_later(&mut desk, &pending),
                Path::Datagram(..) => datagrams.send_later(&mut desk, &pending),
            }
        }
        if desk.now_ns >= next_tick_ns {
            next_tick_ns = desk.now_ns + TICK_NS;
            streams.sweep(&mut desk, shared);
            desk.write_lines();
            show(&desk, shared, number);
            if shared.stop.load(Ordering::Relaxed) {
                break;
            }
        }
        let until_ns = desk.later.next_ns().map_or(next_tick_ns, |next| next.min(next_tick_ns));
        wait(&epoll, &mut events, until_ns.saturating_sub(clock.now_ns()))?;
        desk.now_ns = clock.now_ns();
        for event in &events {
            let (data, flags) = (event.data.u64(), event.flags);
            let at = (data & 0xFFFF_FFFF) as u32;
            match data & !0xFFFF_FFFF {
                LISTENER => streams.accept(&mut desk, at as usize, shared)?,
                DATAGRAMS => datagrams.receive(&mut desk, at as usize)?,
                _ => streams.on_event(&mut desk, at, flags, shared)?,
            }
        }
    }
    datagrams.close(&mut desk);
    streams.close(&mut desk, shared);
    desk.write_lines();
    show(&desk, shared, number);
    Ok(desk.count)
}

fn wait(epoll: &Arc<OwnedFd>, events: &mut Vec<epoll::Event>, at_most_ns: u64) -> io::Result<()> {
    events.clear();
    let at_most = timespec(Duration::from_nanos(at_most_ns));
    match epoll::wait(epoll.as_fd(), rustix::buffer::spare_capacity(events), Some(&at_most)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn show(desk: &Desk<'_>, shared: &Shared, number: usize) {
    let Some(Ok(mut glance)) = shared.glances.get(number).map(Mutex::lock) else { return };
    let (count, total) = (&desk.count, desk.count.total());
    *glance = Glance {
        messages: total.received,
        acked: total.acked,
        wrong: count.wrong_by.values().sum(),
        heartbeats: count.heard.heartbeats,
        fsus: count.heard.by_fsu.len() as u64,
        bad: count.heard.bad,
        open: count.open,
    };
}
