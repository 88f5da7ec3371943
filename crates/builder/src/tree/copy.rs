//! Copies a file's content; what is a hole stays one, however long it is.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

/// Copies the content of `source` into the new file `target`.
///
/// # Errors
/// What reading or writing fails with.
pub(super) fn copy(source: &Path, mut target: &File) -> io::Result<()> {
    let mut source = File::open(source)?;
    let size = source.metadata()?.len();
    target.set_len(size)?;
    let mut position = 0;
    while position < size {
        // lseek(2): ENXIO where no data follow, EINVAL where the file system knows no holes.
        let start = match seek(&source, SeekFrom::Data(position)) {
            Err(Errno::NXIO) => break,
            Err(Errno::INVAL) => position,
            found => found?,
        };
        let end = match seek(&source, SeekFrom::Hole(start)) {
            Err(Errno::INVAL) => size,
            found => found?,
        };
        source.seek(io::SeekFrom::Start(start))?;
        target.seek(io::SeekFrom::Start(start))?;
        io::copy(&mut source.by_ref().take(end - start), &mut target)?;
        position = end;
    }
    Ok(())
}
