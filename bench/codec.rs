//! How long a request takes from its bytes to its reply's, for every shipped vendor, beside a copy of the same bytes.
//!
//! `cargo bench --bench codec [-- FILTER]`. The commands of a vendor take turns; times are of one request.

#![allow(clippy::expect_used, missing_docs, reason = "a benchmark")]

mod requests;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use requests::{Request, Server, fleet, requests, vendor};
use std::hint::black_box;

/// The command that the goal is about: the first one of the reference exchange.
const REFERENCE: (&str, &str) = ("bangsun_old", "108B");

fn codec(criterion: &mut Criterion) {
    let fleet = fleet();
    for fsu in &fleet.fsus {
        let all = requests(fsu);
        let mut group = criterion.benchmark_group(fsu.transport.name());
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::new("serve", vendor(fsu)), |bencher| {
            let (mut server, mut turn) = (Server::new(fsu), turns(&all));
            bencher.iter(|| server.serve(turn()).len());
        });
        group.bench_function(BenchmarkId::new("memcpy", vendor(fsu)), |bencher| {
            let mut turn = turns(&all);
            let (mut received, mut sent) = (Vec::new(), Vec::new());
            bencher.iter(|| {
                copy(turn(), &mut received);
                copy(&received, &mut sent);
                sent.len()
            });
        });
        if let Some(request) = all.iter().find(|request| (vendor(fsu), &*request.command) == REFERENCE) {
            group.bench_function(BenchmarkId::new("serve", REFERENCE.1), |bencher| {
                let mut server = Server::new(fsu);
                bencher.iter(|| server.serve(&request.wire).len());
            });
        }
        group.finish();
    }
}

/// One after the other, for ever.
fn turns<'a>(all: &'a [Request]) -> impl FnMut() -> &'a [u8] {
    let mut all = all.iter().cycle();
    move || all.next().map_or(&[], |request| &request.wire)
}

fn copy(from: &[u8], to: &mut Vec<u8>) {
    to.clear();
    to.extend_from_slice(black_box(from));
}

criterion_group!(benches, codec);
criterion_main!(benches);
