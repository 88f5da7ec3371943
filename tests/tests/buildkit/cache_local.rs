//! Caches in directories of clients: what one build writes, another one begins with.

use berth_tests::Engine;
use buildkit_messages::control::{CacheEntry, CacheOptions};
use serde_json::{Value, json};

use crate::caches::{self, DOCKERFILE, OWN, assert_is_reused};
use crate::client::{Order, Outcome, run};
use crate::content_store::ContentStore;
use crate::offers::Offers;

const PLACE: &str = "/home/user/cache";
const EXPORT: &str = "exporting cache to client directory";
const IMPORT: &str = "importing cache manifest from local:/home/user/cache";

/// A cache entry of the directory.
fn entry(name: &str, attributes: &[(&str, &str)]) -> CacheEntry {
    caches::entry("local", &[&[(name, PLACE)], attributes].concat())
}

/// Builds with a client that has the store.
fn build(
    engine: &Engine,
    store: &ContentStore,
    exports: Vec<CacheEntry>,
    imports: Vec<CacheEntry>,
) -> Outcome {
    let mut offers = Offers::of(DOCKERFILE, &[]);
    offers.stores.insert(format!("local:{PLACE}"), store.clone());
    let mut order = Order::of(offers, "cached");
    order.request.cache = Some(CacheOptions { exports, imports, ..CacheOptions::default() });
    run(order.run(engine.socket()))
}

/// What the client notes of an export.
fn noted(outcome: &Outcome) -> Value {
    let response = outcome.result.as_ref().expect("a build");
    serde_json::from_str(&response["cache.manifest"]).expect("a descriptor")
}

fn document(store: &ContentStore, descriptor: &Value) -> Value {
    let digest = descriptor["digest"].as_str().expect("a digest");
    serde_json::from_slice(&store.get(digest).expect("a blob")).expect("a document")
}

#[test]
fn a_cache_goes_to_a_directory_of_the_client_and_comes_back() {
    let engine = Engine::start();
    for (mode, made) in [("max", "cached"), ("min", "done")] {
        let store = ContentStore::default();
        let first = build(&engine, &store, vec![entry("dest", &[("mode", mode)])], Vec::new());
        assert_eq!(first.step(EXPORT), "done", "{:?}", first.result);
        let index = noted(&first);
        assert_eq!(index["mediaType"], "application/vnd.oci.image.index.v1+json");
        let manifest = document(&store, &document(&store, &index)["manifests"][0]);
        let kind = "application/vnd.oci.image.layer.v1.tar+gzip";
        assert_eq!(manifest["layers"][0]["mediaType"], kind);
        engine.forget_builds();
        let digest = index["digest"].as_str().expect("a digest");
        let second = build(&engine, &store, Vec::new(), vec![entry("src", &[("digest", digest)])]);
        assert_eq!(second.step(IMPORT), "done", "{:?}", second.result);
        assert_is_reused(&engine, &second, made, mode);
        engine.forget_builds();
    }
    let _ = engine.delete("/images/busybox").expect(200);
}

#[test]
fn layers_are_packed_as_the_client_wants_and_sent_once() {
    let engine = Engine::start();
    let store = ContentStore::default();
    for (attributes, kind, start) in [
        (&[("compression", "zstd")][..], "tar+zstd", &[0x28, 0xb5, 0x2f, 0xfd][..]),
        (&[("compression", "gzip"), ("compression-level", "9")][..], "tar+gzip", &[0x1f, 0x8b][..]),
        (&[("compression", "uncompressed")][..], "tar", &[][..]),
    ] {
        let built = build(&engine, &store, vec![entry("dest", attributes)], Vec::new());
        let index = noted(&built);
        let manifest = document(&store, &document(&store, &index)["manifests"][0]);
        let layer = &manifest["layers"][0];
        assert_eq!(layer["mediaType"], format!("application/vnd.oci.image.layer.v1.{kind}"));
        let blob = store.get(layer["digest"].as_str().expect("a digest")).expect("the layer");
        assert!(blob.starts_with(start), "{kind}");
        // What is there is neither asked for nor sent again.
        let before = store.blobs.lock().expect("the blobs").clone();
        let again = build(&engine, &store, vec![entry("dest", attributes)], Vec::new());
        assert_eq!(noted(&again), index);
        assert!(*store.blobs.lock().expect("the blobs") == before, "{kind}");
        engine.forget_builds();
        let imports = vec![entry("src", &[("digest", index["digest"].as_str().expect("a digest"))])];
        let second = build(&engine, &store, Vec::new(), imports);
        assert_eq!(second.step(OWN), "cached", "{kind}: {:?}", second.result);
        engine.forget_builds();
    }
    let _ = engine.delete("/images/busybox").expect(200);
}

#[test]
fn a_directory_without_a_cache_that_is_understood_stops_no_build() {
    let engine = Engine::start();
    let store = ContentStore::default();
    let config = json!({ "mediaType": "application/vnd.buildkit.cacheconfig.v0", "size": 2,
        "digest": store.put(b"{}".to_vec()) });
    let foreign = store.put(json!({ "schemaVersion": 2, "manifests": [config] }).to_string().into_bytes());
    let built = build(&engine, &store, vec![entry("dest", &[])], Vec::new());
    let whole = noted(&built)["digest"].as_str().expect("a digest").to_owned();
    let manifest = document(&store, &document(&store, &noted(&built))["manifests"][0]);
    // The files of a layer that the engine has not are damaged.
    let last = manifest["layers"].as_array().and_then(|layers| layers.last()).expect("a layer");
    let last = last["digest"].as_str().expect("a digest").to_owned();
    engine.forget_builds();
    store.blobs.lock().expect("the blobs").insert(last, b"damaged".to_vec());
    let missing = "sha256:".to_owned() + &"0".repeat(64);
    for (digest, text) in [
        (foreign.as_str(), "the cache was made by BuildKit, whose description of steps is not understood"),
        (missing.as_str(), "rpc error"),
        (whole.as_str(), ""),
    ] {
        let built = build(&engine, &store, Vec::new(), vec![entry("src", &[("digest", digest)])]);
        built.result.as_ref().expect("a build");
        let step = built.step(IMPORT);
        assert!(step != "done" && (step.contains(text) || digest == missing), "{digest}: {step}");
        assert_eq!(built.step(OWN), "done", "nothing was taken from it");
        engine.forget_builds();
    }
    let without_index = build(&engine, &store, Vec::new(), vec![entry("src", &[])]);
    without_index.result.as_ref().expect("a build");
    engine.forget_builds();
}

#[test]
fn a_client_that_serves_no_store_fails_the_build_unless_it_ignores_that() {
    let engine = Engine::start();
    let mut order = Order::of(Offers::of(DOCKERFILE, &[]), "cached");
    let request = |attributes: &[(&str, &str)]| {
        Some(CacheOptions { exports: vec![entry("dest", attributes)], ..CacheOptions::default() })
    };
    order.request.cache = request(&[]);
    let failed = run(order.run(engine.socket()));
    assert_ne!(failed.failure().0, 0, "{}", failed.failure().1);
    let mut order = Order::of(Offers::of(DOCKERFILE, &[]), "cached");
    order.request.cache = request(&[("ignore-error", "true")]);
    run(order.run(engine.socket())).result.expect("a build");
    engine.forget_builds();
}
