//! Results in the engine's store, under their names, and from there in registries.

use std::collections::HashMap;
use std::sync::Arc;

use engine::images::registry::{Descriptor, LayerForm, Message, PushRequest, PushWords, PushedImage};
use engine::images::{Annotations, BuiltImages};
use model::{Digest, ImageReference, qualified};

use super::result::{BuildOutput, described};
use crate::build::Build;
use crate::grpc::{Code, Status};
use crate::parts::Parts;
use crate::progress::Step;

/// Names an image, and pushes it where that is wanted. Gives what clients read of it.
///
/// # Errors
/// [`Status`] when the image cannot be named or pushed.
pub(super) async fn export(
    parts: &Arc<Parts>,
    build: &Arc<Build>,
    (output, built): (&BuildOutput, (BuiltImages, Annotations)),
    names: Vec<ImageReference>,
    push: Option<LayerForm>,
) -> Result<HashMap<String, String>, Status> {
    let mut response = output.record(parts, built, &names).await?;
    let image = output.main()?;
    let whole: Vec<String> = names.iter().map(|name| qualified(&name.to_string())).collect();
    let step = build.progress.start("export image", "exporting to image");
    for title in ["exporting layers".to_owned(), format!("writing image {image}")] {
        step.part(&title).complete();
    }
    let named = name(parts, output, &names).await;
    if named.is_ok() {
        whole.iter().for_each(|name| step.part(&format!("naming to {name}")).complete());
    }
    step.conclude(named)?;
    if let Some(layers) = push {
        for name in &names {
            let title = format!("pushing {}", qualified(&name.to_string()));
            let step = build.progress.start(&format!("push {name}"), &title);
            let pushed = push_one(parts, build, &step, (name, layers)).await;
            let pushed = step.conclude(pushed)?;
            let descriptor = Descriptor::new(&pushed.media_type, pushed.digest, pushed.size);
            response.extend(described(&descriptor)?);
        }
    }
    if !whole.is_empty() {
        response.insert("image.name".to_owned(), whole.join(","));
    }
    Ok(response)
}

async fn name(parts: &Arc<Parts>, output: &BuildOutput, names: &[ImageReference]) -> Result<(), Status> {
    let engine = Arc::clone(&parts.engine);
    let names = names.to_vec();
    let image = output.main()?;
    let all: Vec<Digest> = output.images.iter().map(|image| image.held.id).collect();
    let work = tokio::task::spawn_blocking(move || {
        let tags: Vec<_> = names.iter().map(|name| (name.clone(), image)).collect();
        let store = engine.images.store();
        match tags.as_slice() {
            [] => {}
            tags => drop(store.tag_all(tags)?),
        }
        // Those of other platforms are no cache either.
        all.iter().try_for_each(|image| store.keep(image))?;
        for name in &names {
            engine.images.emit("tag", &image, &name.to_string());
        }
        Ok::<(), engine::images::Error>(())
    });
    let tagged = work.await.map_err(|error| Status::new(Code::Internal, error.to_string()))?;
    tagged.map_err(|error| Status::of_kind(error.kind(), error.to_string()))
}

async fn push_one(
    parts: &Arc<Parts>,
    build: &Arc<Build>,
    step: &Step,
    (name, layers): (&ImageReference, LayerForm),
) -> Result<PushedImage, Status> {
    let host = name.repository.host().unwrap_or(engine::images::registry::HUB).to_owned();
    let credentials = match parts.sessions.find(&build.session).await {
        Ok(session) => session.credentials(&host).await?,
        // A build without a session has no credentials either.
        Err(_) => None,
    };
    let (engine, step, name) = (Arc::clone(&parts.engine), step.clone(), name.clone());
    let cancellation = build.cancellation().clone();
    let work = tokio::task::spawn_blocking(move || {
        let request = PushRequest {
            store: engine.images.store(),
            reference: &name,
            credentials: credentials.as_ref(),
            words: PushWords::Today,
            keeps_digests: true,
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
        let pushed = engine.images.registry().push(&request, &progress, &cancellation)?;
        if let Some(first) = pushed.first() {
            engine.images.emit("push", &first.image, &name.to_string());
        }
        Ok::<_, engine::images::registry::RegistryError>(pushed.into_iter().next())
    });
    let pushed = work.await.map_err(|error| Status::new(Code::Internal, error.to_string()))?;
    let pushed = pushed.map_err(|error| Status::of_kind(error.kind(), error.to_string()))?;
    pushed.ok_or_else(|| Status::new(Code::Internal, "nothing was pushed"))
}
