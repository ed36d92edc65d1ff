//! Serves every vendor's commands some number of times each, to be counted by callgrind (bench/instructions.sh).
//!
//! Each command is served in two phases, of [`FEW`] and of [`MANY`] requests; the difference of what was counted in them
//! is the cost of the requests alone. A phase lies between the calls of [`serve`] and [`served`]. Prints a line for each
//! phase: vendor, transport, command, requests, bytes of the request, and whether a profile answers it (1, otherwise 0).
//!
//! With arguments, `VENDOR TRANSPORT COMMAND`, only that command, which is what a profile wants
//! (`bench/instructions.sh --profile VENDOR TRANSPORT COMMAND`).

#![allow(clippy::expect_used, reason = "a tool: what is wrong with its files ends it")]

mod requests;

use fsu_plan::compile::compile;
use fsu_plan::config::load::Loader;
use fsu_plan::config::source::Source;
use fsu_plan::model::fleet::{Fleet, Fsu};
use requests::{Request, Server, fleet, requests, vendor};
use std::hint::black_box;
use std::path::Path;

const FEW: usize = 20;
const MANY: usize = 220;

fn main() {
    let (fleet, walked) = (fleet(), walked_fleet());
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let fixed = fleet.fsus.iter().map(|fsu| (fsu, requests(fsu)));
    for (fsu, requests) in fixed.chain(walked.fsus.iter().map(|fsu| (fsu, walked_requests(fsu)))) {
        for request in requests {
            let about = [vendor(fsu), fsu.transport.name(), &request.command];
            if !asked.is_empty() && asked != about {
                continue;
            }
            let mut server = Server::new(fsu);
            // Buffers grow once.
            serve(&mut server, &request.wire, FEW);
            for count in [FEW, MANY] {
                serve(&mut server, &request.wire, count);
                let (transport, len) = (fsu.transport.name(), request.wire.len());
                let by_profile = u8::from(server.scratch.profile.taken() > 0);
                println!("{} {transport} {} {count} {len} {by_profile}", vendor(fsu), request.command);
            }
        }
    }
}

/// The FSUs of bench/walked: frames whose fields vary in size.
fn walked_fleet() -> Fleet {
    let mut loader = Loader::new(Source::Directory);
    let main_file = loader.main_file(&walked());
    compile(&mut loader, &main_file).expect("bench/walked is a good configuration")
}

fn walked() -> std::path::PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("bench/walked")
}

/// What one of those FSUs is asked.
fn walked_requests(fsu: &Fsu) -> Vec<Request> {
    let text = std::fs::read(walked().join("requests.json")).expect("their requests");
    let all: Vec<serde_json::Value> = serde_json::from_slice(&text).expect("JSON");
    let text = |one: &serde_json::Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
    let wire = |one: &serde_json::Value| hex::decode(text(one, "request")).expect("hex digits");
    let own = all.iter().filter(|one| text(one, "fsu") == *fsu.name);
    own.map(|one| Request { command: text(one, "command"), wire: wire(one) }).collect()
}

/// A phase.
#[inline(never)]
fn serve(server: &mut Server<'_>, wire: &[u8], count: usize) {
    for _ in 0..count {
        let reply = server.serve(wire);
        assert!(!reply.is_empty(), "no reply");
    }
    served(black_box(count));
}

/// Its end.
#[inline(never)]
fn served(count: usize) {
    black_box(count);
}
