//! What a shard hears of its FSUs for whoever watches the run. It wraps the device log's end, so that both get the same.

use super::ring::{EXCHANGE_BYTES_MAX, Exchange, RING_BYTES, Ring};
use crate::shard::recorder::{RecordKind, Recorder, Traffic};
use fsu_core::about::{About, What};
use fsu_core::answer::talk::{Event, Happened};
use fsu_plan::model::fault::{FaultKind, Place};
use fsu_plan::model::fleet::Fleet;
use fsu_plan::model::reload::Fate;
use fsu_plan::wire::reason::Reason;
use std::collections::{BTreeMap, HashMap, VecDeque};

/// Exchanges of one FSU that are told.
pub const EXCHANGES_MAX: usize = 32;
/// Requests without a reply that a shard keeps.
pub const UNANSWERED_MAX: usize = 256;
/// Records of a shard in a millisecond; of FSUs that nobody looks at the rest is not kept.
const RECORDS_A_MS: u32 = 64;
/// FSUs with a buffer of their own, because somebody looks at them.
const LOOKED_AT_MAX: usize = 64;
/// How long such a buffer is kept after the last look.
const LOOKED_AT_MS: u64 = 300_000;
/// Messages of single devices of a shard that are counted once they have been raised, about 64 bytes each.
const MESSAGES_COUNTED_MAX: usize = 1 << 18;
/// Commands of all FSUs of a shard that are counted, 24 bytes each.
const COMMANDS_COUNTED_MAX: usize = 1 << 20;

/// What was heard of one FSU.
#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    /// Frames that it has handled, good or bad, without bytes that are no frame; and datagrams that came in an outage.
    frames: u64,
    /// When the last one came, in milliseconds since the start of the run, plus 1; 0: none did.
    last_ms: u64,
    /// Its newest record in the ring; 0: it has none.
    newest: u64,
    /// Its first command among those that are counted, plus 1; 0: its commands are not counted.
    commands: u32,
}

/// What became of requests with one command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommandCounts {
    /// Frames with it.
    pub received: u64,
    /// Those that were answered.
    pub answered: u64,
    /// Those that were dropped.
    pub dropped: u64,
}

/// What has become of a message of one device, by [`Event`].
pub type MessageCounts = [u64; Event::ALL.len()];

/// A request without a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unanswered {
    /// The FSU's number in the fleet.
    pub fsu: u32,
    /// What came.
    pub exchange: Exchange,
}

impl Unanswered {
    /// Why, in one word: a reason of `dropped`, a kind of fault, or `silent`.
    pub fn reason(&self) -> &'static str {
        let about = &self.exchange.about;
        let fault = about.faults.iter().next().map(FaultKind::name);
        about.why.map(Reason::reason).or(fault).unwrap_or(match about.what {
            What::Silent => "silent",
            what => what.name(),
        })
    }
}

/// The exchanges of an FSU that somebody looks at.
#[derive(Debug, Default)]
struct LookedAt {
    exchanges: VecDeque<Exchange>,
    until_ms: u64,
}

/// What a shard hears of its FSUs. Nobody watches: there is none.
#[derive(Debug)]
pub struct Ear {
    /// By FSU number.
    heard: Vec<Heard>,
    commands: Vec<CommandCounts>,
    ring: Ring,
    /// Records that may still be kept in this millisecond.
    left: u32,
    now_ms: u64,
    looked_at: BTreeMap<u32, LookedAt>,
    unanswered: VecDeque<Unanswered>,
    unanswered_total: u64,
    /// By FSU, device and message.
    messages: HashMap<(u32, u16, u16), MessageCounts>,
}

impl Ear {
    /// Of the FSUs of a fleet that are here.
    pub(crate) fn new(fleet: &Fleet, here: impl Iterator<Item = u32>) -> Self {
        let mut ear = Self {
            heard: vec![Heard::default(); fleet.fsus.len()],
            commands: Vec::new(),
            ring: Ring::new(RING_BYTES),
            left: RECORDS_A_MS,
            now_ms: 0,
            looked_at: BTreeMap::new(),
            unanswered: VecDeque::with_capacity(UNANSWERED_MAX),
            unanswered_total: 0,
            messages: HashMap::new(),
        };
        ear.count_commands(fleet, here);
        ear
    }

    /// Gives each FSU a place for the counts of its commands, while there are any.
    pub(super) fn count_commands(&mut self, fleet: &Fleet, here: impl Iterator<Item = u32>) {
        let mut many = 0;
        for number in here {
            let Some((heard, fsu)) = self.heard.get_mut(number as usize).zip(fleet.fsus.get(number as usize)) else {
                continue;
            };
            let own: usize = fsu.devices.iter().map(|device| device.template.commands.len()).sum();
            let has_room = many + own <= COMMANDS_COUNTED_MAX;
            heard.commands = if has_room { many as u32 + 1 } else { 0 };
            many += if has_room { own } else { 0 };
        }
        self.commands = vec![CommandCounts::default(); many];
    }

    /// A frame of an FSU was handled: the moment, and what is known of it with the number of commands before those of its device.
    #[inline]
    pub(crate) fn frame(&mut self, fsu: u32, since_start_ms: u64, about: Option<(&About, usize)>) {
        let Some(heard) = self.heard.get_mut(fsu as usize) else { return };
        heard.frames += 1;
        heard.last_ms = since_start_ms + 1;
        let Some((about, before)) = about.filter(|_| heard.commands > 0) else { return };
        if about.command != fsu_core::about::NONE {
            let place = heard.commands as usize - 1 + before + usize::from(about.command);
            if let Some(counts) = self.commands.get_mut(place) {
                counts.received += 1;
                match about.what {
                    What::Answered | What::ErrorReply | What::Refused | What::Data => counts.answered += 1,
                    What::Dropped => counts.dropped += 1,
                    _ => {}
                }
            }
        }
    }

    /// What became of requests with a command of an FSU; `None`: that is not counted.
    pub(super) fn command(&self, fsu: u32, place: usize) -> Option<CommandCounts> {
        let first = (self.heard.get(fsu as usize)?.commands as usize).checked_sub(1)?;
        self.commands.get(first + place).copied()
    }

    /// Frames of an FSU that were handled.
    pub(crate) fn frames(&self, fsu: u32) -> u64 {
        self.heard.get(fsu as usize).map_or(0, |heard| heard.frames)
    }

    /// When the last frame of an FSU came, in milliseconds since the start of the run.
    pub(crate) fn last_ms(&self, fsu: u32) -> Option<u64> {
        self.heard.get(fsu as usize)?.last_ms.checked_sub(1)
    }

    /// Time passes: records may be kept again.
    #[inline]
    pub(crate) fn clock(&mut self, now_ms: u64) {
        if now_ms != self.now_ms {
            (self.now_ms, self.left) = (now_ms, RECORDS_A_MS);
        }
    }

    fn is_on(&self) -> bool {
        self.left > 0 || !self.looked_at.is_empty()
    }

    fn record(&mut self, traffic: &Traffic<'_>) {
        if !matches!(
            traffic.kind,
            RecordKind::Received | RecordKind::Reply | RecordKind::Heartbeat | RecordKind::Unsent | RecordKind::Message
        ) {
            return;
        }
        if traffic.kind == RecordKind::Received
            && let Some(about) = traffic.abouts.iter().find(|about| is_unanswered(about))
        {
            self.unanswered(&Traffic { abouts: &[*about], ..*traffic });
        }
        if self.left > 0 {
            self.left -= 1;
            if let Some(heard) = self.heard.get_mut(traffic.fsu as usize) {
                heard.newest = self.ring.put(heard.newest, traffic);
            }
        }
        if !self.looked_at.is_empty()
            && let Some(own) = self.looked_at.get_mut(&traffic.fsu)
        {
            own.push(traffic);
        }
    }

    /// Something has become of a message of a device.
    fn happened(&mut self, fsu: u32, happened: &Happened) {
        let key = (fsu, happened.device, happened.message);
        if self.messages.len() >= MESSAGES_COUNTED_MAX && !self.messages.contains_key(&key) {
            return;
        }
        self.messages.entry(key).or_default()[happened.event as usize] += 1;
    }

    /// What has become of a message of a device; `None`: nothing, or it is not counted.
    pub(super) fn message(&self, fsu: u32, device: u16, message: u16) -> Option<MessageCounts> {
        self.messages.get(&(fsu, device, message)).copied()
    }

    /// A request stays without a reply.
    #[cold]
    pub(crate) fn unanswered(&mut self, traffic: &Traffic<'_>) {
        self.unanswered_total += 1;
        let place = if self.unanswered.len() >= UNANSWERED_MAX { self.unanswered.pop_front() } else { None };
        let mut exchange = place.map_or_else(blank, |unanswered| unanswered.exchange);
        fill(&mut exchange, traffic);
        self.unanswered.push_back(Unanswered { fsu: traffic.fsu, exchange });
    }

    /// The last requests without a reply, the newest first, and how many there were.
    pub(super) fn last_unanswered(&self, n: usize) -> (Vec<Unanswered>, u64) {
        (self.unanswered.iter().rev().take(n).cloned().collect(), self.unanswered_total)
    }

    /// The last exchanges of an FSU, the newest first. From now on it has a buffer of its own for a while.
    pub(super) fn exchanges(&mut self, fsu: u32, now_ms: u64) -> Vec<Exchange> {
        self.looked_at.retain(|_, own| own.until_ms > now_ms);
        if !self.looked_at.contains_key(&fsu) {
            let mut at = self.heard.get(fsu as usize).map_or(0, |heard| heard.newest);
            let mut exchanges = VecDeque::with_capacity(EXCHANGES_MAX);
            while exchanges.len() < EXCHANGES_MAX
                && let Some((before, exchange)) = self.ring.get(at)
            {
                exchanges.push_front(exchange);
                at = before;
            }
            if self.looked_at.len() >= LOOKED_AT_MAX {
                let oldest = self.looked_at.iter().min_by_key(|(_, own)| own.until_ms).map(|(&fsu, _)| fsu);
                oldest.map(|oldest| self.looked_at.remove(&oldest));
            }
            self.looked_at.insert(fsu, LookedAt { exchanges, until_ms: 0 });
        }
        let Some(own) = self.looked_at.get_mut(&fsu) else { return Vec::new() };
        own.until_ms = now_ms + LOOKED_AT_MS;
        own.exchanges.iter().rev().cloned().collect()
    }

    /// From now on FSU numbers are those of the next fleet.
    pub(crate) fn reload(&mut self, fates: &[Fate], fsus: usize) {
        let before = std::mem::replace(&mut self.heard, vec![Heard::default(); fsus]);
        for (heard, fate) in before.into_iter().zip(fates) {
            if let Some(place) = fate.stays().and_then(|number| self.heard.get_mut(number as usize)) {
                *place = heard;
            }
        }
        let now = |fsu: u32| fates.get(fsu as usize).and_then(|fate| fate.stays());
        let looked_at = std::mem::take(&mut self.looked_at);
        self.looked_at = looked_at.into_iter().filter_map(|(fsu, own)| Some((now(fsu)?, own))).collect();
        let messages = std::mem::take(&mut self.messages);
        let moved = messages
            .into_iter()
            .filter_map(|((fsu, device, message), counts)| Some(((now(fsu)?, device, message), counts)));
        self.messages = moved.collect();
        let unanswered = std::mem::take(&mut self.unanswered);
        self.unanswered =
            unanswered.into_iter().filter_map(|one| Some(Unanswered { fsu: now(one.fsu)?, ..one })).collect();
    }
}

/// Whether a request has no reply, and is none that has none by its nature.
fn is_unanswered(about: &About) -> bool {
    match about.what {
        What::Heartbeat => false,
        What::Acknowledgement => about.why.is_some(),
        _ => !about.is_met,
    }
}

fn blank() -> Exchange {
    let peer = ([0, 0, 0, 0], 0).into();
    Exchange { unix_ms: 0, peer, kind: RecordKind::Received, about: About::UNKNOWN, bytes: Vec::new(), len: 0 }
}

fn fill(exchange: &mut Exchange, traffic: &Traffic<'_>) {
    (exchange.unix_ms, exchange.peer, exchange.kind) = (traffic.unix_ms, traffic.peer, traffic.kind);
    (exchange.about, exchange.len) = (traffic.abouts.first().copied().unwrap_or_default(), traffic.bytes.len());
    exchange.bytes.clear();
    exchange.bytes.extend_from_slice(&traffic.bytes[..traffic.bytes.len().min(EXCHANGE_BYTES_MAX)]);
}

impl LookedAt {
    fn push(&mut self, traffic: &Traffic<'_>) {
        let place = if self.exchanges.len() >= EXCHANGES_MAX { self.exchanges.pop_front() } else { None };
        let mut exchange = place.unwrap_or_else(blank);
        fill(&mut exchange, traffic);
        self.exchanges.push_back(exchange);
    }
}

/// The device log's end of a shard, and what listens beside it.
#[derive(Debug)]
pub struct Listener<T> {
    tap: T,
    ear: Option<Box<Ear>>,
}

impl<T> Listener<T> {
    /// Nothing listens yet.
    pub fn new(tap: T) -> Self {
        Self { tap, ear: None }
    }
}

impl<T: Recorder> Recorder for Listener<T> {
    #[inline]
    fn is_on(&self) -> bool {
        self.tap.is_on() || self.ear.as_ref().is_some_and(|ear| ear.is_on())
    }

    #[inline]
    fn record(&mut self, traffic: Traffic<'_>) -> bool {
        if let Some(ear) = &mut self.ear {
            ear.record(&traffic);
        }
        !self.tap.is_on() || self.tap.record(traffic)
    }

    fn fault(&mut self, fsu: u32, unix_ms: i64, kind: FaultKind, place: Place) -> bool {
        self.tap.fault(fsu, unix_ms, kind, place)
    }

    fn message(&mut self, fsu: u32, unix_ms: i64, happened: &Happened) -> bool {
        if let Some(ear) = &mut self.ear {
            ear.happened(fsu, happened);
        }
        self.tap.message(fsu, unix_ms, happened)
    }

    fn wants_keys(&self) -> bool {
        self.tap.wants_keys()
    }

    fn reload(&mut self, epoch: u32, fates: &[Fate], fsu_count: usize) {
        if let Some(ear) = &mut self.ear {
            ear.reload(fates, fsu_count);
        }
        self.tap.reload(epoch, fates, fsu_count);
    }

    fn filled(&self) -> Option<(usize, usize)> {
        self.tap.filled()
    }

    fn listen(&mut self, ear: Ear) {
        self.ear = Some(Box::new(ear));
    }

    #[inline]
    fn ear(&mut self) -> Option<&mut Ear> {
        self.ear.as_deref_mut()
    }

    #[inline]
    fn ear_now(&self) -> Option<&Ear> {
        self.ear.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{device, fixed_template, fsu_with};
    use fsu_plan::model::fixtures;
    use fsu_plan::model::message::Transport;

    #[test]
    fn limit_commands_counted_max_further_ones_are_not_counted() {
        let fsu = fsu_with("a", Transport::Udp, vec![device(1, fixed_template())]);
        let fleet = fixtures::fleet(vec![fsu.clone(), fsu]);
        // One command each.
        let mut ear = Ear::new(&fleet, std::iter::repeat_n(0, COMMANDS_COUNTED_MAX).chain([1]));
        assert_eq!(ear.commands.len(), 1 << 20);
        let about = About { command: 0, what: What::Answered, ..About::of(0) };
        for fsu in [0, 1] {
            ear.frame(fsu, 5, Some((&about, 0)));
        }
        assert_eq!(ear.command(0, 0).map(|counts| counts.answered), Some(1));
        assert_eq!((ear.command(1, 0), ear.frames(1), ear.last_ms(1)), (None, 1, Some(5)));
    }

    #[test]
    fn limit_messages_counted_max_further_ones_are_not_counted() {
        let fsu = fsu_with("a", Transport::Udp, vec![device(1, fixed_template())]);
        let mut ear = Ear::new(&fixtures::fleet(vec![fsu]), std::iter::empty());
        let happened = |number: u32, event| Happened {
            account: 0,
            device: (number >> 16) as u16,
            message: number as u16,
            number: 1,
            event,
            since_first_ns: 0,
            key: 0,
        };
        for number in 0..=1 << 18 {
            ear.happened(0, &happened(number, Event::Sent));
        }
        ear.happened(0, &happened(7, Event::Retried));
        let counts = ear.message(0, 0, 7).expect("counted");
        assert_eq!(
            (counts[Event::Sent as usize], counts[Event::Retried as usize], counts.iter().sum::<u64>()),
            (1, 1, 2)
        );
        assert_eq!((ear.messages.len(), ear.message(0, 4, 0)), (1 << 18, None));
    }
}
