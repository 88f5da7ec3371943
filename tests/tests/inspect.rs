//! `GET /containers/{id}/json`: fields, forms of ids, the state as it changes.

use berth_tests::{Engine, sh};
use serde_json::json;

#[test]
fn the_state_follows_the_container() {
    let engine = Engine::start();
    let id = engine.create(&sh("read x; exit 7"));
    let created = engine.inspect(&id);
    let wanted = json!({
        "Running": false, "Paused": false, "Restarting": false, "OOMKilled": false, "Dead": false, "Pid": 0,
        "ExitCode": 0, "Error": "", "StartedAt": "0001-01-01T00:00:00Z", "FinishedAt": "0001-01-01T00:00:00Z",
    });
    for (field, value) in wanted.as_object().expect("an object") {
        assert_eq!(&created["State"][field], value, "{field}");
    }
    let running = engine.run(&sh("sleep 600"));
    let state = engine.inspect(&running)["State"].clone();
    assert_eq!(state["Running"], true);
    let pid = state["Pid"].as_u64().expect("a pid");
    let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).expect("the container's process");
    assert!(command.contains("sleep"), "{command}");
    let _ = engine.post(&format!("/containers/{running}/kill")).expect(204);
    let ended = engine.inspect(&running)["State"].clone();
    assert_eq!(
        (&ended["Running"], &ended["ExitCode"], &ended["Pid"]),
        (&json!(false), &json!(137), &json!(0))
    );
    let text = |field: &str| ended[field].as_str().expect("a time").to_owned();
    assert!(text("FinishedAt") > text("StartedAt"), "{ended}");
}

#[test]
fn a_container_is_found_by_id_prefix_and_name() {
    let engine = Engine::start();
    let id = engine.create_named("found", &sh("true"));
    for name in [id.as_str(), &id[..12], &id[..4], "found"] {
        assert_eq!(engine.inspect(name)["Id"], id.as_str(), "{name}");
    }
    for name in ["nosuch", "foun", "FOUND", "busybox"] {
        let answer = engine.get(&format!("/containers/{name}/json")).expect(404);
        assert_eq!(answer.text(), format!("no such id: {name}\n"));
    }
}

#[test]
fn a_name_wins_over_an_ids_prefix() {
    let engine = Engine::start();
    let id = engine.create(&sh("true"));
    let other = engine.create_named(&id[..6], &sh("true"));
    assert_eq!(engine.inspect(&id[..6])["Id"], other.as_str());
    assert_eq!(engine.inspect(&id[..7])["Id"], id.as_str());
}

#[test]
fn an_ambiguous_prefix_is_not_found_and_says_so() {
    let engine = Engine::start();
    let mut seen: Vec<String> = Vec::new();
    let digit = loop {
        let id = engine.create(&sh("true"));
        let first = id[..1].to_owned();
        if seen.iter().any(|other| other.starts_with(&first)) {
            break first;
        }
        seen.push(id);
    };
    for (method, path) in [
        ("GET", format!("/containers/{digit}/json")),
        ("POST", format!("/containers/{digit}/start")),
        ("POST", format!("/containers/{digit}/stop")),
        ("POST", format!("/containers/{digit}/wait")),
        ("DELETE", format!("/containers/{digit}")),
    ] {
        let answer = engine.call(method, &path, &[], b"").expect(404);
        let text = answer.text().to_lowercase();
        assert!(text.contains("ambiguous") || text.contains("multiple ids"), "{method} {path}: {text}");
    }
}

#[test]
fn all_specified_fields_are_there() {
    let engine = Engine::start();
    let inspected = engine.inspect(&engine.run(&sh("sleep 600")));
    for field in [
        "AppArmorProfile",
        "Args",
        "Config",
        "Created",
        "Driver",
        "ExecDriver",
        "ExecIDs",
        "HostConfig",
        "HostnamePath",
        "HostsPath",
        "LogPath",
        "Id",
        "Image",
        "MountLabel",
        "Name",
        "NetworkSettings",
        "Path",
        "ProcessLabel",
        "ResolvConfPath",
        "RestartCount",
        "State",
        "Mounts",
    ] {
        assert!(inspected.get(field).is_some(), "{field} is missing");
    }
    for field in ["Bridge", "Gateway", "IPAddress", "IPPrefixLen", "MacAddress", "PortMapping", "Ports"] {
        assert!(inspected["NetworkSettings"].get(field).is_some(), "NetworkSettings.{field} is missing");
    }
    for path in ["HostnamePath", "HostsPath", "ResolvConfPath", "LogPath"] {
        let path = inspected[path].as_str().expect("a path");
        assert!(std::path::Path::new(path).exists(), "{path}");
    }
    assert_eq!(inspected["Image"].as_str().map(str::len), Some(64), "bare digits at this version");
}
