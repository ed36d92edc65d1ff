//! The ports that connections are opened from.
//!
//! Left to itself, the kernel looks for a free port one by one. Once half of its range is taken, that takes a millisecond for each
//! connection. Here each one is offered a few ports that come next in the range.

use super::set_option;
use std::os::fd::BorrowedFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Ports offered to one connection at a time.
const OFFERED: u32 = 16;
/// How often other ports are offered, where all were taken. Then the kernel looks by itself.
pub(crate) const OFFERS_MAX: usize = 4;

/// Parts of the range, by turns.
#[derive(Debug)]
pub(crate) struct Ports {
    first: u32,
    parts: u32,
    next: AtomicU32,
}

impl Ports {
    /// Of the range of `net.ipv4.ip_local_port_range`; none of one that is too short. `at`: where the turns begin.
    pub(crate) fn new(range: &str, at: u32) -> Option<Self> {
        let mut numbers = range.split_ascii_whitespace().map(str::parse::<u16>);
        let (first, last) = (u32::from(numbers.next()?.ok()?), u32::from(numbers.next()?.ok()?));
        let parts = (last + 1).checked_sub(first)? / OFFERED;
        (first > 0 && parts > 1).then(|| Self { first, parts, next: AtomicU32::new(at % parts) })
    }

    /// The first and the last port of the next part.
    fn offer(&self) -> (u16, u16) {
        let part = self.next.fetch_add(1, Ordering::Relaxed) % self.parts;
        let first = self.first + part * OFFERED;
        (first as u16, (first + OFFERED - 1) as u16)
    }

    /// Those of this program. Several programs of one machine begin at different places.
    pub(crate) fn of_program() -> Option<&'static Self> {
        static PORTS: OnceLock<Option<Ports>> = OnceLock::new();
        let read = || {
            let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
            Self::new(&range, std::process::id().wrapping_mul(0x9E37_79B1) >> 8)
        };
        PORTS.get_or_init(read).as_ref()
    }

    /// Offers a socket that is to be connected the next ports; false: this system has no such option.
    pub(crate) fn offer_to(&self, socket: BorrowedFd<'_>) -> bool {
        let (first, last) = self.offer();
        let both = u32::from(first) | u32::from(last) << 16;
        set_option(socket, libc::SOL_IP, IP_LOCAL_PORT_RANGE, both.cast_signed()).is_ok()
    }

    /// Offers it all of them. Fails where there is no such option; then nothing was offered before.
    pub(crate) fn offer_all(socket: BorrowedFd<'_>) {
        let _ = set_option(socket, libc::SOL_IP, IP_LOCAL_PORT_RANGE, 0);
    }
}

/// Since Linux 6.3 (ip(7)): the first port in the lower half, the last one in the upper half.
const IP_LOCAL_PORT_RANGE: i32 = 51;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_offered_parts_of_the_range_come_in_turn() {
        let check = |range: &str, at: u32, expected: &[(u16, u16)]| {
            let ports = Ports::new(range, at);
            let got: Vec<(u16, u16)> =
                ports.map_or(Vec::new(), |ports| expected.iter().map(|_| ports.offer()).collect());
            assert_eq!(got, expected, "{range}");
        };
        check("1000\t1047\n", 0, &[(1000, 1015), (1016, 1031), (1032, 1047), (1000, 1015)]);
        check("1000 1062", 5, &[(1032, 1047), (1000, 1015)]);
        check("65504 65535", 1, &[(65520, 65535), (65504, 65519)]);
        for none in ["", "1000", "1000 1031x", "1000 1015", "2000 1000", "0 60000", "70000 80000"] {
            assert!(Ports::new(none, 0).is_none(), "{none}");
        }
    }
}
