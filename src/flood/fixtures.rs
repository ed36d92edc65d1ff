//! A load that tests change.

use crate::book::tally::Tally;
use crate::book::thread::ThreadReport;
use crate::workload::options::{Options, Pace};
use fsu_plan::model::message::Transport;
use std::time::Duration;

/// A load over that transport that asks nobody anything, with one socket and a closed loop.
pub fn options(transport: Transport) -> Options {
    Options {
        targets: Vec::new(),
        labels: Vec::new(),
        left_out: Vec::new(),
        unasked: 0,
        transport,
        pace: Pace::Closed { window: 1 },
        send_for: Duration::from_secs(1),
        requests: None,
        warmup: Duration::ZERO,
        timeout: Duration::from_secs(1),
        threads: 1,
        cpus: Vec::new(),
        echo: false,
        equal: false,
        sockets: 1,
        gso: true,
        xdp: None,
        connections: 1,
        retries: 0,
        drop: 0.0,
        seed: 1,
        loss_max: 0.0,
        heard: None,
        heard_notes: Vec::new(),
        command_line: Vec::new(),
        config: String::new(),
        config_hash: None,
        part: None,
        mix: None,
    }
}

/// The figures of a thread of it that measured 1 ns.
pub fn thread() -> ThreadReport {
    ThreadReport {
        tally: Tally::new(0),
        accounts: Vec::new(),
        spreads: Vec::new(),
        measured_ns: 1,
        replies_ns: None,
        busy_ns: 1,
        cpu_ns: 0,
        cpu: None,
        receive_buffer_bytes: 0,
        given_up: None,
    }
}
