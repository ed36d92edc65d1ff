//! What a rule does to what its device remembers, and the condition under which it applies.

use super::calc;
use super::expr::{self, ExprError, Scope};
use super::kept::Kept;
use super::own_value;
use super::registers::{counter_name, keyed_name, set_text};
use super::scope::{CommandScope, fields_of, is_comment};
use crate::config::at::{At, Json, Pos};
use crate::config::de::shown;
use crate::config::diag::Diags;
use crate::config::raw::{RawRule, RawStore};
use crate::model::calc::{Calc, ValueKind};
use crate::model::field::{Offset, Slot};
use crate::model::reply::{Expr, Part};
use crate::model::rule::{EFFECTS, Effect, SetRegister, Store};
use crate::model::walk::{Walk, Walked};
use std::sync::Arc;

/// What a rule does before its reply is built.
pub(super) struct Effects {
    pub(super) sets: Box<[SetRegister]>,
    pub(super) effects: Box<[Effect]>,
}

/// `when` as a text.
pub(super) fn test(diags: &mut Diags, raw: &At<RawRule>, scope: &CommandScope<'_, '_, '_>) -> Option<Box<Calc>> {
    let when = raw.when.as_ref();
    let own = when.and_then(|when| Some((when.test.as_deref()?, when.pos)));
    let of_file = when.and_then(|when| when.of_file.as_ref().map(|of_file| (&*of_file.value, of_file.pos)));
    let of_template = own_value::conditions(scope.key.draft);
    let of_template = of_template.iter().map(|(text, pos)| (&**text, *pos));
    let parts: Vec<(&str, Pos)> = own.into_iter().chain(of_file).chain(of_template).collect();
    let mut calc = None;
    // Each by itself, so that what is wrong has its column.
    for (text, pos) in &parts {
        if text.trim().is_empty() {
            diags.error(*pos, "an empty condition (without `when` a rule always applies)");
            return None;
        }
        match calc::alone(text, &Condition(scope)) {
            Ok(found) => calc = Some(found),
            Err(wrong) => {
                diags.error(*pos, wrong);
                return None;
            }
        }
    }
    let at = when.map_or(raw.pos, |when| when.pos);
    if parts.len() > 1 {
        let all: Vec<String> = parts.iter().rev().map(|(text, _)| format!("({text})")).collect();
        match calc::alone(&all.join(" && "), &Condition(scope)) {
            Ok(all) => calc = Some(all),
            Err(wrong) => diags.error(at, wrong),
        }
    }
    let calc = calc?;
    diags.charge(at, calc::memory(&calc), "`when` of this rule");
    Some(Box::new(calc))
}

/// `set` and `store`.
pub(super) fn effects(diags: &mut Diags, raw: &At<RawRule>, scope: &CommandScope<'_, '_, '_>) -> Effects {
    let mut all: Vec<Effect> = Vec::new();
    let mut is_plain = true;
    for (name, value) in raw.set.iter().flat_map(fields_of) {
        if is_comment(&name.value) {
            continue;
        }
        let effect = match (counter_name(&name.value), keyed_name(&name.value)) {
            (Some(counter), _) => restart(diags, (name, counter), value, scope),
            (None, Some(register)) => entry(diags, (name, register), value, scope),
            (None, None) => set(diags, name, value, scope).map(Effect::Set),
        };
        let Some(effect) = effect else { continue };
        let of_calc = |part: &Part| matches!(part, Part::Calc(_));
        is_plain &= matches!(&effect, Effect::Set(set) if !set.value.parts.iter().any(of_calc));
        all.push(effect);
    }
    for raw in raw.store.iter().flat_map(|list| &list.0) {
        is_plain = false;
        all.extend(store(diags, raw, scope).map(|store| Effect::Store(Box::new(store))));
    }
    if is_plain {
        let plain = all.into_iter().filter_map(|effect| if let Effect::Set(set) = effect { Some(set) } else { None });
        return Effects { sets: plain.collect(), effects: Box::default() };
    }
    let value = Expr { parts: Box::default(), bytes_max: 0 };
    Effects { sets: [SetRegister { register: EFFECTS, value }].into(), effects: all.into() }
}

/// A text or number as a value.
fn value(diags: &mut Diags, value: &At<Json>, scope: &CommandScope<'_, '_, '_>) -> Option<Expr> {
    let text = if value.value == Json::Null { String::new() } else { set_text(&value.value)? };
    if text.is_empty() {
        return Some(Expr { parts: Box::new([Part::Literal("".into())]), bytes_max: 0 });
    }
    if !text.contains("${") && calc::key(&text, scope).is_ok_and(|calc| calc::computes(&calc)) {
        let what = "is a text here, not an expression (`${...}$` computes)";
        diags.warn(value.pos, format!("`{}` {what}", shown(&text)));
    }
    match expr::parse(&text, scope) {
        Ok(expr) => Some(expr),
        Err(wrong) => {
            diags.error(value.pos, wrong);
            None
        }
    }
}

fn set(
    diags: &mut Diags,
    name: &At<String>,
    given: &At<Json>,
    scope: &CommandScope<'_, '_, '_>,
) -> Option<SetRegister> {
    let register = scope.registers.numbers.get(&name.value).copied()?;
    let value = value(diags, given, scope)?;
    diags.charge(name.pos, size_of::<SetRegister>() + expr::memory(&value), "a register that is set");
    Some(SetRegister { register, value })
}

/// `count(name)`
fn restart(
    diags: &mut Diags,
    (name, counter): (&At<String>, &str),
    given: &At<Json>,
    scope: &CommandScope<'_, '_, '_>,
) -> Option<Effect> {
    if given.value != Json::Null {
        diags.error(given.pos, "a counter only begins again (null: its next value is its first one)");
        return None;
    }
    diags.charge(name.pos, size_of::<Effect>(), "a counter that begins again");
    let kept = &scope.registers.kept;
    let counter = kept.counter(counter);
    kept.restarted(counter, name.pos);
    Some(Effect::Restart(counter))
}

/// `name[key]`
fn entry(
    diags: &mut Diags,
    (name, register): (&At<String>, &str),
    given: &At<Json>,
    scope: &CommandScope<'_, '_, '_>,
) -> Option<Effect> {
    let register = scope.registers.kept.keyed(register)?;
    let key = name.value.trim();
    let key = key.split_once('[').map_or("", |(_, key)| key.trim_end_matches(']')).trim();
    if key.is_empty() {
        if given.value != Json::Null {
            diags.error(name.pos, "`name[]` without a key names all entries (null takes them out)");
        }
        return Some(Effect::Clear(register));
    }
    let key = match calc::key(key, scope) {
        Ok(key) => Box::new(key),
        Err(wrong) => {
            diags.error(name.pos, wrong);
            return None;
        }
    };
    let value = match given.value {
        Json::Null => None,
        _ => Some(value(diags, given, scope)?),
    };
    let bytes = calc::memory(&key) + value.as_ref().map_or(0, expr::memory) + size_of::<Effect>();
    diags.charge(name.pos, bytes, "a register that is set");
    Some(Effect::Entry { register, key, value })
}

fn store(diags: &mut Diags, raw: &At<RawStore>, scope: &CommandScope<'_, '_, '_>) -> Option<Store> {
    let Some(name) = &raw.area else {
        diags.missing(raw.pos, "area", "a memory area of the device");
        return None;
    };
    let kept = &scope.registers.kept;
    let Some((area, _)) = kept.area(name.value.trim()) else {
        let known = kept.area_names();
        let near = if known.is_empty() {
            " (`memory` of the device in fsu_devices.json makes areas)".to_owned()
        } else {
            expr::nearest(&name.value, known.iter().map(String::as_str))
        };
        diags.error(name.pos, format!("the device has no memory area `{}`{near}", name.value));
        return None;
    };
    let (at, is_bits) = match (&raw.at, &raw.bit) {
        (Some(at), None) => (at, false),
        (None, Some(bit)) => (bit, true),
        (Some(at), Some(_)) => {
            diags.error(at.pos, "`at` and `bit` (one of them)");
            return None;
        }
        (None, None) => {
            diags.missing(raw.pos, "at", "an expression: the first byte; or `bit`: the first bit");
            return None;
        }
    };
    let Some(value) = &raw.value.value else {
        diags.missing(raw.pos, "value", "an expression: what is written");
        return None;
    };
    if let Some(count) = raw.count.as_ref().filter(|_| !is_bits) {
        diags.error(count.pos, "`count` is the number of bits beside `bit` (bytes are as many as the value has)");
    }
    let at = number(diags, at, scope)?;
    let bits = match &raw.count {
        Some(count) => Some(number(diags, count, scope)?),
        None => is_bits.then(|| calc::alone("1", scope).ok()).flatten(),
    };
    let text = expression(&value.value);
    let value_calc = calc::bytes(&text, scope).map_err(|wrong| diags.error(value.pos, wrong)).ok()?;
    let width = width(diags, raw, is_bits, (value, value_calc.kind));
    let takes = calc::memory(&at) + bits.as_ref().map_or(0, calc::memory) + calc::memory(&value_calc);
    diags.charge(raw.pos, size_of::<Store>() + takes, "a store");
    Some(Store { area, name: name.value.trim().into(), at, bits, value: value_calc, width })
}

/// The bytes of a number.
fn width(diags: &mut Diags, raw: &RawStore, is_bits: bool, (value, kind): (&At<Json>, ValueKind)) -> usize {
    if is_bits {
        if let Some(bytes) = &raw.bytes {
            diags.error(bytes.pos, "`bytes` beside `bit` (`count` is the number of bits)");
        }
        return 8;
    }
    let Some(bytes) = &raw.bytes else {
        if matches!(kind, ValueKind::Whole | ValueKind::Number) {
            diags.error(value.pos, "a number without `bytes` (how many it takes: \"bytes\": 2)");
        }
        return 0;
    };
    if !(1..=8).contains(&bytes.value) {
        diags.error(bytes.pos, format!("{} bytes of a number (1 to 8)", bytes.value));
    }
    bytes.value.clamp(1, 8) as usize
}

fn number(diags: &mut Diags, at: &At<Json>, scope: &CommandScope<'_, '_, '_>) -> Option<Calc> {
    calc::alone(&expression(&at.value), scope).map_err(|wrong| diags.error(at.pos, wrong)).ok()
}

/// The expression in a text or number. `${...}$` around it is optional.
fn expression(json: &Json) -> String {
    let text = json.to_text();
    let inner = text.trim().strip_prefix("${").and_then(|rest| rest.strip_suffix("}$"));
    inner.filter(|inner| !inner.contains("${")).map_or_else(|| text.clone(), str::to_owned)
}

/// A condition: it reads, and changes nothing.
struct Condition<'s>(&'s dyn Scope);

impl Scope for Condition<'_> {
    fn field(&self, name: &str) -> Result<Option<(Offset, Slot)>, ExprError> {
        self.0.field(name)
    }

    fn register(&self, name: &str) -> Result<u32, ExprError> {
        self.0.register(name)
    }

    fn register_bytes_max(&self, number: u32) -> usize {
        self.0.register_bytes_max(number)
    }

    fn id_digits(&self) -> usize {
        self.0.id_digits()
    }

    fn walked(&self, name: &str) -> Option<Walked> {
        self.0.walked(name)
    }

    fn walk(&self) -> Option<Arc<Walk>> {
        self.0.walk()
    }

    fn kept(&self) -> Option<&Kept> {
        self.0.kept()
    }

    fn arg(&self, name: &str) -> Option<u16> {
        self.0.arg(name)
    }

    fn register_is_bytes(&self, number: u32) -> bool {
        self.0.register_is_bytes(number)
    }

    fn may_draw(&self) -> bool {
        false
    }
}
