//! What a device remembers beside registers: memory areas, keyed registers, counters (spec shapes.md, Memory).

use super::reply::Expr;

/// Bytes of one memory area.
pub const AREA_BYTES_MAX: usize = 131_072;
/// Memory areas of one device.
pub const AREAS_MAX: usize = 64;
/// Entries of a keyed register, if its device does not say.
pub const ENTRIES_DEFAULT: u32 = 1_024;
/// The most entries of a keyed register.
pub const KEYED_ENTRIES_MAX: u32 = 65_536;
/// Longest key of an entry; a longer one has no entry.
pub const ENTRY_KEY_BYTES_MAX: usize = 255;

/// What the devices of one kind remember.
#[derive(Debug, Default)]
pub struct Keeps {
    /// Memory areas, by number.
    pub areas: Box<[Area]>,
    /// Keyed registers, by number.
    pub keyed: Box<[Keyed]>,
    /// Names of the counters, by number.
    pub counters: Box<[Box<str>]>,
    /// Numbers of the parameters that are read, in the fleet.
    pub params: Box<[u32]>,
}

impl Keeps {
    /// Nothing at all.
    pub fn is_empty(&self) -> bool {
        self.areas.is_empty() && self.keyed.is_empty() && self.counters.is_empty()
    }

    /// Bytes that one device takes from its first request on. Entries of keyed registers are not in it: they come one by one.
    pub fn bytes(&self) -> usize {
        let areas: usize = self.areas.iter().map(|area| area.bytes as usize + AREA_BYTES).sum();
        areas + 8 * self.counters.len()
    }
}

/// Bytes of an area beside what is in it.
const AREA_BYTES: usize = 32;

/// A memory area.
#[derive(Debug)]
pub struct Area {
    /// Its name.
    pub name: Box<str>,
    /// Its bytes.
    pub bytes: u32,
    /// What it has at the start: the first byte, and hex digits. Other bytes are 00.
    pub init: Box<[(u32, Expr)]>,
}

/// A keyed register.
#[derive(Clone, Debug)]
pub struct Keyed {
    /// Its name.
    pub name: Box<str>,
    /// The most entries: with one more the oldest goes.
    pub entries_max: u32,
}
