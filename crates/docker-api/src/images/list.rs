//! `GET /images/json`

use engine::Error;
use engine::images::ListFilter;
use http::StatusCode;

use crate::filters::Filters;
use crate::{ApiError, Call, Handled, Reply};

pub(super) fn list(call: &Call<'_>) -> Handled {
    let refused = |error: &dyn std::fmt::Display| ApiError::invalid(error.to_string());
    let filters = Filters::parse(call.query.text("filters")).map_err(|error| refused(&error))?;
    let mut filter = ListFilter {
        all: call.query.is_true("all"),
        name: call.query.filled("filter").map(str::to_owned),
        ..ListFilter::default()
    };
    filter.apply(filters.as_map()).map_err(|error| refused(&error))?;
    Reply::json(StatusCode::OK, &call.engine.images.store().list(&filter).map_err(Error::Image)?)
}
