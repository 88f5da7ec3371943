//! The parts of a container's own layer that only serve for mounts of the engine.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::descent::Place;
use super::stack::{Form, Found, is_directory};

/// Whether a name of a directory, which lies at `above`, is an empty file or directory that serves for a mount alone.
///
/// # Errors
/// When a directory cannot be read.
pub(super) fn serves_a_mount(
    mount_points: &[PathBuf],
    form: Form,
    place: &Place,
    (child, found): (&[u8], &Found),
    above: &[u8],
) -> io::Result<bool> {
    if mount_points.is_empty() {
        return Ok(false);
    }
    let path = [b"/", above, child].concat();
    let path = Path::new(OsStr::from_bytes(&path));
    let concerned = mount_points.iter().any(|mount| mount.starts_with(path));
    if !concerned || place.below.find(child)?.is_some() {
        return Ok(false);
    }
    if !is_directory(&found.stat) {
        return Ok(found.stat.st_size == 0);
    }
    // A directory made only for mounts holds nothing, or only others of the kind.
    let inside = place.stack.child(child, found.layer, form)?.names(form)?;
    Ok(inside.iter().all(|(name, found)| {
        let is_empty = is_directory(&found.stat) || found.stat.st_size == 0;
        is_empty && mount_points.iter().any(|mount| mount.starts_with(path.join(OsStr::from_bytes(name))))
    }))
}
