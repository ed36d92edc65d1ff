use super::escape::first_from;
use super::*;
use crate::wire::reason::Reason;
use proptest::prelude::*;
use serde_json::Value;

const ID: &[u8; 20] = b"20250125\0\0\0\0\0\0\0\0\0\0\0\0";

fn vectors() -> Vec<Value> {
    let all: Vec<Value> = serde_json::from_str(include_str!("../../../../tests/vectors/b_interface.json")).unwrap();
    // Miri takes minutes for the longest frames, in which nothing happens that does not happen in others.
    all.into_iter().filter(|vector| !cfg!(miri) || vector.to_string().len() < 2_000).collect()
}

fn bytes(of: &Value, key: &str) -> Vec<u8> {
    hex::decode(of[key].as_str().unwrap()).unwrap()
}

fn number(of: &Value, key: &str) -> u8 {
    u8::try_from(of[key].as_u64().unwrap()).unwrap()
}

/// All items of a datagram: frames checked as downlink frames, or why not.
fn down(datagram: &[u8]) -> Vec<Result<Vec<u8>, Reason>> {
    Frames::new(datagram)
        .map(|item| {
            let mut buffer = vec![0xA5; 7];
            let plain = item.map_err(|bad| bad.reason)?.plain(&mut buffer)?.to_vec();
            Down::new_checked(&plain)?;
            Ok(plain)
        })
        .collect()
}

fn escaped(plain: &[u8]) -> Vec<u8> {
    escape(plain, &mut vec![0xA5; 7]).to_vec()
}

fn built(head: &Head, data: Option<&[u8]>) -> Vec<u8> {
    let mut plain = vec![0xA5; 100];
    head.build(data, &mut plain).unwrap();
    plain
}

/// One frame with its fields: both ways.
fn check_fields(vector: &Value) {
    let (wire, plain, fields) = (bytes(vector, "hex"), bytes(vector, "unescaped"), &vector["fields"]);
    let mut buffer = Vec::new();
    let mut frames = Frames::new(&wire);
    assert_eq!(frames.next().unwrap().unwrap().plain(&mut buffer).unwrap(), plain);
    assert_eq!(frames.next(), None);
    assert_eq!(escaped(&plain), wire);
    let mut in_place = plain.clone();
    escape_in_place(&mut in_place);
    assert_eq!(in_place, wire);

    let data = fields.get("data").map(|_| bytes(fields, "data"));
    let comm = data.as_deref().map_or(Comm::Heartbeat, Comm::Through);
    let (dest, src) = (bytes(fields, "dest_addr"), bytes(fields, "src_addr"));
    let (sub_dev_type, sub_dev_addr) = (number(fields, "sub_dev_type"), number(fields, "sub_dev_addr"));
    let (p_len_big, data_len_big) = (false, false);
    let head = if vector["direction"] == "request" {
        let (dest, src) = (dest[..].try_into().unwrap(), src[..].try_into().unwrap());
        let expected =
            Down { dest, src, sub_dev_type, sub_dev_addr, comm, is_fsu_beat: false, p_len_big, data_len_big };
        assert_eq!(Down::new_checked(&plain), Ok(expected));
        Head::request(dest, src, sub_dev_type, sub_dev_addr)
    } else {
        let (dest, src) = (dest[..].try_into().unwrap(), src[..].try_into().unwrap());
        let expected = Up { dest, src, sub_dev_type, sub_dev_addr, comm, p_len_big, data_len_big };
        assert_eq!(Up::new_checked(&plain), Ok(expected));
        let heartbeat = Head::heartbeat(src, sub_dev_type, sub_dev_addr);
        if data.is_some() { Head { rtn_flag: RTN_REPLY, ..heartbeat } } else { heartbeat }
    };
    assert_eq!(built(&head, data.as_deref()), plain);
}

/// A request and its reply, in the request's byte orders.
fn check_pair(vector: &Value) {
    let (request, reply) = (bytes(vector, "request"), bytes(vector, "reply"));
    let mut buffer = Vec::new();
    let plain = Frames::new(&request).next().unwrap().unwrap().plain(&mut buffer).unwrap().to_vec();
    let request = Down::new_checked(&plain).unwrap();
    let big = vector.get("big_endian").and_then(Value::as_str).unwrap_or_default();
    assert_eq!((request.p_len_big, request.data_len_big), (big == "both", big == "n" || big == "both"));
    assert_eq!(request.comm, Comm::Through(&bytes(&vector["request_fields"], "data")));

    let data = bytes(&vector["reply_fields"], "data");
    let plain = built(&Head::reply(request.dest, &request), Some(&data));
    assert_eq!(escaped(&plain), reply);
    let up = Up::new_checked(&plain).unwrap();
    assert_eq!((up.dest, up.src, up.comm), (&[0; 8], request.dest, Comm::Through(&data)));
}

#[test]
fn every_vector() {
    for vector in vectors() {
        let name = vector["name"].as_str().unwrap();
        println!("{name}");
        if let Some(reason) = vector.get("reason") {
            let expected = match reason.as_str().unwrap() {
                "short" => Some(Reason::OuterShort),
                "bad_start" => Some(Reason::OuterBadHeader),
                "bad_end" => Some(Reason::OuterBadTailer),
                // The frame ends at the raw FE.
                "bad_escape" if name == "b_bad_escape_raw_fe" => Some(Reason::OuterBadVerify),
                "bad_escape" => Some(Reason::OuterBadEscape),
                // P_pLen agrees with the wrong length where there is one, so it is what contradicts the frame first.
                "length_mismatch" => Some(Reason::OuterBadPLen),
                "bad_checksum" => Some(Reason::OuterBadVerify),
                "unknown_command" => Some(Reason::OuterBadCommType),
                "wrong_direction" => Some(Reason::OuterBadRtnFlag),
                "wrong_fsu" => None,
                other => panic!("{other}"),
            };
            assert_eq!(down(&bytes(&vector, "hex"))[0].as_ref().err().copied(), expected, "{name}");
        } else if vector.get("frames").is_some() {
            let expected =
                vector["frames"].as_array().unwrap().iter().map(|v| Ok(hex::decode(v.as_str().unwrap()).unwrap()));
            assert_eq!(down(&bytes(&vector, "hex")), expected.collect::<Vec<_>>());
        } else if vector.get("request").is_some() {
            check_pair(&vector);
        } else {
            check_fields(&vector);
        }
    }
}

#[test]
fn search() {
    fn check(datagram: &str, expected: &[(Option<Reason>, &str)]) {
        let datagram = hex::decode(datagram).unwrap();
        let items: Vec<_> = Frames::new(&datagram)
            .map(|item| match item {
                Ok(frame) => (None, hex::encode(frame.bytes)),
                Err(bad) => (Some(bad.reason), hex::encode(bad.bytes)),
            })
            .collect();
        let expected: Vec<_> = expected.iter().map(|&(reason, bytes)| (reason, bytes.to_owned())).collect();
        assert_eq!(items, expected);
    }
    let [header, tailer, escape] =
        [Some(Reason::OuterBadHeader), Some(Reason::OuterBadTailer), Some(Reason::OuterBadEscape)];
    check("", &[]);
    check("fffe", &[(None, "fffe")]);
    check("ff01fe", &[(None, "ff01fe")]);
    check("fffefffe", &[(None, "fffe"), (None, "fffe")]);
    check("010203", &[(header, "010203")]);
    check("01fe02ff03fe", &[(header, "01fe02"), (None, "ff03fe")]);
    check("ff01fe0203ff04fe05", &[(None, "ff01fe"), (header, "0203"), (None, "ff04fe"), (header, "05")]);
    check("ff", &[(tailer, "ff")]);
    check("ff01", &[(tailer, "ff01")]);
    check("ff01fd", &[(tailer, "ff01fd")]);
    check("ff01ff02", &[(tailer, "ff01"), (tailer, "ff02")]);
    check("ff01ff02fe", &[(escape, "ff01"), (None, "ff02fe")]);
    check("fffd00ff02fe", &[(escape, "fffd00"), (None, "ff02fe")]);
    check("ffffff02feff03ff", &[(escape, "ff"), (escape, "ff"), (None, "ff02fe"), (tailer, "ff03"), (tailer, "ff")]);
    check("fffd03fe", &[(None, "fffd03fe")]);
}

#[test]
fn broken_frames() {
    fn check(change: impl Fn(&mut Vec<u8>), expected: Reason) {
        let mut plain = built(&Head::request(ID, &[0; 8], 1, 1), Some(b"abc"));
        change(&mut plain);
        let end = plain.len() - 1;
        if let Some(middle) = plain.get_mut(1..end) {
            let (verify, rest) = middle.split_last_mut().unwrap();
            *verify = xor(rest);
        }
        assert_eq!(Down::new_checked(&plain).unwrap_err(), expected);
    }
    check(|frame| frame[0] = 0x7E, Reason::OuterBadHeader);
    check(|frame| *frame.last_mut().unwrap() = 0x0D, Reason::OuterBadTailer);
    check(|frame| drop(frame.drain(1..7)), Reason::OuterShort);
    check(|frame| drop(frame.drain(2..4)), Reason::OuterBadPLen);
    check(|frame| frame[at::DATA_LEN] = 2, Reason::OuterBadDataLen);
    check(|frame| frame[at::DATA_LEN + 1] = 3, Reason::OuterBadDataLen);
    check(|frame| frame[at::P_LEN + 1] = 8, Reason::OuterBadPLen);
    check(|frame| frame[at::RTN_FLAG] = RTN_HEARTBEAT, Reason::OuterBadRtnFlag);
    check(|frame| frame[at::COMM_TYPE] = 3, Reason::OuterBadCommType);
    check(|frame| frame[at::COMM_TYPE + 1] = 1, Reason::OuterBadCommType);
    check(|frame| frame[at::COMM_TYPE] = 2, Reason::OuterBadPLen);
    // Through data without its length.
    let mut heartbeat = built(&Head::center_heartbeat(ID, &[7; 8]), None);
    heartbeat[at::COMM_TYPE] = 1;
    heartbeat[at::DATA_LEN] ^= 3;
    assert_eq!(Down::new_checked(&heartbeat).unwrap_err(), Reason::OuterBadDataLen);
}

#[test]
fn center_heartbeats() {
    for rtn_flag in [RTN_REQUEST, RTN_HEARTBEAT] {
        for p_len_big in [false, true] {
            let head = Head { rtn_flag, p_len_big, ..Head::center_heartbeat(ID, &[7; 8]) };
            let plain = built(&head, None);
            let down = Down::new_checked(&plain).unwrap();
            assert_eq!((down.comm, down.dest, down.src, down.p_len_big), (Comm::Heartbeat, ID, &[7; 8], p_len_big));
        }
    }
}

#[test]
fn lengths_that_read_alike_are_little_endian() {
    // N = 0x0101 and P_pLen = 0x0106: only the second has an order.
    let head = Head { p_len_big: true, data_len_big: true, ..Head::request(ID, &[0; 8], 1, 1) };
    let plain = built(&head, Some(&[0; 0x0101]));
    let down = Down::new_checked(&plain).unwrap();
    assert_eq!((down.p_len_big, down.data_len_big), (true, false));
}

#[test]
fn limit_data_bytes_max_largest_data() {
    let head = Head::request(ID, &[0; 8], 1, 1);
    let plain = built(&head, Some(&vec![0x55; DATA_BYTES_MAX]));
    assert!(Down::new_checked(&plain).is_ok());
    assert_eq!(head.build(Some(&vec![0x55; DATA_BYTES_MAX + 1]), &mut Vec::new()), Err(Reason::TooLong));
}

/// Bytes in which those with a meaning are as frequent as all others together.
fn spiky(len_max: usize) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(prop_oneof![0xFC..=0xFFu8, 0..=3u8, any::<u8>()], 0..len_max)
}

proptest! {
    #[test]
    fn xor_is_the_naive_one(data in spiky(80)) {
        prop_assert_eq!(xor(&data), data.iter().fold(0, |sum, byte| sum ^ byte));
    }

    #[test]
    fn escapes_round_trip(data in spiky(200)) {
        let head = Head::request(ID, &[0xFD; 8], 0xFE, 0xFF);
        let plain = built(&head, Some(&data));
        let wire = escaped(&plain);
        let naive: Vec<u8> = plain[1..plain.len() - 1]
            .iter()
            .flat_map(|&byte| if byte >= 0xFD { vec![0xFD, 0xFF - byte] } else { vec![byte] })
            .collect();
        prop_assert_eq!(&wire[1..wire.len() - 1], &naive[..]);
        prop_assert_eq!(down(&wire), vec![Ok(plain)]);
    }

    #[test]
    fn the_first_of_the_highest_bytes_is_found(bytes in spiky(70), least in 0xFD..=0xFFu8) {
        let naive = bytes.iter().position(|&byte| byte >= least);
        let found = match least {
            ESCAPE => first_from::<ESCAPE>(&bytes),
            TAILER => first_from::<TAILER>(&bytes),
            _ => first_from::<HEADER>(&bytes),
        };
        prop_assert_eq!(found, naive);
    }

    #[test]
    fn unescape_is_the_naive_one(body in spiky(60)) {
        let mut wire = vec![HEADER];
        wire.extend(body.iter().filter(|byte| !matches!(**byte, HEADER | TAILER)));
        wire.push(TAILER);
        let mut naive = Ok(Vec::new());
        let mut bytes = wire.iter();
        while let Some(&byte) = bytes.next() {
            let byte = if byte == ESCAPE { bytes.next().filter(|code| **code <= 2).map(|code| 0xFF - code) } else { Some(byte) };
            match (&mut naive, byte) {
                (Ok(plain), Some(byte)) => plain.push(byte),
                _ => naive = Err(Reason::OuterBadEscape),
            }
        }
        let first = memchr::memchr(ESCAPE, &wire).unwrap_or(wire.len());
        let mut out = vec![0xA5; 3];
        prop_assert_eq!(unescape(&wire, first, &mut out).map(|()| out), naive);
    }

    #[test]
    fn every_byte_is_in_one_item(datagram in spiky(300)) {
        let joined: Vec<u8> = Frames::new(&datagram)
            .flat_map(|item| item.map_or_else(|bad| bad.bytes, |frame| frame.bytes).to_vec())
            .collect();
        prop_assert_eq!(joined, datagram);
    }

    #[test]
    fn no_bytes_panic(datagram in spiky(300), random in proptest::collection::vec(any::<u8>(), 0..100)) {
        down(&datagram);
        let _ = Up::new_checked(&random);
        let _ = Down::new_checked(&random);
    }

    #[test]
    fn a_changed_bit_is_found(at in 1..42usize, bit in 0..8u32) {
        let mut plain = built(&Head::request(ID, &[0; 8], 1, 1), Some(b"abc"));
        plain[at] ^= 1 << bit;
        prop_assert_eq!(Down::new_checked(&plain).unwrap_err(), Reason::OuterBadVerify);
    }
}
