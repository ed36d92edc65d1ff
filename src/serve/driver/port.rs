//! A queue of a network device that serves a shard in addition to its sockets (`--driver xdp`, docs/use/xdp.md).
//!
//! Datagrams for the shard's udp FSUs arrive as whole frames, and replies leave as frames. The kernel's sockets stay bound: they receive
//! what the XDP program passes on, and send what cannot leave as a frame ([`Port::send`]).

use super::base::Base;
use super::served::{Served, source};
use crate::shard::io::{Datagram, Outcome, Subject};
use foldhash::HashMap;
use fsu_net::bind::{Bound, is_broadcast};
use fsu_net::local::Local;
use fsu_net::outbox::Outbox;
use fsu_net::xdp::device::Device;
use fsu_net::xdp::frame::{Frame, Hardware, Way, build};
use fsu_net::xdp::program::Program;
use fsu_net::xdp::queue::{FRAMES_A_LOOK, Receiving, Sending};
use fsu_plan::counters::{JSON_ONLY, sentence};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Number of hosts whose hardware address is remembered. Datagrams to other hosts leave through the kernel.
const HOSTS_MAX: usize = 65_536;
/// Limit of an FSU's queued datagrams in bytes; the same as a socket's receive buffer.
const HELD_BYTES_OF_ONE_MAX: usize = fsu_net::bind::RECEIVE_BUFFER_BYTES;
/// Time to wait for a device with unsent frames before waking it again.
const WAIT_FOR_DEVICE: Duration = Duration::from_millis(1);
/// Total wait for unsent frames at the end of the run.
const LAST_FRAMES_WAIT: Duration = Duration::from_millis(50);

fsu_plan::counters! {
    /// What a shard counts of its queue of a network device.
    pub struct PortCounts {
        /// Datagrams taken from the queue.
        received: u64 = JSON_ONLY,
        /// Datagrams put into the queue.
        sent: u64 = JSON_ONLY,
        /// Datagrams of FSUs on the device that left by the kernel: too long for a frame, or to a host whose hardware address is not known.
        sent_by_kernel: u64 = JSON_ONLY,
        /// Datagrams that found no free frame; each is tried again.
        no_frame: u64 = JSON_ONLY,
        /// Damaged frames (a wrong checksum), and frames for an address that no FSU has any more.
        unusable: u64 = JSON_ONLY,
        /// Addresses that could not be put into the program's map: their datagrams come by the kernel.
        not_opened: u64 = JSON_ONLY,
        /// Frames that the kernel dropped because the queue was full (`rx_ring_full` of XDP_STATISTICS).
        ring_full: u64 = sentence("frame of the device's queue lost: the queue was full", "frames of the device's queue lost: the queue was full"),
        /// Frames that the kernel dropped for another reason (`rx_dropped`).
        dropped: u64 = sentence("frame of the device's queue lost: dropped by the kernel", "frames of the device's queue lost: dropped by the kernel"),
        /// Times that the device found no frame to receive into (`rx_fill_ring_empty_descs`).
        fill_empty: u64 = JSON_ONLY,
        /// Descriptors that the kernel refused (`rx_invalid_descs`, `tx_invalid_descs`): a defect.
        invalid: u64 = JSON_ONLY,
    }
}

impl PortCounts {
    /// Requests lost before they reached the shard.
    pub fn lost(&self) -> u64 {
        self.ring_full + self.dropped
    }
}

/// An open queue of a device, for one shard.
#[derive(Debug)]
pub struct Queue {
    /// The device.
    pub device: Arc<Device>,
    /// Index of the queue.
    pub number: u32,
    /// The program that redirects frames to it.
    pub program: Arc<Program>,
    /// Both ends of its socket.
    pub ends: (Receiving, Sending),
}

/// The shard's side of the queue: the sockets that it serves, and sending.
#[derive(Debug)]
pub(crate) struct Port {
    device: Arc<Device>,
    number: u32,
    program: Arc<Program>,
    sending: Sending,
    served: Served,
    hops: Hops,
    counts: PortCounts,
}

impl Port {
    /// A queue that serves no socket yet, and its receiving side.
    pub(crate) fn new(Queue { device, number, program, ends: (receiving, sending) }: Queue) -> (Self, Frames) {
        let frames = Frames { receiving, arriving: Vec::with_capacity(FRAMES_A_LOOK as usize), held: Held::default() };
        let port = Self {
            device,
            number,
            program,
            sending,
            served: Served::new(),
            hops: Hops::default(),
            counts: PortCounts::default(),
        };
        (port, frames)
    }

    /// The queue's socket: readable when frames have arrived.
    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.sending.socket()
    }

    /// The counters so far.
    pub(crate) fn counts(&self) -> PortCounts {
        let mut counts = self.counts.clone();
        if let Some(kernel) = self.sending.statistics() {
            counts.ring_full = kernel.ring_full;
            counts.dropped = kernel.dropped;
            counts.fill_empty = kernel.fill_empty;
            counts.invalid = kernel.invalid;
        }
        counts
    }

    /// Directs datagrams for these FSUs to the queue, as far as their addresses belong to the device.
    pub(crate) fn open(&mut self, fsus: &[(u32, SocketAddr)]) {
        let mut opened = Vec::with_capacity(fsus.len());
        self.served.reserve(fsus.last().map_or(0, |&(place, _)| place as usize + 1));
        for &(place, bound) in fsus {
            if self.reaches(place) {
                continue;
            }
            let addresses = reached(&self.device, bound);
            if addresses.is_empty() {
                continue;
            }
            self.served.add(place, bound, &addresses);
            opened.extend(addresses.into_iter().map(|ip| SocketAddr::new(ip, bound.port())));
        }
        if let Err(error) = self.program.addresses().add(&opened, self.number) {
            self.counts.not_opened += opened.len() as u64;
            log::warn!(
                "{}: the program takes no more addresses ({error}): their datagrams come by the kernel",
                self.device.name
            );
        }
    }

    /// A socket was closed: leaves its datagrams to the kernel.
    pub(crate) fn close(&mut self, place: u32) {
        let Some(bound) = self.served.remove(place) else { return };
        for ip in reached(&self.device, bound) {
            let address = SocketAddr::new(ip, bound.port());
            self.served.forget(address);
            // Fails if the address was never added; that is fine.
            let _ = self.program.addresses().remove(address);
        }
    }

    /// Prefetches what sending from a place reads.
    #[inline]
    pub(crate) fn prefetch(&self, place: u32) {
        self.served.prefetch(place);
    }

    /// Whether the queue serves a socket.
    pub(crate) fn reaches(&self, place: u32) -> bool {
        self.served.bound(place).is_some()
    }

    /// Sends datagrams from `at` on, of any socket, and stops before one that must leave through the kernel. Returns how many it handled,
    /// and their outcome. `None`: the first one must leave through the kernel.
    pub(crate) fn send(&mut self, outbox: &Outbox<Datagram>, at: usize) -> Option<(usize, Outcome)> {
        let (mut count, mut is_full) = (0, false);
        while let Some((datagram, bytes)) = outbox.get(at + count) {
            match self.send_one(&datagram, bytes) {
                Some(true) => count += 1,
                Some(false) => {
                    is_full = true;
                    break;
                }
                None => break,
            }
        }
        self.sending.flush();
        self.counts.sent += count as u64;
        match count {
            0 if is_full => {
                let left = outbox.len() - at;
                self.counts.no_frame += left as u64;
                Some((left, Outcome::Full))
            }
            0 => None,
            _ => Some((count, Outcome::Sent)),
        }
    }

    /// `None`: it must leave through the kernel. `Some(false)`: no frame is free.
    #[inline]
    fn send_one(&mut self, datagram: &Datagram, bytes: &[u8]) -> Option<bool> {
        let bound = self.served.bound(datagram.socket)?;
        let way = self.way(datagram, bound);
        let (sending, mtu) = (&mut self.sending, self.device.mtu);
        let sent = way.and_then(|way| sending.send(|out| build(out, &way, mtu, bytes)));
        self.counts.sent_by_kernel += u64::from(sent.is_none());
        sent
    }

    #[inline]
    fn way(&mut self, datagram: &Datagram, bound: SocketAddr) -> Option<Way> {
        let from = source(bound, datagram.local)?;
        let hop = self.hops.to(datagram.peer.ip())?;
        Some(Way { hops: (hop, self.device.hardware), peer: datagram.peer, from })
    }

    /// Before a wait: sends what the device has not taken yet. Returns the longest time to wait.
    #[inline]
    pub(crate) fn before_wait(&mut self, at_most: Duration) -> Duration {
        if !self.sending.is_waiting() {
            return at_most;
        }
        self.sending.flush();
        if self.sending.is_waiting() { at_most.min(WAIT_FOR_DEVICE) } else { at_most }
    }

    /// End of the run: gives the device a moment to send the last frames, because closing the socket discards them.
    pub(crate) fn finish(&mut self) {
        let end = Instant::now() + LAST_FRAMES_WAIT;
        self.sending.flush();
        while !self.sending.is_idle() && Instant::now() < end {
            std::thread::sleep(WAIT_FOR_DEVICE);
            self.sending.flush();
        }
    }
}

/// The address of a socket whose datagrams a queue may take; `None`: it is none for those of udp FSUs.
pub(crate) fn address(socket: &Bound) -> Option<SocketAddr> {
    let is_udp = match socket {
        Bound::Udp(socket) => !is_broadcast(socket),
        Bound::Tcp(_) | Bound::Dials(_) => false,
        Bound::Lent(_) => true,
    };
    socket.local_addr().ok().filter(|_| is_udp)
}

/// The device's addresses that a socket with this bound address receives on.
fn reached(device: &Device, bound: SocketAddr) -> Vec<IpAddr> {
    let is_reached = |ip: &IpAddr| match bound {
        SocketAddr::V4(four) if four.ip().is_unspecified() => ip.is_ipv4(),
        SocketAddr::V6(six) if six.ip().is_unspecified() => true,
        SocketAddr::V6(six) if six.scope_id() != 0 && six.scope_id() != device.index => false,
        _ => *ip == bound.ip(),
    };
    device.addresses.iter().copied().filter(is_reached).collect()
}

/// A datagram received as a frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arriving {
    /// The socket that it is for.
    pub(crate) place: u32,
    /// Who sent it.
    pub(crate) peer: SocketAddr,
    /// Its destination address, if the socket is bound to the wildcard address.
    pub(crate) local: Local,
    /// Offset of its bytes in the frame, and their number.
    pub(crate) start: usize,
    pub(crate) bytes: usize,
}

/// The receiving side of a shard's queue.
#[derive(Debug)]
pub(crate) struct Frames {
    receiving: Receiving,
    /// By frame of the last look; `None` if the frame is unusable.
    arriving: Vec<Option<Arriving>>,
    held: Held,
}

/// A batch of received datagrams of many FSUs.
pub(crate) trait Batch {
    /// Whether unhandled datagrams may stay in the batch.
    const MAY_STOP: bool;

    /// Looks for received datagrams; returns their number.
    fn look(&mut self, base: &mut Base) -> usize;
    /// A datagram, and when the kernel received it: wall clock in nanoseconds, if known.
    fn get(&self, number: usize) -> Option<(Arriving, &[u8], Option<i64>)>;
    /// Which socket a datagram is for.
    fn arriving(&self, number: usize) -> Option<Arriving>;
    /// Releases the first `count` datagrams.
    fn done(&mut self, count: usize, base: &mut Base);
    /// The queued datagrams.
    fn held(&mut self) -> &mut Held;

    /// The subject of a datagram.
    fn subject(&self, number: usize) -> Option<Subject> {
        self.arriving(number).map(|arriving| Subject::Socket(arriving.place))
    }

    /// Whether a datagram may be queued.
    fn may_hold(&mut self, number: usize) -> bool {
        self.arriving(number).is_some_and(|arriving| self.held().may_hold(arriving.place, arriving.bytes))
    }
}

impl Batch for Frames {
    const MAY_STOP: bool = true;

    fn look(&mut self, base: &mut Base) -> usize {
        self.arriving.clear();
        let (Some(port), count) = (base.port.as_deref_mut(), self.receiving.look()) else { return 0 };
        for number in 0..count {
            self.arriving.push(self.receiving.frame(number).and_then(|bytes| port.admit(bytes)));
        }
        count as usize
    }

    #[inline]
    fn get(&self, number: usize) -> Option<(Arriving, &[u8], Option<i64>)> {
        let arriving = self.arriving(number)?;
        let bytes = self.receiving.frame(number as u32)?.get(arriving.start..)?.get(..arriving.bytes)?;
        Some((arriving, bytes, None))
    }

    #[inline]
    fn arriving(&self, number: usize) -> Option<Arriving> {
        *self.arriving.get(number)?
    }

    fn done(&mut self, count: usize, base: &mut Base) {
        if let Some(port) = &mut base.port {
            let unusable = self.arriving.iter().take(count).filter(|arriving| arriving.is_none()).count();
            port.counts.unusable += unusable as u64;
            port.counts.received += (count - unusable) as u64;
        }
        self.receiving.done(count as u32);
        self.receiving.wake_if_needed();
    }

    fn held(&mut self) -> &mut Held {
        &mut self.held
    }
}

impl Port {
    /// The socket that a frame is for; `None`: it is damaged, or no FSU has the address.
    #[inline]
    fn admit(&mut self, bytes: &[u8]) -> Option<Arriving> {
        let frame = Frame::parse(bytes, self.device.index)?;
        let place = self.served.place(frame.ip, frame.port)?;
        let bound = self.served.bound(place)?;
        self.hops.learn(frame.peer.ip(), frame.hop);
        let local = if bound.ip().is_unspecified() { frame.local(self.device.index) } else { Local::ANY };
        let start = frame.bytes.as_ptr().addr() - bytes.as_ptr().addr();
        Some(Arriving { place, peer: frame.peer, local, start, bytes: frame.bytes.len() })
    }
}

/// By host: the hardware address to send frames to, which is the host's own or a router's.
#[derive(Debug, Default)]
struct Hops {
    all: HashMap<IpAddr, Hardware>,
    /// The most recent entry.
    latest: Option<(IpAddr, Hardware)>,
}

impl Hops {
    /// Remembers the hardware address that a host's frame came from, for frames to that host.
    #[inline]
    fn learn(&mut self, host: IpAddr, hop: Hardware) {
        if self.latest == Some((host, hop)) {
            return;
        }
        if self.all.len() < HOSTS_MAX || self.all.contains_key(&host) {
            self.all.insert(host, hop);
            self.latest = Some((host, hop));
        }
    }

    /// The hardware address for frames to a host; `None` if unknown.
    #[inline]
    fn to(&mut self, host: IpAddr) -> Option<Hardware> {
        let hop = match self.latest {
            Some((latest, hop)) if latest == host => hop,
            _ => *self.all.get(&host)?,
        };
        self.latest = Some((host, hop));
        Some(hop)
    }
}

/// Bytes of queued datagrams by FSU; only FSUs that have any.
#[derive(Debug, Default)]
pub(crate) struct Held(HashMap<u32, usize>);

impl Held {
    /// Whether this many more bytes of an FSU may be queued.
    #[inline]
    pub(crate) fn may_hold(&self, place: u32, bytes: usize) -> bool {
        self.0.is_empty() || self.0.get(&place).copied().unwrap_or(0) + bytes <= HELD_BYTES_OF_ONE_MAX
    }

    /// Counts this many bytes of an FSU as queued.
    pub(crate) fn hold(&mut self, place: u32, bytes: usize) {
        *self.0.entry(place).or_default() += bytes;
    }

    /// Counts this many bytes as no longer queued.
    pub(crate) fn let_go(&mut self, place: u32, bytes: usize) {
        if let Some(held) = self.0.get_mut(&place) {
            *held = held.saturating_sub(bytes);
            if *held == 0 {
                self.0.remove(&place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(number: u32) -> IpAddr {
        IpAddr::from((0x0A00_0000 + number).to_be_bytes())
    }

    #[test]
    fn limit_hosts_max_more_are_left_to_the_kernel_and_known_ones_move() {
        let mut hops = Hops::default();
        for number in 0..65_536 {
            hops.learn(host(number), [1; 6]);
        }
        hops.learn(host(65_536), [1; 6]);
        assert_eq!([0, 65_535, 65_536].map(|number| hops.to(host(number))), [Some([1; 6]), Some([1; 6]), None]);
        hops.learn(host(7), [2; 6]);
        assert_eq!([6, 7].map(|number| hops.to(host(number))), [Some([1; 6]), Some([2; 6])]);
    }

    #[test]
    fn limit_held_bytes_of_one_max_is_that_of_one_fsu() {
        let mut held = Held::default();
        held.hold(1, (4 << 20) - 10);
        let may = |held: &Held| [(1, 10), (1, 11), (2, 1_500)].map(|(place, bytes)| held.may_hold(place, bytes));
        assert_eq!(may(&held), [true, false, true]);
        held.let_go(1, 1);
        held.let_go(2, 5);
        assert_eq!(may(&held), [true, true, true]);
        held.let_go(1, 4 << 20);
        assert!(held.0.is_empty());
    }

    #[test]
    fn a_socket_is_reached_at_the_addresses_of_the_device_that_it_is_bound_to() {
        let addresses = ["10.9.0.1", "fd00::1", "fe80::1"].map(|ip| ip.parse().unwrap()).to_vec();
        let device =
            Device { name: "v0".into(), index: 3, hardware: [2; 6], queues: 1, mtu: 1_500, is_up: true, addresses };
        let check = |bound: &str, expected: &[&str]| {
            let got: Vec<String> = reached(&device, bound.parse().unwrap()).iter().map(ToString::to_string).collect();
            assert_eq!(got, expected, "{bound}");
        };
        check("10.9.0.1:9000", &["10.9.0.1"]);
        check("10.9.0.2:9000", &[]);
        check("127.0.0.1:9000", &[]);
        check("0.0.0.0:9000", &["10.9.0.1"]);
        check("[::]:9000", &["10.9.0.1", "fd00::1", "fe80::1"]);
        check("[fd00::1]:9000", &["fd00::1"]);
        check("[fe80::1%3]:9000", &["fe80::1"]);
        check("[fe80::1%4]:9000", &[]);
    }
}
