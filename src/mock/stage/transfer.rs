//! Data that follows an answer in frames of its own (spec broadcast.md, Exchange).
//!
//! A good command ends the open transfer of its (client, DID). Its answer leaves without the data frame; where that
//! accepts and there is data, a transfer opens and its first frame follows at once. Each demand (`next_cmd`) for the
//! next frame, or again for the one sent last, is met; any other is refused.
//!
//! An idle transfer ends when something next comes for it, or its place is needed; after a reload also by time, as it holds
//! data of a plan that is gone. One whose last frame was sent stays until then, as that frame may be lost; it counts as
//! completed already. All of this is on the monotonic clock: setting the wall clock ends no transfer and keeps none.
//!
//! Places are shared ([`shares`]): whoever has fewer than another may take one of that one's.



use crate::about::{self, About, NONE, What, told};
use crate::answer::build::{Inputs, build, finish, is_refusal};
use super::datagram::{is_own_words, send_faulty};
use crate::faults;
use crate::answer::random::{Dice, delay_ns};
use crate::answer::reply::{Answered, BURST_SEED, Finding, Verdict, answer, examine, matching};
use crate::state::FsuState;
use crate::answer::turn::Scratch;
use crate::moment::{Moment, RunContext};
use crate::sink::{Outgoing, Sink};
use fsu_plan::model::fault::{Place, Struck};
use fsu_plan::model::fleet::{AMPLIFICATION_MAX, Fsu};
use fsu_plan::model::rule::Reply;
use fsu_plan::model::template::{KeyPart, Template};
use fsu_plan::model::transfer::{Payload, Transfer};
use fsu_plan::wire::checksum::{read_number, write_number};
use fsu_plan::wire::inner::{self, Frame, carries, length_value_less};
use fsu_plan::wire::reason::Reason;
use crate::state::shares::Shares;
use std::net::{IpAddr, SocketAddr};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// Who a transfer is for: one at a time each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    device: usize,
    peer: SocketAddr,
    did: u64,
}

/// Asking again for a frame keeps its transfer open for so many timeouts from the moment the frame was first due.
const KEPT_TIMEOUTS: u64 = 3;
/// Largest buffer that an ended transfer leaves for the next one.
const KEPT_BUFFER_BYTES_MAX: usize = 1_024;

/// What a transfer carries.
#[derive(Clone, Debug)]
enum Data {
    /// A rule's, shared.
    Shared(Arc<[u8]>),
    /// Built for this transfer.
    Own(Vec<u8>),
}

impl Data {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Shared(bytes) => bytes,
            Self::Own(bytes) => bytes,
        }
    }
}

/// An open transfer.
#[derive(Clone, Debug)]
struct Open {
    key: Key,
    /// The answer's raw frame, which has no data: the header and tail of every data frame.
    head: Vec<u8>,
    data: Data,
    /// The frame sent last.
    last: u64,
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
    fn is_complete(&self, transfer: &Transfer) -> bool {
        self.last + 1 >= transfer.frames(self.data.bytes().len())
    }

    fn is_idle(&self, transfer: &Transfer, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.since_ms) >= transfer.timeout_ms
    }

    /// A frame of it is due then: the next one, or the one sent last once more.
    fn on_frame_due(&mut self, is_next: bool, transfer: &Transfer, now_ms: u64, due_ms: u64) {
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
    list: Vec<Open>,
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
    fn buffer(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.extend_from_slice(bytes);
        buffer
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

    fn position(&self, key: Key) -> Option<usize> {
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
pub(crate) fn carry(state: &mut FsuState, was: &Fsu, moves: &[Option<usize>]) {
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
pub(crate) fn is_same(was: &Template, is: &Template) -> bool {
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
enum End {
    Aborted,
    Idle,
}

/// Lets go of a transfer and counts how it ended; one whose last frame was sent is counted already.
fn end(state: &mut FsuState, index: usize, transfer: &Transfer, how: End) {
    let complete = state.transfers.list[index].is_complete(transfer);
    state.transfers.remove(index);
    if !complete {
        match how {
            End::Aborted => state.counters.transfers_aborted += 1,
            End::Idle => state.counters.transfers_timed_out += 1,
        }
    }
}

/// Answers one datagram of a template with transfers. `Err`: it was not answered, and the reason is counted.
pub(crate) fn on_frame(
    run: &RunContext,
    fsu: &Fsu,
    device: usize,
    state: &mut FsuState,
    peer: SocketAddr,
    wire: &[u8],
    moment: Moment,
    scratch: &mut Scratch,
    sink: &mut impl Sink,
) -> Result<(), Reason> {
    let template = &*fsu.devices[device].template;
    let Some(transfer) = &template.transfer else { return Ok(()) };
    let mut raw = std::mem::take(&mut scratch.raw);
    let result = match inner::parse(template, wire, &mut raw) {
        Ok(frame) => {
            let key = Key { device, peer, did: number(&transfer.did, frame.raw) };
            let served = Served { run, fsu, template, transfer, key, moment, wire };
            served.on_request(state, frame, scratch, sink)
        }
        Err(reason) => {
            scratch.about = About::of(device).drop(reason);
            Err(reason)
        }
    };
    scratch.raw = raw;
    result.inspect_err(|&reason| state.counters.drop(reason))
}

/// A header field as a number.
fn number(part: &KeyPart, raw: &[u8]) -> u64 {
    let at = part.at.in_frame(raw.len());
    read_number(&raw[at..at + part.len], part.little)
}

/// What one request is served with.
struct Served<'a> {
    run: &'a RunContext,
    fsu: &'a Fsu,
    template: &'a Template,
    transfer: &'a Transfer,
    key: Key,
    moment: Moment,
    /// The datagram.
    wire: &'a [u8],
}

impl Served<'_> {
    fn on_request(
        &self,
        state: &mut FsuState,
        frame: Frame<'_>,
        scratch: &mut Scratch,
        sink: &mut impl Sink,
    ) -> Result<(), Reason> {
        if carries(&self.transfer.next, frame.raw) {
            let device = &*self.fsu.devices[self.key.device];
            let mut checksum_wrong = false;
            let command = match examine(device, frame, &mut checksum_wrong) {
                Finding::Command(_, command) => Some(Some(command)),
                Finding::Wrong(_, Reason::UnknownCommand) => Some(None),
                // Wrong as any other request may be, and answered so.
                Finding::Wrong(..) => None,
            };
            if let Some(command) = command {
                let open = self.live(state);
                // Without a transfer it is a command like any other, where the template has it.
                if open.is_some() || command.is_none() {
                    if checksum_wrong {
                        state.counters.bad_checksum_seen += 1;
                    }
                    return self.on_demand(state, frame, command, open, scratch, sink);
                }
            }
        }
        self.on_command(state, frame, scratch, sink)
    }

    /// The open transfer of this client and device, unless it has been idle for too long.
    fn live(&self, state: &mut FsuState) -> Option<usize> {
        let index = state.transfers.position(self.key)?;
        if state.transfers.list[index].is_idle(self.transfer, self.moment.since_start_ms) {
            end(state, index, self.transfer, End::Idle);
            return None;
        }
        Some(index)
    }

    fn on_command(
        &self,
        state: &mut FsuState,
        frame: Frame<'_>,
        scratch: &mut Scratch,
        sink: &mut impl Sink,
    ) -> Result<(), Reason> {
        let answered = answer(self.run, self.fsu, self.key.device, state, frame, self.moment, scratch);
        let Answered { verdict, is_command, reply } = answered;
        if is_command && let Some(index) = state.transfers.position(self.key) {
            let idle = state.transfers.list[index].is_idle(self.transfer, self.moment.since_start_ms);
            end(state, index, self.transfer, if idle { End::Idle } else { End::Aborted });
        }
        let due_ns = match verdict {
            Verdict::Reply { .. } if is_own_words(self.template, state, self.wire, scratch) => {
                return Err(Reason::MockReply);
            }
            Verdict::Reply { due_ns } => due_ns,
            Verdict::Silent => {
                state.counters.silent += 1;
                return Ok(());
            }
            Verdict::Dropped(reason) => return Err(reason),
        };
        let Some(payload) = reply.and_then(|reply| self.payload(reply, scratch)) else {
            self.send(Outgoing::Reply, due_ns, state, scratch, sink);
            return Ok(());
        };
        let data_len = match payload {
            Payload::Static(bytes) => bytes.len(),
            Payload::Built | Payload::None => scratch.text.len(),
        };
        if self.is_too_long(scratch.reply.len(), data_len, sink.room_bytes()) {
            return self.refuse_too_long(state, frame, due_ns, scratch, sink);
        }
        if !self.make_room(state) {
            return self.refuse(state, frame, due_ns, scratch, sink);
        }
        scratch.drawn.set_of(2);
        self.send(Outgoing::Reply, due_ns, state, scratch, sink);
        let data = match payload {
            Payload::Static(bytes) => Data::Shared(bytes.clone()),
            Payload::Built | Payload::None => Data::Own(state.transfers.buffer(&scratch.text)),
        };
        let head = state.transfers.buffer(&scratch.reply);
        let due_ms = self.moment.since_start_at(due_ns);
        let host = state.transfers.hosts.enter(self.key.peer.ip());
        let client = state.transfers.clients.enter(self.key.peer);
        let open = Open { key: self.key, head, data, last: 0, since_ms: due_ms, first_ms: due_ms, host, client };
        state.counters.transfers_opened += 1;
        state.counters.transfers_completed += u64::from(open.is_complete(self.transfer));
        self.data_frame(&open, scratch);
        state.transfers.list.push(open);
        if self.fsu.faults.is_some() {
            let place = Place { message: state.messages, reply: 2, of: 2, frame: Struck::Data, sn: Some(0) };
            faults::draw_next(self.fsu, place, self.data_dice(state).rng(), &mut scratch.drawn);
        }
        self.send(Outgoing::Data, due_ns, state, scratch, sink);
        Ok(())
    }

    /// The generator of the faults of a data frame: another than the answer's, which bears the same number.
    fn data_dice(&self, state: &FsuState) -> Dice {
        Dice::new(self.run.seed ^ BURST_SEED, state.identity, state.messages)
    }

    /// Sends what the scratch holds, with its faults.
    #[inline]
    fn send(&self, what: Outgoing, due_ns: i64, state: &mut FsuState, scratch: &mut Scratch, sink: &mut impl Sink) {
        let about = scratch.about;
        sink.about(if what == Outgoing::Data { About { what: What::Data, ..about } } else { about });
        if scratch.drawn.is_clean() {
            sink.send(what, due_ns, scratch.on_wire(self.template));
        } else {
            send_faulty(what, self.fsu, self.key.device, due_ns, state, scratch, sink);
        }
    }

    /// The data that follows this answer, which [`Scratch::reply`] holds.
    fn payload<'r>(&self, reply: &'r Reply, scratch: &Scratch) -> Option<&'r Payload> {
        let accepts = scratch.reply[self.transfer.accept.clone()].iter().all(|&byte| byte == 0);
        if !accepts || is_refusal(self.template, reply, &scratch.reply) {
            return None;
        }
        Some(&reply.payload).filter(|payload| !matches!(payload, Payload::None))
    }

    /// False: there is no place for one more transfer.
    fn make_room(&self, state: &mut FsuState) -> bool {
        let now_ms = self.moment.since_start_ms;
        if state.transfers.len() < self.transfer.transfers_max {
            return true;
        }
        for index in (0..state.transfers.len()).rev() {
            let transfer = self.transfer_of(&state.transfers.list[index]);
            if state.transfers.list[index].is_idle(transfer, now_ms) {
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

    /// A demand for a data frame; `command`: the template has a command for it.
    fn on_demand(
        &self,
        state: &mut FsuState,
        frame: Frame<'_>,
        command: Option<usize>,
        open: Option<usize>,
        scratch: &mut Scratch,
        sink: &mut impl Sink,
    ) -> Result<(), Reason> {
        state.messages += 1;
        let device = &*self.fsu.devices[self.key.device];
        scratch.about = About { command: command.map_or(NONE, told), what: What::Data, ..About::of(self.key.device) };
        // A rule for the demand says when it is met, and whether.
        let rule = command.and_then(|command| matching(device, command, &frame)).map(|(number, rule)| {
            scratch.about.rule = told(number);
            rule
        });
        let mut due_ns = self.moment.due_ns(0);
        if let Some(rule) = rule {
            if rule.timeout {
                scratch.about.what = What::Silent;
                state.counters.silent += 1;
                return Ok(());
            }
            if !self.run.skip_delay {
                let mut dice = Dice::new(self.run.seed, state.identity, state.messages);
                let delay_ns = delay_ns(rule.delay, &mut dice);
                due_ns = self.moment.due_ns(delay_ns);
                scratch.about.delay_us = about::us(delay_ns);
            }
        }
        let wanted = number(&self.transfer.sn, frame.raw) & self.transfer.count_mask();
        let found = open.and_then(|index| state.transfers.list.get_mut(index));
        let Some(open) = found.filter(|open| {
            let next = open.last + 1;
            wanted == open.last || (wanted == next && next < self.transfer.frames(open.data.bytes().len()))
        }) else {
            return self.refuse(state, frame, due_ns, scratch, sink);
        };
        // A reload may have forbidden what was allowed when it began.
        let chunk_len = self.transfer.chunk(open.data.bytes(), wanted).len();
        if self.template.wire_len(open.head.len() + chunk_len) > sink.room_bytes() {
            return self.refuse_too_long(state, frame, due_ns, scratch, sink);
        }
        if wanted == open.last {
            state.counters.data_frames_resent += 1;
        }
        let advanced = wanted != open.last;
        open.last = wanted;
        let (now_ms, due_ms) = (self.moment.since_start_ms, self.moment.since_start_at(due_ns));
        open.on_frame_due(advanced, self.transfer, now_ms, due_ms);
        state.counters.transfers_completed += u64::from(advanced && open.is_complete(self.transfer));
        self.data_frame(open, scratch);
        scratch.drawn.clear();
        if self.fsu.faults.is_some() {
            // A demand may be no command of the template; for `wrong_type` any of its keys is another than the data frame's.
            let sn = u32::try_from(wanted).ok();
            let place = Place { message: state.messages, reply: 1, of: 1, frame: Struck::Data, sn };
            let (since_start_ms, of) = (self.moment.since_start_ms, (place, command.unwrap_or(0)));
            let own = rule.and_then(|rule| rule.faults.as_deref());
            faults::draw(self.fsu, own, since_start_ms, of, self.data_dice(state).rng(), &mut scratch.drawn);
        }
        self.send(Outgoing::Reply, due_ns, state, scratch, sink);
        Ok(())
    }

    /// Builds the frame of a transfer that is to be sent now: [`Open::last`].
    fn data_frame(&self, open: &Open, scratch: &mut Scratch) {
        let (template, transfer) = (self.template, self.transfer);
        let chunk = transfer.chunk(open.data.bytes(), open.last);
        let frame = &mut scratch.reply;
        frame.clear();
        let (left, tail) = open.head.split_at(template.left_len.min(open.head.len()));
        frame.extend_from_slice(left);
        frame.extend_from_slice(chunk);
        frame.extend_from_slice(tail);
        frame[transfer.cmd.clone()].copy_from_slice(&transfer.data_cmd);
        let mark = if open.is_complete(transfer) { transfer.last_mark() } else { 0 };
        let sn = transfer.sn.at.in_frame(frame.len());
        write_number(open.last | mark, transfer.sn.little, &mut frame[sn..sn + transfer.sn.len]);
        for field in &template.lengths {
            let at = field.at.in_frame(frame.len());
            let value = length_value_less(field, chunk.len(), template.less);
            write_number(value, field.little, &mut frame[at..at + field.len]);
        }
        finish(template, frame, &mut scratch.wire);
    }

    /// Whether the data that follows an answer of so many bytes would not all be sent: the first frame, which shares the
    /// command's room with the answer, or one that answers a demand, which is a header alone.
    fn is_too_long(&self, answer_len: usize, data_len: usize, room_bytes: usize) -> bool {
        if room_bytes == usize::MAX {
            return false;
        }
        let template = self.template;
        let frame_bytes = template.wire_len(answer_len + data_len.min(self.transfer.chunk_bytes));
        let demand_bytes = template.wire_len(template.raw_len_min());
        template.wire_len(answer_len) + frame_bytes > room_bytes
            || (self.transfer.frames(data_len) > 1 && frame_bytes > demand_bytes.saturating_mul(AMPLIFICATION_MAX))
    }

    /// Sends the template's refusal to another host, where data would be longer than it may be there.
    #[cold]
    fn refuse_too_long(
        &self,
        state: &mut FsuState,
        frame: Frame<'_>,
        due_ns: i64,
        scratch: &mut Scratch,
        sink: &mut impl Sink,
    ) -> Result<(), Reason> {
        self.refuse(state, frame, due_ns, scratch, sink)?;
        state.counters.transfers_refused_amplification += 1;
        sink.note(Reason::Amplification, self.wire);
        Ok(())
    }

    /// Sends the template's refusal. `Err`: what came is that refusal itself.
    fn refuse(
        &self,
        state: &mut FsuState,
        frame: Frame<'_>,
        due_ns: i64,
        scratch: &mut Scratch,
        sink: &mut impl Sink,
    ) -> Result<(), Reason> {
        state.replies += 1;
        let mut dice = Dice::new(self.run.seed, state.identity, state.messages);
        let mut inputs = Inputs {
            request: frame.raw,
            memory: state.devices.get(self.key.device),
            id_hex: &self.fsu.id_hex,
            seq: state.replies,
            due: self.moment.clock_at(due_ns),
            calendar: &mut scratch.calendar,
            dice: &mut dice,
        };
        let Scratch { reply, wire, text, .. } = scratch;
        state.counters.value_misfits += build(self.template, &self.transfer.refused, &mut inputs, reply, wire, text);
        if scratch.on_wire(self.template) == self.wire {
            scratch.about = scratch.about.drop(Reason::MockReply);
            return Err(Reason::MockReply);
        }
        state.counters.transfers_refused += 1;
        scratch.about.what = What::Refused;
        sink.about(scratch.about);
        sink.send(Outgoing::Reply, due_ns, scratch.on_wire(self.template));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
