//! Images as the versions after 1.20 show them: list, inspect, history, names, removal, prune, platforms.

use berth_tests::registry::{Protection, Registry, push};
use berth_tests::tarball::TAR;
use berth_tests::{Client, Context, Engine, query, sh, tarball};
use serde_json::{Value, json};

/// Imports a tar with one file under a name; gives the image's id.
fn import(engine: &Client, content: &str, parameters: &[(&str, &str)]) -> String {
    let path = format!("/images/create?fromSrc=-&{}", &query(parameters)[1..]);
    let answer = engine.call("POST", &path, &TAR, &tarball::of(&[("f", content)]));
    let last = answer.expect(200).text().lines().last().expect("a line").to_owned();
    serde_json::from_str::<Value>(&last).expect("JSON")["status"].as_str().expect("an id").to_owned()
}

fn list(engine: &Client, filters: &Value, more: &[(&str, &str)]) -> Vec<Value> {
    let filters = filters.to_string();
    let mut pairs = vec![("filters", filters.as_str())];
    pairs.extend_from_slice(more);
    let answer = engine.get(&format!("/images/json{}", query(&pairs))).expect(200).json();
    answer.as_array().expect("a list").clone()
}

fn ids(images: &[Value]) -> Vec<&str> {
    let mut ids: Vec<&str> = images.iter().map(|image| image["Id"].as_str().expect("an id")).collect();
    ids.sort_unstable();
    ids
}

fn inspect(engine: &Client, name: &str) -> Value {
    engine.get(&format!("/images/{name}/json")).expect(200).json()
}

/// Removes all images: the engine's own end knows busybox alone.
fn clear(engine: &Client) {
    let all = query(&[("filters", r#"{"dangling":["false"]}"#)]);
    let _ = engine.post(&format!("/images/prune{all}")).expect(200);
}

#[test]
fn a_list_has_the_fields_of_its_version() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let id = import(&today, "one", &[("repo", "own/image"), ("changes", "LABEL a=b")]);
    assert!(id.starts_with("sha256:") && id.len() == 71, "{id}");
    let one = |minor: u32, more: &[(&str, &str)]| {
        let client = engine.at(&format!("1.{minor}"));
        list(&client, &json!({"reference": ["own/image"]}), more).remove(0)
    };
    let image = one(55, &[]);
    assert_eq!((&image["Id"], &image["Labels"]), (&json!(id), &json!({"a": "b"})));
    assert_eq!(
        (&image["SharedSize"], &image["Containers"], &image["RepoDigests"]),
        (&json!(-1), &json!(0), &json!([]))
    );
    assert_eq!([43, 44].map(|minor| one(minor, &[]).get("VirtualSize").is_some()), [true, false]);
    assert_eq!(one(43, &[])["VirtualSize"], one(43, &[])["Size"]);
    assert_eq!([50, 51].map(|minor| one(minor, &[])["Containers"].clone()), [json!(-1), json!(0)]);
    assert_eq!(
        [41, 42].map(|minor| one(minor, &[("shared-size", "1")])["SharedSize"].clone()),
        [json!(-1), json!(0)]
    );
    assert_eq!(one(22, &[])["Id"], json!(id));
    assert_eq!(one(20, &[])["Id"], json!(id[7..]));
    assert_eq!(one(20, &[]).get("Containers"), None);
    // Another import takes the name.
    let _ = import(&today, "two", &[("repo", "own/image")]);
    let unnamed =
        |minor: u32| list(&engine.at(&format!("1.{minor}")), &json!({"dangling": ["true"]}), &[]).remove(0);
    assert_eq!((&unnamed(43)["RepoTags"], &unnamed(43)["RepoDigests"]), (&json!([]), &json!([])));
    assert_eq!(unnamed(42)["RepoTags"], json!(["<none>:<none>"]));
    assert_eq!(ids(&list(&today, &json!({"dangling": ["false"], "reference": ["own/*"]}), &[])).len(), 1);
    clear(&engine.at("1.55"));
}

#[test]
fn images_share_layers_and_count_their_containers() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let built = today.build(&[("t", "built")], Context::of("FROM busybox\nRUN echo more > /more"));
    let _ = built.image();
    let _ = import(&today, "own", &[("repo", "apart")]);
    let of = |name: &str| {
        let images = list(&today, &json!({"reference": [name]}), &[("shared-size", "1")]);
        let number = |field: &str| images[0][field].as_i64().expect("a number");
        (number("SharedSize"), number("Size"))
    };
    let (base, built, apart) = (of("busybox"), of("built"), of("apart"));
    assert_eq!((base.0, built.0), (base.1, base.1), "the base is in both");
    assert!(built.1 > base.1, "{built:?} {base:?}");
    assert_eq!(apart.0, 0);
    let containers = || list(&today, &json!({"reference": ["built"]}), &[])[0]["Containers"].clone();
    let id = engine.create(&json!({"Image": "built", "Cmd": ["true"]}));
    assert_eq!(containers(), 1);
    let container = today.get(&format!("/containers/{id}/json")).expect(200).json();
    assert_eq!(container["Image"], inspect(&today, "built")["Id"]);
    let listed = today.get("/containers/json?all=1").expect(200).json();
    assert_eq!(listed[0]["ImageID"], container["Image"]);
    engine.remove(&id);
    assert_eq!(containers(), 0);
    clear(&engine.at("1.55"));
}

#[test]
fn filters_of_today() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let one = import(&today, "one", &[("repo", "a/one"), ("changes", "LABEL k=one")]);
    let two = import(&today, "two", &[("repo", "a/two"), ("tag", "v1"), ("changes", "LABEL k=two more=1")]);
    for (filters, wanted) in [
        (json!({"label": ["k"]}), vec![&one, &two]),
        (json!({"label": ["k"], "label!": ["more"]}), vec![&one]),
        (json!({"label": ["k"], "label!": ["k=one"]}), vec![&two]),
        (json!({"reference": ["a/*:v1"]}), vec![&two]),
        (json!({"reference": {"a/one": true}}), vec![&one]),
        (json!({"label": ["k"], "until": ["1h"]}), vec![]),
        (json!({"label": ["k"], "until": ["2001-02-03"]}), vec![]),
        (json!({"label": ["k"], "until": ["4102444800"]}), vec![&one, &two]),
        (json!({"label": ["k"], "until": ["4102444800", "1h"]}), vec![]),
    ] {
        let mut wanted: Vec<&str> = wanted.into_iter().map(String::as_str).collect();
        wanted.sort_unstable();
        assert_eq!(ids(&list(&today, &filters, &[])), wanted, "{filters}");
    }
    for (filters, words) in [
        (r#"{"colour":["red"]}"#, "invalid filter 'colour'"),
        (r#"{"dangling":["perhaps"]}"#, "invalid filter 'dangling=[perhaps]'"),
        (
            r#"{"until":["yesterday"]}"#,
            "invalid filter: 'until'=\"yesterday\" is neither a duration nor a time",
        ),
    ] {
        let refused = today.get(&format!("/images/json{}", query(&[("filters", filters)]))).expect(400);
        assert_eq!(refused.message(), words);
    }
    let _ = today.get(&format!("/images/json{}", query(&[("filters", "7")]))).expect(400);
    let _ =
        today.get(&format!("/images/json{}", query(&[("filters", r#"{"since":["nosuch"]}"#)]))).expect(404);
    // A pattern of names is a parameter up to 1.40.
    let named = |minor: u32| {
        let answer = engine.at(&format!("1.{minor}")).get("/images/json?filter=a/one").expect(200).json();
        answer.as_array().expect("a list").len()
    };
    assert_eq!([24, 25, 40, 41].map(named), [1, 1, 1, 3]);
    clear(&engine.at("1.55"));
}

#[test]
fn inspect_has_the_fields_of_its_version() {
    let engine = Engine::start();
    let changes = "ENV X=y\nCMD [\"c\"]\nUSER own\nWORKDIR /w\nLABEL a=b";
    let id = import(&engine.at("1.55"), "one", &[("repo", "own"), ("changes", changes)]);
    let at = |minor: u32| inspect(&engine.at(&format!("1.{minor}")), "own");
    let has = |minor: u32, field: &str| at(minor).get(field).is_some();
    for (field, since, until) in [
        ("RootFS", 22, 99),
        ("Metadata", 31, 99),
        ("VirtualSize", 0, 44),
        ("Container", 0, 45),
        ("ContainerConfig", 0, 45),
        ("Parent", 0, 52),
        ("Author", 0, 52),
    ] {
        for minor in [since, until].into_iter().filter(|minor| (1..=55).contains(minor)) {
            assert_eq!(
                (has(minor - 1, field), has(minor, field)),
                (minor == until, minor == since),
                "{field}"
            );
        }
    }
    let today = at(55);
    assert_eq!((&today["Id"], &today["RepoTags"]), (&json!(id), &json!(["own:latest"])));
    assert_eq!(
        today["Config"],
        json!({"Env": ["X=y"], "Cmd": ["c"], "User": "own", "WorkingDir": "/w", "Labels": {"a": "b"}})
    );
    let config = |minor: u32, field: &str| at(minor)["Config"].get(field).cloned();
    assert_eq!([config(49, "Hostname"), config(50, "Hostname")], [Some(json!("")), None]);
    assert_eq!([config(51, "Volumes"), config(52, "Volumes")], [Some(Value::Null), None]);
    assert_eq!(today["RootFS"]["Type"], "layers");
    assert_eq!(today["RootFS"]["Layers"].as_array().expect("layers").len(), 1);
    assert_eq!((&today["Os"], today.get("Variant")), (&json!("linux"), None));
    // The time of the last tag is that of the latest one.
    let tagged = |value: &Value| value["Metadata"]["LastTagTime"].as_str().expect("a time").to_owned();
    let before = tagged(&today);
    assert!(before.starts_with("20"), "{before}");
    let _ = engine.at("1.55").post("/images/own/tag?repo=other").expect(201);
    assert!(tagged(&at(55)) >= before);
    let _ = engine.at("1.55").delete("/images/own").expect(200);
    assert!(tagged(&inspect(&engine.at("1.55"), "other")) >= before);
    clear(&engine.at("1.55"));
}

#[test]
fn a_commit_gives_an_image_that_has_nothing_of_its_container() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let id = engine.create(&json!({"Image": "busybox", "Cmd": ["true"], "Hostname": "own", "Tty": true}));
    let answer = today.post(&format!("/commit?container={id}&repo=made")).expect(201).json();
    let image = inspect(&today, "made");
    assert_eq!(answer["Id"], image["Id"]);
    assert_eq!((image["Config"].get("Tty"), image["Config"].get("Hostname")), (None, None));
    assert_eq!(inspect(&engine.at("1.40"), "made")["Config"]["Tty"], false);
    engine.remove(&id);
    clear(&today);
}

#[test]
fn platforms_are_those_of_images() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let _ = import(&today, "arm", &[("repo", "arm"), ("platform", "linux/arm/v7")]);
    let image = inspect(&today, "arm");
    assert_eq!(
        (&image["Os"], &image["Architecture"], &image["Variant"]),
        (&json!("linux"), &json!("arm"), &json!("v7"))
    );
    let path = "/images/create?fromSrc=-&repo=other&platform=linux/arm/v7/x";
    let refused = today.call("POST", path, &TAR, &tarball::of(&[("f", "x")])).expect(400);
    assert!(
        refused.message().starts_with("invalid platform: \"linux/arm/v7/x\" is not a platform"),
        "{}",
        refused.text()
    );
    let own = query(&[("platform", r#"{"os":"linux","architecture":"arm"}"#)]);
    let other = query(&[("platform", r#"{"os":"linux","architecture":"s390x"}"#)]);
    for (platform, status) in [
        (r#"{"OS":"linux","Architecture":"arm"}"#, 200),
        (r#"{"os":"linux","architecture":"x86_64"}"#, 404),
        (r#"["linux","arm",""]"#, 400),
        (r#"{"os":"linux"}"#, 400),
        (r#"{"os":7,"architecture":"arm"}"#, 400),
    ] {
        let answer =
            today.get(&format!("/images/arm/json{}", query(&[("platform", platform)]))).expect(status);
        assert_eq!(status == 404, answer.text().contains("(linux/amd64)"), "{platform}: {}", answer.text());
    }
    for what in ["json", "history"] {
        let _ = today.get(&format!("/images/arm/{what}{own}")).expect(200);
        let missing = today.get(&format!("/images/arm/{what}{other}")).expect(404);
        assert_eq!(
            missing.message(),
            "image with reference arm was found but does not provide the specified platform (linux/s390x)"
        );
        let _ = today.get(&format!("/images/arm/{what}?platform=nonsense")).expect(400);
        let _ = engine.at("1.47").get(&format!("/images/arm/{what}?platform=nonsense")).expect(200);
    }
    // It may run here by a handler of the host, so that is a warning, and none where it was requested.
    let warnings = |version: &str, more: &str| {
        let path = format!("/containers/create{more}");
        let made = engine.at(version).post_json(&path, &json!({ "Image": "arm", "Cmd": ["x"] })).expect(201);
        engine.remove(made.json()["Id"].as_str().expect("an id"));
        made.json()["Warnings"].clone()
    };
    let version = today.get("/version").expect(200).json();
    let of_host = ["Os", "Arch"].map(|part| version[part].as_str().expect(part).to_owned()).join("/");
    assert_eq!(
        warnings("1.55", ""),
        json!([format!(
            "The requested image's platform (linux/arm/v7) does not match the detected host platform ({of_host}) and no \
                specific platform was requested"
        )])
    );
    assert_eq!((warnings("1.55", "?platform=linux/arm/v7"), warnings("1.40", "")), (json!([]), json!([])));
    let _ = today.delete("/images/arm?platforms=nonsense").expect(400);
    let remove = |platforms: &str, force: &str| {
        today.delete(&format!("/images/arm{}{force}", platforms.replace("platform=", "platforms=")))
    };
    assert_eq!(
        remove(&own, "").expect(400).message(),
        "Content will be removed from all images referencing this variant. Use —-force to force delete."
    );
    let _ = remove(&other, "&force=1").expect(404);
    let _ = remove(&own, "&force=1").expect(200);
    let _ = today.get("/images/arm/json").expect(404);
}

#[test]
fn a_tag_may_stand_in_the_name_and_moves() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let (one, two) = (import(&today, "one", &[("repo", "one")]), import(&today, "two", &[("repo", "two")]));
    let _ = today.post("/images/one/tag?repo=x/y:v2").expect(201);
    let _ = today.post("/images/one/tag?repo=x/y:ignored&tag=v3").expect(201);
    assert_eq!(inspect(&today, &one)["RepoTags"], json!(["one:latest", "x/y:v2", "x/y:v3"]));
    let _ = today.post("/images/two/tag?repo=x/y&tag=v2").expect(201);
    assert_eq!(inspect(&today, "x/y:v2")["Id"], json!(two));
    // Before 1.24 it does neither.
    let _ = engine.at("1.20").post("/images/one/tag?repo=x/y&tag=v2").expect(409);
    let _ = engine.at("1.20").post("/images/one/tag?repo=z:v2").expect(400);
    let removed = today.delete("/images/x/y:v3").expect(200).json();
    assert_eq!(removed, json!([{"Untagged": "x/y:v3"}]));
    let removed = today.delete("/images/one").expect(200).json();
    assert_eq!(removed, json!([{"Untagged": "one:latest"}, {"Deleted": one}]));
    clear(&engine.at("1.55"));
}

#[test]
fn a_name_is_taken_by_force_from_what_runs() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let built = today.build(&[("t", "used")], Context::of("FROM busybox\nLABEL own=1\n"));
    assert_eq!(built.error, None, "{}", built.said);
    let image = inspect(&engine, "used")["Id"].as_str().expect("an id").to_owned();
    let running = today.run(&json!({ "Image": "used", "Cmd": ["sleep", "600"] }));
    let _ = today.delete("/images/used").expect(409);
    let _ = engine.delete("/images/used?force=1").expect(409);
    let _ = today.delete(&format!("/images/{image}?force=1")).expect(409);
    let removed = today.delete("/images/used?force=1").expect(200).json();
    assert_eq!(removed, json!([{ "Untagged": "used:latest" }]));
    assert_eq!(inspect(&today, &image)["RepoTags"], json!([]));
    assert_eq!(today.exec(&running, &["true"]).code, 0);
    today.remove(&running);
    let _ = today.delete(&format!("/images/{image}")).expect(200);
}

#[test]
fn a_name_is_free_while_containers_of_children_run() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let built = today.build(&[("t", "parent")], Context::of("FROM busybox\nLABEL of=parent\n"));
    assert_eq!(built.error, None, "{}", built.said);
    let built = today.build(&[("t", "child")], Context::of("FROM parent\nLABEL of=child\n"));
    assert_eq!(built.error, None, "{}", built.said);
    let parent = inspect(&engine, "parent")["Id"].as_str().expect("an id").to_owned();
    let running = today.run(&json!({ "Image": "child", "Cmd": ["sleep", "600"] }));
    let _ = engine.delete("/images/parent").expect(409);
    let _ = today.delete(&format!("/images/{parent}")).expect(409);
    let own = today.run(&json!({ "Image": "parent", "Cmd": ["sleep", "600"] }));
    let _ = today.delete("/images/parent").expect(409);
    today.remove(&own);
    let removed = today.delete("/images/parent").expect(200).json();
    assert_eq!(removed, json!([{ "Untagged": "parent:latest" }]));
    assert_eq!(today.exec(&running, &["true"]).code, 0);
    today.remove(&running);
    let _ = today.delete("/images/child").expect(200);
    assert_eq!(today.get(&format!("/images/{parent}/json")).status(), 404, "it went with its last child");
}

#[test]
fn a_tag_apart_counts_more_than_one_in_the_name_since_1_24() {
    let engine = Engine::start();
    let _registry = Registry::start(&engine, "127.0.0.1:5000", &Protection::Open);
    let today = engine.at("1.55");
    let _ = engine.post("/images/busybox/tag?repo=127.0.0.1:5000/apart&tag=one").expect(201);
    let _ = push(&engine, "127.0.0.1:5000/apart", "one", None).succeeded();
    let _ = engine.delete("/images/127.0.0.1:5000/apart:one").expect(200);
    let both = "/images/create?fromImage=127.0.0.1:5000/apart:other&tag=one";
    let _ = engine.at("1.20").post(both).expect(500);
    let pulled = today.post(both).expect(200).text();
    assert!(!pulled.contains("error"), "{pulled}");
    let _ = today.get("/images/127.0.0.1:5000/apart:one/json").expect(200);
    let _ = today.get("/images/127.0.0.1:5000/apart:other/json").expect(404);
    let _ = today.delete("/images/127.0.0.1:5000/apart:one").expect(200);
    // What was pushed is remembered with the image.
    let _ = today.delete("/images/busybox").expect(200);
}

#[test]
fn a_prune_takes_what_nobody_needs() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let prune = |filters: Value| {
        today
            .post(&format!("/images/prune{}", query(&[("filters", &filters.to_string())])))
            .expect(200)
            .json()
    };
    let content = "x".repeat(100_000);
    let old = import(&today, &content, &[("repo", "app"), ("changes", "LABEL k=1")]);
    let new = import(&today, "new", &[("repo", "app"), ("changes", "LABEL k=1")]);
    assert_eq!(prune(json!({"label!": ["k"]}))["ImagesDeleted"], Value::Null);
    assert_eq!(prune(json!({"until": ["1h"]}))["ImagesDeleted"], Value::Null);
    let pruned = prune(json!({"label": ["k=1"]}));
    assert_eq!(pruned["ImagesDeleted"], json!([{"Deleted": old}]));
    let reclaimed = pruned["SpaceReclaimed"].as_u64().expect("bytes");
    assert!((100_000..110_000).contains(&reclaimed), "{reclaimed}");
    assert_eq!(prune(json!({})), json!({"ImagesDeleted": null, "SpaceReclaimed": 0}));
    // All that no container uses, under all their names.
    let _ = today.post("/images/app/tag?repo=elsewhere").expect(201);
    let id = engine.create(&sh("true"));
    let pruned = prune(json!({"dangling": ["false"]}));
    assert_eq!(
        pruned["ImagesDeleted"],
        json!([{"Untagged": "app:latest"}, {"Untagged": "elsewhere:latest"}, {"Deleted": new}])
    );
    let _ = today.get("/images/busybox/json").expect(200);
    engine.remove(&id);
    for filters in [r#"{"reference":["x"]}"#, r#"{"dangling":["x"]}"#, "{"] {
        let _ = today.post(&format!("/images/prune{}", query(&[("filters", filters)]))).expect(400);
    }
    let _ = engine.at("1.24").post("/images/prune").expect(404);
}
