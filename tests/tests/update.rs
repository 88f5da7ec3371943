//! `POST /containers/{name}/update` since 1.22: limits of running and stopped containers, and the restart policy.

use berth_tests::today::Today;
use berth_tests::{Client, LoopDevice, cgroup, merged, sh, wait};
use serde_json::{Value, json};

const MEBIBYTE: i64 = 1 << 20;

fn idle(host: Value) -> Value {
    merged(sh("sleep 600"), json!({ "HostConfig": host }))
}

fn update(client: &Client, container: &str, body: Value) -> Value {
    client.post_json(&format!("/containers/{container}/update"), &body).expect(200).json()
}

fn refused(client: &Client, container: &str, body: Value, status: u16) -> String {
    let answer = client.post_json(&format!("/containers/{container}/update"), &body).expect(status);
    answer.message().to_lowercase()
}

fn memory(client: &Client, container: &str) -> String {
    cgroup::read(client.pid(container), "memory", "memory.limit_in_bytes", "memory.max")
}

fn processes(client: &Client, container: &str) -> String {
    cgroup::read(client.pid(container), "pids", "pids.max", "pids.max")
}

fn shown(client: &Client, container: &str, field: &str) -> Value {
    client.inspect(container)["HostConfig"][field].clone()
}

#[test]
fn a_running_container_gets_other_limits_at_once() {
    let engine = Today::start();
    let container = engine.run(&idle(json!({ "Memory": 64 * MEBIBYTE })));
    let pid = engine.pid(&container);
    assert_eq!(update(&engine, &container, json!({ "Memory": 96 * MEBIBYTE })), json!({ "Warnings": null }));
    assert_eq!(memory(&engine, &container), (96 * MEBIBYTE).to_string());
    assert_eq!(shown(&engine, &container, "Memory"), 96 * MEBIBYTE);
    let _ = update(&engine, &container, json!({ "PidsLimit": 50, "NanoCpus": 500_000_000 }));
    assert_eq!(processes(&engine, &container), "50");
    let _ = update(&engine.at("1.39"), &container, json!({ "PidsLimit": 77 }));
    let _ = update(&engine, &container, json!({ "CpuShares": 300 }));
    assert_eq!(processes(&engine, &container), "50", "1.39 has no such limit, and others leave it");
    let _ = update(&engine, &container, json!({ "PidsLimit": -1 }));
    assert_eq!(
        (processes(&engine, &container).as_str(), shown(&engine, &container, "PidsLimit")),
        ("max", json!(0))
    );
    assert_eq!(engine.pid(&container), pid, "it goes on");
    let text = refused(&engine, &container, json!({ "CpuQuota": 20_000 }), 409);
    assert!(text.contains("nanocpus"), "{text}");
    let text = refused(&engine, &container, json!({ "Memory": 400 * MEBIBYTE }), 409);
    assert!(text.contains("memoryswap"), "{text}");
    assert_eq!(memory(&engine, &container), (96 * MEBIBYTE).to_string());
}

#[test]
fn what_was_changed_holds_over_starts_and_daemons() {
    let mut engine = Today::start();
    let container = engine.create(&idle(json!({})));
    let body = json!({ "Memory": 64 * MEBIBYTE, "MemorySwap": 64 * MEBIBYTE, "PidsLimit": 20 });
    let _ = update(&engine, &container, body);
    engine.start(&container);
    let limits = |client: &Client| (memory(client, &container), processes(client, &container));
    assert_eq!(limits(&engine), ((64 * MEBIBYTE).to_string(), "20".to_owned()));
    let _ = update(&engine, &container, json!({ "PidsLimit": 33 }));
    engine.daemon.replace_daemon();
    assert_eq!(shown(&engine, &container, "PidsLimit"), 33);
    let _ = engine.post(&format!("/containers/{container}/restart?t=0")).expect(204);
    assert_eq!(limits(&engine), ((64 * MEBIBYTE).to_string(), "33".to_owned()));
}

/// Since cgroups of version 2 have neither, a warning is what they give.
#[test]
fn swappiness_and_the_killer_of_processes_are_changed_where_the_kernel_has_them() {
    let engine = Today::start();
    let running = engine.run(&idle(json!({ "Memory": 64 * MEBIBYTE })));
    let stopped = engine.create(&idle(json!({ "Memory": 64 * MEBIBYTE })));
    let asked = json!({ "MemorySwappiness": 10, "OomKillDisable": true });
    let warnings = [&running, &stopped].map(|container| update(&engine, container, asked.clone()));
    assert_eq!(warnings[0], warnings[1]);
    if cgroup::is_unified() {
        assert_eq!(warnings[0]["Warnings"].as_array().map(Vec::len), Some(2), "{}", warnings[0]);
        return;
    }
    assert_eq!(warnings[0]["Warnings"], Value::Null);
    engine.start(&stopped);
    for container in [&running, &stopped] {
        let pid = engine.pid(container);
        assert_eq!(cgroup::read(pid, "memory", "memory.swappiness", ""), "10");
        let control = cgroup::read(pid, "memory", "memory.oom_control", "");
        assert!(control.contains("oom_kill_disable 1"), "{control}");
        assert_eq!(shown(&engine, container, "MemorySwappiness"), 10);
    }
    let refused =
        engine.post_json(&format!("/containers/{running}/update"), &json!({ "OomKillDisable": false }));
    assert!(refused.expect(409).message().ends_with("cannot be taken back while the container runs"));
    let _ = update(&engine, &running, json!({ "OomKillDisable": null }));
    assert_eq!(shown(&engine, &running, "OomKillDisable"), true);
    let _ = engine.post(&format!("/containers/{stopped}/kill")).expect(204);
    let _ = engine.wait(&stopped);
    let _ = update(&engine, &stopped, json!({ "OomKillDisable": false }));
    assert_eq!(shown(&engine, &stopped, "OomKillDisable"), false);
}

#[test]
fn what_holds_from_the_create_on_is_refused() {
    let engine = Today::start();
    let container = engine.create(&idle(json!({})));
    let path = format!("/containers/{container}/update");
    let device =
        json!([{ "PathOnHost": "/dev/null", "PathInContainer": "/dev/x", "CgroupPermissions": "r" }]);
    for (name, value) in [
        ("Devices", device),
        ("DeviceCgroupRules", json!(["c 1:11 w"])),
        ("DeviceRequests", json!([{ "Driver": "cdi", "DeviceIDs": ["a/b=c"] }])),
        ("Ulimits", json!([{ "Name": "nofile", "Soft": 1, "Hard": 2 }])),
        ("Init", json!(true)),
        ("CgroupParent", json!("/other")),
    ] {
        let refused = engine.post_json(&path, &json!({ name: value })).expect(400).message();
        assert_eq!(refused, format!("{name} cannot be updated: it holds from the create on"));
    }
    let refused = engine.post_json(&path, &json!({ "CpuRealtimeRuntime": 1000 })).expect(400).message();
    assert_eq!(refused, "CpuRealtimeRuntime is not supported: real-time CPU time cannot be shared out");
    // As `docker update` sends them.
    let nothing = json!({ "Devices": [], "DeviceCgroupRules": null, "DeviceRequests": null, "Ulimits": null,
                          "CgroupParent": "", "CpuRealtimePeriod": 0, "CpuCount": 0, "OomKillDisable": null });
    let _ = engine.post_json(&path, &nothing).expect(200);
}

#[test]
fn a_restart_policy_counts_at_the_next_exit() {
    let engine = Today::start();
    let script = "until [ -e /go ]; do sleep 0.1; done; exit 3";
    let fails = engine.run(&sh(script));
    let policy = json!({ "Name": "on-failure", "MaximumRetryCount": 2 });
    let _ = update(&engine, &fails, json!({ "RestartPolicy": policy }));
    let _ = update(&engine, &fails, json!({ "RestartPolicy": {} }));
    assert_eq!(shown(&engine, &fails, "RestartPolicy"), policy);
    let ends =
        engine.run(&merged(sh(script), json!({ "HostConfig": { "RestartPolicy": { "Name": "always" } } })));
    let _ = update(&engine, &ends, json!({ "RestartPolicy": { "Name": "no" } }));
    for container in [&fails, &ends] {
        let _ = engine.exec(container, &["touch", "/go"]);
    }
    wait::until("the restarts", || {
        let found = engine.inspect(&fails);
        (found["RestartCount"] == 2 && found["State"]["Running"] == false).then_some(())
    });
    wait::until("the end", || (engine.state(&ends, "Running") == false).then_some(()));
    assert_eq!(
        (engine.inspect(&ends)["RestartCount"].clone(), engine.state(&ends, "ExitCode")),
        (json!(0), json!(3))
    );
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let engine = Today::start();
    let container = engine.run(&idle(json!({})));
    let before = engine.inspect(&container)["HostConfig"].clone();
    for (body, words) in [
        (json!({ "Memory": 1024 }), "memory"),
        (json!({ "CpuQuota": 10 }), "quota"),
        (json!({ "CpuPeriod": 10 }), "period"),
        (json!({ "NanoCpus": -1 }), "cpus"),
        (json!({ "CpusetCpus": "4095" }), "cpu"),
        (json!({ "CpusetCpus": "abc" }), "abc"),
        (json!({ "Memory": "x" }), "memory"),
        (json!({ "RestartPolicy": { "Name": "nonsense" } }), "nonsense"),
        (json!({ "RestartPolicy": { "Name": "always", "MaximumRetryCount": 3 } }), "retry count"),
        (json!({ "RestartPolicy": { "Name": "on-failure", "MaximumRetryCount": -3 } }), "negative"),
    ] {
        let text = refused(&engine, &container, body.clone(), 400);
        assert!(text.contains(words), "{body}: {text}");
    }
    assert_eq!(engine.inspect(&container)["HostConfig"], before);
    let _ = update(&engine, &container, json!({}));
    assert_eq!(engine.inspect(&container)["HostConfig"], before);
    let removed = engine.create(&idle(json!({ "AutoRemove": true })));
    let text = refused(&engine, &removed, json!({ "RestartPolicy": { "Name": "always" } }), 409);
    assert!(text.contains("autoremove"), "{text}");
    let _ = refused(&engine, "nosuch", json!({}), 404);
    let _ = engine.at("1.21").post_json(&format!("/containers/{container}/update"), &json!({})).expect(404);
}

#[test]
fn an_update_is_told_and_a_refused_one_is_not() {
    let engine = Today::start();
    let container = engine.create(&idle(json!({ "Memory": 64 * MEBIBYTE })));
    let _ = refused(&engine, &container, json!({ "Memory": 400 * MEBIBYTE }), 409);
    let _ = update(&engine, &container, json!({ "CpuShares": 128 }));
    let events = engine.past_events(&json!({ "event": ["update"] }));
    assert_eq!(events.len(), 1, "{events:?}");
    assert!(events[0].to_string().contains(&container), "{events:?}");
}

#[test]
fn limits_of_devices_that_are_listed_no_more_are_lifted() {
    let engine = Today::start();
    let devices = ["one", "two"].map(|name| LoopDevice::new(&engine.daemon.directory().join(name)));
    let [first, second] = devices.each_ref().map(LoopDevice::path);
    let container = engine.run(&idle(json!({})));
    let pid = engine.pid(&container);
    for (field, legacy) in [
        ("BlkioDeviceReadBps", "blkio.throttle.read_bps_device"),
        ("BlkioDeviceWriteBps", "blkio.throttle.write_bps_device"),
        ("BlkioDeviceReadIOps", "blkio.throttle.read_iops_device"),
        ("BlkioDeviceWriteIOps", "blkio.throttle.write_iops_device"),
    ] {
        let read = || cgroup::read(pid, "blkio", legacy, "io.max");
        let _ = update(&engine, &container, json!({ field: [{ "Path": first, "Rate": 1_000_001 }] }));
        assert!(read().contains("1000001"), "{field}: {}", read());
        let _ = update(&engine, &container, json!({ field: [{ "Path": second, "Rate": 2_000_002 }] }));
        assert!(read().contains("2000002") && !read().contains("1000001"), "{field}: {}", read());
    }
}

#[test]
fn an_update_that_a_silent_shim_does_not_answer_holds_nowhere() {
    let engine = Today::start();
    let container = engine.run(&idle(json!({ "Memory": 64 * MEBIBYTE, "CpuShares": 700 })));
    let shims: Vec<u32> = engine.daemon.shims().into_iter().collect();
    let [shim] = shims[..] else { panic!("one shim, not {shims:?}") };
    let signal = |name: &str| {
        let status = std::process::Command::new("kill").args([name, &shim.to_string()]).status();
        assert!(status.expect("kill(1)").success());
    };
    signal("-STOP");
    let asked = json!({ "Memory": 96 * MEBIBYTE, "CpuShares": 300, "CpuQuota": 50_000 });
    let answer = engine.post_json(&format!("/containers/{container}/update"), &asked);
    signal("-CONT");
    assert_eq!(answer.status(), 500, "{}", answer.text());
    // Behind what was not answered.
    let _ = update(&engine, &container, json!({ "PidsLimit": 50 }));
    assert_eq!(
        (processes(&engine, &container).as_str(), shown(&engine, &container, "Memory")),
        ("50", json!(64 * MEBIBYTE))
    );
    assert_eq!(memory(&engine, &container), (64 * MEBIBYTE).to_string());
    let pid = engine.pid(&container);
    assert_eq!(
        cgroup::read(pid, "cpu", "cpu.shares", "cpu.weight"),
        if cgroup::is_unified() { "27" } else { "700" }
    );
    let quota = cgroup::read(pid, "cpu", "cpu.cfs_quota_us", "cpu.max");
    assert!(["-1", "max 100000"].contains(&quota.as_str()), "{quota}");
}

#[test]
fn swap_is_written_down_at_the_create_and_left_by_updates_of_the_memory() {
    let engine = Today::start();
    let swap = |id: &str| shown(&engine, id, "MemorySwap");
    let container = engine.create(&idle(json!({ "Memory": 64 * MEBIBYTE })));
    assert_eq!(swap(&container), 128 * MEBIBYTE);
    let _ = update(&engine, &container, json!({ "Memory": 120 * MEBIBYTE }));
    assert_eq!(swap(&container), 128 * MEBIBYTE);
    let text = refused(&engine, &container, json!({ "Memory": 240 * MEBIBYTE }), 409);
    assert!(text.contains("already set memoryswap limit"), "{text}");
    // 1.20 shows it as it was given.
    let old = engine.daemon.create(&idle(json!({ "Memory": 64 * MEBIBYTE })));
    assert_eq!(engine.daemon.inspect(&old)["HostConfig"]["MemorySwap"], 0);
}
