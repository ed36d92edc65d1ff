//! The examples do what they say.
#![allow(missing_docs, unreachable_pub, clippy::pedantic, clippy::unwrap_used)]

#[path = "../examples/answer.rs"]
mod answer;
#[path = "../examples/embed.rs"]
mod embed;
#[path = "../examples/poll.rs"]
mod poll;

use fsu_core::answer::rule::matching;
use fsu_core::client::exchange::Outcome;
use fsu_core::client::request;
use fsu_plan::model::fleet::{Device, Fsu};
use fsu_plan::model::message::Transport;
use fsu_plan::wire::envelope::{Comm, Up, unescape};
use fsu_plan::wire::inner;
use std::sync::Arc;

#[test]
fn a_datagram_is_answered_without_a_socket() {
    let (request, reply) = answer::run().unwrap();
    let plain = |wire: &[u8]| {
        let mut plain = Vec::new();
        let first_escaped = wire.iter().position(|&byte| byte == 0xFD).unwrap_or(wire.len());
        unescape(wire, first_escaped, &mut plain).unwrap();
        plain
    };
    assert!(Up::new_checked(&plain(&request)).is_err(), "it is a centre's");
    let plain = plain(&reply);
    assert!(matches!(Up::new_checked(&plain).unwrap().comm, Comm::Through(_)));
    // The same bytes at the same moment, the same reply.
    assert_eq!(answer::run().unwrap(), (request, reply));
}

#[test]
fn the_program_under_test_is_answered() {
    embed::main().unwrap();
}

#[test]
fn every_device_answers_the_centre() {
    let mut fleet = Arc::into_inner(embed::fleet().unwrap()).unwrap();
    // One is a fleet, too; the shipped one is long.
    fleet.fsus.truncate(1);
    let fleet = Arc::new(fleet);
    let is_udp = |fsu: &Fsu| fsu.transport == Transport::Udp;
    let served: Vec<(usize, embed::Served)> = (0..fleet.fsus.len())
        .filter(|&number| is_udp(&fleet.fsus[number]))
        .map(|number| (number, embed::Served::start(fleet.clone(), number).unwrap()))
        .collect();
    let address = |fsu: &Fsu| {
        let (_, served) = served.iter().find(|(number, _)| fleet.fsus[*number].name == fsu.name).unwrap();
        served.address
    };
    let polled = poll::poll(&fleet, address).unwrap();
    let commands = |fsu: &Fsu| fsu.devices.iter().map(|device| device.template.commands.len()).sum::<usize>();
    let asked: usize = fleet.fsus.iter().filter(|fsu| is_udp(fsu)).map(commands).sum();
    assert_eq!(polled.len(), asked);
    let (mut polled, mut answered) = (polled.iter(), 0);
    for fsu in fleet.fsus.iter().filter(|fsu| is_udp(fsu)) {
        for device in fsu.devices.iter() {
            for (number, command) in device.template.commands.iter().enumerate() {
                let (asked, outcome, answer) = polled.next().unwrap();
                let expected = if is_answered(device, number) { Outcome::Done } else { Outcome::TimedOut };
                assert_eq!((asked, *outcome), (&format!("{} {}", fsu.name, command.key_text), expected));
                if expected != Outcome::Done {
                    continue;
                }
                answered += 1;
                let data_len = answer.len() - device.template.left_len - device.template.tail_len;
                let frame = inner::Frame { raw: answer, wire: answer, data_len };
                assert!(inner::reply_lengths_ok(&device.template, &frame).is_ok(), "{asked}: {}", hex::encode(answer));
            }
        }
    }
    assert!(answered > 10, "{answered}");
}

/// Whether a rule answers the command's sample.
fn is_answered(device: &Device, command: usize) -> bool {
    let template = &device.template;
    let raw = request::build(template, &template.commands[command], &[]).unwrap();
    let data_len = raw.len() - template.left_len - template.tail_len;
    let frame = inner::Frame { raw: &raw, wire: &raw, data_len };
    matching(device, command, &frame).is_some_and(|(_, rule)| !rule.timeout)
}

/// The centre is no longer than it says.
#[test]
fn the_centre_has_sixty_lines() {
    let text = include_str!("../examples/poll.rs");
    let is_code = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with("//");
    let code = text.lines().filter(is_code).count();
    assert!(code <= 60, "{code} lines");
}
