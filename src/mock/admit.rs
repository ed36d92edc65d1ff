//! Who is heard: the checks before a request, or a connection, reaches a stage. The door and the shards share them.

use crate::faults::is_offline;
use crate::state::Counters;
use fsu_plan::model::fault::FaultKind;
use fsu_plan::model::fleet::Fsu;
use fsu_plan::wire::reason::Reason;
use std::net::SocketAddr;

/// Why an FSU does not hear something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unheard {
    /// It is in an outage. That counts as a fault.
    Offline,
    /// Its sender is refused. That counts as a drop.
    Refused(Reason),
}

impl Unheard {
    /// Counts it.
    #[cold]
    pub fn count(self, counters: &mut Counters) {
        match self {
            Self::Offline => counters.faults[FaultKind::Offline as usize] += 1,
            Self::Refused(reason) => counters.drop(reason),
        }
    }
}

/// Whether an FSU hears a sender at that moment of the run. In this order: an outage, what the owner `refuses` (its own sockets, say),
/// and what the configuration allows.
#[inline]
pub fn admit(
    fsu: &Fsu,
    peer: SocketAddr,
    since_start_ms: u64,
    refuses: impl FnOnce(SocketAddr) -> Option<Reason>,
) -> Result<(), Unheard> {
    if is_offline(fsu, since_start_ms) {
        return Err(Unheard::Offline);
    }
    let not_allowed = || (!fsu.allows(peer.ip())).then_some(Reason::NotAllowed);
    refuses(peer).or_else(not_allowed).map_or(Ok(()), |reason| Err(Unheard::Refused(reason)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::fsu;
    use fsu_plan::model::fault::{FaultSet, FsuFaults, Scheduled};
    use fsu_plan::model::network::Network;
    use std::sync::Arc;

    #[test]
    fn an_outage_comes_first_then_the_owner_then_allow() {
        let offline = FaultSet { offline: Some(true), ..FaultSet::default() };
        let schedule = [Scheduled { from_ms: 10, to_ms: 20, faults: offline }].into();
        let mut fsu = fsu(vec![]);
        fsu.faults = Some(Arc::new(FsuFaults { base: FaultSet::default(), schedule }));
        fsu.allow = [Network::parse("192.0.2.0/24").unwrap()].into();
        let check = |peer: &str, ms: u64, own: Option<Reason>, expected: Result<(), Unheard>| {
            let heard = admit(&fsu, peer.parse().unwrap(), ms, |_| own);
            assert_eq!(heard, expected, "{peer} at {ms}");
        };
        let (own, not_allowed) = (Some(Reason::OwnPort), Err(Unheard::Refused(Reason::NotAllowed)));
        check("192.0.2.1:5", 9, None, Ok(()));
        check("192.0.2.1:5", 10, None, Err(Unheard::Offline));
        check("192.0.2.1:5", 20, None, Ok(()));
        check("198.51.100.1:5", 9, None, not_allowed);
        check("198.51.100.1:5", 9, own, Err(Unheard::Refused(Reason::OwnPort)));
        check("198.51.100.1:5", 10, own, Err(Unheard::Offline));
    }

    #[test]
    fn each_is_counted() {
        let mut counters = Counters::default();
        Unheard::Offline.count(&mut counters);
        Unheard::Refused(Reason::NotAllowed).count(&mut counters);
        assert_eq!(counters.faults[FaultKind::Offline as usize], 1);
        assert_eq!(counters.dropped[Reason::NotAllowed as usize], 1);
    }
}
