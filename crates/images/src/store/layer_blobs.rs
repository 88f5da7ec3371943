//! The known blobs of layers.

use model::Digest;
use rusqlite::OptionalExtension;

use super::stored::{Stored, signed};
use super::{Layer, Store};
use crate::Error;

/// A known blob of a layer, compressed or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerBlob {
    /// Its digest in registries.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Its media type.
    pub media_type: String,
    /// Where it was seen: a repository's familiar name, host included.
    pub repository: String,
}

impl Store {
    /// The known blobs of a layer.
    ///
    /// # Errors
    /// `Internal` when the database fails.
    pub fn layer_blobs(&self, diff_id: &Digest) -> Result<Vec<LayerBlob>, Error> {
        let failed = || Error::database("read a layer's blobs");
        let database = self.shared.reading();
        let mut statement = database
            .prepare_cached("SELECT digest, size, media_type, repository FROM layer_blobs WHERE diff_id = ?")
            .map_err(failed())?;
        let rows = statement.query_map([Stored(*diff_id)], |row| {
            Ok(LayerBlob {
                digest: row.get::<_, Stored>(0)?.0,
                size: u64::try_from(row.get::<_, i64>(1)?).unwrap_or_default(),
                media_type: row.get(2)?,
                repository: row.get(3)?,
            })
        });
        rows.and_then(Iterator::collect).map_err(failed())
    }

    /// Notes that a blob holds a layer.
    ///
    /// # Errors
    /// `Internal` when the database fails.
    pub fn remember_layer_blob(&self, diff_id: &Digest, blob: &LayerBlob) -> Result<(), Error> {
        let values =
            (Stored(*diff_id), Stored(blob.digest), signed(blob.size), &blob.media_type, &blob.repository);
        self.shared
            .database()
            .execute("INSERT OR REPLACE INTO layer_blobs VALUES (?, ?, ?, ?, ?)", values)
            .map(drop)
            .map_err(Error::database("note a layer's blob"))
    }

    /// Holds the layer of a blob, if both are known.
    ///
    /// # Errors
    /// `Internal` when the database fails.
    pub fn layer_of_blob(&self, blob: &Digest) -> Result<Option<Layer>, Error> {
        let query = "SELECT diff_id FROM layer_blobs JOIN layers USING (diff_id) WHERE digest = ? LIMIT 1";
        let found = self
            .shared
            .reading()
            .query_row(query, [Stored(*blob)], |row| row.get::<_, Stored>(0))
            .optional()
            .map_err(Error::database("look for a blob"))?;
        Ok(found.and_then(|diff_id| self.shared.hold(&diff_id.0)))
    }
}
