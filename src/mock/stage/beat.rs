//! The schedule of heartbeats, which no request asks for (spec b-interface.md, Clients and heartbeats).

use fsu_plan::model::fleet::{Fsu, Transport};

/// Milliseconds from one heartbeat of an FSU to the next, at least 1; `None` if it sends none by itself.
pub fn interval_ms(fsu: &Fsu) -> Option<u64> {
    fsu.heartbeat_interval_ms.filter(|_| fsu.transport == Transport::Udp).map(|interval_ms| interval_ms.max(1))
}

/// When the first heartbeat of FSU `number` of `of` is due, after `now_ms`: first heartbeats are spread evenly over the interval.
pub fn first_due_ms(interval_ms: u64, (number, of): (usize, usize), now_ms: u64) -> u64 {
    let phase_ms = u128::from(interval_ms) * number as u128 / of.max(1) as u128;
    now_ms.saturating_add(phase_ms as u64)
}

/// When the heartbeat after the one of `due_ms` is due. Missed heartbeats are skipped, not sent late.
pub fn next_due_ms(interval_ms: u64, due_ms: u64, now_ms: u64) -> u64 {
    let missed = now_ms.saturating_sub(due_ms) / interval_ms.max(1);
    due_ms.saturating_add(interval_ms.saturating_mul(missed + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heartbeats_keep_their_places() {
        let firsts = [0, 1, 2, 3].map(|number| first_due_ms(1_000, (number, 4), 50));
        assert_eq!(firsts, [50, 300, 550, 800]);
        for (now_ms, expected) in [(300, 1_300), (1_299, 1_300), (1_300, 2_300), (9_999, 10_300)] {
            assert_eq!(next_due_ms(1_000, 300, now_ms), expected, "{now_ms}");
        }
        assert_eq!(next_due_ms(u64::MAX, 300, 400), u64::MAX);
    }
}
