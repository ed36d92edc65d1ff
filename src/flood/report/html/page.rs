//! What the pages of all reports have alike: the head, the figures at the top, the end.

use super::{STYLE, escaped};
use std::fmt::Write as _;

/// The page of that title (text, not HTML) so far: its head and its heading, with the time when the run started.
pub(crate) fn begin(title: &str, started: &str) -> String {
    let (title, started) = (escaped(title), escaped(started));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <header><h1>{title}</h1><span class=\"when\">{started}</span></header>\n"
    )
}

/// The last lines of a page.
pub(crate) fn end(out: &mut String) {
    out.push_str("</main>\n</body>\n</html>\n");
}

/// Figures beside each other: each has a value, a name, and whether it is bad.
pub(crate) fn tiles<'a>(all: impl IntoIterator<Item = (String, &'a str, bool)>, out: &mut String) {
    out.push_str("<div class=\"tiles\">\n");
    for (value, name, is_bad) in all {
        let class = if is_bad { "tile bad" } else { "tile" };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "<div class=\"{class}\"><b>{value}</b><span>{name}</span></div>");
    }
    out.push_str("</div>\n");
}
