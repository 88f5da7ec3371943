//! `GET /distribution/(name)/json`: what a registry has under a name; and what logins give clients of today.

use berth_tests::Engine;
use berth_tests::registry::{Protection, Registry, authorization, push};
use berth_tests::tarball::{self, TAR};
use serde_json::json;

const IMAGE: &str = "127.0.0.1:5000/a/b";

#[test]
fn a_registry_is_asked_without_a_pull() {
    let engine = Engine::start();
    let _registry = Registry::start(&engine, "127.0.0.1:5000", &Protection::Open);
    let _ = engine.post(&format!("/images/busybox/tag?repo={IMAGE}&tag=latest")).expect(201);
    let first = push(&engine, IMAGE, "latest", None).succeeded();
    let digest = first.digest();
    let digests = || engine.at("1.55").get("/images/busybox/json").expect(200).json()["RepoDigests"].clone();
    assert_eq!(digests(), json!([]), "1.20 shows no digest of what it pushed");
    let second = push(&engine.at("1.55"), IMAGE, "latest", None).succeeded();
    assert_eq!((second.digest(), digests()), (digest.clone(), json!([format!("{IMAGE}@{digest}")])));
    let second_states: Vec<_> = second.objects.iter().filter(|object| object.get("id").is_some()).collect();
    assert!(!second_states.is_empty());
    for state in second_states {
        assert_eq!(state["status"], "Layer already exists", "{state}");
    }
    let begins = [&first, &second].map(|messages| messages.objects[0]["status"].clone());
    let refers = |rest: &str| json!(format!("The push refers to {rest}"));
    assert_eq!(
        begins,
        [refers(&format!("a repository [{IMAGE}] (len: 1)")), refers(&format!("repository [{IMAGE}]"))]
    );
    // A pushed image has an identity from there, whatever its name; before 1.53, it has none.
    let identity = |version: &str, name: &str| {
        engine.at(version).get(&format!("/images/{name}/json")).expect(200).json().get("Identity").cloned()
    };
    let pushed = json!({ "Pull": [{ "Repository": IMAGE }] });
    assert_eq!(
        [identity("1.53", "busybox"), identity("1.55", "busybox")],
        [Some(pushed.clone()), Some(pushed.clone())]
    );
    assert_eq!(identity("1.52", "busybox"), None);
    let _ = engine.at("1.55").get("/images/json?identity=1").expect(400);
    let _ = engine.at("1.53").get("/images/json?identity=1").expect(200);
    let _ = engine.delete(&format!("/images/{IMAGE}")).expect(200);
    let today = engine.at("1.55");
    for name in [IMAGE.to_owned(), format!("{IMAGE}:latest"), format!("{IMAGE}@{digest}")] {
        let found = today.get(&format!("/distribution/{name}/json")).expect(200).json();
        assert_eq!(found["Descriptor"]["digest"], json!(digest));
        assert_eq!(found["Descriptor"]["mediaType"], "application/vnd.docker.distribution.manifest.v2+json");
        assert!(found["Descriptor"]["size"].as_u64().expect("bytes") > 100, "{found}");
        let own = today.get("/images/busybox/json").expect(200).json();
        assert_eq!(found["Platforms"], json!([{"architecture": own["Architecture"], "os": "linux"}]));
    }
    let _ = today.get(&format!("/images/{IMAGE}/json")).expect(404);
    let _ = today.get(&format!("/distribution/{IMAGE}:none/json")).expect(404);
    let _ = today.get("/distribution/Upper/Case/json").expect(400);
    let _ = engine.at("1.29").get(&format!("/distribution/{IMAGE}/json")).expect(404);
    // A pull by tag gives the digest as a name too, since 1.22.
    for (version, digests) in [("1.21", json!([])), ("1.55", json!([format!("{IMAGE}@{digest}")]))] {
        let client = engine.at(version);
        let _ = client.post(&format!("/images/create?fromImage={IMAGE}&tag=latest")).expect(200);
        let image = client.get(&format!("/images/{IMAGE}/json")).expect(200).json();
        assert_eq!(image["RepoDigests"], digests, "{version}");
        if version == "1.55" {
            assert_eq!(image["Identity"], pushed);
            let listed = |query: &str| {
                let list = client.get(&format!("/images/json{query}")).expect(200).json();
                list[0]["Manifests"][0]["ImageData"].clone()
            };
            assert_eq!(listed("?manifests=1&identity=1")["Identity"], pushed);
            assert_eq!(listed("?manifests=1").get("Identity"), None);
        }
        let _ = client.delete(&format!("/images/{IMAGE}")).expect(200);
    }
    // What was pushed is remembered with the image.
    let _ = engine.delete("/images/busybox").expect(200);
}

#[test]
fn a_registry_tells_for_which_variant_of_a_processor_an_image_is() {
    let engine = Engine::start();
    let registry = Registry::start(&engine, "127.0.0.1:5000", &Protection::Open);
    let today = engine.at("1.55");
    let path = format!("/images/create?fromSrc=-&repo={IMAGE}&platform=linux/arm/v7");
    let _ = today.call("POST", &path, &TAR, &tarball::of(&[("f", "x")])).expect(200);
    let _ = push(&today, IMAGE, "latest", None).succeeded();
    let found = today.get(&format!("/distribution/{IMAGE}/json")).expect(200).json();
    assert_eq!(found["Platforms"], json!([{"architecture": "arm", "os": "linux", "variant": "v7"}]));
    let _ = today.delete(&format!("/images/{IMAGE}")).expect(200);
    drop(registry);
}

#[test]
fn a_login_to_who_asks_for_none_succeeds_since_1_24() {
    let engine = Engine::start();
    let _registry = Registry::start(&engine, "127.0.0.1:5000", &Protection::Open);
    let body = json!({"username": "joe", "password": "any", "serveraddress": "127.0.0.1:5000"});
    for version in ["1.24", "1.55"] {
        let answer = engine.at(version).post_json("/auth", &body).expect(200);
        assert_eq!(answer.json(), json!({"Status": "Login Succeeded"}), "{version}");
    }
    let refused = engine.at("1.23").post_json("/auth", &body).expect(500);
    assert!(refused.text().contains("no successful auth challenge"), "{}", refused.text());
}

#[test]
fn refused_logins_are_401_since_1_24() {
    let engine = Engine::start();
    let _registry = Registry::start(&engine, "127.0.0.1:5000", &Protection::Password);
    let log_in = |version: &str, password: &str| {
        let body = json!({"username": "joe", "password": password, "serveraddress": "127.0.0.1:5000"});
        engine.at(version).post_json("/auth", &body)
    };
    assert_eq!(log_in("1.55", "secret").expect(200).json(), json!({"Status": "Login Succeeded"}));
    let _ = log_in("1.55", "wrong").expect(401);
    let _ = log_in("1.20", "wrong").expect(500);
    let today = engine.at("1.55");
    let missing = format!("/distribution/{IMAGE}/json");
    let _ = today.get(&missing).expect(401);
    let known = authorization("joe", "secret");
    let _ = today.call("GET", &missing, &[("X-Registry-Auth", &known)], b"").expect(404);
}
