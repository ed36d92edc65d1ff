//! What acknowledges a message.

use super::{Compiler, heeded};
use crate::compile::effects;
use crate::compile::expr::{ExprError, Scope, is_dynamic};
use crate::compile::field::{self, Area, known, outside};
use crate::compile::moved::area_in;
use crate::compile::reply::header_lookup;
use crate::compile::rules::answered_by_transfer;
use crate::compile::scope::{CommandScope, Key, is_comment};
use crate::compile::template::TemplateDraft;
use crate::config::at::{At, Json};
use crate::config::diag::Diags;
use crate::config::extent::RawWhen;
use crate::config::messages::RawAck;
use crate::config::raw::RawRule;
use crate::model::calc::Asked;
use crate::model::conversation::{Ack, AckValue, BACKOFF_MAX, Match, Otherwise, RETRIES_MAX, WAIT_MS_MAX};
use crate::model::field::{Kind, Notation, Slot};
use crate::model::rule::FrameOf;
use crate::words::count;

/// `within_ms` where it is not given.
const WITHIN_MS: u64 = 5_000;
/// What is before a state in `else`.
const LEAVE: &str = "leave:";

/// The message that is acknowledged: its first frame.
struct Sent<'a> {
    draft: &'a TemplateDraft,
    /// `None`: bytes as they are.
    command: Option<usize>,
}

impl Compiler<'_, '_> {
    /// `ack` of the message with that number; `first`: its first frame, if that is right.
    pub(super) fn ack(
        &mut self,
        diags: &mut Diags,
        (number, raw): (usize, &At<RawAck>),
        first: Option<FrameOf>,
    ) -> Option<Ack> {
        let family = self.from.family;
        let Some(name) = &raw.frame else {
            diags.missing(raw.pos, "frame", "the frame that acknowledges it");
            return None;
        };
        let own = first.map_or(0, |first| usize::from(first.layout));
        let (layout, numbers) = heeded::asked(diags, family, name, own)?;
        let &[command] = &*numbers else {
            let right = "give the one that is meant a `name`, and write that";
            diags.error(name.pos, format!("{} entries have the key `{}` ({right})", numbers.len(), name.value));
            return None;
        };
        let draft = family.draft(layout);
        if answered_by_transfer(&draft.plan, command) {
            diags.error(name.pos, format!("`{}` belongs to the `transfer`, and acknowledges nothing", name.value));
            return None;
        }
        self.heeded.acknowledges(layout, command, number);
        let key = Key::new((family, layout), &numbers, self.from.requests);
        let scope = CommandScope { key: &key, number: command, registers: self.from.registers, args: None };
        let sent =
            first.map(|first| Sent { draft: family.draft(own), command: first.command.map(|number| number as usize) });
        let when = raw.when.as_ref().map(|when| At {
            pos: when.pos,
            value: RawWhen { test: Some(when.value.as_str().into()), ..RawWhen::default() },
        });
        let when = effects::test(diags, &At { pos: raw.pos, value: RawRule { when, ..RawRule::default() } }, &scope);
        Some(Ack {
            frame: FrameOf { layout: layout as u16, command: Some(command as u32) },
            matches: matches(diags, raw.matches.as_ref(), sent.as_ref(), &scope),
            when,
            within_ms: whole(diags, raw.within_ms.as_ref(), (1, WAIT_MS_MAX, WITHIN_MS), "ms"),
            retries: whole(diags, raw.retries.as_ref(), (0, u64::from(RETRIES_MAX), 0), "retries") as u32,
            backoff: backoff(diags, raw),
            otherwise: self.otherwise(diags, raw),
            data: data(diags, raw, sent.as_ref(), &scope).into(),
        })
    }

    fn otherwise(&mut self, diags: &mut Diags, raw: &RawAck) -> Otherwise {
        let Some(word) = &raw.otherwise else { return Otherwise::GiveUp };
        match word.value.trim() {
            "give_up" => Otherwise::GiveUp,
            "reconnect" => Otherwise::Reconnect,
            text => {
                let Some(state) = text.strip_prefix(LEAVE) else {
                    let near = known(text, ["give_up", "reconnect", "leave:STATE"]);
                    diags.error(word.pos, format!("`else` has no word `{text}`{near}"));
                    return Otherwise::GiveUp;
                };
                let number = self.states.number(diags, state, word.pos);
                self.states.used.extend(number.map(|number| (word.pos, number)));
                Otherwise::Leave(number.map_or(0, |number| 1 << number))
            }
        }
    }
}

/// A whole number with bounds and a default.
fn whole(diags: &mut Diags, at: Option<&At<u64>>, (least, most, default): (u64, u64, u64), unit: &str) -> u64 {
    let Some(at) = at else { return default };
    if !(least..=most).contains(&at.value) {
        diags.error(at.pos, format!("{} {unit} ({least} to {most})", at.value));
    }
    at.value.clamp(least, most)
}

fn backoff(diags: &mut Diags, raw: &RawAck) -> f64 {
    let Some(at) = &raw.backoff else { return 1.0 };
    if !(1.0..=BACKOFF_MAX).contains(&at.value) {
        diags.error(at.pos, format!("backoff {} (1 to {BACKOFF_MAX})", at.value));
        return 1.0;
    }
    if raw.retries.as_ref().is_none_or(|retries| retries.value == 0) {
        diags.idle(at.pos, "`backoff` does nothing here: without `retries` there is one wait");
    }
    at.value
}

/// `match`: the fields that must be equal.
fn matches(
    diags: &mut Diags,
    raw: Option<&At<Json>>,
    sent: Option<&Sent<'_>>,
    scope: &CommandScope<'_, '_, '_>,
) -> Box<[Match]> {
    let Some(raw) = raw else { return Box::default() };
    // Of the acknowledgement, of the message.
    let mut names: Vec<(At<&str>, At<&str>)> = Vec::new();
    let text = |at: &At<Json>, diags: &mut Diags| {
        if let Json::Str(_) = at.value {
            return true;
        }
        diags.error(
            at.pos,
            "a field's name (`match`: names that both frames have, or {\"ack's field\": \"message's\"})",
        );
        false
    };
    match &raw.value {
        Json::Null => {}
        Json::Arr(list) => {
            for at in list.iter().filter(|at| at.value != Json::Null) {
                if let (true, Json::Str(name)) = (text(at, diags), &at.value) {
                    names.push((At { pos: at.pos, value: name }, At { pos: at.pos, value: name }));
                }
            }
        }
        Json::Obj(list) => {
            for (name, at) in
                list.iter().filter(|(name, at)| !is_comment(&name.value) || matches!(at.value, Json::Str(_)))
            {
                if let (true, Json::Str(of)) = (text(at, diags), &at.value) {
                    names.push((At { pos: name.pos, value: &name.value }, At { pos: at.pos, value: of }));
                }
            }
        }
        Json::Str(name) => names.push((At { pos: raw.pos, value: name }, At { pos: raw.pos, value: name })),
        _ => drop(text(raw, diags)),
    }
    let pairs = names.iter().filter_map(|(acked, of)| {
        let acked_field = asked(diags, scope, acked);
        let sent_field = sent.and_then(|sent| sent.field(diags, of));
        let found = Match { sent: sent_field?, acked: acked_field? };
        if let Err((one, other)) = comparable(&found.sent, &found.acked) {
            let text = format!(
                "`{}` of the message is {one}, `{}` of the acknowledgement {other}: they are never equal (fields of one type, or two whole numbers)",
                of.value, acked.value
            );
            diags.error(of.pos, text);
        }
        Some(found)
    });
    pairs.collect()
}

/// A field of the acknowledgement.
fn asked(diags: &mut Diags, scope: &CommandScope<'_, '_, '_>, name: &At<&str>) -> Option<Asked> {
    if let Some(walked) = scope.walked(name.value.trim()) {
        return Some(Asked::Walked(walked));
    }
    match scope.field(name.value) {
        Ok(found) => found.map(|(at, slot)| Asked::Fixed { at, slot }),
        Err(wrong) => {
            diags.error(name.pos, wrong);
            None
        }
    }
}

impl Sent<'_> {
    /// A field of the message.
    fn field(&self, diags: &mut Diags, name: &At<&str>) -> Option<Asked> {
        let Some(command) = self.command else {
            diags.error(name.pos, format!("`{}`: a message of `raw` bytes has no fields", name.value));
            return None;
        };
        let drafted = &self.draft.commands[command];
        let (area, plain) = area_in(&self.draft.plan, name.value);
        if area == Area::Plain {
            if let Some(number) = drafted.response.data(plain) {
                let field = &drafted.response[number].field;
                return Some(Asked::Fixed { at: field.at, slot: field.slot.clone() });
            }
            let walk = drafted.walk.as_ref().map(|draft| &draft.walk);
            if let Some(walked) = walk.and_then(|walk| walk.element(walk.path(plain)?)) {
                return Some(Asked::Walked(walked));
            }
        }
        if let Some(field) = outside(&self.draft.plan, area, plain) {
            return Some(Asked::Fixed { at: field.at, slot: field.slot.clone() });
        }
        let header = self.draft.plan.left.iter().chain(&self.draft.plan.tail).map(|field| &*field.name);
        let names = drafted.response.iter().map(|field| &*field.field.name).chain(header);
        let key = &self.draft.plan.commands[command].key_text;
        let near = known(plain, names.collect::<Vec<_>>());
        diags.error(name.pos, format!("the frame {key} has no field `{}`{near}", name.value));
        None
    }
}

/// Whether equal values are written alike: values are compared in their notation. Else the types.
fn comparable(one: &Asked, other: &Asked) -> Result<(), (String, String)> {
    let of = |asked: &Asked| -> (Slot, bool) {
        match asked {
            Asked::Fixed { slot, .. } => (slot.clone(), false),
            Asked::Walked(walked) => (walked.slot.clone(), walked.varies),
        }
    };
    let ((one, varies), (other, as_long)) = (of(one), of(other));
    let any_size = varies || as_long || one.len == other.len;
    let shown = |slot: &Slot| if let Kind::Shown(shown) = &slot.kind { Some(shown.clone()) } else { None };
    let is_alike = one.kind.notation() == other.kind.notation() && shown(&one) == shown(&other);
    let is_right = match one.kind.notation() {
        // Numbers of any size.
        Notation::Whole | Notation::Text | Notation::Time => is_alike,
        Notation::Digits | Notation::Bits | Notation::Float => {
            is_alike && any_size && one.kind.base().is_like(other.kind.base())
        }
    };
    let told = |slot: &Slot| format!("{} of {}", slot, count(slot.len, "byte"));
    if is_right { Ok(()) } else { Err((told(&one), told(&other))) }
}

/// `data`: what a centre writes into the acknowledgement.
fn data(
    diags: &mut Diags,
    raw: &RawAck,
    sent: Option<&Sent<'_>>,
    scope: &CommandScope<'_, '_, '_>,
) -> Vec<(Box<str>, AckValue)> {
    let list = raw.data.as_ref().map(|data| data.0.as_slice()).unwrap_or_default();
    let plan = &scope.key.draft.plan;
    let is_data = |plain: &str| scope.key.asks(plain) || scope.key.asks_walked(plain);
    field::check_once(diags, plan, list, is_data);
    let mut out = Vec::new();
    for (name, value) in list {
        let slot = slot(scope, &name.value);
        if slot.is_err() && is_comment(&name.value) && matches!(value.value, Json::Str(_)) {
            continue;
        }
        let slot = match slot {
            Ok(slot) => slot,
            Err(wrong) => {
                diags.error(name.pos, wrong);
                continue;
            }
        };
        let text = if let Json::Str(text) = &value.value { text.trim() } else { "" };
        let copied = text.strip_prefix("#{").and_then(|rest| rest.strip_suffix("}#")).filter(|rest| !is_dynamic(rest));
        let value = match copied {
            Some(field) => {
                let field = At { pos: value.pos, value: field };
                sent.and_then(|sent| sent.field(diags, &field)).map(AckValue::Copy)
            }
            None if is_dynamic(text) => {
                diags.error(value.pos, "`data` of `ack` has constants, and `#{field}#` of the message alone");
                None
            }
            None => {
                let fits = slot.is_none_or(|slot| field::constant(diags, &slot, value).is_some());
                fits.then(|| AckValue::Constant(value.value.to_json()))
            }
        };
        let room = name.value.len() + 2 * size_of::<AckValue>() + text.len();
        diags.charge(name.pos, room, "a value of an acknowledgement");
        out.extend(value.map(|value| (name.value.trim().into(), value)));
    }
    out
}

/// The type of a field of the acknowledgement; `Ok(None)`: its size varies, or it is a list or choice.
fn slot(scope: &CommandScope<'_, '_, '_>, name: &str) -> Result<Option<Slot>, ExprError> {
    let (area, plain) = area_in(&scope.key.draft.plan, name);
    if let Some(walked) = scope.walked(plain).filter(|_| area == Area::Plain) {
        return Ok((!walked.varies).then_some(walked.slot));
    }
    if area == Area::Plain && scope.key.asks_walked(plain) {
        return Ok(None);
    }
    if let Some(field) = scope.key.requests.field(scope.number, plain).filter(|_| area == Area::Plain) {
        return Ok(Some(field.slot.clone()));
    }
    header_lookup(&scope.key.draft.plan, name).map(|(_, slot)| Some(slot)).or_else(|_| scope.field(name).map(|_| None))
}
