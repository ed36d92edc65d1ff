//! The tree to a program.

use super::super::expr::Scope;
use super::error::{CalcError, Wrong};
use super::functions::{Called, Name};
use super::known;
use super::parse::{Node, What};
use crate::config::steps::step;
use crate::model::calc::{Asked, Binary, CALC_OPS_MAX, CALC_STACK_MAX, Calc, Compare, Op, Shape, Unary, ValueKind};
use crate::model::reply::TimeItem;
use crate::model::template::Algorithm;
use crate::wire::calc::{self as arithmetic, NoValue, Num};
use std::sync::Arc;

/// What is done with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// Whatever it is.
    Value,
    /// A text: fields in their notation.
    Text,
    /// A number.
    Number,
    /// Bytes: fields as they travel.
    Raw,
}

/// A program that grows.
pub(super) struct Emitter<'s> {
    pub(super) scope: &'s dyn Scope,
    pub(super) ops: Vec<Op>,
    pub(super) pool: Vec<u8>,
    pub(super) fields: Vec<Asked>,
    pub(super) formats: Vec<Box<[TimeItem]>>,
    pub(super) sums: Vec<Arc<Algorithm>>,
    pub(super) tables: Vec<Arc<[f64]>>,
    /// Values on the stack here, and the most so far.
    depth: usize,
    most: usize,
    /// Something but the request decides.
    pub(super) is_beyond: bool,
    /// Bytes of texts, about.
    pub(super) bytes_max: usize,
}

/// Longest text of a number.
const NUMBER_BYTES: usize = 24;

impl<'s> Emitter<'s> {
    pub(super) fn new(scope: &'s dyn Scope) -> Self {
        Self {
            scope,
            ops: Vec::new(),
            pool: Vec::new(),
            fields: Vec::new(),
            formats: Vec::new(),
            sums: Vec::new(),
            tables: Vec::new(),
            depth: 0,
            most: 0,
            is_beyond: false,
            bytes_max: NUMBER_BYTES,
        }
    }

    /// The program of an expression.
    pub(super) fn whole(mut self, node: &Node<'_>, source: &str, want: Want) -> Result<Calc, CalcError> {
        let kind = self.value(node, want)?;
        let size = self.size(node);
        if self.ops.len() > CALC_OPS_MAX || self.most > CALC_STACK_MAX {
            return Err(CalcError { column: node.column, what: Wrong::TooLarge });
        }
        Ok(Calc {
            source: source.into(),
            ops: self.ops.into(),
            pool: self.pool.into(),
            fields: self.fields.into(),
            formats: self.formats.into(),
            sums: self.sums.into(),
            tables: self.tables.into(),
            kind,
            shape: Shape::Plain,
            is_of_request: !self.is_beyond,
            bytes_max: if matches!(kind, ValueKind::Whole | ValueKind::Number) { NUMBER_BYTES } else { self.bytes_max },
            size,
        })
    }

    /// Of bytes of memory: how many, if that follows from the request.
    fn size(&self, node: &Node<'_>) -> Option<Box<Calc>> {
        let What::Call { called: called @ (Called::Mem | Called::Bits), given, .. } = &node.what else { return None };
        let (Some(Op::Mem(_, bytes) | Op::MemBits(_, bytes)), [from, many]) = (self.ops.last(), &given[..]) else {
            return None;
        };
        let mut inner = Emitter::new(self.scope);
        inner.value(from, Want::Number).ok()?;
        inner.value(many, Want::Number).ok()?;
        let is_bits = *called == Called::Bits;
        inner.push(if is_bits { Op::InBits(*bytes) } else { Op::InArea(*bytes) }, 2, 1);
        let jump = inner.jump(Op::IfNot(0), 1);
        inner.value(many, Want::Number).ok()?;
        if is_bits {
            inner.push(Op::Int(7), 0, 1);
            inner.push(Op::Binary(Binary::Add), 2, 1);
            inner.push(Op::Int(8), 0, 1);
            inner.push(Op::Binary(Binary::Div), 2, 1);
        }
        let end = inner.jump(Op::Jump(0), 0);
        inner.land(jump);
        // Out of the area there is nothing.
        inner.push(Op::Int(-1), 0, 0);
        inner.land(end);
        let calc = Calc {
            source: "".into(),
            ops: inner.ops.into(),
            pool: inner.pool.into(),
            fields: inner.fields.into(),
            formats: inner.formats.into(),
            sums: inner.sums.into(),
            tables: inner.tables.into(),
            kind: ValueKind::Whole,
            shape: Shape::Plain,
            is_of_request: !inner.is_beyond,
            bytes_max: NUMBER_BYTES,
            size: None,
        };
        (calc.is_of_request && inner.most <= CALC_STACK_MAX).then(|| Box::new(calc))
    }

    /// Adds an operation that takes and puts that many values.
    pub(super) fn push(&mut self, op: Op, takes: usize, puts: usize) {
        step(1);
        self.ops.push(op);
        self.depth = self.depth.saturating_sub(takes) + puts;
        self.most = self.most.max(self.depth);
    }

    /// Adds a jump whose target is not known yet.
    pub(super) fn jump(&mut self, op: Op, takes: usize) -> usize {
        self.push(op, takes, 0);
        self.ops.len() - 1
    }

    /// A jump goes here.
    pub(super) fn land(&mut self, jump: usize) {
        let here = self.ops.len() as u16;
        match &mut self.ops[jump] {
            Op::Jump(to) | Op::IfNot(to) | Op::And(to) | Op::Or(to) | Op::OrElse(to) => *to = here,
            _ => {}
        }
    }

    /// Puts a text into the pool.
    pub(super) fn text(&mut self, text: &[u8]) -> (u32, u32) {
        let from = self.pool.len() as u32;
        self.pool.extend_from_slice(text);
        self.grow(text.len());
        (from, self.pool.len() as u32)
    }

    /// There is another text of that length.
    pub(super) fn grow(&mut self, bytes: usize) {
        self.bytes_max = self.bytes_max.saturating_add(bytes);
    }

    /// Emits an expression. Returns what its value is.
    ///
    /// A chain of operators nests as deep as it is long. So what each needs is in a function of its own, and a level takes little
    /// stack.
    pub(super) fn value(&mut self, node: &Node<'_>, want: Want) -> Result<ValueKind, CalcError> {
        if let Some(number) = self.known(node)? {
            return Ok(self.number(number));
        }
        match &node.what {
            What::Unary(op, inner) => self.unary(*op, inner),
            What::Binary(op, both) => self.binary(*op, both),
            What::Compare(compare, both) => self.compare(*compare, both),
            What::And(both) => self.logic(true, both),
            What::Or(both) => self.logic(false, both),
            What::Choose(three) => self.choose(three, want),
            _ => self.leaf(node, want),
        }
    }

    /// The number that an expression of numbers alone is.
    fn known(&self, node: &Node<'_>) -> Result<Option<Num>, CalcError> {
        if self.ops.len() > CALC_OPS_MAX {
            return Err(CalcError { column: node.column, what: Wrong::TooLarge });
        }
        let number = constant(node)?;
        if number.is_none() {
            known::check(node)?;
        }
        Ok(number)
    }

    fn unary(&mut self, op: Unary, inner: &Node<'_>) -> Result<ValueKind, CalcError> {
        let kind = self.numeric(inner, sign(op))?;
        self.push(Op::Unary(op), 1, 1);
        Ok(if matches!(op, Unary::Minus | Unary::Abs) { kind } else { ValueKind::Whole })
    }

    fn binary(&mut self, op: Binary, both: &[Node<'_>; 2]) -> Result<ValueKind, CalcError> {
        let [left, right] = both;
        let kinds = [self.numeric(left, binary_sign(op))?, self.numeric(right, binary_sign(op))?];
        self.push(Op::Binary(op), 2, 1);
        let bits = matches!(op, Binary::And | Binary::Or | Binary::Xor | Binary::Left | Binary::Right);
        Ok(if bits || kinds == [ValueKind::Whole; 2] { ValueKind::Whole } else { ValueKind::Number })
    }

    fn logic(&mut self, is_and: bool, both: &[Node<'_>; 2]) -> Result<ValueKind, CalcError> {
        let [left, right] = both;
        self.numeric(left, if is_and { "`&&`" } else { "`||`" })?;
        let jump = self.jump(if is_and { Op::And(0) } else { Op::Or(0) }, 1);
        self.numeric(right, if is_and { "`&&`" } else { "`||`" })?;
        self.push(Op::Truth, 1, 1);
        self.land(jump);
        Ok(ValueKind::Whole)
    }

    fn choose(&mut self, three: &[Node<'_>; 3], want: Want) -> Result<ValueKind, CalcError> {
        let [condition, yes, no] = three;
        self.numeric(condition, "`?`")?;
        let skip = self.jump(Op::IfNot(0), 1);
        let kinds_yes = self.value(yes, want)?;
        let end = self.jump(Op::Jump(0), 1);
        self.land(skip);
        let kinds_no = self.value(no, want)?;
        self.land(end);
        Ok(either(kinds_yes, kinds_no))
    }

    /// What is no operator.
    fn leaf(&mut self, node: &Node<'_>, want: Want) -> Result<ValueKind, CalcError> {
        let wrong = |what: Wrong| CalcError { column: node.column, what };
        match &node.what {
            What::Number(number) => Ok(self.number(*number)),
            What::Text(text) => {
                let (from, to) = self.text(text.as_bytes());
                self.push(Op::Text(from, to), 0, 1);
                Ok(ValueKind::Text)
            }
            What::Field(name) => self.field(name, want).map_err(wrong),
            What::Call { called, name, key, given } => {
                let (least, most, takes) = called.takes();
                let is_named = name.is_some() || called.takes_name() != Name::Must;
                if given.len() < least || given.len() > most || !is_named {
                    let found = given.len() + usize::from(name.is_some());
                    return Err(wrong(Wrong::Arguments { function: called.name(), takes, found }));
                }
                let call = Call { called: *called, name: *name, key: key.as_deref(), given, column: node.column };
                self.call(&call, want)
            }
            _ => self.value(node, want),
        }
    }

    fn number(&mut self, number: Num) -> ValueKind {
        match number {
            Num::Int(number) => {
                self.push(Op::Int(number), 0, 1);
                ValueKind::Whole
            }
            Num::Dec(number) => {
                self.push(Op::Dec(number), 0, 1);
                ValueKind::Number
            }
        }
    }

    /// Emits an expression whose value has to be a number.
    pub(super) fn numeric(&mut self, node: &Node<'_>, place: &str) -> Result<ValueKind, CalcError> {
        match self.value(node, Want::Number)? {
            ValueKind::Text => Err(CalcError { column: node.column, what: Wrong::NoNumber { place: place.into() } }),
            ValueKind::Whole | ValueKind::Bytes => Ok(ValueKind::Whole),
            ValueKind::Number | ValueKind::Any => Ok(ValueKind::Number),
        }
    }

    fn compare(&mut self, compare: Compare, both: &[Node<'_>; 2]) -> Result<ValueKind, CalcError> {
        let [left, right] = both;
        let is_equality = matches!(compare, Compare::Equal | Compare::Differs);
        let pair = match (&left.what, &right.what) {
            (What::Field(name), What::Text(text)) => Some((name, text, right.column)),
            (What::Text(text), What::Field(name)) if is_equality => Some((name, text, left.column)),
            _ => None,
        };
        if let Some((name, text, column)) = pair
            && self.constant_of_field((name, text), is_equality).map_err(|what| CalcError { column, what })?
        {
            self.push(Op::Compare(compare), 2, 1);
            return Ok(ValueKind::Whole);
        }
        let kinds = [self.value(left, Want::Value)?, self.value(right, Want::Value)?];
        for (kind, (node, other)) in kinds.iter().zip([(left, kinds[1]), (right, kinds[0])]) {
            let is_number = matches!(other, ValueKind::Whole | ValueKind::Number);
            let literal = if let What::Text(text) = node.what { Num::parse(text.as_bytes()).is_none() } else { true };
            if *kind == ValueKind::Text && is_number && literal {
                let place = "a comparison with a number";
                return Err(CalcError { column: node.column, what: Wrong::NoNumber { place: place.into() } });
            }
        }
        self.push(Op::Compare(compare), 2, 1);
        Ok(ValueKind::Whole)
    }
}

/// A function's call.
pub(super) struct Call<'n, 't> {
    pub(super) called: Called,
    /// The name, and its column.
    pub(super) name: Option<(&'t str, usize)>,
    pub(super) key: Option<&'n Node<'t>>,
    pub(super) given: &'n [Node<'t>],
    pub(super) column: usize,
}

fn either(yes: ValueKind, no: ValueKind) -> ValueKind {
    let is_number = |kind: ValueKind| matches!(kind, ValueKind::Whole | ValueKind::Number);
    match (yes, no) {
        (yes, no) if yes == no => yes,
        (yes, no) if is_number(yes) && is_number(no) => ValueKind::Number,
        _ => ValueKind::Any,
    }
}

fn sign(op: Unary) -> &'static str {
    match op {
        Unary::Minus => "`-`",
        Unary::Not => "`~`",
        Unary::Negate => "`!`",
        Unary::Abs => "abs()",
    }
}

fn binary_sign(op: Binary) -> &'static str {
    match op {
        Binary::Add => "`+`",
        Binary::Sub => "`-`",
        Binary::Mul => "`*`",
        Binary::Div => "`/`",
        Binary::Rem => "`%`",
        Binary::And => "`&`",
        Binary::Or => "`|`",
        Binary::Xor => "`^`",
        Binary::Left => "`<<`",
        Binary::Right => "`>>`",
    }
}

/// The value of an expression of numbers alone; `None`: it has something else.
///
/// As above, a level takes little stack: what each kind needs is in a function of its own.
pub(super) fn constant(node: &Node<'_>) -> Result<Option<Num>, CalcError> {
    step(1);
    match &node.what {
        What::Number(number) => Ok(Some(*number)),
        What::Unary(op, inner) => {
            let number = constant(inner)?;
            number.map(|number| arithmetic::unary(*op, number)).transpose().map_err(|what| no_value(node, what))
        }
        What::Binary(_, both) | What::Compare(_, both) | What::And(both) | What::Or(both) => {
            let Some(a) = constant(&both[0])? else { return Ok(None) };
            let Some(b) = constant(&both[1])? else { return Ok(None) };
            of_two(node, a, b)
        }
        What::Choose(three) => {
            let [condition, yes, no] = &**three;
            let Some(condition) = constant(condition)? else { return Ok(None) };
            constant(if condition.is_true() { yes } else { no })
        }
        What::Call { called, given, .. } => known::number(*called, given, node.column),
        What::Text(_) | What::Field(_) => Ok(None),
    }
}

/// What an operator makes of two numbers.
#[inline(never)]
fn of_two(node: &Node<'_>, a: Num, b: Num) -> Result<Option<Num>, CalcError> {
    let truth = |is: bool| Ok(Some(Num::Int(i64::from(is))));
    match &node.what {
        What::Binary(op, _) => arithmetic::binary(*op, a, b).map(Some).map_err(|what| no_value(node, what)),
        What::Compare(compare, _) => truth(arithmetic::holds(*compare, arithmetic::order(a, b))),
        What::And(_) => truth(a.is_true() && b.is_true()),
        What::Or(_) => truth(a.is_true() || b.is_true()),
        _ => Ok(None),
    }
}

fn no_value(node: &Node<'_>, what: NoValue) -> CalcError {
    CalcError { column: node.column, what: Wrong::NoValue(what) }
}
