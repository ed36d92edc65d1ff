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
    shown: String,
}

impl Screen {
    fn start(at: &str, (rows, columns): (u16, u16)) -> Self {
        let end = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&end).unwrap();
        unlockpt(&end).unwrap();
        let path = ptsname(&end, Vec::new()).unwrap().into_string().unwrap();
        let other = || std::fs::File::options().read(true).write(true).open(&path).unwrap();
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
        Self { user, child, bytes, shown: String::new() }
    }

    /// Waits until all of these are shown, from now on.
    fn until(&mut self, words: &[&str]) {
        self.shown.clear();
        // A piece may end within a movement of the cursor or a character.
        let mut raw = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        // Blanks that were there before are not drawn again.
        while !words.iter().all(|word| self.shown.contains(&word.replace(' ', ""))) {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(bytes) = self.bytes.recv_timeout(left) else {
                panic!("{words:?} are not shown, but {}", self.shown);
            };
            raw.extend(bytes);
            self.shown = plain(&String::from_utf8_lossy(&raw));
        }
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

/// Without colours and movements of the cursor.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c == '\u{1b}' {
            // ESC [ … letter
            let _ = rest.by_ref().find(|c| c.is_ascii_alphabetic());
            continue;
        }
        out.extend((c != ' ').then_some(c));
    }
    out
}

#[test]
fn it_shows_the_fleet_and_one_fsu() {
    let tree = tree();
    let (run, at) = start(&tree, &[]);
    // Only what changes on a terminal is drawn, so that a word which was there in time is not seen again: another look, then.
    for tries_left in (0..3).rev() {
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| walk(&run, at))) {
            Ok(()) => break,
            Err(why) if tries_left == 0 => std::panic::resume_unwind(why),
            Err(_) => {}
        }
    }
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
    screen.shown.clear();
    while !screen.shown.contains("tracker_2") {
        assert!(Instant::now() < deadline, "{}", screen.shown);
        speed(run, "tracker_2", "86000002");
        while let Ok(bytes) = screen.bytes.try_recv() {
            screen.shown += &plain(&String::from_utf8_lossy(&bytes));
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
