//! Connections over TLS: the other end is a session without a socket, too.

use super::*;
use crate::shard::tcp::tls::TLS_HANDSHAKE_MS;
use fsu_plan::model::connect::{Connect, DialFailure};
use fsu_plan::model::tls::{Files, Tls};
use fsu_tls::fixtures::{Authority, Identity, plan};
use fsu_tls::{Client, Server, Session};
use std::sync::LazyLock;

static CA: LazyLock<Authority> = LazyLock::new(|| Authority::new("ca"));
static OWN: LazyLock<Identity> = LazyLock::new(|| CA.leaf(&["mock.example", "127.0.0.1"]));

fn listening() -> Arc<Tls> {
    plan(&Files { cert: Some(OWN.cert.as_bytes()), key: Some(OWN.key.as_bytes()), ..Files::default() })
}

fn trusting(name: &'static str) -> Arc<Tls> {
    plan(&Files { dials: true, ca: Some(CA.cert.as_bytes()), name, ..Files::default() })
}

fn world(with: impl Fn(&mut Fsu)) -> World {
    let tls = listening();
    World::new(&fleet(1, Transport::Tcp, |fsu| {
        fsu.tls = Some(tls.clone());
        with(fsu);
    }))
}

/// The other end of a connection.
struct Peer {
    session: Session,
    id: ConnId,
    heard: Vec<u8>,
    failed: Option<String>,
    has_ended: bool,
    /// Bytes travel to the shard in pieces of that many.
    piece: usize,
}

impl Peer {
    fn of(session: Option<Session>, id: ConnId) -> Self {
        let session = session.expect("memory");
        Self { session, id, heard: Vec::new(), failed: None, has_ended: false, piece: usize::MAX }
    }

    fn centre(world: &mut World) -> Self {
        let id = world.connect(1);
        world.serve.on_up(id, world.now(), &mut world.io);
        Self::of(Session::client(trusting("mock.example").made::<Client>().expect("a client")), id)
    }

    /// Takes what the shard has written.
    fn hear(&mut self, world: &mut World) {
        let wire = std::mem::take(&mut world.io.wire);
        match self.session.read(&wire, &mut self.heard) {
            Ok(took) => self.has_ended |= took.has_ended,
            Err(failure) => self.failed = Some(failure.why),
        }
    }

    /// Sends what it has to say by itself, and `text`.
    fn say(&mut self, world: &mut World, text: &str) {
        let mut wire = Vec::new();
        let send = |bytes: &[u8]| {
            wire.extend_from_slice(bytes);
            Ok::<_, ()>(bytes.len())
        };
        self.session.write(text.as_bytes(), send).expect("written");
        for part in wire.chunks(self.piece) {
            world.serve.on_bytes(self.id, part, world.now(), &mut world.io);
        }
    }

    /// The handshake, and what follows it.
    fn shake_hands(&mut self, world: &mut World) {
        for _ in 0..4 {
            self.say(world, "");
            self.hear(world);
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.heard).into_owned()
    }
}

#[test]
fn any_split_is_answered_as_without_tls() {
    for piece in [1, 2, 3, 5, 21, 100, 1_000, usize::MAX] {
        let mut world = world(|_| {});
        let mut peer = Peer { piece, ..Peer::centre(&mut world) };
        peer.shake_hands(&mut world);
        peer.say(&mut world, "xx[a0][b0]]y[");
        peer.say(&mut world, "[c0][d0]");
        peer.hear(&mut world);
        assert_eq!((&*peer.text(), world.dropped(Reason::Garbage)), ("abcd", 5), "{piece}");
        assert_eq!((world.counters().connections, world.counters().answered), (1, 4));
        assert_eq!(world.io.interest, Interest { read: true, write: false });
    }
}

#[test]
fn replies_that_are_due_later_and_pieces_are_encrypted_as_they_leave() {
    let mut world = world(|_| {});
    let mut peer = Peer::centre(&mut world);
    peer.shake_hands(&mut world);
    peer.say(&mut world, "[a0][b5][c1]");
    peer.hear(&mut world);
    assert_eq!(peer.text(), "a");
    world.run_to(49);
    peer.hear(&mut world);
    assert_eq!(peer.text(), "a");
    world.run_to(60);
    peer.hear(&mut world);
    assert_eq!(peer.text(), "abc");
}

/// A kernel that takes a few bytes at a time: what is counted as sent was taken whole.
#[test]
fn a_kernel_without_room_loses_nothing() {
    for room in [1, 50, 333, 5_000] {
        let mut world = World::logged(&fleet(1, Transport::Tcp, |fsu| fsu.tls = Some(listening())), true);
        let mut peer = Peer::centre(&mut world);
        peer.shake_hands(&mut world);
        world.io.room = 0;
        peer.say(&mut world, &"[!0]".repeat(20));
        assert_eq!((world.counters().answered, world.io.interest.write), (0, true));
        let mut turns = 0;
        while world.io.interest.write {
            world.io.room = room;
            world.serve.on_writable(peer.id, world.now(), &mut world.io);
            peer.hear(&mut world);
            let answered = world.counters().answered as usize;
            assert!(peer.heard.len() >= answered * 1_000, "{answered} replies, {} bytes", peer.heard.len());
            turns += 1;
            assert!(turns < 30_000);
        }
        assert_eq!((peer.heard.len(), world.counters().answered), (20_000, 20), "{room}");
        let taken = world.records.taken.lock().unwrap();
        let sent = taken.iter().filter(|(_, kind, ..)| *kind == RecordKind::Reply).count();
        assert_eq!((sent, world.serve.unsent_conns), (20, 0));
        // The log has frames, not records of TLS.
        assert!(taken.iter().all(|(.., text)| text.starts_with('[') || text.starts_with('!')));
    }
}

/// What ends a handshake: what the peer sends, how often it is counted as what.
#[test]
fn what_is_no_tls_is_counted_and_closed() {
    let check = |bytes: &[u8], reason: Reason| {
        let mut world = world(|_| {});
        let id = world.connect(1);
        world.serve.on_bytes(id, bytes, world.now(), &mut world.io);
        assert_eq!((world.dropped(reason), world.counters().dropped_total()), (1, 1), "{reason:?}");
        assert_eq!((world.io.closed.clone(), world.serve.conns.is_empty()), (vec![id], true));
        assert_eq!(world.counters().received, 0);
        // The next one is served.
        let mut peer = Peer::centre(&mut world);
        world.io.wire.clear();
        peer.shake_hands(&mut world);
        peer.say(&mut world, "[a0]");
        peer.hear(&mut world);
        assert_eq!(peer.text(), "a");
    };
    check(b"[a0][b0]", Reason::TlsPlain);
    check(b"GET / HTTP/1.0\r\n\r\n", Reason::TlsPlain);
    check(&[0x17, 3, 3, 0, 1, 0], Reason::TlsHandshake);
    check(&[0x15, 3, 3, 0, 2, 2, 48], Reason::TlsCertificate);
}

#[test]
fn a_peer_that_leaves_early_is_counted() {
    for is_reset in [false, true] {
        let mut world = world(|_| {});
        let id = world.connect(1);
        if is_reset {
            world.serve.on_closed(id, None, world.now(), &mut world.io);
        } else {
            world.serve.on_eof(id, world.now(), &mut world.io);
        }
        assert_eq!((world.dropped(Reason::TlsClosed), world.io.closed.len()), (1, 1));
        assert!(world.serve.conns.is_empty());
    }
}

#[test]
fn limit_tls_handshake_ms() {
    let mut world = world(|_| {});
    let id = world.connect(1);
    world.run_to(TLS_HANDSHAKE_MS - 1);
    // Half a handshake is none.
    world.serve.on_bytes(id, &[0x16, 3, 1, 1, 0, 1], world.now(), &mut world.io);
    assert_eq!(world.io.closed, []);
    world.run_to(TLS_HANDSHAKE_MS);
    assert_eq!((world.io.closed.clone(), world.dropped(Reason::TlsTimeout)), (vec![id], 1));
}

#[test]
fn once_it_is_up_other_limits_count() {
    let mut world = world(|fsu| fsu.limits.idle_timeout_ms = 60_000);
    let mut peer = Peer::centre(&mut world);
    peer.shake_hands(&mut world);
    world.run_to(59_999);
    assert_eq!(world.io.closed, []);
    world.run_to(60_000);
    assert_eq!((world.io.closed.len(), world.dropped(Reason::IdleTimeout)), (1, 1));
    // It was said.
    peer.hear(&mut world);
    assert!(peer.has_ended && peer.failed.is_none());
}

#[test]
fn a_changed_record_closes_the_connection_behind_the_replies_before_it() {
    let mut world = world(|_| {});
    let mut peer = Peer::centre(&mut world);
    peer.shake_hands(&mut world);
    peer.say(&mut world, "[a0]");
    world.serve.on_bytes(
        peer.id,
        &[0x17, 3, 3, 0, 20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20],
        world.now(),
        &mut world.io,
    );
    peer.hear(&mut world);
    assert_eq!((&*peer.text(), world.dropped(Reason::TlsRecord), world.io.closed.len()), ("a", 1, 1));
    assert!(peer.failed.is_some());
}

/// The end of the peer's half is that of its requests: what is due is still sent.
#[test]
fn a_peer_that_says_goodbye_gets_what_is_due() {
    for is_said in [true, false] {
        let mut world = world(|_| {});
        let mut peer = Peer::centre(&mut world);
        peer.shake_hands(&mut world);
        peer.say(&mut world, "[a5]");
        if is_said {
            peer.session.end();
            peer.say(&mut world, "");
        }
        world.serve.on_eof(peer.id, world.now(), &mut world.io);
        assert_eq!(world.io.closed, []);
        world.run_to(50);
        peer.hear(&mut world);
        assert_eq!((&*peer.text(), peer.has_ended, world.io.closed.len()), ("a", true, 1), "{is_said}");
        assert_eq!(world.counters().dropped_total(), 0);
    }
}

fn dialling(name: &'static str) -> World {
    let connect = Connect {
        to: address(900),
        from: Box::default(),
        first: 0,
        reconnect_ms: (100, 100),
        per_second: None,
        tls: Some(trusting(name)),
        listens: false,
    };
    World::new(&fleet(1, Transport::Tcp, |fsu| fsu.connect = Some(Arc::new(connect.clone()))))
}

/// A centre that accepts what the FSU dialled last.
fn accepting(world: &mut World) -> Peer {
    let id = world.io.dialled.last().expect("a dial").1;
    world.serve.on_dialled(id, Ok(()), world.now(), &mut world.io);
    Peer::of(Session::server(listening().made::<Server>().expect("a server")), id)
}

#[test]
fn a_dialled_connection_is_up_when_its_handshake_is() {
    let mut world = dialling("127.0.0.1");
    world.tick();
    let mut peer = accepting(&mut world);
    assert_eq!((world.counters().connections, world.io.wire.len() > 100), (0, true));
    peer.hear(&mut world);
    assert_eq!(world.counters().connections, 0);
    peer.shake_hands(&mut world);
    assert_eq!(world.counters().connections, 1);
    peer.say(&mut world, "[a0]");
    peer.hear(&mut world);
    assert_eq!((&*peer.text(), *world.counters().dial_failures), ("a", [0; DialFailure::COUNT]));
}

#[test]
fn a_dial_without_a_handshake_failed_and_is_made_again() {
    let check = |name: &'static str, end: fn(&mut World, &mut Peer), reason: Reason| {
        let mut world = dialling(name);
        world.tick();
        let mut peer = accepting(&mut world);
        end(&mut world, &mut peer);
        let mut counts = [0; DialFailure::COUNT];
        counts[DialFailure::Tls as usize] = 1;
        assert_eq!((*world.counters().dial_failures, world.dropped(reason)), (counts, 1), "{reason:?}");
        assert_eq!((world.counters().connections, world.io.closed.len()), (0, 1));
        let again_ms = world.io.ms + 100;
        world.run_to(again_ms);
        assert_eq!(world.io.dialled.len(), 2);
    };
    let shake = |world: &mut World, peer: &mut Peer| {
        peer.hear(world);
        peer.shake_hands(world);
    };
    check("other.example", shake, Reason::TlsCertificate);
    check(
        "127.0.0.1",
        |world, peer| world.serve.on_bytes(peer.id, b"hello", world.now(), &mut world.io),
        Reason::TlsPlain,
    );
    check("127.0.0.1", |world, peer| world.serve.on_eof(peer.id, world.now(), &mut world.io), Reason::TlsClosed);
    check("127.0.0.1", |world, _| world.run_to(TLS_HANDSHAKE_MS), Reason::TlsTimeout);
}
