//! The resource: create, inspect, list and remove, in the shape of each version.

use super::*;

#[test]
fn a_volume_is_made_shown_and_removed() {
    let engine = Today::start();
    let made = volume(&engine, json!({ "Name": "data", "Labels": { "tier": "db" } }));
    let fields: Vec<&str> = made.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(fields, ["CreatedAt", "Driver", "Labels", "Mountpoint", "Name", "Options", "Scope"]);
    assert_eq!(
        (&made["Driver"], &made["Labels"], &made["Options"], &made["Scope"]),
        (&json!("local"), &json!({ "tier": "db" }), &Value::Null, &json!("local"))
    );
    assert!(content(&engine, "data").is_dir());
    assert_eq!(shown(&engine, "data"), made);
    assert_eq!(engine.get("/volumes").expect(200).json()["Volumes"], json!([made]));

    // A client that requests less gets the existing one, one that requests something else does not.
    assert_eq!(volume(&engine, json!({ "Name": "data", "Labels": { "tier": "web" } })), made);
    let text = engine.delete("/volumes/nosuch").expect(404).message();
    assert!(text.contains("nosuch: no such volume"), "{text}");
    let _ = engine.delete("/volumes/nosuch?force=1").expect(204);
    let path = content(&engine, "data");
    let _ = engine.delete("/volumes/data").expect(204);
    assert!(!path.exists());
    let _ = engine.get("/volumes/data").expect(404);
}

#[test]
fn each_version_has_its_shape() {
    let engine = Today::start();
    let _ = volume(&engine, json!({ "Name": "data", "Labels": { "a": "b" } }));
    let fields = |version: &str| -> Vec<String> {
        let volume = shown(&engine.at(version), "data");
        volume.as_object().expect("an object").keys().cloned().collect()
    };
    assert_eq!(fields("1.21"), ["Driver", "Mountpoint", "Name"]);
    assert_eq!(fields("1.23"), ["Driver", "Labels", "Mountpoint", "Name"]);
    assert_eq!(fields("1.24"), ["Driver", "Labels", "Mountpoint", "Name", "Scope"]);
    assert_eq!(fields("1.25"), ["Driver", "Labels", "Mountpoint", "Name", "Options", "Scope"]);
    assert_eq!(fields("1.31").len(), 7);
    let _ = engine.at("1.20").get("/volumes").expect(404);
    let old =
        engine.at("1.22").post_json("/volumes/create", &json!({ "Name": "old", "Labels": { "a": "b" } }));
    assert!(old.expect(201).json().get("Labels").is_none());
    assert_eq!(shown(&engine, "old")["Labels"], Value::Null, "1.22 has no labels");
    let _ = engine.at("1.24").delete("/volumes/nosuch?force=1").expect(404);
    let _ = engine.at("1.24").post("/volumes/prune").expect(404);
}

#[test]
fn a_volume_without_a_name_gets_one_and_says_so() {
    let engine = Today::start();
    let label = "com.docker.volume.anonymous";
    let made = engine.post("/volumes/create").expect(201).json();
    let name = made["Name"].as_str().expect("a name").to_owned();
    assert!(name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}");
    assert_eq!(made["Labels"], json!({ label: "" }));
    let labelled = volume(&engine, json!({ "Labels": { "x": "y" } }));
    assert_eq!(labelled["Labels"], json!({ label: "", "x": "y" }));

    // Its maker knows its name: a container's removal leaves it.
    engine.remove(&engine.run(&on(&name, "true")));
    let _ = shown(&engine, &name);
    let container = engine.create(&merged(sh("true"), json!({ "Volumes": { "/v": {} } })));
    let own = engine.inspect(&container)["Mounts"][0]["Name"].as_str().expect("a name").to_owned();
    assert_eq!(shown(&engine, &own)["Labels"], json!({ label: "" }));
    engine.remove(&container);
    let _ = engine.get(&format!("/volumes/{own}")).expect(404);
}

#[test]
fn what_cannot_be_is_refused_and_leaves_nothing() {
    let engine = Today::start();
    let refused = |body: Value, status: u16| -> String {
        engine.post_json("/volumes/create", &body).expect(status).message()
    };
    for name in ["a", "/a", "a b", ".ab", "a/b", "..", "ä", "a:b", "a\n"] {
        assert!(refused(json!({ "Name": name }), 400).contains("name"), "{name:?}");
    }
    assert!(refused(json!({ "Name": "data", "Driver": "nosuch" }), 404).contains("plugin nosuch"));
    assert!(refused(json!({ "Name": "data", "DriverOpts": { "foo": "bar" } }), 400).contains("foo"));
    assert!(refused(json!({ "Name": "data", "Labels": ["x"] }), 400).contains("Labels"));
    assert!(refused(json!({ "Name": "data", "ClusterVolumeSpec": {} }), 503).contains("swarm"));
    let _ = engine.call("PUT", "/volumes/data?version=1", &[], b"").expect(503);
    let text = [("Content-Type", "text/plain")];
    let _ = engine.call("POST", "/volumes/create", &text, b"{}").expect(400);
    assert_eq!(engine.get("/volumes").expect(200).json()["Volumes"], json!([]));
    let volumes = engine.daemon.data_root().join("volumes");
    assert_eq!(std::fs::read_dir(volumes).expect("the directory").count(), 0);
}

#[test]
fn a_volume_in_use_stays() {
    let engine = Today::start();
    let _ = volume(&engine, json!({ "Name": "data" }));
    let container = engine.create(&on("data", "true"));
    for force in ["", "?force=1"] {
        let text = engine.delete(&format!("/volumes/data{force}")).expect(409).text();
        assert!(text.contains("in use") && text.contains(&container), "{text}");
    }
    assert!(content(&engine, "data").is_dir());
    engine.remove(&container);
    let _ = engine.delete("/volumes/data").expect(204);
}

#[test]
fn lists_are_filtered() {
    let engine = Today::start();
    for (name, label) in [("one-data", "1"), ("two-data", "2")] {
        let _ = volume(&engine, json!({ "Name": name, "Labels": { "number": label } }));
    }
    let container = engine.create(&on("two-data", "true"));
    assert_eq!(listed(&engine, json!({})), ["one-data", "two-data"]);
    assert_eq!(listed(&engine, json!({ "name": ["^one"] })), ["one-data"]);
    assert_eq!(listed(&engine, json!({ "name": ["data"], "label": ["number=2"] })), ["two-data"]);
    assert_eq!(listed(&engine, json!({ "dangling": ["true"] })), ["one-data"]);
    assert_eq!(listed(&engine, json!({ "dangling": { "0": true } })), ["two-data"]);
    assert_eq!(listed(&engine, json!({ "driver": ["other"] })), [""; 0]);
    for bad in [r#"{"foo":["x"]}"#, r#"{"dangling":["maybe"]}"#, "nonsense"] {
        let text =
            engine.get(&format!("/volumes{}", berth_tests::query(&[("filters", bad)]))).expect(400).text();
        assert!(text.contains("filter"), "{text}");
    }
    engine.remove(&container);
}

#[test]
fn what_happens_to_volumes_is_told_since_1_22() {
    let engine = Today::start();
    let _ = volume(&engine, json!({ "Name": "data" }));
    let container = engine.run(&on("data", "true"));
    assert_eq!(engine.wait(&container), 0);
    engine.remove(&container);
    let _ = engine.delete("/volumes/data").expect(204);
    let found: Vec<(Value, Value)> =
        past(&engine).iter().map(|event| (event["Action"].clone(), event["Actor"].clone())).collect();
    let actor = |attributes: Value| json!({ "ID": "data", "Attributes": attributes });
    let mounted = json!({
        "container": container, "destination": "/v", "driver": "local", "propagation": "", "read/write": "true",
    });
    let expected = [
        (json!("create"), actor(json!({ "driver": "local" }))),
        (json!("mount"), actor(mounted)),
        (json!("unmount"), actor(json!({ "container": container, "driver": "local" }))),
        (json!("destroy"), actor(json!({ "driver": "local" }))),
    ];
    assert_eq!(found, expected);
    assert_eq!(past(&engine.at("1.22")).len(), 4);
    assert!(past(&engine.at("1.21")).is_empty() && past(&engine.at("1.20")).is_empty());
}
