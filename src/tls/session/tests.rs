use super::*;
use crate::fixtures::{Authority, Identity, self_signed};
use crate::make::{Client, Server, make};
use fsu_plan::model::tls::{Files, Found};

/// One side: its certificate, and the certificates that it trusts.
#[derive(Clone, Default)]
struct Side {
    own: Option<Identity>,
    ca: Option<String>,
    name: &'static str,
}

impl Side {
    fn files(&self, dials: bool) -> Files<'_> {
        Files {
            dials,
            cert: self.own.as_ref().map(|own| own.cert.as_bytes()),
            key: self.own.as_ref().map(|own| own.key.as_bytes()),
            ca: self.ca.as_ref().map(String::as_bytes),
            name: self.name,
        }
    }

    fn server(&self) -> Server {
        let (made, found) = make(&self.files(false));
        made.unwrap_or_else(|| panic!("{found:?}")).downcast_ref::<Server>().expect("a server").clone()
    }

    fn client(&self) -> Client {
        let (made, found) = make(&self.files(true));
        made.unwrap_or_else(|| panic!("{found:?}")).downcast_ref::<Client>().expect("a client").clone()
    }

    fn found(&self, dials: bool) -> Vec<Found> {
        make(&self.files(dials)).1
    }
}

/// A server of that name, and a client that trusts it.
fn pair() -> (Server, Client) {
    let ca = Authority::new("ca");
    let server = Side { own: Some(ca.leaf(&["mock.example"])), ..Side::default() };
    let client = Side { ca: Some(ca.cert.clone()), name: "mock.example", ..Side::default() };
    (server.server(), client.client())
}

/// A session, what it has said to the other one, and what it has heard.
struct End {
    session: Session,
    wire: Vec<u8>,
    heard: Vec<u8>,
    failed: Option<Failure>,
    has_ended: bool,
}

impl End {
    fn new(session: Option<Session>) -> Self {
        let session = session.expect("memory");
        Self { session, wire: Vec::new(), heard: Vec::new(), failed: None, has_ended: false }
    }

    fn flush(&mut self) {
        let Self { session, wire, .. } = self;
        let send = |bytes: &[u8]| {
            wire.extend_from_slice(bytes);
            Ok::<_, ()>(bytes.len())
        };
        assert_eq!(session.flush(send), Ok(true));
    }

    fn take(&mut self, bytes: &[u8]) {
        match self.session.read(bytes, &mut self.heard) {
            Ok(took) => self.has_ended |= took.has_ended,
            Err(failure) => self.failed = Some(failure),
        }
        self.flush();
    }

    fn say(&mut self, plain: &[u8]) {
        let Self { session, wire, .. } = self;
        let send = |bytes: &[u8]| {
            wire.extend_from_slice(bytes);
            Ok::<_, ()>(bytes.len())
        };
        assert_eq!(session.write(plain, send), Ok(plain.len()));
    }
}

/// Lets both speak until neither has anything to say; bytes travel in pieces of that many.
fn converse(server: &mut End, client: &mut End, piece: usize) {
    client.flush();
    loop {
        let said = std::mem::take(&mut client.wire);
        said.chunks(piece).for_each(|part| server.take(part));
        let said = std::mem::take(&mut server.wire);
        said.chunks(piece).for_each(|part| client.take(part));
        if client.wire.is_empty() && server.wire.is_empty() {
            return;
        }
    }
}

fn ends((server, client): &(Server, Client)) -> (End, End) {
    (End::new(Session::server(server)), End::new(Session::client(client)))
}

#[test]
fn plain_bytes_are_the_same_in_pieces_of_any_size() {
    let pair = pair();
    for piece in [1, 2, 3, 5, 7, 64, 1_000, 4_096, 16_384, usize::MAX] {
        let (mut server, mut client) = ends(&pair);
        converse(&mut server, &mut client, piece);
        assert!(server.session.is_up() && client.session.is_up(), "{piece}");
        let long: Vec<u8> = (0..100_000_u32).map(|n| n as u8).collect();
        client.say(b"question");
        server.say(&long);
        server.session.end();
        server.flush();
        converse(&mut server, &mut client, piece);
        assert_eq!((&*server.heard, client.heard == long), (&b"question"[..], true), "{piece}");
        assert_eq!((server.has_ended, client.has_ended), (false, true));
        // Its half is open still.
        client.say(b"more");
        converse(&mut server, &mut client, piece);
        assert_eq!(&*server.heard, b"questionmore");
        assert_eq!((&server.failed, &client.failed), (&None, &None));
    }
}

#[test]
fn a_handshake_is_done_however_its_bytes_are_cut_in_two() {
    let pair = pair();
    let hello = {
        let (_, mut client) = ends(&pair);
        client.flush();
        client.wire.len()
    };
    for cut in 0..=hello {
        let (mut server, mut client) = ends(&pair);
        client.flush();
        let said = std::mem::take(&mut client.wire);
        // Another hello may be some bytes longer or shorter.
        let (first, rest) = said.split_at(cut.min(said.len()));
        server.take(first);
        assert!(!server.session.is_up());
        server.take(rest);
        converse(&mut server, &mut client, usize::MAX);
        client.say(b"x");
        converse(&mut server, &mut client, usize::MAX);
        assert_eq!((&*server.heard, server.session.is_up()), (&b"x"[..], true), "{cut}");
    }
}

/// A kernel that takes a number of bytes at a time, and has no room in between.
#[test]
fn what_is_written_is_what_was_taken_as_a_whole() {
    let pair = pair();
    for room in [1, 7, 100, 16_405, 16_406, 16_407, 20_000, 1_000_000] {
        let (mut server, mut client) = ends(&pair);
        converse(&mut server, &mut client, usize::MAX);
        let plain: Vec<u8> = (0..40_000_u32).map(|n| (n >> 3) as u8).collect();
        let (mut done, mut wire) = (0, Vec::new());
        while done < plain.len() {
            let mut left = room;
            let send = |bytes: &[u8]| {
                let count = bytes.len().min(left);
                left -= count;
                wire.extend_from_slice(&bytes[..count]);
                Ok::<_, ()>(count)
            };
            let before = done;
            done += server.session.write(&plain[done..], send).expect("written");
            client.take(&std::mem::take(&mut wire));
            // What it says is sent was heard by the peer, and no more than a record beside it.
            assert!(client.heard.len() >= done && client.heard.len() - done <= SEALED_BYTES_MAX, "{room}: {before}");
            assert!(done < plain.len() || !server.session.wants_write());
        }
        assert!(client.heard == plain, "{room}");
        assert!(server.session.out.capacity() == 0, "an idle session holds no buffer");
    }
}

#[test]
fn limit_sealed_bytes_max() {
    let (mut server, mut client) = ends(&pair());
    converse(&mut server, &mut client, usize::MAX);
    let plain = vec![7; 10 * SEALED_BYTES_MAX];
    assert_eq!(server.session.write(&plain, |_| Ok::<_, ()>(0)), Ok(0));
    assert_eq!(server.session.sealed, SEALED_BYTES_MAX);
    assert!((SEALED_BYTES_MAX..SEALED_BYTES_MAX + 64).contains(&server.session.out.len()));
}

#[test]
fn nothing_is_written_before_the_handshake_is_done() {
    let (mut server, mut client) = ends(&pair());
    client.flush();
    assert_eq!(client.session.write(b"early", |bytes| Ok::<_, ()>(bytes.len())), Ok(0));
    assert_eq!(server.session.write(b"early", |bytes| Ok::<_, ()>(bytes.len())), Ok(0));
    converse(&mut server, &mut client, usize::MAX);
    assert!(server.heard.is_empty() && client.heard.is_empty());
}

#[test]
fn what_is_no_tls_fails() {
    let pair = pair();
    let check = |bytes: &[u8], expected: Option<FailureKind>| {
        for piece in [1, usize::MAX] {
            let (mut server, _) = ends(&pair);
            bytes.chunks(piece.min(bytes.len())).for_each(|part| {
                if server.failed.is_none() {
                    server.take(part);
                }
            });
            let kind = server.failed.as_ref().map(|failure| failure.kind);
            assert_eq!(kind, expected, "{}: {:?}", String::from_utf8_lossy(bytes), server.failed);
            assert!(server.heard.is_empty());
        }
    };
    check(b"GET / HTTP/1.1\r\n\r\n", Some(FailureKind::Plain));
    check(&[0x68, 0x04, 0x07, 0, 0, 0], Some(FailureKind::Plain));
    check(&[0; 64], Some(FailureKind::Plain));
    check(&[0x16, 0x09, 0x09, 0, 5, 1, 2, 3, 4, 5], Some(FailureKind::Plain));
    // Records of TLS that are none of a handshake's beginning.
    check(&[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0], Some(FailureKind::Handshake));
    check(&[0x17, 3, 3, 0, 5, 1, 2, 3, 4, 5], Some(FailureKind::Handshake));
    check(&[0x15, 3, 3, 0, 2, 2, 40], Some(FailureKind::Handshake));
    // A record that does not end yet.
    check(&[0x16, 3, 1, 0x40, 0, 1, 0], None);
}

#[test]
fn a_record_that_was_changed_ends_the_session_behind_what_came_before() {
    let (mut server, mut client) = ends(&pair());
    converse(&mut server, &mut client, usize::MAX);
    client.say(b"good");
    let good = client.wire.len();
    client.say(b"bad");
    client.wire[good + 10] ^= 1;
    let wire = std::mem::take(&mut client.wire);
    server.take(&wire);
    assert_eq!(
        (&*server.heard, server.failed.as_ref().map(|failure| failure.kind)),
        (&b"good"[..], Some(FailureKind::Record))
    );
    // The peer is told.
    client.take(&server.wire);
    assert!(client.failed.is_some_and(|failure| failure.why.contains("BadRecordMac")));
}

#[test]
fn certificates_are_accepted_for_what_they_are() {
    use FailureKind::Certificate;
    let (ca, other) = (Authority::new("ca"), Authority::new("other"));
    let own = |names: &[&str]| Side { own: Some(ca.leaf(names)), ..Side::default() };
    let trusts = |ca: &str, name| Side { ca: Some(ca.to_owned()), name, ..Side::default() };
    let check = |server: &Side, client: &Side, expected: (Option<FailureKind>, Option<FailureKind>)| {
        let (mut server, mut client) = ends(&(server.server(), client.client()));
        converse(&mut server, &mut client, usize::MAX);
        let kind = |end: &End| end.failed.as_ref().map(|failure| failure.kind);
        assert_eq!((kind(&server), kind(&client)), expected, "{:?}, {:?}", server.failed, client.failed);
    };
    let refused = (Some(Certificate), Some(Certificate));
    let names = ["a.example", "*.b.example", "127.0.0.1", "::1"];
    check(&own(&names), &trusts(&ca.cert, "a.example"), (None, None));
    check(&own(&names), &trusts(&ca.cert, "x.b.example"), (None, None));
    check(&own(&names), &trusts(&ca.cert, "127.0.0.1"), (None, None));
    check(&own(&names), &trusts(&ca.cert, "::1"), (None, None));
    check(&own(&names), &trusts(&ca.cert, "c.example"), refused);
    check(&own(&names), &trusts(&ca.cert, "127.0.0.2"), refused);
    check(&own(&names), &trusts(&other.cert, "a.example"), refused);
    check(&own(&names), &trusts(&format!("{}{}", other.cert, ca.cert), "a.example"), (None, None));
    let expired = Side { own: Some(ca.leaf_between(&names, (2020, 1, 1), (2021, 1, 1))), ..Side::default() };
    check(&expired, &trusts(&ca.cert, "a.example"), refused);
    // One that is named itself, as `openssl req -x509` makes it.
    let itself = self_signed(&names);
    let server = Side { own: Some(itself.clone()), ..Side::default() };
    check(&server, &trusts(&itself.cert, "a.example"), (None, None));
    check(&server, &trusts(&itself.cert, "c.example"), refused);
    check(&server, &trusts(&ca.cert, "a.example"), refused);
    // The client must show one as well.
    let asks = Side { ca: Some(other.cert.clone()), ..own(&names) };
    let shows = |own: Identity| Side { own: Some(own), ..trusts(&ca.cert, "a.example") };
    check(&asks, &shows(other.leaf(&["fsu"])), (None, None));
    check(&asks, &shows(ca.leaf(&["fsu"])), refused);
    check(&asks, &trusts(&ca.cert, "a.example"), refused);
    check(&Side { ca: Some(itself.cert.clone()), ..own(&names) }, &shows(itself.clone()), (None, None));
    // It is asked for none.
    check(&own(&names), &shows(other.leaf(&["fsu"])), (None, None));
}

#[test]
fn what_is_wrong_with_the_files_is_told_at_their_keys() {
    let ca = Authority::new("ca");
    let (one, two) = (ca.leaf(&["a.example"]), ca.leaf(&["b.example"]));
    let check = |side: &Side, dials: bool, expected: &[(&str, bool, &str)]| {
        let found = side.found(dials);
        let found: Vec<(&str, bool, &str)> =
            found.iter().map(|found| (found.key, found.is_warning, &*found.text)).collect();
        assert_eq!(found, expected);
    };
    let own = |cert: &str, key: &str| {
        let own = Some(Identity { cert: cert.to_owned(), key: key.to_owned() });
        Side { own, ca: Some(ca.cert.clone()), name: "a.example" }
    };
    for dials in [false, true] {
        check(&own(&one.cert, &one.key), dials, &[]);
        let text = "the private key does not belong to the certificate of `cert`";
        check(&own(&one.cert, &two.key), dials, &[("key", false, text)]);
        let cert = "no certificate in it (PEM: `-----BEGIN CERTIFICATE-----`)";
        let key = "no private key in it (PEM: `-----BEGIN PRIVATE KEY-----`)";
        check(&own("", "hello"), dials, &[("cert", false, cert), ("key", false, key)]);
        check(&Side { ca: Some("x".into()), ..own(&one.cert, &one.key) }, dials, &[("ca", false, cert)]);
        let old = ca.leaf_between(&["a.example"], (2020, 1, 1), (2021, 3, 31));
        let text = "the certificate expired on 2021-03-31: a peer that checks it refuses it";
        check(&own(&old.cert, &old.key), dials, &[("cert", true, text)]);
    }
    for name in ["", "a b", "http://a.example", "a.example:443", "[::1]"] {
        let text = format!("`{name}` is no name that a certificate can have (a host's name, or an IP address)");
        check(&Side { name, ..own(&one.cert, &one.key) }, true, &[("server_name", false, &text)]);
    }
}

proptest::proptest! {
    /// Whatever the peer sends, whole or in the middle of a handshake: no panic, and nothing plain comes of it.
    #[test]
    fn any_bytes_fail_or_wait(noise in proptest::collection::vec(proptest::num::u8::ANY, 1..400), at in 0_usize..2_000) {
        let pair = PAIR.with(Clone::clone);
        let (mut server, mut client) = ends(&pair);
        client.flush();
        let mut said = std::mem::take(&mut client.wire);
        let at = at % said.len();
        said.splice(at.., noise.iter().copied());
        server.take(&said);
        proptest::prop_assert!(server.heard.is_empty() && !server.session.is_up());
    }
}

thread_local! {
    static PAIR: (Server, Client) = pair();
}
