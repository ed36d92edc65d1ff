//! Arguments of `ctl` and `top`.

use clap::{Args, Subcommand, ValueHint};
use std::path::PathBuf;
use std::time::Duration;

/// Which control server.
#[derive(Debug, Args)]
pub struct ToControl {
    /// Where the control server is, as `run` prints it
    #[arg(long, value_name = "ADDR", global = true, default_value = fsu_control::client::DEFAULT)]
    pub at: String,
    /// The file with the token that it needs
    #[arg(long, value_name = "FILE", global = true, value_hint = ValueHint::FilePath)]
    pub token: Option<PathBuf>,
}

/// Arguments of `ctl`.
#[derive(Debug, Args)]
pub struct CtlArgs {
    /// Which control server.
    #[command(flatten)]
    pub to: ToControl,
    /// Print the server's answer as JSON, for programs
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub call: Call,
}

/// What may be asked of a control server.
#[derive(Debug, Subcommand)]
pub enum Call {
    /// What the run is, and what it does now
    Status,
    /// List FSUs
    Fsus {
        /// Only those whose name matches; * and ? are wildcards
        #[arg(value_name = "GLOB", value_hint = ValueHint::Username)]
        glob: Option<String>,
        /// Only those in this state
        #[arg(long, value_parser = ["offline", "dialling", "faulty", "serving", "idle"])]
        state: Option<String>,
        /// Only those of this transport
        #[arg(long, value_parser = ["udp", "tcp", "datagram", "broadcast"])]
        transport: Option<String>,
        /// In this order [default: as in the configuration]
        #[arg(long, value_parser = ["name", "received", "dropped", "faults"])]
        sort: Option<String>,
        /// The other way round
        #[arg(long)]
        desc: bool,
        /// How many at most
        #[arg(short, value_name = "N", default_value_t = 1000)]
        n: usize,
    },
    /// All of one FSU: devices, registers, memory, messages, commands, the last exchanges
    Show {
        /// The FSU
        #[arg(value_name = "NAME", value_hint = ValueHint::Username)]
        name: String,
    },
    /// Send a message now, from every FSU whose name matches
    Trigger {
        /// Which FSUs; * and ? are wildcards
        #[arg(value_name = "GLOB", value_hint = ValueHint::Username)]
        glob: String,
        /// The message's name in the rules
        #[arg(value_name = "MESSAGE")]
        message: String,
        /// Its arguments
        #[arg(value_name = "NAME=VALUE", value_parser = pair)]
        args: Vec<(String, String)>,
        /// Spread the sends evenly over this time, e.g. 2s
        #[arg(long, value_name = "TIME", value_parser = duration)]
        over: Option<Duration>,
    },
    /// Set registers of every FSU whose name matches
    Set {
        /// Which FSUs; * and ? are wildcards
        #[arg(value_name = "GLOB", value_hint = ValueHint::Username)]
        glob: String,
        /// Registers and their values
        #[arg(value_name = "REGISTER=VALUE", value_parser = pair, required = true)]
        values: Vec<(String, String)>,
        /// Only of the device with this number, from 0
        #[arg(long, value_name = "N")]
        device: Option<u16>,
        /// The key of a keyed register
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
    },
    /// Set bytes of a memory area of every FSU whose name matches
    Memory {
        /// Which FSUs; * and ? are wildcards
        #[arg(value_name = "GLOB", value_hint = ValueHint::Username)]
        glob: String,
        /// The area's name in the rules
        #[arg(value_name = "AREA")]
        area: String,
        /// The first byte, from 0
        #[arg(value_name = "AT")]
        from: u64,
        /// The bytes
        #[arg(value_name = "HEX", required = true)]
        hex: Vec<String>,
        /// Only of the device with this number, from 0
        #[arg(long, value_name = "N")]
        device: Option<u16>,
    },
    /// Take the power of every FSU whose name matches
    Offline {
        /// Which FSUs; * and ? are wildcards
        #[arg(value_name = "GLOB", value_hint = ValueHint::Username)]
        glob: String,
        /// For this long, e.g. 30s; without it, until `online`
        #[arg(long = "for", value_name = "TIME", value_parser = duration)]
        during: Option<Duration>,
    },
    /// Give it back; faults that were armed are cleared, too
    Online {
        /// Which FSUs; * and ? are wildcards
        #[arg(value_name = "GLOB", value_hint = ValueHint::Username)]
        glob: String,
    },
    /// Arm faults of every FSU whose name matches, in place of those that were armed
    Faults {
        /// Which FSUs; * and ? are wildcards
        #[arg(value_name = "GLOB", value_hint = ValueHint::Username)]
        glob: String,
        /// Keys of a `faults` object, e.g. drop=0.1 extra_delay_ms.p=1 extra_delay_ms.ms=200
        #[arg(value_name = "FAULT=VALUE", value_parser = pair, required = true)]
        faults: Vec<(String, String)>,
        /// For this long, e.g. 30s; without it, until `clear`
        #[arg(long = "for", value_name = "TIME", value_parser = duration)]
        during: Option<Duration>,
    },
    /// Clear armed faults: those of the configuration are back
    Clear {
        /// Which FSUs; * and ? are wildcards
        #[arg(value_name = "GLOB", value_hint = ValueHint::Username)]
        glob: String,
    },
    /// The last requests without a reply, and why
    Unanswered {
        /// Only of FSUs whose name matches; * and ? are wildcards
        #[arg(value_name = "GLOB", value_hint = ValueHint::Username)]
        glob: Option<String>,
        /// How many
        #[arg(short, value_name = "N", default_value_t = 10)]
        n: usize,
    },
    /// What has become of messages
    Messages,
    /// Print the metrics as Prometheus reads them
    Metrics,
    /// Read the configuration again, as SIGHUP does
    Reload,
    /// Set the level of the system log
    LogLevel {
        /// The level
        #[arg(value_name = "LEVEL", value_parser = ["off", "error", "warn", "info", "debug", "trace"])]
        level: String,
    },
    /// Print events as they happen, a line each, until it is stopped
    Events {
        /// Print at most this number of them
        #[arg(short, value_name = "N")]
        n: Option<usize>,
    },
    /// Names of FSUs that begin so, for completions
    #[command(hide = true)]
    Names {
        /// What they begin with
        #[arg(value_name = "PREFIX", default_value = "")]
        prefix: String,
    },
}

/// Not `name=value`.
#[derive(Debug, thiserror::Error)]
#[error("it is NAME=VALUE")]
struct NoPair;

/// `name=value`
fn pair(text: &str) -> Result<(String, String), NoPair> {
    let (name, value) = text.split_once('=').filter(|(name, _)| !name.trim().is_empty()).ok_or(NoPair)?;
    Ok((name.trim().to_owned(), value.to_owned()))
}

/// Not a time.
#[derive(Debug, thiserror::Error)]
#[error("it is a number and ms, s, m or h: 500ms, 30s, 5m")]
struct NoTime;

/// `500ms`, `30s`, `5m`, `1h`
fn duration(text: &str) -> Result<Duration, NoTime> {
    let unit = text.find(|c: char| c.is_ascii_alphabetic()).ok_or(NoTime)?;
    let (number, unit) = text.split_at(unit);
    let number: f64 = number.parse().map_err(|_| NoTime)?;
    let seconds = match unit {
        "ms" => number / 1_000.0,
        "s" => number,
        "m" => number * 60.0,
        "h" => number * 3_600.0,
        _ => return Err(NoTime),
    };
    Duration::try_from_secs_f64(seconds).ok().filter(|time| !time.is_zero()).ok_or(NoTime)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, expected_ms) in [
            ("500ms", Some(500)),
            ("30s", Some(30_000)),
            ("1.5s", Some(1_500)),
            ("5m", Some(300_000)),
            ("1h", Some(3_600_000)),
            ("30", None),
            ("s", None),
            ("-1s", None),
            ("0s", None),
            ("1e400s", None),
            ("1d", None),
            ("", None),
        ] {
            assert_eq!(duration(text).ok().map(|time| time.as_millis()), expected_ms, "{text}");
        }
    }
}
