//! Which rule files a device has, by base name, and warnings about listed files and the files beside them.

use super::template::TemplateDraft;
use crate::config::at::{At, Pos};
use crate::config::load::Loader;
use crate::config::raw::RawRules;
use crate::model::fleet::FsuId;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

/// Names that one message lists; the rest is only counted.
pub const NAMES_TOLD_MAX: usize = 12;
/// The base name of the file that every device has.
const DEFAULT: &str = "DEFAULT";

/// What templates list, and which FSUs and devices may use it.
#[derive(Debug, Default)]
pub struct RuleFiles {
    /// By template. Sorted, so that the order of messages does not depend on a hash.
    templates: BTreeMap<PathBuf, Listed>,
    /// Numbers of device lists (fsu_devices.json).
    lists: HashMap<PathBuf, u32>,
    /// By id, upper-case hex: the device lists of the FSUs that have it.
    ids: HashMap<String, Vec<u32>>,
}

/// The rule files of one template.
#[derive(Debug, Default)]
struct Listed {
    /// In file order, each once.
    files: Vec<Named>,
    /// Numbers in `files`, by base name.
    by_base: HashMap<String, Vec<usize>>,
    /// The devices with that template: `0101`.
    devices: HashSet<String>,
    /// The device lists that name it.
    lists: HashSet<u32>,
    /// Commands that no rule file of a device names, by key, with where the template has them, and for how many devices.
    unanswered: BTreeMap<Box<str>, (Pos, usize)>,
    /// How many devices were looked at.
    looked_at: usize,
}

/// One listed file.
#[derive(Debug)]
struct Named {
    name: At<String>,
    path: PathBuf,
    /// Upper case, without extension.
    base: String,
}

impl RuleFiles {
    /// A template was compiled: takes its list, and warns of what is listed twice.
    pub fn add(&mut self, loader: &mut Loader, draft: &TemplateDraft) {
        let mut listed = Listed::default();
        let mut seen = HashSet::new();
        for name in &draft.rule_files {
            let path = loader.join(&draft.path, &name.value);
            if !seen.insert(path.clone()) {
                loader.diags.warn(name.pos, format!("`{}` is listed twice", name.value));
                continue;
            }
            let base = base(&path);
            listed.by_base.entry(base.clone()).or_default().push(listed.files.len());
            listed.files.push(Named { name: name.clone(), path, base });
        }
        // Where the template is wrong, its list may be what is.
        if draft.rule_files.is_empty() && !draft.wrong {
            let text = format!("{} names no rule file, so nothing is answered (`rule_file_list`)", draft.plan.path);
            loader.diags.warn(draft.commands.first().map_or(Pos::default(), |command| command.pos), text);
        }
        self.templates.insert(draft.path.clone(), listed);
    }

    /// The base names of a template's files.
    pub fn bases(&self, template: &Path) -> impl Iterator<Item = &str> {
        self.templates.get(template).into_iter().flat_map(|listed| listed.by_base.keys().map(String::as_str))
    }

    /// An FSU with that id (upper-case hex, or empty) has the devices of `list`, with these templates.
    pub fn has(&mut self, list: &Path, templates: &[PathBuf], id: &str) {
        let next = self.lists.len() as u32;
        let number = if let Some(number) = self.lists.get(list) {
            *number
        } else {
            self.lists.insert(list.to_owned(), next);
            for template in templates {
                if let Some(listed) = self.templates.get_mut(template) {
                    listed.lists.insert(next);
                }
            }
            next
        };
        if id.is_empty() {
            return;
        }
        let lists = self.ids.entry(id.to_owned()).or_default();
        if lists.last() != Some(&number) {
            lists.push(number);
        }
    }

    /// Whether the template has a file for this FSU. A listed file that does not exist is no error: the next one applies.
    pub fn has_own(&self, loader: &mut Loader, template: &Path, id: &str) -> bool {
        let Some(listed) = self.templates.get(template) else { return false };
        let mut own = false;
        for named in listed.named(id) {
            if loader.is_there(&named.path) {
                own = true;
            } else {
                loader
                    .diags
                    .info(named.name.pos, format!("`{}` is not there: the next file applies", named.name.value));
            }
        }
        own
    }

    /// The rule files of a device, by precedence: the FSU's, the device's, the default.
    pub fn of(
        &mut self,
        loader: &mut Loader,
        template: &Path,
        id: &str,
        sub_dev: (u8, u8),
    ) -> Vec<(PathBuf, At<RawRules>)> {
        let Some(listed) = self.templates.get_mut(template) else { return Vec::new() };
        let device = format!("{:02X}{:02X}", sub_dev.0, sub_dev.1);
        let own = listed.named(id).filter(|named| !id.is_empty() && loader.source.is_there(&named.path));
        let mut files: Vec<&Named> = own.collect();
        files.extend(listed.named(&device).filter(|_| device != id));
        files.extend(listed.named(DEFAULT));
        let mut read = Vec::with_capacity(files.len());
        for named in files {
            let file = loader.load::<RawRules>(&named.path, Some(named.name.pos));
            read.extend(file.map(|file| (named.path.clone(), file)));
        }
        listed.devices.insert(device);
        read
    }

    /// The commands of a device that none of its files names.
    ///
    /// `numbers`: by layout.
    pub fn unanswered(&mut self, draft: &TemplateDraft, numbers: &[Vec<usize>]) {
        let Some(listed) = self.templates.get_mut(&draft.path) else { return };
        listed.looked_at += 1;
        let mut keys = HashSet::new();
        let layouts =
            std::iter::once((None, draft)).chain(draft.layouts.iter().map(|(name, draft)| (Some(name), draft)));
        for ((layout, draft), numbers) in layouts.zip(numbers) {
            for &number in numbers {
                let key = &draft.plan.commands[number].key_text;
                let key: Box<str> = layout.map_or_else(|| key.clone(), |layout| format!("{layout}/{key}").into());
                // Entries with the same key share their rules.
                if keys.insert(key.clone()) {
                    let pos = draft.commands[number].pos;
                    listed.unanswered.entry(key).or_insert((pos, 0)).1 += 1;
                }
            }
        }
    }

    /// Once all FSUs are known: reports files that are not there and, if there are no errors, those that can never
    /// apply, those that would apply and are not listed, and commands without a rule.
    pub fn finish(&self, loader: &mut Loader) {
        // With errors in FSUs or devices, these warnings would only be consequences.
        let known = !loader.diags.has_errors();
        for listed in self.templates.values() {
            for named in &listed.files {
                if !self.applies(&listed.lists, &listed.devices, &named.base) {
                    self.idle(loader, named, known);
                }
            }
        }
        if !known {
            return;
        }
        for listed in self.templates.values() {
            listed.tell_unanswered(loader);
        }
        self.beside(loader);
    }

    /// Is there an FSU or a device that has a file of that base name?
    fn applies(&self, lists: &HashSet<u32>, devices: &HashSet<String>, base: &str) -> bool {
        let of_an_fsu = || self.ids.get(base).is_some_and(|own| own.iter().any(|list| lists.contains(list)));
        base == DEFAULT || devices.contains(base) || of_an_fsu()
    }

    /// Reports a listed file that no FSU or device uses. `known`: all FSUs and devices are known.
    fn idle(&self, loader: &mut Loader, named: &Named, known: bool) {
        let of_an_fsu = self.ids.contains_key(&named.base) || looks_like_an_id(&named.base);
        if loader.is_there(&named.path) {
            if known {
                let what = "can apply to no FSU and no device here";
                let names = "<fsuid>.json of an FSU, 0101.json of a device, default.json";
                loader.diags.warn(named.name.pos, format!("`{}` {what} ({names})", named.name.value));
            }
        } else if !of_an_fsu {
            let shown = loader.source.show(&named.path);
            loader.diags.error(named.name.pos, format!("{shown} is no file (only an <fsuid>.json may be missing)"));
        } else if known {
            let what = "is not there, and no FSU with this template has that id";
            loader.diags.warn(named.name.pos, format!("`{}` {what}", named.name.value));
        }
    }

    /// Reports files beside a listed one that are not listed themselves but would apply by their name.
    fn beside(&self, loader: &mut Loader) {
        #[derive(Default)]
        struct Beside<'a> {
            lists: HashSet<u32>,
            devices: HashSet<String>,
            first: Option<&'a Named>,
        }
        let mut dirs: BTreeMap<&Path, Beside<'_>> = BTreeMap::new();
        let mut all = HashSet::new();
        for listed in self.templates.values() {
            let mut here = HashSet::new();
            for named in &listed.files {
                all.insert(named.path.as_path());
                let dir = named.path.parent().unwrap_or(Path::new(""));
                if here.insert(dir) {
                    let beside = dirs.entry(dir).or_default();
                    beside.lists.extend(&listed.lists);
                    beside.devices.extend(listed.devices.iter().cloned());
                    beside.first.get_or_insert(named);
                }
            }
        }
        for (dir, beside) in dirs {
            let mut names = BTreeSet::new();
            loader.source.each_file(dir, &mut |name| {
                let path = dir.join(name);
                let is_json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
                if is_json
                    && self.applies(&beside.lists, &beside.devices, &base(&path))
                    && !all.contains(path.as_path())
                    && !loader.was_read(&path)
                {
                    names.insert(name.to_owned());
                }
            });
            if let Some(first) = beside.first.filter(|_| !names.is_empty()) {
                let text = format!("not listed, though it would apply by its name: {}", some_of(&names));
                loader.diags.warn(first.name.pos, format!("beside `{}`, {text}", first.name.value));
            }
        }
    }
}

impl Listed {
    fn named(&self, base: &str) -> impl Iterator<Item = &Named> {
        self.by_base.get(base).into_iter().flatten().filter_map(|&number| self.files.get(number))
    }

    fn tell_unanswered(&self, loader: &mut Loader) {
        let Some(pos) = self.unanswered.values().map(|(pos, _)| *pos).min_by_key(|pos| pos.node) else { return };
        if self.files.is_empty() {
            return; // reported by `add`
        }
        let everywhere = self.unanswered.values().all(|(_, devices)| *devices == self.looked_at);
        let place = if everywhere { "" } else { " of some FSU or device" };
        let keys = some_of(self.unanswered.keys());
        let right = "a rule for each, `{\"timeout\": true}` for one that is never answered";
        loader.diags.warn(pos, format!("no rule file{place} has {keys} ({right})"));
    }
}

/// Is that the name of a file of one FSU, whichever it is? A device's has 4 digits.
fn looks_like_an_id(base: &str) -> bool {
    let digits = base.len();
    digits > 4 && digits <= 2 * FsuId::BYTES && digits.is_multiple_of(2) && base.bytes().all(|c| c.is_ascii_hexdigit())
}

fn base(path: &Path) -> String {
    path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_uppercase()
}

/// `a, b, c and 4 more`
fn some_of<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> String {
    let mut names = names.into_iter();
    let mut text: Vec<String> = names.by_ref().take(NAMES_TOLD_MAX).map(|name| name.as_ref().to_owned()).collect();
    match names.count() {
        0 => {}
        more => {
            if let Some(last) = text.last_mut() {
                *last = format!("{last} and {more} more");
            }
        }
    }
    text.join(", ")
}
