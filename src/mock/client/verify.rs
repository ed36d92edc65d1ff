//! What the payload of a command should be, by the plan.

use super::exchange::Follows;
use super::layouts::told;
use super::request::entry;
use crate::answer::rule::matching;
use crate::predict::{Form, Origin};
use fsu_plan::model::field::Offset;
use fsu_plan::model::fleet::Device;
use fsu_plan::model::reply::Payload;
use fsu_plan::model::reply::Reply;
use fsu_plan::model::template::{ErrorReply, Template};
use fsu_plan::wire::inner::Frame;
use std::sync::Arc;

/// What should come after the answer.
#[derive(Clone, Debug)]
pub enum Expected {
    /// No data.
    Nothing,
    /// One of these (a `cycle` has several).
    OneOf(Vec<Arc<[u8]>>),
    /// Built when it is sent: one of these, as far as known in advance.
    Built(Vec<Known>),
    /// The plan does not say.
    Unknown,
}

/// Data that a rule builds. Bytes that depend on the mock's clock, generators or registers are unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// All bytes; unknown ones are 00.
    bytes: Vec<u8>,
    /// Which are known.
    known: Vec<bool>,
}

impl Known {
    /// The data frame of a reply that answers this raw request.
    fn new(template: &Template, reply: &Reply, request: &[u8]) -> Self {
        let Self { bytes, known } = Self::frame(template, reply, request);
        let data = template.left_len..template.left_len + reply.data_len;
        let bytes = bytes.get(data.clone()).unwrap_or_default().to_vec();
        Self { known: known.get(data).unwrap_or_default().to_vec(), bytes }
    }

    /// The whole raw reply, but for its checksum.
    fn frame(template: &Template, reply: &Reply, request: &[u8]) -> Self {
        let Form { frame: mut bytes, origins, .. } = Form::whole(template, reply);
        // Each time the request is sent, its number differs, and so does its checksum.
        let place = |at: Offset, len: usize| at.in_frame(request.len())..at.in_frame(request.len()) + len;
        let sn = template.transfer.as_ref().map(|transfer| place(transfer.sn.at, transfer.sn.len));
        let sums: Vec<_> = template.checksums().map(|checksum| place(checksum.at, checksum.len)).collect();
        let varies = |at: usize| sn.iter().chain(&sums).any(|range| range.contains(&at));
        let asked = |from: Offset| {
            let from = Some(from.in_frame(request.len())).filter(|&from| !varies(from));
            from.and_then(|from| request.get(from)).copied()
        };
        let predicted = |(byte, origin): (&mut u8, Origin)| {
            let known = match origin {
                Origin::Constant => Some(*byte),
                Origin::Request(from) => asked(from),
                Origin::Unknown => None,
            };
            *byte = known.unwrap_or(0);
            known.is_some()
        };
        let known = bytes.iter_mut().zip(origins).map(predicted).collect();
        Self { bytes, known }
    }

    fn holds(&self, payload: &[u8]) -> bool {
        let all = payload.iter().zip(&self.bytes).zip(&self.known);
        payload.len() == self.bytes.len() && all.into_iter().all(|((is, should), known)| !known || is == should)
    }
}

/// Which of the template's error replies this raw answer is; `None` also if the rules give the same answer.
pub fn error_reply(device: &Device, command: usize, request: &[u8], answer: &[u8]) -> Option<ErrorReply> {
    let template = &*device.template;
    let told = told(device, command, answer);
    if told.command.is_none() || !std::ptr::eq(told.template, template) {
        return None;
    }
    let is = |reply: &Arc<Reply>| Known::frame(template, reply, request).holds(answer);
    let data_len = request.len().saturating_sub(template.left_len + template.tail_len);
    let frame = Frame { raw: request, wire: request, data_len };
    let rule = matching(device, command, &frame).filter(|_| entry(template, request) == Some(command));
    if rule.is_some_and(|(_, rule)| rule.replies.iter().any(is)) {
        return None;
    }
    ErrorReply::ALL.into_iter().find(|&which| template.errors[which as usize].as_ref().is_some_and(is))
}

/// What the rules of a device say of this raw request.
pub fn expected(device: &Device, command: usize, raw: &[u8]) -> Expected {
    let around = device.template.left_len + device.template.tail_len;
    let frame = Frame { raw, wire: raw, data_len: raw.len().saturating_sub(around) };
    let Some((_, rule)) = matching(device, command, &frame) else { return Expected::Unknown };
    let mut payloads = Vec::new();
    let mut built = Vec::new();
    for reply in &rule.replies {
        match &reply.payload {
            Payload::None | Payload::Raw | Payload::Walked(_) => {}
            Payload::Static(bytes) => payloads.push(bytes.clone()),
            Payload::Built => built.push(Known::new(&device.template, reply, raw)),
        }
    }
    let all = rule.replies.len();
    if built.is_empty() && payloads.is_empty() {
        Expected::Nothing
    } else if payloads.len() == all {
        Expected::OneOf(payloads)
    } else if built.len() == all {
        Expected::Built(built)
    } else {
        Expected::Unknown
    }
}

impl Expected {
    /// Whether data is to be waited for.
    pub fn follows(&self) -> Follows {
        match self {
            Self::Nothing => Follows::Nothing,
            Self::OneOf(_) | Self::Built(_) => Follows::Data,
            Self::Unknown => Follows::Unknown,
        }
    }

    /// Whether the payload is as it should be; `None` if that is unknown.
    pub fn holds(&self, payload: &[u8]) -> Option<bool> {
        match self {
            Self::Nothing => Some(payload.is_empty()),
            Self::OneOf(all) => Some(all.iter().any(|bytes| **bytes == *payload)),
            Self::Built(all) => Some(all.iter().any(|known| known.holds(payload))),
            Self::Unknown => None,
        }
    }
}
