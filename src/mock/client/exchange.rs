//! One command: its answer and, where data follows, its transfer (spec broadcast.md, Exchange).
//!
//! The answer must carry the number (SN) of the last command sent. Each try gets a new number, so a late answer to an earlier
//! try is not mistaken for the answer to this one. Data frames are accepted only after the answer and in order; repeated frames
//! are ignored. A loss shows as silence: [`Exchange::on_time`] asks again, a bounded number of times for each frame.

use super::layouts::{Others, is_whole};
use super::request::finish;
use fsu_plan::model::field::KeyPart;
use fsu_plan::model::template::Template;
use fsu_plan::model::transfer::Transfer;
use fsu_plan::wire::checksum::{read_number, write_number};
use fsu_plan::wire::inner::{self, write_lengths};

/// How long a client waits, and how often it asks again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Milliseconds to wait for each frame.
    pub timeout_ms: u64,
    /// How often the same thing is asked again; also how often a lost transfer is restarted.
    pub retries: u32,
}

/// Does data follow an answer that accepts?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follows {
    /// No.
    Nothing,
    /// Yes.
    Data,
    /// Unknown: if no data comes, ask for it once.
    Unknown,
}

/// What a command expects, and how patiently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Whether data follows.
    pub follows: Follows,
    /// How patient the client is.
    pub patience: Patience,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered, and all its data is there.
    Done,
    /// The answer refuses it.
    Refused,
    /// No answer, or a data frame did not come, after all retries.
    TimedOut,
    /// The transfer was refused while it was running, after all restarts.
    Lost,
    /// More data than the template's `bytes_max`.
    TooLong,
}

/// What one command took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Datagrams sent.
    pub sent: u64,
    /// Of these, retries after silence.
    pub retries: u64,
    /// Transfers restarted.
    pub restarts: u64,
    /// Frames received and ignored: repeated, out of order, of another device, or damaged.
    pub passed_over: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    Answer,
    Data,
}

/// One command on its way.
#[derive(Debug)]
pub struct Exchange<'p> {
    template: &'p Template,
    follows: Follows,
    patience: Patience,
    /// The raw request.
    request: Vec<u8>,
    /// A raw frame on its way out.
    frame: Vec<u8>,
    out: Vec<u8>,
    has_out: bool,
    raw: Vec<u8>,
    waiting: Waiting,
    answer: Vec<u8>,
    payload: Vec<u8>,
    /// Number of the data frame waited for.
    next: u64,
    /// Same question asked again.
    tries: u32,
    restarts: u32,
    deadline_ms: u64,
    outcome: Option<Outcome>,
    tally: Tally,
    others: Others<'p>,
}

impl<'p> Exchange<'p> {
    /// Sends a raw request (see [`super::request::build`]); [`Exchange::to_send`] has it.
    pub fn new(template: &'p Template, request: Vec<u8>, follows: Follows, patience: Patience, now_ms: u64) -> Self {
        let mut exchange = Self {
            template,
            follows: if template.transfer.is_some() { follows } else { Follows::Nothing },
            patience,
            frame: Vec::new(),
            out: Vec::new(),
            has_out: false,
            raw: Vec::new(),
            waiting: Waiting::Answer,
            answer: Vec::new(),
            payload: Vec::new(),
            next: 0,
            tries: 0,
            restarts: 0,
            deadline_ms: 0,
            outcome: None,
            tally: Tally::default(),
            others: Others::default(),
            request,
        };
        exchange.send_command(now_ms);
        exchange
    }

    /// Also takes these as answers.
    #[must_use]
    pub fn with_others(self, others: Others<'p>) -> Self {
        Self { others, ..self }
    }

    /// Starts another command in place of this one, with the next number, for the same device id or another. Keeps the buffers.
    pub fn again(&mut self, template: &'p Template, request: &[u8], terms: Terms, now_ms: u64) {
        let Terms { follows, patience } = terms;
        let before = self.template.transfer.as_ref().map(|transfer| get(&transfer.sn, &self.request));
        self.template = template;
        self.follows = if template.transfer.is_some() { follows } else { Follows::Nothing };
        self.patience = patience;
        self.request.clear();
        self.request.extend_from_slice(request);
        (self.tries, self.restarts, self.outcome, self.tally) = (0, 0, None, Tally::default());
        if let (Some(transfer), Some(before)) = (&template.transfer, before) {
            put(&transfer.sn, before.wrapping_add(1) & transfer.count_mask(), &mut self.request);
        }
        self.send_command(now_ms);
    }

    /// The datagram to send now, once.
    pub fn to_send(&mut self) -> Option<&[u8]> {
        std::mem::take(&mut self.has_out).then_some(self.out.as_slice())
    }

    /// When [`Exchange::on_time`] should be called; `None`: it is over.
    pub fn deadline_ms(&self) -> Option<u64> {
        self.outcome.is_none().then_some(self.deadline_ms)
    }

    /// How it ended, once it has.
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    /// The answer's raw frame; empty before it came.
    pub fn answer(&self) -> &[u8] {
        &self.answer
    }

    /// The data so far; all of it after [`Outcome::Done`].
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The raw request as it was sent last.
    pub fn request(&self) -> &[u8] {
        &self.request
    }

    /// The device id of its request; `None`: its template has none.
    pub fn did(&self) -> Option<u64> {
        Some(get(&self.template.transfer.as_ref()?.did, &self.request))
    }

    /// Its template.
    pub fn template(&self) -> &'p Template {
        self.template
    }

    /// What it took.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    fn send_command(&mut self, now_ms: u64) {
        self.waiting = Waiting::Answer;
        self.answer.clear();
        self.payload.clear();
        self.next = 0;
        self.frame.clone_from(&self.request);
        self.send(now_ms);
        // With its checksum.
        self.request.clone_from(&self.frame);
    }

    /// Asks for data frame [`Self::next`].
    fn send_demand(&mut self, transfer: &Transfer, now_ms: u64) {
        let template = self.template;
        self.frame.clone_from(&self.request);
        let data = template.left_len..self.frame.len().saturating_sub(template.tail_len).max(template.left_len);
        self.frame.drain(data);
        self.frame[transfer.cmd.clone()].copy_from_slice(&transfer.next.bytes);
        put(&transfer.sn, self.next, &mut self.frame);
        write_lengths(&template.lengths, 0, template.less, &mut self.frame);
        self.send(now_ms);
    }

    fn send(&mut self, now_ms: u64) {
        finish(self.template, &mut self.frame, &mut self.out);
        self.has_out = true;
        self.tally.sent += 1;
        self.deadline_ms = now_ms.saturating_add(self.patience.timeout_ms);
    }

    /// Time has passed. Nothing happens before the deadline.
    pub fn on_time(&mut self, now_ms: u64) {
        if self.outcome.is_some() || now_ms < self.deadline_ms {
            return;
        }
        if self.tries >= self.patience.retries {
            self.outcome = Some(Outcome::TimedOut);
            return;
        }
        self.tries += 1;
        self.tally.retries += 1;
        match (self.waiting, &self.template.transfer) {
            (Waiting::Data, Some(transfer)) => self.send_demand(transfer, now_ms),
            _ => self.send_again(now_ms),
        }
    }

    /// The command under its next number.
    fn send_again(&mut self, now_ms: u64) {
        if let Some(transfer) = &self.template.transfer {
            let sn = get(&transfer.sn, &self.request).wrapping_add(1) & transfer.count_mask();
            put(&transfer.sn, sn, &mut self.request);
        }
        self.send_command(now_ms);
    }

    /// The transfer is gone: starts over, unless that was done too often.
    fn restart(&mut self, now_ms: u64) {
        if self.restarts >= self.patience.retries {
            self.outcome = Some(Outcome::Lost);
            return;
        }
        self.restarts += 1;
        self.tally.restarts += 1;
        self.tries = 0;
        self.send_again(now_ms);
    }

    /// A frame came (on a stream or the B interface: the inner frame). False: it was ignored.
    pub fn on_frame(&mut self, wire: &[u8], now_ms: u64) -> bool {
        if self.outcome.is_some() {
            return false;
        }
        let mut raw = std::mem::take(&mut self.raw);
        let taken = match inner::parse(self.template, wire, &mut raw) {
            Ok(frame)
                if inner::reply_lengths_ok(self.template, &frame).is_ok()
                    && inner::checksum_ok(self.template, &frame) =>
            {
                self.on_raw(frame.raw, now_ms)
            }
            _ => {
                let others = std::mem::take(&mut self.others);
                let taken = others.read(wire, &mut raw).is_some_and(|other| self.on_raw(other, now_ms));
                self.others = others;
                taken
            }
        };
        self.raw = raw;
        self.tally.passed_over += u64::from(!taken);
        taken
    }

    /// After the answer: the raw frame if this is one more answer to the request, from a burst.
    pub fn another(&mut self, wire: &[u8]) -> Option<Vec<u8>> {
        if !is_whole(self.template, wire, &mut self.raw) {
            return self.others.read(wire, &mut self.raw).map(<[u8]>::to_vec);
        }
        let raw = inner::parsed(self.template, wire, &self.raw).raw;
        let is_answer = self.template.transfer.as_ref().is_none_or(|transfer| {
            [&transfer.did, &transfer.sn].iter().all(|part| get(part, raw) == get(part, &self.request))
                && raw[transfer.cmd.clone()] == self.request[transfer.cmd.clone()]
        });
        is_answer.then(|| raw.to_vec())
    }

    /// False: the frame is ignored.
    fn on_raw(&mut self, raw: &[u8], now_ms: u64) -> bool {
        let Some(transfer) = &self.template.transfer else {
            self.answer.extend_from_slice(raw);
            self.outcome = Some(Outcome::Done);
            return true;
        };
        if get(&transfer.did, raw) != get(&transfer.did, &self.request) {
            return false;
        }
        let cmd = &raw[transfer.cmd.clone()];
        let sn = get(&transfer.sn, raw);
        let accepts = raw[transfer.accept.clone()].iter().all(|&byte| byte == 0);
        if *cmd == *transfer.data_cmd {
            return self.waiting == Waiting::Data && accepts && self.on_data(transfer, sn, raw, now_ms);
        }
        if self.waiting == Waiting::Data && *cmd == *transfer.next.bytes && !accepts {
            return self.on_refused_demand(sn, now_ms);
        }
        if self.waiting == Waiting::Answer
            && *cmd == self.request[transfer.cmd.clone()]
            && sn == get(&transfer.sn, &self.request)
        {
            self.on_answer(raw, accepts, now_ms);
            return true;
        }
        false
    }

    fn on_answer(&mut self, raw: &[u8], accepts: bool, now_ms: u64) {
        self.answer.extend_from_slice(raw);
        if !accepts {
            self.outcome = Some(Outcome::Refused);
        } else if self.follows == Follows::Nothing {
            self.outcome = Some(Outcome::Done);
        } else {
            self.waiting = Waiting::Data;
            self.deadline_ms = now_ms.saturating_add(self.patience.timeout_ms);
        }
    }

    fn on_data(&mut self, transfer: &Transfer, sn: u64, raw: &[u8], now_ms: u64) -> bool {
        if sn & transfer.count_mask() != self.next {
            return false;
        }
        let data = raw.get(self.template.left_len..raw.len() - self.template.tail_len).unwrap_or_default();
        if self.payload.len() + data.len() > transfer.bytes_max {
            self.outcome = Some(Outcome::TooLong);
            return true;
        }
        self.payload.extend_from_slice(data);
        self.tries = 0;
        if sn & transfer.last_mark() != 0 {
            self.outcome = Some(Outcome::Done);
        } else {
            self.next += 1;
            self.send_demand(transfer, now_ms);
        }
        true
    }

    fn on_refused_demand(&mut self, sn: u64, now_ms: u64) -> bool {
        if sn != self.next {
            return false;
        }
        if self.next == 0 && self.follows == Follows::Unknown {
            // The demand was made to find out: there is no data.
            self.outcome = Some(Outcome::Done);
        } else {
            self.restart(now_ms);
        }
        true
    }
}

/// The device id that a frame carries; `None`: the template has none.
pub fn did(template: &Template, raw: &[u8]) -> Option<u64> {
    Some(get(&template.transfer.as_ref()?.did, raw))
}

/// A header field as a number.
fn get(part: &KeyPart, raw: &[u8]) -> u64 {
    let at = part.at.in_frame(raw.len());
    read_number(raw.get(at..at + part.len).unwrap_or_default(), part.little)
}

fn put(part: &KeyPart, value: u64, raw: &mut [u8]) {
    let at = part.at.in_frame(raw.len());
    if let Some(out) = raw.get_mut(at..at + part.len) {
        write_number(value, part.little, out);
    }
}
