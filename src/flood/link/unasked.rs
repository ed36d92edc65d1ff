//! What devices say unasked while they are asked: told apart from replies, and acknowledged on connections.

use crate::engine::reply::ReplyMatcher;
use crate::expect::Wrong;
use crate::lane::{Lane, Matcher as _};
use crate::talk::forms::Said;
use crate::talk::{Talk, stream};
use crate::workload::options::AskedFsu;
use crate::workload::profile::Prepared;
use fsu_plan::model::fleet::Device;
use std::sync::Arc;

/// Requests under way that a frame is compared with before it is taken for a message.
const COMPARED_MAX: usize = 64;

/// What the devices of each target say.
#[derive(Debug, Default)]
pub(super) struct Unasked {
    /// By target; none of a target that only answers.
    talks: Box<[Box<[Arc<Talk>]>]>,
    raw: Vec<u8>,
    ack: (Vec<u8>, Vec<u8>),
}

/// What a stream begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begun {
    /// A message of that many bytes.
    Message(usize),
    /// Perhaps one.
    Perhaps,
    /// None.
    Nothing,
}

impl Unasked {
    /// Of these targets. What a centre cannot acknowledge is no message here.
    pub(super) fn new(targets: &[AskedFsu]) -> Self {
        let mut made: Vec<(*const Device, Option<Arc<Talk>>)> = Vec::new();
        let mut talk = |device: &Arc<Device>| {
            let conversation = device.conversation.as_ref()?;
            if let Some((_, talk)) = made.iter().find(|(before, _)| std::ptr::eq(*before, &raw const **device)) {
                return talk.clone();
            }
            let talk = Talk::new(device, conversation).ok().map(Arc::new);
            made.push((&raw const **device, talk.clone()));
            talk
        };
        let mut of_target = |target: &AskedFsu| {
            let mut talks: Vec<Arc<Talk>> = Vec::new();
            for prepared in &target.profile.requests {
                if let Some(talk) = talk(&prepared.device)
                    && !talks.iter().any(|before| Arc::ptr_eq(before, &talk))
                {
                    talks.push(talk);
                }
            }
            talks.into_boxed_slice()
        };
        let talks: Box<[Box<[Arc<Talk>]>]> = targets.iter().map(&mut of_target).collect();
        let is_silent = talks.iter().all(|talks| talks.is_empty());
        Self { talks: if is_silent { Box::default() } else { talks }, ..Self::default() }
    }

    /// Whether the target says anything.
    #[inline]
    pub(super) fn speaks(&self, target: usize) -> bool {
        self.talks.get(target).is_some_and(|talks| !talks.is_empty())
    }

    /// What a stream begins with that is no right reply. `out` gets the acknowledgement of a message.
    #[cold]
    pub(super) fn begins(&mut self, target: usize, bytes: &[u8], out: &mut Vec<u8>) -> Begun {
        let Some(all) = self.talks.get(target) else { return Begun::Nothing };
        let talks: Vec<&Talk> = all.iter().map(|talk| &**talk).collect();
        match stream::next(&talks, bytes, &mut self.raw).next {
            stream::Next::Frame { len, talk, said: Said::Right(form) } => {
                let talk = talks[talk];
                if let Some(ack) = talk.ack(form) {
                    let form = &talk.forms[form as usize];
                    let (raw, wire) = (&mut self.ack.0, &mut self.ack.1);
                    if ack.write(form, &self.raw, false, (raw, wire)) {
                        out.extend_from_slice(wire);
                    }
                }
                Begun::Message(len)
            }
            stream::Next::More => Begun::Perhaps,
            stream::Next::Frame { .. } | stream::Next::Skip(_) => Begun::Nothing,
        }
    }

    /// Whether a whole frame, which is no right reply, is a message of a device that `is_its` chooses.
    #[cold]
    pub(super) fn is_message(&mut self, target: usize, frame: &[u8], is_its: impl Fn(&Device) -> bool) -> bool {
        let Some(talks) = self.talks.get(target) else { return false };
        let mut its = talks.iter().filter(|talk| is_its(&talk.device));
        its.any(|talk| matches!(talk.read(frame, &mut self.raw), Said::Right(_)))
    }
}

/// Whether the frame is a right reply to a request under way. On a stream it may be any of the sizes of its replies.
#[cold]
pub(super) fn is_reply(lane: &Lane, requests: &[Prepared], bytes: &[u8], is_stream: bool, inner: &mut Vec<u8>) -> bool {
    lane.flights().take(COMPARED_MAX).any(|flight| {
        let mut right =
            |frame: &[u8]| ReplyMatcher::new(requests, |_| Ok::<_, Wrong>(frame), true, inner).check(flight).is_ok();
        if !is_stream {
            return right(bytes);
        }
        let lens = requests[flight.request as usize].expect.wire_lens();
        lens.iter().filter_map(|&len| bytes.get(..len)).any(right)
    })
}
