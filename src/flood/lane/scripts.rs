//! Whole runs as data: what a server does with each request, and what the columns say then, at any window.

use super::*;
use crate::book::account::Account;
use crate::book::{Book, Seen};
use proptest::prelude::*;
use std::collections::BTreeMap;

const TIMEOUT: u64 = 100;

/// What becomes of the reply to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It comes after so long.
    Right(u64),
    /// It does not come.
    Lost,
    /// It comes twice.
    Doubled(u64, u64),
    /// It comes with its request's bytes, and is wrong.
    Wrong(u64),
    /// It comes damaged: whose it is cannot be read.
    Damaged(u64),
}

/// The columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Columns {
    good: u64,
    late: u64,
    wrong: u64,
    lost: u64,
    doubled: u64,
    unexpected: u64,
}

/// Is a reply read by its bytes?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Right,
    Wrong,
    Damaged,
}

/// A reply to request number `to`. With an echo it has that number in it.
struct Came {
    to: u64,
    kind: Kind,
    echo: bool,
}

impl Came {
    fn class(echo: bool, number: u64) -> u64 {
        if echo { number + 1 } else { 0 }
    }
}

impl Matcher for Came {
    fn read(&mut self, _: u32, classes: &mut Vec<u64>) -> Result<(), Wrong> {
        if self.kind == Kind::Damaged {
            return Err(Wrong::Checksum);
        }
        classes.push(Self::class(self.echo, self.to));
        Ok(())
    }

    fn check(&mut self, flight: &Flight) -> Result<Right, Wrong> {
        match self.kind {
            Kind::Damaged => Err(Wrong::Checksum),
            Kind::Wrong => Err(Wrong::Static),
            Kind::Right if flight.class == Self::class(self.echo, self.to) => Ok(None),
            Kind::Right => Err(Wrong::Copied),
        }
    }

    fn repeats(&mut self, _: u32) -> bool {
        self.kind == Kind::Right
    }

    fn timing(&self, _: &Flight) -> Timing {
        Timing::default()
    }
}

/// What a run came to.
#[derive(Debug, PartialEq, Eq)]
struct Ran {
    columns: Columns,
    sent: u64,
    uncertain: u64,
    account: Account,
}

/// A closed loop of one FSU: `window` under way, as many requests as there are fates. A step of time is the unit.
struct Loop {
    lane: Lane,
    book: Book,
    echo: bool,
    open: usize,
    /// Replies on their way: when, in what order they were given.
    coming: BTreeMap<(u64, u64), (u64, Kind)>,
    given: u64,
}

const SEEN: Seen<'_> = Seen { fsu: "one", account: 0, bytes: &[], now_ns: 0 };

impl Loop {
    fn send(&mut self, number: u64, fate: Fate, now: u64) {
        let raw = if self.echo { number.to_be_bytes().to_vec() } else { Vec::new() };
        let class = Came::class(self.echo, number);
        let flight = Flight { class, raw, planned_ns: now, sent_ns: now, ..Flight::default() };
        self.book.sent(0, 0, &flight);
        self.lane.push(flight);
        self.open += 1;
        let mut come = |after: u64, kind: Kind| {
            self.given += 1;
            self.coming.insert((now + after, self.given), (number, kind));
        };
        match fate {
            Fate::Right(after) => come(after, Kind::Right),
            Fate::Lost => {}
            Fate::Doubled(first, second) => {
                come(first, Kind::Right);
                come(first + second, Kind::Right);
            }
            Fate::Wrong(after) => come(after, Kind::Wrong),
            Fate::Damaged(after) => come(after, Kind::Damaged),
        }
    }

    fn receive(&mut self, now: u64, to: u64, kind: Kind) {
        let seen = Seen { now_ns: now, ..SEEN };
        self.book.received(0);
        let mut settled = self.lane.settle(now, &mut Came { to, kind, echo: self.echo });
        if let Settled::Held(wrong) = settled
            && !self.lane.hold(now, wrong, &[])
        {
            settled = Settled::Unexpected(Some(wrong));
        }
        self.open -= usize::from(self.book.settled(settled, seen, |_| 0, |_| Vec::new()).is_some());
    }

    fn expire(&mut self, now: u64, all: bool) {
        let (book, open) = (&mut self.book, &mut self.open);
        let gone = |gone: Gone<'_>| *open -= usize::from(book.gone(&gone, SEEN, |_| 0, |_| Vec::new()));
        if all {
            self.lane.close(&mut Vec::new(), gone);
        } else {
            self.lane.expire(now, &mut Vec::new(), gone);
        }
    }
}

fn run(window: usize, echo: bool, fates: &[Fate]) -> Ran {
    let mut book = Book::new(1, 0);
    book.accounts = vec![Account::default()];
    let lane = Lane::new(1, TIMEOUT);
    let mut all = Loop { lane, book, echo, open: 0, coming: BTreeMap::new(), given: 0 };
    let (mut next, mut now) = (0, 0);
    while next < fates.len() || all.open > 0 || !all.coming.is_empty() {
        all.expire(now, false);
        while all.open < window && next < fates.len() {
            all.send(next as u64, fates[next], now);
            next += 1;
        }
        while let Some(entry) = all.coming.first_entry()
            && entry.key().0 <= now
        {
            let (to, kind) = entry.remove();
            all.receive(now, to, kind);
        }
        now += 1;
    }
    all.expire(now, true);
    let row = all.book.tally.total();
    let other = all.book.tally.other;
    let columns = Columns {
        good: row.requests.good,
        late: row.requests.late,
        wrong: row.requests.wrong,
        lost: row.requests.lost,
        doubled: other.duplicate,
        unexpected: other.unexpected,
    };
    Ran { columns, sent: row.requests.sent, uncertain: row.uncertain, account: all.book.accounts[0] }
}

/// What the server knows that did it: each request by its first reply, each reply after that beside it.
fn naive(fates: &[Fate]) -> Columns {
    let mut columns = Columns::default();
    for fate in fates {
        let column = match *fate {
            Fate::Right(after) | Fate::Doubled(after, _) if after > TIMEOUT => &mut columns.late,
            Fate::Right(_) | Fate::Doubled(..) => &mut columns.good,
            Fate::Lost => &mut columns.lost,
            Fate::Wrong(_) | Fate::Damaged(_) => &mut columns.wrong,
        };
        *column += 1;
        columns.doubled += u64::from(matches!(fate, Fate::Doubled(..)));
    }
    columns
}

/// Each request in one column, each frame in one column, whatever is known.
fn balances(ran: &Ran) {
    assert!(ran.account.balances() && ran.account.has_all_received(), "{ran:?}");
    let Columns { good, late, wrong, lost, .. } = ran.columns;
    assert_eq!(ran.sent, good + late + wrong + lost, "{ran:?}");
}

const WINDOWS: [usize; 4] = [1, 2, 16, 64];

/// With an echo every column is that of the server, at every window.
fn check(name: &str, expected: Columns, fate: impl Fn(u64) -> Fate) {
    let fates: Vec<Fate> = (0..1_000).map(fate).collect();
    assert_eq!(naive(&fates), expected, "{name}");
    for window in WINDOWS {
        let ran = run(window, true, &fates);
        balances(&ran);
        assert_eq!((ran.columns, ran.uncertain), (expected, 0), "{name}, window {window}");
        // Without one the columns still balance, and it is told how many are not certain.
        let blind = run(window, false, &fates);
        balances(&blind);
        assert!(blind.uncertain >= 990, "{name}, window {window}: {blind:?}");
    }
}

#[test]
fn h07_what_a_server_does_is_what_the_columns_say() {
    let none = Columns::default();
    check("all right", Columns { good: 1_000, ..none }, |_| Fate::Right(3));
    check("lost", Columns { good: 980, lost: 20, ..none }, |n| if n % 50 == 7 { Fate::Lost } else { Fate::Right(3) });
    check("doubled", Columns { good: 1_000, doubled: 20, ..none }, |n| match n % 50 {
        7 => Fate::Doubled(3, 0),
        _ => Fate::Right(3),
    });
    // Each lost one has a doubled one beside it: equal requests would cancel them out.
    check("lost and doubled", Columns { good: 980, lost: 20, doubled: 20, ..none }, |n| match n % 50 {
        7 => Fate::Lost,
        8 => Fate::Doubled(3, 0),
        _ => Fate::Right(3),
    });
    check("doubled a while later", Columns { good: 980, lost: 20, doubled: 20, ..none }, |n| match n % 50 {
        7 => Fate::Lost,
        8 => Fate::Doubled(3, 60),
        _ => Fate::Right(3),
    });
    check("late", Columns { good: 980, late: 20, ..none }, |n| Fate::Right(if n % 50 == 7 { 150 } else { 3 }));
    check("wrong", Columns { good: 980, wrong: 20, ..none }, |n| match n % 50 {
        7 => Fate::Wrong(3),
        _ => Fate::Right(3),
    });
    check("damaged", Columns { good: 980, wrong: 20, ..none }, |n| match n % 50 {
        7 => Fate::Damaged(3),
        _ => Fate::Right(3),
    });
    check("wrong and late", Columns { good: 980, wrong: 20, ..none }, |n| match n % 50 {
        7 => Fate::Wrong(150),
        _ => Fate::Right(3),
    });
    check("out of order", Columns { good: 1_000, ..none }, |n| Fate::Right(1 + n * 7 % 40));
    check("everything", Columns { good: 880, late: 40, wrong: 40, lost: 40, doubled: 40, unexpected: 0 }, |n| {
        match n % 50 {
            7 | 30 => Fate::Lost,
            8 | 31 => Fate::Doubled(2, 5),
            9 | 32 => Fate::Right(130),
            10 => Fate::Wrong(3),
            40 => Fate::Damaged(3),
            other => Fate::Right(1 + other % 4),
        }
    });
}

/// The same at a pace at which none is under way within a time-out of another: they cannot be mistaken, and that is known.
#[test]
fn h07_equal_requests_far_apart_are_certain() {
    let mut all = Loop {
        lane: Lane::new(1, TIMEOUT),
        book: Book::new(1, 0),
        echo: false,
        open: 0,
        coming: BTreeMap::new(),
        given: 0,
    };
    for n in 0..40_u64 {
        let now = n * 1_000;
        all.expire(now, false);
        all.send(n, Fate::Lost, now);
        for _ in 0..[1, 0, 2, 1][n as usize % 4] {
            all.receive(now + 5, n, Kind::Right);
        }
    }
    all.expire(100_000, false);
    let row = all.book.tally.total();
    assert_eq!((row.requests.good, row.requests.lost, row.uncertain), (30, 10, 0));
    assert_eq!(all.book.tally.other.duplicate, 10);
}

fn fate() -> impl Strategy<Value = Fate> {
    let right = || (1..90_u64).prop_map(Fate::Right);
    prop_oneof![
        12 => right(),
        2 => Just(Fate::Lost),
        2 => (1..60_u64, 0..30_u64).prop_map(|(first, second)| Fate::Doubled(first, second)),
        1 => (110..300_u64).prop_map(Fate::Right),
        1 => (1..90_u64).prop_map(Fate::Wrong),
        1 => (1..90_u64).prop_map(Fate::Damaged),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever the server does, in whatever order: the columns are those of the server, and without an echo they balance.
    #[test]
    fn h07_columns_are_those_of_the_server(window in 1..70_usize, fates in prop::collection::vec(fate(), 1..300)) {
        let ran = run(window, true, &fates);
        balances(&ran);
        prop_assert_eq!((ran.columns, ran.uncertain), (naive(&fates), 0));
        balances(&run(window, false, &fates));
    }
}
