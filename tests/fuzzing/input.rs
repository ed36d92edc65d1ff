//! An input as choices and bytes. Past its end everything is 0 or empty.

use std::cell::RefCell;
use std::collections::HashMap;

/// A first byte from here on: the first part is one of 4096 seeded ones.
pub const NUMBERED: u8 = 0xF0;
/// Bytes of a seeded part: more than any takes.
const SEEDED: usize = 768;

/// The first part of an input: see [`Input::part`].
#[derive(Clone, Copy)]
pub enum Part<'a> {
    Bytes(&'a [u8]),
    Seed(u16),
}

impl<'a> Part<'a> {
    /// Does something with the bytes.
    pub fn read<T>(self, with: impl FnOnce(&mut Input<'_>) -> T) -> T {
        match self {
            Self::Bytes(bytes) => with(&mut Input(bytes)),
            Self::Seed(seed) => {
                let mut bytes = [0; SEEDED];
                fastrand::Rng::with_seed(seed.into()).fill(&mut bytes);
                with(&mut Input(&bytes))
            }
        }
    }
}

/// What was made of the first parts of the last inputs. That of seeded ones stays.
pub struct Kept<T> {
    most: usize,
    made: RefCell<HashMap<Vec<u8>, T>>,
    seeded: RefCell<HashMap<u16, T>>,
}

impl<T> Kept<T> {
    pub fn new(most: usize) -> Self {
        Self { most, made: RefCell::default(), seeded: RefCell::default() }
    }

    /// Does something with what a part makes.
    pub fn with(&self, part: Part<'_>, make: impl FnOnce(&mut Input<'_>) -> T, then: impl FnOnce(&T)) {
        let bytes = match part {
            Part::Seed(seed) => {
                return then(self.seeded.borrow_mut().entry(seed).or_insert_with(|| part.read(make)));
            }
            Part::Bytes(bytes) => bytes,
        };
        let mut made = self.made.borrow_mut();
        if !made.contains_key(bytes) {
            if made.len() >= self.most {
                made.clear();
            }
            made.insert(bytes.to_vec(), part.read(make));
        }
        then(&made[bytes]);
    }
}

#[derive(Clone, Copy)]
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    pub fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    /// 0 to n - 1; one byte decides, so `n` is at most 256.
    pub fn pick(&mut self, n: usize) -> usize {
        usize::from(self.byte()) % n
    }

    pub fn one<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[self.pick(of.len())]
    }

    /// At most `n` bytes.
    pub fn take(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(n.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Bytes behind a byte that tells how many.
    pub fn short(&mut self) -> &'a [u8] {
        let n = usize::from(self.byte());
        self.take(n)
    }

    /// The first part of an input that has two: what is compiled is made of it, so that it can be kept while the second part
    /// changes. It is there itself, as 1 + twice as many bytes as the first byte tells, or by a number: the first byte is at least
    /// [`NUMBERED`], and its low bits and the next byte are the seed of the part's bytes.
    pub fn part(&mut self) -> Part<'a> {
        match self.byte() {
            first if first >= NUMBERED => Part::Seed(u16::from_be_bytes([first - NUMBERED, self.byte()])),
            n => Part::Bytes(self.take(1 + 2 * usize::from(n))),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Changes bytes of an input: the buffer, how many of it are the input, and how many it may have; returns how many it has.
pub type Mutate = fn(&mut [u8], usize, usize) -> usize;

/// Changes an input of two parts ([`Input::part`]): mostly the second one. A first part that is not known yet costs a compilation;
/// a seeded one soon is, so that it is changed more often.
pub fn mutate(data: &mut [u8], size: usize, most: usize, seed: u32, change: Mutate) -> usize {
    let first = data.first().copied().unwrap_or(0);
    let first_end = if first >= NUMBERED { 2 } else { 2 + 2 * usize::from(first) };
    if size < first_end || most <= first_end || seed % 256 == 1 {
        return change(data, size, most);
    }
    let second = data[first_end..size].to_vec();
    let changed = |mut bytes: Vec<u8>, most: usize| {
        let len = bytes.len().max(1).min(most);
        bytes.resize(most, 0);
        let len = change(&mut bytes, len, most);
        bytes.truncate(len);
        bytes
    };
    let is_other = if first >= NUMBERED { seed.is_multiple_of(8) } else { seed.is_multiple_of(32) };
    let all = if is_other {
        let number = seed / 32;
        [&[NUMBERED | (number >> 8) as u8, number as u8][..], &second].concat()
    } else if first < NUMBERED && seed % 128 == 2 {
        [part(changed(data[1..first_end].to_vec(), (most - 1 - second.len()).min(477))), second].concat()
    } else {
        [&data[..first_end], &changed(second, most - first_end)].concat()
    };
    let len = all.len().min(most);
    data[..len].copy_from_slice(&all[..len]);
    len
}

/// A first part of these bytes, with the byte that tells how many: their number is odd.
fn part(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.len().is_multiple_of(2) {
        bytes.truncate(bytes.len().saturating_sub(1));
    }
    if bytes.is_empty() {
        bytes.push(0);
    }
    [&[(bytes.len() / 2) as u8], &bytes[..]].concat()
}
