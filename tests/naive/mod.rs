//! The judge: templates read word by word, with no plan and no cleverness, straight from JSON.
//!
//! It shares nothing with the program but the text of the specification; where the two differ, one of them is wrong.
//! Slow and obvious on purpose. It expects templates that a check would pass and panics on others.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::pedantic,
    clippy::precedence,
    clippy::needless_range_loop,
    clippy::collapsible_if,
    clippy::too_many_arguments,
    clippy::unwrap_used
)]

pub mod calc;
pub mod checksum;
pub mod clock;
pub mod envelope;
pub mod exchanges;
pub mod expr;
pub mod fields;
pub mod frame;
pub mod generate;
pub mod outer;
pub mod reply;
pub mod rules;
pub mod shapes;
pub mod stream;
pub mod tape;
pub mod text;
pub mod transfer;
pub mod vectors;
pub mod whole;
