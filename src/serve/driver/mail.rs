//! Commands on their way to a shard: a channel, and something that wakes the shard. Also run under loom (docs/internals/models.md).

use crate::sync::channel::{Receiver, Sender};

/// Sends a command and wakes the shard. False: the shard has ended, and the command is dropped with its answer channel.
pub(crate) fn send<C>(commands: &Sender<C>, command: C, wake: impl FnOnce()) -> bool {
    let sent = commands.send(command).is_ok();
    if sent {
        wake();
    }
    sent
}

/// The commands that have come. `clear` resets the wake-up before they are taken, so that none is left without one.
pub(crate) fn take<C>(commands: &Receiver<C>, clear: impl FnOnce()) -> Vec<C> {
    clear();
    std::iter::from_fn(|| commands.try_recv().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::channel::bounded;
    use std::cell::Cell;

    #[test]
    fn a_wake_follows_its_command_and_is_cleared_before_that_is_taken() {
        let (commands, receiver) = bounded(2);
        let woken = Cell::new(0);
        for command in [7, 8] {
            assert!(send(&commands, command, || woken.set(woken.get() + receiver.len())));
        }
        assert_eq!(woken.get(), 1 + 2, "each after its command was there");
        let there = Cell::new(0);
        assert_eq!(take(&receiver, || there.set(receiver.len())), [7, 8]);
        assert_eq!(there.get(), 2);
        drop(receiver);
        assert!(!send(&commands, 9, || panic!("nobody is woken")));
    }
}
