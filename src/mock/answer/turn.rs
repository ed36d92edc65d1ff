//! What one message is answered with.

use super::build::{self, Built, Inputs};
use super::random::Dice;
use crate::about::About;
use crate::faults::Drawn;
use crate::moment::{Moment, RunContext};
use crate::state::FsuState;
use crate::state::progress::Progress;
use fsu_plan::model::fleet::Fsu;
use fsu_plan::model::rule::Reply;
use fsu_plan::model::template::Template;
use fsu_plan::wire::civil::Calendar;
use fsu_plan::wire::framer::Search;

/// What a message is answered with: the run, the FSU and what it remembers, buffers, and when. All stages take one.
///
/// It holds no more than references, so that a shard can make one for each datagram.
#[derive(Debug)]
pub struct Turn<'a> {
    /// What is common to all messages of the run.
    pub run: &'a RunContext,
    /// The FSU, as the plan has it.
    pub fsu: &'a Fsu,
    /// What that FSU remembers.
    pub state: &'a mut FsuState,
    /// Buffers.
    pub scratch: &'a mut Scratch,
    /// When the message came. A stage on a stream moves [`Moment::not_before_ns`] on, from reply to reply.
    pub moment: Moment,
}

/// The request that a reply answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// The device that was asked, by its place among the FSU's.
    pub(crate) device: usize,
    /// The raw request.
    pub(crate) request: &'a [u8],
    /// When the reply is due, on the wall clock in nanoseconds.
    pub(crate) due_ns: i64,
}

impl Turn<'_> {
    /// The generator of the message that was counted last.
    #[inline]
    pub(crate) fn dice(&self) -> Dice {
        Dice::new(self.run.seed, self.state.identity, self.state.messages)
    }

    /// Builds a reply into the scratch. Its number is the state's: count it first.
    #[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
    #[inline(always)]
    pub(crate) fn compose(&mut self, reply: &Reply, asked: Asked<'_>, dice: &mut Dice) {
        let Self { fsu, state, scratch, moment, .. } = self;
        let mut inputs = Inputs {
            request: asked.request,
            memory: state.devices.get(asked.device),
            id_hex: &fsu.id_hex,
            seq: state.replies,
            due: moment.clock_at(asked.due_ns),
            calendar: &mut scratch.calendar,
            dice,
        };
        let template = &fsu.devices[asked.device].template;
        let misfits = build::build(template, reply, &mut inputs, &mut scratch.built);
        if misfits > 0 {
            state.counters.value_misfits += misfits;
        }
    }
}

/// Buffers of one shard, grown once and then reused by every message.
#[derive(Debug, Default)]
pub struct Scratch {
    /// An unescaped outer frame, received.
    pub outer: Vec<u8>,
    /// A raw inner frame, received (ascii_hex only).
    pub raw: Vec<u8>,
    /// The reply.
    pub built: Built,
    /// The outer frame before escaping.
    pub framed: Vec<u8>,
    /// The outer frame on the wire.
    pub escaped: Vec<u8>,
    /// The time that replies tell.
    pub calendar: Calendar,
    /// What the framers saw in the bytes of a stream, by device.
    pub searches: Vec<Search>,
    /// How far the search for frames has come in the current connection.
    pub progress: Progress,
    /// The faults of the reply at hand.
    pub drawn: Drawn,
    /// What is known about the current request.
    pub about: About,
    /// What is left of a burst.
    pub burst: Burst,
}

/// Replies that follow the first one to a request: see [`next_of_burst`](super::reply::next_of_burst).
#[derive(Clone, Copy, Debug, Default)]
pub struct Burst {
    /// How many are still to come.
    pub(crate) left: u32,
    /// How many there were.
    pub(crate) done: u32,
    pub(crate) command: usize,
    pub(crate) rule: usize,
    pub(crate) due_ns: i64,
}

impl Scratch {
    /// A request for that device begins.
    #[inline]
    pub(crate) fn begin(&mut self, device: usize) {
        self.burst.left = 0;
        self.drawn.clear();
        self.about = About::of(device);
    }

    /// The reply as it travels, before the outer frame.
    #[inline]
    pub fn on_wire(&self, template: &Template) -> &[u8] {
        self.built.on_wire(template)
    }
}
