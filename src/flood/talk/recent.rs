//! What one FSU or connection said and is waiting for, or was told a moment ago: so that a message that comes again is known.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

/// Messages of one FSU or connection that are remembered. The oldest goes for a new one; 24 bytes each, taken as they come.
pub const RECENT_MAX: usize = 64;

/// FSUs whose connection is gone and whose last messages are remembered for the next one. Those of others are new then. 40 bytes each, and
/// the messages.
pub const PAST_MAX: usize = 100_000;

/// What a message is to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// The first of its kind.
    New,
    /// The same bytes again, and no right acknowledgement was sent yet.
    Retried,
    /// The same bytes again, though they were acknowledged.
    Duplicate,
}

/// How a message is told from another one.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    /// Of the bytes.
    pub hash: u64,
    /// Number of the message.
    pub message: u16,
    /// No two of these messages have the same bytes.
    pub is_unique: bool,
    /// Its sender may send it again for so long.
    pub patience_ms: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: u64,
    until_ms: u64,
    message: u16,
    is_acked: bool,
}

/// How far a message is that is several frames of a cycle.
#[derive(Clone, Copy, Debug)]
struct Part {
    message: u16,
    /// Frames that came.
    done: u32,
    at_ms: u64,
}

/// What is remembered: nothing takes no memory.
#[derive(Debug, Default)]
pub struct Recent(VecDeque<Entry>, Vec<Part>);

impl Recent {
    /// A message came that waits for an acknowledgement.
    pub fn came(&mut self, told: Told, now_ms: u64) -> Again {
        while self.0.front().is_some_and(|entry| entry.until_ms < now_ms) {
            self.0.pop_front();
        }
        let same =
            |entry: &&mut Entry| (entry.hash, entry.message) == (told.hash, told.message) && entry.until_ms >= now_ms;
        // The latest one: an earlier one of the same bytes is over.
        let again = match self.0.iter_mut().rev().find(same) {
            Some(entry) if !entry.is_acked => Again::Retried,
            Some(_) if told.is_unique => Again::Duplicate,
            _ => Again::New,
        };
        if again == Again::New {
            if self.0.len() >= RECENT_MAX {
                self.0.pop_front();
            }
            let until_ms = now_ms.saturating_add(told.patience_ms);
            self.0.push_back(Entry { hash: told.hash, until_ms, message: told.message, is_acked: false });
        }
        again
    }

    /// A frame came of a message that is `of` frames of a cycle, at most `gap_ms` apart. Is it another one of the message before it?
    pub fn is_further(&mut self, message: u16, of: u32, gap_ms: u64, now_ms: u64) -> bool {
        let known = self.1.iter().position(|part| part.message == message);
        let at = known.unwrap_or_else(|| {
            self.1.push(Part { message, done: 0, at_ms: 0 });
            self.1.len() - 1
        });
        let part = &mut self.1[at];
        let is_further = part.done > 0 && part.done < of && now_ms <= part.at_ms.saturating_add(gap_ms);
        part.done = if is_further { part.done + 1 } else { 1 };
        part.at_ms = now_ms;
        is_further
    }

    /// A right acknowledgement was sent. True if it is the message's first, and its sender still waits for one.
    pub fn acked(&mut self, hash: u64, message: u16) -> bool {
        let same = |entry: &&mut Entry| (entry.hash, entry.message) == (hash, message);
        let entry = self.0.iter_mut().rev().find(same);
        entry.is_some_and(|entry| !std::mem::replace(&mut entry.is_acked, true))
    }

    /// What was said over a connection that was gone for `away_ms` comes before. Nobody heard the sender then, so its waits began again.
    fn adopt(&mut self, past: Self, away_ms: u64) {
        let mut all = past.0;
        for entry in &mut all {
            entry.until_ms = entry.until_ms.saturating_add(away_ms);
        }
        all.append(&mut self.0);
        all.drain(..all.len().saturating_sub(RECENT_MAX));
        self.0 = all;
    }

    /// Bytes of memory that it takes.
    pub fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<Entry>() + self.1.capacity() * size_of::<Part>()
    }
}

/// What FSUs said over connections that are gone, by their number among the speakers: all threads', as the next connection may be
/// another one's.
#[derive(Debug, Default)]
pub struct Past(Mutex<HashMap<u32, (u64, Recent)>>);

impl Past {
    /// A connection of an FSU is gone.
    pub fn keep(&self, speaker: u32, recent: Recent, now_ms: u64) {
        if recent.0.is_empty() {
            return;
        }
        let Ok(mut all) = self.0.lock() else { return };
        if all.len() < PAST_MAX || all.contains_key(&speaker) {
            all.insert(speaker, (now_ms, recent));
        }
    }

    /// Another connection is an FSU's.
    pub fn return_to(&self, speaker: u32, recent: &mut Recent, now_ms: u64) {
        let past = self.0.lock().ok().and_then(|mut all| all.remove(&speaker));
        if let Some((since_ms, past)) = past {
            recent.adopt(past, now_ms.saturating_sub(since_ms));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages as letters, `!` acknowledges the last one, digits let that many seconds pass; capitals are unique ones.
    fn check(said: &str, expected: &str) {
        let (mut recent, mut now_ms, mut last, mut found) = (Recent::default(), 0, ' ', String::new());
        for c in said.chars() {
            match c {
                '!' => found.push_str(if recent.acked(u64::from(last), 0) { "" } else { "-" }),
                '0'..='9' => now_ms += 1_000 * u64::from(c.to_digit(10).unwrap()),
                _ => {
                    let told = Told { hash: c.into(), message: 0, is_unique: c.is_uppercase(), patience_ms: 3_000 };
                    found.push(match recent.came(told, now_ms) {
                        Again::New => 'n',
                        Again::Retried => 'r',
                        Again::Duplicate => 'd',
                    });
                    last = c;
                }
            }
        }
        assert_eq!(found, expected, "{said}");
    }

    #[test]
    fn a_message_that_comes_again_is_a_retry_until_it_is_acknowledged() {
        check("aba", "nnr");
        check("aa!a", "nrn");
        check("AA!A", "nrd");
        // Beyond the sender's patience it is another one.
        check("a3a", "nr");
        check("a4a", "nn");
        check("A!4A", "nn");
        check("a!a!a", "nnn");
        check("a!aa", "nnr");
        // Only the first acknowledgement of a message counts, and only while its sender waits.
        check("A!A!", "nd-");
        check("A4B!A", "nnn");
        check("A!!", "n-");
    }

    /// A message over a connection that then is gone for some time, and the same bytes over the next one, after another message there.
    #[test]
    fn a_retry_over_the_next_connection_is_one() {
        let told = |hash| Told { hash, message: 0, is_unique: true, patience_ms: 3_000 };
        let check = |is_acked: bool, (whose, away_ms): (u32, u64), expected: Again| {
            let (past, mut recent) = (Past::default(), Recent::default());
            assert_eq!(recent.came(told(7), 1_000), Again::New);
            if is_acked {
                recent.acked(7, 0);
            }
            past.keep(5, recent, 2_000);
            let mut next = Recent::default();
            let now_ms = 2_000 + away_ms;
            assert_eq!(next.came(told(8), now_ms), Again::New);
            past.return_to(whose, &mut next, now_ms);
            assert_eq!([next.came(told(7), now_ms + 10), next.came(told(8), now_ms + 10)], [expected, Again::Retried]);
        };
        check(false, (5, 100), Again::Retried);
        // Its waits begin again while nobody hears it.
        check(false, (5, 60_000), Again::Retried);
        check(true, (5, 100), Again::Duplicate);
        check(false, (6, 100), Again::New);
    }

    #[test]
    fn limit_past_max_others_are_not_remembered() {
        let said = || {
            let mut recent = Recent::default();
            recent.came(Told { hash: 1, message: 0, is_unique: true, patience_ms: 1 }, 0);
            recent
        };
        let past = Past::default();
        (0..=PAST_MAX as u32).for_each(|speaker| past.keep(speaker, said(), 0));
        // One that is there already is replaced; who said nothing is not kept.
        past.keep(0, said(), 1);
        past.keep(7, Recent::default(), 0);
        let all = past.0.lock().unwrap();
        assert_eq!((all.len(), all[&0].0, all.contains_key(&(PAST_MAX as u32))), (PAST_MAX, 1, false));
    }

    #[test]
    fn frames_of_a_cycle_are_one_message() {
        let mut recent = Recent::default();
        let mut at = |message, now_ms| recent.is_further(message, 3, 100, now_ms);
        assert_eq!(
            [at(0, 0), at(0, 10), at(1, 15), at(0, 20), at(0, 30), at(1, 40)],
            [false, true, false, true, false, true]
        );
        // One was lost: counting starts again after the gap.
        assert_eq!([at(0, 40), at(0, 200), at(0, 210), at(0, 220), at(0, 230)], [true, false, true, true, false]);
    }

    #[test]
    fn limit_recent_max_the_oldest_is_forgotten() {
        let told = |hash| Told { hash, message: 0, is_unique: true, patience_ms: 1_000 };
        let mut recent = Recent::default();
        assert_eq!(recent.bytes(), 0);
        let all: Vec<Again> = (0..=RECENT_MAX as u64).map(|hash| recent.came(told(hash), 0)).collect();
        assert!(all.iter().all(|again| *again == Again::New));
        assert_eq!([recent.came(told(1), 0), recent.came(told(0), 0)], [Again::Retried, Again::New]);
    }
}
