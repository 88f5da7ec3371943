//! Records what images came under, and finds it again.

use model::Digest;
use rusqlite::{OptionalExtension, Transaction};

use super::stored::{Stored, signed};
use super::target::{NewTarget, Target, Variant};
use super::{Store, documents};
use crate::Error;

impl NewTarget<'_> {
    /// The target without variants.
    pub(super) fn described(&self) -> Target {
        Target {
            digest: documents::digest_of(self.document),
            media_type: self.media_type.to_owned(),
            size: self.document.len() as u64,
            variants: Vec::new(),
        }
    }

    /// The image as a variant of the target.
    pub(super) fn variant(&self, image: Digest) -> Variant {
        Variant { manifest: documents::digest_of(self.manifest), image }
    }
}

impl Store {
    /// The last target of an image.
    pub(crate) fn last_target_of(&self, image: &Digest) -> Option<Target> {
        self.index().targets.of(image).next_back().cloned()
    }

    /// The target with this digest, as far as images of it are here.
    #[must_use]
    pub fn target(&self, digest: &Digest) -> Option<Target> {
        self.index().targets.find(digest).cloned()
    }

    /// All that an image came under.
    pub(crate) fn targets_of(&self, image: &Digest) -> Vec<Target> {
        self.index().targets.of(image).cloned().collect()
    }

    /// Whether an image came from elsewhere.
    #[must_use]
    pub fn is_foreign(&self, image: &Digest) -> bool {
        self.index().foreign.contains(image)
    }

    /// Drops the targets of images; the images stay, and so do their tags.
    ///
    /// # Errors
    /// `Internal` when the database fails.
    pub(crate) fn forget_target(&self, target: &Target) -> Result<(), Error> {
        let mut database = self.shared.database();
        let written = database.transaction().and_then(|transaction| {
            transaction
                .prepare_cached("DELETE FROM variants WHERE target = ?")?
                .execute([Stored(target.digest)])?;
            transaction
                .prepare_cached("UPDATE tags SET target = NULL WHERE target = ?")?
                .execute([Stored(target.digest)])?;
            let mut unneeded = drop_attachments(&transaction, target.digest)?;
            unneeded.extend(target.variants.iter().map(|variant| variant.manifest));
            unneeded.push(target.digest);
            documents::drop_unneeded(&transaction, &unneeded)?;
            transaction.commit()
        });
        written.map_err(Error::database("forget a manifest"))?;
        let mut index = self.index_mut();
        index.targets.remove(&target.digest);
        for tags in index.tag_targets.values_mut() {
            tags.retain(|_, of_tag| *of_tag != target.digest);
        }
        index.tag_targets.retain(|_, tags| !tags.is_empty());
        drop(index);
        Ok(())
    }

    /// Notes what an image that is there came under.
    ///
    /// # Errors
    /// `Internal` when the database fails.
    pub(crate) fn add_target(&self, image: Digest, target: &NewTarget<'_>) -> Result<(), Error> {
        let mut database = self.shared.database();
        if !self.index().images.contains_key(&image) {
            return Err(Error::ImageNotFound(image.hexadecimal()));
        }
        let written = database.transaction().and_then(|transaction| {
            write(&transaction, image, target)?;
            transaction.commit()
        });
        written.map_err(Error::database("record a manifest"))?;
        self.index_mut().targets.insert(&target.described(), target.variant(image));
        Ok(())
    }
}

/// Records what an image that is recorded came under.
pub(super) fn write(
    transaction: &Transaction<'_>,
    image: Digest,
    new: &NewTarget<'_>,
) -> rusqlite::Result<()> {
    let target = documents::keep(transaction, new.document)?;
    let manifest = documents::keep(transaction, new.manifest)?;
    transaction.prepare_cached("INSERT OR REPLACE INTO variants VALUES (?, ?, ?, ?, ?)")?.execute((
        Stored(image),
        Stored(target),
        new.media_type,
        signed(new.document.len() as u64),
        Stored(manifest),
    ))?;
    for attachment in new.attachments {
        let document = documents::keep(transaction, attachment)?;
        transaction
            .prepare_cached("INSERT OR IGNORE INTO attachments VALUES (?, ?)")?
            .execute((Stored(target), Stored(document)))?;
    }
    Ok(())
}

/// The documents of an image's targets; read before the image is removed.
pub(super) fn documents_of(
    transaction: &Transaction<'_>,
    image: Digest,
) -> rusqlite::Result<Vec<(Digest, Digest)>> {
    let mut statement =
        transaction.prepare_cached("SELECT target, manifest FROM variants WHERE image = ?")?;
    let rows = statement
        .query_map([Stored(image)], |row| Ok((row.get::<_, Stored>(0)?.0, row.get::<_, Stored>(1)?.0)))?;
    rows.collect()
}

/// Takes an image's place in a target away; returns the manifest that it had there.
pub(super) fn drop_variant(
    transaction: &Transaction<'_>,
    image: Digest,
    target: Digest,
) -> rusqlite::Result<Option<Digest>> {
    let mut delete = transaction
        .prepare_cached("DELETE FROM variants WHERE image = ? AND target = ? RETURNING manifest")?;
    let manifest =
        delete.query_row((Stored(image), Stored(target)), |row| row.get::<_, Stored>(0)).optional()?;
    Ok(manifest.map(|stored| stored.0))
}

/// Lets the attachments of a target go that has no image any more; returns them.
pub(super) fn drop_attachments(
    transaction: &Transaction<'_>,
    target: Digest,
) -> rusqlite::Result<Vec<Digest>> {
    let left: bool = transaction
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM variants WHERE target = ?)")?
        .query_row([Stored(target)], |row| row.get(0))?;
    if left {
        return Ok(Vec::new());
    }
    let mut statement =
        transaction.prepare_cached("DELETE FROM attachments WHERE target = ? RETURNING document")?;
    let rows = statement.query_map([Stored(target)], |row| row.get::<_, Stored>(0))?;
    rows.map(|row| row.map(|stored| stored.0)).collect()
}
