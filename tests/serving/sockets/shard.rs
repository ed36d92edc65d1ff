//! The shard: started with sockets of its own, asked, ended.

use super::Talk;
use super::centre::PATIENCE;
use super::model::Model;
use fsu_core::moment::RunContext;
use fsu_core::state::Counters;
use fsu_net::bind::{Bound, bind_broadcast, bind_tcp, bind_udp};
use fsu_net::probe::ring_missing;
use fsu_plan::model::fleet::Fleet;
use fsu_plan::model::message::Transport;
use fsu_serve::driver::gather::GATHER_US;
use fsu_serve::driver::{DriverKind, Executor, Handle, ShardSpec, Tuning, spawn};
use fsu_serve::shard::recorder::{RecordKind, Recorder, Traffic};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

static HAS_RING: LazyLock<bool> = LazyLock::new(|| ring_missing().is_none());

/// A running shard.
pub struct Shard {
    handle: Handle,
    /// Gets what was recorded, when the shard ends.
    records: Receiver<HashMap<u32, u64>>,
}

/// What it leaves.
pub struct Left {
    counters: Vec<(usize, Counters)>,
    /// Records of replies, by FSU.
    replies: HashMap<u32, u64>,
}

/// Counts records; sends the count when the shard drops it, which is at its end.
struct Records {
    replies: HashMap<u32, u64>,
    tell: Sender<HashMap<u32, u64>>,
}

impl Recorder for Records {
    fn is_on(&self) -> bool {
        true
    }

    fn record(&mut self, traffic: Traffic<'_>) -> bool {
        if traffic.kind == RecordKind::Reply {
            *self.replies.entry(traffic.fsu).or_default() += 1;
        }
        true
    }

    fn message(&mut self, _: u32, _: i64, _: &fsu_core::answer::talk::Happened) -> bool {
        true
    }
}

impl Drop for Records {
    fn drop(&mut self) {
        let _ = self.tell.send(std::mem::take(&mut self.replies));
    }
}

impl Shard {
    /// The bits of `how` choose: the driver, what runs it, and what it does to save time.
    pub fn start(fleet: &Arc<Fleet>, talks: &mut [Talk<'_>], run: RunContext, how: u8) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let fsus = talks.iter_mut().map(|talk| {
            let bound = match talk.fsu().transport {
                Transport::Udp => Bound::Udp(bind_udp(any).unwrap()),
                Transport::Broadcast | Transport::Datagram => Bound::Udp(bind_broadcast(any).unwrap()),
                Transport::Tcp => Bound::Tcp(bind_tcp(any).unwrap()),
            };
            talk.at = bound.local_addr().unwrap();
            (talk.number, bound)
        });
        let driver = if how & 1 == 1 && *HAS_RING { DriverKind::Ring } else { DriverKind::Poll };
        // glommio takes a hundred times as long to start.
        let executor = if how & 14 == 14 && *HAS_RING { Executor::Glommio } else { Executor::Thread };
        let gather = if how & 2 == 0 { Duration::ZERO } else { Duration::from_micros(GATHER_US.into()) };
        let (tell, records) = channel();
        let spec = ShardSpec {
            index: 0,
            cpu: None,
            executor,
            driver,
            fleet: fleet.clone(),
            fsus: fsus.collect(),
            run,
            tap: Records { replies: HashMap::new(), tell },
            own: Arc::default(),
            tide: Arc::default(),
            tuning: Tuning { gather, gso: how & 4 == 0 },
            queue: None,
            shared: None,
            steer: None,
        };
        Self { handle: spawn(spec).unwrap(), records }
    }

    /// Until it has looked at what there is.
    pub fn wait(&self) {
        self.counters();
    }

    fn counters(&self) -> Vec<(usize, Counters)> {
        self.handle.counters().recv_timeout(PATIENCE).expect("a shard that runs")
    }

    /// Until an FSU has taken all that the model has.
    pub fn wait_for(&self, number: usize, model: &Model<'_>) {
        let taken = |counters: &Counters| (counters.received, counters.dropped_total());
        let (expected, since) = (taken(model.counters()), Instant::now());
        loop {
            let all = self.counters();
            let (_, counters) = all.iter().find(|(other, _)| *other == number).unwrap();
            if taken(counters) == expected {
                return;
            }
            let (received, dropped) = taken(counters);
            assert!(received <= expected.0 && dropped <= expected.1, "more than was sent: {counters:?}");
            assert!(since.elapsed() < PATIENCE, "not taken: {counters:?}, {:?}", model.counters());
            std::thread::yield_now();
        }
    }

    /// It ends: after a drain, or at once.
    pub fn end(self, drains: bool) -> Left {
        if drains {
            self.handle.drain();
        } else {
            self.handle.stop();
        }
        let replies = match self.records.recv_timeout(PATIENCE) {
            Ok(replies) => replies,
            Err(RecvTimeoutError::Timeout) => panic!("the shard does not end"),
            Err(RecvTimeoutError::Disconnected) => HashMap::new(),
        };
        Left { counters: self.handle.join().expect("a shard that ends well").counters, replies }
    }
}

impl Left {
    pub fn of(&self, number: usize) -> (&Counters, u64) {
        let (_, counters) = self.counters.iter().find(|(other, _)| *other == number).unwrap();
        (counters, self.replies.get(&(number as u32)).copied().unwrap_or(0))
    }
}
