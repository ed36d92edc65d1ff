//! What the values of a rule may refer to: the request's fields, and the device's registers.

use super::expr::{ExprError, Scope, nearest};
use super::field::Area;
use super::fields::{Requests, ResponseField};
use super::kept::Kept;
use super::key::{key_digits, spelled};
use super::layouts::Family;
use super::moved::area_in;
use super::reply::header_lookup;
use super::template::TemplateDraft;
use crate::config::at::{At, Json, Map};
use crate::config::steps::step;
use crate::model::field::{Offset, Slot};
use crate::model::rule::Register;
use crate::model::walk::{Walk, Walked};
use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// The registers of a device.
#[derive(Default)]
pub(super) struct Registers {
    pub(super) numbers: HashMap<String, u32>,
    pub(super) all: Vec<Register>,
    /// Those that some value reads.
    pub(super) read: RefCell<HashSet<u32>>,
    /// Hex digits of the FSU's id.
    pub(super) id_digits: usize,
    /// Names that are read and that no rule of this device sets; reported once per rule.
    pub(super) unset: RefCell<BTreeSet<String>>,
    /// Those that may keep a number that an expression gives: how long it becomes is not known.
    pub(super) open: HashSet<u32>,
    /// Those that keep nothing but hex digits.
    pub(super) bytes: HashSet<u32>,
    /// What else the device remembers.
    pub(super) kept: Kept,
}

/// The number of a register that no rule sets: always empty.
pub(super) const NEVER_SET: u32 = u32::MAX;

/// The commands that one key of a rule file names, and the names of their fields.
pub(super) struct Key<'n, 'a> {
    pub(super) draft: &'a TemplateDraft,
    pub(super) numbers: &'n [usize],
    pub(super) requests: &'n Requests<'a>,
    /// All layouts of the template, and the number of this one.
    pub(super) family: (Family<'a>, usize),
    /// The reply fields of all of them, where they are several: the command, and the number of the field.
    replies: OnceCell<HashMap<&'a str, (usize, usize)>>,
    /// The same for request fields.
    asked: OnceCell<HashSet<&'a str>>,
}

impl<'n, 'a> Key<'n, 'a> {
    /// The commands of one layout; `requests`: by layout.
    pub(super) fn new(
        (family, layout): (Family<'a>, usize),
        numbers: &'n [usize],
        requests: &'n [Requests<'a>],
    ) -> Self {
        let (draft, requests) = (family.draft(layout), &requests[layout]);
        Self { draft, numbers, requests, family: (family, layout), replies: OnceCell::new(), asked: OnceCell::new() }
    }

    /// The data field of that name in a reply, of the first command that has one.
    pub(super) fn reply_field(&self, plain: &str) -> Option<&'a ResponseField> {
        if let &[number] = self.numbers {
            let response = &self.draft.commands[number].response;
            return response.data(plain).map(|field| &response[field]);
        }
        let all = self.replies.get_or_init(|| {
            let mut all = HashMap::new();
            for &number in self.numbers {
                for (place, field) in self.draft.commands[number].response.iter().enumerate() {
                    step(1);
                    if !field.header {
                        all.entry(&*field.field.name).or_insert((number, place));
                    }
                }
            }
            all
        });
        step(1);
        all.get(plain).map(|&(number, field)| &self.draft.commands[number].response[field])
    }

    /// Whether a reply of any of the commands has an element of that name behind a field of variable size.
    pub(super) fn reply_walk(&self, plain: &str) -> bool {
        let walks = self.numbers.iter().filter_map(|&number| self.draft.commands[number].walk.as_ref());
        walks.into_iter().any(|draft| {
            draft.walk.nodes.iter().any(|node| {
                step(1);
                node.parent.is_none() && *node.name == *plain
            })
        })
    }

    /// Whether the requests of any of the commands have an element of that name behind a field of variable size.
    pub(super) fn asks_walked(&self, name: &str) -> bool {
        let mut walks = self.numbers.iter().filter_map(|&number| self.draft.plan.commands[number].request_walk());
        walks.any(|walk| {
            step(walk.nodes.len());
            walk.path(name).is_some()
        })
    }

    /// Whether the requests of any of the commands have such a data field.
    pub(super) fn asks(&self, plain: &str) -> bool {
        if let &[number] = self.numbers {
            return self.requests.field(number, plain).is_some();
        }
        let names = || self.numbers.iter().filter_map(|&number| self.requests.of(number)).flat_map(HashMap::keys);
        let asked = self.asked.get_or_init(|| names().inspect(|_| step(1)).copied().collect());
        step(1);
        asked.contains(plain)
    }
}

/// In [`CommandScope`]: there is no request.
pub(super) const NO_COMMAND: usize = usize::MAX;

/// The arguments of a message, by number.
#[derive(Debug, Default)]
pub(super) struct Args(RefCell<Vec<String>>);

impl Args {
    fn number(&self, name: &str) -> u16 {
        let mut names = self.0.borrow_mut();
        let known = names.iter().position(|known| known == name);
        known.unwrap_or_else(|| {
            names.push(name.to_owned());
            names.len() - 1
        }) as u16
    }

    /// Their names.
    pub(super) fn names(self) -> Vec<String> {
        self.0.into_inner()
    }
}

/// Names as one command sees them, or one message.
pub(super) struct CommandScope<'s, 'n, 'a> {
    pub(super) key: &'s Key<'n, 'a>,
    /// The command. A name that only other commands of the same key have is empty here.
    pub(super) number: usize,
    pub(super) registers: &'s Registers,
    /// Of a message, which has no request: its arguments.
    pub(super) args: Option<&'s Args>,
}

impl Scope for CommandScope<'_, '_, '_> {
    fn field(&self, name: &str) -> Result<Option<(Offset, Slot)>, ExprError> {
        if self.args.is_some() {
            return Err(ExprError::FieldInMessage(name.into()));
        }
        let (area, plain) = area_in(&self.key.draft.plan, name);
        let is_plain = area == Area::Plain;
        if let Some(field) = self.key.requests.field(self.number, plain).filter(|_| is_plain) {
            return Ok(Some((field.at, field.slot.clone())));
        }
        let plan = &self.key.draft.plan;
        if let Ok(found) = header_lookup(plan, name) {
            Ok(Some(found))
        } else {
            if is_plain && (self.key.asks(plain) || self.key.asks_walked(plain)) {
                return Ok(None);
            }
            let command = &plan.commands[self.number];
            let header = plan.left.iter().chain(&plan.tail);
            let names = command.request.iter().flatten().chain(header).map(|field| &*field.name);
            let near = nearest(plain, names);
            Err(ExprError::UnknownFieldOf { name: name.into(), command: command.key_text.clone(), near })
        }
    }

    fn walked(&self, name: &str) -> Option<Walked> {
        let walk = self.walk()?;
        let (area, plain) = area_in(&self.key.draft.plan, name);
        if area != Area::Plain || self.key.requests.field(self.number, plain).is_some() {
            return None;
        }
        walk.named(plain)
    }

    fn register(&self, name: &str) -> Result<u32, ExprError> {
        let Some(number) = self.registers.numbers.get(name).copied() else {
            self.registers.unset.borrow_mut().insert(name.to_owned());
            return Ok(NEVER_SET);
        };
        self.registers.read.borrow_mut().insert(number);
        Ok(number)
    }

    fn register_bytes_max(&self, number: u32) -> usize {
        if self.registers.open.contains(&number) {
            return 1;
        }
        self.registers.all.get(number as usize).map_or(0, |register| register.bytes_max)
    }

    fn id_digits(&self) -> usize {
        self.registers.id_digits
    }

    fn walk(&self) -> Option<Arc<Walk>> {
        self.key.draft.plan.commands.get(self.number)?.request_walk().cloned()
    }

    fn kept(&self) -> Option<&Kept> {
        Some(&self.registers.kept)
    }

    fn arg(&self, name: &str) -> Option<u16> {
        self.args.map(|args| args.number(name))
    }

    fn register_is_bytes(&self, number: u32) -> bool {
        self.registers.bytes.contains(&number)
    }
}

/// The commands that a rule key names.
pub(super) fn commands_of(draft: &TemplateDraft, key: &str) -> Vec<usize> {
    let digits = key_digits(key);
    let joined = digits.concat();
    let same = |number: &usize| {
        if draft.plan.commands[*number].up {
            return false;
        }
        let text = &*draft.plan.commands[*number].key_text;
        if *text == *joined {
            return true;
        }
        // Part by part, a short one with its leading zeros.
        let own = &draft.commands[*number];
        digits.len() == own.parts.len() && spelled(&digits, &own.parts, &own.digits).as_deref() == Some(text)
    };
    if draft.commands.first().is_some_and(|command| command.parts.is_empty()) {
        // A layout without a key: its entries are named by what the template has in the key's place. A key that is wholly
        // behind a field of variable size is in digits, of either case.
        let named = |name: &str| -> Vec<usize> {
            let all = draft.plan.commands.iter().enumerate();
            all.filter(|(_, command)| !command.up && *command.key_text == *name).map(|(number, _)| number).collect()
        };
        let exactly = named(key.trim());
        return if exactly.is_empty() { named(&joined) } else { exactly };
    }
    draft.by_key.named(&digits).into_iter().filter(same).collect()
}

/// The entries of an object of fields, comments left out.
pub(super) fn fields_of(map: &Map<At<Json>>) -> impl Iterator<Item = (&At<String>, &At<Json>)> {
    map.0.iter().map(|(name, value)| (name, value))
}

pub(super) fn is_comment(name: &str) -> bool {
    matches!(name, "desc" | "description")
}
