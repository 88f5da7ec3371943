//! A registry in memory that can be made to lie.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use model::Digest;
use serde_json::{Value, json};

use super::super::manifest::{DOCKER_CONFIG, DOCKER_LAYER, DOCKER_MANIFEST};
use super::images::{config, gzip};
use super::server::{Reply, Seen, Server};
use crate::store::digest_of;

/// The contents of one repository, `a/b`.
#[derive(Default)]
pub(super) struct Content {
    /// By digest.
    pub(super) blobs: HashMap<String, Vec<u8>>,
    /// By tag and digest: type and document.
    pub(super) manifests: HashMap<String, (String, Vec<u8>)>,
    pub(super) tags: Vec<String>,
    /// Whether ranges are served.
    pub(super) knows_ranges: bool,
}

impl Content {
    pub(super) fn new() -> Self {
        Self { knows_ranges: true, ..Self::default() }
    }

    pub(super) fn blob(&mut self, bytes: Vec<u8>) -> Digest {
        let digest = digest_of(&bytes);
        self.blobs.insert(digest.to_string(), bytes);
        digest
    }

    pub(super) fn manifest(&mut self, tag: &str, kind: &str, document: &Value) -> Digest {
        let bytes = document.to_string().into_bytes();
        let digest = digest_of(&bytes);
        self.manifests.insert(digest.to_string(), (kind.to_owned(), bytes.clone()));
        self.manifests.insert(tag.to_owned(), (kind.to_owned(), bytes));
        digest
    }

    /// Adds an image of gzipped layers under a tag.
    pub(super) fn image(&mut self, tag: &str, tars: &[Vec<u8>]) -> Digest {
        let document = self.document(tars);
        self.manifest(tag, DOCKER_MANIFEST, &document)
    }

    /// The manifest of an image whose blobs are added.
    pub(super) fn document(&mut self, tars: &[Vec<u8>]) -> Value {
        let blobs: Vec<_> = tars.iter().map(|tar| (DOCKER_LAYER, gzip(tar))).collect();
        self.document_of(&tars.iter().map(|tar| digest_of(tar)).collect::<Vec<_>>(), blobs)
    }

    /// The manifest of an image of these blobs.
    pub(super) fn document_of(&mut self, diff_ids: &[Digest], blobs: Vec<(&str, Vec<u8>)>) -> Value {
        let config = config(diff_ids);
        let config_size = config.len();
        let config = self.blob(config);
        let layers: Vec<_> = blobs
            .into_iter()
            .map(|(kind, blob)| json!({"mediaType": kind, "size": blob.len(), "digest": self.blob(blob)}))
            .collect();
        json!({"schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "layers": layers,
               "config": {"mediaType": DOCKER_CONFIG, "size": config_size, "digest": config}})
    }

    /// Answers as an honest registry would.
    pub(super) fn answer(&self, seen: &Seen) -> Reply {
        let Some(rest) = seen.path.strip_prefix("/v2/") else { return Reply::new(404) };
        if rest.is_empty() {
            return Reply::new(200);
        }
        let rest = rest.trim_start_matches("library/").trim_start_matches("a/b/");
        if rest == "tags/list" {
            return Reply::json(&json!({"name": "a/b", "tags": self.tags}));
        }
        if let Some((kind, document)) =
            rest.strip_prefix("manifests/").and_then(|name| self.manifests.get(name))
        {
            return Reply::new(200).with("Content-Type", kind).body(document.clone());
        }
        match rest.strip_prefix("blobs/").and_then(|digest| self.blobs.get(digest)) {
            Some(blob) => self.blob_answer(seen, blob),
            None => Reply::new(404)
                .body(r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#),
        }
    }

    fn blob_answer(&self, seen: &Seen, blob: &[u8]) -> Reply {
        let start = seen.header("range").filter(|_| self.knows_ranges).and_then(range_start);
        match start {
            None => Reply::new(200).body(blob),
            Some(start) if start >= blob.len() => Reply::new(416),
            Some(start) => {
                let range = format!("bytes {start}-{}/{}", blob.len() - 1, blob.len());
                Reply::new(206).with("Content-Range", range).body(&blob[start..])
            }
        }
    }
}

fn range_start(range: &str) -> Option<usize> {
    range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
}

/// A running registry whose answers a function may change.
pub(super) struct Fake {
    pub(super) server: Server,
    pub(super) content: Arc<Mutex<Content>>,
}

impl Fake {
    pub(super) fn honest(content: Content) -> Self {
        Self::start(content, |_, reply| reply)
    }

    pub(super) fn start(
        content: Content,
        twist: impl Fn(&Seen, Reply) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let content = Arc::new(Mutex::new(content));
        let answers = Arc::clone(&content);
        let server = Server::start(move |seen| {
            let reply = answers.lock().unwrap().answer(seen);
            twist(seen, reply)
        });
        Self { server, content }
    }

    /// The name of the image with this tag.
    pub(super) fn name(&self, tag: &str) -> String {
        format!("{}/a/b:{tag}", self.server.host)
    }

    /// How many requests there were for paths with this end.
    pub(super) fn asked(&self, end: &str) -> usize {
        self.server.seen().iter().filter(|seen| seen.path.ends_with(end)).count()
    }
}
