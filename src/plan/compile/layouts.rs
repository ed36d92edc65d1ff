//! `frames` of a template: other layouts of the same vendor, and how rules name them.

use super::fields::Requests;
use super::scope::commands_of;
use super::template::{TemplateDraft, layout};
use crate::config::at::{At, Pos};
use crate::config::diag::Diags;
use crate::config::raw::{RawProtocol, RawTemplate};
use crate::model::fleet::Layout;
use std::path::Path;
use std::sync::Arc;

/// The name of the layout that `protocol` is.
pub(super) const PROTOCOL: &str = "protocol";
/// Most layouts of a template, `protocol` not counted.
pub(super) const LAYOUTS_MAX: usize = 16;
/// What separates the layout from the key.
const SLASH: char = '/';

/// Compiles the layouts beside `protocol`; those that are wrong are left out, which was reported.
pub(super) fn layouts(diags: &mut Diags, raw: &At<RawTemplate>, path: &Path) -> Vec<(Box<str>, TemplateDraft)> {
    let Some(frames) = &raw.frames else { return Vec::new() };
    let mut out: Vec<(Box<str>, TemplateDraft)> = Vec::new();
    if let Some((name, _)) = frames.0.get(LAYOUTS_MAX) {
        diags.error(name.pos, format!("{} layouts in `frames` (at most {LAYOUTS_MAX})", frames.0.len()));
        return out;
    }
    let transfer = raw.protocol.as_ref().and_then(|protocol| protocol.transfer.as_ref());
    if let Some((transfer, (name, _))) = transfer.zip(frames.0.first()) {
        diags
            .error(transfer.pos, format!("`transfer` beside `frames` (`{}`): data frames have one layout", name.value));
    }
    for (name, protocol) in &frames.0 {
        if !check_name(diags, name) {
            continue;
        }
        if let Some(transfer) = &protocol.transfer {
            diags.error(transfer.pos, "`transfer` in a layout of `frames` (only `protocol` may have it)");
            continue;
        }
        let protocol = At { pos: protocol.pos, value: inherit(diags, protocol, raw.protocol.as_ref()) };
        let alone = RawTemplate { vendor: raw.vendor.clone(), protocol: Some(protocol), ..RawTemplate::default() };
        let compiled = layout(diags, &At { pos: raw.pos, value: alone }, path, None, true);
        out.extend(compiled.map(|draft| (name.value.trim().into(), draft)));
    }
    out
}

/// How bytes travel is the same in all layouts: a layout has what `protocol` says.
fn inherit(diags: &mut Diags, own: &RawProtocol, protocol: Option<&At<RawProtocol>>) -> RawProtocol {
    let given = [
        ("encoding", own.encoding.as_ref().map(|at| at.pos)),
        ("envelope", own.envelope.as_ref().map(|at| at.pos)),
        ("data_transform", own.data_transform.as_ref().map(|at| at.pos)),
    ];
    for (key, pos) in given {
        if let Some(pos) = pos {
            diags.error(pos, format!("`{key}` in a layout of `frames` (that of `protocol` is for all layouts)"));
        }
    }
    let Some(protocol) = protocol else { return own.clone() };
    let (encoding, envelope) = (protocol.encoding.clone(), protocol.envelope.clone());
    RawProtocol { encoding, envelope, data_transform: protocol.data_transform.clone(), ..own.clone() }
}

fn check_name(diags: &mut Diags, name: &At<String>) -> bool {
    let plain = name.value.trim();
    let text = match plain {
        "" => "a layout without a name".to_owned(),
        PROTOCOL => format!("the layout `{PROTOCOL}` is the template's own (another name)"),
        _ if plain.contains(SLASH) => {
            format!("`{plain}`: a layout's name has no `{SLASH}` (`layout{SLASH}KEY` names an entry)")
        }
        _ => return true,
    };
    diags.error(name.pos, text);
    false
}

/// All layouts of a template.
#[derive(Clone, Copy)]
pub(super) struct Family<'a> {
    main: &'a TemplateDraft,
}

impl<'a> Family<'a> {
    pub(super) fn new(main: &'a TemplateDraft) -> Self {
        Self { main }
    }

    /// Whether there are others beside `protocol`.
    pub(super) fn has_others(self) -> bool {
        !self.main.layouts.is_empty()
    }

    /// A layout by its number; 0 is `protocol`.
    pub(super) fn draft(self, number: usize) -> &'a TemplateDraft {
        let other = number.checked_sub(1).and_then(|number| self.main.layouts.get(number));
        other.map_or(self.main, |(_, draft)| draft)
    }

    /// All, `protocol` first.
    pub(super) fn drafts(self) -> impl Iterator<Item = &'a TemplateDraft> + use<'a> {
        std::iter::once(self.main).chain(self.main.layouts.iter().map(|(_, draft)| draft))
    }

    /// The requests of each.
    pub(super) fn requests(self) -> Vec<Requests<'a>> {
        self.drafts().map(|draft| Requests::new(&draft.plan.commands)).collect()
    }

    /// Splits `layout/KEY`: the layout's number, and the key. `None`: no layout has that name. Without a layout: `own`.
    pub(super) fn split(self, name: &str, own: usize) -> Option<(usize, &str)> {
        let Some((layout, key)) = name.split_once(SLASH).filter(|_| !self.main.layouts.is_empty()) else {
            return Some((own, name));
        };
        Some((self.number(layout.trim())?, key))
    }

    fn number(self, name: &str) -> Option<usize> {
        if name == PROTOCOL {
            return Some(0);
        }
        self.main.layouts.iter().position(|(layout, _)| **layout == *name).map(|number| number + 1)
    }

    /// The commands that a key of a rule file names, and their layout.
    pub(super) fn commands(self, key: &str) -> (usize, Vec<usize>) {
        let Some((layout, key)) = self.split(key, 0) else { return (0, Vec::new()) };
        (layout, commands_of(self.draft(layout), key))
    }

    /// The entry that `frame` of a reply names, and its layout; a plain name is one of `own` first, then of `protocol`.
    pub(super) fn entry(self, name: &str, own: usize) -> Option<(usize, usize)> {
        let (layout, key) = self.split(name, own)?;
        let found = |layout: usize| Some((layout, entry(self.draft(layout), key)?));
        found(layout).or_else(|| if name.contains(SLASH) { None } else { found(0) })
    }

    /// What `frame` may name, for the error.
    pub(super) fn entries(self) -> Vec<String> {
        let names = |(number, draft): (usize, &'a TemplateDraft)| {
            let layout =
                number.checked_sub(1).and_then(|number| self.main.layouts.get(number)).map(|(name, _)| &**name);
            let keys = draft.plan.commands.iter().map(|command| &*command.key_text);
            let names = draft.commands.iter().filter_map(|command| command.name.as_deref());
            let full =
                move |name: &str| layout.map_or_else(|| name.to_owned(), |layout| format!("{layout}{SLASH}{name}"));
            names.chain(keys).map(full).collect::<Vec<_>>()
        };
        self.drafts().enumerate().flat_map(names).collect()
    }

    /// Some layout was left out or lacks commands because of reported errors.
    pub(super) fn is_incomplete(self) -> bool {
        self.drafts().any(|draft| draft.incomplete)
    }

    /// As the plan has them; none where there is only `protocol`.
    pub(super) fn plan(self) -> Arc<[Layout]> {
        if self.main.layouts.is_empty() {
            return Arc::default();
        }
        let names = std::iter::once(PROTOCOL).chain(self.main.layouts.iter().map(|(name, _)| &**name));
        let layout = |(name, draft): (&str, &TemplateDraft)| Layout { name: name.into(), template: draft.plan.clone() };
        names.zip(self.drafts()).map(layout).collect()
    }
}

/// The entry of that name, else the first with that key.
fn entry(draft: &TemplateDraft, name: &str) -> Option<usize> {
    let named = draft.commands.iter().position(|command| command.name.as_deref() == Some(name.trim()));
    let written = || draft.plan.commands.iter().position(|command| *command.key_text == *name.trim());
    named.or_else(written).or_else(|| {
        let digits = super::key::key_digits(name).concat();
        draft.plan.commands.iter().position(|command| *command.key_text == *digits)
    })
}

/// Where a layout's key of a rule file is told that no layout has the name.
pub(super) fn unknown_layout(diags: &mut Diags, family: Family<'_>, pos: Pos, name: &str) -> bool {
    if family.split(name, 0).is_some() || family.is_incomplete() {
        return false;
    }
    let known: Vec<String> = family.main.layouts.iter().map(|(layout, _)| format!("`{layout}`")).collect();
    diags.error(pos, format!("`{name}`: `frames` has no such layout (known: `{PROTOCOL}`, {})", known.join(", ")));
    true
}
