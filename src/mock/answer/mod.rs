//! One device: a checked request to the bytes of its reply.
//!
//! - [`examine`]: what is wrong with a frame, and which command it is.
//! - [`rule`]: the rule of a command, what it sets, and its next reply.
//! - `effects`: what a rule does to registers and memory, beyond texts.
//! - `calc`: expressions.
//! - [`reply`]: a request, its rule, when the reply is due.
//! - [`build`]: the patched reply.
//! - `varying`: its part from the first field of variable size on.
//! - [`profile`]: requests of known length, without the steps above.
//! - [`random`]: the generator of one message.
//! - `layouts`: requests and replies of other layouts of a template.
//! - [`talk`]: what a device says unasked, and what acknowledges it.
//! - [`turn`]: what all of them work with.

pub mod build;
pub(crate) mod calc;
mod effects;
pub mod examine;
mod layouts;
pub mod outside;
pub mod profile;
pub mod random;
pub mod reply;
pub mod rule;
pub mod talk;
pub mod turn;
pub(crate) mod varying;
