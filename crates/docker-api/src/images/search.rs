//! `GET /images/search`

use std::sync::Arc;

use engine::images::registry::{Cancellation, SearchRequest, SearchResult};
use http::StatusCode;
use serde::Serialize;

use super::{credentials, registry_failure};
use crate::filters::Filters;
use crate::stream::{CancelOnDrop, apart, finished};
use crate::{ApiError, Call, Handled, Reply};

/// The most results that an index gives at once.
const MOST: usize = 100;

pub(super) async fn search(call: &Call<'_>) -> Handled {
    // A malformed header is ignored: most indexes need no credentials.
    let credentials = credentials(call).unwrap_or_default();
    let conditions = Conditions::of(call)?;
    let limit = conditions.limit;
    let term = call.query.text("term").to_owned();
    if term.is_empty() && call.version.searches_name_their_term() {
        return Err(ApiError::bad_request("the term to search for is missing"));
    }
    let client = call.engine.images.registry();
    let cancellation = Arc::new(Cancellation::new());
    let _cancel = CancelOnDrop(Arc::clone(&cancellation));
    let work = apart(move || {
        let request = SearchRequest { term: &term, limit, credentials: credentials.as_ref() };
        client.search(&request, &cancellation)
    })?;
    let found = finished(call.exchange.while_waited_for(work).await?)?;
    let mut found = found.map_err(|error| registry_failure(&error))?;
    found.retain(|result| conditions.hold(result));
    let found: Vec<FoundRepository> = found.into_iter().map(FoundRepository::from).collect();
    Reply::json(StatusCode::OK, &found)
}

/// A repository in the documented form and order.
#[derive(Debug, Serialize)]
struct FoundRepository {
    star_count: u64,
    is_official: bool,
    name: String,
    /// The old name of `is_automated`.
    is_trusted: bool,
    is_automated: bool,
    description: String,
}

impl From<SearchResult> for FoundRepository {
    fn from(result: SearchResult) -> Self {
        Self {
            star_count: result.stars,
            is_official: result.is_official,
            name: result.name,
            is_trusted: result.is_automated,
            is_automated: result.is_automated,
            description: result.description,
        }
    }
}

/// The filters that newer clients send with the term.
#[derive(Debug)]
struct Conditions {
    limit: Option<usize>,
    official: Option<bool>,
    automated: Option<bool>,
    stars: u64,
}

impl Conditions {
    fn of(call: &Call<'_>) -> Result<Self, ApiError> {
        let limit: usize =
            call.query.number_if_filled("limit").map_err(ApiError::bad_parameter)?.unwrap_or(0);
        if limit > MOST {
            return Err(ApiError::bad_request(format!("Limit {limit} is outside the range of [1, {MOST}]")));
        }
        let filters = Filters::parse(call.query.text("filters")).map_err(ApiError::bad_parameter)?;
        let known = ["is-official", "is-automated", "stars"];
        if let Some(unknown) = filters.as_map().keys().find(|name| !known.contains(&name.as_str())) {
            return Err(ApiError::bad_request(format!("Invalid filter '{unknown}'")));
        }
        let truth = |name| filters.truth(name).map_err(ApiError::bad_request);
        let stars = filters.values("stars").iter().map(|stars| {
            let invalid = || ApiError::bad_request(format!("Invalid filter 'stars={stars}'"));
            stars.parse::<u64>().map_err(|_| invalid())
        });
        Ok(Self {
            limit: Some(limit).filter(|limit| *limit > 0),
            official: truth("is-official")?,
            automated: truth("is-automated")?,
            stars: stars.collect::<Result<Vec<_>, _>>()?.into_iter().max().unwrap_or_default(),
        })
    }

    fn hold(&self, result: &SearchResult) -> bool {
        self.official.is_none_or(|wanted| wanted == result.is_official)
            && self.automated.is_none_or(|wanted| wanted == result.is_automated)
            && result.stars >= self.stars
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_stand_in_the_known_order() {
        let result = SearchResult { is_automated: true, stars: 3, ..SearchResult::default() };
        assert_eq!(
            serde_json::to_string(&FoundRepository::from(result)).expect("JSON"),
            r#"{"star_count":3,"is_official":false,"name":"","is_trusted":true,"is_automated":true,"description":""}"#
        );
    }
}
