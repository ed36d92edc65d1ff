//! The frames of a message: bytes that no request decides.

use super::super::fields::Values;
use super::super::layouts::{self, Family};
use super::super::reply::{self, AskedIn, Sources};
use super::super::rules::{Pairs, turns};
use super::super::scope::CommandScope;
use super::super::sequence;
use super::super::{field, template::TemplateDraft};
use crate::config::at::{At, Pos};
use crate::config::diag::{Diag, Diags, Place};
use crate::config::messages::RawMessage;
use crate::config::raw::RawReply;
use crate::model::reply::{Payload, Reply};
use crate::model::rule::FrameOf;
use std::sync::Arc;

/// The frames of a message, and whose each is.
pub(super) struct Frames {
    pub(super) of: Box<[FrameOf]>,
    pub(super) replies: Box<[Arc<Reply>]>,
}

/// What one frame is made from.
struct One<'r> {
    name: Option<&'r At<String>>,
    raw: Option<&'r At<RawReply>>,
    values: [Pairs<'r>; 2],
    pos: Pos,
}

/// The frames of a message; `None` after an error that was reported.
pub(super) fn frames(
    diags: &mut Diags,
    family: Family<'_>,
    scope: &CommandScope<'_, '_, '_>,
    raw: &At<RawMessage>,
) -> Option<Frames> {
    let beside = |diags: &mut Diags, key: &str, at: Option<Pos>, of: &str| {
        if let Some(pos) = at {
            diags.error(pos, format!("`{key}` beside `{of}` (one of them)"));
        }
    };
    let data: Pairs<'_> = raw.data.as_ref().map(|data| data.0.as_slice()).unwrap_or_default();
    let rule = At { pos: raw.pos, value: raw.rule() };
    let named = in_layout(diags, family, raw);
    let mut made: Vec<(FrameOf, Arc<Reply>)> = Vec::new();
    if let Some(list) = &raw.replies {
        beside(diags, "frame", raw.frame.as_ref().map(|at| at.pos), "replies");
        beside(diags, "raw", raw.raw.as_ref().map(|at| at.pos), "replies");
        beside(diags, "layout", raw.layout.as_ref().map(|at| at.pos), "replies");
        for reply in &list.value {
            let data = reply.data.as_ref().map(|data| data.0.as_slice()).unwrap_or_default();
            let one = One { name: reply.frame.as_ref(), raw: Some(reply), values: [&[], data], pos: reply.pos };
            made.push(one.make(diags, family, scope)?);
        }
    } else if let Some(bytes) = &raw.raw {
        beside(diags, "frame", raw.frame.as_ref().map(|at| at.pos), "raw");
        beside(diags, "layout", raw.layout.as_ref().map(|at| at.pos), "raw");
        beside(diags, "cycle", raw.cycle.as_ref().map(|at| at.pos), "raw");
        let reply = RawReply { raw: Some(bytes.clone()), data: raw.data.clone(), ..RawReply::default() };
        let reply = At { pos: raw.pos, value: reply };
        let one = One { name: None, raw: Some(&reply), values: [&[], &[]], pos: raw.pos };
        made.push(one.make(diags, family, scope)?);
    } else {
        for turn in turns(diags, &rule) {
            let one = One { name: named.as_ref(), raw: None, values: [turn, data], pos: raw.pos };
            made.push(one.make(diags, family, scope)?);
            if diags.is_over() {
                return None;
            }
        }
    }
    let (of, replies): (Vec<_>, Vec<_>) = made.into_iter().unzip();
    (!of.is_empty()).then(|| Frames { of: of.into(), replies: replies.into() })
}

/// `frame`, with the layout that `layout` names.
fn in_layout(diags: &mut Diags, family: Family<'_>, raw: &RawMessage) -> Option<At<String>> {
    let frame = raw.frame.clone()?;
    let Some(layout) = &raw.layout else { return Some(frame) };
    if frame.value.contains('/') {
        diags.error(layout.pos, "`layout` and a layout in `frame` (one of them)");
        return None;
    }
    let value = format!("{}/{}", layout.value.trim(), frame.value.trim());
    if !family.has_others() || layouts::unknown_layout(diags, family, layout.pos, &value) {
        if !family.has_others() {
            diags.error(layout.pos, "`layout`: the template has no `frames`, and so no other layouts");
        }
        return None;
    }
    Some(At { pos: frame.pos, value })
}

impl One<'_> {
    fn make(
        &self,
        diags: &mut Diags,
        family: Family<'_>,
        scope: &CommandScope<'_, '_, '_>,
    ) -> Option<(FrameOf, Arc<Reply>)> {
        if let Some((raw, given)) = self.raw.and_then(|raw| Some((raw, raw.raw.as_ref()?))) {
            if let Some(frame) = &raw.frame {
                diags.error(frame.pos, "`frame` and `raw` (one of them)");
            }
            let reply = sequence::raw_bytes(diags, raw, given);
            return Some((FrameOf { layout: 0, command: None }, Arc::new(reply)));
        }
        let Some(name) = self.name else {
            diags.missing(self.pos, "frame", "the entry of `data_frame` that is sent, or `raw`: bytes as they are");
            return None;
        };
        let Some((layout, number)) = family.entry(&name.value, 0) else {
            if !family.is_incomplete() {
                let names = family.entries();
                let near = field::known(&name.value, names.iter().map(String::as_str).collect::<Vec<_>>());
                diags.error(name.pos, format!("the template has no frame `{}`{near}", name.value));
            }
            return None;
        };
        let reply = self.build(diags, (family.draft(layout), number), scope);
        let frame = FrameOf { layout: layout as u16, command: Some(number as u32) };
        Some((frame, Arc::new(reply)))
    }

    /// What is wrong with a value of the template is wrong with this message.
    fn at_home(&self, diags: &Diags, diag: Diag) -> Diag {
        let home = self.name.map_or(self.pos, |name| name.pos);
        match diag.place {
            Place::Node(pos) if pos.file != home.file => {
                let text = format!(
                    "{}; it is the own value of a field, which `data` may set ({})",
                    diag.text,
                    diags.place(pos)
                );
                Diag { place: Place::Node(home), text, ..diag }
            }
            _ => diag,
        }
    }

    fn build(
        &self,
        diags: &mut Diags,
        (draft, number): (&TemplateDraft, usize),
        scope: &CommandScope<'_, '_, '_>,
    ) -> Reply {
        for values in self.values {
            sequence::check_names(diags, (draft, number), values, "frame");
        }
        let (command, drafted) = (&draft.plan.commands[number], &draft.commands[number]);
        let key = sequence::key(&draft.plan, draft, number);
        let [turn, data] = self.values.map(Values::new);
        let sources = Sources {
            template: &draft.plan,
            // It answers nothing that it could refuse.
            refusal: None,
            request: None,
            response: &drafted.response,
            response_len: command.response_len,
            less: command.less,
            padding: drafted.padding,
            values: &[&turn, &data, &Values::new(&drafted.walked_key), &Values::new(&drafted.listed)],
            scope,
            key: &key,
            walk: drafted.walk.as_ref(),
            asked: None,
            asked_in: Some(AskedIn { template: None, asked: &[], values: &draft.around }),
            bases: &draft.bases,
            pos: self.pos,
        };
        let mark = diags.mark();
        let reply = reply::build(diags, &sources);
        for diag in diags.take_since(mark) {
            diags.add(self.at_home(diags, diag));
        }
        let has_data = reply.data_len > 0 || matches!(reply.payload, Payload::Walked(_));
        if draft.plan.transfer.is_some() && has_data {
            let pos = self.name.map_or(self.pos, |name| name.pos);
            let why = "the template sends data in separate frames (`transfer`), which a request asks for";
            diags.error(pos, format!("a message with data: {why} (an entry without `resp_data_list`)"));
        }
        reply
    }
}
