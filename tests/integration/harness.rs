//! A configuration of an invented vendor, a run of the program, its end.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Time within which an expected event must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until the condition holds.
#[track_caller]
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The program.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_fsu-mock");

/// The meter: `wire::meter`.
///
/// 01 reads a level (513), 02 is never answered, 03 is answered after 300 ms, 04 after 4 s, 05 returns the tag.
const METER: &str = r#"{
  "vendor": "invented",
  "rule_file_list": ["./rules/default.json"],
  "protocol": {
    "dynamic_length": true,
    "pdu_left": [
      {"name": "start", "length": 1, "type": "hex", "value": "68"},
      {"name": "address", "length": 1, "type": "hex"},
      {"name": "command", "length": 1, "type": "hex"},
      {"name": "size", "length": 1, "type": "length", "of": ["data_frame"]}
    ],
    "pdu_tailer": [
      {"name": "checksum", "length": 1, "type": "hex"},
      {"name": "end", "length": 1, "type": "hex", "value": "16"}
    ],
    "data_frame_type_flag": "command",
    "checksum": {"field": "checksum", "algorithm": "sum", "from": "address", "to": "data_frame"},
    "data_frame": [
      {
        "data_frame_type": "01",
        "req_data_list": [{"name": "tag", "length": 2, "type": "hex"}],
        "resp_data_list": [
          {"name": "tag", "length": 2, "type": "hex"},
          {"name": "level", "length": 2, "type": "uint"}
        ]
      },
      {"data_frame_type": "02", "req_data_list": [], "resp_data_list": []},
      {
        "data_frame_type": "03",
        "req_data_list": [{"name": "tag", "length": 2, "type": "hex"}],
        "resp_data_list": [{"name": "tag", "length": 2, "type": "hex"}]
      },
      {"data_frame_type": "04", "req_data_list": [], "resp_data_list": []},
      {
        "data_frame_type": "05",
        "req_data_list": [{"name": "tag", "length": 4, "type": "hex"}],
        "resp_data_list": [{"name": "tag", "length": 4, "type": "hex"}]
      }
    ]
  }
}"#;

const METER_RULES: &str = r#"{
  "01": {"data": {"level": 513}},
  "02": {"timeout": true},
  "03": {"delay": {"fixed": 300}},
  "04": {"delay": {"fixed": 4000}},
  "05": {}
}"#;

/// The lamp: `wire::lamp`, behind the same FSU as 01/02. 01 is answered with one more bit: 80.
const LAMP: &str = r#"{
  "vendor": "invented too",
  "rule_file_list": ["./rules/default.json"],
  "protocol": {
    "dynamic_length": false,
    "total_length": 4,
    "pdu_left": [
      {"name": "start", "length": 1, "type": "hex", "value": "A1"},
      {"name": "command", "length": 1, "type": "hex"}
    ],
    "pdu_tailer": [{"name": "end", "length": 1, "type": "hex", "value": "A2"}],
    "data_frame_type_flag": "command",
    "data_frame": [
      {
        "data_frame_type": "01",
        "req_data_list": [{"name": "lamp", "length": 1, "type": "hex"}],
        "resp_data_list": [{"name": "state", "length": 1, "type": "hex"}]
      }
    ]
  }
}"#;

const LAMP_RULES: &str = r#"{"01": {"data": {"state": "80"}}}"#;

/// A configuration in a temporary directory.
pub(crate) struct Tree {
    dir: TempDir,
}

impl Tree {
    /// A sys_config.json with these FSUs, which have the meter (01/01) and the lamp (01/02); `more` is merged into it.
    pub(crate) fn new(fsus: &[Value], more: &Value) -> Self {
        let tree = Self { dir: tempfile::tempdir().expect("a directory") };
        tree.set_fsus(fsus, more);
        let devices = json!({"device_list": [
            {"vendor": "invented", "sub_dev_type": "01", "sub_dev_addr": "01", "protocol_template": "../meter/template.json"},
            {"vendor": "invented too", "sub_dev_type": "01", "sub_dev_addr": "02", "protocol_template": "../lamp/template.json"},
        ]});
        tree.write("site/fsu_devices.json", &devices.to_string());
        tree.write("meter/template.json", METER);
        tree.write("meter/rules/default.json", METER_RULES);
        tree.write("lamp/template.json", LAMP);
        tree.write("lamp/rules/default.json", LAMP_RULES);
        tree
    }

    /// A path in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Waits until the system log holds this.
    pub(crate) fn until_logged(&self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.system_log().contains(text) {
            assert!(Instant::now() < deadline, "not logged: {text}\n{}", self.system_log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What the system log says so far.
    pub(crate) fn system_log(&self) -> String {
        let files = std::fs::read_dir(self.path("logs")).into_iter().flatten().flatten().map(|file| file.path());
        files.filter_map(|path| std::fs::read_to_string(path).ok()).collect()
    }

    /// Puts other FSUs into its sys_config.json; `more` is laid over that.
    pub(crate) fn set_fsus(&self, fsus: &[Value], more: &Value) {
        let mut config = json!({
            "log": {"dir": self.path("logs"), "level": "info"},
            "fsu_list": fsus,
        });
        overlay(&mut config, more);
        self.write("sys_config.json", &config.to_string());
    }

    /// Puts a file into it.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("has one")).expect("a directory");
        std::fs::write(path, text).expect("written");
    }
}

fn overlay(under: &mut Value, over: &Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                overlay(under.entry(key).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over.clone(),
    }
}

/// One FSU on a free port of 127.0.0.1; `more` is merged into it.
pub(crate) fn fsu(name: &str, id: &str, transport: &str, more: &Value) -> Value {
    let mut fsu = json!({
        "fsuname": name, "fsuid": hex::encode(id), "host": "127.0.0.1", "port": 0,
        "protocol_type": transport, "heartbeat_enable": false, "config_dir": "./site",
    });
    overlay(&mut fsu, more);
    fsu
}

/// The program, run until it ends by itself: exit code and output.
pub(crate) fn run_to_end(command: &mut Command) -> Ended {
    let stats = PathBuf::new();
    Started::new(command).wait(&stats)
}

/// The serving program. Its tree must outlive it.
pub(crate) struct Run {
    started: Started,
    stats: PathBuf,
    /// What it printed up to `ready`.
    pub(crate) said: Vec<String>,
    ports: HashMap<String, SocketAddr>,
}

impl Run {
    /// Starts `run` with the tree's configuration and waits until it is ready. The driver is the one that `FSU_MOCK_DRIVER`
    /// names, unless the arguments name one.
    pub(crate) fn start(tree: &Tree, args: &[&str]) -> Self {
        Self::with_stats(tree, args, tree.path("stats.json"))
    }

    /// Likewise, with the statistics in a file of that name.
    pub(crate) fn with_stats(tree: &Tree, args: &[&str], stats: PathBuf) -> Self {
        let mut command = Command::new(PROGRAM);
        command.arg("run").arg("--config").arg(tree.path("sys_config.json"));
        command.arg("--stats").arg(&stats).args(args).current_dir(tree.path(""));
        if let Some(driver) = std::env::var_os("FSU_MOCK_DRIVER").filter(|_| !args.contains(&"--driver")) {
            command.arg("--driver").arg(driver);
        }
        Self::ready(&mut command, stats)
    }

    /// Starts a command and waits until it is ready.
    pub(crate) fn ready(command: &mut Command, stats: PathBuf) -> Self {
        let mut run = Self { started: Started::new(command), stats, said: Vec::new(), ports: HashMap::new() };
        let deadline = Instant::now() + PATIENCE;
        loop {
            let Ok(line) = run.started.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) else {
                let Ended { code, stderr, .. } = run.started.kill();
                panic!("not ready, exit code {code:?}: {:?}\n{stderr}", run.said);
            };
            // listening NAME udp 127.0.0.1:40001
            if let ["listening", name, _, address] = line.split_whitespace().collect::<Vec<_>>()[..] {
                run.ports.insert(name.to_owned(), address.parse().expect("an address"));
            }
            run.said.push(line);
            if run.said.last().is_some_and(|line| line.starts_with("ready")) {
                return run;
            }
        }
    }

    /// Reads what it prints up to a line that begins so; addresses told on the way are known from then on.
    pub(crate) fn until(&mut self, beginning: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let Ok(line) = self.started.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) else {
                let Ended { code, stderr, .. } = self.started.kill();
                panic!("no line {beginning:?}, exit code {code:?}: {:?}\n{stderr}", self.said);
            };
            if let ["listening", name, _, address] = line.split_whitespace().collect::<Vec<_>>()[..] {
                self.ports.insert(name.to_owned(), address.parse().expect("an address"));
            }
            self.said.push(line.clone());
            if line.starts_with(beginning) {
                return line;
            }
        }
    }

    /// Reloads its configuration. Returns what it prints.
    pub(crate) fn reload(&mut self) -> String {
        self.signal(Signal::HUP);
        self.until("reloaded: ")
    }

    /// Whether it serves an FSU of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.ports.contains_key(name)
    }

    /// Where the FSU with that name listens.
    pub(crate) fn address(&self, name: &str) -> SocketAddr {
        *self.ports.get(name).unwrap_or_else(|| panic!("{name} was not told: {:?}", self.said))
    }

    /// How many addresses were told.
    pub(crate) fn addresses(&self) -> usize {
        self.ports.len()
    }

    /// A UDP socket that talks with one FSU only.
    pub(crate) fn udp(&self, name: &str) -> Udp {
        Udp::new(self.address(name))
    }

    /// A TCP connection to one FSU.
    pub(crate) fn tcp(&self, name: &str) -> Tcp {
        Tcp::new(self.address(name))
    }

    /// Its process.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.started.child)
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("it runs");
    }

    /// Waits for its end, asked for already.
    pub(crate) fn wait(self) -> Ended {
        self.started.wait(&self.stats)
    }

    /// Ends it with SIGTERM: it has to end well.
    pub(crate) fn stop(self) -> Ended {
        self.signal(Signal::TERM);
        let ended = self.wait();
        assert_eq!(ended.code, Some(0), "{}\n{}", ended.stdout.join("\n"), ended.stderr);
        ended
    }
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its exit code; none where a signal ended it.
    pub(crate) code: Option<i32>,
    /// What it printed, since it was ready if that was waited for.
    pub(crate) stdout: Vec<String>,
    /// What it complained of.
    pub(crate) stderr: String,
    /// The JSON statistics; null where there are none.
    pub(crate) stats: Value,
}

impl Ended {
    /// A number of the statistics.
    pub(crate) fn count(&self, pointer: &str) -> u64 {
        let value = self.stats.pointer(pointer);
        value.and_then(Value::as_u64).unwrap_or_else(|| panic!("{pointer}: {value:?} in {:#}", self.stats))
    }
}

/// A started process, which is ended when this value is dropped.
struct Started {
    child: Child,
    lines: Receiver<String>,
    stderr: Option<JoinHandle<String>>,
}

impl Started {
    fn new(command: &mut Command) -> Self {
        let mut child = command
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program can be started");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut stderr = child.stderr.take().expect("piped");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let stderr = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = stderr.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        Self { child, lines, stderr: Some(stderr) }
    }

    fn wait(mut self, stats: &Path) -> Ended {
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait().expect("it is ours").is_none() {
            if Instant::now() > deadline {
                let ended = self.kill();
                panic!("it does not end: {ended:?}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let mut ended = self.kill();
        ended.stats = std::fs::read(stats)
            .map_or(Value::Null, |bytes| serde_json::from_slice(&bytes).expect("the statistics are JSON"));
        ended
    }

    fn kill(&mut self) -> Ended {
        let _ = self.child.kill();
        let code = self.child.wait().expect("it is ours").code();
        let stderr = self.stderr.take().map(|thread| thread.join().expect("it reads")).unwrap_or_default();
        Ended { code, stdout: self.lines.iter().collect(), stderr, stats: Value::Null }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A UDP socket connected to one address.
pub(crate) struct Udp(pub(crate) UdpSocket);

impl Udp {
    /// One of any address of 127.0.0.1.
    pub(crate) fn new(address: SocketAddr) -> Self {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a free port");
        socket.connect(address).expect("a local address");
        socket.set_read_timeout(Some(PATIENCE)).expect("not zero");
        Self(socket)
    }

    /// Sends one datagram.
    pub(crate) fn send(&self, bytes: &[u8]) {
        self.0.send(bytes).expect("sent");
    }

    /// The next datagram.
    pub(crate) fn receive(&self) -> Vec<u8> {
        let mut buffer = vec![0; 65_536];
        let size = self.0.recv(&mut buffer).expect("a datagram in time");
        buffer[..size].to_vec()
    }

    /// Asks and waits for what comes next.
    pub(crate) fn ask(&self, bytes: &[u8]) -> Vec<u8> {
        self.send(bytes);
        self.receive()
    }
}

/// A connection.
pub(crate) fn tcp(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("it listens");
    stream.set_nodelay(true).expect("a TCP socket");
    stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
    stream.set_write_timeout(Some(PATIENCE)).expect("not zero");
    stream
}

/// A TCP connection.
pub(crate) struct Tcp(pub(crate) TcpStream);

impl Tcp {
    /// A connection to that address.
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self(tcp(address))
    }

    /// Sends bytes.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("sent");
    }

    /// The next bytes, this many of them.
    pub(crate) fn next(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        if let Err(error) = self.0.read_exact(&mut bytes) {
            panic!("{error} instead of {count} bytes");
        }
        bytes
    }

    /// The next bytes have to be these.
    pub(crate) fn expect(&mut self, expected: &[u8]) {
        let mut bytes = vec![0; expected.len()];
        if let Err(error) = self.0.read_exact(&mut bytes) {
            panic!("{error} instead of {}", hex::encode_upper(expected));
        }
        assert_eq!(hex::encode_upper(bytes), hex::encode_upper(expected));
    }

    /// The other side has to close without a further byte.
    pub(crate) fn expect_end(&mut self) {
        let mut byte = [0; 1];
        match self.0.read(&mut byte) {
            Ok(0) => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
            other => panic!("{other:?} instead of the end"),
        }
    }
}

/// Both in a notation that is readable when a comparison fails.
#[track_caller]
pub(crate) fn assert_bytes(got: &[u8], expected: &[u8]) {
    assert_eq!(hex::encode_upper(got), hex::encode_upper(expected));
}
