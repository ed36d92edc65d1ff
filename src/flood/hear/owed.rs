//! Acknowledgements that a connection has not taken yet: only one that left whole was sent.

use super::desk::Answer;
use std::collections::VecDeque;

/// Those of one connection, in their order; none takes no memory beyond this.
#[derive(Debug, Default)]
pub struct Owed(Option<Box<Queue>>);

#[derive(Debug, Default)]
struct Queue {
    /// Bytes written since it is there.
    written: u64,
    /// Each with its own bytes, and how many are written when it is out.
    answers: VecDeque<(Answer, usize, u64)>,
}

impl Owed {
    /// An acknowledgement of `bytes` was put behind what waits; with it `waiting` bytes do.
    pub fn push(&mut self, answer: Answer, bytes: usize, waiting: usize) {
        let queue = self.0.get_or_insert_default();
        queue.answers.push_back((answer, bytes, queue.written + waiting as u64));
    }

    /// The connection has taken that many bytes.
    pub fn wrote(&mut self, count: usize) {
        if let Some(queue) = &mut self.0 {
            queue.written += count as u64;
        }
    }

    /// The next one that is out, with its size.
    pub fn next_out(&mut self) -> Option<(Answer, usize)> {
        let queue = self.0.as_mut()?;
        queue.answers.front().filter(|(.., end)| *end <= queue.written)?;
        let (answer, bytes, _) = queue.answers.pop_front()?;
        if queue.answers.is_empty() {
            self.0 = None;
        }
        Some((answer, bytes))
    }

    /// Whether none is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The connection has ended: those that never left.
    pub fn lost(&mut self) -> impl Iterator<Item = Answer> {
        self.0.take().into_iter().flat_map(|queue| queue.answers).map(|(answer, ..)| answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes of acknowledgements that are put there at once behind `before` other bytes, and what the connection takes: which are out
    /// after each write, by their place; then how many never left.
    fn check(before: usize, sizes: &[usize], writes: &[usize], expected: &[&[usize]], lost: usize) {
        let mut owed = Owed::default();
        let mut waiting = before;
        for (place, &bytes) in (0..).zip(sizes) {
            waiting += bytes;
            owed.push(Answer::of(place), bytes, waiting);
        }
        for (&count, &expected) in writes.iter().zip(expected) {
            owed.wrote(count);
            let out: Vec<(usize, usize)> =
                std::iter::from_fn(|| owed.next_out()).map(|(answer, bytes)| (answer.place(), bytes)).collect();
            let expected: Vec<(usize, usize)> = expected.iter().map(|&place| (place, sizes[place])).collect();
            assert_eq!(out, expected, "{before} {sizes:?} {count}");
        }
        assert_eq!(owed.lost().count(), lost, "{before} {sizes:?}");
        assert!(owed.0.is_none());
    }

    #[test]
    fn an_acknowledgement_is_out_with_its_last_byte() {
        check(0, &[5, 5], &[10], &[&[0, 1]], 0);
        check(0, &[5, 5], &[4, 1, 4, 1], &[&[], &[0], &[], &[1]], 0);
        check(7, &[5], &[5, 6, 1], &[&[], &[], &[0]], 0);
        check(3, &[5, 5, 5], &[9], &[&[0]], 2);
        check(0, &[], &[4], &[&[]], 0);
    }
}
