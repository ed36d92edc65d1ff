//! Splits frames into fields, for everything that shows frames: the device log, `explain`, `ask`.
//!
//! - [`outer`]: the B interface's frame, after unescaping.
//! - [`inner`]: the vendor's frame, by its template: header, data frame, tail.
//! - [`right`]: the expected bytes of a field.
//!
//! A dissector yields pieces in wire order: what a piece is, its offset, its bytes, and on request its value and the expected bytes.
//! It prints nothing. It allocates nothing, except the names of elements behind a field of variable size. The reader supplies the frame's
//! command and content ([`inner::Reading`]), from what the responder knew ([`About`](crate::about::About)) or from its own checks.
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
