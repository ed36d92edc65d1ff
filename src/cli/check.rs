//! `check`: everything that is wrong with a configuration, at once.

use super::args::CheckArgs;
use super::exit::{CliError, Exit};
use fsu_plan::model::fleet::Fleet;
use fsu_plan::texts::Texts;
use fsu_plan::words::count;
use fsu_serve::fleet::read::{Configuration, exit_of, read, summary};
use std::collections::HashSet;
use std::io::Write;
use std::sync::Arc;

/// Writes a line for each error and warning, and a summary.
pub fn check(args: &CheckArgs, say: Texts, out: &mut dyn Write) -> Result<Exit, CliError> {
    let Configuration { fleet, mut diags, .. } = read(&args.origin());
    if args.strict {
        diags.make_strict();
    }
    let lines: Vec<String> = if args.verbose { diags.all_lines().collect() } else { diags.lines().collect() };
    for line in lines {
        writeln!(out, "{}", say.diag(&line))?;
    }
    match fleet {
        Some(fleet) if !diags.has_errors() => {
            let warnings = match diags.warnings() {
                0 => String::new(),
                n => format!(", {}", count(n, "warning")),
            };
            writeln!(out, "{}", say.say(&format!("ok: {}{warnings}", contents(&fleet))))?;
            Ok(Exit::Ok)
        }
        _ => {
            writeln!(out, "{}", say.say(&summary(&diags)))?;
            Ok(exit_of(&diags))
        }
    }
}

/// `12 FSUs, 30 devices, 7 templates`; a device behind several FSUs counts for each, a template once, its other layouts not.
fn contents(fleet: &Fleet) -> String {
    let devices = || fleet.fsus.iter().flat_map(|fsu| fsu.devices.iter()).filter(|device| device.is_own());
    let templates: HashSet<_> = devices().map(|device| Arc::as_ptr(&device.template)).collect();
    let parts = [(fleet.fsus.len(), "FSU"), (devices().count(), "device"), (templates.len(), "template")];
    parts.map(|(n, noun)| count(n, noun)).join(", ")
}
