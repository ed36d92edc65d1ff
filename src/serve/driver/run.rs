//! The loop of both drivers.

use super::base::DriverIo;
use super::command::ShardFigures;
use super::fair::Line;
use super::turn::{Turn, Work};
use crate::shard::io::Subject;
use crate::shard::protocol::Protocol;
use crate::shard::recorder::Recorder;
use std::io;
use std::time::Duration;

/// What a driver adds to the loop: how it waits, and how it handles an event.
pub(crate) trait Driver<P: Protocol, T: Recorder>: Sized {
    /// Its sockets.
    type Io: DriverIo;
    /// An event as it waits in line.
    type Event;

    /// What the loop works on.
    fn parts(&mut self) -> Parts<'_, P, T, Self::Io, Self::Event>;
    /// How many events of the last wait are not handled yet.
    fn left(&self) -> usize;
    /// Waits for events, but not longer than `at_most`, and begins a turn with them ([`Turn::begin`], [`Turn::open`]).
    fn wait(&mut self, at_most: Duration) -> io::Result<()>;
    /// Handles events that are light and puts the others in line, while there is time.
    fn serve_light(&mut self) -> io::Result<()>;
    /// Handles an event whose turn has come.
    fn serve_held(&mut self, subject: Subject, event: Self::Event);
    /// A subject in line had its turn.
    fn after_held(&mut self, _subject: Subject) {}
    /// The run is over: all connections are closed.
    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the loop works on.
pub(crate) struct Parts<'a, P, T, I, E> {
    pub(crate) turn: &'a mut Turn<P, T>,
    pub(crate) io: &'a mut I,
    pub(crate) line: &'a mut Line<Work<E>>,
}

/// Serves until the shard is stopped or drained; what it leaves.
///
/// # Errors
/// The system refused something without which a driver cannot serve.
pub(crate) fn run<P: Protocol, T: Recorder>(mut driver: impl Driver<P, T>) -> io::Result<ShardFigures> {
    #[cfg(feature = "ab")]
    let mut trial = super::ab::Trial::from_env();
    loop {
        let left = driver.left();
        let Parts { turn, io, line } = driver.parts();
        #[cfg(feature = "ab")]
        if let Some(trial) = &mut trial {
            trial.turn(turn, io);
        }
        turn.read_clock_if_due(io);
        let due = turn.tick(io);
        if turn.is_over() {
            // A datagram that the kernel has no room for is sent again, in a drain.
            turn.depart(io);
            if turn.is_over() {
                break;
            }
        }
        if left == 0 {
            let at_most = if turn.is_busy(line) { Duration::ZERO } else { due };
            let at_most = turn.bounded(at_most);
            driver.wait(at_most)?;
        } else {
            turn.reopen(left, io);
        }
        driver.serve_light()?;
        flush(&mut driver);
        if driver.left() > 0 {
            // No wait follows.
            depart(&mut driver);
        } else {
            serve_line(&mut driver);
            flush(&mut driver);
        }
    }
    #[cfg(feature = "ab")]
    if let Some(trial) = &trial {
        trial.tell();
    }
    let Parts { turn, io, .. } = driver.parts();
    let ended = turn.finish(io);
    driver.end()?;
    Ok(ended)
}

fn flush<P: Protocol, T: Recorder, D: Driver<P, T>>(driver: &mut D) {
    let Parts { turn, io, .. } = driver.parts();
    turn.flush(io);
}

fn depart<P: Protocol, T: Recorder, D: Driver<P, T>>(driver: &mut D) {
    let Parts { turn, io, .. } = driver.parts();
    turn.depart(io);
}

/// Does what waits in line, while there is time.
fn serve_line<P: Protocol, T: Recorder, D: Driver<P, T>>(driver: &mut D) {
    let Parts { turn, io, line } = driver.parts();
    if !turn.open_line(line, io) {
        return;
    }
    turn.depart(io);
    loop {
        let Parts { turn, io, line } = driver.parts();
        let Some((subject, work, began)) = turn.begin_held(line) else { return };
        match (work, subject) {
            (Work::Event(event), _) => driver.serve_held(subject, event),
            (Work::GoOn, Subject::Conn(id)) => {
                turn.serve.go_on(id, turn.now, io);
                turn.worked(0, io);
            }
            (Work::GoOn, Subject::Socket(_)) => {}
        }
        let Parts { turn, line, .. } = driver.parts();
        turn.end_held(subject, began, line);
        driver.after_held(subject);
    }
}
