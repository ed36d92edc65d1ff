//! The buffers of a profile: whole outer frames, read and written sixteen or eight bytes at a time.

use super::lanes::Lanes;
use fsu_plan::model::profile::{Answer, BLOCK_BYTES, BUFFER_BYTES, DATA, FRONT, Window};

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

impl Buffer {
    /// Takes the bytes as they are, from a place on; nothing if there is no room.
    #[inline]
    pub(super) fn put(&mut self, at: usize, bytes: &[u8]) {
        if let Some(places) = self.0.get_mut(at..).and_then(|places| places.get_mut(..bytes.len())) {
            places.copy_from_slice(bytes);
        }
    }

    /// Eight bytes.
    #[inline]
    pub(super) fn load(&self, at: u8) -> u64 {
        self.0[usize::from(at)..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    /// Writes some bytes of eight.
    #[inline]
    pub(super) fn merge(&mut self, at: u8, word: u64, mask: u64) {
        self.set_word(at, (self.load(at) & !mask) | (word & mask));
    }

    /// Writes eight bytes where 00 is, some of them 00.
    #[inline]
    pub(super) fn add_word(&mut self, at: u8, word: u64) {
        self.set_word(at, self.load(at) | word);
    }

    #[inline]
    fn set_word(&mut self, at: u8, word: u64) {
        if let Some(bytes) = self.0[usize::from(at)..].first_chunk_mut() {
            *bytes = word.to_le_bytes();
        }
    }

    /// Sixteen bytes.
    #[inline]
    pub(super) fn lanes(&self, at: u8) -> Lanes {
        match self.0[usize::from(at)..].first_chunk() {
            Some(bytes) => Lanes::of(bytes),
            None => Lanes::default(),
        }
    }

    /// Writes sixteen bytes.
    #[inline]
    pub(super) fn set_lanes(&mut self, at: u8, lanes: Lanes) {
        if let Some(bytes) = self.0[usize::from(at)..].first_chunk_mut() {
            lanes.put(bytes);
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

    /// Begins a reply with the bytes that are known, with the outer header or without.
    #[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
    #[inline(always)]
    pub(super) fn put_known(&mut self, answer: &Answer, is_outer: bool) {
        let (places, _) = self.0.as_chunks_mut::<BLOCK_BYTES>();
        let Some((front, behind)) = places.split_first_chunk_mut::<FRONT>() else { return };
        // Of a length that the compiler knows: otherwise it becomes a call.
        if is_outer {
            *front = answer.front;
        } else {
            front[DATA / BLOCK_BYTES..].copy_from_slice(&answer.front[DATA / BLOCK_BYTES..]);
        }
        if !answer.behind.is_empty() {
            behind.iter_mut().zip(&answer.behind).for_each(|(place, block)| *place = *block);
        }
    }

    /// Whether all windows have what they should.
    #[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
    #[inline(always)]
    pub(super) fn has(&self, windows: &[Window]) -> bool {
        windows.iter().all(|window| self.has_one(window))
    }

    /// Whether one window has what it should.
    #[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
    #[inline(always)]
    pub(super) fn has_one(&self, window: &Window) -> bool {
        self.load(window.at) & window.mask == window.value
    }

    /// Whether all bytes are upper-case hex digits; at least eight.
    #[inline]
    pub(super) fn is_hex(&self, from: u8, to: u8) -> bool {
        if to.saturating_sub(from) >= BLOCK_BYTES as u8 {
            // The last block overlaps the one before it.
            let (mut at, last) = (from, to - BLOCK_BYTES as u8);
            let mut digits = self.lanes(last).digits();
            while at < last {
                digits = digits.and(self.lanes(at).digits());
                at += BLOCK_BYTES as u8;
            }
            return digits.is_full();
        }
        let bytes = self.slice(from, to);
        let words = bytes.as_chunks::<8>().0.iter().chain(bytes.last_chunk::<8>());
        words.fold(0, |bad, word| bad | no_digits(u64::from_le_bytes(*word))) == 0
    }

    /// The bytes between two places.
    #[inline]
    pub(super) fn slice(&self, from: u8, to: u8) -> &[u8] {
        self.0.get(usize::from(from)..usize::from(to)).unwrap_or_default()
    }

    /// The bytes up to a place.
    #[expect(clippy::range_plus_one, reason = "a slice with an inclusive end is a call")]
    #[inline]
    pub(super) fn outer(&self, last: u8) -> &[u8] {
        &self.0[..usize::from(last) + 1]
    }

    /// A device's frame of that many bytes.
    #[inline]
    pub(super) fn inner(&self, len: u8) -> &[u8] {
        &self.0[DATA..DATA + usize::from(len)]
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
