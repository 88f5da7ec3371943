//! `GET /networks`

use http::StatusCode;

use super::filter::NetworkFilter;
use crate::wire::WireNetwork;
use crate::{ApiError, Call, Handled, Reply};

pub(super) fn list(call: &Call<'_>) -> Handled {
    let filter = NetworkFilter::parse(call.query.text("filters")).map_err(ApiError::bad_request)?;
    let engine = call.engine;
    let networks = engine.networks.all();
    let in_use = |record: &engine::NetworkRecord| !engine.networks.containers(&record.id).is_empty();
    let chosen = networks.iter().filter(|record| filter.fits(record, in_use));
    let listed: Vec<WireNetwork<'_>> =
        chosen.map(|record| WireNetwork::listed(engine, record, call.version)).collect();
    Reply::json(StatusCode::OK, &listed)
}
