//! Takes a directory on disk, a repository's working tree, as a context.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::hasher::Hasher;
use super::index::{Index, Record};
use super::{Context, ContextError};
use crate::tree::{Node, NodeKind};

/// Reads what a directory holds; everything belongs to root, and modes are git's: 0644 or 0755.
///
/// # Errors
/// [`ContextError::File`] when it cannot be read.
pub(super) fn read(root: PathBuf) -> Result<Context, ContextError> {
    let mut index = Index::default();
    let mut hasher = Hasher::start();
    let result = read_directory(&root, Path::new(""), &mut index, &mut hasher);
    let digests = hasher.finish();
    result.map(|()| Context::new(root, index, digests))
}

fn read_directory(
    root: &Path,
    relative: &Path,
    index: &mut Index,
    hasher: &mut Hasher,
) -> Result<(), ContextError> {
    let failed = |error| ContextError::file("list", relative)(error);
    for entry in fs::read_dir(root.join(relative)).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if name == ".git" {
            continue;
        }
        let path = relative.join(name);
        let mut node = Node::read(&root.join(&path)).map_err(ContextError::file("read", &path))?;
        node.metadata.user = 0;
        node.metadata.group = 0;
        let content = match node.kind {
            NodeKind::File { .. } => {
                node.metadata.mode = if node.metadata.mode & 0o100 == 0 { 0o644 } else { 0o755 };
                Some(
                    read_file(&root.join(&path), node.metadata.mode, hasher)
                        .map_err(ContextError::file("read", &path))?,
                )
            }
            NodeKind::Directory => {
                node.metadata.mode = 0o755;
                read_directory(root, &path, index, hasher)?;
                None
            }
            NodeKind::Symlink { .. } => None,
            NodeKind::Fifo | NodeKind::Device { .. } => continue,
        };
        index.insert(path, Record { node, content, links: None });
    }
    Ok(())
}

fn read_file(path: &Path, mode: u32, hasher: &mut Hasher) -> std::io::Result<usize> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    hasher.content(size, |piece| file.read(piece))
}
