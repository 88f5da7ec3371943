//! Registries that lie: nothing wrong gets in, nothing is left, the error names the reason.

use serde_json::json;

use super::super::manifest::{DOCKER_LIST, DOCKER_MANIFEST};
use super::fake::{Content, Fake};
use super::images::{Stored, gzip, noise, tar};
use super::server::Reply;
use super::*;
use crate::store::digest_of;

/// Pulls from a registry whose answers for paths with such an end are changed.
fn refused(content: Content, end: String, twist: fn(Reply) -> Reply) -> RegistryError {
    let fake =
        Fake::start(content, move |seen, reply| if seen.path.ends_with(&end) { twist(reply) } else { reply });
    let there = Stored::new();
    let error = there.pull(&fake.name("v1")).unwrap_err();
    assert_eq!(there.id(&fake.name("v1")), None, "{error}");
    assert!(there.is_empty(), "{error}");
    error
}

fn one_layer() -> (Content, String) {
    let mut content = Content::new();
    let layer = tar("a", &noise(4, 300_000));
    content.image("v1", std::slice::from_ref(&layer));
    (content, digest_of(&gzip(&layer)).to_string())
}

#[test]
fn a_layer_with_other_content() {
    let (content, blob) = one_layer();
    let error = refused(content, blob, |mut reply| {
        let middle = reply.body.len() / 2;
        reply.body[middle] ^= 1;
        reply
    });
    assert!(matches!(error, RegistryError::WrongDigest { .. }), "{error}");
}

#[test]
fn a_layer_that_is_another_good_tar() {
    let (content, blob) = one_layer();
    let error = refused(content, blob, |reply| {
        let mut other = gzip(&tar("evil", b"x"));
        // As long as the manifest states: what follows the gzip stream is rubbish.
        other.resize(reply.body.len(), 0);
        reply.body(other)
    });
    assert!(matches!(error, RegistryError::WrongDigest { .. }), "{error}");
}

#[test]
fn a_layer_that_is_too_long_or_too_short() {
    let (content, blob) = one_layer();
    let error = refused(content, blob, |mut reply| {
        reply.body.extend([0; 100]);
        reply
    });
    assert!(matches!(error, RegistryError::WrongSize { .. }), "{error}");
    let (content, blob) = one_layer();
    let error = refused(content, blob, |mut reply| {
        reply.body.truncate(100);
        reply
    });
    assert!(matches!(error, RegistryError::WrongSize { .. }), "{error}");
}

#[test]
fn a_layer_without_end() {
    let (content, blob) = one_layer();
    let error = refused(content, blob, |reply| {
        let endless = reply.body.len() + 5_000_000;
        let reply = Reply { cut_after: Some(endless), ..reply };
        reply.body(vec![7; endless]).with("Content-Length", "99999999999")
    });
    assert!(matches!(error, RegistryError::WrongSize { .. }), "{error}");
}

#[test]
fn a_layer_that_is_missing() {
    let (content, blob) = one_layer();
    let error = refused(content, blob, |_| Reply::new(404));
    assert!(matches!(error, RegistryError::Status { status: 404, .. }), "{error}");
}

#[test]
fn a_layer_that_the_config_does_not_know() {
    let mut content = Content::new();
    let layer = tar("a", b"one");
    let document = content.document_of(&[digest_of(b"other")], vec![(manifest::DOCKER_LAYER, gzip(&layer))]);
    content.manifest("v1", DOCKER_MANIFEST, &document);
    let error = refused(content, "none".to_owned(), |reply| reply);
    assert!(error.to_string().contains("its config says"), "{error}");
}

#[test]
fn a_layer_that_is_no_tar() {
    let mut content = Content::new();
    let rubbish = gzip(&noise(5, 100_000));
    let document =
        content.document_of(&[digest_of(&noise(5, 100_000))], vec![(manifest::DOCKER_LAYER, rubbish)]);
    content.manifest("v1", DOCKER_MANIFEST, &document);
    let error = refused(content, "none".to_owned(), |reply| reply);
    assert!(matches!(error, RegistryError::Store(_)), "{error}");
}

#[test]
fn more_layers_than_the_config_has() {
    let mut content = Content::new();
    let blobs = vec![
        (manifest::DOCKER_LAYER, gzip(&tar("a", b"one"))),
        (manifest::DOCKER_LAYER, gzip(&tar("b", b"two"))),
    ];
    let document = content.document_of(&[digest_of(&tar("a", b"one"))], blobs);
    content.manifest("v1", DOCKER_MANIFEST, &document);
    let error = refused(content, "none".to_owned(), |reply| reply);
    assert!(error.to_string().contains("it has 2 layers, its config 1"), "{error}");
}

#[test]
fn a_config_with_other_content() {
    let mut content = Content::new();
    let document = content.document(&[tar("a", b"one")]);
    content.manifest("v1", DOCKER_MANIFEST, &document);
    let config = document["config"]["digest"].as_str().unwrap().to_owned();
    let same_length = |mut reply: Reply| {
        let last = reply.body.len() - 2;
        reply.body[last] = b' ';
        reply
    };
    let error = refused(content, config, same_length);
    assert!(matches!(error, RegistryError::WrongDigest { .. }), "{error}");
}

#[test]
fn a_config_of_another_length() {
    for twist in [(|reply: Reply| reply.body("{}")) as fn(Reply) -> Reply, |mut reply| {
        reply.body.push(b' ');
        reply
    }] {
        let mut content = Content::new();
        let document = content.document(&[tar("a", b"one")]);
        content.manifest("v1", DOCKER_MANIFEST, &document);
        let config = document["config"]["digest"].as_str().unwrap().to_owned();
        let error = refused(content, config, twist);
        assert!(matches!(error, RegistryError::WrongSize { .. }), "{error}");
    }
}

#[test]
fn a_config_that_is_huge() {
    let mut content = Content::new();
    let mut document = content.document(&[tar("a", b"one")]);
    document["config"]["size"] = json!(u64::MAX);
    content.manifest("v1", DOCKER_MANIFEST, &document);
    let error = refused(content, "none".to_owned(), |reply| reply);
    assert!(error.to_string().contains("more than"), "{error}");
}

#[test]
fn a_manifest_that_is_huge() {
    let (content, _) = one_layer();
    let error = refused(content, "/manifests/v1".to_owned(), |reply| {
        let document = [&reply.body[..], &[b' '; 5 << 20]].concat();
        reply.body(document)
    });
    assert!(error.to_string().contains("more than"), "{error}");
}

#[test]
fn a_manifest_with_a_wrong_digest() {
    let (content, _) = one_layer();
    let error = refused(content, "/manifests/v1".to_owned(), |reply| {
        reply.with("Docker-Content-Digest", format!("sha256:{}", "0".repeat(64)))
    });
    assert!(matches!(error, RegistryError::WrongDigest { .. }), "{error}");

    let (mut content, _) = one_layer();
    let digest = digest_of(b"something else");
    let manifest = content.manifests["v1"].clone();
    content.manifests.insert(digest.to_string(), manifest);
    let fake = Fake::honest(content);
    let there = Stored::new();
    let error = there.pull(&format!("{}/a/b@{digest}", fake.server.host)).unwrap_err();
    assert!(matches!(error, RegistryError::WrongDigest { .. }), "{error}");
    assert!(there.is_empty());
}

#[test]
fn a_list_that_leads_to_itself() {
    let mut content = Content::new();
    let platform = Platform::host();
    // No list can hold its own digest, so each of them leads to the next.
    let mut entry = json!(null);
    for depth in 0..6 {
        let entries = if depth == 0 { json!([]) } else { json!([entry]) };
        let list = json!({"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": entries});
        let digest = content.manifest("v1", DOCKER_LIST, &list);
        entry = json!({"mediaType": DOCKER_LIST, "size": list.to_string().len(), "digest": digest,
            "platform": platform});
    }
    let error = refused(content, "none".to_owned(), |reply| reply);
    assert!(error.to_string().contains("nested too deeply"), "{error}");
}

#[test]
fn a_list_that_lies_about_its_member() {
    let mut content = Content::new();
    let document = content.document(&[tar("a", b"one")]);
    let digest = content.manifest("member", DOCKER_MANIFEST, &document);
    let list = json!({"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": [
        {"mediaType": DOCKER_MANIFEST, "size": 5, "digest": digest, "platform": Platform::host()}]});
    content.manifest("v1", DOCKER_LIST, &list);
    let error = refused(content, "none".to_owned(), |reply| reply);
    assert!(matches!(error, RegistryError::WrongSize { .. }), "{error}");
}

#[test]
fn rubbish_for_a_manifest() {
    for body in ["", "<html>", "[]", "null", "{\"schemaVersion\":2}", "\u{0}\u{1}"] {
        let (content, _) = one_layer();
        let fake =
            Fake::start(
                content,
                move |seen, reply| {
                    if seen.path.ends_with("/manifests/v1") { reply.body(body) } else { reply }
                },
            );
        let there = Stored::new();
        let error = there.pull(&fake.name("v1")).unwrap_err();
        assert!(matches!(error, RegistryError::Manifest(_)), "{body}: {error}");
        assert!(there.is_empty());
    }
}

#[test]
fn tags_without_number() {
    let body = format!("{{\"tags\":[{}\"a\"]}}", "\"a\",".repeat(100_000));
    let (content, _) = one_layer();
    let fake = Fake::start(content, move |seen, reply| {
        if seen.path.ends_with("/tags/list") { reply.body(body.as_str()) } else { reply }
    });
    let error = Stored::new().pull(&format!("{}/a/b", fake.server.host)).unwrap_err();
    assert!(error.to_string().contains("more than 100000 tags"), "{error}");
}

#[test]
fn tags_that_are_no_tags() {
    for body in ["{\"tags\":[\"../../etc\"]}", "{\"tags\":[\"a b\"]}", "{\"tags\":5}", "rubbish"] {
        let (content, _) = one_layer();
        let fake =
            Fake::start(
                content,
                move |seen, reply| {
                    if seen.path.ends_with("/tags/list") { reply.body(body) } else { reply }
                },
            );
        let error = Stored::new().pull(&format!("{}/a/b", fake.server.host)).unwrap_err();
        assert!(matches!(error, RegistryError::Malformed { .. }), "{body}: {error}");
    }
}
