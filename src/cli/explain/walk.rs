//! Passes the bytes to the FSU, through the stages that serve, and records the result for each piece.

use super::answer::{self, Built};
use super::from_fsu::after_ms;
use super::model::{Item, Verdict};
use super::outer;
use super::take::{self, Taken, take};
use crate::columns::hex;
use fsu_core::answer::reply::{Verdict as Response, next_of_burst, respond};
use fsu_core::answer::turn::{Scratch, Turn};
use fsu_core::dissect::outer::Way;
use fsu_core::moment::{Moment, RunContext};
use fsu_core::replies::{self, Replies, Said};
use fsu_core::sink::Outgoing;
use fsu_core::stage::{self, Incoming};
use fsu_core::stage::{b_interface, datagram, stream};
use fsu_core::state::FsuState;
use fsu_core::state::progress::Patience;
use fsu_plan::model::fault::FsuFaults;
use fsu_plan::model::fleet::{AMPLIFICATION_MAX, Fsu};
use fsu_plan::model::message::Transport;
use fsu_plan::model::template::Framing;
use fsu_plan::wire::envelope::{CENTER_BYTES, Comm, Down, Escaped, Frames, Head, escape};
use fsu_plan::wire::framer::{Cut, Search};
use fsu_plan::wire::inner;
use fsu_plan::wire::reason::Reason;

/// A fresh FSU, and the bytes that it receives.
pub(super) struct Walk<'a> {
    /// The FSU, without its faults.
    pub(super) fsu: &'a Fsu,
    /// The faults configured for it.
    pub(super) faults: Option<&'a FsuFaults>,
    /// What is known about the bytes.
    pub(super) said: take::Said,
    /// Everything that was sent, as it is sent.
    pub(super) sent: Vec<Vec<u8>>,
    /// Size of the datagram that caused the replies.
    pub(super) asked_bytes: usize,
    /// Whether another host gets a refusal instead.
    pub(super) is_refused_far: bool,
    run: RunContext,
    /// When the bytes arrive.
    pub(super) moment: Moment,
    /// The FSU's state.
    pub(super) state: FsuState,
    scratch: Scratch,
}

/// A copy of a message that was sent.
pub(super) struct Sent {
    /// What it is.
    pub(super) what: Outgoing,
    /// When it is due.
    pub(super) due_ns: i64,
    /// The bytes on the wire.
    pub(super) bytes: Vec<u8>,
}

impl From<replies::Sent<'_>> for Sent {
    fn from(sent: replies::Sent<'_>) -> Self {
        Self { what: sent.what, due_ns: sent.due_ns, bytes: sent.bytes.to_vec() }
    }
}

impl<'a> Walk<'a> {
    /// A walk before the first byte.
    pub(super) fn new(fsu: &'a Fsu, run: RunContext, moment: Moment) -> Self {
        let (said, state, scratch) = (take::Said::default(), FsuState::new(fsu), Scratch::default());
        Self {
            fsu,
            faults: None,
            said,
            sent: Vec::new(),
            asked_bytes: 0,
            is_refused_far: false,
            run,
            moment,
            state,
            scratch,
        }
    }

    fn turn(&mut self) -> Turn<'_> {
        let Self { run, fsu, state, scratch, moment, .. } = self;
        Turn { run, fsu, state, scratch, moment: *moment }
    }

    /// Explains `input`: a datagram, the first bytes of a connection, or an inner frame of either.
    pub(super) fn all(&mut self, input: &[u8]) -> Vec<Item> {
        self.asked_bytes = input.len();
        let mut items = match take(self.fsu, input, &self.said) {
            Taken::Outer => self.udp(input),
            Taken::Reply(guess, also_request) => vec![self.inner_from_fsu(input, &guess, also_request)],
            Taken::NoReply(device) => vec![self.no_frame_from_fsu(input, device)],
            Taken::Request(device, also_reply) => {
                let items = match self.fsu.transport {
                    Transport::Udp => vec![self.inner_of_udp(input, device)],
                    Transport::Tcp => self.tcp(input),
                    Transport::Broadcast | Transport::Datagram => vec![self.broadcast(input)],
                };
                let or = if also_reply { "; it may be a reply as well (--as reply)" } else { "" };
                items.into_iter().map(|item| Item { taken_for: item.taken_for.map(|text| text + or), ..item }).collect()
            }
        };
        items.iter_mut().for_each(name_what_is_wrong);
        items
    }

    /// A request's inner frame; it is wrapped in the outer frame that a centre would use.
    fn inner_of_udp(&mut self, input: &[u8], device: usize) -> Item {
        let fsu = self.fsu;
        let mut item = item("inner frame", 0, input);
        let Some(to) = fsu.devices.get(device) else { return item };
        let (mut plain, mut escaped) = (Vec::new(), Vec::new());
        let head = Head::request(&fsu.id.bytes, &[0; CENTER_BYTES], to.sub_dev_type, to.sub_dev_addr);
        if let Err(reason) = head.build(Some(input), &mut plain) {
            item.verdict = dropped(reason);
            return item;
        }
        let datagram = escape(&plain, &mut escaped);
        self.asked_bytes = datagram.len();
        let Some(Ok(frame)) = Frames::new(datagram).next() else { return item };
        let mut outer = self.outer_frame(&frame, 0);
        outer.layers.retain(|layer| !layer.is_outer());
        let address = format!("type {:02X}, address {:02X}", to.sub_dev_type, to.sub_dev_addr);
        let taken_for = format!("an inner frame from a centre to the FSU (a request), for device {address}");
        Item { what: item.what, hex: item.hex, taken_for: Some(taken_for), ..outer }
    }

    fn udp(&mut self, input: &[u8]) -> Vec<Item> {
        let (mut items, mut offset) = (Vec::new(), 0);
        for found in Frames::new(input) {
            let (bytes, item) = match found {
                Ok(frame) if take::way(self.fsu, &frame, &self.said) == Way::Up => {
                    (frame.bytes, self.outer_from_fsu(&frame, offset))
                }
                Ok(frame) => (frame.bytes, self.outer_frame(&frame, offset)),
                Err(bad) => {
                    let next = input.get(offset + bad.bytes.len()).copied();
                    let mut item = item("bytes", offset, bad.bytes);
                    item.faults.push(outer::no_frame(bad.reason, bad.bytes, offset, next));
                    item.verdict = dropped(bad.reason);
                    (bad.bytes, item)
                }
            };
            offset += bytes.len();
            items.push(item);
        }
        items
    }

    fn outer_frame(&mut self, frame: &Escaped<'_>, offset: usize) -> Item {
        let fsu = self.fsu;
        let mut item = item("outer frame", offset, frame.bytes);
        item.taken_for = Some("an outer frame from a centre to the FSU (a request)".into());
        let before = self.state.clone();
        let mut replies = Replies::default();
        stage::on_datagram(&mut self.turn(), frame.bytes.into(), &mut replies);
        let (sent, reason) = outcome(&replies);

        let mut buffer = Vec::new();
        let plain = match frame.plain(&mut buffer) {
            Ok(plain) => plain,
            Err(reason) => {
                item.faults.push(outer::bad_frame(reason, frame.bytes, &[], fsu));
                item.verdict = dropped(reason);
                return item;
            }
        };
        item.layers.push(outer::layer(plain, frame.bytes.len(), Way::Down, fsu));
        let down = Down::new_accepted(plain, fsu.accept_rtn_flags);
        if let Some(reason) = reason.filter(|reason| !is_inner(*reason)) {
            item.faults.push(outer::bad_frame(reason, frame.bytes, plain, fsu));
        }
        let heartbeat = matches!(down, Ok(Down { comm: Comm::Heartbeat, .. }));
        let device = down.ok().and_then(|down| match down.comm {
            Comm::Through(data) if reason != Some(Reason::WrongFsu) => {
                Some((data, b_interface::device(fsu, down.sub_dev_type, down.sub_dev_addr)?))
            }
            _ => None,
        });
        if let Some((data, device)) = device.map(|(data, device)| (data, self.layout(device, &replies))) {
            self.inner(&mut item, (device, data), &before, (&sent, reason));
        } else if let Some(reason) = reason {
            item.verdict = dropped(reason);
        } else if heartbeat {
            item.taken_for = Some("an outer frame from a centre to the FSU (a heartbeat)".into());
            item.verdict = center_heartbeat(!sent.is_empty());
            self.replies(&mut item, None, &Built::default(), &sent);
            self.sent.extend(sent.into_iter().map(|sent| sent.bytes));
        }
        item
    }

    /// The layout of a device that took the frame, as a device.
    fn layout(&self, device: usize, replies: &Replies) -> usize {
        let took = replies.understood().last().map(|about| usize::from(about.device));
        let is_layout = |number: &usize| {
            self.fsu.devices.get(*number).is_some_and(|took| took.layouts.home.map(usize::from) == Some(device))
        };
        took.filter(is_layout).unwrap_or(device)
    }

    fn broadcast(&mut self, input: &[u8]) -> Item {
        let mut item = item("datagram", 0, input);
        item.taken_for = Some("a datagram from a centre to the FSU (a request)".into());
        let before = self.state.clone();
        // The reply that another host would get. It is computed on a copy of the state.
        let (mut other, mut far) = (before.clone(), Replies::with_room(input.len() * AMPLIFICATION_MAX));
        stage::on_datagram(&mut Turn { state: &mut other, ..self.turn() }, Incoming::from(input), &mut far);
        self.is_refused_far = other.counters.transfers_refused_amplification > 0;
        let mut replies = Replies::default();
        stage::on_datagram(&mut self.turn(), Incoming::from(input), &mut replies);
        let device = datagram::choose(self.fsu, input, &mut self.scratch.raw);
        let device = self.layout(device, &replies);
        let (sent, reason) = outcome(&replies);
        self.inner(&mut item, (device, input), &before, (&sent, reason));
        item
    }

    fn tcp(&mut self, input: &[u8]) -> Vec<Item> {
        let (mut replies, mut state) = (Replies::default(), self.state.clone());
        // Nothing follows; an incomplete frame is then reported as such.
        self.scratch.progress = self.scratch.progress.with(Patience::Decide);
        let step = stage::on_bytes(&mut Turn { state: &mut state, ..self.turn() }, input, &mut replies);
        let mut said = replies.said().filter(|said| matches!(said, Said::Sent(_) | Said::Received(..))).peekable();
        let (mut items, mut offset) = (Vec::new(), 0);
        while let Some(one) = said.next() {
            // Replies follow the frame that they answer.
            let Said::Received(bytes, reason) = one else { continue };
            // Fill before a frame is nobody's.
            while offset < input.len() && !input[offset..].starts_with(bytes) {
                offset += 1;
            }
            let mut sent = Vec::new();
            while let Some(Said::Sent(one)) = said.next_if(|next| matches!(next, Said::Sent(_))) {
                sent.push(one.into());
            }
            items.push(match reason {
                Some(Reason::Garbage) => self.garbage(bytes, offset),
                _ => self.stream_frame(input, offset, bytes, (&sent, reason)),
            });
            offset += bytes.len();
        }
        if let Some(rest) = input.get(step.consumed..).filter(|rest| !rest.is_empty()) {
            items.push(self.partial(rest, step.consumed));
        }
        items
    }

    fn stream_frame(&mut self, input: &[u8], offset: usize, frame: &[u8], outcome: (&[Sent], Option<Reason>)) -> Item {
        let fsu = self.fsu;
        let mut item = item("inner frame", offset, frame);
        item.taken_for = Some("an inner frame from a centre to the FSU (a request)".into());
        let choice = stream::choose(&fsu.devices, input, offset, &mut self.scratch.raw);
        let Some((device, _)) = choice else { return item };
        let before = self.state.clone();
        // The same step again, on the state that the explanation keeps.
        let mut turn = self.turn();
        if let Response::Reply { .. } | Response::Replies { .. } = respond(&mut turn, device, frame) {
            while next_of_burst(&mut turn, device, frame).is_some() {}
        }
        self.inner(&mut item, (device, frame), &before, outcome);
        let last_ns = outcome.0.iter().map(|sent| sent.due_ns).max();
        self.moment.not_before_ns = self.moment.not_before_ns.max(last_ns.unwrap_or(0));
        item
    }

    /// Bytes that start no frame: why they are no frame of the first device.
    fn garbage(&mut self, bytes: &[u8], offset: usize) -> Item {
        let mut item = item("bytes", offset, bytes);
        let starts =
            |device: &std::sync::Arc<fsu_plan::model::fleet::Device>| bytes.starts_with(&device.template.start);
        let device = self.fsu.devices.iter().find(|device| starts(device)).or(self.fsu.devices.first());
        let mut raw = Vec::new();
        if let Some(device) = device {
            let template = &device.template;
            match inner::parse(template, bytes, &mut raw) {
                Err(reason) => item.faults.push(answer::no_frame(device, reason, bytes)),
                Ok(frame) => {
                    item.device = Some(answer::device_text(device));
                    item.layers = answer::request_layers(device, &frame);
                    item.faults.push(answer::not_cut(device, &frame));
                }
            }
        }
        item.verdict = Verdict {
            what: "dropped",
            reason: Some(Reason::Garbage.reason()),
            text: format!("skipped and counted, {} {}", bytes.len(), Reason::Garbage.reason()),
        };
        item
    }

    /// The start of a frame: what is missing.
    fn partial(&self, rest: &[u8], offset: usize) -> Item {
        let mut item = item("bytes", offset, rest);
        let waits = |device: &std::sync::Arc<fsu_plan::model::fleet::Device>| {
            matches!(Search::default().cut(&device.template, rest, 0), Cut::More)
        };
        let until = self.fsu.devices.iter().find(|device| waits(device)).map(|device| {
            let template = &device.template;
            match template.framing {
                Framing::Fixed => {
                    let whole = template.wire_len(template.raw_len_min());
                    format!("{whole} bytes, and has {}", rest.len())
                }
                Framing::Length(_) | Framing::Headed => {
                    format!("as many bytes as its length field tells, and has {}", rest.len())
                }
                Framing::Delimited | Framing::Enveloped => format!("{} (end)", hex(template.delimiter().0)),
                Framing::Keyed => format!("as many bytes as its command has, and has {}", rest.len()),
            }
        });
        let deadline = self.fsu.limits.frame_deadline_ms;
        let until = until.unwrap_or_else(|| "more bytes".into());
        let text =
            format!("the beginning of a frame: it waits for {until}; after {deadline} ms its first byte is skipped");
        item.verdict = Verdict { what: "partial", reason: Some("partial"), text };
        item
    }

    /// Header, data and tail of a request, its command and rules, and the replies.
    fn inner(
        &mut self,
        item: &mut Item,
        (device, wire): (usize, &[u8]),
        before: &FsuState,
        (sent, reason): (&[Sent], Option<Reason>),
    ) {
        let (fsu, moment) = (self.fsu, self.moment);
        let after_ms = sent.first().map(|sent| after_ms(&moment, sent));
        let (run, after) = (self.run, &self.state);
        let about = answer::About { fsu, faults: self.faults, device, before, after, after_ms, run, moment };
        let built = answer::request(item, about, wire, reason);
        self.replies(item, Some(device), &built, sent);
        self.sent.extend(sent.iter().map(|sent| sent.bytes.clone()));
    }
}

/// What was sent for a frame, and why nothing was.
fn outcome(replies: &Replies) -> (Vec<Sent>, Option<Reason>) {
    (replies.sent().map(Sent::from).collect(), replies.notes().last())
}

/// Gives every dropped frame a fault that names the failed check, whichever stage dropped it.
fn name_what_is_wrong(item: &mut Item) {
    let reason = Reason::ALL.iter().find(|reason| Some(reason.reason()) == item.verdict.reason);
    if let Some(&reason) = reason.filter(|_| item.verdict.what == "dropped" && item.faults.is_empty()) {
        item.faults.push(outer::fault(reason, item.what, None, String::new(), String::new()));
    }
}

/// A piece of the input.
pub(super) fn item(what: &'static str, offset: usize, bytes: &[u8]) -> Item {
    Item { what, offset, hex: hex(bytes), ..Item::default() }
}

/// The verdict for a drop, with its reason as text.
pub(super) fn dropped(reason: Reason) -> Verdict {
    let text = format!("dropped and counted as {}: nothing is answered", reason.reason());
    Verdict { what: "dropped", reason: Some(reason.reason()), text }
}

fn center_heartbeat(answered: bool) -> Verdict {
    let text = "a centre's heartbeat: its sender is live";
    if answered {
        Verdict { what: "heartbeat", reason: None, text: format!("{text}; answered with one (heartbeat_reply)") }
    } else {
        let text = format!("{text}; not answered (heartbeat_reply is off)");
        Verdict { what: "no reply", reason: Some("heartbeat"), text }
    }
}

/// Whether the reason comes from behind the outer frame: the inner frame is wrong, or gets no reply.
fn is_inner(reason: Reason) -> bool {
    (Reason::Short as u8..=Reason::Unmatched as u8).contains(&(reason as u8))
}
