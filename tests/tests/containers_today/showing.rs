//! `GET /containers/{id}/json`.

use super::*;

#[test]
fn settings_of_the_host_are_whole_in_each_version() {
    let engine = Today::start();
    let id = engine.create(&sh("true"));
    for (field, since, until) in [
        ("LxcConf", 20, 22),
        ("KernelMemory", 21, 42),
        ("OomScoreAdj", 21, 99),
        ("BlkioDeviceReadIOps", 22, 99),
        ("PidsLimit", 23, 99),
        ("ShmSize", 24, 99),
        ("IOMaximumIOps", 24, 99),
        ("AutoRemove", 25, 99),
        ("NanoCpus", 25, 99),
        ("DeviceCgroupRules", 28, 99),
        ("MaskedPaths", 38, 99),
        ("DeviceRequests", 40, 99),
        ("KernelMemoryTCP", 40, 42),
        ("CgroupnsMode", 41, 99),
    ] {
        for version in [20, 21, 22, 23, 24, 25, 28, 37, 38, 40, 41, 42, 55] {
            let shown = has(&host(&engine.at(&format!("1.{version}")), &id), field);
            assert_eq!(shown, (since..until).contains(&version), "{field} in 1.{version}");
        }
    }
    assert_eq!(host(&engine.at("1.39"), &id)["PidsLimit"], 0);
    let unified = std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    let cgroups = if unified { "private" } else { "host" };
    let today = host(&engine, &id);
    for (field, value) in [
        ("PidsLimit", Value::Null),
        ("ShmSize", json!(64 << 20)),
        ("IpcMode", json!("private")),
        ("CgroupnsMode", json!(cgroups)),
        ("Runtime", json!("berth")),
        ("PortBindings", json!({})),
        ("RestartPolicy", json!({ "Name": "no", "MaximumRetryCount": 0 })),
        ("LogConfig", json!({ "Type": "json-file", "Config": {} })),
        ("ReadonlyPaths", json!(["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"])),
        ("ConsoleSize", json!([0, 0])),
        ("BlkioWeightDevice", Value::Null),
        ("AutoRemove", json!(false)),
    ] {
        assert_eq!(today[field], value, "{field}");
    }
    assert!(today["MaskedPaths"].as_array().expect("paths").contains(&json!("/proc/kcore")));
    let privileged = engine.create(&with("true", json!({ "Privileged": true })));
    assert_eq!(host(&engine, &privileged)["MaskedPaths"], Value::Null);
    let own = engine.create(&with("true", json!({ "MaskedPaths": [], "ReadonlyPaths": ["/etc"] })));
    let own = host(&engine, &own);
    assert_eq!((&own["MaskedPaths"], &own["ReadonlyPaths"]), (&json!([]), &json!(["/etc"])));
}

#[test]
fn what_came_and_went_beside_them() {
    let engine = Today::start();
    let id = engine.create(&sh("true"));
    let at = |version: &str| engine.at(version).inspect(&id);
    for (field, since, until) in
        [("ExecDriver", 20, 24), ("Platform", 32, 99), ("GraphDriver", 20, 99), ("Mounts", 20, 99)]
    {
        for version in [20, 23, 24, 31, 32, 55] {
            let shown = has(&at(&format!("1.{version}")), field);
            assert_eq!(shown, (since..until).contains(&version), "{field} in 1.{version}");
        }
    }
    assert_eq!(at("1.55")["Platform"], "linux");
    assert_eq!(
        (&at("1.24")["Config"]["Labels"], &at("1.23")["Config"]["Labels"]),
        (&json!({}), &Value::Null)
    );
    assert!(has(&at("1.51")["Config"], "OnBuild") && !has(&at("1.52")["Config"], "OnBuild"));
    assert!(!has(&at("1.20")["State"], "Status"));
    assert_eq!(at("1.21")["State"]["Status"], "created");
}

#[test]
fn states_have_words() {
    let engine = Today::start();
    let id = engine.create(&sh("until [ -e /go ]; do sleep 0.02; done; exit 3"));
    let state = |word: &str| assert_eq!(engine.state(&id, "Status"), word);
    state("created");
    engine.start(&id);
    state("running");
    let _ = engine.post(&format!("/containers/{id}/pause")).expect(204);
    state("paused");
    let _ = engine.post(&format!("/containers/{id}/unpause")).expect(204);
    assert_eq!(engine.exec(&id, &["touch", "/go"]).code, 0);
    assert_eq!(engine.wait(&id), 3);
    state("exited");
    let broken = engine.create(&json!({ "Image": "busybox", "Cmd": ["nosuchcommand"] }));
    let refused = engine.post(&format!("/containers/{broken}/start")).expect(400).message();
    let words = "exec: \"nosuchcommand\": executable file not found in $PATH";
    assert_eq!(refused, format!("Cannot start container {broken}: {words}"));
    assert_eq!([engine.state(&broken, "Status"), engine.state(&broken, "Error")], ["created", words]);
    let device =
        json!({ "PathOnHost": "/dev/nosuch", "PathInContainer": "/dev/x", "CgroupPermissions": "rwm" });
    let broken = engine.create(&merged(sh("true"), json!({ "HostConfig": { "Devices": [device] } })));
    let _ = engine.post(&format!("/containers/{broken}/start")).expect(500);
}

#[test]
fn sizes_are_shown_where_they_are_asked_for() {
    let engine = Today::start();
    let id = engine.run(&sh("head -c 400000 /dev/zero > /file"));
    let _ = engine.wait(&id);
    let sized = engine.get(&format!("/containers/{id}/json?size=1")).expect(200).json();
    let (own, all) = (sized["SizeRw"].as_u64().expect("bytes"), sized["SizeRootFs"].as_u64().expect("bytes"));
    assert!((400_000..1_000_000).contains(&own) && all > own, "{own} {all}");
    for (client, path) in [
        (engine.at("1.55"), format!("/containers/{id}/json")),
        (engine.at("1.20"), format!("/containers/{id}/json?size=1")),
    ] {
        let plain = client.get(&path).expect(200).json();
        assert!(!has(&plain, "SizeRw") && !has(&plain, "SizeRootFs"), "{path}");
    }
}
