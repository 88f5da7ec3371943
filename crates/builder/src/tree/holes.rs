//! Files with holes: only what is data is read, however long the holes are.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::ops::Range;
use std::path::Path;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

/// Where a file of this size has data, in order.
///
/// # Errors
/// What lseek(2) fails with.
pub(crate) fn pieces(file: &File, size: u64) -> io::Result<Vec<Range<u64>>> {
    let mut pieces = Vec::new();
    let mut position = 0;
    while position < size {
        // lseek(2): ENXIO where no data follow, EINVAL where the file system does not support holes.
        let start = match seek(file, SeekFrom::Data(position)) {
            Err(Errno::NXIO) => break,
            Err(Errno::INVAL) => position,
            found => found?,
        };
        let end = match seek(file, SeekFrom::Hole(start)) {
            Err(Errno::INVAL) => size,
            found => found?.min(size),
        };
        pieces.push(start..end);
        position = end;
    }
    Ok(pieces)
}

/// Copies the content of `source` into the new file `target`; holes stay holes.
///
/// # Errors
/// What reading or writing fails with.
pub(super) fn copy(source: &Path, mut target: &File) -> io::Result<()> {
    let mut source = sys::bounded_read::open(source)?;
    let size = source.metadata()?.len();
    target.set_len(size)?;
    for piece in pieces(&source, size)? {
        source.seek(io::SeekFrom::Start(piece.start))?;
        target.seek(io::SeekFrom::Start(piece.start))?;
        io::copy(&mut source.by_ref().take(piece.end - piece.start), &mut target)?;
    }
    Ok(())
}
