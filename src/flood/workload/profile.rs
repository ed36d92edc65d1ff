//! The requests of FSUs with the same devices: prepared bytes, their order, and what their replies look like. Pure.

use crate::expect::burst::Burst;
use crate::expect::{Expect, Wrong, raw};
use crate::lane::{Flight, Right, Timing};
use crate::workload::left_out::{self, Doubt, LeftOut, Why, overlap};
use crate::workload::mark::{Marked, Marks};
use crate::workload::mix::{Mix, sequence};
use crate::workload::values::{FloodValues, Value, ValueError};
use fsu_core::answer::build::{Inputs, text};
use fsu_core::answer::rule::matching;
use fsu_core::client::own::Own;
use fsu_core::client::request::{RequestError, build, field, finish, made_in, put};
use fsu_core::client::varying::{covers, walk_of};
use fsu_plan::model::fault::{FaultKind, FaultSet, FsuFaults};
use fsu_plan::model::field::{Field, Offset};
use fsu_plan::model::fleet::{Device, Fsu};
use fsu_plan::model::message::Transport;
use fsu_plan::model::reply::Expr;
use fsu_plan::model::rule::{Delay, Rule};
use fsu_plan::model::template::{Command, Made as MadeValue, Template};
use fsu_plan::wire::inner;
use std::sync::Arc;

/// A command as reports show it; the same row for every FSU with that vendor and key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The device's vendor.
    pub vendor: Box<str>,
    /// The command's key.
    pub key: Box<str>,
}

/// A request, ready except for values that are made for each one.
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
    /// Values that are made for each request.
    pub dynamic: Box<[(Field, Expr)]>,
    /// What makes its requests differ.
    pub marks: Option<Marks>,
    /// What its replies look like.
    pub expect: Expect,
    /// What comes back to it. Where values that differ each time decide that, each flight has its own.
    pub answer: Answer,
    /// Which rule answers is known: no value that is made for each request decides it.
    is_settled: bool,
    /// What the device remembers decides whether and how often it is answered.
    is_doubtful: bool,
    /// Longest delay that its rule draws, in milliseconds.
    pub delay_ms_max: f64,
    /// How long a reply takes, where delays are not skipped.
    pub timing: Timing,
}

/// What comes back to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This many replies; more than one is a burst.
    Replies(u32),
    /// Nothing: its rule is a `timeout`.
    Silence,
    /// Nothing: no rule applies.
    Unmatched,
}

impl Answer {
    fn of(rule: Option<&Rule>) -> Self {
        match rule {
            None => Self::Unmatched,
            Some(rule) if rule.timeout => Self::Silence,
            Some(rule) => Self::Replies(rule.burst.max(1)),
        }
    }

    /// Does nothing come?
    pub fn is_silent(self) -> bool {
        !matches!(self, Self::Replies(_))
    }
}

impl Prepared {
    /// Its template.
    #[inline]
    pub fn template(&self) -> &Template {
        &self.device.template
    }

    /// The raw request of a flight.
    #[inline]
    pub fn raw_of<'a>(&'a self, flight: &'a Flight) -> &'a [u8] {
        if flight.raw.is_empty() { &self.raw } else { &flight.raw }
    }

    /// A flight of this request, number `request` of its profile. `raw` has its own bytes, or is empty.
    #[inline]
    pub fn flight(&self, request: u32, raw: Vec<u8>, planned_ns: u64, sent_ns: u64) -> Flight {
        let answer = if self.is_settled || raw.is_empty() { self.answer } else { self.answer_to(&raw) };
        let burst = match answer {
            Answer::Replies(replies) if replies > 1 => Some(Box::new(Burst::new(replies, self.is_settled))),
            _ => None,
        };
        let (silent, unmatched) = (answer.is_silent(), answer == Answer::Unmatched);
        let class = self.expect.echo().class(request, if raw.is_empty() { &self.raw } else { &raw });
        Flight { request, class, planned_ns, sent_ns, raw, silent, unmatched, is_equal: false, burst }
    }

    /// What comes back to this raw request.
    #[cold]
    fn answer_to(&self, raw: &[u8]) -> Answer {
        let around = self.template().left_len + self.template().tail_len;
        let frame = inner::Frame { raw, wire: raw, data_len: raw.len().saturating_sub(around) };
        Answer::of(matching(&self.device, self.command, &frame).map(|(_, rule)| rule))
    }

    /// Is `wire`, a frame that was read into `scratch`, a right reply to a flight? In a burst it has to have its turn, from which
    /// another keeps it only where replies cannot overtake each other.
    #[inline]
    pub fn right(&self, flight: &Flight, wire: &[u8], may_overtake: bool, scratch: &[u8]) -> Result<Right, Wrong> {
        let request = self.raw_of(flight);
        self.expect.fits(request, raw(self.template(), wire, scratch))?;
        if flight.silent {
            return Err(Wrong::Silence);
        }
        let Some(burst) = &flight.burst else { return Ok(None) };
        let looks_like = self.expect.looks_like(request, raw(self.template(), wire, scratch));
        burst.after(may_overtake, &looks_like).map(|after| Some(Box::new(after))).ok_or(Wrong::Turn)
    }

    /// The request of a flight as it travels, without the outer frame.
    pub fn wire_of(&self, flight: &Flight) -> Vec<u8> {
        if flight.raw.is_empty() {
            return self.wire.to_vec();
        }
        let (mut raw, mut wire) = (flight.raw.clone(), Vec::new());
        finish(self.template(), &mut raw, &mut wire);
        wire
    }

    /// Is each request of its own?
    #[inline]
    pub fn is_own(&self) -> bool {
        self.marks.is_some() || !self.dynamic.is_empty()
    }

    /// Makes the values of a request in `raw`, and its wire bytes in `wire` (both overwritten). `number`: how many of this command
    /// went before. Returns how many values did not fit.
    pub fn renew(
        &self,
        number: u64,
        inputs: &mut Inputs<'_>,
        (raw, wire): (&mut Vec<u8>, &mut Vec<u8>),
        scratch: &mut Vec<u8>,
    ) -> u64 {
        raw.clear();
        raw.extend_from_slice(&self.raw);
        let mut misfits = 0;
        if let Some(marks) = &self.marks {
            marks.write(number, raw);
        }
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
    /// By place in that order: how many turns the request has in all of it, and how many before.
    turns: Box<[(u32, u32)]>,
}

impl Profile {
    /// Of these requests, which take turns in that order.
    pub fn new(requests: Vec<Prepared>, sequence: Vec<u32>) -> Self {
        let mut counts = vec![0_u32; requests.len()];
        let mut before: Vec<u32> = Vec::with_capacity(sequence.len());
        for &request in &sequence {
            before.push(counts[request as usize]);
            counts[request as usize] += 1;
        }
        let turns = sequence.iter().zip(before).map(|(&request, before)| (counts[request as usize], before)).collect();
        Self { requests: requests.into(), sequence: sequence.into(), turns }
    }

    /// How many turns the request at a place of the order has had before, in that round of the order, counted from 0.
    #[inline]
    pub fn number(&self, place: u32, round: u64) -> u64 {
        let (all, before) = self.turns[place as usize];
        round * u64::from(all) + u64::from(before)
    }
}

/// Why a request cannot be prepared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// A value that cannot be read.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// A value that does not fit its field.
    #[error(transparent)]
    Request(#[from] RequestError),
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
    /// Requests of a command are equal.
    pub equal: bool,
}

/// Makes profiles, and gives the rows of reports their numbers.
#[derive(Debug, Default)]
pub struct Profiles {
    /// The rows.
    pub labels: Vec<Label>,
    /// Commands that are not asked.
    pub left_out: Vec<LeftOut>,
    made: Vec<Made>,
}

/// What FSUs with the same devices and faults are asked, and what they are not.
#[derive(Debug)]
struct Made {
    devices: Vec<*const Device>,
    faults: Option<Arc<FsuFaults>>,
    asked: Asked,
}

/// What an FSU is asked, and what not.
#[derive(Clone, Debug)]
struct Asked {
    profile: Option<Arc<Profile>>,
    left_out: Vec<(usize, Why)>,
    /// Its parameters or its id decide about it: it is another one for each FSU.
    is_own: bool,
}

impl Profiles {
    /// The profile of an FSU; `None` where nothing of it is to be asked.
    ///
    /// # Errors
    /// A value that is wrong.
    pub fn of(&mut self, fsu: &Fsu, wanted: &Wanted) -> Result<Option<Arc<Profile>>, ProfileError> {
        let devices: Vec<*const Device> = fsu.devices.iter().map(Arc::as_ptr).collect();
        let is = |made: &Made| made.devices == devices && made.faults == fsu.faults;
        let known = self.made.iter().find(|made| is(made)).map(|made| &made.asked);
        let asked = if let Some(asked) = known.filter(|asked| !asked.is_own) {
            asked.clone()
        } else {
            let is_first = known.is_none();
            let asked = self.make(fsu, wanted)?;
            if is_first {
                self.made.push(Made { devices, faults: fsu.faults.clone(), asked: asked.clone() });
            }
            asked
        };
        for (label, why) in asked.left_out {
            match self.left_out.iter_mut().find(|there| (there.label, there.why) == (label, why)) {
                Some(there) => there.fsus += 1,
                None => self.left_out.push(LeftOut { label, why, fsu: (&*fsu.name).into(), fsus: 1 }),
            }
        }
        Ok(asked.profile)
    }

    fn make(&mut self, fsu: &Fsu, wanted: &Wanted) -> Result<Asked, ProfileError> {
        let (mut requests, mut weights, mut left_out, mut is_own) = (Vec::new(), Vec::new(), Vec::new(), false);
        for shared in fsu.devices.iter() {
            let own = Own::new(fsu, shared);
            is_own |= own.is_bound();
            for number in 0..shared.template.commands.len() {
                let device = own.device(number);
                if device.template.commands[number].up {
                    continue;
                }
                let key = full_key(device, &device.template.commands[number].key_text);
                let named = wanted.mix.weight(&key);
                if named.is_none() && !wanted.mix.0.is_empty() {
                    continue;
                }
                let mut prepared = self.prepare(device, number, wanted)?;
                // An exchange of BroadCast has numbers.
                prepared.marks.take_if(|_| fsu.transport == Transport::Broadcast);
                prepared.timing.most_ns += held_back_ns(fsu, device.rules.get(number).map_or(&[], |rules| rules));
                if prepared.is_settled && prepared.answer.is_silent() && named.is_none() {
                    let rule = applies(device, number, &prepared.wire);
                    left_out.push((prepared.label, left_out::why(device, number, rule)));
                    continue;
                }
                if let Some(open) = prepared.expect.open() {
                    left_out.push((prepared.label, Why::Size(open)));
                    continue;
                }
                if prepared.is_doubtful {
                    left_out.push((prepared.label, Why::State));
                    continue;
                }
                requests.push(prepared);
                weights.push(named.unwrap_or(1));
            }
        }
        if requests.is_empty() {
            return Ok(Asked { profile: None, left_out, is_own });
        }
        let profile = Some(Arc::new(Profile::new(requests, sequence(&weights))));
        Ok(Asked { profile, left_out, is_own })
    }

    fn prepare(&mut self, device: &Arc<Device>, number: usize, wanted: &Wanted) -> Result<Prepared, ProfileError> {
        let template = &*device.template;
        let command = &template.commands[number];
        let Filled { mut raw, dynamic, given } = filled(template, command, wanted)?;
        let mut wire = Vec::new();
        finish(template, &mut raw, &mut wire);
        let mut rule = applies(device, number, &wire);
        let rules = || device.rules.get(number).into_iter().flat_map(|rules| rules.iter());
        let decides = |(field, _): &(Field, Expr), len: usize| {
            let place = (field.at, field.slot.len);
            rules()
                .any(|rule| rule.when.iter().any(|when| overlap(place, when, len)) || left_out::tests(rule, place, len))
        };
        if !wanted.echo
            && Answer::of(rule).is_silent()
            && let Some(fitting) = left_out::fit(device, number, &given, &mut raw)
        {
            finish(template, &mut raw, &mut wire);
            rule = Some(fitting);
        }
        let doubt = left_out::doubt(device, number, &wire).filter(|_| !wanted.echo);
        let is_settled = wanted.echo || (doubt.is_none() && !dynamic.iter().any(|one| decides(one, raw.len())));
        let timing = if wanted.echo { Timing::default() } else { timing(rules(), rule.filter(|_| is_settled)) };
        let expect = if wanted.echo {
            Expect::of_echo(template, &raw)
        } else if is_settled && let Some(rule) = rule {
            Expect::new(device, number, [rule], &raw)
        } else {
            Expect::new(device, number, rules(), &raw)
        };
        let fixed =
            given.iter().filter_map(|name| field(template, command, name)).chain(dynamic.iter().map(|one| &one.0));
        let fixed: Vec<(Offset, usize)> = fixed.map(|field| (field.at, field.slot.len)).collect();
        let asked = Marked { device, command: number, raw: &raw, expect: &expect };
        let marks = if wanted.equal { None } else { Marks::new(asked, &fixed) };
        Ok(Prepared {
            label: self.label(&device.vendor, &full_key(device, &command.key_text)),
            device: Arc::clone(device),
            command: number,
            marks,
            expect,
            is_settled,
            is_doubtful: doubt == Some(Doubt::Answers),
            delay_ms_max: rules().map(|rule| longest(rule.delay)).fold(0.0, f64::max),
            timing,
            raw: raw.into(),
            wire: wire.into(),
            dynamic: dynamic.into(),
            answer: if wanted.echo { Answer::Replies(1) } else { Answer::of(rule) },
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

/// A command's key, with the layout that it is of: `layout/KEY`.
fn full_key(device: &Device, key: &str) -> String {
    device.layout_name().map_or_else(|| key.to_owned(), |layout| format!("{layout}/{key}"))
}

/// A request with the values that are wanted.
struct Filled<'a> {
    raw: Vec<u8>,
    /// Values that are made for each request.
    dynamic: Vec<(Field, Expr)>,
    /// Names of the fields that the flood file gives.
    given: Vec<&'a str>,
}

fn filled<'a>(template: &Template, command: &Command, wanted: &'a Wanted) -> Result<Filled<'a>, ProfileError> {
    let of = |made: &MadeValue| (made.field.clone(), made.value.clone());
    let mut dynamic: Vec<(Field, Expr)> = command.made.iter().filter(|made| made.path.is_none()).map(of).collect();
    let mut varying: Vec<&MadeValue> = command.made.iter().filter(|made| made.path.is_some()).collect();
    let (mut given, mut constants) = (Vec::new(), Vec::new());
    for (name, value) in wanted.values.of(&command.key_text)? {
        if walk_of(command, name).is_some() {
            if let Value::Static(text) = value {
                constants.push((name.to_owned(), text));
            }
            varying.retain(|made| !covers(command, name, made));
            continue;
        }
        // Another entry of the key has it.
        let Some(field) = field(template, command, name) else { continue };
        dynamic.retain(|(made, _)| made.at != field.at);
        given.push(name);
        match value {
            Value::Static(text) => constants.push((name.to_owned(), text)),
            Value::Dynamic(value) => dynamic.push((field.clone(), value)),
        }
    }
    // All of them at once: a tag or a count may select what others are for.
    let raw = build(template, command, &constants)?;
    // Their places follow from what was given.
    let placed = |made: &&MadeValue| Some((made_in(command, made, &raw)?.into_owned(), made.value.clone()));
    dynamic.extend(varying.iter().filter_map(placed));
    Ok(Filled { raw, dynamic, given })
}

/// The rule that answers this request.
fn applies<'a>(device: &'a Device, command: usize, wire: &[u8]) -> Option<&'a Rule> {
    let mut scratch = Vec::new();
    let frame = inner::parse(&device.template, wire, &mut scratch).ok()?;
    matching(device, command, &frame).map(|(_, rule)| rule)
}

/// What the delays of these rules, or of the one that answers, come to.
fn timing<'a>(rules: impl Iterator<Item = &'a Rule> + Clone, answers: Option<&Rule>) -> Timing {
    let ns = |ms: f64| (ms * 1e6) as u64;
    match answers {
        Some(rule) => Timing { least_ns: ns(shortest(rule.delay)), most_ns: ns(longest(rule.delay)) },
        None => Timing {
            least_ns: ns(rules.clone().map(|rule| shortest(rule.delay)).reduce(f64::min).unwrap_or(0.0)),
            most_ns: ns(rules.map(|rule| longest(rule.delay)).fold(0.0, f64::max)),
        },
    }
}

/// How much later faults on purpose may make a reply of these rules.
fn held_back_ns(fsu: &Fsu, rules: &[Rule]) -> u64 {
    let Some(faults) = &fsu.faults else { return 0 };
    let ms = |set: &FaultSet| {
        let extra = if set.p(FaultKind::ExtraDelay).is_some() { set.extra_delay_ms } else { 0 };
        extra.saturating_add(if set.p(FaultKind::Reorder).is_some() { set.reorder_ms } else { 0 })
    };
    let of_fsu = [&faults.base].into_iter().chain(faults.schedule.iter().map(|scheduled| &scheduled.faults)).map(ms);
    let of_rules = rules.iter().filter_map(|rule| rule.faults.as_deref()).map(ms);
    of_fsu.max().unwrap_or(0).max(of_rules.max().unwrap_or(0)).saturating_mul(1_000_000)
}

/// Shortest delay, in milliseconds.
fn shortest(delay: Delay) -> f64 {
    match delay {
        Delay::Fixed(ms) | Delay::Uniform(ms, _) => ms,
        Delay::None | Delay::Normal(..) | Delay::Lognormal(..) => 0.0,
    }
}

/// Longest delay, in milliseconds, except for one in a thousand.
fn longest(delay: Delay) -> f64 {
    match delay {
        Delay::None => 0.0,
        Delay::Fixed(ms) => ms,
        Delay::Uniform(_, most) => most,
        Delay::Normal(mean, deviation) => mean + 3.1 * deviation,
        Delay::Lognormal(mu, sigma) => (mu + 3.1 * sigma).exp(),
    }
}
