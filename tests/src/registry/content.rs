//! What a registry holds: blobs, manifests and tags, made here and served honestly unless a test twists it.

use std::collections::BTreeMap;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::web::{Asked, Reply};
use crate::rootfs;

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const GZIPPED: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// The repositories of one registry: every path has the same content.
#[derive(Debug, Clone, Default)]
pub struct Content {
    blobs: BTreeMap<String, Vec<u8>>,
    manifests: BTreeMap<String, (String, Vec<u8>)>,
}

impl Content {
    /// Adds a blob; gives its digest.
    pub fn blob(&mut self, bytes: Vec<u8>) -> String {
        let digest = digest(&bytes);
        self.blobs.insert(digest.clone(), bytes);
        digest
    }

    /// Adds a manifest under a tag and its digest; gives the digest.
    pub fn manifest(&mut self, tag: &str, kind: &str, document: &Value) -> String {
        let bytes = document.to_string().into_bytes();
        let digest = digest(&bytes);
        for name in [tag, &digest] {
            self.manifests.insert(name.to_owned(), (kind.to_owned(), bytes.clone()));
        }
        digest
    }

    /// The descriptor of a layer whose blob is added.
    pub fn layer(&mut self, kind: &str, blob: Vec<u8>) -> Value {
        json!({ "mediaType": kind, "size": blob.len(), "digest": self.blob(blob) })
    }

    /// The manifest of an image whose plain layers are these tars, described so.
    pub fn document(&mut self, tars: &[Vec<u8>], layers: &[Value]) -> Value {
        let diff_ids: Vec<String> = tars.iter().map(|tar| digest(tar)).collect();
        let config = json!({
            "architecture": "amd64", "os": "linux", "created": "2020-01-01T00:00:00Z",
            "config": { "Cmd": ["cat", "/marker"], "Env": ["PATH=/bin"] },
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
            "history": tars.iter().map(|_| json!({ "created_by": "told" })).collect::<Vec<_>>(),
        });
        let config = config.to_string().into_bytes();
        let size = config.len();
        json!({ "schemaVersion": 2, "mediaType": MANIFEST, "layers": layers,
                "config": { "mediaType": CONFIG, "size": size, "digest": self.blob(config) } })
    }

    /// Adds an image of gzipped layers under a tag; gives its manifest's digest.
    pub fn image(&mut self, tag: &str, tars: &[Vec<u8>]) -> String {
        let layers: Vec<Value> = tars.iter().map(|tar| self.layer(GZIPPED, gzip(tar))).collect();
        let document = self.document(tars, &layers);
        self.manifest(tag, MANIFEST, &document)
    }

    /// The digests of all blobs of at least so many bytes: the layers that count.
    #[must_use]
    pub fn large(&self, least: usize) -> Vec<String> {
        self.blobs.iter().filter(|(_, blob)| blob.len() >= least).map(|(digest, _)| digest.clone()).collect()
    }

    /// A manifest that was added, by its tag or digest.
    ///
    /// # Panics
    /// When it does not exist.
    #[must_use]
    pub fn document_of(&self, name: &str) -> Value {
        serde_json::from_slice(&self.manifests[name].1).expect("JSON")
    }

    /// The bytes of a manifest.
    ///
    /// # Panics
    /// When it does not exist.
    #[must_use]
    pub fn length_of(&self, name: &str) -> usize {
        self.manifests[name].1.len()
    }

    /// A manifest, all that it lists, and their blobs, by digest.
    ///
    /// # Panics
    /// When something of it is missing.
    #[must_use]
    pub fn everything(&self, name: &str) -> BTreeMap<String, Vec<u8>> {
        let document = self.document_of(name);
        let bytes = self.manifests[name].1.clone();
        let mut found = BTreeMap::from([(digest(&bytes), bytes)]);
        for entry in document["manifests"].as_array().into_iter().flatten() {
            found.extend(self.everything(entry["digest"].as_str().expect("a digest")));
        }
        for part in document["layers"].as_array().into_iter().flatten().chain(document.get("config")) {
            let name = part["digest"].as_str().expect("a digest");
            found.insert(name.to_owned(), self.blobs[name].clone());
        }
        found
    }

    /// Answers as an honest registry that serves ranges.
    #[must_use]
    pub fn answer(&self, asked: &Asked) -> Reply {
        let Some(rest) = asked.path.strip_prefix("/v2/") else { return Reply::new(404) };
        if rest.is_empty() {
            return Reply::new(200);
        }
        if rest.ends_with("/tags/list") {
            let tags: Vec<&String> = self.manifests.keys().filter(|name| !name.contains(':')).collect();
            return Reply::new(200).body(json!({ "name": "told", "tags": tags }).to_string());
        }
        let missing = || {
            let text = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#;
            Reply::new(404).with("Content-Type", "application/json").body(text)
        };
        if let Some((_, name)) = rest.split_once("/manifests/") {
            let Some((kind, document)) = self.manifests.get(name) else { return missing() };
            return Reply::new(200).with("Content-Type", kind).body(document.clone());
        }
        let blob = rest.split_once("/blobs/").and_then(|(_, digest)| self.blobs.get(digest));
        blob.map_or_else(missing, |blob| ranged(asked, blob))
    }
}

/// A blob, or its part behind the requested byte.
fn ranged(asked: &Asked, blob: &[u8]) -> Reply {
    let start =
        asked.header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    match start {
        None => Reply::new(200).body(blob),
        Some(start) if start >= blob.len() => Reply::new(416),
        Some(start) => {
            let range = format!("bytes {start}-{}/{}", blob.len() - 1, blob.len());
            Reply::new(206).with("Content-Range", range).body(&blob[start..])
        }
    }
}

/// The digest of some bytes, with its algorithm.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", crate::saved::sha256(bytes))
}

/// Compresses with gzip.
///
/// # Panics
/// Never: it writes to memory.
#[must_use]
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

/// A tar archive of files.
///
/// # Panics
/// Never: it writes to memory.
#[must_use]
pub fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        rootfs::append(&mut archive, name, tar::EntryType::Regular, 0o755, bytes);
    }
    archive.into_inner().expect("memory")
}

/// Bytes that no compression makes shorter, always the same for a seed.
#[must_use]
pub fn noise(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(count + 8);
    while bytes.len() < count {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(count);
    bytes
}
