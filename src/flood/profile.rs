//! What one kind of FSU is asked: prepared requests, the order they take turns in, and what their replies look like. Pure.

use super::expect::{Expect, Wrong};
use super::lane::Flight;
use super::mix::{Mix, sequence};
use super::request::{field, put, set};
use super::values::{FloodValues, Value};
use crate::client::request::finish;
use crate::codec::inner;
use crate::plan::fleet::{Device, Fsu};
use crate::plan::rule::{Delay, Expr, Rule};
use crate::plan::template::{Constant, Field, Template};
use crate::responder::build::{Inputs, text};
use crate::responder::reply::matching;
use std::sync::Arc;

/// A command as reports show it; the same row for every FSU with that vendor and key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The device's vendor.
    pub vendor: Box<str>,
    /// The command's key.
    pub key: Box<str>,
}

/// A request, ready but for what is different each time.
#[derive(Debug)]
pub struct Prepared {
    /// Its row in reports.
    pub label: usize,
    /// The device.
    pub device: Arc<Device>,
    /// Number of its command in the template.
    pub command: usize,
    /// The raw request.
    pub raw: Box<[u8]>,
    /// The same as it travels, without the outer frame.
    pub wire: Box<[u8]>,
    /// Values that are made anew each time.
    pub dynamic: Box<[(Field, Expr)]>,
    /// What its replies look like.
    pub expect: Expect,
    /// The rule leaves it unanswered, or there is none.
    pub silent: bool,
    /// Which rule answers is known: no value that is made anew decides it.
    is_settled: bool,
    /// Longest delay that its rule draws, in milliseconds.
    pub delay_ms_max: f64,
    /// A reply takes at least so long, where delays are not skipped.
    pub delay_ns_min: u64,
}

impl Prepared {
    /// Its template.
    #[inline]
    pub fn template(&self) -> &Template {
        &self.device.template
    }

    /// May this flight have a reply at all? To be asked of one that is right otherwise.
    #[inline]
    pub fn may_answer(&self, flight: &Flight) -> Result<(), Wrong> {
        if flight.silent && self.is_settled { Err(Wrong::Silence) } else { Ok(()) }
    }

    /// Makes the values anew in `raw`, and the wire bytes in `wire` (both overwritten). Returns how many did not fit.
    pub fn renew(&self, inputs: &mut Inputs<'_>, raw: &mut Vec<u8>, wire: &mut Vec<u8>, scratch: &mut Vec<u8>) -> u64 {
        raw.clear();
        raw.extend_from_slice(&self.raw);
        let mut misfits = 0;
        for (field, value) in &self.dynamic {
            scratch.clear();
            text(value, inputs, scratch);
            misfits += u64::from(put(field, scratch, raw).is_err());
        }
        finish(self.template(), raw, wire);
        misfits
    }
}

/// All that FSUs with the same devices are asked.
#[derive(Debug)]
pub struct Profile {
    /// The requests.
    pub requests: Box<[Prepared]>,
    /// The order in which they take turns.
    pub sequence: Box<[u32]>,
}

/// What was asked for.
#[derive(Debug, Default)]
pub struct Wanted {
    /// Commands and weights; empty: all that are answered.
    pub mix: Mix,
    /// Values.
    pub values: FloodValues,
    /// From servers that send back what they get.
    pub echo: bool,
}

/// Makes profiles, and gives the rows of reports their numbers.
#[derive(Debug, Default)]
pub struct Profiles {
    /// The rows.
    pub labels: Vec<Label>,
    made: Vec<(Vec<*const Device>, Option<Arc<Profile>>)>,
}

impl Profiles {
    /// The profile of an FSU; `None` where nothing of it is to be asked. The error says which value is wrong.
    pub fn of(&mut self, fsu: &Fsu, wanted: &Wanted) -> Result<Option<Arc<Profile>>, String> {
        let identity: Vec<*const Device> = fsu.devices.iter().map(Arc::as_ptr).collect();
        if let Some((_, made)) = self.made.iter().find(|(there, _)| *there == identity) {
            return Ok(made.clone());
        }
        let profile = self.make(fsu, wanted)?;
        self.made.push((identity, profile.clone()));
        Ok(profile)
    }

    fn make(&mut self, fsu: &Fsu, wanted: &Wanted) -> Result<Option<Arc<Profile>>, String> {
        let (mut requests, mut weights) = (Vec::new(), Vec::new());
        for device in fsu.devices.iter() {
            for number in 0..device.template.commands.len() {
                let key = &*device.template.commands[number].key_text;
                let named = wanted.mix.weight(key);
                if named.is_none() && !wanted.mix.0.is_empty() {
                    continue;
                }
                let prepared = self.prepare(device, number, wanted)?;
                if prepared.silent && named.is_none() {
                    continue;
                }
                requests.push(prepared);
                weights.push(named.unwrap_or(1));
            }
        }
        if requests.is_empty() {
            return Ok(None);
        }
        let sequence = sequence(&weights).into();
        Ok(Some(Arc::new(Profile { requests: requests.into(), sequence })))
    }

    fn prepare(&mut self, device: &Arc<Device>, number: usize, wanted: &Wanted) -> Result<Prepared, String> {
        let template = &*device.template;
        let command = &template.commands[number];
        let mut raw = command.sample.to_vec();
        let mut dynamic: Vec<(Field, Expr)> =
            command.made.iter().map(|made| (made.field.clone(), made.value.clone())).collect();
        for (name, value) in wanted.values.of(&command.key_text)? {
            // Another entry of the key has it.
            let Some(field) = field(template, command, name) else { continue };
            dynamic.retain(|(made, _)| made.at != field.at);
            match value {
                Value::Static(text) => {
                    set(template, command, name, &text, &mut raw).map_err(|error| error.to_string())?;
                }
                Value::Dynamic(value) => dynamic.push((field.clone(), value)),
            }
        }
        let mut wire = Vec::new();
        finish(template, &mut raw, &mut wire);
        let rule = applies(device, number, &wire);
        let rules = || device.rules.get(number).into_iter().flat_map(|rules| rules.iter());
        let decides = |(field, _): &(Field, Expr)| {
            rules().any(|rule| rule.when.iter().any(|when| overlap(field, when, raw.len())))
        };
        let is_settled = !dynamic.iter().any(decides);
        let delay_ms_min = match rule {
            _ if wanted.echo => 0.0,
            Some(rule) if is_settled => shortest(rule.delay),
            _ => rules().map(|rule| shortest(rule.delay)).fold(f64::MAX, f64::min),
        };
        let expect = if wanted.echo {
            Expect::echo(template, &raw)
        } else if is_settled && let Some(rule) = rule {
            Expect::new(device, number, [rule], &raw)
        } else {
            Expect::new(device, number, rules(), &raw)
        };
        Ok(Prepared {
            label: self.label(&device.vendor, &command.key_text),
            device: Arc::clone(device),
            command: number,
            expect,
            is_settled,
            delay_ms_max: rules().map(|rule| longest(rule.delay)).fold(0.0, f64::max),
            delay_ns_min: (delay_ms_min * 1e6) as u64,
            raw: raw.into(),
            wire: wire.into(),
            dynamic: dynamic.into(),
            silent: !wanted.echo && rule.is_none_or(|rule| rule.timeout),
        })
    }

    fn label(&mut self, vendor: &str, key: &str) -> usize {
        let there = self.labels.iter().position(|label| *label.vendor == *vendor && *label.key == *key);
        there.unwrap_or_else(|| {
            self.labels.push(Label { vendor: vendor.into(), key: key.into() });
            self.labels.len() - 1
        })
    }
}

/// Do a field and the bytes that a rule asks for share a place, in a raw frame of that size?
fn overlap(field: &Field, when: &Constant, raw_len: usize) -> bool {
    let (field_at, when_at) = (field.at.in_frame(raw_len), when.at.in_frame(raw_len));
    field_at < when_at + when.bytes.len() && when_at < field_at + field.slot.len
}

/// The rule that answers this request.
fn applies<'a>(device: &'a Device, command: usize, wire: &[u8]) -> Option<&'a Rule> {
    let mut scratch = Vec::new();
    let frame = inner::parse(&device.template, wire, &mut scratch).ok()?;
    matching(device, command, &frame).map(|(_, rule)| rule)
}

/// Shortest delay, in milliseconds.
fn shortest(delay: Delay) -> f64 {
    match delay {
        Delay::Fixed(ms) | Delay::Uniform(ms, _) => ms,
        Delay::None | Delay::Normal(..) | Delay::Lognormal(..) => 0.0,
    }
}

/// Longest delay, in milliseconds, but for one in a thousand.
fn longest(delay: Delay) -> f64 {
    match delay {
        Delay::None => 0.0,
        Delay::Fixed(ms) => ms,
        Delay::Uniform(_, most) => most,
        Delay::Normal(mean, deviation) => mean + 3.1 * deviation,
        Delay::Lognormal(mu, sigma) => (mu + 3.1 * sigma).exp(),
    }
}
