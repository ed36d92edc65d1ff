//! A centre that tests turn by hand: real sockets, and a clock that they set.

use super::Options;
use super::centre::Centre;
use crate::clock::Clock;
use crate::hear::Hearing;
use crate::hear::acks::AckPolicy;
use crate::hear::desk::{Came, Desk, Path};
use crate::report::messages::{MessagesReport, SILENT_MAX};
use crate::talk::cast::Cast;
use crate::talk::tests::{RULES, TEMPLATE, cast, tree};
use fsu_plan::model::conversation::Account;
use fsu_plan::texts::Texts;
use std::sync::Arc;
use std::time::Instant;

/// A centre for trackers.
pub(crate) fn options(acks: AckPolicy) -> Options {
    let (_dir, fleet) = tree(TEMPLATE, RULES);
    Options {
        addresses: Vec::new(),
        accepts: true,
        tls: None,
        hearing: Arc::new(Hearing {
            cast: cast(&fleet),
            accounts: fleet.accounts.clone(),
            acks,
            seed: 1,
            ledger: None,
            past: crate::talk::recent::Past::default(),
        }),
        time: None,
        threads: 1,
        cpus: Vec::new(),
        connections_max: 2,
        resets_ns: Vec::new(),
        asked: None,
        quiet: true,
    }
}

/// Its desk.
pub(crate) fn desk(options: &Options) -> Centre<'_> {
    Centre { desk: Desk::new(&options.hearing, 0, Clock(Instant::now())), asking: None }
}

#[test]
fn a_report_tells_what_failed() {
    let options = options(AckPolicy { drop: 0.25, delay_ms: (1, 2), ..AckPolicy::default() });
    let mut desk = desk(&options);
    let report =
        |desk: &Desk<'_>| MessagesReport::new(&options.hearing, (&desk.count, &[([127, 0, 0, 1], 9).into()]), 1.0);
    assert!(report(&desk).failures().is_empty());
    desk.count.messages[0].received = 5;
    desk.count.by_fsu[1] = 4;
    let told = report(&desk);
    assert_eq!((told.received(), told.fsus, told.unidentified, told.acks.drop), (5, 1, 1, 0.25));
    desk.count.garbage_bytes = 1;
    desk.count.messages[0].failed = 2;
    desk.count.wrong("size", Some(0), || crate::hear::count::WrongSample {
        fsu: String::new(),
        message: "login".into(),
        bytes: vec![0xAB],
    });
    let expected = ["1 wrong message", "2 acknowledgements could not be sent", "1 byte of connections are no frame"];
    assert_eq!(report(&desk).failures(), expected);
    let text = report(&desk).text(Texts::ENGLISH);
    assert!(text.contains("  wrong (size, 1): login of ?\n    AB\n"), "{text}");
}

#[test]
fn what_is_put_off_keeps_its_way_and_its_bytes() {
    let options = options(AckPolicy::default());
    let mut desk = desk(&options);
    let login = crate::talk::tests::frame("860000000001000101020007");
    let said = options.hearing.cast.talks[0].read(&login, &mut desk.raw);
    let came = Came { talk: 0, said, wire: &login, known: None, is_stream: true };
    let mut recent = crate::talk::recent::Recent::default();
    let (speaker, answer) = desk.take(came, &mut recent);
    assert_eq!(speaker.map(|number| &*options.hearing.cast.speakers[number as usize].name), Some("tcp_00001"));
    let (answer, after_ms) = answer.unwrap();
    desk.now_ns = 1_000_000;
    desk.put_off(answer, after_ms + 5, Path::Stream(7, 3));
    assert!(desk.later.pop(5_999_999).is_none());
    let pending = desk.later.pop(6_000_000).unwrap();
    assert_eq!(*pending.wire, *crate::talk::tests::frame("8600000000010001810100"));
    assert!(matches!(pending.path, Path::Stream(7, 3)));
    // Only then is it acknowledged: until then the same bytes are a retry.
    let again = |desk: &mut Desk<'_>, recent: &mut _| {
        desk.raw.clear();
        let said = options.hearing.cast.talks[0].read(&login, &mut desk.raw);
        desk.take(Came { talk: 0, said, wire: &login, known: None, is_stream: true }, recent);
        let counts = desk.count.messages[0];
        (counts.received, counts.retried, counts.duplicate)
    };
    assert_eq!(again(&mut desk, &mut recent), (1, 1, 0));
    desk.sent(&pending.answer, 1, &mut recent);
    assert_eq!(again(&mut desk, &mut recent), (1, 1, 1));
    assert_eq!(desk.count.messages[0].acked, 1);
}

#[test]
fn values_of_another_fsu_are_wrong() {
    let options = options(AckPolicy::default());
    let mut desk = desk(&options);
    let mut check = |middle: &str, known: Option<u32>, expected: Option<&str>| {
        let wire = crate::talk::tests::frame(middle);
        let said = options.hearing.cast.talks[0].read(&wire, &mut desk.raw);
        let before = desk.count.wrong_by.get("own_value").copied().unwrap_or(0);
        let came = Came { talk: 0, said, wire: &wire, known, is_stream: false };
        let (speaker, _) = desk.take(came, &mut crate::talk::recent::Recent::default());
        let name = speaker.map(|number| &*options.hearing.cast.speakers[number as usize].name);
        let wrong = desk.count.wrong_by.get("own_value").copied().unwrap_or(0) - before;
        assert_eq!((name, wrong), (expected, u64::from(expected.is_none())), "{middle} {known:?}");
    };
    check("86000000000200000202001C", None, Some("tcp_00002"));
    check("86000000000200000202001C", Some(1), Some("tcp_00002"));
    check("86000000000200000202001C", Some(0), None);
    check("86000000009900000202001C", None, None);
    let nobody: &Cast = &options.hearing.cast;
    assert_eq!(nobody.talks_over(fsu_plan::model::message::Transport::Broadcast), [0_u32; 0]);
    let accounts: Vec<&Account> = options.hearing.accounts.iter().collect();
    assert_eq!(accounts.iter().filter(|account| account.is_acknowledged).count(), 2);
}

#[test]
fn limit_silent_max_and_silent_printed_max_of_a_report() {
    let options = options(AckPolicy::default());
    let report = |count: usize| {
        let silent = (0..count.min(SILENT_MAX)).map(|number| format!("f{number}")).collect();
        MessagesReport {
            silent,
            silent_fsus: count as u64,
            ..MessagesReport::new(&options.hearing, (&desk(&options).count, &[]), 1.0)
        }
    };
    let told = |count: usize| {
        let text = report(count).text(Texts::ENGLISH);
        let line = text.lines().find(|line| line.contains("not heard")).unwrap().to_owned();
        (line.matches('f').count(), line.split_once(" and ").map(|(_, more)| more.to_owned()))
    };
    assert_eq!([told(20), told(21)], [(20, None), (20, Some("1 more".to_owned()))]);
    assert_eq!(report(101).silent.len(), 100);
}
