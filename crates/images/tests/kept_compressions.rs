//! Layouts whose layers are here already, made here or compressed otherwise: they are saved as they came. Needs root.

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use berth_images::{ImportOptions, RemoveOptions, Store, digest_of};
use serde_json::{Value, json};
use support::{Archive, Scratch};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// The blobs of a layout, and what its `index.json` names.
struct Layout {
    blobs: Vec<Vec<u8>>,
    target: Vec<u8>,
    name: String,
}

impl Layout {
    /// An index of one manifest, whose layer is compressed.
    fn of(compression: &str, plain: &[u8]) -> Self {
        let compressed = support::compressed(plain);
        let (_, layer) =
            compressed.into_iter().find(|(name, _)| *name == compression).expect("a compression");
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": { "Labels": { "made": compression } },
            "rootfs": { "type": "layers", "diff_ids": [digest_of(plain).to_string()] },
        });
        let config = config.to_string().into_bytes();
        let layer_type = format!("application/vnd.oci.image.layer.v1.tar+{compression}");
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
            "layers": [descriptor(&layer_type, &layer)],
        });
        let manifest = manifest.to_string().into_bytes();
        let mut listed = descriptor(MANIFEST, &manifest);
        listed["platform"] = json!({ "os": "linux", "architecture": "amd64" });
        let target = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [listed] });
        let target = target.to_string().into_bytes();
        let blobs = vec![config, layer, manifest, target.clone()];
        Self { blobs, target, name: format!("x/{compression}:1") }
    }

    fn tarball(&self) -> Vec<u8> {
        let mut listed = descriptor(INDEX, &self.target);
        listed["annotations"] = json!({ "io.containerd.image.name": self.name });
        let index = json!({ "schemaVersion": 2, "manifests": [listed] }).to_string();
        let blobs = self.blobs.iter().fold(Archive::new(), |archive, blob| archive.file(&place(blob), blob));
        blobs
            .file("index.json", index.as_bytes())
            .file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)
            .finish()
    }
}

fn descriptor(media_type: &str, blob: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": digest_of(blob).to_string(), "size": blob.len() })
}

fn place(blob: &[u8]) -> String {
    format!("blobs/sha256/{}", digest_of(blob).hexadecimal())
}

fn by_name(tar: &[u8]) -> BTreeMap<String, Vec<u8>> {
    support::members(tar).into_iter().collect()
}

/// A store that has a layer, by an image that was made here, and the layer's tar.
fn with_a_layer(scratch: &Scratch) -> (Store, Vec<u8>) {
    let store = Store::open(scratch.path().join("store")).expect("a store");
    let plain = Archive::new().file("f", &support::noise(5000)).finish();
    store.import(&plain[..], &ImportOptions::default()).expect("imported");
    (store, plain)
}

/// The compressed layers that a store keeps.
fn kept(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry"));
    let below = |entry: std::fs::DirEntry| match entry.file_type().expect("a type").is_dir() {
        true => kept(&entry.path()),
        false => vec![entry.path()],
    };
    let named =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("blob-"));
    entries.flat_map(below).filter(named).collect()
}

#[test]
fn layouts_of_known_layers_are_saved_as_they_came() {
    let scratch = Scratch::new();
    let (store, plain) = with_a_layer(&scratch);
    let layouts = [Layout::of("zstd", &plain), Layout::of("gzip", &plain)];
    for layout in &layouts {
        store.load(&layout.tarball()[..]).expect("loaded");
    }
    for layout in &layouts {
        let mut saved = Vec::new();
        store.save_layout(&[&layout.name], &[]).expect("saved").write(&mut saved).expect("written");
        let saved = by_name(&saved);
        for blob in &layout.blobs {
            assert_eq!(saved.get(&place(blob)), Some(blob), "{}", layout.name);
        }
        let index: Value = serde_json::from_slice(&saved["index.json"]).expect("an index");
        assert_eq!(index["manifests"][0]["digest"], digest_of(&layout.target).to_string());
    }
}

#[test]
fn what_came_with_a_layout_that_is_refused_is_not_kept_beside_known_layers() {
    let scratch = Scratch::new();
    let (store, plain) = with_a_layer(&scratch);
    let mut layout = Layout::of("gzip", &plain);
    layout.blobs.remove(0);
    store.load(&layout.tarball()[..]).expect_err("its config is missing");
    assert!(kept(scratch.path()).is_empty());
    let cut_off = Layout::of("zstd", &plain).tarball();
    store.load(&cut_off[..cut_off.len() - 3000]).expect_err("it is cut off");
    assert!(kept(scratch.path()).is_empty());
    store.load(&Layout::of("zstd", &plain).tarball()[..]).expect("loaded");
    assert_eq!(kept(scratch.path()).len(), 1);
}

#[test]
fn what_no_image_came_as_any_more_goes_from_beside_a_layer_that_stays() {
    let scratch = Scratch::new();
    let (store, plain) = with_a_layer(&scratch);
    let layouts = [Layout::of("zstd", &plain), Layout::of("gzip", &plain)];
    for layout in &layouts {
        store.load(&layout.tarball()[..]).expect("loaded");
    }
    for left in [1, 0] {
        store.remove(&layouts[left].name, RemoveOptions::default()).expect("removed");
        assert_eq!(kept(scratch.path()).len(), left);
    }
    let mut saved = Vec::new();
    store.load(&layouts[0].tarball()[..]).expect("loaded again");
    store.save_layout(&[&layouts[0].name], &[]).expect("saved").write(&mut saved).expect("written");
    assert!(layouts[0].blobs.iter().all(|blob| by_name(&saved).get(&place(blob)) == Some(blob)));
}
