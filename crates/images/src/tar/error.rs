//! Errors of an archive, or of the place where it is unpacked.

use std::io;

use model::ErrorKind;

/// A failure while an archive is read or unpacked.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The stream ends before the archive does.
    #[error("the archive is cut off: unexpected EOF")]
    Truncated,
    /// A header is malformed.
    #[error("invalid tar header at byte {offset}: {problem}")]
    Header {
        /// Where the header begins.
        offset: u64,
        /// Its fault.
        problem: &'static str,
    },
    /// A limit against bombs is passed.
    #[error("the archive is refused: more than {limit} {what}")]
    Limit {
        /// Of what.
        what: &'static str,
        /// How many are allowed.
        limit: u64,
    },
    /// The file system has no room for it, less what is to stay free.
    #[error("no space left on device: more than {free} {what}")]
    Room {
        /// For what.
        what: &'static str,
        /// How much there is.
        free: u64,
    },
    /// A small stream becomes far more than an archive does.
    #[error(
        "the archive is refused: {came} compressed bytes became {became}, more than {allowance} and \
         {ratio} times as many (see the daemon's --unpack-allowance)"
    )]
    Bomb {
        /// The compressed bytes read.
        came: u64,
        /// Their unpacked size.
        became: u64,
        /// The allowance of every stream.
        allowance: u64,
        /// How much more for each of its bytes.
        ratio: u64,
    },
    /// All archives that are being read hold too much memory together.
    #[error("too many archives are being read, try again")]
    Busy,
    /// The owner of an entry is not mapped in a container's user namespace.
    #[error("{name:?} belongs to {user}:{group}, whom the user namespace of the container lacks")]
    Owner {
        /// The entry.
        name: String,
        /// Its user.
        user: u32,
        /// Its group.
        group: u32,
    },
    /// An entry would lead out of the directory that is filled.
    #[error("the archive's entry {name:?} leads out of its root")]
    Escape {
        /// The entry's name.
        name: String,
    },
    /// A hard link's target is not there.
    #[error("cannot link {name:?} to {target:?}: no such file or directory")]
    LinkTarget {
        /// The entry's name.
        name: String,
        /// The target of the link.
        target: String,
    },
    /// The caller excluded replacements of directories by others and the reverse.
    #[error("cannot overwrite directory {existing:?} with non-directory {name:?}")]
    OverDirectory {
        /// The directory that is there.
        existing: String,
        /// The entry's name.
        name: String,
    },
    /// The caller excluded replacements of directories by others and the reverse.
    #[error("cannot overwrite non-directory {existing:?} with directory {name:?}")]
    OverNonDirectory {
        /// The file that is there.
        existing: String,
        /// The entry's name.
        name: String,
    },
    /// The compressed stream is damaged.
    #[error("cannot decompress the {format} stream: {source}")]
    Decompress {
        /// The compression's name.
        format: &'static str,
        /// The decoder's error.
        source: io::Error,
    },
    /// The sender fails.
    #[error("cannot read the archive: {0}")]
    Input(io::Error),
    /// The receiver fails.
    #[error("cannot write the archive: {0}")]
    Output(io::Error),
    /// The file system refuses an entry.
    #[error("cannot {act} {name:?}: {source}")]
    Entry {
        /// The attempted operation.
        act: &'static str,
        /// The entry's name.
        name: String,
        /// The kernel's error.
        source: io::Error,
    },
}

impl ArchiveError {
    /// The kind of the failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::LinkTarget { .. } => ErrorKind::NotFound,
            Self::Entry { source, .. } => match source.kind() {
                io::ErrorKind::ReadOnlyFilesystem => ErrorKind::Forbidden,
                io::ErrorKind::NotFound => ErrorKind::NotFound,
                _ => ErrorKind::Internal,
            },
            Self::Busy => ErrorKind::Busy,
            Self::Output(_) | Self::Input(_) => ErrorKind::Internal,
            Self::Truncated
            | Self::Header { .. }
            | Self::Owner { .. }
            | Self::Limit { .. }
            | Self::Room { .. }
            | Self::Bomb { .. }
            | Self::Escape { .. }
            | Self::OverDirectory { .. }
            | Self::OverNonDirectory { .. }
            | Self::Decompress { .. } => ErrorKind::Invalid,
        }
    }

    /// Whether the archive itself is wrong: it was read whole, within all limits, and the disk refused nothing.
    pub(crate) const fn is_of_the_content(&self) -> bool {
        match self {
            Self::Truncated
            | Self::Header { .. }
            | Self::Owner { .. }
            | Self::Escape { .. }
            | Self::LinkTarget { .. }
            | Self::OverDirectory { .. }
            | Self::OverNonDirectory { .. }
            | Self::Decompress { .. } => true,
            Self::Limit { .. } | Self::Room { .. } | Self::Bomb { .. } | Self::Busy => false,
            Self::Input(_) | Self::Output(_) | Self::Entry { .. } => false,
        }
    }

    /// Whether the disk has no room.
    pub(crate) fn is_want_of_room(&self) -> bool {
        match self {
            Self::Room { .. } => true,
            Self::Output(source) | Self::Entry { source, .. } => is_want_of_room(source),
            _ => false,
        }
    }

    pub(crate) fn entry<E: Into<io::Error>>(act: &'static str, name: &[u8]) -> impl FnOnce(E) -> Self {
        let name = shown(name);
        move |source| Self::Entry { act, name, source: source.into() }
    }
}

/// Whether a write failed because the file system, or what its user may have of it, is full.
pub(crate) fn is_want_of_room(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// A name as an error shows it: bad UTF-8 replaced, cut where it is absurdly long.
pub(crate) fn shown(name: &[u8]) -> String {
    const LIMIT: usize = 256;
    let text = String::from_utf8_lossy(&name[..name.len().min(LIMIT)]);
    if name.len() > LIMIT { format!("{text}…") } else { text.into_owned() }
}
