//! Blobs kept beside their layers, so that a push elsewhere sends the very bytes that came.
//!
//! A blob lies as `blob-<digits>` in its layer's directory and goes away with the layer. It is a
//! convenience: what is missing or damaged is made anew from the layer's tar.

use std::path::{Path, PathBuf};

use model::Digest;

use super::session::Session;
use crate::Layer;

/// The file of a layer's blob.
pub(super) fn path(layer: &Layer, digest: Digest) -> Option<PathBuf> {
    Some(layer.directory().parent()?.join(format!("blob-{}", digest.hexadecimal())))
}

/// Moves a complete download to its layer.
pub(super) fn keep(layer: &Layer, digest: Digest, file: &Path) {
    let Some(target) = path(layer, digest) else { return };
    if let Err(error) = std::fs::rename(file, &target) {
        tracing::debug!(path = %target.display(), %error, "a layer's blob is not kept");
        let _ = std::fs::remove_file(file);
    }
}

/// The repository of a session as it is noted with blobs: registry and path.
pub(super) fn repository_of(session: &Session<'_>) -> String {
    format!("{}/{}", session.registry(), session.path())
}

/// The path of a repository, as noted with blobs, that lies in the session's registry.
pub(super) fn path_in<'r>(session: &Session<'_>, repository: &'r str) -> Option<&'r str> {
    repository.strip_prefix(session.registry())?.strip_prefix('/')
}
