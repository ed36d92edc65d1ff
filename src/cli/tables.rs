//! The final counts as tables for people.

use super::stats::{Stats, Totals};
use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};
use fsu_core::lateness::Lateness;
use std::fmt::Write as _;
use std::ops::RangeBounds;

/// FSUs up to which the printed counts have a line for each.
pub const FSUS_PRINTED_MAX: usize = 20;
/// Tables have a line below their header and nothing else: they survive a log file and a narrow terminal.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::new('─', '─', '─', '─'));

impl Stats {
    /// The counts as tables: by transport, by reason of the drops and of the error replies, and by FSU where they are few.
    pub fn tables(&self) -> String {
        let mut text = format!("\n{}\n", self.transport_table());
        if self.totals.dropped_total > 0 {
            text.extend(["\n", &self.drop_table().to_string(), "\n"]);
        }
        if self.totals.error_replies > 0 {
            text.extend(["\n", &self.error_table().to_string(), "\n"]);
        }
        if self.totals.faults_total > 0 {
            text.extend(["\n", &self.fault_table().to_string(), "\n"]);
        }
        if self.fsus.len() <= FSUS_PRINTED_MAX && self.fsus.len() > 1 {
            text.extend(["\n", &self.fsu_table().to_string(), "\n"]);
        }
        let Lateness { replies, p50_us, p99_us, p999_us, max_us, lost, .. } = self.lateness;
        if replies > 0 {
            let _ = writeln!(
                text,
                "\nreplies left after they were due: p50 {p50_us} us, p99 {p99_us} us, p99.9 {p999_us} us, latest {max_us} us, \
                 of {replies}"
            );
        }
        if replies + lost > 0 {
            let _ = writeln!(text, "{}{}", if replies > 0 { "" } else { "\n" }, self.lateness.verdict(None));
        }
        let Totals { bad_checksum_seen, big_endian_lengths, kernel_drops, .. } = self.totals;
        let Totals { transfers_opened, transfers_completed, transfers_aborted, .. } = self.totals;
        let Totals { transfers_timed_out, transfers_refused, data_frames_resent, .. } = self.totals;
        let too_long = self.totals.transfers_refused_amplification;
        for (many, one, several) in [
            (transfers_opened, "transfer was begun", "transfers were begun"),
            (transfers_completed, "transfer was sent to its last frame", "transfers were sent to their last frame"),
            (transfers_aborted, "transfer was ended by a new command", "transfers were ended by a new command"),
            (transfers_timed_out, "transfer was left off by its client", "transfers were left off by their client"),
            (
                transfers_refused,
                "demand or command was refused: no such transfer, or no room for one",
                "demands or commands were refused: no such transfer, or no room for one",
            ),
            (
                too_long,
                "of these was refused: its data is too long for another host (allow_amplification)",
                "of these were refused: their data is too long for another host (allow_amplification)",
            ),
            (data_frames_resent, "data frame was sent again", "data frames were sent again"),
            (bad_checksum_seen, "request had a wrong checksum", "requests had a wrong checksum"),
            (big_endian_lengths, "outer length came high byte first", "outer lengths came high byte first"),
            (
                kernel_drops,
                "datagram was lost by the kernel: a socket's receive buffer was full (net.core.rmem_max)",
                "datagrams were lost by the kernel: a socket's receive buffer was full (net.core.rmem_max)",
            ),
            (
                self.log.device_records_lost,
                "device-log record was lost: the queue was full",
                "device-log records were lost: the queue was full",
            ),
            (
                self.log.device_records_unwritten,
                "device-log record was lost: it could not be written",
                "device-log records were lost: they could not be written",
            ),
            (
                self.log.ledger_lines_lost,
                "fault is not in the ledger: the queue was full",
                "faults are not in the ledger: the queue was full",
            ),
            (
                self.log.ledger_lines_unwritten,
                "fault is not in the ledger: it could not be written",
                "faults are not in the ledger: they could not be written",
            ),
            (self.log.system_lines_lost, "system log line was lost", "system log lines were lost"),
        ] {
            if many > 0 {
                let what = if many == 1 { one } else { several };
                text.extend([&many.to_string(), " ", what, "\n"]);
            }
        }
        text
    }

    fn transport_table(&self) -> Table {
        let mut table = table(&[
            "transport",
            "FSUs",
            "received",
            "answered",
            "silent",
            "dropped",
            "beats sent",
            "beats heard",
            "connections",
        ]);
        let row = |name: &str, fsus: usize, totals: &Totals| {
            let Totals { received, answered, silent, dropped_total, .. } = totals;
            let Totals { heartbeats_sent, heartbeats_received, connections, .. } = totals;
            let numbers =
                [received, answered, silent, dropped_total, heartbeats_sent, heartbeats_received, connections];
            let mut row = vec![name.to_owned(), fsus.to_string()];
            row.extend(numbers.map(u64::to_string));
            row
        };
        for one in &self.transports {
            table.add_row(row(one.transport, one.fsus, &one.totals));
        }
        if self.transports.len() > 1 {
            table.add_row(row("all", self.fsus.len(), &self.totals));
        }
        right(table, 1..)
    }

    fn drop_table(&self) -> Table {
        let names: Vec<&str> = self.transports.iter().map(|one| one.transport).collect();
        let mut table = table(&[&["dropped because"][..], &names, &["meaning"]].concat());
        for (reason, _) in self.totals.dropped.counted().filter(|&(_, count)| count > 0) {
            let counts = self.transports.iter().map(|one| one.totals.dropped.count(reason).to_string());
            let row =
                [reason.reason().to_owned()].into_iter().chain(counts).chain([reason.meaning().trim().to_owned()]);
            table.add_row(row);
        }
        right(table, 1..=names.len())
    }

    fn error_table(&self) -> Table {
        let names: Vec<&str> = self.transports.iter().map(|one| one.transport).collect();
        let mut table = table(&[&["answered with an error because"][..], &names].concat());
        for (which, _) in self.totals.error_replies_by.counted().filter(|&(_, count)| count > 0) {
            let counts = self.transports.iter().map(|one| one.totals.error_replies_by.count(which).to_string());
            table.add_row([which.name().to_owned()].into_iter().chain(counts));
        }
        right(table, 1..=names.len())
    }

    fn fault_table(&self) -> Table {
        let names: Vec<&str> = self.transports.iter().map(|one| one.transport).collect();
        let mut table = table(&[&["faults on purpose"][..], &names, &["meaning"]].concat());
        for (kind, _) in self.totals.faults.counted().filter(|&(_, count)| count > 0) {
            let counts = self.transports.iter().map(|one| one.totals.faults.count(kind).to_string());
            let row = [kind.name().to_owned()].into_iter().chain(counts).chain([kind.meaning().to_owned()]);
            table.add_row(row);
        }
        right(table, 1..=names.len())
    }

    fn fsu_table(&self) -> Table {
        let mut table = table(&["FSU", "transport", "received", "answered", "dropped", "beats sent"]);
        for fsu in &self.fsus {
            let Totals { received, answered, dropped_total, heartbeats_sent, .. } = fsu.totals;
            let numbers = [received, answered, dropped_total, heartbeats_sent].map(|number| number.to_string());
            table.add_row([fsu.name.clone(), fsu.transport.to_owned()].into_iter().chain(numbers));
        }
        right(table, 2..)
    }
}

/// An empty table with that header.
pub(super) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(STYLE).set_header(header.iter().copied());
    table
}

/// Numbers, in the given columns, stand at the right.
pub(super) fn right(mut table: Table, columns: impl RangeBounds<usize>) -> Table {
    for (_, column) in table.column_iter_mut().enumerate().filter(|(index, _)| columns.contains(index)) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

#[cfg(test)]
mod tests {
    use crate::stats::FsuStats;
    use crate::stats::tests::stats;
    use fsu_core::lateness::Lateness;

    #[test]
    fn n18_one_is_not_plural_and_nothing_has_no_latency() {
        let mut stats = stats();
        stats.totals.bad_checksum_seen = 1;
        stats.totals.transfers_opened = 2;
        stats.lateness = Lateness { lost: 1, ..Lateness::default() };
        let text = stats.tables();
        assert!(text.contains("\n1 request had a wrong checksum\n"), "{text}");
        assert!(text.contains("\n2 transfers were begun\n"), "{text}");
        assert!(text.contains("\nnot valid: the mock lost 1 of 1 request itself\n"), "{text}");
        assert!(!text.contains("p50"), "{text}");
        stats.lateness = Lateness { replies: 1, p50_us: 7, ..Lateness::default() };
        assert!(stats.tables().contains("p50 7 us"), "{text}");
    }

    #[test]
    fn limit_fsus_printed_max_a_line_each_or_none() {
        let mut stats = stats();
        let one = stats.fsus[0].clone();
        let mut lines = |count: usize| {
            stats.fsus = (0..count).map(|n| FsuStats { name: format!("fsu{n}"), ..one.clone() }).collect();
            let text = stats.tables();
            text.lines().filter(|line| line.trim().starts_with("fsu")).count()
        };
        assert_eq!(lines(20), 20);
        assert_eq!(lines(21), 0);
    }

    #[test]
    fn tables_have_what_occurred() {
        let text = stats().tables();
        let words: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        let check = |expected: &str| {
            let expected: Vec<&str> = expected.split_whitespace().collect();
            assert!(words.iter().any(|line| line.starts_with(&expected)), "{expected:?} in\n{text}");
        };
        check("udp 2 40 4 0 1 0 0 0");
        check("tcp 1 20 2 0 2 0 0 0");
        check("all 3 60 6 0 3 0 0 0");
        check("wrong_fsu 1 1 outer: addressed to another FSU");
        check("garbage_bytes 0 1");
        check("bad_length 1 0");
        check("bad_checksum 2 3");
        check("corrupt 4 2 one bit flipped");
        check("c udp 30 3 1 0");
        assert!(!text.contains("bad_end"), "{text}");
    }
}
