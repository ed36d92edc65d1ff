//! The device log's files: one per FSU, created by its first record.
//!
//! Records are gathered per FSU and written together. Gathered text and open files are bounded for any
//! number of FSUs.

use super::format::lost_line;
use crate::files::old::delete_old;
use crate::files::rolling::{Rolling, split_part};
use crate::files::trouble::Trouble;
use fsu_plan::model::fleet::Fsu;
use fsu_plan::model::message::Transport;
use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Files open at a time, if there are enough descriptors; the least recently used one is closed for the next. Reopening a file
/// costs about 10 us.
pub const OPEN_FILES_MAX: usize = 1_024;

/// The minimum of open files. Each takes a descriptor, which the sockets need too.
pub const OPEN_FILES_MIN: usize = 256;

/// An FSU's records are written once they exceed this: larger writes gain nothing.
const FILE_BUFFER_BYTES: usize = 64 << 10;

/// All records are written once they exceed this together: the log's memory for 10,000 FSUs.
const BUFFERS_BYTES_MAX: usize = 16 << 20;

/// Bytes of empty buffers kept for the next FSUs: freeing and growing buffers costs as much as writing them. Only what
/// [`BUFFERS_BYTES_MAX`] once needed is kept, and a buffer may be half empty.
const SPARE_BYTES_MAX: usize = 2 * BUFFERS_BYTES_MAX;

/// The directory below `log.dir`.
const DIR: &str = "devices";

/// The files of all FSUs.
#[derive(Debug)]
pub(super) struct DeviceLog {
    dir: PathBuf,
    /// `20260113_201203`
    started: String,
    bytes_max: u64,
    age_days_max: u64,
    /// The most files that are open at once.
    open_max: usize,
    /// By FSU number; `None` before its first record.
    files: Vec<Option<Box<DeviceFile>>>,
    /// FSUs whose file is open.
    open: Vec<u32>,
    /// FSUs with records to write.
    dirty: Vec<u32>,
    /// Bytes of all buffers together.
    buffered: usize,
    spare: Vec<Vec<u8>>,
    /// Bytes of those together.
    spare_bytes: usize,
    /// Counts writes, to find the least recently used file.
    writes: u64,
    /// Counters of what was done.
    pub(super) counts: DeviceCounts,
    /// Write errors to report.
    pub(super) trouble: Trouble,
}

/// What became of the records that reached the logger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct DeviceCounts {
    /// Records written to files.
    pub(super) written: u64,
    /// Records lost to write errors.
    pub(super) unwritten: u64,
    /// Write errors.
    pub(super) errors: u64,
}

#[derive(Debug)]
struct DeviceFile {
    rolling: Rolling,
    /// Text to write.
    buffer: Vec<u8>,
    /// Records in it.
    records: u64,
    /// Records lost to write errors that the file does not mention yet.
    untold: u64,
    /// It is in `dirty`.
    dirty: bool,
    /// The write that used it last.
    used: u64,
}

impl DeviceLog {
    /// Nothing is touched before the first record.
    pub(super) fn new(log_dir: &Path, started: String, bytes_max: u64, age_days_max: u64, open_max: usize) -> Self {
        Self {
            dir: log_dir.join(DIR),
            started,
            bytes_max,
            age_days_max,
            open_max,
            files: Vec::new(),
            open: Vec::new(),
            dirty: Vec::new(),
            buffered: 0,
            spare: Vec::new(),
            spare_bytes: 0,
            writes: 0,
            counts: DeviceCounts::default(),
            trouble: Trouble::default(),
        }
    }

    /// Appends the text that `write` produces for FSU `number`: `records` complete records, or 0 for a line that is not a record.
    pub(super) fn append(&mut self, number: u32, fsu: &Fsu, records: u64, write: impl FnOnce(&mut Vec<u8>)) {
        let index = number as usize;
        if self.files.len() <= index {
            self.files.resize_with(index + 1, || None);
        }
        let file = self.files[index].get_or_insert_with(|| {
            let name = format!("{}_{}_{}.log", fsu.name, fsu.transport.name(), self.started);
            Box::new(DeviceFile {
                rolling: Rolling::new(self.dir.join(name), self.bytes_max),
                buffer: Vec::new(),
                records: 0,
                untold: 0,
                dirty: false,
                used: 0,
            })
        });
        if file.buffer.capacity() == 0 {
            file.buffer = self.spare.pop().unwrap_or_default();
            self.spare_bytes -= file.buffer.capacity();
        }
        let before = file.buffer.len();
        write(&mut file.buffer);
        let bytes = file.buffer.len() - before;
        if before > 0 && file.buffer.len() as u64 > file.rolling.room() {
            // The part ends before this record.
            let last = file.buffer.split_off(before);
            self.write(number);
            if let Some(Some(file)) = self.files.get_mut(index) {
                file.buffer = last;
            }
        }
        let Some(Some(file)) = self.files.get_mut(index) else { return };
        file.records += records;
        self.buffered += bytes;
        if !std::mem::replace(&mut file.dirty, true) {
            self.dirty.push(number);
        }
        if file.buffer.len() > FILE_BUFFER_BYTES {
            self.write(number);
        }
        if self.buffered > BUFFERS_BYTES_MAX {
            self.flush();
        }
    }

    /// Writes everything gathered.
    pub(super) fn flush(&mut self) {
        let mut dirty = std::mem::take(&mut self.dirty);
        for number in dirty.drain(..) {
            self.write(number);
            if let Some(Some(file)) = self.files.get_mut(number as usize) {
                file.dirty = false;
            }
        }
        self.dirty = dirty;
    }

    /// Writes everything gathered and frees the buffers.
    pub(super) fn give_back(&mut self) {
        self.flush();
        self.spare = Vec::new();
        self.spare_bytes = 0;
    }

    /// Writes everything, and reports every loss that can be reported now.
    pub(super) fn finish(&mut self) {
        self.flush();
        for number in 0..self.files.len() as u32 {
            self.write(number);
        }
    }

    /// Writes one FSU's buffer. What cannot be written is lost; the loss is noted as soon as the file can be written again.
    fn write(&mut self, number: u32) {
        let open = matches!(self.files.get(number as usize), Some(Some(file)) if file.rolling.is_open());
        if !open && self.open.len() >= self.open_max.max(1) {
            self.close_longest_unused();
        }
        let Some(Some(file)) = self.files.get_mut(number as usize) else { return };
        if file.buffer.is_empty() && file.untold == 0 {
            return;
        }
        self.writes += 1;
        file.used = self.writes;
        self.buffered -= file.buffer.len();
        if file.untold > 0 {
            let mut line = Vec::new();
            lost_line(file.untold, &mut line);
            file.buffer.splice(0..0, line);
        }
        let outcome = file.rolling.append(&file.buffer);
        // A write takes as long as some dozen records: let waiting threads run first.
        std::thread::yield_now();
        match outcome {
            Ok(()) => {
                self.counts.written += file.records;
                file.untold = 0;
            }
            Err(error) => {
                self.counts.errors += 1;
                self.counts.unwritten += file.records;
                file.untold += file.records;
                self.trouble.note(&file.rolling.current(), &error, file.records);
            }
        }
        file.records = 0;
        let mut buffer = std::mem::take(&mut file.buffer);
        let bytes = buffer.capacity();
        if self.spare_bytes + bytes <= SPARE_BYTES_MAX && bytes <= 2 * FILE_BUFFER_BYTES {
            buffer.clear();
            self.spare_bytes += bytes;
            self.spare.push(buffer);
        }
        // A removed file is opened again, and stays in the list.
        match (open, file.rolling.is_open()) {
            (false, true) => self.open.push(number),
            (true, false) => self.open.retain(|&other| other != number),
            _ => {}
        }
    }

    /// Recreates open files that were removed or renamed.
    pub(super) fn look(&mut self) {
        let mut closed = false;
        for &number in &self.open {
            let Some(Some(file)) = self.files.get_mut(number as usize) else { continue };
            if let Err(error) = file.rolling.look() {
                self.counts.errors += 1;
                self.trouble.note(&file.rolling.current(), &error, 0);
                closed = true;
            }
        }
        if closed {
            let files = &self.files;
            let is_open =
                |number: u32| matches!(files.get(number as usize), Some(Some(file)) if file.rolling.is_open());
            self.open.retain(|&number| is_open(number));
        }
    }

    /// No FSU uses this file any more: writes its pending text, and closes it.
    pub(super) fn forget(&mut self, number: u32) {
        self.write(number);
        self.open.retain(|&other| other != number);
        self.dirty.retain(|&other| other != number);
        if let Some(file) = self.files.get_mut(number as usize) {
            *file = None;
        }
    }

    fn close_longest_unused(&mut self) {
        let used = |number: u32| self.files.get(number as usize).and_then(Option::as_ref).map_or(0, |file| file.used);
        let Some(at) = (0..self.open.len()).min_by_key(|&at| used(self.open[at])) else { return };
        let number = self.open.swap_remove(at);
        if let Some(Some(file)) = self.files.get_mut(number as usize) {
            file.rolling.close();
        }
    }

    /// Deletes device logs last written more than the allowed days before `now`, but none that is in use.
    /// 0 days: keeps all.
    pub(crate) fn delete_old(&mut self, now: SystemTime) {
        let current: HashSet<OsString> = self
            .files
            .iter()
            .flatten()
            .filter_map(|file| Some(file.rolling.current().file_name()?.to_owned()))
            .collect();
        delete_old(&self.dir, self.age_days_max, now, &mut self.trouble, |name| {
            is_device_log(name) && !current.contains(name.as_ref() as &std::ffi::OsStr)
        });
    }
}

/// Whether this is the name of a device log: `{fsuname}_{protocol_type}_{YYYYMMDD}_{HHMMSS}.log`, or a later part of one?
fn is_device_log(name: &str) -> bool {
    let (base, _) = split_part(name);
    let Some(stem) = base.strip_suffix(".log") else { return false };
    let digits = |text: &str, len: usize| text.len() == len && text.bytes().all(|b| b.is_ascii_digit());
    let transport = |text: &str| Transport::from_name(text).is_some();
    let mut parts = stem.rsplitn(4, '_');
    let (time, date, protocol, fsu) = (parts.next(), parts.next(), parts.next(), parts.next());
    time.is_some_and(|time| digits(time, 6))
        && date.is_some_and(|date| digits(date, 8))
        && protocol.is_some_and(transport)
        && fsu.is_some_and(|fsu| !fsu.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fsu;
    use std::time::Duration;

    const STARTED: &str = "20260113_201203";

    fn log(dir: &Path, bytes_max: u64) -> DeviceLog {
        DeviceLog::new(dir, STARTED.to_owned(), bytes_max, 7, OPEN_FILES_MIN)
    }

    fn read(dir: &Path, name: &str) -> String {
        std::fs::read_to_string(dir.join(DIR).join(name)).unwrap()
    }

    fn append(log: &mut DeviceLog, number: u32, fsu: &Fsu, text: &[u8]) {
        log.append(number, fsu, 1, |out| out.extend_from_slice(text));
    }

    #[test]
    fn a_file_per_fsu_named_after_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = log(dir.path(), 0);
        append(&mut log, 0, &fsu("a", Transport::Udp), b"one\n");
        append(&mut log, 3, &fsu("b", Transport::Tcp), b"two\n");
        append(&mut log, 0, &fsu("a", Transport::Udp), b"three\n");
        assert!(!dir.path().join(DIR).exists(), "gathered first");
        log.flush();
        assert_eq!(read(dir.path(), "a_udp_20260113_201203.log"), "one\nthree\n");
        assert_eq!(read(dir.path(), "b_tcp_20260113_201203.log"), "two\n");
        assert_eq!(log.counts, DeviceCounts { written: 3, unwritten: 0, errors: 0 });
        assert_eq!(log.buffered, 0);
    }

    #[test]
    fn rotates_between_records_gathered_or_not() {
        for flushed in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let mut log = log(dir.path(), 8);
            for text in ["aaaa", "bbbb", "cccc", "dddddddddd", "e"] {
                append(&mut log, 0, &fsu("x", Transport::Udp), text.as_bytes());
                if flushed {
                    log.flush();
                }
            }
            log.flush();
            assert_eq!(read(dir.path(), "x_udp_20260113_201203.log"), "aaaabbbb");
            assert_eq!(read(dir.path(), "x_udp_20260113_201203.1.log"), "cccc");
            assert_eq!(read(dir.path(), "x_udp_20260113_201203.2.log"), "dddddddddd");
            assert_eq!(read(dir.path(), "x_udp_20260113_201203.3.log"), "e");
        }
    }

    #[test]
    fn limit_open_files_min_and_buffers_bytes_max_many_fsus_share_little() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = log(dir.path(), 0);
        let names: Vec<String> = (0..OPEN_FILES_MIN + 50).map(|n| format!("f{n}")).collect();
        let text = vec![b'x'; 30_000];
        for _ in 0..3 {
            for (number, name) in (0..).zip(&names) {
                append(&mut log, number, &fsu(name, Transport::Udp), &text);
                assert!(log.buffered <= BUFFERS_BYTES_MAX);
            }
            log.flush();
            assert_eq!(log.open.len(), OPEN_FILES_MIN);
            let open = log.files.iter().flatten().filter(|file| file.rolling.is_open()).count();
            assert_eq!(open, OPEN_FILES_MIN);
        }
        assert_eq!(log.counts.written, names.len() as u64 * 3);
        for name in &names {
            assert_eq!(read(dir.path(), &format!("{name}_udp_{STARTED}.log")).len(), text.len() * 3);
        }
    }

    #[test]
    fn limit_spare_bytes_max_of_emptied_buffers() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = DeviceLog::new(dir.path(), STARTED.into(), 0, 0, OPEN_FILES_MIN);
        let fsus: Vec<Fsu> = (0..520).map(|n| fsu(&format!("f{n}"), Transport::Udp)).collect();
        let half = vec![b'x'; 32 << 10];
        // A byte more than half of what the buffer then has room for.
        let grow = |log: &mut DeviceLog, number: u32| {
            append(log, number, &fsus[number as usize], &half);
            append(log, number, &fsus[number as usize], b"x");
        };
        (0..500).for_each(|number| grow(&mut log, number));
        log.flush();
        assert_eq!(log.spare_bytes, 500 * (64 << 10));
        // All of them are in use, for nearly nothing, while others gather more.
        (0..500).for_each(|number| append(&mut log, number, &fsus[number as usize], b"x"));
        assert_eq!(log.spare_bytes, 0);
        (500..520).for_each(|number| grow(&mut log, number));
        log.flush();
        assert_eq!(log.spare_bytes, 512 * (64 << 10));
        assert_eq!(log.spare.iter().map(Vec::capacity).sum::<usize>(), 32 << 20);
    }

    #[test]
    fn a_full_disk_costs_records_and_says_so_when_it_has_room_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(DIR).join(format!("a_udp_{STARTED}.log"));
        std::fs::create_dir(dir.path().join(DIR)).unwrap();
        std::os::unix::fs::symlink("/dev/full", &path).unwrap();
        let mut log = log(dir.path(), 0);
        let fsu = fsu("a", Transport::Udp);
        for text in ["one\n", "two\n", "three\n"] {
            append(&mut log, 0, &fsu, text.as_bytes());
            append(&mut log, 0, &fsu, b"more\n");
            log.flush();
        }
        assert_eq!(log.counts, DeviceCounts { written: 0, unwritten: 6, errors: 3 });
        assert!(log.open.is_empty());
        std::fs::remove_file(&path).unwrap();
        append(&mut log, 0, &fsu, b"four\n");
        log.flush();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "... 6 records lost here\nfour\n");
        assert_eq!(log.counts, DeviceCounts { written: 1, unwritten: 6, errors: 3 });
    }

    #[test]
    fn the_end_tells_of_losses_too() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(DIR), "in the way").unwrap();
        let mut log = log(dir.path(), 0);
        append(&mut log, 0, &fsu("a", Transport::Udp), b"one\n");
        log.flush();
        std::fs::remove_file(dir.path().join(DIR)).unwrap();
        log.finish();
        assert_eq!(read(dir.path(), &format!("a_udp_{STARTED}.log")), "... 1 records lost here\n");
    }

    #[test]
    fn names_of_device_logs() {
        for (name, expected) in [
            ("a_udp_20260113_201203.log", true),
            ("a_b_c_broadcast_20260113_201203.17.log", true),
            ("a_tcp_20260113_201203.log", true),
            ("_tcp_20260113_201203.log", false),
            ("a_sctp_20260113_201203.log", false),
            ("a_udp_2026011_201203.log", false),
            ("a_udp_20260113_20120x.log", false),
            ("a_udp_20260113_201203.log.gz", false),
            ("a_udp_20260113_201203", false),
            ("notes.log", false),
            ("", false),
        ] {
            assert_eq!(is_device_log(name), expected, "{name}");
        }
    }

    #[test]
    fn old_device_logs_go_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let devices = dir.path().join(DIR);
        std::fs::create_dir(&devices).unwrap();
        let now = SystemTime::now();
        let age = |name: &str, days: u64| {
            let file = std::fs::File::options().create(true).append(true).open(devices.join(name)).unwrap();
            file.set_modified(now - Duration::from_secs(days * 86_400)).unwrap();
        };
        let mut log = log(dir.path(), 2);
        for text in ["a\n", "b\n", "c\n"] {
            append(&mut log, 0, &fsu("now", Transport::Udp), text.as_bytes());
        }
        log.flush();
        for (name, days) in [
            ("old_udp_20250101_000000.log", 8),
            ("old_udp_20250101_000000.1.log", 8),
            ("new_udp_20250101_000000.log", 6),
            ("notes.log", 100),
            ("now_udp_20260113_201203.log", 8),
            ("now_udp_20260113_201203.2.log", 8),
        ] {
            age(name, days);
        }
        log.delete_old(now);
        let mut left: Vec<_> =
            std::fs::read_dir(&devices).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        left.sort();
        let expected = [
            "new_udp_20250101_000000.log",
            "notes.log",
            "now_udp_20260113_201203.1.log",
            "now_udp_20260113_201203.2.log",
        ];
        assert_eq!(left, expected);
        log.age_days_max = 0;
        log.delete_old(now + Duration::from_secs(86_400 * 1000));
        assert_eq!(std::fs::read_dir(&devices).unwrap().count(), expected.len());
    }
}
