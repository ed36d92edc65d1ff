//! The journal of a run: every change that was made, in JSON lines; and the same, to be made again (docs/use/journal.md).

use super::call::{self, Call};
use crate::shard::steer::record::{By, Due, Entry, Noted, OfRun, Plays};
use flume::{Receiver, Sender};
use fsu_plan::model::fleet::Fleet;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Changes that wait to be written; what more is made meanwhile is missing in the journal, and its end says so.
const JOURNAL_QUEUE_MAX: usize = 65_536;
/// Longest wait for the last lines of a run.
const FINISH_WAIT: Duration = Duration::from_secs(5);
/// How often to look whether they are written.
const LOOK: Duration = Duration::from_millis(1);
/// The longest journal that is played, in bytes.
const JOURNAL_BYTES_MAX: u64 = 1 << 30;

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The format: 1.
    pub journal: u32,
    /// The seed of the run.
    pub seed: u64,
    /// Stands for the configuration's files.
    pub config_hash: String,
}

/// Each further line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    t_ms: u64,
    call: LineCall,
    #[serde(default = "api")]
    by: String,
    /// For people: how long faults were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asked_ttl_ms: Option<u64>,
    at: BTreeMap<String, u64>,
}

fn api() -> String {
    By::Api.name().to_owned()
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LineCall {
    method: String,
    path: String,
    #[serde(default)]
    body: Value,
}

const FSUS: &str = "/v1/fsus/";
/// The call that reads the configuration again.
pub(crate) const RELOAD: &str = "/v1/reload";
/// The call that sets the level of the system log.
pub(crate) const LOG_LEVEL: &str = "/v1/log-level";

/// Writes a journal on a thread of its own, until all shards have ended.
#[derive(Debug)]
pub struct Writer {
    thread: JoinHandle<io::Result<()>>,
    path: PathBuf,
}

/// Where the changes of shards wait to be written.
fn queue() -> (Sender<Noted>, Receiver<Noted>) {
    flume::bounded(JOURNAL_QUEUE_MAX)
}

impl Writer {
    /// Begins a journal in a file that the caller has emptied. Shards send their changes to the channel.
    ///
    /// # Errors
    /// The file cannot be opened or written, or there is no thread.
    pub fn start(path: &Path, head: &Head) -> io::Result<(Self, Sender<Noted>)> {
        let mut file = BufWriter::new(File::options().append(true).open(path)?);
        write_line(&mut file, head)?;
        file.flush()?;
        let (sender, receiver) = queue();
        let work = move || {
            while let Ok(noted) = receiver.recv() {
                match &noted {
                    Noted::Fsus(entry) => write_line(&mut file, &line(entry))?,
                    Noted::Run(of_run) => write_line(&mut file, &line_of_run(of_run))?,
                }
                if receiver.is_empty() {
                    file.flush()?;
                }
            }
            file.flush()
        };
        let thread = std::thread::Builder::new().name("journal".into()).spawn(work)?;
        Ok((Self { thread, path: path.to_owned() }, sender))
    }

    /// Waits until all is written; the shards have ended.
    pub fn finish(self) {
        let deadline = Instant::now() + FINISH_WAIT;
        while !self.thread.is_finished() && Instant::now() < deadline {
            std::thread::sleep(LOOK);
        }
        if !self.thread.is_finished() {
            log::error!(target: crate::syslog::ON_STDERR, "--journal {}: a shard has not ended", self.path.display());
            return;
        }
        let error = match self.thread.join() {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "its thread has ended".to_owned(),
        };
        log::error!(target: crate::syslog::ON_STDERR, "--journal {}: incomplete: {error}", self.path.display());
    }
}

fn write_line(out: &mut impl Write, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

fn line(entry: &Entry) -> Line {
    let Call { method, path, body } = call::call(&entry.change);
    let name = |fsu: u32| entry.fleet.fsus.get(fsu as usize).map(|fsu| fsu.name.to_string());
    let at: BTreeMap<String, u64> = entry.at.iter().filter_map(|&(fsu, at)| Some((name(fsu)?, at))).collect();
    let glob = if at.len() == 1 { at.keys().next().map_or("*", |name| name) } else { "*" };
    let path = format!("{FSUS}{glob}/{path}");
    let asked_ttl_ms = match &*entry.change {
        crate::shard::steer::change::Change::Faults { ttl_ms, .. } => *ttl_ms,
        _ => None,
    };
    Line { t_ms: entry.t_ms, call: LineCall { method, path, body }, by: entry.by.name().to_owned(), asked_ttl_ms, at }
}

fn line_of_run(of_run: &OfRun) -> Line {
    let call = LineCall { method: "POST".to_owned(), path: of_run.path.to_owned(), body: of_run.body.clone() };
    Line { t_ms: of_run.t_ms, call, by: of_run.by.name().to_owned(), asked_ttl_ms: None, at: BTreeMap::new() }
}

/// A journal to be played.
#[derive(Clone, Debug)]
pub struct Journal {
    /// Its file.
    pub path: PathBuf,
    /// Its first line.
    pub head: Head,
    lines: Vec<Again>,
    /// Reloads and log levels, which are not made again.
    pub of_run: usize,
}

/// A line that is made again.
#[derive(Clone, Debug)]
struct Again {
    number: usize,
    t_ms: u64,
    change: Arc<crate::shard::steer::change::Change>,
    at: BTreeMap<String, u64>,
}

/// Why a journal cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It cannot be read.
    #[error("--play {path}: cannot be read: {error}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It is too long.
    #[error("--play {0}: longer than {JOURNAL_BYTES_MAX} bytes")]
    TooLong(PathBuf),
    /// A line is wrong.
    #[error("--play {path}:{line}: {why}")]
    Wrong {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
}

impl Journal {
    /// Reads a journal.
    ///
    /// # Errors
    /// The line that is wrong.
    pub fn read(path: &Path) -> Result<Self, JournalError> {
        let unreadable = |error| JournalError::Unreadable { path: path.to_owned(), error };
        if std::fs::metadata(path).map_err(unreadable)?.len() > JOURNAL_BYTES_MAX {
            return Err(JournalError::TooLong(path.to_owned()));
        }
        Self::parse(path, &std::fs::read_to_string(path).map_err(unreadable)?)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, JournalError> {
        let wrong = |line: usize, why: String| JournalError::Wrong { path: path.to_owned(), line, why };
        let mut lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
        let (number, first) = lines.next().unwrap_or((1, ""));
        let head: Head = serde_json::from_str(first)
            .map_err(|error| wrong(number, format!("not the first line of a journal: {error}")))?;
        if head.journal != 1 {
            return Err(wrong(number, format!("journal format {}: this program plays 1", head.journal)));
        }
        let again = |(number, line): (usize, &str)| {
            let Line { t_ms, call, at, .. } = serde_json::from_str(line).map_err(|e| wrong(number, e.to_string()))?;
            let behind = call.path.strip_prefix(FSUS).and_then(|rest| rest.split_once('/'));
            let (_, path) = behind.ok_or_else(|| {
                wrong(number, format!("`{} {}` is no change of FSUs and cannot be played", call.method, call.path))
            })?;
            let call = Call { method: call.method, path: path.to_owned(), body: call.body };
            let change = Arc::new(call::change(&call).map_err(|why| wrong(number, why))?);
            Ok(Again { number, t_ms, change, at })
        };
        let (mut all, mut of_run) = (Vec::new(), 0);
        for (number, line) in lines {
            if is_of_run(line) {
                of_run += 1;
            } else {
                all.push(again((number, line))?);
            }
        }
        Ok(Self { path: path.to_owned(), head, lines: all, of_run })
    }

    /// How many changes of FSUs it has.
    pub fn changes(&self) -> usize {
        self.lines.iter().map(|line| line.at.len()).sum()
    }

    /// The changes of each FSU of a fleet.
    ///
    /// # Errors
    /// An FSU that the fleet does not have.
    pub fn plays(&self, fleet: &Fleet) -> Result<Plays, JournalError> {
        let numbers: HashMap<&str, u32> =
            fleet.fsus.iter().zip(0..).map(|(fsu, number)| (&*fsu.name, number)).collect();
        let mut plays = Plays::new();
        for line in &self.lines {
            for (name, &at) in &line.at {
                let fsu = numbers.get(name.as_str()).ok_or_else(|| JournalError::Wrong {
                    path: self.path.clone(),
                    line: line.number,
                    why: format!("the configuration has no FSU `{name}`"),
                })?;
                let due = Due { at, t_ms: line.t_ms, change: Arc::clone(&line.change) };
                plays.entry(*fsu).or_default().push_back(due);
            }
        }
        Ok(plays)
    }
}

/// Whether a line is a change of the whole run, and right.
fn is_of_run(line: &str) -> bool {
    let Ok(Line { call, at, .. }) = serde_json::from_str(line) else { return false };
    let keys = || call.body.as_object().is_some_and(|body| body.keys().eq(["level"]));
    let is_empty = || call.body.is_null() || call.body.as_object().is_some_and(serde_json::Map::is_empty);
    let is_known = (call.path == RELOAD && is_empty()) || (call.path == LOG_LEVEL && keys());
    call.method == "POST" && is_known && at.is_empty()
}

/// Stands for the contents of a configuration's files, in their order: FNV-1a, 64 bits, as hex digits.
pub fn config_hash<'a>(files: impl Iterator<Item = &'a Path>) -> String {
    let mut hash = 0xCBF2_9CE4_8422_2325_u64;
    for bytes in files.filter_map(|file| std::fs::read(file).ok()) {
        for byte in bytes {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        }
    }
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::steer::change::Change;
    use fsu_plan::model::fixtures::{fleet, fsu};

    const HEAD: &str = r#"{"journal":1,"seed":7,"config_hash":"00"}"#;

    fn check(text: &str, expected: &str) {
        let path = Path::new("j");
        let of_a = fleet(vec![fsu(vec![]).with(|fsu| fsu.name = "a".into())]);
        let read = Journal::parse(path, text).and_then(|journal| journal.plays(&of_a));
        assert_eq!(read.expect_err("wrong").to_string(), expected);
    }

    #[test]
    fn what_is_wrong_names_its_line() {
        let with = |line: &str| format!("{HEAD}\n\n{line}\n");
        check("", "--play j:1: not the first line of a journal: EOF while parsing a value at line 1 column 0");
        check(&HEAD.replace(":1,", ":2,"), "--play j:1: journal format 2: this program plays 1");
        let call = r#"{"t_ms":5,"call":{"method":"POST","path":"/v1/reboot"},"at":{}}"#;
        check(&with(call), "--play j:3: `POST /v1/reboot` is no change of FSUs and cannot be played");
        let call = r#"{"t_ms":5,"call":{"method":"POST","path":"/v1/reload","body":{"x":1}},"at":{}}"#;
        check(&with(call), "--play j:3: `POST /v1/reload` is no change of FSUs and cannot be played");
        let call = r#"{"t_ms":5,"call":{"method":"DELETE","path":"/v1/fsus/b/faults"},"at":{"b":1}}"#;
        check(&with(call), "--play j:3: the configuration has no FSU `b`");
        let call = r#"{"t_ms":5,"call":{"method":"DELETE","path":"/v1/fsus/a/faults"},"at":{"a":1},"x":1}"#;
        assert!(
            Journal::parse(Path::new("j"), &with(call))
                .is_err_and(|error| error.to_string().contains("unknown field `x`"))
        );
    }

    #[test]
    fn limit_journal_bytes_max_a_longer_one_is_not_played() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("journal");
        // It takes no room on the disk.
        File::create(&path).and_then(|file| file.set_len(JOURNAL_BYTES_MAX + 1)).expect("made");
        let error = Journal::read(&path).expect_err("too long");
        assert!(matches!(error, JournalError::TooLong(_)), "{error}");
    }

    /// What was written is read again.
    #[test]
    fn limit_journal_queue_max_and_what_is_written_is_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("journal");
        std::fs::write(&path, "").expect("written");
        let fleet = Arc::new(fleet(vec![fsu(vec![]).with(|fsu| fsu.name = "a".into())]));
        let head = Head { journal: 1, seed: 7, config_hash: "00".into() };
        let (writer, sender) = Writer::start(&path, &head).expect("begun");
        let entry = |t_ms, at| {
            Noted::Fsus(Entry {
                t_ms,
                change: Arc::new(Change::ClearFaults),
                by: By::Ttl,
                at: vec![(0, at)],
                fleet: fleet.clone(),
            })
        };
        for (path, body) in [(RELOAD, serde_json::json!({})), (LOG_LEVEL, serde_json::json!({"level": "debug"}))] {
            sender.send(Noted::Run(OfRun { t_ms: 4, path, body, by: By::Signal })).expect("taken");
        }
        for (t_ms, at) in [(5, 2), (6, 9)] {
            sender.send(entry(t_ms, at)).expect("taken");
        }
        drop(sender);
        writer.finish();
        let journal = Journal::read(&path).expect("good");
        assert_eq!((journal.head.clone(), journal.changes(), journal.of_run), (head, 2, 2));
        let plays = journal.plays(&fleet).expect("known");
        assert_eq!(plays[&0].iter().map(|due| (due.t_ms, due.at)).collect::<Vec<_>>(), [(5, 2), (6, 9)]);
        let (sender, _receiver) = queue();
        assert_eq!((0..70_000).filter(|_| sender.try_send(entry(0, 1)).is_ok()).count(), 65_536);
    }
}
