//! One request to one device: what is counted, remembered and known of it.

use super::*;
use crate::answer::rule::next_in_cycle;
use crate::answer::turn::Scratch;
use crate::fixtures::{NOW, RUN, device, drops, fsu, start, turn};
use crate::moment::RunContext;
use crate::state::{DeviceState, FsuState};
use fsu_plan::model::field::{Constant, Kind, Offset, Slot};
use fsu_plan::model::fleet::VerifyChecksum;
use fsu_plan::model::reply::Payload;
use fsu_plan::model::reply::{Expr, Form, Number, Part, Patch};
use fsu_plan::model::rule::{Delay, Register, SetRegister};
use fsu_plan::model::template::ErrorReply;
use fsu_plan::wire::fixtures::{COMMANDS, delimited, frame};
use std::sync::Arc;

fn request(command: u8) -> Vec<u8> {
    frame(&delimited(), 5, command, &[1])
}

fn wrong_checksum(command: u8) -> Vec<u8> {
    let mut wire = request(command);
    let at = wire.len() - 2;
    wire[at] ^= 1;
    wire
}

fn literal(text: &str) -> Expr {
    Expr { parts: [Part::Literal(text.into())].into(), bytes_max: text.len() }
}

fn number(len: usize) -> Slot {
    Slot { kind: Kind::Uint, len, little: false, right: true, padding: 0 }
}

/// A reply to command 10 with one byte of data, and this patch.
fn reply(data: u8, patches: Vec<Patch>) -> Arc<Reply> {
    let bytes = frame(&delimited(), 5, COMMANDS[0], &[data]);
    Arc::new(Reply {
        frame: bytes.into(),
        patches: patches.into(),
        data_len: 1,
        less: 0,
        refusal: None,
        payload: Payload::None,
    })
}

/// A device with a changed first rule of command 10.
fn with(errors: bool, change: impl FnOnce(&mut Device)) -> Fsu {
    let mut device = Arc::into_inner(device(delimited(), 1, 1, errors)).expect("one owner");
    change(&mut device);
    fsu(vec![Arc::new(device)])
}

/// Verdict and reply's data for each of these requests, which one FSU gets in turn.
fn ask(fsu: &Fsu, requests: &[Vec<u8>]) -> (Vec<(Verdict, Vec<u8>)>, FsuState, Scratch) {
    let (mut state, mut scratch) = start(fsu);
    let one = |wire: &Vec<u8>| {
        let verdict = respond(&mut turn(fsu, &mut state, &mut scratch), 0, wire);
        let raw = &scratch.built.raw;
        let data = raw.get(3..raw.len().saturating_sub(2)).unwrap_or_default().to_vec();
        (verdict, if matches!(verdict, Verdict::Reply { .. }) { data } else { vec![] })
    };
    let all = requests.iter().map(one).collect();
    (all, state, scratch)
}

const AT_ONCE: Verdict = Verdict::Reply { due_ns: NOW.arrived_ns };

#[test]
fn a_wrong_checksum_is_seen_and_answered_or_not() {
    let check = |verify: VerifyChecksum, expected: Verdict, seen: u64, dropped: &[(Reason, u64)]| {
        let fsu = with(false, |device| device.verify_checksum = verify);
        let (all, state, _) = ask(&fsu, &[wrong_checksum(COMMANDS[0]), wrong_checksum(COMMANDS[0])]);
        assert_eq!(all.iter().map(|(verdict, _)| *verdict).collect::<Vec<_>>(), [expected; 2], "{verify:?}");
        assert_eq!((state.counters.bad_checksum_seen, drops(&state)), (seen, dropped.to_vec()), "{verify:?}");
    };
    check(VerifyChecksum::Off, AT_ONCE, 0, &[]);
    check(VerifyChecksum::Warn, AT_ONCE, 2, &[]);
    check(VerifyChecksum::Strict, Verdict::Dropped(Reason::BadChecksum), 2, &[(Reason::BadChecksum, 2)]);
}

#[test]
fn what_each_verdict_counts() {
    let fsu = with(true, |_| ());
    let (all, state, _) = ask(&fsu, &[request(0x10), request(0x11), request(0x77), request(0x10), vec![1, 2, 3]]);
    let verdicts: Vec<_> = all.iter().map(|(verdict, _)| *verdict).collect();
    let garbage = Verdict::Dropped(drops(&state)[0].0);
    assert_eq!(verdicts, [AT_ONCE, Verdict::Silent, AT_ONCE, AT_ONCE, garbage]);
    // Two of rules and one of the template's errors; a message is a good command.
    assert_eq!((state.replies, state.messages, state.counters.silent), (3, 3, 1));
    assert_eq!((state.counters.error_replies, state.counters.dropped_total()), ([0, 0, 0, 0, 1], 1));
}

#[test]
fn values_that_do_not_fit_are_counted() {
    let too_large = || Patch::Text { value: literal("300"), to: 3, slot: number(1) };
    let fsu = with(false, |device| device.rules[0][0].replies = [reply(9, vec![too_large()])].into());
    let (all, state, _) = ask(&fsu, &[request(0x10), request(0x10)]);
    assert_eq!(all, [(AT_ONCE, vec![9]), (AT_ONCE, vec![9])]);
    assert_eq!(state.counters.value_misfits, 2);
    // In each reply of a burst, too.
    let fsu = with(false, |device| {
        device.rules[0][0].replies = [reply(9, vec![too_large()])].into();
        device.rules[0][0].burst = 3;
    });
    let (_, mut state, mut scratch) = ask(&fsu, &[request(0x10)]);
    let mut next = || next_of_burst(&mut turn(&fsu, &mut state, &mut scratch), 0, &request(0x10));
    assert_eq!([next(), next(), next()], [Some(NOW.arrived_ns), Some(NOW.arrived_ns), None]);
    assert_eq!((state.counters.value_misfits, state.replies, state.messages), (3, 3, 1));
    // And in the reply to a wrong request.
    let fsu = with(true, |device| {
        let template = Arc::get_mut(&mut device.template).expect("one owner");
        template.errors[ErrorReply::UnknownCommand as usize] = Some(reply(9, vec![too_large()]));
    });
    let (_, state, _) = ask(&fsu, &[request(0x77)]);
    assert_eq!((state.counters.value_misfits, state.replies), (1, 1));
}

/// `seq` is the number of the FSU's reply, whatever it answers.
#[test]
fn replies_are_numbered() {
    let seq = || Patch::Number { number: Number::Seq, to: 3, len: 1, form: Form::Big };
    let fsu = with(true, |device| {
        device.rules[0][0].replies = [reply(0, vec![seq()])].into();
        let template = Arc::get_mut(&mut device.template).expect("one owner");
        template.errors[ErrorReply::UnknownCommand as usize] = Some(reply(0, vec![seq()]));
    });
    let (all, ..) = ask(&fsu, &[request(0x10), request(0x77), request(0x11), request(0x10)]);
    let numbers: Vec<_> = all.into_iter().map(|(_, data)| data).collect();
    assert_eq!(numbers, [vec![1], vec![2], vec![], vec![3]]);
}

#[test]
fn a_cycle_takes_its_entries_in_turn() {
    let fsu = with(false, |device| {
        device.cycles = 1;
        let rule = &mut device.rules[0][0];
        (rule.cycle, rule.replies) = (Some(0), [7, 8, 9].map(|data| reply(data, vec![])).into());
    });
    let (all, state, _) = ask(&fsu, &vec![request(0x10); 5]);
    assert_eq!(all.iter().map(|(_, data)| data[0]).collect::<Vec<_>>(), [7, 8, 9, 7, 8]);
    assert_eq!(*state.devices[0].cycles, [2]);
    // A place that is past the end after a reload goes on from the begin.
    let mut memory = DeviceState { cycles: [5].into(), ..DeviceState::default() };
    let rule = &fsu.devices[0].rules[0][0];
    assert!(std::ptr::eq(next_in_cycle(rule, &mut memory), Arc::as_ptr(&rule.replies[2])));
    assert_eq!(*memory.cycles, [3]);
}

#[test]
fn the_first_rule_that_fits_answers() {
    let fsu = with(false, |device| {
        let plain = &device.rules[0][0];
        let rule = |when: &[(i32, u8)], data: u8| Rule {
            walked: Box::default(),
            test: None,
            asks_more: false,
            effects: Box::default(),
            gaps_ms: Box::default(),
            frames: Box::default(),
            when: when
                .iter()
                .map(|&(at, byte)| Constant {
                    name: "x".into(),
                    at: Offset(at),
                    bytes: [byte].into(),
                    mask: Box::default(),
                })
                .collect(),
            replies: [reply(data, vec![])].into(),
            origin: plain.origin.clone(),
            sets: Box::default(),
            faults: None,
            ..*plain
        };
        device.rules[0] = [rule(&[(3, 1), (1, 6)], 7), rule(&[(3, 1)], 8), rule(&[], 9)].into();
    });
    let one = |address: u8, data: u8| frame(&delimited(), address, 0x10, &[data]);
    let (all, _, scratch) = ask(&fsu, &[one(6, 1), one(5, 1), one(6, 2), one(5, 3)]);
    assert_eq!(all.iter().map(|(_, data)| data[0]).collect::<Vec<_>>(), [7, 8, 9, 9]);
    assert_eq!((scratch.about.rule, scratch.about.command, scratch.about.device), (2, 0, 0));
}

#[test]
fn registers_are_set_in_turn() {
    let set = |register, value| SetRegister { register, value };
    let shown = Expr { parts: [Part::Register(1)].into(), bytes_max: 1 };
    let fsu = with(false, |device| {
        device.registers = ["a", "b"].map(|name| Register { name: name.into(), bytes_max: 9 }).into();
        let rule = &mut device.rules[0][0];
        rule.replies = [reply(0, vec![Patch::Text { value: shown, to: 3, slot: number(1) }])].into();
        let again = Expr { parts: [Part::Register(0), Part::Literal("2".into())].into(), bytes_max: 9 };
        rule.sets = [set(0, literal("1")), set(1, again)].into();
    });
    let (all, state, _) = ask(&fsu, &[request(0x10)]);
    assert_eq!((all, state.devices[0].registers.concat()), (vec![(AT_ONCE, vec![12])], b"112".to_vec()));
}

#[test]
fn what_is_known_of_a_request() {
    let fsu = with(true, |device| device.rules[0][0].delay = Delay::Fixed(30.0));
    let about = |wire: Vec<u8>| {
        let (all, _, scratch) = ask(&fsu, &[wire]);
        (all[0].0, scratch.about)
    };
    let of = About::of(0);
    let due = Verdict::Reply { due_ns: NOW.arrived_ns + 30 * NS_PER_MS };
    assert_eq!(
        about(request(0x10)),
        (due, About { command: 0, rule: 0, what: What::Answered, delay_us: 30_000, ..of })
    );
    assert_eq!(about(request(0x11)), (Verdict::Silent, About { command: 1, rule: 0, what: What::Silent, ..of }));
    let unknown = About { what: What::ErrorReply, why: Some(Reason::UnknownCommand), ..of };
    assert_eq!(about(request(0x77)), (AT_ONCE, unknown));
    // Without delays none is drawn.
    let (mut state, mut scratch) = start(&fsu);
    let run = RunContext { skip_delay: true, ..RUN };
    assert_eq!(respond(&mut Turn { run: &run, ..turn(&fsu, &mut state, &mut scratch) }, 0, &request(0x10)), AT_ONCE);
    assert_eq!(scratch.about.delay_us, 0);
}
