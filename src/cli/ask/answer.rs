//! One answer, read by its template.

use super::{Ended, Question};
use fsu_core::client::layouts::told;
use fsu_core::dissect::inner::{Content, Inner, Piece, Reading, fields_of};
use fsu_plan::model::field::Field;
use fsu_plan::wire::inner::of_raw;

/// An answer and its data.
pub(super) struct Answer<'a> {
    frame: Inner<'a>,
    /// The data of the answer, or what followed it.
    pub(super) data: &'a [u8],
    /// The fields of the data; none if it is not the command's reply.
    fields: &'a [Field],
    /// It is bytes as they are (`raw` of a rule), without header and tail.
    is_plain: bool,
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
        let told = told(question.device, question.command, raw);
        let template = told.template;
        let content = if told.command.is_some() { Content::Reply } else { Content::Bytes };
        let reading = Reading { command: told.command.and_then(|number| template.commands.get(number)), content };
        let frame = Inner::new(template, of_raw(template, raw), reading);
        let is_plain = told.command.is_none();
        let data = if is_plain { raw } else { frame.data() };
        Self { data, fields: reading.fields().unwrap_or_default(), frame, is_plain }
    }

    fn with_data(self, data: &'a [u8], is_reply: bool) -> Self {
        let Reading { command, .. } = self.frame.reading;
        let is_whole = self.walks() || command.map(|command| command.response_len) == Some(data.len());
        if is_reply && is_whole {
            return Self { data, ..self };
        }
        let reading = Reading { command, content: Content::Bytes };
        Self { data, fields: &[], frame: Inner { reading, ..self.frame }, ..self }
    }

    /// Header and tail.
    pub(super) fn header(&self) -> impl Iterator<Item = Piece<'a>> {
        let is_there = !self.is_plain && !self.frame.frame.raw.is_empty();
        self.frame.header().chain(self.frame.tail()).filter(move |_| is_there)
    }

    /// Names and values of its data: of fields that have a place, then of those behind a field of variable size.
    pub(super) fn values(&self) -> impl Iterator<Item = (String, String)> {
        let walked = self.frame.walked().0.into_iter().map(|element| (element.path, element.value));
        decoded(fields_of(self.frame.template, self.fields, self.data)).chain(walked)
    }

    /// Whether its data has fields.
    pub(super) fn has_fields(&self) -> bool {
        self.walks() || !self.fields.is_empty()
    }

    fn walks(&self) -> bool {
        self.frame.reading.walk().is_some()
    }
}

/// Names and values.
pub(super) fn decoded<'a>(pieces: impl Iterator<Item = Piece<'a>>) -> impl Iterator<Item = (String, String)> {
    pieces.map(|piece| {
        let mut text = String::new();
        piece.text(&mut text);
        (piece.name().to_owned(), text)
    })
}
