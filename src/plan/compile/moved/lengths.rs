//! Lengths of a frame whose header or tail varies: what they count in the larger data frame.

use super::super::field::{Area, is_data_frame_length, known, split_name};
use super::super::walk;
use super::super::walk::lengths::is_length;
use super::{Carried, name};
use crate::config::at::{At, OneOrMany};
use crate::config::diag::Diags;
use crate::config::raw::{RawField, RawProtocol};
use crate::model::template::MovedGroup;
use crate::words::FieldType;

/// Bytes of a field; `None`: they vary.
fn size(raw: &At<RawField>) -> Option<i64> {
    if walk::varies(raw).is_some() {
        return None;
    }
    let fixed = match raw.value.kind.as_ref().and_then(|kind| FieldType::from_name(&kind.value)) {
        Some(FieldType::F32) => Some(4),
        Some(FieldType::F64) => Some(8),
        Some(FieldType::Cp56) => Some(7),
        _ => None,
    };
    fixed.or_else(|| raw.length.as_ref()?.number().and_then(|number| i64::try_from(number).ok()))
}

/// Where a length is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In the header before the first field of variable size: its number.
    Fixed(usize),
    /// One of the fields that are carried at the beginning.
    Left(usize),
    /// Elsewhere in the tail.
    Tail,
}

/// Rewrites the lengths for the larger data frame. The one that counts a part of it becomes the size of a group.
pub(super) fn rewrite(diags: &mut Diags, protocol: &mut RawProtocol, carried: &mut Carried) -> Option<MovedGroup> {
    let mut group: Option<MovedGroup> = None;
    let fixed: Vec<At<RawField>> = protocol.pdu_left.clone().unwrap_or_default();
    let last: Vec<At<RawField>> = protocol.pdu_tailer.clone().unwrap_or_default();
    let mut all: Vec<(Place, &mut At<RawField>)> = Vec::new();
    let copy = Carried { left: carried.left.clone(), tail: carried.tail.clone() };
    let left = protocol.pdu_left.iter_mut().flatten().enumerate();
    all.extend(left.map(|(at, raw)| (Place::Fixed(at), raw)));
    all.extend(carried.left.iter_mut().enumerate().map(|(at, raw)| (Place::Left(at), raw)));
    all.extend(protocol.pdu_tailer.iter_mut().flatten().chain(&mut carried.tail).map(|raw| (Place::Tail, raw)));
    for (place, raw) in all.into_iter().filter(|(_, raw)| is_length(raw)) {
        let of = Counts { fixed: &fixed, last: &last, carried: &copy };
        match of.part(diags, (place, raw)) {
            Some(Part::Whole(Some(names))) => raw.value.of = Some(At { pos: raw.pos, value: OneOrMany(names) }),
            Some(Part::Group(found)) => {
                if group.is_some() {
                    let text = "a second length that counts a part of a frame whose header or tail varies (the others count all fields of variable size)";
                    diags.error(raw.pos, text);
                }
                plain(diags, raw);
                group = Some(found);
            }
            Some(Part::Whole(None)) | None => {}
        }
    }
    group
}

/// Makes a length a number that says a size.
fn plain(diags: &mut Diags, raw: &mut At<RawField>) {
    if let Some(check) = raw.check.as_ref().filter(|check| check.value != "none") {
        diags
            .error(check.pos, "`check` at a length of a frame whose header or tail varies (it counts all such fields)");
    }
    if raw.kind.as_ref().is_some_and(|kind| kind.value == "length") {
        raw.value.kind.iter_mut().for_each(|kind| "uint".clone_into(&mut kind.value));
    }
    (raw.value.of, raw.value.add, raw.value.unit) = (None, None, None);
    raw.value.check = None;
    if is_data_frame_length(raw) || raw.kind.as_ref().is_some_and(|kind| kind.value == "uint") {
        raw.value.value = None;
    }
}

/// What a length counts.
enum Part {
    /// All fields that are carried, and the data frame: what it names then; `None`: as it is.
    Whole(Option<Vec<At<String>>>),
    /// A part of them.
    Group(MovedGroup),
}

struct Counts<'a> {
    /// The header before the first field of variable size.
    fixed: &'a [At<RawField>],
    /// The tail behind the last one.
    last: &'a [At<RawField>],
    carried: &'a Carried,
}

impl Counts<'_> {
    fn part(&self, diags: &mut Diags, (place, raw): (Place, &At<RawField>)) -> Option<Part> {
        let tail = &self.carried.tail;
        if is_data_frame_length(raw) {
            return match place {
                Place::Fixed(_) if tail.is_empty() => Some(Part::Whole(None)),
                _ => group(diags, (place, raw), self.behind(place, raw)),
            };
        }
        let default = [At { pos: raw.pos, value: "data_frame".to_owned() }];
        let names = raw.of.as_ref().map_or(&default[..], |of| &of.value.0);
        if !names.iter().any(|name| split_name(&name.value).1 == "data_frame") {
            return self.fixed_only(diags, (place, raw), names);
        }
        let of = self.bounds(names);
        if of == (0, tail.len()) && matches!(place, Place::Fixed(_)) {
            let names = names.iter().filter(|of| self.carried(of).is_none()).cloned().collect();
            return Some(Part::Whole(Some(names)));
        }
        let more = self.beside(diags, raw, (names, of))?;
        group(diags, (place, raw), MovedGroup { by: name(raw).into(), more, from: of.0, to: of.1 })
    }

    /// What `{{data_frame_length}}` counts: the header behind it and the data frame.
    fn behind(&self, place: Place, raw: &At<RawField>) -> MovedGroup {
        let left = &self.carried.left;
        let (behind, from) = match place {
            Place::Fixed(at) => (self.fixed.get(at + 1..).unwrap_or_default(), 0),
            Place::Left(at) => (&[][..], at + 1),
            Place::Tail => (&[][..], left.len()),
        };
        let add = raw.add.as_ref().map_or(0, |add| add.value);
        let more = behind.iter().filter_map(size).fold(add, i64::saturating_add);
        MovedGroup { by: name(raw).into(), more, from, to: 0 }
    }

    /// A length that counts no data frame counts fields of fixed size.
    fn fixed_only(
        &self,
        diags: &mut Diags,
        (place, raw): (Place, &At<RawField>),
        names: &[At<String>],
    ) -> Option<Part> {
        let counts_carried = names.iter().any(|of| self.carried(of).is_some());
        if counts_carried || matches!(place, Place::Left(_)) {
            let own = name(raw);
            let text = format!(
                "`{own}` counts fields and not `data_frame`: a field of variable size names the one that says its size, `\"length\": {{\"field\": \"{own}\"}}`"
            );
            diags.error(raw.pos, text);
            return None;
        }
        Some(Part::Whole(None))
    }

    /// A field that data lists carry: its number at their beginning (`Left`), or at their end (`Fixed`).
    fn carried(&self, of: &At<String>) -> Option<(Place, &At<RawField>)> {
        let (area, plain) = split_name(&of.value);
        let at = |list: &[At<RawField>], other| list.iter().position(|field| area != other && name(field) == plain);
        let Carried { left, tail } = self.carried;
        if let Some(number) = at(left, Area::Tail) {
            return Some((Place::Left(number), left.get(number)?));
        }
        let number = at(tail, Area::Left)?;
        Some((Place::Fixed(number), tail.get(number)?))
    }

    /// The part that these names count without a gap: the first of the header's fields, and how many of the tail's.
    fn bounds(&self, names: &[At<String>]) -> (usize, usize) {
        let Carried { left, tail } = self.carried;
        let found: Vec<Place> = names.iter().filter_map(|of| Some(self.carried(of)?.0)).collect();
        let has = |place: Place| found.contains(&place);
        let from = (0..left.len()).rev().take_while(|&at| has(Place::Left(at))).last().unwrap_or(left.len());
        (from, (0..tail.len()).take_while(|&at| has(Place::Fixed(at))).count())
    }

    /// Bytes of what a length counts beside that part. `None` after an error.
    fn beside(
        &self,
        diags: &mut Diags,
        raw: &At<RawField>,
        (names, (from, to)): (&[At<String>], (usize, usize)),
    ) -> Option<i64> {
        let mut more = raw.add.as_ref().map_or(0, |add| add.value);
        for of in names.iter().filter(|of| split_name(&of.value).1 != "data_frame") {
            let field = match self.carried(of) {
                Some((Place::Left(at), _)) if at >= from => continue,
                Some((Place::Fixed(at), _)) if at < to => continue,
                Some((_, field)) => field,
                None => self.around(diags, of)?,
            };
            let Some(bytes) = size(field) else {
                let (own, plain) = (name(raw), name(field));
                let text = format!(
                    "`{own}` counts `{plain}`, and not all fields between it and the data frame (name those too)"
                );
                diags.error(of.pos, text);
                return None;
            };
            more = more.saturating_add(bytes);
        }
        Some(more)
    }

    /// A field of the header or the tail that data lists do not carry.
    fn around(&self, diags: &mut Diags, of: &At<String>) -> Option<&At<RawField>> {
        let (area, plain) = split_name(&of.value);
        let fixed = self.fixed.iter().filter(|_| area != Area::Tail);
        let mut all = fixed.chain(self.last.iter().filter(|_| area != Area::Left));
        let found = all.find(|field| name(field) == plain);
        if found.is_none() {
            let Carried { left, tail } = self.carried;
            let all = [self.fixed, left, tail, self.last].into_iter().flatten();
            let near = known(plain, all.map(|field| name(field)).chain(["data_frame"]));
            diags.error(of.pos, format!("no field `{}`{near}", of.value));
        }
        found
    }
}

/// A length that counts a part: it has to stand before what varies in it.
fn group(diags: &mut Diags, (place, raw): (Place, &At<RawField>), group: MovedGroup) -> Option<Part> {
    let is_before = match place {
        Place::Fixed(_) => true,
        Place::Left(at) => at < group.from,
        Place::Tail => false,
    };
    let in_chars = raw.unit.as_ref().is_some_and(|unit| unit.value == "chars");
    if is_before && !in_chars {
        return Some(Part::Group(group));
    }
    let text = if in_chars {
        "a length in characters counts all fields of a header or tail that varies"
    } else {
        "a length of a frame whose header or tail varies has to be before everything of variable size that it counts"
    };
    diags.error(raw.pos, text);
    None
}
