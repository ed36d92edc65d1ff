//! Limits of the control server (docs/internals/limits.md).

use std::time::Duration;

/// Bytes of a request's body.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// Requests without a reply that one call lists.
pub const UNANSWERED_TOLD_MAX: usize = 1_000;
/// FSUs of one page of a list.
pub const PER_PAGE_MAX: usize = 1_000;
/// FSUs that the map of a snapshot has.
pub const MAP_FSUS_MAX: usize = 100_000;
/// FSUs with metrics of their own.
pub const METRICS_FSUS_MAX: usize = 1_000;
/// FSUs that did not make a change and are named.
pub const REFUSED_TOLD_MAX: usize = 10;
/// Connections at one time; one more gets 503 and is closed.
pub const CONTROL_CONNECTIONS_MAX: usize = 64;
/// Streams of events among them; one more gets 503.
pub const STREAMS_MAX: usize = 32;
/// Refused connections that wait for their peer to read why; past it they are closed at once.
pub const REFUSED_MAX: usize = 16;
/// Seconds until a request must be read and answered, and in which a peer must read some of its answer.
pub const REQUEST_S_MAX: u64 = 10;
/// Characters of a pattern of names.
pub const GLOB_CHARS_MAX: usize = 256;
/// Bytes of a token.
pub const TOKEN_BYTES_MAX: usize = 4_096;
/// Events that a stream may be behind; past it it misses some, and is told how many.
pub const BEHIND_EVENTS_MAX: usize = 1_024;

/// [`REQUEST_S_MAX`].
pub const REQUEST_TIME: Duration = Duration::from_secs(REQUEST_S_MAX);
