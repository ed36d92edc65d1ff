//! What the devices of an FSU remember. Most FSUs of a large fleet never need it, so the first use makes it.

use super::kept::DeviceKept;
use super::talk::Talk;
use fsu_plan::model::fleet::{Device, Fsu};
use std::ops::Deref;
use std::sync::Arc;

/// What one device of one FSU remembers.
#[derive(Clone, Debug, Default)]
pub struct DeviceState {
    /// The next entry of each `cycle`.
    pub cycles: Box<[u32]>,
    /// The registers' texts; empty before they are set.
    pub registers: Box<[Vec<u8>]>,
    /// Memory areas, keyed registers, counters and parameters; `None`: there are none.
    pub kept: Option<Box<DeviceKept>>,
    /// Its conversation; `None`: it has none.
    pub talk: Option<Box<Talk>>,
}

impl DeviceState {
    /// That of a device that has heard nothing.
    pub fn new(device: &Device, params: &Arc<[Box<str>]>) -> Self {
        let talk = device.conversation.as_ref();
        Self {
            talk: talk.map(|conversation| Box::new(Talk::new(conversation))),
            kept: DeviceKept::new(device, params),
            cycles: vec![0; device.cycles as usize].into(),
            registers: vec![Vec::new(); device.registers.len()].into(),
        }
    }
}

/// The devices of an FSU by their number, without those that are another layout of one; an empty slice before the first use. 8 bytes
/// until then.
#[derive(Clone, Debug, Default)]
pub struct Devices(Option<Box<Made>>);

#[derive(Clone, Debug)]
struct Made(Box<[DeviceState]>);

impl Devices {
    /// Those of an FSU that has heard nothing. They are made at once if one has memory areas, keyed registers, counters,
    /// parameters or a conversation.
    pub fn new(fsu: &Fsu) -> Self {
        let has_kept = |device: &Arc<Device>| {
            !device.keeps.is_empty() || !device.keeps.params.is_empty() || device.conversation.is_some()
        };
        let mut devices = Self::default();
        if fsu.devices.iter().any(has_kept) {
            devices.made(fsu);
        }
        devices
    }

    /// That of each device, to be changed. Makes all of them at the first use.
    #[inline]
    pub fn made(&mut self, fsu: &Fsu) -> &mut [DeviceState] {
        let made = self.0.get_or_insert_with(|| {
            let own = fsu.devices.iter().filter(|device| device.is_own());
            let all = own.map(|device| DeviceState::new(device, &fsu.params));
            Box::new(Made(all.collect()))
        });
        &mut made.0
    }

    /// That of a device, to be changed; `None`: it is not made yet.
    #[inline]
    pub fn get_mut(&mut self, device: usize) -> Option<&mut DeviceState> {
        self.0.as_mut()?.0.get_mut(device)
    }
}

impl Deref for Devices {
    type Target = [DeviceState];

    #[inline]
    fn deref(&self) -> &[DeviceState] {
        self.0.as_ref().map_or(&[], |made| &made.0)
    }
}

impl FromIterator<DeviceState> for Devices {
    fn from_iter<I: IntoIterator<Item = DeviceState>>(all: I) -> Self {
        Self(Some(Box::new(Made(all.into_iter().collect()))))
    }
}
