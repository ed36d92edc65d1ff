//! Errors: one shape for all of them.

use axum::http::StatusCode;
use axum::http::header::{ALLOW, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What kind of error it is, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// 400: the request cannot be understood, or what it asks for is not possible.
    BadRequest,
    /// 401: the token is missing or wrong.
    Unauthorized,
    /// 403: another site's request, or a change where only reading is allowed.
    Forbidden,
    /// 404: there is no such path, FSU, register or area.
    NotFound,
    /// 405: the path has other methods.
    MethodNotAllowed,
    /// 408: the request took too long.
    Timeout,
    /// 409: it could not be done now. If the fleet was reloaded meanwhile, some shards may have done it.
    Conflict,
    /// 413: the body is too long.
    TooLarge,
    /// 503: too many connections or streams, or the fleet is still starting.
    Busy,
    /// 500: a defect, or a shard that does not answer.
    Internal,
}

impl Code {
    /// The status of an answer with it.
    pub fn status(self) -> StatusCode {
        match self {
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Timeout => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// Why a call was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What kind.
    pub code: Code,
    /// A sentence for people, in English.
    pub message: String,
    /// Where: a JSON pointer into the body, or the name of a part of the query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// A reload: what is wrong with the configuration, a line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<String>,
}

impl Failure {
    /// One of that kind.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), pointer: None, diagnostics: Vec::new() }
    }

    /// A request that cannot be understood.
    pub fn bad(message: impl Into<String>) -> Self {
        Self::new(Code::BadRequest, message)
    }

    /// The same with its place.
    #[must_use]
    pub fn at(self, pointer: impl Into<String>) -> Self {
        Self { pointer: Some(pointer.into()), ..self }
    }
}

/// The body of an error.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ErrorAnswer {
    /// The error.
    pub error: Failure,
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, code) = (self.code.status(), self.code);
        let mut response = (status, axum::Json(ErrorAnswer { error: self })).into_response();
        if code == Code::Unauthorized {
            response.headers_mut().insert(WWW_AUTHENTICATE, axum::http::HeaderValue::from_static("Bearer"));
        }
        // Whoever knows the methods adds them.
        if code != Code::MethodNotAllowed {
            response.headers_mut().remove(ALLOW);
        }
        response
    }
}
