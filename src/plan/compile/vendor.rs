//! vendor.json: the entries that are of use, and warnings for the rest. The file is optional, and other programs have
//! files of that name and another shape, so nothing in it keeps a configuration from being served.

use super::checksum;
use super::field;
use crate::config::at::{At, Pos};
use crate::config::diag::{Diag, Diags, Place, Severity};
use crate::config::load::Loader;
use crate::config::node::Content;
use crate::config::raw::{RawVendor, RawVendors};
use crate::model::template::Encoding;
use std::collections::HashSet;
use std::path::Path;

/// What an entry looks like.
const SHAPE: &str = "a list of entries such as {\"vendor\": \"x\", \"encoding\": \"binary\"}";

/// The entries of the file, if there is one. Anything wrong in an entry is one warning, and the entry is left aside; a file
/// that is no JSON, no list, or in which no entry has a `vendor`, is left aside whole. A file that cannot be read is an error.
pub fn read(loader: &mut Loader, file: &Path) -> RawVendors {
    if !loader.source.is_there(file) {
        return RawVendors::default();
    }
    let mark = loader.diags.mark();
    let vendors = loader.load::<RawVendors>(file, None);
    for entry in vendors.iter().flat_map(|vendors| &vendors.0) {
        check(&mut loader.diags, entry);
    }
    let diags = &mut loader.diags;
    let found = diags.take_since(mark);
    match vendors {
        None => {
            for diag in found {
                whole(diags, diag);
            }
            RawVendors::default()
        }
        Some(vendors) if has_no_vendor(diags, vendors.pos) => {
            diags.warn(vendors.pos, format!("no entry has a `vendor`; the file is left aside ({SHAPE})"));
            RawVendors::default()
        }
        Some(vendors) => {
            let aside = entries(diags, found);
            let mut names = HashSet::new();
            let mut kept = vendors.value.0;
            kept.retain(|entry| {
                let Some(name) = entry.vendor.as_ref().filter(|_| !aside.contains(&entry.pos.node)) else {
                    return false;
                };
                let first = names.insert(name.value.clone());
                if !first {
                    diags.warn(name.pos, format!("a second entry for `{}`; it is left aside", name.value));
                }
                first
            });
            RawVendors(kept)
        }
    }
}

/// What is wrong with one entry, whether a template takes it or not. Whether a checksum fits a frame shows only where a
/// template takes it.
fn check(diags: &mut Diags, entry: &At<RawVendor>) {
    match &entry.vendor {
        None => diags.missing(entry.pos, "vendor", "the name, as templates write it"),
        Some(name) if name.value.is_empty() => diags.error(name.pos, "an empty name (as templates write it)"),
        Some(_) => {}
    }
    field::word(diags, entry.encoding.as_ref(), Encoding::Binary);
    for raw in entry.checksum.iter().flat_map(|list| &list.value.0) {
        checksum::check_words(diags, raw);
    }
}

/// Reports what makes the whole file unusable.
fn whole(diags: &mut Diags, diag: Diag) {
    let unreadable = matches!(diag.place, Place::File { line_column: None, .. });
    if unreadable {
        diags.add(diag);
    } else {
        let text = format!("{}; the file is left aside ({SHAPE})", diag.text);
        diags.add(Diag { severity: Severity::Warning, text, ..diag });
    }
}

/// Is it a list of entries of which none has the one key that every entry has?
fn has_no_vendor(diags: &Diags, list: Pos) -> bool {
    let Some(tree) = diags.files.get(list.file as usize) else { return false };
    let Content::Arr(entries) = tree.content(list.node) else { return false };
    !entries.is_empty() && entries.iter().all(|&entry| tree.child(entry, "vendor").is_none())
}

/// Reports the first error of each entry, and the warnings of the others. Returns the entries with errors.
fn entries(diags: &mut Diags, found: Vec<Diag>) -> HashSet<u32> {
    let entry_of = |diags: &Diags, diag: &Diag| match diag.place {
        Place::Node(pos) => diags.files.get(pos.file as usize).and_then(|tree| tree.top(pos.node)),
        Place::File { .. } => None,
    };
    let wrong = |diag: &&Diag| diag.severity == Severity::Error;
    let aside: HashSet<u32> = found.iter().filter(wrong).filter_map(|diag| entry_of(diags, diag)).collect();
    let mut told = HashSet::new();
    for diag in found {
        match entry_of(diags, &diag).filter(|entry| aside.contains(entry)) {
            Some(_) if diag.severity != Severity::Error => {}
            Some(entry) => {
                if told.insert(entry) {
                    let text = format!("{}; the entry is left aside", diag.text);
                    diags.add(Diag { severity: Severity::Warning, text, ..diag });
                }
            }
            None => diags.add(diag),
        }
    }
    aside
}
