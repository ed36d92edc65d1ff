//! What may be asked of a shard, and what it leaves at its end.

use super::one::OneCounts;
use super::port::PortCounts;
use crate::shard::Swap;
use crate::shard::accounts::Accounts;
use crate::shard::late::Late;
use crate::shard::steer::ask::Ask;
use crossbeam_channel::Sender as Answer;
use fsu_core::state::Counters;
use fsu_net::bind::Bound;
use std::io;

/// Commands that may wait. A sender of more waits.
const COMMANDS_MAX: usize = 16;

/// What may be asked of a shard.
#[derive(Debug)]
pub(crate) enum ShardCommand {
    /// Stop reading, send what is due, end.
    Drain,
    /// End now.
    Stop,
    /// The counters at this moment.
    Counters(Answer<Vec<(usize, Counters)>>),
    /// The counters and lateness at this moment.
    Figures(Answer<ShardFigures>),
    /// Take over these sockets, for the next [`ShardCommand::Swap`].
    Stage(Vec<Bound>, Answer<io::Result<()>>),
    /// Close them again.
    Unstage,
    /// Serve another fleet. Answers with the counters of the FSUs that are gone.
    Swap(Box<Swap>, Answer<Vec<Counters>>),
    /// Something of whoever watches or steers the run.
    Steer(Box<Ask>),
}

/// What a shard has counted: at its end, or so far ([`super::Handle::figures`]).
#[derive(Debug)]
pub struct ShardFigures {
    /// By the FSUs' numbers in the fleet.
    pub counters: Vec<(usize, Counters)>,
    /// How late its replies were.
    pub late: Late,
    /// What has become of messages.
    pub accounts: Accounts,
    /// What it counted of ways beside the FSUs' own sockets.
    pub ways: WayCounts,
}

/// What a shard counted of ways beside the FSUs' own sockets, where it has them.
#[derive(Clone, Debug, Default)]
pub struct WayCounts {
    /// Its queue of a network device.
    pub port: Option<PortCounts>,
    /// The one socket of its udp FSUs.
    pub one: Option<OneCounts>,
}

impl WayCounts {
    /// Requests that were lost on their way to the shard, of FSUs that are not known.
    pub fn lost(&self) -> u64 {
        let one = self.one.as_ref().map_or(0, |one| one.kernel_drops);
        one + self.port.as_ref().map_or(0, PortCounts::lost)
    }
}

/// The shard's end of its commands.
pub(crate) type Commands = flume::Receiver<ShardCommand>;

/// Where commands wait.
pub(crate) fn commands() -> (flume::Sender<ShardCommand>, Commands) {
    flume::bounded(COMMANDS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_commands_max_of_a_shard() {
        let (sender, _receiver) = commands();
        let taken = (0..20).filter(|_| sender.try_send(ShardCommand::Drain).is_ok()).count();
        assert_eq!(taken, 16);
    }
}
