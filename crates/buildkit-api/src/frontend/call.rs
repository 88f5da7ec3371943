//! A frontend that is called: what it is called with, and what is refused of that.

use std::collections::HashMap;
use std::sync::Arc;

use engine::builder::{NamedContext, is_builtin_frontend};
use model::NetworkMode;

use super::graph;
use super::layout;
use super::options::Options;
use super::outcome::Outcome;
use super::run::{Given, run_with};
use crate::build::{Build, HOST_NETWORK};
use crate::grpc::{Code, Status};
use crate::held::HeldImage;
use crate::made::MadeImage;
use crate::parts::Parts;
use crate::provenance::Provenance;
use crate::remote_cache::CacheImports;
use buildkit_messages::control::CacheEntry;
use buildkit_messages::operations::Definition;

/// The frontend for Dockerfiles.
const DOCKERFILE: &str = "dockerfile.v0";
/// The frontend that is an image: those of Docker's Dockerfile frontend are answered by the built-in one.
const GATEWAY: &str = "gateway.v0";

/// A frontend that is called, and what with.
#[derive(Debug)]
pub(crate) struct FrontendCall {
    pub(crate) frontend: String,
    pub(crate) options: HashMap<String, String>,
    pub(crate) inputs: HashMap<String, Definition>,
    pub(crate) cache_imports: Vec<CacheEntry>,
}

/// Runs a frontend.
///
/// # Errors
/// [`Status`] with the text for the client.
pub(crate) async fn run(
    parts: &Arc<Parts>,
    build: &Arc<Build>,
    call: FrontendCall,
) -> Result<Outcome, Status> {
    check(&call)?;
    let mut options = Options::parse(&call.options)?;
    if options.host.network_mode == NetworkMode::Host && !build.allows_host_network {
        return Err(Status::new(Code::PermissionDenied, format!("{HOST_NETWORK} is not allowed")));
    }
    if options.subrequest.is_none() {
        let provenance = Provenance::of_options(&call.options)?;
        build.progress.warn_of_options(provenance.and_then(|wish| wish.warning()).into_iter().collect());
    }
    let caches = CacheImports::read(&call.cache_imports, options.cache_imports.as_deref());
    // They are held until the build is over.
    let _held = make_contexts(parts, build, &mut options, &call.inputs).await?;
    run_with(parts, build, options, Given { caches, ..Given::default() }).await
}

/// Makes the images of named contexts: of graphs, and of the client's layouts. Subrequests do not use them.
async fn make_contexts(
    parts: &Arc<Parts>,
    build: &Arc<Build>,
    options: &mut Options,
    inputs: &HashMap<String, Definition>,
) -> Result<(Vec<MadeImage>, Vec<HeldImage>), Status> {
    let (mut made, mut held) = (Vec::new(), Vec::new());
    if options.subrequest.is_some() {
        return Ok((made, held));
    }
    for (name, input) in std::mem::take(&mut options.inputs) {
        let missing = || Status::invalid(format!("the context {name} has no input {input:?}"));
        let definition = inputs.get(&input).ok_or_else(missing)?;
        let (image, images) = graph::input(parts, build, definition).await?;
        options.named_contexts.insert(name, NamedContext::Held(image));
        made.extend(images);
    }
    for (name, image) in std::mem::take(&mut options.layouts) {
        if options.platforms.len() > 1 {
            let text = format!("the context {name} is a layout of images, which is for one platform alone");
            return Err(Status::unimplemented(text));
        }
        let image = layout::import(parts, build, &name, &image, options.platforms.first()).await?;
        options.named_contexts.insert(name, NamedContext::Held(image.id));
        held.push(image);
    }
    Ok((made, held))
}

/// Refuses what no frontend here does.
fn check(call: &FrontendCall) -> Result<(), Status> {
    let source = call.options.get("source").map(String::as_str).unwrap_or_default();
    match call.frontend.as_str() {
        DOCKERFILE => {}
        GATEWAY if is_builtin_frontend(source) => {}
        GATEWAY => {
            return Err(Status::unimplemented(format!(
                "the frontend image {source:?} is not supported: only docker/dockerfile is, which is built in"
            )));
        }
        other => return Err(Status::unimplemented(format!("frontend {other:?} is not supported"))),
    }
    Ok(())
}
