//! Compares the ledger of a mock with that of a centre, message by message.

use super::{Event, Line};
use crate::numbers::{counted, thousands};
use fsu_plan::words;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufRead};

/// Longest line that is read.
const LINE_BYTES_MAX: u64 = 65_536;
/// Differences that are named; the rest is counted.
const NAMED_MAX: usize = 20;

/// A ledger that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The system's error.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A line that is none of a ledger.
    #[error("line {line}: {why}")]
    Line {
        /// Its number, from 1.
        line: u64,
        /// What is wrong.
        why: String,
    },
}

words! {
    /// In what two ledgers differ.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub enum Difference {
        /// The device sent it; the centre never got it.
        Lost = "lost": "sent and not received",
        /// The centre got it; no device sent it.
        Unsent = "unsent": "received and not sent",
        /// The device counts it as acknowledged; the centre did not acknowledge it.
        Unacked = "unacked": "acknowledged at the device and not by the centre",
        /// The centre acknowledged it; the device had given it up.
        AckLost = "ack_lost": "acknowledged by the centre and given up at the device",
        /// The device waits for it still, or its ledger ended before.
        Open = "open": "acknowledged by the centre, and neither acknowledged nor given up when the mock's ledger ended",
    }
}

impl Difference {
    /// Is it a failure? A device that gave up what was acknowledged too late, or waits at the end, is none.
    pub fn fails(self) -> bool {
        !matches!(self, Self::Open | Self::AckLost)
    }
}

/// What was done with the messages of one key.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    sent: u32,
    retried: u32,
    acknowledged: u32,
    given_up: u32,
    received: u32,
    received_again: u32,
    acked: u32,
}

/// The version of [`Compared`]; grows when a key changes its meaning or goes.
const VERSION: u32 = 1;

/// Both ledgers, compared, as `--json FILE` holds it. `fsu-mock schema flood-reconcile` prints its JSON Schema.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Compared {
    /// Version of this shape.
    pub version: u32,
    /// Messages that the mock sent, without retries.
    pub sent: u64,
    /// Retries of the mock.
    pub retried: u64,
    /// Messages that the mock counts as acknowledged.
    pub acknowledged: u64,
    /// Messages that the mock gave up, or was refused.
    pub given_up: u64,
    /// Messages that the centre received, without those that came again.
    pub received: u64,
    /// Messages that the centre received again.
    pub received_again: u64,
    /// Acknowledgements of the centre.
    pub acked: u64,
    /// Lines that the ledgers themselves say are missing in them.
    pub lines_missing: u64,
    /// Messages that are the same at both ends.
    pub same: u64,
    /// The others, by in what they differ: `lost`, `unsent`, `unacked`, `ack_lost`, `open`.
    pub differences: BTreeMap<String, u64>,
    /// The first of them.
    pub named: Vec<Named>,
    /// No message was lost or made up, and none counts as acknowledged that was not.
    pub passed: bool,
    /// Why not.
    pub failures: Vec<String>,
}

/// A message that differs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct Named {
    /// In what.
    pub difference: String,
    /// The message.
    pub message: String,
    /// Its FSU; empty where the centre does not know it.
    pub fsu: String,
    /// Its key.
    pub key: String,
}

impl Compared {
    /// For people.
    pub fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "mock:   {} sent, {} retried, {} acknowledged, {} given up",
            thousands(self.sent),
            thousands(self.retried),
            thousands(self.acknowledged),
            thousands(self.given_up)
        );
        let _ = writeln!(
            out,
            "centre: {} received, {} received again, {} acknowledged",
            thousands(self.received),
            thousands(self.received_again),
            thousands(self.acked)
        );
        let _ = writeln!(out, "the same at both ends: {}", thousands(self.same));
        for difference in Difference::ALL {
            if let Some(count) = self.differences.get(difference.name()) {
                let _ = writeln!(out, "  {}: {}", difference.meaning(), thousands(*count));
            }
        }
        for Named { difference, message, fsu, key } in &self.named {
            let fsu = if fsu.is_empty() { "?" } else { fsu };
            let _ = writeln!(out, "    {difference}: {message} of {fsu}, key {key}");
        }
        let _ = match self.failures.as_slice() {
            [] => writeln!(out, "\n  passed"),
            failures => writeln!(out, "\n  FAILED: {}", failures.join(", ")),
        };
        out
    }
}

/// Compares what a mock and a centre wrote. Messages with equal keys are counted against each other. An FSU that the centre does not
/// know counts for any.
///
/// # Errors
/// A line that is none of a ledger, or one of the other end's; true: in that of the mock.
pub fn compare(mock: &mut dyn BufRead, centre: &mut dyn BufRead) -> Result<Compared, (bool, LedgerError)> {
    let mut all = Accounts::default();
    let told = lines(centre, |line, event| all.centre(line, event)).map_err(|error| (false, error))?;
    let ours = lines(mock, |line, event| all.mock(line, event)).map_err(|error| (true, error))?;
    Ok(all.compared(told + ours))
}

/// Accounts by a hash of message, key and FSU: some 100 bytes a message.
#[derive(Default)]
struct Accounts {
    all: HashMap<u64, Entry>,
    hasher: RandomState,
}

struct Entry {
    account: Account,
    /// Message, FSU and key.
    names: [Box<str>; 3],
}

impl Accounts {
    fn hash(&self, line: &Line) -> u64 {
        self.hasher.hash_one((&line.message, &line.key, &line.fsu))
    }

    fn of(&mut self, line: &Line) -> &mut Account {
        // With an FSU that is not known, messages of all FSUs share an account.
        let key = self.hash(line);
        let entry = || Entry {
            account: Account::default(),
            names: [&line.message, &line.fsu, &line.key].map(|name| name.as_str().into()),
        };
        &mut self.all.entry(key).or_insert_with(entry).account
    }

    fn centre(&mut self, line: &Line, event: Event) -> bool {
        let account = self.of(line);
        match event {
            Event::Received => account.received += 1,
            Event::Retried => account.received_again += 1,
            Event::Acked => account.acked += 1,
            _ => return false,
        }
        true
    }

    fn mock(&mut self, line: &Line, event: Event) -> bool {
        // The centre may not know which FSU it is.
        let unknown = Line { fsu: String::new(), ..line.clone() };
        let is_unknown = !self.all.contains_key(&self.hash(line)) && self.all.contains_key(&self.hash(&unknown));
        let account = self.of(if is_unknown { &unknown } else { line });
        match event {
            Event::Sent => account.sent += 1,
            Event::Retried => account.retried += 1,
            Event::Acknowledged => account.acknowledged += 1,
            // Neither is waited for any longer.
            Event::GivenUp | Event::Refused => account.given_up += 1,
            _ => return false,
        }
        true
    }

    fn compared(self, lines_missing: u64) -> Compared {
        let mut total = Compared { version: VERSION, lines_missing, ..Compared::default() };
        let mut named: Vec<(Difference, Named)> = Vec::new();
        for Entry { account, names } in self.all.into_values() {
            total.sent += u64::from(account.sent);
            total.retried += u64::from(account.retried);
            total.acknowledged += u64::from(account.acknowledged);
            total.given_up += u64::from(account.given_up);
            total.received += u64::from(account.received);
            total.received_again += u64::from(account.received_again);
            total.acked += u64::from(account.acked);
            let differences = account.differences();
            let differing: u32 = differences.iter().map(|(_, count)| count).sum();
            total.same += u64::from(account.sent.max(account.received).saturating_sub(differing));
            for (difference, count) in differences.into_iter().filter(|(_, count)| *count > 0) {
                *total.differences.entry(difference.name().to_owned()).or_default() += u64::from(count);
                let [message, fsu, key] = names.clone().map(String::from);
                named.push((difference, Named { difference: difference.name().to_owned(), message, fsu, key }));
            }
        }
        let failing = Difference::ALL.into_iter().filter(|difference| difference.fails());
        let told = failing.filter_map(|difference| Some((total.differences.get(difference.name())?, difference)));
        let failures = told.map(|(count, why)| format!("{} {}", counted(*count, "message"), why.meaning()));
        let missing = Some(lines_missing).filter(|lines| *lines > 0);
        let missing = missing.map(|lines| format!("{} missing in the ledgers", counted(lines, "line")));
        total.failures = failures.chain(missing).collect();
        total.passed = total.failures.is_empty();
        named.sort();
        named.truncate(NAMED_MAX);
        total.named = named.into_iter().map(|(_, named)| named).collect();
        total
    }
}

impl Account {
    fn differences(self) -> [(Difference, u32); 5] {
        let Self { sent, retried, acknowledged, given_up, received, received_again, acked } = self;
        // The centre takes a retry for the first one where that was lost on its way.
        let arrived = received + received_again;
        let lost = sent.saturating_sub(arrived);
        let unsent = arrived.saturating_sub(sent + retried);
        let unacked = acknowledged.saturating_sub(acked);
        let open = sent.saturating_sub(acknowledged + given_up);
        let ack_lost = if acknowledged == 0 && acked > 0 { given_up.min(acked) } else { 0 };
        // A message that nobody acknowledges is never over.
        let open = if acked == 0 { 0 } else { open };
        [
            (Difference::Lost, lost),
            (Difference::Unsent, unsent),
            (Difference::Unacked, unacked),
            (Difference::AckLost, ack_lost),
            (Difference::Open, open),
        ]
    }
}

/// Hands over each line; false: the line is not of this end. Returns how many are missing.
fn lines(input: &mut dyn BufRead, mut take: impl FnMut(&Line, Event) -> bool) -> Result<u64, LedgerError> {
    let (mut text, mut number, mut missing) = (Vec::new(), 0, 0);
    loop {
        text.clear();
        number += 1;
        let read = io::Read::take(&mut *input, LINE_BYTES_MAX).read_until(b'\n', &mut text)?;
        if read == 0 {
            return Ok(missing);
        }
        let wrong = |why: String| LedgerError::Line { line: number, why };
        if text.last() != Some(&b'\n') && read as u64 == LINE_BYTES_MAX {
            return Err(wrong(format!("longer than {LINE_BYTES_MAX} bytes")));
        }
        if text.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let line: Line = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        if let Some(lost) = line.lost {
            missing += lost;
            continue;
        }
        let event =
            Event::from_name(&line.event).ok_or_else(|| wrong(format!("no event of a message: `{}`", line.event)))?;
        if !take(&line, event) {
            return Err(wrong(format!("`{}` is of the other end: the mock's ledger comes first", line.event)));
        }
    }
}
