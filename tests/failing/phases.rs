//! What is done in each phase while a call fails, and what must hold then.

use crate::calls::{Class, errno_name};
use crate::centre::{Centre, set_fsus, tree};
use crate::harness::{PATIENCE, Tree};
use crate::program::{Ended, Plan, Program};
use crate::{Way, is_thorough};
use rustix::process::Signal;
use std::io;
use std::time::{Duration, Instant};

/// Each of the first calls, up to this number, is made to fail; then every second one, every fourth, and so on, unless all are.
const EACH_MAX: u32 = 3;

/// Calls of a calm that are each made to fail: those of several waits.
const CALM_CALLS: u32 = 12;

/// After this time without a request a shard takes it for a calm; so long at most its calls are waited for then, of which there is one every 10 ms.
const CALM: Duration = Duration::from_millis(20);
const CALM_MAX: Duration = Duration::from_millis(500);

/// So long fails what fails for good.
const LASTS: Duration = Duration::from_millis(500);

/// The call after the `nth` that is made to fail.
pub(crate) fn next(nth: u32) -> u32 {
    if is_thorough() || nth < EACH_MAX { nth + 1 } else { 2 * nth }
}

/// Which calls are made to fail with which errors, in their order: `each` tells whether there was such a call.
fn plans(class: &'static Class, mut each: impl FnMut(Plan) -> io::Result<bool>) -> io::Result<()> {
    for (place, &errno) in class.errnos.iter().enumerate() {
        let mut nth = 1;
        while each(Plan { class, nth, errno, lasting: false })? && (place == 0 || is_thorough()) {
            nth = next(nth);
        }
        if (place, nth) == (0, 1) {
            // There is no such call.
            return Ok(());
        }
    }
    if !is_for_now(class.errnos[0]) {
        each(Plan { class, nth: 1, errno: class.errnos[0], lasting: true })?;
    }
    Ok(())
}

/// What is to be asked for again, which may not fail for good.
fn is_for_now(errno: i32) -> bool {
    [libc::EINTR, libc::EAGAIN, libc::EBUSY].contains(&errno)
}

fn name(way: Way, phase: &str, plan: Plan) -> String {
    let lasting = if plan.lasting { " and all after it" } else { "" };
    format!("{}, {phase}, {} call {}{lasting}: {}", way.name, plan.class.name, plan.nth, errno_name(plan.errno))
}

/// What is wrong with an end that nobody asked for.
pub(crate) fn judge(what: &str, ended: Result<Ended, String>, wrong: &mut Vec<String>) {
    match ended {
        Ok(ended) => {
            if let Some(fault) = ended.fault() {
                let said: Vec<&str> =
                    ended.said.iter().filter(|(is_error, _)| *is_error).map(|(_, line)| line.as_str()).collect();
                wrong.push(format!("{what}: {fault}; it said: {}", said[said.len().saturating_sub(12)..].join(" | ")));
            }
        }
        Err(text) => wrong.push(format!("{what}: {text}")),
    }
}

/// Started, with its logs or without, which take a while to be made room for.
fn started(tree: &Tree, way: Way, class: &'static Class, logs: bool, plan: Option<Plan>) -> io::Result<Program> {
    let ledger = tree.path("ledger.jsonl").display().to_string();
    let mut args = way.args.to_vec();
    if logs || is_thorough() {
        args.extend(["--fault-ledger", &ledger])
    } else {
        args.push("--performance")
    }
    Program::start(tree, &args, class, way.forbidden, plan)
}

/// Started as ever and ready, with its logs, and who asks it.
fn ready(tree: &Tree, way: Way, class: &'static Class) -> io::Result<(Program, Centre)> {
    let mut program = started(tree, way, class, true, None)?;
    program.until(&["ready"]).unwrap_or_else(|| panic!("nothing fails: {:?}", program.said));
    let centre = Centre::new(&program);
    Ok((program, centre))
}

/// A program and who asks it, for as long as it can be asked.
pub(crate) struct Running<'a> {
    tree: &'a Tree,
    pub(crate) program: Program,
    pub(crate) centre: Centre,
}

impl<'a> Running<'a> {
    /// What becomes of it after `went`: it goes on, or it is judged.
    fn go_on(self, what: &str, went: Result<bool, String>, wrong: &mut Vec<String>) -> Option<Self> {
        let Self { tree, program, mut centre } = self;
        match went {
            Ok(true) if centre.is_spent() => stop(what, program, &mut centre, tree, wrong),
            Ok(true) => return Some(Self { tree, program, centre }),
            Ok(false) => judge(what, program.wait(), wrong),
            Err(text) => wrong.push(format!("{what}: {text}; {}", program.explain())),
        }
        None
    }

    /// Asks everybody once more.
    fn round(&mut self) -> Result<bool, String> {
        self.centre.round(&mut self.program)
    }
}

/// Does `each` with one program for as long as that goes on, else with the next; at last it is stopped.
fn with_one<'a>(
    of: (&'a Tree, Way, &'static Class),
    phase: &str,
    wrong: &mut Vec<String>,
    each: impl FnMut(&mut Running<'a>, Plan) -> (Result<bool, String>, bool),
) -> io::Result<()> {
    with_one_of(of, phase, |each| plans(of.2, each), wrong, each)
}

/// The same with the plans that `plans` goes through.
fn with_one_of<'a>(
    (tree, way, class): (&'a Tree, Way, &'static Class),
    phase: &str,
    plans: impl FnOnce(&mut dyn FnMut(Plan) -> io::Result<bool>) -> io::Result<()>,
    wrong: &mut Vec<String>,
    mut each: impl FnMut(&mut Running<'a>, Plan) -> (Result<bool, String>, bool),
) -> io::Result<()> {
    let mut running: Option<Running<'a>> = None;
    plans(&mut |plan| {
        let mut now = match running.take() {
            Some(running) => running,
            None => {
                let (program, centre) = ready(tree, way, class)?;
                Running { tree, program, centre }
            }
        };
        let (went, failed) = each(&mut now, plan);
        running = now.go_on(&name(way, phase, plan), went, wrong);
        Ok(failed)
    })?;
    if let Some(Running { program, mut centre, .. }) = running {
        stop(&format!("{}, {phase}, {}, after all", way.name, class.name), program, &mut centre, tree, wrong);
    }
    Ok(())
}

/// Asked to end: the counts are those of the centre.
pub(crate) fn stop(what: &str, program: Program, centre: &mut Centre, tree: &Tree, wrong: &mut Vec<String>) {
    program.signal(Signal::TERM);
    let ended = program.wait();
    let is_well = ended.as_ref().is_ok_and(|ended| ended.status.success());
    judge(what, ended, wrong);
    if let Err(text) = centre.hear_the_rest() {
        wrong.push(format!("{what}: {text}"));
    }
    if is_well {
        let stats = std::fs::read(tree.path("stats.json")).expect("they were written");
        let stats: serde_json::Value = serde_json::from_slice(&stats).expect("JSON");
        let answered = stats["totals"]["answered"].as_u64().expect("a count");
        if answered != centre.replies {
            wrong.push(format!("{what}: {answered} answered are told, {} replies came", centre.replies));
        }
    }
    let _ = std::fs::remove_file(tree.path("stats.json"));
}

/// From the program's first call to `ready`.
pub(crate) fn start(way: Way, class: &'static Class, wrong: &mut Vec<String>) -> io::Result<()> {
    let tree = tree(false);
    plans(class, |plan| {
        let what = name(way, "start", plan);
        let mut program = started(&tree, way, class, false, Some(plan))?;
        if program.until(&["ready"]).is_none() {
            judge(&what, program.wait(), wrong);
            return Ok(true);
        }
        let failed = program.spare();
        let mut centre = Centre::new(&program);
        match centre.round(&mut program) {
            Ok(true) => stop(&what, program, &mut centre, &tree, wrong),
            Ok(false) => judge(&what, program.wait(), wrong),
            Err(text) => wrong.push(format!("{what}: {text}; {}", program.explain())),
        }
        Ok(failed.is_some())
    })
}

/// While every FSU is asked, and the logs are written.
pub(crate) fn serve(way: Way, class: &'static Class, wrong: &mut Vec<String>) -> io::Result<()> {
    let tree = tree(false);
    // What the logs do is done when there is nothing else to do, some of it twice a second.
    let rest_max = Duration::from_millis(if class.of_logs { 1_300 } else { 30 });
    with_one((&tree, way, class), "serve", wrong, |now, plan| {
        now.program.plan(plan);
        let since = Instant::now();
        let mut went = Ok(true);
        while went == Ok(true) {
            // What fails for good keeps everybody from being answered, which is waited for in vain.
            if plan.lasting {
                std::thread::sleep(rest_max);
                break;
            }
            went = now.round();
            if now.program.has_failed()() || since.elapsed() >= rest_max {
                break;
            }
            std::thread::sleep(Duration::from_millis(12));
        }
        let failed = now.program.spare().is_some();
        if went == Ok(true) && failed {
            went = now.round();
        }
        (went, failed)
    })
}

/// From SIGHUP until it says what became of that.
pub(crate) fn reload(way: Way, class: &'static Class, wrong: &mut Vec<String>) -> io::Result<()> {
    let tree = tree(false);
    let mut more = false;
    with_one((&tree, way, class), "reload", wrong, |now, plan| {
        more = !more;
        set_fsus(&tree, more);
        now.program.plan(plan);
        now.program.signal(Signal::HUP);
        let ends = ["reloaded: ", "fsu-mock: reload failed"];
        // What fails for good may keep the signal itself from being heard.
        let told = now.program.until_within(&ends, if plan.lasting { LASTS } else { PATIENCE });
        let failed = now.program.spare().is_some();
        if told.or_else(|| now.program.until(&ends)).is_none() {
            return (Ok(false), true);
        }
        (now.round(), failed)
    })
}

/// While nobody asks: a shard does nothing but wait then, and each of those calls is refused once. Nobody else in the program waits with them.
pub(crate) fn calm(way: Way, class: &'static Class, wrong: &mut Vec<String>) -> io::Result<()> {
    if !class.is_of_waits() {
        return Ok(());
    }
    let tree = tree(false);
    let each = |each: &mut dyn FnMut(Plan) -> io::Result<bool>| {
        let nths = (1..=CALM_CALLS).map(|nth| Plan { class, nth, errno: class.errnos[0], lasting: false });
        let others = class.errnos[1..].iter().map(|&errno| Plan { class, nth: 1, errno, lasting: false });
        for plan in nths.chain(others).filter(|plan| is_for_now(plan.errno)) {
            if !each(plan)? {
                break;
            }
        }
        Ok(())
    };
    with_one_of((&tree, way, class), "calm", each, wrong, |now, plan| {
        if let failed @ (Err(_) | Ok(false)) = now.round() {
            return (failed, false);
        }
        std::thread::sleep(CALM);
        now.program.plan(plan);
        let since = Instant::now();
        while !now.program.has_failed()() && since.elapsed() < CALM_MAX {
            std::thread::sleep(Duration::from_millis(2));
        }
        let failed = now.program.spare().is_some();
        match now.round() {
            Ok(true) if class.is_of_rings() && failed != way.is_ring() => {
                (Err(format!("it waits in io_uring: {failed}")), failed)
            }
            went => (went, failed),
        }
    })
}

/// From SIGTERM to the end.
pub(crate) fn end(way: Way, class: &'static Class, wrong: &mut Vec<String>) -> io::Result<()> {
    let tree = tree(false);
    plans(class, |plan| {
        let what = name(way, "end", plan);
        let mut program = started(&tree, way, class, false, None)?;
        program.until(&["ready"]).unwrap_or_else(|| panic!("nothing fails: {:?}", program.said));
        let mut centre = Centre::new(&program);
        if centre.round(&mut program) != Ok(true) {
            wrong.push(format!("{what}: it does not serve"));
            return Ok(false);
        }
        program.plan(plan);
        let failed = program.has_failed();
        stop(&what, program, &mut centre, &tree, wrong);
        Ok(failed())
    })
}
