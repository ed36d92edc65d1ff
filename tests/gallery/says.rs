//! What the gallery's devices say unasked: `messages` of a `frames.json`, one conversation with a centre that acknowledges.

use super::{NOW_MS, RUN, bytes, json, peer, root};
use fsu_core::mock::{Connection, Mock};
use fsu_core::moment::Moment;
use fsu_core::replies::Replies;
use fsu_core::speak::Audience;
use fsu_core::stage::Incoming;
use fsu_plan::model::fleet::Fleet;
use fsu_plan::model::message::Transport;
use fsu_plan::wire::civil::Now;
use serde_json::Value;
use std::sync::Arc;

/// A request and its replies.
pub type Request = (Vec<u8>, Vec<Vec<u8>>);

/// What makes a message leave.
#[derive(Clone, Debug)]
pub enum Cause {
    /// A connection is up, or a centre was heard for the first time: what was heard, and what answers it.
    Connect(Option<Request>),
    /// It is triggered, with these arguments.
    Trigger(Vec<(String, String)>),
    /// A request was answered.
    Request(Request),
    /// The message of the step before it was acknowledged.
    Follows,
}

/// One message, and what a centre says of it.
#[derive(Clone, Debug)]
pub struct Said {
    pub name: String,
    pub message: String,
    pub cause: Cause,
    pub sent: Vec<Vec<u8>>,
    /// Frames like the acknowledgement that are none of this message.
    pub not_acks: Vec<Vec<u8>>,
    pub ack: Option<Vec<u8>>,
    /// What is sent shows the clock.
    pub has_clock: bool,
}

impl Said {
    /// The request before it, if there is one, and what answers it.
    pub fn request(&self) -> Option<&Request> {
        match &self.cause {
            Cause::Connect(request) => request.as_ref(),
            Cause::Request(request) => Some(request),
            Cause::Trigger(_) | Cause::Follows => None,
        }
    }

    /// All frames that leave: replies first.
    pub fn leaves(&self) -> Vec<Vec<u8>> {
        self.request().map(|(_, replies)| &replies[..]).unwrap_or_default().iter().chain(&self.sent).cloned().collect()
    }
}

/// The conversation of a protocol; none for a device that only answers.
pub fn says(name: &str) -> Vec<Said> {
    let file = json(&root().join(name).join("frames.json"));
    file["messages"].as_array().map(|all| all.iter().map(|one| said(name, one)).collect()).unwrap_or_default()
}

fn said(of: &str, one: &Value) -> Said {
    let known = ["name", "message", "on", "args", "request", "replies", "sent", "not_acks", "ack", "now", "note"];
    let unknown: Vec<&String> = one.as_object().unwrap().keys().filter(|key| !known.contains(&&***key)).collect();
    let name = format!("{of}: {}", one["name"].as_str().expect("a name"));
    assert_eq!(unknown, [""; 0], "{name}");
    let hex = |one: &Value| bytes(one.as_str().expect("hex"));
    let list = |key: &str| one[key].as_array().map(|all| all.iter().map(hex).collect()).unwrap_or_default();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let args =
        || one["args"].as_object().map(|all| all.iter().map(|(key, value)| (key.clone(), text(value))).collect());
    let request = || (hex(&one["request"]), list("replies"));
    let cause = match one["on"].as_str().expect("a cause") {
        "connect" => Cause::Connect(one["request"].is_string().then(request)),
        "trigger" => Cause::Trigger(args().unwrap_or_default()),
        "request" => Cause::Request(request()),
        "ack" => Cause::Follows,
        other => panic!("{name}: on {other}"),
    };
    let sent: Vec<Vec<u8>> = list("sent");
    assert!(!sent.is_empty(), "{name}: nothing is sent");
    if let Some(now) = one["now"].as_str() {
        assert_eq!(now, "2026-01-12T17:30:03", "{name}: the clock of messages");
    }
    Said {
        message: text(&one["message"]),
        cause,
        sent,
        not_acks: list("not_acks"),
        ack: one["ack"].is_string().then(|| hex(&one["ack"])),
        has_clock: one["now"].is_string(),
        name,
    }
}

/// A device that talks to one centre, without a socket and without time.
pub struct Speaker {
    mock: Mock,
    fsu: usize,
    connection: Option<Connection>,
    moment: Moment,
    replies: Replies,
    /// What the last acknowledgement has made happen.
    followed: Vec<String>,
}

impl Speaker {
    pub fn new(fleet: &Arc<Fleet>, name: &str, now_ms: i64) -> Self {
        let mut mock = Mock::new(fleet.clone(), RUN);
        let fsu = mock.find(name).unwrap_or_else(|| panic!("{name} is not in the fleet"));
        let moment = Moment::at(Now { unix_ms: now_ms, utc_offset_s: 0 }, 0);
        let mut replies = Replies::default();
        let is_stream = mock.fleet().fsus[fsu].transport == Transport::Tcp;
        mock.on_start(fsu, Audience::None, moment, &mut replies);
        let connection = is_stream.then(|| mock.open(fsu, peer(), moment, &mut replies).unwrap());
        assert!(replies.frames().is_empty(), "{name} speaks to nobody");
        Self { mock, fsu, connection, moment, replies, followed: Vec::new() }
    }

    /// What has left since.
    fn left(&mut self) -> Vec<Vec<u8>> {
        let left = self.replies.frames().into_iter().map(<[u8]>::to_vec).collect();
        self.replies.reset();
        left
    }

    fn speak(&mut self) {
        // All of it at this moment.
        for _ in 0..100 {
            let next_ms = self.mock.speak(self.fsu, Audience::Some, self.moment, &mut self.replies);
            if next_ms != Some(0) {
                return;
            }
        }
    }

    fn hear(&mut self, bytes: &[u8]) {
        if let Some(connection) = &mut self.connection {
            self.mock.on_bytes(connection, bytes, self.moment, &mut self.replies);
        } else {
            let datagram = Incoming { peer: peer(), bytes };
            self.mock.on_datagram(self.fsu, datagram, self.moment, &mut self.replies);
        }
        self.speak();
    }

    /// `message event` of everything that has happened since.
    fn happened(&mut self) -> Vec<String> {
        let fleet = self.mock.fleet().clone();
        let line = |one: &fsu_core::answer::talk::Happened| {
            format!("{} {}", fleet.accounts[one.account as usize].name, one.event.name())
        };
        self.mock.happened().collect::<Vec<_>>().iter().map(line).collect()
    }

    /// One step of the conversation: what left, and what has become of it.
    pub fn step(&mut self, one: &Said) -> (Vec<Vec<u8>>, Vec<String>) {
        match &one.cause {
            Cause::Connect(heard) => {
                if let Some((request, _)) = heard {
                    self.hear(request);
                }
                self.mock.on_connected(self.fsu, self.moment, &mut self.replies);
                self.speak();
            }
            Cause::Trigger(args) => {
                let args: Vec<_> = args.iter().map(|(name, value)| (&**name, &**value)).collect();
                self.mock
                    .trigger(self.fsu, &one.message, &args, self.moment)
                    .unwrap_or_else(|error| panic!("{}: {error:?}", one.name));
                self.speak();
            }
            Cause::Request((request, _)) => self.hear(request),
            Cause::Follows => {}
        }
        let left = self.left();
        let mut events = std::mem::take(&mut self.followed);
        events.extend(self.happened());
        for frame in &one.not_acks {
            self.hear(frame);
            assert_eq!(super::hex(&self.left()), [""; 0], "{}: an answer to what acknowledges nothing", one.name);
        }
        let acknowledged = format!("{} acknowledged", one.message);
        let early = self.happened();
        assert!(!early.contains(&acknowledged), "{}: acknowledged too early", one.name);
        events.extend(early);
        if let Some(ack) = &one.ack {
            self.hear(ack);
            self.followed = self.happened();
            events.extend(self.followed.iter().cloned());
            let is_right = self.moment.now.unix_ms != NOW_MS || events.contains(&acknowledged);
            assert!(is_right, "{}: not acknowledged: {events:?}", one.name);
        }
        (left, events)
    }

    /// Values that did not fit, and expressions without a value.
    pub fn failures(&self) -> [u64; 2] {
        let counters = self.mock.counters(self.fsu).expect("it is in the fleet");
        [counters.value_misfits, counters.expression_failures]
    }
}

/// What each step sends at that time. Acknowledgements of the file may be no right ones then.
pub fn said_at(fleet: &Arc<Fleet>, name: &str, now_ms: i64) -> Vec<Vec<Vec<u8>>> {
    let mut speaker = Speaker::new(fleet, name, now_ms);
    says(name).iter().map(|one| speaker.step(one).0).collect()
}
