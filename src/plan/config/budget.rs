//! The memory of a configuration (`limits.plan_bytes_max`): everything that grows with what is written is charged before it
//! is made, so that neither a file of a few kilobytes nor a reload takes what the machine has.

use crate::memory::fallible;
use std::cell::Cell;

/// Bytes of one configuration, by default: files, what is read from them, and what is served. A reload has
/// as many again, as the old plan is still served.
pub const PLAN_BYTES_DEFAULT: u64 = 512 << 20;
/// The least that `plan_bytes_max` may be.
pub const PLAN_BYTES_LEAST: u64 = 1 << 20;
/// The most that `plan_bytes_max` may be: 1 TiB.
pub const PLAN_BYTES_MOST: u64 = 1 << 40;
/// Diagnostics kept; more are only counted. This bounds the report about a broken configuration.
pub const DIAGS_MAX: usize = 10_000;
/// Overhead of a small allocation.
pub const ALLOCATION_BYTES: usize = 16;
/// After that many more bytes the system is asked whether it has [`PROBE_BYTES`] left.
const PROBE_EACH_BYTES: u64 = 4 << 20;
/// What has to be left at a probe: what is charged until the next one, and what is not charged.
const PROBE_BYTES: usize = 32 << 20;

/// What is left of it.
#[derive(Debug)]
pub struct Budget {
    max: Cell<u64>,
    used: Cell<u64>,
    probe_at: Cell<u64>,
}

/// Why something is not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// It is past the budget: the budget in bytes, and the bytes in use.
    Budget {
        /// `limits.plan_bytes_max`.
        max: u64,
        /// Charged until now.
        used: u64,
    },
    /// The system has no memory left.
    System,
}

impl Over {
    /// The message about `what`, which would take that many bytes.
    pub fn text(self, what: &str, bytes: usize) -> String {
        match self {
            Self::Budget { max, used } => format!(
                "{what} would take {bytes} bytes more, past `limits.plan_bytes_max` ({max}, of which {used} are used; a larger \
                 one in sys_config.json allows it)"
            ),
            Self::System => format!("{what} would take {bytes} bytes more, and the system has no memory left"),
        }
    }
}

impl Default for Budget {
    fn default() -> Self {
        let of = Cell::new;
        Self { max: of(PLAN_BYTES_DEFAULT), used: of(0), probe_at: of(PROBE_EACH_BYTES) }
    }
}

impl Budget {
    /// Sets its size.
    pub fn set_max(&self, max: u64) {
        self.max.set(max);
    }

    /// Bytes charged until now.
    pub fn used(&self) -> u64 {
        self.used.get()
    }

    /// Takes that many bytes of it.
    ///
    /// # Errors
    /// Fewer are left, here or in the system; nothing is taken then.
    pub fn charge(&self, bytes: usize) -> Result<(), Over> {
        let (max, used) = (self.max.get(), self.used.get());
        let next = used.saturating_add(bytes as u64);
        if next > max {
            return Err(Over::Budget { max, used });
        }
        if next >= self.probe_at.get() {
            self.probe(bytes)?;
            self.probe_at.set(next + PROBE_EACH_BYTES);
        }
        self.used.set(next);
        Ok(())
    }

    /// Asks the system for that many bytes and some more, and gives them back.
    ///
    /// # Errors
    /// It has less. An allocation that fails elsewhere ends the program.
    pub fn probe(&self, bytes: usize) -> Result<(), Over> {
        let mut probe: Vec<u8> = Vec::new();
        fallible(|| probe.try_reserve_exact(PROBE_BYTES.saturating_add(bytes))).map_err(|_| Over::System)
    }

    /// Gives bytes back that were charged for what is gone.
    pub fn release(&self, bytes: u64) {
        self.used.set(self.used.get().saturating_sub(bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h09_what_is_past_the_budget_is_not_taken() {
        let budget = Budget::default();
        budget.set_max(100);
        assert_eq!(budget.charge(60), Ok(()));
        assert_eq!(budget.charge(41), Err(Over::Budget { max: 100, used: 60 }));
        assert_eq!(budget.charge(40), Ok(()));
        budget.release(50);
        assert_eq!((budget.charge(50), budget.used()), (Ok(()), 100));
    }

    #[test]
    fn h09_memory_that_the_system_has_not_is_no_abort() {
        let budget = Budget::default();
        budget.set_max(u64::MAX);
        assert_eq!(budget.charge(usize::MAX / 2), Err(Over::System));
        assert_eq!(budget.used(), 0);
        assert!(Over::System.text("a reply", 5).starts_with("a reply would take 5 bytes more, and the system"));
    }

    /// The system is asked once for each 4 MiB, not for each charge.
    #[test]
    fn the_system_is_asked_now_and_then() {
        let budget = Budget::default();
        let probe_at = |bytes: usize| {
            budget.charge(bytes).expect("room");
            budget.probe_at.get()
        };
        let each = 4 << 20;
        assert_eq!([probe_at(1), probe_at(each - 2)], [each as u64; 2]);
        assert_eq!(probe_at(1), 2 * each as u64);
        assert_eq!(probe_at(5), 2 * each as u64);
        assert_eq!(probe_at(3 * each), 5 * each as u64 + 5);
    }

    #[test]
    fn what_is_past_the_budget_is_told() {
        let text = Over::Budget { max: 100, used: 60 }.text("a reply", 41);
        let expected = "a reply would take 41 bytes more, past `limits.plan_bytes_max` (100, of which 60 are used; a larger one in \
                        sys_config.json allows it)";
        assert_eq!(text, expected);
    }
}
