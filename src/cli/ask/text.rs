//! An answer for people.

use super::super::columns::dump;
use super::super::text_out::TextOut;
use super::answer::{Answer, decoded};
use super::{Ended, Question, Sum};
use fsu_core::client::exchange::Outcome;
use fsu_plan::texts::padded;
use fsu_plan::words::count;
use std::io::{self, Write};
use std::time::Duration;

/// Payload bytes that are shown; `--out` has all of them.
const SHOWN_BYTES_MAX: usize = 256;
/// Replies of a burst that are shown; `--json` has all of them.
const REPLIES_SHOWN_MAX: usize = 8;

/// The answer, its fields and its data.
pub(super) fn write(question: &Question<'_>, ended: &Ended, out: &mut TextOut<'_>) -> io::Result<()> {
    let template = &*question.device.template;
    head(question, ended, out)?;
    // As they travelled, for `explain`.
    let others = ended.others.iter().take(REPLIES_SHOWN_MAX - 1).map(|(_, wire)| ("answer", wire));
    for (name, wire) in [("request", &ended.request_wire), ("answer", &ended.answer_wire)].into_iter().chain(others) {
        if !wire.is_empty() {
            out.verbatim(&[format!("  {}  {}", padded(&out.say(name), 7), hex::encode_upper(wire))])?;
        }
    }
    if ended.answer.is_empty() {
        return tally(ended, out);
    }
    if ended.others.is_empty() {
        writeln!(out, "\nanswer")?;
    } else {
        writeln!(out, "\nanswer 1 of {}", ended.others.len() + 1)?;
    }
    let answer = Answer::first(question, ended);
    fields(decoded(answer.header()), out)?;
    let data = answer.data;
    if !data.is_empty() {
        writeln!(out, "\ndata: {}{}", count(data.len(), "byte"), frames(question, data.len()))?;
        if answer.has_fields() {
            fields(answer.values(), out)?;
        } else {
            out.verbatim(&dump(&data[..data.len().min(SHOWN_BYTES_MAX)], 2))?;
            if data.len() > SHOWN_BYTES_MAX {
                writeln!(out, "  ... {} more (--out writes all)", data.len() - SHOWN_BYTES_MAX)?;
            }
        }
    }
    rest_of_burst(question, ended, out)?;
    if template.transfer.is_some() && ended.outcome == Outcome::Done {
        let says = match question.should.holds(&ended.payload) {
            Some(true) => "as the rules here say",
            Some(false) => "NOT what the rules here say",
            None => "the rules here do not say what it should be",
        };
        writeln!(out, "verified: {says}")?;
    }
    tally(ended, out)
}

/// The first line: who was asked, and what came of it.
fn head(question: &Question<'_>, ended: &Ended, out: &mut TextOut<'_>) -> io::Result<()> {
    let command = &question.device.template.commands[question.command];
    let as_error = ended.error.map(|error| format!("refused: the template's error reply `{}`,", error.name()));
    let how = match ended.outcome {
        Outcome::Done => "answered",
        Outcome::Refused => as_error.as_deref().unwrap_or("refused"),
        Outcome::TimedOut => "not answered in time",
        Outcome::Lost => "the transfer was refused midway",
        Outcome::TooLong => "more data than `bytes_max`",
    };
    let ms = ended.took.as_secs_f64() * 1_000.0;
    write!(out, "{} {} of {}: {how} after {ms:.1} ms", question.to, command.key_text, question.fsu.name)?;
    if question.replies > 1 && ended.outcome == Outcome::Done {
        let came = count(question.replies - ended.missing, "reply");
        write!(out, ", {came} of a burst of {}", question.replies)?;
    }
    writeln!(out)
}

/// The other replies of a burst.
fn rest_of_burst(question: &Question<'_>, ended: &Ended, out: &mut TextOut<'_>) -> io::Result<()> {
    for (number, (raw, _)) in (2..=REPLIES_SHOWN_MAX).zip(&ended.others) {
        writeln!(out, "\nanswer {number} of {}", ended.others.len() + 1)?;
        let answer = Answer::another(question, raw);
        fields(decoded(answer.header()), out)?;
        fields(answer.values(), out)?;
    }
    if ended.others.len() >= REPLIES_SHOWN_MAX {
        writeln!(out, "\n... {} more (--json has all)", ended.others.len() + 1 - REPLIES_SHOWN_MAX)?;
    }
    Ok(())
}

fn frames(question: &Question<'_>, bytes: usize) -> String {
    let transfer = question.device.template.transfer.as_ref();
    transfer.map(|transfer| format!(" in {}", count(transfer.frames(bytes), "frame"))).unwrap_or_default()
}

fn tally(ended: &Ended, out: &mut TextOut<'_>) -> io::Result<()> {
    let tally = ended.tally;
    if tally.retries + tally.restarts + tally.passed_over > 0 {
        writeln!(
            out,
            "{} sent, {} of them again; {} begun again; {} passed over",
            tally.sent,
            tally.retries,
            count(tally.restarts, "transfer"),
            count(tally.passed_over, "frame")
        )?;
    }
    Ok(())
}

fn fields(values: impl Iterator<Item = (String, String)>, out: &mut TextOut<'_>) -> io::Result<()> {
    let rows: Vec<(String, String)> = values.collect();
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let lines: Vec<String> = rows.iter().map(|(name, text)| format!("  {name:width$}  {text}")).collect();
    out.verbatim(&lines)
}

/// Rates and latencies of many commands.
pub(super) fn write_sum(
    asked: usize,
    parallel: usize,
    took: Duration,
    sum: &mut Sum,
    out: &mut TextOut<'_>,
) -> io::Result<()> {
    sum.took.sort_unstable();
    let seconds = took.as_secs_f64().max(1e-9);
    let whole = sum.took.len();
    let (commands, sockets) = (count(asked, "command"), count(parallel, "socket"));
    writeln!(out, "{commands} from {sockets} in {seconds:.2} s")?;
    writeln!(
        out,
        "  whole    {whole} ({:.1}/s, {:.0} bytes/s of data)",
        whole as f64 / seconds,
        sum.bytes as f64 / seconds
    )?;
    writeln!(out, "  refused  {}", sum.refused)?;
    writeln!(out, "  failed   {}", sum.failed)?;
    writeln!(out, "  wrong    {}", sum.wrong)?;
    let restarts = count(sum.restarts, "transfer");
    writeln!(out, "  sent     {}, {} of them again, {restarts} begun again", sum.sent, sum.retries)?;
    if whole > 0 {
        let at = |share: f64| {
            let index = ((whole as f64 * share).ceil() as usize).clamp(1, whole) - 1;
            sum.took[index].as_secs_f64() * 1_000.0
        };
        let [p50, p90, p99, max] = [0.5, 0.9, 0.99, 1.0].map(at);
        writeln!(out, "  latency  p50 {p50:.2} ms, p90 {p90:.2} ms, p99 {p99:.2} ms, max {max:.2} ms")?;
    }
    Ok(())
}
