//! What a thread does before it looks at others, each reached and passed by one: `limit_NAME`.

use super::*;
use crate::engine::Engine;
use crate::limits::{options, worker};
use crate::link::bind;
use crate::pace::Due;
use crate::workload::options::Options;
use crate::workload::options::Pace;
use fsu_net::sys::BATCH;
use fsu_plan::model::message::Transport;

const SECOND_NS: u64 = 1_000_000_000;

/// A thread that asks nobody, and what it begins with.
fn udp(options: &Options) -> Engine<Udp<'_>> {
    let (worker, _live) = worker(options);
    Engine::new(options, worker, (bind(options).unwrap(), None)).unwrap()
}

#[test]
fn limit_batches_max_of_a_socket() {
    let options = Options { transport: Transport::Udp, ..options() };
    let mut udp = udp(&options);
    let to = SocketAddr::from(([127, 0, 0, 1], udp.link.sockets[0].local_addr().unwrap().port()));
    let mock = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    for _ in 0..=4 * BATCH {
        assert_eq!(mock.send_to(b"x", to).unwrap(), 1);
    }
    let Engine { link, worker, .. } = &mut udp;
    assert_eq!([(); 3].map(|()| link.receive(worker).unwrap()), [4 * BATCH, 1, 0]);
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
