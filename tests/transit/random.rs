//! Random templates, frames and splits, against the specification.

use super::any;
use super::*;
use proptest::prelude::*;

/// How frames of a random template travel.
#[derive(Clone, Debug)]
struct Transit {
    change: Option<(u8, u8)>,
    /// Bytes of a block, and whether the last checksum is a field.
    blocks: Option<(usize, bool)>,
    hex: bool,
    /// Start, end, escapes, preamble.
    envelope: Option<Envelope>,
    over_wire: bool,
}

/// Start, end, escapes, preamble.
type Envelope = (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static str);

const ENVELOPES: [Envelope; 5] = [
    ("7E", "7E", &[("7D", "7D01"), ("7E", "7D02")], ""),
    ("7E", "7E", &[("7D", "7D5D"), ("7E", "7D5E")], "FEFE"),
    ("1002", "1003", &[("10", "1010")], ""),
    ("5B", "5D", &[("5B", "5A01"), ("5A", "5A02"), ("5D", "5E01"), ("5E", "5E02")], "AA"),
    ("7E", "", &[], "FEFE"),
];

impl Transit {
    /// `cmd n data.. [bcc] crc`, in an envelope or behind 68.
    fn template(&self) -> Value {
        let mut checksum = json!([{"field": "crc", "algorithm": "crc16"}]);
        if self.over_wire {
            checksum[0]["over"] = json!("wire");
        }
        let mut tail = vec![];
        if let Some((every, in_field)) = self.blocks {
            let mut entry = json!({"blocks": every, "algorithm": "xor"});
            if in_field {
                entry["field"] = json!("bcc");
                tail.push(json!({"name": "bcc", "length": 1}));
            }
            checksum.as_array_mut().unwrap().push(entry);
        }
        tail.push(json!({"name": "crc", "length": 2}));
        let mut left = vec![json!({"name": "cmd", "length": 1}), json!({"name": "n", "length": 2, "type": "length"})];
        let mut protocol = json!({"data_frame_type_flag": "cmd", "checksum": checksum, "pdu_tailer": tail});
        if let Some((add, xor)) = self.change {
            protocol["data_transform"] = json!({"add": format!("{add:02X}"), "xor": format!("{xor:02X}")});
        }
        match self.envelope {
            Some((start, end, escape, preamble)) => {
                let mut envelope = json!({"start": start});
                for (key, value) in [("end", end), ("preamble", preamble)] {
                    if !value.is_empty() {
                        envelope[key] = json!(value);
                    }
                }
                for (byte, value) in escape {
                    envelope["escape"][byte] = json!(value);
                }
                protocol["envelope"] = envelope;
            }
            None => left.insert(0, json!({"name": "start", "length": 1, "value": "68"})),
        }
        if self.hex {
            protocol["encoding"] = json!("ascii_hex");
        }
        protocol["pdu_left"] = json!(left);
        protocol["data_frame"] = json!([{"data_frame_type": "01", "req_data_list": any(), "resp_data_list": any()}]);
        json!({"vendor": "v", "rule_file_list": ["./rules/default.json"], "protocol": protocol})
    }

    /// A frame with this data as it travels, straight from the specification.
    fn wire(&self, data: &[u8]) -> Vec<u8> {
        let (start, end, escape, preamble) = self.envelope.unwrap_or(("68", "", &[], ""));
        let (start, end) = (bytes(start), bytes(end));
        let header = [&[0x01], &(data.len() as u16).to_be_bytes()[..]].concat();
        let changed: Vec<u8> = match self.change {
            Some((add, xor)) => data.iter().map(|byte| byte.wrapping_add(add) ^ xor).collect(),
            None => data.to_vec(),
        };
        let xor = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum ^ byte);
        let mut inside = vec![];
        let mut bcc = vec![];
        match self.blocks {
            None => inside.extend(&changed),
            Some((every, in_field)) => {
                let last = data.len().div_ceil(every).saturating_sub(1);
                for (number, (plain, changed)) in data.chunks(every).zip(changed.chunks(every)).enumerate() {
                    inside.extend(changed);
                    if number == last && in_field { bcc = vec![xor(plain)] } else { inside.push(xor(plain)) }
                }
                if in_field && data.is_empty() {
                    bcc = vec![0];
                }
            }
        }
        let encode = |raw: &[u8]| if self.hex { hex(raw).into_bytes() } else { raw.to_vec() };
        let spanned = if self.over_wire {
            encode(&[&header[..], &inside, &bcc].concat())
        } else {
            [&header[..], data, &bcc].concat()
        };
        let crc = (naive::checksum::crc("CRC-16/MODBUS", &spanned) as u16).to_be_bytes();
        let body = encode(&[&header[..], &inside, &bcc, &crc].concat());
        let escaped = body.iter().flat_map(|byte| {
            let value = escape.iter().find(|(key, _)| bytes(key) == [*byte]);
            value.map_or(vec![*byte], |(_, value)| bytes(value))
        });
        [bytes(preamble), start, escaped.collect(), end].concat()
    }
}

fn transits() -> impl Strategy<Value = Transit> {
    let change = proptest::option::of((any_byte(), any_byte()));
    let blocks = proptest::option::of((1_usize..5, proptest::bool::ANY));
    let envelope = proptest::option::of(proptest::sample::select(&ENVELOPES[..]));
    (change, blocks, proptest::bool::ANY, envelope, proptest::bool::ANY).prop_map(
        |(change, blocks, hex, envelope, over_wire)| Transit {
            // In hex characters there are no blocks; nothing travels otherwise than it is if nothing is changed.
            hex: hex && blocks.is_none(),
            over_wire: over_wire && (change.is_some() || blocks.is_some() || hex),
            change,
            blocks,
            envelope,
        },
    )
}

/// Often one that means something to an envelope.
fn any_byte() -> impl Strategy<Value = u8> {
    let special =
        proptest::sample::select(&[0x7E_u8, 0x7D, 0x10, 0x02, 0x03, 0x5A, 0x5B, 0x5D, 0x5E, 0xFE, 0xAA, 0x68, 0][..]);
    prop_oneof![special, proptest::num::u8::ANY]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// A request and its reply travel as the specification says; a good frame among garbage is answered, however the stream is split.
    #[test]
    fn random_transits(
        transit in transits(),
        frames in proptest::collection::vec((proptest::collection::vec(any_byte(), 0..9), proptest::collection::vec(any_byte(), 0..4)), 1..4),
        splits in proptest::collection::vec(0..60_usize, 0..4),
    ) {
        let template = transit.template();
        let mut expected = vec![];
        let mut all = vec![];
        for (data, garbage) in &frames {
            let wire = transit.wire(data);
            prop_assert_eq!(answer(&template, &hex(&wire)), hex(&wire), "{}", template);
            all.extend(garbage);
            all.extend(&wire);
            expected.push(hex(&wire));
        }
        let mut splits: Vec<usize> = splits.into_iter().map(|at| at.min(all.len())).collect();
        splits.sort_unstable();
        let (sent, _) = stream(&fleet(&template, Verify::Strict), &all, &splits);
        // Garbage may be a good frame by itself.
        let mut sent = sent.iter();
        for wire in &expected {
            prop_assert!(sent.any(|got| got == wire), "{} of {} in {}", wire, hex(&all), template);
        }
    }
}
