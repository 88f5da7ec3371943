//! `GET /distribution/(name)/json`: what a registry has under a name.

use std::sync::Arc;

use engine::images::registry::{Cancellation, Platform, RegistryError};
use http::StatusCode;
use model::ImageReference;
use serde::Serialize;

use super::{credentials, registry_failure};
use crate::stream::{CancelOnDrop, apart, finished};
use crate::{ApiError, Call, Handled, Reply};

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct DistributionAnswer {
    descriptor: WireDescriptor,
    platforms: Vec<Platform>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct WireDescriptor {
    media_type: String,
    digest: String,
    size: u64,
}

pub(super) async fn describe(call: Call<'_>) -> Handled {
    let credentials = credentials(&call).unwrap_or_default();
    let reference =
        ImageReference::parse(&call.name).map_err(|error| ApiError::bad_request(error.to_string()))?;
    let client = call.engine.images.registry();
    let cancellation = Arc::new(Cancellation::new());
    let _cancel = CancelOnDrop(Arc::clone(&cancellation));
    let work = apart(move || client.describe(&reference, credentials.as_ref(), &cancellation))?;
    let found = finished(call.exchange.while_waited_for(work).await?)?;
    let found = found.map_err(|error| match error {
        // Registries do not distinguish a missing repository from a private one.
        RegistryError::Denied { reason } => ApiError::of_kind(model::ErrorKind::Unauthorized, reason),
        error => registry_failure(&error),
    })?;
    let descriptor =
        WireDescriptor { media_type: found.media_type, digest: found.digest.to_string(), size: found.size };
    Reply::json(StatusCode::OK, &DistributionAnswer { descriptor, platforms: found.platforms })
}
