//! Each tag leads to what it came under itself, where one image has several manifests or indexes.

use berth_tests::registry::{Content, Protection, Registry, Server, push};
use berth_tests::tarball::TAR;
use berth_tests::{Client, query, tarball};
use serde_json::{Value, json};

use crate::source::{
    INDEX, NAME, SOURCE, attestation, bare, gzipped, image, inspect, list, plain, pull, put, zstandard,
};

const TARGET: &str = "127.0.0.1:5000/sent";

fn descriptor(today: &Client, name: &str) -> Value {
    inspect(today, name, &[])["Descriptor"]["digest"].clone()
}

fn tag(today: &Client, name: &str, tag: &str) {
    let _ = today.post(&format!("/images/{name}/tag?repo={TARGET}&tag={tag}")).expect(201);
}

#[test]
fn an_image_with_other_attestations_goes_as_each_tag_came() {
    let mut engine = bare();
    let today = engine.at("1.55");
    let mut content = Content::default();
    let own = image(&mut content, "amd64", gzipped);
    let said = attestation(&mut content, &own);
    let index = |manifests: &[&Value], number: u32| {
        json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests,
                "annotations": { "number": number.to_string() } })
    };
    let indexes = [
        content.manifest("v1", INDEX, &index(&[&own, &said], 1)),
        content.manifest("v2", INDEX, &index(&[&own], 2)),
    ];
    let served = content.clone();
    let server = Server::start(&engine, SOURCE, move |asked| served.answer(asked));
    let names = [format!("{NAME}:v1"), format!("{NAME}:v2")];
    for name in &names {
        let _ = pull(&today, name, "").succeeded();
    }
    drop(server);
    let check = |today: &Client| {
        for ((name, index), statements) in names.iter().zip(&indexes).zip([1, 0]) {
            assert_eq!(descriptor(today, name), json!(index), "{name}");
            assert_eq!(descriptor(today, &format!("{NAME}@{index}")), json!(index));
            let said = today.get(&format!("/images/{name}/attestations")).expect(200).json();
            assert_eq!(said.as_array().map(Vec::len), Some(statements), "{name}");
        }
    };
    check(&today);
    engine.stop_daemon();
    engine.start_daemon();
    check(&today);

    let registry = Registry::start(&engine, "127.0.0.1:5000", &Protection::Open);
    for (tagged, (name, index)) in ["one", "two"].into_iter().zip(names.iter().zip(&indexes)) {
        tag(&today, name, tagged);
        assert_eq!(push(&today, TARGET, tagged, None).succeeded().digest(), *index, "{name}");
    }
    drop(registry);
    let saved = today.get(&format!("/images/get{}", query(&[("names", &names[0]), ("names", &names[1])])));
    let saved = saved.expect(200).body;
    let entries = tarball::entries(&saved);
    let document: Value = serde_json::from_slice(&entries["index.json"].content).expect("JSON");
    let listed: Vec<&Value> =
        document["manifests"].as_array().expect("a list").iter().map(|entry| &entry["digest"]).collect();
    assert_eq!(listed, [&json!(indexes[0]), &json!(indexes[1])]);
    let id = inspect(&today, &names[0], &[])["Id"].as_str().expect("an id").to_owned();
    let _ = today.delete(&format!("/images/{id}?force=1")).expect(200);
    assert!(list(&today, &[("all", "1")]).is_empty());
    let _ = today.call("POST", "/images/load", &TAR, &saved).expect(200);
    for (name, index) in names.iter().zip(&indexes) {
        assert_eq!(descriptor(&today, name), json!(index), "{name}");
    }
    let _ = today.delete(&format!("/images/{id}?force=1")).expect(200);
}

#[test]
fn an_image_in_several_compressions_goes_as_each_tag_came() {
    let engine = bare();
    let today = engine.at("1.55");
    let mut content = Content::default();
    let forms = [("gzip", gzipped as fn(&[u8]) -> _), ("zstd", zstandard), ("plain", plain)];
    let manifests = forms.map(|(tag, form)| {
        let manifest = image(&mut content, "arm64", form);
        let digest = manifest["digest"].as_str().expect("a digest").to_owned();
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [manifest],
                            "annotations": { "form": tag } });
        let listed = put(&mut content, INDEX, &index)["digest"].clone();
        let _ = content.manifest(tag, INDEX, &index);
        (tag, digest, listed)
    });
    let server = Server::start(&engine, SOURCE, move |asked| content.answer(asked));
    for (tag, ..) in &manifests {
        let _ = pull(&today, &format!("{NAME}:{tag}"), "linux/arm64").succeeded();
    }
    drop(server);
    let registry = Registry::start(&engine, "127.0.0.1:5000", &Protection::Open);
    for (form, manifest, index) in &manifests {
        let name = format!("{NAME}:{form}");
        assert_eq!(descriptor(&today, &name), *index);
        tag(&today, &name, form);
        assert_eq!(json!(push(&today, TARGET, form, None).succeeded().digest()), *index, "{form}");
        let _ = manifest;
    }
    drop(registry);
    let id = inspect(&today, &format!("{NAME}:gzip"), &[])["Id"].as_str().expect("an id").to_owned();
    let _ = today.delete(&format!("/images/{id}?force=1")).expect(200);
    assert!(list(&today, &[("all", "1")]).is_empty());
}
