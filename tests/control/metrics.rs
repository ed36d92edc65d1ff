//! Metrics, as Prometheus' own tool reads them.

use crate::http::get;
use crate::world::{speed, start, tree};
use std::io::Write;
use std::process::{Command, Stdio};

/// What promtool says.
pub(crate) fn checked(text: &str) -> String {
    let tool = Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut tool = tool.expect("promtool is needed (Debian: apt-get install prometheus)");
    tool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let out = tool.wait_with_output().unwrap();
    format!("{:?} {}", out.status.code(), String::from_utf8_lossy(&out.stderr))
}

#[test]
fn prometheus_reads_the_metrics() {
    let tree = tree();
    let (run, at) = start(&tree, &["--metrics-per-fsu", "site_*"]);
    assert_eq!(speed(&run, "tracker_1", "86000001"), 7);
    run.udp("site_1").send(b"\xFFnonsense\xFE");
    let got = get(at, "/metrics");
    assert_eq!(got.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    assert!(got.body.ends_with("# EOF\n"));
    for line in [
        "fsu_mock_requests_total{transport=\"tcp\",vendor=\"demo_tracker\"} 1\n",
        "fsu_mock_requests_total{transport=\"udp\",vendor=\"invented,invented too\"} ",
        "fsu_mock_fsus{state=\"serving\"} ",
        "fsu_mock_reloads_total{done=\"true\"} 0\n",
        "fsu_mock_lateness_seconds_bucket{le=\"+Inf\"} 1\n",
        "fsu_mock_reply_seconds_bucket{le=\"+Inf\"} 1\n",
        "fsu_mock_log_queue_fill{shard=\"0\"} ",
        "fsu_mock_log_queue_bytes{shard=\"0\"} ",
        "fsu_mock_held_seconds_max{shard=\"0\"} ",
        "fsu_mock_messages_total{vendor=\"demo_tracker\",message=\"alarm\",event=\"sent\"} 0\n",
        "fsu_mock_fsu_requests_total{fsu=\"site_1\"} ",
        "# TYPE fsu_mock_up_seconds gauge\n",
    ] {
        assert!(got.body.contains(line), "{line}\n{}", got.body);
    }
    // The same for programs that know only the text of before.
    let old = crate::http::request(at, "GET /metrics", &["Accept: text/plain;version=0.0.4"], "");
    assert_eq!(old.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert_eq!(checked(&old.body), "Some(0) ");
    assert_ne!(checked("a{ 1\n"), "Some(0) ", "a check that cannot fail is none");
    // 10,000 FSUs have no more series than 4.
    assert!(got.body.len() < 64 << 10, "{}", got.body.len());
    run.stop();
}
