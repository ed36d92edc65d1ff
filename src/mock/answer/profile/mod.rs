//! Requests of known length ([`fsu_plan::model::profile`]): the same answers as by the other modules, in fewer steps.
//!
//! Three steps. [`Buffers::outer`] or [`Buffers::inner`] takes the bytes, [`find()`] says whether a profile answers them and by
//! which rule, [`answer()`] changes the FSU's state and builds the reply. Before the last one nothing has changed, so that
//! whatever is not taken goes to the general code, which decides.

mod buffer;
mod reply;
mod request;
#[cfg(test)]
mod tests;

pub(crate) use reply::{answer, datagram, frame};
pub(crate) use request::find;

use buffer::Buffer;
use fsu_plan::model::fleet::FsuId;
use fsu_plan::model::profile::{DATA, PROFILED_BYTES_MAX};
use fsu_plan::wire::clock::Clocks;
use fsu_plan::wire::envelope::{ESCAPE, HEADER, TAILER, at};

/// The buffers of a request and its reply, grown once.
#[derive(Clone, Debug, Default)]
pub struct Buffers {
    request: Buffer,
    reply: Buffer,
    clocks: Clocks,
    /// Bytes of the reply's outer frame.
    len: usize,
    /// Bytes of one value.
    value: Value,
    /// Requests that a profile answered.
    taken: u64,
}

impl Buffers {
    /// Takes an outer frame, from P_header to P_tailer. False: its ends, P_verify or P_dest_addr are wrong, or some byte of it is
    /// special and it `may` have none.
    #[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
    #[inline(always)]
    pub(crate) fn outer(&mut self, plain: &[u8], id: &FsuId, may_be_special: bool) -> bool {
        if plain.len() <= DATA + 2 || plain[0] != HEADER || plain[plain.len() - 1] != TAILER {
            return false;
        }
        let Some(pass) = self.request.put_passing(plain) else { return false };
        pass.xor() == 0
            && (may_be_special || !pass.is_special())
            && self.request.part(at::DEST, at::DEST + FsuId::BYTES) == id.bytes
    }

    /// How many requests a profile answered, of all that these buffers served.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Takes a device's frame.
    #[inline]
    pub(crate) fn inner(&mut self, wire: &[u8]) -> bool {
        self.request.put(DATA, wire).is_some()
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

/// Whether a byte has to be escaped.
#[inline]
fn is_special(byte: u8) -> bool {
    byte >= ESCAPE
}
