//! The holes of sparse files: they are named in an archive, not written.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{self, SeekFrom, Stat};
use rustix::io::Errno;

use crate::tar::Extent;

/// A file is written as sparse when its holes are at least this long together.
const HOLES_WORTHWHILE: u64 = 64 * 1024;

/// Whether a file of this size may have holes worth a search.
pub(super) fn has_holes(stat: &Stat, size: u64) -> bool {
    let allocated = u64::try_from(stat.st_blocks).unwrap_or_default().saturating_mul(512);
    allocated.saturating_add(HOLES_WORTHWHILE) <= size
}

/// The extents of a file that hold data, if leaving out the holes is worthwhile. A last empty extent marks
/// the end, as GNU tar writes it.
pub(super) fn extents(file: &OwnedFd, size: u64) -> io::Result<Option<Vec<Extent>>> {
    let mut extents = Vec::new();
    let (mut position, mut data) = (0, 0);
    while position < size {
        let start = match fs::seek(file, SeekFrom::Data(position)) {
            Ok(start) => start.min(size),
            // No data after this place.
            Err(Errno::NXIO) => break,
            // The file system has no holes.
            Err(Errno::INVAL) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let end = fs::seek(file, SeekFrom::Hole(start))?.min(size);
        if end <= start {
            break;
        }
        extents.push(Extent { offset: start, length: end - start });
        data += end - start;
        position = end;
    }
    if size - data < HOLES_WORTHWHILE {
        return Ok(None);
    }
    extents.push(Extent { offset: size, length: 0 });
    Ok(Some(extents))
}
