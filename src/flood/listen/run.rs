//! A centre from its start to its end: sockets, threads, a line a second.

use super::Options;
use super::thread::{Glance, Shared, Sockets, listen};
use crate::engine::pin::pin;
use crate::hear::count::Count;
use fsu_plan::texts::Texts;
use socket2::{Domain, Protocol, Socket, Type};
use std::fmt::Write as _;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// Asked for each UDP socket. Kernel memory, taken only while datagrams wait.
const RECEIVE_BUFFER_BYTES: usize = 16 << 20;
/// Connections that wait to be accepted: thousands come at once after an outage. The system may allow fewer (net.core.somaxconn).
const BACKLOG: i32 = 65_535;
/// How often the end is looked for.
const STEP: Duration = Duration::from_millis(50);

/// What a centre heard.
#[derive(Debug)]
pub struct Listened {
    /// Where it listened.
    pub addresses: Vec<SocketAddr>,
    /// All threads together.
    pub count: Count,
    /// For how long.
    pub seconds: f64,
    /// RFC 3339, UTC.
    pub started: String,
}

/// The sockets of one address.
struct Bound {
    address: SocketAddr,
    listener: Option<TcpListener>,
    datagrams: UdpSocket,
}

/// Binds both kinds of sockets to one address. With port 0 both get the same free one.
fn bind(address: SocketAddr, accepts: bool) -> io::Result<Bound> {
    let told = |error: io::Error, address| io::Error::new(error.kind(), format!("{address}: {error}"));
    let listener = accepts.then(|| stream_socket(address)).transpose().map_err(|error| told(error, address))?;
    let address = match &listener {
        Some(listener) => listener.local_addr()?,
        None => address,
    };
    let datagrams = datagram_socket(address).map_err(|error| told(error, address))?;
    Ok(Bound { address: datagrams.local_addr()?, listener, datagrams })
}

fn stream_socket(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    // Connections of an earlier run may still be closing there.
    socket.set_reuse_address(true)?;
    both_families(&socket, address)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn datagram_socket(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    both_families(&socket, address)?;
    // Less is given without an error.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(RECEIVE_BUFFER_BYTES);
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// `[::]` hears IPv4 too, whatever net.ipv6.bindv6only says.
fn both_families(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    if address.is_ipv6() { socket.set_only_v6(!address.ip().is_unspecified()) } else { Ok(()) }
}

/// A thread's share: all listeners, and one of every `threads` datagram sockets, so that an FSU is always heard by the same thread.
fn share(bound: &[Bound], number: usize, threads: usize) -> io::Result<Sockets> {
    let listeners = bound.iter().filter_map(|bound| bound.listener.as_ref()).map(TcpListener::try_clone);
    let mine = bound.iter().enumerate().skip(number).step_by(threads.max(1));
    let datagrams = mine.map(|(number, bound)| Ok::<_, io::Error>((number, bound.datagrams.try_clone()?)));
    Ok(Sockets { listeners: listeners.collect::<Result<_, _>>()?, datagrams: datagrams.collect::<Result<_, _>>()? })
}

/// What is open before the threads start.
#[derive(Debug)]
pub struct Opened {
    /// Where it listens.
    pub addresses: Vec<SocketAddr>,
    /// By thread.
    pub sockets: Vec<Sockets>,
    /// What the threads share.
    pub shared: Arc<Shared>,
}

impl Opened {
    /// Binds all addresses.
    ///
    /// # Errors
    /// An address that cannot be bound.
    pub fn new(options: &Options) -> io::Result<Self> {
        let bound: Vec<Bound> =
            options.addresses.iter().map(|&address| bind(address, options.accepts)).collect::<Result<_, _>>()?;
        let threads = options.threads.max(1);
        let shared = Shared {
            stop: AtomicBool::new(false),
            glances: (0..threads).map(|_| Mutex::default()).collect(),
            open: AtomicUsize::new(0),
            busy: AtomicUsize::new(threads),
            untold: AtomicU64::new(0),
        };
        Ok(Self {
            addresses: bound.iter().map(|bound| bound.address).collect(),
            sockets: (0..threads).map(|number| share(&bound, number, threads)).collect::<Result<_, _>>()?,
            shared: Arc::new(shared),
        })
    }
}

/// Says where it listens.
pub fn tell(addresses: &[SocketAddr], say: Texts) {
    for address in addresses {
        fsu_net::unblocked::stderr(&say.lines(&format!("listening {address}\n")));
    }
}

/// Gets what is known once a second.
type Watch<'a> = &'a mut dyn FnMut(&Glance);

type Running = JoinHandle<io::Result<Count>>;

/// Listens until the time is over or `stop` says so. `watch` gets what is known once a second.
///
/// # Errors
/// An address that cannot be bound, and what a thread meets.
pub fn run(
    options: &Arc<Options>,
    (say, watch): (Texts, Watch<'_>),
    stop: &mut dyn FnMut() -> bool,
) -> io::Result<Listened> {
    let Opened { addresses, sockets, shared } = Opened::new(options)?;
    let started = jiff::Timestamp::now();
    let start = Instant::now();
    let mut running: Vec<Running> = Vec::new();
    for (number, sockets) in sockets.into_iter().enumerate() {
        let (options, shared) = (Arc::clone(options), Arc::clone(&shared));
        let cpu = options.cpus.get(number % options.cpus.len().max(1)).copied();
        let work = move || {
            let pinned = pin(cpu);
            let ended = listen(&options, number, sockets, &shared, start);
            if ended.is_err() {
                // The others have no reason to go on.
                shared.stop.store(true, Ordering::Relaxed);
            }
            pinned.and(ended)
        };
        running.push(Builder::new().name(format!("centre {number}")).spawn(work)?);
    }
    tell(&addresses, say);
    lines(options, &shared, (start, say, watch), stop);
    shared.stop.store(true, Ordering::Relaxed);
    let mut count = Count::new(options.hearing.accounts.len(), options.hearing.cast.speakers.len());
    for thread in running {
        count.add(&thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
    }
    Ok(Listened { addresses, count, seconds: start.elapsed().as_secs_f64(), started: format!("{started:.3}") })
}

/// Shows a line a second until the end.
fn lines(
    options: &Options,
    shared: &Shared,
    (start, say, watch): (Instant, Texts, Watch<'_>),
    stop: &mut dyn FnMut() -> bool,
) {
    let speaks = !options.hearing.cast.talks.is_empty();
    let (mut next, mut before) = (start + Duration::from_secs(1), Glance::default());
    while options.time.is_none_or(|time| start.elapsed() < time) && !stop() && !shared.stop.load(Ordering::Relaxed) {
        let left = options.time.map_or(STEP, |time| time.saturating_sub(start.elapsed()).min(STEP));
        std::thread::sleep(left.min(next.saturating_duration_since(Instant::now())));
        if Instant::now() < next {
            continue;
        }
        next += Duration::from_secs(1);
        let now = look(shared);
        watch(&now);
        if !options.quiet {
            let at = start.elapsed().as_secs_f64();
            let beats = now.heartbeats - before.heartbeats;
            // Writing to a String cannot fail.
            let mut line = format!("{at:6.1} s");
            if speaks {
                let (messages, acked) = (now.messages - before.messages, now.acked - before.acked);
                let _ = write!(
                    line,
                    "  messages {messages:>9}/s  acknowledged {acked:>9}/s  wrong {}  connections {}",
                    now.wrong, now.open
                );
            }
            if !speaks || now.heartbeats > 0 {
                let _ = write!(line, "  heartbeats {beats:>9}/s  FSUs {}  bad {}", now.fsus, now.bad);
            }
            fsu_net::unblocked::stderr(&format!("{}\n", say.lines(&line)));
        }
        before = now;
    }
}

fn look(shared: &Shared) -> Glance {
    let mut sum = Glance::default();
    for glance in shared.glances.iter().filter_map(|glance| glance.lock().ok()) {
        sum.messages += glance.messages;
        sum.acked += glance.acked;
        sum.wrong += glance.wrong;
        sum.heartbeats += glance.heartbeats;
        sum.fsus += glance.fsus;
        sum.bad += glance.bad;
        sum.open += glance.open;
    }
    sum
}
