//! What a shard hears of its FSUs for whoever watches the run. It wraps the device log's end, so that both get the same.

use crate::shard::recorder::{Recorder, Traffic};
use fsu_core::answer::talk::Happened;
use fsu_plan::model::fault::{FaultKind, Place};
use fsu_plan::model::reload::Fate;

/// What was heard of one FSU.
#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    /// Frames that it has handled, good or bad, without bytes that are no frame; and datagrams that came in an outage.
    frames: u64,
    /// When the last one came, in milliseconds since the start of the run, plus 1; 0: none did.
    last_ms: u64,
}

/// What a shard hears of its FSUs. Nobody watches: there is none.
#[derive(Debug, Default)]
pub struct Ear {
    /// By FSU number.
    heard: Vec<Heard>,
}

impl Ear {
    /// Of a fleet of that many FSUs.
    pub(crate) fn new(fsus: usize) -> Self {
        Self { heard: vec![Heard::default(); fsus] }
    }

    /// A frame of an FSU was handled.
    #[inline]
    pub(crate) fn frame(&mut self, fsu: u32, since_start_ms: u64) {
        if let Some(heard) = self.heard.get_mut(fsu as usize) {
            heard.frames += 1;
            heard.last_ms = since_start_ms + 1;
        }
    }

    /// Frames of an FSU that were handled.
    pub(crate) fn frames(&self, fsu: u32) -> u64 {
        self.heard.get(fsu as usize).map_or(0, |heard| heard.frames)
    }

    /// When the last frame of an FSU came, in milliseconds since the start of the run.
    pub(crate) fn last_ms(&self, fsu: u32) -> Option<u64> {
        self.heard.get(fsu as usize)?.last_ms.checked_sub(1)
    }

    /// From now on FSU numbers are those of the next fleet.
    pub(crate) fn reload(&mut self, fates: &[Fate], fsus: usize) {
        let before = std::mem::replace(&mut self.heard, vec![Heard::default(); fsus]);
        for (heard, fate) in before.into_iter().zip(fates) {
            if let Some(place) = fate.stays().and_then(|number| self.heard.get_mut(number as usize)) {
                *place = heard;
            }
        }
    }
}

/// The device log's end of a shard, and what listens beside it.
#[derive(Debug)]
pub struct Listener<T> {
    tap: T,
    ear: Option<Box<Ear>>,
}

impl<T> Listener<T> {
    /// Nothing listens yet.
    pub fn new(tap: T) -> Self {
        Self { tap, ear: None }
    }
}

impl<T: Recorder> Recorder for Listener<T> {
    #[inline]
    fn is_on(&self) -> bool {
        self.tap.is_on()
    }

    #[inline]
    fn record(&mut self, traffic: Traffic<'_>) -> bool {
        self.tap.record(traffic)
    }

    fn fault(&mut self, fsu: u32, unix_ms: i64, kind: FaultKind, place: Place) -> bool {
        self.tap.fault(fsu, unix_ms, kind, place)
    }

    fn message(&mut self, fsu: u32, unix_ms: i64, happened: &Happened) -> bool {
        self.tap.message(fsu, unix_ms, happened)
    }

    fn reload(&mut self, epoch: u32, fates: &[Fate], fsu_count: usize) {
        if let Some(ear) = &mut self.ear {
            ear.reload(fates, fsu_count);
        }
        self.tap.reload(epoch, fates, fsu_count);
    }

    fn listen(&mut self, ear: Ear) {
        self.ear = Some(Box::new(ear));
    }

    #[inline]
    fn ear(&mut self) -> Option<&mut Ear> {
        self.ear.as_deref_mut()
    }

    #[inline]
    fn ear_now(&self) -> Option<&Ear> {
        self.ear.as_deref()
    }
}
