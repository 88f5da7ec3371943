//! Builds what a graph describes.

use std::sync::Arc;

use engine::builder::NamedContext;
use engine::images::registry::Platform;
use model::Digest;

use super::decode::{Graph, decode};
use super::own_image;
use super::text::Text;
use super::translate::{needed, translate};
use crate::build::Build;
use crate::frontend::documents::Documents;
use crate::frontend::layout::{self, LayoutImage};
use crate::frontend::options::Options;
use crate::frontend::outcome::Outcome;
use crate::frontend::run::{Given, run_with};
use crate::grpc::Status;
use crate::held::HeldImage;
use crate::made::MadeImage;
use crate::parts::Parts;
use buildkit_messages::operations::Definition;

/// The image of a graph that is a context of another build, held where it was made only now. That of a result keeps its
/// configuration.
///
/// # Errors
/// [`Status`] with the text for the client.
pub(crate) async fn input(
    parts: &Arc<Parts>,
    build: &Arc<Build>,
    definition: &Definition,
) -> Result<(Digest, Vec<MadeImage>), Status> {
    let (graph, _held) = decode_held(parts, build, definition).await?;
    if let Some(image) = own_image::only_image(&graph) {
        return Ok((own_image::parse(image)?, Vec::new()));
    }
    let made = run_decoded(parts, build, &graph).await?.images()?;
    match made.as_slice() {
        [image] => Ok((image.held.id, made)),
        _ => Err(Status::unimplemented("a context of several platforms is not supported")),
    }
}

/// Builds a graph; its result has the files of its last operation and no configuration.
///
/// # Errors
/// [`Status`] with the text for the client.
pub(crate) async fn run_graph(
    parts: &Arc<Parts>,
    build: &Arc<Build>,
    definition: &Definition,
) -> Result<Outcome, Status> {
    let (graph, _held) = decode_held(parts, build, definition).await?;
    run_decoded(parts, build, &graph).await
}

/// Decodes a graph, and brings the images here that it takes from layouts of the client.
async fn decode_held(
    parts: &Arc<Parts>,
    build: &Arc<Build>,
    definition: &Definition,
) -> Result<(Graph, Vec<HeldImage>), Status> {
    let mut graph = decode(definition)?;
    let mut held = Vec::new();
    for number in needed(&graph) {
        let operation = &mut graph.nodes[number].operation;
        let platform = operation.platform.clone().filter(|platform| !platform.architecture.is_empty());
        let Some(source) = &mut operation.source else { continue };
        let Some(place) = source.identifier.strip_prefix("oci-layout://") else { continue };
        let mut image = LayoutImage::parse(place)?;
        // The name in the address is only shown where the store has one of its own.
        if let Some(store) = source.attributes.remove("oci.store") {
            image.layout = store;
        }
        let platform = platform.map(|wanted| Platform {
            architecture: wanted.architecture,
            os: wanted.os,
            variant: wanted.variant,
        });
        let title = image.layout.clone();
        let image = layout::import(parts, build, &title, &image, platform.as_ref()).await?;
        source.identifier = own_image::identifier(&image.id);
        source.attributes.clear();
        held.push(image);
    }
    Ok((graph, held))
}

async fn run_decoded(parts: &Arc<Parts>, build: &Arc<Build>, graph: &Graph) -> Result<Outcome, Status> {
    let Text { dockerfile, locals, inline, images, uncached, changes, .. } = translate(graph)?;
    let mut options = Options { no_cache_filter: uncached, ..Options::default() };
    for (name, local) in &locals {
        options.named_contexts.insert(name.clone(), NamedContext::Provided);
        options.local_names.insert(name.clone(), local.directory.clone());
    }
    for (name, image) in images {
        options.named_contexts.insert(name, NamedContext::Held(image));
    }
    for name in inline.keys() {
        options.named_contexts.insert(name.clone(), NamedContext::Provided);
    }
    let documents =
        Documents { name: "graph".to_owned(), text: dockerfile.into_bytes(), excludes: Vec::new() };
    let given = Given { graph: Some((documents, changes)), locals, inline, ..Given::default() };
    run_with(parts, build, options, given).await
}
