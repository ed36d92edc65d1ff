//! The final counts as tables for people.

use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};
use fsu_core::lateness::Lateness;
use fsu_core::state::Counters;
use fsu_plan::counters::{Counted, Printed};
use fsu_plan::model::fault::FaultKind;
use fsu_plan::model::message::Transport;
use fsu_plan::texts::Texts;
use fsu_plan::wire::reason::Reason;
use fsu_serve::fleet::Snapshot;
use fsu_serve::fleet::stats::MessageStats;
use std::ops::RangeBounds;

/// Most FSUs that get a line each.
pub const FSUS_PRINTED_MAX: usize = 20;
/// Tables have a line below their header and nothing else, so they stay readable in a log file and a narrow terminal.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::new('─', '─', '─', '─'));

/// Columns of the table of transports.
const OF_TRANSPORTS: [&str; 7] =
    ["received", "answered", "silent", "dropped", "heartbeats_sent", "heartbeats_received", "connections"];
/// Columns of the table of FSUs.
const OF_FSUS: [&str; 4] = ["received", "answered", "dropped", "heartbeats_sent"];

/// The counts as tables: by transport, by reason of the drops and of the error replies, and by FSU where they are few.
pub fn tables(snapshot: &Snapshot, say: Texts) -> String {
    let transports = Transport::ALL.into_iter();
    let transports = transports.map(|transport| {
        let (fsus, counters) = snapshot.of_transport(transport);
        (transport.name(), fsus, counters)
    });
    let all = Tables {
        totals: snapshot.totals(),
        transports: transports.filter(|&(_, fsus, _)| fsus > 0).collect(),
        snapshot,
        say,
    };
    let reason = |number: usize| Reason::ALL.get(number).map_or("", |reason| reason.meaning().trim());
    let fault = |number: usize| FaultKind::ALL.get(number).map_or("", |kind| kind.meaning());
    let tables = [
        Some(all.of_transports()),
        all.by_word("dropped", "dropped because", Some(&reason)),
        all.by_word("error_replies", "answered with an error because", None),
        all.by_word("faults", "faults on purpose", Some(&fault)),
        all.of_messages(),
        (2..=FSUS_PRINTED_MAX).contains(&snapshot.fleet.fsus.len()).then(|| all.of_fsus()),
    ];
    let mut text = String::new();
    for table in tables.into_iter().flatten() {
        text.extend(["\n", &table.to_string(), "\n"]);
    }
    text += &contract(&snapshot.messages(), say);
    text += &lateness(&snapshot.lateness(), say);
    if let Some(port) = snapshot.port() {
        text.extend([&*say.say("arrival by the device's queue is when a batch was read"), "\n"]);
        text += &sentences(&port, say);
    }
    text += &snapshot.one().map(|one| sentences(&one, say)).unwrap_or_default();
    text += &sentences(&all.totals, say);
    text += &sentences(&snapshot.log, say);
    text
}

/// What the tables are made of.
struct Tables<'a> {
    snapshot: &'a Snapshot,
    totals: Counters,
    /// Name, FSUs, counters; those that the fleet has.
    transports: Vec<(&'static str, usize, Counters)>,
    say: Texts,
}

impl Tables<'_> {
    fn of_transports(&self) -> Table {
        let heads = OF_TRANSPORTS.map(|name| head(&self.totals, name));
        let mut table = table(&[&["transport", "FSUs"][..], &heads].concat(), self.say);
        for (name, fsus, counters) in &self.transports {
            table.add_row(row([(*name).to_owned(), fsus.to_string()], counters, &OF_TRANSPORTS));
        }
        if self.transports.len() > 1 {
            let (all, fsus) = (self.say.say("all").into_owned(), self.snapshot.fleet.fsus.len());
            table.add_row(row([all, fsus.to_string()], &self.totals, &OF_TRANSPORTS));
        }
        right(table, 1..)
    }

    /// Counts of a closed set of words, by word and transport; absent where there are none.
    fn by_word(&self, name: &str, head: &str, meaning: Option<&dyn Fn(usize) -> &'static str>) -> Option<Table> {
        let names: Vec<&str> = self.transports.iter().map(|&(name, ..)| name).collect();
        let meanings: &[&str] = if meaning.is_some() { &["meaning"] } else { &[] };
        let mut table = table(&[&[head][..], &names, meanings].concat(), self.say);
        let (totals, word) = counts(&self.totals, name)?;
        let transports: Vec<&[u64]> =
            self.transports.iter().filter_map(|(.., counters)| Some(counts(counters, name)?.0)).collect();
        let mut is_empty = true;
        for (number, _) in totals.iter().enumerate().filter(|&(_, &count)| count > 0) {
            let mut row = vec![word(number).to_owned()];
            row.extend(transports.iter().map(|counts| counts[number].to_string()));
            row.extend(meaning.map(|meaning| self.say.say(meaning(number)).into_owned()));
            table.add_row(row);
            is_empty = false;
        }
        (!is_empty).then(|| right(table, 1..=names.len()))
    }

    /// What has become of messages; absent where the fleet has none.
    fn of_messages(&self) -> Option<Table> {
        let heads =
            ["message", "vendor", "sent", "acknowledged", "p99 ms", "retried", "refused", "given up", "pending"];
        let mut table = table(&heads, self.say);
        let all = self.snapshot.messages();
        for one in &all {
            let counts = [one.retried, one.refused, one.given_up, one.pending];
            let acknowledged = if one.is_acknowledged { one.acknowledged.to_string() } else { "-".to_owned() };
            let p99 = one.acknowledged_us.map_or_else(|| "-".to_owned(), |us| format!("{:.2}", us.p99 as f64 / 1e3));
            let mut row = vec![one.message.clone(), one.vendor.clone(), one.sent.to_string(), acknowledged, p99];
            row.extend(counts.map(|count| if one.is_acknowledged { count.to_string() } else { "-".to_owned() }));
            table.add_row(row);
        }
        (!all.is_empty()).then(|| right(table, 2..))
    }

    fn of_fsus(&self) -> Table {
        let heads = OF_FSUS.map(|name| head(&self.totals, name));
        let mut table = table(&[&["FSU", "transport"][..], &heads].concat(), self.say);
        for (fsu, counters) in self.snapshot.fleet.fsus.iter().zip(&self.snapshot.counters) {
            table.add_row(row([fsu.name.to_string(), fsu.transport.name().to_owned()], counters, &OF_FSUS));
        }
        right(table, 2..)
    }
}

/// A row's first cells, and counts.
fn row(first: [String; 2], counters: &Counters, names: &[&str]) -> Vec<String> {
    first.into_iter().chain(names.iter().map(|name| counters.total(name).to_string())).collect()
}

/// The head of a counter's column.
fn head(counters: &Counters, name: &str) -> &'static str {
    let mut head = "";
    counters.each(&mut |counter, _| {
        if let (true, Printed::Column(column) | Printed::By { column, .. }) = (counter.name == name, counter.told) {
            head = column;
        }
    });
    head
}

/// A word of a closed set, by its number.
type Word = fn(usize) -> &'static str;

/// A counter's counts, and the words that they are of.
fn counts<'a>(counters: &'a Counters, name: &str) -> Option<(&'a [u64], Word)> {
    let mut found = None;
    counters.each(&mut |counter, counts| {
        if let (true, Printed::By { word, .. }) = (counter.name == name, counter.told) {
            found = Some((counts, word));
        }
    });
    found
}

/// A line for each counter that has a sentence and is not 0.
fn sentences(counted: &impl Counted, say: Texts) -> String {
    let mut text = String::new();
    counted.each(&mut |counter, counts| {
        let many: u64 = counts.iter().sum();
        if let (Printed::Sentence(one, several), 1..) = (counter.told, many) {
            let sentence = format!("{many} {}", if many == 1 { one } else { several });
            text.extend([&*say.say(&sentence), "\n"]);
        }
    });
    text
}

/// Whether every message was acknowledged; empty where nothing acknowledges any.
fn contract(messages: &[MessageStats], say: Texts) -> String {
    let all = || messages.iter().filter(|message| message.is_acknowledged);
    let sum = |count: fn(&MessageStats) -> u64| all().map(count).sum::<u64>();
    let (sent, lost, pending) = (sum(|of| of.sent), sum(MessageStats::unacknowledged), sum(|of| of.pending));
    if sent == 0 {
        return String::new();
    }
    let slowest = all().filter_map(|of| of.acknowledged_us).map(|us| us.max as f64 / 1e3).reduce(f64::max);
    let told = match slowest {
        Some(ms) if lost > 0 => {
            format!("messages: {lost} of {sent} were NOT acknowledged; the slowest of the others took {ms:.1} ms")
        }
        Some(ms) => format!("messages: every one of {} was acknowledged, the slowest after {ms:.1} ms", sent - pending),
        None => format!("messages: NONE of {sent} was acknowledged"),
    };
    let waits = format!("messages: {pending} still waited at the end");
    let waits = if pending == 0 { String::new() } else { format!("{}\n", say.say(&waits)) };
    format!("\n{}\n{waits}", say.say(&told))
}

/// How late replies left, and the verdict.
fn lateness(lateness: &Lateness, say: Texts) -> String {
    let Lateness { replies, p50_us, p99_us, p999_us, max_us, lost, .. } = lateness;
    if replies + lost == 0 {
        return String::new();
    }
    let figures = format!(
        "replies left after they were due: p50 {p50_us} us, p99 {p99_us} us, p99.9 {p999_us} us, latest {max_us} us, of {replies}"
    );
    let figures = if *replies == 0 { String::new() } else { format!("{}\n", say.say(&figures)) };
    format!("\n{figures}{}\n", say.say(&lateness.verdict(None)))
}

/// An empty table with that header.
pub(super) fn table(header: &[&str], say: Texts) -> Table {
    let mut table = Table::new();
    table.load_style(STYLE).set_header(header.iter().map(|&head| say.say(head)));
    table
}

/// Aligns the given columns, which hold numbers, to the right.
pub(super) fn right(mut table: Table, columns: impl RangeBounds<usize>) -> Table {
    for (_, column) in table.column_iter_mut().enumerate().filter(|(index, _)| columns.contains(index)) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use fsu_plan::model::fleet::Language;
    use fsu_plan::model::template::ErrorReply;
    use fsu_serve::fleet::fixtures::{fleet, snapshot};
    use fsu_serve::fleet::stats::Times;
    use fsu_serve::shard::late::Late;
    use std::sync::Arc;

    fn english(snapshot: &Snapshot) -> String {
        tables(snapshot, Texts::ENGLISH)
    }

    #[test]
    fn n18_one_is_not_plural_and_nothing_has_no_latency() {
        let mut snapshot = snapshot();
        snapshot.counters[0].bad_checksum_seen = 1;
        snapshot.counters[0].transfers_opened = 2;
        snapshot.counters[0].kernel_drops = 1;
        snapshot.late = vec![Late::default()];
        let text = english(&snapshot);
        assert!(text.contains("\n1 request had a wrong checksum\n"), "{text}");
        assert!(text.contains("\n2 transfers were begun\n"), "{text}");
        assert!(text.contains("\nnot valid: the mock lost 1 of 1 request itself\n"), "{text}");
        assert!(!text.contains("p50"), "{text}");
        snapshot.counters[0].kernel_drops = 0;
        snapshot.late[0].record(0, 7_000, 1);
        assert!(english(&snapshot).contains("p50 7 us"), "{}", english(&snapshot));
    }

    /// Sent, acknowledged, given up, waiting at the end.
    #[test]
    fn the_contract_says_what_was_acknowledged() {
        let check = |counts: [u64; 4], expected: &str| {
            let [sent, acknowledged, given_up, pending] = counts;
            let times = Times { count: acknowledged, min: 1_000, p50: 1_000, p99: 2_500, max: 2_500 };
            let message = MessageStats {
                vendor: "v".into(),
                message: "m".into(),
                is_acknowledged: true,
                sent,
                acknowledged,
                retried: 0,
                refused: 0,
                given_up,
                pending,
                acknowledged_us: (acknowledged > 0).then_some(times),
                acknowledged_steps: None,
                late_us: None,
                late_steps: None,
            };
            for language in [Language::En, Language::Zh] {
                let text = contract(std::slice::from_ref(&message), Texts::of(language));
                assert!(language != Language::Zh || !is_english(&text), "{text}");
                assert!(language != Language::En || text == expected, "{text}");
            }
        };
        check([0; 4], "");
        check([5, 5, 0, 0], "\nmessages: every one of 5 was acknowledged, the slowest after 2.5 ms\n");
        check([5, 4, 1, 0], "\nmessages: 1 of 5 were NOT acknowledged; the slowest of the others took 2.5 ms\n");
        check([5, 0, 5, 0], "\nmessages: NONE of 5 was acknowledged\n");
        check([5, 0, 0, 5], "\nmessages: NONE of 5 was acknowledged\nmessages: 5 still waited at the end\n");
    }

    #[test]
    fn limit_fsus_printed_max_a_line_each_or_none() {
        let lines = |count: usize| {
            let mut all = fleet();
            all.fsus = (0..count)
                .map(|number| {
                    let mut one = fleet().fsus.swap_remove(0);
                    one.name = format!("fsu{number}").into();
                    one
                })
                .collect();
            let counters = vec![Counters::default(); count];
            let snapshot = Snapshot { fleet: Arc::new(all), counters, ..snapshot() };
            english(&snapshot).lines().filter(|line| line.trim().starts_with("fsu")).count()
        };
        assert_eq!(lines(20), 20);
        assert_eq!(lines(21), 0);
    }

    #[test]
    fn tables_have_what_occurred() {
        let text = english(&snapshot());
        let words: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        let check = |expected: &str| {
            let expected: Vec<&str> = expected.split_whitespace().collect();
            assert!(words.iter().any(|line| line.starts_with(&expected)), "{expected:?} in\n{text}");
        };
        check("transport FSUs received answered silent dropped beats sent beats heard connections");
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

    /// Whether a line has English in it: two words in a row.
    fn is_english(line: &str) -> bool {
        let words: Vec<&str> = line.split(' ').collect();
        let is_word = |word: &str| word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_lowercase());
        words.windows(2).any(|pair| is_word(pair[0]) && is_word(pair[1]))
    }

    #[test]
    fn every_counter_and_reason_has_a_translation() {
        let mut all = snapshot();
        let counters = &mut all.counters[0];
        counters.dropped = [2; Reason::COUNT].into();
        counters.faults = [2; FaultKind::COUNT].into();
        counters.error_replies = [2; ErrorReply::COUNT];
        for many in [1, 2] {
            let counters = &mut *all.counters[0];
            let sentences = [
                &mut counters.transfers_opened,
                &mut counters.transfers_completed,
                &mut counters.transfers_aborted,
                &mut counters.transfers_timed_out,
                &mut counters.transfers_refused,
                &mut counters.transfers_refused_amplification,
                &mut counters.data_frames_resent,
                &mut counters.bad_checksum_seen,
                &mut counters.big_endian_lengths,
                &mut counters.kernel_drops,
            ];
            for counter in sentences {
                *counter = many;
            }
            all.log.device_records_lost = many;
            all.log.device_records_unwritten = many;
            all.log.ledger_lines_lost = many;
            all.log.ledger_lines_unwritten = many;
            all.log.system_lines_lost = many;
            let english = tables(&all, Texts::ENGLISH);
            assert_eq!(english.matches(&format!("\n{many} ")).count(), 15, "{english}");
            let chinese = tables(&all, Texts::of(Language::Zh));
            assert!(english.lines().filter(|line| is_english(line)).count() > 60, "{english}");
            let left: Vec<_> = chinese.lines().filter(|line| is_english(line)).collect();
            assert_eq!(left, [""; 0], "{chinese}");
        }
    }
}
