//! Devices to profiles: requests and replies of known length, as windows over a buffer ([`crate::model::profile`]).
//!
//! A profile takes what is right in the usual way. The general code stays the judge of everything else, and of what a
//! profile does: what is in doubt here is left to it.

mod jump;
mod layout;
mod reply;
mod request;
mod seal;
mod steps;
#[cfg(test)]
mod tests;

use crate::config::budget::Budget;
use crate::model::conversation::Heeded;
use crate::model::fleet::{Device, Fleet};
use crate::model::profile::{Answer, Copied, Group, Jump, PROFILED_BYTES_MAX, Profile, Profiles, Row, Window};
use crate::model::rule::Rule;
use crate::model::template::Encoding;

/// Gives every device of a fleet its profiles. They are made last and only while the budget has room: without one a request is
/// answered by the general code.
pub fn attach(fleet: &Fleet, budget: &Budget) {
    for (devices, device) in fleet.fsus.iter().flat_map(|fsu| fsu.devices.iter().map(|device| (&fsu.devices, device))) {
        if device.profiles.get().is_none() {
            let home = device.layouts.home.map_or(Some(device), |home| devices.get(usize::from(home)));
            let heeded = home.and_then(|home| home.conversation.as_ref()).map_or(&[][..], |all| &all.heeded);
            // It was not set.
            let _ = device.profiles.set(charged(device, heeded, budget));
        }
    }
}

/// The profiles of a device, as far as the budget has room for them. They are charged before they are made, and then to the byte.
fn charged(device: &Device, heeded: &[Heeded], budget: &Budget) -> Profiles {
    let most = bytes_most(device);
    if budget.charge(most).is_err() {
        return Profiles::default();
    }
    let profiles = profiles_but(device, heeded);
    budget.release(most as u64);
    if budget.charge(bytes(&profiles)).is_ok() { profiles } else { Profiles::default() }
}

/// What the profiles of a device may take, about.
fn bytes_most(device: &Device) -> usize {
    let of_rule = |rule: &Rule| {
        let patches: usize = rule.replies.iter().map(|reply| reply.patches.len()).sum();
        size_of::<Row>()
            + rule.when.len() * 2 * size_of::<Window>()
            + rule.replies.len() * (size_of::<Answer>() + size_of::<Jump>() + PROFILED_BYTES_MAX)
            + patches * 2 * size_of::<Copied>()
    };
    let rules: usize = device.rules.iter().flatten().map(of_rule).sum();
    rules + device.rules.len() * (4 * size_of::<Group>() + size_of::<Row>())
}

/// The profiles of a device; none of templates whose answers are followed by data, or whose lengths depend on the command.
pub fn profiles(device: &Device) -> Profiles {
    profiles_but(device, &[])
}

/// The same without those of commands that a conversation waits for.
fn profiles_but(device: &Device, heeded: &[Heeded]) -> Profiles {
    let template = &device.template;
    if template.transfer.is_some() || template.command_lengths || template.encoding == Encoding::Coded {
        return Profiles::default();
    }
    let mut lens: Vec<usize> = match template.data_len_fixed {
        Some(fixed) => vec![fixed],
        None => {
            template.commands.iter().flat_map(|command| [command.request_len, command.request_len_padded]).collect()
        }
    };
    lens.sort_unstable();
    lens.dedup();
    let (mut list, mut by_len) = (Vec::new(), Vec::new());
    for data_len in lens {
        let Some(profile) = request::profile(device, heeded, data_len) else { continue };
        let len = template.wire_len(template.left_len + data_len + template.tail_len);
        by_len.resize(by_len.len().max(len + 1), 0);
        list.push(profile);
        by_len[len] = list.len() as u16;
    }
    Profiles { by_len: by_len.into(), list: list.into() }
}

/// Memory of profiles.
pub fn bytes(profiles: &Profiles) -> usize {
    let answer = |answer: &Answer| {
        size_of::<Answer>()
            + size_of_val(&*answer.behind)
            + answer.jump.as_deref().map_or(0, size_of_val)
            + size_of_val(&*answer.copies)
            + size_of_val(&*answer.ticks)
            + size_of_val(&*answer.values)
            + size_of_val(&*answer.varied)
    };
    let row = |row: &Row| {
        size_of::<Row>() + row.checks.len() * size_of::<Window>() + row.answers.iter().map(answer).sum::<usize>()
    };
    let group = |group: &Group| size_of::<Group>() + group.rows.iter().map(row).sum::<usize>();
    let profile = |profile: &Profile| {
        size_of::<Profile>()
            + size_of_val(&*profile.whole)
            + size_of_val(&*profile.rest)
            + profile.keys.groups.iter().map(group).sum::<usize>()
    };
    size_of_val(&*profiles.by_len) + profiles.list.iter().map(profile).sum::<usize>()
}
