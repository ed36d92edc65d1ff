//! Requests of one length: what all of them have, their keys and rules.

use super::layout::{Bytes, Layout, Told, masks, worse};
use super::reply::answer;
use super::seal::seal;
use super::steps::{head, steps};
use crate::model::conversation::Heeded;
use crate::model::field::Constant;
use crate::model::fleet::{Device, VerifyChecksum};
use crate::model::profile::{Answer, DATA, Group, KeyWindow, Keys, Profile, Row, Window};
use crate::model::reply::{Part, Patch};
use crate::model::rule::{Delay, Rule};
use crate::model::template::{Command, Template};
use crate::wire::envelope::at;
use crate::wire::inner::{lchksum, length_value_less};

/// Most rules of one key: they are tried one after the other.
const ROWS_MAX: usize = 32;

/// The profile of a device's requests with a data frame of that many bytes; `None`: the general code takes them all.
pub(super) fn profile(device: &Device, heeded: &[Heeded], data_len: usize) -> Option<Profile> {
    let template = &*device.template;
    let [shape] = &*template.keys else { return None };
    // Numbers of commands, rules and keys have 16 bits.
    let is_large = |count: usize| count >= usize::from(u16::MAX);
    if is_large(template.commands.len()) || device.rules.iter().any(|rules| is_large(rules.len())) {
        return None;
    }
    let layout = Layout::new(template, template.left_len + data_len + template.tail_len)?;
    if data_len < shape.data_len_min {
        return None;
    }
    let places = shape.parts.iter().flat_map(|part| {
        let at = part.at.in_frame(layout.raw_len);
        at..at + part.len
    });
    let places = places.flat_map(|raw| layout.span(raw, 1).into_iter().flatten());
    let mut places: Vec<usize> = places.collect();
    places.sort_unstable();
    places.dedup();
    let mut parts = [KeyWindow::default(); 2];
    let windows = masks(places);
    if windows.len() > parts.len() {
        return None;
    }
    for (part, (at, mask)) in parts.iter_mut().zip(windows) {
        *part = KeyWindow { mask, at: at as u8 };
    }
    // What a conversation waits for has none: neither has a command with the same key.
    let is_heeded = |number: &u32| {
        heeded.iter().any(|heeded| heeded.frame.layout == device.layouts.own && heeded.frame.command == Some(*number))
    };
    let groups: Vec<Group> = shape
        .table
        .iter()
        .filter(|(_, numbers)| !numbers.iter().any(is_heeded))
        .filter(|(_, numbers)| {
            numbers.iter().any(|&number| is_asked(template, &template.commands[number as usize], data_len))
        })
        .filter_map(|(key, numbers)| group(device, &layout, &parts, (*key, numbers)))
        .collect();
    (!groups.is_empty()).then_some(())?;
    let digits = match layout.hex() {
        // Two overlapping windows need eight characters.
        Some((from, to)) if to - from >= 8 => Some((from as u8, to as u8)),
        Some(_) => return None,
        None => None,
    };
    let checks = checks(template, &layout, data_len)?;
    let seal = match &template.checksum {
        Some(checksum) => Some(seal(checksum, &layout)?),
        None => None,
    };
    let seal = seal.filter(|_| device.verify_checksum != VerifyChecksum::Off);
    let rest: Box<[Window]> = checks.windows().into();
    let has_more = !rest.is_empty() || digits.is_some();
    Some(Profile {
        rest,
        digits,
        has_more,
        keys: Keys::new(parts, groups),
        ..steps(&head(device, layout.wire_len, checks), seal, layout.wire_len)
    })
}

/// Whether a command lists requests of that size. Others may have it too; they are few.
fn is_asked(template: &Template, command: &Command, data_len: usize) -> bool {
    template.data_len_fixed.is_some() || [command.request_len, command.request_len_padded].contains(&data_len)
}

/// Start, end, versions and lengths; `None`: no such frame is right.
fn checks(template: &Template, layout: &Layout<'_>, data_len: usize) -> Option<Bytes> {
    let [less] = *template.readings else { return None };
    let mut bytes = Bytes::default();
    let mut told = bytes.put_bytes(layout, 0, &template.start);
    told = worse(told, bytes.put_bytes(layout, layout.raw_len - template.end.len(), &template.end));
    for constant in &template.versions {
        told = worse(told, bytes.put_constant(layout, constant));
    }
    for field in &template.lengths {
        let value = length_value_less(field, data_len, less);
        if field.lchksum && value >> 12 != lchksum(value) {
            return None;
        }
        let (low, high) = (value.to_le_bytes(), value.to_be_bytes());
        let (low, rest) = low.split_at_checked(field.len)?;
        if rest.iter().any(|&byte| byte != 0) {
            return None;
        }
        let shown = if field.little { low } else { &high[8 - field.len..] };
        let at = field.at.in_frame(layout.raw_len);
        if at.checked_add(field.len).is_none_or(|end| end > layout.raw_len) {
            return None;
        }
        told = worse(told, bytes.put_bytes(layout, at, shown));
    }
    (told == Told::Whole).then_some(bytes)
}

/// A key's commands and rules; `None`: the general code takes them.
fn group(
    device: &Device,
    layout: &Layout<'_>,
    parts: &[KeyWindow; 2],
    (key, numbers): (u128, &[u32]),
) -> Option<Group> {
    let template = &*device.template;
    let data_len = layout.raw_len - template.left_len - template.tail_len;
    let mut rows = Vec::new();
    for &number in numbers {
        let command = template.commands.get(number as usize)?;
        if command.walk.is_some() {
            // Which size it has, and whether it fits, its program tells.
            return None;
        }
        let fits = template.data_len_fixed.is_some()
            || if command.exact {
                [command.request_len, command.request_len_padded].contains(&data_len)
            } else {
                data_len >= command.request_len
            };
        if !fits {
            continue;
        }
        for (rule_number, rule) in device.rules.get(number as usize)?.iter().enumerate() {
            let answers = answers(device, layout, rule);
            let all = command.constants.iter().chain(&rule.when);
            rows.extend(row(layout, all, answers).map(|row| Row {
                command: number as u16,
                rule: rule_number as u16,
                reads: reads(rule),
                is_timed: !rule.sets.is_empty() || row.answers.iter().any(is_timed),
                is_delayed: !matches!(rule.delay, Delay::None),
                is_plain: is_plain(rule, &row.answers),
                ..row
            }));
            if rows.len() > ROWS_MAX {
                return None;
            }
        }
        // The command is this one, whether or not a rule fits.
        let none = row(layout, command.constants.iter(), Vec::new());
        rows.extend(none.map(|row| Row { command: number as u16, ..row }));
    }
    let useful = rows.iter().any(|row| !row.answers.is_empty());
    useful.then_some(())?;
    Some(Group { key: key_bytes(template, layout, parts, key)?, rows: rows.into() })
}

/// A row with these constants; `None`: no frame has them.
fn row<'c>(layout: &Layout<'_>, constants: impl Iterator<Item = &'c Constant>, answers: Vec<Answer>) -> Option<Row> {
    let mut bytes = Bytes::default();
    let told = constants.fold(Told::Whole, |told, constant| worse(told, bytes.put_constant(layout, constant)));
    let answers = match told {
        Told::Never => return None,
        Told::Partly => Vec::new(),
        Told::Whole => answers,
    };
    let mut windows = bytes.all_windows().into_iter();
    Some(Row {
        check: windows.next().unwrap_or_default(),
        checks: windows.collect(),
        command: 0,
        rule: 0,
        reads: false,
        is_timed: false,
        is_delayed: false,
        is_plain: false,
        answers: answers.into(),
    })
}

/// The replies of a rule; none: the general code answers.
fn answers(device: &Device, layout: &Layout<'_>, rule: &Rule) -> Vec<Answer> {
    // Replies of several frames, and requests that are told apart behind a field of variable size.
    let is_general = !rule.frames.is_empty() || !rule.gaps_ms.is_empty() || rule.asks_more;
    if rule.timeout || rule.burst != 1 || is_general {
        return Vec::new();
    }
    let all: Option<Vec<Answer>> = rule.replies.iter().map(|reply| answer(device, layout, reply)).collect();
    all.unwrap_or_default()
}

/// Whether values of a rule read the request.
fn reads(rule: &Rule) -> bool {
    let field = |part: &Part| matches!(part, Part::Field { .. } | Part::Calc(_));
    let of_patch = |patch: &Patch| matches!(patch, Patch::Text { value, .. } if value.parts.iter().any(field));
    !rule.effects.is_empty()
        || rule.sets.iter().any(|set| set.value.parts.iter().any(field))
        || rule.replies.iter().any(|reply| reply.patches.iter().any(of_patch))
}

/// Whether nothing but the known bytes, copies and the clock decides what the reply is.
fn is_plain(rule: &Rule, answers: &[Answer]) -> bool {
    rule.sets.is_empty() && rule.cycle.is_none() && matches!(answers, [answer] if answer.values.is_empty())
}

/// Whether a reply may need the time.
fn is_timed(answer: &Answer) -> bool {
    !answer.ticks.is_empty() || !answer.values.is_empty()
}

/// A key's bytes where they are in the windows; `None`: two of its parts are at one place and differ.
fn key_bytes(template: &Template, layout: &Layout<'_>, parts: &[KeyWindow; 2], key: u128) -> Option<[u64; 2]> {
    let mut bytes = Bytes::default();
    let mut rest = key;
    for part in template.keys.iter().flat_map(|shape| shape.parts.iter().rev()) {
        let mut own: Vec<u8> = (0..part.len).map(|number| (rest >> (8 * number)) as u8).collect();
        rest = rest.checked_shr(8 * part.len as u32).unwrap_or(0);
        if !part.little {
            own.reverse();
        }
        let told = bytes.put_bytes(layout, part.at.in_frame(layout.raw_len), &own);
        (told == Told::Whole).then_some(())?;
    }
    Some(parts.map(|part| bytes.window(usize::from(part.at)) & part.mask))
}

/// Where a profile's buffer has the device's frame is where an outer frame has it.
const _: () = assert!(DATA == at::DATA);
