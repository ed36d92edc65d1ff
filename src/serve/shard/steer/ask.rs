//! What may be asked of a shard while it serves, and what it answers.

use super::change::{Change, Changed};
use super::detail::{FsuDetail, UnansweredNow};
use super::now::FsuNow;
use super::replies::Replies;
use crate::shard::accounts::Tally;
use crate::shard::late::Late;
use flume::Sender;
use fsu_plan::model::fleet::Fleet;
use std::sync::Arc;

/// FSUs of one question: the answer takes a shard below 100 us.
pub const PAGE_MAX: usize = 256;

/// Accounts of one question: each may have 40 KiB to be copied.
pub const ACCOUNTS_A_QUESTION: usize = 2;

/// A question. FSU numbers are those of the plan of that epoch; a shard that serves another one says so.
#[derive(Debug)]
pub enum Ask {
    /// What some of its FSUs do now: [`PAGE_MAX`] at most, the rest is left out.
    Page(Of<Vec<u32>>, Sender<Answer<Vec<FsuNow>>>),
    /// What the shard has counted, without its FSUs' counters.
    Figures(Sender<ShardNow>),
    /// What has become of messages of [`ACCOUNTS_A_QUESTION`] accounts from that number on, and how many accounts there are.
    Accounts(usize, Sender<(Vec<Tally>, usize)>),
    /// All that is known of one of its FSUs; `None`: it has no such FSU.
    Detail(Of<u32>, Sender<Answer<Option<Box<FsuDetail>>>>),
    /// The last requests without a reply: that many at most.
    Unanswered(Of<usize>, Sender<Answer<UnansweredNow>>),
    /// Change some of its FSUs.
    Change(Of<Task>, Sender<Answer<Vec<Changed>>>),
}

/// Something about FSUs by their numbers in a plan.
#[derive(Clone, Debug)]
pub struct Of<T> {
    /// The number of the plan.
    pub epoch: u32,
    /// What is asked.
    pub what: T,
}

/// An answer, or why there is none.
pub type Answer<T> = Result<T, NoAnswer>;

/// Why a shard does not answer a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// It serves another plan since a reload.
    #[error("the configuration has been reloaded meanwhile")]
    Reloaded,
    /// It has more tasks than it may have.
    #[error("too many changes are being made")]
    Busy,
    /// It ends.
    #[error("the run is ending")]
    Ending,
}

/// A change of some FSUs.
#[derive(Clone, Debug)]
pub struct Task {
    /// What is changed.
    pub change: Arc<Change>,
    /// The FSUs of this shard, and the place of each among all that are changed.
    pub fsus: Vec<(u32, u32)>,
    /// How many are changed on all shards.
    pub of: u32,
    /// A copy of the plan for the shard alone, if it may need one: [`super::armed`].
    pub copy: Option<Arc<Fleet>>,
}

/// What a shard has counted.
#[derive(Clone, Debug)]
pub struct ShardNow {
    /// How late its replies were.
    pub late: Late,
    /// How long its replies took.
    pub replies: Replies,
    /// Replies that wait for their time.
    pub pending: u64,
    /// Open connections.
    pub connections: u64,
    /// Bytes of the device log that wait, and for how many there is room; `None`: it is off.
    pub log: Option<(usize, usize)>,
    /// The longest time that a question has held it up, in nanoseconds.
    pub held_ns: u64,
    /// Processor time of its thread so far, in nanoseconds; 0: not known.
    pub cpu_ns: u64,
}
