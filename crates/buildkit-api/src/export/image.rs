//! Results in the engine's store, under their names, and from there in registries.

use std::collections::HashMap;
use std::sync::Arc;

use engine::images::BuiltImages;
use engine::images::registry::{Descriptor, LayerForm, Message, PushRequest, PushWords, PushedImage};
use model::{Digest, EventAction, ImageReference, qualified};

use super::options::ImageExport;
use super::result::{AnnotatedImages, BuildOutput, Carrier, DIGEST, NAME, described};
use crate::build::Build;
use crate::grpc::{Code, Status};
use crate::parts::Parts;
use crate::progress::Step;

/// Names what a build made, and pushes it where that is wanted. Gives what clients read of it.
///
/// # Errors
/// [`Status`] when it cannot be named or pushed.
pub(super) async fn export(
    parts: &Arc<Parts>,
    build: &Arc<Build>,
    output: &BuildOutput,
    export: ImageExport,
) -> Result<HashMap<String, String>, Status> {
    let ImageExport { names, push, annotations, types, is_kept } = export;
    let image = output.main()?;
    let step = build.progress.start("export image", "exporting to image");
    let exported = output.annotated(build, (&annotations, types), Carrier::Image);
    let AnnotatedImages { built, of_root } = match exported {
        Ok(exported) => exported,
        Err(error) => return step.conclude(Err(error)),
    };
    let built = Arc::new(built);
    for title in ["exporting layers".to_owned(), format!("writing image {image}")] {
        step.part(&title).complete();
    }
    let whole: Vec<String> = names.iter().map(|name| qualified(&name.to_string())).collect();
    let recorded = if is_kept { record(parts, output, &built, &names).await } else { Ok(None) };
    if is_kept && recorded.is_ok() {
        whole.iter().for_each(|name| step.part(&format!("naming to {name}")).complete());
    }
    let mut response = HashMap::new();
    if let Some(root) = step.conclude(recorded)? {
        response.extend(described(&Descriptor { annotations: of_root, ..root })?);
    }
    // Clients take it for the id that the engine knows the image by.
    response.insert(DIGEST.to_owned(), image.to_string());
    response.extend(output.config());
    if let Some(layers) = push {
        let what = Pushed { main: image, built: &built, layers, is_kept };
        for name in &names {
            let title = format!("pushing {}", qualified(&name.to_string()));
            let step = build.progress.start(&format!("push {name}"), &title);
            let pushed = push_one(parts, build, &step, (name, &what)).await;
            let pushed = step.conclude(pushed)?;
            let descriptor = Descriptor::new(&pushed.media_type, pushed.digest, pushed.size);
            response.extend(described(&descriptor)?);
        }
    }
    if !whole.is_empty() {
        response.insert(NAME.to_owned(), whole.join(","));
    }
    Ok(response)
}

/// What is pushed, and how.
struct Pushed<'a> {
    main: Digest,
    built: &'a Arc<BuiltImages>,
    /// What layers become.
    layers: LayerForm,
    /// Whether the image is kept here too, where it gets the digest as a name.
    is_kept: bool,
}

/// Records what a build made under its names; gives the descriptor of what was recorded.
async fn record(
    parts: &Arc<Parts>,
    output: &BuildOutput,
    built: &Arc<BuiltImages>,
    names: &[ImageReference],
) -> Result<Option<Descriptor>, Status> {
    let (engine, built, names) = (Arc::clone(&parts.engine), Arc::clone(built), names.to_vec());
    let image = output.main()?;
    let work = tokio::task::spawn_blocking(move || {
        let store = engine.images.store();
        let root = store.record_built(&built, &image, &names)?;
        // Those of other platforms are no cache either.
        built.images.iter().try_for_each(|built| store.keep(&built.image))?;
        for name in &names {
            engine.images.emit(EventAction::Tag, &image, &name.to_string());
        }
        Ok::<_, engine::images::Error>(root)
    });
    let recorded = work.await.map_err(|error| Status::new(Code::Internal, error.to_string()))?;
    recorded.map_err(|error| Status::of_kind(error.kind(), error.to_string()))
}

async fn push_one(
    parts: &Arc<Parts>,
    build: &Arc<Build>,
    step: &Step,
    (name, what): (&ImageReference, &Pushed<'_>),
) -> Result<PushedImage, Status> {
    let host = name.repository.host().unwrap_or(engine::images::registry::HUB).to_owned();
    let credentials = match parts.sessions.find(&build.session).await {
        Ok(session) => session.credentials(&host).await?,
        // A build without a session has no credentials either.
        Err(_) => None,
    };
    let (built, main, layers, keeps_digests) = (Arc::clone(what.built), what.main, what.layers, what.is_kept);
    let (engine, step, name) = (Arc::clone(&parts.engine), step.clone(), name.clone());
    let cancellation = build.cancellation().clone();
    let work = tokio::task::spawn_blocking(move || {
        let request = PushRequest {
            store: engine.images.store(),
            reference: &name,
            credentials: credentials.as_ref(),
            words: PushWords::Today,
            keeps_digests,
            platform: None,
            layers,
        };
        let progress = |message: Message| {
            if message.status == "Pushed"
                && let Some(id) = &message.id
            {
                step.part(id).complete();
            }
        };
        let registry = engine.images.registry();
        let pushed = registry.push_exported(&request, (main, &built), &progress, &cancellation)?;
        engine.images.emit(EventAction::Push, &pushed.image, &name.to_string());
        Ok::<_, engine::images::registry::RegistryError>(pushed)
    });
    let pushed = work.await.map_err(|error| Status::new(Code::Internal, error.to_string()))?;
    pushed.map_err(|error| Status::of_kind(error.kind(), error.to_string()))
}
