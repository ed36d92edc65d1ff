//! What the plan says that the payload of a command should have been.

use crate::codec::inner::Frame;
use crate::plan::fleet::Device;
use crate::plan::transfer::Payload;
use crate::responder::reply::matching;
use std::sync::Arc;

/// What should come after the answer.
#[derive(Clone, Debug)]
pub enum Expected {
    /// No data.
    Nothing,
    /// One of these (a `cycle` has several).
    OneOf(Vec<Arc<[u8]>>),
    /// So many bytes; what they are is known only when they are sent.
    Bytes(usize),
    /// The plan does not say.
    Unknown,
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
            Payload::None => {}
            Payload::Static(bytes) => payloads.push(bytes.clone()),
            Payload::Built => built.push(reply.data_len),
        }
    }
    let all = rule.replies.len();
    match built.first() {
        None if payloads.is_empty() => Expected::Nothing,
        None if payloads.len() == all => Expected::OneOf(payloads),
        Some(&bytes) if built.len() == all && built.iter().all(|&other| other == bytes) => Expected::Bytes(bytes),
        _ => Expected::Unknown,
    }
}

impl Expected {
    /// Is this payload as it should be? `None`: nobody can tell.
    pub fn holds(&self, payload: &[u8]) -> Option<bool> {
        match self {
            Self::Nothing => Some(payload.is_empty()),
            Self::OneOf(all) => Some(all.iter().any(|bytes| **bytes == *payload)),
            Self::Bytes(bytes) => Some(payload.len() == *bytes),
            Self::Unknown => None,
        }
    }
}
