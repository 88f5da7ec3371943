//! `POST /images/prune`

use engine::images::ListFilter;
use http::StatusCode;
use serde::Serialize;

use super::names::WireRemoval;
use crate::filters::Filters;
use crate::wire::parse_until;
use crate::{ApiError, Call, Handled, Reply};

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct PruneAnswer {
    /// `null` when empty.
    images_deleted: Option<Vec<WireRemoval>>,
    space_reclaimed: u64,
}

pub(super) async fn prune(call: &Call<'_>) -> Handled {
    let filter = filter(call.query.text("filters")).map_err(ApiError::bad_request)?;
    let pruned = call.engine.images.prune(filter).await?;
    let removals = pruned.removals.into_iter().map(|removal| WireRemoval::of(removal, call.version));
    let removals: Vec<WireRemoval> = removals.collect();
    let images_deleted = Some(removals).filter(|removals| !removals.is_empty());
    Reply::json(StatusCode::OK, &PruneAnswer { images_deleted, space_reclaimed: pruned.reclaimed })
}

/// Takes the filters over: images without a name, or all with `dangling=false`.
fn filter(text: &str) -> Result<ListFilter, String> {
    let filters = Filters::parse_known(text, &["dangling", "label", "label!", "until"])?;
    if filters.values("until").len() > 1 {
        return Err("more than one until filter specified".to_owned());
    }
    Ok(ListFilter {
        dangling: filters.truth("dangling")?.unwrap_or(true).then_some(true),
        labels: filters.values("label").to_vec(),
        unlabelled: filters.values("label!").to_vec(),
        until: until(&filters)?,
        ..ListFilter::default()
    })
}

/// The earliest of the moments before which images were made.
pub(super) fn until(filters: &Filters) -> Result<Option<model::Timestamp>, String> {
    let moments = filters.values("until").iter().map(|text| {
        parse_until(text)
            .ok_or_else(|| format!("invalid filter: 'until'={text:?} is neither a duration nor a time"))
    });
    Ok(moments.collect::<Result<Vec<_>, _>>()?.into_iter().min())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_without_a_name_unless_all_are_asked_for() {
        assert_eq!(filter("").expect("nothing").dangling, Some(true));
        assert_eq!(filter(r#"{"dangling":["1"]}"#).expect("a filter").dangling, Some(true));
        assert_eq!(filter(r#"{"dangling":["false"]}"#).expect("a filter").dangling, None);
        for bad in [
            r#"{"dangling":["x"]}"#,
            r#"{"until":["x"]}"#,
            r#"{"until":["1h","2h"]}"#,
            r#"{"reference":["x"]}"#,
            "{",
        ] {
            assert!(filter(bad).is_err(), "{bad}");
        }
    }
}
