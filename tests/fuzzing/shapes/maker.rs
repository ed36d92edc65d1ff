//! Random templates, and values for their fields.

use super::super::input::Input;
use crate::naive::fields::{hex, name};
use serde_json::{Map, Value, json};

/// A template with one command, perhaps another layout with one, and the rules' values.
#[derive(Debug)]
pub struct Made {
    pub template: Value,
    pub(super) rules: Value,
    /// The template's own layout, and the other one.
    pub(super) layouts: Vec<Laid>,
    pub(super) is_stream: bool,
}

/// A layout with one command.
#[derive(Debug)]
pub(super) struct Laid {
    /// As `protocol` of a template.
    pub(super) protocol: Value,
    /// The values that the rule gives.
    pub(super) reply: Value,
    /// Those of the next rule, where the first one does not apply.
    pub(super) other: Value,
    /// The condition, as an object, where there is one: the request's field and its value.
    pub(super) when: Option<(String, Value)>,
}

/// Makes templates and values.
pub(super) struct Maker<'i, 'b> {
    pub(super) input: &'i mut Input<'b>,
    pub(super) names: usize,
    /// Fields of the data frame may be changed, one by one.
    pub(super) has_changes: bool,
    /// The envelope shows where a frame ends.
    pub(super) has_escapes: bool,
    /// The reply's list that has an item for each of the request's: its name, and what the rule says.
    each: Option<(String, Value)>,
}

impl<'i, 'b> Maker<'i, 'b> {
    pub(super) fn new(input: &'i mut Input<'b>) -> Self {
        Self { input, names: 0, has_changes: true, has_escapes: false, each: None }
    }

    fn one(&mut self, of: &[&str]) -> String {
        (*self.input.one(of)).to_owned()
    }

    fn chance(&mut self, of: usize) -> bool {
        self.input.pick(100) >= 100 - of
    }

    fn name(&mut self, what: &str) -> String {
        self.names += 1;
        format!("{what}{}", self.names)
    }

    pub(super) fn template(&mut self) -> Made {
        let is_stream = self.chance(40);
        let mut protocol = json!({"dynamic_length": true, "data_frame_type_flag": "cmd"});
        self.has_escapes = is_stream || self.chance(30);
        if self.has_escapes {
            let mut envelope = self
                .input
                .one(&[
                    json!({"start": "7E", "end": "7E", "escape": {"7D": "7D01", "7E": "7D02"}}),
                    json!({"start": "68", "end": "16", "escape": {"68": "1B01", "16": "1B02", "1B": "1B03"}}),
                    json!({"start": "C0", "end": "C0", "escape": {"C0": "DBDC", "DB": "DBDD"}}),
                ])
                .clone();
            if self.chance(20) {
                envelope["preamble"] = json!("FEFE");
                envelope["skip"] = json!("FE");
            }
            protocol["envelope"] = envelope;
        }
        if self.chance(20) {
            self.has_changes = false;
            protocol["data_transform"] = self.change();
        }
        let (mut left, mut tail) = (vec![], vec![]);
        if !self.has_escapes {
            left.push(json!({"name": "start", "length": 2, "value": "55AA"}));
        }
        left.push(json!({"name": "cmd", "length": 1 + self.input.pick(2)}));
        let cmd = "31".repeat(left.last().unwrap()["length"].as_u64().unwrap() as usize);
        if self.chance(50) {
            left.push(json!({"name": "hx", "length": 2, "type": self.one(&["hex", "uint", "bcd"])}));
            if self.chance(20) {
                left.last_mut().unwrap()["transform"] = self.change();
            }
        }
        if self.chance(30) {
            left.push(json!({"name": "ver", "length": 1, "value": "10", "match": true}));
        }
        let has_changes = left.iter().any(|field| field["transform"].is_object());
        if self.chance(60) {
            let (kind, length) = *self.input.one(&[("length", 2), ("dec", 5), ("hexdigits", 4), ("bcd", 3)]);
            let mut field = json!({"name": "len", "type": kind, "length": length, "of": ["data_frame"]});
            if kind == "length" && self.chance(30) {
                field["endian"] = json!("little");
            }
            if self.chance(30) {
                field["add"] = json!(self.input.pick(4));
            }
            left.push(field);
        }
        let mut sums = vec![];
        let varies = !protocol["data_transform"].is_object() && self.chance(15);
        if self.chance(20) && !has_changes && !varies {
            left.push(json!({"name": "hcs", "length": 1}));
            sums.push(json!({"field": "hcs", "algorithm": "sum", "to": left[left.len() - 2]["name"]}));
        }
        let has_blocks = self.chance(15) && self.has_changes && !varies;
        if varies {
            left.extend(self.varying());
        }
        if has_blocks {
            self.has_changes = false;
            let algorithm = self.one(&["crc16", "sum", "crc:CRC-16/XMODEM"]);
            sums.push(json!({"blocks": 3 + self.input.pick(14), "algorithm": algorithm, "endian": self.one(&["big", "little"])}));
        }
        if self.chance(30) {
            tail.push(json!({"name": "tx", "length": 1}));
        }
        let request = self.fields(2, true);
        let response = self.response(&request);
        let changes = has_changes
            || protocol["data_transform"].is_object()
            || [&request, &response].iter().any(|list| json!(list).to_string().contains("transform"));
        if self.chance(70) && !has_blocks {
            let (mut sum, field) = self.sum(changes);
            sum["field"] = json!("crc");
            tail.push(field);
            sums.push(sum);
        }
        if self.chance(40) && !self.has_escapes {
            tail.push(json!({"name": "end", "length": 1, "value": "0D"}));
        }
        if !sums.is_empty() {
            protocol["checksum"] = if sums.len() == 1 { sums.remove(0) } else { json!(sums) };
        }
        protocol["pdu_left"] = left.into();
        protocol["pdu_tailer"] = tail.into();
        protocol["data_frame"] =
            json!([{"data_frame_type": cmd, "req_data_list": request, "resp_data_list": response}]);
        let (own, own_rules) = self.rules(protocol.clone(), &request, &response);
        let mut template = json!({"vendor": "v", "rule_file": "default.json", "protocol": protocol});
        let mut rules = json!({cmd: own_rules});
        let mut layouts = vec![own];
        if self.chance(20) {
            let (other, other_rules) = self.layout(&protocol);
            let mut written = other.protocol.clone();
            for shared in ["envelope", "data_transform"] {
                written.as_object_mut().unwrap().shift_remove(shared);
            }
            template["frames"] = json!({"x": written});
            rules["x/3232"] = other_rules;
            layouts.push(other);
        }
        Made { template, rules, layouts, is_stream }
    }

    /// The rules of a layout's command.
    fn rules(&mut self, protocol: Value, request: &[Value], response: &[Value]) -> (Laid, Value) {
        let reply = self.reply(request, response);
        let when = self.when(request);
        let mut rule = json!({"data": reply});
        if let Some((path, value)) = &when {
            rule["when"] = Map::from_iter([(path.clone(), value.clone())]).into();
        }
        let other = self.values(response, &mut vec![]);
        let rules = json!([rule, {"data": other}]);
        (Laid { protocol, reply, other, when }, rules)
    }

    /// Another layout: a key of two bytes, and a checksum of its own.
    fn layout(&mut self, own: &Value) -> (Laid, Value) {
        let mut protocol = json!({"dynamic_length": true, "data_frame_type_flag": "cmd"});
        for shared in ["envelope", "data_transform"] {
            if own[shared].is_object() {
                protocol[shared] = own[shared].clone();
            }
        }
        let (mut left, mut tail) = (vec![json!({"name": "cmd", "length": 2})], vec![]);
        if !self.has_escapes {
            left.insert(0, json!({"name": "start", "length": 1, "value": "A5"}));
        }
        let (request, is_changed) = (self.fields(1, true), own["data_transform"].is_object());
        self.each = None;
        let response = self.response(&request);
        let changes = is_changed || json!([request, response]).to_string().contains("transform");
        if self.chance(60) {
            let (mut sum, field) = self.sum(changes);
            sum["field"] = json!("crc");
            tail.push(field);
            protocol["checksum"] = sum;
        }
        (protocol["pdu_left"], protocol["pdu_tailer"]) = (left.into(), tail.into());
        protocol["data_frame"] =
            json!([{"data_frame_type": "3232", "req_data_list": request, "resp_data_list": response}]);
        self.rules(protocol, &request, &response)
    }

    /// What of a header varies, behind what does not.
    fn varying(&mut self) -> Vec<Value> {
        let mut out = if self.chance(50) {
            vec![json!({"name": "hv", "type": self.one(&["str", "hex"]), "until": "7C", "max": 10})]
        } else {
            vec![
                json!({"name": "hn", "length": 1, "type": "uint"}),
                json!({"name": "hv", "type": self.one(&["str", "hex"]), "length": {"field": "hn"}, "max": 20}),
            ]
        };
        if self.chance(50) {
            out.push(json!({"name": "hw", "length": 1}));
        }
        out
    }

    fn change(&mut self) -> Value {
        self.input.one(&[json!({"add": "33"}), json!({"xor": "55"}), json!({"add": "01", "xor": "F0"})]).clone()
    }

    /// A checksum and its field.
    fn sum(&mut self, changes: bool) -> (Value, Value) {
        let free = json!({"width": 16, "poly": "8005", "init": "FFFF", "refin": true, "xorout": "0001"});
        let high = json!({"width": 16, "poly": "8005", "init": "FFFF", "refin": true, "shift": "high"});
        let wide = json!({"width": 24, "poly": "864CFB", "init": "B704CE", "refin": false});
        let (algorithm, length) = self
            .input
            .one(&[
                (json!("sum"), 1),
                (json!("xor"), 1),
                (json!("lrc"), 1),
                (json!("sum16"), 2),
                (json!("ones16"), 2),
                (json!("xor16"), 2),
                (json!("crc16"), 2),
                (free, 2),
                (high, 2),
                (wide, 3),
                (json!("sum_xor"), 1),
                (json!("crc:CRC-32/ISO-HDLC"), 4),
            ])
            .clone();
        let mut sum = json!({"algorithm": algorithm});
        if ["sum16", "ones16", "xor16"].iter().any(|words| algorithm == *words) && self.chance(50) {
            sum["endian"] = json!("little");
        }
        if ["sum", "ones16", "sum16"].iter().any(|with| algorithm == *with) && self.chance(40) {
            sum["complement"] = json!(self.one(&["ones", "twos"]));
        }
        if changes || self.chance(10) {
            sum["over"] = json!("wire");
        }
        let mut field = json!({"name": "crc", "length": length});
        match self.input.pick(4) {
            1 => field["endian"] = json!("little"),
            2 if length <= 2 => field = json!({"name": "crc", "type": "hexdigits", "length": 2 * length}),
            _ => {}
        }
        (sum, field)
    }

    /// A field of fixed size.
    fn plain(&mut self) -> Value {
        let mut field = self
            .input
            .one(&[
                json!({"length": 2}),
                json!({"length": 1, "enum": {"00": "closed", "01": "open"}}),
                json!({"length": 2, "endian": "little"}),
                json!({"type": "uint", "length": 2}),
                json!({"type": "int", "length": 2, "endian": "little"}),
                json!({"type": "bcd", "length": 2}),
                json!({"type": "dec", "length": 3}),
                json!({"type": "hexdigits", "length": 4}),
                json!({"type": "sbcd", "length": 2}),
                json!({"type": "str", "length": 6}),
                json!({"type": "str", "length": 6, "pad": " "}),
                json!({"type": "str", "length": 6, "charset": "gbk"}),
                json!({"type": "str", "length": 6, "charset": "utf-16le"}),
                json!({"type": "str", "length": 4, "charset": "iso-8859-1"}),
                json!({"type": "epoch", "length": 4}),
                json!({"type": "epoch", "length": 8, "unit": "ms", "endian": "little"}),
                json!({"type": "epoch", "length": 4, "offset_h": 8}),
                json!({"type": "cp56time2a", "length": 7}),
                json!({"type": "uint", "length": 1, "scale": 0.5, "offset": -40}),
                json!({"type": "int", "length": 2, "scale": 0.1}),
                json!({"type": "bcd", "length": 2, "scale": 0.25}),
                json!({"type": "dec", "length": 4, "scale": 0.1, "offset": 1.5}),
                json!({"type": "sbcd", "length": 2, "scale": 0.1}),
                json!({"type": "hexdigits", "length": 3, "scale": 2}),
                json!({"type": "uint", "length": 1, "enum": {"1": "one", "2": "two"}}),
                json!({"type": "f32", "length": 4}),
                json!({"type": "bit", "length": 1, "bits": {"low": [0, 2], "mid": [3, 6], "one": [7, 7]}}),
            ])
            .clone();
        field["name"] = json!(self.name("p"));
        if self.has_changes && field["type"] != "bit" && self.chance(5) {
            field["transform"] = self.change();
        }
        field
    }

    /// A field that says how much follows.
    fn counter(&mut self, name: &str) -> Value {
        let mut field = self
            .input
            .one(&[
                json!({"type": "uint", "length": 1}),
                json!({"type": "uint", "length": 2, "endian": "little"}),
                json!({"type": "dec", "length": 2}),
                json!({"type": "hexdigits", "length": 2}),
                json!({"type": "bcd", "length": 1}),
                json!({"length": 1}),
                json!({"type": "bit", "length": 1, "bits": {"flag": [0, 2], "size": [3, 7]}}),
                json!({"type": "bit", "length": 2, "endian": "little", "bits": {"size": [4, 9], "flag": [10, 12]}}),
            ])
            .clone();
        field["name"] = json!(name);
        field
    }

    /// What refers to such a field.
    fn by(counter: &Value) -> Value {
        let name = name(counter);
        if counter["type"] == "bit" { json!({"field": format!("{name}.size")}) } else { json!({"field": name}) }
    }

    /// Fields of one block; `may_rest`: what is left is known.
    fn fields(&mut self, depth: usize, may_rest: bool) -> Vec<Value> {
        let mut out = vec![];
        for _ in 0..1 + self.input.pick(3) {
            let number = self.name("n");
            match self.input.pick(if depth > 0 { 9 } else { 5 }) {
                0..=2 => out.push(self.plain()),
                3 => {
                    let (times, add) = *self.input.one(&[(1, 0), (2, 0), (1, -1), (1, 2), (2, 1)]);
                    let counter = self.counter(&number);
                    let mut by = Self::by(&counter);
                    if (times, add) != (1, 0) {
                        (by["times"], by["add"]) = (json!(times), json!(add));
                    }
                    let kind = self.one(&["hex", "str", "dec", "hexdigits", "bcd"]);
                    out.extend([counter, json!({"name": self.name("v"), "type": kind, "length": by, "max": 20})]);
                }
                4 => {
                    let (until, kind) = (self.one(&["7C", "0D0A", "7C7C"]), self.one(&["hex", "str", "dec"]));
                    out.push(json!({"name": self.name("u"), "type": kind, "until": until, "max": 10}));
                }
                5 | 6 => {
                    let items = self.fields(depth - 1, false);
                    let name = self.name("l");
                    if self.chance(25) {
                        out.push(
                            json!({"name": name, "type": "list", "count": 1 + self.input.pick(2), "items": items}),
                        );
                    } else {
                        let counter = self.counter(&number);
                        let by = Self::by(&counter);
                        out.extend([
                            counter,
                            json!({"name": name, "type": "list", "count": by, "max": 5, "items": items}),
                        ]);
                    }
                }
                7 => {
                    let bits = self.name("b");
                    let (yes, no) =
                        (self.fields(depth - 1, false), if self.chance(50) { vec![] } else { self.fields(0, false) });
                    out.extend([
                        json!({"name": bits, "type": "bit", "length": 1, "bits": {"has": [0, 0], "rest": [1, 7]}}),
                        json!({"name": self.name("c"), "type": "choice", "by": format!("{bits}.has"), "cases": {"1": yes, "else": no}}),
                    ]);
                }
                _ => {
                    let tag = self.name("t");
                    let spec = self
                        .input
                        .one(&[
                            json!({"length": 1}),
                            json!({"type": "uint", "length": 1}),
                            json!({"type": "dec", "length": 2}),
                        ])
                        .clone();
                    let mut spec = spec;
                    spec["name"] = json!(tag);
                    let is_bounded = self.chance(60);
                    let cases =
                        json!({"01": self.fields(depth - 1, is_bounded), "02": self.fields(depth - 1, is_bounded)});
                    let mut cases = cases;
                    if self.chance(50) {
                        cases["else"] = self.fields(0, is_bounded).into();
                    }
                    let mut choice = json!({"name": self.name("c"), "type": "choice", "by": tag, "cases": cases});
                    out.push(spec);
                    if is_bounded {
                        choice["bytes"] = json!({"field": number});
                        out.push(json!({"name": number, "type": "uint", "length": 2}));
                    }
                    out.push(choice);
                }
            }
        }
        if may_rest && self.chance(40) {
            match self.input.pick(3) {
                0 => out.push(json!({"name": self.name("r"), "length": "rest"})),
                1 => out.push(json!({"name": self.name("r"), "type": "str", "length": "rest"})),
                _ => {
                    let items = vec![self.plain(), self.plain()];
                    out.push(json!({"name": self.name("r"), "type": "list", "count": "rest", "items": items}));
                }
            }
            if self.chance(40) {
                out.push(self.plain());
            }
        }
        out
    }

    /// The reply's fields: own ones, and some of the request's.
    fn response(&mut self, request: &[Value]) -> Vec<Value> {
        let mut out = vec![];
        for field in request {
            let is_fixed = field["length"].is_number() && !["list", "choice"].iter().any(|nest| field["type"] == *nest);
            let counts = json!(request).to_string().contains(&format!("\"{}\"}}", field["name"].as_str().unwrap()))
                || name(field).starts_with(['n', 'b', 't']);
            if is_fixed && !counts && self.chance(50) {
                let mut copy = field.clone();
                copy["name"] = json!(format!("copy_{}", name(field)));
                out.push(copy);
            }
        }
        out.extend(self.each(request));
        out.extend(self.fields(2, true));
        out
    }

    /// A list with an item for each of a list of the request: copies by name and by reference, and fields of its own.
    fn each(&mut self, request: &[Value]) -> Vec<Value> {
        let listed = |field: &&Value| field["type"] == "list" && field["count"].is_object();
        let Some(list) = request.iter().find(listed).filter(|_| self.chance(40)) else { return vec![] };
        let (mut items, mut data) = (vec![], Map::new());
        for field in list["items"].as_array().unwrap() {
            let is_copied = name(field).starts_with('p') && field["type"] != "bit" && field["type"] != "f32";
            if !is_copied || self.chance(30) {
                continue;
            }
            let mut copy = field.clone();
            if self.chance(50) {
                copy["name"] = json!(format!("of_{}", name(field)));
                data.insert(name(&copy), json!(format!("#{{item.{}}}#", name(field))));
            }
            items.push(copy);
        }
        let own = self.plain();
        if self.chance(70) {
            data.insert(name(&own), self.value(&own));
        }
        items.push(own);
        let number = self.name("n");
        let counter = self.counter(&number);
        let (by, each) = (Self::by(&counter), self.name("e"));
        self.each = Some((each.clone(), json!({"each": format!("#{{{}}}#", name(list)), "data": data})));
        vec![counter, json!({"name": each, "type": "list", "count": by, "max": 5, "items": items})]
    }

    /// The rule's values of a reply: constants, and references to the request's fields of the same shape.
    fn reply(&mut self, request: &[Value], response: &[Value]) -> Value {
        let mut out = self.values(response, &mut vec![]);
        for field in request {
            let copy = format!("copy_{}", name(field));
            if out.get(&copy).is_some() {
                out[copy] = json!(format!("#{{{}}}#", name(field)));
            }
        }
        out
    }

    /// A condition on a field of fixed size.
    fn when(&mut self, request: &[Value]) -> Option<(String, Value)> {
        let field = request
            .iter()
            .find(|field| name(field).starts_with('p') && field["type"] != "bit" && field["type"] != "f32")?;
        self.chance(40).then(|| (name(field), self.value(field)))
    }

    /// Values for fields; those that are computed are left out.
    pub(super) fn values(&mut self, list: &[Value], tags: &mut Vec<(String, String)>) -> Value {
        let mut out = Map::new();
        for field in list {
            let name = name(field);
            let value = match field["type"].as_str() {
                _ if name.starts_with('n') && field["type"] == "bit" && self.chance(50) => {
                    json!({"flag": self.input.pick(8)})
                }
                _ if name.starts_with('n') => continue,
                Some("list") if self.each.as_ref().is_some_and(|(each, _)| *each == name) => {
                    self.each.as_ref().unwrap().1.clone()
                }
                Some("list") => {
                    let items = field["items"].as_array().unwrap();
                    let many = field["count"].as_u64().map_or_else(|| self.input.pick(4), |many| many as usize);
                    (0..many).map(|_| self.values(items, tags)).collect::<Vec<_>>().into()
                }
                Some("choice") => {
                    let by = field["by"].as_str().unwrap();
                    let key = tags.iter().rev().find(|(known, _)| known == by).unwrap().1.clone();
                    let case = field["cases"].get(&key).or(field["cases"].get("else"));
                    case.map_or(json!({}), |case| self.values(case.as_array().unwrap(), tags))
                }
                _ if name.starts_with('b') => {
                    let has = self.input.pick(2);
                    tags.push((format!("{name}.has"), has.to_string()));
                    json!({"has": has, "rest": self.input.pick(128)})
                }
                _ if name.starts_with('t') => {
                    let tag = self.one(&["01", "02"]);
                    tags.push((name.clone(), tag.clone()));
                    if field["type"] == "uint" { json!(tag.parse::<u8>().unwrap()) } else { json!(tag) }
                }
                // Without a value it has its own, or zeros.
                _ if name.starts_with('p') && self.chance(8) => continue,
                _ => self.value(field),
            };
            out.insert(name, value);
        }
        out.into()
    }

    fn digits(&mut self, many: usize, of: &str) -> String {
        (0..many).map(|_| char::from(of.as_bytes()[self.input.pick(of.len())])).collect()
    }

    /// A value of a field in the notation that reading it gives.
    fn value(&mut self, field: &Value) -> Value {
        let size = match &field["length"] {
            Value::Number(size) => size.as_u64().unwrap() as usize,
            by if by.is_object() => {
                let (times, add) = (by["times"].as_i64().unwrap_or(1), by["add"].as_i64().unwrap_or(0));
                ((1 + self.input.pick(6)) as i64 * times + add).max(times + add).max(0) as usize
            }
            _ => self.input.pick(7),
        };
        let is_variable = !field["length"].is_number();
        let kind = field["type"].as_str().unwrap_or("hex").to_owned();
        if field.get("scale").is_some() {
            let raw = i64::from(self.input.byte());
            let value = raw as f64 * field["scale"].as_f64().unwrap()
                + field.get("offset").map_or(0.0, |offset| offset.as_f64().unwrap());
            return json!((value * 1000.0).round() / 1000.0);
        }
        match kind.as_str() {
            // No bytes of an end mark.
            "hex" if field["until"].is_string() => {
                json!(hex(&(0..size).map(|_| self.input.byte() | 0x80).collect::<Vec<_>>()))
            }
            "hex" => {
                let mut bytes = self.input.take(size).to_vec();
                bytes.resize(size, 0);
                json!(hex(&bytes))
            }
            "uint" => json!(u64::from(self.input.byte())),
            "int" => json!(i64::from(self.input.byte()) - 100),
            "bcd" => json!(self.digits(2 * size, "0123456789")),
            "dec" if is_variable && size == 0 => json!(""),
            "dec" => json!(self.digits(size, "0123456789")),
            "hexdigits" => json!(self.digits(size, "0123456789ABCDEF")),
            "sbcd" => json!(i64::from(self.input.byte()) - 128),
            "str" => {
                let text = match (field["charset"].as_str(), is_variable) {
                    (_, true) => self.digits(size, "ABCxyz019"),
                    (Some("gbk"), _) => self.one(&["京A", "", "中京", "B1"]),
                    (Some("utf-16le"), _) => self.one(&["京A", "", "xyz", "é"]),
                    (Some(_), _) => self.one(&["éA", "", "abcd"]),
                    _ => self.one(&["京A", "", "abcdef", "x"]),
                };
                json!(text)
            }
            "epoch" => {
                let tail = if field["unit"] == "ms" { self.one(&[".000", ".250", ".999"]) } else { String::new() };
                json!(self.one(&["2026-01-12T17:30:03", "2000-02-28T00:00:00", "1970-01-01T00:00:01"]) + &tail)
            }
            "cp56time2a" => json!(self.one(&["2026-01-12T17:30:03.250", "2000-02-28T00:00:59.999"])),
            "f32" => json!(*self.input.one(&[1.5, -0.25, 100.0])),
            "bit" => json!({"low": self.input.pick(8), "mid": self.input.pick(16), "one": self.input.pick(2)}),
            other => panic!("no values of {other}"),
        }
    }
}
