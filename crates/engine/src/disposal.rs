//! Deletes directories that nothing needs any more.

use std::path::Path;

use shim_protocol::RunDirectory;

/// Removes a run directory; one that does not exist is fine.
pub(crate) fn remove_run_directory(directory: &RunDirectory) {
    if let Err(error) = std::fs::remove_dir_all(directory.path())
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!("cannot remove {}: {error}", directory.path().display());
    }
}

/// Deletes a tree of files; what cannot be deleted now the next start tries again.
///
/// How deep it is a container chose: the standard library's removal would need a stack and a descriptor for
/// each level.
pub(crate) fn delete_tree(path: &Path) {
    if let Err(error) = images::remove_tree(path) {
        tracing::warn!("cannot delete {}: {error}", path.display());
    }
}
