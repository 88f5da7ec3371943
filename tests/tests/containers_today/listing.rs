//! `GET /containers/json`.

use berth_tests::Context;

use super::*;

#[test]
fn entries_have_each_versions_fields() {
    let engine = Today::start();
    let id = engine.create(&with("true", json!({ "Annotations": { "org.example.tier": "web" } })));
    let at = |version: &str| listed(&engine.at(version), &id, "");
    for (field, since) in [("ImageID", 21), ("NetworkSettings", 22), ("State", 23), ("Mounts", 23)] {
        for version in [20, 21, 22, 23, 24, 55] {
            assert_eq!(has(&at(&format!("1.{version}")), field), version >= since, "{field} in 1.{version}");
        }
    }
    let today = at("1.55");
    assert_eq!((&today["State"], &today["Status"]), (&json!("created"), &json!("Created")));
    assert_eq!((&today["Image"], &today["Labels"]), (&json!("busybox"), &json!({})));
    assert_eq!(
        today["HostConfig"],
        json!({ "NetworkMode": "bridge", "Annotations": { "org.example.tier": "web" } })
    );
    assert!(!has(&at("1.45")["HostConfig"], "Annotations"));
    assert_eq!(at("1.23")["Labels"], Value::Null);
    let plain = engine.create(&sh("true"));
    assert!(!has(&listed(&engine, &plain, "")["HostConfig"], "Annotations"));
}

#[test]
fn states_are_words_and_filters() {
    let engine = Today::start();
    let created = engine.create(&sh("true"));
    let running = engine.run(&sh("sleep 600"));
    let paused = engine.run(&sh("sleep 600"));
    let _ = engine.post(&format!("/containers/{paused}/pause")).expect(204);
    let exited = engine.run(&sh("exit 3"));
    let _ = engine.wait(&exited);
    for (id, word, text) in [
        (&created, "created", "Created"),
        (&running, "running", "Up "),
        (&paused, "paused", "Up "),
        (&exited, "exited", "Exited (3) "),
    ] {
        let entry = listed(&engine, id, "");
        assert_eq!(entry["State"], word);
        assert!(entry["Status"].as_str().expect("a text").starts_with(text), "{entry}");
        let filters = query(&[("filters", &json!({ "status": [word] }).to_string())]);
        let list = engine.get(&format!("/containers/json{filters}")).expect(200).json();
        let ids: Vec<&Value> = list.as_array().expect("a list").iter().map(|entry| &entry["Id"]).collect();
        assert_eq!(ids, [&json!(id)], "{word}");
    }
}

#[test]
fn an_image_whose_name_has_gone_to_another_is_called_by_its_id() {
    let engine = Today::start();
    let build = |label: &str| {
        let built = engine.build(&[("t", "moved")], Context::of(&format!("FROM busybox\nLABEL v={label}")));
        let _ = built.image();
    };
    build("1");
    let id = engine.create(&merged(sh("true"), json!({ "Image": "moved" })));
    let before = listed(&engine, &id, "");
    assert_eq!(before["Image"], "moved");
    build("2");
    let after = listed(&engine, &id, "");
    assert_eq!((&after["Image"], &after["ImageID"]), (&before["ImageID"], &before["ImageID"]));
    assert_eq!(listed(&engine.at("1.23"), &id, "")["Image"], "moved");
    assert_eq!(engine.inspect(&id)["Config"]["Image"], "moved");
    engine.remove(&id);
    let _ = engine.delete("/images/moved").expect(200);
    let _ = engine.post("/images/prune").expect(200);
}
