//! Prints an explanation as text.

use super::model::{CommandView, DATA, Explanation, FILL, Fault, Item, Layer, ReplyView, Row, RuleView};
use crate::columns::{dump, hex_lines};
use crate::text_out::{Shape, TextOut};
use fsu_plan::words::count;
use std::io::{self, Write};

/// Characters of a value that are shown; JSON shows all.
const VALUE_CHARS_MAX: usize = 48;
/// The prefix of a length field's type. Its value may be followed by its check.
const LENGTH: &str = "length";
/// The fields of a layer.
const FIELDS: Shape<'static> =
    Shape { head: &["offset", "bytes", "field", "type", "value", "check", "from"], right: &[0], said: &[5, 6] };

/// Prints the whole explanation.
pub(super) fn write(all: &Explanation, out: &mut TextOut<'_>) -> io::Result<()> {
    let fsu = &all.fsu;
    let id = if fsu.id.is_empty() { String::new() } else { format!(", id {}", fsu.id) };
    writeln!(out, "fsu {}: {} {}{id}", fsu.name, fsu.transport, fsu.bind)?;
    writeln!(out, "clock {}, seed {}", all.clock, all.seed)?;
    writeln!(out, "received, {}:", count(all.hex.len() / 2, "byte"))?;
    out.verbatim(&dump(&bytes(&all.hex), 0))?;
    all.taken_for.iter().try_for_each(|taken_for| writeln!(out, "taken for: {taken_for}"))?;
    all.notes.iter().try_for_each(|note| writeln!(out, "note: {note}"))?;
    for (number, item) in all.items.iter().enumerate() {
        let len = count(item.hex.len() / 2, "byte");
        let of = if all.items.len() > 1 { format!(" {} of {}", number + 1, all.items.len()) } else { String::new() };
        writeln!(out, "\n{}{of}: {len} from {}", item.what, item.offset)?;
        write_item(item, out)?;
    }
    if let Some(amplification) = &all.amplification {
        writeln!(out, "\namplification: {}", amplification.text)?;
    }
    writeln!(out)?;
    if all.replies.is_empty() {
        let mut reasons: Vec<&str> = Vec::new();
        for reason in all.items.iter().filter_map(|item| item.verdict.reason) {
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
        return out.verbatim(&[format!("reply: none ({})", reasons.join(", "))]);
    }
    let replies: Vec<String> = all.replies.iter().map(|reply| format!("reply: {reply}")).collect();
    out.verbatim(&replies)
}

fn write_item(item: &Item, out: &mut TextOut<'_>) -> io::Result<()> {
    let outer = item.layers.iter().take_while(|layer| layer.is_outer()).count();
    let (outer, inner) = item.layers.split_at(outer);
    write_layers(outer, 2, out)?;
    if let Some(device) = &item.device {
        writeln!(out, "\n  for device {device}")?;
    }
    write_layers(inner, 2, out)?;
    if let Some(command) = &item.command {
        write_command(command, out)?;
    }
    if let Some(answers) = &item.answers {
        writeln!(out, "\n  {}", answers.text)?;
        if !answers.others.is_empty() {
            writeln!(out, "    {} fit as well (--cmd KEY says which)", answers.others.join(", "))?;
        }
    }
    for (number, rule) in item.rules.iter().enumerate() {
        write_rule(rule, number + 1, item.rules.len(), out)?;
    }
    for fault in &item.faults {
        write_fault(fault, out)?;
    }
    writeln!(out, "\n  verdict: {}", item.verdict.text)?;
    let all = item.replies.len() + item.more_replies;
    for (number, reply) in item.replies.iter().enumerate() {
        write_reply(reply, number + 1, all, out)?;
    }
    match item.more_replies {
        0 => Ok(()),
        more => writeln!(out, "\n… and {more} more, due as these; their bytes follow"),
    }
}

fn write_layers(layers: &[Layer], indent: usize, out: &mut TextOut<'_>) -> io::Result<()> {
    for layer in layers {
        write!(out, "\n{:indent$}{}", "", layer.name)?;
        layer.notes.iter().try_for_each(|note| write!(out, " ({note})"))?;
        writeln!(out)?;
        if layer.fields.is_empty() {
            writeln!(out, "{:indent$}  empty", "")?;
            continue;
        }
        let rows = layer.fields.iter().map(|field| row(field, layer.is_outer(), out)).collect();
        out.table(&FIELDS, rows, indent + 2)?;
    }
    Ok(())
}

fn shown_value(text: &str) -> String {
    let mut value: String = text.chars().take(VALUE_CHARS_MAX).collect();
    if value.len() < text.len() {
        value.push('…');
    }
    value
}

fn row(row: &Row, is_outer: bool, out: &TextOut<'_>) -> Vec<String> {
    // Names and values in an inner frame come from the template and the device, so they are not translated.
    let value = if is_outer || row.kind.starts_with(LENGTH) { out.say(&row.value) } else { row.value.clone() };
    let field = if is_outer || [FILL, DATA].contains(&&*row.field) { out.say(&row.field) } else { row.field.clone() };
    let value = shown_value(&value);
    let check = match (row.ok, &row.expected) {
        (None, _) => String::new(),
        (Some(true), _) => "ok".into(),
        (Some(false), Some(expected)) => format!("WRONG, expected {expected}"),
        (Some(false), None) => "WRONG".into(),
    };
    let bytes = hex_lines(&bytes(&row.bytes)).join("\n");
    let from = row.from.clone().unwrap_or_default();
    vec![row.offset.to_string(), bytes, field, row.kind.clone(), value, check, from]
}

fn write_command(command: &CommandView, out: &mut TextOut<'_>) -> io::Result<()> {
    writeln!(out, "\n  key {}: {}", command.key, command.parts.join(", "))?;
    if command.candidates.is_empty() {
        return writeln!(out, "    no command has it");
    }
    for candidate in &command.candidates {
        let mark = if candidate.chosen { "is" } else { "is not" };
        writeln!(out, "    {mark} command {} of the template: {}", candidate.number, candidate.why)?;
    }
    Ok(())
}

fn write_rule(rule: &RuleView, number: usize, all: usize, out: &mut TextOut<'_>) -> io::Result<()> {
    writeln!(out, "\n  rule {number} of {all}, {}: {}", rule.origin, rule.outcome)?;
    if rule.when.is_empty() {
        writeln!(out, "    when: always")?;
    }
    for condition in &rule.when {
        let verdict = if condition.fits { "yes" } else { "no" };
        writeln!(out, "    when {}: the request has {}, {verdict}", condition.wants, condition.has)?;
    }
    if rule.outcome != "matched" {
        return Ok(());
    }
    if rule.timeout {
        writeln!(out, "    timeout: no reply")?;
    }
    writeln!(out, "    delay: {}", rule.delay)?;
    if let Some(cycle) = &rule.cycle {
        writeln!(out, "    cycle: {cycle}")?;
    }
    if let Some(burst) = rule.burst {
        writeln!(
            out,
            "    burst: {burst} replies to one request, back to back; they share what it may set off (amplification)"
        )?;
    }
    for set in &rule.set {
        writeln!(out, "    set {set}")?;
    }
    for fault in &rule.may_happen {
        writeln!(out, "    may happen on purpose: {fault}")?;
    }
    Ok(())
}

fn write_fault(fault: &Fault, out: &mut TextOut<'_>) -> io::Result<()> {
    writeln!(out, "\n  wrong: {} ({})", fault.meaning, fault.reason)?;
    if let Some(offset) = fault.offset {
        writeln!(out, "    where:    {}, offset {offset}", fault.within)?;
    }
    if !fault.expected.is_empty() {
        writeln!(out, "    expected: {}", fault.expected)?;
        writeln!(out, "    found:    {}", if fault.found.is_empty() { "nothing" } else { &fault.found })?;
    }
    Ok(())
}

fn write_reply(reply: &ReplyView, number: usize, all: usize, out: &mut TextOut<'_>) -> io::Result<()> {
    let of = if all > 1 { format!(" {number} of {all}") } else { String::new() };
    let outer = if reply.inner.is_some() { ", an outer frame" } else { "" };
    let due = match reply.after_ms {
        _ if all == 1 => String::new(),
        0 => ", at once".into(),
        ms => format!(", after {ms} ms"),
    };
    writeln!(out, "\n{}{of}, {}{outer}{due}:", reply.what, count(reply.hex.len() / 2, "byte"))?;
    out.verbatim(&dump(&bytes(&reply.hex), 0))?;
    if number == 1 || reply.what != "answer" {
        return write_layers(&reply.layers, 2, out);
    }
    // For further replies of a burst, only the data frame, which differs.
    let data: Vec<&Layer> = reply.layers.iter().filter(|layer| layer.is_data).collect();
    data.into_iter().try_for_each(|layer| write_layers(std::slice::from_ref(layer), 2, out))
}

/// The bytes of a hex text that was produced here.
fn bytes(digits: &str) -> Vec<u8> {
    hex::decode(digits).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_value_chars_max() {
        assert_eq!(shown_value(&"海".repeat(48)), "海".repeat(48));
        assert_eq!(shown_value(&"海".repeat(49)), "海".repeat(48) + "…");
    }
}
