//! Tarballs of images as `docker save` has written them since 1.10: configs, layers, `manifest.json`.

use std::collections::BTreeSet;

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::rootfs::append;

/// An image of a tarball.
#[derive(Debug)]
pub struct SavedImage<'a> {
    /// Its name, tag included.
    pub name: String,
    /// Plain tars, lowest first.
    pub layers: Vec<&'a [u8]>,
    /// What its containers run.
    pub command: &'a [&'a str],
}

/// The SHA-256 of bytes, in hexadecimal digits.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl SavedImage<'_> {
    /// The image's config document: its digest is the image's id.
    #[must_use]
    pub fn config(&self) -> Vec<u8> {
        let diff_ids: Vec<String> =
            self.layers.iter().map(|layer| format!("sha256:{}", sha256(layer))).collect();
        let history: Vec<_> = diff_ids.iter().map(|_| json!({ "created_by": "a layer" })).collect();
        let config = json!({
            "os": "linux", "architecture": "amd64", "created": "2020-02-02T02:02:02Z",
            "config": { "Cmd": self.command, "Labels": { "name": self.name } },
            "rootfs": { "type": "layers", "diff_ids": diff_ids }, "history": history,
        });
        config.to_string().into_bytes()
    }
}

/// Writes the tarball.
///
/// # Panics
/// When a name does not fit.
#[must_use]
pub fn tarball(images: &[SavedImage<'_>]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut file =
        |name: &str, bytes: &[u8]| append(&mut archive, name, tar::EntryType::Regular, 0o644, bytes);
    let mut written = BTreeSet::new();
    let mut manifest = Vec::new();
    for image in images {
        let config = image.config();
        let config_name = format!("{}.json", sha256(&config));
        file(&config_name, &config);
        let mut names = Vec::new();
        for layer in &image.layers {
            let name = format!("{}/layer.tar", sha256(layer));
            if written.insert(name.clone()) {
                file(&name, layer);
            }
            names.push(name);
        }
        manifest.push(json!({ "Config": config_name, "RepoTags": [image.name], "Layers": names }));
    }
    file("manifest.json", json!(manifest).to_string().as_bytes());
    archive.into_inner().expect("the tarball's end")
}
