//! `Control.Solve`: one build, from its request to what its exporters give.
//!
//! The frontend is named in the request, or the client drives the build itself through the gateway and returns a
//! result. A build ends with its call, its connection or its session, whichever goes first.

use std::collections::HashMap;
use std::sync::Arc;

use crate::build::{Build, HOST_NETWORK};
use crate::export;
use crate::frontend::{self, FrontendCall};
use crate::grpc::{Call, Code, Status};
use crate::made::MadeImage;
use crate::parts::Parts;
use crate::remote_cache::{self, CacheExport};
use buildkit_messages::control::{SolveRequest, SolveResponse};
use buildkit_messages::gateway::BuildResult;

/// What a client may allow a build. No step has devices, so that allowing them allows nothing.
const GRANTED: [&str; 2] = [HOST_NETWORK, "device"];

pub(crate) async fn solve(parts: Arc<Parts>, mut call: Call) -> Result<(), Status> {
    let request: SolveRequest = call.requests.only().await?;
    let build = Build::new(&request);
    // Even a build that is refused begins: a request for its progress need not wait for it.
    let mut running = parts.builds.begin(Arc::clone(&build))?;
    let outcome = tokio::select! {
        outcome = run(&parts, &build, request) => outcome,
        gone = session_gone(&parts, &build) => Err(gone),
    };
    let outcome = outcome.map_err(Status::of_build);
    running.conclude(&outcome);
    drop(running);
    call.replies.send(&SolveResponse { exporter_response: outcome? }).await
}

/// Refuses what no build here does.
fn refuse(request: &SolveRequest) -> Result<(), Status> {
    if request.source_policy.is_some() {
        return Err(Status::unimplemented(
            "a policy for sources that is a list of rules is not supported: the client's session can judge them",
        ));
    }
    if request.proxy_network {
        return Err(Status::unimplemented("the network of proxies is not supported"));
    }
    let is_granted = |name: &String| GRANTED.contains(&name.as_str());
    if let Some(name) = request.entitlements.iter().find(|name| !is_granted(name)) {
        let text = format!("granting entitlement {name} is not allowed by build daemon configuration");
        return Err(Status::new(Code::PermissionDenied, text));
    }
    Ok(())
}

async fn run(
    parts: &Arc<Parts>,
    build: &Arc<Build>,
    request: SolveRequest,
) -> Result<HashMap<String, String>, Status> {
    refuse(&request)?;
    let mut warnings = export::check(&build.exporters)?;
    let cache_exports = CacheExport::of_request(request.cache.as_ref())?;
    warnings.extend(cache_exports.iter().flat_map(CacheExport::warnings));
    build.progress.warn_of_options(warnings);
    let graph = request.definition.filter(|definition| !definition.operations.is_empty());
    let images = match (request.frontend.as_str(), graph) {
        ("", None) => images_of(build, &build.result_of_client().await?)?,
        ("", Some(graph)) => frontend::run_graph(parts, build, &graph).await?.images()?,
        (_, _) => {
            let imports = request.cache.map(|cache| cache.imports).unwrap_or_default();
            let call = FrontendCall {
                frontend: request.frontend,
                options: request.frontend_attributes,
                inputs: request.frontend_inputs,
                cache_imports: imports,
            };
            frontend::run(parts, build, call).await?.images()?
        }
    };
    let mut response = export::run(parts, build, images.clone()).await?;
    response.extend(remote_cache::export(parts, build, &images, &cache_exports).await?);
    Ok(response)
}

/// The images that the client returned; none where it returned nothing to export.
fn images_of(build: &Build, result: &BuildResult) -> Result<Vec<MadeImage>, Status> {
    let (ids, is_by_platform): (Vec<&str>, bool) = match &result.references {
        Some(references) => {
            (references.by_platform.values().map(|reference| reference.id.as_str()).collect(), true)
        }
        None => {
            let id = result.reference.as_ref().map_or(&result.old_reference, |reference| &reference.id);
            (Some(id.as_str()).filter(|id| !id.is_empty()).into_iter().collect(), false)
        }
    };
    let mut images = build.results(&ids)?;
    // The client decides, however it had each of them solved.
    images.iter_mut().for_each(|image| image.is_by_platform = is_by_platform);
    Ok(images)
}

/// Waits until the session of a build is over.
async fn session_gone(parts: &Parts, build: &Build) -> Status {
    if let Ok(session) = parts.sessions.find(&build.session).await {
        session.closed().await;
        return Status::new(Code::Cancelled, "context canceled: the client's session is over");
    }
    // A build that needs its session reports that it is missing.
    std::future::pending().await
}
