//! The limits of `HostConfig` reach the kernel, with version 1 and with version 2 of cgroups.

use std::path::Path;

use berth_tests::cgroup::{self, is_unified};
use berth_tests::{Engine, merged, sh, wait};
use serde_json::{Value, json};

/// A running container with limits, and its pid.
fn limited(engine: &Engine, host: Value) -> (String, u32) {
    let id = engine.run(&merged(sh("sleep 600"), json!({ "HostConfig": host })));
    let pid = engine.pid(&id);
    (id, pid)
}

#[test]
fn memory() {
    let engine = Engine::start();
    let (_, pid) = limited(&engine, json!({ "Memory": 33_554_432, "MemorySwap": 50_331_648 }));
    assert_eq!(cgroup::read(pid, "memory", "memory.limit_in_bytes", "memory.max"), "33554432");
    let swap = if is_unified() { "16777216" } else { "50331648" };
    let file = cgroup::directory(pid, "memory").join("memory.memsw.limit_in_bytes");
    if is_unified() || file.exists() {
        assert_eq!(cgroup::read(pid, "memory", "memory.memsw.limit_in_bytes", "memory.swap.max"), swap);
    }
}

#[test]
fn memory_that_runs_out_is_told() {
    let engine = Engine::start();
    let host = json!({ "Memory": 16_777_216, "MemorySwap": 16_777_216 });
    let body = json!({ "Image": "busybox", "Cmd": ["dd", "if=/dev/zero", "of=/dev/null", "bs=80M", "count=1"], "HostConfig": host });
    let id = engine.run(&body);
    assert_eq!(engine.wait(&id), 137);
    assert_eq!(engine.state(&id, "OOMKilled"), true);
    let quiet = engine.run(&sh("exit 0"));
    let _ = engine.wait(&quiet);
    assert_eq!(engine.state(&quiet, "OOMKilled"), false);
}

#[test]
fn processor_time() {
    let engine = Engine::start();
    let (_, pid) = limited(
        &engine,
        json!({ "CpuShares": 512, "CpuPeriod": 50_000, "CpuQuota": 25_000, "CpusetCpus": "0" }),
    );
    if is_unified() {
        assert_eq!(cgroup::read(pid, "cpu", "", "cpu.max"), "25000 50000");
        assert_eq!(cgroup::read(pid, "cpu", "", "cpu.weight"), "20", "512 of 1024 shares");
    } else {
        assert_eq!(cgroup::read(pid, "cpu", "cpu.shares", ""), "512");
        assert_eq!(cgroup::read(pid, "cpu", "cpu.cfs_quota_us", ""), "25000");
        assert_eq!(cgroup::read(pid, "cpu", "cpu.cfs_period_us", ""), "50000");
    }
    assert_eq!(cgroup::read(pid, "cpuset", "cpuset.cpus", "cpuset.cpus"), "0");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the status");
    assert!(status.contains("Cpus_allowed_list:\t0\n"), "{status}");
}

#[test]
fn processes() {
    let engine = Engine::start();
    let body = merged(
        sh("sleep 1; i=0; while [ $i -lt 30 ]; do sleep 60 & i=$((i+1)); done; echo all"),
        json!({ "HostConfig": { "PidsLimit": 10 } }),
    );
    let id = engine.run(&body);
    assert_eq!(cgroup::read(engine.pid(&id), "pids", "pids.max", "pids.max"), "10");
    assert_ne!(engine.wait(&id), 0, "the shell could make all its processes");
    assert_eq!(engine.logs(&id).0, "");
}

#[test]
fn devices() {
    let engine = Engine::start();
    let script = "mknod /tmp/null c 1 3 && head -c 1 /tmp/null; echo null $?; mknod /tmp/mem c 1 1 && head -c 1 /tmp/mem; echo mem $?
        mknod /tmp/kmsg c 1 11 && head -c 1 /tmp/kmsg; echo kmsg $?";
    let output = engine.output(&sh(script));
    assert_eq!(output.stdout, "null 0\nmem 1\nkmsg 1\n", "{}", output.stderr);
    let device =
        json!([{ "PathOnHost": "/dev/kmsg", "PathInContainer": "/dev/kmsg", "CgroupPermissions": "w" }]);
    let body = merged(
        sh("echo from berth > /dev/kmsg; echo write $?; head -c 1 /dev/kmsg; echo read $?"),
        json!({ "HostConfig": { "Devices": device } }),
    );
    let output = engine.output(&body);
    assert_eq!(output.stdout, "write 0\nread 1\n", "{}", output.stderr);
}

#[test]
fn the_freezer() {
    let engine = Engine::start();
    let (id, pid) = limited(&engine, json!({}));
    let _ = engine.post(&format!("/containers/{id}/pause")).expect(204);
    let frozen = || {
        if is_unified() {
            cgroup::read(pid, "", "", "cgroup.events").contains("frozen 1")
        } else {
            cgroup::read(pid, "freezer", "freezer.state", "") == "FROZEN"
        }
    };
    assert!(frozen(), "pause answers when all stand still");
    let _ = engine.post(&format!("/containers/{id}/unpause")).expect(204);
    assert!(!frozen());
}

#[test]
fn rlimits() {
    let engine = Engine::start();
    let body = merged(
        sh("ulimit -Sn; ulimit -Hn"),
        json!({ "HostConfig": { "Ulimits": [{ "Name": "nofile", "Soft": 512, "Hard": 1024 }] } }),
    );
    assert_eq!(engine.output(&body).stdout, "512\n1024\n");
}

#[test]
fn execs_are_in_the_containers_cgroup() {
    let engine = Engine::start();
    let (id, pid) = limited(&engine, json!({ "Memory": 33_554_432 }));
    let own = engine.exec(&id, &["sh", "-c", "sleep 5 & cat /proc/self/cgroup"]);
    assert_eq!(own.code, 0);
    let controller = if is_unified() { "" } else { "memory" };
    let directory = cgroup::directory(pid, controller);
    let members = std::fs::read_to_string(directory.join("cgroup.procs")).expect("the members");
    assert!(members.lines().count() >= 2, "init and the exec's child: {members}");
}

#[test]
fn the_cgroup_goes_with_the_container() {
    let engine = Engine::start();
    let (id, pid) = limited(&engine, json!({}));
    let controller = if is_unified() { "" } else { "memory" };
    let directory = cgroup::directory(pid, controller);
    assert!(Path::new(&directory).exists());
    let _ = engine.post(&format!("/containers/{id}/stop?t=0")).expect(204);
    wait::until("the cgroup's end", || (!directory.exists()).then_some(()));
}
