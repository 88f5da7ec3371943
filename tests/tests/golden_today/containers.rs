//! Containers: made, listed, inspected, run, updated, removed.

use berth_tests::golden::{Request, answer, kinds, settled};
use berth_tests::{Engine, merged, sh, wait};
use serde_json::{Value, json};

use crate::{check, check_all, check_kinds, check_posts};

#[test]
fn a_container_that_has_not_run() {
    let engine = Engine::start();
    let id = engine.create_named("golden", &settled());
    check_all(
        &engine,
        &[
            ("container-inspect", "GET", &format!("/containers/{id}/json")),
            ("container-list", "GET", "/containers/json?all=1"),
            ("container-unknown", "GET", "/containers/nosuch/json"),
            ("container-top-not-running", "GET", &format!("/containers/{id}/top")),
            ("container-kill-not-running", "POST", &format!("/containers/{id}/kill")),
            ("container-pause-not-running", "POST", &format!("/containers/{id}/pause")),
            ("container-resize-not-running", "POST", &format!("/containers/{id}/resize?h=1&w=1")),
            ("container-attach-unknown", "POST", "/containers/nosuch/attach"),
            ("container-bad-name", "POST", &format!("/containers/{id}/rename?name=%2F%2F")),
            ("container-bad-filter", "GET", "/containers/json?filters=%7B%22nosuch%22:%5B%22x%22%5D%7D"),
            ("container-archive-unknown", "GET", &format!("/containers/{id}/archive?path=/nosuch")),
            ("container-logs-of-nothing", "GET", &format!("/containers/{id}/logs")),
            ("checkpoint-list", "GET", &format!("/containers/{id}/checkpoints")),
            ("container-start-unknown", "POST", "/containers/nosuch/start"),
        ],
    );
    check_posts(
        &engine,
        &[
            ("container-update", &format!("/containers/{id}/update"), json!({ "CpuShares": 512 })),
            ("container-update-refused", &format!("/containers/{id}/update"), json!({ "Memory": 5 })),
            ("container-update-unknown", "/containers/nosuch/update", json!({})),
        ],
    );
    check_kinds(&engine, "container-stats-not-running", &format!("/containers/{id}/stats?stream=false"));
}

#[test]
fn a_container_with_mounts_health_and_a_network() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let network = json!({ "Name": "golden", "IPAM": { "Config": [{ "Subnet": "10.77.0.0/24" }] } });
    let _ = today.post_json("/networks/create", &network).expect(201);
    let body = json!({
        "Image": "busybox", "Cmd": ["sleep", "600"], "StopSignal": "SIGINT", "StopTimeout": 3, "User": "0:0",
        "Healthcheck": { "Test": ["CMD", "true"], "Interval": 3_600_000_000_000_u64, "StartInterval": 1_000_000_000 },
        "HostConfig": {
            "NetworkMode": "golden", "Init": true, "Annotations": { "a": "b" },
            "Tmpfs": { "/memory": "size=1m" },
            "Mounts": [
                { "Type": "volume", "Source": "kept", "Target": "/kept" },
                { "Type": "tmpfs", "Target": "/scratch", "TmpfsOptions": { "SizeBytes": 4096, "Mode": 448 } },
                { "Type": "bind", "Source": "/usr", "Target": "/usr2", "ReadOnly": true },
            ],
            "LogConfig": { "Type": "local", "Config": { "max-size": "1m" } },
            "Ulimits": [{ "Name": "nofile", "Soft": 100, "Hard": 200 }],
            "RestartPolicy": { "Name": "on-failure", "MaximumRetryCount": 2 },
            "DeviceCgroupRules": ["c 1:3 mr"], "PidsLimit": 50,
        },
        "NetworkingConfig": { "EndpointsConfig": { "golden": {
            "Aliases": ["shop"], "IPAMConfig": { "IPv4Address": "10.77.0.7" }, "MacAddress": "02:42:0a:4d:00:07",
        } } },
    });
    let id = today.post_json("/containers/create?name=shop", &body).expect(201).json()["Id"].clone();
    let id = id.as_str().expect("an id");
    check_all(
        &engine,
        &[
            ("container-full-inspect", "GET", &format!("/containers/{id}/json")),
            ("container-full-list", "GET", "/containers/json?all=1"),
        ],
    );
    let _ = today.post(&format!("/containers/{id}/start")).expect(204);
    check_kinds(&engine, "running-full-inspect", &format!("/containers/{id}/json"));
    check_kinds(&engine, "running-full-list", "/containers/json");
    check_kinds(&engine, "running-network", "/networks/golden");
    let _ = today.delete(&format!("/containers/{id}?force=1")).expect(204);
    let _ = today.delete("/networks/golden").expect(204);
    let _ = today.delete("/volumes/kept").expect(204);
}

#[test]
fn a_container_that_has_ended() {
    let engine = Engine::start();
    let id = engine.create_named("golden", &merged(settled(), sh("echo made > /made; exit 3")));
    engine.start(&id);
    assert_eq!(engine.wait(&id), 3);
    check_all(
        &engine,
        &[
            ("ended-wait", "POST", &format!("/containers/{id}/wait")),
            ("ended-wait-badly", "POST", &format!("/containers/{id}/wait?condition=nosuch")),
            ("ended-stop", "POST", &format!("/containers/{id}/stop")),
            ("ended-changes", "GET", &format!("/containers/{id}/changes")),
        ],
    );
    check("ended-inspect", |version| {
        let mut seen = answer(&engine, version, &Request::new("GET", &format!("/containers/{id}/json")));
        // It is of the host how long the log's path is, and which files it is.
        seen["body"] = seen["body"]["State"].take();
        seen
    });
    check("container-commit", |version| {
        let path = format!("/commit?container={id}&repo=committed");
        let seen = answer(&engine, version, &Request::new("POST", &path));
        let _ = engine.delete("/images/committed").expect(200);
        seen
    });
    check("container-remove-unknown", |version| {
        answer(&engine, version, &Request::new("DELETE", "/containers/nosuch"))
    });
    engine.remove(&id);
    check_all(&engine, &[("container-prune-nothing", "POST", "/containers/prune")]);
}

#[test]
fn a_container_that_runs() {
    let engine = Engine::start();
    let published = json!({ "HostConfig": { "PortBindings": { "80/tcp": [{ "HostPort": "" }] } } });
    let id = engine
        .create_named("running", &merged(settled(), merged(sh("echo said; exec sleep 600"), published)));
    engine.start(&id);
    wait::until("the log has its line", || {
        (!engine.get(&format!("/containers/{id}/logs?stdout=1")).body.is_empty()).then_some(())
    });
    check_kinds(&engine, "running-inspect", &format!("/containers/{id}/json"));
    check_kinds(&engine, "running-list", "/containers/json?size=1");
    check_kinds(&engine, "running-top", &format!("/containers/{id}/top"));
    check("running-stats", |version| {
        let path = format!("/containers/{id}/stats?stream=false");
        let mut seen = answer(&engine, version, &Request::new("GET", &path));
        seen["body"] = kinds(&seen["body"]);
        // Their fields are the kernel's.
        for field in ["memory_stats", "blkio_stats"] {
            seen["body"][field] = json!(seen["body"][field].is_object());
        }
        seen
    });
    check_all(
        &engine,
        &[
            ("running-start", "POST", &format!("/containers/{id}/start")),
            ("running-logs", "GET", &format!("/containers/{id}/logs?stdout=1&stderr=1")),
            ("running-unpause-not-paused", "POST", &format!("/containers/{id}/unpause")),
            ("running-remove", "DELETE", &format!("/containers/{id}")),
        ],
    );
    check_kinds(&engine, "disk-usage", "/system/df");
    check_kinds(&engine, "disk-usage-verbose", "/system/df?verbose=1&type=container");
}

#[test]
fn answers_to_create() {
    let engine = Engine::start();
    let with = |settings: Value| merged(sh("true"), settings);
    check_posts(
        &engine,
        &[
            ("container-create", "/containers/create", sh("true")),
            (
                "container-create-unknown-image",
                "/containers/create",
                json!({ "Image": "nosuch", "Cmd": ["true"] }),
            ),
            ("container-create-wrong-type", "/containers/create", json!({ "Image": "busybox", "Cmd": 5 })),
            ("container-create-no-command", "/containers/create", json!({ "Image": "busybox", "Cmd": null })),
            ("container-create-bad-name", "/containers/create?name=a%20b", sh("true")),
            (
                "container-create-unknown-network",
                "/containers/create",
                with(json!({ "HostConfig": { "NetworkMode": "nosuch" } })),
            ),
            (
                "container-create-two-mounts",
                "/containers/create",
                with(json!({ "HostConfig": { "Mounts": [
                    { "Type": "tmpfs", "Target": "/a" }, { "Type": "tmpfs", "Target": "/a" },
                ] } })),
            ),
            (
                "container-create-image-mount",
                "/containers/create",
                with(json!({ "HostConfig": { "Mounts": [
                    { "Type": "image", "Source": "busybox", "Target": "/a" },
                ] } })),
            ),
            (
                "container-create-driver-beside-mounts",
                "/containers/create",
                with(json!({ "HostConfig": {
                    "VolumeDriver": "local",
                    "Mounts": [{ "Type": "volume", "Target": "/a", "VolumeOptions": { "NoCopy": true } }],
                } })),
            ),
        ],
    );
    // Anonymous volumes of mounts.
    for container in engine.get("/containers/json?all=1").expect(200).json().as_array().expect("a list") {
        let id = container["Id"].as_str().expect("an id");
        let _ = engine.delete(&format!("/containers/{id}?v=1")).expect(204);
    }
}
