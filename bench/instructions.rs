//! Serves one request N times and nothing else, to be counted by callgrind (bench/instructions.sh).
//!
//! `instructions FSU REQUEST_HEX N`: the difference of two runs with different N is the cost of the requests alone.

use fsu_mock::codec::civil::Now;
use fsu_mock::codec::reason::Reason;
use fsu_mock::config::load::Loader;
use fsu_mock::config::source::Source;
use fsu_mock::plan::compile::compile;
use fsu_mock::plan::fleet::Transport;
use fsu_mock::responder::state::FsuState;
use fsu_mock::responder::{Moment, Outgoing, RunContext, Scratch, Sink, b_interface, stream};
use std::hint::black_box;

/// Keeps the last reply from being optimised away.
struct Last(Vec<u8>);

impl Sink for Last {
    fn send(&mut self, _what: Outgoing, _due_unix_ms: i64, bytes: &[u8]) {
        self.0.clear();
        self.0.extend_from_slice(black_box(bytes));
    }
    fn received(&mut self, _bytes: &[u8], _dropped: Option<Reason>) {}
    fn note(&mut self, _reason: Reason, _bytes: &[u8]) {}
}

fn main() {
    let mut args = std::env::args().skip(1);
    let usage = "instructions FSU REQUEST_HEX N";
    let (name, hex, n) = (args.next().expect(usage), args.next().expect(usage), args.next().expect(usage));
    let request = hex::decode(hex).expect("hex");
    let n: usize = n.parse().expect("a number");
    let mut loader = Loader::new(Source::Embedded);
    let main_file = loader.main_file("".as_ref());
    let fleet = compile(&mut loader, &main_file).expect("the embedded configuration");
    let fsu = fleet.fsus.iter().find(|fsu| *fsu.name == *name).expect("an FSU of that name");
    let mut state = FsuState::new(fsu);
    let mut scratch = Scratch::default();
    let mut sink = Last(Vec::new());
    let run = RunContext { seed: 1, skip_delay: true };
    for i in 0..n {
        let now = Now { unix_ms: 1_768_239_003_000 + i as i64, utc_offset_s: 0 };
        let moment = Moment { now, not_before_unix_ms: 0 };
        if fsu.transport == Transport::Udp {
            b_interface::on_datagram(&run, fsu, &mut state, black_box(&request), moment, &mut scratch, &mut sink);
        } else {
            stream::on_bytes(&run, fsu, &mut state, black_box(&request), moment, &mut scratch, &mut sink);
        }
    }
    assert!(!sink.0.is_empty(), "no reply");
    println!("{}", hex::encode_upper(&sink.0));
}
