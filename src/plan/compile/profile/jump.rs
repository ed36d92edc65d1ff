//! CRCs of replies: what is known at both ends of the span is taken beforehand.

use crate::model::profile::{Jump, Seal, Tally};
use crate::model::template::Checksum;
use crate::wire::crc16::Crc16;

/// Fewest known bytes that are passed over: a jump takes as long as two of them.
const JUMP_MIN: usize = 3;

/// Leaves in the span of a CRC only the bytes from the first to the last of those that vary, which are in order. Returns what the
/// known ones behind them do; `None`: they stay in the span.
pub(super) fn shorten(seal: &mut Seal, checksum: &Checksum, frame: &[u8], varied: &[usize]) -> Option<Box<Jump>> {
    let Tally::Crc16 { register, is_reflected } = seal.tally else { return None };
    let crc = Crc16::table(&checksum.algorithm, is_reflected)?;
    let (from, to) = (usize::from(seal.from), usize::from(seal.to));
    let mut inside = varied.iter().copied().filter(|place| (from..to).contains(place));
    let (first, last) = (inside.next().unwrap_or(to), inside.next_back());
    let end = last.unwrap_or(first).saturating_add(1).min(to);
    let (before, behind) = (frame.get(from..first)?, frame.get(end..to)?);
    seal.tally = Tally::Crc16 { register: crc.run(register, before), is_reflected };
    seal.from = first as u8;
    if behind.len() < JUMP_MIN {
        return None;
    }
    seal.to = end as u8;
    seal.flip ^= u64::from(crc.run(0, behind));
    Some(Box::new(crc.jump(behind.len())))
}
