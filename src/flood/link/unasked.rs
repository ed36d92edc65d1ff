//! What devices say unasked while they are asked: told apart from replies, counted and acknowledged as by a centre that listens.

use crate::clock::Clock;
use crate::engine::reply::ReplyMatcher;
use crate::expect::Wrong;
use crate::hear::count::Count;
use crate::hear::desk::{Answer, Came, Desk};
use crate::hear::owed::Owed;
use crate::lane::{Lane, Matcher as _};
use crate::talk::forms::Said;
use crate::talk::recent::Recent;
use crate::talk::{Talk, stream};
use crate::workload::options::{AskedFsu, Options};
use crate::workload::profile::Prepared;
use fsu_plan::wire::envelope::{CENTER_BYTES, Head, escape};
use std::collections::HashMap;
use std::net::UdpSocket;

/// Requests under way that a frame is compared with before it is taken for a message.
const COMPARED_MAX: usize = 64;

/// What the devices of each target say.
#[derive(Debug)]
pub(super) struct Unasked<'a> {
    /// None: nobody says anything.
    desk: Option<Box<Desk<'a>>>,
    /// By target: the numbers of the talks of its devices. The target is the speaker of the same number.
    talks: Box<[Box<[u32]>]>,
    /// By seat: what it said before.
    recent: HashMap<u32, Recent>,
    /// By seat that is a connection: acknowledgements that it has not taken yet.
    owed: HashMap<u32, Owed>,
    outer: Vec<u8>,
    escaped: Vec<u8>,
}

/// What a stream begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begun {
    /// A message of that many bytes.
    Message(usize),
    /// Perhaps one.
    Perhaps,
    /// None.
    Nothing,
}

impl<'a> Unasked<'a> {
    /// Of the targets of a thread.
    pub(super) fn new(options: &'a Options, number: usize, clock: Clock) -> Self {
        let mut talks = Vec::new();
        if let Some(heard) = &options.heard {
            let of = |kind: u32| heard.cast.kinds[kind as usize].talks.iter().map(|voice| voice.talk).collect();
            talks = heard.cast.speakers.iter().map(|speaker| of(speaker.kind)).collect();
        }
        let desk = options.heard.as_deref().map(|heard| Box::new(Desk::new(heard, number, clock)));
        Self {
            desk,
            talks: talks.into(),
            recent: HashMap::new(),
            owed: HashMap::new(),
            outer: Vec::new(),
            escaped: Vec::new(),
        }
    }

    /// Whether the target says anything.
    #[inline]
    pub(super) fn speaks(&self, target: usize) -> bool {
        self.talks.get(target).is_some_and(|talks| !talks.is_empty())
    }

    /// Messages that came so far, and right acknowledgements of them.
    pub(super) fn so_far(&self) -> [u64; 2] {
        let total = self.desk.as_ref().map(|desk| desk.count.total()).unwrap_or_default();
        [total.received, total.acked]
    }

    /// The end: what was counted.
    pub(super) fn close(&mut self) -> Option<Count> {
        let seats: Vec<u32> = self.owed.keys().copied().collect();
        for seat in seats {
            self.lost(seat);
        }
        self.desk.take().map(|mut desk| {
            desk.write_lines();
            desk.count
        })
    }

    /// A connection has taken that many bytes: the acknowledgements that are out are sent.
    #[inline]
    pub(super) fn wrote(&mut self, seat: u32, count: usize, clock: Clock) {
        if !self.owed.is_empty() {
            self.sent(seat, count, clock);
        }
    }

    #[cold]
    fn sent(&mut self, seat: u32, count: usize, clock: Clock) {
        let Some((desk, owed)) = self.desk.as_mut().zip(self.owed.get_mut(&seat)) else { return };
        desk.look(clock);
        owed.wrote(count);
        let recent = self.recent.entry(seat).or_default();
        while let Some((answer, bytes)) = owed.next_out() {
            desk.sent(&answer, bytes, recent);
        }
        if owed.is_empty() {
            self.owed.remove(&seat);
        }
    }

    /// A connection has ended: what it has not taken was not sent.
    pub(super) fn lost(&mut self, seat: u32) {
        if let Some((desk, mut owed)) = self.desk.as_mut().zip(self.owed.remove(&seat)) {
            owed.lost().for_each(|answer| desk.failed(&answer));
        }
    }

    /// What a stream begins with that is no right reply. `out` gets the acknowledgement of a message.
    #[cold]
    pub(super) fn begins(
        &mut self,
        (seat, target): (u32, usize),
        bytes: &[u8],
        clock: Clock,
        out: &mut Vec<u8>,
    ) -> Begun {
        let Some(desk) = &mut self.desk else { return Begun::Nothing };
        desk.look(clock);
        let numbers = &self.talks[target];
        let cast = &desk.options.cast;
        let talks: Vec<&Talk> = numbers.iter().map(|number| &*cast.talks[*number as usize]).collect();
        match stream::next(&talks, bytes, &mut desk.raw).next {
            stream::Next::Frame { len, talk, said } if is_taken(talks[talk], said) => {
                let came = Came {
                    talk: numbers[talk],
                    said,
                    wire: &bytes[..len],
                    known: Some(target as u32),
                    is_stream: true,
                };
                let mut recent = self.recent.remove(&seat).unwrap_or_default();
                if let (_, Some((answer, _))) = desk.take(came, &mut recent) {
                    out.extend_from_slice(&desk.wire);
                    self.owed.entry(seat).or_default().push(answer, desk.wire.len(), out.len());
                }
                self.remember(seat, recent);
                Begun::Message(len)
            }
            stream::Next::More => Begun::Perhaps,
            stream::Next::Frame { .. } | stream::Next::Skip(_) => Begun::Nothing,
        }
    }

    /// Takes a datagram's frame, which is no right reply, if it is a message; acknowledges it by that socket. `device`: P_subDevType
    /// and P_subDev_addr, where an outer frame is around it. Returns whether it is one.
    #[cold]
    pub(super) fn datagram(
        &mut self,
        (seat, target, asked): (u32, usize, &AskedFsu),
        device: Option<[u8; 2]>,
        (wire, clock): (&[u8], Clock),
        socket: &UdpSocket,
    ) -> bool {
        let Some(desk) = &mut self.desk else { return false };
        desk.look(clock);
        let cast = &desk.options.cast;
        let kind = &cast.kinds[cast.speakers[target].kind as usize];
        let its =
            kind.talks.iter().filter(|voice| device.is_none_or(|of| of == [voice.sub_dev_type, voice.sub_dev_addr]));
        let mut said = None;
        for voice in its {
            let talk = &cast.talks[voice.talk as usize];
            let heard = talk.read(wire, &mut desk.raw);
            if is_taken(talk, heard) {
                said = Some((voice.talk, heard));
                if matches!(heard, Said::Right(_)) {
                    break;
                }
            }
        }
        let Some((talk, said)) = said else { return false };
        let came = Came { talk, said, wire, known: Some(target as u32), is_stream: false };
        let mut recent = self.recent.remove(&seat).unwrap_or_default();
        if let (_, Some((answer, _))) = desk.take(came, &mut recent) {
            let ack = std::mem::take(&mut desk.wire);
            self.acknowledge((asked, device), &ack, (&answer, &mut recent), socket);
            if let Some(desk) = &mut self.desk {
                desk.wire = ack;
            }
        }
        self.remember(seat, recent);
        true
    }

    fn acknowledge(
        &mut self,
        (asked, device): (&AskedFsu, Option<[u8; 2]>),
        ack: &[u8],
        (answer, recent): (&Answer, &mut Recent),
        socket: &UdpSocket,
    ) {
        let Some(desk) = &mut self.desk else { return };
        let mut bytes = ack;
        if let Some([sub_dev_type, sub_dev_addr]) = device {
            let request = Head::request(&asked.id.bytes, &[0; CENTER_BYTES], sub_dev_type, sub_dev_addr);
            let head = Head { rtn_flag: asked.rtn_flag, ..request };
            if head.build(Some(ack), &mut self.outer).is_err() {
                return desk.failed(answer);
            }
            bytes = escape(&self.outer, &mut self.escaped);
        }
        match socket.send_to(bytes, asked.address) {
            Ok(_) => desk.sent(answer, bytes.len(), recent),
            Err(_) => desk.failed(answer),
        }
    }

    fn remember(&mut self, seat: u32, recent: Recent) {
        if recent.bytes() > 0 {
            self.recent.insert(seat, recent);
        }
    }
}

/// Whether a frame that is no right reply is taken for a message: a right one, or a wrong one of an entry that only devices send.
pub(crate) fn is_taken(talk: &Talk, said: Said) -> bool {
    match said {
        Said::Right(_) => true,
        Said::Wrong(Some(message), _) => talk.forms.iter().filter(|form| form.message == message).all(|form| {
            form.command.and_then(|command| form.template.commands.get(command)).is_some_and(|command| command.up)
        }),
        Said::Wrong(None, _) => false,
    }
}

/// Whether the frame is a right reply to a request under way. On a stream it may be any of the sizes of its replies.
#[cold]
pub(crate) fn is_reply(lane: &Lane, requests: &[Prepared], bytes: &[u8], is_stream: bool, inner: &mut Vec<u8>) -> bool {
    lane.flights().take(COMPARED_MAX).any(|flight| {
        let mut right =
            |frame: &[u8]| ReplyMatcher::new(requests, |_| Ok::<_, Wrong>(frame), true, inner).check(flight).is_ok();
        if !is_stream {
            return right(bytes);
        }
        let lens = requests[flight.request as usize].expect.wire_lens();
        lens.iter().filter_map(|&len| bytes.get(..len)).any(right)
    })
}
