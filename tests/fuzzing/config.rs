//! A configuration in which one file is whatever it is: it compiles or is refused, and what compiles can serve.

use super::edit::edit;
use super::input::Input;
use super::shipped::{RUN, mended, moment};
use fsu_core::answer::turn::{Scratch, Turn};
use fsu_core::replies::Replies;
use fsu_core::stage;
use fsu_core::state::FsuState;
use fsu_plan::compile::compile;
use fsu_plan::config::diag::DIAGS_MAX;
use fsu_plan::config::load::Loader;
use fsu_plan::config::source::{Source, embedded_files};
use fsu_plan::model::fleet::{Fleet, Fsu};
use fsu_plan::model::message::Transport;
use fsu_plan::wire::framer;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::path::{Path, PathBuf};

/// The kinds of file, as they are called here.
pub const KINDS: [&str; 5] =
    ["sys_config.json", "fsu_devices.json", "vendor.json", "protocol.json", "rules/default.json"];
/// What of a compiled fleet is served: FSUs, devices of each, commands of each.
const SERVED_MAX: (usize, usize, usize) = (4, 4, 8);

/// Commands of one template here. Compiling all of a vendor's takes ten times as long, and finds the same.
const COMMANDS: usize = 2;

/// The template, the kind of file, then its text, or changes of the shipped one.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    TREE.with_borrow_mut(|tree| {
        let site = input.pick(tree.sites.len());
        let kind = input.pick(2 * KINDS.len());
        let name = KINDS[kind % KINDS.len()];
        let edited;
        let text = if kind < KINDS.len() {
            input.0
        } else {
            let mut file = tree.sites[site].files[kind - KINDS.len()].clone();
            edit(&mut file, input);
            edited = file.to_string();
            edited.as_bytes()
        };
        let main = tree.put(site, name, text);
        let mut loader = Loader::new(Source::Directory);
        let fleet = compile(&mut loader, &main);
        let lines = loader.diags.lines().inspect(|line| assert!(!line.is_empty())).count();
        assert!(lines <= DIAGS_MAX + 1, "{lines} lines");
        assert!(fleet.is_some() || loader.diags.has_errors(), "refused without a word");
        if let Some(fleet) = fleet.filter(|_| !loader.diags.has_errors()) {
            serve(&fleet);
        }
    });
}

thread_local! {
    static TREE: RefCell<Tree> = RefCell::new(Tree::new());
}

/// A directory for every few commands of every shipped template, with a configuration of one FSU each.
struct Tree {
    dir: tempfile::TempDir,
    sites: Vec<Site>,
    /// The file that is not as it was: its site and its name.
    changed: Option<(usize, &'static str)>,
}

/// A small configuration.
struct Site {
    dir: PathBuf,
    /// As they were, by [`KINDS`].
    files: [Value; KINDS.len()],
}

impl Tree {
    fn new() -> Self {
        let mut tree = Self { dir: tempfile::tempdir().unwrap(), sites: vec![], changed: None };
        let mut templates = 0;
        for (path, text) in embedded_files() {
            if path.ends_with("protocol.json") || path.ends_with("template.json") {
                templates += 1;
                let from = path.parent().unwrap();
                few_commands(&files_of(from, text)).into_iter().for_each(|files| tree.add(from, files));
            }
        }
        assert!(templates >= 7, "a template is missing");
        // One byte chooses.
        assert!(tree.sites.len() <= 256);
        tree
    }

    /// A directory with these files, and with what else there is beside the shipped template.
    fn add(&mut self, from: &Path, files: [Value; KINDS.len()]) {
        let dir = self.dir.path().join(self.sites.len().to_string());
        for (path, text) in embedded_files().into_iter().filter(|(path, _)| path.starts_with(from)) {
            let to = dir.join(path.strip_prefix(from).unwrap());
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::write(to, text).unwrap();
        }
        for (name, file) in KINDS.iter().zip(&files) {
            std::fs::write(dir.join(name), file.to_string()).unwrap();
        }
        self.sites.push(Site { dir, files });
    }

    /// Writes one file; every other one is as it was. The main file.
    fn put(&mut self, site: usize, name: &'static str, text: &[u8]) -> PathBuf {
        if let Some((changed, name)) = self.changed.replace((site, name)).filter(|changed| *changed != (site, name)) {
            let Site { dir, files } = &self.sites[changed];
            let kind = KINDS.iter().position(|kind| *kind == name).unwrap();
            std::fs::write(dir.join(name), files[kind].to_string()).unwrap();
        }
        let dir = &self.sites[site].dir;
        std::fs::write(dir.join(name), text).unwrap();
        dir.join(KINDS[0])
    }
}

/// The files of a configuration of one FSU with that template.
fn files_of(from: &Path, template: &[u8]) -> [Value; KINDS.len()] {
    let embedded = |path: &Path| {
        let file = embedded_files().into_iter().find(|(name, _)| *name == path);
        let (_, text) = file.unwrap_or_else(|| panic!("{} is not embedded", path.display()));
        serde_json::from_slice::<Value>(text).unwrap()
    };
    let template: Value = serde_json::from_slice(template).unwrap();
    let vendor = from.file_name().unwrap().to_str().unwrap();
    let transport = if template["protocol"]["transfer"].is_object() { "broadcast" } else { "udp" };
    let fsu = json!({"fsuname": "one", "fsuid": "31", "port": 0, "protocol_type": transport, "config_dir": "."});
    let mut vendors = embedded(Path::new("vendor.json"));
    vendors.as_array_mut().unwrap().retain(|entry| entry["vendor"] == vendor);
    let device =
        json!({"vendor": vendor, "sub_dev_type": "01", "sub_dev_addr": "01", "protocol_template": "protocol.json"});
    [
        json!({ "fsu_list": [fsu] }),
        json!({ "device_list": [device] }),
        vendors,
        template,
        embedded(&from.join("rules/default.json")),
    ]
}

/// The same files with few commands each, and their rules.
fn few_commands(files: &[Value; KINDS.len()]) -> Vec<[Value; KINDS.len()]> {
    let commands = files[3]["protocol"]["data_frame"].as_array().unwrap();
    let of = |few: &[Value]| {
        let mut files = files.clone();
        files[3]["protocol"]["data_frame"] = few.into();
        let has_rules = |key: &str| few.iter().any(|command| command["data_frame_type"] == key);
        files[4].as_object_mut().unwrap().retain(|key, _| key.starts_with('$') || has_rules(key));
        files
    };
    commands.chunks(COMMANDS).map(of).collect()
}

/// What compiled reads and answers its own samples.
fn serve(fleet: &Fleet) {
    let (fsus, devices, commands) = SERVED_MAX;
    for fsu in fleet.fsus.iter().take(fsus) {
        let (mut state, mut scratch) = (FsuState::new(fsu), Scratch::default());
        for device in fsu.devices.iter().take(devices) {
            let template = &device.template;
            for command in template.commands.iter().take(commands) {
                let wire = mended(template, &command.sample.to_vec());
                assert!(wire.len() <= framer::longest(template), "a sample longer than the longest request");
                framer::cut(template, &wire);
                answer(fsu, &mut state, &wire, &mut scratch, (device.sub_dev_type, device.sub_dev_addr));
            }
        }
    }
}

fn answer(fsu: &Fsu, state: &mut FsuState, wire: &[u8], scratch: &mut Scratch, address: (u8, u8)) {
    let mut datagram = wire.to_vec();
    if fsu.transport == Transport::Udp {
        let head = fsu_plan::wire::envelope::Head::request(&fsu.id.bytes, &[0; 8], address.0, address.1);
        if head.build(Some(wire), &mut datagram).is_err() {
            return;
        }
        fsu_plan::wire::envelope::escape_in_place(&mut datagram);
    }
    let mut turn = Turn { run: &RUN, fsu, state, scratch, moment: moment(0) };
    stage::on_request(&mut turn, datagram[..].into(), &mut Replies::default());
}
