//! What becomes of an allocation that fails.
//!
//! Three things, in this order. Whoever asks by [`fallible`] is told, and does without. Else a reserve is given up, once, and the
//! allocation is tried again; from then on memory [`is_low`], and whatever would make the program hold more is refused and counted. When there
//! is no reserve any more the program ends with exit code 4 and says why: it does not abort, which would say nothing to an operator.
//!
//! The allocator itself, and the reserve, are in the crate `fsu-net`, where all is that is unsafe.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

thread_local! {
    /// Whether a failed allocation of this thread is told to whoever asked.
    static FALLIBLE: Cell<bool> = const { Cell::new(false) };
}

static LOW: AtomicBool = AtomicBool::new(false);

/// Does something that looks at whether it gets its memory (`try_reserve`), and nothing that does not: within it a failed allocation costs
/// no reserve and does not end the program.
pub fn fallible<T>(what: impl FnOnce() -> T) -> T {
    let before = FALLIBLE.replace(true);
    let done = what();
    FALLIBLE.set(before);
    done
}

/// Room for `more` of a list, as it would grow by itself; false: there is no memory for it.
#[inline]
pub fn has_room<T>(list: &mut Vec<T>, more: usize) -> bool {
    list.capacity() - list.len() >= more || fallible(|| list.try_reserve(more)).is_ok()
}

/// Whether a failed allocation of this thread is told to whoever asked.
pub fn is_fallible() -> bool {
    // Where the thread ends already, nothing looks at it any more.
    FALLIBLE.try_with(Cell::get).unwrap_or(false)
}

/// Whether the reserve has been given up: nothing more is to be held than is held.
#[inline]
pub fn is_low() -> bool {
    LOW.load(Ordering::Relaxed)
}

/// The reserve is gone, or there again.
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
