//! The runtime's information about itself, and its socket.

use std::os::unix::fs::PermissionsExt;

use berth_tests::Engine;
use berth_tests::cri::{Cri, socket};
use cri_messages::runtime::{
    CgroupDriver, NetworkConfig, RuntimeConfig, RuntimeConfigRequest, RuntimeConfigResponse, StatusRequest,
    StatusResponse, UpdateRuntimeConfigRequest, UpdateRuntimeConfigResponse, VersionRequest, VersionResponse,
};
use tonic::Code;

use crate::engine;

#[test]
fn the_version_is_the_one_that_kubelets_ask_for() {
    let engine = engine();
    let cri = Cri::of(&engine);
    let asked = VersionRequest { version: "0.1.0".to_owned() };
    let answer: VersionResponse = cri.call("RuntimeService/Version", asked).expect("an answer");
    assert_eq!(answer.version, "0.1.0");
    assert_eq!(answer.runtime_name, "berth");
    assert_eq!(answer.runtime_version, env!("CARGO_PKG_VERSION"));
    assert_eq!(answer.runtime_api_version, "v1");
}

#[test]
fn the_status_has_both_conditions_and_the_default_handler() {
    let engine = engine();
    let cri = Cri::of(&engine);
    let brief: StatusResponse =
        cri.call("RuntimeService/Status", StatusRequest { verbose: false }).expect("an answer");
    let conditions = brief.status.expect("a status").conditions;
    let kinds: Vec<&str> = conditions.iter().map(|condition| condition.r#type.as_str()).collect();
    assert_eq!(kinds, ["RuntimeReady", "NetworkReady"]);
    assert_eq!(brief.runtime_handlers.len(), 1);
    assert_eq!(brief.runtime_handlers[0].name, "");
    assert!(brief.info.is_empty());
    let verbose: StatusResponse =
        cri.call("RuntimeService/Status", StatusRequest { verbose: true }).expect("an answer");
    assert!(verbose.info["config"].contains(&engine.data_root().display().to_string()));
}

#[test]
fn the_driver_of_cgroups_is_cgroupfs_and_a_range_of_pods_is_taken() {
    let engine = engine();
    let cri = Cri::of(&engine);
    let answer: RuntimeConfigResponse =
        cri.call("RuntimeService/RuntimeConfig", RuntimeConfigRequest {}).expect("an answer");
    assert_eq!(answer.linux.expect("Linux").cgroup_driver(), CgroupDriver::Cgroupfs);
    let network_config = Some(NetworkConfig { pod_cidr: "10.1.2.0/24".to_owned() });
    let asked = UpdateRuntimeConfigRequest { runtime_config: Some(RuntimeConfig { network_config }) };
    let _: UpdateRuntimeConfigResponse =
        cri.call("RuntimeService/UpdateRuntimeConfig", asked).expect("an answer");
    assert!(engine.log().contains("10.1.2.0/24"));
}

#[test]
fn a_call_that_is_not_served_is_named_in_its_refusal() {
    let engine = engine();
    let cri = Cri::of(&engine);
    for method in [
        "RuntimeService/CheckpointContainer",
        "RuntimeService/CheckpointPod",
        "ImageService/Nothing",
        "Nothing/Nothing",
    ] {
        let refusal = cri.call::<_, VersionResponse>(method, VersionRequest::default());
        let refusal = refusal.expect_err("a refusal");
        assert_eq!(refusal.code(), Code::Unimplemented);
        assert_eq!(refusal.message(), format!("berth does not serve /runtime.v1.{method}"));
    }
}

#[test]
fn the_socket_is_for_owner_and_group_and_goes_with_the_daemon() {
    let mut engine = engine();
    let path = socket(&engine);
    let mode = path.metadata().expect("the socket").permissions().mode();
    assert_eq!(mode & 0o7777, 0o660);
    // A client that stays connected does not hold the daemon.
    let client = Cri::of(&engine);
    engine.stop_daemon();
    assert!(!path.exists());
    drop(client);
    engine.start_daemon();
    let answer =
        Cri::of(&engine).call::<_, VersionResponse>("RuntimeService/Version", VersionRequest::default());
    assert_eq!(answer.expect("an answer").runtime_name, "berth");
}

#[test]
fn the_interface_is_off_unless_asked_for_and_its_place_can_be_chosen() {
    let mut engine = Engine::start();
    assert!(!socket(&engine).exists());
    engine.stop_daemon();
    let path = engine.directory().join("elsewhere.sock");
    engine.start_daemon_with_flags(&["--cri", &path.display().to_string()]);
    let answer =
        Cri::connect(&path).call::<_, VersionResponse>("RuntimeService/Version", VersionRequest::default());
    assert_eq!(answer.expect("an answer").version, "0.1.0");
}
