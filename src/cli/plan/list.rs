//! `plan --list`: what there is in a configuration: FSUs, templates, and their commands.

use super::model::DeviceName;
use crate::describe;
use crate::text_out::{Shape, TextOut};
use fsu_plan::model::fleet::{Device, Fleet, Fsu};
use fsu_plan::model::template::Template;
use fsu_serve::fleet::ranges::Range;
use serde::Serialize;
use std::collections::HashSet;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;

/// All of it.
#[derive(Debug, Serialize)]
pub(super) struct List {
    fsus: Vec<FsuLine>,
    templates: Vec<TemplateLines>,
}

/// One FSU.
#[derive(Debug, Serialize)]
struct FsuLine {
    name: String,
    transport: &'static str,
    /// Empty where it only dials out.
    bind: String,
    /// Where it dials out to.
    #[serde(skip_serializing_if = "Option::is_none")]
    connect: Option<String>,
    /// The connections that it accepts, and those that it opens, are TLS.
    #[serde(skip_serializing_if = "is_none")]
    tls: [bool; 2],
    /// Hex.
    id: String,
    devices: Vec<DeviceName>,
    #[serde(skip)]
    address: SocketAddr,
}

/// One template, with what it is asked.
#[derive(Debug, Serialize)]
struct TemplateLines {
    template: String,
    /// FSUs that have a device with it.
    fsus: usize,
    commands: Vec<CommandLine>,
}

/// One command.
#[derive(Debug, Serialize)]
struct CommandLine {
    /// From 1, in file order.
    number: usize,
    key: String,
    /// What selects it among others of its key.
    selected_by: Vec<String>,
    /// Data-frame bytes of the request.
    request: String,
    /// Data-frame bytes of the reply.
    reply_len: usize,
    /// The fewest and the most rules that a device has for it.
    rules: [usize; 2],
}

impl List {
    /// Of these FSUs.
    pub(super) fn new<'a>(fsus: impl Iterator<Item = &'a Fsu> + Clone) -> Self {
        let mut templates: Vec<(&'a Arc<Template>, Vec<&'a Device>, usize)> = Vec::new();
        // FSUs of one entry share their devices.
        let mut known = HashSet::new();
        for fsu in fsus.clone() {
            let mut seen: Vec<*const Template> = Vec::new();
            for device in fsu.devices.iter() {
                let at = templates.iter().position(|(template, ..)| Arc::ptr_eq(template, &device.template));
                let at = at.unwrap_or_else(|| {
                    templates.push((&device.template, Vec::new(), 0));
                    templates.len() - 1
                });
                let (template, devices, fsus) = &mut templates[at];
                if known.insert(Arc::as_ptr(device)) {
                    devices.push(device);
                }
                if !seen.contains(&Arc::as_ptr(template)) {
                    seen.push(Arc::as_ptr(template));
                    *fsus += 1;
                }
            }
        }
        let lines = |(template, devices, fsus): (&Arc<Template>, Vec<&Device>, usize)| TemplateLines {
            template: template.path.to_string(),
            fsus,
            commands: commands(template, &devices),
        };
        Self { fsus: fsus.map(fsu_line).collect(), templates: templates.into_iter().map(lines).collect() }
    }

    /// As tables.
    pub(super) fn write(&self, out: &mut TextOut<'_>) -> io::Result<()> {
        let head = &["FSU", "many", "transport", "listens", "id", "device", "vendor", "template"];
        let fsus = Shape { head, right: &[1], said: &[] };
        out.table(&fsus, self.groups().iter().map(Group::row).collect(), 2)?;
        let head = &["#", "command", "request", "reply", "rules", "selected by"];
        let commands = Shape { head, right: &[0, 3, 4], said: &[2] };
        for template in &self.templates {
            writeln!(out, "\n{}", template.template)?;
            out.table(&commands, template.commands.iter().map(CommandLine::row).collect(), 2)?;
        }
        Ok(())
    }

    /// FSUs in a row that differ in nothing but the numbers of their names, ids and ports.
    fn groups(&self) -> Vec<Group<'_>> {
        let mut groups: Vec<Group<'_>> = Vec::new();
        for fsu in &self.fsus {
            match groups.last_mut() {
                Some(group) if group.goes_on_with(fsu) => (group.last, group.many) = (fsu, group.many + 1),
                _ => groups.push(Group { first: fsu, last: fsu, many: 1 }),
            }
        }
        groups
    }
}

/// FSUs that an entry with `count` makes.
struct Group<'a> {
    first: &'a FsuLine,
    last: &'a FsuLine,
    many: usize,
}

impl Group<'_> {
    fn goes_on_with(&self, fsu: &FsuLine) -> bool {
        let stem = |line: &FsuLine| line.name.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned();
        let next = self.last.address.port().checked_add(1);
        // Source addresses differ from one to the next.
        let only_dials = self.last.bind.is_empty() && fsu.bind.is_empty();
        let follows = (self.last.address.ip() == fsu.address.ip() || only_dials)
            && (next == Some(fsu.address.port()) || (self.last.address.port() == 0 && fsu.address.port() == 0));
        follows
            && self.last.transport == fsu.transport
            && (&self.last.connect, self.last.tls) == (&fsu.connect, fsu.tls)
            && self.last.devices == fsu.devices
            && stem(self.last) == stem(fsu)
            && stem(fsu).ends_with('_')
    }

    fn row(&self) -> Vec<String> {
        let Self { first, last, many } = self;
        let both = |one: &str, other: &str| if one == other { one.to_owned() } else { format!("{one} … {other}") };
        let range = || Range { first: first.address, last_port: last.address.port() }.to_string();
        let over = |way: usize| if first.tls[way] { " (TLS)" } else { "" };
        let listens = match &first.connect {
            Some(to) if first.bind.is_empty() => format!("to {to}{}", over(1)),
            Some(to) => format!("{}{}, to {to}{}", range(), over(0), over(1)),
            None => range() + over(0),
        };
        let of = |part: fn(&DeviceName) -> String| first.devices.iter().map(part).collect::<Vec<_>>().join("\n");
        vec![
            both(&first.name, &last.name),
            many.to_string(),
            first.transport.to_owned(),
            listens,
            both(&first.id, &last.id),
            of(|device| format!("{:02X}/{:02X}", device.sub_dev_type, device.sub_dev_addr)),
            of(|device| device.vendor.clone()),
            of(|device| device.template.clone()),
        ]
    }
}

impl CommandLine {
    fn row(&self) -> Vec<String> {
        let [least, most] = self.rules;
        let rules = if least == most { least.to_string() } else { format!("{least}-{most}") };
        let selected = self.selected_by.join("; ");
        vec![
            self.number.to_string(),
            self.key.clone(),
            self.request.clone(),
            self.reply_len.to_string(),
            rules,
            selected,
        ]
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_none(tls: &[bool; 2]) -> bool {
    *tls == [false; 2]
}

fn fsu_line(fsu: &Fsu) -> FsuLine {
    FsuLine {
        name: fsu.name.to_string(),
        transport: fsu.transport.name(),
        bind: if fsu.listens() { fsu.bind.to_string() } else { String::new() },
        connect: fsu.connect.as_ref().map(|connect| connect.to.to_string()),
        tls: [fsu.tls.is_some(), fsu.connect.as_ref().is_some_and(|connect| connect.tls.is_some())],
        id: fsu.id.to_string(),
        devices: fsu.devices.iter().map(|device| DeviceName::new(device)).collect(),
        address: fsu.bind,
    }
}

fn commands(template: &Template, devices: &[&Device]) -> Vec<CommandLine> {
    let line = |(number, command): (usize, &fsu_plan::model::template::Command)| {
        let rules = || devices.iter().map(|device| device.rules.get(number).map_or(0, |rules| rules.len()));
        CommandLine {
            number: number + 1,
            key: command.key_text.to_string(),
            selected_by: command.constants.iter().map(describe::constant).collect(),
            request: super::model::request_size(template, command),
            reply_len: command.response_len,
            rules: [rules().min().unwrap_or(0), rules().max().unwrap_or(0)],
        }
    };
    template.commands.iter().enumerate().map(line).collect()
}

/// Of a whole fleet.
pub(super) fn of(fleet: &Fleet) -> List {
    List::new(fleet.fsus.iter())
}
