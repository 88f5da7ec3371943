//! Values of parameters that mean nothing, and what they are answered since 1.24.

use super::*;

/// The answer to a request without a body.
fn asked(engine: &Client, method: &str, path: &str) -> (u16, String) {
    let answer = engine.call(method, path, &[], b"");
    (answer.status(), answer.message())
}

#[test]
fn a_terminal_has_no_size_below_nothing_or_beyond_what_the_kernel_holds() {
    let engine = Today::start();
    let id = engine.run(&merged(sh("sleep 600"), json!({ "Tty": true })));
    let exec = engine.exec_create(&id, &json!({ "Tty": true, "Cmd": ["true"] }));
    for what in [format!("/containers/{id}"), format!("/exec/{exec}")] {
        for (parameters, name, value) in [
            ("h=-1&w=80", "h", "-1"),
            ("h=40&w=-1", "w", "-1"),
            ("h=65536&w=80", "h", "65536"),
            ("h=40&w=99999999999999999999", "w", "99999999999999999999"),
            ("h=40.5&w=80", "h", "40.5"),
            ("h=&w=80", "h", ""),
            ("h=40", "w", ""),
        ] {
            let refusal = asked(&engine, "POST", &format!("{what}/resize?{parameters}"));
            let words = format!("{name} must be a whole number from 0 to 65535, not {value:?}");
            assert_eq!(refusal, (400, words), "{what} {parameters}");
        }
    }
    let _ = engine.post(&format!("/containers/{id}/resize?h=0&w=65535")).expect(200);
}

#[test]
fn a_container_is_not_renamed_to_its_own_name() {
    let engine = Today::start();
    let _ = engine.post_json("/containers/create?name=own", &sh("true")).expect(201);
    let words = "Renaming a container with the same name as its current name".to_owned();
    for name in ["own", "/own"] {
        let path = format!("/containers/own/rename?name={name}");
        assert_eq!(asked(&engine, "POST", &path), (400, words.clone()), "{name}");
    }
    let other = engine.create(&sh("true"));
    let taken = asked(&engine, "POST", &format!("/containers/{other}/rename?name=own"));
    assert_eq!(taken.0, 409, "{}", taken.1);
}

#[test]
fn events_that_end_before_they_begin_are_refused() {
    let engine = Today::start();
    let words = "`since` time (5) cannot be after `until` time (1)".to_owned();
    assert_eq!(asked(&engine, "GET", "/events?since=5&until=1"), (400, words));
    let _ = engine.get("/events?since=1&until=1").expect(200);
}

#[test]
fn namespaces_of_containers_that_are_not_there_are_refused_but_for_the_network() {
    let engine = Today::start();
    let refused = |host: Value| {
        let answer = engine.post_json("/containers/create", &with("true", host));
        (answer.status(), answer.message())
    };
    for mode in ["IpcMode", "PidMode"] {
        let refusal = refused(json!({ mode: "container:nosuch" }));
        assert_eq!(refusal, (400, "No such container: nosuch".to_owned()), "{mode}");
    }
    let words = "Invalid network mode: invalid container format container:<name|id>".to_owned();
    for mode in ["container", "container:"] {
        assert_eq!(refused(json!({ "NetworkMode": mode })), (400, words.clone()), "{mode}");
    }
    // It may be made before this one starts.
    let id = engine.create(&with("true", json!({ "NetworkMode": "container:nosuch" })));
    let start = asked(&engine, "POST", &format!("/containers/{id}/start"));
    assert_eq!(start.0, 404, "{}", start.1);
    assert!(start.1.ends_with("No such container: nosuch"), "{}", start.1);
}

#[test]
fn a_path_that_is_not_there_is_named_with_its_container() {
    let engine = Today::start();
    let id = engine.create(&sh("true"));
    let words = format!("Could not find the file /no/such in container {id}");
    let path = format!("/containers/{id}/archive?path=/no/such");
    assert_eq!(asked(&engine, "GET", &path), (404, words.clone()));
    assert_eq!(asked(&engine, "PUT", &path), (404, words));
}

/// As docker-py writes volumes without a source.
#[test]
fn a_bind_of_a_place_alone_is_a_new_volume_since_1_24() {
    let engine = Today::start();
    let body = with("touch /v/file; stat -c %a /v", json!({ "Binds": ["/v"] }));
    let refused = engine.at("1.23").post_json("/containers/create", &body).expect(500);
    assert_eq!(refused.text(), "Invalid volume specification: /v\n");
    let id = engine.at("1.24").create(&body);
    let shown = engine.inspect(&id);
    assert_eq!(shown["HostConfig"]["Binds"], json!(["/v"]));
    let mount = &shown["Mounts"][0];
    let of_mount = ["Type", "Destination", "Driver", "Mode"].map(|name| mount[name].clone());
    assert_eq!(of_mount, [json!("volume"), json!("/v"), json!("local"), json!("z")]);
    let name = mount["Name"].as_str().expect("a name").to_owned();
    assert_eq!(name.len(), 64, "{name}");
    engine.start(&id);
    assert_eq!(engine.wait(&id), 0);
    let file = std::path::Path::new(mount["Source"].as_str().expect("a path")).join("file");
    assert!(file.exists(), "{}", file.display());
    let _ = engine.delete(&format!("/containers/{id}?v=1")).expect(204);
    let _ = engine.get(&format!("/volumes/{name}")).expect(404);
    for (bind, words) in [("v", "Invalid volume specification: v"), ("/", "destination can't be '/'")] {
        let refused = engine.post_json("/containers/create", &with("true", json!({ "Binds": [bind] })));
        let message = refused.expect(400).message();
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn a_hardware_address_of_the_container_has_no_effect_since_1_52_and_a_warning() {
    let engine = Today::start();
    let body = merged(sh("true"), json!({ "MacAddress": "02:42:ac:11:00:99" }));
    for (version, is_warned) in [("1.51", false), ("1.52", true)] {
        let made = engine.at(version).post_json("/containers/create", &body).expect(201).json();
        let warnings = made["Warnings"].as_array().expect("a list");
        let words = "MacAddress of a container has no effect in API 1.52";
        let has = warnings.iter().any(|warning| warning.as_str().is_some_and(|text| text.starts_with(words)));
        assert_eq!(has, is_warned, "{version}: {made}");
        engine.remove(made["Id"].as_str().expect("an id"));
    }
    let nothing = merged(sh("true"), json!({ "MacAddress": "" }));
    engine.remove(&engine.create(&nothing));
}
