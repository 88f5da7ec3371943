//! The endpoints of the engine as a whole.

mod build;
mod commit;
mod events;
mod host;
mod info;

use http::StatusCode;

use crate::route::{Route, get, handler, head, post};
use crate::{Handled, Reply};
use berth_http::Response;

/// The endpoints.
pub(crate) const ROUTES: &[Route] = &[
    get("/_ping", handler!(_call => ping())),
    head("/_ping", handler!(_call => ping())),
    get("/info", handler!(call => info::info(&call))),
    get("/version", handler!(call => info::version(call.maximum))),
    post("/auth", handler!(call => crate::auth::check(call).await)),
    post("/commit", handler!(call => commit::commit(call).await)),
    get("/events", handler!(call => events::events(call).await)),
    post("/build", handler!(call => build::build(call).await)),
];

fn ping() -> Handled {
    Ok(Reply::Whole(Response::text(StatusCode::OK, "OK")))
}
