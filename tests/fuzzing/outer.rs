//! A datagram of the B interface, read by the program and by the judge, in both directions.

use crate::naive::outer::{self, Outer};
use fsu_plan::model::fleet::RtnFlags;
use fsu_plan::wire::envelope::{Comm, Down, Frames, HEARTBEAT_BYTES, Head, Up, escape, escape_in_place};

/// The whole input is the datagram.
pub fn run(datagram: &[u8]) {
    let (mut at, mut good) = (0, vec![]);
    let mut buffer = vec![0xA5];
    for item in Frames::new(datagram) {
        let bytes = match item {
            Ok(frame) => {
                good.push(frame.bytes);
                if let Ok(plain) = frame.plain(&mut buffer) {
                    check_frame(frame.bytes, plain);
                } else {
                    assert!(outer::parse(frame.bytes, true).is_err(), "unescaped too little");
                }
                frame.bytes
            }
            Err(bad) => bad.bytes,
        };
        assert!(!bytes.is_empty() && datagram[at..].starts_with(bytes), "an item that is not the next bytes");
        at += bytes.len();
    }
    assert_eq!(at, datagram.len(), "bytes in no item");
    assert_eq!(good, outer::candidates(datagram), "other frames");
    check_wrapped(datagram.to_vec());
    let mut mended = datagram.to_vec();
    mend(&mut mended);
    check_wrapped(mended);
}

/// Lengths that fit, in the orders that the first byte tells, where the bytes are enough for a frame with through data.
fn mend(inside: &mut [u8]) {
    let Some(how) = inside.first().copied().filter(|_| inside.len() >= 37) else { return };
    let length = |value: usize, big: bool| {
        let value = value as u16;
        if big { value.to_be_bytes() } else { value.to_le_bytes() }
    };
    let (p_len, data_len) = (inside.len() - 32, inside.len() - 37);
    inside[30..32].copy_from_slice(&length(p_len, how & 1 != 0));
    inside[32..35].copy_from_slice(&[if how & 4 != 0 { 0x00 } else { 0xEE }, 1, 0]);
    inside[35..37].copy_from_slice(&length(data_len, how & 2 != 0));
}

/// Other RtnFlags than EE that an FSU may take.
const RTN_FLAGS: [&[u8]; 4] = [&[0xEE, 0x00], &[0x00], &[0xED, 0xAA], &[0xAA, 0x00, 0xED, 0xEE]];

fn check_frame(wire: &[u8], plain: &[u8]) {
    let parsed = outer::parse(wire, true).ok().filter(|o| [1, 2].contains(&o.comm_type));
    for flags in RTN_FLAGS {
        let judged = parsed.as_ref().filter(|o| outer::is_request(o, flags));
        let accepted = RtnFlags::new(flags).expect("a list that is short enough");
        check_same(Down::new_accepted(plain, accepted).ok().as_ref().map(read_down), judged);
    }
    let judged = parsed.filter(|o| [(1, 0xEE), (2, 0xEE), (2, 0xED)].contains(&(o.comm_type, o.rtn_flag)));
    let down = Down::new_checked(plain).ok();
    check_same(down.as_ref().map(read_down), judged.as_ref());
    if let (Some(down), Some(judged)) = (&down, &judged) {
        check_built(wire, down, judged);
    }

    let judged = outer::parse(wire, false).ok().filter(|o| [(1, 0x00), (2, 0xED)].contains(&(o.comm_type, o.rtn_flag)));
    let up = Up::new_checked(plain).ok();
    let read = up.map(|u| {
        (u.dest.to_vec(), u.src.to_vec(), u.sub_dev_type, u.sub_dev_addr, u.comm, (u.p_len_big, u.data_len_big))
    });
    check_same(read, judged.as_ref());
}

type Read<'a> = (Vec<u8>, Vec<u8>, u8, u8, Comm<'a>, (bool, bool));

fn read_down<'a>(d: &Down<'a>) -> Read<'a> {
    (d.dest.to_vec(), d.src.to_vec(), d.sub_dev_type, d.sub_dev_addr, d.comm, (d.p_len_big, d.data_len_big))
}

fn check_same(read: Option<Read<'_>>, judged: Option<&Outer>) {
    let judged = judged.map(|o| {
        let comm = o.data.as_deref().map_or(Comm::Heartbeat, Comm::Through);
        (o.dest.clone(), o.src.clone(), o.sub_dev_type, o.sub_dev_addr, comm, o.big)
    });
    assert_eq!(read, judged, "the program and the judge");
}

/// What was read is built again; so is its reply.
fn check_built(wire: &[u8], down: &Down<'_>, judged: &Outer) {
    let data = judged.data.as_deref();
    let head = Head {
        rtn_flag: judged.rtn_flag,
        p_len_big: down.p_len_big,
        data_len_big: down.data_len_big,
        ..Head::request(down.dest, down.src, down.sub_dev_type, down.sub_dev_addr)
    };
    let (mut framed, mut escaped) = (vec![0xA5], vec![0xA5]);
    head.build(data, &mut framed).expect("a frame that was read is short enough");
    assert_eq!(escape(&framed, &mut escaped), wire, "built otherwise than it came");
    let Some(data) = data else { return };
    Head::reply(down.dest, down).build(Some(data), &mut framed).expect("as long as the request");
    let expected = outer::build(&outer::reply(judged, down.dest, data.to_vec()));
    assert_eq!(escape(&framed, &mut escaped), expected, "the reply");
    escape_in_place(&mut framed);
    assert_eq!(framed, expected, "the reply, escaped in place");
}

/// Any bytes with their P_verify between FF and FE are escaped as the judge does, are one frame, and come back.
fn check_wrapped(inside: Vec<u8>) {
    let verify = inside.iter().fold(0, |n, byte| n ^ byte);
    let plain = [&[0xFF], &inside[..], &[verify, 0xFE]].concat();
    let (mut escaped, mut back) = (vec![], vec![0xA5]);
    let escaped = escape(&plain, &mut escaped);
    assert_eq!(escaped, outer::escape(&plain), "escapes");
    let found = Frames::new(escaped).collect::<Vec<_>>();
    let [Ok(frame)] = found[..] else { panic!("{found:?} of one frame") };
    match frame.plain(&mut back) {
        Ok(back) => {
            assert_eq!(back, plain, "escapes undone");
            check_frame(escaped, back);
        }
        Err(reason) => assert!(escaped.len() < HEARTBEAT_BYTES, "{reason:?}"),
    }
}
