//! A small fleet and its counts, for tests.

use super::snapshot::{Gone, Reloads, Snapshot};
use super::stats::{RunStats, Stats};
use crate::devlog::LogTotals;
use crate::shard::accounts::Accounts;
use crate::shard::late::Late;
use fsu_core::state::Counters;
use fsu_plan::model::fault::FaultKind;
use fsu_plan::model::fleet::{Common, Fleet, Fsu, FsuId, Language, Limits, LogPlan, OnFull, Performance, RtnFlags};
use fsu_plan::model::message::Transport;
use fsu_plan::model::share::Share;
use fsu_plan::wire::reason::Reason;
use std::path::PathBuf;
use std::sync::Arc;

/// Two UDP FSUs with a TCP one between them.
pub fn fleet() -> Fleet {
    let mut id = FsuId { len: 2, ..FsuId::default() };
    id.bytes[..2].copy_from_slice(b"01");
    let fsu = |name: &str, transport| Fsu {
        name: name.into(),
        id,
        bind: ([127, 0, 0, 1], 0).into(),
        common: Arc::new(Common {
            transport,
            messages: Arc::default(),
            params: Arc::default(),
            heartbeat_reply: false,
            talks: false,
            client_timeout_ms: 1,
            accept_any_id: false,
            accept_rtn_flags: RtnFlags::default(),
            limits: Limits::default(),
            allow: Arc::default(),
            devices: [].into(),
            faults: None,
            connect: None,
            tls: None,
        }),
    };
    Fleet {
        fsus: vec![fsu("a", Transport::Udp), fsu("b", Transport::Tcp), fsu("c", Transport::Udp)],
        center: None,
        log: LogPlan {
            level: log::LevelFilter::Off,
            dir: PathBuf::new(),
            file: String::new(),
            bytes_max: 1,
            age_days_max: 1,
            async_write: true,
            language: Language::En,
            on_full: OnFull::Drop,
        },
        performance: Performance::default(),
        accounts: Box::default(),
        params: Box::default(),
        allow_amplification: false,
        share: Share::default(),
    }
}

/// Three FSUs on two shards, with small numbers.
pub fn snapshot() -> Snapshot {
    let mut counters = vec![Counters::default(); 3];
    for (number, one) in (1..).zip(&mut counters) {
        one.received = 10 * number;
        one.answered = number;
    }
    counters[0].faults[FaultKind::Corrupt as usize] = 4;
    counters[1].faults[FaultKind::Corrupt as usize] = 2;
    counters[0].error_replies = [0, 1, 2, 0, 0];
    counters[1].error_replies = [0, 0, 3, 0, 0];
    counters[2].drop(Reason::WrongFsu);
    counters[1].drop(Reason::Garbage);
    counters[1].drop(Reason::WrongFsu);
    let mut late = vec![Late::default(), Late::default()];
    late[1].record(0, 7_000_000, 3);
    Snapshot {
        fleet: Arc::new(fleet()),
        cpus: vec![4, 5],
        shards: vec![0, 1, 0],
        counters,
        late,
        accounts: Accounts::default(),
        ways: Vec::new(),
        late_limit_us: 5_000,
        gone: Gone::default(),
        reloads: Reloads::default(),
        log: LogTotals::default(),
    }
}

/// The same as JSON has it.
pub fn stats() -> Stats {
    let run = RunStats {
        program: "1".into(),
        config: None,
        config_hash: "00000000000000ff".into(),
        seed: 7,
        started: "s".into(),
        ended: "e".into(),
        duration_ms: 3,
        ended_by: "SIGTERM".into(),
        driver: "poll".into(),
        executor: "glommio".into(),
        performance: false,
        device_log: true,
        reloads: 0,
        reloads_failed: 0,
    };
    snapshot().stats(run)
}
