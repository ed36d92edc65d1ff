//! A small FSU for tests, and a sink that remembers.

use super::state::FsuState;
use super::{Moment, NS_PER_MS, Outgoing, RunContext, Scratch, Sink};
use crate::codec::civil::Now;
use crate::codec::fixtures::{COMMANDS, raw_frame};
use crate::codec::reason::Reason;
use crate::plan::fleet::{
    Device, Fleet, Fsu, FsuId, Language, Limits, LogPlan, OnFull, Performance, Transport, VerifyChecksum,
};
use crate::plan::rule::{Delay, Patch, Reply, Rule};
use crate::plan::template::{ErrorReply, Offset, Template};
use std::sync::Arc;

pub(crate) const RUN: RunContext = RunContext { seed: 1, skip_delay: false, start_mono_ms: 0 };
pub(crate) const NOW: Moment = Moment::at(Now { unix_ms: 1_768_210_203_000, utc_offset_s: 28_800 }, 0);

/// Without data, but for what a fixed size asks for; the address and the command are the request's.
fn echo(template: &Template) -> Arc<Reply> {
    let frame = raw_frame(template, 0, 0, &[]);
    Arc::new(Reply {
        data_len: frame.len() - template.left_len - template.tail_len,
        frame: frame.into(),
        patches: [Patch::Copy { from: Offset(1), to: 1, len: 2 }].into(),
        less: 0,
        refusal: None,
        payload: crate::plan::transfer::Payload::None,
    })
}

/// Command 10 is answered at once with its address, 11 not at all; a wrong checksum and an unknown command are
/// answered where `errors` says so.
pub(crate) fn device(mut template: Template, sub_dev_type: u8, sub_dev_addr: u8, errors: bool) -> Arc<Device> {
    let rule = |timeout, delay| Rule {
        when: Box::default(),
        timeout,
        delay,
        cycle: None,
        burst: 1,
        faults: None,
        replies: [echo(&template)].into(),
        sets: Box::default(),
        origin: "test.json:1:1: /".into(),
    };
    let rules = COMMANDS.map(|command| Box::from([rule(command == COMMANDS[1], Delay::None)])).into();
    if errors {
        template.errors[ErrorReply::UnknownCommand as usize] = Some(echo(&template));
    }
    Arc::new(Device {
        vendor: "test".into(),
        sub_dev_type,
        sub_dev_addr,
        template: Arc::new(template),
        verify_checksum: VerifyChecksum::Warn,
        rules,
        cycles: 0,
        registers: Box::default(),
    })
}

/// "20250125", with these devices.
pub(crate) fn fsu(devices: Vec<Arc<Device>>) -> Fsu {
    let mut id = FsuId { len: 8, ..FsuId::default() };
    id.bytes[..8].copy_from_slice(b"20250125");
    Fsu {
        name: "test".into(),
        id,
        id_hex: hex::encode_upper(id.given()).into(),
        bind: ([127, 0, 0, 1], 0).into(),
        transport: Transport::Udp,
        heartbeat_interval_ms: None,
        heartbeat_reply: false,
        client_timeout_ms: 1,
        accept_any_id: false,
        accept_rtn_flags: crate::plan::fleet::RtnFlags::default(),
        limits: Limits::default(),
        allow: Arc::default(),
        devices: devices.into(),
        faults: None,
    }
}

/// These FSUs, with nothing else of note.
pub(crate) fn fleet(fsus: Vec<Fsu>) -> Fleet {
    let log = LogPlan {
        level: log::LevelFilter::Off,
        dir: "unused".into(),
        file: "unused".into(),
        bytes_max: 0,
        age_days_max: 0,
        async_write: false,
        language: Language::En,
        on_full: OnFull::Drop,
    };
    Fleet { fsus, center: None, log, performance: Performance::default(), allow_amplification: false }
}

/// What a stage said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) sent: Vec<(Outgoing, i64, Vec<u8>)>,
    pub(crate) received: Vec<(Vec<u8>, Option<Reason>)>,
    pub(crate) notes: Vec<Reason>,
}

impl Sink for Said {
    fn send(&mut self, what: Outgoing, due_ns: i64, bytes: &[u8]) {
        self.sent.push((what, due_ns.saturating_sub(NOW.arrived_ns).div_euclid(NS_PER_MS), bytes.to_vec()));
    }

    fn received(&mut self, bytes: &[u8], dropped: Option<Reason>) {
        self.received.push((bytes.to_vec(), dropped));
    }

    fn note(&mut self, reason: Reason, _: &[u8]) {
        self.notes.push(reason);
    }
}

/// A state with a scratch whose buffers hold something from before.
pub(crate) fn start(fsu: &Fsu) -> (FsuState, Scratch) {
    let stale = || vec![0xA5; 11];
    let scratch = Scratch {
        outer: stale(),
        raw: stale(),
        reply: stale(),
        wire: stale(),
        framed: stale(),
        escaped: stale(),
        text: stale(),
        ..Scratch::default()
    };
    (FsuState::new(fsu), scratch)
}

/// Drops by reason, in the order of [`Reason::ALL`].
pub(crate) fn drops(state: &FsuState) -> Vec<(Reason, u64)> {
    let counted = Reason::ALL.iter().map(|reason| (*reason, state.counters.dropped[*reason as usize]));
    counted.filter(|(_, count)| *count > 0).collect()
}
