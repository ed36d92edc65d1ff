//! The fleets whose records may still be in a queue: each record is formatted with the plan under which it was made.
//!
//! A reload begins an epoch. Each shard's queue marks where it changes to the next one; when all have changed, the old
//! fleet is dropped.

use fsu_plan::model::fleet::{Fleet, Fsu};
use fsu_plan::model::message::Transport;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

/// Fleets kept for unread queues. Beyond this a reload is refused until the logger has caught up.
pub const EPOCHS_MAX: u32 = 16;

/// What names an FSU's file.
type Name = (fsu_plan::model::fleet::Name, Transport);

#[derive(Debug)]
struct Epoch {
    fleet: Arc<Fleet>,
    /// By FSU number: the number of its file; none where nothing is written.
    files: Vec<u32>,
}

/// The fleets, and which FSU of which has which file.
#[derive(Debug)]
pub(super) struct Epochs {
    /// FSUs have files.
    has_files: bool,
    first: u32,
    list: VecDeque<Epoch>,
    /// Files of all those fleets.
    named: HashMap<Name, u32>,
    /// Free numbers below `next`.
    free: Vec<u32>,
    next: u32,
}

impl Epochs {
    /// The fleet of the start is epoch 0; its files have its FSUs' numbers. `has_files`: there are any.
    pub(super) fn new(fleet: Arc<Fleet>, has_files: bool) -> Self {
        let mut epochs =
            Self { has_files, first: 0, list: VecDeque::new(), named: HashMap::new(), free: Vec::new(), next: 0 };
        epochs.add(fleet);
        epochs
    }

    /// The next epoch. An FSU with the name and transport of an earlier one continues its file.
    pub(super) fn add(&mut self, fleet: Arc<Fleet>) {
        let mut files = Vec::with_capacity(if self.has_files { fleet.fsus.len() } else { 0 });
        for fsu in fleet.fsus.iter().filter(|_| self.has_files) {
            files.push(*self.named.entry((fsu.name.clone(), fsu.transport)).or_insert_with(|| {
                self.free.pop().unwrap_or_else(|| {
                    self.next += 1;
                    self.next - 1
                })
            }));
        }
        self.list.push_back(Epoch { fleet, files });
    }

    /// The last one.
    pub(super) fn newest(&self) -> u32 {
        self.first + self.list.len().saturating_sub(1) as u32
    }

    /// The first one that is kept.
    pub(super) fn oldest(&self) -> u32 {
        self.first
    }

    /// An FSU of an epoch, and the number of its file; its own number where there are none.
    #[inline]
    pub(super) fn fsu(&self, epoch: u32, number: u32) -> Option<(u32, &Fsu)> {
        let epoch = self.list.get(epoch.checked_sub(self.first)? as usize)?;
        let file = if self.has_files { *epoch.files.get(number as usize)? } else { number };
        Some((file, epoch.fleet.fsus.get(number as usize)?))
    }

    /// No queue holds records from before `epoch` any more. Returns the numbers of the files that are no longer used.
    pub(super) fn let_go(&mut self, epoch: u32) -> Vec<u32> {
        let before = self.list.len();
        while self.first < epoch && self.list.len() > 1 {
            self.list.pop_front();
            self.first += 1;
        }
        if self.list.len() == before {
            return Vec::new();
        }
        let kept: HashSet<u32> = self.list.iter().flat_map(|epoch| epoch.files.iter().copied()).collect();
        let mut gone = Vec::new();
        self.named.retain(|_, file| {
            let stays = kept.contains(file);
            if !stays {
                gone.push(*file);
            }
            stays
        });
        self.free.extend(&gone);
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{fleet, fsu};
    use std::path::Path;

    fn of(names: &[&str]) -> Arc<Fleet> {
        let fsus = names.iter().map(|name| fsu(name, Transport::Udp)).collect();
        Arc::new(fleet(Path::new("unused"), fsus))
    }

    #[test]
    fn files_go_with_names_and_are_given_back() {
        let mut epochs = Epochs::new(of(&["a", "b"]), true);
        epochs.add(of(&["b", "c"]));
        let file =
            |epochs: &Epochs, epoch, number| epochs.fsu(epoch, number).map(|(file, fsu)| (file, fsu.name.to_string()));
        assert_eq!(file(&epochs, 0, 0), Some((0, "a".into())));
        assert_eq!(file(&epochs, 1, 0), Some((1, "b".into())));
        assert_eq!(file(&epochs, 1, 1), Some((2, "c".into())));
        assert_eq!(file(&epochs, 1, 2), None);
        assert_eq!((epochs.oldest(), epochs.newest()), (0, 1));
        assert_eq!(epochs.let_go(0), [0; 0]);
        assert_eq!(epochs.let_go(1), [0]);
        assert_eq!((file(&epochs, 0, 0), epochs.oldest()), (None, 1));
        // The number is had again; the last epoch stays whatever is said.
        epochs.add(of(&["b", "d"]));
        assert_eq!(file(&epochs, 2, 1), Some((0, "d".into())));
        assert_eq!(epochs.let_go(9), [2]);
        assert_eq!((epochs.oldest(), epochs.newest()), (2, 2));
    }
}
