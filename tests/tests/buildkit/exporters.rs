//! Exporters: results that the client gets, and refusals before anything is built.

use std::collections::BTreeSet;

use berth_tests::Engine;

use crate::client::{Order, run};
use crate::offers::Offers;

const DOCKERFILE: &str = "FROM scratch\nCOPY . /\n";

fn offers() -> Offers {
    Offers::of(DOCKERFILE, &[("a", b"one"), ("d/b", b"two")])
}

fn paths(archive: &[u8]) -> BTreeSet<String> {
    let mut archive = tar::Archive::new(archive);
    let entries = archive.entries().expect("an archive").map(|entry| entry.expect("an entry"));
    entries.map(|entry| entry.path().expect("a path").display().to_string()).collect()
}

#[test]
fn files_go_to_the_client_as_a_directory() {
    let engine = Engine::start();
    let built = run(Order::of(offers(), "x").exporters(&[("local", &[])]).run(engine.socket()));
    built.result.as_ref().expect("a build");
    let files: Vec<(&[u8], &[u8])> = built
        .received
        .directory
        .iter()
        .map(|(stat, content)| (stat.path.as_slice(), content.as_slice()))
        .collect();
    assert_eq!(files, [(&b"a"[..], &b"one"[..]), (b"d", b""), (b"d/b", b"two")]);
    assert_eq!(built.step("exporting to client directory"), "done");
    engine.forget_builds();
}

#[test]
fn files_go_to_the_client_as_an_archive() {
    let engine = Engine::start();
    let built = run(Order::of(offers(), "x").exporters(&[("tar", &[])]).run(engine.socket()));
    built.result.as_ref().expect("a build");
    let found = paths(&built.received.file);
    assert!(found.contains("a") && found.contains("d/b"), "{found:?}");
    engine.forget_builds();
}

#[test]
fn an_image_goes_to_the_client_and_comes_back() {
    let engine = Engine::start();
    for kind in ["docker", "oci"] {
        let order = Order::of(offers(), "x").exporters(&[(kind, &[("name", "carried:1")])]);
        let built = run(order.run(engine.socket()));
        let id = built.image();
        let found = paths(&built.received.file);
        assert!(found.contains("manifest.json") && found.contains("index.json"), "{found:?}");
        let client = engine.at("1.55");
        assert_eq!(client.get("/images/carried:1/json").status(), 404, "an archive gives no name here");
        let _ = client
            .call("POST", "/images/load", &[("Content-Type", "application/x-tar")], &built.received.file)
            .expect(200);
        assert_eq!(client.get("/images/carried:1/json").expect(200).json()["Id"], id);
        let _ = client.delete("/images/carried:1").expect(200);
    }
    engine.forget_builds();
}

#[test]
fn attributes_without_effect_are_warnings_and_prefixes_begin_names() {
    let engine = Engine::start();
    let attributes = [("buildinfo", "true"), ("oci-mediatypes", "false"), ("dest", "/x")];
    let built = run(Order::of(offers(), "x").exporters(&[("docker", &attributes)]).run(engine.socket()));
    built.result.as_ref().expect("a build");
    assert_eq!(
        built.warnings(),
        [
            "exporter attribute buildinfo=true of docker has no effect: clients of today have no such field of images",
            "exporter attribute oci-mediatypes=false of docker has no effect: archives have the types of the OCI",
        ]
    );
    let order = Order::of(offers(), "x").option("attest:provenance", "mode=min");
    let order = order.exporters(&[("tar", &[("attestation-prefix", "said-")])]);
    let built = run(order.run(engine.socket()));
    built.result.as_ref().expect("a build");
    let found = paths(&built.received.file);
    assert!(found.contains("said-provenance.json") && !found.contains("provenance.json"), "{found:?}");
    engine.forget_builds();
}

#[test]
fn what_cannot_be_exported_is_refused_first() {
    let engine = Engine::start();
    for (kind, attributes, code) in [
        ("nosuch", &[][..], 12),
        ("moby", &[("nosuch", "1")][..], 12),
        ("oci", &[("compression", "estargz")][..], 12),
        ("local", &[("annotation.a", "b")][..], 12),
        ("local", &[("platform-split", "maybe")][..], 3),
        ("tar", &[("rewrite-timestamp", "true")][..], 12),
        ("moby", &[("name", "NOT A NAME")][..], 3),
    ] {
        let built = run(Order::of(offers(), "x").exporters(&[(kind, attributes)]).run(engine.socket()));
        assert_eq!(built.failure().0, code, "{kind}: {}", built.failure().1);
        assert!(built.received.asked.is_empty(), "nothing was asked for");
    }
}
