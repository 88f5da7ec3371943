//! Containers name the manifest of the image that they were made of.

use berth_tests::registry::{Content, Server};
use berth_tests::tarball::TAR;
use serde_json::{Value, json};

use crate::source::{NAME, SOURCE, Source, bare, gzipped, image, pull};

const FIELD: &str = "ImageManifestDescriptor";

#[test]
fn containers_show_the_manifest_of_their_platform_since_1_48() {
    let engine = bare();
    let source = Source::new();
    let server = source.serve(&engine);
    let today = engine.at("1.55");
    let name = format!("{NAME}:v1");
    let _ = pull(&today, &name, "").succeeded();
    drop(server);
    let body = json!({ "Image": name, "Cmd": ["true"] });
    let id = today.post_json("/containers/create", &body).expect(201).json()["Id"].clone();
    let id = id.as_str().expect("an id");
    let shown = |version: &str| {
        let client = engine.at(version);
        let inspected = client.get(&format!("/containers/{id}/json")).expect(200).json();
        let listed = client.get("/containers/json?all=1").expect(200).json();
        [inspected, listed[0].clone()].map(|container| container.get(FIELD).cloned())
    };
    for version in ["1.48", "1.55"] {
        assert_eq!(shown(version), [Some(source.own.clone()), Some(source.own.clone())], "{version}");
    }
    for version in ["1.20", "1.47"] {
        assert_eq!(shown(version), [None, None], "{version}");
    }
    let usage = today.get("/system/df").expect(200).json();
    assert_eq!(usage["Containers"][0]["Id"], id);
    assert_eq!(usage["Containers"][0].get(FIELD), None);
    let _ = today.delete(&format!("/containers/{id}")).expect(204);
    let _ = today.delete(&format!("/images/{name}")).expect(200);
}

#[test]
fn a_manifest_without_an_index_has_the_platform_of_its_image() {
    let engine = bare();
    let mut content = Content::default();
    let mut manifest = image(&mut content, "amd64", gzipped);
    let digest = manifest["digest"].as_str().expect("a digest").to_owned();
    let served = content.clone();
    let server = Server::start(&engine, SOURCE, move |asked| served.answer(asked));
    let today = engine.at("1.55");
    let name = format!("{NAME}@{digest}");
    let _ = pull(&today, &name, "").succeeded();
    drop(server);
    manifest["platform"] = json!({ "architecture": "amd64", "os": "linux" });
    let descriptor = |image: &str| -> Option<Value> {
        let body = json!({ "Image": image, "Cmd": ["true"] });
        let id = today.post_json("/containers/create", &body).expect(201).json()["Id"].clone();
        let path = format!("/containers/{}", id.as_str().expect("an id"));
        let shown = today.get(&format!("{path}/json")).expect(200).json().get(FIELD).cloned();
        let _ = today.delete(&path).expect(204);
        shown
    };
    assert_eq!(descriptor(&name), Some(manifest));
    // What is made here has no manifest.
    let id = today.post_json("/containers/create", &json!({ "Image": name, "Cmd": ["true"] })).expect(201);
    let id = id.json()["Id"].as_str().expect("an id").to_owned();
    let _ = today.post(&format!("/commit?container={id}&repo=made")).expect(201);
    assert_eq!(descriptor("made"), None);
    let _ = today.delete(&format!("/containers/{id}")).expect(204);
    for image in ["made", &name] {
        let _ = today.delete(&format!("/images/{image}")).expect(200);
    }
}

#[test]
fn a_program_for_another_processor_fails_to_start_in_words() {
    let engine = bare();
    let today = engine.at("1.55");
    // Of a machine that no kernel has and no handler takes: elf(5), e_machine.
    let mut program = [0; 64];
    program[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    (program[16], program[18], program[19], program[20]) = (2, 0xbc, 0x9a, 1);
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(64);
    header.set_mode(0o755);
    archive.append_data(&mut header, "program", program.as_slice()).expect("an entry");
    let archive = archive.into_inner().expect("an archive");
    let path = "/images/create?fromSrc=-&repo=other&platform=linux/s390x";
    let _ = today.call("POST", path, &TAR, &archive).expect(200);
    let body = json!({ "Image": "other", "Cmd": ["/program"] });
    let made = today.post_json("/containers/create?platform=linux/s390x", &body).expect(201).json();
    let id = made["Id"].as_str().expect("an id");
    assert_eq!(made["Warnings"], json!([]), "the platform was asked for");
    let words = format!("Cannot start container {id}: exec: \"/program\": exec format error");
    assert_eq!(today.post(&format!("/containers/{id}/start")).expect(400).message(), words);
    let state = today.inspect(id)["State"].clone();
    assert_eq!((&state["Running"], &state["ExitCode"]), (&json!(false), &json!(126)));
    let _ = today.delete(&format!("/containers/{id}")).expect(204);
    let _ = today.delete("/images/other").expect(200);
}
