//! Rules, compiled: which reply a request gets, and when.

use super::calc::Calc;
use super::fault::FaultSet;
use super::field::Constant;
use super::reply::{Expr, Reply};
use super::walk::WalkedConstant;
use std::sync::Arc;

/// One rule of one command.
#[derive(Debug)]
pub struct Rule {
    /// Only for requests that carry these; empty: always.
    pub when: Box<[Constant]>,
    /// And these, of elements behind a field of variable size; empty: always.
    pub walked: Box<[WalkedConstant]>,
    /// And this condition.
    pub test: Option<Box<Calc>>,
    /// There is something in `walked` or `test`.
    pub asks_more: bool,
    /// No reply.
    pub timeout: bool,
    /// When the reply is due.
    pub delay: Delay,
    /// Number of the device's cycle place that chooses among `replies`; `None`: there is one reply.
    pub cycle: Option<u32>,
    /// Replies to one request, each the next of the cycle; at least 1, at most [`super::fault::BURST_MAX`].
    pub burst: u32,
    /// Milliseconds before each reply of a burst, by its number; empty: none.
    pub gaps_ms: Box<[u32]>,
    /// By reply, whose frame it is: each request gets all, from the first on. Empty: the replies of a burst are the next of the
    /// cycle, all of the rule's command.
    pub frames: Box<[FrameOf]>,
    /// Faults of the rule laid over those of its device; `None`: neither has any.
    pub faults: Option<Box<FaultSet>>,
    /// The replies; one, or one per cycle entry. Never empty.
    pub replies: Box<[Arc<Reply>]>,
    /// Registers it sets, before the reply is built. One with the number [`EFFECTS`] stands for all `effects`.
    pub sets: Box<[SetRegister]>,
    /// What it does before the reply is built, in order, if that is more than setting registers to texts.
    pub effects: Box<[Effect]>,
    /// Where it is: `file:line:column: /pointer`.
    pub origin: Box<str>,
}

/// When a reply is due after its request, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Delay {
    /// At once.
    None,
    /// Always the same.
    Fixed(f64),
    /// Between both, inclusive.
    Uniform(f64, f64),
    /// Mean and standard deviation; never below 0.
    Normal(f64, f64),
    /// Of the logarithm: mu and sigma.
    Lognormal(f64, f64),
}

/// Whose frame a reply is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameOf {
    /// Number of the layout in [`super::fleet::Layouts::all`]; 0 where the template has no others.
    pub layout: u16,
    /// Number of the command in that layout; `None`: bytes as they are.
    pub command: Option<u32>,
}

/// Longest delay a distribution may draw; keeps the timing wheel bounded.
pub const DELAY_MS_MAX: u64 = 3_600_000;

/// Longest text a register keeps; longer ones are cut. One such buffer per register that was ever set.
pub const REGISTER_BYTES_MAX: usize = 4096;

/// A register of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Register {
    /// Its name, for people and for reload.
    pub name: Box<str>,
    /// Longest text any rule sets it to.
    pub bytes_max: usize,
}

/// In [`Rule::sets`]: it is no register.
pub const EFFECTS: u32 = u32::MAX;

/// Something that a rule does to what its device remembers.
#[derive(Debug)]
pub enum Effect {
    /// Sets a register.
    Set(SetRegister),
    /// Sets an entry of a keyed register, or takes it out.
    Entry {
        /// Number of the register.
        register: u16,
        /// The key.
        key: Box<Calc>,
        /// The value; `None`: there is no such entry any more.
        value: Option<Expr>,
    },
    /// Takes all entries of a keyed register out.
    Clear(u16),
    /// A counter begins again: its next value is its first one. The number of the counter.
    Restart(u16),
    /// Writes into a memory area.
    Store(Box<Store>),
}

/// One `store`.
#[derive(Debug)]
pub struct Store {
    /// Number of the area.
    pub area: u16,
    /// Its name.
    pub name: Box<str>,
    /// The first byte, or with `bits` the first bit.
    pub at: Calc,
    /// How many bits; `None`: bytes are written.
    pub bits: Option<Calc>,
    /// What is written.
    pub value: Calc,
    /// Bytes of a number.
    pub width: usize,
}

/// One entry of `set`.
#[derive(Clone, Debug)]
pub struct SetRegister {
    /// Number of the register.
    pub register: u32,
    /// What it becomes.
    pub value: Expr,
}
