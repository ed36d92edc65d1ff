//! What happens when an allocation fails.
//!
//! Three steps. Within [`fallible`] the caller gets the error and does without. Otherwise a reserve is released, once, and the
//! allocation is repeated; from then on memory [`is_low`], and new connections, frames and waiting replies are refused and counted. Without
//! a reserve the program ends with exit code 4 and a message instead of an abort, which would not help an operator.
//!
//! The allocator itself and the reserve are in the crate `fsu-net`, where all unsafe code is.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

thread_local! {
    /// Whether a failed allocation of this thread is returned to the caller.
    static FALLIBLE: Cell<bool> = const { Cell::new(false) };
}

static LOW: AtomicBool = AtomicBool::new(false);

/// Runs only code that handles failed allocations (`try_reserve`): within it a failed allocation costs
/// no reserve and does not end the program.
pub fn fallible<T>(what: impl FnOnce() -> T) -> T {
    let before = FALLIBLE.replace(true);
    let done = what();
    FALLIBLE.set(before);
    done
}

/// Reserves room for `more` elements with the usual growth; false: there is no memory.
#[inline]
pub fn has_room<T>(list: &mut Vec<T>, more: usize) -> bool {
    list.capacity() - list.len() >= more || fallible(|| list.try_reserve(more)).is_ok()
}

/// Whether a failed allocation of this thread is returned to the caller.
pub fn is_fallible() -> bool {
    // If the thread is ending, nothing reads it any more.
    FALLIBLE.try_with(Cell::get).unwrap_or(false)
}

/// Whether the reserve has been released: memory use must not grow.
#[inline]
pub fn is_low() -> bool {
    LOW.load(Ordering::Relaxed)
}

/// Sets whether the reserve has been released.
pub fn set_low(low: bool) {
    LOW.store(low, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hk_what_asks_is_told_and_nothing_else_is_changed() {
        let mut list: Vec<u64> = Vec::new();
        assert!(has_room(&mut list, 3) && list.capacity() >= 3);
        assert!(!has_room(&mut list, usize::MAX / 16));
        assert!(list.capacity() >= 3 && !is_fallible());
        assert!(fallible(|| fallible(is_fallible) && is_fallible()));
    }
}
