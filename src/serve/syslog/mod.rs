//! The system log: lines of the `log` crate, written by the logger thread.
//!
//! The caller formats the line and puts it into a bounded queue. A full queue refuses it, and the
//! log reports the number of lost lines. No caller waits.

pub(crate) mod limit;

use crate::files::old::delete_old;
use crate::files::rolling::{Rolling, split_part};
use crate::files::stamp::Stamp;
use crate::files::trouble::Trouble;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use fsu_net::unblocked::{self, LINES_WAIT_MAX};
use fsu_plan::model::fleet::LogPlan;
use fsu_plan::words::count;
use jiff::Timestamp;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use limit::{LineLimits, Often};
use log::{Level, LevelFilter, Log, Metadata, Record};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Lines waiting to be written; some 200 bytes each. The start or end of a large fleet logs
/// hundreds at once; anything that could log more is rate-limited at its source.
pub const SYSTEM_QUEUE_LINES: usize = 4096;

/// Time between two reports of lines lost to a full queue.
const LOST_INTERVAL: Duration = Duration::from_secs(1);

/// Lines are gathered up to this many bytes before they are written.
const BUFFER_BYTES: usize = 64 << 10;

/// Used if the configured pattern is not valid.
const DEFAULT_PATTERN: &str = "system_%Y%m%d.log";

/// Target of a line whose text the program prints on stdout too: the file has it under its module's name, and a terminal that
/// shows stdout shows it once.
pub const ON_STDOUT: &str = "stdout";
/// The same of what it prints on stderr.
pub const ON_STDERR: &str = "stderr";

/// One line, without its time.
#[derive(Debug)]
struct Line {
    unix_ms: i64,
    /// `[INFO] target: text`
    text: String,
    /// The terminal shows it already.
    shown: bool,
}

/// The `log` crate's logger. Cheap to call from a shard.
#[derive(Clone, Debug)]
pub struct SystemLog {
    queue: Sender<Line>,
    lost: Arc<AtomicU64>,
    /// A [`LevelFilter`], as a number; shared with the logger thread.
    level: Arc<AtomicUsize>,
    limits: Arc<LineLimits>,
    stderr: bool,
    /// Stdout is a terminal.
    stdout_is_seen: bool,
}

impl SystemLog {
    /// Sets the level: later lines above it are dropped.
    pub(crate) fn set_level(&self, level: LevelFilter) {
        self.level.store(level as usize, Ordering::Relaxed);
    }

    /// The current level, as a number.
    pub(crate) fn level(&self) -> Arc<AtomicUsize> {
        self.level.clone()
    }

    pub(crate) fn wants(&self, level: Level) -> bool {
        level as usize <= self.level.load(Ordering::Relaxed)
    }

    /// Sets the lines a second of each module.
    pub(crate) fn limit(&self) {
        self.limits.hold();
    }

    /// A line of this module's own.
    pub(crate) fn warn(&self, what: &str) {
        self.put(Level::Warn, module_path!(), &format_args!("{what}"), false);
    }

    fn put(&self, level: Level, target: &str, args: &std::fmt::Arguments<'_>, shown: bool) {
        if !self.wants(level) {
            return;
        }
        let line = Line { unix_ms: unix_ms(), text: text(level, target, args), shown };
        match self.queue.try_send(line) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                self.lost.fetch_add(1, Ordering::Relaxed);
            }
            // The logger has stopped: later lines go to stderr.
            Err(TrySendError::Disconnected(line)) => {
                if self.stderr && !line.shown {
                    unblocked::stderr_within(format!("{}\n", line.text).as_bytes(), LINES_WAIT_MAX);
                }
            }
        }
    }
}

impl Log for SystemLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.wants(metadata.level())
    }

    fn log(&self, record: &Record<'_>) {
        let module = record.module_path().unwrap_or("fsu_mock");
        let (target, shown) = match record.target() {
            ON_STDOUT => (module, self.stdout_is_seen),
            ON_STDERR => (module, true),
            target => (target, false),
        };
        if self.wants(record.level()) && self.limits.admit(record.level(), target) {
            self.put(record.level(), target, record.args(), shown);
        }
    }

    /// Does nothing: the logger thread writes within milliseconds, and all of it before it stops.
    fn flush(&self) {}
}

/// Unix time in milliseconds.
pub(crate) fn unix_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

/// The origin of a line as shown: the program, then the module. Operators need not know the crates.
fn place(target: &str) -> (&str, &str) {
    match target.split_once("::") {
        Some(("fsu_mock", module)) => ("fsu_mock::cli::", module),
        Some((room, module)) if room.starts_with("fsu_") => ("fsu_mock::", module),
        _ => ("", target),
    }
}

/// `[INFO] target: text` on one line: line ends and other control characters are escaped.
fn text(level: Level, target: &str, args: &std::fmt::Arguments<'_>) -> String {
    let (program, module) = place(target);
    let text = format!("[{level}] {program}{module}: {args}");
    if !text.contains(char::is_control) {
        return text;
    }
    let mut line = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
    }
    line
}

/// The file name for a pattern; `None` if the pattern is invalid.
fn name_at(pattern: &str, unix_ms: i64, zone: &TimeZone) -> Option<String> {
    let moment = Timestamp::from_millisecond(unix_ms).ok()?.to_zoned(zone.clone());
    strtime::format(pattern, &moment).ok().filter(|name| Path::new(name).file_name().is_some())
}

/// Makes both ends of the system log.
pub(crate) fn pair(plan: &LogPlan, stamp: Stamp, stderr: bool) -> (SystemLog, SystemWriter) {
    let (sender, receiver) = bounded(SYSTEM_QUEUE_LINES);
    let lost = Arc::new(AtomicU64::new(0));
    let mut plan = plan.clone();
    if name_at(&plan.file, unix_ms(), stamp.zone()).is_none() {
        DEFAULT_PATTERN.clone_into(&mut plan.file);
    }
    let level = Arc::new(AtomicUsize::new(plan.level as usize));
    let stdout_is_seen = std::io::stdout().is_terminal();
    let limits = Arc::new(LineLimits::default());
    let log = SystemLog {
        queue: sender,
        lost: lost.clone(),
        level: level.clone(),
        limits: limits.clone(),
        stderr,
        stdout_is_seen,
    };
    let writer = SystemWriter {
        queue: receiver,
        lost,
        lost_told: None,
        level,
        limits,
        plan,
        stamp,
        stderr,
        rolling: None,
        second: i64::MIN,
        line: Vec::new(),
        buffer: Vec::new(),
        buffered: 0,
        counts: SystemCounts::default(),
        trouble: Trouble::default(),
    };
    (log, writer)
}

/// Totals of the lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SystemCounts {
    /// Lines written.
    pub(crate) written: u64,
    /// Lines lost because the queue was full, or to write errors.
    pub(crate) lost: u64,
}

/// The logger thread's end.
#[derive(Debug)]
pub(crate) struct SystemWriter {
    queue: Receiver<Line>,
    lost: Arc<AtomicU64>,
    /// Time of the last report.
    lost_told: Option<Instant>,
    level: Arc<AtomicUsize>,
    limits: Arc<LineLimits>,
    plan: LogPlan,
    stamp: Stamp,
    stderr: bool,
    /// The file of `second`.
    rolling: Option<Rolling>,
    second: i64,
    /// The line being made.
    line: Vec<u8>,
    /// Lines to write.
    buffer: Vec<u8>,
    /// How many.
    buffered: u64,
    pub(crate) counts: SystemCounts,
    trouble: Trouble,
}

impl SystemWriter {
    /// Drains the queue; true if it had lines.
    pub(crate) fn drain(&mut self) -> bool {
        let mut any = false;
        // Bounded, so that endless logging does not delay the device log.
        for _ in 0..SYSTEM_QUEUE_LINES {
            let Ok(line) = self.queue.try_recv() else { break };
            any = true;
            self.write_line(line.unix_ms, &line.text, line.shown);
        }
        self.tell_lost(false);
        self.tell_sums(false);
        any
    }

    /// The final reports of suppressed lines.
    pub(crate) fn tell_left_out(&mut self) {
        self.tell_lost(true);
        self.tell_sums(true);
    }

    /// Reports the lines lost to a full queue, once a second. `last`: immediately.
    fn tell_lost(&mut self, last: bool) {
        let recently = self.lost_told.is_some_and(|told| told.elapsed() < LOST_INTERVAL);
        if self.lost.load(Ordering::Relaxed) == 0 || (recently && !last) {
            return;
        }
        self.lost_told = Some(Instant::now());
        let lost = self.lost.swap(0, Ordering::Relaxed);
        self.counts.lost += lost;
        self.say(Level::Warn, &format!("... {} lost here", count(lost, "line")));
    }

    /// Reports the lines suppressed by the limits.
    fn tell_sums(&mut self, last: bool) {
        let limits = self.limits.clone();
        for (level, module, sum) in limits.sums(last) {
            if self.wants(level) {
                self.say_at(unix_ms(), level, module, &sum);
            }
        }
        for sum in limits.often_sums(last) {
            self.say(Level::Info, &sum);
        }
    }

    /// Whether one more of those is to be written.
    pub(crate) fn admits(&self, what: Often) -> bool {
        self.limits.admit_often(what)
    }

    /// Whether lines of that level are wanted.
    pub(crate) fn wants(&self, level: Level) -> bool {
        level as usize <= self.level.load(Ordering::Relaxed)
    }

    /// A line about an earlier moment.
    pub(crate) fn say_at(&mut self, unix_ms: i64, level: Level, target: &str, what: &str) {
        self.write(unix_ms, &text(level, target, &format_args!("{what}")));
    }

    /// A line of the logger thread's own.
    pub(crate) fn say(&mut self, level: Level, what: &str) {
        if level as usize <= self.level.load(Ordering::Relaxed) {
            self.write(unix_ms(), &text(level, module_path!(), &format_args!("{what}")));
        } else if level == Level::Error {
            // Errors of the logs themselves are reported somewhere even if the system log is off.
            unblocked::stderr_within(format!("{what}\n").as_bytes(), LINES_WAIT_MAX);
        }
    }

    fn write(&mut self, unix_ms: i64, text: &str) {
        self.write_line(unix_ms, text, false);
    }

    /// `shown`: it is on stderr already.
    fn write_line(&mut self, unix_ms: i64, text: &str, shown: bool) {
        self.roll_over(unix_ms);
        self.line.clear();
        self.stamp.write(unix_ms, &mut self.line);
        self.line.extend_from_slice(text.as_bytes());
        self.line.push(b'\n');
        if self.stderr && !shown {
            // The terminal is gone; there is nowhere to report it.
            unblocked::stderr_within(&self.line, LINES_WAIT_MAX);
        }
        let room = self.rolling.as_ref().map_or(u64::MAX, Rolling::room);
        if (self.buffer.len() + self.line.len()) as u64 > room || self.buffer.len() > BUFFER_BYTES {
            self.flush();
        }
        self.buffer.extend_from_slice(&self.line);
        self.buffered += 1;
        if !self.plan.async_write {
            self.flush();
        }
    }

    /// Opens the file for that second if its name has changed.
    fn roll_over(&mut self, unix_ms: i64) {
        let second = unix_ms.div_euclid(1000);
        if second == self.second && self.rolling.is_some() {
            return;
        }
        self.second = second;
        let path = self.plan.dir.join(self.name(unix_ms));
        if self.rolling.as_ref().is_none_or(|rolling| rolling.base() != path) {
            self.flush();
            self.rolling = Some(Rolling::new(path, self.plan.bytes_max));
        }
    }

    fn name(&self, unix_ms: i64) -> String {
        let name = name_at(&self.plan.file, unix_ms, self.stamp.zone());
        name.unwrap_or_else(|| "system.log".to_owned())
    }

    /// Writes everything gathered.
    pub(crate) fn flush(&mut self) {
        let Some(rolling) = &mut self.rolling else { return };
        match rolling.append(&self.buffer) {
            Ok(()) => self.counts.written += self.buffered,
            Err(error) => {
                self.counts.lost += self.buffered;
                self.trouble.note(&rolling.current(), &error, self.buffered);
            }
        }
        self.buffered = 0;
        self.buffer.clear();
    }

    /// Creates the file again if it was removed or renamed.
    pub(crate) fn look(&mut self) {
        if let Some(rolling) = &mut self.rolling
            && let Err(error) = rolling.look()
        {
            self.trouble.note(&rolling.current(), &error, 0);
        }
    }

    /// Reports its own write errors on stderr, since the log cannot be written.
    pub(crate) fn tell_trouble(&mut self, now: Instant, last: bool) {
        let told = if last { self.trouble.tell_last(now, "lines") } else { self.trouble.tell(now, "lines") };
        if let Some(text) = told {
            unblocked::stderr_within(format!("system log: {text}\n").as_bytes(), LINES_WAIT_MAX);
        }
    }

    /// Deletes system logs last written more than the allowed days before `now`; never the one written to.
    pub(crate) fn delete_old(&mut self, now: SystemTime) {
        self.roll_over(unix_ms());
        let Some(rolling) = &self.rolling else { return };
        let (dir, current) = (rolling.base().parent().map(PathBuf::from), rolling.current());
        let current = current.file_name().unwrap_or_default();
        let pattern = Path::new(&self.plan.file).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(dir) = dir else { return };
        delete_old(&dir, self.plan.age_days_max, now, &mut self.trouble, |name| {
            current != name && matches(&pattern, &split_part(name).0)
        });
    }
}

/// Whether a strftime pattern could have made this name. Directives other than the usual ones stand for any letters and digits.
fn matches(pattern: &str, name: &str) -> bool {
    let mut chars = pattern.chars();
    let Some(first) = chars.next() else { return name.is_empty() };
    if first != '%' {
        return name.strip_prefix(first).is_some_and(|rest| matches(chars.as_str(), rest));
    }
    let digits = match chars.next() {
        Some('Y') => 4,
        Some('m' | 'd' | 'H' | 'M' | 'S' | 'y' | 'I') => 2,
        Some('j') => 3,
        Some('F') => return matches(&format!("%Y-%m-%d{}", chars.as_str()), name),
        Some('T') => return matches(&format!("%H:%M:%S{}", chars.as_str()), name),
        Some('%') => return name.strip_prefix('%').is_some_and(|rest| matches(chars.as_str(), rest)),
        _ => {
            let word = name.find(|c: char| !c.is_alphanumeric()).unwrap_or(name.len());
            return (1..=word)
                .filter(|&end| name.is_char_boundary(end))
                .any(|end| matches(chars.as_str(), &name[end..]));
        }
    };
    name.as_bytes().get(..digits).is_some_and(|part| part.iter().all(u8::is_ascii_digit))
        && matches(chars.as_str(), &name[digits..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{log_plan, stamp};
    use fsu_plan::compile::log_file::DIRECTIVES;
    use log::RecordBuilder;

    fn read(dir: &Path) -> Vec<(String, String)> {
        let mut files: Vec<_> = std::fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read_to_string(entry.path()).unwrap()))
            .collect();
        files.sort();
        files
    }

    fn info(log: &SystemLog, text: &str) {
        log.log(&RecordBuilder::new().level(Level::Info).target("t").args(format_args!("{text}")).build());
    }

    #[test]
    fn lines_have_time_level_and_target_and_are_one_line() {
        let dir = tempfile::tempdir().unwrap();
        let (_, mut writer) = pair(&log_plan(dir.path()), stamp(), false);
        writer.write(1_768_306_323_184, &text(Level::Warn, "shard", &format_args!("a\n中\u{7}")));
        writer.flush();
        let expected =
            ("system_20260113.log".to_owned(), "[2026-01-13 20:12:03.184] [WARN] shard: a\\n中\\u{7}\n".to_owned());
        assert_eq!(read(dir.path()), [expected]);
    }

    #[test]
    fn n19_what_the_program_prints_itself_is_in_the_file_under_its_module() {
        let dir = tempfile::tempdir().unwrap();
        let (log, mut writer) = pair(&log_plan(dir.path()), stamp(), false);
        let log = SystemLog { stdout_is_seen: true, ..log };
        for (target, shown) in [(ON_STDOUT, true), (ON_STDERR, true), ("t", false)] {
            let mut record = RecordBuilder::new();
            log.log(&record.level(Level::Info).target(target).module_path(Some("m")).args(format_args!("x")).build());
            assert_eq!(log.clone().queue.len(), 1);
            let line = writer.queue.try_recv().unwrap();
            assert_eq!(line.shown, shown, "{target}");
            writer.write_line(line.unix_ms, &line.text, line.shown);
        }
        writer.flush();
        let lines: Vec<String> = read(dir.path())[0].1.lines().map(|line| line[26..].to_owned()).collect();
        assert_eq!(lines, ["[INFO] m: x", "[INFO] m: x", "[INFO] t: x"]);
    }

    #[test]
    fn the_file_changes_at_midnight() {
        let dir = tempfile::tempdir().unwrap();
        let (_, mut writer) = pair(&log_plan(dir.path()), stamp(), false);
        for (unix_ms, text) in [(1_768_319_999_999, "a"), (1_768_320_000_000, "b")] {
            writer.write(unix_ms, text);
        }
        writer.flush();
        let expected = [
            ("system_20260113.log", "[2026-01-13 23:59:59.999] a\n"),
            ("system_20260114.log", "[2026-01-14 00:00:00.000] b\n"),
        ];
        assert_eq!(read(dir.path()), expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
    }

    #[test]
    fn rotates_between_lines() {
        for async_write in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let plan = LogPlan { bytes_max: 60, async_write, file: "s.log".into(), ..log_plan(dir.path()) };
            let (_, mut writer) = pair(&plan, stamp(), false);
            for text in ["a", "b", "c"] {
                writer.write(0, text);
            }
            writer.flush();
            let line = |text: &str| format!("[1970-01-01 08:00:00.000] {text}\n");
            let expected = [("s.1.log".to_owned(), line("c")), ("s.log".to_owned(), line("a") + &line("b"))];
            assert_eq!(read(dir.path()), expected);
        }
    }

    #[test]
    fn without_async_write_every_line_is_there_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let (_, mut writer) = pair(&LogPlan { async_write: false, ..log_plan(dir.path()) }, stamp(), false);
        writer.write(0, "a");
        assert_eq!(read(dir.path())[0].1, "[1970-01-01 08:00:00.000] a\n");
    }

    #[test]
    fn limit_system_queue_lines_a_full_queue_refuses_and_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let (log, mut writer) = pair(&log_plan(dir.path()), stamp(), false);
        for n in 0..SYSTEM_QUEUE_LINES + 5 {
            info(&log, &n.to_string());
        }
        assert!(writer.drain());
        assert!(!writer.drain());
        writer.flush();
        let text = &read(dir.path())[0].1;
        assert_eq!(text.lines().count(), SYSTEM_QUEUE_LINES + 1);
        assert!(text.ends_with(": ... 5 lines lost here\n"), "{text}");
        assert_eq!(writer.counts, SystemCounts { written: SYSTEM_QUEUE_LINES as u64 + 1, lost: 5 });
    }

    #[test]
    fn the_level_decides_and_off_makes_no_file() {
        for (level, expected) in [(LevelFilter::Off, 0), (LevelFilter::Warn, 0), (LevelFilter::Info, 1)] {
            let dir = tempfile::tempdir().unwrap();
            let (log, mut writer) = pair(&LogPlan { level, ..log_plan(dir.path()) }, stamp(), false);
            info(&log, "x");
            writer.drain();
            writer.flush();
            assert_eq!(read(dir.path()).len(), expected, "{level}");
        }
    }

    #[test]
    fn a_full_disk_loses_lines_and_recovers() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.log");
        std::os::unix::fs::symlink("/dev/full", &path).unwrap();
        let plan = LogPlan { file: "s.log".into(), ..log_plan(dir.path()) };
        let (_, mut writer) = pair(&plan, stamp(), false);
        writer.write(0, "a");
        writer.flush();
        assert_eq!(writer.counts, SystemCounts { written: 0, lost: 1 });
        std::fs::remove_file(&path).unwrap();
        writer.write(0, "b");
        writer.flush();
        assert_eq!(writer.counts, SystemCounts { written: 1, lost: 1 });
    }

    #[test]
    fn a_pattern_that_is_none_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        for file in ["%", "", "..", "%Q%Q%"] {
            let (_, writer) = pair(&LogPlan { file: file.into(), ..log_plan(dir.path()) }, stamp(), false);
            assert_eq!(writer.name(0), "system_19700101.log", "{file}");
        }
    }

    #[test]
    fn h14_every_directive_makes_what_the_plan_reckons_with() {
        for day in 0..400 {
            for &(directive, bytes_max) in DIRECTIVES {
                let pattern = format!("%{directive}");
                let name = name_at(&pattern, 1_768_262_400_000 + day * 86_399_000, &TimeZone::UTC).expect(&pattern);
                assert!(name.len() <= bytes_max && !name.contains('/'), "{pattern}: {name}");
                assert!(matches(&pattern, &name), "{pattern}: {name}");
            }
        }
    }

    #[test]
    fn names_of_system_logs() {
        for (pattern, name, expected) in [
            ("system_%Y%m%d.log", "system_20260113.log", true),
            ("system_%Y%m%d.log", "system_2026011.log", false),
            ("system_%Y%m%d.log", "system_202601133.log", false),
            ("system_%Y%m%d.log", "other_20260113.log", false),
            ("%F_%b.log", "2026-01-13_Jan.log", true),
            ("%F_%b.log", "2026-01-13_.log", false),
            ("s.log", "s.log", true),
            ("%B%d", "十一月03", true),
            ("%%%j", "%012", true),
            ("", "x", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn old_system_logs_go_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let plan = LogPlan { age_days_max: 7, ..log_plan(dir.path()) };
        let (_, mut writer) = pair(&plan, stamp(), false);
        writer.say(Level::Info, "x");
        writer.flush();
        let current = read(dir.path())[0].0.clone();
        for name in ["system_20200101.log", "system_20200101.3.log", "notes_20200101.log", current.as_str()] {
            let file = std::fs::File::options().create(true).append(true).open(dir.path().join(name)).unwrap();
            file.set_modified(now - Duration::from_secs(8 * 86_400)).unwrap();
        }
        writer.delete_old(now);
        let left: Vec<_> = read(dir.path()).into_iter().map(|(name, _)| name).collect();
        assert_eq!(left, ["notes_20200101.log", current.as_str()]);
    }
}
