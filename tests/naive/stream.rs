//! The good frames of a stream that has ended, found the slow way: at every place every size is tried.

use super::fields::{self, name, size, sizes};
use super::frame::{Frame, Protocol, is_length, key_text};
use serde_json::Value;

/// What a whole frame is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Good,
    /// Its lengths and its checksum are right, something else is not.
    Sound,
    Wrong,
}

struct Stream<'a> {
    p: Protocol<'a>,
    bytes: &'a [u8],
    /// The most that a request has, raw.
    most: usize,
    /// What it begins and ends with; empty: anything.
    start: Vec<u8>,
    end: Vec<u8>,
}

/// Good frames in a stream: the offset and the size of each.
pub fn good_frames(protocol: &Value, bytes: &[u8]) -> Vec<(usize, usize)> {
    let p = Protocol(protocol);
    let most = most(&p);
    let constant = |field: Option<&Value>, named: &str| {
        let field = field.filter(|field| name(field) == named);
        field.map_or(vec![], |field| fields::encode(field, &field["value"], fields::Fill::NONE).unwrap())
    };
    let (start, end) = (constant(p.left().first(), "start"), constant(p.tail().last(), "end"));
    let stream = Stream { p, bytes, most, start, end };
    let (mut at, mut out) = (0, vec![]);
    while at < bytes.len() {
        let Some(len) = stream.whole(at) else {
            at += 1;
            continue;
        };
        match stream.verdict(at, len) {
            Verdict::Good => out.push((at, len)),
            verdict => {
                let first = (at + 1..at + len).find(|&inside| stream.is_good(inside));
                // In one that is a frame, if an unknown one, it has to end.
                let ends = |inside: &usize| stream.whole(*inside).is_some_and(|own| inside + own <= at + len);
                if first.is_some_and(|inside| verdict == Verdict::Wrong || ends(&inside)) {
                    at += 1;
                    continue;
                }
            }
        }
        at += len;
    }
    out
}

/// Data-frame bytes that the requests of a command have.
fn listed(p: &Protocol<'_>, command: &Value) -> Option<Vec<usize>> {
    let room = p.room(command["req_data_list"].as_array()?);
    Some(vec![room, p.data_size(command, room)])
}

fn most(p: &Protocol<'_>) -> usize {
    if let Some(given) = p.0["request_bytes_max"].as_u64() {
        return given as usize;
    }
    let around = sizes(p.left()) + sizes(p.tail());
    let all: Option<Vec<_>> = p.commands().iter().map(|command| listed(p, command)).collect();
    all.map_or(65_535, |all| all.concat().into_iter().max().map_or(256, |data| 256.max(around + data)))
}

impl Stream<'_> {
    /// Bytes on the wire with that many raw ones in the data frame.
    fn wire_size(&self, data: usize) -> usize {
        let parts = self.p.left().iter().map(size).chain([data]).chain(self.p.tail().iter().map(size));
        parts.enumerate().map(|(i, bytes)| self.p.travel(i, &vec![0; bytes]).len()).sum()
    }

    fn cut(&self, at: usize, len: usize) -> Option<Frame> {
        let frame = self.bytes.get(at..at + len)?;
        // Most are not worth a closer look.
        if !frame.starts_with(&self.start) || !frame.ends_with(&self.end) {
            return None;
        }
        self.p.cut(frame).ok()
    }

    /// The size of the frame that begins there, where all of it is there.
    fn whole(&self, at: usize) -> Option<usize> {
        if !self.bytes[at..].starts_with(&self.start) {
            return None;
        }
        let around = sizes(self.p.left()) + sizes(self.p.tail());
        if let Some(total) = self.p.fixed() {
            let len = self.wire_size(total - around);
            return self.cut(at, len).map(|_| len);
        }
        let ends = self.p.tail().last().is_some_and(|last| name(last) == "end");
        let rest = self.bytes.len() - at;
        let all = || (0..=self.most - around).map(|data| self.wire_size(data)).take_while(|len| *len <= rest);
        if self.p.left().iter().any(is_length) {
            let agrees = |len: &usize| {
                let Some(frame) = self.cut(at, *len) else { return false };
                !self.p.faults(&frame).iter().any(|fault| fault.starts_with("bad_length"))
            };
            return all().find(agrees);
        }
        if !ends {
            let frame = self.cut(at, self.wire_size(0).min(rest))?;
            let known = self.p.commands().iter().find(|command| self.has_key(&frame, command))?;
            let len = self.wire_size(listed(&self.p, known)?[0]);
            return self.cut(at, len).map(|_| len);
        }
        // The end sequence may occur in the data: the sizes of the command take precedence.
        let of = |known: bool| -> Option<Vec<usize>> {
            let header = self.cut_header(at);
            let asked = |command: &&Value| !known || header.as_ref().is_some_and(|key| self.has_header(key, command));
            let every: Option<Vec<_>> = self.p.commands().iter().map(|c| listed(&self.p, c)).collect();
            every?;
            Some(self.p.commands().iter().filter(asked).filter_map(|c| listed(&self.p, c)).flatten().collect())
        };
        let mut first = of(true).filter(|sizes| !sizes.is_empty()).or_else(|| of(false)).unwrap_or_default();
        first.sort_unstable();
        for data in first {
            let len = self.wire_size(data);
            if len > rest {
                return None;
            }
            if self.cut(at, len).is_some() {
                return Some(len);
            }
        }
        all().find(|len| self.cut(at, *len).is_some())
    }

    /// The raw header, if only it holds the command and it is not encoded.
    fn cut_header(&self, at: usize) -> Option<Vec<u8>> {
        let in_left = |part: &String| self.p.left().iter().any(|field| name(field) == *part);
        if self.p.ascii() || !self.p.flag().iter().all(in_left) {
            return None;
        }
        Some(self.bytes.get(at..at + sizes(self.p.left()))?.to_vec())
    }

    fn has_header(&self, header: &[u8], command: &Value) -> bool {
        let mut key = String::new();
        for part in self.p.flag() {
            let mut from = 0;
            for field in self.p.left() {
                if name(field) == part {
                    key += &fields::hex(&fields::order(field, header[from..from + size(field)].to_vec()));
                }
                from += size(field);
            }
        }
        key == key_text(&command["data_frame_type"])
    }

    fn has_key(&self, frame: &Frame, command: &Value) -> bool {
        let header: Vec<u8> = frame.iter().take(self.p.left().len()).flat_map(|part| part.raw.clone()).collect();
        self.has_header(&header, command)
    }

    fn verdict(&self, at: usize, len: usize) -> Verdict {
        let Some(frame) = self.cut(at, len) else { return Verdict::Wrong };
        let faults = self.p.faults(&frame);
        if faults.is_empty() && self.p.command(&frame).is_some() {
            Verdict::Good
        } else if self.p.checksum_at().is_some()
            && !faults.iter().any(|fault| *fault == "bad_checksum" || fault.starts_with("bad_length"))
        {
            Verdict::Sound
        } else {
            Verdict::Wrong
        }
    }

    fn is_good(&self, at: usize) -> bool {
        self.whole(at).is_some_and(|len| self.verdict(at, len) == Verdict::Good)
    }
}
