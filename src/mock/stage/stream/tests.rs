use super::*;
use crate::fixtures::{NOW, Said, device, drops, fsu, start, turn};
use crate::moment::Moment;
use crate::replies::Replies;
use fsu_plan::model::field::LengthField;
use fsu_plan::model::fleet::VerifyChecksum;
use fsu_plan::model::rule::Delay;
use fsu_plan::model::template::{Algorithm, Framing, Template};
use fsu_plan::wire::fixtures::{self, COMMANDS, frame};
use proptest::prelude::*;

/// Everything that came of a stream: adjacent garbage as one, replies, drops, and the bytes still waiting.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    received: Vec<(Vec<u8>, Option<Reason>)>,
    sent: Vec<Vec<u8>>,
    drops: Vec<(Reason, u64)>,
    waiting: usize,
}

/// Feeds `bytes`, ending a read after each of `splits`, as a connection would.
fn outcome(fsu: &Fsu, bytes: &[u8], splits: &[usize]) -> Outcome {
    let (mut state, mut scratch) = start(fsu);
    let mut said = Replies::default();
    let (mut done, mut doubtful) = (0, false);
    for &end in splits.iter().chain([&bytes.len()]) {
        let step = on_bytes(&mut turn(fsu, &mut state, &mut scratch), &bytes[done..end], &mut said);
        done += step.consumed;
        assert_eq!(step.partial, done < end);
        assert!(end - done < held_max(fsu));
        doubtful = step.doubtful;
    }
    if doubtful {
        // Nothing came that would have made a good frame inside it.
        scratch.progress = scratch.progress.with(Patience::Decide);
        let step = on_bytes(&mut turn(fsu, &mut state, &mut scratch), &bytes[done..], &mut said);
        assert!(!step.doubtful && step.consumed > 0);
        done += step.consumed;
    }
    let said = Said::from(&said);
    let mut received: Vec<(Vec<u8>, Option<Reason>)> = Vec::new();
    let mut frames = 0;
    for (bytes, dropped) in said.received {
        frames += u64::from(dropped != Some(Reason::Garbage));
        match received.last_mut() {
            Some((before, Some(Reason::Garbage))) if dropped == Some(Reason::Garbage) => before.extend(bytes),
            _ => received.push((bytes, dropped)),
        }
    }
    let counters = &state.counters;
    let garbage = counters.dropped[Reason::Garbage as usize];
    assert_eq!(counters.received, frames);
    assert_eq!(frames, said.sent.len() as u64 + counters.silent + counters.dropped_total() - garbage);
    let seen: Vec<u8> = received.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
    assert_eq!(seen, bytes[..done]);
    let sent = said.sent.into_iter().map(|(_, _, bytes)| bytes).collect();
    Outcome { received, sent, drops: drops(&state), waiting: bytes.len() - done }
}

/// A part of a stream, and what is expected of it.
enum Piece {
    /// A frame that is answered.
    Answered(Vec<u8>, Vec<u8>),
    /// A frame that a rule leaves unanswered.
    Silent(Vec<u8>),
    /// A frame, or garbage, that is dropped.
    Dropped(Vec<u8>, Reason),
    /// The beginning of a frame.
    Waiting(Vec<u8>),
}

use Piece::{Answered, Dropped, Silent, Waiting};

/// At once, and at every split point.
fn check(fsu: &Fsu, pieces: &[Piece]) {
    let mut bytes = Vec::new();
    let mut expected = Outcome { received: Vec::new(), sent: Vec::new(), drops: Vec::new(), waiting: 0 };
    let mut counts = [0; Reason::COUNT];
    for piece in pieces {
        let (Answered(piece_bytes, _) | Silent(piece_bytes) | Dropped(piece_bytes, _) | Waiting(piece_bytes)) = piece;
        bytes.extend_from_slice(piece_bytes);
        match piece {
            Answered(_, reply) => expected.sent.push(reply.clone()),
            Silent(_) => {}
            Dropped(bytes, reason) => {
                counts[*reason as usize] += if *reason == Reason::Garbage { bytes.len() as u64 } else { 1 };
            }
            Waiting(bytes) => {
                expected.waiting = bytes.len();
                continue;
            }
        }
        let reason = if let Dropped(_, reason) = piece { Some(*reason) } else { None };
        expected.received.push((piece_bytes.clone(), reason));
    }
    let counted = Reason::ALL.iter().map(|reason| (*reason, counts[*reason as usize]));
    expected.drops = counted.filter(|(_, count)| *count > 0).collect();

    assert_eq!(outcome(fsu, &bytes, &[]), expected);
    for split in (0..=bytes.len()).step_by(if cfg!(miri) { 29 } else { 1 }) {
        assert_eq!(outcome(fsu, &bytes, &[split]), expected, "split at {split}");
    }
    let every: Vec<usize> = (0..bytes.len()).collect();
    assert_eq!(outcome(fsu, &bytes, &every), expected, "byte by byte");
}

fn one(template: Template) -> Fsu {
    fsu(vec![device(template, 1, 1, false)])
}

fn answered(template: &Template, address: u8, data: &[u8]) -> Piece {
    Answered(frame(template, address, COMMANDS[0], data), frame(template, address, COMMANDS[0], &[]))
}

#[test]
fn frames_of_every_kind_of_template() {
    for template in fixtures::all() {
        let unknown = frame(&template, 3, 0x77, &[1, 2, 3, 4]);
        let mut wrong_checksum = frame(&template, 4, 0x10, &[1, 2, 3, 4]);
        let len = wrong_checksum.len();
        wrong_checksum[len - template.end.len() - 1] ^= 1;
        let waiting = frame(&template, 5, 0x10, &[1, 2, 3, 4]);
        let pieces = [
            answered(&template, 1, &[1, 2, 3, 4]),
            answered(&template, 2, &[5, 6, 7, 8]),
            Silent(frame(&template, 2, COMMANDS[1], &[1, 2, 3, 4])),
            Dropped(unknown, Reason::UnknownCommand),
            Answered(wrong_checksum, frame(&template, 4, 0x10, &[])),
            Waiting(waiting[..waiting.len() - 1].to_vec()),
        ];
        check(&one(template), &pieces);
    }
}

#[test]
fn garbage_between_frames() {
    for template in fixtures::all().into_iter().filter(|template| !template.start.is_empty()) {
        let start = template.start[0];
        // Bytes that begin nothing, and starts that turn out to be none.
        let garbage = match template.framing {
            Framing::Length(_) => [&[0, 1, 0x0D, start, 0xFF, 0x10][..], &[0x47; 8]].concat(),
            _ => vec![0, 1, 2],
        };
        let pieces = [
            Dropped(garbage.clone(), Reason::Garbage),
            answered(&template, 1, &[1, 2, 3, 4]),
            Dropped(garbage.clone(), Reason::Garbage),
            answered(&template, 2, &[]),
            Dropped(garbage, Reason::Garbage),
        ];
        check(&one(template), &pieces);
    }
}

#[test]
fn commands_of_one_size_each_need_no_mark() {
    let template = fixtures::keyed();
    let mut wrong_checksum = frame(&template, 4, 0x10, &[1, 2]);
    wrong_checksum[5] ^= 1;
    let pieces = [
        answered(&template, 1, &[1, 2]),
        Silent(frame(&template, 2, COMMANDS[1], &[])),
        answered(&template, 3, &[0x10, 0x11]),
        Dropped(frame(&template, 3, 0x77, &[]), Reason::Garbage),
        Answered(wrong_checksum, frame(&template, 4, 0x10, &[])),
        Waiting(frame(&template, 5, 0x10, &[1, 2])[..5].to_vec()),
    ];
    check(&one(template), &pieces);
}

#[test]
fn a_length_that_cannot_be_is_not_waited_for() {
    let template = fixtures::length();
    let pieces =
        [Dropped(vec![0x68, 1, 0x10, 0xFF], Reason::Garbage), answered(&template, 1, &[]), Waiting(vec![0x68, 1])];
    check(&one(template), &pieces);
}

#[test]
fn a_frame_without_its_end_is_searched_for_others() {
    let template = fixtures::fixed();
    let mut cut_off = frame(&template, 1, 0x10, &[]);
    cut_off.truncate(5);
    check(&one(fixtures::fixed()), &[Dropped(cut_off, Reason::Garbage), answered(&template, 2, &[9; 4])]);
}

#[test]
fn devices_behind_one_port() {
    // Start 68 with a length; start 7E: a fixed size, hex characters.
    let templates = [fixtures::length(), fixtures::fixed(), fixtures::ascii_delimited()];
    let [length, fixed, ascii] = &templates;
    let devices = [fixtures::length(), fixtures::fixed(), fixtures::ascii_delimited()].map(|t| device(t, 1, 1, false));
    let fsu = fsu(devices.into());
    assert_eq!(longest_request(&fsu), 40);
    let pieces = [
        answered(length, 1, &[1, 2]),
        answered(ascii, 2, &[1, 2, 3]),
        answered(fixed, 3, &[1, 2, 3, 4]),
        Dropped(vec![0x7D, 0, 1], Reason::Garbage),
        answered(ascii, 4, &[]),
        answered(length, 5, &[0x7E; 3]),
        Dropped(frame(fixed, 6, 0x77, &[]), Reason::UnknownCommand),
        Silent(frame(ascii, 7, COMMANDS[1], &[])),
    ];
    check(&fsu, &pieces);
}

/// Two templates that cut alike; the second has other commands.
fn alike(errors: [bool; 2]) -> Fsu {
    let mut other = fixtures::fixed();
    other.keys[0].table = [(0x20, Box::from([0])), (0x21, Box::from([1]))].into();
    fsu(vec![device(fixtures::fixed(), 1, 1, errors[0]), device(other, 1, 2, errors[1])])
}

#[test]
fn the_device_whose_command_fits_answers() {
    let template = fixtures::fixed();
    let echo = |command| Answered(frame(&template, 1, command, &[1, 2, 3, 4]), frame(&template, 1, command, &[]));
    check(&alike([false; 2]), &[echo(0x10), echo(0x20)]);
    check(&alike([false; 2]), &[Dropped(frame(&template, 1, 0x30, &[]), Reason::UnknownCommand), echo(0x20)]);
    // Nobody's command: the first device's error reply, though the second has none.
    check(&alike([true, false]), &[echo(0x10), echo(0x20), echo(0x30)]);
    check(&alike([false, true]), &[Dropped(frame(&template, 1, 0x30, &[]), Reason::UnknownCommand)]);
}

#[test]
fn the_checksum_decides_where_two_commands_fit() {
    let mut xor = fixtures::fixed();
    xor.checksum.as_mut().unwrap().algorithm = Algorithm::Xor;
    let expected = frame(&xor, 3, 0x10, &[]);
    let request = frame(&xor, 3, 0x10, &[1, 2, 3, 5]);
    let fsu = fsu(vec![device(fixtures::fixed(), 1, 1, false), device(xor, 1, 2, false)]);
    let outcome = outcome(&fsu, &request, &[]);
    assert_eq!(outcome.sent, [expected]);
}

#[test]
fn a_doubtful_frame_waits_for_a_better_one() {
    // A fixed frame, whose beginning has an end where the delimited device would cut.
    let delimited = Template { start: [0x7E].into(), ..fixtures::delimited() };
    let fsu = fsu(vec![device(delimited, 1, 1, false), device(fixtures::fixed(), 1, 2, false)]);
    let template = fixtures::fixed();
    let request = frame(&template, 0x77, 0x10, &[1, 0x0D, 2, 3]);
    let mut unknown = request.clone();
    unknown[2] = 0x33;
    // What fits the delimited one is whole, and wrong: the other may still get a good one, for a while.
    for (bytes, sent) in [(&request[..5], 1), (&unknown[..5], 0)] {
        let (mut state, mut scratch) = start(&fsu);
        let mut said = Replies::default();
        let step = on_bytes(&mut turn(&fsu, &mut state, &mut scratch), bytes, &mut said);
        assert_eq!(step, Step { partial: true, doubtful: true, effort: step.effort, ..Step::default() });
        scratch.progress = scratch.progress.with(Patience::Decide);
        let step = on_bytes(&mut turn(&fsu, &mut state, &mut scratch), bytes, &mut said);
        assert_eq!((step.consumed, step.partial, said.frames().len()), (5, false, sent));
    }
    assert_eq!(outcome(&fsu, &request, &[5]).sent.len(), 1);
    assert_eq!(outcome(&fsu, &request, &[5]), outcome(&fsu, &request, &[]));
}

#[test]
fn replies_keep_their_order() {
    let quick = one(fixtures::fixed());
    let (mut state, mut scratch) = start(&quick);
    let mut said = Replies::default();
    let requests = [1, 2].map(|address| frame(&fixtures::fixed(), address, 0x10, &[])).concat();
    let moment = Moment { not_before_ns: NOW.arrived_ns + 70_000_000, ..NOW };
    on_bytes(&mut Turn { moment, ..turn(&quick, &mut state, &mut scratch) }, &requests, &mut said);
    let said = Said::from(&said);
    assert_eq!(said.sent.iter().map(|(_, due_ms, _)| *due_ms).collect::<Vec<_>>(), [70, 70]);

    let mut slow = device(fixtures::fixed(), 1, 1, false);
    let rules = &mut Arc::get_mut(&mut slow).unwrap().rules;
    rules[0][0].delay = Delay::Uniform(50.0, 500.0);
    let fsu = fsu(vec![slow]);
    let mut said = Replies::default();
    on_bytes(&mut turn(&fsu, &mut state, &mut scratch), &requests.repeat(20), &mut said);
    let said = Said::from(&said);
    let due: Vec<_> = said.sent.iter().map(|(_, due_ms, _)| *due_ms).collect();
    assert!(due.is_sorted() && due[0] < due[39], "{due:?}");
    let addresses: Vec<_> = said.sent.iter().map(|(_, _, bytes)| bytes[1]).collect();
    assert_eq!(addresses, [1, 2].repeat(20));
}

#[test]
fn hostile_bytes_end() {
    // As many starts, ends and digits as a connection may hand over at once; nothing to expect but an end.
    for template in fixtures::all() {
        let template = Template { data_len_max: 30_000, ..template };
        let [start, end] = [template.start.first().copied().unwrap_or(0), template.end[0]];
        let patterns: [&[u8]; 6] =
            [&[start], &[end], &[start, end], &[start, b'0'], &[end, start, 0], &[start, 0, 0, 0, 0]];
        let fsu = one(template);
        for pattern in patterns {
            let len = if cfg!(miri) { 300 } else { 65_536 };
            let bytes: Vec<u8> = pattern.iter().copied().cycle().take(len).collect();
            let outcome = outcome(&fsu, &bytes, &[]);
            assert!(outcome.waiting < held_max(&fsu));
        }
    }
}

fn any_stream(template: &Template) -> impl Strategy<Value = Vec<u8>> + use<> {
    let marks: Vec<u8> = [&template.start[..], &template.end[..], b"01F\x10\x11\x04"].concat();
    let frames: Vec<Vec<u8>> =
        (0..=4).flat_map(|len| [0x10, 0x11, 0x77].map(|c| frame(template, c, c, &[0x0D; 4][..len]))).collect();
    let garbage = proptest::collection::vec(proptest::sample::select(marks), 0..30);
    let whole = proptest::sample::select(frames);
    let piece = (whole.clone(), any::<proptest::sample::Index>())
        .prop_map(|(frame, at)| frame[at.index(frame.len())..].to_vec());
    proptest::collection::vec(prop_oneof![3 => whole, 1 => garbage, 1 => piece], 0..10).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn splits_change_nothing(
        (number, bytes) in (0..fixtures::all().len()).prop_flat_map(|n| (Just(n), any_stream(&fixtures::all()[n]))),
        splits in proptest::collection::vec(any::<proptest::sample::Index>(), 0..12),
    ) {
        let fsu = one(fixtures::all().swap_remove(number));
        let mut splits: Vec<usize> = splits.iter().map(|split| split.index(bytes.len() + 1)).collect();
        splits.sort_unstable();
        prop_assert_eq!(outcome(&fsu, &bytes, &splits), outcome(&fsu, &bytes, &[]));
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let devices = fixtures::all().into_iter().map(|template| device(template, 1, 1, true)).collect();
        outcome(&fsu(devices), &bytes, &[bytes.len() / 2]);
    }
}

#[test]
fn a_full_sink_is_left_alone() {
    let template = fixtures::all().remove(0);
    let frames: Vec<Vec<u8>> = (1..=4).map(|address| frame(&template, address, COMMANDS[0], &[1, 2, 3, 4])).collect();
    let fsu = one(template);
    let bytes = frames.concat();
    let (mut state, mut scratch) = start(&fsu);
    let mut sink = Replies::full_after(3);
    let first = on_bytes(&mut turn(&fsu, &mut state, &mut scratch), &bytes, &mut sink);
    let rest = frames[3].len();
    let consumed = bytes.len() - rest;
    assert_eq!(first, Step { consumed, is_full: true, effort: first.effort, ..Step::default() });
    // One frame is always looked at: it goes on.
    let second = on_bytes(&mut turn(&fsu, &mut state, &mut scratch), &bytes[first.consumed..], &mut sink);
    assert_eq!((second.consumed, sink.frames().len(), state.counters.received), (rest, 4, 4));
}

/// Feeds a stream that ends, a read after each of `splits`: the replies, and how many bytes are garbage.
fn ended(fsu: &Fsu, bytes: &[u8], splits: &[usize]) -> (Vec<Vec<u8>>, u64) {
    let (mut state, mut scratch) = start(fsu);
    let (mut said, mut done) = (Replies::default(), 0);
    for &end in splits {
        done += on_bytes(&mut turn(fsu, &mut state, &mut scratch), &bytes[done..end], &mut said).consumed;
    }
    scratch.progress = scratch.progress.with(Patience::End);
    let step = on_bytes(&mut turn(fsu, &mut state, &mut scratch), &bytes[done..], &mut said);
    assert_eq!(step, Step { consumed: bytes.len() - done, effort: step.effort, ..Step::default() });
    let said = Said::from(&said);
    let seen: Vec<u8> = said.received.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
    assert_eq!(seen, bytes, "every byte once");
    let sent = said.sent.into_iter().map(|(_, _, bytes)| bytes).collect();
    (sent, state.counters.dropped[Reason::Garbage as usize])
}

fn with_verify(template: Template, verify: VerifyChecksum) -> Fsu {
    let mut device = device(template, 1, 1, false);
    Arc::get_mut(&mut device).unwrap().verify_checksum = verify;
    fsu(vec![device])
}

/// `7E address command data.. sum 7E`: start and end are the same flag.
fn flags() -> Template {
    Template { end: [0x7E].into(), ..fixtures::delimited() }
}

#[test]
fn n10_one_stray_byte_costs_no_good_frame() {
    for template in fixtures::all().into_iter().chain([fixtures::keyed(), flags()]) {
        let data: &[u8] = if template.framing == Framing::Keyed { &[7, 8] } else { &[1, 2, 3, 4] };
        let good = frame(&template, 5, 0x10, data);
        let mut wrong = frame(&template, 9, 0x10, data);
        let len = wrong.len();
        wrong[len - template.end.len() - 1] ^= 1;
        // A stray byte, half a frame, a frame's tail, a start and the like, a wrong frame: all before good ones.
        let mut befores: Vec<Vec<u8>> = vec![vec![0x33], template.start.to_vec(), [&template.start[..], &[9]].concat()];
        befores.extend((1..good.len()).map(|at| good[..at].to_vec()));
        befores.extend((1..good.len()).map(|at| good[at..].to_vec()));
        befores.extend([wrong.clone(), [&wrong[..], &template.start].concat()]);
        let reply = frame(&template, 5, 0x10, &[]);
        for verify in [VerifyChecksum::Warn, VerifyChecksum::Strict] {
            let fsu = with_verify(template_again(&template), verify);
            for before in &befores {
                let bytes = [&before[..], &good, &good].concat();
                let (sent, garbage) = ended(&fsu, &bytes, &[]);
                let answered = sent.iter().filter(|sent| **sent == reply).count();
                assert_eq!(answered, 2, "{} before {}, {verify:?}", hex::encode(before), hex::encode(&good));
                if verify == VerifyChecksum::Strict {
                    assert_eq!(sent.len(), 2);
                }
                for split in 1..bytes.len() {
                    assert_eq!(ended(&fsu, &bytes, &[split]), (sent.clone(), garbage), "split at {split}");
                }
                let every: Vec<usize> = (1..bytes.len()).collect();
                assert_eq!(ended(&fsu, &bytes, &every), (sent, garbage), "byte by byte");
            }
        }
    }
}

/// Templates are not cloned elsewhere.
fn template_again(template: &Template) -> Template {
    let all = fixtures::all().into_iter().chain([fixtures::keyed(), flags()]);
    all.into_iter().find(|other| format!("{other:?}") == format!("{template:?}")).unwrap()
}

#[test]
fn n10_error_replies_to_whole_frames_stay() {
    let template = fixtures::length();
    let unknown = frame(&template, 3, 0x77, &[1, 2]);
    let good = frame(&template, 5, 0x10, &[]);
    let echo = frame(&template, 3, 0x77, &[]);
    let fsu = fsu(vec![device(fixtures::length(), 1, 1, true)]);
    assert_eq!(ended(&fsu, &unknown, &[]), (vec![echo.clone()], 0));
    // Its checksum is right: what begins in it has to end there.
    let carrier = frame(&template, 3, 0x77, &[0x68, 5, 0x10, 0x08]);
    let carried = frame(&template, 3, 0x77, &[]);
    assert_eq!(ended(&fsu, &[&carrier[..], &unknown].concat(), &[carrier.len()]).0, [carried, echo]);
    let carrier = frame(&template, 3, 0x77, &good);
    assert_eq!(ended(&fsu, &carrier, &[]), (vec![good.clone()], 4 + 2));
    // As where its checksum is wrong.
    let mut false_start = carrier;
    let len = false_start.len();
    false_start[len - 2] ^= 1;
    assert_eq!(ended(&fsu, &false_start, &[]), (vec![good.clone()], 4 + 2));
    let warn = with_verify(fixtures::length(), VerifyChecksum::Warn);
    false_start[2] = 0x10;
    assert_eq!(ended(&warn, &false_start, &[]), (vec![good], 4 + 2));
}

#[test]
fn n10_a_wrong_frame_waits_only_for_what_may_begin_in_it() {
    let check = |template: Template, data: &[u8], expected: bool| {
        let mut bytes = frame(&template, 5, 0x10, data);
        let at = bytes.len() - template.end.len() - 1;
        bytes[at] ^= 1;
        let fsu = with_verify(template, VerifyChecksum::Warn);
        let (mut state, mut scratch) = start(&fsu);
        let step = on_bytes(&mut turn(&fsu, &mut state, &mut scratch), &bytes, &mut Replies::default());
        assert_eq!((step.doubtful, step.consumed == 0), (expected, expected), "{}", hex::encode(bytes));
    };
    check(fixtures::length(), &[1, 2, 3], false);
    // A start in the data, and what follows it is no header, or one.
    check(fixtures::length(), &[0x68, 1, 0x77], false);
    check(fixtures::length(), &[0x68, 1, 0x10, 9], true);
    check(fixtures::delimited(), &[1, 2, 3], false);
    // Its end is a start, too.
    check(flags(), &[1, 2, 3], true);
}

#[test]
fn n10_false_starts_cost_no_more_than_the_bytes_times_a_constant() {
    // Every place begins a frame that is whole and wrong; what is checked is bounded, and good frames still come through.
    let field = LengthField { len: 2, base: 2, ..fixtures::length().lengths[0].clone() };
    let template = || {
        let lengths = [field.clone()].into();
        Template { left_len: 5, lengths, data_len_max: 65_000, ..fixtures::length() }
    };
    let good = frame(&template(), 5, 0x10, &[]);
    let bytes = [[0x68, 9, 0x10, 0x40, 0x00].repeat(13_000), vec![0x16; 20_000], good.clone()].concat();
    for verify in [VerifyChecksum::Warn, VerifyChecksum::Strict] {
        let fsu = with_verify(template(), verify);
        let (sent, _) = ended(&fsu, &bytes, &[]);
        assert_eq!(sent.last(), Some(&good), "{verify:?}");
    }
}

/// Cost of a search over reads of this size, counted in bytes examined.
fn effort(fsu: &Fsu, bytes: &[u8], read: usize) -> usize {
    let (mut state, mut scratch) = start(fsu);
    let (mut done, mut effort) = (0, 0);
    for end in (1..=bytes.len().div_ceil(read)).map(|number| bytes.len().min(number * read)) {
        let step = on_bytes(&mut turn(fsu, &mut state, &mut scratch), &bytes[done..end], &mut Replies::default());
        (done, effort) = (done + step.consumed, effort + step.effort);
    }
    effort
}

#[test]
fn h02_a_hunt_is_linear_in_the_bytes() {
    let long = || Template { data_len_max: 65_000, ..fixtures::delimited() };
    let good = frame(&fixtures::length(), 5, 0x10, &[1, 2]);
    let devices = || fsu(vec![device(long(), 1, 1, false), device(fixtures::length(), 2, 1, false)]);
    for (name, fsu, unit, end) in [
        ("no start", one(fixtures::delimited()), &[0x00][..], &[][..]),
        ("starts", one(fixtures::delimited()), &[0x7E], &[]),
        ("starts without an end", one(long()), &[0x7E], &[]),
        ("starts, then a good frame of another device", devices(), &[0x7E], &good),
        ("known commands without an end", devices(), &[0x7E, 5, 0x10], &good),
        ("starts and ends", one(long()), &[0x7E, 0x0D], &[]),
        ("headers of long frames", one(fixtures::length()), &[0x68, 5, 0x10, 0x11], &[]),
        ("without a start", one(fixtures::without_start()), &[1, 2, 3], &[]),
    ] {
        let of = |bytes: usize| effort(&fsu, &[&unit.repeat(bytes / unit.len()), end].concat(), bytes + end.len());
        let [once, twice] = [20_000, 40_000].map(of);
        assert!(10 * twice <= 23 * once, "{name}: {once} and {twice}");
    }
}

#[test]
fn h02_a_hunt_in_steps_of_a_byte_is_accounted() {
    // A frame that is long begins, and its end is looked for again with each byte.
    let fsu = one(Template { data_len_max: 65_000, ..fixtures::delimited() });
    let bytes = [&[0x7E, 5, 0x10][..], &[1; 3_000]].concat();
    let (at_once, in_steps) = (effort(&fsu, &bytes, bytes.len()), effort(&fsu, &bytes, 1));
    assert!(at_once < bytes.len() && in_steps > bytes.len() * bytes.len() / 10, "{at_once} {in_steps}");
}

/// A look at a place costs 64 bytes for each device, and what is searched for an end a quarter of its bytes.
#[test]
fn what_looking_costs() {
    let check = |devices: usize, template: fn() -> Template, bytes: &[u8], expected: usize| {
        let fsu = fsu((0..devices).map(|_| device(template(), 1, 1, false)).collect());
        assert_eq!(effort(&fsu, bytes, bytes.len()), expected, "{devices} {bytes:02x?}");
    };
    let one = frame(&fixtures::fixed(), 1, 0x10, &[]);
    check(1, fixtures::fixed, &one, 64);
    check(1, fixtures::fixed, &one.repeat(3), 3 * 64);
    check(2, fixtures::fixed, &one, 2 * 64);
    // Garbage before it is one place.
    check(1, fixtures::fixed, &[&[0, 1, 2], &*one].concat(), 64 + 64);
    let one = frame(&fixtures::delimited(), 1, 0x10, &[0; 14]);
    // No end is looked for before the shortest frame has its own, at its fifth byte.
    check(1, fixtures::delimited, &one, 64 + (one.len() - 5) / 4);
}
