//! Faults that are armed while the shard serves.
//!
//! The shard gets a plan of its own, in which the FSUs concerned have other faults. So nothing is looked up on the way of a request, and
//! a shard that never had any armed has the plan that all share.

use super::change::NotChanged;
use crate::shard::clock::Clock;
use crate::shard::protocol::Protocol;
use crate::shard::recorder::Recorder;
use crate::shard::serve::Serve;
use crate::shard::timers::later::Timer;
use fsu_plan::model::fault::{FaultKind, FaultSet, FsuFaults, Scheduled};
use fsu_plan::model::fleet::{Common, Fleet};
use fsu_plan::model::reload::Fate;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// What is armed for an FSU.
#[derive(Clone, Debug, PartialEq)]
pub struct Armed {
    /// The faults.
    pub set: Arc<FaultSet>,
    /// Until when, in milliseconds since the start of the run; `None`: until they are cleared.
    pub until_ms: Option<u64>,
}

/// What is armed, by FSU number.
#[derive(Debug, Default)]
pub(crate) struct Arms {
    /// The plan that all share, once this shard has its own.
    plan: Option<Arc<Fleet>>,
    all: HashMap<u32, Armed>,
    /// When faults end, in milliseconds since the start of the run, and whose.
    ends: BTreeSet<(u64, u32)>,
    /// What the FSUs of the last entry shared, what was armed, and what they share now.
    last: Option<(Arc<Common>, Arc<FaultSet>, Arc<Common>)>,
    /// Some FSU may have lost its power, or has it again.
    is_power_changed: bool,
}

impl Arms {
    /// The plan that all share, if this shard has its own.
    pub(super) fn shared(&self) -> Option<&Arc<Fleet>> {
        self.plan.as_ref()
    }

    /// What is armed for an FSU.
    pub(crate) fn get(&self, fsu: u32) -> Option<Armed> {
        self.all.get(&fsu).cloned()
    }

    /// When the next faults end, in milliseconds since the start of the run.
    pub(super) fn next_end_ms(&self) -> Option<u64> {
        self.ends.first().map(|&(end_ms, _)| end_ms)
    }

    /// The next FSU whose faults have ended.
    pub(super) fn ended(&self, since_start_ms: u64) -> Option<u32> {
        self.ends.first().filter(|&&(end_ms, _)| end_ms <= since_start_ms).map(|&(_, fsu)| fsu)
    }

    /// Whether power may have changed since the last call.
    pub(super) fn take_power_changed(&mut self) -> bool {
        std::mem::take(&mut self.is_power_changed)
    }

    fn forget(&mut self, fsu: u32) -> Option<Armed> {
        let armed = self.all.remove(&fsu)?;
        if let Some(end_ms) = armed.until_ms {
            self.ends.remove(&(end_ms, fsu));
        }
        Some(armed)
    }
}

/// What FSUs share that have these faults armed, too.
fn with_armed(plan: &Common, set: &FaultSet) -> Common {
    let FsuFaults { base, schedule } = plan.faults.as_deref().cloned().unwrap_or_default();
    let always = Scheduled { from_ms: 0, to_ms: u64::MAX, faults: *set };
    let schedule = schedule.iter().copied().chain([always]).collect();
    Common { faults: Some(Arc::new(FsuFaults { base, schedule })), ..plan.clone() }
}

impl<P: Protocol, T: Recorder> Serve<P, T> {
    /// The shard has a plan of its own from now on: a copy that somebody else has made of the one that it serves.
    pub(super) fn own(&mut self, copy: Arc<Fleet>) {
        let Some(steer) = self.steer.as_mut().filter(|steer| steer.arms.plan.is_none()) else { return };
        steer.arms.plan = Some(std::mem::replace(&mut self.fleet, copy));
    }

    /// Arms faults of an FSU, in place of those that were armed before.
    pub(super) fn arm_faults(&mut self, fsu: u32, armed: Armed) -> Result<(), NotChanged> {
        let shared = Arc::clone(self.fleet_of_all());
        let plan = shared.fsus.get(fsu as usize).ok_or(NotChanged::Gone)?;
        let set = Arc::clone(&armed.set);
        let is_wrong = |kind: &FaultKind| set.p(*kind).is_some() && !kind.is_for(plan.transport);
        if let Some(kind) = FaultKind::ALL.into_iter().find(is_wrong) {
            return Err(NotChanged::NotFor(kind.key(), kind.only().map_or("other", |only| only.name())));
        }
        if let Some(steer) = self.steer.as_mut().filter(|steer| steer.arms.plan.is_none()) {
            steer.arms.plan = Some(Arc::clone(&self.fleet));
        }
        let Some(steer) = &mut self.steer else { return Err(NotChanged::Gone) };
        let arms = &mut steer.arms;
        arms.forget(fsu);
        if let Some(end_ms) = armed.until_ms {
            arms.ends.insert((end_ms, fsu));
        }
        arms.all.insert(fsu, armed);
        let common = match &arms.last {
            Some((of, with, common)) if Arc::ptr_eq(of, &plan.common) && *with == set => Arc::clone(common),
            _ => {
                let common = Arc::new(with_armed(plan, &set));
                arms.last = Some((Arc::clone(&plan.common), Arc::clone(&set), Arc::clone(&common)));
                common
            }
        };
        self.put_common(fsu, common);
        Ok(())
    }

    /// The faults of the configuration come back. Whether any were armed.
    pub(super) fn disarm_faults(&mut self, fsu: u32) -> bool {
        let is_armed = self.steer.as_mut().and_then(|steer| steer.arms.forget(fsu)).is_some();
        let shared = self.fleet_of_all().fsus.get(fsu as usize).map(|plan| Arc::clone(&plan.common));
        if let Some(common) = shared.filter(|_| is_armed) {
            self.put_common(fsu, common);
        }
        is_armed
    }

    /// The plan that all shards share.
    fn fleet_of_all(&self) -> &Arc<Fleet> {
        self.steer.as_ref().and_then(|steer| steer.arms.plan.as_ref()).unwrap_or(&self.fleet)
    }

    fn put_common(&mut self, fsu: u32, common: Arc<Common>) {
        // There is one copy only: the shard's own.
        let fleet = Arc::make_mut(&mut self.fleet);
        let Some(place) = fleet.fsus.get_mut(fsu as usize) else { return };
        let says = |common: &Common| common.faults.as_ref().is_some_and(|faults| faults.is_offline_ever());
        if let Some(steer) = &mut self.steer {
            steer.arms.is_power_changed |= says(&place.common) || says(&common);
        }
        place.common = common;
    }

    /// Looks at who has power, once the changes of a moment are made.
    pub(super) fn follow_power(&mut self, now: Clock) {
        if self.steer.as_mut().is_some_and(|steer| steer.arms.take_power_changed()) {
            self.later.at(now.mono_ms, Timer::Outage);
        }
    }

    /// Another plan is served: what is armed stays armed for FSUs that stay.
    pub(super) fn arm_again(&mut self, fates: &[Fate]) {
        let Some(steer) = &mut self.steer else { return };
        let before = std::mem::take(&mut steer.arms);
        for (fsu, armed) in before.all {
            let stays = fates.get(fsu as usize).and_then(|fate| fate.stays());
            if let Some(number) = stays {
                // A key that its new transport does not have is gone.
                let _ = self.arm_faults(number, armed);
            }
        }
        if let Some(steer) = &mut self.steer {
            steer.arms.is_power_changed = false;
        }
    }
}
