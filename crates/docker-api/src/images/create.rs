//! `POST /images/create`: pulls an image, or imports one.

use std::sync::Arc;

use engine::images::registry::{Cancellation, Progress, PullRequest, PulledNames};
use model::{EventAction, ImageReference, ReferenceError};

use super::names::check_end;
use super::{credentials, import, platform, registry_failure};
use crate::progress::answer_with_messages;
use crate::version::ApiVersion;
use crate::{ApiError, Call, Handled};

pub(super) async fn create(call: Call<'_>) -> Handled {
    if let Some(image) = call.query.filled("fromImage") {
        check_end(image, call.version)?;
        let reference = reference(image, call.query.text("tag"), call.version)?;
        return pull(call, reference).await;
    }
    match call.query.text("fromSrc") {
        "-" => import::import_body(call).await,
        "" => Err(ApiError::invalid("one of fromImage and fromSrc is needed")),
        _ => import::import_url(call).await,
    }
}

/// The reference to pull: with a tag or digest in the parameter or in the name. With both, it is an error or the
/// parameter counts.
fn reference(image: &str, tag: &str, version: ApiVersion) -> Result<ImageReference, ApiError> {
    let failed = |error: ReferenceError| ApiError::of_kind(error.kind(), error.to_string());
    if tag.is_empty() {
        return ImageReference::parse(image).map_err(failed);
    }
    if version.pulls_prefer_the_tag_apart() {
        let repository = ImageReference::parse(image).map_err(failed)?.repository;
        return ImageReference::from_parts(&repository.to_string(), tag).map_err(failed);
    }
    ImageReference::from_parts(image, tag).map_err(failed)
}

async fn pull(call: Call<'_>, reference: ImageReference) -> Handled {
    let credentials = credentials(&call)?;
    let platform = if call.version.import_has_a_platform() { platform::asked_in_words(&call)? } else { None };
    let names = if call.version.pulls_keep_digests() { PulledNames::TagAndDigest } else { PulledNames::Tag };
    let (client, engine) = (call.engine.images.registry(), Arc::clone(call.engine));
    let work = move |progress: &dyn Progress, cancellation: &Cancellation| {
        let (store, credentials) = (engine.images.store(), credentials.as_ref());
        let platform = platform.as_ref();
        let request = PullRequest { store, reference: &reference, credentials, platform, names };
        let pulled =
            client.pull(&request, progress, cancellation).map_err(|error| registry_failure(&error))?;
        // One event for the requested reference, also when it stood for all tags.
        if let Some(first) = pulled.first() {
            engine.images.emit(EventAction::Pull, &first.image, &reference.to_string());
        }
        Ok(())
    };
    answer_with_messages(call.exchange, work).await
}
