//! The logger thread: drains every shard's queue, formats, writes.

use super::codec;
use super::device::{DeviceLog, OPEN_FILES_MIN};
use super::epochs::{EPOCHS_MAX, Epochs};
use super::format::{Formatter, lost_line};
use super::ledger::Ledger;
use super::queue::{self, Taken};
use super::record::{EpochMark, Record, RecordKind};
use super::schedule::Schedule;
use super::tap::{LEDGER_QUEUE_BYTES, LOG_QUEUE_BYTES, Tap, TapReader, Wanted};
use crate::devlog::tap;
use crate::files::stamp::Stamp;
use crate::syslog;
use crate::syslog::limit::Often;
use crate::syslog::{SystemLog, SystemWriter};
use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};
use fsu_net::sys;
use fsu_plan::counters::{JSON_ONLY, sentence};
use fsu_plan::memory;
use fsu_plan::model::fleet::Fleet;
use jiff::tz::TimeZone;
use log::{Level, SetLoggerError};
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

/// How long the thread sleeps when there is nothing to do. A queue that is half full wakes it.
const IDLE_SLEEP: Duration = Duration::from_millis(10);

/// A busy thread writes gathered text at least this often; an idle one writes it after the first empty poll.
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);

/// How often the thread checks whether files were removed or renamed, so that they are recreated within a second. Each write
/// checks, too.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// How often old files are searched for; also at the start.
const DELETE_INTERVAL: Duration = Duration::from_secs(86_400);

/// Bytes taken from one queue before the next one's turn.
const TURN_BYTES: usize = 256 << 10;

/// Records written between two yields of the processor, about 0.1 ms. The scheduler's own slices are some milliseconds; a shard or
/// a generator on the same processor would have to wait for them.
const RECORDS_A_TURN: u64 = 32;

/// How long a stop waits for taps that are not closed; the content of their queues is written.
const STOP_WAIT_MAX: Duration = Duration::from_millis(if cfg!(test) { 50 } else { 2_000 });

/// How long a reload waits for the thread if [`EPOCHS_MAX`] fleets are still unread; the shards go on serving.
const CATCH_UP_MAX: Duration = Duration::from_millis(if cfg!(test) { 50 } else { 5_000 });

/// Commands waiting for the thread: one per shard, and the stop.
const COMMANDS_MAX: usize = 1_024;

/// Settings that are not part of the fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggerConfig {
    /// Write the device log.
    pub device_log: bool,
    /// Bytes of each shard's queue.
    pub queue_bytes: usize,
    /// Write the system log to stderr too.
    pub stderr: bool,
    /// Files of the device log that may be open at a time.
    pub open_files_max: usize,
    /// Append a line for every fault made on purpose to this file.
    pub ledger: Option<PathBuf>,
    /// Append a line for everything that becomes of a message to this file.
    pub message_ledger: Option<PathBuf>,
}

impl LoggerConfig {
    /// The defaults: no device log if performance mode drops it; stderr if it is a terminal.
    pub fn of(fleet: &Fleet) -> Self {
        let device_log = !fleet.performance.skip_device_log;
        Self {
            device_log,
            queue_bytes: if device_log { LOG_QUEUE_BYTES } else { LEDGER_QUEUE_BYTES },
            stderr: io::stderr().is_terminal(),
            open_files_max: OPEN_FILES_MIN,
            ledger: None,
            message_ledger: None,
        }
    }
}

fsu_plan::counters! {
    /// Totals of both logs. Invariant: records accepted by [`Tap::record`] = `device_records_written` + `device_records_unwritten`.
    #[derive(Copy, PartialEq, Eq)]
    pub struct LogTotals {
        /// Device-log records written to files.
        device_records_written: u64 = JSON_ONLY,
        /// Device-log records lost to a full queue.
        device_records_lost: u64 = sentence(
            "device-log record was lost: the queue was full",
            "device-log records were lost: the queue was full"
        ),
        /// Device-log records lost to write errors.
        device_records_unwritten: u64 = sentence(
            "device-log record was lost: it could not be written",
            "device-log records were lost: they could not be written"
        ),
        /// Write errors of the device log.
        device_write_errors: u64 = JSON_ONLY,
        /// Lines of the fault ledger written.
        ledger_lines_written: u64 = JSON_ONLY,
        /// Faults missing from the ledger because of a full queue.
        ledger_lines_lost: u64 = sentence(
            "fault is not in the ledger: the queue was full",
            "faults are not in the ledger: the queue was full"
        ),
        /// Ledger lines lost to write errors.
        ledger_lines_unwritten: u64 = sentence(
            "fault is not in the ledger: it could not be written",
            "faults are not in the ledger: they could not be written"
        ),
        /// Lines of the message ledger written.
        message_lines_written: u64 = JSON_ONLY,
        /// Lines missing from the message ledger because of a full queue.
        message_lines_lost: u64 = sentence(
            "line is not in the message ledger: the queue was full",
            "lines are not in the message ledger: the queue was full"
        ),
        /// Lines of the message ledger lost to write errors.
        message_lines_unwritten: u64 = sentence(
            "line is not in the message ledger: it could not be written",
            "lines are not in the message ledger: they could not be written"
        ),
        /// System log lines written.
        system_lines_written: u64 = JSON_ONLY,
        /// System-log lines lost to a full queue or to write errors.
        system_lines_lost: u64 = sentence("system log line was lost", "system log lines were lost"),
    }
}

/// Why the logger does not accept another fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReloadError {
    /// It still holds records of [`EPOCHS_MAX`] fleets.
    #[error("the device log is {EPOCHS_MAX} reloads behind: its disk is slow or full")]
    Behind,
    /// Its thread has ended.
    #[error("the logger has ended")]
    Ended,
}

enum LoggerCommand {
    Queue(TapReader),
    Fleet(Arc<Fleet>),
    /// The run starts at this time.
    Start(Instant),
    /// The totals at this moment.
    Totals(Sender<LogTotals>),
    Stop,
}

/// The queue of commands.
fn commands() -> (Sender<LoggerCommand>, Receiver<LoggerCommand>) {
    bounded(COMMANDS_MAX)
}

/// The logger thread. [`LoggerHandle::stop`] ends it; so does dropping the handle, which does not wait.
#[derive(Debug)]
pub struct LoggerHandle {
    config: LoggerConfig,
    fleet: Arc<Fleet>,
    epoch: u32,
    /// The oldest epoch that the thread still keeps.
    oldest: Arc<AtomicU32>,
    system: SystemLog,
    commands: Sender<LoggerCommand>,
    thread: JoinHandle<LogTotals>,
}

/// Starts logger threads.
#[derive(Debug)]
pub struct Logger;

impl Logger {
    /// Starts the thread. `start_unix_ms` names the device logs' files. Fails only if the thread cannot be
    /// created: files and directories are created when they are needed, and their errors are counted and reported.
    pub fn start(config: LoggerConfig, fleet: Arc<Fleet>, start_unix_ms: i64) -> io::Result<LoggerHandle> {
        Self::start_in(TimeZone::system(), config, fleet, start_unix_ms)
    }

    /// The same in another time zone.
    pub(super) fn start_in(
        zone: TimeZone,
        config: LoggerConfig,
        fleet: Arc<Fleet>,
        start_unix_ms: i64,
    ) -> io::Result<LoggerHandle> {
        let plan = &fleet.log;
        let stamp = Stamp::new(zone.clone());
        let started = stamp.file_name_part(start_unix_ms);
        let (system, system_writer) = syslog::pair(plan, Stamp::new(zone), config.stderr);
        let (commands, receiver) = commands();
        let oldest = Arc::new(AtomicU32::new(0));
        let mut worker = Worker {
            device: DeviceLog::new(&plan.dir, started, plan.bytes_max, plan.age_days_max, config.open_files_max),
            ledger: config.ledger.clone().map(Ledger::new),
            messages: config.message_ledger.clone().map(Ledger::new),
            formatter: Formatter::new(plan.language, stamp),
            has_device_log: config.device_log,
            schedule: Schedule::new(&fleet),
            epochs: Epochs::new(fleet.clone(), config.device_log),
            oldest: oldest.clone(),
            system: system_writer,
            commands: receiver,
            queues: Vec::new(),
            records_lost: 0,
            is_told_to_stop: false,
            is_low: false,
        };
        let thread = std::thread::Builder::new().name("log".to_owned()).spawn(move || worker.run())?;
        Ok(LoggerHandle { config, fleet, epoch: 0, oldest, system, commands, thread })
    }
}

impl LoggerHandle {
    /// The tap of one shard (`shard` is only a name), for records of FSUs 0 to `fsu_count` - 1.
    /// All records of an FSU must go through the same tap, to stay in order.
    pub fn tap(&self, shard: usize, fsu_count: usize) -> Tap {
        let codec = self.system.wants(Level::Debug);
        let (ledger, messages) = (self.config.ledger.is_some(), self.config.message_ledger.is_some());
        let wanted = Wanted { device_log: self.config.device_log, ledger, messages, codec };
        if !wanted.is_any() {
            return Tap::off();
        }
        let thread = self.thread.thread().clone();
        let fsu_count = fsu_count.min(self.fleet.fsus.len());
        let (tap, source) = tap::pair(wanted, self.config.queue_bytes, fsu_count, self.fleet.log.on_full, thread);
        if self.commands.send(LoggerCommand::Queue(source)).is_err() {
            self.system.warn(&format!("shard {shard}: no device log, the logger has ended"));
            return Tap::off();
        }
        tap.with_level(self.system.level())
    }

    /// The run starts at this time: scheduled faults count from here, and system-log lines are limited.
    pub fn run_starts(&self, at: Instant) {
        self.system.limit();
        // It fails only if the thread has ended, which its end reports.
        let _ = self.commands.send(LoggerCommand::Start(at));
    }

    /// Sets what the system log takes, until a reload sets what its plan says.
    pub(crate) fn set_level(&self, level: log::LevelFilter) {
        self.system.set_level(level);
        log::set_max_level(level);
    }

    /// Announces the next fleet, before any tap does. Returns its epoch, for [`Tap::reload`]. Its log level applies from now on; its
    /// other log settings do not.
    ///
    /// # Errors
    /// The thread is so far behind that it still holds records of [`EPOCHS_MAX`] fleets, or it has ended.
    pub fn reload(&mut self, fleet: Arc<Fleet>) -> Result<u32, ReloadError> {
        let deadline = Instant::now() + CATCH_UP_MAX;
        let is_behind = || self.epoch.wrapping_sub(self.oldest.load(Ordering::Acquire)) >= EPOCHS_MAX;
        while is_behind() && Instant::now() < deadline {
            self.thread.thread().unpark();
            std::thread::sleep(IDLE_SLEEP);
        }
        if is_behind() {
            return Err(ReloadError::Behind);
        }
        let level = fleet.log.level;
        self.commands.send(LoggerCommand::Fleet(fleet)).map_err(|_| ReloadError::Ended)?;
        self.epoch += 1;
        self.system.set_level(level);
        log::set_max_level(level);
        Ok(self.epoch)
    }

    /// Requests the totals so far. There is no answer if the thread has ended.
    pub fn totals(&self) -> Receiver<LogTotals> {
        let (answer, receiver) = bounded(1);
        // It fails only when the thread has ended.
        let _ = self.commands.send(LoggerCommand::Totals(answer));
        self.thread.thread().unpark();
        receiver
    }

    /// The system log, for the `log` crate.
    pub fn system_log(&self) -> SystemLog {
        self.system.clone()
    }

    /// Installs the system log for the process. Fails if there is one already.
    pub fn install(&self) -> Result<(), SetLoggerError> {
        log::set_boxed_logger(Box::new(self.system.clone()))?;
        log::set_max_level(self.fleet.log.level);
        Ok(())
    }

    /// Writes everything that was accepted, and ends the thread. Close the taps first; the thread waits a moment for open ones.
    pub fn stop(self) -> LogTotals {
        // It fails only if the thread has ended, which the join reports.
        let _ = self.commands.send(LoggerCommand::Stop);
        self.thread.thread().unpark();
        self.thread.join().unwrap_or_default()
    }
}

struct Worker {
    epochs: Epochs,
    oldest: Arc<AtomicU32>,
    commands: Receiver<LoggerCommand>,
    queues: Vec<ShardQueue>,
    formatter: Formatter,
    device: DeviceLog,
    /// Records are for the device log, not only for lines of the system log.
    has_device_log: bool,
    schedule: Schedule,
    ledger: Option<Ledger>,
    /// The message ledger.
    messages: Option<Ledger>,
    system: SystemWriter,
    records_lost: u64,
    is_told_to_stop: bool,
    /// Memory was low at the last check.
    is_low: bool,
}

/// One shard's queue.
struct ShardQueue {
    source: TapReader,
    /// Bytes taken from it that do not form a complete record yet.
    taken: Vec<u8>,
    /// The fleet to which the number of its next record belongs.
    epoch: u32,
}

impl Worker {
    fn run(&mut self) -> LogTotals {
        let mut stopping: Option<Instant> = None;
        let mut flushed = Instant::now();
        let mut looked = flushed;
        let mut idle = false;
        let mut deleted: Option<Instant> = None;
        loop {
            if (self.obey() || self.is_told_to_stop) && stopping.is_none() {
                stopping = Some(Instant::now());
            }
            let busy = self.system.drain() | self.drain_queues();
            let now = Instant::now();
            while let Some((level, line)) = self.schedule.due(now) {
                if self.system.wants(level) && self.system.admits(Often::Schedule) {
                    self.system.say(level, &line);
                }
            }
            // Under load records arrive between any two sleeps. They are then gathered for longer, and files are opened less often.
            let due = now - flushed >= FLUSH_INTERVAL;
            if due || (idle && !busy) {
                self.device.flush();
                self.ledgers().for_each(Ledger::flush);
                flushed = now;
            }
            idle = !busy;
            if due || idle {
                self.system.flush();
            }
            if now - looked >= LOOK_INTERVAL {
                self.mind_memory();
                self.look();
                looked = now;
            }
            self.tell_trouble(now, false);
            if deleted.is_none_or(|deleted| now - deleted >= DELETE_INTERVAL) {
                self.device.delete_old(SystemTime::now());
                self.system.delete_old(SystemTime::now());
                deleted = Some(now);
            }
            if let Some(since) = stopping {
                if now - since >= STOP_WAIT_MAX {
                    self.give_up_open_queues();
                }
                if self.queues.is_empty() {
                    return self.finish();
                }
            }
            if idle {
                queue::rest(self.queues.iter().map(|queue| &queue.source), IDLE_SLEEP);
            }
        }
    }

    /// Takes the commands while a queue is being read: a stop is not lost by that.
    fn obey_while_working(&mut self) {
        self.is_told_to_stop |= self.obey();
    }

    /// Takes the commands; true when it is to stop.
    fn obey(&mut self) -> bool {
        loop {
            match self.commands.try_recv() {
                Ok(LoggerCommand::Queue(source)) => {
                    self.queues.push(ShardQueue { source, taken: Vec::new(), epoch: self.epochs.newest() });
                }
                Ok(LoggerCommand::Fleet(fleet)) => {
                    self.schedule.reload(&fleet, Instant::now());
                    self.epochs.add(fleet);
                }
                Ok(LoggerCommand::Start(at)) => self.schedule.start(at),
                // The receiver may be gone.
                Ok(LoggerCommand::Totals(answer)) => drop(answer.send(self.totals())),
                // A dropped handle cannot request a stop.
                Ok(LoggerCommand::Stop) | Err(TryRecvError::Disconnected) => return true,
                Err(TryRecvError::Empty) => return false,
            }
        }
    }

    /// One turn for every queue; true when there was anything.
    fn drain_queues(&mut self) -> bool {
        let mut busy = false;
        let mut queues = std::mem::take(&mut self.queues);
        queues.retain_mut(|queue| {
            let Taken { any, ended } = queue.take();
            busy |= any;
            let readable = self.write_records(queue);
            if ended || !readable {
                self.end_queue(queue, readable);
            }
            !ended && readable
        });
        // A queue may have come meanwhile, with a command.
        queues.append(&mut self.queues);
        self.queues = queues;
        self.let_go();
        busy
    }

    /// Drops fleets of which no queue holds records.
    fn let_go(&mut self) {
        let newest = self.epochs.newest();
        if self.epochs.oldest() < newest {
            let reached = self.queues.iter().map(|queue| queue.epoch).min().unwrap_or(newest);
            for file in self.epochs.let_go(reached) {
                self.device.forget(file);
            }
            self.oldest.store(self.epochs.oldest(), Ordering::Release);
        }
    }

    /// Writes the content of the queues that are still open, and stops waiting for them.
    fn give_up_open_queues(&mut self) {
        let mut queues = std::mem::take(&mut self.queues);
        let before = queues.len();
        queues.retain_mut(|queue| {
            if queue.source.is_closed() {
                return true;
            }
            // Later additions are ignored.
            for _ in 0..=queue.source.waiting() / TURN_BYTES {
                queue.take();
                self.write_records(queue);
            }
            false
        });
        let open = before - queues.len();
        self.queues = queues;
        if open > 0 {
            self.system.say(Level::Warn, &format!("device log: shards that have not closed their queue: {open}"));
        }
    }

    /// Formats the complete records and keeps the rest; false if they cannot be decoded.
    fn write_records(&mut self, queue: &mut ShardQueue) -> bool {
        let taken = std::mem::take(&mut queue.taken);
        let (mut rest, mut written) = (&taken[..], 0);
        let readable = loop {
            match Record::take(&mut rest) {
                Ok(Some(record)) => {
                    if let Some(turn) = EpochMark::of(&record) {
                        self.turn(queue, &turn);
                        continue;
                    }
                    self.write_record(queue.epoch, record);
                    written += 1;
                    if written % RECORDS_A_TURN == 0 {
                        std::thread::yield_now();
                    }
                }
                Ok(None) => break true,
                Err(_) => break false,
            }
        };
        let read = taken.len() - rest.len();
        queue.taken = taken;
        queue.taken.drain(..read);
        readable
    }

    fn write_record(&mut self, epoch: u32, record: Record<'_>) {
        let ledger = match record.kind {
            RecordKind::Fault => Some(&mut self.ledger),
            RecordKind::Happened => Some(&mut self.messages),
            _ => None,
        };
        if let Some(ledger) = ledger {
            if let (Some((_, fsu)), Some(ledger)) = (self.epochs.fsu(epoch, record.fsu), ledger) {
                ledger.append(fsu, &record);
            }
            return;
        }
        self.records_lost += u64::from(record.lost_before);
        let Some((file, fsu)) = self.epochs.fsu(epoch, record.fsu) else { return };
        if self.system.wants(Level::Debug) {
            let system = &mut self.system;
            if record.lost_before > 0 && system.admits(Often::Frame) {
                let lost = format!("{}: {} frames of which nothing is told", fsu.name, record.lost_before);
                system.say_at(record.unix_ms, Level::Debug, codec::TARGET, &lost);
            }
            codec::lines(fsu, &record, |line| {
                if system.admits(Often::Frame) {
                    system.say_at(record.unix_ms, Level::Debug, codec::TARGET, line);
                }
            });
        }
        if !self.has_device_log {
            return;
        }
        let formatter = &mut self.formatter;
        self.device.append(file, fsu, 1, |out| formatter.record(fsu, &record, out));
    }

    /// A queue switches to another fleet.
    fn turn(&mut self, queue: &mut ShardQueue, turn: &EpochMark) {
        if self.epochs.newest() < turn.epoch {
            // It was sent before the shard knew: it is still among the commands.
            self.obey_while_working();
        }
        self.tell_lost(queue.epoch, &turn.lost);
        if turn.lost_more > 0 {
            self.records_lost += u64::from(turn.lost_more);
            let what = format!("device log: records lost of FSUs that are gone: {}", turn.lost_more);
            self.system.say(Level::Warn, &what);
        }
        queue.epoch = turn.epoch;
    }

    /// Writes the lines about losses, by FSU number.
    fn tell_lost(&mut self, epoch: u32, lost: &[(u32, u32)]) {
        for &(number, lost) in lost {
            self.records_lost += u64::from(lost);
            if let Some((file, fsu)) = self.epochs.fsu(epoch, number).filter(|_| self.has_device_log) {
                self.device.append(file, fsu, 0, |out| lost_line(u64::from(lost), out));
            }
        }
    }

    /// Reports what a closed tap could no longer report.
    fn end_queue(&mut self, queue: &mut ShardQueue, readable: bool) {
        if !readable || !queue.taken.is_empty() {
            self.system.say(Level::Error, "device log: a shard's queue ended within a record");
        }
        let Some(left) = queue.source.left() else { return };
        if let Some(ledger) = &mut self.ledger {
            ledger.lost(u64::from(left.faults));
        }
        if let Some(messages) = &mut self.messages {
            messages.lost(u64::from(left.happened));
        }
        if let Some(turn) = &left.turn {
            self.turn(queue, turn);
        }
        self.tell_lost(queue.epoch, &left.lost);
    }

    /// Both ledgers, as far as they are written.
    fn ledgers(&mut self) -> impl Iterator<Item = &mut Ledger> {
        self.ledger.iter_mut().chain(&mut self.messages)
    }

    /// Frees memory if it is low, and checks whether it is available again.
    fn mind_memory(&mut self) {
        let was_low = memory::is_low();
        if was_low {
            self.device.give_back();
            sys::reserve();
        }
        if was_low && !self.is_low {
            let text = "memory: the system has no more; what would hold more of it is refused and counted no_memory";
            self.system.say(Level::Error, text);
        }
        self.is_low = memory::is_low();
        if was_low && !self.is_low {
            self.system.say(Level::Info, "memory: there is some again");
        }
    }

    /// Recreates files that were removed or renamed.
    fn look(&mut self) {
        self.device.look();
        self.ledgers().for_each(Ledger::look);
        self.system.look();
    }

    fn tell_trouble(&mut self, now: Instant, last: bool) {
        let trouble = &mut self.device.trouble;
        let told = if last { trouble.tell_last(now, "records") } else { trouble.tell(now, "records") };
        if let Some(text) = told {
            self.system.say(Level::Error, &format!("device log: {text}"));
        }
        for (name, ledger) in [("fault", &mut self.ledger), ("message", &mut self.messages)] {
            let Some(Ledger { trouble, .. }) = ledger else { continue };
            let told = if last { trouble.tell_last(now, "lines") } else { trouble.tell(now, "lines") };
            if let Some(text) = told {
                self.system.say(Level::Error, &format!("{name} ledger: {text}"));
            }
        }
        self.system.tell_trouble(now, last);
    }

    fn finish(&mut self) -> LogTotals {
        self.device.finish();
        self.ledgers().for_each(Ledger::flush);
        self.tell_trouble(Instant::now(), true);
        // Once only: a thread that keeps logging must not keep the program from ending.
        self.system.drain();
        self.system.tell_left_out();
        self.system.flush();
        self.system.tell_trouble(Instant::now(), true);
        self.totals()
    }

    /// The counters so far.
    fn totals(&self) -> LogTotals {
        let (device, system) = (self.device.counts, self.system.counts);
        let counts = |ledger: &Option<Ledger>| ledger.as_ref().map(|ledger| ledger.counts).unwrap_or_default();
        let (ledger, messages) = (counts(&self.ledger), counts(&self.messages));
        LogTotals {
            device_records_written: device.written,
            device_records_lost: self.records_lost,
            device_records_unwritten: device.unwritten,
            device_write_errors: device.errors,
            ledger_lines_written: ledger.written,
            ledger_lines_lost: ledger.lost,
            ledger_lines_unwritten: ledger.unwritten,
            message_lines_written: messages.written,
            message_lines_lost: messages.lost,
            message_lines_unwritten: messages.unwritten,
            system_lines_written: system.written,
            system_lines_lost: system.lost,
        }
    }
}

impl ShardQueue {
    /// Takes up to one turn's bytes.
    fn take(&mut self) -> Taken {
        self.source.take(TURN_BYTES, &mut self.taken)
    }
}

#[cfg(test)]
mod tests;
