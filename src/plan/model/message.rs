//! Messages: what they travel in, and those that an FSU sends by itself.

use crate::words;
use std::sync::Arc;

words! {
    /// How an FSU is reached: `protocol_type`; part of the device log's file name.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum Transport {
        /// B interface: outer frames in datagrams.
        Udp = "udp",
        /// The vendor's frames in a stream.
        Tcp = "tcp",
        /// BroadCast: one inner frame a datagram, transfers of many frames.
        Broadcast = "broadcast",
        /// One inner frame a datagram, without an outer frame.
        Datagram = "datagram",
    }
}

impl Transport {
    /// What the inner frame travels in.
    #[inline]
    pub const fn envelope(self) -> Envelope {
        match self {
            Self::Udp => Envelope::BInterface,
            Self::Tcp | Self::Broadcast | Self::Datagram => Envelope::Bare,
        }
    }

    /// Whether messages are datagrams; else they follow each other in a stream.
    #[inline]
    pub const fn is_datagrams(self) -> bool {
        !matches!(self, Self::Tcp)
    }

    /// Whether a datagram is the inner frame itself.
    #[inline]
    pub const fn is_bare_datagrams(self) -> bool {
        matches!(self, Self::Broadcast | Self::Datagram)
    }
}

/// What an inner frame travels in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Envelope {
    /// Nothing: the frame is the message.
    Bare,
    /// The outer frame of the B interface: a header, the frame as through data, P_verify, escapes
    /// ([`crate::wire::envelope`]).
    BInterface,
}

impl Envelope {
    /// Bytes around the inner frame, before escaping (spec b-interface.md, Layout).
    pub const fn overhead_bytes(self) -> usize {
        match self {
            Self::Bare => 0,
            Self::BInterface => 40,
        }
    }

    /// Whether it can carry that message.
    #[inline]
    pub const fn carries(self, content: Content) -> bool {
        match content {
            Content::Heartbeat => matches!(self, Self::BInterface),
        }
    }
}

/// A message that no request asks for. It goes to every centre that the FSU knows, and to the static one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it says.
    pub content: Content,
    /// When it is sent.
    pub schedule: Schedule,
}

impl Message {
    /// A heartbeat each interval; nothing without one.
    pub fn heartbeats(interval_ms: Option<u64>) -> Arc<[Self]> {
        let beat = |interval_ms| Self { content: Content::Heartbeat, schedule: Schedule { interval_ms } };
        interval_ms.map(beat).into_iter().collect()
    }
}

/// What a message without a request says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// The FSU is there: an envelope without an inner frame.
    Heartbeat,
}

/// When a message is sent: again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Milliseconds from one to the next.
    pub interval_ms: u64,
}

impl Schedule {
    /// When number `number` of `of` FSUs sends its first one, in milliseconds after the start: spread over the interval.
    pub fn phase_ms(self, number: usize, of: usize) -> u64 {
        let phase = u128::from(self.interval_ms) * number as u128 / of.max(1) as u128;
        phase as u64
    }

    /// When the next one is due after that of `due_ms`. Those that were slept through are left out.
    pub fn next_ms(self, due_ms: u64, now_ms: u64) -> u64 {
        let interval_ms = self.interval_ms.max(1);
        let missed = now_ms.saturating_sub(due_ms) / interval_ms;
        due_ms.saturating_add(interval_ms.saturating_mul(missed + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_messages_are_due() {
        let schedule = |interval_ms| Schedule { interval_ms };
        let first = |number, of, expected| assert_eq!(schedule(1_000).phase_ms(number, of), expected);
        first(0, 4, 0);
        first(3, 4, 750);
        first(0, 0, 0);
        assert_eq!(schedule(u64::MAX).phase_ms(1, 2), u64::MAX / 2);
        let next =
            |interval_ms, due, now, expected| assert_eq!(schedule(interval_ms).next_ms(due, now), expected, "{now}");
        next(100, 1_000, 1_000, 1_100);
        next(100, 1_000, 1_099, 1_100);
        next(100, 1_000, 1_100, 1_200);
        next(100, 1_000, 1_350, 1_400);
        next(0, 1_000, 1_000, 1_001);
        next(u64::MAX, 1, 2, u64::MAX);
    }

    #[test]
    fn heartbeats_are_of_the_b_interface_alone() {
        let carriers = Transport::ALL.into_iter().filter(|of| of.envelope().carries(Content::Heartbeat));
        assert_eq!(carriers.collect::<Vec<_>>(), [Transport::Udp]);
    }
}
