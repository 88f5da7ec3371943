//! The log of a pod's container is opened again by shims that can, and the kubelet gets an answer from the others.

use std::fs;

use berth_tests::cri::{Cri, FLAG};
use berth_tests::{Engine, wait};
use cri_messages::container::{
    ContainerConfig, ContainerMetadata, CreateContainerRequest, CreateContainerResponse,
    ReopenContainerLogRequest, ReopenContainerLogResponse, StartContainerRequest, StartContainerResponse,
};
use cri_messages::sandbox::{
    PodSandboxConfig, PodSandboxMetadata, RemovePodSandboxRequest, RemovePodSandboxResponse,
    RunPodSandboxRequest, RunPodSandboxResponse,
};
use cri_messages::value::ImageSpec;
use tonic::{Code, Status};

use crate::translator::{Protocol, Translator};

/// A pod whose log directory is the engine's.
fn pod(engine: &Engine) -> PodSandboxConfig {
    let metadata = PodSandboxMetadata {
        name: "pod".to_owned(),
        uid: "uid".to_owned(),
        namespace: "tests".to_owned(),
        attempt: 1,
    };
    PodSandboxConfig {
        metadata: Some(metadata),
        hostname: "pod".to_owned(),
        log_directory: engine.directory().join("pod-logs").display().to_string(),
        ..PodSandboxConfig::default()
    }
}

/// Runs a container in a pod; gives their ids.
fn run(cri: &Cri, config: &PodSandboxConfig) -> [String; 2] {
    let asked = RunPodSandboxRequest { config: Some(config.clone()), runtime_handler: String::new() };
    let made: RunPodSandboxResponse = cri.call("RuntimeService/RunPodSandbox", asked).expect("a pod");
    let container = ContainerConfig {
        metadata: Some(ContainerMetadata { name: "main".to_owned(), attempt: 1 }),
        image: Some(ImageSpec { image: "busybox".to_owned(), ..ImageSpec::default() }),
        command: ["sh", "-c", "echo line; exec sleep 600"].map(str::to_owned).to_vec(),
        log_path: "main.log".to_owned(),
        ..ContainerConfig::default()
    };
    let asked = CreateContainerRequest {
        pod_sandbox_id: made.pod_sandbox_id.clone(),
        config: Some(container),
        sandbox_config: Some(config.clone()),
    };
    let created: CreateContainerResponse =
        cri.call("RuntimeService/CreateContainer", asked).expect("a container");
    let asked = StartContainerRequest { container_id: created.container_id.clone() };
    let _: StartContainerResponse = cri.call("RuntimeService/StartContainer", asked).expect("started");
    [made.pod_sandbox_id, created.container_id]
}

/// Moves a container's log away; gives what the shim of its release answers when it is to open it again.
fn opened_again(protocol: Protocol) -> Result<(), Status> {
    let mut engine = Engine::start_with_flags(&[FLAG]);
    let config = pod(&engine);
    let [sandbox, container] = run(&Cri::of(&engine), &config);
    let log = engine.directory().join("pod-logs/main.log");
    wait::until("a line", || fs::read_to_string(&log).is_ok_and(|text| text.contains("line")).then_some(()));
    engine.kill_daemon();
    let _translator = Translator::start(&engine.exec_root().join("containers").join(&container), protocol);
    engine.start_daemon();
    let cri = Cri::of(&engine);
    fs::rename(&log, log.with_extension("old")).expect("moved");
    let asked = ReopenContainerLogRequest { container_id: container };
    let answer: Result<ReopenContainerLogResponse, Status> =
        cri.call("RuntimeService/ReopenContainerLog", asked);
    assert_eq!(log.exists(), answer.is_ok());
    let asked = RemovePodSandboxRequest { pod_sandbox_id: sandbox };
    let _: RemovePodSandboxResponse = cri.call("RuntimeService/RemovePodSandbox", asked).expect("removed");
    answer.map(drop)
}

#[test]
fn a_log_is_opened_again_by_shims_since_protocol_5() {
    for protocol in [1, 4] {
        let status = opened_again(Protocol(protocol)).expect_err("it cannot");
        assert_eq!(status.code(), Code::Unimplemented);
        assert_eq!(status.message(), "the container's shim is of an older release and cannot do this");
    }
    for protocol in [5, 7] {
        opened_again(Protocol(protocol)).expect("it can");
    }
}
