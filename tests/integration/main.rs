//! The program itself, started and asked over the network, in one binary.
//!
//! - [`harness`]: a configuration of an invented vendor, a run of the program, its end.
//! - [`wire`]: frames, put together by hand from the protocol's description, with no code of the program's.
//! - the others: tests, by what they are about.

// A test that cannot go on says so with a panic.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod ask;
mod bounds;
mod broadcast;
mod datagram;
mod devicelog;
mod dial;
mod drills;
mod drivers;
mod exits;
mod faults;
mod fleet;
mod flood;
mod framing;
mod gallery;
mod harness;
mod homes;
mod ipv6;
mod journal;
mod lateness;
mod layouts;
mod ledger;
mod limits;
mod loads;
mod logs;
mod messages;
mod mutual;
mod parts;
mod pods;
mod reload;
mod seccomp;
mod spaces;
mod table;
mod tcp;
mod tls;
mod udp;
mod wire;
mod xdp;
