//! Cgroups of pods that systemd keeps. On a host without systemd, or with cgroups of version 1, the daemon refuses to start so.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use berth_tests::cri::{Cri, FLAG};
use berth_tests::{Engine, wait};
use cri_messages::container::{
    ContainerConfig, StopContainerRequest, StopContainerResponse, UpdateContainerResourcesRequest,
    UpdateContainerResourcesResponse,
};
use cri_messages::runtime::{CgroupDriver, RuntimeConfigRequest, RuntimeConfigResponse};
use cri_messages::sandbox::{LinuxPodSandboxConfig, PodSandboxConfig};
use cri_messages::security::LinuxContainerResources;
use tonic::Code;

use crate::pod::{container, create, exec, limited, pod, remove, run, shell, start, started};

const DRIVER: &str = "--cri-cgroup-driver=systemd";

/// Where the unified hierarchy is.
const CGROUPS: &str = "/sys/fs/cgroup";

/// sd_booted(3), and cgroups of version 2 alone.
fn has_systemd() -> bool {
    Path::new("/run/systemd/system").exists() && Path::new(CGROUPS).join("cgroup.controllers").exists()
}

/// An engine whose pods are systemd's scopes; on other hosts it is refused, and this returns `None`.
fn engine() -> Option<Engine> {
    if has_systemd() {
        return Some(Engine::start_with_flags(&[FLAG, DRIVER]));
    }
    let mut engine = Engine::start();
    engine.stop_daemon();
    let said = engine.refuses_to_start(&[FLAG, DRIVER]);
    assert!(said.contains("cannot use systemd for the cgroups of pods: "), "{said}");
    engine.start_daemon();
    None
}

/// A pod in a slice of its own, by the path that a kubelet sends.
fn in_slice(engine: &Engine, name: &str) -> (PodSandboxConfig, PathBuf) {
    let slice =
        format!("berthtest.slice/berthtest-{}.slice/berthtest-{0}-pod{name}.slice", std::process::id());
    let linux =
        LinuxPodSandboxConfig { cgroup_parent: format!("/{slice}"), ..LinuxPodSandboxConfig::default() };
    let config = PodSandboxConfig { linux: Some(linux), ..pod(engine, name) };
    (config, Path::new(CGROUPS).join(slice))
}

fn unit(id: &str) -> String {
    format!("berth-{id}.scope")
}

/// A property of a unit in systemd's own words.
fn property(unit: &str, name: &str) -> String {
    let shown = Command::new("systemctl").args(["show", "--value", "--property", name, unit]).output();
    let shown = shown.expect("systemctl");
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
    String::from_utf8_lossy(&shown.stdout).trim().to_owned()
}

fn is_gone(unit: &str, directory: &Path) -> bool {
    property(unit, "LoadState") == "not-found" && !directory.exists()
}

#[test]
fn containers_are_scopes_with_limits_in_the_slice_that_the_kubelet_names() {
    let Some(engine) = engine() else { return };
    let cri = Cri::of(&engine);
    let answer: RuntimeConfigResponse =
        cri.call("RuntimeService/RuntimeConfig", RuntimeConfigRequest {}).expect("an answer");
    assert_eq!(answer.linux.expect("Linux").cgroup_driver(), CgroupDriver::Systemd);
    let (config, slice) = in_slice(&engine, "limits");
    let sandbox = run(&cri, config).expect("a sandbox");
    let resources = LinuxContainerResources {
        memory_limit_in_bytes: 64 << 20,
        cpu_shares: 512,
        cpu_quota: 50_000,
        cpu_period: 100_000,
        // What a kubelet sends with each container.
        unified: [("memory.oom.group".to_owned(), "1".to_owned())].into(),
        ..LinuxContainerResources::default()
    };
    let id = started(&cri, &sandbox, limited(shell("main", "sleep 1000"), resources));
    let slice_name = slice.file_name().expect("a name").to_string_lossy().into_owned();
    for id in [&sandbox, &id] {
        let unit = unit(id);
        assert_eq!(property(&unit, "ActiveState"), "active");
        assert_eq!(
            (property(&unit, "Slice"), property(&unit, "Delegate")),
            (slice_name.clone(), "yes".to_owned())
        );
        let processes = fs::read_to_string(slice.join(&unit).join("cgroup.procs")).expect("its processes");
        assert_ne!(processes, "", "{unit}");
    }
    let (unit, directory) = (unit(&id), slice.join(unit(&id)));
    let memory = || fs::read_to_string(directory.join("memory.max")).expect("its limit");
    assert_eq!((property(&unit, "MemoryMax"), memory()), ("67108864".to_owned(), "67108864\n".to_owned()));
    assert_eq!(
        (property(&unit, "CPUWeight"), property(&unit, "CPUQuotaPerSecUSec")),
        ("20".to_owned(), "500ms".to_owned())
    );
    assert_eq!(fs::read_to_string(directory.join("cpu.max")).expect("its quota"), "50000 100000\n");
    assert_eq!(fs::read_to_string(directory.join("pids.max")).expect("its limit"), "max\n");
    let oom_group = || fs::read_to_string(directory.join("memory.oom.group")).expect("its group");
    assert_eq!(oom_group(), "1\n");
    let resources =
        LinuxContainerResources { memory_limit_in_bytes: 96 << 20, ..LinuxContainerResources::default() };
    let asked = UpdateContainerResourcesRequest {
        container_id: id.clone(),
        linux: Some(resources),
        ..UpdateContainerResourcesRequest::default()
    };
    let _: UpdateContainerResourcesResponse =
        cri.call("RuntimeService/UpdateContainerResources", asked).expect("changed");
    assert_eq!(oom_group(), "1\n");
    // systemd sets again what it knows.
    let reloaded = Command::new("systemctl").arg("daemon-reload").status().expect("systemctl");
    assert!(reloaded.success());
    assert_eq!((property(&unit, "MemoryMax"), memory()), ("100663296".to_owned(), "100663296\n".to_owned()));
    assert_eq!(exec(&cri, &id, "echo lives").0, "lives\n");
    // Devices are forbidden by a program of the scope's that systemd does not know.
    let (_, refusal, _) = exec(&cri, &id, "mknod /tmp/disk b 254 0 && head -c 1 /tmp/disk");
    assert!(refusal.contains("/tmp/disk: Operation not permitted"), "{refusal}");
    let asked = StopContainerRequest { container_id: id.clone(), timeout: 0 };
    let _: StopContainerResponse = cri.call("RuntimeService/StopContainer", asked).expect("stopped");
    wait::until("the unit's end", || is_gone(&unit, &directory).then_some(()));
    remove(&cri, &sandbox);
    wait::until("the sandbox's end", || {
        is_gone(&self::unit(&sandbox), &slice.join(self::unit(&sandbox))).then_some(())
    });
}

#[test]
fn units_of_starts_that_fail_are_undone() {
    let Some(engine) = engine() else { return };
    let cri = Cri::of(&engine);
    let (config, slice) = in_slice(&engine, "fails");
    let sandbox = run(&cri, config).expect("a sandbox");
    let nothing = ContainerConfig { command: vec!["/no/such/program".to_owned()], ..shell("nothing", "") };
    let id = create(&cri, &sandbox, nothing).expect("a container");
    start(&cri, &id).expect_err("no such program");
    wait::until("the unit's end", || is_gone(&unit(&id), &slice.join(unit(&id))).then_some(()));
    assert_eq!(property(&unit(&sandbox), "ActiveState"), "active");
    remove(&cri, &sandbox);
    let refusal = run(
        &cri,
        PodSandboxConfig {
            linux: Some(LinuxPodSandboxConfig {
                cgroup_parent: "/kubepods/pod1".to_owned(),
                ..LinuxPodSandboxConfig::default()
            }),
            ..pod(&engine, "no-slice")
        },
    );
    let refusal = refusal.expect_err("no slice");
    assert!(
        refusal.code() == Code::InvalidArgument && refusal.message().contains("is not the name of a slice"),
        "{refusal}"
    );
}

#[test]
fn units_outlive_the_daemon_and_end_with_their_containers() {
    let Some(mut engine) = engine() else { return };
    let (sandbox, id, slice) = {
        let cri = Cri::of(&engine);
        let (config, slice) = in_slice(&engine, "lives");
        let sandbox = run(&cri, config).expect("a sandbox");
        let id = started(&cri, &sandbox, shell("main", "sleep 1000"));
        (sandbox, id, slice)
    };
    engine.replace_daemon();
    let cri = Cri::of(&engine);
    assert_eq!(property(&unit(&id), "ActiveState"), "active");
    assert_eq!(exec(&cri, &id, "echo lives").0, "lives\n");
    engine.kill_daemon();
    fs::write(slice.join(unit(&id)).join("cgroup.kill"), "1").expect("its end");
    engine.start_daemon();
    let cri = Cri::of(&engine);
    wait::until("the unit's end", || is_gone(&unit(&id), &slice.join(unit(&id))).then_some(()));
    assert_eq!(container(&cri, &id).expect("a status").exit_code, 137);
    remove(&cri, &sandbox);
    wait::until("the sandbox's end", || is_gone(&unit(&sandbox), &slice.join(unit(&sandbox))).then_some(()));
    // Kernels before 6.11, as the machine with systemd has one, list what is to be forgotten of connections instead.
    assert!(!engine.log().contains("cannot forget tracked connections"), "{}", engine.log());
}
