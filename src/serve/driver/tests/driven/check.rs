//! What must hold of a run.

use super::Run;
use super::script::{DATAGRAM_FSUS, END_NS, Peer, Stop, replies_to, reply_to, served};
use crate::driver::tests::kernel::START_NS;
use crate::driver::tests::kernel::net::JOINED_NS_MAX;
use crate::driver::tests::kernel::streams::{End, Stream};
use crate::shard::serve::DRAIN_MS;
use fsu_core::state::Counters;
use fsu_plan::model::fleet::Fsu;
use fsu_plan::wire::reason::Reason;
use std::collections::BTreeMap;

/// Nobody waits longer for a driver that has others to look after, in nanoseconds of virtual time.
const WAIT_NS_MAX: u64 = 20_000_000;

impl Run {
    fn counters(&self, fsu: usize) -> &Counters {
        let (number, counters) = &self.ended.counters[fsu];
        assert_eq!(*number, fsu);
        counters
    }

    fn dropped(&self, fsu: usize, reasons: &[Reason]) -> u64 {
        reasons.iter().map(|&reason| self.counters(fsu).dropped[reason as usize]).sum()
    }

    pub(crate) fn check(&self) {
        let fleet = served(self.script.limits);
        for (number, fsu) in fleet.fsus.iter().enumerate() {
            if number < DATAGRAM_FSUS { self.check_datagrams(number, fsu) } else { self.check_streams(number, fsu) }
        }
        self.check_end();
    }

    /// Each datagram that was received is answered once, or its reply is counted as lost, or it was none.
    fn check_datagrams(&self, number: usize, fsu: &Fsu) {
        let kernel = self.kernel.borrow();
        let (socket, counters) = (&kernel.udp[number], self.counters(number));
        let mut owed = BTreeMap::<_, Vec<(u64, u64)>>::new();
        let (mut requests, mut frames) = (0, 0);
        for taken in &socket.taken {
            let (reply, received) = reply_to(fsu, taken);
            frames += received;
            if let Some((reply, delay_ns)) = reply {
                requests += 1;
                owed.entry((taken.peer, reply)).or_default().push((taken.ns, delay_ns));
            }
        }
        let left: Vec<_> = kernel.left.iter().filter(|left| left.socket == number).collect();
        for left in &left {
            let all = owed.get_mut(&(left.peer, left.bytes.clone())).filter(|all| !all.is_empty());
            let (came_ns, delay_ns) = all.expect("a reply that was asked for, and not sent yet").remove(0);
            let early_ns = (came_ns + delay_ns).saturating_sub(left.ns);
            assert!(early_ns <= JOINED_NS_MAX, "FSU {number}: sent {early_ns} ns before it is due");
            let waited_ns = left.ns.saturating_sub(came_ns + delay_ns);
            let may_ns = WAIT_NS_MAX + 3 * self.script.weather.late_wakeup_ns;
            assert!(
                socket.refusals > 0 || waited_ns <= may_ns,
                "FSU {number}: it waited {waited_ns} ns, not {may_ns}, from {}, turns {}",
                came_ns - START_NS,
                kernel.turn_ns_max
            );
        }
        let lost = [Reason::SendFailed, Reason::DrainEnded, Reason::PendingFull, Reason::PendingShare];
        let lost = self.dropped(number, &lost) + self.dropped(number, &[Reason::PendingPeerShare]);
        assert_eq!(counters.answered, left.len() as u64, "answered");
        assert_eq!(counters.received, counters.answered + counters.dropped_total() - self.errors(number), "received");
        let lost_in_socket = u64::from(socket.lost);
        if self.script.stop == Stop::AtRest {
            assert_eq!(counters.received, frames, "received");
            assert_eq!(requests, counters.answered + lost, "requests");
            assert_eq!(kernel.waiting(), 0, "datagrams that nobody looks at");
            assert_eq!(counters.kernel_drops, lost_in_socket, "lost in the socket");
        } else {
            // Some may have come between the last look and the end.
            assert!(counters.kernel_drops <= lost_in_socket);
            let told = (counters.received, frames, requests, counters.answered, lost);
            assert!(told.0 <= told.1 && told.2 >= told.3 + told.4, "{told:?}: {counters:?}");
        }
    }

    /// Drops that are no requests.
    fn errors(&self, number: usize) -> u64 {
        self.dropped(number, &[Reason::SocketError, Reason::AcceptFailed])
    }

    fn check_streams(&self, number: usize, fsu: &Fsu) {
        let kernel = self.kernel.borrow();
        let mut answered = 0;
        for peer in self.script.peers.iter().filter(|peer| peer.fsu == number) {
            let stream = &kernel.streams[peer.stream];
            answered += self.check_stream(peer, stream, fsu);
        }
        let counters = self.counters(number);
        assert_eq!(counters.answered, answered, "answered");
        let lost =
            self.dropped(number, &[Reason::PeerGone, Reason::SendFailed, Reason::DrainEnded, Reason::WriteDeadline]);
        assert!(counters.received >= answered && counters.received <= answered + lost, "received: {counters:?}");
    }

    /// What was written is the beginning of the replies to what was read; all of it where nothing kept it. How many are whole.
    fn check_stream(&self, peer: &Peer, stream: &Stream, fsu: &Fsu) -> u64 {
        let replies = replies_to(fsu, &stream.read);
        let expected = replies.concat();
        assert!(peer.sent.starts_with(&stream.read), "bytes are lost or in another order");
        assert!(expected.starts_with(&stream.written), "other replies, or in another order");
        assert!(stream.written.starts_with(&stream.taken));
        let (mut whole, mut end) = (0, 0);
        for reply in &replies {
            end += reply.len();
            whole += u64::from(end <= stream.written.len());
        }
        if self.must_be_served(peer, stream) {
            assert_eq!(
                stream.read.len(),
                peer.sent.len(),
                "requests are not read {:?} {:?}",
                stream.came_until.iter().take(3).collect::<Vec<_>>(),
                stream.written_until
            );
            assert_eq!(stream.taken, expected, "replies are missing");
            assert_eq!(stream.end, Some(End::Closed));
            let last_ns = stream.written_until.last().map_or(0, |&(_, ns)| ns);
            assert!(last_ns < START_NS + END_NS, "it was answered by the end only");
        }
        whole
    }

    /// Nothing has kept a peer from having all of its replies.
    fn must_be_served(&self, peer: &Peer, stream: &Stream) -> bool {
        let limits = &self.script.limits;
        let is_unlimited = [limits.frame_deadline_ms, limits.idle_timeout_ms, limits.write_deadline_ms]
            .iter()
            .all(|&ms| ms * 1_000_000 > END_NS)
            && limits.connections_max > self.script.peers.len();
        peer.is_good && is_unlimited && self.script.stop == Stop::AtRest && stream.is_accepted
    }

    /// The end comes in time.
    fn check_end(&self) {
        let kernel = self.kernel.borrow();
        let took_ns = kernel.ended_ns - kernel.told_ns.expect("it was told to end");
        let may_ns = WAIT_NS_MAX + 4 * self.script.weather.late_wakeup_ns;
        let may_ns = if self.script.stop == Stop::Now { may_ns } else { DRAIN_MS * 1_000_000 + may_ns };
        assert!(took_ns <= may_ns, "the end took {took_ns} ns");
    }

    /// The same seed is the same run.
    pub(crate) fn check_repeats(&self, again: &Self) {
        let (first, second) = (self.kernel.borrow(), again.kernel.borrow());
        assert_eq!(first.ended_ns, second.ended_ns);
        assert_eq!(first.left, second.left);
        for (first, second) in first.streams.iter().zip(&second.streams) {
            assert_eq!(first.written_until, second.written_until);
        }
    }

    /// Where nothing was lost, peers have the same from both drivers.
    pub(crate) fn check_same(&self, other: &Self) {
        let other_run = other;
        let (ours, theirs) = (self.kernel.borrow(), other.kernel.borrow());
        for peer in &self.script.peers {
            let (our, their) = (&ours.streams[peer.stream], &theirs.streams[peer.stream]);
            if self.must_be_served(peer, our) && other.must_be_served(peer, their) {
                assert_eq!((&our.taken, our.end), (&their.taken, their.end));
            }
        }
        for number in 0..DATAGRAM_FSUS {
            let is_whole = |run: &Self, lost: u32| {
                let reasons = [Reason::SendFailed, Reason::PendingFull, Reason::PendingShare, Reason::PendingPeerShare];
                run.script.stop == Stop::AtRest && lost == 0 && run.dropped(number, &reasons) == 0
            };
            if is_whole(self, ours.udp[number].lost) && is_whole(other, theirs.udp[number].lost) {
                let [our, their] = [&ours, &theirs].map(|kernel| {
                    let mut all: Vec<_> = kernel
                        .left
                        .iter()
                        .filter(|left| left.socket == number)
                        .map(|left| (left.peer, left.bytes.clone()))
                        .collect();
                    all.sort();
                    all
                });
                let other = our.iter().zip(&their).find(|(our, their)| our != their);
                let counters = [self, other_run].map(|run| run.counters(number).clone());
                assert!(
                    our == their,
                    "the drivers answer otherwise: {} {} {other:?} {counters:?}",
                    our.len(),
                    their.len()
                );
            }
        }
    }
}
