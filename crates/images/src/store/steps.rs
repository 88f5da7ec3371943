//! Steps of builds: images that are the cache of builds and nothing else. No list shows them; a name, or
//! [`Store::keep`], makes one an image like any other, and the removal of an image that steps are built on makes it one of
//! them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use model::{Digest, Timestamp};
use rusqlite::{Connection, OptionalExtension, Transaction};

use super::step_use::StepUse;
use super::stored::{Stored, signed};
use super::{ImageRecord, Index, LayerKey, LayerRecord, Store};
use crate::Error;

/// A step of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildStep {
    /// The image.
    pub id: Digest,
    /// The step before it.
    pub parent: Option<Digest>,
    /// The command that made it, from its history.
    pub command: String,
    /// The bytes of its own layers' files, without those that other layers lend them.
    pub size: u64,
    /// When it was made.
    pub created: Timestamp,
    /// When a build used it last.
    pub used: Option<Timestamp>,
    /// How many builds have used it, the one that made it included.
    pub uses: u64,
    /// Whether a build or a container uses it now.
    pub in_use: bool,
    /// Whether an image has its layers too: they stay when it goes.
    pub shared: bool,
}

impl Index {
    /// The image that one is built on, unless that is a step of a build.
    pub(crate) fn visible_parent(&self, image: &ImageRecord) -> Option<Digest> {
        image.parent.filter(|parent| !self.steps.contains_key(parent))
    }

    /// Whether images that are no steps of builds are built on this one.
    pub(crate) fn has_visible_children(&self, id: &Digest) -> bool {
        let is_visible = |image: &Arc<ImageRecord>| !self.steps.contains_key(&image.id);
        self.images.values().filter(|image| is_visible(image)).any(|image| image.parent.as_ref() == Some(id))
    }

    /// The layers that images have which are no steps of builds.
    fn visible_layers(&self) -> HashSet<&LayerKey> {
        let visible = self.images.values().filter(|image| !self.steps.contains_key(&image.id));
        visible.flat_map(|image| image.layers.iter()).collect()
    }

    /// Whether an image, or its topmost layer, is held.
    fn is_held(&self, image: &ImageRecord) -> bool {
        let layer = image.layers.last().and_then(|key| self.layers.get(key));
        self.held_images.contains_key(&image.id) || layer.is_some_and(|layer| layer.leases > 0)
    }
}

impl Store {
    /// Makes a step of a build an image like any other. Other images stay as they are.
    ///
    /// # Errors
    /// `Internal` when the database fails.
    pub fn keep(&self, image: &Digest) -> Result<(), Error> {
        let database = self.shared.database();
        if self.index().steps.contains_key(image) {
            forget(&database, image).map_err(Error::database("keep an image"))?;
            self.shared.index_mut().steps.remove(image);
        }
        Ok(())
    }

    /// Notes that a build has used these images instead of making them; those that are no steps are left alone.
    ///
    /// # Errors
    /// `Internal` when the database fails.
    pub fn note_uses(&self, images: &[Digest]) -> Result<(), Error> {
        let now = Timestamp::now().unix_seconds();
        let mut database = self.shared.database();
        let used: Vec<(Digest, StepUse)> = {
            let index = self.index();
            let next = |id: &Digest| Some((*id, StepUse { used: now, uses: index.steps.get(id)?.uses + 1 }));
            images.iter().filter_map(next).collect()
        };
        if used.is_empty() {
            return Ok(());
        }
        let written = database.transaction().and_then(|transaction| {
            used.iter().try_for_each(|(image, step)| record(&transaction, image, *step))?;
            transaction.commit()
        });
        written.map_err(Error::database("note the use of a build's step"))?;
        self.shared.index_mut().steps.extend(used);
        Ok(())
    }

    /// The steps of builds, those used longest ago first, and none before those that are built on it.
    ///
    /// # Errors
    /// `Internal` when a config cannot be read.
    pub fn build_steps(&self) -> Result<Vec<BuildStep>, Error> {
        let containers: HashSet<Digest> = self.uses().into_iter().map(|usage| usage.image).collect();
        let mut found: Vec<(u64, Arc<ImageRecord>, BuildStep)> = {
            let index = self.index();
            let visible = index.visible_layers();
            let step = |(id, step): (&Digest, &StepUse)| {
                let image = index.images.get(id)?;
                let inherited = image.parent.and_then(|parent| index.images.get(&parent));
                let inherited = inherited.map_or(0, |parent| parent.layers.len());
                let own = image.layers.iter().skip(inherited);
                let own: Vec<&LayerKey> = own.collect();
                let sizes = own.iter().filter_map(|key| index.layers.get(*key)).map(LayerRecord::own_size);
                let step = BuildStep {
                    id: *id,
                    parent: image.parent.filter(|parent| index.steps.contains_key(parent)),
                    command: String::new(),
                    size: sizes.sum(),
                    created: image.created,
                    used: Timestamp::from_unix(step.used, 0).ok(),
                    uses: step.uses,
                    in_use: containers.contains(id) || index.is_held(image),
                    shared: !own.is_empty() && own.iter().all(|key| visible.contains(key)),
                };
                Some((image.sequence, Arc::clone(image), step))
            };
            index.steps.iter().filter_map(step).collect()
        };
        for (_, image, step) in &mut found {
            // One that was removed meanwhile needs no words.
            let Ok(image) = self.with_config(image) else { continue };
            step.command =
                image.config.history.into_iter().next_back().map(|step| step.created_by).unwrap_or_default();
        }
        // A step is made after those that it is built on, and each use of it uses them too.
        found.sort_by_key(|(sequence, ..)| std::cmp::Reverse(*sequence));
        let mut used_above: HashMap<Digest, Option<Timestamp>> = HashMap::new();
        for (_, _, step) in &mut found {
            step.used = step.used.max(used_above.get(&step.id).copied().flatten());
            if let Some(parent) = step.parent {
                let above = used_above.entry(parent).or_default();
                *above = step.used.max(*above);
            }
        }
        found.sort_by_key(|(_, _, step)| step.used);
        Ok(found.into_iter().map(|(_, _, step)| step).collect())
    }

    /// Removes those of these steps that no build or container uses and that no other step is built on; returns those that
    /// are gone.
    ///
    /// # Errors
    /// `Internal` when the disk fails.
    pub fn remove_build_steps(&self, ids: &[Digest]) -> Result<Vec<Digest>, Error> {
        let change = self.begin_change();
        let doomed = {
            // Users of an image wait for this lock, and find the step marked for removal.
            let mut index = self.index_mut();
            let containers: HashSet<Digest> = self.uses().into_iter().map(|usage| usage.image).collect();
            let mut children: HashMap<Digest, usize> = HashMap::new();
            for id in index.steps.keys() {
                if let Some(parent) = index.images.get(id).and_then(|image| image.parent) {
                    *children.entry(parent).or_default() += 1;
                }
            }
            // A name leads to these by their platform.
            let unseen = index.unseen_images();
            let mut doomed: Vec<Arc<ImageRecord>> = Vec::new();
            for id in ids {
                let Some(image) = index.images.get(id).filter(|_| index.steps.contains_key(id)) else {
                    continue;
                };
                let is_needed = containers.contains(id) || unseen.contains(id) || index.is_held(image);
                if is_needed || children.get(id).is_some_and(|count| *count > 0) {
                    continue;
                }
                if let Some(count) = image.parent.and_then(|parent| children.get_mut(&parent)) {
                    *count -= 1;
                }
                doomed.push(Arc::clone(image));
            }
            index.doomed_images.extend(doomed.iter().map(|image| image.id));
            doomed
        };
        let removed = doomed.iter().map(|image| image.id).collect();
        change.remove(Vec::new(), doomed)?;
        Ok(removed)
    }
}

/// Records an image as a step.
pub(super) fn record(transaction: &Transaction<'_>, image: &Digest, step: StepUse) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("INSERT OR REPLACE INTO build_steps VALUES (?, ?, ?)")?
        .execute((Stored(*image), step.used, signed(step.uses)))
        .map(drop)
}

/// Takes the record of a step away: the image is one like any other.
pub(super) fn forget(connection: &Connection, image: &Digest) -> rusqlite::Result<()> {
    let mut found = connection.prepare_cached("SELECT 1 FROM build_steps WHERE image = ?")?;
    if found.query_row([Stored(*image)], |_| Ok(())).optional()?.is_some() {
        connection.prepare_cached("DELETE FROM build_steps WHERE image = ?")?.execute([Stored(*image)])?;
    }
    Ok(())
}
