//! Sockets. All unsafe code is here, behind safe calls.
//!
//! - [`sys`]: batches of datagrams, socket options, io_uring.
//! - [`bind`]: sockets of FSUs. [`local`]: at which address of this machine. [`message`]: control messages and addresses.
//! - [`outbox`]: datagrams that leave with as few calls as possible. [`sender`]: sends them, and goes on where segments are refused.
//! - [`probe`]: whether the ring driver can work here.
//! - [`unblocked`]: text on standard output and error that never blocks the program.
//! - [`xdp`]: whole frames of a network device (AF_XDP).

pub mod bind;
pub mod local;
pub mod message;
pub mod outbox;
pub mod probe;
pub mod sender;
pub mod sys;
pub mod unblocked;
pub mod xdp;
