//! The names of a log's files, and their identity independent of their names.

use std::ffi::OsString;
use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Distinguishes a file from others while it is held open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }

    /// Takes what `Display` writes.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (device, inode) = text.split_once(':')?;
        Some(Self { device: device.parse().ok()?, inode: inode.parse().ok()? })
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.device, self.inode)
    }
}

/// The name of the log's file of this age; 0 is the one that is written.
#[must_use]
pub fn rotated(path: &Path, age: u32) -> PathBuf {
    if age == 0 {
        return path.to_owned();
    }
    let mut name = OsString::from(path);
    name.push(format!(".{age}"));
    PathBuf::from(name)
}

/// The name of the log's file of this age when it is compressed.
pub(crate) fn compressed(path: &Path, age: u32) -> PathBuf {
    let mut name = OsString::from(rotated(path, age));
    name.push(".gz");
    PathBuf::from(name)
}
