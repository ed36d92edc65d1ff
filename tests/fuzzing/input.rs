//! An input as choices and bytes. Past its end everything is 0 or empty.

use std::cell::RefCell;
use std::collections::HashMap;

/// What was made of the first parts of the last inputs.
pub struct Kept<T> {
    most: usize,
    made: RefCell<HashMap<Vec<u8>, T>>,
}

impl<T> Kept<T> {
    pub fn new(most: usize) -> Self {
        Self { most, made: RefCell::default() }
    }

    /// Does something with what a part makes.
    pub fn with(&self, part: &[u8], make: impl FnOnce() -> T, then: impl FnOnce(&T)) {
        let mut made = self.made.borrow_mut();
        if !made.contains_key(part) {
            if made.len() >= self.most {
                made.clear();
            }
            made.insert(part.to_vec(), make());
        }
        then(&made[part]);
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

    /// The first part of an input that has two: 1 + twice as many bytes as its first byte tells. What is compiled is made of it, so
    /// that it can be kept while the second part changes.
    pub fn part(&mut self) -> &'a [u8] {
        let n = 1 + 2 * usize::from(self.byte());
        self.take(n)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Changes bytes of an input: the buffer, how many of it are the input, and how many it may have; returns how many it has.
pub type Mutate = fn(&mut [u8], usize, usize) -> usize;

/// Changes an input of two parts ([`Input::part`]): mostly the second one, as the first costs a compilation.
pub fn mutate(data: &mut [u8], size: usize, most: usize, seed: u32, change: Mutate) -> usize {
    let first_end = 2 + 2 * data.first().map_or(0, |n| usize::from(*n));
    if size < first_end || most <= first_end || seed % 64 == 1 {
        return change(data, size, most);
    }
    let (first, second) = (data[1..first_end].to_vec(), data[first_end..size].to_vec());
    let changed = |mut bytes: Vec<u8>, most: usize| {
        let len = bytes.len().max(1).min(most);
        bytes.resize(most, 0);
        let len = change(&mut bytes, len, most);
        bytes.truncate(len);
        bytes
    };
    let (mut first, second) = if seed.is_multiple_of(16) {
        (changed(first, (most - 1 - second.len()).min(511)), second)
    } else {
        (first, changed(second, most - first_end))
    };
    // Odd, so that the first byte can tell.
    if first.len() % 2 == 0 {
        first.truncate(first.len().saturating_sub(1));
    }
    if first.is_empty() {
        first.push(0);
    }
    let all = [&[(first.len() / 2) as u8], &first[..], &second].concat();
    let len = all.len().min(most);
    data[..len].copy_from_slice(&all[..len]);
    len
}
