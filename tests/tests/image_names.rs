//! Images by their names: which are listed, what may be named how, and what goes when a name goes.

use berth_tests::registry::digest;
use berth_tests::{Engine, merged, query, rootfs, sh, tarball};
use serde_json::{Value, json};

/// Builds an image; gives its id.
fn build(engine: &Engine, dockerfile: &str, name: &str) -> String {
    let mut archive = tar::Builder::new(Vec::new());
    rootfs::append(&mut archive, "Dockerfile", tar::EntryType::Regular, 0o644, dockerfile.as_bytes());
    let context = archive.into_inner().expect("a context");
    let path = format!("/build{}", query(&[("t", name), ("rm", "1"), ("nocache", "1")]));
    let answer = engine.call("POST", &path, &[("Content-Type", "application/x-tar")], &context).expect(200);
    let text = answer.text();
    let id = text.rsplit("Successfully built ").next().and_then(|rest| rest.get(..12)).expect("an id");
    inspect(engine, id)["Id"].as_str().expect("an id").to_owned()
}

fn inspect(engine: &Engine, name: &str) -> Value {
    engine.get(&format!("/images/{name}/json")).expect(200).json()
}

fn parent(engine: &Engine, name: &str) -> String {
    inspect(engine, name)["Parent"].as_str().expect("an id").to_owned()
}

fn tag(engine: &Engine, image: &str, repository: &str, tag: &str) {
    let _ = engine.post(&format!("/images/{image}/tag?repo={repository}&tag={tag}")).expect(201);
}

/// Removes by name or id; gives the list of what was done, or the refusal's text.
fn remove(engine: &Engine, target: &str) -> Result<Vec<String>, String> {
    let answer = engine.delete(&format!("/images/{target}"));
    if answer.status() == 409 {
        return Err(answer.text());
    }
    let acts = answer.expect(200).json();
    let acts = acts.as_array().expect("a list").iter();
    Ok(acts
        .map(|act| match (&act["Untagged"], &act["Deleted"]) {
            (Value::String(name), Value::Null) => format!("untagged {name}"),
            (Value::Null, Value::String(id)) => format!("deleted {id}"),
            other => panic!("{other:?}"),
        })
        .collect())
}

/// The names of listed images, or their ids where they have none.
fn listed(engine: &Engine, pairs: &[(&str, &str)]) -> Vec<String> {
    let list = engine.get(&format!("/images/json{}", query(pairs))).expect(200).json();
    let mut names = Vec::new();
    for image in list.as_array().expect("a list") {
        for name in image["RepoTags"].as_array().expect("names") {
            let name = name.as_str().expect("a name");
            names.push(
                if name.starts_with('<') { image["Id"].as_str().expect("an id") } else { name }.to_owned(),
            );
        }
    }
    names.sort();
    names
}

#[test]
fn the_list_is_filtered_by_names_labels_and_what_dangles() {
    let engine = Engine::start();
    let dangling = build(&engine, "FROM busybox\nLABEL a=2\n", "gone:x");
    let app = build(&engine, "FROM busybox\nLABEL a=1 b=two\nRUN echo hi > /hi\nCMD [\"sh\"]\n", "gone:x");
    tag(&engine, "gone:x", "app", "v1");
    tag(&engine, "gone:x", "app", "other");
    tag(&engine, "gone:x", "127.0.0.1:5000/x/app", "latest");
    assert_eq!(remove(&engine, "gone:x"), Ok(vec!["untagged gone:x".to_owned()]));
    let ours = ["127.0.0.1:5000/x/app:latest", "app:other", "app:v1"];
    let sorted = |names: &[&str]| {
        let mut all: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        all.sort();
        all
    };
    let heads = |extra: &[&str]| sorted(&[&ours, extra].concat());
    assert_eq!(listed(&engine, &[]), heads(&["busybox:latest", &dangling]));
    assert_eq!(listed(&engine, &[("all", "0")]), heads(&["busybox:latest", &dangling]));
    assert_eq!(listed(&engine, &[("all", "1")]).len(), 7, "two steps below");
    for (filters, expected) in [
        (r#"{"dangling":["true"]}"#, vec![dangling.clone()]),
        (r#"{"dangling":{"true":true}}"#, vec![dangling.clone()]),
        (r#"{"dangling":["false"]}"#, heads(&["busybox:latest", &dangling])),
        (r#"{"label":["a"]}"#, heads(&[&dangling])),
        (r#"{"label":["a=1"]}"#, heads(&[])),
        (r#"{"label":["a=1","b"]}"#, heads(&[])),
        (r#"{"label":["a=3"]}"#, vec![]),
        (r#"{"label":["a","zzz"]}"#, vec![]),
        (r#"{"dangling":["true"],"label":["a=2"]}"#, vec![dangling.clone()]),
        ("", heads(&["busybox:latest", &dangling])),
    ] {
        assert_eq!(listed(&engine, &[("filters", filters)]), expected, "{filters}");
    }
    for (filters, expected) in [
        (r#"{"reference":["app"]}"#, heads(&[])[1..].to_vec()),
        (r#"{"reference":["app:v*","busybox"]}"#, vec!["app:v1".to_owned(), "busybox:latest".to_owned()]),
        (r#"{"reference":["*/*/app"]}"#, heads(&[])[..1].to_vec()),
        (r#"{"reference":["nope","["]}"#, vec![]),
        (r#"{"reference":["app"],"label":["a=3"]}"#, vec![]),
        (r#"{"before":["app:v1"]}"#, sorted(&["busybox:latest", &dangling])),
        (r#"{"since":["app:v1"]}"#, vec![]),
        (r#"{"since":["busybox"]}"#, heads(&[&dangling])),
        (r#"{"since":["busybox"],"before":["app:v1"]}"#, vec![dangling.clone()]),
    ] {
        assert_eq!(listed(&engine, &[("filters", filters)]), expected, "{filters}");
    }
    let unknown = engine.get(&format!("/images/json{}", query(&[("filters", r#"{"since":["nosuch"]}"#)])));
    assert_eq!((unknown.status(), unknown.text()), (404, "No such image: nosuch\n".to_owned()));
    for (pattern, expected) in [
        ("app", &ours[1..]),
        ("a*", &ours[1..]),
        ("app:v1", &ours[2..]),
        ("app:v*", &ours[2..]),
        ("app:nope", &[]),
        ("127.0.0.1:5000/x/app", &ours[..1]),
        ("127.0.0.1:5000/*/app", &ours[..1]),
        ("*/*", &[]),
        ("bu?ybox", &["busybox:latest"]),
        ("nope", &[]),
        ("[", &[]),
        ("APP", &[]),
    ] {
        assert_eq!(listed(&engine, &[("filter", pattern)]), expected, "{pattern}");
    }
    for bad in [r#"{"foo":["bar"]}"#, r#"{"dangling":"true"}"#, "[]", "{nope"] {
        let answer = engine.get(&format!("/images/json{}", query(&[("filters", bad)]))).expect(500);
        assert!(answer.text().to_lowercase().contains("filter"), "{}", answer.text());
    }
    let history = engine.get("/images/app:v1/history").expect(200).json();
    let steps: Vec<_> =
        history.as_array().expect("a list").iter().map(|step| step["CreatedBy"].clone()).collect();
    let expected = [
        "/bin/sh -c #(nop) CMD [\"sh\"]",
        "/bin/sh -c echo hi > /hi",
        "/bin/sh -c #(nop) LABEL a=1 b=two",
        "",
    ];
    assert_eq!(steps, expected.map(Value::from));
    assert_eq!((&history[1]["Size"], &history[3]["Comment"]), (&json!(3), &json!("Imported from -")));
    assert_eq!(history[0]["Tags"], json!(["127.0.0.1:5000/x/app:latest", "app:other", "app:v1"]));
    for name in [&app[..], &app[..12], "app:v1", "docker.io/library/app:v1", "127.0.0.1:5000/x/app"] {
        assert_eq!(inspect(&engine, name)["Id"], json!(app), "{name}");
    }
    let unknown = format!("busybox@sha256:{}", "0".repeat(64));
    for name in ["app", "app:nope", "APP:v1", &format!("{app}0"), &unknown, &format!("{}:v1", &app[..12])] {
        assert_eq!(
            engine.get(&format!("/images/{name}/json")).expect(404).text(),
            format!("No such image: {name}\n")
        );
    }
    assert_eq!(remove(&engine, &format!("{app}?force=1")).map(|acts| acts.len()), Ok(6));
    assert_eq!(remove(&engine, &dangling), Ok(vec![format!("deleted {dangling}")]));
}

#[test]
fn names_that_could_not_be_used_again_are_refused() {
    let engine = Engine::start();
    let digest = format!("sha256:{}", "0".repeat(64));
    for (repository, tag) in [
        ("", "x"),
        ("r:v2", ""),
        ("Repo", ""),
        ("a b", ""),
        ("-a", ""),
        ("a..b", ""),
        ("a/", ""),
        ("/a", ""),
        ("a//b", ""),
        ("http://a/b", ""),
        ("scratch", ""),
        (&"a".repeat(64), ""),
        (&"n".repeat(256), ""),
        ("r", "a b"),
        ("r", ".a"),
        ("r", "-a"),
        ("r", "a:b"),
        ("r", &"t".repeat(129)),
        ("r", &digest),
    ] {
        let path = format!("/images/busybox/tag{}", query(&[("repo", repository), ("tag", tag)]));
        let _ = engine.post(&path).expect(400);
    }
    assert_eq!(listed(&engine, &[]), ["busybox:latest"]);
    for (repository, tag, name) in [
        ("docker.io/foo", "", "foo:latest"),
        ("library/bar", "v", "bar:v"),
        ("reg.example.com:5000/a/b", "A_b.c-1", "reg.example.com:5000/a/b:A_b.c-1"),
        ("localhost/a__b", "", "localhost/a__b:latest"),
    ] {
        let path = format!("/images/busybox/tag{}", query(&[("repo", repository), ("tag", tag)]));
        let _ = engine.post(&path).expect(201);
        assert_eq!(remove(&engine, name), Ok(vec![format!("untagged {name}")]));
    }
    // Boolean values as clients of every age write them.
    tag(&engine, "busybox", "taken", "latest");
    let _ = engine.post("/images/busybox/tag?repo=taken").expect(201);
    let [other, ..] = three(&engine, "other");
    for no in ["0", "no", "none", "False", "FALSE", "%200", ""] {
        let answer = engine.post(&format!("/images/{other}/tag?repo=taken&force={no}")).expect(409);
        assert!(answer.text().contains("Tag latest is already set to image "), "{}", answer.text());
    }
    for yes in ["1", "true", "maybe", "2"] {
        let _ = engine.post(&format!("/images/{other}/tag?repo=taken&force={yes}")).expect(201);
    }
    assert_eq!(remove(&engine, "taken"), Ok(vec!["untagged taken:latest".to_owned()]));
    let _ = remove(&engine, "other?force=1");
}

/// An image of two layers and a config on top of busybox; gives its id and its parents'.
fn three(engine: &Engine, name: &str) -> [String; 3] {
    let id = build(engine, "FROM busybox\nRUN echo 1 > /1\nRUN echo 2 > /2\nCMD [\"true\"]\n", name);
    let middle = parent(engine, &id);
    let lowest = parent(engine, &middle);
    [id, middle, lowest]
}

#[test]
fn removal_takes_names_then_the_image_then_its_unnamed_parents() {
    let engine = Engine::start();
    let done = |names: &[&str], ids: &[&String]| -> Result<Vec<String>, String> {
        let names = names.iter().map(|name| format!("untagged {name}"));
        Ok(names.chain(ids.iter().map(|id| format!("deleted {id}"))).collect())
    };
    let [top, middle, lowest] = three(&engine, "zz1");
    assert_eq!(remove(&engine, "zz1"), done(&["zz1:latest"], &[&top, &middle, &lowest]));
    assert_eq!(engine.delete("/images/zz1").expect(404).text(), "No such image: zz1\n");

    let [top, middle, lowest] = three(&engine, "zz1");
    tag(&engine, "zz1", "zz2", "latest");
    let several = format!(
        "Conflict, cannot delete image {top} because it is tagged in multiple repositories, use -f to force\n"
    );
    assert_eq!(remove(&engine, &top), Err(several));
    assert_eq!(remove(&engine, "zz2"), done(&["zz2:latest"], &[]));
    tag(&engine, "zz1", "zz1", "two");
    assert_eq!(remove(&engine, &top[..12]), done(&["zz1:latest", "zz1:two"], &[&top, &middle, &lowest]));

    let [top, middle, lowest] = three(&engine, "zz1");
    assert_eq!(remove(&engine, "zz1?noprune=1"), done(&["zz1:latest"], &[&top]));
    assert_eq!(listed(&engine, &[]).len(), 2, "the parent dangles");
    assert_eq!(remove(&engine, &middle), done(&[], &[&middle, &lowest]));

    let [top, middle, lowest] = three(&engine, "zz1");
    for force in ["", "?force=1"] {
        assert_eq!(
            remove(&engine, &format!("{middle}{force}")),
            Err(format!("Conflict, {middle} wasn't deleted\n"))
        );
    }
    tag(&engine, &middle, "par", "latest");
    assert_eq!(remove(&engine, "zz1"), done(&["zz1:latest"], &[&top]));
    assert_eq!(remove(&engine, "par"), done(&["par:latest"], &[&middle, &lowest]));
    assert_eq!(std::fs::read_dir(engine.data_root().join("images/layers")).expect("it").count(), 1);
}

#[test]
fn what_containers_use_stays() {
    let engine = Engine::start();
    let [top, middle, _] = three(&engine, "zz1");
    tag(&engine, "zz1", "zz2", "latest");
    let short = |id: &str| id[..12].to_owned();
    let running = engine.run(&json!({ "Image": "zz1", "Cmd": ["sleep", "600"] }));
    assert_eq!(remove(&engine, "zz2"), Ok(vec!["untagged zz2:latest".to_owned()]), "another name is left");
    let refusal = |image: &str| {
        let (image, container) = (short(image), short(&running));
        [
            Err(format!(
                "Conflict, cannot delete {image} because the running container {container} is using it, stop it and use -f to force\n"
            )),
            Err(format!(
                "Conflict, cannot force delete {image} because the running container {container} is using it, stop it and retry\n"
            )),
        ]
    };
    for target in ["zz1", &top] {
        assert_eq!([remove(&engine, target), remove(&engine, &format!("{target}?force=1"))], refusal(&top));
    }
    assert_eq!(remove(&engine, &format!("{middle}?force=1")), refusal(&middle)[1].clone());
    let _ = engine.post(&format!("/containers/{running}/pause")).expect(204);
    assert_eq!(remove(&engine, "zz1"), refusal(&top)[0].clone());
    engine.remove(&running);

    let stopped = engine.run(&sh("true"));
    let _ = engine.wait(&stopped);
    engine.remove(&stopped);
    let stopped = engine.run(&json!({ "Image": "zz1", "Cmd": ["true"] }));
    let _ = engine.wait(&stopped);
    let refusal = format!(
        "Conflict, cannot delete {} because the container {} is using it, use -f to force\n",
        short(&top),
        short(&stopped)
    );
    for target in ["zz1", &top] {
        assert_eq!(remove(&engine, target), Err(refusal.clone()));
    }
    // By force the image loses its name alone: the container starts, is copied from and committed as before.
    assert_eq!(remove(&engine, "zz1?force=1"), Ok(vec!["untagged zz1:latest".to_owned()]));
    let _ = engine.post(&format!("/containers/{stopped}/start")).expect(204);
    let _ = engine.wait(&stopped);
    let _ = engine.get(&format!("/containers/{stopped}/archive?path=/bin/busybox")).expect(200);
    let _ = engine.get(&format!("/containers/{stopped}/export")).expect(200);
    let _ = engine.post(&format!("/commit?container={stopped}&repo=kept")).expect(201);
    assert_eq!(remove(&engine, "kept").map(|acts| acts.len()), Ok(2));
    engine.remove(&stopped);
    let _ = engine.get(&format!("/images/{top}/json")).expect(404);
}

#[test]
fn a_short_id_that_fits_several_images_is_refused() {
    let engine = Engine::start();
    // Sixteen digits begin seventeen ids.
    let mut images = 1;
    let shared = loop {
        engine.import(&format!("n{images}"), format!("{:1024}", 0).replace([' ', '0'], "\0").as_bytes());
        images += 1;
        let ids: Vec<String> = engine
            .get("/images/json")
            .expect(200)
            .json()
            .as_array()
            .expect("a list")
            .iter()
            .map(|image| image["Id"].as_str().expect("an id")[..1].to_owned())
            .collect();
        let twice = ids.iter().find(|first| ids.iter().filter(|other| other == first).count() > 1);
        if let Some(first) = twice {
            break first.clone();
        }
    };
    for (method, path) in [
        ("GET", format!("/images/{shared}/json")),
        ("GET", format!("/images/{shared}/history")),
        ("GET", format!("/images/{shared}/get")),
        ("POST", format!("/images/{shared}/tag?repo=x")),
        ("DELETE", format!("/images/{shared}")),
    ] {
        let answer = engine.call(method, &path, &[], b"").expect(404);
        assert!(answer.text().contains("ultiple") || answer.text().contains("mbiguous"), "{}", answer.text());
    }
    for number in 1..images {
        let _ = remove(&engine, &format!("n{number}"));
    }
}

#[test]
fn a_name_that_ends_with_a_colon_is_none() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let body = sh("true");
    let named = |name: &str| merged(body.clone(), json!({ "Image": name }));
    let refused = "invalid reference format";
    for (method, path) in [
        ("GET", "/images/busybox:/json"),
        ("GET", "/images/busybox:/get"),
        ("GET", "/images/busybox:/history"),
        ("POST", "/images/busybox:/tag?repo=other"),
        ("POST", "/images/busybox/tag?repo=other:"),
        ("POST", "/images/busybox:/push"),
        ("POST", "/images/create?fromImage=busybox:"),
        ("POST", "/images/create?fromSrc=-&repo=other:"),
        ("DELETE", "/images/busybox:"),
    ] {
        assert_eq!(today.call(method, path, &[], b"").expect(400).message(), refused, "{method} {path}");
    }
    assert_eq!(today.post_json("/containers/create", &named("busybox:")).expect(400).message(), refused);
    let _ = engine.at("1.20").get("/images/busybox:/json").expect(200);
    let _ = today.get("/images/busybox:latest/json").expect(200);
}

#[test]
fn no_image_is_called_as_ids_begin() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let refused = "refusing to create an ambiguous tag using digest algorithm as name";
    let id = today.get("/images/busybox/json").expect(200).json()["Id"].as_str().expect("an id").to_owned();
    let short = &id["sha256:".len()..][..12];
    let path = format!("/images/busybox/tag?repo=sha256&tag={short}");
    assert_eq!(today.post(&path).expect(400).message(), refused);
    let path = format!("/images/create?fromSrc=-&repo=sha256&tag={short}");
    assert_eq!(today.post(&path).expect(400).message(), refused);
    let layer = String::from_utf8(tarball::of(&[("f", "x")])).expect("ASCII");
    let diff_id = digest(layer.as_bytes());
    let config = json!({ "os": "linux", "architecture": "amd64", "rootfs": { "type": "layers", "diff_ids": [diff_id] } });
    let named = format!("sha256:{short}");
    let list = json!([{ "Config": "c.json", "RepoTags": [named], "Layers": ["l.tar"] }]);
    let (config, list) = (config.to_string(), list.to_string());
    let archive = tarball::of(&[("c.json", &config), ("l.tar", &layer), ("manifest.json", &list)]);
    let loaded = today.call("POST", "/images/load", &tarball::TAR, &archive);
    assert!(loaded.text().contains(refused), "{}", loaded.text());
    let found = today.get(&format!("/images/sha256:{short}/json")).expect(200).json();
    assert_eq!(found["Id"], id);
}
