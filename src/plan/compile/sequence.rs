//! Several replies to one request: `burst` and `replies` of a rule.

use super::field::{self, Area, outside};
use super::fields::Values;
use super::moved::area_in;
use super::reply::{self, AskedIn, Sources};
use super::scope::{CommandScope, Key};
use super::template::TemplateDraft;
use crate::config::at::{At, Json};
use crate::config::diag::Diags;
use crate::config::raw::{RawReply, RawRule};
use crate::model::fault::BURST_MAX;
use crate::model::field::{Computed, Kind, Offset, Slot};
use crate::model::prebuilt::Prebuilt;
use crate::model::reply::{Payload, Reply};
use crate::model::rule::{DELAY_MS_MAX, FrameOf};
use crate::model::template::Template;
use crate::wire::checksum::write_number;
use crate::wire::varied;
use std::sync::Arc;

/// How many replies a request has, and the time before each.
pub(super) struct Burst {
    pub(super) count: u32,
    /// By number of the reply; empty: none.
    pub(super) gaps_ms: Box<[u32]>,
}

/// `burst`, or the number of `replies`.
pub(super) fn burst(diags: &mut Diags, draft: &TemplateDraft, raw: &At<RawRule>) -> Burst {
    let one = Burst { count: 1, gaps_ms: Box::default() };
    if let Some(list) = &raw.replies {
        return of_replies(diags, draft, raw, list);
    }
    let Some(burst) = &raw.burst else { return one };
    if raw.cycle.is_none() {
        diags.error(burst.pos, "`burst` without `cycle` (it sends the next entries of a cycle)");
    }
    if draft.plan.transfer.is_some() {
        diags.error(burst.pos, "`burst` is not for templates with transfers");
    }
    let Some(count) = burst.count else {
        diags.missing(burst.pos, "count", "how many replies");
        return one;
    };
    if !(1..=u64::from(BURST_MAX)).contains(&count) {
        diags.error(burst.pos, format!("burst {count} (1 to {BURST_MAX})"));
        return one;
    }
    let gap = burst.gap_ms.as_ref().map_or(0, |gap| gap_ms(diags, gap));
    let gaps = (0..count).map(|number| if number == 0 { 0 } else { gap });
    Burst { count: count as u32, gaps_ms: if gap > 0 { gaps.collect() } else { Box::default() } }
}

fn gap_ms(diags: &mut Diags, gap: &At<u64>) -> u32 {
    if gap.value > DELAY_MS_MAX {
        diags.error(gap.pos, format!("{} ms (0 to {DELAY_MS_MAX})", gap.value));
    }
    gap.value.min(DELAY_MS_MAX) as u32
}

fn of_replies(diags: &mut Diags, draft: &TemplateDraft, raw: &At<RawRule>, list: &At<Vec<At<RawReply>>>) -> Burst {
    if draft.plan.transfer.is_some() {
        diags.error(list.pos, "`replies` is not for templates with transfers");
    }
    let beside = [
        ("data", raw.data.as_ref().and_then(|data| data.0.first()).map(|(name, _)| name.pos)),
        ("cycle", raw.cycle.as_ref().map(|cycle| cycle.pos)),
        ("burst", raw.burst.as_ref().map(|burst| burst.pos)),
    ];
    for (key, pos) in beside {
        if let Some(pos) = pos {
            diags.error(pos, format!("`{key}` beside `replies` (each reply has its own `data`)"));
        }
    }
    let count = list.value.len();
    if count == 0 && diags.is_empty_list(list.pos) {
        diags.error(list.pos, "`replies` is empty (a list of frames; no reply is `\"timeout\": true`)");
    }
    if count > BURST_MAX as usize {
        diags.error(list.pos, format!("{count} replies (at most {BURST_MAX})"));
    }
    let gaps: Vec<u32> =
        list.value.iter().map(|reply| reply.delay_ms.as_ref().map_or(0, |gap| gap_ms(diags, gap))).collect();
    let gaps_ms = if gaps.iter().any(|&gap| gap > 0) { gaps.into() } else { Box::default() };
    Burst { count: count.clamp(1, BURST_MAX as usize) as u32, gaps_ms }
}

/// The frames of `replies`, in order.
pub(super) fn replies(
    diags: &mut Diags,
    scope: &CommandScope<'_, '_, '_>,
    list: &At<Vec<At<RawReply>>>,
) -> Box<[Arc<Reply>]> {
    let made = list.value.iter().map_while(|raw| (!diags.is_over()).then(|| Arc::new(one(diags, scope, raw))));
    let made: Vec<Arc<Reply>> = made.collect();
    if made.is_empty() {
        // An error was reported; a rule has a reply.
        return [Arc::new(plain(Vec::new()))].into();
    }
    made.into()
}

/// By reply, whose frame it is; empty without `replies`.
pub(super) fn frames(key: &Key<'_, '_>, raw: &RawRule, own: usize) -> Box<[FrameOf]> {
    let list = raw.replies.iter().flat_map(|list| &list.value);
    let (family, layout) = key.family;
    let frame_of = |layout: usize, command: Option<usize>| FrameOf {
        layout: layout as u16,
        command: command.map(|number| number as u32),
    };
    let number = |reply: &At<RawReply>| match (&reply.raw, &reply.frame) {
        (Some(_), _) => frame_of(layout, None),
        (None, Some(name)) => {
            let (layout, command) = family.entry(&name.value, layout).unzip();
            frame_of(layout.unwrap_or(0), command)
        }
        (None, None) => frame_of(layout, Some(own)),
    };
    list.map(number).collect()
}

/// A reply of bytes as they are.
pub(super) fn plain(bytes: Vec<u8>) -> Reply {
    let frame = Prebuilt::from(bytes);
    Reply { frame, patches: Box::default(), data_len: 0, less: 0, refusal: None, payload: Payload::Raw }
}

fn one(diags: &mut Diags, scope: &CommandScope<'_, '_, '_>, raw: &At<RawReply>) -> Reply {
    if let Some(given) = &raw.raw {
        if let Some(frame) = &raw.frame {
            diags.error(frame.pos, "`frame` and `raw` (one of them)");
        }
        return raw_bytes(diags, raw, given);
    }
    let (family, own) = scope.key.family;
    let (layout, number) = match &raw.frame {
        Some(name) => {
            let Some(found) = family.entry(&name.value, own) else {
                if !family.is_incomplete() {
                    let names = family.entries();
                    let near = field::known(&name.value, names.iter().map(String::as_str).collect::<Vec<_>>());
                    diags.error(name.pos, format!("the template has no frame `{}`{near}", name.value));
                }
                return plain(Vec::new());
            };
            found
        }
        None => (own, scope.number),
    };
    let (draft, asked) = (family.draft(layout), &scope.key.draft.plan);
    let data = raw.data.as_ref().map(|data| data.0.as_slice()).unwrap_or_default();
    check_names(diags, (draft, number), data, "reply to");
    let (command, drafted) = (&draft.plan.commands[number], &draft.commands[number]);
    let is_own = (layout, number) == (own, scope.number);
    let key = if is_own { Vec::new() } else { key(&draft.plan, draft, number) };
    let sources = Sources {
        template: &draft.plan,
        refusal: draft.refusal.as_ref(),
        request: scope.key.requests.of(scope.number),
        response: &drafted.response,
        response_len: command.response_len,
        less: command.less,
        padding: drafted.padding,
        values: &[
            &Values::new(data),
            &Values::new(if is_own { &[] } else { &drafted.walked_key }),
            &Values::new(&drafted.listed),
        ],
        scope,
        key: &key,
        walk: drafted.walk.as_ref(),
        asked: asked.commands[scope.number].request_walk(),
        asked_in: (layout != own).then_some(AskedIn {
            template: Some(asked),
            asked: &scope.key.draft.around,
            values: &draft.around,
        }),
        bases: &draft.bases,
        pos: raw.pos,
    };
    reply::build(diags, &sources)
}

pub(super) fn raw_bytes(diags: &mut Diags, raw: &At<RawReply>, given: &At<String>) -> Reply {
    if let Some((name, _)) = raw.data.as_ref().and_then(|data| data.0.first()) {
        diags.error(name.pos, "`data` beside `raw` (it is sent as it is)");
    }
    let slot =
        Slot { kind: Kind::Hex, len: given.value.len().div_ceil(2).max(1), little: false, right: false, padding: 0 };
    let mut bytes = Vec::new();
    if varied::encode(&slot, given.value.as_bytes(), &mut bytes).is_err() || bytes.is_empty() {
        diags.error(given.pos, format!("`{}` are no bytes (hex digits)", given.value));
    }
    diags.charge(given.pos, bytes.len(), "a reply");
    plain(bytes)
}

/// Where the parts of a command's key are, and their bytes.
pub(super) fn key(plan: &Template, draft: &TemplateDraft, number: usize) -> Vec<(Offset, Box<[u8]>)> {
    let mut rest = plan.commands[number].key;
    let mut out = Vec::new();
    for part in draft.commands[number].parts.iter().rev() {
        let mut bytes = vec![0; part.len];
        write_number(rest as u64, part.little, &mut bytes);
        rest = rest.checked_shr(8 * part.len as u32).unwrap_or(0);
        out.push((part.at, bytes.into()));
    }
    out
}

/// Reports names that the frame does not have. `what`: how it is called, before the command's key.
pub(super) fn check_names(
    diags: &mut Diags,
    (draft, number): (&TemplateDraft, usize),
    data: &[(At<String>, At<Json>)],
    what: &str,
) {
    let drafted = &draft.commands[number];
    let is_data = |plain: &str| {
        drafted.response.data(plain).is_some()
            || drafted
                .walk
                .as_ref()
                .is_some_and(|walk| walk.walk.nodes.iter().any(|node| node.parent.is_none() && *node.name == *plain))
    };
    field::check_once(diags, &draft.plan, data, is_data);
    for (name, value) in data {
        let (area, plain) = area_in(&draft.plan, &name.value);
        if area == Area::Plain && is_data(plain) {
            continue;
        }
        if let Some(field) = outside(&draft.plan, area, plain) {
            if field.computed != Computed::No {
                diags.warn(name.pos, format!("`{plain}` is always computed; its value here means nothing"));
            }
            continue;
        }
        if matches!((plain, &value.value), ("desc" | "description", Json::Str(_))) {
            continue;
        }
        let command = &draft.plan.commands[number];
        let names = drafted.response.iter().map(|field| &*field.field.name);
        let mut near = super::expr::nearest(plain, names);
        if command.request.iter().flatten().any(|field| *field.name == *plain) {
            near = " (`req_data_list` has it, and the device sends `resp_data_list`)".into();
        }
        diags.error(name.pos, format!("the {what} {} has no field `{}`{near}", command.key_text, name.value));
    }
}
