//! `plan`: what serving an FSU rests on: offsets, spans, keys, rules. `--list`: what there is.

mod list;
mod messages;
mod model;
#[cfg(test)]
mod tests;
mod text;

use super::args::PlanArgs;
use super::exit::{CliError, Exit};
use super::fleet::{find, load};
use super::text_out::TextOut;
use fsu_plan::texts::Texts;
use model::FsuPlan;
use serde::Serialize;
use std::io::{self, Write};

/// Prints the compiled plan of one FSU, or of one of its commands; or lists what there is.
pub fn plan(args: &PlanArgs, say: Texts, out: &mut dyn Write) -> Result<Exit, CliError> {
    let fleet = load(&args.which.origin(), say)?;
    // Without a name, clap has seen to it that a list is wanted.
    let fsu = args.fsu.as_deref().map(|name| find(&fleet, name)).transpose()?;
    let Some(fsu) = fsu.filter(|_| !args.list) else {
        let list = fsu.map_or_else(|| list::of(&fleet), |fsu| list::List::new(std::iter::once(fsu)));
        if args.json { json(&list, out) } else { list.write(&mut TextOut::new(out, say)) }?;
        return Ok(Exit::Ok);
    };
    let mut fsu = FsuPlan::new(fsu);
    if let Some(key) = &args.cmd {
        fsu.only(key).map_err(|error| CliError::new(Exit::Usage, error.to_string()))?;
    }
    if args.json { json(&fsu, out) } else { text::write(&fsu, &mut TextOut::new(out, say)) }?;
    Ok(Exit::Ok)
}

/// Writes a value as indented JSON and a newline.
pub(super) fn json(value: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}
