//! Signals, on a thread of their own.

use crossbeam_channel::{Receiver, Sender, bounded};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::{flag, low_level};
use std::io::{self, Read as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// SIGTERM or SIGINT, the first of them: end in good order.
    Stop(i32),
    /// SIGHUP: read the configuration again.
    Reload,
}

/// Signals that may wait in the channel, 8 bytes each.
const WAITING_MAX: usize = 8;

/// A SIGTERM or SIGINT within this many milliseconds of the first one repeats it: a supervisor may signal the process and
/// then its group, and nobody presses Ctrl-C twice that fast.
pub const REPEAT_MS: u128 = 200;

/// Upper bound for noticing a signal whose wake-up byte could not be written.
const LOOK: Duration = Duration::from_millis(250);

/// What a SIGTERM or SIGINT means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// End in good order.
    First,
    /// A repetition of the first one: nothing.
    Repeat,
    /// End at once.
    Second,
}

/// `since_first_ms`: how long ago the first one came, in milliseconds; `None`: this is the first.
fn meaning(since_first_ms: Option<u128>) -> Stop {
    match since_first_ms {
        None => Stop::First,
        Some(ms) if ms < REPEAT_MS => Stop::Repeat,
        Some(_) => Stop::Second,
    }
}

/// Starts to listen; what arrives comes out of the channel.
///
/// A second SIGTERM or SIGINT, from [`REPEAT_MS`] after the first on, ends the process at once, with 128 + the signal's
/// number: it does not depend on whoever reads the channel. SIGPIPE is ignored by the language's runtime already: writing to a closed pipe is an error like any other.
///
/// # Errors
/// The system refuses a handler or a thread.
pub fn listen() -> io::Result<Receiver<Asked>> {
    let all = [Heard::new(SIGTERM)?, Heard::new(SIGINT)?, Heard::new(SIGHUP)?];
    let (sender, receiver) = waiting();
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        let mut first: Option<Instant> = None;
        loop {
            let signal = next(&all);
            match signal {
                SIGHUP => reload(&sender),
                _ => match meaning(first.map(|first| first.elapsed().as_millis())) {
                    Stop::First => {
                        first = Some(Instant::now());
                        let _ = sender.try_send(Asked::Stop(signal));
                    }
                    Stop::Repeat => {}
                    Stop::Second => low_level::exit(128 + signal),
                },
            }
        }
    })?;
    Ok(receiver)
}

/// How one signal is noticed.
struct Heard {
    signal: i32,
    /// It has come.
    flag: Arc<AtomicBool>,
    /// Readable then, unless the system had no memory to write to it.
    pipe: UnixStream,
}

impl Heard {
    fn new(signal: i32) -> io::Result<Self> {
        let (pipe, write) = UnixStream::pair()?;
        pipe.set_nonblocking(true)?;
        let flag = Arc::new(AtomicBool::new(false));
        flag::register(signal, flag.clone())?;
        low_level::pipe::register(signal, write)?;
        Ok(Self { signal, flag, pipe })
    }
}

/// Waits for the next signal. A refused system call delays it by at most [`LOOK`]: without signals a run cannot end properly.
fn next(all: &[Heard]) -> i32 {
    let look = Timespec { tv_sec: 0, tv_nsec: LOOK.as_nanos() as i64 };
    loop {
        // Drain the pipes before checking the flags; in the other order a signal could be missed.
        for mut pipe in all.iter().map(|heard| &heard.pipe) {
            let _ = pipe.read(&mut [0; 64]);
        }
        if let Some(heard) = all.iter().find(|heard| heard.flag.swap(false, Ordering::AcqRel)) {
            return heard.signal;
        }
        let mut polled: Vec<_> = all.iter().map(|heard| PollFd::new(&heard.pipe, PollFlags::IN)).collect();
        if poll(&mut polled, Some(&look)).is_err() {
            std::thread::sleep(LOOK);
        }
    }
}

/// The channel in which signals wait.
fn waiting() -> (Sender<Asked>, Receiver<Asked>) {
    bounded(WAITING_MAX)
}

/// Queues a reload. The last place is kept for a stop; more reloads would add nothing.
fn reload(sender: &Sender<Asked>) {
    if sender.len() + 1 < WAITING_MAX {
        let _ = sender.try_send(Asked::Reload);
    }
}

/// Makes a write past the largest file size allowed (`ulimit -f`) fail, as on a full disk. Without a handler, SIGXFSZ ends the
/// process.
///
/// # Errors
/// The system refuses a handler.
pub fn survive_full_files() -> io::Result<()> {
    flag::register(libc::SIGXFSZ, Arc::default()).map(drop)
}

/// A signal's name, for people.
pub fn name(signal: i32) -> &'static str {
    low_level::signal_name(signal).unwrap_or("a signal")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_waiting_max_a_stop_has_a_place() {
        let (sender, receiver) = waiting();
        (0..20).for_each(|_| reload(&sender));
        assert!(sender.try_send(Asked::Stop(SIGTERM)).is_ok() && sender.try_send(Asked::Stop(SIGTERM)).is_err());
        let reloads = receiver.try_iter().filter(|asked| matches!(asked, Asked::Reload)).count();
        assert_eq!(reloads, 7);
    }

    #[test]
    fn limit_repeat_ms_a_repeat_is_no_second_signal() {
        let check = |since_first_ms: Option<u128>, expected: Stop| {
            assert_eq!(meaning(since_first_ms), expected, "{since_first_ms:?}");
        };
        check(None, Stop::First);
        check(Some(0), Stop::Repeat);
        check(Some(REPEAT_MS - 1), Stop::Repeat);
        check(Some(REPEAT_MS), Stop::Second);
        check(Some(5_000), Stop::Second);
    }
}
