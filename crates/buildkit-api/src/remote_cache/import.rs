//! Brings the images of a cache here, as steps that builds may find.

use std::sync::Arc;

use engine::CredentialSource;
use engine::images::registry::{Cancellation, HUB, PullRequest, PulledNames, RegistryError, Silent};
use model::{Digest, ImageReference};

use super::attributes::parse_reference;
use crate::build::Build;
use crate::grpc::{Code, Status};
use crate::parts::Parts;

/// Images of one cache.
const IMAGE_LIMIT: usize = 64;

/// Pulls the images of a cache; returns what the builder finds them by. A cache that is not there is no failure of the
/// build, but of its own step.
pub(crate) async fn import(
    parts: &Arc<Parts>,
    build: &Arc<Build>,
    place: &str,
    credentials: impl CredentialSource + Send + 'static,
) -> Vec<String> {
    let title = format!("importing cache manifest from {place}");
    let step = build.progress.start(&format!("import cache {place}"), &title);
    let imported = async {
        let reference = parse_reference(place)?;
        let (parts, cancellation) = (Arc::clone(parts), build.cancellation().child());
        let work = tokio::task::spawn_blocking(move || pull(&parts, &reference, &credentials, &cancellation));
        let pulled = work.await.map_err(|error| Status::new(Code::Internal, error.to_string()))?;
        pulled.map_err(|error| Status::of_kind(error.kind(), error.to_string()))
    };
    let imported = step.conclude(imported.await).unwrap_or_default();
    // One that was built here is found by its name too, whether or not a registry has it.
    imported.iter().map(ToString::to_string).chain([place.to_owned()]).collect()
}

fn pull(
    parts: &Parts,
    reference: &ImageReference,
    credentials: &dyn CredentialSource,
    cancellation: &Cancellation,
) -> Result<Vec<Digest>, RegistryError> {
    let images = &parts.engine.images;
    let credentials = credentials.credentials(reference.repository.host().unwrap_or(HUB));
    let found = images.registry().describe(reference, credentials.as_ref(), cancellation)?;
    let mut imported = Vec::new();
    for manifest in found.images.into_iter().take(IMAGE_LIMIT) {
        let reference = ImageReference { tag: None, digest: Some(manifest), ..reference.clone() };
        let request = PullRequest {
            store: images.store(),
            reference: &reference,
            credentials: credentials.as_ref(),
            platform: None,
            names: PulledNames::Cache,
        };
        let pulled = images.registry().pull(&request, &Silent, cancellation)?;
        imported.extend(pulled.into_iter().map(|pulled| pulled.image));
    }
    Ok(imported)
}
