//! Configs and manifests, kept byte for byte as they came.

use model::Digest;
use rusqlite::{Connection, OptionalExtension, Transaction};
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use super::Store;
use super::stored::Stored;
use crate::Error;
use crate::document::ImageConfig;

/// Hashes a document.
#[must_use]
pub fn digest_of(content: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(content).into())
}

/// Reads a document, if it is there.
pub(super) fn read(database: &Connection, digest: &Digest) -> Result<Option<Vec<u8>>, Error> {
    database
        .prepare_cached("SELECT content FROM documents WHERE digest = ?")
        .and_then(|mut select| select.query_row([Stored(*digest)], |row| row.get(0)).optional())
        .map_err(Error::database("read a document"))
}

impl Store {
    /// Reads a config or manifest, if it is there.
    ///
    /// # Errors
    /// `Internal` when the database fails.
    pub fn document(&self, digest: &Digest) -> Result<Option<Vec<u8>>, Error> {
        let found = read(&self.shared.reading(), digest)?;
        if found.is_none() {
            // Its removal has been committed, and not yet been applied in memory.
            drop(self.shared.database());
        }
        Ok(found)
    }

    /// Reads a document that an image is made of.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`] when the image was removed meanwhile; `Internal` when its document is missing.
    pub fn document_of(&self, image: &Digest, digest: &Digest) -> Result<Vec<u8>, Error> {
        let missing = || Error::Missing { kind: "image document", digest: *digest };
        self.document(digest)?.ok_or_else(|| self.gone_or(image, missing()))
    }

    /// The error of a document that an image should have: mostly the image was removed since it was found.
    pub(super) fn gone_or(&self, image: &Digest, missing: Error) -> Error {
        if self.index().images.contains_key(image) {
            return missing;
        }
        Error::NoSuchImage(image.hexadecimal())
    }

    /// Reads and parses an image's config.
    ///
    /// # Errors
    /// `Internal` when it is missing; [`Error::Document`] when it is malformed.
    pub(crate) fn config(&self, digest: &Digest) -> Result<ImageConfig, Error> {
        if let Some(config) = self.shared.configs().find(digest) {
            return Ok(config);
        }
        let missing = Error::Missing { kind: "image config", digest: *digest };
        let content = self.document(digest)?.ok_or(missing)?;
        let config: ImageConfig = parse(&digest.to_string(), &content)?;
        self.shared.configs().keep(*digest, &config, content.len());
        Ok(config)
    }
}

/// Parses a document.
pub(crate) fn parse<T: DeserializeOwned>(name: &str, content: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(content).map_err(|source| Error::Document { name: name.to_owned(), source })
}

/// Keeps a document, unless it is there already.
pub(super) fn keep(transaction: &Transaction<'_>, content: &[u8]) -> rusqlite::Result<Digest> {
    let digest = digest_of(content);
    transaction
        .prepare_cached("INSERT OR IGNORE INTO documents (digest, content) VALUES (?, ?)")?
        .execute((Stored(digest), content))?;
    Ok(digest)
}

/// Drops documents that no image and no name needs any more.
pub(super) fn drop_unneeded(transaction: &Transaction<'_>, digests: &[Digest]) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(
        "DELETE FROM documents WHERE digest = ?1
           AND NOT EXISTS (SELECT 1 FROM images WHERE config = ?1 OR legacy = ?1)
           AND NOT EXISTS (SELECT 1 FROM digests WHERE digest = ?1)
           AND NOT EXISTS (SELECT 1 FROM variants WHERE target = ?1 OR manifest = ?1)
           AND NOT EXISTS (SELECT 1 FROM attachments WHERE document = ?1)",
    )?;
    for digest in digests {
        statement.execute([Stored(*digest)])?;
    }
    Ok(())
}
