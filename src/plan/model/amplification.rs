//! The largest ratio of replies to their request: what an attacker with a forged sender address could direct at somebody.
//!
//! Sizes are those before escaping (an escape costs a byte on either side). All replies of a burst count together, as they
//! share what one request may set off ([`AMPLIFICATION_MAX`]); each counts twice where the fault `duplicate` may be made.

use super::fault::{FaultKind, FsuFaults};
use super::fleet::{AMPLIFICATION_MAX, Device, Fleet, Fsu};
use super::reply::{Payload, Reply};
use super::rule::Rule;
use super::template::{Command, ErrorReply, Template};
use std::collections::HashSet;
use std::sync::Arc;

/// A request, and all that answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Bytes of the smallest request.
    pub asked_bytes: usize,
    /// Bytes of the largest replies to one request, together.
    pub answered_bytes: usize,
    /// Replies to one request.
    pub burst: u32,
    /// Data follows in frames of its own: what is not sent to other hosts is refused.
    pub is_refused: bool,
}

impl Exchange {
    /// How many times the request.
    pub fn factor(self) -> f64 {
        self.answered_bytes as f64 / self.asked_bytes.max(1) as f64
    }

    /// Whether part of it is not sent to other hosts.
    pub fn is_cut(self) -> bool {
        self.answered_bytes > self.asked_bytes.saturating_mul(AMPLIFICATION_MAX)
    }
}

/// The worst command of a fleet.
#[derive(Clone, Debug, PartialEq)]
pub struct Worst {
    /// Its sizes.
    pub exchange: Exchange,
    /// Its key.
    pub command: String,
    /// An FSU that has it.
    pub fsu: String,
}

/// All that makes the sizes of a device's exchanges differ from one FSU to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Around {
    outer_bytes: usize,
    /// The fault `duplicate`: of FSU and fleet, and by time.
    doubled: (bool, bool),
}

impl Around {
    /// `None`: no datagrams.
    pub(crate) fn of(fsu: &Fsu) -> Option<Self> {
        if !fsu.transport.is_datagrams() {
            return None;
        }
        let outer_bytes = fsu.transport.envelope().overhead_bytes();
        Some(Self { outer_bytes, doubled: fsu.faults.as_deref().map_or((false, false), doubled) })
    }
}

fn doubled(faults: &FsuFaults) -> (bool, bool) {
    let is = |p: Option<f64>| p.is_some_and(|p| p > 0.0);
    let timed = faults.schedule.iter().any(|entry| is(entry.faults.p(FaultKind::Duplicate)));
    (is(faults.base.p(FaultKind::Duplicate)), timed)
}

/// The worst command over datagrams; `None`: there is none. A device that FSUs share is examined once.
pub fn worst(fleet: &Fleet) -> Option<Worst> {
    let mut seen = HashSet::new();
    let mut worst: Option<Worst> = None;
    for fsu in &fleet.fsus {
        let Some(around) = Around::of(fsu) else { continue };
        for device in fsu.devices.iter().filter(|device| seen.insert((Arc::as_ptr(device), around))) {
            for (command, exchange) in exchanges(device, around) {
                if worst.as_ref().is_none_or(|worst| exchange.factor() > worst.exchange.factor()) {
                    worst = Some(Worst { exchange, command, fsu: fsu.name.to_string() });
                }
            }
        }
    }
    worst
}

/// The worst exchange of each command, by its key, and of each reply to wrong requests.
pub(crate) fn exchanges(device: &Device, around: Around) -> impl Iterator<Item = (String, Exchange)> {
    let commands = device.template.commands.iter().enumerate();
    let commands = commands.filter_map(move |(number, command)| {
        Some((command.key_text.to_string(), of_command(device, number, command, around)?))
    });
    let errors = ErrorReply::ALL.into_iter().filter_map(move |which| {
        let template = &*device.template;
        let reply = template.errors[which as usize].as_deref()?;
        let asked_bytes = around.outer_bytes + template.wire_len(template.raw_len_min());
        let times = 1 + usize::from(around.doubled.0 || around.doubled.1);
        let answered_bytes = times * (around.outer_bytes + template.wire_len(reply.frame.len()));
        Some((
            format!("errors.{}", which.name()),
            Exchange { asked_bytes, answered_bytes, burst: 1, is_refused: false },
        ))
    });
    commands.chain(errors)
}

fn of_command(device: &Device, number: usize, command: &Command, around: Around) -> Option<Exchange> {
    let template = &*device.template;
    let rules = device.rules.get(number)?.iter().filter(|rule| !rule.timeout);
    let answered = rules.clone().map(|rule| (answered_bytes(device, rule, around), rule));
    let (answered_bytes, worst) = answered.max_by_key(|&(bytes, _)| bytes)?;
    let burst = worst.burst;
    let request = template.left_len + template.tail_len + template.data_len_fixed.unwrap_or(command.request_len);
    let asked_bytes = around.outer_bytes + template.wire_len(request);
    let is_refused =
        worst.replies.iter().any(|reply| !matches!(reply.payload, Payload::None | Payload::Raw | Payload::Walked(_)));
    let first = Exchange { asked_bytes, answered_bytes, burst, is_refused };
    // A demand for a data frame is a header alone, whatever the command.
    let later_bytes =
        rules.flat_map(|rule| &rule.replies).filter_map(|reply| data_frame_bytes(template, reply, 1)).max();
    let asked_bytes = around.outer_bytes + template.wire_len(template.raw_len_min());
    let later = later_bytes.map(|answered_bytes| Exchange { asked_bytes, answered_bytes, burst: 1, is_refused: true });
    Some(later.filter(|later| later.factor() > first.factor()).unwrap_or(first))
}

/// Bytes of a data frame that follows this answer: the first (0), or a later one (1); `None`: there is none.
fn data_frame_bytes(template: &Template, reply: &Reply, number: usize) -> Option<usize> {
    let transfer = template.transfer.as_ref()?;
    let head = template.left_len + template.tail_len;
    let data = match &reply.payload {
        Payload::None | Payload::Raw | Payload::Walked(_) => return None,
        Payload::Static(bytes) => bytes.len(),
        Payload::Built => reply.frame.len().saturating_sub(head),
    };
    let rest = data.checked_sub(number * transfer.chunk_bytes).filter(|&rest| rest > 0 || number == 0)?;
    Some(template.wire_len(head + rest.min(transfer.chunk_bytes)))
}

/// Bytes of everything that a rule sends for one request.
fn answered_bytes(device: &Device, rule: &Rule, around: Around) -> usize {
    let template = &*device.template;
    let size = |reply: &Reply| match data_frame_bytes(template, reply, 0) {
        // The answer is a header alone, and the first data frame follows unasked.
        Some(first) => around.outer_bytes + template.wire_len(template.left_len + template.tail_len) + first,
        None => around.outer_bytes + template.wire_len(reply.longest()),
    };
    // Bytes as they are, and replies of another layout.
    let other = |number: usize, reply: &Reply| {
        let frame = rule.frames.get(number).filter(|_| !matches!(reply.payload, Payload::Raw));
        let own = frame.is_none_or(|frame| frame.layout == device.layouts.own);
        if own { None } else { frame.map(|frame| device.layout(frame.layout).wire_len(reply.longest())) }
    };
    let sizes = rule.replies.iter().enumerate().map(|(number, reply)| match (&reply.payload, other(number, reply)) {
        (Payload::Raw, _) => around.outer_bytes + reply.frame.len(),
        (_, Some(bytes)) => around.outer_bytes + bytes,
        _ => size(reply),
    });
    let sizes: Vec<usize> = sizes.collect();
    let own = rule.faults.as_ref().and_then(|faults| faults.p(FaultKind::Duplicate));
    let doubled = own.map_or(around.doubled.0, |p| p > 0.0) || around.doubled.1;
    in_a_row(&sizes, rule.burst as usize) * (1 + usize::from(doubled))
}

/// The largest sum of this number of consecutive entries of a cycle.
fn in_a_row(sizes: &[usize], burst: usize) -> usize {
    let len = sizes.len().max(1);
    let (rounds, rest) = (burst / len, burst % len);
    let mut sum: usize = sizes.iter().take(rest).sum();
    let mut most = sum;
    for (gone, size) in sizes.iter().enumerate() {
        sum = sum + sizes[(gone + rest) % len] - size;
        most = most.max(sum);
    }
    rounds * sizes.iter().sum::<usize>() + most
}

#[cfg(test)]
mod tests {
    use super::super::message::Transport;
    use super::*;
    use crate::compile::compile;
    use crate::config::load::Loader;
    use crate::config::source::Source;
    use crate::model::fault::FaultSet;
    use crate::model::fleet::{Layouts, VerifyChecksum};
    use crate::model::profile::Profiled;
    use crate::model::rule::Delay;
    use crate::model::template::Encoding;
    use crate::wire::fixtures;
    use std::path::Path;

    #[test]
    fn the_example_of_the_documents() {
        let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("docs/examples/meter/sys_config.json");
        let mut fleet = compile(&mut Loader::new(Source::Directory), &path).expect("it compiles");
        let found = worst(&fleet).expect("it has an FSU over UDP").exchange.factor();
        assert!((1.0..10.0).contains(&found), "{found:?}");
        fleet.fsus.retain(|fsu| fsu.transport == Transport::Tcp);
        assert_eq!(worst(&fleet), None);
    }

    #[test]
    fn h17_data_in_frames_of_its_own_counts_as_it_is_sent() {
        let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("config/sys_config.json");
        let fleet = compile(&mut Loader::new(Source::Directory), &path).expect("it compiles");
        let fsu = fleet.fsus.iter().find(|fsu| fsu.transport == Transport::Broadcast).expect("a broadcast FSU");
        let around = Around::of(fsu).expect("datagrams");
        let found = |key: &str| exchanges(&fsu.devices[0], around).find(|(command, _)| command == key);
        // 80 bytes of data: an answer of 16, a frame of 96.
        let expected = Exchange { asked_bytes: 16, answered_bytes: 112, burst: 1, is_refused: true };
        assert_eq!(found("21"), Some(("21".to_owned(), expected)));
        let (_, set) = found("23").expect("a command without data");
        assert_eq!((set.answered_bytes, set.is_refused, set.is_cut()), (16, false, false));
    }

    /// A device with a command 10 that is answered by these frames, and 11 that is silent; `change` makes it another one.
    fn device(frames: &[usize], change: impl FnOnce(&mut Device, &mut Template)) -> Device {
        let mut template = fixtures::delimited();
        let reply = |len: usize| {
            let payload = Payload::None;
            let frame = vec![0; len].into();
            Arc::new(Reply { frame, patches: Box::default(), data_len: len - 5, less: 0, refusal: None, payload })
        };
        template.errors[ErrorReply::BadLength as usize] = Some(reply(9));
        let rule = |timeout, replies: &[usize]| Rule {
            walked: Box::default(),
            test: None,
            asks_more: false,
            effects: Box::default(),
            gaps_ms: Box::default(),
            frames: Box::default(),
            when: Box::default(),
            timeout,
            delay: Delay::None,
            cycle: Some(0),
            burst: 1,
            faults: None,
            replies: replies.iter().map(|&len| reply(len)).collect(),
            sets: Box::default(),
            origin: "test.json:1:1: /".into(),
        };
        let mut device = Device {
            vendor: "test".into(),
            sub_dev_type: 1,
            sub_dev_addr: 1,
            template: Arc::new(fixtures::delimited()),
            verify_checksum: VerifyChecksum::Warn,
            rules: [[rule(false, frames)].into(), [rule(true, &[500])].into()].into(),
            cycles: 1,
            registers: Box::default(),
            keeps: Arc::default(),
            conversation: None,
            profiles: Profiled::new(),
            layouts: Layouts::default(),
        };
        change(&mut device, &mut template);
        device.template = Arc::new(template);
        device
    }

    /// By command, bytes asked and answered; the first of them is refused to another host where it is followed by data.
    fn check(device: &Device, around: Around, expected: &[(&str, usize, usize)]) {
        let found: Vec<_> = exchanges(device, around).collect();
        let sizes: Vec<_> =
            found.iter().map(|(key, one)| (key.as_str(), one.asked_bytes, one.answered_bytes)).collect();
        assert_eq!(sizes, expected, "{around:?}");
    }

    /// Nothing around the frame, and no fault.
    const PLAIN: Around = Around { outer_bytes: 0, doubled: (false, false) };

    #[test]
    fn what_is_around_a_frame_counts_on_either_side() {
        let plain = device(&[20], |_, _| ());
        check(&plain, PLAIN, &[("10", 5, 20), ("errors.bad_length", 5, 9)]);
        let outer = Around { outer_bytes: 40, ..PLAIN };
        check(&plain, outer, &[("10", 45, 60), ("errors.bad_length", 45, 49)]);
        for doubled in [(true, false), (false, true), (true, true)] {
            let around = Around { doubled, ..outer };
            check(&plain, around, &[("10", 45, 120), ("errors.bad_length", 45, 98)]);
        }
        // In hex characters all but start and end is twice as long.
        let hex = device(&[20], |_, template| template.encoding = Encoding::AsciiHex);
        check(&hex, PLAIN, &[("10", 8, 38), ("errors.bad_length", 8, 16)]);
        // The request of a command has the fields of that command, or what all frames have.
        let asked = device(&[20], |_, template| template.commands[0].request_len = 7);
        check(&asked, PLAIN, &[("10", 12, 20), ("errors.bad_length", 5, 9)]);
        let fixed = device(&[20], |_, template| template.data_len_fixed = Some(15));
        check(&fixed, PLAIN, &[("10", 20, 20), ("errors.bad_length", 20, 9)]);
    }

    #[test]
    fn the_worst_rule_of_a_command_counts() {
        let with = |burst: u32, faults: Option<f64>| {
            device(&[20, 30, 10], |device, _| {
                device.rules[0][0].burst = burst;
                device.rules[0][0].faults = faults.map(|p| {
                    let mut set = FaultSet::default();
                    set.set_p(FaultKind::Duplicate, p);
                    Box::new(set)
                });
            })
        };
        let check = |device: &Device, doubled: (bool, bool), expected: usize| {
            let around = Around { doubled, ..PLAIN };
            check(
                device,
                around,
                &[("10", 5, expected), ("errors.bad_length", 5, if around == PLAIN { 9 } else { 18 })],
            );
        };
        check(&with(1, None), (false, false), 30);
        check(&with(2, None), (false, false), 50);
        check(&with(4, None), (false, false), 90);
        // A rule's own word is nearer than the FSU's; what comes by time is over both.
        check(&with(2, Some(0.5)), (false, false), 100);
        check(&with(2, Some(0.0)), (true, false), 50);
        check(&with(2, Some(0.0)), (false, true), 100);
        let exchange = exchanges(&with(2, None), PLAIN).next().expect("a command").1;
        assert_eq!((exchange.burst, exchange.is_refused, exchange.factor()), (2, false, 10.0));
    }

    /// Data follows in frames of 8 bytes. One request, or one demand, is answered by the answer or by one frame.
    #[test]
    fn the_worst_frame_of_a_transfer_counts() {
        let with = |data: usize, request_len: usize| {
            device(&[5], |device, template| {
                template.commands[0].request_len = request_len;
                template.transfer = Some(fixtures::transfer(8));
                let reply = Arc::get_mut(&mut device.rules[0][0].replies[0]).expect("one owner");
                reply.payload = Payload::Static(vec![0; data].into());
            })
        };
        let check = |device: &Device, expected: (usize, usize)| {
            let (_, found) = exchanges(device, PLAIN).next().expect("a command");
            assert_eq!((found.asked_bytes, found.answered_bytes, found.is_refused), (expected.0, expected.1, true));
        };
        // An answer of 5 and a frame of 5 and the data.
        check(&with(3, 0), (5, 5 + 8));
        check(&with(8, 0), (5, 5 + 13));
        check(&with(9, 0), (5, 5 + 13));
        // The command is long: what follows a demand is more times that.
        check(&with(9, 95), (5, 6));
        check(&with(12, 95), (5, 9));
        check(&with(99, 95), (5, 13));
        check(&with(8, 95), (100, 5 + 13));
    }

    /// The worst of all FSUs over datagrams, whichever comes first.
    #[test]
    fn the_worst_of_a_fleet() {
        use crate::model::fixtures;
        let fsu = |name: &str, transport: Transport, frames: &[usize]| {
            fixtures::fsu(vec![Arc::new(device(frames, |_, _| ()))]).with(|fsu| {
                fsu.name = name.into();
                fsu.transport = transport;
            })
        };
        let check = |fsus: Vec<Fsu>, expected: Option<(&str, usize, usize)>| {
            let found = worst(&fixtures::fleet(fsus));
            let found = found.as_ref().map(|worst| {
                assert_eq!(worst.command, "10");
                (&*worst.fsu, worst.exchange.asked_bytes, worst.exchange.answered_bytes)
            });
            assert_eq!(found, expected);
        };
        let (udp, plain, tcp) = (Transport::Udp, Transport::Broadcast, Transport::Tcp);
        check(vec![], None);
        check(vec![fsu("a", tcp, &[99])], None);
        check(vec![fsu("a", plain, &[20]), fsu("b", plain, &[30])], Some(("b", 5, 30)));
        check(vec![fsu("a", plain, &[30]), fsu("b", plain, &[20])], Some(("a", 5, 30)));
        check(vec![fsu("a", plain, &[30]), fsu("b", plain, &[30])], Some(("a", 5, 30)));
        check(vec![fsu("a", udp, &[99]), fsu("b", plain, &[20]), fsu("c", tcp, &[999])], Some(("b", 5, 20)));
        check(vec![fsu("a", udp, &[99])], Some(("a", 45, 139)));
    }

    #[test]
    fn what_makes_sizes_differ() {
        let around = |transport: Transport, base: Option<f64>, timed: Option<f64>| {
            let set = |p: Option<f64>| {
                let mut set = FaultSet::default();
                if let Some(p) = p {
                    set.set_p(FaultKind::Duplicate, p);
                }
                set
            };
            let schedule = [crate::model::fault::Scheduled { from_ms: 5, to_ms: 9, faults: set(timed) }].into();
            let faults = Some(Arc::new(FsuFaults { base: set(base), schedule }));
            let fsu = crate::model::fixtures::fsu(vec![]).with(|fsu| {
                fsu.faults = faults;
                fsu.transport = transport;
            });
            Around::of(&fsu).map(|around| (around.outer_bytes, around.doubled))
        };
        let udp = |base, timed| around(Transport::Udp, base, timed);
        assert_eq!(around(Transport::Tcp, Some(1.0), None), None);
        assert_eq!(around(Transport::Broadcast, None, None), Some((0, (false, false))));
        assert_eq!([udp(None, None), udp(Some(0.0), Some(0.0))], [Some((40, (false, false))); 2]);
        assert_eq!(
            [udp(Some(0.1), None), udp(None, Some(0.1))],
            [Some((40, (true, false))), Some((40, (false, true)))]
        );
    }

    #[test]
    fn what_is_past_three_times_is_cut() {
        let exchange =
            |asked_bytes, answered_bytes| Exchange { asked_bytes, answered_bytes, burst: 1, is_refused: false };
        let cut = |asked, answered| exchange(asked, answered).is_cut();
        assert_eq!([cut(10, 30), cut(10, 31), cut(10, 29), cut(0, 0)], [false, true, false, false]);
        assert!((exchange(10, 25).factor() - 2.5).abs() < 1e-9 && (exchange(0, 5).factor() - 5.0).abs() < 1e-9);
    }

    #[test]
    fn n16_a_burst_is_the_longest_row_of_its_cycle() {
        let check = |sizes: &[usize], burst: usize, expected: usize| assert_eq!(in_a_row(sizes, burst), expected);
        check(&[45], 1, 45);
        check(&[45], 20, 900);
        check(&[1, 2, 3], 1, 3);
        check(&[3, 1, 2], 2, 5);
        check(&[1, 2, 3], 3, 6);
        check(&[1, 2, 3], 5, 11);
        check(&[1, 9, 1, 1], 7, 23);
    }
}
