//! Times as text.

use jiff::{Timestamp, Unit};

/// RFC 3339, UTC, with milliseconds.
pub(super) fn time(time: Timestamp) -> String {
    format!("{:.3}", time.round(Unit::Millisecond).unwrap_or(time))
}
