//! The value of one field: known bytes, or a step that writes them.

use super::super::adapt::adapt;
use super::super::calc;
use super::super::expr::{self, is_dynamic, is_function};
use super::super::field;
use super::super::fits::{fits, numeric};
use super::super::named_bits;
use super::super::reply::patch;
use super::copy;
use super::encode::{Encoder, Written};
use super::put;
use super::repeat::Indexed;
use crate::config::at::{At, Json};
use crate::config::de::shown;
use crate::config::diag::Diags;
use crate::model::field::{Kind, Slot};
use crate::model::reply::{Expr, Part, Patch};
use crate::model::walk::Put;
use crate::wire::varied;

impl Encoder<'_> {
    /// Writes the value of the next field.
    pub(super) fn field(
        &mut self,
        diags: &mut Diags,
        at: Spot<'_>,
        value: Option<&At<Json>>,
        own: Option<&At<Json>>,
    ) -> Written {
        let until = self.until(at.node);
        let written = match value {
            // The fewest bytes that its length can express.
            None if at.varies => Some(Known::Bytes(vec![0; self.fewest(at.node)].into())),
            None => Some(Known::Bytes(self.tag(at.node).unwrap_or_else(|| vec![at.slot.blank(); at.slot.len].into()))),
            Some(value) => self.value(diags, &at, &until, value),
        };
        let written = match written {
            Some(Known::Bytes(bytes)) => Written::Known(self.draft.bytes(&bytes)),
            Some(Known::Step(op, most)) => {
                self.step(diags, &at, (op, most), own);
                Written::Other
            }
            None => Written::Other,
        };
        if !until.is_empty() {
            self.draft.bytes(&until);
        }
        written
    }

    /// Appends the step of a field, with the fallback for a value that does not fit.
    fn step(&mut self, diags: &mut Diags, at: &Spot<'_>, (mut op, most): (Put, usize), own: Option<&At<Json>>) {
        if let Put::Text(text) = &mut op {
            let constant =
                own.filter(|own| !matches!(&own.value, Json::Str(text) if text.is_empty() || is_dynamic(text)));
            let bytes = constant.and_then(|own| known(diags, at, own));
            let plain = || if at.varies { Box::default() } else { vec![at.slot.blank(); at.slot.len].into() };
            text.default = self.draft.fallback(&bytes.unwrap_or_else(plain));
        }
        self.draft.push(op, most);
    }

    /// Compiles a JSON value; `None` after an error.
    fn value(&mut self, diags: &mut Diags, at: &Spot<'_>, until: &[u8], value: &At<Json>) -> Option<Known> {
        if named_bits::are_computed(at.slot, value) {
            let scope = Indexed { inner: self.of.scope, index: self.index, item: self.item_scope() };
            let whole = named_bits::whole(diags, (at.slot, &vec![0; at.slot.len]), value, &scope)?;
            return self.value(diags, at, until, &whole);
        }
        if !is_function(&value.value) {
            let bytes = known(diags, at, value)?;
            if holds(&bytes, until) {
                diags.error(value.pos, format!("the value has {}, which ends its field", hex::encode_upper(until)));
                return None;
            }
            return Some(Known::Bytes(bytes));
        }
        let Json::Str(text) = &value.value else { return None };
        if let Some(element) =
            self.referred(text).and_then(|(request, path)| copy::element(self.walk(), at.node, &request, path))
        {
            let most = if element.varies { element.slot.len } else { at.slot.len };
            let default = if at.varies {
                self.draft.fallback(&[])
            } else {
                self.draft.fallback(&vec![at.slot.blank(); at.slot.len])
            };
            return Some(Known::Step(Put::Element { from: Box::new(element), default }, most));
        }
        let scope = Indexed { inner: self.of.scope, index: self.index, item: self.item_scope() };
        let expr = match expr::parse(text, &scope) {
            Ok(expr) => calc::fitted(expr, at.slot, at.varies),
            Err(wrong) => {
                diags.error(value.pos, wrong);
                return None;
            }
        };
        let expr = adapt(expr, at.slot);
        if let Some(plain) = literal(&expr) {
            let text = At { pos: value.pos, value: Json::Str(plain) };
            return self.value(diags, at, until, &text);
        }
        // The length of a request's element is known only at run time.
        let open = at.varies && expr.parts.iter().any(|part| matches!(part, Part::Walked(_)));
        let slot =
            if open { Slot { len: expr.bytes_max.max(at.slot.len), ..at.slot.clone() } } else { at.slot.clone() };
        if let Err(wrong) = fits(&expr, &slot, self.of.scope.id_digits()) {
            diags.error(value.pos, format!("`{}` {wrong}", shown(text)));
            return None;
        }
        if at.varies {
            return Some(Known::Step(Put::Text(Box::new(put::text(expr, at.slot, true, until))), at.slot.len));
        }
        let op = match patch(expr, at.slot, 0) {
            Patch::Number { number, len, form, .. } => Put::Number { number, len, form },
            Patch::Copy { from, len, .. } => Put::Copy { from, len },
            Patch::Text { value, slot, .. } => Put::Text(Box::new(put::text(value, &slot, false, until))),
            Patch::CopyReversed { .. } => return None,
        };
        Some(Known::Step(op, at.slot.len))
    }
}

/// A compiled value.
pub(super) enum Known {
    Bytes(Box<[u8]>),
    Step(Put, usize),
}

/// The field that a value is for.
#[derive(Clone, Copy)]
pub(super) struct Spot<'s> {
    pub(super) node: u32,
    pub(super) slot: &'s Slot,
    pub(super) varies: bool,
}

/// The bytes of a constant; `None` after an error.
fn known(diags: &mut Diags, at: &Spot<'_>, value: &At<Json>) -> Option<Box<[u8]>> {
    if matches!(value.value, Json::Obj(_)) && matches!(at.slot.kind, Kind::Bit(_)) {
        return field::constant(diags, at.slot, value).map(|(bytes, _)| bytes);
    }
    let text = field::text(diags, at.slot, value)?;
    if !at.varies {
        let text = if text.is_empty() && numeric(&at.slot.kind) { "0".to_owned() } else { text };
        return field::encode(diags, at.slot, &text, value.pos);
    }
    let mut bytes = Vec::new();
    match varied::encode(at.slot, text.as_bytes(), &mut bytes) {
        Ok(()) => Some(bytes.into()),
        Err(misfit) => {
            diags.error(value.pos, format!("`{}` is {}", shown(&text), misfit.explain(at.slot)));
            None
        }
    }
}

/// Whether the bytes contain the field's terminator.
fn holds(bytes: &[u8], until: &[u8]) -> bool {
    !until.is_empty() && memchr::memmem::find(bytes, until).is_some()
}

/// The text of a value that is the same in every reply.
pub(in super::super) fn literal(expr: &Expr) -> Option<String> {
    let text = |part: &Part| if let Part::Literal(text) = part { Some(text.to_string()) } else { None };
    expr.parts.iter().map(text).collect()
}
