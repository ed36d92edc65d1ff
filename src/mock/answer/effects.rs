//! What a rule does to its device's registers and memory, where that is more than setting registers to texts.

use super::build::{Inputs, set_register, text};
use super::calc::{self, Failed};
use super::rule::cut_register;
use fsu_plan::model::kept::ENTRY_KEY_BYTES_MAX;
use fsu_plan::model::reply::Expr;
use fsu_plan::model::rule::{Effect, Rule, Store};
use fsu_plan::wire::calc::NoValue;

/// All effects of a rule, in order. One that has no value changes nothing. Both buffers are overwritten.
#[cold]
pub(super) fn all(rule: &Rule, inputs: &mut Inputs<'_>, (written, other): (&mut Vec<u8>, &mut Vec<u8>)) {
    for effect in &rule.effects {
        let done = match effect {
            Effect::Set(set) => value(&set.value, inputs, written).map(|()| {
                let device = inputs.device;
                if let Some(state) = inputs.state.as_mut().and_then(|state| state.devices.get_mut(device)) {
                    set_register(state, set.register, written);
                }
            }),
            Effect::Entry { register, key, value } => {
                other.clear();
                calc::append(key, inputs, other).and_then(|()| entry(*register, (other, value), inputs, written))
            }
            Effect::Clear(register) => inputs.kept().ok_or(Failed::Unknown).map(|kept| {
                if let Some(entries) = kept.entries_mut(*register) {
                    entries.clear();
                }
            }),
            Effect::Restart(counter) => inputs.kept().map(|kept| kept.restart(*counter)).ok_or(Failed::Unknown),
            Effect::Store(store) => self::store(store, inputs, (written, other)),
        };
        if let Err(why) = done {
            inputs.failed(why);
        }
    }
}

/// The text of a value; an error if one of its expressions has none.
fn value(expr: &Expr, inputs: &mut Inputs<'_>, written: &mut Vec<u8>) -> Result<(), Failed> {
    written.clear();
    let before = failures(inputs);
    text(expr, inputs, written);
    if written.is_empty() && failures(inputs) > before {
        // It was counted.
        return Err(Failed::Absent);
    }
    cut_register(written);
    Ok(())
}

fn failures(inputs: &Inputs<'_>) -> u64 {
    inputs.state.as_ref().map_or(0, |state| state.counters.expression_failures)
}

fn entry(
    register: u16,
    (key, expr): (&[u8], &Option<Expr>),
    inputs: &mut Inputs<'_>,
    written: &mut Vec<u8>,
) -> Result<(), Failed> {
    if let Some(expr) = expr {
        value(expr, inputs, written)?;
    }
    if key.len() > ENTRY_KEY_BYTES_MAX {
        return Err(Failed::TooLong);
    }
    let entries = inputs.kept().and_then(|kept| kept.entries_mut(register)).ok_or(Failed::Unknown)?;
    if expr.is_none() {
        entries.delete(key);
    } else if entries.set(key, written)
        && let Some(state) = &mut inputs.state
    {
        state.counters.entries_dropped += 1;
    }
    Ok(())
}

fn store(store: &Store, inputs: &mut Inputs<'_>, (written, other): (&mut Vec<u8>, &mut Vec<u8>)) -> Result<(), Failed> {
    let request = inputs.request;
    let mut size = |calc, inputs: &mut Inputs<'_>| {
        let number = calc::number(calc, request, Some(inputs), other)?.whole()?;
        usize::try_from(number).map_err(|_| Failed::Outside)
    };
    let at = size(&store.at, inputs)?;
    let bits = store.bits.as_ref().map(|bits| size(bits, inputs)).transpose()?;
    match bits {
        // One bit: whether the value is true.
        Some(1) => {
            let is_true = calc::number(&store.value, request, Some(inputs), other)?.is_true();
            written.clear();
            written.push(u8::from(is_true));
        }
        _ => calc::bytes(&store.value, inputs, store.width, written)?,
    }
    let area = inputs.kept().ok_or(Failed::Unknown)?.area_mut(store.area);
    let Some(bits) = bits else {
        let place = area.get_mut(at..).and_then(|rest| rest.get_mut(..written.len())).ok_or(Failed::Outside)?;
        place.copy_from_slice(written);
        return Ok(());
    };
    let end = at.checked_add(bits).filter(|end| *end <= 8 * area.len()).ok_or(Failed::Outside)?;
    if bits > 8 * written.len() {
        return Err(NoValue::Overflow.into());
    }
    for (number, bit) in (at..end).enumerate() {
        let is_set = written[number / 8] >> (number % 8) & 1 == 1;
        let mask = 1 << (bit % 8);
        if is_set { area[bit / 8] |= mask } else { area[bit / 8] &= !mask }
    }
    Ok(())
}
