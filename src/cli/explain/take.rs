//! Decides what the bytes are: outer or inner frame, from a centre or from the FSU.
//!
//! `--as` takes precedence, then the words around pasted bytes. Otherwise the bytes decide. If they fit both a request and a reply, they
//! are read as a request.

use super::back::{self, Guess, Weight};
use super::inner as fields;
use crate::args::TakeAs;
use fsu_core::answer::examine::{Finding, examine};
use fsu_core::dissect::outer::Way;
use fsu_core::stage::datagram;
use fsu_plan::model::fleet::{Device, Fsu, VerifyChecksum};
use fsu_plan::model::message::Transport;
use fsu_plan::model::template::{Command, Template};
use fsu_plan::wire::envelope::{COMM_HEARTBEAT, Down, Escaped, Frames, RTN_HEARTBEAT, RTN_REPLY, Up, at};
use fsu_plan::wire::framer::{self, Cut};
use fsu_plan::wire::inner::{self, Frame};
use std::ops::Range;

/// An error in the options that describe the bytes.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SaidError {
    /// Two words of `--as` contradict each other.
    #[error("--as two words that contradict each other")]
    Contradiction,
    /// `--as outer` for an FSU without outer frames.
    #[error("--as outer: a {} FSU has no outer frames", .0.name())]
    NoOuter(Transport),
    /// `--cmd` together with `--as request`.
    #[error("--cmd: it says what a reply answers; a request has its command itself")]
    RequestWithCommand,
    /// `--cmd` is not a command.
    #[error("--cmd: {0}")]
    Command(String),
    /// `--device` is not a device of the FSU.
    #[error("--device: `{text:.40}` is none of its devices ({fsu} has {known})")]
    Device {
        /// What was given.
        text: String,
        /// The FSU.
        fsu: String,
        /// Its devices.
        known: String,
    },
}

/// What is known about the bytes before they are decoded.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    /// Who sent them.
    pub(super) way: Option<Way>,
    /// Whether it is the outer frame.
    pub(super) is_outer: Option<bool>,
    /// The device's number.
    pub(super) device: Option<usize>,
    /// The key of the command that a reply answers.
    pub(super) cmd: Option<String>,
}

impl Said {
    /// Applies `--as`; returns an error if its words contradict each other.
    pub(super) fn take(&mut self, words: &[TakeAs], transport: Transport) -> Result<(), SaidError> {
        for word in words {
            let (way, is_outer) = match word {
                TakeAs::Request => (Some(Way::Down), None),
                TakeAs::Reply => (Some(Way::Up), None),
                TakeAs::Outer => (None, Some(true)),
                TakeAs::Inner => (None, Some(false)),
            };
            if way.is_some_and(|way| self.way.is_some_and(|other| other != way))
                || is_outer.is_some_and(|is| self.is_outer.is_some_and(|other| other != is))
            {
                return Err(SaidError::Contradiction);
            }
            (self.way, self.is_outer) = (way.or(self.way), is_outer.or(self.is_outer));
        }
        if self.is_outer == Some(true) && transport != Transport::Udp {
            return Err(SaidError::NoOuter(transport));
        }
        Ok(())
    }

    /// The devices to try.
    pub(super) fn devices(&self, fsu: &Fsu) -> Range<usize> {
        self.device.map_or(0..fsu.devices.len(), |device| device..device + 1)
    }
}

/// What the bytes are read as.
#[derive(Debug)]
pub(super) enum Taken {
    /// Outer frames. Each has its own direction: [`way`].
    Outer,
    /// A request's inner frame for this device; or the stream or datagram that the FSU receives. True if it may also be a reply.
    Request(usize, bool),
    /// A reply's inner frame. True if it may also be a request.
    Reply(Guess, bool),
    /// No frame of this device, though it is said to be a reply.
    NoReply(usize),
}

/// Decides what the bytes are.
pub(super) fn take(fsu: &Fsu, bytes: &[u8], said: &Said) -> Taken {
    let (device, request) = request(fsu, bytes, said);
    let guess = back::guess(fsu, said.devices(fsu), bytes, said.cmd.as_deref());
    let reply = guess.as_ref().map_or(Weight::None, |guess| guess.weight);
    if fsu.transport == Transport::Udp && said.is_outer.unwrap_or_else(|| is_outer(fsu, bytes, request.max(reply))) {
        return Taken::Outer;
    }
    let is_reply = match said.way {
        Some(way) => way == Way::Up,
        None => reply > request || guess.as_ref().is_some_and(Guess::is_no_request),
    };
    match guess {
        None if is_reply => Taken::NoReply(device),
        Some(guess) if is_reply => {
            // A frame without a key may belong to any command.
            let least = if reply == Weight::Keyless { Weight::Framed } else { Weight::Command };
            Taken::Reply(guess, said.way.is_none() && request >= least)
        }
        _ => Taken::Request(
            device,
            said.way.is_none() && (reply == Weight::Reply || (request < Weight::Request && reply >= Weight::Sized)),
        ),
    }
}

/// Whether the bytes are read as outer frames. A valid outer frame always is. Bytes that fit a device's inner frame are not, nor are
/// bytes that start like an inner frame and not with P_header.
fn is_outer(fsu: &Fsu, bytes: &[u8], inner: Weight) -> bool {
    let mut buffer = Vec::new();
    let mut is_good = |frame: Escaped<'_>| {
        frame.plain(&mut buffer).is_ok_and(|plain| {
            Down::new_accepted(plain, fsu.accept_rtn_flags).is_ok() || Up::new_checked(plain).is_ok()
        })
    };
    if Frames::new(bytes).flatten().any(&mut is_good) {
        return true;
    }
    let begins = |device: &Device| !device.template.start.is_empty() && bytes.starts_with(&device.template.start);
    let may_begin =
        bytes.first() != Some(&fsu_plan::wire::envelope::HEADER) && fsu.devices.iter().any(|device| begins(device));
    inner < Weight::Command && !may_begin
}

/// How well the bytes fit a request, and of which device.
fn request(fsu: &Fsu, bytes: &[u8], said: &Said) -> (usize, Weight) {
    let device = said.device.unwrap_or_else(|| datagram::choose(fsu, bytes, &mut Vec::new()));
    let own = fsu.devices.get(device).map_or(Weight::None, |device| request_weight(device, bytes));
    // Another layout counts only if the frame is right there, as while serving.
    let is_right = fsu.devices.iter().any(|other| {
        other.layouts.home.map(usize::from) == Some(device) && request_weight(other, bytes) == Weight::Request
    });
    let weight = if is_right { Weight::Request } else { own };
    // A stream may hold several frames; the first one decides.
    let cut = |device: &Device| match framer::cut(&device.template, bytes) {
        Cut::Frame(len) if len > 0 && len < bytes.len() => request_weight(device, &bytes[..len]),
        _ => Weight::None,
    };
    if fsu.transport == Transport::Tcp && weight < Weight::Request {
        let first = fsu.devices.iter().map(|device| cut(device)).max().unwrap_or(Weight::None);
        return (device, weight.max(first));
    }
    (device, weight)
}

fn request_weight(device: &Device, wire: &[u8]) -> Weight {
    let (template, mut raw) = (&*device.template, Vec::new());
    let Ok(frame) = inner::parse(template, wire, &mut raw) else { return Weight::None };
    if template.transfer.as_ref().is_some_and(|transfer| inner::carries(&transfer.next, frame.raw)) {
        return Weight::Request;
    }
    let mut wrong = device.verify_checksum == VerifyChecksum::Off && !inner::checksum_ok(template, &frame);
    match examine(device, frame, &mut wrong) {
        Finding::Command(_, number) => {
            let command = &template.commands[number];
            let listed = template.data_len_fixed.is_some() || is_listed(command, frame.data_len);
            match (wrong, listed) {
                (true, _) => Weight::Command,
                (false, true) => Weight::Request,
                (false, false) => Weight::Loose,
            }
        }
        Finding::Wrong(frame, _) if has_key(template, &frame) => Weight::Command,
        Finding::Wrong(..) => Weight::Framed,
    }
}

/// Whether it has the key of any command.
fn has_key(template: &Template, frame: &Frame<'_>) -> bool {
    template.commands.iter().any(|command| fields::key_is(template, command, frame))
}

/// Whether a data frame has the size that the command lists.
fn is_listed(command: &Command, data_len: usize) -> bool {
    let walks = command.request_walk().is_some() && data_len >= command.request_len;
    walks || data_len == command.request_len || data_len == command.request_len_padded
}

/// The direction of an outer frame. It is up if most of its marks say so: RtnFlag and the place of the FSU's id.
pub(super) fn way(fsu: &Fsu, frame: &Escaped<'_>, said: &Said) -> Way {
    if let Some(way) = said.way {
        return way;
    }
    let mut buffer = Vec::new();
    let Ok(plain) = frame.plain(&mut buffer) else { return Way::Down };
    let is_heartbeat = plain.get(at::COMM_TYPE..at::COMM_TYPE + 2) == Some(&COMM_HEARTBEAT.to_le_bytes());
    let id_at = |at: usize| plain.get(at..).is_some_and(|rest| rest.starts_with(&fsu.id.bytes));
    let rtn_flag = plain.get(at::RTN_FLAG).copied();
    let beats = is_heartbeat && rtn_flag == Some(RTN_HEARTBEAT);
    let down =
        u8::from(id_at(at::DEST)) + u8::from(rtn_flag.is_some_and(|flag| fsu.accept_rtn_flags.has(flag)) || beats);
    let up = u8::from(id_at(at::SRC_UP)) + u8::from(rtn_flag == Some(RTN_REPLY) || beats);
    if up > down { Way::Up } else { Way::Down }
}

/// The number of the device that `--device` names.
pub(super) fn device(fsu: &Fsu, text: &str) -> Result<usize, SaidError> {
    let name = |device: &Device| format!("{:02X}{:02X}", device.sub_dev_type, device.sub_dev_addr);
    let digits = text.trim().trim_start_matches("0x").replace([' ', ',', ':'], "").to_uppercase();
    fsu.devices.iter().position(|device| name(device) == digits).ok_or_else(|| {
        let known: Vec<String> = fsu.devices.iter().map(|device| name(device)).collect();
        SaidError::Device { text: text.to_owned(), fsu: fsu.name.to_string(), known: known.join(", ") }
    })
}
