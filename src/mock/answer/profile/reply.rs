//! The reply to a request: what the general code does to the FSU's state, and the bytes.

use super::buffer::{Buffer, Pass, fold, lanes};
use super::request::{Found, sealed};
use super::{Buffers, Value, is_special};
use crate::about::{self, About, What};
use crate::answer::build::{Inputs, text, write_form};
use crate::answer::random::Dice;
use crate::answer::random::delay_ns;
use crate::answer::rule::{next_number, set_registers};
use crate::answer::turn::{Asked, Scratch, Turn};
use fsu_plan::model::field::Slot;
use fsu_plan::model::fleet::{Device, FsuId};
use fsu_plan::model::profile::{Answer, BLOCK_BYTES, DATA};
use fsu_plan::model::reply::{Patch, Reply};
use fsu_plan::model::template::Encoding;
use fsu_plan::wire::envelope::{at, escape};
use fsu_plan::wire::inner::decode_hex;
use fsu_plan::wire::value::{self, Misfit};

/// A reply in the buffers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answered {
    /// When it is due, on the wall clock in nanoseconds.
    pub(crate) due_ns: i64,
    /// What is in it but for P_src_addr.
    pass: Pass,
}

/// Answers the request in the buffers by a rule, as the general code would. `wire` is the device's frame. The reply is in the
/// scratch: [`datagram`], [`frame`].
#[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
#[inline(always)]
pub(crate) fn answer(turn: &mut Turn<'_>, found: &Found<'_>, wire: &[u8], is_outer: bool) -> Answered {
    let &Found { number, device, row, rule } = found;
    turn.state.messages += 1;
    turn.scratch.profile.taken += 1;
    let mut dice = turn.dice();
    let delay_ns = if turn.run.skip_delay { 0 } else { delay_ns(rule.delay, &mut dice) };
    let due_ns = turn.moment.due_ns(delay_ns);
    turn.scratch.begin_with(About {
        command: row.command,
        rule: row.rule,
        what: What::Answered,
        delay_us: about::us(delay_ns),
        ..About::of(number)
    });
    let due = if row.is_timed { turn.moment.clock_at(due_ns) } else { turn.moment.now };
    let pass = if row.reads && device.template.encoding == Encoding::AsciiHex {
        let mut raw = std::mem::take(&mut turn.scratch.raw);
        decode(device, wire, &mut raw);
        let asked = Asked { device: number, request: &raw, due };
        let pass = build(turn, found, asked, &mut dice, is_outer);
        turn.scratch.raw = raw;
        pass
    } else {
        build(turn, found, Asked { device: number, request: wire, due }, &mut dice, is_outer)
    };
    Answered { due_ns, pass }
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

/// Sets registers, counts the reply, and builds it.
#[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
#[inline(always)]
fn build(turn: &mut Turn<'_>, found: &Found<'_>, asked: Asked<'_>, dice: &mut Dice, is_outer: bool) -> Pass {
    let &Found { device, row, rule, .. } = found;
    if !rule.sets.is_empty() {
        set_registers(turn, rule, asked, dice);
    }
    turn.state.replies += 1;
    let number = next_number(rule, &mut turn.state.devices[asked.device]);
    let Some(answer) = row.answers.get(number) else { return Pass::default() };
    let Scratch { profile: Buffers { request, reply, clocks, len, .. }, .. } = &mut *turn.scratch;
    *len = usize::from(answer.len);
    if is_outer {
        reply.put_blocks(0, &answer.frame);
        reply.put(at::SRC_UP, &turn.fsu.id.bytes);
    } else {
        reply.put_blocks(DATA / BLOCK_BYTES, &answer.frame);
    }
    for copied in &answer.copies {
        reply.merge(copied.to, request.load(copied.from), copied.mask);
    }
    if !answer.ticks.is_empty() {
        let clock = clocks.at(asked.due);
        for tick in &answer.ticks {
            let byte = clock.bytes[usize::from(tick.which) % clock.bytes.len()];
            if answer.hex { reply.set_hex(tick.to, byte) } else { reply.set(tick.to, byte) }
        }
    }
    if !answer.values.is_empty() {
        values(turn, (&rule.replies[number], answer), asked, dice);
    }
    seal(answer, device, &mut turn.scratch.profile.reply)
}

/// Writes the values that the general code makes, into a reply with everything else.
#[inline(never)]
fn values(turn: &mut Turn<'_>, (reply, answer): (&Reply, &Answer), asked: Asked<'_>, dice: &mut Dice) {
    let Scratch { profile, built, calendar, .. } = &mut *turn.scratch;
    let mut inputs = Inputs {
        request: asked.request,
        memory: turn.state.devices.get(asked.device),
        id_hex: &turn.fsu.id_hex,
        seq: turn.state.replies,
        due: asked.due,
        calendar,
        dice,
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
                turn.state.counters.value_misfits += u64::from(len.is_err());
                len.ok().flatten()
            }
            _ => None,
        };
        if let Some(bytes) = made.and_then(|len| bytes.get(..len)) {
            place(out, answer, valued.to, bytes);
        }
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

/// Writes the checksum. Returns what P_verify and the escapes need.
#[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
#[inline(always)]
fn seal(answer: &Answer, device: &Device, reply: &mut Buffer) -> Pass {
    let (mut pass, mut sum) = (Pass::default(), 0);
    for varied in &answer.varied {
        let word = reply.load(varied.at);
        pass.add(word & varied.mask);
        sum += lanes(word & varied.sealed);
    }
    if let Some(seal) = &answer.seal {
        let word = sealed(seal, device, reply, answer.sum + fold(sum));
        reply.merge(seal.at, word, seal.place);
        pass.add(word);
    }
    if answer.escaped {
        // Twice: the XOR has its bytes already.
        pass.add(u64::MAX);
        pass.add(u64::MAX);
    }
    pass.cross(answer.xor);
    pass
}

/// The reply in the buffers as a datagram: with P_verify, and escaped.
#[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
#[inline(always)]
pub(crate) fn datagram(scratch: &mut Scratch, answered: Answered) -> &[u8] {
    let mut pass = answered.pass;
    let Scratch { profile: Buffers { reply, len, .. }, escaped, .. } = scratch;
    pass.add(reply.load(9));
    pass.add(reply.load(17));
    pass.add(reply.load(25) & 0xFFFF_FFFF);
    let verify = pass.xor();
    reply.set((*len - 2) as u8, verify);
    let plain = reply.part(0, *len);
    if pass.is_special() || is_special(verify) { escape(plain, escaped) } else { plain }
}

/// The reply in the buffers as a device's frame.
#[inline]
pub(crate) fn frame(scratch: &Scratch) -> &[u8] {
    scratch.profile.reply.part(DATA, scratch.profile.len - 2)
}

/// P_src_addr is two words and a half.
const _: () = assert!(at::SRC_UP == 9 && FsuId::BYTES == 20);
