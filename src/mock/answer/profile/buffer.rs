//! The buffers of a profile: whole outer frames, read and written eight bytes at a time.

use fsu_plan::model::profile::{BLOCK_BYTES, BUFFER_BYTES, Checks, PASS_BYTES, Window};

/// The same byte in every lane.
const ONES: u64 = u64::MAX / 0xFF;
/// The top bit of every byte.
const TOPS: u64 = ONES << 7;
/// Every other byte, in lanes of 16 bits.
const LANES: u64 = 0x00FF_00FF_00FF_00FF;

/// A frame, and whatever was behind it.
#[derive(Clone, Debug)]
pub(super) struct Buffer([u8; BUFFER_BYTES]);

impl Default for Buffer {
    fn default() -> Self {
        Self([0; BUFFER_BYTES])
    }
}

/// What a pass over bytes finds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pass {
    /// XOR of the bytes, in eight lanes.
    xor: u64,
    /// Top bits of bytes that have to be escaped, among others.
    special: u64,
}

impl Pass {
    /// One more word.
    #[inline]
    pub(super) fn add(&mut self, word: u64) {
        self.xor ^= word;
        self.special |= special_in(word);
    }

    /// One more byte of the XOR, which needs no escape.
    #[inline]
    pub(super) fn cross(&mut self, byte: u8) {
        self.xor ^= u64::from(byte);
    }

    /// The XOR of all bytes.
    #[inline]
    pub(super) fn xor(self) -> u8 {
        let half = (self.xor ^ (self.xor >> 32)) as u32;
        let quarter = half ^ (half >> 16);
        (quarter ^ (quarter >> 8)) as u8
    }

    /// Whether some byte has to be escaped.
    #[inline]
    pub(super) fn is_special(self) -> bool {
        self.special & TOPS != 0
    }
}

/// Top bits of bytes that have to be escaped, among others.
#[inline]
fn special_in(word: u64) -> u64 {
    // FD and more: the top bit, and at least 7D below it, which 3 carries over.
    word & ((word & (ONES * 0x7F)) + ONES * 3)
}

/// The bytes of a word, added in four lanes.
#[inline]
pub(super) fn lanes(word: u64) -> u64 {
    (word & LANES) + ((word >> 8) & LANES)
}

/// The sum of all lanes. A buffer's bytes do not add up to more than a lane holds.
#[inline]
pub(super) fn fold(lanes: u64) -> u64 {
    lanes.wrapping_mul(0x0001_0001_0001_0001) >> 48
}

impl Buffer {
    /// Takes the bytes as they are, from a place on. `None`: no room.
    #[inline]
    pub(super) fn put(&mut self, at: usize, bytes: &[u8]) -> Option<()> {
        self.0.get_mut(at..)?.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(())
    }

    /// Takes a whole outer frame, with a pass over what is between P_header and P_tailer. Those two are not kept.
    #[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
    #[inline(always)]
    pub(super) fn put_passing(&mut self, frame: &[u8]) -> Option<Pass> {
        self.put(0, frame)?;
        let last = frame.len().checked_sub(1)?;
        // The pass goes on to the end of its last step.
        *self.0.get_mut(last..)?.first_chunk_mut()? = [0; PASS_BYTES];
        self.0[0] = 0;
        Some(self.pass(frame.len()))
    }

    /// A pass over `len` bytes, and over the bytes behind them in its last step.
    #[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
    #[inline(always)]
    fn pass(&self, len: usize) -> Pass {
        // Lanes that the compiler keeps in vector registers.
        let (mut xor, mut special) = ([0; PASS_BYTES / 8], [0; PASS_BYTES / 8]);
        for block in self.0.as_chunks::<PASS_BYTES>().0.iter().take(len.div_ceil(PASS_BYTES)) {
            let words = block.as_chunks::<8>().0;
            for ((xor, special), word) in xor.iter_mut().zip(&mut special).zip(words) {
                let word = u64::from_le_bytes(*word);
                *xor ^= word;
                *special |= special_in(word);
            }
        }
        let [a, b, c, d] = special;
        Pass { xor: xor.into_iter().fold(0, |all, lane| all ^ lane), special: (a | b) | (c | d) }
    }

    /// Eight bytes.
    #[inline]
    pub(super) fn load(&self, at: u8) -> u64 {
        self.0[usize::from(at)..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    /// Writes some bytes of eight.
    #[inline]
    pub(super) fn merge(&mut self, at: u8, word: u64, mask: u64) {
        let merged = (self.load(at) & !mask) | (word & mask);
        if let Some(bytes) = self.0[usize::from(at)..].first_chunk_mut() {
            *bytes = merged.to_le_bytes();
        }
    }

    /// Writes one byte.
    #[inline]
    pub(super) fn set(&mut self, at: u8, byte: u8) {
        self.0[usize::from(at)] = byte;
    }

    /// Writes a byte as two upper-case hex digits.
    #[inline]
    pub(super) fn set_hex(&mut self, at: u8, byte: u8) {
        let digits = hex(u64::from(byte), 1);
        self.merge(at, digits, 0xFFFF);
    }

    /// Copies blocks from a block's place on.
    #[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
    #[inline(always)]
    pub(super) fn put_blocks(&mut self, from: usize, blocks: &[[u8; BLOCK_BYTES]]) {
        let (places, _) = self.0.as_chunks_mut::<BLOCK_BYTES>();
        if let (Some(places), Some(blocks)) = (places.get_mut(from..), blocks.get(from..)) {
            for (place, block) in places.iter_mut().zip(blocks) {
                *place = *block;
            }
        }
    }

    /// Whether a frame has what it should.
    #[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
    #[inline(always)]
    pub(super) fn fits(&self, checks: &Checks) -> bool {
        let wrong = |window: &Window| (self.load(window.at) & window.mask) ^ window.value;
        let [a, b, c, d] = &checks.first;
        (wrong(a) | wrong(b) | wrong(c) | wrong(d)) == 0 && (checks.rest.is_empty() || self.has(&checks.rest))
    }

    /// The sum of `words` words from `from` on, and of the bytes that `rest` selects in the next one.
    #[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
    #[inline(always)]
    pub(super) fn sum(&self, from: u8, words: u8, rest: u64) -> u64 {
        let end = from.wrapping_add(words.wrapping_mul(8));
        let (mut at, mut even, mut odd) = (from, 0, 0);
        while at != end {
            let word = self.load(at);
            even += word & LANES;
            odd += (word >> 8) & LANES;
            at = at.wrapping_add(8);
        }
        fold(even + odd + lanes(self.load(at) & rest))
    }

    /// Whether all windows have what they should.
    #[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
    #[inline(always)]
    pub(super) fn has(&self, windows: &[Window]) -> bool {
        windows.iter().fold(0, |wrong, window| wrong | ((self.load(window.at) & window.mask) ^ window.value)) == 0
    }

    /// Whether all bytes are upper-case hex digits; at least eight.
    #[inline]
    pub(super) fn is_hex(&self, from: u8, to: u8) -> bool {
        let bytes = self.slice(from, to);
        let words = bytes.as_chunks::<8>().0.iter().chain(bytes.last_chunk::<8>());
        words.fold(0, |bad, word| bad | no_digits(u64::from_le_bytes(*word))) == 0
    }

    /// The bytes between two places.
    #[inline]
    pub(super) fn slice(&self, from: u8, to: u8) -> &[u8] {
        self.0.get(usize::from(from)..usize::from(to)).unwrap_or_default()
    }

    /// The bytes between two places.
    #[inline]
    pub(super) fn part(&self, from: usize, to: usize) -> &[u8] {
        self.0.get(from..to).unwrap_or_default()
    }
}

/// The top bits of bytes that are no upper-case hex digits.
#[inline]
fn no_digits(word: u64) -> u64 {
    let low = word & (ONES * 0x7F);
    // No carry leaves a byte: the sums are below 0x100.
    let (decimal, letter) = (low ^ (ONES * 0x30), low ^ (ONES * 0x40));
    let not_decimal = decimal + ONES * (0x7F - 9);
    let not_letter = (letter + ONES * (0x7F - 6)) | !(letter + ONES * 0x7F);
    (word | (not_decimal & not_letter)) & TOPS
}

/// The low `len` bytes of a number, 1 to 4, high byte first, as hex digits: the first digit in the low byte.
#[inline]
pub(super) fn hex(number: u64, len: u32) -> u64 {
    let pairs = (number | (number << 16)) & 0x0000_FFFF_0000_FFFF;
    let bytes = (pairs | (pairs << 8)) & LANES;
    // A digit in every byte, the last one lowest.
    let digits = (bytes & (LANES & (ONES * 0x0F))) | ((bytes & (LANES & (ONES * 0xF0))) << 4);
    let letters = ((digits + ONES * 6) >> 4) & ONES;
    (digits + ONES * 0x30 + letters * 7).swap_bytes() >> (64 - 16 * len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_byte_is_a_digit_or_not() {
        for byte in 0..=u8::MAX {
            let is_digit = byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte);
            for lane in 0..8 {
                let mut word = *b"09AF5C3E";
                word[lane] = byte;
                assert_eq!(no_digits(u64::from_le_bytes(word)) == 0, is_digit, "{byte:02X} in {lane}");
            }
        }
    }

    #[test]
    fn numbers_as_hex_digits() {
        let check = |number: u64, len: u32, text: &str| {
            let shown = hex(number, len).to_le_bytes();
            assert_eq!(std::str::from_utf8(&shown[..text.len()]), Ok(text));
            assert!(shown[text.len()..].iter().all(|&byte| byte == 0));
        };
        check(0, 1, "00");
        check(0x9A, 1, "9A");
        check(0x0005, 2, "0005");
        check(0xBC_F019, 3, "BCF019");
        check(0x1234_ABCD, 4, "1234ABCD");
    }

    proptest! {
        /// One pass finds what one byte after the other would.
        #[test]
        fn a_pass_is_over_all_bytes(bytes in proptest::collection::vec(any::<u8>(), 2..=256), high in 0..4_u8) {
            let bytes: Vec<u8> = bytes.iter().map(|&byte| if byte < 240 { byte } else { byte - 4 + high }).collect();
            let mut buffer = Buffer::default();
            buffer.0.fill(0xFF);
            let pass = buffer.put_passing(&bytes).expect("room");
            let body = &bytes[1..bytes.len() - 1];
            prop_assert_eq!(pass.xor(), body.iter().fold(0, |all, byte| all ^ byte));
            prop_assert_eq!(pass.is_special(), body.iter().any(|&byte| byte >= 0xFD));
            prop_assert_eq!(buffer.part(1, bytes.len() - 1), body);
            let sum = bytes.chunks(8).fold(0, |sum, chunk| {
                sum + lanes(chunk.iter().rev().fold(0, |word, &byte| (word << 8) | u64::from(byte)))
            });
            prop_assert_eq!(fold(sum), bytes.iter().map(|&byte| u64::from(byte)).sum::<u64>());
        }

        #[test]
        fn what_is_between_stays(at in any::<u8>(), word in any::<u64>(), mask in any::<u64>()) {
            let mut buffer = Buffer::default();
            buffer.0.fill(0xA5);
            buffer.merge(at, word, mask);
            prop_assert_eq!(buffer.load(at), (word & mask) | (0xA5A5_A5A5_A5A5_A5A5 & !mask));
            let rest = buffer.0.iter().enumerate().filter(|(place, _)| !(usize::from(at)..usize::from(at) + 8).contains(place));
            prop_assert!(rest.into_iter().all(|(_, &byte)| byte == 0xA5));
        }
    }
}
