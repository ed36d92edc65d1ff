//! A panic anywhere is a defect of this program and is always reported.
//!
//! Two kinds are no defects. The runtime panics, and would abort the process, if a new thread has no memory for its signal stack: the machine
//! lacks memory, and the run ends with a message and exit code 4. And the executor panics if it cannot start; whoever starts it reports that.

use super::exit::Exit;
use fsu_net::unblocked;
use fsu_serve::driver::executor::is_starting;
use fsu_serve::syslog::ON_STDERR;
use signal_hook::low_level;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{self, PanicHookInfo};

/// How the runtime's message begins if a new thread has no memory for its signal stack.
const NO_THREAD_MEMORY: [&str; 2] = ["failed to allocate an alternative stack", "failed to set up alternative stack"];

/// From here on a panic of any thread also goes to the system log, and to stderr as usual, without waiting for its reader.
pub fn log_them() {
    panic::set_hook(Box::new(move |info| {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("without a name");
        let text = payload(info);
        if NO_THREAD_MEMORY.iter().any(|words| text.starts_with(words)) {
            unblocked::stderr(&format!("fsu-mock: no memory for a thread: {text}; the run ends\n"));
            low_level::exit(Exit::Machine as i32);
        }
        if is_starting() {
            log::error!(target: ON_STDERR, "{name}: the executor cannot start: {text}");
            unblocked::stderr(&format!("fsu-mock: {name}: the executor cannot start: {text}\n"));
            return;
        }
        log::error!(target: ON_STDERR, "thread {name} panicked: {info}");
        let backtrace = Backtrace::capture();
        let trace =
            if backtrace.status() == BacktraceStatus::Captured { format!("{backtrace}") } else { String::new() };
        unblocked::stderr(&format!("thread '{name}' {info}\n{trace}"));
    }));
}

/// What it says.
fn payload<'a>(info: &'a PanicHookInfo<'_>) -> &'a str {
    let payload = info.payload();
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("")
}
