//! TLS of connections, over rustls: what the files of `tls` mean ([`mod@make`]), and a session, which turns bytes into bytes without a socket
//! or a clock of its own ([`session`]).

pub mod dates;
#[cfg(any(test, feature = "fixtures"))]
pub mod fixtures;
pub mod make;
pub mod pem;
pub mod session;
pub mod stream;
mod trust;

pub use make::{Client, Server, make};
pub use session::{Failure, FailureKind, Session};
