//! Pods and containers for the tests of this program: made, requested, and removed at the end.

use std::path::{Path, PathBuf};

use berth_tests::cri::Cri;
use berth_tests::{Engine, wait};
use cri_messages::container::{
    ContainerConfig, ContainerMetadata, ContainerState, ContainerStatus, ContainerStatusRequest,
    ContainerStatusResponse, CreateContainerRequest, CreateContainerResponse, LinuxContainerConfig,
    StartContainerRequest, StartContainerResponse,
};
use cri_messages::pod_status::PodSandboxStatusResponse;
use cri_messages::sandbox::{
    LinuxPodSandboxConfig, PodSandboxConfig, PodSandboxMetadata, PodSandboxStatus, PodSandboxStatusRequest,
    RemovePodSandboxRequest, RemovePodSandboxResponse, RunPodSandboxRequest, RunPodSandboxResponse,
    StopPodSandboxRequest, StopPodSandboxResponse,
};
use cri_messages::security::{
    LinuxContainerResources, LinuxContainerSecurityContext, LinuxSandboxSecurityContext, NamespaceOption,
};
use cri_messages::session::{ExecSyncRequest, ExecSyncResponse};
use cri_messages::value::ImageSpec;
use tonic::Status;

/// Where the logs of an engine's pods are.
pub(crate) fn logs(engine: &Engine) -> PathBuf {
    engine.directory().join("pod-logs")
}

/// A pod with the network of the engine and everything else of its own.
pub(crate) fn pod(engine: &Engine, name: &str) -> PodSandboxConfig {
    let metadata = PodSandboxMetadata {
        name: name.to_owned(),
        uid: format!("uid-of-{name}"),
        namespace: "tests".to_owned(),
        attempt: 1,
    };
    PodSandboxConfig {
        metadata: Some(metadata),
        hostname: format!("{name}-host"),
        log_directory: logs(engine).join(name).display().to_string(),
        labels: [("app".to_owned(), name.to_owned())].into(),
        annotations: [("note".to_owned(), "kept as it is".to_owned())].into(),
        ..PodSandboxConfig::default()
    }
}

pub(crate) fn run(cri: &Cri, config: PodSandboxConfig) -> Result<String, Status> {
    let asked = RunPodSandboxRequest { config: Some(config), runtime_handler: String::new() };
    cri.call("RuntimeService/RunPodSandbox", asked).map(|answer: RunPodSandboxResponse| answer.pod_sandbox_id)
}

pub(crate) fn stop(cri: &Cri, id: &str) {
    let asked = StopPodSandboxRequest { pod_sandbox_id: id.to_owned() };
    let _: StopPodSandboxResponse = cri.call("RuntimeService/StopPodSandbox", asked).expect("stopped");
}

pub(crate) fn remove(cri: &Cri, id: &str) {
    let asked = RemovePodSandboxRequest { pod_sandbox_id: id.to_owned() };
    let _: RemovePodSandboxResponse = cri.call("RuntimeService/RemovePodSandbox", asked).expect("removed");
}

pub(crate) fn status(cri: &Cri, id: &str) -> Result<PodSandboxStatus, Status> {
    let asked = PodSandboxStatusRequest { pod_sandbox_id: id.to_owned(), verbose: false };
    let answer = cri.call("RuntimeService/PodSandboxStatus", asked);
    answer.map(|answer: PodSandboxStatusResponse| answer.status.expect("a status"))
}

/// A container that runs a script.
pub(crate) fn shell(name: &str, script: &str) -> ContainerConfig {
    ContainerConfig {
        metadata: Some(ContainerMetadata { name: name.to_owned(), attempt: 2 }),
        image: Some(ImageSpec { image: "busybox".to_owned(), ..ImageSpec::default() }),
        command: ["sh", "-c", script].map(str::to_owned).to_vec(),
        log_path: format!("{name}.log"),
        labels: [("part".to_owned(), name.to_owned())].into(),
        annotations: [("why".to_owned(), "a test".to_owned())].into(),
        ..ContainerConfig::default()
    }
}

pub(crate) fn create(cri: &Cri, sandbox: &str, config: ContainerConfig) -> Result<String, Status> {
    let asked = CreateContainerRequest {
        pod_sandbox_id: sandbox.to_owned(),
        config: Some(config),
        sandbox_config: None,
    };
    let answer = cri.call("RuntimeService/CreateContainer", asked);
    answer.map(|answer: CreateContainerResponse| answer.container_id)
}

pub(crate) fn start(cri: &Cri, id: &str) -> Result<(), Status> {
    let asked = StartContainerRequest { container_id: id.to_owned() };
    cri.call("RuntimeService/StartContainer", asked).map(|_: StartContainerResponse| ())
}

/// Makes and starts a container.
pub(crate) fn started(cri: &Cri, sandbox: &str, config: ContainerConfig) -> String {
    let id = create(cri, sandbox, config).expect("a container");
    start(cri, &id).expect("a start");
    id
}

pub(crate) fn container(cri: &Cri, id: &str) -> Result<ContainerStatus, Status> {
    let asked = ContainerStatusRequest { container_id: id.to_owned(), verbose: false };
    let answer = cri.call("RuntimeService/ContainerStatus", asked);
    answer.map(|answer: ContainerStatusResponse| answer.status.expect("a status"))
}

/// Waits for the end of a container.
pub(crate) fn ended(cri: &Cri, id: &str) -> ContainerStatus {
    wait::until("the container's end", || {
        Some(container(cri, id).expect("a status")).filter(|status| status.state() == ContainerState::Exited)
    })
}

/// Runs a script in a container; gives its output, error output and exit code.
pub(crate) fn exec(cri: &Cri, id: &str, script: &str) -> (String, String, i32) {
    let asked = ExecSyncRequest {
        container_id: id.to_owned(),
        cmd: ["sh", "-c", script].map(str::to_owned).to_vec(),
        timeout: 0,
    };
    let answer: ExecSyncResponse = cri.call("RuntimeService/ExecSync", asked).expect("an exec");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (text(answer.stdout), text(answer.stderr), answer.exit_code)
}

/// The records of a log in the kubelet's form, without their times.
pub(crate) fn records(log: impl AsRef<Path>) -> Vec<String> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let without_time = |line: &str| line.split_once(' ').expect("a time").1.to_owned();
    text.lines().map(without_time).collect()
}

/// The same pod with these namespaces.
pub(crate) fn with_namespaces(config: PodSandboxConfig, options: NamespaceOption) -> PodSandboxConfig {
    let security_context = Some(LinuxSandboxSecurityContext {
        namespace_options: Some(options),
        ..LinuxSandboxSecurityContext::default()
    });
    let linux = config.linux.unwrap_or_default();
    PodSandboxConfig { linux: Some(LinuxPodSandboxConfig { security_context, ..linux }), ..config }
}

/// The same container with these limits.
pub(crate) fn limited(config: ContainerConfig, resources: LinuxContainerResources) -> ContainerConfig {
    let linux = config.linux.unwrap_or_default();
    let linux = LinuxContainerConfig { resources: Some(resources), ..linux };
    ContainerConfig { linux: Some(linux), ..config }
}

/// The same container with this security context.
pub(crate) fn secured(config: ContainerConfig, context: LinuxContainerSecurityContext) -> ContainerConfig {
    let linux = config.linux.unwrap_or_default();
    let linux = LinuxContainerConfig { security_context: Some(context), ..linux };
    ContainerConfig { linux: Some(linux), ..config }
}

/// What a script in a container of its own writes to its output.
pub(crate) fn output(cri: &Cri, sandbox: &str, config: ContainerConfig) -> String {
    let id = started(cri, sandbox, config);
    let log = ended(cri, &id).log_path;
    let texts = records(log).into_iter().filter_map(|line| Some(line.strip_prefix("stdout F ")?.to_owned()));
    texts.collect::<Vec<_>>().join("\n")
}
