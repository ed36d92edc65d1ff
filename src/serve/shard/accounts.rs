//! What has become of messages, by account (spec conversation.md): counts, and the time from send to acknowledgement.

use super::late::Steps;
use fsu_core::answer::talk::{Event, Happened};
use fsu_plan::model::conversation::Account;
use hdrhistogram::Histogram;

/// The longest time that is recorded; more counts as this.
const WAIT_US_MAX: u64 = 3_600_000_000;
/// The longest lateness that is recorded.
const LATE_US_MAX: u64 = 60_000_000;
/// Significant digits: values are exact to 1 %.
const DIGITS: u8 = 2;

/// One account. 88 bytes, and up to 40 KiB of histograms once it is used.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Messages by what has become of them, by [`Event`].
    pub events: [u64; Event::ALL.len()],
    /// From send to acknowledgement, in microseconds.
    waits: Option<Box<Histogram<u64>>>,
    /// From due to sent, in microseconds: of each frame to each receiver.
    late: Option<Box<Histogram<u64>>>,
}

/// All of them, by number; grown as they are used.
#[derive(Clone, Debug, Default)]
pub struct Accounts(Vec<Tally>);

impl Tally {
    /// Messages sent, retries apart.
    pub fn sent(&self) -> u64 {
        self.count(Event::Sent)
    }

    /// Messages of which that has become.
    pub fn count(&self, event: Event) -> u64 {
        self.events[event as usize]
    }

    /// Those sent that nothing has been decided of yet; of an account that nothing acknowledges that is all of them.
    pub fn pending(&self) -> u64 {
        let over = [Event::Acknowledged, Event::Refused, Event::GivenUp].map(|event| self.count(event));
        self.sent().saturating_sub(over.iter().sum())
    }

    /// From send to acknowledgement, in microseconds; `None`: nothing was acknowledged.
    pub fn waits(&self) -> Option<&Histogram<u64>> {
        self.waits.as_deref()
    }

    /// From due to sent, in microseconds; `None`: nothing was sent.
    pub fn late(&self) -> Option<&Histogram<u64>> {
        self.late.as_deref()
    }

    fn add(&mut self, other: &Self) {
        for (count, more) in self.events.iter_mut().zip(other.events) {
            *count += more;
        }
        merge(&mut self.waits, other.waits.as_deref());
        merge(&mut self.late, other.late.as_deref());
    }
}

impl Accounts {
    /// Counts what has become of a message.
    pub(crate) fn add(&mut self, happened: &Happened) {
        let Some(tally) = self.made(happened.account as usize) else { return };
        tally.events[happened.event as usize] += 1;
        if happened.event == Event::Acknowledged {
            record(&mut tally.waits, WAIT_US_MAX, happened.since_first_ns);
        }
    }

    /// A frame of a message was handed to the kernel that long after it was due.
    pub(crate) fn late(&mut self, account: u32, late_ns: i64) {
        if let Some(tally) = self.made(account as usize) {
            record(&mut tally.late, LATE_US_MAX, late_ns);
        }
    }

    /// Adds another shard's.
    pub fn merge(&mut self, other: &Self) {
        for (number, tally) in other.0.iter().enumerate() {
            if let Some(own) = self.made(number) {
                own.add(tally);
            }
        }
    }

    /// Those of another fleet: accounts of the same template and name continue, others begin.
    pub(crate) fn carry(&mut self, was: &[Account], is: &[Account]) {
        let before = std::mem::take(&mut self.0);
        for (account, tally) in was.iter().zip(before) {
            let number = is.iter().position(|now| (&now.vendor, &now.name) == (&account.vendor, &account.name));
            if let Some(own) = number.and_then(|number| self.made(number)) {
                own.add(&tally);
            }
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// A copy of some of them, by number.
    pub(crate) fn some(&self, from: usize, many: usize) -> Vec<Tally> {
        self.0.iter().skip(from).take(many).cloned().collect()
    }

    /// Puts one in place.
    pub(crate) fn put(&mut self, number: usize, tally: Tally) {
        if let Some(place) = self.made(number) {
            *place = tally;
        }
    }

    /// That of a number.
    pub fn get(&self, account: usize) -> Option<&Tally> {
        self.0.get(account)
    }

    /// A fleet has at most as many as rule files have messages.
    fn made(&mut self, account: usize) -> Option<&mut Tally> {
        if self.0.len() <= account {
            self.0.resize_with(account + 1, Tally::default);
        }
        self.0.get_mut(account)
    }
}

/// Times to the acknowledgement that several processes measured.
pub fn waits_of(all: &[Steps]) -> Option<Histogram<u64>> {
    of_steps(all, WAIT_US_MAX)
}

/// The same of lateness.
pub fn late_of(all: &[Steps]) -> Option<Histogram<u64>> {
    of_steps(all, LATE_US_MAX)
}

fn of_steps(all: &[Steps], most: u64) -> Option<Histogram<u64>> {
    let mut histogram = Histogram::new_with_bounds(1, most, DIGITS).ok()?;
    for steps in all {
        steps.record(&mut histogram);
    }
    Some(histogram)
}

fn record(histogram: &mut Option<Box<Histogram<u64>>>, most: u64, ns: i64) {
    let made = || Histogram::new_with_bounds(1, most, DIGITS).ok().map(Box::new);
    if histogram.is_none() {
        *histogram = made();
    }
    if let Some(histogram) = histogram {
        histogram.saturating_record((ns.max(0) as u64).div_ceil(1_000));
    }
}

fn merge(own: &mut Option<Box<Histogram<u64>>>, other: Option<&Histogram<u64>>) {
    match (own, other) {
        (Some(own), Some(other)) => {
            // Both have the same bounds, so it does not fail.
            let _ = own.add(other);
        }
        (own @ None, Some(other)) => *own = Some(Box::new(other.clone())),
        (_, None) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn happened(account: u32, event: Event, since_ms: i64) -> Happened {
        let (device, message) = (u16::MAX, u16::MAX);
        Happened { account, device, message, number: 1, event, since_first_ns: since_ms * 1_000_000, key: 0 }
    }

    #[test]
    fn limit_wait_us_max_longer_waits_count_as_the_longest() {
        let mut accounts = Accounts::default();
        accounts.add(&happened(0, Event::Acknowledged, 2 * 3_600_000));
        let waits = accounts.get(0).and_then(Tally::waits).expect("one");
        assert!((waits.len(), waits.max() / 10_000_000) == (1, 360), "{}", waits.max());
    }

    #[test]
    fn shards_add_up() {
        let mut shards = [Accounts::default(), Accounts::default()];
        shards[0].add(&happened(2, Event::Sent, 0));
        shards[0].add(&happened(2, Event::Acknowledged, 10));
        shards[1].add(&happened(2, Event::Sent, 0));
        shards[1].add(&happened(2, Event::GivenUp, 99));
        shards[1].add(&happened(0, Event::Sent, 0));
        shards[1].late(2, 3_000_000);
        let [mut all, other] = shards;
        all.merge(&other);
        let tally = all.get(2).expect("used");
        assert_eq!((tally.sent(), tally.count(Event::Acknowledged), tally.pending()), (2, 1, 0));
        assert_eq!(tally.waits().map(Histogram::len), Some(1));
        assert!(tally.waits().is_some_and(|waits| (9_900..=10_100).contains(&waits.max())));
        assert!(tally.late().is_some_and(|late| (2_970..=3_030).contains(&late.max())));
        assert_eq!(
            (all.get(0).map(Tally::pending), all.get(1).map(Tally::sent), all.get(3).is_none()),
            (Some(1), Some(0), true)
        );
    }
}
