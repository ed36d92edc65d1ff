//! Frames from the FSU: those given as input, and the replies that it sends.

use super::answer::{self, Built};
use super::back::{self, Guess};
use super::model::{Item, REPLIES_SHOWN_MAX, ReplyView};
use super::outer;
use super::walk::{Sent, Walk, dropped, item};
use crate::columns::hex;
use fsu_core::dissect::outer::Way;
use fsu_core::moment::{Moment, NS_PER_MS};
use fsu_core::sink::Outgoing;
use fsu_core::stage::b_interface;
use fsu_plan::model::message::Transport;
use fsu_plan::wire::envelope::{Comm, Escaped, Frames, Up};
use fsu_plan::wire::reason::Reason;

impl Walk<'_> {
    /// A reply's inner frame, or a whole BroadCast datagram.
    pub(super) fn inner_from_fsu(&self, input: &[u8], guess: &Guess, also_request: bool) -> Item {
        let is_datagram = self.fsu.transport.is_bare_datagrams();
        let mut item = item(if is_datagram { "datagram" } else { "inner frame" }, 0, input);
        back::fill(&mut item, self.fsu, guess, input);
        let what = if is_datagram { "a datagram" } else { "an inner frame" };
        let or = if also_request { "; it may be a request as well (--as request)" } else { "" };
        item.taken_for = Some(format!("{what} from the FSU to a centre ({}){or}", guess.what()));
        item
    }

    /// Bytes that are said to be a reply, and are no frame of the device: why.
    pub(super) fn no_frame_from_fsu(&self, input: &[u8], device: usize) -> Item {
        let mut item = item("bytes", 0, input);
        if let Some(device) = self.fsu.devices.get(device) {
            item.device = Some(answer::device_text(device));
            item.faults.extend(answer::why_no_frame(device, input));
        }
        item.taken_for = Some("bytes from the FSU to a centre (--as reply)".into());
        item.verdict = back::verdict("no reply of the FSU");
        item
    }

    /// An outer frame from the FSU: a reply or a heartbeat.
    pub(super) fn outer_from_fsu(&self, frame: &Escaped<'_>, offset: usize) -> Item {
        let fsu = self.fsu;
        let mut item = item("outer frame", offset, frame.bytes);
        let mut buffer = Vec::new();
        let plain = match frame.plain(&mut buffer) {
            Ok(plain) => plain,
            Err(reason) => {
                item.faults.push(outer::bad_frame(reason, frame.bytes, &[], fsu));
                item.verdict = dropped(reason);
                return item;
            }
        };
        item.layers.push(outer::layer(plain, frame.bytes.len(), Way::Up, fsu));
        item.taken_for = Some("an outer frame from the FSU to a centre (a reply)".into());
        item.verdict = back::verdict("a reply of the FSU");
        let up = match Up::new_checked(plain) {
            Ok(up) => up,
            Err(reason) => {
                item.faults.push(outer::bad_frame_up(reason, frame.bytes, plain, fsu));
                return item;
            }
        };
        if *up.src != fsu.id.bytes && !fsu.accept_any_id {
            item.faults.push(outer::other_fsu(up.src, fsu));
        }
        match up.comm {
            Comm::Heartbeat => {
                item.taken_for = Some("an outer frame from the FSU to a centre (a heartbeat)".into());
                item.verdict = back::verdict("the FSU's heartbeat");
            }
            Comm::Through(data) => match b_interface::device(fsu, up.sub_dev_type, up.sub_dev_addr) {
                None => item.faults.push(outer::bad_frame(Reason::UnknownDevice, frame.bytes, plain, fsu)),
                Some(number) => match back::guess(fsu, number..number + 1, data, self.said.cmd.as_deref()) {
                    Some(guess) => {
                        item.taken_for = Some(format!("an outer frame from the FSU to a centre ({})", guess.what()));
                        back::fill(&mut item, fsu, &guess, data);
                    }
                    None => item.faults.extend(answer::why_no_frame(&fsu.devices[number], data)),
                },
            },
        }
        item
    }

    /// Fills in what is sent, with the fields of the first frames.
    pub(super) fn replies(&self, item: &mut Item, device: Option<usize>, built: &Built<'_>, sent: &[Sent]) {
        let shown = sent.iter().take(REPLIES_SHOWN_MAX).enumerate();
        item.replies = shown.map(|(number, sent)| self.reply(number, device, built, sent)).collect();
        item.more_replies = sent.len() - item.replies.len();
    }

    fn reply(&self, number: usize, device: Option<usize>, built: &Built<'_>, sent: &Sent) -> ReplyView {
        let fsu = self.fsu;
        let (what, number) = match sent.what {
            Outgoing::Reply => ("answer", number),
            Outgoing::Heartbeat => ("heartbeat", number),
            Outgoing::Data => ("data frame", usize::MAX),
            Outgoing::Message => ("message", usize::MAX),
        };
        let (mut layers, mut data, mut in_outer) = (Vec::new(), None, false);
        if fsu.transport == Transport::Udp {
            if let Some(plain) = unescaped(&sent.bytes) {
                layers.push(outer::layer(&plain, sent.bytes.len(), Way::Up, fsu));
                data = Up::new_checked(&plain).ok().and_then(|up| match up.comm {
                    Comm::Through(data) => Some(data.to_vec()),
                    Comm::Heartbeat => None,
                });
                in_outer = true;
            }
        } else {
            data = Some(sent.bytes.clone());
        }
        if let (Some(data), Some(device)) = (&data, device) {
            layers.extend(answer::reply_layers(&fsu.devices[device], built, number, data));
        }
        let inner = data.filter(|_| in_outer).map(|data| hex(&data));
        let after_ms = after_ms(&self.moment, sent).max(0);
        ReplyView { what, hex: hex(&sent.bytes), inner, after_ms, layers }
    }
}

/// The delay from the request to the reply, rounded to milliseconds.
pub(super) fn after_ms(moment: &Moment, sent: &Sent) -> i64 {
    sent.due_ns.saturating_sub(moment.arrived_ns).saturating_add(NS_PER_MS / 2).div_euclid(NS_PER_MS)
}

/// Unescapes an outer frame that was built here.
fn unescaped(wire: &[u8]) -> Option<Vec<u8>> {
    let mut buffer = Vec::new();
    match Frames::new(wire).next() {
        Some(Ok(frame)) => frame.plain(&mut buffer).ok().map(<[u8]>::to_vec),
        _ => None,
    }
}
