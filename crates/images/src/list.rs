//! Lists images as `GET /images/json` shows them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use model::{Digest, ErrorKind, split_tag};
use serde::{Serialize, Serializer};

use crate::glob;
use crate::store::{ImageRecord, Store};

/// What an unnamed image shows as its tag.
const NO_TAG: &str = "<none>:<none>";
/// What an unnamed image shows as its digest.
const NO_DIGEST: &str = "<none>@<none>";

/// Which images to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListFilter {
    /// Also the unnamed images that others are built on.
    pub all: bool,
    /// Only names that match this pattern: a repository (`*` does not match `/`), or one with a tag.
    pub name: Option<String>,
    /// Only images without a name that no other is built on.
    pub dangling: bool,
    /// Only images with all these labels: `key` or `key=value`.
    pub labels: Vec<String>,
}

/// A filter that the list does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Invalid filter '{0}'")]
pub struct UnknownFilter(pub String);

impl UnknownFilter {
    /// The request is refused.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

impl ListFilter {
    /// Takes the query `filters` over, decoded to its values by name.
    ///
    /// # Errors
    /// [`UnknownFilter`] for any but `dangling` and `label`.
    pub fn apply(&mut self, filters: &BTreeMap<String, Vec<String>>) -> Result<(), UnknownFilter> {
        for (name, values) in filters {
            match name.as_str() {
                "dangling" => self.dangling = values.iter().any(|value| value.eq_ignore_ascii_case("true")),
                "label" => self.labels.clone_from(values),
                _ => return Err(UnknownFilter(name.clone())),
            }
        }
        Ok(())
    }
}

/// One image of the list, in the documented form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs, reason = "the fields are the specification's")]
pub struct ListedImage {
    pub id: String,
    pub parent_id: String,
    pub repo_tags: Vec<String>,
    pub repo_digests: Vec<String>,
    pub created: i64,
    pub size: u64,
    pub virtual_size: u64,
    #[serde(serialize_with = "shared")]
    pub labels: Option<Arc<BTreeMap<String, String>>>,
}

fn shared<S: Serializer>(
    labels: &Option<Arc<BTreeMap<String, String>>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    labels.as_deref().serialize(serializer)
}

impl Store {
    /// Lists images, the newest first.
    #[must_use]
    pub fn list(&self, filter: &ListFilter) -> Vec<ListedImage> {
        let index = self.index();
        let (pattern, tag_pattern) = filter.name.as_deref().map_or((None, None), |name| {
            let (repository, tag) = split_tag(name);
            (Some(repository), tag)
        });
        let matches = |repository: &str| pattern.is_none_or(|pattern| glob::matches(pattern, repository));
        let tag_matches = |tag: &str| tag_pattern.is_none_or(|pattern| glob::matches(pattern, tag));
        let mut tags: HashMap<Digest, Vec<String>> = HashMap::new();
        for (repository, names) in &index.tags {
            for (tag, image) in names.iter().filter(|(tag, _)| matches(repository) && tag_matches(tag)) {
                tags.entry(*image).or_default().push(format!("{repository}:{tag}"));
            }
        }
        let mut digests: HashMap<Digest, Vec<String>> = HashMap::new();
        for (repository, names) in &index.digests {
            for (digest, image) in names.iter().filter(|_| matches(repository) && tag_pattern.is_none()) {
                digests.entry(*image).or_default().push(format!("{repository}@{digest}"));
            }
        }
        let parents: HashSet<Digest> = index.images.values().filter_map(|image| image.parent).collect();
        let shown = |image: &&Arc<ImageRecord>| {
            let named = tags.contains_key(&image.id) || digests.contains_key(&image.id);
            let head = !parents.contains(&image.id);
            let wanted = if filter.dangling {
                !named && head
            } else {
                named || (filter.name.is_none() && (filter.all || head))
            };
            wanted && filter.labels.iter().all(|label| has_label(image, label))
        };
        let mut images: Vec<&Arc<ImageRecord>> = index.images.values().filter(shown).collect();
        images.sort_unstable_by_key(|image| (Reverse(image.created.unix_seconds()), Reverse(image.sequence)));
        images
            .into_iter()
            .map(|image| listed(image, tags.remove(&image.id), digests.remove(&image.id)))
            .collect()
    }

    /// How many images there are, those others are built on included.
    #[must_use]
    pub fn count(&self) -> usize {
        self.index().images.len()
    }
}

fn listed(image: &ImageRecord, tags: Option<Vec<String>>, digests: Option<Vec<String>>) -> ListedImage {
    let (repo_tags, repo_digests) = match (tags, digests) {
        (None, None) => (vec![NO_TAG.to_owned()], vec![NO_DIGEST.to_owned()]),
        (tags, digests) => (tags.unwrap_or_default(), digests.unwrap_or_default()),
    };
    ListedImage {
        id: image.id.hexadecimal(),
        parent_id: image.parent.map(|parent| parent.hexadecimal()).unwrap_or_default(),
        repo_tags,
        repo_digests,
        created: image.created.unix_seconds(),
        size: image.size,
        virtual_size: image.virtual_size,
        labels: image.labels.clone(),
    }
}

fn has_label(image: &ImageRecord, wanted: &str) -> bool {
    let Some(labels) = &image.labels else { return false };
    match wanted.split_once('=') {
        Some((key, value)) => labels.get(key).is_some_and(|found| found == value),
        None => labels.contains_key(wanted),
    }
}
