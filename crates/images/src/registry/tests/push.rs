//! Pushes to Debian's registry, and pulls of what was pushed.

use serde_json::Value;
use ureq::http::Method;

use super::super::transport::Request;
use super::images::{Stored, noise, reference, tar};
use super::real::{Protection, Registry};
use super::*;
use crate::TagPolicy;

/// A document straight from the registry, and the digest that it names.
fn manifest(registry: &Registry, path: &str) -> (Value, String) {
    let url = url::Url::parse(&format!("http://{}/v2/{path}", registry.host)).unwrap();
    let mut request = Request::new(Method::GET, url);
    request.headers.push((ureq::http::header::ACCEPT, manifest::DOCKER_MANIFEST.to_owned()));
    let answer = transport(quick()).send(request).unwrap();
    let digest = answer.headers["docker-content-digest"].to_str().unwrap().to_owned();
    (serde_json::from_slice(&answer.read_up_to(1 << 20).unwrap()).unwrap(), digest)
}

#[test]
fn an_image_survives_the_journey() {
    let registry = Registry::start(Protection::Open);
    let name = format!("{}/team/app:v1", registry.host);
    let here = Stored::new();
    let id = here.image(&name, &[&tar("a", b"one"), &tar("b", &noise(1, 3 << 20))]);
    let log = here.push(&name).unwrap();
    assert_eq!(log[0], format!("The push refers to a repository [{}/team/app] (len: 1)", registry.host));
    for words in ["Buffering to Disk", "Pushing", "Image successfully pushed"] {
        assert_eq!(log.iter().filter(|line| line.ends_with(words)).count(), 2, "{words}: {log:?}");
    }
    let (document, digest) = manifest(&registry, "team/app/manifests/v1");
    assert_eq!(document["mediaType"], manifest::DOCKER_MANIFEST);
    assert!(log.last().unwrap().starts_with(&format!("v1: digest: {digest} size: ")), "{log:?}");

    let there = Stored::new();
    let log = there.pull(&name).unwrap();
    assert_eq!(there.id(&name), Some(id));
    assert_eq!(log[0], "v1: Pulling from team/app");
    for words in [
        "Pulling fs layer",
        "Downloading",
        "Verifying Checksum",
        "Download complete",
        "Extracting",
        "Pull complete",
    ] {
        assert_eq!(log.iter().filter(|line| line.ends_with(words)).count(), 2, "{words}: {log:?}");
    }
    let tail = [format!("Digest: {digest}"), format!("Status: Downloaded newer image for {name}")];
    assert_eq!(log[log.len() - 2..], tail);
    assert_eq!(there.downloads(), []);

    let log = there.pull(&name).unwrap();
    assert_eq!(log.iter().filter(|line| line.ends_with("Already exists")).count(), 2, "{log:?}");
    assert_eq!(log.last().unwrap(), &format!("Status: Image is up to date for {name}"));
}

#[test]
fn a_second_push_sends_nothing() {
    let registry = Registry::start(Protection::Open);
    let name = format!("{}/app:v1", registry.host);
    let here = Stored::new();
    here.image(&name, &[&tar("a", b"one"), &tar("b", b"two")]);
    let first = here.push(&name).unwrap();
    let second = here.push(&name).unwrap();
    assert_eq!(second.iter().filter(|line| line.ends_with("Image already exists")).count(), 2, "{second:?}");
    assert_eq!(first.last(), second.last());
    // Another machine with the same layers comes to the same blobs.
    let other = Stored::new();
    other.image(&name, &[&tar("a", b"one"), &tar("b", b"two")]);
    let third = other.push(&name).unwrap();
    assert_eq!(third.iter().filter(|line| line.ends_with("Image already exists")).count(), 2, "{third:?}");
    assert_eq!(first.last(), third.last());
}

#[test]
fn a_layer_is_mounted_from_its_repository() {
    let registry = Registry::start(Protection::Open);
    let (first, second) = (format!("{}/one:v1", registry.host), format!("{}/two:v1", registry.host));
    let here = Stored::new();
    let id = here.image(&first, &[&tar("a", b"one")]);
    here.push(&first).unwrap();
    here.store.tag(&id, &reference(&second), TagPolicy::Move).unwrap();
    let log = here.push(&second).unwrap();
    assert!(log.iter().any(|line| line.ends_with("Mounted from one")), "{log:?}");
    let there = Stored::new();
    there.pull(&second).unwrap();
    assert_eq!(there.id(&second), Some(id));
}

#[test]
fn a_pulled_image_goes_on_unchanged() {
    let (from, to) = (Registry::start(Protection::Open), Registry::start(Protection::Open));
    let (source, target) = (format!("{}/app:v1", from.host), format!("{}/copy:v1", to.host));
    let here = Stored::new();
    here.image(&source, &[&tar("a", b"one"), &tar("b", &noise(2, 100_000))]);
    here.push(&source).unwrap();
    let there = Stored::new();
    there.pull(&source).unwrap();
    let id = there.id(&source).unwrap();
    there.store.tag(&id, &reference(&target), TagPolicy::Move).unwrap();
    let log = there.push(&target).unwrap();
    assert!(!log.iter().any(|line| line.ends_with("Buffering to Disk")), "nothing is compressed: {log:?}");
    assert_eq!(manifest(&from, "app/manifests/v1"), manifest(&to, "copy/manifests/v1"));
}

#[test]
fn a_damaged_kept_blob_is_made_anew() {
    let (from, to) = (Registry::start(Protection::Open), Registry::start(Protection::Open));
    let (source, target) = (format!("{}/app:v1", from.host), format!("{}/copy:v1", to.host));
    let here = Stored::new();
    here.image(&source, &[&tar("a", b"one")]);
    here.push(&source).unwrap();
    let there = Stored::new();
    there.pull(&source).unwrap();
    let id = there.id(&source).unwrap();
    let layer = there.store.layers(&there.store.image(&id).unwrap()).unwrap().remove(0);
    let blob = there.store.layer_blobs(&layer.diff_id()).unwrap().remove(0);
    let file = layer.kept_blob(blob.digest).unwrap();
    let length = std::fs::metadata(&file).unwrap().len();
    std::fs::write(&file, vec![7; usize::try_from(length).unwrap()]).unwrap();
    there.store.tag(&id, &reference(&target), TagPolicy::Move).unwrap();
    there.push(&target).unwrap();
    let last = Stored::new();
    last.pull(&target).unwrap();
    assert_eq!(last.id(&target), Some(id));
}

#[test]
fn all_tags_go_and_come() {
    let registry = Registry::start(Protection::Open);
    let here = Stored::new();
    let base = tar("a", b"one");
    let repository = format!("{}/app", registry.host);
    let first = here.image(&format!("{repository}:v1"), &[&base, &tar("b", b"two")]);
    let second = here.image(&format!("{repository}:v2"), &[&base, &tar("b", b"three")]);
    let log = here.push(&repository).unwrap();
    assert!(log[0].ends_with("(len: 2)"), "{log:?}");
    assert_eq!(log.iter().filter(|line| line.contains(": digest: sha256:")).count(), 2);
    let there = Stored::new();
    let log = there.pull(&repository).unwrap();
    assert_eq!(log.last().unwrap(), &format!("Status: Downloaded newer image for {repository}"));
    assert_eq!(there.id(&format!("{repository}:v1")), Some(first));
    assert_eq!(there.id(&format!("{repository}:v2")), Some(second));
    let log = there.pull(&repository).unwrap();
    assert_eq!(log.last().unwrap(), &format!("Status: Image is up to date for {repository}"));
}

#[test]
fn missing_names_are_reported() {
    let here = Stored::new();
    here.image("127.0.0.1:1/d:v1", &[&tar("a", b"one")]);
    let error = here.push("127.0.0.1:5000/zz").unwrap_err();
    assert_eq!(error.to_string(), "Repository does not exist: 127.0.0.1:5000/zz");
    let error = here.push("127.0.0.1:1/d:nope").unwrap_err();
    assert_eq!(error.to_string(), "error getting tags for 127.0.0.1:1/d: Tag does not exist for nope");
    assert_eq!(error.kind(), model::ErrorKind::NotFound);
    let error = here.push("127.0.0.1:1/d").unwrap_err();
    assert!(matches!(error, RegistryError::Unreachable { .. }), "{error}");
}

#[test]
fn passwords_open_a_registry() {
    let registry = Registry::start(Protection::Password);
    let name = format!("{}/app:v1", registry.host);
    let here = Stored::new();
    let id = here.image(&name, &[&tar("a", b"one"), &tar("b", b"two")]);
    for (credentials, words) in [(None, "no basic auth credentials"), (Some(joe("nope", "")), "joe")] {
        let error = here.push_with(&client(), &name, credentials.as_ref()).unwrap_err();
        assert!(matches!(error, RegistryError::Unauthorized { .. }), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    let right = joe("secret", "elsewhere.example.com");
    here.push_with(&client(), &name, Some(&right)).unwrap();
    let there = Stored::new();
    for credentials in [None, Some(joe("nope", ""))] {
        let error = there.pull_with(&client(), &name, credentials.as_ref()).unwrap_err();
        assert!(matches!(error, RegistryError::NoReadAccess { .. }), "{error}");
        assert!(error.to_string().contains("unauthorized"), "{error}");
        assert_eq!(error.kind(), model::ErrorKind::NotFound);
    }
    assert!(there.is_empty());
    there.pull_with(&client(), &name, Some(&right)).unwrap();
    assert_eq!(there.id(&name), Some(id));
    let error = there.pull_with(&client(), &name.replace("v1", "zz"), Some(&right)).unwrap_err();
    assert!(error.to_string().starts_with("Error: image app:zz not found: manifest unknown"), "{error}");
}
