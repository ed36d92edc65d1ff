//! `explain`: decodes a frame layer by layer, and shows the rule that answers it and the reply.
//!
//! - [`input`]: reads the bytes, as hex in any common spelling. [`take`]: decides what they are: outer or inner frame, request or reply.
//! - [`walk`]: passes the bytes to a fresh FSU, through the stages that serve.
//! - [`from_fsu`]: frames from the FSU, given or sent. [`back`]: finds what they answer.
//! - [`outer`], [`inner`]: the fields of both frames, and their faults.
//! - [`answer`]: command, rules, reply. [`factor`]: the amplification factor.
//! - [`running`]: the same for a control server.
//! - [`model`]: the explanation as data. [`text`]: the explanation as text.
//!
//! There is no second decoder: the explanation runs the stages that serve.

mod answer;
mod back;
mod factor;
mod from_fsu;
mod inner;
mod input;
mod messages;
mod model;
mod outer;
pub mod running;
mod take;
#[cfg(test)]
mod tests;
mod text;
mod walk;

use super::args::ExplainArgs;
use super::columns::hex;
use super::exit::{CliError, Exit, words};
use super::fleet::{find, load};
use super::plan::json;
use super::text_out::TextOut;
use fsu_core::client::request::{find_command, in_layout};
use fsu_core::dissect::outer::Way;
use fsu_core::moment::{Moment, RunContext};
use fsu_plan::model::fault::FsuFaults;
use fsu_plan::model::fleet::{Device, Fsu};
use fsu_plan::model::message::Transport;
use fsu_plan::texts::Texts;
use fsu_plan::wire::civil::Now;
use model::{Explanation, FsuHead};
use std::io::Write;
use take::{Said, SaidError};
use walk::Walk;

/// Explains the bytes. The exit code is 0 whether or not they get a reply; the last line says which.
pub fn explain(args: &ExplainArgs, say: Texts, out: &mut dyn Write) -> Result<Exit, CliError> {
    let usage = |text: String| CliError::new(Exit::Usage, text);
    let input = input::read(&args.hex).map_err(|wrong| usage(format!("HEX: {wrong}")))?;
    let mut fleet = load(&args.which.origin(), say)?;
    find(&fleet, &args.fsu)?;
    // Configured faults are listed; the reply is shown without them.
    let faults = fleet.fsus.iter_mut().find(|fsu| *fsu.name == *args.fsu).and_then(|fsu| fsu.faults.take());
    let fsu = find(&fleet, &args.fsu)?;
    let run = RunContext { seed: args.seed, skip_delay: fleet.performance.skip_delay, start_mono_ms: 0 };
    let about = About {
        faults: faults.as_deref(),
        said: said(args, fsu, input.way).map_err(|wrong| usage(wrong.to_string()))?,
        allow_amplification: fleet.allow_amplification,
    };
    let mut all = explanation(fsu, about, run, clock(args.now)?, &input.bytes);
    if input.more > 0 {
        all.notes.push(format!("the first of {} records", input.more + 1));
    }
    if args.json { json(&all, out) } else { text::write(&all, &mut TextOut::new(out, say)) }?;
    Ok(Exit::Ok)
}

/// What is known about the bytes, from the arguments or else from the text around them.
fn said(args: &ExplainArgs, fsu: &Fsu, way: Option<Way>) -> Result<Said, SaidError> {
    let mut said = Said::default();
    said.take(&args.take_as, fsu.transport)?;
    if let Some(key) = &args.cmd {
        if said.way == Some(Way::Down) {
            return Err(SaidError::RequestWithCommand);
        }
        let in_layout = |device: &Device| in_layout(device, key).unwrap_or(key).to_owned();
        let mut found = fsu.devices.iter().map(|device| find_command(&device.template, &in_layout(device)));
        if !found.clone().any(|found| found.is_ok())
            && let Some(Err(wrong)) = found.next()
        {
            return Err(SaidError::Command(words(&wrong)));
        }
        (said.cmd, said.way) = (Some(key.clone()), Some(Way::Up));
    }
    said.way = said.way.or(way);
    if let Some(text) = &args.device {
        said.device = Some(take::device(fsu, text)?);
    }
    Ok(said)
}

/// What is known besides the FSU and the bytes.
#[derive(Default)]
struct About<'a> {
    faults: Option<&'a FsuFaults>,
    said: Said,
    allow_amplification: bool,
}

/// What the FSU does with the bytes if they are the first that it receives.
fn explanation(fsu: &Fsu, about: About<'_>, run: RunContext, now: Now, frame: &[u8]) -> Explanation {
    let moment = Moment::at(now, 0);
    let mut walk = Walk::new(fsu, run, moment);
    (walk.faults, walk.said) = (about.faults, about.said);
    let items = walk.all(frame);
    let mut taken_for: Vec<String> = Vec::new();
    for text in items.iter().filter_map(|item| item.taken_for.as_ref()) {
        if !taken_for.contains(text) {
            taken_for.push(text.clone());
        }
    }
    let sizes: Vec<usize> = walk.sent.iter().map(Vec::len).collect();
    let amplification = match fsu.transport {
        Transport::Tcp => None,
        Transport::Udp | Transport::Broadcast | Transport::Datagram => {
            factor::of(walk.asked_bytes, &sizes, about.allow_amplification, walk.is_refused_far)
        }
    };
    Explanation {
        fsu: head(fsu),
        clock: clock_text(now),
        seed: run.seed,
        hex: hex(frame),
        taken_for,
        notes: Vec::new(),
        items,
        amplification,
        replies: walk.sent.iter().map(|bytes| hex(bytes)).collect(),
    }
}

fn head(fsu: &Fsu) -> FsuHead {
    let given = fsu.id.given();
    let id = match std::str::from_utf8(given) {
        Ok(text) if !text.is_empty() && !text.chars().any(char::is_control) => format!("{} (\"{text}\")", fsu.id),
        _ => fsu.id.to_string(),
    };
    FsuHead { name: fsu.name.to_string(), transport: fsu.transport.name(), bind: fsu.bind.to_string(), id }
}

fn clock_text(now: Now) -> String {
    let c = now.civil();
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:03}",
        c.year, c.month, c.day, c.hour, c.minute, c.second, c.millisecond
    )
}

/// The arrival time of the frame. A given time is used as it is, even if the local time zone skips it.
fn clock(given: Option<jiff::civil::DateTime>) -> Result<Now, CliError> {
    let Some(civil) = given else {
        let now = jiff::Zoned::now();
        return Ok(Now { unix_ms: now.timestamp().as_millisecond(), utc_offset_s: now.offset().seconds() });
    };
    let timestamp = jiff::tz::Offset::UTC.to_timestamp(civil);
    let timestamp = timestamp.map_err(|wrong| CliError::new(Exit::Usage, format!("--now: {wrong}")))?;
    Ok(Now { unix_ms: timestamp.as_millisecond(), utc_offset_s: 0 })
}
