//! Parts of a plan as text, for `explain` and `plan`. Values are written as in configuration files.

use super::columns::hex;
use fsu_core::predict::target;
use fsu_plan::compile::field::area_key;
use fsu_plan::compile::length::{behind, behind_len};
use fsu_plan::model::calc::{Asked, Calc};
use fsu_plan::model::coding::Change;
use fsu_plan::model::digits::Digits;
use fsu_plan::model::field::{Computed, Constant, Field, KeyPart, LengthField, Offset};
use fsu_plan::model::fleet::Device;
use fsu_plan::model::kept::Keeps;
use fsu_plan::model::reply::{Expr, Form, Number, Part, Patch, Reply, TimeItem};
use fsu_plan::model::rule::{DELAY_MS_MAX, Delay, Effect, Rule, SetRegister};
use fsu_plan::model::template::{Algorithm, Checksum, Command, Complement, Template};
use fsu_plan::model::walk::{Count, Node, Op, Walk, Walked, What};
use fsu_plan::wire::{value, walk};
use fsu_plan::words::count;

/// A span of the raw frame: `[5..12]` from its start, or `[-3..-1]` from its end (`[-1..]` up to the end).
pub fn span(at: Offset, len: usize) -> String {
    let to = at.0 + len as i32;
    if at.0 < 0 && to == 0 { format!("[{}..]", at.0) } else { format!("[{}..{to}]", at.0) }
}

/// What computes a field; empty if nothing does.
pub fn computed(computed: Computed) -> &'static str {
    match computed {
        Computed::No => "",
        Computed::Start => "start",
        Computed::End => "end",
        Computed::Length => "length",
        Computed::Checksum => "checksum",
    }
}

/// `record_index [5..9] = 00000000`, followed by the mask if only some bits count.
pub fn constant(constant: &Constant) -> String {
    let place = span(constant.at, constant.bytes.len());
    let mask = if constant.mask.iter().all(|&byte| byte == 0xFF) {
        String::new()
    } else {
        format!(" under mask {}", hex(&constant.mask))
    };
    format!("{} {place} = {}{mask}", constant.name, hex(&constant.bytes))
}

/// What `{{data_frame_length}}` counts in frames that leave out `less` bytes: `the data frame and cmd`.
pub fn counts(template: &Template, less: i64) -> String {
    let behind = behind(template);
    let names: Vec<&str> = behind.iter().map(|field| &*field.name).collect();
    match less {
        0 if names.is_empty() => "the data frame".into(),
        0 => format!("the data frame and {}", names.join(", ")),
        less if less == behind_len(template) as i64 => "the data frame alone".into(),
        _ => "nothing: it is the configured number".into(),
    }
}

/// `5 + 1 x data frame bytes`, for frames that leave out `less` bytes.
pub fn formula(field: &LengthField, less: i64) -> String {
    let base = field.base - if field.configured { less } else { 0 };
    let check = match field {
        LengthField { lchksum: true, .. } => ", the upper 4 of 16 bits check the lower 12",
        LengthField { digits, .. } if *digits != Digits::Binary => &format!(", as {}", digits.name()),
        _ => "",
    };
    match field.per_data {
        0 => format!("{base}{check}"),
        each => format!("{base} + {each} x data frame bytes{check}"),
    }
}

/// `sum of [1..-3]; at [-3..-1]`
pub fn checksum(checksum: &Checksum) -> String {
    let to = if checksum.to == Offset(0) { String::new() } else { checksum.to.0.to_string() };
    let over = if checksum.over_wire { "wire characters of " } else { "" };
    let complement = match checksum.complement {
        Complement::None => "",
        Complement::Ones => ", ones' complement",
        Complement::Twos => ", two's complement",
    };
    let order = if checksum.len == 1 {
        ""
    } else if checksum.little {
        ", low byte first"
    } else {
        ", high byte first"
    };
    let (itself, digits) = match &checksum.algorithm {
        Algorithm::Special(special) => (special.holds_itself.then_some(special.skips_itself), special.digits),
        _ => (None, Digits::Binary),
    };
    let itself = match itself {
        None => "",
        Some(false) => ", itself as 00",
        Some(true) => ", without itself",
    };
    let digits = if digits == Digits::Binary { String::new() } else { format!(", as {}", digits.name()) };
    let of = format!("{} of {over}[{}..{to}]{itself}{complement}{digits}", checksum.name, checksum.from.0);
    let place = span(checksum.at, checksum.len);
    match checksum.blocks() {
        None => format!("{of}; at {place}{order}"),
        Some(blocks) => {
            let last = if blocks.in_field { format!("; of the last one at {place}") } else { String::new() };
            let order = if blocks.little { "low" } else { "high" };
            let each = count(blocks.len, "byte");
            format!(
                "{of}, of every {} by itself, {each} behind each, {order} byte first{last}",
                count(blocks.every, "byte")
            )
        }
    }
}

/// What becomes of a frame on its way beyond its encoding, one line each.
pub fn transit(template: &Template) -> Vec<String> {
    let Some(coding) = &template.coding else { return Vec::new() };
    let mut out = Vec::new();
    if coding.data != Change::NONE {
        out.push(format!("data frame: each byte {}", coding.data));
    }
    let Some(envelope) = &coding.envelope else { return out };
    if let Some(escape) = &envelope.escape {
        let all: Vec<String> =
            escape.values.iter().map(|(byte, value)| format!("{byte:02X} as {}", hex(value))).collect();
        out.push(format!("envelope: {} to {}, {}", hex(&template.start), hex(&template.end), all.join(", ")));
    }
    if !envelope.preamble.is_empty() {
        out.push(format!("envelope: {} before each frame", hex(&envelope.preamble)));
    }
    if !envelope.skip.is_empty() {
        out.push(format!("envelope: ignores {} before a frame", hex(&envelope.skip)));
    }
    out
}

/// The fields, lists and choices of a program, one per line.
pub fn walk(program: &Walk) -> Vec<String> {
    let line = |node: &Node| {
        let mut depth = 0;
        let mut parent = node.parent;
        while let Some(around) = parent.and_then(|parent| program.nodes.get(parent as usize)) {
            (depth, parent) = (depth + 1, around.parent);
        }
        let case = node.parent.and_then(|parent| match &program.nodes.get(parent as usize)?.what {
            What::Choice { cases } => cases.get(node.case as usize),
            _ => None,
        });
        let case = case.map_or_else(String::new, |case| format!("[{case}] "));
        let what = match &node.what {
            What::Field { slot: of, varies: false } => format!("{of}, {}", count(of.len, "byte")),
            What::Field { slot: of, varies: true } => format!("{of}, up to {}", count(of.len, "byte")),
            What::List => format!("list, {}", items(program.ops.get(node.op as usize))),
            What::Choice { cases } => format!("choice of {}", count(cases.len(), "case")),
        };
        format!("{:indent$}{case}{}  {what}", "", node.name, indent = 2 * depth)
    };
    program.nodes.iter().map(line).collect()
}

/// The number of items of a list.
fn items(op: Option<&Op>) -> String {
    match op {
        Some(Op::List { count: Count::Fixed(items), .. }) => count(*items, "item"),
        Some(Op::List { max, .. }) => format!("up to {}", count(*max, "item")),
        _ => String::new(),
    }
}

/// An element of the request by its name in rules: `alarms.0.id`.
pub fn walked_name(walked: &Walked) -> String {
    let Walked { walk, path, .. } = walked;
    let mut parts = Vec::new();
    let mut node = walk.nodes.get(path.node as usize);
    while let Some(here) = node {
        parts.push(here.name.to_string());
        let parent = here.parent.and_then(|parent| walk.nodes.get(parent as usize));
        if parent.is_some_and(|parent| matches!(parent.what, What::List)) {
            let item = here.lists.checked_sub(1).and_then(|list| path.items.get(list));
            parts.push(item.copied().unwrap_or_default().to_string());
        }
        node = parent;
    }
    parts.reverse();
    parts.join(".")
}

/// `7 bytes`, `at least 7 bytes`, `5 or 7 bytes`
pub fn request_size(command: &Command) -> String {
    if command.request_walk().is_some() {
        return format!("at least {}, walked", count(command.request_len, "byte"));
    }
    match (command.exact, command.request_len, command.request_len_padded) {
        (false, len, _) => format!("at least {}", count(len, "byte")),
        (true, len, padded) if len == padded => count(len, "byte"),
        (true, len, padded) => format!("{len} or {}", count(padded, "byte")),
    }
}

/// The field that holds a part of a key.
pub fn key_part_name<'a>(template: &'a Template, part: &KeyPart) -> &'a str {
    let data = template.commands.iter().flat_map(|command| command.request.iter().flatten());
    let mut fields = template.left.iter().chain(data).chain(&template.tail);
    fields.find(|field| field.at == part.at && field.slot.len == part.len).map_or("?", |field| &field.name)
}

/// What a device remembers beside registers, one per line.
pub fn keeps(keeps: &Keeps) -> Vec<String> {
    let areas =
        keeps.areas.iter().map(|area| format!("memory area {}: {}", area.name, count(area.bytes as usize, "byte")));
    let keyed =
        keeps.keyed.iter().map(|keyed| format!("keyed register {}: up to {} entries", keyed.name, keyed.entries_max));
    let counters = keeps.counters.iter().map(|name| format!("counter {name}"));
    areas.chain(keyed).chain(counters).collect()
}

/// When a reply is sent.
pub fn delay(delay: Delay) -> String {
    match delay {
        Delay::None => "at once".into(),
        Delay::Fixed(ms) => format!("after {ms} ms"),
        Delay::Uniform(low, high) if low >= high => format!("after {low} ms"),
        Delay::Uniform(low, high) => format!("after {low} to {high} ms, uniform"),
        Delay::Normal(mean, sd) => format!("normal, mean {mean} ms, standard deviation {sd} ms"),
        Delay::Lognormal(mu, sigma) => {
            let (median, p99) = (mu.exp(), (mu + 2.326_347_874_040_841 * sigma).exp());
            format!("lognormal, median {median:.1} ms, 99 % below {p99:.1} ms (never above {DELAY_MS_MAX} ms)")
        }
    }
}

/// Looks up the names of a command's request and reply fields.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// The device; its template has header and tail.
    pub device: &'a Device,
    /// The command; `None` for the reply to an invalid request.
    pub command: Option<&'a Command>,
}

impl<'a> Names<'a> {
    fn request(self) -> impl Iterator<Item = &'a Field> {
        self.device.template.left.iter().chain(self.data()).chain(&self.device.template.tail)
    }

    /// A field's name as a rule must spell it. A header or tail field gets its area as a prefix if a data-frame field has the same name.
    fn spelled(self, field: &Field, data: &[Field]) -> String {
        let outside = self.device.template.left.iter().chain(&self.device.template.tail);
        let is_outside = outside.into_iter().any(|other| other.at == field.at && other.name == field.name);
        if is_outside && data.iter().any(|other| other.name == field.name) {
            return format!("{{{}}}_{}", area_key(field), field.name);
        }
        field.name.to_string()
    }

    fn data(self) -> &'a [Field] {
        self.command.and_then(|command| command.request.as_deref()).unwrap_or_default()
    }

    /// ` (year to second)`: the request fields that a span covers.
    fn covered(self, at: Offset, len: usize) -> String {
        let inside = |field: &&Field| field.at.0 >= at.0 && field.at.0 < at.0 + len as i32;
        let names: Vec<String> = self.request().filter(inside).map(|field| self.spelled(field, self.data())).collect();
        match names.as_slice() {
            [] => String::new(),
            [one] => format!(" ({one})"),
            [first, .., last] => format!(" ({first} to {last})"),
        }
    }

    /// ` (result)`: the reply field at an offset of the reply's raw frame.
    fn target(self, reply: &Reply, to: usize) -> String {
        let template = &self.device.template;
        let data = self.command.map(|command| &*command.response).unwrap_or_default();
        let fields = template.left.iter().chain(data).chain(&template.tail);
        let here = |field: &&Field| field.at.in_frame(reply.frame.len()) == to;
        fields.into_iter().find(here).map_or_else(String::new, |field| format!(" ({})", self.spelled(field, data)))
    }

    fn register(self, number: u32) -> &'a str {
        self.device.registers.get(number as usize).map_or("?", |register| &register.name)
    }

    /// A value as in a rule file.
    pub fn expr(self, expr: &Expr) -> String {
        expr.parts.iter().map(|part| self.part(part)).collect()
    }

    fn part(self, part: &Part) -> String {
        match part {
            Part::Literal(text) => text.to_string(),
            Part::Field { at, slot } => {
                let same = |field: &&Field| field.at == *at && field.slot == *slot;
                let name = self.request().find(same).map(|field| self.spelled(field, self.data()));
                format!("#{{{}}}#", name.unwrap_or_else(|| format!("request{}", span(*at, slot.len))))
            }
            Part::Walked(walked) => format!("#{{{}}}#", walked_name(walked)),
            Part::Number { number: which, .. } | Part::Packed(which) | Part::Hex(which) => {
                format!("${{{}}}$", number(*which))
            }
            Part::Datetime(items) => format!("${{datetime({})}}$", items.iter().map(time_item).collect::<String>()),
            Part::FsuId => "${fsuid()}$".into(),
            Part::Choice(choices) => format!("${{choice({})}}$", choices.join(",")),
            Part::Register(register) => format!("${{reg({})}}$", self.register(*register)),
            Part::Calc(calc) => format!("${{{}}}$", calc.source),
        }
    }

    /// `clock := #{datetime}#`
    pub fn set(self, set: &SetRegister) -> String {
        format!("{} := {}", self.register(set.register), self.expr(&set.value))
    }

    /// `door = 3, n = 2`: the request's fields that an expression reads.
    pub fn values(self, calc: &Calc, raw: &[u8]) -> String {
        let one = |asked: &Asked| {
            let (part, slot, bytes) = match asked {
                Asked::Fixed { at, slot } => {
                    let at_byte = at.in_frame(raw.len());
                    let bytes = raw.get(at_byte..).and_then(|rest| rest.get(..slot.len));
                    (Part::Field { at: *at, slot: slot.clone() }, slot, bytes)
                }
                Asked::Walked(walked) => {
                    let bytes = walk::bytes(&walked.walk, raw, &walked.path).map(|(bytes, _)| bytes);
                    (Part::Walked(Box::new(walked.clone())), &walked.slot, bytes)
                }
            };
            let mut text = format!("{} = ", self.part(&part).trim_start_matches("#{").trim_end_matches("}#"));
            match bytes {
                Some(bytes) => value::decode(slot, bytes, &mut text),
                None => text.push_str("nothing"),
            }
            text
        };
        let mut all: Vec<String> = Vec::new();
        for text in calc.fields.iter().map(one) {
            if !all.contains(&text) {
                all.push(text);
            }
        }
        if all.is_empty() { "nothing that it reads".into() } else { all.join(", ") }
    }

    /// All that a rule sets and stores, in order.
    pub fn effects(self, rule: &Rule) -> Vec<String> {
        if rule.effects.is_empty() {
            return rule.sets.iter().map(|set| self.set(set)).collect();
        }
        rule.effects.iter().map(|effect| self.effect(effect)).collect()
    }

    fn effect(self, effect: &Effect) -> String {
        let keyed = |number: u16| self.device.keeps.keyed.get(usize::from(number)).map_or("?", |keyed| &keyed.name);
        match effect {
            Effect::Set(set) => self.set(set),
            Effect::Entry { register, key, value: Some(value) } => {
                format!("{}[{}] := {}", keyed(*register), key.source, self.expr(value))
            }
            Effect::Entry { register, key, value: None } => {
                format!("{}[{}] is taken out", keyed(*register), key.source)
            }
            Effect::Clear(register) => format!("{}[] is taken out", keyed(*register)),
            Effect::Restart(number) => {
                let counter = self.device.keeps.counters.get(usize::from(*number));
                format!("count({}) begins again", counter.map_or("?", |name| name))
            }
            Effect::Store(store) => {
                let at = &store.at.source;
                let place = match &store.bits {
                    Some(bits) => format!("bit {at}, {} of them", bits.source),
                    None => format!("byte {at}"),
                };
                format!("{}: from {place} := {}", store.name, store.value.source)
            }
        }
    }

    /// What a patch writes, without its destination.
    pub fn source(self, patch: &Patch) -> String {
        match patch {
            Patch::Copy { from, len, .. } => format!("request{}{}", span(*from, *len), self.covered(*from, *len)),
            Patch::CopyReversed { from, len, .. } => {
                format!("request{}{} reversed", span(*from, *len), self.covered(*from, *len))
            }
            Patch::Number { number: which, form, .. } => {
                let form = match form {
                    Form::Bcd => "digits, two a byte",
                    Form::BcdLittle => "digits, two a byte, low first",
                    Form::BcdPadded { .. } => "digits, two a byte, and padding",
                    Form::Dec => "decimal characters",
                    Form::HexDigits { low: false } => "hex characters",
                    Form::HexDigits { low: true } => "hex characters, low byte first",
                    Form::Big => "binary, high byte first",
                    Form::Little => "binary, low byte first",
                };
                format!("${{{}}}$ as {form}", number(*which))
            }
            Patch::Text { value, slot: which, .. } => format!("{} as {which}", self.expr(value)),
        }
    }

    /// `copy request[5..12] -> reply[5..12]`, `reply[12..14] = ${rand(1,9)}$ as …`
    pub fn patch(self, reply: &Reply, patch: &Patch) -> String {
        let (to, len) = target(patch);
        let place = format!("reply[{to}..{}]", to + len);
        match patch {
            Patch::Copy { .. } | Patch::CopyReversed { .. } => format!("copy {} -> {place}", self.source(patch)),
            _ => format!("{place}{} = {}", self.target(reply, to), self.source(patch)),
        }
    }
}

fn number(number: Number) -> String {
    match number {
        Number::Year2 => "year(yy)",
        Number::Year4 => "year(yyyy)",
        Number::Month => "month()",
        Number::Day => "day()",
        Number::Week1 => "week()",
        Number::Week0 => "week(0)",
        Number::Hour => "hour()",
        Number::Minute => "minute()",
        Number::Second => "second()",
        Number::PackedDate => "packed_date()",
        Number::PackedTime => "packed_time()",
        Number::Seq => "seq()",
        Number::Rand(low, high) => return format!("rand({low},{high})"),
    }
    .into()
}

fn time_item(item: &TimeItem) -> String {
    match item {
        TimeItem::Literal(text) => text.replace('%', "%%"),
        TimeItem::Millis => "%3f".into(),
        // All of its value is the clock.
        TimeItem::Epoch(_) => String::new(),
        TimeItem::DayOfYear => "%j".into(),
        TimeItem::Number(which, _) => match which {
            Number::Year2 => "%y".into(),
            Number::Year4 => "%Y".into(),
            Number::Month => "%m".into(),
            Number::Day => "%d".into(),
            Number::Week1 => "%u".into(),
            Number::Week0 => "%w".into(),
            Number::Hour => "%H".into(),
            Number::Minute => "%M".into(),
            Number::Second => "%S".into(),
            other => number(*other),
        },
    }
}
