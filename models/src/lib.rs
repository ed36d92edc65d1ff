//! The files of the program that several threads run through, built with loom's threads, locks and fences: loom runs what they do in
//! every order, with every value that an atomic may have (docs/internals/models.md).
//!
//! `devlog` and `driver` are the program's own files; `sync` is what they share things by.
#![allow(missing_docs, dead_code, unreachable_pub, clippy::pedantic, clippy::unwrap_used)]

pub mod devlog {
    #[path = "../../../src/serve/devlog/queue.rs"]
    mod queue;
    #[path = "../../../src/serve/devlog/record.rs"]
    pub mod record;
    #[path = "../../../src/serve/devlog/tap.rs"]
    pub mod tap;

    pub mod queues;
}
pub mod driver {
    #[path = "../../../src/serve/driver/mail.rs"]
    mod mail;

    pub mod mails;
}
mod sync;
