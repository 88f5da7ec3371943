//! A hostile registry: what it sends becomes an image, and nothing else.

use berth_tests::registry::{Content, Server, pull, tar_of};
use berth_tests::{Context, Options};
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
