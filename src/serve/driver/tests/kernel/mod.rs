//! A kernel for the drivers on virtual time: sockets, epoll, io_uring, clocks, and the peers at the other end of the network.
//!
//! It replaces the system calls of the drivers ([`calls`]), for the thread on which it was installed. A descriptor that it
//! hands out is one end of a pipe: closing it is seen by the other end. Whatever a driver does costs virtual time, so that
//! what somebody waits for has a length; while a driver waits, time goes on to what happens next.
#![allow(clippy::pedantic, reason = "its calls have the shapes of the real ones")]

pub(in crate::driver) mod calls;
mod epoll;
pub(in crate::driver) mod net;
pub(in crate::driver) mod ring;
pub(in crate::driver) mod streams;
pub(in crate::driver) mod weather;

use crate::driver::command::ShardCommand;
use fastrand::Rng;
use flume::Sender;
use net::{Left, Udp};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::time::ClockId;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;
use streams::Stream;
use weather::Weather;

/// Where virtual time begins, on the monotonic clock and on the wall clock, in nanoseconds.
pub(crate) const START_NS: u64 = 1_000_000_000_000;
pub(crate) const START_UNIX_NS: i64 = 1_768_239_003_000_000_000;
/// What a system call costs, and what a driver does with a message and with a byte of a stream, in nanoseconds.
const CALL_NS: u64 = 1_000;
pub(crate) const MESSAGE_NS: u64 = 2_000;
const BYTE_NS: u64 = 4;
/// What it has done for each byte of the replies that it writes to one: half a microsecond for a short one.
const REPLY_BYTE_NS: u64 = 22;
const CLOCK_NS: u64 = 50;
/// What a driver does in one run: more is no progress.
const CALLS_MAX: u64 = 200_000;

thread_local! {
    static INSTALLED: RefCell<Option<Rc<RefCell<Kernel>>>> = const { RefCell::new(None) };
}

/// This thread's.
pub(crate) fn simulated() -> Option<Rc<RefCell<Kernel>>> {
    INSTALLED.with(|installed| installed.borrow().clone())
}

/// A kernel that is this thread's for as long as this lives.
pub(crate) struct Installed(pub(crate) Rc<RefCell<Kernel>>);

impl Installed {
    pub(crate) fn new(kernel: Kernel) -> Self {
        let kernel = Rc::new(RefCell::new(kernel));
        INSTALLED.with(|installed| *installed.borrow_mut() = Some(Rc::clone(&kernel)));
        Self(kernel)
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        INSTALLED.with(|installed| *installed.borrow_mut() = None);
    }
}

/// What happens by itself, at a moment.
pub(crate) enum Event {
    /// A datagram comes to a socket.
    Datagram(usize, SocketAddr, Vec<u8>),
    /// An error of a datagram socket.
    Failed(usize, Errno),
    /// A peer does something.
    Peer(usize, Act),
    /// The shard is told something.
    ShardCommand(ShardCommand),
    /// The wall clock is moved by this many nanoseconds.
    SetClock(i64),
}

/// What a peer does with its connection.
#[derive(Debug)]
pub(crate) enum Act {
    Connect,
    /// Answers a connection that the shard opens.
    Answer,
    Send(Vec<u8>),
    /// Sends the same again and again, as fast as the shard takes it.
    Pour(Rc<[u8]>),
    HalfClose,
    Reset,
    /// Takes what has come, as much as it likes.
    Read,
}

/// A descriptor that was handed out.
#[derive(Debug)]
struct File {
    /// The pipe's other end; `None`: the descriptor was closed.
    other: Option<OwnedFd>,
    /// Operations of the ring that go on with it.
    holds: usize,
    is_released: bool,
    what: What,
}

/// What a descriptor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Udp(usize),
    /// A second socket, connected to a peer.
    Centre(usize),
    Listener(usize),
    Stream(usize),
    Eventfd,
    Epoll,
}

/// The kernel.
pub(crate) struct Kernel {
    pub(crate) rng: Rng,
    pub(crate) weather: Weather,
    pub(crate) ns: u64,
    set_ns: i64,
    calls: u64,
    /// What the driver has in its hands and has not paid for with time yet.
    owed_ns: u64,
    events: BTreeMap<(u64, u64), Event>,
    planned: u64,
    files: Vec<File>,
    /// The open ones by their numbers.
    open: HashMap<i32, usize>,
    /// Times an eventfd was written to since it was cleared, by its file, and whether a ring has told that.
    signals: HashMap<usize, (u64, bool)>,
    epoll: Vec<epoll::Entry>,
    /// Events that the set has reported.
    pub(crate) told: u64,
    ring: ring::State,
    pub(crate) udp: Vec<Udp>,
    /// Connections that wait, by listener.
    backlogs: Vec<std::collections::VecDeque<usize>>,
    pub(crate) streams: Vec<Stream>,
    /// How likely a dial is refused, and what the peer of one that is not sends first.
    pub(crate) dials_refused: f64,
    pub(crate) greeting: Vec<u8>,
    /// Datagrams that left, in their order.
    pub(crate) left: Vec<Left>,
    wake: Option<(usize, Sender<ShardCommand>)>,
    /// When the shard was told to end, and when it had.
    pub(crate) told_ns: Option<u64>,
    pub(crate) ended_ns: u64,
    /// What went wrong, how often.
    pub(crate) troubles: BTreeMap<&'static str, u64>,
    /// The longest time between two looks at what there is.
    pub(crate) turn_ns_max: u64,
    looked_ns: u64,
}

impl Kernel {
    pub(crate) fn new(rng: Rng, weather: Weather) -> Self {
        Self {
            rng,
            weather,
            ns: START_NS,
            set_ns: 0,
            calls: 0,
            owed_ns: 0,
            events: BTreeMap::new(),
            planned: 0,
            files: Vec::new(),
            open: HashMap::new(),
            signals: HashMap::new(),
            epoll: Vec::new(),
            told: 0,
            ring: ring::State::default(),
            udp: Vec::new(),
            backlogs: Vec::new(),
            streams: Vec::new(),
            dials_refused: 0.0,
            greeting: Vec::new(),
            left: Vec::new(),
            wake: None,
            told_ns: None,
            ended_ns: 0,
            troubles: BTreeMap::new(),
            turn_ns_max: 0,
            looked_ns: START_NS,
        }
    }

    /// Something happens this many nanoseconds after the start.
    pub(crate) fn plan(&mut self, after_ns: u64, event: Event) {
        self.plan_at(START_NS + after_ns, event);
    }

    fn plan_at(&mut self, ns: u64, event: Event) {
        self.planned += 1;
        self.events.insert((ns, self.planned), event);
    }

    /// A descriptor for the shard.
    fn hand_out(&mut self, what: What) -> io::Result<OwnedFd> {
        let (other, ours) = rustix::pipe::pipe()?;
        // Before its number is that of another file.
        self.see_closed();
        self.open.insert(ours.as_raw_fd(), self.files.len());
        self.files.push(File { other: Some(other), holds: 0, is_released: false, what });
        Ok(ours)
    }

    fn file(&self, fd: impl AsFd) -> usize {
        *self.open.get(&calls::number(fd)).expect("a descriptor of the simulated kernel that is open")
    }

    fn what(&self, fd: impl AsFd) -> What {
        self.files[self.file(fd)].what
    }

    /// Finds descriptors that were closed.
    fn see_closed(&mut self) {
        let open: Vec<(i32, usize)> = self.open.iter().map(|(&fd, &file)| (fd, file)).collect();
        let mut ends: Vec<PollFd<'_>> = open
            .iter()
            .map(|&(_, file)| PollFd::new(self.files[file].other.as_ref().expect("open"), PollFlags::empty()))
            .collect();
        poll(&mut ends, Some(&Timespec::default())).expect("poll");
        let mut closed: Vec<(i32, usize)> =
            open.iter().zip(&ends).filter(|(_, end)| !end.revents().is_empty()).map(|(&file, _)| file).collect();
        // In an order that does not depend on numbers that this process gives.
        closed.sort_unstable_by_key(|&(_, file)| file);
        for (fd, file) in closed {
            self.open.remove(&fd);
            self.files[file].other = None;
            self.epoll.retain(|entry| entry.file != file);
            self.release(file);
        }
    }

    /// A file is no more once nothing refers to it.
    fn release(&mut self, file: usize) {
        let state = &mut self.files[file];
        if state.other.is_some() || state.holds > 0 || std::mem::replace(&mut state.is_released, true) {
            return;
        }
        match state.what {
            What::Stream(stream) => self.close_stream(stream),
            What::Listener(listener) => {
                for stream in std::mem::take(&mut self.backlogs[listener]) {
                    self.close_stream(stream);
                }
            }
            What::Centre(socket) => self.close_centre(socket),
            What::Udp(_) | What::Eventfd | What::Epoll => {}
        }
    }

    /// The shard has ended, and has left nothing open. Its peers take what is on its way to them.
    pub(crate) fn end(&mut self) {
        self.ended_ns = self.ns;
        self.see_closed();
        let open = self.files.iter().filter(|file| !file.is_released).map(|file| file.what);
        assert_eq!(open.collect::<Vec<_>>(), [], "it is left open");
        for stream in 0..self.streams.len() {
            while self.peer_reads(stream) {}
        }
    }

    /// A call of the driver, which costs some time.
    fn enter(&mut self, ns: u64) {
        self.calls += 1;
        assert!(self.calls < CALLS_MAX, "the driver goes round in circles, at {} us", (self.ns - START_NS) / 1_000);
        let worked_ns = self.ring.worked_ns() + std::mem::take(&mut self.owed_ns);
        self.go_to(self.ns + ns + worked_ns);
    }

    /// Time goes on; what happens meanwhile.
    fn go_to(&mut self, ns: u64) {
        while let Some(entry) = self.events.first_entry().filter(|entry| entry.key().0 <= ns) {
            let ((at_ns, _), event) = entry.remove_entry();
            self.ns = self.ns.max(at_ns);
            self.happen(event);
        }
        self.ns = self.ns.max(ns);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Datagram(socket, peer, bytes) => self.arrive(socket, peer, bytes),
            Event::Failed(socket, errno) => self.udp[socket].error = Some(errno),
            Event::Peer(stream, act) => self.act(stream, act),
            Event::SetClock(by_ns) => self.set_ns = by_ns,
            Event::ShardCommand(command) => {
                if matches!(command, ShardCommand::Drain | ShardCommand::Stop) {
                    self.told_ns.get_or_insert(self.ns);
                }
                let (file, commands) = self.wake.as_ref().expect("a shard");
                assert!(commands.try_send(command).is_ok(), "commands are not taken");
                let signal = self.signals.entry(*file).or_default();
                *signal = (signal.0 + 1, false);
            }
        }
    }

    /// The time until what happens next, at most `at_most`, passes. Whether it has brought something that happened.
    fn pass(&mut self, until_ns: u64) -> bool {
        let next = self.events.first_key_value().map(|(&(ns, _), _)| ns).filter(|&ns| ns < until_ns);
        let late_ns = if self.weather.late_wakeup_ns > 0 { self.rng.u64(..=self.weather.late_wakeup_ns) } else { 0 };
        self.go_to(next.unwrap_or(until_ns).max(self.ns) + late_ns);
        next.is_some()
    }

    /// The driver looks at what there is: how long it did not.
    fn look(&mut self) {
        self.turn_ns_max = self.turn_ns_max.max(self.ns - self.looked_ns);
    }

    /// It has it.
    fn looked(&mut self) {
        self.looked_ns = self.ns;
    }

    /// The descriptor that wakes the shard, and where its commands go.
    pub(crate) fn wakes(&mut self, wake: &OwnedFd, commands: Sender<ShardCommand>) {
        self.wake = Some((self.file(wake), commands));
    }

    pub(crate) fn unix_ns(&self) -> i64 {
        START_UNIX_NS + (self.ns - START_NS) as i64 + self.set_ns
    }

    /// Whether a trouble happens now, which is as likely as that.
    fn chance(&mut self, name: &'static str, of: f64) -> bool {
        let happens = of > 0.0 && self.rng.f64() < of;
        if happens {
            self.trouble(name);
        }
        happens
    }

    fn trouble(&mut self, name: &'static str) {
        *self.troubles.entry(name).or_default() += 1;
    }

    pub(crate) fn clock_ns(&mut self, clock: ClockId) -> i64 {
        self.enter(CLOCK_NS);
        if clock == ClockId::Realtime { self.unix_ns() } else { self.ns as i64 }
    }

    pub(crate) fn sleep(&mut self, time: Duration) {
        self.enter(CALL_NS + time.as_nanos() as u64);
    }

    pub(crate) fn eventfd(&mut self) -> io::Result<OwnedFd> {
        let fd = self.hand_out(What::Eventfd)?;
        self.signals.insert(self.file(&fd), (0, true));
        Ok(fd)
    }

    pub(crate) fn clear_eventfd(&mut self, fd: BorrowedFd<'_>) {
        self.enter(CALL_NS);
        let file = self.file(fd);
        self.signals.insert(file, (0, true));
    }
}
