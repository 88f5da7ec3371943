//! `/_ping`, `/version`, `/info`, versions in paths, what every answer carries.

use berth_tests::{Client, Engine, merged, sh};
use serde_json::{Value, json};

#[test]
fn ping_tells_clients_what_to_speak() {
    let engine = Engine::start_of_reference();
    for method in ["GET", "HEAD"] {
        for prefix in ["", "/v1.20"] {
            let client = Client { address: engine.address.clone(), prefix: prefix.to_owned() };
            let answer = client.call(method, "/_ping", &[], b"").expect(200);
            assert_eq!(answer.head.header("api-version"), Some("1.20"), "{method} {prefix}/_ping");
            assert_eq!(answer.head.header("ostype"), Some("linux"));
            assert_eq!(answer.head.header("docker-experimental"), Some("false"));
            assert!(answer.head.header("server").is_some());
            assert_eq!(answer.text(), if method == "GET" { "OK" } else { "" });
        }
    }
}

#[test]
fn version_is_true() {
    let engine = Engine::start_of_reference();
    let version = engine.get("/version").expect(200).json();
    assert_eq!(version["ApiVersion"], "1.20");
    assert_eq!(version["Os"], "linux");
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("the kernel's release");
    assert_eq!(version["KernelVersion"], kernel.trim());
    for field in ["Version", "GitCommit", "GoVersion", "Arch", "BuildTime"] {
        assert!(version[field].is_string(), "{field} in {version}");
    }
}

#[test]
fn info_counts_what_there_is() {
    let engine = Engine::start_of_reference();
    let before = engine.get("/info").expect(200).json();
    assert_eq!(before["Containers"], 0, "{before}");
    assert_eq!(before["Images"], 1, "{before}");
    let id = engine.create(&berth_tests::sh("true"));
    let info = engine.get("/info").expect(200).json();
    assert_eq!(info["Containers"], 1);
    let memory = std::fs::read_to_string("/proc/meminfo").expect("meminfo");
    let kilobytes = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")).expect("MemTotal");
    let kilobytes: u64 = kilobytes.trim().trim_end_matches("kB").trim().parse().expect("a number");
    assert_eq!(info["MemTotal"], kilobytes * 1024);
    let processors = std::thread::available_parallelism().expect("processors").get();
    assert_eq!(info["NCPU"], processors);
    assert_eq!(info["DockerRootDir"], engine.data_root().to_string_lossy().as_ref());
    assert_eq!(info["LoggingDriver"], "json-file");
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("the host's name");
    assert_eq!(info["Name"], name.trim());
    engine.remove(&id);
}

#[test]
fn paths_with_other_versions() {
    let engine = Engine::start_of_reference();
    let at = |prefix: &str| Client { address: engine.address.clone(), prefix: prefix.to_owned() };
    let _ = at("").get("/version").expect(200);
    let _ = at("/v1.19").get("/version").expect(200);
    let newer = at("/v1.21").get("/version").expect(400);
    assert!(newer.text().contains("1.21") && newer.text().contains("1.20"), "{}", newer.text());
    let _ = at("/v9.99").get("/containers/json").expect(400);
}

#[test]
fn unknown_routes_are_not_found() {
    let engine = Engine::start_of_reference();
    for (method, path) in [
        ("GET", "/nosuch"),
        ("PATCH", "/containers/json"),
        ("DELETE", "/version"),
        ("GET", "/containers/create"),
        ("POST", "/containers/json"),
        ("GET", "/"),
    ] {
        let answer = engine.call(method, path, &[], b"");
        assert_eq!(
            (answer.status(), answer.text().as_str()),
            (404, "404 page not found\n"),
            "{method} {path}"
        );
    }
}

#[test]
fn errors_are_plain_text_with_one_newline() {
    let engine = Engine::start_of_reference();
    let answer = engine.get("/containers/nosuch/json").expect(404);
    assert_eq!(answer.head.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(answer.text(), "no such id: nosuch\n");
    assert_eq!(answer.head.header("api-version"), Some("1.20"));
}

#[test]
fn every_version_is_served_up_to_its_own() {
    let engine = Engine::start_of_reference();
    let at = |prefix: &str| Client { address: engine.address.clone(), prefix: prefix.to_owned() };
    for minor in 0..=20 {
        let client = at(&format!("/v1.{minor}"));
        assert_eq!(client.get("/_ping").expect(200).text(), "OK");
        assert_eq!(client.get("/version").expect(200).json()["ApiVersion"], "1.20");
        assert_eq!(client.get("/containers/json?all=1").expect(200).json(), serde_json::json!([]));
    }
    for newer in ["1.21", "1.24", "1.99", "2.0", "1.20.1"] {
        let answer = at(&format!("/v{newer}")).get("/containers/nosuch/json").expect(400);
        let wanted =
            format!("client is newer than server (client API version: {newer}, server API version: 1.20)\n");
        assert_eq!(answer.text(), wanted);
    }
    for unknown in ["/V1.20", "/vfoo", "/v1.x", "/v"] {
        let _ = at(unknown).get("/version").expect(404);
    }
}

#[test]
fn older_versions_have_their_shape() {
    let engine = Engine::start_of_reference();
    let at = |minor: u32| Client { address: engine.address.clone(), prefix: format!("/v1.{minor}") };
    let body = merged(
        sh("echo out; echo err >&2"),
        json!({ "Volumes": { "/v": {} }, "HostConfig": { "Memory": 64 << 20, "CpuShares": 1, "CpusetCpus": "0" } }),
    );
    // Before 1.19 shares out of range were brought into it.
    let id = at(18).create(&body);
    assert_eq!(engine.inspect(&id)["HostConfig"]["CpuShares"], 2);
    let (old, new) = (at(19).inspect(&id), at(20).inspect(&id));
    for name in ["Volumes", "VolumesRW"] {
        assert!(old[name]["/v"] != Value::Null && new.get(name).is_none(), "{name}: {old} {new}");
    }
    assert!(old.get("Mounts").is_none() && new["Mounts"].is_array(), "{old} {new}");
    assert_eq!((&old["Config"]["Memory"], new["Config"].get("Memory")), (&json!(64 << 20), None));
    assert_eq!(old["Config"]["CpuShares"], 2);
    engine.start(&id);
    assert_eq!(engine.wait(&id), 0);
    let _ = at(19).post(&format!("/containers/{id}/kill")).expect(204);
    let _ = at(20).post(&format!("/containers/{id}/kill")).expect(500);
    // Before 1.6 both outputs were one stream without heads.
    let path = format!("/containers/{id}/attach?logs=1&stdout=1&stderr=1");
    let (_, mut merged) = at(5).open("POST", &path, &[], b"");
    let seen = merged.read_to_end().expect("the end");
    assert!(seen == b"out\nerr\n" || seen == b"err\nout\n", "{seen:?}");
    let (_, mut framed) = at(6).open("POST", &path, &[], b"");
    let (stdout, stderr) = berth_tests::frames::split(&framed.read_to_end().expect("the end"));
    assert_eq!((&stdout[..], &stderr[..]), (&b"out\n"[..], &b"err\n"[..]));
}
