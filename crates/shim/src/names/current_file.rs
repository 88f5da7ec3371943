//! A network's file as it is now: mapped again whenever another has taken its place.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use shim_protocol::names::{LONGEST_NAMES_FILE, NamesFile};
use sys::mapped_file::MappedFile;

/// Distinguishes a file from its replacement: device and inode.
type Identity = (u64, u64);

/// A file that is replaced, never changed.
pub(super) struct CurrentFile {
    path: PathBuf,
    mapped: Option<(Identity, MappedFile)>,
}

impl CurrentFile {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self { path, mapped: None }
    }

    pub(super) const fn path(&self) -> &PathBuf {
        &self.path
    }

    /// The names that are in the file now. While it cannot be read, those of the last one; none before that.
    pub(super) fn names(&mut self) -> Option<NamesFile<'_>> {
        // A failure could not be reported: names as they were are the best there is.
        let _ = self.look();
        let (_, mapped) = self.mapped.as_ref()?;
        NamesFile::read(mapped.bytes()).ok()
    }

    fn look(&mut self) -> io::Result<()> {
        let known = self.mapped.as_ref().map(|(identity, _)| *identity);
        if known == Some(identity(&fs::metadata(&self.path)?)) {
            return Ok(());
        }
        let file = File::open(&self.path)?;
        let identity = identity(&file.metadata()?);
        let mapped = MappedFile::map(&file, LONGEST_NAMES_FILE)?;
        self.mapped = Some((identity, mapped));
        Ok(())
    }
}

/// As long as a file is mapped, no other gets its inode.
fn identity(metadata: &Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}
