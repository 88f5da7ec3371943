//! Caches in directories of clients: what one build writes, another one begins with.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use berth_tests::Engine;
use buildkit_messages::control::{CacheEntry, CacheOptions};
use serde_json::{Value, json};

use crate::caches::{self, DOCKERFILE, OWN, assert_is_reused};
use crate::client::{Order, Outcome, run};
use crate::content_store::{ContentStore, Stalled, Watched};
use crate::endings::{begin_order, nothing_is_left};
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
    run(order(store, exports, imports).run(engine.socket()))
}

fn order(store: &ContentStore, exports: Vec<CacheEntry>, imports: Vec<CacheEntry>) -> Order {
    let mut offers = Offers::of(DOCKERFILE, &[]);
    offers.stores.insert(format!("local:{PLACE}"), store.clone());
    let mut order = Order::of(offers, "cached");
    order.request.cache = Some(CacheOptions { exports, imports, ..CacheOptions::default() });
    order
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
        // Existing blobs are neither requested nor sent again.
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

const MORE_THAN_ANY_DISK: u64 = 1 << 60;

/// The index of a cache whose last layer declares another size, and that layer's digest.
fn with_declared_size(store: &ContentStore, index: &Value, size: u64) -> (String, String) {
    let mut listed = document(store, index);
    let mut manifest = document(store, &listed["manifests"][0]);
    let layer = manifest["layers"].as_array_mut().and_then(|layers| layers.last_mut()).expect("a layer");
    layer["size"] = json!(size);
    let layer = layer["digest"].as_str().expect("a digest").to_owned();
    let manifest = manifest.to_string();
    listed["manifests"][0]["size"] = json!(manifest.len());
    listed["manifests"][0]["digest"] = json!(store.put(manifest.into_bytes()));
    (store.put(listed.to_string().into_bytes()), layer)
}

#[test]
fn a_cache_is_as_large_as_it_declares_and_no_larger_than_the_disk() {
    let engine = Engine::start();
    let store = ContentStore::default();
    let built = build(&engine, &store, vec![entry("dest", &[])], Vec::new());
    let index = noted(&built);
    engine.forget_builds();
    for (size, text) in [
        (MORE_THAN_ANY_DISK, "bytes of content (as much as is free)"),
        (20, "the client sent another number of bytes than sha256:"),
        (1 << 20, "the client sent another number of bytes than sha256:"),
    ] {
        let (digest, layer) = with_declared_size(&store, &index, size);
        let store = match size {
            // It is not even requested.
            MORE_THAN_ANY_DISK => ContentStore { stalling: Some((layer, Arc::default())), ..store.clone() },
            _ => store.clone(),
        };
        let built = build(&engine, &store, Vec::new(), vec![entry("src", &[("digest", &digest)])]);
        built.result.as_ref().expect("a build");
        let step = built.step(IMPORT);
        assert!(step.contains(text), "{size}: {step}");
        assert_eq!(built.step(OWN), "done", "nothing was taken from it");
        engine.forget_builds();
    }
}

#[test]
fn a_cancelled_build_waits_for_no_blob_of_a_cache() {
    let engine = Engine::start();
    let store = ContentStore::default();
    let built = build(&engine, &store, vec![entry("dest", &[])], Vec::new());
    let index = noted(&built)["digest"].as_str().expect("a digest").to_owned();
    let manifest = document(&store, &document(&store, &noted(&built))["manifests"][0]);
    let last = manifest["layers"].as_array().and_then(|layers| layers.last()).expect("a layer");
    let last = last["digest"].as_str().expect("a digest").to_owned();
    engine.forget_builds();
    for stalling in [index.clone(), last] {
        let state: Arc<Mutex<Stalled>> = Arc::default();
        let now = || *state.lock().expect("a state");
        let store = ContentStore { stalling: Some((stalling.clone(), Arc::clone(&state))), ..store.clone() };
        let order = order(&store, Vec::new(), vec![entry("src", &[("digest", &index)])]);
        run(async {
            let begun = begin_order(engine.socket(), order, async |_| now() == Stalled::Waiting).await;
            begun.call.abort();
            // The session stays: only the build is over.
            let given_up = async {
                while now() != Stalled::GivenUp {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(60), given_up).await.expect("nobody waits");
            drop(begun);
        });
        nothing_is_left(&engine);
    }
}

#[test]
fn layers_of_a_cache_lie_on_disk_one_at_a_time() {
    let engine = Engine::start();
    let directory = engine.data_root().join("images/temporary");
    let watched = Watched { directory, prefix: "push-", ..Watched::default() };
    let store = ContentStore { directory: Some(watched.clone()), ..ContentStore::default() };
    let built = build(&engine, &store, vec![entry("dest", &[("mode", "max")])], Vec::new());
    let manifest = document(&store, &document(&store, &noted(&built))["manifests"][0]);
    assert!(manifest["layers"].as_array().is_some_and(|layers| layers.len() > 1), "{manifest}");
    assert_eq!(watched.most.load(Ordering::Relaxed), 1);
    engine.forget_builds();
    assert_eq!(watched.count(), 0, "the last one is gone too");
}
