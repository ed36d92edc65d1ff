//! Replies with delays, registers, cycles, and values that are made as the general code makes them.

use super::buffer::Buffer;
use super::request::Found;
use super::{Buffers, Value};
use crate::about::{self, About, What};
use crate::answer::build::{Inputs, text, write_form};
use crate::answer::random::{Dice, delay_ns};
use crate::answer::rule::{next_number, set_registers};
use crate::answer::turn::{Asked, Scratch, Turn};
use fsu_plan::model::field::Slot;
use fsu_plan::model::fleet::Device;
use fsu_plan::model::profile::Answer;
use fsu_plan::model::reply::{Patch, Reply};
use fsu_plan::model::rule::Rule;
use fsu_plan::model::template::Encoding;
use fsu_plan::wire::inner::decode_hex;
use fsu_plan::wire::value::{self, Misfit};

/// Draws the delay, sets registers, counts the reply, and begins it. Returns when it is due; `None`: nothing was done.
#[inline(never)]
pub(super) fn made<'p>(
    turn: &mut Turn<'_>,
    found: &Found<'p>,
    wire: &[u8],
    is_outer: bool,
) -> Option<(i64, &'p Answer)> {
    let &Found { number, row, .. } = found;
    let device = &**turn.fsu.devices.get(number)?;
    let rule = device.rules.get(usize::from(row.command))?.get(usize::from(row.rule))?;
    turn.state.messages += 1;
    let mut dice = turn.dice();
    let delay_ns = if turn.run.skip_delay { 0 } else { delay_ns(rule.delay, &mut dice) };
    let due_ns = turn.moment.due_ns(delay_ns);
    turn.scratch.about = About {
        command: row.command,
        rule: row.rule,
        what: What::Answered,
        delay_us: about::us(delay_ns),
        ..About::of(number)
    };
    let due = if row.is_timed { turn.moment.clock_at(due_ns) } else { turn.moment.now };
    let answer = if row.reads && device.template.encoding == Encoding::AsciiHex {
        let mut raw = std::mem::take(&mut turn.scratch.raw);
        decode(device, wire, &mut raw);
        let asked = Asked { device: number, request: &raw, due };
        let answer = begin(turn, (found, rule), asked, &mut dice, is_outer);
        turn.scratch.raw = raw;
        answer
    } else {
        begin(turn, (found, rule), Asked { device: number, request: wire, due }, &mut dice, is_outer)
    };
    Some((due_ns, answer))
}

/// The raw frame of one that travels as digits, which were checked.
#[inline(never)]
fn decode(device: &Device, wire: &[u8], raw: &mut Vec<u8>) {
    let (start, end) = (&*device.template.start, &*device.template.end);
    raw.clear();
    raw.extend_from_slice(start);
    decode_hex(wire.get(start.len()..wire.len() - end.len()).unwrap_or_default(), raw);
    raw.extend_from_slice(end);
}

/// Sets registers, counts the reply, and writes its known bytes and values.
#[expect(clippy::inline_always, reason = "bench/instructions.sh counts fewer")]
#[inline(always)]
fn begin<'p>(
    turn: &mut Turn<'_>,
    (found, rule): (&Found<'p>, &Rule),
    asked: Asked<'_>,
    dice: &mut Dice,
    is_outer: bool,
) -> &'p Answer {
    if !rule.sets.is_empty() {
        set_registers(turn, rule, asked, dice);
    }
    turn.state.replies += 1;
    let number = match rule.cycle {
        Some(_) => next_number(rule, &mut turn.state.devices.made(turn.fsu)[asked.device]),
        None => 0,
    };
    let answer = found.row.answers.get(number).unwrap_or(found.answer);
    turn.scratch.profile.reply.put_known(answer, is_outer);
    if !answer.values.is_empty() {
        values(turn, (&rule.replies[number], answer), asked, dice);
    }
    answer
}

/// Writes the values that the general code makes, into a reply with everything else.
#[inline]
fn values(turn: &mut Turn<'_>, (reply, answer): (&Reply, &Answer), asked: Asked<'_>, dice: &mut Dice) {
    let Scratch { profile, built, calendar, .. } = &mut *turn.scratch;
    let seq = turn.state.replies;
    let mut misfits = 0;
    let mut inputs = Inputs {
        request: asked.request,
        trace: None,
        state: Some(turn.state),
        device: asked.device,
        id_hex: &turn.fsu.id,
        seq,
        due: asked.due,
        moment: Some(&turn.moment),
        calendar,
        dice,
        item: None,
    };
    let Buffers { reply: out, value: Value(bytes), .. } = profile;
    for valued in &answer.values {
        let made = match reply.patches.get(usize::from(valued.patch)) {
            Some(Patch::Number { number, len, form, .. }) => bytes.get_mut(..*len).map(|out| {
                write_form(*form, inputs.number(*number), out);
                *len
            }),
            Some(Patch::Text { value: expr, slot, .. }) => {
                built.text.clear();
                text(expr, &mut inputs, &mut built.text);
                let out = bytes.get_mut(..slot.len);
                let len = out.map_or(Ok(None), |out| encoded(slot, &built.text, out));
                misfits += u64::from(len.is_err());
                len.ok().flatten()
            }
            _ => None,
        };
        if let Some(bytes) = made.and_then(|len| bytes.get(..len)) {
            place(out, answer, valued.to, bytes);
        }
    }
    if misfits > 0 {
        turn.state.counters.value_misfits += misfits;
    }
}

/// Encodes a text and returns its field's length; `None`: it is empty, which leaves the template's value, as an error does.
fn encoded(slot: &Slot, text: &[u8], out: &mut [u8]) -> Result<Option<usize>, Misfit> {
    if text.is_empty() {
        return Ok(None);
    }
    value::encode(slot, text, out)?;
    Ok(Some(slot.len))
}

/// Writes a value's bytes.
#[inline]
fn place(reply: &mut Buffer, answer: &Answer, to: u8, bytes: &[u8]) {
    if answer.hex {
        bytes.iter().zip((to..).step_by(2)).for_each(|(&byte, to)| reply.set_hex(to, byte));
    } else {
        reply.put(usize::from(to), bytes);
    }
}
