//! Names of images: tags and the digests of the manifests they came with.

use model::{Digest, ImageReference, RepositoryName, Timestamp};
use rusqlite::{OptionalExtension, Transaction};

use super::stored::Stored;
use super::{Index, Name, NamedImage, Store, documents, steps};
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

impl NamedImage {
    /// Leaves out a target that does not belong to the image. A tag that an image from elsewhere has already keeps its own
    /// where none is named; one of an image that was made here leads to the image alone then.
    pub(super) fn complete(&mut self, index: &Index) {
        let is_of_image =
            |target: &Digest| index.targets.find(target).is_some_and(|target| target.has(&self.image));
        let kept = || {
            let is_same = index.named(&self.name) == Some(self.image) && index.foreign.contains(&self.image);
            index.target_of_name(&self.name).filter(|_| is_same).map(|target| target.digest)
        };
        self.target = self.target.filter(is_of_image).or_else(kept);
    }

    /// Whether the image has the name already, with this target.
    pub(super) fn is_so(&self, index: &Index) -> bool {
        let target = || index.target_of_name(&self.name).map(|target| target.digest);
        let is_digest = matches!(self.name, Name::Digest(..));
        index.named(&self.name) == Some(self.image) && (is_digest || target() == self.target)
    }
}

fn tag_name(reference: &ImageReference) -> Name {
    Name::Tag(reference.repository.to_string(), reference.tag_or_latest().to_string())
}

impl Store {
    /// Gives an image a tag (`latest` where the reference has none); returns the image that had it. The tag gets the target
    /// of the image's other names.
    ///
    /// # Errors
    /// `Invalid` for a name that could be an id, `Conflict` when another image has the tag and the policy is to keep; `NotFound` when the image is gone.
    pub fn tag(
        &self,
        image: &Digest,
        reference: &ImageReference,
        policy: TagPolicy,
    ) -> Result<Option<Digest>, Error> {
        reference.repository.check_new()?;
        let target = self.index().target_of_image(image).map(|target| target.digest);
        self.tag_one(NamedImage { name: tag_name(reference), image: *image, target }, policy)
    }

    /// Gives an image a tag with what it is to lead to; returns the image that had it.
    pub(crate) fn tag_one(&self, named: NamedImage, policy: TagPolicy) -> Result<Option<Digest>, Error> {
        let (image, name) = (named.image, named.name.clone());
        let taken = |taken: &[Option<Digest>]| match (taken, &name) {
            ([Some(before)], Name::Tag(_, tag)) if policy == TagPolicy::Keep && *before != image => {
                Err(Error::TagTaken { tag: tag.clone(), image: before.hexadecimal() })
            }
            _ => Ok(()),
        };
        let before = self.name(vec![named], None, taken)?;
        Ok(before.into_iter().next().flatten())
    }

    /// Gives all these images their tags at once, or none of them; gives the images that had the tags. The tag of an image that
    /// came from elsewhere, without attestations and under one target, leads to that, any other to the image alone: what a
    /// build says of an image belongs to the names of that build.
    ///
    /// # Errors
    /// `NotFound` when one of the images is gone, `Internal` when the database fails.
    pub fn tag_all(&self, tags: &[(ImageReference, Digest)]) -> Result<Vec<Option<Digest>>, Error> {
        let named = |(reference, image): &(ImageReference, Digest)| {
            let target = match self.targets_of(image).as_slice() {
                [only] if self.keeps_its_own(image)? => Some(only.digest),
                _ => None,
            };
            Ok((reference.clone(), *image, target))
        };
        self.tag_under(&tags.iter().map(named).collect::<Result<Vec<_>, Error>>()?)
    }

    /// Gives all these images their tags or digests at once, or none of them, each tag with what it is to lead to; a tag that an image
    /// from elsewhere has already leads on to what it led to, where nothing else is named. Gives the images that had the tags.
    ///
    /// # Errors
    /// `NotFound` when one of the images is gone.
    pub(crate) fn tag_under(
        &self,
        tags: &[(ImageReference, Digest, Option<Digest>)],
    ) -> Result<Vec<Option<Digest>>, Error> {
        tags.iter().try_for_each(|(reference, ..)| reference.repository.check_new())?;
        let named = |(reference, image, target): &(ImageReference, Digest, Option<Digest>)| NamedImage {
            name: Name::of(reference),
            image: *image,
            target: *target,
        };
        self.name(tags.iter().map(named).collect(), None, |_| Ok(()))
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
        let named = NamedImage { name: naming.name(), image: *image, target: None };
        self.name(vec![named], naming.manifest(), |_| Ok(())).map(drop)
    }

    /// Names images that are there, unless `check` of what has these names now refuses it.
    fn name(
        &self,
        mut names: Vec<NamedImage>,
        manifest: Option<&[u8]>,
        check: impl FnOnce(&[Option<Digest>]) -> Result<(), Error>,
    ) -> Result<Vec<Option<Digest>>, Error> {
        let mut database = self.shared.database();
        let before: Vec<_> = {
            let index = self.index();
            if let Some(gone) = names.iter().find(|named| !index.images.contains_key(&named.image)) {
                return Err(Error::ImageNotFound(gone.image.hexadecimal()));
            }
            names.iter_mut().for_each(|named| named.complete(&index));
            names.iter().map(|named| index.named(&named.name)).collect()
        };
        check(&before)?;
        if names.iter().all(|named| named.is_so(&self.index())) {
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
        Ok(names.into_iter().map(|named| index.set_name(named)).collect())
    }

    /// When an image got a tag the last time, if known.
    ///
    /// # Errors
    /// `Internal` when the database fails.
    pub fn last_tagged(&self, image: &Digest) -> Result<Option<Timestamp>, Error> {
        let failed = || Error::database("read when an image was tagged");
        let database = self.shared.reading();
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

    /// The names that lead to an image, `repository:tag`: its own in order, then those of what it is another platform of.
    #[must_use]
    pub fn tags_leading_to(&self, image: &Digest) -> Vec<String> {
        let names = self.index().names_leading_to(image);
        names.iter().filter(|name| matches!(name, Name::Tag(..))).map(Name::shown).collect()
    }

    /// The names of an image: `repository:tag`, in order.
    #[must_use]
    pub fn tags_of(&self, image: &Digest) -> Vec<String> {
        let index = self.index();
        index.tags_of(image).into_iter().map(|(repository, tag)| format!("{repository}:{tag}")).collect()
    }
}

/// Records names of images that are recorded.
pub(super) fn write(transaction: &Transaction<'_>, names: &[NamedImage]) -> rusqlite::Result<()> {
    for NamedImage { name, image, target } in names {
        transaction.prepare_cached("DELETE FROM leaving WHERE image = ?")?.execute([Stored(*image)])?;
        steps::forget(transaction, image)?;
        match name {
            Name::Tag(repository, tag) => transaction
                .prepare_cached(
                    "INSERT OR REPLACE INTO tags (repository, tag, image, target) VALUES (?, ?, ?, ?)",
                )?
                .execute((repository, tag, Stored(*image), target.map(Stored)))?,
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
