//! The commands that a device waits for: acknowledgements, and those that a message follows.

use super::MessagesOf;
use crate::compile::field::known;
use crate::compile::layouts::{self, Family};
use crate::compile::scope::commands_of;
use crate::config::at::{At, Pos};
use crate::config::diag::Diags;
use crate::model::conversation::Heeded;
use crate::model::rule::FrameOf;
use std::collections::BTreeMap;

/// Those that were named so far, by layout and command.
#[derive(Default)]
pub(super) struct Draft {
    all: BTreeMap<(u16, u32), Of>,
}

#[derive(Default)]
struct Of {
    acknowledges: Vec<u16>,
    /// With the place that names the command.
    followed_by: Vec<(u16, Pos)>,
}

impl Draft {
    fn of(&mut self, layout: usize, command: usize) -> &mut Of {
        self.all.entry((layout as u16, command as u32)).or_default()
    }

    /// The message with that number follows these commands.
    pub(super) fn follows(&mut self, layout: usize, commands: &[usize], (message, pos): (usize, Pos)) {
        for &command in commands {
            let of = self.of(layout, command);
            if !of.followed_by.iter().any(|(known, _)| usize::from(*known) == message) {
                of.followed_by.push((message as u16, pos));
            }
        }
    }

    /// A command acknowledges the message with that number.
    pub(super) fn acknowledges(&mut self, layout: usize, command: usize, message: usize) {
        self.of(layout, command).acknowledges.push(message as u16);
    }

    /// As the plan has them. Reports messages that follow what is never answered.
    pub(super) fn finish(self, diags: &mut Diags, from: &MessagesOf<'_>) -> Box<[Heeded]> {
        let heeded = |((layout, command), of): ((u16, u32), Of)| {
            let rules = from.rules.get(usize::from(layout)).and_then(|commands| commands.get(command as usize));
            let is_answered = rules.is_some_and(|rules| rules.iter().any(|rule| !rule.timeout));
            for (_, pos) in of.followed_by.iter().filter(|_| !is_answered) {
                let key = &from.family.draft(usize::from(layout)).plan.commands[command as usize].key_text;
                diags.warn(*pos, format!("no rule answers {key}, so nothing follows it"));
            }
            Heeded {
                frame: FrameOf { layout, command: Some(command) },
                acknowledges: of.acknowledges.into(),
                followed_by: of.followed_by.into_iter().map(|(message, _)| message).collect(),
                is_answered,
            }
        };
        self.all.into_iter().map(heeded).collect()
    }
}

/// The requests that a name or key means, and their layout; a plain name is one of layout `own` first, then of `protocol`.
/// `None` after an error that was reported.
pub(super) fn asked(
    diags: &mut Diags,
    family: Family<'_>,
    name: &At<String>,
    own: usize,
) -> Option<(usize, Vec<usize>)> {
    if layouts::unknown_layout(diags, family, name.pos, &name.value) {
        return None;
    }
    let (layout, key) = family.split(&name.value, own)?;
    let in_layout = |layout: usize| -> Vec<usize> {
        let draft = family.draft(layout);
        let named = draft.commands.iter().position(|command| command.name.as_deref() == Some(key.trim()));
        named.map_or_else(|| commands_of(draft, key), |number| vec![number])
    };
    let is_up = |layout: usize, number: &usize| family.draft(layout).plan.commands[*number].up;
    let mut found = (layout, in_layout(layout));
    if found.1.is_empty() && layout != 0 && key == name.value {
        found = (0, in_layout(0));
    }
    if !found.1.is_empty() && !found.1.iter().any(|number| is_up(found.0, number)) {
        return Some(found);
    }
    if !found.1.is_empty() || family.entry(&name.value, own).is_some() {
        diags.error(name.pos, format!("`{}` is `\"direction\": \"up\"`: only the device sends it", name.value));
    } else if !family.is_incomplete() {
        let names = family.entries();
        let near = known(&name.value, names.iter().map(String::as_str).collect::<Vec<_>>());
        diags.error(name.pos, format!("the template has no frame `{}`{near}", name.value));
    }
    None
}
