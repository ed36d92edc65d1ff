//! Who may use it, and how much of it.

use crate::harness::{PROGRAM, Run, Tree, run_to_end, until};
use crate::http::{Got, answer, connect, control, get, raw, request, tree};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::process::Command;

fn start(tree: &Tree, more: &[&str]) -> (Run, SocketAddr) {
    let run = Run::start(tree, &[&["--control", "127.0.0.1:0"], more].concat());
    let at = control(&run);
    (run, at)
}

#[test]
fn requests_of_other_sites_are_refused() {
    let tree = tree();
    let (run, at) = start(&tree, &[]);
    let own = format!("Origin: http://{at}");
    let other_port = format!("Origin: http://127.0.0.1:{}", at.port() ^ 1);
    let check = |head: &[&str], status: u16, code: &str| {
        for line in ["GET /healthz", "POST /v1/reload", "GET /nothing", "GET /"] {
            let got = request(at, line, head, "");
            if status == 200 {
                assert_ne!(got.status, 403, "{line} {head:?}: {got:?}");
            } else {
                assert_eq!((got.status, &got.code()[..]), (status, code), "{line} {head:?}");
            }
        }
    };
    check(&[], 200, "");
    check(&[&own], 200, "");
    check(&[&own, "Sec-Fetch-Site: same-origin"], 200, "");
    check(&["Sec-Fetch-Site: none"], 200, "");
    check(&["Origin: http://example.org"], 403, "forbidden");
    check(&["Origin: null"], 403, "forbidden");
    check(&[&other_port], 403, "forbidden");
    check(&[&own.replace("http:", "https:")], 403, "forbidden");
    check(&[&own, "Origin: http://example.org"], 400, "bad_request");
    check(&["Sec-Fetch-Site: cross-site"], 403, "forbidden");
    check(&[&own, "Sec-Fetch-Site: cross-site"], 403, "forbidden");
    run.stop();
}

#[test]
fn a_name_that_may_mean_another_address_is_refused() {
    let tree = tree();
    let (run, at) = start(&tree, &[]);
    let port = at.port();
    let check = |host: &str, expected: u16| {
        let got = raw(at, format!("GET /healthz HTTP/1.1\r\n{host}Connection: close\r\n\r\n").as_bytes());
        assert_eq!(got.status, expected, "{host:?}: {got:?}");
    };
    check(&format!("Host: 127.0.0.1:{port}\r\n"), 200);
    check(&format!("Host: localhost:{port}\r\n"), 200);
    check("Host: [::1]\r\n", 200);
    check(&format!("Host: rebound.example.org:{port}\r\n"), 403);
    check("Host: 127.0.0.1.example.org\r\n", 403);
    check(&format!("Host: 127.0.0.1:{port}\r\nHost: example.org\r\n"), 400);
    check("", 400);
    let absolute = format!("GET http://example.org/healthz HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n");
    assert_eq!(raw(at, absolute.as_bytes()).status, 403);
    run.stop();
}

#[test]
fn every_answer_has_the_headers_that_keep_a_page_in() {
    let tree = tree();
    let (run, at) = start(&tree, &[]);
    for (line, status) in [("GET /healthz", 200), ("GET /none", 404), ("PUT /healthz", 405), ("GET /openapi.json", 200)]
    {
        let got = request(at, line, &[], "");
        assert_eq!(got.status, status, "{got:?}");
        let policy = got.header("content-security-policy").expect("a policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
        assert_eq!(got.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(got.header("referrer-policy"), Some("no-referrer"));
        assert!(got.headers.iter().all(|(name, _)| !name.starts_with("access-control")), "{got:?}");
    }
    run.stop();
}

#[test]
fn a_token_is_needed_where_there_is_one() {
    let tree = tree();
    tree.write("token", "correct-horse\n");
    let file = tree.path("token").display().to_string();
    let check = |address: &str| {
        let run = Run::start(&tree, &["--control", address, "--control-token", &file]);
        let at = SocketAddr::new([127, 0, 0, 1].into(), control(&run).port());
        // A browser cannot send a token for a page that it opens: the page asks for it.
        for path in ["/healthz", "/readyz", "/", "/static/main.js"] {
            assert_eq!(get(at, path).status, 200, "{path}");
        }
        for path in ["/metrics", "/v1/run", "/static/none", "/openapi.json", "/none"] {
            let line = format!("GET {path}");
            for head in [&[][..], &["Authorization: Bearer wrong-horse!!"], &["Authorization: Basic correct-horse"]] {
                let got = request(at, &line, head, "");
                assert_eq!((got.status, &got.code()[..]), (401, "unauthorized"), "{path} {head:?}");
                assert_eq!(got.header("www-authenticate"), Some("Bearer"));
            }
            let got = request(at, &line, &["Authorization: Bearer correct-horse"], "");
            assert_ne!(got.status, 401, "{path}: {got:?}");
        }
        let got = request(at, "POST /v1/log-level", &["Authorization: Bearer x"], r#"{"level":"info"}"#);
        assert_eq!(got.status, 401);
        run.stop();
    };
    check("127.0.0.1:0");
    check("0.0.0.0:0");
}

#[test]
fn an_address_for_others_without_a_token_is_an_error() {
    let tree = tree();
    tree.write("empty", "\n");
    let check = |args: &[&str], code: i32, says: &str| {
        let mut command = Command::new(PROGRAM);
        command.arg("run").arg("--config").arg(tree.path("sys_config.json")).args(args).current_dir(tree.path(""));
        let ended = run_to_end(&mut command);
        assert_eq!(ended.code, Some(code), "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(says), "{args:?}: {}", ended.stderr);
    };
    check(&["--control", "0.0.0.0:0"], 2, "an address that others reach needs --control-token FILE");
    check(&["--control", "[::]:0"], 2, "an address that others reach needs --control-token FILE");
    check(&["--control", "0.0.0.0:0", "--control-token", "none"], 2, "--control-token none: it cannot be read");
    check(&["--control", "0.0.0.0:0", "--control-token", "empty"], 2, "--control-token empty: it is empty");
    check(&["--control", "off", "--control-token", "empty"], 2, "--control is off");
    check(&["--control", "off", "--control-read-only"], 2, "--control is off");
    check(&["--control", "example.org:80"], 2, "it is ADDR:PORT");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap().to_string();
    check(&["--control", &at], 3, &format!("--control {at}: Address already in use"));
}

#[test]
fn limit_body_bytes_max() {
    let tree = tree();
    let (run, at) = start(&tree, &[]);
    let check = |length: usize, expected: u16| {
        let body = " ".repeat(length);
        let got = request(at, "POST /v1/log-level", &[], &body);
        assert_eq!(got.status, expected, "{length}: {got:?}");
    };
    check(1 << 20, 400);
    check((1 << 20) + 1, 413);
    check(3 << 20, 413);
    // Without a length before it.
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x1_0000));
    let head =
        format!("POST /v1/log-level HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunked = |chunks: usize| raw(at, format!("{head}{}0\r\n\r\n", chunk.repeat(chunks)).as_bytes());
    assert_eq!(chunked(16).status, 400);
    let got = chunked(17);
    assert_eq!((got.status, &got.code()[..]), (413, "too_large"));
    run.stop();
}

/// A head and a body that do not come, and an answer that nobody reads: each ends.
#[test]
fn limit_request_s_max() {
    let tree = tree();
    let (run, at) = start(&tree, &[]);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut head = connect(at);
            head.write_all(b"GET /healthz HTTP/1.1\r\nHost: 127").unwrap();
            let mut rest = Vec::new();
            let _ = head.read_to_end(&mut rest);
            assert!(!String::from_utf8_lossy(&rest).contains(" 200 "), "{rest:?}");
        });
        scope.spawn(|| {
            let mut body = connect(at);
            let head = format!("POST /v1/log-level HTTP/1.1\r\nHost: {at}\r\nContent-Length: 20\r\n\r\n{{");
            body.write_all(head.as_bytes()).unwrap();
            let got: Got = answer(&mut body);
            assert_eq!((got.status, &got.code()[..]), (408, "timeout"));
        });
        scope.spawn(|| {
            // More than all buffers hold, of which nothing is read.
            let mut deaf = connect(at);
            let line = format!("GET /openapi.json HTTP/1.1\r\nHost: {at}\r\n\r\n");
            let writing = deaf.try_clone().unwrap();
            writing.set_write_timeout(Some(crate::harness::PATIENCE)).unwrap();
            let sent = { writing }.write_all(line.repeat(200_000).as_bytes());
            assert!(sent.is_err(), "it is closed");
            let _ = deaf.read(&mut [0]);
        });
    });
    assert_eq!(get(at, "/healthz").status, 200);
    run.stop();
}

#[test]
fn limit_control_connections_max_and_refused_max() {
    let tree = tree();
    let (run, at) = start(&tree, &[]);
    let mut open: Vec<_> = (0..64).map(|_| connect(at)).collect();
    // Those past them are told why; those past these are closed.
    let mut refused: Vec<_> = (0..16).map(|_| connect(at)).collect();
    let got = answer(&mut refused[0]);
    assert_eq!((got.status, &got.code()[..]), (503, "busy"));
    drop(refused);
    let mut again = connect(at);
    let mut rest = Vec::new();
    let _ = again.read_to_end(&mut rest);
    assert!(rest.is_empty() || String::from_utf8_lossy(&rest).contains("503"), "{rest:?}");
    // The open ones are served.
    let first = open.first_mut().unwrap();
    first.write_all(format!("GET /healthz HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
    assert_eq!(answer(first).status, 200);
    drop(open);
    until("there is room again", || {
        let mut stream = connect(at);
        let sent =
            stream.write_all(format!("GET /healthz HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n").as_bytes());
        let mut rest = Vec::new();
        sent.is_ok() && stream.read_to_end(&mut rest).is_ok() && rest.starts_with(b"HTTP/1.1 200")
    });
    run.stop();
}
