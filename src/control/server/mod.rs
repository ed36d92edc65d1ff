//! The server: one thread of its own, HTTP/1.1 and JSON.
//!
//! - [`options`]: where it listens, and who may use it. [`token`]: what proves it.
//! - `thread`: the thread and its end. `listen`: connections, and how many. `patient`: peers that do not read.
//! - `guard`: whose requests are heard. `extract`: bodies and queries. `events`: the stream.
//! - `base`, `fleet`: the calls. `document`: all of them as OpenAPI.

mod base;
mod document;
mod events;
mod extract;
mod fleet;
mod guard;
mod listen;
pub mod options;
mod patient;
mod shared;
#[cfg(test)]
mod tests;
mod thread;
pub mod token;

pub use document::document;
pub use options::{Bound, ControlError, Options, Where};
pub use thread::Control;
