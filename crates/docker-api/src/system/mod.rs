//! The endpoints of the engine as a whole.

mod build;
mod build_cache;
mod build_protocol;
mod build_prune;
mod build_request;
mod commit;
mod df;
mod events;
mod graph_build;
mod host;
mod info;
mod ping;
mod registries;
mod version_answer;
mod warnings;
mod withheld;

use crate::route::{Route, get, handler, head, post};
use crate::{Call, Handled};

/// The endpoints.
pub(crate) const ROUTES: &[Route] = &[
    get("/_ping", handler!(call => ping::answer(&call))),
    head("/_ping", handler!(call => ping::answer(&call))),
    get("/info", handler!(call => info::info(&call).await)),
    get("/system/df", handler!(call => df::disk_usage(&call).await)).since(25),
    get("/version", handler!(call => version_answer::answer(&call))),
    post("/auth", handler!(call => crate::auth::check(call).await)),
    post("/commit", handler!(call => commit::commit(call).await)),
    get("/events", handler!(call => events::events(call).await)),
    post("/build", handler!(call => build_by_version(call).await)),
    post("/build/cancel", handler!(call => graph_build::cancel(&call))).since(39),
    post("/build/prune", handler!(call => build_prune::prune(&call).await)).since(31),
    post("/session", handler!(call => build_protocol::session(call).await)).since(31),
    post("/grpc", handler!(call => build_protocol::control(call).await)).since(39),
];

/// Builds with the builder that the request names.
async fn build_by_version(call: Call<'_>) -> Handled {
    if graph_build::is_asked_for(&call) { graph_build::build(call).await } else { build::build(call).await }
}
