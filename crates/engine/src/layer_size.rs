//! The size of a container's own layer.

use images::TreeSize;
use model::ContainerId;

use crate::error::Error;
use crate::paths::Paths;

/// The bytes and inodes of a container's own layer; none where it is not there: that of a build's step is in the
/// image store before its container is removed.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn of_container(paths: &Paths, container: &ContainerId) -> Result<TreeSize, Error> {
    let upper = paths.upper(container);
    match images::tree_size_with_inodes(&upper) {
        Err(_) if !upper.exists() => Ok(TreeSize { bytes: 0, inodes: 0 }),
        measured => measured.map_err(Error::Image),
    }
}
