//! Fields of the request, and what the device remembers.

use super::{Failed, Machine, Value};
use fsu_plan::model::calc::{Asked, Op};
use fsu_plan::model::field::{Kind, Slot};
use fsu_plan::model::kept::ENTRY_KEY_BYTES_MAX;
use fsu_plan::model::walk::{CURRENT, Walked};
use fsu_plan::wire::calc::{NoValue, Num};
use fsu_plan::wire::value::{self, get_bits};
use fsu_plan::wire::{varied, walk};

/// Whether it is an element of the item that is being written.
pub(in crate::answer) fn is_current(walked: &Walked) -> bool {
    walked.path.items.contains(&CURRENT)
}

/// Hex digits as a number.
fn hex_number(text: &[u8]) -> Option<Num> {
    let digits = std::str::from_utf8(text).ok().filter(|digits| digits.bytes().all(|c| c.is_ascii_hexdigit()))?;
    i64::from_str_radix(digits, 16).ok().map(Num::Int)
}

/// A float, or a number whose scale may give it a fraction: a decimal number, whatever its value.
fn is_fraction(slot: &Slot) -> bool {
    match slot.kind.scale() {
        Some(scale) => scale.scale.places > 0 || scale.offset.places > 0,
        None => matches!(slot.kind.base(), Kind::F32 | Kind::F64),
    }
}

/// A decimal number of any size.
fn decimal(text: &[u8]) -> Option<Num> {
    let number = std::str::from_utf8(text).ok()?.parse::<f64>().ok()?;
    number.is_finite().then_some(Num::Dec(number))
}

impl<'m> Machine<'m, '_> {
    /// A field's type, its bytes, whether its size varies, and how many items it has.
    fn asked(&self, number: u16) -> Result<(&'m Slot, &'m [u8], bool, usize), Failed> {
        let request = self.request;
        match self.calc.fields.get(usize::from(number)).ok_or(Failed::Absent)? {
            Asked::Fixed { at, slot } => {
                let at = at.in_frame(request.len());
                let bytes = request.get(at..).and_then(|rest| rest.get(..slot.len)).ok_or(Failed::Absent)?;
                Ok((slot, bytes, false, 0))
            }
            Asked::Walked(walked) => {
                let found = match &self.inputs {
                    Some(inputs) => inputs.find(walked),
                    None => walk::find(walked, request).filter(|_| !is_current(walked)),
                };
                let (walked, bytes, items) = found.ok_or(Failed::Absent)?;
                Ok((&walked.slot, bytes, walked.varies, items))
            }
        }
    }

    pub(super) fn load(&mut self, op: Op) -> Result<(), Failed> {
        let from = self.out.len();
        let value = match op {
            Op::FieldNumber(number) => {
                let (slot, bytes, varies, _) = self.asked(number)?;
                notation(slot, bytes, varies, self.out);
                let parsed = match self.out.get(from..) {
                    // Digits that are none have no notation.
                    Some([]) if bytes.is_empty() => Some(Num::Int(0)),
                    text if is_fraction(slot) => text.and_then(decimal),
                    text if matches!(slot.kind.base(), Kind::HexDigits { .. }) => text.and_then(hex_number),
                    text => text.and_then(Num::parse),
                };
                self.out.truncate(from);
                Value::Num(parsed.ok_or(Failed::NoNumber)?)
            }
            Op::FieldText(number) => {
                let (slot, bytes, varies, _) = self.asked(number)?;
                notation(slot, bytes, varies, self.out);
                Value::Text(self.appended(from)?)
            }
            Op::FieldBytes(number) => {
                let (slot, bytes, ..) = self.asked(number)?;
                self.out.extend_from_slice(bytes);
                if slot.little {
                    self.out[from..].reverse();
                }
                Value::Bytes(self.appended(from)?)
            }
            Op::FieldRaw(number) => {
                let (_, bytes, ..) = self.asked(number)?;
                self.out.extend_from_slice(bytes);
                Value::Bytes(self.appended(from)?)
            }
            Op::FieldBits(number, from, to) => {
                let (slot, bytes, ..) = self.asked(number)?;
                let bits = get_bits(slot, u32::from(from), u32::from(to), bytes);
                Value::Num(Num::Int(i64::try_from(bits).map_err(|_| NoValue::Overflow)?))
            }
            Op::Items(number) => Value::Num(Num::Int(self.asked(number)?.3 as i64)),
            _ => return Err(Failed::Unknown),
        };
        self.push(value);
        Ok(())
    }

    pub(super) fn remembered(&mut self, op: Op) -> Result<(), Failed> {
        match op {
            Op::Mem(area, _) => {
                let many = self.pop_size()?;
                let from = self.pop_size()?;
                let at = self.out.len();
                let (out, kept) = self.beside()?;
                let bytes = kept.area(area).get(from..).and_then(|rest| rest.get(..many));
                out.extend_from_slice(bytes.ok_or(Failed::Outside)?);
                let span = self.appended(at)?;
                self.push(Value::Bytes(span));
            }
            Op::MemBits(area, _) => {
                let many = self.pop_size()?;
                let from = self.pop_size()?;
                let at = self.out.len();
                let (out, kept) = self.beside()?;
                let bytes = kept.area(area);
                let end = from.checked_add(many).filter(|end| *end <= 8 * bytes.len()).ok_or(Failed::Outside)?;
                out.resize(at + many.div_ceil(8), 0);
                for (place, bit) in (from..end).enumerate() {
                    out[at + place / 8] |= ((bytes[bit / 8] >> (bit % 8)) & 1) << (place % 8);
                }
                let span = self.appended(at)?;
                self.push(Value::Bytes(span));
            }
            Op::Entries(register) => {
                let many = self.kept()?.entries(register).len();
                self.int(many as i64);
            }
            Op::Count(counter, many) => {
                let first = self.pop_whole()?;
                let number = self.kept()?.count(counter, first, many);
                self.int(number);
            }
            _ => self.entry(op)?,
        }
        Ok(())
    }

    /// Something of a keyed register.
    fn entry(&mut self, op: Op) -> Result<(), Failed> {
        if let Op::Key(register) = op {
            let number = self.pop_size()?;
            let at = self.out.len();
            let (out, kept) = self.beside()?;
            let key = kept.entries(register).key(number).unwrap_or_default();
            out.extend_from_slice(key);
            let span = self.appended(at)?;
            self.push(Value::Text(span));
            return Ok(());
        }
        let value = self.pop();
        let key = self.as_text(value)?;
        let mut copy = [0; ENTRY_KEY_BYTES_MAX];
        let bytes = self.slice(key);
        let key = copy.get_mut(..bytes.len()).map(|copy| {
            copy.copy_from_slice(bytes);
            &*copy
        });
        let at = self.out.len();
        let (out, kept) = self.beside()?;
        let (Op::Entry(register) | Op::EntryBytes(register) | Op::Has(register)) = op else {
            return Err(Failed::Unknown);
        };
        let found = key.and_then(|key| kept.entries(register).get(key));
        if let Op::Has(_) = op {
            let has = found.is_some();
            self.truth(has);
            return Ok(());
        }
        let value = found.unwrap_or_default();
        if let Op::EntryBytes(_) = op {
            super::texts::unhex(value, out);
            let span = self.appended(at)?;
            self.push(Value::Bytes(span));
        } else {
            out.extend_from_slice(value);
            let span = self.appended(at)?;
            self.push(Value::Text(span));
        }
        Ok(())
    }

    /// The buffer, and what the device remembers.
    fn beside(&mut self) -> Result<(&mut Vec<u8>, &mut crate::state::kept::DeviceKept), Failed> {
        let Some(inputs) = &mut self.inputs else { return Err(Failed::Unknown) };
        let kept = inputs.kept().ok_or(Failed::Unknown)?;
        Ok((self.out, kept))
    }
}

/// Appends a field in its notation.
fn notation(slot: &Slot, bytes: &[u8], varies: bool, out: &mut Vec<u8>) {
    if varies {
        varied::decode_into(slot, bytes, out);
    } else {
        value::decode_into(slot, bytes, out);
    }
}
