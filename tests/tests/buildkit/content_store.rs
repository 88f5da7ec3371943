//! A store of blobs that a client serves, as its directory of a local cache.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use buildkit_messages::content::{
    ReadContentRequest, ReadContentResponse, WriteAction, WriteContentRequest, WriteContentResponse,
};
use bytes::Bytes;
use h2::SendStream;
use sha2::{Digest, Sha256};

use crate::streams::{Messages, frame, send};

pub(crate) const WRITE: &str = "/containerd.services.content.v1.Content/Write";

const NOT_FOUND: i32 = 5;
const ALREADY_EXISTS: i32 = 6;

/// Blobs by their digests.
#[derive(Debug, Clone, Default)]
pub(crate) struct ContentStore {
    pub(crate) blobs: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    /// The blob that is requested but never sent, and how far a call for it has come.
    pub(crate) stalling: Option<(String, Arc<Mutex<Stalled>>)>,
    /// A directory that is checked with each blob that comes.
    pub(crate) directory: Option<Watched>,
}

/// A directory, and the most files of a kind that were seen in it at once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watched {
    pub(crate) directory: PathBuf,
    /// What their names begin with.
    pub(crate) prefix: &'static str,
    pub(crate) most: Arc<AtomicUsize>,
}

impl Watched {
    pub(crate) fn count(&self) -> usize {
        let names = std::fs::read_dir(&self.directory).expect("a directory");
        let names = names.map(|entry| entry.expect("an entry").file_name());
        names.filter(|name| name.to_string_lossy().starts_with(self.prefix)).count()
    }
}

/// How far a call has come that is never answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Stalled {
    #[default]
    Unasked,
    Waiting,
    /// The caller has given up.
    GivenUp,
}

pub(crate) fn digest_of(content: &[u8]) -> String {
    let digits: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{digits}")
}

impl ContentStore {
    pub(crate) fn get(&self, digest: &str) -> Option<Vec<u8>> {
        self.blobs.lock().expect("the blobs").get(digest).cloned()
    }

    /// Puts a blob there; gives its digest.
    pub(crate) fn put(&self, content: Vec<u8>) -> String {
        let digest = digest_of(&content);
        self.blobs.lock().expect("the blobs").insert(digest.clone(), content);
        digest
    }

    /// Sends a blob; gives the call's status.
    pub(crate) async fn read(&self, stream: &mut SendStream<Bytes>, request: &ReadContentRequest) -> i32 {
        if let Some((_, state)) = self.stalling.as_ref().filter(|(digest, _)| *digest == request.digest) {
            *state.lock().expect("a state") = Stalled::Waiting;
            let _ = poll_fn(|context| stream.poll_reset(context)).await;
            *state.lock().expect("a state") = Stalled::GivenUp;
        }
        let Some(content) = self.get(&request.digest) else { return NOT_FOUND };
        assert_eq!((request.offset, request.size), (0, 0), "all of it");
        let mut offset = 0;
        for piece in content.chunks(64 * 1024) {
            send(stream, frame(&ReadContentResponse { offset, data: Bytes::copy_from_slice(piece) })).await;
            offset += i64::try_from(piece.len()).expect("a length");
        }
        0
    }

    /// Takes a blob; gives the call's status.
    pub(crate) async fn write(&self, stream: &mut SendStream<Bytes>, messages: &mut Messages) -> i32 {
        if let Some(watched) = &self.directory {
            watched.most.fetch_max(watched.count(), Ordering::Relaxed);
        }
        let mut content: Vec<u8> = Vec::new();
        while let Some(request) = messages.next::<WriteContentRequest>().await {
            let offset = i64::try_from(content.len()).expect("a length");
            match WriteAction::try_from(request.action).expect("an action") {
                WriteAction::Stat if self.get(&request.expected).is_some() => return ALREADY_EXISTS,
                WriteAction::Stat => assert!(!request.reference.is_empty(), "a blob has a name meanwhile"),
                WriteAction::Write => {
                    assert_eq!(request.offset, offset, "one piece after the other");
                    content.extend_from_slice(&request.data);
                }
                WriteAction::Commit => {
                    assert_eq!((request.offset, request.total), (offset, offset), "the whole of it");
                    assert_eq!(self.put(content.clone()), request.expected);
                }
            }
            let offset = i64::try_from(content.len()).expect("a length");
            let answer = WriteContentResponse { action: request.action, offset, ..Default::default() };
            send(stream, frame(&answer)).await;
            // As the store that clients have does.
            if request.action == i32::from(WriteAction::Commit) {
                send(stream, frame(&answer)).await;
            }
        }
        0
    }
}
