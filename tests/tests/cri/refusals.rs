//! Refusals before anything is made, and the same call several times at once.

use std::thread;

use berth_tests::cri::Cri;
use cri_messages::container::{
    ContainerConfig, ContainerStatusRequest, ContainerStatusResponse, RemoveContainerRequest,
    RemoveContainerResponse, UpdateContainerResourcesRequest, UpdateContainerResourcesResponse,
};
use cri_messages::security::{
    LinuxContainerResources, LinuxContainerSecurityContext, NamespaceMode, NamespaceOption,
};
use cri_messages::value::Int64Value;
use tonic::Code;

use crate::engine;
use crate::pod::{container, create, pod, remove, run, secured, shell, started};

fn seeing(target: &str) -> ContainerConfig {
    let options = NamespaceOption {
        pid: NamespaceMode::Target.into(),
        target_id: target.to_owned(),
        ..NamespaceOption::default()
    };
    let context = LinuxContainerSecurityContext { namespace_options: Some(options), ..Default::default() };
    secured(shell("seeing", "sleep 1000"), context)
}

#[test]
fn processes_are_seen_of_containers_of_the_same_pod_alone() {
    let engine = engine();
    let cri = Cri::of(&engine);
    let [own, other] = ["own", "other"].map(|name| run(&cri, pod(&engine, name)).expect("a pod"));
    let [target, foreign] = [&own, &other].map(|pod| started(&cri, pod, shell("main", "sleep 1000")));
    let refused = create(&cri, &own, seeing(&foreign)).expect_err("another pod's");
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    let refused = create(&cri, &own, seeing("0123456789ab")).expect_err("none");
    assert_eq!(refused.code(), Code::NotFound, "{refused}");
    let _ = started(&cri, &own, seeing(&target));
    for pod in [&own, &other] {
        remove(&cri, pod);
    }
}

#[test]
fn what_the_interface_does_not_know_is_refused() {
    let engine = engine();
    let cri = Cri::of(&engine);
    let sandbox = run(&cri, pod(&engine, "pod")).expect("a pod");
    let both = LinuxContainerSecurityContext {
        run_as_user: Some(Int64Value { value: 7 }),
        run_as_username: "root".to_owned(),
        ..Default::default()
    };
    for bad in [
        ContainerConfig { stop_signal: 99, ..shell("signal", "true") },
        secured(shell("users", "true"), both),
    ] {
        let refused = create(&cri, &sandbox, bad).expect_err("a refusal");
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    }
    let id = started(&cri, &sandbox, shell("main", "sleep 1000"));
    let linux = LinuxContainerResources { oom_score_adj: 300, ..Default::default() };
    let asked = UpdateContainerResourcesRequest {
        container_id: id.clone(),
        linux: Some(linux),
        ..Default::default()
    };
    // A kubelet sends it with every change of resources; it stays, and is logged.
    let changed = cri.call("RuntimeService/UpdateContainerResources", asked);
    let _: UpdateContainerResourcesResponse = changed.expect("no refusal");
    assert!(engine.log().contains("keeps the oom_score_adj"), "{}", engine.log());
    let asked = ContainerStatusRequest { container_id: id, verbose: true };
    let shown: ContainerStatusResponse = cri.call("RuntimeService/ContainerStatus", asked).expect("a status");
    assert!(shown.info["info"].contains("\"processStatus\":\"running\""), "{:?}", shown.info);
    remove(&cri, &sandbox);
}

#[test]
fn a_container_may_be_removed_by_many_at_once() {
    let engine = engine();
    let cri = Cri::of(&engine);
    let sandbox = run(&cri, pod(&engine, "pod")).expect("a pod");
    let id = started(&cri, &sandbox, shell("main", "sleep 1000"));
    thread::scope(|scope| {
        let removals: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let asked = RemoveContainerRequest { container_id: id.clone() };
                    let own = Cri::of(&engine);
                    own.call("RuntimeService/RemoveContainer", asked).map(|_: RemoveContainerResponse| ())
                })
            })
            .collect();
        for removal in removals {
            removal.join().expect("a thread").expect("it is gone");
        }
    });
    assert_eq!(container(&cri, &id).expect_err("it is gone").code(), Code::NotFound);
    remove(&cri, &sandbox);
}
