//! Volumes: made, listed, shown and removed by themselves.

mod cluster;
mod create;
mod filter;
mod list;
mod prune;

use http::StatusCode;

use crate::route::{Route, delete, get, handler, post, put};
use crate::wire::WireVolume;
use crate::{Call, Handled, Reply};

/// The endpoints. Fixed paths come before those with a name.
pub(crate) const ROUTES: &[Route] = &[
    get("/volumes", handler!(call => list::list(&call))).since(21),
    get("/volumes/{name}", handler!(call => inspect(&call))).since(21),
    post("/volumes/create", handler!(call => create::create(call).await)).since(21),
    post("/volumes/prune", handler!(call => prune::prune(&call).await)).since(25),
    // Volumes of a cluster alone can be changed.
    put("/volumes/{name}", handler!(_call => Err(cluster::no_swarm()))).since(42),
    delete("/volumes/{name}", handler!(call => remove(&call).await)).since(21),
];

/// `GET /volumes/(name)`
fn inspect(call: &Call<'_>) -> Handled {
    let volume = call.engine.volumes.find(&call.name)?;
    Reply::json(StatusCode::OK, &WireVolume::new(&volume, call.version))
}

/// `DELETE /volumes/(name)`
async fn remove(call: &Call<'_>) -> Handled {
    let force = call.version.volume_removal_has_force() && call.query.is_true("force");
    call.engine.volumes.remove(&call.name, force).await?;
    Reply::empty(StatusCode::NO_CONTENT)
}
