//! How much the files of a tree hold.

use std::collections::HashSet;
use std::io;
use std::path::Path;

use rustix::fs::FileType;

use super::stack::{Form, Stack, is_directory, kind};

/// The bytes of all files below a directory in overlay's form, links counted once.
///
/// # Errors
/// When something cannot be read.
pub(crate) fn size(directory: &Path) -> io::Result<u64> {
    stack_size(Stack::open(&[directory])?, Form::Difference)
}

/// The bytes of all files of stacked directories, links counted once.
///
/// # Errors
/// When something cannot be read.
pub(crate) fn stack_size(stack: Stack, form: Form) -> io::Result<u64> {
    let mut total = 0;
    let mut linked = HashSet::new();
    let mut levels = vec![stack];
    while let Some(level) = levels.pop() {
        for (name, found) in level.names(form)? {
            let stat = &found.stat;
            if is_directory(stat) {
                levels.push(level.child(&name, found.layer, form)?);
            } else if matches!(kind(stat), FileType::RegularFile | FileType::Symlink)
                && (stat.st_nlink == 1 || linked.insert((stat.st_dev, stat.st_ino)))
                && kind(stat) == FileType::RegularFile
            {
                total += u64::try_from(stat.st_size).unwrap_or_default();
            }
        }
    }
    Ok(total)
}
