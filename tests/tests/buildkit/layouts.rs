//! Images in layouts that the client's session serves, as contexts and as sources of graphs.

use std::collections::HashMap;

use berth_tests::Engine;
use berth_tests::registry::digest;
use buildkit_messages::operations::{Operation, Source};
use bytes::Bytes;
use serde_json::json;

use crate::client::{Order, Outcome, run};
use crate::graphs::{build as build_graph, graph};
use crate::offers::{End, OfferedBlob, Offers};

const DOCKERFILE: &str = "FROM base\nRUN test -e /bin/sh && cat /made\n";

/// The blobs of an image that the engine makes, and the digest of its index.
fn layout(engine: &Engine) -> (HashMap<String, OfferedBlob>, String) {
    let offers = Offers::of("FROM busybox\nRUN echo made > /made\n", &[]);
    let built = run(Order::of(offers, "x").exporters(&[("oci", &[])]).run(engine.socket()));
    built.result.as_ref().expect("a build");
    let mut blobs = HashMap::new();
    let mut root = String::new();
    let mut archive = tar::Archive::new(built.received.file.as_slice());
    for entry in archive.entries().expect("an archive") {
        let mut entry = entry.expect("an entry");
        let path = entry.path().expect("a path").display().to_string();
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut content).expect("a content");
        if path == "index.json" {
            let index: serde_json::Value = serde_json::from_slice(&content).expect("JSON");
            index["manifests"][0]["digest"].as_str().expect("a digest").clone_into(&mut root);
        }
        if let Some(name) = path.strip_prefix("blobs/sha256/") {
            blobs.insert(format!("sha256:{name}"), blob(&content));
        }
    }
    engine.forget_builds();
    (blobs, root)
}

fn blob(content: &[u8]) -> OfferedBlob {
    let pieces = content.chunks(100_000).map(Bytes::copy_from_slice).collect();
    OfferedBlob { pieces, end: End::Closes }
}

fn offering(blobs: HashMap<String, OfferedBlob>) -> Offers {
    let mut offers = Offers::of(DOCKERFILE, &[]);
    offers.layouts.insert("images".to_owned(), blobs);
    offers
}

fn build(engine: &Engine, blobs: HashMap<String, OfferedBlob>, digest: &str) -> Outcome {
    let order = Order::of(offering(blobs), "made");
    run(order.option("context:base", &format!("oci-layout://images@{digest}")).run(engine.socket()))
}

fn images(engine: &Engine) -> usize {
    let listed = engine.at("1.55").get("/images/json?all=1").expect(200).json();
    listed.as_array().map_or(0, Vec::len)
}

#[test]
fn an_image_of_a_layout_is_a_context() {
    let engine = Engine::start();
    let (blobs, root) = layout(&engine);
    let built = build(&engine, blobs.clone(), &root);
    assert_eq!(built.output(), "made\n", "{:?}", built.result);
    assert_eq!(images(&engine), 2, "the image itself is in no list");
    engine.forget_builds();
    let source = Source {
        identifier: format!("oci-layout://shown@{root}"),
        attributes: [("oci.store".to_owned(), "images".to_owned())].into(),
    };
    let definition = graph(vec![Operation { source: Some(source), ..Operation::default() }]);
    let built = build_graph(&engine, definition, offering(blobs));
    assert!(built.result.is_ok(), "{:?}", built.result);
    assert_eq!(engine.output_of("graph", "cat /made"), "made\n");
    engine.forget_builds();
}

#[test]
fn layouts_that_are_not_what_they_say_are_refused() {
    let engine = Engine::start();
    let (blobs, root) = layout(&engine);
    let largest = blobs.iter().max_by_key(|(_, blob)| blob.pieces.iter().map(Bytes::len).sum::<usize>());
    let largest = largest.expect("a layer").0.clone();
    let with = |name: &str, change: &dyn Fn(&mut OfferedBlob)| {
        let mut blobs = blobs.clone();
        change(blobs.get_mut(name).expect("a blob"));
        blobs
    };
    let other = |content: serde_json::Value| {
        let content = content.to_string().into_bytes();
        let digest = digest(&content);
        (HashMap::from([(digest.clone(), blob(&content))]), digest)
    };
    let loops = other(json!({ "manifests": [{ "size": 1, "digest": root,
        "platform": { "os": "linux", "architecture": "s390x" } }] }));
    let missing: HashMap<_, _> = blobs.clone().into_iter().filter(|(name, _)| *name != largest).collect();
    for (blobs, root, text) in [
        (
            with(&root, &|blob| blob.pieces = vec![Bytes::from_static(b"{}")]),
            &root,
            "sent something else for",
        ),
        (with(&root, &|blob| blob.end = End::Repeats), &root, "another number of bytes"),
        (with(&largest, &|blob| drop(blob.pieces.pop())), &root, "another number of bytes"),
        (with(&largest, &|blob| blob.end = End::Repeats), &root, "another number of bytes"),
        (with(&largest, &|blob| blob.pieces.reverse()), &root, ""),
        (missing, &root, ""),
        (loops.0, &loops.1, "has no image for linux/"),
        (HashMap::new(), &root, ""),
    ] {
        let built = build(&engine, blobs, root);
        let (code, message) = built.failure();
        assert!(*code != 13 && message.contains(text), "{code} {message}");
        assert_eq!(images(&engine), 1, "{message}");
    }
    let nameless = Order::of(offering(HashMap::new()), "x").option("context:base", "oci-layout://images");
    assert_eq!(run(nameless.run(engine.socket())).failure().0, 2);
    engine.forget_builds();
}
