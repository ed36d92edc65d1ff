//! Requests of known length ([`fsu_plan::model::profile`]): the same answers as by the other modules, in fewer steps.
//!
//! Three steps. [`Buffers::outer`] or [`Buffers::inner`] takes the bytes in one pass, [`find()`] says whether a profile answers
//! them and by which rule, [`answer()`] changes the FSU's state and builds the reply. Before the last one nothing has changed, so that
//! whatever is not taken goes to the general code, which decides.

mod buffer;
mod lanes;
mod made;
mod pass;
mod reply;
mod request;
#[cfg(test)]
mod tests;

pub(crate) use reply::{answer, datagram, frame};
pub(crate) use request::find;

use buffer::Buffer;
use fsu_plan::model::profile::PROFILED_BYTES_MAX;
use fsu_plan::wire::clock::Clocks;

/// The buffers of a request and its reply, grown once.
#[derive(Clone, Debug, Default)]
pub struct Buffers {
    request: Buffer,
    reply: Buffer,
    clocks: Clocks,
    /// Bytes of one value.
    value: Value,
    /// Requests that a profile answered.
    taken: u64,
}

impl Buffers {
    /// How many requests a profile answered, of all that these buffers served.
    pub fn taken(&self) -> u64 {
        self.taken
    }
}

/// Bytes of one value; those of the last one are left behind it.
#[derive(Clone, Debug)]
struct Value([u8; PROFILED_BYTES_MAX]);

impl Default for Value {
    fn default() -> Self {
        Self([0; PROFILED_BYTES_MAX])
    }
}
