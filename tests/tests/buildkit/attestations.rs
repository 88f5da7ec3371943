//! What is said of the making of an image: kept beside it, carried in archives, and pushed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use berth_tests::Engine;
use berth_tests::registry::{Protection, Registry, digest};
use serde_json::{Value, json};

use crate::client::{Order, Outcome, run};
use crate::offers::Offers;
use crate::registry::Stored;

const DOCKERFILE: &str = "FROM busybox\nCOPY a /a\n";
const OPTION: &str = "attest:provenance";
const STATEMENT: &str = "application/vnd.in-toto+json";

fn order(name: &str) -> Order {
    Order::of(Offers::of(DOCKERFILE, &[("a", b"one")]), name)
}

fn parsed(document: &[u8]) -> Value {
    serde_json::from_slice(document).expect("JSON")
}

/// Checks the form of an index with one image and one attestation; gives the attestation's statement.
fn statement(stored: &Stored, index: &str) -> Value {
    let index = parsed(stored.blob(index));
    let [image, attestation] = index["manifests"].as_array().expect("manifests").as_slice() else {
        panic!("two manifests: {index}")
    };
    assert_eq!(attestation["platform"], json!({ "architecture": "unknown", "os": "unknown" }));
    let annotations = &attestation["annotations"];
    assert_eq!(annotations["vnd.docker.reference.type"], "attestation-manifest");
    assert_eq!(annotations["vnd.docker.reference.digest"], image["digest"]);
    let manifest = parsed(stored.blob(attestation["digest"].as_str().expect("a digest")));
    let [layer] = manifest["layers"].as_array().expect("layers").as_slice() else { panic!("{manifest}") };
    assert_eq!(layer["mediaType"], STATEMENT);
    assert!(!stored.blob(manifest["config"]["digest"].as_str().expect("a digest")).is_empty());
    let statement = parsed(stored.blob(layer["digest"].as_str().expect("a digest")));
    assert_eq!(statement["predicateType"], layer["annotations"]["in-toto.io/predicate-type"]);
    let subject = statement["subject"][0]["digest"]["sha256"].as_str().expect("a digest");
    assert_eq!(format!("sha256:{subject}"), image["digest"], "the statement is about the image");
    let manifest = parsed(stored.blob(image["digest"].as_str().expect("a digest")));
    for layer in manifest["layers"].as_array().expect("layers") {
        assert!(!stored.blob(layer["digest"].as_str().expect("a digest")).is_empty());
    }
    statement
}

fn response<'a>(built: &'a Outcome, name: &str) -> &'a str {
    built
        .result
        .as_ref()
        .expect("a build")
        .get(name)
        .unwrap_or_else(|| panic!("no {name}: {:?}", built.result))
}

/// The digest of the index that a build recorded.
fn index_of(built: &Outcome) -> String {
    let descriptor = STANDARD.decode(response(built, "containerimage.descriptor")).expect("base64");
    parsed(&descriptor)["digest"].as_str().expect("a digest").to_owned()
}

#[test]
fn provenance_is_kept_beside_an_image() {
    let engine = Engine::start();
    let built = run(order("said").option(OPTION, "mode=min,inline-only=true").run(engine.socket()));
    let (index, id) = (index_of(&built), built.image());
    assert_ne!(index, id);
    let today = engine.at("1.55");
    let image = today.get("/images/said/json?manifests=1").expect(200).json();
    assert_eq!((image["Id"].as_str(), image["Descriptor"]["digest"].as_str()), (Some(&*id), Some(&*index)));
    let kinds: Vec<_> =
        image["Manifests"].as_array().expect("manifests").iter().map(|one| &one["Kind"]).collect();
    assert_eq!(kinds, ["image", "attestation"]);
    let said = today.get("/images/said/attestations?statement=1").expect(200).json();
    let predicate = &said[0]["Statement"]["predicate"];
    assert_eq!(said[0]["Statement"]["predicateType"], "https://slsa.dev/provenance/v0.2", "{said}");
    assert_eq!(predicate["buildType"], "https://mobyproject.org/buildkit@v1");
    assert_eq!(predicate["invocation"]["parameters"]["frontend"], "dockerfile.v0");
    assert_eq!(predicate["invocation"]["parameters"]["args"], Value::Null, "min says no arguments");
    let material = predicate["materials"][0]["uri"].as_str().expect("a material");
    assert!(material.starts_with("pkg:docker/busybox@latest?platform=linux%2F"), "{material}");
    let by_index = today.get(&format!("/images/{index}/json")).expect(200).json();
    assert_eq!(by_index["Id"], id, "an image is found by its index");

    let without = run(order("said").option(OPTION, "disabled=true").run(engine.socket()));
    assert_eq!((response(&without, "containerimage.digest"), without.image()), (&*id, id.clone()));
    let said = today.get("/images/said/attestations").expect(200).json();
    assert_eq!(said, json!([]), "a build that says nothing leaves nothing said");
    engine.forget_builds();
}

#[test]
fn two_builds_of_one_image_each_keep_what_was_said_of_them() {
    let engine = Engine::start();
    let build = |name: &str| {
        let order = order(name).option(OPTION, "mode=max").option("build-arg:N", name);
        let built = run(order.run(engine.socket()));
        (built.image(), index_of(&built))
    };
    let (first, second) = (build("one"), build("two"));
    assert_eq!(first.0, second.0, "one image");
    assert_ne!(first.1, second.1, "with two statements");
    let today = engine.at("1.55");
    let holds = |name: &str, index: &str| {
        let shown = today.get(&format!("/images/{name}/json")).expect(200).json();
        assert_eq!(shown["Descriptor"]["digest"], index);
        let said = today.get(&format!("/images/{name}/attestations?statement=1")).expect(200).json();
        assert_eq!(said.as_array().map(Vec::len), Some(1), "{said}");
        let arguments = said[0]["Statement"]["predicate"]["invocation"]["parameters"]["args"].clone();
        assert_eq!(arguments["build-arg:N"], name, "{said}");
    };
    holds("one", &first.1);
    holds("two", &second.1);
    let _ = today.delete("/images/one").expect(200);
    holds("two", &second.1);
    engine.forget_builds();
}

#[test]
fn provenance_says_more_where_it_is_asked_to() {
    let engine = Engine::start();
    let order = order("said").option(OPTION, "mode=max,version=v1,builder-id=https://b/1");
    run(order.option("build-arg:A", "given").run(engine.socket())).result.expect("a build");
    let said = engine.at("1.55").get("/images/said/attestations?statement=1").expect(200).json();
    let statement = &said[0]["Statement"];
    assert_eq!(statement["predicateType"], "https://slsa.dev/provenance/v1", "{said}");
    let request = &statement["predicate"]["buildDefinition"]["externalParameters"]["request"];
    assert_eq!(request["args"]["build-arg:A"], "given");
    assert_eq!(statement["predicate"]["runDetails"]["builder"]["id"], "https://b/1");
    engine.forget_builds();
}

#[test]
fn provenance_goes_with_an_archive_and_to_a_registry() {
    let engine = Engine::start();
    let exporters: &[(&str, &[(&str, &str)])] = &[("oci", &[("name", "carried:1")])];
    let carried = run(order("x").exporters(exporters).option(OPTION, "").run(engine.socket()));
    let archive = Stored::of_archive(&carried.received.file);
    let said = statement(&archive, response(&carried, "containerimage.digest"));
    let platform = said["subject"][0]["name"].as_str().expect("a name");
    assert!(platform.starts_with("pkg:docker/carried@1?platform=linux%2F"), "{platform}");

    let registry = Registry::start(&engine, "127.0.0.1:5000", &Protection::Open);
    let exporters: &[(&str, &[(&str, &str)])] =
        &[("image", &[("name", "127.0.0.1:5000/a/said:1"), ("push", "true"), ("unpack", "false")])];
    let pushed = run(order("x").exporters(exporters).option(OPTION, "mode=min").run(engine.socket()));
    let index = response(&pushed, "containerimage.digest").to_owned();
    let stored = Stored::of(&registry);
    let said = statement(&stored, &index);
    assert_eq!(
        said["subject"][0]["name"]
            .as_str()
            .map(|name| name.starts_with("pkg:docker/127.0.0.1%3A5000/a/said@1?")),
        Some(true),
        "{said}"
    );
    let image = parsed(stored.blob(&index))["manifests"][0]["digest"].as_str().expect("a digest").to_owned();
    let layers = parsed(stored.blob(&image))["layers"].clone();
    for layer in layers.as_array().expect("layers") {
        assert_eq!(layer["mediaType"], "application/vnd.oci.image.layer.v1.tar+gzip");
    }
    let again = engine.at("1.55").get(&format!("/images/{index}/json")).expect(200).json();
    assert_eq!(again["Id"], pushed.image(), "an image is found by what it was pushed as");
    assert_eq!(digest(stored.blob(&index)), index);
    engine.forget_builds();
    // What is known of its layer in the registry goes with it.
    let _ = engine.delete("/images/busybox").expect(200);
}

#[test]
fn files_come_with_their_provenance_where_it_is_asked_for() {
    let engine = Engine::start();
    for (option, expected) in [("mode=min", true), ("mode=min,inline-only=true", false)] {
        let offers = Offers::of("FROM scratch\nCOPY a /a\n", &[("a", b"one")]);
        let order = Order::of(offers, "x").exporters(&[("local", &[])]).option(OPTION, option);
        let built = run(order.run(engine.socket()));
        built.result.as_ref().expect("a build");
        let found = built.received.directory.iter().find(|(stat, _)| stat.path == b"provenance.json");
        assert_eq!(found.is_some(), expected, "{option}");
        if let Some((_, content)) = found {
            assert_eq!(parsed(content)["predicateType"], "https://slsa.dev/provenance/v0.2");
        }
    }
    engine.forget_builds();
}

#[test]
fn a_bill_of_materials_is_refused() {
    let engine = Engine::start();
    let built = run(order("x").option("attest:sbom", "generator=x").run(engine.socket()));
    let (code, text) = built.failure();
    assert_eq!(*code, 2);
    assert_eq!(text, "attestations of the kind sbom are not supported: nothing here makes them");
}
