//! A centre that polls a fleet over UDP: `cargo run -p fsu-core --example poll -- CONFIG_DIR`, while `fsu-mock run` serves it.
//!
//! The requests come from the same configuration: every command of every device, asked again where no answer comes.

use fsu_core::client::exchange::{Exchange, Follows, Outcome, Patience};
use fsu_core::client::request;
use fsu_plan::compile::compile;
use fsu_plan::config::load::Loader;
use fsu_plan::config::source::Source;
use fsu_plan::model::fleet::{Device, Fleet, Fsu};
use fsu_plan::model::message::Transport;
use fsu_plan::wire::envelope::{Comm, Frames, Head, Up, escape_in_place};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};
use std::{io, path::Path};

/// Asks one device for one command: how it ended, and the answer's raw frame.
fn ask(link: (&UdpSocket, SocketAddr), fsu: &Fsu, device: &Device, command: usize) -> io::Result<(Outcome, Vec<u8>)> {
    let ((socket, to), template, began) = (link, &device.template, Instant::now());
    let raw = request::build(template, &template.commands[command], &[]).map_err(io::Error::other)?;
    let patience = Patience { timeout_ms: 200, retries: 5 };
    let mut exchange = Exchange::new(template, raw, Follows::Nothing, patience, 0);
    let (mut out, mut input, mut plain) = (Vec::new(), vec![0; 65_536], Vec::new());
    while exchange.outcome().is_none() {
        if let Some(inner) = exchange.to_send() {
            let head = Head::request(&fsu.id.bytes, b"centre\0\0", device.sub_dev_type, device.sub_dev_addr);
            head.build(Some(inner), &mut out).map_err(|reason| io::Error::other(reason.reason()))?;
            escape_in_place(&mut out);
            socket.send_to(&out, to)?;
        }
        // Nothing within the read timeout is no error: the exchange asks again when it has waited for long enough.
        let (len, from) = socket.recv_from(&mut input).unwrap_or((0, to));
        let now_ms = began.elapsed().as_millis() as u64;
        for frame in Frames::new(&input[..len]).flatten().filter(|_| from == to) {
            let up = frame.plain(&mut plain).and_then(Up::new_checked);
            if let Ok(Up { comm: Comm::Through(inner), .. }) = up {
                exchange.on_frame(inner, now_ms);
            }
        }
        exchange.on_time(now_ms);
    }
    Ok((exchange.outcome().unwrap_or(Outcome::TimedOut), exchange.answer().to_vec()))
}

/// Asks every device of every UDP FSU for every command; `address` says where an FSU is. What was answered, by FSU and command.
pub fn poll(fleet: &Fleet, address: impl Fn(&Fsu) -> SocketAddr) -> io::Result<Vec<(String, Outcome, Vec<u8>)>> {
    let socket = UdpSocket::bind(("127.0.0.1", 0))?;
    socket.set_read_timeout(Some(Duration::from_millis(50)))?;
    let mut out = Vec::new();
    for fsu in fleet.fsus.iter().filter(|fsu| fsu.transport == Transport::Udp) {
        for device in fsu.devices.iter() {
            for (number, command) in device.template.commands.iter().enumerate() {
                let (outcome, answer) = ask((&socket, address(fsu)), fsu, device, number)?;
                out.push((format!("{} {}", fsu.name, command.key_text), outcome, answer));
            }
        }
    }
    Ok(out)
}

/// Polls the fleet of a configuration once, where its FSUs are bound.
#[allow(dead_code, reason = "a test calls `poll`")]
fn main() -> io::Result<()> {
    let mut loader = Loader::new(Source::Directory);
    let main_file = loader.main_file(Path::new(&std::env::args().nth(1).unwrap_or_else(|| "config".into())));
    let fleet = compile(&mut loader, &main_file).ok_or_else(|| io::Error::other("the configuration has errors"))?;
    for (asked, outcome, answer) in poll(&fleet, |fsu| fsu.bind)? {
        println!("{asked}: {outcome:?} {}", hex::encode_upper(answer));
    }
    Ok(())
}
