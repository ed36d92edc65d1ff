//! An explanation as data: what `--json` prints, and what the text is made from.
//!
//! Bytes are upper-case hex. Keys that would be empty are left out.

use serde::Serialize;

/// All of it.
#[derive(Debug, Serialize)]
pub(super) struct Explanation {
    /// Who gets the bytes.
    pub(super) fsu: FsuHead,
    /// The local time that the reply's clock starts from.
    pub(super) clock: String,
    /// Seed of random values.
    pub(super) seed: u64,
    /// The bytes given.
    pub(super) hex: String,
    /// What they are taken for, and who is said to have sent them.
    pub(super) taken_for: Vec<String>,
    /// What is odd about the bytes given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) notes: Vec<String>,
    /// What they were found to be, in order.
    pub(super) items: Vec<Item>,
    /// How many times the request its replies are, over datagrams.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) amplification: Option<Amplification>,
    /// What leaves, in order: whole datagrams, or inner frames over TCP.
    pub(super) replies: Vec<String>,
}

/// How many times a datagram all that answers it is.
#[derive(Debug, Serialize)]
pub(super) struct Amplification {
    /// Bytes of the datagram.
    pub(super) request_bytes: usize,
    /// Bytes of all that answers it.
    pub(super) reply_bytes: usize,
    /// The latter over the former.
    pub(super) factor: f64,
    /// Which of the replies are sent to another host, from 1.
    pub(super) to_another_host: Vec<usize>,
    /// The same for people.
    pub(super) text: String,
}

/// An FSU in a line.
#[derive(Debug, Serialize)]
pub(super) struct FsuHead {
    /// Its name.
    pub(super) name: String,
    /// udp, tcp or broadcast.
    pub(super) transport: &'static str,
    /// Listen address.
    pub(super) bind: String,
    /// Its id; empty: it has none.
    pub(super) id: String,
}

/// Some of the bytes: a frame, or none.
#[derive(Debug, Default, Serialize)]
pub(super) struct Item {
    /// `outer frame`, `inner frame`, `datagram`, `bytes`
    pub(super) what: &'static str,
    /// Where they begin in the bytes given.
    pub(super) offset: usize,
    /// The bytes.
    pub(super) hex: String,
    /// What they are taken for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) taken_for: Option<String>,
    /// The fields found, from the outside in.
    pub(super) layers: Vec<Layer>,
    /// The device that it went to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) device: Option<String>,
    /// Which command it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) command: Option<CommandView>,
    /// In a frame from the FSU: which command it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) answers: Option<Answers>,
    /// The command's rules, in the order in which they are tried.
    pub(super) rules: Vec<RuleView>,
    /// What is wrong with it; it may be answered all the same.
    pub(super) faults: Vec<Fault>,
    /// What becomes of it.
    pub(super) verdict: Verdict,
    /// What leaves: at most the first [`REPLIES_SHOWN_MAX`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) replies: Vec<ReplyView>,
    /// How many more leave; their bytes are among those of the whole explanation.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) more_replies: usize,
}

/// Replies to one request whose fields are shown.
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
    /// The same for people, and how it is known.
    pub(super) text: String,
    /// Keys of other commands that it may answer as well.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) others: Vec<String>,
}

/// Fields that belong together.
#[derive(Debug, Default, Serialize)]
pub(super) struct Layer {
    /// `outer frame`, `header`, `data frame`, `tail`
    pub(super) name: String,
    /// What its offsets count, and what is odd about it.
    pub(super) notes: Vec<String>,
    /// In wire order.
    pub(super) fields: Vec<Row>,
    /// It is the data frame.
    #[serde(skip)]
    pub(super) is_data: bool,
}

impl Layer {
    /// It is the outer frame's.
    pub(super) fn is_outer(&self) -> bool {
        self.name.starts_with("outer")
    }
}

/// The field's name where a frame has more bytes than fields.
pub(super) const FILL: &str = "(fill)";
/// The field's name in a data frame without fields.
pub(super) const DATA: &str = "(data)";

/// One field.
#[derive(Debug, Default, Serialize)]
pub(super) struct Row {
    /// Bytes from the beginning of the unescaped outer frame, or of the raw inner frame.
    pub(super) offset: usize,
    /// Its bytes.
    pub(super) bytes: String,
    /// Its name.
    pub(super) field: String,
    /// Its type.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub(super) kind: String,
    /// Its value, in JSON notation.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) value: String,
    /// Whether it is what it has to be; only of fields that are checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ok: Option<bool>,
    /// What it should have been, where it is wrong, in the field's notation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expected: Option<String>,
    /// In a reply: where the value comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<String>,
}

/// Something wrong.
#[derive(Debug, Serialize)]
pub(super) struct Fault {
    /// As counters spell it.
    pub(super) reason: &'static str,
    /// The same for people.
    pub(super) meaning: String,
    /// `bytes given`, `outer frame`, `inner frame`, `inner frame (characters)`: what the offset counts in.
    pub(super) within: &'static str,
    /// Where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) offset: Option<usize>,
    /// What would have been right.
    pub(super) expected: String,
    /// What is there.
    pub(super) found: String,
}

/// How the command was recognised.
#[derive(Debug, Serialize)]
pub(super) struct CommandView {
    /// The key, as hex digits.
    pub(super) key: String,
    /// The place of each of its parts, and its value.
    pub(super) parts: Vec<String>,
    /// Commands with that key, in file order.
    pub(super) candidates: Vec<Candidate>,
}

/// A command with the request's key.
#[derive(Debug, Serialize)]
pub(super) struct Candidate {
    /// Its place among the template's commands, from 1.
    pub(super) number: usize,
    /// It is this one.
    pub(super) chosen: bool,
    /// Why, or why not.
    pub(super) why: String,
}

/// A rule of the command.
#[derive(Debug, Serialize)]
pub(super) struct RuleView {
    /// Its place.
    pub(super) origin: String,
    /// `matched`, `does not match`, `not reached`
    pub(super) outcome: &'static str,
    /// Its `when`.
    pub(super) when: Vec<Condition>,
    /// No reply.
    pub(super) timeout: bool,
    /// Its delay.
    pub(super) delay: String,
    /// Which of its replies it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cycle: Option<String>,
    /// The registers it sets; with the text that they get, where it matched.
    pub(super) set: Vec<String>,
    /// Replies to one request, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) burst: Option<u32>,
    /// Faults that may be made on purpose, with their probabilities. None of them is drawn here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) may_happen: Vec<String>,
}

/// One condition of a `when`.
#[derive(Debug, Serialize)]
pub(super) struct Condition {
    /// What is asked for.
    pub(super) wants: String,
    /// What the request has there.
    pub(super) has: String,
    /// Whether that is the same.
    pub(super) fits: bool,
}

/// What becomes of a frame.
#[derive(Debug, Default, Serialize)]
pub(super) struct Verdict {
    /// `reply`, `error reply`, `heartbeat`, `no reply`, `dropped`, `partial`, `from the FSU`
    pub(super) what: &'static str,
    /// Why nothing leaves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<&'static str>,
    /// The same for people.
    pub(super) text: String,
}

/// What leaves.
#[derive(Debug, Serialize)]
pub(super) struct ReplyView {
    /// `answer`, `heartbeat`, `data frame`
    pub(super) what: &'static str,
    /// The bytes.
    pub(super) hex: String,
    /// Those of the inner frame, where there is an outer one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) inner: Option<String>,
    /// After that many milliseconds.
    pub(super) after_ms: i64,
    /// Its fields.
    pub(super) layers: Vec<Layer>,
}
