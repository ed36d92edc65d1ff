//! The open transfers of an FSU: who has them, for how long, and who has to give one up.
//!
//! An idle transfer ends when something next comes for it, or its place is needed; after a reload also by time, as it holds
//! data of a plan that is gone. One whose last frame was sent stays until then, as that frame may be lost; it counts as
//! completed already. All of this is on the monotonic clock: setting the wall clock ends no transfer and keeps none.
//!
//! Places are shared ([`shares`](super::shares)): whoever has fewer than another may take one of that one's.

use super::FsuState;
use super::shares::Shares;
use fsu_plan::model::fleet::Fsu;
use fsu_plan::model::template::Template;
use fsu_plan::model::transfer::Transfer;
use std::net::{IpAddr, SocketAddr};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// Who a transfer is for: one at a time each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) device: usize,
    pub(crate) peer: SocketAddr,
    pub(crate) did: u64,
}

/// Asking again for a frame keeps its transfer open for so many timeouts from the moment the frame was first due.
const KEPT_TIMEOUTS: u64 = 3;
/// Largest buffer that an ended transfer leaves for the next one.
const KEPT_BUFFER_BYTES_MAX: usize = 1_024;

/// What a transfer carries.
#[derive(Clone, Debug)]
pub(crate) enum Data {
    /// A rule's, shared.
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
    /// The answer's raw frame, which has no data: the header and tail of every data frame.
    pub(crate) head: Vec<u8>,
    pub(crate) data: Data,
    /// The frame sent last.
    pub(crate) last: u64,
    /// Idle from then on; milliseconds since the start of the run.
    since_ms: u64,
    /// When the frame sent last was due for the first time.
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

    /// A frame of it is due then: the next one, or the one sent last once more.
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
    /// Buffers of ended transfers, at most as many as were ever open at once.
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

    /// A buffer that holds these bytes.
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

/// The transfers of an FSU, made with the first of them: most FSUs never have any, and every request asks.
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

/// After a reload: transfers of a device go on where `moves` has its new number; the others have ended.
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

/// Ends the transfers that are idle at that moment, in milliseconds since the start of the run. Returns after how many
/// milliseconds the next one may be; `None`: none is left.
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

/// Whether a transfer that one template began can go on by another.
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

/// Of those that `may` go, the one that has been idle for longest; of several the first.
fn longest_idle(transfers: &Transfers, may: impl Fn(&Open) -> bool) -> Option<usize> {
    let open = transfers.list.iter().enumerate().filter(|(_, open)| may(open));
    open.min_by_key(|(_, open)| open.since_ms).map(|(index, _)| index)
}

/// How a transfer ended before its last frame was sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Aborted,
    Idle,
}

/// Lets go of a transfer and counts how it ended; one whose last frame was sent is counted already.
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
    /// False: there is no place for one more transfer.
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

    /// One that has been sent whole is kept only in case its last frame was lost: the longest idle one of those, but none of
    /// a host with fewer places than this one's.
    fn spared(&self, transfers: &Transfers) -> Option<usize> {
        let own = transfers.hosts.held(self.key.peer.ip());
        longest_idle(transfers, |open| open.is_complete(self.transfer_of(open)) && transfers.hosts.of(open.host) >= own)
    }

    /// The longest idle one of the host that has most places, where it has at least two more than this client's host; else
    /// the same among the clients of this host. So nobody gains by more addresses, and places do not go to and fro.
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
