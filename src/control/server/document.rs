//! All calls together: as a service, and as a document.

use super::shared::Shared;
use super::{base, fleet, guard};
use crate::api::error::{Code, Failure};
use crate::api::run::Kind;
use axum::Router;
use axum::http::{Method, Uri};
use axum::middleware::from_fn_with_state;
use std::sync::Arc;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

/// What the document begins with.
#[derive(utoipa::OpenApi)]
#[openapi(info(
    title = "fsu-mock",
    description = "What a running fleet of FSUs tells, and what it can be told. Units are last in a key's name.",
    license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
))]
struct Head;

/// All calls of a program of that kind, and the document about them.
pub(super) fn calls(kind: Kind) -> (Router<Arc<Shared>>, OpenApi) {
    let router = OpenApiRouter::with_openapi(Head::openapi()).merge(base::routes());
    let router = match kind {
        Kind::Run => router.merge(fleet::routes()),
        Kind::Flood => router,
    };
    let (router, mut document) = router.split_for_parts();
    env!("CARGO_PKG_VERSION").clone_into(&mut document.info.version);
    (router, document)
}

/// The document of a program of that kind.
pub fn document(kind: Kind) -> OpenApi {
    calls(kind).1
}

/// The calls, with what is around each.
pub(super) fn service(calls: Router<Arc<Shared>>, shared: Arc<Shared>) -> Router {
    calls
        .fallback(|uri: Uri| async move { nothing(&uri) })
        .method_not_allowed_fallback(|method: Method, uri: Uri| async move {
            Failure::new(Code::MethodNotAllowed, format!("{} has no method {method:.20}", path(&uri)))
        })
        .layer(from_fn_with_state(shared.clone(), guard::guard))
        .with_state(shared)
}

/// There is no such path.
pub(super) fn nothing(uri: &Uri) -> Failure {
    Failure::new(Code::NotFound, format!("there is no {} (/openapi.json lists what there is)", path(uri)))
}

/// Its beginning, for messages.
fn path(uri: &Uri) -> String {
    uri.path().chars().take(100).collect()
}
