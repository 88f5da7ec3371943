//! The endpoints of containers.

mod archive;
mod attach;
mod create;
mod files;
mod inspect;
mod list;
mod logs;
mod stats;
mod top;
mod unsupported;
mod verbs;
mod websocket;

use super::route::Endpoint;
use super::{ApiError, Call, Handled};

pub(super) use attach::tell_on_stream;
pub(super) use verbs::terminal_size;

/// Hands the call to its handler.
pub(super) async fn dispatch(endpoint: Endpoint, call: Call<'_>) -> Handled {
    match endpoint {
        Endpoint::ContainerList => list::list(&call).await,
        Endpoint::ContainerCreate => create::create(call).await,
        Endpoint::ContainerInspect => inspect::inspect(&call),
        Endpoint::ContainerTop => top::top(&call).await,
        Endpoint::ContainerLogs => logs::logs(call).await,
        Endpoint::ContainerChanges => files::changes(&call).await,
        Endpoint::ContainerExport => files::export(call).await,
        Endpoint::ContainerStats => stats::stats(call).await,
        Endpoint::ContainerAttach => attach::attach(call).await,
        Endpoint::ContainerAttachWebsocket => websocket::attach(call).await,
        Endpoint::ContainerCopy => archive::copy(call).await,
        Endpoint::ArchiveStat => archive::stat(&call).await,
        Endpoint::ArchiveRead => archive::read(call).await,
        Endpoint::ArchiveWrite => archive::write(call).await,
        Endpoint::ContainerStart => verbs::start(call).await,
        Endpoint::ContainerStop => verbs::stop(&call).await,
        Endpoint::ContainerRestart => verbs::restart(&call).await,
        Endpoint::ContainerKill => verbs::kill(&call).await,
        Endpoint::ContainerRename => verbs::rename(&call).await,
        Endpoint::ContainerPause => verbs::pause(&call).await,
        Endpoint::ContainerUnpause => verbs::unpause(&call).await,
        Endpoint::ContainerResize => verbs::resize(&call).await,
        Endpoint::ContainerWait => verbs::wait(&call).await,
        Endpoint::ContainerRemove => verbs::remove(&call).await,
        other => Err(ApiError::not_found(format!("404 page not found ({other:?})"))),
    }
}
