//! What several targets need: tarballs of members, image layouts whose parts point to each other, and stores.

use std::collections::BTreeMap;

use images::{ListFilter, RemoveOptions, Store, digest_of};
use serde_json::{Value, json};

/// A store of this process alone.
#[must_use]
pub fn store(name: &str) -> Store {
    let path = std::env::temp_dir().join(format!("berth-fuzz-{name}-{}", std::process::id()));
    Store::open(path).expect("a store")
}

/// Every image, those without a name too.
#[must_use]
pub fn all() -> ListFilter {
    ListFilter { all: true, ..ListFilter::default() }
}

/// Removes every image; nothing may be left then.
pub fn clear(store: &Store) {
    let options = RemoveOptions { force: true, keep_parents: true, ..RemoveOptions::default() };
    while let Some(image) = store.list(&all()).expect("a list").first() {
        store.remove(&image.id.hexadecimal(), options).expect("removed");
    }
}

fn header(name: &str, size: usize) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..107].copy_from_slice(b"0000644");
    block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    block[156] = b'0';
    block[257..265].copy_from_slice(b"ustar\x0000");
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    block
}

/// A tarball of files.
#[must_use]
pub fn tarball<'a>(members: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    let mut tarball = Vec::new();
    for (name, content) in members {
        tarball.extend(header(name, content.len()));
        tarball.extend_from_slice(content);
        tarball.resize(tarball.len().next_multiple_of(512), 0);
    }
    tarball.resize(tarball.len() + 1024, 0);
    tarball
}

/// The media type of an image's manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The media type of an index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// An image layout under way: its members by their names.
#[derive(Debug, Default)]
pub struct Layout(BTreeMap<String, Vec<u8>>);

impl Layout {
    /// Adds a blob; gives its descriptor.
    pub fn blob(&mut self, media_type: &str, content: Vec<u8>) -> Value {
        let digest = digest_of(&content);
        let descriptor =
            json!({ "mediaType": media_type, "digest": digest.to_string(), "size": content.len() });
        self.0.insert(format!("blobs/sha256/{}", digest.hexadecimal()), content);
        descriptor
    }

    /// Adds an image of layers that are tarballs; gives its manifest's descriptor.
    pub fn image(&mut self, architecture: &str, layers: &[Vec<u8>]) -> Value {
        let diff_ids: Vec<String> = layers.iter().map(|layer| digest_of(layer).to_string()).collect();
        let config = json!({
            "architecture": architecture, "os": "linux", "config": {},
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        let config = self.blob("application/vnd.oci.image.config.v1+json", config.to_string().into());
        let tar = "application/vnd.oci.image.layer.v1.tar";
        let layers: Vec<Value> = layers.iter().map(|layer| self.blob(tar, layer.clone())).collect();
        let manifest =
            json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers });
        let mut descriptor = self.blob(MANIFEST, manifest.to_string().into());
        descriptor["platform"] = json!({ "architecture": architecture, "os": "linux" });
        descriptor
    }

    /// Adds an index; gives its descriptor.
    pub fn index(&mut self, entries: &[Value]) -> Value {
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries });
        self.blob(INDEX, index.to_string().into())
    }

    /// Sets a member that is no blob.
    pub fn set(&mut self, name: &str, content: Vec<u8>) {
        self.0.insert(name.to_owned(), content);
    }

    /// Takes a blob away; its descriptors stay.
    pub fn forget(&mut self, descriptor: &Value) {
        let digest = descriptor["digest"].as_str().unwrap_or_default();
        self.0.remove(&format!("blobs/sha256/{}", digest.trim_start_matches("sha256:")));
    }

    /// The tarball of a layout with these entries in its `index.json`.
    #[must_use]
    pub fn tarball(mut self, entries: &[Value]) -> Vec<u8> {
        self.set("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec());
        self.set("index.json", json!({ "schemaVersion": 2, "manifests": entries }).to_string().into());
        tarball(self.0.iter().map(|(name, content)| (name.as_str(), content.as_slice())))
    }
}
