//! The bytes of a reply: a prebuilt frame, a few patches, the checksum.

use super::calc::{self, Failed};
use super::random::Dice;
use super::varying::{self, Buffers};
use crate::moment::Moment;
use crate::seal::seal;
use crate::state::kept::DeviceKept;
use crate::state::{DeviceState, FsuState};
use fsu_plan::model::field::{Epoch, Kind, Slot};
use fsu_plan::model::fleet::FsuId;
use fsu_plan::model::kept::Keeps;
use fsu_plan::model::reply::Payload;
use fsu_plan::model::reply::{Expr, Form, Number, Part, Patch, Reply, TimeItem};
use fsu_plan::model::template::{Encoding, Template};
use fsu_plan::model::walk::{Run, Walked};
use fsu_plan::wire::checksum::write_number;
use fsu_plan::wire::civil::{Calendar, Civil, Now};
use fsu_plan::wire::coding;
use fsu_plan::wire::inner::{encode_hex, write_lengths};
use fsu_plan::wire::numerals;
use fsu_plan::wire::quick::Trace;
use fsu_plan::wire::value;
use fsu_plan::wire::walk::{self, Item};
use std::io::Write as _;
use std::sync::Arc;

/// What the functions of a value may read.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// The request's raw frame.
    pub request: &'a [u8],
    /// Where its elements are, as far as that was noted.
    pub trace: Option<&'a Trace>,
    /// What the FSU remembers, if it is known. The registers behind it are touched only when a value reads one: with thousands
    /// of FSUs each such access is a cache miss.
    pub state: Option<&'a mut FsuState>,
    /// Number of the device.
    pub device: usize,
    /// `${fsuid()}$`
    pub id_hex: &'a FsuId,
    /// `${seq()}$`
    pub seq: u64,
    /// When the reply is due.
    pub due: Now,
    /// The moment of the request, if there is one.
    pub moment: Option<&'a Moment>,
    /// Converts `due` to a civil time.
    pub calendar: &'a mut Calendar,
    /// The message's generator.
    pub dice: &'a mut Dice,
    /// The item of the request's list of which an item of the reply is made.
    pub item: Option<Item<'a>>,
}

impl<'a> Inputs<'a> {
    /// The bytes of an element of the request, and how many items it has; `None`: the request lacks it.
    #[inline]
    pub(super) fn element(&self, walked: &Walked) -> Option<(&'a [u8], usize)> {
        if let Some(item) = self.item.as_ref().filter(|_| calc::is_current(walked)) {
            return item.bytes(walked.path.node).map(|bytes| (bytes, item.count(walked.path.node)));
        }
        match self.trace {
            Some(trace) => trace.bytes(&walked.walk, self.request, &walked.path),
            None => walk::bytes(&walked.walk, self.request, &walked.path),
        }
    }

    /// The same of elements of one name in several cases: the one that is there.
    #[inline]
    pub(super) fn find<'w>(&self, walked: &'w Walked) -> Option<(&'w Walked, &'a [u8], usize)> {
        let of = |walked: &'w Walked| self.element(walked).map(|(bytes, items)| (walked, bytes, items));
        of(walked).or_else(|| walked.others.iter().find_map(of))
    }

    /// The bytes of elements of the request that follow each other; `None`: their places were not noted.
    #[inline]
    pub(super) fn between(&self, run: &Run) -> Option<&'a [u8]> {
        self.trace?.between(&run.walk, self.request, (run.first, run.last))
    }

    #[inline]
    fn civil(&mut self) -> &Civil {
        self.calendar.at(self.due)
    }

    pub(super) fn number(&mut self, number: Number) -> i64 {
        match number {
            Number::Seq => self.seq as i64,
            Number::Rand(low, high) => self.dice.rng().i64(low..=high),
            _ => self.civil().number(number).unwrap_or(0),
        }
    }

    /// The text of a register; empty before it is set.
    pub(super) fn register(&self, number: u32) -> &[u8] {
        let device = self.state.as_ref().and_then(|state| state.devices.get(self.device));
        device.and_then(|device| device.registers.get(number as usize)).map_or(&[], |text| text)
    }

    /// A parameter of the FSU.
    pub(super) fn param(&self, number: u32) -> &str {
        let device = self.state.as_ref().and_then(|state| state.devices.get(self.device));
        let kept = device.and_then(|device| device.kept.as_ref());
        kept.and_then(|kept| kept.params.get(number as usize)).map_or("", |text| text)
    }

    /// An argument of the trigger of the message that is built; empty without one.
    pub(super) fn arg(&self, number: u16) -> &str {
        let device = self.state.as_ref().and_then(|state| state.devices.get(self.device));
        let talk = device.and_then(|device| device.talk.as_ref());
        talk.and_then(|talk| talk.args.get(usize::from(number))).map_or("", |text| text)
    }

    /// Milliseconds since the start of the run, when the reply is due.
    pub(super) fn since_start_ms(&self) -> u64 {
        let Some(moment) = self.moment else { return 0 };
        let wait_ms = self.due.unix_ms.saturating_sub(moment.now.unix_ms);
        moment.since_start_ms.saturating_add(wait_ms.max(0) as u64)
    }

    /// Memory areas, keyed registers and counters of the device, made at their first use.
    pub(super) fn kept(&mut self) -> Option<&mut DeviceKept> {
        let (due, id_hex, seq) = (self.due, self.id_hex, self.seq);
        let Self { state, device, calendar, dice, moment, .. } = self;
        let kept = state.as_mut()?.devices.get_mut(*device)?.kept.as_mut()?;
        if !kept.is_made() {
            let plan = Arc::clone(&kept.plan);
            // Not the message's own generator: what a device begins with does not depend on who asks first.
            let mut dice = dice.first();
            let mut written = Vec::new();
            let inputs = Inputs {
                request: &[],
                trace: None,
                state: None,
                device: 0,
                id_hex,
                seq,
                due,
                moment: *moment,
                calendar,
                dice: &mut dice,
                item: None,
            };
            kept.make(init(&plan, inputs, &mut written));
        }
        Some(kept)
    }

    /// An expression had no value.
    pub(super) fn failed(&mut self, why: Failed) {
        if why != Failed::Absent
            && let Some(state) = &mut self.state
        {
            state.counters.expression_failures += 1;
        }
    }
}

/// Writes what the areas of a device have at the start.
fn init<'a>(plan: &'a Keeps, mut inputs: Inputs<'a>, written: &'a mut Vec<u8>) -> impl FnMut(usize, &mut [u8]) {
    move |area, bytes| {
        for (at, expr) in plan.areas.get(area).iter().flat_map(|area| &area.init) {
            written.clear();
            text(expr, &mut inputs, written);
            let place = bytes.get_mut(*at as usize..).unwrap_or_default();
            let digits = written.chunks(2).take(place.len());
            for (byte, pair) in place.iter_mut().zip(digits) {
                *byte = pair.iter().fold(0, |byte, &c| (byte << 4) | char::from(c).to_digit(16).unwrap_or(0) as u8);
            }
        }
    }
}

/// Appends `value` in decimal with at least `digits` digits.
pub(super) fn push_decimal(value: i64, digits: u8, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    let mut text = [b'0'; 20];
    let mut rest = value.unsigned_abs();
    let mut at = text.len();
    while rest > 0 {
        at -= 1;
        text[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let wanted = text.len() - usize::from(digits).clamp(1, text.len());
    out.extend_from_slice(&text[at.min(wanted)..]);
}

/// Appends the text of a value.
pub fn text(expr: &Expr, inputs: &mut Inputs<'_>, out: &mut Vec<u8>) {
    for part in &expr.parts {
        match part {
            Part::Literal(text) => out.extend_from_slice(text.as_bytes()),
            Part::Field { at, slot } => {
                let at = at.in_frame(inputs.request.len());
                let bytes = inputs.request.get(at..).and_then(|rest| rest.get(..slot.len));
                value::decode_into(slot, bytes.unwrap_or_default(), out);
            }
            Part::Walked(walked) => {
                let found = inputs.find(walked).map(|(walked, bytes, _)| (walked, bytes));
                varying::notation_of(found, out);
            }
            Part::Number { number, digits } => push_decimal(inputs.number(*number), *digits, out),
            Part::Hex(number) => {
                let _ = write!(out, "{:X}", inputs.number(*number).max(0));
            }
            Part::Packed(number) => encode_hex(&(inputs.number(*number) as u16).to_le_bytes(), out),
            Part::Datetime(items) => push_time(items, inputs, out),
            Part::FsuId => inputs.id_hex.push_hex(out),
            Part::Choice(choices) => {
                let choice = inputs.dice.rng().usize(..choices.len().max(1));
                out.extend_from_slice(choices.get(choice).map(|text| text.as_bytes()).unwrap_or_default());
            }
            Part::Register(register) => out.extend_from_slice(inputs.register(*register)),
            Part::Calc(calc) => {
                if let Err(why) = calc::append(calc, inputs, out) {
                    // No text at all: what the template gives stays.
                    out.clear();
                    return inputs.failed(why);
                }
            }
        }
    }
}

/// The number of an epoch field at that moment.
fn epoch_number(epoch: Epoch, now: Now) -> i64 {
    let ms = now.unix_ms.saturating_add(i64::from(epoch.offset_s) * 1_000).max(0);
    if epoch.ms { ms } else { ms / 1_000 }
}

/// Appends a date and time.
pub(super) fn push_time(items: &[TimeItem], inputs: &mut Inputs<'_>, out: &mut Vec<u8>) {
    for item in items {
        match item {
            TimeItem::Literal(text) => out.extend_from_slice(text.as_bytes()),
            TimeItem::Number(number, digits) => push_decimal(inputs.number(*number), *digits, out),
            TimeItem::Millis => push_decimal(i64::from(inputs.civil().millisecond), 3, out),
            TimeItem::Epoch(epoch) => push_decimal(epoch_number(*epoch, inputs.due), 1, out),
            TimeItem::DayOfYear => push_decimal(i64::from(inputs.civil().day_of_year), 3, out),
        }
    }
}

/// Copies a field: most are so short that a call costs more than the copy.
#[inline]
fn copy(from: &[u8], to: &mut [u8]) {
    match (from, &mut *to) {
        ([from], [to]) => *to = *from,
        ([a, b], [to_a, to_b]) => (*to_a, *to_b) = (*a, *b),
        _ => to.copy_from_slice(from),
    }
}

/// A reply, in buffers that are grown once and reused.
#[derive(Debug, Default)]
pub struct Built {
    /// Its raw frame.
    pub raw: Vec<u8>,
    /// Its wire bytes, only where the template encodes: [`Built::on_wire`].
    pub wire: Vec<u8>,
    /// Scratch for the text of a value. Afterwards: the data frame that a transfer carries ([`Payload::Built`]).
    pub text: Vec<u8>,
}

impl Built {
    /// As it travels.
    #[inline]
    pub fn on_wire(&self, template: &Template) -> &[u8] {
        match template.encoding {
            Encoding::Binary => &self.raw,
            Encoding::AsciiHex | Encoding::Coded => &self.wire,
        }
    }
}

/// Builds a reply over whatever `built` holds.
///
/// Returns how many values did not fit their field; such a field keeps the template's value.
pub fn build(template: &Template, reply: &Reply, inputs: &mut Inputs<'_>, built: &mut Built) -> u64 {
    let Built { raw: frame, wire, text: written } = built;
    reply.frame.fill(frame);
    let request = inputs.request;
    let mut misfits = 0;
    for patch in &reply.patches {
        match patch {
            Patch::Copy { from, to, len } => {
                let from = from.in_frame(request.len());
                copy(&request[from..from + *len], &mut frame[*to..*to + *len]);
            }
            Patch::CopyReversed { from, to, len } => {
                let from = from.in_frame(request.len());
                let bytes = request[from..from + *len].iter().rev();
                frame[*to..*to + *len].iter_mut().zip(bytes).for_each(|(out, byte)| *out = *byte);
            }
            Patch::Number { number, to, len, form } => {
                write_form(*form, inputs.number(*number), &mut frame[*to..*to + *len]);
            }
            Patch::Text { value: expr, to, slot } => {
                written.clear();
                text(expr, inputs, written);
                // Only a register that was never set gives an empty text: keep the template's value.
                if written.is_empty() {
                    continue;
                }
                let span = *to..*to + slot.len;
                if value::encode(slot, written, &mut frame[span.clone()]).is_err() {
                    reply.frame.write_part(span.clone(), &mut frame[span]);
                    misfits += 1;
                }
            }
        }
    }
    if is_refusal(template, reply, frame) {
        let padding = reply.refusal.as_ref().map_or(0, |refusal| refusal.padding);
        empty(template, reply, padding, frame);
    } else if !matches!(reply.payload, Payload::None | Payload::Static(_)) {
        let buffers = Buffers { frame, data: wire, text: written };
        match carried((template, reply), inputs, buffers) {
            Some(more) => misfits += more,
            None => return misfits,
        }
    }
    seal(template, frame, wire);
    misfits
}

/// What follows the patches where that is not the checksum; gives how many values did not fit. `None`: the reply is finished.
#[cold]
fn carried((template, reply): (&Template, &Reply), inputs: &mut Inputs<'_>, buffers: Buffers<'_>) -> Option<u64> {
    match &reply.payload {
        Payload::None | Payload::Static(_) => Some(0),
        Payload::Built => {
            let Buffers { frame, text, .. } = buffers;
            text.clear();
            text.extend_from_slice(&frame[template.left_len..template.left_len + reply.data_len]);
            empty(template, reply, 0, frame);
            Some(0)
        }
        Payload::Raw => {
            buffers.data.clear();
            coding::send_as_it_is(template, buffers.frame, buffers.data);
            None
        }
        Payload::Walked(steps) => Some(varying::insert((template, reply), steps, inputs, buffers)),
    }
}

/// Writes a number in its field's form.
#[inline]
pub(super) fn write_form(form: Form, number: i64, out: &mut [u8]) {
    match form {
        Form::Bcd | Form::BcdLittle => {
            value::write_bcd(number.unsigned_abs(), form == Form::BcdLittle, out);
        }
        Form::BcdPadded { little, right, padding } => {
            let slot = Slot { kind: Kind::Bcd, len: out.len(), little, right, padding };
            value::write_bcd_padded(number.unsigned_abs(), &slot, out);
        }
        Form::Dec => numerals::write_dec(number.unsigned_abs(), out),
        Form::HexDigits { low } => numerals::write_hex(number.unsigned_abs(), low, out),
        Form::Big | Form::Little => write_number(number as u64, form == Form::Little, out),
    }
}

/// Whether the reply's frame says that it carries no data. The frame may still have its data or be emptied already.
#[inline]
pub(crate) fn is_refusal(template: &Template, reply: &Reply, frame: &[u8]) -> bool {
    reply.refusal.as_ref().is_some_and(|refusal| {
        // The tail has moved with the data.
        let moved = if refusal.at < template.left_len { 0 } else { reply.frame.len() - frame.len() };
        let value = &frame[refusal.at - moved..refusal.at - moved + refusal.len];
        !refusal.ok.iter().any(|ok| **ok == *value)
    })
}

/// Removes the data frame. If all frames have one size, fills it with padding instead.
fn empty(template: &Template, reply: &Reply, padding: u8, frame: &mut Vec<u8>) {
    let data = template.left_len..template.left_len + reply.data_len;
    if template.data_len_fixed.is_some() {
        frame[data].fill(padding);
    } else {
        frame.drain(data);
        write_lengths(&template.lengths, 0, reply.less, frame);
    }
}

/// Sets a register to a text. False: there is no such register.
pub fn set_register(device: &mut DeviceState, register: u32, text: &[u8]) -> bool {
    let Some(slot) = device.registers.get_mut(register as usize) else { return false };
    slot.clear();
    slot.extend_from_slice(text);
    true
}

#[cfg(test)]
mod tests;
