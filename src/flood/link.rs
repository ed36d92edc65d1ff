//! The three transports.

pub mod broadcast;
pub mod tcp;
pub mod udp;
