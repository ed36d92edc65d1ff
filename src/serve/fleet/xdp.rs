//! `--driver xdp` and `--one-socket`: what they need of the machine and of the device, and what opens them (docs/use/xdp.md,
//! docs/use/one-socket.md).

use crate::driver::one::Shared;
use crate::driver::port::Queue;
use fsu_net::xdp::device::Device;
use fsu_net::xdp::lookup::{self, LookUp};
use fsu_net::xdp::program::{ATTACHING, Program};
use fsu_net::xdp::queue;
use fsu_plan::model::fleet::Fleet;
use fsu_plan::model::message::Transport;
use fsu_plan::words::count;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::Arc;

/// Capabilities that it takes, by their bits in `CapEff`; CAP_SYS_ADMIN has CAP_BPF in it.
const CAPABILITIES: [(&str, u64); 3] =
    [("CAP_NET_ADMIN", 1 << 12), ("CAP_NET_RAW", 1 << 13), ("CAP_BPF", 1 << 39 | 1 << 21)];

/// What keeps the driver from working here, and the command that helps.
#[derive(Debug, thiserror::Error)]
pub enum Lack {
    /// The device cannot be used.
    #[error("device {name}: {error} (ip link lists the devices; --xdp-dev names one)")]
    Device {
        /// Its name.
        name: String,
        /// The system's error.
        error: io::Error,
    },
    /// It is switched off.
    #[error("device {name} is down (ip link set {name} up)")]
    Down {
        /// Its name.
        name: String,
    },
    /// The process has too few capabilities.
    #[error(
        "{0} is needed (as root, or setcap cap_net_admin,cap_net_raw,cap_bpf=ep PROGRAM; under systemd AmbientCapabilities=; in a \
         container --cap-add)"
    )]
    Capability(&'static str),
    /// Each shard needs a queue.
    #[error(
        "device {name} receives by {}, and {shards} shards need as many (ethtool -L {name} combined {shards}; or --shards {queues})",
        count(*queues as usize, "queue")
    )]
    Queues {
        /// The device.
        name: String,
        /// Its queues.
        queues: u32,
        /// The shards.
        shards: usize,
    },
    /// No FSU is on it.
    #[error(
        "no udp FSU listens on an address of device {name}: {} (`host`, or --bind, is one of them)",
        listed(addresses)
    )]
    NoFsu {
        /// The device.
        name: String,
        /// Its addresses.
        addresses: Vec<IpAddr>,
    },
    /// Another program is attached.
    #[error("device {name} has an XDP program already (ip link set dev {name} xdp off; another fsu-mock may have it)")]
    Taken {
        /// The device.
        name: String,
    },
    /// The device's driver takes no program, or not now.
    #[error(
        "the driver of device {name} takes no XDP program: {error} (ethtool -i {name} names the driver; the MTU may be too long, or queues too many: docs/use/xdp.md)"
    )]
    Driver {
        /// The device.
        name: String,
        /// The system's error.
        error: io::Error,
    },
    /// Anything else.
    #[error("{what}: {error} (docs/use/xdp.md)")]
    Refused {
        /// Which step failed.
        what: &'static str,
        /// The system's error.
        error: io::Error,
    },
}

fn listed(addresses: &[IpAddr]) -> String {
    match addresses {
        [] => "it has none".to_owned(),
        some => some.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}

/// The device, where nothing is missing that can be seen before anything is bound.
///
/// # Errors
/// Everything that is missing.
pub fn look(name: &str, shards: usize, fleet: &Fleet) -> Result<Device, Vec<Lack>> {
    let mut lacking = lacking();
    match Device::find(name) {
        Ok(device) => {
            lacking.extend(missing_of(&device, shards, fleet));
            if lacking.is_empty() { Ok(device) } else { Err(lacking) }
        }
        Err(error) => {
            lacking.push(Lack::Device { name: name.to_owned(), error });
            Err(lacking)
        }
    }
}

/// Capabilities that are missing.
pub fn lacking() -> Vec<Lack> {
    missing_capabilities(&read_status()).map(Lack::Capability).collect()
}

/// `--one-socket`: a socket for each shard, and the program that gives them datagrams.
///
/// # Errors
/// What was refused.
pub fn share(shards: usize) -> Result<Vec<Shared>, Lack> {
    let refused = |(what, error): (&'static str, io::Error)| Lack::Refused { what, error };
    let sockets = (0..shards).map(|_| lookup::socket()).collect::<io::Result<Vec<_>>>();
    let sockets = sockets.map_err(|error| refused(("a UDP socket", error)))?;
    let all: Vec<_> = sockets.iter().map(AsFd::as_fd).collect();
    let program = Arc::new(LookUp::attach(&all).map_err(refused)?);
    let shared = (0..).zip(sockets).map(|(number, socket)| Shared { socket, number, program: program.clone() });
    Ok(shared.collect())
}

fn read_status() -> String {
    std::fs::read_to_string("/proc/self/status").unwrap_or_default()
}

/// Of a process with that `/proc/self/status`; none where that says nothing.
fn missing_capabilities(status: &str) -> impl Iterator<Item = &'static str> + use<> {
    let hex = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = hex.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(u64::MAX);
    CAPABILITIES.into_iter().filter(move |&(_, bits)| effective & bits == 0).map(|(name, _)| name)
}

fn missing_of(device: &Device, shards: usize, fleet: &Fleet) -> Vec<Lack> {
    let mut lacking = Vec::new();
    let name = || device.name.clone();
    if !device.is_up {
        lacking.push(Lack::Down { name: name() });
    }
    if (device.queues as usize) < shards {
        lacking.push(Lack::Queues { name: name(), queues: device.queues, shards });
    }
    let on_it = |ip: IpAddr| match ip {
        IpAddr::V4(four) if four.is_unspecified() => device.addresses.iter().any(IpAddr::is_ipv4),
        IpAddr::V6(six) if six.is_unspecified() => !device.addresses.is_empty(),
        ip => device.addresses.contains(&ip),
    };
    if !fleet.fsus.iter().any(|fsu| fsu.transport == Transport::Udp && on_it(fsu.bind.ip())) {
        lacking.push(Lack::NoFsu { name: name(), addresses: device.addresses.clone() });
    }
    lacking
}

/// Opens a queue for each shard, and attaches the program. After the sockets are bound, so that a second instance reports those first.
///
/// # Errors
/// What was refused.
pub fn open(device: &Arc<Device>, shards: usize) -> Result<Vec<Queue>, Lack> {
    let refused = |(what, error): (&'static str, io::Error)| Lack::Refused { what, error };
    let program = Program::attach(device).map_err(|(what, error)| match error.raw_os_error() {
        Some(libc::EBUSY | libc::EEXIST) if what == ATTACHING => Lack::Taken { name: device.name.clone() },
        _ if what == ATTACHING => Lack::Driver { name: device.name.clone(), error },
        _ => refused((what, error)),
    })?;
    let program = Arc::new(program);
    let ends = (0..shards as u32).map(|number| queue::open(device, number)).collect::<Result<Vec<_>, _>>();
    let ends = ends.map_err(refused)?;
    let opened = (0..).zip(ends).map(|(number, ends)| {
        let served = program.serve(number, ends.0.socket());
        served.map_err(|error| refused(("giving the program a socket", error)))?;
        Ok(Queue { device: device.clone(), number, program: program.clone(), ends })
    });
    opened.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::fixtures::fleet;

    /// What is missing of a device for the fleet of the fixtures, its first FSU at that address.
    fn check(bind: &str, (queues, is_up): (u32, bool), shards: usize, expected: &[&str]) {
        let mut fleet = fleet();
        for fsu in &mut fleet.fsus {
            fsu.bind = bind.parse().expect("an address");
        }
        let addresses = ["10.9.0.1", "fd00::1"].map(|ip| ip.parse().expect("an address")).to_vec();
        let device = Device { name: "v0".into(), index: 3, hardware: [2; 6], queues, mtu: 1_500, is_up, addresses };
        let told: Vec<String> = missing_of(&device, shards, &fleet).iter().map(ToString::to_string).collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn what_is_missing_is_told_with_the_command_that_helps() {
        check("10.9.0.1:9000", (2, true), 2, &[]);
        check("0.0.0.0:9000", (1, true), 1, &[]);
        check("[::]:9000", (1, true), 1, &[]);
        check("[fd00::1]:9000", (1, true), 1, &[]);
        check("10.9.0.1:9000", (1, false), 1, &["device v0 is down (ip link set v0 up)"]);
        let queues =
            "device v0 receives by 1 queue, and 2 shards need as many (ethtool -L v0 combined 2; or --shards 1)";
        let none =
            "no udp FSU listens on an address of device v0: 10.9.0.1, fd00::1 (`host`, or --bind, is one of them)";
        check("127.0.0.1:9000", (1, true), 2, &[queues, none]);
    }

    #[test]
    fn capabilities_are_read() {
        let missing = |status: &str| missing_capabilities(status).collect::<Vec<_>>();
        assert_eq!(missing("Name:\tx\nCapEff:\t0000000000000000\n"), ["CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_BPF"]);
        assert_eq!(missing("CapEff:\t0000008000003000\n"), [""; 0]);
        assert_eq!(missing("CapEff:\t0000000000203000\n"), [""; 0]);
        assert_eq!(missing(""), [""; 0]);
    }

    #[test]
    fn a_device_that_is_not_there_is_told() {
        let told = look("no-such-device", 1, &fleet()).expect_err("there is none");
        let told = told.last().expect("one").to_string();
        assert!(told.starts_with("device no-such-device: No such device"), "{told}");
    }
}
