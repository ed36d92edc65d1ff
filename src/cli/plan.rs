//! `plan`: what serving an FSU rests on: offsets, spans, keys, rules.

mod model;
#[cfg(test)]
mod tests;
mod text;

use super::args::PlanArgs;
use super::exit::{CliError, Exit};
use super::fleet::{find, load};
use model::FsuPlan;
use serde::Serialize;
use std::io::{self, Write};

/// Prints the compiled plan of one FSU.
pub fn plan(args: &PlanArgs, out: &mut dyn Write) -> Result<Exit, CliError> {
    let fleet = load(args.config.as_deref())?;
    let fsu = FsuPlan::new(find(&fleet, &args.fsu)?);
    if args.json { json(&fsu, out) } else { text::write(&fsu, out) }?;
    Ok(Exit::Ok)
}

/// Writes a value as indented JSON and a newline.
pub(super) fn json(value: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}
