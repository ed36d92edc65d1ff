//! The layers that are mutated, without those that need the rest of the program: they build in a third of the time.
#![allow(missing_docs, dead_code, unused_imports)]

/// What `memory` ends the program with.
pub mod cli {
    pub mod exit {
        pub enum Exit {
            Machine = 4,
        }
    }
}
pub mod client;
pub mod codec;
pub mod config;
pub mod flood {
    pub mod request;
    /// What the test of the load generator's schemas asks, which is left out.
    pub mod schema {
        pub fn report() -> String {
            String::new()
        }
        pub fn centre() -> String {
            String::new()
        }
        pub fn values() -> String {
            String::new()
        }
    }
}
pub mod log {
    mod format;
    mod format_about;
    mod format_inner;
    mod format_outer;
    mod page;
    mod queue;
    pub mod record;
    mod stamp;
    pub mod tap;
    #[cfg(test)]
    mod testing;
    /// What the tests of `tap` ask of the logger's.
    pub struct LoggerConfig {
        pub device_log: bool,
        pub queue_bytes: usize,
    }
    impl LoggerConfig {
        pub fn of(fleet: &crate::plan::fleet::Fleet) -> Self {
            let device_log = !fleet.performance.skip_device_log;
            Self { device_log, queue_bytes: if device_log { tap::LOG_QUEUE_BYTES } else { tap::LEDGER_QUEUE_BYTES } }
        }
    }
    pub use format::RecordText;
    pub use record::{Kind, Told};
}
pub mod memory;
pub mod plan;
pub mod responder;
mod sync;
pub mod unblocked;
pub mod words;
