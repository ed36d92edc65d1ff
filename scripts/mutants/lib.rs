//! The layers that are mutated, without those that need the rest of the program: they build in a third of the time.
#![allow(missing_docs, dead_code, unused_imports)]

pub mod client;
pub mod codec;
pub mod config;
pub mod flood {
    pub mod request;
}
pub mod log {
    mod format;
    mod format_about;
    mod format_inner;
    mod format_outer;
    mod page;
    mod queue;
    pub mod record;
    mod stamp;
    pub mod tap;
    #[cfg(test)]
    mod testing;
    pub use format::RecordText;
    pub use record::{Kind, Told};
}
pub mod plan;
pub mod responder;
mod sync;
pub mod words;
