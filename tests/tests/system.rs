//! `/_ping`, `/version`, `/info`, versions in paths, what every answer carries.

use berth_tests::{Client, Engine};

#[test]
fn ping_tells_clients_what_to_speak() {
    let engine = Engine::start();
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
    let engine = Engine::start();
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
    let engine = Engine::start();
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
    let engine = Engine::start();
    let at = |prefix: &str| Client { address: engine.address.clone(), prefix: prefix.to_owned() };
    let _ = at("").get("/version").expect(200);
    let _ = at("/v1.19").get("/version").expect(200);
    let newer = at("/v1.21").get("/version").expect(400);
    assert!(newer.text().contains("1.21") && newer.text().contains("1.20"), "{}", newer.text());
    let _ = at("/v9.99").get("/containers/json").expect(400);
}

#[test]
fn unknown_routes_are_not_found() {
    let engine = Engine::start();
    for (method, path) in [
        ("GET", "/nosuch"),
        ("PATCH", "/containers/json"),
        ("DELETE", "/version"),
        ("GET", "/containers/create"),
        ("POST", "/containers/json"),
        ("GET", "/"),
    ] {
        let answer = engine.call(method, path, &[], b"");
        assert!([404, 405].contains(&answer.status()), "{method} {path}: {}", answer.status());
    }
}

#[test]
fn errors_are_plain_text_with_one_newline() {
    let engine = Engine::start();
    let answer = engine.get("/containers/nosuch/json").expect(404);
    assert_eq!(answer.head.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(answer.text(), "no such id: nosuch\n");
    assert_eq!(answer.head.header("api-version"), Some("1.20"));
}
