//! Prebuilt frames. Most differ from another one in a few bytes, and only the difference is kept.

use std::ops::Range;
use std::sync::Arc;

/// Equal bytes between two differences up to which one piece holds both.
const GAP_BYTES: usize = 16;
/// Overhead of a piece.
const FIX_BYTES: usize = size_of::<Fix>() + 16;
/// Shorter frames are kept whole.
const SHARED_BYTES_MIN: usize = 256;

/// The bytes of a frame: those of another one, and pieces that differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prebuilt {
    base: Arc<[u8]>,
    fixes: Box<[Fix]>,
}

/// A piece that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fix {
    at: usize,
    bytes: Box<[u8]>,
}

impl From<Vec<u8>> for Prebuilt {
    fn from(bytes: Vec<u8>) -> Self {
        Self { base: bytes.into(), fixes: Box::default() }
    }
}

impl Prebuilt {
    /// Keeps these bytes as the difference from a base of the same length if that is smaller. The first frame of a length
    /// becomes the base of the later ones.
    pub fn beside(bytes: Vec<u8>, base: &mut Option<Arc<[u8]>>) -> Self {
        if bytes.len() < SHARED_BYTES_MIN {
            return bytes.into();
        }
        let Some(base) = base.as_ref().filter(|base| base.len() == bytes.len()) else {
            let own = Self::from(bytes);
            *base = Some(own.base.clone());
            return own;
        };
        match fixes(base, &bytes) {
            Some(fixes) => Self { base: base.clone(), fixes },
            None => bytes.into(),
        }
    }

    /// Bytes of the frame.
    #[inline]
    pub fn len(&self) -> usize {
        self.base.len()
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.base.is_empty()
    }

    /// Whether it shares a base.
    pub fn is_shared(&self) -> bool {
        // A base is kept separately from the frame that it came from.
        !self.fixes.is_empty() || Arc::strong_count(&self.base) > 2
    }

    /// Bytes of its own memory, without a shared base.
    pub fn own_bytes(&self) -> usize {
        self.fixes.iter().map(|fix| fix.bytes.len() + FIX_BYTES).sum()
    }

    /// Writes the frame; `out` is as long as it is.
    #[inline]
    pub fn write(&self, out: &mut [u8]) {
        out.copy_from_slice(&self.base);
        for fix in &self.fixes {
            out[fix.at..fix.at + fix.bytes.len()].copy_from_slice(&fix.bytes);
        }
    }

    /// Makes it all of `out`.
    #[inline]
    pub fn fill(&self, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&self.base);
        for fix in &self.fixes {
            out[fix.at..fix.at + fix.bytes.len()].copy_from_slice(&fix.bytes);
        }
    }

    /// Writes a part of the frame; `out` is as long as that.
    pub fn write_part(&self, part: Range<usize>, out: &mut [u8]) {
        out.copy_from_slice(&self.base[part.clone()]);
        for fix in &self.fixes {
            let (from, to) = (fix.at.max(part.start), (fix.at + fix.bytes.len()).min(part.end));
            if from < to {
                out[from - part.start..to - part.start].copy_from_slice(&fix.bytes[from - fix.at..to - fix.at]);
            }
        }
    }

    /// The byte at a place.
    pub fn get(&self, at: usize) -> Option<u8> {
        let fix = self.fixes.iter().find(|fix| (fix.at..fix.at + fix.bytes.len()).contains(&at));
        fix.map_or_else(|| self.base.get(at).copied(), |fix| fix.bytes.get(at - fix.at).copied())
    }

    /// The whole frame.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.len()];
        self.write(&mut bytes);
        bytes
    }
}

/// The pieces in which two frames of one length differ; `None`: they would take half of the whole, or more.
fn fixes(base: &[u8], bytes: &[u8]) -> Option<Box<[Fix]>> {
    const BLOCK: usize = 64;
    let mut spans: Vec<Range<usize>> = Vec::new();
    let mut cost = 0;
    for (number, (old, new)) in base.chunks(BLOCK).zip(bytes.chunks(BLOCK)).enumerate() {
        if old == new {
            continue;
        }
        let differing = old.iter().zip(new).enumerate().filter(|(_, (old, new))| old != new);
        for at in differing.map(|(at, _)| number * BLOCK + at) {
            if let Some(span) = spans.last_mut().filter(|span| at <= span.end + GAP_BYTES) {
                cost += at + 1 - span.end;
                span.end = at + 1;
            } else {
                cost += FIX_BYTES + 1;
                spans.push(at..at + 1);
            }
        }
        if cost >= bytes.len() / 2 {
            return None;
        }
    }
    Some(spans.into_iter().map(|span| Fix { at: span.start, bytes: bytes[span].into() }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h09_a_frame_like_another_is_kept_as_what_differs() {
        let check = |changes: &[(usize, u8)], own_bytes_most: usize| {
            let mut base = None;
            let first = Prebuilt::beside(vec![7; 1000], &mut base);
            let mut bytes = vec![7; 1000];
            for &(at, byte) in changes {
                bytes[at] = byte;
            }
            let frame = Prebuilt::beside(bytes.clone(), &mut base);
            assert_eq!((frame.to_vec(), first.to_vec()), (bytes.clone(), vec![7; 1000]));
            assert!(frame.own_bytes() <= own_bytes_most, "{changes:?}: {}", frame.own_bytes());
            for (at, byte) in bytes.iter().enumerate() {
                assert_eq!(frame.get(at), Some(*byte), "{at}");
            }
            for part in [0..1000, 0..1, 3..70, 63..65, 999..1000, 500..500] {
                let mut out = vec![0; part.len()];
                frame.write_part(part.clone(), &mut out);
                assert_eq!(out, bytes[part]);
            }
        };
        check(&[], 0);
        check(&[(0, 1)], 64);
        check(&[(999, 1)], 64);
        check(&[(62, 1), (64, 2), (66, 3)], 64);
        check(&[(0, 1), (999, 2)], 128);
        let all: Vec<(usize, u8)> = (0..1000).map(|at| (at, 9)).collect();
        check(&all, 1000);
    }

    #[test]
    fn h09_frames_of_other_lengths_and_short_ones_are_whole() {
        let mut base = None;
        let lens = [1000, 999, 10, 1000];
        let frames = lens.map(|len| Prebuilt::beside(vec![1; len], &mut base));
        assert_eq!(frames.map(|frame| frame.to_vec().len()), lens);
    }

    /// What a frame of 1,000 bytes that differs from to keeps of its own beside another one; `None`: it is kept whole.
    fn kept(changed: &[(usize, usize)]) -> Option<usize> {
        let mut base = None;
        let first = Prebuilt::beside(vec![7; 1_000], &mut base);
        let mut bytes = vec![7; 1_000];
        for &(from, to) in changed {
            bytes[from..to].fill(9);
        }
        let frame = Prebuilt::beside(bytes.clone(), &mut base);
        assert_eq!(frame.to_vec(), bytes);
        Arc::ptr_eq(&first.base, &frame.base).then(|| frame.own_bytes())
    }

    #[test]
    fn what_differs_is_kept_in_pieces() {
        let piece = |bytes: usize| size_of::<Fix>() + 16 + bytes;
        assert_eq!(kept(&[(0, 1)]), Some(piece(1)));
        assert_eq!(kept(&[(0, 1), (999, 1_000)]), Some(2 * piece(1)));
        // Across the blocks that are compared.
        assert_eq!(kept(&[(60, 70)]), Some(piece(10)));
        assert_eq!(kept(&[(10, 11), (300, 330)]), Some(piece(1) + piece(30)));
        // Up to 16 equal bytes between them are in one piece.
        assert_eq!(kept(&[(100, 101), (117, 118)]), Some(piece(18)));
        assert_eq!(kept(&[(100, 101), (118, 119)]), Some(2 * piece(1)));
        // Half of it or more is no gain.
        assert_eq!(kept(&[(0, 459)]), Some(piece(459)));
        assert_eq!(kept(&[(0, 460)]), None);
        assert_eq!(kept(&[(0, 1_000)]), None);
    }

    #[test]
    fn a_frame_is_shared_once_another_is_like_it() {
        let mut base = None;
        let first = Prebuilt::beside(vec![7; 256], &mut base);
        assert!(!first.is_shared());
        let second = Prebuilt::beside(vec![7; 256], &mut base);
        assert!(first.is_shared() && second.is_shared());
        let mut bytes = vec![7; 256];
        bytes[3] = 9;
        assert!(Prebuilt::beside(bytes, &mut None).own_bytes() == 0);
        // Short ones never are.
        let mut base = None;
        let short = [(); 3].map(|()| Prebuilt::beside(vec![7; 255], &mut base));
        assert!(base.is_none() && short.iter().all(|frame| !frame.is_shared()));
        assert_eq!((short[0].len(), short[0].is_empty(), Prebuilt::default().is_empty()), (255, false, true));
        assert_eq!((short[0].get(254), short[0].get(255)), (Some(7), None));
    }
}
