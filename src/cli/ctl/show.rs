//! Answers of a control server as people read them.

use crate::text_out::{Shape, TextOut};
use fsu_control::api::changes::Refused;
use fsu_control::api::detail::{Device, Exchange, FsuDetail};
use fsu_control::api::fsus::{Fsu, FsuPage, Messages, TimesUs, UnansweredList};
use fsu_control::api::run::Run;
use fsu_control::api::snapshot::Snapshot;
use std::io::{self, Write};

/// Columns of the name of a fact.
const NAME_COLUMNS: usize = 14;
/// Bytes of an exchange that are shown.
const HEX_CHARS: usize = 96;

/// What control characters would do to a terminal, they do not.
fn plain(text: &str) -> String {
    fsu_plan::config::diag::printable(text)
}

/// `3 of 5 FSUs: triggered`
pub(super) fn done(what: &str, done: usize, matched: usize, out: &mut TextOut<'_>) -> io::Result<()> {
    writeln!(out, "{done} of {matched} FSUs: {what}")
}

/// Those that did not, and why.
pub(super) fn refused(refused: &[Refused], total: usize, out: &mut TextOut<'_>) -> io::Result<()> {
    let lines: Vec<String> = refused.iter().map(|one| format!("  {}: {}", plain(&one.fsu), plain(&one.why))).collect();
    out.verbatim(&lines)?;
    if total > refused.len() { writeln!(out, "  and {} more", total - refused.len()) } else { Ok(()) }
}

/// What the run is and does.
pub(super) fn status(run: &Run, now: &Snapshot, out: &mut TextOut<'_>) -> io::Result<()> {
    let rate = |rate: f64| format!("{rate:.0}/s");
    let mut facts = vec![
        ("version", format!("{} {}", run.program, run.version)),
        ("config", plain(run.config.as_deref().unwrap_or("embedded"))),
        ("up", format!("{:.0} s", run.uptime_s)),
        ("FSUs", run.fsus.to_string()),
    ];
    if let Some(states) = &now.states {
        let all = [
            ("idle", states.idle),
            ("serving", states.serving),
            ("offline", states.offline),
            ("faulty", states.faulty),
            ("dialling", states.dialling),
        ];
        let all: Vec<String> =
            all.iter().filter(|(_, count)| *count > 0).map(|(name, count)| format!("{count} {name}")).collect();
        facts.push(("states", all.join(", ")));
    }
    facts.extend([
        ("received", rate(now.rates.received)),
        ("answered", rate(now.rates.answered)),
        ("dropped", rate(now.rates.dropped)),
        ("late p99", format!("{} us", now.late_us.p99)),
        ("verdict", now.verdict.clone()),
    ]);
    out.facts(&facts, NAME_COLUMNS)
}

/// A list of FSUs.
pub(super) fn fsus(page: &FsuPage, out: &mut TextOut<'_>) -> io::Result<()> {
    let shape = Shape {
        head: &["name", "transport", "state", "address", "shard", "received", "answered", "dropped", "faults"],
        right: &[4, 5, 6, 7, 8],
        said: &[],
    };
    let rows = page.fsus.iter().map(|fsu| {
        let numbers = [u64::from(fsu.shard), fsu.received, fsu.answered, fsu.dropped, fsu.faults];
        let texts = [plain(&fsu.name), word(&fsu.transport), fsu.state.name().to_owned(), address(fsu)];
        texts.into_iter().chain(numbers.map(|number| number.to_string())).collect()
    });
    out.table(&shape, rows.collect(), 0)?;
    let (shown, matching) = (page.fsus.len(), page.matching);
    if shown < matching {
        writeln!(out, "{shown} of {matching} FSUs are shown (-n N)")?;
    }
    Ok(())
}

/// A word as JSON has it.
fn word(word: &impl serde::Serialize) -> String {
    serde_json::to_value(word).ok().and_then(|value| Some(value.as_str()?.to_owned())).unwrap_or_default()
}

fn address(fsu: &Fsu) -> String {
    let connect = fsu.connect.as_ref().map(|to| format!("-> {to}"));
    [fsu.address.clone(), connect].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// One FSU.
pub(super) fn detail(detail: &FsuDetail, out: &mut TextOut<'_>) -> io::Result<()> {
    let fsu = &detail.fsu;
    let facts = [
        ("name", plain(&fsu.name)),
        ("id", fsu.id.clone()),
        ("transport", word(&fsu.transport)),
        ("address", address(fsu)),
        ("shard", fsu.shard.to_string()),
        ("state", [vec![fsu.state.name().to_owned()], fsu.states.clone()].concat().join(", ")),
        ("centres", fsu.centres.to_string()),
        ("connections", fsu.connections.to_string()),
        ("received", fsu.received.to_string()),
        ("answered", fsu.answered.to_string()),
        ("silent", fsu.silent.to_string()),
        ("dropped", fsu.dropped.to_string()),
        ("armed faults", fsu.armed.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string)),
    ];
    out.facts(&facts, NAME_COLUMNS)?;
    detail.devices.iter().try_for_each(|one| device(one, out))?;
    if !detail.commands.is_empty() {
        let shape =
            Shape { head: &["command", "name", "received", "answered", "dropped"], right: &[2, 3, 4], said: &[] };
        let rows = detail.commands.iter().map(|of| {
            let numbers = [of.received, of.answered, of.dropped].map(|number| number.to_string());
            [plain(&of.command), plain(&of.name)].into_iter().chain(numbers).collect()
        });
        writeln!(out)?;
        out.table(&shape, rows.collect(), 0)?;
    }
    if !detail.exchanges.is_empty() {
        writeln!(out, "\nlast exchanges, the newest first:")?;
        let lines: Vec<String> = detail.exchanges.iter().flat_map(exchange).collect();
        out.verbatim(&lines)?;
    }
    Ok(())
}

fn device(device: &Device, out: &mut TextOut<'_>) -> io::Result<()> {
    let address = device.address.as_ref().map(|address| format!(", {address}")).unwrap_or_default();
    writeln!(out)?;
    let mut lines = vec![format!("{} {}{address}", device.device, plain(&device.vendor))];
    let mut add = |name: &str, value: &str| lines.push(format!("  {} = {}", plain(name), plain(value)));
    for set in [&device.registers, &device.params, &device.memory] {
        for (name, value) in set {
            add(name, value);
        }
    }
    for (name, value) in &device.counters {
        add(name, &value.to_string());
    }
    for (name, entries) in &device.keyed {
        for entry in entries {
            add(&format!("{name}[{}]", entry.key), &entry.value);
        }
    }
    for cycle in &device.cycles {
        add(&cycle.command, &format!("{} / {}", cycle.place, cycle.of));
    }
    for message in &device.messages {
        let args = if message.args.is_empty() { String::new() } else { format!("({})", message.args.join(", ")) };
        add(
            &format!("message {}{args}", message.message),
            &format!(
                "{} sent, {} pending, {} acknowledged, {} retried, {} refused, {} given up",
                message.sent, message.pending, message.acknowledged, message.retried, message.refused, message.given_up
            ),
        );
    }
    if !device.states.is_empty() {
        add("states", &device.states.join(", "));
    }
    out.verbatim(&lines)
}

fn exchange(exchange: &Exchange) -> [String; 2] {
    let Exchange { time, peer, kind, hex, bytes, text, .. } = exchange;
    let shown: String = hex.chars().take(HEX_CHARS).collect();
    let more = if hex.len() > HEX_CHARS || hex.len() < bytes * 2 { format!("… ({bytes})") } else { String::new() };
    [format!("  {time} {kind} {peer}  {}", plain(text)), format!("    {shown}{more}")]
}

/// What has become of messages.
pub(super) fn messages(messages: &Messages, out: &mut TextOut<'_>) -> io::Result<()> {
    let shape = Shape {
        head: &["vendor", "message", "sent", "acknowledged", "retried", "refused", "given up", "pending", "ack p99 ms"],
        right: &[2, 3, 4, 5, 6, 7, 8],
        said: &[],
    };
    let ms = |times: &TimesUs| format!("{:.1}", times.p99 as f64 / 1_000.0);
    let rows = messages.messages.iter().map(|of| {
        let numbers = [of.sent, of.acknowledged, of.retried, of.refused, of.given_up, of.pending];
        let p99 = of.acknowledged_us.as_ref().map(ms).unwrap_or_default();
        let texts = [plain(&of.vendor), plain(&of.message)];
        texts.into_iter().chain(numbers.map(|number| number.to_string())).chain([p99]).collect()
    });
    out.table(&shape, rows.collect(), 0)
}

/// Requests without a reply.
pub(super) fn unanswered(list: &UnansweredList, out: &mut TextOut<'_>) -> io::Result<()> {
    for one in &list.unanswered {
        let from = one.peer.as_deref().unwrap_or("?");
        let fsu = plain(one.fsu.as_deref().unwrap_or("?"));
        let mut lines = vec![format!("{} {fsu} {from} {}", one.time, one.reason)];
        lines.extend(one.explain.lines().map(|line| format!("  {}", plain(line))));
        out.verbatim(&lines)?;
        writeln!(out)?;
    }
    writeln!(out, "{} of {} requests without a reply are kept", list.held, list.total)
}
