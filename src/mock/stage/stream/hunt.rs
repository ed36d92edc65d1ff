//! Where the next frame of a stream begins (spec shapes.md, Framing on streams): one stray byte costs no good frame.
//!
//! At each place something begins, or nothing does. A **good** frame is taken at once. One that is whole and wrong (checksum, key,
//! version, a length of its own) is **doubtful**: where a good frame begins inside it, it is given up one byte after its start.
//! Inside one whose checksum is right the good one has to end as well, and is not waited for. Without a good one inside, the doubtful
//! one is taken for what it is: counted by its reason, answered under `verify_checksum: warn` or by the template's error replies. A
//! frame that is not whole is waited for. Where its header says already that it will not be good, it is given up as soon as a good
//! one is found behind its start.
//!
//! A doubtful frame waits where something inside it may still become a good one; whether and how long is the connection's matter
//! ([`Patience`]).
//! All of it rests on bytes that are there, so that it does not matter how they were split.
//!
//! Work is linear in the bytes, whatever they are: a place inside is looked at once ([`Progress::searched`]), and checking frames
//! inside others costs a bounded number of checked bytes for each byte received ([`Progress`]). Past that doubtful frames are taken as a whole.

use super::{Fit, LOOK_EFFORT, fit};
use crate::answer::examine::{Finding, examine};
use crate::state::progress::{Patience, Progress};
use fsu_plan::model::fleet::Device;
use fsu_plan::wire::framer::{self, Cut, Search};
use fsu_plan::wire::inner;
use memchr::memchr;
use std::sync::Arc;

/// What begins at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// No frame.
    No,
    /// The beginning of a frame, maybe a good one.
    Begun,
    /// The beginning of a frame that will not be good.
    BegunWrong,
    /// A whole frame of that device and size that is not good; `others`: another device may still get a better one.
    Doubtful { device: usize, len: usize, others: bool },
    /// A good one, and its command.
    Good { device: usize, len: usize, command: usize },
}

/// What is to be done with the bytes from a place on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A frame of that device and size stands at `at`; with its command where it is a good one.
    Frame { at: usize, device: usize, len: usize, command: Option<usize> },
    /// No frame begins before that place.
    Skip(usize),
    /// More bytes are needed; `doubtful`: a whole frame stands there that would be taken without.
    More { doubtful: bool },
}

/// A search through the bytes that are there.
pub(super) struct Hunt<'a> {
    pub(super) devices: &'a [Arc<Device>],
    pub(super) searches: &'a mut [Search],
    /// Of the places inside frames: those are ahead, and neither goes back.
    pub(super) inner: &'a mut [Search],
    pub(super) bytes: &'a [u8],
    /// For what travels encoded: after [`Next::Frame`] with a command the raw frame.
    pub(super) raw: &'a mut Vec<u8>,
    pub(super) progress: &'a mut Progress,
    /// Inside a frame: no good one begins before this place.
    pub(super) searched: usize,
    /// What it cost to look inside frames.
    pub(super) effort: usize,
}

impl Hunt<'_> {
    /// What to do at `at`, which is not before the end of what was found last.
    #[inline]
    pub(super) fn next(&mut self, at: usize) -> Next {
        match self.look(at) {
            Found::Good { device, len, command } => Next::Frame { at, device, len, command: Some(command) },
            Found::No => Next::Skip(next_start(self.devices, self.bytes, at + 1)),
            found => self.weigh(at, found),
        }
    }

    /// The same where what stands there is not whole, or not good.
    #[cold]
    fn weigh(&mut self, at: usize, found: Found) -> Next {
        let patience = self.progress.patience();
        let (end, doubtful) = match found {
            // It was checked, and will be looked at again; where that cannot be paid for it goes as a whole.
            Found::Doubtful { device, len, .. } if !self.pay(2 * len) => {
                return Next::Frame { at, device, len, command: None };
            }
            Found::Doubtful { device, len, others } => (at + len, Some((device, len, others))),
            Found::BegunWrong => (self.bytes.len(), None),
            _ if patience == Patience::End => return self.give_up(at),
            _ => return Next::More { doubtful: false },
        };
        let is_sound = doubtful.is_some_and(|(device, len, others)| !others && self.is_sound(device, at, len));
        let inside = self.inside(at, end, if is_sound { Patience::Decide } else { patience });
        match inside {
            // What ends behind a sound frame may not be there yet, and that is a frame, however it is split.
            Inside::Good(ends) if is_sound && ends > end => {}
            Inside::Good(_) => return self.give_up(at),
            Inside::Begun | Inside::Nothing => {}
        }
        let Some((device, len, others)) = doubtful else {
            return if patience == Patience::End { self.give_up(at) } else { Next::More { doubtful: false } };
        };
        let waits = patience == Patience::Wait || (patience == Patience::Brief && end < self.bytes.len());
        if waits && (others || inside == Inside::Begun) {
            return Next::More { doubtful: true };
        }
        Next::Frame { at, device, len, command: None }
    }

    /// Goes on behind the first byte of what is no frame, or not whole and never will be.
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
                Some(Found::Begun | Found::Doubtful { others: true, .. })
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

    /// As [`Hunt::look`], for what can be paid for.
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

    /// Whether a frame that is not good has the right checksum, and lengths.
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

    /// What begins at `at`, which is not before the place looked at last.
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
            Cut::Frame(len) if len > 0 => match good(device, &self.bytes[at..at + len], self.raw) {
                Some(command) => Found::Good { device: number, len, command },
                None => Found::Doubtful { device: number, len, others: false },
            },
            Cut::More if framer::may_be_known(&device.template, &self.bytes[at..], self.raw) => Found::Begun,
            Cut::More => Found::BegunWrong,
            Cut::Frame(_) | Cut::No => Found::No,
        }
    }

    /// Of several devices the first that has a good frame there, with the right checksum if any has that; else the one that
    /// it fits best.
    #[inline(never)]
    fn look_for_any(&mut self, at: usize) -> Found {
        let (mut best, mut rank) = (Found::No, None);
        let (mut begun, mut begun_wrong) = (false, false);
        for (number, device) in self.devices.iter().enumerate() {
            let found = self.look_for(number, device, at);
            let (is_good, len) = match found {
                Found::Good { len, .. } => (true, len),
                Found::Doubtful { len, .. } => (false, len),
                _ => {
                    begun |= found == Found::Begun;
                    begun_wrong |= found == Found::BegunWrong;
                    continue;
                }
            };
            // A frame that does not even parse (a character that is no hex digit, say) is one all the same.
            let fit = fit(device, &self.bytes[at..at + len], self.raw).max(Fit::Framed);
            if rank.is_none_or(|rank| (is_good, fit) > rank) {
                (best, rank) = (found, Some((is_good, fit)));
            }
        }
        match best {
            Found::Good { device, len, .. } => {
                // Once more, so that its raw frame is there.
                let command = good(&self.devices[device], &self.bytes[at..at + len], self.raw);
                command.map_or(best, |command| Found::Good { device, len, command })
            }
            Found::Doubtful { device, len, .. } => Found::Doubtful { device, len, others: begun || begun_wrong },
            _ if begun => Found::Begun,
            _ if begun_wrong => Found::BegunWrong,
            _ => Found::No,
        }
    }
}

/// What a search inside a frame came to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    /// A good one, and where it ends.
    Good(usize),
    /// A frame that may be good has begun.
    Begun,
    Nothing,
}

/// The command of a whole frame in which nothing is wrong; its raw frame is in `raw` where it travels encoded.
#[inline]
fn good(device: &Device, wire: &[u8], raw: &mut Vec<u8>) -> Option<usize> {
    let frame = inner::parse(&device.template, wire, raw).ok()?;
    let mut checksum_wrong = false;
    match examine(device, frame, &mut checksum_wrong) {
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

    #[test]
    fn limit_credit_min_and_credit_per_byte_and_credit_max() {
        let (mut progress, mut raw) = (Progress::default(), Vec::new());
        let mut pays = |progress: &mut Progress, bytes: usize| {
            let (devices, searches, bytes_here) = (&[][..], &mut [][..], &[][..]);
            let inner = &mut [][..];
            Hunt { devices, searches, inner, bytes: bytes_here, raw: &mut raw, progress, searched: 0, effort: 0 }
                .pay(bytes)
        };
        let mut check = |progress: &mut Progress, bytes: usize| {
            assert!(pays(&mut progress.clone(), bytes), "{progress:?}");
            assert!(!pays(progress, bytes + 1), "{progress:?}");
            // What was too much took all there was.
            assert!(!pays(progress, 1), "{progress:?}");
        };
        check(&mut progress.clone(), 65_536);
        progress.begin(10);
        check(&mut progress.clone(), 65_536 + 320);
        progress.end(10, 0);
        // Bytes that were there before bring nothing.
        progress.begin(11);
        check(&mut progress.clone(), 65_536 + 352);
        progress.begin(1 << 20);
        check(&mut progress, 4_194_304);
    }

    #[test]
    fn progress_is_of_the_bytes_that_wait() {
        let at = |progress: &Progress| (progress.seen, progress.searched, progress.patience());
        let mut progress = Progress::default().with(Patience::Brief);
        assert_eq!((at(&progress), progress.begin(9)), ((0, 0, Patience::Brief), 0));
        // Patience is for once.
        progress.end(9, 5);
        assert_eq!((at(&progress), progress.begin(9)), ((9, 5, Patience::Wait), 5));
        progress.skip_first();
        assert_eq!(at(&progress), (8, 4, Patience::Wait));
        // Fewer than waited: they are others.
        assert_eq!((progress.begin(7), at(&progress)), (0, (0, 0, Patience::Wait)));
        progress.skip_first();
        assert_eq!(at(&progress), (0, 0, Patience::Wait));
        progress.end(3, 2);
        progress.forget();
        assert_eq!(at(&progress), (0, 0, Patience::Wait));
        progress.end(usize::MAX, usize::MAX);
        assert_eq!(at(&progress), (u32::MAX, u32::MAX, Patience::Wait));
    }

    #[test]
    fn the_next_place_where_a_frame_may_begin() {
        use crate::responder::fixtures::device;
        use fsu_plan::wire::fixtures::{delimited, length, without_start};
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
