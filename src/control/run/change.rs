//! Changes of FSUs.

use super::{Running, faults, within};
use crate::api::changes::{ArmFaults, Armed, Cleared, Level, Refused, Set, SetMemory, SetRegister, Trigger, Triggered};
use crate::api::error::{Code, Failure};
use crate::limits::REFUSED_TOLD_MAX;
use fsu_serve::steer::{Change, Changed, NotChanged, TTL_S_MAX, View};
use std::sync::Arc;

/// Longest time over which a trigger is spread, in milliseconds.
const OVER_MS_MAX: u64 = 3_600_000;

/// A change, made.
struct Made {
    view: Arc<View>,
    matched: usize,
    changed: Vec<Changed>,
}

impl Made {
    /// How many did it.
    fn done(&self) -> usize {
        self.changed.iter().filter(|changed| changed.done.is_ok()).count()
    }

    /// Those that did not, and why: the first ones, and how many.
    fn refused(&self) -> (Vec<Refused>, usize) {
        let all = self.changed.iter().filter_map(|changed| Some((changed.fsu, changed.done.as_ref().err()?)));
        let name = |fsu| self.view.fsu(fsu).map_or_else(String::new, |fsu| fsu.name.to_string());
        let first =
            all.clone().take(REFUSED_TOLD_MAX).map(|(fsu, why)| Refused { fsu: name(fsu), why: why.to_string() });
        (first.collect(), all.count())
    }

    /// An error if all of them say that it is not there.
    fn or_none_has(
        self,
        is_missing: fn(&NotChanged) -> bool,
        failure: impl FnOnce() -> Failure,
    ) -> Result<Self, Failure> {
        let is_missing = |changed: &Changed| changed.done.as_ref().is_err_and(is_missing);
        if self.changed.iter().all(is_missing) { Err(failure()) } else { Ok(self) }
    }
}

impl Running {
    /// Changes all FSUs whose names match.
    async fn make(&self, glob: &str, change: &Change) -> Result<Made, Failure> {
        let (view, fsus) = self.matching(glob);
        if fsus.is_empty() {
            return Err(Failure::new(Code::NotFound, format!("no FSU has a name like `{glob}`")));
        }
        let mut changed = within(self.steering.change(&view, &fsus, change)).await?;
        changed.sort_by_key(|changed| changed.fsu);
        Ok(Made { view, matched: fsus.len(), changed })
    }

    pub(super) async fn send(&self, glob: String, asked: Trigger) -> Result<Triggered, Failure> {
        let Trigger { message, args, over_ms } = asked;
        if over_ms > OVER_MS_MAX {
            return Err(Failure::bad(format!("over_ms is at most {OVER_MS_MAX}")).at("/over_ms"));
        }
        let args = args.into_iter().map(|(name, value)| (name.into(), value.into_text().into())).collect();
        let change = Change::Trigger { message: message.clone().into(), args, over_ms };
        let made = self.make(&glob, &change).await?;
        let made = made.or_none_has(
            |why| matches!(why, NotChanged::NoMessage),
            || Failure::bad(format!("no FSU with a name like `{glob}` has a message `{message:.100}`")).at("/message"),
        )?;
        let made = made.or_none_has(
            |why| matches!(why, NotChanged::NoMessage | NotChanged::NoArgument(_)),
            || Failure::bad(format!("the message `{message:.100}` has no such argument")).at("/args"),
        )?;
        let (refused, refused_total) = made.refused();
        Ok(Triggered { matched: made.matched, triggered: made.done(), refused, refused_total })
    }

    pub(super) async fn put_register(&self, glob: String, name: String, asked: SetRegister) -> Result<Set, Failure> {
        let SetRegister { value, device, key } = asked;
        let change =
            Change::Register { device, name: name.clone().into(), key: key.map(Into::into), value: value.into() };
        self.put(&glob, &change, format!("register `{name:.100}`")).await
    }

    pub(super) async fn put_memory(&self, glob: String, area: String, asked: SetMemory) -> Result<Set, Failure> {
        let SetMemory { at, hex, device } = asked;
        let bytes = hex::decode(hex.split_whitespace().collect::<String>());
        let bytes = bytes.map_err(|error| Failure::bad(format!("these are no bytes as hex: {error}")).at("/hex"))?;
        if bytes.is_empty() {
            return Err(Failure::bad("there are no bytes").at("/hex"));
        }
        let at = usize::try_from(at).map_err(|_| Failure::bad("no area is as long").at("/at"))?;
        let change = Change::Memory { device, area: area.clone().into(), at, bytes: bytes.into() };
        self.put(&glob, &change, format!("memory area `{area:.100}`")).await
    }

    async fn put(&self, glob: &str, change: &Change, what: String) -> Result<Set, Failure> {
        let made = self.make(glob, change).await?;
        let made = made.or_none_has(
            |why| matches!(why, NotChanged::NotThere),
            || Failure::new(Code::NotFound, format!("no FSU with a name like `{glob}` has a {what}")),
        )?;
        let (refused, refused_total) = made.refused();
        Ok(Set { matched: made.matched, set: made.done(), refused, refused_total })
    }

    pub(super) async fn put_faults(&self, glob: String, asked: ArmFaults) -> Result<Armed, Failure> {
        let ArmFaults { offline, ttl_s, faults } = asked;
        let ttl_ms = match ttl_s {
            None => None,
            Some(seconds) if (0.001..=TTL_S_MAX).contains(&seconds) => Some((seconds * 1_000.0) as u64),
            Some(_) => return Err(Failure::bad(format!("ttl_s is 0.001 to {TTL_S_MAX}")).at("/ttl_s")),
        };
        let set = faults::parse(faults, offline)?;
        let made = self.make(&glob, &Change::Faults { set: Arc::new(set), ttl_ms }).await?;
        let (refused, refused_total) = made.refused();
        Ok(Armed { matched: made.matched, armed: made.done(), refused, refused_total })
    }

    pub(super) async fn clear_faults(&self, glob: String) -> Result<Cleared, Failure> {
        let made = self.make(&glob, &Change::ClearFaults).await?;
        Ok(Cleared { matched: made.matched, cleared: made.done() })
    }
}

/// As the logger has it.
pub(super) fn filter(level: Level) -> log::LevelFilter {
    match level {
        Level::Off => log::LevelFilter::Off,
        Level::Error => log::LevelFilter::Error,
        Level::Warn => log::LevelFilter::Warn,
        Level::Info => log::LevelFilter::Info,
        Level::Debug => log::LevelFilter::Debug,
        Level::Trace => log::LevelFilter::Trace,
    }
}
