//! Where a shard records its traffic: the device log.

use super::steer::listen::Ear;
use fsu_core::answer::talk::Happened;
use fsu_plan::model::fault::{FaultKind, Place};
use fsu_plan::model::reload::Fate;

pub use crate::devlog::record::{RecordKind, Traffic};

/// Takes the device log's records. An implementation copies and returns.
pub trait Recorder {
    /// Whether records are wanted at all.
    fn is_on(&self) -> bool;
    /// One record. False: lost.
    fn record(&mut self, traffic: Traffic<'_>) -> bool;
    /// One fault made on purpose: an FSU's number in the fleet, the moment, the kind, the frame. False: lost. The ledger is on or off by itself.
    fn fault(&mut self, _fsu: u32, _unix_ms: i64, _kind: FaultKind, _place: Place) -> bool {
        true
    }
    /// What has become of a message: an FSU's number in the fleet, the moment. False: lost. The ledger is on or off by itself.
    fn message(&mut self, fsu: u32, unix_ms: i64, happened: &Happened) -> bool;
    /// Whether somebody reads the keys of messages: the ledger. Else none are made.
    fn wants_keys(&self) -> bool {
        true
    }
    /// From now on FSU numbers are those of the next fleet, of `fsu_count`. `fates`: what became of the FSUs before, by their old numbers.
    fn reload(&mut self, _epoch: u32, _fates: &[Fate], _fsu_count: usize) {}
    /// How many bytes of records wait, and for how many there is room; `None`: nothing is recorded.
    fn filled(&self) -> Option<(usize, usize)> {
        None
    }
    /// From now on the run is watched.
    fn listen(&mut self, _ear: Ear) {}
    /// What is heard for those who watch the run; `None`: nobody does.
    fn ear(&mut self) -> Option<&mut Ear> {
        None
    }
    /// The same, to be read.
    fn ear_now(&self) -> Option<&Ear> {
        None
    }
}

impl Recorder for crate::devlog::tap::Tap {
    fn is_on(&self) -> bool {
        Self::is_on(self)
    }

    fn record(&mut self, traffic: Traffic<'_>) -> bool {
        Self::record(self, traffic)
    }

    fn fault(&mut self, fsu: u32, unix_ms: i64, kind: FaultKind, place: Place) -> bool {
        Self::fault(self, fsu, unix_ms, kind, place)
    }

    fn message(&mut self, fsu: u32, unix_ms: i64, happened: &Happened) -> bool {
        Self::message(self, fsu, unix_ms, happened)
    }

    fn wants_keys(&self) -> bool {
        self.has_message_ledger()
    }

    fn reload(&mut self, epoch: u32, fates: &[Fate], fsu_count: usize) {
        Self::reload(self, epoch, fates, fsu_count);
    }

    fn filled(&self) -> Option<(usize, usize)> {
        Self::filled(self)
    }
}
