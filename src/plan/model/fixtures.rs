//! A small fleet for tests.

use super::field::Offset;
use super::fleet::{
    Common, Device, Fleet, Fsu, FsuId, Language, Layouts, Limits, LogPlan, OnFull, Performance, RtnFlags,
    VerifyChecksum,
};
use super::message::Transport;
use super::profile::Profiled;
use super::reply::{Patch, Payload, Reply};
use super::rule::{Delay, Rule};
use super::share::Share;
use super::template::{ErrorReply, Template};
use crate::wire::fixtures::{COMMANDS, raw_frame};
use std::sync::Arc;

/// Without data, but for what a fixed size asks for; the address and the command are the request's.
fn echo(template: &Template) -> Arc<Reply> {
    let frame = raw_frame(template, 0, 0, &[]);
    Arc::new(Reply {
        data_len: frame.len() - template.left_len - template.tail_len,
        frame: frame.into(),
        patches: [Patch::Copy { from: Offset(1), to: 1, len: 2 }].into(),
        less: 0,
        refusal: None,
        payload: Payload::None,
    })
}

/// Command 10 is answered at once with its address, 11 not at all; a wrong checksum and an unknown command are
/// answered where `errors` says so.
pub fn device(mut template: Template, sub_dev_type: u8, sub_dev_addr: u8, errors: bool) -> Arc<Device> {
    let rule = |timeout, delay| Rule {
        walked: Box::default(),
        test: None,
        asks_more: false,
        effects: Box::default(),
        gaps_ms: Box::default(),
        frames: Box::default(),
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
        keeps: Arc::default(),
        conversation: None,
        profiles: Profiled::new(),
        layouts: Layouts::default(),
    })
}

/// "20250125", with these devices.
pub fn fsu(devices: Vec<Arc<Device>>) -> Fsu {
    let mut id = FsuId { len: 8, ..FsuId::default() };
    id.bytes[..8].copy_from_slice(b"20250125");
    Fsu {
        name: "test".into(),
        id,
        bind: ([127, 0, 0, 1], 0).into(),
        common: Arc::new(Common {
            transport: Transport::Udp,
            messages: Arc::default(),
            params: Arc::default(),
            heartbeat_reply: false,
            talks: false,
            client_timeout_ms: 1,
            accept_any_id: false,
            accept_rtn_flags: RtnFlags::default(),
            limits: Limits::default(),
            allow: Arc::default(),
            devices: devices.into(),
            faults: None,
            connect: None,
            tls: None,
        }),
    }
}

/// These FSUs, with nothing else of note.
pub fn fleet(fsus: Vec<Fsu>) -> Fleet {
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
    Fleet {
        fsus,
        center: None,
        log,
        performance: Performance::default(),
        accounts: Box::default(),
        params: Box::default(),
        allow_amplification: false,
        share: Share::default(),
    }
}
