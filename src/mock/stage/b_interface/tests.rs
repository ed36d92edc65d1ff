use super::*;
use crate::fixtures::{Said, device, drops, fsu, start, turn};
use crate::replies::Replies;
use crate::state::FsuState;
use fsu_plan::model::template::Template;
use fsu_plan::wire::envelope::{Escaped, RTN_HEARTBEAT, Up};
use fsu_plan::wire::fixtures::{fixed, frame, length};

const ID: [u8; 20] = *b"20250125\0\0\0\0\0\0\0\0\0\0\0\0";
const OTHER: [u8; 20] = *b"20250126\0\0\0\0\0\0\0\0\0\0\0\0";
const CENTER: [u8; 8] = [9; 8];

fn wire(head: &Head, data: Option<&[u8]>) -> Vec<u8> {
    let mut plain = Vec::new();
    head.build(data, &mut plain).unwrap();
    escape(&plain, &mut Vec::new()).to_vec()
}

fn request(device: (u8, u8), data: &[u8]) -> Vec<u8> {
    wire(&Head::request(&ID, &CENTER, device.0, device.1), Some(data))
}

/// Two devices: 01 01 with frames of a fixed size, 01 FE with a length field.
fn two() -> Fsu {
    fsu(vec![device(fixed(), 1, 1, false), device(length(), 1, 0xFE, false)])
}

/// Device and through data of each datagram sent, what was heard, and the drops.
type Outcome = (Vec<((u8, u8), Vec<u8>)>, bool, Vec<(Reason, u64)>);

fn outcome(fsu: &Fsu, datagram: &[u8]) -> (Outcome, FsuState) {
    let (mut state, mut scratch) = start(fsu);
    let mut replies = Replies::default();
    let heard = on_datagram(&mut turn(fsu, &mut state, &mut scratch), datagram, &mut replies);
    let said = Said::from(&replies);
    let sent = said.sent.iter().map(|(_, due_ms, bytes)| {
        assert_eq!(*due_ms, 0);
        let frames: Vec<Escaped<'_>> = Frames::new(bytes).collect::<Result<_, _>>().unwrap();
        assert_eq!(frames.len(), 1);
        let mut buffer = Vec::new();
        let up = Up::new_checked(frames[0].plain(&mut buffer).unwrap()).unwrap();
        assert_eq!((up.dest, up.src), (&[0; 8], &fsu.id.bytes));
        let data = if let Comm::Through(data) = up.comm { data } else { &[] };
        ((up.sub_dev_type, up.sub_dev_addr), data.to_vec())
    });
    let sent: Vec<_> = sent.collect();
    assert!(said.received.is_empty());
    assert_eq!(said.notes.len() as u64, state.counters.dropped_total());
    let counters = &state.counters;
    let centers = counters.heartbeats_received;
    let answered = sent.len() as u64 - if fsu.heartbeat_reply { centers } else { 0 };
    assert_eq!(counters.received, answered + counters.silent + centers + counters.dropped_total());
    ((sent, heard.valid, drops(&state)), state)
}

fn check(fsu: &Fsu, datagram: &[u8], sent: &[((u8, u8), Vec<u8>)], valid: bool, drops: &[(Reason, u64)]) -> FsuState {
    let (outcome, state) = outcome(fsu, datagram);
    assert_eq!(outcome, (sent.to_vec(), valid, drops.to_vec()));
    state
}

#[test]
fn a_device_answers_by_type_and_address() {
    let reply = frame(&fixed(), 5, 0x10, &[]);
    check(&two(), &request((1, 1), &frame(&fixed(), 5, 0x10, &[1, 2, 3, 4])), &[((1, 1), reply)], true, &[]);
    // Escapes in both directions: the device's address, the data.
    let reply = frame(&length(), 0xFF, 0x10, &[]);
    let data = frame(&length(), 0xFF, 0x10, &[0xFD, 0xFE, 0xFF]);
    check(&two(), &request((1, 0xFE), &data), &[((1, 0xFE), reply)], true, &[]);
}

#[test]
fn no_such_device() {
    let data = frame(&fixed(), 5, 0x10, &[]);
    check(&two(), &request((1, 2), &data), &[], true, &[(Reason::UnknownDevice, 1)]);
    check(&two(), &request((2, 1), &data), &[], true, &[(Reason::UnknownDevice, 1)]);
    // The only device answers whatever the address, and under that address.
    let one = fsu(vec![device(fixed(), 1, 1, false)]);
    check(&one, &request((3, 7), &data), &[((3, 7), data.clone())], true, &[]);
}

#[test]
fn another_id() {
    let data = frame(&fixed(), 5, 0x10, &[]);
    let datagram = wire(&Head::request(&OTHER, &CENTER, 1, 1), Some(&data));
    let mut fsu = two();
    check(&fsu, &datagram, &[], false, &[(Reason::WrongFsu, 1)]);
    check(&fsu, &wire(&Head::center_heartbeat(&OTHER, &CENTER), None), &[], false, &[(Reason::WrongFsu, 1)]);
    fsu.accept_any_id = true;
    check(&fsu, &datagram, &[((1, 1), data)], true, &[]);
}

#[test]
fn silence_and_inner_errors_still_show_a_center() {
    let silent = check(&two(), &request((1, 1), &frame(&fixed(), 5, 0x11, &[])), &[], true, &[]);
    assert_eq!(silent.counters.silent, 1);
    check(&two(), &request((1, 1), b"abc"), &[], true, &[(Reason::Short, 1)]);
    check(&two(), &request((1, 1), b""), &[], true, &[(Reason::Short, 1)]);
    let unknown = frame(&fixed(), 5, 0x77, &[]);
    let state = check(&two(), &request((1, 1), &unknown), &[], true, &[(Reason::UnknownCommand, 1)]);
    assert_eq!(state.counters.error_replies, [0; 5]);
    let telling = fsu(vec![device(fixed(), 1, 1, true)]);
    let state = check(&telling, &request((1, 1), &unknown), &[((1, 1), unknown.clone())], true, &[]);
    assert_eq!(state.counters.error_replies, [0, 0, 0, 0, 1]);
}

#[test]
fn center_heartbeats() {
    let mut fsu = two();
    let datagram = wire(&Head::center_heartbeat(&ID, &CENTER), None);
    assert_eq!(check(&fsu, &datagram, &[], true, &[]).counters.heartbeats_received, 1);
    fsu.heartbeat_reply = true;
    assert_eq!(check(&fsu, &datagram, &[((1, 1), vec![])], true, &[]).counters.heartbeats_received, 1);
}

#[test]
fn several_frames_in_a_datagram() {
    let [first, second] = [1, 2].map(|address| frame(&fixed(), address, 0x10, &[]));
    let reply = |data: &Vec<u8>| ((1, 1), data.clone());
    let both = [request((1, 1), &first), request((1, 1), &second)].concat();
    check(&two(), &both, &[reply(&first), reply(&second)], true, &[]);
    // Bad ones between good ones: a gap, one cut off by the next, a wrong P_verify, one that has no end.
    let mut wrong = request((1, 1), &first);
    wrong[5] ^= 1;
    let parts = [b"gap", &request((1, 1), &first)[..], b"\xFF12", &wrong, &request((1, 1), &second), b"\xFF3"];
    let expected = [
        (Reason::OuterBadHeader, 1),
        (Reason::OuterBadTailer, 1),
        (Reason::OuterBadEscape, 1),
        (Reason::OuterBadVerify, 1),
    ];
    check(&two(), &parts.concat(), &[reply(&first), reply(&second)], true, &expected);
}

#[test]
fn bad_datagrams_show_no_center() {
    check(&two(), b"", &[], false, &[(Reason::OuterShort, 1)]);
    check(&two(), b"abc", &[], false, &[(Reason::OuterBadHeader, 1)]);
    check(&two(), b"\xFF\xFE", &[], false, &[(Reason::OuterShort, 1)]);
    let head = Head { rtn_flag: 0, ..Head::request(&ID, &CENTER, 1, 1) };
    let data = frame(&fixed(), 5, 0x10, &[]);
    check(&two(), &wire(&head, Some(&data)), &[], false, &[(Reason::OuterBadRtnFlag, 1)]);
    let head = Head { rtn_flag: RTN_HEARTBEAT, ..head };
    check(&two(), &wire(&head, Some(&data)), &[], false, &[(Reason::OuterBadRtnFlag, 1)]);
}

#[test]
fn byte_orders_are_the_requests() {
    let data = frame(&fixed(), 5, 0x10, &[]);
    for (p_len_big, data_len_big) in [(false, false), (true, false), (false, true), (true, true)] {
        let head = Head { p_len_big, data_len_big, ..Head::request(&ID, &CENTER, 1, 1) };
        let fsu = two();
        let (mut state, mut scratch) = start(&fsu);
        let mut replies = Replies::default();
        on_datagram(&mut turn(&fsu, &mut state, &mut scratch), &wire(&head, Some(&data)), &mut replies);
        let up = Up::new_checked(replies.frames()[0]).unwrap();
        assert_eq!((up.p_len_big, up.data_len_big), (p_len_big, data_len_big));
        assert_eq!(state.counters.big_endian_lengths, u64::from(p_len_big) + u64::from(data_len_big));
    }
}

#[test]
fn limit_datagram_bytes_max_a_reply_too_long_for_a_datagram() {
    // 40,000 bytes fit as they are, but not when every one is escaped.
    let check = |data: u8, expected: &[(Reason, u64)]| {
        let template = Template { data_len_fixed: Some(40_000), ..fixed() };
        let mut device = device(template, 1, 1, false);
        let inner = Arc::get_mut(&mut device).unwrap();
        let reply = Arc::get_mut(&mut inner.rules[0][0].replies[0]).unwrap();
        let mut bytes = reply.frame.to_vec();
        bytes[5..40_000].fill(data);
        reply.frame = bytes.into();
        let template = Arc::clone(&inner.template);
        let datagram = request((1, 1), &frame(&template, 5, 0x10, &vec![0; 40_000]));
        let (outcome, _) = outcome(&fsu(vec![device]), &datagram);
        assert_eq!(outcome.2, expected);
    };
    check(0xFC, &[]);
    check(0xFD, &[(Reason::TooLong, 1)]);
}

#[test]
fn heartbeat_bytes() {
    let mut out = vec![0xA5; 90];
    heartbeat(&two(), &mut out);
    let expected = "FF0000000000000000323032353031323500000000000000000000000001010300ED0200EFFE";
    assert_eq!(hex::encode_upper(&out), expected);
    // P_subDevType is 01 whatever the device; its address is escaped like everything else.
    heartbeat(&fsu(vec![device(fixed(), 3, 0x11, false)]), &mut out);
    let expected = "FF0000000000000000323032353031323500000000000000000000000001110300ED0200FD00FE";
    assert_eq!(hex::encode_upper(&out), expected);
}

#[test]
fn n08_a_request_has_a_flag_that_is_accepted() {
    use fsu_plan::model::fleet::RtnFlags;
    let data = frame(&fixed(), 5, 0x10, &[]);
    let ask = |flags: &[u8], rtn_flag, good| {
        let fsu = two().with(|fsu| fsu.accept_rtn_flags = RtnFlags::new(flags).unwrap());
        let datagram = wire(&Head { rtn_flag, ..Head::request(&ID, &CENTER, 1, 1) }, Some(&data));
        let (sent, drops) =
            if good { (vec![((1, 1), data.clone())], vec![]) } else { (vec![], vec![(Reason::OuterBadRtnFlag, 1)]) };
        check(&fsu, &datagram, &sent, good, &drops);
    };
    for (flags, good) in [(&[0xEE, 0x00][..], &[0xEE, 0x00][..]), (&[0xEE], &[0xEE]), (&[0x00, 0xED], &[0x00, 0xED])] {
        for rtn_flag in [0xEE, 0x00, 0xED, 0xAA] {
            ask(flags, rtn_flag, good.contains(&rtn_flag));
        }
    }
    // A heartbeat may have EE and ED besides.
    let fsu = two().with(|fsu| fsu.accept_rtn_flags = RtnFlags::new(&[0x00]).unwrap());
    for (rtn_flag, good) in [(0xEE, true), (0xED, true), (0x00, true), (0xAA, false)] {
        let beat = wire(&Head { rtn_flag, ..Head::center_heartbeat(&ID, &CENTER) }, None);
        let drops: &[(Reason, u64)] = if good { &[] } else { &[(Reason::OuterBadRtnFlag, 1)] };
        check(&fsu, &beat, &[], good, drops);
    }
}

#[test]
fn n08_a_reply_is_never_answered() {
    use fsu_plan::model::fleet::RtnFlags;
    let data = frame(&fixed(), 5, 0x10, &[]);
    let fsu = two().with(|fsu| {
        fsu.accept_rtn_flags = RtnFlags::new(&[0xEE, 0x00]).unwrap();
        fsu.accept_any_id = true;
    });
    // Its own, and another FSU's.
    for id in [ID, OTHER] {
        let head = Head { rtn_flag: 0, ..Head::heartbeat(&id, 1, 1) };
        check(&fsu, &wire(&head, Some(&data)), &[], false, &[(Reason::OuterBadRtnFlag, 1)]);
    }
    // Nor is the heartbeat of an FSU by one.
    let fsu = fsu.with(|fsu| fsu.heartbeat_reply = true);
    let beat = wire(&Head::heartbeat(&OTHER, 1, 1), None);
    check(&fsu, &beat, &[], false, &[(Reason::WrongFsu, 1)]);
}

/// Whatever the ids are: one that begins with 00 makes a heartbeat read as a centre's to it.
#[test]
fn h04_a_heartbeat_of_an_fsu_is_not_answered() {
    let data = frame(&fixed(), 5, 0x10, &[]);
    let zeros = [0; 20];
    let mut shifted = [0; 20];
    shifted[8..16].copy_from_slice(b"20250125");
    for (own, other) in [(zeros, zeros), (shifted, ID), (ID, zeros), (zeros, OTHER)] {
        for accept_any_id in [false, true] {
            let mut fsu = two().with(|fsu| {
                fsu.heartbeat_reply = true;
                fsu.accept_any_id = accept_any_id;
            });
            fsu.id.bytes = own;
            let beat = wire(&Head::heartbeat(&other, 1, 1), None);
            check(&fsu, &beat, &[], false, &[(Reason::WrongFsu, 1)]);
            // A centre's with EE is heard, and its requests are.
            let head = Head { rtn_flag: 0xEE, ..Head::center_heartbeat(&own, &CENTER) };
            check(&fsu, &wire(&head, None), &[((1, 1), vec![])], true, &[]);
            check(&fsu, &wire(&Head::request(&own, &CENTER, 1, 1), Some(&data)), &[((1, 1), data.clone())], true, &[]);
        }
    }
}
