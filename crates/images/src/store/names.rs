//! Names of images: tags and the digests of the manifests they came with.

use model::{Digest, ImageReference, RepositoryName, Timestamp};
use rusqlite::{OptionalExtension, Transaction};

use super::database::Stored;
use super::{Name, Store, documents, steps};
use crate::Error;

/// What to do when a tag names another image already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagPolicy {
    /// Refuse.
    Keep,
    /// Give it to the new image.
    Move,
}

/// A name to be given to an image; another image that has it loses it.
#[derive(Debug, Clone, Copy)]
pub enum Naming<'a> {
    /// A tag, `latest` where the reference has none.
    Tag(&'a ImageReference),
    /// The digest of the manifest that the image has in a repository; the manifest is kept.
    Manifest(&'a RepositoryName, &'a [u8]),
}

impl Naming<'_> {
    pub(super) fn name(&self) -> Name {
        match self {
            Self::Tag(reference) => tag_name(reference),
            Self::Manifest(repository, manifest) => {
                Name::Digest(repository.to_string(), documents::digest_of(manifest))
            }
        }
    }

    pub(super) const fn manifest(&self) -> Option<&[u8]> {
        match self {
            Self::Tag(_) => None,
            Self::Manifest(_, manifest) => Some(manifest),
        }
    }
}

fn tag_name(reference: &ImageReference) -> Name {
    Name::Tag(reference.repository.to_string(), reference.tag_or_latest().to_string())
}

impl Store {
    /// Gives an image a tag (`latest` where the reference has none); gives the image that had it.
    ///
    /// # Errors
    /// `Conflict` when another image has the tag and the policy is to keep; `NotFound` when the image is gone.
    pub fn tag(
        &self,
        image: &Digest,
        reference: &ImageReference,
        policy: TagPolicy,
    ) -> Result<Option<Digest>, Error> {
        let taken = |taken: &[Option<Digest>]| match taken {
            [Some(before)] if policy == TagPolicy::Keep && before != image => {
                let tag = reference.tag_or_latest().to_string();
                Err(Error::TagTaken { tag, image: before.hexadecimal() })
            }
            _ => Ok(()),
        };
        let before = self.name(vec![(tag_name(reference), *image)], None, taken)?;
        Ok(before.into_iter().next().flatten())
    }

    /// Gives all these images their tags at once, or none of them; gives the images that had the tags.
    ///
    /// # Errors
    /// `NotFound` when one of the images is gone.
    pub fn tag_all(&self, tags: &[(ImageReference, Digest)]) -> Result<Vec<Option<Digest>>, Error> {
        let names = tags.iter().map(|(reference, image)| (tag_name(reference), *image)).collect();
        self.name(names, None, |_| Ok(()))
    }

    /// Gives an image the digest of a manifest that a repository has of it as a name, and keeps the manifest.
    ///
    /// # Errors
    /// `NotFound` when the image is gone.
    pub fn name_by_manifest(
        &self,
        image: &Digest,
        repository: &RepositoryName,
        manifest: &[u8],
    ) -> Result<(), Error> {
        let naming = Naming::Manifest(repository, manifest);
        self.name(vec![(naming.name(), *image)], naming.manifest(), |_| Ok(())).map(drop)
    }

    /// Names images that are there, unless `check` of what has these names now refuses it.
    fn name(
        &self,
        names: Vec<(Name, Digest)>,
        manifest: Option<&[u8]>,
        check: impl FnOnce(&[Option<Digest>]) -> Result<(), Error>,
    ) -> Result<Vec<Option<Digest>>, Error> {
        let mut database = self.shared.database();
        let before: Vec<_> = {
            let index = self.index();
            if let Some((_, gone)) = names.iter().find(|(_, image)| !index.images.contains_key(image)) {
                return Err(Error::ImageNotFound(gone.hexadecimal()));
            }
            names.iter().map(|(name, _)| index.named(name)).collect()
        };
        check(&before)?;
        if names.iter().zip(&before).all(|((_, image), before)| *before == Some(*image)) {
            return Ok(before);
        }
        let written = database.transaction().and_then(|transaction| {
            if let Some(manifest) = manifest {
                documents::keep(&transaction, manifest)?;
            }
            write(&transaction, &names)?;
            transaction.commit()
        });
        written.map_err(Error::database("record a tag"))?;
        self.shared.settle_soon();
        let mut index = self.shared.index_mut();
        Ok(names.into_iter().map(|(name, image)| index.set_name(name, image)).collect())
    }

    /// Gives all names of an image to another.
    pub(crate) fn hand_names_over(&self, from: &Digest, to: &Digest) -> Result<(), Error> {
        let names = super::names_of(&self.index(), from).into_iter().map(|name| (name, *to)).collect();
        self.name(names, None, |_| Ok(())).map(drop)
    }

    /// When an image got a tag the last time, as far as that is known.
    ///
    /// # Errors
    /// `Internal` when the database fails.
    pub fn last_tagged(&self, image: &Digest) -> Result<Option<Timestamp>, Error> {
        let failed = || Error::database("read when an image was tagged");
        let database = self.shared.database();
        let mut query = database
            .prepare_cached("SELECT milliseconds FROM last_tagged WHERE image = ?")
            .map_err(failed())?;
        let found: Option<i64> =
            query.query_row([Stored(*image)], |row| row.get(0)).optional().map_err(failed())?;
        Ok(found.and_then(|milliseconds| {
            let nanoseconds = u32::try_from(milliseconds.rem_euclid(1000)).unwrap_or_default() * 1_000_000;
            Timestamp::from_unix(milliseconds.div_euclid(1000), nanoseconds).ok()
        }))
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

/// Records names of images that are recorded.
pub(super) fn write(transaction: &Transaction<'_>, names: &[(Name, Digest)]) -> rusqlite::Result<()> {
    for (name, image) in names {
        transaction.prepare_cached("DELETE FROM leaving WHERE image = ?")?.execute([Stored(*image)])?;
        steps::forget(transaction, image)?;
        match name {
            Name::Tag(repository, tag) => transaction
                .prepare_cached("INSERT OR REPLACE INTO tags VALUES (?, ?, ?)")?
                .execute((repository, tag, Stored(*image)))?,
            Name::Digest(repository, digest) => transaction
                .prepare_cached("INSERT OR REPLACE INTO digests VALUES (?, ?, ?)")?
                .execute((repository, Stored(*digest), Stored(*image)))?,
        };
    }
    Ok(())
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
