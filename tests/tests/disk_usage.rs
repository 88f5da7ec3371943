//! `GET /system/df`: true sizes, in the shape of each version.

use std::collections::BTreeSet;

use berth_tests::registry::{Content, Server, noise, pull, tar_of};
use berth_tests::{Client, Engine, merged, query, sh, tarball};
use serde_json::{Value, json};

fn usage(client: &Client, query: &str) -> Value {
    client.get(&format!("/system/df{query}")).expect(200).json()
}

fn fields(value: &Value) -> Vec<&str> {
    let mut fields: Vec<&str> = value.as_object().expect("an object").keys().map(String::as_str).collect();
    fields.sort_unstable();
    fields
}

/// A volume of 300,000 bytes and a container that has written 200,000 to itself; the container's id.
fn fill(engine: &Engine) -> String {
    let _ = engine.at("1.55").post_json("/volumes/create", &json!({"Name": "data"})).expect(201);
    let _ = engine.at("1.55").post_json("/volumes/create", &json!({"Name": "idle"})).expect(201);
    let script = "head -c 300000 /dev/zero > /data/f; head -c 200000 /dev/zero > /own";
    let body = merged(sh(script), json!({"HostConfig": {"Binds": ["data:/data"]}}));
    let id = engine.run(&body);
    assert_eq!(engine.wait(&id), 0);
    id
}

fn clear(engine: &Engine, id: &str) {
    engine.remove(id);
    for volume in ["data", "idle"] {
        let _ = engine.at("1.55").delete(&format!("/volumes/{volume}")).expect(204);
    }
}

#[test]
fn sums_and_items_are_those_of_today() {
    let engine = Engine::start();
    let id = fill(&engine);
    let today = engine.at("1.55");
    let sums = usage(&today, "");
    let names = ["BuildCacheUsage", "ContainerUsage", "ImageUsage", "VolumeUsage"];
    let lists = ["BuildCache", "Containers", "Images", "LayersSize", "Volumes"];
    let both: BTreeSet<&str> = names.into_iter().chain(lists).collect();
    assert_eq!(fields(&sums), both.into_iter().collect::<Vec<_>>(), "clients of today read lists, too");
    let volumes = &sums["VolumeUsage"];
    assert_eq!(*volumes, json!({"ActiveCount": 1, "TotalCount": 2, "Reclaimable": 0, "TotalSize": 300_000}));
    let own = sums["ContainerUsage"]["TotalSize"].as_u64().expect("bytes");
    assert!((200_000..201_000).contains(&own), "{sums}");
    assert_eq!(
        sums["ContainerUsage"],
        json!({"ActiveCount": 0, "TotalCount": 1, "Reclaimable": own, "TotalSize": own})
    );
    let images = &sums["ImageUsage"];
    let size = today.get("/images/busybox/json").expect(200).json()["Size"].clone();
    assert_eq!(*images, json!({"ActiveCount": 1, "TotalCount": 1, "Reclaimable": 0, "TotalSize": size}));
    let whole = usage(&today, "?verbose=1");
    let items = whole["VolumeUsage"]["Items"].as_array().expect("volumes");
    let measured: Vec<(&Value, &Value)> =
        items.iter().map(|item| (&item["Name"], &item["UsageData"])).collect();
    assert_eq!(
        measured,
        [
            (&json!("data"), &json!({"RefCount": 1, "Size": 300_000})),
            (&json!("idle"), &json!({"RefCount": 0, "Size": 0})),
        ]
    );
    let container = &whole["ContainerUsage"]["Items"][0];
    assert_eq!((&container["Id"], &container["SizeRw"]), (&json!(id), &json!(own)));
    assert_eq!(container["SizeRootFs"].as_u64(), size.as_u64().map(|size| size + own));
    let image = &whole["ImageUsage"]["Items"][0];
    assert_eq!((&image["Containers"], &image["SharedSize"], &image["Size"]), (&json!(1), &json!(0), &size));
    assert_eq!(whole["BuildCacheUsage"]["Items"], json!([]));
    clear(&engine, &id);
    let empty = usage(&today, "");
    assert_eq!(empty["ImageUsage"]["Reclaimable"], empty["ImageUsage"]["TotalSize"]);
    assert_eq!(
        (&empty["VolumeUsage"]["TotalCount"], &empty["ContainerUsage"]["TotalSize"]),
        (&json!(0), &json!(0))
    );
}

#[test]
fn lists_are_those_of_older_versions() {
    let engine = Engine::start();
    let id = fill(&engine);
    for (version, wanted) in [
        ("1.25", vec!["BuildCache", "BuilderSize", "Containers", "Images", "LayersSize", "Volumes"]),
        ("1.42", vec!["BuildCache", "Containers", "Images", "LayersSize", "Volumes"]),
        ("1.51", vec!["BuildCache", "Containers", "Images", "LayersSize", "Volumes"]),
    ] {
        let lists = usage(&engine.at(version), "?verbose=1");
        assert_eq!(fields(&lists), wanted, "{version}");
        assert_eq!(lists["Volumes"][0]["UsageData"], json!({"RefCount": 1, "Size": 300_000}));
        assert_eq!(lists["Containers"][0]["Id"], json!(id));
        assert_eq!(
            (&lists["Images"][0]["Containers"], &lists["Images"][0]["SharedSize"]),
            (&json!(1), &json!(0))
        );
        assert_eq!(lists["LayersSize"], lists["Images"][0]["Size"]);
    }
    let both = fields(&usage(&engine.at("1.52"), "")).len();
    assert_eq!((both, fields(&usage(&engine.at("1.52"), "?verbose=1")).len()), (9, 4));
    let _ = engine.at("1.24").get("/system/df").expect(404);
    clear(&engine, &id);
}

#[test]
fn only_what_is_asked_for_is_shown() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    assert_eq!(fields(&usage(&today, "?type=volume&verbose=1")), ["VolumeUsage"]);
    let two = usage(&today, "?type=image&type=build-cache&verbose=1");
    assert_eq!(fields(&two), ["BuildCacheUsage", "ImageUsage"]);
    let refused = today.get("/system/df?type=network").expect(400).json();
    assert_eq!(refused, json!({"message": "unknown object type: network"}));
    let of_volumes = usage(&engine.at("1.44"), "?type=volume");
    assert_eq!((&of_volumes["Volumes"], &of_volumes["Images"]), (&json!([]), &Value::Null));
    assert!(usage(&engine.at("1.41"), "?type=volume")["Images"].is_array(), "no parameter then");
}

#[test]
fn what_changes_is_measured_again() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let id = fill(&engine);
    let own = || usage(&today, "?type=container")["ContainerUsage"]["TotalSize"].as_u64().expect("bytes");
    let volume = || usage(&today, "?type=volume")["VolumeUsage"]["TotalSize"].as_u64().expect("bytes");
    let before = (own(), volume());
    assert_eq!((own(), volume()), before);
    // Written by a client into the container that stands still, and into its volume.
    let tar = tarball::of(&[("more", &"x".repeat(50_000))]);
    for path in ["/", "/data"] {
        let path = format!("/containers/{id}/archive?path={path}");
        let _ = today.call("PUT", &path, &[("Content-Type", "application/x-tar")], &tar).expect(200);
    }
    assert_eq!((own() - before.0, volume() - before.1), (50_000, 50_000));
    // Written by another container that has the volume.
    let body = merged(sh("head -c 70000 /dev/zero > /v/g"), json!({"HostConfig": {"Binds": ["data:/v"]}}));
    let other = engine.run(&body);
    assert_eq!(engine.wait(&other), 0);
    assert_eq!(volume() - before.1, 120_000);
    engine.start(&id);
    assert_eq!(engine.wait(&id), 0);
    engine.remove(&other);
    assert_eq!(volume() - before.1, 120_000);
    clear(&engine, &id);
}

#[test]
fn blobs_that_are_kept_as_they_came_count_and_go_with_their_image() {
    let mut engine = Engine::start();
    let mut content = Content::default();
    let _ = content.image("x", &[tar_of(&[("noise", &noise(5, 100_000))])]);
    let kept = content.document_of("x")["layers"][0]["size"].as_u64().expect("the size of its blob");
    let server = Server::start(&engine, "127.0.0.1:5000", move |asked| content.answer(asked));
    let sums = |engine: &Engine| {
        let usage = usage(&engine.at("1.55"), "?type=image");
        let images = usage["ImageUsage"].clone();
        assert_eq!(images["TotalSize"], usage["LayersSize"]);
        ["TotalSize", "Reclaimable"].map(|sum| images[sum].as_u64().expect("bytes"))
    };
    let container = engine.create(&sh("true"));
    let [before, nothing] = sums(&engine);
    assert_eq!(nothing, 0, "a container uses the only image");
    let _ = pull(&engine, "127.0.0.1:5000/a", "x", &[]).succeeded();
    let shown = engine.at("1.55").get("/images/127.0.0.1:5000/a:x/json").expect(200).json();
    let size = shown["Size"].as_u64().expect("bytes");
    assert!(kept >= 100_000 && size == 100_000, "{kept} of {size}");
    assert_eq!(sums(&engine), [before + size + kept, size + kept]);
    engine.replace_daemon();
    assert_eq!(sums(&engine), [before + size + kept, size + kept], "the next daemon knows");
    let all = query(&[("filters", r#"{"dangling":["false"]}"#)]);
    let pruned = engine.at("1.55").post(&format!("/images/prune{all}")).expect(200).json();
    assert_eq!(pruned["SpaceReclaimed"], size + kept);
    assert_eq!(sums(&engine), [before, 0]);
    engine.remove(&container);
    drop(server);
}

#[test]
fn a_layer_that_is_elsewhere_by_now_takes_nothing() {
    let engine = Engine::start();
    let id = fill(&engine);
    let directory = engine.data_root().join("containers").join(&id);
    // As a build does with the layer of its step before the step's container goes.
    std::fs::rename(directory.join("upper"), directory.join("adopted")).expect("its layer");
    let listed = engine.get("/containers/json?all=1&size=1").expect(200).json();
    assert_eq!(listed[0]["SizeRw"].as_u64().unwrap_or_default(), 0, "{listed}");
    assert!(listed[0]["SizeRootFs"].as_u64().is_some_and(|size| size > 0), "{listed}");
    let whole = usage(&engine.at("1.55"), "?verbose=1");
    assert_eq!(whole["ContainerUsage"]["TotalCount"], 1, "{whole}");
    assert_eq!(whole["ContainerUsage"]["TotalSize"].as_u64().unwrap_or_default(), 0, "{whole}");
    clear(&engine, &id);
}
