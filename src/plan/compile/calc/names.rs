//! Fields of the request in expressions.

use super::super::expr::{ExprError, same_type};
use super::emit::{Emitter, Want};
use super::error::Wrong;
use crate::model::calc::{Asked, Op, ValueKind};
use crate::model::field::{Kind, Notation, Slot};
use crate::model::walk::{Path, Walked, What};
use crate::wire::value::{self, notation_bytes_max};
use crate::wire::varied;

/// Bytes of a number.
const NUMBER_BYTES: usize = 8;
/// Hex digits whose number always has 64 bits.
const HEX_DIGITS: usize = 15;
/// Bytes of digits whose number always has 64 bits.
const DIGIT_BYTES: usize = 9;

/// A field that was found.
enum Found {
    Asked(Asked),
    /// Named bits of a field.
    Bits(Asked, u16, u16),
    /// Another entry with the same key has it.
    Elsewhere,
}

impl Emitter<'_> {
    /// Emits the value of a field.
    pub(super) fn field(&mut self, name: &str, want: Want) -> Result<ValueKind, Wrong> {
        let asked = match self.find(name)? {
            Found::Asked(asked) => asked,
            Found::Bits(asked, from, to) => {
                let number = self.add(asked);
                self.push(Op::FieldBits(number, from, to), 0, 1);
                return Ok(ValueKind::Whole);
            }
            Found::Elsewhere => {
                self.push(Op::Absent, 0, 1);
                return Ok(ValueKind::Any);
            }
        };
        let (slot, varies) = slot(&asked);
        let (notation, len, is_hex) = (slot.kind.notation(), slot.len, *slot.kind.base() == Kind::Hex);
        let is_digits = matches!(slot.kind.base(), Kind::HexDigits { .. });
        let is_changed = matches!(slot.kind, Kind::Changed(_));
        let is_changed_hex = is_changed && *slot.kind.unchanged().base() == Kind::Hex;
        let longest = notation_bytes_max(slot);
        let number = self.add(asked);
        self.grow(longest);
        let (op, kind) = match (want, notation) {
            (Want::Raw, _) => (Op::FieldRaw(number), ValueKind::Bytes),
            (Want::Text, _) | (_, Notation::Text | Notation::Time) => (Op::FieldText(number), ValueKind::Text),
            // Bits and bytes of changed bytes have no meaning.
            (_, Notation::Bits) if is_changed => (Op::FieldText(number), ValueKind::Any),
            (_, Notation::Digits) if is_changed_hex => (Op::FieldText(number), ValueKind::Any),
            (_, Notation::Digits) if is_hex => (Op::FieldBytes(number), ValueKind::Bytes),
            // More hex digits than a number has are no decimal ones.
            (_, Notation::Digits) if is_digits => {
                let fits = len <= HEX_DIGITS;
                if fits {
                    (Op::FieldNumber(number), ValueKind::Whole)
                } else {
                    (Op::FieldText(number), ValueKind::Text)
                }
            }
            (_, Notation::Digits) if len <= DIGIT_BYTES => (Op::FieldNumber(number), ValueKind::Whole),
            (_, Notation::Digits) => (Op::FieldText(number), ValueKind::Any),
            (_, Notation::Whole) => (Op::FieldNumber(number), ValueKind::Whole),
            (_, Notation::Float) => (Op::FieldNumber(number), ValueKind::Number),
            (_, Notation::Bits) if len <= NUMBER_BYTES && !varies => {
                (Op::FieldBits(number, 0, (8 * len - 1) as u16), ValueKind::Whole)
            }
            (_, Notation::Bits) => (Op::FieldBytes(number), ValueKind::Bytes),
        };
        self.push(op, 0, 1);
        Ok(kind)
    }

    /// Emits a field and a constant of its type. False: the two are compared in another way.
    pub(super) fn constant_of_field(&mut self, (name, text): (&str, &str), is_equality: bool) -> Result<bool, Wrong> {
        let Found::Asked(asked) = self.find(name)? else { return Ok(false) };
        let (slot, varies) = slot(&asked);
        let is_hex = *slot.kind.base() == Kind::Hex;
        if slot.kind == Kind::Str || !(is_equality || is_hex) {
            return Ok(false);
        }
        let mut bytes = match encoded(slot, varies, text) {
            Ok(bytes) => bytes,
            Err(why) => {
                return Err(Wrong::NeverEqual {
                    text: text.into(),
                    field: format!("`{name}`").into(),
                    why: why.into(),
                });
            }
        };
        if is_hex && slot.little {
            bytes.reverse();
        }
        let number = self.add(asked);
        self.push(if is_hex { Op::FieldBytes(number) } else { Op::FieldRaw(number) }, 0, 1);
        let (from, to) = self.text(&bytes);
        self.push(Op::Bytes(from, to), 0, 1);
        Ok(true)
    }

    /// Emits the number of items of a list; false: there is no list of that name.
    pub(super) fn items(&mut self, name: &str) -> bool {
        let Some(walk) = self.scope.walk() else { return false };
        let Some(path) = walk.path(name) else { return false };
        let Some(node) = walk.nodes.get(path.node as usize).filter(|node| matches!(node.what, What::List)) else {
            return false;
        };
        let slot = Slot { kind: Kind::Hex, len: node.most, little: false, right: false, padding: 0 };
        let number =
            self.add(Asked::Walked(Walked { walk: walk.clone(), path, slot, varies: true, others: Box::default() }));
        self.push(Op::Items(number), 0, 1);
        true
    }

    /// The number of a field of the program.
    fn add(&mut self, asked: Asked) -> u16 {
        self.fields.push(asked);
        (self.fields.len() - 1) as u16
    }

    fn find(&self, name: &str) -> Result<Found, Wrong> {
        let value = |wrong: ExprError| Wrong::Value(Box::new(wrong));
        if name.is_empty() {
            return Err(value(ExprError::NamelessField("".into())));
        }
        if let Some(walked) = self.scope.walked(name) {
            same_type(name, &walked).map_err(value)?;
            return Ok(Found::Asked(Asked::Walked(walked)));
        }
        if let Some(walk) = self.scope.walk()
            && let Some(Path { node, .. }) = walk.path(name)
            && !matches!(walk.nodes.get(node as usize).map(|node| &node.what), Some(What::Field { .. }))
        {
            return Err(Wrong::Nest(name.into()));
        }
        match self.scope.field(name) {
            Ok(Some((at, slot))) => Ok(Found::Asked(Asked::Fixed { at, slot })),
            Ok(None) => Ok(Found::Elsewhere),
            Err(wrong) => self.bits(name).ok_or_else(|| value(wrong)),
        }
    }

    /// Whether it is a name of some bits of a field, and of no field.
    pub(super) fn is_bits(&self, name: &str) -> bool {
        matches!(self.find(name), Ok(Found::Bits(..)))
    }

    /// `flags.door`: named bits of a field.
    fn bits(&self, name: &str) -> Option<Found> {
        let (base, bits) = name.rsplit_once('.')?;
        let asked = match self.scope.walked(base) {
            Some(walked) if !walked.varies => Asked::Walked(walked),
            Some(_) => return None,
            None => self.scope.field(base).ok().flatten().map(|(at, slot)| Asked::Fixed { at, slot })?,
        };
        let Kind::Bit(ranges) = &slot(&asked).0.kind else { return None };
        let range = ranges.named(bits).filter(|range| range.to - range.from < 63)?;
        let (from, to) = (u16::try_from(range.from).ok()?, u16::try_from(range.to).ok()?);
        Some(Found::Bits(asked, from, to))
    }
}

/// The type of a field, and whether its size varies.
fn slot(asked: &Asked) -> (&Slot, bool) {
    match asked {
        Asked::Fixed { slot, .. } => (slot, false),
        Asked::Walked(walked) => (&walked.slot, walked.varies),
    }
}

/// The bytes of a constant in that field.
fn encoded(slot: &Slot, varies: bool, text: &str) -> Result<Vec<u8>, String> {
    if varies {
        let mut bytes = Vec::new();
        return varied::encode(slot, text.as_bytes(), &mut bytes)
            .map(|()| bytes)
            .map_err(|misfit| misfit.explain(slot));
    }
    let mut bytes = vec![0; slot.len];
    value::encode(slot, text.as_bytes(), &mut bytes).map(|()| bytes).map_err(|misfit| misfit.explain(slot))
}
