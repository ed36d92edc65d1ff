//! Messages: frames that a device sends unasked, and what acknowledges them.

use super::back;
use super::model::Verdict;
use fsu_core::client::layouts::as_it_is;
use fsu_plan::model::conversation::{Conversation, DeviceMessage};
use fsu_plan::model::fleet::{Device, Fsu};
use fsu_plan::model::reply::Payload;
use fsu_plan::model::rule::FrameOf;
use fsu_plan::wire::inner;
use std::ops::Range;
use std::sync::Arc;

/// Which messages a frame may be, and what acknowledges them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    names: Vec<Box<str>>,
    /// Keys of the commands that acknowledge one.
    acks: Vec<Box<str>>,
}

impl Said {
    fn add(&mut self, device: &Device, message: &DeviceMessage) {
        if self.names.contains(&message.name) {
            return;
        }
        self.names.push(message.name.clone());
        let ack = message.ack.as_ref().map(|ack| key(device, ack.frame));
        self.acks.extend(ack.filter(|ack| !self.acks.contains(ack)));
    }

    /// What it is, and how it was recognised.
    pub(super) fn text(&self, key: &str) -> String {
        let what = match &*self.names {
            [one] => format!("the message {one}"),
            all => format!("one of the messages {}", all.join(", ")),
        };
        if key.is_empty() { what } else { format!("{what}, by the size and the constants of its frame {key}") }
    }

    /// What follows it.
    pub(super) fn verdict(&self) -> Verdict {
        let verdict = back::verdict("a message of the FSU");
        if self.acks.is_empty() {
            return verdict;
        }
        Verdict { text: format!("a message of the FSU: {} acknowledges it", self.acks.join(", ")), ..verdict }
    }
}

/// The messages that a frame of one of these devices may be: the device, the layout, the command and the messages. Raw bytes are of
/// no command.
pub(super) fn said(fsu: &Fsu, mut devices: Range<usize>, wire: &[u8]) -> Option<(usize, u16, usize, Said)> {
    devices.find_map(|number| of_device(fsu.devices.get(number)?, number, wire))
}

fn of_device(device: &Device, number: usize, wire: &[u8]) -> Option<(usize, u16, usize, Said)> {
    let conversation = device.conversation.as_deref()?;
    let mut found: Option<(FrameOf, Said)> = None;
    for message in &conversation.messages {
        for (frame, reply) in message.rule.frames.iter().zip(&message.rule.replies) {
            let template = device.layout(frame.layout);
            let is_it = if matches!(reply.payload, Payload::Raw) {
                as_it_is(template, &reply.frame.to_vec()).0 == wire
            } else {
                let mut raw = Vec::new();
                inner::parse(template, wire, &mut raw).is_ok_and(|read| {
                    let command = frame.command.and_then(|command| template.commands.get(command as usize));
                    inner::reply_lengths_ok(template, &read).is_ok()
                        && inner::checksum_ok(template, &read)
                        && back::agreement(template, command, reply, &read).is_whole()
                })
            };
            let is_same = found.as_ref().is_none_or(|(known, _)| known == frame);
            if is_it && is_same {
                found.get_or_insert_with(|| (*frame, Said::default())).1.add(device, message);
            }
        }
    }
    let (frame, said) = found?;
    Some((number, frame.layout, frame.command.map_or(usize::MAX, |command| command as usize), said))
}

/// What a request acknowledges, as a text; `None`: nothing.
pub(super) fn acknowledges(fsu: &Fsu, device: usize, command: usize) -> Option<String> {
    let device = fsu.devices.get(device)?;
    let home = device.layouts.home.map_or(Some(device), |home| fsu.devices.get(usize::from(home)));
    let conversation: &Arc<Conversation> = home?.conversation.as_ref()?;
    let heeded = conversation.heeds(device.layouts.own, command).filter(|heeded| !heeded.acknowledges.is_empty())?;
    let name = |number: &u16| conversation.messages.get(usize::from(*number)).map(|message| &*message.name);
    let names: Vec<&str> = heeded.acknowledges.iter().filter_map(name).collect();
    Some(match &*names {
        [one] => format!("acknowledges the message {one}, where that waits for it"),
        all => format!("acknowledges one of the messages {}, where one waits for it", all.join(", ")),
    })
}

/// `8100`, `layout/8100`
fn key(device: &Device, frame: FrameOf) -> Box<str> {
    let template = device.layout(frame.layout);
    let command = frame.command.and_then(|command| template.commands.get(command as usize));
    let key = command.map_or("", |command| &*command.key_text);
    match device.layouts.all.get(usize::from(frame.layout)).filter(|_| frame.layout > 0) {
        Some(layout) => format!("{}/{key}", layout.name).into(),
        None => key.into(),
    }
}
