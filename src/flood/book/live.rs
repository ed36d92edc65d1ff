//! Figures of the threads while they run.

use crate::book::Book;
use crate::book::tally::{CommandCounts, Latency, Other, latency};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

/// One thread's latest figures.
#[derive(Debug)]
pub struct Slice {
    /// By command, since the start.
    pub rows: Vec<CommandCounts>,
    /// The rest, since the start.
    pub other: Other,
    /// Latencies since the last look.
    pub interval: Latency,
    /// CPU time of the thread since the measurement began.
    pub cpu_ns: u64,
    /// What is only for those who look at everything.
    pub more: More,
}

/// What is published only if somebody looks at everything.
#[derive(Clone, Debug)]
pub struct More {
    /// From planned to sent, since the start.
    pub lag: Latency,
    /// What is wrong with replies, since the start.
    pub wrong_by: BTreeMap<&'static str, u64>,
    /// Messages that came unasked, and right acknowledgements, since the start.
    pub heard: [u64; 2],
    /// Requests under way.
    pub open: u64,
}

impl Default for More {
    fn default() -> Self {
        Self { lag: latency(), wrong_by: BTreeMap::new(), heard: [0; 2], open: 0 }
    }
}

/// Shared by the threads and the display.
#[derive(Debug)]
pub struct Live {
    stop: AtomicBool,
    ended: AtomicUsize,
    /// Threads that have stopped sending, and the latest time at which one did.
    sent: Mutex<(usize, Option<Instant>)>,
    slices: Vec<Mutex<Slice>>,
    /// Somebody looks at everything.
    is_watched: bool,
}

/// All threads together, since the last look.
#[derive(Debug)]
pub struct Look {
    /// By command, since the start.
    pub rows: Vec<CommandCounts>,
    /// The rest, since the start.
    pub other: Other,
    /// Latencies since the last look.
    pub interval: Latency,
    /// Empty unless everything is looked at.
    pub more: More,
}

impl Live {
    /// For that many threads and commands. `is_watched`: everything is published.
    pub fn new(threads: usize, commands: usize, is_watched: bool) -> Self {
        let slice = || Slice {
            rows: vec![CommandCounts::default(); commands],
            other: Other::default(),
            interval: latency(),
            cpu_ns: 0,
            more: More::default(),
        };
        let slices = (0..threads).map(|_| Mutex::new(slice())).collect();
        Self { stop: AtomicBool::new(false), ended: AtomicUsize::new(0), sent: Mutex::default(), slices, is_watched }
    }

    /// Asks the threads to send no more.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Was [`Self::stop`] called?
    #[inline]
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// A thread has stopped sending at that time. Its published figures are final up to then.
    pub fn sent_all(&self, until: Instant) {
        if let Ok(mut sent) = self.sent.lock() {
            *sent = (sent.0 + 1, sent.1.max(Some(until)));
        }
    }

    /// When sending ended, once all threads have stopped sending.
    pub fn sent_until(&self) -> Option<Instant> {
        let sent = self.sent.lock().ok()?;
        sent.1.filter(|_| sent.0 >= self.slices.len())
    }

    /// A thread has ended.
    pub fn end(&self) {
        self.ended.fetch_add(1, Ordering::Release);
    }

    /// Have all ended?
    pub fn is_over(&self) -> bool {
        self.ended.load(Ordering::Acquire) >= self.slices.len()
    }

    /// A thread shows its figures, and begins a new interval.
    pub fn publish(&self, thread: usize, book: &mut Book, (cpu_ns, open): (u64, u64)) {
        let Some(slice) = self.slices.get(thread) else { return };
        let Ok(mut slice) = slice.lock() else { return };
        slice.rows.copy_from_slice(&book.tally.rows);
        slice.other = book.tally.other;
        slice.cpu_ns = cpu_ns;
        // Same bounds: it always fits.
        let _ = slice.interval.add(&book.interval);
        if self.is_watched {
            // Same bounds.
            let _ = slice.more.lag.set_to(&book.tally.lag);
            slice.more.wrong_by.clone_from(&book.tally.wrong_by);
            (slice.more.heard, slice.more.open) = (book.heard, open);
        }
        drop(slice);
        book.interval.reset();
    }

    /// The figures of all threads; the next look's interval begins.
    pub fn look(&self) -> Look {
        let mut look = Look { rows: Vec::new(), other: Other::default(), interval: latency(), more: More::default() };
        for slice in &self.slices {
            let Ok(mut slice) = slice.lock() else { continue };
            look.rows.resize(slice.rows.len(), CommandCounts::default());
            look.rows.iter_mut().zip(&slice.rows).for_each(|(to, from)| to.add(from));
            look.other.add(&slice.other);
            let _ = look.interval.add(&slice.interval);
            slice.interval.reset();
            if self.is_watched {
                let _ = look.more.lag.add(&slice.more.lag);
                for (why, count) in &slice.more.wrong_by {
                    *look.more.wrong_by.entry(why).or_default() += count;
                }
                look.more.heard.iter_mut().zip(slice.more.heard).for_each(|(to, more)| *to += more);
                look.more.open += slice.more.open;
            }
        }
        look
    }
}
