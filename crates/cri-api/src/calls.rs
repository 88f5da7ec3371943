//! The calls by their names.

use std::sync::Arc;

use engine::Engine;
use hyper::body::Incoming;
use model::ImageReference;
use tokio::sync::watch;
use tonic::body::Body;

use crate::grpc::{streamed, unary, unimplemented};
use crate::image_service::ImageService;
use crate::runtime_service::RuntimeService;
use crate::streaming::{Session, StreamingServer};
use crate::wire::event::GetEventsRequest;
use crate::wire::session::{
    AttachRequest, AttachResponse, ExecRequest, ExecResponse, PortForwardRequest, PortForwardResponse,
};

/// The container runtime interface.
pub struct Api {
    pub(crate) runtime: Arc<RuntimeService>,
    pub(crate) images: Arc<ImageService>,
    streaming: Arc<StreamingServer>,
}

impl Api {
    /// Puts the interface in front of an engine. The images of these names are to be kept by the kubelet.
    #[must_use]
    pub fn new(engine: &Arc<Engine>, pinned_images: &[ImageReference]) -> Self {
        Self {
            runtime: Arc::new(RuntimeService::new(engine)),
            images: Arc::new(ImageService::new(engine, pinned_images)),
            streaming: Arc::new(StreamingServer::new(engine)),
        }
    }

    /// Answers one call. Streams without an end of their own end when `stopping` becomes true.
    pub(crate) async fn answer(
        &self,
        request: http::Request<Incoming>,
        stopping: watch::Receiver<bool>,
    ) -> http::Response<Body> {
        let path = request.uri().path().to_owned();
        match path.strip_prefix("/runtime.v1.").and_then(|path| path.split_once('/')) {
            Some(("RuntimeService", "GetContainerEvents")) => {
                let service = Arc::clone(&self.runtime);
                streamed(request, |_: GetEventsRequest| async move { Ok(service.events(stopping)) }).await
            }
            Some(("RuntimeService", method)) if method.starts_with("Stream") => {
                self.stream_list(method, request).await
            }
            Some(("RuntimeService", method)) => self.runtime(method, request).await,
            Some(("ImageService", method)) => self.images(method, request).await,
            _ => unimplemented(&path),
        }
    }

    async fn runtime(&self, method: &str, request: http::Request<Incoming>) -> http::Response<Body> {
        let service = Arc::clone(&self.runtime);
        match method {
            "Version" => unary(request, |asked| async move { Ok(service.version(&asked)) }).await,
            "Status" => unary(request, |asked| async move { Ok(service.status(asked).await) }).await,
            "RuntimeConfig" => unary(request, |asked| async move { Ok(service.config(&asked)) }).await,
            "UpdateRuntimeConfig" => {
                unary(request, |asked| async move { Ok(service.update_config(&asked)) }).await
            }
            "RunPodSandbox" => unary(request, |asked| async move { service.run_sandbox(asked).await }).await,
            "StopPodSandbox" => {
                unary(request, |asked| async move { service.stop_sandbox(asked).await }).await
            }
            "RemovePodSandbox" => {
                unary(request, |asked| async move { service.remove_sandbox(asked).await }).await
            }
            "PodSandboxStatus" => {
                unary(request, |asked| async move { service.sandbox_status(asked).await }).await
            }
            "ListPodSandbox" => {
                unary(request, |asked| async move { Ok(service.list_sandboxes(&asked)) }).await
            }
            "UpdatePodSandboxResources" => {
                unary(request, |asked| async move { service.update_sandbox(asked).await }).await
            }
            "CreateContainer" => {
                unary(request, |asked| async move { service.create_container(asked).await }).await
            }
            "StartContainer" => {
                unary(request, |asked| async move { service.start_container(asked).await }).await
            }
            "StopContainer" => {
                unary(request, |asked| async move { service.stop_container(asked).await }).await
            }
            "RemoveContainer" => {
                unary(request, |asked| async move { service.remove_container(asked).await }).await
            }
            "ListContainers" => {
                unary(request, |asked| async move { Ok(service.list_containers(&asked)) }).await
            }
            "ContainerStatus" => {
                unary(request, |asked| async move { service.container_status(asked).await }).await
            }
            "UpdateContainerResources" => {
                unary(request, |asked| async move { service.update_resources(asked).await }).await
            }
            "ReopenContainerLog" => {
                unary(request, |asked| async move { service.reopen_log(asked).await }).await
            }
            "ExecSync" => unary(request, |asked| async move { service.exec_sync(asked).await }).await,
            "ContainerStats" => {
                unary(request, |asked| async move { service.container_stats(asked).await }).await
            }
            "ListContainerStats" => {
                unary(request, |asked| async move { service.list_container_stats(asked).await }).await
            }
            "PodSandboxStats" => {
                unary(request, |asked| async move { service.sandbox_stats(asked).await }).await
            }
            "ListPodSandboxStats" => {
                unary(request, |asked| async move { service.list_sandbox_stats(asked).await }).await
            }
            "ListMetricDescriptors" => {
                unary(request, |asked| async move { Ok(service.metric_descriptors(&asked)) }).await
            }
            "ListPodSandboxMetrics" => {
                unary(request, |asked| async move { Ok(service.sandbox_metrics(asked).await) }).await
            }
            "Exec" | "Attach" | "PortForward" => self.offer(method, request).await,
            _ => unimplemented(request.uri().path()),
        }
    }

    /// Answers with a URL that leads to streams once.
    async fn offer(&self, method: &str, request: http::Request<Incoming>) -> http::Response<Body> {
        let (service, streaming) = (Arc::clone(&self.runtime), Arc::clone(&self.streaming));
        match method {
            "Exec" => {
                let handler = |asked: ExecRequest| async move {
                    service.check_exec(&asked)?;
                    Ok(ExecResponse { url: streaming.offer(Session::Exec(asked)).await? })
                };
                unary(request, handler).await
            }
            "Attach" => {
                let handler = |asked: AttachRequest| async move {
                    service.check_attach(&asked)?;
                    Ok(AttachResponse { url: streaming.offer(Session::Attach(asked)).await? })
                };
                unary(request, handler).await
            }
            _ => {
                let handler = |asked: PortForwardRequest| async move {
                    service.check_ports(&asked)?;
                    Ok(PortForwardResponse { url: streaming.offer(Session::PortForward(asked)).await? })
                };
                unary(request, handler).await
            }
        }
    }

    async fn images(&self, method: &str, request: http::Request<Incoming>) -> http::Response<Body> {
        let service = Arc::clone(&self.images);
        match method {
            "ListImages" => unary(request, |asked| async move { service.list(asked).await }).await,
            "ImageStatus" => unary(request, |asked| async move { service.status(asked).await }).await,
            "PullImage" => unary(request, |asked| async move { service.pull(asked).await }).await,
            "RemoveImage" => unary(request, |asked| async move { service.remove(asked).await }).await,
            "StreamImages" => self.stream_images(request).await,
            "ImageFsInfo" => unary(request, |asked| async move { service.file_systems(asked).await }).await,
            _ => unimplemented(request.uri().path()),
        }
    }
}
