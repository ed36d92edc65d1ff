//! What each FSU of a large fleet takes of memory (docs/use/one-socket.md, Memory).

use super::*;
use crate::driver::base::{Base, wake_up};
use crate::driver::served::Served;
use crate::shard::Own;
use crate::shard::clock::Clock;
use crate::shard::io::{Arrived, ConnId, Datagram, Interest, Io, Written};
use crate::shard::serve::{Portion, Serve};
use allocation_counter::measure;
use fsu_core::moment::RunContext;
use fsu_net::bind::Bound;
use fsu_plan::compile::compile;
use fsu_plan::config::load::Loader;
use fsu_plan::config::source::Source;
use std::path::Path;

/// FSUs of the large fleet: a power of two, so that lists which double are full.
const FSUS: usize = 32_768;
const FIRST_PORT: u16 = 10_000;

/// A driver that sends everything at once.
struct Void;

impl Io for Void {
    fn send_datagram(&mut self, _: Datagram, _: &[u8]) -> bool {
        true
    }
    fn has_room(&self) -> bool {
        true
    }
    fn write(&mut self, _: ConnId, bytes: &[u8]) -> Written {
        Written::Bytes(bytes.len())
    }
    fn set_interest(&mut self, _: ConnId, _: Interest) {}
    fn close(&mut self, _: ConnId) {}
    fn set_accepting(&mut self, _: u32, _: bool) {}
    fn stop_receiving(&mut self) {}
    fn unix_ns(&mut self) -> i64 {
        0
    }
    fn mono_ns(&mut self) -> u64 {
        0
    }
}

/// A fleet of one entry with `count`.
fn fleet_of(count: usize) -> Fleet {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let dir = tempfile::tempdir().expect("a directory");
    let site = root.join("config/sites/bangsun_old");
    let config = serde_json::json!({"fsu_list": [{
        "fsuname": "fleet", "fsuid": "3230323630303031", "host": "10.9.0.1", "port": FIRST_PORT, "protocol_type": "udp",
        "count": count, "config_dir": site,
    }]});
    let file = dir.path().join("sys_config.json");
    std::fs::write(&file, config.to_string()).expect("written");
    compile(&mut Loader::new(Source::Directory), &file).expect("it compiles")
}

/// Everything that a shard with one socket has of a fleet whose every FSU has answered a centre.
type Shard = (Serve<Letters, Records>, Base, Served, Own);

fn shard(count: usize) -> Shard {
    let fleet = Arc::new(fleet_of(count));
    let addresses: Vec<SocketAddr> = fleet.fsus.iter().map(|fsu| fsu.bind).collect();
    let own = Own::new(addresses.iter().copied(), std::collections::HashSet::new());
    let lent = addresses.iter().map(|&address| Bound::Lent(Box::new(address))).collect();
    let mut base = Base::new(lent, wake_up().expect("a descriptor"), true);
    let mut served = Served::new();
    base.hand_over(&mut served);
    let now = Clock {
        unix_ms: 1_000,
        unix_ns: 1_000_000_000,
        arrived_ns: 1_000_000_000,
        mono_ms: 1_000,
        mono_ns: 1_000_000_000,
        stepped_ns: 0,
        utc_offset_s: 0,
    };
    let run = RunContext { seed: 1, skip_delay: true, start_mono_ms: 0 };
    let numbers: Vec<usize> = (0..count).collect();
    let mut serve = Serve::new(Portion { fleet, fsus: &numbers }, run, Letters, Records::default(), now);
    for socket in 0..count as u32 {
        let centre = SocketAddr::from(([10, 9, 0, 2], 40_000 + (socket % 16) as u16));
        serve.on_datagram(socket, Arrived::new(centre, b"[a0]", 1_000_000_000), now, &mut Void);
    }
    assert!(serve.counters().iter().all(|(_, counters)| counters.received == 1 && counters.centres_online == 1));
    (serve, base, served, own)
}

#[test]
fn an_fsu_of_a_large_fleet_takes_as_little_as_documented() {
    let bytes = |count: usize| {
        let mut kept = None;
        let counted = measure(|| kept = Some(shard(count)));
        drop(kept);
        counted.bytes_current
    };
    let each = (bytes(FSUS) - bytes(1)) as f64 / (FSUS - 1) as f64;
    // 335 bytes are 16 MiB for 50,000 FSUs.
    assert!((250.0..=318.0).contains(&each), "{each} bytes for each FSU");
}
