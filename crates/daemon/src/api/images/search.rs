//! `GET /images/search`

use std::sync::Arc;

use engine::images::registry::Cancellation;
use http::StatusCode;

use super::{credentials, registry_failure};
use crate::api::stream::{CancelOnDrop, finished};
use crate::api::{Call, Handled, Reply};

pub(super) async fn search(call: &Call<'_>) -> Handled {
    // A header that says nothing is no reason to find nothing: most indexes ask nobody who he is.
    let credentials = credentials(call).unwrap_or_default();
    let term = call.query.text("term").to_owned();
    let client = call.engine.registry();
    let cancellation = Arc::new(Cancellation::new());
    let _cancel = CancelOnDrop(Arc::clone(&cancellation));
    let task = tokio::task::spawn_blocking(move || client.search(&term, credentials.as_ref(), &cancellation));
    let found = finished(call.exchange.while_waited_for(task).await?)?;
    Reply::json(StatusCode::OK, &found.map_err(|error| registry_failure(&error))?)
}
