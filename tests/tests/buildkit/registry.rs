//! The documents and blobs of a registry or an archive, by their digest.

use std::collections::BTreeMap;

use berth_tests::registry::Registry;
use serde_json::Value;

/// What is stored.
#[derive(Debug, Default)]
pub(crate) struct Stored(BTreeMap<String, Vec<u8>>);

impl Stored {
    /// All that a registry has.
    pub(crate) fn of(registry: &Registry) -> Self {
        let root = registry.storage().join("docker/registry/v2/blobs/sha256");
        let mut stored = Self::default();
        for group in root.read_dir().into_iter().flatten().flatten() {
            for blob in group.path().read_dir().expect("blobs").flatten() {
                let bytes = std::fs::read(blob.path().join("data")).expect("a blob");
                stored.add(&blob.file_name().to_string_lossy(), bytes);
            }
        }
        stored
    }

    /// All that an archive has, its lists by their names.
    pub(crate) fn of_archive(archive: &[u8]) -> Self {
        let mut archive = tar::Archive::new(archive);
        let mut stored = Self::default();
        for entry in archive.entries().expect("an archive") {
            let mut entry = entry.expect("an entry");
            let path = entry.path().expect("a path").display().to_string();
            let mut content = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut content).expect("a content");
            stored.add(&path, content);
        }
        stored
    }

    /// A list of an archive.
    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_slice(self.blob(&format!("sha256:{name}"))).expect("JSON")
    }

    /// The document that a descriptor points to.
    pub(crate) fn document(&self, descriptor: &Value) -> Value {
        let digest = descriptor["digest"].as_str().expect("a digest");
        serde_json::from_slice(self.blob(digest)).expect("JSON")
    }

    /// Adds a blob by its path, whose last name is its digest.
    pub(crate) fn add(&mut self, path: &str, content: Vec<u8>) {
        let name = path.rsplit('/').next().unwrap_or(path);
        self.0.insert(format!("sha256:{name}"), content);
    }

    /// All blobs and documents.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = &[u8]> {
        self.0.values().map(Vec::as_slice)
    }

    /// A blob.
    pub(crate) fn blob(&self, digest: &str) -> &[u8] {
        self.0.get(digest).unwrap_or_else(|| panic!("no {digest} in {:?}", self.0.keys()))
    }
}
