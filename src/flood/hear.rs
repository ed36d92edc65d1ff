//! What devices say unasked, as it is counted and acknowledged: by a centre that listens, and by a load between its replies. No socket.
//!
//! - [`acks`]: whether, when and how right a message is acknowledged.
//! - [`desk`]: what is done with a message, wherever it comes from.
//! - [`owed`]: acknowledgements that a connection has not taken yet.
//! - [`count`], [`heard`], [`resets`]: what is counted.

pub mod acks;
pub mod count;
pub mod desk;
pub mod heard;
pub mod owed;
pub mod resets;

use crate::talk::cast::Cast;
use crate::talk::recent::Past;
use acks::AckPolicy;
use fsu_plan::model::conversation::Account;
use std::fs::File;
use std::sync::{Arc, Mutex};

/// Who may speak, and what is done with it.
#[derive(Debug)]
pub struct Hearing {
    /// Who may speak.
    pub cast: Cast,
    /// What is counted, by [`fsu_plan::model::conversation::DeviceMessage::account`].
    pub accounts: Box<[Account]>,
    /// How messages are acknowledged.
    pub acks: AckPolicy,
    /// Seed of what is acknowledged late, wrongly or not at all.
    pub seed: u64,
    /// Where a line for each message goes.
    pub ledger: Option<Arc<Mutex<File>>>,
    /// What FSUs said over connections that are gone.
    pub past: Past,
}
