//! Cutting by a `{{data_frame_length}}` that counts more in one command than in another (spec templates.md, Lengths).
//!
//! Each reading gives a size. Taken is the smallest for which the frame's own command has that reading
//! and that size; else one for which the key is at least known; else that of frames of no command.

use super::{Cut, sized, wire_len};
use crate::model::coding::Change;
use crate::model::field::{Constant, KeyPart, LengthField};
use crate::model::template::{Command, KeyShape, Template};
use crate::wire::inner::{digit, length_means};

/// How well a size fits the frame that begins here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    /// No command with that key has this reading.
    Foreign,
    /// One has, but another size or other constants.
    Key,
    /// One has, and the frame may be its request.
    Command,
}

/// What begins here, where the length field's bytes read `value`.
#[inline(never)]
pub(super) fn cut(template: &Template, field: &LengthField, buf: &[u8], value: u64) -> Cut {
    let sizes = || {
        let means = |less: i64| Some((less, length_means(field, value, less)?));
        template.readings.iter().filter_map(move |&less| means(less)).filter(|(_, len)| *len <= template.data_len_max)
    };
    for wanted in [Fit::Command, Fit::Key, Fit::Foreign] {
        for (less, data_len) in sizes() {
            let there = Beginning { template, buf, raw_len: template.left_len + data_len + template.tail_len };
            // A byte that is needed has not come yet: it may decide.
            let Some(fit) = there.fit(less, data_len) else { return Cut::More };
            let taken = fit == wanted && (wanted != Fit::Foreign || less == template.less);
            match sized(template, buf, wire_len(template, data_len)) {
                Cut::No => {}
                cut if taken => return cut,
                _ => {}
            }
        }
    }
    Cut::No
}

/// The bytes at the beginning of a frame that would have that size.
struct Beginning<'a> {
    template: &'a Template,
    buf: &'a [u8],
    raw_len: usize,
}

impl Beginning<'_> {
    /// `None`: not yet known.
    fn fit(&self, less: i64, data_len: usize) -> Option<Fit> {
        let mut best = Fit::Foreign;
        for shape in self.template.keys.iter().filter(|shape| data_len >= shape.data_len_min) {
            let numbers = self.key(shape)?.and_then(|key| shape.table.find(key)).unwrap_or_default();
            let commands = numbers.iter().filter_map(|&number| self.template.commands.get(number as usize));
            for command in commands.filter(|command| command.less == less) {
                if has_size(command, data_len) && self.carries_all(&command.constants)? {
                    return Some(Fit::Command);
                }
                best = Fit::Key;
            }
        }
        Some(best)
    }

    /// The key; `Some(None)`: it is written in characters that are no digits.
    #[expect(clippy::option_option, reason = "bytes that have not come and bytes that are no digits are not the same")]
    fn key(&self, shape: &KeyShape) -> Option<Option<u128>> {
        let mut key = 0_u128;
        for part in &shape.parts {
            let KeyPart { at, len, little } = *part;
            let at = at.in_frame(self.raw_len);
            for index in 0..len {
                let index = if little { len - 1 - index } else { index };
                let Some(byte) = self.byte(at + index)? else { return Some(None) };
                key = (key << 8) | u128::from(byte);
            }
        }
        Some(Some(key))
    }

    fn carries_all(&self, constants: &[Constant]) -> Option<bool> {
        for constant in constants {
            let at = constant.at.in_frame(self.raw_len);
            for (index, wanted) in constant.bytes.iter().enumerate() {
                let mask = constant.mask.get(index).copied().unwrap_or(0xFF);
                if self.byte(at + index)?.is_none_or(|byte| (byte ^ wanted) & mask != 0) {
                    return Some(false);
                }
            }
        }
        Some(true)
    }

    /// A byte of the raw frame; `Some(None)`: its characters are no digits, or it lies outside the frame.
    #[expect(clippy::option_option, reason = "bytes that have not come and bytes that are no digits are not the same")]
    fn byte(&self, index: usize) -> Option<Option<u8>> {
        let Template { start, end, .. } = self.template;
        if index >= self.raw_len {
            return Some(None);
        }
        let at = self.template.wire_index(index, self.raw_len);
        let plain = index < start.len() || index + end.len() >= self.raw_len;
        let is_data = index >= self.template.left_len && index + self.template.tail_len < self.raw_len;
        let change = self.template.coding.as_ref().filter(|_| is_data).map_or(Change::NONE, |coding| coding.data);
        let undone = |byte: u8| {
            let mut one = [byte];
            change.undo(&mut one);
            one[0]
        };
        if !self.template.is_hex() || plain {
            return self.buf.get(at).map(|&byte| Some(undone(byte)));
        }
        let (high, low) = (*self.buf.get(at)?, *self.buf.get(at + 1)?);
        Some(digit(high).zip(digit(low)).map(|(high, low)| undone((high << 4) | low)))
    }
}

/// May a request of this command have `data_len` bytes of data?
fn has_size(command: &Command, data_len: usize) -> bool {
    if command.exact && command.request_walk().is_none() {
        data_len == command.request_len || data_len == command.request_len_padded
    } else {
        data_len >= command.request_len
    }
}

#[cfg(test)]
mod tests;
