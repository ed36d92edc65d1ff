//! A program's second form ([`crate::model::quick`]), from its operations.

use crate::model::digits::Digits;
use crate::model::field::Kind;
use crate::model::quick::{
    Bytes, Cases, Choice, Count, Counted, From, Items, NOWHERE, Next, Part, Place, Quick, Spot, Step,
};
use crate::model::walk::{self, MARKS_MAX, Node, Op, SPOTS_MAX, Size, Source};

/// Bytes of the longest field that is compared as a number.
const NUMBER_BYTES: usize = 8;

/// The second form of a program.
pub(super) fn quick(ops: &[Op], nodes: &[Node]) -> Quick {
    let (noted, read) = ([false; MARKS_MAX], [false; MARKS_MAX]);
    let mut maker = Maker { ops, nodes, noted, read, spots: 0, quick: Quick::default() };
    maker.whole();
    // Which fields are marked follows from who reads them, who come later.
    maker.noted = maker.read;
    maker.whole();
    maker.quick
}

struct Maker<'a> {
    ops: &'a [Op],
    nodes: &'a [Node],
    /// Fields of fixed size that are marked.
    noted: [bool; MARKS_MAX],
    /// Marks that somebody reads, not from just before.
    read: [bool; MARKS_MAX],
    /// Places that are noted.
    spots: usize,
    quick: Quick,
}

/// The steps of a block so far.
#[derive(Default)]
struct Block {
    steps: Vec<Step>,
    /// Bytes of fixed size since the last step.
    skip: u32,
    /// The fields of fixed size since the last one that varies, that are marks: how many bytes ago they began.
    near: Vec<(u8, u32)>,
    /// Of the outermost block: what was noted last, and bytes since then.
    base: Option<(u8, u32)>,
    is_outer: bool,
}

impl Block {
    fn take(&mut self, len: u32) {
        self.skip += len;
        self.near.iter_mut().for_each(|(_, back)| *back += len);
        if let Some((_, skip)) = &mut self.base {
            *skip += len;
        }
    }

    fn push(&mut self, spot: u8, mark: u8, next: Next) {
        let skip = std::mem::take(&mut self.skip);
        self.steps.push(Step { skip, spot, mark, next });
    }
}

impl Maker<'_> {
    fn whole(&mut self) {
        self.spots = 0;
        self.quick = Quick { spots: vec![Spot::None; self.nodes.len()].into(), ..Quick::default() };
        let mut outer = Block { is_outer: true, base: Some((0, 0)), ..Block::default() };
        let mut inner = Vec::new();
        self.block((0, self.ops.len()), &mut outer, &mut inner);
        let own = outer.steps.len() as u32;
        // Those of items and cases are behind it.
        for step in outer.steps.iter_mut().chain(&mut inner) {
            shift(step, own);
        }
        outer.steps.append(&mut inner);
        self.quick.own = own;
        let end_of = |step: &Step| if let Next::Text(end, _) = step.next { Some(end) } else { None };
        let first = outer.steps.first().and_then(end_of);
        let is_text = |(number, step): &(usize, &Step)| {
            let is_alike = first.is_some() && end_of(step) == first;
            is_alike && step.mark == NOWHERE && usize::from(step.spot) == number + 1
        };
        self.quick.texts = outer.steps.iter().take(own as usize).enumerate().take_while(is_text).count() as u32;
        self.quick.behind = outer.skip;
        self.quick.steps = outer.steps.into();
    }

    /// Adds the steps of operations. Those of items and cases go to `inner`, where their numbers begin at 0.
    fn block(&mut self, (from, to): (usize, usize), block: &mut Block, inner: &mut Vec<Step>) {
        let ops = self.ops;
        let mut pc = from;
        while let Some(op) = ops.get(pc).filter(|_| pc < to) {
            // After an error an end may not be known.
            pc = match op {
                Op::Field { node, size, mark } => {
                    self.field(*node, size, *mark, block);
                    pc + 1
                }
                Op::List { node, count, least, max, end } => {
                    let count = match count {
                        walk::Count::Fixed(items) => Count::Fixed(*items),
                        walk::Count::Rest { after } => Count::Rest(*after),
                        walk::Count::Counted(counted) => Count::Counted(self.counted(counted, block)),
                    };
                    let item = self.part((pc + 1, *end as usize), inner);
                    let records = records(item, inner);
                    let items = Items { count, least: *least, max: *max, item, records };
                    self.varies(*node, None, Next::List(Box::new(items)), block);
                    (*end as usize).max(pc + 1)
                }
                Op::Group { size, end } => {
                    self.group(size, (pc + 1, *end as usize), block, inner);
                    (*end as usize).max(pc + 1)
                }
                Op::Choice { node, end, .. } => {
                    if let Some(choice) = self.choice(op, block, inner) {
                        self.varies(*node, None, Next::Choice(Box::new(choice)), block);
                    }
                    (*end as usize).max(pc + 1)
                }
            };
        }
    }

    fn field(&mut self, node: u32, size: &Size, mark: Option<u8>, block: &mut Block) {
        let Size::Fixed(len) = size else {
            let next = match size {
                Size::Until { end, max } if end.len() == 1 => Next::Text(end[0], *max),
                _ => Next::Field(self.bytes(size, block)),
            };
            return self.varies(node, mark, next, block);
        };
        let len = *len as u32;
        if let Some(((spot, skip), place)) = block.base.zip(self.quick.spots.get_mut(node as usize)) {
            *place = Spot::Behind { spot, skip, len };
        }
        match mark {
            Some(mark) if self.noted.get(usize::from(mark)) == Some(&true) => {
                block.push(NOWHERE, mark, Next::Marked(len));
                block.take(len);
                block.skip = 0;
            }
            _ => block.take(len),
        }
        block.near.extend(mark.map(|mark| (mark, len)));
    }

    /// A step that takes as many bytes as the frame says.
    fn varies(&mut self, node: u32, mark: Option<u8>, next: Next, block: &mut Block) {
        let spot = self.spot(block);
        block.push(spot, mark.unwrap_or(NOWHERE), next);
        block.near.clear();
        block.base = (spot != NOWHERE).then_some((spot, 0));
        if let Some(place) = self.quick.spots.get_mut(node as usize).filter(|_| spot != NOWHERE) {
            *place = Spot::Here(spot);
        }
    }

    /// The number of the next place that is noted.
    fn spot(&mut self, block: &Block) -> u8 {
        if !block.is_outer || self.spots + 1 >= SPOTS_MAX {
            return NOWHERE;
        }
        self.spots += 1;
        self.spots as u8
    }

    /// A part of the program with its number of bytes.
    fn group(&mut self, size: &walk::Counted, ops: (usize, usize), block: &mut Block, inner: &mut Vec<Step>) {
        let size = self.counted(size, block);
        let within = Block { is_outer: true, base: block.base, ..Block::default() };
        let part = self.part_of(within, ops, inner);
        let spot = self.spot(block);
        block.push(spot, NOWHERE, Next::Group(Box::new((size, part))));
        block.near.clear();
        block.base = (spot != NOWHERE).then_some((spot, 0));
    }

    /// The items of a list, or a case.
    fn part(&mut self, ops: (usize, usize), inner: &mut Vec<Step>) -> Part {
        self.part_of(Block::default(), ops, inner)
    }

    fn part_of(&mut self, mut block: Block, ops: (usize, usize), inner: &mut Vec<Step>) -> Part {
        self.block(ops, &mut block, inner);
        match &*block.steps {
            [] => return Part::Fixed(block.skip),
            // What follows it is what it leaves.
            [Step { skip, spot: NOWHERE, mark: NOWHERE, next: Next::Field(Bytes::Rest(after, max)), .. }]
                if *after == block.skip as usize =>
            {
                return Part::All { least: *skip + block.skip, max: *max };
            }
            _ => {}
        }
        let from = inner.len() as u32;
        inner.append(&mut block.steps);
        Part::Steps { from, to: inner.len() as u32, behind: block.skip }
    }

    fn choice(&mut self, op: &Op, block: &Block, inner: &mut Vec<Step>) -> Option<Choice> {
        let Op::Choice { by, mask, cases, otherwise, bytes, .. } = op else { return None };
        let is_hex = matches!(by.slot.kind.base(), Kind::HexDigits { .. });
        let by_number = |from: &From| {
            let len = from.len as usize;
            let is_sized = len <= NUMBER_BYTES && cases.iter().all(|case| case.bytes.len() == len);
            is_sized && mask.is_empty() && !is_hex && !matches!(from.place, Place::Mark(_))
        };
        let from = self.source(by, block);
        let bytes = bytes.as_ref().map(|bytes| self.bytes(bytes, block));
        let mut of = |block: &walk::Block| self.part((block.from as usize, block.to as usize), inner);
        let otherwise = otherwise.as_ref().map(&mut of);
        let cases = if by_number(&from) {
            let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte));
            Cases::Numbers(cases.iter().map(|case| (number(&case.bytes), of(&case.block))).collect())
        } else {
            let cases = cases.iter().map(|case| (case.bytes.clone(), of(&case.block))).collect();
            Cases::Bytes { cases, mask: mask.clone(), is_hex }
        };
        let is_record = is_record(&from, bytes.as_ref(), &cases, otherwise.as_ref());
        Some(Choice { by: from, cases, otherwise, bytes, is_record })
    }

    fn bytes(&mut self, size: &Size, block: &Block) -> Bytes {
        match size {
            Size::Fixed(len) => Bytes::Fixed(*len),
            Size::Rest { after, max } => Bytes::Rest(*after, *max),
            Size::Counted(counted) => Bytes::Counted(self.counted(counted, block)),
            Size::Until { end, max } => Bytes::Until(end.clone(), *max),
        }
    }

    fn counted(&mut self, counted: &walk::Counted, block: &Block) -> Counted {
        let walk::Counted { by, bits, times, add, max } = counted;
        let bits = bits.map(|(from, to)| Box::new((by.slot.clone(), from, to)));
        let by = self.source(by, block);
        let is_plain = by.digits == Digits::Binary
            && by.len as usize <= NUMBER_BYTES
            && (*times, *add) == (1, 0)
            && bits.is_none();
        Counted { by, times: *times, add: *add, max: *max, bits, is_plain }
    }

    fn source(&mut self, source: &Source, block: &Block) -> From {
        let Source { place, slot } = source;
        let place = match *place {
            walk::Place::Frame(at) => Place::Frame(at),
            walk::Place::Mark(mark) => {
                if let Some((_, back)) = block.near.iter().find(|(near, _)| *near == mark) {
                    Place::Back(*back)
                } else {
                    self.read.get_mut(usize::from(mark)).into_iter().for_each(|read| *read = true);
                    Place::Mark(mark)
                }
            }
        };
        From { place, len: slot.len as u32, digits: Digits::of(&slot.kind), little: slot.little }
    }
}

/// Whether a choice is what follows a tag and a size.
fn is_record(by: &From, bytes: Option<&Bytes>, cases: &Cases, otherwise: Option<&Part>) -> bool {
    let is_near = |from: &From| matches!(from.place, Place::Back(_));
    let is_sized = |bytes: &Bytes| matches!(bytes, Bytes::Counted(counted) if counted.is_plain && is_near(&counted.by));
    let is_flat = |part: &Part| !matches!(part, Part::Steps { .. });
    let Cases::Numbers(cases) = cases else { return false };
    is_near(by) && bytes.is_some_and(is_sized) && cases.iter().map(|(_, part)| part).chain(otherwise).all(is_flat)
}

/// The step of the choice that each item is, if it is a record.
fn records(item: Part, inner: &[Step]) -> Option<u32> {
    let Part::Steps { from, to, behind: 0 } = item else { return None };
    let is_one = to == from + 1;
    let step = inner.get(from as usize).filter(|_| is_one)?;
    matches!(&step.next, Next::Choice(choice) if choice.is_record).then_some(from)
}

/// Makes numbers of steps in `inner` those of steps behind the outermost ones.
fn shift(step: &mut Step, own: u32) {
    let moved = |part: &mut Part| {
        if let Part::Steps { from, to, .. } = part {
            (*from, *to) = (*from + own, *to + own);
        }
    };
    match &mut step.next {
        Next::List(items) => {
            moved(&mut items.item);
            items.records.iter_mut().for_each(|step| *step += own);
        }
        Next::Choice(choice) => {
            choice.otherwise.iter_mut().for_each(moved);
            match &mut choice.cases {
                Cases::Numbers(cases) => cases.iter_mut().for_each(|(_, part)| moved(part)),
                Cases::Bytes { cases, .. } => cases.iter_mut().for_each(|(_, part)| moved(part)),
            }
        }
        Next::Group(group) => moved(&mut group.1),
        Next::Marked(_) | Next::Text(..) | Next::Field(_) => {}
    }
}
