//! A registry with an index of two platforms and an attestation, and how it is read.

use berth_tests::registry::{Content, Messages, Server, digest, gzip, tar_of};
use berth_tests::{Client, Engine, Options, query, rootfs};
use serde_json::{Value, json};

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
pub(crate) const STATEMENT: &str = "application/vnd.in-toto+json";
pub(crate) const PREDICATE: &str = "https://slsa.dev/provenance/v0.2";
/// The registry that images come from.
pub(crate) const SOURCE: &str = "127.0.0.1:5001";
pub(crate) const NAME: &str = "127.0.0.1:5001/many";

/// An engine without any image.
pub(crate) fn bare() -> Engine {
    Engine::start_with(Options { without_image: true, ..Options::default() })
}

/// Adds an image for a machine whose marker is its name; gives its manifest's descriptor.
pub(crate) fn image(
    content: &mut Content,
    architecture: &str,
    compress: fn(&[u8]) -> (String, Vec<u8>),
) -> Value {
    let mut tars = vec![tar_of(&[("marker", format!("{architecture}\n").as_bytes())])];
    if architecture == "amd64" {
        tars.insert(0, rootfs::busybox().to_vec());
    }
    let layers: Vec<Value> = tars
        .iter()
        .map(|tar| {
            let (kind, blob) = compress(tar);
            content.layer(&kind, blob)
        })
        .collect();
    let config = json!({
        "architecture": architecture, "os": "linux", "created": "2024-02-02T02:02:02Z",
        "config": { "Cmd": ["cat", "/marker"], "Env": ["PATH=/bin"] },
        "rootfs": { "type": "layers", "diff_ids": tars.iter().map(|tar| digest(tar)).collect::<Vec<_>>() },
        "history": tars.iter().map(|_| json!({ "created_by": "made" })).collect::<Vec<_>>(),
    });
    let config = config.to_string().into_bytes();
    let config = json!({ "mediaType": CONFIG, "size": config.len(), "digest": content.blob(config) });
    // Not as the engine itself would write it.
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers,
        "annotations": { "made-for": architecture },
    });
    let mut descriptor = put(content, MANIFEST, &manifest);
    descriptor["platform"] = json!({ "architecture": architecture, "os": "linux" });
    descriptor
}

pub(crate) fn gzipped(tar: &[u8]) -> (String, Vec<u8>) {
    (format!("{LAYER}+gzip"), gzip(tar))
}

pub(crate) fn zstandard(tar: &[u8]) -> (String, Vec<u8>) {
    (format!("{LAYER}+zstd"), zstd::encode_all(tar, 3).expect("memory"))
}

pub(crate) fn plain(tar: &[u8]) -> (String, Vec<u8>) {
    (LAYER.to_owned(), tar.to_vec())
}

/// Adds a manifest without a tag; gives its descriptor.
pub(crate) fn put(content: &mut Content, kind: &str, document: &Value) -> Value {
    let name = content.manifest("untagged", kind, document);
    json!({ "mediaType": kind, "digest": name, "size": document.to_string().len() })
}

/// Adds BuildKit's attestation of an image; returns its descriptor.
pub(crate) fn attestation(content: &mut Content, of: &Value) -> Value {
    let statement =
        json!({ "_type": "https://in-toto.io/Statement/v0.1", "predicateType": PREDICATE, "predicate": {} });
    let statement = statement.to_string().into_bytes();
    let layer = json!({
        "mediaType": STATEMENT, "size": statement.len(), "digest": content.blob(statement),
        "annotations": { "in-toto.io/predicate-type": PREDICATE },
    });
    let config = json!({
        "architecture": "unknown", "os": "unknown", "config": {},
        "rootfs": { "type": "layers", "diff_ids": [layer["digest"]] },
    });
    let config = config.to_string().into_bytes();
    let config = json!({ "mediaType": CONFIG, "size": config.len(), "digest": content.blob(config) });
    let mut entry = put(
        content,
        MANIFEST,
        &json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer] }),
    );
    entry["platform"] = json!({ "architecture": "unknown", "os": "unknown" });
    entry["annotations"] = json!({
        "vnd.docker.reference.digest": of["digest"], "vnd.docker.reference.type": "attestation-manifest",
    });
    entry
}

/// What a registry has under the tag `v1`.
pub(crate) struct Source {
    pub(crate) content: Content,
    pub(crate) index: String,
    pub(crate) own: Value,
    pub(crate) foreign: Value,
    pub(crate) attestation: Value,
}

impl Source {
    /// An index of an image for arm64, one for amd64 and the latter's attestation.
    pub(crate) fn new() -> Self {
        let mut content = Content::default();
        let foreign = image(&mut content, "arm64", gzipped);
        let own = image(&mut content, "amd64", zstandard);
        let attestation = attestation(&mut content, &own);
        let index = json!({
            "schemaVersion": 2, "mediaType": INDEX, "manifests": [foreign, own, attestation],
            "annotations": { "kept": "as it came" },
        });
        let index = content.manifest("v1", INDEX, &index);
        Self { content, index, own, foreign, attestation }
    }

    pub(crate) fn serve(&self, engine: &Engine) -> Server {
        let content = self.content.clone();
        Server::start(engine, SOURCE, move |asked| content.answer(asked))
    }

    /// The digests of the blobs that a manifest names.
    pub(crate) fn blobs_of(&self, manifest: &Value) -> Vec<String> {
        let document = self.content.document_of(manifest["digest"].as_str().expect("a digest"));
        let layers = document["layers"].as_array().expect("layers").iter();
        layers.map(|layer| layer["digest"].as_str().expect("a digest").to_owned()).collect()
    }
}

pub(crate) fn pull(client: &Client, name: &str, platform: &str) -> Messages {
    let path = format!("/images/create{}", query(&[("fromImage", name), ("platform", platform)]));
    Messages::of(&client.call("POST", &path, &[], b""))
}

pub(crate) fn platform(architecture: &str) -> String {
    json!({ "os": "linux", "architecture": architecture }).to_string()
}

pub(crate) fn inspect(client: &Client, name: &str, more: &[(&str, &str)]) -> Value {
    client.get(&format!("/images/{name}/json{}", query(more))).expect(200).json()
}

pub(crate) fn list(client: &Client, more: &[(&str, &str)]) -> Vec<Value> {
    let answer = client.get(&format!("/images/json{}", query(more))).expect(200).json();
    answer.as_array().expect("a list").clone()
}

/// The kinds of an image's manifests, whether each is here, and the architectures of images.
pub(crate) fn shown(manifests: &Value) -> Vec<(String, bool, String)> {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let of = |manifest: &Value| {
        let architecture = word(&manifest["ImageData"]["Platform"]["architecture"]);
        (word(&manifest["Kind"]), manifest["Available"] == true, architecture)
    };
    manifests.as_array().expect("manifests").iter().map(of).collect()
}

pub(crate) fn entry(kind: &str, is_here: bool, architecture: &str) -> (String, bool, String) {
    (kind.to_owned(), is_here, architecture.to_owned())
}
