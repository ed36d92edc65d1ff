//! `fsu_csv`: FSUs from a table, and the entry of `fsu_list` that gives what its rows leave out.

use super::device::Devices;
use super::fsu::Fsus;
use crate::config::at::{At, Map};
use crate::config::diag::Diags;
use crate::config::load::Loader;
use crate::config::raw::{RawFsu, RawSysConfig};
use std::path::Path;

/// Whether an entry of `fsu_list` only gives what the rows of `fsu_csv` leave out.
pub(super) fn is_template(entry: &RawFsu) -> bool {
    entry.template.as_ref().is_some_and(|template| template.value)
}

/// The entry that gives what rows leave out. One without a table, and a second one, are errors.
pub(super) fn template<'r>(diags: &mut Diags, raw: &'r RawSysConfig) -> Option<&'r At<RawFsu>> {
    let mut templates = raw.fsu_list.iter().flatten().filter(|entry| is_template(entry));
    let first = templates.next()?;
    for more in templates {
        diags
            .error(more.pos, "a second entry with `template`: the rows of `fsu_csv` take what they leave out from one");
    }
    if raw.fsu_csv.is_none() {
        diags.error(first.pos, "an entry with `template` is no FSU, and there is no `fsu_csv` whose rows it is for");
    }
    Some(first)
}

/// Adds the FSUs of the rows of `fsu_csv`.
pub(super) fn add(
    loader: &mut Loader,
    devices: &mut Devices,
    raw: &RawSysConfig,
    (file, fsus): (&Path, &mut Fsus<'_>),
) {
    let template = template(&mut loader.diags, raw);
    let Some(name) = &raw.fsu_csv else { return };
    if name.value.trim().is_empty() {
        return loader.diags.error(name.pos, "an empty path");
    }
    let path = loader.join(file, &name.value);
    let Some(rows) = loader.load_fsus(&path, name.pos) else { return };
    // Source addresses go on from row to row.
    let first = fsus.all.len() as u32;
    for row in rows {
        if loader.diags.is_over() {
            return;
        }
        let entry = At { pos: row.pos, value: laid(row.value, template) };
        fsus.add_from(loader, devices, &entry, first);
    }
}

/// A row on its template: what the row has goes first.
fn laid(row: RawFsu, template: Option<&At<RawFsu>>) -> RawFsu {
    let Some(under) = template else { return row };
    let under = under.value.clone();
    RawFsu {
        template: None,
        fsuname: row.fsuname.or(under.fsuname),
        fsuid: row.fsuid.or(under.fsuid),
        host: row.host.or(under.host),
        hosts: row.hosts.or(under.hosts),
        port: row.port.or(under.port),
        ports: row.ports.or(under.ports),
        protocol_type: row.protocol_type.or(under.protocol_type),
        heartbeat_interval: row.heartbeat_interval.or(under.heartbeat_interval),
        heartbeat_enable: row.heartbeat_enable.or(under.heartbeat_enable),
        heartbeat_reply: row.heartbeat_reply.or(under.heartbeat_reply),
        config_dir: row.config_dir.or(under.config_dir),
        count: row.count.or(under.count),
        client_timeout: row.client_timeout.or(under.client_timeout),
        accept_any_id: row.accept_any_id.or(under.accept_any_id),
        params: params(row.params, under.params),
        ..under
    }
}

/// The parameters of a row, and those of the template that it does not have.
fn params(row: Option<Map<At<String>>>, under: Option<Map<At<String>>>) -> Option<Map<At<String>>> {
    let Some(mut row) = row else { return under };
    for (key, value) in under.map(|map| map.0).unwrap_or_default() {
        if row.0.iter().all(|(given, _)| given.value.trim() != key.value.trim()) {
            row.0.push((key, value));
        }
    }
    Some(row)
}
