//! What devices said unasked, of all parts.

use super::{MergeError, sums};
use crate::report::messages::{ConnectionsReport, MessageReport, MessagesReport, SILENT_MAX};
use crate::report::{FloodReport, LatencyReport};
use std::collections::BTreeMap;

pub(super) fn messages(parts: &[FloodReport]) -> Result<Option<MessagesReport>, MergeError> {
    let all: Vec<&MessagesReport> = parts.iter().filter_map(|part| part.messages.as_ref()).collect();
    let Some(first) = all.first() else { return Ok(None) };
    let sum = |of: fn(&MessagesReport) -> u64| all.iter().map(|one| of(one)).sum::<u64>();
    let of = |of: fn(&ConnectionsReport) -> u64| all.iter().map(|one| of(&one.connections)).sum::<u64>();
    let Some(ack_time) = LatencyReport::sum(all.iter().map(|one| &one.ack_time)) else {
        return Err(MergeError::Histogram(0));
    };
    let mut samples = Vec::new();
    for sample in all.iter().flat_map(|one| &one.samples) {
        if !samples.iter().any(|one: &crate::report::messages::WrongMessage| one.why == sample.why) {
            samples.push(sample.clone());
        }
    }
    Ok(Some(MessagesReport {
        messages: rows(&all)?,
        acks: first.acks.clone(),
        ack_time,
        fsus: sum(|one| one.fsus),
        silent: all.iter().flat_map(|one| one.silent.iter().cloned()).take(SILENT_MAX).collect(),
        silent_fsus: sum(|one| one.silent_fsus),
        unidentified: sum(|one| one.unidentified),
        connections: ConnectionsReport {
            accepted: of(|one| one.accepted),
            open: of(|one| one.open),
            most: of(|one| one.most),
            ended: sums(all.iter().map(|one| &one.connections.ended)),
            // Each part has moments of its own.
            resets: all.iter().flat_map(|one| one.connections.resets.iter().cloned()).collect(),
            garbage_bytes: of(|one| one.garbage_bytes),
            accept_errors: of(|one| one.accept_errors),
        },
        wrong_by: sums(all.iter().map(|one| &one.wrong_by)),
        samples,
        strangers: sum(|one| one.strangers),
        own_drops: sum(|one| one.own_drops),
        ledger_lost: sum(|one| one.ledger_lost),
        bytes_in: sum(|one| one.bytes_in),
        bytes_out: sum(|one| one.bytes_out),
    }))
}

/// Rows of one message, in the order of the first part that has it.
fn rows(all: &[&MessagesReport]) -> Result<Vec<MessageReport>, MergeError> {
    let mut order = Vec::new();
    let mut rows: BTreeMap<(&str, &str), Vec<&MessageReport>> = BTreeMap::new();
    for row in all.iter().flat_map(|one| &one.messages) {
        let key = (&*row.vendor, &*row.message);
        let same = rows.entry(key).or_default();
        if same.is_empty() {
            order.push(key);
        }
        same.push(row);
    }
    let row = |key: &(&str, &str)| {
        let same = rows.get(key).map_or(&[][..], Vec::as_slice);
        let sum = |of: fn(&MessageReport) -> u64| same.iter().map(|one| of(one)).sum::<u64>();
        Some(MessageReport {
            vendor: key.0.to_owned(),
            message: key.1.to_owned(),
            is_acknowledged: same.iter().any(|one| one.is_acknowledged),
            received: sum(|one| one.received),
            further: sum(|one| one.further),
            retried: sum(|one| one.retried),
            duplicate: sum(|one| one.duplicate),
            wrong: sum(|one| one.wrong),
            acked: sum(|one| one.acked),
            unacknowledged: sum(|one| one.unacknowledged),
            ack_dropped: sum(|one| one.ack_dropped),
            ack_wrong: sum(|one| one.ack_wrong),
            ack_failed: sum(|one| one.ack_failed),
            ack_time: LatencyReport::sum(same.iter().map(|one| &one.ack_time))?,
        })
    };
    order.iter().map(row).collect::<Option<Vec<_>>>().ok_or(MergeError::Histogram(0))
}
