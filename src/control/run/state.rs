//! The state of an FSU, and the FSU in short.

use super::faults;
use crate::api::fsus::{Carrier, Fsu, State};
use fsu_plan::model::fleet::Fsu as Plan;
use fsu_plan::model::message::Transport;
use fsu_serve::steer::{FsuNow, View};

/// An FSU that was asked within this time is serving.
const SERVING_MS: u64 = 10_000;

/// The first state that fits. `now_ms`: the moment, in milliseconds since the start.
pub(super) fn state(plan: Option<&Plan>, now: Option<&FsuNow>, now_ms: u64) -> State {
    let (Some(_), Some(now)) = (plan, now) else { return State::Idle };
    let is_recent = now.last_ms.is_some_and(|last| now_ms.saturating_sub(last) <= SERVING_MS);
    if now.is_offline {
        State::Offline
    } else if now.is_dialling {
        State::Dialling
    } else if now.armed.is_some() {
        State::Faulty
    } else if is_recent || now.centres > 0 || now.connections > 0 {
        State::Serving
    } else {
        State::Idle
    }
}

/// How an FSU talks.
pub(super) fn carrier(transport: Transport) -> Carrier {
    match transport {
        Transport::Udp => Carrier::Udp,
        Transport::Tcp => Carrier::Tcp,
        Transport::Datagram => Carrier::Datagram,
        Transport::Broadcast => Carrier::Broadcast,
    }
}

/// The vendors of its devices, each once.
pub(super) fn vendors(plan: &Plan) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for device in plan.devices.iter().filter(|device| device.is_own()) {
        if !out.iter().any(|vendor| **vendor == *device.vendor) {
            out.push(device.vendor.to_string());
        }
    }
    out
}

/// The names of the states that devices are in, each once; `of`: only of that device.
pub(super) fn states(plan: &Plan, now: &FsuNow, of: Option<u16>) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for &(device, state) in now.states.iter().filter(|(device, _)| of.is_none_or(|of| of == *device)) {
        let conversation = plan.devices.get(usize::from(device)).and_then(|device| device.conversation.as_ref());
        let name = conversation.and_then(|conversation| conversation.states.get(usize::from(state)));
        if let Some(name) = name.filter(|name| !out.iter().any(|known| **known == ***name)) {
            out.push(name.to_string());
        }
    }
    out
}

/// An FSU in short.
pub(super) fn short(view: &View, now: &FsuNow, now_ms: u64) -> Option<Fsu> {
    let plan = view.fsu(now.number)?;
    let number = now.number as usize;
    let counters = &now.counters;
    Some(Fsu {
        name: plan.name.to_string(),
        id: plan.id.to_string(),
        number: now.number,
        address: view.addresses.get(number).filter(|_| plan.listens()).map(ToString::to_string),
        connect: plan.connect.as_ref().map(|connect| connect.to.to_string()),
        transport: carrier(plan.transport),
        vendor: vendors(plan),
        shard: view.shards.get(number).copied().unwrap_or_default(),
        state: state(Some(plan), Some(now), now_ms),
        states: states(plan, now, None),
        centres: now.centres,
        connections: now.connections,
        received: counters.received,
        answered: counters.answered,
        silent: counters.silent,
        dropped: counters.dropped_total(),
        messages_sent: counters.messages_sent,
        messages_acknowledged: counters.messages_acknowledged,
        messages_retried: counters.messages_retried,
        messages_given_up: counters.messages_given_up,
        messages_pending: now.pending.into(),
        faults: counters.faults.iter().sum(),
        armed: now.armed.as_ref().map(faults::armed),
    })
}
