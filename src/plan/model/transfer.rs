//! Multi-frame transfers, compiled (spec broadcast.md).

use super::field::{Constant, KeyPart};
use super::reply::Reply;
use std::ops::Range;
use std::sync::Arc;

/// Most open transfers of one FSU that `transfers_max` may ask for: they are searched one by one.
pub const TRANSFERS_MAX: usize = 4_096;
/// Most payload bytes of one transfer that `bytes_max` may ask for.
pub const TRANSFER_BYTES_MAX: usize = 256 << 20;
/// Payload bytes of all rules of one configuration together; files and generated data are kept in memory once.
pub const PAYLOADS_BYTES_MAX: usize = 1 << 30;

/// The `transfer` section of a template: the offsets of its header fields, and its limits.
#[derive(Debug)]
pub struct Transfer {
    /// The header field that names a frame's command.
    pub cmd: Range<usize>,
    /// What it holds in a data frame.
    pub data_cmd: Box<[u8]>,
    /// Marks a request as a demand for a data frame.
    pub next: Constant,
    /// The sequence number.
    pub sn: KeyPart,
    /// The bit of it that marks the last frame; those below it count.
    pub last_bit: u32,
    /// The device id.
    pub did: KeyPart,
    /// The field of an answer that accepts (all 00) or refuses.
    pub accept: Range<usize>,
    /// Payload bytes of every data frame but the last.
    pub chunk_bytes: usize,
    /// A transfer idle for this long has ended.
    pub timeout_ms: u64,
    /// Open transfers of one FSU; about 100 bytes each, and its payload where a rule does not hold that already.
    pub transfers_max: usize,
    /// Payload bytes of one transfer.
    pub bytes_max: usize,
    /// The answer to a demand that cannot be met.
    pub refused: Arc<Reply>,
}

impl Transfer {
    /// Bits of the sequence number that count.
    #[inline]
    pub fn count_mask(&self) -> u64 {
        (1 << self.last_bit) - 1
    }

    /// The mark of the last frame.
    #[inline]
    pub fn last_mark(&self) -> u64 {
        1 << self.last_bit
    }

    /// The largest payload: what the sequence numbers can count, and no more than `bytes_max`.
    pub fn payload_bytes_max(&self) -> usize {
        self.chunk_bytes.saturating_mul(1 << self.last_bit).min(self.bytes_max)
    }

    /// The number of frames that carry `bytes`.
    #[inline]
    pub fn frames(&self, bytes: usize) -> u64 {
        bytes.div_ceil(self.chunk_bytes) as u64
    }

    /// Chunk number `number` of a payload; empty past its end.
    #[inline]
    pub fn chunk<'a>(&self, payload: &'a [u8], number: u64) -> &'a [u8] {
        let from = usize::try_from(number).unwrap_or(usize::MAX).saturating_mul(self.chunk_bytes).min(payload.len());
        let to = from.saturating_add(self.chunk_bytes).min(payload.len());
        &payload[from..to]
    }
}
