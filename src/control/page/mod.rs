//! The dashboard: files that are part of the program. The page loads nothing from elsewhere.
//!
//! `index.html` names every file; `main.js` is where the page starts. uPlot (<https://github.com/leeoniya/uPlot>, 1.6.32, MIT) is
//! the unchanged file of its npm package, its licence beside it.

/// A file of the page.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// Path of its URL, from the first slash.
    pub path: &'static str,
    /// The value of `Content-Type`.
    pub mime: &'static str,
    /// The file.
    pub bytes: &'static [u8],
}

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// A file of this folder, under its own name or another.
macro_rules! file {
    ($mime:expr, $name:literal) => {
        file!($mime, $name, $name)
    };
    ($mime:expr, $name:literal, $file:literal) => {
        Asset { path: concat!("/static/", $name), mime: $mime, bytes: include_bytes!($file) }
    };
}

/// Every file of the page.
pub const ASSETS: &[Asset] = &[
    Asset { path: "/", mime: HTML, bytes: include_bytes!("index.html") },
    file!("image/svg+xml", "icon.svg"),
    file!(STYLE, "base.css"),
    file!(STYLE, "views.css"),
    file!(STYLE, "uPlot.min.css", "uplot/uPlot.min.css"),
    file!(SCRIPT, "uPlot.iife.min.js", "uplot/uPlot.iife.min.js"),
    file!(TEXT, "uPlot.LICENSE", "uplot/LICENSE"),
    file!(SCRIPT, "actions.js"),
    file!(SCRIPT, "api.js"),
    file!(SCRIPT, "cells.js"),
    file!(SCRIPT, "charts.js"),
    file!(SCRIPT, "devices.js"),
    file!(SCRIPT, "dom.js"),
    file!(SCRIPT, "exchanges.js"),
    file!(SCRIPT, "faults.js"),
    file!(SCRIPT, "figures.js"),
    file!(SCRIPT, "fleet.js"),
    file!(SCRIPT, "format.js"),
    file!(SCRIPT, "forms.js"),
    file!(SCRIPT, "fsu.js"),
    file!(SCRIPT, "lists.js"),
    file!(SCRIPT, "live.js"),
    file!(SCRIPT, "main.js"),
    file!(SCRIPT, "map.js"),
    file!(SCRIPT, "overview.js"),
    file!(SCRIPT, "run.js"),
    file!(SCRIPT, "settings.js"),
    file!(SCRIPT, "texts.js"),
];

/// The file of a path, with its type; `None`: there is none.
pub fn route(path: &str) -> Option<(&'static str, &'static [u8])> {
    ASSETS.iter().find(|asset| asset.path == path).map(|asset| (asset.mime, asset.bytes))
}
