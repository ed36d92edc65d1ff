//! Collects the steps of an [`Encode`]. Known bytes are written at once, and so are lengths that are already known.

use crate::model::field::Slot;
use crate::model::reply::Expr;
use crate::model::walk::{
    Choose, Counted, Each, Encode, Measure, OPEN_LENGTHS_MAX, Put, PutLength, PutText, Target, Walked,
};
use crate::wire::walk::write_count;

/// Steps so far.
#[derive(Default)]
pub(super) struct Draft {
    ops: Vec<Put>,
    /// Bytes of the steps.
    pool: Vec<u8>,
    /// Fallback bytes for values that do not fit.
    defaults: Vec<u8>,
    /// Minimum size: with the fallbacks in place of values of varying size.
    pub(super) least: usize,
    /// Maximum size.
    pub(super) most: usize,
    /// Marks in use.
    marks: u8,
}

/// The steps around a case.
pub(super) struct Outer {
    ops: Vec<Put>,
    least: usize,
    most: usize,
}

/// Bytes reserved for a number.
#[derive(Clone, Copy)]
pub(super) struct Gap {
    /// Offset in the pool.
    pub(super) at: usize,
    /// The mark of its place while the reply is built.
    mark: u8,
}

/// A position between steps.
#[derive(Clone, Copy)]
pub(super) struct Point {
    op: usize,
    /// The mark of this position.
    pub(super) mark: u8,
}

impl Draft {
    /// Appends known bytes; returns their offset in the pool.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> usize {
        let from = self.pool.len();
        self.pool.extend_from_slice(bytes);
        self.least = self.least.saturating_add(bytes.len());
        self.most = self.most.saturating_add(bytes.len());
        self.ops.push(Put::Bytes { from, to: self.pool.len() });
        from
    }

    /// Known bytes appended earlier.
    pub(super) fn written(&self, at: usize, len: usize) -> &[u8] {
        self.pool.get(at..at + len).unwrap_or_default()
    }

    /// Stores the fallback for a value that may not fit.
    pub(super) fn fallback(&mut self, bytes: &[u8]) -> (usize, usize) {
        let from = self.defaults.len();
        self.defaults.extend_from_slice(bytes);
        (from, self.defaults.len())
    }

    /// Appends a step that writes at most `most` bytes.
    pub(super) fn push(&mut self, op: Put, most: usize) {
        let least = match &op {
            Put::Element { default: (from, to), .. } => to - from,
            Put::Text(text) if text.varies => text.default.1 - text.default.0,
            _ => most,
        };
        self.least = self.least.saturating_add(least);
        self.most = self.most.saturating_add(most.max(least));
        self.ops.push(op);
    }

    /// Starts the steps of a case; [`Self::end_case`] takes what is returned.
    pub(super) fn begin_case(&mut self) -> Outer {
        let outer = Outer { ops: std::mem::take(&mut self.ops), least: self.least, most: self.most };
        (self.least, self.most) = (0, 0);
        outer
    }

    /// The steps of a case, and its fewest and most bytes.
    pub(super) fn end_case(&mut self, outer: Outer) -> (Box<[Put]>, usize, usize) {
        let (least, most) = (self.least, self.most);
        (self.least, self.most) = (outer.least, outer.most);
        (std::mem::replace(&mut self.ops, outer.ops).into(), least, most)
    }

    /// Appends a choice of cases of `least` to `most` bytes.
    pub(super) fn choose(&mut self, choose: Choose, (least, most): (usize, usize)) {
        self.least = self.least.saturating_add(least);
        self.most = self.most.saturating_add(most);
        self.ops.push(Put::Choose(Box::new(choose)));
    }

    /// Appends steps for each of at most `max` items of `least` to `most` bytes.
    pub(super) fn each(&mut self, from: Walked, (steps, least, most): (Box<[Put]>, usize, usize), max: usize) {
        self.most = self.most.saturating_add(most.saturating_mul(max));
        self.ops.push(Put::Each(Box::new(Each { from, steps, least })));
    }

    /// A new mark; `None` if too many are in use.
    fn mark(&mut self) -> Option<u8> {
        (usize::from(self.marks) < OPEN_LENGTHS_MAX).then(|| {
            self.marks += 1;
            self.ops.push(Put::Mark(self.marks - 1));
            self.marks - 1
        })
    }

    /// The number of marks in use, for [`Self::release`].
    pub(super) fn marks(&self) -> u8 {
        self.marks
    }

    /// Frees the marks made since then.
    pub(super) fn release(&mut self, marks: u8) {
        self.marks = marks;
    }

    /// Reserves bytes for a number.
    pub(super) fn gap(&mut self, filled: &[u8]) -> Option<Gap> {
        let mark = self.mark()?;
        Some(Gap { at: self.bytes(filled), mark })
    }

    /// The current position.
    pub(super) fn point(&mut self) -> Option<Point> {
        let mark = self.mark()?;
        Some(Point { op: self.ops.len(), mark })
    }

    /// Number of bytes since a position, if it is the same in every reply.
    pub(super) fn len_since(&self, point: Point) -> Option<usize> {
        self.ops.get(point.op..)?.iter().try_fold(0, |sum, op| match op {
            Put::Bytes { from, to } => Some(sum + to - from),
            Put::Mark(_) | Put::Length(_) => Some(sum),
            Put::Copy { len, .. } | Put::Number { len, .. } => Some(sum + len),
            Put::Text(text) if !text.varies => Some(sum + text.slot.len),
            Put::Text(_) | Put::Element { .. } | Put::Choose(_) | Put::Each(_) => None,
        })
    }

    /// Writes a known number into known bytes, or into some bits of them.
    pub(super) fn fill_at(&mut self, at: usize, (slot, bits): (&Slot, Option<(u32, u32)>), number: u64) {
        if let Some(out) = self.pool.get_mut(at..at + slot.len) {
            write_count(slot, bits, number, out);
        }
    }

    /// Adds a step that computes a number while the reply is built.
    pub(super) fn length(&mut self, to: Target, counted: &Counted, what: Measure) {
        let Counted { by, bits, times, add, .. } = counted;
        let (slot, bits, times, add) = (by.slot.clone(), *bits, *times, *add);
        self.ops.push(Put::Length(Box::new(PutLength { to, slot, bits, what, times, add })));
    }

    /// The target of a gap while the reply is built.
    pub(super) fn target(gap: Gap) -> Target {
        Target::Mark(gap.mark)
    }

    /// The finished steps: neighbours are merged, unused marks removed.
    pub(super) fn finish(self, at: usize, room: usize) -> Encode {
        let Self { ops, pool, defaults, least, most, .. } = self;
        let mut read = [false; OPEN_LENGTHS_MAX];
        note_read(&ops, &mut read);
        let mut joined: Vec<u8> = Vec::with_capacity(pool.len());
        let mut out = join(ops, &read, &pool, &mut joined);
        let base = joined.len();
        joined.extend_from_slice(&defaults);
        shift(&mut out, base);
        Encode {
            runs: Box::default(),
            at,
            ops: out.into(),
            pool: joined.into(),
            least,
            most: most.min(room),
            lengths: Box::default(),
            in_place: false,
        }
    }
}

/// Notes the marks that steps read.
fn note_read(ops: &[Put], read: &mut [bool; OPEN_LENGTHS_MAX]) {
    let mut note = |mark: u8| read[usize::from(mark) % OPEN_LENGTHS_MAX] = true;
    for op in ops {
        match op {
            Put::Length(length) => {
                if let Measure::Bytes(mark) = length.what {
                    note(mark);
                }
                if let Target::Mark(mark) = length.to {
                    note(mark);
                }
            }
            Put::Choose(choose) => {
                if let Target::Mark(mark) = choose.by {
                    note(mark);
                }
            }
            _ => {}
        }
    }
    for op in ops {
        if let Put::Each(each) = op {
            note_read(&each.steps, read);
        }
        let Put::Choose(choose) = op else { continue };
        let blocks = choose.cases.iter().map(|(_, ops)| ops).chain(&choose.otherwise);
        blocks.into_iter().for_each(|ops| note_read(ops, read));
    }
}

/// Merges neighbouring bytes, which go from `pool` to `joined`, and removes unread marks.
fn join(ops: Vec<Put>, read: &[bool; OPEN_LENGTHS_MAX], pool: &[u8], joined: &mut Vec<u8>) -> Vec<Put> {
    let mut out: Vec<Put> = Vec::with_capacity(ops.len());
    for op in ops {
        match op {
            Put::Mark(mark) if !read[usize::from(mark) % OPEN_LENGTHS_MAX] => {}
            Put::Bytes { from, to } if from == to => {}
            Put::Bytes { from, to } => {
                let begin = joined.len();
                joined.extend_from_slice(pool.get(from..to).unwrap_or_default());
                match out.last_mut() {
                    Some(Put::Bytes { to, .. }) if *to == begin => *to = joined.len(),
                    _ => out.push(Put::Bytes { from: begin, to: joined.len() }),
                }
            }
            Put::Choose(mut choose) => {
                let mut joined_block = |ops: Box<[Put]>| join(ops.into_vec(), read, pool, joined).into_boxed_slice();
                let cases = std::mem::take(&mut choose.cases).into_vec();
                choose.cases = cases.into_iter().map(|(bytes, ops)| (bytes, joined_block(ops))).collect();
                choose.otherwise = choose.otherwise.take().map(joined_block);
                out.push(Put::Choose(choose));
            }
            Put::Each(mut each) => {
                each.steps = join(std::mem::take(&mut each.steps).into_vec(), read, pool, joined).into();
                out.push(Put::Each(each));
            }
            other => out.push(other),
        }
    }
    out
}

/// Moves the fallbacks behind the bytes of the steps.
fn shift(ops: &mut [Put], base: usize) {
    for op in ops {
        let default = match op {
            Put::Text(text) => &mut text.default,
            Put::Element { default, .. } => default,
            Put::Choose(choose) => {
                choose.cases.iter_mut().for_each(|(_, ops)| shift(ops, base));
                choose.otherwise.iter_mut().for_each(|ops| shift(ops, base));
                continue;
            }
            Put::Each(each) => {
                shift(&mut each.steps, base);
                continue;
            }
            _ => continue,
        };
        *default = (default.0 + base, default.1 + base);
    }
}

/// The step that writes a field as text.
pub(super) fn text(value: Expr, slot: &Slot, varies: bool, until: &[u8]) -> PutText {
    PutText { value, slot: slot.clone(), varies, until: until.into(), default: (0, 0) }
}
