//! One device: a checked request to the bytes of its reply.
//!
//! - [`reply`]: a checked request, its rule, when it is due.
//! - [`build`]: the patched reply.
//! - [`random`]: the generator of one message.
//! - [`turn`]: what all of them work with.

pub mod build;
pub mod random;
pub mod reply;
pub mod turn;
