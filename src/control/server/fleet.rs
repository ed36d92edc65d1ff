//! Calls about the FSUs of a running fleet.

use super::extract::{Asked, Body, MaybeBody, Names, glob};
use super::shared::Shared;
use crate::api::changes::{
    ArmFaults, Armed, Cleared, LogLevel, Reload, ReloadDone, Set, SetMemory, SetRegister, Trigger, Triggered,
};
use crate::api::detail::FsuDetail;
use crate::api::error::{ErrorAnswer, Failure};
use crate::api::fsus::{FsuPage, FsuQuery, Messages, UnansweredList, UnansweredQuery};
use axum::Json;
use axum::extract::State;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What every call has.
type All = State<Arc<Shared>>;
/// What every call comes to.
type Done<T> = Result<Json<T>, Failure>;

/// Where they are.
pub(super) fn routes() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::new()
        .routes(routes!(fsus))
        .routes(routes!(fsu))
        .routes(routes!(unanswered))
        .routes(routes!(messages))
        .routes(routes!(trigger))
        .routes(routes!(register))
        .routes(routes!(memory))
        .routes(routes!(arm, clear))
        .routes(routes!(reload))
        .routes(routes!(log_level))
}

/// A page of FSUs.
#[utoipa::path(get, path = "/v1/fsus", params(FsuQuery), responses(
    (status = 200, description = "The page", body = FsuPage),
    (status = "default", description = "An error", body = ErrorAnswer),
))]
async fn fsus(State(shared): All, Asked(asked): Asked<FsuQuery>) -> Done<FsuPage> {
    let name = asked.name.map(glob).transpose().map_err(|failure| failure.at("name"))?;
    shared.fleet()?.fsus(FsuQuery { name, ..asked }).await.map(Json)
}

/// One FSU, whole.
#[utoipa::path(get, path = "/v1/fsus/{name}", params(("name" = String, Path, description = "The FSU's name")), responses(
    (status = 200, description = "The FSU", body = FsuDetail),
    (status = "default", description = "An error", body = ErrorAnswer),
))]
async fn fsu(State(shared): All, Names(name): Names<String>) -> Done<FsuDetail> {
    shared.fleet()?.fsu(name).await.map(Json)
}

/// The last requests without a reply, and why.
#[utoipa::path(get, path = "/v1/unanswered", params(UnansweredQuery), responses(
    (status = 200, description = "The requests", body = UnansweredList),
    (status = "default", description = "An error", body = ErrorAnswer),
))]
async fn unanswered(State(shared): All, Asked(asked): Asked<UnansweredQuery>) -> Done<UnansweredList> {
    let fsu = asked.fsu.map(glob).transpose().map_err(|failure| failure.at("fsu"))?;
    shared.fleet()?.unanswered(UnansweredQuery { fsu, ..asked }).await.map(Json)
}

/// What has become of messages.
#[utoipa::path(get, path = "/v1/messages", responses(
    (status = 200, description = "By template and name", body = Messages),
    (status = "default", description = "An error", body = ErrorAnswer),
))]
async fn messages(State(shared): All) -> Done<Messages> {
    shared.fleet()?.messages().await.map(Json)
}

/// Sends a message now, from every FSU whose name matches.
#[utoipa::path(post, path = "/v1/fsus/{glob}/trigger", request_body = Trigger,
    params(("glob" = String, Path, description = "A name; * and ? are wildcards")), responses(
    (status = 200, description = "How many send it", body = Triggered),
    (status = "default", description = "An error", body = ErrorAnswer),
))]
async fn trigger(State(shared): All, Names(name): Names<String>, Body(asked): Body<Trigger>) -> Done<Triggered> {
    shared.fleet()?.trigger(glob(name)?, asked).await.map(Json)
}

/// Sets a register of every FSU whose name matches.
#[utoipa::path(put, path = "/v1/fsus/{glob}/registers/{name}", request_body = SetRegister,
    params(("glob" = String, Path, description = "A name; * and ? are wildcards"),
           ("name" = String, Path, description = "The register")), responses(
    (status = 200, description = "Where it was set", body = Set),
    (status = "default", description = "An error", body = ErrorAnswer),
))]
async fn register(
    State(shared): All,
    Names((name, register)): Names<(String, String)>,
    Body(asked): Body<SetRegister>,
) -> Done<Set> {
    shared.fleet()?.set_register(glob(name)?, register, asked).await.map(Json)
}

/// Sets bytes of an area of memory of every FSU whose name matches.
#[utoipa::path(put, path = "/v1/fsus/{glob}/memory/{area}", request_body = SetMemory,
    params(("glob" = String, Path, description = "A name; * and ? are wildcards"),
           ("area" = String, Path, description = "The area")), responses(
    (status = 200, description = "Where they were set", body = Set),
    (status = "default", description = "An error", body = ErrorAnswer),
))]
async fn memory(
    State(shared): All,
    Names((name, area)): Names<(String, String)>,
    Body(asked): Body<SetMemory>,
) -> Done<Set> {
    shared.fleet()?.set_memory(glob(name)?, area, asked).await.map(Json)
}

/// Arms faults of every FSU whose name matches, or takes its power.
#[utoipa::path(put, path = "/v1/fsus/{glob}/faults", request_body = ArmFaults,
    params(("glob" = String, Path, description = "A name; * and ? are wildcards")), responses(
    (status = 200, description = "Where they are armed", body = Armed),
    (status = "default", description = "An error", body = ErrorAnswer),
))]
async fn arm(State(shared): All, Names(name): Names<String>, Body(asked): Body<ArmFaults>) -> Done<Armed> {
    shared.fleet()?.arm(glob(name)?, asked).await.map(Json)
}

/// Takes armed faults away again: those of the configuration are back, and power, too.
#[utoipa::path(delete, path = "/v1/fsus/{glob}/faults",
    params(("glob" = String, Path, description = "A name; * and ? are wildcards")), responses(
    (status = 200, description = "How many had any", body = Cleared),
    (status = "default", description = "An error", body = ErrorAnswer),
))]
async fn clear(State(shared): All, Names(name): Names<String>) -> Done<Cleared> {
    shared.fleet()?.clear(glob(name)?).await.map(Json)
}

/// Reads the configuration again, as SIGHUP does.
#[utoipa::path(post, path = "/v1/reload", request_body = Reload, responses(
    (status = 200, description = "It is served", body = ReloadDone),
    (status = 409, description = "It is not, and why; the old one keeps running", body = ErrorAnswer),
    (status = "default", description = "An error", body = ErrorAnswer),
))]
async fn reload(State(shared): All, MaybeBody(asked): MaybeBody<Reload>) -> Done<ReloadDone> {
    let Reload {} = asked;
    shared.fleet()?.reload().await.map(Json)
}

/// Sets the level of the system log.
#[utoipa::path(post, path = "/v1/log-level", request_body = LogLevel, responses(
    (status = 200, description = "The level", body = LogLevel),
    (status = "default", description = "An error", body = ErrorAnswer),
))]
async fn log_level(State(shared): All, Body(asked): Body<LogLevel>) -> Done<LogLevel> {
    let level = shared.fleet()?.log_level(asked.level).await?;
    Ok(Json(LogLevel { level }))
}
