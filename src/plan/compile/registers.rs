//! Registers of a device: which there are, and how long they may become.

use super::calc;
use super::expr;
use super::fields::Requests;
use super::kept::Kept;
use super::layouts::Family;
use super::messages;
use super::scope::{Args, CommandScope, Key, NEVER_SET, NO_COMMAND, Registers, fields_of, is_comment};
use crate::config::at::{At, Json};
use crate::config::diag::Diags;
use crate::config::raw::RawRules;
use crate::config::steps::step;
use crate::model::field::Kind;
use crate::model::reply::{Expr, Part};
use crate::model::rule::{REGISTER_BYTES_MAX, Register};
use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;

/// All registers that any rule sets, with their longest text.
pub(super) fn registers<'a>(
    diags: &mut Diags,
    family: Family<'a>,
    requests: &[Requests<'a>],
    (files, kept): (&[(PathBuf, At<RawRules>)], Kept),
    id_digits: usize,
) -> Registers {
    let mut registers = Registers { id_digits, kept, ..Registers::default() };
    let mut keys: Vec<(usize, Vec<usize>)> = Vec::new();
    let mut sets: Vec<Set<'_>> = Vec::new();
    let mut entries: Vec<KeyedSet<'_>> = Vec::new();
    let of_rules = files.iter().flat_map(|(_, file)| &file.value.0.0).map(|(key, list)| {
        let (layout, numbers) = family.commands(&key.value);
        (layout, numbers, list.0.iter().filter_map(|raw| raw.set.as_ref()).collect::<Vec<_>>())
    });
    let messages = messages::applied(files);
    let of_messages =
        messages.iter().map(|(_, message)| (0, vec![NO_COMMAND], message.set.as_ref().into_iter().collect()));
    for (layout, numbers, maps) in of_rules.chain(of_messages) {
        for (name, value) in maps.into_iter().flat_map(fields_of) {
            if is_comment(&name.value) {
                continue;
            }
            if counter_name(&name.value).is_some() {
                continue;
            }
            if let Some(keyed) = keyed_name(&name.value) {
                entries.push((registers.kept.declare(keyed), keys.len(), numbers.clone(), value));
                continue;
            }
            if let Err(wrong) = expr::register_name(&name.value) {
                diags.error(name.pos, wrong);
                continue;
            }
            if !registers.numbers.contains_key(&name.value) {
                registers.numbers.insert(name.value.clone(), registers.all.len() as u32);
                registers.all.push(Register { name: name.value.as_str().into(), bytes_max: 0 });
            }
            let register = registers.numbers.get(&name.value).copied().unwrap_or_default();
            let room = SET_BYTES * numbers.len() + name.value.len();
            if !diags.charge(name.pos, room, "a register that is set") {
                return registers;
            }
            let key = keys.len();
            sets.extend(numbers.iter().map(|&number| Set { register, key, number, value }));
        }
        keys.push((layout, numbers));
    }
    let of = keys.iter().map(|(layout, numbers)| Key::new((family, *layout), numbers, requests));
    let of: Vec<Key<'_, '_>> = of.collect();
    let sources: Vec<Source> = sets.iter().filter_map(|set| source(&of[set.key], set, &registers)).collect();
    lengthen(&sources, &mut registers.all);
    for Set { value, .. } in &sets {
        if set_text(&value.value).is_none() && value.value != Json::Null {
            diags.error(value.pos, "a register keeps a text or a number");
        }
    }
    let all = |register: u32| sources.iter().filter(move |source| source.register == register);
    let numbers = 0..registers.all.len() as u32;
    let bytes =
        numbers.filter(|&register| all(register).next().is_some() && all(register).all(|source| source.is_bytes));
    registers.bytes = bytes.collect();
    registers.open = sources.iter().filter(|source| source.is_open).map(|source| source.register).collect();
    keyed(diags, &of, &entries, &registers);
    registers
}

/// One place where an entry of a keyed register is set: the register, the key of the rule file, its commands, the value.
type KeyedSet<'r> = (u16, usize, Vec<usize>, &'r At<Json>);

/// Which keyed registers keep nothing but hex digits.
fn keyed(diags: &mut Diags, of: &[Key<'_, '_>], entries: &[KeyedSet<'_>], registers: &Registers) {
    let mut bytes: HashMap<u16, bool> = HashMap::new();
    for (register, key, numbers, value) in entries {
        if value.value == Json::Null {
            continue;
        }
        if set_text(&value.value).is_none() {
            diags.error(value.pos, "a register keeps a text or a number (null takes an entry out)");
            continue;
        }
        for &number in numbers {
            let set = Set { register: 0, key: *key, number, value };
            let Some(source) = source(&of[*key], &set, registers) else { continue };
            *bytes.entry(*register).or_insert(true) &= source.is_bytes;
        }
    }
    for (register, is_bytes) in bytes {
        registers.kept.set_bytes(register, is_bytes);
    }
}

/// The name in `count(name)`.
pub(super) fn counter_name(name: &str) -> Option<&str> {
    let counter = name.trim().strip_prefix("count")?.trim_start().strip_prefix('(')?.strip_suffix(')')?.trim();
    (!counter.is_empty() && !counter.contains([',', '(', ')'])).then_some(counter)
}

/// The name in `name[key]`.
pub(super) fn keyed_name(name: &str) -> Option<&str> {
    let (register, key) = name.trim().split_once('[')?;
    key.ends_with(']').then(|| register.trim())
}

/// Whether a value is nothing but hex digits of bytes.
fn is_bytes(expr: &Expr) -> bool {
    let is = |part: &Part| match part {
        Part::Field { slot, .. } => slot.kind == Kind::Hex,
        Part::Walked(walked) => walked.slot.kind == Kind::Hex,
        Part::Calc(calc) => calc::is_bytes(calc),
        _ => false,
    };
    !expr.parts.is_empty() && expr.parts.iter().all(is)
}

/// One place where a register is set, for one command.
struct Set<'r> {
    register: u32,
    /// The key of the rule file, by number.
    key: usize,
    number: usize,
    value: &'r At<Json>,
}

/// Memory for one place that sets a register.
const SET_BYTES: usize = size_of::<Set<'_>>() + size_of::<Source>() + 32;

/// How long a register may become at one place: bytes of its own, plus the registers that the value reads.
struct Source {
    register: u32,
    bytes: usize,
    reads: Vec<u32>,
    /// It is nothing but hex digits.
    is_bytes: bool,
    /// It has a number that an expression gives, of few digits as a rule.
    is_open: bool,
}

/// `None`: the value is wrong, which is reported when the rule is compiled.
fn source(key: &Key<'_, '_>, set: &Set<'_>, registers: &Registers) -> Option<Source> {
    let text = set_text(&set.value.value)?;
    let args = Args::default();
    let args = (set.number == NO_COMMAND).then_some(&args);
    let scope = CommandScope { key, number: set.number, registers, args };
    let parsed = expr::parse(&text, &scope);
    // Reads found here do not count as uses.
    registers.read.borrow_mut().clear();
    registers.unset.borrow_mut().clear();
    let expr = parsed.ok()?;
    let mut reads: Vec<u32> = Vec::new();
    for part in &expr.parts {
        match part {
            Part::Register(number) => reads.push(*number),
            Part::Calc(calc) if !calc::is_number(calc) => reads.extend(calc::registers(calc)),
            _ => {}
        }
    }
    let is_open = expr.parts.iter().any(|part| matches!(part, Part::Calc(calc) if calc::is_number(calc)));
    reads.retain(|number| *number != NEVER_SET);
    Some(Source { register: set.register, bytes: expr.bytes_max, is_bytes: is_bytes(&expr), is_open, reads })
}

/// Says how long registers may become: a text set from others is as long as all of them. One that is, by whatever way, set
/// from itself and grows may have any length.
fn lengthen(sources: &[Source], registers: &mut [Register]) {
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); registers.len()];
    let mut unknown_reads: Vec<usize> = sources.iter().map(|source| source.reads.len()).collect();
    let mut unknown_sources = vec![0_usize; registers.len()];
    for (number, source) in sources.iter().enumerate() {
        step(1 + source.reads.len());
        source.reads.iter().for_each(|&read| readers[read as usize].push(number));
        unknown_sources[source.register as usize] += 1;
    }
    let len = |source: &Source, registers: &[Register]| {
        step(1 + source.reads.len());
        let read: usize = source.reads.iter().map(|&read| registers[read as usize].bytes_max).sum();
        (source.bytes + read).min(REGISTER_BYTES_MAX)
    };
    // First those that are set from none, or from such: each is known once all places that set it are.
    let mut known: VecDeque<usize> = (0..sources.len()).filter(|&number| unknown_reads[number] == 0).collect();
    while let Some(number) = known.pop_front() {
        let source = &sources[number];
        let index = source.register as usize;
        registers[index].bytes_max = registers[index].bytes_max.max(len(source, registers));
        unknown_sources[index] -= 1;
        if unknown_sources[index] == 0 {
            for &reader in &readers[index] {
                unknown_reads[reader] -= 1;
                if unknown_reads[reader] == 0 {
                    known.push_back(reader);
                }
            }
        }
    }
    // The rest depends on itself.
    let mut grown = vec![0_usize; registers.len()];
    let mut waiting: VecDeque<usize> = (0..sources.len()).filter(|&number| unknown_reads[number] > 0).collect();
    while let Some(number) = waiting.pop_front() {
        let index = sources[number].register as usize;
        let len = len(&sources[number], registers);
        if len > registers[index].bytes_max {
            grown[index] += 1;
            registers[index].bytes_max = if grown[index] > GROWN_MAX { REGISTER_BYTES_MAX } else { len };
            waiting.extend(&readers[index]);
        }
    }
}

/// How often a register that depends on itself may grow before it counts as unbounded.
const GROWN_MAX: usize = 32;

/// The text that a register is set to; `None`: not a text or a number.
pub(super) fn set_text(json: &Json) -> Option<String> {
    match json {
        Json::Str(text) => Some(text.clone()),
        Json::Num(number) => Some(number.to_string()),
        _ => None,
    }
}
