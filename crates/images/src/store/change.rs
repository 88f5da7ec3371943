//! Takes names and images away, in one transaction.

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard};

use model::Digest;
use rusqlite::Connection;

use super::database::{Stored, durably};
use super::step_use::StepUse;
use super::{ImageRecord, LayerKey, Name, Shared, Store, documents, names, names_of, steps, targets};
use crate::Error;

/// What is left of an image that was to be removed.
#[derive(Debug, Clone, Copy)]
enum Remainder {
    /// It goes with the last container that uses it.
    Leaving(Digest),
    /// It stays as a step of the builds that were made on it.
    Step(Digest),
}

/// The right to change the store: what was read since stays true.
pub(crate) struct Change<'a> {
    shared: &'a Shared,
    database: MutexGuard<'a, Connection>,
}

impl Store {
    /// Keeps all others from changing the store.
    pub(crate) fn begin_change(&self) -> Change<'_> {
        Change { shared: &self.shared, database: self.shared.database() }
    }

    /// Takes images away with all their names.
    pub(super) fn remove_damaged(&self, images: &[Digest]) -> Result<(), Error> {
        let change = self.begin_change();
        let (names, records) = {
            let index = self.index();
            let names = images.iter().flat_map(|image| names_of(&index, image)).collect::<Vec<_>>();
            (names, images.iter().filter_map(|image| index.images.get(image).cloned()).collect::<Vec<_>>())
        };
        change.remove(&names, &records)
    }

    /// Takes back images that were just made, as far as nobody named or used them meanwhile.
    pub(crate) fn discard_images(&self, images: &[Digest]) {
        for id in images.iter().rev() {
            let change = self.begin_change();
            let record = {
                let mut index = self.index_mut();
                let is_named = !index.tags_of(id).is_empty() || !index.digests_of(id).is_empty();
                let is_used = self.uses().iter().any(|usage| usage.image == *id);
                let is_needed = is_named || is_used || index.has_children(id);
                let record = index.images.get(id).filter(|_| !is_needed).cloned();
                index.doomed_images.extend(record.iter().map(|image| image.id));
                record
            };
            if let Some(record) = record
                && let Err(error) = change.remove(&[], &[record])
            {
                tracing::warn!(image = %id, %error, "cannot take an image back");
            }
        }
    }
}

impl Change<'_> {
    /// Takes names and images away, and the files of layers that nobody needs then.
    pub(crate) fn remove(self, gone: &[Name], images: &[Arc<ImageRecord>]) -> Result<(), Error> {
        self.apply(gone, images, None)
    }

    /// Takes names away; the image goes with the last container that uses it.
    pub(crate) fn leave(self, gone: &[Name], image: Digest) -> Result<(), Error> {
        self.apply(gone, &[], Some(Remainder::Leaving(image)))
    }

    /// Takes names and images away; one image stays as a step of builds.
    pub(crate) fn demote(
        self,
        gone: &[Name],
        images: &[Arc<ImageRecord>],
        image: Digest,
    ) -> Result<(), Error> {
        self.apply(gone, images, Some(Remainder::Step(image)))
    }

    fn apply(
        mut self,
        gone: &[Name],
        images: &[Arc<ImageRecord>],
        remainder: Option<Remainder>,
    ) -> Result<(), Error> {
        let free = self.doom_layers(images);
        // On disk before any file goes: a loss of power must not bring the record back alone.
        let committed =
            durably(&mut self.database, |connection| commit(connection, gone, images, &free, remainder));
        if let Err(error) = committed {
            let mut index = self.shared.index_mut();
            index.set_doomed(&free, false);
            index.doomed_images.retain(|doomed| images.iter().all(|image| image.id != *doomed));
            return Err(Error::database("remove an image")(error));
        }
        // Whoever held a layer may have let it go since it was looked at.
        let freed: Vec<LayerKey> = {
            let mut index = self.shared.index_mut();
            for name in gone {
                match name {
                    Name::Tag(repository, tag) => take(&mut index.tags, repository, tag.as_str()),
                    Name::Digest(repository, digest) => take(&mut index.digests, repository, digest),
                }
            }
            match remainder {
                Some(Remainder::Leaving(image)) => drop(index.leaving.insert(image)),
                Some(Remainder::Step(image)) => drop(index.steps.insert(image, StepUse::first())),
                None => {}
            }
            images.iter().flat_map(|image| index.remove_image(&image.id)).collect()
        };
        drop(self.database);
        for key in free {
            self.shared.remove_layer_files(&key);
        }
        for key in freed {
            self.shared.drop_if_unneeded(&key);
        }
        Ok(())
    }

    /// The layers that only these images need and nobody holds: from now on nobody can.
    fn doom_layers(&self, images: &[Arc<ImageRecord>]) -> Vec<LayerKey> {
        let mut uses: HashMap<&LayerKey, u32> = HashMap::new();
        for key in images.iter().flat_map(|image| image.layers.iter()) {
            *uses.entry(key).or_default() += 1;
        }
        let mut index = self.shared.index_mut();
        let free = |(key, count): &(&LayerKey, u32)| {
            index.layers.get(*key).is_some_and(|layer| layer.references == *count && layer.leases == 0)
        };
        let free: Vec<LayerKey> = uses.into_iter().filter(free).map(|(key, _)| Arc::clone(key)).collect();
        index.set_doomed(&free, true);
        free
    }
}

fn commit(
    connection: &mut Connection,
    gone: &[Name],
    images: &[Arc<ImageRecord>],
    free: &[LayerKey],
    remainder: Option<Remainder>,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    let mut unneeded = Vec::new();
    for name in gone {
        match name {
            Name::Tag(repository, tag) => names::delete_tag(&transaction, repository, tag)?,
            Name::Digest(repository, digest) => {
                names::delete_digest(&transaction, repository, digest)?;
                unneeded.push(*digest);
            }
        }
    }
    let mut left = Vec::new();
    for image in images {
        left.extend(targets::documents_of(&transaction, image.id)?);
        transaction.prepare_cached("DELETE FROM images WHERE id = ?")?.execute([Stored(image.id)])?;
        unneeded.push(image.config);
        unneeded.extend(image.legacy);
    }
    for (target, manifest) in left {
        unneeded.extend([target, manifest]);
        unneeded.extend(targets::drop_attachments(&transaction, target)?);
    }
    for key in free {
        transaction.prepare_cached("DELETE FROM layers WHERE key = ?")?.execute([&**key])?;
    }
    match remainder {
        Some(Remainder::Leaving(image)) => {
            transaction
                .prepare_cached("INSERT OR REPLACE INTO leaving VALUES (?)")?
                .execute([Stored(image)])?;
        }
        Some(Remainder::Step(image)) => steps::record(&transaction, &image, StepUse::first())?,
        None => {}
    }
    documents::drop_unneeded(&transaction, &unneeded)?;
    transaction.commit()
}

fn take<K: Ord + std::borrow::Borrow<Q>, Q: Ord + ?Sized>(
    all: &mut super::index::Names<K>,
    repository: &str,
    name: &Q,
) {
    if let Some(names) = all.get_mut(repository) {
        names.remove(name);
        if names.is_empty() {
            all.remove(repository);
        }
    }
}
