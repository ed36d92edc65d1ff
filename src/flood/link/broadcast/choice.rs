//! What can be asked of an FSU at once, and what follows each command. Pure.

use crate::workload::options::{Options, Pace};
use crate::workload::profile::{Prepared, Profile};
use fsu_core::client::verify::{Expected, expected};
use fsu_plan::model::field::KeyPart;
use fsu_plan::model::template::Template;
use fsu_plan::wire::checksum::{read_number, write_number};
use std::ops::Range;
use std::sync::Arc;

/// What follows each request of a profile.
pub(super) fn plans(profile: &Profile) -> Arc<[Expected]> {
    let plan = |prepared: &Prepared| expected(&prepared.device, prepared.command, &prepared.raw);
    profile.requests.iter().map(plan).collect()
}

/// The bytes of a raw frame that hold its DID.
fn place(did: &KeyPart, raw: &[u8]) -> Range<usize> {
    let at = did.at.in_frame(raw.len());
    at..at + did.len
}

/// Moves a raw request's DID on.
pub(super) fn put_did(template: &Template, further: u64, raw: &mut [u8]) {
    if further == 0 {
        return;
    }
    let Some(transfer) = &template.transfer else { return };
    let at = place(&transfer.did, raw);
    if let Some(bytes) = raw.get_mut(at) {
        write_number(read_number(bytes, transfer.did.little).wrapping_add(further), transfer.did.little, bytes);
    }
}

/// How many exchanges one socket may have under way with one FSU.
fn dids(prepared: &Prepared) -> usize {
    let bits = prepared.template().transfer.as_ref().map_or(0, |transfer| 8 * transfer.did.len as u32);
    1_usize.checked_shl(bits.min(usize::BITS - 1)).unwrap_or(usize::MAX)
}

/// The open transfers that an FSU with these devices has places for.
fn places(profile: &Profile) -> usize {
    let templates = profile.requests.iter().filter_map(|prepared| prepared.template().transfer.as_ref());
    templates.map(|transfer| transfer.transfers_max).min().unwrap_or(usize::MAX)
}

/// How many exchanges may be under way with one FSU at an open pace.
pub(super) fn slots_max(profile: &Profile, sockets: usize) -> usize {
    let dids = if own_did(profile).is_some() { 1 } else { profile.requests.iter().map(dids).min().unwrap_or(1) };
    dids.saturating_mul(sockets).min(places(profile))
}

/// A request that cannot share a socket because of its DID: it is made for each request, or differs from the first one's.
fn own_did(profile: &Profile) -> Option<&Prepared> {
    let did = |prepared: &Prepared| {
        let transfer = prepared.template().transfer.as_ref()?;
        Some(read_number(prepared.raw.get(place(&transfer.did, &prepared.raw))?, transfer.did.little))
    };
    let is_dynamic = |prepared: &Prepared| {
        let Some(transfer) = &prepared.template().transfer else { return false };
        let at = place(&transfer.did, &prepared.raw);
        prepared.dynamic.iter().any(|(field, _)| {
            let from = field.at.in_frame(prepared.raw.len());
            from < at.end && at.start < from + field.slot.len
        })
    };
    let first = profile.requests.first().and_then(did);
    profile.requests.iter().find(|prepared| is_dynamic(prepared) || did(prepared) != first)
}

/// Why the exchanges of a window cannot be under way together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceError {
    /// A command whose DID is its own.
    #[error(
        "--window {window}: the device id of {key} is its own, so its exchanges cannot share a socket (--sockets {window})"
    )]
    OwnDid {
        /// What was asked for.
        window: usize,
        /// The command.
        key: Box<str>,
    },
    /// Too few DIDs on each socket.
    #[error(
        "--window {window}: {fsu} has device ids for {most} exchanges on each of {sockets} sockets (--sockets {enough})"
    )]
    FewDids {
        /// What was asked for.
        window: usize,
        /// The FSU.
        fsu: Box<str>,
        /// Exchanges that a socket can have with it.
        most: usize,
        /// Sockets of a thread.
        sockets: usize,
        /// Sockets that would do.
        enough: usize,
    },
}

/// Checks that the exchanges of a window can be under way together.
///
/// # Errors
/// Their device ids would be the same.
pub fn check(options: &Options) -> Result<(), ChoiceError> {
    let Pace::Closed { window } = options.pace else { return Ok(()) };
    let sockets = options.sockets.max(1);
    for target in options.targets.iter().filter(|_| window > sockets) {
        if let Some(prepared) = own_did(&target.profile) {
            let key = prepared.template().commands[prepared.command].key_text.clone();
            return Err(ChoiceError::OwnDid { window, key });
        }
        let most = target.profile.requests.iter().map(dids).min().unwrap_or(1);
        if window.div_ceil(sockets) > most {
            let (fsu, enough) = (target.name.clone(), window.div_ceil(most));
            return Err(ChoiceError::FewDids { window, fsu, most, sockets, enough });
        }
    }
    Ok(())
}

/// Notes for readers of the report.
pub fn notes(options: &Options) -> Vec<String> {
    let mut notes = Vec::new();
    let requests = || options.targets.iter().flat_map(|target| target.profile.requests.iter());
    let slowest = requests().map(|prepared| prepared.delay_ms_max).fold(0.0, f64::max);
    let wait_ms = options.timeout.as_secs_f64() * 1000.0;
    if slowest > wait_ms {
        notes.push(format!(
            "Rules delay answers by up to {slowest:.0} ms, more than --timeout-ms: such a command is sent again before it \
             is answered, and only the answer to the last one counts."
        ));
    }
    let has_data = |profile: &Profile| plans(profile).iter().any(|should| !matches!(should, Expected::Nothing));
    let all = options.targets.iter().map(|target| &*target.profile).filter(|_| !options.echo);
    if let Pace::Closed { window } = options.pace
        && let Some(most) = all.filter(|profile| has_data(profile)).map(places).min()
        && window > most
    {
        notes.push(format!(
            "An FSU has places for {most} transfers (`transfers_max`), and {window} are under way: it refuses some, \
             which counts as wrong."
        ));
    }
    notes
}
