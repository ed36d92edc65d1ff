//! A panic anywhere is a defect of this program: it is told, never silent.

use crate::log::ON_STDERR;
use crate::unblocked;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic;

/// From here on a panic of any thread goes to the system log too, and to stderr as ever, but that nobody waits for who reads it.
pub fn log_them() {
    panic::set_hook(Box::new(move |info| {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("without a name");
        log::error!(target: ON_STDERR, "thread {name} panicked: {info}");
        let backtrace = Backtrace::capture();
        let trace =
            if backtrace.status() == BacktraceStatus::Captured { format!("{backtrace}") } else { String::new() };
        unblocked::stderr(&format!("thread '{name}' {info}\n{trace}"));
    }));
}
