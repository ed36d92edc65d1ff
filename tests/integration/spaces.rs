//! Two network namespaces with a pair of virtual devices between them: the program in one, its centre in the other.

use crate::harness::{Ended, PATIENCE, PROGRAM, Run, Tree, Udp, run_to_end};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::process::Command;

/// The device that the program serves, and its addresses.
pub(crate) const DEVICE: &str = "v0";
pub(crate) const FOUR: &str = "10.9.0.1";
pub(crate) const SIX: &str = "fd00::1";
/// The centre's addresses.
pub(crate) const CENTRE_FOUR: &str = "10.9.0.2";
pub(crate) const CENTRE_SIX: &str = "fd00::2";

/// Both; gone when it is dropped.
pub(crate) struct Spaces {
    ours: String,
    theirs: String,
}

/// Runs `ip`.
pub(crate) fn ip(arguments: &str) -> bool {
    Command::new("ip").args(arguments.split(' ')).output().is_ok_and(|done| done.status.success())
}

impl Spaces {
    /// `None`, with a line that says so, where this machine lets none be made.
    pub(crate) fn new(test: &str) -> Option<Self> {
        let name = |end: &str| format!("fsu-{}-{test}-{end}", std::process::id());
        let spaces = Self { ours: name("a"), theirs: name("b") };
        let Self { ours, theirs } = &spaces;
        let all = [
            format!("netns add {ours}"),
            format!("netns add {theirs}"),
            format!("-n {ours} link add {DEVICE} type veth peer name v1 netns {theirs}"),
            format!("-n {ours} addr add {FOUR}/24 dev {DEVICE}"),
            format!("-n {theirs} addr add {CENTRE_FOUR}/24 dev v1"),
            format!("-n {ours} addr add {SIX}/64 dev {DEVICE} nodad"),
            format!("-n {theirs} addr add {CENTRE_SIX}/64 dev v1 nodad"),
            format!("-n {ours} link set {DEVICE} up"),
            format!("-n {theirs} link set v1 up"),
            format!("-n {ours} link set lo up"),
        ];
        let made = all.iter().all(|line| ip(line));
        if !made {
            eprintln!("skipped: no network namespaces with veth can be made here (root and iproute2 are needed)");
        }
        made.then_some(spaces)
    }

    /// Changes something of the program's end: `ip -n NAMESPACE` and these.
    pub(crate) fn ours(&self, arguments: &str) {
        assert!(ip(&format!("-n {} {arguments}", self.ours)), "{arguments}");
    }

    /// A socket of the centre.
    pub(crate) fn socket(&self, address: &str) -> UdpSocket {
        let space = File::open(format!("/var/run/netns/{}", self.theirs)).expect("a namespace");
        let address: SocketAddr = address.parse().expect("an address");
        let made = std::thread::spawn(move || {
            move_into_link_name_space(space.as_fd(), Some(LinkNameSpaceType::Network)).expect("it is ours");
            UdpSocket::bind(address).expect("a free port")
        });
        let socket = made.join().expect("bound");
        socket.set_read_timeout(Some(PATIENCE)).expect("not zero");
        socket
    }

    /// A socket of the centre that talks with that address only.
    pub(crate) fn udp(&self, to: SocketAddr) -> Udp {
        let socket = self.socket(
            &SocketAddr::new((if to.is_ipv4() { CENTRE_FOUR } else { CENTRE_SIX }).parse().expect("an address"), 0)
                .to_string(),
        );
        socket.connect(to).expect("a way");
        Udp(socket)
    }

    /// Whether the program's sockets have nothing that is not received.
    pub(crate) fn is_read(&self) -> bool {
        let space = File::open(format!("/var/run/netns/{}", self.ours)).expect("a namespace");
        let read = std::thread::spawn(move || {
            move_into_link_name_space(space.as_fd(), Some(LinkNameSpaceType::Network)).expect("it is ours");
            ["udp", "udp6"].map(|name| std::fs::read_to_string(format!("/proc/thread-self/net/{name}")).expect("text"))
        });
        let tables = read.join().expect("read");
        // Number, local and remote address, state, bytes to send and received in hex.
        let waiting = |line: &str| line.split_whitespace().nth(4).is_some_and(|queues| !queues.ends_with(":00000000"));
        !tables.iter().flat_map(|table| table.lines().skip(1)).any(waiting)
    }

    fn command(&self, tree: &Tree, args: &[&str], stats: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.ours, PROGRAM, "run", "--config"]).arg(tree.path("sys_config.json"));
        command.arg("--stats").arg(tree.path(stats)).args(["--seed", "5"]).args(args);
        if !args.contains(&"--shards") {
            command.args(["--shards", "1"]);
        }
        command.current_dir(tree.path(""));
        command
    }

    /// Runs `flood` to its end in the centre's namespace: what came of it.
    pub(crate) fn flood(&self, tree: &Tree, args: &[&str]) -> Ended {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.theirs, PROGRAM, "flood", "--config"]).arg(tree.path("sys_config.json"));
        run_to_end(command.args(args).current_dir(tree.path("")))
    }

    /// Starts `run` in the program's namespace with one shard, and waits until it is ready.
    pub(crate) fn run(&self, tree: &Tree, args: &[&str], stats: &str) -> Run {
        Run::ready(&mut self.command(tree, args, stats), tree.path(stats))
    }

    /// The same of a run that does not start: its exit code, and what it complains of.
    pub(crate) fn refused(&self, tree: &Tree, args: &[&str]) -> (Option<i32>, String) {
        let ended = run_to_end(&mut self.command(tree, args, "refused.json"));
        (ended.code, ended.stderr)
    }
}

impl Drop for Spaces {
    fn drop(&mut self) {
        for name in [&self.ours, &self.theirs] {
            ip(&format!("netns del {name}"));
        }
    }
}
