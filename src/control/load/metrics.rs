//! The metrics of a load generator.

use super::Loading;
use super::now::{Now, odd};
use crate::metrics::{Families, Histo, Labels};

fn label(name: &'static str, value: &str) -> Labels {
    vec![(name, value.to_owned())]
}

/// All of them.
pub(super) fn families(now: &Now, of: &Loading) -> Families {
    let mut out = Families::new("fsu_mock_flood");
    let one = |value: f64| [(Vec::new(), value)];
    out.gauge("build_info", "The program: always 1", [(label("version", env!("CARGO_PKG_VERSION")), 1.0)]);
    out.gauge("up_seconds", "Time since the start", one(of.since.elapsed().as_secs_f64()));
    out.gauge("fsus", "FSUs that are asked or expected", one(of.about.fsus as f64));
    out.gauge("target_per_second", "Requests a second that are wanted", of.target_per_s.map(|rate| (Vec::new(), rate)));
    out.gauge("under_way", "Requests whose outcome is not known yet", one(now.under_way as f64));
    let ((requests, other), heard) = (now.all(), now.all_heard());
    let count = |count: u64| [(Vec::new(), count)];
    out.counter("requests", "Requests sent, warm-up included", count(other.sent));
    out.counter("replies", "Replies that belong to a request, warm-up included", count(other.replies));
    // A reply that comes late takes its request out of the lost ones again: none of these is a counter.
    let outcomes = [
        ("right", requests.good),
        ("late", requests.late),
        ("wrong", requests.wrong),
        ("lost", requests.lost),
        ("silent", requests.silent),
    ];
    let outcomes = outcomes.map(|(outcome, count)| (label("outcome", outcome), count as f64));
    out.gauge("outcomes", "Requests by outcome, without the warm-up", outcomes);
    let wrong = now.wrong();
    let wrong = wrong.iter().map(|(why, &count)| (label("reason", why), count));
    out.counter("wrong", "Wrong replies by what is wrong", wrong.collect::<Vec<_>>());
    let odd = odd(&other);
    out.counter("odd", "What is not right besides, by kind", odd.map(|(kind, count)| (label("kind", kind), count)));
    out.counter("sent_bytes", "Bytes sent", count(other.bytes_out));
    out.counter("received_bytes", "Bytes received", count(other.bytes_in));
    out.counter("messages_received", "Messages that devices sent unasked", count(heard.messages));
    out.counter("acknowledgements", "Right acknowledgements sent", count(heard.acknowledged));
    out.counter("heartbeats_received", "Heartbeats received", count(heard.heartbeats));
    out.gauge("connections", "Connections of a centre", one(heard.connections as f64));
    let times = |times: Option<&Histo>| times.map(|times| (Vec::new(), times.clone()));
    out.times("latency_seconds", "From planned to the reply", times(now.latency.as_ref()));
    out.times("lag_seconds", "From planned to sent", times(now.lag.as_ref()));
    let mock = now.mock.as_ref().map(|late| (Vec::new(), late.p99_us as f64 / 1e6));
    out.gauge("mock_late_p99_seconds", "The mock's own lateness at p99, as it tells it (--mock)", mock);
    out
}
