//! Downloads of ADD. A graph's downloads are recorded with their server's validators, so that they are requested again
//! only when a layer has to be made of them.

use std::io;
use std::path::{Path, PathBuf};

use images::digest_of;
use images::registry::Message;
use images::registry::progress::Detail;
use model::{Digest, without_credentials};
use serde_json::{Value, json};

use super::layer_notes::{read_note, remove_notes};
use super::state::{Build, Builder};
use crate::context::{Advance, FetchError, Validators, http_date, open_if_changed};
use crate::dockerfile::DockerfileError;
use crate::error::BuildError;
use crate::event::MaterialContent;
use crate::order::Order;
use crate::scratch::DOWNLOADS;
use crate::transfer::{Item, Remote, TransferError, download};

/// The name of a download in a graph whose address has none.
const NAMELESS: &str = "__unnamed__";
/// Bytes of a note at most: a digest, a tag and a time.
const NOTE_LIMIT: u64 = 1 << 10;

/// A download, with its server's validators.
struct Note {
    digest: Digest,
    validators: Validators,
}

impl Build<'_> {
    /// Finds a source of ADD; the cache key is the digest of its content. An unchanged file is not sent again.
    ///
    /// # Errors
    /// [`BuildError::Transfer`] when it cannot be downloaded, or does not match the checksum.
    pub(super) fn download(&self, address: &str, checksum: Option<&str>) -> Result<Remote, BuildError> {
        if let Some(checksum) = checksum {
            Digest::parse(checksum).map_err(|_| DockerfileError::Checksum(checksum.to_owned()))?;
        }
        self.admit(address)?;
        let may_be_known = self.work.parameters.order == Order::Graph && self.may_use_cache()?;
        let note = if may_be_known { self.work.builder.noted_download(address)? } else { None };
        // What is noted is not what is wanted: only the content can be.
        let note = note.filter(|note| checksum.is_none_or(|wanted| *wanted == *note.digest.to_string()));
        let (digest, modified, file) = self.fetch(address, note)?;
        let (actual, address) = (digest.to_string(), address.to_owned());
        if let Some(wanted) = checksum.filter(|wanted| **wanted != *actual) {
            return Err(TransferError::Checksum { address, actual, wanted: wanted.to_owned() }.into());
        }
        self.report_material(&address, MaterialContent::Digest(digest));
        let mut name = download::name(&address);
        if name.is_empty() && self.work.parameters.order == Order::Graph {
            NAMELESS.clone_into(&mut name);
        }
        let modified = http_date(&modified);
        Ok(Remote { address, name, file, digest, modified })
    }

    /// Gets the contents of what has not been sent, for a layer that has to be made.
    ///
    /// # Errors
    /// [`BuildError::Transfer`] when one cannot be had, or is another one now.
    pub(super) fn complete_downloads(&self, items: Vec<Item>) -> Result<Vec<Item>, BuildError> {
        let complete = |item: Item| match item {
            Item::Remote(remote) if !remote.file.exists() => {
                let (digest, _, file) = self.fetch(&remote.address, None)?;
                if digest != remote.digest {
                    let (actual, wanted) = (digest.to_string(), remote.digest.to_string());
                    let address = remote.address;
                    return Err(TransferError::Checksum { address, actual, wanted }.into());
                }
                Ok(Item::Remote(Remote { file, ..remote }))
            }
            item => Ok(item),
        };
        items.into_iter().map(complete).collect()
    }

    /// Downloads a file, unless it is still the recorded one; returns its digest, its time on the server, and where it lies
    /// or would lie.
    fn fetch(&self, address: &str, note: Option<Note>) -> Result<(Digest, String, PathBuf), BuildError> {
        let file = self.scratch_path("download");
        let known = note.as_ref().map(|note| note.validators.clone()).unwrap_or_default();
        let stream = open_if_changed(address, known, self.work.session.cancellation);
        let stream = stream.map_err(TransferError::from)?;
        if let Some(note) = note.filter(|_| stream.head.is_unchanged) {
            return Ok((note.digest, note.validators.modified, file));
        }
        let message = Message { status: "Downloading".to_owned(), id: None, detail: Detail::Absent };
        let total = stream.head.length.unwrap_or(0);
        let validators = stream.head.validators.clone();
        let sink = |event| self.forward_progress(event);
        let mut advance = Advance::new(stream, &sink, message, total);
        let digest = download::keep(&mut advance, &file);
        if let Some(failure) = advance.stream.take_failure() {
            return Err(TransferError::from(failure).into());
        }
        let keep = |source| FetchError::Keep { address: without_credentials(address), source };
        let digest = digest.map_err(keep).map_err(TransferError::from)?;
        self.stream("\n");
        let modified = validators.modified.clone();
        if self.work.parameters.order == Order::Graph && validators.strong_tag().is_some() {
            let note = Note { digest, validators };
            self.work.builder.note_download(address, &note, &self.scratch_path("note"));
        }
        Ok((digest, modified, file))
    }
}

impl Builder {
    fn download_note(&self, address: &str) -> PathBuf {
        self.directory.join(DOWNLOADS).join(digest_of(address.as_bytes()).hexadecimal())
    }

    fn noted_download(&self, address: &str) -> Result<Option<Note>, BuildError> {
        let path = self.download_note(address);
        let note = read_note(&path, NOTE_LIMIT).map_err(BuildError::file("read", &path))?;
        let Some(bytes) = note else { return Ok(None) };
        let value: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let note = |digest| {
            let validators = Validators { tag: text("tag"), modified: text("modified") };
            Note { digest, validators }
        };
        Ok(Digest::parse(&text("digest")).ok().map(note))
    }

    /// Notes a download; `half` is a path for the note while it is written.
    fn note_download(&self, address: &str, note: &Note, half: &Path) {
        let Validators { tag, modified } = &note.validators;
        let text = json!({ "digest": note.digest.to_string(), "tag": tag, "modified": modified }).to_string();
        if text.len() as u64 <= NOTE_LIMIT {
            self.write_note(&self.download_note(address), &text, half);
        }
    }

    /// Removes all notes of downloads.
    ///
    /// # Errors
    /// What readdir(3) or unlink(2) fails with.
    pub(super) fn forget_downloads(&self) -> io::Result<()> {
        remove_notes(&self.directory.join(DOWNLOADS))
    }
}
