//! Two ledgers, each a file of JSON lines: one of the faults made on purpose, one of what has become of messages.
//!
//! `{"time":"2026-01-13T12:12:03.184Z","fsu":"site_1","message":17,"kind":"drop","reply":1,"of":1,"frame":"reply"}`; where faults
//! are missing, `{"time":...,"lost":3}` gives their number.
//!
//! `{"time":"2026-01-13T12:12:03.184Z","fsu":"site_1","message":"alarm","number":3,"event":"acknowledged","after_ms":1.25,"key":"a1b2..."}`

use super::record::{Record, RecordKind, fault_of, happened_of};
use crate::files::rolling::Rolling;
use crate::files::trouble::Trouble;
use fsu_core::answer::talk::Event;
use fsu_plan::model::fault::Place;
use fsu_plan::model::fleet::Fsu;
use jiff::Timestamp;
use serde::Serialize;
use std::path::PathBuf;

/// Lines are written once they exceed this together.
const BUFFER_BYTES: usize = 64 << 10;

/// One line. Keys that are absent are left out.
#[derive(Default, Serialize)]
struct Line<'a> {
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fsu: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Message<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    of: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frame: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sn: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<u64>,
}

/// A message of a centre by its number, or one of a device by its name.
#[derive(Clone, Copy, Serialize)]
#[serde(untagged)]
enum Message<'a> {
    Number(u64),
    Name(&'a str),
}

/// What became of the faults that reached the logger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LedgerCounts {
    /// Lines of faults written.
    pub(super) written: u64,
    /// Faults lost to a full queue.
    pub(super) lost: u64,
    /// Lines lost to write errors.
    pub(super) unwritten: u64,
}

/// The file.
#[derive(Debug)]
pub(super) struct Ledger {
    file: Rolling,
    buffer: Vec<u8>,
    /// Faults in the buffer.
    faults: u64,
    /// Faults lost to write errors that the file does not mention yet.
    untold: u64,
    /// The time of the last fault.
    unix_ms: i64,
    pub(super) counts: LedgerCounts,
    pub(super) trouble: Trouble,
}

impl Ledger {
    /// Appends to that file.
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            file: Rolling::single(path),
            buffer: Vec::new(),
            faults: 0,
            untold: 0,
            unix_ms: 0,
            counts: LedgerCounts::default(),
            trouble: Trouble::default(),
        }
    }

    /// Writes a fault, after a line for those lost before it.
    pub(super) fn append(&mut self, fsu: &Fsu, record: &Record<'_>) {
        self.unix_ms = record.unix_ms;
        self.lost(u64::from(record.lost_before));
        if record.kind == RecordKind::Happened {
            self.happened(fsu, record.bytes);
        } else {
            self.fault(fsu, record.bytes);
        }
        self.faults += 1;
        if self.buffer.len() > BUFFER_BYTES {
            self.flush();
        }
    }

    fn happened(&mut self, fsu: &Fsu, bytes: &[u8]) {
        let Some(happened) = happened_of(bytes) else { return };
        let conversations = fsu.devices.iter().filter_map(|device| device.conversation.as_ref());
        let mut messages = conversations.flat_map(|all| &all.messages);
        let message = messages.find(|message| message.account == happened.account);
        self.line(Line {
            fsu: Some(&fsu.name),
            message: message.map(|message| Message::Name(&message.name)),
            number: Some(happened.number),
            event: Some(happened.event.name()),
            after_ms: (happened.event != Event::Sent).then(|| happened.since_first_ns as f64 / 1e6),
            key: Some(format!("{:016x}", happened.key)),
            ..Line::default()
        });
    }

    fn fault(&mut self, fsu: &Fsu, bytes: &[u8]) {
        let Some((kind, Place { message, reply, of, frame, sn })) = fault_of(bytes) else { return };
        self.line(Line {
            fsu: Some(&fsu.name),
            message: Some(Message::Number(message)),
            kind: Some(kind.name()),
            reply: Some(reply),
            of: Some(of),
            frame: Some(frame.name()),
            sn,
            ..Line::default()
        });
    }

    /// Reports faults lost to a full queue.
    pub(super) fn lost(&mut self, lost: u64) {
        if lost > 0 {
            self.counts.lost += lost;
            self.line(Line { lost: Some(lost), ..Line::default() });
        }
    }

    /// Writes a line, all but its time.
    fn line(&mut self, line: Line<'_>) {
        let time =
            Timestamp::from_millisecond(self.unix_ms).map_or_else(|_| String::new(), |time| format!("{time:.3}"));
        // Writing to a Vec does not fail, and a line of plain texts and numbers is always JSON.
        let _ = serde_json::to_writer(&mut self.buffer, &Line { time, ..line });
        self.buffer.push(b'\n');
    }

    /// Recreates the file if it was removed or renamed.
    pub(super) fn look(&mut self) {
        if let Err(error) = self.file.look() {
            self.trouble.note(&self.file.current(), &error, 0);
        }
    }

    /// Writes everything gathered. What cannot be written is lost; the loss is noted as soon as the file can be written again.
    pub(super) fn flush(&mut self) {
        if self.buffer.is_empty() && self.untold == 0 {
            return;
        }
        if self.untold > 0 {
            let gathered = std::mem::take(&mut self.buffer);
            self.line(Line { lost: Some(self.untold), ..Line::default() });
            self.buffer.extend_from_slice(&gathered);
        }
        match self.file.append(&self.buffer) {
            Ok(()) => {
                self.counts.written += self.faults;
                self.untold = 0;
            }
            Err(error) => {
                self.counts.unwritten += self.faults;
                self.untold += self.faults;
                self.trouble.note(&self.file.current(), &error, self.faults);
            }
        }
        self.faults = 0;
        self.buffer.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devlog::record::{RecordKind, Told, fault_bytes};
    use crate::testing::fsu;
    use fsu_plan::model::fault::{FaultKind, Struck};
    use fsu_plan::model::message::Transport;
    use std::path::Path;

    fn append(ledger: &mut Ledger, kind: FaultKind, message: u64, lost_before: u32) {
        append_at(ledger, kind, Place { message, reply: 1, of: 1, ..Place::default() }, lost_before);
    }

    fn append_at(ledger: &mut Ledger, kind: FaultKind, place: Place, lost_before: u32) {
        let peer = ([127, 0, 0, 1], 1).into();
        let (unix_ms, bytes) = (1_768_306_323_184, fault_bytes(kind, place));
        let record = Record {
            kind: RecordKind::Fault,
            fsu: 0,
            peer,
            unix_ms,
            told: Told::default(),
            lost_before,
            bytes: &bytes,
        };
        ledger.append(&fsu("site \"1\"", Transport::Udp), &record);
    }

    fn read(path: &Path) -> Vec<String> {
        std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
    }

    const TIME: &str = r#"{"time":"2026-01-13T12:12:03.184Z""#;

    #[test]
    fn a_line_for_each_fault_and_each_loss() {
        let dir = tempfile::tempdir().unwrap();
        // Another file with a name of that kind is none of its parts.
        std::fs::write(dir.path().join("a.1.jsonl"), "").unwrap();
        let path = dir.path().join("a.jsonl");
        let mut ledger = Ledger::new(path.clone());
        append(&mut ledger, FaultKind::Drop, 17, 0);
        append(&mut ledger, FaultKind::Reorder, u64::MAX, 3);
        ledger.lost(2);
        ledger.flush();
        let expected = [
            format!(r#"{TIME},"fsu":"site \"1\"","message":17,"kind":"drop","reply":1,"of":1,"frame":"reply"}}"#),
            format!(r#"{TIME},"lost":3}}"#),
            format!(
                r#"{TIME},"fsu":"site \"1\"","message":18446744073709551615,"kind":"reorder","reply":1,"of":1,"frame":"reply"}}"#
            ),
            format!(r#"{TIME},"lost":2}}"#),
        ];
        assert_eq!(read(&path), expected);
        assert_eq!(ledger.counts, LedgerCounts { written: 2, lost: 5, unwritten: 0 });
    }

    #[test]
    fn h08_a_line_tells_which_frame_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.jsonl");
        let check = |kind, place, expected: &str| {
            let mut ledger = Ledger::new(path.clone());
            append_at(&mut ledger, kind, place, 0);
            ledger.flush();
            let expected = format!(r#"{TIME},"fsu":"site \"1\"",{expected}}}"#);
            assert_eq!(read(&path).last(), Some(&expected));
        };
        let place = |message, reply, of, frame, sn| Place { message, reply, of, frame, sn };
        check(
            FaultKind::Corrupt,
            place(7, 3, 20, Struck::Reply, None),
            r#""message":7,"kind":"corrupt","reply":3,"of":20,"frame":"reply""#,
        );
        check(
            FaultKind::Drop,
            place(8, 1, 2, Struck::Answer, None),
            r#""message":8,"kind":"drop","reply":1,"of":2,"frame":"answer""#,
        );
        check(
            FaultKind::Duplicate,
            place(9, 1, 1, Struck::Data, Some(15)),
            r#""message":9,"kind":"duplicate","reply":1,"of":1,"frame":"data","sn":15"#,
        );
        check(
            FaultKind::Offline,
            Place::apart(Struck::Connection),
            r#""message":0,"kind":"offline","reply":0,"of":0,"frame":"connection""#,
        );
    }

    #[test]
    fn a_full_disk_costs_lines_and_says_so_when_it_has_room_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.jsonl");
        std::os::unix::fs::symlink("/dev/full", &path).unwrap();
        let mut ledger = Ledger::new(path.clone());
        append(&mut ledger, FaultKind::Drop, 1, 0);
        append(&mut ledger, FaultKind::Drop, 2, 0);
        ledger.flush();
        assert!(ledger.trouble.tell(std::time::Instant::now(), "lines").is_some());
        std::fs::remove_file(&path).unwrap();
        append(&mut ledger, FaultKind::Drop, 3, 0);
        ledger.flush();
        let lines = read(&path);
        assert_eq!((lines.len(), &*lines[0]), (2, &*format!(r#"{TIME},"lost":2}}"#)));
        assert_eq!(ledger.counts, LedgerCounts { written: 1, lost: 0, unwritten: 2 });
    }
}
