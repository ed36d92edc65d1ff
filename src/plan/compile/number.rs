//! Numbers of the configuration, with bounds.

use crate::config::at::At;
use crate::config::diag::Diags;
use std::ops::RangeInclusive;

/// Longest interval or timeout, in seconds: a year.
pub(super) const SECONDS_MAX: f64 = 31_536_000.0;

/// A whole number; `default` where none is given, and after an error that was reported.
pub(super) fn whole(diags: &mut Diags, at: Option<&At<u64>>, bounds: RangeInclusive<u64>, default: u64) -> u64 {
    match at {
        Some(at) if bounds.contains(&at.value) => at.value,
        Some(at) => {
            diags.error(at.pos, format!("{} ({} to {})", at.value, bounds.start(), bounds.end()));
            default
        }
        None => default,
    }
}

/// Seconds as milliseconds, from `least_s` up; `default_ms` where none are given, and after an error that was reported.
pub(super) fn milliseconds(diags: &mut Diags, seconds: Option<&At<f64>>, least_s: f64, default_ms: u64) -> u64 {
    match seconds {
        Some(at) if (least_s..=SECONDS_MAX).contains(&at.value) => (at.value * 1000.0).round() as u64,
        Some(at) => {
            diags.error(at.pos, format!("{} s ({least_s} to {SECONDS_MAX})", at.value));
            default_ms
        }
        None => default_ms,
    }
}
