//! One entry of a context in forty bytes.

use crate::tree::Metadata;

/// The kind of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    File,
    Symlink,
    Fifo,
    CharacterDevice,
    BlockDevice,
}

/// Stands for "no content" and "no time": neither has so high a number.
const NONE: u32 = u32::MAX;

/// An entry.
#[derive(Debug)]
pub(super) struct Slot {
    seconds: i64,
    /// A file's size, a device's number, a symbolic link's place among the targets, a directory's number.
    value: u64,
    user: u32,
    group: u32,
    nanoseconds: u32,
    /// The number of a file's content, or of another node with several names.
    content: u32,
    mode: u16,
    kind: Kind,
    is_shared: bool,
}

impl Slot {
    pub(super) fn new(kind: Kind, value: u64, content: Option<u32>, metadata: &Metadata) -> Self {
        let modified = metadata.modified;
        Self {
            seconds: modified.map_or(0, |modified| modified.seconds),
            nanoseconds: modified.map_or(NONE, |modified| modified.nanoseconds),
            value,
            user: metadata.user,
            group: metadata.group,
            content: content.unwrap_or(NONE),
            // Permission bits fit into twelve.
            mode: u16::try_from(metadata.mode & 0o7777).unwrap_or_default(),
            kind,
            is_shared: false,
        }
    }

    pub(super) const fn kind(&self) -> Kind {
        self.kind
    }

    pub(super) const fn value(&self) -> u64 {
        self.value
    }

    /// The number of a directory.
    pub(super) fn directory(&self) -> Option<u32> {
        u32::try_from(self.value).ok().filter(|_| self.kind == Kind::Directory)
    }

    /// The number of a file's content.
    pub(super) fn content(&self) -> Option<u32> {
        Some(self.content).filter(|content| self.kind == Kind::File && *content != NONE)
    }

    /// Records that a node has several names; `number` distinguishes one without content from the others.
    pub(super) fn share(&mut self, number: u32) {
        if self.kind != Kind::File && !self.is_shared {
            self.content = number;
        }
        self.is_shared = true;
    }

    /// The common number of all names of a node with several names: a file's content's number, or the one of
    /// [`Self::share`].
    pub(super) fn shared(&self) -> Option<u32> {
        Some(self.content).filter(|_| self.is_shared && self.kind != Kind::Directory)
    }

    /// Mode, user and group.
    pub(super) fn permissions(&self) -> (u32, u32, u32) {
        (self.mode.into(), self.user, self.group)
    }

    /// Seconds and nanoseconds of the last modification.
    pub(super) fn modified(&self) -> Option<(i64, u32)> {
        (self.nanoseconds != NONE).then_some((self.seconds, self.nanoseconds))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_entry_takes_forty_bytes() {
        assert_eq!(size_of::<super::Slot>(), 40);
    }
}
