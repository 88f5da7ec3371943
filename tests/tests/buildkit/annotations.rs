//! Annotations of manifests and indexes, in archives, in the engine and in registries.

use berth_tests::Engine;
use berth_tests::registry::{Protection, Registry};
use serde_json::{Value, json};

use crate::client::{Order, Outcome, run};
use crate::offers::Offers;
use crate::registry::Stored;

const KEY: &str = "org.example.key";
const PROVENANCE: &str = "attest:provenance";

fn order(exporter: (&str, &[(&str, &str)])) -> Order {
    Order::of(Offers::of("FROM busybox\nCOPY a /a\n", &[("a", b"one")]), "x").exporters(&[exporter])
}

fn digest(built: &Outcome) -> String {
    built.result.as_ref().expect("a build")["containerimage.digest"].clone()
}

fn listed(archive: &[u8]) -> Value {
    let index = Stored::of_archive(archive).json("index.json");
    let manifests = index["manifests"].as_array().expect("manifests").clone();
    let [listed] = manifests.as_slice() else { panic!("{index}") };
    listed.clone()
}

#[test]
fn an_archive_of_one_image_has_them_in_its_manifest_and_in_its_list() {
    let engine = Engine::start();
    let attributes = [
        ("annotation.org.example.key", "1"),
        ("annotation-manifest-descriptor.listed", "2"),
        ("name", "a:b"),
    ];
    for form in [&[][..], &[("compression", "zstd")][..]] {
        let built = run(order(("oci", &[&attributes, form].concat())).run(engine.socket()));
        let id = built.image();
        let archive = &built.received.file;
        let listed = listed(archive);
        assert_eq!(listed["annotations"]["listed"], "2", "{listed}");
        assert_eq!(listed["annotations"]["org.opencontainers.image.ref.name"], "b");
        let manifest = Stored::of_archive(archive).document(&listed);
        assert_eq!(manifest["annotations"], json!({ KEY: "1" }), "{form:?}");
        assert_eq!(manifest["config"]["digest"], id);
    }
    engine.forget_builds();
}

#[test]
fn an_index_and_what_lists_it_have_their_own() {
    let engine = Engine::start();
    let attributes = [
        ("annotation-manifest.org.example.key", "1"),
        ("annotation-manifest-descriptor.listed", "2"),
        ("annotation-index.whole", "3"),
        ("annotation-index-descriptor.root", "4"),
        ("annotation[linux/s390x].other", "no"),
    ];
    for form in [&[][..], &[("compression", "gzip")][..]] {
        let order = order(("oci", &[&attributes, form].concat())).option(PROVENANCE, "mode=min");
        let built = run(order.run(engine.socket()));
        built.result.as_ref().expect("a build");
        let archive = Stored::of_archive(&built.received.file);
        let listed = listed(&built.received.file);
        assert_eq!(listed["annotations"]["root"], "4", "{listed}");
        let index = archive.document(&listed);
        assert_eq!(index["annotations"], json!({ "whole": "3" }));
        assert_eq!(index["manifests"][0]["annotations"], json!({ "listed": "2" }));
        assert!(index["manifests"][1]["annotations"].get("listed").is_none(), "an attestation: {index}");
        assert_eq!(archive.document(&index["manifests"][0])["annotations"], json!({ KEY: "1" }));
    }
    engine.forget_builds();
}

#[test]
fn a_registry_gets_them_with_each_push() {
    let engine = Engine::start();
    let registry = Registry::start(&engine, "127.0.0.1:5000", &Protection::Open);
    let name = "127.0.0.1:5000/a/noted:1";
    let attributes = [("name", name), ("push", "true"), ("annotation.org.example.key", "1")];
    let built = run(order(("image", &attributes)).run(engine.socket()));
    let (digest, id) = (digest(&built), built.image());
    let manifest: Value = serde_json::from_slice(Stored::of(&registry).blob(&digest)).expect("JSON");
    assert_eq!(manifest["mediaType"], "application/vnd.oci.image.manifest.v1+json");
    assert_eq!(manifest["annotations"], json!({ KEY: "1" }));
    for layer in manifest["layers"].as_array().expect("layers") {
        assert_eq!(layer["mediaType"], "application/vnd.oci.image.layer.v1.tar+gzip");
    }
    let today = engine.at("1.55");
    let kept = today.get(&format!("/images/{name}/json")).expect(200).json();
    assert_eq!((kept["Id"].as_str(), &kept["Descriptor"]["mediaType"]), (Some(&*id), &manifest["mediaType"]));
    let pushed = today.post("/images/127.0.0.1:5000/a/noted/push?tag=1").expect(200).text();
    assert!(pushed.contains(&digest), "a later push gives the same: {pushed}");

    let index = [("name", name), ("push", "true"), ("annotation-index.whole", "3")];
    let built = run(order(("image", &index)).option(PROVENANCE, "mode=min").run(engine.socket()));
    let index: Value =
        serde_json::from_slice(Stored::of(&registry).blob(&self::digest(&built))).expect("JSON");
    assert_eq!(index["annotations"], json!({ "whole": "3" }));
    let plain = [("name", name), ("push", "true")];
    run(order(("image", &plain)).run(engine.socket())).result.expect("a build");
    engine.forget_builds();
    let _ = engine.delete("/images/busybox").expect(200);

    let _ = today.post("/images/create?fromImage=127.0.0.1:5000/a/noted&tag=1").expect(200);
    let attributes = [("annotation.org.example.key", "1")];
    let unchanged = Order::of(Offers::of(&format!("FROM {name}\n"), &[]), "x");
    let built = run(unchanged.exporters(&[("moby", &attributes)]).run(engine.socket()));
    built.result.as_ref().expect("a build");
    let text =
        "annotation has no effect on an image that the build has not changed: it keeps what it came with";
    assert_eq!(built.warnings(), [text]);
    engine.forget_builds();
}

#[test]
fn what_has_no_place_is_refused_in_buildkits_words() {
    let engine = Engine::start();
    for (name, text) in [
        ("annotation-index.a", "index annotations not supported for single platform export"),
        ("annotation-index-descriptor.a", "index annotations not supported for single platform export"),
        ("annotation-nosuch.a", "unrecognized annotation type nosuch"),
    ] {
        let built = run(order(("oci", &[(name, "b")])).run(engine.socket()));
        assert_eq!(*built.failure(), (2, text.to_owned()), "{name}");
    }
    engine.forget_builds();
}
