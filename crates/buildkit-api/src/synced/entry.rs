//! One entry of a client's directory, as its packet describes it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use super::contents::Content;
use super::error::SyncError;
use crate::go_mode;
use buildkit_messages::file_sync::Stat;

/// The longest path.
const PATH_LIMIT: usize = 4096;
/// The attribute that is taken from each file: BuildKit gives what it receives an owner, by which a file loses its
/// capabilities.
const CAPABILITIES: &str = "security.capability";
/// So much of an invalid one is shown.
const SHOWN_LIMIT: usize = 200;

/// The kind of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryKind {
    Directory,
    File,
    Symlink,
    Fifo,
    Device {
        block: bool,
        number: u64,
    },
    /// Nothing that a context holds: it is counted and left out.
    Socket,
}

/// An entry; a file's content follows.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(super) kind: EntryKind,
    /// Permission bits with setuid, setgid and sticky.
    pub(super) mode: u32,
    pub(super) user: u32,
    pub(super) group: u32,
    pub(super) size: u64,
    /// Nanoseconds since 1970.
    pub(super) modified: i64,
    /// The target of a symbolic link; the first name of a file with several, from the second on.
    pub(super) link: Box<OsStr>,
    pub(super) attributes: Vec<(Vec<u8>, Vec<u8>)>,
    /// The number of the first of several names of a file.
    pub(super) shared: Option<u32>,
    pub(super) content: Option<Content>,
}

impl Entry {
    /// Reads a packet's entry: its path, relative and plain, and the rest.
    ///
    /// # Errors
    /// [`SyncError`] for a path that leads elsewhere, an unknown kind, or an invalid size.
    pub(crate) fn read(stat: Stat) -> Result<(PathBuf, Self), SyncError> {
        let path = read_path(&stat.path)?;
        let kind = kind(&stat)?;
        let size = u64::try_from(stat.size).map_err(|_| SyncError::Size {
            path: shown(&stat.path),
            announced: stat.size,
            sent: 0,
        })?;
        let attributes = stat.attributes.into_iter().filter(|(name, _)| name != CAPABILITIES);
        let mut attributes: Vec<_> = attributes.map(|(name, value)| (name.into_bytes(), value)).collect();
        attributes.sort();
        let entry = Self {
            kind,
            mode: permissions(stat.mode),
            user: stat.user,
            group: stat.group,
            size: if kind == EntryKind::File { size } else { 0 },
            modified: stat.modified,
            link: OsString::from_vec(stat.link).into_boxed_os_str(),
            attributes,
            shared: None,
            content: None,
        };
        Ok((path, entry))
    }

    /// Its memory in bytes, without that of its path.
    pub(super) fn weight(&self) -> usize {
        let attributes: usize =
            self.attributes.iter().map(|(name, value)| name.len() + value.len() + 48).sum();
        size_of::<Self>() + self.link.len() + attributes
    }

    /// Whether its content is to be requested.
    pub(crate) fn needs_content(&self) -> bool {
        self.kind == EntryKind::File && self.link.is_empty() && self.content.is_none()
    }

    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn set_content(&mut self, content: Content) {
        self.content = Some(content);
    }

    /// Whether a file that was received before is the same one, as far as its description goes.
    pub(super) fn is_unchanged(&self, before: &Self) -> bool {
        self.kind == before.kind
            && self.mode == before.mode
            && self.user == before.user
            && self.group == before.group
            && self.size == before.size
            && self.modified == before.modified
            && self.link == before.link
            && self.attributes == before.attributes
    }
}

fn read_path(bytes: &[u8]) -> Result<PathBuf, SyncError> {
    // No name is empty: the path neither begins nor ends with a slash, and has none doubled.
    let is_plain = bytes.split(|byte| *byte == b'/').all(|name| !matches!(name, b"" | b"." | b".."));
    if bytes.len() > PATH_LIMIT || bytes.contains(&0) || !is_plain {
        return Err(SyncError::Path(shown(bytes).chars().take(SHOWN_LIMIT).collect()));
    }
    Ok(PathBuf::from(OsStr::from_bytes(bytes)))
}

/// A path as messages show it.
fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

fn kind(stat: &Stat) -> Result<EntryKind, SyncError> {
    let unknown = || SyncError::Kind { path: shown(&stat.path), mode: stat.mode };
    Ok(match stat.mode & go_mode::KINDS {
        0 => EntryKind::File,
        go_mode::DIRECTORY => EntryKind::Directory,
        go_mode::SYMLINK => EntryKind::Symlink,
        go_mode::FIFO => EntryKind::Fifo,
        go_mode::SOCKET => EntryKind::Socket,
        go_mode::DEVICE => {
            let major = u32::try_from(stat.device_major).map_err(|_| unknown())?;
            let minor = u32::try_from(stat.device_minor).map_err(|_| unknown())?;
            EntryKind::Device {
                block: stat.mode & go_mode::CHARACTER_DEVICE == 0,
                number: rustix::fs::makedev(major, minor),
            }
        }
        _ => return Err(unknown()),
    })
}

fn permissions(mode: u32) -> u32 {
    let flag = |flag: u32, bit: u32| if mode & flag == 0 { 0 } else { bit };
    (mode & 0o777)
        | flag(go_mode::SET_USER, 0o4000)
        | flag(go_mode::SET_GROUP, 0o2000)
        | flag(go_mode::STICKY, 0o1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_keep_their_attributes_and_lose_their_capabilities() {
        let attributes = [("user.note", b"kept"), (CAPABILITIES, b"lost")];
        let attributes = attributes.map(|(name, value)| (name.to_owned(), value.to_vec()));
        let stat = Stat { path: b"f".to_vec(), attributes: attributes.into(), ..Stat::default() };
        let (_, entry) = Entry::read(stat).expect("an entry");
        assert_eq!(entry.attributes, [(b"user.note".to_vec(), b"kept".to_vec())]);
    }
}
