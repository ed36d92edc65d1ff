//! How much is done to find the name that a wrong one may be a misspelling of: it is a help, and no reason to wait.

use super::steps::step;
use std::cell::Cell;

/// Longest name, in bytes, that is looked for among those like it.
pub const NAME_BYTES_MAX: usize = 100;
/// Names that one wrong name is compared with.
pub const NAMES_MAX: usize = 1_000;
/// Comparisons of names while one configuration is read; beyond that nothing is suggested.
pub const LOOKS_MAX: u32 = 200_000;
/// Cost of one comparison, in steps.
const LOOK_STEPS: usize = 20;

thread_local! {
    static LEFT: Cell<u32> = const { Cell::new(LOOKS_MAX) };
}

/// A new configuration is read on this thread.
pub fn reset() {
    LEFT.with(|left| left.set(LOOKS_MAX));
}

/// May one more name be compared? Counts it.
pub fn may_look() -> bool {
    let left = LEFT.with(Cell::get);
    if left == 0 {
        return false;
    }
    step(LOOK_STEPS);
    LEFT.with(|cell| cell.set(left - 1));
    true
}
