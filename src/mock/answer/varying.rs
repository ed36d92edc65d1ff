//! Writes the part of a reply from the first field of variable size on.

use super::build::{Inputs, text, write_form};
use super::calc::is_current;
use fsu_plan::model::reply::Reply;
use fsu_plan::model::template::Template;
use fsu_plan::model::walk::{Choose, Each, Encode, Measure, OPEN_LENGTHS_MAX, Put, PutLength, PutText, Target, Walked};
use fsu_plan::wire::inner::write_lengths;
use fsu_plan::wire::walk::{self, Item, counts, find, said, write_count};
use fsu_plan::wire::{value, varied};
use std::ops::Range;

/// Appends a request's element in its notation; appends nothing if the request, or the item that is being written, lacks it.
pub(crate) fn notation(walked: &Walked, (request, item): (&[u8], Option<&Item<'_>>), out: &mut Vec<u8>) {
    let found = match item {
        Some(item) if is_current(walked) => item.find(walked),
        _ => find(walked, request).map(|(walked, bytes, _)| (walked, bytes)),
    };
    notation_of(found, out);
}

/// The same of an element that was looked for.
pub(super) fn notation_of(found: Option<(&Walked, &[u8])>, out: &mut Vec<u8>) {
    let Some((walked, found)) = found else { return };
    if walked.varies {
        varied::decode_into(&walked.slot, found, out);
    } else {
        value::decode_into(&walked.slot, found, out);
    }
}

/// The buffers of a reply: its frame, and two scratch buffers that are free until the frame is sealed.
pub(super) struct Buffers<'b> {
    /// Header, fixed fields and tail.
    pub(super) frame: &'b mut Vec<u8>,
    /// Receives the varying part.
    pub(super) data: &'b mut Vec<u8>,
    /// Receives the text of a value.
    pub(super) text: &'b mut Vec<u8>,
}

/// Inserts the varying part into the frame and writes the frame's lengths. Returns how many values did not fit.
pub(super) fn insert(
    (template, reply): (&Template, &Reply),
    steps: &Encode,
    inputs: &mut Inputs<'_>,
    buffers: Buffers<'_>,
) -> u64 {
    let Buffers { frame, data, text } = buffers;
    data.clear();
    let spare = steps.most.saturating_sub(steps.least);
    let mut writer = Writer { steps, frame, data, text, marks: [0; OPEN_LENGTHS_MAX], spare, misfits: 0 };
    writer.all(inputs);
    let misfits = writer.misfits;
    let (at, old) = (steps.at.min(frame.len()), frame.len());
    let more = if steps.in_place { 0 } else { data.len() };
    if more > 0 {
        frame.resize(old + more, 0);
        frame.copy_within(at..old, at + more);
    }
    if let Some(place) = frame.get_mut(at..at + data.len()) {
        place.copy_from_slice(data);
    }
    let data_len = reply.data_len + more;
    write_lengths(&template.lengths, data_len, reply.less, frame);
    write_lengths(&steps.lengths, data_len, reply.less, frame);
    misfits
}

struct Writer<'a> {
    steps: &'a Encode,
    frame: &'a mut Vec<u8>,
    data: &'a mut Vec<u8>,
    text: &'a mut Vec<u8>,
    /// Places in `data`.
    marks: [u32; OPEN_LENGTHS_MAX],
    /// Bytes left for values of varying size, beyond their fallbacks.
    spare: usize,
    misfits: u64,
}

impl Writer<'_> {
    /// All steps, of which some are one copy.
    fn all(&mut self, inputs: &mut Inputs<'_>) {
        let steps = self.steps;
        let mut done = 0;
        for run in &steps.runs {
            let Some(found) = inputs.between(run) else { continue };
            let len = found.len().saturating_sub(run.between);
            // With so much room each of them fits.
            let Some(rest) = self.spare.checked_sub(len) else { continue };
            self.each(done..run.from as usize, inputs);
            self.spare = rest + run.defaults;
            self.data.extend_from_slice(found);
            done = run.to as usize;
        }
        self.each(done..steps.ops.len(), inputs);
    }

    fn each(&mut self, numbers: Range<usize>, inputs: &mut Inputs<'_>) {
        let steps = self.steps;
        steps.ops.get(numbers).into_iter().flatten().for_each(|op| self.step(op, inputs));
    }

    fn step(&mut self, op: &Put, inputs: &mut Inputs<'_>) {
        match op {
            Put::Bytes { from, to } => self.pool((*from, *to)),
            Put::Copy { from, len } => {
                let from = from.in_frame(inputs.request.len());
                let there = inputs.request.get(from..).and_then(|rest| rest.get(..*len));
                self.data.extend_from_slice(there.unwrap_or_default());
            }
            Put::Element { from, default } => match inputs.element(from) {
                Some((found, _)) if self.takes(found.len(), *default) => self.data.extend_from_slice(found),
                // The request lacks the element, or it is too long for a reply.
                found => {
                    self.misfits += u64::from(found.is_some());
                    self.pool(*default);
                }
            },
            Put::Number { number, len, form } => {
                let from = self.data.len();
                self.data.resize(from + len, 0);
                let number = inputs.number(*number);
                if let Some(place) = self.data.get_mut(from..) {
                    write_form(*form, number, place);
                }
            }
            Put::Text(put) => self.put_text(put, inputs),
            Put::Mark(mark) => {
                if let Some(place) = self.marks.get_mut(usize::from(*mark)) {
                    *place = self.data.len() as u32;
                }
            }
            Put::Length(length) => self.length(length, inputs),
            Put::Choose(choose) => self.choose(choose, inputs),
            Put::Each(each) => self.items(each, inputs),
        }
    }

    /// Writes an item for each item of the request's list, as far as there is room. Calls [`Self::step`]; no item has such a list.
    #[cold]
    fn items(&mut self, each: &Each, inputs: &mut Inputs<'_>) {
        let request = inputs.request;
        walk::each(&each.from.walk, request, &each.from.path, |item| {
            if !self.takes(each.least, (0, 0)) {
                self.misfits += 1;
                return false;
            }
            inputs.item = Some(item);
            each.steps.iter().for_each(|step| self.step(step, inputs));
            true
        });
        inputs.item = None;
    }

    /// Writes the case that was selected. Calls [`Self::step`] at most as deep as choices nest.
    fn choose(&mut self, choose: &Choose, inputs: &mut Inputs<'_>) {
        let (from, at) = match choose.by {
            Target::Frame(at) => (&*self.frame, at),
            Target::Mark(mark) => (&*self.data, self.marks.get(usize::from(mark)).map_or(0, |at| *at as usize)),
        };
        let tag = from.get(at..at + choose.len).unwrap_or_default();
        match choose.steps(tag) {
            Some(steps) => steps.iter().for_each(|step| self.step(step, inputs)),
            None => self.misfits += 1,
        }
    }

    fn pool(&mut self, (from, to): (usize, usize)) {
        self.data.extend_from_slice(self.steps.pool.get(from..to).unwrap_or_default());
    }

    /// Whether a value fits in place of its fallback.
    fn takes(&mut self, len: usize, (from, to): (usize, usize)) -> bool {
        let rest = (self.spare + (to - from)).checked_sub(len);
        self.spare = rest.unwrap_or(self.spare);
        rest.is_some()
    }

    fn put_text(&mut self, put: &PutText, inputs: &mut Inputs<'_>) {
        self.text.clear();
        text(&put.value, inputs, self.text);
        let from = self.data.len();
        // An empty text means a register that was never set, or an element that the request lacks.
        if self.text.is_empty() {
            self.pool(put.default);
            return;
        }
        let fits = if put.varies {
            varied::encode(&put.slot, self.text, self.data).is_ok()
        } else {
            self.data.resize(from + put.slot.len, 0);
            self.data.get_mut(from..).is_some_and(|place| value::encode(&put.slot, self.text, place).is_ok())
        };
        let written = self.data.get(from..).unwrap_or_default();
        let len = written.len();
        let ends = !put.until.is_empty() && memchr::memmem::find(written, &put.until).is_some();
        if !fits || ends || (put.varies && !self.takes(len, put.default)) {
            self.data.truncate(from);
            self.pool(put.default);
            self.misfits += 1;
        }
    }

    fn length(&mut self, length: &PutLength, inputs: &Inputs<'_>) {
        let mark = |mark: u8, marks: &[u32]| marks.get(usize::from(mark)).map_or(0, |at| *at as usize);
        let many = match &length.what {
            Measure::Bytes(from) => self.data.len().saturating_sub(mark(*from, &self.marks)),
            Measure::Items { own, copied } => {
                let items = copied.as_ref().and_then(|walked| inputs.element(walked));
                own + items.map_or(0, |(_, count)| count)
            }
        };
        let number = said(many, length.times, length.add).filter(|number| *number <= counts(&length.slot, length.bits));
        let (out, at) = match length.to {
            Target::Frame(at) => (&mut *self.frame, at),
            Target::Mark(at) => (&mut *self.data, mark(at, &self.marks)),
        };
        let place = out.get_mut(at..).and_then(|rest| rest.get_mut(..length.slot.len));
        match place.zip(number) {
            Some((place, number)) => write_count(&length.slot, length.bits, number, place),
            None => self.misfits += 1,
        }
    }
}
