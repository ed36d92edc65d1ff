//! What a device says unasked: its messages, their schedules and acknowledgements, and its states (spec conversation.md).

use super::calc::{Asked, Calc};
use super::cron::Cron;
use super::rule::{FrameOf, Rule};
use crate::words;
use std::sync::Arc;

/// States of one device: they are the bits of a number.
pub const STATES_MAX: usize = 64;
/// Messages of one device.
pub const MESSAGES_MAX: usize = 256;
/// Arguments of one message.
pub const ARGS_MAX: usize = 32;
/// Longest argument, in bytes; a longer one is refused by the call that triggers the message.
pub const ARG_BYTES_MAX: usize = 1_024;
/// Most retries of one message.
pub const RETRIES_MAX: u32 = 1_000;
/// What each wait for an acknowledgement may at most be multiplied by.
pub const BACKOFF_MAX: f64 = 100.0;
/// Longest time between two of a message that is repeated, in milliseconds: a year.
pub const EVERY_MS_MAX: u64 = 31_536_000_000;
/// Moments of `at_s` of one message.
pub const AT_MAX: usize = 1_000;

/// What a device says unasked. Shared by all FSUs with the same device; the layouts of its template are in it too.
#[derive(Debug, Default)]
pub struct Conversation {
    /// Names of its states; the number of a state is its bit in a mask. The device begins in none.
    pub states: Box<[Box<str>]>,
    /// Its messages, in the order of the files.
    pub messages: Box<[DeviceMessage]>,
    /// The commands that acknowledge some message or are followed by one, by layout and command, sorted.
    pub heeded: Box<[Heeded]>,
}

/// A command that the conversation waits for. Such commands have no profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heeded {
    /// Which one; [`FrameOf::command`] is always there.
    pub frame: FrameOf,
    /// Numbers of the messages that it may acknowledge.
    pub acknowledges: Box<[u16]>,
    /// Numbers of the messages that follow once it was answered.
    pub followed_by: Box<[u16]>,
    /// Some rule answers it where it acknowledges nothing.
    pub is_answered: bool,
}

/// One message of a device.
#[derive(Debug)]
pub struct DeviceMessage {
    /// Its name.
    pub name: Box<str>,
    /// Its number in [`super::fleet::Fleet::accounts`]: the account that it is counted in.
    pub account: u32,
    /// Its frames as a rule without a request: `cycle`, `burst`, `set`, `store`, faults, delay, and a condition on registers and
    /// parameters. [`Rule::frames`] names the frame of each reply; never empty.
    pub rule: Rule,
    /// What makes it leave, besides its schedules.
    pub on: Box<[On]>,
    /// It is repeated.
    pub repeat: Option<Repeat>,
    /// Milliseconds after the start of the run, ascending.
    pub at_ms: Box<[u64]>,
    /// Times of the calendar.
    pub cron: Option<Box<Cron>>,
    /// The state in which it is sent; `None`: always.
    pub within: Option<u8>,
    /// States that the device is in afterwards: once it is acknowledged, or sent where nothing acknowledges it. A mask.
    pub enters: u64,
    /// States that it leaves then. A mask.
    pub leaves: u64,
    /// Who gets it.
    pub to: To,
    /// Names of its arguments, by number.
    pub args: Box<[Box<str>]>,
    /// What acknowledges it.
    pub ack: Option<Box<Ack>>,
}

/// What makes a message leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// The FSU is bound.
    Start,
    /// A connection is up; over datagrams: a centre is heard for the first time, or the start where the FSU has `connect`.
    Connect,
    /// A trigger from outside.
    Trigger,
    /// The message of that number is acknowledged.
    Ack(u16),
    /// A request was answered; [`Heeded::followed_by`] names the command.
    After,
}

/// A message that is repeated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Repeat {
    /// Milliseconds from one to the next; at least 1.
    pub every_ms: u64,
    /// How much later than its time each may leave, as a part of `every_ms`: 0 to 1.
    pub jitter: f64,
    /// All FSUs send at the same moments; else their first ones are spread evenly over `every_ms`.
    pub is_aligned: bool,
}

words! {
    /// Who gets a message.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub enum To {
        /// Every known centre, every connection.
        #[default]
        All = "all",
        /// The centre heard last, or the newest connection.
        Latest = "latest",
    }
}

/// What acknowledges a message.
#[derive(Debug)]
pub struct Ack {
    /// The frame, as a request to the device; [`FrameOf::command`] is always there.
    pub frame: FrameOf,
    /// Fields that must be equal.
    pub matches: Box<[Match]>,
    /// A condition on the frame, registers and parameters. A frame that does not fulfil it refuses the message: it is not
    /// acknowledged, and what would follow a time-out follows at once.
    pub when: Option<Box<Calc>>,
    /// How long to wait for it after each send, in milliseconds; at least 1.
    pub within_ms: u64,
    /// How often it is sent again.
    pub retries: u32,
    /// Each wait is that many times the one before; at least 1.
    pub backoff: f64,
    /// What follows the last wait.
    pub otherwise: Otherwise,
    /// What a centre writes into it besides fields of equal name: field and value, as written. For the generator.
    pub data: Arc<[(Box<str>, AckValue)]>,
}

/// A field of an acknowledgement and one of its message that must be equal.
#[derive(Clone, Debug)]
pub struct Match {
    /// In the message's raw frame.
    pub sent: Asked,
    /// In the acknowledgement's raw frame.
    pub acked: Asked,
}

/// A value that a centre writes into an acknowledgement.
#[derive(Clone, Debug)]
pub enum AckValue {
    /// Always the same, as a JSON value.
    Constant(serde_json::Value),
    /// A field of the message.
    Copy(Asked),
}

/// What follows the last wait for an acknowledgement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Otherwise {
    /// Nothing: the message is given up.
    #[default]
    GiveUp,
    /// The connection is closed; a dialling FSU dials again after its backoff.
    Reconnect,
    /// The device leaves those states. A mask.
    Leave(u64),
}

/// An account of messages: all messages of one name of one template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The template's vendor, for people.
    pub vendor: Box<str>,
    /// The message's name.
    pub name: Box<str>,
    /// Something acknowledges it.
    pub is_acknowledged: bool,
}

impl Conversation {
    /// The mask of a state by its name.
    pub fn state(&self, name: &str) -> Option<u64> {
        self.states.iter().position(|state| **state == *name).map(|number| 1 << number)
    }

    /// The number of a message by its name.
    pub fn message(&self, name: &str) -> Option<usize> {
        self.messages.iter().position(|message| *message.name == *name)
    }

    /// What is waited for of a command.
    #[inline]
    pub fn heeds(&self, layout: u16, command: usize) -> Option<&Heeded> {
        let command = u32::try_from(command).ok();
        let key = (layout, command);
        let found = self.heeded.binary_search_by_key(&key, |heeded| (heeded.frame.layout, heeded.frame.command));
        found.ok().map(|number| &self.heeded[number])
    }
}

impl DeviceMessage {
    /// The longest wait for an acknowledgement after the send with that number, from 0, in milliseconds.
    pub fn wait_ms(&self, sends: u32) -> Option<u64> {
        let ack = self.ack.as_ref()?;
        let factor = ack.backoff.max(1.0).powi(i32::try_from(sends).unwrap_or(i32::MAX));
        // Saturates.
        Some((ack.within_ms as f64 * factor).min(WAIT_MS_MAX as f64) as u64)
    }
}

/// Longest wait for an acknowledgement.
pub const WAIT_MS_MAX: u64 = 3_600_000;
