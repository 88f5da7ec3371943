//! Makes images for tests and keeps stores.

use std::io::Write;
use std::sync::Mutex;

use flate2::write::GzEncoder;
use model::{Digest, ImageReference};
use serde_json::json;

use super::*;
use crate::store::digest_of;
use crate::{NewImage, Origin, Store, TagPolicy};

use super::real::Scratch;

/// A store in a directory of its own.
pub(super) struct Stored {
    pub(super) store: Store,
    _scratch: Scratch,
}

impl Stored {
    pub(super) fn new() -> Self {
        Self::in_scratch(Scratch::new())
    }

    /// Opens the store that another process left.
    pub(super) fn in_scratch(scratch: Scratch) -> Self {
        Self { store: Store::open(scratch.path()).unwrap(), _scratch: scratch }
    }

    /// Makes an image of layers with one file each and names it.
    pub(super) fn image(&self, name: &str, layers: &[&[u8]]) -> Digest {
        let held: Vec<_> = layers.iter().map(|tar| self.store.unpack_layer(*tar).unwrap()).collect();
        let config = config(&layers.iter().map(|tar| digest_of(tar)).collect::<Vec<_>>());
        let new = NewImage {
            config: &config,
            layers: &held,
            parent: None,
            legacy: None,
            origin: Origin::Here,
            target: None,
        };
        let image = self.store.add_image(&new).unwrap();
        self.store.tag(&image.id, &reference(name), TagPolicy::Move).unwrap();
        image.id
    }

    /// The image that a name means.
    pub(super) fn id(&self, name: &str) -> Option<Digest> {
        let reference = reference(name);
        match reference.digest {
            Some(digest) => {
                let index = self.store.index();
                index.digests.get(reference.repository.to_string().as_str())?.get(&digest).copied()
            }
            None => {
                let tags = self.store.tags(&reference.repository);
                let wanted = reference.tag_or_latest();
                tags.into_iter().find(|(tag, _)| tag == wanted.as_str()).map(|(_, id)| id)
            }
        }
    }

    pub(super) fn pull(&self, name: &str) -> Result<Vec<String>, RegistryError> {
        self.pull_with(&client(), name, None)
    }

    /// Pulls; returns what was reported, bars left out.
    pub(super) fn pull_with(
        &self,
        client: &Client,
        name: &str,
        credentials: Option<&Credentials>,
    ) -> Result<Vec<String>, RegistryError> {
        let log = Mutex::new(Vec::new());
        let reference = reference(name);
        let request = PullRequest {
            store: &self.store,
            reference: &reference,
            credentials,
            platform: None,
            names: PulledNames::Tag,
        };
        client.pull(&request, &|message| note(&log, &message), &Cancellation::new())?;
        Ok(log.into_inner().unwrap())
    }

    pub(super) fn push(&self, name: &str) -> Result<Vec<String>, RegistryError> {
        self.push_with(&client(), name, None)
    }

    pub(super) fn push_with(
        &self,
        client: &Client,
        name: &str,
        credentials: Option<&Credentials>,
    ) -> Result<Vec<String>, RegistryError> {
        let log = Mutex::new(Vec::new());
        let reference = reference(name);
        let request = PushRequest {
            store: &self.store,
            reference: &reference,
            credentials,
            platform: None,
            words: PushWords::Reference,
            keeps_digests: false,
            layers: LayerForm::default(),
        };
        client.push(&request, &|message| note(&log, &message), &Cancellation::new())?;
        Ok(log.into_inner().unwrap())
    }

    /// The files of downloads under way.
    pub(super) fn downloads(&self) -> Vec<(String, u64)> {
        let entries = std::fs::read_dir(self.store.download_directory()).unwrap();
        let entry = |entry: std::io::Result<std::fs::DirEntry>| {
            let entry = entry.unwrap();
            (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().len())
        };
        entries.map(entry).collect()
    }

    /// Whether the store holds nothing at all: no layer, image or file under way.
    pub(super) fn is_empty(&self) -> bool {
        let count = |part: &str| std::fs::read_dir(self.store.root().join(part)).unwrap().count();
        let index = self.store.index();
        index.images.is_empty() && index.layers.is_empty() && count("layers") == 0 && count("temporary") == 0
    }
}

fn note(log: &Mutex<Vec<String>>, message: &Message) {
    let line = match &message.id {
        Some(id) => format!("{id}: {}", message.status),
        None => message.status.clone(),
    };
    let mut log = log.lock().unwrap();
    // Bars of several layers interleave; each counts once.
    if !log.contains(&line) {
        log.push(line);
    }
}

pub(super) fn reference(name: &str) -> ImageReference {
    ImageReference::parse(name).unwrap()
}

/// A tar with one file.
pub(super) fn tar(name: &str, content: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    builder.append_data(&mut header, name, content).unwrap();
    builder.into_inner().unwrap()
}

/// Bytes that do not compress, always the same for a seed.
pub(super) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_| next()).collect()
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::new(1));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn config(diff_ids: &[Digest]) -> Vec<u8> {
    let history: Vec<_> = diff_ids.iter().map(|id| json!({"created_by": id.short()})).collect();
    json!({
        "architecture": "amd64", "os": "linux", "created": "2015-10-01T00:00:00Z",
        "config": {"Cmd": ["/bin/sh"], "Labels": {"made": "here"}},
        "history": history, "rootfs": {"type": "layers", "diff_ids": diff_ids},
    })
    .to_string()
    .into_bytes()
}
