//! What a driver does in a turn with [`Serve`], whichever way it gets its events.

use super::base::{Base, DriverIo, Fate, Which};
use super::clocks;
use super::command::ShardFigures;
use super::command::{Commands, ShardCommand};
use super::fair::{Line, Share, TURN_NS};
use super::gather::{Gather, is_few};
use super::kernel;
use super::mail;
use super::streams::is_peer_gone;
use crate::shard::clock::Clock;
use crate::shard::effort::{FRAME_EFFORT, QUANTUM};
use crate::shard::io::{Arrived, ConnId, Datagram, Subject};
use crate::shard::look::{Left, Looks};
use crate::shard::protocol::Protocol;
use crate::shard::recorder::Recorder;
use crate::shard::serve::Serve;
use fsu_core::state::Counters;
use fsu_net::local::Route;
use fsu_net::message::{Control, Received, canonical};
use fsu_net::sys::READ_BYTES;
use rustix::io::Errno;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// The longest wait.
const WAIT_NS_MAX: u64 = 10_000_000;
/// After traffic within this time, more is expected soon.
const TRAFFIC_MS: u64 = 5;
/// Turns of the timing wheel before the sockets are polled again.
const TICKS_MAX: usize = 8;
/// Within a turn the clocks are read again after this many messages, or this much effort: about every quarter of a millisecond.
const MESSAGES_A_CLOCK: usize = 64;
const EFFORT_A_CLOCK: usize = MESSAGES_A_CLOCK * 2 * FRAME_EFFORT;

/// What waits in line for a subject.
#[derive(Debug)]
pub(crate) enum Work<E> {
    /// Something that came and was not handled.
    Event(E),
    /// The rest of a read: the connection was interrupted between two requests.
    GoOn,
}

/// The state before a piece of work from the line was started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeldBegan {
    effort: u64,
    arrived_ns: i64,
}

/// A shard at work.
pub(crate) struct Turn<P, T> {
    pub(crate) serve: Serve<P, T>,
    pub(crate) now: Clock,
    commands: Commands,
    /// When commands were last looked for without a wake-up.
    asked_ms: u64,
    messages: usize,
    /// Messages so far.
    #[cfg(feature = "ab")]
    pub(crate) served: u64,
    /// The effort so far when the clocks were read.
    clocked: u64,
    /// The budget of this turn.
    pub(crate) share: Share,
    /// Upper bound for the arrival time of the events that it began with, wall clock in nanoseconds.
    opened_ns: i64,
    traffic_ms: u64,
    gather: Gather,
    is_stopped: bool,
    /// When the sockets were polled; kept while there are listeners.
    looks: Looks,
    has_streams: bool,
    /// By socket: how many datagrams it had lost when that was last counted.
    pub(crate) lost: Vec<u32>,
    /// Places of the sockets that wait for a reload.
    pub(crate) staged: Vec<u32>,
}

impl<P: Protocol, T: Recorder> Turn<P, T> {
    /// A shard with this many sockets, from `now` on.
    pub(crate) fn new(serve: Serve<P, T>, sockets: usize, commands: Commands, now: Clock, gather: Duration) -> Self {
        let (messages, traffic_ms, lost) = (0, now.mono_ms, vec![0; sockets]);
        let gather = Gather::new(gather, now.mono_ms);
        let (is_stopped, looks, has_streams) = (false, Looks::new(now.mono_ns), serve.has_streams());
        let (staged, share, clocked) = (Vec::new(), Share::new(TURN_NS), serve.effort.done());
        Self {
            serve,
            now,
            commands,
            asked_ms: 0,
            messages,
            #[cfg(feature = "ab")]
            served: 0,
            clocked,
            share,
            opened_ns: now.arrived_ns,
            traffic_ms,
            gather,
            is_stopped,
            looks,
            has_streams,
            lost,
            staged,
        }
    }

    /// Reads both clocks, and keeps the arrival time of the current event.
    fn read_clock(&mut self, io: &mut impl DriverIo) {
        let arrived_ns = self.now.arrived_ns;
        self.now = Clock { arrived_ns, ..io.base().clocks.now() };
        (self.messages, self.clocked) = (0, self.serve.effort.done());
    }

    /// Reads both clocks after a wait. `full`: see [`Turn::begin`].
    fn read_clock_after_wait(&mut self, io: &mut impl DriverIo, full: Option<usize>) {
        let now = io.base().clocks.now();
        self.now = if self.has_streams {
            let left = full.map_or(Left::Nothing, |least| Left::Some(self.serve.sources().div_ceil(least) as u32));
            now.with_arrival(self.looks.after(now.mono_ns, left))
        } else {
            now
        };
        (self.messages, self.clocked) = (0, self.serve.effort.done());
    }

    /// Before a wait: bounds it, so that the arrival time of what connections bring during it is known closely enough.
    #[inline]
    pub(crate) fn bounded(&mut self, wait: Duration) -> Duration {
        if !self.has_streams {
            return wait;
        }
        let now_ns = clocks::mono_ns();
        self.looks.before(now_ns, wait, self.serve.has_connections())
    }

    /// A reload has changed which FSUs there are.
    pub(crate) fn follow_streams(&mut self) {
        let has_streams = self.serve.has_streams();
        if has_streams && !self.has_streams {
            self.looks = Looks::new(self.now.mono_ns);
        }
        self.has_streams = has_streams;
    }

    /// Reads both clocks if something is due soon; otherwise the last reading is good until the wait ends.
    #[inline]
    pub(crate) fn read_clock_if_due(&mut self, io: &mut impl DriverIo) {
        let soon_ns = self.now.mono_ns + 2 * WAIT_NS_MAX;
        if self.serve.next_deadline().is_some_and(|next_ns| next_ns <= soon_ns) {
            self.now = io.base().clocks.now();
            (self.messages, self.clocked) = (0, self.serve.effort.done());
        }
    }

    /// Counts messages of this turn. After many it reads the clocks and does what is due: a turn may be long if many datagrams come as
    /// one.
    #[inline]
    pub(crate) fn worked(&mut self, messages: usize, io: &mut impl DriverIo) {
        self.messages += messages;
        #[cfg(feature = "ab")]
        {
            self.served += messages as u64;
        }
        self.gather.took(messages);
        if self.messages >= MESSAGES_A_CLOCK || self.serve.effort.since(self.clocked) >= EFFORT_A_CLOCK {
            self.read_clock(io);
            if self.serve.next_deadline().is_some_and(|next_ns| next_ns <= self.now.mono_ns) {
                self.serve.on_tick(self.now, io);
                self.flush(io);
            }
        }
    }

    /// Light work begins; `ready`: how many events the last wait brought.
    #[inline]
    pub(crate) fn open(&mut self, ready: usize) {
        self.opened_ns = self.now.arrived_ns;
        self.share.divide(ready, READ_BYTES);
        self.share.begin(self.now.mono_ns);
    }

    /// The same with events that the turn before did not handle.
    pub(crate) fn reopen(&mut self, ready: usize, io: &mut impl DriverIo) {
        self.read_clock(io);
        self.now.arrived_ns = self.opened_ns;
        self.open(ready);
    }

    /// The time is over: the rest waits for the next turn.
    #[inline]
    pub(crate) fn is_spent(&self) -> bool {
        self.share.is_spent(self.now.mono_ns)
    }

    /// Light work of one subject begins; for [`Turn::end_light`].
    #[inline]
    pub(crate) fn begin_light(&mut self) -> u64 {
        self.serve.effort.allow(self.share.light_effort);
        self.serve.effort.done()
    }

    /// It is done: its cost, if it was not light after all.
    #[inline]
    pub(crate) fn end_light(&self, began: u64) -> Option<usize> {
        let effort = self.serve.effort.since(began);
        (effort > self.share.light_effort).then_some(effort)
    }

    /// The line begins; interrupted connections join it. False: it is empty.
    pub(crate) fn open_line<E>(&mut self, line: &mut Line<Work<E>>, io: &mut impl DriverIo) -> bool {
        self.absorb(line);
        if line.len() == 0 {
            return false;
        }
        self.read_clock(io);
        self.share.begin(self.now.mono_ns);
        true
    }

    /// The next work in line, if there is time, and a token for [`Turn::end_held`].
    pub(crate) fn begin_held<W>(&mut self, line: &mut Line<W>) -> Option<(Subject, W, HeldBegan)> {
        if self.is_spent() {
            return None;
        }
        let (subject, held) = line.next()?;
        self.serve.effort.allow(QUANTUM);
        let arrived_ns = std::mem::replace(&mut self.now.arrived_ns, held.arrived_ns);
        Some((subject, held.what, HeldBegan { effort: self.serve.effort.done(), arrived_ns }))
    }

    /// It is done.
    pub(crate) fn end_held<E>(&mut self, subject: Subject, began: HeldBegan, line: &mut Line<Work<E>>) {
        line.done(subject, self.serve.effort.since(began.effort));
        self.absorb(line);
        self.now.arrived_ns = began.arrived_ns;
    }

    /// Interrupted connections join the line.
    fn absorb<E>(&mut self, line: &mut Line<Work<E>>) {
        let arrived_ns = self.now.arrived_ns;
        for id in self.serve.resting.drain(..) {
            line.push(Subject::Conn(id), Work::GoOn, arrived_ns);
        }
    }

    /// Whether there is more to do: then the next wait has no length.
    #[inline]
    pub(crate) fn is_busy<W>(&self, line: &Line<W>) -> bool {
        !line.is_idle() || !self.serve.resting.is_empty()
    }

    /// The sockets were polled again within a turn; `full`: see [`Turn::begin`].
    pub(crate) fn look_again(&mut self, io: &mut impl DriverIo, full: Option<usize>) {
        self.read_clock_after_wait(io, full);
        self.opened_ns = self.now.arrived_ns;
    }

    /// Appends an event to the work of a subject. `arrived_ns`: its arrival time, wall clock in nanoseconds.
    pub(crate) fn hold<E>(&mut self, line: &mut Line<Work<E>>, subject: Subject, event: E, arrived_ns: i64) {
        self.unwatched(subject);
        line.push(subject, Work::Event(event), arrived_ns);
    }

    /// This poll reported a subject that is read later. What arrives behind may not be reported before that.
    pub(crate) fn unwatched(&mut self, subject: Subject) {
        if let Subject::Conn(id) = subject
            && let Some(unread) = self.serve.unread(id)
        {
            self.looks.hold(unread);
        }
    }

    /// A wait brought events; none is handled yet. `full`: there may be more, and each wait takes at least this many. The clocks are read
    /// while the memory of the first events is prefetched.
    #[inline]
    pub(crate) fn begin(&mut self, io: &mut impl DriverIo, full: Option<usize>, at: impl Fn(usize) -> Option<Subject>) {
        let datagram = |at: &Subject| matches!(at, Subject::Socket(_));
        let [first, second] = [0, 1].map(|number| at(number).filter(datagram));
        if let Some(Subject::Socket(socket)) = first {
            io.base().prefetch(socket);
        }
        [first, second].into_iter().flatten().for_each(|subject| self.serve.prefetch_slot(subject));
        self.read_clock_after_wait(io, full);
        if let Some(first) = first {
            self.serve.prefetch_fsu(first);
        }
    }

    /// The events after the current one: see [`Serve::expect`].
    #[inline]
    pub(crate) fn expect(&self, base: &Base, ahead: impl Fn(usize) -> Option<Subject>) {
        if let Some(Subject::Socket(socket)) = ahead(1) {
            base.prefetch(socket);
        }
        self.serve.expect(ahead);
    }

    /// There was traffic.
    pub(crate) fn had_traffic(&mut self) {
        self.traffic_ms = self.now.mono_ms;
    }

    /// There was no traffic for a while.
    pub(crate) fn is_calm(&self) -> bool {
        self.now.mono_ms.saturating_sub(self.traffic_ms) > TRAFFIC_MS
    }

    /// Does what is due, while there is time; returns how long to wait for events.
    pub(crate) fn tick(&mut self, io: &mut impl DriverIo) -> Duration {
        for turn in 0..TICKS_MAX {
            if turn > 0 {
                // Much is due, and sockets wait.
                self.read_clock(io);
                if turn == 1 {
                    self.share.begin(self.now.mono_ns);
                }
                if self.is_spent() {
                    break;
                }
            }
            let more = self.serve.on_tick(self.now, io);
            self.flush(io);
            if !more {
                if self.asked_ms != self.now.mono_ms {
                    self.asked_ms = self.now.mono_ms;
                    if !self.commands.is_empty() {
                        // Whoever sent it could not wake the shard, or has not yet. Looked at once a millisecond: it takes a lock.
                        self.on_commands(io);
                    }
                }
                let next_ns = self.serve.next_deadline().unwrap_or(u64::MAX);
                return Duration::from_nanos(next_ns.saturating_sub(self.now.mono_ns).min(WAIT_NS_MAX));
            }
        }
        Duration::ZERO
    }

    /// Before a wait: pauses so that requests gather, if that saves wake-ups and costs no requests. `ready` returns how many have come
    /// already.
    #[inline]
    pub(crate) fn let_gather<I: DriverIo>(
        &mut self,
        wait: Duration,
        io: &mut I,
        ready: impl FnOnce(&mut I) -> io::Result<usize>,
    ) -> io::Result<()> {
        if self.gather.is_due(self.now.mono_ms) && !wait.is_zero() && is_few(ready(io)?) {
            kernel::sleep(self.gather.pause);
            if self.has_streams {
                self.looks.begins(clocks::mono_ns());
            }
        }
        Ok(())
    }

    /// Stopped or drained.
    pub(crate) fn is_over(&self) -> bool {
        self.is_stopped || self.serve.is_drained(self.now)
    }

    /// Sends what is queued: see [`DriverIo::flush`].
    #[inline]
    pub(crate) fn flush(&mut self, io: &mut impl DriverIo) {
        io.flush(&mut self.fate());
    }

    /// Takes note of what has become of what was sent: see [`DriverIo::settle`].
    #[inline]
    pub(crate) fn settle(&mut self, io: &mut impl DriverIo) {
        io.settle(&mut self.fate());
    }

    /// What was flushed leaves now, and its fate is known: see [`DriverIo::depart`].
    pub(crate) fn depart(&mut self, io: &mut impl DriverIo) {
        io.depart(&mut self.fate());
    }

    /// Reports the fate of datagrams to the shard.
    #[inline]
    fn fate(&mut self) -> impl Fate {
        let Self { serve, now, .. } = self;
        |datagram: Datagram, bytes: &[u8], outcome, unix_ns| {
            serve.on_sent(datagram, bytes, outcome, now.at_unix(unix_ns));
        }
    }

    /// One receive of either of an FSU's sockets; returns how many datagrams it had.
    #[inline]
    pub(crate) fn on_received_by(
        &mut self,
        socket: u32,
        which: Which,
        mut received: Received<'_>,
        io: &mut impl DriverIo,
    ) -> usize {
        if which == Which::Centre {
            self.take_centre_lost(socket, &mut received.control, io);
        }
        self.on_received(socket, &received, io)
    }

    /// Counts what a connected socket has lost, as one of its datagrams tells; that it does no longer.
    #[inline]
    pub(crate) fn take_centre_lost(&mut self, socket: u32, control: &mut Control, io: &mut impl DriverIo) {
        let lost = io.base().take_centre_lost(socket, control);
        self.on_centre_lost(socket, lost);
    }

    /// A connected socket has lost more datagrams.
    fn on_centre_lost(&mut self, socket: u32, more: u32) {
        if more > 0 {
            self.serve.on_kernel_drops(socket, more);
        }
    }

    /// Counts what connected sockets have lost that no datagram has told.
    pub(crate) fn count_centres(&mut self, io: &mut impl DriverIo) {
        for (socket, lost) in std::mem::take(&mut io.base().parted) {
            self.on_centre_lost(socket, lost);
        }
        for socket in 0..self.lost.len() as u32 {
            let lost = io.base().centre_lost(socket);
            self.on_centre_lost(socket, lost);
        }
    }

    /// One receive of an FSU's socket; returns how many datagrams it had.
    #[inline]
    pub(crate) fn on_received(&mut self, socket: u32, received: &Received<'_>, io: &mut impl DriverIo) -> usize {
        if let Some(lost) = received.control.lost {
            self.on_lost(socket, lost);
        }
        let arrived_ns = received.control.arrived_ns.unwrap_or(self.now.unix_ns);
        let route = Route { peer: received.peer, local: received.control.local };
        let mut count = 0;
        for bytes in received.datagrams() {
            count += 1;
            if received.control.is_reply {
                self.serve.on_reply(socket, received.peer, bytes, self.now);
                continue;
            }
            self.serve.on_datagram(socket, Arrived::new(route, bytes, arrived_ns), self.now, io);
            if io.base().outbox.is_filling() {
                self.flush(io);
            }
        }
        count
    }

    /// The kernel reports how many datagrams a socket has lost so far.
    pub(crate) fn on_lost(&mut self, socket: u32, lost: u32) {
        let Some(told) = self.lost.get_mut(socket as usize) else { return };
        // A datagram that waited in line carries an older count than the socket has now.
        let more = lost.wrapping_sub(*told);
        if more.cast_signed() > 0 {
            self.serve.on_kernel_drops(socket, more);
            *told = lost;
        }
    }

    /// How many more bytes of a connection the kernel is known to have after `count` were read; `None`: not known.
    #[inline]
    pub(crate) fn known_left(&mut self, id: ConnId, count: usize) -> Option<usize> {
        Looks::left(self.serve.unread(id)?, count)
    }

    /// Bytes of a connection were read, of which the kernel has `left` more.
    #[inline]
    pub(crate) fn on_bytes(&mut self, id: ConnId, bytes: &[u8], left: usize, io: &mut impl DriverIo) {
        let Some(unread) = self.serve.unread(id) else { return };
        let arrived_ns = self.looks.read(unread, bytes.len(), left, self.now.mono_ns);
        self.serve.on_bytes(id, bytes, self.now.with_arrival(arrived_ns), io);
    }

    /// A connection has bytes, but no buffer was free.
    pub(crate) fn on_unread(&mut self, id: ConnId) {
        if let Some(unread) = self.serve.unread(id) {
            self.looks.leave(unread, self.now.mono_ns);
        }
    }

    /// The peer of a connection will send no more.
    pub(crate) fn on_eof(&mut self, id: ConnId, io: &mut impl DriverIo) {
        let Some(unread) = self.serve.unread(id) else { return };
        let arrived_ns = self.looks.arrived(unread);
        self.serve.on_eof(id, self.now.with_arrival(arrived_ns), io);
    }

    /// A listener accepted a connection. Returns the descriptor if it is to be served.
    pub(crate) fn on_accepted(&mut self, socket: u32, fd: OwnedFd, peer: SocketAddr) -> Option<(ConnId, OwnedFd)> {
        self.serve.on_accept(socket, canonical(peer), self.now).map(|id| (id, fd))
    }

    /// An accepted connection is in the driver's hands.
    pub(crate) fn on_up(&mut self, id: ConnId, io: &mut impl DriverIo) {
        self.serve.on_up(id, self.now, io);
    }

    /// A connection that was being opened is there, or not.
    pub(crate) fn on_dialled(&mut self, id: ConnId, result: Result<(), Errno>, io: &mut impl DriverIo) {
        self.serve.on_dialled(id, result.map_err(Errno::raw_os_error), self.now, io);
        self.worked(1, io);
    }

    /// A listener could not accept. True: try the next one at once.
    pub(crate) fn on_accept_error(&mut self, socket: u32, errno: Errno, io: &mut impl DriverIo) -> bool {
        match errno {
            Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM => {
                self.serve.on_accept_failed(socket, errno.raw_os_error(), self.now, io);
                false
            }
            // An error of this connection alone (accept(2)): the next one may be good.
            Errno::INTR | Errno::CONNABORTED => true,
            _ => {
                self.serve.on_socket_error(socket, errno.raw_os_error(), self.now);
                false
            }
        }
    }

    /// A connection broke.
    pub(crate) fn on_broken(&mut self, id: ConnId, errno: Errno, io: &mut impl DriverIo) {
        let errno = (!is_peer_gone(errno)).then(|| errno.raw_os_error());
        self.serve.on_closed(id, errno, self.now, io);
    }

    /// Obeys the commands that have come.
    pub(crate) fn on_commands(&mut self, io: &mut impl DriverIo) {
        for command in mail::take(&self.commands, || io.base().clear_wake()) {
            match command {
                ShardCommand::Drain => self.serve.begin_drain(self.now, io),
                ShardCommand::Stop => self.is_stopped = true,
                // Whoever asked may be gone.
                ShardCommand::Counters(answer) => drop(answer.send(self.counters(io))),
                ShardCommand::Figures(answer) => {
                    let (counters, late) = (self.counters(io), self.serve.late.clone());
                    let (accounts, ways) = (self.serve.accounts.clone(), io.base().way_counts());
                    drop(answer.send(ShardFigures { counters, late, accounts, ways }));
                }
                ShardCommand::Stage(sockets, answer) => drop(answer.send(self.stage(sockets, io))),
                ShardCommand::Unstage => self.unstage(io),
                ShardCommand::Swap(swap, answer) => drop(answer.send(self.swap(*swap, io))),
                ShardCommand::Steer(ask) => {
                    self.depart(io);
                    let before_ns = clocks::mono_ns();
                    self.serve.on_ask(*ask, self.now, clocks::cpu_ns());
                    self.serve.was_held(clocks::mono_ns().saturating_sub(before_ns));
                }
            }
        }
    }

    /// The counters, with losses that no datagram has reported yet.
    fn counters(&mut self, io: &mut impl DriverIo) -> Vec<(usize, Counters)> {
        self.depart(io);
        self.count_centres(io);
        for socket in 0..self.lost.len() as u32 {
            if let Some(lost) = io.base().lost(socket) {
                self.on_lost(socket, lost);
            }
        }
        self.serve.counters()
    }

    /// Ends everything; returns what the shard leaves.
    pub(crate) fn finish(&mut self, io: &mut impl DriverIo) -> ShardFigures {
        io.base().is_ending = true;
        self.serve.finish(io);
        let (counters, late) = (self.counters(io), std::mem::take(&mut self.serve.late));
        let accounts = std::mem::take(&mut self.serve.accounts);
        ShardFigures { counters, late, accounts, ways: io.base().way_counts() }
    }
}
