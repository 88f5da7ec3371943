//! Images are saved as OCI layouts since 1.44, and what other tools write is loaded.

use std::collections::BTreeMap;

use berth_tests::registry::{digest, gzip, tar_of};
use berth_tests::rootfs::busybox;
use berth_tests::{Client, Context, Engine, tarball};
use serde_json::{Value, json};

const TAR: [(&str, &str); 1] = [("Content-Type", "application/x-tar")];

fn document(entries: &BTreeMap<String, tarball::Entry>, name: &str) -> Value {
    let entry = entries.get(name).unwrap_or_else(|| panic!("no {name} among {:?}", entries.keys()));
    serde_json::from_slice(&entry.content).expect("JSON")
}

fn load(client: &Client, archive: &[u8]) -> Vec<Value> {
    let answer = client.call("POST", "/images/load", &TAR, archive).expect(200);
    serde_json::Deserializer::from_slice(&answer.body).into_iter().collect::<Result<_, _>>().expect("JSON")
}

#[test]
fn a_layout_holds_every_name_and_each_blob_once() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let built = today.build(&[("t", "a/one")], Context::of("FROM busybox\nRUN echo x > /x\nENV A=b\n"));
    assert_eq!(built.error, None, "{}", built.said);
    let _ = today.post("/images/a%2Fone/tag?repo=a/one&tag=two").expect(201);
    let image = today.get("/images/a/one/json").expect(200).json();
    let id = image["Id"].as_str().expect("an id").to_owned();
    let saved = today.get("/images/get?names=a/one&names=busybox&names=a/one:two").expect(200).body;
    let entries = tarball::entries(&saved);
    assert_eq!(tarball::names(&saved).len(), entries.len(), "no member comes twice");
    assert_eq!(document(&entries, "oci-layout"), json!({"imageLayoutVersion": "1.0.0"}));
    let index = document(&entries, "index.json");
    let names: Vec<_> = index["manifests"].as_array().expect("manifests").iter().collect();
    let names: Vec<_> =
        names.iter().filter_map(|entry| entry["annotations"]["io.containerd.image.name"].as_str()).collect();
    assert_eq!(names, ["docker.io/a/one:latest", "docker.io/a/one:two", "docker.io/library/busybox:latest"]);
    let manifest = document(&entries, "manifest.json");
    assert_eq!(manifest[0]["RepoTags"], json!(["a/one:latest", "a/one:two"]));
    assert_eq!(manifest[0]["Config"], format!("blobs/sha256/{}", id.trim_start_matches("sha256:")));
    for (name, entry) in &entries {
        if let Some(named) = name.strip_prefix("blobs/sha256/").filter(|name| !name.is_empty()) {
            assert_eq!(digest(&entry.content), format!("sha256:{named}"), "a blob is named by its digest");
        }
    }
    let diff_ids: Vec<String> = manifest[0]["Layers"]
        .as_array()
        .expect("layers")
        .iter()
        .map(|layer| digest(&entries[layer.as_str().expect("a name")].content))
        .collect();
    assert_eq!(json!(diff_ids), image["RootFS"]["Layers"]);
    engine.forget_builds();
    let said = load(&today, &saved);
    assert!(said.contains(&json!({"stream": "Loaded image: a/one:two\n"})), "{said:?}");
    let again = today.get("/images/a/one:two/json").expect(200).json();
    assert_eq!((&again["Id"], &again["Config"]), (&json!(id), &image["Config"]));
    assert_eq!(again["RepoTags"], json!(["a/one:latest", "a/one:two"]));
    engine.forget_builds();
    // It came in the layout as well, and so has the documents of one.
    let _ = engine.delete("/images/busybox?force=1").expect(200);
}

#[test]
fn an_id_has_no_name_and_older_versions_have_their_layout() {
    let engine = Engine::start();
    let id = engine.at("1.55").get("/images/busybox/json").expect(200).json()["Id"].clone();
    let id = id.as_str().expect("an id").trim_start_matches("sha256:").to_owned();
    let entries = tarball::entries(&engine.at("1.44").get(&format!("/images/{id}/get")).expect(200).body);
    let index = document(&entries, "index.json");
    assert_eq!(index["manifests"].as_array().map(Vec::len), Some(1));
    assert_eq!(index["manifests"][0].get("annotations"), None);
    assert_eq!(document(&entries, "manifest.json")[0]["RepoTags"], Value::Null);
    let old = tarball::entries(&engine.at("1.43").get("/images/busybox/get").expect(200).body);
    assert!(old.contains_key("repositories") && !old.contains_key("oci-layout"), "{:?}", old.keys());
    let nothing = engine.at("1.55").get("/images/get").expect(200).body;
    assert_eq!(nothing, vec![0; 1024], "no names, no members");
}

#[test]
fn an_archive_without_names_says_what_it_brought() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let built = today.build(&[("t", "named")], Context::of("FROM busybox\nENV A=b\n"));
    assert_eq!(built.error, None, "{}", built.said);
    let image = today.get("/images/named/json").expect(200).json();
    let id = image["Id"].as_str().expect("an id");
    for version in ["1.24", "1.55"] {
        let client = engine.at(version);
        let archive = client.get(&format!("/images/{id}/get")).expect(200).body;
        // Its name here is not in the archive.
        let said = load(&client, &archive);
        assert_eq!(said, [json!({"stream": format!("Loaded image ID: {id}\n")})], "{version}");
    }
    let _ = today.delete("/images/named").expect(200);
}

#[test]
fn a_config_may_have_any_name() {
    let engine = Engine::start();
    let layer = busybox();
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": {"Cmd": ["true"], "Env": ["A=b"]},
        "rootfs": {"type": "layers", "diff_ids": [digest(layer)]}, "history": [{"created_by": "made"}],
    });
    let config = config.to_string().into_bytes();
    let name = digest(&config);
    let manifest = json!([{"Config": name, "RepoTags": ["flat:v1"], "Layers": ["l0.tar.gz"]}]);
    let manifest = manifest.to_string().into_bytes();
    // What looks like a document and is too long for one is no part of the image.
    let large = [b"{".as_slice(), &vec![b' '; 9 << 20]].concat();
    let archive = tar_of(&[
        (name.as_str(), config.as_slice()),
        ("README", b"no document"),
        ("notes", &large),
        ("l0.tar.gz", &gzip(layer)),
        ("manifest.json", &manifest),
    ]);
    let today = engine.at("1.55");
    assert_eq!(load(&today, &archive), [json!({"stream": "Loaded image: flat:v1\n"})]);
    let image = today.get("/images/flat:v1/json").expect(200).json();
    assert_eq!((&image["Id"], &image["Config"]["Env"]), (&json!(name), &json!(["A=b"])));
    let _ = today.delete("/images/flat:v1").expect(200);
}

#[test]
fn an_archive_of_nothing_is_refused_since_1_23() {
    let engine = Engine::start();
    let load = |version: &str| engine.at(version).call("POST", "/images/load", &TAR, &[0; 10240]);
    for version in ["1.20", "1.22"] {
        assert_eq!(load(version).expect(200).text(), "");
    }
    for version in ["1.23", "1.55"] {
        assert_eq!(load(version).stream_failure(), "the archive holds no image");
    }
}

#[test]
fn an_image_without_a_date_has_none_since_1_44() {
    let engine = Engine::start();
    let layer = String::from_utf8(tarball::of(&[("f", "x")])).expect("ASCII");
    let diff_id = digest(layer.as_bytes());
    let config = json!({ "os": "linux", "architecture": "amd64", "rootfs": { "type": "layers", "diff_ids": [diff_id] } });
    let list = json!([{ "Config": "c.json", "RepoTags": ["dateless:1", "dateless:2"], "Layers": ["l.tar"] }]);
    let (config, list) = (config.to_string(), list.to_string());
    let archive = tarball::of(&[("c.json", &config), ("l.tar", &layer), ("manifest.json", &list)]);
    let loaded = engine.at("1.55").call("POST", "/images/load", &tarball::TAR, &archive).expect(200);
    // docker-py takes an answer with a length for a single document.
    assert_eq!(loaded.head.header("transfer-encoding"), Some("chunked"));
    assert_eq!(loaded.text().matches("Loaded image").count(), 2);
    for (version, shown, listed) in
        [("1.43", json!("0001-01-01T00:00:00Z"), -62_135_596_800_i64), ("1.44", json!(null), 0)]
    {
        let client = engine.at(version);
        assert_eq!(client.get("/images/dateless:1/json").expect(200).json()["Created"], shown);
        let images = client.get("/images/json").expect(200).json();
        let mut images = images.as_array().expect("a list").iter();
        let found = images.find(|image| image["RepoTags"][0] == "dateless:1").expect("listed");
        assert_eq!(found["Created"], listed);
    }
    for tag in ["1", "2"] {
        let _ = engine.delete(&format!("/images/dateless:{tag}")).expect(200);
    }
}
