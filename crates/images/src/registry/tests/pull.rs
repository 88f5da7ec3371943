//! Pulls of every kind of manifest, layer and name.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::thread;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::super::manifest::{
    DOCKER_LIST, DOCKER_MANIFEST, FOREIGN_LAYER, LEGACY_SIGNED, OCI_INDEX, OCI_MANIFEST,
};
use super::fake::{Content, Fake};
use super::images::{Stored, gzip, noise, reference, tar};
use super::server::{Reply, Server};
use super::*;
use crate::store::digest_of;

#[test]
fn a_digest_names_an_image() {
    let mut content = Content::new();
    let digest = content.image("v1", &[tar("a", b"one")]);
    let fake = Fake::honest(content);
    let name = format!("{}/a/b@{digest}", fake.server.host);
    let there = Stored::new();
    let log = there.pull(&name).unwrap();
    assert_eq!(log[0], format!("{digest}: Pulling from a/b"));
    assert_eq!(log.last().unwrap(), &format!("Status: Downloaded newer image for {name}"));
    assert!(there.id(&name).is_some());
    assert_eq!(there.id(&fake.name("v1")), None, "no tag comes with a digest");
    let log = there.pull(&name).unwrap();
    assert_eq!(log.last().unwrap(), &format!("Status: Image is up to date for {name}"));
}

fn listed(content: &mut Content, kind: &str, member: &str) -> (Digest, Digest) {
    let mut entries = Vec::new();
    let mut wanted = None;
    for (architecture, text) in [("arm64", "arm"), ("amd64", "amd"), ("unknown", "attestation")] {
        let mut document = content.document(&[tar("arch", text.as_bytes())]);
        document["mediaType"] = json!(member);
        let digest = content.manifest(text, member, &document);
        if architecture == "amd64" {
            wanted = Some(document["config"]["digest"].clone());
        }
        entries.push(json!({
            "mediaType": member, "size": document.to_string().len(), "digest": digest,
            "platform": {"os": if text == "attestation" { "unknown" } else { "linux" }, "architecture": architecture},
        }));
    }
    let list = json!({"schemaVersion": 2, "mediaType": kind, "manifests": entries});
    let digest = content.manifest("list", kind, &list);
    (digest, serde_json::from_value(wanted.unwrap()).unwrap())
}

fn amd64() -> Client {
    let platform = Platform { architecture: "amd64".into(), os: "linux".into(), variant: String::new() };
    Client::new(RegistrySettings { platform, ..quick() })
}

#[test]
fn lists_lead_to_the_platforms_image() {
    for (kind, member) in [(DOCKER_LIST, DOCKER_MANIFEST), (OCI_INDEX, OCI_MANIFEST)] {
        let mut content = Content::new();
        let (list, image) = listed(&mut content, kind, member);
        let fake = Fake::honest(content);
        let there = Stored::new();
        let log = there.pull_with(&amd64(), &fake.name("list"), None).unwrap();
        assert!(log.contains(&format!("Digest: {list}")), "{log:?}");
        assert_eq!(there.id(&fake.name("list")), Some(image));
    }
}

#[test]
fn a_missing_platform_is_reported() {
    let mut content = Content::new();
    listed(&mut content, OCI_INDEX, OCI_MANIFEST);
    let fake = Fake::honest(content);
    let platform = Platform { architecture: "s390x".into(), os: "linux".into(), variant: String::new() };
    let client = Client::new(RegistrySettings { platform, ..quick() });
    let error = Stored::new().pull_with(&client, &fake.name("list"), None).unwrap_err().to_string();
    assert_eq!(
        error,
        "no matching manifest for linux/s390x in the manifest list entries; there are: linux/arm64, linux/amd64, unknown/unknown"
    );
}

#[test]
fn layers_come_in_every_compression() {
    let tars = [tar("a", b"plain"), tar("b", b"zstd"), tar("c", b"gzip")];
    let mut zstd = zstd::Encoder::new(Vec::new(), 1).unwrap();
    zstd.write_all(&tars[1]).unwrap();
    let blobs = vec![
        ("application/vnd.oci.image.layer.v1.tar", tars[0].clone()),
        ("application/vnd.oci.image.layer.v1.tar+zstd", zstd.finish().unwrap()),
        ("application/vnd.oci.image.layer.v1.tar+gzip", gzip(&tars[2])),
    ];
    let mut content = Content::new();
    let document = content.document_of(&tars.each_ref().map(|tar| digest_of(tar)), blobs);
    content.manifest("v1", OCI_MANIFEST, &document);
    let fake = Fake::honest(content);
    let there = Stored::new();
    there.pull(&fake.name("v1")).unwrap();
    let image = there.store.image(&there.id(&fake.name("v1")).unwrap()).unwrap();
    for (directory, file) in there.store.lower_directories(&image).iter().zip(["c", "b", "a"]) {
        assert!(directory.join(file).exists(), "{file}");
    }
}

#[test]
fn foreign_layers_are_fetched_from_elsewhere() {
    let layer = tar("a", b"foreign");
    let blob = gzip(&layer);
    let served = blob.clone();
    let elsewhere = Server::start(move |_| Reply::new(200).body(served.clone()));
    let mut content = Content::new();
    let mut document = content.document_of(&[digest_of(&layer)], vec![(FOREIGN_LAYER, blob)]);
    content.blobs.retain(|_, blob| blob.starts_with(b"{"));
    document["layers"][0]["urls"] = json!(["ftp://x/y", "http://127.0.0.1:1/gone", elsewhere.url("/layer")]);
    content.manifest("v1", DOCKER_MANIFEST, &document);
    let fake = Fake::honest(content);
    let there = Stored::new();
    there.pull_with(&client(), &fake.name("v1"), Some(&joe("secret", ""))).unwrap();
    assert!(there.id(&fake.name("v1")).is_some());
    assert!(elsewhere.seen().iter().all(|seen| seen.header("authorization").is_none()));
}

fn legacy(content: &mut Content, name: &str, tag: &str) -> Value {
    let layers = [gzip(&tar("a", b"one")), gzip(&tar("b", b"two"))];
    let blobs: Vec<_> = layers.into_iter().map(|layer| content.blob(layer)).collect();
    let step = |value: Value| json!({"v1Compatibility": value.to_string()});
    json!({
        "schemaVersion": 1, "name": name, "tag": tag, "architecture": "amd64",
        "fsLayers": [{"blobSum": blobs[0]}, {"blobSum": blobs[1]}, {"blobSum": blobs[0]}],
        "history": [
            step(json!({"id": "c", "parent": "b", "throwaway": true, "os": "linux", "architecture": "amd64",
                "created": "2015-10-01T00:00:00Z", "config": {"Cmd": ["sh"]}})),
            step(json!({"id": "b", "parent": "a", "created": "2015-10-01T00:00:00Z"})),
            step(json!({"id": "a", "created": "2015-10-01T00:00:00Z"})),
        ],
    })
}

#[test]
fn schema_1_is_read() {
    let mut content = Content::new();
    let payload = legacy(&mut content, "a/b", "v1").to_string();
    let head = &payload[..payload.len() - 1];
    let protected = json!({"formatLength": head.len(), "formatTail": BASE64_URL_SAFE_NO_PAD.encode("}")});
    let protected = BASE64_URL_SAFE_NO_PAD.encode(protected.to_string());
    let signed = format!("{head},\"signatures\":[{{\"protected\":\"{protected}\",\"signature\":\"x\"}}]}}");
    content.manifests.insert("v1".to_owned(), (LEGACY_SIGNED.to_owned(), signed.clone().into_bytes()));
    let digest = digest_of(payload.as_bytes());
    content.manifests.insert(digest.to_string(), (LEGACY_SIGNED.to_owned(), signed.into_bytes()));
    let fake = Fake::honest(content);
    let there = Stored::new();
    let log = there.pull(&fake.name("v1")).unwrap();
    assert!(log.contains(&format!("Digest: {digest}")), "{log:?}");
    let image = there.store.image(&there.id(&fake.name("v1")).unwrap()).unwrap();
    assert_eq!(image.config.rootfs.diff_ids.len(), 2);
    assert_eq!(image.config.history.len(), 3);
    let log = there.pull(&fake.name("v1")).unwrap();
    assert!(log.last().unwrap().starts_with("Status: Image is up to date"), "{log:?}");
    there.pull(&format!("{}/a/b@{digest}", fake.server.host)).unwrap();
}

#[test]
fn schema_1_of_another_name_is_refused() {
    for (name, tag) in [("other/b", "v1"), ("a/b", "v2")] {
        let mut content = Content::new();
        let document = legacy(&mut content, name, tag);
        content.manifest("v1", LEGACY_SIGNED, &document);
        let fake = Fake::honest(content);
        let there = Stored::new();
        assert!(there.pull(&fake.name("v1")).is_err(), "{name}:{tag}");
        assert!(there.is_empty());
    }
}

#[test]
fn an_image_may_have_a_layer_twice() {
    let mut content = Content::new();
    let layer = tar("a", b"one");
    content.image("v1", &[layer.clone(), tar("b", b"two"), layer]);
    let fake = Fake::honest(content);
    let there = Stored::new();
    let log = there.pull(&fake.name("v1")).unwrap();
    assert_eq!(log.iter().filter(|line| line.ends_with("Pulling fs layer")).count(), 2, "{log:?}");
    let image = there.store.image(&there.id(&fake.name("v1")).unwrap()).unwrap();
    assert_eq!(image.config.rootfs.diff_ids.len(), 3);
}

#[test]
fn pages_of_tags_are_followed() {
    let mut content = Content::new();
    for tag in ["v1", "v2"] {
        content.image(tag, &[tar("a", tag.as_bytes())]);
    }
    let fake = Fake::start(content, |seen, reply| {
        if !seen.path.ends_with("/tags/list") {
            return reply;
        }
        match seen.query.get("last") {
            None => Reply::json(&json!({"tags": ["v1"]}))
                .with("Link", "</v2/a/b/tags/list?last=v1>; rel=\"next\""),
            Some(_) => Reply::json(&json!({"tags": ["v2"]})),
        }
    });
    let there = Stored::new();
    there.pull(&format!("{}/a/b", fake.server.host)).unwrap();
    for tag in ["v1", "v2"] {
        assert!(there.id(&fake.name(tag)).is_some(), "{tag}");
    }
}

#[test]
fn missing_manifests_are_reported() {
    let fake = Fake::honest(Content::new());
    let there = Stored::new();
    let error = there.pull(&fake.name("nope")).unwrap_err();
    assert_eq!(error.to_string(), "Error: image a/b:nope not found: manifest unknown: manifest unknown");
    assert_eq!(error.kind(), model::ErrorKind::NotFound);
    let digest = format!("sha256:{}", "0".repeat(64));
    let error = there.pull(&format!("{}/a/b@{digest}", fake.server.host)).unwrap_err();
    assert!(error.to_string().starts_with(&format!("Error: image a/b@{digest} not found")), "{error}");
    let error = there.pull("127.0.0.1:1/x:v1").unwrap_err();
    assert!(matches!(error, RegistryError::Unreachable { .. }), "{error}");
}

#[test]
fn the_hub_has_mirrors_and_a_library() {
    let mut content = Content::new();
    let document = content.document(&[tar("a", b"one")]);
    for name in ["busybox/manifests/latest", "latest"] {
        content.manifest(name, DOCKER_MANIFEST, &document);
    }
    let config = document["config"]["digest"].clone();
    let hub = Fake::start(content, |seen, reply| {
        let path = seen.path.replace("/v2/library/busybox/", "/v2/a/b/");
        if path == seen.path || reply.status == 200 { reply } else { Reply::new(308).with("Location", path) }
    });
    let mirror = Server::start(|seen| match seen.path.as_str() {
        "/hub/v2/" => Reply::new(200),
        _ => Reply::new(404),
    });
    let settings = RegistrySettings {
        mirrors: vec![
            parse_mirror("http://127.0.0.1:1").unwrap(),
            parse_mirror(&mirror.url("/hub")).unwrap(),
        ],
        hub_registry: url::Url::parse(&hub.server.url("/")).unwrap(),
        ..quick()
    };
    let there = Stored::new();
    let client = Client::new(settings);
    let log = there.pull_with(&client, "busybox:latest", Some(&joe("secret", ""))).unwrap();
    assert_eq!(log[0], "latest: Pulling from library/busybox");
    assert_eq!(log.last().unwrap(), "Status: Downloaded newer image for busybox:latest");
    assert_eq!(there.id("docker.io/library/busybox").map(|id| json!(id)), Some(config));
    let asked: Vec<_> = mirror.seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(asked, ["/hub/v2/", "/hub/v2/library/busybox/manifests/latest"]);
    assert!(mirror.seen().iter().all(|seen| seen.header("authorization").is_none()));
}

#[test]
fn two_pulls_share_one_download() {
    let mut content = Content::new();
    let layer = tar("a", &noise(3, 1 << 20));
    let blob = digest_of(&gzip(&layer)).to_string();
    content.image("v1", std::slice::from_ref(&layer));
    content.image("v2", &[layer, tar("b", b"x")]);
    let slow = blob.clone();
    let fake = Fake::start(content, move |seen, reply| {
        if seen.path.ends_with(&slow) {
            thread::sleep(Duration::from_millis(300));
        }
        reply
    });
    let there = Arc::new(Stored::new());
    let client = Arc::new(client());
    let pulls: Vec<_> = ["v1", "v2", "v1"]
        .map(|tag| {
            let (there, client, name) = (Arc::clone(&there), Arc::clone(&client), fake.name(tag));
            thread::spawn(move || there.pull_with(&client, &name, None))
        })
        .into_iter()
        .map(|pull| pull.join().unwrap().unwrap())
        .collect();
    assert_eq!(pulls.len(), 3);
    assert_eq!(fake.asked(&blob), 1, "the layer is downloaded once");
    assert!(there.id(&fake.name("v1")).is_some() && there.id(&fake.name("v2")).is_some());
}

#[test]
fn a_tag_moves_with_the_registry() {
    let mut content = Content::new();
    content.image("v1", &[tar("a", b"old")]);
    let fake = Fake::honest(content);
    let there = Stored::new();
    there.pull(&fake.name("v1")).unwrap();
    let old = there.id(&fake.name("v1"));
    fake.content.lock().unwrap().image("v1", &[tar("a", b"new")]);
    let log = there.pull(&fake.name("v1")).unwrap();
    assert!(log.last().unwrap().starts_with("Status: Downloaded newer image"), "{log:?}");
    assert_ne!(there.id(&fake.name("v1")), old);
    assert_eq!(there.store.tags(&reference(&fake.name("v1")).repository).len(), 1);
}

use model::Digest;

#[test]
fn a_blob_that_went_with_its_image_comes_with_the_next_pull() {
    let mut content = Content::new();
    let layer = tar("a", b"content");
    content.image("v1", std::slice::from_ref(&layer));
    let fake = Fake::honest(content);
    let there = Stored::new();
    // Its image has the layer too, so that it stays.
    there.store.import(&layer[..], &crate::ImportOptions::default()).unwrap();
    let blob = digest_of(&gzip(&layer)).hexadecimal();
    for _ in 0..2 {
        there.pull(&fake.name("v1")).unwrap();
        let mut saved = Vec::new();
        there.store.save_layout(&[fake.name("v1")], &[]).unwrap().write(&mut saved).unwrap();
        assert!(saved.windows(blob.len()).any(|bytes| bytes == blob.as_bytes()), "it is saved as it came");
        there.store.remove(&fake.name("v1"), crate::RemoveOptions::default()).unwrap();
    }
}

#[test]
fn an_image_for_another_platform_alone_comes_with_a_warning() {
    let mut content = Content::new();
    content.image("v1", &[tar("a", b"x")]);
    listed(&mut content, OCI_INDEX, OCI_MANIFEST);
    let fake = Fake::honest(content);
    for (tag, architecture, is_warned) in [
        ("v1", Some("arm64"), true),
        ("v1", Some("amd64"), false),
        ("v1", None, false),
        ("list", Some("arm64"), false),
    ] {
        let there = Stored::new();
        let name = reference(&fake.name(tag));
        let platform = architecture.map(|architecture| Platform {
            architecture: architecture.to_owned(),
            os: "linux".to_owned(),
            variant: String::new(),
        });
        let request = PullRequest {
            store: &there.store,
            reference: &name,
            credentials: None,
            platform: platform.as_ref(),
            names: PulledNames::Tag,
        };
        let last = Mutex::new(String::new());
        let note = |message: Message| *last.lock().unwrap() = message.status;
        client().pull(&request, &note, &Cancellation::new()).unwrap();
        let last = last.into_inner().unwrap();
        let warning = format!(
            "WARNING: image with reference {name} was found but its platform (linux/amd64) does not match the specified \
             platform (linux/arm64)"
        );
        assert_eq!(last == warning, is_warned, "{tag} {architecture:?}: {last}");
    }
}
