//! How many times its request a reply is, at most: what a forged sender's address could turn on somebody.

use crate::plan::fleet::{Device, Fleet, Transport};
use crate::plan::template::{Command, Encoding, Template};
use std::collections::HashSet;
use std::sync::Arc;

/// Bytes that an outer frame has beside the through data (spec b-interface.md, Layout).
const OUTER_BYTES: usize = 40;

/// The worst command of a fleet.
#[derive(Clone, Debug, PartialEq)]
pub struct Worst {
    /// Bytes of its largest reply over those of its smallest request, before escaping.
    pub factor: f64,
    /// Its key.
    pub command: String,
    /// An FSU that has it.
    pub fsu: String,
}

/// The worst command over UDP; `None`: there is none over UDP. Each device that FSUs share is looked at once.
pub fn worst(fleet: &Fleet) -> Option<Worst> {
    let mut seen = HashSet::new();
    let mut worst: Option<Worst> = None;
    for fsu in fleet.fsus.iter().filter(|fsu| fsu.transport != Transport::Tcp) {
        let outer_bytes = if fsu.transport == Transport::Udp { OUTER_BYTES } else { 0 };
        for device in fsu.devices.iter().filter(|device| seen.insert((Arc::as_ptr(device), outer_bytes))) {
            for (number, command) in device.template.commands.iter().enumerate() {
                let Some(factor) = factor(device, number, command, outer_bytes) else { continue };
                if worst.as_ref().is_none_or(|worst| factor > worst.factor) {
                    let (command, fsu) = (command.key_text.to_string(), fsu.name.to_string());
                    worst = Some(Worst { factor, command, fsu });
                }
            }
        }
    }
    worst
}

fn factor(device: &Device, number: usize, command: &Command, outer_bytes: usize) -> Option<f64> {
    let template = &*device.template;
    let rules = device.rules.get(number)?.iter().filter(|rule| !rule.timeout);
    let reply = rules.flat_map(|rule| rule.replies.iter()).map(|reply| reply.frame.len()).max()?;
    let around = template.left_len + template.tail_len;
    let request = around + template.data_len_fixed.unwrap_or(command.request_len);
    // The first data frame follows unasked.
    let unasked = template.transfer.as_ref().map_or(0, |transfer| around + transfer.chunk_bytes);
    let asked_bytes = outer_bytes + on_wire(template, request);
    let answered_bytes = outer_bytes + on_wire(template, reply) + unasked;
    Some(answered_bytes as f64 / asked_bytes.max(1) as f64)
}

/// Bytes of a raw frame of that size as it travels.
fn on_wire(template: &Template, bytes: usize) -> usize {
    match template.encoding {
        Encoding::Binary => bytes,
        Encoding::AsciiHex => {
            let ends = template.start.len() + template.end.len();
            bytes.saturating_sub(ends) * 2 + ends
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::Loader;
    use crate::config::source::Source;
    use crate::plan::compile::compile;
    use std::path::Path;

    #[test]
    fn the_example_of_the_documents() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples/meter/sys_config.json");
        let mut fleet = compile(&mut Loader::new(Source::Directory), &path).expect("it compiles");
        let found = worst(&fleet).expect("it has an FSU over UDP");
        assert!(found.factor >= 1.0 && found.factor < 10.0, "{found:?}");
        fleet.fsus.retain(|fsu| fsu.transport == Transport::Tcp);
        assert_eq!(worst(&fleet), None);
    }
}
