//! `GET` and `HEAD /_ping`: whether the engine responds, with its versions in the header fields.

use http::{HeaderName, HeaderValue, Method, StatusCode, header};

use crate::{Call, Handled, Reply};
use berth_http::Response;

const BUILDER_VERSION: HeaderName = HeaderName::from_static("builder-version");
const SWARM: HeaderName = HeaderName::from_static("swarm");

pub(super) fn answer(call: &Call<'_>) -> Handled {
    if !call.version.ping_describes_the_engine() {
        return Ok(Reply::Whole(Response::text(StatusCode::OK, "OK")));
    }
    // The response to HEAD has no body: specification of 1.40, "What's new".
    let body = if call.exchange.head.method == Method::HEAD { "" } else { "OK" };
    let mut response = Response::text(StatusCode::OK, body);
    for (name, value) in [
        (header::CACHE_CONTROL, "no-cache, no-store, must-revalidate"),
        (header::PRAGMA, "no-cache"),
        (BUILDER_VERSION, "2"),
        (SWARM, "inactive"),
    ] {
        response.headers.push((name, HeaderValue::from_static(value)));
    }
    Ok(Reply::Whole(response))
}
