//! What the tests of several modules here need.

use super::stamp::Stamp;
use crate::plan::fleet::{Fsu, FsuId, Language, Limits, LogPlan, OnFull, Transport};
use jiff::tz::TimeZone;
use std::path::Path;
use std::sync::Arc;

/// An FSU with the spec's id and no device.
pub(super) fn fsu(name: &str, transport: Transport) -> Fsu {
    let mut id = FsuId { len: 8, ..FsuId::default() };
    id.bytes[..8].copy_from_slice(b"20250125");
    Fsu {
        name: name.into(),
        id,
        id_hex: "3230323530313235".into(),
        bind: ([127, 0, 0, 1], 0).into(),
        transport,
        heartbeat_interval_ms: None,
        heartbeat_reply: false,
        client_timeout_ms: 0,
        accept_any_id: false,
        limits: Limits::default(),
        devices: Arc::new([]),
    }
}

/// A stamp eight hours east.
pub(super) fn stamp() -> Stamp {
    Stamp::new(TimeZone::fixed(jiff::tz::offset(8)))
}

/// The defaults, in that directory.
pub(super) fn log_plan(dir: &Path) -> LogPlan {
    LogPlan {
        level: log::LevelFilter::Info,
        dir: dir.to_path_buf(),
        file: "system_%Y%m%d.log".into(),
        bytes_max: 10_485_760,
        age_days_max: 7,
        async_write: true,
        language: Language::Zh,
        on_full: OnFull::Drop,
    }
}
