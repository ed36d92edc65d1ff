//! `--xdp`: requests leave and replies come as whole frames of a device's queue, one queue a thread (docs/use/xdp.md).
//!
//! The kernel's sockets stay beside it. The first request to a host leaves by the kernel, which finds the way; its reply tells the hardware
//! addresses for the next ones.

use crate::workload::options::Options;
use fsu_net::outbox::{Outbox, To};
use fsu_net::xdp::device::Device;
use fsu_net::xdp::frame::{Frame, Hardware, Way, build};
use fsu_net::xdp::program::Program;
use fsu_net::xdp::queue::{self, Receiving, Sending};
use fsu_plan::words::count;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::BorrowedFd;
use std::sync::Arc;

/// Hosts that are asked by frames; further ones are asked by the kernel.
const HOSTS_ASKED_MAX: usize = 4_096;

/// Why frames cannot be used, with the command that helps.
#[derive(Debug, thiserror::Error)]
#[error("--xdp {device}: {why}")]
pub struct XdpError {
    device: String,
    why: String,
}

/// A device and its program, for all threads.
#[derive(Debug)]
pub(crate) struct Opened {
    device: Device,
    program: Arc<Program>,
}

impl Opened {
    /// The device of the options, where they name one.
    ///
    /// # Errors
    /// It cannot be used: an [`XdpError`].
    pub(crate) fn new(options: &Options) -> io::Result<Option<Self>> {
        let Some(name) = &options.xdp else { return Ok(None) };
        let failed = |why: String| io::Error::other(XdpError { device: name.clone(), why });
        let device = Device::find(name).map_err(|error| failed(format!("{error} (ip link lists the devices)")))?;
        if (device.queues as usize) < options.threads {
            let (queues, threads) = (device.queues as usize, options.threads);
            return Err(failed(format!(
                "it receives by {}, and {threads} threads need as many (ethtool -L {name} combined {threads}; or --threads {queues})",
                count(queues, "queue")
            )));
        }
        let program = Program::attach(&device);
        let program = program.map_err(|(what, error)| {
            failed(format!(
                "{what}: {error} (root, or CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF; a driver with XDP, and no other program on the device)"
            ))
        })?;
        Ok(Some(Self { device, program: Arc::new(program) }))
    }

    /// A thread's queue, for replies to these sockets.
    ///
    /// # Errors
    /// It cannot be used: an [`XdpError`].
    pub(crate) fn queue(&self, number: usize, sockets: &[UdpSocket]) -> io::Result<Frames> {
        let name = &self.device.name;
        let failed = |what: &str, error: &io::Error| {
            io::Error::other(XdpError { device: name.clone(), why: format!("{what}: {error}") })
        };
        let queue = number as u32;
        let (receiving, sending) = queue::open(&self.device, queue).map_err(|(what, error)| failed(what, &error))?;
        let ports: Vec<u16> = sockets
            .iter()
            .map(|socket| socket.local_addr().map(|address| address.port()))
            .collect::<io::Result<_>>()?;
        let all = self.device.addresses.iter().flat_map(|&ip| ports.iter().map(move |&port| SocketAddr::new(ip, port)));
        let all: Vec<SocketAddr> = all.collect();
        let served = self.program.serve(queue, receiving.socket());
        served
            .and_then(|()| self.program.addresses().add(&all, queue))
            .map_err(|error| failed("its program", &error))?;
        let (device, program) = (self.device.clone(), Arc::clone(&self.program));
        Ok(Frames { device, _program: program, receiving, sending, ports, hosts: Hosts::default() })
    }
}

/// A host that is asked by frames: its address, its hardware address or its router's, and our address.
type Host = (IpAddr, Hardware, IpAddr);

/// A datagram that came as a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Came {
    number: u32,
    /// The number of the socket that it is for.
    pub(super) socket: usize,
    /// Who sent it.
    pub(super) from: SocketAddr,
    start: usize,
    bytes: usize,
}

/// A thread's queue.
#[derive(Debug)]
pub struct Frames {
    device: Device,
    _program: Arc<Program>,
    receiving: Receiving,
    sending: Sending,
    /// By socket.
    ports: Vec<u16>,
    hosts: Hosts,
}

impl Frames {
    /// Readable when frames have come.
    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.receiving.socket()
    }

    /// Frames that the kernel dropped because they were not taken in time.
    pub(super) fn drops(&self) -> u64 {
        self.sending.statistics().map_or(0, |counted| counted.dropped + counted.ring_full)
    }

    /// Writes the first datagrams of an outbox as frames from that socket; how many. They leave with [`Frames::flush`] at the latest. `None`: the device takes no more at the moment. 0: the
    /// first has to leave by the kernel.
    pub(super) fn send(&mut self, socket: usize, outbox: &Outbox<To>) -> Option<usize> {
        let port = self.ports.get(socket).copied().unwrap_or_default();
        let mut count = 0;
        while let Some((To(peer), bytes)) = outbox.get(count) {
            let Some((_, hop, ip)) = self.hosts.to(peer.ip()) else { break };
            let way = Way { hops: (hop, self.device.hardware), peer, from: SocketAddr::new(ip, port) };
            let mtu = self.device.mtu;
            match self.sending.send(|out| build(out, &way, mtu, bytes)) {
                Some(true) => count += 1,
                Some(false) if count == 0 => {
                    self.sending.flush();
                    return None;
                }
                _ => break,
            }
        }
        Some(count)
    }

    /// Hands what [`Frames::send`] has written to the device.
    pub(super) fn flush(&mut self) {
        self.sending.flush();
    }

    /// Takes a look at what has come; how many frames.
    pub(super) fn look(&mut self) -> u32 {
        if self.sending.is_waiting() {
            self.sending.flush();
        }
        self.receiving.look()
    }

    /// Whose datagram one of them is: the socket's number, the sender, and where its bytes are.
    #[inline]
    pub(super) fn came(&mut self, number: u32) -> Option<Came> {
        let Self { device, receiving, ports, hosts, .. } = self;
        let bytes = receiving.frame(number)?;
        let frame = Frame::parse(bytes, device.index)?;
        let socket = ports.iter().position(|&port| port == frame.port)?;
        hosts.learn((frame.peer.ip(), frame.hop, frame.ip));
        let start = frame.bytes.as_ptr().addr() - bytes.as_ptr().addr();
        Some(Came { number, socket, from: frame.peer, start, bytes: frame.bytes.len() })
    }

    /// Its bytes.
    #[inline]
    pub(super) fn bytes(&self, came: &Came) -> &[u8] {
        let frame = self.receiving.frame(came.number).unwrap_or_default();
        frame.get(came.start..).and_then(|rest| rest.get(..came.bytes)).unwrap_or_default()
    }

    /// All of them are done with.
    pub(super) fn done(&mut self, count: u32) {
        self.receiving.done(count);
        self.receiving.wake_if_needed();
    }
}

/// Hosts that are asked by frames.
#[derive(Debug, Default)]
struct Hosts {
    all: HashMap<IpAddr, (Hardware, IpAddr)>,
    latest: Option<Host>,
}

impl Hosts {
    #[inline]
    fn learn(&mut self, host: Host) {
        if self.latest == Some(host) {
            return;
        }
        if self.all.len() < HOSTS_ASKED_MAX || self.all.contains_key(&host.0) {
            self.all.insert(host.0, (host.1, host.2));
            self.latest = Some(host);
        }
    }

    #[inline]
    fn to(&mut self, ip: IpAddr) -> Option<Host> {
        if let Some(latest) = self.latest.filter(|&(latest, ..)| latest == ip) {
            return Some(latest);
        }
        let &(hop, ours) = self.all.get(&ip)?;
        self.latest = Some((ip, hop, ours));
        self.latest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_hosts_asked_max_further_ones_are_asked_by_the_kernel() {
        let (mut hosts, ours) = (Hosts::default(), IpAddr::from([10, 9, 0, 2]));
        let host = |number: u32| IpAddr::from((0x0A0A_0000 + number).to_be_bytes());
        for number in 0..=4_096 {
            hosts.learn((host(number), [1; 6], ours));
        }
        hosts.learn((host(5), [2; 6], ours));
        let got = [4, 5, 4_095, 4_096].map(|number| hosts.to(host(number)).map(|(_, hop, _)| hop));
        assert_eq!(got, [Some([1; 6]), Some([2; 6]), Some([1; 6]), None]);
    }
}
