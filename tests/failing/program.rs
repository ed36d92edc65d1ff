//! The program under a supervisor of its system calls: its output, its end, and which of its calls fails.

use crate::allocator::ARGS;
use crate::calls::Class;
use crate::harness::{PATIENCE, PROGRAM, Tree};
use crate::kernel::{Call, Listener, this_thread};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Which call is to fail.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Of which kind.
    pub(crate) class: &'static Class,
    /// The how many-th of them from now on, from 1.
    pub(crate) nth: u32,
    /// With which error.
    pub(crate) errno: i32,
    /// All after it fail as well.
    pub(crate) lasting: bool,
}

/// What becomes of calls.
#[derive(Debug, Default)]
struct Orders {
    plan: Option<Plan>,
    /// Calls of the plan's kind so far.
    counted: u32,
    /// The one that failed.
    failed: Option<i64>,
    /// It is loaded.
    is_loaded: bool,
    /// It has begun: what comes before is the loader's and the language's.
    has_begun: bool,
}

/// Answers the calls, on a thread of its own.
struct Supervisor {
    orders: Arc<Mutex<Orders>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// The handler of this signal is the first thing that the program asks for.
const FIRST: (i64, u64) = (libc::SYS_rt_sigaction, libc::SIGXFSZ as u64);

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Words for the test go through pipes: were those to fail, nothing could be said of the others.
fn is_words(call: Call) -> bool {
    let writes = [libc::SYS_write, libc::SYS_writev].contains(&call.number);
    let path = format!("/proc/{}/fd/{}", call.thread, call.args[0]);
    writes && std::fs::read_link(path).is_ok_and(|to| to.to_string_lossy().starts_with("pipe:"))
}

impl Orders {
    /// The error number of a call, 0: it goes on.
    fn of(&mut self, call: Call, forbidden: &[i64]) -> i32 {
        self.is_loaded |= call.number == libc::SYS_execve;
        self.has_begun |= self.is_loaded && (call.number, call.args[0]) == FIRST;
        if !self.has_begun {
            return 0;
        }
        if forbidden.contains(&call.number) {
            return libc::EPERM;
        }
        let Some(plan) = self.plan.filter(|plan| plan.class.calls.contains(&call.number)) else { return 0 };
        if is_words(call) {
            return 0;
        }
        self.counted += 1;
        if self.counted == plan.nth || (plan.lasting && self.counted > plan.nth) {
            self.failed.get_or_insert(call.number);
            return plan.errno;
        }
        0
    }
}

/// What the program is started with.
fn arguments(tree: &Tree, more: &[&str]) -> Vec<String> {
    let path = |name: &str| tree.path(name).display().to_string();
    let args =
        ["run".to_owned(), "--config".to_owned(), path("sys_config.json"), "--stats".to_owned(), path("stats.json")];
    // The control server's calls are its runtime's, which may end with one that fails; the fleet is served on.
    let args = args.into_iter().chain(["--control".to_owned(), "off".to_owned()]);
    args.chain(more.iter().map(|&arg| arg.to_owned())).collect()
}

/// A line that the program said, on standard error or not.
type Line = (bool, String);

/// A started program, which is ended with this value at the latest.
pub(crate) struct Program {
    child: Child,
    supervisor: Option<Supervisor>,
    /// Controls its allocator.
    stdin: Option<ChildStdin>,
    lines: Receiver<Line>,
    /// What it has said so far.
    pub(crate) said: Vec<Line>,
    ports: HashMap<String, SocketAddr>,
    /// Where it writes its statistics at its end.
    stats: PathBuf,
}

/// How it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) said: Vec<Line>,
}

impl Ended {
    /// What is wrong with that end, if it was not asked for: it has to have a documented exit code, and words where it went wrong.
    pub(crate) fn fault(&self) -> Option<String> {
        let words = self.said.iter().any(|(is_error, line)| *is_error && !line.trim().is_empty());
        match (self.status.code(), self.status.signal()) {
            _ if self.said.iter().any(|(_, line)| line.contains("panicked")) => Some("it panicked".to_owned()),
            (Some(0), _) => None,
            (Some(1..=4), _) if words => None,
            (Some(1..=4), _) => Some("it ended without a word".to_owned()),
            (Some(code), _) => Some(format!("exit code {code}")),
            (None, signal) => Some(format!("signal {signal:?}")),
        }
    }
}

impl Program {
    /// Starts it with calls of this class supervised. `forbidden` calls always fail. Errors if this system has no such mechanism.
    pub(crate) fn start(
        tree: &Tree,
        args: &[&str],
        class: &'static Class,
        forbidden: &'static [i64],
        plan: Option<Plan>,
    ) -> std::io::Result<Self> {
        let mut command = Command::new(PROGRAM);
        command.args(arguments(tree, args)).current_dir(tree.path("")).env_remove("RUST_BACKTRACE");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let calls: Vec<i64> = class.calls.iter().chain(forbidden).copied().chain([libc::SYS_execve, FIRST.0]).collect();
        let orders = Arc::new(Mutex::new(Orders { plan, ..Orders::default() }));
        let (listener, starter) = (Arc::new(AtomicI32::new(0)), Arc::new(AtomicU32::new(0)));
        let (told, own) = (listener.clone(), starter.clone());
        let starting = std::thread::spawn(move || {
            own.store(this_thread(), Ordering::Release);
            // Nothing but these numbers is handed over: the thread's own calls already wait for an answer.
            let tell = |fd: std::io::Result<i32>| {
                let fd = fd.unwrap_or_else(|error| -error.raw_os_error().unwrap_or(libc::EIO));
                told.store(fd, Ordering::Release);
            };
            Listener::of_this_thread(&calls, tell);
            if told.load(Ordering::Acquire) < 0 { None } else { Some(command.spawn()) }
        });
        let fd = loop {
            match listener.load(Ordering::Acquire) {
                0 => std::thread::yield_now(),
                fd => break fd,
            }
        };
        if fd < 0 {
            return Err(std::io::Error::from_raw_os_error(-fd));
        }
        let supervisor = Supervisor::new(Listener::new(fd), orders, starter, forbidden);
        let child = starting.join().expect("it starts a program").expect("it has a filter")?;
        Ok(Self::of(tree, child, Some(supervisor)))
    }

    /// Starts it in a process of this test's binary, whose allocator fails on request. `nth`: counted from the start.
    pub(crate) fn start_here(tree: &Tree, args: &[&str], nth: Option<(u32, bool)>) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("a test has a binary"));
        command.args(["--exact", "allocator::the_program", "--nocapture"]).env(ARGS, arguments(tree, args).join("\n"));
        command.current_dir(tree.path("")).env_remove("RUST_BACKTRACE");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut program = Self::of(tree, command.spawn().expect("this binary"), None);
        program.tell(if nth.is_some() { "!" } else { "." });
        if let Some((nth, lasting)) = nth {
            program.fail_allocation(nth, lasting);
        }
        program
    }

    /// Starts it as it is.
    pub(crate) fn plain(tree: &Tree, args: &[&str]) -> Self {
        let mut command = Command::new(PROGRAM);
        command.args(arguments(tree, args)).current_dir(tree.path("")).env_remove("RUST_BACKTRACE");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self::of(tree, command.spawn().expect("the program"), None)
    }

    /// From now on it may allocate this many more bytes (`ulimit -d`: what it only reserves does not count).
    pub(crate) fn limit_memory(&self, more: u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let size = status
            .lines()
            .find_map(|line| line.strip_prefix("VmData:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        let limit = Some(size.expect("a number") * 1_024 + more);
        let limit = Rlimit { current: limit, maximum: limit };
        prlimit(Some(Pid::from_child(&self.child)), Resource::Data, limit).expect("it is ours");
    }

    fn of(tree: &Tree, mut child: Child, supervisor: Option<Supervisor>) -> Self {
        let (lines, stdin) = (read_lines(&mut child), child.stdin.take());
        let (said, ports, stats) = (Vec::new(), HashMap::new(), tree.path("stats.json"));
        Self { child, supervisor, stdin, lines, said, ports, stats }
    }

    fn tell(&mut self, line: &str) {
        // It may have ended.
        let _ = self.stdin.as_mut().expect("it was started here").write_all(line.as_bytes());
    }

    /// Makes an allocation fail, or that and all after it.
    pub(crate) fn fail_allocation(&mut self, nth: u32, lasting: bool) {
        self.tell(&format!("{nth:08}{}\n", if lasting { '+' } else { '.' }));
    }

    /// No allocation fails any more; whether one did, unless it has ended.
    pub(crate) fn spare_allocations(&mut self) -> Option<bool> {
        self.tell("00000000.\n");
        self.until(&["allocations: "]).map(|line| line.ends_with(": failed"))
    }

    fn orders(&self) -> &Arc<Mutex<Orders>> {
        &self.supervisor.as_ref().expect("its calls are told").orders
    }

    /// Makes a call fail from now on.
    pub(crate) fn plan(&self, plan: Plan) {
        let mut orders = self.orders().lock().expect("nobody panics with it");
        (orders.plan, orders.counted, orders.failed) = (Some(plan), 0, None);
    }

    /// Nothing fails any more; which call did.
    pub(crate) fn spare(&self) -> Option<i64> {
        let mut orders = self.orders().lock().expect("nobody panics with it");
        orders.plan = None;
        assert!(orders.has_begun, "the program's first call was not seen");
        orders.failed.take()
    }

    /// Whether the call has failed, also after its end.
    pub(crate) fn has_failed(&self) -> impl Fn() -> bool + use<> {
        let orders = self.orders().clone();
        move || orders.lock().expect("nobody panics with it").failed.is_some()
    }

    /// Reads what it says up to a line that begins with one of these; `None`: it has ended, or it says nothing.
    pub(crate) fn until(&mut self, beginnings: &[&str]) -> Option<String> {
        self.until_within(beginnings, PATIENCE)
    }

    /// The same, in that time.
    pub(crate) fn until_within(&mut self, beginnings: &[&str], at_most: Duration) -> Option<String> {
        let deadline = Instant::now() + at_most;
        loop {
            let (is_error, line) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()?;
            if let ["listening", name, _, address] = line.split_whitespace().collect::<Vec<_>>()[..] {
                self.ports.insert(name.to_owned(), address.parse().expect("an address"));
            }
            let is_it = beginnings.iter().any(|beginning| line.starts_with(beginning));
            self.said.push((is_error, line.clone()));
            if is_it {
                return Some(line);
            }
        }
    }

    /// Where an FSU listens.
    pub(crate) fn address(&self, name: &str) -> SocketAddr {
        self.ports[name]
    }

    /// What it is doing, and how it ends when it is asked to, for people: it does not do what it should.
    pub(crate) fn explain(mut self) -> String {
        let orders = self.supervisor.as_ref().map(|supervisor| {
            let orders = supervisor.orders.lock().expect("nobody panics with it");
            format!("{} calls counted, failed: {:?}", orders.counted, orders.failed)
        });
        let threads = threads(self.child.id());
        self.signal(Signal::TERM);
        let stats = self.stats.clone();
        self.said.extend(self.lines.try_iter());
        let said = self.said.clone();
        let ended = self.wait().map_or_else(|text| text, |ended| format!("{}; {:?}", ended.status, ended.fault()));
        let stats = std::fs::read_to_string(stats).unwrap_or_default();
        let orders = orders.unwrap_or_default();
        format!("{orders}\nthreads:\n{threads}it said: {said:?}\nit ended: {ended}\nits statistics: {stats}")
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().expect("it is ours").is_none()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        // It may have ended by itself.
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// Waits for its end. The error: it does not end.
    pub(crate) fn wait(mut self) -> Result<Ended, String> {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it is ours") {
                break status;
            }
            if Instant::now() > deadline {
                return Err(format!("it does not end; it said {:?}", self.said));
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        self.said.extend(self.lines.iter());
        Ok(Ended { status, said: std::mem::take(&mut self.said) })
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Supervisor {
    fn new(listener: Listener, orders: Arc<Mutex<Orders>>, starter: Arc<AtomicU32>, forbidden: &'static [i64]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (ordered, stopped) = (orders.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Acquire) {
                let Ok(call) = listener.next() else { return };
                let Some(call) = call else { continue };
                let is_ours = call.thread == starter.load(Ordering::Acquire);
                let errno =
                    if is_ours { 0 } else { ordered.lock().expect("nobody panics with it").of(call, forbidden) };
                listener.answer(call, errno);
            }
        });
        Self { orders, stop, thread: Some(thread) }
    }
}

/// What each thread of a process does: its name, the kernel's function it waits in, its call, and where it may be read its stack.
fn threads(process: u32) -> String {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{process}/task")) else { return "none\n".to_owned() };
    let tell = |task: std::fs::DirEntry| {
        let read = |name: &str| std::fs::read_to_string(task.path().join(name)).unwrap_or_default();
        let stack = read("stack").lines().map(str::to_owned).collect::<Vec<_>>().join(" < ");
        format!("  {}: {}, call {}, {stack}\n", read("comm").trim(), read("wchan"), read("syscall").trim())
    };
    tasks.flatten().map(tell).collect()
}

fn read_lines(child: &mut Child) -> Receiver<Line> {
    let (sender, lines) = channel();
    let read = |is_error: bool, from: Box<dyn Read + Send>| {
        let sender = sender.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                if sender.send((is_error, line)).is_err() {
                    return;
                }
            }
        });
    };
    read(false, Box::new(child.stdout.take().expect("piped")));
    read(true, Box::new(child.stderr.take().expect("piped")));
    lines
}
