//! The same image built by several clients: what one build said of it goes out with no other.

use berth_tests::Engine;
use berth_tests::registry::{Protection, Registry};
use serde_json::{Value, json};

use crate::client::{Order, Outcome, run};
use crate::offers::Offers;
use crate::registry::Stored;

const SECRET: &str = "token-of-the-first";
const REPOSITORY: &str = "127.0.0.1:5000/a/shared";

fn order(exporter: (&str, &[(&str, &str)])) -> Order {
    Order::of(Offers::of("FROM busybox\nCOPY a /a\n", &[("a", b"one")]), "x").exporters(&[exporter])
}

/// A build that says all it can of its image.
fn said(engine: &Engine, name: &str, push: bool) -> Outcome {
    let push = if push { "true" } else { "false" };
    let attributes = [("name", name), ("push", push), ("annotation.org.example.note", SECRET)];
    let order = order(("image", &attributes)).option("attest:provenance", "mode=max");
    let built = run(order.option("build-arg:TOKEN", SECRET).run(engine.socket()));
    built.result.as_ref().expect("a build");
    built
}

fn response<'a>(built: &'a Outcome, name: &str) -> &'a str {
    &built.result.as_ref().expect("a build")[name]
}

fn has_secret(stored: &Stored) -> bool {
    stored.blobs().any(|blob| blob.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()))
}

fn is_plain(manifest: &Value) -> bool {
    manifest["config"].is_object() && manifest["manifests"].is_null() && manifest["annotations"].is_null()
}

#[test]
fn each_push_has_what_its_own_build_said() {
    let engine = Engine::start();
    let registry = Registry::start(&engine, "127.0.0.1:5000", &Protection::Open);
    let (one, two) = (format!("{REPOSITORY}:1"), format!("{REPOSITORY}:2"));
    let first = said(&engine, &one, true);
    let second = run(order(("image", &[("name", &two), ("push", "true")])).run(engine.socket()));
    assert_eq!(first.image(), second.image(), "one image");
    let stored = Stored::of(&registry);
    let document = |digest: &str| -> Value { serde_json::from_slice(stored.blob(digest)).expect("JSON") };
    let (index, manifest) =
        (response(&first, "containerimage.digest"), response(&second, "containerimage.digest"));
    assert!(is_plain(&document(manifest)), "{}", document(manifest));
    assert_eq!(document(index)["manifests"].as_array().map(Vec::len), Some(2));
    // Later pushes of the names give what their builds made.
    let today = engine.at("1.55");
    let push = |tag: &str| today.post(&format!("/images/{REPOSITORY}/push?tag={tag}")).expect(200).text();
    assert!(push("1").contains(index), "{}", push("1"));
    assert!(push("2").contains(manifest), "{}", push("2"));
    // A name that is given anew leads to what it is given to.
    let _ = today.post(&format!("/images/{two}/tag?repo={REPOSITORY}&tag=1")).expect(201);
    assert!(push("1").contains(manifest), "{}", push("1"));
    engine.forget_builds();
    let _ = engine.delete("/images/busybox").expect(200);
}

/// An image that was pulled with what somebody else says of it, and that a build gives on unchanged.
#[test]
fn what_came_with_an_image_goes_out_under_no_name_of_another_build() {
    let engine = Engine::start();
    let registry = Registry::start(&engine, "127.0.0.1:5000", &Protection::Open);
    let said_name = format!("{REPOSITORY}:said");
    let id = said(&engine, &said_name, true).image();
    engine.forget_builds();
    let today = engine.at("1.55");
    let _ = today.delete("/images/busybox").expect(200);
    let _ = today.post(&format!("/images/create?fromImage={REPOSITORY}&tag=said")).expect(200);
    let unchanged = |exporter: (&str, &[(&str, &str)])| {
        let order = Order::of(Offers::of(&format!("FROM {said_name}\n"), &[]), "x");
        order.exporters(&[exporter])
    };
    let other = format!("{REPOSITORY}:other");
    let push: &[(&str, &str)] = &[("name", &other), ("push", "true")];
    let built = run(unchanged(("image", push)).run(engine.socket()));
    assert_eq!(built.image(), id);
    let digest = response(&built, "containerimage.digest").to_owned();
    let manifest: Value = serde_json::from_slice(Stored::of(&registry).blob(&digest)).expect("JSON");
    assert!(is_plain(&manifest), "{manifest}");
    assert_eq!(today.get(&format!("/images/{other}/attestations")).expect(200).json(), json!([]));
    let archive = run(unchanged(("oci", &[])).run(engine.socket()));
    assert!(!has_secret(&Stored::of_archive(&archive.received.file)));
    // Its own statements go out instead, with this push and with later ones.
    let built = run(unchanged(("image", push)).option("attest:provenance", "mode=min").run(engine.socket()));
    let digest = response(&built, "containerimage.digest").to_owned();
    let index = Stored::of(&registry).blob(&digest).to_owned();
    let index: Value = serde_json::from_slice(&index).expect("JSON");
    assert_eq!(index["manifests"].as_array().map(Vec::len), Some(2), "{index}");
    let said = today.get(&format!("/images/{other}/attestations?statement=1")).expect(200).json();
    assert_eq!(said.as_array().map(Vec::len), Some(1), "{said}");
    assert!(!said.to_string().contains(SECRET), "{said}");
    let _ = today.post(&format!("/images/{REPOSITORY}/push?tag=other")).expect(200);
    // A name of the image as it came leads to that.
    let said = today.get(&format!("/images/{said_name}/attestations?statement=1")).expect(200).json();
    assert!(said.to_string().contains(SECRET), "{said}");
    engine.forget_builds();
}

#[test]
fn a_name_without_statements_has_none_of_another_build() {
    let engine = Engine::start();
    let id = said(&engine, "said:1", false).image();
    let built = run(order(("image", &[("name", "plain:1")])).run(engine.socket()));
    assert_eq!(built.image(), id);
    let today = engine.at("1.55");
    let attestations = |name: &str| today.get(&format!("/images/{name}/attestations")).expect(200).json();
    assert_eq!(attestations("said:1").as_array().map(Vec::len), Some(1));
    assert_eq!(attestations("plain:1"), json!([]));
    // Nor a tag of the image's id, nor what is saved of that.
    let _ = today.post(&format!("/images/{id}/tag?repo=by-id&tag=1")).expect(201);
    assert_eq!(attestations("by-id:1"), json!([]));
    for (name, expected) in [(id.as_str(), false), ("plain:1", false), ("by-id:1", false), ("said:1", true)] {
        let saved = today.get(&format!("/images/{name}/get")).expect(200);
        assert_eq!(has_secret(&Stored::of_archive(&saved.body)), expected, "{name}");
    }
    // A build without statements takes those of its own name away, also where another name leads to them.
    let _ = today.post("/images/said:1/tag?repo=kept&tag=1").expect(201);
    let again = run(order(("image", &[("name", "said:1")])).run(engine.socket()));
    assert_eq!(again.image(), id);
    assert_eq!(attestations("said:1"), json!([]));
    assert_eq!(attestations("kept:1").as_array().map(Vec::len), Some(1));
    engine.forget_builds();
}

#[test]
fn archives_have_what_their_own_build_said() {
    let engine = Engine::start();
    let id = said(&engine, "said:1", false).image();
    for form in [&[][..], &[("compression", "gzip")][..]] {
        for kind in ["oci", "docker"] {
            // What clients send without being told: for images in an engine's store alone.
            for provenance in ["disabled=true", "mode=min,inline-only=true"] {
                let order = order((kind, form)).option("attest:provenance", provenance);
                let built = run(order.run(engine.socket()));
                assert_eq!(built.image(), id);
                let stored = Stored::of_archive(&built.received.file);
                assert!(!has_secret(&stored), "{kind} {form:?} {provenance}");
                let index = stored.json("index.json");
                let [listed] = index["manifests"].as_array().expect("manifests").as_slice() else {
                    panic!("{index}")
                };
                assert_eq!(response(&built, "containerimage.digest"), listed["digest"]);
                assert_eq!(listed["platform"]["os"], "linux", "{listed}");
                assert!(listed["annotations"]["org.opencontainers.image.created"].is_string(), "{listed}");
                assert!(is_plain(&stored.document(listed)), "{}", stored.document(listed));
            }
        }
    }
    let refused = order(("docker", &[])).option("attest:provenance", "mode=min");
    let text = "docker exporter does not support exporting manifest lists, use the oci exporter instead";
    assert_eq!(*run(refused.run(engine.socket())).failure(), (2, text.to_owned()));
    engine.forget_builds();
}

/// The first build records its index, and the others theirs, at the same time: none takes another's away.
#[test]
fn builds_at_the_same_time_each_keep_their_own() {
    let engine = Engine::start();
    let _ = said(&engine, "warm:1", false);
    let names: Vec<String> = (0..6).map(|number| format!("many:{number}")).collect();
    std::thread::scope(|scope| {
        for name in &names {
            let engine = &engine;
            scope.spawn(move || said(engine, name, false));
        }
    });
    let today = engine.at("1.55");
    for name in &names {
        let said = today.get(&format!("/images/{name}/attestations?statement=1")).expect(200).json();
        assert_eq!(said.as_array().map(Vec::len), Some(1), "{name}: {said}");
        let subject = said[0]["Statement"]["subject"][0]["name"].as_str().expect("a name");
        assert!(subject.starts_with(&format!("pkg:docker/{}", name.replace(':', "@"))), "{name}: {subject}");
    }
    engine.forget_builds();
}

#[test]
fn the_answer_has_the_id_of_an_image_that_is_not_pushed() {
    let engine = Engine::start();
    for provenance in ["mode=min,inline-only=true", "mode=max", "disabled=true"] {
        let order = order(("moby", &[("name", "made")])).option("attest:provenance", provenance);
        let built = run(order.run(engine.socket()));
        let shown = engine.at("1.55").get("/images/made/json").expect(200).json();
        assert_eq!(response(&built, "containerimage.digest"), shown["Id"], "{provenance}");
        assert_eq!(response(&built, "containerimage.config.digest"), shown["Id"], "{provenance}");
    }
    engine.forget_builds();
}

#[test]
fn documents_have_dockers_types_where_they_are_wanted() {
    let engine = Engine::start();
    let registry = Registry::start(&engine, "127.0.0.1:5000", &Protection::Open);
    let name = format!("{REPOSITORY}:typed");
    let push = |attributes: &[(&str, &str)], option: &str| {
        let attributes = [&[("name", name.as_str()), ("push", "true")], attributes].concat();
        run(order(("image", &attributes)).option("attest:provenance", option).run(engine.socket()))
    };
    let types = |built: &Outcome| {
        let digest = response(built, "containerimage.digest").to_owned();
        let manifest: Value = serde_json::from_slice(Stored::of(&registry).blob(&digest)).expect("JSON");
        let text = |value: &Value| value.as_str().expect("a type").to_owned();
        let layer = text(&manifest["layers"][0]["mediaType"]);
        (text(&manifest["mediaType"]), text(&manifest["config"]["mediaType"]), layer)
    };
    let typed = |types: (String, String, String), prefix: &str, layer: &str| {
        assert!(types.0.starts_with(prefix) && types.1.starts_with(prefix) && types.2 == layer, "{types:?}");
    };
    let docker = "application/vnd.docker.";
    let built = push(&[("oci-mediatypes", "false"), ("compression", "zstd")], "disabled=true");
    typed(types(&built), docker, "application/vnd.docker.image.rootfs.diff.tar.zstd");
    let built = push(&[("oci-mediatypes", "false"), ("annotation.a", "b")], "disabled=true");
    typed(types(&built), docker, "application/vnd.docker.image.rootfs.diff.tar.gzip");
    let built = push(&[("oci-mediatypes", "true")], "disabled=true");
    typed(types(&built), "application/vnd.oci.image.", "application/vnd.oci.image.layer.v1.tar+gzip");
    for provenance in ["mode=max", "mode=min,inline-only=true"] {
        let refused = push(&[("oci-mediatypes", "false")], provenance);
        let text = "cannot export attestations with \"oci-mediatypes=false\"";
        assert_eq!(*refused.failure(), (2, text.to_owned()));
    }
    let archive = order(("oci", &[("oci-mediatypes", "false")]));
    let built = run(archive.run(engine.socket()));
    let stored = Stored::of_archive(&built.received.file);
    let listed = stored.json("index.json")["manifests"][0].clone();
    assert_eq!(listed["mediaType"], "application/vnd.docker.distribution.manifest.v2+json");
    assert_eq!(stored.document(&listed)["mediaType"], listed["mediaType"]);
    engine.forget_builds();
    let _ = engine.delete("/images/busybox").expect(200);
}

#[test]
fn an_image_may_go_to_a_registry_alone() {
    let engine = Engine::start();
    let registry = Registry::start(&engine, "127.0.0.1:5000", &Protection::Open);
    let name = format!("{REPOSITORY}:away");
    let attributes = [("name", name.as_str()), ("push", "true"), ("store", "false"), ("unpack", "false")];
    let built = run(order(("image", &attributes)).run(engine.socket()));
    let digest = response(&built, "containerimage.digest").to_owned();
    assert!(is_plain(&serde_json::from_slice(Stored::of(&registry).blob(&digest)).expect("JSON")));
    assert_eq!(built.warnings(), Vec::<String>::new());
    assert_eq!(engine.at("1.55").get(&format!("/images/{name}/json")).status(), 404);
    engine.forget_builds();
    let _ = engine.delete("/images/busybox").expect(200);
}
