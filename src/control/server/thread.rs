//! The thread of a control server.

use super::options::{Bound, ControlError};
use super::shared::Shared;
use super::{document, events, listen};
use crate::api::run::Kind;
use crate::source::Source;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// A control server that listens. It ends when this is dropped.
pub struct Control {
    shared: Arc<Shared>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Control {
    /// Starts it. Until a source is attached it says that the program starts.
    ///
    /// `avoided`: processors that it keeps away from, if it may run on another.
    ///
    /// # Errors
    /// Its thread cannot be made.
    pub fn start(bound: Bound, avoided: &[usize], kind: Kind) -> Result<Self, ControlError> {
        let address = bound.address;
        let (calls, document) = document::calls(kind);
        let shared = Arc::new(Shared::new(&bound, document));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
        let runtime = runtime.map_err(ControlError::Thread)?;
        let (stop, stopped) = oneshot::channel();
        let (within, avoided) = (shared.clone(), avoided.to_vec());
        let thread = std::thread::Builder::new().name("control".to_owned()).spawn(move || {
            keep_away(&avoided);
            let serving = async {
                let ended = serve(bound, calls, within);
                tokio::select! {
                    _ = stopped => {}
                    error = ended => log::error!("the control server has ended: {error}"),
                }
            };
            // The runtime panics where the kernel refuses it what it waits with. The fleet is served on.
            if catch_unwind(AssertUnwindSafe(|| runtime.block_on(serving))).is_err() {
                log::error!("the control server has ended with a defect; the run goes on without it");
            }
        });
        let thread = thread.map_err(ControlError::Thread)?;
        Ok(Self { shared, address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:9900/`
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// From now on it answers from that.
    pub fn attach(&self, source: Arc<dyn Source>) {
        self.shared.attach(source);
    }

    /// From now on it says that the run is about to end.
    pub fn stopping(&self) {
        self.shared.stopping();
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.stop.take();
        // It has nothing that could be left undone.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Serves until it cannot.
async fn serve(bound: Bound, calls: axum::Router<Arc<Shared>>, shared: Arc<Shared>) -> io::Error {
    let listener = match tokio::net::TcpListener::from_std(bound.listener) {
        Ok(listener) => listener,
        Err(error) => return error,
    };
    tokio::spawn(events::feed(shared.clone()));
    listen::accept(listener, document::service(calls, shared)).await
}

/// Keeps this thread away from those processors, if it may run on another.
fn keep_away(avoided: &[usize]) {
    let Ok(allowed) = sched_getaffinity(None) else { return };
    let mut left = allowed;
    avoided.iter().filter(|&&cpu| cpu < CpuSet::MAX_CPU).for_each(|&cpu| left.unset(cpu));
    if left.count() > 0 {
        // It works on any.
        let _ = sched_setaffinity(None, &left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_away_from_the_shards() {
        std::thread::spawn(|| {
            let set = || sched_getaffinity(None).expect("a set");
            let all: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&cpu| set().is_set(cpu)).collect();
            keep_away(&all);
            assert_eq!(set().count() as usize, all.len(), "where there is no other, it stays");
            if let [first, _, ..] = all[..] {
                keep_away(&[first]);
                assert!(!set().is_set(first) && set().count() as usize == all.len() - 1);
            }
        })
        .join()
        .expect("it passes");
    }
}
