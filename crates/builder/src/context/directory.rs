//! Takes a directory on disk, a repository's working tree, as a context.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::contents::Intake;
use super::index::{Index, Record};
use super::source::misplaced_error;
use super::{Context, ContextError};
use crate::tree::{Node, NodeKind};

/// Reads what a directory holds, `.git` only where it is wanted; everything belongs to root, and modes are git's: 0644 or 0755.
///
/// # Errors
/// [`ContextError::File`] when it cannot be read, [`ContextError::Limit`] when it holds too much.
pub(super) fn read(root: &Path, keeps_git: bool, mut intake: Intake) -> Result<Context, ContextError> {
    let mut index = Index::default();
    let mut directories = vec![PathBuf::new()];
    while let Some(directory) = directories.pop() {
        for name in names(root, &directory)? {
            if name == ".git" && !keeps_git {
                continue;
            }
            let path = directory.join(name);
            let Some(record) = record(root, &path, &mut intake)? else { continue };
            index.weigh(path.as_os_str().len() + root.as_os_str().len())?;
            if record.node.is_directory() {
                directories.push(path.clone());
            }
            index.insert(&path, record).map_err(|misplaced| misplaced_error(&path, misplaced))?;
        }
    }
    let contents = intake.finish().map_err(ContextError::file("write", Path::new("")))?;
    Ok(Context::new(index, contents))
}

fn names(root: &Path, directory: &Path) -> Result<Vec<OsString>, ContextError> {
    let failed = |error| ContextError::file("list", directory)(error);
    let entries = fs::read_dir(root.join(directory)).map_err(failed)?;
    entries.map(|entry| entry.map(|entry| entry.file_name()).map_err(failed)).collect()
}

/// The record of a path; `None` for kinds that git does not store.
fn record(root: &Path, path: &Path, intake: &mut Intake) -> Result<Option<Record>, ContextError> {
    let mut node = Node::read(&root.join(path)).map_err(ContextError::file("read", path))?;
    node.metadata.user = 0;
    node.metadata.group = 0;
    let content = match node.kind {
        NodeKind::File { .. } => {
            node.metadata.mode = if node.metadata.mode & 0o100 == 0 { 0o644 } else { 0o755 };
            Some(intake.adopt(root.join(path)).map_err(ContextError::file("read", path))?)
        }
        NodeKind::Directory => {
            node.metadata.mode = 0o755;
            None
        }
        NodeKind::Symlink { .. } => None,
        NodeKind::Fifo | NodeKind::Device { .. } => return Ok(None),
    };
    Ok(Some(Record { node, content }))
}
