//! The documents and blobs of a registry or an archive, by their digest.

use std::collections::BTreeMap;

use berth_tests::registry::Registry;

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

    /// Adds a blob by its path, whose last name is its digest.
    pub(crate) fn add(&mut self, path: &str, content: Vec<u8>) {
        let name = path.rsplit('/').next().unwrap_or(path);
        self.0.insert(format!("sha256:{name}"), content);
    }

    /// A blob.
    pub(crate) fn blob(&self, digest: &str) -> &[u8] {
        self.0.get(digest).unwrap_or_else(|| panic!("no {digest} in {:?}", self.0.keys()))
    }
}
