//! The `transfer` section of a template (spec broadcast.md), and what it makes of a reply.

use super::command::CommandDraft;
use super::expr::is_function;
use super::field::{Area, area_key, encode_constant, known, outside, split_name, text};
use super::fields::{FieldList, Values};
use super::number::whole;
use super::reply::{self, Bases, HeaderScope, Sources};
use crate::config::at::{At, Json, Pos};
use crate::config::diag::Diags;
use crate::config::raw::{RawProtocol, RawTransfer};
use crate::model::digits::Digits;
use crate::model::field::{Computed, Constant, FRAME_BYTES_MAX, Field, KeyPart, Offset};
use crate::model::template::{Command, Template};
use crate::model::transfer::{TRANSFER_BYTES_MAX, TRANSFERS_MAX, Transfer};
use crate::wire::envelope::DATAGRAM_BYTES_MAX;
use crate::words::count;
use std::sync::Arc;

/// A value of `accept` that refuses.
const REFUSED: &str = "01";
/// What 32,768 frames of the default size carry.
const BYTES_MAX: u64 = 32_768 * 1_024;

/// Compiles the section. `None`: there is none, or errors were reported.
pub fn compile(
    diags: &mut Diags,
    protocol: &At<RawProtocol>,
    plan: &Template,
    commands: &[(Command, CommandDraft)],
) -> Option<Transfer> {
    let raw = protocol.transfer.as_ref()?;
    if plan.data_len_fixed.is_some() {
        diags.error(raw.pos, "`transfer` needs frames of any size (\"dynamic_length\": true)");
        return None;
    }
    let section = Section { raw, plan };
    let cmd = section.header(diags, raw.cmd.as_ref(), "cmd", "Cmd");
    let sn = section.header(diags, raw.sn.as_ref(), "sn", "SN");
    let did = section.header(diags, raw.did.as_ref(), "did", "DID");
    let accept = section.header(diags, raw.accept.as_ref(), "accept", "Accept");
    let data_cmd = command_value(diags, raw, raw.data_cmd.as_ref(), "data_cmd", cmd);
    let next_cmd = command_value(diags, raw, raw.next_cmd.as_ref(), "next_cmd", cmd);
    for (at, field) in [(&raw.sn, sn), (&raw.did, did)] {
        if let Some(field) = field.filter(|field| field.slot.len > 8) {
            let pos = at.as_ref().map_or(raw.pos, |at| at.pos);
            diags.error(pos, format!("`{}` has {} bytes (at most 8)", field.name, field.slot.len));
            return None;
        }
    }
    let last_bit = section.last_bit(diags, sn);
    let chunk_bytes = section.chunk_bytes(diags);
    let mut number = |at: &Option<At<u64>>, most, default| whole(diags, at.as_ref(), 1..=most, default);
    let timeout_ms = number(&raw.transfer_timeout_ms, 3_600_000, 5_000);
    let transfers_max = number(&raw.transfers_max, TRANSFERS_MAX as u64, 64) as usize;
    let bytes_max = number(&raw.bytes_max, TRANSFER_BYTES_MAX as u64, BYTES_MAX) as usize;
    let (cmd, sn, did, accept) = (cmd?, sn?, did?, accept?);
    let span = |field: &Field| field.at.0 as usize..field.at.0 as usize + field.slot.len;
    let part = |field: &Field| KeyPart { at: field.at, len: field.slot.len, little: field.slot.little };
    let (data_cmd, next_cmd) = (data_cmd?, next_cmd?);
    if data_cmd == next_cmd {
        diags.error(raw.pos, "`data_cmd` and `next_cmd` are the same");
    }
    let refused = Arc::new(refused(diags, raw, plan, accept, commands));
    Some(Transfer {
        cmd: span(cmd),
        data_cmd,
        next: Constant { name: cmd.name.clone(), at: cmd.at, bytes: next_cmd, mask: Box::default() },
        sn: part(sn),
        last_bit,
        did: part(did),
        accept: span(accept),
        chunk_bytes,
        timeout_ms,
        transfers_max,
        bytes_max,
        refused,
    })
}

/// The section, and the template that it is in.
struct Section<'a> {
    raw: &'a At<RawTransfer>,
    plan: &'a Template,
}

impl<'a> Section<'a> {
    /// The header field that a key of the section names, or that has the default name.
    fn header(&self, diags: &mut Diags, name: Option<&At<String>>, key: &str, default: &str) -> Option<&'a Field> {
        let (pos, given) = name.map_or((self.raw.pos, default), |name| (name.pos, name.value.as_str()));
        let (area, plain) = split_name(given);
        match self.plan.left.iter().filter(|_| area != Area::Tail).find(|field| *field.name == *plain) {
            Some(field) if Digits::of(&field.slot.kind).is_text() && matches!(key, "sn" | "accept") => {
                diags.error(pos, format!("`{key}`: `{plain}` is written in characters (a binary field)"));
                None
            }
            Some(field) if field.computed == Computed::No => Some(field),
            Some(_) => {
                diags.error(pos, format!("`{key}`: `{plain}` is always computed"));
                None
            }
            None => {
                let names = self.plan.left.iter().map(|field| &*field.name);
                diags.error(pos, format!("`{key}`: no header field `{given}`{}", known(plain, names)));
                None
            }
        }
    }

    /// The bit of the sequence number that marks the last frame.
    fn last_bit(&self, diags: &mut Diags, sn: Option<&Field>) -> u32 {
        // No payload needs more than 31 bits of frames.
        let most = sn.map_or(15, |sn| (8 * sn.slot.len as u64 - 1).min(31));
        if let (None, Some(sn)) = (&self.raw.last_bit, sn.filter(|sn| sn.slot.len < 2)) {
            let text = format!("`{}` has no bit 15 (give `last_bit`, 1 to {most})", sn.name);
            diags.error(self.raw.pos, text);
        }
        whole(diags, self.raw.last_bit.as_ref(), 1..=most, most.min(15)) as u32
    }

    /// Payload bytes of a data frame.
    fn chunk_bytes(&self, diags: &mut Diags) -> usize {
        const DEFAULT: usize = 1024;
        let room = chunk_room(self.plan);
        match &self.raw.chunk_bytes {
            Some(at) if at.value == 0 || at.value > room as u64 => {
                let why = "the frame has to fit a datagram, and its size the length fields";
                diags.error(at.pos, format!("{} (1 to {room}: {why})", at.value));
                1
            }
            Some(at) => at.value as usize,
            None if room < DEFAULT => {
                let text = format!("chunks of {DEFAULT} bytes do not fit (give `chunk_bytes`, 1 to {room})");
                diags.error(self.raw.pos, text);
                1
            }
            None => DEFAULT,
        }
    }
}

fn command_value(
    diags: &mut Diags,
    raw: &At<RawTransfer>,
    value: Option<&At<Json>>,
    key: &str,
    cmd: Option<&Field>,
) -> Option<Box<[u8]>> {
    let Some(value) = value else {
        diags.error(raw.pos, format!("`{key}` is missing (a value of the command field)"));
        return None;
    };
    let slot = &cmd?.slot;
    let text = text(diags, slot, value)?;
    encode_constant(diags, slot, &text, value.pos)
}

/// The largest chunk that fits a datagram and every length field.
fn chunk_room(plan: &Template) -> usize {
    let around = plan.left_len + plan.tail_len;
    let mut room = FRAME_BYTES_MAX.saturating_sub(around);
    while room > 0 && plan.wire_len(around + room) > DATAGRAM_BYTES_MAX {
        room -= (plan.wire_len(around + room) - DATAGRAM_BYTES_MAX).div_ceil(2);
    }
    for field in plan.lengths.iter().filter(|field| field.per_data > 0) {
        let largest = if field.lchksum { 0xFFF } else { field.digits.most(field.len).min((1 << 62) - 1) as i64 };
        let most = (largest - field.base).max(0) / field.per_data;
        room = room.min(most as usize);
    }
    room
}

/// The answer to a demand that cannot be met: as configured, else what all replies have in common, with a refusal in `accept`.
fn refused(
    diags: &mut Diags,
    raw: &At<RawTransfer>,
    plan: &Template,
    accept: &Field,
    commands: &[(Command, CommandDraft)],
) -> crate::model::reply::Reply {
    let at = |text: &str| At { pos: raw.pos, value: text.to_owned() };
    let mut values: Vec<(At<String>, At<Json>)> = raw.refused.as_ref().map(|map| map.0.clone()).unwrap_or_default();
    for (name, _) in &values {
        let (area, plain) = split_name(&name.value);
        if outside(plan, area, plain).is_none() {
            let names = plan.left.iter().map(|field| &*field.name);
            diags.error(name.pos, format!("no header field `{}`{}", name.value, known(plain, names)));
        }
    }
    let given: Vec<Offset> = values
        .iter()
        .filter_map(|(name, _)| {
            let (area, plain) = split_name(&name.value);
            outside(plan, area, plain).map(|field| field.at)
        })
        .collect();
    let spelled = |field: &Field| at(&format!("{{{}}}_{}", area_key(field), field.name));
    if !given.contains(&accept.at) {
        values.push((spelled(accept), At { pos: raw.pos, value: Json::Str(REFUSED.into()) }));
    }
    for field in plan.left.iter().chain(&plan.tail).filter(|field| field.computed == Computed::No) {
        if field.at == accept.at || given.contains(&field.at) {
            continue;
        }
        let value = |draft: &CommandDraft| {
            let listed = draft.response.get(draft.response.header(field.at)?)?;
            let value = listed.value.as_ref().map(|at| &at.value)?;
            (!is_function(value)).then(|| value.clone())
        };
        let mut all = commands.iter().map(|(_, draft)| value(draft));
        // Compared without their places in the file.
        if let Some(Some(first)) = all.next()
            && all.all(|other| other.as_ref().is_some_and(|other| same(other, &first)))
        {
            values.push((spelled(field), At { pos: raw.pos, value: first }));
        }
    }
    let sources = Sources {
        template: plan,
        refusal: None,
        request: None,
        response: &FieldList::default(),
        response_len: 0,
        less: plan.less,
        padding: 0,
        values: &[&Values::new(&values)],
        scope: &HeaderScope(plan),
        key: &[],
        walk: None,
        asked: None,
        asked_in: None,
        bases: &Bases::default(),
        pos: raw.pos,
    };
    reply::build(diags, &sources)
}

fn same(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Str(a), Json::Str(b)) => a == b,
        (Json::Num(a), Json::Num(b)) => a == b,
        _ => false,
    }
}

/// Reports a payload that is too large for the template's transfer, with the limit.
pub fn check_size(diags: &mut Diags, transfer: &Transfer, bytes: usize, pos: Pos) {
    let most = transfer.payload_bytes_max();
    if bytes > most {
        let frames = 1_u64 << transfer.last_bit;
        let chunk = transfer.chunk_bytes;
        let bound = if most == transfer.bytes_max {
            "`bytes_max`".to_owned()
        } else {
            format!("{frames} frames of {}; a larger `chunk_bytes` carries more", count(chunk, "byte"))
        };
        diags.error(pos, format!("{bytes} bytes of data (at most {most}: {bound})"));
    }
}
