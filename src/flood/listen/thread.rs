//! A thread of a centre: what comes, and what leaves later.

use super::Options;
use super::ask::{Asking, Step, Way};
use super::centre::Centre;
use super::datagrams::Datagrams;
use super::streams::{Streams, watch_listener};
use crate::clock::{Clock, timespec};
use crate::engine::worker::Worker;
use crate::engine::{Ended, Start};
use crate::hear::count::Count;
use crate::hear::desk::{Desk, Path};
use crate::workload::options::Options as Load;
use rustix::event::epoll::{self, EventData, EventFlags};
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How often figures are shown, lines written and connections swept.
const TICK_NS: u64 = 100_000_000;
/// Events taken from the system at once.
const EVENTS: usize = 256;
/// Requests sent before others are looked at again.
const ASKED_A_TURN: usize = 1024;
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
    pub open: AtomicUsize,
    /// Threads that still ask.
    pub busy: AtomicUsize,
    /// Connections that were not asked, because nothing told whose they are.
    pub untold: AtomicU64,
}

/// What a thread listens on.
#[derive(Debug)]
pub struct Sockets {
    /// Shared by all threads.
    pub listeners: Vec<TcpListener>,
    /// Of this thread alone, each with the number of its address.
    pub datagrams: Vec<(usize, UdpSocket)>,
}

impl Sockets {
    /// The sockets for datagrams: the number here, the number of the address, and the address.
    fn numbered(&self) -> io::Result<Vec<(u32, usize, SocketAddr)>> {
        let all = self.datagrams.iter().zip(0..);
        all.map(|((number, socket), here)| Ok((here, *number, socket.local_addr()?))).collect()
    }
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
    let clock = Clock(start);
    let centre = Centre { desk: Desk::new(&options.hearing, number, clock), asking: None };
    Room::new(options, centre, sockets, shared)?.run(number).map(|centre| centre.desk.count)
}

/// Listens, and asks those who are there, until all that is to be asked was asked and is answered or lost.
///
/// # Errors
/// What waiting meets.
pub fn ask(
    (options, load): (&Options, &Load),
    sockets: Sockets,
    shared: &Shared,
    start: Start<'_>,
) -> io::Result<Ended> {
    let worker = Worker::new(load, start.number, start.live);
    let made = options.asked.as_ref().map(|asked| Box::new(Asking::new(load, asked, worker)));
    // Every thread comes to the gate.
    let clock = start.gate.open();
    let Some(mut asking) = made else { return Err(io::ErrorKind::InvalidInput.into()) };
    asking.worker.clock = clock;
    asking.begin(&sockets.numbered()?, options.addresses.len());
    let desk = Desk::new(&options.hearing, start.number, clock);
    let room = Room::new(options, Centre { desk, asking: Some(asking) }, sockets, shared)?;
    let Centre { desk, asking } = room.run(start.number)?;
    let Some(mut asking) = asking else { return Err(io::ErrorKind::InvalidInput.into()) };
    shared.untold.fetch_add(asking.untold, Ordering::Relaxed);
    let targets = asking.close();
    Ok((asking.worker.close(start.cpu, 0, &targets), Some(desk.count)))
}

/// All that a thread has.
struct Room<'a> {
    centre: Centre<'a>,
    streams: Streams<'a>,
    datagrams: Datagrams,
    epoll: Arc<OwnedFd>,
    shared: &'a Shared,
    /// This thread is done with asking.
    has_asked: bool,
}

impl<'a> Room<'a> {
    fn new(options: &'a Options, centre: Centre<'a>, sockets: Sockets, shared: &'a Shared) -> io::Result<Self> {
        let epoll = Arc::new(epoll::create(epoll::CreateFlags::CLOEXEC)?);
        for (at, listener) in sockets.listeners.iter().enumerate() {
            watch_listener(&epoll, at, listener)?;
        }
        for (at, (_, socket)) in sockets.datagrams.iter().enumerate() {
            epoll::add(&epoll, socket, EventData::new_u64(DATAGRAMS | at as u64), EventFlags::IN)?;
        }
        let streams = Streams::new(options, sockets.listeners, Arc::clone(&epoll));
        let datagrams = sockets.datagrams.into_iter().map(|(_, socket)| socket).collect();
        let datagrams = Datagrams::new(options, datagrams);
        Ok(Self { centre, streams, datagrams, epoll, shared, has_asked: false })
    }

    fn run(mut self, number: usize) -> io::Result<Centre<'a>> {
        let clock = self.centre.desk.clock();
        let (mut events, mut next_tick_ns) = (Vec::with_capacity(EVENTS), 0);
        loop {
            let now_ns = clock.now_ns();
            self.centre.now_ns = now_ns;
            while let Some(pending) = self.centre.later.pop(now_ns) {
                match pending.path {
                    Path::Stream(..) => self.streams.send_later(&mut self.centre, pending),
                    Path::Datagram(..) => self.datagrams.send_later(&mut self.centre, &pending),
                }
            }
            if now_ns >= self.streams.next_reset_ns() {
                self.streams.reset(&mut self.centre, self.shared);
            }
            let next_ask_ns = self.ask(now_ns)?;
            if now_ns >= next_tick_ns {
                next_tick_ns = now_ns + TICK_NS;
                self.streams.sweep(&mut self.centre, self.shared);
                self.streams.accept_again()?;
                self.centre.write_lines();
                show(&mut self.centre, self.shared, number);
                if self.shared.stop.load(Ordering::Relaxed) {
                    break;
                }
            }
            if self.has_asked && self.shared.busy.load(Ordering::Relaxed) == 0 {
                break;
            }
            let later_ns = self.centre.later.next_ns().unwrap_or(u64::MAX);
            let until_ns = later_ns.min(next_tick_ns).min(next_ask_ns).min(self.streams.next_reset_ns());
            wait(&self.epoll, &mut events, until_ns.saturating_sub(clock.now_ns()))?;
            self.centre.now_ns = clock.now_ns();
            for event in &events {
                let (data, flags) = (event.data.u64(), event.flags);
                let at = (data & 0xFFFF_FFFF) as u32;
                match data & !0xFFFF_FFFF {
                    LISTENER => self.streams.accept(&mut self.centre, at as usize, self.shared)?,
                    DATAGRAMS => self.datagrams.receive(&mut self.centre, at as usize)?,
                    _ => self.streams.on_event(&mut self.centre, at, flags, self.shared)?,
                }
            }
        }
        self.datagrams.close(&mut self.centre);
        self.streams.close(&mut self.centre, self.shared);
        self.centre.write_lines();
        show(&mut self.centre, self.shared, number);
        Ok(self.centre)
    }

    /// Sends the requests that are due. Returns when to look again at the latest.
    fn ask(&mut self, now_ns: u64) -> io::Result<u64> {
        let Some(asking) = &mut self.centre.asking else { return Ok(u64::MAX) };
        if asking.worker.tick(now_ns) {
            asking.sweep(now_ns);
        }
        let mut next_ns = None;
        for _ in 0..ASKED_A_TURN {
            let Some(asking) = &mut self.centre.asking else { break };
            match asking.next(now_ns) {
                Step::Ask(seat, Way::Stream(at), planned) => {
                    self.streams.ask(&mut self.centre, (seat, at, planned))?;
                }
                Step::Ask(seat, Way::Datagram(socket, to), planned) => {
                    self.datagrams.ask(&mut self.centre, (seat, planned), (socket, to));
                }
                Step::At(at) => {
                    next_ns = Some(at);
                    break;
                }
                Step::Later => {
                    next_ns = Some(u64::MAX);
                    break;
                }
            }
        }
        let Some(asking) = &mut self.centre.asking else { return Ok(u64::MAX) };
        if !self.has_asked && asking.worker.is_done() {
            self.has_asked = true;
            self.shared.busy.fetch_sub(1, Ordering::Relaxed);
        }
        let at_most = asking.worker.wait(now_ns, Some(next_ns.unwrap_or(now_ns)));
        Ok(now_ns + at_most.as_nanos() as u64)
    }
}

fn wait(epoll: &Arc<OwnedFd>, events: &mut Vec<epoll::Event>, at_most_ns: u64) -> io::Result<()> {
    events.clear();
    let at_most = timespec(Duration::from_nanos(at_most_ns));
    match epoll::wait(epoll.as_fd(), rustix::buffer::spare_capacity(events), Some(&at_most)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn show(desk: &mut Centre<'_>, shared: &Shared, number: usize) {
    let total = desk.count.total();
    if let Some(asking) = &mut desk.asking {
        asking.worker.book.heard = [total.received, total.acked];
    }
    let Some(Ok(mut glance)) = shared.glances.get(number).map(Mutex::lock) else { return };
    let count = &desk.count;
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
