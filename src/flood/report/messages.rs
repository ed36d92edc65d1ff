//! What became of messages and connections, as reports tell it.

pub(crate) mod html;
pub mod resets;
pub mod thresholds;

use crate::book::tally::latency;
use crate::hear::Hearing;
use crate::hear::count::{Closed, Count, MessageCounts, WrongSample};
use crate::hear::heard::hears;
use crate::numbers::{counted, thousands, time_of};
use crate::report::LatencyReport;
use crate::report::text::{self, table};
use fsu_plan::texts::Texts;
use resets::ResetReport;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;

/// What devices said, and what was done with it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct MessagesReport {
    /// By message, in the order of the configuration.
    pub messages: Vec<MessageReport>,
    /// How messages were acknowledged.
    pub acks: AcksReport,
    /// From a message to its right acknowledgement, of all of them.
    #[serde(default)]
    pub ack_time: LatencyReport,
    /// FSUs that said something.
    pub fsus: u64,
    /// FSUs that connect to this centre, would have said who they are, and said nothing; at most 100 are named.
    pub silent: Vec<String>,
    /// How many there are.
    pub silent_fsus: u64,
    /// Messages of connections of which is not known which FSU they are.
    pub unidentified: u64,
    /// Connections that devices opened.
    pub connections: ConnectionsReport,
    /// Wrong frames by what is wrong with them.
    pub wrong_by: BTreeMap<String, u64>,
    /// The first of each.
    pub samples: Vec<WrongMessage>,
    /// Datagrams of nobody that the configuration has.
    pub strangers: u64,
    /// Datagrams that the kernel dropped at the sockets.
    pub own_drops: u64,
    /// Lines of the ledger that could not be written.
    pub ledger_lost: u64,
    /// Bytes received, without headers of IP and below.
    pub bytes_in: u64,
    /// Bytes sent, likewise.
    pub bytes_out: u64,
}

/// One message of one vendor.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct MessageReport {
    /// The template's vendor.
    pub vendor: String,
    /// The message.
    pub message: String,
    /// Something acknowledges it.
    pub is_acknowledged: bool,
    /// Messages that came, each once.
    pub received: u64,
    /// Further frames of messages that are several.
    pub further: u64,
    /// The same bytes again before a right acknowledgement was sent.
    pub retried: u64,
    /// The same message again although it was acknowledged: its acknowledgement was lost, or came too late.
    pub duplicate: u64,
    /// Frames with its key that are not right.
    pub wrong: u64,
    /// Right acknowledgements sent: more than one for a message that came more than once.
    pub acked: u64,
    /// Messages that were not acknowledged while their senders waited; 0 where nothing acknowledges them.
    #[serde(default)]
    pub unacknowledged: u64,
    /// Acknowledgements that were not sent, on purpose (`--ack-drop`).
    pub ack_dropped: u64,
    /// Acknowledgements that were sent wrong, on purpose (`--ack-wrong`).
    pub ack_wrong: u64,
    /// Acknowledgements that could not be sent.
    pub ack_failed: u64,
    /// From a message to its right acknowledgement, at the centre.
    pub ack_time: LatencyReport,
}

/// How messages were acknowledged.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct AcksReport {
    /// Milliseconds from a message to its acknowledgement, at least.
    pub delay_ms_min: u64,
    /// The same, at most.
    pub delay_ms_max: u64,
    /// Share that was not sent, 0 to 1.
    pub drop: f64,
    /// Share that was sent wrong, 0 to 1.
    pub wrong: f64,
    /// Seed of both.
    pub seed: u64,
}

/// Connections that devices opened.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ConnectionsReport {
    /// All of them.
    pub accepted: u64,
    /// Open at the end.
    pub open: u64,
    /// The most at one time; with several threads, the sum of theirs.
    pub most: u64,
    /// How the others ended: `closed`, `reset`, `half_frame`, `garbage`, `slow`, `tls`; and `too_many`, which were not accepted.
    pub ended: BTreeMap<String, u64>,
    /// Moments at which all were reset on purpose (`--reset-at`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resets: Vec<ResetReport>,
    /// Bytes that are no frame.
    pub garbage_bytes: u64,
    /// Accepts that the system refused.
    pub accept_errors: u64,
}

/// A frame that is not right.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct WrongMessage {
    /// What is wrong with it.
    pub why: String,
    /// The FSU; empty where it is not known.
    pub fsu: String,
    /// The message; empty where its key does not tell it.
    pub message: String,
    /// The frame without an outer frame, as hex digits, up to 65,536 bytes.
    pub frame: String,
}

/// FSUs that said nothing which a report names.
pub(crate) const SILENT_MAX: usize = 100;
/// Of these, those in the printed report.
const SILENT_PRINTED_MAX: usize = 20;

/// The FSUs that connect to one of these addresses and should have been heard.
fn silent<'o>(options: &'o Hearing, count: &Count, addresses: &[SocketAddr], within_ms: u64) -> Vec<&'o str> {
    let all = options.cast.speakers.iter().zip(0..).zip(&count.by_fsu);
    let is_here = |to: SocketAddr| addresses.iter().any(|here| hears(*here, to));
    let silent = all.filter(|((speaker, number), times)| {
        **times == 0 && speaker.connects_to.is_some_and(is_here) && options.cast.says_itself(*number, within_ms)
    });
    silent.map(|((speaker, _), _)| &*speaker.name).collect()
}

impl MessagesReport {
    /// Of what was counted.
    pub fn new(options: &Hearing, (count, addresses): (&Count, &[SocketAddr]), seconds: f64) -> Self {
        let silent = silent(options, count, addresses, (seconds * 1_000.0) as u64);
        let rows = options.accounts.iter().zip(&count.messages).zip(&count.ack_time);
        let heard: u64 = count.by_fsu.iter().map(|times| u64::from(*times)).sum();
        let total = count.total();
        let all = count.ack_time.iter().fold(latency(), |mut all, one| {
            // Same bounds: it always fits.
            let _ = all.add(one);
            all
        });
        let row = |((account, counts), times): ((&fsu_plan::model::conversation::Account, &MessageCounts), _)| {
            let MessageCounts { received, further, retried, duplicate, wrong, acked, settled, dropped, spoilt, failed } =
                *counts;
            let unacknowledged = if account.is_acknowledged { received.saturating_sub(settled) } else { 0 };
            MessageReport {
                vendor: account.vendor.to_string(),
                message: account.name.to_string(),
                is_acknowledged: account.is_acknowledged,
                received,
                further,
                retried,
                duplicate,
                wrong,
                acked,
                unacknowledged,
                ack_dropped: dropped,
                ack_wrong: spoilt,
                ack_failed: failed,
                ack_time: LatencyReport::exact(times, false),
            }
        };
        let sample = |(why, sample): (&&'static str, &WrongSample)| WrongMessage {
            why: (*why).to_owned(),
            fsu: sample.fsu.clone(),
            message: sample.message.clone(),
            frame: hex::encode_upper(&sample.bytes),
        };
        Self {
            messages: rows.map(row).collect(),
            acks: AcksReport {
                delay_ms_min: options.acks.delay_ms.0,
                delay_ms_max: options.acks.delay_ms.1,
                drop: options.acks.drop,
                wrong: options.acks.wrong,
                seed: options.seed,
            },
            ack_time: LatencyReport::exact(&all, true),
            fsus: count.by_fsu.iter().filter(|times| **times > 0).count() as u64,
            silent_fsus: silent.len() as u64,
            silent: silent.into_iter().take(SILENT_MAX).map(str::to_owned).collect(),
            unidentified: (total.received + total.retried + total.duplicate).saturating_sub(heard),
            connections: ConnectionsReport {
                accepted: count.accepted,
                open: count.open,
                most: count.most,
                ended: count.closed.iter().map(|(why, count)| (why.name().to_owned(), *count)).collect(),
                resets: count.resets.iter().map(ResetReport::new).collect(),
                garbage_bytes: count.garbage_bytes,
                accept_errors: count.accept_errors,
            },
            wrong_by: count.wrong_by.iter().map(|(why, count)| ((*why).to_owned(), *count)).collect(),
            samples: count.samples.iter().map(sample).collect(),
            strangers: count.strangers,
            own_drops: count.own_drops,
            ledger_lost: count.ledger_lost,
            bytes_in: count.bytes_in,
            bytes_out: count.bytes_out,
        }
    }

    /// Drops the whole histograms, which only parts need.
    pub fn forget_steps(&mut self) {
        self.ack_time.steps = Vec::new();
        self.messages.iter_mut().for_each(|message| message.ack_time.steps = Vec::new());
    }

    /// Messages that came, each once.
    pub fn received(&self) -> u64 {
        self.messages.iter().map(|message| message.received).sum()
    }

    /// Connections that did not come back after a reset.
    fn missing(&self) -> u64 {
        self.connections.resets.iter().map(ResetReport::missing).sum()
    }

    /// Why the contract was not kept.
    pub fn failures(&self) -> Vec<String> {
        let sum = |of: fn(&MessageReport) -> u64| self.messages.iter().map(of).sum::<u64>();
        let ended = |why: Closed| self.connections.ended.get(why.name()).copied().unwrap_or(0);
        let wrong: u64 = self.wrong_by.values().sum();
        let all = [
            (wrong, "wrong message", ""),
            (sum(|message| message.ack_failed), "acknowledgement", "could not be sent"),
            (self.connections.garbage_bytes, "byte", "of connections are no frame"),
            (ended(Closed::Half), "connection", "closed with half a frame"),
            (ended(Closed::Slow), "connection", "closed that did not take its acknowledgements"),
            (ended(Closed::TooMany), "connection", "refused: --connections-max"),
            (self.missing(), "connection", "reset on purpose did not come back"),
            (self.ledger_lost, "line", "of the ledger could not be written"),
            (self.silent_fsus, "FSU", "that should have connected and spoken said nothing"),
        ];
        let some = all.into_iter().filter(|(count, ..)| *count > 0);
        let refused = Some(self.connections.accept_errors).filter(|count| *count > 0);
        let refused = refused.map(|count| format!("the system refused {} accepts", thousands(count)));
        some.map(|(count, what, more)| format!("{} {more}", counted(count, what)).trim_end().to_owned())
            .chain(refused)
            .collect()
    }

    /// For people: a line for each message, connections, the first of each kind of wrong frame.
    pub fn text(&self, say: Texts) -> String {
        let head = [
            "vendor",
            "message",
            "received",
            "retried",
            "duplicate",
            "wrong",
            "acked",
            "dropped",
            "spoilt",
            "failed",
            "p50",
            "p99",
            "max",
        ];
        let mut rows = table(&head, say);
        for of in &self.messages {
            let times = &of.ack_time;
            let mut row = vec![of.vendor.clone(), of.message.clone()];
            let counts = [of.received, of.retried, of.duplicate, of.wrong];
            row.extend(counts.map(thousands));
            let acks = [of.acked, of.ack_dropped, of.ack_wrong, of.ack_failed];
            row.extend(acks.map(|count| if of.is_acknowledged { thousands(count) } else { "-".into() }));
            row.extend([times.p50_us, times.p99_us, times.max_us].map(|us| time_of(times.count, us)));
            rows.add_row(row);
        }
        let mut out = format!("{rows}\n\n");
        let mut rest = String::new();
        self.rest(&mut rest);
        out += &say.lines(&rest);
        out
    }

    /// What is no table.
    fn rest(&self, out: &mut String) {
        let of = &self.connections;
        // Writing to a String cannot fail.
        let _ = writeln!(out, "  {} said something", counted(self.fsus, "FSU"));
        if !self.silent.is_empty() {
            let named: Vec<&str> = self.silent.iter().take(SILENT_PRINTED_MAX).map(String::as_str).collect();
            let more = match self.silent_fsus.saturating_sub(named.len() as u64) {
                0 => String::new(),
                more => format!(" and {} more", thousands(more)),
            };
            let _ = writeln!(out, "  not heard: {}{more}", named.join(", "));
        }
        if self.unidentified > 0 {
            let _ = writeln!(out, "  {} of connections whose FSU is not known", counted(self.unidentified, "message"));
        }
        if of.accepted > 0 {
            let (most, open) = (thousands(of.most), thousands(of.open));
            let _ = writeln!(
                out,
                "  {}, at most {most} at one time, {open} at the end",
                counted(of.accepted, "connection")
            );
        }
        for why in Closed::ALL {
            if let Some(count) = of.ended.get(why.name()).filter(|count| **count > 0) {
                let _ = writeln!(out, "  {}: {}", counted(*count, "connection"), why.meaning());
            }
        }
        for reset in &of.resets {
            let _ = writeln!(out, "  {}", reset.text());
        }
        if self.strangers > 0 {
            let _ = writeln!(out, "  {} of no FSU of the configuration", counted(self.strangers, "datagram"));
        }
        if self.own_drops > 0 {
            let _ = writeln!(out, "  {} dropped by the kernel at this end", counted(self.own_drops, "datagram"));
        }
        for WrongMessage { why, fsu, message, frame } in &self.samples {
            let count = self.wrong_by.get(why).copied().unwrap_or(0);
            let whose = [message, fsu].map(|name| if name.is_empty() { "?" } else { name }).join(" of ");
            let _ = writeln!(out, "  wrong ({why}, {}): {whose}", thousands(count));
            let _ = writeln!(out, "    {}", text::hex(frame));
        }
    }
}
