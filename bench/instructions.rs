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

use requests::{Server, fleet, requests, vendor};
use std::hint::black_box;

const FEW: usize = 20;
const MANY: usize = 220;

fn main() {
    let fleet = fleet();
    let asked: Vec<String> = std::env::args().skip(1).collect();
    for fsu in &fleet.fsus {
        for request in requests(fsu) {
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
