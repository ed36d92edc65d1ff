//! fsu_devices.json to devices, shared by all FSUs for which they are the same.

use super::effect;
use super::faults::{self, Level, Limited};
use super::field;
use super::kept::Params;
use super::layouts::Family;
use super::memory;
use super::payload::Payloads;
use super::rule_files::RuleFiles;
use super::rules::{self, RulesOf};
use super::tables::{self, Tables};
use super::template::{self, TemplateDraft};
use crate::config::at::{At, Pos};
use crate::config::diag::{Diags, Mark};
use crate::config::load::Loader;
use crate::config::raw::{RawDevice, RawDevices, RawTemplate, RawVendors};
use crate::config::steps::step;
use crate::model::conversation::{Account, Conversation};
use crate::model::fleet::{Device, Layouts, VerifyChecksum};
use crate::model::message::Transport;
use crate::model::profile::Profiled;
use crate::model::rule::Rule;
use crate::model::template::Template;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Devices of one FSU; more could not be told apart by P_subDevType and P_subDev_addr in practice.
pub const DEVICES_MAX: usize = 256;

/// What was compiled so far, by file.
pub struct Devices {
    vendors: RawVendors,
    /// The parameters that expressions read.
    pub(super) params: Params,
    /// By name: the number of the entry.
    vendor_numbers: HashMap<String, usize>,
    templates: HashMap<PathBuf, Option<Arc<TemplateDraft>>>,
    rule_files: RuleFiles,
    payloads: Payloads,
    tables: Tables,
    lists: HashMap<PathBuf, Option<Arc<List>>>,
    /// By device list, by the id of an FSU that has a rule file of its own there, and by the size of an id.
    compiled: HashMap<(usize, Option<String>, usize), Option<SharedDevices>>,
    /// Fault keys of the list being compiled that not every transport can do.
    limited: Vec<Limited>,
    /// The same of each list that has any, with the transports of the FSUs that have the list.
    used: Vec<(SharedDevices, Vec<Limited>, Vec<Transport>)>,
    /// By address of the devices: the place in `used`.
    used_at: HashMap<usize, usize>,
    /// The accounts of messages.
    accounts: Vec<Account>,
    /// Their numbers, by template and name.
    accounts_at: HashMap<PathBuf, HashMap<Box<str>, u32>>,
}

/// One fsu_devices.json.
struct List {
    number: usize,
    raw: At<RawDevices>,
    /// The templates of its devices, each once.
    templates: Vec<PathBuf>,
    /// The base names of all rule files of those.
    rule_files: HashSet<String>,
}

fn address(devices: &SharedDevices) -> usize {
    Arc::as_ptr(devices).cast::<()>() as usize
}

/// The devices of an FSU, as every FSU with the same shares them.
pub(super) type SharedDevices = Arc<[Arc<Device>]>;

impl Devices {
    /// Nothing compiled yet.
    pub fn new(vendors: RawVendors) -> Self {
        let names = vendors.0.iter().enumerate().rev();
        let vendor_numbers =
            names.filter_map(|(number, at)| Some((at.vendor.as_ref()?.value.clone(), number))).collect();
        Self {
            vendors,
            params: Params::default(),
            vendor_numbers,
            templates: HashMap::new(),
            rule_files: RuleFiles::default(),
            payloads: Payloads::default(),
            tables: Tables::new(),
            lists: HashMap::new(),
            compiled: HashMap::new(),
            limited: Vec::new(),
            used: Vec::new(),
            used_at: HashMap::new(),
            accounts: Vec::new(),
            accounts_at: HashMap::new(),
        }
    }

    /// The accounts that the messages are counted in, by number.
    pub(super) fn accounts(&mut self) -> Box<[Account]> {
        std::mem::take(&mut self.accounts).into()
    }

    /// Gives each message of a device its account: all of one name of one template have the same.
    fn account(&mut self, draft: &TemplateDraft, conversation: &mut Conversation) {
        let known = self.accounts_at.entry(draft.path.clone()).or_default();
        for message in &mut conversation.messages {
            step(1);
            message.account = *known.entry(message.name.clone()).or_insert_with(|| {
                let (vendor, name) = (draft.plan.vendor.clone(), message.name.clone());
                self.accounts.push(Account { vendor, name, is_acknowledged: false });
                (self.accounts.len() - 1) as u32
            });
            self.accounts[message.account as usize].is_acknowledged |= message.ack.is_some();
        }
    }

    /// The devices of an FSU, by its device list and its id (upper-case hex, empty if it has none).
    pub fn of(&mut self, loader: &mut Loader, file: &Path, named_at: Pos, id: &str) -> Option<SharedDevices> {
        if !self.lists.contains_key(file) {
            let list = self.list(loader, file, named_at);
            self.lists.insert(file.to_owned(), list);
        }
        let Some(list) = self.lists.get(file).cloned().flatten() else {
            // Reported again for each FSU that names it; the same text at the same place is kept once.
            return None;
        };
        let own = self.has_own(loader, file, &list, id);
        let key = (list.number, own.then(|| id.to_owned()), id.len());
        if let Some(done) = self.compiled.get(&key) {
            return done.clone();
        }
        let devices = self.compile(loader, file, &list.raw, id);
        let limited = std::mem::take(&mut self.limited);
        if let Some(devices) = devices.as_ref().filter(|_| !limited.is_empty()) {
            self.used_at.insert(address(devices), self.used.len());
            self.used.push((devices.clone(), limited, Vec::new()));
        }
        self.compiled.insert(key, devices.clone());
        devices
    }

    /// Reads a device list, and compiles the templates of its devices.
    fn list(&mut self, loader: &mut Loader, file: &Path, named_at: Pos) -> Option<Arc<List>> {
        let raw = loader.load::<RawDevices>(file, Some(named_at))?;
        let (mut templates, mut seen, mut rule_files) = (Vec::new(), HashSet::new(), HashSet::new());
        for device in raw.device_list.iter().flatten() {
            if let Some(draft) = self.template(loader, file, device)
                && seen.insert(draft.path.clone())
            {
                rule_files.extend(self.rule_files.bases(&draft.path).map(str::to_owned));
                templates.push(draft.path.clone());
            }
        }
        Some(Arc::new(List { number: self.lists.len(), raw, templates, rule_files }))
    }

    /// Whether this FSU has a rule file of its own. Also notes that an FSU with the id uses the list.
    fn has_own(&mut self, loader: &mut Loader, file: &Path, list: &List, id: &str) -> bool {
        step(1);
        if list.templates.is_empty() {
            return false;
        }
        self.rule_files.has(file, &list.templates, id);
        if id.is_empty() || !list.rule_files.contains(id) {
            return false;
        }
        let mut own = false;
        for template in &list.templates {
            own |= self.rule_files.has_own(loader, template, id);
        }
        own
    }

    /// An FSU of that transport has these devices.
    pub fn serves(&mut self, devices: &Arc<[Arc<Device>]>, transport: Transport) {
        step(1);
        let place = self.used_at.get(&address(devices)).copied();
        if let Some((.., transports)) = place.and_then(|place| self.used.get_mut(place))
            && !transports.contains(&transport)
        {
            transports.push(transport);
        }
    }

    /// Once all FSUs are known: reports fault keys of devices and rules that apply to none of their FSUs.
    pub fn check_faults(&self, diags: &mut Diags) {
        for (_, limited, transports) in &self.used {
            faults::check_transports(diags, limited, transports, "no FSU with this device is one");
        }
    }

    /// Once all FSUs are known: reports warnings about rule files.
    pub fn check_rule_files(&self, loader: &mut Loader) {
        self.rule_files.finish(loader);
    }

    fn template_path(loader: &Loader, file: &Path, device: &RawDevice) -> Option<PathBuf> {
        device.protocol_template.as_ref().map(|path| loader.join(file, &path.value))
    }

    /// The template of a device, compiled once.
    fn template(&mut self, loader: &mut Loader, file: &Path, device: &At<RawDevice>) -> Option<Arc<TemplateDraft>> {
        let path = Self::template_path(loader, file, device)?;
        if let Some(done) = self.templates.get(&path) {
            return done.clone();
        }
        let named_at = device.protocol_template.as_ref().map(|path| path.pos);
        let errors_before = loader.diags.errors();
        let compiled = loader.load::<RawTemplate>(&path, named_at).and_then(|raw| {
            let vendor = raw.vendor.as_ref().or(device.vendor.as_ref());
            let number = vendor.and_then(|vendor| self.vendor_numbers.get(&vendor.value));
            let vendor = number.and_then(|&number| self.vendors.0.get(number)).map(|at| &at.value);
            let draft = template::template(&mut loader.diags, &raw, &path, vendor)?;
            Some(Arc::new(TemplateDraft { wrong: loader.diags.errors() > errors_before, ..draft }))
        });
        if let Some(draft) = &compiled {
            self.rule_files.add(loader, draft);
        }
        self.templates.insert(path, compiled.clone());
        compiled
    }

    fn compile(&mut self, loader: &mut Loader, file: &Path, list: &At<RawDevices>, id: &str) -> Option<SharedDevices> {
        let raw_devices: Vec<&At<RawDevice>> = list.device_list.iter().flatten().collect();
        if raw_devices.is_empty() {
            // If there are entries, they are wrong, which was reported.
            if !loader.diags.is_whole_list(list.pos, "device_list", 0) {
                return None;
            }
            loader.diags.error(list.pos, "`device_list` is missing or empty (the devices behind the FSU)");
            return None;
        }
        if raw_devices.len() > DEVICES_MAX {
            loader.diags.error(list.pos, format!("{} devices (at most {DEVICES_MAX})", raw_devices.len()));
            return None;
        }
        let mut devices: Vec<Arc<Device>> = Vec::new();
        let mut others = Vec::new();
        for raw in raw_devices {
            let Some((device, layouts)) = self.device(loader, file, raw, id) else { continue };
            let same = |other: &Arc<Device>| {
                (other.sub_dev_type, other.sub_dev_addr) == (device.sub_dev_type, device.sub_dev_addr)
            };
            if devices.iter().any(same) {
                let text = format!(
                    "a second device with sub_dev_type {:02X} and sub_dev_addr {:02X}; over udp the first answers",
                    device.sub_dev_type, device.sub_dev_addr
                );
                loader.diags.warn(raw.pos, text);
            }
            let home = Some(devices.len() as u16);
            others.extend(layouts.into_iter().map(|other| (home, other)));
            devices.push(Arc::new(device));
        }
        // Behind all others: numbers of devices stay what the file says.
        for (home, mut other) in others {
            other.layouts.home = home;
            devices.push(Arc::new(other));
        }
        (!devices.is_empty()).then(|| devices.into())
    }

    /// A device, and one for each other layout of its template.
    fn device(
        &mut self,
        loader: &mut Loader,
        file: &Path,
        raw: &At<RawDevice>,
        id: &str,
    ) -> Option<(Device, Vec<Device>)> {
        let (diags, limited) = (&mut loader.diags, &mut self.limited);
        let own_faults = raw.faults.as_ref().map(|raw| faults::set(diags, raw, Level::Device, limited));
        if raw.protocol_template.is_none() {
            loader.diags.missing(raw.pos, "protocol_template", "the path of the template");
        }
        let diags = &mut loader.diags;
        let sub_dev_type = hex_byte(diags, raw, raw.sub_dev_type.as_ref(), "sub_dev_type");
        let sub_dev_addr = hex_byte(diags, raw, raw.sub_dev_addr.as_ref(), "sub_dev_addr");
        let given = raw.verify_checksum.as_ref();
        let verify_checksum = given.map(|_| field::word(diags, given, VerifyChecksum::Warn));
        let draft = self.template(loader, file, raw)?;
        effect::device(&mut loader.diags, raw, &draft.plan);
        // Spec broadcast.md: there a wrong checksum is dropped.
        let default = if draft.plan.transfer.is_some() { VerifyChecksum::Strict } else { VerifyChecksum::Warn };
        let verify_checksum = verify_checksum.unwrap_or(default);
        // A wrong one was reported; the rules may have errors too.
        let (sub_dev_type, sub_dev_addr) = (sub_dev_type.unwrap_or(0), sub_dev_addr.unwrap_or(0));
        let (before, kept_before) = (loader.diags.budget.used(), loader.kept_bytes());
        let files = self.rule_files.of(loader, &draft.path, id, (sub_dev_type, sub_dev_addr));
        let (read, texts) = (loader.diags.budget.used(), loader.kept_bytes());
        let payloads = self.payloads.of(loader, &draft.plan, &files);
        let mark = loader.diags.mark();
        let of = RulesOf {
            draft: &draft,
            files: &files,
            payloads: &payloads,
            id_digits: id.len(),
            faults: own_faults.as_ref(),
        };
        let mut kept = memory::kept(&mut loader.diags, raw, &self.params);
        tables::read(loader, &mut kept, &mut self.tables, &files);
        let mut rules = rules::rules(&mut loader.diags, &of, kept, &mut self.limited);
        drop(files);
        loader.diags.budget.release(read.saturating_sub(before).saturating_sub(texts.saturating_sub(kept_before)));
        if draft.wrong {
            forget_values(&mut loader.diags, mark);
        }
        self.rule_files.unanswered(&draft, &rules.unanswered);
        let mut conversation = rules.conversation.take().map(|mut conversation| {
            self.account(&draft, &mut conversation);
            Arc::new(conversation)
        });
        let all = Family::new(&draft).plan();
        let vendor = raw.vendor.as_ref().map_or(&*draft.plan.vendor, |vendor| &vendor.value);
        let (cycles, registers, keeps) = (rules.cycles, rules.registers, rules.keeps);
        let name = |number: usize| match all.get(number).filter(|_| number > 0) {
            Some(layout) => format!("{vendor}/{}", layout.name).into(),
            None => vendor.into(),
        };
        let mut of_layout = |number: usize, plan: &Arc<Template>, rules: Box<[Box<[Rule]>]>| Device {
            vendor: name(number),
            sub_dev_type,
            sub_dev_addr,
            template: Arc::clone(plan),
            verify_checksum,
            rules,
            cycles,
            registers: registers.clone(),
            keeps: keeps.clone(),
            conversation: conversation.take(),
            profiles: Profiled::new(),
            layouts: Layouts { all: all.clone(), own: number as u16, home: None },
        };
        let plans = std::iter::once(&draft.plan).chain(draft.layouts.iter().map(|(_, layout)| &layout.plan));
        let each = plans.zip(rules.rules).enumerate();
        let mut of_layouts = each.map(|(number, (plan, rules))| of_layout(number, plan, rules));
        // A layout that only replies have receives nothing.
        let is_asked = |device: &Device| device.template.commands.iter().any(|command| !command.up);
        Some((of_layouts.next()?, of_layouts.filter(is_asked).collect()))
    }
}

/// Drops the errors in field values of rules since the mark: the template is wrong, and most of them are consequences.
fn forget_values(diags: &mut Diags, mark: Mark) {
    for diag in diags.take_since(mark) {
        let steps = diags.steps(&diag);
        if !steps.iter().skip(1).any(|step| matches!(step.as_str(), "data" | "cycle" | "when" | "set" | "store")) {
            diags.add(diag);
        }
    }
}

fn hex_byte(diags: &mut Diags, raw: &At<RawDevice>, given: Option<&At<String>>, name: &str) -> Option<u8> {
    let Some(given) = given else {
        diags.missing(raw.pos, name, "two hex digits, such as 01");
        return None;
    };
    let digits = given.value.trim();
    let digits = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")).unwrap_or(digits);
    match u8::from_str_radix(digits, 16) {
        Ok(byte) if !digits.starts_with('+') => Some(byte),
        _ => {
            diags.error(given.pos, format!("{name} `{}` (two hex digits, such as \"01\")", given.value));
            None
        }
    }
}
