//! `POST /containers/create`: what is kept, what is refused.

use berth_tests::{Engine, merged, query, sh};
use serde_json::{Value, json};

#[test]
fn every_field_is_kept_and_shown() {
    let engine = Engine::start();
    let config = json!({
        "Hostname": "h", "Domainname": "example.org", "User": "alice", "AttachStdin": true,
        "AttachStdout": true, "AttachStderr": true, "Tty": true, "OpenStdin": true, "StdinOnce": true,
        "Env": ["A=1", "B=two words"], "Cmd": ["sleep", "600"], "Image": "busybox",
        "Labels": { "k": "v" }, "Volumes": { "/anonymous": {} }, "WorkingDir": "/tmp",
        "ExposedPorts": { "80/tcp": {}, "53/udp": {} }, "MacAddress": "02:42:ac:11:00:99",
    });
    let host = json!({
        "Binds": ["/var/tmp:/host:ro"], "Memory": 67_108_864, "MemorySwap": 134_217_728, "CpuShares": 512,
        "CpuPeriod": 100_000, "CpuQuota": 50_000, "CpusetCpus": "0", "CpusetMems": "0",
        "MemorySwappiness": 60, "OomKillDisable": false, "PidMode": "host", "IpcMode": "host", "UTSMode": "",
        "PortBindings": { "80/tcp": [{ "HostIp": "127.0.0.1", "HostPort": "18081" }] },
        "PublishAllPorts": true, "Privileged": false, "ReadonlyRootfs": true, "Dns": ["10.0.0.1"],
        "DnsSearch": ["example.org"], "ExtraHosts": ["other:10.0.0.2"], "CapAdd": ["NET_ADMIN"],
        "CapDrop": ["MKNOD"], "GroupAdd": ["team"], "NetworkMode": "bridge",
        "RestartPolicy": { "Name": "on-failure", "MaximumRetryCount": 3 },
        "Devices": [{ "PathOnHost": "/dev/null", "PathInContainer": "/dev/x", "CgroupPermissions": "rwm" }],
        "Ulimits": [{ "Name": "nofile", "Soft": 512, "Hard": 1024 }],
        "LogConfig": { "Type": "json-file", "Config": { "max-size": "10m" } }, "SecurityOpt": ["label:disable"],
    });
    let id = engine.create(&merged(config.clone(), json!({ "HostConfig": host })));
    let inspected = engine.inspect(&id);
    for (part, given) in [("Config", &config), ("HostConfig", &host)] {
        for (field, value) in given.as_object().expect("an object") {
            assert_eq!(&inspected[part][field], value, "{part}.{field}");
        }
    }
    assert_eq!(inspected["Path"], "sleep");
    assert_eq!(inspected["Args"], json!(["600"]));
}

#[test]
fn the_answer_has_id_and_warnings() {
    let engine = Engine::start();
    let answer = engine.post_json("/containers/create", &sh("true")).expect(201);
    let body = answer.json();
    let id = body["Id"].as_str().expect("an id");
    assert!(id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    assert!(body["Warnings"].is_null() || body["Warnings"].is_array());
    assert_eq!(answer.head.header("content-type"), Some("application/json"));
}

#[test]
fn names_are_checked_and_taken_once() {
    let engine = Engine::start();
    let path = |name: &str| format!("/containers/create{}", query(&[("name", name)]));
    let id = engine.create_named("taken", &sh("true"));
    for name in ["taken", "/taken"] {
        let answer = engine.post_json(&path(name), &sh("true")).expect(409);
        let wanted = format!(
            "Conflict. The name \"taken\" is already in use by container {}. You have to delete (or rename) \
             that container to be able to reuse that name.\n",
            &id[..12]
        );
        assert_eq!(answer.text(), wanted);
    }
    for name in ["-a", ".a", "_a", "a b", "a!", "a/b", "//a", "/", "é", "a", "0"] {
        let answer = engine.post_json(&path(name), &sh("true"));
        assert_eq!(answer.status(), 500, "{name:?}: {} {}", answer.status(), answer.text());
        let wanted = format!("Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed\n");
        assert_eq!(answer.text(), wanted);
    }
    assert_eq!(
        engine.inspect(&engine.create(&sh("true")))["Name"].as_str().map(|name| name.len() > 2),
        Some(true)
    );
    engine.remove(&id);
    let _ = engine.create_named("taken", &sh("true"));
}

#[test]
fn unknown_images_are_not_found() {
    let engine = Engine::start();
    for (image, text) in [
        ("nope", "No such image: nope (tag: latest)\n"),
        ("nope:tag", "No such image: nope:tag (tag: tag)\n"),
        ("busybox:nope", "No such image: busybox:nope (tag: nope)\n"),
        ("localhost:5000/nope", "No such image: localhost:5000/nope (tag: latest)\n"),
        ("UPPER", "No such image: UPPER (tag: latest)\n"),
    ] {
        let answer =
            engine.post_json("/containers/create", &json!({ "Image": image, "Cmd": ["x"] })).expect(404);
        assert_eq!(answer.text(), text);
    }
    for (image, words) in [
        ("nope", "No such image: nope:latest"),
        ("nope:tag", "No such image: nope:tag"),
        ("nope-latest", "No such image: nope-latest:latest"),
        ("localhost:5000/nope", "No such image: localhost:5000/nope:latest"),
    ] {
        let answer =
            engine.at("1.55").post_json("/containers/create", &json!({ "Image": image, "Cmd": ["x"] }));
        assert_eq!(answer.expect(404).message(), words);
    }
}

#[test]
fn bad_bodies_are_refused_and_leave_nothing() {
    let engine = Engine::start();
    let invalid = |cause: &str| format!("invalid request body: {cause}\n");
    let empty = || "Config cannot be empty in order to create a container\n".to_owned();
    let bodies: [(&[u8], String); 9] = [
        (b"", invalid("it is empty, a JSON object is needed")),
        (b"{", invalid("it is not valid JSON: it ends too early")),
        (b"null", empty()),
        (b"{}", empty()),
        (b"[]", invalid("must be a JSON object, not an array")),
        (b"5", invalid("must be a JSON object, not a number")),
        (b"\"x\"", invalid("must be a JSON object, not a string")),
        (b"{\"Image\":\"busybox\",\"Cmd\":5}", invalid("Cmd: a number of this form is not possible here")),
        (
            b"\xff\xfe",
            invalid("it is not valid JSON: something that is not JSON stands before line 1, character 2"),
        ),
    ];
    for (body, text) in bodies {
        let answer = engine.call("POST", "/containers/create", &[("Content-Type", "application/json")], body);
        assert_eq!((answer.status(), answer.text()), (500, text), "{body:?}");
    }
    let body = sh("true").to_string();
    for kind in ["text/plain", "application/x-www-form-urlencoded", "json", ""] {
        let answer = engine.call("POST", "/containers/create", &[("Content-Type", kind)], body.as_bytes());
        assert_eq!(answer.status(), 500, "{kind:?}: {}", answer.status());
        assert_eq!(answer.text(), format!("Content-Type specified ({kind}) must be 'application/json'\n"));
    }
    let charset = [("Content-Type", "application/json; charset=utf-8")];
    let _ = engine.call("POST", "/containers/create", &charset, body.as_bytes()).expect(201);
    let listed = engine.get("/containers/json?all=1").json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
}

#[test]
fn values_of_wrong_types_are_refused() {
    let engine = Engine::start();
    let wrong = [
        json!({ "Hostname": 5 }),
        json!({ "Tty": "true" }),
        json!({ "Env": "A=b" }),
        json!({ "Env": [5] }),
        json!({ "Labels": ["a"] }),
        json!({ "Volumes": ["/v"] }),
        json!({ "ExposedPorts": ["80"] }),
        json!({ "Cmd": { "a": 1 } }),
        json!({ "HostConfig": "x" }),
        json!({ "HostConfig": { "Memory": "64m" } }),
        json!({ "HostConfig": { "Memory": 1.5 } }),
        json!({ "HostConfig": { "Binds": "/a:/b" } }),
        json!({ "HostConfig": { "Privileged": "yes" } }),
        json!({ "HostConfig": { "RestartPolicy": "always" } }),
        json!({ "HostConfig": { "PortBindings": [] } }),
        json!({ "HostConfig": { "Ulimits": [{ "Name": "nofile", "Soft": "1" }] } }),
        json!({ "HostConfig": { "LogConfig": "none" } }),
    ];
    for over in wrong {
        let body = merged(json!({ "Image": "busybox", "Cmd": ["true"] }), over.clone());
        let answer = engine.post_json("/containers/create", &body);
        assert_eq!(answer.status(), 500, "{over}: {} {}", answer.status(), answer.text());
    }
}

#[test]
fn values_out_of_range_are_refused_with_the_words_clients_know() {
    let engine = Engine::start();
    let cases = [
        (json!({ "Memory": 1024 }), "Minimum memory limit allowed is 4MB\n"),
        (
            json!({ "Memory": 8_388_608, "MemorySwap": 4_194_304 }),
            "Minimum memoryswap limit should be larger than memory limit, see usage.\n",
        ),
        (
            json!({ "MemorySwap": 8_388_608 }),
            "You should always set the Memory limit when using Memoryswap limit, see usage.\n",
        ),
        (json!({ "MemorySwappiness": 101 }), "Invalid value: 101, valid memory swappiness range is 0-100.\n"),
        (json!({ "BlkioWeight": 9 }), "Range of blkio weight is from 10 to 1000.\n"),
        (json!({ "Binds": ["/tmp"] }), "Invalid volume specification: /tmp\n"),
        (json!({ "Binds": ["/tmp:/x", "/var:/x"] }), "Duplicate bind mount /x\n"),
        (json!({ "SecurityOpt": ["bogus"] }), "Invalid --security-opt: \"bogus\"\n"),
        (json!({ "VolumesFrom": ["nope"] }), "no such id: nope\n"),
        (json!({ "Links": ["nope:x"] }), "Could not get container for nope\n"),
        (
            json!({ "PortBindings": { "80/tcp": [{ "HostPort": "70000" }] } }),
            "Invalid port specification: \"70000\"\n",
        ),
        (json!({ "IpcMode": "container:nosuch" }), "no such id: nosuch\n"),
    ];
    for (host, text) in cases {
        let answer =
            engine.post_json("/containers/create", &merged(sh("true"), json!({ "HostConfig": host })));
        let status = if text.starts_with("no such id") { 404 } else { 500 };
        assert_eq!(answer.status(), status, "{host}: {}", answer.text());
        assert_eq!(answer.text(), text, "{host}");
    }
    let answer = engine.post_json("/containers/create", &merged(sh("true"), json!({ "WorkingDir": "rel" })));
    assert_eq!(answer.text(), "The working directory 'rel' is invalid. It needs to be an absolute path.\n");
}

#[test]
fn fields_of_newer_clients_do_not_disturb_when_empty() {
    let engine = Engine::start();
    let body = merged(
        sh("true"),
        json!({
            "StopSignal": "SIGTERM", "Healthcheck": null, "Shell": null, "ArgsEscaped": false,
            "NetworkingConfig": { "EndpointsConfig": {} },
            "HostConfig": { "Init": null, "Mounts": null, "NanoCpus": 0, "PidsLimit": 0, "ShmSize": 0,
                            "Sysctls": null, "Tmpfs": null, "CgroupnsMode": "", "Isolation": "",
                            "BlkioWeightDevice": [], "DeviceRequests": null, "MaskedPaths": null,
                            "ReadonlyPaths": null, "AutoRemove": false, "VolumeDriver": "", "UsernsMode": "",
                            "ConsoleSize": [24, 80], "NetworkMode": "default", "OomScoreAdj": 0,
                            "RestartPolicy": { "Name": "no", "MaximumRetryCount": 0 } },
        }),
    );
    assert_eq!(engine.output(&body).code, 0);
}

#[test]
fn commands_come_as_a_list_or_as_a_string_or_from_the_image() {
    let engine = Engine::start();
    let inspected = |body: Value| engine.inspect(&engine.create(&body));
    let string = inspected(json!({ "Image": "busybox", "Cmd": "true" }));
    assert_eq!((string["Path"].clone(), string["Args"].clone()), (json!("true"), json!([])));
    let both = inspected(json!({ "Image": "busybox", "Entrypoint": ["echo", "a"], "Cmd": ["b"] }));
    assert_eq!((both["Path"].clone(), both["Args"].clone()), (json!("echo"), json!(["a", "b"])));
    let answer = engine.post_json("/containers/create", &json!({ "Image": "busybox" }));
    assert_eq!(answer.status(), 500);
    assert_eq!(answer.text(), "No command specified\n");
}
