//! What an FSU does now.

use super::armed::Armed;
use crate::shard::clock::Clock;
use crate::shard::protocol::Protocol;
use crate::shard::recorder::Recorder;
use crate::shard::serve::Serve;
use fsu_core::state::Counters;
use fsu_plan::model::message::Transport;

/// What an FSU does now.
#[derive(Clone, Debug)]
pub struct FsuNow {
    /// Its number in the fleet.
    pub number: u32,
    /// Its counters.
    pub counters: Counters,
    /// Centres that it knows, of datagrams.
    pub centres: u32,
    /// Its open connections.
    pub connections: u32,
    /// Messages that wait for an acknowledgement.
    pub pending: u32,
    /// It is in an outage.
    pub is_offline: bool,
    /// It dials out and has no connection.
    pub is_dialling: bool,
    /// States that its devices are in: the device, and the number of the state in its conversation.
    pub states: Vec<(u16, u16)>,
    /// When its last frame came, in milliseconds since the start of the run; `None`: none came.
    pub last_ms: Option<u64>,
    /// Faults that are armed for it.
    pub armed: Option<Armed>,
}

impl<P: Protocol, T: Recorder> Serve<P, T> {
    /// What some FSUs do now, by their numbers; those that are not here are left out.
    pub(crate) fn page(&self, fsus: &[u32], now: Clock) -> Vec<FsuNow> {
        let sockets = fsus.iter().filter_map(|&fsu| self.steer.as_ref()?.socket(fsu));
        sockets.filter_map(|socket| self.fsu_now(socket, now)).collect()
    }

    pub(super) fn fsu_now(&self, socket: u32, now: Clock) -> Option<FsuNow> {
        let slot = self.slots.get(socket as usize)?;
        let fsu = self.fleet.fsus.get(slot.fsu as usize)?;
        let (mut states, mut pending) = (Vec::new(), 0);
        for (device, state) in (0..).zip(slot.state.devices.iter()) {
            let Some(talk) = &state.talk else { continue };
            pending += talk.pending() as u32;
            states.extend((0..64).filter(|number| talk.states >> number & 1 == 1).map(|number| (device, number)));
        }
        let mut clients = 0..slot.clients.len();
        let is_live = |index: &usize| {
            slot.clients.get(*index, now.mono_ms, fsu.client_timeout_ms, &self.routes).flatten().is_some()
        };
        let centres = clients.by_ref().filter(is_live).count() as u32;
        let connections = slot.connections() as u32;
        Some(FsuNow {
            number: slot.fsu,
            counters: slot.state.counters.clone(),
            centres: if fsu.transport == Transport::Tcp { 0 } else { centres },
            connections,
            pending,
            is_offline: self.is_offline(socket, now),
            is_dialling: fsu.dials().is_some() && !self.dials.is_up(socket),
            states,
            armed: self.steer.as_ref().and_then(|steer| steer.arms.get(slot.fsu)),
            last_ms: self.tap.ear_now().and_then(|ear| ear.last_ms(slot.fsu)),
        })
    }
}
