//! Takes a directory on disk, a repository's working tree, as a context.

use std::fs;
use std::path::Path;

use super::contents::Intake;
use super::index::{Index, Record};
use super::{Context, ContextError};
use crate::tree::{Node, NodeKind};

/// Reads what a directory holds; everything belongs to root, and modes are git's: 0644 or 0755.
///
/// # Errors
/// [`ContextError::File`] when it cannot be read.
pub(super) fn read(root: &Path, mut intake: Intake) -> Result<Context, ContextError> {
    let mut index = Index::default();
    read_directory(root, Path::new(""), &mut index, &mut intake)?;
    let contents = intake.finish().map_err(ContextError::file("write", Path::new("")))?;
    Ok(Context::new(index, contents))
}

fn read_directory(
    root: &Path,
    relative: &Path,
    index: &mut Index,
    intake: &mut Intake,
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
                Some(intake.adopt(root.join(&path)).map_err(ContextError::file("read", &path))?)
            }
            NodeKind::Directory => {
                node.metadata.mode = 0o755;
                read_directory(root, &path, index, intake)?;
                None
            }
            NodeKind::Symlink { .. } => None,
            NodeKind::Fifo | NodeKind::Device { .. } => continue,
        };
        index.insert(path, Record { node, content });
    }
    Ok(())
}
