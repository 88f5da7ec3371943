//! Images from elsewhere, of a hostile registry or a hostile tarball: what they bring becomes an image, and nothing
//! else.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use berth_tests::http::Connection;
use berth_tests::registry::{Content, Ending, Gate, Reply, Server, pull, tar_of};
use berth_tests::{Context, Options, wait};
use serde_json::json;

use super::Target;

/// CVE-2024-24557: a pulled image claims to be what a step of a build made, and the build goes on from it.
#[test]
fn a_pulled_image_is_no_step_of_a_build() {
    let engine = Target::start_with(Options { without_image: true, ..Options::default() });
    let context = || Context::of("FROM scratch\nENV made=here\n");
    let built = engine.build(&[], context()).image();
    let claimed = engine.get(&format!("/images/{built}/json")).expect(200).json()["ContainerConfig"].clone();
    engine.forget_builds();
    let mut content = Content::default();
    let layer = tar_of(&[("bin/sh", b"evil")]);
    let mut document = content.document(std::slice::from_ref(&layer), &[]);
    let config = json!({
        "architecture": "amd64", "os": "linux", "created": "2020-01-01T00:00:00Z",
        "config": { "Env": ["made=elsewhere"] }, "container_config": claimed,
        "rootfs": { "type": "layers", "diff_ids": [berth_tests::registry::digest(&layer)] },
        "history": [{ "created_by": "told" }],
    });
    let config = config.to_string().into_bytes();
    document["config"]["size"] = json!(config.len());
    document["config"]["digest"] = json!(content.blob(config));
    let kind = document["mediaType"].as_str().expect("a type").to_owned();
    let plain = "application/vnd.docker.image.rootfs.diff.tar";
    document["layers"] = json!([content.layer(plain, layer)]);
    let _ = content.manifest("v1", &kind, &document);
    let _registry = Server::start(&engine, "127.0.0.1:5000", move |asked| content.answer(asked));
    let _ = pull(&engine, "127.0.0.1:5000/evil", "v1", &[]).succeeded();
    let again = engine.build(&[], context());
    assert_eq!(again.cached(), 0, "the step is made anew");
    let config = engine.get(&format!("/images/{}/json", again.image())).expect(200).json()["Config"].clone();
    assert_eq!(config["Env"], json!(["made=here"]));
    engine.forget_builds();
}

/// The same class by a tarball: in the form of today, and in that of API 1.20 with a parent that is here.
#[test]
fn a_loaded_image_is_no_step_of_a_build() {
    let engine = Target::start();
    let layer = tar_of(&[("bin/evil", b"evil")]);
    for (parent, from) in [(None, "scratch"), (Some("busybox"), "busybox")] {
        let context = || Context::of(&format!("FROM {from}\nENV made=here\n"));
        let built = engine.build(&[], context()).image();
        let image = engine.get(&format!("/images/{built}/json")).expect(200).json();
        engine.forget_builds();
        let mut document = json!({
            "architecture": "amd64", "os": "linux", "created": "2037-01-01T00:00:00Z",
            "config": { "Env": ["made=elsewhere"] }, "container_config": image["ContainerConfig"],
        });
        let tarball = match parent {
            None => {
                document["rootfs"] =
                    json!({ "type": "layers", "diff_ids": [berth_tests::registry::digest(&layer)] });
                let config = document.to_string().into_bytes();
                let manifest = json!([{ "Config": "c.json", "RepoTags": ["evil:x"], "Layers": ["l.tar"] }]);
                let manifest = manifest.to_string().into_bytes();
                tar_of(&[("c.json", &config), ("manifest.json", &manifest), ("l.tar", &layer)])
            }
            Some(parent) => {
                let id = "e".repeat(64);
                document["id"] = json!(id);
                document["parent"] =
                    engine.get(&format!("/images/{parent}/json")).expect(200).json()["Id"].clone();
                let (json, repositories) = (document.to_string(), json!({ "evil": { "x": id } }).to_string());
                let name = |member: &str| format!("{id}/{member}");
                tar_of(&[
                    (&name("VERSION"), b"1.0"),
                    (&name("json"), json.as_bytes()),
                    (&name("layer.tar"), &layer),
                    ("repositories", repositories.as_bytes()),
                ])
            }
        };
        let loaded = engine.call("POST", "/images/load", &[("Content-Type", "application/x-tar")], &tarball);
        assert_eq!((loaded.status(), loaded.text().as_str()), (200, ""), "{from}");
        let again = engine.build(&[], context());
        assert_eq!(again.cached(), 0, "FROM {from}: the step is made anew");
        let config =
            engine.get(&format!("/images/{}/json", again.image())).expect(200).json()["Config"].clone();
        assert!(config["Env"].to_string().contains("made=here"), "FROM {from}: {config}");
        assert_eq!(engine.build(&[], context()).cached(), 1, "what was made here is found");
        engine.forget_builds();
    }
}

/// Documents that a registry begins and does not end, of many pulls at once: each is below its limit, all are too much.
#[test]
fn manifests_that_do_not_end_share_a_budget() {
    const PULLS: usize = 60;
    let engine = Target::start();
    let gate = Gate::default();
    let held = Arc::clone(&gate);
    let server = Server::start(&engine, "127.0.0.1:5000", move |asked| {
        if asked.path.contains("/manifests/") {
            let most = Ending::HeldAfter((4 << 20) - 1000, Arc::clone(&held));
            Reply::new(200).body(vec![b' '; 4 << 20]).ending(most)
        } else {
            Reply::new(200)
        }
    });
    let path = "/v1.20/images/create?fromImage=127.0.0.1:5000/evil&tag=x";
    let stalled: Vec<Connection> = (0..PULLS)
        .map(|_| {
            let mut connection = engine.connect();
            connection.request("POST", path, &[], b"").expect("a request");
            connection
        })
        .collect();
    wait::until("all pulls", || (server.asked_for("/manifests/x").len() >= PULLS).then_some(()));
    wait::until("their documents", || (engine.peak_memory() > 70 << 20).then_some(()));
    engine.assert_small();
    assert_eq!(engine.get("/_ping").text(), "OK");
    drop(stalled);
    gate.store(true, Ordering::SeqCst);
}
