//! The endpoints of the engine as a whole.

mod build;
mod commit;
mod events;
mod host;
mod info;

use http::StatusCode;

use super::route::Endpoint;
use super::{Call, Handled, Reply};
use berth_http::Response;

/// Hands the call to its handler.
pub(super) async fn dispatch(endpoint: Endpoint, call: Call<'_>) -> Handled {
    match endpoint {
        Endpoint::Info => info::info(&call),
        Endpoint::Version => info::version(),
        Endpoint::Auth => super::auth::check(call).await,
        Endpoint::Commit => commit::commit(call).await,
        Endpoint::Events => events::events(call).await,
        Endpoint::Build => build::build(call).await,
        _ => Ok(Reply::Whole(Response::text(StatusCode::OK, "OK"))),
    }
}
