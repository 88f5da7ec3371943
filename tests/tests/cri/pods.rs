//! Pods: what they share, how they end, and that Docker's clients do not see them.

use std::fs;
use std::path::{Path, PathBuf};

use berth_tests::cri::Cri;
use berth_tests::host;
use cri_messages::pod_status::PodSandboxStatusResponse;
use cri_messages::sandbox::{
    DNSConfig, LinuxPodSandboxConfig, ListPodSandboxRequest, ListPodSandboxResponse, PodSandboxConfig,
    PodSandboxFilter, PodSandboxState, PodSandboxStateValue, PodSandboxStatusRequest, PortMapping,
    RunPodSandboxRequest, RunPodSandboxResponse, UpdatePodSandboxResourcesRequest,
    UpdatePodSandboxResourcesResponse,
};
use cri_messages::security::{LinuxContainerResources, NamespaceMode, NamespaceOption, UserNamespace};
use cri_messages::value::IDMapping;
use serde_json::json;
use tonic::Code;

use crate::engine;
use crate::pod::{exec, output, pod, remove, run, shell, started, status, stop, with_namespaces};

fn list(cri: &Cri, filter: PodSandboxFilter) -> Vec<String> {
    let asked = ListPodSandboxRequest { filter: Some(filter) };
    let answer: ListPodSandboxResponse = cri.call("RuntimeService/ListPodSandbox", asked).expect("a list");
    answer.items.into_iter().map(|item| item.id).collect()
}

#[test]
fn a_pod_is_run_stopped_and_removed_and_is_shown_as_it_was_asked_for() {
    let engine = engine();
    let cri = Cri::of(&engine);
    let config = pod(&engine, "web");
    let id = run(&cri, config.clone()).expect("a pod");
    let ready = status(&cri, &id).expect("a status");
    assert_eq!(ready.state(), PodSandboxState::Ready);
    assert_eq!((ready.metadata, ready.labels), (config.metadata, config.labels));
    assert_eq!(ready.annotations, config.annotations);
    assert!(ready.created_at > 0);
    let address = ready.network.expect("a network").ip;
    assert!(address.starts_with("172."), "{address}");
    let state = |state: PodSandboxState| Some(PodSandboxStateValue { state: state.into() });
    let of_state = |wanted| PodSandboxFilter { state: state(wanted), ..PodSandboxFilter::default() };
    let labels = |app: &str| PodSandboxFilter {
        label_selector: [("app".to_owned(), app.to_owned())].into(),
        ..PodSandboxFilter::default()
    };
    assert_eq!(list(&cri, of_state(PodSandboxState::Ready)), [id.as_str()]);
    assert_eq!(list(&cri, labels("web")), [id.as_str()]);
    assert!(list(&cri, labels("other")).is_empty());

    stop(&cri, &id);
    stop(&cri, &id);
    let stopped = status(&cri, &id).expect("a status");
    assert_eq!(stopped.state(), PodSandboxState::Notready);
    assert_eq!(stopped.network, None, "its address is free");
    assert!(list(&cri, of_state(PodSandboxState::Ready)).is_empty());
    assert_eq!(list(&cri, PodSandboxFilter { id: id.clone(), ..PodSandboxFilter::default() }), [id.as_str()]);
    remove(&cri, &id);
    remove(&cri, &id);
    stop(&cri, &id);
    assert_eq!(status(&cri, &id).expect_err("gone").code(), Code::NotFound);
}

#[test]
fn neither_side_sees_the_containers_of_the_other() {
    let engine = engine();
    let cri = Cri::of(&engine);
    let sandbox = run(&cri, pod(&engine, "hidden")).expect("a pod");
    let inside = started(&cri, &sandbox, shell("main", "sleep 1000"));
    let docker = engine.run(&berth_tests::sh("sleep 1000"));
    let listed = engine.get("/containers/json?all=1").expect(200).json();
    let ids: Vec<&str> =
        listed.as_array().expect("a list").iter().filter_map(|one| one["Id"].as_str()).collect();
    assert_eq!(ids, [docker.as_str()]);
    for id in [&sandbox, &inside] {
        let _ = engine.get(&format!("/containers/{id}/json")).expect(404);
        let _ = engine.delete(&format!("/containers/{id}?force=1")).expect(404);
        let joined = json!({ "Image": "busybox", "Cmd": ["true"], "HostConfig": { "IpcMode": format!("container:{id}") } });
        let _ = engine.post_json("/containers/create", &joined).expect(404);
    }
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time").as_secs() + 1;
    let events = engine.get(&format!("/events?since=1&until={now}")).expect(200).text();
    assert!(!events.contains(&sandbox) && !events.contains(&inside) && events.contains(&docker));
    assert_eq!(list(&cri, PodSandboxFilter::default()), [sandbox.as_str()]);
    assert_eq!(status(&cri, &docker).expect_err("Docker's").code(), Code::NotFound);
    engine.remove(&docker);
    remove(&cri, &sandbox);
}

#[test]
fn pods_survive_the_daemon_and_are_found_again() {
    let mut engine = engine();
    let config = pod(&engine, "lasting");
    let (sandbox, inside) = {
        let cri = Cri::of(&engine);
        let sandbox = run(&cri, config.clone()).expect("a pod");
        let inside = started(&cri, &sandbox, shell("main", "sleep 1000"));
        (sandbox, inside)
    };
    let shims = engine.shims();
    assert_eq!(shims.len(), 2);
    engine.replace_daemon();
    let cri = Cri::of(&engine);
    assert_eq!(engine.shims(), shims);
    let found = status(&cri, &sandbox).expect("a status");
    assert_eq!((found.state(), found.metadata), (PodSandboxState::Ready, config.metadata));
    assert_eq!(exec(&cri, &inside, "hostname"), ("lasting-host\n".to_owned(), String::new(), 0));
    // A stop without the daemon's end of it is found too.
    stop(&cri, &sandbox);
    drop(cri);
    engine.replace_daemon();
    let cri = Cri::of(&engine);
    assert_eq!(status(&cri, &sandbox).expect("a status").state(), PodSandboxState::Notready);
    remove(&cri, &sandbox);
}

#[test]
fn containers_of_a_pod_share_its_network_its_names_and_its_memory() {
    let engine = engine();
    let cri = Cri::of(&engine);
    let dns = DNSConfig {
        servers: vec!["10.9.8.7".to_owned()],
        searches: vec!["cluster.local".to_owned()],
        options: vec!["ndots:5".to_owned()],
    };
    let config = PodSandboxConfig { dns_config: Some(dns), ..pod(&engine, "shared") };
    let sandbox = run(&cri, config).expect("a pod");
    let address = status(&cri, &sandbox).expect("a status").network.expect("a network").ip;
    let one =
        started(&cri, &sandbox, shell("one", "echo kept > /dev/shm/word; nc -l -p 7777 -e cat & sleep 1000"));
    let two = started(&cri, &sandbox, shell("two", "sleep 1000"));
    let (seen, _, _) = exec(&cri, &two, "hostname; cat /etc/resolv.conf; ip -4 -o addr show eth0");
    assert!(seen.starts_with("shared-host\n"), "{seen}");
    for part in ["nameserver 10.9.8.7", "search cluster.local", "options ndots:5", &address] {
        assert!(seen.contains(part), "{part}: {seen}");
    }
    let script = "until [ -e /dev/shm/word ]; do sleep 0.05; done; cat /dev/shm/word; until echo hi | nc 127.0.0.1 7777; do sleep 0.05; done";
    assert_eq!(exec(&cri, &two, script).0, "kept\nhi\n");
    // One process namespace for all of the pod, in which the sandbox's init is the first.
    let (processes, _, _) = exec(&cri, &two, "ps");
    assert_eq!(processes.matches("sleep 1000").count(), 2, "{processes}");
    assert_eq!(exec(&cri, &one, "cat /proc/1/comm").0, "init\n");
    remove(&cri, &sandbox);
}

#[test]
fn a_pod_of_the_hosts_namespaces_has_them() {
    let engine = engine();
    let cri = Cri::of(&engine);
    let node = NamespaceMode::Node.into();
    let options = NamespaceOption { network: node, pid: node, ipc: node, ..NamespaceOption::default() };
    let sandbox = run(&cri, with_namespaces(pod(&engine, "host"), options.clone())).expect("a pod");
    let found = status(&cri, &sandbox).expect("a status");
    assert_eq!(found.network, None);
    let shown = found.linux.expect("Linux").namespaces.expect("namespaces").options.expect("options");
    assert_eq!((shown.network, shown.pid, shown.ipc), (node, node, node));
    let script = "for n in net ipc uts; do readlink /proc/self/ns/$n; done; ls /proc | grep -c '^[0-9]'";
    let mut config = shell("main", script);
    let context = cri_messages::security::LinuxContainerSecurityContext {
        namespace_options: Some(options),
        ..Default::default()
    };
    config.linux = Some(cri_messages::container::LinuxContainerConfig {
        security_context: Some(context),
        ..Default::default()
    });
    let seen = output(&cri, &sandbox, config);
    let lines: Vec<&str> = seen.lines().collect();
    let link = |pid: u32, name: &str| {
        std::fs::read_link(format!("/proc/{pid}/ns/{name}")).expect("a namespace").display().to_string()
    };
    assert_eq!(lines[0], link(engine.daemon_pid(), "net"));
    assert_eq!(lines[1], link(engine.daemon_pid(), "ipc"));
    assert_eq!(lines[2], link(engine.daemon_pid(), "uts"));
    assert!(lines[3].parse::<usize>().expect("a count") > 5, "{seen}");
    remove(&cri, &sandbox);
}

#[test]
fn kernel_settings_are_the_pods() {
    let engine = engine();
    let cri = Cri::of(&engine);
    let sysctls = [("kernel.shm_rmid_forced", "1"), ("net.ipv4.ip_local_port_range", "1024\t65000")];
    let linux = LinuxPodSandboxConfig {
        sysctls: sysctls.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        ..LinuxPodSandboxConfig::default()
    };
    let sandbox = run(&cri, PodSandboxConfig { linux: Some(linux), ..pod(&engine, "set") }).expect("a pod");
    let script = "cat /proc/sys/kernel/shm_rmid_forced /proc/sys/net/ipv4/ip_local_port_range";
    assert_eq!(output(&cri, &sandbox, shell("main", script)), "1\n1024\t65000");
    remove(&cri, &sandbox);
}

#[test]
fn ports_of_the_host_lead_to_the_pod() {
    let engine = engine();
    let cri = Cri::of(&engine);
    let mapping =
        |container_port, host_port| PortMapping { container_port, host_port, ..PortMapping::default() };
    let config = PodSandboxConfig {
        port_mappings: vec![mapping(7000, 17_000), mapping(7001, 0)],
        ..pod(&engine, "published")
    };
    let sandbox = run(&cri, config).expect("a pod");
    let _ = started(&cri, &sandbox, shell("main", "while true; do echo reached | nc -l -p 7000; done"));
    let reached = berth_tests::wait::until("the port", || {
        let script = "busybox nc -w 1 127.0.0.1 17000 < /dev/null || true";
        let answer = host::in_network_of(engine.network_pid(), &["sh", "-c", script]);
        Some(answer).filter(|answer| answer.contains("reached"))
    });
    assert_eq!(reached.trim(), "reached");
    remove(&cri, &sandbox);
}

#[test]
fn limits_of_a_whole_pod_are_kept_and_shown() {
    let mut engine = engine();
    let cri = Cri::of(&engine);
    let sandbox = run(&cri, pod(&engine, "resized")).expect("a pod");
    let memory = |bytes| LinuxContainerResources { memory_limit_in_bytes: bytes, ..Default::default() };
    let asked = |pod_sandbox_id: &str| UpdatePodSandboxResourcesRequest {
        pod_sandbox_id: pod_sandbox_id.to_owned(),
        overhead: None,
        resources: Some(memory(64 << 20)),
    };
    let method = "RuntimeService/UpdatePodSandboxResources";
    let unknown = cri.call::<_, UpdatePodSandboxResourcesResponse>(method, asked("none"));
    assert_eq!(unknown.expect_err("no such pod").code(), Code::NotFound);
    let _: UpdatePodSandboxResourcesResponse = cri.call(method, asked(&sandbox)).expect("kept");
    engine.kill_daemon();
    engine.start_daemon();
    let cri = Cri::of(&engine);
    let asked = PodSandboxStatusRequest { pod_sandbox_id: sandbox.clone(), verbose: true };
    let answer: PodSandboxStatusResponse =
        cri.call("RuntimeService/PodSandboxStatus", asked).expect("a status");
    let info: serde_json::Value = serde_json::from_str(&answer.info["info"]).expect("JSON");
    assert_eq!(info["resources"]["memoryLimitInBytes"], 64 << 20);
    assert!(answer.timestamp > 0 && answer.containers_statuses.is_empty());
    assert_eq!(answer.status.expect("a status").annotations, pod(&engine, "resized").annotations);
    remove(&cri, &sandbox);
}

#[test]
fn what_cannot_be_is_refused_and_leaves_nothing() {
    let engine = engine();
    let cri = Cri::of(&engine);
    let asked = RunPodSandboxRequest {
        config: Some(pod(&engine, "odd")),
        runtime_handler: "no-such-handler".to_owned(),
    };
    let refusal = cri.call::<_, RunPodSandboxResponse>("RuntimeService/RunPodSandbox", asked);
    assert_eq!(refusal.expect_err("no such handler").code(), Code::InvalidArgument);
    let user = |mode: NamespaceMode, count| {
        let mapping = IDMapping { host_id: 100_000, container_id: 0, length: 65_536 };
        let userns_options = Some(UserNamespace {
            mode: mode.into(),
            uids: vec![mapping.clone(); count],
            gids: vec![mapping; count],
        });
        NamespaceOption { userns_options, ..NamespaceOption::default() }
    };
    for options in
        [user(NamespaceMode::Container, 1), user(NamespaceMode::Target, 1), user(NamespaceMode::Pod, 2)]
    {
        run(&cri, with_namespaces(pod(&engine, "odd"), options)).expect_err("a refusal");
    }
    let sctp = PortMapping { protocol: 2, container_port: 7000, host_port: 17_000, ..PortMapping::default() };
    let published = PodSandboxConfig { port_mappings: vec![sctp], ..pod(&engine, "odd") };
    let refusal = run(&cri, published).expect_err("SCTP");
    assert_eq!(
        (refusal.code(), refusal.message()),
        (Code::Unimplemented, "berth does not support published ports of SCTP")
    );
    let unit = LinuxPodSandboxConfig {
        cgroup_parent: "kubepods-pod1.slice".to_owned(),
        ..LinuxPodSandboxConfig::default()
    };
    let refusal = run(&cri, PodSandboxConfig { linux: Some(unit), ..pod(&engine, "odd") });
    let refusal = refusal.expect_err("cgroups are not systemd's");
    assert!(
        refusal.code() == Code::InvalidArgument && refusal.message().contains("--cri-cgroup-driver=systemd"),
        "{refusal}"
    );
    let sysctl = LinuxPodSandboxConfig {
        sysctls: [("net.ipv4.no_such_setting".to_owned(), "1".to_owned())].into(),
        ..LinuxPodSandboxConfig::default()
    };
    run(&cri, PodSandboxConfig { linux: Some(sysctl), ..pod(&engine, "odd") }).expect_err("no such setting");
    assert!(list(&cri, PodSandboxFilter::default()).is_empty());
}

/// The roots of all hierarchies.
fn hierarchies() -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    if root.join("cgroup.controllers").exists() {
        return vec![root.to_owned()];
    }
    let entries = fs::read_dir(root).expect("cgroups").flatten().map(|entry| entry.path());
    entries.filter(|path| !path.is_symlink() && path.join("cgroup.procs").exists()).collect()
}

#[test]
fn the_cgroups_of_a_kubelet_outlive_its_pods() {
    let engine = engine();
    let cri = Cri::of(&engine);
    let top = format!("berth-kubelet-{}", std::process::id());
    // A kubelet makes those of its classes of pods once, and that of a pod before the pod.
    let parent = format!("{top}/burstable/pod1");
    let groups: Vec<PathBuf> = hierarchies().iter().map(|root| root.join(&parent)).collect();
    groups.iter().for_each(|group| fs::create_dir_all(group).expect("a cgroup"));
    let linux =
        LinuxPodSandboxConfig { cgroup_parent: format!("/{parent}"), ..LinuxPodSandboxConfig::default() };
    let sandbox =
        run(&cri, PodSandboxConfig { linux: Some(linux), ..pod(&engine, "kept") }).expect("a sandbox");
    let id = started(&cri, &sandbox, shell("main", "sleep 1000"));
    assert!(
        groups.iter().all(|group| group.join(&id).exists() && group.join(&sandbox).exists()),
        "{groups:?}"
    );
    remove(&cri, &sandbox);
    for (group, root) in groups.iter().zip(hierarchies()) {
        let left = fs::read_dir(group).expect("the pod's cgroup is there").flatten();
        assert_eq!(left.filter(|entry| entry.path().is_dir()).count(), 0, "{}", group.display());
        for above in group.ancestors().take_while(|above| **above != root) {
            fs::remove_dir(above).expect("nothing is in it");
        }
    }
}
