//! Fills a fresh volume with what an image has at the volume's place.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use crate::tree::{Form, Packer, Stack};
use crate::unpack::Overwrite;
use crate::{ArchiveError, Error};

/// Copies a directory of an image, merged of its layers (topmost first), into `target`, an empty
/// directory that also takes over its mode and owner. Nothing is copied where the image has no
/// directory at this place.
///
/// # Errors
/// When the layers cannot be read or the target not be written.
pub fn copy_up(lower: &[PathBuf], place: &Path, target: &Path) -> Result<(), Error> {
    let input = |source| Error::Archive(ArchiveError::Input(source));
    let mut stack = Stack::open(lower).map_err(input)?;
    for component in place.components() {
        let Component::Normal(name) = component else { continue };
        let name = name.as_bytes();
        let Some(found) = stack.find(name).map_err(input)? else { return Ok(()) };
        stack = stack.child(name, found.layer, Form::Merged).map_err(input)?;
        if stack.is_empty() {
            return Ok(());
        }
    }
    let root = File::open(target).map_err(input)?;
    if let Some(top) = stack.0.first() {
        let from = File::from(top.try_clone().map_err(input)?).metadata().map_err(input)?;
        std::os::unix::fs::chown(target, Some(from.uid()), Some(from.gid())).map_err(input)?;
        fs::set_permissions(target, fs::Permissions::from_mode(from.mode() & 0o7777)).map_err(input)?;
    }
    let (reader, writer) = std::io::pipe().map_err(input)?;
    std::thread::scope(|scope| {
        let packing = scope.spawn(move || {
            let mut out = BufWriter::with_capacity(256 * 1024, writer);
            let mut packer = Packer::new(&mut out, Form::Merged, None);
            packer.directory(stack, Stack(Vec::new()), b"")?;
            packer.finish()?;
            out.flush()
        });
        let unpacked = crate::unpack::unpack(root.as_fd(), reader, Overwrite::Anything);
        let packed = packing.join().unwrap_or_else(|_| Err(std::io::Error::other("packing failed")));
        unpacked.map_err(Error::Archive).and_then(|_| packed.map_err(input))
    })
}
