//! Containers in pods: made, started, stopped, removed, changed, listed.

use std::path::Path;
use std::sync::Arc;

use engine::{ContainerUpdate, PodPart, PodRole, Record, StopOptions};
use model::ErrorKind;
use tonic::Status;

use super::RuntimeService;
use super::status_of_container::{info, is_wanted, item, status};
use crate::blocking::apart;
use crate::description;
use crate::settings::{Pod, of_container, of_resources};
use crate::status::{invalid, of_engine};
use crate::wire::container::{
    ContainerConfig, ContainerStatusRequest, ContainerStatusResponse, CreateContainerRequest,
    CreateContainerResponse, ListContainersRequest, ListContainersResponse, RemoveContainerRequest,
    RemoveContainerResponse, ReopenContainerLogRequest, ReopenContainerLogResponse, StartContainerRequest,
    StartContainerResponse, StopContainerRequest, StopContainerResponse, UpdateContainerResourcesRequest,
    UpdateContainerResourcesResponse,
};
use crate::wire::sandbox::PodSandboxConfig;
use crate::wire::security::NamespaceMode;

impl RuntimeService {
    /// `CreateContainer`
    pub(crate) async fn create_container(
        self: Arc<Self>,
        asked: CreateContainerRequest,
    ) -> Result<CreateContainerResponse, Status> {
        let pods = &self.engine.pods;
        let sandbox = pods.sandbox(&asked.pod_sandbox_id).map_err(|error| of_engine(&error))?;
        if !pods.unfinished.is_ready(&sandbox) {
            return Err(Status::failed_precondition(format!("the sandbox {} is not ready", sandbox.id)));
        }
        let config = asked.config.ok_or_else(|| invalid("the container has no configuration"))?;
        self.check_target(&config, &sandbox)?;
        let user_namespace = sandbox.pod.as_ref().and_then(|pod| pod.user_namespace.clone());
        let settings = {
            let (config, sandbox, user_namespace) =
                (config.clone(), Arc::clone(&sandbox), user_namespace.clone());
            // A profile of seccomp is read.
            apart(move || {
                let of_sandbox = Pod {
                    sandbox: sandbox.id.as_str(),
                    host: &sandbox.settings.host,
                    user_namespace: user_namespace.as_ref(),
                };
                of_container(&config, &of_sandbox)
            })
            .await?
        };
        let of_pod: PodSandboxConfig = description::read(&sandbox);
        let log = (!of_pod.log_directory.is_empty() && !config.log_path.is_empty())
            .then(|| Path::new(&of_pod.log_directory).join(&config.log_path));
        let part = PodPart::Container { sandbox: sandbox.id.clone(), log };
        let role = PodRole { part, user_namespace, description: description::write(&config) };
        let id = pods.create(settings, role).await.map_err(|error| of_engine(&error))?;
        Ok(CreateContainerResponse { container_id: id.to_string() })
    }

    /// Checks that the container whose processes a new one is to see is in the same pod.
    fn check_target(&self, config: &ContainerConfig, sandbox: &Record) -> Result<(), Status> {
        let context = config.linux.as_ref().and_then(|linux| linux.security_context.as_ref());
        let Some(options) = context.and_then(|context| context.namespace_options.as_ref()) else {
            return Ok(());
        };
        if options.pid() != NamespaceMode::Target || options.target_id.is_empty() {
            return Ok(());
        }
        let target = self.engine.pods.container(&options.target_id).map_err(|error| of_engine(&error))?;
        if target.pod.as_ref().and_then(|pod| pod.sandbox()) == Some(&sandbox.id) {
            return Ok(());
        }
        Err(invalid(format!(
            "the container {}, whose processes are to be seen, is in another pod",
            target.id
        )))
    }

    /// `StartContainer`
    pub(crate) async fn start_container(
        self: Arc<Self>,
        asked: StartContainerRequest,
    ) -> Result<StartContainerResponse, Status> {
        let record = self.engine.pods.container(&asked.container_id).map_err(|error| of_engine(&error))?;
        if record.was_started() {
            return Err(Status::failed_precondition(format!(
                "the container {} was started already",
                record.id
            )));
        }
        self.engine.pods.start(&asked.container_id).await.map_err(|error| of_engine(&error))?;
        Ok(StartContainerResponse {})
    }

    /// `StopContainer`: one that is not there is stopped.
    pub(crate) async fn stop_container(
        self: Arc<Self>,
        asked: StopContainerRequest,
    ) -> Result<StopContainerResponse, Status> {
        let options = StopOptions { grace: Some(asked.timeout.max(0)), signal: None };
        match self.engine.pods.stop(&asked.container_id, options).await {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(of_engine(&error)),
            Ok(_) | Err(_) => Ok(StopContainerResponse {}),
        }
    }

    /// `RemoveContainer`: one that is not there is gone.
    pub(crate) async fn remove_container(
        self: Arc<Self>,
        asked: RemoveContainerRequest,
    ) -> Result<RemoveContainerResponse, Status> {
        match self.engine.pods.remove(&asked.container_id).await {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(of_engine(&error)),
            Ok(()) | Err(_) => Ok(RemoveContainerResponse {}),
        }
    }

    /// `ContainerStatus`
    pub(crate) async fn container_status(
        self: Arc<Self>,
        asked: ContainerStatusRequest,
    ) -> Result<ContainerStatusResponse, Status> {
        let record = self.engine.pods.container(&asked.container_id).map_err(|error| of_engine(&error))?;
        let info = if asked.verbose { info(&record) } else { Default::default() };
        // Files of the container are read.
        let shown = apart(move || Ok(status(&record, self.engine.pods.identity(&record))));
        Ok(ContainerStatusResponse { status: Some(shown.await?), info })
    }

    /// `ListContainers`
    pub(crate) fn list_containers(&self, asked: &ListContainersRequest) -> ListContainersResponse {
        let filter = asked.filter.clone().unwrap_or_default();
        let containers = self.engine.pods.containers().into_iter().map(|record| item(&record));
        ListContainersResponse {
            containers: containers.filter(|container| is_wanted(container, &filter)).collect(),
        }
    }

    /// `UpdateContainerResources`
    pub(crate) async fn update_resources(
        self: Arc<Self>,
        asked: UpdateContainerResourcesRequest,
    ) -> Result<UpdateContainerResourcesResponse, Status> {
        let record = self.engine.pods.container(&asked.container_id).map_err(|error| of_engine(&error))?;
        let linux = asked.linux.unwrap_or_default();
        let score = record.settings.host.oom_score_adjustment;
        // Kubelets send with every change of resources what it would be now.
        if linux.oom_score_adj != 0 && linux.oom_score_adj != score {
            tracing::warn!(
                "container {} keeps the oom_score_adj {score} that it was made with: {} has no effect",
                record.id,
                linux.oom_score_adj
            );
        }
        let resources = of_resources(&linux)?;
        let update = ContainerUpdate { resources, ..ContainerUpdate::default() };
        let updated = self.engine.pods.update(&asked.container_id, update).await;
        updated.map_err(|error| of_engine(&error))?;
        Ok(UpdateContainerResourcesResponse {})
    }

    /// `ReopenContainerLog`
    pub(crate) async fn reopen_log(
        self: Arc<Self>,
        asked: ReopenContainerLogRequest,
    ) -> Result<ReopenContainerLogResponse, Status> {
        let reopened = self.engine.pods.reopen_log(&asked.container_id).await;
        reopened.map_err(|error| of_engine(&error))?;
        Ok(ReopenContainerLogResponse {})
    }
}
