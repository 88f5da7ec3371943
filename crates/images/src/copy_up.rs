//! Fills a fresh volume with what an image has at the volume's place.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Gid, Mode, Timespec, Timestamps, Uid, XattrFlags};

use crate::merged::{self, Place};
use crate::tree::{self, Form, Packer, Stack};
use crate::unpack::Overwrite;
use crate::{ArchiveError, Error};

/// Copies a directory of an image, merged of its layers (topmost first), into `target`, an empty
/// directory that also takes over its mode, owner, attributes and times. A symlink at the place is
/// followed within the image, as the mount will be. Nothing is copied where the image has no
/// directory at this place; returns whether it has one.
///
/// # Errors
/// When the layers cannot be read or the target not be written.
pub fn copy_up(lower: &[PathBuf], place: &Path, target: &Path) -> Result<bool, Error> {
    let input = |source| Error::Archive(ArchiveError::Input(source));
    let stack = match merged::find(lower, place).map_err(input)? {
        Place::Directory(stack) => stack,
        Place::Nothing | Place::Other => return Ok(false),
    };
    let root = File::open(target).map_err(input)?;
    let top = stack.0.first().cloned();
    let (reader, writer) = io::pipe().map_err(input)?;
    std::thread::scope(|scope| {
        let packing = scope.spawn(move || {
            let mut out = BufWriter::with_capacity(256 * 1024, writer);
            let mut packer = Packer::new(&mut out, Form::Merged, None);
            packer.directory(stack, Stack(Vec::new()), b"")?;
            packer.finish()?;
            out.flush()
        });
        let unpacked = crate::unpack::unpack(root.as_fd(), reader, Overwrite::Anything);
        let packed = packing.join().unwrap_or_else(|_| Err(io::Error::other("packing failed")));
        unpacked.map_err(Error::Archive).and_then(|_| packed.map_err(input))
    })?;
    top.map_or(Ok(()), |top| copy_attributes(&top, &root)).map_err(input)?;
    Ok(true)
}

/// Gives a directory the owner, mode, attributes and times of another.
///
/// # Errors
/// When the one cannot be read or the other not be changed.
pub fn take_over(from: &Path, to: &Path) -> Result<(), Error> {
    let failed = |source| Error::Archive(ArchiveError::Input(source));
    let from = OwnedFd::from(File::open(from).map_err(failed)?);
    copy_attributes(&from, &File::open(to).map_err(failed)?).map_err(failed)
}

fn copy_attributes(from: &OwnedFd, to: &File) -> io::Result<()> {
    let stat = rustix::fs::fstat(from)?;
    let (user, group) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    rustix::fs::fchown(to, Some(user), Some(group))?;
    rustix::fs::fchmod(to, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
    for (name, value) in tree::attributes(from)? {
        rustix::fs::fsetxattr(to, OsStr::from_bytes(&name), &value, XattrFlags::empty())?;
    }
    let time = |seconds, nanoseconds| Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    let times = Timestamps {
        last_access: time(stat.st_atime, i64::try_from(stat.st_atime_nsec).unwrap_or_default()),
        last_modification: time(stat.st_mtime, i64::try_from(stat.st_mtime_nsec).unwrap_or_default()),
    };
    Ok(rustix::fs::futimens(to, &times)?)
}
