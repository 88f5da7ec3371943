//! Builds what a graph describes.

use std::sync::Arc;

use engine::builder::NamedContext;

use super::decode::{Graph, decode};
use super::own_image;
use super::text::Text;
use super::translate::translate;
use crate::build::Build;
use crate::frontend::documents::Documents;
use crate::frontend::options::Options;
use crate::frontend::outcome::Outcome;
use crate::frontend::run::{Given, run_with};
use crate::grpc::Status;
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
) -> Result<(String, Vec<MadeImage>), Status> {
    let graph = decode(definition)?;
    if let Some(image) = own_image::only_image(&graph) {
        return Ok((image.to_owned(), Vec::new()));
    }
    let made = run_decoded(parts, build, &graph).await?.images()?;
    match made.as_slice() {
        [image] => Ok((image.held.id.to_string(), made)),
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
    run_decoded(parts, build, &decode(definition)?).await
}

async fn run_decoded(parts: &Arc<Parts>, build: &Arc<Build>, graph: &Graph) -> Result<Outcome, Status> {
    let Text { dockerfile, locals, inline, uncached, .. } = translate(graph)?;
    let mut options = Options { no_cache_filter: uncached, ..Options::default() };
    for (name, local) in &locals {
        options.named_contexts.insert(name.clone(), NamedContext::Provided);
        options.local_names.insert(name.clone(), local.directory.clone());
    }
    for name in inline.keys() {
        options.named_contexts.insert(name.clone(), NamedContext::Provided);
    }
    let documents =
        Documents { name: "graph".to_owned(), text: dockerfile.into_bytes(), excludes: Vec::new() };
    let given = Given { graph: Some(documents), locals, inline, ..Given::default() };
    run_with(parts, build, options, given).await
}
