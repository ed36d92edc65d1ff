//! What a profile answers, and what it leaves to the general code.

use crate::fixtures::{device, drops, fsu, start, turn};
use crate::replies::Replies;
use crate::stage;
use fsu_plan::compile::profile::profiles;
use fsu_plan::model::fault::FsuFaults;
use fsu_plan::model::fleet::{Fsu, RtnFlags};
use fsu_plan::model::message::Transport;
use fsu_plan::model::template::{Checksum, Template};
use fsu_plan::wire::envelope::{Head, escape};
use fsu_plan::wire::fixtures::{ascii_length, fixed, frame, length};
use fsu_plan::wire::reason::Reason;
use std::sync::Arc;

/// An FSU with a device of each of these templates, all with profiles; their addresses are 1, 2 and so on.
fn with(transport: Transport, templates: Vec<Template>) -> Fsu {
    let one = |(addr, template)| {
        let device = device(template, 1, addr, false);
        device.profiles.set(profiles(&device)).expect("not set");
        device
    };
    fsu((1..).zip(templates).map(one).collect()).with(|fsu| fsu.transport = transport)
}

fn over_wire() -> Template {
    let template = ascii_length();
    let checksum = template.checksum.map(|checksum| Checksum { over_wire: true, ..checksum });
    Template { checksum, ..template }
}

/// Command 10 of a template whose checksum is taken over the characters.
fn digits(address: u8) -> Vec<u8> {
    let mut raw = fsu_plan::wire::fixtures::raw_frame(&over_wire(), address, 0x10, &[]);
    let mut wire = Vec::new();
    crate::seal::seal(&over_wire(), &mut raw, &mut wire);
    wire
}

/// A request in an outer frame, changed before P_verify is written.
fn outer(data: &[u8], change: impl FnOnce(&mut Head)) -> Vec<u8> {
    let mut id = [0; 20];
    id[..8].copy_from_slice(b"20250125");
    let mut head = Head::request(&id, &[0; 8], 1, 1);
    change(&mut head);
    let (mut plain, mut escaped) = (Vec::new(), Vec::new());
    head.build(Some(data), &mut plain).expect("short");
    escape(&plain, &mut escaped).to_vec()
}

/// Serves these bytes: requests that a profile answered, replies, and reasons of drops.
fn serve(fsu: &Fsu, bytes: &[u8]) -> (u64, usize, Vec<Reason>) {
    let (mut state, mut scratch) = start(fsu);
    let mut replies = Replies::default();
    stage::on_request(&mut turn(fsu, &mut state, &mut scratch), bytes.into(), &mut replies);
    (scratch.profile.taken(), replies.sent().count(), drops(&state).into_iter().map(|(reason, _)| reason).collect())
}

#[test]
fn outer_frames_that_a_profile_answers() {
    let check = |bytes: &[u8], expected: (u64, usize, &[Reason])| {
        let (taken, sent, drops) = serve(&with(Transport::Udp, vec![fixed()]), bytes);
        assert_eq!((taken, sent, &*drops), expected, "{bytes:02X?}");
    };
    let good = frame(&fixed(), 5, 0x10, &[]);
    check(&outer(&good, |_| ()), (1, 1, &[]));
    // Escaped: once in the request, once in both.
    check(&outer(&frame(&fixed(), 5, 0x10, &[0xFD]), |_| ()), (1, 1, &[]));
    check(&outer(&frame(&fixed(), 0xFE, 0x10, &[]), |_| ()), (1, 1, &[]));
    let two = [outer(&good, |_| ()), outer(&good, |head| head.addresses[27] = 0xFF)].concat();
    check(&two, (2, 2, &[]));
    // Lengths with the high byte first, another RtnFlag or FSU, a device that only the address finds.
    check(&outer(&good, |head| head.p_len_big = true), (0, 1, &[]));
    check(&outer(&good, |head| head.data_len_big = true), (0, 1, &[]));
    check(&outer(&good, |head| head.sub_dev_addr = 9), (0, 1, &[]));
    check(&outer(&good, |head| head.rtn_flag = 0), (0, 0, &[Reason::OuterBadRtnFlag]));
    check(&outer(&good, |head| head.addresses[0] = 1), (0, 0, &[Reason::WrongFsu]));
    // Command 11 is left unanswered, 12 is none.
    check(&outer(&frame(&fixed(), 5, 0x11, &[]), |_| ()), (0, 0, &[]));
    check(&outer(&frame(&fixed(), 5, 0x12, &[]), |_| ()), (0, 0, &[Reason::UnknownCommand]));
    // A wrong checksum is answered all the same, and counted.
    let mut wrong = good;
    wrong[7] ^= 1;
    check(&outer(&wrong, |_| ()), (0, 1, &[]));
    check(&outer(&[], |_| ()), (0, 0, &[Reason::Short]));
    check(&[], (0, 0, &[Reason::OuterShort]));
}

#[test]
fn frames_of_a_stream_that_a_profile_answers() {
    let check = |template: Template, bytes: &[u8], expected: (u64, usize)| {
        let (taken, sent, _) = serve(&with(Transport::Tcp, vec![template]), bytes);
        assert_eq!((taken, sent), expected, "{bytes:02X?}");
    };
    let good = frame(&length(), 5, 0x10, &[]);
    check(length(), &good, (1, 1));
    check(length(), &[good.clone(), good.clone()].concat(), (2, 2));
    // Garbage before one, half a frame behind it, and one of another length.
    check(length(), &[&[0x01], &*good, &good[..3]].concat(), (1, 1));
    check(length(), &frame(&length(), 5, 0x10, &[1]), (0, 1));
    let upper = digits(0x5A);
    check(over_wire(), &upper, (1, 1));
    // Lower-case digits are digits too. Their checksum is another one, which is answered all the same.
    check(over_wire(), &upper.to_ascii_lowercase(), (0, 1));
}

#[test]
fn fsus_without_profiles() {
    let bytes = outer(&frame(&fixed(), 5, 0x10, &[]), |_| ());
    let check = |change: &dyn Fn(&mut Fsu), expected: (u64, usize)| {
        let mut fsu = with(Transport::Udp, vec![fixed(), fixed()]);
        change(&mut fsu);
        let (taken, sent, _) = serve(&fsu, &bytes);
        assert_eq!((taken, sent), expected);
    };
    check(&|_| (), (1, 1));
    check(&|fsu| fsu.accept_any_id = true, (1, 1));
    check(&|fsu| fsu.faults = Some(Arc::new(FsuFaults::default())), (0, 1));
    check(&|fsu| fsu.accept_rtn_flags = RtnFlags::new(&[0x00]).expect("one"), (0, 0));
    // On a stream it is for the search to say which device a frame fits.
    let stream = with(Transport::Tcp, vec![fixed(), fixed()]);
    assert_eq!(serve(&stream, &frame(&fixed(), 5, 0x10, &[])), (0, 1, vec![]));
}
