//! Pods whose users are others on the host.

use std::fs;
use std::os::unix::fs::MetadataExt;

use berth_tests::cri::Cri;
use cri_messages::container::{ContainerConfig, Mount};
use cri_messages::runtime::{StatusRequest, StatusResponse};
use cri_messages::security::{LinuxContainerSecurityContext, NamespaceMode, NamespaceOption, UserNamespace};
use cri_messages::value::{IDMapping, Int64Value};
use tonic::Code;

use crate::engine;
use crate::pod::{
    create, exec, output, pod, records, remove, run, secured, shell, started, status, with_namespaces,
};

fn ids(container_id: u32, host_id: u32, length: u32) -> Vec<IDMapping> {
    vec![IDMapping { host_id, container_id, length }]
}

fn users(mode: NamespaceMode, uids: Vec<IDMapping>, gids: Vec<IDMapping>) -> UserNamespace {
    UserNamespace { mode: mode.into(), uids, gids }
}

/// The users that the pods of these tests have.
fn mapped() -> UserNamespace {
    users(NamespaceMode::Pod, ids(0, 100_000, 65536), ids(0, 200_000, 65536))
}

fn of_users(users: UserNamespace) -> NamespaceOption {
    NamespaceOption { userns_options: Some(users), ..NamespaceOption::default() }
}

#[test]
fn a_pod_has_users_of_its_own_to_which_its_namespaces_belong() {
    let engine = engine();
    let cri = Cri::of(&engine);
    let answer: StatusResponse =
        cri.call("RuntimeService/Status", StatusRequest { verbose: false }).expect("an answer");
    assert!(answer.runtime_handlers[0].features.as_ref().expect("features").user_namespaces);
    let sandbox = run(&cri, with_namespaces(pod(&engine, "pod"), of_users(mapped()))).expect("a pod");
    let shown = status(&cri, &sandbox).expect("a status").linux.expect("Linux").namespaces.expect("them");
    assert_eq!(shown.options.expect("options").userns_options, Some(mapped()));
    let script = "id -u; awk '{print $1, $2, $3}' /proc/self/uid_map /proc/self/gid_map; stat -c %u:%g /bin/busybox /etc/hosts; \
        ip link set lo down && ip link set lo up && echo own network; touch /made; sleep 1000";
    let capable = LinuxContainerSecurityContext {
        namespace_options: Some(of_users(mapped())),
        capabilities: Some(cri_messages::security::Capability {
            add_capabilities: vec!["NET_ADMIN".to_owned()],
            ..cri_messages::security::Capability::default()
        }),
        ..LinuxContainerSecurityContext::default()
    };
    let first = started(&cri, &sandbox, secured(shell("first", script), capable));
    let log = engine.directory().join("pod-logs/pod/first.log");
    berth_tests::wait::until("all lines", || (records(&log).len() >= 6).then_some(()));
    let expected = ["0", "0 100000 65536", "0 200000 65536", "0:0", "0:0", "own network"];
    assert_eq!(records(&log), expected.map(|line| format!("stdout F {line}")));
    // All of the pod are in one user namespace, and see each other.
    let namespaces = "readlink /proc/self/ns/user /proc/self/ns/net /proc/self/ns/ipc";
    let of_first = exec(&cri, &first, namespaces).0;
    assert_eq!(output(&cri, &sandbox, shell("second", namespaces)), of_first.trim_end());
    let user = LinuxContainerSecurityContext {
        run_as_user: Some(Int64Value { value: 1000 }),
        ..LinuxContainerSecurityContext::default()
    };
    let third = started(&cri, &sandbox, secured(shell("third", "sleep 1000"), user));
    let pid = pid_of(&cri, &third);
    let process = fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    assert!(process.contains("Uid:\t101000\t101000\t101000\t101000"), "{process}");
    assert_eq!(exec(&cri, &third, "id -u").0, "1000\n");
    remove(&cri, &sandbox);
}

/// The number of a container's first process on the host.
fn pid_of(cri: &Cri, id: &str) -> u64 {
    use cri_messages::container::{ContainerStatusRequest, ContainerStatusResponse};
    let asked = ContainerStatusRequest { container_id: id.to_owned(), verbose: true };
    let answer: ContainerStatusResponse =
        cri.call("RuntimeService/ContainerStatus", asked).expect("a status");
    let info: serde_json::Value = serde_json::from_str(&answer.info["info"]).expect("JSON");
    info["pid"].as_u64().expect("a number")
}

#[test]
fn mounts_with_the_pods_mappings_belong_to_its_users() {
    let engine = engine();
    let cri = Cri::of(&engine);
    let sandbox = run(&cri, with_namespaces(pod(&engine, "pod"), of_users(mapped()))).expect("a pod");
    let source = engine.directory().join("volume");
    fs::create_dir_all(&source).expect("a directory");
    fs::write(source.join("file"), "x").expect("a file");
    let mount = |place: &str, uid_mappings: Vec<IDMapping>, gid_mappings: Vec<IDMapping>| Mount {
        container_path: place.to_owned(),
        host_path: source.display().to_string(),
        uid_mappings,
        gid_mappings,
        ..Mount::default()
    };
    let own = || mount("/own", ids(0, 100_000, 65536), ids(0, 200_000, 65536));
    let script = "stat -c %u:%g /own/file /host/file; echo made > /own/made; (echo no > /host/no) 2>/dev/null || echo denied";
    let config =
        ContainerConfig { mounts: vec![own(), mount("/host", vec![], vec![])], ..shell("mounts", script) };
    assert_eq!(output(&cri, &sandbox, config), "0:0\n65534:65534\ndenied");
    let made = fs::metadata(source.join("made")).expect("made");
    assert_eq!((made.uid(), made.gid()), (0, 0));
    let others = mount("/own", ids(0, 300_000, 65536), ids(0, 300_000, 65536));
    let refused = create(&cri, &sandbox, ContainerConfig { mounts: vec![others], ..shell("bad", "true") });
    assert_eq!(refused.expect_err("a refusal").code(), Code::Unimplemented);
    remove(&cri, &sandbox);
    let plain = run(&cri, pod(&engine, "plain")).expect("a pod");
    let refused = create(&cri, &plain, ContainerConfig { mounts: vec![own()], ..shell("bad", "true") });
    assert_eq!(refused.expect_err("a refusal").code(), Code::InvalidArgument);
    remove(&cri, &plain);
}

#[test]
fn a_pod_with_users_of_its_own_can_have_the_hosts_network_but_not_its_processes() {
    let engine = engine();
    let cri = Cri::of(&engine);
    let node = NamespaceMode::Node.into();
    let host_network = NamespaceOption { network: node, ..of_users(mapped()) };
    let sandbox = run(&cri, with_namespaces(pod(&engine, "host"), host_network)).expect("a pod");
    let script = "readlink /proc/self/ns/net; awk '{print $2}' /proc/self/uid_map; ls /sys/class/net > /dev/null && echo seen";
    let network = fs::read_link(format!("/proc/{}/ns/net", engine.daemon_pid())).expect("a namespace");
    let expected = format!("{}\n100000\nseen", network.display());
    assert_eq!(output(&cri, &sandbox, shell("main", script)), expected);
    remove(&cri, &sandbox);
    for options in [
        NamespaceOption { pid: node, ..of_users(mapped()) },
        NamespaceOption { ipc: node, ..of_users(mapped()) },
    ] {
        let refused = run(&cri, with_namespaces(pod(&engine, "bad"), options));
        assert_eq!(refused.expect_err("a refusal").code(), Code::InvalidArgument);
    }
}

#[test]
fn user_namespaces_that_cannot_be_are_refused() {
    let engine = engine();
    let cri = Cri::of(&engine);
    let twice = [ids(0, 1000, 10), ids(0, 2000, 10)].concat();
    for wrong in [
        users(NamespaceMode::Container, vec![], vec![]),
        users(NamespaceMode::Target, vec![], vec![]),
        users(NamespaceMode::Pod, vec![], vec![]),
        users(NamespaceMode::Pod, twice.clone(), twice),
        users(NamespaceMode::Pod, ids(1, 1000, 10), ids(1, 1000, 10)),
        users(NamespaceMode::Node, ids(0, 1000, 10), ids(0, 1000, 10)),
    ] {
        let refused = run(&cri, with_namespaces(pod(&engine, "bad"), of_users(wrong.clone())));
        assert_eq!(refused.expect_err("a refusal").code(), Code::InvalidArgument, "{wrong:?}");
    }
    let sandbox = run(&cri, with_namespaces(pod(&engine, "pod"), of_users(mapped()))).expect("a pod");
    let context = LinuxContainerSecurityContext::default();
    let others = users(NamespaceMode::Pod, ids(0, 300_000, 65536), ids(0, 300_000, 65536));
    let others =
        LinuxContainerSecurityContext { namespace_options: Some(of_users(others)), ..context.clone() };
    let refused = create(&cri, &sandbox, secured(shell("others", "true"), others));
    assert_eq!(refused.expect_err("a refusal").code(), Code::InvalidArgument);
    let privileged = LinuxContainerSecurityContext { privileged: true, ..context };
    let refused = create(&cri, &sandbox, secured(shell("privileged", "true"), privileged));
    assert_eq!(refused.expect_err("a refusal").code(), Code::Unimplemented);
    remove(&cri, &sandbox);
}
