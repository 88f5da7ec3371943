//! `LLBBridge.Solve`: a frontend's result for a driving client.

use std::collections::HashMap;
use std::sync::Arc;

use super::lookup::build_of;
use crate::build::Build;
use crate::frontend::{self, FrontendCall, Made};
use crate::grpc::{Call, Status};
use crate::made::MadeImage;
use crate::parts::Parts;
use buildkit_messages::gateway::{
    BuildResult, FrontendSolveRequest, FrontendSolveResponse, Reference, References,
};

pub(crate) async fn solve(parts: Arc<Parts>, mut call: Call) -> Result<(), Status> {
    let request: FrontendSolveRequest = call.requests.only().await?;
    let build = build_of(&parts, &call).await?;
    if !request.source_policies.is_empty() {
        return Err(Status::unimplemented("source policies are not supported"));
    }
    let graph = request.definition.filter(|definition| !definition.operations.is_empty());
    build.add_attributes(&request.options);
    let graph = graph.filter(|_| request.frontend.is_empty());
    let frontend_call = FrontendCall {
        frontend: request.frontend,
        options: request.options,
        inputs: request.inputs,
        cache_imports: request.cache_imports,
    };
    let work = async {
        match &graph {
            Some(graph) => frontend::run_graph(&parts, &build, graph).await,
            None => frontend::run(&parts, &build, frontend_call).await,
        }
    };
    let outcome = tokio::select! {
        outcome = work => outcome.map_err(Status::of_build)?,
        () = build.cancelled() => return Err(Status::cancelled()),
    };
    let mut result = BuildResult { metadata: outcome.metadata, ..BuildResult::default() };
    match outcome.made {
        Made::Nothing => {}
        Made::Image(image) => result.reference = Some(reference(&build, *image)?),
        Made::Platforms(images) => {
            let mut by_platform = HashMap::new();
            for image in images {
                let platform = image.platform.to_string();
                by_platform.insert(platform, reference(&build, image)?);
            }
            result.references = Some(References { by_platform });
        }
    }
    call.replies.send(&FrontendSolveResponse { result: Some(result) }).await
}

/// The client's reference of a result, and the parts for builds that use it as a context.
fn reference(build: &Build, image: MadeImage) -> Result<Reference, Status> {
    let definition = Some(frontend::graph_of_image(&image.held.id));
    Ok(Reference { id: build.add_result(image)?, definition })
}
