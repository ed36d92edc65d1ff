//! What is kept of transfers, without a configuration or an exchange.

use super::*;
use crate::fixtures::{device, fsu};
use fsu_plan::model::field::{Computed, Field, Kind, Offset, Slot};
use fsu_plan::wire::fixtures::{self, delimited};

/// Frames of 4 bytes of data.
fn transfer() -> Transfer {
    fixtures::transfer(4)
}

fn field(name: &str) -> Field {
    let slot = Slot { kind: Kind::Hex, len: 1, little: false, right: true, padding: 0 };
    Field { name: name.into(), at: Offset(1), slot, computed: Computed::No }
}

#[test]
fn a_transfer_goes_on_where_its_frames_are_laid_out_alike() {
    let with = |change: &dyn Fn(&mut Template, &mut Transfer)| {
        let mut template = Template { left: [field("address")].into(), tail: [field("sum")].into(), ..delimited() };
        let mut transfer = transfer();
        change(&mut template, &mut transfer);
        Template { transfer: Some(transfer), ..template }
    };
    let check = |expected: bool, change: &dyn Fn(&mut Template, &mut Transfer)| {
        let (before, after) = (with(&|_, _| {}), with(change));
        assert_eq!((is_same(&before, &after), is_same(&after, &before)), (expected, expected));
    };
    check(true, &|_, _| {});
    check(true, &|_, transfer| (transfer.timeout_ms, transfer.transfers_max, transfer.bytes_max) = (5, 6, 7));
    check(true, &|template, _| template.start = [0x55].into());
    check(false, &|_, transfer| transfer.cmd = 1..2);
    check(false, &|_, transfer| transfer.data_cmd = [0x13].into());
    check(false, &|_, transfer| transfer.sn.little = true);
    check(false, &|_, transfer| transfer.last_bit = 6);
    check(false, &|_, transfer| transfer.did.at = Offset(2));
    check(false, &|_, transfer| transfer.accept = 0..1);
    check(false, &|_, transfer| transfer.chunk_bytes = 5);
    check(false, &|template, _| template.left = [field("other")].into());
    check(false, &|template, _| template.tail = Box::default());
    // One of them has none.
    assert!(!is_same(&with(&|_, _| {}), &delimited()) && !is_same(&delimited(), &with(&|_, _| {})));
}

#[test]
fn payloads_are_cut_into_chunks() {
    let transfer = transfer();
    let payload = [1, 2, 3, 4, 5, 6, 7, 8, 9];
    let chunks: Vec<&[u8]> = (0..4).map(|number| transfer.chunk(&payload, number)).collect();
    assert_eq!(chunks, [&payload[0..4], &payload[4..8], &payload[8..9], &[]]);
    assert!(transfer.chunk(&payload, u64::MAX).is_empty());
    assert_eq!([0, 1, 4, 5, 8, 9].map(|bytes| transfer.frames(bytes)), [0, 1, 1, 2, 2, 3]);
    assert_eq!((transfer.count_mask(), transfer.last_mark()), (0x7F, 0x80));
    assert_eq!(transfer.payload_bytes_max(), 100);
    assert_eq!(Transfer { bytes_max: 1_000_000, ..transfer }.payload_bytes_max(), 4 << 7);
}

/// A transfer of `bytes` bytes whose last sent frame has the number `last`.
fn open(bytes: usize, last: u64) -> Open {
    let key = Key { device: 0, peer: ([127, 0, 0, 1], 5).into(), did: 1 };
    Open {
        key,
        head: vec![0x7E, 1, 0x10, 0, 0x0D],
        data: Data::Own(vec![7; bytes]),
        last,
        since_ms: 2_000,
        first_ms: 2_000,
        host: 0,
        client: 0,
    }
}

#[test]
fn the_last_frame_completes_it() {
    let complete = |bytes, last| open(bytes, last).is_complete(&transfer());
    assert_eq!(
        [(1, 0), (4, 0), (5, 0), (5, 1), (12, 1), (12, 2)].map(|(bytes, last)| complete(bytes, last)),
        [true, true, false, true, false, true]
    );
}

#[test]
fn it_is_idle_a_timeout_after_its_frame_was_due() {
    let idle = |now_ms| open(9, 0).is_idle(&transfer(), now_ms);
    assert_eq!([0, 2_000, 2_999, 3_000, 9_000].map(idle), [false, false, false, true, true]);
}

#[test]
fn asking_again_keeps_it_for_three_timeouts() {
    let after = |is_next, now_ms| {
        let mut open = open(9, 0);
        open.on_frame_due(is_next, &transfer(), (now_ms, now_ms + 10));
        (open.first_ms, open.since_ms)
    };
    assert_eq!(after(false, 2_500), (2_000, 2_510));
    assert_eq!(after(false, 4_999), (2_000, 5_009));
    assert_eq!(after(false, 5_000), (2_000, 2_000));
    // The next frame starts the count again.
    assert_eq!(after(true, 5_000), (5_010, 5_010));
}

#[test]
fn of_those_that_may_go_the_longest_idle_one_does() {
    let mut transfers = Transfers::default();
    for (since_ms, did) in [(30, 0), (10, 1), (20, 2), (10, 3)] {
        transfers.list.push(Open { since_ms, key: Key { did, ..open(1, 0).key }, ..open(1, 0) });
    }
    assert_eq!(longest_idle(&transfers, |_| true), Some(1));
    assert_eq!(longest_idle(&transfers, |open| open.key.did != 1), Some(3));
    assert_eq!(longest_idle(&transfers, |open| open.key.did == 0), Some(0));
    assert_eq!(longest_idle(&transfers, |_| false), None);
}

#[test]
fn an_ended_transfer_leaves_its_place_and_small_buffers() {
    let mut transfers = Transfers::default();
    let enter = |transfers: &mut Transfers, bytes: usize| {
        let mut one = open(bytes, 0);
        one.host = transfers.hosts.enter(one.key.peer.ip());
        one.client = transfers.clients.enter(one.key.peer);
        transfers.list.push(one);
    };
    for bytes in [KEPT_BUFFER_BYTES_MAX + 1, 9] {
        enter(&mut transfers, bytes);
    }
    let peer = open(1, 0).key.peer;
    let held = |transfers: &Transfers| (transfers.len(), transfers.hosts.held(peer.ip()), transfers.clients.held(peer));
    assert_eq!((held(&transfers), transfers.is_empty()), ((2, 2, 2), false));
    transfers.remove(0);
    assert_eq!((held(&transfers), transfers.spare.len()), ((1, 1, 1), 1));
    transfers.remove(0);
    assert_eq!((held(&transfers), transfers.is_empty(), transfers.spare.len()), ((0, 0, 0), true, 3));
    // A buffer that is used again holds nothing from before.
    assert_eq!(transfers.buffer(&[1, 2]), [1, 2]);
    assert_eq!(transfers.spare.len(), 2);
}

#[test]
fn how_a_transfer_ended_is_counted_unless_it_was_complete() {
    let fsu = fsu(vec![device(delimited(), 1, 1, false)]);
    let counted = |last, how| {
        let mut state = FsuState::new(&fsu);
        state.transfers.list.push(open(9, last));
        end(&mut state, 0, &transfer(), how);
        assert!(state.transfers.is_empty());
        (state.counters.transfers_aborted, state.counters.transfers_timed_out)
    };
    assert_eq!([counted(0, End::Aborted), counted(0, End::Idle)], [(1, 0), (0, 1)]);
    assert_eq!([counted(2, End::Aborted), counted(2, End::Idle)], [(0, 0), (0, 0)]);
}

/// Idle ones end; returns the shortest time until another may be idle.
#[test]
fn a_sweep_ends_what_is_idle() {
    let with = |timeout_ms| {
        let template = Template { transfer: Some(Transfer { timeout_ms, ..transfer() }), ..delimited() };
        device(template, 1, 1, false)
    };
    let fsu = fsu(vec![with(1_000), with(300), device(delimited(), 1, 1, false)]);
    let swept = |now_ms| {
        let mut state = FsuState::new(&fsu);
        for device in [0, 1, 0] {
            state.transfers.list.push(Open { key: Key { device, ..open(9, 0).key }, ..open(9, 0) });
        }
        let next = sweep(&mut state, &fsu, now_ms);
        (next, state.transfers.len(), state.counters.transfers_timed_out)
    };
    assert_eq!(swept(2_299), (Some(300), 3, 0));
    assert_eq!(swept(2_300), (Some(1_000), 2, 1));
    assert_eq!(swept(3_000), (None, 0, 3));
}

/// Transfers of these hosts and ports, and until when each is idle; those that are complete. Who may come then, and who goes.
#[test]
fn a_place_for_one_more() {
    type Held = (u8, u16, u64, bool);
    let template = Template { transfer: Some(transfer()), ..delimited() };
    let fsu = fsu(vec![device(template, 1, 1, false)]);
    let device = &fsu.devices[0];
    let transfer = device.template.transfer.as_ref().expect("transfers");
    let peer = |host: u8, port: u16| SocketAddr::from(([127, 0, 0, host], port));
    let goes = |held: &[Held], host: u8, port: u16| {
        let mut state = FsuState::new(&fsu);
        for &(host, port, since_ms, complete) in held {
            let mut one = open(9, if complete { 2 } else { 0 });
            (one.key.peer, one.since_ms) = (peer(host, port), since_ms);
            one.host = state.transfers.hosts.enter(one.key.peer.ip());
            one.client = state.transfers.clients.enter(one.key.peer);
            state.transfers.list.push(one);
        }
        let key = Key { device: 0, peer: peer(host, port), did: 9 };
        let may = Wanted { fsu: &fsu, transfer, key, now_ms: 3_000 }.make_room(&mut state);
        let left: Vec<Held> = state
            .transfers
            .list
            .iter()
            .map(|one| {
                let IpAddr::V4(ip) = one.key.peer.ip() else { panic!("an address of IPv4") };
                (ip.octets()[3], one.key.peer.port(), one.since_ms, one.is_complete(transfer))
            })
            .collect();
        let gone: Vec<usize> = (0..held.len()).filter(|&number| !left.contains(&held[number])).collect();
        let counters = &state.counters;
        (may, gone, counters.transfers_aborted, counters.transfers_timed_out)
    };
    let busy = |host: u8, port: u16, n: u64| (host, port, 2_500 + n, false);
    // There are places for four.
    assert_eq!(goes(&[busy(1, 1, 0), busy(1, 1, 1), busy(1, 1, 2)], 2, 1), (true, vec![], 0, 0));
    // What is idle for a second goes, all of it.
    let idle = [(1, 1, 2_000, false), busy(1, 1, 1), (1, 2, 1_999, false), (1, 1, 2_001, false)];
    assert_eq!(goes(&idle, 2, 1), (true, vec![0, 2], 0, 2));
    // One host has all places: its longest idle one goes for another host's first.
    let one_host = [busy(1, 1, 5), busy(1, 1, 3), busy(1, 1, 4), busy(1, 1, 6)];
    assert_eq!(goes(&one_host, 2, 1), (true, vec![1], 1, 0));
    assert_eq!(goes(&one_host, 1, 1), (false, vec![], 0, 0));
    // Among the clients of one host likewise.
    assert_eq!(goes(&one_host, 1, 2), (true, vec![1], 1, 0));
    // Whoever has one less than another gets none of that one's: places would go to and fro.
    let two_hosts = [busy(1, 1, 5), busy(1, 2, 3), busy(2, 1, 4), busy(2, 1, 6)];
    assert_eq!(goes(&two_hosts, 2, 2), (true, vec![2], 1, 0));
    assert_eq!(goes(&two_hosts, 1, 3), (false, vec![], 0, 0));
    assert_eq!(goes(&[busy(1, 1, 5), busy(1, 2, 3), busy(1, 3, 4), busy(2, 1, 6)], 2, 1), (true, vec![1], 1, 0));
    assert_eq!(goes(&[busy(1, 1, 5), busy(1, 2, 3), busy(2, 2, 4), busy(3, 1, 6)], 2, 1), (false, vec![], 0, 0));
    // One that was sent whole goes first, if its host has no fewer places than the one that comes.
    let whole = [busy(1, 1, 5), busy(1, 1, 3), (1, 1, 2_999, true), (2, 1, 2_100, true)];
    assert_eq!(goes(&whole, 3, 1), (true, vec![3], 0, 0));
    assert_eq!(goes(&whole, 1, 1), (true, vec![2], 0, 0));
}
