//! The index for look-ups by readers: all images, names and layers, without their configs.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use model::{Digest, Timestamp};

use super::step_use::StepUse;
use super::target::Targets;
use super::{Name, NamedImage};

/// The name of a layer's directory.
pub(crate) type LayerKey = Arc<str>;

/// The properties of an image that are kept in memory, without its config.
#[derive(Debug)]
pub(crate) struct ImageRecord {
    pub(crate) id: Digest,
    /// The config document: its digest is the id, unless the image came with an id of its own.
    pub(crate) config: Digest,
    /// The `json` member that the image came with, where its id is not its config's digest.
    pub(crate) legacy: Option<Digest>,
    pub(crate) parent: Option<Digest>,
    pub(crate) created: Timestamp,
    pub(crate) size: u64,
    pub(crate) virtual_size: u64,
    pub(crate) labels: Option<Arc<BTreeMap<String, String>>>,
    /// Lowest first.
    pub(crate) layers: Box<[LayerKey]>,
    /// Grows with every image made: orders those made within one second.
    pub(crate) sequence: u64,
}

/// The layer that lends another one files.
#[derive(Debug)]
pub(crate) struct Base {
    pub(crate) key: LayerKey,
    /// The bytes of what it lends.
    pub(crate) shared: u64,
}

/// A layer and the number of its users.
#[derive(Debug)]
pub(crate) struct LayerRecord {
    pub(crate) diff_id: Digest,
    pub(crate) size: u64,
    pub(crate) tar_size: u64,
    /// The layer that lends it files.
    pub(crate) base: Option<Base>,
    /// The bytes of its kept blobs.
    pub(crate) kept: u64,
    /// How often images refer to it, and layers that it lends files.
    pub(crate) references: u32,
    /// How many hold it meanwhile.
    pub(crate) leases: u32,
    /// It is being removed: it cannot be held any more.
    pub(crate) doomed: bool,
    /// A loss of power may still take some of its content.
    pub(crate) unsettled: bool,
}

/// Tags or digests of one repository.
pub(crate) type Names<K> = BTreeMap<Box<str>, BTreeMap<K, Digest>>;

/// Everything but the documents.
#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) images: BTreeMap<Digest, Arc<ImageRecord>>,
    /// Images that are being removed: they cannot be used any more.
    pub(crate) doomed_images: HashSet<Digest>,
    /// Images that builds go on from, and how many do.
    pub(crate) held_images: HashMap<Digest, u32>,
    pub(crate) tags: Names<Box<str>>,
    /// The target of each tag; missing for images that were made here.
    pub(crate) tag_targets: Names<Box<str>>,
    pub(crate) digests: Names<Digest>,
    /// Images that a registry sent or a tarball brought.
    pub(crate) foreign: HashSet<Digest>,
    /// The targets of images.
    pub(crate) targets: Targets,
    pub(crate) layers: HashMap<LayerKey, LayerRecord>,
    pub(crate) layer_of: HashMap<Digest, LayerKey>,
    pub(crate) next_sequence: u64,
    /// Bytes of all images' labels, which readers find here.
    pub(crate) label_bytes: u64,
    /// Images that were removed while stopped containers used them: they are deleted with the last of these.
    pub(crate) leaving: BTreeSet<Digest>,
    /// Images that are steps of builds and nothing else.
    pub(crate) steps: HashMap<Digest, StepUse>,
    /// How many rows of the database could not be read: what these are about is not here, but must not be swept.
    pub(crate) rows_left_out: usize,
}

impl LayerRecord {
    /// The bytes of its files without those that its base lends it.
    pub(crate) fn own_size(&self) -> u64 {
        self.size.saturating_sub(self.base.as_ref().map_or(0, |base| base.shared))
    }

    /// The bytes that are deleted with the layer: those of its own files and of its kept blobs.
    pub(crate) fn on_disk(&self) -> u64 {
        self.own_size() + self.kept
    }
}

impl Index {
    /// Whether other images are built on this one.
    pub(crate) fn has_children(&self, id: &Digest) -> bool {
        self.images.values().any(|image| image.parent.as_ref() == Some(id))
    }

    /// The images that have a tag or a digest.
    pub(crate) fn named_images(&self) -> HashSet<Digest> {
        let tagged = self.tags.values().flat_map(BTreeMap::values);
        tagged.chain(self.digests.values().flat_map(BTreeMap::values)).copied().collect()
    }

    /// The images without a name that are here as other platforms of one that has a name.
    pub(crate) fn unseen_images(&self) -> HashSet<Digest> {
        if !self.targets.have_platforms() {
            return HashSet::new();
        }
        let named = self.named_images();
        let targets = self.named_targets();
        self.targets.unseen(|target| targets.contains(target), |image| named.contains(image)).collect()
    }

    /// The tags of an image as (repository, tag), in order.
    pub(crate) fn tags_of(&self, id: &Digest) -> Vec<(&str, &str)> {
        let all = self.tags.iter().flat_map(|(repository, tags)| {
            tags.iter().map(move |(tag, image)| (&**repository, &**tag, image))
        });
        all.filter(|(_, _, image)| *image == id).map(|(repository, tag, _)| (repository, tag)).collect()
    }

    /// The digests of an image as (repository, digest), in order.
    pub(crate) fn digests_of(&self, id: &Digest) -> Vec<(&str, &Digest)> {
        let all = self.digests.iter().flat_map(|(repository, digests)| {
            digests.iter().map(move |(digest, image)| (&**repository, digest, image))
        });
        all.filter(|(_, _, image)| *image == id).map(|(repository, digest, _)| (repository, digest)).collect()
    }

    /// The image that has a name.
    pub(crate) fn named(&self, name: &Name) -> Option<Digest> {
        match name {
            Name::Tag(repository, tag) => self.tags.get(repository.as_str())?.get(tag.as_str()).copied(),
            Name::Digest(repository, digest) => self.digests.get(repository.as_str())?.get(digest).copied(),
        }
    }

    /// Gives an image a name; returns the image that had it.
    pub(crate) fn set_name(&mut self, named: NamedImage) -> Option<Digest> {
        let NamedImage { name, image, target } = named;
        self.leaving.remove(&image);
        self.steps.remove(&image);
        match name {
            Name::Tag(repository, tag) => {
                match target {
                    Some(target) => {
                        let targets = self.tag_targets.entry(repository.clone().into()).or_default();
                        targets.insert(tag.clone().into(), target);
                    }
                    None => take(&mut self.tag_targets, &repository, tag.as_str()),
                }
                self.tags.entry(repository.into()).or_default().insert(tag.into(), image)
            }
            Name::Digest(repository, digest) => {
                self.digests.entry(repository.into()).or_default().insert(digest, image)
            }
        }
    }

    /// Takes a name away.
    pub(crate) fn take_name(&mut self, name: &Name) {
        match name {
            Name::Tag(repository, tag) => {
                take(&mut self.tags, repository, tag.as_str());
                take(&mut self.tag_targets, repository, tag.as_str());
            }
            Name::Digest(repository, digest) => take(&mut self.digests, repository, digest),
        }
    }

    /// Adds an image whose layers are all in the index.
    pub(crate) fn insert_image(&mut self, image: ImageRecord) -> Arc<ImageRecord> {
        for key in &image.layers {
            if let Some(layer) = self.layers.get_mut(key) {
                layer.references += 1;
            }
        }
        self.next_sequence = self.next_sequence.max(image.sequence + 1);
        self.label_bytes += label_bytes(image.labels.as_deref());
        let image = Arc::new(image);
        self.images.insert(image.id, Arc::clone(&image));
        image
    }

    /// Removes an image, and its doomed layers that no other image needs; its names must be gone. Returns the
    /// layers that are unused and not held any more although they were not doomed.
    pub(crate) fn remove_image(&mut self, id: &Digest) -> Vec<LayerKey> {
        let mut freed = Vec::new();
        self.leaving.remove(id);
        self.doomed_images.remove(id);
        let Some(image) = self.images.remove(id) else { return freed };
        self.foreign.remove(id);
        self.steps.remove(id);
        self.targets.remove_image(id);
        self.label_bytes -= label_bytes(image.labels.as_deref());
        for key in &image.layers {
            let Some(layer) = self.layers.get_mut(key) else { continue };
            layer.references -= 1;
            if layer.references > 0 {
                continue;
            }
            if layer.doomed {
                let base = self.remove_layer(key).and_then(|layer| layer.base);
                freed.extend(base.map(|base| base.key).filter(|key| self.is_unneeded(key)));
            } else if layer.leases == 0 {
                freed.push(Arc::clone(key));
            }
        }
        freed
    }

    /// Notes that databases lie aside whose lost images may need any layer: none is removed with the images that are known.
    pub(crate) fn hold_for(&mut self, set_aside: usize) {
        self.rows_left_out += set_aside;
        if set_aside > 0 {
            self.layers.values_mut().for_each(|layer| layer.references += 1);
        }
    }

    /// Marks layers as being removed, or takes the mark back.
    pub(crate) fn set_doomed(&mut self, keys: &[LayerKey], doomed: bool) {
        for key in keys {
            if let Some(layer) = self.layers.get_mut(key) {
                layer.doomed = doomed;
            }
        }
    }

    /// A layer, and the one that lends it files.
    pub(crate) fn with_base<'a>(&'a self, key: &'a LayerKey) -> impl Iterator<Item = &'a LayerKey> {
        let base = self.layers.get(key).and_then(|layer| layer.base.as_ref());
        std::iter::once(key).chain(base.map(|base| &base.key))
    }

    /// Whether neither an image nor a layer refers to a layer, and it is not held.
    pub(crate) fn is_unneeded(&self, key: &str) -> bool {
        self.layers.get(key).is_some_and(|layer| layer.references == 0 && layer.leases == 0)
    }

    /// Takes a layer away. Its base may be unneeded then.
    pub(crate) fn remove_layer(&mut self, key: &str) -> Option<LayerRecord> {
        let layer = self.layers.remove(key)?;
        self.layer_of.remove(&layer.diff_id);
        self.let_go(layer.base.as_ref());
        Some(layer)
    }

    /// Notes that a layer needs its base no more.
    pub(crate) fn forget_base(&mut self, key: &str) {
        let base = self.layers.get_mut(key).and_then(|layer| layer.base.take());
        self.let_go(base.as_ref());
    }

    fn let_go(&mut self, base: Option<&Base>) {
        if let Some(base) = base.and_then(|base| self.layers.get_mut(&base.key)) {
            base.references -= 1;
        }
    }

    /// Adds a layer, whose base is in the index.
    pub(crate) fn insert_layer(&mut self, key: LayerKey, layer: LayerRecord) {
        if let Some(base) = layer.base.as_ref().and_then(|base| self.layers.get_mut(&base.key)) {
            base.references += 1;
        }
        self.layer_of.insert(layer.diff_id, Arc::clone(&key));
        self.layers.insert(key, layer);
    }
}

fn take<K: Ord + std::borrow::Borrow<Q>, Q: Ord + ?Sized>(all: &mut Names<K>, repository: &str, name: &Q) {
    if let Some(names) = all.get_mut(repository) {
        names.remove(name);
        if names.is_empty() {
            all.remove(repository);
        }
    }
}

/// How long labels are together.
pub(crate) fn label_bytes(labels: Option<&BTreeMap<String, String>>) -> u64 {
    labels.into_iter().flatten().map(|(key, value)| (key.len() + value.len()) as u64).sum()
}

/// All names of an image, in order.
pub(crate) fn names_of(index: &Index, image: &Digest) -> Vec<Name> {
    let tags = index.tags_of(image).into_iter();
    let digests = index.digests_of(image).into_iter();
    tags.map(|(repository, tag)| Name::Tag(repository.to_owned(), tag.to_owned()))
        .chain(digests.map(|(repository, digest)| Name::Digest(repository.to_owned(), *digest)))
        .collect()
}
