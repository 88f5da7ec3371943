//! Names of images: tags and the digests of the manifests they came with.

use model::{Digest, ImageReference, RepositoryName};
use rusqlite::Transaction;

use super::database::{Stored, durably};
use super::{Store, documents};
use crate::Error;

/// What to do when a tag names another image already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagPolicy {
    /// Refuse.
    Keep,
    /// Give it to the new image.
    Move,
}

impl Store {
    /// Gives an image a tag (`latest` where the reference has none); gives the image that had it.
    ///
    /// # Errors
    /// `Conflict` when the tag is taken and the policy is to keep; `NotFound` when the image is gone.
    pub fn tag(
        &self,
        image: &Digest,
        reference: &ImageReference,
        policy: TagPolicy,
    ) -> Result<Option<Digest>, Error> {
        let repository = reference.repository.to_string();
        let tag = reference.tag_or_latest();
        // What has a name survives a loss of power.
        self.shared.settle()?;
        let mut database = self.shared.database();
        let before = {
            let index = self.index();
            if !index.images.contains_key(image) {
                return Err(Error::ImageNotFound(image.hexadecimal()));
            }
            index.tags.get(repository.as_str()).and_then(|tags| tags.get(tag.as_str())).copied()
        };
        match before {
            Some(before) if policy == TagPolicy::Keep => {
                return Err(Error::TagTaken { tag: tag.to_string(), image: before.hexadecimal() });
            }
            Some(before) if before == *image => return Ok(Some(before)),
            _ => {}
        }
        let values = (&repository, tag.as_str(), Stored(*image));
        durably(&mut database, |connection| {
            connection.prepare_cached("INSERT OR REPLACE INTO tags VALUES (?, ?, ?)")?.execute(values)
        })
        .map_err(Error::database("record a tag"))?;
        let mut index = self.shared.index_mut();
        index.tags.entry(repository.into()).or_default().insert(tag.as_str().into(), *image);
        Ok(before)
    }

    /// Notes that an image has this manifest in a repository, and keeps the manifest.
    ///
    /// # Errors
    /// `NotFound` when the image is gone; `Internal` when the database fails.
    pub fn add_digest(
        &self,
        image: &Digest,
        repository: &RepositoryName,
        manifest: &[u8],
    ) -> Result<Digest, Error> {
        let name = repository.to_string();
        self.shared.settle()?;
        let mut database = self.shared.database();
        if !self.index().images.contains_key(image) {
            return Err(Error::ImageNotFound(image.hexadecimal()));
        }
        let digest = durably(&mut database, |connection| {
            let transaction = connection.transaction()?;
            let digest = documents::keep(&transaction, manifest)?;
            transaction.prepare_cached("INSERT OR REPLACE INTO digests VALUES (?, ?, ?)")?.execute((
                &name,
                Stored(digest),
                Stored(*image),
            ))?;
            transaction.commit().map(|()| digest)
        })
        .map_err(Error::database("record a digest"))?;
        self.shared.index_mut().digests.entry(name.into()).or_default().insert(digest, *image);
        Ok(digest)
    }

    /// The tags of a repository and their images, in order.
    #[must_use]
    pub fn tags(&self, repository: &RepositoryName) -> Vec<(String, Digest)> {
        let index = self.index();
        let tags = index.tags.get(repository.to_string().as_str());
        tags.into_iter().flatten().map(|(tag, image)| (tag.to_string(), *image)).collect()
    }

    /// The names of an image: `repository:tag`, in order.
    #[must_use]
    pub fn tags_of(&self, image: &Digest) -> Vec<String> {
        let index = self.index();
        index.tags_of(image).into_iter().map(|(repository, tag)| format!("{repository}:{tag}")).collect()
    }
}

pub(super) fn delete_tag(transaction: &Transaction<'_>, repository: &str, tag: &str) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("DELETE FROM tags WHERE repository = ? AND tag = ?")?
        .execute((repository, tag))
        .map(drop)
}

pub(super) fn delete_digest(
    transaction: &Transaction<'_>,
    repository: &str,
    digest: &Digest,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("DELETE FROM digests WHERE repository = ? AND digest = ?")?
        .execute((repository, Stored(*digest)))
        .map(drop)
}
