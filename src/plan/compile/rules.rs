//! Rule files to the rules of one device.

use super::effect;
use super::effects::{self, Effects};
use super::expr::{is_function, nearest};
use super::faults::{self, Level, Limited};
use super::field::{self, Area, outside};
use super::fields::{Requests, Values};
use super::kept::Kept;
use super::key::key_digits;
use super::layouts::{self, Family};
use super::messages::{self, MessagesOf};
use super::moved::area_in;
use super::own_value;
use super::payload::ByPlace;
use super::registers::registers;
use super::reply::{self, Sources, header_lookup};
use super::scope::{CommandScope, Key, Registers, fields_of, is_comment};
use super::sequence::{self, Burst};
use super::template::TemplateDraft;
use super::transfer::check_size;
use super::walk;
use super::whole;
use crate::config::at::{At, Json, Pos};
use crate::config::diag::Diags;
use crate::config::raw::{RawRule, RawRules};
use crate::model::conversation::Conversation;
use crate::model::fault::FaultSet;
use crate::model::field::{Computed, Constant};
use crate::model::kept::Keeps;
use crate::model::reply::{Payload, Reply};
use crate::model::rule::{DELAY_MS_MAX, Delay, EFFECTS, Register, Rule};
use crate::model::template::{Command, Template};
use crate::model::walk::WalkedConstant;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

/// The compiled rules of a device.
pub struct DeviceRules {
    /// By layout of the template, and by command number.
    pub rules: Vec<Box<[Box<[Rule]>]>>,
    /// How many `cycle` places.
    pub cycles: u32,
    /// By number.
    pub registers: Box<[Register]>,
    /// What else the device remembers.
    pub keeps: Arc<Keeps>,
    /// What it says unasked.
    pub conversation: Option<Conversation>,
    /// By layout, the commands that no rule file names, and that ask for an answer of a rule.
    pub unanswered: Vec<Vec<usize>>,
}

/// What the rules of a device are compiled from.
pub struct RulesOf<'a> {
    /// Its template.
    pub draft: &'a TemplateDraft,
    /// Its rule files, in the order in which they are asked.
    pub files: &'a [(PathBuf, At<RawRules>)],
    /// The data of their `data_file` and `data_bytes`.
    pub payloads: &'a ByPlace,
    /// Hex digits of the FSU's id.
    pub id_digits: usize,
    /// The faults of the device, for every rule.
    pub faults: Option<&'a FaultSet>,
}

/// Compiles the rule files of one device. `limited` gets the fault keys that not every transport can do.
pub fn rules(diags: &mut Diags, of: &RulesOf<'_>, kept: Kept, limited: &mut Vec<Limited>) -> DeviceRules {
    let family = Family::new(of.draft);
    let requests = family.requests();
    let registers = registers(diags, family, &requests, (of.files, kept), of.id_digits);
    let each = |draft: &TemplateDraft| draft.commands.iter().map(|_| Vec::new()).collect();
    let all = family.drafts().map(each).collect();
    let mut compiler = Compiler {
        of,
        family,
        registers: &registers,
        requests: &requests,
        cycles: 0,
        named: family.drafts().map(|draft| vec![false; draft.commands.len()]).collect(),
        rules: all,
    };
    family.drafts().for_each(|draft| own_value::check(diags, draft));
    for (_, file) in of.files {
        compiler.file(diags, file, limited);
    }
    let Compiler { mut cycles, mut named, mut rules, .. } = compiler;
    let from = MessagesOf { of, family, registers: &registers, requests: &requests, rules: &rules };
    let mut conversation = messages::messages(diags, &from, &mut cycles, limited);
    messages::name(conversation.as_ref(), &mut named);
    for (at, name) in registers.kept.idle_restarts() {
        diags.warn(at, format!("nothing counts with `{name}` here (a value with `${{count({name})}}$`)"));
    }
    for list in rules.iter_mut().flatten() {
        // Rules of later files behind an unconditional one are never reached.
        if let Some(end) = list.iter().position(|rule| rule.when.is_empty() && !rule.asks_more) {
            list.truncate(end + 1);
        }
    }
    // Registers that nothing reads are not kept.
    let of_messages = conversation.iter_mut().flat_map(|all| all.messages.iter_mut().map(|message| &mut message.rule));
    for rule in rules.iter_mut().flatten().flatten().chain(of_messages) {
        let sets = std::mem::take(&mut rule.sets).into_vec();
        let is_read = |register: &u32| *register == EFFECTS || registers.read.borrow().contains(register);
        rule.sets = sets.into_iter().filter(|set| is_read(&set.register)).collect();
    }
    let silent = |(draft, named): (&TemplateDraft, &Vec<bool>)| {
        let silent = |&number: &usize| {
            !named[number] && !draft.plan.commands[number].up && !answered_by_transfer(&draft.plan, number)
        };
        (0..named.len()).filter(silent).collect()
    };
    let boxed = |rules: Vec<Vec<Rule>>| rules.into_iter().map(Vec::into_boxed_slice).collect();
    DeviceRules {
        unanswered: family.drafts().zip(&named).map(silent).collect(),
        rules: rules.into_iter().map(boxed).collect(),
        cycles,
        registers: registers.all.into(),
        keeps: Arc::new(registers.kept.keeps()),
        conversation,
    }
}

/// What was compiled so far, and what it is compiled with.
struct Compiler<'c> {
    of: &'c RulesOf<'c>,
    family: Family<'c>,
    registers: &'c Registers,
    /// By layout.
    requests: &'c [Requests<'c>],
    cycles: u32,
    /// By layout and command number: whether some rule file names it.
    named: Vec<Vec<bool>>,
    /// By layout and command number.
    rules: Vec<Vec<Vec<Rule>>>,
}

impl Compiler<'_> {
    /// One rule file.
    fn file(&mut self, diags: &mut Diags, file: &At<RawRules>, limited: &mut Vec<Limited>) {
        let mut keys: HashMap<(usize, Vec<usize>), &str> = HashMap::new();
        for (key, list) in &file.value.0.0 {
            if diags.is_over() {
                break;
            }
            if layouts::unknown_layout(diags, self.family, key.pos, &key.value) {
                continue;
            }
            let (layout, numbers) = self.family.commands(&key.value);
            let draft = self.family.draft(layout);
            for &number in &numbers {
                self.named[layout][number] = true;
            }
            if let Some(before) = keys.insert((layout, numbers.clone()), &key.value).filter(|_| !numbers.is_empty()) {
                diags.error(key.pos, format!("the same command as `{before}` (its rules in one list)"));
                continue;
            }
            if numbers.is_empty() {
                unknown_key(diags, self.family, key);
                continue;
            }
            if list.value.0.is_empty() && diags.is_empty_list(list.pos) {
                diags.warn(list.pos, "an empty list: the command is not answered, as if it did not stand here");
            }
            let mut ended = false;
            let of = Key::new((self.family, layout), &numbers, self.requests);
            for raw in &list.0 {
                let (own, both) = (raw, whole::with(raw, file.value.2.as_ref()));
                let raw = &*both;
                if ended {
                    diags.warn(raw.pos, "never reached: the rule before it has no `when`");
                }
                ended |= own.when.as_ref().is_none_or(|when| when.test.is_none() && fields_of(when).next().is_none());
                effect::rule(diags, raw, &draft.plan);
                let faults = rule_faults(diags, raw, self.of.faults, limited);
                self.rule(diags, &of, raw, faults);
            }
        }
    }

    /// One rule, for each of the commands that its key names.
    fn rule(&mut self, diags: &mut Diags, key: &Key<'_, '_>, raw: &At<RawRule>, faults: Option<FaultSet>) {
        let draft = key.draft;
        let delay = delay(diags, raw);
        let data = raw.data.as_ref().map(|data| data.0.as_slice()).unwrap_or_default();
        let turns = turns(diags, raw);
        for values in turns.iter().copied().chain([data]) {
            field::check_once(diags, &draft.plan, values, |plain: &str| key.reply_field(plain).is_some());
        }
        for (name, value) in data.iter().chain(turns.iter().flat_map(|turn| turn.iter())) {
            check_name(diags, key, name, value);
        }
        let cycle = raw.cycle.as_ref().map(|_| {
            self.cycles += 1;
            self.cycles - 1
        });
        let Burst { count: burst, gaps_ms } = sequence::burst(diags, draft, raw);
        let when = when(diags, key, raw);
        let origin = diags.place(raw.pos);
        let given = raw.data_file.as_ref().map(|at| at.pos).or(raw.data_bytes.as_ref().map(|at| at.pos));
        let given = given.map(|pos| (pos, self.of.payloads.get(&pos)));
        let written = Written { raw, data: Values::new(data), turns, given };
        for (&number, when) in key.numbers.iter().zip(when) {
            let Some(when) = when else { continue };
            let room = size_of::<Rule>() + origin.len() + written.turns.len() * size_of::<Arc<Reply>>();
            if !diags.charge(raw.pos, room, "this rule") {
                return;
            }
            let scope = CommandScope { key, number, registers: self.registers, args: None };
            let replies = replies(diags, &scope, &written);
            let walked = when_walked(diags, &draft.plan, &draft.plan.commands[number], raw);
            let test = effects::test(diags, raw, &scope);
            let Effects { sets, effects } = effects::effects(diags, raw, &scope);
            self.rules[key.family.1][number].push(Rule {
                when,
                asks_more: !walked.is_empty() || test.is_some(),
                walked,
                test,
                effects,
                timeout: raw.timeout.as_ref().is_some_and(|timeout| timeout.value),
                delay,
                cycle,
                burst,
                gaps_ms: gaps_ms.clone(),
                frames: sequence::frames(key, raw, number),
                faults: faults.map(Box::new),
                replies,
                sets,
                origin: origin.as_str().into(),
            });
        }
        for name in self.registers.unset.take() {
            let near = nearest(&name, self.registers.numbers.keys().map(String::as_str));
            let text = format!("no rule of this device sets register `{name}`, so it is always empty{near}");
            diags.warn(raw.pos, text);
        }
    }
}

/// Reports a key that names no command, unless commands are missing: their rules cannot be looked at.
fn unknown_key(diags: &mut Diags, family: Family<'_>, key: &At<String>) {
    if family.is_incomplete() {
        return;
    }
    let known = family.drafts().flat_map(|draft| draft.plan.commands.iter()).map(|command| &*command.key_text);
    let near = nearest(&key_digits(&key.value).concat(), known);
    diags.warn(key.pos, format!("the template has no command `{}`{near}", key.value));
}

/// Values as a file has them.
pub(super) type Pairs<'r> = &'r [(At<String>, At<Json>)];

/// What a rule has for its replies.
struct Written<'r> {
    raw: &'r At<RawRule>,
    data: Values<'r>,
    /// The objects of its `cycle`; without one, an empty one.
    turns: Vec<Pairs<'r>>,
    /// The place of `data_file` or `data_bytes`, and the data; `None` after an error.
    given: Option<(Pos, Option<&'r Arc<[u8]>>)>,
}

pub(super) fn turns<'r>(diags: &mut Diags, raw: &'r At<RawRule>) -> Vec<Pairs<'r>> {
    match &raw.cycle {
        Some(cycle) if cycle.value.is_empty() => {
            // If it has entries, they are wrong, which was reported.
            if diags.is_empty_list(cycle.pos) {
                diags.error(cycle.pos, "`cycle` is empty (a list of data objects)");
            }
            vec![&[]]
        }
        Some(cycle) => cycle.value.iter().map(|turn| turn.value.0.as_slice()).collect(),
        None => vec![&[]],
    }
}

/// The replies to a command, one for each turn.
fn replies(diags: &mut Diags, scope: &CommandScope<'_, '_, '_>, written: &Written<'_>) -> Box<[Arc<Reply>]> {
    let (key, number) = (scope.key, scope.number);
    let draft = key.draft;
    if let Some(list) = &written.raw.replies {
        return sequence::replies(diags, scope, list);
    }
    let command = &draft.plan.commands[number];
    let drafted = &draft.commands[number];
    let replies = written.turns.iter().map_while(|turn| {
        if diags.is_over() {
            return None;
        }
        let turn = Values::new(turn);
        let sources = Sources {
            template: &draft.plan,
            refusal: draft.refusal.as_ref(),
            request: key.requests.of(number),
            response: &drafted.response,
            response_len: command.response_len,
            less: command.less,
            padding: drafted.padding,
            values: &[&turn, &written.data, &Values::new(&drafted.listed)],
            scope,
            key: &[],
            walk: drafted.walk.as_ref(),
            asked: command.walk.as_ref().and_then(|walk| walk.request.as_ref()),
            asked_in: None,
            bases: &draft.bases,
            pos: written.raw.pos,
        };
        Some(Arc::new(with_payload(diags, &sources, written)))
    });
    replies.collect()
}

/// Whether it is the demand for a data frame, which the transfer answers, or a data frame itself.
pub(super) fn answered_by_transfer(plan: &Template, number: usize) -> bool {
    let Some((transfer, command)) = plan.transfer.as_ref().zip(plan.commands.get(number)) else { return false };
    let cmd: Option<Vec<u8>> = transfer.cmd.clone().map(|at| command.sample.get(at)).collect();
    cmd.is_some_and(|cmd| *cmd == *transfer.next.bytes || *cmd == *transfer.data_cmd)
}

/// The reply, with its data in frames of its own where the template has transfers.
fn with_payload(diags: &mut Diags, sources: &Sources<'_>, written: &Written<'_>) -> Reply {
    let given = written.given;
    let reply = reply::build(diags, sources);
    let Some(transfer) = &sources.template.transfer else { return reply };
    let names = || sources.values.iter().flat_map(|values| values.list).map(|(name, _)| name);
    let is_data = |name: &&At<String>| {
        let (area, plain) = area_in(sources.template, &name.value);
        area == Area::Plain && sources.response.data(plain).is_some()
    };
    if given.is_some()
        && let Some(name) = names().find(is_data)
    {
        diags.warn(name.pos, format!("`{}` means nothing beside data_file or data_bytes", name.value));
    }
    let pos = given.map_or(written.raw.pos, |(pos, _)| pos);
    let data_len = reply.data_len;
    let reply = reply::split(sources.template, reply, given.and_then(|(_, bytes)| bytes.cloned()));
    match &reply.payload {
        Payload::None | Payload::Raw | Payload::Walked(_) => {}
        Payload::Static(bytes) => check_size(diags, transfer, bytes.len(), pos),
        Payload::Built => check_size(diags, transfer, data_len, pos),
    }
    reply
}

/// The faults of a rule laid over those of its device.
pub(super) fn rule_faults(
    diags: &mut Diags,
    raw: &RawRule,
    device: Option<&FaultSet>,
    limited: &mut Vec<Limited>,
) -> Option<FaultSet> {
    let mut set = device.copied().unwrap_or_default();
    if let Some(raw) = &raw.faults {
        set.overlay(&faults::set(diags, raw, Level::Device, limited));
    }
    (!set.is_empty()).then_some(set)
}

/// A name in `data` must be a reply field of one of the commands, or a header field that can be set.
fn check_name(diags: &mut Diags, key: &Key<'_, '_>, name: &At<String>, value: &At<Json>) {
    let &Key { draft, numbers, .. } = key;
    let plan = &draft.plan;
    let (area, plain) = area_in(plan, &name.value);
    if area == Area::Plain && key.reply_walk(plain) {
        return;
    }
    if let Some(field) = key.reply_field(plain).filter(|_| area == Area::Plain) {
        if field.field.computed == Computed::Length {
            diags.warn(name.pos, format!("`{plain}` is always computed; its value here means nothing"));
        }
        return;
    }
    match outside(plan, area, plain) {
        Some(field) if field.computed == Computed::No => {}
        Some(_) => diags.warn(name.pos, format!("`{plain}` is always computed; its value here means nothing")),
        None if is_comment(plain) && matches!(value.value, Json::Str(_)) => {}
        None => {
            let header = plan.left.iter().chain(&plan.tail).filter(|field| field.computed == Computed::No);
            let reply_fields = numbers.iter().flat_map(|&number| draft.commands[number].response.iter());
            let names = reply_fields.map(|field| &*field.field.name).chain(header.map(|field| &*field.name));
            let near = nearest(plain, names);
            let key = numbers.first().map_or("", |&number| &plan.commands[number].key_text);
            diags.error(name.pos, format!("the reply to {key} has no field `{}`{near}", name.value));
        }
    }
}

/// `when`, by command: `None` where this command's requests cannot fit it.
fn when(diags: &mut Diags, key: &Key<'_, '_>, raw: &At<RawRule>) -> Vec<Option<Box<[Constant]>>> {
    let &Key { draft, numbers, .. } = key;
    let entries = 1 + raw.when.as_ref().map_or(0, |when| when.0.len());
    if !diags.charge(raw.pos, numbers.len() * entries * size_of::<Option<Box<[Constant]>>>(), "`when` of this rule") {
        return Vec::new();
    }
    let mut out: Vec<Option<Vec<Constant>>> = numbers.iter().map(|_| Some(Vec::new())).collect();
    let requests = || numbers.iter().flat_map(|&number| draft.plan.commands[number].request.iter().flatten());
    let is_data = |plain: &str| key.asks(plain);
    field::check_once(diags, &draft.plan, raw.when.as_ref().map(|when| when.0.as_slice()).unwrap_or_default(), is_data);
    for (name, value) in raw.when.iter().flat_map(|when| fields_of(when)) {
        let (area, plain) = area_in(&draft.plan, &name.value);
        if is_function(&value.value) {
            diags.error(value.pos, "`when` compares with constants, not with functions");
            continue;
        }
        let mut found = false;
        let mut failed: Option<Diags> = None;
        for (&number, constants) in numbers.iter().zip(&mut out) {
            let walk = draft.plan.commands[number].request_walk().filter(|_| area == Area::Plain);
            if walk.is_some_and(|walk| walk.path(plain).is_some()) {
                // Looked at by `when_walked`.
                found = true;
                continue;
            }
            let own = key.requests.field(number, plain).filter(|_| area == Area::Plain);
            let place = own
                .map(|field| (field.at, field.slot.clone()))
                .or_else(|| header_lookup(&draft.plan, &name.value).ok());
            let Some((at, slot)) = place else {
                *constants = None;
                continue;
            };
            // A value may fit the field of one entry and not that of another of the same key.
            let mut trial = Diags::default();
            if let Some((bytes, mask)) = field::constant(&mut trial, &slot, value) {
                found = true;
                if let Some(constants) = constants {
                    // Where a plain name would be another field, the area is part of the name.
                    let both = area != Area::Plain && is_data(plain);
                    let name = if both { name.value.trim().into() } else { plain.into() };
                    let name: Box<str> = name;
                    let room = size_of::<Constant>() + name.len() + bytes.len() + mask.len();
                    if diags.charge(value.pos, room, "a constant of `when`") {
                        constants.push(Constant { name, at, bytes, mask });
                    }
                }
            } else {
                failed = Some(trial);
                *constants = None;
            }
        }
        match failed {
            _ if found => {}
            Some(trial) => trial.list().iter().for_each(|diag| diags.add(diag.clone())),
            None if is_comment(plain) => out.iter_mut().for_each(|constants| *constants = Some(Vec::new())),
            None => {
                let plan = &draft.plan;
                let names = requests().chain(plan.left.iter()).map(|field| &*field.name);
                let near = nearest(plain, names);
                diags.error(name.pos, format!("no field `{}` in the request{near}", name.value));
            }
        }
    }
    out.into_iter().map(|constants| constants.map(Vec::into_boxed_slice)).collect()
}

/// `when` of elements behind a field of variable size.
fn when_walked(diags: &mut Diags, plan: &Template, command: &Command, raw: &At<RawRule>) -> Box<[WalkedConstant]> {
    let Some(walk) = command.request_walk() else { return Box::default() };
    let named = raw.when.iter().flat_map(|when| fields_of(when));
    let walked = named.map(|(name, value)| (name, area_in(plan, &name.value), value));
    let mut out = Vec::new();
    for (name, (_, plain), value) in walked.filter(|(_, (area, _), _)| *area == Area::Plain) {
        out.extend(walk::constant(diags, walk, (&name.value, plain), value));
    }
    out.into()
}

pub(super) fn delay(diags: &mut Diags, raw: &RawRule) -> Delay {
    let most = DELAY_MS_MAX as f64;
    let ms = |at: &At<f64>, diags: &mut Diags| {
        if (0.0..=most).contains(&at.value) {
            return Some(at.value);
        }
        diags.error(at.pos, format!("{} ms (0 to {DELAY_MS_MAX})", at.value));
        None
    };
    let plain = match &raw.delay_ms {
        Some(at) => match ms(at, diags) {
            Some(ms) if ms > 0.0 => Delay::Uniform(ms.min(50.0), ms),
            _ => Delay::None,
        },
        None => Delay::None,
    };
    let Some(delay) = &raw.delay else { return plain };
    if raw.delay_ms.is_some() {
        diags.warn(delay.pos, "`delay` and `delay_ms` are both given; `delay` is taken");
    }
    let given = [delay.fixed.is_some(), delay.uniform.is_some(), delay.normal.is_some(), delay.lognormal.is_some()];
    if given.iter().filter(|&&given| given).count() != 1 {
        let keys = ["fixed", "uniform", "normal", "lognormal"];
        if !given.contains(&true) && keys.iter().any(|key| diags.written(delay.pos, key).is_some()) {
            return plain; // a wrong one, which was reported
        }
        diags.error(delay.pos, "`delay` has one of fixed, uniform, normal, lognormal");
        return plain;
    }
    if let Some(fixed) = &delay.fixed {
        return ms(fixed, diags).map_or(plain, Delay::Fixed);
    }
    let pair = |at: &At<Vec<f64>>, what: &str, ok: &dyn Fn(f64, f64) -> bool, diags: &mut Diags| match at.value[..] {
        [a, b] if (0.0..=most).contains(&a) && (0.0..=most).contains(&b) && ok(a, b) => Some((a, b)),
        _ => {
            diags.error(at.pos, format!("should be {what}, in ms, 0 to {DELAY_MS_MAX}"));
            None
        }
    };
    if let Some(at) = &delay.uniform {
        return pair(at, "[least, most]", &|a, b| a <= b, diags).map_or(plain, |(a, b)| Delay::Uniform(a, b));
    }
    if let Some(at) = &delay.normal {
        return pair(at, "[mean, standard deviation]", &|_, _| true, diags).map_or(plain, |(a, b)| Delay::Normal(a, b));
    }
    if let Some(at) = &delay.lognormal {
        // 2.3263…: the standard normal's 99th percentile.
        let compile =
            |(median, p99): (f64, f64)| Delay::Lognormal(median.ln(), (p99 / median).ln() / 2.326_347_874_040_841);
        return pair(at, "[median, 99th percentile]", &|a, b| a > 0.0 && a <= b, diags).map_or(plain, compile);
    }
    plain
}
