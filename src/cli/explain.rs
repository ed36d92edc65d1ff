//! `explain`: a frame decoded layer by layer, the rule that answers it, and the reply.
//!
//! - [`walk`]: gives the bytes to an FSU that has heard nothing yet, by the stages that serve.
//! - [`outer`], [`inner`]: the fields of both frames, and what is wrong with them.
//! - [`answer`]: command, rules, reply.
//! - [`model`]: the explanation as data; [`text`]: for people.
//!
//! Nothing is decoded a second way: what is explained is what happens.

mod answer;
mod inner;
mod model;
mod outer;
#[cfg(test)]
mod tests;
mod text;
mod walk;

use super::args::ExplainArgs;
use super::exit::{CliError, Exit};
use super::fleet::{find, load};
use super::plan::json;
use crate::codec::civil::Now;
use crate::plan::fault::FsuFaults;
use crate::plan::fleet::Fsu;
use crate::responder::{Moment, RunContext};
use model::{Explanation, FsuHead};
use std::io::Write;
use walk::Walk;

/// Explains the bytes. It is done, and the exit code 0, whether or not they are answered: the last line tells.
pub fn explain(args: &ExplainArgs, out: &mut dyn Write) -> Result<Exit, CliError> {
    let frame = args.frame().map_err(|wrong| CliError::new(Exit::Usage, format!("HEX: {wrong}")))?;
    let mut fleet = load(args.config.as_deref())?;
    find(&fleet, &args.fsu)?;
    // What could happen on purpose is told; what is shown is the reply without it.
    let faults = fleet.fsus.iter_mut().find(|fsu| *fsu.name == *args.fsu).and_then(|fsu| fsu.faults.take());
    let fsu = find(&fleet, &args.fsu)?;
    let run = RunContext { seed: args.seed, skip_delay: fleet.performance.skip_delay, start_mono_ms: 0 };
    let all = explanation(fsu, faults.as_deref(), run, clock(args.now)?, &frame);
    if args.json { json(&all, out) } else { text::write(&all, out) }?;
    Ok(Exit::Ok)
}

/// What the FSU makes of the bytes when they are the first that it gets.
fn explanation(fsu: &Fsu, faults: Option<&FsuFaults>, run: RunContext, now: Now, frame: &[u8]) -> Explanation {
    let moment = Moment::at(now, 0);
    let mut walk = Walk::new(fsu, run, moment);
    walk.faults = faults;
    let items = walk.all(frame);
    let replies = items.iter().filter_map(|item| item.reply.as_ref()).map(|reply| reply.hex.clone()).collect();
    let given = fsu.id.given();
    let id = match std::str::from_utf8(given) {
        Ok(text) if !text.is_empty() && !text.chars().any(char::is_control) => format!("{} (\"{text}\")", fsu.id_hex),
        _ => fsu.id_hex.to_string(),
    };
    let head = FsuHead { name: fsu.name.to_string(), transport: fsu.transport.name(), bind: fsu.bind.to_string(), id };
    let c = now.civil();
    let clock = format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:03}",
        c.year, c.month, c.day, c.hour, c.minute, c.second, c.millisecond
    );
    Explanation { fsu: head, clock, seed: run.seed, hex: super::columns::hex(frame), items, replies }
}

/// The moment a frame comes at. A given time is taken as it stands, even one that the local zone skips.
fn clock(given: Option<jiff::civil::DateTime>) -> Result<Now, CliError> {
    let Some(civil) = given else {
        let now = jiff::Zoned::now();
        return Ok(Now { unix_ms: now.timestamp().as_millisecond(), utc_offset_s: now.offset().seconds() });
    };
    let timestamp = jiff::tz::Offset::UTC.to_timestamp(civil);
    let timestamp = timestamp.map_err(|wrong| CliError::new(Exit::Usage, format!("--now: {wrong}")))?;
    Ok(Now { unix_ms: timestamp.as_millisecond(), utc_offset_s: 0 })
}
