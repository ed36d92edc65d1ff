//! What the program's files share things by, made of loom's locks and fences. A sleep ends when it likes. A thread that is parked is never
//! woken by time: whoever relies on that hangs here.

use loom::sync::Condvar;
pub(crate) use loom::sync::atomic::{Ordering, fence};
pub(crate) use loom::sync::{Arc, Mutex};
pub(crate) use std::sync::PoisonError;
use std::time::Duration;

pub(crate) fn sleep(_: Duration) {
    loom::thread::yield_now();
}

/// A thread's own mark that it was woken. Not loom's: that one ends any wait of the thread, not only a park.
#[derive(Clone, Debug)]
pub(crate) struct Thread(Arc<(Mutex<bool>, Condvar)>);

impl Thread {
    pub(crate) fn unpark(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_one();
    }
}

loom::thread_local! {
    static THIS: Thread = Thread(Arc::new((Mutex::new(false), Condvar::new())));
}

pub(crate) fn current() -> Thread {
    THIS.with(Clone::clone)
}

pub(crate) fn park_timeout(_: Duration) {
    let this = current();
    let mut is_woken = this.0.0.lock().unwrap();
    while !*is_woken {
        is_woken = this.0.1.wait(is_woken).unwrap();
    }
    *is_woken = false;
}

/// As much of flume's bounded channel as is used, by its documentation: a send waits for room, and fails when the receiver
/// is gone; with the receiver goes what waits in the channel.
pub(crate) mod channel {
    use loom::sync::{Arc, Condvar, Mutex};
    use std::collections::VecDeque;

    struct State<T> {
        queue: VecDeque<T>,
        room: usize,
        senders: usize,
        is_received: bool,
    }

    struct Shared<T> {
        state: Mutex<State<T>>,
        changed: Condvar,
    }

    pub(crate) struct Sender<T>(Arc<Shared<T>>);
    pub(crate) struct Receiver<T>(Arc<Shared<T>>);

    #[derive(Debug, PartialEq, Eq)]
    pub(crate) struct Gone;

    pub(crate) fn bounded<T>(room: usize) -> (Sender<T>, Receiver<T>) {
        let state = State { queue: VecDeque::new(), room, senders: 1, is_received: true };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        (Sender(shared.clone()), Receiver(shared))
    }

    impl<T> Sender<T> {
        pub(crate) fn send(&self, value: T) -> Result<(), Gone> {
            let mut state = self.0.state.lock().unwrap();
            while state.is_received && state.queue.len() == state.room {
                state = self.0.changed.wait(state).unwrap();
            }
            if !state.is_received {
                return Err(Gone);
            }
            state.queue.push_back(value);
            self.0.changed.notify_all();
            Ok(())
        }
    }

    impl<T> Clone for Sender<T> {
        fn clone(&self) -> Self {
            self.0.state.lock().unwrap().senders += 1;
            Self(self.0.clone())
        }
    }

    impl<T> Drop for Sender<T> {
        fn drop(&mut self) {
            self.0.state.lock().unwrap().senders -= 1;
            self.0.changed.notify_all();
        }
    }

    impl<T> Receiver<T> {
        pub(crate) fn try_recv(&self) -> Result<T, Gone> {
            let taken = self.0.state.lock().unwrap().queue.pop_front();
            self.0.changed.notify_all();
            taken.ok_or(Gone)
        }

        pub(crate) fn recv(&self) -> Result<T, Gone> {
            let mut state = self.0.state.lock().unwrap();
            loop {
                if let Some(value) = state.queue.pop_front() {
                    self.0.changed.notify_all();
                    return Ok(value);
                }
                if state.senders == 0 {
                    return Err(Gone);
                }
                state = self.0.changed.wait(state).unwrap();
            }
        }
    }

    impl<T> Drop for Receiver<T> {
        fn drop(&mut self) {
            let mut state = self.0.state.lock().unwrap();
            state.is_received = false;
            let left = std::mem::take(&mut state.queue);
            drop(state);
            self.0.changed.notify_all();
            // What is dropped with it may lock another channel.
            drop(left);
        }
    }
}
