//! Whiteouts: `.wh.` names of archives become overlay's marks (overlayfs documentation,
//! "whiteouts and opaque directories").

use super::destination::split;
use super::{Recorder, Unpacking};
use crate::tar::{ArchiveError, Entry, Reader};
use crate::whiteout::{OPAQUE_NAME, PREFIX};

/// Names that AUFS kept for itself.
const RESERVED: &[u8] = b".wh..wh.";

/// The directory in which AUFS kept files with several names: hard links of the layer lead into it.
const AUFS_LINKS: &[u8] = b".wh..wh.plnk";

/// What a whiteout hides.
pub(super) enum Whiteout {
    /// Everything that the layers below have in its directory.
    Directory,
    /// One name of the layers below.
    Name(Vec<u8>),
    /// Nothing: a file that AUFS used.
    Nothing,
    /// Nothing: it has the content of files that are linked to it.
    AufsLink,
}

/// Recognises a whiteout by the last component of its path.
pub(super) fn parse(path: &[u8]) -> Option<Whiteout> {
    let (parent, name) = split(path);
    if parent == AUFS_LINKS {
        return Some(Whiteout::AufsLink);
    }
    // Hard links of AUFS lay in a directory `.wh..wh.plnk`.
    if path.split(|byte| *byte == b'/').any(|part| part.starts_with(RESERVED) && part != OPAQUE_NAME) {
        return Some(Whiteout::Nothing);
    }
    if name == OPAQUE_NAME {
        return Some(Whiteout::Directory);
    }
    let hidden = name.strip_prefix(PREFIX)?;
    // Hiding "nothing", itself or its parent is meaningless: such names hide nothing.
    Some(match hidden {
        b"" | b"." | b".." => Whiteout::Nothing,
        _ => Whiteout::Name(hidden.to_vec()),
    })
}

impl Unpacking<'_> {
    /// Unpacks a file that AUFS kept: what is linked to it is a file of the layer.
    pub(super) fn aufs_link(
        &mut self,
        path: &[u8],
        entry: &Entry,
        reader: &mut Reader<'_>,
        recorder: &mut dyn Recorder,
    ) -> Result<(), ArchiveError> {
        self.has_aufs_links = true;
        self.file(path, entry, reader, recorder)
    }

    /// Moves the files that AUFS kept out of the layer, once all links to them are made.
    pub(super) fn set_aufs_links_aside(&mut self, recorder: &mut dyn Recorder) -> Result<(), ArchiveError> {
        if !self.has_aufs_links {
            return Ok(());
        }
        let (parent, name) = self.destination.parent(AUFS_LINKS)?;
        recorder.replaced(AUFS_LINKS, &parent, name)
    }

    pub(super) fn whiteout(&mut self, path: &[u8], whiteout: Whiteout) -> Result<(), ArchiveError> {
        let (parent, _) = split(path);
        match whiteout {
            Whiteout::Nothing | Whiteout::AufsLink => Ok(()),
            Whiteout::Directory => self.destination.set_opaque(parent),
            Whiteout::Name(name) => {
                let hidden = if parent.is_empty() { name } else { [parent, b"/", name.as_slice()].concat() };
                self.destination.hide(&hidden)
            }
        }
    }
}
