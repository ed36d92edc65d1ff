//! What may be asked of a shard, and what it leaves at its end.

use crate::shard::Swap;
use crate::shard::late::Late;
use crossbeam_channel::Sender;
use fsu_core::responder::state::Counters;
use fsu_net::bind::Bound;
use std::io;

/// What may be asked of a shard.
#[derive(Debug)]
pub(crate) enum Command {
    /// Stop reading, send what is due, end.
    Drain,
    /// End now.
    Stop,
    /// The counters at this moment.
    Counters(Sender<Vec<(usize, Counters)>>),
    /// The counters and lateness at this moment.
    Figures(Sender<Ended>),
    /// Take over these sockets, for the next [`Command::Swap`].
    Stage(Vec<Bound>, Sender<io::Result<()>>),
    /// Close them again.
    Unstage,
    /// Serve another fleet. Answers with the counters of the FSUs that are gone.
    Swap(Box<Swap>, Sender<Vec<Counters>>),
}

/// What a shard has counted: at its end, or so far ([`super::Handle::figures`]).
#[derive(Debug)]
pub struct Ended {
    /// By the FSUs' numbers in the fleet.
    pub counters: Vec<(usize, Counters)>,
    /// How late its replies were.
    pub late: Late,
}
