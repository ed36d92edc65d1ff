//! The inner frame: cutting, checking, commands, lengths, building.

use super::checksum::{checksum, own_size};
use super::fields::{
    self, Fill, computed, computed_number, decode, encode, is_alias, is_number, kind, name, order, same, says_outside,
    size, sizes, unhex, unsigned,
};
use serde_json::{Map, Value, json};

/// One part of a frame: a header or tail field, or the whole data frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    pub name: String,
    pub raw: Vec<u8>,
    /// The same bytes as they travel.
    pub wire: Vec<u8>,
}

pub type Frame = Vec<Segment>;

/// What `verify_checksum` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verify {
    Warn,
    Strict,
    Off,
}

pub struct Protocol<'a>(pub &'a Value);

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

/// Upper-case, without separators or 0x.
pub fn key_text(key: &Value) -> String {
    let part = |text: &str| -> String {
        text.to_uppercase().replace("0X", "").chars().filter(char::is_ascii_alphanumeric).collect()
    };
    match key {
        Value::Array(parts) => parts.iter().map(|p| part(p.as_str().unwrap())).collect(),
        other => part(other.as_str().unwrap()),
    }
}

impl<'a> Protocol<'a> {
    pub fn left(&self) -> &'a [Value] {
        list(self.0, "pdu_left")
    }

    pub fn tail(&self) -> &'a [Value] {
        list(self.0, "pdu_tailer")
    }

    pub fn commands(&self) -> &'a [Value] {
        list(self.0, "data_frame")
    }

    pub fn ascii(&self) -> bool {
        self.0["encoding"] == "ascii_hex"
    }

    pub fn fixed(&self) -> Option<usize> {
        (self.0["dynamic_length"] != true).then(|| self.0["total_length"].as_u64().unwrap() as usize)
    }

    /// The header or tail field of that name.
    pub fn outside(&self, name: &str) -> Option<&'a Value> {
        self.left().iter().chain(self.tail()).find(|f| fields::name(f) == name)
    }

    /// The fields of a list that are in the data frame, with their offsets.
    pub fn placed(&self, list: &'a [Value]) -> Vec<(&'a Value, usize)> {
        let mut offset = 0;
        let mut out = vec![];
        for field in list {
            if !is_alias(field) {
                out.push((field, offset));
                offset += size(field);
            }
        }
        out
    }

    pub fn room(&self, list: &'a [Value]) -> usize {
        self.placed(list).iter().map(|(field, _)| size(field)).sum()
    }

    /// The fields of a frame in order, the data frame as `None`.
    fn order(&self) -> Vec<Option<&'a Value>> {
        self.left().iter().map(Some).chain([None]).chain(self.tail().iter().map(Some)).collect()
    }

    /// What these raw bytes are on the wire as the `i`th of the parts.
    pub fn travel(&self, i: usize, raw: &[u8]) -> Vec<u8> {
        let last = self.order().len() - 1;
        if self.ascii() && i != 0 && i != last { fields::hex(raw).into_bytes() } else { raw.to_vec() }
    }

    fn constant(field: &Value) -> Vec<u8> {
        encode(field, &field["value"], Fill::NONE).unwrap()
    }

    /// The parts of a frame, or what keeps it from being cut: short, bad_start, bad_end, bad_hex.
    pub fn cut(&self, wire: &[u8]) -> Result<Frame, &'static str> {
        let parts = self.order();
        let data_at = self.left().len();
        let wire_size = |i: usize| parts[i].map_or(0, |f| self.travel(i, &vec![0; size(f)]).len());
        let around: usize = (0..parts.len()).map(wire_size).sum();
        let least = match self.fixed() {
            Some(total) => {
                let data = total - sizes(self.left()) - sizes(self.tail());
                around + self.travel(data_at, &vec![0; data]).len()
            }
            None => around,
        };
        if wire.len() < least {
            return Err("short");
        }
        if let Some(first) = self.left().first().filter(|f| name(f) == "start") {
            if !wire.starts_with(&Self::constant(first)) {
                return Err("bad_start");
            }
        }
        if let Some(last) = self.tail().last().filter(|f| name(f) == "end") {
            if !wire.ends_with(&Self::constant(last)) {
                return Err("bad_end");
            }
        }
        let mut frame = vec![];
        let mut rest = wire;
        for (i, part) in parts.iter().enumerate() {
            let here = if part.is_none() { wire.len() - around } else { wire_size(i) };
            let (wire, after) = rest.split_at(here);
            rest = after;
            let encoded = self.ascii() && i != 0 && i != parts.len() - 1;
            let raw = if encoded {
                let digits = std::str::from_utf8(wire).map_err(|_| "bad_hex")?;
                if digits.len() % 2 == 1 {
                    return Err("bad_hex");
                }
                unhex(digits).ok_or("bad_hex")?
            } else {
                wire.to_vec()
            };
            let name = part.map_or("data_frame".to_owned(), name);
            frame.push(Segment { name, raw, wire: wire.to_vec() });
        }
        Ok(frame)
    }

    /// The header fields behind the first `{{data_frame_length}}` of the header, in bytes.
    fn behind(&self) -> usize {
        let at = self.left().iter().position(is_number);
        at.map_or(0, |at| sizes(&self.left()[at + 1..]))
    }

    /// Is a command's data_frame_length the data frame and the header fields behind it (or the data frame alone)?
    fn counts_behind(&self, command: &Value) -> bool {
        let Some(said) = command["data_frame_length"].as_u64().map(|said| said as usize) else { return true };
        let (behind, reply) = (self.behind(), self.room(list(command, "resp_data_list")));
        let request = command["req_data_list"].as_array().map(|list| self.room(list));
        for fields in [Some(reply), request].into_iter().flatten() {
            if said == fields && reply <= said {
                return false;
            }
            if said == fields + behind && reply + behind <= said {
                return true;
            }
        }
        reply + behind <= said
    }

    /// The number of a frame of that command with this much data; `None`: of no command.
    fn number(&self, command: Option<&Value>, data: usize) -> usize {
        let Some(command) = command else {
            let mut all: Vec<usize> = self.commands().iter().map(|c| self.number(Some(c), data)).collect();
            all.dedup();
            return if all.len() == 1 { all[0] } else { data + self.behind() };
        };
        match command["data_frame_length"].as_u64() {
            Some(said) if self.fixed().is_some() => said as usize,
            _ if self.counts_behind(command) => data + self.behind(),
            _ => data,
        }
    }

    /// The bytes of that number in a field.
    pub fn number_in(&self, field: &Value, command: Option<&Value>, data: usize) -> Option<Vec<u8>> {
        computed(field, self.number(command, data) as i128)
    }

    /// Everything that is wrong with a request, in the order in which it is looked at, commands aside.
    pub fn faults(&self, frame: &Frame) -> Vec<&'static str> {
        let mut out = self.faults_of_reply(frame);
        let Some(command) = self.command(frame).map(|at| &self.commands()[at]) else { return out };
        let data = &frame[self.left().len()].raw;
        let right = |field: &Value, raw: &[u8]| {
            self.number_in(field, Some(command), data.len()).is_some_and(|right| same(field, &right, raw))
        };
        let outside = self.order().into_iter().enumerate().filter_map(|(i, f)| Some((f?, &frame[i].raw[..])));
        let inside = self.placed(list(command, "req_data_list"));
        let inside = inside.into_iter().filter_map(|(f, at)| Some((f, data.get(at..at + size(f))?)));
        if outside.chain(inside).any(|(field, raw)| is_number(field) && !right(field, raw)) {
            let lengths = out.iter().take_while(|fault| fault.starts_with("bad_length")).count();
            out.insert(lengths, "bad_length");
        }
        out
    }

    /// The same of a frame that need not tell its command.
    pub fn faults_of_reply(&self, frame: &Frame) -> Vec<&'static str> {
        let mut out = vec![];
        let lengths: Vec<(usize, &Value)> = self
            .order()
            .into_iter()
            .enumerate()
            .filter_map(|(i, f)| Some((i, f?)))
            .filter(|(_, f)| is_length(f))
            .collect();
        for (i, field) in &lengths {
            if field["check"] == "lchksum" {
                let got = unsigned(&order(field, frame[*i].raw.clone())) as u64;
                if lchksum(got & 0xFFF) != got {
                    out.push("bad_length_checksum");
                }
            }
        }
        let total: usize = frame.iter().map(|s| s.raw.len()).sum();
        if self.fixed().is_some_and(|fixed| fixed != total) {
            out.push("bad_length");
        }
        for (i, field) in &lengths {
            let got = computed_number(field, &frame[*i].raw);
            let got = if field["check"] == "lchksum" { got.map(|got| got & 0xFFF) } else { got };
            if !is_number(field) && got != Some(self.count(frame, field)) {
                out.push("bad_length");
            }
        }
        let data = frame[self.left().len()].raw.len();
        let all = self.commands().iter().map(Some).chain([None]);
        let right = |command: Option<&Value>| {
            let numbers = lengths.iter().filter(|(_, field)| is_number(field));
            numbers
                .into_iter()
                .all(|(i, f)| self.number_in(f, command, data).is_some_and(|right| same(f, &right, &frame[*i].raw)))
        };
        if !all.into_iter().any(right) {
            out.push("bad_length");
        }
        if let Some(at) = self.checksum_at() {
            if !same(self.order()[at].unwrap(), &frame[at].raw, &self.checksum(frame, at)) {
                out.push("bad_checksum");
            }
        }
        for (i, field) in self.order().into_iter().enumerate() {
            if let Some(field) = field.filter(|f| f["match"] == true) {
                if !same(field, &frame[i].raw, &Self::constant(field)) {
                    out.push("bad_version");
                }
            }
        }
        out
    }

    /// What a length field has to say of this frame.
    fn count(&self, frame: &Frame, field: &Value) -> i128 {
        let chars = field["unit"] == "chars";
        let mut sum = field["add"].as_i64().map_or(0, i128::from);
        for of in list(field, "of") {
            let segment = frame.iter().find(|s| s.name == fields::bare(of.as_str().unwrap())).unwrap();
            sum += if chars { segment.wire.len() } else { segment.raw.len() } as i128;
        }
        sum
    }

    /// Where the checksum is: in the area that its `field` says; a plain name is the tail's, and the header's where the tail has
    /// none. Without one it is the tail's `checksum` or `check`.
    pub fn checksum_at(&self) -> Option<usize> {
        let how = self.how()?;
        let order = self.order();
        let data = self.left().len();
        let named = |name: &str, places: std::ops::Range<usize>| {
            places.clone().find(|&i| order[i].is_some_and(|f| fields::name(f) == name))
        };
        let (left, tail) = (0..data, data + 1..order.len());
        let Some(field) = how["field"].as_str() else {
            return tail.clone().find(|&i| order[i].is_some_and(|f| ["checksum", "check"].contains(&&*name(f))));
        };
        let bare = fields::bare(field);
        match field {
            _ if field.starts_with("{pdu_left}") => named(&bare, left),
            _ if field.starts_with("{pdu_tailer}") => named(&bare, tail),
            _ => named(&bare, tail).or(named(&bare, left)),
        }
    }

    fn how(&self) -> Option<&'a Value> {
        self.0.get("checksum").or(self.0.get("checksum_config"))
    }

    /// The bytes that the checksum field has to hold.
    fn checksum(&self, frame: &Frame, at: usize) -> Vec<u8> {
        let how = self.how().unwrap();
        let field = self.order()[at].unwrap();
        let covered: Vec<u8> = if self.0.get("checksum").is_some() {
            let place =
                |key: &str| how[key].as_str().map(|n| frame.iter().position(|s| s.name == fields::bare(n)).unwrap());
            let from = place("from").unwrap_or(usize::from(frame[0].name == "start"));
            let to = place("to").unwrap_or(at.wrapping_sub(1));
            let wire = how["over"] == "wire";
            frame[from..=to].iter().flat_map(|s| if wire { s.wire.clone() } else { s.raw.clone() }).collect()
        } else {
            // Itself counts as 00.
            let zeroed = |(i, s): (usize, &Segment)| if i == at { vec![0; s.raw.len()] } else { s.raw.clone() };
            let raw: Vec<u8> = frame.iter().enumerate().flat_map(zeroed).collect();
            let place = |key: &str| {
                let at = how[key].as_i64().unwrap();
                if at < 0 { raw.len() - at.unsigned_abs() as usize } else { at as usize }
            };
            raw[place("start")..place("end")].to_vec()
        };
        let complement = how["complement"].as_str().unwrap_or("none");
        let algorithm = how["algorithm"].as_str().unwrap();
        // Decimal digits do not limit the bits: the algorithm decides their number.
        let bytes = match kind(field) {
            "bcd" | "dec" => own_size(algorithm),
            // A sum is cut to the digits.
            "hexdigits" if algorithm != "sum" => own_size(algorithm),
            "hexdigits" => size(field) / 2,
            _ => size(field),
        };
        let value = checksum(algorithm, complement, &covered, bytes);
        computed(field, i128::from(value)).unwrap()
    }

    pub fn flag(&self) -> Vec<String> {
        match &self.0["data_frame_type_flag"] {
            Value::Array(names) => names.iter().map(|n| n.as_str().unwrap().to_owned()).collect(),
            Value::String(flag) if flag.contains('{') => {
                flag.split('{').skip(1).map(|part| part.split('}').next().unwrap().to_owned()).collect()
            }
            other => vec![other.as_str().unwrap().to_owned()],
        }
    }

    /// The key of this frame if it were that command's.
    fn key_as(&self, frame: &Frame, command: &'a Value) -> Option<String> {
        let mut key = String::new();
        for part in self.flag() {
            let in_left = self.left().iter().position(|f| name(f) == part);
            let in_tail = self.tail().iter().position(|f| name(f) == part);
            let data = &frame[self.left().len()].raw;
            let placed = || self.placed(list(command, "req_data_list"));
            let (field, bytes) = if let Some(i) = in_left {
                (&self.left()[i], frame[i].raw.clone())
            } else if let Some((field, at)) = placed().into_iter().find(|(f, _)| name(f) == part) {
                (field, data.get(at..at + size(field))?.to_vec())
            } else {
                let i = in_tail?;
                (&self.tail()[i], frame[self.left().len() + 1 + i].raw.clone())
            };
            key += &fields::hex(&order(field, bytes));
        }
        Some(key)
    }

    /// The number of the command that this frame is.
    pub fn command(&self, frame: &Frame) -> Option<usize> {
        let data = &frame[self.left().len()].raw;
        self.commands().iter().position(|command| {
            let own = key_text(&command["data_frame_type"]);
            if self.key_as(frame, command).as_ref() != Some(&own) {
                return false;
            }
            let Some(request) = command["req_data_list"].as_array() else { return true };
            let room = self.room(request);
            let shared = self.commands().iter().filter(|c| key_text(&c["data_frame_type"]) == own).count() > 1;
            let size_fits = if shared && self.fixed().is_none() {
                let padded = command.get("data_frame_length").map(|_| self.data_size(command, room));
                data.len() == room || Some(data.len()) == padded
            } else {
                data.len() >= room
            };
            size_fits
                && request
                    .iter()
                    .filter(|f| f["match"] == true)
                    .all(|f| self.given(frame, request, f) == encode(f, &f["value"], Fill::of(command)))
        })
    }

    /// The bytes of that request field, in the data frame or (an alias) outside it.
    fn given(&self, frame: &Frame, request: &'a [Value], field: &Value) -> Option<Vec<u8>> {
        let wanted = name(field);
        match self.placed(request).iter().find(|(f, _)| name(f) == wanted && !is_alias(field)) {
            Some((f, at)) => frame[self.left().len()].raw.get(*at..at + size(f)).map(<[u8]>::to_vec),
            None => frame.iter().find(|s| s.name == wanted).map(|s| s.raw.clone()),
        }
    }

    /// A request field by name, as rules spell it, with its bytes: data frame first, then header.
    pub fn request_field(
        &self,
        frame: &Frame,
        command: Option<&'a Value>,
        wanted: &str,
    ) -> Option<(&'a Value, Vec<u8>)> {
        let placed = self.placed(command.map_or(&[], |c| list(c, "req_data_list")));
        let inside = placed.iter().find(|(f, _)| name(f) == wanted && !says_outside(wanted));
        if let Some((field, at)) = inside {
            return Some((field, frame[self.left().len()].raw.get(*at..at + size(field))?.to_vec()));
        }
        let wanted = fields::bare(wanted);
        let segment = frame.iter().find(|s| s.name == wanted)?;
        Some((self.outside(&wanted)?, segment.raw.clone()))
    }

    /// Bytes of a data frame whose fields take `room`.
    pub fn data_size(&self, command: &Value, room: usize) -> usize {
        if let Some(total) = self.fixed() {
            return total - sizes(self.left()) - sizes(self.tail());
        }
        let Some(said) = command["data_frame_length"].as_u64() else { return room };
        said as usize - if self.counts_behind(command) { self.behind() } else { 0 }
    }

    /// The header or tail field as a rule has to spell it beside the data frame of that list.
    pub fn spelled(&self, field: &Value, list: &[Value]) -> String {
        let name = name(field);
        if !list.iter().any(|other| !is_alias(other) && fields::name(other) == name) {
            return name;
        }
        let in_left = self.left().iter().any(|other| fields::name(other) == name);
        format!("{{{}}}_{name}", if in_left { "pdu_left" } else { "pdu_tailer" })
    }

    /// A frame's fields by name, its data frame read with that list (`req_data_list`, `resp_data_list`).
    pub fn decode(&self, frame: &Frame, command: &'a Value, which: &str) -> Map<String, Value> {
        let mut out = Map::new();
        for (i, field) in self.order().into_iter().enumerate() {
            match field {
                Some(field) => {
                    let spelled = self.spelled(field, list(command, which));
                    out.insert(spelled, decode(field, &frame[i].raw, Fill::of(command)));
                }
                None => {
                    for (field, at) in self.placed(list(command, which)) {
                        if let Some(bytes) = frame[i].raw.get(at..at + size(field)) {
                            out.insert(name(field), decode(field, bytes, Fill::of(command)));
                        }
                    }
                }
            }
        }
        out
    }

    /// A whole frame of no command.
    pub fn build(&self, outside: &dyn Fn(&'a Value) -> Vec<u8>, data: Vec<u8>) -> Option<Frame> {
        self.build_of(None, outside, data)
    }

    /// A whole frame of a command from the bytes of its header and tail fields and its data frame: constants, lengths and
    /// checksum are filled in. `None`: a length does not fit its field.
    pub fn build_of(
        &self,
        command: Option<&Value>,
        outside: &dyn Fn(&'a Value) -> Vec<u8>,
        data: Vec<u8>,
    ) -> Option<Frame> {
        let parts = self.order();
        let mut frame: Frame = vec![];
        for (i, part) in parts.iter().enumerate() {
            let raw = match part {
                Some(field) if ["start", "end"].contains(&name(field).as_str()) => Self::constant(field),
                Some(field) if is_length(field) => vec![0; size(field)],
                Some(field) => outside(field),
                None => data.clone(),
            };
            let wire = self.travel(i, &raw);
            frame.push(Segment { name: part.map_or("data_frame".to_owned(), name), raw, wire });
        }
        for (i, part) in parts.iter().enumerate() {
            if let Some(field) = part.filter(|f| is_number(f)) {
                frame[i].raw = self.number_in(field, command, data.len())?;
                frame[i].wire = self.travel(i, &frame[i].raw);
            } else if let Some(field) = part.filter(|f| is_length(f)) {
                let mut value = self.count(&frame, field);
                if field["check"] == "lchksum" {
                    if value > 0xFFF {
                        return None;
                    }
                    value = i128::from(lchksum(value as u64));
                }
                frame[i].raw = computed(field, value)?;
                frame[i].wire = self.travel(i, &frame[i].raw);
            }
        }
        self.seal(&mut frame);
        Some(frame)
    }

    /// Puts the right checksum into a frame.
    pub fn seal(&self, frame: &mut Frame) {
        if let Some(at) = self.checksum_at() {
            frame[at].raw = self.checksum(frame, at);
            frame[at].wire = self.travel(at, &frame[at].raw);
        }
    }

    /// A request: given values, else the field's constant, else 00.
    /// `extra` bytes follow the data frame's fields.
    pub fn request(&self, command: &'a Value, values: &Map<String, Value>, extra: &[u8]) -> Option<Frame> {
        let fill = Fill::of(command);
        let bytes = |field: &Value, named: &str, constant: Option<&Value>| match values.get(named).or(constant) {
            Some(value) => encode(field, value, fill).unwrap(),
            None => vec![0; size(field)],
        };
        let request = list(command, "req_data_list");
        let room = self.room(request);
        let whole = if self.fixed().is_some() { self.data_size(command, room) } else { room } + extra.len();
        let mut data = vec![];
        for (field, _) in self.placed(request) {
            if is_number(field) && !values.contains_key(&name(field)) {
                data.extend(self.number_in(field, Some(command), whole).unwrap());
            } else {
                data.extend(bytes(field, &name(field), field.get("value")));
            }
        }
        data.resize(whole - extra.len(), 0);
        data.extend(extra);
        let outside = |field: &'a Value| {
            let alias = request.iter().find(|f| is_alias(f) && name(f) == name(field)).and_then(|f| f.get("value"));
            bytes(field, &self.spelled(field, request), alias.or(field.get("value")))
        };
        self.build_of(Some(command), &outside, data)
    }
}

pub fn is_length(field: &Value) -> bool {
    kind(field) == "length" || is_number(field)
}

/// The length with its check: in the top 4 of 16 bits the two's complement of the sum of the three lower nibbles.
pub fn lchksum(length: u64) -> u64 {
    let sum = (length & 15) + (length >> 4 & 15) + (length >> 8 & 15);
    (16 - sum % 16) % 16 << 12 | length
}

pub fn wire(frame: &Frame) -> Vec<u8> {
    frame.iter().flat_map(|s| s.wire.clone()).collect()
}

/// The header or tail fields that are part of the command's key, with their values.
pub fn key_parts(p: &Protocol, command: &Value) -> Map<String, Value> {
    let mut digits = key_text(&command["data_frame_type"]);
    let list = command["req_data_list"].as_array().map_or(&[][..], Vec::as_slice);
    let mut out = Map::new();
    for part in p.flag() {
        let field = p.outside(&part).or(list.iter().find(|f| name(f) == part)).unwrap();
        let rest = digits.split_off(2 * size(field));
        if p.outside(&part).is_some() {
            let value = if kind(field) == "hex" { json!(digits) } else { json!(format!("0x{digits}")) };
            assert!(encode(field, &value, Fill::NONE).is_some() && !is_length(field));
            out.insert(part, value);
        }
        digits = rest;
    }
    out
}
