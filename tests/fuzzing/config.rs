//! A configuration in which one file is whatever it is: it compiles or is refused, and what compiles can serve.

use super::edit::edit;
use super::input::Input;
use super::shipped::{RUN, mended, moment};
use fsu_mock::codec::framer;
use fsu_mock::codec::reason::Reason;
use fsu_mock::config::diag::DIAGS_MAX;
use fsu_mock::config::load::Loader;
use fsu_mock::config::source::{Source, embedded_files};
use fsu_mock::plan::compile::compile;
use fsu_mock::plan::fleet::{Fleet, Fsu, Transport};
use fsu_mock::responder::state::FsuState;
use fsu_mock::responder::{Outgoing, Scratch, Sink, b_interface, datagram, stream};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::path::Path;

/// The kinds of file, as they are called here.
pub const KINDS: [&str; 5] =
    ["sys_config.json", "fsu_devices.json", "vendor.json", "protocol.json", "rules/default.json"];
/// What of a compiled fleet is served: FSUs, devices of each, commands of each.
const SERVED_MAX: (usize, usize, usize) = (4, 4, 8);

/// The vendor, the kind of file, then its text, or changes of the shipped one.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    TREE.with_borrow_mut(|tree| {
        let vendor = tree.vendors[input.pick(tree.vendors.len())].clone();
        let kind = input.pick(2 * KINDS.len());
        let name = KINDS[kind % KINDS.len()];
        let edited;
        let text = if kind < KINDS.len() {
            input.0
        } else {
            let mut file = tree.shipped(&vendor, name);
            edit(&mut file, input);
            edited = file.to_string();
            edited.as_bytes()
        };
        let main = tree.put(&vendor, name, text);
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

/// A directory for every shipped template, with a small configuration of one FSU each.
struct Tree {
    dir: tempfile::TempDir,
    vendors: Vec<String>,
    /// The file that is not as it was: its vendor, its name, and the text that it had.
    changed: Option<(String, &'static str, Vec<u8>)>,
}

impl Tree {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut vendors = vec![];
        for (path, text) in embedded_files() {
            let is_template = path.ends_with("protocol.json") || path.ends_with("template.json");
            let (true, Some(from)) = (is_template, path.parent()) else { continue };
            let vendor = from.file_name().unwrap().to_str().unwrap().to_owned();
            let below = |from: &Path| {
                embedded_files().into_iter().filter(move |(path, _)| path.starts_with(from)).collect::<Vec<_>>()
            };
            for (path, text) in below(from) {
                let to = dir.path().join(&vendor).join(path.strip_prefix(from).unwrap());
                std::fs::create_dir_all(to.parent().unwrap()).unwrap();
                std::fs::write(to, text).unwrap();
            }
            let own = dir.path().join(&vendor);
            let transfers = serde_json::from_slice::<Value>(text).unwrap()["protocol"]["transfer"].is_object();
            let transport = if transfers { "broadcast" } else { "udp" };
            let write = |name: &str, text: &[u8]| std::fs::write(own.join(name), text).unwrap();
            write("sys_config.json", json!({"fsu_list": [{"fsuname": "one", "fsuid": "31", "port": 0, "protocol_type": transport, "config_dir": "."}]}).to_string().as_bytes());
            write("fsu_devices.json", json!({"device_list": [{"vendor": vendor, "sub_dev_type": "01", "sub_dev_addr": "01", "protocol_template": "protocol.json"}]}).to_string().as_bytes());
            write("protocol.json", text);
            let shared = embedded_files().into_iter().find(|(path, _)| *path == Path::new("vendor.json"));
            write("vendor.json", shared.expect("vendor.json").1);
            vendors.push(vendor);
        }
        assert!(vendors.len() >= 7, "a template is missing");
        Self { dir, vendors, changed: None }
    }

    /// A file as it was.
    fn shipped(&mut self, vendor: &str, name: &str) -> Value {
        let text = match &self.changed {
            Some((changed, file, text)) if (changed.as_str(), *file) == (vendor, name) => text.clone(),
            _ => std::fs::read(self.dir.path().join(vendor).join(name)).unwrap(),
        };
        serde_json::from_slice(&text).unwrap()
    }

    /// Writes one file; every other one is as it was. The main file.
    fn put(&mut self, vendor: &str, name: &'static str, text: &[u8]) -> std::path::PathBuf {
        let path = |vendor: &str, name: &str| self.dir.path().join(vendor).join(name);
        if let Some((vendor, name, text)) = self.changed.take() {
            std::fs::write(path(&vendor, name), text).unwrap();
        }
        let before = std::fs::read(path(vendor, name)).unwrap();
        std::fs::write(path(vendor, name), text).unwrap();
        self.changed = Some((vendor.to_owned(), name, before));
        self.dir.path().join(vendor).join("sys_config.json")
    }
}

#[derive(Default)]
struct Nothing;

impl Sink for Nothing {
    fn send(&mut self, _: Outgoing, _: i64, _: &[u8]) {}
    fn received(&mut self, _: &[u8], _: Option<Reason>) {}
    fn note(&mut self, _: Reason, _: &[u8]) {}
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
    let now = moment(0);
    match fsu.transport {
        Transport::Tcp => drop(stream::on_bytes(&RUN, fsu, state, wire, now, scratch, &mut Nothing)),
        Transport::Broadcast => drop(datagram::on_datagram(&RUN, fsu, state, wire, now, scratch, &mut Nothing)),
        Transport::Udp => {
            let head = fsu_mock::codec::outer::Head::request(&fsu.id.bytes, &[0; 8], address.0, address.1);
            let (mut framed, mut escaped) = (vec![], vec![]);
            if head.build(Some(wire), &mut framed).is_ok() {
                let datagram = fsu_mock::codec::outer::escape(&framed, &mut escaped).to_vec();
                b_interface::on_datagram(&RUN, fsu, state, &datagram, now, scratch, &mut Nothing);
            }
        }
    }
}
