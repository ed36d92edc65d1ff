//! What is done with a message, wherever it comes from.

use super::Hearing;
use super::acks::{Fate, Later};
use super::count::{Count, WrongSample};
use crate::clock::Clock;
use crate::expect::Wrong;
use crate::talk::Talk;
use crate::talk::cast::Owner;
use crate::talk::forms::Said;
use crate::talk::ledger::{self, Event};
use crate::talk::recent::{Again, Recent, Told};
use fastrand::Rng;
use fsu_plan::model::conversation::DeviceMessage;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

/// Bytes of a ledger's lines that are gathered.
const LINES_BYTES: usize = 1 << 16;
/// An FSU sends a message again this much later than its plan says, at most.
const SLACK_MS: u64 = 2_000;

/// A message's way back.
#[derive(Clone, Copy, Debug)]
pub enum Path {
    /// A connection, and which one in its place.
    Stream(u32, u32),
    /// A socket, an address, and the FSU and device where an outer frame goes around it.
    Datagram(u32, SocketAddr, Option<(u32, [u8; 2])>),
}

/// A frame that came.
#[derive(Clone, Copy, Debug)]
pub struct Came<'b> {
    /// Number of the talk.
    pub talk: u32,
    /// What it says.
    pub said: Said,
    /// On the wire.
    pub wire: &'b [u8],
    /// The FSU, where the way that it came tells it.
    pub known: Option<u32>,
    /// It came over a connection that is one FSU's from now on, if it tells which.
    pub is_stream: bool,
}

/// An acknowledgement that is to be sent.
#[derive(Clone, Debug)]
pub struct Answer {
    account: u32,
    speaker: Option<u32>,
    talk: u32,
    form: u32,
    key: u64,
    came_ns: u64,
    is_wrong: bool,
}

#[cfg(test)]
impl Answer {
    /// One of many.
    pub(crate) fn of(place: usize) -> Self {
        Self { account: place as u32, speaker: None, talk: 0, form: 0, key: 0, came_ns: 0, is_wrong: false }
    }

    /// Which one.
    pub(crate) fn place(&self) -> usize {
        self.account as usize
    }
}

/// What waits to leave.
#[derive(Debug)]
pub struct Pending {
    pub(crate) path: Path,
    pub(crate) wire: Box<[u8]>,
    pub(crate) answer: Answer,
}

/// What is done with a message, wherever it comes from.
#[derive(Debug)]
pub struct Desk<'a> {
    pub(crate) options: &'a Hearing,
    pub(crate) count: Count,
    pub(crate) later: Later<Pending>,
    /// The run's clock, at the last look.
    pub(crate) now_ns: u64,
    /// The raw frame of the current message.
    pub(crate) raw: Vec<u8>,
    /// The acknowledgement of the current message, without an outer frame.
    pub(crate) wire: Vec<u8>,
    ack_raw: Vec<u8>,
    lines: Vec<u8>,
    clock: Clock,
    start_unix_ms: u64,
    rng: Rng,
}

impl<'a> Desk<'a> {
    /// Of thread `number`.
    pub fn new(options: &'a Hearing, number: usize, clock: Clock) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            options,
            count: Count::new(options.accounts.len(), options.cast.speakers.len()),
            later: Later::default(),
            now_ns: 0,
            raw: Vec::new(),
            wire: Vec::new(),
            ack_raw: Vec::new(),
            lines: Vec::new(),
            clock,
            start_unix_ms: since.saturating_sub(clock.0.elapsed()).as_millis() as u64,
            rng: Rng::with_seed(options.seed ^ (number as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)),
        }
    }

    /// The run's clock.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Looks at the clock, which a run may have started since.
    pub fn look(&mut self, clock: Clock) {
        if clock.0 != self.clock.0 {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            self.start_unix_ms = since.saturating_sub(clock.0.elapsed()).as_millis() as u64;
            self.clock = clock;
        }
        self.now_ns = clock.now_ns();
    }

    fn talk(&self, number: u32) -> &'a Talk {
        &self.options.cast.talks[number as usize]
    }

    /// A frame of a talk came: counts it. Returns the FSU, if it is known now, and the acknowledgement that is to leave after that number of
    /// milliseconds; its bytes are in [`Self::wire`].
    pub fn take(&mut self, came: Came<'_>, recent: &mut Recent) -> (Option<u32>, Option<(Answer, u64)>) {
        let talk = self.talk(came.talk);
        let form = match came.said {
            Said::Right(form) => form,
            Said::Wrong(message, wrong) => {
                let message = message.and_then(|number| talk.conversation.messages.get(usize::from(number)));
                self.wrong(wrong.name(), message, came);
                return (None, None);
            }
        };
        let speaker = match (self.options.cast.owner(came.talk, form, &self.raw), came.known) {
            (Owner::One(number), Some(known)) if number != known => Err(()),
            (Owner::One(number), _) => Ok(Some(number)),
            (Owner::Nobody, _) => Err(()),
            (Owner::Unsaid | Owner::Many, known) => Ok(known),
        };
        let Ok(speaker) = speaker else {
            self.wrong(OWN_VALUE, Some(talk.message(form)), came);
            return (None, None);
        };
        if let Some(speaker) = speaker.filter(|_| came.known.is_none() && came.is_stream) {
            self.options.past.return_to(speaker, recent, self.now_ns / 1_000_000);
        }
        (speaker, self.right(came, form, speaker, recent))
    }

    /// A frame that is not right.
    #[cold]
    fn wrong(&mut self, why: &'static str, message: Option<&DeviceMessage>, came: Came<'_>) {
        let fsu = came.known.map_or(String::new(), |known| self.options.cast.speakers[known as usize].name.to_string());
        self.count.wrong(why, message.map(|message| message.account), || WrongSample {
            fsu,
            message: message.map_or(String::new(), |message| message.name.to_string()),
            bytes: came.wire.to_vec(),
        });
    }

    /// A right message.
    fn right(&mut self, came: Came<'_>, form: u32, speaker: Option<u32>, recent: &mut Recent) -> Option<(Answer, u64)> {
        let talk = self.talk(came.talk);
        let (message, shape) = (talk.message(form), &talk.forms[form as usize]);
        let now_ms = self.now_ns / 1_000_000;
        let rule = &message.rule;
        let is_further = match rule.cycle {
            Some(_) if rule.burst > 1 => {
                let gap_ms = rule.gaps_ms.iter().copied().max().unwrap_or(0);
                recent.is_further(shape.message, rule.burst, u64::from(gap_ms) + SLACK_MS, now_ms)
            }
            _ => shape.part > 0,
        };
        if is_further {
            self.count.messages[message.account as usize].further += 1;
            return None;
        }
        let ack = talk.ack(form);
        let key = if ack.is_some() || self.options.ledger.is_some() { ledger::key(came.wire) } else { 0 };
        let again = message.ack.as_ref().map_or(Again::New, |ack| {
            let told = Told {
                hash: key,
                message: shape.message,
                is_unique: shape.varies && !ack.matches.is_empty(),
                patience_ms: talk.patience_ms(form).saturating_add(SLACK_MS),
            };
            recent.came(told, self.now_ns / 1_000_000)
        });
        let counts = &mut self.count.messages[message.account as usize];
        match again {
            Again::New => counts.received += 1,
            Again::Retried => counts.retried += 1,
            Again::Duplicate => counts.duplicate += 1,
        }
        if let Some(times) = speaker.and_then(|speaker| self.count.by_fsu.get_mut(speaker as usize)) {
            *times = times.saturating_add(1);
        }
        let event = if again == Again::New { Event::Received } else { Event::Retried };
        self.line(event, speaker, &message.name, key);
        let ack = ack?;
        let (after_ms, is_wrong) = match self.options.acks.draw(&mut self.rng) {
            Fate::Dropped => {
                self.count.messages[message.account as usize].dropped += 1;
                return None;
            }
            Fate::Sent { after_ms, wrong } => (after_ms, wrong && ack.can_be_wrong()),
        };
        let mut buffers = (std::mem::take(&mut self.ack_raw), std::mem::take(&mut self.wire));
        let fits = ack.write(shape, &self.raw, is_wrong, (&mut buffers.0, &mut buffers.1));
        (self.ack_raw, self.wire) = buffers;
        if !fits {
            self.count.messages[message.account as usize].failed += 1;
            return None;
        }
        let answer =
            Answer { account: message.account, speaker, talk: came.talk, form, key, came_ns: self.now_ns, is_wrong };
        Some((answer, after_ms))
    }

    /// Puts an acknowledgement off; its bytes are in [`Self::wire`].
    pub fn put_off(&mut self, answer: Answer, after_ms: u64, path: Path) {
        let (at_ns, account) = (self.now_ns + after_ms * 1_000_000, answer.account);
        let pending = Pending { path, wire: (&*self.wire).into(), answer };
        if !self.later.push(at_ns, pending) {
            self.count.messages[account as usize].failed += 1;
        }
    }

    /// An acknowledgement has left.
    pub fn sent(&mut self, answer: &Answer, bytes: usize, recent: &mut Recent) {
        self.count.bytes_out += bytes as u64;
        let counts = &mut self.count.messages[answer.account as usize];
        if answer.is_wrong {
            counts.spoilt += 1;
            return;
        }
        counts.acked += 1;
        let account = answer.account as usize;
        let took_ns = self.clock.now_ns().saturating_sub(answer.came_ns);
        self.count.ack_time[account].saturating_record(took_ns);
        let talk = self.talk(answer.talk);
        let is_first = recent.acked(answer.key, talk.forms[answer.form as usize].message);
        self.count.messages[account].settled += u64::from(is_first);
        self.line(Event::Acked, answer.speaker, &talk.message(answer.form).name, answer.key);
    }

    /// An acknowledgement could not leave.
    #[cold]
    pub fn failed(&mut self, answer: &Answer) {
        self.count.messages[answer.account as usize].failed += 1;
    }

    /// A line of the ledger.
    fn line(&mut self, event: Event, speaker: Option<u32>, message: &str, key: u64) {
        if self.options.ledger.is_none() {
            return;
        }
        let fsu = speaker.map_or("", |speaker| &*self.options.cast.speakers[speaker as usize].name);
        let unix_ms = self.start_unix_ms + self.now_ns / 1_000_000;
        ledger::write(&mut self.lines, unix_ms, (fsu, message), event, key);
        if self.lines.len() >= LINES_BYTES {
            self.write_lines();
        }
    }

    /// Writes the lines that are gathered.
    pub fn write_lines(&mut self) {
        let Some(file) = self.options.ledger.as_ref().filter(|_| !self.lines.is_empty()) else { return };
        let written = match file.lock() {
            Ok(mut file) => file.write_all(&self.lines),
            Err(_) => Err(io::ErrorKind::Other.into()),
        };
        if written.is_err() {
            self.count.ledger_lost += self.lines.split(|byte| *byte == b'\n').skip(1).count() as u64;
        }
        self.lines.clear();
    }
}

/// The reason of a message that carries values of another FSU, or of none.
pub(crate) const OWN_VALUE: &str = "own_value";

/// Whether a reason means that a frame is none of a talk's messages, rather than a wrong one.
pub(crate) fn is_foreign(said: Said) -> bool {
    matches!(said, Said::Wrong(None, Wrong::Key))
}
