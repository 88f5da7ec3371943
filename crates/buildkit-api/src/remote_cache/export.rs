//! Sends the images of a build to a registry or a directory of the client, for builds elsewhere to begin with.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use engine::images::registry::{HUB, LayerForm, PushRequest, PushWords, Silent};
use engine::images::{BuiltImage, BuiltImages, Store};
use model::{Digest, ImageReference};

use super::attributes::CacheMode;
use super::local::export_local;
use super::options::CacheExport;
use crate::build::Build;
use crate::grpc::{Code, Status};
use crate::made::MadeImage;
use crate::parts::Parts;

/// Sends the cache of a build to the client's destination; returns what the client reads of it.
///
/// # Errors
/// [`Status`] of the first that fails, unless the client ignores that.
pub(crate) async fn export(
    parts: &Arc<Parts>,
    build: &Arc<Build>,
    images: &[MadeImage],
    exports: &[CacheExport],
) -> Result<HashMap<String, String>, Status> {
    let mut response = HashMap::new();
    for export in exports {
        let (place, ignores_errors) = match export {
            CacheExport::Registry { reference, ignores_errors, .. } => {
                (reference.to_string(), *ignores_errors)
            }
            CacheExport::Local { directory, ignores_errors, .. } => (directory.clone(), *ignores_errors),
            CacheExport::Inline | CacheExport::Unused(_) => continue,
        };
        let title = match export {
            CacheExport::Local { .. } => "exporting cache to client directory".to_owned(),
            _ => format!("exporting cache to {place}"),
        };
        let step = build.progress.start(&format!("export cache {place}"), &title);
        let exported = step.conclude(export_one(parts, build, images, export).await);
        match exported {
            Err(error) if !ignores_errors => return Err(error),
            exported => response.extend(exported.unwrap_or_default()),
        }
    }
    Ok(response)
}

async fn export_one(
    parts: &Arc<Parts>,
    build: &Arc<Build>,
    images: &[MadeImage],
    export: &CacheExport,
) -> Result<HashMap<String, String>, Status> {
    match export {
        CacheExport::Registry { reference, mode, layers, .. } => {
            push(parts, build, (reference, *layers), chosen(images, *mode)).await.map(|()| HashMap::new())
        }
        CacheExport::Local { directory, mode, form, .. } => {
            let built = built(parts.engine.images.store(), chosen(images, *mode));
            export_local(parts, build, directory, built, *form).await
        }
        CacheExport::Inline | CacheExport::Unused(_) => Ok(HashMap::new()),
    }
}

/// Those of the images that are here: a stage that was pruned meanwhile is no loss.
fn built(store: &Store, chosen: BTreeSet<Digest>) -> BuiltImages {
    let is_here = |image: &Digest| store.image(image).is_ok();
    let images = chosen.into_iter().filter(is_here).map(BuiltImage::new).collect();
    BuiltImages { images, ..BuiltImages::default() }
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
    (reference, layers): (&ImageReference, LayerForm),
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
        let built = built(store, chosen);
        let request = PushRequest {
            store,
            reference: &reference,
            credentials: credentials.as_ref(),
            words: PushWords::Today,
            keeps_digests: false,
            platform: None,
            layers,
        };
        engine.images.registry().push_built(&request, &built, &Silent, &cancellation)
    });
    let pushed = work.await.map_err(|error| Status::new(Code::Internal, error.to_string()))?;
    pushed.map(drop).map_err(|error| Status::of_kind(error.kind(), error.to_string()))
}
