//! What can be typed in.

pub use super::aim_args::AimArgs;
pub use super::centre_args::{CentreArgs, ListenAt};
pub use super::compare_args::CompareArgs;
pub use super::control_args::{ControlArgs, WatchArgs};
pub use super::ctl::args::CtlArgs;
use super::examples::{
    ABOUT_EXAMPLES, ASK_EXAMPLES, CHECK_EXAMPLES, CTL_EXAMPLES, EXPLAIN_EXAMPLES, FLOOD_EXAMPLES, INIT_EXAMPLES,
    MERGE_EXAMPLES, PLAN_EXAMPLES, RUN_EXAMPLES,
};
pub use super::explain_args::{ExplainArgs, TakeAs};
use super::language::Lang;
pub use super::man_args::ManArgs;
pub use super::merge::args::MergeArgs;
pub use super::schema_args::{SchemaArgs, SchemaKind};
pub use super::tls_args::TlsArgs;
pub use super::which::Which;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueHint, value_parser};
use fsu_plan::exit::{MEANINGS, Meaning};
use fsu_plan::model::share::Partition;
use fsu_serve::driver::gather::{GATHER_US, GATHER_US_MAX};
use fsu_serve::fleet::DriverChoice;
use fsu_serve::fleet::read::Origin;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// A fleet of field supervision units (FSUs) from JSON alone, to load-test a supervision centre.
#[derive(Debug, Parser)]
#[command(name = "fsu-mock", version, max_term_width = 100, after_help = flow(ABOUT_EXAMPLES), after_long_help = long(ABOUT_EXAMPLES))]
pub struct Cli {
    /// Language of help, messages and reports for people: en or zh [default: the one of LC_ALL, LC_MESSAGES or LANG, else en]
    #[arg(long, global = true, value_enum, value_name = "LANG", hide_possible_values = true)]
    pub lang: Option<Lang>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the fleet until SIGTERM or SIGINT
    #[command(after_help = flow(RUN_EXAMPLES), after_long_help = long(RUN_EXAMPLES))]
    Run(RunArgs),
    /// Report every error and warning of a configuration at once
    #[command(after_help = flow(CHECK_EXAMPLES), after_long_help = long(CHECK_EXAMPLES))]
    Check(CheckArgs),
    /// Decode a frame layer by layer, and show which rule answers it, and how
    #[command(after_help = flow(EXPLAIN_EXAMPLES), after_long_help = long(EXPLAIN_EXAMPLES))]
    Explain(ExplainArgs),
    /// Load-test a running fleet: rates, latencies, every reply verified
    #[command(after_help = flow(FLOOD_EXAMPLES), after_long_help = format!("{}\n\n{}", flow(FLOOD_EXAMPLES), exit_codes(|one| one.of_flood)))]
    Flood(Box<FloodArgs>),
    /// Say what changed between two reports beyond noise: of flood (--json), or of run (--stats)
    Compare(CompareArgs),
    /// Print the compiled plan of an FSU, or list FSUs, templates and commands
    #[command(after_help = flow(PLAN_EXAMPLES))]
    Plan(PlanArgs),
    /// Send a command to an FSU, and decode its answer
    #[command(after_help = flow(ASK_EXAMPLES), after_long_help = long(ASK_EXAMPLES))]
    Ask(AskArgs),
    /// Watch and steer a running fleet from the shell
    #[command(after_help = flow(CTL_EXAMPLES), after_long_help = long(CTL_EXAMPLES))]
    Ctl(CtlArgs),
    /// Watch a running fleet on a terminal, live
    #[cfg(feature = "screen")]
    Top(super::top::TopArgs),
    /// Write the embedded configuration, or a small one, for editing
    #[command(after_help = flow(INIT_EXAMPLES))]
    Init(InitArgs),
    /// Make one result of what the parts of a run left (--partition)
    #[command(after_help = flow(MERGE_EXAMPLES), after_long_help = long(MERGE_EXAMPLES))]
    Merge(MergeArgs),
    /// Print the JSON Schema of a kind of configuration file
    Schema(SchemaArgs),
    /// Print completions for a shell
    #[command(after_help = "Example:\n  fsu-mock completions bash > fsu-mock.bash")]
    Completions(CompletionsArgs),
    /// Write the manual pages to a directory
    #[command(hide = true)]
    Man(ManArgs),
}

/// `--help` ends with the exit codes; `-h` does not.
fn long(examples: &str) -> String {
    format!("{}\n\n{}", flow(examples), exit_codes(|one| one.of_commands))
}

/// The table of [`MEANINGS`], without codes that have none.
fn exit_codes(meaning: fn(&Meaning) -> &'static str) -> String {
    let lines = MEANINGS.iter().filter(|one| !meaning(one).is_empty());
    let lines: Vec<String> = lines.map(|one| format!("  {}  {}", one.code, meaning(one))).collect();
    format!("Exit codes:\n{}", lines.join("\n"))
}

/// Paragraphs on a line each, which the terminal's width breaks, and nothing else does. Indented lines stay as they are.
fn flow(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_paragraph = false;
    for line in text.lines() {
        let is_text = !line.is_empty() && !line.starts_with(' ');
        if !out.is_empty() {
            out.push(if is_text && in_paragraph { ' ' } else { '\n' });
        }
        out.push_str(line);
        in_paragraph = is_text;
    }
    out
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Which configuration.
    #[command(flatten)]
    pub which: Which,
    /// Serving threads, each pinned to one processor
    ///
    /// The FSUs are spread over them; replies do not depend on their number.
    /// [default: one per processor of --cpus, else half of the processors allowed here; at most one per FSU]
    #[arg(long, value_name = "N")]
    pub shards: Option<NonZeroUsize>,
    /// Processors to pin to, e.g. 0-3,6 [default: the first ones allowed here]
    #[arg(long, value_name = "LIST")]
    pub cpus: Option<String>,
    /// How the sockets are driven
    #[arg(long, value_parser = driver(), default_value = DriverChoice::default().name())]
    pub driver: DriverChoice,
    /// The network device of --driver xdp
    #[arg(long, value_name = "IF", required_if_eq("driver", "xdp"))]
    pub xdp_dev: Option<String>,
    /// One socket a shard for all udp FSUs instead of one each; needs privileges
    ///
    /// A program in the kernel gives it their datagrams, so nothing in the kernel is one FSU's own: for tens of thousands of FSUs.
    #[arg(long)]
    pub one_socket: bool,
    /// No delays and no device log, whatever performance.enabled says
    ///
    /// performance.skip_delay and performance.skip_device_log of sys_config.json can still turn either of them off.
    #[arg(long)]
    pub performance: bool,
    /// Latest that a reply may leave after it is due; a run with more than one in a thousand later is not valid
    #[arg(long, value_name = "MS", default_value_t = 5.0)]
    pub late_limit_ms: f64,
    /// At partial load, wait this long for more requests before reading, which saves processor time; 0: never
    #[arg(long, value_name = "US", default_value_t = GATHER_US, value_parser = value_parser!(u32).range(..=i64::from(GATHER_US_MAX)))]
    pub gather_us: u32,
    /// Hand each reply to the kernel as a datagram of its own
    ///
    /// By default, replies of one size to one centre go to the kernel as one buffer, which it splits (UDP_SEGMENT). The centre sees no
    /// difference; a capture on this machine does.
    #[arg(long)]
    pub no_gso: bool,
    /// Seed of delays and random values: the same seed gives the same replies [default: a new one, printed at start]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Listen on this address instead of every FSU's `host`; 0.0.0.0 is all of IPv4, :: all of IPv6 and IPv4
    #[arg(long, value_name = "ADDR")]
    pub bind: Option<IpAddr>,
    /// Serve part K (from 0) of N of the fleet; the other parts run elsewhere
    ///
    /// Which FSU belongs to which part depends on its id (or name) and N alone. Replies, messages and their times are those of the
    /// undivided fleet.
    #[arg(long, value_name = "K/N")]
    pub partition: Option<Partition>,
    /// Read the configuration again when a file of it changes, as SIGHUP does
    #[arg(long, requires = "config")]
    pub watch: bool,
    /// Write the final counters as JSON to this file; - is standard output
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub stats: Option<PathBuf>,
    /// Write a JSON line for every fault made on purpose to this file, emptied first; - is standard output
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub fault_ledger: Option<PathBuf>,
    /// Write a JSON line for everything that becomes of a device's messages to this file, emptied first; - is standard output
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub message_ledger: Option<PathBuf>,
    /// Write a JSON line for every change that is made while it runs to this file, emptied first; - is standard output
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub journal: Option<PathBuf>,
    /// Make the changes of this journal again, before the same frames, with its seed
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub play: Option<PathBuf>,
    /// Directory of the system log and the device logs, instead of log.dir
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub log_dir: Option<PathBuf>,
    /// The control server.
    #[command(flatten)]
    pub control: ControlArgs,
}

/// One of the drivers, by its name.
fn driver() -> impl TypedValueParser<Value = DriverChoice> {
    let words = DriverChoice::ALL.map(|word| PossibleValue::new(word.name()).help(word.meaning()));
    PossibleValuesParser::new(words).map(|name| DriverChoice::from_name(&name).unwrap_or_default())
}

/// Arguments of `flood`.
#[derive(Debug, Args)]
pub struct FloodArgs {
    /// Which configuration.
    #[command(flatten)]
    pub which: Which,
    /// TLS.
    #[command(flatten)]
    pub tls: TlsArgs,
    /// Only FSUs whose name matches; * and ? are wildcards; may be repeated
    #[arg(long, value_name = "GLOB")]
    pub fsu: Vec<String>,
    /// Output of `run` (`listening NAME udp ADDR`), for FSUs with port 0; - is standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub ports: Option<PathBuf>,
    /// Send here instead of to every FSU's `host`
    #[arg(long, value_name = "ADDR")]
    pub host: Option<IpAddr>,
    /// Ask part K (from 0) of N of the FSUs; the other parts are asked from elsewhere
    ///
    /// --rate, --requests and --connections are those of all parts together: this one makes its share.
    #[arg(long, value_name = "K/N")]
    pub partition: Option<Partition>,
    /// Commands and their weights, e.g. 108B=3,1081=1 [default: all that are answered, equally]
    ///
    /// A command whose rule is a timeout is sent only if it is named here; it is right if it gets no reply. The report lists the commands
    /// that are left out. Naming a command that no rule answers is an error.
    #[arg(long, value_name = "MIX")]
    pub mix: Option<String>,
    /// Values of request fields: JSON, {"108B": {"year": "${rand(20,26)}$"}}, with the functions of rules [default: `value`, else 0]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub values: Option<PathBuf>,
    /// Closed loop: requests in flight per UDP port [default: 1]
    #[arg(long, value_name = "N", conflicts_with = "rate")]
    pub window: Option<NonZeroUsize>,
    /// Open loop: requests per second in total, whatever comes back; latency counts from the planned time
    #[arg(long, value_name = "R")]
    pub rate: Option<f64>,
    /// Open loop: ramp up to the rate linearly over this many seconds
    #[arg(long, value_name = "S", requires = "rate", default_value_t = 0.0)]
    pub ramp: f64,
    /// Open loop: random intervals (a Poisson process) instead of equal ones
    #[arg(long, requires = "rate")]
    pub poisson: bool,
    /// Ask the tcp FSUs instead of the udp ones
    #[arg(long)]
    pub tcp: bool,
    /// Ask the broadcast FSUs: whole exchanges, from the command to the last data frame, each verified once it is complete
    ///
    /// An FSU has one exchange at a time per client address and device id (DID). Exchanges in flight on one port use
    /// different sockets; those that share a socket use the request's DID and the ones after it.
    #[arg(long, conflicts_with = "tcp")]
    pub broadcast: bool,
    /// Ask the datagram FSUs: one inner frame a datagram, without an outer frame
    #[arg(long, conflicts_with_all = ["tcp", "broadcast"])]
    pub datagram: bool,
    /// Broadcast: how often each frame is requested again, --timeout-ms after the previous request
    #[arg(long, value_name = "N", requires = "broadcast", default_value_t = 8)]
    pub retries: u32,
    /// Broadcast: percentage of our own datagrams that are not sent: loss on the way there, as `faults.drop` is on the way back
    #[arg(long, value_name = "PERCENT", requires = "broadcast", default_value_t = 0.0)]
    pub drop: f64,
    /// TCP connections in total, spread over the FSUs [default: one per FSU]
    #[arg(long, value_name = "N", requires = "tcp")]
    pub connections: Option<NonZeroUsize>,
    /// TCP, closed loop: requests in flight per connection [default: 1]
    #[arg(long, value_name = "P", requires = "tcp", conflicts_with_all = ["rate", "window"])]
    pub pipelining: Option<NonZeroUsize>,
    /// UDP sockets per thread
    #[arg(long, value_name = "N", default_value = "1", conflicts_with = "tcp")]
    pub sockets: NonZeroUsize,
    /// The servers are echoes (bench/echo): a reply is right if it equals the request, and is checked as far as any other
    #[arg(long, conflicts_with = "centre")]
    pub echo: bool,
    /// Send equal requests for a command, unless the flood file makes them differ
    ///
    /// By default, requests differ in bytes that the reply takes over, which matches each reply to its request. With equal requests, a
    /// lost and a duplicate reply cancel each other out, and the report says that its counts are uncertain. Broadcast exchanges are
    /// numbered in any case.
    #[arg(long)]
    pub equal: bool,
    /// Send and receive whole frames by the queues of this network device (AF_XDP), one a thread; needs privileges
    #[arg(long, value_name = "IF", conflicts_with_all = ["tcp", "broadcast", "datagram", "centre"])]
    pub xdp: Option<String>,
    /// Do not let the kernel split and merge runs of datagrams (UDP_SEGMENT, UDP_GRO)
    #[arg(long)]
    pub no_gso: bool,
    /// Threads [default: one per processor of --cpus, else 1]
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
    /// Processors to pin the threads to, e.g. 2,3 [default: not pinned]
    #[arg(long, value_name = "LIST")]
    pub cpus: Option<String>,
    /// Seconds to send for, after the warm-up [default: 10; with --listen until it is stopped]
    #[arg(long, value_name = "S")]
    pub seconds: Option<f64>,
    /// Most requests to send, warm-up included [default: as many as the time allows]
    #[arg(long, value_name = "N")]
    pub requests: Option<u64>,
    /// Seconds at the start that are excluded from the figures
    #[arg(long, value_name = "S", default_value_t = 0.0)]
    pub warmup: f64,
    /// A reply after this time is late, a request without a reply by then is lost; broadcast: the wait for each frame
    #[arg(long, value_name = "MS", default_value_t = 1000.0)]
    pub timeout_ms: f64,
    /// Tolerated loss in percent: 0.1 is one in a thousand [default: 0; any if --fail-if names loss or lost]
    #[arg(long, value_name = "PERCENT")]
    pub max_loss: Option<f64>,
    /// When a run fails.
    #[command(flatten)]
    pub aim: AimArgs,
    /// Seed of random values and intervals [default: a new one, in the report]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// The other end of devices that speak first.
    #[command(flatten)]
    pub at: CentreArgs,
    /// What may be watched of it.
    #[command(flatten)]
    pub control: WatchArgs,
    /// Print lines instead of the live screen, even on a terminal
    #[arg(long)]
    pub plain: bool,
    /// Show the live screen; without this, it is shown if standard output is a terminal
    #[arg(long, conflicts_with_all = ["plain", "quiet"])]
    pub screen: bool,
    /// Print nothing while it runs
    #[arg(long, short)]
    pub quiet: bool,
    /// Write the report as JSON (`fsu-mock schema flood-report`); - is standard output, and the text goes to stderr
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub json: Option<PathBuf>,
    /// Write the report as a single HTML page; - as above
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub html: Option<PathBuf>,
    /// Send nothing: read the report of an earlier run (--json), print it, and write it again as requested
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with_all = ["config", "centre"])]
    pub from: Option<PathBuf>,
    /// The mock's --stats file: its own lateness goes into the report; a mock writes it when it ends, so use it with --from
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub mock_stats: Option<PathBuf>,
    /// With --from: the report (--json) of a second run at a fraction of the rate that saturated the mock here; it judges the mock
    ///
    /// Start the mock again for that run, and give its report --mock-stats. If that run failed, this one fails, too.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "from")]
    pub judged: Option<PathBuf>,
}

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Treat warnings as errors, and keys that have no effect where they are
    #[arg(long)]
    pub strict: bool,
    /// Also print, as info, what was decided where files leave it open, and keys that have no effect
    #[arg(long, short)]
    pub verbose: bool,
    /// Check the embedded gallery of public protocols
    #[arg(long)]
    pub gallery: bool,
    /// A sys_config.json, or the directory that holds one
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath, required_unless_present = "gallery", conflicts_with = "gallery")]
    pub path: Option<PathBuf>,
}

impl CheckArgs {
    /// Where the configuration is read from.
    pub fn origin(&self) -> Origin {
        self.path.clone().map_or(Origin::Gallery, Origin::Path)
    }
}

/// Arguments of `plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Which configuration.
    #[command(flatten)]
    pub which: Which,
    /// The FSU
    #[arg(long, value_name = "NAME", required_unless_present = "list")]
    pub fsu: Option<String>,
    /// Only the command with this key, e.g. 21 or 48_F0_E1
    #[arg(long, value_name = "KEY", conflicts_with = "list")]
    pub cmd: Option<String>,
    /// List FSUs, devices, templates and commands; with --fsu those of one FSU
    #[arg(long)]
    pub list: bool,
    /// Print JSON, for programs
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `ask`.
#[derive(Debug, Args)]
pub struct AskArgs {
    /// Which configuration.
    #[command(flatten)]
    pub which: Which,
    /// TLS.
    #[command(flatten)]
    pub tls: TlsArgs,
    /// The FSU; its transport, address, id and templates are the configuration's
    #[arg(long, value_name = "NAME")]
    pub fsu: String,
    /// The command's key, e.g. 21 or 48_F0_E1
    #[arg(long, value_name = "KEY")]
    pub cmd: String,
    /// Short for --set Para=XX
    #[arg(long, value_name = "XX")]
    pub para: Option<String>,
    /// The device id, a number (templates with a `transfer` section)
    #[arg(long, value_name = "N")]
    pub did: Option<u64>,
    /// A field of the request, of its data frame or its header
    #[arg(long, value_name = "FIELD=VALUE", value_parser = assignment)]
    pub set: Vec<(String, String)>,
    /// The FSU's address [default: the one in the configuration]
    #[arg(long, value_name = "ADDR:PORT")]
    pub to: Option<SocketAddr>,
    /// Write the data that follows the answer to this file; - is standard output
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub out: Option<PathBuf>,
    /// Milliseconds to wait for each frame
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    pub timeout_ms: u64,
    /// How often each frame is requested again
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub retries: u32,
    /// Print JSON, for programs: the frames on the wire, and their fields
    #[arg(long, conflicts_with_all = ["repeat", "parallel"])]
    pub json: bool,
    /// How many times to ask; more than once also prints rates and latencies
    #[arg(long, value_name = "N", default_value = "1")]
    pub repeat: NonZeroUsize,
    /// How many sockets ask at once, with --repeat; at most 256
    #[arg(long, value_name = "N", default_value = "1")]
    pub parallel: NonZeroUsize,
}

/// Not `field=value`.
#[derive(Debug, thiserror::Error)]
#[error("it is FIELD=VALUE")]
struct NoAssignment;

/// `field=value`
fn assignment(text: &str) -> Result<(String, String), NoAssignment> {
    let (name, value) = text.split_once('=').ok_or(NoAssignment)?;
    Ok((name.trim().to_owned(), value.to_owned()))
}

/// Arguments of `init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The directory; it is created if it does not exist
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
    /// Write a small configuration instead: one FSU, one device, two commands
    #[arg(long)]
    pub minimal: bool,
    /// Write the gallery instead: public protocols, each with frames that show it
    #[arg(long, conflicts_with = "minimal")]
    pub gallery: bool,
    /// Overwrite existing files
    #[arg(long)]
    pub force: bool,
}

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    pub shell: clap_complete::Shell,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn n18_paragraphs_flow_and_lists_stay() {
        let check = |text: &str, expected: &str| assert_eq!(flow(text), expected);
        check("a\nb\n\nc", "a b\n\nc");
        check("Examples:\n  x\n  y\n\nz\nz", "Examples:\n  x\n  y\n\nz z");
        check("", "");
    }

    #[test]
    fn n18_help_is_wrapped_once() {
        for command in Cli::command().get_subcommands().chain([&Cli::command()]) {
            let name = command.get_name();
            let around = [command.get_after_help(), command.get_after_long_help(), command.get_long_about()];
            for text in around.into_iter().flatten().map(ToString::to_string) {
                let lines: Vec<&str> = text.lines().collect();
                for pair in lines.windows(2) {
                    // A paragraph is one line, which the terminal's width breaks; only lists have several.
                    let is_text = |line: &str| !line.is_empty() && !line.starts_with("  ");
                    assert!(!(is_text(pair[0]) && is_text(pair[1])), "{name}: {pair:?}");
                }
                let wide = lines.iter().find(|line| line.starts_with("  ") && line.chars().count() > 100);
                assert_eq!(wide, None, "{name}");
            }
            for argument in command.get_arguments() {
                let long = argument.get_long_help().map(ToString::to_string).unwrap_or_default();
                let broken = long.split("\n\n").any(|paragraph| paragraph.contains('\n'));
                assert!(!broken, "{name} {}: {long}", argument.get_id());
            }
        }
    }

    #[test]
    fn help_and_documents_have_the_same_exit_codes() {
        let codes = |text: &str, before: &str| -> Vec<String> {
            let code = |line: &str| Some(line.strip_prefix(before)?.split_whitespace().next()?.to_owned());
            text.lines().filter_map(code).filter(|word| word.bytes().all(|byte| byte.is_ascii_digit())).collect()
        };
        let expected = MEANINGS.iter().map(|one| one.code.to_string()).collect::<Vec<_>>();
        assert_eq!(expected, ["0", "1", "2", "3", "4", "5", "101", "130", "143"]);
        assert_eq!(codes(&exit_codes(|one| one.of_commands), "  "), expected);
        assert_eq!(codes(include_str!("../../docs/use/commands.md"), "| "), expected);
        assert_eq!(codes(include_str!("../../docs/zh/use/commands.md"), "| "), expected);
    }

    #[test]
    fn limit_gather_us_is_what_run_takes() {
        let check = |words: &[&str], expected: Option<u32>| {
            let cli = Cli::try_parse_from(["fsu-mock", "run"].iter().chain(words));
            let got = cli.ok().map(|cli| match cli.command {
                Command::Run(args) => args.gather_us,
                other => panic!("{other:?}"),
            });
            assert_eq!(got, expected, "{words:?}");
        };
        check(&[], Some(50));
        check(&["--gather-us", "1000"], Some(1_000));
        check(&["--gather-us", "1001"], None);
    }

    #[test]
    fn arguments_of_explain() {
        let words = ["--now", "2026-01-12 11:17:30", "--as", "inner,reply", "--cmd", "01", "FF", "FE"];
        let cli = Cli::try_parse_from(["fsu-mock", "explain", "--fsu", "a"].into_iter().chain(words));
        let Ok(Cli { command: Command::Explain(args), .. }) = cli else { panic!("{cli:?}") };
        assert_eq!(args.hex, ["FF", "FE"]);
        assert_eq!((args.take_as, args.cmd.as_deref()), (vec![TakeAs::Inner, TakeAs::Reply], Some("01")));
        assert_eq!(args.now, Some(jiff::civil::date(2026, 1, 12).at(11, 17, 30, 0)));
    }
}
