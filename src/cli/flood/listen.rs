//! `flood --centre`, `flood --listen`, `flood --reconcile`: the centre's end of what devices say.

use super::watched::Watch;
use super::{
    Asked, PORTS_BYTES_MAX, Reports, SECONDS, asking, json, read, seconds, threads, thresholds, told, usage, written,
};
use crate::args::{FloodArgs, ListenAt};
use crate::exit::{CliError, Exit};
use crate::fleet;
use fsu_flood::centre::{self, Called, CentreReport};
use fsu_flood::hear::Hearing;
use fsu_flood::hear::acks::AckPolicy;
use fsu_flood::listen::thresholds::METRICS;
use fsu_flood::listen::{Options, html, run};
use fsu_flood::options::AskedFsu;
use fsu_flood::report::messages::MessagesReport;
use fsu_flood::talk::cast::Cast;
use fsu_flood::talk::ledger::{self, LedgerError};
use fsu_flood::talk::recent::Past;
use fsu_flood::targets::{Choice, fits, ports};
use fsu_net::bind::try_source;
use fsu_plan::model::fleet::{Fleet, Fsu};
use fsu_serve::fleet::machine;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufReader;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Options that only a centre has are errors without one.
///
/// # Errors
/// Which, and what to write.
pub(super) fn needs_centre(args: &FloodArgs) -> Result<(), CliError> {
    let given = [
        ("--ack-delay", args.at.ack_delay != (0, 0)),
        ("--ack-drop", args.at.ack_drop > 0.0),
        ("--ack-wrong", args.at.ack_wrong > 0.0),
        ("--reset-at", !args.at.reset_at.is_empty()),
        ("--tls-client-ca", args.at.tls_client_ca.is_some()),
    ];
    match given.iter().find(|(_, is_given)| *is_given) {
        Some((name, _)) => Err(usage(format!("{name} is for a centre: give --listen ADDR, too"))),
        None => Ok(()),
    }
}

/// Listens as a centre does, and reports.
///
/// # Errors
/// Options that do not fit the configuration, and what the machine refuses.
pub(super) fn centre(wish: &Asked<'_>, reports: &Reports, stop: &mut dyn FnMut() -> bool) -> Result<Exit, CliError> {
    let args = wish.args;
    let thresholds = if asking::is_asked(args) { Vec::new() } else { thresholds::given(args, &METRICS)? };
    let is_given = args.which.is_given();
    let fleet = (is_given || !args.at.listen.is_empty())
        .then(|| fleet::load_part(&args.which.origin(), args.partition, reports.say));
    let fleet = fleet.transpose()?;
    if fleet.is_none() && !args.fsu.is_empty() {
        return Err(usage("--fsu with --centre needs --config: without it, all that is heard counts"));
    }
    let addresses = addresses(args, fleet.as_ref())?;
    let at = args.at.centre.is_none().then_some(&*addresses);
    let expected = fleet.as_ref().map(|fleet| centre::expected(fleet, &args.fsu, at)).unwrap_or_default();
    let fsus: Vec<&Fsu> = chosen(args, fleet.as_ref()).collect();
    let printed = args.ports.as_deref().map(|path| read(path, PORTS_BYTES_MAX)).transpose()?;
    let ports = printed.map(|text| ports(&text)).unwrap_or_default();
    let choice = Choice { globs: args.fsu.clone(), ports, host: None, listens: true };
    let mut options = options(args, fleet.as_ref(), (&fsus, &choice), &addresses)?;
    let load = asking::load(wish, fleet.as_ref(), (&fsus, &choice), &mut options)?;
    let options = Arc::new(options);
    let named = if args.at.listen.is_empty() { "--centre" } else { "--listen" };
    let speaks = !options.hearing.cast.talks.is_empty();
    if fleet.is_some() && expected.is_empty() && !speaks && load.is_none() {
        return Err(usage(format!(
            "{named}: no FSU of the configuration sends heartbeats or messages, or none has such a name"
        )));
    }
    machine::files(options.files()).map_err(|missing| CliError::new(Exit::Machine, missing.to_string()))?;
    if let Some(load) = load {
        return asking::centre(wish, reports, (load, &options), &expected, stop);
    }
    let watch = Watch::centre(args, fsus.len(), reports.say)?;
    let mut heard = |glance: &_| watch.heard(glance);
    let listened = run::run(&options, (reports.say, &mut heard), stop)
        .map_err(|error| CliError::new(Exit::Bind, format!("{named} {error}")))?;
    let mut messages =
        speaks.then(|| MessagesReport::new(&options.hearing, (&listened.count, &listened.addresses), listened.seconds));
    messages.iter_mut().for_each(MessagesReport::forget_steps);
    let config = fleet.is_some().then(|| args.which.to_string());
    let called = Called { command_line: std::env::args().collect(), config };
    let report = CentreReport::new((&listened.count.heard, messages), listened.seconds, &expected, called);
    let addresses: Vec<String> = listened.addresses.iter().map(ToString::to_string).collect();
    let mut report = CentreReport { address: addresses.join(", "), started: listened.started, ..report };
    report.hold_to(&thresholds);
    let json = reports.json.as_ref().map(|file| written(file, &json(&report)?)).transpose();
    let html = reports.html.as_ref().map(|file| written(file, &html::html(&report, reports.say))).transpose();
    json.and(html).and(reports.tell(&report.text(reports.say)))?;
    Ok(if report.passed { Exit::Ok } else { Exit::Configuration })
}

/// Where it listens.
fn addresses(args: &FloodArgs, fleet: Option<&Fleet>) -> Result<Vec<SocketAddr>, CliError> {
    let mut all: Vec<SocketAddr> = args.at.centre.into_iter().collect();
    for at in &args.at.listen {
        match at {
            ListenAt::Address(address) => all.push(*address),
            ListenAt::Connect => {
                let named = chosen(args, fleet).filter_map(|fsu| fsu.connect.as_ref());
                let here: BTreeSet<SocketAddr> =
                    named.map(|connect| connect.to).filter(|to| is_of_this_machine(to.ip())).collect();
                if here.is_empty() {
                    return Err(usage(
                        "--listen: no FSU of the configuration connects to this machine; give --listen ADDR",
                    ));
                }
                all.extend(here);
            }
        }
    }
    Ok(all)
}

/// Is it an address of this machine? One that a socket can be bound to.
fn is_of_this_machine(ip: IpAddr) -> bool {
    try_source(ip).is_ok()
}

/// The FSUs with names that fit.
fn chosen<'f>(args: &'f FloodArgs, fleet: Option<&'f Fleet>) -> impl Iterator<Item = &'f Fsu> {
    let named = |fsu: &&Fsu| args.fsu.is_empty() || args.fsu.iter().any(|glob| fits(glob, &fsu.name));
    fleet.into_iter().flat_map(|fleet| fleet.fsus.iter()).filter(named)
}

fn options(
    args: &FloodArgs,
    fleet: Option<&Fleet>,
    (fsus, choice): (&[&Fsu], &Choice),
    addresses: &[SocketAddr],
) -> Result<Options, CliError> {
    let cast = Cast::new(fsus, |fsu| choice.address(fsu)).map_err(|error| told(&error))?;
    let acks = AckPolicy { delay_ms: args.at.ack_delay, drop: args.at.ack_drop, wrong: args.at.ack_wrong };
    if acks.wrong > 0.0 {
        can_be_wrong(&cast)?;
    }
    let accepts = fsus.iter().any(|fsu| !fsu.transport.is_datagrams());
    let resets_ns = resets(args, accepts)?;
    let (threads, cpus) = threads(args)?;
    let time = match (args.seconds, args.at.centre) {
        (Some(given), _) => Some(seconds("--seconds", given)?),
        (None, Some(_)) => Some(seconds("--seconds", SECONDS)?),
        (None, None) => None,
    };
    Ok(Options {
        addresses: addresses.to_vec(),
        accepts,
        resets_ns,
        tls: args.tls.server(args.at.tls_client_ca.as_deref())?,
        hearing: Arc::new(Hearing {
            cast,
            accounts: fleet.map(|fleet| fleet.accounts.clone()).unwrap_or_default(),
            acks,
            seed: args.seed.unwrap_or_else(|| fastrand::u64(..1 << 53)),
            ledger: ledger_file(args)?,
            past: Past::default(),
        }),
        time,
        threads,
        cpus,
        connections_max: args.at.connections_max,
        asked: None,
        quiet: args.quiet,
    })
}

/// The moments of `--reset-at`, in order.
fn resets(args: &FloodArgs, accepts: bool) -> Result<Vec<u64>, CliError> {
    let mut all: Vec<u64> = args.at.reset_at.iter().map(|at| at.as_nanos() as u64).collect();
    all.sort_unstable();
    all.dedup();
    if !accepts && !all.is_empty() {
        return Err(usage("--reset-at: no FSU of the configuration is tcp, so there are no connections to reset"));
    }
    Ok(all)
}

/// Where `--message-ledger` goes.
fn ledger_file(args: &FloodArgs) -> Result<Option<Arc<Mutex<File>>>, CliError> {
    let open = |path: &Path| {
        let made = File::create(path).map_err(|error| usage(format!("--message-ledger {}: {error}", path.display())));
        made.map(|file| Arc::new(Mutex::new(file)))
    };
    args.at.message_ledger.as_deref().map(open).transpose()
}

/// What the targets of a load say between their replies; the rest is notes. `None`: they say nothing.
///
/// # Errors
/// A ledger that cannot be written, or has nothing to tell.
pub(super) fn between(
    args: &FloodArgs,
    (fleet, chosen): (&Fleet, &[&Fsu]),
    targets: &[AskedFsu],
    seed: u64,
) -> Result<(Option<Arc<Hearing>>, Vec<String>), CliError> {
    let mut names = targets.iter().map(|target| &*target.name).peekable();
    // Targets are some of those that were chosen, in their order.
    let asked: Vec<&Fsu> = chosen.iter().copied().filter(|fsu| names.next_if_eq(&&*fsu.name).is_some()).collect();
    let speaks = asked.iter().any(|fsu| fsu.devices.iter().any(|device| device.conversation.is_some()));
    if !speaks && args.at.message_ledger.is_some() {
        return Err(usage("--message-ledger: no FSU that is asked has messages"));
    }
    if !speaks {
        return Ok((None, Vec::new()));
    }
    let (cast, unmade) = Cast::lenient(&asked, |_| None);
    let accounts = fleet.accounts.clone();
    let (ledger, past) = (ledger_file(args)?, Past::default());
    let hearing = Hearing { cast, accounts, acks: AckPolicy::default(), seed, ledger, past };
    let notes = unmade.iter().map(|error| format!("Not acknowledged: {error}."));
    Ok((Some(Arc::new(hearing)), notes.collect()))
}

/// A wrong acknowledgement has to differ where the device looks.
fn can_be_wrong(cast: &Cast) -> Result<(), CliError> {
    for talk in &cast.talks {
        for form in 0..talk.forms.len() as u32 {
            if talk.ack(form).is_some_and(|ack| !ack.can_be_wrong()) {
                return Err(usage(format!(
                    "--ack-wrong: the acknowledgement of {} has neither a field that must be equal nor a checksum; use --ack-drop",
                    talk.message(form).name
                )));
            }
        }
    }
    Ok(())
}

/// Compares two ledgers, and reports.
///
/// # Errors
/// A file that is no ledger.
pub(super) fn reconcile((mock, centre): (&Path, &Path), reports: &Reports) -> Result<Exit, CliError> {
    let open = |path: &Path| {
        let file = File::open(path).map_err(|error| usage(format!("{} cannot be read: {error}", path.display())))?;
        Ok::<_, CliError>(BufReader::new(file))
    };
    let (mut ours, mut theirs) = (open(mock)?, open(centre)?);
    let compared = ledger::compare(&mut ours, &mut theirs).map_err(|(of_mock, error): (bool, LedgerError)| {
        let path = if of_mock { mock } else { centre };
        usage(format!("{}: {error}", path.display()))
    })?;
    let json = reports.json.as_ref().map(|file| written(file, &json(&compared)?)).transpose();
    json.and(reports.tell(&reports.say.lines(&compared.text())))?;
    Ok(if compared.passed { Exit::Ok } else { Exit::Configuration })
}
