//! A run: sockets, threads, a look at them every second, the report.

use crate::book::live::{Live, Look};
use crate::book::tally::{CommandCounts, Other};
use crate::engine::gate::{Gate, Present};
use crate::engine::pin::pin;
use crate::engine::{self, Ended, Start};
use crate::hear::count::Count;
use crate::link::bind;
use crate::link::broadcast::{self, Broadcast};
use crate::link::frames::{self, Frames};
use crate::link::tcp::{self, Tcp};
use crate::link::udp::Udp;
use crate::listen;
use crate::listen::thread::{Shared, Sockets, ask};
use crate::numbers::counted;
use crate::report::messages::MessagesReport;
pub use crate::report::show::Show;
use crate::report::sum::{Course, report};
use crate::report::{FloodReport, Second};
use crate::workload::options::{Options, Pace};
use fsu_plan::model::message::Transport;
use fsu_plan::texts::Texts;
use fsu_tls::stream::Stream;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// How often the stop request is looked at.
const STEP: Duration = Duration::from_millis(50);
/// A shorter part of a second is not reported.
const PART_S_MIN: f64 = 0.02;
/// Seconds of a run that are kept; later ones are only shown. 88 bytes each.
const SECONDS_MAX: usize = 86_400;

/// The sockets or connections of a thread.
enum Opened {
    Udp(Vec<UdpSocket>, Option<Box<Frames>>),
    Tcp(Vec<(usize, Stream)>),
    Broadcast(Vec<UdpSocket>),
    Listening(Arc<listen::Options>, Sockets, Arc<Shared>),
}

impl Opened {
    fn new(options: &Options, number: usize, device: Option<&frames::Opened>) -> io::Result<Self> {
        Ok(match options.transport {
            Transport::Udp | Transport::Datagram => {
                let sockets = bind(options)?;
                let frames = device.map(|device| device.queue(number, &sockets).map(Box::new)).transpose()?;
                Self::Udp(sockets, frames)
            }
            Transport::Tcp => Self::Tcp(tcp::open(options, number)?),
            Transport::Broadcast => Self::Broadcast(bind(options)?),
        })
    }

    fn run(self, options: &Options, start: Start<'_>) -> io::Result<Ended> {
        match self {
            Self::Udp(sockets, frames) => engine::run::<Udp<'_>>(options, start, (sockets, frames)),
            Self::Tcp(streams) => engine::run::<Tcp<'_>>(options, start, streams),
            Self::Broadcast(sockets) => engine::run::<Broadcast<'_>>(options, start, sockets),
            Self::Listening(at, sockets, shared) => {
                let ended = ask((&at, options), sockets, &shared, start);
                shared.stop.fetch_or(ended.is_err(), Ordering::Relaxed);
                ended
            }
        }
    }
}

/// Makes sockets and connections of each thread.
fn open(options: &Options) -> io::Result<Vec<Opened>> {
    let device = frames::Opened::new(options)?;
    (0..options.threads).map(|number| Opened::new(options, number, device.as_ref())).collect()
}

/// Starts a thread for each share.
fn start(options: &Arc<Options>, live: &Arc<Live>, opened: Vec<Opened>) -> io::Result<Vec<Thread>> {
    let gate = Arc::new(Gate::new(options.threads));
    let mut threads = Vec::new();
    for (number, opened) in opened.into_iter().enumerate() {
        let (options, live, gate) = (Arc::clone(options), Arc::clone(live), Arc::clone(&gate));
        let cpu = options.cpus.get(number % options.cpus.len().max(1)).copied();
        let work = move || {
            let _present = Present(&gate, &live);
            let pinned = pin(cpu);
            let ended = opened.run(&options, Start { number, cpu, gate: &gate, live: Arc::clone(&live) });
            if ended.is_err() {
                // The others have no reason to go on.
                live.stop();
                live.end();
            }
            pinned.and(ended)
        };
        threads.push(Builder::new().name(format!("flood {number}")).spawn(work)?);
    }
    Ok(threads)
}

type Thread = JoinHandle<io::Result<Ended>>;

/// Runs to the end, or until `stop` says so.
///
/// # Errors
/// What sockets and connections meet.
pub fn run(options: Options, show: &mut dyn Show, stop: &mut dyn FnMut() -> bool) -> io::Result<FloodReport> {
    again(&Arc::new(options), show, stop)
}

/// The same, with options that are used again: no thread has them at the end.
///
/// # Errors
/// What sockets and connections meet.
pub fn again(options: &Arc<Options>, show: &mut dyn Show, stop: &mut dyn FnMut() -> bool) -> io::Result<FloodReport> {
    let opened = open(options)?;
    Ok(course(options, (opened, &[]), show, stop)?.0)
}

/// The same as a centre that listens there, and asks those that come. Returns also where it listened, and what it heard.
///
/// # Errors
/// What sockets and connections meet.
pub fn listening(
    options: Options,
    (at, say): (&Arc<listen::Options>, Texts),
    show: &mut dyn Show,
    stop: &mut dyn FnMut() -> bool,
) -> io::Result<(FloodReport, Vec<SocketAddr>, Count)> {
    let listen::run::Opened { addresses, sockets, shared } = listen::run::Opened::new(at)?;
    let each = |sockets| Opened::Listening(Arc::clone(at), sockets, Arc::clone(&shared));
    let opened = sockets.into_iter().map(each).collect();
    listen::run::tell(&addresses, say);
    let (mut report, count) = course(&Arc::new(options), (opened, &addresses), show, stop)?;
    let count = count.unwrap_or_else(|| Count::new(0, 0));
    report.run.connections = count.most as usize;
    report.run.sockets = addresses.len();
    let untold = shared.untold.load(Ordering::Relaxed);
    if untold > 0 {
        let connections = counted(untold, "connection");
        report.notes.push(format!(
            "Not asked: {connections} that did not tell which FSU it is, where FSUs are asked differently."
        ));
    }
    Ok((report, addresses, count))
}

/// Runs what is open to the end. Returns also what devices said.
fn course(
    options: &Arc<Options>,
    (opened, addresses): (Vec<Opened>, &[SocketAddr]),
    show: &mut dyn Show,
    stop: &mut dyn FnMut() -> bool,
) -> io::Result<(FloodReport, Option<Count>)> {
    let live = Arc::new(Live::new(options.threads, options.labels.len(), show.wants_all()));
    let started = jiff::Timestamp::now();
    let threads = start(options, &live, opened)?;
    let start = Instant::now();
    let mut seconds: Vec<Second> = Vec::new();
    let mut before = Before { row: CommandCounts::default(), other: Other::default(), at_s: 0.0 };
    let mut next = start + Duration::from_secs(1);
    let mut is_sending = true;
    loop {
        std::thread::sleep(STEP.min(next.saturating_duration_since(Instant::now())));
        if stop() || show.wants_end() {
            live.stop();
        }
        let over = live.is_over();
        // The end of sending ends a part of a second, so that rates of what follows are not mixed with it.
        let sent_until = if is_sending { live.sent_until() } else { None };
        if !over && sent_until.is_none() && Instant::now() < next {
            continue;
        }
        let look = live.look();
        let at_s = sent_until.unwrap_or_else(Instant::now).saturating_duration_since(start).as_secs_f64();
        let total = look.rows.iter().fold(CommandCounts::default(), |mut total, row| {
            total.add(row);
            total
        });
        if at_s - before.at_s > PART_S_MIN || seconds.is_empty() {
            let second = second(at_s, is_sending, &total, &before, &look);
            before = Before { row: total, other: look.other, at_s };
            show.second(options, &second, &look);
            if seconds.len() < SECONDS_MAX {
                seconds.push(second);
            }
        }
        if over {
            break;
        }
        is_sending &= sent_until.is_none();
        next = sent_until.map_or(next, |_| Instant::now()) + Duration::from_secs(1);
    }
    show.end();
    let mut reports = Vec::new();
    let mut heard = options.heard.as_ref().map(|of| Count::new(of.accounts.len(), of.cast.speakers.len()));
    for thread in threads {
        let (report, count) = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        reports.push(report);
        if let (Some(heard), Some(count)) = (&mut heard, count) {
            heard.add(&count);
        }
    }
    let ended = jiff::Timestamp::now();
    let notes = unasked(options).into_iter().chain(notes(options)).chain(options.heard_notes.iter().cloned()).collect();
    let messages = options.heard.as_ref().zip(heard.as_ref());
    let messages =
        messages.map(|(of, count)| MessagesReport::new(of, (count, addresses), start.elapsed().as_secs_f64()));
    let course = Course { started: format!("{started:.3}"), ended: format!("{ended:.3}"), seconds, messages, notes };
    Ok((report(options, &reports, course), heard))
}

/// The figures at the last look.
struct Before {
    row: CommandCounts,
    other: Other,
    at_s: f64,
}

fn second(at_s: f64, is_sending: bool, total: &CommandCounts, before: &Before, look: &Look) -> Second {
    let us = |ns: u64| ns as f64 / 1000.0;
    let at = |quantile: f64| {
        if look.interval.is_empty() { 0.0 } else { us(look.interval.value_at_quantile(quantile)) }
    };
    let ms = |s: f64| (s * 1000.0).round() / 1000.0;
    Second {
        at_s: ms(at_s),
        span_s: ms(at_s - before.at_s),
        is_rest: !is_sending,
        sent: look.other.sent - before.other.sent,
        replies: look.other.replies - before.other.replies,
        wrong: total.requests.wrong - before.row.requests.wrong,
        lost: total.requests.lost.saturating_sub(before.row.requests.lost),
        p50_us: at(0.5),
        p99_us: at(0.99),
        max_us: us(look.interval.max()),
    }
}

/// Notes for readers of the report.
fn notes(options: &Options) -> Vec<String> {
    if options.transport == Transport::Broadcast {
        return broadcast::notes(options);
    }
    let mut notes = Vec::new();
    let requests = || options.targets.iter().flat_map(|target| target.profile.requests.iter());
    let slowest = requests().map(|prepared| prepared.delay_ms_max).fold(0.0, f64::max);
    let equal = requests().filter(|prepared| prepared.marks.is_none());
    let slowest_equal = equal.map(|prepared| prepared.delay_ms_max).fold(0.0, f64::max);
    if slowest > options.timeout.as_secs_f64() * 1000.0 {
        notes.push(format!(
            "Rules delay replies by up to {slowest:.0} ms, more than --timeout-ms: such replies are late."
        ));
    }
    // Those of a connection keep their order.
    let may_overtake = options.transport != Transport::Tcp && !matches!(options.pace, Pace::Closed { window: 1 });
    if slowest_equal > 0.0 && may_overtake {
        notes.push(
            "Replies to equal requests may overtake each other and cannot be told apart: latencies may be swapped."
                .into(),
        );
    }
    if options.transport == Transport::Tcp && options.connections < options.targets.len() {
        let connections = counted(options.connections as u64, "connection");
        let verb = if options.connections == 1 { "reaches" } else { "reach" };
        notes.push(format!(
            "{connections} {verb} the first {} of {} FSUs.",
            options.connections,
            options.targets.len()
        ));
    }
    notes
}

/// FSUs that are not asked at all.
fn unasked(options: &Options) -> Option<String> {
    let fsus = counted(options.unasked as u64, "FSU");
    let are = if options.unasked == 1 { "is" } else { "are" };
    (options.unasked > 0)
        .then(|| format!("{fsus} {are} not asked: all commands there are left out, or not named in --mix."))
}
