//! Names the repositories where blobs were seen.

use super::session::Session;

/// The repository of a session as it is noted with blobs: registry and path.
pub(super) fn repository_of(session: &Session<'_>) -> String {
    format!("{}/{}", session.registry(), session.path())
}

/// The path of a repository, as noted with blobs, that lies in the session's registry.
pub(super) fn path_in<'r>(session: &Session<'_>, repository: &'r str) -> Option<&'r str> {
    repository.strip_prefix(session.registry())?.strip_prefix('/')
}
