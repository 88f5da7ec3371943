//! Takes names and images away, in one transaction.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, MutexGuard};

use model::Digest;
use rusqlite::Connection;

use super::database::durably;
use super::step_use::StepUse;
use super::stored::Stored;
use super::{
    ImageRecord, LayerKey, Name, NamedImage, Shared, Store, documents, names, names_of, steps, targets,
};
use crate::Error;

/// The images and names to be removed, and what remains of them.
#[derive(Debug, Default)]
pub(crate) struct Departure {
    /// Names that go.
    pub(crate) names: Vec<Name>,
    /// Names that go to other images.
    pub(crate) handed_over: Vec<NamedImage>,
    /// Images that are platforms of these targets no more.
    pub(crate) variants: Vec<(Digest, Digest)>,
    /// Images that go, in order.
    pub(crate) images: Vec<Arc<ImageRecord>>,
    /// Images that are removed with the last container that uses them.
    pub(crate) leaving: Vec<Digest>,
    /// An image that stays as a step of the builds that were made on it.
    pub(crate) step: Option<Digest>,
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
        change.remove(names, records)
    }

    /// Removes images that were just made, unless they were named or used meanwhile.
    pub(crate) fn discard_images(&self, images: &[Digest]) {
        for id in images.iter().rev() {
            let change = self.begin_change();
            let record = {
                let mut index = self.index_mut();
                let is_named = index.is_led_to_beside(id, &[]);
                let is_used = self.uses().iter().any(|usage| usage.image == *id);
                let is_held = index.held_images.contains_key(id);
                let is_needed = is_named || is_used || is_held || index.has_children(id);
                let record = index.images.get(id).filter(|_| !is_needed).cloned();
                index.doomed_images.extend(record.iter().map(|image| image.id));
                record
            };
            if let Some(record) = record
                && let Err(error) = change.remove(Vec::new(), vec![record])
            {
                tracing::warn!(image = %id, %error, "cannot take an image back");
            }
        }
    }
}

impl Change<'_> {
    /// Removes names and images, and the files of layers that become unused.
    pub(crate) fn remove(self, names: Vec<Name>, images: Vec<Arc<ImageRecord>>) -> Result<(), Error> {
        self.apply(Departure { names, images, ..Departure::default() })
    }

    /// Applies a decision, and removes the files of layers that become unused.
    pub(crate) fn apply(mut self, departure: Departure) -> Result<(), Error> {
        let images = &departure.images;
        let free = self.doom_layers(images);
        let layers = self.layers_of(&departure);
        // On disk before any file goes: a loss of power must not bring the record back alone.
        let committed = durably(&mut self.database, |connection| commit(connection, &departure, &free));
        if let Err(error) = committed {
            let mut index = self.shared.index_mut();
            index.set_doomed(&free, false);
            index.doomed_images.retain(|doomed| images.iter().all(|image| image.id != *doomed));
            return Err(Error::database("remove an image")(error));
        }
        // The holder of a layer may have released it since it was checked.
        let freed: Vec<LayerKey> = {
            let mut index = self.shared.index_mut();
            departure.names.iter().for_each(|name| index.take_name(name));
            for named in &departure.handed_over {
                index.set_name(named.clone());
            }
            for (image, target) in &departure.variants {
                index.targets.remove_variant(image, target);
            }
            index.leaving.extend(&departure.leaving);
            if let Some(image) = departure.step {
                index.steps.insert(image, StepUse::first());
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
        // Of those that stay: the others are not on record any more.
        self.shared.drop_unnamed_blobs(&layers);
        Ok(())
    }

    /// The layers of the images that go, or that are no more of what they came under.
    fn layers_of(&self, departure: &Departure) -> BTreeSet<LayerKey> {
        let index = self.shared.index();
        let variants = departure.variants.iter().filter_map(|(image, _)| index.images.get(image));
        let images = departure.images.iter().chain(variants);
        images.flat_map(|image| image.layers.iter()).cloned().collect()
    }

    /// The layers that only these images need and that are not held: from now on they cannot be.
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

fn commit(connection: &mut Connection, departure: &Departure, free: &[LayerKey]) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    let mut unneeded = Vec::new();
    names::write(&transaction, &departure.handed_over)?;
    for name in &departure.names {
        match name {
            Name::Tag(repository, tag) => names::delete_tag(&transaction, repository, tag)?,
            Name::Digest(repository, digest) => {
                names::delete_digest(&transaction, repository, digest)?;
                unneeded.push(*digest);
            }
        }
    }
    let mut left = Vec::new();
    for (image, target) in &departure.variants {
        left.extend(
            targets::drop_variant(&transaction, *image, *target)?.map(|manifest| (*target, manifest)),
        );
    }
    for image in &departure.images {
        left.extend(targets::documents_of(&transaction, image.id)?);
        // Names that could not be read, too.
        for names in ["DELETE FROM tags WHERE image = ?", "DELETE FROM digests WHERE image = ?"] {
            transaction.prepare_cached(names)?.execute([Stored(image.id)])?;
        }
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
    for image in &departure.leaving {
        transaction.prepare_cached("INSERT OR REPLACE INTO leaving VALUES (?)")?.execute([Stored(*image)])?;
    }
    if let Some(image) = departure.step {
        steps::record(&transaction, &image, StepUse::first())?;
    }
    documents::drop_unneeded(&transaction, &unneeded)?;
    transaction.commit()
}
