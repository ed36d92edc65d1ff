//! Arguments and commands.
//!
//! - [`args`]: what can be typed in (`examples`: what help ends with). [`exit`]: how a command ends.
//! - [`which`]: the configuration that is asked for. [`language`]: the language of a run. [`help`]: the help in it.
//! - [`fleet`]: the configuration that a command works on.
//! - [`run`], [`check`], [`init`], [`explain`], [`plan`], [`ask`], [`flood`]: one file per command, from arguments to options. `schema` and
//!   `completions` are one line each, here.
//! - [`man`]: manual pages, for packages.
//! - [`control`]: the control server of a command. [`ctl`], [`top`]: its clients.
//! - [`summary`], [`tables`]: what a run prints at its start and its end. [`describe`], [`columns`]: words and layout of `explain` and `plan`.
//! - [`text_out`]: what commands print for people, in the language of the run.
//! - [`outfile`]: files that are written at the end. [`panics`]: what a panic prints.
//!
//! [`fsu_serve::fleet`] runs a fleet, [`fsu_flood`] loads one.

pub mod aim_args;
pub mod args;
pub mod ask;
pub mod centre_args;
pub mod check;
pub mod columns;
pub mod compare;
pub mod compare_args;
pub mod control;
pub mod control_args;
pub mod ctl;
pub mod describe;
mod examples;
pub mod exit;
pub mod explain;
mod explain_args;
pub mod fleet;
pub mod flood;
#[cfg(test)]
mod golden;
pub mod help;
pub mod init;
pub mod language;
pub mod man;
mod man_args;
pub mod merge;
pub mod outfile;
pub mod panics;
pub mod plan;
pub mod run;
mod schema_args;
pub mod summary;
pub mod tables;
pub mod text_out;
mod tls_args;
#[cfg(feature = "screen")]
pub mod top;
pub mod which;

use args::{Cli, Command, SchemaKind};
use clap::{CommandFactory, FromArgMatches};
use exit::{CliError, Exit};
use fsu_net::unblocked;
use fsu_plan::config::schema;
use fsu_plan::texts::Texts;
use fsu_serve::fleet::{machine, signals};
use std::ffi::OsString;
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::process::ExitCode;
use text_out::TextOut;

/// The whole program: arguments in, exit code out.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    fsu_net::sys::map_large();
    ExitCode::from(program(args) as u8)
}

/// The same, for a caller that ends the process itself.
pub fn program(args: impl IntoIterator<Item = OsString>) -> Exit {
    let args: Vec<OsString> = args.into_iter().collect();
    let language = language::of(&args, |name| std::env::var(name).ok());
    let say = Texts::of(language);
    if let Err(error) =
        signals::survive_full_files().map_err(|error| CliError::new(Exit::Machine, format!("signals: {error}")))
    {
        return error.report(say);
    }
    if let Some(missing) = machine::address_space(machine::ADDRESS_BYTES_MIN) {
        return CliError::new(Exit::Machine, missing.to_string()).report(say);
    }
    let matches = help::command(say).try_get_matches_from(args);
    let cli = match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => return refused(&error, say),
    };
    match dispatch(cli.command, say) {
        Ok(exit) => exit,
        Err(error) => error.report(say),
    }
}

/// Wrong arguments, or help and version.
fn refused(error: &clap::Error, say: Texts) -> Exit {
    let text = error.render();
    if !error.use_stderr() {
        // A reader that has gone is no failure.
        if say.is_english() {
            let _ = error.print();
        } else {
            let is_terminal = io::stdout().is_terminal();
            let text = if is_terminal { text.ansi().to_string() } else { text.to_string() };
            let _ = io::stdout().write_all(say.lines(&text).as_bytes());
        }
        return Exit::Ok;
    }
    let is_terminal = io::stderr().is_terminal();
    let text = if is_terminal { text.ansi().to_string() } else { text.to_string() };
    unblocked::stderr(&say.lines(&text));
    Exit::Usage
}

fn dispatch(command: Command, say: Texts) -> Result<Exit, CliError> {
    match command {
        Command::Run(args) => run::run(args, say),
        Command::Explain(args) => to_stdout(|out| explain::explain(&args, say, out)),
        Command::Plan(args) => to_stdout(|out| plan::plan(&args, say, out)),
        Command::Ask(args) => to_stdout(|out| ask::ask(&args, say, out)),
        Command::Check(args) => to_stdout(|out| check::check(&args, say, out)),
        Command::Flood(args) => flood::flood(&args, say),
        Command::Man(args) => man::man(&args),
        Command::Merge(args) => merge::merge(&args, say),
        Command::Ctl(args) => to_stdout(|out| ctl::ctl(&args, say, out)),
        #[cfg(feature = "screen")]
        Command::Top(args) => top::top(&args, say),
        Command::Compare(args) => compare::compare(&args, say),
        Command::Init(args) => to_stdout(|out| init::init(&args, &mut TextOut::new(out, say))),
        Command::Schema(args) => print(
            match args.kind {
                SchemaKind::Config(kind) => schema::text(kind),
                SchemaKind::FloodReport => fsu_flood::schema::report(),
                SchemaKind::FloodCentre => fsu_flood::listen::schema::centre(),
                SchemaKind::FloodReconcile => fsu_flood::listen::schema::reconcile(),
                SchemaKind::FloodValues => fsu_flood::schema::values(),
                SchemaKind::Compare => fsu_flood::compare::schema(),
                SchemaKind::FloodCapacity => fsu_flood::capacity::schema(),
            }
            .as_bytes(),
        ),
        Command::Completions(args) => {
            let mut script = Vec::new();
            clap_complete::generate(args.shell, &mut Cli::command(), "fsu-mock", &mut script);
            print(ctl::complete::script(args.shell, &String::from_utf8_lossy(&script)).as_bytes())
        }
    }
}

/// Runs a command that writes to standard output, and flushes it.
fn to_stdout(command: impl FnOnce(&mut dyn Write) -> Result<Exit, CliError>) -> Result<Exit, CliError> {
    let mut out = BufWriter::new(io::stdout().lock());
    let exit = command(&mut out)?;
    match out.flush() {
        // The reader has what it wanted; the command's own exit code applies.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(exit),
    }
}

/// Bytes to standard output.
fn print(bytes: &[u8]) -> Result<Exit, CliError> {
    to_stdout(|out| {
        out.write_all(bytes)?;
        Ok(Exit::Ok)
    })
}
