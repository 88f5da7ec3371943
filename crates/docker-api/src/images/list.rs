//! `GET /images/json`

use std::collections::{BTreeMap, HashMap, HashSet};

use engine::images::{ImageSummary, ListFilter};
use http::StatusCode;
use model::{Digest, Timestamp};
use serde::Serialize;

use super::failure;
use super::identity::Identity;
use super::manifests::{self, WireManifest, WireTarget, is_left_out};
use super::prune::until;
use crate::filters::Filters;
use crate::version::{ApiVersion, Ranged, Since, Until};
use crate::wire::image_id;
use crate::{ApiError, Call, Handled, Reply};

/// The shown tag of an unnamed image.
const NO_TAG: &str = "<none>:<none>";
/// The shown digest of an unnamed image.
const NO_DIGEST: &str = "<none>@<none>";
/// A number that was not requested.
const NOT_COUNTED: i64 = -1;

pub(super) fn list(call: &Call<'_>) -> Handled {
    let version = call.version;
    let shows_manifests = version.image_list_has_manifests() && call.query.is_true("manifests");
    let shows_identities = version.image_list_has_identities() && call.query.is_true("identity");
    if shows_identities && !shows_manifests {
        return Err(ApiError::bad_request("conflicting options: identity needs manifests"));
    }
    let filter = ListFilter {
        all: call.query.is_true("all"),
        name: call.query.filled("filter").filter(|_| version.image_list_has_a_name()).map(str::to_owned),
        ..filter(call.query.text("filters"), version)?
    };
    let store = call.engine.images.store();
    let images = store.list(&filter).map_err(failure)?;
    let counts = Counts {
        shared: (version.image_list_counts_shared_bytes() && call.query.is_true("shared-size"))
            .then(|| store.shared_sizes()),
        containers: version.image_list_counts_containers().then(|| containers(call)),
    };
    let mut listed: Vec<ListedImage<'_>> =
        images.iter().map(|image| ListedImage::new(image, &counts, version)).collect();
    if shows_manifests {
        for (image, listed) in images.iter().zip(&mut listed) {
            let mut found = manifests::of(call, image.target.as_ref())?;
            if shows_identities {
                manifests::identify(&mut found, Identity::of(&image.digests).as_ref());
            }
            listed.manifests = Some(found).filter(|found| !found.is_empty());
        }
    }
    Reply::json(StatusCode::OK, &listed)
}

/// How many containers use each image.
fn containers(call: &Call<'_>) -> HashMap<Digest, i64> {
    let mut counts = HashMap::new();
    for container in call.engine.containers.all() {
        *counts.entry(container.record().image).or_default() += 1;
    }
    counts
}

/// Parses the filters and refuses unknown ones.
fn filter(text: &str, version: ApiVersion) -> Result<ListFilter, ApiError> {
    if version.refusals_have_their_status() {
        return filter_of_today(text).map_err(ApiError::bad_request);
    }
    let filters = Filters::parse(text).map_err(|error| ApiError::invalid(error.to_string()))?;
    let mut filter = ListFilter::default();
    for (name, values) in filters.as_map() {
        match name.as_str() {
            // Below 1.24 the reference filters by `true` alone.
            "dangling" => {
                let wanted = filters.truth(name).map_err(ApiError::invalid)?;
                filter.dangling = wanted.filter(|dangling| *dangling);
            }
            "label" => filter.labels.clone_from(values),
            "reference" => filter.references.clone_from(values),
            "before" => filter.before.clone_from(values),
            "since" => filter.since.clone_from(values),
            _ => return Err(ApiError::invalid(format!("Invalid filter '{name}'"))),
        }
    }
    Ok(filter)
}

fn filter_of_today(text: &str) -> Result<ListFilter, String> {
    let filters = Filters::parse_known(
        text,
        &["before", "dangling", "label", "label!", "reference", "since", "until"],
    )?;
    Ok(ListFilter {
        dangling: filters.truth("dangling")?,
        labels: filters.values("label").to_vec(),
        unlabelled: filters.values("label!").to_vec(),
        references: filters.values("reference").to_vec(),
        before: filters.values("before").to_vec(),
        since: filters.values("since").to_vec(),
        until: until(&filters)?,
        ..ListFilter::default()
    })
}

/// Numbers that are counted only on request.
#[derive(Default)]
pub(crate) struct Counts {
    shared: Option<HashMap<Digest, u64>>,
    containers: Option<HashMap<Digest, i64>>,
}

impl Counts {
    /// Counts everything.
    pub(crate) fn all(call: &Call<'_>) -> Self {
        Self { shared: Some(call.engine.images.store().shared_sizes()), containers: Some(containers(call)) }
    }

    /// The images that containers use.
    pub(crate) fn used(&self) -> HashSet<Digest> {
        self.containers.iter().flat_map(HashMap::keys).copied().collect()
    }

    fn shared(&self, image: &Digest) -> i64 {
        let Some(sizes) = &self.shared else { return NOT_COUNTED };
        sizes.get(image).map_or(0, |size| i64::try_from(*size).unwrap_or(i64::MAX))
    }

    /// The containers of an image, whichever of its platforms they have.
    fn containers(&self, image: &ImageSummary) -> i64 {
        let Some(counts) = &self.containers else { return NOT_COUNTED };
        let variants = image.target.iter().flat_map(|target| &target.variants).map(|variant| variant.image);
        let others = variants.filter(|other| *other != image.id);
        std::iter::once(image.id).chain(others).filter_map(|image| counts.get(&image)).sum()
    }
}

/// One image of the list, in the documented form.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListedImage<'a> {
    id: String,
    parent_id: String,
    repo_tags: Vec<&'a str>,
    repo_digests: Vec<&'a str>,
    created: i64,
    size: u64,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    virtual_size: Until<44, u64>,
    labels: Option<&'a BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    shared_size: Since<24, i64>,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    containers: Since<24, i64>,
    #[serde(skip_serializing_if = "is_left_out")]
    descriptor: Since<48, Option<WireTarget>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    manifests: Option<Vec<WireManifest>>,
}

impl<'a> ListedImage<'a> {
    pub(crate) fn new(image: &'a ImageSummary, counts: &Counts, version: ApiVersion) -> Self {
        let has_name = !image.tags.is_empty() || !image.digests.is_empty();
        let (repo_tags, repo_digests) = if has_name || version.unnamed_images_have_empty_lists() {
            let texts = |names: &'a [String]| names.iter().map(String::as_str).collect();
            (texts(&image.tags), texts(&image.digests))
        } else {
            (vec![NO_TAG], vec![NO_DIGEST])
        };
        Self {
            id: image_id(&image.id, version),
            parent_id: image.parent.map(|parent| image_id(&parent, version)).unwrap_or_default(),
            repo_tags,
            repo_digests,
            created: if image.created == Timestamp::NEVER && version.images_without_a_date_show_none() {
                0
            } else {
                image.created.unix_seconds()
            },
            size: if version.image_size_is_of_all_layers() { image.virtual_size } else { image.size },
            virtual_size: Ranged::at(version, || image.virtual_size),
            labels: image.labels.as_deref(),
            shared_size: Ranged::at(version, || counts.shared(&image.id)),
            containers: Ranged::at(version, || counts.containers(image)),
            descriptor: Ranged::at(version, || image.target.as_ref().map(WireTarget::new)),
            manifests: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::REFERENCE;

    #[test]
    fn filters_are_taken_over_by_their_names() {
        let read = |text: &str| filter(text, REFERENCE);
        let both = read(r#"{"dangling":["True"],"label":["a","b=c"]}"#).expect("a filter");
        assert!(both.dangling == Some(true) && both.labels == ["a", "b=c"]);
        let images = read(r#"{"reference":["app:*"],"before":["x"],"since":["y","z"]}"#).expect("a filter");
        assert_eq!((images.references.len(), images.before.len(), images.since.len()), (1, 1, 2));
        let unknown = read(r#"{"foo":["bar"]}"#).expect_err("unknown");
        assert_eq!(unknown.to_string(), "Invalid filter 'foo'");
        let neither = read(r#"{"dangling":["bogus"]}"#).expect_err("neither true nor false");
        assert_eq!(neither.to_string(), "invalid filter 'dangling=[bogus]'");
    }

    #[test]
    fn filters_of_today_have_times_and_labels_that_are_missing() {
        let filter =
            filter_of_today(r#"{"dangling":["0"],"label!":["a"],"until":["1h","10m"]}"#).expect("a filter");
        assert_eq!((filter.dangling, filter.unlabelled), (Some(false), vec!["a".to_owned()]));
        assert!(filter.until.is_some_and(|until| until < model::Timestamp::now()));
        for bad in [r#"{"dangling":["perhaps"]}"#, r#"{"until":["yesterday"]}"#, r#"{"foo":["bar"]}"#] {
            assert!(filter_of_today(bad).is_err(), "{bad}");
        }
    }
}
