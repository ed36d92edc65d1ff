//! Messages in datagrams, with an outer frame and without one.

use super::*;
use crate::hear::acks::AckPolicy;
use crate::listen::tests::{desk, options};
use crate::talk::tests::frame;
use fsu_plan::model::fleet::FsuId;
use fsu_plan::wire::envelope::{Down, RTN_REPLY, escape_in_place};
use std::time::Duration;

/// A centre's socket, and one of an FSU that is not where the configuration says.
struct Hall<'a> {
    datagrams: Datagrams,
    desk: Centre<'a>,
    fsu: UdpSocket,
}

impl<'a> Hall<'a> {
    fn new(options: &'a Options) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let fsu = UdpSocket::bind("127.0.0.1:0").unwrap();
        fsu.connect(socket.local_addr().unwrap()).unwrap();
        fsu.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self { datagrams: Datagrams::new(options, vec![socket]), desk: desk(options), fsu }
    }

    /// Sends a datagram, and takes it.
    fn send(&mut self, bytes: &[u8]) {
        self.fsu.send(bytes).unwrap();
        let before = self.desk.count.bytes_in;
        while self.desk.count.bytes_in == before {
            self.datagrams.receive(&mut self.desk, 0).unwrap();
        }
    }

    fn answer(&self) -> Vec<u8> {
        let mut buffer = [0; 2_048];
        let len = self.fsu.recv(&mut buffer).unwrap();
        buffer[..len].to_vec()
    }
}

/// An FSU's frame in an outer one.
fn outer(id: &str, device: [u8; 2], data: &[u8]) -> Vec<u8> {
    let mut bytes = [0; FsuId::BYTES];
    hex::decode_to_slice(id, &mut bytes[..id.len() / 2]).unwrap();
    let head = Head { rtn_flag: RTN_REPLY, ..Head::heartbeat(&bytes, device[0], device[1]) };
    let mut out = Vec::new();
    head.build(Some(data), &mut out).unwrap();
    escape_in_place(&mut out);
    out
}

#[test]
fn a_message_in_an_outer_frame_is_acknowledged_in_one() {
    let options = options(AckPolicy::default());
    let mut hall = Hall::new(&options);
    let login = frame("860000000012000101020007");
    hall.send(&outer("35303032", [1, 2], &login));
    let answer = hall.answer();
    let mut plain = Vec::new();
    let frame_of = Frames::new(&answer).next().unwrap().unwrap();
    let down = Down::new_checked(frame_of.plain(&mut plain).unwrap()).unwrap();
    let Comm::Through(data) = down.comm else { panic!("{down:?}") };
    assert_eq!(hex::encode(data), hex::encode(frame("8600000000120001810100")));
    assert_eq!((&down.dest[..4], down.sub_dev_type, down.sub_dev_addr), (&b"5002"[..], 1, 2));
    // Of another FSU, of another device, of nobody; a heartbeat; no frame.
    hall.send(&outer("35303031", [1, 2], &login));
    assert_eq!(hall.desk.count.wrong_by.get("own_value"), Some(&1));
    hall.send(&outer("35303032", [1, 9], &login));
    hall.send(&outer("39393939", [1, 2], &login));
    assert_eq!((hall.desk.count.heard.replies, hall.desk.count.strangers), (2, 1));
    let mut beat = Vec::new();
    Head::heartbeat(&[7; FsuId::BYTES], 1, 0).build(None, &mut beat).unwrap();
    escape_in_place(&mut beat);
    hall.send(&beat);
    hall.send(&[0xFF, 0xFE]);
    assert_eq!((hall.desk.count.heard.heartbeats, hall.desk.count.heard.bad), (1, 1));
    // A reply to somebody's request is no message.
    hall.send(&outer("35303032", [1, 2], &frame("8600000000120001100200050D")[..15]));
    let total = hall.desk.count.total();
    assert_eq!((total.received, total.acked, total.wrong), (1, 1, 1));
}

#[test]
fn a_bare_message_is_known_by_what_it_carries() {
    let options = options(AckPolicy::default());
    let mut hall = Hall::new(&options);
    hall.send(&frame("8600000000230002030142"));
    assert_eq!(hex::encode(hall.answer()), hex::encode(frame("860000000023000283054200343201")));
    let bare_3 = options.hearing.cast.speakers.iter().position(|speaker| &*speaker.name == "bare_00003").unwrap();
    assert_eq!(hall.desk.count.by_fsu[bare_3], 1);
    // The same again: it was acknowledged.
    hall.send(&frame("8600000000230002030142"));
    hall.answer();
    // Wrong, from an address that nobody has.
    hall.send(&frame("86000000002300020301")[..9]);
    let total = hall.desk.count.total();
    assert_eq!((total.received, total.duplicate, total.acked, hall.desk.count.strangers), (1, 1, 2, 1));
}

#[test]
fn limit_peers_max_others_are_not_remembered() {
    let options = options(AckPolicy::default());
    let mut hall = Hall::new(&options);
    let peer = |number: usize| Peer::Fsu(1_000 + number as u32);
    hall.datagrams.recent.extend((0..PEERS_MAX - 1).map(|number| (peer(number), Recent::default())));
    let mut say = |middle: &str| {
        hall.send(&frame(middle));
        hall.datagrams.recent.len()
    };
    // The alarm waits for an acknowledgement: it is remembered, with its FSU's address.
    assert_eq!(say("8600000000230002030142"), PEERS_MAX);
    hall.datagrams.recent.remove(&Peer::Address(hall.fsu.local_addr().unwrap()));
    hall.datagrams.recent.insert(peer(PEERS_MAX), Recent::default());
    hall.send(&frame("8600000000230003030142"));
    assert_eq!(hall.datagrams.recent.len(), PEERS_MAX);
    assert!(!hall.datagrams.recent.contains_key(&Peer::Address(hall.fsu.local_addr().unwrap())));
}
