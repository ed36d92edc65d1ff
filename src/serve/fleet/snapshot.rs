//! What a fleet has counted, at any moment: the one thing that the final table, `--stats` and whoever watches a run read.

use crate::devlog::LogTotals;
use crate::driver::WayCounts;
use crate::driver::one::OneCounts;
use crate::driver::port::PortCounts;
use crate::shard::accounts::Accounts;
use crate::shard::late::{Late, Steps};
use fsu_core::lateness::Lateness;
use fsu_core::state::Counters;
use fsu_plan::model::fleet::Fleet;
use fsu_plan::model::message::Transport;
use fsu_plan::wire::reason::Reason;
use std::sync::Arc;

/// How often the configuration was read again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reloads {
    /// The new one has been served since.
    pub done: u64,
    /// The new one could not be served; the old one kept running.
    pub failed: u64,
}

/// What those left that are no longer served.
#[derive(Clone, Debug, Default)]
pub struct Gone {
    /// How many they were.
    pub fsus: u64,
    /// Their counters, added up.
    pub counters: Counters,
}

/// Counters, lateness and the log's totals of a fleet: live, or at its end.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// What is served.
    pub fleet: Arc<Fleet>,
    /// The processor of each shard.
    pub cpus: Vec<usize>,
    /// By FSU number: its shard.
    pub shards: Vec<usize>,
    /// By FSU number; zeros where a shard could not tell.
    pub counters: Vec<Counters>,
    /// By shard: how late its replies left.
    pub late: Vec<Late>,
    /// What has become of messages, by their number in [`Fleet::accounts`].
    pub accounts: Accounts,
    /// By shard: what it counted of ways beside the FSUs' own sockets.
    pub ways: Vec<WayCounts>,
    /// What is too late, in microseconds.
    pub late_limit_us: u64,
    /// FSUs that went with a reload.
    pub gone: Gone,
    /// Reloads so far.
    pub reloads: Reloads,
    /// What the logger counted.
    pub log: LogTotals,
}

impl Snapshot {
    /// All counters added up, with those of FSUs that are gone.
    pub fn totals(&self) -> Counters {
        sum(self.counters.iter().chain([&self.gone.counters])).1
    }

    /// FSUs of one transport: how many, and their counters.
    pub fn of_transport(&self, transport: Transport) -> (usize, Counters) {
        let fsus = self.fleet.fsus.iter().zip(&self.counters);
        sum(fsus.filter(|(fsu, _)| fsu.transport == transport).map(|(_, own)| own))
    }

    /// FSUs of one shard: how many, and their counters.
    pub fn of_shard(&self, shard: usize) -> (usize, Counters) {
        sum(self.counters.iter().zip(&self.shards).filter(|&(_, &on)| on == shard).map(|(own, _)| own))
    }

    /// How late the replies of all shards left.
    pub fn lateness(&self) -> Lateness {
        let mut late = Late::default();
        self.late.iter().for_each(|of_shard| late.add(of_shard));
        let ways = self.ways.iter().map(WayCounts::lost).sum::<u64>();
        late.told(self.late_limit_us, lost(&self.totals()) + ways)
    }

    /// All that was measured of it.
    pub fn lateness_steps(&self) -> Steps {
        let mut late = Late::default();
        self.late.iter().for_each(|of_shard| late.add(of_shard));
        late.steps()
    }

    /// The same of one shard.
    pub fn lateness_of(&self, shard: usize) -> Lateness {
        let ways = self.ways.get(shard).map_or(0, WayCounts::lost);
        let lost = lost(&self.of_shard(shard).1) + ways;
        self.late.get(shard).map(|late| late.told(self.late_limit_us, lost)).unwrap_or_default()
    }
}

impl Snapshot {
    /// What all shards counted of their queues of a network device; `None`: they have none.
    pub fn port(&self) -> Option<PortCounts> {
        let all = self.ways.iter().filter_map(|ways| ways.port.clone());
        all.reduce(|mut sum, one| {
            sum.add(&one);
            sum
        })
    }

    /// The same of their one sockets.
    pub fn one(&self) -> Option<OneCounts> {
        let all = self.ways.iter().filter_map(|ways| ways.one.clone());
        all.reduce(|mut sum, one| {
            sum.add(&one);
            sum
        })
    }
}

/// How many there are, and all of them added up.
fn sum<'a>(all: impl IntoIterator<Item = &'a Counters>) -> (usize, Counters) {
    let mut sum = Counters::default();
    let mut many = 0;
    for one in all {
        many += 1;
        sum.add(one);
    }
    (many, sum)
}

/// What the mock had no room for: requests in its sockets, replies in its own memory.
pub fn lost(counters: &Counters) -> u64 {
    counters.kernel_drops + Reason::NO_ROOM.iter().map(|&reason| counters.dropped[reason as usize]).sum::<u64>()
}
