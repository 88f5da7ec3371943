//! Sends the images of a build to a registry, for builds elsewhere to begin with.

use std::collections::BTreeSet;
use std::sync::Arc;

use engine::images::BuiltImage;
use engine::images::registry::{HUB, PushRequest, PushWords, Silent};
use model::{Digest, ImageReference};

use super::options::{CacheExport, CacheMode};
use crate::build::Build;
use crate::grpc::{Code, Status};
use crate::made::MadeImage;
use crate::parts::Parts;

/// Sends the cache of a build where the client wants it.
///
/// # Errors
/// [`Status`] of the first that fails, unless the client ignores that.
pub(crate) async fn export(
    parts: &Arc<Parts>,
    build: &Arc<Build>,
    images: &[MadeImage],
    exports: &[CacheExport],
) -> Result<(), Status> {
    for export in exports {
        let CacheExport::Registry { reference, mode, ignores_errors } = export else { continue };
        let title = format!("exporting cache to {reference}");
        let step = build.progress.start(&format!("export cache {reference}"), &title);
        let exported = step.conclude(push(parts, build, reference, chosen(images, *mode)).await);
        if !ignores_errors {
            exported?;
        }
    }
    Ok(())
}

/// The images of a cache.
fn chosen(images: &[MadeImage], mode: CacheMode) -> BTreeSet<Digest> {
    let results = images.iter().map(|image| image.held.id);
    match mode {
        CacheMode::Result => results.collect(),
        CacheMode::Stages => {
            let stages = images.iter().flat_map(|image| image.stages.iter().copied());
            results.chain(stages).collect()
        }
    }
}

async fn push(
    parts: &Arc<Parts>,
    build: &Arc<Build>,
    reference: &ImageReference,
    chosen: BTreeSet<Digest>,
) -> Result<(), Status> {
    let host = reference.repository.host().unwrap_or(HUB);
    let credentials = match parts.sessions.find(&build.session).await {
        Ok(session) => session.credentials(host).await?,
        // A build without a session has no credentials either.
        Err(_) => None,
    };
    let (engine, reference) = (Arc::clone(&parts.engine), reference.clone());
    let cancellation = build.cancellation().clone();
    let work = tokio::task::spawn_blocking(move || {
        let store = engine.images.store();
        // A stage that was pruned meanwhile is no loss.
        let is_here = |image: &Digest| store.image(image).is_ok();
        let built = |image| BuiltImage { image, predicates: Vec::new() };
        let built: Vec<_> = chosen.into_iter().filter(is_here).map(built).collect();
        let request = PushRequest {
            store,
            reference: &reference,
            credentials: credentials.as_ref(),
            words: PushWords::Today,
            keeps_digests: false,
            platform: None,
        };
        engine.images.registry().push_built(&request, &built, &Silent, &cancellation)
    });
    let pushed = work.await.map_err(|error| Status::new(Code::Internal, error.to_string()))?;
    pushed.map(drop).map_err(|error| Status::of_kind(error.kind(), error.to_string()))
}
