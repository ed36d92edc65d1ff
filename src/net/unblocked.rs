//! Text on standard output and standard error. The program does not wait if nobody reads it: a full pipe, a stopped terminal. Data on
//! standard output does not go this way: its reader gets all of it.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, write};
use rustix::net::{SendFlags, send};
use std::fs::{File, OpenOptions};
use std::io::IsTerminal as _;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a reader of words may take before the rest of them is left out. Once one has taken so long, the next words are tried
/// once, until it reads again.
pub const WORDS_WAIT_MAX: Duration = Duration::from_millis(if cfg!(test) { 50 } else { 2_000 });

/// The same for lines of the system log on a terminal: the device log waits meanwhile.
pub const LINES_WAIT_MAX: Duration = Duration::from_millis(if cfg!(test) { 20 } else { 100 });

/// Bytes that a pipe which is ready takes at once (`PIPE_BUF`).
const PIECE_BYTES: usize = 4_096;

static STDOUT: Mutex<Words> = Mutex::new(Words::new());
static STDERR: Mutex<Words> = Mutex::new(Words::new());

/// Writes to standard output, for at most [`WORDS_WAIT_MAX`] while it takes nothing.
pub fn stdout(text: &str) {
    let mut words = STDOUT.lock().unwrap_or_else(PoisonError::into_inner);
    words.write(std::io::stdout().as_fd(), text.as_bytes(), WORDS_WAIT_MAX);
}

/// The same to standard error.
pub fn stderr(text: &str) {
    stderr_within(text.as_bytes(), WORDS_WAIT_MAX);
}

/// The same, for another time.
pub fn stderr_within(text: &[u8], wait_max: Duration) {
    let mut words = STDERR.lock().unwrap_or_else(PoisonError::into_inner);
    words.write(std::io::stderr().as_fd(), text, wait_max);
}

/// The same without a wait, a lock or an allocation: for the last message of the program.
pub fn stderr_at_once(text: &[u8]) {
    let stderr = std::io::stderr();
    if is_ready(stderr.as_fd(), Duration::ZERO) {
        // There is nowhere to report a failure.
        let _ = write(stderr.as_fd(), text);
    }
}

/// One of them.
struct Words {
    way: Option<Way>,
    /// The reader let the time pass, and has not read since.
    is_stuck: bool,
}

/// How it is written without waiting.
#[derive(Debug)]
enum Way {
    /// A pipe or a terminal, opened once more for this program alone: not to wait is a mark that all who share an open file share.
    Own(File),
    /// A pipe or a terminal that cannot be opened: no more than it takes when it is ready.
    Ready,
    /// A socket.
    Socket,
    /// A file, which takes what it is given.
    Plain,
}

impl Words {
    const fn new() -> Self {
        Self { way: None, is_stuck: false }
    }

    fn write(&mut self, fd: BorrowedFd<'_>, text: &[u8], wait_max: Duration) {
        let way = self.way.get_or_insert_with(|| Way::of(fd));
        let mut rest = text;
        let mut deadline = Instant::now() + if self.is_stuck { Duration::ZERO } else { wait_max };
        while !rest.is_empty() {
            match way.write(fd, rest) {
                Ok(0) => return,
                Ok(done) => {
                    rest = rest.get(done..).unwrap_or_default();
                    self.is_stuck = false;
                    deadline = Instant::now() + wait_max;
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        self.is_stuck = true;
                        return;
                    }
                    is_ready(fd, left);
                }
                // The reader is gone; there is nowhere to report it.
                Err(_) => return,
            }
        }
    }
}

impl Way {
    fn of(fd: BorrowedFd<'_>) -> Self {
        let Ok(file) = fd.try_clone_to_owned().map(File::from) else { return Self::Plain };
        let Ok(kind) = file.metadata().map(|data| data.file_type()) else { return Self::Plain };
        if kind.is_socket() {
            return Self::Socket;
        }
        if !kind.is_fifo() && !file.is_terminal() {
            return Self::Plain;
        }
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&fd));
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
        OpenOptions::new().write(true).custom_flags(flags).open(path).map_or(Self::Ready, Self::Own)
    }

    fn write(&self, fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize, Errno> {
        match self {
            Self::Own(file) => write(file, bytes),
            Self::Ready if !is_ready(fd, Duration::ZERO) => Err(Errno::AGAIN),
            Self::Ready => write(fd, &bytes[..bytes.len().min(PIECE_BYTES)]),
            Self::Socket => send(fd, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL),
            Self::Plain => write(fd, bytes),
        }
    }
}

/// Waits until it takes something, at most for that long; whether it does.
fn is_ready(fd: BorrowedFd<'_>, wait_max: Duration) -> bool {
    let timeout = Timespec { tv_sec: wait_max.as_secs() as i64, tv_nsec: i64::from(wait_max.subsec_nanos()) };
    let mut polled = [PollFd::from_borrowed_fd(fd, PollFlags::OUT)];
    matches!(poll(&mut polled, Some(&timeout)), Ok(1..))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    /// Fills what nobody reads, reads it, and writes again.
    fn check(writer: BorrowedFd<'_>, mut reader: impl Read, way: Option<Way>, expected: &str) {
        let mut words = Words { way, is_stuck: false };
        let much = vec![b'x'; 8 << 20];
        words.write(writer, &much, LINES_WAIT_MAX);
        assert!(words.is_stuck, "{expected}");
        assert!(format!("{:?}", words.way).contains(expected), "{:?}", words.way);
        // What is written now is lost, at once.
        words.write(writer, b"lost", Duration::from_secs(1_000));
        let mut buffer = vec![0; 4 << 20];
        let read = reader.read(&mut buffer).unwrap();
        assert!(read >= PIECE_BYTES && buffer[..read].iter().all(|&byte| byte == b'x'));
        words.write(writer, b"read", LINES_WAIT_MAX);
        assert!(!words.is_stuck);
    }

    #[test]
    fn limit_words_wait_max_and_lines_wait_max_h14_nobody_waits_for_who_does_not_read() {
        let (reader, writer) = std::io::pipe().unwrap();
        check(writer.as_fd(), reader, None, "Own");
        let (reader, writer) = std::io::pipe().unwrap();
        check(writer.as_fd(), reader, Some(Way::Ready), "Ready");
        let (reader, writer) = UnixStream::pair().unwrap();
        check(writer.as_fd(), reader, None, "Socket");
    }

    #[test]
    fn h14_all_comes_to_who_reads_slowly_and_to_a_file() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let much = vec![b'x'; 1 << 20];
        let reads = std::thread::spawn(move || {
            let mut read = Vec::new();
            reader.read_to_end(&mut read).unwrap();
            read.len()
        });
        let mut words = Words::new();
        words.write(writer.as_fd(), &much, Duration::from_secs(30));
        drop((words, writer));
        assert_eq!(reads.join().unwrap(), much.len());
        let file = tempfile::NamedTempFile::new().unwrap();
        Words::new().write(file.as_fd(), &much, LINES_WAIT_MAX);
        assert_eq!(file.as_file().metadata().unwrap().len(), much.len() as u64);
    }

    #[test]
    fn h14_a_reader_that_is_gone_is_no_failure() {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        Words::new().write(writer.as_fd(), b"x", LINES_WAIT_MAX);
    }
}
