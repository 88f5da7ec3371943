//! Containers in pods: their lives, their logs, their commands, their rights.

use std::fs;
use std::time::Instant;

use berth_tests::cri::Cri;
use berth_tests::{Engine, wait};
use cri_messages::container::{
    ContainerConfig, ContainerFilter, ContainerState, LinuxContainerConfig, ListContainersRequest,
    ListContainersResponse, Mount, MountPropagation, RemoveContainerRequest, RemoveContainerResponse,
    ReopenContainerLogRequest, ReopenContainerLogResponse, StopContainerRequest, StopContainerResponse,
    UpdateContainerResourcesRequest, UpdateContainerResourcesResponse,
};
use cri_messages::security::{
    Capability, LinuxContainerResources, LinuxContainerSecurityContext, NamespaceMode, NamespaceOption,
    ProfileType, SecurityProfile, SupplementalGroupsPolicy,
};
use cri_messages::session::{ExecSyncRequest, ExecSyncResponse};
use cri_messages::statistics::{ContainerStatsRequest, ContainerStatsResponse};
use cri_messages::value::{ImageSpec, Int64Value, KeyValue};
use tonic::Code;

use crate::engine;
use crate::pod::{
    container, create, ended, exec, logs, output, pod, records, remove, run, secured, shell, start, started,
};

fn list(cri: &Cri, filter: ContainerFilter) -> Vec<String> {
    let asked = ListContainersRequest { filter: Some(filter) };
    let answer: ListContainersResponse = cri.call("RuntimeService/ListContainers", asked).expect("a list");
    answer.containers.into_iter().map(|container| container.id).collect()
}

fn stop(cri: &Cri, id: &str, timeout: i64) {
    let asked = StopContainerRequest { container_id: id.to_owned(), timeout };
    let _: StopContainerResponse = cri.call("RuntimeService/StopContainer", asked).expect("stopped");
}

fn remove_container(cri: &Cri, id: &str) {
    let asked = RemoveContainerRequest { container_id: id.to_owned() };
    let _: RemoveContainerResponse = cri.call("RuntimeService/RemoveContainer", asked).expect("removed");
}

/// A pod for the containers of one test.
fn with_pod(test: impl FnOnce(&Engine, &Cri, &str)) {
    let engine = engine();
    let cri = Cri::of(&engine);
    let sandbox = run(&cri, pod(&engine, "pod")).expect("a pod");
    test(&engine, &cri, &sandbox);
    remove(&cri, &sandbox);
}

#[test]
fn a_container_is_made_started_stopped_and_removed() {
    with_pod(|engine, cri, sandbox| {
        let config = ContainerConfig {
            envs: vec![KeyValue { key: "WORD".to_owned(), value: b"a=b".to_vec() }],
            working_dir: "/tmp".to_owned(),
            ..shell("main", "trap 'exit 3' TERM; echo $WORD $PWD; while :; do sleep 0.1; done")
        };
        let id = create(cri, sandbox, config.clone()).expect("a container");
        let made = container(cri, &id).expect("a status");
        assert_eq!((made.state(), made.started_at, made.finished_at), (ContainerState::Created, 0, 0));
        assert_eq!(
            (made.metadata, made.labels, made.annotations),
            (config.metadata, config.labels, config.annotations)
        );
        let image =
            engine.get("/images/busybox/json").expect(200).json()["Id"].as_str().expect("an id").to_owned();
        assert_eq!((made.image_id, made.image_ref), (format!("sha256:{image}"), format!("sha256:{image}")));
        start(cri, &id).expect("a start");
        let running = container(cri, &id).expect("a status");
        assert!(running.state() == ContainerState::Running && running.started_at >= running.created_at);
        let log = logs(engine).join("pod/main.log");
        assert_eq!(running.log_path, log.display().to_string());
        wait::until("the line", || (records(&log) == ["stdout F a=b /tmp"]).then_some(()));
        assert_eq!(start(cri, &id).expect_err("it runs").code(), Code::FailedPrecondition);
        let of_pod = ContainerFilter { pod_sandbox_id: sandbox.to_owned(), ..ContainerFilter::default() };
        assert_eq!(list(cri, of_pod), [id.as_str()]);
        stop(cri, &id, 60);
        let stopped = container(cri, &id).expect("a status");
        assert_eq!(
            (stopped.state(), stopped.exit_code, stopped.reason.as_str()),
            (ContainerState::Exited, 3, "Error")
        );
        assert!(stopped.finished_at >= stopped.started_at);
        stop(cri, &id, 10);
        remove_container(cri, &id);
        remove_container(cri, &id);
        stop(cri, &id, 0);
        assert_eq!(container(cri, &id).expect_err("gone").code(), Code::NotFound);
        assert!(list(cri, ContainerFilter::default()).is_empty());
    });
}

#[test]
fn a_container_that_does_not_listen_is_killed_after_its_grace() {
    with_pod(|_, cri, sandbox| {
        let script = "trap '' TERM; echo deaf; while :; do sleep 0.1; done";
        let id = started(cri, sandbox, shell("deaf", script));
        let log = container(cri, &id).expect("a status").log_path;
        wait::until("the trap", || (records(&log) == ["stdout F deaf"]).then_some(()));
        stop(cri, &id, 1);
        let stopped = container(cri, &id).expect("a status");
        assert_eq!((stopped.exit_code, stopped.reason.as_str()), (137, "Error"));
        let running = started(cri, sandbox, shell("running", "sleep 1000"));
        remove_container(cri, &running);
        assert_eq!(container(cri, &running).expect_err("gone").code(), Code::NotFound);
    });
}

#[test]
fn the_reason_says_how_a_container_ended() {
    with_pod(|_, cri, sandbox| {
        let done = started(cri, sandbox, shell("done", "true"));
        let status = ended(cri, &done);
        assert_eq!((status.exit_code, status.reason.as_str()), (0, "Completed"));
        let resources = LinuxContainerResources {
            memory_limit_in_bytes: 32 << 20,
            memory_swap_limit_in_bytes: 32 << 20,
            ..LinuxContainerResources::default()
        };
        let config = ContainerConfig {
            linux: Some(LinuxContainerConfig {
                resources: Some(resources),
                ..LinuxContainerConfig::default()
            }),
            ..shell("large", "head -c 200m /dev/zero | tail > /dev/null; exit 137")
        };
        let large = started(cri, sandbox, config);
        let status = ended(cri, &large);
        assert_eq!((status.exit_code, status.reason.as_str()), (137, "OOMKilled"));
        let shown = status.resources.expect("resources").linux.expect("Linux");
        assert_eq!(shown.memory_limit_in_bytes, 32 << 20);
        let missing = ContainerConfig { command: vec!["/no/such/program".to_owned()], ..shell("none", "") };
        let id = create(cri, sandbox, missing).expect("a container");
        let error = start(cri, &id).expect_err("no such program");
        let cause = "exec: \"/no/such/program\": stat /no/such/program: no such file or directory";
        assert!(error.message().ends_with(cause) && !error.message().contains("System error"), "{error}");
        let status = container(cri, &id).expect("it is there");
        assert_eq!((status.reason.as_str(), status.message.as_str()), ("StartError", cause));
        // By which the kubelet delays the next one.
        assert!(status.finished_at >= status.created_at, "{status:?}");
        assert_eq!(status.started_at, 0);
    });
}

#[test]
fn a_command_gives_its_output_its_error_output_and_its_exit_code() {
    with_pod(|_, cri, sandbox| {
        let id = started(cri, sandbox, shell("main", "sleep 1000"));
        let (out, error, code) = exec(cri, &id, "echo out; echo error >&2; exit 5");
        assert_eq!((out.as_str(), error.as_str(), code), ("out\n", "error\n", 5));
        // A kubelet takes answers of 16 MiB.
        let lines = "head -c 10000000 /dev/zero | tr '\\0' x";
        let (out, error, code) = exec(cri, &id, &format!("{lines}; {lines} >&2; exit 6"));
        assert_eq!((out.len() + error.len(), code), ((16 << 20) - (16 << 10), 6), "the rest is thrown away");
        let asked = ExecSyncRequest {
            container_id: id.clone(),
            cmd: ["sh", "-c", "sleep 987 & sleep 987"].map(str::to_owned).to_vec(),
            timeout: 1,
        };
        let begin = Instant::now();
        let late = cri.call::<_, ExecSyncResponse>("RuntimeService/ExecSync", asked).expect_err("too long");
        assert_eq!(late.code(), Code::DeadlineExceeded);
        assert!(begin.elapsed() < wait::TIMEOUT);
        // Its own end is waited for before the answer, that of the others is not.
        wait::until("the end of it and of what it started", || {
            (!exec(cri, &id, "ps").0.contains("sleep 987")).then_some(())
        });
        let absent =
            ExecSyncRequest { container_id: id.clone(), cmd: vec!["/no/such".to_owned()], timeout: 0 };
        cri.call::<_, ExecSyncResponse>("RuntimeService/ExecSync", absent).expect_err("no such program");
        let nobody =
            ExecSyncRequest { container_id: "0".repeat(64), cmd: vec!["true".to_owned()], timeout: 0 };
        let unknown =
            cri.call::<_, ExecSyncResponse>("RuntimeService/ExecSync", nobody).expect_err("unknown");
        assert_eq!(unknown.code(), Code::NotFound);
    });
}

#[test]
fn a_log_is_written_in_the_kubelets_form_and_opened_again_when_it_was_moved() {
    with_pod(|engine, cri, sandbox| {
        let script = "echo first; echo wrong >&2; printf part; until [ -e /go ]; do sleep 0.05; done; echo; echo last; sleep 1000";
        let id = started(cri, sandbox, shell("main", script));
        let log = logs(engine).join("pod/main.log");
        wait::until("both lines", || (records(&log).len() == 2).then_some(()));
        let mut first = records(&log);
        first.sort();
        assert_eq!(first, ["stderr F wrong", "stdout F first"]);
        let moved = log.with_extension("old");
        fs::rename(&log, &moved).expect("moved");
        let asked = ReopenContainerLogRequest { container_id: id.clone() };
        let _: ReopenContainerLogResponse =
            cri.call("RuntimeService/ReopenContainerLog", asked.clone()).expect("opened again");
        assert_eq!(records(&log), Vec::<String>::new());
        assert!(log.exists());
        let _ = exec(cri, &id, "touch /go");
        wait::until("the rest", || (records(&log) == ["stdout F part", "stdout F last"]).then_some(()));
        stop(cri, &id, 0);
        let refusal = cri.call::<_, ReopenContainerLogResponse>("RuntimeService/ReopenContainerLog", asked);
        refusal.expect_err("it does not run");
    });
}

#[test]
fn mounts_are_read_only_as_far_as_they_are_asked_to_be() {
    with_pod(|engine, cri, sandbox| {
        let source = engine.directory().join("mounted");
        fs::create_dir_all(&source).expect("a directory");
        fs::write(source.join("file"), "of the host\n").expect("a file");
        let mount = |place: &str, readonly| Mount {
            container_path: place.to_owned(),
            host_path: source.display().to_string(),
            readonly,
            ..Mount::default()
        };
        let script = "cat /rw/file; echo made > /rw/made; echo no > /ro/made || echo refused; grep -c ' /ro ' /proc/self/mountinfo";
        let config = ContainerConfig {
            mounts: vec![mount("/rw", false), Mount { recursive_read_only: true, ..mount("/ro", true) }],
            ..shell("mounts", script)
        };
        assert_eq!(output(cri, sandbox, config), "of the host\nrefused\n1");
        assert_eq!(fs::read_to_string(source.join("made")).expect("made"), "made\n");
        let bidirectional = MountPropagation::Bidirectional.into();
        for bad in [
            Mount { recursive_read_only: true, ..mount("/a", false) },
            Mount { recursive_read_only: true, propagation: bidirectional, ..mount("/a", true) },
            Mount {
                image: Some(ImageSpec { image: "busybox".to_owned(), ..ImageSpec::default() }),
                ..mount("/a", false)
            },
        ] {
            let refused = create(cri, sandbox, ContainerConfig { mounts: vec![bad], ..shell("bad", "true") });
            assert_eq!(refused.expect_err("a refusal").code(), Code::InvalidArgument);
        }
        let image = Mount {
            container_path: "/image".to_owned(),
            readonly: true,
            image: Some(ImageSpec { image: "busybox".to_owned(), ..ImageSpec::default() }),
            image_sub_path: "bin".to_owned(),
            ..Mount::default()
        };
        let config = ContainerConfig {
            mounts: vec![image.clone()],
            ..shell("image", "ls /image | grep -x busybox; touch /image/x || echo refused")
        };
        assert_eq!(output(cri, sandbox, config), "busybox\nrefused");
        let config = ContainerConfig { mounts: vec![image.clone()], ..shell("shown", "true") };
        let shown = container(cri, &create(cri, sandbox, config).expect("a container")).expect("a status");
        let mounted = shown.mounts[0].image.as_ref().expect("an image");
        assert_eq!((mounted.image.as_str(), &mounted.image_ref), ("busybox", &shown.image_id));
        let absent = Mount { image_sub_path: "no/such".to_owned(), ..image };
        let refused =
            create(cri, sandbox, ContainerConfig { mounts: vec![absent], ..shell("absent", "true") });
        let refused = refused.expect_err("a part that the image does not have");
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains("no/such"), "{refused}");
    });
}

#[test]
fn users_groups_and_capabilities_are_those_of_the_security_context() {
    with_pod(|_, cri, sandbox| {
        let value = |value| Some(Int64Value { value });
        let context = LinuxContainerSecurityContext {
            run_as_user: value(1000),
            run_as_group: value(2000),
            supplemental_groups: vec![3000],
            no_new_privs: true,
            ..LinuxContainerSecurityContext::default()
        };
        let script = "id -u; id -g; id -G; grep -h NoNewPrivs /proc/self/status";
        let seen = output(cri, sandbox, secured(shell("user", script), context.clone()));
        // The image's files have the user in the groups 1 and 2000.
        assert_eq!(seen, "1000\n2000\n2000 1 3000\nNoNewPrivs:\t1");
        let id = started(cri, sandbox, secured(shell("shown", "sleep 1000"), context.clone()));
        let user = container(cri, &id).expect("a status").user.and_then(|user| user.linux).expect("a user");
        assert_eq!((user.uid, user.gid, user.supplemental_groups), (1000, 2000, vec![1, 2000, 3000]));
        let strict = LinuxContainerSecurityContext {
            supplemental_groups_policy: SupplementalGroupsPolicy::Strict.into(),
            ..context.clone()
        };
        assert_eq!(output(cri, sandbox, secured(shell("strict", "id -G"), strict)), "2000 3000");
        let group_alone = LinuxContainerSecurityContext { run_as_user: None, ..context };
        let refused = create(cri, sandbox, secured(shell("group", "true"), group_alone));
        assert_eq!(refused.expect_err("no user").code(), Code::InvalidArgument);
        let capabilities = |add: &[&str], drop: &[&str]| LinuxContainerSecurityContext {
            capabilities: Some(Capability {
                add_capabilities: add.iter().map(|name| (*name).to_owned()).collect(),
                drop_capabilities: drop.iter().map(|name| (*name).to_owned()).collect(),
                ..Capability::default()
            }),
            ..LinuxContainerSecurityContext::default()
        };
        let effective = "grep CapEff /proc/self/status | cut -f 2";
        let none = output(cri, sandbox, secured(shell("none", effective), capabilities(&[], &["ALL"])));
        assert_eq!(none, "0000000000000000");
        let admin =
            output(cri, sandbox, secured(shell("admin", effective), capabilities(&["NET_ADMIN"], &["ALL"])));
        assert_eq!(admin, "0000000000001000");
    });
}

#[test]
fn filters_hidden_paths_and_a_read_only_root_are_those_of_the_security_context() {
    with_pod(|engine, cri, sandbox| {
        let script = "cat /proc/version > /dev/null 2>&1 && echo shown; echo 1 > /proc/sys/kernel/domainname || echo fixed; touch /x || echo closed; grep -h Seccomp: /proc/self/status";
        let context = LinuxContainerSecurityContext {
            masked_paths: vec!["/proc/version".to_owned()],
            readonly_paths: vec!["/proc/sys".to_owned()],
            readonly_rootfs: true,
            seccomp: Some(SecurityProfile {
                profile_type: ProfileType::RuntimeDefault.into(),
                ..SecurityProfile::default()
            }),
            ..LinuxContainerSecurityContext::default()
        };
        let seen = output(cri, sandbox, secured(shell("closed", script), context));
        assert_eq!(seen, "shown\nfixed\nclosed\nSeccomp:\t2", "a hidden file is /dev/null");
        let plain = output(cri, sandbox, shell("plain", "touch /x && grep -h Seccomp: /proc/self/status"));
        assert_eq!(plain, "Seccomp:\t0", "without a profile there is no filter");
        let profile = engine.directory().join("profile.json");
        fs::write(&profile, r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["sethostname"],"action":"SCMP_ACT_ERRNO"}]}"#).expect("a profile");
        let own = LinuxContainerSecurityContext {
            seccomp: Some(SecurityProfile {
                profile_type: ProfileType::Localhost.into(),
                localhost_ref: profile.display().to_string(),
            }),
            capabilities: Some(Capability {
                add_capabilities: vec!["SYS_ADMIN".to_owned()],
                ..Capability::default()
            }),
            ..LinuxContainerSecurityContext::default()
        };
        assert_eq!(output(cri, sandbox, secured(shell("own", "hostname x || echo blocked"), own)), "blocked");
    });
}

#[test]
fn the_processes_of_a_container_are_its_own_or_its_neighbours() {
    with_pod(|_, cri, sandbox| {
        let pid = |mode: NamespaceMode, target: &str| LinuxContainerSecurityContext {
            namespace_options: Some(NamespaceOption {
                pid: mode.into(),
                target_id: target.to_owned(),
                ..NamespaceOption::default()
            }),
            ..LinuxContainerSecurityContext::default()
        };
        let own =
            started(cri, sandbox, secured(shell("own", "sleep 1000"), pid(NamespaceMode::Container, "")));
        assert_eq!(exec(cri, &own, "cat /proc/1/comm").0, "sleep\n");
        let target = secured(shell("target", "cat /proc/1/comm"), pid(NamespaceMode::Target, &own));
        assert_eq!(output(cri, sandbox, target), "sleep");
        assert_eq!(output(cri, sandbox, shell("pod", "cat /proc/1/comm")), "init");
    });
}

#[test]
fn limits_can_be_changed_and_counters_are_read() {
    with_pod(|_, cri, sandbox| {
        let id = started(cri, sandbox, shell("main", "sleep 1000"));
        let linux = LinuxContainerResources {
            memory_limit_in_bytes: 64 << 20,
            cpu_shares: 512,
            ..LinuxContainerResources::default()
        };
        let asked = UpdateContainerResourcesRequest {
            container_id: id.clone(),
            linux: Some(linux),
            ..Default::default()
        };
        let _: UpdateContainerResourcesResponse =
            cri.call("RuntimeService/UpdateContainerResources", asked).expect("changed");
        let shown =
            container(cri, &id).expect("a status").resources.expect("resources").linux.expect("Linux");
        assert_eq!((shown.memory_limit_in_bytes, shown.cpu_shares), (64 << 20, 512));
        // Swap that was never limited follows the memory, as far as that grows.
        let more = LinuxContainerResources { memory_limit_in_bytes: 256 << 20, ..Default::default() };
        let (linux, container_id) = (Some(more), id.clone());
        let asked = UpdateContainerResourcesRequest { linux, container_id, ..Default::default() };
        let _: UpdateContainerResourcesResponse =
            cri.call("RuntimeService/UpdateContainerResources", asked).expect("grown");
        let asked = ContainerStatsRequest { container_id: id.clone() };
        let answer: ContainerStatsResponse =
            cri.call("RuntimeService/ContainerStats", asked).expect("counters");
        let stats = answer.stats.expect("counters");
        assert_eq!(stats.attributes.expect("attributes").id, id);
        assert!(stats.cpu.expect("processors").usage_core_nano_seconds.expect("a number").value > 0);
        let memory = stats.memory.expect("memory");
        assert!(memory.working_set_bytes.expect("a number").value > 0);
        assert!((64 << 20..=256 << 20).contains(&memory.available_bytes.expect("a limit").value));
        let layer = stats.writable_layer.expect("a layer");
        assert!(layer.used_bytes.is_some() && layer.inodes_used.expect("a number").value > 0);
    });
}
