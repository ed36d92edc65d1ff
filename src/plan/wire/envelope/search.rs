//! Frames in a datagram: from FF to the next FE.

use super::escape::first_from;
use super::{ESCAPE, HEADER, HEARTBEAT_BYTES, TAILER, unescape};
use crate::wire::reason::Reason;
use memchr::{memchr, memrchr};

/// A frame as it came, P_header to P_tailer; no other FF or FE in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Escaped<'a> {
    /// The bytes on the wire.
    pub bytes: &'a [u8],
    /// Index of the first escape; beyond the frame if there is none.
    first_escape: usize,
}

impl<'a> Escaped<'a> {
    /// The frame without its escapes: the bytes themselves where there are none, else `buffer`, overwritten. A frame
    /// that is too small is [`Reason::OuterShort`], whatever its escapes.
    #[inline]
    pub fn plain<'b>(&self, buffer: &'b mut Vec<u8>) -> Result<&'b [u8], Reason>
    where
        'a: 'b,
    {
        if self.bytes.len() < HEARTBEAT_BYTES {
            return Err(Reason::OuterShort);
        }
        if self.first_escape >= self.bytes.len() {
            return Ok(self.bytes);
        }
        unescape(self.bytes, self.first_escape, buffer)?;
        Ok(buffer)
    }
}

/// Bytes that are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bad<'a> {
    /// Why: [`Reason::OuterBadHeader`], [`Reason::OuterBadTailer`] or [`Reason::OuterBadEscape`].
    pub reason: Reason,
    /// The bytes.
    pub bytes: &'a [u8],
}

/// The frames of a datagram, in order, and the bytes between them. Every byte is in exactly one item; the work is
/// linear in the datagram.
///
/// - Bytes before the next FF are one item: no P_header.
/// - An FF before the FE: an FF inside a frame has to be escaped, so the frame is bad and the search goes on at that FF.
/// - No FE in the rest of the datagram: no P_tailer; the search goes on at the next FF.
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    rest: &'a [u8],
    /// Whether `rest` has an FE beyond its first FF, once that had to be looked up: bytes of `rest` after the last FE.
    after_last_tailer: Option<usize>,
}

impl<'a> Frames<'a> {
    /// The frames of `datagram`.
    #[inline]
    pub fn new(datagram: &'a [u8]) -> Self {
        Self { rest: datagram, after_last_tailer: None }
    }

    #[inline]
    fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(len);
        self.rest = rest;
        taken
    }

    #[cold]
    fn gap(&mut self) -> Bad<'a> {
        let len = memchr(HEADER, self.rest).unwrap_or(self.rest.len());
        Bad { reason: Reason::OuterBadHeader, bytes: self.take(len) }
    }

    /// `stop` is the index of the next frame's FF, or the size of the rest.
    #[cold]
    fn broken(&mut self, stop: usize) -> Bad<'a> {
        let rest = self.rest;
        let after = *self
            .after_last_tailer
            .get_or_insert_with(|| memrchr(TAILER, rest).map_or(usize::MAX, |last| rest.len() - last - 1));
        // Counted from the end, the place stays right while the rest shrinks.
        let reason = if after < rest.len() { Reason::OuterBadEscape } else { Reason::OuterBadTailer };
        Bad { reason, bytes: self.take(stop) }
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Escaped<'a>, Bad<'a>>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self.rest.first() {
            None => return None,
            Some(&HEADER) => {}
            Some(_) => return Some(Err(self.gap())),
        }
        let rest = self.rest;
        // One pass in the usual case: nothing but the FE is found.
        let Some(mut stop) = first_from::<ESCAPE>(&rest[1..]).map(|found| found + 1) else {
            return Some(Err(self.broken(rest.len())));
        };
        let mut first_escape = usize::MAX;
        if rest[stop] == ESCAPE {
            first_escape = stop;
            match first_from::<TAILER>(&rest[stop..]) {
                Some(found) => stop += found,
                None => return Some(Err(self.broken(rest.len()))),
            }
        }
        if rest[stop] == HEADER {
            return Some(Err(self.broken(stop)));
        }
        Some(Ok(Escaped { bytes: self.take(stop + 1), first_escape }))
    }
}
