//! What is served, for whoever watches a run.

use fsu_core::state::Counters;
use fsu_plan::model::fleet::{Fleet, Fsu};
use jiff::Timestamp;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// A run, as it was begun.
#[derive(Clone, Debug)]
pub struct About {
    /// Where the configuration is read from; `None`: from the binary.
    pub config: Option<PathBuf>,
    /// The seed of all random values.
    pub seed: u64,
    /// How the sockets are driven.
    pub driver: &'static str,
    /// What runs the shards.
    pub executor: &'static str,
    /// The processor of each shard.
    pub cpus: Vec<usize>,
    /// Performance mode is on.
    pub performance: bool,
    /// What is too late, in microseconds.
    pub late_limit_us: u64,
    /// When the shards began to serve.
    pub started: Timestamp,
    /// The same moment, to measure from.
    pub since: Instant,
}

/// What is served. A reload makes another.
#[derive(Clone, Debug)]
pub struct View {
    /// The run.
    pub about: Arc<About>,
    /// The plan, as the configuration has it: faults that were armed while serving are not in it.
    pub fleet: Arc<Fleet>,
    /// Its number: 0, and one more with each reload.
    pub epoch: u32,
    /// By FSU number: its shard.
    pub shards: Vec<u16>,
    /// By FSU number: where it listens.
    pub addresses: Vec<SocketAddr>,
    /// Reloads that went well.
    pub reloads: u64,
    /// Reloads that did not.
    pub reloads_failed: u64,
    /// What the last reload failed with; `None`: it went well, or there was none.
    pub reload_failure: Option<String>,
    /// FSUs that went with a reload.
    pub gone: u64,
    /// Their counters, added up.
    pub gone_counters: Counters,
}

impl View {
    /// FSUs by shard.
    pub(super) fn by_shard(&self, fsus: impl Iterator<Item = u32>) -> Vec<Vec<u32>> {
        let mut out = vec![Vec::new(); self.about.cpus.len()];
        for fsu in fsus {
            let shard = self.shards.get(fsu as usize).copied().unwrap_or_default();
            if let Some(list) = out.get_mut(usize::from(shard)) {
                list.push(fsu);
            }
        }
        out
    }

    /// An FSU of it.
    pub fn fsu(&self, number: u32) -> Option<&Fsu> {
        self.fleet.fsus.get(number as usize)
    }
}
