//! Blobs kept beside their layers, so that what is pushed or saved is byte for byte what was received.
//!
//! A blob lies as `blob-<digits>` in its layer's directory and is removed with the layer. It is a
//! convenience: what is missing or damaged is made again from the layer's tar. Its size is recorded with the
//! layer, so that computing the disk usage of images needs no look-up of files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::Digest;
use rusqlite::Connection;

use super::stored::{Stored, blob_name, signed};
use super::{Layer, LayerKey, Shared};
use crate::Error;

impl Layer {
    /// The file of a blob that holds the layer, where it is kept.
    #[must_use]
    pub fn kept_blob(&self, digest: Digest) -> Option<PathBuf> {
        Some(self.blob_path(digest)).filter(|path| path.exists())
    }

    /// Keeps the file of a blob that holds the layer: it is moved.
    ///
    /// # Errors
    /// `Internal` when the database fails.
    pub(crate) fn keep_blob(&self, digest: Digest, size: u64, file: &Path) -> Result<(), Error> {
        let target = self.blob_path(digest);
        if let Err(error) = std::fs::rename(file, &target) {
            tracing::debug!(path = %target.display(), %error, "a layer's blob is not kept");
            let _ = std::fs::remove_file(file);
            return Ok(());
        }
        self.shared.record_kept_blob(&self.shared.database(), self.key(), digest, Some(size))
    }

    /// Releases layers, and drops their blobs that belong to no image.
    pub(crate) fn release_unnamed(layers: Vec<Self>) {
        let Some(shared) = layers.first().map(|layer| Arc::clone(&layer.shared)) else { return };
        let keys = layers.iter().map(|layer| Arc::clone(layer.key())).collect();
        drop(layers);
        shared.drop_unnamed_blobs(&keys);
    }

    /// Removes a kept blob that is of no use.
    ///
    /// # Errors
    /// `Internal` when the database fails.
    pub(crate) fn drop_kept_blob(&self, digest: Digest) -> Result<(), Error> {
        let _ = std::fs::remove_file(self.blob_path(digest));
        self.shared.record_kept_blob(&self.shared.database(), self.key(), digest, None)
    }

    fn blob_path(&self, digest: Digest) -> PathBuf {
        self.shared.layer_path(self.key()).join(blob_name(digest))
    }
}

impl Shared {
    /// Drops the records of blobs that a loss of power took, and removes those that it cut off.
    pub(super) fn check_kept_blobs(&self, layer: &LayerKey) -> Result<(), Error> {
        let database = self.database();
        for (digest, size) in kept_blobs_of(&database, layer)? {
            let path = self.layer_path(layer).join(blob_name(digest));
            if !path.metadata().is_ok_and(|metadata| metadata.len() == size) {
                let _ = std::fs::remove_file(&path);
                self.record_kept_blob(&database, layer, digest, None)?;
            }
        }
        Ok(())
    }

    /// Records the size of a layer's blob, or that it is gone.
    pub(super) fn record_kept_blob(
        &self,
        database: &Connection,
        layer: &LayerKey,
        digest: Digest,
        size: Option<u64>,
    ) -> Result<(), Error> {
        let failed = || Error::database("record what is kept of a layer");
        match size {
            Some(size) => database.execute(
                "INSERT OR REPLACE INTO kept_blobs VALUES (?, ?, ?)",
                (&**layer, Stored(digest), signed(size)),
            ),
            None => database
                .execute("DELETE FROM kept_blobs WHERE layer = ? AND digest = ?", (&**layer, Stored(digest))),
        }
        .map_err(failed())?;
        let kept: i64 = database
            .query_row("SELECT coalesce(sum(size), 0) FROM kept_blobs WHERE layer = ?", [&**layer], |row| {
                row.get(0)
            })
            .map_err(failed())?;
        if let Some(record) = self.index_mut().layers.get_mut(layer) {
            record.kept = u64::try_from(kept).unwrap_or_default();
        }
        Ok(())
    }
}

/// The recorded blobs of a layer, with their sizes in bytes.
pub(super) fn kept_blobs_of(database: &Connection, layer: &LayerKey) -> Result<Vec<(Digest, u64)>, Error> {
    let read = || {
        let mut statement = database.prepare("SELECT digest, size FROM kept_blobs WHERE layer = ?")?;
        let blob =
            |row: &rusqlite::Row<'_>| Ok((row.get::<_, Stored>(0)?.0, row.get::<_, i64>(1)?.unsigned_abs()));
        statement.query_map([&**layer], blob)?.collect::<rusqlite::Result<Vec<_>>>()
    };
    read().map_err(Error::database("read what is kept of a layer"))
}
