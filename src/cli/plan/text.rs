//! A plan for people.

use super::model::{
    CommandPlan, ConnectPlan, ConstantPlan, DevicePlan, FieldPlan, FsuPlan, KeysPlan, PartPlan, RegisterPlan,
    ReplyPlan, RulePlan, TlsPlan,
};
use crate::columns::dump;
use crate::describe::span;
use crate::text_out::{Shape, TextOut};
use fsu_plan::model::field::Offset;
use fsu_plan::words::count;
use std::io::{self, Write};

/// Column of the facts, from that of their names.
const FACT_COLUMN: usize = 16;

/// Writes all of it.
pub(super) fn write(fsu: &FsuPlan, out: &mut TextOut<'_>) -> io::Result<()> {
    writeln!(out, "fsu {}", fsu.name)?;
    let limits = &fsu.limits;
    let mut facts = Vec::new();
    if fsu.connect.as_ref().is_none_or(|connect| connect.listens) {
        facts.push(("listens", format!("{} {}", fsu.transport, fsu.bind)));
    }
    if let Some(connect) = &fsu.connect {
        facts
            .push((if connect.reconnect_ms.is_some() { "dials" } else { "sends to" }, dialled(fsu.transport, connect)));
    }
    if !fsu.id.is_empty() {
        facts.push(("id", fsu.id.clone()));
    }
    if fsu.transport == "udp" {
        let every = match fsu.heartbeat_interval_ms {
            Some(ms) => format!("every {} s", ms as f64 / 1000.0),
            None => "none".into(),
        };
        let answer = if fsu.heartbeat_reply { "; a centre's is answered" } else { "" };
        facts.push(("heartbeats", every + answer));
        facts.push(("client_timeout", format!("{} s", fsu.client_timeout_ms as f64 / 1000.0)));
        facts.push(("accept_any_id", fsu.accept_any_id.to_string()));
        if fsu.accept_rtn_flags != ["EE"] {
            facts.push(("RtnFlags", fsu.accept_rtn_flags.join(", ")));
        }
        facts.push(("centres", format!("at most {}", limits.clients_max)));
    }
    if fsu.transport == "tcp" {
        facts.extend(fsu.tls.as_ref().map(|tls| ("tls", accepted(tls))));
        facts.push(("connections", format!("at most {}", limits.connections_max)));
        facts.push(("frame_deadline", format!("{} ms", limits.frame_deadline_ms)));
        facts.push(("idle_timeout", format!("{} ms", limits.idle_timeout_ms)));
        facts.push(("write_deadline", format!("{} ms", limits.write_deadline_ms)));
        facts.push(("write_buffer", format!("at most {} a connection", count(limits.write_buffer_bytes_max, "byte"))));
    }
    out.facts(&facts, FACT_COLUMN)?;
    writeln!(out, "\nOffsets count bytes of the raw inner frame; negative ones from its end.")?;
    fsu.devices.iter().enumerate().try_for_each(|(number, device)| write_device(number + 1, device, out))
}

/// `tcp 192.0.2.1:9000 from 192.0.2.128/25; again within 1000 to 60000 ms; at most 500 a second; over TLS: centre.example by ca.pem`
fn dialled(transport: &str, connect: &ConnectPlan) -> String {
    let mut text = format!("{transport} {}", connect.to);
    if !connect.from.is_empty() {
        text.extend([" from ", &connect.from.join(", ")]);
    }
    if let Some([first, most]) = connect.reconnect_ms {
        text.extend([&*format!("; again within {first} to {most} ms")]);
    }
    if let Some(most) = connect.per_second {
        text.extend([&*format!("; at most {most} a second")]);
    }
    if let Some(tls) = &connect.tls {
        let trusted = tls.ca.as_deref().unwrap_or("the CAs that the system trusts");
        text.extend([&*format!("; over TLS: {} by {trusted}", tls.server_name)]);
        if let Some(cert) = &tls.cert {
            text.extend([&*format!(", shows {cert}")]);
        }
    }
    text
}

/// `shows cert.pem; a centre shows one of ca.pem`
fn accepted(tls: &TlsPlan) -> String {
    let mut text = format!("shows {}", tls.cert.as_deref().unwrap_or_default());
    if let Some(ca) = &tls.ca {
        text.extend([&*format!("; a centre shows one of {ca}")]);
    }
    text
}

fn write_device(number: usize, device: &DevicePlan, out: &mut TextOut<'_>) -> io::Result<()> {
    let (kind, address) = (device.sub_dev_type, device.sub_dev_addr);
    writeln!(out, "\ndevice {number}: type {kind:02X}, address {address:02X}, {}", device.vendor)?;
    let mut facts = vec![
        ("template", device.template.clone()),
        ("encoding", device.encoding.into()),
        ("framing", device.framing.clone()),
        (
            "longest",
            format!("request {}, reply {} on the wire", device.longest_request, count(device.longest_reply, "byte")),
        ),
        ("data frame", device.data_len.clone()),
        ("verify_checksum", device.verify_checksum.into()),
        ("checksum", checksums(device)),
    ];
    facts.extend(device.transit.iter().map(|line| ("on its way", line.clone())));
    for length in &device.lengths {
        facts.push(("length", format!("{} = {}", span(Offset(length.at), length.len), length.formula)));
    }
    facts.extend(device.versions.iter().map(|constant| ("has to carry", constant.text.clone())));
    out.facts(&facts, FACT_COLUMN)?;
    write_fields(&format!("header, {}", count(device.header_len, "byte")), &device.header, out)?;
    write_fields(&format!("tail, {}", count(device.tail_len, "byte")), &device.tail, out)?;
    write_registers(device, out)?;
    for error in &device.errors {
        writeln!(out, "\n  {} is answered with", error.reason)?;
        write_reply(&error.reply, out)?;
    }
    super::messages::write(&device.messages, out)?;
    device.keys.iter().try_for_each(|keys| write_keys(keys, out))?;
    device.commands.iter().try_for_each(|command| write_command(command, out))
}

fn write_fields(title: &str, fields: &[FieldPlan], out: &mut TextOut<'_>) -> io::Result<()> {
    writeln!(out, "\n  {title}")?;
    let row = |field: &FieldPlan| {
        let place = span(Offset(field.at), field.len);
        vec![place, field.len.to_string(), field.name.clone(), field.kind.clone(), field.computed.into()]
    };
    if fields.is_empty() {
        return Ok(());
    }
    let shape = Shape { head: &["place", "bytes", "field", "type", "computed"], right: &[1], said: &[4] };
    out.table(&shape, fields.iter().map(row).collect(), 4)
}

fn write_registers(device: &DevicePlan, out: &mut TextOut<'_>) -> io::Result<()> {
    if !device.keeps.is_empty() {
        writeln!(out, "\n  remembers")?;
        device.keeps.iter().try_for_each(|line| writeln!(out, "    {line}"))?;
    }
    if device.registers.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n  registers")?;
    let row = |register: &RegisterPlan| vec![register.name.clone(), register.bytes_max.to_string()];
    let shape = Shape { head: &["name", "bytes at most"], right: &[1], said: &[] };
    out.table(&shape, device.registers.iter().map(row).collect(), 4)
}

fn write_keys(keys: &KeysPlan, out: &mut TextOut<'_>) -> io::Result<()> {
    let part = |part: &PartPlan| {
        let order = if part.little && part.len > 1 { ", low byte first" } else { "" };
        format!("{} {}{order}", part.name, span(Offset(part.at), part.len))
    };
    let parts: Vec<String> = keys.parts.iter().map(part).collect();
    let min = match keys.data_len_min {
        0 => String::new(),
        len => format!("; the data frame has at least {}", count(len, "byte")),
    };
    writeln!(out, "\n  key: {}{min}", parts.join(" + "))?;
    for (key, numbers) in &keys.table {
        let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
        writeln!(out, "    {key} -> command {}", numbers.join(", "))?;
    }
    Ok(())
}

fn write_command(command: &CommandPlan, out: &mut TextOut<'_>) -> io::Result<()> {
    writeln!(out, "\n  command {}: {}", command.number, command.key)?;
    write_constants("selected by", &command.constants, 4, out)?;
    write_constants("length", &command.lengths, 4, out)?;
    if let Some(counts) = &command.counts {
        writeln!(out, "    data_frame_length counts {counts}")?;
    }
    if command.up {
        writeln!(out, "\n  only the device sends it")?;
        write_fields(&format!("its frame, data frame of {}", count(command.reply_len, "byte")), &command.reply, out)?;
        return write_walk(command.reply_walk.as_deref(), out);
    }
    match &command.request {
        Some(fields) => write_fields(&format!("request, data frame of {}", command.request_size), fields, out)?,
        None => writeln!(out, "\n  request, {}", command.request_size)?,
    }
    write_walk(command.request_walk.as_deref(), out)?;
    write_fields(&format!("reply, data frame of {}", count(command.reply_len, "byte")), &command.reply, out)?;
    write_walk(command.reply_walk.as_deref(), out)?;
    if command.rules.is_empty() {
        writeln!(out, "\n  no rule: not answered, counted as unmatched")?;
    }
    for (number, rule) in command.rules.iter().enumerate() {
        writeln!(out, "\n  rule {} of {}, {}", number + 1, command.rules.len(), rule.origin)?;
        write_rule(rule, out)?;
    }
    Ok(())
}

/// The fields from the first of variable size on.
fn write_walk(walk: Option<&[String]>, out: &mut TextOut<'_>) -> io::Result<()> {
    let Some(lines) = walk else { return Ok(()) };
    writeln!(out, "    then, walked:")?;
    lines.iter().try_for_each(|line| writeln!(out, "      {line}"))
}

fn write_constants(what: &str, constants: &[ConstantPlan], indent: usize, out: &mut TextOut<'_>) -> io::Result<()> {
    constants.iter().try_for_each(|constant| writeln!(out, "{:indent$}{what} {}", "", constant.text))
}

fn write_rule(rule: &RulePlan, out: &mut TextOut<'_>) -> io::Result<()> {
    write_constants("when", &rule.when, 4, out)?;
    if let Some(test) = &rule.test {
        writeln!(out, "    when {test}")?;
    }
    for set in &rule.set {
        writeln!(out, "    set {set}")?;
    }
    if rule.timeout {
        return writeln!(out, "    no reply (timeout)");
    }
    writeln!(out, "    {}", rule.delay)?;
    for (number, reply) in rule.replies.iter().enumerate() {
        if rule.cycle.is_some() {
            writeln!(out, "    turn {} of {}", number + 1, rule.replies.len())?;
        }
        write_reply(reply, out)?;
    }
    Ok(())
}

pub(super) fn write_reply(reply: &ReplyPlan, out: &mut TextOut<'_>) -> io::Result<()> {
    let frame = hex::decode(&reply.frame).unwrap_or_default();
    writeln!(out, "    {}, {} of data, before patches and checksum:", count(frame.len(), "byte"), reply.data_len)?;
    out.verbatim(&dump(&frame, 4))?;
    for patch in &reply.patches {
        writeln!(out, "      {patch}")?;
    }
    match &reply.refusal {
        Some(refusal) => writeln!(out, "      {refusal}"),
        None => Ok(()),
    }
}

/// All checksums, in the order in which they are computed.
fn checksums(device: &DevicePlan) -> String {
    match (&device.checksum, &*device.checksums) {
        (None, _) => "none".into(),
        (Some(one), []) => one.text.clone(),
        (Some(_), all) => all.iter().map(|one| &*one.text).collect::<Vec<_>>().join("; then "),
    }
}
