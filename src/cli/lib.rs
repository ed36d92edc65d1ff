//! Arguments and commands.
//!
//! - [`args`]: what can be typed in.
//! - [`exit`]: how a command ends.
//! - [`fleet`]: the configuration that a command works on.
//! - [`check`], [`init`]: commands of a file each. `schema` and `completions` are a line each, here.
//! - [`explain`]: a frame and its answer. [`plan`]: what serving rests on. [`describe`], [`columns`]: the words and layout
//!   of both.
//! - [`ask`]: a command for an FSU, and its answer.
//! - [`flood`]: arguments of the load generator to a run of [`fsu_flood`].
//! - [`run`]: serves the fleet. [`prepare`]: what it decides first; [`cpus`], [`machine`], [`pinning`]: about the machine; [`sockets`],
//!   [`crew`], [`signals`], [`panics`], [`outfile`]: what it starts, watches and writes; [`reload`], [`watch`]: another configuration, without an end;
//!   [`local`]: whom it does not answer; [`summary`], [`stats`], [`tables`]: what it tells.

pub mod args;
pub mod ask;
pub mod check;
pub mod columns;
pub mod cpus;
pub mod crew;
pub mod describe;
pub mod exit;
pub mod explain;
pub mod fleet;
pub mod flood;
#[cfg(test)]
mod golden;
pub mod init;
pub mod local;
pub mod machine;
pub mod outfile;
pub mod panics;
pub mod pinning;
pub mod plan;
pub mod prepare;
pub mod reload;
pub mod run;
pub mod signals;
pub mod sockets;
pub mod stats;
pub mod summary;
pub mod tables;
pub mod watch;

use args::{Cli, Command, SchemaKind};
use clap::{CommandFactory, Parser};
use exit::{CliError, Exit};
use fsu_net::unblocked;
use fsu_plan::config::schema;
use std::ffi::OsString;
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::process::ExitCode;

/// The whole program: arguments in, exit code out.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    program(args).into()
}

/// The same, for whoever has to end a process with it.
pub fn program(args: impl IntoIterator<Item = OsString>) -> Exit {
    if let Err(error) =
        signals::survive_full_files().map_err(|error| CliError::new(Exit::Machine, format!("signals: {error}")))
    {
        return error.report();
    }
    if let Some(missing) = machine::address_space(machine::ADDRESS_BYTES_MIN) {
        return CliError::new(Exit::Machine, missing.to_string()).report();
    }
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            if error.use_stderr() {
                let text = error.render();
                let is_terminal = io::stderr().is_terminal();
                unblocked::stderr(&if is_terminal { text.ansi().to_string() } else { text.to_string() });
                return Exit::Usage;
            }
            // Help and version; a reader that has gone is no failure.
            let _ = error.print();
            return Exit::Ok;
        }
    };
    match dispatch(cli.command) {
        Ok(exit) => exit,
        Err(error) => error.report(),
    }
}

fn dispatch(command: Command) -> Result<Exit, CliError> {
    match command {
        Command::Run(args) => run::run(args),
        Command::Explain(args) => to_stdout(|out| explain::explain(&args, out)),
        Command::Plan(args) => to_stdout(|out| plan::plan(&args, out)),
        Command::Ask(args) => to_stdout(|out| ask::ask(&args, out)),
        Command::Check(args) => to_stdout(|out| check::check(&args, out)),
        Command::Flood(args) => flood::flood(&args),
        Command::Init(args) => to_stdout(|out| init::init(&args, out)),
        Command::Schema(args) => print(
            match args.kind {
                SchemaKind::Config(kind) => schema::text(kind),
                SchemaKind::FloodReport => fsu_flood::schema::report(),
                SchemaKind::FloodCentre => fsu_flood::schema::centre(),
                SchemaKind::FloodValues => fsu_flood::schema::values(),
            }
            .as_bytes(),
        ),
        Command::Completions(args) => {
            let mut script = Vec::new();
            clap_complete::generate(args.shell, &mut Cli::command(), "fsu-mock", &mut script);
            print(&script)
        }
    }
}

/// Runs a command that writes, and sees to it that everything is written.
fn to_stdout(command: impl FnOnce(&mut dyn Write) -> Result<Exit, CliError>) -> Result<Exit, CliError> {
    let mut out = BufWriter::new(io::stdout().lock());
    let exit = command(&mut out)?;
    match out.flush() {
        // The reader has what it wanted; the command's own code stands.
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
