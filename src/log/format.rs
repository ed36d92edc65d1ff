//! The text of one device-log record (spec device-log.md).

use super::format_inner::InnerText;
use super::format_outer::outer_text;
use super::page::{Labels, Page};
use super::record::{Kind, Record};
use super::stamp::Stamp;
use crate::codec::outer::Frames;
use crate::plan::fleet::{Fsu, Language, Transport};
use jiff::tz::{Offset, TimeZone};
use std::io::Write;
use std::net::SocketAddr;

/// Frames of one datagram that are shown; more cannot be good, as a good one has at least 38 of the
/// datagram's 65,507 bytes. Bounds the text that a datagram of garbage makes.
const FRAMES_SHOWN_MAX: usize = 1_724;

/// Appends the line that tells of lost records, in the words of the spec.
pub(super) fn lost_line(records: u64, out: &mut Vec<u8>) {
    // Writing to a Vec does not fail.
    let _ = writeln!(out, "... {records} records lost here");
}

/// Addresses whose text is kept: a centre has few, and asks again and again.
const PEERS_KEPT: usize = 64;

/// The text of peers' addresses.
#[derive(Debug, Default)]
struct Peers {
    /// By port, as far as that tells them apart.
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

/// Makes the text; keeps its buffers from record to record.
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
    /// In that language and the stamp's time zone.
    pub(super) fn new(language: Language, stamp: Stamp) -> Self {
        let (peers, plain, inner) = (Peers::default(), Vec::new(), InnerText::default());
        Self { labels: Labels::of(language), stamp, peers, plain, inner }
    }

    /// Forgets which requests are open: their commands are of a plan that is no more.
    pub(super) fn forget_requests(&mut self) {
        self.inner.forget_requests();
    }

    /// Appends the record, the line that tells of losses before it included.
    pub(super) fn record(&mut self, fsu: &Fsu, record: &Record<'_>, out: &mut Vec<u8>) {
        if record.lost_before > 0 {
            lost_line(u64::from(record.lost_before), out);
        }
        let (direction, label) = match record.kind {
            Kind::Received => ("[RECV]", self.labels.received),
            Kind::Reply => ("[SEND]", self.labels.reply),
            Kind::Heartbeat => ("[SEND]", self.labels.heartbeat),
            // Stands in the ledger.
            Kind::Fault => return,
        };
        self.stamp.write(record.unix_ms, out);
        let mut page = Page::new(out, self.labels);
        for text in
            [direction, " fsu[", &fsu.name, ":", &fsu.id_hex, "] ", self.peers.text(record.peer), " ", label, "\n"]
        {
            page.text(text);
        }
        page.dump(2, record.bytes);
        match fsu.transport {
            Transport::Udp => self.outer(fsu, record, &mut page),
            Transport::Tcp | Transport::Broadcast => self.inner.alone(fsu, record, &mut page),
        }
        if let Some(reason) = record.dropped {
            page.last_reason(2, reason);
        }
    }

    /// The outer frames of a datagram.
    fn outer(&mut self, fsu: &Fsu, record: &Record<'_>, page: &mut Page<'_>) {
        let several = Frames::new(record.bytes).nth(1).is_some();
        for (number, frame) in (1..=FRAMES_SHOWN_MAX).zip(Frames::new(record.bytes)) {
            page.next_frame();
            if several {
                let _ = writeln!(page.out, "  Parsed {number}:");
            }
            let plain = match &frame {
                Ok(frame) => frame.plain(&mut self.plain).map_err(|reason| (reason, frame.bytes)),
                Err(bad) => Err((bad.reason, bad.bytes)),
            };
            match plain {
                Ok(plain) => {
                    if !several {
                        page.heading(2, "Parsed");
                    }
                    outer_text(fsu, record, plain, &mut self.inner, page);
                }
                Err((reason, bytes)) if several => {
                    page.dump(4, bytes);
                    page.reason(4, reason);
                }
                Err((reason, _)) => page.reason(2, reason),
            }
        }
        if Frames::new(record.bytes).nth(FRAMES_SHOWN_MAX).is_some() {
            page.text("  ...\n");
        }
    }
}

/// Records as text without a logger.
#[derive(Debug)]
pub struct RecordText(Formatter);

impl RecordText {
    /// In that language, with times so many seconds east of UTC; UTC where there is no such zone.
    pub fn new(language: Language, utc_offset_s: i32) -> Self {
        let offset = Offset::from_seconds(utc_offset_s).unwrap_or(Offset::UTC);
        Self(Formatter::new(language, Stamp::new(TimeZone::fixed(offset))))
    }

    /// Appends what the device log has for the record. Replies are read in the light of the requests before them.
    pub fn append(&mut self, fsu: &Fsu, record: &Record<'_>, out: &mut Vec<u8>) {
        self.0.record(fsu, record, out);
    }
}

#[cfg(test)]
mod tests;
