//! The other end: requests to a control server.

use crate::api::error::{ErrorAnswer, Failure};
use crate::server::token::Token;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::time::Duration;
use ureq::http::{Request, Response};
use ureq::{Agent, Body};

/// Where a control server is if nothing else is said.
pub const DEFAULT: &str = "127.0.0.1:9900";
/// How long a call may take.
const CALL_TIME: Duration = Duration::from_secs(30);
/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Nobody is there, or not a control server.
    #[error("{at}: no control server answers: {error} (`run` prints where its control server is)")]
    Unreachable {
        /// Where it was looked for.
        at: String,
        /// What the system says.
        error: String,
    },
    /// It refused.
    #[error("{}{}", .0.message, place(.0))]
    Refused(Failure),
    /// The answer is no answer of a control server.
    #[error("{at}: the answer is none of a control server: {error}")]
    Odd {
        /// Who answered.
        at: String,
        /// What is wrong with it.
        error: String,
    },
}

fn place(failure: &Failure) -> String {
    let place = failure.pointer.as_ref().map(|place| format!(" ({place})")).unwrap_or_default();
    failure.diagnostics.iter().fold(place, |mut text, line| {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n{line}");
        text
    })
}

/// Calls a control server.
#[derive(Clone, Debug)]
pub struct Client {
    at: String,
    token: Option<Token>,
    agent: Agent,
}

impl Client {
    /// The server at that address: `127.0.0.1:9900`, or what `run` prints.
    pub fn new(at: &str, token: Option<Token>) -> Self {
        let at = at.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let config = Agent::config_builder().http_status_as_error(false).max_redirects(0).proxy(None);
        Self { at, token, agent: config.build().into() }
    }

    /// Where the server is.
    pub fn at(&self) -> &str {
        &self.at
    }

    /// Reads.
    ///
    /// # Errors
    /// Why there is no answer.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CallError> {
        self.call("GET", path, None)
    }

    /// Calls, with that body.
    ///
    /// # Errors
    /// Why there is no answer.
    pub fn call<T: DeserializeOwned>(&self, method: &str, path: &str, body: Option<&Value>) -> Result<T, CallError> {
        let text = self.text(method, path, body)?;
        serde_json::from_str(&text).map_err(|error| self.odd(error.to_string()))
    }

    /// The same, as text.
    ///
    /// # Errors
    /// Why there is no answer.
    pub fn text(&self, method: &str, path: &str, body: Option<&Value>) -> Result<String, CallError> {
        let mut response = self.send(method, path, body, Some(CALL_TIME))?;
        let read = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string();
        read.map_err(|error| self.odd(error.to_string()))
    }

    /// The stream of events: gives the name and the data of each to `take`, until that says false or the stream ends.
    ///
    /// # Errors
    /// Why there is no stream, or what ended it.
    pub fn events(&self, path: &str, mut take: impl FnMut(&str, &str) -> bool) -> Result<(), CallError> {
        let response = self.send("GET", path, None, None)?;
        let (mut event, mut data) = (String::new(), String::new());
        for line in BufReader::new(response.into_body().into_reader()).lines() {
            let line = line.map_err(|error| self.unreachable(&error))?;
            if let Some(name) = line.strip_prefix("event:") {
                name.trim().clone_into(&mut event);
            } else if let Some(text) = line.strip_prefix("data:") {
                data.push_str(text.trim_start());
            } else if line.is_empty() && !data.is_empty() {
                if !take(&event, &data) {
                    return Ok(());
                }
                data.clear();
            }
        }
        Ok(())
    }

    fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        within: Option<Duration>,
    ) -> Result<Response<Body>, CallError> {
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.at));
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {}", token.text()));
        }
        if body.is_some() {
            request = request.header("Content-Type", "application/json");
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = request.body(body).map_err(|error| self.unreachable(&error))?;
        let request = self.agent.configure_request(request).timeout_global(within).build();
        let mut response = self.agent.run(request).map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let text = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string().unwrap_or_default();
        match serde_json::from_str::<ErrorAnswer>(&text) {
            Ok(answer) => Err(CallError::Refused(answer.error)),
            Err(_) => Err(self.odd(format!("status {}", response.status()))),
        }
    }

    fn unreachable(&self, error: &dyn std::error::Error) -> CallError {
        CallError::Unreachable { at: self.at.clone(), error: error.to_string() }
    }

    fn odd(&self, error: String) -> CallError {
        CallError::Odd { at: self.at.clone(), error }
    }
}

/// A part of a path, with what has a meaning there escaped.
pub fn escaped(part: &str) -> String {
    part.bytes().fold(String::with_capacity(part.len()), |mut out, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'*' => out.push(char::from(byte)),
            // Writing to a String cannot fail.
            other => drop(write!(out, "%{other:02X}")),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_paths() {
        for (part, expected) in [("site_1*", "site_1*"), ("a b/c?d#é", "a%20b%2Fc%3Fd%23%C3%A9"), ("..%", "..%25")] {
            assert_eq!(escaped(part), expected);
        }
    }

    #[test]
    fn limit_answer_bytes_max() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let at = listener.local_addr().expect("an address").to_string();
        let serve = |bytes: usize| {
            let client = Client::new(&at, None);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    use std::io::{Read, Write};
                    let (mut stream, _) = listener.accept().expect("a connection");
                    let _ = stream.read(&mut [0; 1_024]);
                    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\nConnection: close\r\n\r\n");
                    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&vec![b'x'; bytes]));
                });
                client.text("GET", "/", None).map(|text| text.len()).map_err(|error| error.to_string())
            })
        };
        assert_eq!(serve(64 << 20), Ok(64 << 20));
        assert!(serve((64 << 20) + 1).is_err_and(|error| error.contains("limit")));
    }
}
