//! A sink that keeps everything the mock sends and reports.

use crate::about::About;
use crate::sink::{Cut, Outgoing, Sink};
use fsu_plan::model::fault::{FaultKind, Kinds, Place};
use fsu_plan::wire::reason::Reason;
use std::ops::Range;

/// Keeps everything the mock sends and reports, in order. For tests, tools and programs that embed the mock.
///
/// The buffers grow and are reused after [`Replies::clear`].
///
/// ```
/// use fsu_core::replies::Replies;
/// use fsu_core::sink::{Outgoing, Sink};
///
/// let mut replies = Replies::default();
/// replies.send(Outgoing::Reply, 0, b"one");
/// replies.send(Outgoing::Data, 7, b"two");
/// assert_eq!(replies.frames(), [b"one", b"two"]);
/// assert_eq!(replies.sent().last().map(|sent| (sent.what, sent.due_ns)), Some((Outgoing::Data, 7)));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Replies {
    kept: Vec<Kept>,
    /// The bytes of all entries.
    bytes: Vec<u8>,
    /// Describes the next reply.
    about: About,
    muted: Option<FaultKind>,
    /// How often there was no room.
    unsent: usize,
    /// Bytes that may still be sent; `None`: any number.
    room_bytes: Option<usize>,
    /// Full after this many replies; `None`: never.
    sent_max: Option<usize>,
}

/// One call, its bytes as a part of [`Replies::bytes`].
#[derive(Clone, Debug)]
enum Kept {
    Sent(Outgoing, How, i64, About, Range<usize>),
    Received(Option<Reason>, Range<usize>),
    Understood(About, Range<usize>),
    Note(Reason, Range<usize>),
    Fault(FaultKind, Place),
    Cut(Cut, i64),
}

/// How something is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// After what was sent before.
    InTurn,
    /// On a connection, where later replies may pass it.
    Apart,
    /// A piece of a reply, but not its last one.
    Piece,
}

/// Something that is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent<'a> {
    /// What it is.
    pub what: Outgoing,
    /// How it goes out.
    pub how: How,
    /// When it is due: on the wall clock, in nanoseconds.
    pub due_ns: i64,
    /// Device, command, rule and faults.
    pub about: About,
    /// As it travels.
    pub bytes: &'a [u8],
}

/// One thing that the mock sends or reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said<'a> {
    /// It sends something.
    Sent(Sent<'a>),
    /// These bytes of a stream are one frame, or were dropped for that reason.
    Received(&'a [u8], Option<Reason>),
    /// A frame, or bytes that are none, is done.
    Understood(About, &'a [u8]),
    /// Something for the system log, and the bytes it refers to.
    Note(Reason, &'a [u8]),
    /// A fault was made on purpose.
    Fault(FaultKind, Place),
    /// The connection ends to be answered, at that moment.
    Cut(Cut, i64),
}

impl Replies {
    /// Keeps that many things, and that many of their bytes, without an allocation.
    #[must_use]
    pub fn with_capacity(things: usize, bytes: usize) -> Self {
        Self { kept: Vec::with_capacity(things), bytes: Vec::with_capacity(bytes), ..Self::default() }
    }

    /// Takes at most that many bytes, like an answer to another host.
    #[must_use]
    pub fn with_room(room_bytes: usize) -> Self {
        Self { room_bytes: Some(room_bytes), ..Self::default() }
    }

    /// Is full after that many replies: the rest of a connection's bytes waits for the next call.
    #[must_use]
    pub fn full_after(replies_max: usize) -> Self {
        Self { sent_max: Some(replies_max), ..Self::default() }
    }

    /// Everything, in order.
    pub fn said(&self) -> impl Iterator<Item = Said<'_>> {
        self.kept.iter().map(|kept| match kept {
            Kept::Sent(what, how, due_ns, about, bytes) => {
                let (what, how, due_ns, about) = (*what, *how, *due_ns, *about);
                Said::Sent(Sent { what, how, due_ns, about, bytes: self.part(bytes) })
            }
            Kept::Received(dropped, bytes) => Said::Received(self.part(bytes), *dropped),
            Kept::Understood(about, bytes) => Said::Understood(*about, self.part(bytes)),
            Kept::Note(reason, bytes) => Said::Note(*reason, self.part(bytes)),
            Kept::Fault(kind, place) => Said::Fault(*kind, *place),
            Kept::Cut(how, due_ns) => Said::Cut(*how, *due_ns),
        })
    }

    /// What was sent, in order.
    pub fn sent(&self) -> impl Iterator<Item = Sent<'_>> {
        self.said().filter_map(|said| if let Said::Sent(sent) = said { Some(sent) } else { None })
    }

    /// The bytes of everything that was sent.
    pub fn frames(&self) -> Vec<&[u8]> {
        self.sent().map(|sent| sent.bytes).collect()
    }

    /// How often something was not taken for lack of room ([`Replies::with_room`]). Each also gives a note.
    pub fn unsent(&self) -> usize {
        self.unsent
    }

    /// The frames of a stream, and the dropped bytes with their reasons.
    pub fn received(&self) -> impl Iterator<Item = (&[u8], Option<Reason>)> {
        self.said().filter_map(|said| if let Said::Received(bytes, why) = said { Some((bytes, why)) } else { None })
    }

    /// The reasons that were noted for the system log.
    pub fn notes(&self) -> impl Iterator<Item = Reason> {
        self.said().filter_map(|said| if let Said::Note(reason, _) = said { Some(reason) } else { None })
    }

    /// What became of each frame.
    pub fn understood(&self) -> impl Iterator<Item = About> {
        self.said().filter_map(|said| if let Said::Understood(about, _) = said { Some(about) } else { None })
    }

    /// The faults that were made.
    pub fn faults(&self) -> impl Iterator<Item = (FaultKind, Place)> {
        self.said().filter_map(|said| if let Said::Fault(kind, place) = said { Some((kind, place)) } else { None })
    }

    /// Forgets everything except that the connection was cut.
    pub fn clear(&mut self) {
        self.kept.clear();
        self.bytes.clear();
    }

    /// Forgets everything, as for a new connection.
    pub fn reset(&mut self) {
        self.clear();
        self.muted = None;
    }

    fn part(&self, range: &Range<usize>) -> &[u8] {
        self.bytes.get(range.clone()).unwrap_or_default()
    }

    fn keep(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }

    fn send_how(&mut self, what: Outgoing, how: How, due_ns: i64, bytes: &[u8]) {
        if let Some(room_bytes) = &mut self.room_bytes {
            let Some(left) = room_bytes.checked_sub(bytes.len()) else {
                self.unsent += 1;
                return self.note(Reason::Amplification, bytes);
            };
            *room_bytes = left;
        }
        let range = self.keep(bytes);
        self.kept.push(Kept::Sent(what, how, due_ns, self.about, range));
    }
}

impl Sink for Replies {
    fn send(&mut self, what: Outgoing, due_ns: i64, bytes: &[u8]) {
        self.send_how(what, How::InTurn, due_ns, bytes);
    }

    fn send_apart(&mut self, due_ns: i64, bytes: &[u8]) {
        self.send_how(Outgoing::Reply, How::Apart, due_ns, bytes);
    }

    fn send_piece(&mut self, due_ns: i64, bytes: &[u8]) {
        self.send_how(Outgoing::Reply, How::Piece, due_ns, bytes);
    }

    fn received(&mut self, bytes: &[u8], dropped: Option<Reason>) {
        let range = self.keep(bytes);
        self.kept.push(Kept::Received(dropped, range));
    }

    fn about(&mut self, about: About) {
        self.about = about;
    }

    fn faulted(&mut self, faults: Kinds) {
        self.about.faults = faults;
    }

    fn understood(&mut self, about: About, bytes: &[u8]) {
        let range = self.keep(bytes);
        self.kept.push(Kept::Understood(about, range));
    }

    fn note(&mut self, reason: Reason, bytes: &[u8]) {
        let range = self.keep(bytes);
        self.kept.push(Kept::Note(reason, range));
    }

    fn fault(&mut self, kind: FaultKind, place: Place) {
        self.kept.push(Kept::Fault(kind, place));
    }

    fn cut(&mut self, how: Cut, due_ns: i64) {
        self.muted = Some(how.kind());
        self.kept.push(Kept::Cut(how, due_ns));
    }

    fn room_bytes(&self) -> usize {
        self.room_bytes.unwrap_or(usize::MAX)
    }

    fn is_full(&self) -> bool {
        self.sent_max.is_some_and(|max| self.sent().count() >= max)
    }

    fn muted(&self) -> Option<FaultKind> {
        self.muted
    }
}
