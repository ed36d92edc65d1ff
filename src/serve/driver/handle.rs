//! Starting a shard, and what may be asked of it.

use super::base::{Base, wake_up};
use super::command::{ShardCommand, ShardFigures, commands};
use super::epoll::Epoll;
use super::epoll::sockets::PollIo;
use super::executor::{Died, Executor, StartError, Thread};
use super::mail;
use super::one::Shared;
use super::port::Queue;
use super::ring::Uring;
use super::ring::sockets::RingIo;
use super::run;
use super::turn::Turn;
use crate::shard::own::Own;
use crate::shard::protocol::{Protocol, Responder};
use crate::shard::recorder::Recorder;
use crate::shard::reload::Swap;
use crate::shard::serve::{Portion, Serve};
use crate::shard::steer::SteerSpec;
use crate::shard::steer::ask::Ask;
use crate::shard::tide::Tide;
use crossbeam_channel::{Receiver, bounded};
use flume::Sender;
use fsu_core::moment::RunContext;
use fsu_core::state::Counters;
use fsu_net::bind::Bound;
use fsu_plan::model::fleet::Fleet;
use fsu_plan::words;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

words! {
    /// How a shard's sockets are driven, as the command line and the statistics spell it. Replies do not depend on it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum DriverKind {
        /// io_uring: only where [`fsu_net::probe::ring_missing`] finds nothing missing.
        Ring = "ring",
        /// Readiness (epoll).
        Poll = "poll",
        /// Frames of a network device's queue (AF_XDP); readiness for everything else.
        Xdp = "xdp",
    }
}

/// A shard to be started.
#[derive(Debug)]
pub struct ShardSpec<T = crate::devlog::tap::Tap> {
    /// Its number; part of its thread's name.
    pub index: usize,
    /// The CPU it is pinned to; `None`: it runs where the system likes.
    pub cpu: Option<usize>,
    /// What runs it.
    pub executor: Executor,
    /// How its sockets are driven.
    pub driver: DriverKind,
    /// The fleet.
    pub fleet: Arc<Fleet>,
    /// Its FSUs, by their numbers in the fleet, and their sockets.
    pub fsus: Vec<(usize, Bound)>,
    /// What is common to all messages of the run.
    pub run: RunContext,
    /// Its end of the device log.
    pub tap: T,
    /// The peers that it never answers.
    pub own: Arc<Own>,
    /// Lines about centres that come and go, limited for all shards together.
    pub tide: Arc<Tide>,
    /// Ways to save processor time.
    pub tuning: Tuning,
    /// The queue of [`DriverKind::Xdp`].
    pub queue: Option<Queue>,
    /// The socket of those udp FSUs that have none of their own.
    pub shared: Option<Shared>,
    /// It can be watched and steered; `None`: it cannot.
    pub steer: Option<SteerSpec>,
}

/// What a shard may do to save processor time; none of it changes a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// How long requests gather at part load (see [`super::gather`]); zero: never.
    pub gather: Duration,
    /// Consecutive replies of one size to one peer go to the kernel as one buffer, which it cuts (UDP_SEGMENT).
    pub gso: bool,
}

/// Why a shard did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum ShardError {
    /// Its descriptors could not be made.
    #[error("shard {index}: its sockets cannot be watched: {error}")]
    Watch {
        /// The shard.
        index: usize,
        /// Why.
        error: io::Error,
    },
    /// The executor could not be made: io_uring is forbidden, too little memory may be locked, or the processor is not to be had.
    #[error("shard {index}: the executor cannot start: {error}")]
    Executor {
        /// The shard.
        index: usize,
        /// Why.
        error: StartError,
    },
    /// The system refused something without which it cannot serve.
    #[error("shard {index}: ended: {error}")]
    System {
        /// The shard.
        index: usize,
        /// Why.
        error: io::Error,
    },
    /// It ended by itself: a defect of this program.
    #[error("shard {index}: ended: {message}")]
    Ended {
        /// The shard.
        index: usize,
        /// Why.
        message: String,
    },
}

/// A running shard. Dropping the handle leaves it running.
#[derive(Debug)]
pub struct Handle {
    index: usize,
    commands: Sender<ShardCommand>,
    wake: Arc<OwnedFd>,
    thread: Thread<ShardFigures>,
}

/// Starts a shard on a thread of its own.
pub fn spawn<T: Recorder + Send + 'static>(spec: ShardSpec<T>) -> Result<Handle, ShardError> {
    spawn_with(spec, Responder)
}

/// Starts a shard that serves `protocol`.
pub(crate) fn spawn_with<P, T>(spec: ShardSpec<T>, protocol: P) -> Result<Handle, ShardError>
where
    P: Protocol + Send + 'static,
    T: Recorder + Send + 'static,
{
    let ShardSpec { index, cpu, executor, driver, fleet, fsus, run: context, tap, own, tide, tuning, .. } = spec;
    let (queue, shared, steer) = (spec.queue, spec.shared, spec.steer);
    // A socket has the number of its FSU. Sockets without an FSU in the fleet are left out here, as in `Serve::new`.
    let (numbers, sockets): (Vec<usize>, Vec<Bound>) =
        fsus.into_iter().filter(|&(number, _)| number < fleet.fsus.len()).unzip();
    let wake = wake_up().map_err(|error| ShardError::Watch { index, error })?;
    let woken = Arc::clone(&wake);
    let (commands, receiver) = commands();
    let task = move || {
        let mut base = Base::new(sockets, woken, tuning.gso);
        let now = base.clocks.now();
        let mut serve = Serve::new(Portion { fleet, fsus: &numbers }, context, protocol, tap, now);
        serve.own = own;
        serve.share(tide);
        if let Some(steer) = &steer {
            serve.attach(steer);
        }
        let frames = queue.map(|queue| base.plug(queue));
        let sharing = shared.map(|shared| base.share(shared)).transpose()?;
        let sockets = numbers.len();
        drop(numbers);
        let turn = Turn::new(serve, sockets, receiver, base.clocks.now(), tuning.gather);
        match driver {
            DriverKind::Ring => run::run(Uring::new(turn, RingIo::new(base)?)),
            DriverKind::Poll | DriverKind::Xdp => {
                run::run(Epoll::new(turn, PollIo::new(base)?, sockets).with(frames, sharing))
            }
        }
    };
    let thread = Thread::start(executor, index, cpu, task).map_err(|error| ShardError::Executor { index, error })?;
    Ok(Handle { index, commands, wake, thread })
}

impl Handle {
    /// Stops reading, sends what is due within the drain time and ends. With nothing due it ends at once.
    pub fn drain(&self) {
        self.ask(ShardCommand::Drain);
    }

    /// Ends now; what still waits is counted `drain_ended`.
    pub fn stop(&self) {
        self.ask(ShardCommand::Stop);
    }

    /// Asks for the counters, by the FSUs' numbers in the fleet. Nothing comes where the shard has ended.
    pub fn counters(&self) -> Receiver<Vec<(usize, Counters)>> {
        let (answer, receiver) = bounded(1);
        self.ask(ShardCommand::Counters(answer));
        receiver
    }

    /// Asks for counters and lateness so far. Nothing comes if the shard has ended.
    pub fn figures(&self) -> Receiver<ShardFigures> {
        let (answer, receiver) = bounded(1);
        self.ask(ShardCommand::Figures(answer));
        receiver
    }

    /// Takes over sockets for the next [`Handle::swap`]; nothing is received from them before. All of them or none.
    pub fn stage(&self, sockets: Vec<Bound>) -> Receiver<io::Result<()>> {
        let (answer, receiver) = bounded(1);
        self.ask(ShardCommand::Stage(sockets, answer));
        receiver
    }

    /// Closes them again.
    pub fn unstage(&self) {
        self.ask(ShardCommand::Unstage);
    }

    /// Serves another fleet from the next message on; answers with the counters of the FSUs that are gone.
    pub fn swap(&self, swap: Swap) -> Receiver<Vec<Counters>> {
        let (answer, receiver) = bounded(1);
        self.ask(ShardCommand::Swap(Box::new(swap), answer));
        receiver
    }

    /// Where its commands go and what wakes it, for others than its owner.
    pub(crate) fn line(&self) -> Line {
        Line { commands: self.commands.clone(), wake: Arc::clone(&self.wake) }
    }

    /// Waits for its end; returns what it leaves.
    pub fn join(self) -> Result<ShardFigures, ShardError> {
        let index = self.index;
        self.thread.join().map_err(|died| match died {
            Died::System(error) => ShardError::System { index, error },
            Died::Panicked(message) => ShardError::Ended { index, message },
        })
    }

    /// Asking a shard that has ended does nothing and is no error.
    fn ask(&self, command: ShardCommand) {
        mail::send(&self.commands, command, || {
            let _ = rustix::io::write(&*self.wake, &1u64.to_ne_bytes());
        });
    }
}

/// A way to a running shard, for others than its owner.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    commands: Sender<ShardCommand>,
    wake: Arc<OwnedFd>,
}

impl Line {
    /// Asks the shard something, and waits while too much waits there. False: it has ended.
    pub(crate) async fn ask(&self, ask: Ask) -> bool {
        let sent = self.commands.send_async(ShardCommand::Steer(Box::new(ask))).await.is_ok();
        if sent {
            let _ = rustix::io::write(&*self.wake, &1u64.to_ne_bytes());
        }
        sent
    }
}
