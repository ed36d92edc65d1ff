//! Splits the vendor's frame into header, data frame and tail.

use super::right::Right;
use crate::about::{About, NO_REPLY, What};
use crate::walked::{self, Element};
use fsu_plan::model::field::{Computed, Field};
use fsu_plan::model::fleet::Device;
use fsu_plan::model::rule::FrameOf;
use fsu_plan::model::template::{Command, Template};
use fsu_plan::model::walk::Walk;
use fsu_plan::wire::inner::{self, Frame};
use fsu_plan::wire::value;
use fsu_plan::wire::walk::{Event, Wrong, visit};

/// How to read the data frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Content {
    /// The fields of the command's request.
    Request,
    /// The fields of the command's reply.
    Reply,
    /// Bytes without fields: data of a transfer, a refusal, a frame of no known command.
    #[default]
    Bytes,
}

/// What the reader knows about a frame.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading<'a> {
    /// Its command; for a reply, the command that it answers.
    pub command: Option<&'a Command>,
    /// How to read its data frame.
    pub content: Content,
}

impl<'a> Reading<'a> {
    /// Takes what the responder knew about a frame that it received or sent.
    pub fn of(template: &'a Template, is_request: bool, about: About) -> Self {
        let content = match about.what {
            _ if is_request => Content::Request,
            What::Answered => Content::Reply,
            _ => Content::Bytes,
        };
        Self { command: template.commands.get(usize::from(about.command)), content }
    }

    /// Like [`Self::of`], for a frame of one of the device's commands, with the template that it is read by: a reply may be of another
    /// entry or another layout than its request.
    pub fn of_device(device: &'a Device, is_request: bool, about: About) -> (&'a Template, Self) {
        let rules = device.rules.get(usize::from(about.command));
        let rule = match about.what {
            What::Message => device
                .conversation
                .as_ref()
                .and_then(|all| all.messages.get(usize::from(about.rule)))
                .map(|message| &message.rule),
            _ => rules.and_then(|rules| rules.get(usize::from(about.rule))).filter(|_| !is_request),
        };
        let own = Self::of(&device.template, is_request, about);
        let Some(rule) = rule.filter(|rule| !rule.frames.is_empty()) else { return (&device.template, own) };
        match rule.frames.get(usize::from(about.reply)).filter(|_| about.reply != NO_REPLY) {
            Some(FrameOf { layout, command: Some(command) }) => {
                let template = &**device.layout(*layout);
                (template, Self { command: template.commands.get(*command as usize), ..own })
            }
            // Bytes as they are, or one behind those that are counted.
            _ => (&device.template, Self { content: Content::Bytes, ..own }),
        }
    }

    /// The program of its data frame; `None` if all fields have fixed places.
    pub fn walk(&self) -> Option<&'a Walk> {
        let walk = match self.content {
            Content::Request => self.command?.request_walk(),
            Content::Reply => self.command?.reply_walk(),
            Content::Bytes => None,
        };
        walk.map(|walk| &**walk)
    }

    /// The data-frame fields with fixed places, in template order; `None` if there are no fields.
    pub fn fields(&self) -> Option<&'a [Field]> {
        match self.content {
            Content::Request => self.command?.request.as_deref(),
            Content::Reply => Some(&self.command?.response),
            Content::Bytes => None,
        }
    }
}

/// A piece of a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Piece<'a> {
    /// What it is.
    pub is: Is<'a>,
    /// Offset of its first byte in the raw frame.
    pub at: usize,
    /// Its bytes; empty if the frame ends before them.
    pub bytes: &'a [u8],
    /// The data frame is too short for this field: its bytes belong to the tail, or there are none.
    pub is_past_end: bool,
}

/// What a piece is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Is<'a> {
    /// A field of the template.
    Field(&'a Field),
    /// The bytes of a data frame behind its fields.
    Fill,
    /// A data frame without fields.
    Data,
}

impl<'a> Piece<'a> {
    #[inline]
    fn of(field: &'a Field, raw: &'a [u8]) -> Self {
        let at = field.at.in_frame(raw.len());
        let bytes = raw.get(at..).and_then(|rest| rest.get(..field.slot.len)).unwrap_or_default();
        Self { is: Is::Field(field), at, bytes, is_past_end: false }
    }

    /// Its name, as the template spells it.
    pub fn name(&self) -> &'a str {
        match self.is {
            Is::Field(field) => &field.name,
            Is::Fill => "(fill)",
            Is::Data => "(data)",
        }
    }

    /// Its field, if it has one.
    pub fn field(&self) -> Option<&'a Field> {
        match self.is {
            Is::Field(field) => Some(field),
            Is::Fill | Is::Data => None,
        }
    }

    /// Appends its value as text for people ([`value::decode`]); appends nothing if it is no field.
    pub fn text(&self, out: &mut String) {
        if let Is::Field(field) = self.is {
            value::decode(&field.slot, self.bytes, out);
        }
    }
}

/// A dissected vendor's frame.
#[derive(Clone, Copy, Debug)]
pub struct Inner<'a> {
    /// Its template.
    pub template: &'a Template,
    /// Its bytes.
    pub frame: Frame<'a>,
    /// What is known about it.
    pub reading: Reading<'a>,
    /// Bytes that its `{{data_frame_length}}` fields do not count ([`inner::less`]).
    pub less: i64,
}

impl<'a> Inner<'a> {
    /// Takes a frame that [`inner::parse`] returned for this template.
    #[inline]
    pub fn new(template: &'a Template, frame: Frame<'a>, reading: Reading<'a>) -> Self {
        Self { template, frame, reading, less: inner::less(template, &frame, reading.command) }
    }

    /// All pieces in wire order, except those of [`Self::walked`].
    pub fn pieces(&self) -> impl Iterator<Item = Piece<'a>> + use<'a> {
        self.header().chain(self.fields()).chain(self.rest()).chain(self.tail())
    }

    /// The fields of the header.
    #[inline]
    pub fn header(&self) -> impl Iterator<Item = Piece<'a>> + use<'a> {
        of(&self.template.left, self.frame.raw)
    }

    /// The fields of the tail.
    #[inline]
    pub fn tail(&self) -> impl Iterator<Item = Piece<'a>> + use<'a> {
        of(&self.template.tail, self.frame.raw)
    }

    /// The whole data frame.
    #[inline]
    pub fn data(&self) -> &'a [u8] {
        let rest = self.frame.raw.get(self.template.left_len..);
        rest.and_then(|rest| rest.get(..self.frame.data_len)).unwrap_or_default()
    }

    /// The data-frame fields with fixed places, including those that the data frame is too short for.
    #[inline]
    pub fn fields(&self) -> impl Iterator<Item = Piece<'a>> + use<'a> {
        let (raw, end) = (self.frame.raw, self.data_end());
        let fields = self.reading.fields().unwrap_or_default();
        of(fields, raw).map(move |piece| {
            let len = piece.field().map_or(0, |field| field.slot.len);
            Piece { is_past_end: piece.at.saturating_add(len) > end, ..piece }
        })
    }

    /// The elements of the data frame from the first field of variable size on, up to where the frame stops fitting its program; and why it
    /// stops. Empty for other data frames. Allocates the names of the elements.
    pub fn walked(&self) -> (Vec<Element<'a>>, Option<Wrong>) {
        self.reading.walk().map_or((Vec::new(), None), |walk| walked::elements(walk, self.frame.raw))
    }

    /// The end of the last of these elements; 0 if there are none.
    fn walked_to(&self) -> usize {
        let mut end = 0;
        if let Some(walk) = self.reading.walk() {
            // If the frame does not fit, the elements before that place count.
            let _ = visit(walk, self.frame.raw, |event| {
                if let Event::Field { to, .. } = event {
                    end = to;
                }
            });
        }
        end
    }

    /// The bytes of the data frame behind its fields.
    pub fn rest(&self) -> Option<Piece<'a>> {
        let fields = self.fields().filter(|piece| !piece.is_past_end);
        let done = fields.fold(self.template.left_len, |done, piece| done.max(piece.at + piece.bytes.len()));
        let done = done.max(self.walked_to());
        let bytes = self.frame.raw.get(done..self.data_end()).filter(|bytes| !bytes.is_empty())?;
        let walks = self.reading.walk().is_some();
        let has_fields = walks || self.reading.fields().is_some_and(|fields| !fields.is_empty());
        Some(Piece { is: if has_fields { Is::Fill } else { Is::Data }, at: done, bytes, is_past_end: false })
    }

    fn data_end(&self) -> usize {
        self.template.left_len + self.frame.data_len
    }

    /// The expected bytes of a length or checksum in the header or the tail; any bytes for other fields.
    #[inline]
    pub fn computed(&self, field: &Field) -> Right<'a> {
        match field.computed {
            Computed::Length => {
                let length = self.template.lengths.iter().find(|length| length.at == field.at);
                length.map_or(Right::Any, |length| Right::length(length, self.frame.data_len, self.less))
            }
            Computed::Checksum => Right::checksum(self.template, &self.frame, field.at),
            Computed::No | Computed::Start | Computed::End => Right::Any,
        }
    }

    /// The expected bytes of a piece: start, end, length, checksum; in a request also the constants that are checked.
    pub fn right(&self, piece: &Piece<'a>) -> Right<'a> {
        let (Some(field), template) = (piece.field(), self.template) else { return Right::Any };
        match field.computed {
            Computed::Start => return Right::Bytes(&template.start),
            Computed::End => return Right::Bytes(&template.end),
            Computed::Length | Computed::Checksum | Computed::No => {}
        }
        let computed = self.computed(field);
        if computed != Right::Any || field.computed == Computed::Checksum || self.reading.content != Content::Request {
            return computed;
        }
        let command = self.reading.command;
        let mut counts = command.into_iter().flat_map(|command| &command.counts);
        if let Some(count) = counts.find(|count| count.length.at == field.at) {
            return Right::length(&count.length, self.frame.data_len, self.less);
        }
        let constants = command.map(|command| command.constants.iter().chain(&command.lengths));
        let mut constants = template.versions.iter().chain(constants.into_iter().flatten());
        constants.find(|constant| constant.at == field.at).map_or(Right::Any, Right::Constant)
    }
}

/// The fields of a data frame on its own, such as the data of a transfer, which arrives in several frames. Offsets are those in a
/// complete frame with this data frame.
pub fn fields_of<'a>(
    template: &Template,
    fields: &'a [Field],
    data: &'a [u8],
) -> impl Iterator<Item = Piece<'a>> + use<'a> {
    let (from, len) = (template.left_len, template.left_len + data.len() + template.tail_len);
    fields.iter().map(move |field| {
        let at = field.at.in_frame(len);
        let bytes = at.checked_sub(from).and_then(|at| data.get(at..)?.get(..field.slot.len));
        Piece { is: Is::Field(field), at, bytes: bytes.unwrap_or_default(), is_past_end: bytes.is_none() }
    })
}

#[inline]
fn of<'a>(fields: &'a [Field], raw: &'a [u8]) -> impl Iterator<Item = Piece<'a>> + use<'a> {
    fields.iter().map(move |field| Piece::of(field, raw))
}
