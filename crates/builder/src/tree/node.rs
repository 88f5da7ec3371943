//! A node of a file tree.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// An extended attribute's name and value.
pub type Attribute = (Vec<u8>, Vec<u8>);

/// A time of modification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Modified {
    /// Seconds since the epoch.
    pub seconds: i64,
    /// Nanoseconds in addition to them.
    pub nanoseconds: u32,
}

/// The identity of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Inode {
    /// The file system, or what stands for it.
    pub device: u64,
    /// Its number there.
    pub number: u64,
}

/// The kind of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeKind {
    /// A directory.
    Directory,
    /// A regular file.
    File {
        /// Its length in bytes.
        size: u64,
    },
    /// A symbolic link.
    Symlink {
        /// Where it leads.
        target: OsString,
    },
    /// A named pipe.
    Fifo,
    /// A device.
    Device {
        /// Whether it is a block device.
        block: bool,
        /// Major and minor number as makedev(3) puts them together.
        number: u64,
    },
}

/// Everything about a node but its name and content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    /// The owner.
    pub user: u32,
    /// The group.
    pub group: u32,
    /// `None`: the time at which it is made.
    pub modified: Option<Modified>,
    /// Extended attributes, sorted.
    pub attributes: Vec<Attribute>,
}

/// One node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its kind.
    pub kind: NodeKind,
    /// Which node it is, where one that is no directory has several names.
    pub shared: Option<Inode>,
    /// Everything else.
    pub metadata: Metadata,
}

/// The permission bits of `st_mode`, inode(7).
const PERMISSIONS: u32 = 0o7777;

impl Node {
    /// Reads a node of the host's file system, except extended attributes. A socket becomes an empty file: one that lies
    /// in a layer has no listener.
    ///
    /// # Errors
    /// Errors of lstat(2) or readlink(2); [`io::ErrorKind::Unsupported`] for kinds that Linux does not have.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let found = fs::symlink_metadata(path)?;
        let file_type = found.file_type();
        let kind = if file_type.is_dir() {
            NodeKind::Directory
        } else if file_type.is_file() {
            NodeKind::File { size: found.size() }
        } else if file_type.is_socket() {
            NodeKind::File { size: 0 }
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

    /// A directory with default properties.
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
    /// The metadata of a directory that a step needs and the image does not have.
    pub(crate) const fn new_directory(user: u32, group: u32) -> Self {
        Self { mode: 0o755, user, group, modified: None, attributes: Vec::new() }
    }
}
