//! The door: a fleet that answers, as a library. Bytes and a moment in, bytes and a moment out.

use crate::about::About;
use crate::admit::{Unheard, admit};
use crate::answer::talk::Happened;
use crate::answer::turn::{Scratch, Turn};
use crate::faults::is_offline;
use crate::moment::{Moment, RunContext};
use crate::sink::{Cut, Outgoing, Sink};
use crate::speak::{self, Audience, NotTriggered};
use crate::stage::{self, Heard, Incoming, b_interface};
use crate::state::progress::{Patience, Progress};
use crate::state::talk::{NEVER_MS, Whose};
use crate::state::{Counters, FsuState, transfers};
use fsu_plan::model::fault::{FaultKind, Place, Struck};
use fsu_plan::model::fleet::{Fleet, Fsu};
use fsu_plan::model::message::Transport;
use std::net::SocketAddr;
use std::sync::Arc;

/// A fleet and the state of its FSUs. It has no socket, clock or thread: the owner passes in bytes, moments, and a [`Sink`] for
/// the output.
///
/// An FSU's number is its index in [`Fleet::fsus`]. Calls with any other number do nothing.
///
/// ```
/// use fsu_core::client::request;
/// use fsu_core::mock::Mock;
/// use fsu_core::moment::{Moment, RunContext};
/// use fsu_core::replies::Replies;
/// use fsu_plan::compile::compile;
/// use fsu_plan::config::load::Loader;
/// use fsu_plan::config::source::{MAIN_FILE, Source};
/// use fsu_plan::model::message::Transport;
/// use fsu_plan::wire::civil::Now;
/// use std::path::Path;
///
/// let mut loader = Loader::new(Source::Embedded);
/// let fleet = compile(&mut loader, Path::new(MAIN_FILE)).expect("the shipped configuration");
/// let fsu = fleet.fsus.iter().position(|fsu| fsu.transport == Transport::Broadcast).expect("one without an outer frame");
///
/// // What a centre sends: the first command of the FSU's template, with the values that the template gives.
/// let mut mock = Mock::new(fleet.into(), RunContext { seed: 1, skip_delay: true, start_mono_ms: 0 });
/// let template = &mock.fleet().fsus[fsu].devices[0].template;
/// let wire = request::encode(template, &template.commands[0], &[]).expect("a request");
///
/// let now = Moment::at(Now { unix_ms: 1_768_239_003_000, utc_offset_s: 0 }, 0);
/// let mut replies = Replies::default();
/// let heard = mock.on_datagram(fsu, wire[..].into(), now, &mut replies);
///
/// assert!(heard.valid);
/// assert!(!replies.frames().is_empty());
/// ```
#[derive(Debug)]
pub struct Mock {
    fleet: Arc<Fleet>,
    run: RunContext,
    members: Box<[Member]>,
    scratch: Scratch,
}

/// One FSU.
#[derive(Debug)]
struct Member {
    state: FsuState,
    /// When its next heartbeat is due, since the start of the run; `None`: never.
    beat_due_ms: Option<u64>,
}

/// One connection to an FSU, with the bytes that wait for more.
#[derive(Clone, Debug, Default)]
pub struct Connection {
    fsu: usize,
    held: Vec<u8>,
    progress: Progress,
    /// When the last reply is due.
    last_due_ns: i64,
}

impl Connection {
    /// Bytes that wait for more.
    pub fn waiting(&self) -> &[u8] {
        &self.held
    }
}

impl Mock {
    /// A fleet whose FSUs have received nothing. The run starts at 0 ms.
    pub fn new(fleet: Arc<Fleet>, run: RunContext) -> Self {
        let member = |(number, fsu): (usize, &Fsu)| {
            let (number, of) = fleet.place(number);
            let beat_due_ms = fsu.heartbeat().map(|schedule| schedule.phase_ms(number, of));
            Member { state: FsuState::new(fsu), beat_due_ms }
        };
        let members = fleet.fsus.iter().enumerate().map(member).collect();
        Self { fleet, run, members, scratch: Scratch::default() }
    }

    /// The fleet.
    pub fn fleet(&self) -> &Arc<Fleet> {
        &self.fleet
    }

    /// The number of the FSU with that name. This is a linear search: keep the number.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.fleet.fsus.iter().position(|fsu| *fsu.name == *name)
    }

    /// An FSU's counters. The sender counts what was sent: [`Mock::on_sent`].
    pub fn counters(&self, fsu: usize) -> Option<&Counters> {
        self.members.get(fsu).map(|member| &member.state.counters)
    }

    /// A datagram came to an FSU. Replies go to its sender.
    #[inline]
    pub fn on_datagram(&mut self, fsu: usize, incoming: Incoming<'_>, moment: Moment, sink: &mut impl Sink) -> Heard {
        let Some(mut turn) = self.turn(fsu, moment) else { return Heard::default() };
        if !is_heard(&mut turn, incoming, Struck::Request, sink) {
            return Heard::default();
        }
        stage::on_datagram(&mut turn, incoming, sink)
    }

    /// One whole request came to an FSU, whatever its transport: a datagram, or all bytes of a new connection.
    pub fn on_request(&mut self, fsu: usize, incoming: Incoming<'_>, moment: Moment, sink: &mut impl Sink) {
        if self.fleet.fsus.get(fsu).is_some_and(|fsu| fsu.transport == Transport::Tcp) {
            if let Some(mut connection) = self.open(fsu, incoming.peer, moment, sink) {
                self.on_bytes(&mut connection, incoming.bytes, moment, sink);
            }
        } else {
            self.on_datagram(fsu, incoming, moment, sink);
        }
    }

    /// A connection to an FSU was opened; `None` if it is refused.
    pub fn open(&mut self, fsu: usize, peer: SocketAddr, moment: Moment, sink: &mut impl Sink) -> Option<Connection> {
        let mut turn = self.turn(fsu, moment)?;
        if !is_heard(&mut turn, Incoming { peer, bytes: &[] }, Struck::Connection, sink) {
            return None;
        }
        turn.state.counters.connections += 1;
        Some(Connection { fsu, ..Connection::default() })
    }

    /// Bytes came on a connection. Replies go into it, in their order.
    ///
    /// False if the sink became full ([`Sink::is_full`]) before all bytes were done: call again, with no more bytes.
    #[inline]
    pub fn on_bytes(
        &mut self,
        connection: &mut Connection,
        bytes: &[u8],
        moment: Moment,
        sink: &mut impl Sink,
    ) -> bool {
        connection.held.extend_from_slice(bytes);
        self.go_on(connection, Patience::Wait, moment, sink)
    }

    /// Nothing came on a connection for some time: a doubtful frame waits no longer ([`Patience::Decide`]).
    pub fn on_quiet(&mut self, connection: &mut Connection, moment: Moment, sink: &mut impl Sink) -> bool {
        self.go_on(connection, Patience::Decide, moment, sink)
    }

    /// The centre has closed its half of a connection: nothing more comes.
    pub fn on_end(&mut self, connection: &mut Connection, moment: Moment, sink: &mut impl Sink) -> bool {
        self.go_on(connection, Patience::End, moment, sink)
    }

    fn go_on(&mut self, connection: &mut Connection, patience: Patience, moment: Moment, sink: &mut impl Sink) -> bool {
        let not_before_ns = moment.not_before_ns.max(connection.last_due_ns);
        let Some(mut turn) = self.turn(connection.fsu, Moment { not_before_ns, ..moment }) else { return true };
        if is_offline(turn.fsu, moment.since_start_ms) {
            not_heard(&mut turn, Unheard::Offline, (Struck::Connection, &[]), sink);
            connection.held.clear();
            connection.progress.forget();
            sink.cut(Cut::Reset, moment.arrived_ns);
            return true;
        }
        turn.scratch.progress = connection.progress.with(patience);
        let step = stage::on_bytes(&mut turn, &connection.held, sink);
        (connection.progress, connection.last_due_ns) = (turn.scratch.progress, turn.moment.not_before_ns);
        connection.held.drain(..step.consumed);
        !step.is_full
    }

    /// The FSU is there: the schedules of its messages begin, and what is due is said. Call it once for each FSU that talks
    /// ([`Fsu::talks`](fsu_plan::model::fleet::Common::talks)). Gives when to call [`Mock::on_timer`].
    pub fn on_start(&mut self, fsu: usize, audience: Audience, moment: Moment, sink: &mut impl Sink) -> Option<u64> {
        let whose = self.whose(fsu);
        speak::start(&mut self.turn(fsu, moment)?, whose, false);
        self.speak(fsu, audience, moment, sink)
    }

    /// A connection is up, or a centre was heard for the first time: the owner tells, and gets what is said then.
    pub fn on_connected(&mut self, fsu: usize, moment: Moment, sink: &mut impl Sink) -> Option<u64> {
        speak::connect(&mut self.turn(fsu, moment)?);
        self.speak(fsu, Audience::Some, moment, sink)
    }

    /// The last connection of an FSU is gone: its devices are in no state.
    pub fn on_disconnected(&mut self, fsu: usize, moment: Moment) {
        if let Some(mut turn) = self.turn(fsu, moment) {
            speak::disconnect(&mut turn);
        }
    }

    /// Whether what happened in the last calls makes an FSU close its connections (`"else": "reconnect"`). Telling it once is enough.
    pub fn hangs_up(&mut self) -> bool {
        std::mem::take(&mut self.scratch.talked.hangs_up)
    }

    /// A trigger: each device of the FSU with such a message says it at the next [`Mock::speak`].
    ///
    /// # Errors
    /// No device says it.
    pub fn trigger(
        &mut self,
        fsu: usize,
        name: &str,
        args: &[(&str, &str)],
        moment: Moment,
    ) -> Result<(), NotTriggered> {
        speak::trigger(&mut self.turn(fsu, moment).ok_or(NotTriggered::NoMessage)?, name, args)
    }

    /// Says what is due of an FSU's messages: after anything that may have made one due, such as an acknowledgement. Gives when
    /// something is due next, in milliseconds since the start of the run.
    pub fn speak(&mut self, fsu: usize, audience: Audience, moment: Moment, sink: &mut impl Sink) -> Option<u64> {
        let whose = self.whose(fsu);
        let next_ms = speak::speak(&mut self.turn(fsu, moment)?, whose, audience, sink);
        Some(next_ms).filter(|&ms| ms != NEVER_MS)
    }

    /// What has become of messages since this was called last, of all FSUs.
    pub fn happened(&mut self) -> impl Iterator<Item = Happened> {
        self.scratch.talked.happened.drain(..)
    }

    fn whose(&self, number: usize) -> Whose {
        let (number, of) = self.fleet.place(number);
        Whose { number, of }
    }

    /// Time has passed for an FSU: sends its heartbeat if it is due, and ends idle transfers. The owner sends the heartbeat to every
    /// centre.
    ///
    /// Returns when to call again, in milliseconds since the start of the run; `None` if nothing is scheduled.
    pub fn on_timer(&mut self, fsu: usize, moment: Moment, sink: &mut impl Sink) -> Option<u64> {
        let Self { fleet, members, scratch, .. } = self;
        let (plan, member) = (fleet.fsus.get(fsu)?, members.get_mut(fsu)?);
        let now_ms = moment.since_start_ms;
        let idle_ms = if member.state.transfers.is_empty() {
            None
        } else {
            transfers::sweep(&mut member.state, plan, now_ms).map(|ms| now_ms.saturating_add(ms))
        };
        if let Some(due_ms) = member.beat_due_ms.filter(|&due_ms| due_ms <= now_ms) {
            member.beat_due_ms = plan.heartbeat().map(|schedule| schedule.next_ms(due_ms, now_ms));
            if !is_offline(plan, now_ms) {
                b_interface::heartbeat(plan, &mut scratch.escaped);
                sink.about(About::HEARTBEAT);
                sink.send(Outgoing::Heartbeat, moment.arrived_ns, &scratch.escaped);
            }
        }
        idle_ms.into_iter().chain(member.beat_due_ms).min()
    }

    /// Something that an FSU sends was handed to the kernel.
    #[inline]
    pub fn on_sent(&mut self, fsu: usize, what: Outgoing) {
        if let Some(member) = self.members.get_mut(fsu) {
            member.state.counters.sent(what);
        }
    }

    /// The context for a message to an FSU.
    #[inline]
    fn turn(&mut self, fsu: usize, moment: Moment) -> Option<Turn<'_>> {
        let Self { fleet, run, members, scratch } = self;
        Some(Turn { run, fsu: fleet.fsus.get(fsu)?, state: &mut members.get_mut(fsu)?.state, scratch, moment })
    }
}

/// Whether an FSU hears a sender. If not, that is counted and reported, for a request or a connection.
#[inline]
fn is_heard(turn: &mut Turn<'_>, incoming: Incoming<'_>, frame: Struck, sink: &mut impl Sink) -> bool {
    let heard = admit(turn.fsu, incoming.peer, turn.moment.since_start_ms, |_| None);
    if let Err(why) = heard {
        not_heard(turn, why, (frame, incoming.bytes), sink);
    }
    heard.is_ok()
}

#[cold]
fn not_heard(turn: &mut Turn<'_>, why: Unheard, (frame, bytes): (Struck, &[u8]), sink: &mut impl Sink) {
    why.count(&mut turn.state.counters);
    match why {
        Unheard::Offline => sink.fault(FaultKind::Offline, Place::apart(frame)),
        Unheard::Refused(reason) => sink.note(reason, bytes),
    }
}

#[cfg(test)]
mod tests;
