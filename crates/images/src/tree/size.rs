//! How much the files of a tree hold.

use std::collections::HashSet;
use std::io;
use std::path::Path;

use rustix::fs::FileType;

use super::descent::{Descent, Place};
use super::stack::{Form, Stack, is_directory, kind};

/// The bytes of all files below a directory in overlay's form, hard links counted once.
///
/// # Errors
/// When something cannot be read.
pub(crate) fn size(directory: &Path) -> io::Result<u64> {
    stack_size(Stack::open(&[directory])?, Form::Difference)
}

/// The bytes of all files of stacked directories, hard links counted once. What lies too deep for an archive
/// does not count.
///
/// # Errors
/// When something cannot be read.
pub(crate) fn stack_size(stack: Stack, form: Form) -> io::Result<u64> {
    let mut sizes = Sizes { form, total: 0, linked: HashSet::new() };
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
    total: u64,
    /// The files with several names that were counted.
    linked: HashSet<(u64, u64)>,
}

impl Sizes {
    /// Adds the files of a directory; gives the directories in it, and which layer has each.
    fn add(&mut self, directory: &Stack) -> io::Result<Vec<(Vec<u8>, usize)>> {
        let mut directories = Vec::new();
        for (name, found) in directory.names(self.form)? {
            let stat = &found.stat;
            if is_directory(stat) {
                directories.push((name, found.layer));
            } else if kind(stat) == FileType::RegularFile
                && (stat.st_nlink == 1 || self.linked.insert((stat.st_dev, stat.st_ino)))
            {
                self.total += u64::try_from(stat.st_size).unwrap_or_default();
            }
        }
        Ok(directories)
    }
}
