//! Times, bytes and kinds of traffic as text.

use fsu_core::about::What;
use fsu_serve::devlog::RecordKind;
use fsu_serve::steer::Exchange;
use jiff::{Timestamp, Unit};

/// RFC 3339, UTC, with milliseconds.
pub(super) fn time(time: Timestamp) -> String {
    format!("{:.3}", time.round(Unit::Millisecond).unwrap_or(time))
}

/// The same of milliseconds since 1970.
pub(super) fn millis(unix_ms: i64) -> String {
    time(Timestamp::from_millisecond(unix_ms).unwrap_or_default())
}

/// A text as it is; bytes that are none as hex.
pub(super) fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => hex::encode_upper(bytes),
    }
}

/// What traffic was.
pub(super) fn kind(one: &Exchange) -> &'static str {
    match (one.kind, one.about.what) {
        (RecordKind::Received, What::Silent | What::Dropped) | (RecordKind::Unsent, _) => "unanswered",
        (RecordKind::Received, What::Acknowledgement) => "acknowledgement",
        (RecordKind::Received, What::Heartbeat) | (RecordKind::Heartbeat, _) => "heartbeat",
        (RecordKind::Received, _) => "request",
        (RecordKind::Message, _) => "message",
        (RecordKind::Reply | RecordKind::Fault | RecordKind::Happened, _) => "reply",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_as_text() {
        for (bytes, expected) in [(&b"42"[..], "42"), (b"\xFF\x00", "FF00"), (b"a\nb", "610A62"), (b"", "")] {
            assert_eq!(text(bytes), expected);
        }
        assert_eq!(millis(1_768_239_003_007), "2026-01-12T17:30:03.007Z");
    }
}
