//! The limits of `HostConfig` reach the kernel, with version 1 and with version 2 of cgroups.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

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
fn memory_that_runs_out_is_reported() {
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
        sh(
            "until [ -e /go ]; do sleep 0.05; done; i=0; while [ $i -lt 30 ]; do sleep 60 & i=$((i+1)); done; echo all",
        ),
        json!({ "HostConfig": { "PidsLimit": 10 } }),
    );
    let id = engine.run(&body);
    let pid = engine.pid(&id);
    assert_eq!(cgroup::read(pid, "pids", "pids.max", "pids.max"), "10");
    std::fs::write(format!("/proc/{pid}/root/go"), "").expect("a file");
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
    let frozen = || cgroup::is_frozen(pid);
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
    let own = engine.exec(&id, &["sh", "-c", "sleep 600 & cat /proc/self/cgroup"]);
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

/// Makes a container and gives its id and the warnings about it.
fn warned(engine: &Engine, host: Value) -> (String, Value) {
    let body = merged(sh("sleep 600"), json!({ "HostConfig": host }));
    let answer = engine.post_json("/containers/create", &body).expect(201).json();
    (answer["Id"].as_str().expect("an id").to_owned(), answer["Warnings"].clone())
}

#[test]
fn memory_under_pressure() {
    let engine = Engine::start();
    let host = json!({ "Memory": 33_554_432, "MemorySwap": -1, "MemoryReservation": 16_777_216, "MemorySwappiness": 60,
                       "OomKillDisable": true, "OomScoreAdj": 321 });
    let (id, warnings) = warned(&engine, host);
    engine.start(&id);
    let pid = engine.pid(&id);
    assert_eq!(cgroup::read(pid, "memory", "memory.soft_limit_in_bytes", "memory.low"), "16777216");
    if is_unified() {
        let lacking = [
            "Your kernel does not support memory swappiness capabilities, memory swappiness discarded.",
            "Your kernel does not support OomKillDisable, discarding.",
        ];
        assert_eq!(warnings, json!(lacking));
        assert_eq!(cgroup::read(pid, "memory", "", "memory.swap.max"), "max");
    } else {
        assert_eq!(warnings, Value::Null);
        assert_eq!(cgroup::read(pid, "memory", "memory.swappiness", ""), "60");
        assert!(cgroup::read(pid, "memory", "memory.oom_control", "").contains("oom_kill_disable 1"));
    }
    let score = std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).expect("the score");
    assert_eq!(score, "321\n");
    let shown = engine.inspect(&id)["HostConfig"].clone();
    assert_eq!((&shown["MemorySwap"], &shown["MemoryReservation"]), (&json!(-1), &json!(16_777_216)));
    let kernel_memory = warned(&engine, json!({ "KernelMemory": 8_388_608 })).1;
    assert_eq!(
        kernel_memory.as_array().map(Vec::len),
        Some(1),
        "nothing limits it any more: {kernel_memory}"
    );
}

#[test]
fn as_much_swap_as_memory() {
    let engine = Engine::start();
    let (id, pid) = limited(&engine, json!({ "Memory": 33_554_432, "MemorySwappiness": -1 }));
    let both = cgroup::directory(pid, "memory").join("memory.memsw.limit_in_bytes");
    if is_unified() || both.exists() {
        let wanted = if is_unified() { "33554432" } else { "67108864" };
        assert_eq!(cgroup::read(pid, "memory", "memory.memsw.limit_in_bytes", "memory.swap.max"), wanted);
    }
    let shown = engine.inspect(&id)["HostConfig"].clone();
    assert_eq!((&shown["MemorySwap"], &shown["MemorySwappiness"]), (&json!(0), &json!(-1)), "as given");
}

#[test]
fn a_kill_for_memory_is_an_event() {
    let engine = Engine::start();
    let command = ["dd", "if=/dev/zero", "of=/dev/null", "bs=80M", "count=1"];
    let host = json!({ "Memory": 16_777_216, "MemorySwap": 16_777_216 });
    let id = engine.run(&json!({ "Image": "busybox", "Cmd": command, "HostConfig": host }));
    assert_eq!(engine.wait(&id), 137);
    let (oom, die) = (json!("oom"), json!("die"));
    let told = || {
        let until = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_secs() + 1;
        let text = engine.get(&format!("/events?since=1&until={until}")).text();
        let parsed = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let of_it: Vec<Value> =
            parsed.filter(|event| event["id"] == id.as_str()).map(|event| event["status"].clone()).collect();
        (of_it.contains(&oom) && of_it.contains(&die)).then_some(())
    };
    wait::until("the events", told);
    assert_eq!(engine.state(&id, "OOMKilled"), true);
}

#[test]
fn parts_of_processors() {
    let engine = Engine::start();
    let (_, pid) = limited(&engine, json!({ "NanoCpus": 500_000_000, "CpusetMems": "0" }));
    if is_unified() {
        assert_eq!(cgroup::read(pid, "cpu", "", "cpu.max"), "50000 100000");
    } else {
        assert_eq!(cgroup::read(pid, "cpu", "cpu.cfs_quota_us", ""), "50000");
    }
    assert_eq!(cgroup::read(pid, "cpuset", "cpuset.mems", "cpuset.mems"), "0");
    let (_, pid) = limited(&engine, json!({ "CpuQuota": -1, "PidsLimit": -1 }));
    assert_eq!(cgroup::read(pid, "pids", "pids.max", "pids.max"), "max");
}

#[test]
fn block_devices() {
    let engine = Engine::start();
    let (id, warnings) = warned(&engine, json!({ "BlkioWeight": 300 }));
    engine.start(&id);
    let directory = cgroup::directory(engine.pid(&id), "blkio");
    let read = |name: &str| std::fs::read_to_string(directory.join(name)).unwrap_or_default();
    if warnings.is_null() {
        let scales = [
            ("blkio.weight", "300"),
            ("blkio.bfq.weight", "300"),
            ("io.weight", "2930"),
            ("io.bfq.weight", "300"),
        ];
        assert!(
            scales.iter().any(|(name, value)| read(name).contains(value)),
            "no weight in {}",
            directory.display()
        );
    } else {
        assert_eq!(warnings, json!(["Your kernel does not support Block I/O weight. Weight discarded."]));
    }
    let devices = std::fs::read_dir("/sys/block").expect("/sys/block").flatten();
    let names = devices.map(|entry| format!("/dev/{}", entry.file_name().to_string_lossy()));
    let Some(path) = names.into_iter().find(|path| Path::new(path).exists()) else {
        eprintln!("this host has no block device: limits of single devices are not tested");
        return;
    };
    let host = json!({ "BlkioDeviceReadBps": [{ "Path": path, "Rate": 1_048_576 }],
                       "BlkioDeviceWriteIOps": [{ "Path": path, "Rate": 77 }] });
    let (_, pid) = limited(&engine, host);
    let read = cgroup::read(pid, "blkio", "blkio.throttle.read_bps_device", "io.max");
    assert!(read.contains("1048576"), "{read}");
    let written = cgroup::read(pid, "blkio", "blkio.throttle.write_iops_device", "io.max");
    assert!(written.contains("77"), "{written}");
}

#[test]
fn groups_above_are_made_and_go_again() {
    let engine = Engine::start();
    let name = format!("berth-test-{}", std::process::id());
    for parent in [format!("/{name}/a"), format!("{name}/b")] {
        let (id, pid) = limited(&engine, json!({ "CgroupParent": parent }));
        let controller = if is_unified() { "" } else { "memory" };
        let directory = cgroup::directory(pid, controller);
        let plain = parent.trim_start_matches('/');
        assert!(directory.ends_with(format!("{plain}/{id}")), "{}", directory.display());
        assert_eq!(engine.inspect(&id)["HostConfig"]["CgroupParent"], parent.as_str());
        engine.remove(&id);
        let above = directory.parent().expect("the group above");
        wait::until("the group's end", || (!directory.exists()).then_some(()));
        let _ = std::fs::remove_dir(above);
    }
    for controller in std::fs::read_dir("/sys/fs/cgroup").expect("cgroups").flatten() {
        let top = if is_unified() {
            Path::new("/sys/fs/cgroup").join(&name)
        } else {
            controller.path().join(&name)
        };
        for directory in [top.join("a"), top.join("b"), top.clone()] {
            let _ = std::fs::remove_dir(&directory);
        }
        assert!(!top.exists(), "{} is still used", top.display());
    }
}
