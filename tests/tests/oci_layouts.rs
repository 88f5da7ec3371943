//! Tarballs of current Docker: an OCI layout with `manifest.json` beside `index.json`, as the classic store of
//! Docker 25 and the containerd store of Docker 28 write them, and what is left of them when tools take parts away.

use std::collections::BTreeMap;

use berth_tests::registry::{digest, gzip, tar_of};
use berth_tests::rootfs::busybox;
use berth_tests::{Engine, query};
use serde_json::{Value, json};
use tar::{EntryType, Header};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const TAR: [(&str, &str); 1] = [("Content-Type", "application/x-tar")];

/// How layers lie in the tarball: the classic store has plain tars, containerd's what came from the registry.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Plain,
    Gzipped,
}

/// A layout under way.
#[derive(Default)]
struct Layout {
    files: BTreeMap<String, Vec<u8>>,
}

impl Layout {
    /// Adds a blob; gives its descriptor.
    fn blob(&mut self, kind: &str, bytes: Vec<u8>) -> Value {
        let digest = digest(&bytes);
        let descriptor = json!({ "mediaType": kind, "digest": digest, "size": bytes.len() });
        self.files.insert(place(&digest), bytes);
        descriptor
    }

    fn document(&mut self, kind: &str, document: &Value) -> Value {
        self.blob(kind, document.to_string().into_bytes())
    }

    /// Adds an image for a machine; gives its manifest's descriptor, its config's digest and its item of
    /// `manifest.json`.
    fn image(
        &mut self,
        architecture: &str,
        tars: &[&[u8]],
        form: Form,
        tags: &[&str],
    ) -> (Value, String, Value) {
        let diff_ids: Vec<String> = tars.iter().map(|tar| digest(tar)).collect();
        let config = json!({
            "architecture": architecture, "os": "linux", "created": "2024-02-02T02:02:02.123456789Z",
            "config": { "Cmd": ["cat", "/marker"], "Env": ["PATH=/bin"] },
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
            "history": tars.iter().map(|_| json!({ "created_by": "made", "comment": "buildkit.dockerfile.v0" }))
                .collect::<Vec<_>>(),
        });
        let config = self.document(CONFIG, &config);
        let layer = |layout: &mut Self, tar: &[u8]| match form {
            Form::Plain => layout.blob("application/vnd.oci.image.layer.v1.tar", tar.to_vec()),
            Form::Gzipped => layout.blob("application/vnd.oci.image.layer.v1.tar+gzip", gzip(tar)),
        };
        let layers: Vec<Value> = tars.iter().map(|tar| layer(self, tar)).collect();
        let sources: serde_json::Map<String, Value> =
            diff_ids.iter().cloned().zip(layers.iter().cloned()).collect();
        let manifest =
            json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers });
        let mut manifest = self.document(MANIFEST, &manifest);
        manifest["platform"] = json!({ "architecture": architecture, "os": "linux" });
        let path = |descriptor: &Value| place(descriptor["digest"].as_str().expect("a digest"));
        let item = json!({
            "Config": path(&config), "RepoTags": tags, "LayerSources": sources,
            "Layers": layers.iter().map(path).collect::<Vec<_>>(),
        });
        (manifest, config["digest"].as_str().expect("a digest").to_owned(), item)
    }

    /// Adds BuildKit's attestation of an image, as a manifest that is not an image.
    fn attestation(&mut self, of: &Value) -> Value {
        let statement = json!({ "_type": "https://in-toto.io/Statement/v0.1", "predicate": { "builder": "x".repeat(900) } });
        let layer = self.document("application/vnd.in-toto+json", &statement);
        let config = json!({
            "architecture": "unknown", "os": "unknown", "config": {},
            "rootfs": { "type": "layers", "diff_ids": [layer["digest"]] },
        });
        let config = self.document(CONFIG, &config);
        let manifest =
            json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer] });
        let mut manifest = self.document(MANIFEST, &manifest);
        manifest["platform"] = json!({ "architecture": "unknown", "os": "unknown" });
        manifest["annotations"] = json!({
            "vnd.docker.reference.digest": of["digest"], "vnd.docker.reference.type": "attestation-manifest",
        });
        manifest
    }

    /// Writes the tarball: directories and all.
    fn tarball(&self, index: &[Value], items: Option<&[Value]>) -> Vec<u8> {
        let mut files = self.files.clone();
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": index });
        files.insert("index.json".to_owned(), index.to_string().into_bytes());
        files.insert("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec());
        if let Some(items) = items {
            files.insert("manifest.json".to_owned(), json!(items).to_string().into_bytes());
        }
        let mut archive = tar::Builder::new(Vec::new());
        for directory in ["blobs/", "blobs/sha256/"] {
            append(&mut archive, directory, EntryType::Directory, b"");
        }
        for (name, bytes) in &files {
            append(&mut archive, name, EntryType::Regular, bytes);
        }
        archive.into_inner().expect("memory")
    }
}

fn append(archive: &mut tar::Builder<Vec<u8>>, name: &str, kind: EntryType, bytes: &[u8]) {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(0o755);
    header.set_size(bytes.len() as u64);
    archive.append_data(&mut header, name, bytes).expect("memory");
}

fn place(digest: &str) -> String {
    format!("blobs/sha256/{}", digest.trim_start_matches("sha256:"))
}

/// A descriptor of `index.json` that has a name.
fn named(descriptor: &Value, name: &str) -> Value {
    let mut descriptor = descriptor.clone();
    descriptor.as_object_mut().expect("an object").remove("platform");
    descriptor["annotations"] = json!({
        "io.containerd.image.name": format!("docker.io/library/{name}"),
        "org.opencontainers.image.ref.name": name.split_once(':').expect("a tag").1,
    });
    descriptor
}

/// Loads a tarball, plain and gzipped; each time the names lead to the image and its containers run.
fn check(engine: &Engine, what: &str, tarball: &[u8], names: &[&str], config: &str, marker: &str) {
    for (how, body) in [("plain", tarball.to_vec()), ("gzipped", gzip(tarball))] {
        let answer = engine.call("POST", "/images/load", &TAR, &body).expect(200);
        assert_eq!(answer.text(), "", "{what}, {how}");
        let list = engine.get("/images/json?all=1").expect(200).json();
        assert_eq!(list.as_array().map(Vec::len), Some(2), "{what}, {how}: {list}");
        for name in names {
            let image = engine.get(&format!("/images/{name}/json")).expect(200).json();
            assert_eq!(format!("sha256:{}", image["Id"].as_str().expect("an id")), config, "{what}, {how}");
            assert_eq!(engine.output(&json!({ "Image": name })).stdout, marker, "{what}, {how}");
        }
        // What was loaded is saved so that other engines know it by the same id.
        let saved = engine.get(&format!("/images/{}/get", names[0])).expect(200).body;
        let member = format!("{}.json", config.trim_start_matches("sha256:"));
        assert!(berth_tests::tarball::names(&saved).contains(&member), "{what}, {how}");
        for name in names {
            let _ = engine.delete(&format!("/images/{name}")).expect(200);
        }
    }
}

#[test]
fn what_dockers_classic_store_saves_is_loaded() {
    let engine = Engine::start();
    let marker = tar_of(&[("marker", b"classic\n")]);
    let names = ["modern:v1", "modern:v2", "other:latest"];
    let mut layout = Layout::default();
    let (manifest, config, item) = layout.image("amd64", &[busybox(), &marker], Form::Plain, &names);
    let index: Vec<Value> = names.iter().map(|name| named(&manifest, name)).collect();
    // Docker 25 and later keep `repositories` for engines of old.
    let id = config.trim_start_matches("sha256:");
    let repositories = json!({ "modern": { "v1": id, "v2": id }, "other": { "latest": id } });
    let both = layout.tarball(&index, Some(std::slice::from_ref(&item)));
    check(&engine, "index and manifest", &both, &names, &config, "classic\n");
    check(&engine, "the index alone", &layout.tarball(&index, None), &names, &config, "classic\n");
    layout.files.insert("repositories".to_owned(), repositories.to_string().into_bytes());
    check(&engine, "with repositories", &layout.tarball(&index, Some(&[item])), &names, &config, "classic\n");
}

#[test]
fn what_dockers_containerd_store_saves_is_loaded() {
    let engine = Engine::start();
    let marker = tar_of(&[("marker", b"containerd\n")]);
    let names = ["modern:v1", "modern:v2"];
    let mut layout = Layout::default();
    let (own, config, item) = layout.image("amd64", &[busybox(), &marker], Form::Gzipped, &names);
    let (foreign, _, _) = layout.image("arm64", &[&marker], Form::Gzipped, &[]);
    let attestations = [layout.attestation(&own), layout.attestation(&foreign)];
    let [first, second] = attestations.clone();
    let index = json!({
        "schemaVersion": 2, "mediaType": INDEX, "manifests": [foreign, own.clone(), first, second],
    });
    let index = layout.document(INDEX, &index);
    let tops: Vec<Value> = names.iter().map(|name| named(&index, name)).collect();
    check(&engine, "nested", &layout.tarball(&tops, None), &names, &config, "containerd\n");
    check(&engine, "with a manifest", &layout.tarball(&tops, Some(&[item])), &names, &config, "containerd\n");
    // Tools that flatten the index leave attestations and other machines' images at the top.
    let flat: Vec<Value> =
        names.iter().map(|name| named(&own, name)).chain(attestations).chain([foreign]).collect();
    check(&engine, "flattened", &layout.tarball(&flat, None), &names, &config, "containerd\n");
}

#[test]
fn a_layout_without_an_image_for_this_machine_is_refused_where_one_is_asked_for() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let images = || today.get("/images/json?all=1").expect(200).json().as_array().map(Vec::len);
    let mut layout = Layout::default();
    let (foreign, id, _) = layout.image("arm64", &[&tar_of(&[("marker", b"x")])], Form::Gzipped, &[]);
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [foreign] });
    let index = layout.document(INDEX, &index);
    let own = query(&[("platform", r#"{"os":"linux","architecture":"amd64"}"#)]);
    for top in [named(&index, "foreign:v1"), foreign] {
        let tarball = layout.tarball(&[top], None);
        let refused = today.call("POST", &format!("/images/load{own}"), &TAR, &tarball).stream_failure();
        assert!(refused.contains("(linux/amd64)"), "{refused}");
        assert_eq!(images(), Some(1), "a refused load left an image");
        let _ = today.call("POST", "/images/load", &TAR, &tarball).expect(200);
        assert_eq!(today.get(&format!("/images/{id}/json")).expect(200).json()["Architecture"], "arm64");
        let _ = today.delete(&format!("/images/{id}?force=1")).expect(200);
    }
}

#[test]
fn what_a_layout_says_of_itself_must_be_so() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let mut layout = Layout::default();
    let (manifest, id, _) = layout.image("amd64", &[&tar_of(&[("marker", b"x")])], Form::Gzipped, &[]);
    let refused = |tarball: &[u8], words: &str| {
        let refused = today.call("POST", "/images/load", &TAR, tarball).stream_failure();
        assert!(refused.contains(words), "{refused}");
        let left = today.get("/images/json?all=1").expect(200).json();
        assert_eq!(left.as_array().map(Vec::len), Some(1), "a refused load left an image: {left}");
    };
    let called = |name: String| {
        let mut entry = manifest.clone();
        entry["annotations"] = json!({ "io.containerd.image.name": name });
        layout.tarball(&[entry], None)
    };
    let other = format!("foo@sha256:{}", "1".repeat(64));
    refused(&called(other.clone()), &format!("gives the name {other} to what does not have this digest"));
    let mut wrong = manifest.clone();
    wrong["size"] = json!(5);
    let size = format!("{} bytes, not 5", manifest["size"]);
    refused(&layout.tarball(&[wrong.clone()], None), &size);
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [wrong] });
    let mut inner = Layout { files: layout.files.clone() };
    let index = inner.document(INDEX, &index);
    refused(&inner.tarball(&[index], None), &size);
    let mut archive = tar::Builder::new(Vec::new());
    append(&mut archive, "oci-layout", EntryType::Regular, br#"{"imageLayoutVersion":"9.9.9"}"#);
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [manifest] });
    append(&mut archive, "index.json", EntryType::Regular, index.to_string().as_bytes());
    for (name, bytes) in &layout.files {
        append(&mut archive, name, EntryType::Regular, bytes);
    }
    refused(&archive.into_inner().expect("memory"), "the image layout has version \"9.9.9\"");

    // Its own digest is a name; it is no tag.
    let own = format!("foo@{}", manifest["digest"].as_str().expect("a digest"));
    let said = today.call("POST", "/images/load", &TAR, &called(own.clone())).expect(200).text();
    assert!(said.contains(&format!("Loaded image: {own}")), "{said}");
    let quietly = today.call("POST", "/images/load?quiet=1", &TAR, &called(own.clone())).expect(200).text();
    assert_eq!(quietly, said, "a load has no progress that it could keep quiet about");
    let image = today.get(&format!("/images/{own}/json")).expect(200).json();
    assert_eq!(
        (&image["Id"], &image["RepoTags"], &image["RepoDigests"]),
        (&json!(id), &json!([]), &json!([own]))
    );
    let _ = today.delete(&format!("/images/{own}")).expect(200);
    let _ = today.get(&format!("/images/{id}/json")).expect(404);
}

#[test]
fn layers_of_an_archive_may_have_any_name() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let marker = tar_of(&[("marker", b"named\n")]);
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": { "Cmd": ["cat", "/marker"], "Env": ["PATH=/bin"] },
        "rootfs": { "type": "layers", "diff_ids": [digest(busybox()), digest(&marker)] },
    });
    let archive = |name: &str, layer: &[u8], is_first: bool| {
        let manifest =
            json!([{ "Config": "config.json", "RepoTags": ["named:1"], "Layers": ["base.tar", name] }]);
        let mut archive = tar::Builder::new(Vec::new());
        let manifest = manifest.to_string().into_bytes();
        if is_first {
            append(&mut archive, "manifest.json", EntryType::Regular, &manifest);
        }
        append(&mut archive, "config.json", EntryType::Regular, config.to_string().as_bytes());
        append(&mut archive, "base.tar", EntryType::Regular, busybox());
        append(&mut archive, name, EntryType::Regular, layer);
        // Anything else may lie beside it.
        append(&mut archive, "notes", EntryType::Regular, &[b'n'; 2000]);
        append(&mut archive, "notes.gz", EntryType::Regular, &gzip(b"no archive"));
        if !is_first {
            append(&mut archive, "manifest.json", EntryType::Regular, &manifest);
        }
        archive.into_inner().expect("memory")
    };
    let gzipped = gzip(&marker);
    let names = ["l", &"ab".repeat(32), "x.tgz", "layers/1", "{a", "layer.tar"];
    for (name, layer) in names.iter().flat_map(|name| [(name, &marker), (name, &gzipped)]) {
        for is_first in [true, false] {
            let said = today.call("POST", "/images/load", &TAR, &archive(name, layer, is_first)).expect(200);
            assert!(said.text().contains("Loaded image: named:1"), "{name}: {}", said.text());
            assert_eq!(engine.output(&json!({ "Image": "named:1" })).stdout, "named\n", "{name}");
            let _ = today.delete("/images/named:1").expect(200);
        }
    }
    let refused = |layer: &[u8]| {
        let refused = today.call("POST", "/images/load", &TAR, &archive("l", layer, false));
        assert_eq!(today.get("/images/json?all=1").expect(200).json().as_array().map(Vec::len), Some(1));
        refused.stream_failure()
    };
    assert_eq!(refused(b"no layer"), "the tarball has no l: no such file");
    let cut = refused(&gzipped[..gzipped.len() / 2]);
    assert_eq!(cut, "the archive is cut off: unexpected EOF", "the damage itself is named");
}
