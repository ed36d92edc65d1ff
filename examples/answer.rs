//! Answers one datagram without any socket: `cargo run -p fsu-core --example answer`.
//!
//! The fleet is the shipped configuration. What an FSU says is a function of the bytes, the moment and the seed.

use fsu_core::client::request;
use fsu_core::mock::Mock;
use fsu_core::moment::{Moment, RunContext};
use fsu_core::replies::Replies;
use fsu_core::stage::Incoming;
use fsu_plan::compile::compile;
use fsu_plan::config::load::Loader;
use fsu_plan::config::source::{MAIN_FILE, Source};
use fsu_plan::wire::civil::Now;
use fsu_plan::wire::envelope::{Head, escape_in_place};
use std::path::Path;

/// The request and the reply as they travel.
pub fn run() -> Result<(Vec<u8>, Vec<u8>), String> {
    let mut loader = Loader::new(Source::Embedded);
    let fleet = compile(&mut loader, Path::new(MAIN_FILE)).ok_or("the shipped configuration has errors")?;
    let mut mock = Mock::new(fleet.into(), RunContext { seed: 1, skip_delay: true, start_mono_ms: 0 });

    // A centre asks the first device of the first FSU for the first of its commands.
    let fsu = &mock.fleet().fsus[0];
    let device = &fsu.devices[0];
    let command = &device.template.commands[0];
    let inner = request::encode(&device.template, command, &[]).map_err(|error| error.to_string())?;
    let mut datagram = Vec::new();
    let head = Head::request(&fsu.id.bytes, b"centre\0\0", device.sub_dev_type, device.sub_dev_addr);
    head.build(Some(&inner), &mut datagram).map_err(|reason| reason.reason().to_owned())?;
    escape_in_place(&mut datagram);

    let incoming = Incoming { peer: ([192, 0, 2, 1], 4_000).into(), bytes: &datagram };
    let noon = Now { unix_ms: 1_768_190_400_000, utc_offset_s: 8 * 3_600 };
    let mut replies = Replies::default();
    mock.on_datagram(0, incoming, Moment::at(noon, 0), &mut replies);
    let reply = replies.frames().first().map(|bytes| bytes.to_vec()).ok_or("no reply")?;
    Ok((datagram, reply))
}

/// Prints both.
#[allow(dead_code, reason = "a test calls `run`")]
fn main() -> Result<(), String> {
    let (request, reply) = run()?;
    println!("request: {}\nreply:   {}", hex::encode_upper(request), hex::encode_upper(reply));
    Ok(())
}
