//! `GET /volumes`

use std::cell::LazyCell;

use http::StatusCode;
use serde::Serialize;

use super::filter::VolumeFilter;
use crate::wire::WireVolume;
use crate::{ApiError, Call, Handled, Reply};

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ListAnswer<'a> {
    volumes: Vec<WireVolume<'a>>,
    /// Warnings of drivers: `null`, as the only driver has none.
    warnings: Option<Vec<String>>,
}

pub(super) fn list(call: &Call<'_>) -> Handled {
    let filter = VolumeFilter::parse(call.query.text("filters")).map_err(ApiError::bad_request)?;
    let all = call.engine.volumes.all();
    let used = LazyCell::new(|| call.engine.volumes.used());
    let chosen = all.iter().filter(|volume| filter.fits(volume, |name| used.contains(name)));
    let volumes = chosen.map(|volume| WireVolume::new(volume, call.version)).collect();
    Reply::json(StatusCode::OK, &ListAnswer { volumes, warnings: None })
}
