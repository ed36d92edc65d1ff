//! An answer for programs.

use super::answer::{Answer, decoded};
use super::{Ended, Question};
use fsu_core::client::exchange::Outcome;
use fsu_plan::model::template::ErrorReply;
use serde_json::{Map, Value, json};
use std::io::{self, Write};

/// One object: the frames as hex digits, as they travelled, and what they say.
pub(super) fn write(question: &Question<'_>, ended: &Ended, out: &mut dyn Write) -> io::Result<()> {
    let template = &*question.device.template;
    let command = &template.commands[question.command];
    let answer = Answer::first(question, ended);
    let object = |pairs: &mut dyn Iterator<Item = (String, String)>| -> Map<String, Value> {
        pairs.map(|(name, text)| (name, text.into())).collect()
    };
    let others = ended.others.iter().map(|(raw, wire)| {
        let answer = Answer::another(question, raw);
        json!({
            "answer": hex::encode_upper(wire),
            "header": object(&mut decoded(answer.header())),
            "data": hex::encode_upper(answer.data),
            "fields": object(&mut answer.values()),
        })
    });
    let told = json!({
        "fsu": &*question.fsu.name,
        "to": question.to.to_string(),
        "command": &*command.key_text,
        "outcome": match ended.outcome {
            Outcome::Done => "answered",
            Outcome::Refused => "refused",
            Outcome::TimedOut => "timed_out",
            Outcome::Lost => "transfer_lost",
            Outcome::TooLong => "too_long",
        },
        "error_reply": ended.error.map(ErrorReply::name),
        "took_ms": (ended.took.as_secs_f64() * 1e6).round() / 1e3,
        "request": hex::encode_upper(&ended.request_wire),
        "answer": hex::encode_upper(&ended.answer_wire),
        "header": object(&mut decoded(answer.header())),
        "data": hex::encode_upper(answer.data),
        "fields": object(&mut answer.values()),
        "others": others.collect::<Vec<Value>>(),
        "missing": ended.missing,
        "as_the_rules_say": template.transfer.as_ref().and_then(|_| question.should.holds(&ended.payload)),
        "sent": ended.tally.sent,
        "retries": ended.tally.retries,
        "restarts": ended.tally.restarts,
        "passed_over": ended.tally.passed_over,
    });
    writeln!(out, "{told:#}")
}
