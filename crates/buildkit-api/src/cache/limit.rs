//! The default limit of the build cache's use of the disk.

use std::io;
use std::path::Path;

/// The part of the file system.
const PART: u64 = 10;

/// A tenth of the file system that a directory is on.
///
/// # Errors
/// What the kernel refuses.
pub(crate) fn default_limit(directory: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(directory)?;
    Ok(found.f_blocks.saturating_mul(found.f_frsize) / PART)
}
