//! Has one layer in the repository, by the cheapest way that works.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::{Duration, Instant};

use model::Digest;

use super::compress::{Form, LayerForm, write_out};
use super::upload::{self, Upload};
use super::words::PushWords;
use crate::registry::error::RegistryError;
use crate::registry::kept;
use crate::registry::manifest::{DOCKER_LAYER, Descriptor};
use crate::registry::progress::{Message, Progress};
use crate::registry::session::Session;
use crate::{Layer, LayerBlob, Store};

/// A bar moves at most so often.
const BAR_PAUSE: Duration = Duration::from_millis(100);

/// Pushes layers to one repository.
pub(super) struct Layers<'a> {
    pub(super) session: &'a Session<'a>,
    pub(super) store: &'a Store,
    pub(super) words: PushWords,
    pub(super) form: LayerForm,
    pub(super) progress: &'a dyn Progress,
}

impl Layers<'_> {
    /// Has the layer in the repository.
    pub(super) fn push(&self, layer: &Layer) -> Result<Descriptor, RegistryError> {
        let id = layer.diff_id().short();
        let outcome = self.push_known(layer, &id).and_then(|done| match done {
            Some(blob) => Ok(blob),
            None => self.push_compressed(layer, &id),
        });
        if outcome.is_err() {
            self.progress.report(Message::state(id, "Image push failed"));
        }
        let blob = outcome?;
        let repository = kept::repository_of(self.session);
        self.store.remember_layer_blob(&layer.diff_id(), &LayerBlob { repository, ..blob.clone() })?;
        Ok(Descriptor::new(&blob.media_type, blob.digest, blob.size))
    }

    /// Has just this blob, which holds the layer, in the repository; whether it could be had.
    pub(super) fn push_exactly(&self, layer: &Layer, blob: &Descriptor) -> Result<bool, RegistryError> {
        if blob.is_foreign() {
            return Ok(true);
        }
        let id = layer.diff_id().short();
        let mut known = self.store.layer_blobs(&layer.diff_id())?;
        known.retain(|other| other.digest == blob.digest);
        let own = kept::repository_of(self.session);
        let new = LayerBlob {
            digest: blob.digest,
            size: blob.size,
            media_type: blob.media_type.clone(),
            repository: own.clone(),
        };
        known.push(new.clone());
        let had = match self.push_one_of(layer, &id, &known)? {
            Some(_) => true,
            None => self.push_remade(layer, &id, blob)?,
        };
        if had {
            self.store.remember_layer_blob(&layer.diff_id(), &new)?;
        }
        Ok(had)
    }

    /// Makes a blob again that is not kept: a plain tar, or one that was compressed as it is here.
    fn push_remade(&self, layer: &Layer, id: &str, blob: &Descriptor) -> Result<bool, RegistryError> {
        let cancellation = self.session.transport().cancellation();
        let form = if blob.digest == layer.diff_id() { Form::Plain } else { Form::GZIPPED };
        if form == Form::GZIPPED && !blob.media_type.ends_with("gzip") {
            return Ok(false);
        }
        let made = write_out(self.store, layer, form, cancellation)?;
        if made.digest != blob.digest {
            return Ok(false);
        }
        self.upload(id, made.digest, made.size, &made.path)?;
        Ok(true)
    }

    /// Uses an existing blob of the layer: in the repository, elsewhere in the registry, or here.
    fn push_known(&self, layer: &Layer, id: &str) -> Result<Option<LayerBlob>, RegistryError> {
        let mut blobs = self.store.layer_blobs(&layer.diff_id())?;
        // Other compressions than gzip have no place in a manifest of schema 2.
        blobs.retain(|blob| self.form.takes(&blob.media_type));
        self.push_one_of(layer, id, &blobs)
    }

    fn push_one_of(
        &self,
        layer: &Layer,
        id: &str,
        blobs: &[LayerBlob],
    ) -> Result<Option<LayerBlob>, RegistryError> {
        let own = kept::repository_of(self.session);
        let mut blobs: Vec<&LayerBlob> = blobs.iter().collect();
        blobs.sort_by_key(|blob| blob.repository != own);
        let mut asked: Vec<Digest> = Vec::new();
        for blob in &blobs {
            if asked.contains(&blob.digest) {
                continue;
            }
            asked.push(blob.digest);
            if upload::exists(self.session, blob.digest)? {
                self.progress.report(Message::state(id, self.words.exists()));
                return Ok(Some((*blob).clone()));
            }
        }
        for blob in &blobs {
            let Some(from) = kept::path_in(self.session, &blob.repository) else { continue };
            if from != self.session.path() && upload::mount(self.session, blob.digest, from)? {
                self.progress.report(Message::state(id, format!("Mounted from {from}")));
                return Ok(Some((*blob).clone()));
            }
        }
        for blob in &blobs {
            let Some(path) = layer.kept_blob(blob.digest) else { continue };
            match self.upload(id, blob.digest, blob.size, &path) {
                Ok(()) => return Ok(Some((*blob).clone())),
                // The file is damaged: the layer itself is still good.
                Err(RegistryError::Status { status: 400, message, .. }) => {
                    tracing::warn!(path = %path.display(), message, "the registry refuses a kept blob: it is made again");
                    layer.drop_kept_blob(blob.digest)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    fn push_compressed(&self, layer: &Layer, id: &str) -> Result<LayerBlob, RegistryError> {
        self.progress.report(Message::state(id, self.words.compresses()));
        let compressed =
            write_out(self.store, layer, self.form.form, self.session.transport().cancellation())?;
        if upload::exists(self.session, compressed.digest)? {
            self.progress.report(Message::state(id, self.words.exists()));
        } else {
            self.upload(id, compressed.digest, compressed.size, &compressed.path)?;
        }
        Ok(LayerBlob {
            digest: compressed.digest,
            size: compressed.size,
            media_type: match self.form.form {
                Form::Gzipped { .. } => DOCKER_LAYER.to_owned(),
                other => other.media_type().to_owned(),
            },
            repository: String::new(),
        })
    }

    fn upload(&self, id: &str, digest: Digest, size: u64, path: &Path) -> Result<(), RegistryError> {
        let open = |offset: u64| -> io::Result<Box<dyn Read + '_>> {
            let mut file = File::open(path)?;
            file.seek(SeekFrom::Start(offset))?;
            Ok(Box::new(file))
        };
        let last: Cell<Option<Instant>> = Cell::new(None);
        let seen = |current: u64| {
            if current == size || last.get().is_none_or(|last| last.elapsed() >= BAR_PAUSE) {
                last.set(Some(Instant::now()));
                self.progress.report(Message::amount(id, "Pushing", current, size));
            }
        };
        let upload = Upload { session: self.session, digest, size, open: &open, seen: &seen };
        upload.run()?;
        self.progress.report(Message::state(id, self.words.was_sent()));
        Ok(())
    }
}
