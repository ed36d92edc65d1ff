//! The load generator: asks the FSUs of a configuration, and verifies what they answer.

pub mod account;
pub mod book;
pub mod broadcast;
pub mod burst;
pub mod centre;
pub mod echo;
pub mod expect;
pub mod html;
pub mod judge;
pub mod lane;
pub mod left_out;
#[cfg(test)]
mod limits;
pub mod live;
pub mod machine;
pub mod mark;
pub mod mix;
pub mod options;
pub mod pacer;
pub mod profile;
mod reconcile;
pub mod reply;
pub mod report;
pub mod run;
pub mod schedule;
pub mod schema;
pub mod screen;
pub mod sum;
pub mod svg;
pub mod tally;
pub mod targets;
pub mod tcp;
#[cfg(test)]
mod tests;
pub mod text;
pub mod udp;
pub mod values;
pub mod worker;
