//! `StorageOpt`: how many bytes a container's own layer may hold, by a project of its file system.

use std::path::Path;

use model::HostSettings;

use crate::error::{Error, file_error};
use crate::size_limit;

/// The directories of a layer that share a project: overlay moves files from one to the other.
const PARTS: [&str; 2] = ["upper", "work"];

/// The bytes that a container's own layer may hold; `None` for no limit.
///
/// # Errors
/// Refused, in dockerd's words, for another option; an invalid size.
pub(crate) fn size(host: &HostSettings) -> Result<Option<u64>, Error> {
    let options = host.storage_options.as_ref();
    if let Some(name) = options.and_then(|options| options.keys().find(|name| *name != "size")) {
        return Err(Error::refused(format!("Unknown option {name}")));
    }
    size_limit::of_options(options)
}

/// Limits the layer in a container's directory, which may be limited already.
///
/// # Errors
/// Refused where the file system has no quotas of projects.
pub(crate) fn limit(directory: &Path, size: u64) -> Result<(), Error> {
    let parts = PARTS.map(|part| directory.join(part));
    size_limit::set(&[&parts[0], &parts[1]], size).map_err(|error| match size_limit::is_unsupported(&error) {
        true => Error::refused(
            "--storage-opt is supported only where the data root is on xfs or ext4 with quotas of projects (mount option 'prjquota')",
        ),
        false => file_error("limit the layer in", directory)(error),
    })
}

/// Removes the limit of a layer.
pub(crate) fn release(directory: &Path) {
    if let Err(error) = size_limit::release(&directory.join(PARTS[0])) {
        tracing::warn!("cannot remove the limit of the layer in {}: {error}", directory.display());
    }
}
