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
pub fn export(layers: &[impl AsRef<Path>], out: &mut dyn Write) -> Result<u64, Error> {
    let layers = layers.iter().map(|layer| layer.as_ref().to_owned()).collect();
    export_trees(&[ExportedTree { directory: None, layers }], out)
}

/// A tree in a tar of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedTree {
    /// The name of a directory that it gets of its own.
    pub directory: Option<String>,
    /// Its layers, topmost first.
    pub layers: Vec<PathBuf>,
}

/// Writes the merged views of several stacks of layers as one tar; returns its size.
///
/// # Errors
/// [`Error::Output`] when a layer cannot be read or `out` fails.
pub fn export_trees(trees: &[ExportedTree], mut out: &mut dyn Write) -> Result<u64, Error> {
    let mut packer = Packer::new(&mut out, Form::Merged, None);
    let mut pack = |ExportedTree { directory, layers }: &ExportedTree| {
        let stack = Stack::open(layers)?;
        let prefix = directory.as_ref().map(|name| format!("{name}/")).unwrap_or_default();
        if directory.is_some() {
            packer.new_directory(prefix.as_bytes())?;
        }
        packer.directory(stack, Stack(Vec::new()), prefix.as_bytes())
    };
    trees.iter().try_for_each(&mut pack).map_err(Error::Output)?;
    packer.finish().map(|(_, written)| written).map_err(Error::Output)
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
