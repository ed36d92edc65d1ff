//! Registers of a device: which there are, and how long they may become.

use super::expr;
use super::fields::Requests;
use super::layouts::Family;
use super::scope::{CommandScope, Key, NEVER_SET, Registers, fields_of, is_comment};
use crate::config::at::{At, Json};
use crate::config::diag::Diags;
use crate::config::raw::RawRules;
use crate::config::steps::step;
use crate::model::reply::Part;
use crate::model::rule::{REGISTER_BYTES_MAX, Register};
use std::collections::VecDeque;
use std::path::PathBuf;

/// All registers that any rule sets, with their longest text.
pub(super) fn registers<'a>(
    diags: &mut Diags,
    family: Family<'a>,
    requests: &[Requests<'a>],
    files: &[(PathBuf, At<RawRules>)],
    id_digits: usize,
) -> Registers {
    let mut registers = Registers { id_digits, ..Registers::default() };
    let mut keys: Vec<(usize, Vec<usize>)> = Vec::new();
    let mut sets: Vec<Set<'_>> = Vec::new();
    for (_, file) in files {
        for (key, list) in &file.value.0.0 {
            let (layout, numbers) = family.commands(&key.value);
            for (name, value) in list.0.iter().filter_map(|raw| raw.set.as_ref()).flat_map(fields_of) {
                if is_comment(&name.value) {
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
    }
    let of = keys.iter().map(|(layout, numbers)| Key::new((family, *layout), numbers, requests));
    let of: Vec<Key<'_, '_>> = of.collect();
    let sources: Vec<Source> = sets.iter().filter_map(|set| source(&of[set.key], set, &registers)).collect();
    lengthen(&sources, &mut registers.all);
    for Set { value, .. } in &sets {
        if set_text(&value.value).is_none() {
            diags.error(value.pos, "a register keeps a text or a number");
        }
    }
    registers
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
}

/// `None`: the value is wrong, which is reported when the rule is compiled.
fn source(key: &Key<'_, '_>, set: &Set<'_>, registers: &Registers) -> Option<Source> {
    let text = set_text(&set.value.value)?;
    let scope = CommandScope { key, number: set.number, registers };
    let parsed = expr::parse(&text, &scope);
    // Reads found here do not count as uses.
    registers.read.borrow_mut().clear();
    registers.unset.borrow_mut().clear();
    let expr = parsed.ok()?;
    let reads = expr.parts.iter().filter_map(|part| match part {
        Part::Register(number) if *number != NEVER_SET => Some(*number),
        _ => None,
    });
    Some(Source { register: set.register, bytes: expr.bytes_max, reads: reads.collect() })
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
