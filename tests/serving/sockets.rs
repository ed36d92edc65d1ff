//! A real shard on loopback: what centres do to it, one thing after another, is the input.
//!
//! Of an FSU whose bytes are taken in an order that is known, replies and counters are those of the responder without sockets. Where
//! only the system knows what was taken (a reset with requests under way, an end in the middle, a frame that waits to be doubted), and
//! where faults are made, its counters still balance.

mod centre;
mod model;
mod shard;

use crate::fuzzing::input::Input;
use crate::fuzzing::shipped::{DEVICES, FLEET, Habits, fsu, mended};
use crate::naive::outer::{self, Outer};
use centre::{Datagrams, Stream};
use fsu_core::moment::RunContext;
use fsu_plan::model::fleet::{Fleet, Fsu};
use fsu_plan::model::message::Transport;
use fsu_plan::model::share::Share;
use model::Model;
use shard::Shard;
use std::sync::{Arc, LazyLock};

/// Steps of one input at most.
const STEPS_MAX: usize = 48;
/// FSUs that one input serves, and centres of each.
const FSUS: usize = 3;
const CENTRES: usize = 3;

/// Those that an input chooses from: every template and transport, several devices at one socket, one that holds few bytes back, two
/// that make faults.
static SERVED: LazyLock<(Arc<Fleet>, Vec<Habits>)> = LazyLock::new(|| {
    let all: Vec<_> = DEVICES.iter().map(|shipped| shipped.device.clone()).collect();
    let (transfers, plain): (Vec<_>, Vec<_>) = all.into_iter().partition(|device| device.template.transfer.is_some());
    let two = FLEET.fsus.iter().find(|fsu| fsu.devices.len() > 1).expect("an FSU with two devices");
    let mut of: Vec<(Transport, &[_], Habits)> = vec![];
    for (number, device) in plain.iter().enumerate() {
        let habits = if number % 2 == 0 { Habits::Plain } else { Habits::Open };
        let transports = [Transport::Udp, Transport::Tcp, Transport::Broadcast];
        of.extend(transports.map(|transport| (transport, std::slice::from_ref(device), habits)));
    }
    of.extend(transfers.iter().map(|device| (Transport::Broadcast, std::slice::from_ref(device), Habits::Plain)));
    of.push((Transport::Udp, &two.devices, Habits::Open));
    of.push((Transport::Tcp, &plain, Habits::Plain));
    of.push((Transport::Udp, &plain[..1], Habits::Faulty));
    of.push((Transport::Tcp, &plain[..1], Habits::Faulty));
    of.push((Transport::Tcp, &plain[..2], Habits::Plain));
    let habits = of.iter().map(|(_, _, habits)| *habits).collect();
    let make = |(number, (transport, devices, habits)): (usize, (_, &[_], _))| {
        fsu(&format!("s{number}"), transport, devices.to_vec(), habits)
    };
    let mut fsus: Vec<Fsu> = of.into_iter().enumerate().map(make).collect();
    for fsu in &mut fsus {
        fsu.bind = ([127, 0, 0, 1], 0).into();
        fsu.allow = Arc::default();
        // Nothing here waits for so long, however slow the machine is.
        fsu.limits.frame_deadline_ms = 600_000;
    }
    fsus.last_mut().unwrap().limits.write_buffer_bytes_max = 64;
    let (like, performance) = (&*FLEET, FLEET.performance);
    let fleet = Fleet {
        fsus,
        center: None,
        log: like.log.clone(),
        performance,
        accounts: Box::default(),
        params: Box::default(),
        allow_amplification: false,
        share: Share::default(),
    };
    (Arc::new(fleet), habits)
});

/// How the shard runs and how it ends, the FSUs, then steps.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let (how, end) = (input.byte(), input.byte());
    let (fleet, habits) = &*SERVED;
    let numbers: Vec<usize> = (0..FSUS).map(|_| input.pick(fleet.fsus.len())).collect();
    let run = RunContext { seed: 7, skip_delay: how >> 4 & 7 != 7, start_mono_ms: 0 };
    let mut talks: Vec<Talk<'_>> = vec![];
    for number in numbers {
        if talks.iter().all(|talk| talk.number != number) {
            talks.push(Talk::new(number, &fleet.fsus[number], habits[number] != Habits::Faulty, run));
        }
    }
    let shard = Shard::start(fleet, &mut talks, run, how);
    for _ in 0..STEPS_MAX {
        if input.is_empty() {
            break;
        }
        let at = input.pick(talks.len());
        talks[at].step(&shard, &mut input);
    }
    let ends_whole = end % 4 != 0;
    if ends_whole {
        talks.iter_mut().for_each(|talk| talk.finish(&shard));
    }
    let left = shard.end(end % 2 == 0);
    for talk in &mut talks {
        let (counters, replies) = left.of(talk.number);
        if !ends_whole {
            talk.exact = false;
        } else if talk.exact {
            talk.datagrams.iter_mut().flatten().for_each(Datagrams::expect_no_more);
        }
        talk.model.check(counters, talk.exact);
        if talk.exact {
            assert_eq!(replies, counters.answered + counters.data_frames_unasked, "records of replies");
        }
    }
}

/// An FSU, and its centres.
pub struct Talk<'f> {
    pub number: usize,
    pub at: std::net::SocketAddr,
    model: Model<'f>,
    /// What it does is known: [`Model`] says it.
    exact: bool,
    datagrams: [Option<Datagrams>; CENTRES],
    streams: [Option<Stream>; CENTRES],
    /// The connection that sent last.
    last: usize,
}

impl<'f> Talk<'f> {
    fn new(number: usize, fsu: &'f Fsu, exact: bool, run: RunContext) -> Self {
        let model = Model::new(fsu, run);
        let (datagrams, streams) = (Default::default(), Default::default());
        Self { number, at: fsu.bind, model, exact, datagrams, streams, last: 0 }
    }

    pub fn fsu(&self) -> &'f Fsu {
        self.model.fsu
    }

    fn step(&mut self, shard: &Shard, input: &mut Input<'_>) {
        let (what, centre) = (input.byte(), input.pick(CENTRES));
        match what % 12 {
            // It gets to its turn.
            0 => shard.wait(),
            1 => self.settle(shard),
            2 => self.leave(shard, centre),
            3 => self.reset(shard, centre, input.byte().is_multiple_of(2)),
            4 => self.send(shard, centre, &[input.short()]),
            5 => {
                let bytes = self.heartbeat();
                self.send(shard, centre, &[&bytes]);
            }
            // In two pieces, as two datagrams or two writes.
            6 | 7 => {
                let bytes = self.request(input);
                let (first, rest) = bytes.split_at(input.pick(256).min(bytes.len()));
                self.send(shard, centre, &[first, rest]);
            }
            // Several at once.
            8 => {
                let requests: Vec<_> = (0..input.pick(6)).map(|_| self.request(input)).collect();
                self.send(shard, centre, &[&requests.concat()]);
            }
            _ => {
                let bytes = self.request(input);
                self.send(shard, centre, &[&bytes]);
            }
        }
    }

    /// A sample of a command, maybe changed and put right, as it travels.
    fn request(&self, input: &mut Input<'_>) -> Vec<u8> {
        let device = input.one(&self.fsu().devices);
        let template = &device.template;
        let mut raw = template.commands[input.pick(template.commands.len().min(256))].sample.to_vec();
        let change = input.byte();
        if change >= 128 {
            let at = input.pick(raw.len().min(256));
            raw[at] ^= change;
        }
        let inner = mended(template, &raw);
        if self.fsu().transport != Transport::Udp {
            return inner;
        }
        let address = (device.sub_dev_type, device.sub_dev_addr);
        outer::build(&self.outer(Some(inner), 1, 0xEE, address))
    }

    fn heartbeat(&self) -> Vec<u8> {
        outer::build(&self.outer(None, 2, 0xED, (1, 0)))
    }

    fn outer(
        &self,
        data: Option<Vec<u8>>,
        comm_type: u16,
        rtn_flag: u8,
        (sub_dev_type, sub_dev_addr): (u8, u8),
    ) -> Outer {
        let dest = self.fsu().id.bytes.to_vec();
        Outer { dest, src: vec![0; 8], sub_dev_type, sub_dev_addr, rtn_flag, comm_type, data, big: (false, false) }
    }

    /// A centre sends these, one after another.
    fn send(&mut self, shard: &Shard, centre: usize, pieces: &[&[u8]]) {
        let at = self.at;
        if self.fsu().transport != Transport::Tcp {
            let datagrams = self.datagrams[centre].get_or_insert_with(|| Datagrams::new(at));
            for piece in pieces {
                datagrams.send(piece);
                let replies = self.model.datagram(datagrams.address(), piece);
                datagrams.expected.extend(replies);
            }
            return;
        }
        // Whose bytes come first is known only once the others' are taken.
        if self.last != centre {
            self.settle(shard);
            self.last = centre;
        }
        let stream = self.streams[centre].get_or_insert_with(|| Stream::connect(at));
        for piece in pieces {
            stream.write(piece);
            let is_known = self.model.bytes(&mut stream.line, piece, &mut stream.expected);
            self.exact &= is_known;
        }
    }

    /// All that was sent is taken, and all that is due has come.
    fn settle(&mut self, shard: &Shard) {
        if !self.exact {
            return;
        }
        shard.wait_for(self.number, &self.model);
        self.datagrams.iter_mut().flatten().for_each(|datagrams| datagrams.receive(&self.model));
        self.streams.iter_mut().flatten().for_each(|stream| stream.read(&self.model));
    }

    /// A centre has nothing more to say, takes what it is still owed and goes.
    fn leave(&mut self, shard: &Shard, centre: usize) {
        self.settle(shard);
        if let Some(mut stream) = self.streams[centre].take() {
            self.exact &= self.model.end(&mut stream.line, &mut stream.expected);
            stream.finish(&self.model, self.exact);
        }
        // Another has its place, from another port.
        self.datagrams[centre] = None;
    }

    /// A centre resets its connection; `whole`: after it was answered.
    fn reset(&mut self, shard: &Shard, centre: usize, whole: bool) {
        if whole {
            self.settle(shard);
        }
        if let Some(stream) = self.streams[centre].take() {
            self.exact &= whole;
            stream.reset();
        }
    }

    fn finish(&mut self, shard: &Shard) {
        (0..CENTRES).filter(|&centre| self.streams[centre].is_some()).collect::<Vec<_>>().into_iter().for_each(
            |centre| {
                self.leave(shard, centre);
            },
        );
        self.settle(shard);
    }
}
