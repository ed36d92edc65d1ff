//! Bodies and queries, with errors as all other errors.

use crate::api::error::{Code, Failure};
use crate::limits::{BODY_BYTES_MAX, GLOB_CHARS_MAX};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

/// A JSON body.
pub(super) struct Body<T>(pub(super) T);

/// The same, where an empty one is the default.
pub(super) struct MaybeBody<T>(pub(super) T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        parse(&bytes(request).await?).map(Self)
    }
}

impl<S: Sync, T: DeserializeOwned + Default> FromRequest<S> for MaybeBody<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let bytes = bytes(request).await?;
        if bytes.trim_ascii().is_empty() { Ok(Self(T::default())) } else { parse(&bytes).map(Self) }
    }
}

/// The whole body.
async fn bytes(request: Request) -> Result<axum::body::Bytes, Failure> {
    let too_long = || Failure::new(Code::TooLarge, format!("the body has more than {BODY_BYTES_MAX} bytes"));
    let length = request.headers().get("content-length").and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > BODY_BYTES_MAX as u64) {
        return Err(too_long());
    }
    axum::body::to_bytes(request.into_body(), BODY_BYTES_MAX).await.map_err(|error| {
        let mut cause: Option<&dyn std::error::Error> = Some(&error);
        while let Some(error) = cause {
            if error.is::<http_body_util::LengthLimitError>() {
                return too_long();
            }
            cause = error.source();
        }
        Failure::bad(format!("the body cannot be read: {error}"))
    })
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let parsed = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let pointer = pointer(error.path());
        let failure = Failure::bad(format!("the body is not what it should be: {}", error.inner()));
        if pointer.is_empty() { failure } else { failure.at(pointer) }
    })?;
    reader.end().map_err(|error| Failure::bad(format!("the body is not what it should be: {error}")))?;
    Ok(parsed)
}

/// As a JSON pointer.
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let segments = path.iter().filter_map(|segment| match segment {
        Segment::Seq { index } => Some(format!("/{index}")),
        Segment::Map { key } => Some(format!("/{}", key.replace('~', "~0").replace('/', "~1"))),
        Segment::Enum { .. } | Segment::Unknown => None,
    });
    segments.collect()
}

/// A query.
pub(super) struct Asked<T>(pub(super) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let query = Query::<T>::try_from_uri(&parts.uri);
        query.map(|Query(asked)| Self(asked)).map_err(|error| {
            use std::error::Error as _;
            let text = error.source().map_or_else(|| error.to_string(), ToString::to_string);
            let failure = Failure::bad(format!("the query is not what it should be: {text}"));
            match text.split_once(": ").map(|(name, _)| name) {
                Some(name) if !name.contains(' ') => failure.at(name),
                _ => failure,
            }
        })
    }
}

/// Parts of the path, decoded.
pub(super) struct Names<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Names<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let path = Path::<T>::from_request_parts(parts, state).await;
        path.map(|Path(names)| Self(names)).map_err(|error| Failure::bad(format!("the path: {error}")))
    }
}

/// A pattern of names that is not too long.
pub(super) fn glob(text: String) -> Result<String, Failure> {
    if text.chars().count() > GLOB_CHARS_MAX {
        return Err(Failure::bad(format!("a pattern of names has at most {GLOB_CHARS_MAX} characters")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::changes::Trigger;

    fn check(body: &str, message: &str, place: Option<&str>) {
        let failure = parse::<Trigger>(body.as_bytes()).expect_err(body);
        assert_eq!(failure.pointer.as_deref(), place, "{body}");
        assert!(failure.message.contains(message), "{body}: {}", failure.message);
    }

    #[test]
    fn bodies_that_are_wrong() {
        check("", "EOF", None);
        check("{}", "missing field `message`", None);
        check(r#"{"message":"a","mesage":1}"#, "unknown field `mesage`", Some("/mesage"));
        check(r#"{"message":"a","args":{"x/y":[]}}"#, "did not match", Some("/args/x~1y"));
        check(r#"{"message":"a","over_ms":-1}"#, "invalid value", Some("/over_ms"));
        check(r#"{"message":"a"} x"#, "trailing", None);
        assert!(parse::<Trigger>(br#"{"message":"a","args":{"n":1,"t":"x"}}"#).is_ok());
    }

    #[test]
    fn limit_glob_chars_max() {
        assert!(glob("*".repeat(256)).is_ok());
        assert!(glob("*".repeat(257)).is_err());
    }
}
