//! Transfers, the slow way: what one FSU with one device sends to each of its clients (spec broadcast.md).

use super::fields::{self, Fill, bare, encode, name, number, order, unsigned};
use super::frame::{Frame, Protocol, Verify, is_length, wire};
use super::reply::{Answer, answer_after, reply, rule_of};
use super::text::World;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A transfer that has begun.
#[derive(Clone, Debug)]
struct Open {
    client: u16,
    did: Vec<u8>,
    /// The answer, which has no data.
    answer: Frame,
    /// The data, frame by frame.
    chunks: Vec<Vec<u8>>,
    /// Number of the frame that was sent last.
    last: usize,
    /// It counts as asked for then: idle a timeout later.
    since_ms: i64,
    /// When that frame was due for the first time.
    first_ms: i64,
}

impl Open {
    fn is_complete(&self) -> bool {
        self.last == self.chunks.len() - 1
    }
}

/// The host that a client is at.
pub fn host(client: u16) -> u8 {
    (client % 2) as u8
}

/// All transfers of the FSU, in the order in which they began.
#[derive(Clone, Debug, Default)]
pub struct Transfers {
    open: Vec<Open>,
    /// What happened, how often.
    pub seen: BTreeMap<&'static str, usize>,
}

/// What a frame leads to.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// Frames, and the milliseconds until each is due.
    Frames(Vec<(i64, Vec<u8>)>),
    Dropped(&'static str),
}

/// The template, and its `transfer` section.
struct Section<'a> {
    p: Protocol<'a>,
    t: &'a Value,
}

impl<'a> Section<'a> {
    fn field(&self, key: &str, default: &str) -> &'a Value {
        self.p.outside(self.t[key].as_str().unwrap_or(default)).unwrap()
    }

    fn cmd(&self) -> &'a Value {
        self.field("cmd", "Cmd")
    }

    fn sn(&self) -> &'a Value {
        self.field("sn", "SN")
    }

    fn did(&self) -> &'a Value {
        self.field("did", "DID")
    }

    fn accept(&self) -> &'a Value {
        self.field("accept", "Accept")
    }

    fn mark(&self) -> i128 {
        1 << self.t["last_bit"].as_u64().unwrap_or(15)
    }

    fn timeout_ms(&self) -> i64 {
        self.t["transfer_timeout_ms"].as_i64().unwrap_or(5000)
    }

    fn is_idle(&self, open: &Open, now_ms: i64) -> bool {
        now_ms - open.since_ms >= self.timeout_ms()
    }

    /// Data frame number `open.last`.
    fn data_frame(&self, open: &Open) -> Vec<u8> {
        let is_last = open.last == open.chunks.len() - 1;
        let sn = open.last as i128 + if is_last { self.mark() } else { 0 };
        let frame = self.p.build(
            &|field| {
                if name(field) == name(self.cmd()) {
                    encode(field, &self.t["data_cmd"], Fill::NONE).unwrap()
                } else if name(field) == name(self.sn()) {
                    order(field, number(sn, fields::size(field), false).unwrap())
                } else {
                    raw(&open.answer, field)
                }
            },
            open.chunks[open.last].clone(),
        );
        wire(&frame.unwrap())
    }

    /// The refusal of this request.
    fn refusal(&self, request: &Frame, world: &mut World) -> Vec<u8> {
        let accept = name(self.accept());
        let mut values = self.t["refused"].as_object().cloned().unwrap_or_default();
        let given: Vec<String> = values.keys().map(|key| bare(key)).collect();
        if !given.contains(&accept) {
            values.insert(accept.clone(), json!("01"));
        }
        let checksum = self.p.checksum_at();
        let outside: Vec<Option<&Value>> =
            self.p.left().iter().map(Some).chain([None]).chain(self.p.tail().iter().map(Some)).collect();
        for (at, field) in outside.into_iter().enumerate() {
            let Some(field) = field else { continue };
            let own = name(field);
            let computed = is_length(field) || Some(at) == checksum || ["start", "end"].contains(&own.as_str());
            if computed || own == accept || given.contains(&own) {
                continue;
            }
            let listed: Vec<Option<&Value>> = self
                .p
                .commands()
                .iter()
                .map(|command| {
                    let list = command["resp_data_list"].as_array().unwrap();
                    list.iter().find(|listed| name(listed) == own).and_then(|listed| listed.get("value"))
                })
                .collect();
            if let Some(first) = listed[0] {
                if listed.iter().all(|other| *other == Some(first)) {
                    values.insert(own, first.clone());
                }
            }
        }
        let frame = reply(&self.p, request, None, &[], &values, &json!({}), world).unwrap();
        world.replies += 1;
        wire(&frame)
    }
}

/// The bytes of a header or tail field.
fn raw(frame: &Frame, field: &Value) -> Vec<u8> {
    frame.iter().find(|segment| segment.name == name(field)).unwrap().raw.clone()
}

/// SplitMix64, low byte first.
fn made(bytes: usize, seed: u64) -> Vec<u8> {
    let mut out = vec![];
    let mut state = seed;
    while out.len() < bytes {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        for i in 0..8 {
            out.push((z >> (8 * i)) as u8);
        }
    }
    out.truncate(bytes);
    out
}

impl Transfers {
    fn saw(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    fn find(&self, client: u16, did: &[u8]) -> Option<usize> {
        self.open.iter().position(|open| open.client == client && open.did == did)
    }

    /// Client and DID of those that have begun.
    pub fn begun(&self) -> Vec<(u16, Vec<u8>)> {
        self.open.iter().map(|open| (open.client, open.did.clone())).collect()
    }

    /// The number of the frame that this client would ask for next.
    pub fn next(&self, client: u16, did: &[u8]) -> Option<usize> {
        self.find(client, did).map(|at| self.open[at].last + 1)
    }

    /// How many places those have that are like this.
    fn held(&self, like: impl Fn(&Open) -> bool) -> usize {
        self.open.iter().filter(|open| like(open)).count()
    }

    /// A place for one more of this client; false: there is none.
    fn make_room(&mut self, section: &Section<'_>, client: u16, now_ms: i64) -> bool {
        let most = section.t["transfers_max"].as_u64().unwrap_or(64) as usize;
        if self.open.len() < most {
            return true;
        }
        self.open.retain(|open| !section.is_idle(open, now_ms));
        if self.open.len() < most {
            return true;
        }
        let of_host = |at: u16| self.held(|open| host(open.client) == host(at));
        let of_client = |at: u16| self.held(|open| open.client == at);
        let oldest = |may: &dyn Fn(&Open) -> bool| {
            let mut oldest: Option<usize> = None;
            for (at, open) in self.open.iter().enumerate() {
                if may(open) && oldest.is_none_or(|other| open.since_ms < self.open[other].since_ms) {
                    oldest = Some(at);
                }
            }
            oldest
        };
        let whole = oldest(&|open| open.is_complete() && of_host(open.client) >= of_host(client));
        let most_of_hosts = self.open.iter().map(|open| of_host(open.client)).max().unwrap();
        let of_larger_host =
            oldest(&|open| of_host(open.client) == most_of_hosts && most_of_hosts >= of_host(client) + 2);
        let near = |open: &&Open| host(open.client) == host(client);
        let most_near = self.open.iter().filter(near).map(|open| of_client(open.client)).max().unwrap_or(0);
        let of_larger_client =
            oldest(&|open| near(&open) && of_client(open.client) == most_near && most_near >= of_client(client) + 2);
        let (gone, why) = match (whole, of_larger_host, of_larger_client) {
            (Some(at), ..) => (at, "place_taken"),
            (None, Some(at), _) => (at, "place_of_host"),
            (None, None, Some(at)) => (at, "place_of_client"),
            (None, None, None) => return false,
        };
        drop(self.open.remove(gone));
        self.saw(why);
        true
    }

    /// What becomes of a frame. `world.now` is the time, `now_ms` the same in milliseconds.
    pub fn receive(
        &mut self,
        protocol: &Value,
        files: &[Value],
        (client, bytes): (u16, &[u8]),
        verify: Verify,
        now_ms: i64,
        world: &mut World,
    ) -> Said {
        let section = Section { p: Protocol(protocol), t: &protocol["transfer"] };
        let p = &section.p;
        let request = match p.cut(bytes) {
            Ok(frame) => frame,
            Err(reason) => return Said::Dropped(reason),
        };
        let faults = p.faults(&request);
        let sound = faults.iter().all(|fault| *fault == "bad_checksum" && verify != Verify::Strict);
        let command = p.command(&request).map(|at| &p.commands()[at]);
        let rule = command.and_then(|command| {
            let mut rules = files.iter().filter_map(|file| rule_of(p, &request, command, file));
            rules.next().map(|(_, rule)| rule)
        });
        let did = raw(&request, section.did());
        let next_cmd = encode(section.cmd(), &section.t["next_cmd"], Fill::NONE).unwrap();
        if sound && raw(&request, section.cmd()) == next_cmd {
            if let Some(at) = self.find(client, &did).filter(|at| section.is_idle(&self.open[*at], now_ms)) {
                self.open.remove(at);
                self.saw("idle");
            }
            let open = self.find(client, &did);
            if open.is_some() || command.is_none() {
                return self.demand(&section, (&request, bytes), open, rule, now_ms, world);
            }
        }
        let request_bytes = bytes;
        let (answer, delay_ms) = answer_after(protocol, files, bytes, verify, world);
        let good = sound && command.is_some();
        if good {
            if let Some(at) = self.find(client, &did) {
                self.open.remove(at);
                self.saw("ended_by_command");
            }
        }
        let bytes = match answer {
            Answer::Refused(reason) => return Said::Dropped(reason),
            Answer::Silent => return Said::Frames(vec![]),
            Answer::Reply(bytes) => bytes,
        };
        if !good {
            // It says of itself what is wrong: that is an answer.
            let is_answer = bytes == request_bytes;
            return if is_answer { Said::Dropped("mock_reply") } else { Said::Frames(vec![(0, bytes)]) };
        }
        let whole = p.cut(&bytes).unwrap();
        let answer = p.build_of(command, &|field| raw(&whole, field), vec![]).unwrap();
        let data = match rule.unwrap().get("data_bytes") {
            Some(how) => made(how["bytes"].as_u64().unwrap() as usize, how["seed"].as_u64().unwrap_or(0)),
            None => whole[p.left().len()].raw.clone(),
        };
        let accepted = raw(&answer, section.accept()).iter().all(|byte| *byte == 0);
        let not_refused = protocol.get("refusal").is_none_or(|refusal| {
            let field = p.outside(&bare(refusal["field"].as_str().unwrap())).unwrap();
            let ok = refusal["ok"].as_array().unwrap();
            ok.iter().any(|value| encode(field, value, Fill::NONE) == Some(raw(&answer, field)))
        });
        if data.is_empty() || !accepted || !not_refused {
            self.saw("no_data");
            return Said::Frames(vec![(delay_ms, wire(&answer))]);
        }
        if !self.make_room(&section, client, now_ms) {
            return self.refuse("no_place", section.refusal(&request, world), request_bytes, delay_ms);
        }
        let size = section.t["chunk_bytes"].as_u64().unwrap_or(1024) as usize;
        let chunks: Vec<Vec<u8>> = data.chunks(size).map(<[u8]>::to_vec).collect();
        self.saw(if chunks.len() == 1 { "one_frame" } else { "several_frames" });
        let open = Open {
            client,
            did,
            answer: answer.clone(),
            chunks,
            last: 0,
            since_ms: now_ms + delay_ms,
            first_ms: now_ms + delay_ms,
        };
        let first = section.data_frame(&open);
        self.open.push(open);
        Said::Frames(vec![(delay_ms, wire(&answer)), (delay_ms, first)])
    }

    /// A refusal, unless what came is that refusal itself.
    fn refuse(&mut self, why: &'static str, refusal: Vec<u8>, request: &[u8], delay_ms: i64) -> Said {
        if refusal == request {
            self.saw("own_words");
            return Said::Dropped("mock_reply");
        }
        self.saw(why);
        Said::Frames(vec![(delay_ms, refusal)])
    }

    fn demand(
        &mut self,
        section: &Section<'_>,
        (request, request_bytes): (&Frame, &[u8]),
        open: Option<usize>,
        rule: Option<&Value>,
        now_ms: i64,
        world: &mut World,
    ) -> Said {
        if rule.is_some_and(|rule| rule["timeout"] == true) {
            self.saw("demand_silent");
            return Said::Frames(vec![]);
        }
        let delay_ms = rule.and_then(|rule| rule["delay"]["fixed"].as_i64()).unwrap_or(0);
        let wanted = unsigned(&order(section.sn(), raw(request, section.sn()))) % section.mark();
        let meets = open.filter(|at| {
            let open = &self.open[*at];
            let next = open.last + 1;
            wanted == open.last as i128 || (wanted == next as i128 && next < open.chunks.len())
        });
        let Some(at) = meets else {
            let why = if open.is_some() { "other_frame" } else { "no_transfer" };
            return self.refuse(why, section.refusal(request, world), request_bytes, delay_ms);
        };
        let again = self.open[at].last as i128 == wanted;
        self.open[at].last = wanted as usize;
        let is_kept = now_ms < self.open[at].first_ms + 3 * section.timeout_ms();
        if !again {
            self.open[at].first_ms = now_ms + delay_ms;
        }
        if !again || is_kept {
            self.open[at].since_ms = now_ms + delay_ms;
        } else {
            self.saw("not_kept");
        }
        let last = self.open[at].is_complete();
        self.saw(match (again, last) {
            (true, _) => "again",
            (false, true) => "last_frame",
            (false, false) => "next_frame",
        });
        Said::Frames(vec![(delay_ms, section.data_frame(&self.open[at]))])
    }
}
