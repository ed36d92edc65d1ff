//! A device as one FSU has it. Parameters and the id of an FSU never change, so whoever asks it knows them: conditions and values
//! of varying size that read them depend on the request alone. Pure.

use fsu_plan::model::calc::{Calc, Op};
use fsu_plan::model::fleet::{Device, Fsu};
use fsu_plan::model::profile::Profiled;
use fsu_plan::model::reply::{Expr, Part, Payload, Reply};
use fsu_plan::model::rule::Rule;
use fsu_plan::model::walk::Put;
use std::sync::Arc;

/// The rules of a device for one FSU.
#[derive(Clone, Debug)]
pub struct Own {
    shared: Arc<Device>,
    /// Only with the rules of commands that read what is the FSU's own.
    bound: Option<Arc<Device>>,
}

impl Own {
    /// Puts parameters and the id of the FSU into the rules of its device.
    pub fn new(fsu: &Fsu, device: &Arc<Device>) -> Self {
        let reads = |rules: &[Rule]| rules.iter().any(rule_reads);
        if !device.rules.iter().any(|rules| reads(rules)) {
            return Self { shared: Arc::clone(device), bound: None };
        }
        let of_command = |rules: &[Rule]| {
            if reads(rules) { rules.iter().map(|rule| bound(fsu, rule)).collect() } else { Box::default() }
        };
        let bound = Device {
            vendor: device.vendor.clone(),
            sub_dev_type: device.sub_dev_type,
            sub_dev_addr: device.sub_dev_addr,
            template: Arc::clone(&device.template),
            verify_checksum: device.verify_checksum,
            rules: device.rules.iter().map(|rules| of_command(rules)).collect(),
            cycles: device.cycles,
            registers: Box::default(),
            keeps: Arc::clone(&device.keeps),
            profiles: Profiled::new(),
            layouts: device.layouts.clone(),
            conversation: None,
        };
        Self { shared: Arc::clone(device), bound: Some(Arc::new(bound)) }
    }

    /// The device that answers a command: with the FSU's own values, if its rules read any.
    pub fn device(&self, command: usize) -> &Arc<Device> {
        let has_rules = |device: &&Arc<Device>| device.rules.get(command).is_some_and(|rules| !rules.is_empty());
        self.bound.as_ref().filter(has_rules).unwrap_or(&self.shared)
    }

    /// Whether any rule reads what is the FSU's own.
    pub fn is_bound(&self) -> bool {
        self.bound.is_some()
    }
}

fn rule_reads(rule: &Rule) -> bool {
    rule.test.as_ref().is_some_and(|test| calc_reads(test)) || rule.replies.iter().any(|reply| reply_reads(reply))
}

fn reply_reads(reply: &Reply) -> bool {
    match &reply.payload {
        Payload::Walked(steps) => steps.ops.iter().any(put_reads),
        _ => false,
    }
}

fn put_reads(put: &Put) -> bool {
    match put {
        Put::Text(text) => text.varies && text.value.parts.iter().any(part_reads),
        Put::Choose(choose) => {
            let cases = choose.cases.iter().map(|(_, steps)| steps);
            cases.chain(&choose.otherwise).any(|steps| steps.iter().any(put_reads))
        }
        _ => false,
    }
}

fn part_reads(part: &Part) -> bool {
    match part {
        Part::FsuId => true,
        Part::Calc(calc) => calc_reads(calc),
        _ => false,
    }
}

fn calc_reads(calc: &Calc) -> bool {
    calc.ops.iter().any(|op| matches!(op, Op::FsuId | Op::Param(_)))
}

/// The rule with the FSU's values in its condition and replies. What it does to memory is left out: nobody executes it.
fn bound(fsu: &Fsu, rule: &Rule) -> Rule {
    let mut test = rule.test.clone();
    if let Some(test) = &mut test {
        bind(fsu, test);
    }
    let reply =
        |reply: &Arc<Reply>| if reply_reads(reply) { Arc::new(bound_reply(fsu, reply)) } else { Arc::clone(reply) };
    Rule {
        when: rule.when.clone(),
        walked: rule.walked.clone(),
        test,
        asks_more: rule.asks_more,
        timeout: rule.timeout,
        delay: rule.delay,
        cycle: rule.cycle,
        burst: rule.burst,
        gaps_ms: rule.gaps_ms.clone(),
        frames: rule.frames.clone(),
        faults: rule.faults.clone(),
        replies: rule.replies.iter().map(reply).collect(),
        sets: rule.sets.clone(),
        effects: Box::default(),
        origin: rule.origin.clone(),
    }
}

fn bound_reply(fsu: &Fsu, reply: &Reply) -> Reply {
    let mut out = reply.clone();
    if let Payload::Walked(steps) = &mut out.payload {
        steps.ops.iter_mut().for_each(|put| bind_put(fsu, put));
    }
    out
}

fn bind_put(fsu: &Fsu, put: &mut Put) {
    match put {
        Put::Text(text) => bind_value(fsu, &mut text.value),
        Put::Choose(choose) => {
            let cases = choose.cases.iter_mut().map(|(_, steps)| steps);
            cases.chain(&mut choose.otherwise).flatten().for_each(|put| bind_put(fsu, put));
        }
        _ => {}
    }
}

fn bind_value(fsu: &Fsu, value: &mut Expr) {
    for part in &mut value.parts {
        match part {
            Part::FsuId => {
                let mut id = Vec::new();
                fsu.id.push_hex(&mut id);
                *part = Part::Literal(String::from_utf8_lossy(&id).into());
            }
            Part::Calc(calc) => bind(fsu, calc),
            _ => {}
        }
    }
}

/// Puts the FSU's values into the texts of an expression.
fn bind(fsu: &Fsu, calc: &mut Calc) {
    if !calc_reads(calc) {
        return;
    }
    let mut pool = std::mem::take(&mut calc.pool).into_vec();
    for op in &mut calc.ops {
        let from = pool.len();
        match *op {
            Op::FsuId => fsu.id.push_hex(&mut pool),
            Op::Param(number) => {
                let text = fsu.params.get(number as usize).map_or("", |text| text);
                pool.extend_from_slice(text.as_bytes());
            }
            _ => continue,
        }
        *op = Op::Text(from as u32, pool.len() as u32);
    }
    calc.pool = pool.into();
    calc.is_of_request = !calc.ops.iter().any(is_beyond);
}

/// Whether an operation reads more than the request and the FSU's own values.
fn is_beyond(op: &Op) -> bool {
    matches!(
        op,
        Op::Clock(_)
            | Op::Datetime(_)
            | Op::FsuId
            | Op::Param(_)
            | Op::Arg(_)
            | Op::Register(_)
            | Op::RegisterBytes(_)
            | Op::Entry(_)
            | Op::EntryBytes(_)
            | Op::Has(_)
            | Op::Key(_)
            | Op::Entries(_)
            | Op::Mem(..)
            | Op::MemBits(..)
            | Op::Count(..)
            | Op::Rand
            | Op::Choice(_)
            | Op::Ramp
            | Op::Sine
            | Op::Walk(_)
            | Op::Csv(_)
    )
}
