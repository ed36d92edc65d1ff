//! Examples that help ends with.

pub(super) const ABOUT_EXAMPLES: &str = "\
Examples:
  fsu-mock run                      serve the embedded fleet on 127.0.0.1
  fsu-mock init my-fleet            write the embedded configuration for editing
  fsu-mock init --minimal small     or a small one to begin with
  fsu-mock check my-fleet           every error in it: file, line and column
  fsu-mock run --config my-fleet    serve it";

pub(super) const MERGE_EXAMPLES: &str = "\
Examples:
  fsu-mock run --config my-fleet --seed 7 --partition 0/2 --stats part-0/stats.json
  fsu-mock run --config my-fleet --seed 7 --partition 1/2 --stats part-1/stats.json
  fsu-mock merge whole part-0 part-1";

pub(super) const RUN_EXAMPLES: &str = "\
Examples:
  fsu-mock run
  fsu-mock run --config my-fleet --shards 2 --cpus 2,3
  fsu-mock run --config my-fleet --watch
  fsu-mock run --gallery
  fsu-mock run --config my-fleet --performance --stats counters.json

SIGHUP reads the configuration again. FSUs that are still there keep sockets, connections and state. If the new \
configuration has errors, they are shown and the old one stays in use.

SIGTERM or SIGINT ends the run: nothing more is read, replies that are due within 5 s are sent, and the counters are \
printed. A second one, at least 200 ms after the first, ends it at once, with exit code 143 or 130.

If --stats, --fault-ledger, --message-ledger or --journal is `-`, standard output carries that alone, and everything else goes to standard error.";

pub(super) const FLOOD_EXAMPLES: &str = "\
Examples:
  fsu-mock flood                            ask the embedded fleet
  fsu-mock flood --rate 50000 --seconds 30 --html report.html
  fsu-mock flood --mix 108B=3,1081=1 --window 16 --threads 2 --cpus 2,3
  fsu-mock flood --tcp --connections 100 --pipelining 16
  fsu-mock flood --broadcast --mix 41 --window 4    whole transfers
  fsu-mock flood --centre 127.0.0.1:9000    only listen, and count heartbeats

SIGINT ends it early, with the report.";

pub(super) const CHECK_EXAMPLES: &str = "\
Examples:
  fsu-mock check my-fleet
  fsu-mock check --strict my-fleet/sys_config.json

Each line of the output is:

  file:line:column: /json/pointer: error: what is wrong (what would be right)";

pub(super) const EXPLAIN_EXAMPLES: &str = "\
Examples:
  fsu-mock explain --fsu NAME FF3230323530313235...FE
  fsu-mock explain --config my-fleet --fsu NAME --now '2026-01-12 11:17:30' 7e 01 00 8b 10 00 00 0d
  grep -m1 HEX: logs/devices/NAME_*.log | fsu-mock explain --fsu NAME

HEX is a frame in either direction: the outer or the inner one of a udp FSU, the inner one of a tcp FSU, the whole datagram of a
broadcast FSU. It may be pasted from a device log with the lines around it. A request is explained as the first one that the FSU
receives; several frames are explained one by one. Ambiguous bytes are first tried as a request; --as overrides that. The last line is
`reply: HEX` - one line for each datagram or frame that leaves - or `reply: none (REASON)`, with the exit code 0 in both cases.";

pub(super) const ASK_EXAMPLES: &str = "\
Examples:
  fsu-mock ask --fsu broadcast --cmd 21                   identity of a device
  fsu-mock ask --fsu broadcast --cmd 41 --out dump.bin    its dump, verified
  fsu-mock ask --config my-fleet --fsu NAME --cmd 108B --set address=0001
  fsu-mock ask --fsu broadcast --cmd 41 --repeat 1000 --parallel 8

Values are written as in JSON files. A field without one has the template's value, else 0.";

pub(super) const PLAN_EXAMPLES: &str = "\
Examples:
  fsu-mock plan --list                  FSUs, templates and commands
  fsu-mock plan --fsu NAME              all of one FSU
  fsu-mock plan --fsu NAME --cmd 108B   one of its commands";

pub(super) const CTL_EXAMPLES: &str = "\
Examples:
  fsu-mock ctl status
  fsu-mock ctl fsus 'site_1*' --state offline
  fsu-mock ctl show NAME
  fsu-mock ctl trigger 'site_*' alarm kind=02 --over 2s
  fsu-mock ctl set NAME register=value
  fsu-mock ctl offline 'site_1*' --for 30s
  fsu-mock ctl faults 'site_*' drop=0.1 --for 5m

It asks the control server of `run`, which prints where it is.";

pub(super) const INIT_EXAMPLES: &str = "\
Examples:
  fsu-mock init my-fleet              everything that is embedded
  fsu-mock init --minimal small       one FSU, one device, two commands
  fsu-mock init --gallery gallery     public protocols
  fsu-mock check --strict small
  fsu-mock run --config small
  fsu-mock ask --config small --fsu site --cmd 01";
