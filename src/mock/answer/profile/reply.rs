//! The reply to a request: what the general code does to the FSU's state, and the bytes.

use super::Buffers;
use super::buffer::Buffer;
use super::lanes::Lanes;
use super::made::made;
use super::pass::folded;
use super::request::{Found, sealed};
use crate::about::{About, What};
use crate::answer::turn::{Scratch, Turn};
use fsu_plan::model::fleet::FsuId;
use fsu_plan::model::profile::{Answer, BLOCK_BYTES, Copied};
use fsu_plan::wire::envelope::{ESCAPE, at, escape};

/// A reply in the buffers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answered<'p> {
    /// When it is due, on the wall clock in nanoseconds.
    pub(crate) due_ns: i64,
    /// What it is made of.
    answer: &'p Answer,
    /// What was added to the known bytes, but for P_src_addr.
    pass: Pass,
}

/// What decides about P_verify and escapes.
#[derive(Clone, Copy, Debug, Default)]
struct Pass {
    /// XOR of the bytes.
    xor: Lanes,
    /// The greatest bytes.
    most: Lanes,
    /// Sums of the bytes in the span of the checksum.
    sums: Lanes,
}

impl Pass {
    /// Sixteen bytes.
    #[inline]
    fn add(&mut self, lanes: Lanes) {
        self.xor = self.xor.xor(lanes);
        self.most = self.most.most(lanes);
    }

    /// Those that the checksum is taken over.
    #[inline]
    fn sum(&mut self, lanes: Lanes) {
        self.sums = self.sums.plus(lanes.sums());
    }
}

/// Answers the request in the buffers by a rule, as the general code would; `None`: nothing was done. `wire` is the device's frame.
/// The reply is in the scratch: [`datagram`], [`frame`].
#[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
#[inline(always)]
pub(crate) fn answer<'p>(turn: &mut Turn<'_>, found: &Found<'p>, wire: &[u8], is_outer: bool) -> Option<Answered<'p>> {
    let &Found { number, row, mut answer, .. } = found;
    let due_ns;
    if row.is_plain && (turn.run.skip_delay || !row.is_delayed) {
        due_ns = turn.moment.due_ns(0);
        turn.state.messages += 1;
        turn.state.replies += 1;
        turn.scratch.about = About { command: row.command, rule: row.rule, what: What::Answered, ..About::of(number) };
        turn.scratch.profile.reply.put_known(answer, is_outer);
    } else {
        // A copy, so that it is not in memory before.
        let found = *found;
        (due_ns, answer) = made(turn, &found, wire, is_outer)?;
    }
    turn.scratch.profile.taken += 1;
    let pass = build(turn, answer, number, due_ns);
    Some(Answered { due_ns, answer, pass })
}

/// Adds copies, the clock and the checksum.
#[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
#[inline(always)]
fn build(turn: &mut Turn<'_>, answer: &Answer, number: usize, due_ns: i64) -> Pass {
    let Buffers { request, reply, clocks, .. } = &mut turn.scratch.profile;
    let mut pass = Pass::default();
    copy(&answer.copied, request, reply, &mut pass);
    if !answer.is_short {
        for copied in &answer.copies {
            copy(copied, request, reply, &mut pass);
        }
        if !answer.ticks.is_empty() {
            let clock = clocks.at(turn.moment.clock_at(due_ns));
            for tick in &answer.ticks {
                let word = clock.word(tick.which, tick.slot);
                reply.add_word(tick.to, word);
                pass.add(Lanes::of_word(word));
                pass.sum(Lanes::of_word(word & tick.sealed));
            }
        }
        for varied in &answer.varied {
            let word = reply.load(varied.at);
            pass.add(Lanes::of_word(word & varied.mask));
            pass.sum(Lanes::of_word(word & varied.sealed));
        }
    }
    if let Some(seal) = &answer.seal {
        let word = sealed((seal, answer.jump.as_deref()), (turn.fsu, number), reply, answer.sum + pass.sums.total());
        reply.add_word(seal.at, word);
        pass.add(Lanes::of_word(word));
    }
    pass
}

/// Copies bytes of the request.
#[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
#[inline(always)]
fn copy(copied: &Copied, request: &Buffer, reply: &mut Buffer, pass: &mut Pass) {
    let lanes = request.lanes(copied.from).and(Lanes::of(&copied.mask));
    reply.set_lanes(copied.to, reply.lanes(copied.to).or(lanes));
    pass.add(lanes);
    pass.sum(lanes.and(Lanes::of(&copied.sealed)));
}

/// The reply in the buffers as a datagram: with P_src_addr and P_verify, and escaped.
#[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
#[inline(always)]
pub(crate) fn datagram<'s>(scratch: &'s mut Scratch, id: &FsuId, answered: &Answered<'_>) -> &'s [u8] {
    let &Answered { mut pass, answer, .. } = answered;
    let Scratch { profile: Buffers { reply, .. }, escaped, .. } = scratch;
    let (first, last) = (id.bytes.first_chunk(), id.bytes.last_chunk().map_or(0, |last| u32::from_le_bytes(*last)));
    let first = match first {
        Some(first) => Lanes::of(first),
        None => Lanes::default(),
    };
    pass.add(first);
    pass.add(Lanes::of_word(last.into()));
    reply.set_lanes(at::SRC_UP as u8, first);
    reply.put(at::SRC_UP + BLOCK_BYTES, &last.to_le_bytes());
    let verify = folded(pass.xor.crossed()) ^ answer.xor;
    reply.set(answer.last.wrapping_sub(1), verify);
    let plain = reply.outer(answer.last);
    let is_plain = pass.most.special().is_zero() && verify < ESCAPE && !answer.escaped;
    if is_plain { plain } else { escape(plain, escaped) }
}

/// The reply in the buffers as a device's frame.
#[inline]
pub(crate) fn frame<'s>(scratch: &'s Scratch, answered: &Answered<'_>) -> &'s [u8] {
    scratch.profile.reply.inner(answered.answer.data_len)
}

/// P_src_addr is one block and four bytes.
const _: () = assert!(FsuId::BYTES == BLOCK_BYTES + 4);
