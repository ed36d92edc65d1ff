//! Requests to replies, over every transport: each reply is a good frame to the judge, and the counts add up.

use super::input::Input;
use super::shipped::{FSUS, Habits, RUN, mended, moment, protocol_of};
use crate::naive::frame::{Protocol, wire};
use crate::naive::outer::{self, Outer};
use fsu_core::answer::turn::{Scratch, Turn};
use fsu_core::replies::{How, Replies};
use fsu_core::sink::Outgoing;
use fsu_core::stage;
use fsu_core::stage::Incoming;
use fsu_core::state::FsuState;
use fsu_plan::model::fault::FaultKind;
use fsu_plan::model::fleet::{Device, Fsu};
use fsu_plan::model::message::Transport;
use fsu_plan::wire::reason::Reason;
use std::net::SocketAddr;

/// Messages of one input at most.
const MESSAGES_MAX: usize = 64;
/// Bytes that a connection may leave unfinished here before it is given up.
const HELD_MAX: usize = 1 << 17;

/// The FSU, then messages: what it is made of, and bytes.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let (fsu, habits) = input.one(&FSUS);
    let mut talk = Talk {
        fsu,
        habits: *habits,
        state: FsuState::new(fsu),
        scratch: Scratch::default(),
        said: Said::default(),
        out: Replies::default(),
        held: vec![],
        after_ms: 0,
    };
    for _ in 0..MESSAGES_MAX {
        if input.is_empty() {
            break;
        }
        talk.message(&mut input);
    }
    talk.check_counts();
}

/// What the FSU said.
#[derive(Default)]
pub struct Said {
    replies: Vec<Vec<u8>>,
    heartbeats: Vec<Vec<u8>>,
    data: Vec<Vec<u8>>,
    faults: u64,
    /// Pieces but for the last of each reply.
    pieces: u64,
}

impl Said {
    /// Takes what the mock said to one message.
    fn take(&mut self, replies: &Replies) {
        for sent in replies.sent() {
            let list = match (sent.what, sent.how) {
                (_, How::Piece) => {
                    assert!(!sent.bytes.is_empty(), "an empty piece");
                    self.pieces += 1;
                    continue;
                }
                (Outgoing::Reply, _) => &mut self.replies,
                (Outgoing::Heartbeat, _) => &mut self.heartbeats,
                (Outgoing::Data | Outgoing::Message, _) => &mut self.data,
            };
            list.push(sent.bytes.to_vec());
        }
        assert!(replies.received().all(|(bytes, _)| !bytes.is_empty()), "an empty frame");
        self.faults += replies.faults().count() as u64;
    }
}

struct Talk<'f> {
    fsu: &'f Fsu,
    habits: Habits,
    state: FsuState,
    scratch: Scratch,
    said: Said,
    /// What it says to one message. A connection that was cut stays so.
    out: Replies,
    /// The beginning of a frame on the connection.
    held: Vec<u8>,
    after_ms: i64,
}

impl Talk<'_> {
    fn message(&mut self, input: &mut Input<'_>) {
        let what = input.byte();
        let device = input.one(&self.fsu.devices).clone();
        let template = &device.template;
        let inner = match what % 6 {
            // Bytes as they are.
            0 => return self.take(input.short(), 0),
            // A centre's heartbeat.
            1 => return self.take(&outer::build(&self.outer(&device, None, 2, 0xED)), 0),
            // Time passes.
            2 => return self.after_ms += i64::from(input.byte()) * 1_000,
            // An inner frame as it is, put right, or a sample changed and put right.
            3 => input.short().to_vec(),
            4 => mended(template, input.short()),
            _ => {
                let mut raw = template.commands[input.pick(template.commands.len().min(256))].sample.to_vec();
                let at = input.pick(raw.len().min(256));
                for (byte, change) in raw[at..].iter_mut().zip(input.short()) {
                    *byte ^= change;
                }
                mended(template, &raw)
            }
        };
        let port = what / 6 % 4;
        if self.fsu.transport == Transport::Udp {
            self.take(&outer::build(&self.outer(&device, Some(inner), 1, 0xEE)), port);
        } else {
            self.take(&inner, port);
        }
    }

    fn outer(&self, device: &Device, data: Option<Vec<u8>>, comm_type: u16, rtn_flag: u8) -> Outer {
        Outer {
            dest: self.fsu.id.bytes.to_vec(),
            src: vec![0; 8],
            sub_dev_type: device.sub_dev_type,
            sub_dev_addr: device.sub_dev_addr,
            rtn_flag,
            comm_type,
            data,
            big: (false, self.after_ms % 2_000 == 1_000),
        }
    }

    /// The FSU gets these bytes, and what it says is looked at.
    fn take(&mut self, bytes: &[u8], port: u8) {
        let Self { fsu, state, scratch, said, held, out, .. } = self;
        let before = (said.replies.len(), said.heartbeats.len(), said.data.len());
        let mut turn = Turn { run: &RUN, fsu, state, scratch, moment: moment(self.after_ms) };
        out.clear();
        if fsu.transport == Transport::Tcp {
            held.extend_from_slice(bytes);
            let step = stage::on_bytes(&mut turn, held, out);
            held.drain(..step.consumed);
            assert!(held.len() < HELD_MAX, "{} bytes are held", held.len());
        } else {
            let peer = SocketAddr::from(([127, 0, 0, 1], 40_000 + u16::from(port)));
            stage::on_datagram(&mut turn, Incoming { peer, bytes }, out);
        }
        said.take(out);
        if self.habits != Habits::Faulty {
            let said = std::mem::take(&mut self.said);
            said.replies[before.0..].iter().chain(&said.data[before.2..]).for_each(|bytes| self.check_reply(bytes));
            said.heartbeats[before.1..].iter().for_each(|bytes| self.check_heartbeat(bytes));
            self.said = said;
        }
    }

    fn check_reply(&self, bytes: &[u8]) {
        if self.fsu.transport != Transport::Udp {
            let good = self.fsu.devices.iter().any(|device| is_good(device, bytes).is_ok());
            assert!(
                good,
                "no device has this reply: {} {:?}",
                hex::encode(bytes),
                is_good(&self.fsu.devices[0], bytes)
            );
            return;
        }
        let reply = outer::parse(bytes, false).unwrap_or_else(|e| panic!("{e}: {}", hex::encode(bytes)));
        assert_eq!((reply.comm_type, reply.rtn_flag), (1, 0), "CommType and RtnFlag");
        assert_eq!((&reply.dest[..], &reply.src[..]), (&[0; 8][..], &self.fsu.id.bytes[..]), "addresses");
        let addressed =
            |d: &&std::sync::Arc<Device>| (d.sub_dev_type, d.sub_dev_addr) == (reply.sub_dev_type, reply.sub_dev_addr);
        let device = self.fsu.devices.iter().find(addressed).or(self.fsu.devices.first()).unwrap();
        let data = reply.data.expect("through data");
        assert_eq!(is_good(device, &data), Ok(()), "{}", hex::encode(&data));
    }

    fn check_heartbeat(&self, bytes: &[u8]) {
        let beat = outer::parse(bytes, false).expect("a heartbeat");
        assert_eq!((beat.comm_type, beat.rtn_flag, beat.sub_dev_type), (2, 0xED, 1));
        assert_eq!(beat.src, self.fsu.id.bytes);
    }

    /// Every request is answered, left unanswered on purpose or dropped for a reason, and counted so once.
    fn check_counts(&self) {
        let counters = &self.state.counters;
        let fault = |kind: FaultKind| counters.faults[kind as usize];
        assert_eq!(self.said.faults, counters.faults.iter().sum::<u64>(), "faults told and counted");
        let lost =
            [FaultKind::Drop, FaultKind::Reset, FaultKind::Stall, FaultKind::HalfClose].map(fault).iter().sum::<u64>();
        let garbage = counters.dropped[Reason::Garbage as usize];
        let sent = (self.said.replies.len() + self.said.data.len()) as u64 - fault(FaultKind::Duplicate);
        // What follows an answer unasked is sent or lost beside it.
        let unasked = counters.transfers_opened;
        let ends =
            sent + lost - unasked + counters.silent + counters.heartbeats_received + counters.dropped_total() - garbage;
        assert_eq!(counters.received, ends, "{counters:?}");
        if self.habits == Habits::Plain {
            assert_eq!((lost, self.said.pieces, self.said.faults), (0, 0, 0), "faults that nobody asked for");
        }
    }
}

/// Is it a frame of the device's template, with the right lengths and checksum? An error reply repeats a wrong version.
pub fn is_good(device: &Device, bytes: &[u8]) -> Result<(), String> {
    let judge = Protocol(protocol_of(device));
    let frame = judge.cut(bytes)?;
    let mut faults = judge.faults_of_reply(&frame);
    faults.retain(|fault| *fault != "bad_version");
    assert_eq!(wire(&frame), bytes);
    if faults.is_empty() { Ok(()) } else { Err(faults.join(", ")) }
}
