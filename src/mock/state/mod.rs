//! What an FSU remembers between messages.

pub mod carry;
pub mod devices;
pub mod identity;
pub mod kept;
pub mod progress;
mod shares;
pub mod talk;
pub mod transfers;

use crate::sink::Outgoing;
pub use devices::DeviceState;
use devices::Devices;
use fsu_plan::counters::{JSON_ONLY, Printed, Seldom, column, sentence};
use fsu_plan::model::connect::DialFailure;
use fsu_plan::model::fault::FaultKind;
use fsu_plan::model::fleet::Fsu;
use fsu_plan::model::template::ErrorReply;
use fsu_plan::wire::reason::Reason;
use identity::identity;
use transfers::MaybeTransfers;

fsu_plan::counters! {
    /// Counters of one FSU. Owned by its shard; read at exit.
    ///
    /// Here are those that every request touches, then those that every FSU counts some time: with thousands of FSUs every cache
    /// line is a miss.
    pub struct Counters {
        /// Requests that reached the FSU: frames, not datagrams.
        received: u64 = column("received"),
        /// Replies handed to the kernel.
        answered: u64 = column("answered"),
        /// Requests that a rule leaves unanswered on purpose (`timeout`).
        silent: u64 = column("silent"),
        /// Heartbeats sent.
        heartbeats_sent: u64 = column("beats sent"),
        /// Heartbeats of centres received.
        heartbeats_received: u64 = column("beats heard"),
        /// Centres that came.
        centres_online: u64 = JSON_ONLY,
        /// Centres that fell silent, or were pushed out by a newer one.
        centres_offline: u64 = JSON_ONLY,
        /// TCP connections accepted, and those that the FSU opened itself (`connect`).
        connections: u64 = column("connections"),
    }
    /// Those of [`Counters`] that few FSUs ever count.
    rare struct RareCounters {
        /// Replies to wrong requests, from the template's `errors`, by [`ErrorReply`]; also in `answered`.
        error_replies: [u64; ErrorReply::COUNT] = Printed::By {
            total: "error_replies",
            each: "error_replies_by",
            column: "",
            word: |number| ErrorReply::ALL[number].name(),
        },
        /// Transfers begun: an answer that data follows.
        transfers_opened: u64 = sentence("transfer was begun", "transfers were begun"),
        /// Transfers whose last frame was sent.
        transfers_completed: u64 = sentence(
            "transfer was sent to its last frame",
            "transfers were sent to their last frame"
        ),
        /// Transfers that a new command ended before their last frame.
        transfers_aborted: u64 = sentence("transfer was ended by a new command", "transfers were ended by a new command"),
        /// Transfers that ended before their last frame because nobody asked for the next in time.
        transfers_timed_out: u64 = sentence(
            "transfer was abandoned by its client",
            "transfers were abandoned by their client"
        ),
        /// Refusals: demands that no open transfer could meet, and commands with data when all transfers were in use.
        transfers_refused: u64 = sentence(
            "demand or command was refused: no such transfer, or no room for one",
            "demands or commands were refused: no such transfer, or no room for one"
        ),
        /// Of these, commands and demands of another host whose data is too long for it ([`Reason::Amplification`]).
        transfers_refused_amplification: u64 = sentence(
            "of these was refused: its data is too long for another host (allow_amplification)",
            "of these were refused: their data is too long for another host (allow_amplification)"
        ),
        /// First data frames, which follow an answer unasked; handed to the kernel.
        data_frames_unasked: u64 = JSON_ONLY,
        /// Data frames sent once more because the same one was asked for again.
        data_frames_resent: u64 = sentence("data frame was sent again", "data frames were sent again"),
        /// Messages that devices raised: sent at least once.
        messages_sent: u64 = sentence("message was sent", "messages were sent"),
        /// Messages sent again because nothing acknowledged them in time.
        messages_retried: u64 = sentence("message was sent again", "messages were sent again"),
        /// Messages that were acknowledged.
        messages_acknowledged: u64 = sentence("message was acknowledged", "messages were acknowledged"),
        /// Messages that the frame for their acknowledgement refused (`ack.when`).
        messages_refused: u64 = sentence("message was refused", "messages were refused"),
        /// Messages given up: not acknowledged after the last retry.
        messages_given_up: u64 = sentence("message was given up", "messages were given up"),
        /// Messages that were due and could not be raised: nobody was there to get them, or too many were due at once.
        messages_unsent: u64 = sentence(
            "message had nobody to go to, or no room",
            "messages had nobody to go to, or no room"
        ),
        /// Frames of messages handed to the kernel: one for each receiver and try.
        message_frames: u64 = JSON_ONLY,
        /// Frames that acknowledged or refused a message; also in `received`.
        acknowledgements: u64 = sentence("acknowledgement was received", "acknowledgements were received"),
        /// Frames that acknowledge messages, when none waited for them; also in `received`.
        acknowledgements_unexpected: u64 = sentence(
            "acknowledgement fitted no message that waited",
            "acknowledgements fitted no message that waited"
        ),
        /// Requests with a wrong checksum, answered or not.
        bad_checksum_seen: u64 = sentence("request had a wrong checksum", "requests had a wrong checksum"),
        /// Outer lengths in high-byte-first order, accepted.
        big_endian_lengths: u64 = sentence("outer length came high byte first", "outer lengths came high byte first"),
        /// Device-log records lost because the queue was full.
        log_records_lost: u64 = JSON_ONLY,
        /// Values that did not fit their field when a reply was built; the field kept what the template gives it.
        value_misfits: u64 = JSON_ONLY,
        /// Expressions without a value: a result of more than 64 bits, a division by zero, a text that is no number, out of an
        /// area. The field, register or memory kept what it had; a rule with such a condition did not match.
        expression_failures: u64 = sentence("expression had no value", "expressions had no value"),
        /// Entries that a full keyed register dropped, the oldest first.
        entries_dropped: u64 = sentence(
            "entry was dropped: its keyed register was full (entries_max)",
            "entries were dropped: their keyed register was full (entries_max)"
        ),
        /// Datagrams that the kernel lost because the FSU's socket had no room: they never reached the FSU.
        kernel_drops: u64 = sentence(
            "datagram was lost by the kernel: a socket's receive buffer was full (net.core.rmem_max)",
            "datagrams were lost by the kernel: a socket's receive buffer was full (net.core.rmem_max)"
        ),
        /// Drops, by [`Reason`].
        dropped: Seldom<{ Reason::COUNT }> = Printed::By {
            total: "dropped_total",
            each: "dropped",
            column: "dropped",
            word: |number| Reason::ALL[number].reason(),
        },
        /// Dials that failed (`connect`), by [`DialFailure`].
        dial_failures: Seldom<{ DialFailure::COUNT }> = Printed::By {
            total: "dial_failures_total",
            each: "dial_failures",
            column: "dials failed",
            word: |number| DialFailure::ALL[number].name(),
        },
        /// Faults made on purpose, by [`FaultKind`].
        faults: Seldom<{ FaultKind::COUNT }> = Printed::By {
            total: "faults_total",
            each: "faults",
            column: "",
            word: |number| FaultKind::ALL[number].name(),
        },
    }
}

impl Counters {
    /// Counts one drop.
    #[inline]
    pub fn drop(&mut self, reason: Reason) {
        self.dropped[reason as usize] += 1;
    }

    /// Counts what was handed to the kernel.
    #[inline]
    pub fn sent(&mut self, what: Outgoing) {
        match what {
            Outgoing::Reply => self.answered += 1,
            Outgoing::Heartbeat => self.heartbeats_sent += 1,
            Outgoing::Data => self.data_frames_unasked += 1,
            Outgoing::Message => self.message_frames += 1,
        }
    }

    /// All drops together.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().sum()
    }
}

/// What one FSU remembers. The fields that every request touches come first, as in [`Counters`].
#[derive(Clone, Debug, Default)]
#[repr(C)]
pub struct FsuState {
    /// Good requests so far: the number of the last one seeds its random values.
    pub messages: u64,
    /// Replies built so far: `${seq()}$`.
    pub replies: u64,
    /// By device number; none before a device has something to remember.
    pub devices: Devices,
    /// Seed of its messages' generators: [`identity()`].
    pub identity: u64,
    /// Its counters.
    pub counters: Counters,
    /// Open multi-frame transfers.
    pub transfers: MaybeTransfers,
}

impl FsuState {
    /// The state of an FSU that has heard nothing.
    pub fn new(fsu: &Fsu) -> Self {
        Self { identity: identity(fsu), devices: Devices::new(fsu), ..Self::default() }
    }
}
