//! Limits, pause, kill, memory kills, statistics, devices: on the host's hierarchies and, as a host
//! that has nothing but v2 would be, on its v2 hierarchy alone.

use std::path::{Path, PathBuf};

use berth_runtime::{Cgroup, Given, Host, Running};
use model::{ContainerSpec, Device, Resources, Signal};

use crate::Test;
use crate::further::{end, exec};
use crate::scene::{Ends, Scene, assert_clean, eventually, finish, pipes, process, read, run, start};

pub(crate) const TESTS: &[Test] = &[
    ("limits_reach_the_kernel", limits_reach_the_kernel),
    ("bad_limits_are_named", bad_limits_are_named),
    ("pause_stops_and_unpause_goes_on", pause_stops_and_unpause_goes_on),
    ("kill_reaches_everything", kill_reaches_everything),
    ("a_kill_for_memory_is_reported", a_kill_for_memory_is_reported),
    ("statistics_are_true", statistics_are_true),
    ("devices_are_restricted", devices_are_restricted),
    ("groups_made_inside_are_removed", groups_made_inside_are_removed),
    ("version_two_alone", version_two_alone),
    ("an_orphaned_cgroup_is_found_and_emptied", an_orphaned_cgroup_is_found_and_emptied),
    ("a_left_cgroup_is_made_anew", a_left_cgroup_is_made_anew),
];

fn directory(running: &Running, controller: &str) -> Option<PathBuf> {
    let part = format!("/{controller}/");
    running.cgroup().directories().iter().find(|path| path.to_string_lossy().contains(&part)).cloned()
}

fn limits_reach_the_kernel() {
    let scene = Scene::new();
    let mut spec = scene.spec(&["sleep", "100"]);
    spec.resources = Resources {
        memory: Some(32 << 20),
        memory_swap: Some(64 << 20),
        cpu_shares: Some(512),
        cpu_period: Some(50_000),
        cpu_quota: Some(25_000),
        cpuset_cpus: "0".parse().ok(),
        pids_limit: Some(20),
        ..Resources::default()
    };
    let (running, _ends) = start(&spec).unwrap();
    let Some(memory) = directory(&running, "memory") else {
        unified_limits(&running);
        return end(&running);
    };
    let value = |controller: &str, file: &str| {
        read(&directory(&running, controller).unwrap().join(file)).trim().to_owned()
    };
    assert_eq!(value("memory", "memory.limit_in_bytes"), (32 << 20).to_string());
    assert_eq!(value("memory", "memory.memsw.limit_in_bytes"), (64 << 20).to_string());
    assert_eq!(value("cpu", "cpu.shares"), "512");
    assert_eq!(value("cpu", "cpu.cfs_quota_us"), "25000");
    assert_eq!(value("cpuset", "cpuset.cpus"), "0");
    assert_eq!(value("pids", "pids.max"), "20");
    let grown = Resources { memory: Some(96 << 20), memory_swap: Some(96 << 20), ..Resources::default() };
    running.cgroup().update(&grown).unwrap();
    assert_eq!(read(&memory.join("memory.limit_in_bytes")).trim(), (96 << 20).to_string());
    assert_eq!(value("cpu", "cpu.shares"), "512", "what is not given stays");
    let outcome = exec(
        &running,
        &process(&[
            "sh",
            "-c",
            "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do sleep 5 & done",
        ]),
        false,
    );
    assert_ne!(outcome.exit.code, 0, "more processes than allowed: {outcome:?}");
    end(&running);
}

/// The same limits on a host that has nothing but v2.
fn unified_limits(running: &Running) {
    let value = |file: &str| read(&running.cgroup().directories()[0].join(file)).trim().to_owned();
    let seen =
        ["memory.max", "memory.swap.max", "cpu.weight", "cpu.max", "cpuset.cpus", "pids.max"].map(value);
    assert_eq!(seen, ["33554432", "33554432", "20", "25000 50000", "0", "20"]);
    let grown = Resources { memory: Some(96 << 20), memory_swap: Some(96 << 20), ..Resources::default() };
    running.cgroup().update(&grown).unwrap();
    assert_eq!([value("memory.max"), value("memory.swap.max"), value("pids.max")], ["100663296", "0", "20"]);
}

fn bad_limits_are_named() {
    let scene = Scene::new();
    for (resources, words) in [
        (Resources { cpuset_cpus: "4095".parse().ok(), ..Resources::default() }, "cpuset.cpus"),
        (Resources { cpu_period: Some(1), ..Resources::default() }, "cpu"),
    ] {
        let mut spec = scene.spec(&["true"]);
        spec.resources = resources;
        let error = run(&spec).unwrap_err().to_string();
        assert!(error.starts_with("write /sys/fs/cgroup/") && error.contains(words), "{error}");
        assert_clean(Cgroup::of(&Host::default(), &spec).unwrap().directories());
    }
}

fn pause_stops_and_unpause_goes_on() {
    let scene = Scene::new();
    let script = "while :; do echo x >> /tmp/ticks; sleep 0.01; done";
    let (running, _ends) = start(&scene.spec(&["sh", "-c", script])).unwrap();
    pause_and_go_on(&scene, &running);
    running.cgroup().freeze().unwrap();
    let (stdio, _ends) = pipes();
    let request = berth_runtime::ExecRequest { process: &process(&["true"]), privileged: false };
    assert_eq!(running.exec(&request, stdio).unwrap_err().to_string(), "the container is paused");
    // A frozen container can be killed.
    end(&running);
}

fn pause_and_go_on(scene: &Scene, running: &Running) {
    let ticks = scene.directory.join("upper/tmp/ticks");
    let length = || std::fs::metadata(&ticks).map_or(0, |metadata| metadata.len());
    eventually("the first tick", || length() > 0);
    running.cgroup().freeze().unwrap();
    let frozen = length();
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(length(), frozen, "it went on while frozen");
    running.cgroup().thaw().unwrap();
    eventually("a tick after the pause", || length() > frozen);
}

fn kill_reaches_everything() {
    let scene = Scene::new();
    let (running, _ends) = start(&scene.spec(&["sh", "-c", "sleep 100 & sleep 100 & wait"])).unwrap();
    eventually("three processes", || running.cgroup().processes().unwrap().len() == 3);
    running.signal(Signal::parse("KILL").unwrap()).unwrap();
    let exit = running.init().wait().unwrap();
    assert_eq!((exit.code, exit.signal), (137, Some(Signal::KILL)));
    running.destroy().unwrap();
    running.destroy().unwrap();
    assert_clean(running.cgroup().directories());
}

fn a_kill_for_memory_is_reported() {
    let scene = Scene::new();
    let mut spec = scene.spec(&["sh", "-c", "dd if=/dev/zero of=/dev/null bs=64M count=1; echo code $?"]);
    spec.resources =
        Resources { memory: Some(16 << 20), memory_swap: Some(16 << 20), ..Resources::default() };
    let (running, ends) = start(&spec).unwrap();
    let mut notice = running.cgroup().out_of_memory_notice().unwrap();
    let outcome = finish(running.init(), ends);
    assert_eq!(outcome.output, "code 137\n", "{outcome:?}");
    let mut events = [rustix::event::PollFd::new(&notice, rustix::event::PollFlags::IN)];
    let wait = rustix::time::Timespec { tv_sec: 60, tv_nsec: 0 };
    assert_eq!(rustix::event::poll(&mut events, Some(&wait)).unwrap(), 1, "the descriptor tells");
    assert_eq!((notice.take().unwrap(), notice.take().unwrap()), (1, 0));
    running.destroy().unwrap();
}

fn statistics_are_true() {
    let scene = Scene::new();
    let mut spec = scene.spec(&[
        "sh",
        "-c",
        "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 100 & echo ready; wait",
    ]);
    spec.resources.memory = Some(64 << 20);
    spec.resources.pids_limit = Some(9);
    let (running, ends) = start(&spec).unwrap();
    let mut first = [0; 6];
    std::io::Read::read_exact(&mut std::fs::File::from(ends.output.try_clone().unwrap()), &mut first)
        .unwrap();
    let statistics = running.statistics().unwrap();
    assert!(statistics.cpu_total > 1_000_000, "{statistics:?}");
    assert_eq!(statistics.processes, 2, "{statistics:?}");
    assert_eq!((statistics.memory_limit, statistics.processes_limit), (64 << 20, Some(9)));
    assert!(statistics.memory_usage > 0 && statistics.memory_maximum_usage >= statistics.memory_usage);
    assert!(statistics.memory_details.contains_key("rss") || statistics.memory_details.contains_key("anon"));
    if directory(&running, "memory").is_some() {
        assert!(!statistics.cpu_per_processor.is_empty());
    }
    assert!(statistics.block.contains_key("io_service_bytes_recursive"));
    assert!(statistics.interfaces.is_empty(), "only the loopback is there");
    drop(ends);
    end(&running);
}

/// Reads and writes of device nodes that the container makes or is given.
fn check_devices(mut spec: ContainerSpec, run: impl Fn(&ContainerSpec) -> String) {
    let script = "\
mknod /tmp/kmsg c 1 11 && head -c 1 /tmp/kmsg >/dev/null 2>&1 && echo kmsg; \
mknod /tmp/zero c 1 5 && head -c 4 /tmp/zero | wc -c; \
head -c 4 /dev/urandom | wc -c; echo x > /dev/null && echo null";
    spec.process.arguments = vec!["sh".into(), "-c".into(), script.into()];
    assert_eq!(run(&spec), "4\n4\nnull\n", "a device that was not given could be read");
    spec.devices = vec![Device {
        path_on_host: "/dev/kmsg".into(),
        path_in_container: "/dev/given/kmsg".into(),
        permissions: "r".parse().unwrap(),
        ..Device::default()
    }];
    spec.process.capabilities.push("CAP_SYSLOG".into());
    let script = "stat -c '%t %T' /dev/given/kmsg; head -c 1 /dev/given/kmsg >/dev/null && echo read; (echo x > /dev/given/kmsg) 2>/dev/null || echo unwritable";
    spec.process.arguments[2] = script.into();
    assert_eq!(run(&spec), "1 b\nread\nunwritable\n");
}

fn devices_are_restricted() {
    let scene = Scene::new();
    check_devices(scene.spec(&[]), |spec| run(spec).unwrap().output);
    let mut spec = scene.spec(&["true"]);
    spec.devices = vec![Device {
        path_on_host: "/dev/nosuch".into(),
        path_in_container: "/dev/nosuch".into(),
        permissions: "rwm".parse().unwrap(),
        ..Device::default()
    }];
    assert_eq!(
        run(&spec).unwrap_err().to_string(),
        "error gathering device information while adding custom device \"/dev/nosuch\": lstat /dev/nosuch: no such file or directory"
    );
}

fn groups_made_inside_are_removed() {
    let scene = Scene::new();
    let mut spec = scene.spec(&[
        "sh",
        "-c",
        "for h in /sys/fs/cgroup/*; do mkdir -p $h/inner/deep && echo 0 > $h/inner/deep/cgroup.procs; done; echo made; sleep 100",
    ]);
    spec.privileged = true;
    let (running, ends) = start(&spec).unwrap();
    let mut said = [0; 5];
    std::io::Read::read_exact(&mut std::fs::File::from(ends.output.try_clone().unwrap()), &mut said).unwrap();
    end(&running);
}

/// A host whose only hierarchy is the v2 one.
fn unified_host() -> Option<Host> {
    let unified = Path::new("/sys/fs/cgroup/unified");
    let cgroup = if unified.join("cgroup.procs").exists() { unified } else { Path::new("/sys/fs/cgroup") };
    cgroup.join("cgroup.controllers").exists().then(|| Host { cgroup: cgroup.into(), ..Host::default() })
}

fn start_on(host: &Host, spec: &ContainerSpec) -> (Running, Ends) {
    let (stdio, ends) = pipes();
    let cgroup = Cgroup::of(host, spec).unwrap();
    (
        berth_runtime::create(
            host,
            spec,
            cgroup,
            Given { stdio, held_mounts: &[], network: None, title: None },
        )
        .unwrap()
        .start(None)
        .unwrap(),
        ends,
    )
}

fn version_two_alone() {
    let Some(host) = unified_host() else { panic!("this kernel has no cgroup v2") };
    let scene = Scene::new();
    let mut spec = scene.spec(&["sh", "-c", "while :; do echo x >> /tmp/ticks; sleep 0.01; done"]);
    spec.namespaces.own_cgroup = true;
    let (running, _ends) = start_on(&host, &spec);
    assert_eq!(running.cgroup().directories().len(), 1);
    pause_and_go_on(&scene, &running);
    let script = "grep ^0: /proc/self/cgroup; cat /sys/fs/cgroup/cgroup.procs | wc -l; mkdir /sys/fs/cgroup/x 2>/dev/null || echo read-only";
    let outcome = exec(&running, &process(&["sh", "-c", script]), false);
    let lines: Vec<&str> = outcome.output.lines().collect();
    assert_eq!((lines[0], lines[2]), ("0::/", "read-only"), "{outcome:?}");
    assert!(lines[1].parse::<u32>().unwrap() >= 3, "{outcome:?}");
    assert!(running.statistics().unwrap().processes >= 1);
    end(&running);
    // On a host with v1 the devices cgroup of the caller's own place may forbid more, never less.
    check_devices(scene.spec(&[]), |spec| {
        let (running, ends) = start_on(&host, spec);
        let outcome = finish(running.init(), ends);
        running.destroy().unwrap();
        outcome.output
    });
}

fn an_orphaned_cgroup_is_found_and_emptied() {
    let scene = Scene::new();
    let spec = scene.spec(&["sleep", "100"]);
    let (running, _ends) = start(&spec).unwrap();
    let found = Cgroup::of(&Host::default(), &spec).unwrap();
    assert_eq!(found.directories(), running.cgroup().directories());
    found.kill().unwrap();
    running.init().wait().unwrap();
    found.remove().unwrap();
    assert_clean(found.directories());
    running.destroy().unwrap();
}

/// A shim that was killed leaves its container's cgroup, with limits and perhaps processes.
fn a_left_cgroup_is_made_anew() {
    let scene = Scene::new();
    let mut spec = scene.spec(&["sleep", "100"]);
    spec.resources.pids_limit = Some(7);
    let (first, _ends) = start(&spec).unwrap();
    spec.resources.pids_limit = None;
    spec.process.arguments = vec!["cat".into(), "/sys/fs/cgroup/pids/pids.max".into()];
    if directory(&first, "pids").is_none() {
        spec.process.arguments[1] = "/sys/fs/cgroup/pids.max".into();
    }
    let other = Scene::new();
    spec.root = other.spec(&[]).root;
    assert_eq!(run(&spec).unwrap().output, "max\n");
    assert_eq!(first.init().wait().unwrap().code, 137);
}
