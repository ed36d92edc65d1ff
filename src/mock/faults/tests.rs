use super::*;
use crate::answer::random::Dice;
use crate::answer::turn::Turn;
use crate::fixtures::{NOW, device, start, turn};
use crate::moment::NS_PER_MS;
use crate::replies::{How, Replies, Said};
use crate::sink::{Cut, Outgoing, Sink};
use crate::stage;
use fsu_plan::model::fault::{FsuFaults, Scheduled, Struck};
use fsu_plan::model::field::Slot;
use fsu_plan::model::reply::{Number, Part, Patch};
use fsu_plan::model::rule::Delay;
use fsu_plan::model::template::Template;
use fsu_plan::wire::envelope::{Head, Up, escape, unescape};
use fsu_plan::wire::fixtures::{COMMANDS, ascii_delimited, fixed, frame, length};
use fsu_plan::wire::reason::Reason;
use std::sync::Arc;

/// What a stage said, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Did {
    /// When, bytes.
    Sent(i64, Vec<u8>),
    Apart(i64, Vec<u8>),
    Piece(i64, Vec<u8>),
    Cut(Cut, i64),
}

use Did::{Apart, Piece, Sent};

/// What was sent or cut, and when, in milliseconds.
fn did(replies: &Replies) -> Vec<Did> {
    let ms = |due_ns: i64| (due_ns - NOW.arrived_ns) / NS_PER_MS;
    let one = |said| match said {
        Said::Sent(sent) => {
            let did = match sent.how {
                How::InTurn => Sent,
                How::Apart => Apart,
                How::Piece => Piece,
            };
            Some(did(ms(sent.due_ns), sent.bytes.to_vec()))
        }
        Said::Cut(how, due_ns) => Some(Did::Cut(how, ms(due_ns))),
        _ => None,
    };
    replies.said().filter_map(one).collect()
}

/// What was done, and to which message.
fn faults(replies: &Replies) -> Vec<(FaultKind, u64)> {
    replies.faults().map(|(kind, place)| (kind, place.message)).collect()
}

/// The same: reply, of how many, what, SN.
fn places(replies: &Replies) -> Vec<(FaultKind, u16, u16, Struck, Option<u32>)> {
    replies.faults().map(|(kind, place)| (kind, place.reply, place.of, place.frame, place.sn)).collect()
}

/// These kinds always, in 50 ms, 200 ms, or three pieces 10 ms apart.
fn always(kinds: &[FaultKind]) -> FaultSet {
    let mut set =
        FaultSet { reorder_ms: 50, extra_delay_ms: 200, split_pieces: 3, split_gap_ms: 10, ..FaultSet::default() };
    for &kind in kinds {
        set.set_p(kind, 1.0);
    }
    set
}

fn fsu(template: Template, transport: Transport, set: FaultSet) -> Fsu {
    let faults = FsuFaults { base: set, schedule: Box::default() };
    let device = device(template, 1, 1, false);
    crate::fixtures::fsu(vec![device]).with(|fsu| {
        fsu.transport = transport;
        fsu.faults = Some(Arc::new(faults));
    })
}

/// One request, in the outer frame where the FSU's transport has one.
fn run(turn: &mut Turn<'_>, request: &[u8], replies: &mut Replies) {
    let mut wire = request.to_vec();
    if turn.fsu.transport == Transport::Udp {
        let mut plain = Vec::new();
        Head::request(&turn.fsu.id.bytes, &[0; 8], 1, 1).build(Some(request), &mut plain).unwrap();
        wire = escape(&plain, &mut Vec::new()).to_vec();
    }
    stage::on_request(turn, wire[..].into(), replies);
}

/// What becomes of one request, which is message 1, with these faults: each fault applied is counted and reported.
fn outcome(template: &Template, transport: Transport, set: FaultSet, done: &[FaultKind]) -> Vec<Did> {
    let fsu = fsu(clone(template), transport, set);
    let (mut state, mut scratch) = start(&fsu);
    let mut seen = Replies::default();
    run(&mut turn(&fsu, &mut state, &mut scratch), &request(template), &mut seen);
    assert_eq!(faults(&seen), done.iter().map(|&kind| (kind, 1)).collect::<Vec<_>>());
    for kind in FaultKind::ALL {
        assert_eq!(state.counters.faults[kind as usize], u64::from(done.contains(&kind)), "{kind:?}");
    }
    did(&seen)
}

/// Templates are not to be cloned; those of the fixtures can be made again.
fn clone(template: &Template) -> Template {
    let all = [fixed(), length(), ascii_delimited()];
    let same = |other: &Template| (other.encoding, other.framing) == (template.encoding, template.framing);
    all.into_iter().find(same).unwrap()
}

fn request(template: &Template) -> Vec<u8> {
    frame(template, 5, COMMANDS[0], &[])
}

/// The one datagram, or the one piece of a stream, that was sent at once.
fn only(did: &[Did]) -> Vec<u8> {
    match did {
        [Sent(0, bytes)] => bytes.clone(),
        other => panic!("{other:?}"),
    }
}

fn bits_apart(a: &[u8], b: &[u8]) -> u32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum()
}

#[test]
fn faults_of_the_inner_frame() {
    for template in [fixed(), length(), ascii_delimited()] {
        // The fixtures answer with the request's address and command, without data.
        let right = frame(&template, 5, COMMANDS[0], &[]);
        for transport in [Transport::Tcp, Transport::Broadcast] {
            let got = |kind| only(&outcome(&template, transport, always(&[kind]), &[kind]));
            assert_eq!(got(FaultKind::WrongType), frame(&template, 5, COMMANDS[1], &[]));
            let (garbage, cut) = (got(FaultKind::Garbage), got(FaultKind::Truncate));
            assert!(garbage.len() == right.len() && garbage != right);
            assert!(!cut.is_empty() && cut.len() < right.len() && right.starts_with(&cut));
            let decode = |wire: &[u8]| {
                let mut raw = Vec::new();
                fsu_plan::wire::inner::parse(&template, wire, &mut raw).unwrap().raw.to_vec()
            };
            let mut wrong = decode(&right);
            let at = wrong.len() - 1 - template.end.len();
            wrong[at] = !wrong[at];
            assert_eq!(decode(&got(FaultKind::BadChecksum)), wrong);
            // In hex characters, too, what arrives is one digit and one bit away.
            assert_eq!(bits_apart(&decode(&got(FaultKind::Corrupt)), &decode(&right)), 1);
        }
    }
}

#[test]
fn faults_of_the_outer_frame() {
    let template = fixed();
    let got = |kinds: &[FaultKind]| only(&outcome(&template, Transport::Udp, always(kinds), kinds));
    let plain = |wire: &[u8]| {
        let mut plain = Vec::new();
        unescape(wire, wire.iter().position(|&byte| byte == 0xFD).unwrap_or(wire.len()), &mut plain).unwrap();
        plain
    };
    let right = plain(&only(&outcome(&template, Transport::Udp, always(&[]), &[])));
    assert!(Up::new_checked(&right).is_ok());
    let check = |kind: FaultKind, bits: u32| {
        let wrong = plain(&got(&[kind]));
        assert_eq!(Up::new_checked(&wrong), Err(Reason::OuterBadVerify), "{kind:?}");
        assert_eq!(bits_apart(&wrong, &right), bits, "{kind:?}");
        assert_eq!((wrong[0], wrong[wrong.len() - 1]), (0xFF, 0xFE));
    };
    check(FaultKind::BadVerify, 8);
    check(FaultKind::Corrupt, 1);
    // One bit more or less does not make it right again.
    assert_eq!(Up::new_checked(&plain(&got(&[FaultKind::BadVerify, FaultKind::Corrupt]))), Err(Reason::OuterBadVerify));
    // The inner frame is wrong; the outer one does not show it.
    for kind in [FaultKind::BadChecksum, FaultKind::WrongType] {
        let wrong = plain(&got(&[kind]));
        assert!(Up::new_checked(&wrong).is_ok() && wrong != right, "{kind:?}");
    }
    let wire = got(&[FaultKind::Garbage]);
    assert!(wire.len() == right.len() && wire != right);
    assert!(right.starts_with(&got(&[FaultKind::Truncate])));
}

#[test]
fn faults_of_the_delivery() {
    use FaultKind::{Drop, Duplicate, ExtraDelay, HalfClose, Reorder, Reset, Split, Stall};
    let template = fixed();
    let right = frame(&template, 5, COMMANDS[0], &[]);
    let sent = |ms| Sent(ms, right.clone());
    let check = |transport, kinds: &[FaultKind], expected: &[Did]| {
        assert_eq!(outcome(&template, transport, always(kinds), kinds), expected, "{transport:?} {kinds:?}");
    };
    for transport in [Transport::Tcp, Transport::Broadcast] {
        check(transport, &[], &[sent(0)]);
        check(transport, &[Drop], &[]);
        check(transport, &[Duplicate], &[sent(0), sent(0)]);
        check(transport, &[ExtraDelay], &[sent(200)]);
    }
    check(Transport::Broadcast, &[Duplicate, Reorder, ExtraDelay], &[sent(250), sent(250)]);
    let tcp = Transport::Tcp;
    check(tcp, &[Reorder], &[Apart(50, right.clone())]);
    check(tcp, &[Reset], &[Did::Cut(Cut::Reset, 0)]);
    check(tcp, &[Stall], &[Did::Cut(Cut::Stall, 0)]);
    check(tcp, &[HalfClose], &[Did::Cut(Cut::HalfClose, 0)]);
    let pieces = [Piece(0, right[..3].into()), Piece(10, right[3..6].into()), Sent(20, right[6..].into())];
    check(tcp, &[Split], &pieces);
    check(tcp, &[Duplicate, Split], &[&pieces[..], &[sent(20)]].concat());
}

#[test]
fn what_cannot_be_is_not_done() {
    use FaultKind::{BadVerify, Corrupt, Drop, Garbage, HalfClose, Reset, Split, Stall, Truncate};
    let template = fixed();
    let all = always(&FaultKind::ALL[..FaultKind::DRAWN]);
    // What leaves nothing comes alone.
    assert_eq!(outcome(&template, Transport::Udp, all, &[Drop]), []);
    assert_eq!(outcome(&template, Transport::Tcp, all, &[Reset]), [Did::Cut(Cut::Reset, 0)]);
    // Garbage leaves nothing to change.
    outcome(&template, Transport::Udp, always(&[Garbage, Corrupt, Truncate, BadVerify]), &[Garbage]);
    // What another transport does.
    outcome(&template, Transport::Udp, always(&[Reset, Stall, HalfClose, Split]), &[]);
    outcome(&template, Transport::Tcp, always(&[BadVerify]), &[]);
}

#[test]
fn a_cut_connection_leaves_every_request_unanswered() {
    let template = fixed();
    let fsu = fsu(fixed(), Transport::Tcp, always(&[FaultKind::Stall]));
    let (mut state, mut scratch) = start(&fsu);
    let mut seen = Replies::default();
    let requests = request(&template).repeat(3);
    run(&mut turn(&fsu, &mut state, &mut scratch), &requests, &mut seen);
    assert_eq!(did(&seen), [Did::Cut(Cut::Stall, 0)]);
    assert_eq!(faults(&seen), [1, 2, 3].map(|message| (FaultKind::Stall, message)));
}

#[test]
fn a_held_back_reply_is_passed_and_a_late_one_is_not() {
    let template = fixed();
    let due = |kind, expected: &[i64]| {
        let mut fsu = fsu(fixed(), Transport::Tcp, FaultSet::default());
        // From the second request on nothing is made.
        let entry = Scheduled { from_ms: 0, to_ms: 1, faults: always(&[kind]) };
        Arc::get_mut(fsu.faults.as_mut().unwrap()).unwrap().schedule = [entry].into();
        let (mut state, mut scratch) = start(&fsu);
        let mut seen = Replies::default();
        let mut moment = NOW;
        for since_start_ms in [0, 1] {
            moment.since_start_ms = since_start_ms;
            run(&mut Turn { moment, ..turn(&fsu, &mut state, &mut scratch) }, &request(&template), &mut seen);
            if let Some(Sent(ms, _)) = did(&seen).last() {
                moment.not_before_ns = NOW.arrived_ns + ms * NS_PER_MS;
            }
        }
        let due: Vec<i64> =
            did(&seen).iter().map(|did| if let Sent(ms, _) | Apart(ms, _) = did { *ms } else { -1 }).collect();
        assert_eq!(due, expected);
    };
    due(FaultKind::Reorder, &[50, 0]);
    due(FaultKind::ExtraDelay, &[200, 200]);
}

/// Kinds and their details, drawn for the first messages of an FSU.
fn drawn(set: FaultSet) -> Vec<(Vec<FaultKind>, [u64; FaultKind::DRAWN])> {
    let fsu = fsu(fixed(), Transport::Tcp, set);
    let mut drawn = Drawn::default();
    let draw = |message| {
        let mut dice = Dice::new(7, 1, message);
        let place = Place { message, ..Place::default() };
        draw(&fsu, None, Target { place, command: 0, since_start_ms: 0 }, dice.rng(), &mut drawn);
        (drawn.made().iter().collect(), drawn.how)
    };
    (1..=500).map(draw).collect()
}

#[test]
fn a_kind_turned_on_changes_no_other() {
    let mut set = FaultSet::default();
    set.set_p(FaultKind::Corrupt, 0.3);
    set.set_p(FaultKind::Duplicate, 0.5);
    let before = drawn(set);
    let often = |kind| before.iter().filter(|(made, _)| made.contains(&kind)).count();
    assert!((110..190).contains(&often(FaultKind::Corrupt)) && (200..300).contains(&often(FaultKind::Duplicate)));
    for more in [FaultKind::Drop, FaultKind::WrongType, FaultKind::Split] {
        let mut with = set;
        with.set_p(more, 0.9);
        for ((made, how), (before, how_before)) in drawn(with).into_iter().zip(&before) {
            let others: Vec<_> = made.into_iter().filter(|&kind| kind != more).collect();
            assert_eq!((&others, &how), (before, how_before));
        }
    }
}

/// A device whose command 10 has a cycle of these data bytes and a random one, sent in bursts of this size.
fn bursting(burst: u32, bytes: &[u8], faults: FaultSet) -> Fsu {
    let mut fsu = fsu(fixed(), Transport::Tcp, faults);
    let devices = Arc::get_mut(&mut fsu.devices).unwrap();
    let device = Arc::get_mut(&mut devices[0]).unwrap();
    device.cycles = 1;
    let rule = &mut device.rules[0][0];
    let first = &rule.replies[0];
    let replies = bytes.iter().map(|&byte| {
        let mut frame = first.frame.to_vec();
        frame[3] = byte;
        let number =
            Patch::Number { number: Number::Rand(0, 255), to: 4, len: 1, form: fsu_plan::model::reply::Form::Big };
        let patches = [Patch::Copy { from: fsu_plan::model::field::Offset(1), to: 1, len: 2 }, number];
        Arc::new(fsu_plan::model::reply::Reply {
            frame: frame.into(),
            patches: patches.into(),
            data_len: 4,
            less: 0,
            refusal: None,
            payload: fsu_plan::model::reply::Payload::None,
        })
    });
    let replies = replies.collect();
    (rule.cycle, rule.burst, rule.replies, rule.delay) = (Some(0), burst, replies, Delay::Fixed(30.0));
    fsu
}

#[test]
fn a_burst_sends_the_next_entries_at_once() {
    let sent = |set| {
        let fsu = bursting(3, &[1, 2, 3, 4], set);
        let (mut state, mut scratch) = start(&fsu);
        let mut seen = Replies::default();
        run(&mut turn(&fsu, &mut state, &mut scratch), &request(&fixed()).repeat(2), &mut seen);
        assert_eq!((state.replies, state.messages, state.counters.received), (6, 2, 2));
        (did(&seen), faults(&seen))
    };
    let (plain, _) = sent(FaultSet::default());
    let turns: Vec<(i64, u8)> =
        plain.iter().map(|did| if let Sent(ms, bytes) = did { (*ms, bytes[3]) } else { (-1, 0) }).collect();
    assert_eq!(turns, [1, 2, 3, 4, 1, 2].map(|byte| (30, byte)));
    let random = |did: &[Did]| -> Vec<u8> {
        did.iter().map(|did| if let Sent(_, bytes) = did { bytes[4] } else { 0 }).collect()
    };
    assert!(random(&plain).windows(2).any(|pair| pair[0] != pair[1]));
    // Each reply draws for itself, and values stay what they are.
    let (faulty, faults) = sent(always(&[FaultKind::BadChecksum]));
    assert_eq!(random(&faulty), random(&plain));
    assert_eq!(faults, [1, 1, 1, 2, 2, 2].map(|message| (FaultKind::BadChecksum, message)));
}

#[test]
fn h08_the_replies_of_a_burst_are_told_by_number() {
    use FaultKind::{BadChecksum, Drop, HalfClose};
    let told = |kind, transport| {
        let mut fsu = bursting(3, &[1, 2, 3, 4], always(&[kind]));
        fsu.transport = transport;
        let (mut state, mut scratch) = start(&fsu);
        let mut seen = Replies::default();
        for _ in 0..2 {
            run(&mut turn(&fsu, &mut state, &mut scratch), &request(&fixed()), &mut seen);
        }
        let messages: Vec<u64> = faults(&seen).iter().map(|(_, message)| *message).collect();
        assert_eq!(messages, [1, 1, 1, 2, 2, 2], "{transport:?}");
        places(&seen)
    };
    let expected = |kind| [1, 2, 3, 1, 2, 3].map(|reply| (kind, reply, 3, Struck::Reply, None));
    for transport in [Transport::Udp, Transport::Tcp, Transport::Broadcast] {
        assert_eq!(told(BadChecksum, transport), expected(BadChecksum));
        assert_eq!(told(Drop, transport), expected(Drop));
    }
    // What is not sent on a cut connection is reported likewise.
    assert_eq!(told(HalfClose, Transport::Tcp), expected(HalfClose));
}

/// A reply that is more than may be sent to another host is counted as that, and as nothing else.
#[test]
fn h08_what_may_not_be_sent_has_no_fault() {
    use FaultKind::{Corrupt, Duplicate};
    let fsu = fsu(fixed(), Transport::Broadcast, always(&[Corrupt, Duplicate]));
    let reply = frame(&fixed(), 5, COMMANDS[0], &[]).len();
    let check = |room: usize, sent: usize, told: &[FaultKind]| {
        let (mut state, mut scratch) = start(&fsu);
        let mut seen = Replies::with_room(room);
        run(&mut turn(&fsu, &mut state, &mut scratch), &request(&fixed()), &mut seen);
        let kinds: Vec<FaultKind> = faults(&seen).iter().map(|(kind, _)| *kind).collect();
        assert_eq!((did(&seen).len(), &*kinds), (sent, told), "room for {room} bytes");
    };
    check(2 * reply, 2, &[Corrupt, Duplicate]);
    check(2 * reply - 1, 1, &[Corrupt]);
    check(reply - 1, 0, &[]);
}

#[test]
fn values_do_not_depend_on_faults() {
    // A text of random values, and a reply with every fault that leaves it readable.
    let slot = Slot { kind: fsu_plan::model::field::Kind::Hex, len: 4, little: false, right: false, padding: 0 };
    let rand = || Part::Number { number: Number::Rand(10, 99), digits: 2 };
    let value = fsu_plan::model::reply::Expr { parts: [rand(), rand(), rand(), rand()].into(), bytes_max: 8 };
    let mut clean = fsu(fixed(), Transport::Broadcast, FaultSet::default());
    let device = Arc::get_mut(&mut Arc::get_mut(&mut clean.devices).unwrap()[0]).unwrap();
    let reply = Arc::get_mut(&mut device.rules[0][0].replies[0]).unwrap();
    reply.patches = [Patch::Text { value, to: 3, slot }].into();
    let data = |faults| {
        let fsu = fsu(fixed(), Transport::Broadcast, FaultSet::default()).with(|fsu| {
            fsu.faults = faults;
            fsu.devices = clean.devices.clone();
        });
        let (mut state, mut scratch) = start(&fsu);
        let mut seen = Replies::default();
        for _ in 0..20 {
            run(&mut turn(&fsu, &mut state, &mut scratch), &request(&fixed()), &mut seen);
        }
        did(&seen)
            .iter()
            .map(|did| if let Sent(_, bytes) = did { bytes[3..7].to_vec() } else { vec![] })
            .collect::<Vec<_>>()
    };
    let set = always(&[FaultKind::BadChecksum, FaultKind::ExtraDelay]);
    let with = FsuFaults { base: set, schedule: Box::default() };
    assert_eq!(data(Some(Arc::new(with))), data(None));
}

/// A sink that knows of no connection: what was sent, and when it is due in milliseconds.
#[derive(Default)]
struct Plain(Vec<(Outgoing, i64, Vec<u8>)>);

impl Sink for Plain {
    fn send(&mut self, what: Outgoing, due_ns: i64, bytes: &[u8]) {
        self.0.push((what, (due_ns - NOW.arrived_ns) / NS_PER_MS, bytes.to_vec()));
    }

    fn received(&mut self, _: &[u8], _: Option<Reason>) {}

    fn note(&mut self, _: Reason, _: &[u8]) {}
}

/// It gets what is apart, and every piece, as a reply.
#[test]
fn what_a_sink_does_if_it_says_nothing_else() {
    let sent = |kind| {
        let fsu = fsu(fixed(), Transport::Tcp, always(&[kind]));
        let (mut state, mut scratch) = start(&fsu);
        let mut plain = Plain::default();
        stage::on_bytes(&mut turn(&fsu, &mut state, &mut scratch), &request(&fixed()), &mut plain);
        plain.0
    };
    let right = frame(&fixed(), 5, COMMANDS[0], &[]);
    let reply = |due_ms, bytes: &[u8]| (Outgoing::Reply, due_ms, bytes.to_vec());
    assert_eq!(sent(FaultKind::Reorder), [reply(50, &right)]);
    let pieces = [reply(0, &right[..3]), reply(10, &right[3..6]), reply(20, &right[6..])];
    assert_eq!(sent(FaultKind::Split), pieces);
    let plain = Plain::default();
    assert_eq!((plain.room_bytes(), plain.is_full(), plain.muted()), (usize::MAX, false, None));
}
