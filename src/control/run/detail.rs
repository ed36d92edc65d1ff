//! One FSU, whole; requests without a reply.

use super::shown::{kind, millis, text};
use super::state::{short, states};
use super::{Running, no_fsu, within};
use crate::api::detail::{Command, Cycle, Device, DeviceMessage, Entry, Exchange, FsuDetail};
use crate::api::error::{Code, Failure};
use crate::api::fsus::{Unanswered, UnansweredList, UnansweredQuery};
use crate::explain::Frame;
use crate::limits::UNANSWERED_TOLD_MAX;
use fsu_core::answer::talk::Event;
use fsu_plan::model::fleet::{Device as DevicePlan, Fsu as Plan};
use fsu_plan::model::message::Transport;
use fsu_serve::fleet::stats::Totals;
use fsu_serve::steer::{self, CommandNow, DeviceNow, MessageNow, View};
use wildmatch::WildMatch;

/// Requests without a reply that are told if nothing is said.
const UNANSWERED: usize = 50;
/// Those of a shard that are looked at.
const OF_A_SHARD: usize = 256;

impl Running {
    /// An FSU by its name.
    pub(super) async fn detail(&self, name: String) -> Result<FsuDetail, Failure> {
        let view = self.steering.view();
        let number = view.fleet.fsus.iter().position(|fsu| *fsu.name == *name).ok_or_else(|| no_fsu(&name))? as u32;
        let known = within(self.steering.detail(&view, number)).await?;
        let now_ms = view.about.since.elapsed().as_millis() as u64;
        let (plan, fsu) = (view.fsu(number), short(&view, &known.now, now_ms));
        let (Some(plan), Some(fsu)) = (plan, fsu) else { return Err(no_fsu(&name)) };
        let counters = serde_json::to_value(Totals::new(known.now.counters.clone(), false));
        let counters = counters.map_err(|error| Failure::new(Code::Internal, error.to_string()))?;
        let devices = plan.devices.iter().enumerate().filter(|(_, device)| device.is_own());
        let devices = devices.map(|(number, device)| {
            let number = number as u16;
            let now = known.devices.iter().find(|now| now.device == number);
            let states = states(plan, &known.now, Some(number));
            Device { states, ..self::device((plan, &view.fleet.params), (number, device), now) }
        });
        let devices = devices.collect();
        let exchanges = known.exchanges.iter();
        Ok(FsuDetail {
            fsu,
            devices,
            counters,
            commands: known.commands.iter().filter_map(|now| command(plan, now)).collect(),
            exchanges: exchanges.map(|one| self.exchange(&view, number, one)).collect(),
        })
    }

    fn exchange(&self, view: &View, fsu: u32, one: &steer::Exchange) -> Exchange {
        let frame = Frame {
            fsu,
            bytes: &one.bytes,
            is_from_fsu: !matches!(one.kind, fsu_serve::devlog::RecordKind::Received),
            unix_ms: one.unix_ms,
        };
        let is_whole = one.bytes.len() == one.len;
        Exchange {
            time: millis(one.unix_ms),
            peer: one.peer.to_string(),
            kind: kind(one).to_owned(),
            hex: hex::encode_upper(&one.bytes),
            bytes: one.len,
            text: self.explain.line(&view.fleet, frame),
            explain: is_whole.then(|| self.explain.json(&view.fleet, frame)),
        }
    }

    /// The last requests without a reply.
    pub(super) async fn silent(&self, asked: UnansweredQuery) -> Result<UnansweredList, Failure> {
        let n = asked.n.unwrap_or(UNANSWERED);
        if !(1..=UNANSWERED_TOLD_MAX).contains(&n) {
            return Err(Failure::bad(format!("n is 1 to {UNANSWERED_TOLD_MAX}")).at("n"));
        }
        let view = self.steering.view();
        let all = within(self.steering.unanswered(&view, OF_A_SHARD)).await?;
        let wanted = asked.fsu.as_deref().map(WildMatch::new);
        let is_wanted = |one: &&steer::Unanswered| {
            let name = view.fsu(one.fsu).map(|fsu| &*fsu.name);
            wanted.as_ref().is_none_or(|wanted| name.is_some_and(|name| wanted.matches(name)))
        };
        let unanswered = all.last.iter().filter(is_wanted).take(n).map(|one| {
            let exchange = &one.exchange;
            let frame = Frame { fsu: one.fsu, bytes: &exchange.bytes, is_from_fsu: false, unix_ms: exchange.unix_ms };
            Unanswered {
                time: millis(exchange.unix_ms),
                fsu: view.fsu(one.fsu).map(|fsu| fsu.name.to_string()),
                peer: Some(exchange.peer.to_string()),
                hex: hex::encode_upper(&exchange.bytes),
                bytes: exchange.len,
                reason: one.reason().to_owned(),
                explain: self.explain.text(&view.fleet, frame),
            }
        });
        Ok(UnansweredList { held: all.last.len(), total: all.total, unanswered: unanswered.collect() })
    }
}

/// A command by its key and name, and what became of its requests.
fn command(plan: &Plan, now: &CommandNow) -> Option<Command> {
    let device = plan.devices.get(usize::from(now.device))?;
    let command = device.template.commands.get(usize::from(now.command))?;
    Some(Command {
        command: command.key_text.to_string(),
        name: device.layout_name().map_or_else(String::new, str::to_owned),
        received: now.counts.received,
        answered: now.counts.answered,
        dropped: now.counts.dropped,
    })
}

fn device(
    (plan, view_params): (&Plan, &[Box<str>]),
    (number, device): (u16, &DevicePlan),
    now: Option<&DeviceNow>,
) -> Device {
    let none = DeviceNow::default();
    let now = now.unwrap_or(&none);
    let conversation = device.conversation.as_deref();
    let messages = conversation.map(|conversation| &*conversation.messages).unwrap_or_default();
    let counted = |known: Option<&MessageNow>, event: Event| known.map_or(0, |known| known.counts[event as usize]);
    let messages = messages.iter().map(|message| {
        let known = now.messages.iter().find(|known| known.message == message.name);
        DeviceMessage {
            message: message.name.to_string(),
            args: message.args.iter().map(ToString::to_string).collect(),
            sent: known.map_or(0, |known| known.raised),
            pending: known.map_or(0, |known| known.pending.into()),
            acknowledged: counted(known, Event::Acknowledged),
            retried: counted(known, Event::Retried),
            refused: counted(known, Event::Refused),
            given_up: counted(known, Event::GivenUp),
        }
    });
    let param = |number: u32| view_params.get(number as usize).map_or_else(|| number.to_string(), ToString::to_string);
    let named = |all: &[(Box<str>, Vec<u8>)], show: fn(&[u8]) -> String| {
        all.iter().map(|(name, bytes)| (name.to_string(), show(bytes))).collect()
    };
    let entry = |(key, value): &(Vec<u8>, Vec<u8>)| Entry { key: text(key), value: text(value) };
    let cycles = now.cycles.iter().enumerate().map(|(cycle, &place)| self::cycle(device, cycle as u32, place));
    Device {
        device: number,
        vendor: device.vendor.to_string(),
        address: (plan.transport == Transport::Udp).then(|| format!("{:02X}", device.sub_dev_addr)),
        registers: named(&now.registers, text),
        memory: named(&now.memory, |bytes| hex::encode_upper(bytes)),
        keyed: now.keyed.iter().map(|(name, all)| (name.to_string(), all.iter().map(entry).collect())).collect(),
        counters: now.counters.iter().map(|(name, drawn)| (name.to_string(), *drawn)).collect(),
        params: now.params.iter().map(|(number, value)| (param(*number), value.to_string())).collect(),
        cycles: cycles.collect(),
        states: Vec::new(),
        messages: messages.collect(),
    }
}

/// A cycle of replies: the rule that has it.
fn cycle(device: &DevicePlan, cycle: u32, place: u32) -> Cycle {
    let commands =
        device.rules.iter().enumerate().flat_map(|(command, rules)| rules.iter().map(move |rule| (command, rule)));
    let mut found = commands.filter(|(_, rule)| rule.cycle == Some(cycle));
    let (command, of) = found.next().map_or((String::new(), 0), |(command, rule)| {
        let key = device.template.commands.get(command).map(|command| command.key_text.to_string());
        (key.unwrap_or_default(), rule.replies.len() as u64)
    });
    Cycle { command, place: place.into(), of }
}
