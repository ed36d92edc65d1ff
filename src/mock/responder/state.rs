//! What an FSU remembers between messages.

use super::random::identity;
use super::transfer::MaybeTransfers;
use fsu_plan::model::fault::FaultKind;
use fsu_plan::model::fleet::Fsu;
use fsu_plan::model::template::ErrorReply;
use fsu_plan::wire::reason::Reason;
use std::ops::{Deref, DerefMut};

/// Counters of one FSU. Owned by its shard; read at exit.
///
/// What every request counts stands here, the rest elsewhere: with thousands of FSUs every cache line is a miss.
#[derive(Clone, Debug, Default)]
#[repr(C)]
pub struct Counters {
    /// Requests that reached the FSU: frames, not datagrams.
    pub received: u64,
    /// Replies handed to the kernel.
    pub answered: u64,
    /// All others.
    pub rare: Box<RareCounters>,
}

/// Those of [`Counters`] that few requests count.
#[derive(Clone, Debug)]
pub struct RareCounters {
    /// Requests that a rule leaves unanswered on purpose (`timeout`).
    pub silent: u64,
    /// Replies to wrong requests, from the template's `errors`, by [`ErrorReply`]; also in `answered`.
    pub error_replies: [u64; ErrorReply::COUNT],
    /// Requests with a wrong checksum, answered or not.
    pub bad_checksum_seen: u64,
    /// Values that did not fit their field when a reply was built; the field kept what the template gives it.
    pub value_misfits: u64,
    /// Outer lengths in high-byte-first order, accepted.
    pub big_endian_lengths: u64,
    /// Heartbeats sent.
    pub heartbeats_sent: u64,
    /// Heartbeats of centres received.
    pub heartbeats_received: u64,
    /// Centres that came.
    pub centres_online: u64,
    /// Centres that fell silent, or were pushed out by a newer one.
    pub centres_offline: u64,
    /// TCP connections accepted.
    pub connections: u64,
    /// Transfers begun: an answer that data follows.
    pub transfers_opened: u64,
    /// Transfers whose last frame was sent.
    pub transfers_completed: u64,
    /// Transfers that a new command ended before their last frame.
    pub transfers_aborted: u64,
    /// Transfers that ended before their last frame because nobody asked for the next in time.
    pub transfers_timed_out: u64,
    /// Refusals: demands that no open transfer could meet, and commands with data when all transfers were in use.
    pub transfers_refused: u64,
    /// Of these, commands and demands of another host whose data is too long for it ([`Reason::Amplification`]).
    pub transfers_refused_amplification: u64,
    /// First data frames, which follow an answer unasked; handed to the kernel.
    pub data_frames_unasked: u64,
    /// Data frames sent once more because the same one was asked for again.
    pub data_frames_resent: u64,
    /// Device-log records lost because the queue was full.
    pub log_records_lost: u64,
    /// Datagrams that the kernel lost because the FSU's socket had no room: they never reached the FSU.
    pub kernel_drops: u64,
    /// Drops, by [`Reason`].
    pub dropped: [u64; Reason::COUNT],
    /// Faults made on purpose, by [`FaultKind`].
    pub faults: [u64; FaultKind::COUNT],
}

impl Default for RareCounters {
    fn default() -> Self {
        Self {
            silent: 0,
            error_replies: [0; ErrorReply::COUNT],
            bad_checksum_seen: 0,
            value_misfits: 0,
            big_endian_lengths: 0,
            heartbeats_sent: 0,
            heartbeats_received: 0,
            centres_online: 0,
            centres_offline: 0,
            connections: 0,
            transfers_opened: 0,
            transfers_completed: 0,
            transfers_aborted: 0,
            transfers_timed_out: 0,
            transfers_refused: 0,
            transfers_refused_amplification: 0,
            data_frames_unasked: 0,
            data_frames_resent: 0,
            log_records_lost: 0,
            kernel_drops: 0,
            dropped: [0; Reason::COUNT],
            faults: [0; FaultKind::COUNT],
        }
    }
}

impl Deref for Counters {
    type Target = RareCounters;

    #[inline]
    fn deref(&self) -> &RareCounters {
        &self.rare
    }
}

impl DerefMut for Counters {
    #[inline]
    fn deref_mut(&mut self) -> &mut RareCounters {
        &mut self.rare
    }
}

impl Counters {
    /// Counts one drop.
    #[inline]
    pub fn drop(&mut self, reason: Reason) {
        self.dropped[reason as usize] += 1;
    }

    /// All drops together.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().sum()
    }
}

/// What one device of one FSU remembers.
#[derive(Clone, Debug, Default)]
pub struct DeviceState {
    /// The next entry of each `cycle`.
    pub cycles: Box<[u32]>,
    /// The registers' texts; empty before they are set.
    pub registers: Box<[Vec<u8>]>,
}

/// What one FSU remembers. What each request touches stands first, as in [`Counters`].
#[derive(Clone, Debug, Default)]
#[repr(C)]
pub struct FsuState {
    /// Good requests so far: the number of the last one seeds its random values.
    pub messages: u64,
    /// Replies built so far: `${seq()}$`.
    pub replies: u64,
    /// By device number.
    pub devices: Box<[DeviceState]>,
    /// Who it is, to its messages' generators: [`identity`].
    pub identity: u64,
    /// Its counters.
    pub counters: Counters,
    /// Open multi-frame transfers.
    pub transfers: MaybeTransfers,
}

impl FsuState {
    /// The state of an FSU that has heard nothing.
    pub fn new(fsu: &Fsu) -> Self {
        Self {
            devices: fsu
                .devices
                .iter()
                .map(|device| DeviceState {
                    cycles: vec![0; device.cycles as usize].into(),
                    registers: vec![Vec::new(); device.registers.len()].into(),
                })
                .collect(),
            identity: identity(fsu),
            ..Self::default()
        }
    }
}
