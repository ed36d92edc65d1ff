//! One pass over a request: what is known beforehand is compared, and what decides about the rest is added up.

use super::Buffers;
use super::lanes::Lanes;
use fsu_plan::model::fleet::FsuId;
use fsu_plan::model::profile::{BLOCK_BYTES, Block, DATA, End, HEAD_END, Known, Profile, Step};
use fsu_plan::wire::envelope::at;

/// What a pass found.
#[derive(Clone, Copy, Debug, Default)]
struct Pass {
    /// Not 00: a byte is not what it should be.
    wrong: Lanes,
    /// XOR of the bytes, without the known ones.
    xor: Lanes,
    /// The greatest bytes, without the known ones.
    most: Lanes,
    /// Sums of the bytes in the span of the checksum, without the known ones.
    sums: Lanes,
}

impl Pass {
    /// Takes sixteen bytes. Returns them without the known ones.
    #[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
    #[inline(always)]
    fn known(&mut self, known: &Known, block: Lanes) -> Lanes {
        // What is right becomes 00.
        let free = block.xor(Lanes::of(&known.value));
        self.wrong = self.wrong.or(free.and(Lanes::of(&known.mask)));
        self.most = self.most.most(free);
        free
    }

    /// The same, with the sum.
    #[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
    #[inline(always)]
    fn step(&mut self, step: &Step, block: Lanes) -> Lanes {
        let free = self.known(&step.known, block);
        self.sums = self.sums.plus(free.and(Lanes::of(&step.summed)).sums());
        free
    }

    /// Takes a whole block of a device's frame.
    #[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
    #[inline(always)]
    fn whole(&mut self, step: &Step, block: Lanes) {
        self.xor = self.xor.xor(self.step(step, block));
    }

    /// Takes the last block of a frame.
    #[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
    #[inline(always)]
    fn end(&mut self, end: &End, block: Lanes) {
        self.xor = self.xor.xor(self.step(&end.step, block).and(Lanes::of(&end.fresh)));
    }
}

/// Sixteen bytes of an array.
#[inline]
fn part(bytes: &[u8; DATA], from: usize) -> Lanes {
    match bytes[from..].first_chunk() {
        Some(bytes) => Lanes::of(bytes),
        None => Lanes::default(),
    }
}

/// The bytes of the last block of the outer header that are in no block before it.
const HEAD_FRESH: Block = {
    let mut fresh = [0; BLOCK_BYTES];
    let mut number = 2 * BLOCK_BYTES - HEAD_END;
    while number < BLOCK_BYTES {
        fresh[number] = 0xFF;
        number += 1;
    }
    fresh
};

/// XOR of the bytes of a word.
#[inline]
pub(super) fn folded(word: u64) -> u8 {
    let half = (word ^ (word >> 32)) as u32;
    let quarter = half ^ (half >> 16);
    (quarter ^ (quarter >> 8)) as u8
}

impl Buffers {
    /// Takes an outer frame, from P_header to P_tailer, and returns the sum of the checksum's span. `None`: something that is
    /// known beforehand is otherwise, P_verify or P_dest_addr is wrong, or some byte is special and none `may` be.
    #[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
    #[inline(always)]
    pub(crate) fn outer(&mut self, profile: &Profile, plain: &[u8], id: &FsuId, may_be_special: bool) -> Option<u64> {
        let (head, end) = (plain.first_chunk::<DATA>()?, plain.last_chunk::<BLOCK_BYTES>()?);
        let mut pass = Pass::default();
        let [first, second, third] = &profile.head;
        let first = pass.known(first, part(head, 0));
        let second = pass.known(second, part(head, BLOCK_BYTES));
        let third = pass.known(third, part(head, HEAD_END)).and(Lanes::of(&HEAD_FRESH));
        pass.xor = first.xor(second).xor(third);
        self.data(&mut pass, profile, &plain[DATA..]);
        let end = Lanes::of(end);
        self.request.set_lanes((plain.len() as u8).wrapping_sub(BLOCK_BYTES as u8), end);
        pass.end(&profile.outer_end, end);
        if !may_be_special {
            pass.wrong = pass.wrong.or(pass.most.special());
        }
        let (own, last) = (id.bytes.first_chunk()?, id.bytes.last_chunk::<4>()?);
        pass.wrong = pass.wrong.or(part(head, at::DEST).xor(Lanes::of(own)));
        let is_right = pass.wrong.is_zero()
            && folded(pass.xor.crossed()) == profile.xor
            && head[at::DEST + BLOCK_BYTES..].first_chunk() == Some(last)
            && (may_be_special || !profile.escaped);
        is_right.then(|| profile.sum + pass.sums.total())
    }

    /// The same with a device's frame.
    #[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
    #[inline(always)]
    pub(crate) fn inner(&mut self, profile: &Profile, wire: &[u8]) -> Option<u64> {
        let mut pass = Pass::default();
        self.data(&mut pass, profile, wire);
        let end = match wire.last_chunk() {
            Some(end) => Lanes::of(end),
            None => short(wire),
        };
        self.request.set_lanes((DATA as u8 - BLOCK_BYTES as u8).wrapping_add(wire.len() as u8), end);
        pass.end(&profile.inner_end, end);
        pass.wrong.is_zero().then(|| profile.sum + pass.sums.total())
    }

    /// Takes the whole blocks of a device's frame.
    #[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
    #[inline(always)]
    fn data(&mut self, pass: &mut Pass, profile: &Profile, data: &[u8]) {
        let (blocks, _) = data.as_chunks();
        match (&*profile.whole, blocks) {
            ([], _) => {}
            ([step], [block, ..]) => self.block((pass, step), DATA as u8, block),
            ([first, second], [block, other, ..]) => {
                self.block((pass, first), DATA as u8, block);
                self.block((pass, second), (DATA + BLOCK_BYTES) as u8, other);
            }
            (steps, blocks) => {
                let mut at = DATA as u8;
                for (step, block) in steps.iter().zip(blocks) {
                    self.block((pass, step), at, block);
                    at = at.wrapping_add(BLOCK_BYTES as u8);
                }
            }
        }
    }

    /// Takes one block.
    #[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
    #[inline(always)]
    fn block(&mut self, (pass, step): (&mut Pass, &Step), at: u8, block: &Block) {
        let block = Lanes::of(block);
        self.request.set_lanes(at, block);
        pass.whole(step, block);
    }
}

/// A frame that is shorter than a block, at the end of one.
#[inline]
fn short(wire: &[u8]) -> Lanes {
    let mut block = [0; BLOCK_BYTES];
    let from = BLOCK_BYTES.saturating_sub(wire.len());
    block[from..].copy_from_slice(&wire[..BLOCK_BYTES - from]);
    Lanes::of(&block)
}

/// P_dest_addr is one block and four bytes.
const _: () = assert!(FsuId::BYTES == BLOCK_BYTES + 4);

#[cfg(test)]
mod tests {
    use super::*;
    use fsu_plan::model::profile::Keys;
    use fsu_plan::wire::envelope::ESCAPE;
    use proptest::prelude::*;

    /// What the pass is to find: of every place of a frame, whether it is known and whether it is summed.
    fn profile(plain: &[u8], known: impl Fn(usize) -> bool, summed: impl Fn(usize) -> bool) -> Profile {
        let len = plain.len();
        let whole = (len - DATA - 1) / BLOCK_BYTES;
        let step = |from: usize, fresh: std::ops::Range<usize>| {
            let mut end = End::default();
            for (number, place) in (from..from + BLOCK_BYTES).enumerate().filter(|(_, place)| fresh.contains(place)) {
                end.fresh[number] = 0xFF;
                end.step.summed[number] = if summed(place) { 0xFF } else { 0 };
                if known(place) {
                    (end.step.known.value[number], end.step.known.mask[number]) = (plain[place], 0xFF);
                }
            }
            end
        };
        let block = |number: usize| DATA + number * BLOCK_BYTES;
        let inner = len - 2;
        let counted = (1..len - 1).filter(|&place| known(place)).map(|place| plain[place]);
        Profile {
            head: [(0, 0), (16, 16), (HEAD_END, 32)].map(|(from, fresh)| step(from, fresh..DATA).step.known),
            whole: (0..whole).map(|number| step(block(number), block(number)..block(number + 1)).step).collect(),
            inner_end: step(inner - BLOCK_BYTES, block((inner - DATA) / BLOCK_BYTES)..inner),
            outer_end: step(len - BLOCK_BYTES, block(whole)..len),
            rest: Box::default(),
            xor: counted.clone().fold(0, |all, byte| all ^ byte),
            escaped: counted.clone().any(|byte| byte >= ESCAPE),
            sum: (DATA..inner)
                .filter(|&place| known(place) && summed(place))
                .map(|place| u64::from(plain[place]))
                .sum(),
            digits: None,
            has_more: false,
            seal: None,
            keys: Keys::default(),
        }
    }

    proptest! {
        /// One pass finds what one byte after the other would.
        #[test]
        fn a_pass_is_over_all_bytes(
            mut plain in proptest::collection::vec(any::<u8>(), DATA + 3..=256),
            (known, summed) in (any::<[u64; 4]>(), any::<[u64; 4]>()),
            (most, flipped, bit) in (0xFA_u8.., any::<prop::sample::Index>(), 0..8_u32),
        ) {
            let len = plain.len();
            let set = |words: [u64; 4]| move |place: usize| words[place / 64] >> (place % 64) & 1 != 0;
            let (known, summed) = (set(known), set(summed));
            for byte in &mut plain {
                *byte = (*byte).min(most);
            }
            (plain[0], plain[len - 1]) = (0xFF, 0xFE);
            plain[len - 2] = plain[1..len - 2].iter().fold(0, |all, byte| all ^ byte);
            let is_framed = |place: usize| place == 0 || place == len - 1;
            let is_known = |place: usize| (known(place) && place != len - 2) || is_framed(place);
            let is_summed = |place: usize| summed(place) && (DATA..len - 2).contains(&place);
            let profile = profile(&plain, is_known, is_summed);
            let mut id = FsuId::default();
            id.bytes.copy_from_slice(&plain[1..21]);
            let sum = (0..len).filter(|&place| is_summed(place)).map(|place| u64::from(plain[place])).sum();
            let is_special = plain[1..len - 1].iter().any(|&byte| byte >= ESCAPE);
            let mut buffers = Buffers::default();
            prop_assert_eq!(buffers.outer(&profile, &plain, &id, true), Some(sum));
            prop_assert_eq!(buffers.request.inner((len - DATA - 2) as u8), &plain[DATA..len - 2]);
            prop_assert_eq!(buffers.outer(&profile, &plain, &id, false), (!is_special).then_some(sum));
            prop_assert_eq!(buffers.inner(&profile, &plain[DATA..len - 2]), Some(sum));
            prop_assert_eq!(buffers.request.inner((len - DATA - 2) as u8), &plain[DATA..len - 2]);
            // Any other byte is found.
            let at = flipped.index(len);
            plain[at] ^= 1 << bit;
            prop_assert_eq!(buffers.outer(&profile, &plain, &id, true), None);
            let inner = buffers.inner(&profile, &plain[DATA..len - 2]);
            let is_inner = (DATA..len - 2).contains(&at);
            prop_assert_eq!(inner.is_none(), is_inner && is_known(at));
        }
    }
}
