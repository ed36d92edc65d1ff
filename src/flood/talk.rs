//! What devices say unasked, as a centre takes it: which message a frame is, whether it is right, and what acknowledges it. Pure.
//!
//! - [`forms`]: what the messages of a device look like, predicted from the plan as replies are ([`crate::expect`]).
//! - [`own`]: values that each FSU has of its own: its parameters and its id.
//! - [`ack`]: the frame that acknowledges a message.
//! - [`stream`]: the next message of a stream.
//! - [`cast`]: who may speak, and which FSU it is that does.
//! - [`recent`]: what an FSU said before: retries and duplicates.
//! - [`ledger`]: one line for each message.

pub mod ack;
pub mod cast;
pub mod forms;
pub mod ledger;
pub mod own;
pub mod recent;
pub mod stream;
#[cfg(test)]
pub(crate) mod tests;

use ack::{Ack, AckError};
use forms::{Form, Said, Wrongness, forms_of};
use fsu_plan::model::conversation::{Conversation, DeviceMessage};
use fsu_plan::model::fleet::Device;
use fsu_plan::model::template::Template;
use fsu_plan::wire::inner;
use std::sync::Arc;

/// A layout, and the numbers of the forms that are of it.
pub type FormsOfLayout = (Arc<Template>, Box<[u32]>);

/// The messages of one device, as a centre takes them.
#[derive(Debug)]
pub struct Talk {
    /// The device.
    pub device: Arc<Device>,
    /// What it says.
    pub conversation: Arc<Conversation>,
    /// What its messages look like.
    pub forms: Box<[Form]>,
    /// The layouts that its messages have.
    pub layouts: Box<[FormsOfLayout]>,
    /// By form: what acknowledges it; `None`: nothing does.
    acks: Box<[Option<Ack>]>,
    /// By message: how long its device sends it again, all waits together, in milliseconds.
    patience_ms: Box<[u64]>,
}

impl Talk {
    /// Of a device that says something.
    ///
    /// # Errors
    /// A message that cannot be acknowledged.
    pub fn new(device: &Arc<Device>, conversation: &Arc<Conversation>) -> Result<Self, AckError> {
        Self::made(device, conversation, &mut Err)
    }

    /// The same; `unmade` is told what cannot be made, and whether that is an error. If it is none, nothing acknowledges that message.
    pub(crate) fn made(
        device: &Arc<Device>,
        conversation: &Arc<Conversation>,
        unmade: &mut dyn FnMut(AckError) -> Result<(), AckError>,
    ) -> Result<Self, AckError> {
        let forms: Vec<Form> = forms_of(device, conversation);
        let mut layouts: Vec<(Arc<Template>, Vec<u32>)> = Vec::new();
        for (form, number) in forms.iter().zip(0..) {
            match layouts.iter_mut().find(|(template, _)| Arc::ptr_eq(template, &form.template)) {
                Some((_, numbers)) => numbers.push(number),
                None => layouts.push((Arc::clone(&form.template), vec![number])),
            }
        }
        let ack = |form: &Form| {
            let message = &conversation.messages[usize::from(form.message)];
            let Some(ack) = &message.ack else { return Ok(None) };
            let made = Ack::new(device, ack, form, &message.name);
            match made.and_then(|made| made.probe(form, &message.name).map(|()| made)) {
                Ok(made) => Ok(Some(made)),
                Err(error) => unmade(error).map(|()| None),
            }
        };
        let acks = forms.iter().map(ack).collect::<Result<_, _>>()?;
        Ok(Self {
            device: Arc::clone(device),
            conversation: Arc::clone(conversation),
            layouts: layouts.into_iter().map(|(template, numbers)| (template, numbers.into())).collect(),
            forms: forms.into(),
            acks,
            patience_ms: conversation.messages.iter().map(patience_ms).collect(),
        })
    }

    /// The message of a form.
    pub fn message(&self, form: u32) -> &DeviceMessage {
        &self.conversation.messages[usize::from(self.forms[form as usize].message)]
    }

    /// How long a device sends the message of a form again: all its waits together, in milliseconds.
    pub fn patience_ms(&self, form: u32) -> u64 {
        let message = self.forms.get(form as usize).map(|form| usize::from(form.message));
        message.and_then(|message| self.patience_ms.get(message)).copied().unwrap_or(0)
    }

    /// What acknowledges a form.
    pub fn ack(&self, form: u32) -> Option<&Ack> {
        self.acks.get(form as usize)?.as_ref()
    }

    /// Which message a whole frame on the wire is. Of several that it may be, the one with most bytes that are always the same. `raw`
    /// then holds the raw frame.
    pub fn read(&self, wire: &[u8], raw: &mut Vec<u8>) -> Said {
        let mut scratch = Vec::new();
        let mut worst = Wrongness::default();
        for (template, numbers) in &self.layouts {
            let forms = || numbers.iter().map(|&number| (number, &self.forms[number as usize]));
            if let Some((number, form)) = forms().find(|(_, form)| form.is_plain(wire)) {
                raw.clear();
                raw.extend_from_slice(form.frame());
                return Said::Right(number);
            }
            if let Err(wrong) = crate::expect::whole(template, wire, &mut scratch) {
                worst.add(wrong, None);
                continue;
            }
            let frame = inner::parsed(template, wire, &scratch).raw;
            let fitting = forms().filter(|(_, form)| form.check(frame).is_ok());
            if let Some((number, _)) = fitting.max_by_key(|(number, form)| (form.weight(), u32::MAX - number)) {
                raw.clear();
                raw.extend_from_slice(frame);
                return Said::Right(number);
            }
            for (_, form) in forms() {
                let wrong = if form.has_key(frame) { form.check(frame).err() } else { None };
                worst.add(wrong.unwrap_or(crate::expect::Wrong::Key), wrong.map(|_| form.message));
            }
        }
        worst.said()
    }
}

/// All waits of a message together.
fn patience_ms(message: &DeviceMessage) -> u64 {
    let retries = message.ack.as_ref().map_or(0, |ack| ack.retries);
    (0..=retries).filter_map(|sends| message.wait_ms(sends)).fold(0, u64::saturating_add)
}
