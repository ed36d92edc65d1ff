//! What both drivers have: sockets, the queue of datagrams to send, clocks.

use super::clocks::{self, Clocks};
use super::command::WayCounts;
use super::kernel;
use super::one::{One, Shared, Sharing};
use super::port::{self, Frames, Port, Queue};
use super::ways::{Way, takes};
use crate::shard::io::{Datagram, Outcome};
use crate::shard::late::SENDS_A_STAMP;
use crate::shard::reload::Sockets;
use fsu_net::bind::Bound;
use fsu_net::message::{Control, mapped};
use fsu_net::outbox::Outbox;
use fsu_net::sender::{Departing, UdpSender, is_full};
use fsu_net::sys::{By, prefetch};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// An FSU's sockets: a line of memory.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Place {
    /// `None` where a reload removed the FSU.
    socket: Option<Bound>,
    /// It is an IPv6 socket, which takes IPv4 addresses mapped.
    six: bool,
    /// It cuts what does not fit into a packet: something did not.
    fragments: bool,
    /// A second socket, for the centre that asks most.
    centre: Option<Centre>,
}

const _: () = assert!(size_of::<Place>() == 64);

/// A socket that is connected to a centre: what comes from there comes by it, and what goes there leaves by it.
#[derive(Debug)]
struct Centre {
    socket: UdpSocket,
    peer: SocketAddr,
    /// How many datagrams it had lost when that was last counted.
    lost: u32,
}

impl From<Bound> for Place {
    fn from(socket: Bound) -> Self {
        Self { six: is_six(&socket), socket: Some(socket), fragments: false, centre: None }
    }
}

impl Place {
    /// The centre's own socket, if that is its address.
    #[inline]
    fn to(&self, peer: SocketAddr) -> Option<&Centre> {
        self.centre.as_ref().filter(|centre| centre.peer == peer)
    }
}

impl Centre {
    /// How many more than before; a datagram that waited in line has an older count.
    fn more(&mut self, lost: u32) -> u32 {
        let more = lost.wrapping_sub(self.lost);
        if more.cast_signed() <= 0 {
            return 0;
        }
        self.lost = lost;
        more
    }
}

/// Which of an FSU's sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// The one that it is bound to.
    Own,
    /// The one that is connected to a centre.
    Centre,
}

/// Connected sockets of a shard. Beyond them their memory costs more time than they save.
pub(crate) const CENTRES_MAX: usize = 2_048;

/// A shard's own sockets, by number, and what sends by them.
pub(crate) struct Base {
    /// Those with a socket of their own.
    places: Vec<Place>,
    /// Addresses of others at the start, by place, which the one socket does not serve yet; and those since.
    first: Vec<(u32, SocketAddr)>,
    waiting: BTreeMap<u32, SocketAddr>,
    wake: Arc<OwnedFd>,
    pub(crate) outbox: Outbox<Datagram>,
    pub(crate) clocks: Clocks,
    /// Connections are being closed with requests unread.
    pub(crate) is_ending: bool,
    /// A queue of a network device, which the datagrams of some sockets come and go by.
    pub(crate) port: Option<Box<Port>>,
    /// The socket of those FSUs that have none of their own.
    pub(crate) one: Option<Box<One>>,
    sender: UdpSender,
    /// How many connected sockets there are, and how many there may be.
    centres: usize,
    centres_max: usize,
    /// What connected sockets had lost that are closed, by place; not counted yet.
    pub(crate) parted: Vec<(u32, u32)>,
    /// Descriptors that the kernel may know: those of places below this, and as many of centres behind them.
    files: u32,
}

/// The sockets of a driver.
pub(crate) trait DriverIo: Sockets {
    /// What is common to all drivers.
    fn base(&mut self) -> &mut Base;
    /// Sends what is queued. Some of it may leave with the next wait, and its fate be told by [`DriverIo::settle`].
    #[inline]
    fn flush(&mut self, fate: &mut impl Fate) {
        self.base().send_all(fate);
    }
    /// Tells the fates that have become known since.
    #[inline]
    fn settle(&mut self, _fate: &mut impl Fate) {}
    /// All that was flushed leaves now, and all fates are told.
    #[inline]
    fn depart(&mut self, _fate: &mut impl Fate) {}
    /// Takes over a socket, and returns its place. Nothing is received from it before [`crate::shard::io::Io::set_accepting`] says so.
    fn stage(&mut self, socket: Bound) -> io::Result<u32>;
}

/// What became of a datagram: its bytes, the outcome, and when that was, wall clock in nanoseconds.
pub(crate) trait Fate: FnMut(Datagram, &[u8], Outcome, i64) {}

impl<F: FnMut(Datagram, &[u8], Outcome, i64)> Fate for F {}

/// A descriptor that wakes a shard when it is written to.
pub(crate) fn wake_up() -> io::Result<Arc<OwnedFd>> {
    Ok(Arc::new(kernel::eventfd()?))
}

impl Base {
    /// These sockets; `wake` is written to when a command comes. `gso`: see [`super::handle::Tuning`].
    pub(crate) fn new(sockets: Vec<Bound>, wake: Arc<OwnedFd>, gso: bool) -> Self {
        let mut base = Self {
            places: Vec::new(),
            first: Vec::new(),
            waiting: BTreeMap::new(),
            wake,
            outbox: Outbox::default(),
            clocks: Clocks::new(),
            is_ending: false,
            port: None,
            one: None,
            sender: UdpSender::new(gso),
            centres: 0,
            parted: Vec::new(),
            centres_max: CENTRES_MAX,
            files: 0,
        };
        if sockets.iter().any(|socket| !matches!(socket, Bound::Lent(_))) {
            base.places.reserve_exact(sockets.len());
        }
        for (index, socket) in (0..).zip(sockets) {
            match socket {
                Bound::Lent(address) => base.first.push((index, *address)),
                socket => base.put(index, socket),
            }
        }
        base
    }

    /// An FSU's socket.
    #[inline]
    pub(crate) fn socket(&self, index: u32) -> Option<&Bound> {
        self.places.get(index as usize)?.socket.as_ref()
    }

    /// Prefetches the entry of a socket that is needed soon.
    #[inline]
    pub(crate) fn prefetch(&self, index: u32) {
        match (&self.one, &self.port) {
            (Some(one), _) => one.prefetch(index),
            (None, Some(port)) => port.prefetch(index),
            (None, None) => prefetch(self.places.as_ptr().wrapping_add(index as usize), 1),
        }
    }

    /// Puts a socket at a place; the table grows if needed.
    pub(crate) fn put(&mut self, index: u32, socket: Bound) {
        if let Bound::Lent(address) = socket {
            self.waiting.insert(index, *address);
            return;
        }
        let place = index as usize;
        if self.places.len() <= place {
            self.places.resize_with(place + 1, Place::default);
        }
        self.places[place] = socket.into();
    }

    /// One of an FSU's UDP sockets.
    #[inline]
    pub(crate) fn udp(&self, index: u32, which: Which) -> Option<&UdpSocket> {
        let place = self.places.get(index as usize)?;
        match (which, &place.socket) {
            (Which::Own, Some(Bound::Udp(socket))) => Some(socket),
            (Which::Centre, _) => place.centre.as_ref().map(|centre| &centre.socket),
            _ => None,
        }
    }

    /// Makes a second socket for a centre. False: there is one already, or there may be no more, or the kernel refuses it.
    pub(crate) fn connect(&mut self, index: u32, peer: SocketAddr) -> bool {
        if self.centres >= self.centres_max || self.is_ending || !takes(Way::Connected) {
            return false;
        }
        if self.port.as_ref().is_some_and(|port| port.reaches(index)) {
            // Its datagrams come by the device's queue.
            return false;
        }
        let Some(place) = self.places.get_mut(index as usize).filter(|place| place.centre.is_none()) else {
            return false;
        };
        let Some(Bound::Udp(own)) = &place.socket else { return false };
        if kernel::unread(own.as_fd()) > 0 {
            // What comes to the second socket could be taken before what waits in this one. It is asked for again.
            return false;
        }
        let to = if place.six { mapped(peer) } else { peer };
        let socket = kernel::connect_udp(own, to).ok().filter(|socket| is_to_spare(socket.as_fd()));
        let Some(socket) = socket else {
            // A system that has none is not asked again for more.
            self.centres_max = self.centres;
            return false;
        };
        if place.fragments {
            let _ = kernel::let_fragment(socket.as_fd(), place.six);
        }
        place.centre = Some(Centre { socket, peer, lost: 0 });
        self.centres += 1;
        true
    }

    /// Takes the connected socket out, of that centre (`None`: of any); and how many datagrams it has lost since that was counted. One that
    /// has something from its centre stays, as that would be lost: it is not silent after all.
    pub(crate) fn part(&mut self, index: u32, peer: Option<SocketAddr>) -> Option<(UdpSocket, u32)> {
        let lost = self.centre_lost(index);
        let place = self.places.get_mut(index as usize)?;
        let may_go = |centre: &mut Centre| match peer {
            Some(peer) => centre.peer == peer && kernel::unread(centre.socket.as_fd()) == 0,
            None => true,
        };
        let centre = place.centre.take_if(may_go)?;
        self.centres -= 1;
        Some((centre.socket, lost))
    }

    /// Datagrams that a connected socket has lost since that was last counted.
    pub(crate) fn centre_lost(&mut self, index: u32) -> u32 {
        let Some(centre) = self.places.get_mut(index as usize).and_then(|place| place.centre.as_mut()) else {
            return 0;
        };
        kernel::lost(centre.socket.as_fd()).map_or(0, |lost| centre.more(lost))
    }

    /// The same, as one of its datagrams tells; that it does no longer.
    #[inline]
    pub(crate) fn take_centre_lost(&mut self, index: u32, control: &mut Control) -> u32 {
        let Some(lost) = control.lost.take() else { return 0 };
        let place = self.places.get_mut(index as usize);
        place.and_then(|place| place.centre.as_mut()).map_or(0, |centre| centre.more(lost))
    }

    /// Takes a socket out.
    pub(crate) fn take(&mut self, index: u32) -> Option<Bound> {
        if let Some(port) = &mut self.port {
            port.close(index);
        }
        if let Some(one) = &mut self.one {
            one.close(index);
        }
        self.waiting.remove(&index);
        self.places.get_mut(index as usize)?.socket.take()
    }

    /// Whether an FSU has a place.
    fn is_taken(&self, index: u32) -> bool {
        self.socket(index).is_some()
            || self.waiting.contains_key(&index)
            || self.one.as_ref().is_some_and(|one| one.serves(index))
    }

    /// How many places there are: no FSU has one past these.
    pub(crate) fn count(&self) -> u32 {
        let waiting = self.waiting.last_key_value().map_or(0, |(&index, _)| index + 1);
        let shared = self.one.as_ref().map_or(0, |one| one.places());
        waiting.max(shared).max(self.places.len() as u32)
    }

    /// The first free place that `suits`; past the last one if there is none.
    pub(crate) fn vacant(&self, suits: impl Fn(u32) -> bool) -> u32 {
        let count = self.count();
        (0..count).find(|&index| !self.is_taken(index) && suits(index)).unwrap_or(count)
    }

    /// Datagrams to a socket come by the device's queue from now on, if its address is one of the device's, or by the one socket.
    pub(crate) fn open_port(&mut self, index: u32) {
        let own = self.places.get(index as usize).and_then(|place| port::address(place.socket.as_ref()?));
        let shared = self.waiting.remove(&index);
        if let (Some(port), Some(address)) = (&mut self.port, own.or(shared)) {
            port.open(&[(index, address)]);
        }
        if let (Some(one), Some(address)) = (&mut self.one, shared) {
            one.open(&[(index, address)]);
        }
    }

    /// The one socket for those FSUs that have none of their own, and what it receives. After [`Base::plug`].
    pub(crate) fn share(&mut self, shared: Shared) -> io::Result<Sharing> {
        let mut one = One::new(shared)?;
        one.open(&std::mem::take(&mut self.first));
        self.one = Some(Box::new(one));
        Ok(Sharing::new())
    }

    /// Serves the addresses that wait for the one socket there, as [`Base::share`] does.
    #[cfg(test)]
    pub(crate) fn hand_over(&mut self, served: &mut super::served::Served) {
        let first = std::mem::take(&mut self.first);
        served.reserve(first.len());
        for (place, address) in first {
            served.add(place, address, &[address.ip()]);
        }
    }

    /// What was counted of both so far.
    pub(crate) fn way_counts(&self) -> WayCounts {
        WayCounts { port: self.port.as_deref().map(Port::counts), one: self.one.as_deref().map(One::counts) }
    }

    /// The same for all sockets, and what the queue receives.
    pub(crate) fn plug(&mut self, queue: Queue) -> Frames {
        let (mut port, frames) = Port::new(queue);
        let own = self.sockets().filter_map(|(index, socket)| Some((index, port::address(socket)?)));
        let all: Vec<(u32, SocketAddr)> = own.chain(self.first.iter().copied()).collect();
        port.open(&all);
        self.port = Some(Box::new(port));
        frames
    }

    /// All of them, with their numbers.
    pub(crate) fn sockets(&self) -> impl Iterator<Item = (u32, &Bound)> {
        (0..).zip(&self.places).filter_map(|(index, place)| Some((index, place.socket.as_ref()?)))
    }

    /// Readable when a command has come.
    pub(crate) fn wake(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// Makes it unreadable until the next command.
    pub(crate) fn clear_wake(&self) {
        kernel::clear_eventfd(self.wake.as_fd());
    }

    /// Datagrams that a socket has dropped because it was full, wrapping around.
    pub(crate) fn lost(&self, index: u32) -> Option<u32> {
        match self.socket(index)? {
            Bound::Udp(socket) => kernel::lost(socket.as_fd()),
            Bound::Tcp(_) | Bound::Lent(_) | Bound::Dials(_) => None,
        }
    }

    /// Sends all that is queued, runs of one socket with one call.
    #[inline]
    pub(crate) fn send_all(&mut self, fate: &mut impl Fate) {
        if self.outbox.is_empty() {
            return;
        }
        let mut outbox = std::mem::take(&mut self.outbox);
        let (mut at, mut stamped, mut unix_ns) = (0, 0, clocks::unix_ns());
        while at < outbox.len() {
            if at >= stamped + SENDS_A_STAMP {
                (stamped, unix_ns) = (at, clocks::unix_ns());
            }
            let (count, outcome) = self.send(&outbox, at);
            let end = at + count.max(1);
            if count >= SENDS_A_STAMP {
                // One call for all of them: the last left just now.
                (stamped, unix_ns) = (end, clocks::unix_ns());
            }
            tell(&outbox, at..end, outcome, unix_ns, fate);
            at = end;
        }
        outbox.clear();
        self.outbox = outbox;
    }

    /// Where a datagram leaves through a ring: by which socket. `None`: not that way.
    #[inline]
    pub(crate) fn by(&self, datagram: Datagram) -> Option<By<'_>> {
        let place = self.places.get(datagram.socket as usize)?;
        if let Some(centre) = place.to(datagram.peer) {
            let (fd, file) = (centre.socket.as_fd(), self.file(datagram.socket, Which::Centre));
            return Some(By { fd, file, six: place.six, is_connected: true });
        }
        let Some(Bound::Udp(own)) = &place.socket else { return None };
        let (fd, file) = (own.as_fd(), self.file(datagram.socket, Which::Own));
        Some(By { fd, file, six: place.six, is_connected: false })
    }

    /// Number of places of which the kernel may know descriptors, with those of their centres.
    pub(crate) fn set_files(&mut self, places: u32) {
        self.files = places;
    }

    /// The place among them of one of an FSU's sockets, if there is one.
    #[inline]
    pub(crate) fn file(&self, index: u32, which: Which) -> Option<u32> {
        let has_one = index < self.files && takes(Way::Files);
        has_one.then_some(if which == Which::Own { index } else { self.files + index })
    }

    /// How many datagrams from `at` on leave by one socket.
    #[inline]
    pub(crate) fn run(&self, outbox: &Outbox<Datagram>, at: usize) -> usize {
        let place = outbox.get(at).and_then(|(first, _)| self.places.get(first.socket as usize));
        match place.and_then(|place| place.centre.as_ref()) {
            Some(centre) => outbox.run_beside(at, centre.peer),
            None => outbox.run(at),
        }
    }

    /// How many of these datagrams, all of one socket, go to the kernel as one buffer: 1 where none do.
    #[inline]
    pub(crate) fn joined(&self, outbox: &Outbox<Datagram>, run: Range<usize>) -> usize {
        if run.len() == 1 {
            return 1;
        }
        let mut parcels = outbox.parcels(run.start, run.len(), self.sender.sends_segments());
        parcels.next().map_or(1, |parcel| parcel.datagrams)
    }

    /// Centres that sockets are connected to.
    #[cfg(feature = "ab")]
    pub(crate) fn centres(&self) -> Vec<(u32, SocketAddr)> {
        let all = (0..).zip(&self.places);
        all.filter_map(|(index, place)| Some((index, place.centre.as_ref()?.peer))).collect()
    }

    /// Lets all sockets fragment, or none.
    #[cfg(feature = "ab")]
    pub(crate) fn set_fragments(&mut self, on: bool) {
        for place in &mut self.places {
            if let Some(Bound::Udp(socket)) = &place.socket {
                // It fails on no Linux; then the trial shows no difference.
                let _ = fsu_net::sys::set_fragments(socket.as_fd(), place.six, on);
                if let Some(centre) = &place.centre {
                    let _ = fsu_net::sys::set_fragments(centre.socket.as_fd(), place.six, on);
                }
                place.fragments = on;
            }
        }
    }

    /// What became of a datagram that the kernel refused to send with the ring.
    #[cold]
    pub(crate) fn on_refused(&mut self, datagram: Datagram, bytes: &[u8], errno: i32) -> Outcome {
        let error = io::Error::from_raw_os_error(errno);
        if is_full(&error) { Outcome::Full } else { self.send_otherwise((datagram, bytes), &error) }
    }

    /// Sends datagrams from `at` on with one call; returns how many it decided on, and their outcome.
    pub(crate) fn send(&mut self, outbox: &Outbox<Datagram>, at: usize) -> (usize, Outcome) {
        if let Some(decided) = self.port.as_deref_mut().and_then(|port| port.send(outbox, at)) {
            return decided;
        }
        // The next may leave as a frame.
        let most = if self.port.is_some() { 1 } else { usize::MAX };
        if let Some(decided) = self.one.as_deref_mut().and_then(|one| one.send(outbox, at, most)) {
            return decided;
        }
        let Some((first, bytes)) = outbox.get(at) else { return (1, Outcome::Failed(0)) };
        // What follows a datagram that has to leave by the kernel may leave as a frame.
        let is_alone = self.port.as_ref().is_some_and(|port| port.reaches(first.socket));
        let run = if is_alone { 1 } else { self.run(outbox, at) };
        let Some(place @ Place { socket: Some(Bound::Udp(own)), six, .. }) = self.places.get(first.socket as usize)
        else {
            return (run, Outcome::Failed(Errno::BADF.raw_os_error()));
        };
        let (centre, six) = (place.to(first.peer), *six);
        let socket = centre.map_or(own.as_fd(), |centre| centre.socket.as_fd());
        let sent = if run == 1 && centre.is_some() {
            kernel::send(socket, bytes).map(|_| 1).map_err(io::Error::from)
        } else if run == 1 && first.local.is_any() {
            let peer = if six { mapped(first.peer) } else { first.peer };
            kernel::send_to(socket, bytes, &peer).map(|_| 1).map_err(io::Error::from)
        } else {
            let departing = Departing { outbox, range: at..at + run, six, is_connected: centre.is_some() };
            self.sender.send_by(&departing, |headers, parcels| kernel::send_parcels(headers, socket, parcels))
        };
        if let Some(error) = self.sender.take_refusal() {
            log::info!("the kernel does not take several datagrams as one ({error}): they are sent one by one");
        }
        match sent {
            Ok(count) => (count, Outcome::Sent),
            // No room concerns the whole batch; any other error only the first datagram.
            Err(error) if is_full(&error) => (run, Outcome::Full),
            Err(error) => (1, self.send_otherwise((first, bytes), &error)),
        }
    }

    /// The kernel refused a datagram. Sends it in another way, if that is the remedy.
    #[cold]
    fn send_otherwise(&mut self, (datagram, bytes): (Datagram, &[u8]), error: &io::Error) -> Outcome {
        let Some(place) = self.places.get_mut(datagram.socket as usize) else { return refused(error) };
        let Some(Bound::Udp(socket)) = &place.socket else { return refused(error) };
        let is_long = errno(error) == Some(Errno::MSGSIZE) && !place.fragments;
        if is_long {
            place.fragments = kernel::let_fragment(socket.as_fd(), place.six).is_ok();
            if let Some(centre) = &place.centre {
                let _ = kernel::let_fragment(centre.socket.as_fd(), place.six);
            }
        }
        let mut outbox = Outbox::default();
        if is_long && place.fragments && !datagram.local.is_any() && outbox.push(datagram, bytes) {
            // With the address that it leaves from; what comes of that is final, or one more way.
            return self.send(&outbox, 0).1;
        }
        let has_no_address = !datagram.local.is_any() && is_no_address(error);
        // A connected socket tells with a datagram what became of an earlier one: nobody listened.
        let is_late = place.to(datagram.peer).is_some();
        if !(is_long && place.fragments || has_no_address || is_late) {
            return refused(error);
        }
        let peer = if place.six { mapped(datagram.peer) } else { datagram.peer };
        send_routed(socket.as_fd(), bytes, &peer)
    }
}

/// Tells the fate of some.
#[inline]
pub(crate) fn tell(
    outbox: &Outbox<Datagram>,
    range: Range<usize>,
    outcome: Outcome,
    unix_ns: i64,
    fate: &mut impl Fate,
) {
    for (datagram, bytes) in range.filter_map(|at| outbox.get(at)) {
        fate(datagram, bytes, outcome, unix_ns);
    }
}

/// Sends one datagram; routing chooses its source address.
#[inline]
fn send_routed(socket: BorrowedFd<'_>, bytes: &[u8], peer: &SocketAddr) -> Outcome {
    kernel::send_to(socket, bytes, peer).map_or_else(|errno| refused(&errno.into()), |_| Outcome::Sent)
}

/// Whether as many descriptors are left for others, connections above all. New ones have the lowest number that is free.
fn is_to_spare(fd: BorrowedFd<'_>) -> bool {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    u64::from(fd.as_raw_fd().unsigned_abs()) < limit / 2
}

/// Whether it was bound to an address of IPv6.
fn is_six(socket: &Bound) -> bool {
    socket.local_addr().is_ok_and(|address| address.is_ipv6())
}

/// Why a datagram was not taken.
fn refused(error: &io::Error) -> Outcome {
    if is_full(error) { Outcome::Full } else { Outcome::Failed(error.raw_os_error().unwrap_or(0)) }
}

/// Whether this machine does not have the source address of a datagram, or no longer. For IPv4 Linux reports an unreachable network, for
/// IPv6 an invalid address or a missing interface.
fn is_no_address(error: &io::Error) -> bool {
    matches!(errno(error), Some(Errno::NETUNREACH | Errno::INVAL | Errno::NODEV | Errno::ADDRNOTAVAIL))
}

fn errno(error: &io::Error) -> Option<Errno> {
    error.raw_os_error().map(Errno::from_raw_os_error)
}

#[cfg(test)]
mod tests;
