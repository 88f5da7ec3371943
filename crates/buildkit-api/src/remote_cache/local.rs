//! Caches in directories of clients, which serve them as stores of blobs: the client keeps the index of such a directory.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use engine::images::registry::{Descriptor, Form};
use engine::images::{BlobSize, BlobSource, BuiltImages, Packer, Root};
use model::Digest;
use tokio::runtime::Handle;

use super::options::LocalCache;
use crate::build::Build;
use crate::grpc::{Code, Status};
use crate::parts::Parts;
use crate::session::{Blob, Session};

/// Where an answer has the index, which the client notes in its directory.
const MANIFEST: &str = "cache.manifest";

/// The name that a client offers the store of a directory by.
fn store_name(directory: &str) -> String {
    format!("local:{directory}")
}

/// Writes images into a directory of the client, each blob once it is packed; returns what the client notes there.
///
/// # Errors
/// [`Status`] when an image cannot be packed, or the client does not keep it.
pub(super) async fn export_local(
    parts: &Arc<Parts>,
    build: &Arc<Build>,
    directory: &str,
    built: BuiltImages,
    form: Form,
) -> Result<HashMap<String, String>, Status> {
    let session = parts.sessions.find(&build.session).await?;
    let store = store_name(directory);
    let (images, cancellation) = (parts.engine.images.store().clone(), build.cancellation().child());
    let calls = Calls { build: Arc::clone(build), runtime: Handle::current() };
    let work = tokio::task::spawn_blocking(move || {
        let packer =
            Packer { store: &images, form, root: Root::Index, names: &[], cancellation: &cancellation };
        packer.pack(&built, |blob| calls.wait(session.write_blob(&store, blob)))
    });
    let packed = work.await.map_err(|error| Status::new(Code::Internal, error.to_string()))??;
    Ok(HashMap::from([(MANIFEST.to_owned(), written(&packed.root)?)]))
}

fn written(index: &Descriptor) -> Result<String, Status> {
    serde_json::to_string(index).map_err(|error| Status::new(Code::Internal, error.to_string()))
}

/// Takes the images of a cache in; returns what the builder finds them by. A cache that is not there is no failure of the
/// build, but of its own step.
pub(crate) async fn import_local(
    parts: &Arc<Parts>,
    build: &Arc<Build>,
    session: &Arc<Session>,
    cache: &LocalCache,
) -> Vec<String> {
    let name = store_name(&cache.directory);
    let title = format!("importing cache manifest from {name}");
    let step = build.progress.start(&format!("import cache {name}"), &title);
    let (parts, session, index) = (Arc::clone(parts), Arc::clone(session), cache.index);
    let calls = Calls { build: Arc::clone(build), runtime: Handle::current() };
    let work = tokio::task::spawn_blocking(move || {
        let source = ClientBlobs { session: &session, store: &name, calls };
        let imported = parts.engine.images.store().import_steps(&index, &source);
        imported.map_err(|error| Status::of_kind(error.kind(), error.to_string()))
    });
    let imported = work.await.unwrap_or_else(|error| Err(Status::new(Code::Internal, error.to_string())));
    let imported = step.conclude(imported).unwrap_or_default();
    imported.iter().map(ToString::to_string).collect()
}

/// Calls of a client that blocking work waits for, as long as its build continues.
#[derive(Debug, Clone)]
struct Calls {
    build: Arc<Build>,
    runtime: Handle,
}

impl Calls {
    fn wait<T>(&self, call: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.build.cancelled() => Err(Status::cancelled()),
                answer = call => answer,
            }
        })
    }
}

/// The blobs of a client, for blocking work.
struct ClientBlobs<'a> {
    session: &'a Session,
    store: &'a str,
    calls: Calls,
}

impl BlobSource for ClientBlobs<'_> {
    fn open(&self, digest: &Digest, size: BlobSize) -> io::Result<Box<dyn Read + Send>> {
        let blob = self.calls.wait(self.session.blob_of_store(self.store, *digest, size));
        let blob = blob.map_err(io::Error::other)?;
        Ok(Box::new(BlobReader { blob, calls: self.calls.clone(), piece: Bytes::new() }))
    }
}

/// Reads a blob as it comes.
struct BlobReader {
    blob: Blob,
    calls: Calls,
    piece: Bytes,
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.piece.is_empty() {
            let next = self.calls.wait(self.blob.next()).map_err(io::Error::other)?;
            self.piece = next.unwrap_or_default();
        }
        let count = self.piece.len().min(buffer.len());
        self.piece.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}
