//! A panic anywhere is a defect of this program: it is told, never silent.

use crate::log::ON_STDERR;
use std::panic;

/// From here on a panic of any thread goes to the system log too, and then to stderr as ever.
pub fn log_them() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let thread = std::thread::current();
        log::error!(target: ON_STDERR, "thread {} panicked: {info}", thread.name().unwrap_or("without a name"));
        before(info);
    }));
}
