//! What a device says unasked, as data and for people.

use super::model::{ReplyPlan, reply_plan};
use super::text::write_reply;
use crate::describe::{self, Names, span};
use crate::text_out::TextOut;
use fsu_core::predict::target;
use fsu_plan::model::calc::Asked;
use fsu_plan::model::conversation::{Ack, AckValue, Conversation, DeviceMessage, On, Otherwise, Repeat, To};
use fsu_plan::model::fleet::{Device, Fsu};
use fsu_plan::model::reply::Payload;
use fsu_plan::model::rule::{Delay, FrameOf};
use fsu_plan::model::template::{Command, Template};
use fsu_plan::words::count;
use serde::Serialize;
use std::io::{self, Write};

/// One message.
#[derive(Debug, Serialize)]
pub(super) struct MessagePlan {
    pub(super) name: String,
    pub(super) origin: String,
    /// When it leaves, one line each.
    pub(super) sent: Vec<String>,
    /// The state in which it is sent.
    #[serde(rename = "while", skip_serializing_if = "Option::is_none")]
    pub(super) within: Option<String>,
    pub(super) enters: Vec<String>,
    pub(super) leaves: Vec<String>,
    pub(super) to: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) when: Option<String>,
    pub(super) delay: String,
    /// Names of its arguments.
    pub(super) args: Vec<String>,
    pub(super) set: Vec<String>,
    /// How many of the frames are sent each time: of a cycle the next ones.
    pub(super) burst: u32,
    /// Number of the device's cycle place.
    pub(super) cycle: Option<u32>,
    pub(super) frames: Vec<MessageFrame>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ack: Option<AckPlan>,
}

/// One frame of a message.
#[derive(Debug, Serialize)]
pub(super) struct MessageFrame {
    /// The command whose frame it is, `layout/KEY`; empty: bytes as they are.
    pub(super) command: String,
    #[serde(flatten)]
    pub(super) reply: ReplyPlan,
}

/// What acknowledges a message.
#[derive(Debug, Serialize)]
pub(super) struct AckPlan {
    pub(super) frame: String,
    /// Fields of the acknowledgement, and those of the message that they equal.
    #[serde(rename = "match")]
    pub(super) matches: Vec<[String; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) when: Option<String>,
    pub(super) within_ms: u64,
    pub(super) retries: u32,
    pub(super) backoff: f64,
    #[serde(rename = "else")]
    pub(super) otherwise: String,
    /// What a centre writes, `field = value`.
    pub(super) data: Vec<String>,
}

impl MessagePlan {
    /// Whether it is a frame of the command with that key of a layout, or is acknowledged by one. Layout: empty, or its name.
    pub(super) fn is_of(&self, layout: &str, key: &str) -> bool {
        let names = |frame: &str| frame == key || frame.split_once('/') == Some((layout, key));
        self.frames.iter().any(|one| names(&one.command)) || self.ack.as_ref().is_some_and(|ack| names(&ack.frame))
    }
}

/// The messages of a device.
pub(super) fn messages(fsu: &Fsu, device: &Device) -> Vec<MessagePlan> {
    let Some(conversation) = device.conversation.as_deref() else { return Vec::new() };
    let of = Of { fsu, device, conversation };
    conversation.messages.iter().map(|message| of.message(message)).collect()
}

#[derive(Clone, Copy)]
struct Of<'a> {
    fsu: &'a Fsu,
    device: &'a Device,
    conversation: &'a Conversation,
}

impl<'a> Of<'a> {
    fn message(self, message: &DeviceMessage) -> MessagePlan {
        let names = Names { device: self.device, command: None };
        let frames = message.rule.replies.iter().zip(&message.rule.frames);
        let frame = |(reply, frame): (&std::sync::Arc<fsu_plan::model::reply::Reply>, &FrameOf)| {
            let named = self.names(*frame);
            let mut plan = reply_plan(named.unwrap_or(names), reply);
            if named.is_none() {
                // Another layout has other fields there.
                let unnamed = reply.patches.iter().map(|patch| {
                    let (to, len) = target(patch);
                    format!("reply[{to}..{}] = {}", to + len, names.source(patch))
                });
                plan.patches = unnamed.collect();
            }
            if let Payload::Walked(_) = reply.payload {
                plan.patches.push("then what varies in size".into());
            }
            MessageFrame { command: self.key(*frame), reply: plan }
        };
        MessagePlan {
            name: message.name.to_string(),
            origin: message.rule.origin.to_string(),
            sent: self.sent(message),
            within: message.within.map(|state| self.states(1 << state).concat()),
            enters: self.states(message.enters),
            leaves: self.states(message.leaves),
            to: message.to.name(),
            when: message.rule.test.as_ref().map(|test| test.source.to_string()),
            delay: if message.rule.delay == Delay::None { String::new() } else { describe::delay(message.rule.delay) },
            args: message.args.iter().map(ToString::to_string).collect(),
            set: names.effects(&message.rule),
            burst: message.rule.burst,
            cycle: message.rule.cycle,
            frames: frames.map(frame).collect(),
            ack: message.ack.as_ref().map(|ack| self.ack(message, ack)),
        }
    }

    /// When a message leaves, one line each.
    fn sent(self, message: &DeviceMessage) -> Vec<String> {
        let named = |number: u16| self.conversation.messages.get(usize::from(number)).map_or("?", |one| &one.name);
        let own = self.conversation.messages.iter().position(|one| std::ptr::eq(one, message));
        let followed = || {
            let follows = |numbers: &[u16]| numbers.iter().any(|&number| Some(usize::from(number)) == own);
            let commands = self.conversation.heeded.iter().filter(move |heeded| follows(&heeded.followed_by));
            commands.map(|heeded| format!("once {} was answered", self.key(heeded.frame)))
        };
        let mut out = Vec::new();
        for on in &message.on {
            match *on {
                On::Start => out.push("at the start".to_owned()),
                On::Connect => out.push("when a centre connects".into()),
                On::Trigger => out.push("when it is triggered".into()),
                On::Ack(number) => out.push(format!("once the message {} is acknowledged", named(number))),
                On::After => out.extend(followed()),
            }
        }
        if let Some(Repeat { every_ms, jitter, is_aligned }) = message.repeat {
            let how = if is_aligned { "all FSUs at the same moment" } else { "spread evenly over the fleet" };
            let late = (every_ms as f64 * jitter).round();
            let late = if late > 0.0 { format!(", each up to {late} ms late") } else { String::new() };
            out.push(format!("every {every_ms} ms, {how}{late}"));
        }
        if !message.at_ms.is_empty() {
            let moments: Vec<String> = message.at_ms.iter().map(|&ms| (ms as f64 / 1_000.0).to_string()).collect();
            out.push(format!("{} s after the start of the run", moments.join(", ")));
        }
        out.extend(message.cron.iter().map(|cron| format!("by the calendar: {}", cron.text)));
        out
    }

    fn states(self, mask: u64) -> Vec<String> {
        let all = self.conversation.states.iter().enumerate();
        all.filter(|(number, _)| mask >> number & 1 == 1).map(|(_, name)| name.to_string()).collect()
    }

    fn ack(self, message: &DeviceMessage, ack: &Ack) -> AckPlan {
        let sent = |asked: &Asked| self.field(message.rule.frames.first().copied(), asked, false);
        let value = |(name, value): &(Box<str>, AckValue)| match value {
            AckValue::Constant(value) => format!("{name} = {value}"),
            AckValue::Copy(from) => format!("{name} = #{{{}}}#", sent(from)),
        };
        AckPlan {
            frame: self.key(ack.frame),
            matches: ack
                .matches
                .iter()
                .map(|one| [self.field(Some(ack.frame), &one.acked, true), sent(&one.sent)])
                .collect(),
            when: ack.when.as_ref().map(|test| test.source.to_string()),
            within_ms: ack.within_ms,
            retries: ack.retries,
            backoff: ack.backoff,
            otherwise: match ack.otherwise {
                Otherwise::GiveUp => "give_up".into(),
                Otherwise::Reconnect => "reconnect".into(),
                Otherwise::Leave(states) => format!("leave:{}", self.states(states).join(",")),
            },
            data: ack.data.iter().map(value).collect(),
        }
    }

    fn template(self, layout: u16) -> &'a Template {
        let layouts = &self.device.layouts.all;
        layouts.get(usize::from(layout)).map_or(&*self.device.template, |layout| &*layout.template)
    }

    fn command(self, frame: FrameOf) -> Option<&'a Command> {
        self.template(frame.layout).commands.get(frame.command? as usize)
    }

    /// `0200`, `layout/0200`; empty for bytes as they are.
    fn key(self, frame: FrameOf) -> String {
        let Some(command) = self.command(frame) else { return String::new() };
        match self.device.layouts.all.get(usize::from(frame.layout)).filter(|_| frame.layout > 0) {
            Some(layout) => format!("{}/{}", layout.name, command.key_text),
            None => command.key_text.to_string(),
        }
    }

    /// The names of a frame's fields; `None`: its layout has no device.
    fn names(self, frame: FrameOf) -> Option<Names<'a>> {
        let command = self.command(frame);
        if frame.layout == self.device.layouts.own {
            return Some(Names { device: self.device, command });
        }
        let is_it = |device: &&std::sync::Arc<Device>| {
            let home = device.layouts.home.and_then(|home| self.fsu.devices.get(usize::from(home)));
            device.layouts.own == frame.layout && home.is_some_and(|home| std::ptr::eq(&raw const **home, self.device))
        };
        self.fsu.devices.iter().find(is_it).map(|device| Names { device, command })
    }

    /// A field of a frame by its name.
    fn field(self, frame: Option<FrameOf>, asked: &Asked, is_request: bool) -> String {
        let (at, slot) = match asked {
            Asked::Walked(walked) => return describe::walked_name(walked),
            Asked::Fixed { at, slot } => (*at, slot),
        };
        let template = self.template(frame.map_or(0, |frame| frame.layout));
        let command = frame.and_then(|frame| self.command(frame));
        let data = command.and_then(|one| if is_request { one.request.as_deref() } else { Some(&*one.response) });
        let fields = template.left.iter().chain(data.into_iter().flatten()).chain(&template.tail);
        let found = fields.into_iter().find(|field| field.at == at && field.slot == *slot);
        found.map_or_else(|| span(at, slot.len), |field| field.name.to_string())
    }
}

/// Writes the messages of a device.
pub(super) fn write(messages: &[MessagePlan], out: &mut TextOut<'_>) -> io::Result<()> {
    for message in messages {
        writeln!(out, "\n  message {}, {}", message.name, message.origin)?;
        write_one(message, out)?;
    }
    Ok(())
}

fn write_one(message: &MessagePlan, out: &mut TextOut<'_>) -> io::Result<()> {
    message.sent.iter().try_for_each(|how| writeln!(out, "    sent {how}"))?;
    if let Some(state) = &message.within {
        writeln!(out, "    only in the state {state}")?;
    }
    if let Some(when) = &message.when {
        writeln!(out, "    when {when}")?;
    }
    if message.to == To::Latest.name() {
        writeln!(out, "    to the centre heard last, the newest connection")?;
    }
    if !message.args.is_empty() {
        writeln!(out, "    arguments: {}", message.args.join(", "))?;
    }
    message.set.iter().try_for_each(|set| writeln!(out, "    set {set}"))?;
    if !message.delay.is_empty() {
        writeln!(out, "    {}", message.delay)?;
    }
    for (number, frame) in message.frames.iter().enumerate() {
        if message.cycle.is_some() {
            writeln!(out, "    turn {} of {}", number + 1, message.frames.len())?;
        }
        if !frame.command.is_empty() {
            writeln!(out, "    the frame {}", frame.command)?;
        }
        write_reply(&frame.reply, out)?;
    }
    if let Some(ack) = &message.ack {
        write_ack(ack, out)?;
    }
    for (what, states) in [("enters", &message.enters), ("leaves", &message.leaves)] {
        if !states.is_empty() {
            writeln!(out, "    then {what} {}", states.join(", "))?;
        }
    }
    Ok(())
}

fn write_ack(ack: &AckPlan, out: &mut TextOut<'_>) -> io::Result<()> {
    writeln!(out, "    acknowledged by {} within {} ms", ack.frame, ack.within_ms)?;
    for [acked, sent] in &ack.matches {
        writeln!(out, "      {acked} equals {sent} of the message")?;
    }
    if let Some(when) = &ack.when {
        writeln!(out, "      when {when}")?;
    }
    if ack.retries > 0 {
        let longer =
            if ack.backoff > 1.0 { format!(", each wait {} times the one before", ack.backoff) } else { String::new() };
        writeln!(out, "      else sent again, {}{longer}", count(ack.retries as usize, "time"))?;
    }
    match &*ack.otherwise {
        "give_up" => writeln!(out, "      else given up"),
        "reconnect" => writeln!(out, "      else the connection is closed"),
        other => writeln!(out, "      else leaves the state {}", other.trim_start_matches("leave:")),
    }?;
    ack.data.iter().try_for_each(|value| writeln!(out, "      a centre writes {value}"))
}
