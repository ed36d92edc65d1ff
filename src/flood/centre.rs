//! A stand-in for a supervision centre: it only listens, and counts the heartbeats of each FSU.

use super::text::thousands;
use super::worker::wait_for;
use crate::codec::outer::{Comm, Frames, Up};
use crate::plan::fleet::{Fleet, FsuId};
use crate::shard::sys::{BATCH, Receiver};
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// FSUs that are told apart; 48 bytes each.
const FSUS_MAX: usize = 100_000;
/// FSUs that are listed at the end.
const LISTED_MAX: usize = 20;
/// Asked for the socket.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;

/// What came.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Heartbeats by FSU.
    pub by_fsu: HashMap<FsuId, u64>,
    /// Heartbeats of all FSUs, also those past the limit.
    pub heartbeats: u64,
    /// Good frames that are no heartbeats.
    pub replies: u64,
    /// What is no good frame.
    pub bad: u64,
}

impl Heard {
    /// Counts what a datagram holds.
    pub fn datagram(&mut self, bytes: &[u8], plain: &mut Vec<u8>) {
        for item in Frames::new(bytes) {
            let up = item.map_err(|bad| bad.reason).and_then(|frame| {
                let up = Up::new_checked(frame.plain(plain)?)?;
                Ok((*up.src, matches!(up.comm, Comm::Heartbeat)))
            });
            match up {
                Ok((src, true)) => {
                    self.heartbeats += 1;
                    let len = src.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
                    let id = FsuId { bytes: src, len: len as u8 };
                    if self.by_fsu.len() < FSUS_MAX || self.by_fsu.contains_key(&id) {
                        *self.by_fsu.entry(id).or_default() += 1;
                    }
                }
                Ok((_, false)) => self.replies += 1,
                Err(_) => self.bad += 1,
            }
        }
    }

    /// For people.
    pub fn text(&self, seconds: f64, fleet: Option<&Fleet>) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "{} heartbeats of {} FSUs in {seconds:.1} s; {} other frames, {} that were none",
            thousands(self.heartbeats),
            thousands(self.by_fsu.len() as u64),
            thousands(self.replies),
            thousands(self.bad),
        );
        let mut all: Vec<(&FsuId, u64)> = self.by_fsu.iter().map(|(id, count)| (id, *count)).collect();
        all.sort_unstable_by_key(|(id, _)| id.bytes);
        for (id, count) in all.iter().take(LISTED_MAX) {
            let name = fleet.and_then(|fleet| fleet.fsus.iter().find(|fsu| fsu.id.bytes == id.bytes));
            let _ = writeln!(out, "  {:>8}  {id:?}  {}", thousands(*count), name.map_or("", |fsu| &fsu.name));
        }
        if all.len() > LISTED_MAX {
            let _ = writeln!(out, "  and {} more", all.len() - LISTED_MAX);
        }
        if let Some(fleet) = fleet {
            let mute = fleet.fsus.iter().filter(|fsu| {
                fsu.heartbeat_interval_ms.is_some() && !self.by_fsu.keys().any(|id| id.bytes == fsu.id.bytes)
            });
            let _ = writeln!(out, "{} FSUs that send heartbeats were not heard", mute.count());
        }
        out
    }
}

/// Listens until the time is over or `stop` says so; the counts as text.
pub fn listen(
    address: SocketAddr,
    time: Duration,
    fleet: Option<&Fleet>,
    quiet: bool,
    stop: &mut dyn FnMut() -> bool,
) -> io::Result<String> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        // [::] hears IPv4 too, whatever net.ipv6.bindv6only says.
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    // Less is given without an error.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
    socket.bind(&address.into())?;
    let socket: UdpSocket = socket.into();
    let _ = writeln!(io::stderr().lock(), "listening {}", socket.local_addr()?);
    let (mut receiver, mut plain, mut heard) = (Receiver::new(), Vec::new(), Heard::default());
    let start = Instant::now();
    let (mut next, mut before) = (start + Duration::from_secs(1), 0);
    while start.elapsed() < time && !stop() {
        wait_for(&socket, Duration::from_millis(50))?;
        loop {
            match receiver.receive(socket.as_fd(), BATCH) {
                Ok(count) => {
                    for received in (0..count).filter_map(|at| receiver.get(at)) {
                        received.datagrams().for_each(|bytes| heard.datagram(bytes, &mut plain));
                    }
                    if count < BATCH {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if Instant::now() >= next {
            next += Duration::from_secs(1);
            if !quiet {
                let (at, rate) = (start.elapsed().as_secs_f64(), heard.heartbeats - before);
                let fsus = heard.by_fsu.len();
                let _ =
                    writeln!(io::stderr().lock(), "{at:6.1} s  heartbeats {rate:>9}/s  FSUs {fsus}  bad {}", heard.bad);
            }
            before = heard.heartbeats;
        }
    }
    Ok(heard.text(start.elapsed().as_secs_f64(), fleet))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::outer::{Head, escape_in_place};

    #[test]
    fn heartbeats_are_counted_by_fsu() {
        let beat = |id: u8| {
            let mut bytes = [0; FsuId::BYTES];
            bytes[0] = id;
            let mut out = Vec::new();
            Head::heartbeat(&bytes, 1, 1).build(None, &mut out).unwrap();
            escape_in_place(&mut out);
            out
        };
        let mut heard = Heard::default();
        let two = [beat(1), beat(0xFE)].concat();
        for datagram in [beat(1), two, vec![0xFF, 0xFE], vec![1, 2]] {
            heard.datagram(&datagram, &mut Vec::new());
        }
        assert_eq!((heard.heartbeats, heard.by_fsu.len(), heard.bad), (3, 2, 2));
        assert!(heard.text(1.0, None).starts_with("3 heartbeats of 2 FSUs in 1.0 s; 0 other frames, 2 that were none"));
    }

    #[test]
    fn limit_listed_max() {
        let lines = |fsus: u8| {
            let mut heard = Heard::default();
            let id = |number: u8| FsuId { bytes: [number; FsuId::BYTES], len: 1 };
            heard.by_fsu.extend((0..fsus).map(|number| (id(number), 1)));
            let text = heard.text(1.0, None);
            (text.lines().count(), text.contains("and 1 more"))
        };
        assert_eq!((lines(20), lines(21)), ((21, false), (22, true)));
    }
}
