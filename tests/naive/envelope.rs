//! Good frames between the marks of envelopes, found the slow way: at every place of a stream every device's frame is tried.
//! A frame is `start cmd [n] data crc end`: `cmd` is 01, `n` the size of `data`, `crc` a CRC-16/MODBUS in network order, or an XOR.

use super::checksum;

/// How the frames of a device travel.
#[derive(Clone, Copy, Debug)]
pub struct Envelope {
    pub start: &'static [u8],
    /// Empty: the frame's length shows where it ends.
    pub end: &'static [u8],
    /// A byte, and what travels for it.
    pub escape: &'static [(u8, &'static [u8])],
    pub preamble: &'static [u8],
    /// Bytes of `skip` besides those of the preamble.
    pub skip: &'static [u8],
    /// There is a length; without it `end` shows the size.
    pub has_length: bool,
    /// Added to each byte of the data frame.
    pub add: u8,
    pub is_hex: bool,
}

/// What is at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Good(usize),
    /// Its checksum and lengths are right, its command is not.
    Sound(usize),
    Nothing,
}

impl Envelope {
    /// The start is the end of the frame before.
    pub fn shares(&self) -> bool {
        !self.escape.is_empty() && self.start == self.end
    }

    fn sum(&self, bytes: &[u8]) -> Vec<u8> {
        if self.has_length {
            return (checksum::crc("CRC-16/MODBUS", bytes) as u16).to_be_bytes().to_vec();
        }
        vec![bytes.iter().fold(0, |sum, byte| sum ^ byte)]
    }

    fn encoded(&self, raw: &[u8]) -> Vec<u8> {
        if self.is_hex {
            return raw.iter().flat_map(|byte| format!("{byte:02X}").into_bytes()).collect();
        }
        raw.to_vec()
    }

    /// A frame as it travels, without preamble.
    pub fn frame(&self, cmd: u8, data: &[u8]) -> Vec<u8> {
        let mut plain = vec![cmd];
        if self.has_length {
            plain.push(data.len() as u8);
        }
        plain.extend(data);
        let sum = self.sum(&plain);
        let at = plain.len() - data.len();
        plain[at..].iter_mut().for_each(|byte| *byte = byte.wrapping_add(self.add));
        plain.extend(sum);
        let value =
            |byte: u8| self.escape.iter().find(|(key, _)| *key == byte).map_or(vec![byte], |(_, to)| to.to_vec());
        let inside: Vec<u8> = self.encoded(&plain).into_iter().flat_map(value).collect();
        [self.start, &inside, self.end].concat()
    }

    /// Command, data and whether all is right, of bytes between the marks without escapes.
    fn read(&self, inside: &[u8]) -> Option<u8> {
        let raw = if self.is_hex {
            let text = std::str::from_utf8(inside).ok().filter(|text| text.bytes().all(|c| c.is_ascii_hexdigit()))?;
            // Two digits a byte.
            let text = Some(text).filter(|text| text.len() % 2 == 0)?;
            super::fields::unhex(text)?
        } else {
            inside.to_vec()
        };
        let (head, sum) = if self.has_length { (2, 2) } else { (1, 1) };
        let data = raw.len().checked_sub(head + sum)?;
        let mut plain = raw[..head + data].to_vec();
        plain[head..].iter_mut().for_each(|byte| *byte = byte.wrapping_sub(self.add));
        let is_right = raw[head + data..] == self.sum(&plain) && (!self.has_length || usize::from(raw[1]) == data);
        is_right.then_some(raw[0])
    }

    /// What begins at a place; `shared`: behind the mark that ended a frame.
    fn look(&self, bytes: &[u8], shared: bool) -> At {
        let begin = if shared { 0 } else { self.start.len() };
        if !shared && !bytes.starts_with(self.start) {
            return At::Nothing;
        }
        let mut inside = vec![];
        let mut at = begin;
        if self.escape.is_empty() {
            // Every size is tried.
            let around = self.end.len();
            let is_there = |to: &usize| bytes[*to..].starts_with(self.end) && self.read(&bytes[begin..*to]).is_some();
            let found = (begin..=bytes.len().saturating_sub(around)).find(is_there);
            return found.map_or(At::Nothing, |to| self.verdict(&bytes[begin..to], to + around));
        }
        loop {
            let rest = &bytes[at..];
            if rest.starts_with(self.end) {
                // Marks that follow each other enclose no frame.
                return if at == begin { At::Nothing } else { self.verdict(&inside, at + self.end.len()) };
            }
            let escaped = self.escape.iter().find(|(_, to)| rest.starts_with(to));
            match (escaped, rest.first()) {
                (Some((byte, to)), _) => {
                    inside.push(*byte);
                    at += to.len();
                }
                (None, Some(byte)) if self.escape.iter().all(|(key, _)| key != byte) => {
                    inside.push(*byte);
                    at += 1;
                }
                _ => return At::Nothing,
            }
        }
    }

    fn verdict(&self, inside: &[u8], len: usize) -> At {
        match self.read(inside) {
            Some(1) => At::Good(len),
            Some(_) => At::Sound(len),
            None => At::Nothing,
        }
    }
}

/// Good frames of a stream that has ended: the device, and the frame with both marks, hex digits in upper case.
pub fn good_frames(devices: &[Envelope], bytes: &[u8]) -> Vec<(usize, Vec<u8>)> {
    // The mark of the frame that ended here, if it may begin another one.
    let (mut at, mut ended, mut out): (_, Option<&[u8]>, _) = (0, None, vec![]);
    while at < bytes.len() {
        let rest = &bytes[at..];
        let all = devices.iter().enumerate().map(|(number, device)| {
            let shared = device.shares() && ended == Some(device.start) && !rest.starts_with(device.start);
            (number, shared, device.look(rest, shared))
        });
        let all: Vec<_> = all.collect();
        let is_good = |(_, _, found): &&(usize, bool, At)| matches!(found, At::Good(_));
        let is_any = |(_, _, found): &&(usize, bool, At)| *found != At::Nothing;
        let found = all.iter().find(is_good).or_else(|| all.iter().find(is_any)).copied();
        let (mut step, mut behind) = (1, None);
        match found {
            Some((number, shared, At::Good(len))) => {
                let start = if shared { devices[number].start } else { &[] };
                let mut frame = [start, &rest[..len]].concat();
                if devices[number].is_hex {
                    frame.make_ascii_uppercase();
                }
                out.push((number, frame));
                (step, behind) = (len, Some(number));
            }
            Some((number, _, At::Sound(len))) => {
                let inside = (1..len).find_map(|from| {
                    devices.iter().find_map(|device| match device.look(&rest[from..], false) {
                        At::Good(own) => Some(from + own),
                        _ => None,
                    })
                });
                if inside.is_none_or(|end| end > len) {
                    (step, behind) = (len, Some(number));
                }
            }
            _ => {}
        }
        at += step;
        ended =
            behind.map(|number: usize| &devices[number]).filter(|device| device.shares()).map(|device| device.start);
    }
    out
}
