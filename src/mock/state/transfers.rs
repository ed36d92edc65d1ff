//! The open transfers of an FSU: who has them, how long they stay open, and which one gives up its place.
//!
//! An idle transfer ends when the next request for it comes, or when its place is needed. After a reload it also ends by time,
//! because it holds data of the old plan. A transfer whose last frame was sent stays open in case that frame is lost; it counts
//! as completed. All times are on the monotonic clock, so setting the wall clock has no effect.
//!
//! Clients share the places fairly ([`shares`](super::shares)): a client with fewer places may take one of a client with more.

use super::FsuState;
use super::shares::Shares;
use fsu_plan::model::fleet::Fsu;
use fsu_plan::model::template::Template;
use fsu_plan::model::transfer::Transfer;
use std::net::{IpAddr, SocketAddr};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// What a transfer belongs to. Each key has at most one open transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) device: usize,
    pub(crate) peer: SocketAddr,
    pub(crate) did: u64,
}

/// Repeated demands for a frame keep its transfer open for this many timeouts after the frame was first due.
const KEPT_TIMEOUTS: u64 = 3;
/// Largest buffer that is kept for the next transfer.
const KEPT_BUFFER_BYTES_MAX: usize = 1_024;

/// What a transfer carries.
#[derive(Clone, Debug)]
pub(crate) enum Data {
    /// A rule's data, shared.
    Shared(Arc<[u8]>),
    /// Built for this transfer.
    Own(Vec<u8>),
}

impl Data {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Shared(bytes) => bytes,
            Self::Own(bytes) => bytes,
        }
    }
}

/// An open transfer.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    pub(crate) key: Key,
    /// The answer's raw frame without data: header and tail of every data frame.
    pub(crate) head: Vec<u8>,
    pub(crate) data: Data,
    /// The frame sent last.
    pub(crate) last: u64,
    /// Idle since then, in milliseconds since the start of the run.
    since_ms: u64,
    /// When the last frame sent was first due.
    first_ms: u64,
    /// Its host among [`Transfers::hosts`].
    host: u32,
    /// Its client among [`Transfers::clients`].
    client: u32,
}

impl Open {
    pub(crate) fn is_complete(&self, transfer: &Transfer) -> bool {
        self.last + 1 >= transfer.frames(self.data.bytes().len())
    }

    pub(crate) fn is_idle(&self, transfer: &Transfer, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.since_ms) >= transfer.timeout_ms
    }

    /// A frame is due at `due_ms`: the next one, or the last one again.
    pub(crate) fn on_frame_due(&mut self, is_next: bool, transfer: &Transfer, (now_ms, due_ms): (u64, u64)) {
        if is_next {
            self.first_ms = due_ms;
        } else if now_ms >= self.first_ms.saturating_add(transfer.timeout_ms.saturating_mul(KEPT_TIMEOUTS)) {
            return;
        }
        self.since_ms = due_ms;
    }
}

/// The open transfers of one FSU, in the order of their opening.
#[derive(Clone, Debug, Default)]
pub struct Transfers {
    pub(crate) list: Vec<Open>,
    /// Places by host.
    hosts: Shares<IpAddr>,
    /// Places by client.
    clients: Shares<SocketAddr>,
    /// Buffers of ended transfers: at most as many as the largest number of open transfers.
    spare: Vec<Vec<u8>>,
}

impl Transfers {
    /// How many are open, idle ones included.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// A buffer with these bytes.
    pub(crate) fn buffer(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.extend_from_slice(bytes);
        buffer
    }

    /// Opens a transfer whose first frame is due then.
    pub(crate) fn open(&mut self, key: Key, head: &[u8], data: Data, due_ms: u64) -> &Open {
        let head = self.buffer(head);
        let (host, client) = (self.hosts.enter(key.peer.ip()), self.clients.enter(key.peer));
        self.list.push(Open { key, head, data, last: 0, since_ms: due_ms, first_ms: due_ms, host, client });
        &self.list[self.list.len() - 1]
    }

    fn remove(&mut self, index: usize) {
        let Open { head, data, host, client, .. } = self.list.remove(index);
        self.hosts.leave(host);
        self.clients.leave(client);
        let own = if let Data::Own(bytes) = data { Some(bytes) } else { None };
        for mut buffer in own.into_iter().chain([head]) {
            if buffer.capacity() <= KEPT_BUFFER_BYTES_MAX {
                buffer.clear();
                self.spare.push(buffer);
            }
        }
    }

    pub(crate) fn position(&self, key: Key) -> Option<usize> {
        self.list.iter().position(|open| open.key == key)
    }
}

/// The transfers of an FSU, allocated with the first one. Most FSUs never have any, and every request checks.
#[derive(Clone, Debug, Default)]
pub struct MaybeTransfers(Option<Box<Transfers>>);

impl Deref for MaybeTransfers {
    type Target = Transfers;

    #[inline]
    fn deref(&self) -> &Transfers {
        static NONE: Transfers =
            Transfers { list: Vec::new(), hosts: Shares::NONE, clients: Shares::NONE, spare: Vec::new() };
        self.0.as_deref().unwrap_or(&NONE)
    }
}

impl DerefMut for MaybeTransfers {
    fn deref_mut(&mut self) -> &mut Transfers {
        self.0.get_or_insert_default()
    }
}

/// After a reload: the transfers of a device continue if `moves` has its new number; the others end.
pub(super) fn carry(state: &mut FsuState, was: &Fsu, moves: &[Option<usize>]) {
    for index in (0..state.transfers.list.len()).rev() {
        let device = state.transfers.list[index].key.device;
        match moves.get(device).copied().flatten() {
            Some(number) => state.transfers.list[index].key.device = number,
            None => match was.devices.get(device).and_then(|device| device.template.transfer.as_ref()) {
                Some(transfer) => end(state, index, transfer, End::Aborted),
                None => state.transfers.remove(index),
            },
        }
    }
}

/// Ends the transfers that are idle at `now_ms`, in milliseconds since the start of the run. Returns in how many milliseconds
/// the next one may be idle; `None` if none is left.
pub fn sweep(state: &mut FsuState, fsu: &Fsu, now_ms: u64) -> Option<u64> {
    let mut next = None;
    for index in (0..state.transfers.len()).rev() {
        let open = &state.transfers.list[index];
        let Some(transfer) = fsu.devices.get(open.key.device).and_then(|device| device.template.transfer.as_ref())
        else {
            continue;
        };
        if open.is_idle(transfer, now_ms) {
            end(state, index, transfer, End::Idle);
        } else {
            next = Some(next.map_or(transfer.timeout_ms, |ms: u64| ms.min(transfer.timeout_ms)));
        }
    }
    next
}

/// Whether a transfer that began under one template can continue under the other.
pub(super) fn is_same(was: &Template, is: &Template) -> bool {
    let (Some(before), Some(now)) = (&was.transfer, &is.transfer) else { return false };
    let place = |transfer: &Transfer| {
        (
            transfer.cmd.clone(),
            transfer.sn,
            transfer.last_bit,
            transfer.did,
            transfer.accept.clone(),
            transfer.chunk_bytes,
        )
    };
    place(before) == place(now) && before.data_cmd == now.data_cmd && was.left == is.left && was.tail == is.tail
}

/// The longest idle transfer among those that `may` go; the first of several equals.
fn longest_idle(transfers: &Transfers, may: impl Fn(&Open) -> bool) -> Option<usize> {
    let open = transfers.list.iter().enumerate().filter(|(_, open)| may(open));
    open.min_by_key(|(_, open)| open.since_ms).map(|(index, _)| index)
}

/// Why a transfer ends before its last frame was sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Aborted,
    Idle,
}

/// Removes a transfer and counts why it ended, unless its last frame was sent: then it was counted.
pub(crate) fn end(state: &mut FsuState, index: usize, transfer: &Transfer, how: End) {
    let complete = state.transfers.list[index].is_complete(transfer);
    state.transfers.remove(index);
    if !complete {
        match how {
            End::Aborted => state.counters.transfers_aborted += 1,
            End::Idle => state.counters.transfers_timed_out += 1,
        }
    }
}

/// A client that wants a place for a transfer, and what its template says of transfers.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) fsu: &'a Fsu,
    pub(crate) transfer: &'a Transfer,
    pub(crate) key: Key,
    /// Milliseconds since the start of the run.
    pub(crate) now_ms: u64,
}

impl Wanted<'_> {
    /// Makes a place for one more transfer; false if there is none.
    pub(crate) fn make_room(&self, state: &mut FsuState) -> bool {
        if state.transfers.len() < self.transfer.transfers_max {
            return true;
        }
        for index in (0..state.transfers.len()).rev() {
            let transfer = self.transfer_of(&state.transfers.list[index]);
            if state.transfers.list[index].is_idle(transfer, self.now_ms) {
                end(state, index, transfer, End::Idle);
            }
        }
        if state.transfers.len() < self.transfer.transfers_max {
            return true;
        }
        let Some(index) = self.spared(&state.transfers).or_else(|| self.past_its_share(&state.transfers)) else {
            return false;
        };
        let transfer = self.transfer_of(&state.transfers.list[index]);
        end(state, index, transfer, End::Aborted);
        true
    }

    /// A transfer that was sent whole stays open only in case its last frame is lost. The longest idle of these, but not of a host
    /// with fewer places than this client's host.
    fn spared(&self, transfers: &Transfers) -> Option<usize> {
        let own = transfers.hosts.held(self.key.peer.ip());
        longest_idle(transfers, |open| open.is_complete(self.transfer_of(open)) && transfers.hosts.of(open.host) >= own)
    }

    /// The longest idle transfer of the host with most places, if it has at least two more than this client's host; otherwise the
    /// same among the clients of this host. So more addresses bring no advantage, and places do not move back and forth.
    fn past_its_share(&self, transfers: &Transfers) -> Option<usize> {
        let (hosts, clients) = (&transfers.hosts, &transfers.clients);
        let (own, most) = (hosts.held(self.key.peer.ip()), hosts.most(|_| true));
        if own + 1 < most {
            return longest_idle(transfers, |open| hosts.of(open.host) == most);
        }
        let is_here = |client: &SocketAddr| client.ip() == self.key.peer.ip();
        let (own, most) = (clients.held(self.key.peer), clients.most(is_here));
        if own + 1 < most {
            return longest_idle(transfers, |open| is_here(&open.key.peer) && clients.of(open.client) == most);
        }
        None
    }

    /// What its template says of an open transfer.
    fn transfer_of(&self, open: &Open) -> &Transfer {
        let device = self.fsu.devices.get(open.key.device);
        device.and_then(|device| device.template.transfer.as_ref()).unwrap_or(self.transfer)
    }
}

#[cfg(test)]
mod tests;
