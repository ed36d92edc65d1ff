//! A centre that also asks: its requests leave on the connections that devices opened, and go to where datagrams come from.
//!
//! A *seat* is an FSU, or a connection of which is not known whose it is. It can be asked while it has a way.

use crate::book::spread::{SPREADS_MAX, Spread};
use crate::engine::owner::Owner;
use crate::engine::reply::ReplyMatcher;
use crate::engine::worker::Worker;
use crate::expect::Wrong;
use crate::lane::{Flight, Lane};
use crate::link::tcp::{self, Next, next_len};
use crate::link::udp::{self, inner_frame};
use crate::link::unasked::is_reply;
use crate::pace::Due;
use crate::talk::cast::Cast;
use crate::workload::options::{AskedFsu, OPEN_MAX, Options as Load, Pace};
use crate::workload::profile::Prepared;
use crate::workload::targets::Choice;
use crate::workload::turns::Turns;
use fsu_plan::model::fleet::Fsu;
use fsu_plan::wire::envelope::Up;
use std::net::SocketAddr;
use std::sync::Arc;

/// The FSUs that a centre asks.
#[derive(Debug)]
pub struct Asked {
    /// By speaker: the target that it is.
    pub by_speaker: Box<[Option<u32>]>,
    /// Targets that a connection may be which says nothing about itself; none where it has to say first who it is.
    pub silent: Box<[u32]>,
    /// By talk: the same, once a connection has said something of that talk.
    pub by_talk: Box<[Box<[u32]>]>,
    /// The same of an address that datagrams without outer frames come from.
    pub by_talk_bare: Box<[Box<[u32]>]>,
    /// By target: where it is reached before it is heard.
    pub known: Box<[Option<SocketAddr>]>,
}

impl Asked {
    /// Who of a cast is which target. `fsus`: the cast's, in its order; the targets are some of them, in the same order.
    pub fn new((fsus, cast): (&[&Fsu], &Cast), targets: &[AskedFsu], choice: &Choice) -> Self {
        let mut left = targets.iter().zip(0..).peekable();
        let mut target_of =
            |fsu: &&Fsu| left.next_if(|(target, _)| *target.name == *fsu.name).map(|(_, number): (_, u32)| number);
        let by_speaker: Box<[Option<u32>]> = fsus.iter().map(&mut target_of).collect();
        let mut known = vec![None; targets.len()];
        for (fsu, target) in fsus.iter().zip(&by_speaker) {
            let is_bound = fsu.transport.is_datagrams() && fsu.connect.is_none();
            if let Some(target) = target.filter(|_| is_bound) {
                known[target as usize] = choice.address(fsu);
            }
        }
        let dials = fsus.iter().any(|fsu| !fsu.transport.is_datagrams() && fsu.connect.is_some());
        let may_connect = |number: usize| {
            let fsu = fsus[number];
            !fsu.transport.is_datagrams() && (fsu.connect.is_some() || !dials)
        };
        let kind = |number: usize| &cast.kinds[cast.speakers[number].kind as usize];
        let says = |number: usize, of: u32| kind(number).talks.iter().any(|voice| voice.talk == of);
        let tells = |number: usize| {
            let mut talks = kind(number).talks.iter().map(|voice| &cast.talks[voice.talk as usize]);
            talks.any(|talk| talk.forms.iter().any(|form| !form.own.is_empty()))
        };
        let connecting: Vec<usize> = (0..fsus.len()).filter(|number| may_connect(*number)).collect();
        let sending: Vec<usize> =
            (0..fsus.len()).filter(|number| fsus[*number].transport.is_bare_datagrams()).collect();
        let told = connecting.iter().any(|number| tells(*number));
        let alike = |numbers: &mut dyn Iterator<Item = usize>| alike(numbers, (&by_speaker, targets));
        let of_talks = |all: &[usize]| -> Box<[Box<[u32]>]> {
            let of = |talk: u32| alike(&mut all.iter().copied().filter(|number| says(*number, talk)));
            (0..cast.talks.len() as u32).map(of).collect()
        };
        Self {
            silent: if told { Box::default() } else { alike(&mut connecting.iter().copied()) },
            by_talk: of_talks(&connecting),
            by_talk_bare: of_talks(&sending),
            by_speaker: by_speaker.clone(),
            known: known.into(),
        }
    }
}

/// The targets of these speakers, if all of them are asked the same.
fn alike(numbers: &mut dyn Iterator<Item = usize>, (of, targets): (&[Option<u32>], &[AskedFsu])) -> Box<[u32]> {
    let all: Option<Box<[u32]>> = numbers.map(|number| of[number]).collect();
    let all = all.unwrap_or_default();
    let mut profiles = all.iter().map(|target| &targets[*target as usize].profile);
    let is_alike = profiles.next().is_some_and(|first| profiles.all(|profile| Arc::ptr_eq(first, profile)));
    if is_alike { all } else { Box::default() }
}

/// How a seat is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A connection, by its place.
    Stream(u32),
    /// A socket, by its number, and an address.
    Datagram(u32, SocketAddr),
}

/// A seat.
#[derive(Debug)]
struct Seat {
    target: usize,
    way: Option<Way>,
    /// Its place among those that have a way.
    place: usize,
    lane: Lane,
    turns: Turns,
    /// Closed pace: requests that it may have under way once it has a way again.
    owed: usize,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A request to that seat, by that way, planned for then.
    Ask(u32, Way, u64),
    /// Nothing before then.
    At(u64),
    /// Nothing until something comes.
    Later,
}

/// What a thread asks.
#[derive(Debug)]
pub struct Asking<'a> {
    load: &'a Load,
    asked: &'a Asked,
    /// Clock, pace and book.
    pub(super) worker: Worker,
    seats: Vec<Seat>,
    by_target: Vec<Option<u32>>,
    /// Seats of connections that have ended and are nobody's.
    free: Vec<u32>,
    /// Seats that have a way.
    there: Vec<u32>,
    turn: usize,
    /// Connections that are not asked, because nothing says whose they are.
    pub(super) untold: u64,
    wire: Vec<u8>,
    inner: Vec<u8>,
}

/// A request as it was sent, without what is around it.
#[cold]
fn sent(target: &AskedFsu, flight: &Flight) -> Vec<u8> {
    target.profile.requests[flight.request as usize].wire_of(flight)
}

impl<'a> Asking<'a> {
    /// Of a thread.
    pub fn new(load: &'a Load, asked: &'a Asked, worker: Worker) -> Self {
        Self {
            load,
            asked,
            worker,
            seats: Vec::new(),
            by_target: vec![None; load.targets.len()],
            free: Vec::new(),
            there: Vec::new(),
            turn: 0,
            untold: 0,
            wire: Vec::new(),
            inner: Vec::new(),
        }
    }

    /// FSUs whose address is known are there from the start: those of the sockets `of` a thread, each with its number here, its number
    /// among all, and its address. `all`: how many sockets there are.
    pub fn begin(&mut self, of: &[(u32, usize, SocketAddr)], all: usize) {
        for (target, address) in self.asked.known.iter().enumerate() {
            let Some(address) = address else { continue };
            let mine = of.iter().find(|(_, number, here)| target % all.max(1) == *number && fits(*here, *address));
            if let Some((socket, ..)) = mine {
                self.meet(target as u32, Way::Datagram(*socket, *address));
            }
        }
    }

    fn window(&self) -> usize {
        match self.load.pace {
            Pace::Closed { window } => window,
            Pace::Open { .. } => 0,
        }
    }

    fn seat(&mut self, target: usize, is_stream: bool) -> u32 {
        let lane = Lane::new(self.load.targets.len(), self.worker.timeout_ns);
        let profile = &self.load.targets[target].profile;
        let number = self.seats.len() as u32;
        self.seats.push(Seat {
            target,
            way: None,
            place: 0,
            lane: if is_stream { lane.in_order() } else { lane },
            turns: Turns::new((target % profile.sequence.len().max(1)) as u32),
            owed: self.window(),
        });
        self.worker.book.accounts.push(crate::book::account::Account::default());
        if self.worker.book.spreads.len() < SPREADS_MAX {
            self.worker.book.spreads.push(Spread::default());
        }
        number
    }

    /// A speaker was heard. Returns its seat, if it is asked.
    pub fn heard(&mut self, speaker: u32, way: Way) -> Option<u32> {
        let target = self.asked.by_speaker.get(speaker as usize).copied().flatten()?;
        Some(self.meet(target, way))
    }

    /// A target is there.
    fn meet(&mut self, target: u32, way: Way) -> u32 {
        let known = self.by_target[target as usize];
        let number = known.unwrap_or_else(|| self.seat(target as usize, matches!(way, Way::Stream(_))));
        self.by_target[target as usize] = Some(number);
        self.sit(number, way);
        number
    }

    /// A connection or an address of which is not known whose it is. `talk`: of what it has said, if it has said anything.
    pub fn unnamed(&mut self, talk: Option<u32>, way: Way) -> Option<u32> {
        let is_stream = matches!(way, Way::Stream(_));
        let may = match talk {
            Some(talk) if is_stream => self.asked.by_talk.get(talk as usize)?,
            Some(talk) => self.asked.by_talk_bare.get(talk as usize)?,
            None => &self.asked.silent,
        };
        if may.is_empty() {
            return None;
        }
        let fits = |number: &u32| may.contains(&(self.seats[*number as usize].target as u32));
        let number = match self.free.last().copied().filter(|number| is_stream && fits(number)) {
            Some(number) => {
                self.free.pop();
                number
            }
            None => self.seat(may[self.seats.len() % may.len()] as usize, is_stream),
        };
        self.sit(number, way);
        Some(number)
    }

    /// A seat has a way. If it had another connection before, what was under way there is lost.
    fn sit(&mut self, number: u32, way: Way) {
        let seat = &mut self.seats[number as usize];
        match seat.way {
            Some(before) if before == way => return,
            Some(Way::Stream(_)) => self.give_up(number),
            Some(Way::Datagram(..)) => {}
            None => {
                seat.place = self.there.len();
                self.there.push(number);
            }
        }
        let seat = &mut self.seats[number as usize];
        seat.way = Some(way);
        let owed = std::mem::take(&mut seat.owed);
        self.worker.ready.extend(std::iter::repeat_n(number, owed));
    }

    /// A connection has ended: what was under way there is lost.
    pub fn lose(&mut self, number: u32, at: u32) {
        if self.seats[number as usize].way != Some(Way::Stream(at)) {
            return;
        }
        self.give_up(number);
        let seat = &mut self.seats[number as usize];
        seat.way = None;
        let (place, target) = (seat.place, seat.target);
        self.there.swap_remove(place);
        if let Some(moved) = self.there.get(place) {
            self.seats[*moved as usize].place = place;
        }
        if self.by_target[target] != Some(number) {
            self.free.push(number);
        }
    }

    fn give_up(&mut self, number: u32) {
        let seat = &mut self.seats[number as usize];
        let owner = Owner { target: &self.load.targets[seat.target], seat: number, wire: sent };
        self.worker.give_up(&mut seat.lane, &owner);
    }

    /// Time-outs.
    pub fn sweep(&mut self, now_ns: u64) {
        self.worker.retry();
        for (seat, number) in self.seats.iter_mut().zip(0..) {
            let owner = Owner { target: &self.load.targets[seat.target], seat: number, wire: sent };
            self.worker.expire(&mut seat.lane, &owner, now_ns);
        }
    }

    /// Whose turn it is.
    pub fn next(&mut self, now_ns: u64) -> Step {
        if !self.worker.pacer.is_open() {
            while let Some(number) = self.worker.ready.pop_front() {
                let seat = &mut self.seats[number as usize];
                let Some(way) = seat.way else {
                    seat.owed += 1;
                    continue;
                };
                if !self.worker.pacer.take(now_ns) {
                    self.worker.ready.clear();
                    break;
                }
                return Step::Ask(number, way, now_ns);
            }
            return Step::Later;
        }
        loop {
            match self.worker.pacer.due(now_ns) {
                Due::At(at) => return Step::At(at),
                Due::Never => return Step::Later,
                // What is planned while nobody is there is part of no plan.
                Due::Now(_) if self.there.is_empty() => self.worker.pacer.put_back(),
                Due::Now(_) if self.worker.open >= OPEN_MAX => self.worker.book.tally.other.not_sent += 1,
                Due::Now(planned) => {
                    self.turn = (self.turn + 1) % self.there.len();
                    let number = self.there[self.turn];
                    if let Some(way) = self.seats[number as usize].way {
                        return Step::Ask(number, way, planned);
                    }
                }
            }
        }
    }

    /// A seat does not take its request at the moment.
    pub fn refused(&mut self, number: u32) {
        self.worker.book.tally.other.not_sent += 1;
        self.worker.put_off(number);
    }

    /// The seat's next request, as it travels, into `out`.
    pub fn ask(&mut self, number: u32, planned_ns: u64, out: &mut Vec<u8>) {
        let seat = &mut self.seats[number as usize];
        let target = &self.load.targets[seat.target];
        let (request, turn) = seat.turns.next(&target.profile);
        let prepared = &target.profile.requests[request as usize];
        let mut raw = Vec::new();
        let frame = if prepared.is_own() {
            raw = self.worker.spent.pop().unwrap_or_default();
            self.worker.renew(target, prepared, turn, (&mut raw, &mut self.wire));
            &*self.wire
        } else {
            &*prepared.wire
        };
        if matches!(seat.way, Some(Way::Datagram(..))) {
            udp::datagram(target, prepared, frame, out);
        } else {
            out.clear();
            out.extend_from_slice(frame);
        }
        let sent_ns = self.worker.clock.now_ns();
        let planned_ns = if self.worker.pacer.is_open() { planned_ns } else { sent_ns };
        let flight = prepared.flight(request, raw, planned_ns, sent_ns);
        self.worker.sent(prepared, number, &flight, out.len());
        seat.lane.push(flight);
    }

    /// A request did not leave: it is lost when its time is over.
    #[cold]
    pub fn failed(&mut self) {
        self.worker.book.tally.other.send_errors += 1;
    }

    /// Whether a frame, or what a stream begins with, is a right reply to a request under way.
    pub fn is_reply(&mut self, number: u32, bytes: &[u8], is_stream: bool) -> bool {
        let seat = &self.seats[number as usize];
        let requests = &self.load.targets[seat.target].profile.requests;
        is_reply(&seat.lane, requests, bytes, is_stream, &mut self.inner)
    }

    /// How long the reply is that a stream begins with.
    pub(crate) fn reply_len(&mut self, number: u32, bytes: &[u8]) -> Next {
        let now_ns = self.worker.clock.now_ns();
        let seat = &mut self.seats[number as usize];
        let requests = &self.load.targets[seat.target].profile.requests;
        next_len(&mut seat.lane, requests, bytes, now_ns, &mut self.inner)
    }

    /// How many bytes of a wrong reply count as it; `None`: nothing is under way.
    pub fn wrong_len(&self, number: u32, bytes: &[u8]) -> Option<usize> {
        let seat = &self.seats[number as usize];
        let requests = &self.load.targets[seat.target].profile.requests;
        (seat.lane.open() > 0).then(|| bytes.len().min(tcp::prepared_max(&seat.lane, requests)))
    }

    /// Settles a frame without an outer one.
    pub fn settle(&mut self, number: u32, frame: &[u8]) {
        self.settle_with(number, frame, |_| Ok(frame));
    }

    /// Settles a frame in an outer one.
    pub fn settle_outer(&mut self, number: u32, wire: &[u8], up: Up<'_>) {
        let target = &self.load.targets[self.seats[number as usize].target];
        self.settle_with(number, wire, |prepared| inner_frame(up, target, prepared));
    }

    fn settle_with<'b>(
        &mut self,
        number: u32,
        wire: &[u8],
        mut inner: impl FnMut(&Prepared) -> Result<&'b [u8], Wrong>,
    ) {
        self.worker.heard(wire.len());
        let now_ns = self.worker.clock.now_ns();
        let seat = &mut self.seats[number as usize];
        let owner = Owner { target: &self.load.targets[seat.target], seat: number, wire: sent };
        let is_stream = matches!(seat.way, Some(Way::Stream(_)));
        let reply =
            ReplyMatcher::new(&owner.target.profile.requests, |of: &Prepared| inner(of), !is_stream, &mut self.inner);
        self.worker.settle(&mut seat.lane, &owner, &owner.seen(wire, now_ns), reply);
    }

    /// The end: nothing is under way any more. Returns the targets, one per account.
    pub fn close(&mut self) -> Vec<usize> {
        (0..self.seats.len() as u32).for_each(|number| self.give_up(number));
        self.seats.iter().map(|seat| seat.target).collect()
    }
}

/// Can a socket that is bound to `here` send to that address?
fn fits(here: SocketAddr, address: SocketAddr) -> bool {
    here.is_ipv4() == address.is_ipv4() || (here.is_ipv6() && here.ip().is_unspecified())
}
