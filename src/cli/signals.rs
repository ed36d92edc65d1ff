//! Signals, on a thread of their own.

use crossbeam_channel::{Receiver, bounded};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// SIGTERM or SIGINT, the first of them: end in good order.
    Stop(i32),
    /// SIGHUP: read the configuration anew.
    Reload,
}

/// Signals that may wait to be looked at, 8 bytes each.
const WAITING_MAX: usize = 8;

/// Starts to listen; what arrives comes out of the channel.
///
/// A second SIGTERM or SIGINT ends the process at once, with 128 + the signal's number: it does not depend on whoever reads
/// the channel. SIGPIPE is ignored by the language's runtime already: writing to a closed pipe is an error like any other.
///
/// # Errors
/// The system refuses a handler or a thread.
pub fn listen() -> std::io::Result<Receiver<Asked>> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    let (sender, receiver) = bounded(WAITING_MAX);
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        let mut stopping = false;
        for signal in signals.forever() {
            match signal {
                // The last place is a stop's; a further reload adds nothing to those that wait.
                SIGHUP if sender.len() + 1 >= WAITING_MAX => {}
                SIGHUP => {
                    let _ = sender.try_send(Asked::Reload);
                }
                _ if stopping => low_level::exit(128 + signal),
                _ => {
                    stopping = true;
                    let _ = sender.try_send(Asked::Stop(signal));
                }
            }
        }
    })?;
    Ok(receiver)
}

/// A signal's name, for people.
pub fn name(signal: i32) -> &'static str {
    low_level::signal_name(signal).unwrap_or("a signal")
}
