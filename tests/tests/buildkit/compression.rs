//! The compression of layers that leave the engine: in archives and in registries.

use berth_tests::Engine;
use berth_tests::registry::{Protection, Registry};
use serde_json::Value;

use crate::client::{Order, Outcome, run};
use crate::offers::Offers;
use crate::registry::Stored;

const NAME: &str = "127.0.0.1:5000/a/packed:1";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const GZIP: [u8; 2] = [0x1f, 0x8b];

fn build(engine: &Engine, exporter: (&str, &[(&str, &str)])) -> Outcome {
    let offers = Offers::of("FROM busybox\nCOPY a /a\n", &[("a", b"one")]);
    run(Order::of(offers, "x").exporters(&[exporter]).run(engine.socket()))
}

/// Checks that all layers of a manifest are packed so.
fn assert_layers(stored: &Stored, manifest: &Value, kind: &str, start: &[u8]) {
    let layers = manifest["layers"].as_array().expect("layers");
    assert_eq!(layers.len(), 2, "{manifest}");
    for layer in layers {
        assert_eq!(layer["mediaType"], kind);
        let blob = stored.blob(layer["digest"].as_str().expect("a digest"));
        assert!(blob.starts_with(start), "{kind}: {:?}", &blob[..4]);
        assert_eq!(layer["size"], blob.len());
    }
}

#[test]
fn an_archive_has_its_layers_as_they_are_wanted_and_comes_back() {
    let engine = Engine::start();
    for (kind, attributes, suffix, start) in [
        ("oci", &[("compression", "zstd"), ("compression-level", "22")][..], "+zstd", &ZSTD[..]),
        ("docker", &[("compression", "gzip")][..], "+gzip", &GZIP[..]),
        ("docker", &[("compression-level", "9")][..], "+gzip", &GZIP[..]),
        ("oci", &[("compression", "uncompressed")][..], "", b"".as_slice()),
    ] {
        let attributes = [&[("name", "carried:1")], attributes].concat();
        let built = build(&engine, (kind, &attributes));
        let id = built.image();
        assert!(built.warnings().is_empty(), "{:?}", built.warnings());
        let archive = Stored::of_archive(&built.received.file);
        let listed = archive.json("index.json")["manifests"][0].clone();
        assert_layers(&archive, &archive.document(&listed), &format!("{LAYER}{suffix}"), start);
        if kind == "docker" {
            let list = archive.json("manifest.json");
            let [item] = list.as_array().expect("a list").clone().try_into().expect("one");
            assert_eq!(item["RepoTags"], serde_json::json!(["carried:1"]));
            assert_eq!(item["Config"], format!("blobs/sha256/{}", id.trim_start_matches("sha256:")));
        }
        engine.forget_builds();
        let client = engine.at("1.55");
        let _ = client
            .call("POST", "/images/load", &[("Content-Type", "application/x-tar")], &built.received.file)
            .expect(200);
        assert_eq!(client.get("/images/carried:1/json").expect(200).json()["Id"], id, "{attributes:?}");
        assert_eq!(engine.output_of("carried:1", "cat /a"), "one");
        let _ = client.delete("/images/carried:1").expect(200);
    }
    engine.forget_builds();
}

#[test]
fn a_registry_gets_layers_as_they_are_wanted() {
    let engine = Engine::start();
    let registry = Registry::start(&engine, "127.0.0.1:5000", &Protection::Open);
    let push = |attributes: &[(&str, &str)]| {
        let attributes = [&[("name", NAME), ("push", "true")], attributes].concat();
        let built = build(&engine, ("image", &attributes));
        let digest = built.result.as_ref().expect("a build")["containerimage.digest"].clone();
        let stored = Stored::of(&registry);
        let manifest = serde_json::from_slice(stored.blob(&digest)).expect("JSON");
        (stored, manifest, built.image())
    };
    let (zstd, gzip) = (format!("{LAYER}+zstd"), "application/vnd.docker.image.rootfs.diff.tar.gzip");
    let (stored, manifest, _) = push(&[("compression", "zstd"), ("compression-level", "3")]);
    assert_layers(&stored, &manifest, &zstd, &ZSTD);
    // Docker's manifests have gzip only, whatever the registry has of the layer.
    let (stored, manifest, _) = push(&[]);
    assert_layers(&stored, &manifest, gzip, &GZIP);
    // A known blob of a layer is used, unless that is ruled out.
    let (stored, manifest, id) = push(&[("compression", "zstd"), ("force-compression", "true")]);
    assert_layers(&stored, &manifest, &zstd, &ZSTD);
    engine.forget_builds();
    let _ = engine.delete("/images/busybox").expect(200);
    let pulled = engine.at("1.55").post("/images/create?fromImage=127.0.0.1:5000/a/packed&tag=1");
    assert_eq!(pulled.status(), 200);
    assert_eq!(engine.at("1.55").get(&format!("/images/{NAME}/json")).expect(200).json()["Id"], id);
    assert_eq!(engine.output_of(NAME, "cat /a"), "one");
    let _ = engine.delete(&format!("/images/{NAME}")).expect(200);
}
