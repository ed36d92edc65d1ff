//! The logger thread, the device log (spec device-log.md) and the fault ledger.
//!
//! One thread writes them and the system log ([`crate::syslog`]). Shards pass it device-log records through a [`tap::Tap`]; all code passes
//! it lines through the `log` crate ([`SystemLog`](crate::syslog::SystemLog)). What it promises:
//!
//! - An executor only copies bytes and a timestamp into a bounded ring. It does not format, lock,
//!   allocate or make a system call, except to wake this thread when the ring is half full.
//! - A full ring refuses the record, and the FSU's file says `... N records lost here` at that
//!   place. With `on_full: "block"` the shard waits instead. Every record passed on is
//!   in the file or counted in such a line.
//! - Records of one FSU are in order: it lives on one shard, whose ring is read in order.
//! - Files are rotated between records and lines, never within.
//! - A write error loses the data, is counted, reported once a minute and in the file
//!   once it can be written again. It never ends the program.
//! - [`logger::LoggerHandle::stop`] returns when everything that was accepted has been written.
//! - Memory is bounded: a ring per shard ([`tap::LOG_QUEUE_BYTES`]), 16 MiB of gathered text,
//!   [`SYSTEM_QUEUE_LINES`](crate::syslog::SYSTEM_QUEUE_LINES) lines, 1,024 open files, for any number of FSUs.
//! - `log.level` affects the system log only.
//!
//! | module | what |
//! |---|---|
//! | [`record`] | a record as bytes |
//! | [`tap`] | the shard's end |
//! | `queue` | the queue between the two |
//! | [`logger`] | the thread |
//! | `format`, `format_outer`, `format_inner`, `format_about`, `page` | a record as text |
//! | `codec`, `schedule` | system-log lines about frames and about scheduled faults |
//! | `epochs` | the plans that records were made under |
//! | `device` | the files, one per FSU |
//! | `ledger` | the fault ledger |

mod codec;
mod device;
mod epochs;
mod format;
mod format_about;
mod format_inner;
mod format_outer;
mod ledger;
pub mod logger;
mod page;
mod queue;
pub mod record;
mod schedule;
pub mod tap;

pub use device::{OPEN_FILES_MAX, OPEN_FILES_MIN};
pub use epochs::EPOCHS_MAX;
pub use format::RecordText;
pub use logger::{LogTotals, Logger, LoggerConfig, LoggerHandle, ReloadError};
pub use record::{RecordKind, Told};
pub use tap::Tap;
