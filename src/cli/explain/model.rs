//! An explanation as data: the output of `--json`, and the source of the text.
//!
//! Bytes are upper-case hex. Empty keys are omitted.

use serde::Serialize;

/// The whole explanation.
#[derive(Debug, Serialize)]
pub(super) struct Explanation {
    /// The FSU that gets the bytes.
    pub(super) fsu: FsuHead,
    /// Local time at which the FSU gets the bytes.
    pub(super) clock: String,
    /// Seed of random values.
    pub(super) seed: u64,
    /// The bytes given.
    pub(super) hex: String,
    /// What they are read as, and who is assumed to have sent them.
    pub(super) taken_for: Vec<String>,
    /// Oddities of the bytes given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) notes: Vec<String>,
    /// The pieces found in the bytes, in order.
    pub(super) items: Vec<Item>,
    /// The amplification factor; only over datagrams.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) amplification: Option<Amplification>,
    /// What is sent, in order: whole datagrams, or inner frames over TCP.
    pub(super) replies: Vec<String>,
}

/// The size of all replies to a datagram, relative to the datagram.
#[derive(Debug, Serialize)]
pub(super) struct Amplification {
    /// Size of the datagram in bytes.
    pub(super) request_bytes: usize,
    /// Total size of the replies in bytes.
    pub(super) reply_bytes: usize,
    /// `reply_bytes / request_bytes`.
    pub(super) factor: f64,
    /// Which of the replies are sent to another host, counted from 1.
    pub(super) to_another_host: Vec<usize>,
    /// The same as text.
    pub(super) text: String,
}

/// A summary of an FSU.
#[derive(Debug, Serialize)]
pub(super) struct FsuHead {
    /// Its name.
    pub(super) name: String,
    /// udp, tcp or broadcast.
    pub(super) transport: &'static str,
    /// Listen address.
    pub(super) bind: String,
    /// Its id; empty if it has none.
    pub(super) id: String,
}

/// A piece of the bytes: a frame, or bytes that are no frame.
#[derive(Debug, Default, Serialize)]
pub(super) struct Item {
    /// `outer frame`, `inner frame`, `datagram`, `bytes`
    pub(super) what: &'static str,
    /// Offset in the bytes given.
    pub(super) offset: usize,
    /// The bytes.
    pub(super) hex: String,
    /// What it is read as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) taken_for: Option<String>,
    /// The fields found, from the outermost layer in.
    pub(super) layers: Vec<Layer>,
    /// The device that it went to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) device: Option<String>,
    /// How the command was recognised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) command: Option<CommandView>,
    /// In a frame from the FSU: which command it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) answers: Option<Answers>,
    /// The command's rules, in the order of evaluation.
    pub(super) rules: Vec<RuleView>,
    /// Its faults. A frame with faults may still get a reply.
    pub(super) faults: Vec<Fault>,
    /// The result for this piece.
    pub(super) verdict: Verdict,
    /// What is sent: at most the first [`REPLIES_SHOWN_MAX`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) replies: Vec<ReplyView>,
    /// How many more are sent. Their bytes are in the `replies` of the whole explanation.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) more_replies: usize,
}

/// Number of replies to one request whose fields are shown.
pub(super) const REPLIES_SHOWN_MAX: usize = 8;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(n: &usize) -> bool {
    *n == 0
}

/// What a frame from the FSU answers.
#[derive(Debug, Serialize)]
pub(super) struct Answers {
    /// The command's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) command: Option<String>,
    /// The same as text, and how it was recognised.
    pub(super) text: String,
    /// Keys of other commands that it may also answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) others: Vec<String>,
}

/// A group of fields.
#[derive(Debug, Default, Serialize)]
pub(super) struct Layer {
    /// `outer frame`, `header`, `data frame`, `tail`
    pub(super) name: String,
    /// What its offsets are relative to, and its oddities.
    pub(super) notes: Vec<String>,
    /// In wire order.
    pub(super) fields: Vec<Row>,
    /// Whether it is the data frame.
    #[serde(skip)]
    pub(super) is_data: bool,
}

impl Layer {
    /// Whether it belongs to the outer frame.
    pub(super) fn is_outer(&self) -> bool {
        self.name.starts_with("outer")
    }
}

/// The field name for bytes behind the fields of a frame.
pub(super) const FILL: &str = "(fill)";
/// The field name for a data frame without fields.
pub(super) const DATA: &str = "(data)";

/// One field.
#[derive(Debug, Default, Serialize)]
pub(super) struct Row {
    /// Offset in the unescaped outer frame, or in the raw inner frame.
    pub(super) offset: usize,
    /// Its bytes.
    pub(super) bytes: String,
    /// Its name.
    pub(super) field: String,
    /// Its type.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub(super) kind: String,
    /// Its value in JSON notation.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) value: String,
    /// Whether it has the expected value; only for fields that are checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ok: Option<bool>,
    /// The expected value in the field's notation, if the value is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expected: Option<String>,
    /// For a reply: where the value comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<String>,
}

/// A fault of a frame.
#[derive(Debug, Serialize)]
pub(super) struct Fault {
    /// The reason, as in the counters.
    pub(super) reason: &'static str,
    /// The same as text.
    pub(super) meaning: String,
    /// What the offset is relative to: `bytes given`, `outer frame`, `inner frame`, `inner frame (characters)`.
    pub(super) within: &'static str,
    /// The offset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) offset: Option<usize>,
    /// What was expected.
    pub(super) expected: String,
    /// What was found.
    pub(super) found: String,
}

/// How the command was recognised.
#[derive(Debug, Serialize)]
pub(super) struct CommandView {
    /// The key, as hex digits.
    pub(super) key: String,
    /// The place and value of each of its parts.
    pub(super) parts: Vec<String>,
    /// Commands with that key, in file order.
    pub(super) candidates: Vec<Candidate>,
}

/// A command with the request's key.
#[derive(Debug, Serialize)]
pub(super) struct Candidate {
    /// Its number among the template's commands, from 1.
    pub(super) number: usize,
    /// Whether it was chosen.
    pub(super) chosen: bool,
    /// Why it was chosen or not.
    pub(super) why: String,
}

/// A rule of the command.
#[derive(Debug, Serialize)]
pub(super) struct RuleView {
    /// Its place in the file.
    pub(super) origin: String,
    /// `matched`, `does not match`, `not reached`
    pub(super) outcome: &'static str,
    /// Its `when`.
    pub(super) when: Vec<Condition>,
    /// Whether it gives no reply.
    pub(super) timeout: bool,
    /// Its delay.
    pub(super) delay: String,
    /// Which of its replies is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cycle: Option<String>,
    /// The registers that it sets; if it matched, with their new values as text.
    pub(super) set: Vec<String>,
    /// Number of replies to one request, if there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) burst: Option<u32>,
    /// Configured faults with their probabilities. None of them is applied here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) may_happen: Vec<String>,
}

/// One condition of a `when`.
#[derive(Debug, Serialize)]
pub(super) struct Condition {
    /// The value that it asks for.
    pub(super) wants: String,
    /// The value in the request.
    pub(super) has: String,
    /// Whether they are equal.
    pub(super) fits: bool,
}

/// The result for a piece.
#[derive(Debug, Default, Serialize)]
pub(super) struct Verdict {
    /// `reply`, `error reply`, `heartbeat`, `no reply`, `dropped`, `partial`, `from the FSU`
    pub(super) what: &'static str,
    /// Why nothing is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<&'static str>,
    /// The same as text.
    pub(super) text: String,
}

/// A message that the FSU sends.
#[derive(Debug, Serialize)]
pub(super) struct ReplyView {
    /// `answer`, `heartbeat`, `data frame`
    pub(super) what: &'static str,
    /// The bytes.
    pub(super) hex: String,
    /// The bytes of the inner frame, if there is an outer frame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) inner: Option<String>,
    /// Delay in milliseconds.
    pub(super) after_ms: i64,
    /// Its fields.
    pub(super) layers: Vec<Layer>,
}
