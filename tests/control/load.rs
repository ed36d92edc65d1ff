//! A load that runs, with a control server.

use crate::harness::{PATIENCE, PROGRAM, Tree};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A load that runs, and where its control server is.
pub(crate) struct Load {
    child: Child,
    pub(crate) at: SocketAddr,
}

impl Load {
    pub(crate) fn start(tree: &Tree, args: &[&str]) -> Self {
        let mut command = Command::new(PROGRAM);
        command.arg("flood").args(["--quiet", "--control", "127.0.0.1:0"]).args(args);
        command.current_dir(tree.path("")).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut load = Self { child: command.spawn().unwrap(), at: ([0, 0, 0, 0], 0).into() };
        let lines = BufReader::new(load.child.stderr.take().unwrap()).lines();
        let mut said = Vec::new();
        for line in lines {
            said.push(line.unwrap());
            let line = said.last().unwrap();
            if let Some(at) = line.strip_prefix("control: http://").and_then(|rest| rest.strip_suffix('/')) {
                load.at = at.parse().unwrap();
                return load;
            }
        }
        panic!("no control server: {said:?}");
    }

    /// Interrupts it, and waits for its end.
    pub(crate) fn stop(mut self) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
