use super::*;
use crate::fixtures::{Said, device, drops, fsu, start, turn};
use crate::replies::Replies;
use fsu_plan::wire::fixtures::{fixed, frame, length};

fn check(datagram: &[u8], sent: &[Vec<u8>], dropped: &[(Reason, u64)]) {
    let fsu = fsu(vec![device(fixed(), 1, 1, false), device(length(), 1, 2, false)]);
    let (mut state, mut scratch) = start(&fsu);
    let mut replies = Replies::default();
    let heard = on_datagram(&mut turn(&fsu, &mut state, &mut scratch), datagram.into(), &mut replies);
    assert_eq!((replies.frames(), drops(&state)), (sent.iter().map(Vec::as_slice).collect(), dropped.to_vec()));
    assert_eq!(heard.valid, dropped.is_empty());
    assert_eq!(state.counters.received, 1);
}

#[test]
fn the_device_that_fits_answers() {
    check(&frame(&fixed(), 5, 0x10, &[1, 2, 3, 4]), &[frame(&fixed(), 5, 0x10, &[])], &[]);
    check(&frame(&length(), 5, 0x10, &[1, 2, 3, 4]), &[frame(&length(), 5, 0x10, &[])], &[]);
    check(&frame(&length(), 5, 0x11, &[]), &[], &[]);
}

#[test]
fn drops_are_told_by_the_device_that_fits_best() {
    check(b"", &[], &[(Reason::Short, 1)]);
    check(&frame(&length(), 5, 0x77, &[]), &[], &[(Reason::UnknownCommand, 1)]);
    let two = [frame(&fixed(), 5, 0x10, &[]), frame(&fixed(), 6, 0x10, &[])].concat();
    check(&two, &[], &[(Reason::BadLength, 1)]);
}

/// Without the mark of its socket, too: an error reply that says what came.
#[test]
fn h04_an_error_reply_is_not_answered_with_itself() {
    let unknown = frame(&fixed(), 5, 0x77, &[]);
    let fsu = fsu(vec![device(fixed(), 1, 1, true)]);
    let (mut state, mut scratch) = start(&fsu);
    let mut replies = Replies::default();
    on_datagram(&mut turn(&fsu, &mut state, &mut scratch), unknown[..].into(), &mut replies);
    let said = Said::from(&replies);
    assert_eq!((said.sent, said.notes), (vec![], vec![Reason::MockReply]));
    assert_eq!((drops(&state), state.counters.error_replies), (vec![(Reason::MockReply, 1)], [0; 5]));
}
