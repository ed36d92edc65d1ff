//! What is done in each phase while a call fails, and what must hold then.

use crate::calls::{Class, errno_name};
use crate::centre::{Centre, set_fsus, tree};
use crate::harness::{PATIENCE, Tree};
use crate::program::{Ended, Plan, Program};
use crate::{Way, is_thorough};
use rustix::process::Signal;
use std::io;
use std::time::{Duration, Instant};

/// The first so many calls are each made to fail; then every other one, every fourth, and so on, unless all are.
const EACH_MAX: u32 = 3;

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
    // What is to be asked for again may not fail for good.
    if ![libc::EINTR, libc::EAGAIN].contains(&class.errnos[0]) {
        each(Plan { class, nth: 1, errno: class.errnos[0], lasting: true })?;
    }
    Ok(())
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
            Err(text) => wrong.push(format!("{what}: {text}")),
        }
        Ok(failed.is_some())
    })
}

/// While every FSU is asked, and the logs are written.
pub(crate) fn serve(way: Way, class: &'static Class, wrong: &mut Vec<String>) -> io::Result<()> {
    let tree = tree(false);
    let mut running: Option<(Program, Centre)> = None;
    plans(class, |plan| {
        let what = name(way, "serve", plan);
        let (mut program, mut centre) = match running.take() {
            Some(running) => running,
            None => {
                let mut program = started(&tree, way, class, true, None)?;
                program.until(&["ready"]).unwrap_or_else(|| panic!("nothing fails: {:?}", program.said));
                let centre = Centre::new(&program);
                (program, centre)
            }
        };
        program.plan(plan);
        // What the logs do is done when there is nothing else to do, some of it twice a second.
        let rest_max = Duration::from_millis(if class.of_logs { 1_300 } else { 30 });
        let since = Instant::now();
        let mut went = Ok(true);
        while went == Ok(true) {
            // What fails for good keeps everybody from being answered, which is waited for in vain.
            if plan.lasting {
                std::thread::sleep(rest_max);
                break;
            }
            went = centre.round(&mut program);
            if program.has_failed()() || since.elapsed() >= rest_max {
                break;
            }
            std::thread::sleep(Duration::from_millis(12));
        }
        let failed = program.spare();
        if went == Ok(true) && failed.is_some() {
            went = centre.round(&mut program);
        }
        match went {
            Ok(true) if centre.is_spent() => stop(&what, program, &mut centre, &tree, wrong),
            Ok(true) => running = Some((program, centre)),
            Ok(false) => judge(&what, program.wait(), wrong),
            Err(text) => wrong.push(format!("{what}: {text}")),
        }
        Ok(failed.is_some())
    })?;
    if let Some((program, mut centre)) = running {
        stop(&format!("{}, {}, after serving", way.name, class.name), program, &mut centre, &tree, wrong);
    }
    Ok(())
}

/// From SIGHUP until it says what became of that.
pub(crate) fn reload(way: Way, class: &'static Class, wrong: &mut Vec<String>) -> io::Result<()> {
    let tree = tree(false);
    let mut running: Option<(Program, Centre)> = None;
    let mut more = false;
    plans(class, |plan| {
        let what = name(way, "reload", plan);
        let (mut program, mut centre) = match running.take() {
            Some(running) => running,
            None => {
                let mut program = started(&tree, way, class, true, None)?;
                program.until(&["ready"]).unwrap_or_else(|| panic!("nothing fails: {:?}", program.said));
                let centre = Centre::new(&program);
                (program, centre)
            }
        };
        more = !more;
        set_fsus(&tree, more);
        program.plan(plan);
        program.signal(Signal::HUP);
        let ends = ["reloaded: ", "fsu-mock: reload failed"];
        // What fails for good may keep the signal itself from being heard.
        let told = program.until_within(&ends, if plan.lasting { LASTS } else { PATIENCE });
        let failed = program.spare();
        let told = told.or_else(|| program.until(&ends));
        if told.is_none() {
            judge(&what, program.wait(), wrong);
            return Ok(true);
        }
        match centre.round(&mut program) {
            Ok(true) if centre.is_spent() => stop(&what, program, &mut centre, &tree, wrong),
            Ok(true) => running = Some((program, centre)),
            Ok(false) => judge(&what, program.wait(), wrong),
            Err(text) => wrong.push(format!("{what}: {text}")),
        }
        Ok(failed.is_some())
    })?;
    if let Some((program, mut centre)) = running {
        stop(&format!("{}, {}, after reloads", way.name, class.name), program, &mut centre, &tree, wrong);
    }
    Ok(())
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
