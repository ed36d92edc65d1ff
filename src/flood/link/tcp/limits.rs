//! What waits to be written, reached and passed by one: `limit_NAME`.

use super::*;
use crate::engine::Engine;
use crate::limits::{options, worker};
use crate::workload::options::Options;
use crate::workload::options::Pace;
use std::net::TcpListener;

/// Whether a request is sent that is due on a connection with this many unsent bytes.
fn check(unwritten: usize, expected: bool) {
    let pace = Pace::Open { per_s: 1_000.0, ramp_s: 0.0, poisson: false };
    let options = Options { pace, ..options() };
    let (worker, _live) = worker(&options);
    let mut engine = Engine::<Tcp<'_>>::new(&options, worker, Vec::new()).unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let lane = Lane::new(1, 1).in_order();
    let (out, turns) = (vec![0; unwritten], Turns::new(0));
    let conn =
        Conn { target: 0, stream: stream.into(), lane, turns, out, partial: Vec::new(), blocked: false, broken: false };
    engine.link.conns.push(conn);
    assert_eq!(engine.link.has_room(0), expected, "{unwritten} bytes");
    if !expected {
        engine.gather(0);
        assert_eq!(engine.worker.book.tally.other.not_sent, 1);
    }
}

#[test]
fn limit_unwritten_bytes_max_of_a_connection() {
    check(1 << 20, true);
    check((1 << 20) + 1, false);
}
