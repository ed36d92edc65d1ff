//! Whose requests are heard: no other site's, and with the token where one is needed.
//!
//! A page of another site can make a browser send requests here. So `Host` must be an address, not a name that may mean another
//! address tomorrow (DNS rebinding), and `Origin`, which a browser adds to what may change something, must be this server.

use super::shared::Shared;
use crate::api::error::{Code, Failure};
use crate::limits::REQUEST_TIME;
use crate::page;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, HOST, HeaderName, HeaderValue, ORIGIN};
use axum::http::{HeaderMap, Method, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;
use std::sync::Arc;

/// What a page may load: only what this server has.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Around every request.
pub(super) async fn guard(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let response = match examine(&shared, &request) {
        Ok(()) => tokio::time::timeout(REQUEST_TIME, next.run(request)).await.unwrap_or_else(|_| {
            let seconds = REQUEST_TIME.as_secs();
            Failure::new(Code::Timeout, format!("the request took more than {seconds} seconds")).into_response()
        }),
        Err(failure) => failure.into_response(),
    };
    with_headers(response)
}

fn with_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "DENY"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn examine(shared: &Shared, request: &Request) -> Result<(), Failure> {
    let (headers, uri) = (request.headers(), request.uri());
    let host = host(headers, uri)?;
    if let Some(origin) = one(headers, &ORIGIN)?
        && !origin.strip_prefix("http://").is_some_and(|of| of.eq_ignore_ascii_case(host))
    {
        return Err(Failure::new(Code::Forbidden, "Origin: the request comes from a page of another site"));
    }
    if one(headers, &HeaderName::from_static("sec-fetch-site"))? == Some("cross-site") {
        return Err(Failure::new(Code::Forbidden, "Sec-Fetch-Site: the request comes from a page of another site"));
    }
    if let Some(token) = &shared.token
        && !is_open(request)
        && !headers.get(AUTHORIZATION).is_some_and(|header| token.is_in(header.as_bytes()))
    {
        return Err(Failure::new(Code::Unauthorized, "Authorization: `Bearer TOKEN` is needed, with the right token"));
    }
    if shared.read_only && !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return Err(Failure::new(Code::Forbidden, "the server was started with --control-read-only"));
    }
    Ok(())
}

/// What is answered without the token: whether the server listens and the fleet serves, and the page itself. A browser cannot send the token for a page
/// that it opens; the page asks for it, and it has no data of the run.
fn is_open(request: &Request) -> bool {
    let path = request.uri().path();
    // Probes of an orchestrator have no token; these two answer with a word and two numbers.
    matches!(path, "/healthz" | "/readyz")
        || (matches!(*request.method(), Method::GET | Method::HEAD) && page::route(path).is_some())
}

/// The one value of a header; `None`: it is absent.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Failure> {
    let mut all = headers.get_all(name).iter();
    let (first, more) = (all.next(), all.next().is_some());
    let text = first.map(|value| value.to_str());
    match text.transpose() {
        Ok(text) if !more => Ok(text),
        _ => Err(Failure::bad(format!("the header {name} must be there once, as text"))),
    }
}

/// The host that a request is for, if it is an address.
fn host<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Result<&'a str, Failure> {
    let host = one(headers, &HOST)?.ok_or_else(|| Failure::bad("the header Host is missing"))?;
    let absolute = uri.authority().map(axum::http::uri::Authority::as_str);
    if absolute.is_none_or(|other| other.eq_ignore_ascii_case(host)) && is_address(host) {
        return Ok(host);
    }
    let what = "Host: only an IP address or `localhost` is served, so that no other site's name can mean this server";
    Err(Failure::new(Code::Forbidden, what))
}

/// `127.0.0.1`, `[::1]:9900`, `localhost:9900`
fn is_address(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((six, "")) => (six, None),
        Some((six, rest)) => (six, Some(rest.strip_prefix(':').unwrap_or("x"))),
        None => host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port))),
    };
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    let is_six = host.starts_with('[');
    let is_name = name.eq_ignore_ascii_case("localhost") && !is_six;
    (is_name || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6() == is_six)) && port.is_none_or(is_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_that_are_addresses() {
        for (host, expected) in [
            ("127.0.0.1", true),
            ("127.0.0.1:9900", true),
            ("[::1]", true),
            ("[::1]:9900", true),
            ("localhost", true),
            ("LOCALHOST:1", true),
            ("10.0.0.7:80", true),
            ("localhost.example.org", false),
            ("example.org", false),
            ("127.0.0.1.example.org:9900", false),
            ("127.0.0.1:9900.example.org", false),
            ("127.0.0.1:99999", false),
            ("127.0.0.1:+80", false),
            ("[::1]x", false),
            ("[127.0.0.1]", false),
            ("[localhost]", false),
            ("::1", false),
            ("user@127.0.0.1", false),
            ("", false),
            ("2130706433", false),
        ] {
            assert_eq!(is_address(host), expected, "{host}");
        }
    }
}
