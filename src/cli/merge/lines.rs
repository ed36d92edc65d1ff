//! Ledgers and journals: lines in the order of their time. Lines of one file stay in their order.

use super::MergeError;
use fsu_plan::words::count;
use serde::Deserialize;
use std::borrow::Cow;
use std::path::PathBuf;

/// When a line happened.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
enum Time<'a> {
    /// Milliseconds since the start.
    SinceStart(f64),
    /// RFC 3339 in UTC: later is greater, letter by letter.
    Utc(Cow<'a, str>),
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    time: Option<Cow<'a, str>>,
    t_ms: Option<f64>,
    journal: Option<u32>,
}

/// One file, at a line.
struct At<'a> {
    path: &'a PathBuf,
    lines: std::str::Lines<'a>,
    number: usize,
    line: &'a str,
    time: Time<'a>,
}

impl<'a> At<'a> {
    fn next(&mut self) -> Result<bool, MergeError> {
        let Some(line) = self.lines.next() else { return Ok(false) };
        self.number += 1;
        let wrong = |what: String| MergeError::Content {
            path: self.path.clone(),
            what: format!("line {}: {what}", self.number),
        };
        let read: Line<'a> = serde_json::from_str(line).map_err(|error| wrong(error.to_string()))?;
        self.time = match read {
            Line { time: Some(time), .. } => Time::Utc(time),
            Line { t_ms: Some(t_ms), .. } => Time::SinceStart(t_ms),
            // The head of a journal.
            Line { journal: Some(_), .. } => Time::SinceStart(-1.0),
            _ => return Err(wrong("neither `time` nor `t_ms`".to_owned())),
        };
        self.line = line;
        Ok(true)
    }
}

/// All lines, what to say of them, and that nothing failed. The head of a journal is there once.
pub(super) fn merge(texts: &[(&PathBuf, &str)]) -> Result<(Vec<u8>, String, bool), MergeError> {
    let mut open = Vec::new();
    for &(path, text) in texts {
        let mut at = At { path, lines: text.lines(), number: 0, line: "", time: Time::SinceStart(0.0) };
        if at.next()? {
            open.push(at);
        }
    }
    let mut bytes = Vec::with_capacity(texts.iter().map(|(_, text)| text.len() + 1).sum());
    let (mut lines, mut head) = (0, None);
    while let Some(first) = first(&open) {
        let at = &mut open[first];
        let is_head = at.time == Time::SinceStart(-1.0);
        let is_again = is_head && head.replace(at.line).is_some_and(|before| before == at.line);
        if !is_again {
            bytes.extend_from_slice(at.line.as_bytes());
            bytes.push(b'\n');
            lines += 1;
        }
        if !at.next()? {
            open.remove(first);
        }
    }
    Ok((bytes, format!("{} of {}", count(lines, "line"), count(texts.len(), "part")), false))
}

/// The one whose line is the earliest; of equal ones the first.
fn first(open: &[At<'_>]) -> Option<usize> {
    let earlier = |best: usize, n: usize| if open[n].time < open[best].time { n } else { best };
    (0..open.len()).reduce(earlier)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(texts: &[&str], expected: &str) {
        let paths: Vec<PathBuf> = (0..texts.len()).map(|n| PathBuf::from(n.to_string())).collect();
        let all: Vec<(&PathBuf, &str)> = paths.iter().zip(texts.iter().copied()).collect();
        let got = merge(&all).map(|(bytes, ..)| String::from_utf8(bytes).unwrap());
        assert_eq!(got.map_err(|error| error.to_string()), Ok(expected.to_owned()));
    }

    #[test]
    fn lines_are_in_the_order_of_their_time() {
        let (a, b) = (r#"{"time":"2026-01-13T12:12:03.184Z","n":1}"#, r#"{"time":"2026-01-13T12:12:03.185Z","n":2}"#);
        check(&[b, a], &format!("{a}\n{b}\n"));
        check(&[&format!("{a}\n{b}\n"), "", a], &format!("{a}\n{a}\n{b}\n"));
        let (head, c, d) = (r#"{"journal":1,"seed":7}"#, r#"{"t_ms":9,"call":1}"#, r#"{"t_ms":10.5,"call":2}"#);
        check(&[&format!("{head}\n{d}"), &format!("{head}\n{c}")], &format!("{head}\n{c}\n{d}\n"));
    }

    #[test]
    fn a_line_without_a_time_is_told_with_its_place() {
        let path = PathBuf::from("p/x.jsonl");
        let got = merge(&[(&path, "{\"t_ms\":1}\n{}\n")]).map(drop).map_err(|error| error.to_string());
        assert_eq!(got, Err("p/x.jsonl: line 2: neither `time` nor `t_ms`".to_owned()));
    }
}
