//! Blobs kept beside their layers, so that what is sent on or saved is byte for byte what came.
//!
//! A blob lies as `blob-<digits>` in its layer's directory and goes away with the layer. It is a
//! convenience: what is missing or damaged is made anew from the layer's tar.

use std::path::{Path, PathBuf};

use model::Digest;

use super::Layer;

impl Layer {
    /// The file of a blob that holds the layer, where it is kept.
    #[must_use]
    pub fn kept_blob(&self, digest: Digest) -> Option<PathBuf> {
        self.blob_path(digest).filter(|path| path.exists())
    }

    /// Keeps the file of a blob that holds the layer: it is moved.
    pub(crate) fn keep_blob(&self, digest: Digest, file: &Path) {
        let Some(target) = self.blob_path(digest) else { return };
        if let Err(error) = std::fs::rename(file, &target) {
            tracing::debug!(path = %target.display(), %error, "a layer's blob is not kept");
            let _ = std::fs::remove_file(file);
        }
    }

    /// Whether an image has the layer already.
    pub(crate) fn is_used(&self) -> bool {
        self.shared.index().layers.get(self.key()).is_some_and(|layer| layer.references > 0)
    }

    fn blob_path(&self, digest: Digest) -> Option<PathBuf> {
        Some(self.directory().parent()?.join(format!("blob-{}", digest.hexadecimal())))
    }
}
