//! What an FSU remembers across a reload (spec templates.md, Reload).

use super::devices::Devices;
use super::{DeviceState, FsuState, transfers};
use fsu_plan::model::fleet::{Device, Fsu};
use fsu_plan::model::rule::Rule;
use std::collections::{HashMap, VecDeque};

/// The state of an FSU that was `was` and is `is` now.
///
/// Counters and message numbers continue. Devices are matched by P_subDevType and P_subDev_addr (first with first), registers by
/// name, and a cycle's position by its command's key and the index of its rule. A text longer than the new rules ever set is
/// dropped. A cycle whose number of replies has changed restarts. A transfer continues if its frames keep their layout.
pub fn carry(state: FsuState, was: &Fsu, is: &Fsu) -> FsuState {
    let FsuState { devices: old, .. } = &state;
    // Other layouts of a device are behind all devices.
    let own = |fsu: &Fsu| fsu.devices.iter().filter(|device| device.is_own()).count();
    let mut taken = vec![false; own(was)];
    let mut moves = vec![None; own(was)];
    let FsuState { identity, .. } = FsuState::new(is);
    let to = |fsu: &Fsu| fsu.connect.as_ref().map(|connect| connect.to);
    let is_at_same = to(was) == to(is);
    let devices = is.devices.iter().take(own(is)).enumerate().map(|(new_number, device)| {
        let mut memory = DeviceState::new(device, &is.params);
        let same = |(number, other): &(usize, &std::sync::Arc<Device>)| {
            !taken.get(*number).copied().unwrap_or(true)
                && (other.sub_dev_type, other.sub_dev_addr) == (device.sub_dev_type, device.sub_dev_addr)
        };
        if let Some((number, other)) = was.devices.iter().enumerate().find(same) {
            taken[number] = true;
            if transfers::is_same(&other.template, &device.template) {
                moves[number] = Some(new_number);
            }
            if let Some(old) = old.get(number) {
                carry_device(old, (other, device), is_at_same, &mut memory);
            }
        }
        memory
    });
    let devices: Devices = devices.collect();
    let devices = if old.is_empty() { Devices::new(is) } else { devices };
    let mut state = FsuState { devices, identity, ..state };
    transfers::carry(&mut state, was, &moves);
    state
}

fn carry_device(old: &DeviceState, (was, is): (&Device, &Device), is_at_same: bool, memory: &mut DeviceState) {
    let mut registers: HashMap<&str, usize> = HashMap::new();
    for (number, register) in was.registers.iter().enumerate() {
        registers.entry(&register.name).or_insert(number);
    }
    for (register, text) in is.registers.iter().zip(&mut memory.registers) {
        let number = registers.get(&*register.name).copied();
        if let Some(kept) = number.and_then(|number| old.registers.get(number))
            && kept.len() <= register.bytes_max
        {
            text.clone_from(kept);
        }
    }
    if let Some((kept, before)) = memory.kept.as_mut().zip(old.kept.as_ref()) {
        kept.carry(before);
    }
    if let (Some((talk, is)), Some((before, was))) =
        (memory.talk.as_mut().zip(is.conversation.as_deref()), old.talk.as_ref().zip(was.conversation.as_deref()))
    {
        talk.carry(is, (before, was), is_at_same);
    }
    if is.cycles == 0 || was.cycles == 0 {
        return;
    }
    // Entries with the same key keep the order of the file.
    let mut numbers: HashMap<&str, VecDeque<usize>> = HashMap::new();
    for (number, command) in was.template.commands.iter().enumerate() {
        numbers.entry(&command.key_text).or_default().push_back(number);
    }
    for (command, rules) in is.template.commands.iter().zip(&is.rules) {
        let number = numbers.get_mut(&*command.key_text).and_then(VecDeque::pop_front);
        let Some(before) = number.and_then(|number| was.rules.get(number)) else { continue };
        for (before, rule) in before.iter().zip(rules) {
            if let Some((place, kept)) = place_of(rule, &mut memory.cycles).zip(kept_place(before, rule, old)) {
                *place = kept;
            }
        }
    }
}

fn place_of<'a>(rule: &Rule, cycles: &'a mut [u32]) -> Option<&'a mut u32> {
    cycles.get_mut(rule.cycle? as usize)
}

fn kept_place(before: &Rule, rule: &Rule, old: &DeviceState) -> Option<u32> {
    let place = *old.cycles.get(before.cycle? as usize)?;
    (before.replies.len() == rule.replies.len()).then_some(place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{device, fsu};
    use fsu_plan::model::rule::Register;
    use fsu_plan::wire::fixtures::fixed;
    use std::sync::Arc;

    /// A device at an address; rule 0 of each command is a cycle of this many replies; registers with their longest texts.
    fn with(address: u8, cycles: &[usize], registers: &[(&str, usize)]) -> Arc<Device> {
        let mut device = Arc::into_inner(device(fixed(), 1, address, false)).expect("one owner");
        for (number, (rules, &replies)) in (0..).zip(device.rules.iter_mut().zip(cycles)) {
            rules[0].cycle = Some(number);
            rules[0].replies = vec![rules[0].replies[0].clone(); replies].into();
        }
        device.cycles = cycles.len() as u32;
        device.registers =
            registers.iter().map(|&(name, bytes_max)| Register { name: name.into(), bytes_max }).collect();
        Arc::new(device)
    }

    /// Cycles' places and registers' texts.
    type Memory = (Box<[u32]>, Box<[Vec<u8>]>);

    fn check(was: Vec<Arc<Device>>, old: &[(&[u32], &[&str])], is: Vec<Arc<Device>>, expected: &[(&[u32], &[&str])]) {
        let (was, is) = (fsu(was), fsu(is));
        let memory = |memory: &[(&[u32], &[&str])]| -> Box<[Memory]> {
            memory.iter().map(|(c, r)| ((*c).into(), r.iter().map(|r| r.as_bytes().to_vec()).collect())).collect()
        };
        let mut state = FsuState::new(&was);
        (state.messages, state.replies, state.counters.received) = (7, 5, 9);
        state.devices = memory(old)
            .into_iter()
            .map(|(cycles, registers)| DeviceState { cycles, registers, kept: None, talk: None })
            .collect();
        let state = carry(state, &was, &is);
        assert_eq!((state.messages, state.replies, state.counters.received), (7, 5, 9));
        let got: Box<[_]> = state.devices.iter().cloned().map(|one| (one.cycles, one.registers)).collect();
        assert_eq!(got, memory(expected));
    }

    #[test]
    fn what_is_kept() {
        let one = |registers: &[(&str, usize)]| vec![with(1, &[3, 2], registers)];
        check(one(&[("a", 9)]), &[(&[2, 1], &["x"])], one(&[("a", 9)]), &[(&[2, 1], &["x"])]);
        // By name, not by number.
        check(
            one(&[("a", 9), ("b", 9)]),
            &[(&[2, 1], &["x", "y"])],
            one(&[("b", 9), ("c", 9), ("a", 9)]),
            &[(&[2, 1], &["y", "", "x"])],
        );
        // A text too long for the new rules, a cycle of another length.
        check(one(&[("a", 9)]), &[(&[2, 1], &["long"])], one(&[("a", 3)]), &[(&[2, 1], &[""])]);
        check(one(&[]), &[(&[2, 1], &[])], vec![with(1, &[4, 2], &[])], &[(&[0, 1], &[])]);
        // Devices change places, come and go.
        let (first, second) = (with(1, &[3], &[]), with(2, &[3], &[]));
        check(
            vec![first.clone(), second.clone()],
            &[(&[1], &[]), (&[2], &[])],
            vec![second.clone(), with(3, &[3], &[]), first.clone()],
            &[(&[2], &[]), (&[0], &[]), (&[1], &[])],
        );
        check(vec![first.clone()], &[(&[1], &[])], vec![first.clone(), first], &[(&[1], &[]), (&[0], &[])]);
    }
}
