//! The changes of a build's step.

use std::path::PathBuf;

use crate::container::Record;
use crate::error::Error;
use crate::files::{mount_points, prune};
use crate::image::Images;
use crate::paths::Paths;

/// Takes out of a container's own layer what its runtime made there for mounts; returns the layer's directory.
///
/// # Errors
/// What the file system refuses; an image that is gone.
pub(crate) fn without_mount_points(
    images: &Images,
    paths: &Paths,
    record: &Record,
) -> Result<PathBuf, Error> {
    let lower = images.lower_directories(record)?;
    let upper = paths.upper(&record.id);
    prune(&upper, &lower, &mount_points(record))?;
    Ok(upper)
}
