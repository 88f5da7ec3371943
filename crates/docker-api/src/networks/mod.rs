//! Networks: made, listed, shown, removed, and containers connected to them.

mod connect;
mod create;
mod filter;
mod inspect;
mod list;
mod prune;

use http::StatusCode;

use crate::route::{Route, delete, get, handler, post};
use crate::{Call, Handled, Reply};

/// The endpoints. Fixed paths come before those with a name.
pub(crate) const ROUTES: &[Route] = &[
    get("/networks", handler!(call => list::list(&call))).since(21),
    get("/networks/", handler!(call => list::list(&call))).since(21),
    get("/networks/{name}", handler!(call => inspect::inspect(&call))).since(21),
    post("/networks/create", handler!(call => create::create(call).await)).since(21),
    post("/networks/prune", handler!(call => prune::prune(&call).await)).since(25),
    post("/networks/{name}/connect", handler!(call => connect::connect(call).await)).since(21),
    post("/networks/{name}/disconnect", handler!(call => connect::disconnect(call).await)).since(21),
    delete("/networks/{name}", handler!(call => remove(&call).await)).since(21),
];

/// `DELETE /networks/(id)`
async fn remove(call: &Call<'_>) -> Handled {
    call.engine.networks.remove(&call.name).await?;
    Reply::empty(StatusCode::NO_CONTENT)
}
