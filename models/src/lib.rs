//! The files of the program that several threads run through, built with loom's threads, locks and fences: loom runs what they do in
//! every order, with every value that an atomic may have (docs/internals/models.md).
//!
//! `log` and `shard` are the program's own files; `sync` is what they share things by. What else they name and no thread shares
//! is in `plan` and `responder`, as small as it can be.
#![allow(missing_docs, dead_code, unreachable_pub, clippy::pedantic, clippy::unwrap_used)]

pub mod log {
    #[path = "../../../src/log/queue.rs"]
    mod queue;
    #[path = "../../../src/log/record.rs"]
    pub mod record;
    #[path = "../../../src/log/tap.rs"]
    pub mod tap;

    pub mod queues;
}
pub mod plan;
pub mod responder;
pub mod shard {
    #[path = "../../../src/shard/mail.rs"]
    mod mail;

    pub mod mails;
}
mod sync;
