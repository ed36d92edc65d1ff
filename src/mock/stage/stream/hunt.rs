//! Finds where the next frame of a stream begins (spec shapes.md, Framing on streams). A stray byte costs no good frame.
//!
//! - A **good** frame is taken at once.
//! - A whole frame that is wrong (checksum, key, version, one of its lengths) is **doubtful**. If a good frame begins inside it,
//!   the doubtful one is given up one byte after its start. If its checksum is right, the good one must also end inside it, and
//!   the search does not wait for that. Otherwise the doubtful frame is taken as it is: counted by its reason, and answered
//!   under `verify_checksum: warn` or by the template's error replies.
//! - A frame that is not whole waits for more bytes. If its header already shows that it cannot become good, it is given up as
//!   soon as a good frame is found behind its start.
//!
//! A doubtful frame waits while something inside it may still become a good frame. The connection decides whether and how long
//! ([`Patience`]). The result depends only on the bytes received, not on how they were split.
//!
//! The work is linear in the bytes, whatever they are. Each place inside a frame is examined once, and each byte received pays
//! for a bounded number of bytes checked inside other frames ([`Progress`]). Beyond that, doubtful frames are taken whole.

use super::{Fit, LOOK_EFFORT, fit};
use crate::answer::examine::{Finding, examine_traced};
use crate::state::progress::{Patience, Progress};
use fsu_plan::model::fleet::Device;
use fsu_plan::wire::framer::{self, Cut, Search};
use fsu_plan::wire::inner;
use fsu_plan::wire::quick::Trace;
use fsu_plan::wire::stuffing;
use memchr::memchr;
use std::sync::Arc;

/// What begins at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// No frame.
    No,
    /// The beginning of a frame that may become good.
    Begun,
    /// The beginning of a frame that cannot become good.
    BegunWrong,
    /// A whole frame of that device and size that is not good; `others`: it may still become a better frame of another device;
    /// `hopeful`: a good one.
    Doubtful { device: usize, len: usize, others: bool, hopeful: bool },
    /// A good one, and its command.
    Good { device: usize, len: usize, command: usize },
}

/// What to do with the bytes from a place on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A frame of that device and size is at `at`; a good one comes with its command.
    Frame { at: usize, device: usize, len: usize, command: Option<usize> },
    /// No frame begins before that place.
    Skip(usize),
    /// More bytes are needed; `doubtful`: a whole frame is there and is taken if none come.
    More { doubtful: bool },
}

/// A search through the bytes received so far.
pub(super) struct Hunt<'a> {
    pub(super) devices: &'a [Arc<Device>],
    pub(super) searches: &'a mut [Search],
    /// The framers for places inside frames. Those are ahead of the others; neither goes back.
    pub(super) inner: &'a mut [Search],
    pub(super) bytes: &'a [u8],
    /// For encoded frames: holds the raw frame after a [`Next::Frame`] with a command.
    pub(super) raw: &'a mut Vec<u8>,
    /// The places of its elements, in the same case.
    pub(super) trace: &'a mut Trace,
    pub(super) progress: &'a mut Progress,
    /// No good frame begins inside the current one before this place.
    pub(super) searched: usize,
    /// Cost of searching inside frames.
    pub(super) effort: usize,
}

impl Hunt<'_> {
    /// What to do at `at`, which is never before the end of the last frame.
    #[inline]
    pub(super) fn next(&mut self, at: usize) -> Next {
        match self.look(at) {
            Found::Good { device, len, command } => Next::Frame { at, device, len, command: Some(command) },
            Found::No => Next::Skip(next_start(self.devices, self.bytes, at + 1)),
            found => self.weigh(at, found),
        }
    }

    /// The same for a frame that is not whole or not good.
    #[cold]
    fn weigh(&mut self, at: usize, found: Found) -> Next {
        let patience = self.progress.patience();
        let (end, doubtful) = match found {
            // It was checked and will be checked again. If the credit does not cover that, take it whole.
            Found::Doubtful { device, len, .. } if !self.pay(2 * len) => {
                return Next::Frame { at, device, len, command: None };
            }
            Found::Doubtful { device, len, others, .. } => {
                (at + len - self.kept_mark(device, at, len), Some((device, len, others)))
            }
            Found::BegunWrong => (self.bytes.len(), None),
            _ if patience == Patience::End => return self.give_up(at),
            _ => return Next::More { doubtful: false },
        };
        let is_sound = doubtful.is_some_and(|(device, len, others)| !others && self.is_sound(device, at, len));
        let inside = self.inside(at, end, if is_sound { Patience::Decide } else { patience });
        match inside {
            // A good frame that ends behind a sound one may not be complete yet; the result must not depend on the split.
            Inside::Good(ends) if is_sound && ends > end => {}
            Inside::Good(_) => return self.give_up(at),
            Inside::Begun | Inside::Nothing => {}
        }
        let Some((device, len, others)) = doubtful else {
            return if patience == Patience::End { self.give_up(at) } else { Next::More { doubtful: false } };
        };
        let waits = patience == Patience::Wait || (patience == Patience::Brief && at + len < self.bytes.len());
        if waits && (others || inside == Inside::Begun) {
            return Next::More { doubtful: true };
        }
        Next::Frame { at, device, len, command: None }
    }

    /// Bytes at the end of a doubtful frame that are no other's: with a broken escape it is not given up for one that begins with its
    /// end, which may be a start as well.
    fn kept_mark(&self, device: usize, at: usize, len: usize) -> usize {
        let template = &self.devices[device].template;
        let mark = stuffing::shared_mark(template).map_or(0, <[u8]>::len);
        let is_broken = mark > 0 && stuffing::broken_at(template, &self.bytes[at..at + len]).is_some();
        if is_broken { mark } else { 0 }
    }

    /// Continues behind the first byte of something that is no frame, or will never be whole.
    fn give_up(&self, at: usize) -> Next {
        Next::Skip(next_start(self.devices, self.bytes, at + 1))
    }

    /// Looks for a good frame that begins behind `at` and before `end`.
    fn inside(&mut self, at: usize, end: usize, patience: Patience) -> Inside {
        let mut place = next_start(self.devices, self.bytes, self.searched.max(at + 1));
        while place < end {
            match self.look_inside(place) {
                None => {
                    self.searched = place;
                    return Inside::Nothing;
                }
                Some(Found::Good { len, .. }) => {
                    self.searched = place;
                    return Inside::Good(place + len);
                }
                Some(Found::Begun | Found::Doubtful { hopeful: true, .. })
                    if matches!(patience, Patience::Wait | Patience::Brief) =>
                {
                    self.searched = place;
                    return Inside::Begun;
                }
                Some(_) => {}
            }
            place = next_start(self.devices, self.bytes, place + 1);
        }
        self.searched = place.min(end);
        Inside::Nothing
    }

    /// As [`Hunt::look`], if the credit covers it.
    fn look_inside(&mut self, at: usize) -> Option<Found> {
        let mut cost = 1;
        for (device, search) in self.devices.iter().zip(&mut *self.inner) {
            self.effort += LOOK_EFFORT;
            if let Cut::Frame(len) = search.cut(&device.template, self.bytes, at) {
                cost += len;
            }
        }
        if !self.pay(cost) {
            return None;
        }
        std::mem::swap(&mut self.searches, &mut self.inner);
        let found = self.look(at);
        std::mem::swap(&mut self.searches, &mut self.inner);
        Some(found)
    }

    /// Whether a frame that is not good has the right checksum and lengths.
    fn is_sound(&mut self, device: usize, at: usize, len: usize) -> bool {
        let template = &self.devices[device].template;
        let frame = inner::parse(template, &self.bytes[at..at + len], self.raw);
        template.checksum.is_some()
            && frame
                .is_ok_and(|frame| inner::lengths_ok(template, &frame).is_ok() && inner::checksum_ok(template, &frame))
    }

    fn pay(&mut self, bytes: usize) -> bool {
        let paid = self.progress.pay(bytes);
        self.effort += if paid { bytes } else { 0 };
        paid
    }

    /// What begins at `at`, which is never before the last place examined.
    #[inline]
    fn look(&mut self, at: usize) -> Found {
        match self.devices {
            [device] => self.look_for(0, device, at),
            _ => self.look_for_any(at),
        }
    }

    #[inline]
    fn look_for(&mut self, number: usize, device: &Device, at: usize) -> Found {
        match self.searches[number].cut(&device.template, self.bytes, at) {
            Cut::Frame(len) if len > 0 => match good(device, &self.bytes[at..at + len], self.raw, self.trace) {
                Some(command) => Found::Good { device: number, len, command },
                // What is wrong is told by the template's own layout; another one takes only what fits it whole.
                None if !device.is_own() => Found::No,
                None => Found::Doubtful { device: number, len, others: false, hopeful: false },
            },
            Cut::More if framer::may_be_known(&device.template, &self.bytes[at..], self.raw) => Found::Begun,
            Cut::More => Found::BegunWrong,
            Cut::Frame(_) | Cut::No => Found::No,
        }
    }

    /// Of several devices: the first with a good frame there, preferring a right checksum; otherwise the best fit.
    #[inline(never)]
    fn look_for_any(&mut self, at: usize) -> Found {
        let (mut best, mut rank) = (Found::No, None);
        let (mut begun, mut begun_wrong) = (false, false);
        for (number, device) in self.devices.iter().enumerate() {
            let found = self.look_for(number, device, at);
            let len = match found {
                // Nothing is better, and of equals the first is taken. `raw` holds its raw frame.
                Found::Good { .. } => return found,
                Found::Doubtful { len, .. } => len,
                _ => {
                    begun |= found == Found::Begun;
                    begun_wrong |= found == Found::BegunWrong;
                    continue;
                }
            };
            // A frame that does not even parse (for example, a character that is no hex digit) still counts as a frame.
            let fit = fit(device, &self.bytes[at..at + len], self.raw).max(Fit::Framed);
            if rank.is_none_or(|rank| fit > rank) {
                (best, rank) = (found, Some(fit));
            }
        }
        match best {
            Found::Doubtful { device, len, .. } => {
                Found::Doubtful { device, len, others: begun || begun_wrong, hopeful: begun }
            }
            _ if begun => Found::Begun,
            _ if begun_wrong => Found::BegunWrong,
            _ => Found::No,
        }
    }
}

/// The result of a search inside a frame.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    /// A good one, and where it ends.
    Good(usize),
    /// A frame that may be good has begun.
    Begun,
    Nothing,
}

/// The command of a good frame; `raw` then holds the raw frame if it travels encoded.
#[inline]
pub(super) fn good(device: &Device, wire: &[u8], raw: &mut Vec<u8>, trace: &mut Trace) -> Option<usize> {
    let frame = inner::parse(&device.template, wire, raw).ok()?;
    let mut checksum_wrong = false;
    match examine_traced(device, frame, &mut checksum_wrong, trace) {
        Finding::Command(_, command) if !checksum_wrong => Some(command),
        _ => None,
    }
}

/// The first place from `from` on where a frame of any device may begin.
pub(super) fn next_start(devices: &[Arc<Device>], bytes: &[u8], from: usize) -> usize {
    let Some(rest) = bytes.get(from..) else { return bytes.len() };
    let first = |device: &Arc<Device>| device.template.start.first().copied();
    let next = match devices {
        [device] => match first(device) {
            Some(byte) => memchr(byte, rest),
            None => Some(0),
        },
        _ if devices.iter().any(|device| first(device).is_none()) => Some(0),
        _ => rest.iter().position(|byte| devices.iter().any(|device| first(device) == Some(*byte))),
    };
    from + next.unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::device;
    use fsu_plan::wire::fixtures::{delimited, length, without_start};

    /// The effort that a turn reports is what was paid for.
    #[test]
    fn what_is_paid_is_an_effort() {
        let (mut progress, mut raw) = (Progress::default(), Vec::new());
        let (devices, searches, inner, bytes) = (&[][..], &mut [][..], &mut [][..], &[][..]);
        let progress = &mut progress;
        let trace = &mut Trace::default();
        let mut hunt = Hunt { devices, searches, inner, bytes, raw: &mut raw, trace, progress, searched: 0, effort: 0 };
        let paid = [65_530, 6, 1].map(|bytes| (hunt.pay(bytes), hunt.effort));
        assert_eq!(paid, [(true, 65_530), (true, 65_536), (false, 65_536)]);
    }

    #[test]
    fn the_next_place_where_a_frame_may_begin() {
        let check = |templates: Vec<fsu_plan::model::template::Template>, expected: [usize; 6]| {
            let devices: Vec<_> = templates.into_iter().map(|template| device(template, 1, 1, false)).collect();
            let bytes = [0, 0x7E, 0x68, 0, 0x7E];
            let found = [0, 1, 2, 3, 5, 6].map(|from| next_start(&devices, &bytes, from));
            assert_eq!(found, expected);
        };
        check(vec![delimited()], [1, 1, 4, 4, 5, 5]);
        check(vec![length()], [2, 2, 2, 5, 5, 5]);
        check(vec![delimited(), length()], [1, 1, 2, 4, 5, 5]);
        check(vec![without_start()], [0, 1, 2, 3, 5, 5]);
        check(vec![length(), without_start()], [0, 1, 2, 3, 5, 5]);
    }
}
