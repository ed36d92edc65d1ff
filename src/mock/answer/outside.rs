//! What a device remembers, set from outside: not by a request, by whoever steers the run.

use super::build::{Inputs, set_register};
use super::turn::Turn;
use fsu_plan::model::fleet::Device;
use fsu_plan::model::kept::ENTRY_KEY_BYTES_MAX;

/// Why nothing was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSet {
    /// No device has it; or not the one that was named.
    NotThere,
    /// It is a keyed register: an entry has a key.
    NoKey,
    /// It has no keys.
    NotKeyed,
    /// The key is longer than that many bytes.
    KeyTooLong(usize),
    /// The text is longer than the longest that a rule sets it to, in bytes.
    TooLong(usize),
    /// The area has only that many bytes.
    Outside(usize),
}

/// A register to be set.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    /// The device's number in the FSU; `None`: every device that has it.
    pub device: Option<u16>,
    /// Its name.
    pub name: &'a str,
    /// The key of the entry of a keyed register.
    pub key: Option<&'a str>,
}

/// Sets a register, or an entry of a keyed one: of all devices that have it, or of none.
///
/// # Errors
/// Why it is not set.
pub fn set(turn: &mut Turn<'_>, named: Named<'_>, text: &str) -> Result<(), NotSet> {
    let devices = devices(turn, named.device, |device| has(device, named, text))?;
    for number in devices {
        let fsu = turn.fsu;
        let device = &fsu.devices[number];
        if let Some(register) = register(device, named.name) {
            set_register(&mut turn.state.devices.made(fsu)[number], register as u32, text.as_bytes());
            continue;
        }
        let (Some(keyed), Some(key)) = (keyed(device, named.name), named.key) else { continue };
        let is_dropped = with_kept(turn, number, |inputs| {
            let entries = inputs.kept()?.entries_mut(keyed as u16)?;
            Some(entries.set(key.as_bytes(), text.as_bytes()))
        });
        if is_dropped == Some(true) {
            turn.state.counters.entries_dropped += 1;
        }
    }
    Ok(())
}

/// Writes bytes into a memory area, from its byte `at` on: of all devices that have it, or of none.
///
/// # Errors
/// Why they are not written.
pub fn store(turn: &mut Turn<'_>, named: Named<'_>, at: usize, bytes: &[u8]) -> Result<(), NotSet> {
    let devices = devices(turn, named.device, |device| {
        let area = area(device, named.name).map(|number| device.keeps.areas[number].bytes as usize);
        let size = area.ok_or(NotSet::NotThere)?;
        if at.checked_add(bytes.len()).is_some_and(|end| end <= size) { Ok(()) } else { Err(NotSet::Outside(size)) }
    })?;
    for number in devices {
        let Some(area) = area(&turn.fsu.devices[number], named.name) else { continue };
        with_kept(turn, number, |inputs| {
            let place = inputs.kept()?.area_mut(area as u16).get_mut(at..)?.get_mut(..bytes.len())?;
            place.copy_from_slice(bytes);
            Some(())
        });
    }
    Ok(())
}

/// The devices that are meant, if all of them can; if none has it, why.
fn devices(
    turn: &Turn<'_>,
    only: Option<u16>,
    can: impl Fn(&Device) -> Result<(), NotSet>,
) -> Result<Vec<usize>, NotSet> {
    let own = turn.fsu.devices.iter().enumerate().filter(|(_, device)| device.is_own());
    let mut out = Vec::new();
    for (number, device) in own.filter(|&(number, _)| only.is_none_or(|only| usize::from(only) == number)) {
        match can(device) {
            Ok(()) => out.push(number),
            Err(NotSet::NotThere) => {}
            Err(why) => return Err(why),
        }
    }
    if out.is_empty() { Err(NotSet::NotThere) } else { Ok(out) }
}

fn has(device: &Device, named: Named<'_>, text: &str) -> Result<(), NotSet> {
    if let Some(number) = register(device, named.name) {
        let most = device.registers[number].bytes_max;
        return match named.key {
            Some(_) => Err(NotSet::NotKeyed),
            None if text.len() > most => Err(NotSet::TooLong(most)),
            None => Ok(()),
        };
    }
    keyed(device, named.name).ok_or(NotSet::NotThere)?;
    let most = fsu_plan::model::rule::REGISTER_BYTES_MAX;
    match named.key {
        None => Err(NotSet::NoKey),
        Some(key) if key.len() > ENTRY_KEY_BYTES_MAX => Err(NotSet::KeyTooLong(ENTRY_KEY_BYTES_MAX)),
        Some(_) if text.len() > most => Err(NotSet::TooLong(most)),
        Some(_) => Ok(()),
    }
}

fn register(device: &Device, name: &str) -> Option<usize> {
    device.registers.iter().position(|register| *register.name == *name)
}

fn keyed(device: &Device, name: &str) -> Option<usize> {
    device.keeps.keyed.iter().position(|keyed| *keyed.name == *name)
}

fn area(device: &Device, name: &str) -> Option<usize> {
    device.keeps.areas.iter().position(|area| *area.name == *name)
}

/// Runs something with what a device remembers, which is made at its first use.
fn with_kept<R>(turn: &mut Turn<'_>, device: usize, what: impl FnOnce(&mut Inputs<'_>) -> Option<R>) -> Option<R> {
    turn.state.devices.made(turn.fsu);
    turn.with_inputs(device, (&[], false), |inputs, _| what(inputs))
}
