//! Changes of a running fleet.

use fsu_core::answer::outside::NotSet;
use fsu_core::speak::NotTriggered;
use fsu_plan::model::fault::FaultSet;
use std::sync::Arc;

/// Longest time for which faults are armed, in seconds: 1,000 days.
pub const TTL_S_MAX: f64 = 86_400_000.0;

/// Arguments of a message: names and values.
pub type Args = Vec<(Box<str>, Box<str>)>;

/// A change of an FSU.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// It says a message now.
    Trigger {
        /// The message.
        message: Box<str>,
        /// Its arguments, by name.
        args: Args,
        /// The FSUs send it spread evenly over that time.
        over_ms: u64,
    },
    /// A register, or an entry of a keyed one, is set.
    Register {
        /// The device's number in the FSU; `None`: every device that has it.
        device: Option<u16>,
        /// Its name.
        name: Box<str>,
        /// The key of the entry.
        key: Option<Box<str>>,
        /// Its text.
        value: Box<str>,
    },
    /// Bytes of a memory area are set.
    Memory {
        /// The device's number in the FSU; `None`: every device that has it.
        device: Option<u16>,
        /// Its name.
        area: Box<str>,
        /// The first byte.
        at: usize,
        /// The bytes.
        bytes: Box<[u8]>,
    },
    /// Faults are armed over those of the configuration, in place of those that were armed before.
    Faults {
        /// Which; with `offline` the FSU has no power.
        set: Arc<FaultSet>,
        /// For so long; `None`: until they are cleared.
        ttl_ms: Option<u64>,
    },
    /// The faults of the configuration come back.
    ClearFaults,
}

impl Change {
    /// What it is, in a word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Trigger { .. } => "trigger",
            Self::Register { .. } => "register",
            Self::Memory { .. } => "memory",
            Self::Faults { .. } => "faults",
            Self::ClearFaults => "clear_faults",
        }
    }
}

/// What a change did to one FSU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Its number in the fleet.
    pub fsu: u32,
    /// The number of the frame before which it took effect.
    pub at: u64,
    /// Whether it did.
    pub done: Result<(), NotChanged>,
}

/// Why a change did nothing to an FSU.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotChanged {
    /// The shard has no such FSU.
    #[error("it is not served any more")]
    Gone,
    /// No device of it has the message.
    #[error("none of its devices has such a message")]
    NoMessage,
    /// The message has no such argument.
    #[error("the message has no argument `{0}`")]
    NoArgument(Box<str>),
    /// Too many messages of it are to leave.
    #[error("too many of its messages are to leave")]
    Full,
    /// Its device is not in the state in which the message is sent.
    #[error("its device is not in the state `{0}`")]
    NotIn(Box<str>),
    /// It is in an outage.
    #[error("it is in an outage")]
    Offline,
    /// No device has such a register or area.
    #[error("none of its devices has it")]
    NotThere,
    /// It is a keyed register.
    #[error("it is a keyed register: say which `key`")]
    NoKey,
    /// It is no keyed register.
    #[error("it is no keyed register: leave `key` out")]
    NotKeyed,
    /// The key is too long.
    #[error("the key is longer than {0} bytes")]
    KeyTooLong(usize),
    /// The text is too long.
    #[error("longer than {0} bytes, the longest text that it can have")]
    TooLong(usize),
    /// The bytes do not fit the area.
    #[error("outside of the area, which has {0} bytes")]
    Outside(usize),
    /// A fault that its transport does not have.
    #[error("`{0}` is for {1} FSUs only")]
    NotFor(&'static str, &'static str),
    /// Nothing was armed.
    #[error("no faults of it are armed")]
    NotArmed,
    /// Nobody would get the message.
    #[error("it has no centre and no connection")]
    Unheard,
}

impl NotChanged {
    /// Why a trigger with these arguments did nothing.
    pub(crate) fn of(why: NotTriggered, args: &Args) -> Self {
        match why {
            NotTriggered::NoMessage => Self::NoMessage,
            NotTriggered::NoArgument(place) => {
                Self::NoArgument(args.get(place).map(|(name, _)| name.clone()).unwrap_or_default())
            }
            NotTriggered::Full => Self::Full,
        }
    }
}

impl From<NotSet> for NotChanged {
    fn from(why: NotSet) -> Self {
        match why {
            NotSet::NotThere => Self::NotThere,
            NotSet::NoKey => Self::NoKey,
            NotSet::NotKeyed => Self::NotKeyed,
            NotSet::KeyTooLong(most) => Self::KeyTooLong(most),
            NotSet::TooLong(most) => Self::TooLong(most),
            NotSet::Outside(bytes) => Self::Outside(bytes),
        }
    }
}
