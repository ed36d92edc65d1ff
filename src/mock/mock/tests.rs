use super::*;
use crate::fixtures::{NOW, RUN, device, drops, fleet, fsu};
use crate::replies::{Replies, Said};
use fsu_plan::model::fault::{FaultSet, FsuFaults, Scheduled};
use fsu_plan::model::message::Message;
use fsu_plan::wire::envelope::{Comm, Head, Up, escape_in_place};
use fsu_plan::wire::fixtures::{fixed, frame, length};
use fsu_plan::wire::reason::Reason;

const UDP: usize = 0;
const BROADCAST: usize = 1;
const TCP: usize = 2;
const NOBODY: usize = 9;

fn peer() -> SocketAddr {
    ([192, 0, 2, 1], 9).into()
}

/// One FSU for each transport; they are offline from 100 s to 200 s.
fn mock() -> Mock {
    mock_with(|_| {})
}

fn mock_with(change: impl Fn(&mut Fsu)) -> Mock {
    let set = FaultSet { offline: Some(true), ..FaultSet::default() };
    let outage = Scheduled { from_ms: 100_000, to_ms: 200_000, faults: set };
    let faults = Arc::new(FsuFaults { base: FaultSet::default(), schedule: [outage].into() });
    let fsus = [Transport::Udp, Transport::Broadcast, Transport::Tcp].map(|transport| {
        let device = device(if transport == Transport::Tcp { length() } else { fixed() }, 1, 1, false);
        let mut fsu = fsu(vec![device]).with(|fsu| {
            fsu.transport = transport;
            fsu.faults = Some(faults.clone());
        });
        change(&mut fsu);
        fsu
    });
    Mock::new(fleet(fsus.into()).into(), RUN)
}

/// That many milliseconds after the start.
fn at(ms: u64) -> Moment {
    Moment { since_start_ms: ms, ..NOW }
}

/// A good request's inner frame, which is also its reply's.
fn inner(number: usize) -> Vec<u8> {
    let template = if number == TCP { length() } else { fixed() };
    frame(&template, 5, 0x10, &[])
}

/// A good request, as it travels to that FSU.
fn request(mock: &Mock, number: usize) -> Vec<u8> {
    let inner = inner(number);
    if number != UDP {
        return inner;
    }
    let mut wire = Vec::new();
    Head::request(&mock.fleet().fsus[number].id.bytes, &[0; 8], 1, 1).build(Some(&inner), &mut wire).unwrap();
    escape_in_place(&mut wire);
    wire
}

#[test]
fn every_transport_answers_by_one_door() {
    let mut mock = mock();
    for number in [UDP, BROADCAST, TCP] {
        let (bytes, mut replies) = (request(&mock, number), Replies::default());
        mock.on_request(number, Incoming { peer: peer(), bytes: &bytes }, at(0), &mut replies);
        let frames = replies.frames();
        assert_eq!(frames.len(), 1, "{number}");
        let inner = inner(number);
        assert!(frames[0].windows(inner.len()).any(|part| part == inner), "{}", hex::encode(frames[0]));
        let counters = mock.counters(number).unwrap();
        assert_eq!((counters.received, counters.dropped_total(), counters.answered), (1, 0, 0));
        mock.on_sent(number, Outgoing::Reply);
        assert_eq!(mock.counters(number).unwrap().answered, 1);
    }
}

#[test]
fn an_fsu_that_is_none_hears_nothing() {
    let (mut mock, mut replies) = (mock(), Replies::default());
    let bytes = request(&mock, BROADCAST);
    for number in [TCP, NOBODY] {
        let heard = mock.on_datagram(number, bytes[..].into(), at(0), &mut replies);
        assert_eq!(heard, Heard { valid: false });
    }
    mock.on_request(NOBODY, bytes[..].into(), at(0), &mut replies);
    mock.on_sent(NOBODY, Outgoing::Reply);
    assert!(mock.open(NOBODY, peer(), at(0), &mut replies).is_none());
    assert_eq!(mock.on_timer(NOBODY, at(0), &mut replies), None);
    assert_eq!(replies.said().count(), 0);
    assert!(mock.counters(NOBODY).is_none() && mock.find("nobody").is_none());
    assert_eq!(mock.find("test"), Some(UDP));
}

#[test]
fn a_connection_keeps_what_is_not_whole() {
    let mut mock = mock();
    let bytes = request(&mock, TCP).repeat(3);
    let first = bytes.len() / 3;
    for split in 0..=bytes.len() {
        let mut replies = Replies::default();
        let mut connection = mock.open(TCP, peer(), at(0), &mut replies).unwrap();
        assert!(mock.on_bytes(&mut connection, &bytes[..split], at(0), &mut replies));
        assert_eq!((replies.frames().len(), connection.waiting().len()), (split / first, split % first));
        assert!(mock.on_bytes(&mut connection, &bytes[split..], at(0), &mut replies));
        assert_eq!(replies.frames(), [&bytes[..first]; 3]);
    }
    assert_eq!(mock.counters(TCP).unwrap().connections, bytes.len() as u64 + 1);
}

#[test]
fn a_full_sink_is_given_the_rest_later() {
    let mut mock = mock();
    let bytes = request(&mock, TCP).repeat(3);
    let mut full = Replies::full_after(2);
    let mut connection = mock.open(TCP, peer(), at(0), &mut full).unwrap();
    assert!(!mock.on_bytes(&mut connection, &bytes, at(0), &mut full));
    assert_eq!(full.frames().len(), 2);
    let mut replies = Replies::default();
    assert!(mock.on_bytes(&mut connection, &[], at(0), &mut replies));
    assert_eq!(replies.frames().len(), 1);
}

#[test]
fn a_rest_is_decided_when_nothing_more_comes() {
    let mut mock = mock();
    let whole = request(&mock, TCP);
    let mut replies = Replies::default();
    let mut connection = mock.open(TCP, peer(), at(0), &mut replies).unwrap();
    mock.on_bytes(&mut connection, &whole[..whole.len() - 1], at(0), &mut replies);
    mock.on_quiet(&mut connection, at(0), &mut replies);
    assert_eq!((replies.received().count(), connection.waiting().len()), (0, whole.len() - 1));
    mock.on_end(&mut connection, at(0), &mut replies);
    assert_eq!((replies.frames().len(), connection.waiting().len()), (0, 0));
    assert_eq!(mock.counters(TCP).unwrap().dropped[Reason::Garbage as usize], whole.len() as u64 - 1);
}

#[test]
fn heartbeats_come_at_their_interval() {
    let mut mock = mock_with(|fsu| fsu.messages = Message::heartbeats(Some(30_000)));
    let beats = |mock: &mut Mock, ms: u64| {
        let mut replies = Replies::default();
        let next = mock.on_timer(UDP, at(ms), &mut replies);
        for sent in replies.sent() {
            assert_eq!((sent.what, sent.due_ns, sent.about), (Outgoing::Heartbeat, NOW.arrived_ns, About::HEARTBEAT));
            assert_eq!(Up::new_checked(sent.bytes).unwrap().comm, Comm::Heartbeat);
        }
        (replies.sent().count(), next)
    };
    assert_eq!(beats(&mut mock, 0), (1, Some(30_000)));
    assert_eq!(beats(&mut mock, 29_999), (0, Some(30_000)));
    // One that was slept through is left out, and one in an outage is not sent.
    assert_eq!(beats(&mut mock, 65_000), (1, Some(90_000)));
    assert_eq!(beats(&mut mock, 150_000), (0, Some(180_000)));
    assert_eq!(mock.on_timer(BROADCAST, at(0), &mut Replies::default()), None);
}

#[test]
fn an_outage_leaves_everything_unanswered() {
    let mut mock = mock();
    let (mut replies, now) = (Replies::default(), at(150_000));
    let mut connection = mock.open(TCP, peer(), at(0), &mut replies).unwrap();
    for number in [UDP, BROADCAST] {
        let bytes = request(&mock, number);
        mock.on_datagram(number, bytes[..].into(), now, &mut replies);
    }
    assert!(mock.open(TCP, peer(), now, &mut replies).is_none());
    let bytes = request(&mock, TCP);
    assert!(mock.on_bytes(&mut connection, &bytes, now, &mut replies));
    let offline = |frame| Said::Fault(FaultKind::Offline, Place::apart(frame));
    let expected = [
        offline(Struck::Request),
        offline(Struck::Request),
        offline(Struck::Connection),
        offline(Struck::Connection),
        Said::Cut(Cut::Reset, now.arrived_ns),
    ];
    assert_eq!(replies.said().collect::<Vec<_>>(), expected);
    let counted =
        [UDP, BROADCAST, TCP].map(|number| mock.counters(number).unwrap().faults[FaultKind::Offline as usize]);
    assert_eq!(counted, [1, 1, 2]);
}

#[test]
fn who_is_not_let_in_is_counted() {
    let mut mock =
        mock_with(|fsu| fsu.allow = [fsu_plan::model::network::Network::parse("10.0.0.0/8").unwrap()].into());
    let mut replies = Replies::default();
    let bytes = request(&mock, UDP);
    let heard = mock.on_datagram(UDP, Incoming { peer: peer(), bytes: &bytes }, at(0), &mut replies);
    assert!(!heard.valid && mock.open(TCP, peer(), at(0), &mut replies).is_none());
    assert_eq!(
        replies.said().collect::<Vec<_>>(),
        [Said::Note(Reason::NotAllowed, &bytes), Said::Note(Reason::NotAllowed, &[]),]
    );
    for number in [UDP, TCP] {
        assert_eq!(drops(&mock.members[number].state), [(Reason::NotAllowed, 1)]);
    }
    mock.on_datagram(UDP, Incoming { peer: ([10, 0, 0, 1], 9).into(), bytes: &bytes }, at(0), &mut replies);
    assert_eq!(replies.frames().len(), 1);
}
