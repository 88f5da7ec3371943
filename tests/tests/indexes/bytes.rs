//! What was pulled or loaded is pushed and saved byte for byte.

use std::collections::BTreeMap;

use berth_tests::registry::{Content, Messages, Protection, Registry, Server, push};
use berth_tests::tarball::TAR;
use berth_tests::{query, tarball};
use serde_json::{Value, json};

use crate::source::{
    INDEX, MANIFEST, NAME, SOURCE, Source, bare, entry, gzipped, image, inspect, list, plain, platform, pull,
    shown, zstandard,
};

/// Everything that a registry has, by digest.
fn stored(registry: &Registry) -> BTreeMap<String, Vec<u8>> {
    let root = registry.storage().join("docker/registry/v2/blobs/sha256");
    let mut found = BTreeMap::new();
    for group in root.read_dir().into_iter().flatten().flatten() {
        for blob in group.path().read_dir().expect("blobs").flatten() {
            let bytes = std::fs::read(blob.path().join("data")).expect("a blob");
            found.insert(format!("sha256:{}", blob.file_name().to_string_lossy()), bytes);
        }
    }
    found
}

#[test]
fn an_index_is_pushed_byte_for_byte() {
    let engine = bare();
    let source = Source::new();
    let server = source.serve(&engine);
    let today = engine.at("1.55");
    let (name, target) = (format!("{NAME}:v1"), "127.0.0.1:5000/a/many");
    let _ = pull(&today, &name, "").succeeded();
    let _ = pull(&today, &name, "linux/arm64").succeeded();
    drop(server);
    let registry = Registry::start(&engine, "127.0.0.1:5000", &Protection::Open);
    let _ = today.post(&format!("/images/{name}/tag?repo={target}&tag=v2")).expect(201);
    let pushed = push(&today, target, "v2", None).succeeded();
    assert_eq!(pushed.digest(), source.index, "{pushed:?}");
    let there = stored(&registry);
    for (digest, bytes) in source.content.everything("v1") {
        assert_eq!(there.get(&digest), Some(&bytes), "{digest} is not as it came");
    }
    let again = push(&today, target, "v2", None).succeeded();
    assert_eq!(again.digest(), source.index);
    assert!(!again.say("Pushing") && again.say("Layer already exists"), "{again:?}");
    // One platform alone, under a tag of its own.
    let _ = today.post(&format!("/images/{name}/tag?repo={target}&tag=arm")).expect(201);
    let path = format!("/images/{target}/push{}", query(&[("tag", "arm"), ("platform", &platform("arm64"))]));
    let alone = Messages::of(&today.call("POST", &path, &[], b"")).succeeded();
    assert_eq!(json!(alone.digest()), source.foreign["digest"]);
    // By digest, and back again.
    let by_digest = push(&today, &format!("{target}@{}", source.index), "", None).succeeded();
    assert_eq!(by_digest.digest(), source.index);
    for name in [&name, &format!("{target}:v2"), &format!("{target}:arm")] {
        let _ = today.delete(&format!("/images/{name}")).expect(200);
    }
    assert!(list(&today, &[("all", "1")]).is_empty());
    let pulled = pull(&today, &format!("{target}@{}", source.index), "").succeeded();
    assert_eq!(pulled.digest(), source.index);
    let image = list(&today, &[]).remove(0);
    assert_eq!(image["Descriptor"]["digest"], source.index.as_str());
    let _ = today.delete(&format!("/images/{target}@{}", source.index)).expect(200);
}

#[test]
fn of_an_index_that_is_not_here_whole_one_platform_is_pushed() {
    let engine = bare();
    let source = Source::new();
    let server = source.serve(&engine);
    let today = engine.at("1.55");
    let (name, target) = (format!("{NAME}:v1"), "127.0.0.1:5000/part");
    let _ = pull(&today, &name, "").succeeded();
    drop(server);
    let registry = Registry::start(&engine, "127.0.0.1:5000", &Protection::Open);
    let _ = today.post(&format!("/images/{name}/tag?repo={target}")).expect(201);
    let pushed = push(&today, target, "latest", None).succeeded();
    assert_eq!(json!(pushed.digest()), source.own["digest"]);
    assert!(pushed.say("Not all multiplatform-content is present"), "{pushed:?}");
    let there = stored(&registry);
    for blob in source.blobs_of(&source.own) {
        assert!(there.contains_key(&blob), "a zstd layer is not as it came");
    }
    for name in [&name, target] {
        let _ = today.delete(&format!("/images/{name}")).expect(200);
    }
}

#[test]
fn images_of_one_manifest_keep_its_bytes_in_every_form_of_layers() {
    let engine = bare();
    let registry = Registry::start(&engine, "127.0.0.1:5000", &Protection::Open);
    let today = engine.at("1.55");
    for (number, form) in [gzipped as fn(&[u8]) -> _, zstandard, plain].into_iter().enumerate() {
        let mut content = Content::default();
        let manifest = image(&mut content, "arm64", form);
        let digest = manifest["digest"].as_str().expect("a digest").to_owned();
        let server = Server::start(&engine, SOURCE, move |asked| content.answer(asked));
        let (name, target) = (format!("{NAME}@{digest}"), format!("127.0.0.1:5000/one{number}"));
        assert_eq!(pull(&today, &name, "").succeeded().digest(), digest);
        drop(server);
        assert_eq!(list(&today, &[])[0]["Descriptor"]["mediaType"], MANIFEST);
        let _ = today.post(&format!("/images/{name}/tag?repo={target}")).expect(201);
        assert_eq!(push(&today, &target, "latest", None).succeeded().digest(), digest);
        assert!(stored(&registry).contains_key(&digest));
        let id = list(&today, &[])[0]["Id"].as_str().expect("an id").to_owned();
        let _ = today.delete(&format!("/images/{id}?force=1")).expect(200);
        assert!(list(&today, &[]).is_empty());
    }
}

#[test]
fn an_index_is_saved_and_loaded_as_it_came() {
    let engine = bare();
    let source = Source::new();
    let server = source.serve(&engine);
    let today = engine.at("1.55");
    let name = format!("{NAME}:v1");
    let _ = pull(&today, &name, "").succeeded();
    let _ = pull(&today, &name, "linux/arm64").succeeded();
    drop(server);
    let id = inspect(&today, &name, &[])["Id"].clone();
    let saved = today.get(&format!("/images/{name}/get")).expect(200).body;
    let entries = tarball::entries(&saved);
    for (digest, bytes) in source.content.everything("v1") {
        let member = format!("blobs/sha256/{}", digest.trim_start_matches("sha256:"));
        assert_eq!(entries.get(&member).map(|entry| &entry.content), Some(&bytes), "{digest}");
    }
    let document = |name: &str| serde_json::from_slice::<Value>(&entries[name].content).expect("JSON");
    let index = document("index.json");
    assert_eq!(index["manifests"].as_array().map(Vec::len), Some(1), "{index}");
    assert_eq!(
        (&index["manifests"][0]["digest"], &index["manifests"][0]["mediaType"]),
        (&json!(source.index), &json!(INDEX))
    );
    // One platform alone.
    let path = format!("/images/{name}/get{}", query(&[("platform", &platform("arm64"))]));
    let alone = tarball::entries(&today.get(&path).expect(200).body);
    let foreign =
        source.foreign["digest"].as_str().expect("a digest").trim_start_matches("sha256:").to_owned();
    assert!(alone.contains_key(&format!("blobs/sha256/{foreign}")), "{:?}", alone.keys());
    for blob in source.blobs_of(&source.own) {
        assert!(!alone.contains_key(&format!("blobs/sha256/{}", blob.trim_start_matches("sha256:"))));
    }
    let _ = today.delete(&format!("/images/{name}")).expect(200);
    assert!(list(&today, &[("all", "1")]).is_empty());

    let said = today.call("POST", "/images/load", &TAR, &saved).expect(200).text();
    assert!(said.contains(&format!("Loaded image: {name}")), "{said}");
    assert_eq!(list(&today, &[("all", "1")]).len(), 1, "the other platform is part of the image");
    assert_eq!(inspect(&today, &name, &[])["Id"], id);
    let manifests = inspect(&today, &name, &[("manifests", "1")])["Manifests"].clone();
    assert_eq!(
        shown(&manifests),
        [entry("image", true, "arm64"), entry("image", true, "amd64"), entry("attestation", true, "")]
    );
    let registry = Registry::start(&engine, "127.0.0.1:5000", &Protection::Open);
    let _ = today.post(&format!("/images/{name}/tag?repo=127.0.0.1:5000/loaded")).expect(201);
    assert_eq!(push(&today, "127.0.0.1:5000/loaded", "latest", None).succeeded().digest(), source.index);
    let there = stored(&registry);
    assert!(source.content.everything("v1").keys().all(|digest| there.contains_key(digest)));
    for name in [&name, "127.0.0.1:5000/loaded"] {
        let _ = today.delete(&format!("/images/{name}")).expect(200);
    }
    assert!(list(&today, &[("all", "1")]).is_empty());
}
