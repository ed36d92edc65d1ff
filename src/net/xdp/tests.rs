//! Tests against the real kernel: two network namespaces joined by a veth pair. Needs root; otherwise skipped with a message.

use super::device::Device;
use super::frame::{self, Frame, Way};
use super::lookup::{self, LookUp, RawSender};
use super::program::Program;
use super::queue::{self, Receiving, Sending};
use crate::sys::{BATCH, Receiver};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::process::Command;
use std::time::Duration;

/// Datagrams echoed over each family.
const EACH: usize = 700;
/// Datagrams sent before their echoes are read.
const BURST: usize = 100;
/// More frames than the rings hold.
const BURSTS: usize = 2 * queue::FRAMES as usize / BURST + 2;

/// Two namespaces, removed on drop.
struct Spaces {
    names: [String; 2],
}

fn ip(arguments: &str) -> bool {
    Command::new("ip").args(arguments.split(' ')).output().is_ok_and(|done| done.status.success())
}

impl Spaces {
    /// `10.9.0.1` and `fd00::1` on `v0` in the first, `10.9.0.2` and `fd00::2` on `v1` in the second.
    fn new(test: &str) -> Option<Self> {
        let names = ["a", "b"].map(|end| format!("fsu-net-{}-{test}-{end}", std::process::id()));
        let spaces = Self { names };
        let [a, b] = &spaces.names;
        let all = [
            format!("netns add {a}"),
            format!("netns add {b}"),
            format!("-n {a} link add v0 type veth peer name v1 netns {b}"),
            format!("-n {a} addr add 10.9.0.1/24 dev v0"),
            format!("-n {b} addr add 10.9.0.2/24 dev v1"),
            format!("-n {a} addr add fd00::1/64 dev v0 nodad"),
            format!("-n {b} addr add fd00::2/64 dev v1 nodad"),
            format!("-n {a} link set v0 up"),
            format!("-n {b} link set v1 up"),
        ];
        let made = all.iter().all(|line| ip(line));
        if !made {
            eprintln!("skipped: no network namespaces with veth can be made here (root and iproute2 are needed)");
        }
        made.then_some(spaces)
    }

    /// Runs a closure in one of the namespaces, on its own thread.
    fn within<R: Send + 'static>(
        &self,
        number: usize,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> std::thread::JoinHandle<R> {
        let space = File::open(format!("/var/run/netns/{}", self.names[number])).unwrap();
        std::thread::spawn(move || {
            move_into_link_name_space(space.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            work()
        })
    }
}

impl Drop for Spaces {
    fn drop(&mut self) {
        for name in &self.names {
            ip(&format!("netns del {name}"));
        }
    }
}

/// All parts of a device's first queue.
struct Port {
    device: Device,
    program: Program,
    receiving: Receiving,
    sending: Sending,
}

impl Port {
    fn open(name: &str) -> Self {
        let device = Device::find(name).unwrap();
        let (receiving, sending) = queue::open(&device, 0).unwrap();
        let program = Program::attach(&device).unwrap();
        program.serve(0, receiving.socket()).unwrap();
        Self { device, program, receiving, sending }
    }

    /// Echoes this many datagrams; returns the number of damaged frames.
    fn echo(&mut self, many: usize) -> usize {
        let (mut done, mut damaged) = (0, 0);
        while done < many {
            let count = self.receiving.look();
            for number in 0..count {
                let bytes = self.receiving.frame(number).unwrap();
                let Some(Frame { hop, peer, ip, port, bytes }) = Frame::parse(bytes, self.device.index) else {
                    damaged += 1;
                    continue;
                };
                let way = Way { hops: (hop, self.device.hardware), peer, from: SocketAddr::new(ip, port) };
                let mtu = self.device.mtu;
                assert_eq!(self.sending.send(|out| frame::build(out, &way, mtu, bytes)), Some(true));
                done += 1;
            }
            self.sending.flush();
            self.receiving.done(count);
            self.receiving.wake_if_needed();
            std::thread::sleep(Duration::from_micros(100));
        }
        damaged
    }
}

fn client(at: &str) -> UdpSocket {
    let socket = UdpSocket::bind(at).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket
}

#[test]
fn datagrams_are_echoed_over_both_families_and_others_stay_with_the_kernel() {
    let Some(spaces) = Spaces::new("echo") else { return };
    let (ready, is_ready) = std::sync::mpsc::channel();
    let server = spaces.within(0, move || {
        let mut port = Port::open("v0");
        let addresses: Vec<IpAddr> = port.device.addresses.clone();
        assert!(addresses.contains(&IpAddr::from([10, 9, 0, 1])), "{:?}", port.device);
        let ours = addresses.iter().map(|&ip| SocketAddr::new(ip, 9_000)).collect::<Vec<_>>();
        port.program.addresses().add(&ours, 0).unwrap();
        // Assigned to another queue, so it goes to the kernel.
        port.program.addresses().add(&["10.9.0.1:9002".parse().unwrap()], 1).unwrap();
        let kernel = ["10.9.0.1:9001", "10.9.0.1:9002", "[fd00::1]:9001"].map(client);
        ready.send(()).unwrap();
        for socket in &kernel {
            let mut buffer = [0; 2_000];
            let (len, peer) = socket.recv_from(&mut buffer).unwrap();
            socket.send_to(&buffer[..len], peer).unwrap();
        }
        let damaged = port.echo(2 * EACH);
        port.program.addresses().remove(ours[0]).unwrap();
        assert!(port.program.addresses().remove(ours[0]).is_err());
        (damaged, port.receiving.statistics().unwrap(), port.receiving.is_zero_copy())
    });
    is_ready.recv().unwrap();
    let asked = spaces.within(1, move || {
        let mut buffer = [0; 2_000];
        for (from, to) in
            [("10.9.0.2:0", "10.9.0.1:9001"), ("10.9.0.2:0", "10.9.0.1:9002"), ("[fd00::2]:0", "[fd00::1]:9001")]
        {
            let socket = client(from);
            socket.send_to(b"kernel", to).unwrap();
            assert_eq!(socket.recv(&mut buffer).unwrap(), 6, "{to}");
        }
        for (from, to) in [("10.9.0.2:0", "10.9.0.1:9000"), ("[fd00::2]:0", "[fd00::1]:9000")] {
            let socket = client(from);
            for number in 0..EACH {
                // Lengths up to what fits into an IPv6 packet, in steps.
                let bytes: Vec<u8> = (0..number * 2).map(|at| (at ^ number) as u8).collect();
                socket.send_to(&bytes, to).unwrap();
                let (len, peer) = socket.recv_from(&mut buffer).unwrap();
                assert_eq!((&buffer[..len], peer), (&bytes[..], to.parse().unwrap()), "{number}");
            }
        }
    });
    asked.join().unwrap();
    let (damaged, statistics, is_zero_copy) = server.join().unwrap();
    assert_eq!((damaged, statistics, is_zero_copy), (0, queue::Statistics::default(), false));
}

/// More than the rings hold, so that every frame is reused; in bursts small enough that no ring overflows.
#[test]
fn limit_frames_are_used_again() {
    let Some(spaces) = Spaces::new("again") else { return };
    let (ready, is_ready) = std::sync::mpsc::channel();
    let server = spaces.within(0, move || {
        let mut port = Port::open("v0");
        port.program.addresses().add(&["10.9.0.1:9000".parse().unwrap()], 0).unwrap();
        ready.send(()).unwrap();
        port.echo(BURST * BURSTS);
        port.receiving.statistics().unwrap()
    });
    is_ready.recv().unwrap();
    let asked = spaces.within(1, || {
        let socket = client("10.9.0.2:0");
        let mut buffer = [0; 2_000];
        for burst in 0..BURSTS {
            for number in 0..BURST {
                socket.send_to(&[burst as u8, number as u8], "10.9.0.1:9000").unwrap();
            }
            for number in 0..BURST {
                let len = socket.recv(&mut buffer).unwrap();
                assert_eq!(buffer[..len], [burst as u8, number as u8]);
            }
        }
    });
    asked.join().unwrap();
    assert_eq!(server.join().unwrap(), queue::Statistics::default());
}

#[test]
fn a_device_has_one_program_and_a_queue_one_socket() {
    let Some(spaces) = Spaces::new("one") else { return };
    let tried = spaces.within(0, || {
        let port = Port::open("v0");
        let again = Program::attach(&port.device).map(|_| ()).unwrap_err();
        let socket = queue::open(&port.device, 0).map(|_| ()).unwrap_err();
        let no_queue = queue::open(&port.device, 9).map(|_| ()).unwrap_err();
        let errno = |(_, error): (&str, std::io::Error)| error.raw_os_error().unwrap();
        let seen = (port.device.queues, port.device.mtu, port.device.is_up);
        ([again, socket, no_queue].map(errno), seen)
    });
    let (errors, seen) = tried.join().unwrap();
    assert_eq!(errors, [libc::EBUSY, libc::EBUSY, libc::EINVAL]);
    assert_eq!(seen, (1, 1_500, true));
}

#[test]
fn limit_addresses_max_of_a_program() {
    let Some(spaces) = Spaces::new("max") else { return };
    let tried = spaces.within(0, || {
        let port = Port::open("v0");
        let address = |number: u32| {
            SocketAddr::new(IpAddr::from((0x0A00_0000 + number / 32_768).to_be_bytes()), (number % 32_768) as u16 + 1)
        };
        // The ports of the first address are in the table.
        let most = 32_768 + 262_144;
        let all: Vec<SocketAddr> = (0..most).map(address).collect();
        port.program.addresses().add(&all, 0).unwrap();
        let more = port.program.addresses().add(&[address(most)], 0).unwrap_err();
        // Adding the same addresses again takes no room; removing one makes room.
        port.program.addresses().add(&all[..10], 0).unwrap();
        port.program.addresses().add(&all[40_000..40_010], 0).unwrap();
        port.program.addresses().remove(all[40_005]).unwrap();
        port.program.addresses().add(&[address(most)], 0).unwrap();
        port.program.addresses().remove(all[5]).unwrap();
        port.program.addresses().add(&[all[5]], 0).unwrap();
        more.raw_os_error()
    });
    assert_eq!(tried.join().unwrap(), Some(libc::E2BIG));
}

/// Echoes this many datagrams on one socket, each from the address it was sent to.
fn echo_by_one_socket(socket: &UdpSocket, raw: &mut RawSender, many: usize) -> Vec<SocketAddr> {
    let (mut receiver, mut asked_at) = (Receiver::new(), Vec::new());
    while asked_at.len() < many {
        let Ok(count) = receiver.receive(socket.as_fd(), BATCH) else {
            std::thread::sleep(Duration::from_micros(100));
            continue;
        };
        for number in 0..count {
            let received = receiver.get(number).unwrap();
            assert!(received.control.arrived_ns.is_some());
            let from = received.control.asked_at.unwrap();
            asked_at.push(from);
            if !raw.push(from, received.peer, received.bytes) {
                assert!(raw.send().is_ok());
                raw.clear();
                assert!(raw.push(from, received.peer, received.bytes));
            }
        }
        raw.send().unwrap();
        raw.clear();
    }
    asked_at
}

#[test]
fn many_addresses_are_one_socket_and_replies_leave_from_each() {
    let Some(spaces) = Spaces::new("lookup") else { return };
    let (ready, is_ready) = std::sync::mpsc::channel();
    let server = spaces.within(0, move || {
        let socket = lookup::socket().unwrap();
        let program = LookUp::attach(&[socket.as_fd()]).unwrap();
        let mut raw = RawSender::open().unwrap();
        let all = ["10.9.0.1:9000", "[fd00::1]:9000", "0.0.0.0:9001", "[::]:9002"].map(|text| text.parse().unwrap());
        program.addresses().add(&all, 0).unwrap();
        let kernel = client("10.9.0.1:9003");
        ready.send(()).unwrap();
        let asked_at = echo_by_one_socket(&socket, &mut raw, 5 * 4);
        program.addresses().remove(all[0]).unwrap();
        let mut buffer = [0; 8];
        let (len, peer) = kernel.recv_from(&mut buffer).unwrap();
        kernel.send_to(&buffer[..len], peer).unwrap();
        asked_at
    });
    is_ready.recv().unwrap();
    let asked = spaces.within(1, || {
        let mut buffer = vec![0; 20_000];
        let all =
            ["10.9.0.1:9000", "[fd00::1]:9000", "10.9.0.1:9001", "10.9.0.1:9002", "[fd00::1]:9002", "10.9.0.1:9003"];
        for to in all.map(|text| text.parse::<SocketAddr>().unwrap()) {
            let socket = client(if to.is_ipv4() { "10.9.0.2:0" } else { "[fd00::2]:0" });
            // An unfragmented datagram, an empty one, and datagrams fragmented in both directions.
            let lengths = if to.port() == 9_003 { &[5][..] } else { &[5, 0, 1_000, 9_001] };
            for &len in lengths {
                let bytes: Vec<u8> = (0..len).map(|at: usize| (at * 3) as u8).collect();
                socket.send_to(&bytes, to).unwrap();
                let (got, from) = socket.recv_from(&mut buffer).unwrap();
                assert_eq!((&buffer[..got], from), (&bytes[..], to));
            }
        }
    });
    asked.join().unwrap();
    let asked_at = server.join().unwrap();
    assert_eq!(asked_at[16].to_string(), "[fd00::1]:9002");
}

#[test]
fn limit_frames_a_look_the_rest_stays() {
    let Some(spaces) = Spaces::new("look") else { return };
    let (ready, is_ready) = std::sync::mpsc::channel();
    let server = spaces.within(0, move || {
        let mut port = Port::open("v0");
        port.program.addresses().add(&["10.9.0.1:9000".parse().unwrap()], 0).unwrap();
        ready.send(()).unwrap();
        let mut looks = Vec::new();
        for expected in [128, 22] {
            while port.receiving.look() < expected {
                std::thread::sleep(Duration::from_millis(1));
            }
            looks.push(port.receiving.look());
            port.receiving.done(expected);
        }
        looks
    });
    is_ready.recv().unwrap();
    let asked = spaces.within(1, || {
        let socket = client("10.9.0.2:0");
        for _ in 0..150 {
            socket.send_to(&[1], "10.9.0.1:9000").unwrap();
        }
    });
    asked.join().unwrap();
    assert_eq!(server.join().unwrap(), [128, 22]);
}
