//! The context in which one message is answered.

use super::build::{self, Built, Inputs};
use super::profile::Buffers;
use super::random::Dice;
use super::talk::Talked;
use crate::about::About;
use crate::faults::Drawn;
use crate::moment::{Moment, RunContext};
use crate::state::FsuState;
use crate::state::progress::Progress;
use fsu_plan::model::fleet::Fsu;
use fsu_plan::model::reply::Reply;
use fsu_plan::model::template::Template;
use fsu_plan::wire::civil::{Calendar, Now};
use fsu_plan::wire::framer::Search;
use fsu_plan::wire::quick::Trace;

/// The context in which one message is answered: run, FSU, its state, buffers and the moment. Every stage takes one.
///
/// It holds references only, so a shard makes one for each datagram.
#[derive(Debug)]
pub struct Turn<'a> {
    /// What is common to all messages of the run.
    pub run: &'a RunContext,
    /// The FSU's plan.
    pub fsu: &'a Fsu,
    /// What that FSU remembers.
    pub state: &'a mut FsuState,
    /// Buffers.
    pub scratch: &'a mut Scratch,
    /// When the message came. On a stream, each reply moves [`Moment::not_before_ns`] forward.
    pub moment: Moment,
}

/// The request that a reply answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// Index of the device in the FSU whose registers and cycle places are used: [`Turn::home`].
    pub(crate) device: usize,
    /// The raw request.
    pub(crate) request: &'a [u8],
    /// The clock's time when the reply is due.
    pub(crate) due: Now,
}

impl Turn<'_> {
    /// The generator of the current message: the last one counted.
    #[inline]
    pub(crate) fn dice(&self) -> Dice {
        Dice::new(self.run.seed, self.state.identity, self.state.messages)
    }

    /// Index of the device whose registers and cycle places a device uses: its own, or those of the device that it is a layout of.
    #[inline]
    pub(crate) fn home(&self, device: usize) -> usize {
        self.fsu.devices.get(device).and_then(|device| device.layouts.home).map_or(device, usize::from)
    }

    /// What expressions see outside a reply: a condition, or a change by the one who steers the run. The scratch may have a trace of the
    /// frame, or has none of it.
    #[cold]
    pub(super) fn with_inputs<R>(
        &mut self,
        device: usize,
        (request, is_traced): (&[u8], bool),
        what: impl FnOnce(&mut Inputs<'_>, &mut Vec<u8>) -> R,
    ) -> R {
        let mut dice = self.dice();
        let Self { fsu, state, scratch, moment, .. } = self;
        let seq = state.replies + 1;
        let mut inputs = Inputs {
            request,
            trace: is_traced.then_some(&scratch.trace),
            state: Some(state),
            device,
            id_hex: &fsu.id,
            seq,
            due: moment.now,
            moment: Some(moment),
            calendar: &mut scratch.calendar,
            dice: &mut dice,
            item: None,
        };
        what(&mut inputs, &mut scratch.built.text)
    }

    /// Builds a reply into the scratch. Its number is [`FsuState::replies`]: count it first.
    #[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
    #[inline(always)]
    pub(crate) fn compose(&mut self, template: &Template, reply: &Reply, asked: Asked<'_>, dice: &mut Dice) {
        let Self { fsu, state, scratch, moment, .. } = self;
        let seq = state.replies;
        let mut inputs = Inputs {
            request: asked.request,
            trace: Some(&scratch.trace),
            state: Some(state),
            device: asked.device,
            id_hex: &fsu.id,
            seq,
            due: asked.due,
            moment: Some(moment),
            calendar: &mut scratch.calendar,
            dice,
            item: None,
        };
        let misfits = build::build(template, reply, &mut inputs, &mut scratch.built);
        if misfits > 0 {
            state.counters.value_misfits += misfits;
        }
    }
}

/// Buffers of one shard. They grow once; every message reuses them.
#[derive(Debug, Default)]
pub struct Scratch {
    /// The received outer frame, unescaped.
    pub outer: Vec<u8>,
    /// The received inner frame, decoded (ascii_hex only).
    pub raw: Vec<u8>,
    /// Where the elements of the current request are, if its fields vary in size.
    pub(crate) trace: Trace,
    /// The reply.
    pub built: Built,
    /// The outer frame before escaping.
    pub framed: Vec<u8>,
    /// The outer frame on the wire.
    pub escaped: Vec<u8>,
    /// A request and its reply by a profile.
    pub profile: Buffers,
    /// Civil time for the replies.
    pub calendar: Calendar,
    /// State of each device's framer on a stream.
    pub searches: Vec<Search>,
    /// How far the search for frames has come in the current connection.
    pub progress: Progress,
    /// The faults of the current reply.
    pub drawn: Drawn,
    /// What is known about the current request.
    pub about: About,
    /// What the current reply is, where a request has several.
    pub(crate) form: Form,
    /// A request in another layout, decoded.
    pub(crate) layout: Vec<u8>,
    /// The rest of a burst.
    pub burst: Burst,
    /// What conversations have done.
    pub talked: Talked,
}

/// What a reply is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Form {
    /// A frame of the request's layout.
    #[default]
    Own,
    /// A frame of the layout with that number.
    Layout(u16),
    /// Bytes as they are.
    Raw,
}

/// The replies to a request after the first one: see [`next_of_burst`](super::reply::next_of_burst).
#[derive(Clone, Copy, Debug, Default)]
pub struct Burst {
    /// Replies still to be built.
    pub(crate) left: u32,
    /// Replies built.
    pub(crate) done: u32,
    pub(crate) command: usize,
    pub(crate) rule: usize,
    pub(crate) due_ns: i64,
}

impl Scratch {
    /// Starts a request for that device.
    #[inline]
    pub(crate) fn begin(&mut self, device: usize) {
        self.begin_with(About::of(device));
    }

    /// Starts a request about which that is known.
    #[inline]
    pub(crate) fn begin_with(&mut self, about: About) {
        self.burst.left = 0;
        self.drawn.clear();
        self.about = about;
    }

    /// The reply as it travels, before the outer frame.
    #[inline]
    pub fn on_wire(&self, template: &Template) -> &[u8] {
        self.built.on_wire(template)
    }
}
