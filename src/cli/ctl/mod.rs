//! `ctl`: a running fleet from the shell.
//!
//! - [`args`]: what can be typed in. [`show`]: answers as tables. [`complete`]: names of FSUs in shells.

pub mod args;
pub mod complete;
mod show;

use super::exit::{CliError, Exit};
use super::text_out::TextOut;
use args::{Call, CtlArgs, ToControl};
use fsu_control::api::changes::{Armed, Cleared, LogLevel, ReloadDone, Set, Triggered};
use fsu_control::api::detail::FsuDetail;
use fsu_control::api::fsus::{FsuPage, Messages, UnansweredList};
use fsu_control::api::run::Run;
use fsu_control::api::snapshot::Snapshot;
use fsu_control::client::{CallError, Client, escaped};
use fsu_control::server::token::Token;
use fsu_plan::texts::Texts;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::io::Write;
use std::time::Duration;

/// FSUs that one call asks for.
const PAGE: usize = 1_000;
/// Names that a shell completes at most.
const NAMES_MAX: usize = 200;

impl From<CallError> for CliError {
    fn from(error: CallError) -> Self {
        Self::new(Exit::NoAnswer, error.to_string())
    }
}

/// A client of that server.
///
/// # Errors
/// A token that cannot be read.
pub fn client(to: &ToControl) -> Result<Client, CliError> {
    let read = |path: &std::path::PathBuf| {
        let said = |error| CliError::new(Exit::Usage, format!("--token {}: {error}", path.display()));
        Token::read(path).map_err(said)
    };
    Ok(Client::new(&to.at, to.token.as_ref().map(read).transpose()?))
}

/// Does what the arguments say.
///
/// # Errors
/// No server, or it refuses.
pub fn ctl(args: &CtlArgs, say: Texts, out: &mut dyn Write) -> Result<Exit, CliError> {
    let client = client(&args.to)?;
    let mut ctl = Ctl { client, json: args.json, out: TextOut::new(out, say) };
    ctl.call(&args.call)
}

/// A call under way.
struct Ctl<'a> {
    client: Client,
    json: bool,
    out: TextOut<'a>,
}

impl Ctl<'_> {
    fn call(&mut self, call: &Call) -> Result<Exit, CliError> {
        match call {
            Call::Status => self.status(),
            Call::Fsus { .. } => self.fsus(call),
            Call::Show { name } => {
                let detail: FsuDetail = self.client.get(&format!("/v1/fsus/{}", escaped(name)))?;
                self.said(&detail, show::detail)
            }
            Call::Unanswered { glob, n } => {
                let fsu = glob.as_ref().map(|glob| format!("&fsu={}", escaped(glob))).unwrap_or_default();
                let list: UnansweredList = self.client.get(&format!("/v1/unanswered?n={n}{fsu}"))?;
                self.said(&list, show::unanswered)
            }
            Call::Messages => {
                let messages: Messages = self.client.get("/v1/messages")?;
                self.said(&messages, show::messages)
            }
            Call::Metrics => {
                let text = self.client.text("GET", "/metrics", None)?;
                self.out.verbatim(&[text.trim_end().to_owned()])?;
                Ok(Exit::Ok)
            }
            Call::Events { n } => self.events(*n),
            Call::Names { prefix } => self.names(prefix),
            Call::Reload | Call::LogLevel { .. } => self.run(call),
            Call::Trigger { .. } => self.trigger(call),
            Call::Set { .. } | Call::Memory { .. } => self.set(call),
            Call::Offline { .. } | Call::Online { .. } | Call::Faults { .. } | Call::Clear { .. } => self.faults(call),
        }
    }

    /// Prints an answer: as JSON, or as people read it.
    fn said<T: Serialize>(
        &mut self,
        answer: &T,
        show: impl FnOnce(&T, &mut TextOut<'_>) -> std::io::Result<()>,
    ) -> Result<Exit, CliError> {
        if self.json {
            let text = serde_json::to_string_pretty(answer).unwrap_or_default();
            self.out.verbatim(&[text])?;
        } else {
            show(answer, &mut self.out)?;
        }
        self.out.flush()?;
        Ok(Exit::Ok)
    }

    fn status(&mut self) -> Result<Exit, CliError> {
        let run: Run = self.client.get("/v1/run")?;
        let snapshot: Snapshot = self.client.get("/v1/snapshot")?;
        let both = json!({ "run": run, "snapshot": snapshot });
        self.said(&both, |_, out| show::status(&run, &snapshot, out))
    }

    fn fsus(&mut self, call: &Call) -> Result<Exit, CliError> {
        let Call::Fsus { glob, state, transport, sort, desc, n } = call else { return Ok(Exit::Ok) };
        let mut query = String::new();
        let parts = [("name", glob), ("state", state), ("transport", transport), ("sort", sort)];
        for (name, value) in parts.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
            query.extend(["&", name, "=", &escaped(value)]);
        }
        if *desc {
            query.push_str("&desc=1");
        }
        let mut all: Option<FsuPage> = None;
        for page in 0.. {
            let path = format!("/v1/fsus?page={page}&per_page={}{query}", (*n).clamp(1, PAGE));
            let next: FsuPage = self.client.get(&path)?;
            let is_last = next.fsus.is_empty();
            let known = match &mut all {
                Some(all) => {
                    all.fsus.extend(next.fsus);
                    all
                }
                None => all.insert(next),
            };
            if is_last || known.fsus.len() >= known.matching.min(*n) {
                break;
            }
        }
        let Some(mut all) = all else { return Ok(Exit::Ok) };
        all.fsus.truncate(*n);
        all.per_page = all.fsus.len();
        self.said(&all, show::fsus)
    }

    fn names(&mut self, prefix: &str) -> Result<Exit, CliError> {
        let path = format!("/v1/fsus?per_page={NAMES_MAX}&name={}*", escaped(prefix));
        // Whoever completes a word does not want to hear why there is none.
        let page: FsuPage = match self.client.get(&path) {
            Ok(page) => page,
            Err(_) => return Ok(Exit::NoAnswer),
        };
        let names: Vec<String> = page.fsus.into_iter().map(|fsu| fsu.name).collect();
        if !names.is_empty() {
            self.out.verbatim(&names)?;
        }
        Ok(Exit::Ok)
    }

    fn events(&mut self, n: Option<usize>) -> Result<Exit, CliError> {
        let (mut left, mut failed) = (n.unwrap_or(usize::MAX), None);
        if left == 0 {
            return Ok(Exit::Ok);
        }
        let out = &mut self.out;
        self.client.events("/v1/events", |event, data| {
            left -= 1;
            let written = out.verbatim(&[format!("{event} {data}")]).and_then(|()| out.flush());
            failed = written.err();
            failed.is_none() && left > 0
        })?;
        failed.map_or(Ok(Exit::Ok), |error| Err(error.into()))
    }

    fn run(&mut self, call: &Call) -> Result<Exit, CliError> {
        if let Call::LogLevel { level } = call {
            let done: LogLevel = self.client.call("POST", "/v1/log-level", Some(&json!({ "level": level })))?;
            return self.said(&done, |_, out| writeln!(out, "system log: {level}"));
        }
        let done: ReloadDone = self.client.call("POST", "/v1/reload", Some(&json!({})))?;
        self.said(&done, |done, out| writeln!(out, "{}", done.summary))
    }

    fn trigger(&mut self, call: &Call) -> Result<Exit, CliError> {
        let Call::Trigger { glob, message, args, over } = call else { return Ok(Exit::Ok) };
        let args: Map<String, Value> =
            args.iter().map(|(name, value)| (name.clone(), Value::String(value.clone()))).collect();
        let body =
            json!({ "message": message, "args": args, "over_ms": over.map_or(0, |over| over.as_millis() as u64) });
        let done: Triggered = self.client.call("POST", &format!("/v1/fsus/{}/trigger", escaped(glob)), Some(&body))?;
        self.said(&done, |done, out| {
            show::done("triggered", done.triggered, done.matched, out)?;
            show::refused(&done.refused, done.refused_total, out)
        })?;
        Ok(if done.triggered > 0 { Exit::Ok } else { Exit::NoAnswer })
    }

    fn set(&mut self, call: &Call) -> Result<Exit, CliError> {
        let calls: Vec<(String, Value)> = match call {
            Call::Set { glob, values, device, key } => values
                .iter()
                .map(|(name, value)| {
                    let path = format!("/v1/fsus/{}/registers/{}", escaped(glob), escaped(name));
                    (path, with(json!({ "value": value }), &[("device", json!(device)), ("key", json!(key))]))
                })
                .collect(),
            Call::Memory { glob, area, from, hex, device } => {
                let path = format!("/v1/fsus/{}/memory/{}", escaped(glob), escaped(area));
                vec![(path, with(json!({ "at": from, "hex": hex.concat() }), &[("device", json!(device))]))]
            }
            _ => Vec::new(),
        };
        let mut exit = Exit::Ok;
        for (path, body) in calls {
            let done: Set = self.client.call("PUT", &path, Some(&body))?;
            if done.set == 0 {
                exit = Exit::NoAnswer;
            }
            self.said(&done, |done, out| {
                show::done("set", done.set, done.matched, out)?;
                show::refused(&done.refused, done.refused_total, out)
            })?;
        }
        Ok(exit)
    }

    fn faults(&mut self, call: &Call) -> Result<Exit, CliError> {
        let (glob, body, during) = match call {
            Call::Offline { glob, during } => (glob, json!({ "offline": true }), during),
            Call::Faults { glob, faults, during } => (glob, fault_set(faults)?, during),
            Call::Online { glob } | Call::Clear { glob } => {
                let path = format!("/v1/fsus/{}/faults", escaped(glob));
                let done: Cleared = self.client.call("DELETE", &path, None)?;
                self.said(&done, |done, out| show::done("cleared", done.cleared, done.matched, out))?;
                return Ok(if done.cleared > 0 { Exit::Ok } else { Exit::NoAnswer });
            }
            _ => return Ok(Exit::Ok),
        };
        let ttl = during.map(|during: Duration| during.as_secs_f64());
        let body = with(body, &[("ttl_s", json!(ttl))]);
        let done: Armed = self.client.call("PUT", &format!("/v1/fsus/{}/faults", escaped(glob)), Some(&body))?;
        self.said(&done, |done, out| {
            show::done("armed", done.armed, done.matched, out)?;
            show::refused(&done.refused, done.refused_total, out)
        })?;
        Ok(if done.armed > 0 { Exit::Ok } else { Exit::NoAnswer })
    }
}

/// An object with those keys, too, that have a value.
fn with(mut object: Value, more: &[(&str, Value)]) -> Value {
    if let Value::Object(object) = &mut object {
        object.extend(
            more.iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| ((*key).to_owned(), value.clone())),
        );
    }
    object
}

/// `drop=0.1 split.p=1 split.pieces=3` as a `faults` object.
fn fault_set(faults: &[(String, String)]) -> Result<Value, CliError> {
    let mut out = Map::new();
    for (key, text) in faults {
        let value: Value = serde_json::from_str(text)
            .ok()
            .filter(|value: &Value| value.is_number() || value.is_boolean())
            .ok_or_else(|| {
                CliError::new(Exit::Usage, format!("{key}={text}: a fault has a number, or true or false"))
            })?;
        match key.split_once('.') {
            None => drop(out.insert(key.clone(), value)),
            Some((key, part)) => {
                let object = out.entry(key).or_insert_with(|| json!({}));
                if let Value::Object(object) = object {
                    object.insert(part.to_owned(), value);
                }
            }
        }
    }
    Ok(Value::Object(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_as_an_object() {
        let check = |faults: &[(&str, &str)], expected: Result<Value, ()>| {
            let faults: Vec<_> = faults.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
            assert_eq!(fault_set(&faults).map_err(drop), expected, "{faults:?}");
        };
        check(&[("drop", "0.1"), ("offline", "true")], Ok(json!({ "drop": 0.1, "offline": true })));
        check(&[("split.p", "1"), ("split.pieces", "3")], Ok(json!({ "split": { "p": 1, "pieces": 3 } })));
        check(&[("drop", "often")], Err(()));
        check(&[("drop", "")], Err(()));
    }
}
