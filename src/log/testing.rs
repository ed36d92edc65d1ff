//! What the tests of several modules here need.

use crate::plan::fleet::{Fsu, FsuId, Limits, Transport};
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
