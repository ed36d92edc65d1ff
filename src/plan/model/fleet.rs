//! The fleet: FSUs, their devices and what is common to them.

use super::conversation::{Account, Conversation};
pub use super::fsu::{Common, Fsu, FsuId, Name};
use super::kept::Keeps;
use super::profile::Profiled;
use super::rule::{Register, Rule};
use super::share::{Partition, Share};
use super::template::Template;
use crate::words;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;

/// Everything `run` serves. Shared by all shards and the logger behind one [`Arc`].
#[derive(Clone, Debug)]
pub struct Fleet {
    /// The FSUs, in file order with `count` expanded; their index is their number everywhere.
    pub fsus: Vec<Fsu>,
    /// A static centre that gets every udp FSU's heartbeats.
    pub center: Option<SocketAddr>,
    /// Both logs.
    pub log: LogPlan,
    /// What performance mode drops.
    pub performance: Performance,
    /// What is counted of its messages, by [`super::conversation::DeviceMessage::account`].
    pub accounts: Box<[Account]>,
    /// Names of parameters, by [`super::kept::Keeps::params`].
    pub params: Box<[Box<str>]>,
    /// Send replies of more than [`AMPLIFICATION_MAX`] times their request to other hosts too.
    pub allow_amplification: bool,
    /// Which share of the configuration's FSUs these are.
    pub share: Share,
}

impl Fleet {
    /// Dials a second of all FSUs together (`per_second` of `connect`); `None`: no bound.
    pub fn dials_per_second(&self) -> Option<NonZeroU32> {
        let whole = self.fsus.iter().find_map(|fsu| fsu.dials()?.per_second)?;
        Some(self.share.of_rate(whole, self.fsus.len()))
    }

    /// Keeps the FSUs of one part. They stay what they are in the undivided fleet: see [`Fleet::place`].
    pub fn keep(&mut self, partition: Partition) {
        let of = self.fsus.len() as u32;
        let mut number = 0;
        let mut numbers = Vec::new();
        self.fsus.retain(|fsu| {
            let is_kept = partition.has(fsu);
            if is_kept {
                numbers.push(number);
            }
            number += 1;
            is_kept
        });
        self.fsus.shrink_to_fit();
        self.share.partition = Some(partition);
        (self.share.numbers, self.share.of) = (numbers.into(), of);
    }

    /// The source address from which an FSU dials: that of its number in the undivided fleet, so that parts share none. `None`: it does
    /// not dial, or the system chooses.
    pub fn source(&self, number: usize) -> Option<IpAddr> {
        self.fsus.get(number)?.dials()?.source(self.place(number).0 as u32)
    }

    /// An FSU's number in the undivided fleet, and how many FSUs that has: what spreads the first messages.
    #[inline]
    pub fn place(&self, number: usize) -> (usize, usize) {
        match self.share.partition {
            None => (number, self.fsus.len()),
            Some(_) => (self.share.numbers.get(number).map_or(number, |&n| n as usize), self.share.of as usize),
        }
    }
}

/// Limit of the ratio of replies to their request in datagrams, for senders on other hosts: the address may be forged,
/// and the replies go to whoever has it.
pub const AMPLIFICATION_MAX: usize = 3;

/// `performance`, resolved: true where performance mode is on and drops the thing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Performance {
    /// Replies leave at once.
    pub skip_delay: bool,
    /// No device log.
    pub skip_device_log: bool,
    /// `performance.skip_delay` is false: performance mode keeps the delays, however it is turned on.
    pub keeps_delay: bool,
    /// `performance.skip_device_log` is false: the same for the device log.
    pub keeps_device_log: bool,
}

impl Performance {
    /// The same settings with performance mode turned on.
    #[must_use]
    pub fn turned_on(self) -> Self {
        Self { skip_delay: !self.keeps_delay, skip_device_log: !self.keeps_device_log, ..self }
    }
}

/// `log`, with defaults filled in (spec device-log.md).
#[derive(Clone, Debug)]
pub struct LogPlan {
    /// System log level; never changes the device log.
    pub level: log::LevelFilter,
    /// Directory of both logs.
    pub dir: PathBuf,
    /// System log file name with strftime directives.
    pub file: String,
    /// Bytes after which a file is rotated.
    pub bytes_max: u64,
    /// Days after which a file is deleted.
    pub age_days_max: u64,
    /// Flush the system log only when the logger is idle.
    pub async_write: bool,
    /// Device log labels.
    pub language: Language,
    /// What happens to a record when the queue is full.
    pub on_full: OnFull,
}

words! {
    /// Labels of the device log.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Language {
        /// Chinese, the default.
        Zh = "zh",
        /// English.
        En = "en",
    }
}

words! {
    /// What happens to a device-log record when the queue is full.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum OnFull {
        /// The record is dropped and counted; the log has a line about it at that place.
        Drop = "drop",
        /// The shard waits.
        Block = "block",
    }
}

/// RtnFlags that requests to an FSU may have (spec b-interface.md, Direction).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtnFlags([u8; Self::MAX]);

impl RtnFlags {
    /// Most of one FSU.
    pub const MAX: usize = 8;
    /// What a request has by the protocol.
    pub const REQUEST: u8 = 0xEE;

    /// Those, in their order; `None` for an empty list or more than [`Self::MAX`].
    pub fn new(flags: &[u8]) -> Option<Self> {
        let mut all = [*flags.first()?; Self::MAX];
        all.get_mut(..flags.len())?.copy_from_slice(flags);
        Some(Self(all))
    }

    /// Whether a request may have it.
    #[inline]
    pub fn has(self, flag: u8) -> bool {
        self.0[0] == flag || self.0.contains(&flag)
    }

    /// What a generator asks with: EE where that may be, else the first of them.
    pub fn asked(self) -> u8 {
        if self.has(Self::REQUEST) { Self::REQUEST } else { self.0[0] }
    }

    /// Whether it is EE alone.
    pub fn is_default(self) -> bool {
        self == Self::default()
    }

    /// Each of them once, in their order.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        let all = self.0;
        (0..Self::MAX).filter(move |&at| !all[..at].contains(&all[at])).map(move |at| all[at])
    }
}

/// EE.
impl Default for RtnFlags {
    fn default() -> Self {
        Self([Self::REQUEST; Self::MAX])
    }
}

/// `EE, 00`: as the configuration has them.
impl std::fmt::Display for RtnFlags {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (number, flag) in self.iter().enumerate() {
            write!(f, "{}{flag:02X}", if number > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

/// Bounds of one FSU. Defaults in [`Limits::default`]; reasons and memory costs in docs/reference/configuration.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Centres it knows; 16 bytes each.
    pub clients_max: usize,
    /// TCP connections; below 1 KiB each while idle.
    pub connections_max: usize,
    /// Those of one address; 48 bytes for each address with any.
    pub connections_per_peer_max: usize,
    /// A started TCP frame must be whole after this long.
    pub frame_deadline_ms: u64,
    /// A TCP connection without a whole frame for this long is closed.
    pub idle_timeout_ms: u64,
    /// A TCP peer that leaves replies unread for this long is closed.
    pub write_deadline_ms: u64,
    /// Reply bytes a TCP connection may have waiting; past it nothing more is read from it.
    pub write_buffer_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            clients_max: 64,
            connections_max: 1024,
            connections_per_peer_max: 1024,
            frame_deadline_ms: 5_000,
            idle_timeout_ms: 600_000,
            write_deadline_ms: 30_000,
            write_buffer_bytes_max: 65_536,
        }
    }
}

words! {
    /// What to do with a request whose inner checksum is wrong. Both `Warn` and `Strict` count it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum VerifyChecksum {
        /// Answer it as if right.
        Warn = "warn",
        /// Send the template's error reply, or nothing.
        Strict = "strict",
        /// Do not look.
        Off = "off",
    }
}

/// One device behind an FSU: a template with the rules that apply there. Shared by all FSUs with the same.
#[derive(Debug)]
pub struct Device {
    /// For display.
    pub vendor: Box<str>,
    /// P_subDevType.
    pub sub_dev_type: u8,
    /// P_subDev_addr.
    pub sub_dev_addr: u8,
    /// The protocol.
    pub template: Arc<Template>,
    /// What a wrong checksum does.
    pub verify_checksum: VerifyChecksum,
    /// Rules by command number ([`Template::commands`]), in the order in which they are tried.
    pub rules: Box<[Box<[Rule]>]>,
    /// How many `cycle` places the device has.
    pub cycles: u32,
    /// Its registers, by number.
    pub registers: Box<[Register]>,
    /// What else it remembers.
    pub keeps: Arc<Keeps>,
    /// Its requests of known length; set once everything is compiled.
    pub profiles: Profiled,
    /// The layouts of its template.
    pub layouts: Layouts,
    /// What it says unasked; `None`: nothing, or it is another layout of a device.
    pub conversation: Option<Arc<Conversation>>,
}

/// The layouts of a template (`frames`), as one device has them.
///
/// Each layout beside `protocol` is served as a device of its own behind the FSU's devices, with the registers and cycle places
/// of the device that it belongs to.
#[derive(Clone, Debug, Default)]
pub struct Layouts {
    /// All of them, `protocol` first; empty: there are no others.
    pub all: Arc<[Layout]>,
    /// The number of this device's own layout.
    pub own: u16,
    /// Index in the FSU of the device that this is a layout of; `None`: it is no other device's.
    pub home: Option<u16>,
}

/// One layout of a template.
#[derive(Debug)]
pub struct Layout {
    /// Its name in `frames`; of the first one `protocol`.
    pub name: Box<str>,
    /// Its frame and commands.
    pub template: Arc<Template>,
}

impl Device {
    /// The template of a layout by its number.
    pub fn layout(&self, number: u16) -> &Arc<Template> {
        self.layouts.all.get(usize::from(number)).map_or(&self.template, |layout| &layout.template)
    }

    /// The name of its own layout; `None`: it is the template's `protocol`.
    pub fn layout_name(&self) -> Option<&str> {
        self.layouts.home.and_then(|_| self.layouts.all.get(usize::from(self.layouts.own))).map(|layout| &*layout.name)
    }

    /// Whether it is a device of the configuration, not another layout of one.
    pub fn is_own(&self) -> bool {
        self.layouts.home.is_none()
    }
}
