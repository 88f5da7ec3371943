//! The endpoints of containers.

mod archive;
mod attach;
mod checkpoints;
mod create;
mod files;
mod inspect;
mod list;
mod list_filter;
mod logs;
mod path_stat;
mod prune;
mod stats;
mod top;
pub(crate) mod unsupported;
mod update;
mod verbs;
mod wait;
mod websocket;
mod without_effect;

use crate::route::{Route, delete, get, handler, head, post, put};

pub(super) use attach::{stream_kind, tell_on_stream};
pub(super) use list::Entries;
pub(super) use verbs::terminal_size;

/// The endpoints. A name may contain slashes, so fixed paths come before those with a name.
pub(crate) const ROUTES: &[Route] = &[
    get("/containers/json", handler!(call => list::list(&call).await)),
    get("/containers/ps", handler!(call => list::list(&call).await)),
    post("/containers/create", handler!(call => create::create(call).await)),
    post("/containers/prune", handler!(call => prune::prune(&call).await)).since(25),
    get("/containers/{name}/json", handler!(call => inspect::inspect(&call).await)),
    get("/containers/{name}/top", handler!(call => top::top(&call).await)),
    get("/containers/{name}/logs", handler!(call => logs::logs(call).await)),
    get("/containers/{name}/changes", handler!(call => files::changes(&call).await)),
    get("/containers/{name}/export", handler!(call => files::export(call).await)),
    get("/containers/{name}/stats", handler!(call => stats::stats(call).await)),
    get("/containers/{name}/attach/ws", handler!(call => websocket::attach(call).await)),
    head("/containers/{name}/archive", handler!(call => archive::stat(&call).await)),
    get("/containers/{name}/archive", handler!(call => archive::read(call).await)),
    put("/containers/{name}/archive", handler!(call => archive::write(call).await)),
    post("/containers/{name}/start", handler!(call => verbs::start(call).await)),
    post("/containers/{name}/stop", handler!(call => verbs::stop(&call).await)),
    post("/containers/{name}/restart", handler!(call => verbs::restart(&call).await)),
    post("/containers/{name}/kill", handler!(call => verbs::kill(&call).await)),
    post("/containers/{name}/rename", handler!(call => verbs::rename(&call).await)),
    post("/containers/{name}/pause", handler!(call => verbs::pause(&call).await)),
    post("/containers/{name}/unpause", handler!(call => verbs::unpause(&call).await)),
    post("/containers/{name}/attach", handler!(call => attach::attach(call).await)),
    post("/containers/{name}/resize", handler!(call => verbs::resize(&call).await)),
    post("/containers/{name}/wait", handler!(call => wait::wait(call).await)),
    post("/containers/{name}/update", handler!(call => update::update(call).await)).since(22),
    post("/containers/{name}/copy", handler!(call => archive::copy(call).await)).until(24),
    get("/containers/{name}/checkpoints", handler!(call => checkpoints::refuse(&call))).since(25),
    post("/containers/{name}/checkpoints", handler!(call => checkpoints::refuse(&call))).since(25),
    delete("/containers/{name}/checkpoints/{part}", handler!(call => checkpoints::refuse(&call))).since(25),
    delete("/containers/{name}", handler!(call => verbs::remove(&call).await)),
];
