//! `COPY --link`: layers that do not depend on those below, found again when the image below has changed.
//!
//! The layer of a command is noted in a file, `<builds>/linked/<sha256 of the command>`; the layer itself is the image
//! store's, which may have removed it since.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use images::{Layer, digest_of};
use model::Digest;

use super::state::{Build, Builder};
use crate::dockerfile::Transfer;
use crate::error::BuildError;
use crate::scratch::LINKED;

/// Bytes of a note at most: a digest.
const NOTE_LIMIT: u64 = 256;

impl Builder {
    /// Removes the notes of layers that are gone.
    ///
    /// # Errors
    /// What readdir(3) or unlink(2) fails with.
    pub(super) fn forget_lost_layers(&self) -> io::Result<()> {
        let directory = self.directory.join(LINKED);
        let entries = match fs::read_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let path = entry?.path();
            let diff_id = read_note(&path)?;
            if diff_id.and_then(|diff_id| self.store.layer(&diff_id)).is_none() {
                fs::remove_file(&path)?;
            }
        }
        // One that still has notes stays.
        let _ = fs::remove_dir(&directory);
        Ok(())
    }
}

impl Build<'_> {
    /// The layer that an earlier build made of the same copy, wherever it was put on.
    ///
    /// # Errors
    /// [`BuildError::File`] when the note cannot be read.
    pub(super) fn linked_layer(
        &self,
        transfer: &Transfer,
        command: &[String],
    ) -> Result<Option<Layer>, BuildError> {
        if !transfer.is_linked || !self.may_use_cache()? {
            return Ok(None);
        }
        let path = self.note(command)?;
        let diff_id = match read_note(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            diff_id => diff_id.map_err(BuildError::file("read", &path))?,
        };
        Ok(diff_id.and_then(|diff_id| self.work.builder.store.layer(&diff_id)))
    }

    /// Notes the layer of a copy that is linked.
    ///
    /// # Errors
    /// [`BuildError::File`] when it cannot be written.
    pub(super) fn remember_linked(
        &self,
        transfer: &Transfer,
        command: &[String],
        layer: &Layer,
    ) -> Result<(), BuildError> {
        if !transfer.is_linked {
            return Ok(());
        }
        let path = self.note(command)?;
        let directory = self.work.builder.directory.join(LINKED);
        let write = || {
            fs::create_dir_all(&directory)?;
            let half = self.scratch_path("linked");
            fs::write(&half, layer.diff_id().to_string())?;
            fs::rename(half, &path)
        };
        write().map_err(BuildError::file("write", &path))
    }

    /// Where the layer of a command is noted: owners that are names are those of the image below.
    fn note(&self, command: &[String]) -> Result<PathBuf, BuildError> {
        let stage = self.stage_ref()?;
        let mut key = format!("{}\n{}", stage.config.working_dir, command.join(" "));
        if command.iter().any(|word| word.contains("--chown=")) {
            key.push_str(&format!("\n{}", stage.config.image));
        }
        Ok(self.work.builder.directory.join(LINKED).join(digest_of(key.as_bytes()).hexadecimal()))
    }
}

/// The layer that a note names; `None` where it is no note.
fn read_note(path: &Path) -> io::Result<Option<Digest>> {
    let bytes = sys::bounded_read::read(path, NOTE_LIMIT)?;
    Ok(std::str::from_utf8(&bytes).ok().and_then(|text| Digest::parse(text).ok()))
}
