//! `ask`: a command for an FSU, over the network, and its decoded answer.
//!
//! - [`answer`]: one answer, read by its template.
//! - [`link`]: what carries frames to an FSU: datagrams, the B interface, a stream.
//! - [`text`]: an answer for people.
//! - [`json`]: the same for programs.
//!
//! [`fsu_core::client`] builds the request and conducts a transfer.

mod answer;
mod json;
mod link;
mod text;

use super::args::AskArgs;
use super::exit::{CliError, Exit, words};
use super::fleet::{find, load};
use super::outfile::{Words, is_stdout};
use super::text_out::TextOut;
use fsu_core::answer::build::Inputs;
use fsu_core::answer::rule::matching;
use fsu_core::client::exchange::{Exchange, Follows, Outcome, Patience, Tally};
use fsu_core::client::layouts::Others;
use fsu_core::client::own::Own;
use fsu_core::client::request;
use fsu_core::client::verify::{Expected, error_reply, expected};
use fsu_flood::workload::left_out::fit;
use fsu_plan::model::fleet::{Device, Fsu};
use fsu_plan::model::template::ErrorReply;
use fsu_plan::texts::Texts;
use fsu_plan::wire::checksum::write_number;
use fsu_plan::wire::civil::{Calendar, Now};
use fsu_plan::wire::inner::Frame;
use link::Link;
use std::io::{self, ErrorKind, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Maximum number of sockets at once; each has a thread.
pub const PARALLEL_MAX: usize = 256;

/// A request, and what is needed to repeat it.
struct Question<'a> {
    fsu: &'a Fsu,
    device: &'a Device,
    command: usize,
    to: SocketAddr,
    request: Vec<u8>,
    should: Expected,
    follows: Follows,
    patience: Patience,
    /// Replies that its rule gives: more than one with a `burst`.
    replies: usize,
    /// Its connection is TLS.
    tls: Option<fsu_tls::Client>,
}

/// The result of one command.
struct Ended {
    outcome: Outcome,
    /// The template's error reply that the answer is, if any.
    error: Option<ErrorReply>,
    answer: Vec<u8>,
    payload: Vec<u8>,
    /// The last request on the wire: over udp with its outer frame.
    request_wire: Vec<u8>,
    /// The answer, likewise; empty if none came.
    answer_wire: Vec<u8>,
    /// The other replies of its burst: raw, and on the wire.
    others: Vec<(Vec<u8>, Vec<u8>)>,
    /// Missing replies of its burst.
    missing: usize,
    tally: Tally,
    took: Duration,
}

/// The sum of many commands.
#[derive(Default)]
struct Sum {
    took: Vec<Duration>,
    bytes: u64,
    refused: u64,
    failed: u64,
    wrong: u64,
    retries: u64,
    restarts: u64,
    sent: u64,
}

/// Asks, and prints the answer.
pub fn ask(args: &AskArgs, say: Texts, out: &mut dyn Write) -> Result<Exit, CliError> {
    let fleet = load(&args.which.origin(), say)?;
    let fsu = find(&fleet, &args.fsu)?;
    let question = question(args, fsu)?;
    if args.repeat.get() > 1 {
        return load_mode(args, &question, &mut TextOut::new(out, say));
    }
    let put = question.put(&mut question.link()?, question.request.clone());
    let ended = put.map_err(|error| question.broken(&error))?;
    let mut words = Vec::new();
    if args.json {
        json::write(&question, &ended, &mut words)?;
    } else {
        text::write(&question, &ended, &mut TextOut::new(&mut words, say))?;
    }
    if args.out.as_deref().is_some_and(is_stdout) {
        Words::Stderr.print(&String::from_utf8_lossy(&words));
    } else {
        out.write_all(&words)?;
    }
    if let Some(path) = args.out.as_ref().filter(|_| ended.outcome == Outcome::Done) {
        let written =
            if is_stdout(path) { out.write_all(&ended.payload) } else { std::fs::write(path, &ended.payload) };
        written
            .map_err(|error| CliError::new(Exit::Usage, format!("{} cannot be written: {error}", path.display())))?;
    }
    Ok(if ended.is_whole() { Exit::Ok } else { Exit::NoAnswer })
}

fn question<'a>(args: &AskArgs, fsu: &'a Fsu) -> Result<Question<'a>, CliError> {
    let usage = |text: String| CliError::new(Exit::Usage, text);
    // The first device that knows the command; if none does, the first device's error.
    let in_layout = |device: &Device| request::in_layout(device, &args.cmd).unwrap_or(&args.cmd);
    let knows = |device: &&Arc<Device>| {
        let key = request::in_layout(device, &args.cmd);
        key.is_some_and(|key| request::find_command(&device.template, key).is_ok())
    };
    let found = fsu.devices.iter().find(knows).or(fsu.devices.first());
    let device = found.ok_or_else(|| usage(format!("{} has no device", fsu.name)))?;
    let mut values = args.set.clone();
    values.extend(args.para.iter().map(|para| ("Para".to_owned(), para.clone())));
    let (command, mut request) =
        request::build_any(&device.template, in_layout(device), &values).map_err(|wrong| usage(words(&wrong)))?;
    make_values(fsu, device, command, &values, &mut request);
    if let Some(did) = args.did {
        set_did(device, &mut request, did)?;
    }
    let own = Own::new(fsu, device);
    if own.is_bound() && expects_nothing(own.device(command), command, &request) {
        let given: Vec<&str> = values.iter().map(|(name, _)| &**name).collect();
        fit(own.device(command), command, &given, &mut request);
    }
    let should = expected(own.device(command), command, &request);
    let follows = should.follows();
    let patience = Patience { timeout_ms: args.timeout_ms.max(1), retries: args.retries };
    let to = args.to.unwrap_or(reachable(fsu.bind));
    if to.port() == 0 {
        return Err(usage(format!("the port of {} is any free one: say which with --to", fsu.name)));
    }
    let replies = replies(own.device(command), command, &request);
    let tls = args.tls.client(fsu, to.ip())?;
    if tls.is_none() && args.tls.is_given() {
        return Err(usage(format!("--tls-ca, --tls-server-name, --tls-cert, --tls-key: {} has no `tls`", fsu.name)));
    }
    Ok(Question { fsu, device, command, to, request, should, follows, patience, replies, tls })
}

/// Fills in request values that the template gives as functions, with this machine's clock.
fn make_values(fsu: &Fsu, device: &Device, command: usize, given: &[(String, String)], request: &mut [u8]) {
    let now = jiff::Zoned::now();
    let due = Now { unix_ms: now.timestamp().as_millisecond(), utc_offset_s: now.offset().seconds() };
    let mut inputs = Inputs {
        request: &[],
        trace: None,
        state: None,
        device: 0,
        id_hex: &fsu.id,
        seq: 1,
        due,
        moment: None,
        calendar: &mut Calendar::default(),
        dice: &mut fastrand::Rng::new().into(),
        item: None,
    };
    let template = &device.template;
    request::fill(template, &template.commands[command], given, &mut inputs, request);
}

fn set_did(device: &Device, request: &mut [u8], did: u64) -> Result<(), CliError> {
    let Some(transfer) = &device.template.transfer else {
        return Err(CliError::new(Exit::Usage, "--did needs a template with a `transfer` section (see --set)"));
    };
    let at = transfer.did.at.in_frame(request.len());
    if transfer.did.len < 8 && did >> (8 * transfer.did.len) != 0 {
        let text = format!("--did {did} does not fit {} bytes", transfer.did.len);
        return Err(CliError::new(Exit::Usage, text));
    }
    if let Some(field) = request.get_mut(at..at + transfer.did.len) {
        write_number(did, transfer.did.little, field);
    }
    Ok(())
}

/// Where an FSU that listens on this address can be asked from here.
fn reachable(bind: SocketAddr) -> SocketAddr {
    let ip = match bind.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    // Only the address: a link-local one keeps its interface.
    let mut to = bind;
    to.set_ip(ip);
    to
}

impl Question<'_> {
    fn link(&self) -> Result<Link<'_>, CliError> {
        let cannot = |error| CliError::new(Exit::NoAnswer, format!("{} cannot be reached: {error}", self.to));
        let timeout = Duration::from_millis(self.patience.timeout_ms);
        let device = (self.device, self.command);
        Link::open(self.fsu, device, self.to, (timeout, self.tls.as_ref())).map_err(cannot)
    }

    /// Why it could not be asked.
    fn broken(&self, error: &io::Error) -> CliError {
        let text = match error.kind() {
            ErrorKind::ConnectionRefused => format!("refused: nobody listens at {} ({})", self.to, self.fsu.name),
            _ => format!("{}: {error}", self.to),
        };
        CliError::new(Exit::NoAnswer, text)
    }

    /// Asks once and waits for the end.
    fn put(&self, link: &mut Link<'_>, request: Vec<u8>) -> io::Result<Ended> {
        link.forget()?;
        let begin = Instant::now();
        let now_ms = |begin: Instant| begin.elapsed().as_millis() as u64;
        let mut exchange = Exchange::new(&self.device.template, request, self.follows, self.patience, 0)
            .with_others(Others::of(self.device, self.command));
        let (mut request_wire, mut answer_wire) = (Vec::new(), Vec::new());
        while let Some(deadline_ms) = exchange.deadline_ms() {
            if let Some(wire) = exchange.to_send() {
                link.send(wire)?;
                if exchange.answer().is_empty() {
                    request_wire = link.sent().to_vec();
                    answer_wire.clear();
                }
                continue;
            }
            let wait_ms = deadline_ms.saturating_sub(now_ms(begin)).max(1);
            match link.receive(Duration::from_millis(wait_ms))? {
                Some(frame) => {
                    let waited = exchange.answer().is_empty();
                    exchange.on_frame(frame, now_ms(begin));
                    if waited && !exchange.answer().is_empty() {
                        answer_wire = link.came().to_vec();
                    }
                }
                None => exchange.on_time(now_ms(begin)),
            }
        }
        let mut took = begin.elapsed();
        let (request, answer) = (exchange.request(), exchange.answer());
        let error = exchange.payload().is_empty().then(|| error_reply(self.device, self.command, request, answer));
        let error = error.flatten();
        let outcome = exchange.outcome().unwrap_or(Outcome::TimedOut);
        let outcome = if error.is_some() && outcome == Outcome::Done { Outcome::Refused } else { outcome };
        let mut others = Vec::new();
        let wanted = if outcome == Outcome::Done { self.replies.saturating_sub(1) } else { 0 };
        let mut until = Instant::now() + Duration::from_millis(self.patience.timeout_ms);
        while others.len() < wanted && Instant::now() < until {
            let wait = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            // Replies that arrived are shown even if the connection fails now.
            let Ok(received) = link.receive(wait) else { break };
            let Some(frame) = received else { continue };
            if let Some(raw) = exchange.another(frame) {
                others.push((raw, link.came().to_vec()));
                took = begin.elapsed();
                until = Instant::now() + Duration::from_millis(self.patience.timeout_ms);
            }
        }
        Ok(Ended {
            outcome,
            error,
            missing: wanted - others.len(),
            others,
            answer: exchange.answer().to_vec(),
            payload: exchange.payload().to_vec(),
            request_wire,
            answer_wire,
            tally: exchange.tally(),
            took,
        })
    }

    /// One thread's share of many commands.
    fn share(&self, commands: usize) -> Result<Sum, CliError> {
        let mut link = self.link()?;
        let mut sum = Sum::default();
        for _ in 0..commands {
            match self.put(&mut link, self.request.clone()) {
                Ok(ended) => {
                    sum.add(&ended, self.should.holds(&ended.payload));
                    if ended.is_late() {
                        // A late answer belongs to this command: the next one uses another port.
                        link = self.link()?;
                    }
                }
                // It answered before, and may come back.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused && !sum.took.is_empty() => {
                    sum.failed += 1;
                    thread::sleep(Duration::from_millis(self.patience.timeout_ms));
                }
                Err(error) => return Err(self.broken(&error)),
            }
        }
        Ok(sum)
    }
}

impl Ended {
    /// Answered completely.
    fn is_whole(&self) -> bool {
        self.outcome == Outcome::Done && self.missing == 0
    }

    /// More replies may still arrive.
    fn is_late(&self) -> bool {
        self.outcome == Outcome::TimedOut || self.missing > 0
    }
}

/// Whether no rule answers this raw request.
fn expects_nothing(device: &Device, command: usize, raw: &[u8]) -> bool {
    let data_len = raw.len().saturating_sub(device.template.left_len + device.template.tail_len);
    matching(device, command, &Frame { raw, wire: raw, data_len }).is_none()
}

/// Replies that the rules give to this raw request.
fn replies(device: &Device, command: usize, raw: &[u8]) -> usize {
    let template = &device.template;
    let data_len = raw.len().saturating_sub(template.left_len + template.tail_len);
    let rule = matching(device, command, &Frame { raw, wire: raw, data_len });
    rule.map_or(1, |(_, rule)| rule.burst.max(1) as usize)
}

impl Sum {
    fn add(&mut self, ended: &Ended, holds: Option<bool>) {
        match ended.outcome {
            Outcome::Done if ended.missing > 0 => self.failed += 1,
            Outcome::Done if holds == Some(false) => self.wrong += 1,
            Outcome::Done => {
                self.took.push(ended.took);
                self.bytes += ended.payload.len() as u64;
            }
            Outcome::Refused => self.refused += 1,
            Outcome::TimedOut | Outcome::Lost | Outcome::TooLong => self.failed += 1,
        }
        self.retries += ended.tally.retries;
        self.restarts += ended.tally.restarts;
        self.sent += ended.tally.sent;
    }

    fn join(&mut self, other: Self) {
        self.took.extend(other.took);
        self.bytes += other.bytes;
        self.refused += other.refused;
        self.failed += other.failed;
        self.wrong += other.wrong;
        self.retries += other.retries;
        self.restarts += other.restarts;
        self.sent += other.sent;
    }
}

/// The same command many times, from several sockets at once.
fn load_mode(args: &AskArgs, question: &Question<'_>, out: &mut TextOut<'_>) -> Result<Exit, CliError> {
    let repeat = args.repeat.get();
    let parallel = args.parallel.get().min(PARALLEL_MAX).min(repeat);
    let begin = Instant::now();
    let shares: Vec<Result<Sum, CliError>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..parallel)
            .map(|number| {
                let commands = repeat / parallel + usize::from(number < repeat % parallel);
                scope.spawn(move || question.share(commands))
            })
            .collect();
        let gone = || CliError::new(Exit::Defect, "a thread of ask ended by itself");
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err(gone()))).collect()
    });
    let took = begin.elapsed();
    let mut sum = Sum::default();
    for share in shares {
        sum.join(share?);
    }
    text::write_sum(repeat, parallel, took, &mut sum, out)?;
    Ok(if sum.failed + sum.wrong + sum.refused == 0 { Exit::Ok } else { Exit::NoAnswer })
}
