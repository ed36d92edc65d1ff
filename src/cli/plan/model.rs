//! A plan as data: what `plan --json` prints, and what the text is made from.
//!
//! `at` counts bytes of the raw frame (before ascii_hex), from its end where it is negative.

use super::messages::{MessagePlan, messages};
use crate::columns::hex;
use crate::describe::{self, Names};
use fsu_plan::compile::command::key_digits;
use fsu_plan::compile::expr::nearest;
use fsu_plan::model::connect::Connect;
use fsu_plan::model::digits::Digits;
use fsu_plan::model::field::{Constant, Field, KeyPart, LengthField};
use fsu_plan::model::fleet::{Device, Fsu, VerifyChecksum};
use fsu_plan::model::reply::Reply;
use fsu_plan::model::rule::Rule;
use fsu_plan::model::template::{Checksum, Command, ErrorReply, Framing, KeyShape, Template};
use fsu_plan::model::tls::Tls;
use fsu_plan::wire::framer;
use fsu_plan::words::{count, noun};
use serde::Serialize;
use std::collections::BTreeSet;
use std::num::NonZeroU32;

/// One FSU.
#[derive(Debug, Serialize)]
pub(super) struct FsuPlan {
    pub(super) name: String,
    pub(super) transport: &'static str,
    pub(super) bind: String,
    /// Hex.
    pub(super) id: String,
    pub(super) accept_any_id: bool,
    /// Hex.
    pub(super) accept_rtn_flags: Vec<String>,
    /// `None`: no heartbeats.
    pub(super) heartbeat_interval_ms: Option<u64>,
    pub(super) heartbeat_reply: bool,
    pub(super) client_timeout_ms: u64,
    pub(super) limits: LimitsPlan,
    /// Where it dials out to; left out where it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) connect: Option<ConnectPlan>,
    /// The connections that it accepts are TLS; left out where they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tls: Option<TlsPlan>,
    pub(super) devices: Vec<DevicePlan>,
}

/// Where it dials out to.
#[derive(Debug, Serialize)]
pub(super) struct ConnectPlan {
    pub(super) to: String,
    /// Networks of source addresses.
    pub(super) from: Vec<String>,
    /// tcp: bounds of the backoff.
    pub(super) reconnect_ms: Option<[u64; 2]>,
    /// tcp: of the whole fleet; `None`: no bound.
    pub(super) per_second: Option<u32>,
    /// It listens as well.
    pub(super) listens: bool,
    /// Its connections are TLS; left out where they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tls: Option<TlsPlan>,
}

/// Which files a TLS connection is made with.
#[derive(Debug, Serialize)]
pub(super) struct TlsPlan {
    /// Its own certificate; `None`: it shows none.
    pub(super) cert: Option<Box<str>>,
    /// What that of the other side is checked against; `None`: for one that listens, it asks for none; for one that dials, what the system
    /// trusts.
    pub(super) ca: Option<Box<str>>,
    /// The name that it must have; empty for one that listens.
    pub(super) server_name: Box<str>,
}

impl TlsPlan {
    fn new(tls: &Tls) -> Self {
        Self { cert: tls.cert.clone(), ca: tls.ca.clone(), server_name: tls.name.clone() }
    }
}

impl ConnectPlan {
    fn new(connect: &Connect, is_tcp: bool) -> Self {
        let (first, most) = connect.reconnect_ms;
        Self {
            to: connect.to.to_string(),
            from: connect.from.iter().map(ToString::to_string).collect(),
            reconnect_ms: is_tcp.then_some([first, most]),
            per_second: connect.per_second.map(NonZeroU32::get),
            listens: connect.listens,
            tls: connect.tls.as_deref().map(TlsPlan::new),
        }
    }
}

/// Which device it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct DeviceName {
    pub(super) vendor: String,
    pub(super) sub_dev_type: u8,
    pub(super) sub_dev_addr: u8,
    pub(super) template: String,
}

/// Its bounds.
#[derive(Debug, Serialize)]
pub(super) struct LimitsPlan {
    pub(super) clients_max: usize,
    pub(super) connections_max: usize,
    pub(super) frame_deadline_ms: u64,
    pub(super) idle_timeout_ms: u64,
    pub(super) write_deadline_ms: u64,
    pub(super) write_buffer_bytes_max: usize,
}

/// One device and its template.
#[derive(Debug, Serialize)]
pub(super) struct DevicePlan {
    pub(super) vendor: String,
    /// The layout of its template; empty: there is one.
    #[serde(skip)]
    pub(super) layout: String,
    pub(super) sub_dev_type: u8,
    pub(super) sub_dev_addr: u8,
    pub(super) verify_checksum: &'static str,
    pub(super) template: String,
    pub(super) encoding: &'static str,
    /// Hex.
    pub(super) start: String,
    /// Hex.
    pub(super) end: String,
    pub(super) framing: String,
    /// Wire bytes.
    pub(super) longest_request: usize,
    /// Wire bytes.
    pub(super) longest_reply: usize,
    pub(super) header_len: usize,
    pub(super) header: Vec<FieldPlan>,
    pub(super) data_len: String,
    pub(super) tail_len: usize,
    pub(super) tail: Vec<FieldPlan>,
    pub(super) lengths: Vec<LengthPlan>,
    pub(super) checksum: Option<ChecksumPlan>,
    /// All of several, in the order in which they are computed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) checksums: Vec<ChecksumPlan>,
    /// What else becomes of a frame on its way.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) transit: Vec<String>,
    /// Constants that a request has to carry.
    pub(super) versions: Vec<ConstantPlan>,
    pub(super) errors: Vec<ErrorPlan>,
    pub(super) keys: Vec<KeysPlan>,
    pub(super) commands: Vec<CommandPlan>,
    /// What it says unasked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) messages: Vec<MessagePlan>,
    pub(super) cycles: u32,
    pub(super) registers: Vec<RegisterPlan>,
    /// Memory areas, keyed registers and counters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) keeps: Vec<String>,
}

/// One field.
#[derive(Debug, Serialize)]
pub(super) struct FieldPlan {
    pub(super) at: i32,
    pub(super) len: usize,
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// `start`, `end`, `length`, `checksum` or nothing.
    pub(super) computed: &'static str,
}

/// One length in header or tail.
#[derive(Debug, Serialize)]
pub(super) struct LengthPlan {
    pub(super) at: i32,
    pub(super) len: usize,
    pub(super) little: bool,
    pub(super) base: i64,
    pub(super) per_data: i64,
    pub(super) lchksum: bool,
    /// Decimal digits, two a byte.
    pub(super) bcd: bool,
    pub(super) formula: String,
}

/// The inner checksum.
#[derive(Debug, Serialize)]
pub(super) struct ChecksumPlan {
    pub(super) at: i32,
    pub(super) len: usize,
    pub(super) little: bool,
    pub(super) algorithm: String,
    pub(super) from: i32,
    /// 0 is the frame's end.
    pub(super) to: i32,
    pub(super) over: &'static str,
    pub(super) complement: String,
    pub(super) text: String,
}

impl ChecksumPlan {
    fn new(checksum: &Checksum) -> Self {
        Self {
            at: checksum.at.0,
            len: checksum.len,
            little: checksum.little,
            algorithm: checksum.name.to_string(),
            from: checksum.from.0,
            to: checksum.to.0,
            over: if checksum.over_wire { "wire" } else { "raw" },
            complement: format!("{:?}", checksum.complement).to_lowercase(),
            text: describe::checksum(checksum),
        }
    }
}

/// Bytes at a place.
#[derive(Debug, Serialize)]
pub(super) struct ConstantPlan {
    pub(super) name: String,
    pub(super) at: i32,
    pub(super) bytes: String,
    /// Empty: all bits.
    pub(super) mask: String,
    pub(super) text: String,
}

/// All commands whose key is at the same places.
#[derive(Debug, Serialize)]
pub(super) struct KeysPlan {
    pub(super) parts: Vec<PartPlan>,
    /// Fewest data-frame bytes that hold them.
    pub(super) data_len_min: usize,
    /// Key, and the numbers (from 1) of the commands that have it.
    pub(super) table: Vec<(String, Vec<u32>)>,
}

/// One part of a key.
#[derive(Debug, Serialize)]
pub(super) struct PartPlan {
    pub(super) at: i32,
    pub(super) len: usize,
    pub(super) little: bool,
    pub(super) name: String,
}

/// One command.
#[derive(Debug, Serialize)]
pub(super) struct CommandPlan {
    /// From 1, in file order.
    pub(super) number: usize,
    pub(super) key: String,
    /// No request is it: only the device sends it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) up: bool,
    /// Data-frame bytes of the request.
    pub(super) request_size: String,
    /// What selects it among others of its key.
    pub(super) constants: Vec<ConstantPlan>,
    /// Lengths inside the data frame.
    pub(super) lengths: Vec<ConstantPlan>,
    /// What `{{data_frame_length}}` counts.
    pub(super) counts: Option<String>,
    /// `None`: whatever comes.
    pub(super) request: Option<Vec<FieldPlan>>,
    /// Data-frame bytes of the reply.
    pub(super) reply_len: usize,
    pub(super) reply: Vec<FieldPlan>,
    /// The request's fields from the first of variable size on; `None`: all have fixed places.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) request_walk: Option<Vec<String>>,
    /// The reply's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reply_walk: Option<Vec<String>>,
    pub(super) rules: Vec<RulePlan>,
}

/// One rule.
#[derive(Debug, Serialize)]
pub(super) struct RulePlan {
    pub(super) origin: String,
    pub(super) when: Vec<ConstantPlan>,
    /// `when` as a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) test: Option<String>,
    pub(super) timeout: bool,
    pub(super) delay: String,
    /// Number of the device's cycle place.
    pub(super) cycle: Option<u32>,
    pub(super) set: Vec<String>,
    /// One, or one for each cycle entry.
    pub(super) replies: Vec<ReplyPlan>,
}

/// One reply.
#[derive(Debug, Serialize)]
pub(super) struct ReplyPlan {
    /// The raw frame before patches and checksum, hex.
    pub(super) frame: String,
    pub(super) data_len: usize,
    pub(super) patches: Vec<String>,
    /// Which header values keep the data frame.
    pub(super) refusal: Option<String>,
}

/// The reply to a wrong request.
#[derive(Debug, Serialize)]
pub(super) struct ErrorPlan {
    pub(super) reason: &'static str,
    pub(super) reply: ReplyPlan,
}

/// A register.
#[derive(Debug, Serialize)]
pub(super) struct RegisterPlan {
    pub(super) name: String,
    pub(super) bytes_max: usize,
}

impl FsuPlan {
    /// Everything that serving this FSU rests on.
    pub(super) fn new(fsu: &Fsu) -> Self {
        let limits = &fsu.limits;
        Self {
            name: fsu.name.to_string(),
            transport: fsu.transport.name(),
            bind: fsu.bind.to_string(),
            id: fsu.id.to_string(),
            accept_any_id: fsu.accept_any_id,
            accept_rtn_flags: fsu.accept_rtn_flags.iter().map(|flag| format!("{flag:02X}")).collect(),
            heartbeat_interval_ms: fsu.heartbeat().map(|schedule| schedule.interval_ms),
            heartbeat_reply: fsu.heartbeat_reply,
            client_timeout_ms: fsu.client_timeout_ms,
            limits: LimitsPlan {
                clients_max: limits.clients_max,
                connections_max: limits.connections_max,
                frame_deadline_ms: limits.frame_deadline_ms,
                idle_timeout_ms: limits.idle_timeout_ms,
                write_deadline_ms: limits.write_deadline_ms,
                write_buffer_bytes_max: limits.write_buffer_bytes_max,
            },
            devices: fsu.devices.iter().map(|device| DevicePlan::new(fsu, device)).collect(),
            connect: fsu.connect.as_ref().map(|connect| ConnectPlan::new(connect, fsu.dials().is_some())),
            tls: fsu.tls.as_deref().map(TlsPlan::new),
        }
    }
}

/// No device of an FSU has that command.
#[derive(Debug, thiserror::Error)]
#[error("--cmd: {fsu} has no command `{key:.80}`{near}")]
pub(super) struct NoCommand {
    fsu: String,
    key: String,
    /// The nearest keys, in brackets; or nothing.
    near: String,
}

impl FsuPlan {
    /// What it has of the command with that key, or with `layout/KEY`: its devices that know it, their frame, and it alone.
    ///
    /// # Errors
    /// No device has it; the nearest keys.
    pub(super) fn only(&mut self, key: &str) -> Result<(), NoCommand> {
        let in_layout = key.split_once('/').filter(|(layout, _)| self.devices.iter().any(|one| one.layout == *layout));
        if let Some((layout, _)) = in_layout {
            self.devices.retain(|device| device.layout == layout);
        }
        let own = in_layout.map_or(key, |(_, own)| own);
        let is_name = self.devices.iter().flat_map(|device| &device.commands).any(|one| one.key == own);
        let digits = if is_name { own.to_owned() } else { key_digits(own).concat() };
        let known: BTreeSet<&str> =
            self.devices.iter().flat_map(|device| &device.commands).map(|one| &*one.key).collect();
        if !known.contains(&*digits) {
            let near = nearest(&digits, known.into_iter());
            return Err(NoCommand { fsu: self.name.clone(), key: key.to_owned(), near });
        }
        for device in &mut self.devices {
            device.commands.retain(|command| command.key == digits);
            let is_left = |number: &u32| device.commands.iter().any(|command| command.number == *number as usize);
            for keys in &mut device.keys {
                keys.table.iter_mut().for_each(|(_, numbers)| numbers.retain(is_left));
                keys.table.retain(|(_, numbers)| !numbers.is_empty());
            }
            device.keys.retain(|keys| !keys.table.is_empty());
            let is_of = |message: &MessagePlan| message.is_of(&device.layout, &digits);
            device.messages.retain(is_of);
            device.errors.clear();
        }
        self.devices.retain(|device| !device.commands.is_empty());
        Ok(())
    }
}

impl DeviceName {
    /// Of that device.
    pub(super) fn new(device: &Device) -> Self {
        Self {
            vendor: device.vendor.to_string(),
            sub_dev_type: device.sub_dev_type,
            sub_dev_addr: device.sub_dev_addr,
            template: device.template.path.to_string(),
        }
    }
}

impl DevicePlan {
    fn new(fsu: &Fsu, device: &Device) -> Self {
        let template = &*device.template;
        let commands = template.commands.iter().enumerate();
        let several = template.checksums().nth(1).is_some();
        Self {
            vendor: device.vendor.to_string(),
            layout: device.layouts.all.get(usize::from(device.layouts.own)).map_or("", |own| &own.name).into(),
            sub_dev_type: device.sub_dev_type,
            sub_dev_addr: device.sub_dev_addr,
            verify_checksum: match device.verify_checksum {
                VerifyChecksum::Warn => "warn",
                VerifyChecksum::Strict => "strict",
                VerifyChecksum::Off => "off",
            },
            template: template.path.to_string(),
            encoding: if template.is_hex() { "ascii_hex" } else { "binary" },
            start: hex(&template.start),
            end: hex(&template.end),
            framing: framing(template),
            longest_request: framer::longest(template),
            longest_reply: template.wire_len_max,
            header_len: template.left_len,
            header: fields(&template.left),
            data_len: data_len(template),
            tail_len: template.tail_len,
            tail: fields(&template.tail),
            lengths: template.lengths.iter().map(|field| length(template, field)).collect(),
            checksum: template.checksum.as_ref().map(ChecksumPlan::new),
            checksums: template.checksums().map(ChecksumPlan::new).take_while(|_| several).collect(),
            transit: describe::transit(template),
            versions: constants(&template.versions),
            errors: errors(device),
            keys: template.keys.iter().map(|shape| keys(template, shape)).collect(),
            commands: commands.map(|(number, command)| CommandPlan::new(device, number, command)).collect(),
            messages: messages(fsu, device),
            cycles: device.cycles,
            registers: device
                .registers
                .iter()
                .map(|register| RegisterPlan { name: register.name.to_string(), bytes_max: register.bytes_max })
                .collect(),
            keeps: describe::keeps(&device.keeps),
        }
    }
}

impl CommandPlan {
    fn new(device: &Device, number: usize, command: &Command) -> Self {
        let names = Names { device, command: Some(command) };
        let rules = device.rules.get(number).map(|rules| &**rules).unwrap_or_default();
        Self {
            number: number + 1,
            key: command.key_text.to_string(),
            up: command.up,
            request_size: request_size(&device.template, command),
            constants: constants(&command.constants),
            lengths: constants(&command.lengths),
            counts: counts(&device.template, command),
            request: command.request.as_deref().map(fields),
            reply_len: command.response_len,
            reply: fields(&command.response),
            request_walk: command.request_walk().map(|walk| describe::walk(walk)),
            reply_walk: command.reply_walk().map(|walk| describe::walk(walk)),
            rules: rules.iter().map(|rule| rule_plan(names, rule)).collect(),
        }
    }
}

/// Data-frame bytes of a request.
pub(super) fn request_size(template: &Template, command: &Command) -> String {
    match (&command.request, template.data_len_fixed) {
        (_, Some(fixed)) => count(fixed, "byte"),
        (None, None) => "whatever comes".into(),
        (Some(_), None) => describe::request_size(command),
    }
}

/// What `{{data_frame_length}}` counts in a command whose frames have one.
fn counts(template: &Template, command: &Command) -> Option<String> {
    let header = template.lengths.iter().any(|length| length.configured);
    (header || !command.counts.is_empty()).then(|| describe::counts(template, command.less))
}

fn framing(template: &Template) -> String {
    match template.framing {
        Framing::Fixed => {
            let raw = template.left_len + template.tail_len + template.data_len_fixed.unwrap_or(0);
            format!("fixed, {}", count(template.wire_len(raw), "byte"))
        }
        Framing::Length(number) => match template.lengths.get(number) {
            Some(field) => format!("by the length at {}", describe::span(field.at, field.len)),
            None => "by a length".into(),
        },
        Framing::Delimited => format!("delimited, from {} to {}", hex(&template.start), hex(template.delimiter().0)),
        Framing::Headed => {
            let by = template.moved.as_deref().and_then(|moved| moved.group.as_ref()).map_or("", |group| &*group.by);
            format!("by the length `{by}` of the header")
        }
        Framing::Keyed => "by the size of the command in the header".into(),
        Framing::Enveloped => format!("by the envelope, from {} to {}", hex(&template.start), hex(&template.end)),
    }
}

fn data_len(template: &Template) -> String {
    match (template.data_len_fixed, &*template.data_lens) {
        (Some(fixed), _) => count(fixed, "byte"),
        (None, []) => format!("up to {}", count(template.data_len_max, "byte")),
        (None, lens) => {
            let of = noun(if lens.len() == 1 { lens[0] } else { 2 }, "byte");
            let lens: Vec<String> = lens.iter().map(usize::to_string).collect();
            format!("{} {of} in a request", lens.join(", "))
        }
    }
}

fn fields(fields: &[Field]) -> Vec<FieldPlan> {
    let plan = |field: &Field| FieldPlan {
        at: field.at.0,
        len: field.slot.len,
        name: field.name.to_string(),
        kind: field.slot.to_string(),
        computed: describe::computed(field.computed),
    };
    fields.iter().map(plan).collect()
}

fn length(template: &Template, field: &LengthField) -> LengthPlan {
    let readings = if field.configured { &*template.readings } else { &[0] };
    let formulas: Vec<String> = readings.iter().map(|&less| describe::formula(field, less)).collect();
    let formula = formulas.join(", or (the commands say which) ");
    let &LengthField { at, len, little, base, per_data, lchksum, digits, .. } = field;
    let bcd = digits == Digits::Bcd;
    LengthPlan { at: at.0, len, little, base, per_data, lchksum, bcd, formula }
}

fn constants(constants: &[Constant]) -> Vec<ConstantPlan> {
    let plan = |constant: &Constant| ConstantPlan {
        name: constant.name.to_string(),
        at: constant.at.0,
        bytes: hex(&constant.bytes),
        mask: hex(&constant.mask),
        text: describe::constant(constant),
    };
    constants.iter().map(plan).collect()
}

fn errors(device: &Device) -> Vec<ErrorPlan> {
    let names = Names { device, command: None };
    let plan = |which: ErrorReply| {
        let reply = device.template.errors[which as usize].as_deref()?;
        Some(ErrorPlan { reason: which.name(), reply: reply_plan(names, reply) })
    };
    ErrorReply::ALL.into_iter().filter_map(plan).collect()
}

fn keys(template: &Template, shape: &KeyShape) -> KeysPlan {
    let digits = shape.parts.iter().map(|part| part.len * 2).sum();
    let part = |part: &KeyPart| PartPlan {
        at: part.at.0,
        len: part.len,
        little: part.little,
        name: describe::key_part_name(template, part).to_owned(),
    };
    let row = |(key, numbers): &(u128, Box<[u32]>)| {
        (format!("{key:0digits$X}"), numbers.iter().map(|number| number + 1).collect())
    };
    KeysPlan {
        parts: shape.parts.iter().map(part).collect(),
        data_len_min: shape.data_len_min,
        table: shape.table.iter().map(row).collect(),
    }
}

fn rule_plan(names: Names<'_>, rule: &Rule) -> RulePlan {
    RulePlan {
        origin: rule.origin.to_string(),
        when: constants(&rule.when),
        timeout: rule.timeout,
        delay: describe::delay(rule.delay),
        cycle: rule.cycle,
        set: names.effects(rule),
        test: rule.test.as_ref().map(|test| test.source.to_string()),
        replies: rule.replies.iter().map(|reply| reply_plan(names, reply)).collect(),
    }
}

pub(super) fn reply_plan(names: Names<'_>, reply: &Reply) -> ReplyPlan {
    let refusal = reply.refusal.as_ref().map(|refusal| {
        let ok: Vec<String> = refusal.ok.iter().map(|ok| hex(ok)).collect();
        let span = refusal.at..refusal.at + refusal.len;
        format!("no data unless reply[{}..{}] is {}", span.start, span.end, ok.join(" or "))
    });
    ReplyPlan {
        frame: hex(&reply.frame.to_vec()),
        data_len: reply.data_len,
        patches: reply.patches.iter().map(|patch| names.patch(reply, patch)).collect(),
        refusal,
    }
}
