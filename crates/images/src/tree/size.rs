//! How much the files of a tree hold.

use std::collections::HashSet;
use std::io;
use std::path::Path;

use rustix::fs::FileType;

use super::descent::{Descent, Place};
use super::stack::{Form, Stack, is_directory, kind};

/// The size of a tree, files with several names counted once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TreeSize {
    /// Bytes of its files.
    pub bytes: u64,
    /// Files and directories, the tree's own among them.
    pub inodes: u64,
}

/// The size of a directory in overlay's form.
///
/// # Errors
/// When something cannot be read.
pub(crate) fn size(directory: &Path) -> io::Result<TreeSize> {
    stack_size(Stack::open(&[directory])?, Form::Difference)
}

/// The size of stacked directories. What lies too deep for an archive does not count.
///
/// # Errors
/// When something cannot be read.
pub(crate) fn stack_size(stack: Stack, form: Form) -> io::Result<TreeSize> {
    let mut sizes = Sizes { form, total: TreeSize { bytes: 0, inodes: 1 }, linked: HashSet::new() };
    let mut levels = vec![sizes.add(&stack)?];
    let mut descent = Descent::new(form, Place { stack, below: Stack(Vec::new()) });
    while let Some(directories) = levels.last_mut() {
        let Some((name, layer)) = directories.pop() else {
            levels.pop();
            descent.leave()?;
            continue;
        };
        if !descent.is_at_limit() && descent.enter(&name, layer)? {
            levels.push(descent.place().map_or_else(|| Ok(Vec::new()), |place| sizes.add(&place.stack))?);
        }
    }
    Ok(sizes.total)
}

struct Sizes {
    form: Form,
    total: TreeSize,
    /// The files with several names that were counted.
    linked: HashSet<(u64, u64)>,
}

impl Sizes {
    /// Adds the files of a directory; returns the directories in it, and which layer has each.
    fn add(&mut self, directory: &Stack) -> io::Result<Vec<(Vec<u8>, usize)>> {
        let mut directories = Vec::new();
        for (name, found) in directory.names(self.form)? {
            let stat = &found.stat;
            if is_directory(stat) {
                directories.push((name, found.layer));
            } else if stat.st_nlink > 1 && !self.linked.insert((stat.st_dev, stat.st_ino)) {
                continue;
            } else if kind(stat) == FileType::RegularFile {
                self.total.bytes += u64::try_from(stat.st_size).unwrap_or_default();
            }
            self.total.inodes += 1;
        }
        Ok(directories)
    }
}
