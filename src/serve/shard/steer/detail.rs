//! All that is known of one FSU.

use super::listen::{CommandCounts, MessageCounts, Unanswered};
use super::now::FsuNow;
use super::ring::Exchange;
use crate::shard::clock::Clock;
use crate::shard::protocol::Protocol;
use crate::shard::recorder::Recorder;
use crate::shard::serve::Serve;
use fsu_core::state::DeviceState;
use fsu_plan::model::fleet::Device;

/// Bytes of a memory area that are told.
pub const MEMORY_TOLD_MAX: usize = 4_096;
/// Entries of a keyed register that are told.
pub const ENTRIES_TOLD_MAX: usize = 256;

/// One FSU.
#[derive(Clone, Debug)]
pub struct FsuDetail {
    /// What it does now.
    pub now: FsuNow,
    /// The number of its next frame: what a journal calls its message number.
    pub next_frame: u64,
    /// Its devices, without those that are another layout of one.
    pub devices: Vec<DeviceNow>,
    /// What became of requests, by command; empty where that is not counted.
    pub commands: Vec<CommandNow>,
    /// Its last traffic, the newest first.
    pub exchanges: Vec<Exchange>,
}

/// A text or bytes by a name.
pub type Named = (Box<str>, Vec<u8>);

/// An entry of a keyed register: key and value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// One device. What it remembers is there from its first use on.
#[derive(Clone, Debug, Default)]
pub struct DeviceNow {
    /// Its number in the FSU.
    pub device: u16,
    /// Registers and their texts.
    pub registers: Vec<Named>,
    /// Memory areas and their first bytes.
    pub memory: Vec<Named>,
    /// Keyed registers, and the first of their entries: keys and values.
    pub keyed: Vec<(Box<str>, Vec<Entry>)>,
    /// Counters, and how often each was drawn.
    pub counters: Vec<(Box<str>, u64)>,
    /// Parameters that it reads, by their number in the fleet.
    pub params: Vec<(u32, Box<str>)>,
    /// The next entry of each `cycle`.
    pub cycles: Vec<u32>,
    /// The states that it is in.
    pub states: Vec<Box<str>>,
    /// Its messages.
    pub messages: Vec<MessageNow>,
}

/// A message of a device.
#[derive(Clone, Debug)]
pub struct MessageNow {
    /// Its name.
    pub message: Box<str>,
    /// How often it was raised.
    pub raised: u64,
    /// Those that wait for an acknowledgement.
    pub pending: u32,
    /// What has become of it since the run is watched.
    pub counts: MessageCounts,
}

/// What became of requests with one command.
#[derive(Clone, Copy, Debug)]
pub struct CommandNow {
    /// The device's number in the FSU, those that are another layout of one included.
    pub device: u16,
    /// The command's number in the device's template.
    pub command: u16,
    /// The counts.
    pub counts: CommandCounts,
}

/// The last requests without a reply.
#[derive(Clone, Debug, Default)]
pub struct UnansweredNow {
    /// The newest first.
    pub last: Vec<Unanswered>,
    /// How many there were.
    pub total: u64,
}

impl<P: Protocol, T: Recorder> Serve<P, T> {
    /// All that is known of an FSU.
    pub(super) fn detail(&mut self, fsu: u32, now: Clock) -> Option<FsuDetail> {
        let socket = self.steer.as_ref()?.socket(fsu)?;
        let fsu_now = self.fsu_now(socket, now)?;
        let next_frame = self.next_frame(fsu);
        let exchanges = self.tap.ear().map(|ear| ear.exchanges(fsu, now.mono_ms)).unwrap_or_default();
        let slot = self.slots.get(socket as usize)?;
        let plan = self.fleet.fsus.get(slot.fsu as usize)?;
        let own = plan.devices.iter().enumerate().filter(|(_, device)| device.is_own());
        let counts = |device, message| self.tap.ear_now().and_then(|ear| ear.message(fsu, device, message));
        let devices = own.map(|(number, device)| {
            let mut now = device_now(number as u16, device, slot.state.devices.get(number));
            for (message, of) in (0..).zip(&mut now.messages) {
                of.counts = counts(number as u16, message).unwrap_or_default();
            }
            now
        });
        let mut commands = Vec::new();
        let mut place = 0;
        for (device, of) in (0..).zip(plan.devices.iter()) {
            for command in 0..of.template.commands.len() as u16 {
                let counts = self.tap.ear_now().and_then(|ear| ear.command(fsu, place));
                commands.extend(counts.map(|counts| CommandNow { device, command, counts }));
                place += 1;
            }
        }
        Some(FsuDetail { now: fsu_now, next_frame, devices: devices.collect(), commands, exchanges })
    }
}

fn device_now(number: u16, device: &Device, state: Option<&DeviceState>) -> DeviceNow {
    let mut out = DeviceNow { device: number, ..DeviceNow::default() };
    let Some(state) = state else { return out };
    let registers = device.registers.iter().zip(&state.registers);
    out.registers = registers.map(|(register, text)| (register.name.clone(), text.clone())).collect();
    out.cycles = state.cycles.to_vec();
    if let Some(kept) = &state.kept {
        let params = kept.plan.params.iter();
        out.params = params.filter_map(|&number| Some((number, kept.params.get(number as usize)?.clone()))).collect();
    }
    if let Some(kept) = state.kept.as_ref().filter(|kept| kept.is_made()) {
        for (area, number) in kept.plan.areas.iter().zip(0..) {
            let bytes = kept.area(number);
            out.memory.push((area.name.clone(), bytes[..bytes.len().min(MEMORY_TOLD_MAX)].to_vec()));
        }
        for (keyed, number) in kept.plan.keyed.iter().zip(0..) {
            let entries = kept.entries(number).iter().take(ENTRIES_TOLD_MAX);
            out.keyed.push((keyed.name.clone(), entries.map(|(key, value)| (key.to_vec(), value.to_vec())).collect()));
        }
        let counters = kept.plan.counters.iter().zip(0..);
        out.counters = counters.map(|(name, number)| (name.clone(), kept.drawn(number))).collect();
    }
    if let Some((conversation, talk)) = device.conversation.as_ref().zip(state.talk.as_ref()) {
        let states = conversation.states.iter().enumerate();
        out.states = states.filter(|(bit, _)| talk.states >> bit & 1 == 1).map(|(_, name)| name.clone()).collect();
        let messages = conversation.messages.iter().enumerate();
        out.messages = messages
            .map(|(number, message)| MessageNow {
                message: message.name.clone(),
                raised: talk.raised(number),
                pending: talk.pending_of(number) as u32,
                counts: MessageCounts::default(),
            })
            .collect();
    }
    out
}
