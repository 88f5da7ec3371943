//! Pod sandboxes: run, stopped, removed, shown.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use engine::{NewSandbox, Pods, Record};
use model::{ErrorKind, IpcMode, NetworkMode, PidMode};
use tonic::Status;

use super::status_of_container::phase_word;
use super::{RuntimeService, has_labels};
use crate::blocking::apart;
use crate::description;
use crate::settings::{Sandbox, of_pod_network, of_resources, of_sandbox};
use crate::status::{invalid, of_engine};
use crate::time::nanoseconds;
use crate::wire::pod_status::PodSandboxStatusResponse;
use crate::wire::sandbox::{
    LinuxPodSandboxStatus, ListPodSandboxRequest, ListPodSandboxResponse, Namespace, PodIP, PodSandbox,
    PodSandboxConfig, PodSandboxFilter, PodSandboxNetworkStatus, PodSandboxState, PodSandboxStatus,
    PodSandboxStatusRequest, RemovePodSandboxRequest, RemovePodSandboxResponse, RunPodSandboxRequest,
    RunPodSandboxResponse, StopPodSandboxRequest, StopPodSandboxResponse, UpdatePodSandboxResourcesRequest,
    UpdatePodSandboxResourcesResponse,
};
use crate::wire::security::{LinuxContainerResources, NamespaceMode, NamespaceOption};

impl RuntimeService {
    /// `RunPodSandbox`: undone when the client leaves before the answer.
    pub(crate) async fn run_sandbox(
        self: Arc<Self>,
        asked: RunPodSandboxRequest,
    ) -> Result<RunPodSandboxResponse, Status> {
        if !asked.runtime_handler.is_empty() {
            let handler = asked.runtime_handler;
            return Err(invalid(format!("there is no runtime handler {handler:?}, only the default one")));
        }
        let config = asked.config.ok_or_else(|| invalid("the pod has no configuration"))?;
        let Sandbox { settings, user_namespace } =
            of_sandbox(&config, self.engine.options().pod_cgroup_driver)?;
        let network = of_pod_network(&config)?;
        let reserved = config.metadata.clone().map(|own| self.being_run.reserve(own, &self.engine.pods));
        let _reserved = reserved.transpose()?;
        let description = description::write(&config);
        let new = NewSandbox { settings, network, user_namespace, description };
        let run = self.engine.pods.run_sandbox(new).await;
        let id = run.map_err(|error| of_engine(&error))?;
        Ok(RunPodSandboxResponse { pod_sandbox_id: id.to_string() })
    }

    /// `StopPodSandbox`: one that is not there is stopped.
    pub(crate) async fn stop_sandbox(
        self: Arc<Self>,
        asked: StopPodSandboxRequest,
    ) -> Result<StopPodSandboxResponse, Status> {
        match self.engine.pods.stop_sandbox(&asked.pod_sandbox_id).await {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(of_engine(&error)),
            Ok(()) | Err(_) => Ok(StopPodSandboxResponse {}),
        }
    }

    /// `RemovePodSandbox`: one that is not there is gone.
    pub(crate) async fn remove_sandbox(
        self: Arc<Self>,
        asked: RemovePodSandboxRequest,
    ) -> Result<RemovePodSandboxResponse, Status> {
        match self.engine.pods.remove_sandbox(&asked.pod_sandbox_id).await {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(of_engine(&error)),
            Ok(()) | Err(_) => Ok(RemovePodSandboxResponse {}),
        }
    }

    /// `PodSandboxStatus`
    pub(crate) async fn sandbox_status(
        self: Arc<Self>,
        asked: PodSandboxStatusRequest,
    ) -> Result<PodSandboxStatusResponse, Status> {
        let record = self.engine.pods.sandbox(&asked.pod_sandbox_id).map_err(|error| of_engine(&error))?;
        let info = if asked.verbose { info(&record) } else { BTreeMap::new() };
        // Files of the pod's containers are read.
        let pod = apart(move || Ok(self.pod(&record))).await?;
        Ok(PodSandboxStatusResponse { info, ..pod })
    }

    /// `UpdatePodSandboxResources`: the kubelet has changed the pod's cgroup itself; the new values are stored and shown.
    pub(crate) async fn update_sandbox(
        self: Arc<Self>,
        asked: UpdatePodSandboxResourcesRequest,
    ) -> Result<UpdatePodSandboxResourcesResponse, Status> {
        let record = self.engine.pods.sandbox(&asked.pod_sandbox_id).map_err(|error| of_engine(&error))?;
        for limits in [&asked.overhead, &asked.resources].into_iter().flatten() {
            of_resources(limits)?;
        }
        let mut config: PodSandboxConfig = description::read(&record);
        let linux = config.linux.get_or_insert_default();
        linux.overhead = asked.overhead.or(linux.overhead.take());
        linux.resources = asked.resources.or(linux.resources.take());
        let described =
            self.engine.pods.describe_sandbox(record.id.as_str(), description::write(&config)).await;
        described.map_err(|error| of_engine(&error))?;
        Ok(UpdatePodSandboxResourcesResponse {})
    }

    /// `ListPodSandbox`
    pub(crate) fn list_sandboxes(&self, asked: &ListPodSandboxRequest) -> ListPodSandboxResponse {
        let filter = asked.filter.clone().unwrap_or_default();
        let sandboxes =
            self.engine.pods.sandboxes().into_iter().map(|record| item(&record, &self.engine.pods));
        ListPodSandboxResponse { items: sandboxes.filter(|sandbox| is_wanted(sandbox, &filter)).collect() }
    }
}

fn item(record: &Record, pods: &Pods) -> PodSandbox {
    let state =
        if pods.unfinished.is_ready(record) { PodSandboxState::Ready } else { PodSandboxState::Notready };
    let config: PodSandboxConfig = description::read(record);
    PodSandbox {
        id: record.id.to_string(),
        metadata: config.metadata,
        state: state.into(),
        created_at: nanoseconds(record.created),
        labels: config.labels,
        annotations: config.annotations,
        runtime_handler: String::new(),
    }
}

fn is_wanted(sandbox: &PodSandbox, filter: &PodSandboxFilter) -> bool {
    sandbox.id.starts_with(&filter.id)
        && filter.state.as_ref().is_none_or(|wanted| wanted.state == sandbox.state)
        && has_labels(&sandbox.labels, &filter.label_selector)
}

/// A sandbox as the interface shows it.
pub(super) fn status(record: &Record, pods: &Pods) -> PodSandboxStatus {
    let PodSandbox { id, metadata, state, created_at, labels, annotations, runtime_handler } =
        item(record, pods);
    let options = NamespaceOption {
        network: mode(record.settings.host.network_mode == NetworkMode::Host),
        pid: asked_pid(record),
        ipc: mode(record.settings.host.ipc_mode == IpcMode::Host),
        userns_options: asked(record).and_then(|asked| asked.userns_options),
        ..NamespaceOption::default()
    };
    PodSandboxStatus {
        id,
        metadata,
        state,
        created_at,
        network: network(&pods.addresses(record)),
        linux: Some(LinuxPodSandboxStatus { namespaces: Some(Namespace { options: Some(options) }) }),
        labels,
        annotations,
        runtime_handler,
    }
}

fn mode(on_host: bool) -> i32 {
    if on_host { NamespaceMode::Node.into() } else { NamespaceMode::Pod.into() }
}

/// The requested default mode of the pod's containers for process ids.
fn asked_pid(record: &Record) -> i32 {
    if record.settings.host.pid_mode == PidMode::Host {
        return NamespaceMode::Node.into();
    }
    asked(record).map_or(NamespaceMode::Pod.into(), |asked| asked.pid)
}

/// The requested namespaces.
fn asked(record: &Record) -> Option<NamespaceOption> {
    let config: PodSandboxConfig = description::read(record);
    config.linux?.security_context?.namespace_options
}

/// The pod's addresses; none on the host's network, and none of a pod that has ended: they are others' by then.
fn network(addresses: &[IpAddr]) -> Option<PodSandboxNetworkStatus> {
    let mut texts = addresses.iter().map(ToString::to_string);
    Some(PodSandboxNetworkStatus {
        ip: texts.next()?,
        additional_ips: texts.map(|ip| PodIP { ip }).collect(),
    })
}

/// The additional information of a verbose status.
fn info(record: &Record) -> BTreeMap<String, String> {
    let config: PodSandboxConfig = description::read(record);
    let linux = config.linux.unwrap_or_default();
    let info = serde_json::json!({
        "pid": record.pid(),
        "processStatus": phase_word(record.phase),
        "overhead": linux.overhead.as_ref().map(limits),
        "resources": linux.resources.as_ref().map(limits),
    });
    BTreeMap::from([("info".to_owned(), info.to_string())])
}

/// Limits of a whole pod, which the kubelet applies itself.
fn limits(limits: &LinuxContainerResources) -> serde_json::Value {
    serde_json::json!({
        "cpuPeriod": limits.cpu_period,
        "cpuQuota": limits.cpu_quota,
        "cpuShares": limits.cpu_shares,
        "memoryLimitInBytes": limits.memory_limit_in_bytes,
    })
}
