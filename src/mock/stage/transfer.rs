//! Data that follows an answer in separate frames (spec broadcast.md, Exchange).
//!
//! A good command ends the open transfer of its (client, DID). Its answer leaves without the data frame. If the answer accepts
//! and there is data, a transfer opens and its first frame follows at once. A demand (`next_cmd`) for the next frame, or for
//! the last one again, is met. Any other demand is refused.
//!
//! The open transfers themselves: [`transfers`](crate::state::transfers).

use super::Incoming;
use super::datagram::{is_own_words, send_faulty};
use crate::about::{self, About, NONE, What, told};
use crate::answer::build::is_refusal;
use crate::answer::examine::{Finding, examine_traced};
use crate::answer::random::{Dice, delay_ns};
use crate::answer::reply::{Answered, BURST_SEED, Verdict, answer};
use crate::answer::rule::matching_now;
use crate::answer::turn::{Asked, Form, Scratch, Turn};
use crate::faults::{self, Target};
use crate::seal::seal;
use crate::sink::{Outgoing, Sink};
use crate::state::transfers::{Data, End, Key, Open, Wanted, end};
use fsu_plan::model::fault::{Place, Struck};
use fsu_plan::model::field::KeyPart;
use fsu_plan::model::fleet::AMPLIFICATION_MAX;
use fsu_plan::model::reply::Payload;
use fsu_plan::model::reply::Reply;
use fsu_plan::model::rule::Rule;
use fsu_plan::model::template::Template;
use fsu_plan::model::transfer::Transfer;
use fsu_plan::wire::checksum::{read_number, write_number};
use fsu_plan::wire::inner::{self, Frame, carries, write_lengths};
use fsu_plan::wire::reason::Reason;

/// Answers one datagram of a template with transfers. `Err`: not answered; the reason is counted.
pub(super) fn on_frame(
    turn: &mut Turn<'_>,
    device: usize,
    incoming: Incoming<'_>,
    sink: &mut impl Sink,
) -> Result<(), Reason> {
    let fsu = turn.fsu;
    let template = &*fsu.devices[device].template;
    let Some(transfer) = &template.transfer else { return Ok(()) };
    let Incoming { peer, bytes: wire } = incoming;
    let mut raw = std::mem::take(&mut turn.scratch.raw);
    let result = match inner::parse(template, wire, &mut raw) {
        Ok(frame) => {
            let key = Key { device, peer, did: number(&transfer.did, frame.raw) };
            Served { template, transfer, key, wire, frame }.on_request(turn, sink)
        }
        Err(reason) => {
            turn.scratch.about = About::of(device).drop(reason);
            Err(reason)
        }
    };
    turn.scratch.raw = raw;
    result.inspect_err(|&reason| turn.state.counters.drop(reason))
}

/// A header field as a number.
fn number(part: &KeyPart, raw: &[u8]) -> u64 {
    let at = part.at.in_frame(raw.len());
    read_number(&raw[at..at + part.len], part.little)
}

/// One request, and what its template says.
struct Served<'a> {
    template: &'a Template,
    transfer: &'a Transfer,
    key: Key,
    /// The datagram.
    wire: &'a [u8],
    /// Its frame.
    frame: Frame<'a>,
}

/// A demand for a data frame.
#[derive(Clone, Copy)]
struct Demand {
    /// The template's command for it, if any.
    command: Option<usize>,
    /// Index of the open transfer.
    open: Option<usize>,
}

impl Served<'_> {
    fn on_request(&self, turn: &mut Turn<'_>, sink: &mut impl Sink) -> Result<(), Reason> {
        if carries(&self.transfer.next, self.frame.raw) {
            let device = &*turn.fsu.devices[self.key.device];
            let mut checksum_wrong = false;
            let command = match examine_traced(device, self.frame, &mut checksum_wrong, &mut turn.scratch.trace) {
                Finding::Command(_, command) => Some(Some(command)),
                Finding::Wrong(_, Reason::UnknownCommand) => Some(None),
                // Answered like any other wrong request.
                Finding::Wrong(..) => None,
            };
            if let Some(command) = command {
                let open = self.live(turn);
                // Without an open transfer, a demand that the template has as a command is an ordinary command.
                if open.is_some() || command.is_none() {
                    if checksum_wrong {
                        turn.state.counters.bad_checksum_seen += 1;
                    }
                    return self.on_demand(turn, Demand { command, open }, sink);
                }
            }
        }
        self.on_command(turn, sink)
    }

    /// The open transfer of this client and device, unless it has been idle for too long.
    fn live(&self, turn: &mut Turn<'_>) -> Option<usize> {
        let index = turn.state.transfers.position(self.key)?;
        if turn.state.transfers.list[index].is_idle(self.transfer, turn.moment.since_start_ms) {
            end(turn.state, index, self.transfer, End::Idle);
            return None;
        }
        Some(index)
    }

    fn on_command(&self, turn: &mut Turn<'_>, sink: &mut impl Sink) -> Result<(), Reason> {
        let Answered { verdict, is_command, reply } = answer(turn, self.key.device, self.frame);
        if is_command && let Some(index) = turn.state.transfers.position(self.key) {
            let idle = turn.state.transfers.list[index].is_idle(self.transfer, turn.moment.since_start_ms);
            end(turn.state, index, self.transfer, if idle { End::Idle } else { End::Aborted });
        }
        let due_ns = match verdict {
            Verdict::Reply { .. } if is_own_words(turn, self.template, self.wire) => return Err(Reason::MockReply),
            Verdict::Reply { due_ns } | Verdict::Replies { due_ns } => due_ns,
            Verdict::Silent => {
                turn.state.counters.silent += 1;
                return Ok(());
            }
            Verdict::Heard => return Ok(()),
            Verdict::Dropped(reason) => return Err(reason),
        };
        let Some(payload) = reply.and_then(|reply| self.payload(reply, turn.scratch)) else {
            self.send(turn, Outgoing::Reply, due_ns, sink);
            return Ok(());
        };
        let data_len = match payload {
            Payload::Static(bytes) => bytes.len(),
            Payload::Built | Payload::None | Payload::Raw | Payload::Walked(_) => turn.scratch.built.text.len(),
        };
        if self.is_too_long(turn.scratch.built.raw.len(), data_len, sink.room_bytes()) {
            return self.refuse_too_long(turn, due_ns, sink);
        }
        let (transfer, key, now_ms) = (self.transfer, self.key, turn.moment.since_start_ms);
        if !(Wanted { fsu: turn.fsu, transfer, key, now_ms }).make_room(turn.state) {
            return self.refuse(turn, due_ns, sink);
        }
        self.begin(turn, payload, due_ns, sink);
        Ok(())
    }

    /// Sends an answer, and opens its transfer: the first frame follows at once.
    fn begin(&self, turn: &mut Turn<'_>, payload: &Payload, due_ns: i64, sink: &mut impl Sink) {
        turn.scratch.drawn.set_of(2);
        self.send(turn, Outgoing::Reply, due_ns, sink);
        let due_ms = turn.moment.since_start_at(due_ns);
        let Scratch { built, .. } = &mut *turn.scratch;
        let data = match payload {
            Payload::Static(bytes) => Data::Shared(bytes.clone()),
            Payload::Built | Payload::None | Payload::Raw | Payload::Walked(_) => {
                Data::Own(turn.state.transfers.buffer(&built.text))
            }
        };
        turn.state.counters.transfers_opened += 1;
        let open = turn.state.transfers.open(self.key, &built.raw, data, due_ms);
        turn.state.counters.transfers_completed += u64::from(open.is_complete(self.transfer));
        data_frame(self.template, self.transfer, open, turn.scratch);
        if turn.fsu.faults.is_some() {
            let message = turn.state.messages;
            let place = Place { message, reply: 2, of: 2, frame: Struck::Data, sn: Some(0) };
            let mut dice = data_dice(turn);
            faults::draw_next(turn.fsu, place, dice.rng(), &mut turn.scratch.drawn);
        }
        self.send(turn, Outgoing::Data, due_ns, sink);
    }

    /// Sends what the scratch holds, with its faults.
    #[inline]
    fn send(&self, turn: &mut Turn<'_>, what: Outgoing, due_ns: i64, sink: &mut impl Sink) {
        let about = turn.scratch.about;
        sink.about(if what == Outgoing::Data { About { what: What::Data, ..about } } else { about });
        if turn.scratch.drawn.is_clean() {
            sink.send(what, due_ns, turn.scratch.on_wire(self.template));
        } else {
            send_faulty(turn, (self.template, Form::Own), what, due_ns, sink);
        }
    }

    /// The data that follows this answer, which the scratch holds.
    fn payload<'r>(&self, reply: &'r Reply, scratch: &Scratch) -> Option<&'r Payload> {
        let raw = &scratch.built.raw;
        let accepts = raw[self.transfer.accept.clone()].iter().all(|&byte| byte == 0);
        if !accepts || is_refusal(self.template, reply, raw) {
            return None;
        }
        Some(&reply.payload).filter(|payload| !matches!(payload, Payload::None | Payload::Walked(_)))
    }

    fn on_demand(&self, turn: &mut Turn<'_>, demand: Demand, sink: &mut impl Sink) -> Result<(), Reason> {
        turn.state.messages += 1;
        let about =
            About { command: demand.command.map_or(NONE, told), what: What::Data, ..About::of(self.key.device) };
        turn.scratch.about = about;
        let fsu = turn.fsu;
        let device = &*fsu.devices[self.key.device];
        // A rule for the demand decides whether it is met, and when.
        let of = (self.key.device, device);
        let matched = demand.command.and_then(|command| matching_now(turn, of, command, &self.frame));
        let rule = matched.map(|(number, rule)| {
            turn.scratch.about.rule = told(number);
            rule
        });
        let Some(due_ns) = due_ns(turn, rule) else { return Ok(()) };
        let wanted = number(&self.transfer.sn, self.frame.raw) & self.transfer.count_mask();
        let now_ms = turn.moment.since_start_ms;
        let found = demand.open.and_then(|index| turn.state.transfers.list.get_mut(index));
        let Some(open) = found.filter(|open| {
            let next = open.last + 1;
            wanted == open.last || (wanted == next && next < self.transfer.frames(open.data.bytes().len()))
        }) else {
            return self.refuse(turn, due_ns, sink);
        };
        // A reload may have forbidden what was allowed when the transfer began.
        let chunk_len = self.transfer.chunk(open.data.bytes(), wanted).len();
        if self.template.wire_len(open.head.len() + chunk_len) > sink.room_bytes() {
            return self.refuse_too_long(turn, due_ns, sink);
        }
        let counters = &mut turn.state.counters;
        let advanced = wanted != open.last;
        if !advanced {
            counters.data_frames_resent += 1;
        }
        open.last = wanted;
        open.on_frame_due(advanced, self.transfer, (now_ms, turn.moment.since_start_at(due_ns)));
        counters.transfers_completed += u64::from(advanced && open.is_complete(self.transfer));
        data_frame(self.template, self.transfer, open, turn.scratch);
        turn.scratch.drawn.clear();
        if fsu.faults.is_some() {
            // The demand may not be a command of the template. For `wrong_type` any key differs from the data frame's.
            let (message, sn) = (turn.state.messages, u32::try_from(wanted).ok());
            let place = Place { message, reply: 1, of: 1, frame: Struck::Data, sn };
            let target = Target { place, command: demand.command.unwrap_or(0), since_start_ms: now_ms };
            let own = rule.and_then(|rule| rule.faults.as_deref());
            let mut dice = data_dice(turn);
            faults::draw(fsu, own, target, dice.rng(), &mut turn.scratch.drawn);
        }
        self.send(turn, Outgoing::Reply, due_ns, sink);
        Ok(())
    }

    /// Whether not all data frames could be sent: the first one shares the command's room with the answer, and each later one
    /// answers a demand, which is only a header.
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

    /// Sends the template's refusal to another host that has no room for the data.
    #[cold]
    fn refuse_too_long(&self, turn: &mut Turn<'_>, due_ns: i64, sink: &mut impl Sink) -> Result<(), Reason> {
        self.refuse(turn, due_ns, sink)?;
        turn.state.counters.transfers_refused_amplification += 1;
        sink.note(Reason::Amplification, self.wire);
        Ok(())
    }

    /// Sends the template's refusal. `Err`: the request is that same refusal.
    fn refuse(&self, turn: &mut Turn<'_>, due_ns: i64, sink: &mut impl Sink) -> Result<(), Reason> {
        turn.state.replies += 1;
        let mut dice = turn.dice();
        let due = turn.moment.clock_at(due_ns);
        let asked = Asked { device: self.key.device, request: self.frame.raw, due };
        turn.compose(self.template, &self.transfer.refused, asked, &mut dice);
        if turn.scratch.on_wire(self.template) == self.wire {
            turn.scratch.about = turn.scratch.about.drop(Reason::MockReply);
            return Err(Reason::MockReply);
        }
        turn.state.counters.transfers_refused += 1;
        turn.scratch.about.what = What::Refused;
        sink.about(turn.scratch.about);
        sink.send(Outgoing::Reply, due_ns, turn.scratch.on_wire(self.template));
        Ok(())
    }
}

/// When a demand is met; `None` if its rule leaves it unanswered (counted).
fn due_ns(turn: &mut Turn<'_>, rule: Option<&Rule>) -> Option<i64> {
    let Some(rule) = rule else { return Some(turn.moment.due_ns(0)) };
    if rule.timeout {
        turn.scratch.about.what = What::Silent;
        turn.state.counters.silent += 1;
        return None;
    }
    let delay_ns = if turn.run.skip_delay { 0 } else { delay_ns(rule.delay, &mut turn.dice()) };
    turn.scratch.about.delay_us = about::us(delay_ns);
    Some(turn.moment.due_ns(delay_ns))
}

/// The generator for the faults of a data frame. It differs from the answer's, which has the same message number.
fn data_dice(turn: &Turn<'_>) -> Dice {
    Dice::new(turn.run.seed ^ BURST_SEED, turn.state.identity, turn.state.messages)
}

/// Builds the transfer's current frame: [`Open::last`].
fn data_frame(template: &Template, transfer: &Transfer, open: &Open, scratch: &mut Scratch) {
    let chunk = transfer.chunk(open.data.bytes(), open.last);
    let frame = &mut scratch.built.raw;
    frame.clear();
    let (left, tail) = open.head.split_at(template.left_len.min(open.head.len()));
    frame.extend_from_slice(left);
    frame.extend_from_slice(chunk);
    frame.extend_from_slice(tail);
    frame[transfer.cmd.clone()].copy_from_slice(&transfer.data_cmd);
    let mark = if open.is_complete(transfer) { transfer.last_mark() } else { 0 };
    let sn = transfer.sn.at.in_frame(frame.len());
    write_number(open.last | mark, transfer.sn.little, &mut frame[sn..sn + transfer.sn.len]);
    write_lengths(&template.lengths, chunk.len(), template.less, frame);
    seal(template, frame, &mut scratch.built.wire);
}

#[cfg(test)]
mod tests;
