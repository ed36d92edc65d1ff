//! Raw configuration to the plan. Every error is reported; with an error nothing is served.
//!
//! - [`vendor`]: the file vendor.json.
//! - [`fleet`]: sys_config.json. [`fsu`]: an entry of `fsu_list`, and the FSUs of its `count`. [`identity`], `address`, `number`: ids, addresses,
//!   numbers with bounds. `connect`: where FSUs dial out to; `tls`: with which files. [`log_file`]: the system log's name. [`amplified`]: replies that may be cut off.
//! - [`device`]: fsu_devices.json: devices, their template and rule files, shared where they are equal.
//! - [`template`], [`frame`], [`field`], [`length`], [`checksum`], [`crc`]: a template. [`command`], `key`, [`data_list`], [`fields`]: its
//!   commands. `errors`: its replies to wrong requests. [`sample`]: requests, for clients.
//! - [`rule_files`]: which rule files apply, and which never do.
//! - [`rules`], [`reply`], [`expr`], [`fits`]: rule files. `sequence`: several replies to one request. `scope`, `registers`: what their values may refer to. [`faults`]: `faults` at any level.
//! - `messages`: what a device sends unasked.
//! - [`transfer`], [`payload`]: multi-frame transfers and their data.
//! - `layouts`: other layouts beside `protocol`, and names of their entries.
//! - [`walk`]: data frames whose fields vary in size.
//! - [`profile`]: frames of known length, as windows.
//! - [`effect`]: keys that do nothing where they are.

mod adapt;
mod address;
pub mod amplified;
pub mod calc;
pub mod checksum;
pub mod coding;
pub mod command;
mod connect;
pub mod crc;
pub mod data_list;
mod datetime;
pub mod device;
pub mod effect;
mod effects;
mod errors;
pub mod expr;
pub mod faults;
pub mod field;
pub mod fields;
pub mod fits;
#[cfg(any(test, feature = "fixtures"))]
pub mod fixtures;
pub mod fleet;
pub mod frame;
pub mod fsu;
mod identity;
pub mod kept;
mod key;
mod layouts;
pub mod length;
pub mod log_file;
mod memory;
mod messages;
pub mod moved;
mod named_bits;
mod number;
mod own_value;
mod params;
pub mod payload;
pub mod profile;
mod ranges;
mod registers;
pub mod reply;
pub mod rule_files;
pub mod rules;
pub mod sample;
mod scope;
mod sequence;
mod shown;
mod special;
mod sums;
mod table;
mod tables;
pub mod template;
mod tls;
pub mod transfer;
pub mod vendor;
pub mod walk;
mod whole;

#[cfg(test)]
mod tests;

use crate::config::budget::{PLAN_BYTES_LEAST, PLAN_BYTES_MOST};
use crate::config::load::Loader;
use crate::config::near;
use crate::config::node::Content;
use crate::config::raw::RawSysConfig;
use crate::model::fleet::Fleet;
use std::path::Path;

/// Compiles the configuration whose main file (sys_config.json) this is.
///
/// Errors and warnings are in [`Loader::diags`]; `None` if there is an error.
pub fn compile(loader: &mut Loader, main_file: &Path) -> Option<Fleet> {
    let fleet = compile_plain(loader, main_file)?;
    profile::attach(&fleet, &loader.diags.budget);
    Some(fleet)
}

/// [`compile`] without profiles: the general code answers every request.
pub fn compile_plain(loader: &mut Loader, main_file: &Path) -> Option<Fleet> {
    near::reset();
    budget(loader, main_file);
    let raw = loader.load::<RawSysConfig>(main_file, None)?;
    let vendors_file = loader.join(main_file, "vendor.json");
    let mut devices = device::Devices::new(vendor::read(loader, &vendors_file));
    let fleet = fleet::fleet(loader, &raw, main_file, &mut devices);
    let mut fleet = fleet.filter(|_| !loader.diags.has_errors())?;
    fleet.share.config = loader.digest(main_file);
    Some(fleet)
}

/// Takes `limits.plan_bytes_max` before its file is read as a whole, as that counts too. A wrong
/// number is reported with the other errors.
fn budget(loader: &mut Loader, main_file: &Path) {
    let given = loader.tree(main_file).and_then(|tree| {
        let number = tree.child(tree.child(0, "limits")?, "plan_bytes_max")?;
        match tree.content(number) {
            Content::Num(number) => number.as_u64(),
            _ => None,
        }
    });
    if let Some(bytes) = given.filter(|bytes| (PLAN_BYTES_LEAST..=PLAN_BYTES_MOST).contains(bytes)) {
        loader.diags.budget.set_max(bytes);
    }
}
