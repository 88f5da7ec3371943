//! Lists images: those with names and those that no other is built on, filtered.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use model::{Digest, Timestamp, split_tag};

use crate::error::Error;
use crate::glob;
use crate::resolve::find;
use crate::store::{ImageRecord, Index, LayerKey, LayerRecord, Store, Target};

/// Which images to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListFilter {
    /// Also the unnamed images that others are built on.
    pub all: bool,
    /// Only names that match this pattern: a repository (`*` does not match `/`), or one with a tag.
    pub name: Option<String>,
    /// Only images without a name that no other is built on, or only the others.
    pub dangling: Option<bool>,
    /// Only images with all these labels: `key` or `key=value`.
    pub labels: Vec<String>,
    /// Only images with none of these labels.
    pub unlabelled: Vec<String>,
    /// Only images made before this.
    pub until: Option<Timestamp>,
    /// Only names that match one of these patterns: a repository, or one with a tag or digest.
    pub references: Vec<String>,
    /// Only images made before each of these.
    pub before: Vec<String>,
    /// Only images made after each of these.
    pub since: Vec<String>,
}

impl ListFilter {
    /// Whether the reference filter, where there is one, lets a name through.
    fn names(&self, repository: &str, name: &str) -> bool {
        let fits = |pattern: &String| glob::matches(pattern, name) || glob::matches(pattern, repository);
        self.references.is_empty() || self.references.iter().any(fits)
    }
}

/// One image of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSummary {
    /// Its id.
    pub id: Digest,
    /// The image it was built on, if known here.
    pub parent: Option<Digest>,
    /// Its names with a tag that match the filter, in order.
    pub tags: Vec<String>,
    /// Its names with a digest that match the filter, in order.
    pub digests: Vec<String>,
    /// When it was made.
    pub created: Timestamp,
    /// The bytes of its own layers' files.
    pub size: u64,
    /// The bytes of all its layers' files.
    pub virtual_size: u64,
    /// The labels of its config, if it has any.
    pub labels: Option<Arc<BTreeMap<String, String>>>,
    /// Its target, where it came from elsewhere.
    pub target: Option<Target>,
}

/// The disk usage of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImagesSize {
    /// The bytes of all their layers' files, and of the received blobs that are kept with them.
    pub all: u64,
    /// Those of the layers that used images have.
    pub used: u64,
}

impl Store {
    /// Lists images, the newest first.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`] or [`Error::AmbiguousId`] for an image that others are to be older or newer than.
    pub fn list(&self, filter: &ListFilter) -> Result<Vec<ImageSummary>, Error> {
        let index = self.index();
        let made = |texts: &[String]| -> Result<Vec<Timestamp>, Error> {
            texts.iter().map(|text| find(&index, text).map(|(image, _)| image.created)).collect()
        };
        let (before, since) = (made(&filter.before)?, made(&filter.since)?);
        let (pattern, tag_pattern) = filter.name.as_deref().map_or((None, None), |name| {
            let (repository, tag) = split_tag(name);
            (Some(repository), tag)
        });
        let matches = |repository: &str| pattern.is_none_or(|pattern| glob::matches(pattern, repository));
        let tag_matches = |tag: &str| tag_pattern.is_none_or(|pattern| glob::matches(pattern, tag));
        let mut tags: HashMap<Digest, Vec<String>> = HashMap::new();
        for (repository, names) in &index.tags {
            let wanted = |tag: &str| {
                matches(repository)
                    && tag_matches(tag)
                    && filter.names(repository, &format!("{repository}:{tag}"))
            };
            for (tag, image) in names.iter().filter(|(tag, _)| wanted(tag)) {
                tags.entry(*image).or_default().push(format!("{repository}:{tag}"));
            }
        }
        let mut digests: HashMap<Digest, Vec<String>> = HashMap::new();
        for (repository, names) in &index.digests {
            let wanted = |digest: &Digest| {
                matches(repository)
                    && tag_pattern.is_none()
                    && filter.names(repository, &format!("{repository}@{digest}"))
            };
            for (digest, image) in names.iter().filter(|(digest, _)| wanted(digest)) {
                digests.entry(*image).or_default().push(format!("{repository}@{digest}"));
            }
        }
        let parents = visible_parents(&index);
        let unseen = index.unseen_images();
        let shown = |image: &&Arc<ImageRecord>| {
            let named = tags.contains_key(&image.id) || digests.contains_key(&image.id);
            let head = !parents.contains(&image.id);
            let any_name = filter.name.is_none() && filter.references.is_empty();
            let wanted = match filter.dangling {
                Some(true) => !named && head,
                Some(false) => named || (any_name && filter.all && !head),
                None => named || (any_name && (filter.all || head)),
            };
            wanted
                && !index.steps.contains_key(&image.id)
                && !unseen.contains(&image.id)
                && before.iter().all(|other| image.created < *other)
                && since.iter().all(|other| image.created > *other)
                && filter.until.is_none_or(|until| image.created < until)
                && filter.labels.iter().all(|label| has_label(image, label))
                && !filter.unlabelled.iter().any(|label| has_label(image, label))
        };
        let mut images: Vec<&Arc<ImageRecord>> = index.images.values().filter(shown).collect();
        images.sort_unstable_by_key(|image| (Reverse(image.created.unix_seconds()), Reverse(image.sequence)));
        let led_to = targets_of_tags(&index);
        let target = |image: &Digest| {
            let is_tagged = |target: &&Target| led_to.contains(&(*image, target.digest));
            let tagged = index.targets.of(image).rev().find(is_tagged);
            tagged.or_else(|| index.targets.of(image).next_back()).cloned()
        };
        let entry = |image: &Arc<ImageRecord>| ImageSummary {
            target: target(&image.id),
            parent: index.visible_parent(image),
            ..summary(image, tags.remove(&image.id), digests.remove(&image.id))
        };
        Ok(images.into_iter().map(entry).collect())
    }

    /// The bytes that each image shares with others: those of its layers that an image of another id has too. Unnamed
    /// images that others are built on do not count as such.
    #[must_use]
    pub fn shared_sizes(&self) -> HashMap<Digest, u64> {
        let index = self.index();
        let parents = visible_parents(&index);
        let named: HashSet<Digest> = index.named_images();
        let mut uses: HashMap<&LayerKey, u32> = HashMap::new();
        let is_step = |image: &Arc<ImageRecord>| index.steps.contains_key(&image.id);
        let is_end = |image: &&Arc<ImageRecord>| named.contains(&image.id) || !parents.contains(&image.id);
        for image in index.images.values().filter(|image| !is_step(image)).filter(is_end) {
            let own: HashSet<&LayerKey> = image.layers.iter().collect();
            own.into_iter().for_each(|key| *uses.entry(key).or_default() += 1);
        }
        let shared = |key: &LayerKey| {
            let size = index.layers.get(key).map_or(0, |layer| layer.size);
            if uses.get(key).is_some_and(|count| *count > 1) { size } else { 0 }
        };
        index.images.values().map(|image| (image.id, image.layers.iter().map(shared).sum())).collect()
    }

    /// The bytes of the layers of all images with their kept blobs, and of those among them that used images have.
    #[must_use]
    pub fn size_of_images(&self, used: &HashSet<Digest>) -> ImagesSize {
        let index = self.index();
        let sum = |keys: HashSet<&LayerKey>| -> u64 {
            let keys: HashSet<&LayerKey> = keys.into_iter().flat_map(|key| index.with_base(key)).collect();
            keys.into_iter().filter_map(|key| index.layers.get(key)).map(LayerRecord::on_disk).sum()
        };
        let images = index.images.values().filter(|image| !index.steps.contains_key(&image.id));
        let all = images.flat_map(|image| image.layers.iter()).collect();
        let in_use = used.iter().filter_map(|id| index.images.get(id));
        ImagesSize { all: sum(all), used: sum(in_use.flat_map(|image| image.layers.iter()).collect()) }
    }

    /// The labels of an image that is there.
    #[must_use]
    pub fn labels_of(&self, image: &Digest) -> Option<Arc<BTreeMap<String, String>>> {
        self.index().images.get(image).and_then(|image| image.labels.clone())
    }

    /// How many images there are, those others are built on included, steps of builds
    /// not. What is here for several platforms is one.
    #[must_use]
    pub fn count(&self) -> usize {
        let index = self.index();
        index.images.len() - index.unseen_images().len() - index.steps.len()
    }
}

/// The images that have tags, each with what a tag of it leads to.
fn targets_of_tags(index: &Index) -> HashSet<(Digest, Digest)> {
    let repositories = index.tag_targets.iter();
    let tags = repositories.flat_map(|(repository, targets)| {
        let tags = index.tags.get(repository);
        targets.iter().filter_map(move |(tag, target)| Some((*tags?.get(tag)?, *target)))
    });
    tags.collect()
}

/// The images that others are built on which are no steps of builds.
fn visible_parents(index: &Index) -> HashSet<Digest> {
    let visible = index.images.values().filter(|image| !index.steps.contains_key(&image.id));
    visible.filter_map(|image| image.parent).collect()
}

fn summary(image: &ImageRecord, tags: Option<Vec<String>>, digests: Option<Vec<String>>) -> ImageSummary {
    ImageSummary {
        id: image.id,
        parent: image.parent,
        tags: tags.unwrap_or_default(),
        digests: digests.unwrap_or_default(),
        created: image.created,
        size: image.size,
        virtual_size: image.virtual_size,
        labels: image.labels.clone(),
        target: None,
    }
}

fn has_label(image: &ImageRecord, wanted: &str) -> bool {
    let Some(labels) = &image.labels else { return false };
    match wanted.split_once('=') {
        Some((key, value)) => labels.get(key).is_some_and(|found| found == value),
        None => labels.contains_key(wanted),
    }
}
