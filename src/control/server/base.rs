//! Calls of every control server.

use super::events::{__path_events, events};
use super::extract::Asked;
use super::shared::Shared;
use crate::api::error::{Code, ErrorAnswer, Failure};
use crate::api::run::{Health, Readiness, Ready, Run};
use crate::api::snapshot::{Snapshot, StreamQuery};
use crate::metrics::families::Format;
use crate::page;
use axum::Json;
use axum::extract::State;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Where they are.
pub(super) fn routes() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::new()
        .routes(routes!(healthz))
        .routes(routes!(readyz))
        .routes(routes!(openapi))
        .routes(routes!(metrics))
        .routes(routes!(run))
        .routes(routes!(snapshot))
        .routes(routes!(events))
        .routes(routes!(index))
        .routes(routes!(asset))
}

/// Whether the server listens. It needs no token.
#[utoipa::path(get, path = "/healthz", responses((status = 200, description = "It does", body = Health)))]
async fn healthz() -> Json<Health> {
    Json(Health { status: "ok".to_owned() })
}

/// Whether every socket is bound and the last reload stood.
#[utoipa::path(get, path = "/readyz", responses(
    (status = 200, description = "All is as it should be", body = Ready),
    (status = 503, description = "It is not", body = Ready),
    (status = "default", description = "An error", body = ErrorAnswer),
))]
async fn readyz(State(shared): State<Arc<Shared>>) -> Response {
    let ready = shared.ready();
    let is_ready = ready.status == Readiness::Ready;
    (if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(ready)).into_response()
}

/// This document: all calls as OpenAPI 3.1.
#[utoipa::path(get, path = "/openapi.json", responses(
    (status = 200, description = "The document", body = serde_json::Value),
    (status = "default", description = "An error", body = ErrorAnswer),
))]
async fn openapi(State(shared): State<Arc<Shared>>) -> Json<utoipa::openapi::OpenApi> {
    Json(shared.document.clone())
}

/// All metrics as OpenMetrics text, for Prometheus.
#[utoipa::path(get, path = "/metrics", responses(
    (status = 200, description = "The metrics", body = String,
     content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8"),
    (status = "default", description = "An error", body = ErrorAnswer),
))]
async fn metrics(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Result<Response, Failure> {
    let accepted = headers.get(ACCEPT).and_then(|accepted| accepted.to_str().ok()).unwrap_or_default();
    let format = if accepted.contains("text/plain") && !accepted.contains("openmetrics") {
        Format::Prometheus
    } else {
        Format::OpenMetrics
    };
    let families = shared.source()?.metrics().await?;
    let text = families.text(format).map_err(|error| Failure::new(Code::Internal, error.to_string()))?;
    Ok(([(CONTENT_TYPE, format.mime())], text).into_response())
}

/// The run itself: version, configuration, seed, shards.
#[utoipa::path(get, path = "/v1/run", responses(
    (status = 200, description = "The run", body = Run),
    (status = "default", description = "An error", body = ErrorAnswer),
))]
async fn run(State(shared): State<Arc<Shared>>) -> Result<Json<Run>, Failure> {
    let run = shared.source()?.run();
    Ok(Json(Run { read_only: shared.read_only, ..run }))
}

/// Rates, percentiles, states and totals: the data of the event `snapshot`.
#[utoipa::path(get, path = "/v1/snapshot", params(StreamQuery), responses(
    (status = 200, description = "The snapshot", body = Snapshot),
    (status = "default", description = "An error", body = ErrorAnswer),
))]
async fn snapshot(
    State(shared): State<Arc<Shared>>,
    Asked(asked): Asked<StreamQuery>,
) -> Result<Json<Snapshot>, Failure> {
    let snapshot = shared.source()?.snapshot(asked.map()?).await?;
    Ok(Json((*snapshot).clone()))
}

/// The page.
#[utoipa::path(get, path = "/", responses(
    (status = 200, description = "The page", body = String, content_type = "text/html; charset=utf-8"),
    (status = "default", description = "An error", body = ErrorAnswer),
))]
async fn index(uri: Uri) -> Result<Response, Failure> {
    of_page(&uri)
}

/// A part of the page.
#[utoipa::path(get, path = "/static/{file}", params(("file" = String, Path, description = "The file's name")), responses(
    (status = 200, description = "The file"),
    (status = "default", description = "An error", body = ErrorAnswer),
))]
async fn asset(uri: Uri) -> Result<Response, Failure> {
    of_page(&uri)
}

fn of_page(uri: &Uri) -> Result<Response, Failure> {
    let found = page::route(uri.path());
    let (mime, bytes) = found.ok_or_else(|| super::document::nothing(uri))?;
    Ok(([(CONTENT_TYPE, mime), (CACHE_CONTROL, "no-cache")], bytes).into_response())
}
