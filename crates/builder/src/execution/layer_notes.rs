//! Notes of the layers that steps made: files by the digest of what a layer depends on, which hold the layer's digest. The
//! layers themselves are the image store's, which may have removed them since.
//!
//! Notes are only a cache: one that cannot be written is done without, and one that another build or prune has removed
//! meanwhile is gone. Their directories stay, so that no note is written into one that a prune removes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use images::{Layer, digest_of};
use model::Digest;

use super::state::Builder;
use crate::error::BuildError;
use crate::scratch::{DOWNLOADS, KNOWN, LINKED};

/// Bytes of a note at most: a digest.
const NOTE_LIMIT: u64 = 256;

/// Notes of each kind that stay when there are more than twice as many; the oldest go.
const NOTES_KEPT: usize = 8192;
/// So many notes are written before they are counted again.
const NOTES_BETWEEN_SWEEPS: usize = 1024;

/// The dependencies of a layer.
pub(super) enum LayerKey {
    /// Its step alone: it is put on anything.
    Linked(String),
    /// Its step and the layers below it.
    Placed(String),
}

impl LayerKey {
    fn path(&self, builder: &Builder) -> PathBuf {
        let (directory, text) = match self {
            Self::Linked(text) => (LINKED, text),
            Self::Placed(text) => (KNOWN, text),
        };
        builder.directory.join(directory).join(digest_of(text.as_bytes()).hexadecimal())
    }
}

impl Builder {
    /// The layer that an earlier build made of the same.
    ///
    /// # Errors
    /// [`BuildError::File`] when the note cannot be read.
    pub(super) fn noted_layer(&self, key: &LayerKey) -> Result<Option<Layer>, BuildError> {
        let path = key.path(self);
        let note = read_note(&path, NOTE_LIMIT).map_err(BuildError::file("read", &path))?;
        Ok(note.and_then(|note| self.layer_in(&note)))
    }

    /// The layer that a note names, as far as the store has it.
    fn layer_in(&self, note: &[u8]) -> Option<Layer> {
        let diff_id = Digest::parse(std::str::from_utf8(note).ok()?).ok()?;
        self.store.layer(&diff_id)
    }

    /// Notes a layer by its keys; `half` is a path for the note while it is written. It is one file of several names: a file costs
    /// some disks more than all else that a step does.
    pub(super) fn note_layer(&self, keys: &[LayerKey], diff_id: Digest, half: &Path) {
        let Some((first, others)) = keys.split_first() else { return };
        let first = first.path(self);
        self.write_note(&first, &diff_id.to_string(), half);
        for other in others {
            let other = other.path(self);
            self.put(&other, || link_note(&first, &other, half));
        }
    }

    /// Writes a note of any kind, and removes the oldest from time to time; `half` is a path for it while it is written.
    pub(super) fn write_note(&self, path: &Path, text: &str, half: &Path) {
        self.put(path, || put_note(path, text, half));
    }

    fn put(&self, path: &Path, put: impl Fn() -> io::Result<()>) {
        let written = match put() {
            // The directory may have been removed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => put(),
            written => written,
        };
        if let Err(error) = written {
            tracing::warn!(path = %path.display(), %error, "cannot write a note for later builds");
        }
        if self.notes_written.fetch_add(1, Ordering::Relaxed).is_multiple_of(NOTES_BETWEEN_SWEEPS) {
            for directory in [LINKED, KNOWN, DOWNLOADS].map(|kind| self.directory.join(kind)) {
                if let Err(error) = thin(&directory, NOTES_KEPT) {
                    tracing::warn!(path = %directory.display(), %error, "cannot remove the oldest notes");
                }
            }
        }
    }

    /// Removes the notes of layers that are gone.
    ///
    /// # Errors
    /// What readdir(3) or unlink(2) fails with.
    pub(super) fn forget_lost_layers(&self) -> io::Result<()> {
        self.forget_lost_of(LINKED)?;
        self.forget_lost_of(KNOWN)
    }

    fn forget_lost_of(&self, kind: &str) -> io::Result<()> {
        for note in notes(&self.directory.join(kind))? {
            let path = note.path();
            if read_note(&path, NOTE_LIMIT)?.is_some_and(|note| self.layer_in(&note).is_none()) {
                remove_note(&path)?;
            }
        }
        Ok(())
    }

    /// Removes all notes of layers that lie on others: images may still need layers whose steps are removed.
    ///
    /// # Errors
    /// What readdir(3) or unlink(2) fails with.
    pub(super) fn forget_placed_layers(&self) -> io::Result<()> {
        remove_notes(&self.directory.join(KNOWN))
    }
}

/// Removes all notes of a directory.
///
/// # Errors
/// What readdir(3) or unlink(2) fails with.
pub(super) fn remove_notes(directory: &Path) -> io::Result<()> {
    notes(directory)?.iter().try_for_each(|note| remove_note(&note.path()))
}

/// The notes of a directory, which need not be there.
fn notes(directory: &Path) -> io::Result<Vec<fs::DirEntry>> {
    match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries?.collect(),
    }
}

/// Removes a note, unless it was removed already.
fn remove_note(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Replaces an earlier note by a new one as a whole.
fn put_note(path: &Path, text: &str, half: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::write(half, text)?;
    fs::rename(half, path)
}

/// Gives a note another name, replacing an earlier one.
fn link_note(note: &Path, path: &Path, half: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::hard_link(note, half)?;
    fs::rename(half, path)
}

/// Removes the oldest notes of a directory that has more than twice as many as are kept.
fn thin(directory: &Path, kept: usize) -> io::Result<()> {
    let entries = notes(directory)?;
    if entries.len() <= kept * 2 {
        return Ok(());
    }
    // Another build may remove one meanwhile.
    let age = |entry: &fs::DirEntry| entry.metadata().and_then(|metadata| metadata.modified()).ok();
    let mut notes: Vec<_> = entries.into_iter().map(|entry| (age(&entry), entry.path())).collect();
    notes.sort();
    notes[..notes.len() - kept].iter().try_for_each(|(_, path)| remove_note(path))
}

/// The content of a note of at most so many bytes; `None` if it does not exist.
///
/// # Errors
/// Those of [`sys::bounded_read::read`].
pub(super) fn read_note(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    match sys::bounded_read::read(path, limit) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        note => note.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Temporary;

    #[test]
    fn the_oldest_notes_go() {
        let temporary = Temporary::new();
        let directory = temporary.join("notes");
        thin(&directory, 2).expect("nothing to do");
        fs::create_dir(&directory).expect("a directory");
        for number in 0..5 {
            let file = fs::File::create(directory.join(number.to_string())).expect("a note");
            let age = std::time::Duration::from_secs(100 - number);
            file.set_modified(std::time::SystemTime::now() - age).expect("a time");
        }
        let names = || {
            let entries = fs::read_dir(&directory).expect("notes");
            let mut names: Vec<_> = entries.map(|entry| entry.expect("a note").file_name()).collect();
            names.sort();
            names
        };
        thin(&directory, 3).expect("few enough");
        assert_eq!(names().len(), 5);
        thin(&directory, 2).expect("fewer");
        assert_eq!(names(), ["3", "4"]);
    }

    #[test]
    fn a_note_of_two_names_is_one_file() {
        let temporary = Temporary::new();
        let path = |name: &str| temporary.join(&format!("notes/{name}"));
        let half = temporary.join("half");
        put_note(&path("other"), "of an earlier layer", &half).expect("a note");
        put_note(&path("one"), "text", &half).expect("a note");
        link_note(&path("one"), &path("other"), &half).expect("another name");
        assert_eq!(fs::read_to_string(path("other")).expect("the note"), "text");
        remove_note(&path("one")).expect("removed");
        assert_eq!(fs::read_to_string(path("other")).expect("the note"), "text");
        assert!(!half.exists());
    }

    #[test]
    fn the_directory_of_removed_notes_stays() {
        let temporary = Temporary::new();
        let directory = temporary.join("notes");
        remove_notes(&directory).expect("nothing to do");
        put_note(&directory.join("one"), "text", &temporary.join("half")).expect("a note");
        remove_notes(&directory).expect("removed");
        assert_eq!(notes(&directory).expect("a directory").len(), 0);
        assert!(directory.exists());
    }
}
