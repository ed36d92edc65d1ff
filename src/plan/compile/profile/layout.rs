//! Where the bytes of a raw frame are in a profile's buffer, and windows over them.

use crate::model::field::Constant;
use crate::model::profile::{BLOCK_BYTES, DATA, Known, PROFILED_BYTES_MAX, PROFILED_DATA_BYTES, Window};
use crate::model::template::{Encoding, Template};

/// A raw frame of known length, as it travels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout<'a> {
    template: &'a Template,
    /// Bytes of the raw frame.
    pub(super) raw_len: usize,
    /// Its bytes on the wire.
    pub(super) wire_len: usize,
}

/// Upper-case hex digits of a byte.
pub(super) fn digits(byte: u8) -> [u8; 2] {
    let digit = |nibble: u8| b"0123456789ABCDEF"[usize::from(nibble & 0x0F)];
    [digit(byte >> 4), digit(byte)]
}

impl<'a> Layout<'a> {
    /// `None`: the frame is too long for a profile, or shorter than its start and end.
    pub(super) fn new(template: &'a Template, raw_len: usize) -> Option<Self> {
        let wire_len = template.wire_len(raw_len);
        let fits = wire_len <= PROFILED_DATA_BYTES && raw_len >= template.start.len() + template.end.len();
        fits.then_some(Self { template, raw_len, wire_len })
    }

    /// Whether the byte at a raw index is two hex digits.
    pub(super) fn is_hex(&self, raw: usize) -> bool {
        let plain = raw < self.template.start.len() || raw + self.template.end.len() >= self.raw_len;
        self.template.encoding == Encoding::AsciiHex && !plain
    }

    /// The place of a raw index in the buffer.
    pub(super) fn place(&self, raw: usize) -> usize {
        DATA + self.template.wire_index(raw, self.raw_len)
    }

    /// The places of hex digits, from and to.
    pub(super) fn hex(&self) -> Option<(usize, usize)> {
        let from = DATA + self.template.start.len();
        let to = DATA + self.wire_len - self.template.end.len();
        (self.template.encoding == Encoding::AsciiHex).then_some((from, to))
    }

    /// The places of `len` raw bytes from an index on; `None`: some of them are hex digits and some are not, or they are past
    /// the frame.
    pub(super) fn span(&self, raw: usize, len: usize) -> Option<std::ops::Range<usize>> {
        let last = raw.checked_add(len)?.checked_sub(1)?;
        let same = last < self.raw_len && self.is_hex(raw) == self.is_hex(last);
        let end = self.place(last) + if self.is_hex(last) { 2 } else { 1 };
        same.then(|| self.place(raw)..end)
    }
}

/// Whether a constant can be told by bytes of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Yes.
    Whole,
    /// Some of it: frames without it may fit too.
    Partly,
    /// No frame has it.
    Never,
}

/// Bits that a frame has to have, by place in the buffer.
#[derive(Clone, Debug)]
pub(super) struct Bytes {
    /// Mask and value.
    bits: Vec<(u8, u8)>,
}

impl Default for Bytes {
    fn default() -> Self {
        Self { bits: vec![(0, 0); PROFILED_BYTES_MAX] }
    }
}

impl Bytes {
    /// Adds bits at a place of the buffer. [`Told::Never`]: another constant says otherwise.
    pub(super) fn put(&mut self, at: usize, mask: u8, value: u8) -> Told {
        let Some((own_mask, own_value)) = self.bits.get_mut(at) else { return Told::Never };
        if (*own_value ^ value) & *own_mask & mask != 0 {
            return Told::Never;
        }
        *own_mask |= mask;
        *own_value |= value & mask;
        Told::Whole
    }

    /// Adds bits of a raw byte.
    fn put_raw(&mut self, layout: &Layout<'_>, raw: usize, mask: u8, value: u8) -> Told {
        let at = layout.place(raw);
        if !layout.is_hex(raw) {
            return self.put(at, mask, value);
        }
        let [high, low] = digits(value);
        let mut told = Told::Whole;
        for (at, mask, digit) in [(at, mask >> 4, high), (at + 1, mask & 0x0F, low)] {
            let one = match mask {
                0 => Told::Whole,
                0x0F => self.put(at, 0xFF, digit),
                // Some bits of a digit are no bits of its character.
                _ => Told::Partly,
            };
            told = worse(told, one);
        }
        told
    }

    /// Adds bytes from a raw index on.
    pub(super) fn put_bytes(&mut self, layout: &Layout<'_>, raw: usize, bytes: &[u8]) -> Told {
        let all = bytes.iter().enumerate();
        all.fold(Told::Whole, |told, (number, &byte)| worse(told, self.put_raw(layout, raw + number, 0xFF, byte)))
    }

    /// Adds a constant.
    pub(super) fn put_constant(&mut self, layout: &Layout<'_>, constant: &Constant) -> Told {
        let at = constant.at.in_frame(layout.raw_len);
        if at.checked_add(constant.bytes.len()).is_none_or(|end| end > layout.raw_len) {
            return Told::Never;
        }
        let masks = constant.mask.iter().copied().chain(std::iter::repeat(0xFF));
        let all = constant.bytes.iter().zip(masks).enumerate();
        all.fold(Told::Whole, |told, (number, (&byte, mask))| {
            worse(told, self.put_raw(layout, at + number, mask, byte & mask))
        })
    }

    /// The eight bytes from a place on.
    pub(super) fn window(&self, at: usize) -> u64 {
        let bytes = self.bits.iter().skip(at).take(8).enumerate();
        bytes.fold(0, |word, (number, (_, value))| word | (u64::from(*value) << (8 * number)))
    }

    /// The bits that have to have a value.
    fn masked(&self, place: usize) -> (u8, u8) {
        self.bits.get(place).copied().unwrap_or_default()
    }

    /// The byte at a place, if it is known.
    pub(super) fn byte(&self, place: usize) -> Option<u8> {
        let (mask, value) = self.masked(place);
        (mask == 0xFF).then_some(value)
    }

    /// The known ones of sixteen bytes, from a place on.
    pub(super) fn known(&self, at: usize) -> Known {
        let mut known = Known::default();
        for number in 0..BLOCK_BYTES {
            if let Some(value) = self.byte(at + number) {
                (known.mask[number], known.value[number]) = (0xFF, value);
            }
        }
        known
    }

    /// Bits of bytes that are not known, as windows.
    pub(super) fn windows(&self) -> Vec<Window> {
        self.windows_of(|mask| mask != 0xFF)
    }

    /// All bits, as windows.
    pub(super) fn all_windows(&self) -> Vec<Window> {
        self.windows_of(|_| true)
    }

    /// Bits of bytes with such a mask, as windows.
    fn windows_of(&self, is_in: impl Fn(u8) -> bool) -> Vec<Window> {
        let bits: Vec<(u8, u8)> = self.bits.iter().map(|&bits| if is_in(bits.0) { bits } else { (0, 0) }).collect();
        let mut out = Vec::new();
        let mut at = 0;
        while let Some(from) = (at..bits.len()).find(|&at| bits[at].0 != 0) {
            let mut window = Window { at: from as u8, ..Window::default() };
            for (number, (mask, value)) in bits[from..].iter().take(8).enumerate() {
                window.mask |= u64::from(*mask) << (8 * number);
                window.value |= u64::from(*value) << (8 * number);
            }
            out.push(window);
            at = from + 8;
        }
        out
    }
}

/// The worse of both.
pub(super) fn worse(one: Told, other: Told) -> Told {
    match (one, other) {
        (Told::Never, _) | (_, Told::Never) => Told::Never,
        (Told::Partly, _) | (_, Told::Partly) => Told::Partly,
        _ => Told::Whole,
    }
}

/// Places, in ascending order, as windows of eight: the first place and the bytes of each.
pub(super) fn masks(places: impl IntoIterator<Item = usize>) -> Vec<(usize, u64)> {
    let mut out: Vec<(usize, u64)> = Vec::new();
    for place in places {
        match out.last_mut() {
            Some((at, mask)) if place - *at < 8 => *mask |= 0xFF << (8 * (place - *at)),
            _ => out.push((place, 0xFF)),
        }
    }
    out
}
