//! The files of the page by themselves: all there, small, in both languages, and nothing in them that takes markup.

use fsu_control::page::{ASSETS, Asset, route};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What a browser loads before the first numbers are seen, uPlot included.
const PAGE_BYTES: usize = 200 * 1024;

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../control/page"))
}

fn text(asset: &Asset) -> &'static str {
    std::str::from_utf8(asset.bytes).unwrap()
}

/// Ours: not uPlot's.
fn ours() -> impl Iterator<Item = &'static Asset> {
    ASSETS.iter().filter(|asset| !asset.path.contains("uPlot"))
}

fn scripts() -> impl Iterator<Item = &'static Asset> {
    ours().filter(|asset| asset.mime.starts_with("text/javascript"))
}

fn index() -> &'static str {
    std::str::from_utf8(route("/").unwrap().1).unwrap()
}

/// Every text between these two.
fn between<'a>(text: &'a str, before: &'a str, after: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(before).skip(1).filter_map(move |rest| rest.split_once(after)).map(|(found, _)| found)
}

/// The table of texts: key, English, Chinese.
fn texts() -> BTreeMap<String, [String; 2]> {
    let all = std::str::from_utf8(route("/static/texts.js").unwrap().1).unwrap();
    let json = &all[all.find('{').unwrap()..=all.rfind('}').unwrap()];
    serde_json::from_str(json).unwrap()
}

#[test]
fn the_page_is_small() {
    let all: usize = ASSETS.iter().map(|asset| asset.bytes.len()).sum();
    assert!(all <= PAGE_BYTES, "{all} bytes");
}

#[test]
fn every_file_of_the_folder_is_served_as_it_is() {
    fn walk(dir: &Path, out: &mut BTreeSet<Vec<u8>>) {
        for entry in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                walk(&entry, out);
            } else if entry.extension().is_none_or(|e| e != "rs") {
                out.insert(std::fs::read(entry).unwrap());
            }
        }
    }
    let mut files = BTreeSet::new();
    walk(&folder(), &mut files);
    let served: BTreeSet<Vec<u8>> = ASSETS.iter().map(|asset| asset.bytes.to_vec()).collect();
    assert!(files == served, "{} files, {} served", files.len(), served.len());
    assert!(route("/static/uPlot.LICENSE").unwrap().1.starts_with(b"The MIT License"));
    assert!(route("/static/").is_none() && route("/static/mod.rs").is_none() && route("/static/../mod.rs").is_none());
}

#[test]
fn the_page_names_every_file_and_no_other() {
    let named: BTreeSet<&str> = between(index(), "=\"/static/", "\"").collect();
    let served = ASSETS.iter().filter_map(|asset| asset.path.strip_prefix("/static/"));
    assert_eq!(named, served.filter(|name| *name != "uPlot.LICENSE").collect());
    for script in scripts() {
        for name in between(text(script), " from './", "'") {
            assert!(named.contains(name), "{} imports {name}", script.path);
        }
    }
}

#[test]
fn nothing_is_loaded_from_elsewhere_or_written_inline() {
    for asset in ours() {
        let urls = between(text(asset), "://", "\n").filter(|url| !url.starts_with("www.w3.org/2000/svg"));
        assert_eq!(urls.collect::<Vec<_>>(), [""; 0], "{}", asset.path);
    }
    assert!(!index().contains("<style") && !index().contains(" style="));
    let listeners = between(index(), " on", "=").filter(|name| name.chars().all(|c| c.is_ascii_lowercase()));
    assert_eq!(listeners.collect::<Vec<_>>(), [""; 0]);
    assert_eq!(index().matches("<script").count(), index().matches("<script src=").count());
}

#[test]
fn text_from_outside_cannot_become_markup() {
    let banned = [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "DOMParser",
        "srcdoc",
        "createContextualFragment",
        "setHTML",
        "'style',",
        "javascript:",
    ];
    for script in scripts() {
        let found: Vec<_> = banned.iter().filter(|word| text(script).contains(**word)).collect();
        assert!(found.is_empty(), "{}: {found:?}", script.path);
    }
}

#[test]
fn every_text_is_in_both_languages() {
    let holes = |text: &str| between(text, "{", "}").map(str::to_owned).collect::<BTreeSet<_>>();
    for (key, [english, chinese]) in texts() {
        assert!(!english.trim().is_empty() && !chinese.trim().is_empty(), "{key}");
        assert_eq!(holes(&english), holes(&chinese), "{key}");
        assert!(english.is_ascii() || english.contains(['…', '∞', '–', '·']), "{key}: {english}");
    }
    let chinese = texts().values().filter(|[_, chinese]| chinese.chars().any(|c| c > '\u{3000}')).count();
    assert!(chinese * 10 >= texts().len() * 9, "{chinese} of {} texts are Chinese", texts().len());
}

/// Keys that the page uses as they are: `t('key'`, `data-t="key"`.
#[test]
fn every_text_that_is_used_exists() {
    let texts = texts();
    let used = scripts().flat_map(|script| between(text(script), "t('", "'"));
    let used = used.filter(|key| key.chars().all(|c| c.is_ascii_lowercase() || "._0123456789".contains(c)));
    let named = between(index(), "data-t=\"", "\"").chain(between(index(), "data-t-label=\"", "\""));
    // The ends of other calls, `el('div'` for example, look the same: those are names of elements and calls.
    let other = ["div", "get", "get("];
    let missing: BTreeSet<&str> = used
        .chain(named)
        .filter(|key| !texts.contains_key(*key) && !other.contains(key) && key.contains('.'))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// Words that the server says: each has a text, so that no view shows a bare key for it.
#[test]
fn words_of_the_server_have_texts() {
    let words: [(&str, &[&str]); 5] = [
        ("state", &["idle", "serving", "offline", "faulty", "dialling"]),
        (
            "rate",
            &[
                "received",
                "answered",
                "dropped",
                "faults",
                "heartbeats",
                "messages",
                "acknowledged",
                "sent",
                "lost",
                "wrong",
            ],
        ),
        ("kind", &["request", "reply", "heartbeat", "message", "acknowledgement", "unanswered"]),
        ("event.kind", &["centre", "outage", "reload", "change"]),
        ("by", &["api", "play", "journal"]),
    ];
    let texts = texts();
    for (family, all) in words {
        for word in all {
            assert!(texts.contains_key(&format!("{family}.{word}")), "{family}.{word}");
        }
    }
}

/// The form of faults offers what the configuration knows, and nothing else.
#[test]
fn the_form_has_every_kind_of_fault() {
    let schema = std::fs::read_to_string(folder().join("../../../config/schema/sys_config.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let mut known: BTreeSet<String> = faults_of(&schema).expect("the schema has faults");
    // A switch of its own, and comments.
    known.retain(|key| !["offline", "desc", "description"].contains(&key.as_str()));
    let form = std::fs::read_to_string(folder().join("faults.js")).unwrap();
    let table = form.split_once("export const KINDS = {").unwrap().1.split_once("\n};").unwrap().0;
    let offered: BTreeSet<String> =
        table.lines().filter_map(|line| line.trim().split_once(": [")).map(|(kind, _)| kind.to_owned()).collect();
    assert_eq!(offered, known);
    let texts = texts();
    assert!(offered.iter().all(|kind| texts.contains_key(&format!("fault.{kind}"))));
}

/// The keys of the first object of the schema that has the fault `half_close`.
fn faults_of(value: &Value) -> Option<BTreeSet<String>> {
    match value {
        Value::Object(map) if map.contains_key("half_close") => Some(map.keys().cloned().collect()),
        Value::Object(map) => map.values().find_map(faults_of),
        Value::Array(list) => list.iter().find_map(faults_of),
        _ => None,
    }
}
