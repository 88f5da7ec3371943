//! `GET /images/json`

use std::collections::BTreeMap;

use engine::images::{ImageSummary, ListFilter};
use http::StatusCode;
use serde::Serialize;

use super::failure;
use crate::filters::Filters;
use crate::{ApiError, Call, Handled, Reply};

/// What an unnamed image shows as its tag.
const NO_TAG: &str = "<none>:<none>";
/// What an unnamed image shows as its digest.
const NO_DIGEST: &str = "<none>@<none>";

pub(super) fn list(call: &Call<'_>) -> Handled {
    let filters = Filters::parse(call.query.text("filters"));
    let filters = filters.map_err(|error| ApiError::invalid(error.to_string()))?;
    let filter = ListFilter {
        all: call.query.is_true("all"),
        name: call.query.filled("filter").map(str::to_owned),
        ..filter(&filters)?
    };
    let images = call.engine.images.store().list(&filter).map_err(failure)?;
    let images: Vec<ListedImage<'_>> = images.iter().map(ListedImage::from).collect();
    Reply::json(StatusCode::OK, &images)
}

/// Takes the filters over; no others are known.
fn filter(filters: &Filters) -> Result<ListFilter, ApiError> {
    let mut filter = ListFilter::default();
    for (name, values) in filters.as_map() {
        match name.as_str() {
            "dangling" => {
                filter.dangling = filters.truth(name).map_err(ApiError::invalid)?;
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

/// One image of the list, in the documented form.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ListedImage<'a> {
    id: String,
    parent_id: String,
    repo_tags: Vec<&'a str>,
    repo_digests: Vec<&'a str>,
    created: i64,
    size: u64,
    virtual_size: u64,
    labels: Option<&'a BTreeMap<String, String>>,
}

impl<'a> From<&'a ImageSummary> for ListedImage<'a> {
    fn from(image: &'a ImageSummary) -> Self {
        let (repo_tags, repo_digests) = if image.tags.is_empty() && image.digests.is_empty() {
            (vec![NO_TAG], vec![NO_DIGEST])
        } else {
            let texts = |names: &'a [String]| names.iter().map(String::as_str).collect();
            (texts(&image.tags), texts(&image.digests))
        };
        Self {
            id: image.id.hexadecimal(),
            parent_id: image.parent.map(|parent| parent.hexadecimal()).unwrap_or_default(),
            repo_tags,
            repo_digests,
            created: image.created.unix_seconds(),
            size: image.size,
            virtual_size: image.virtual_size,
            labels: image.labels.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_taken_over_by_their_names() {
        let read = |text: &str| filter(&Filters::parse(text).expect(text));
        let both = read(r#"{"dangling":["True"],"label":["a","b=c"]}"#).expect("a filter");
        assert!(both.dangling == Some(true) && both.labels == ["a", "b=c"]);
        let images = read(r#"{"reference":["app:*"],"before":["x"],"since":["y","z"]}"#).expect("a filter");
        assert_eq!((images.references.len(), images.before.len(), images.since.len()), (1, 1, 2));
        let unknown = read(r#"{"foo":["bar"]}"#).expect_err("unknown");
        assert_eq!(unknown.to_string(), "Invalid filter 'foo'");
        let neither = read(r#"{"dangling":["bogus"]}"#).expect_err("neither true nor false");
        assert_eq!(neither.to_string(), "invalid filter 'dangling=[bogus]'");
    }
}
