//! Sockets that devices send datagrams to.

use super::Options;
use super::ask::Way;
use super::centre::Centre;
use crate::hear::desk::{Answer, Came, Path, Pending, is_foreign};
use crate::link::unasked::is_taken;
use crate::talk::forms::Said;
use crate::talk::recent::Recent;
use fsu_net::sys::{BATCH, Receiver, lost};
use fsu_plan::model::message::Transport;
use fsu_plan::wire::envelope::{CENTER_BYTES, Comm, Frames, HEADER, Head, Up, escape};
use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;

/// Batches received before others are looked at again.
const BATCHES_MAX: usize = 8;
/// FSUs and addresses whose last messages a thread remembers; the messages of others are never known as retries. 100 bytes each.
pub const PEERS_MAX: usize = 100_000;
/// The centre's address.
const CENTER: [u8; CENTER_BYTES] = [0; CENTER_BYTES];

/// Who it is whose last messages are remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Peer {
    Fsu(u32),
    Address(SocketAddr),
}

/// A thread's sockets.
pub struct Datagrams {
    sockets: Vec<UdpSocket>,
    receiver: Option<Receiver>,
    recent: HashMap<Peer, Recent>,
    /// Talks that come without an outer frame.
    bare: Vec<u32>,
    has_outer: bool,
    plain: Vec<u8>,
    outer: Vec<u8>,
    escaped: Vec<u8>,
    request: Vec<u8>,
    /// Addresses that are asked and were not known: who it is, if that is known, and the seat.
    met: HashMap<SocketAddr, (Option<u32>, u32)>,
}

impl Datagrams {
    /// On these sockets.
    pub fn new(options: &Options, sockets: Vec<UdpSocket>) -> Self {
        let cast = &options.hearing.cast;
        let mut bare = cast.talks_over(Transport::Datagram);
        bare.extend(cast.talks_over(Transport::Broadcast));
        bare.sort_unstable();
        bare.dedup();
        let has_outer = bare.is_empty() || cast.speakers.iter().any(|speaker| speaker.transport == Transport::Udp);
        Self {
            receiver: (!sockets.is_empty()).then(Receiver::new),
            sockets,
            recent: HashMap::new(),
            bare,
            has_outer,
            plain: Vec::new(),
            outer: Vec::new(),
            escaped: Vec::new(),
            request: Vec::new(),
            met: HashMap::new(),
        }
    }

    /// Receives what waits.
    ///
    /// # Errors
    /// Those after which the socket cannot be used.
    pub fn receive(&mut self, desk: &mut Centre<'_>, socket: usize) -> io::Result<()> {
        let Some(mut receiver) = self.receiver.take() else { return Ok(()) };
        let received = self.batches(desk, socket, &mut receiver);
        self.receiver = Some(receiver);
        received
    }

    fn batches(&mut self, desk: &mut Centre<'_>, socket: usize, receiver: &mut Receiver) -> io::Result<()> {
        for _ in 0..BATCHES_MAX {
            let count = match receiver.receive(self.sockets[socket].as_fd(), BATCH) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if is_passing(&error) => continue,
                Err(error) => return Err(error),
            };
            for received in (0..count).filter_map(|at| receiver.get(at)) {
                let from = received.peer;
                for bytes in received.datagrams() {
                    desk.count.bytes_in += bytes.len() as u64;
                    self.datagram(desk, socket as u32, from, bytes);
                }
            }
            if count < BATCH {
                return Ok(());
            }
        }
        Ok(())
    }

    /// A datagram came: with outer frames, or bare.
    fn datagram(&mut self, desk: &mut Centre<'_>, socket: u32, from: SocketAddr, bytes: &[u8]) {
        let known = desk.options.cast.by_address(from);
        if known.is_none() && self.has_outer && (self.bare.is_empty() || bytes.first() == Some(&HEADER)) {
            self.frames(desk, socket, from, bytes);
            return;
        }
        let met = self.met.get(&from).copied();
        let known = known.or(met.and_then(|(speaker, _)| speaker));
        let seat = match (&mut desk.asking, known) {
            (Some(asking), Some(known)) => asking.heard(known, Way::Datagram(socket, from)),
            _ => met.map(|(_, seat)| seat),
        };
        if let Some((asking, seat)) = desk.asking.as_mut().zip(seat)
            && asking.is_reply(seat, bytes, false)
        {
            return asking.settle(seat, bytes);
        }
        let cast = &desk.options.cast;
        let talks: Vec<u32> = match known {
            Some(known) => {
                let kind = &cast.kinds[cast.speakers[known as usize].kind as usize];
                kind.talks.iter().map(|voice| voice.talk).collect()
            }
            None => self.bare.clone(),
        };
        let mut best: Option<(u32, Said)> = None;
        for talk in talks {
            let said = desk.options.cast.talks[talk as usize].read(bytes, &mut desk.raw);
            if best.is_none_or(|(_, before)| depth(said) > depth(before)) {
                best = Some((talk, said));
            }
            if matches!(said, Said::Right(_)) {
                break;
            }
        }
        if let Some((asking, seat)) = desk.asking.as_mut().zip(seat)
            && best.is_none_or(|(talk, said)| !is_taken(&cast.talks[talk as usize], said))
        {
            return asking.settle(seat, bytes);
        }
        match best {
            Some((talk, said)) if matches!(said, Said::Right(_)) || known.is_some() => {
                self.take(desk, Came { talk, said, wire: bytes, known, is_stream: false }, (socket, from, None));
            }
            // Of an FSU that says nothing, or of nobody.
            _ if known.is_some() => desk.count.heard.replies += 1,
            _ => desk.count.strangers += 1,
        }
    }

    /// The outer frames of a datagram.
    fn frames(&mut self, desk: &mut Centre<'_>, socket: u32, from: SocketAddr, bytes: &[u8]) {
        let mut plain = std::mem::take(&mut self.plain);
        for item in Frames::new(bytes) {
            let wire = item.as_ref().map_or(&[][..], |frame| frame.bytes);
            let up = item.map_err(|bad| bad.reason).and_then(|frame| Up::new_checked(frame.plain(&mut plain)?));
            match up {
                Ok(up) => match up.comm {
                    Comm::Heartbeat => {
                        desk.count.heard.heartbeat(up.src);
                        let known = desk.options.cast.by_id(up.src);
                        if let Some((asking, known)) = desk.asking.as_mut().zip(known) {
                            asking.worker.book.tally.other.heartbeats += 1;
                            asking.heard(known, Way::Datagram(socket, from));
                        }
                    }
                    Comm::Through(data) => self.through(desk, (socket, from), (up, data), wire),
                },
                Err(_) => desk.count.heard.bad += 1,
            }
        }
        self.plain = plain;
    }

    /// The frame of a device in an outer one.
    fn through(
        &mut self,
        desk: &mut Centre<'_>,
        (socket, from): (u32, SocketAddr),
        (up, data): (Up<'_>, &[u8]),
        wire: &[u8],
    ) {
        let cast = &desk.options.cast;
        let device = [up.sub_dev_type, up.sub_dev_addr];
        let Some(known) = cast.by_id(up.src) else {
            desk.count.heard.replies += 1;
            desk.count.strangers += u64::from(!cast.speakers.is_empty());
            return;
        };
        let seat = desk.asking.as_mut().and_then(|asking| asking.heard(known, Way::Datagram(socket, from)));
        if let Some((asking, seat)) = desk.asking.as_mut().zip(seat)
            && asking.is_reply(seat, data, false)
        {
            return asking.settle_outer(seat, wire, up);
        }
        let kind = &cast.kinds[cast.speakers[known as usize].kind as usize];
        let voice = kind.talks.iter().find(|voice| [voice.sub_dev_type, voice.sub_dev_addr] == device);
        let Some(voice) = voice else {
            return match desk.asking.as_mut().zip(seat) {
                Some((asking, seat)) => asking.settle_outer(seat, wire, up),
                None => desk.count.heard.replies += 1,
            };
        };
        let talk = voice.talk;
        let said = cast.talks[talk as usize].read(data, &mut desk.raw);
        if let Some((asking, seat)) = desk.asking.as_mut().zip(seat)
            && !is_taken(&cast.talks[talk as usize], said)
        {
            return asking.settle_outer(seat, wire, up);
        }
        if is_foreign(said) {
            // A reply to another centre's request, say.
            desk.count.heard.replies += 1;
            return;
        }
        let came = Came { talk, said, wire: data, known: Some(known), is_stream: false };
        self.take(desk, came, (socket, from, Some((known, device))));
    }

    fn take(
        &mut self,
        desk: &mut Centre<'_>,
        came: Came<'_>,
        (socket, from, outer): (u32, SocketAddr, Option<(u32, [u8; 2])>),
    ) {
        let peer = came.known.map_or(Peer::Address(from), Peer::Fsu);
        let mut recent = self.recent.remove(&peer).unwrap_or_default();
        let (speaker, answer) = desk.take(came, &mut recent);
        if came.known.is_none() && outer.is_none() && matches!(came.said, Said::Right(_)) {
            self.meet(desk, (speaker, came.talk), (socket, from));
        }
        let path = Path::Datagram(socket, from, outer);
        match answer {
            Some((answer, 0)) => {
                let wire = std::mem::take(&mut desk.wire);
                self.send(desk, path, &wire, (&answer, &mut recent));
                desk.wire = wire;
            }
            Some((answer, after_ms)) => desk.put_off(answer, after_ms, path),
            None => {}
        }
        if recent.bytes() > 0 && self.recent.len() < PEERS_MAX {
            self.recent.insert(peer, recent);
        }
    }

    /// Somebody speaks from an address that was not known: it may be asked now.
    fn meet(&mut self, desk: &mut Centre<'_>, (speaker, talk): (Option<u32>, u32), (socket, from): (u32, SocketAddr)) {
        let Some(asking) = &mut desk.asking else { return };
        if self.met.len() >= PEERS_MAX
            || self.met.get(&from).is_some_and(|(known, _)| known.is_some() || speaker.is_none())
        {
            return;
        }
        let way = Way::Datagram(socket, from);
        let seat = match speaker {
            Some(speaker) => asking.heard(speaker, way),
            None => asking.unnamed(Some(talk), way),
        };
        if let Some(seat) = seat {
            self.met.insert(from, (speaker, seat));
        }
    }

    /// An acknowledgement that was put off is due.
    pub fn send_later(&mut self, desk: &mut Centre<'_>, pending: &Pending) {
        let Path::Datagram(_, from, outer) = pending.path else { return };
        let fsu = outer.map(|(fsu, _)| fsu).or_else(|| desk.options.cast.by_address(from));
        let peer = fsu.map_or(Peer::Address(from), Peer::Fsu);
        let mut recent = self.recent.remove(&peer).unwrap_or_default();
        self.send(desk, pending.path, &pending.wire, (&pending.answer, &mut recent));
        if recent.bytes() > 0 {
            self.recent.insert(peer, recent);
        }
    }

    fn send(&mut self, desk: &mut Centre<'_>, path: Path, wire: &[u8], (answer, recent): (&Answer, &mut Recent)) {
        let Path::Datagram(socket, to, outer) = path else { return };
        let bytes = match outer {
            None => wire,
            Some((fsu, [sub_dev_type, sub_dev_addr])) => {
                let speaker = &desk.options.cast.speakers[fsu as usize];
                let mut head = Head::request(&speaker.id.bytes, &CENTER, sub_dev_type, sub_dev_addr);
                head.rtn_flag = speaker.rtn_flag;
                if head.build(Some(wire), &mut self.outer).is_err() {
                    return desk.failed(answer);
                }
                escape(&self.outer, &mut self.escaped)
            }
        };
        match self.sockets[socket as usize].send_to(bytes, to) {
            Ok(_) => desk.sent(answer, bytes.len(), recent),
            Err(_) => desk.failed(answer),
        }
    }

    /// Sends a request to a seat.
    pub fn ask(&mut self, desk: &mut Centre<'_>, (seat, planned_ns): (u32, u64), (socket, to): (u32, SocketAddr)) {
        let Some(asking) = &mut desk.asking else { return };
        asking.ask(seat, planned_ns, &mut self.request);
        let sent = self.sockets.get(socket as usize).map(|socket| socket.send_to(&self.request, to));
        if !matches!(sent, Some(Ok(_))) {
            asking.failed();
        }
    }

    /// The end: counts what the kernel dropped.
    pub fn close(&self, desk: &mut Centre<'_>) {
        let lost = self.sockets.iter().filter_map(|socket| lost(socket.as_fd()));
        desk.count.own_drops += lost.map(u64::from).sum::<u64>();
    }
}

fn depth(said: Said) -> u8 {
    match said {
        Said::Right(_) => u8::MAX,
        Said::Wrong(_, wrong) => wrong.depth(),
    }
}

/// Errors that say nothing about the socket itself.
fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, HostUnreachable, Interrupted, NetworkUnreachable};
    matches!(error.kind(), ConnectionRefused | HostUnreachable | NetworkUnreachable | Interrupted)
}

#[cfg(test)]
mod tests;
