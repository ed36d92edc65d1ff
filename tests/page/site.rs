//! A run with a control server.

use crate::harness::{Run, Tree, Udp, fsu};
use crate::wire::{meter, request, through};
use serde_json::{Value, json};

/// The id of the FSU `site`.
pub(crate) const ID: &str = "20250125";
const DEVICE: [u8; 2] = [1, 1];

/// The meter's rules: 01 reads a level, 05 remembers its tag, and there is an alarm that nothing but a trigger sends.
fn rules() -> Value {
    json!({
        "messages": {
            "alarm": {"frame": "03", "on": "trigger", "data": {"tag": "${arg(tag, '00AA')}$"}},
        },
        "01": {"data": {"level": 513}}, "02": {"timeout": true}, "03": {}, "05": {"set": {"mark": "#{tag}#"}},
    })
}

/// A run, and where its page is.
pub(crate) struct Site {
    pub(crate) run: Run,
    pub(crate) url: String,
    pub(crate) tree: Tree,
}

impl Site {
    /// One udp FSU, `site`.
    pub(crate) fn one(args: &[&str]) -> Self {
        Self::of(&[fsu("site", ID, "udp", &json!({}))], args)
    }

    /// These FSUs, on a free port.
    pub(crate) fn of(fsus: &[Value], args: &[&str]) -> Self {
        Self::start(fsus, &[&["--control", "127.0.0.1:0"], args].concat())
    }

    /// These FSUs, with the page at that address.
    pub(crate) fn at_address(fsus: &[Value], address: &str) -> Self {
        Self::start(fsus, &["--control", address])
    }

    fn start(fsus: &[Value], args: &[&str]) -> Self {
        let tree = Tree::new(fsus, &json!({}));
        tree.write("meter/rules/default.json", &rules().to_string());
        let run = Run::start(&tree, args);
        let url =
            run.said.iter().find_map(|line| line.strip_prefix("control: ")).expect("the control server's address");
        Self { url: url.trim_end_matches('/').to_owned(), run, tree }
    }

    /// The address of a view.
    pub(crate) fn at(&self, view: &str) -> String {
        format!("{}/#/{view}", self.url)
    }

    /// A centre of the FSU `site`: it has asked once.
    pub(crate) fn centre(&self) -> Centre {
        let centre = Centre(self.run.udp("site"));
        assert_eq!(centre.ask(&meter(1, 1, &[0, 7])), meter(1, 1, &[0, 7, 2, 1]));
        centre
    }
}

/// The other end of the FSU `site`.
pub(crate) struct Centre(Udp);

impl Centre {
    /// Sends a request of the meter.
    pub(crate) fn send(&self, inner: &[u8]) {
        self.0.send(&request(ID, DEVICE, inner));
    }

    /// The next frame of the meter.
    pub(crate) fn receive(&self) -> Vec<u8> {
        through(&self.0.receive())
    }

    /// Both.
    pub(crate) fn ask(&self, inner: &[u8]) -> Vec<u8> {
        self.send(inner);
        self.receive()
    }
}
