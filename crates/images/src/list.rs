//! Lists images as `GET /images/json` shows them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use model::{Digest, ErrorKind, Timestamp, split_tag};
use serde::{Serialize, Serializer};

use crate::error::Error;
use crate::glob;
use crate::resolve::find;
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
    /// Only names that match one of these patterns: a repository, or one with a tag or digest.
    pub references: Vec<String>,
    /// Only images made before each of these.
    pub before: Vec<String>,
    /// Only images made after each of these.
    pub since: Vec<String>,
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
    /// [`UnknownFilter`] for any but `dangling`, `label`, `reference`, `before` and `since`.
    pub fn apply(&mut self, filters: &BTreeMap<String, Vec<String>>) -> Result<(), UnknownFilter> {
        for (name, values) in filters {
            match name.as_str() {
                "dangling" => self.dangling = values.iter().any(|value| value.eq_ignore_ascii_case("true")),
                "label" => self.labels.clone_from(values),
                "reference" => self.references.clone_from(values),
                "before" => self.before.clone_from(values),
                "since" => self.since.clone_from(values),
                _ => return Err(UnknownFilter(name.clone())),
            }
        }
        Ok(())
    }

    /// Whether the reference filter, where there is one, lets a name through.
    fn names(&self, repository: &str, name: &str) -> bool {
        let fits = |pattern: &String| glob::matches(pattern, name) || glob::matches(pattern, repository);
        self.references.is_empty() || self.references.iter().any(fits)
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
    ///
    /// # Errors
    /// [`Error::NoSuchImage`] or [`Error::AmbiguousId`] for an image that others are to be older or newer than.
    pub fn list(&self, filter: &ListFilter) -> Result<Vec<ListedImage>, Error> {
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
        let parents: HashSet<Digest> = index.images.values().filter_map(|image| image.parent).collect();
        let shown = |image: &&Arc<ImageRecord>| {
            let named = tags.contains_key(&image.id) || digests.contains_key(&image.id);
            let head = !parents.contains(&image.id);
            let wanted = if filter.dangling {
                !named && head
            } else {
                let any_name = filter.name.is_none() && filter.references.is_empty();
                named || (any_name && (filter.all || head))
            };
            wanted
                && before.iter().all(|other| image.created < *other)
                && since.iter().all(|other| image.created > *other)
                && filter.labels.iter().all(|label| has_label(image, label))
        };
        let mut images: Vec<&Arc<ImageRecord>> = index.images.values().filter(shown).collect();
        images.sort_unstable_by_key(|image| (Reverse(image.created.unix_seconds()), Reverse(image.sequence)));
        let entry =
            |image: &Arc<ImageRecord>| listed(image, tags.remove(&image.id), digests.remove(&image.id));
        Ok(images.into_iter().map(entry).collect())
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
