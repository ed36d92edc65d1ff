//! Steps that reading and compiling a configuration takes, counted where this crate is tested: a measure of time that is
//! the same on every machine.
//!
//! A step is a byte looked at, a name compared, an entry looked up. Outside of tests nothing is counted.

#[cfg(test)]
thread_local! {
    static STEPS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Adds steps that were taken.
#[inline]
#[cfg(not(test))]
pub fn step(_many: usize) {}

/// Adds steps that were taken.
#[cfg(test)]
pub fn step(many: usize) {
    STEPS.with(|steps| steps.set(steps.get() + many as u64));
}

/// How many steps this takes on this thread.
#[cfg(test)]
pub fn steps_of<T>(what: impl FnOnce() -> T) -> (T, u64) {
    let before = STEPS.with(std::cell::Cell::get);
    let value = what();
    (value, STEPS.with(std::cell::Cell::get) - before)
}
