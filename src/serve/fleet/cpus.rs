//! Which processors the shards are pinned to.

use rustix::thread::{CpuSet, sched_getaffinity};
use std::fmt::Write as _;

/// Why a `--cpus` list cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CpusError {
    /// Not a list of numbers and ranges.
    #[error("--cpus {list}: {part:?} is neither a processor's number nor a range (write 0-3,5)")]
    Syntax {
        /// The whole list.
        list: String,
        /// The part that cannot be read.
        part: String,
    },
    /// Processors that this process may not run on, or that do not exist.
    #[error("--cpus {list}: processor {denied} is not available here (allowed: {allowed})")]
    Denied {
        /// The whole list.
        list: String,
        /// Those that may not be used, as a list.
        denied: String,
        /// Those that may, as a list.
        allowed: String,
    },
}

/// The processors that this process may run on, ascending; never empty.
pub fn allowed() -> Vec<usize> {
    let set = sched_getaffinity(None).unwrap_or_default();
    let cpus: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect();
    if cpus.is_empty() { vec![0] } else { cpus }
}

/// Reads a list like `0-3,5`: in the order given, each processor once.
///
/// # Errors
/// [`CpusError::Syntax`] for anything else, [`CpusError::Denied`] with every processor that is not in `allowed`.
pub fn parse(list: &str, allowed: &[usize]) -> Result<Vec<usize>, CpusError> {
    let mut cpus = Vec::new();
    let mut denied = Vec::new();
    for part in list.split(',') {
        let (from, to) =
            range(part).ok_or_else(|| CpusError::Syntax { list: list.to_owned(), part: part.trim().to_owned() })?;
        for cpu in from..=to {
            let kept = if allowed.contains(&cpu) { &mut cpus } else { &mut denied };
            if !kept.contains(&cpu) {
                kept.push(cpu);
            }
        }
    }
    if denied.is_empty() {
        return Ok(cpus);
    }
    denied.sort_unstable();
    Err(CpusError::Denied { list: list.to_owned(), denied: format(&denied), allowed: format(allowed) })
}

/// One number, or two with a dash, none of them past what a processor set can hold.
fn range(part: &str) -> Option<(usize, usize)> {
    let number = |text: &str| text.trim().parse().ok().filter(|&cpu: &usize| cpu < CpuSet::MAX_CPU);
    let (from, to) = match part.split_once('-') {
        Some((from, to)) => (number(from)?, number(to)?),
        None => (number(part)?, number(part)?),
    };
    (from <= to).then_some((from, to))
}

/// Ascending processors in the notation of `--cpus`.
pub fn format(cpus: &[usize]) -> String {
    let mut text = String::new();
    let mut rest = cpus;
    while let Some(&from) = rest.first() {
        let run = rest.iter().enumerate().take_while(|&(i, &cpu)| cpu == from + i).count();
        let comma = if text.is_empty() { "" } else { "," };
        // Writing to a String cannot fail.
        let _ = match run {
            1 => write!(text, "{comma}{from}"),
            _ => write!(text, "{comma}{from}-{}", from + run - 1),
        };
        rest = &rest[run..];
    }
    text
}

/// How many shards there are, and where each is pinned.
#[derive(Debug, PartialEq, Eq)]
pub struct Placement {
    /// The processor of each shard; never empty.
    pub cpus: Vec<usize>,
    /// More shards than processors: some share one.
    pub shared: bool,
}

/// Places `shards` on the processors.
///
/// `shards` absent: one for every processor of a `--cpus` list (`listed`), else half of those allowed, at least 1, in both
/// cases no more than there are FSUs. The first processors are used; past the last one it starts over.
pub fn place(shards: Option<usize>, listed: Option<&[usize]>, allowed: &[usize], fsus: usize) -> Placement {
    let pool = listed.unwrap_or(allowed);
    let default = listed.map_or(allowed.len() / 2, <[usize]>::len).clamp(1, fsus.max(1));
    let shards = shards.unwrap_or(default).max(1);
    Placement { cpus: pool.iter().copied().cycle().take(shards).collect(), shared: shards > pool.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        let check = |list: &str, expected: Result<&[usize], &str>| {
            let got = parse(list, &[0, 1, 2, 3, 6]).map_err(|error| error.to_string());
            assert_eq!(got.as_deref().map_err(String::as_str), expected, "{list}");
        };
        check("0", Ok(&[0]));
        check("0-3,6", Ok(&[0, 1, 2, 3, 6]));
        check(" 6 , 1 - 2 ", Ok(&[6, 1, 2]));
        check("1,1,0-1", Ok(&[1, 0]));
        check("0-9", Err("--cpus 0-9: processor 4-5,7-9 is not available here (allowed: 0-3,6)"));
        check("", Err("--cpus : \"\" is neither a processor's number nor a range (write 0-3,5)"));
        check("0,x", Err("--cpus 0,x: \"x\" is neither a processor's number nor a range (write 0-3,5)"));
        check("3-1", Err("--cpus 3-1: \"3-1\" is neither a processor's number nor a range (write 0-3,5)"));
        check(
            "0-99999999999",
            Err("--cpus 0-99999999999: \"0-99999999999\" is neither a processor's number nor a range (write 0-3,5)"),
        );
    }

    #[test]
    fn lists_are_written_as_they_are_read() {
        for text in ["0", "0-1", "0-3,5", "1,3,5-7"] {
            let all: Vec<usize> = (0..10).collect();
            assert_eq!(parse(text, &all).map(|cpus| format(&cpus)), Ok(text.to_owned()));
        }
    }

    #[test]
    fn placement() {
        let check = |shards, listed: Option<&[usize]>, allowed: &[usize], fsus, expected: &[usize], shared| {
            let expected = Placement { cpus: expected.to_vec(), shared };
            assert_eq!(place(shards, listed, allowed, fsus), expected);
        };
        check(None, None, &[0], 10, &[0], false);
        check(None, None, &[0, 1, 2, 3], 10, &[0, 1], false);
        check(None, None, &[0, 1, 2, 3], 1, &[0], false);
        check(None, Some(&[1, 3]), &[0, 1, 2, 3], 10, &[1, 3], false);
        check(Some(1), Some(&[1, 3]), &[0, 1, 2, 3], 10, &[1], false);
        check(Some(3), None, &[4, 5], 10, &[4, 5, 4], true);
        check(None, None, &[0, 1], 0, &[0], false);
    }

    #[test]
    fn this_process_may_run_somewhere() {
        assert!(!allowed().is_empty());
    }
}
