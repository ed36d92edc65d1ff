//! Calls of functions.

use super::super::crc;
use super::super::datetime;
use super::super::expr::{ExprError, nearest};
use super::emit::{Call, Emitter, Want, constant};
use super::error::{CalcError, Wrong};
use super::functions::Called;
use super::parse::{Node, What};
use crate::model::calc::{Op, Unary, ValueKind};
use crate::model::conversation::ARG_BYTES_MAX;
use crate::model::reply::Number;
use crate::model::rule::REGISTER_BYTES_MAX;
use crate::wire::calc::Num;
use std::sync::Arc;

/// Longest format, id or parameter, for estimates.
const TEXT_BYTES: usize = 256;

impl Emitter<'_> {
    /// Emits a call whose number of arguments is right.
    pub(super) fn call(&mut self, call: &Call<'_, '_>, want: Want) -> Result<ValueKind, CalcError> {
        use Called as C;
        if call.key.is_some() && !matches!(call.called, C::Reg | C::Has) {
            let what = Wrong::Keyed { name: call.text().into(), what: "no keyed register here (`reg(name[key])`)" };
            return Err(call.wrong(what));
        }
        match call.called {
            C::Year | C::Month | C::Day | C::Week | C::Hour | C::Minute | C::Second => self.clock(call),
            C::PackedDate => Ok(self.beyond(Op::Clock(Number::PackedDate), ValueKind::Whole)),
            C::PackedTime => Ok(self.beyond(Op::Clock(Number::PackedTime), ValueKind::Whole)),
            C::Seq => Ok(self.beyond(Op::Clock(Number::Seq), ValueKind::Whole)),
            C::FsuId => {
                self.grow(TEXT_BYTES);
                Ok(self.beyond(Op::FsuId, ValueKind::Text))
            }
            C::Datetime => {
                let format = datetime::format(call.text()).map_err(|wrong| call.wrong(value(wrong.into())))?;
                self.formats.push(format);
                self.grow(TEXT_BYTES + call.text().len());
                Ok(self.beyond(Op::Datetime((self.formats.len() - 1) as u16), ValueKind::Text))
            }
            C::Index => {
                let index = self.scope.index().ok_or_else(|| call.wrong(value(ExprError::NoIndex)))?;
                self.push(Op::Int(index as i64), 0, 1);
                Ok(ValueKind::Whole)
            }
            C::Rand | C::Choice | C::Count if !self.scope.may_draw() => {
                let why = "a rule is chosen by its request and by what the device remembers";
                Err(call.wrong(Wrong::NotHere { function: call.called.name(), why }))
            }
            C::Rand => {
                let bounds = call.given.iter().map(constant).collect::<Result<Vec<_>, _>>()?;
                if let [Some(Num::Int(low)), Some(Num::Int(high))] = bounds[..]
                    && low > high
                {
                    let (least, most, takes) = call.called.takes();
                    debug_assert_eq!(least, most);
                    return Err(call.wrong(Wrong::Arguments { function: "rand", takes, found: least }));
                }
                self.numbers(call)?;
                self.is_beyond = true;
                self.push(Op::Rand, 2, 1);
                Ok(ValueKind::Whole)
            }
            C::Choice => {
                let kinds = call.given.iter().map(|node| self.value(node, want)).collect::<Result<Vec<_>, _>>()?;
                self.is_beyond = true;
                self.push(Op::Choice(kinds.len() as u8), kinds.len(), 1);
                let first = kinds.first().copied().unwrap_or(ValueKind::Any);
                Ok(if kinds.iter().all(|kind| *kind == first) { first } else { ValueKind::Any })
            }
            C::Reg | C::Has | C::Entries | C::Key | C::Param | C::Count => self.kept(call),
            C::Arg => self.arg(call),
            C::Mem | C::Bits | C::InArea | C::InBits => self.memory(call),
            C::Ramp | C::Sine | C::Walk | C::Csv => self.moving(call),
            C::Min | C::Max | C::Abs | C::Round => self.arithmetic(call),
            C::Hex | C::Dec | C::Int | C::Len | C::Substr | C::Cat | C::Crc | C::Be | C::Le => self.texts(call),
        }
    }

    /// Something that the request does not decide.
    fn beyond(&mut self, op: Op, kind: ValueKind) -> ValueKind {
        self.is_beyond = true;
        self.push(op, 0, 1);
        kind
    }

    /// All arguments, as numbers.
    fn numbers(&mut self, call: &Call<'_, '_>) -> Result<(), CalcError> {
        let place = format!("{}()", call.called.name());
        call.given.iter().try_for_each(|node| self.numeric(node, &place).map(drop))
    }

    /// A function of the calendar. The unit may be named again.
    fn clock(&mut self, call: &Call<'_, '_>) -> Result<ValueKind, CalcError> {
        use Called as C;
        let word = call.text();
        let is = |unit: &str| word.is_empty() || word.eq_ignore_ascii_case(unit);
        let number = match call.called {
            C::Year if is("yy") => Some(Number::Year2),
            C::Year if is("yyyy") => Some(Number::Year4),
            C::Month if is("MM") => Some(Number::Month),
            C::Day if is("dd") => Some(Number::Day),
            C::Week if is("1") => Some(Number::Week1),
            C::Week if is("0") => Some(Number::Week0),
            C::Hour if is("HH") => Some(Number::Hour),
            C::Minute if is("mm") => Some(Number::Minute),
            C::Second if is("ss") => Some(Number::Second),
            _ => None,
        };
        let (_, _, takes) = call.called.takes();
        let wrong = Wrong::Arguments { function: call.called.name(), takes, found: 1 };
        let number = number.ok_or_else(|| call.wrong(wrong))?;
        Ok(self.beyond(Op::Clock(number), ValueKind::Whole))
    }

    /// What the device or the FSU remembers.
    fn kept(&mut self, call: &Call<'_, '_>) -> Result<ValueKind, CalcError> {
        use Called as C;
        let name = call.text();
        self.is_beyond = true;
        if matches!(call.called, C::Reg) && call.key.is_none() {
            let register = self.scope.register(name).map_err(|wrong| call.wrong(value(wrong)))?;
            self.grow(self.scope.register_bytes_max(register));
            let is_bytes = self.scope.register_is_bytes(register);
            self.push(if is_bytes { Op::RegisterBytes(register) } else { Op::Register(register) }, 0, 1);
            return self.default(call, is_bytes);
        }
        let kept = self.scope.kept().ok_or_else(|| call.no_device())?;
        match call.called {
            C::Param => {
                self.grow(TEXT_BYTES);
                let number = kept.param(name);
                self.push(Op::Param(number), 0, 1);
                Ok(ValueKind::Any)
            }
            C::Count => {
                if let Some(first) = call.given.first() {
                    self.numeric(first, "count()")?;
                } else {
                    self.push(Op::Int(0), 0, 1);
                }
                let number = kept.count(name);
                self.push(Op::Count(number, 0), 1, 1);
                Ok(ValueKind::Whole)
            }
            _ => self.keyed(call),
        }
    }

    /// An argument of the message's trigger.
    fn arg(&mut self, call: &Call<'_, '_>) -> Result<ValueKind, CalcError> {
        let Some(number) = self.scope.arg(call.text()) else {
            let why = "only a message has arguments (`messages` of a rule file)";
            return Err(call.wrong(Wrong::NotHere { function: call.called.name(), why }));
        };
        self.grow(ARG_BYTES_MAX);
        self.beyond(Op::Arg(number), ValueKind::Any);
        self.default(call, false)
    }

    /// A default for what is empty.
    fn default(&mut self, call: &Call<'_, '_>, is_bytes: bool) -> Result<ValueKind, CalcError> {
        let kind = if is_bytes { ValueKind::Bytes } else { ValueKind::Any };
        let Some(default) = call.given.first() else { return Ok(kind) };
        let skip = self.jump(Op::OrElse(0), 1);
        let other = self.value(default, Want::Value)?;
        self.land(skip);
        Ok(if other == kind { kind } else { ValueKind::Any })
    }

    fn keyed(&mut self, call: &Call<'_, '_>) -> Result<ValueKind, CalcError> {
        use Called as C;
        let Some(kept) = self.scope.kept() else { return Ok(ValueKind::Any) };
        let name = call.text();
        let Some(register) = kept.keyed(name) else {
            let known = kept.keyed_names();
            let near = if known.is_empty() {
                " (a rule that sets it: \"set\": {\"name[#{key}#]\": ...})".to_owned()
            } else {
                nearest(name, known.iter().map(String::as_str))
            };
            return Err(call.wrong(Wrong::Unknown { what: "keyed register", name: name.into(), near }));
        };
        if matches!(call.called, C::Has) && call.key.is_none() {
            return Err(call.wrong(Wrong::Keyed { name: name.into(), what: "a keyed register (`has(name[key])`)" }));
        }
        if let Some(key) = call.key {
            self.value(key, Want::Text)?;
        }
        if let C::Key = call.called {
            self.numbers(call)?;
        }
        match call.called {
            C::Has => self.push(Op::Has(register), 1, 1),
            C::Entries => self.push(Op::Entries(register), 0, 1),
            C::Key => {
                self.grow(TEXT_BYTES);
                self.push(Op::Key(register), 1, 1);
                return Ok(ValueKind::Any);
            }
            _ => {
                self.grow(REGISTER_BYTES_MAX);
                let is_bytes = kept.keyed_is_bytes(register);
                self.push(if is_bytes { Op::EntryBytes(register) } else { Op::Entry(register) }, 1, 1);
                return self.default(call, is_bytes);
            }
        }
        Ok(ValueKind::Whole)
    }

    /// Memory areas.
    fn memory(&mut self, call: &Call<'_, '_>) -> Result<ValueKind, CalcError> {
        use Called as C;
        let name = call.text();
        let kept = self.scope.kept().ok_or_else(|| call.no_device())?;
        let Some((area, bytes)) = kept.area(name) else {
            let known = kept.area_names();
            let near = if known.is_empty() {
                " (`memory` of the device in fsu_devices.json makes areas)".to_owned()
            } else {
                nearest(name, known.iter().map(String::as_str))
            };
            return Err(call.wrong(Wrong::Unknown { what: "memory area", name: name.into(), near }));
        };
        self.numbers(call)?;
        match call.called {
            C::InArea => self.push(Op::InArea(bytes), 2, 1),
            C::InBits => self.push(Op::InBits(bytes), 2, 1),
            called => {
                self.is_beyond = true;
                let most = match call.given.last().map(constant) {
                    Some(Ok(Some(Num::Int(many)))) => usize::try_from(many).unwrap_or(0).min(bytes as usize),
                    _ => bytes as usize,
                };
                self.grow(2 * most);
                let is_bits = called == C::Bits;
                self.push(if is_bits { Op::MemBits(area, bytes) } else { Op::Mem(area, bytes) }, 2, 1);
                return Ok(ValueKind::Bytes);
            }
        }
        Ok(ValueKind::Whole)
    }

    /// Values that follow the run's clock.
    fn moving(&mut self, call: &Call<'_, '_>) -> Result<ValueKind, CalcError> {
        use Called as C;
        self.is_beyond = true;
        let kept = self.scope.kept().ok_or_else(|| call.no_device())?;
        if let C::Csv = call.called {
            let column = match call.given.first().map(|node| &node.what) {
                Some(What::Text(text) | What::Field(text)) => (*text).to_owned(),
                Some(What::Number(Num::Int(number))) => number.to_string(),
                _ => String::new(),
            };
            let table = kept.table(call.text(), &column).map_err(|wrong| call.wrong(Wrong::Table(wrong.into())))?;
            self.tables.push(table);
            self.push(Op::Csv((self.tables.len() - 1) as u16), 0, 1);
            return Ok(ValueKind::Number);
        }
        self.numbers(call)?;
        let op = match call.called {
            C::Ramp => Op::Ramp,
            C::Sine => Op::Sine,
            _ => Op::Walk(kept.path()),
        };
        self.push(op, 3, 1);
        Ok(ValueKind::Number)
    }

    fn arithmetic(&mut self, call: &Call<'_, '_>) -> Result<ValueKind, CalcError> {
        use Called as C;
        let place = format!("{}()", call.called.name());
        let (first, more) = call.given.split_first().ok_or_else(|| call.wrong(Wrong::Ends))?;
        let mut kind = self.numeric(first, &place)?;
        match call.called {
            C::Abs => self.push(Op::Unary(Unary::Abs), 1, 1),
            C::Round => {
                if let Some(digits) = more.first() {
                    self.numeric(digits, &place)?;
                    kind = ValueKind::Number;
                } else {
                    self.push(Op::Int(0), 0, 1);
                    kind = ValueKind::Whole;
                }
                self.push(Op::Round, 2, 1);
            }
            called => {
                for node in more {
                    let other = self.numeric(node, &place)?;
                    kind = if kind == other { kind } else { ValueKind::Number };
                    self.push(if called == C::Min { Op::Min } else { Op::Max }, 2, 1);
                }
            }
        }
        Ok(kind)
    }

    fn texts(&mut self, call: &Call<'_, '_>) -> Result<ValueKind, CalcError> {
        use Called as C;
        let place = format!("{}()", call.called.name());
        let (first, more) = call.given.split_first().ok_or_else(|| call.wrong(Wrong::Ends))?;
        let optional = |emitter: &mut Self, default: i64| {
            if let Some(node) = more.first() {
                return emitter.numeric(node, &place).map(drop);
            }
            emitter.push(Op::Int(default), 0, 1);
            Ok(())
        };
        match call.called {
            C::Hex | C::Dec => {
                self.numeric(first, &place)?;
                optional(self, 0)?;
                self.grow(TEXT_BYTES);
                self.push(if call.called == C::Hex { Op::Hex } else { Op::Decimal }, 2, 1);
                Ok(ValueKind::Text)
            }
            C::Int => {
                self.value(first, Want::Text)?;
                optional(self, 10)?;
                self.push(Op::Parse, 2, 1);
                Ok(ValueKind::Whole)
            }
            C::Be | C::Le => {
                self.numeric(first, &place)?;
                optional(self, 0)?;
                if let Some(Some(Num::Int(many))) = more.first().map(constant).transpose()? {
                    self.grow(2 * usize::try_from(many).unwrap_or(0));
                }
                self.push(if call.called == C::Be { Op::Be } else { Op::Le }, 2, 1);
                Ok(ValueKind::Bytes)
            }
            C::Len => {
                if let What::Field(name) = first.what
                    && self.items(name)
                {
                    return Ok(ValueKind::Whole);
                }
                self.value(first, Want::Value)?;
                self.push(Op::Len, 1, 1);
                Ok(ValueKind::Whole)
            }
            C::Substr => {
                self.value(first, Want::Text)?;
                for node in more {
                    self.numeric(node, &place)?;
                }
                if more.len() == 1 {
                    self.push(Op::Int(i64::MAX), 0, 1);
                }
                self.push(Op::Substr, 3, 1);
                Ok(ValueKind::Text)
            }
            C::Cat => {
                call.given.iter().try_for_each(|node| self.value(node, Want::Text).map(drop))?;
                self.push(Op::Cat(call.given.len() as u8), call.given.len(), 1);
                self.grow(self.bytes_max);
                Ok(ValueKind::Text)
            }
            _ => self.crc(call, first),
        }
    }

    fn crc(&mut self, call: &Call<'_, '_>, of: &Node<'_>) -> Result<ValueKind, CalcError> {
        let name = call.text();
        let plain = name.strip_prefix("crc:").unwrap_or(name);
        let known = crc::ambiguous(plain).map_or_else(|| crc::find(plain), |_| None);
        let Some(found) = known else {
            let near = match crc::ambiguous(plain) {
                Some(meant) => format!(" may mean several ({})", meant.replace("crc:", "")),
                None => crc::nearest_name(plain),
            };
            return Err(call.wrong(Wrong::Sum { name: name.into(), near }));
        };
        self.value(of, Want::Value)?;
        self.sums.push(Arc::new(found.algorithm));
        self.push(Op::Crc((self.sums.len() - 1) as u16), 1, 1);
        Ok(ValueKind::Whole)
    }
}

impl<'t> Call<'_, 't> {
    /// The name, or nothing.
    fn text(&self) -> &'t str {
        self.name.map_or("", |(name, _)| name)
    }

    /// An error: it needs a device.
    fn no_device(&self) -> CalcError {
        let why = "it needs a device, and this belongs to none";
        CalcError { column: self.column, what: Wrong::NotHere { function: self.called.name(), why } }
    }

    /// An error at the name, or else at the call.
    fn wrong(&self, what: Wrong) -> CalcError {
        CalcError { column: self.name.map_or(self.column, |(_, column)| column), what }
    }
}

/// An error that the language of values knows.
fn value(wrong: ExprError) -> Wrong {
    Wrong::Value(Box::new(wrong))
}
