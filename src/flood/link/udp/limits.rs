//! What a thread does before it looks at others, each reached and passed by one: `limit_NAME`.

use super::*;
use crate::limits::{options, worker};
use crate::workload::options::Options;
use fsu_plan::model::fleet::Transport;
use std::time::Duration;

const SECOND_NS: u64 = 1_000_000_000;

/// A thread that asks nobody, and what it begins with.
fn udp(options: &Options) -> Udp<'_> {
    let (worker, _live) = worker(options);
    Udp::new(options, worker, bind(options).unwrap()).unwrap()
}

#[test]
fn limit_batches_max_of_a_socket() {
    let options = Options { transport: Transport::Udp, ..options() };
    let mut udp = udp(&options);
    let to = SocketAddr::from(([127, 0, 0, 1], udp.sockets[0].local_addr().unwrap().port()));
    let mock = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    for _ in 0..=4 * BATCH {
        assert_eq!(mock.send_to(b"x", to).unwrap(), 1);
    }
    let mut receiver = Receiver::new();
    assert_eq!([(); 3].map(|()| udp.receive(&mut receiver).unwrap()), [4 * BATCH, 1, 0]);
}

/// A second's requests are due at once.
#[test]
fn limit_gathered_max_of_a_turn() {
    let pace = Pace::Open { per_s: 1_000.0, ramp_s: 0.0, poisson: false };
    let options = Options { transport: Transport::Udp, pace, send_for: Duration::from_secs(2), ..options() };
    let mut udp = udp(&options);
    assert!(udp.gather(SECOND_NS).is_some());
    // They are a millisecond apart: what is planned next tells how many there were.
    assert_eq!(udp.worker.pacer.due(SECOND_NS), Due::Now(4 * BATCH as u64 * 1_000_000));
}
