//! Gives the bytes to the FSU, by the same stages that serve, and notes what becomes of each piece.

use super::answer;
use super::model::{Item, ReplyView, Verdict};
use super::outer::{self, Way};
use crate::cli::columns::hex;
use crate::codec::framer::{Cut, Search};
use crate::codec::inner;
use crate::codec::outer::{Comm, Down, Frames};
use crate::codec::reason::Reason;
use crate::plan::fault::FsuFaults;
use crate::plan::fleet::{Fsu, Transport};
use crate::plan::template::Framing;
use crate::responder::reply::respond;
use crate::responder::state::FsuState;
use crate::responder::stream::Patience;
use crate::responder::{Moment, NS_PER_MS, Outgoing, RunContext, Scratch, Sink, b_interface, datagram, stream};

/// An FSU that has heard nothing yet, and what it is told.
pub(super) struct Walk<'a> {
    /// The FSU, without its faults.
    pub(super) fsu: &'a Fsu,
    /// Those.
    pub(super) faults: Option<&'a FsuFaults>,
    run: RunContext,
    moment: Moment,
    /// What the FSU remembers.
    pub(super) state: FsuState,
    scratch: Scratch,
}

/// Something that left.
pub(super) struct Sent {
    what: Outgoing,
    due_ns: i64,
    bytes: Vec<u8>,
}

/// What a stage said, in order.
enum Said {
    Sent(Sent),
    Received(Vec<u8>, Option<Reason>),
    Note(Reason),
}

#[derive(Default)]
struct Ears(Vec<Said>);

impl Sink for Ears {
    fn send(&mut self, what: Outgoing, due_ns: i64, bytes: &[u8]) {
        self.0.push(Said::Sent(Sent { what, due_ns, bytes: bytes.to_vec() }));
    }

    fn received(&mut self, bytes: &[u8], dropped: Option<Reason>) {
        self.0.push(Said::Received(bytes.to_vec(), dropped));
    }

    fn note(&mut self, reason: Reason, _: &[u8]) {
        self.0.push(Said::Note(reason));
    }
}

impl<'a> Walk<'a> {
    /// Before the first byte.
    pub(super) fn new(fsu: &'a Fsu, run: RunContext, moment: Moment) -> Self {
        Self { fsu, faults: None, run, moment, state: FsuState::new(fsu), scratch: Scratch::default() }
    }

    /// Explains `input`: a datagram, or the first bytes of a connection.
    pub(super) fn all(&mut self, input: &[u8]) -> Vec<Item> {
        match self.fsu.transport {
            Transport::Udp => self.udp(input),
            Transport::Tcp => self.tcp(input),
            Transport::Broadcast => vec![self.broadcast(input)],
        }
    }

    fn udp(&mut self, input: &[u8]) -> Vec<Item> {
        let (mut items, mut offset) = (Vec::new(), 0);
        for found in Frames::new(input) {
            let (bytes, item) = match found {
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

    fn outer_frame(&mut self, frame: &crate::codec::outer::Escaped<'_>, offset: usize) -> Item {
        let fsu = self.fsu;
        let mut item = item("outer frame", offset, frame.bytes);
        let before = self.state.clone();
        let mut ears = Ears::default();
        let Self { run, state, moment, scratch, .. } = self;
        b_interface::on_datagram(run, fsu, state, frame.bytes, *moment, scratch, &mut ears);
        let (sent, reason) = outcome(ears.0);

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
        if let Some((data, device)) = device {
            self.inner(&mut item, device, data, &before, sent.as_ref(), reason);
        } else if let Some(reason) = reason {
            item.verdict = dropped(reason);
        } else if heartbeat {
            item.verdict = center_heartbeat(sent.is_some());
            item.reply = sent.as_ref().map(|sent| self.heartbeat(sent));
        }
        item
    }

    fn heartbeat(&self, sent: &Sent) -> ReplyView {
        let layers = unescaped(&sent.bytes).map(|plain| outer::layer(&plain, sent.bytes.len(), Way::Up, self.fsu));
        self.reply(sent, layers.into_iter().collect())
    }

    fn broadcast(&mut self, input: &[u8]) -> Item {
        let mut item = item("datagram", 0, input);
        let before = self.state.clone();
        let mut ears = Ears::default();
        let Self { run, fsu, state, moment, scratch, .. } = self;
        datagram::on_datagram(run, fsu, state, input, *moment, scratch, &mut ears);
        let device = datagram::choose(fsu, input, &mut scratch.raw);
        let (sent, reason) = outcome(ears.0);
        self.inner(&mut item, device, input, &before, sent.as_ref(), reason);
        item
    }

    fn tcp(&mut self, input: &[u8]) -> Vec<Item> {
        let fsu = self.fsu;
        let (mut ears, mut state) = (Ears::default(), self.state.clone());
        // Nothing more comes, but what is not whole is told of as such.
        self.scratch.progress = self.scratch.progress.with(Patience::Decide);
        let step = stream::on_bytes(&self.run, fsu, &mut state, input, self.moment, &mut self.scratch, &mut ears);
        let mut said = ears.0.into_iter().peekable();
        let (mut items, mut offset) = (Vec::new(), 0);
        while let Some(one) = said.next() {
            // A reply follows the frame that it answers.
            let Said::Received(bytes, reason) = one else { continue };
            let sent = match said.next_if(|next| matches!(next, Said::Sent(_))) {
                Some(Said::Sent(sent)) => Some(sent),
                _ => None,
            };
            items.push(match reason {
                Some(Reason::Garbage) => self.garbage(&bytes, offset),
                _ => self.stream_frame(input, offset, &bytes, sent.as_ref(), reason),
            });
            offset += bytes.len();
        }
        if let Some(rest) = input.get(step.consumed..).filter(|rest| !rest.is_empty()) {
            items.push(self.partial(rest, step.consumed));
        }
        items
    }

    fn stream_frame(
        &mut self,
        input: &[u8],
        offset: usize,
        frame: &[u8],
        sent: Option<&Sent>,
        reason: Option<Reason>,
    ) -> Item {
        let fsu = self.fsu;
        let mut item = item("inner frame", offset, frame);
        let choice = stream::choose(&fsu.devices, input, offset, &mut self.scratch.raw);
        let Some((device, _)) = choice else { return item };
        let before = self.state.clone();
        // The same step once more, on the state that stays with the explanation.
        respond(&self.run, fsu, device, &mut self.state, frame, self.moment, &mut self.scratch);
        self.inner(&mut item, device, frame, &before, sent, reason);
        if let Some(sent) = sent {
            self.moment.not_before_ns = self.moment.not_before_ns.max(sent.due_ns);
        }
        item
    }

    /// Bytes that begin no frame: what keeps them from being one frame of the first device.
    fn garbage(&mut self, bytes: &[u8], offset: usize) -> Item {
        let mut item = item("bytes", offset, bytes);
        let starts = |device: &std::sync::Arc<crate::plan::fleet::Device>| bytes.starts_with(&device.template.start);
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

    /// The beginning of a frame: what it waits for.
    fn partial(&self, rest: &[u8], offset: usize) -> Item {
        let mut item = item("bytes", offset, rest);
        let waits = |device: &std::sync::Arc<crate::plan::fleet::Device>| {
            matches!(Search::default().cut(&device.template, rest, 0), Cut::More)
        };
        let until = self.fsu.devices.iter().find(|device| waits(device)).map(|device| {
            let template = &device.template;
            match template.framing {
                Framing::Fixed => {
                    let whole = template.wire_len(template.raw_len_min());
                    format!("{whole} bytes, and has {}", rest.len())
                }
                Framing::Length(_) => format!("as many bytes as its length field tells, and has {}", rest.len()),
                Framing::Delimited => format!("{} (end)", hex(&template.end)),
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

    /// Header, data and tail of a request, its command and rules, and the reply.
    fn inner(
        &self,
        item: &mut Item,
        device: usize,
        wire: &[u8],
        before: &FsuState,
        sent: Option<&Sent>,
        reason: Option<Reason>,
    ) {
        let (fsu, moment) = (self.fsu, self.moment);
        let after_ms = sent.map(|sent| after_ms(&moment, sent));
        let about = answer::About { fsu, faults: self.faults, device, before, after: &self.state, after_ms };
        let built = answer::request(item, about, wire, reason);
        let Some(sent) = sent else { return };
        let (mut layers, mut data) = (Vec::new(), None);
        if fsu.transport == Transport::Udp {
            if let Some(plain) = unescaped(&sent.bytes) {
                layers.push(outer::layer(&plain, sent.bytes.len(), Way::Up, fsu));
                data = crate::codec::outer::Up::new_checked(&plain).ok().and_then(|up| match up.comm {
                    Comm::Through(data) => Some(data.to_vec()),
                    Comm::Heartbeat => None,
                });
            }
        } else {
            data = Some(sent.bytes.clone());
        }
        if let Some(data) = data {
            layers.extend(answer::reply_layers(&fsu.devices[device], &built, &data));
        }
        item.reply = Some(self.reply(sent, layers));
    }

    fn reply(&self, sent: &Sent, layers: Vec<super::model::Layer>) -> ReplyView {
        ReplyView { hex: hex(&sent.bytes), after_ms: after_ms(&self.moment, sent).max(0), layers }
    }
}

/// How long after its request a reply leaves, to the nearest millisecond.
fn after_ms(moment: &Moment, sent: &Sent) -> i64 {
    sent.due_ns.saturating_sub(moment.arrived_ns).saturating_add(NS_PER_MS / 2).div_euclid(NS_PER_MS)
}

/// The reply, and why there is none, of one frame.
fn outcome(said: Vec<Said>) -> (Option<Sent>, Option<Reason>) {
    let (mut sent, mut reason) = (None, None);
    for one in said {
        match one {
            Said::Sent(one) => sent = Some(one),
            Said::Note(one) => reason = Some(one),
            Said::Received(..) => {}
        }
    }
    debug_assert!(sent.as_ref().is_none_or(|sent| sent.what == Outgoing::Reply || reason.is_none()));
    (sent, reason)
}

fn item(what: &'static str, offset: usize, bytes: &[u8]) -> Item {
    Item { what, offset, hex: hex(bytes), ..Item::default() }
}

/// What is told of a drop.
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

/// Found wrong, or not answered, behind the outer frame.
fn is_inner(reason: Reason) -> bool {
    (Reason::Short as u8..=Reason::Unmatched as u8).contains(&(reason as u8))
}

/// An outer frame of one's own without its escapes.
fn unescaped(wire: &[u8]) -> Option<Vec<u8>> {
    let mut buffer = Vec::new();
    match Frames::new(wire).next() {
        Some(Ok(frame)) => frame.plain(&mut buffer).ok().map(<[u8]>::to_vec),
        _ => None,
    }
}
