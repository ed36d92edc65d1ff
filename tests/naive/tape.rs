//! Decisions read off a tape of numbers, so that a failing case shrinks: 0 is always the simplest choice.

pub struct Tape {
    numbers: Vec<u32>,
    at: usize,
}

impl Tape {
    pub fn new(numbers: Vec<u32>) -> Self {
        Self { numbers, at: 0 }
    }

    fn next(&mut self) -> u32 {
        self.at += 1;
        self.numbers.get(self.at - 1).copied().unwrap_or(0)
    }

    /// 0 to n - 1.
    pub fn pick(&mut self, n: usize) -> usize {
        self.next() as usize % n
    }

    /// True `of` times out of a hundred.
    pub fn chance(&mut self, of: usize) -> bool {
        self.pick(100) >= 100 - of
    }

    pub fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.pick(of.len())].clone()
    }

    pub fn byte(&mut self) -> u8 {
        (self.next() >> 3) as u8
    }

    pub fn hex(&mut self, bytes: usize) -> String {
        (0..bytes).map(|_| format!("{:02X}", self.byte())).collect()
    }

    pub fn text(&mut self, size: usize) -> String {
        (0..size).map(|_| char::from(b"ABCxyz0189.-"[self.pick(12)])).collect()
    }

    pub fn digits(&mut self, size: usize) -> String {
        (0..size).map(|_| char::from(b'0' + self.pick(10) as u8)).collect()
    }
}
