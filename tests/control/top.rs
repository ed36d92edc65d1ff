//! `top` on a terminal.

use crate::harness::{PATIENCE, PROGRAM, Run};
use crate::world::{speed, start, tree};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

/// A terminal with a program on it.
struct Screen {
    user: std::fs::File,
    child: Child,
    bytes: Receiver<Vec<u8>>,
    terminal: vt100::Parser,
}

impl Screen {
    fn start(at: &str, (rows, columns): (u16, u16)) -> Self {
        let end = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&end).unwrap();
        unlockpt(&end).unwrap();
        let path = ptsname(&end, Vec::new()).unwrap().into_string().unwrap();
        let other = || std::fs::File::options().read(true).write(true).open(&path).unwrap();
        let terminal = vt100::Parser::new(rows.try_into().unwrap(), columns.try_into().unwrap(), 0);
        let script = format!("stty rows {rows} cols {columns} && exec {PROGRAM} top --at {at}");
        let mut command = Command::new("sh");
        command.args(["-c", &script]).env("TERM", "xterm-256color").env("LC_ALL", "C.UTF-8");
        let child = command.stdin(other()).stdout(other()).stderr(other()).spawn().unwrap();
        let user: std::fs::File = end.into();
        let (sender, bytes) = channel();
        let mut reader = user.try_clone().unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 4_096];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { user, child, bytes, terminal }
    }

    /// Waits until the screen shows all of these.
    fn until(&mut self, words: &[&str]) {
        let deadline = Instant::now() + PATIENCE;
        while !words.iter().all(|word| self.shows(word)) {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(bytes) = self.bytes.recv_timeout(left) else {
                panic!("{words:?} are not shown, but {}", self.terminal.screen().contents());
            };
            self.terminal.process(&bytes);
        }
    }

    fn shows(&self, word: &str) -> bool {
        self.terminal.screen().contents().contains(word)
    }

    fn press(&mut self, keys: &str) {
        self.user.write_all(keys.as_bytes()).unwrap();
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_shows_the_fleet_and_one_fsu() {
    let tree = tree();
    let (run, at) = start(&tree, &[]);
    walk(&run, at);
    run.stop();
}

/// Both sizes of a terminal, and something that happens while it looks.
fn walk(run: &Run, at: SocketAddr) {
    for size in [(24, 80), (50, 200)] {
        let mut screen = Screen::start(&at.to_string(), size);
        screen.until(&["fsu-mock top", "4 FSUs", "received/s", "shards", "no reply because", "busiest", "q quit"]);
        screen.press("/track");
        screen.until(&["tracker_1", "tracker_2"]);
        screen.press("\r");
        screen.press("\r");
        screen.until(&["demo_tracker", "Esc back"]);
        screen.press("\u{1b}");
        screen.until(&["Enter one FSU"]);
        screen.press("q");
        assert!(screen.child.wait().unwrap().success());
    }
    // Something happens while it looks.
    let mut screen = Screen::start(&at.to_string(), (24, 80));
    screen.until(&["busiest"]);
    let deadline = Instant::now() + PATIENCE;
    while !screen.shows("tracker_2") {
        assert!(Instant::now() < deadline, "{}", screen.terminal.screen().contents());
        speed(run, "tracker_2", "86000002");
        while let Ok(bytes) = screen.bytes.try_recv() {
            screen.terminal.process(&bytes);
        }
    }
    screen.press("\u{3}");
    assert!(screen.child.wait().unwrap().success());
}

#[test]
fn without_a_server_it_says_so() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let out = Command::new(PROGRAM).args(["top", "--at", &nobody.to_string()]).output().unwrap();
    assert_eq!(out.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&out.stderr).contains("no control server answers"), "{out:?}");
}
