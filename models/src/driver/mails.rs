//! Commands: a handle in one thread, the shard's loop in the other. The bell stands for the eventfd.

use super::mail::{send, take};
use crate::sync::channel::{Receiver, Sender, bounded};
use loom::sync::{Arc, Condvar, Mutex};

/// How a driver waits for the bell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// While it is rung and not cleared: epoll.
    Level,
    /// Each time that it is rung: a poll of io_uring that goes on for good.
    Edge,
}

#[derive(Default)]
struct Rung {
    is_rung: bool,
    is_posted: bool,
}

struct Bell {
    wait: Wait,
    rung: Mutex<Rung>,
    changed: Condvar,
}

impl Bell {
    fn new(wait: Wait) -> Arc<Self> {
        Arc::new(Self { wait, rung: Mutex::new(Rung::default()), changed: Condvar::new() })
    }

    fn ring(&self) {
        *self.rung.lock().unwrap() = Rung { is_rung: true, is_posted: true };
        self.changed.notify_all();
    }

    fn clear(&self) {
        self.rung.lock().unwrap().is_rung = false;
    }

    fn wait(&self) {
        let mut rung = self.rung.lock().unwrap();
        while !(if self.wait == Wait::Level { rung.is_rung } else { rung.is_posted }) {
            rung = self.changed.wait(rung).unwrap();
        }
        rung.is_posted = false;
    }
}

enum Command {
    Ask(u8, Sender<u8>),
    Stop,
}

/// A shard's loop. It ends when it is told to stop, or by itself after `wakes_max` wakes.
fn serve(commands: Receiver<Command>, bell: &Bell, wakes_max: usize) {
    for _ in 0..wakes_max {
        bell.wait();
        let mut is_stopped = false;
        for command in take(&commands, || bell.clear()) {
            match command {
                Command::Ask(number, answer) => drop(answer.send(number + 100)),
                Command::Stop => is_stopped = true,
            }
        }
        if is_stopped {
            return;
        }
    }
}

fn ask(commands: &Sender<Command>, bell: &Bell, number: u8) -> Receiver<u8> {
    let (answer, receiver) = bounded(1);
    send(commands, Command::Ask(number, answer), || bell.ring());
    receiver
}

/// A handle that asks `asked` times and says stop, over a channel with room for `room`: each question is answered, and the shard ends.
pub fn every_command_is_seen(wait: Wait, room: usize, asked: u8) {
    let (commands, receiver) = bounded(room);
    let bell = Bell::new(wait);
    let rung = bell.clone();
    let shard = loom::thread::spawn(move || serve(receiver, &rung, usize::MAX));
    let answers: Vec<_> = (0..asked).map(|number| ask(&commands, &bell, number)).collect();
    for (number, answer) in (0..asked).zip(answers) {
        assert_eq!(answer.recv(), Ok(number + 100));
    }
    assert!(send(&commands, Command::Stop, || bell.ring()));
    shard.join().unwrap();
}

/// The same without waiting for the answers before the stop: each is answered, or whoever asked learns that it is not.
pub fn a_question_near_the_stop_has_an_end(wait: Wait, room: usize) {
    let (commands, receiver) = bounded(room);
    let bell = Bell::new(wait);
    let rung = bell.clone();
    let shard = loom::thread::spawn(move || serve(receiver, &rung, usize::MAX));
    let before = ask(&commands, &bell, 1);
    send(&commands, Command::Stop, || bell.ring());
    let after = ask(&commands, &bell, 2);
    assert_eq!(before.recv(), Ok(101));
    assert!([Ok(102), Err(crate::sync::channel::Gone)].contains(&after.recv()));
    shard.join().unwrap();
}

/// A shard ends by itself after `wakes` wakes while it is asked. Nobody waits for ever, and each answer is right.
pub fn a_shard_that_ends_leaves_nobody_waiting(wait: Wait, room: usize, wakes: usize) {
    let (commands, receiver) = bounded(room);
    let bell = Bell::new(wait);
    let rung = bell.clone();
    let shard = loom::thread::spawn(move || serve(receiver, &rung, wakes));
    let answers: Vec<_> = (0..3).map(|number| ask(&commands, &bell, number)).collect();
    for (number, answer) in (0..3).zip(answers) {
        assert!(answer.recv().is_ok_and(|answer| answer == number + 100) || number > 0 || wakes == 0);
    }
    shard.join().unwrap();
    assert!(!send(&commands, Command::Stop, || bell.ring()), "who sends later learns it, too");
}
