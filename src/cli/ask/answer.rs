//! One answer, read by its template.

use super::{Ended, Question};
use fsu_core::dissect::inner::{Content, Inner, Piece, Reading, fields_of};
use fsu_plan::model::field::Field;
use fsu_plan::wire::inner::parsed;

/// An answer and its data.
pub(super) struct Answer<'a> {
    frame: Inner<'a>,
    /// The data of the answer, or what followed it.
    pub(super) data: &'a [u8],
    /// The fields of the data; none if it is not the command's reply.
    fields: &'a [Field],
}

impl<'a> Answer<'a> {
    /// The first answer.
    pub(super) fn first(question: &Question<'a>, ended: &'a Ended) -> Self {
        let answer = Self::of(question, &ended.answer);
        let has_payload = question.device.template.transfer.is_some();
        let data = if has_payload { &ended.payload } else { answer.data };
        answer.with_data(data, ended.error.is_none() && !ended.answer.is_empty())
    }

    /// A later reply of a burst.
    pub(super) fn another(question: &Question<'a>, raw: &'a [u8]) -> Self {
        let answer = Self::of(question, raw);
        let data = answer.data;
        answer.with_data(data, true)
    }

    fn of(question: &Question<'a>, raw: &'a [u8]) -> Self {
        let template = &*question.device.template;
        let reading = Reading { command: template.commands.get(question.command), content: Content::Reply };
        let frame = Inner::new(template, parsed(template, raw, raw), reading);
        Self { data: frame.data(), fields: reading.fields().unwrap_or_default(), frame }
    }

    fn with_data(self, data: &'a [u8], is_reply: bool) -> Self {
        let response_len = self.frame.reading.command.map(|command| command.response_len);
        let fields = if is_reply && response_len == Some(data.len()) { self.fields } else { &[] };
        Self { data, fields, ..self }
    }

    /// Header and tail.
    pub(super) fn header(&self) -> impl Iterator<Item = Piece<'a>> {
        let is_there = !self.frame.frame.raw.is_empty();
        self.frame.header().chain(self.frame.tail()).filter(move |_| is_there)
    }

    /// The fields of its data.
    pub(super) fn fields(&self) -> impl Iterator<Item = Piece<'a>> {
        fields_of(self.frame.template, self.fields, self.data)
    }

    /// Whether its data has fields.
    pub(super) fn has_fields(&self) -> bool {
        !self.fields.is_empty()
    }
}

/// Names and values.
pub(super) fn decoded<'a>(pieces: impl Iterator<Item = Piece<'a>>) -> impl Iterator<Item = (&'a str, String)> {
    pieces.map(|piece| {
        let mut text = String::new();
        piece.text(&mut text);
        (piece.name(), text)
    })
}
