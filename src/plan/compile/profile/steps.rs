//! The pass over a request: what each block of it has to have.

use super::layout::Bytes;
use super::seal::is_sealed;
use crate::model::fleet::{Device, RtnFlags};
use crate::model::profile::{BLOCK_BYTES, Block, DATA, End, HEAD_END, Keys, Known, Profile, Seal, Step};
use crate::wire::envelope::{COMM_THROUGH, ESCAPE, HEADER, OVERHEAD_BYTES, TAILER, UNCOUNTED_BYTES, at};
use std::ops::Range;

/// Bytes of an outer frame behind the device's.
const BEHIND: usize = 2;

/// Adds what an outer frame has around a request to that device: spec b-interface.md, Layout. P_dest_addr is the FSU's.
pub(super) fn head(device: &Device, wire_len: usize, mut bytes: Bytes) -> Bytes {
    let p_len = (OVERHEAD_BYTES + wire_len - UNCOUNTED_BYTES) as u16;
    let mut put = |from: usize, list: &[u8]| {
        for (number, &byte) in list.iter().enumerate() {
            bytes.put(from + number, 0xFF, byte);
        }
    };
    put(0, &[HEADER]);
    put(at::SUB_DEV_TYPE, &[device.sub_dev_type, device.sub_dev_addr]);
    put(at::P_LEN, &p_len.to_le_bytes());
    put(at::RTN_FLAG, &[RtnFlags::REQUEST]);
    put(at::COMM_TYPE, &COMM_THROUGH.to_le_bytes());
    put(at::DATA_LEN, &(wire_len as u16).to_le_bytes());
    put(DATA + wire_len + 1, &[TAILER]);
    bytes
}

/// A profile with nothing but the pass over frames of these bytes, and the checksum.
pub(super) fn steps(bytes: &Bytes, seal: Option<Seal>, wire_len: usize) -> Profile {
    let (inner, outer) = (DATA + wire_len, DATA + wire_len + BEHIND);
    // Those that one of both frames has; the last block has at least P_tailer, which is in none of them.
    let whole = (wire_len + BEHIND - 1) / BLOCK_BYTES;
    let block = |number: usize| DATA + number * BLOCK_BYTES;
    let step = |number: usize| step(bytes, seal.as_ref(), block(number)..block(number + 1));
    let counted = (1..outer - 1).filter_map(|place| bytes.byte(place));
    let summed = (DATA..inner).filter(|&place| is_sealed(seal.as_ref(), place));
    Profile {
        head: [
            bytes.known(0),
            bytes.known(BLOCK_BYTES),
            only(bytes.known(HEAD_END), &(2 * BLOCK_BYTES..DATA), HEAD_END),
        ],
        whole: (0..whole).map(step).collect(),
        inner_end: end(bytes, seal.as_ref(), block(wire_len / BLOCK_BYTES)..inner),
        outer_end: end(bytes, seal.as_ref(), block(whole)..outer),
        rest: Box::default(),
        xor: counted.clone().fold(0, |all, byte| all ^ byte),
        escaped: counted.clone().any(|byte| byte >= ESCAPE),
        sum: summed.filter_map(|place| bytes.byte(place)).map(u64::from).sum(),
        digits: None,
        has_more: false,
        seal,
        keys: Keys::default(),
    }
}

/// A whole block.
fn step(bytes: &Bytes, seal: Option<&Seal>, places: Range<usize>) -> Step {
    let from = places.start;
    Step { known: bytes.known(from), summed: mask(from, |place| is_sealed(seal, place)) }
}

/// The last block, of which these places are in no block before it.
fn end(bytes: &Bytes, seal: Option<&Seal>, fresh: Range<usize>) -> End {
    let from = fresh.end - BLOCK_BYTES;
    let summed = mask(from, |place| fresh.contains(&place) && is_sealed(seal, place));
    End {
        step: Step { known: only(bytes.known(from), &fresh, from), summed },
        fresh: mask(from, |place| fresh.contains(&place)),
    }
}

/// What is known of these places only.
fn only(known: Known, places: &Range<usize>, from: usize) -> Known {
    let mask = mask(from, |place| places.contains(&place));
    let both = |bytes: Block| std::array::from_fn(|number| bytes[number] & mask[number]);
    Known { value: both(known.value), mask: both(known.mask) }
}

/// FF at some of sixteen places.
fn mask(from: usize, is_in: impl Fn(usize) -> bool) -> Block {
    std::array::from_fn(|number| if is_in(from + number) { 0xFF } else { 0 })
}
