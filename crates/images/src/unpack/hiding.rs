//! Applies whiteouts to the layer that is being unpacked.

use super::destination::split;
use super::whiteout::{AUFS_LINKS, Whiteout};
use super::{Recorder, Unpacking};
use crate::tar::{ArchiveError, Entry, Reader};

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
