//! One socket for all udp FSUs of a shard (`--one-socket`, docs/use/one-socket.md).
//!
//! A program in the kernel delivers the datagrams for the FSUs' addresses to it. Replies leave through a raw socket, each from its FSU's
//! port. The only kernel state per FSU is its entry in the program's map.

use super::base::Base;
use super::port::{Arriving, Batch, Held};
use super::served::{Served, source};
use crate::shard::io::{Datagram, Outcome};
use fsu_net::local::Local;
use fsu_net::outbox::Outbox;
use fsu_net::sender::is_full;
use fsu_net::sys::{BATCH, Receiver, lost};
use fsu_net::xdp::lookup::{LookUp, RawSender, source_to};
use fsu_plan::counters::{JSON_ONLY, sentence};
use rustix::io::Errno;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

fsu_plan::counters! {
    /// What a shard counts of the one socket of its udp FSUs.
    pub struct OneCounts {
        /// Datagrams taken from it.
        received: u64 = JSON_ONLY,
        /// Datagrams sent from its FSUs' ports.
        sent: u64 = JSON_ONLY,
        /// Datagrams for an address that no FSU has any more, or to the socket's own port.
        unusable: u64 = JSON_ONLY,
        /// Addresses that could not be put into the program's map: nothing comes from them.
        not_opened: u64 = sentence("address of an FSU is not served: the program's map is full", "addresses of FSUs are not served: the program's map is full"),
        /// Datagrams that the kernel lost because the socket had no room; of which FSUs is not known.
        kernel_drops: u64 = sentence("datagram was lost by the kernel: the one socket's receive buffer was full", "datagrams were lost by the kernel: the one socket's receive buffer was full"),
    }
}

/// The shared socket of all udp FSUs of a shard.
#[derive(Debug)]
pub struct Shared {
    /// The socket.
    pub socket: UdpSocket,
    /// Its index in the program's socket map.
    pub number: u32,
    /// The program that delivers datagrams to it.
    pub program: Arc<LookUp>,
}

/// The shard's side of the shared socket.
pub(crate) struct One {
    shared: Shared,
    raw: RawSender,
    served: Served,
    counts: OneCounts,
}

impl One {
    /// A shared socket without FSUs.
    ///
    /// # Errors
    /// The system refused a raw socket.
    pub(crate) fn new(shared: Shared) -> std::io::Result<Self> {
        let raw = RawSender::open()?;
        Ok(Self { shared, raw, served: Served::new(), counts: OneCounts::default() })
    }

    /// The socket: readable when datagrams have arrived.
    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.shared.socket.as_fd()
    }

    /// The counters so far.
    pub(crate) fn counts(&self) -> OneCounts {
        let kernel_drops = lost(self.socket()).map_or(0, u64::from);
        OneCounts { kernel_drops, ..self.counts.clone() }
    }

    /// Whether it serves the FSU at a place.
    pub(crate) fn serves(&self, place: u32) -> bool {
        self.served.bound(place).is_some()
    }

    /// Prefetches what sending from a place reads.
    #[inline]
    pub(crate) fn prefetch(&self, place: u32) {
        self.served.prefetch(place);
    }

    /// How many places it has: it serves none past these.
    pub(crate) fn places(&self) -> u32 {
        self.served.places()
    }

    /// Directs the datagrams of these FSUs to the shared socket.
    pub(crate) fn open(&mut self, fsus: &[(u32, SocketAddr)]) {
        let mut opened = Vec::with_capacity(fsus.len());
        self.served.reserve(fsus.last().map_or(0, |&(place, _)| place as usize + 1));
        for &(place, address) in fsus {
            if self.served.bound(place).is_none() {
                self.served.add(place, address, &[address.ip()]);
                opened.push(address);
            }
        }
        if let Err(error) = self.shared.program.addresses().add(&opened, self.shared.number) {
            self.counts.not_opened += opened.len() as u64;
            log::error!("the program takes no more addresses ({error}): some FSUs are not served");
        }
    }

    /// Stops receiving for a removed FSU.
    pub(crate) fn close(&mut self, place: u32) {
        let Some(address) = self.served.remove(place) else { return };
        self.served.forget(address);
        // Fails if the address was never added; that is fine.
        let _ = self.shared.program.addresses().remove(address);
    }

    /// Sends datagrams from `at` on, at most `most`, of any FSU. Returns how many it handled, and their outcome. `None`: the first belongs
    /// to an FSU with its own socket.
    pub(crate) fn send(&mut self, outbox: &Outbox<Datagram>, at: usize, most: usize) -> Option<(usize, Outcome)> {
        self.raw.clear();
        let mut count = 0;
        while count < most.min(BATCH)
            && let Some((datagram, bytes)) = outbox.get(at + count)
            && let Some(bound) = self.served.bound(datagram.socket)
        {
            let Some(from) = from(bound, &datagram) else {
                if count == 0 {
                    return Some((1, Outcome::Failed(Errno::NETUNREACH.raw_os_error())));
                }
                break;
            };
            if !self.raw.push(from, datagram.peer, bytes) {
                break;
            }
            count += 1;
        }
        if count == 0 {
            return None;
        }
        Some(match self.raw.send() {
            Ok(sent) => {
                self.counts.sent += sent as u64;
                (sent.max(1), Outcome::Sent)
            }
            Err(error) if is_full(&error) => (count, Outcome::Full),
            Err(error) => (1, Outcome::Failed(error.raw_os_error().unwrap_or(0))),
        })
    }

    /// The FSU that a datagram is for. The lookup order is that of the BPF program.
    #[inline]
    fn admit(&self, asked_at: SocketAddr, peer: SocketAddr, bytes: usize) -> Option<Arriving> {
        let (ip, port) = (asked_at.ip(), asked_at.port());
        let four = if ip.is_ipv4() { self.served.place(Ipv4Addr::UNSPECIFIED.into(), port) } else { None };
        let own = self.served.place(ip, port).or(four);
        let place = own.or_else(|| self.served.place(Ipv6Addr::UNSPECIFIED.into(), port))?;
        let bound = self.served.bound(place)?;
        let scope = if let SocketAddr::V6(six) = asked_at { six.scope_id() } else { 0 };
        let local = if bound.ip().is_unspecified() { Local::new(ip, scope) } else { Local::ANY };
        Some(Arriving { place, peer, local, start: 0, bytes })
    }
}

/// The source address of a datagram.
#[inline]
fn from(bound: SocketAddr, datagram: &Datagram) -> Option<SocketAddr> {
    source(bound, datagram.local).or_else(|| Some(SocketAddr::new(source_to(datagram.peer)?, bound.port())))
}

/// The receiving side.
pub(crate) struct Sharing {
    receiver: Receiver,
    /// By datagram of the last look; `None` if no FSU has the address.
    arriving: Vec<Option<Arriving>>,
    held: Held,
}

impl Sharing {
    pub(crate) fn new() -> Self {
        Self { receiver: Receiver::new(), arriving: Vec::with_capacity(BATCH), held: Held::default() }
    }
}

impl Batch for Sharing {
    /// A received datagram cannot be left with the kernel.
    const MAY_STOP: bool = false;

    fn look(&mut self, base: &mut Base) -> usize {
        self.arriving.clear();
        let Some(one) = base.one.as_deref_mut() else { return 0 };
        // An error without a datagram belongs to an earlier send, which was counted then.
        let count = self.receiver.receive(one.socket(), BATCH).unwrap_or(0);
        for number in 0..count {
            let received = self.receiver.get(number);
            let arriving = received
                .and_then(|received| one.admit(received.control.asked_at?, received.peer, received.bytes.len()));
            one.counts.unusable += u64::from(arriving.is_none());
            one.counts.received += u64::from(arriving.is_some());
            self.arriving.push(arriving);
        }
        count
    }

    fn get(&self, number: usize) -> Option<(Arriving, &[u8], Option<i64>)> {
        let arriving = self.arriving(number)?;
        let received = self.receiver.get(number)?;
        Some((arriving, received.bytes, received.control.arrived_ns))
    }

    fn arriving(&self, number: usize) -> Option<Arriving> {
        *self.arriving.get(number)?
    }

    fn done(&mut self, _count: usize, _base: &mut Base) {}

    fn held(&mut self) -> &mut Held {
        &mut self.held
    }
}
