//! The lists in parts, for nodes whose lists are larger than one message may be.

use std::sync::Arc;

use futures_util::{Stream, stream};
use hyper::body::Incoming;
use tonic::Status;
use tonic::body::Body;

use crate::calls::Api;
use crate::grpc::{streamed, unimplemented};
use crate::wire::container::ListContainersRequest;
use crate::wire::image::ListImagesRequest;
use crate::wire::list_stream::{
    StreamContainerStatsRequest, StreamContainerStatsResponse, StreamContainersRequest,
    StreamContainersResponse, StreamImagesRequest, StreamImagesResponse, StreamPodSandboxMetricsRequest,
    StreamPodSandboxMetricsResponse, StreamPodSandboxStatsRequest, StreamPodSandboxStatsResponse,
    StreamPodSandboxesRequest, StreamPodSandboxesResponse,
};
use crate::wire::metrics::ListPodSandboxMetricsRequest;
use crate::wire::sandbox::ListPodSandboxRequest;
use crate::wire::statistics::{ListContainerStatsRequest, ListPodSandboxStatsRequest};

/// How many items a part has: the largest ones, metrics of pods, have some kilobytes each.
const ITEMS: usize = 128;

impl Api {
    /// Answers the calls of runtimes that stream a list.
    pub(crate) async fn stream_list(
        &self,
        method: &str,
        request: http::Request<Incoming>,
    ) -> http::Response<Body> {
        let service = Arc::clone(&self.runtime);
        match method {
            "StreamPodSandboxes" => {
                let handler = |asked: StreamPodSandboxesRequest| async move {
                    let all = service.list_sandboxes(&ListPodSandboxRequest { filter: asked.filter }).items;
                    Ok(in_parts(all, |pod_sandboxes| StreamPodSandboxesResponse { pod_sandboxes }))
                };
                streamed(request, handler).await
            }
            "StreamContainers" => {
                let handler = |asked: StreamContainersRequest| async move {
                    let asked = ListContainersRequest { filter: asked.filter };
                    let all = service.list_containers(&asked).containers;
                    Ok(in_parts(all, |containers| StreamContainersResponse { containers }))
                };
                streamed(request, handler).await
            }
            "StreamContainerStats" => {
                let handler = |asked: StreamContainerStatsRequest| async move {
                    let asked = ListContainerStatsRequest { filter: asked.filter };
                    let all = service.list_container_stats(asked).await?.stats;
                    Ok(in_parts(all, |container_stats| StreamContainerStatsResponse { container_stats }))
                };
                streamed(request, handler).await
            }
            "StreamPodSandboxStats" => {
                let handler = |asked: StreamPodSandboxStatsRequest| async move {
                    let asked = ListPodSandboxStatsRequest { filter: asked.filter };
                    let all = service.list_sandbox_stats(asked).await?.stats;
                    Ok(in_parts(all, |pod_sandbox_stats| StreamPodSandboxStatsResponse { pod_sandbox_stats }))
                };
                streamed(request, handler).await
            }
            "StreamPodSandboxMetrics" => {
                let handler = |_: StreamPodSandboxMetricsRequest| async move {
                    let all = service.sandbox_metrics(ListPodSandboxMetricsRequest {}).await.pod_metrics;
                    let part = |pod_sandbox_metrics| StreamPodSandboxMetricsResponse { pod_sandbox_metrics };
                    Ok(in_parts(all, part))
                };
                streamed(request, handler).await
            }
            _ => unimplemented(request.uri().path()),
        }
    }

    /// `StreamImages`
    pub(crate) async fn stream_images(&self, request: http::Request<Incoming>) -> http::Response<Body> {
        let service = Arc::clone(&self.images);
        let handler = |asked: StreamImagesRequest| async move {
            let all = service.list(ListImagesRequest { filter: asked.filter }).await?.images;
            Ok(in_parts(all, |images| StreamImagesResponse { images }))
        };
        streamed(request, handler).await
    }
}

/// Each item in exactly one answer; an empty list is an empty stream.
fn in_parts<T, A>(items: Vec<T>, answer: impl Fn(Vec<T>) -> A) -> impl Stream<Item = Result<A, Status>> {
    let mut items = items.into_iter();
    let mut parts = Vec::new();
    while items.len() > 0 {
        parts.push(Ok(answer(items.by_ref().take(ITEMS).collect())));
    }
    stream::iter(parts)
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;

    use super::*;

    #[tokio::test]
    async fn each_item_is_in_one_part() {
        let parts = |count: usize| in_parts((0..count).collect(), |part| part).collect::<Vec<_>>();
        let sizes = |parts: Vec<Result<Vec<usize>, Status>>| -> Vec<usize> {
            parts.into_iter().map(|part| part.expect("a part").len()).collect()
        };
        assert_eq!(sizes(parts(0).await), [0; 0]);
        assert_eq!(sizes(parts(ITEMS).await), [ITEMS]);
        let three: Vec<usize> =
            parts(2 * ITEMS + 1).await.into_iter().flat_map(|part| part.expect("a part")).collect();
        assert_eq!(three, (0..2 * ITEMS + 1).collect::<Vec<_>>());
    }
}
