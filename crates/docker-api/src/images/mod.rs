//! The endpoints of images.

mod create;
mod distribution;
mod history;
mod identity;
mod image_config;
mod import;
mod inspect;
mod list;
mod manifests;
mod names;
pub(crate) mod platform;
mod prune;
mod push;
mod registry_access;
mod removal_words;
mod save;
mod search;

pub(super) use list::{Counts, ListedImage};
pub(super) use names::{check_end, new_name};
pub(super) use registry_access::failure;
pub(super) use registry_access::registry_failure;
use registry_access::{REGISTRY_AUTH, credentials, tarball_failure};

use crate::route::{Route, delete, get, handler, post};

/// The endpoints. A name may contain slashes, so fixed paths come before those with a name.
pub(crate) const ROUTES: &[Route] = &[
    get("/images/json", handler!(call => list::list(&call))),
    get("/images/search", handler!(call => search::search(&call).await)),
    get("/images/get", handler!(call => save::save_several(call).await)),
    post("/images/create", handler!(call => create::create(call).await)),
    post("/images/prune", handler!(call => prune::prune(&call).await)).since(25),
    post("/images/load", handler!(call => save::load(call).await)),
    get("/images/{name}/get", handler!(call => save::save(names::named(call)?).await)),
    get("/images/{name}/json", handler!(call => inspect::inspect(&names::named(call)?))),
    get("/images/{name}/attestations", handler!(call => manifests::attestations(&names::named(call)?)))
        .since(55),
    get("/images/{name}/history", handler!(call => history::history(&names::named(call)?))),
    post("/images/{name}/push", handler!(call => push::push(names::named(call)?).await)),
    post("/images/{name}/tag", handler!(call => names::tag(&names::named(call)?).await)),
    get("/distribution/{name}/json", handler!(call => distribution::describe(names::named(call)?).await))
        .since(30),
    delete("/images/{name}", handler!(call => names::remove(&names::named(call)?).await)),
];
