//! One entry of an archive, its extended headers applied.

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryKind {
    /// A file with content.
    File,
    /// Another name of a file in the same archive.
    HardLink,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharacterDevice,
    /// A block device.
    BlockDevice,
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
    /// Anything else: its content is passed over.
    Other,
}

/// A piece of a sparse file that has content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Where it begins in the file.
    pub(crate) offset: u64,
    /// How long it is.
    pub(crate) length: u64,
}

/// One entry: names are bytes as they came.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The name as it came.
    pub(crate) path: Vec<u8>,
    /// The target of a link.
    pub(crate) link: Vec<u8>,
    /// What it is.
    pub(crate) kind: EntryKind,
    /// Permission bits with setuid, setgid and sticky.
    pub(crate) mode: u32,
    /// The owner.
    pub(crate) user: u32,
    /// The group.
    pub(crate) group: u32,
    /// Seconds since 1970.
    pub(crate) seconds: i64,
    /// Nanoseconds past the second.
    pub(crate) nanoseconds: u32,
    /// Of a device.
    pub(crate) device: (u32, u32),
    /// The file's size, holes included.
    pub(crate) size: u64,
    /// How many bytes of content the archive holds, without padding.
    pub(crate) stored: u64,
    /// Extended attributes.
    pub(crate) attributes: Vec<(Vec<u8>, Vec<u8>)>,
    /// The pieces that have content, where the file is sparse.
    pub(crate) extents: Option<Vec<Extent>>,
}
