//! `POST /images/(name)/push`

use std::sync::Arc;

use engine::images::registry::{Cancellation, LayerForm, Progress, PushRequest, PushWords};
use model::{EventAction, ImageReference};

use super::names::name_and_tag;
use super::{REGISTRY_AUTH, credentials, failure, platform, registry_failure};
use crate::progress::answer_with_messages;
use crate::{ApiError, Call, Handled};

pub(super) async fn push(mut call: Call<'_>) -> Handled {
    let credentials = match credentials(&call)? {
        None if call.exchange.head.header(&REGISTRY_AUTH).is_empty()
            && !call.version.push_needs_no_credentials() =>
        {
            old_credentials(&mut call).await?
        }
        given => given,
    };
    let tag = call.query.text("tag");
    // What is called by its digest is pushed under that digest.
    let is_digest = tag.is_empty() && call.name.contains('@');
    let reference = if is_digest {
        ImageReference::parse(&call.name)
    } else if call.version.pushed_names_may_have_a_tag() {
        let (name, tag) = name_and_tag(&call.name, tag);
        ImageReference::from_parts(name, tag)
    } else {
        ImageReference::from_parts(&call.name, tag)
    };
    let reference = reference.map_err(|error| ApiError::of_kind(error.kind(), error.to_string()))?;
    let platform = if call.version.push_has_a_platform() { platform::asked(&call)? } else { None };
    if platform.is_some() {
        let name = reference.to_string();
        call.engine.images.store().resolve_for(&name, platform.as_ref()).map_err(failure)?;
    }
    let is_of_today = call.version.pushes_have_the_words_of_today();
    let words = if is_of_today { PushWords::Today } else { PushWords::Reference };
    let keeps_digests = call.version.pulls_keep_digests();
    let (client, engine) = (call.engine.images.registry(), Arc::clone(call.engine));
    let work = move |progress: &dyn Progress, cancellation: &Cancellation| {
        let (store, credentials) = (engine.images.store(), credentials.as_ref());
        let platform = platform.as_ref();
        let request = PushRequest {
            store,
            reference: &reference,
            credentials,
            platform,
            words,
            keeps_digests,
            layers: LayerForm::default(),
        };
        client.push(&request, progress, cancellation).map_err(|error| registry_failure(&error))?;
        let first = store.tags(&reference.repository).into_iter().map(|(_, id)| id).next();
        if let Some(id) = store.resolve_id(&reference.to_string()).ok().or(first) {
            engine.images.emit(EventAction::Push, &id, &reference.to_string());
        }
        Ok(())
    };
    answer_with_messages(call.exchange, work).await
}

/// Clients of old put them into the body; one of the two must be there.
async fn old_credentials(
    call: &mut Call<'_>,
) -> Result<Option<engine::images::registry::Credentials>, ApiError> {
    let body = call.exchange.body.gather(super::super::MAXIMUM_JSON).await?;
    let missing = |why: &dyn std::fmt::Display| {
        ApiError::bad_request(format!("Bad parameters and missing X-Registry-Auth: {why}"))
    };
    if body.trim_ascii().is_empty() {
        return Err(missing(&"there is neither the header nor a body"));
    }
    engine::images::registry::Credentials::from_body(&body).map_err(|error| missing(&error))
}
