//! A frame taken apart, once for all that show one: the device log, `explain`, `ask`.
//!
//! - [`outer`]: the B interface's frame, after its escapes are removed.
//! - [`inner`]: the vendor's frame, after its template: header, data frame, tail.
//! - [`right`]: the bytes that a field should have.
//!
//! A dissector yields pieces in the order of the wire: what a piece is, where it is, its bytes, and on demand its value and what
//! it should be. It prints nothing and allocates nothing, but for the names of elements behind a field of variable size. Which command a frame is of, and whether it asks or answers,
//! its reader says ([`inner::Reading`]): from what the responder knew ([`About`](crate::about::About)), or from checks of its own.
//!
//! ```
//! use fsu_core::client::request;
//! use fsu_core::dissect::inner::{Content, Inner, Reading};
//! use fsu_plan::compile::compile;
//! use fsu_plan::config::load::Loader;
//! use fsu_plan::config::source::{MAIN_FILE, Source};
//! use fsu_plan::wire::inner;
//! use std::path::Path;
//!
//! let fleet = compile(&mut Loader::new(Source::Embedded), Path::new(MAIN_FILE)).expect("the shipped configuration");
//! let template = &fleet.fsus[0].devices[0].template;
//! let command = &template.commands[0];
//! let wire = request::encode(template, command, &[]).expect("a request");
//!
//! let mut raw = Vec::new();
//! let frame = inner::parse(template, &wire, &mut raw).expect("a frame of this template");
//! let read = Inner::new(template, frame, Reading { command: Some(command), content: Content::Request });
//! for piece in read.pieces() {
//!     let mut value = String::new();
//!     piece.text(&mut value);
//!     println!("{} {} {} = {value}", piece.at, hex::encode(piece.bytes), piece.name());
//!     assert_ne!(read.right(&piece).holds(piece.bytes), Some(false));
//! }
//! ```

pub mod inner;
pub mod outer;
pub mod right;

#[cfg(test)]
mod tests;
