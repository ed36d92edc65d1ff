//! Heartbeats, and what else the B interface carries to a centre.

use fsu_plan::model::fleet::FsuId;
#[cfg(test)]
use fsu_plan::wire::envelope::{Comm, Frames, Up};
use std::collections::HashMap;
use std::net::SocketAddr;

/// FSUs that are counted separately; 48 bytes each.
const FSUS_MAX: usize = 100_000;

/// What a centre has received.
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
    /// Counts a heartbeat of the FSU with that id.
    pub fn heartbeat(&mut self, src: &[u8; FsuId::BYTES]) {
        self.heartbeats += 1;
        let len = src.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        let id = FsuId { bytes: *src, len: len as u8 };
        if self.by_fsu.len() < FSUS_MAX || self.by_fsu.contains_key(&id) {
            *self.by_fsu.entry(id).or_default() += 1;
        }
    }

    /// Adds what another thread heard.
    pub fn add(&mut self, other: &Self) {
        self.heartbeats += other.heartbeats;
        self.replies += other.replies;
        self.bad += other.bad;
        for (id, count) in &other.by_fsu {
            if self.by_fsu.len() < FSUS_MAX || self.by_fsu.contains_key(id) {
                *self.by_fsu.entry(*id).or_default() += count;
            }
        }
    }

    /// Counts what a datagram holds.
    #[cfg(test)]
    pub fn datagram(&mut self, bytes: &[u8], plain: &mut Vec<u8>) {
        for item in Frames::new(bytes) {
            let up = item.map_err(|bad| bad.reason).and_then(|frame| {
                let up = Up::new_checked(frame.plain(plain)?)?;
                Ok((*up.src, matches!(up.comm, Comm::Heartbeat)))
            });
            match up {
                Ok((src, true)) => self.heartbeat(&src),
                Ok((_, false)) => self.replies += 1,
                Err(_) => self.bad += 1,
            }
        }
    }
}

/// Does a socket that is bound to `here` hear what is sent to `to`?
pub fn hears(here: SocketAddr, to: SocketAddr) -> bool {
    here.port() == to.port() && (here.ip().is_unspecified() || here.ip() == to.ip())
}
