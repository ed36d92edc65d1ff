//! Whose requests a lane has.

use crate::book::{Book, Seen};
use crate::lane::{Flight, Gone};
use crate::workload::options::AskedFsu;
use crate::workload::profile::Prepared;

/// The FSU at the other end of a port or connection.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'o> {
    /// The FSU.
    pub target: &'o AskedFsu,
    /// Its seat, which is also the number of its account.
    pub seat: u32,
    /// A request as it was sent, for samples.
    pub wire: fn(&AskedFsu, &Flight) -> Vec<u8>,
}

impl Owner<'_> {
    /// The request of a flight.
    #[inline]
    pub fn prepared(&self, flight: &Flight) -> &Prepared {
        &self.target.profile.requests[flight.request as usize]
    }

    /// Its row in reports.
    #[inline]
    pub fn label(&self, flight: &Flight) -> usize {
        self.prepared(flight).label
    }

    /// It as it was sent.
    #[cold]
    pub fn wire(&self, flight: &Flight) -> Vec<u8> {
        (self.wire)(self.target, flight)
    }

    /// Bytes that came from it.
    #[inline]
    pub fn seen<'s>(&'s self, bytes: &'s [u8], now_ns: u64) -> Seen<'s> {
        Seen { fsu: &self.target.name, account: self.seat, bytes, now_ns }
    }

    /// Books what time made of a request. Returns whether a request is no longer under way.
    pub fn gone(&self, book: &mut Book, gone: &Gone<'_>) -> bool {
        book.gone(gone, self.seen(&[], 0), |flight| self.label(flight), |flight| self.wire(flight))
    }
}
