//! What the part of a reply from the first field of variable size on will be, for a request that is known.

use super::{Form, Origin};
use crate::answer::calc;
use fsu_plan::compile::fits::stand_in;
use fsu_plan::model::calc::Shape;
use fsu_plan::model::field::Offset;
use fsu_plan::model::reply::{Expr, Part, Reply};
use fsu_plan::model::template::Template;
use fsu_plan::model::walk::{Choose, Encode, Measure, OPEN_LENGTHS_MAX, Put, PutLength, Target};
use fsu_plan::wire::inner::write_lengths;
use fsu_plan::wire::walk::{locate, said, write_count};
use fsu_plan::wire::{value, varied};

/// Why the size of a reply is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// It depends on more than the request.
    Beyond,
    /// A list is made of the request's items.
    Items,
    /// What counts a field or list cannot say its size.
    Misfit,
}

/// Puts that part into a form.
pub(super) fn insert(
    (template, reply): (&Template, &Reply),
    steps: &Encode,
    request: &[u8],
    mut form: Form,
) -> Result<Form, Open> {
    let (bytes, origins, marks) = (Vec::new(), Vec::new(), [0; OPEN_LENGTHS_MAX]);
    let mut draft = Draft { steps, request, bytes, origins, marks, spare: steps.most.saturating_sub(steps.least) };
    for op in &steps.ops {
        draft.step(op, &mut form)?;
    }
    let Draft { bytes, origins, .. } = draft;
    let at = steps.at.min(form.frame.len());
    let (more, over) = if steps.in_place { (0, bytes.len()) } else { (bytes.len(), 0) };
    let data_len = reply.data_len + more;
    if let Some(telltale) = form.telltale.as_mut().filter(|telltale| telltale.at >= at) {
        telltale.at += more;
    }
    let end = (at + over).min(form.frame.len());
    form.frame.splice(at..end, bytes);
    form.origins.splice(at..end, origins);
    write_lengths(&template.lengths, data_len, reply.less, &mut form.frame);
    write_lengths(&steps.lengths, data_len, reply.less, &mut form.frame);
    for length in &steps.lengths {
        let at = length.at.in_frame(form.origins.len());
        form.origins.get_mut(at..at + length.len).ok_or(Open::Beyond)?.fill(Origin::Constant);
    }
    Ok(form)
}

struct Draft<'a> {
    steps: &'a Encode,
    request: &'a [u8],
    bytes: Vec<u8>,
    origins: Vec<Origin>,
    marks: [usize; OPEN_LENGTHS_MAX],
    /// Bytes that values of varying size may take beyond what stands for them.
    spare: usize,
}

impl Draft<'_> {
    fn push(&mut self, bytes: &[u8], origin: Origin) {
        self.bytes.extend_from_slice(bytes);
        self.origins.resize(self.bytes.len(), origin);
    }

    fn pool(&mut self, (from, to): (usize, usize)) {
        let steps = self.steps;
        self.push(steps.pool.get(from..to).unwrap_or_default(), Origin::Constant);
    }

    fn copy(&mut self, from: usize, len: usize) {
        let request = self.request;
        self.bytes.extend_from_slice(request.get(from..from + len).unwrap_or_default());
        let origin = |at: usize| Origin::Request(Offset(at as i32));
        self.origins.extend((from..from + len).map(origin).take(self.bytes.len() - self.origins.len()));
    }

    /// See the writer's.
    fn takes(&mut self, len: usize, (from, to): (usize, usize)) -> bool {
        let rest = (self.spare + (to - from)).checked_sub(len);
        self.spare = rest.unwrap_or(self.spare);
        rest.is_some()
    }

    fn step(&mut self, op: &Put, form: &mut Form) -> Result<(), Open> {
        match op {
            Put::Bytes { from, to } => self.pool((*from, *to)),
            Put::Copy { from, len } => self.copy(from.in_frame(self.request.len()), *len),
            Put::Element { from, default } => match locate(&from.walk, self.request, &from.path) {
                Some(found) if self.takes(found.to - found.from, *default) => {
                    self.copy(found.from, found.to - found.from);
                }
                _ => self.pool(*default),
            },
            Put::Number { len, .. } => self.push(&vec![0; *len], Origin::Unknown),
            Put::Text(text) if !text.varies => self.push(&vec![0; text.slot.len], Origin::Unknown),
            Put::Text(text) => {
                let known = known(&text.value, self.request).ok_or(Open::Beyond)?;
                let mut bytes = Vec::new();
                let ends = |bytes: &[u8]| !text.until.is_empty() && memchr::memmem::find(bytes, &text.until).is_some();
                let fits = !known.is_empty() && varied::encode(&text.slot, &known, &mut bytes).is_ok() && !ends(&bytes);
                if !fits || !self.takes(bytes.len(), text.default) {
                    self.pool(text.default);
                } else {
                    self.push(&bytes, Origin::Unknown);
                }
            }
            Put::Mark(mark) => *self.marks.get_mut(usize::from(*mark)).ok_or(Open::Beyond)? = self.bytes.len(),
            Put::Length(length) => self.length(length, form)?,
            Put::Choose(choose) => self.choose(choose, form)?,
            Put::Each(_) => return Err(Open::Items),
        }
        Ok(())
    }

    /// The case that the request selects.
    fn choose(&mut self, choose: &Choose, form: &mut Form) -> Result<(), Open> {
        let tag = self.tag(choose, form).ok_or(Open::Beyond)?;
        choose.steps(&tag).unwrap_or_default().iter().try_for_each(|step| self.step(step, form))
    }

    /// What selects the case; `None`: it depends on more.
    fn tag(&self, choose: &Choose, form: &Form) -> Option<Vec<u8>> {
        let (bytes, origins, at) = match choose.by {
            Target::Frame(at) => (&form.frame, &form.origins, at),
            Target::Mark(mark) => (&self.bytes, &self.origins, *self.marks.get(usize::from(mark))?),
        };
        let known = |at: usize| match origins.get(at)? {
            Origin::Constant => bytes.get(at).copied(),
            Origin::Request(from) => self.request.get(from.in_frame(self.request.len())).copied(),
            Origin::Unknown => None,
        };
        (at..at + choose.len).map(known).collect()
    }

    fn length(&mut self, length: &PutLength, form: &mut Form) -> Result<(), Open> {
        let many = self.many(length).ok_or(Open::Beyond)?;
        let number = said(many, length.times, length.add).ok_or(Open::Misfit)?;
        self.write(length, number, form).ok_or(Open::Beyond)
    }

    /// The bytes or items that a length counts.
    fn many(&self, length: &PutLength) -> Option<usize> {
        Some(match &length.what {
            Measure::Bytes(mark) => self.bytes.len() - self.marks.get(usize::from(*mark))?,
            Measure::Items { own, copied } => {
                let items = copied.as_ref().and_then(|walked| locate(&walked.walk, self.request, &walked.path));
                own + items.map_or(0, |found| found.count)
            }
        })
    }

    fn write(&mut self, length: &PutLength, number: u64, form: &mut Form) -> Option<()> {
        let (bytes, origins, at) = match length.to {
            Target::Frame(at) => (&mut form.frame, &mut form.origins, at),
            Target::Mark(mark) => (&mut self.bytes, &mut self.origins, *self.marks.get(usize::from(mark))?),
        };
        write_count(&length.slot, length.bits, number, bytes.get_mut(at..at + length.slot.len)?);
        origins.get_mut(at..at + length.slot.len)?.fill(Origin::Constant);
        Some(())
    }
}

/// The text of a value that depends on the request alone, or has one length: then a text of that length.
fn known(expr: &Expr, request: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    for part in &expr.parts {
        match part {
            Part::Literal(text) => out.extend_from_slice(text.as_bytes()),
            Part::Field { at, slot } => {
                let bytes = request.get(at.in_frame(request.len())..).and_then(|rest| rest.get(..slot.len));
                value::decode_into(slot, bytes?, &mut out);
            }
            Part::Walked(walked) => crate::answer::varying::notation(walked, (request, None), &mut out),
            Part::Calc(calc) if calc.is_of_request => {
                if calc::append_known(calc, request, &mut out).is_err() {
                    // Without a value the field has what stands for it.
                    return Some(Vec::new());
                }
            }
            Part::Calc(calc) => {
                let size = calc::number(calc.size.as_ref()?, request, None, &mut Vec::new()).ok();
                let Some(size) = size.and_then(|size| usize::try_from(size.whole().ok()?).ok()) else {
                    return Some(Vec::new());
                };
                let digits = if calc.shape == Shape::Raw { 1 } else { 2 };
                out.extend(std::iter::repeat_n(b'0', digits * size));
            }
            // Not its bytes, but how many.
            part => out.extend_from_slice(stand_in(part)?.as_bytes()),
        }
    }
    Some(out)
}
