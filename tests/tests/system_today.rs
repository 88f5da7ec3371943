//! The engine as a whole as the versions after 1.20 show it: `/_ping`, `/version`, `/info`; and what it has not:
//! plugins, swarms, checkpoints.

use berth_tests::{Engine, Options, cgroup, sh};
use serde_json::{Value, json};

const NO_MANAGER: &str = "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try again.";

#[test]
fn ping_tells_of_builder_and_swarm() {
    let engine = Engine::start();
    for version in ["", "1.24", "1.55"] {
        let get = engine.at(version).call("GET", "/_ping", &[], b"").expect(200);
        let head = engine.at(version).call("HEAD", "/_ping", &[], b"").expect(200);
        assert_eq!((get.text().as_str(), head.text().as_str()), ("OK", ""));
        assert_eq!(
            (get.head.header("content-length"), head.head.header("content-length")),
            (Some("2"), Some("0"))
        );
        for (name, value) in [
            ("api-version", "1.55"),
            ("builder-version", "2"),
            ("swarm", "inactive"),
            ("cache-control", "no-cache, no-store, must-revalidate"),
            ("pragma", "no-cache"),
            ("ostype", "linux"),
            ("docker-experimental", "false"),
            ("content-type", "text/plain; charset=utf-8"),
        ] {
            assert_eq!(get.head.header(name), Some(value), "{version}: {name}");
            assert_eq!(head.head.header(name), Some(value), "{version}: {name} of HEAD");
        }
    }
    let old = engine.at("1.20").get("/_ping").expect(200);
    assert_eq!((old.head.header("swarm"), old.head.header("pragma")), (None, None));
}

#[test]
fn version_has_the_components() {
    let engine = Engine::start();
    let version = engine.at("1.35").get("/version").expect(200).json();
    assert_eq!(version["Platform"], json!({"Name": "berth"}));
    assert_eq!((&version["ApiVersion"], &version["MinAPIVersion"]), (&json!("1.55"), &json!("1.0")));
    let components = version["Components"].as_array().expect("components");
    let names: Vec<&Value> = components.iter().map(|component| &component["Name"]).collect();
    assert_eq!(names, ["Engine", "berth-shim"]);
    let details = &components[0]["Details"];
    for field in ["ApiVersion", "MinAPIVersion", "Os", "Arch", "KernelVersion", "GoVersion", "BuildTime"] {
        assert_eq!(details[field], version[field], "{field}");
    }
    assert_eq!(details["Experimental"], "false");
    assert_eq!(components[0]["Version"], engine.at("1.35").get("/info").expect(200).json()["ServerVersion"]);
    assert_eq!(engine.at("1.34").get("/version").expect(200).json().get("Components"), None);
}

#[test]
fn info_has_the_fields_of_its_version() {
    let engine = Engine::start();
    let info = |minor: u32| engine.at(&format!("1.{minor}")).get("/info").expect(200).json();
    // Each field with the versions that have it: from, and no longer.
    for (field, since, until) in [
        ("ExecutionDriver", 0, 24),
        ("InitPath", 0, 25),
        ("InitSha1", 0, 25),
        ("KernelMemory", 23, 42),
        ("KernelMemoryTCP", 40, 42),
        ("OSVersion", 24, 99),
        ("RuncCommit", 24, 99),
        ("Isolation", 25, 99),
        ("InitBinary", 25, 99),
        ("GenericResources", 25, 99),
        ("Warnings", 39, 99),
        ("CDISpecDirs", 44, 99),
        ("FirewallBackend", 49, 99),
        ("BridgeNfIptables", 0, 50),
        ("BridgeNfIp6tables", 0, 50),
    ] {
        for minor in [since, until].into_iter().filter(|minor| (13..=55).contains(minor)) {
            let (before, at) = (info(minor - 1), info(minor));
            let (before, at) = (before.get(field).is_some(), at.get(field).is_some());
            assert_eq!((before, at), (minor == until, minor == since), "{field} at 1.{minor}");
        }
    }
    let commit = |minor: u32| info(minor)["RuncCommit"].get("Expected").is_some();
    assert_eq!([24, 48, 49].map(commit), [true, true, false]);
    let artifacts = |minor: u32| {
        let config = info(minor)["RegistryConfig"].clone();
        config.get("AllowNondistributableArtifactsCIDRs").is_some()
            && config.get("AllowNondistributableArtifactsHostnames").is_some()
    };
    assert_eq!([23, 24, 48, 49].map(artifacts), [false, true, true, false]);
    assert_eq!(info(24)["SecurityOptions"], json!(["seccomp"]));
    assert_eq!(info(25)["SecurityOptions"], json!(["name=seccomp,profile=default"]));
    assert_eq!([&info(48)["BridgeNfIptables"], &info(49)["BridgeNfIp6tables"]], [false, false]);
}

#[test]
fn info_of_today_is_true() {
    let options = Options {
        arguments: vec!["--iptables=false".to_owned()],
        environment: vec![("HTTP_PROXY".to_owned(), "http://me:secret@proxy.example:8080".to_owned())],
        ..Options::default()
    };
    let plain = Engine::start();
    let other = Engine::start_with(options);
    let (info, bare) =
        (plain.at("").get("/info").expect(200).json(), other.at("").get("/info").expect(200).json());
    assert_eq!(info["FirewallBackend"], json!({"Driver": "nftables"}));
    assert_eq!(bare["FirewallBackend"], Value::Null);
    assert_eq!(
        (&info["HttpProxy"], &bare["HttpProxy"]),
        (&json!(""), &json!("http://xxxxx:xxxxx@proxy.example:8080"))
    );
    assert_eq!(info["Labels"], json!([]));
    assert_eq!(info["CDISpecDirs"], json!(["/etc/cdi", "/var/run/cdi"]));
    let release = std::fs::read_to_string("/etc/os-release").expect("os-release");
    let version = release.lines().find_map(|line| line.strip_prefix("VERSION_ID=")).unwrap_or_default();
    assert_eq!(info["OSVersion"], version.trim_matches('"'));
    assert_eq!(info["Plugins"]["Network"], json!(["bridge", "host", "null"]));
    assert_eq!(
        info["Plugins"]["Log"],
        json!(["fluentd", "gelf", "journald", "json-file", "local", "none", "syslog"])
    );
    assert_eq!(
        info["RegistryConfig"],
        json!({
            "InsecureRegistryCIDRs": ["127.0.0.0/8", "::1/128"], "Mirrors": [],
            "IndexConfigs": {"docker.io": {"Name": "docker.io", "Mirrors": [], "Secure": true, "Official": true}},
        })
    );
    assert_eq!(info["Swarm"]["LocalNodeState"], "inactive");
    assert_eq!(info["DefaultRuntime"], "berth");
    assert!(info["Runtimes"]["berth"]["path"].is_string(), "{}", info["Runtimes"]);
    let warns = |words: &str| {
        let warnings = info["Warnings"].as_array().cloned().unwrap_or_default();
        warnings.contains(&json!(format!("WARNING: {words}")))
    };
    for (field, words) in [
        ("MemoryLimit", "No memory limit support"),
        ("SwapLimit", "No swap limit support"),
        ("CpuCfsQuota", "No cpu cfs quota support"),
        ("CPUSet", "No cpuset support"),
        ("PidsLimit", "No pids limit support"),
        ("IPv4Forwarding", "IPv4 forwarding is disabled"),
    ] {
        assert_eq!(warns(words), info[field] == false, "{field}");
    }
    assert!(!(cgroup::is_unified() && warns("No oom kill disable support")));
}

#[test]
fn there_are_no_plugins() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    assert_eq!(today.get("/plugins").expect(200).json(), json!([]));
    let filters = "/plugins?filters=%7B%22enabled%22%3A%5B%22true%22%5D%2C%22capability%22%3A%5B%22volumedriver%22%5D%7D";
    assert_eq!(today.get(filters).expect(200).json(), json!([]));
    for (filters, words) in [
        ("%7B%22colour%22%3A%5B%22x%22%5D%7D", "invalid filter 'colour'"),
        ("%7B%22enabled%22%3A%5B%22x%22%5D%7D", "invalid filter 'enabled=[x]'"),
    ] {
        let refused = today.get(&format!("/plugins?filters={filters}")).expect(400);
        assert_eq!(refused.message(), words);
    }
    let _ = today.get("/plugins?filters=%7B").expect(400);
    for (method, path) in [
        ("GET", "/plugins/a/b/json"),
        ("DELETE", "/plugins/a/b"),
        ("POST", "/plugins/a/b/enable?timeout=1"),
        ("POST", "/plugins/a/b/disable"),
        ("POST", "/plugins/a/b/push"),
        ("POST", "/plugins/a/b/upgrade?remote=x"),
    ] {
        let missing = today.call(method, path, &[], b"").expect(404);
        assert_eq!(missing.message(), "plugin \"a/b\" not found", "{method} {path}");
    }
    let _ = today.post_json("/plugins/a/set", &json!(["A=b"])).expect(404);
    let _ = today.post_json("/plugins/a/set", &json!({})).expect(400);
    let _ = today.post("/plugins/a/enable").expect(400);
    assert_eq!(
        today.post("/plugins/pull?remote=vieux/sshfs").expect(501).message(),
        "cannot install the plugin \"vieux/sshfs\": this engine has no plugins"
    );
    let _ = today.get("/plugins/privileges?remote=x").expect(501);
    let _ = today.post("/plugins/create?name=x").expect(501);
    let _ = today.post("/plugins/pull").expect(400);
    let _ = engine.at("1.24").get("/plugins/a").expect(404);
    let _ = engine.at("1.23").get("/plugins").expect(404);
}

#[test]
fn there_is_no_swarm() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    for things in ["nodes", "services", "tasks", "secrets", "configs"] {
        for (method, path) in [("GET", format!("/{things}")), ("GET", format!("/{things}/x"))] {
            assert_eq!(today.call(method, &path, &[], b"").expect(503).message(), NO_MANAGER, "{path}");
        }
        if things != "tasks" {
            assert_eq!(today.delete(&format!("/{things}/x")).expect(503).message(), NO_MANAGER);
            let update = format!("/{things}/x/update");
            assert_eq!(
                today.post_json(&update, &json!({})).expect(400).message(),
                "bad parameter: version must be a whole number, not \"\""
            );
            assert_eq!(
                today.post_json(&format!("{update}?version=1"), &json!({})).expect(503).message(),
                NO_MANAGER
            );
        }
        if !matches!(things, "nodes" | "tasks") {
            let _ = today.post_json(&format!("/{things}/create"), &json!([])).expect(400);
            assert_eq!(
                today.post_json(&format!("/{things}/create"), &json!({})).expect(503).message(),
                NO_MANAGER
            );
        }
        if matches!(things, "services" | "tasks") {
            let _ = today.get(&format!("/{things}/x/logs")).expect(400);
            let _ = today.get(&format!("/{things}/x/logs?stdout=1")).expect(503);
        }
    }
    for path in ["/swarm", "/swarm/unlockkey"] {
        assert_eq!(today.get(path).expect(503).message(), NO_MANAGER);
    }
    let _ = today.post_json("/swarm/unlock", &json!({"UnlockKey": "x"})).expect(503);
    let _ = today.post_json("/swarm/update?version=1", &json!({})).expect(503);
    assert_eq!(today.post("/swarm/leave?force=1").expect(503).message(), "This node is not part of a swarm");
    let init = today.post_json("/swarm/init", &json!({"ListenAddr": "0.0.0.0:2377"})).expect(501);
    assert_eq!(init.message(), "cannot make a swarm: this engine stands alone, swarms are not supported");
    let join = json!({"ListenAddr": "0.0.0.0:2377", "RemoteAddrs": ["node:2377"], "JoinToken": "t"});
    let _ = today.post_json("/swarm/join", &join).expect(501);
    let _ = today.post_json("/swarm/join", &json!({"RemoteAddrs": ["node:2377"]})).expect(400);
    for (version, path) in [("1.23", "/swarm"), ("1.24", "/secrets"), ("1.29", "/configs")] {
        assert_eq!(engine.at(version).get(path).status(), 404, "{path} at {version}");
    }
}

#[test]
fn checkpoints_are_refused() {
    let engine = Engine::start();
    let id = engine.create(&sh("true"));
    let today = engine.at("1.55");
    let words = "checkpoints are experimental and not supported: processes of containers cannot be saved";
    let path = format!("/containers/{id}/checkpoints");
    assert_eq!(today.get(&path).expect(501).message(), words);
    assert_eq!(today.post_json(&path, &json!({"CheckpointID": "c"})).expect(501).message(), words);
    assert_eq!(today.delete(&format!("{path}/c")).expect(501).message(), words);
    assert_eq!(today.post(&format!("/containers/{id}/start?checkpoint=c")).expect(501).message(), words);
    assert_eq!(engine.inspect(&id)["State"]["Running"], false);
    assert_eq!(
        today.get("/containers/nosuch/checkpoints").expect(404).message(),
        "No such container: nosuch"
    );
    let _ = engine.at("1.24").get(&path).expect(404);
}

/// buildx, bake and Compose check this alone before they have images made with attestations or of several platforms.
#[test]
fn the_store_is_known_to_take_indexes() {
    let engine = Engine::start();
    let told = |version: &str| {
        let info = engine.at(version).get("/info").expect(200).json();
        let status = info["DriverStatus"].as_array().expect("a list");
        status.iter().any(|pair| pair[0] == "driver-type")
    };
    assert!(told("1.55") && told("1.47") && !told("1.46"));
}
