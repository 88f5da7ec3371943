//! Exports a container's whole file system as a tar.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::tree::{Form, Packer, Stack, TreeSize};

/// Writes the merged view of layers (topmost first, a container's upper directory before its
/// image's) as a tar, without a mount; returns the tar's size.
///
/// # Errors
/// [`Error::Output`] when a layer cannot be read or `out` fails.
pub fn export(layers: &[impl AsRef<Path>], mut out: &mut dyn Write) -> Result<u64, Error> {
    let written = Stack::open(layers).and_then(|stack| {
        let mut packer = Packer::new(&mut out, Form::Merged, None);
        packer.directory(stack, Stack(Vec::new()), b"")?;
        packer.finish()
    });
    written.map(|(_, written)| written).map_err(Error::Output)
}

/// The bytes of all files below a directory, hard links counted once: a container's own size.
///
/// # Errors
/// `Internal` when it cannot be read.
pub fn tree_size(directory: &Path) -> Result<u64, Error> {
    tree_size_with_inodes(directory).map(|size| size.bytes)
}

/// The size of a directory, with its inodes.
///
/// # Errors
/// `Internal` when it cannot be read.
pub fn tree_size_with_inodes(directory: &Path) -> Result<TreeSize, Error> {
    crate::tree::size(directory).map_err(Error::file("measure", directory))
}

/// The bytes of all files in the merged view of layers, topmost first.
///
/// # Errors
/// `Internal` when a layer cannot be read.
pub fn merged_size(layers: &[PathBuf]) -> Result<u64, Error> {
    let failed = Error::file("measure", layers.first().map_or(Path::new(""), PathBuf::as_path));
    let size = Stack::open(layers).and_then(|stack| crate::tree::stack_size(stack, Form::Merged));
    size.map(|size| size.bytes).map_err(failed)
}
