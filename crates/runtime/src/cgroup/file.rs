//! Reads and writes the files of a cgroup, with errors that name the file as clients know them.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use crate::CgroupError;

/// Writes a value.
pub(crate) fn write(directory: &Path, name: &str, value: &str) -> Result<(), CgroupError> {
    let path = directory.join(name);
    let mut file = OpenOptions::new()
        .write(true)
        .open(&path)
        .map_err(|source| CgroupError::new(format!("open {}", path.display()), source))?;
    file.write_all(value.as_bytes())
        .map_err(|source| CgroupError::new(format!("write {}", path.display()), source))
}

/// Reads a file whole.
pub(crate) fn read(directory: &Path, name: &str) -> Result<String, CgroupError> {
    let path = directory.join(name);
    std::fs::read_to_string(&path)
        .map_err(|source| CgroupError::new(format!("read {}", path.display()), source))
}
