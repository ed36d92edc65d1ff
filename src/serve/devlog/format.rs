//! The text of one device-log record (spec device-log.md).

use super::format_about::{reasons, sent_lines};
use super::format_inner::InnerText;
use super::format_outer::outer_text;
use super::page::{Labels, Page};
use super::record::{FRAMES_TOLD_MAX, Record, RecordKind};
use crate::files::stamp::Stamp;
use fsu_plan::model::fleet::{Fsu, Language};
use fsu_plan::model::message::Transport;
use fsu_plan::wire::envelope::Frames;
use jiff::tz::{Offset, TimeZone};
use std::io::Write;
use std::net::SocketAddr;

/// Appends the line that reports lost records, in the words of the spec.
pub(super) fn lost_line(records: u64, out: &mut Vec<u8>) {
    // Writing to a Vec does not fail.
    let _ = writeln!(out, "... {records} records lost here");
}

/// Cached address texts: there are few centres, and they ask repeatedly.
const PEERS_KEPT: usize = 64;

/// Cache of peers' addresses as text.
#[derive(Debug, Default)]
struct Peers {
    /// Indexed by port; entries may collide.
    kept: Vec<Option<(SocketAddr, String)>>,
}

impl Peers {
    fn text(&mut self, peer: SocketAddr) -> &str {
        self.kept.resize(PEERS_KEPT, None);
        let place = &mut self.kept[usize::from(peer.port()) % PEERS_KEPT];
        let kept = place.take().filter(|(address, _)| *address == peer);
        &place.insert(kept.unwrap_or_else(|| (peer, peer.to_string()))).1
    }
}

/// Formats records; reuses its buffers.
#[derive(Debug)]
pub(super) struct Formatter {
    labels: &'static Labels,
    stamp: Stamp,
    peers: Peers,
    /// An unescaped outer frame.
    plain: Vec<u8>,
    inner: InnerText,
}

impl Formatter {
    /// For this language, with times in the stamp's time zone.
    pub(super) fn new(language: Language, stamp: Stamp) -> Self {
        let (peers, plain, inner) = (Peers::default(), Vec::new(), InnerText::default());
        Self { labels: Labels::of(language), stamp, peers, plain, inner }
    }

    /// Appends the record, preceded by a line about lost records if any were lost.
    pub(super) fn record(&mut self, fsu: &Fsu, record: &Record<'_>, out: &mut Vec<u8>) {
        if record.lost_before > 0 {
            lost_line(u64::from(record.lost_before), out);
        }
        let (direction, label) = match record.kind {
            RecordKind::Received => ("[RECV]", self.labels.received),
            RecordKind::Reply => ("[SEND]", self.labels.reply),
            RecordKind::Heartbeat => ("[SEND]", self.labels.heartbeat),
            RecordKind::Message => ("[SEND]", self.labels.message),
            RecordKind::Unsent => ("[LOST]", self.labels.unsent),
            // These go to the ledgers.
            RecordKind::Fault | RecordKind::Happened => return,
        };
        self.stamp.write(record.unix_ms, out);
        let mut page = Page::new(out, self.labels);
        for text in [direction, " fsu[", &fsu.name, ":"] {
            page.text(text);
        }
        page.upper(fsu.id.given());
        for text in ["] ", label, " ", self.peers.text(record.peer), "\n"] {
            page.text(text);
        }
        page.dump(2, record.bytes);
        match fsu.transport {
            Transport::Udp => self.outer(fsu, record, &mut page),
            Transport::Tcp | Transport::Broadcast | Transport::Datagram => {
                let about = record.told.first();
                self.inner.alone(fsu, record, about, &mut page);
                if record.kind == RecordKind::Received {
                    reasons(fsu, about, 2, &mut page);
                }
            }
        }
        if record.kind != RecordKind::Received {
            sent_lines(fsu, record, &mut page);
        }
    }

    /// The outer frames of a datagram, each as the responder understood it.
    fn outer(&mut self, fsu: &Fsu, record: &Record<'_>, page: &mut Page<'_>) {
        let mut frames = Frames::new(record.bytes);
        let (mut next, mut after_next) = (frames.next(), frames.next());
        let several = after_next.is_some();
        let mut told = record.told.iter();
        let mut number = 0;
        while let Some(frame) = next {
            if number == FRAMES_TOLD_MAX {
                page.text("  ...\n");
                break;
            }
            number += 1;
            (next, after_next) = (after_next, frames.next());
            let about = told.next().unwrap_or_default();
            if several {
                let _ = writeln!(page.out, "  Parsed {number}:");
            }
            let plain = match &frame {
                Ok(frame) => frame.plain(&mut self.plain).map_err(|_| frame.bytes),
                Err(bad) => Err(bad.bytes),
            };
            match plain {
                Ok(plain) => {
                    if !several {
                        page.heading(2, "Parsed");
                    }
                    outer_text(fsu, (record.kind, about), plain, &mut self.inner, page);
                }
                Err(bytes) if several => page.dump(4, bytes),
                Err(_) => {}
            }
            if record.kind == RecordKind::Received {
                reasons(fsu, about, if several { 4 } else { 2 }, page);
            }
        }
        if record.bytes.is_empty() && record.kind == RecordKind::Received {
            reasons(fsu, record.told.first(), 2, page);
        }
    }
}

/// Formats records without a logger.
#[derive(Debug)]
pub struct RecordText(Formatter);

impl RecordText {
    /// For this language, with times at this offset east of UTC in seconds; UTC if the offset is invalid.
    pub fn new(language: Language, utc_offset_s: i32) -> Self {
        let offset = Offset::from_seconds(utc_offset_s).unwrap_or(Offset::UTC);
        Self(Formatter::new(language, Stamp::new(TimeZone::fixed(offset))))
    }

    /// Appends the record as the device log shows it.
    pub fn append(&mut self, fsu: &Fsu, record: &Record<'_>, out: &mut Vec<u8>) {
        self.0.record(fsu, record, out);
    }
}

#[cfg(test)]
mod tests;
