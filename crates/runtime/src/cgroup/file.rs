//! Reads and writes the files of a cgroup, with errors that name the file as clients expect.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use crate::CgroupError;

/// Writes a value.
pub(crate) fn write(directory: &Path, name: &str, value: &str) -> Result<(), CgroupError> {
    write_each(directory, name, std::iter::once(value))
}

/// Writes values, each for itself.
pub(crate) fn write_each(
    directory: &Path,
    name: &str,
    values: impl Iterator<Item: AsRef<str>>,
) -> Result<(), CgroupError> {
    let path = directory.join(name);
    let mut file = OpenOptions::new()
        .write(true)
        .open(&path)
        .map_err(|source| CgroupError::new(format!("open {}", path.display()), source))?;
    for value in values {
        file.write_all(value.as_ref().as_bytes())
            .map_err(|source| CgroupError::new(format!("write {}", path.display()), source))?;
    }
    Ok(())
}

/// Reads a file whole.
pub(crate) fn read(directory: &Path, name: &str) -> Result<String, CgroupError> {
    let path = directory.join(name);
    std::fs::read_to_string(&path)
        .map_err(|source| CgroupError::new(format!("read {}", path.display()), source))
}

/// The number behind a name in a file of `name number` lines.
pub(crate) fn flag(text: &str, name: &str) -> Option<u64> {
    numbers(text).find(|(found, _)| *found == name).map(|(_, number)| number)
}

/// All lines `name number` of a file.
pub(crate) fn numbers(text: &str) -> impl Iterator<Item = (&str, u64)> {
    text.lines().filter_map(|line| {
        let (name, number) = line.split_once(' ')?;
        Some((name, number.trim().parse().ok()?))
    })
}

/// Reads one number; `None` for `max`, and for a file that this kernel or this container lacks.
pub(crate) fn number(directory: Option<&Path>, name: &str) -> Option<u64> {
    std::fs::read_to_string(directory?.join(name)).ok()?.trim().parse().ok()
}

/// Reads a file that this kernel may lack; it is empty then.
pub(crate) fn read_if_any(directory: Option<&Path>, name: &str) -> String {
    directory.and_then(|directory| std::fs::read_to_string(directory.join(name)).ok()).unwrap_or_default()
}
