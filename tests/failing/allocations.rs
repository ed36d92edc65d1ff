//! One allocation after the other made to fail, and the real program with too little address space.

use crate::centre::{Centre, set_fsus, tree};
use crate::phases::{judge, next, stop};
use crate::program::Program;
use rustix::process::Signal;
use std::time::Duration;

const ARGS: &[&str] = &["--shards", "1", "--driver", "poll", "--performance"];

/// Each of these allocations and all after it, each alone: `each` tells whether one has failed.
fn plans(mut each: impl FnMut(u32, bool) -> bool) {
    for lasting in [false, true] {
        let mut nth = 1;
        while each(nth, lasting) {
            nth = next(nth);
        }
    }
}

fn name(phase: &str, nth: u32, lasting: bool) -> String {
    format!("{phase}, allocation {nth}{}", if lasting { " and all after it" } else { "" })
}

fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn hk_any_allocation_may_fail_at_the_start() {
    let tree = tree(false);
    let mut wrong = Vec::new();
    plans(|nth, lasting| {
        let what = name("start", nth, lasting);
        let mut program = Program::start_here(&tree, ARGS, Some((nth, lasting)));
        if program.until(&["ready"]).is_none() {
            judge(&what, program.wait(), &mut wrong);
            return true;
        }
        let failed = program.spare_allocations();
        let mut centre = Centre::new(&program);
        match centre.round(&mut program) {
            Ok(true) => stop(&what, program, &mut centre, &tree, &mut wrong),
            Ok(false) => judge(&what, program.wait(), &mut wrong),
            Err(text) => wrong.push(format!("{what}: {text}")),
        }
        failed != Some(false)
    });
    assert_none(&wrong);
}

/// While everybody is asked, and the configuration is read once more.
#[test]
fn hk_any_allocation_may_fail_while_serving_and_at_a_reload() {
    let tree = tree(false);
    let mut wrong = Vec::new();
    let (mut running, mut more): (Option<(Program, Centre)>, bool) = (None, false);
    let mut phase = |reloads: bool, nth: u32, lasting: bool| {
        let what = name(if reloads { "reload" } else { "serve" }, nth, lasting);
        let (mut program, mut centre) = running.take().unwrap_or_else(|| {
            let mut program = Program::start_here(&tree, ARGS, None);
            program.until(&["ready"]).unwrap_or_else(|| panic!("nothing fails: {:?}", program.said));
            let centre = Centre::new(&program);
            (program, centre)
        });
        program.fail_allocation(nth, lasting);
        let mut went = Ok(true);
        if reloads {
            more = !more;
            set_fsus(&tree, more);
            program.signal(Signal::HUP);
            went = Ok(program.until(&["reloaded: ", "fsu-mock: reload failed"]).is_some());
        } else if lasting {
            std::thread::sleep(Duration::from_millis(30));
        }
        if went == Ok(true) && (reloads || !lasting) {
            went = centre.round(&mut program);
        }
        let failed = program.spare_allocations();
        if went == Ok(true) && failed == Some(true) {
            went = centre.round(&mut program);
        }
        match went {
            Ok(true) if failed.is_some() => running = Some((program, centre)),
            Ok(_) => judge(&what, program.wait(), &mut wrong),
            Err(text) => wrong.push(format!("{what}: {text}")),
        }
        failed != Some(false)
    };
    plans(|nth, lasting| phase(false, nth, lasting));
    plans(|nth, lasting| phase(true, nth, lasting));
    if let Some((program, mut centre)) = running {
        stop("after all", program, &mut centre, &tree, &mut wrong);
    }
    assert_none(&wrong);
}

/// Replies that wait are kept for 4 s; without memory for more of them the others are refused and counted, and served again when some have left.
#[test]
fn hk_without_memory_to_grow_replies_are_refused_and_counted() {
    let tree = tree(false);
    let mut program = Program::plain(&tree, &["--shards", "1", "--driver", "poll"]);
    program.until(&["ready"]).unwrap_or_else(|| panic!("nothing fails: {:?}", program.said));
    let mut centre = Centre::new(&program);
    assert_eq!(centre.round(&mut program), Ok(true));
    program.limit_memory(1 << 20);
    let sent = centre.ask_for_late_replies(20_000);
    // The last of them leave, and there is memory again.
    if centre.round(&mut program).unwrap() {
        program.signal(Signal::TERM);
    }
    let ended = program.wait().unwrap();
    assert_eq!(ended.fault(), None, "{:?}", ended.said);
    if !ended.status.success() {
        // It needed more than its reserve at once: that is reported, too.
        assert!(ended.said.iter().any(|(_, line)| line.starts_with("fsu-mock: no memory")), "{:?}", ended.said);
        return;
    }
    let stats: serde_json::Value = serde_json::from_slice(&std::fs::read(tree.path("stats.json")).unwrap()).unwrap();
    let totals = &stats["totals"];
    let count = |key: &str| totals.pointer(key).and_then(serde_json::Value::as_u64).unwrap();
    assert!(count("/dropped/no_memory") > 0, "{sent} asked: {totals:#}");
}
