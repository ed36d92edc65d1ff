//! Envelopes: marks around a frame, escapes between them, fill before it (spec shapes.md, `protocol.envelope`).

use super::framer::Cut;
use super::reason::Reason;
use crate::model::coding::{Coding, Envelope, Escape};
use crate::model::template::{Framing, Template};

fn envelope(template: &Template) -> Option<&Envelope> {
    template.coding.as_ref()?.envelope.as_ref()
}

/// Whether the envelope marks where a frame begins and ends.
pub(super) fn has_marks(template: &Template) -> bool {
    envelope(template).is_some_and(|envelope| envelope.marks)
}

/// The mark that ends a frame and may begin the next one, if start and end are the same.
pub fn shared_mark(template: &Template) -> Option<&[u8]> {
    let is_shared = template.framing == Framing::Enveloped && template.start == template.end;
    is_shared.then_some(&*template.start)
}

/// Appends what goes out before a frame. Returns where the frame begins.
pub(super) fn begin(template: &Template, out: &mut Vec<u8>) -> usize {
    if let Some(envelope) = envelope(template) {
        out.extend_from_slice(&envelope.preamble);
    }
    out.len()
}

/// Escapes the frame that begins there and goes to the end, between its marks.
pub(super) fn escape(template: &Template, begin: usize, out: &mut Vec<u8>) {
    let Some(escape) = envelope(template).and_then(|envelope| envelope.escape.as_deref()) else { return };
    let (from, plain_len) = (begin + template.start.len(), out.len());
    let to = plain_len.saturating_sub(template.end.len()).max(from);
    let Some(body) = out.get(from..to) else { return };
    let more: usize = body.iter().map(|&byte| escape.value(byte).map_or(0, |value| value.len() - 1)).sum();
    if more == 0 {
        return;
    }
    // From the end on: a byte goes to its place or behind it.
    out.resize(plain_len + more, 0);
    out.copy_within(to..plain_len, to + more);
    let mut place = to + more;
    for at in (from..to).rev() {
        let byte = out[at];
        if let Some(value) = escape.value(byte) {
            place -= value.len();
            out[place..place + value.len()].copy_from_slice(value);
        } else {
            place -= 1;
            out[place] = byte;
        }
    }
}

/// What is at a place between the marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    /// A byte of the frame, and how many bytes it takes.
    Byte(u8, usize),
    /// The mark of the end.
    End,
    /// The mark of another frame's start.
    Start,
    /// No escape.
    Bad,
    /// More bytes decide.
    More,
}

#[inline]
fn token(template: &Template, escape: &Escape, bytes: &[u8], at: usize) -> Token {
    let Some(&byte) = bytes.get(at) else { return Token::More };
    match escape.value(byte) {
        None => Token::Byte(byte, 1),
        Some(_) => special(template, escape, &bytes[at..]),
    }
}

/// What a byte begins that is never itself within a frame.
fn special(template: &Template, escape: &Escape, rest: &[u8]) -> Token {
    let (start, end) = (&*template.start, &*template.end);
    let mut open = false;
    let mut begins = |whole: &[u8]| {
        open |= whole.len() > rest.len() && whole.starts_with(rest);
        rest.starts_with(whole)
    };
    if begins(end) {
        return Token::End;
    }
    if let Some((byte, value)) = escape.values.iter().find(|(_, value)| begins(value)) {
        return Token::Byte(*byte, value.len());
    }
    match begins(start) {
        true => Token::Start,
        false if open => Token::More,
        false => Token::Bad,
    }
}

/// Writes the coded frame of a frame as it came over whatever `out` holds: without fill and escapes. Where start and end are the same,
/// the start may have been the end of the frame before.
pub(super) fn plain(template: &Template, coding: &Coding, wire: &[u8], out: &mut Vec<u8>) -> Result<(), Reason> {
    let Some(envelope) = &coding.envelope else {
        out.extend_from_slice(wire);
        return Ok(());
    };
    let fill = wire.iter().take_while(|byte| envelope.skip.contains(byte)).count();
    let framed = &wire[fill..];
    let Some(escape) = &envelope.escape else {
        out.extend_from_slice(framed);
        return Ok(());
    };
    let (start, end) = (&*template.start, &*template.end);
    let body = match framed.strip_prefix(start) {
        Some(body) => body,
        // Fill is before a start: behind the mark of another frame these bytes are the frame's.
        None if start == end => wire,
        None => return Err(Reason::BadStart),
    };
    out.extend_from_slice(start);
    let mut at = 0;
    loop {
        match token(template, escape, body, at) {
            Token::Byte(byte, len) => {
                out.push(byte);
                at += len;
            }
            Token::End if at + end.len() == body.len() => break,
            Token::End | Token::Start => return Err(Reason::BadEnd),
            Token::More if at == body.len() => return Err(Reason::BadEnd),
            Token::More | Token::Bad => return Err(Reason::BadEscape),
        }
    }
    out.extend_from_slice(end);
    Ok(())
}

/// Whether a byte outside all frames is none of anybody's: fill before a frame, or a mark behind another one that is both start and
/// end. The last byte is followed by what begins a frame, if anything.
pub fn is_fill(template: &Template, bytes: &[u8], at: usize) -> bool {
    let Some(envelope) = envelope(template) else { return false };
    let Some(byte) = bytes.get(at) else { return false };
    let is_mark = |byte: &u8| *template.start == [*byte] && template.start == template.end;
    envelope.skip.contains(byte)
        || (envelope.escape.is_some() && is_mark(byte) && bytes.get(at + 1).is_none_or(is_mark))
}

/// Where a frame has something in it that is no escape.
pub fn broken_at(template: &Template, wire: &[u8]) -> Option<usize> {
    let escape = envelope(template)?.escape.as_deref()?;
    let mut at = if wire.starts_with(&template.start) { template.start.len() } else { 0 };
    loop {
        match token(template, escape, wire, at) {
            Token::Byte(_, len) => at += len,
            Token::Bad => return Some(at),
            Token::End | Token::Start | Token::More => return None,
        }
    }
}

/// [`super::framer::cut_sent`].
pub(super) fn cut_sent(template: &Template, bytes: &[u8]) -> Option<Cut> {
    let envelope = envelope(template).filter(|envelope| envelope.escape.is_some())?;
    let fill = bytes.iter().take_while(|byte| envelope.skip.contains(byte)).count();
    let rest = bytes.get(fill..)?;
    if !rest.starts_with(&template.start) {
        return Some(if template.start.starts_with(rest) { Cut::More } else { Cut::No });
    }
    // No frame is too long: whoever sends it knows best.
    Some(match cut(template, bytes, (fill, false), bytes.len() + 1, &mut 0) {
        Cut::Frame(len) => Cut::Frame(fill + len),
        other => other,
    })
}

/// What begins at `at`: the mark of a start is there, or before it (`shared`: the end of another frame). `most`: bytes of the longest
/// frame. Counts into `scanned` what was read.
pub(super) fn cut(
    template: &Template,
    bytes: &[u8],
    (at, shared): (usize, bool),
    most: usize,
    scanned: &mut usize,
) -> Cut {
    let Some(escape) = envelope(template).and_then(|envelope| envelope.escape.as_deref()) else { return Cut::No };
    let (start, end) = (&*template.start, &*template.end);
    let begin = if shared { at } else { at + start.len() };
    let stop = bytes.len().min(at + most);
    let mut place = begin;
    loop {
        *scanned += 1;
        match token(template, escape, &bytes[..stop], place) {
            Token::Byte(_, len) => place += len,
            // A broken frame goes up to its end.
            Token::Bad => place += 1,
            Token::End if place == begin => return Cut::No,
            Token::End => return Cut::Frame(place + end.len() - at),
            Token::More if stop < at + most => return Cut::More,
            Token::Start | Token::More => return Cut::No,
        }
    }
}
