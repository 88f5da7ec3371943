//! What a file tree holds under one name.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// An extended attribute's name and value.
pub(crate) type Attribute = (Vec<u8>, Vec<u8>);

/// A time of modification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Modified {
    pub(crate) seconds: i64,
    pub(crate) nanoseconds: u32,
}

/// What tells one node from every other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Inode {
    pub(crate) device: u64,
    pub(crate) number: u64,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NodeKind {
    Directory,
    File { size: u64 },
    Symlink { target: OsString },
    Fifo,
    Device { block: bool, number: u64 },
}

/// Everything about a node but its name and content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Metadata {
    /// Permission bits with setuid, setgid and sticky.
    pub(crate) mode: u32,
    pub(crate) user: u32,
    pub(crate) group: u32,
    /// `None`: the time at which it is made.
    pub(crate) modified: Option<Modified>,
    pub(crate) attributes: Vec<Attribute>,
}

/// One node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) kind: NodeKind,
    /// Which node it is, where one that is no directory has several names.
    pub(crate) shared: Option<Inode>,
    pub(crate) metadata: Metadata,
}

/// The permission bits of `st_mode`, inode(7).
const PERMISSIONS: u32 = 0o7777;

impl Node {
    /// Reads a node of the host's file system, extended attributes excepted.
    ///
    /// # Errors
    /// What lstat(2) or readlink(2) fails with; [`io::ErrorKind::Unsupported`] for a socket.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let found = fs::symlink_metadata(path)?;
        let file_type = found.file_type();
        let kind = if file_type.is_dir() {
            NodeKind::Directory
        } else if file_type.is_file() {
            NodeKind::File { size: found.size() }
        } else if file_type.is_symlink() {
            NodeKind::Symlink { target: fs::read_link(path)?.into_os_string() }
        } else if file_type.is_fifo() {
            NodeKind::Fifo
        } else if file_type.is_block_device() || file_type.is_char_device() {
            NodeKind::Device { block: file_type.is_block_device(), number: found.rdev() }
        } else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let modified =
            Modified { seconds: found.mtime(), nanoseconds: u32::try_from(found.mtime_nsec()).unwrap_or(0) };
        let metadata = Metadata {
            mode: found.mode() & PERMISSIONS,
            user: found.uid(),
            group: found.gid(),
            modified: Some(modified),
            attributes: Vec::new(),
        };
        let has_names = found.nlink() > 1 && !file_type.is_dir();
        let shared = has_names.then(|| Inode { device: found.dev(), number: found.ino() });
        Ok(Self { kind, shared, metadata })
    }

    /// A directory of which nothing is known but that it is there.
    pub(crate) fn plain_directory() -> Self {
        Self { kind: NodeKind::Directory, shared: None, metadata: Metadata::new_directory(0, 0) }
    }

    pub(crate) fn is_directory(&self) -> bool {
        self.kind == NodeKind::Directory
    }

    /// Whether it is overlay's mark of a deleted name.
    pub(crate) fn is_whiteout(&self) -> bool {
        self.kind == NodeKind::Device { block: false, number: 0 }
    }
}

impl Metadata {
    /// What a directory gets that a step needs and the image does not have.
    pub(crate) const fn new_directory(user: u32, group: u32) -> Self {
        Self { mode: 0o755, user, group, modified: None, attributes: Vec::new() }
    }
}
