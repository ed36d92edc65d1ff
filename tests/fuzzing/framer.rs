//! A stream in pieces: what is found in it does not depend on the pieces.

use super::input::Input;
use super::shipped::{RUN, STREAMS, mended, moment, protocol_of};
use crate::naive::stream::good_frames;
use fsu_core::answer::turn::{Scratch, Turn};
use fsu_core::replies::Replies;
use fsu_core::stage::stream::Step;
use fsu_core::stage::stream::{held_max, on_bytes};
use fsu_core::state::FsuState;
use fsu_core::state::progress::Patience;
use fsu_plan::model::fleet::Fsu;
use fsu_plan::wire::framer::{Cut, Search, cut, longest};
use fsu_plan::wire::reason::Reason;
use serde_json::Value;

/// Frames put into a stream at most; bounds what one input costs.
const FRAMES_MAX: usize = 32;

/// Longer streams are not judged: the judge tries every size at every place.
const JUDGED_BYTES_MAX: usize = 400;

/// The FSU, the sizes of the pieces (again and again), then the stream: bytes, and good frames among them.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let fsu = input.one(&STREAMS);
    let pieces = input.short();
    check(fsu, &stream(fsu, input), pieces);
}

/// The same is found in the stream in one piece and in pieces of these sizes.
pub fn check(fsu: &Fsu, stream: &[u8], pieces: &[u8]) {
    let whole = feed(fsu, stream, &[]);
    let split = feed(fsu, stream, pieces);
    assert_eq!(split, whole, "the pieces change what is found");
    let found: Vec<u8> = whole.received.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
    assert_eq!(found, stream, "bytes that are in no frame and no garbage, or in two");
    check_prefixes(fsu, stream, pieces);
    if let [device] = &*fsu.devices
        && stream.len() <= JUDGED_BYTES_MAX
    {
        check_good_frames(protocol_of(device), stream, &whole);
    }
}

/// Every good frame that the judge sees was taken as one.
fn check_good_frames(protocol: &Value, stream: &[u8], found: &Found) {
    let (mut at, mut frames) = (0, vec![]);
    for (bytes, dropped) in &found.received {
        if *dropped != Some(Reason::Garbage) {
            frames.push((at, bytes.len()));
        }
        at += bytes.len();
    }
    for good in good_frames(protocol, stream) {
        assert!(frames.contains(&good), "a good frame of {} bytes at {} is lost", good.1, good.0);
    }
}

/// Bytes as they are, up to a byte FA, which stands for a frame: the next bytes are device, command and a change.
fn stream(fsu: &Fsu, mut input: Input<'_>) -> Vec<u8> {
    let (mut out, mut frames) = (vec![], 0);
    while !input.is_empty() {
        match input.byte() {
            0xFA if frames < FRAMES_MAX => {
                frames += 1;
                let template = &input.one(&fsu.devices).template;
                let mut raw = input.one(&template.commands[..template.commands.len().min(256)]).sample.to_vec();
                let (at, change) = (input.pick(raw.len().min(256)), input.byte());
                raw[at] ^= change;
                let mut wire = mended(template, &raw);
                if change == 0xFF {
                    // A frame that ends early.
                    wire.truncate(at);
                }
                out.extend(wire);
            }
            byte => out.push(byte),
        }
    }
    out
}

/// What became of a stream.
#[derive(Debug, Default, PartialEq)]
pub struct Found {
    /// Frames, and garbage (adjacent garbage is one piece).
    pub received: Vec<(Vec<u8>, Option<Reason>)>,
    /// What is said of them.
    pub notes: Vec<Reason>,
    /// Replies.
    pub sent: Vec<Vec<u8>>,
    /// The beginning of a frame, at the end.
    pub left: Vec<u8>,
    dropped: Vec<u64>,
}

impl Found {
    /// Takes what the mock reported; adjacent garbage becomes one piece.
    fn take(&mut self, replies: &Replies) {
        for (bytes, dropped) in replies.received() {
            match self.received.last_mut() {
                Some((last, Some(Reason::Garbage))) if dropped == Some(Reason::Garbage) => {
                    last.extend_from_slice(bytes)
                }
                _ => {
                    self.received.push((bytes.to_vec(), dropped));
                    self.notes.extend(dropped);
                }
            }
        }
        self.sent.extend(replies.sent().map(|sent| sent.bytes.to_vec()));
    }
}

/// As a connection does: what is not done with is given again, with what comes after it.
pub fn feed(fsu: &Fsu, stream: &[u8], pieces: &[u8]) -> Found {
    let (mut state, mut scratch, mut found) = (FsuState::new(fsu), Scratch::default(), Found::default());
    let (mut held, mut replies) = (vec![], Replies::default());
    for piece in split(stream, pieces) {
        held.extend_from_slice(piece);
        let (state, scratch) = (&mut state, &mut scratch);
        let mut turn = Turn { run: &RUN, fsu, state, scratch, moment: moment(0) };
        let step = on_bytes(&mut turn, &held, &mut replies);
        held.drain(..step.consumed);
        assert_eq!(step.partial, !held.is_empty(), "a rest that is no beginning, or none that is one");
        assert!(held.is_empty() || held.len() < held_max(fsu), "{} bytes are held", held.len());
    }
    // The centre has nothing more to say.
    scratch.progress = scratch.progress.with(Patience::End);
    let mut turn = Turn { run: &RUN, fsu, state: &mut state, scratch: &mut scratch, moment: moment(0) };
    let step = on_bytes(&mut turn, &held, &mut replies);
    found.take(&replies);
    assert_eq!(Step { effort: 0, ..step }, Step { consumed: held.len(), ..Step::default() });
    found.left = held;
    found.dropped = state.counters.dropped.to_vec();
    found
}

/// The stream in pieces of these sizes, and 1, repeated. None: in one piece.
fn split<'s>(mut stream: &'s [u8], sizes: &[u8]) -> Vec<&'s [u8]> {
    if sizes.is_empty() {
        return vec![stream];
    }
    let mut out = vec![];
    for size in sizes.iter().cycle() {
        if stream.is_empty() {
            break;
        }
        let (piece, rest) = stream.split_at(stream.len().min(1 + usize::from(*size)));
        out.push(piece);
        stream = rest;
    }
    out
}

/// What a framer says of the beginning of the bytes it says of all of them, unless it asks for more; and no frame is
/// longer than the longest. A search that goes on says the same as a new one.
fn check_prefixes(fsu: &Fsu, stream: &[u8], pieces: &[u8]) {
    for device in fsu.devices.iter().take(2) {
        let template = &device.template;
        let all = cut(template, stream);
        match all {
            Cut::Frame(len) => assert!(0 < len && len <= stream.len().min(longest(template)), "a frame of {len} bytes"),
            Cut::More => assert!(stream.len() < longest(template), "more than the longest frame"),
            Cut::No => {}
        }
        let mut len = 0;
        for piece in split(stream, pieces).into_iter().take(64) {
            len += piece.len();
            let here = cut(template, &stream[..len]);
            assert!(here == Cut::More || here == all, "{here:?} of {len} bytes, {all:?} of all");
        }
        let mut search = Search::default();
        for at in (0..stream.len().min(256)).filter(|at| stream[*at..].starts_with(&template.start)) {
            let (on, anew) = (search.cut(template, stream, at), cut(template, &stream[at..]));
            assert_eq!(on, anew, "at {at}");
        }
    }
}
