//! What makes a shard's thread: glommio, or the standard library where glommio cannot start. The only file that names glommio.
//!
//! glommio makes the thread, names it, pins it, and knows which processors there are. It needs io_uring and locked memory, also under the
//! epoll driver: containers forbid the one and are short of the other.
//!
//! Nothing else of glommio is used. A driver waits in the kernel by itself and gives the thread back only at its end, for two reasons.
//! glommio (0.9.0, `sys::uring`) panics where the kernel refuses its timer for now, which io_uring_enter(2) may (EAGAIN):
//! `hk_any_wait_may_be_refused_in_a_calm_ring` in `tests/failing` refuses all calls of a calm. And glommio sleeps although a task could
//! go on, where it was preempted before that task. A task per socket was measured: 5 KB each, and a quarter of the throughput from a
//! thousand sockets up (docs/internals/architecture.md).

use crossbeam_channel::bounded;
use fsu_plan::words;
use glommio::{ExecutorJoinHandle, GlommioError, LocalExecutorBuilder, Placement};
use rustix::thread::{CpuSet, sched_setaffinity};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Memory that glommio registers for its own files: a shard has none. The default is 10 MiB.
const EXECUTOR_IO_BYTES: usize = 65_536;

words! {
    /// What runs a shard, as the statistics spell it. Replies do not depend on it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Executor {
        /// glommio: needs io_uring and locked memory.
        Glommio = "glommio",
        /// A plain thread: needs neither.
        Thread = "thread",
    }
}

/// Why a shard's thread did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The list of processors cannot be read.
    #[error("it cannot read what processors there are")]
    Processors,
    /// glommio could not start: io_uring is forbidden, or too little memory may be locked.
    #[error("{0}")]
    Glommio(Box<dyn std::error::Error + Send + Sync>),
    /// The system made no thread.
    #[error("no thread: {0}")]
    Thread(io::Error),
    /// The thread may not have its processor.
    #[error("it may not run on processor {cpu} alone: {error}")]
    Pinning {
        /// The processor.
        cpu: usize,
        /// Why.
        error: io::Error,
    },
}

/// The numbers of the processors that are online.
///
/// # Errors
/// The system does not list them.
pub fn online_cpus() -> io::Result<BTreeSet<usize>> {
    let online = glommio::CpuSet::online().map_err(|error| io::Error::other(error.to_string()))?;
    Ok(online.iter().map(|location| location.cpu).collect())
}

/// Why a shard's thread ended by itself.
#[derive(Debug)]
pub(crate) enum Died {
    /// The system refused something without which it cannot serve.
    System(io::Error),
    /// It panicked.
    Panicked(String),
}

thread_local! {
    /// This thread is starting an executor.
    static STARTS: Cell<bool> = const { Cell::new(false) };
    /// This thread runs a shard's task.
    static RUNS: Cell<bool> = const { Cell::new(false) };
}

/// How the names of shards' threads begin.
const THREAD_NAME: &str = "shard-";

/// Whether this thread is starting an executor. If that panics, the machine lacks something; it is no defect of the program.
pub fn is_starting() -> bool {
    let is_shard = std::thread::current().name().is_some_and(|name| name.starts_with(THREAD_NAME));
    STARTS.get() || (is_shard && !RUNS.get())
}

/// A shard's thread.
#[derive(Debug)]
pub(crate) enum Thread<T: Send + 'static> {
    /// One of glommio's, and whether its task has begun.
    Glommio(ExecutorJoinHandle<io::Result<T>>, Arc<AtomicBool>),
    /// A plain one.
    Plain(JoinHandle<io::Result<T>>),
}

impl<T: Send + 'static> Thread<T> {
    /// Starts a shard's thread, on that processor if one is given, which runs `task`.
    ///
    /// # Errors
    /// The executor cannot start, or the thread may not have that processor.
    pub(crate) fn start(
        executor: Executor,
        index: usize,
        cpu: Option<usize>,
        task: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<Self, StartError> {
        let name = format!("{THREAD_NAME}{index}");
        let has_begun = Arc::new(AtomicBool::new(false));
        let begins = has_begun.clone();
        let task = move || {
            RUNS.set(true);
            begins.store(true, Ordering::Release);
            task()
        };
        match executor {
            Executor::Glommio => {
                STARTS.set(true);
                // glommio reads the list of processors, and panics if it cannot.
                let started = catch_unwind(AssertUnwindSafe(|| {
                    LocalExecutorBuilder::new(cpu.map_or(Placement::Unbound, Placement::Fixed))
                        .name(&name)
                        .io_memory(EXECUTOR_IO_BYTES)
                        .spawn(|| async { task() })
                }));
                STARTS.set(false);
                let started = started.map_err(|_| StartError::Processors)?;
                started
                    .map(|thread| Self::Glommio(thread, has_begun))
                    .map_err(|error| StartError::Glommio(error.to_string().into()))
            }
            Executor::Thread => plain(name, cpu, task).map(Self::Plain),
        }
    }

    /// Waits for its end: what came of it, or why it ended.
    pub(crate) fn join(self) -> Result<T, Died> {
        match self {
            Self::Glommio(thread, has_begun) => thread.join().map_err(|error| match error {
                GlommioError::IoError(error) => Died::System(error),
                _ if !has_begun.load(Ordering::Acquire) => {
                    Died::System(io::Error::other("its executor could not start"))
                }
                error => Died::Panicked(error.to_string()),
            })?,
            Self::Plain(thread) => thread.join().map_err(|_| Died::Panicked("it panicked".to_owned()))?,
        }
        .map_err(Died::System)
    }
}

/// Starts a plain thread, and waits until it has its processor.
fn plain<T: Send + 'static>(
    name: String,
    cpu: Option<usize>,
    task: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<JoinHandle<io::Result<T>>, StartError> {
    let (tell, told) = bounded(1);
    let run = move || {
        let pinned = cpu.map_or(Ok(()), pin_to);
        let is_pinned = pinned.is_ok();
        // `plain` waits for this.
        let _ = tell.send(pinned);
        if is_pinned { task() } else { Err(io::ErrorKind::PermissionDenied.into()) }
    };
    let thread = std::thread::Builder::new().name(name).spawn(run).map_err(StartError::Thread)?;
    match (told.recv(), cpu) {
        (Ok(Err(error)), Some(cpu)) => Err(StartError::Pinning { cpu, error }),
        _ => Ok(thread),
    }
}

fn pin_to(cpu: usize) -> io::Result<()> {
    if cpu >= CpuSet::MAX_CPU {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut set = CpuSet::new();
    set.set(cpu);
    Ok(sched_setaffinity(None, &set)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(cpu: Option<usize>, task: impl FnOnce() -> io::Result<u8> + Send + 'static) -> Result<u8, String> {
        let thread = Thread::start(Executor::Thread, 3, cpu, task).map_err(|error| error.to_string())?;
        thread.join().map_err(|died| match died {
            Died::System(error) => error.to_string(),
            Died::Panicked(text) => text,
        })
    }

    #[test]
    fn h16_a_plain_thread_runs_a_task_to_its_end() {
        let named = || Ok(std::thread::current().name().map_or(0, str::len) as u8);
        assert_eq!(start(None, named), Ok(7));
        let failing = || Err(io::Error::other("on purpose"));
        assert_eq!(start(None, failing), Err("on purpose".to_owned()));
        assert_eq!(start(None, || panic!("on purpose")), Err("it panicked".to_owned()));
    }

    #[test]
    fn h16_a_plain_thread_has_its_processor_alone_or_says_so() {
        let allowed = || rustix::thread::sched_getaffinity(None).unwrap();
        let first = (0..CpuSet::MAX_CPU).find(|&cpu| allowed().is_set(cpu)).unwrap();
        let alone = move || Ok(u8::from(allowed().count() == 1 && allowed().is_set(first)));
        assert_eq!(start(Some(first), alone), Ok(1));
        for none in [CpuSet::MAX_CPU - 1, CpuSet::MAX_CPU] {
            let text = start(Some(none), || Ok(0)).unwrap_err();
            assert!(text.contains(&format!("it may not run on processor {none}")), "{text}");
        }
    }
}
